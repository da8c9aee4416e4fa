/*
 * kswapd: keeps free memory between the marks, one thread a node (spec 12).
 *
 *                 wakeup (an allocation missed the low mark)
 *       ┌──────────────────────────────┐
 *       │                              v
 *   full sleep <── still balanced ── nap of 100 ms <── balanced ── balance_pgdat
 *                     │ woken in the nap ........... kswapd_low_wmark_hit_quickly
 *                     │ not balanced any more ...... kswapd_high_wmark_hit_quickly
 *                     └─> balance again
 *
 * A request is two words of the node: the order and the highest zone wanted. Wakers
 * raise them; kswapd takes both together when it begins a round. There is no
 * periodic wake-up: after its one nap kswapd sleeps until somebody needs it.
 *
 * Invariants (numbers of spec 12):
 *   4. no swap and no write-out while a boost is being worked off
 *   5. priority stays in 1..12; at least 10 while boosting
 *   6. balance returns the requested order or 0
 *   8. nobody is left waiting on the reserves while kswapd sleeps
 *
 * What must never happen: a lost wake-up. kswapd announces itself as a waiter
 * (kswapd_sleeping, and its place in the queue) before it looks at the node for the
 * last time; a waker records its request before it looks for a waiter.
 *
 * Linux: kswapd(), balance_pgdat() and friends in mm/vmscan.c.
 */
#include "core/kswapd.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/compact.h"
#include "core/cpuset.h"
#include "core/event.h"
#include "core/freezer.h"
#include "core/hotplug_cpu.h"
#include "core/kcompactd.h"
#include "core/lru.h"
#include "core/marks.h"
#include "core/psi.h"
#include "core/racy.h"
#include "core/reclaim.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define KSWAPD_NAP_NS (100 * NSEC_PER_MSEC)
#define NO_REQUEST NR_ZONES

void kswapd_init_node(struct node *node)
{
	atomic_store(&node->kswapd_highest_zone, NO_REQUEST);
}

/* The machine ends, or the node's memory is gone. */
static bool should_end(struct node *node)
{
	return atomic_load(&node->machine->stopping) != 0 || atomic_load(&node->stop_threads) != 0;
}

static bool should_not_sleep(struct node *node)
{
	return freezer_should_stop(node->machine) || should_end(node);
}

/* ---- tests ---- */

bool kswapd_balanced(const struct node *node, uint32_t order, uint32_t highest)
{
	bool any = false;

	for (uint32_t z = 0; z <= highest && z < NR_ZONES; z++) {
		const struct zone *zone = &node->zone[z];

		if (zone_managed(zone) == 0)
			continue;
		any = true;
		if (zone_watermark_ok_safe(zone, order, zone_mark(zone, WMARK_HIGH), highest, 0))
			return true;
	}
	return !any;
}

static bool node_boosted(const struct node *node, uint32_t highest)
{
	for (uint32_t z = 0; z <= highest && z < NR_ZONES; z++) {
		struct zone *zone = (struct zone *)(uintptr_t)&node->zone[z];

		if (zone_managed(zone) != 0 &&
		    atomic_load_explicit(&zone->boost, memory_order_relaxed) != 0)
			return true;
	}
	return false;
}

static bool node_hopeless(struct node *node)
{
	return atomic_load(&node->kswapd_failures) >= MAX_RECLAIM_RETRIES;
}

/* Free pages are above half of the min marks (of zones where reclaim can do something). */
static bool reserves_good(struct node *node)
{
	uint64_t reserve = 0;
	uint64_t free = 0;

	if (node_hopeless(node))
		return true;
	for (uint32_t z = 0; z <= ZONE_NORMAL; z++) {
		const struct zone *zone = &node->zone[z];

		/* A zone with nothing to reclaim counts by its free pages (late 6.1.y). */
		if (zone_managed(zone) == 0 ||
		    (zone_reclaimable_pages(zone) == 0 && zone_stat(zone, NR_FREE_PAGES) == 0))
			continue;
		reserve += zone_mark(zone, WMARK_MIN);
		free += zone_stat(zone, NR_FREE_PAGES);
	}
	return reserve == 0 || free > reserve / 2;
}

/*
 * The waker takes the sleeper off the queue: until it waits again nobody wakes it twice. One that
 * its timer has woken and that has not run since stays on it (2; in restored states only).
 */
static void take_off_queue(struct node *node)
{
	uint32_t sleeping = 1;

	atomic_compare_exchange_strong(&node->kswapd_sleeping, &sleeping, 0);
}

bool kswapd_reserves_ok(struct task *t, struct node *node)
{
	if (reserves_good(node))
		return true;
	if (atomic_load(&node->kswapd_sleeping)) {
		uint32_t zone = atomic_load(&node->kswapd_highest_zone);

		if (zone > ZONE_NORMAL)
			atomic_store(&node->kswapd_highest_zone, ZONE_NORMAL);
		take_off_queue(node);
		waitq_wake(t, &node->kswapd_wait, 1);
	}
	return false;
}

/* ---- waking ---- */

/* Raises the zone of the request: "none" counts as lowest. */
static void raise_zone(struct node *node, uint32_t highest)
{
	uint32_t now = atomic_load(&node->kswapd_highest_zone);

	while (now == NO_REQUEST || now < highest)
		if (atomic_compare_exchange_weak(&node->kswapd_highest_zone, &now, highest))
			return;
}

static void raise_order(struct node *node, uint32_t order)
{
	uint32_t now = atomic_load(&node->kswapd_order);

	while (now < order)
		if (atomic_compare_exchange_weak(&node->kswapd_order, &now, order))
			return;
}

void kswapd_wake(struct task *t, struct zone *zone, uint32_t gfp, uint32_t order, uint32_t highest)
{
	struct node *node = &t->machine->nodes[zone->node];

	if (zone_managed(zone) == 0 || !cpuset_allows(t, node->id, gfp))
		return;
	raise_zone(node, highest);
	raise_order(node, order);
	if (!atomic_load(&node->kswapd_sleeping))
		return;
	if (node_hopeless(node) ||
	    (kswapd_balanced(node, order, highest) && !node_boosted(node, highest))) {
		/* What is missing is a large block. Who can reclaim compacts for itself, too. */
		if (!(gfp & GFP_BIT_DIRECT_RECLAIM))
			kcompactd_wake(t, node, order, highest);
		return;
	}
	event_emit(t, MM_VMSCAN_WAKEUP_KSWAPD, node->id, order, gfp, highest);
	take_off_queue(node);
	waitq_wake(t, &node->kswapd_wait, 1);
}

/* ---- balancing ---- */

/* What one balance run carries from round to round. */
struct balance {
	struct node *node;
	struct scan_control sc;
	uint32_t highest;
	uint64_t boost;		       /* still to be worked off */
	uint64_t zone_boost[NR_ZONES]; /* seen at the start; removed at the end */
	bool was_boosted;
};

static void set_reclaim_active(struct balance *b, bool on)
{
	for (uint32_t z = 0; z <= b->highest && z < NR_ZONES; z++) {
		struct zone *zone = &b->node->zone[z];

		if (zone_managed(zone) == 0)
			continue;
		if (on)
			atomic_fetch_or(&zone->flags, ZONE_RECLAIM_ACTIVE);
		else
			atomic_fetch_and(&zone->flags, ~ZONE_RECLAIM_ACTIVE);
	}
}

static void note_boosts(struct balance *b)
{
	for (uint32_t z = 0; z <= b->highest && z < NR_ZONES; z++) {
		struct zone *zone = &b->node->zone[z];

		if (zone_managed(zone) == 0)
			continue;
		b->zone_boost[z] = atomic_load(&zone->boost);
		b->boost += b->zone_boost[z];
	}
	b->was_boosted = b->boost != 0;
}

static void remove_boosts(struct task *t, struct balance *b)
{
	for (uint32_t z = 0; z <= b->highest && z < NR_ZONES; z++) {
		struct zone *zone = &b->node->zone[z];

		if (b->zone_boost[z] == 0)
			continue;
		spin_lock(t, &zone->lock, LOCK_ZONE);
		uint64_t boost = atomic_load(&zone->boost);

		atomic_store(&zone->boost, boost - min_u64(boost, b->zone_boost[z]));
		marks_refresh(zone);
		spin_unlock(t, &zone->lock, LOCK_ZONE);
	}
}

/* One pass with the goal of spec 12, section 5. => scanned at least the goal */
static bool balance_shrink(struct task *t, struct balance *b)
{
	struct scan_control *sc = &b->sc;

	sc->nr_to_reclaim = 0;
	for (uint32_t z = 0; z <= sc->reclaim_idx && z < NR_ZONES; z++) {
		const struct zone *zone = &b->node->zone[z];

		if (zone_managed(zone) != 0)
			sc->nr_to_reclaim += max_u64(zone_mark(zone, WMARK_HIGH), SWAP_CLUSTER_MAX);
	}
	reclaim_shrink_node(t, b->node, sc);
	if (sc->order != 0 && sc->nr_reclaimed >= (uint64_t)2 << sc->order)
		sc->order = 0;
	return sc->nr_scanned >= sc->nr_to_reclaim;
}

static void age_active_anon(struct task *t, struct balance *b)
{
	if (atomic_load(&t->machine->nr_swap_total) > 0 && lru_inactive_is_low(&b->node->lruvec, 0))
		reclaim_shrink_active(t, b->node, &b->sc, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
}

enum round_result {
	ROUND_AGAIN,
	ROUND_BALANCED,
	ROUND_GIVE_UP,
};

static enum round_result balance_round(struct task *t, struct balance *b)
{
	struct scan_control *sc = &b->sc;
	uint64_t before = sc->nr_reclaimed;
	bool raise = true;

	sc->reclaim_idx = b->highest;
	bool balanced = kswapd_balanced(b->node, sc->order, b->highest);

	if (!balanced && b->boost != 0) {
		b->boost = 0;
		sc->priority = DEF_PRIORITY;
		set_reclaim_active(b, true);
		return ROUND_AGAIN;
	}
	if (b->boost == 0 && balanced)
		return ROUND_BALANCED;
	if (b->boost != 0 && sc->priority == DEF_PRIORITY - 2)
		raise = false;
	sc->may_writepage = sysctl_get(&t->machine->sysctl.laptop_mode) == 0 && b->boost == 0;
	sc->may_swap = b->boost == 0;
	age_active_anon(t, b);
	if (sc->priority < DEF_PRIORITY - 2)
		sc->may_writepage = true;
	sc->nr_scanned = 0;
	if (balance_shrink(t, b))
		raise = false;
	if (waitq_active(&b->node->pfmemalloc_wait) && reserves_good(b->node))
		waitq_wake(t, &b->node->pfmemalloc_wait, UINT32_MAX);
	/* Frozen in the middle of a run: thawed, it begins again from its queue. */
	if (freezer_wait(t, t->machine, &b->node->stop_threads) || should_end(b->node))
		return ROUND_GIVE_UP;
	uint64_t got = sc->nr_reclaimed - before;

	b->boost -= min_u64(b->boost, got);
	if (b->boost != 0 && got == 0)
		return ROUND_GIVE_UP;
	if (raise || got == 0)
		sc->priority--;
	return sc->priority >= 1 ? ROUND_AGAIN : ROUND_GIVE_UP;
}

/* => the order asked for, or 0 once enough was reclaimed for it */
static uint32_t kswapd_balance(struct task *t, struct node *node, uint32_t order, uint32_t highest)
{
	struct balance b = { .node = node, .highest = highest };
	enum round_result result;

	b.sc = (struct scan_control){ .order = order,
				      .priority = DEF_PRIORITY,
				      .gfp_mask = GFP_KERNEL,
				      .may_unmap = true,
				      .is_kswapd = true };
	event_add(t, EV_PAGEOUTRUN, 1);
	note_boosts(&b);
	set_reclaim_active(&b, true);
	do {
		DCHECK(b.sc.priority >= 1 && b.sc.priority <= DEF_PRIORITY);
		result = balance_round(t, &b);
		rt_preempt(t);
	} while (result == ROUND_AGAIN); /* event loop */
	if (result == ROUND_GIVE_UP && b.sc.nr_reclaimed == 0)
		atomic_fetch_add(&node->kswapd_failures, 1);
	set_reclaim_active(&b, false);
	if (b.was_boosted) {
		remove_boosts(t, &b);
		/* A boost tells of pageblocks that lost their type: pages may have to move back. */
		kcompactd_wake(t, node, NEAP_PAGEBLOCK_ORDER, highest);
	}
	reclaim_snapshot_refaults(node);
	return b.sc.order;
}

/* ---- sleeping ---- */

/* May kswapd sleep? Lets everybody go who waits for the reserves. */
static bool ready_to_sleep(struct task *t, struct node *node, uint32_t order, uint32_t highest)
{
	if (waitq_active(&node->pfmemalloc_wait))
		waitq_wake(t, &node->pfmemalloc_wait, UINT32_MAX);
	if (node_hopeless(node))
		return true;
	if (!kswapd_balanced(node, order, highest))
		return false;
	atomic_store(&node->lruvec.congested, 0);
	atomic_fetch_and(&node->flags, ~(NODE_FLAG_DIRTY | NODE_FLAG_WRITEBACK));
	return true;
}

/* The zone requested, or prev if there is no request. */
static uint32_t requested_zone(struct node *node, uint32_t prev)
{
	uint32_t zone = atomic_load(&node->kswapd_highest_zone);

	return zone == NO_REQUEST ? prev : zone;
}

/* => woken before the time was over */
static bool nap(struct task *t, struct node *node, uint32_t seq)
{
	return waitq_wait(t, &node->kswapd_wait, seq, KSWAPD_NAP_NS) != -ETIMEDOUT;
}

/* alloc_order: what was asked for; reclaim_order: what reclaim still aims at */
static void try_to_sleep(struct task *t, struct node *node, uint32_t alloc_order,
			 uint32_t reclaim_order, uint32_t highest)
{
	bool woken = false;

	if (should_not_sleep(node))
		return;
	uint32_t seq = waitq_begin(t, &node->kswapd_wait);

	atomic_store(&node->kswapd_sleeping, 1);
	if (ready_to_sleep(t, node, reclaim_order, highest)) {
		compact_hint_reset_node(t, node);
		kcompactd_wake(t, node, alloc_order, highest);
		woken = nap(t, node, seq);
		hotplug_cpu_widen(t, node, &node->kswapd_cpus);
		if (woken) {
			raise_zone(node, requested_zone(node, highest));
			raise_order(node, reclaim_order);
		}
		/*
		 * A waiter again: a wake-up from here on ends the full sleep below. The number
		 * first: a waker that still answers the nap changes it after it cleared the flag.
		 */
		seq = atomic_load(&node->kswapd_wait.seq);
		atomic_store(&node->kswapd_sleeping, 1);
	}
	if (!woken && ready_to_sleep(t, node, reclaim_order, highest)) {
		event_emit(t, MM_VMSCAN_KSWAPD_SLEEP, node->id);
		vmstat_node_thresholds(t, node, false);
		if (!should_not_sleep(node))
			waitq_wait(t, &node->kswapd_wait, seq, RT_FOREVER);
		hotplug_cpu_widen(t, node, &node->kswapd_cpus);
		vmstat_node_thresholds(t, node, true);
	} else {
		event_add(t,
			  woken ? EV_KSWAPD_LOW_WMARK_HIT_QUICKLY
				: EV_KSWAPD_HIGH_WMARK_HIT_QUICKLY,
			  1);
	}
	atomic_store(&node->kswapd_sleeping, 0);
	waitq_end(&node->kswapd_wait);
}

static int kswapd_main(struct task *t, void *arg)
{
	struct node *node = arg;
	uint32_t prev = requested_zone(node, NR_ZONES - 1);
	uint32_t reclaim_order = atomic_load(&node->kswapd_order);
	uint32_t alloc_order = reclaim_order;

	t->machine = node->machine;
	/* event loop */
	while (!should_end(node)) {
		try_to_sleep(t, node, alloc_order, reclaim_order, prev);
		alloc_order = atomic_exchange(&node->kswapd_order, 0);

		prev = requested_zone(node, prev);
		atomic_store(&node->kswapd_highest_zone, NO_REQUEST);
		if (should_end(node))
			break;
		/*
		 * After a thaw there is no balancing: the request just taken is lost, as in Linux.
		 */
		if (!freezer_wait(t, t->machine, &node->stop_threads)) {
			event_emit(t, MM_VMSCAN_KSWAPD_WAKE, node->id, alloc_order, prev);
			psi_memstall_enter(t);
			reclaim_order = kswapd_balance(t, node, alloc_order, prev);
			psi_memstall_leave(t);
			/* The order was dropped on purpose: decide about sleeping at order 0. */
			if (reclaim_order < alloc_order)
				continue;
		}
		reclaim_order = atomic_load(&node->kswapd_order);
		alloc_order = reclaim_order;
		prev = requested_zone(node, prev);
	}
	return 0;
}

int kswapd_run(struct task *t, struct node *node)
{
	char name[TASK_NAME_BYTES] = "kswapd";
	uint32_t at = 6;

	if (node->kswapd != NULL)
		return 0;
	if (node->id >= 10)
		name[at++] = (char)('0' + node->id / 10 % 10);
	name[at++] = (char)('0' + node->id % 10);
	name[at] = '\0';
	hotplug_cpu_bind(node, &node->kswapd_cpus);
	struct task_spec spec = { .name = name,
				  .fn = kswapd_main,
				  .arg = node,
				  .cpus = &node->kswapd_cpus,
				  .flags = PF_KTHREAD | PF_KSWAPD | PF_MEMALLOC };

	struct task *kswapd = NULL;
	int err = rt_spawn(t, &spec, &kswapd);

	racy_write(node->kswapd, kswapd);
	return err;
}

void kswapd_stop(struct task *t, struct node *node)
{
	if (node->kswapd == NULL)
		return;
	CHECK(should_end(node));
	waitq_wake(t, &node->kswapd_wait, UINT32_MAX);
	waitq_wake(t, &node->reclaim_wait[WAIT_WRITEBACK], UINT32_MAX);
	waitq_wake(t, &node->machine->freezer_wait, UINT32_MAX);
	rt_join(t, node->kswapd);
	racy_write(node->kswapd, NULL);
}
