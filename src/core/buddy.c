/*
 * buddy.c: the free lists of a zone.
 *
 *   zone.area[order].list[type] -> head <-> head <-> head      one list per order and type
 *   zone.area[order].nr_free       blocks of the order, all types
 *   zone.nonempty[type]            bit per order: which lists have blocks
 *
 *   order 1, at pfn 6:  [6: PG_BUDDY, owner 1, index type][7: no flag, anything]
 *
 * A block of order o starts at a multiple of 2^o; its buddy is the block at
 * pfn XOR 2^o. Only the head frame of a free block says that it is free. A frame
 * inside a block has no PG_BUDDY, whatever else its descriptor holds.
 *
 * Positions on the lists matter: they decide which frame the next request gets,
 * and they are Linux's. Taking is from the head; the upper halves of a split go to
 * the head; a freed block goes to the head, too, except that one whose merge
 * partner is likely to become free soon goes to the tail, where it has time to wait.
 *
 * What must never happen (the numbers are quoted in buddy_verify):
 *   1. a block outside its zone's span, not aligned, or with another place or order
 *      than its list's
 *   2. a link that does not lead back
 *   3. nr_free or nonempty other than the lists say
 *   4. two free buddies of one order below 9 (whole pageblocks may stay apart: their
 *      types can forbid the merge, and change later)
 *   5. a pair's bit (core/buddy_link.h) other than its buddies say
 *
 * A block's list need not be its pageblock's type: single blocks are moved.
 *
 * Linux: __free_one_page(), expand(), __rmqueue() of mm/page_alloc.c, 6.1. Free
 * page reporting is not there.
 */
#include "core/buddy_link.h"
#include "core/compact.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/vmstat.h"

/* Blocks of reserved and isolated pageblocks stay within their pageblock. */
static NOINLINE bool buddy_may_merge(const struct neap_machine *m, uint32_t buddy, uint32_t type)
{
	uint32_t buddy_type = pageblock_type(m, buddy);

	return type == buddy_type ||
	       (pageblock_type_mergeable(type) && pageblock_type_mergeable(buddy_type));
}

void buddy_merge_large(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	for (; order < NEAP_MAX_ORDER; order++) {
		uint32_t buddy = pfn ^ (1u << order);

		if (!buddy_is_free(zone, buddy, order) ||
		    !buddy_may_merge(zone->machine, buddy, type & ~BUDDY_TO_TAIL))
			break;
		buddy_unlink(zone, buddy, order);
		pfn &= buddy;
	}
	buddy_link(zone, pfn, order, type);
}

_Static_assert(NEAP_PAGEBLOCK_ORDER + 1 == NEAP_MAX_ORDER, "pageblocks do not ask who is next");

void buddy_merge_looking(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	for (; order < NEAP_PAGEBLOCK_ORDER; order++) {
		uint32_t buddy = pfn ^ (1u << order);

		if (!buddy_is_free(zone, buddy, order)) {
			uint32_t above = (pfn & buddy) ^ (2u << order);

			buddy_link(zone, pfn, order,
				   buddy_is_free(zone, above, order + 1) ? type | BUDDY_TO_TAIL
									 : type);
			return;
		}
		buddy_unlink(zone, buddy, order);
		pfn &= buddy;
	}
	buddy_merge_large(zone, pfn, order, type);
}

/* The same while a run of the task wants to capture a block: it may take any but the largest. */
static NOINLINE void buddy_merge_capture(struct task *t, struct zone *zone, uint32_t pfn,
					 uint32_t order, uint32_t type)
{
	uint32_t list_type = type & ~BUDDY_TO_TAIL;

	while (order < NEAP_MAX_ORDER) {
		uint32_t buddy = pfn ^ (1u << order);

		if (compact_capture_block(t, zone, pfn, order, list_type)) {
			zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << order));
			return;
		}
		if (!buddy_is_free(zone, buddy, order) ||
		    (order >= NEAP_PAGEBLOCK_ORDER &&
		     !buddy_may_merge(zone->machine, buddy, list_type)))
			break;
		buddy_unlink(zone, buddy, order);
		pfn &= buddy;
		order++;
	}
	buddy_merge(zone, pfn, order, type);
}

void buddy_free(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	spin_assert_held(t, LOCK_ZONE);
	if ((type & ~BUDDY_TO_TAIL) != MT_ISOLATE)
		zone_stat_add(t, zone, NR_FREE_PAGES, (int64_t)1 << order);
	if (unlikely((type & ~BUDDY_TO_TAIL) == MT_CMA))
		zone_stat_add(t, zone, NR_FREE_CMA, (int64_t)1 << order);
	if (likely(t->capture == NULL))
		buddy_merge(zone, pfn, order, type);
	else
		buddy_merge_capture(t, zone, pfn, order, type);
}

/* ---- taking ---- */

/*
 * The upper parts of a block of order `found`, whose first `used` frames are taken. The type has no
 * smaller blocks of these orders, so each part is alone on its list.
 */
static ALWAYS_INLINE void buddy_link_rest(struct zone *zone, const struct buddy_run *run,
					  uint32_t used, uint32_t found)
{
	struct page *pages = zone->machine->pages;
	uint32_t end = 1u << found;
	uint32_t orders = 0;

	for (uint32_t at = used; at < end;) {
		uint32_t order = (uint32_t)__builtin_ctz(at);
		uint32_t pfn = run->first + at;
		struct free_area *area = &zone->area[order];
		struct page *page = &pages[pfn];

		DCHECK(list_empty(&area->list[run->type]));
		page_set_identity(page, order, run->type);
		page_set_links(page, PFN_NONE, PFN_NONE);
		flags_write(page, block_head_flags(zone, order));
		area->list[run->type] = (struct list){ pfn, pfn };
		racy_add(area->nr_free, 1);
		pair_toggle(zone, pfn, order);
		orders |= 1u << order;
		at += 1u << order;
	}
	if (orders != 0)
		nonempty_write(zone, run->type, nonempty_read(zone, run->type) | orders);
}

uint32_t buddy_take_smallest(struct task *t, struct zone *zone, uint32_t order, uint32_t type)
{
	struct buddy_run run = { .nr = 1, .order = order, .type = type };

	return buddy_take_run(t, zone, &run) != 0 ? run.first : PFN_NONE;
}

/*
 * The lists below the smallest sufficient block are empty, so the splits that single requests would
 * have made leave exactly one block for each bit of what remains.
 */
uint32_t buddy_take_run(struct task *t, struct zone *zone, struct buddy_run *run)
{
	uint32_t orders = nonempty_read(zone, run->type) >> run->order;

	spin_assert_held(t, LOCK_ZONE);
	if (orders == 0)
		return 0;
	uint32_t found = run->order + (uint32_t)__builtin_ctz(orders);
	uint32_t nr = min_u32(run->nr, 1u << (found - run->order));

	run->first = zone->area[found].list[run->type].first;
	buddy_unlink(zone, run->first, found);
	buddy_link_rest(zone, run, nr << run->order, found);
	return nr;
}

/* The first blocks of the list of exactly this order. => how many; the list has at least one */
static ALWAYS_INLINE uint32_t take_whole(struct zone *zone, struct pcp_list *to,
					 const struct buddy_run *want, uint32_t order)
{
	struct page *const pages = zone->machine->pages;
	struct free_area *area = &zone->area[order];
	struct list *from = &area->list[want->type];
	const uint64_t flags = pcp_page_flags(zone, order, want->type);
	uint32_t *at = to->first;
	uint32_t *const last = at - want->nr;
	uint32_t pfn = from->first;

	do {
		struct page *page = &pages[pfn];

		*--at = pfn;
		pair_toggle(zone, pfn, order);
		pfn = page->next;
		flags_write(page, flags);
	} while (at != last && pfn != PFN_NONE);
	uint32_t nr = (uint32_t)(to->first - at);

	to->first = at;
	from->first = pfn;
	if (likely(pfn != PFN_NONE)) {
		pages[pfn].prev = PFN_NONE;
	} else {
		from->last = PFN_NONE;
		nonempty_write(zone, want->type, nonempty_read(zone, want->type) & ~(1u << order));
	}
	racy_add(area->nr_free, (uint64_t)0 - nr);
	return nr;
}

static ALWAYS_INLINE uint32_t buddy_take_whole(struct zone *zone, struct pcp_list *to,
					       const struct buddy_run *want)
{
	/* Single pages are most of what is taken: theirs is a loop with fixed distances. */
	return likely(want->order == 0) ? take_whole(zone, to, want, 0)
					: take_whole(zone, to, want, want->order);
}

/* The first blocks of a larger one. => how many */
static ALWAYS_INLINE uint32_t buddy_take_parts(struct task *t, struct zone *zone,
					       struct pcp_list *to, const struct buddy_run *want)
{
	struct page *pages = zone->machine->pages;
	uint64_t flags = pcp_page_flags(zone, want->order, want->type);
	struct buddy_run run = *want;
	uint32_t nr = buddy_take_run(t, zone, &run);

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t pfn = run.first + (i << want->order);

		flags_write(&pages[pfn], flags);
		*--to->first = pfn;
	}
	return nr;
}

uint32_t buddy_take_list(struct task *t, struct zone *zone, struct pcp_list *to,
			 const struct buddy_run *want)
{
	struct buddy_run left = *want;

	spin_assert_held(t, LOCK_ZONE);
	while (left.nr > 0) {
		uint32_t orders = nonempty_read(zone, want->type) >> want->order;

		if (orders == 0)
			break;
		left.nr -= (orders & 1) != 0 ? buddy_take_whole(zone, to, &left)
					     : buddy_take_parts(t, zone, to, &left);
	}
	return want->nr - left.nr;
}

/* A block of the contiguous memory area, which counts them here. */
static uint32_t take_cma(struct task *t, struct zone *zone, uint32_t order)
{
	uint32_t pfn = buddy_take_smallest(t, zone, order, MT_CMA);

	if (pfn != PFN_NONE)
		zone_stat_add(t, zone, NR_FREE_CMA, -((int64_t)1 << order));
	return pfn;
}

uint32_t buddy_take(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
		    uint32_t alloc_flags)
{
	bool cma = unlikely(zone->cma != 0) && (alloc_flags & ALLOC_CMA) != 0;
	uint32_t pfn = PFN_NONE;

	/* The area is used evenly with the rest, rather than when nothing else is left. */
	if (cma && zone_stat(zone, NR_FREE_CMA) > zone_stat(zone, NR_FREE_PAGES) / 2)
		pfn = take_cma(t, zone, order);
	if (likely(pfn == PFN_NONE))
		pfn = buddy_take_smallest(t, zone, order, type);
	if (pfn == PFN_NONE && cma)
		pfn = take_cma(t, zone, order);
	/* The fallback leaves a sufficient block on the type's own list. */
	if (pfn == PFN_NONE && pageblock_fallback(t, zone, order, type, alloc_flags)) {
		pfn = buddy_take_smallest(t, zone, order, type);
		CHECK(pfn != PFN_NONE);
	}
	return pfn;
}

void buddy_append(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	DCHECK(order <= NEAP_MAX_ORDER && type < NR_TYPES);
	buddy_link(zone, pfn, order, type | BUDDY_TO_TAIL);
}

void buddy_detach(struct task *t, struct zone *zone, uint32_t pfn)
{
	spin_assert_held(t, LOCK_ZONE);
	buddy_unlink(zone, pfn, zone->machine->pages[pfn].owner);
}

void buddy_move(struct task *t, struct zone *zone, uint32_t pfn, uint32_t type)
{
	uint32_t order = zone->machine->pages[pfn].owner;

	spin_assert_held(t, LOCK_ZONE);
	buddy_unlink(zone, pfn, order);
	buddy_link(zone, pfn, order, type | BUDDY_TO_TAIL);
}

/* Invariant 5 of a block. */
static bool pair_knows(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	return order >= NR_PAIR_ORDERS || zone->shares_pairs ||
	       pair_is_odd(zone->machine, pfn, order);
}

/* Pairs of the zone with one free block of the order; some lie in it with one half only. */
static uint64_t pair_count(const struct zone *zone, uint32_t order)
{
	uint32_t end = zone_end(zone);
	uint64_t nr = 0;

	for (uint32_t pfn = zone->start_pfn; pfn < end;) {
		uint32_t last = pfn | ((2u << order) - 1);

		nr += pair_is_odd(zone->machine, pfn, order) &&
		      (zone_has_frame(zone, pfn) || zone_has_frame(zone, last));
		pfn = last + 1;
	}
	return nr;
}

/* Invariants 1, 4 and 5 of one head. */
static const char *buddy_verify_block(const struct zone *zone, uint32_t pfn, uint32_t order,
				      uint32_t type)
{
	const struct page *page = &zone->machine->pages[pfn];

	if (page_flags(page) != block_head_flags(zone, order))
		return "1: a free block's head has other flags than PG_BUDDY, its place and order";
	if (page->owner != order || page->index != type)
		return "1: a free block's head names another order or type than its list";
	if (page_refs(page) != 0 || page_maps(page) != 0)
		return "1: a free block is referenced or mapped";
	if ((pfn & ((1u << order) - 1)) != 0)
		return "1: a free block is not aligned to its order";
	if (pfn + (1u << order) - zone->start_pfn > zone_spanned(zone))
		return "1: a free block reaches beyond its zone";
	if (order < NEAP_PAGEBLOCK_ORDER && buddy_is_free(zone, pfn ^ (1u << order), order))
		return "4: two free buddies were not merged";
	if (!pair_knows(zone, pfn, order))
		return "5: a free block's pair does not know of it";
	return NULL;
}

/* Invariants 1, 2, 4 and 5 of one list. => blocks on it through *nr */
static const char *buddy_verify_list(const struct zone *zone, uint32_t order, uint32_t type,
				     uint64_t *nr)
{
	const struct page *pages = zone->machine->pages;
	const struct list *list = &zone->area[order].list[type];
	uint32_t previous = PFN_NONE;

	*nr = 0;
	for (uint32_t pfn = list->first; pfn != PFN_NONE; pfn = pages[pfn].next) {
		if (pfn - zone->start_pfn >= zone_spanned(zone))
			return "1: a frame outside the zone is on its free list";
		const char *wrong = buddy_verify_block(zone, pfn, order, type);

		if (wrong != NULL)
			return wrong;
		if (pages[pfn].prev != previous)
			return "2: a free list's link does not lead back";
		if (++*nr > zone_spanned(zone) >> order)
			return "2: a free list has a loop";
		previous = pfn;
	}
	return list->last == previous ? NULL : "2: a free list's end is not its last block";
}

const char *buddy_verify(const struct zone *zone)
{
	uint32_t orders[NR_TYPES] = { 0 };

	for (uint32_t order = 0; order < NR_ORDERS; order++) {
		uint64_t nr_free = 0;

		for (uint32_t type = 0; type < NR_TYPES; type++) {
			uint64_t nr;
			const char *wrong = buddy_verify_list(zone, order, type, &nr);

			if (wrong != NULL)
				return wrong;
			nr_free += nr;
			orders[type] |= nr != 0 ? 1u << order : 0;
		}
		if (nr_free != zone->area[order].nr_free)
			return "3: nr_free is not the number of blocks on the lists";
		if (order < NR_PAIR_ORDERS && !zone->shares_pairs &&
		    nr_free != pair_count(zone, order))
			return "5: a pair knows of a block that is not free";
	}
	for (uint32_t type = 0; type < NR_TYPES; type++)
		if (orders[type] != nonempty_read(zone, type))
			return "3: nonempty does not say which lists have blocks";
	return NULL;
}

uint64_t buddy_count_type(const struct zone *zone, uint32_t type)
{
	const struct page *pages = zone->machine->pages;
	uint64_t free_pages = 0;

	for (uint32_t order = 0; order < NR_ORDERS; order++)
		for (uint32_t pfn = zone->area[order].list[type].first; pfn != PFN_NONE;
		     pfn = pages[pfn].next)
			free_pages += (uint64_t)1 << order;
	return free_pages;
}

uint64_t buddy_count_free(const struct zone *zone)
{
	const struct page *pages = zone->machine->pages;
	uint64_t free_pages = 0;

	for (uint32_t order = 0; order < NR_ORDERS; order++) {
		free_pages += zone->area[order].nr_free << order;
		const struct list *isolated = &zone->area[order].list[MT_ISOLATE];

		for (uint32_t pfn = isolated->first; pfn != PFN_NONE; pfn = pages[pfn].next)
			free_pages -= (uint64_t)1 << order;
	}
	return free_pages;
}
