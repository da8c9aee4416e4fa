/*
 * Shrinking lists and nodes (spec 11, sections 5, 7 and 8).
 *
 *   shrink_node ──> shrink_lruvec ──> active list:   32 pages down to inactive
 *        │                        └─> inactive list: isolate 32, decide one by one
 *        │                                           (pages.c), put the rest back
 *        ├── shrinkers: other caches give up their share (shrinker.c)
 *        ├── node flags DIRTY, WRITEBACK, lruvec CONGESTED from what was met
 *        └── again, while compaction wants more
 *
 * A list is never walked with its lock held: pages are isolated in batches of at
 * most 32, worked on without locks, and put back.
 *
 * Invariants: isolated counters return to their start after each batch; taken =
 * freed + put back; with no free swap, anonymous lists are not scanned at all.
 *
 * Linux: shrink_node() and below in mm/vmscan.c. DIFF: no memory groups yet.
 */
#include "core/reclaim.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/compact.h"
#include "core/event.h"
#include "core/kswapd.h"
#include "core/io.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/rmap.h"
#include "core/shrinker.h"
#include "core/tail.h"
#include "core/vmstat.h"
#include "core/writeback.h"

#define TICK_NS (4 * NSEC_PER_MSEC) /* HZ 250 */

static const uint64_t throttle_ns[NR_VMSCAN_WAITS] = {
	[WAIT_WRITEBACK] = 100 * NSEC_PER_MSEC,
	[WAIT_ISOLATED] = 20 * NSEC_PER_MSEC,
	[WAIT_NOPROGRESS] = TICK_NS,
	[WAIT_CONGESTED] = TICK_NS,
};

/* ---- waiting ---- */

/*
 * NOPROGRESS and CONGESTED are pointless unless most of the node's reclaimable pages are being
 * written.
 */
static bool skip_throttle(const struct node *node)
{
	struct node *n = (struct node *)(uintptr_t)node;
	uint64_t reclaimable = 0;
	uint64_t pending = 0;

	if (atomic_load(&n->kswapd_failures) >= MAX_RECLAIM_RETRIES)
		return true;
	for (uint32_t z = 0; z < NR_ZONES; z++) {
		if (zone_managed(&node->zone[z]) == 0)
			continue;
		reclaimable += zone_reclaimable_pages(&node->zone[z]);
		pending += zone_stat_exact(&node->zone[z], NR_ZONE_WRITE_PENDING);
	}
	return 2 * pending <= reclaimable;
}

/* How long a wait was as Linux tells it: in ticks that went by, at most the limit. */
static uint64_t delay_ns(uint64_t start_ns, uint64_t end_ns, uint64_t limit_ns)
{
	return min_u64(limit_ns, (end_ns / TICK_NS - start_ns / TICK_NS) * TICK_NS);
}

void reclaim_throttle(struct task *t, struct node *node, enum vmscan_wait reason)
{
	struct waitq *wq = &node->reclaim_wait[reason];
	uint64_t start_ns = rt_now(t);

	if ((t->flags & PF_KTHREAD) && !(t->flags & PF_KSWAPD)) {
		rt_yield(t);
		return;
	}
	if ((reason == WAIT_NOPROGRESS || reason == WAIT_CONGESTED) && skip_throttle(node)) {
		rt_preempt(t);
		return;
	}
	io_flush_plug(t);
	if (reason == WAIT_WRITEBACK && atomic_fetch_add(&node->nr_writeback_throttled, 1) == 0)
		atomic_store(&node->nr_reclaim_start, node_stat_exact(node, NR_THROTTLED_WRITTEN));
	uint32_t seq = waitq_begin(t, wq);

	waitq_wait(t, wq, seq, throttle_ns[reason]);
	waitq_end(wq);
	if (reason == WAIT_WRITEBACK)
		atomic_fetch_sub(&node->nr_writeback_throttled, 1);
	event_emit(t, MM_VMSCAN_THROTTLED, node->id, throttle_ns[reason] / NSEC_PER_USEC,
		   delay_ns(start_ns, rt_peek(t), throttle_ns[reason]) / NSEC_PER_USEC, reason);
}

/* ---- active lists ---- */

/* What the event says of a scan that passes over mapped pages: Linux's flag of that meaning. */
#define ISOLATE_UNMAPPED_ONLY 2u

/* A batch of pages from the tail of a list. */
struct batch {
	struct lru_isolate ctl;
	struct list pages; /* isolated; empty if tail.nr is not 0: these have been decided about */
	struct tail tail;
	uint64_t taken;
};

/*
 * Isolates up to ctl->want pages from a list, counting as the caller's kind does; or does without
 * where it is known what becomes of them, and counts as if they had been isolated.
 */
static void isolate(struct task *t, struct node *node, struct scan_control *sc, struct batch *batch)
{
	struct lru_isolate *ctl = &batch->ctl;
	struct lruvec *lruvec = &node->lruvec;
	bool file = ctl->list >= LRU_INACTIVE_FILE;

	lru_drain(t);
	ctl->lruvec = lruvec;
	ctl->zone_limit = sc->reclaim_idx;
	ctl->may_unmap = sc->may_unmap;
	cpu_pin(t);
	spin_lock(t, &lruvec->lock, LOCK_LRU);
	tail_decide(t, ctl, &batch->tail);
	batch->taken = batch->tail.nr;
	if (batch->taken == 0)
		batch->taken = lru_isolate(t, ctl, &batch->pages);
	spin_unlock(t, &lruvec->lock, LOCK_LRU);
	node_stat_add(t, node, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, (int64_t)batch->taken);
	cpu_unpin(t);
	event_emit(t, MM_VMSCAN_LRU_ISOLATE, sc->may_unmap ? 0 : ISOLATE_UNMAPPED_ONLY,
		   sc->reclaim_idx, sc->order, ctl->want, ctl->scanned + ctl->skipped, ctl->skipped,
		   batch->taken, ctl->list);
}

static void end_isolation(struct task *t, struct node *node, bool file, uint64_t taken)
{
	cpu_pin(t);
	node_stat_add(t, node, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, -(int64_t)taken);
	cpu_unpin(t);
}

/*
 * Young bits of a page about to be deactivated are cleared; only the text of a running program
 * stays: to read it back would stop the program at each step.
 * => true: it stays active
 */
static bool active_stays(struct task *t, struct page *page)
{
	uint32_t region_flags = 0;
	uint32_t young = 0;

	if (page_trylock(t, page)) {
		young = rmap_referenced(t, page, &region_flags);
		page_unlock(t, page);
	}
	return young != 0 && (region_flags & REGION_EXEC) && page_is_file_lru(page);
}

/* What became of a batch of an active list. */
struct refill {
	struct list keep, down; /* to be put back */
	uint64_t nr_kept, nr_down;
};

/* Pages of an active list, one by one. */
static void refill_pages(struct task *t, struct list *list, struct refill *refill)
{
	struct page *pages = t->machine->pages;

	while (!list_empty(list)) {
		uint32_t pfn = list->last;
		struct page *page = &pages[pfn];
		uint32_t nr_pages = page_nr(page);

		list_remove(pages, list, pfn);
		if (!page_test(page, PG_MLOCKED) && active_stays(t, page)) {
			list_add_head(pages, &refill->keep, pfn);
			refill->nr_kept += nr_pages;
			continue;
		}
		if (!page_test(page, PG_MLOCKED)) {
			page_clear(page, PG_ACTIVE);
			page_set(page, PG_WORKINGSET);
			refill->nr_down += nr_pages;
		}
		list_add_head(pages, &refill->down, pfn);
	}
}

void reclaim_shrink_active(struct task *t, struct node *node, struct scan_control *sc,
			   enum lru_list list, uint64_t nr)
{
	bool file = list >= LRU_INACTIVE_FILE;
	struct batch batch = { .ctl = { .list = list, .want = nr } };
	struct refill refill = { 0 };

	isolate(t, node, sc, &batch);
	event_add(t, EV_PGREFILL, batch.ctl.scanned + batch.ctl.skipped);
	if (batch.tail.nr != 0) {
		event_add(t, EV_SIM_PTE_WALK, batch.tail.nr_ptes);
		refill.nr_down = batch.tail.nr;
	} else {
		refill_pages(t, &batch.pages, &refill);
		lru_putback(t, node, &refill.keep);
		lru_putback(t, node, &refill.down);
	}
	event_add(t, EV_PGDEACTIVATE, refill.nr_down);
	end_isolation(t, node, file, batch.taken);
	event_emit(t, MM_VMSCAN_LRU_SHRINK_ACTIVE, node->id, batch.taken, refill.nr_kept,
		   refill.nr_down, refill.nr_kept, (uint64_t)sc->priority,
		   (file ? RECLAIM_FLAG_FILE : RECLAIM_FLAG_ANON) | RECLAIM_FLAG_ASYNC);
}

/* ---- inactive lists ---- */

static bool too_many_isolated(struct task *t, struct node *node, bool file,
			      const struct scan_control *sc)
{
	uint64_t inactive = node_stat(node, file ? NR_INACTIVE_FILE : NR_INACTIVE_ANON);
	uint64_t isolated = node_stat(node, file ? NR_ISOLATED_FILE : NR_ISOLATED_ANON);

	if (sc->is_kswapd)
		return false;
	if ((sc->gfp_mask & (GFP_BIT_IO | GFP_BIT_FS)) == (GFP_BIT_IO | GFP_BIT_FS))
		inactive >>= 3;
	if (isolated > inactive)
		return true;
	waitq_wake(t, &node->reclaim_wait[WAIT_ISOLATED], UINT32_MAX);
	return false;
}

static void count_scan(struct task *t, const struct scan_control *sc, bool file, uint64_t pages)
{
	cpu_pin(t);
	event_add_pinned(t, sc->is_kswapd ? EV_PGSCAN_KSWAPD : EV_PGSCAN_DIRECT, pages);
	event_add_pinned(t, file ? EV_PGSCAN_FILE : EV_PGSCAN_ANON, pages);
	cpu_unpin(t);
}

static void count_steal(struct task *t, const struct scan_control *sc, bool file, uint64_t pages)
{
	cpu_pin(t);
	event_add_pinned(t, sc->is_kswapd ? EV_PGSTEAL_KSWAPD : EV_PGSTEAL_DIRECT, pages);
	event_add_pinned(t, file ? EV_PGSTEAL_FILE : EV_PGSTEAL_ANON, pages);
	cpu_unpin(t);
}

static void tally(struct scan_control *sc, const struct reclaim_stat *stat, bool file,
		  uint64_t taken)
{
	sc->nr.dirty += stat->nr_dirty;
	sc->nr.congested += stat->nr_congested;
	sc->nr.unqueued_dirty += stat->nr_unqueued_dirty;
	sc->nr.writeback += stat->nr_writeback;
	sc->nr.immediate += stat->nr_immediate;
	sc->nr.taken += taken;
	if (file)
		sc->nr.file_taken += taken;
}

/* A batch whose pages all stay, as reclaim_page_list() tells it. */
static void tell_tail(struct task *t, const struct tail *tail, struct scan_control *sc,
		      struct reclaim_stat *stat)
{
	event_add(t, EV_SIM_PTE_WALK, tail->nr_ptes);
	if (tail->nr_up != 0)
		event_add(t, EV_PGACTIVATE, tail->nr_up);
	sc->nr_scanned += tail->nr;
	stat->nr_ref_keep = tail->nr - tail->nr_up;
	stat->nr_activate[0] = tail->nr_up;
}

/* => pages freed */
static uint64_t shrink_inactive(struct task *t, struct node *node, struct scan_control *sc,
				enum lru_list list, uint64_t nr)
{
	bool file = list == LRU_INACTIVE_FILE;
	struct batch batch = { .ctl = { .list = list, .want = nr } };
	const struct lru_isolate *ctl = &batch.ctl;
	struct reclaim_stat stat = { 0 };
	uint64_t freed = 0;
	bool waited = false;

	while (too_many_isolated(t, node, file, sc)) {
		if (waited)
			return 0;
		waited = true;
		reclaim_throttle(t, node, WAIT_ISOLATED);
		if (t->flags & PF_EXITING)
			return SWAP_CLUSTER_MAX;
	}
	isolate(t, node, sc, &batch);
	count_scan(t, sc, file, ctl->scanned + ctl->skipped);
	if (batch.taken == 0)
		return 0;
	if (batch.tail.nr != 0) {
		tell_tail(t, &batch.tail, sc, &stat);
	} else {
		freed = reclaim_page_list(t, node, &batch.pages, sc, &stat);
		lru_putback(t, node, &batch.pages);
	}
	count_steal(t, sc, file, freed);
	end_isolation(t, node, file, batch.taken);
	lru_note_cost(t, &node->lruvec, file, stat.nr_pageout);
	if (stat.nr_unqueued_dirty == batch.taken)
		writeback_wake(t, t->machine);
	tally(sc, &stat, file, batch.taken);
	event_emit(t, MM_VMSCAN_LRU_SHRINK_INACTIVE, node->id, ctl->scanned + ctl->skipped, freed,
		   stat.nr_dirty, stat.nr_writeback, stat.nr_congested, stat.nr_immediate,
		   stat.nr_activate[0], stat.nr_activate[1], stat.nr_ref_keep, stat.nr_unmap_fail,
		   (uint64_t)sc->priority,
		   (file ? RECLAIM_FLAG_FILE : RECLAIM_FLAG_ANON) | RECLAIM_FLAG_ASYNC);
	return freed;
}

static uint64_t shrink_list(struct task *t, struct node *node, struct scan_control *sc,
			    enum lru_list list, uint64_t nr)
{
	if (list == LRU_ACTIVE_ANON || list == LRU_ACTIVE_FILE) {
		uint32_t bit = list == LRU_ACTIVE_FILE ? DEACTIVATE_FILE : DEACTIVATE_ANON;

		if (sc->may_deactivate & bit)
			reclaim_shrink_active(t, node, sc, list, nr);
		else
			sc->skipped_deactivate = true;
		return 0;
	}
	return shrink_inactive(t, node, sc, list, nr);
}

/*
 * The goal is reached: gives the type with less left up, and cuts the other by the same share.
 * => false: one of the types is used up already, stop
 */
static bool proportional_stop(uint64_t nr[4], const uint64_t targets[4])
{
	uint64_t anon = nr[LRU_INACTIVE_ANON] + nr[LRU_ACTIVE_ANON];
	uint64_t file = nr[LRU_INACTIVE_FILE] + nr[LRU_ACTIVE_FILE];

	if (anon == 0 || file == 0)
		return false;
	uint32_t drop = file > anon ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
	uint32_t cut = file > anon ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
	uint64_t left = file > anon ? anon : file;
	uint64_t percent = left * 100 / (targets[drop] + targets[drop + 1] + 1);

	nr[drop] = 0;
	nr[drop + 1] = 0;
	for (uint32_t list = cut; list <= cut + 1; list++) {
		uint64_t done = targets[list] - nr[list];
		uint64_t goal = targets[list] * (100 - percent) / 100;

		nr[list] = goal - min_u64(goal, done);
	}
	return true;
}

static void shrink_lruvec(struct task *t, struct node *node, struct scan_control *sc)
{
	uint64_t nr[4];
	uint64_t targets[4];
	uint64_t got = 0;
	bool proportional = !sc->is_kswapd && sc->priority == DEF_PRIORITY;
	struct io_plug plug;

	balance_scan_count(t->machine, node, sc, nr, NULL);
	for (uint32_t list = 0; list < 4; list++)
		targets[list] = nr[list];
	io_plug(t, &plug);
	while (nr[LRU_INACTIVE_ANON] != 0 || nr[LRU_ACTIVE_FILE] != 0 ||
	       nr[LRU_INACTIVE_FILE] != 0) {
		for (uint32_t list = 0; list < 4; list++) {
			uint64_t batch = min_u64(nr[list], SWAP_CLUSTER_MAX);

			if (batch == 0)
				continue;
			nr[list] -= batch;
			got += shrink_list(t, node, sc, (enum lru_list)list, batch);
		}
		rt_preempt(t);
		if (got < sc->nr_to_reclaim || proportional)
			continue;
		if (!proportional_stop(nr, targets))
			break;
	}
	io_unplug(t);
	sc->nr_reclaimed += got;
	if (atomic_load(&t->machine->nr_swap_total) > 0 && lru_inactive_is_low(&node->lruvec, 0))
		reclaim_shrink_active(t, node, sc, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

/* ---- a node ---- */

/* What kswapd learns about the node from the pages it met (spec 11, section 7, step 4). */
static void note_node_state(struct task *t, struct node *node, const struct scan_control *sc)
{
	if (sc->nr.writeback != 0 && sc->nr.writeback == sc->nr.taken)
		atomic_fetch_or(&node->flags, NODE_FLAG_WRITEBACK);
	if (sc->nr.unqueued_dirty == sc->nr.file_taken)
		atomic_fetch_or(&node->flags, NODE_FLAG_DIRTY);
	if (sc->nr.immediate != 0)
		reclaim_throttle(t, node, WAIT_WRITEBACK);
}

/*
 * Should a pass for a high order go on (step 7)? Not once a zone has a block of the order, or so
 * much free memory that it could be compacted (spec 20, section 8): more reclaim would not help
 * then. DIFF: the fragmentation index of costly orders is not asked.
 */
static bool continue_for_order(struct task *t, struct node *node, const struct scan_control *sc,
			       uint64_t reclaimed)
{
	uint64_t gap = (uint64_t)2 << sc->order;
	uint64_t inactive = node_stat(node, NR_INACTIVE_FILE);
	enum wmark base = sc->order > NEAP_COSTLY_ORDER ? WMARK_LOW : WMARK_MIN;

	if (sc->order == 0 || !reclaim_may_compact(sc) ||
	    (sc->order <= NEAP_COSTLY_ORDER && sc->priority >= DEF_PRIORITY - 2) || reclaimed == 0)
		return false;
	for (uint32_t z = 0; z <= sc->reclaim_idx; z++) {
		struct zone *zone = &node->zone[z];

		if (zone_managed(zone) == 0)
			continue;
		if (compact_suit_zone(t, zone, (int32_t)sc->order, 0, sc->reclaim_idx) !=
		    COMPACT_SKIPPED)
			return false;
		if (zone_watermark_ok(zone, 0, zone_mark(zone, base) + gap, sc->reclaim_idx, 0))
			return false;
	}
	if (reclaim_can_swap(node->machine))
		inactive += node_stat(node, NR_INACTIVE_ANON);
	return inactive > gap;
}

/*
 * The lists, then other caches, which give up what falls to them. What slabs give back meanwhile
 * counts as reclaimed, whether a shrinker freed the objects or they went with the pages. (Nodes of
 * caches' indexes do not: Linux frees them when no reader is left, in nobody's pass.)
 */
static void shrink_all(struct task *t, struct node *node, struct scan_control *sc)
{
	struct reclaim_tally tally_of_slabs = { 0 };
	struct reclaim_tally *outer = t->tally;

	t->tally = &tally_of_slabs;
	shrink_lruvec(t, node, sc);
	(void)shrinker_shrink_node(t, node, sc->gfp_mask, sc->priority);
	t->tally = outer;
	sc->nr_reclaimed += tally_of_slabs.slab_pages;
}

void reclaim_shrink_node(struct task *t, struct node *node, struct scan_control *sc)
{
	bool progress = false;
	uint64_t reclaimed;

	do {
		uint64_t before = sc->nr_reclaimed;

		sc->nr.dirty = sc->nr.unqueued_dirty = sc->nr.congested = 0;
		sc->nr.writeback = sc->nr.immediate = sc->nr.file_taken = sc->nr.taken = 0;
		balance_prepare(t->machine, node, sc);
		shrink_all(t, node, sc);
		event_add(t, EV_SIM_NODE_PASS, 1);
		reclaimed = sc->nr_reclaimed - before;
		progress |= reclaimed != 0;
		if (sc->is_kswapd) {
			note_node_state(t, node, sc);
			if (sc->nr.dirty != 0 && sc->nr.dirty == sc->nr.congested)
				atomic_store(&node->lruvec.congested, 1);
		} else if (!sc->hibernation_mode && atomic_load(&node->lruvec.congested)) {
			reclaim_throttle(t, node, WAIT_CONGESTED);
		}
	} while (continue_for_order(t, node, sc,
				    reclaimed)); /* event loop: each round reclaimed something */
	if (progress)
		atomic_store(&node->kswapd_failures, 0);
}
