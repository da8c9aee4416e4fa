/*
 * buddy_oldest.c: many blocks of a per-CPU list go back to the free lists.
 *
 *   frames[]   a b c d ...        the oldest first, of one order and type
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
 * can be taken through one order before any of them is taken through the next one.
 *
 * Of what was freed among requests hardly anything merges: as long as that is so, blocks are linked
 * as they come, and only those that merge are collected. When several have merged, the rest of the
 * blocks are parted without a branch: whether a buddy is free nobody can foretell while a CPU frees
 * in bulk, and a branch would be wrong for every second block.
 *
 * Then the lists of the order: first those that stay are linked, then the buddies of those that
 * merge leave, their neighbours having been asked for meanwhile. A list is what it would have been
 * block by block: a block that leaves does not change the order of the others, whenever it does.
 *
 * Few blocks, and those above order 5, where hardly any come, go their way one after the other.
 *
 * Blocks that lie beside each other in the array and in memory are freed as a run, by few large
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

#include <string.h>

#define RISE_MAX FREED_AT_ONCE /* blocks taken up together: their descriptors fit a near cache */
#define NEWEST_KEPT (NEWEST_FRAMES / 2)
#define RISE_FEW 3u /* so many merge before they are parted from the others without a branch */
#define RISE_TOP (NR_WORD_ORDERS - 1)
#define RUN_MIN 8u /* fewer beside each other are no run */

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
 * A block of an order comes free, after others of which so many stay and merge. A merged one is a
 * free block of the next order now, and knows whether it merges there, too; for another one the
 * same answer is the end of the list. => 1 if it merges, else 0
 */
static ALWAYS_INLINE uint32_t rise_add(struct rise *rise, uint32_t pfn, uint32_t order,
				       uint32_t nr_stay, uint32_t nr_up)
{
	uint64_t *word = &rise->zone->machine->pairs[pfn >> PAIRS_SHIFT];
	uint32_t here = pair_bit(pfn, order);
	uint32_t above = pair_bit(pfn, order + 1);
	uint64_t odd = *word;
	uint32_t merges = odd >> here & 1;
	uint32_t next = odd >> above & 1;

	*word = odd ^ (uint64_t)1 << here ^ (uint64_t)merges << above;
	rise->stay[nr_stay] = pfn << 1 | next;
	rise->up[nr_up] = pfn << 1 | next;
	return merges;
}

/*
 * Blocks of an order and type come free: parts those that merge, which join up[], from those that
 * stay.
 */
static ALWAYS_INLINE void rise_begin(struct rise *rise, const uint32_t *frame, uint32_t nr,
				     uint32_t order)
{
	uint32_t nr_up = rise->nr;
	uint32_t nr_stay = 0;

	for (uint32_t i = 0; i < nr; i++) {
		__builtin_prefetch(&rise->pages[frame[i]], 1);
		uint32_t merges = rise_add(rise, frame[i], order, nr_stay, nr_up);

		nr_up += merges;
		nr_stay += merges ^ 1;
	}
	rise->nr = nr_up;
	rise->nr_stay = nr_stay;
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

/* Few blocks, one after the other: their pairs know of them already. */
static ALWAYS_INLINE void rise_few(const struct rise *rise, uint32_t order)
{
	struct zone *zone = rise->zone;
	struct page *pages = rise->pages;
	struct free_area *area = &zone->area[order];

	for (uint32_t i = 0; i < rise->nr; i++) {
		uint32_t pfn = rise_head(rise->up[i], order);
		uint32_t above = pfn & ~(1u << order);

		if (rise->up[i] & 1) {
			area_unlink(zone, area, pages, &pages[pfn ^ (1u << order)]);
			buddy_merge(zone, above, order + 1, rise->type);
		} else {
			const struct place place = {
				.area = area,
				.type = rise->type,
				.end = pair_is_odd(zone->machine, above, order + 1),
			};

			place_link(zone, pages, page_offset(pfn), block_head_flags(zone, order),
				   place);
		}
	}
}

/* The merged blocks go on at the next order. */
static NOINLINE void rise_above(struct rise *rise, uint32_t order)
{
	for (; order < RISE_TOP && rise->nr > RISE_FEW; order++) {
		rise_part(rise, order);
		rise_lists(rise, order);
	}
	rise_few(rise, order);
}

/* ---- what comes off a per-CPU list ---- */

/* Does the next block lie beside this one? */
static ALWAYS_INLINE bool frames_beside(uint32_t pfn, uint32_t next, uint32_t order)
{
	return ((next - pfn + (1u << order)) & ~(2u << order)) == 0;
}

/* Blocks beside each other, from the first one on. => how many */
static NOINLINE uint32_t frames_run(const uint32_t *pfn, uint32_t nr)
{
	uint32_t step = pfn[1] - pfn[0];
	uint32_t run = 2;

	while (run < nr && pfn[run] - pfn[run - 1] == step)
		run++;
	return run;
}

/* => how many, if they are a run, else 0 */
static ALWAYS_INLINE uint32_t frames_are_run(const struct buddy_frames *frames)
{
	if (likely(frames->nr < RUN_MIN ||
		   !frames_beside(frames->pfn[0], frames->pfn[1], frames->order)))
		return 0;
	uint32_t run = frames_run(frames->pfn, frames->nr);

	return run >= RUN_MIN ? run : 0;
}

static NOINLINE void frames_free_run(struct zone *zone, const struct buddy_frames *frames,
				     uint32_t nr)
{
	const uint32_t *pfn = frames->pfn;
	const struct buddy_run run = {
		.first = min_u32(pfn[0], pfn[nr - 1]),
		.nr = nr,
		.order = frames->order,
		.type = frames->type,
		.descending = pfn[1] < pfn[0],
	};

	buddy_merge_run(zone, &run);
}

/* What was noted up to `end`: the older half of too many is forgotten. */
static ALWAYS_INLINE void newest_end(struct newest *newest, const uint32_t *end)
{
	newest->nr = (uint32_t)(end - newest->pfn);
	if (unlikely(newest->nr > NEWEST_FRAMES)) {
		memcpy(newest->pfn, end - NEWEST_KEPT, NEWEST_KEPT * sizeof(*end));
		newest->nr = NEWEST_KEPT;
	}
}

/*
 * Blocks, until some of them have merged: those that stay are linked, the others begin their way
 * up. The list has a block. => how many
 */
static ALWAYS_INLINE uint32_t frames_begin(struct rise *rise, const uint32_t *frame, uint32_t most,
					   uint32_t order)
{
	struct zone *const zone = rise->zone;
	struct page *const pages = rise->pages;
	uint64_t *const pairs = zone->machine->pairs;
	const uint32_t type = rise->type;
	const uint64_t head = block_head_flags(zone, order);
	const uint64_t identity = page_identity(order, type);
	struct list *list = &zone->area[order].list[type];
	struct newest *newest = &zone->newest[type];
	uint32_t *newest_at = &newest->pfn[newest->nr];
	uint32_t end[2] = { list->first, list->last };
	uint32_t nr_up = 0;
	uint32_t nr = 0;

	while (nr < most) {
		uint32_t pfn = frame[nr];
		struct page *page = &pages[pfn];
		uint64_t *word = &pairs[pfn >> PAIRS_SHIFT];
		uint32_t here = pair_bit(pfn, order);
		uint32_t above = pair_bit(pfn, order + 1);
		uint64_t odd = *word ^ (uint64_t)1 << here;
		uint32_t next = odd >> above & 1;

		nr++;
		if (likely((odd >> here & 1) != 0)) {
			uint32_t old = end[next];

			*word = odd;
			end[next] = pfn;
			flags_write(page, head);
			page->identity = identity;
			page->link[next] = old;
			pages[old].link[next ^ 1] = pfn;
			if (order == 0) {
				*newest_at = pfn;
				newest_at += next ^ 1;
			}
		} else {
			*word = odd ^ (uint64_t)1 << above;
			rise->up[nr_up++] = pfn << 1 | next;
			__builtin_prefetch(&pages[pfn ^ (1u << order)], 1);
			if (nr_up > RISE_FEW)
				break;
		}
	}
	if (order == 0)
		newest_end(newest, newest_at);
	*list = (struct list){ end[0], end[1] };
	pages[end[0]].prev = PFN_NONE;
	pages[end[1]].next = PFN_NONE;
	racy_add(zone->area[order].nr_free, (uint64_t)(nr - nr_up));
	rise->nr = nr_up;
	return nr;
}

/* Blocks of one type that are no run. */
static ALWAYS_INLINE void frames_free_some(struct rise *rise, const uint32_t *frame, uint32_t nr,
					   uint32_t order)
{
	uint32_t begun = 0;

	rise->nr = rise->nr_stay = 0;
	if (likely(!list_empty(&rise->zone->area[order].list[rise->type])))
		begun = frames_begin(rise, frame, nr, order);
	if (begun != nr)
		rise_begin(rise, &frame[begun], nr - begun, order);
	if (rise->nr != 0 || rise->nr_stay != 0) {
		rise_lists(rise, order);
		rise_above(rise, order + 1);
	}
}

static ALWAYS_INLINE void frames_free(struct zone *zone, const struct buddy_frames *frames,
				      uint32_t order)
{
	struct buddy_frames left = *frames;
	struct rise rise;

	rise.zone = zone;
	rise.pages = zone->machine->pages;
	rise.type = frames->type;
	while (left.nr > 0) {
		uint32_t nr = frames_are_run(&left);

		if (unlikely(nr != 0)) {
			frames_free_run(zone, &left, nr);
		} else {
			nr = min_u32(left.nr, RISE_MAX);
			frames_free_some(&rise, left.pfn, nr, order);
		}
		left.pfn += nr;
		left.nr -= nr;
	}
}

static NOINLINE void frames_free_blocks(struct zone *zone, const struct buddy_frames *frames)
{
	frames_free(zone, frames, frames->order);
}

/*
 * One by one: of large orders, of several types or one without lists of its own, of which no refill
 * wants a hint, and in zones that share pairs.
 */
static NOINLINE void frames_free_singles(struct zone *zone, const struct buddy_frames *frames)
{
	const struct page *pages = zone->machine->pages;

	for (uint32_t i = 0; i < frames->nr; i++) {
		uint32_t pfn = frames->pfn[i];

		buddy_merge(zone, pfn, frames->order, pcp_page_type(&pages[pfn]));
	}
}

void buddy_free_frames(struct task *t, struct zone *zone, const struct buddy_frames *frames)
{
	spin_assert_held(t, LOCK_ZONE);
	DCHECK(t->capture == NULL && zone->nr_isolated_blocks == 0 && zone->cma == 0);
	/* Single pages are most of what is freed: theirs is a loop with fixed distances. */
	if (unlikely(zone->shares_pairs || frames->order >= RISE_TOP ||
		     frames->type >= NR_PCP_TYPES))
		frames_free_singles(zone, frames);
	else if (likely(frames->order == 0))
		frames_free(zone, frames, 0);
	else
		frames_free_blocks(zone, frames);
}
