/*
 * Whether a zone is worth a run, and when a run has done enough.
 *
 *   before   a block is there already ................................ success
 *            too few free pages to move anything into ................ skipped
 *            order > 3, and too few pages rather than too many pieces  skipped
 *            else .................................................... continue
 *
 *   between  the scanners met ............................ complete, partial_skipped
 *   two      run by the clock: score low enough .......... success
 *   bites    inside a pageblock .......................... continue
 *            a free block of the order, of our type or
 *            one we could claim whole .................... success
 *            a lock was contended, a fatal signal ........ contended
 *
 * The score of a zone is the share of its free memory that lies in blocks smaller than a
 * huge page, in percent; a node's is the sum over its zones weighted by their size.
 *
 * What must never happen: a test that changes anything. All of them may be asked at any
 * time, without a lock; they give an answer of the moment.
 *
 * Linux: compaction_suitable(), __compact_finished(), fragmentation_score_node() of
 * mm/compaction.c, 6.1. There is no CMA.
 */
#include "core/alloc.h"
#include "core/buddy.h"
#include "core/compact.h"
#include "core/event.h"
#include "core/fragindex.h"
#include "core/pageblock.h"
#include "core/sysctl.h"
#include "core/vmstat.h"
#include "core/zonelist.h"

#define SCORE_LOW_MIN 5u
#define SCORE_BAND 10u

/* ---- before a run ---- */

static struct fragindex frag_of(const struct zone *zone, uint32_t order)
{
	uint64_t nr_free[NR_ORDERS];

	for (uint32_t o = 0; o < NR_ORDERS; o++)
		nr_free[o] = racy_read(zone->area[o].nr_free);
	return fragindex_count(nr_free, NR_ORDERS, order);
}

/* Steps 2 and 3 of spec 20, section 8; `free_pages` are what the second looks at. */
static enum compact_result suit_marks(const struct zone *zone, uint32_t order, uint32_t alloc_flags,
				      uint32_t highest, uint64_t free_pages)
{
	uint64_t mark = zone_mark(zone, (enum wmark)(alloc_flags & ALLOC_WMARK_MASK));
	const struct watermark_query room = {
		.order = 0,
		.limit = highest,
		.alloc_flags = ALLOC_CMA,
		.mark = zone_mark(zone, order > NEAP_COSTLY_ORDER ? WMARK_LOW : WMARK_MIN) +
			compact_gap(order),
		.free = (int64_t)free_pages,
	};

	if (zone_watermark_ok(zone, order, mark, highest, alloc_flags))
		return COMPACT_SUCCESS;
	return zone_watermark_test(zone, &room, NULL) ? COMPACT_CONTINUE : COMPACT_SKIPPED;
}

enum compact_result compact_suit_zone(struct task *t, struct zone *zone, int32_t order,
				      uint32_t alloc_flags, uint32_t highest)
{
	enum compact_result result = COMPACT_CONTINUE;

	if (order >= 0)
		result = suit_marks(zone, (uint32_t)order, alloc_flags, highest,
				    zone_stat(zone, NR_FREE_PAGES));
	if (result == COMPACT_CONTINUE && order > (int32_t)NEAP_COSTLY_ORDER) {
		struct fragindex frag = frag_of(zone, (uint32_t)order);
		int32_t index = fragindex_external(&frag);

		if (index >= 0 && index <= sysctl_get(&t->machine->sysctl.extfrag_threshold))
			result = COMPACT_NOT_SUITABLE_ZONE;
	}
	event_emit(t, MM_COMPACTION_SUITABLE, zone->node, zone->type, (uint64_t)(int64_t)order,
		   result);
	return result == COMPACT_NOT_SUITABLE_ZONE ? COMPACT_SKIPPED : result;
}

bool compact_suit_after_reclaim(struct task *t, const struct alloc_context *ac)
{
	const struct zoneref *ref;

	(void)t;
	zonelist_for_each(ref, ac->zonelist, ac->highest, ac->nodemask)
	{
		uint64_t pages = zone_reclaimable_pages(ref->zone) / ac->order +
				 zone_stat_exact(ref->zone, NR_FREE_PAGES);

		if (suit_marks(ref->zone, ac->order, ac->flags, ac->highest, pages) ==
		    COMPACT_CONTINUE)
			return true;
	}
	return false;
}

/* ---- scores ---- */

uint32_t compact_suit_zone_score(const struct zone *zone)
{
	struct fragindex frag = frag_of(zone, NEAP_PAGEBLOCK_ORDER);

	return fragindex_unusable_percent(&frag);
}

uint32_t compact_suit_node_score(const struct node *node)
{
	uint64_t present = 0;
	uint64_t score = 0;

	for (uint32_t z = 0; z < NR_ZONES; z++)
		present += node->zone[z].present;
	for (uint32_t z = 0; z < NR_ZONES; z++)
		score += (uint64_t)node->zone[z].present * compact_suit_zone_score(&node->zone[z]) /
			 (present + 1);
	return (uint32_t)score;
}

uint32_t compact_suit_score_low(const struct neap_machine *m)
{
	uint32_t proactiveness = (uint32_t)sysctl_get(&m->sysctl.compaction_proactiveness);

	return max_u32(100 - min_u32(proactiveness, 100), SCORE_LOW_MIN);
}

uint32_t compact_suit_score_high(const struct neap_machine *m)
{
	return min_u32(compact_suit_score_low(m) + SCORE_BAND, 100);
}

bool compact_suit_kswapd_runs(const struct node *node)
{
	struct node *n = (struct node *)(uintptr_t)node;

	return racy_read(n->kswapd) != NULL && atomic_load(&n->kswapd_sleeping) == 0;
}

/* ---- between two bites ---- */

static bool scanners_met(const struct compact_control *cc)
{
	return cc->free_pfn >> PAGEBLOCK_SHIFT <= cc->migrate_pfn >> PAGEBLOCK_SHIFT;
}

/* Would a request of the run's type get a block of the order now? */
static bool block_there(const struct compact_control *cc)
{
	static const uint8_t others[NR_PCP_TYPES][2] = {
		[MT_UNMOVABLE] = { MT_RECLAIMABLE, MT_MOVABLE },
		[MT_MOVABLE] = { MT_RECLAIMABLE, MT_UNMOVABLE },
		[MT_RECLAIMABLE] = { MT_UNMOVABLE, MT_MOVABLE },
	};
	uint32_t order = (uint32_t)cc->order;
	/* A movable request claims others' blocks only if they are half a pageblock's order. */
	uint32_t claim = cc->type == MT_MOVABLE ? max_u32(order, NEAP_PAGEBLOCK_ORDER / 2) : order;

	return buddy_has(cc->zone, order, cc->type) ||
	       (cc->type == MT_MOVABLE && buddy_has(cc->zone, order, MT_CMA)) ||
	       buddy_has(cc->zone, claim, others[cc->type][0]) ||
	       buddy_has(cc->zone, claim, others[cc->type][1]);
}

/* => NO_SUITABLE_PAGE where the run goes on for want of a block */
static enum compact_result finished(const struct task *t, struct compact_control *cc)
{
	const struct node *node = &cc->zone->machine->nodes[cc->zone->node];
	enum compact_result result = COMPACT_NO_SUITABLE_PAGE;

	if (scanners_met(cc)) {
		compact_hint_positions(cc->zone);
		if (cc->direct)
			atomic_store_explicit(&cc->zone->compact_blockskip_flush, 1,
					      memory_order_relaxed);
		return cc->whole_zone ? COMPACT_COMPLETE : COMPACT_PARTIAL_SKIPPED;
	}
	if (cc->proactive) {
		if (compact_suit_kswapd_runs(node))
			return COMPACT_PARTIAL_SKIPPED;
		result = compact_suit_zone_score(cc->zone) > compact_suit_score_low(t->machine)
				 ? COMPACT_CONTINUE
				 : COMPACT_SUCCESS;
	} else if (cc->order == COMPACT_WHOLE || !pageblock_aligned(cc->migrate_pfn)) {
		return COMPACT_CONTINUE;
	} else if (block_there(cc)) {
		return COMPACT_SUCCESS;
	}
	if (cc->contended || (t->flags & PF_EXITING))
		return COMPACT_CONTENDED;
	return result;
}

enum compact_result compact_suit_finished(struct task *t, struct compact_control *cc)
{
	enum compact_result result = finished(t, cc);

	event_emit(t, MM_COMPACTION_FINISHED, cc->zone->node, cc->zone->type,
		   (uint64_t)(int64_t)cc->order, result);
	return result == COMPACT_NO_SUITABLE_PAGE ? COMPACT_CONTINUE : result;
}
