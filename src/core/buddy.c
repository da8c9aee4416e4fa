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
#include "core/pcp.h"
#include "core/racy.h"
#include "core/vmstat.h"

#define FREE_AHEAD 16u /* blocks: what freeing touches is asked for so long before */
#define ORDER_ONE ((uint64_t)1 << PAGE_ORDER_SHIFT)

/* All flags of a free block's head, with the order: one comparison tells a buddy. */
static ALWAYS_INLINE uint64_t block_head_flags(const struct zone *zone, uint32_t order)
{
	return PG_BUDDY | zone->place | (uint64_t)order << PAGE_ORDER_SHIFT;
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

/* The flags of a frame that may be anybody's: what is compared is one word. */
static ALWAYS_INLINE uint64_t flags_relaxed(const struct page *page)
{
	return atomic_load_explicit(&((struct page *)(uintptr_t)page)->flags, memory_order_relaxed);
}

static ALWAYS_INLINE void flags_write(struct page *page, uint64_t flags)
{
	atomic_store_explicit(&page->flags, flags, memory_order_relaxed);
}

/*
 * Where a frame's descriptor is in the table of descriptors, in bytes. Buddies differ in one bit of
 * it, too, and a walk over orders need not multiply.
 */
static ALWAYS_INLINE size_t page_offset(uint32_t pfn)
{
	return (size_t)pfn * sizeof(struct page);
}

static ALWAYS_INLINE struct page *page_at(const struct page *pages, size_t offset)
{
	return (struct page *)((uintptr_t)pages + offset);
}

/*
 * Where a block is linked. Which end it is nobody can foretell, so that it is an index and not a
 * branch.
 */
struct place {
	struct free_area *area; /* the order's */
	uint32_t type;
	uint32_t end; /* of the list: 0 its head, 1 its tail */
};

/* offset: of the block's descriptor; head: its flags, which tell the order. */
static ALWAYS_INLINE void place_link(struct zone *zone, struct page *pages, size_t offset,
				     uint64_t head, struct place place)
{
	struct page *page = page_at(pages, offset);
	struct list *list = &place.area->list[place.type];
	uint32_t pfn = (uint32_t)(offset / sizeof(struct page));
	uint32_t old = *list_end(list, place.end);

	page_set_identity(page, page_order_of(head), place.type);
	flags_write(page, head);
	page->links = (uint64_t)old << (32 * place.end);
	racy_add(place.area->nr_free, 1);
	*list_end(list, place.end) = pfn;
	if (likely(old != PFN_NONE)) {
		page_at(pages, page_offset(old))->link[place.end ^ 1] = pfn;
	} else {
		*list_end(list, place.end ^ 1) = pfn;
		nonempty_write(zone, place.type,
			       nonempty_read(zone, place.type) | (1u << page_order_of(head)));
	}
}

/* type: with BUDDY_TO_TAIL, else at the head. */
static ALWAYS_INLINE void buddy_link(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	const struct place place = {
		.area = &zone->area[order],
		.type = type & ~BUDDY_TO_TAIL,
		.end = type / BUDDY_TO_TAIL,
	};

	place_link(zone, zone->machine->pages, page_offset(pfn), block_head_flags(zone, order),
		   place);
}

/*
 * A block of which only its order's count and its neighbours know any more. Its own list is found
 * only if it was the first or the last there.
 */
static ALWAYS_INLINE void area_unlink(struct zone *zone, struct free_area *area, struct page *pages,
				      struct page *page)
{
	uint32_t next = page->next;
	uint32_t prev = page->prev;

	DCHECK(flags_relaxed(page) == block_head_flags(zone, page->owner));
	DCHECK(area == &zone->area[page->owner] && area->nr_free > 0);
	if (prev != PFN_NONE)
		pages[prev].next = next;
	else
		area->list[page->index].first = next;
	if (likely(next != PFN_NONE))
		pages[next].prev = prev;
	else
		area->list[page->index].last = prev;
	if (unlikely(next == PFN_NONE && prev == PFN_NONE))
		nonempty_write(zone, page->index,
			       nonempty_read(zone, page->index) & ~(1u << (area - zone->area)));
	racy_add(area->nr_free, UINT64_MAX);
	flags_write(page, 0);
}

static ALWAYS_INLINE void buddy_unlink(struct zone *zone, uint32_t pfn, uint32_t order)
{
	struct page *pages = zone->machine->pages;

	area_unlink(zone, &zone->area[order], pages, &pages[pfn]);
	page_set_links(&pages[pfn], PFN_NONE, PFN_NONE);
}

/*
 * Is there a free block of exactly this order at pfn, in this zone? The place and the order are
 * compared at once: a frame of another zone is guarded by another lock, and one outside the zone's
 * span has not the zone's place, or is not free.
 */
static ALWAYS_INLINE bool buddy_is_free(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	return flags_relaxed(&zone->machine->pages[pfn]) == block_head_flags(zone, order);
}

/* Blocks of reserved and isolated pageblocks stay within their pageblock. */
static NOINLINE bool buddy_may_merge(const struct neap_machine *m, uint32_t buddy, uint32_t type)
{
	uint32_t buddy_type = pageblock_type(m, buddy);

	return type == buddy_type ||
	       (pageblock_type_mergeable(type) && pageblock_type_mergeable(buddy_type));
}

/* buddy_merge() of a whole pageblock and more: there the types may forbid it. */
static NOINLINE void buddy_merge_large(struct zone *zone, uint32_t pfn, uint32_t order,
				       uint32_t type)
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

/* What is the same for all blocks of an order that are freed. */
struct merge {
	struct zone *zone;
	struct page *pages;
	uint64_t head; /* flags of a free block of the order */
};

static ALWAYS_INLINE struct merge merge_of(struct zone *zone, uint32_t order)
{
	return (struct merge){ zone, zone->machine->pages, block_head_flags(zone, order) };
}

/*
 * Merges a block, counted already, with its free buddies, and links what comes of it. Nothing is
 * captured.
 *
 * A block that would complete a larger merge if only the buddy it just missed were free as well is
 * worth keeping out of use for a while: it goes to the tail. That is asked below the largest order
 * but one, which a whole pageblock is.
 */
static ALWAYS_INLINE void merge_block(const struct merge *merge, uint32_t pfn, uint32_t order,
				      uint32_t type)
{
	struct zone *zone = merge->zone;
	struct page *pages = merge->pages;
	struct free_area *area = &zone->area[order];
	uint64_t head = merge->head;
	size_t size = page_offset(1u << order);
	size_t at = page_offset(pfn);

	DCHECK(order <= NEAP_MAX_ORDER && (type & ~BUDDY_TO_TAIL) < NR_TYPES);
	DCHECK((pfn & ((1u << order) - 1)) == 0);
	DCHECK(pfn >= zone->start_pfn &&
	       pfn + (1u << order) - zone->start_pfn <= zone_spanned(zone));
	while (likely(size < page_offset(1u << NEAP_PAGEBLOCK_ORDER))) {
		size_t buddy = at ^ size;

		if (flags_relaxed(page_at(pages, buddy)) != head) {
			const struct page *next = page_at(pages, (at & ~size) ^ (2 * size));
			uint32_t end = flags_relaxed(next) == head + ORDER_ONE;
			const struct place place = {
				.area = area,
				.type = type & ~BUDDY_TO_TAIL,
				.end = end | type / BUDDY_TO_TAIL,
			};

			place_link(zone, pages, at, head, place);
			return;
		}
		area_unlink(zone, area, pages, page_at(pages, buddy));
		at &= buddy;
		size *= 2;
		area++;
		head += ORDER_ONE;
	}
	buddy_merge_large(zone, (uint32_t)(at / sizeof(struct page)), page_order_of(head), type);
}

static ALWAYS_INLINE void buddy_merge(struct zone *zone, uint32_t pfn, uint32_t order,
				      uint32_t type)
{
	const struct merge merge = merge_of(zone, order);

	merge_block(&merge, pfn, order, type);
}

_Static_assert(NEAP_PAGEBLOCK_ORDER + 1 == NEAP_MAX_ORDER, "pageblocks do not ask who is next");

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

/* ---- the oldest of a per-CPU list ---- */

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

/*
 * Asks for what freeing a block will touch. Its first buddy is beside it, and if that is free it
 * will be taken off its list: both neighbours there are written. If not, its links are none of our
 * business, and those of the block itself are as good; whether it is nobody can foretell, so that
 * it is a mask and not a branch. Then come the heads of the next orders, of which the first one is
 * looked at in any case.
 */
static ALWAYS_INLINE void oldest_expect(const struct merge *merge, uint32_t pfn, uint32_t order)
{
	const struct page *pages = merge->pages;
	const size_t size = page_offset(1u << order);
	const size_t at = page_offset(pfn);
	bool buddy = flags_relaxed(page_at(pages, at ^ size)) == merge->head;
	const struct page *page = page_at(pages, at ^ (size * buddy));

	__builtin_prefetch(page_at(pages, at ^ (2 * size)), 1);
	__builtin_prefetch(&pages[page->next], 1);
	__builtin_prefetch(&pages[page->prev], 1);
	__builtin_prefetch(page_at(pages, (at & (0 - 4 * size)) ^ (4 * size)), 1);
}

/* Where the freeing of a list has come to. */
struct oldest {
	uint32_t pfn;	/* next to be freed */
	uint32_t ahead; /* the block on the list that is asked for next; PFN_NONE: all were */
	uint32_t left;	/* at most so many more */
};

/* Asks for what `nr` blocks more will touch. */
static ALWAYS_INLINE void oldest_ask(const struct merge *merge, struct oldest *at, uint32_t order,
				     uint32_t nr)
{
	uint32_t pfn = at->ahead;

	for (uint32_t i = 0; i < nr && pfn != PFN_NONE; i++) {
		oldest_expect(merge, pfn, order);
		pfn = merge->pages[pfn].prev;
	}
	at->ahead = pfn;
}

/* A run that begins with the next block. */
static NOINLINE void oldest_free_run(const struct merge *merge, struct oldest *at, uint32_t order)
{
	const struct page *pages = merge->pages;
	struct buddy_run run = {
		.first = at->pfn,
		.nr = at->left,
		.order = order,
		.type = pcp_page_type(&pages[at->pfn]),
	};

	at->pfn = list_run(pages, &run);
	at->left -= run.nr;
	buddy_merge_run(merge->zone, &run);
	if (run.nr >= FREE_AHEAD)
		at->ahead = at->pfn;
	oldest_ask(merge, at, order, min_u32(run.nr, FREE_AHEAD));
}

static ALWAYS_INLINE void oldest_free(struct zone *zone, struct oldest *from, uint32_t order)
{
	const struct merge merge = merge_of(zone, order);
	const struct page *pages = merge.pages;
	const uint32_t step = 1u << order;
	struct oldest at = *from;

	oldest_ask(&merge, &at, order, FREE_AHEAD);
	while (at.left > 0 && at.pfn != PFN_NONE) {
		const struct page *page = page_at(pages, page_offset(at.pfn));
		uint32_t type = pcp_page_type(page);
		uint32_t before = page->prev;

		if (unlikely(((before - at.pfn + step) & ~(2 * step)) == 0)) {
			*from = at;
			oldest_free_run(&merge, from, order);
			at = *from;
			continue;
		}
		if (at.ahead != PFN_NONE) {
			oldest_expect(&merge, at.ahead, order);
			at.ahead = pages[at.ahead].prev;
		}
		merge_block(&merge, at.pfn, order, type);
		at.left--;
		at.pfn = before;
	}
	*from = at;
}

uint32_t buddy_free_oldest(struct task *t, struct zone *zone, struct list *list, uint32_t order,
			   uint32_t most)
{
	struct page *pages = zone->machine->pages;
	struct oldest at = {
		.pfn = list->last,
		.left = most,
		.ahead = list->last,
	};

	spin_assert_held(t, LOCK_ZONE);
	DCHECK(t->capture == NULL && zone->nr_isolated_blocks == 0 && zone->cma == 0);
	/* Single pages are most of what is freed: theirs is a loop with fixed distances. */
	if (likely(order == 0))
		oldest_free(zone, &at, 0);
	else
		oldest_free(zone, &at, order);
	list->last = at.pfn;
	if (at.pfn != PFN_NONE)
		pages[at.pfn].next = PFN_NONE;
	else
		list->first = PFN_NONE;
	zone_stat_add_each(t, zone, NR_FREE_PAGES, (int64_t)1 << order, most - at.left);
	return most - at.left;
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

/*
 * The first blocks of the list of exactly this order, to the end of `to`: they lie in that order
 * there already, so that only both ends have to be linked. => how many; the list has at least one
 */
static ALWAYS_INLINE uint32_t buddy_take_whole(struct zone *zone, struct list *to,
					       const struct buddy_run *want)
{
	struct page *pages = zone->machine->pages;
	struct free_area *area = &zone->area[want->order];
	struct list *from = &area->list[want->type];
	uint64_t flags = pcp_page_flags(zone, want->order, want->type);
	uint32_t first = from->first;
	uint32_t pfn = first;
	uint32_t last = first;
	uint32_t nr = 0;

	for (; nr < want->nr && pfn != PFN_NONE; nr++) {
		last = pfn;
		pfn = pages[pfn].next;
		flags_write(&pages[last], flags);
	}
	from->first = pfn;
	if (likely(pfn != PFN_NONE))
		pages[pfn].prev = PFN_NONE;
	else
		from->last = PFN_NONE;
	if (unlikely(pfn == PFN_NONE))
		nonempty_write(zone, want->type,
			       nonempty_read(zone, want->type) & ~(1u << want->order));
	racy_add(area->nr_free, (uint64_t)0 - nr);
	list_append(pages, to, (struct list){ first, last });
	return nr;
}

/* The first blocks of a larger one, to the end of `to`. => how many */
static ALWAYS_INLINE uint32_t buddy_take_parts(struct task *t, struct zone *zone, struct list *to,
					       const struct buddy_run *want)
{
	struct page *pages = zone->machine->pages;
	uint64_t flags = pcp_page_flags(zone, want->order, want->type);
	uint32_t step = 1u << want->order;
	struct buddy_run run = *want;
	uint32_t nr = buddy_take_run(t, zone, &run);
	uint32_t last = run.first + (nr - 1) * step;

	for (uint32_t pfn = run.first; pfn <= last; pfn += step) {
		flags_write(&pages[pfn], flags);
		page_set_links(&pages[pfn], pfn + step, pfn - step);
	}
	list_append(pages, to, (struct list){ run.first, last });
	return nr;
}

uint32_t buddy_take_list(struct task *t, struct zone *zone, struct list *to,
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
