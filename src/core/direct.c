/*
 * Direct reclaim: the task that needs memory frees some itself (spec 11,
 * sections 9 and 10).
 *
 *   throttle on the reserves ── ok ──> for priority 12..0:
 *        │ not ok: wait until              each node of the zonelist once
 *        │ kswapd made room                stop at 32 pages
 *        v                             nothing freed, active lists were spared:
 *   (kswapd is woken)                      once more with them
 *
 * The task runs with PF_MEMALLOC meanwhile (set by alloc_slow.c): what it
 * allocates on the way may use the reserves and never enters reclaim again.
 *
 * What must never happen: all tasks waiting here for a kswapd that waits for
 * them. Each look at the reserves wakes a sleeping kswapd; kswapd lets waiters go
 * whenever it finds the reserves good, and a hopeless node throttles nobody. With
 * GFP flags without FS the wait lasts at most a second.
 *
 * A whole-machine shrink is the same run with a goal of any size, all zones and no throttle
 * (direct_shrink_all).
 *
 * Linux: try_to_free_pages(), do_try_to_free_pages() and shrink_all_memory() in mm/vmscan.c.
 */
#include "core/direct.h"

#include "core/alloc.h"
#include "core/compact.h"
#include "core/cpuset.h"
#include "core/event.h"
#include "core/freezer.h"
#include "core/kswapd.h"
#include "core/reclaim.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define DIRECT_GOAL_PAGES 32u
#define THROTTLE_NOFS_NS NSEC_PER_SEC
#define THROTTLE_LOOK_NS (10 * NSEC_PER_SEC) /* with FS there is no end; only another look */

static bool node_allowed(const struct direct_request *request, const struct node *node)
{
	return request->nodemask == NULL || ((*request->nodemask >> node->id) & 1);
}

/* ---- throttling on the reserves ---- */

static struct node *throttle_node(const struct direct_request *request)
{
	for (const struct zoneref *ref = request->zonelist->ref; ref->zone != NULL; ref++) {
		struct zone *zone = ref->zone;
		struct node *node = &zone->machine->nodes[zone->node];

		if (zone->type <= ZONE_NORMAL && node_allowed(request, node))
			return node;
	}
	return NULL;
}

/* Is the wait over? DIFF: programs are never frozen, and do not wait for a frozen kswapd. */
static bool may_pass(struct task *t, struct node *node)
{
	return kswapd_reserves_ok(t, node) || (t->flags & PF_EXITING) ||
	       freezer_is_on(t->machine) || atomic_load(&t->machine->stopping) != 0;
}

/* => true if a fatal signal is pending: the caller must not go on to kill anybody */
static bool throttle_on_reserves(struct task *t, const struct direct_request *request)
{
	struct node *node = throttle_node(request);
	bool fs = (request->gfp & GFP_BIT_FS) != 0;
	uint64_t end_ns = rt_now(t) + THROTTLE_NOFS_NS;

	if ((t->flags & (PF_KTHREAD | PF_EXITING)) || node == NULL || kswapd_reserves_ok(t, node))
		return false;
	event_add(t, EV_PGSCAN_DIRECT_THROTTLE, 1);
	/* event loop: kswapd wakes us when the reserves are good or it sleeps */
	for (;;) {
		uint32_t seq = waitq_begin(t, &node->pfmemalloc_wait);
		uint64_t now_ns = rt_now(t);
		bool over = may_pass(t, node) || (!fs && now_ns >= end_ns);

		if (!over)
			waitq_wait(t, &node->pfmemalloc_wait, seq,
				   fs ? THROTTLE_LOOK_NS : end_ns - now_ns);
		waitq_end(&node->pfmemalloc_wait);
		if (over)
			break;
	}
	return (t->flags & PF_EXITING) != 0;
}

/* ---- the run ---- */

/* A zone with room enough for compaction needs no reclaim for a costly order. */
static bool ready_for_compaction(struct task *t, struct zone *zone, const struct scan_control *sc)
{
	if (sc->order <= NEAP_COSTLY_ORDER || !reclaim_may_compact(sc))
		return false;
	enum compact_result result =
		compact_suit_zone(t, zone, (int32_t)sc->order, 0, sc->reclaim_idx);

	if (result != COMPACT_CONTINUE)
		return result == COMPACT_SUCCESS;
	return zone_watermark_ok_safe(zone, 0, zone_mark(zone, WMARK_HIGH) + compact_gap(sc->order),
				      sc->reclaim_idx, 0);
}

static void shrink_zones(struct task *t, const struct direct_request *request,
			 struct scan_control *sc)
{
	struct node *last = NULL;
	struct node *first = NULL;

	for (const struct zoneref *ref = request->zonelist->ref; ref->zone != NULL; ref++) {
		struct zone *zone = ref->zone;
		struct node *node = &zone->machine->nodes[zone->node];

		if (ref->index > sc->reclaim_idx || !node_allowed(request, node) ||
		    !cpuset_allows(t, node->id, GFP_USER))
			continue;
		if (ready_for_compaction(t, zone, sc)) {
			sc->compaction_ready = true;
			continue;
		}
		if (node == last)
			continue;
		if (first == NULL)
			first = node;
		last = node;
		reclaim_shrink_node(t, node, sc);
	}
	if (first == NULL)
		return;
	if (sc->nr_reclaimed > sc->nr_scanned / 8)
		waitq_wake(t, &first->reclaim_wait[WAIT_NOPROGRESS], UINT32_MAX);
	else if (sc->priority == 1 && sc->nr_reclaimed == 0)
		reclaim_throttle(t, first, WAIT_NOPROGRESS);
}

static void snapshot_refaults(const struct direct_request *request, uint32_t highest)
{
	struct node *last = NULL;

	for (const struct zoneref *ref = request->zonelist->ref; ref->zone != NULL; ref++) {
		struct zone *zone = ref->zone;
		struct node *node = &zone->machine->nodes[zone->node];

		if (ref->index > highest || node == last || !node_allowed(request, node))
			continue;
		last = node;
		reclaim_snapshot_refaults(node);
	}
}

/* Priorities 12 down to 0, until the goal is met. */
static void run_priorities(struct task *t, const struct direct_request *request,
			   struct scan_control *sc)
{
	event_add(t, (enum meter_item)(EV_ALLOCSTALL_DMA + (int)request->highest), 1);
	for (sc->priority = DEF_PRIORITY; sc->priority >= 0; sc->priority--) {
		sc->nr_scanned = 0;
		shrink_zones(t, request, sc);
		if (sc->nr_reclaimed >= sc->nr_to_reclaim || sc->compaction_ready)
			break;
		if (sc->priority < DEF_PRIORITY - 2)
			sc->may_writepage = true;
		rt_preempt(t);
	}
	snapshot_refaults(request, sc->reclaim_idx);
}

static uint64_t reclaim_run(struct task *t, const struct direct_request *request,
			    struct scan_control *sc)
{
	run_priorities(t, request, sc);
	if (sc->nr_reclaimed == 0 && !sc->compaction_ready && sc->skipped_deactivate) {
		sc->force_deactivate = true;
		sc->skipped_deactivate = false;
		run_priorities(t, request, sc);
	}
	if (sc->nr_reclaimed != 0)
		return sc->nr_reclaimed;
	/* Enough for compaction already: that is progress, too. */
	return sc->compaction_ready ? 1 : 0;
}

uint64_t direct_reclaim(struct task *t, const struct direct_request *request)
{
	struct neap_machine *m = t->machine;
	bool laptop = sysctl_get(&m->sysctl.laptop_mode) != 0;
	struct scan_control sc = { .nr_to_reclaim = DIRECT_GOAL_PAGES,
				   .nodemask = request->nodemask,
				   .order = request->order,
				   .reclaim_idx = request->highest,
				   .gfp_mask = gfp_in_context(t, request->gfp),
				   .may_writepage = !laptop,
				   .may_unmap = true,
				   .may_swap = true };

	/*
	 * The allocator set it: what reclaim allocates may use the reserves and never comes back
	 * here.
	 */
	CHECK(t->flags & PF_MEMALLOC);
	if (throttle_on_reserves(t, request))
		return 1;
	event_emit(t, MM_VMSCAN_DIRECT_RECLAIM_BEGIN, request->order, sc.gfp_mask);
	uint64_t freed = reclaim_run(t, request, &sc);

	event_emit(t, MM_VMSCAN_DIRECT_RECLAIM_END, freed);
	return freed;
}

uint64_t direct_shrink_all(struct task *t, struct neap_machine *m, uint64_t pages)
{
	const struct direct_request request = {
		.zonelist = &m->nodes[m->cpus[task_cpu(t)].node].fallback,
		.highest = NR_ZONES - 1,
		.gfp = GFP_HIGHUSER_MOVABLE,
	};
	struct scan_control sc = { .nr_to_reclaim = pages,
				   .reclaim_idx = request.highest,
				   .gfp_mask = request.gfp,
				   .may_writepage = true,
				   .may_unmap = true,
				   .may_swap = true,
				   .hibernation_mode = true };
	uint32_t memalloc = t->flags & PF_MEMALLOC;

	t->flags |= PF_MEMALLOC;
	uint64_t freed = reclaim_run(t, &request, &sc);

	t->flags = (t->flags & ~PF_MEMALLOC) | memalloc;
	return freed;
}
