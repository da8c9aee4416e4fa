/*
 * pageblock.c: migrate types of 512-frame blocks, and crossing between them.
 *
 *   frames        0        512      1024     1536     2048
 *   block_type   | Movable| Unmov. | Movable| HighAt.|       one byte each
 *   in use        ....mm.. uuuu.uuu mmmmmmmm ........
 *
 * Pages that cannot move should share pageblocks, so that the others can be
 * emptied. A request whose own type has nothing left takes from another type, and
 * then tries to make it worth while:
 *
 *   - it prefers the largest foreign block: one big theft, not many small ones
 *   - it takes all free pages of the pageblock, and the pageblock's type as well if
 *     at least half of it is free or of the request's kind
 *   - a movable request that finds only small blocks takes the smallest instead: its
 *     pages can be moved out again
 *   - each theft below a whole pageblock boosts the zone's marks, so that kswapd
 *     frees memory before the next one
 *
 * HighAtomic pageblocks are a reserve for high-order requests that cannot sleep:
 * each such success adds the pageblock it came from, up to about one per cent of the
 * zone, and a request in trouble gives one back.
 *
 * What must never happen: free blocks moved across a zone's end, or a reserve count
 * that wraps below zero.
 *
 * Linux: __rmqueue_fallback(), steal_suitable_fallback(), move_freepages_block(),
 * reserve_highatomic_pageblock() of mm/page_alloc.c, late 6.1.y.
 */
#include "core/pageblock.h"

#include "core/buddy.h"
#include "core/event.h"
#include "core/marks.h"
#include "core/zonelist.h"

#define SECTION_PAGES 32768u /* memory comes and goes in sections of 128 MiB */
#define CLAIM_ORDER_MIN (NEAP_PAGEBLOCK_ORDER / 2)

static const uint8_t fallback_types[NR_PCP_TYPES][2] = {
	[MT_UNMOVABLE] = { MT_RECLAIMABLE, MT_MOVABLE },
	[MT_MOVABLE] = { MT_RECLAIMABLE, MT_UNMOVABLE },
	[MT_RECLAIMABLE] = { MT_UNMOVABLE, MT_MOVABLE },
};

/* What a fallback search found. */
struct fallback {
	uint32_t order;
	uint32_t type; /* the list it is on */
	bool claim;    /* may take more than this block */
};

void pageblock_set_type(struct neap_machine *m, uint32_t pfn, uint32_t type)
{
	if (m->mobility_disabled && type < NR_PCP_TYPES)
		type = MT_UNMOVABLE;
	racy_write(m->block_type[pfn >> PAGEBLOCK_SHIFT], (uint8_t)type);
}

/* Within its span there may be pageblocks that are partly, or wholly, another zone's. */
static bool zone_spans(const struct zone *zone, uint32_t pfn)
{
	return pfn - zone->start_pfn < zone_spanned(zone) && zone_has_frame(zone, pfn);
}

/* In use, and something that could be moved elsewhere. */
static bool page_is_movable(const struct page *page)
{
	return page_test(page, PG_LRU | PG_MOVABLE);
}

uint32_t pageblock_move_free(struct task *t, struct zone *zone, uint32_t pfn, uint32_t type,
			     uint32_t *movable)
{
	struct page *pages = zone->machine->pages;
	uint32_t first = pfn & ~(NEAP_PAGEBLOCK_PAGES - 1);
	uint32_t last = first + NEAP_PAGEBLOCK_PAGES - 1;
	uint32_t nr_movable = 0;
	uint32_t moved = 0;

	spin_assert_held(t, LOCK_ZONE);
	if (!zone_spans(zone, first))
		first = pfn;
	if (zone_spans(zone, last)) {
		for (uint32_t at = first; at <= last;) {
			if (!page_test(&pages[at], PG_BUDDY)) {
				nr_movable += page_is_movable(&pages[at]) ? 1 : 0;
				at++;
				continue;
			}
			uint32_t block_pages = 1u << pages[at].owner;

			buddy_move(t, zone, at, type);
			at += block_pages;
			moved += block_pages;
		}
	}
	if (movable != NULL)
		*movable = nr_movable;
	return moved;
}

/* => whether a block of this order may be claimed together with its pageblock */
static bool fallback_may_claim(const struct neap_machine *m, uint32_t order, uint32_t type)
{
	return order >= CLAIM_ORDER_MIN || type == MT_RECLAIMABLE || type == MT_UNMOVABLE ||
	       m->mobility_disabled;
}

/* First type with a block of exactly this order, in the order of preference. */
static bool fallback_find_at(const struct zone *zone, uint32_t order, uint32_t type,
			     struct fallback *found)
{
	for (uint32_t i = 0; i < ARRAY_LEN(fallback_types[type]); i++) {
		uint32_t other = fallback_types[type][i];

		if (!buddy_has_at(zone, order, other))
			continue;
		found->order = order;
		found->type = other;
		found->claim = fallback_may_claim(zone->machine, order, type);
		return true;
	}
	return false;
}

/*
 * The largest block; or the smallest, for a movable request that would have to break up a
 * pageblock.
 */
static bool fallback_find(const struct zone *zone, uint32_t order, uint32_t type,
			  uint32_t alloc_flags, struct fallback *found)
{
	uint32_t order_min = order;
	bool any = false;

	if (order < NEAP_PAGEBLOCK_ORDER && (alloc_flags & ALLOC_NOFRAGMENT))
		order_min = NEAP_PAGEBLOCK_ORDER;
	for (uint32_t at = NR_ORDERS; at-- > order_min && !any;)
		any = fallback_find_at(zone, at, type, found);
	if (!any || found->claim || type != MT_MOVABLE || found->order == order)
		return any;
	any = false;
	for (uint32_t at = order; at < NR_ORDERS && !any; at++)
		any = fallback_find_at(zone, at, type, found);
	return any;
}

/*
 * Takes the free pages of the block's pageblock, and its type if enough of it is, or could be, of
 * the request's kind. => false if nothing could be moved
 */
static bool fallback_claim(struct task *t, struct zone *zone, uint32_t pfn, uint32_t type)
{
	struct neap_machine *m = zone->machine;
	uint32_t old_type = pageblock_type(m, pfn);
	uint32_t alike = 0;
	uint32_t movable;
	uint32_t moved = pageblock_move_free(t, zone, pfn, type, &movable);

	if (moved == 0)
		return false;
	if (type == MT_MOVABLE)
		alike = movable;
	else if (old_type == MT_MOVABLE)
		alike = NEAP_PAGEBLOCK_PAGES - moved - movable;
	if (moved + alike >= NEAP_PAGEBLOCK_PAGES / 2 || m->mobility_disabled)
		pageblock_set_type(m, pfn, type);
	return true;
}

/* Moves the found block, or more, to the lists of `type`. */
static void fallback_steal(struct task *t, struct zone *zone, uint32_t type, uint32_t alloc_flags,
			   const struct fallback *found)
{
	struct neap_machine *m = zone->machine;
	uint32_t pfn = zone->area[found->order].list[found->type].first;

	if (pageblock_type(m, pfn) == MT_HIGHATOMIC) {
		buddy_move(t, zone, pfn, type);
	} else if (found->order >= NEAP_PAGEBLOCK_ORDER) {
		for (uint32_t at = 0; at < 1u << found->order; at += NEAP_PAGEBLOCK_PAGES)
			pageblock_set_type(m, pfn + at, type);
		buddy_move(t, zone, pfn, type);
	} else {
		if (marks_boost(t, zone) && (alloc_flags & ALLOC_KSWAPD))
			atomic_fetch_or_explicit(&zone->flags, ZONE_BOOSTED, memory_order_relaxed);
		marks_refresh(zone);
		if (!found->claim || !fallback_claim(t, zone, pfn, type))
			buddy_move(t, zone, pfn, type);
	}
}

bool pageblock_fallback_type(const struct zone *zone, uint32_t order, uint32_t type,
			     uint32_t alloc_flags, struct pageblock_choice *out)
{
	struct fallback found;

	DCHECK(type < NR_PCP_TYPES);
	if (!fallback_find(zone, order, type, alloc_flags, &found))
		return false;
	*out = (struct pageblock_choice){ found.order, found.type };
	return true;
}

bool pageblock_fallback(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
			uint32_t alloc_flags)
{
	struct fallback found;

	spin_assert_held(t, LOCK_ZONE);
	DCHECK(type < NR_PCP_TYPES);
	if (!fallback_find(zone, order, type, alloc_flags, &found))
		return false;
	uint32_t pfn = zone->area[found.order].list[found.type].first;

	fallback_steal(t, zone, type, alloc_flags, &found);
	event_emit(t, MM_PAGE_ALLOC_EXTFRAG, pfn, order, found.order, NEAP_PAGEBLOCK_ORDER, type,
		   found.type, found.order < NEAP_PAGEBLOCK_ORDER,
		   pageblock_type(zone->machine, pfn) == type);
	return true;
}

static uint64_t highatomic_read(struct zone *zone)
{
	return atomic_load_explicit(&zone->nr_reserved_highatomic, memory_order_relaxed);
}

void pageblock_reserve_highatomic(struct task *t, struct zone *zone, uint32_t pfn)
{
	uint64_t most = zone_managed(zone) / 100 + NEAP_PAGEBLOCK_PAGES;

	if (highatomic_read(zone) >= most)
		return;
	spin_lock(t, &zone->lock, LOCK_ZONE);
	uint64_t reserved = highatomic_read(zone);

	if (reserved < most && pageblock_type_mergeable(pageblock_type(zone->machine, pfn))) {
		atomic_store_explicit(&zone->nr_reserved_highatomic,
				      reserved + NEAP_PAGEBLOCK_PAGES, memory_order_relaxed);
		marks_refresh(zone);
		pageblock_set_type(zone->machine, pfn, MT_HIGHATOMIC);
		pageblock_move_free(t, zone, pfn, MT_HIGHATOMIC, NULL);
	}
	spin_unlock(t, &zone->lock, LOCK_ZONE);
}

/* => true if free pages of a reserved pageblock were given to `type`. Zone lock held. */
static bool zone_unreserve_highatomic(struct task *t, struct zone *zone, uint32_t type)
{
	for (uint32_t order = 0; order < NR_ORDERS; order++) {
		uint32_t pfn = zone->area[order].list[MT_HIGHATOMIC].first;

		if (pfn == PFN_NONE)
			continue;
		/* The pageblock may have lost the type while a page of it sat on a per-CPU list. */
		if (pageblock_type(zone->machine, pfn) == MT_HIGHATOMIC) {
			uint64_t reserved = highatomic_read(zone);

			reserved -= min_u64(reserved, NEAP_PAGEBLOCK_PAGES);
			atomic_store_explicit(&zone->nr_reserved_highatomic, reserved,
					      memory_order_relaxed);
			marks_refresh(zone);
		}
		pageblock_set_type(zone->machine, pfn, type);
		if (pageblock_move_free(t, zone, pfn, type, NULL) != 0)
			return true;
	}
	return false;
}

bool pageblock_unreserve_highatomic(struct task *t, const struct alloc_context *ac, bool force)
{
	const struct zoneref *ref;
	bool moved = false;

	zonelist_for_each(ref, ac->zonelist, ac->highest, ac->nodemask)
	{
		struct zone *zone = ref->zone;

		if (!force && highatomic_read(zone) <= NEAP_PAGEBLOCK_PAGES)
			continue;
		cpu_pin(t);
		spin_lock(t, &zone->lock, LOCK_ZONE);
		moved = zone_unreserve_highatomic(t, zone, ac->type);
		spin_unlock(t, &zone->lock, LOCK_ZONE);
		cpu_unpin(t);
		if (moved)
			break;
	}
	return moved;
}

void pageblock_count(const struct zone *zone, uint64_t nr[NR_TYPES])
{
	/* Whole sections have descriptors or not. */
	uint64_t absent_first = round_up_u64(zone->absent_first, SECTION_PAGES);
	uint64_t absent_end = (uint64_t)zone->absent_first + zone->nr_absent;

	for (uint32_t type = 0; type < NR_TYPES; type++)
		nr[type] = 0;
	for (uint32_t pfn = zone->start_pfn; pfn < zone_end(zone); pfn += NEAP_PAGEBLOCK_PAGES)
		if (zone_has_frame(zone, pfn) && (pfn < absent_first || pfn >= absent_end))
			nr[pageblock_type(zone->machine, pfn)]++;
}
