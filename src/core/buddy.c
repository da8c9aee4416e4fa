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
 *
 * A block's list need not be its pageblock's type: single blocks are moved.
 *
 * Linux: __free_one_page(), expand(), __rmqueue() of mm/page_alloc.c, 6.1. Free
 * page reporting is not there.
 */
#include "core/buddy.h"

#include "core/compact.h"
#include "core/pageblock.h"
#include "core/racy.h"
#include "core/vmstat.h"

#define HEAD_MASK (PG_BUDDY | PAGE_PLACE_MASK)

static uint64_t zone_head_flags(const struct zone *zone)
{
	return PG_BUDDY | page_place(zone->node, zone->type);
}

/* All flags of a free block's head; with the order, for those who look without the lock. */
static uint64_t block_head_flags(const struct zone *zone, uint32_t order)
{
	return zone_head_flags(zone) | (uint64_t)order << PAGE_ORDER_SHIFT;
}

static void nonempty_write(struct zone *zone, uint32_t type, uint32_t orders)
{
	atomic_store_explicit(&zone->nonempty[type], (uint16_t)orders, memory_order_relaxed);
}

static uint32_t nonempty_read(const struct zone *zone, uint32_t type)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return atomic_load_explicit(&z->nonempty[type], memory_order_relaxed);
}

/* type: with BUDDY_TO_TAIL, else at the head. */
static ALWAYS_INLINE void buddy_link(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	struct page *pages = zone->machine->pages;
	uint32_t list_type = type & ~BUDDY_TO_TAIL;
	struct free_area *area = &zone->area[order];
	struct list *list = &area->list[list_type];

	pages[pfn].owner = order;
	pages[pfn].index = list_type;
	atomic_store_explicit(&pages[pfn].flags, block_head_flags(zone, order),
			      memory_order_relaxed);
	if (list_empty(list))
		nonempty_write(zone, list_type, nonempty_read(zone, list_type) | (1u << order));
	if (type & BUDDY_TO_TAIL)
		list_add_tail(pages, list, pfn);
	else
		list_add_head(pages, list, pfn);
	racy_add(area->nr_free, 1);
}

/* The frame is an ordinary inside frame afterwards. */
static ALWAYS_INLINE void buddy_unlink(struct zone *zone, uint32_t pfn, uint32_t order)
{
	struct page *pages = zone->machine->pages;
	uint32_t type = pages[pfn].index;
	struct free_area *area = &zone->area[order];
	struct list *list = &area->list[type];

	DCHECK(page_test(&pages[pfn], PG_BUDDY) && pages[pfn].owner == order);
	DCHECK(area->nr_free > 0);
	list_remove(pages, list, pfn);
	if (list_empty(list))
		nonempty_write(zone, type, nonempty_read(zone, type) & ~(1u << order));
	racy_add(area->nr_free, UINT64_MAX);
	atomic_store_explicit(&pages[pfn].flags, 0, memory_order_relaxed);
}

/*
 * Is there a free block of exactly this order at pfn, in this zone? The place is compared before
 * the order is read: a frame of another zone is guarded by another lock.
 */
static ALWAYS_INLINE bool buddy_is_free(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	const struct page *page = &zone->machine->pages[pfn];

	if (pfn - zone->start_pfn >= zone_spanned(zone))
		return false;
	return (page_flags(page) & HEAD_MASK) == zone_head_flags(zone) && page->owner == order;
}

/* Blocks of reserved and isolated pageblocks stay within their pageblock. */
static bool buddy_may_merge(const struct neap_machine *m, uint32_t buddy, uint32_t order,
			    uint32_t type)
{
	if (order < NEAP_PAGEBLOCK_ORDER)
		return true;
	uint32_t buddy_type = pageblock_type(m, buddy);

	return type == buddy_type ||
	       (pageblock_type_mergeable(type) && pageblock_type_mergeable(buddy_type));
}

/*
 * Would the block complete a larger merge if only the buddy it just missed were free as well? Then
 * it is worth keeping it out of use for a while.
 */
static bool buddy_merge_likely(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	if (order >= NEAP_MAX_ORDER - 1)
		return false;
	uint32_t parent = pfn & ~(1u << order);

	return buddy_is_free(zone, parent ^ (2u << order), order + 1);
}

/* Merges a block, counted already, with its free buddies, and links what comes of it. */
static ALWAYS_INLINE void buddy_merge(struct task *t, struct zone *zone, uint32_t pfn,
				      uint32_t order, uint32_t type)
{
	uint32_t list_type = type & ~BUDDY_TO_TAIL;

	DCHECK(order <= NEAP_MAX_ORDER && list_type < NR_TYPES);
	DCHECK((pfn & ((1u << order) - 1)) == 0);
	DCHECK(pfn >= zone->start_pfn &&
	       pfn + (1u << order) - zone->start_pfn <= zone_spanned(zone));
	while (order < NEAP_MAX_ORDER) {
		uint32_t buddy = pfn ^ (1u << order);

		if (unlikely(t->capture != NULL) &&
		    compact_capture_block(t, zone, pfn, order, list_type)) {
			zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << order));
			return;
		}

		if (!buddy_is_free(zone, buddy, order) ||
		    !buddy_may_merge(zone->machine, buddy, order, list_type))
			break;
		buddy_unlink(zone, buddy, order);
		pfn &= buddy;
		order++;
	}
	if (buddy_merge_likely(zone, pfn, order))
		type |= BUDDY_TO_TAIL;
	buddy_link(zone, pfn, order, type);
}

void buddy_free(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	spin_assert_held(t, LOCK_ZONE);
	if ((type & ~BUDDY_TO_TAIL) != MT_ISOLATE)
		zone_stat_add(t, zone, NR_FREE_PAGES, (int64_t)1 << order);
	if (unlikely((type & ~BUDDY_TO_TAIL) == MT_CMA))
		zone_stat_add(t, zone, NR_FREE_CMA, (int64_t)1 << order);
	buddy_merge(t, zone, pfn, order, type);
}

/*
 * Until a block of a higher order inside the run is complete, its parts have no buddies outside: so
 * the largest aligned blocks can be freed at once, in the order in which they would become
 * complete, and leave what the single blocks would have left. Whole pageblocks stay apart, as
 * there.
 */
void buddy_free_run(struct task *t, struct zone *zone, const struct buddy_run *run)
{
	uint32_t first = run->first;
	uint32_t end = first + (run->nr << run->order);

	spin_assert_held(t, LOCK_ZONE);
	DCHECK(t->capture == NULL && run->type < NR_TYPES && run->type != MT_ISOLATE);
	zone_stat_add_each(t, zone, NR_FREE_PAGES, (int64_t)1 << run->order, run->nr);
	if (unlikely(run->type == MT_CMA))
		zone_stat_add(t, zone, NR_FREE_CMA, (int64_t)run->nr << run->order);
	while (first < end) {
		uint32_t at = run->descending ? end : first;
		uint32_t order = min_u32((uint32_t)__builtin_ctz(at), fls_u64(end - first) - 1);

		order = min_u32(order, NEAP_PAGEBLOCK_ORDER);
		if (run->descending)
			end -= 1u << order;
		else
			first += 1u << order;
		buddy_merge(t, zone, run->descending ? end : at, order, run->type);
	}
}

uint32_t buddy_take_smallest(struct task *t, struct zone *zone, uint32_t order, uint32_t type)
{
	uint32_t orders = nonempty_read(zone, type) >> order;

	spin_assert_held(t, LOCK_ZONE);
	if (orders == 0)
		return PFN_NONE;
	uint32_t found = order + (uint32_t)__builtin_ctz(orders);
	uint32_t pfn = zone->area[found].list[type].first;

	buddy_unlink(zone, pfn, found);
	while (found > order) {
		found--;
		buddy_link(zone, pfn + (1u << found), found, type);
	}
	return pfn;
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
	uint32_t pfn = zone->area[found].list[run->type].first;
	uint32_t nr = min_u32(run->nr, 1u << (found - run->order));
	uint32_t end = pfn + (1u << found);

	buddy_unlink(zone, pfn, found);
	for (uint32_t at = pfn + (nr << run->order); at < end;) {
		uint32_t order = (uint32_t)__builtin_ctz(at - pfn);

		buddy_link(zone, at, order, run->type);
		at += 1u << order;
	}
	run->first = pfn;
	return nr;
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

/* Invariants 1 and 4 of one head. */
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
	return NULL;
}

/* Invariants 1, 2 and 4 of one list. => blocks on it through *nr */
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
