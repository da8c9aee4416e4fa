/*
 * A request, step by step, on the state of a real machine.
 *
 *     first walk ── every zone at low ──────────────────────────────────> fast
 *        │ none
 *     kswapd woken?  the rights of the request
 *     second walk ── every zone at min, less its rights ────────────────> slow
 *        │ none
 *        ├── may not sleep ─────────────────────────────────────────────> fails here
 *        ├── costly or unmovable: is compaction possible in a zone?
 *        │      no, and NORETRY ────────────────────────────────────────> fails here
 *        ├── would a zone serve it if all that can be reclaimed were free?
 *        │      yes ─────────────────────────────────────────────────────> stalls
 *        └── could compaction make a block?  yes ────────────────────────> stalls
 *               no ─────────────────────────────────────────────────────> fails
 *
 * Each box is a function of the engine (core/alloc_dry.h, alloc_path.h, kswapd.h, compact.h) that
 * was called on the state; the terms that are printed are those it returned. What reclaim and
 * compaction would really find is not in any file, so beyond the second walk the answer is "it
 * would have to wait", and only "it fails" where even the best outcome does not help.
 *
 * What must never happen: "fails" for a request that could succeed. When a file is
 * missing that decides (free blocks for an order above 0), the verdict is unknown.
 */
#include "diag/request.h"

#include <string.h>

#include "core/alloc.h"
#include "core/fragindex.h"
#include "core/kswapd.h"
#include "core/zonelist.h"

static bool node_is_boosted(const struct state *state, uint32_t node)
{
	const struct node *at = &state->machine.nodes[node];

	for (uint32_t slot = 0; slot < NR_ZONES; slot++)
		if (atomic_load(&((struct zone *)(uintptr_t)&at->zone[slot])->boost) != 0)
			return true;
	return false;
}

/* What kswapd_wake() would do with the preferred node. */
static void find_wake(struct state *state, struct request *out)
{
	const struct zone *zone = out->context.preferred->zone;
	struct node *node = &state->machine.nodes[zone->node];

	out->boosted = node_is_boosted(state, zone->node);
	if (!(out->gfp & GFP_BIT_KSWAPD_RECLAIM))
		out->wake = WAKE_NOT_ASKED;
	else if (atomic_load(&node->kswapd_failures) >= MAX_RECLAIM_RETRIES)
		out->wake = WAKE_HOPELESS;
	else if (kswapd_balanced(node, out->order, out->context.highest) && !out->boosted)
		out->wake = WAKE_BALANCED;
	else
		out->wake = WAKE_BALANCES;
}

static int32_t index_of(const struct zone *zone, uint32_t order)
{
	uint64_t nr_free[NR_ORDERS];

	for (uint32_t o = 0; o < NR_ORDERS; o++)
		nr_free[o] = zone->area[o].nr_free;
	struct fragindex frag = fragindex_count(nr_free, NR_ORDERS, order);

	return fragindex_external(&frag);
}

/* => some zone is worth a run */
static bool find_compaction(struct state *state, struct request *out)
{
	const struct alloc_context *ac = &out->context;
	const struct zoneref *ref;
	bool any = false;

	out->nr_compact = 0;
	zonelist_for_each(ref, ac->zonelist, ac->highest, ac->nodemask)
	{
		struct request_compact *at = &out->compact[out->nr_compact];

		if (out->nr_compact == REQUEST_ZONES_MAX)
			break;
		at->zone = ref->zone;
		at->result = compact_suit_zone(&state->task, ref->zone, (int32_t)ac->order,
					       ac->flags, ac->highest);
		at->index = index_of(ref->zone, ac->order);
		any = any || at->result != COMPACT_SKIPPED;
		out->nr_compact++;
	}
	return any;
}

/* => some zone would serve the request if everything reclaimable were free */
static bool find_reclaim(struct request *out)
{
	const struct alloc_context *ac = &out->context;
	const struct zoneref *ref;
	bool any = false;

	out->nr_reclaim = 0;
	zonelist_for_each(ref, ac->zonelist, ac->highest, ac->nodemask)
	{
		struct request_reclaim *at = &out->reclaim[out->nr_reclaim];

		if (out->nr_reclaim == REQUEST_ZONES_MAX)
			break;
		at->zone = ref->zone;
		at->pages = zone_reclaimable_pages(ref->zone);
		at->serves = alloc_slow_could_serve(ref->zone, ac, &at->terms);
		any = any || at->serves;
		out->nr_reclaim++;
	}
	return any;
}

static void decide(struct request *out, enum request_verdict verdict, const char *why)
{
	out->verdict = verdict;
	out->why = why;
}

/* Steps after the second walk. */
static void run_last(struct state *state, struct request *out)
{
	const bool costly = out->order > NEAP_COSTLY_ORDER;
	bool may_compact = false, may_reclaim;

	if (!out->may_sleep) {
		decide(out, REQUEST_FAILS,
		       "it may not wait (no DIRECT_RECLAIM), so it fails after the second walk");
		return;
	}
	if (out->order > 0)
		may_compact = find_compaction(state, out);
	out->compacts_first = alloc_slow_compacts_first(&out->context);
	if (out->compacts_first && costly && (out->gfp & GFP_BIT_NORETRY) && !may_compact) {
		decide(out, REQUEST_FAILS,
		       "compaction is not begun in any zone, and NORETRY gives up then");
		return;
	}
	may_reclaim = find_reclaim(out);
	if (may_reclaim || may_compact) {
		decide(out, REQUEST_STALLS,
		       !may_compact	     ? "it has to reclaim for itself first"
		       : out->compacts_first ? "it has to compact for itself first"
					     : "it has to reclaim and compact for itself first");
		return;
	}
	/*
	 * The test above counts the blocks that are there. Freed pages may join into new ones, and
	 * make a zone worth compacting.
	 */
	if (out->order > 0 && compact_suit_after_reclaim(&state->task, &out->context)) {
		decide(out, REQUEST_STALLS,
		       "it has to reclaim, then to compact; no block is there now");
		return;
	}
	out->oom = !costly && out->context.highest >= ZONE_NORMAL &&
		   !(out->gfp & (GFP_BIT_RETRY_MAYFAIL | GFP_BIT_THISNODE | GFP_BIT_NORETRY));
	decide(out, REQUEST_FAILS,
	       "no zone reaches its mark even if everything reclaimable were free");
}

static void run_slow(struct state *state, struct request *out)
{
	struct alloc_context *ac = &out->context;

	find_wake(state, out);
	out->went_slow = true;
	ac->flags = watermark_slow_flags(ac->gfp, ac->order);
	if (state->has_cma && ac->type == MT_MOVABLE)
		ac->flags |= ALLOC_CMA;
	if (out->gfp & GFP_BIT_MEMALLOC && !(out->gfp & GFP_BIT_NOMEMALLOC))
		ac->flags |= ALLOC_NO_WATERMARKS;
	out->slow_flags = ac->flags;
	if (alloc_dry_walk(&state->machine, ac, &out->slow)) {
		decide(out, REQUEST_SLOW, "no zone is above its low mark, but one is above min");
		return;
	}
	run_last(state, out);
}

void request_run(struct state *state, uint32_t gfp, uint32_t order, uint32_t node,
		 struct request *out)
{
	*out = (struct request){ .gfp = gfp, .order = order, .node = node };
	out->may_sleep = (gfp & GFP_BIT_DIRECT_RECLAIM) != 0;
	if (!state_context(state, gfp, order, node, &out->context)) {
		decide(out, REQUEST_NONSENSE, "these flags contradict each other");
		return;
	}
	if (order > NEAP_MAX_ORDER) {
		decide(out, REQUEST_NONSENSE, "no block is that large: the largest order is 10");
		return;
	}
	if (out->context.preferred->zone == NULL) {
		decide(out, REQUEST_FAILS, "there is no memory in any zone that it may use");
		return;
	}
	if (order > 0 && !state->has_blocks) {
		decide(out, REQUEST_UNKNOWN,
		       "buddyinfo is missing, which says whether there are blocks of the order");
		return;
	}
	if (alloc_dry_walk(&state->machine, &out->context, &out->fast))
		decide(out, REQUEST_FAST, "a zone is above its low mark and has a block");
	else
		run_slow(state, out);
}
