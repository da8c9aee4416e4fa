/*
 * readahead.c: what to read of a file before it is asked for.
 *
 * A file remembers its latest window: where it begins, how many pages it has, and
 * how many of them lie behind its MARK, the page at which the next window is begun
 * while the program still works on this one:
 *
 *     |<------------ size ------------->|
 *     [ read . . . . ][mark . . . . . . ]  next window: twice as large, up to 32
 *     start            |<---- ahead --->|
 *
 * The mark is a flag of the page (PG_RECLAIM, which says that on clean pages). So pages stay marked
 * that belong to windows of long ago, and whoever meets one of these reads on from the first page
 * behind it that is missing.
 *
 *   miss, in order or at the file's beginning  a first window of 4 pages, mark at 1
 *   miss right behind the window               the next window, as at its mark
 *   miss behind 2 or more cached pages         as many again, and it: somebody reads in order
 *   miss elsewhere                             the page alone
 *   the mark is met                            the next window, read while nobody waits
 *   another page's mark is met                 from the next missing page on, twice as much as
 *                                              lies between
 *   miss by a page fault                       32 pages around it, mark at the 24th; none
 *                                              after 100 misses in a row without hits
 *   the same, region is read at random         the page alone
 *   the same, region is read sequentially      32 pages from it on, then as read calls
 *
 * A window that begins where the miss is and whose whole length lies ahead grows at
 * once, so that its mark is not its first page.
 *
 * A file of which was said that it is read sequentially (core/fadvise.c) has 64 where
 * others have 32, and a mark at the 48th page around a fault; one that is read at random
 * gets the page alone from a read call.
 *
 * The state is a hint: readers of one file share it and race on it, as they do where
 * they share a descriptor. One word holds all of a window, so that it is never torn.
 *
 * DIFF: each file has one state, as if it had been opened once.
 *
 * What must never happen: a window that begins behind the missing page, or is empty.
 *
 * Linux: mm/readahead.c, and mm/filemap.c for faults.
 */
#include "core/readahead.h"

#include "core/space.h"

#define FIRST_PAGES 4u /* of a file that is read in order, one page a call */
#define FAULT_MISSES_MAX 100u
#define FAULT_MISSES_KEPT 1000u
#define START_SHIFT 16u

struct window {
	uint64_t start;
	uint32_t size, ahead;
};

static struct window window_load(const struct mapping *mapping)
{
	struct mapping *file = (struct mapping *)(uintptr_t)mapping;
	uint64_t state = atomic_load_explicit(&file->readahead, memory_order_relaxed);

	return (struct window){ .start = state >> START_SHIFT,
				.size = (uint32_t)(state >> 8) & 0xff,
				.ahead = (uint32_t)state & 0xff };
}

static void window_store(struct mapping *mapping, const struct window *window)
{
	uint64_t state = window->start << START_SHIFT | (uint64_t)window->size << 8 | window->ahead;

	atomic_store_explicit(&mapping->readahead, state, memory_order_relaxed);
}

static bool readahead_off(const struct mapping *mapping)
{
	struct mapping *file = (struct mapping *)(uintptr_t)mapping;

	return atomic_load_explicit(&file->readahead, memory_order_relaxed) == READAHEAD_NONE;
}

/* The largest window. */
static uint32_t most_pages(const struct mapping *mapping)
{
	return mapping_pattern(mapping) == REGION_SEQUENTIAL ? READAHEAD_MAX_PAGES
							     : READAHEAD_PAGES;
}

/* A small window grows fourfold, a larger one to twice its size, up to the most. */
static uint32_t next_size(uint32_t size, uint32_t most)
{
	if (size < most / 16)
		return 4 * size;
	return min_u32(2 * size, most);
}

/* The window's pages that the file has, and its mark. => at least the one at `index` */
static struct readahead_window clip(const struct mapping *mapping, const struct window *window,
				    uint64_t index)
{
	struct mapping *file = (struct mapping *)(uintptr_t)mapping;
	uint64_t bytes = atomic_load_explicit(&file->bytes, memory_order_relaxed);
	uint64_t pages = round_up_u64(bytes, NEAP_PAGE_BYTES) / NEAP_PAGE_BYTES;
	uint64_t end = max_u64(min_u64(window->start + window->size, pages), index + 1);

	struct readahead_window out = { .first = window->start,
					.nr = (uint32_t)(end - window->start),
					.mark = READAHEAD_NO_MARK };

	if (window->ahead != 0 && window->ahead <= out.nr)
		out.mark = end - window->ahead;
	return out;
}

/* Takes the window as the latest one. */
static struct readahead_window begin(struct mapping *mapping, struct window *window, uint64_t index)
{
	uint32_t most = most_pages(mapping);

	if (window->start == index && window->size == window->ahead) {
		uint32_t more = next_size(window->size, most);

		if (window->size + more <= most) {
			window->ahead = more;
			window->size += more;
		} else {
			window->size = most;
			window->ahead = most / 2;
		}
	}
	window_store(mapping, window);
	return clip(mapping, window, index);
}

/* The window behind this one. */
static struct window next_window(const struct mapping *mapping, const struct window *window)
{
	uint32_t size = next_size(max_u32(window->size, 1), most_pages(mapping));

	return (struct window){ .start = window->start + window->size,
				.size = size,
				.ahead = size };
}

/* Whether the page is the first behind the window. */
static bool is_behind(const struct window *window, uint64_t index)
{
	return index != 0 && window->size != 0 && index == window->start + window->size;
}

/* The first page, the one that was read last once more, or the next one. */
static bool is_in_order(const struct mapping *mapping, uint64_t index)
{
	/* It counts from 1. */
	uint64_t read = atomic_load_explicit(&mapping->last_read, memory_order_relaxed);

	return index == 0 || index == read || index + 1 == read;
}

uint32_t readahead_most_pages(const struct mapping *mapping)
{
	return readahead_off(mapping) ? 0 : most_pages(mapping);
}

/* What was read in order leaves its pages. => false: too few of them */
static bool continue_history(const struct mapping *mapping, struct window *window, uint64_t index,
			     uint32_t before)
{
	if (before <= 1)
		return false;
	/* All of the file until here: somebody reads the whole of it. */
	if (before >= index)
		before *= 2;
	*window = (struct window){ .start = index,
				   .size = min_u32(before + 1, most_pages(mapping)),
				   .ahead = 1 };
	return true;
}

bool readahead_asks_before(const struct mapping *mapping, uint64_t index)
{
	struct window window = window_load(mapping);

	return !readahead_off(mapping) && !is_behind(&window, index) &&
	       !is_in_order(mapping, index);
}

struct readahead_window readahead_miss(struct mapping *mapping, uint64_t index, uint32_t before)
{
	struct window window = window_load(mapping);

	if (readahead_off(mapping))
		return readahead_one_page(index);
	if (is_behind(&window, index))
		window = next_window(mapping, &window);
	else if (is_in_order(mapping, index))
		window = (struct window){ .start = index,
					  .size = FIRST_PAGES,
					  .ahead = FIRST_PAGES - 1 };
	else if (!continue_history(mapping, &window, index, before))
		return readahead_one_page(index);
	return begin(mapping, &window, index);
}

bool readahead_expects(const struct mapping *mapping, uint64_t index)
{
	struct window window = window_load(mapping);
	uint64_t end = window.start + window.size;

	return window.size != 0 && index != 0 && (index == end - window.ahead || index == end);
}

struct readahead_window readahead_hit(struct mapping *mapping, uint64_t index, uint64_t missing,
				      uint32_t wanted)
{
	uint64_t bytes = atomic_load_explicit(&mapping->bytes, memory_order_relaxed);
	uint64_t pages = round_up_u64(bytes, NEAP_PAGE_BYTES) / NEAP_PAGE_BYTES;
	struct window window = window_load(mapping);

	if (missing == 0) {
		window = next_window(mapping, &window);
	} else {
		uint32_t size = (uint32_t)(missing - index) + wanted;

		size = next_size(size, most_pages(mapping));
		window = (struct window){ .start = missing, .size = size, .ahead = size };
	}
	window_store(mapping, &window);
	if (window.start >= pages)
		return (struct readahead_window){ .nr = 0, .mark = READAHEAD_NO_MARK };
	return clip(mapping, &window, window.start);
}

struct readahead_window readahead_fault_miss(struct mapping *mapping, uint64_t index)
{
	uint32_t misses = atomic_load_explicit(&mapping->fault_misses, memory_order_relaxed);
	uint32_t most = most_pages(mapping);
	struct window window = { .start = index - min_u64(index, most / 2),
				 .size = most,
				 .ahead = most / 4 };

	if (readahead_off(mapping))
		return readahead_one_page(index);
	if (misses < FAULT_MISSES_KEPT)
		atomic_store_explicit(&mapping->fault_misses, misses + 1, memory_order_relaxed);
	if (misses >= FAULT_MISSES_MAX)
		return readahead_one_page(index);
	window_store(mapping, &window);
	return clip(mapping, &window, index);
}

struct readahead_window readahead_sequential_miss(struct mapping *mapping, uint64_t index)
{
	struct window window = window_load(mapping);

	if (readahead_off(mapping))
		return readahead_one_page(index);
	if (is_behind(&window, index)) {
		window = next_window(mapping, &window);
		return begin(mapping, &window, index);
	}
	uint32_t most = most_pages(mapping);

	window = (struct window){ .start = index, .size = most };
	/* Elsewhere nobody expects the next window yet: this one is read, and not remembered. */
	if (!is_in_order(mapping, index))
		return clip(mapping, &window, index);
	window.ahead = most;
	return begin(mapping, &window, index);
}

void readahead_fault_hit(struct mapping *mapping, uint32_t nr)
{
	uint32_t misses = atomic_load_explicit(&mapping->fault_misses, memory_order_relaxed);

	if (misses != 0)
		atomic_store_explicit(&mapping->fault_misses, misses - min_u32(misses, nr),
				      memory_order_relaxed);
}

void readahead_note_read(struct mapping *mapping, uint64_t index)
{
	atomic_store_explicit(&mapping->last_read, index + 1, memory_order_relaxed);
}
