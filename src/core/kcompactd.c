/*
 * kcompactd: compaction in the background, one thread a node.
 *
 *                request (kswapd going to sleep, ...)
 *        ┌─────────────────────────────────┐
 *        │                                 v
 *   waiting ── every 0.5 s ──> score above the high mark?     each zone: deferred?
 *      ^  ^                      │ no         │ yes              suitable? run
 *      │  └──────────────────────┘            v                        │
 *      │                          compact until each zone's            │
 *      │                          score is at the low mark             │
 *      │      no better than before: wait 32 s │                       │
 *      └───────────────────────────────────────┴───────────────────────┘
 *
 * A request is two words of the node: the greatest order wanted and the lowest zone limit
 * of all who asked. The asker notes both before it looks whether the thread sleeps, so
 * nothing is lost; whether a run could help is only asked to spare a wake-up.
 *
 * The clock's half is proactive: it makes huge pages before anybody asks. How eager it is
 * says vm.compaction_proactiveness; 0 turns the clock off.
 *
 * What must never happen: a request cleared that came while it worked. Only what was taken
 * at the start of the work is cleared at its end.
 *
 * Linux: kcompactd() and below in mm/compaction.c, 6.1.
 */
#include "core/kcompactd.h"

#include "core/compact.h"
#include "core/event.h"
#include "core/psi.h"
#include "core/freezer.h"
#include "core/hotplug_cpu.h"
#include "core/pcp.h"
#include "core/racy.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define TICK_NS (4 * NSEC_PER_MSEC) /* HZ 250 */
#define PERIOD_TICKS 125u
#define BACK_OFF_PERIODS 64u
#define WHEEL_SLOTS 64u

void kcompactd_init_node(struct node *node)
{
	atomic_store(&node->kcompactd_max_order, 0);
	atomic_store(&node->kcompactd_highest_zone, node->nr_zones == 0 ? 0 : node->nr_zones - 1);
}

/* The machine ends, or the node's memory is gone. */
static bool should_end(struct node *node)
{
	return atomic_load(&node->machine->stopping) != 0 || atomic_load(&node->stop_threads) != 0;
}

/* ---- asking ---- */

static void raise_order(struct node *node, uint32_t order)
{
	uint32_t now = atomic_load(&node->kcompactd_max_order);

	while (now < order)
		if (atomic_compare_exchange_weak(&node->kcompactd_max_order, &now, order))
			return;
}

static void lower_zone(struct node *node, uint32_t highest)
{
	uint32_t now = atomic_load(&node->kcompactd_highest_zone);

	while (now > highest)
		if (atomic_compare_exchange_weak(&node->kcompactd_highest_zone, &now, highest))
			return;
}

static bool node_suits(struct task *t, struct node *node)
{
	uint32_t order = atomic_load(&node->kcompactd_max_order);
	uint32_t highest = atomic_load(&node->kcompactd_highest_zone);

	for (uint32_t z = 0; z <= highest && z < NR_ZONES; z++)
		if (zone_populated(&node->zone[z]) &&
		    compact_suit_zone(t, &node->zone[z], (int32_t)order, 0, highest) ==
			    COMPACT_CONTINUE)
			return true;
	return false;
}

void kcompactd_wake(struct task *t, struct node *node, uint32_t order, uint32_t highest)
{
	if (order == 0)
		return;
	raise_order(node, order);
	lower_zone(node, highest);
	if (!waitq_active(&node->kcompactd_wait) || !node_suits(t, node))
		return;
	event_emit(t, MM_COMPACTION_WAKEUP_KCOMPACTD, node->id, order, highest);
	waitq_wake(t, &node->kcompactd_wait, 1);
}

void kcompactd_trigger(struct task *t, struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];

		if (atomic_exchange(&node->kcompactd_trigger, 1) == 0)
			waitq_wake(t, &node->kcompactd_wait, 1);
	}
}

/* ---- work on request ---- */

static void work_zone(struct task *t, struct zone *zone, uint32_t order, uint32_t highest)
{
	struct compact_control cc = {
		.zone = zone,
		.order = (int32_t)order,
		.search_order = (int32_t)order,
		.gfp = GFP_KERNEL,
		.highest = highest,
		.mode = MIGRATE_SYNC_LIGHT,
	};
	enum compact_result result = compact_zone(t, &cc);

	if (result == COMPACT_SUCCESS) {
		compact_defer_success(t, zone, order, false);
	} else if (result == COMPACT_COMPLETE || result == COMPACT_PARTIAL_SKIPPED) {
		/* Nobody waits for the freed pages, which may lie on CPUs' lists for long. */
		pcp_drain_all(t, t->machine, zone);
		compact_defer_failure(t, zone, order);
	}
	cpu_pin(t);
	event_add_pinned(t, EV_COMPACT_DAEMON_MIGRATE_SCANNED, cc.nr_migrate_scanned);
	event_add_pinned(t, EV_COMPACT_DAEMON_FREE_SCANNED, cc.nr_free_scanned);
	cpu_unpin(t);
}

/* Forgets the request that was worked on, unless it has become a greater one. */
static void work_done(struct node *node, uint32_t order, uint32_t highest)
{
	uint32_t now = atomic_load(&node->kcompactd_max_order);

	while (now <= order)
		if (atomic_compare_exchange_weak(&node->kcompactd_max_order, &now, 0))
			break;
	if (atomic_load(&node->kcompactd_highest_zone) >= highest)
		atomic_store(&node->kcompactd_highest_zone, node->nr_zones - 1);
}

static void do_work(struct task *t, struct node *node)
{
	uint32_t order = atomic_load(&node->kcompactd_max_order);
	uint32_t highest = atomic_load(&node->kcompactd_highest_zone);

	event_emit(t, MM_COMPACTION_KCOMPACTD_WAKE, node->id, order, highest);
	event_add(t, EV_COMPACT_DAEMON_WAKE, 1);
	for (uint32_t z = 0; z <= highest && z < NR_ZONES; z++) {
		struct zone *zone = &node->zone[z];

		if (!zone_populated(zone) || compact_defer_test(t, zone, order) ||
		    compact_suit_zone(t, zone, (int32_t)order, 0, z) != COMPACT_CONTINUE)
			continue;
		if (should_end(node))
			return;
		work_zone(t, zone, order, highest);
	}
	work_done(node, order, highest);
}

/* ---- by the clock ---- */

/* => the run was of no use: leave the node alone for longer */
static bool do_proactive(struct task *t, struct node *node)
{
	if (sysctl_get(&t->machine->sysctl.compaction_proactiveness) == 0 ||
	    compact_suit_kswapd_runs(node))
		return false;
	uint32_t before = compact_suit_node_score(node);

	if (before <= compact_suit_score_high(t->machine))
		return false;
	compact_node_proactive(t, node);
	return compact_suit_node_score(node) >= before;
}

/* ---- the thread ---- */

/*
 * How long a sleep of that many ticks is. Linux's wheel of timers has 64 slots a level, and each
 * level's are eight times as long as those below it; what lies between two slots waits for the
 * later: a sleep of 125 ticks ends at the next multiple of eight behind them. So turns that take
 * less than 12 ms are 512 ms apart (as traced: 506 to 530, mostly 512), and stay in step.
 */
static uint64_t wheel_sleep_ns(uint64_t now_ns, uint64_t ticks)
{
	uint64_t slot_ticks = 1;

	while (ticks / slot_ticks >= WHEEL_SLOTS)
		slot_ticks *= 8;
	uint64_t end = (now_ns / TICK_NS + ticks) / slot_ticks + 1;

	return end * slot_ticks * TICK_NS - now_ns;
}

/*
 * The first sleep. A machine that is like a booted one takes over in the middle of a turn: when
 * boot started the clock is not among what it saved, and differs from boot to boot by more than a
 * period, so the seed draws it.
 */
static uint64_t first_sleep_ns(struct task *t)
{
	uint64_t sleep_ns = wheel_sleep_ns(rt_now(t), PERIOD_TICKS);

	return t->machine->booted ? rt_random(t) % sleep_ns + 1 : sleep_ns;
}

static bool wanted(struct node *node)
{
	return atomic_load(&node->kcompactd_max_order) > 0 ||
	       atomic_load(&node->kcompactd_trigger) != 0 || should_end(node);
}

/* Sleeps until there is something to do, or time is up; a freeze does not end it. */
static void wait_for_work(struct task *t, struct node *node, uint64_t timeout_ns)
{
	struct neap_machine *m = node->machine;
	bool again;

	do {
		uint32_t seq = waitq_begin(t, &node->kcompactd_wait);

		if (!wanted(node) && !freezer_should_stop(m))
			(void)waitq_wait(t, &node->kcompactd_wait, seq, timeout_ns);
		waitq_end(&node->kcompactd_wait);
		hotplug_cpu_widen(t, node, &node->kcompactd_cpus);
		again = freezer_wait(t, m, &node->stop_threads);
	} while (again); /* event loop */
}

static int kcompactd_main(struct task *t, void *arg)
{
	struct node *node = arg;
	struct neap_machine *m = node->machine;
	uint64_t timeout_ns, ticks;

	t->machine = m;
	timeout_ns = first_sleep_ns(t);
	/* event loop */
	while (!should_end(node)) {
		if (sysctl_get(&m->sysctl.compaction_proactiveness) == 0)
			timeout_ns = RT_FOREVER;
		event_emit(t, MM_COMPACTION_KCOMPACTD_SLEEP, node->id);
		wait_for_work(t, node, timeout_ns);
		ticks = PERIOD_TICKS;
		if (should_end(node))
			break;
		if (wanted(node) && !atomic_load(&node->kcompactd_trigger)) {
			psi_memstall_enter(t);
			do_work(t, node);
			psi_memstall_leave(t);
		} else {
			if (do_proactive(t, node))
				ticks *= BACK_OFF_PERIODS;
			atomic_store(&node->kcompactd_trigger, 0);
		}
		timeout_ns = wheel_sleep_ns(rt_now(t), ticks);
	}
	return 0;
}

int kcompactd_run(struct task *t, struct node *node)
{
	char name[TASK_NAME_BYTES] = "kcompactd";
	uint32_t at = 9;

	if (node->kcompactd != NULL)
		return 0;
	if (node->id >= 10)
		name[at++] = (char)('0' + node->id / 10 % 10);
	name[at++] = (char)('0' + node->id % 10);
	name[at] = '\0';
	hotplug_cpu_bind(node, &node->kcompactd_cpus);
	struct task_spec spec = { .name = name,
				  .fn = kcompactd_main,
				  .arg = node,
				  .cpus = &node->kcompactd_cpus,
				  .flags = PF_KTHREAD };
	struct task *kcompactd = NULL;
	int err = rt_spawn(t, &spec, &kcompactd);

	racy_write(node->kcompactd, kcompactd);
	return err;
}

void kcompactd_stop(struct task *t, struct node *node)
{
	if (node->kcompactd == NULL)
		return;
	CHECK(should_end(node));
	waitq_wake(t, &node->kcompactd_wait, UINT32_MAX);
	waitq_wake(t, &node->machine->freezer_wait, UINT32_MAX);
	rt_join(t, node->kcompactd);
	racy_write(node->kcompactd, NULL);
}
