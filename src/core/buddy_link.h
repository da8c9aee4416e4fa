/*
 * How a block comes to a free list and leaves it: what core/buddy.c and core/buddy_oldest.c share,
 * and nobody else.
 *
 *   frames        0  1  2  3  4  5  6  7 ...  63
 *   order 0       [bit0 ][bit1 ][bit2 ][bit3 ]          machine.pairs[pfn / 64]: a bit for two
 *   order 1       [   bit 32   ][   bit 33   ]          buddies, 1 if exactly one of them is a
 *   order 2       [          bit 48          ]          free block of the order
 *   ...                                                 order 5: bit 62
 *   order 6, 7, 8                     bit 63 of one of the 2, 4, 8 words: the last one's of the
 *                                     lower buddy, so that no two pairs of a pageblock share one
 *
 * Whether a buddy is free stands in its descriptor, too, but those are 2 KiB for the same frames:
 * the bits stay in the nearest caches. A block that a list gets or loses changes its pair's bit.
 * Two buddies that are both free merge, except where a state is put together that has them apart,
 * and then the bit says what a merge needs to know: nobody's buddy is alone.
 */
#ifndef NEAP_CORE_BUDDY_LINK_H
#define NEAP_CORE_BUDDY_LINK_H

#include "core/buddy.h"
#include "core/racy.h"

#define ORDER_ONE ((uint64_t)1 << PAGE_ORDER_SHIFT)

/* All flags of a free block's head, with the order: one comparison tells a buddy. */
static ALWAYS_INLINE uint64_t block_head_flags(const struct zone *zone, uint32_t order)
{
	return PG_BUDDY | zone->place | (uint64_t)order << PAGE_ORDER_SHIFT;
}

static ALWAYS_INLINE void nonempty_write(struct zone *zone, uint32_t type, uint32_t orders)
{
	atomic_store_explicit(&zone->nonempty[type], (uint16_t)orders, memory_order_relaxed);
}

static ALWAYS_INLINE uint32_t nonempty_read(const struct zone *zone, uint32_t type)
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

/* The bit of a block and its buddy, where a word tells of both. */
static ALWAYS_INLINE uint32_t pair_bit(uint32_t pfn, uint32_t order)
{
	return 64 - (64u >> order) + ((pfn & 63) >> (order + 1));
}

/* Where the bit of any block and its buddy is. */
struct pair {
	uint64_t *word;
	uint32_t bit;
};

static ALWAYS_INLINE struct pair pair_of(const struct neap_machine *m, uint32_t pfn, uint32_t order)
{
	uint32_t word = pfn >> PAIRS_SHIFT;

	DCHECK(order < NR_PAIR_ORDERS);
	if (likely(order < NR_WORD_ORDERS))
		return (struct pair){ &m->pairs[word], pair_bit(pfn, order) };
	uint32_t half = 1u << (order - NR_WORD_ORDERS); /* words of one buddy */

	return (struct pair){ &m->pairs[(word & ~(2 * half - 1)) + half - 1], 63 };
}

static ALWAYS_INLINE uint32_t pair_read(struct pair pair)
{
	return (uint32_t)(racy_read(*pair.word) >> pair.bit) & 1;
}

static ALWAYS_INLINE bool pair_is_odd(const struct neap_machine *m, uint32_t pfn, uint32_t order)
{
	return pair_read(pair_of(m, pfn, order)) != 0;
}

/*
 * A block came to a list, or left it. Of zones that share words both may write: nobody reads.
 * => 1 if its buddy was free alone before, or it was itself
 */
static ALWAYS_INLINE uint32_t pair_change(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	struct pair pair = pair_of(zone->machine, pfn, order);
	uint64_t word = racy_read(*pair.word);

	racy_write(*pair.word, word ^ (uint64_t)1 << pair.bit);
	return (uint32_t)(word >> pair.bit) & 1;
}

static ALWAYS_INLINE void pair_toggle(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	if (order < NR_PAIR_ORDERS)
		(void)pair_change(zone, pfn, order);
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

/* offset: of the block's descriptor; head: its flags, which tell the order. Its pair knows. */
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

	pair_toggle(zone, pfn, order);
	place_link(zone, zone->machine->pages, page_offset(pfn), block_head_flags(zone, order),
		   place);
}

/*
 * A block of which only its neighbours know any more: its order's count and its pair are told by
 * the caller. Its own list is found only if it was the first or the last there.
 */
static ALWAYS_INLINE void links_unlink(struct zone *zone, struct free_area *area,
				       struct page *pages, struct page *page)
{
	uint32_t next = page->next;
	uint32_t prev = page->prev;

	DCHECK(flags_relaxed(page) == block_head_flags(zone, page->owner));
	DCHECK(area == &zone->area[page->owner] && area->nr_free > 0);
	if (likely(prev != PFN_NONE))
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
	flags_write(page, 0);
}

static ALWAYS_INLINE void area_unlink(struct zone *zone, struct free_area *area, struct page *pages,
				      struct page *page)
{
	links_unlink(zone, area, pages, page);
	racy_add(area->nr_free, UINT64_MAX);
}

static ALWAYS_INLINE void buddy_unlink(struct zone *zone, uint32_t pfn, uint32_t order)
{
	struct page *pages = zone->machine->pages;

	pair_toggle(zone, pfn, order);
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

/* A block of a whole pageblock and more: there the types may forbid to merge. In core/buddy.c. */
void buddy_merge_large(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type);

/* The same for any block, in a zone that shares pairs: their descriptors tell. There, too. */
void buddy_merge_looking(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type);

/*
 * The end of the list for a block that stays. One that would complete a larger merge if only the
 * buddy it just missed were free as well is worth keeping out of use for a while: it goes to the
 * tail. => 1, else 0
 */
static ALWAYS_INLINE uint32_t merge_end(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	if (likely(order + 1 < NR_PAIR_ORDERS))
		return pair_is_odd(zone->machine, pfn, order + 1);
	return buddy_is_free(zone, (pfn & ~(1u << order)) ^ (2u << order), order + 1);
}

/*
 * Merges a block, counted already, with its free buddies, and links what comes of it. Nothing is
 * captured. Below whole pageblocks the pairs tell what merges: the descriptors beside a block are
 * in no near cache.
 */
static ALWAYS_INLINE void buddy_merge(struct zone *zone, uint32_t pfn, uint32_t order,
				      uint32_t type)
{
	struct page *pages = zone->machine->pages;

	DCHECK(order <= NEAP_MAX_ORDER && (type & ~BUDDY_TO_TAIL) < NR_TYPES);
	DCHECK((pfn & ((1u << order) - 1)) == 0);
	DCHECK(pfn >= zone->start_pfn &&
	       pfn + (1u << order) - zone->start_pfn <= zone_spanned(zone));
	if (unlikely(zone->shares_pairs)) {
		buddy_merge_looking(zone, pfn, order, type);
		return;
	}
	for (; order < NEAP_PAGEBLOCK_ORDER; order++) {
		struct free_area *area = &zone->area[order];

		if (pair_change(zone, pfn, order) == 0) {
			const struct place place = {
				.area = area,
				.type = type & ~BUDDY_TO_TAIL,
				.end = merge_end(zone, pfn, order) | type / BUDDY_TO_TAIL,
			};

			place_link(zone, pages, page_offset(pfn), block_head_flags(zone, order),
				   place);
			return;
		}
		area_unlink(zone, area, pages, &pages[pfn ^ (1u << order)]);
		pfn &= ~(1u << order);
	}
	buddy_merge_large(zone, pfn, order, type);
}

_Static_assert(NR_PAIR_ORDERS == NEAP_PAGEBLOCK_ORDER, "below whole pageblocks all have pairs");

#endif
