/*
 * One run of compaction over a zone, and those who ask for runs.
 *
 *   suitable? ─> positions ─> ┌─ finished? ──────────────────────> give targets back
 *                             │  migrate scanner: a bite of pages
 *                             │  migrate_pages(): targets from the free scanner
 *                             │  left a block of the order behind: flush, so that it merges
 *                             └─ captured? ──────────────────────> success
 *
 *   low end |moved away ....  M-->                <--F  ....... filled| high end
 *
 * The run ends when the scanners are in one pageblock, when there is a block, or when it
 * has to give up. Nothing is locked between the steps; other runs, reclaim and allocations
 * go on in the same zone.
 *
 * A direct run captures: a block that its own frees complete is taken in buddy_free(),
 * before anybody else can have it.
 *
 * Who asks: an allocation (compact_direct), kcompactd (kcompactd.c), the clock
 * (compact_node_proactive), an administrator (compact_node, compact_all).
 *
 * What must never happen: a page isolated, or a target held, after a run. Both lists are
 * empty at its end, whatever the result.
 *
 * Linux: compact_zone(), try_to_compact_pages(), compaction_capture() of mm/compaction.c
 * and mm/page_alloc.c, 6.1.
 */
#include "core/compact.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/event.h"
#include "core/lru.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/sysctl.h"
#include "core/vmstat.h"
#include "core/zonelist.h"

/* ---- capture ---- */

bool compact_capture_block(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order,
			   uint32_t type)
{
	struct compact_capture *capture = t->capture;

	if (capture->pfn != PFN_NONE || capture->zone != zone || capture->order != order ||
	    (t->flags & PF_KTHREAD))
		return false;
	/* Free pages of the contiguous area are counted apart, and not for everybody. */
	if (type == MT_ISOLATE || type == MT_CMA)
		return false;
	/* Small movable blocks are everybody's: one request shall not live off them. */
	if (order < NEAP_PAGEBLOCK_ORDER && type == MT_MOVABLE)
		return false;
	atomic_store_explicit(&t->machine->pages[pfn].flags, 0, memory_order_relaxed);
	capture->pfn = pfn;
	return true;
}

static bool captured(const struct compact_control *cc)
{
	return cc->capture != NULL && cc->capture->pfn != PFN_NONE;
}

/* ---- targets for the migration ---- */

static uint32_t target_get(struct task *t, void *arg)
{
	struct compact_control *cc = arg;

	if (list_empty(&cc->free))
		compact_free_scan(t, cc);
	uint32_t pfn = list_pop(t->machine->pages, &cc->free);

	if (pfn != PFN_NONE)
		cc->nr_free--;
	return pfn;
}

static void target_put(struct task *t, void *arg, uint32_t pfn)
{
	struct compact_control *cc = arg;

	list_add_head(t->machine->pages, &cc->free, pfn);
	cc->nr_free++;
}

static uint32_t target_peek(const void *arg)
{
	const struct compact_control *cc = arg;

	return cc->free.first;
}

/* ---- the run ---- */

/* What a run carries from bite to bite. */
struct run {
	uint32_t last_migrated; /* where the last bite with pages began; 0: flushed since */
	bool keep_in_step;	/* nothing was found yet: the sync position may follow */
};

static bool in_zone(const struct zone *zone, uint32_t pfn)
{
	return pfn >= zone->start_pfn && pfn < zone_end(zone);
}

/* Where the scanners begin. */
static void run_positions(struct compact_control *cc)
{
	struct zone *zone = cc->zone;
	uint32_t sync = cc->mode != MIGRATE_ASYNC;

	cc->migrate_pfn = zone->start_pfn;
	cc->free_pfn = pageblock_start(zone_end(zone) - 1);
	if (cc->whole_zone)
		return;
	uint32_t migrate = atomic_load(&zone->compact_cached_migrate[sync]);
	uint32_t free_pfn = atomic_load(&zone->compact_cached_free);

	if (in_zone(zone, free_pfn))
		cc->free_pfn = free_pfn;
	else
		atomic_store(&zone->compact_cached_free, cc->free_pfn);
	if (in_zone(zone, migrate)) {
		cc->migrate_pfn = migrate;
	} else {
		atomic_store(&zone->compact_cached_migrate[0], cc->migrate_pfn);
		atomic_store(&zone->compact_cached_migrate[1], cc->migrate_pfn);
	}
	if (cc->migrate_pfn <= atomic_load(&zone->compact_init_migrate))
		cc->whole_zone = true;
}

/* Moves what is isolated. => false: the run ends, contended */
static bool run_migrate(struct task *t, struct compact_control *cc, struct run *run)
{
	struct migrate_control control = {
		.mode = cc->mode,
		.reason = MIGRATE_FOR_COMPACTION,
		.get_target = target_get,
		.put_target = target_put,
		.peek_target = target_peek,
		.arg = cc,
	};
	int err = migrate_pages(t, &cc->migrate, &control);

	event_emit(t, MM_COMPACTION_MIGRATEPAGES, control.nr_moved,
		   cc->nr_migrate - control.nr_moved);
	cc->nr_migrate = 0;
	if (err == 0)
		return true;
	migrate_putback(t, &cc->migrate);
	if (err == -ENOMEM && cc->free_pfn >> PAGEBLOCK_SHIFT > cc->migrate_pfn >> PAGEBLOCK_SHIFT)
		return false;
	if (cc->direct && cc->mode == MIGRATE_ASYNC) {
		/* One page stays, so the rest of the block of the order need not go. */
		uint32_t order_pages = 1u << cc->order;

		cc->migrate_pfn = ((cc->migrate_pfn - 1) & ~(order_pages - 1)) + order_pages;
		run->last_migrated = 0;
	}
	return true;
}

/* A block of the order lies behind the scanner: what was freed there leaves the CPU's lists. */
static void run_flush(struct task *t, const struct compact_control *cc, struct run *run)
{
	if (cc->order <= 0 || run->last_migrated == 0 ||
	    run->last_migrated >= (cc->migrate_pfn & ~((1u << cc->order) - 1)))
		return;
	lru_drain(t);
	cpu_pin(t);
	pcp_drain(t, cc->zone, UINT32_MAX);
	cpu_unpin(t);
	run->last_migrated = 0;
}

/* One bite. => CONTINUE, or the result of the run */
static enum compact_result run_bite(struct task *t, struct compact_control *cc, struct run *run)
{
	struct zone *zone = cc->zone;
	uint32_t first = cc->migrate_pfn;

	cc->rescan = pageblock_start(run->last_migrated) == pageblock_start(first);
	switch (compact_scan_migrate(t, cc)) {
	case COMPACT_SCAN_ABORT:
		migrate_putback(t, &cc->migrate);
		cc->nr_migrate = 0;
		return COMPACT_CONTENDED;
	case COMPACT_SCAN_NONE:
		if (run->keep_in_step)
			atomic_store(&zone->compact_cached_migrate[1],
				     atomic_load(&zone->compact_cached_migrate[0]));
		break;
	case COMPACT_SCAN_SOME:
		run->keep_in_step = false;
		run->last_migrated = first;
		if (!run_migrate(t, cc, run))
			return COMPACT_CONTENDED;
		break;
	}
	run_flush(t, cc, run);
	return captured(cc) ? COMPACT_SUCCESS : COMPACT_CONTINUE;
}

/* Gives back what is held, and lets the next run begin there. */
static void run_end(struct task *t, struct compact_control *cc)
{
	_Atomic uint32_t *cached = &cc->zone->compact_cached_free;
	uint32_t highest = compact_free_release(t, cc);

	if (pageblock_start(highest) > atomic_load(cached))
		atomic_store(cached, pageblock_start(highest));
	cpu_pin(t);
	event_add_pinned(t, EV_COMPACT_MIGRATE_SCANNED, cc->nr_migrate_scanned);
	event_add_pinned(t, EV_COMPACT_FREE_SCANNED, cc->nr_free_scanned);
	cpu_unpin(t);
	DCHECK(list_empty(&cc->migrate) && list_empty(&cc->free));
	DCHECK(cc->nr_migrate == 0 && cc->nr_free == 0);
}

static void run_prepare(struct task *t, struct compact_control *cc)
{
	const struct list empty = { PFN_NONE, PFN_NONE };

	cc->type = gfp_migrate_type(t->machine, cc->gfp);
	cc->nr_migrate_scanned = 0;
	cc->nr_free_scanned = 0;
	cc->nr_migrate = 0;
	cc->nr_free = 0;
	cc->migrate = empty;
	cc->free = empty;
}

enum compact_result compact_zone(struct task *t, struct compact_control *cc)
{
	struct zone *zone = cc->zone;
	struct run run = { 0 };

	run_prepare(t, cc);
	enum compact_result result =
		compact_suit_zone(t, zone, cc->order, cc->alloc_flags, cc->highest);

	if (result != COMPACT_CONTINUE)
		return result;
	if (cc->order >= 0 && compact_defer_restarting(zone, (uint32_t)cc->order))
		compact_hint_reset(t, zone);
	run_positions(cc);
	run.keep_in_step =
		cc->mode == MIGRATE_ASYNC && atomic_load(&zone->compact_cached_migrate[0]) ==
						     atomic_load(&zone->compact_cached_migrate[1]);
	event_emit(t, MM_COMPACTION_BEGIN, zone->start_pfn, cc->migrate_pfn, cc->free_pfn,
		   zone_end(zone), cc->mode != MIGRATE_ASYNC);
	lru_drain(t);
	do {
		rt_preempt(t);
		result = compact_suit_finished(t, cc);
		if (result == COMPACT_CONTINUE)
			result = run_bite(t, cc, &run);
	} while (result == COMPACT_CONTINUE); /* event loop: each bite moves a scanner */
	run_end(t, cc);
	event_emit(t, MM_COMPACTION_END, zone->start_pfn, cc->migrate_pfn, cc->free_pfn,
		   zone_end(zone), cc->mode != MIGRATE_ASYNC, result);
	return result;
}

/* ---- for an allocation ---- */

static enum compact_result direct_zone(struct task *t, struct zone *zone,
				       const struct alloc_context *ac,
				       enum compact_priority priority,
				       struct compact_capture *capture)
{
	bool full = priority == COMPACT_PRIORITY_FULL;
	struct compact_control cc = {
		.zone = zone,
		.order = (int32_t)ac->order,
		.search_order = (int32_t)ac->order,
		.gfp = ac->gfp,
		.alloc_flags = ac->flags,
		.highest = ac->highest,
		.mode = priority == COMPACT_PRIORITY_ASYNC ? MIGRATE_ASYNC : MIGRATE_SYNC_LIGHT,
		.direct = true,
		.whole_zone = full,
		.ignore_skip_hint = full,
		.ignore_block_suitable = full,
		.capture = capture,
	};

	*capture = (struct compact_capture){ .zone = zone, .order = ac->order };
	t->capture = capture;
	enum compact_result result = compact_zone(t, &cc);

	t->capture = NULL;
	return captured(&cc) ? COMPACT_SUCCESS : result;
}

enum compact_result compact_direct(struct task *t, const struct alloc_context *ac,
				   enum compact_priority priority, struct compact_capture *capture)
{
	enum compact_result worst = COMPACT_SKIPPED;
	const struct zoneref *ref;

	capture->pfn = PFN_NONE;
	if (!(ac->gfp & GFP_BIT_IO))
		return COMPACT_SKIPPED;
	CHECK(t->capture == NULL);
	event_emit(t, MM_COMPACTION_TRY_TO_COMPACT_PAGES, ac->order, ac->gfp, priority);
	zonelist_for_each(ref, ac->zonelist, ac->highest, ac->nodemask)
	{
		struct zone *zone = ref->zone;

		if (priority > COMPACT_PRIORITY_FULL && compact_defer_test(t, zone, ac->order)) {
			worst = worst > COMPACT_DEFERRED ? worst : COMPACT_DEFERRED;
			continue;
		}
		enum compact_result result = direct_zone(t, zone, ac, priority, capture);

		worst = worst > result ? worst : result;
		if (result == COMPACT_SUCCESS) {
			compact_defer_success(t, zone, ac->order, false);
			break;
		}
		if (priority != COMPACT_PRIORITY_ASYNC &&
		    (result == COMPACT_COMPLETE || result == COMPACT_PARTIAL_SKIPPED))
			compact_defer_failure(t, zone, ac->order);
		if (t->flags & PF_EXITING)
			break;
	}
	return worst;
}

/* ---- for everybody ---- */

static void node_run(struct task *t, struct node *node, enum migrate_mode mode, bool proactive)
{
	for (uint32_t z = 0; z < NR_ZONES; z++) {
		struct compact_control cc = {
			.zone = &node->zone[z],
			.order = COMPACT_WHOLE,
			.search_order = COMPACT_WHOLE,
			.gfp = GFP_KERNEL,
			.mode = mode,
			.proactive = proactive,
			.whole_zone = true,
			.ignore_skip_hint = true,
		};

		if (zone_populated(cc.zone))
			compact_zone(t, &cc);
	}
}

void compact_node(struct task *t, struct node *node)
{
	lru_drain_all(t);
	node_run(t, node, MIGRATE_SYNC, false);
}

void compact_all(struct task *t, struct neap_machine *m)
{
	lru_drain_all(t);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		node_run(t, &m->nodes[n], MIGRATE_SYNC, false);
}

void compact_node_proactive(struct task *t, struct node *node)
{
	node_run(t, node, MIGRATE_SYNC_LIGHT, true);
}
