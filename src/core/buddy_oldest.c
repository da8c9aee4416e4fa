/*
 * buddy_oldest.c: many blocks of a per-CPU list go back to the free lists.
 *
 *   list ... <- c <- b <- a       the oldest first
 *
 *            order 0     order 1     order 2
 *      a ──> stays
 *      b ──> merges ───> merges ───> stays          up[]: those that merge
 *      c ──> merges ───> stays                      stay[]: those that do not
 *      d ──> stays
 *
 * What becomes of a block depends on its pair's bit (core/buddy_link.h) and changes it, and so it
 * does again one order higher. A block that is freed later finds the bits as the earlier ones left
 * them, at each order; and one order's bits decide nothing about another order's, except that a
 * block that stays looks at the next order's for the end of the list that it goes to. So all blocks
 * can be taken through one order before any of them is taken through the next one. At each order
 * those that merge are parted from those that stay without a branch: whether a buddy is free nobody
 * can foretell while a CPU frees in bulk, and a branch would be wrong for every second block.
 *
 * Such a CPU hands over an array (core/free_late.c). On the lists themselves is what was freed
 * among requests, of which hardly anything merges: 3 of 100 blocks in bench alloc.mixed. From there
 * those that stay are linked as they come, and only the others are collected.
 *
 * Then the lists of the order: first those that stay are linked, then the buddies of those that
 * merge leave, their neighbours having been asked for meanwhile. A list is what it would have been
 * block by block: a block that leaves does not change the order of the others, whenever it does.
 *
 * Above order 5 hardly any block comes. From there on one after the other goes its way.
 *
 * Blocks that lie beside each other on the list and in memory are freed as a run, by few large
 * parts.
 *
 * What must never happen: a descriptor written for an order before all that was to be done for the
 * order below is done; a word of pairs used in a zone that shares pageblocks with another zone.
 *
 * Linux: free_pcppages_bulk(), __free_one_page() of mm/page_alloc.c, 6.1, which take each block
 * through all orders.
 */
#include "core/buddy_link.h"
#include "core/pcp.h"
#include "core/vmstat.h"

#define RISE_MAX 256u /* blocks taken up together: their descriptors fit a near cache */
#define RISE_MIN 4u   /* fewer frames of an array go one by one */
#define RUN_MIN 8u    /* fewer beside each other are no run */

/* ---- runs ---- */

/*
 * Until a block of a higher order inside the run is complete, its parts have no buddies outside: so
 * the largest aligned blocks can be freed at once, in the order in which they would become
 * complete, and leave what the single blocks would have left. Whole pageblocks stay apart, as
 * there.
 */
static NOINLINE void buddy_merge_run(struct zone *zone, const struct buddy_run *run)
{
	uint32_t first = run->first;
	uint32_t end = first + (run->nr << run->order);

	while (first < end) {
		uint32_t at = run->descending ? end : first;
		uint32_t order = min_u32((uint32_t)__builtin_ctz(at), fls_u64(end - first) - 1);

		order = min_u32(order, NEAP_PAGEBLOCK_ORDER);
		if (run->descending)
			end -= 1u << order;
		else
			first += 1u << order;
		buddy_merge(zone, run->descending ? end : at, order, run->type);
	}
}

/*
 * Blocks that lie beside each other on the list and in memory, in one direction, with one type:
 * from run->first on, at most run->nr. => the block before them on the list, or PFN_NONE
 */
static NOINLINE uint32_t list_run(const struct page *pages, struct buddy_run *run)
{
	uint32_t from = run->first;
	uint32_t next = pages[from].prev;
	uint32_t step = next < from ? 0 - (1u << run->order) : 1u << run->order;
	uint32_t last = from;
	uint32_t nr = 1;

	while (nr < run->nr && next != PFN_NONE && next == last + step &&
	       pcp_page_type(&pages[next]) == run->type) {
		last = next;
		next = pages[last].prev;
		nr++;
	}
	run->nr = nr;
	run->descending = last < from;
	run->first = min_u32(from, last);
	return next;
}

/* ---- blocks on their way up ---- */

/* Blocks of one type, in the order in which they are freed: each twice its frame, and one bit. */
struct rise {
	struct zone *zone;
	struct page *pages;
	uint32_t type;
	uint32_t nr;		 /* in up[] */
	uint32_t nr_stay;	 /* in stay[] */
	uint32_t up[RISE_MAX];	 /* any frame of the block; 1: its buddy is free, too */
	uint32_t stay[RISE_MAX]; /* any frame of the block; 1: it goes to the tail of its list */
};

/* The head of the block of an order that holds a frame of up[] or stay[]. */
static ALWAYS_INLINE uint32_t rise_head(uint32_t block, uint32_t order)
{
	return (block >> 1) & ~((1u << order) - 1);
}

/*
 * A block of an order comes free, after `nr` others of which nr_up merge. A merged one is a free
 * block of the next order now, and knows whether it merges there, too; for another one the same
 * answer is the end of the list. => 1 if it merges, else 0
 */
static ALWAYS_INLINE uint32_t rise_add(struct rise *rise, uint32_t pfn, uint32_t order, uint32_t nr,
				       uint32_t nr_up)
{
	uint64_t *word = &rise->zone->machine->pairs[pfn >> PAIRS_SHIFT];
	uint32_t here = pair_bit(pfn, order);
	uint32_t above = pair_bit(pfn, order + 1);
	uint64_t odd = *word;
	uint32_t merges = odd >> here & 1;
	uint32_t next = odd >> above & 1;

	*word = odd ^ (uint64_t)1 << here ^ (uint64_t)merges << above;
	rise->stay[nr - nr_up] = pfn << 1 | next;
	rise->up[nr_up] = pfn << 1 | next;
	return merges;
}

/* Blocks of an order come free: parts those that merge from those that stay. */
static ALWAYS_INLINE void rise_begin(struct rise *rise, const uint32_t *frame, uint32_t nr,
				     uint32_t order)
{
	uint32_t nr_up = 0;

	for (uint32_t i = 0; i < nr; i++) {
		__builtin_prefetch(&rise->pages[frame[i]], 1);
		nr_up += rise_add(rise, frame[i], order, i, nr_up);
	}
	rise->nr = nr_up;
	rise->nr_stay = nr - nr_up;
}

/* The same with the merged ones of up[], whose pairs of this order know of them already. */
static ALWAYS_INLINE void rise_part(struct rise *rise, uint32_t order)
{
	uint64_t *pairs = rise->zone->machine->pairs;
	uint32_t nr = rise->nr;
	uint32_t nr_up = 0;

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t block = rise->up[i];
		uint32_t merges = block & 1;
		uint64_t *word = &pairs[block >> (PAIRS_SHIFT + 1)];
		uint32_t above = pair_bit(block >> 1, order + 1);
		uint32_t next = *word >> above & 1;

		*word ^= (uint64_t)merges << above;
		block = (block & ~1u) | next;
		rise->stay[i - nr_up] = block;
		rise->up[nr_up] = block;
		nr_up += merges;
	}
	rise->nr = nr_up;
	rise->nr_stay = nr - nr_up;
}

/* The descriptor of the free buddy of a block of up[] that merges. */
static ALWAYS_INLINE struct page *rise_buddy(const struct page *pages, uint32_t block,
					     uint32_t order)
{
	return page_at(pages, page_offset(rise_head(block, order) ^ (1u << order)));
}

/* The neighbours of the buddies that leave their lists are written. */
static ALWAYS_INLINE void rise_ask(const struct rise *rise, uint32_t order)
{
	const struct page *pages = rise->pages;
	const uint32_t nr = rise->nr;

	for (uint32_t i = 0; i < nr; i++) {
		const struct page *buddy = rise_buddy(pages, rise->up[i], order);

		__builtin_prefetch(&pages[buddy->next], 1);
		__builtin_prefetch(&pages[buddy->prev], 1);
	}
}

/* Links those that stay, each at its end. */
static ALWAYS_INLINE void rise_link(const struct rise *rise, uint32_t order)
{
	struct zone *zone = rise->zone;
	struct page *pages = rise->pages;
	const uint32_t type = rise->type;
	struct list *list = &zone->area[order].list[type];
	const uint64_t flags = block_head_flags(zone, order);
	const uint32_t nr = rise->nr_stay;
	uint32_t end[2] = { list->first, list->last };
	uint32_t i = 0;

	if (unlikely(end[0] == PFN_NONE) && nr != 0) {
		uint32_t pfn = rise_head(rise->stay[i++], order);

		flags_write(&pages[pfn], flags);
		page_set_identity(&pages[pfn], order, type);
		page_set_links(&pages[pfn], PFN_NONE, PFN_NONE);
		end[0] = end[1] = pfn;
		nonempty_write(zone, type, nonempty_read(zone, type) | 1u << order);
	}
	for (; i < nr; i++) {
		uint32_t at = rise->stay[i] & 1;
		uint32_t pfn = rise_head(rise->stay[i], order);
		struct page *page = page_at(pages, page_offset(pfn));
		uint32_t old = end[at];

		end[at] = pfn;
		flags_write(page, flags);
		page_set_identity(page, order, type);
		page->links = (uint64_t)old << (32 * at);
		page_at(pages, page_offset(old))->link[at ^ 1] = pfn;
	}
	*list = (struct list){ end[0], end[1] };
}

/* Takes the buddies of those that merge off their lists. */
static ALWAYS_INLINE void rise_unlink(const struct rise *rise, uint32_t order)
{
	struct zone *zone = rise->zone;
	struct free_area *area = &zone->area[order];
	struct page *pages = rise->pages;
	const uint32_t nr = rise->nr;

	for (uint32_t i = 0; i < nr; i++)
		links_unlink(zone, area, pages, rise_buddy(pages, rise->up[i], order));
}

/* What rise_begin() or rise_part() told apart goes onto its lists, or its buddies off them. */
static ALWAYS_INLINE void rise_lists(struct rise *rise, uint32_t order)
{
	struct free_area *area = &rise->zone->area[order];

	rise_ask(rise, order);
	rise_link(rise, order);
	racy_add(area->nr_free, (uint64_t)rise->nr_stay);
	rise_unlink(rise, order);
	racy_add(area->nr_free, (uint64_t)0 - rise->nr);
}

#define RISE_TOP (NR_WORD_ORDERS - 1)

/* The few that came so far, one after the other: their pairs know of them already. */
static NOINLINE void rise_top(const struct rise *rise)
{
	struct zone *zone = rise->zone;
	struct page *pages = rise->pages;
	struct free_area *area = &zone->area[RISE_TOP];

	for (uint32_t i = 0; i < rise->nr; i++) {
		uint32_t pfn = rise_head(rise->up[i], RISE_TOP);
		uint32_t above = pfn & ~(1u << RISE_TOP);

		if (rise->up[i] & 1) {
			area_unlink(zone, area, pages, &pages[pfn ^ (1u << RISE_TOP)]);
			buddy_merge(zone, above, RISE_TOP + 1, rise->type);
		} else {
			const struct place place = {
				.area = area,
				.type = rise->type,
				.end = pair_is_odd(zone->machine, above, RISE_TOP + 1),
			};

			place_link(zone, pages, page_offset(pfn), block_head_flags(zone, RISE_TOP),
				   place);
		}
	}
}

static NOINLINE void rise_above(struct rise *rise, uint32_t order)
{
	for (; order < RISE_TOP && rise->nr != 0; order++) {
		rise_part(rise, order);
		rise_lists(rise, order);
	}
	rise_top(rise);
}

/* The blocks of up[] go on; those that stay are linked. */
static NOINLINE void rise_leave(struct rise *rise, uint32_t order)
{
	rise_ask(rise, order);
	rise_unlink(rise, order);
	racy_add(rise->zone->area[order].nr_free, (uint64_t)0 - rise->nr);
	rise_above(rise, order + 1);
}

/* Frees the blocks that have begun. */
static ALWAYS_INLINE void rise_free(struct rise *rise, uint32_t order)
{
	rise_lists(rise, order);
	rise_above(rise, order + 1);
}

/* ---- the oldest of a per-CPU list ---- */

/* Where the freeing of a list has come to. */
struct oldest {
	uint32_t pfn;  /* next to be freed */
	uint32_t left; /* at most so many more */
	uint32_t order;
};

/* Do the next blocks make a run? => of how many, in run->nr, and the block before them */
static NOINLINE bool oldest_run(const struct page *pages, const struct oldest *at, uint32_t most,
				struct buddy_run *run, uint32_t *before)
{
	*run = (struct buddy_run){
		.first = at->pfn,
		.nr = min_u32(most, at->left),
		.order = at->order,
		.type = pcp_page_type(&pages[at->pfn]),
	};
	*before = list_run(pages, run);
	return run->nr >= RUN_MIN;
}

/* Does the next block on the list lie beside this one? */
static ALWAYS_INLINE bool oldest_beside(uint32_t pfn, uint32_t before, uint32_t order)
{
	return ((before - pfn + (1u << order)) & ~(2u << order)) == 0;
}

/* The run that begins with the next block. */
static NOINLINE void oldest_free_run(struct zone *zone, struct oldest *at)
{
	struct buddy_run run;
	uint32_t before;

	(void)oldest_run(zone->machine->pages, at, UINT32_MAX, &run, &before);
	at->pfn = before;
	at->left -= run.nr;
	buddy_merge_run(zone, &run);
}

static ALWAYS_INLINE bool oldest_is_run(const struct page *pages, const struct oldest *at)
{
	struct buddy_run run;
	uint32_t before = pages[at->pfn].prev;

	return oldest_beside(at->pfn, before, at->order) &&
	       oldest_run(pages, at, RUN_MIN, &run, &before);
}

/* The two ends of a list that is being added to. */
struct ends {
	uint32_t at[2];
};

/* A block joins a list at one of its ends. The caller counts it. */
static ALWAYS_INLINE void ends_link(const struct rise *rise, struct ends *ends, uint32_t pfn,
				    uint64_t head, uint32_t end)
{
	struct page *page = page_at(rise->pages, page_offset(pfn));
	uint32_t old = ends->at[end];

	ends->at[end] = pfn;
	flags_write(page, head);
	page_set_identity(page, page_order_of(head), rise->type);
	page->links = (uint64_t)old << (32 * end);
	if (likely(old != PFN_NONE)) {
		page_at(rise->pages, page_offset(old))->link[end ^ 1] = pfn;
	} else {
		ends->at[end ^ 1] = pfn;
		nonempty_write(rise->zone, rise->type,
			       nonempty_read(rise->zone, rise->type) | 1u << page_order_of(head));
	}
}

/* A block merges: what that will touch. */
static ALWAYS_INLINE void oldest_ask(const struct page *pages, uint32_t pfn, uint32_t order)
{
	const struct page *buddy = &pages[pfn ^ (1u << order)];

	__builtin_prefetch(&pages[buddy->next], 1);
	__builtin_prefetch(&pages[buddy->prev], 1);
	__builtin_prefetch(&pages[(pfn & ~(1u << order)) ^ (2u << order)], 1);
}

/*
 * The next blocks of one type, at least one: those that stay are linked, the others begin their way
 * up. From one block to the next it is a look into a cache that is not the nearest: what is to be
 * done with a block is done meanwhile.
 */
static ALWAYS_INLINE void oldest_begin(struct rise *rise, struct oldest *at, uint32_t order)
{
	struct zone *const zone = rise->zone;
	const struct page *const pages = rise->pages;
	uint64_t *const pairs = zone->machine->pairs;
	const uint64_t head = block_head_flags(zone, order);
	const uint32_t most = min_u32(at->left, RISE_MAX);
	const uint64_t flags = page_flags(&pages[at->pfn]);
	const uint32_t type = (uint32_t)(flags >> PAGE_TYPE_SHIFT) & 0x7;
	struct list *list = &zone->area[order].list[type];
	struct ends ends = { { list->first, list->last } };
	uint32_t pfn = at->pfn;
	struct newest *newest = &zone->newest[type < NR_PCP_TYPES ? type : 0];
	uint32_t at_newest = newest->nr;
	uint32_t nr_up = 0;
	uint32_t nr = 0;

	rise->type = type;
	do {
		uint32_t before = page_at(pages, page_offset(pfn))->prev;
		uint64_t *word = &pairs[pfn >> PAIRS_SHIFT];
		uint32_t here = pair_bit(pfn, order);
		uint32_t above = pair_bit(pfn, order + 1);
		uint64_t odd = *word ^ (uint64_t)1 << here;
		uint32_t next = odd >> above & 1;

		if (likely((odd >> here & 1) != 0)) {
			*word = odd;
			ends_link(rise, &ends, pfn, head, next);
			if (order == 0) {
				newest->pfn[at_newest % NEWEST_FRAMES] = pfn;
				at_newest += next ^ 1;
			}
		} else {
			*word = odd ^ (uint64_t)1 << above;
			rise->up[nr_up++] = pfn << 1 | next;
			oldest_ask(pages, pfn, order);
		}
		pfn = before;
		nr++;
	} while (nr < most && pfn != PFN_NONE && page_flags(&pages[pfn]) == flags);
	newest->nr = at_newest;
	*list = (struct list){ ends.at[0], ends.at[1] };
	racy_add(zone->area[order].nr_free, (uint64_t)(nr - nr_up));
	rise->nr = nr_up;
	at->pfn = pfn;
	at->left -= nr;
}

static ALWAYS_INLINE void oldest_free(struct zone *zone, struct oldest *at, uint32_t order)
{
	struct rise rise;

	rise.zone = zone;
	rise.pages = zone->machine->pages;
	while (at->left > 0 && at->pfn != PFN_NONE) {
		if (unlikely(oldest_is_run(rise.pages, at))) {
			oldest_free_run(zone, at);
			continue;
		}
		oldest_begin(&rise, at, order);
		if (rise.nr != 0)
			rise_leave(&rise, order);
	}
}

/* One by one: of large orders, and in zones that share pairs. */
static NOINLINE void oldest_free_singles(struct zone *zone, struct oldest *at)
{
	const struct page *pages = zone->machine->pages;

	while (at->left > 0 && at->pfn != PFN_NONE) {
		uint32_t before = pages[at->pfn].prev;

		if (unlikely(oldest_is_run(pages, at))) {
			oldest_free_run(zone, at);
			continue;
		}
		buddy_merge(zone, at->pfn, at->order, pcp_page_type(&pages[at->pfn]));
		at->left--;
		at->pfn = before;
	}
}

uint32_t buddy_free_oldest(struct task *t, struct zone *zone, struct list *list, uint32_t order,
			   uint32_t most)
{
	struct page *pages = zone->machine->pages;
	struct oldest at = { .pfn = list->last, .left = most, .order = order };

	spin_assert_held(t, LOCK_ZONE);
	DCHECK(t->capture == NULL && zone->nr_isolated_blocks == 0 && zone->cma == 0);
	/* Single pages are most of what is freed: theirs is a loop with fixed distances. */
	if (likely(order == 0 && !zone->shares_pairs))
		oldest_free(zone, &at, 0);
	else if (order < RISE_TOP && !zone->shares_pairs)
		oldest_free(zone, &at, order);
	oldest_free_singles(zone, &at);
	list->last = at.pfn;
	if (at.pfn != PFN_NONE)
		pages[at.pfn].next = PFN_NONE;
	else
		list->first = PFN_NONE;
	zone_stat_add_each(t, zone, NR_FREE_PAGES, (int64_t)1 << order, most - at.left);
	return most - at.left;
}

/* ---- frames in an array ---- */

/* Frames beside each other, from the first one on. => how many */
static uint32_t frames_run(const uint32_t *pfn, uint32_t nr)
{
	uint32_t step = pfn[1] - pfn[0];
	uint32_t run = 2;

	while (run < nr && pfn[run] - pfn[run - 1] == step)
		run++;
	return run;
}

/* => how many, if they are a run, else 0 */
static ALWAYS_INLINE uint32_t frames_are_run(const uint32_t *pfn, uint32_t nr)
{
	if (likely(nr < RUN_MIN || !oldest_beside(pfn[0], pfn[1], 0)))
		return 0;
	uint32_t run = frames_run(pfn, nr);

	return run >= RUN_MIN ? run : 0;
}

static NOINLINE void frames_free_run(struct zone *zone, const struct buddy_frames *frames)
{
	const struct buddy_run run = {
		.first = min_u32(frames->pfn[0], frames->pfn[frames->nr - 1]),
		.nr = frames->nr,
		.type = frames->type,
		.descending = frames->pfn[1] < frames->pfn[0],
	};

	buddy_merge_run(zone, &run);
}

static NOINLINE void frames_free_singles(struct zone *zone, const struct buddy_frames *frames)
{
	for (uint32_t i = 0; i < frames->nr; i++)
		buddy_merge(zone, frames->pfn[i], 0, frames->type);
}

void buddy_free_frames(struct task *t, struct zone *zone, const struct buddy_frames *frames)
{
	struct buddy_frames part = *frames;
	uint32_t left = frames->nr;
	struct rise rise;

	spin_assert_held(t, LOCK_ZONE);
	DCHECK(t->capture == NULL && zone->nr_isolated_blocks == 0 && zone->cma == 0);
	rise.zone = zone;
	rise.pages = zone->machine->pages;
	rise.type = frames->type;
	for (; left > 0; left -= part.nr, part.pfn += part.nr) {
		uint32_t run = frames_are_run(part.pfn, left);

		part.nr = run != 0 ? run : min_u32(left, RISE_MAX);
		if (unlikely(run != 0)) {
			frames_free_run(zone, &part);
		} else if (unlikely(part.nr < RISE_MIN || zone->shares_pairs)) {
			frames_free_singles(zone, &part);
		} else {
			rise_begin(&rise, part.pfn, part.nr, 0);
			rise_free(&rise, 0);
		}
	}
	zone_stat_add_each(t, zone, NR_FREE_PAGES, 1, frames->nr);
}
