/*
 * The rules of kswapd's thread, one test each (docs/rules.md): how it comes to be, its main loop,
 * how it goes to sleep. Sections 1 to 3.
 *
 *   main loop ─ try to sleep ─ take the request ─ freeze? stop? ─ balance ─┐
 *        ^                                                                 │
 *        └──── dropped to order 0: sleep by that; else what was asked ─────┘
 *
 * Every attempt to sleep is told apart by two tests of the node: (true, woken) counts LOW,
 * (true, false) and (false, false) count HIGH, (true, true) and (false, true) nothing.
 *
 * What must never happen here: a rule that is checked by its counters alone. The moments,
 * the words of the request and the trace's text are compared, too.
 */
#include "rules_fixture.h"

#include <errno.h>

#include "core/compact.h"
#include "core/freezer.h"
#include "core/hotplug_cpu.h"
#include "core/hotplug_mem.h"
#include "core/kswapd.h"
#include "core/sysctl.h"

/* ---- 1: threads ---- */

static void body_rule_12_1_1_one_thread_a_node_with_memory(struct machine_fixture *f)
{
	static const char *const names[3] = { "kswapd0", "kswapd1", "kswapd2" };

	for (uint32_t n = 0; n < 3; n++) {
		const struct task *kswapd = f->m->nodes[n].kswapd;

		assert_non_null(kswapd);
		assert_string_equal(kswapd->name, names[n]);
		/* In the order of nodes. */
		assert_true(n == 0 || kswapd->id > f->m->nodes[n - 1].kswapd->id);
	}
}
RULE(rule_12_1_1_one_thread_a_node_with_memory, .nr_nodes = 3, .nr_cpus = 3);

static void body_rule_12_1_2_page_cluster_by_size(struct machine_fixture *f)
{
	int32_t wanted = f->setup->pages < 4096 ? 2 : 3; /* 16 MiB are 4096 pages */

	assert_int_equal(sysctl_get(&f->m->sysctl.page_cluster), wanted);
}

static void rule_12_1_2_page_cluster_by_size(void **state)
{
	(void)state;
	for (uint32_t pages = 4095; pages <= 4096; pages++)
		machine_run(&(struct machine_setup){ .pages = pages },
			    body_rule_12_1_2_page_cluster_by_size);
}

/* Two nodes, the second without memory at first; a CPU each. */
static void run_hot_node(machine_body body)
{
	static struct machine_desc desc;

	desc = (struct machine_desc){ .nr_nodes = 2,
				      .nr_cpus = 2,
				      .has_swap = true,
				      .hot_first_pfn = 8192,
				      .hot_pages = 1024,
				      .block_pages = 1024 };
	desc.node[0].zone[ZONE_NORMAL] = (struct machine_zone_desc){
		.start_pfn = 1024, .spanned = 4096, .present = 4096, .managed = 4096
	};
	for (uint32_t n = 0; n < 2; n++) {
		cpumask_set(&desc.node[n].cpus, n);
		desc.node[n].distance[n] = 10;
		desc.node[n].distance[1 - n] = 20;
	}
	machine_run(&(struct machine_setup){ .desc = &desc }, body);
}

/* Later than at boot a thread that cannot be started is only missed: the memory comes. */
static void body_rule_12_1_3_failed_start_after_boot(struct machine_fixture *f)
{
	struct node *node = &f->m->nodes[1];
	uint32_t block;

	assert_int_equal(hotplug_mem_add(f->t, 1, 1, &block), 0);
	rt_sim_fail_spawn(f->rt, 1);
	assert_int_equal(hotplug_mem_online(f->t, block, HOTPLUG_KERNEL), 0);
	assert_null(node->kswapd);
	assert_int_equal(zone_managed(&node->zone[ZONE_NORMAL]), 1024);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
	rt_sim_fail_spawn(f->rt, 0);
}

static void rule_12_1_3_failed_start_after_boot(void **state)
{
	(void)state;
	run_hot_node(body_rule_12_1_3_failed_start_after_boot);
}

static void body_rule_12_1_4_start_is_a_noop_if_it_runs(struct machine_fixture *f)
{
	struct task *kswapd = f->node->kswapd;

	rt_sim_fail_spawn(f->rt, 1); /* would show */
	assert_int_equal(kswapd_run(f->t, f->node), 0);
	assert_ptr_equal(f->node->kswapd, kswapd);
	rt_sim_fail_spawn(f->rt, 0);
}
RULE(rule_12_1_4_start_is_a_noop_if_it_runs, 0);

static void body_rule_12_1_5_hot_add_starts_last_memory_stops(struct machine_fixture *f)
{
	struct node *node = &f->m->nodes[1];
	uint32_t block;

	assert_null(node->kswapd);
	assert_int_equal(hotplug_mem_add(f->t, 1, 1, &block), 0);
	assert_null(node->kswapd); /* memory that nobody may use yet */
	assert_int_equal(hotplug_mem_online(f->t, block, HOTPLUG_KERNEL), 0);
	assert_non_null(node->kswapd);
	assert_string_equal(node->kswapd->name, "kswapd1");
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
	assert_null(node->kswapd);
}

static void rule_12_1_5_hot_add_starts_last_memory_stops(void **state)
{
	(void)state;
	run_hot_node(body_rule_12_1_5_hot_add_starts_last_memory_stops);
}

/* CPUs 2 and 3 are node 1's. */
static bool may_run_on(struct machine_fixture *f, uint32_t first, uint32_t nr)
{
	struct node *node = &f->m->nodes[1];
	struct cpumask cpus = hotplug_cpu_mask(f->t, node, &node->kswapd_cpus);
	bool same = cpumask_count(&cpus) == nr;

	for (uint32_t cpu = first; cpu < first + nr; cpu++)
		same = same && cpumask_test(&cpus, cpu);
	return same;
}

static void lose_cpus_of_node_1(struct machine_fixture *f)
{
	assert_true(may_run_on(f, 2, 2));
	assert_int_equal(hotplug_cpu_offline(f->t, 2), 0);
	assert_int_equal(hotplug_cpu_offline(f->t, 3), 0);
	assert_true(may_run_on(f, 2, 2)); /* it sleeps, and does not know */
	kswapd_wake(f->t, &f->m->nodes[1].zone[ZONE_NORMAL], GFP_KERNEL, 0, ZONE_NORMAL);
	atomic_store(&f->m->nodes[1].kswapd_sleeping, 0);
	waitq_wake(f->t, &f->m->nodes[1].kswapd_wait, 1);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_true(may_run_on(f, 0, 4));
}

static void body_rule_12_1_6_bound_once(struct machine_fixture *f)
{
	rules_rest(f);
	lose_cpus_of_node_1(f);
	assert_int_equal(hotplug_cpu_online(f->t, 2), 0);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_true(may_run_on(f, 0, 4));
	assert_int_equal(hotplug_cpu_online(f->t, 3), 0);
	assert_true(may_run_on(f, 0, 4));
}
RULE(rule_12_1_6_bound_once, .nr_nodes = 2, .nr_cpus = 4);

static void body_rule_12_1_7_rebound_on_cpu_online_as_5_0(struct machine_fixture *f)
{
	f->m->kswapd_rebinds = true;
	rules_rest(f);
	lose_cpus_of_node_1(f);
	assert_int_equal(hotplug_cpu_online(f->t, 2), 0);
	assert_true(may_run_on(f, 2, 1));
	assert_int_equal(hotplug_cpu_online(f->t, 3), 0);
	assert_true(may_run_on(f, 2, 2));
}
RULE(rule_12_1_7_rebound_on_cpu_online_as_5_0, .nr_nodes = 2, .nr_cpus = 4);

static void body_rule_12_1_8_task_flags(struct machine_fixture *f)
{
	assert_int_equal(f->node->kswapd->flags & (PF_MEMALLOC | PF_KSWAPD | PF_KTHREAD),
			 PF_MEMALLOC | PF_KSWAPD | PF_KTHREAD);
}
RULE(rule_12_1_8_task_flags, 0);

/* Asked to freeze, it does so from its full sleep, and sleeps again when it is thawed. */
static void body_rule_12_1_9_freezable(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_count(f, &before);
	freezer_freeze(f->t, f->m);
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 0);
	assert_true(atomic_load(&f->m->nr_frozen) >= 1);
	freezer_freeze(f->t, f->m);
	freezer_thaw(f->t, f->m); /* of two */
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_true(atomic_load(&f->m->nr_frozen) >= 1);
	freezer_thaw(f->t, f->m);
	rules_rest(f);
	assert_nothing_moved(f, &before);
}
RULE(rule_12_1_9_freezable, 0);

static void body_rule_12_1_10_fields_at_start(struct machine_fixture *f)
{
	assert_int_equal(atomic_load(&f->node->kswapd_order), 0);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), RULES_NO_REQUEST);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
	assert_int_equal(atomic_load(&f->node->nr_writeback_throttled), 0);
	assert_false(waitq_active(&f->node->pfmemalloc_wait));
	for (uint32_t i = 0; i < NR_VMSCAN_WAITS; i++)
		assert_false(waitq_active(&f->node->reclaim_wait[i]));
}
RULE(rule_12_1_10_fields_at_start, 0);

/* ---- 2: main loop ---- */

static uint32_t order_at_wake, zone_at_wake;

static void probe_request_at_wake(struct task *t, const struct event_record *record)
{
	if (record->id != TE_MM_VMSCAN_KSWAPD_WAKE)
		return;
	order_at_wake = atomic_load(&t->machine->nodes[0].kswapd_order);
	zone_at_wake = atomic_load(&t->machine->nodes[0].kswapd_highest_zone);
}

/* Both words are taken together, before it begins to balance; and it says what it took. */
static void body_rule_12_2_1_request_is_taken_after_the_sleep(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };

	(void)machine_cached_file(f, 1000);
	rules_rest(f);
	order_at_wake = zone_at_wake = 77;
	rules_set_probe(f, probe_request_at_wake);
	rules_trace(f);
	rules_sink(f, &hoard, WMARK_LOW);
	rules_wake(f, 1, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kswapd_order), 1);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_MSEC);
	assert_int_equal(order_at_wake, 0);
	assert_int_equal(zone_at_wake, RULES_NO_REQUEST);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=1");
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 0)->arg[2],
			 ZONE_NORMAL);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_2_1_request_is_taken_after_the_sleep, 0);

/* Woken by the freezer it takes the request that is there, freezes, and forgets it. */
static void body_rule_12_2_2_frozen_request_is_lost(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 500);
	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	rules_wake(f, 3, ZONE_NORMAL); /* balanced: noted, but nobody is woken */
	assert_int_equal(atomic_load(&f->node->kswapd_order), 3);
	freezer_freeze(f->t, f->m);
	assert_int_equal(atomic_load(&f->node->kswapd_order), 0);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), RULES_NO_REQUEST);
	freezer_thaw(f->t, f->m);
	rules_rest(f);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_WAKE), 0);
	assert_lines(events, "mm_vmscan_kswapd_sleep: nid=0");
	assert_nothing_moved(f, &before);
	test_free(events);
}
RULE(rule_12_2_2_frozen_request_is_lost, 0);

/* A request made while it is frozen is kept, and served when it goes on. */
static void body_rule_12_2_2_request_to_a_frozen_is_kept(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct rules_counts before;

	(void)machine_cached_file(f, 1000);
	rules_rest(f);
	freezer_freeze(f->t, f->m);
	rules_sink(f, &hoard, WMARK_LOW);
	rules_trace(f);
	rules_count(f, &before);
	rules_wake(f, 1, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_nothing_moved(f, &before);
	freezer_thaw(f->t, f->m);
	rt_sleep(f->t, NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	/* Not balanced at its first look after the thaw. */
	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=1");
	assert_moved(f, &before, { "pageoutrun", 1 }, { "kswapd_high_wmark_hit_quickly", 1 },
		     { "pgscan_kswapd", RULES_SOME }, { "pgscan_file", RULES_SOME },
		     { "pgsteal_kswapd", RULES_SOME }, { "pgsteal_file", RULES_SOME });
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_2_2_request_to_a_frozen_is_kept, 0);

/* Told to stop in the middle of its work it leaves; the request is nobody's business any more. */
static void body_rule_12_2_3_stop_during_a_run(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 3000);
	rules_rest(f);
	rules_count(f, &before);
	rules_never_balanced(f, true);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 20 * NSEC_PER_USEC);
	assert_moved(f, &before, { "pageoutrun", 1 }, { "pgscan_kswapd", RULES_SOME },
		     { "pgscan_file", RULES_SOME }, { "pgsteal_kswapd", RULES_SOME },
		     { "pgsteal_file", RULES_SOME });
	atomic_store(&f->node->stop_threads, 1);
	kswapd_stop(f->t, f->node);
	assert_null(f->node->kswapd);
	rules_count(f, &before);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_nothing_moved(f, &before);
	rules_never_balanced(f, false);
	/* A stopped one can be started again; at boot there is always one. */
	atomic_store(&f->node->stop_threads, 0);
	assert_int_equal(kswapd_run(f->t, f->node), 0);
}
RULE(rule_12_2_3_stop_during_a_run, 0);

/* A frozen one can be stopped, too: memory goes while the machine is suspended. */
static void body_rule_12_2_3_stop_while_frozen(struct machine_fixture *f)
{
	struct node *node = &f->m->nodes[1];
	uint32_t block;

	assert_int_equal(hotplug_mem_add(f->t, 1, 1, &block), 0);
	assert_int_equal(hotplug_mem_online(f->t, block, HOTPLUG_KERNEL), 0);
	freezer_freeze(f->t, f->m);
	uint32_t nr = atomic_load(&f->m->nr_frozen);

	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
	assert_null(node->kswapd);
	assert_int_equal(atomic_load(&f->m->nr_frozen), nr - 2); /* kcompactd1 as well */
	/* One that starts meanwhile freezes at once. */
	assert_int_equal(hotplug_mem_online(f->t, block, HOTPLUG_KERNEL), 0);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->m->nr_frozen), nr);
	freezer_thaw(f->t, f->m);
	assert_int_equal(hotplug_mem_offline(f->t, block), 0);
}

static void rule_12_2_3_stop_while_frozen(void **state)
{
	(void)state;
	run_hot_node(body_rule_12_2_3_stop_while_frozen);
}

static void probe_ask_for_order_3(struct task *t, const struct event_record *record)
{
	struct node *node = &t->machine->nodes[0];

	if (record->id != TE_MM_VMSCAN_LRU_ISOLATE || !(t->flags & PF_KSWAPD) ||
	    atomic_load(&node->kswapd_highest_zone) != RULES_NO_REQUEST || order_at_wake != 0)
		return;
	order_at_wake = 1;
	kswapd_wake(t, &node->zone[ZONE_NORMAL], GFP_KERNEL, 3, ZONE_NORMAL);
}

/* A request that comes while it balances is read at the top of the loop, and decides on sleep. */
static void body_rule_12_2_4_request_during_a_run_is_seen(struct machine_fixture *f)
{
	struct rules_pieces pieces;
	struct rules_counts before;

	order_at_wake = 0;
	rules_make_pieces(f, &pieces, 1200);
	rules_trace(f);
	rules_count(f, &before);
	rules_set_probe(f, probe_ask_for_order_3);
	machine_hoard(f, &pieces.rest, zone_mark(f->zone, WMARK_LOW) - 1);
	vmstat_fold_all(f->t, f->m);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	/* Good for order 0, not for 3: no sleep in between. */
	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=0",
		     "mm_vmscan_kswapd_wake: nid=0 order=3", "mm_vmscan_kswapd_sleep: nid=0");
	assert_moved(f, &before, { "pageoutrun", 2 }, { "kswapd_high_wmark_hit_quickly", 1 },
		     { "compact_daemon_wake", 1 }, { "pgscan_kswapd", RULES_SOME },
		     { "pgscan_file", RULES_SOME }, { "pgsteal_kswapd", RULES_SOME },
		     { "pgsteal_file", RULES_SOME });
	rules_end_pieces(f, &pieces);
	test_free(events);
}
RULE(rule_12_2_4_request_during_a_run_is_seen, 0);

/*
 * An order that was dropped after enough reclaim is no failure: sleep is decided at order 0, and
 * kcompactd is handed the order that was asked for.
 */
static void body_rule_12_2_5_dropped_order_sleeps_at_order_0(struct machine_fixture *f)
{
	struct rules_pieces pieces;
	struct rules_counts before;

	rules_make_pieces(f, &pieces, 1200);
	rules_trace(f);
	rules_count(f, &before);
	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	assert_false(kswapd_balanced(f->node, 3, ZONE_NORMAL));
	rules_wake(f, 3, ZONE_NORMAL);
	rt_sleep(f->t, 20 * NSEC_PER_MSEC);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=3",
		     "mm_compaction_wakeup_kcompactd: nid=0 order=3 classzone_idx=Normal  ",
		     "mm_vmscan_kswapd_sleep: nid=0");
	assert_moved(f, &before, { "pageoutrun", 1 }, { "compact_daemon_wake", 1 },
		     { "pgscan_kswapd", 16 }, { "pgscan_file", 16 }, { "pgsteal_kswapd", 16 },
		     { "pgsteal_file", 16 });
	rules_end_pieces(f, &pieces);
	test_free(events);
}
RULE(rule_12_2_5_dropped_order_sleeps_at_order_0, 0);

/* Without a request the zone is the one of last time; before the first one, the highest of all. */
static void body_rule_12_2_6_zone_without_a_request(struct machine_fixture *f)
{
	rules_rest(f);
	rules_trace(f);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	atomic_store(&f->node->zone[ZONE_DMA].boost, 1);
	marks_refresh(&f->node->zone[ZONE_DMA]);
	kswapd_wake(f->t, &f->node->zone[ZONE_DMA], GFP_KERNEL, 1, ZONE_DMA);
	rt_sleep(f->t, NSEC_PER_SEC);
	/* It has gone to sleep with the zone that it was asked for. */
	assert_int_equal(atomic_load(&f->node->kcompactd_highest_zone), ZONE_DMA);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);
	static const uint64_t zones[3] = { NR_ZONES - 1, ZONE_DMA, ZONE_DMA };

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=0",
		     "mm_vmscan_kswapd_wake: nid=0 order=1",
		     "mm_vmscan_kswapd_wake: nid=0 order=0");
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, i)->arg[2],
				 zones[i]);
	test_free(events);
}
RULE(rule_12_2_6_zone_without_a_request, .dma_pages = 1024);

/* ---- 3: going to sleep ---- */

static void probe_freeze_and_balance(struct task *t, const struct event_record *record)
{
	struct machine_fixture *f = rules_running();

	if (record->id != TE_MM_VMSCAN_KSWAPD_WAKE || atomic_load(&t->machine->freezing) != 0)
		return;
	rules_never_balanced(f, false);
	atomic_store(&t->machine->freezing, 1);
}

/* Freezing, it does not even look whether it could sleep: nothing is counted, nobody let go. */
static void body_rule_12_3_0_no_sleep_while_freezing(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	rules_never_balanced(f, true);
	rules_set_probe(f, probe_freeze_and_balance);
	atomic_store(&f->node->lruvec.congested, 1);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 0);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 1);
	assert_moved(f, &before, { "pageoutrun", 1 });
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 0);
	event_hook_stop(f->m);
	freezer_thaw(f->t, f->m);
	rules_rest(f);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 0);
	test_free(events);
}
RULE(rule_12_3_0_no_sleep_while_freezing, 0);

/* A program that waits for the reserves, whatever they are like. */
struct waiter {
	struct waitq *wq;
	uint64_t woken_ns; /* 0: it waits */
};

static int waiter_main(struct task *t, void *arg)
{
	struct waiter *w = arg;
	uint32_t seq = waitq_begin(t, w->wq);

	(void)waitq_wait(t, w->wq, seq, 5 * NSEC_PER_SEC);
	waitq_end(w->wq);
	w->woken_ns = rt_now(t);
	return 0;
}

static struct task *start_waiter(struct machine_fixture *f, struct waiter *w)
{
	const struct task_spec spec = { .name = "waiter", .fn = waiter_main, .arg = w };
	struct task *task;

	assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
	rt_sleep(f->t, NSEC_PER_MSEC);
	assert_int_equal(w->woken_ns, 0);
	return task;
}

/* The test whether it may sleep lets everybody go, even if the node is not balanced. */
static void body_rule_12_3_1_waiters_are_let_go(struct machine_fixture *f)
{
	struct waiter w = { .wq = &f->node->pfmemalloc_wait };
	struct fixture_hoard hoard = { 0 };

	rules_rest(f);
	struct task *task = start_waiter(f, &w);
	uint64_t start_ns = rt_now(f->t);

	/* No page to reclaim, reserves as good as gone: the balance itself lets nobody go. */
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_MIN) / 4);
	vmstat_fold_all(f->t, f->m);
	rules_kick(f);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	assert_in_range(w.woken_ns, start_ns, start_ns + 10 * NSEC_PER_MSEC);
	assert_false(waitq_active(&f->node->pfmemalloc_wait));
	machine_release(f, &hoard, UINT64_MAX);
	(void)rt_join(f->t, task);
}
RULE(rule_12_3_1_waiters_are_let_go, 0);

static void set_node_flags(struct machine_fixture *f)
{
	atomic_store(&f->node->lruvec.congested, 1);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY | NODE_FLAG_WRITEBACK);
}

static void body_rule_12_3_2_hopeless_may_sleep(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	rules_never_balanced(f, true);
	set_node_flags(f);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 1);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	/* One more failure made it hopeless: nap and sleep, although nothing is balanced. */
	assert_int_equal(atomic_load(&f->node->kswapd_failures), MAX_RECLAIM_RETRIES);
	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=0",
		     "mm_vmscan_kswapd_sleep: nid=0");
	assert_moved(f, &before, { "pageoutrun", 1 });
	/* What was known of the node stays known. */
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 1);
	assert_int_equal(atomic_load(&f->node->flags), NODE_FLAG_DIRTY | NODE_FLAG_WRITEBACK);
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_3_2_hopeless_may_sleep, 0);

static void body_rule_12_3_3_balanced_clears_flags(struct machine_fixture *f)
{
	rules_rest(f);
	set_node_flags(f);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 0);
	assert_int_equal(atomic_load(&f->node->flags), 0);
}
RULE(rule_12_3_3_balanced_clears_flags, 0);

/* Before the nap: compaction forgets its skip bits after a full scan; kcompactd gets the order. */
static void body_rule_12_3_4_before_the_nap(struct machine_fixture *f)
{
	struct region *region = rules_old_region(f, 600);
	struct page *page = machine_page_at(f, region, 300);
	uint32_t block = (uint32_t)(page - f->m->pages) / NEAP_PAGEBLOCK_PAGES;

	rules_rest(f);
	atomic_fetch_or(&f->m->compact_skip[block / 64], UINT64_C(1) << block % 64);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	/* No full scan has ended: the bit stays. */
	assert_true((atomic_load(&f->m->compact_skip[block / 64]) >> block % 64) & 1);
	atomic_store(&f->zone->compact_blockskip_flush, 1);
	/* A request that it finds at the top of its loop is one that it would sleep on. */
	rules_trace(f);
	freezer_freeze(f->t, f->m);
	rules_wake(f, 2, ZONE_NORMAL);
	freezer_thaw(f->t, f->m);
	rt_sleep(f->t, 5 * NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->zone->compact_blockskip_flush), 0);
	assert_false((atomic_load(&f->m->compact_skip[block / 64]) >> block % 64) & 1);
	struct fixture_events *events = rules_events(f);

	/* Thawed as well, kcompactd finds the order without being woken once more. */
	assert_lines(events, "mm_compaction_kcompactd_wake: nid=0 order=2 classzone_idx=Normal  ");
	test_free(events);
}
RULE(rule_12_3_4_before_the_nap, 0);

/* Woken in the nap: LOW; order and zone of the waker are combined with what reclaim aimed at. */
static void body_rule_12_3_5_woken_in_the_nap_counts_low(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct rules_counts before;

	(void)machine_cached_file(f, 2000);
	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	atomic_store(&f->node->kswapd_order, 2);
	atomic_store(&f->node->kswapd_highest_zone, ZONE_NORMAL);
	rules_kick(f);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	assert_moved(f, &before, { "pageoutrun", 1 });
	rules_sink(f, &hoard, WMARK_LOW);
	rules_wake(f, 1, ZONE_DMA32); /* no zone there: good, so it is not woken by this */
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), ZONE_DMA32);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	/* The run before was for order 2, and reached it: that is not asked for again. */
	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=2",
		     "mm_vmscan_wakeup_kswapd: nid=0 order=0 gfp_flags=GFP_KERNEL",
		     "mm_vmscan_kswapd_wake: nid=0 order=1");
	assert_moved(f, &before, { "pageoutrun", 2 }, { "kswapd_low_wmark_hit_quickly", 1 },
		     { "pgscan_kswapd", RULES_SOME }, { "pgscan_file", RULES_SOME },
		     { "pgsteal_kswapd", RULES_SOME }, { "pgsteal_file", RULES_SOME });
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_3_5_woken_in_the_nap_counts_low, 0);

/* Woken in the nap after a run that still aims at an order: the order is asked for again. */
static void body_rule_12_3_6_woken_in_the_nap_keeps_the_order(struct machine_fixture *f)
{
	rules_rest(f);
	/* A request that comes while it naps for a higher one. */
	order_at_wake = 0;
	rules_trace(f);
	atomic_store(&f->node->kswapd_order, 4);
	freezer_freeze(f->t, f->m); /* it takes the 4 and freezes */
	rules_wake(f, 4, ZONE_NORMAL);
	freezer_thaw(f->t, f->m);
	/* Now it naps with order 4 for both numbers, and the words still hold the request. */
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	atomic_store(&f->node->kswapd_order, 1);
	atomic_store(&f->node->kswapd_highest_zone, RULES_NO_REQUEST);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=4");
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 0)->arg[2],
			 ZONE_NORMAL);
	test_free(events);
}
RULE(rule_12_3_6_woken_in_the_nap_keeps_the_order, 0);

/* A nap of 100 ms that nobody ends, then the full sleep: traced, and not counted. */
static void body_rule_12_3_7_full_sleep_after_the_nap(struct machine_fixture *f)
{
	struct rules_counts before;
	int32_t normal = f->zone->threshold_normal;
	int32_t pressure = f->zone->threshold_pressure;

	rules_rest(f);
	assert_int_equal(f->zone->pcp[0].threshold, normal);
	assert_true(pressure < normal);
	rules_trace(f);
	rules_count(f, &before);
	uint64_t start_ns = rt_now(f->t);

	rules_kick(f);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	assert_int_equal(f->zone->pcp[0].threshold, pressure);
	rt_sleep(f->t, 30 * NSEC_PER_SEC); /* no time limit */
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=0",
		     "mm_vmscan_kswapd_sleep: nid=0");
	uint64_t slept_ns = machine_event_at(events, TE_MM_VMSCAN_KSWAPD_SLEEP, 0)->time_ns;

	assert_in_range(slept_ns - start_ns, RULES_NAP_NS, RULES_NAP_NS + NSEC_PER_MSEC);
	assert_int_equal(f->zone->pcp[0].threshold, normal);
	assert_moved(f, &before, { "pageoutrun", 1 });
	test_free(events);
}
RULE(rule_12_3_7_full_sleep_after_the_nap, .nr_cpus = 8);

/* Not balanced any more when the nap is over: HIGH. */
static void body_rule_12_3_8_unbalanced_after_the_nap_counts_high(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	uint64_t start_ns = rt_now(f->t);

	rules_kick(f);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	for (uint32_t z = 0; z < NR_ZONES; z++) /* it looks at all zones: nobody has asked */
		atomic_store(&f->zone->reserve[z], zone_managed(f->zone));
	marks_refresh(f->zone);
	set_node_flags(f);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 1);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	assert_moved(f, &before, { "pageoutrun", 2 }, { "kswapd_high_wmark_hit_quickly", 1 });
	uint64_t again_ns = machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 1)->time_ns;

	assert_in_range(again_ns - start_ns, RULES_NAP_NS, RULES_NAP_NS + NSEC_PER_MSEC);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 0);
	/* Not balanced: nothing was cleared. */
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 1);
	for (uint32_t z = 0; z < NR_ZONES; z++)
		atomic_store(&f->zone->reserve[z], 0);
	marks_refresh(f->zone);
	test_free(events);
}
RULE(rule_12_3_8_unbalanced_after_the_nap_counts_high, 0);

/* Not balanced at once: HIGH without any nap, fifteen times; then it is hopeless. */
static void body_rule_12_3_9_unbalanced_at_once_counts_high(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	rules_never_balanced(f, true);
	uint64_t start_ns = rt_now(f->t);

	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	assert_moved(f, &before, { "pageoutrun", 16 }, { "kswapd_high_wmark_hit_quickly", 15 });
	struct fixture_events *events = rules_events(f);
	uint64_t last_ns = machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 15)->time_ns;

	assert_true(last_ns - start_ns < 20 * NSEC_PER_MSEC);
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_3_9_unbalanced_at_once_counts_high, 0);

/* What happens between the two tests of one attempt, as if another CPU did it. */
static void (*real_wake)(struct task *t, _Atomic uint32_t *word, uint32_t nr);
static uint32_t sleep_tests;

static void wake_between_tests(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	struct machine_fixture *f = rules_running();

	if (word != &f->node->pfmemalloc_wait.seq) {
		real_wake(t, word, nr);
		return;
	}
	/* Each test begins with letting waiters go; ours stays until the second one. */
	if (++sleep_tests == 2)
		rules_never_balanced(f, false);
}

/* First test false, second true: it sleeps fully, without nap, without kcompactd, uncounted. */
static void body_rule_12_3_10_balanced_at_the_second_look(struct machine_fixture *f)
{
	static struct rt_ops ops;
	const struct rt_ops *real = f->rt->ops;
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	ops = *real;
	real_wake = real->wake;
	ops.wake = wake_between_tests;
	sleep_tests = 0;
	rules_set_probe(f, probe_request_at_wake);
	rules_never_balanced(f, true);
	rules_wake(f, 0, ZONE_NORMAL);
	f->rt->ops = &ops;
	/* Somebody waits for reserves; they are good, but nobody reclaims a page. */
	(void)waitq_begin(f->t, &f->node->pfmemalloc_wait);
	atomic_store(&f->node->kswapd_failures, 0);
	uint64_t start_ns = rt_now(f->t);

	sleep_tests = UINT32_MAX - 11; /* one wake in each of 12 rounds of the balance: good */
	rt_sleep(f->t, NSEC_PER_SEC);
	waitq_end(&f->node->pfmemalloc_wait);
	f->rt->ops = real;
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=0",
		     "mm_vmscan_kswapd_sleep: nid=0");
	assert_true(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_SLEEP, 0)->time_ns - start_ns <
		    10 * NSEC_PER_MSEC);
	assert_moved(f, &before, { "pageoutrun", 1 });
	test_free(events);
}
RULE(rule_12_3_10_balanced_at_the_second_look, 0);

/* After its one nap it is not woken by time. */
static void body_rule_12_3_11_no_periodic_wake_up(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	rules_sink(f, &hoard, WMARK_MIN); /* whatever memory is like */
	rt_sleep(f->t, 60 * NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_WAKE), 0);
	assert_nothing_moved(f, &before);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_3_11_no_periodic_wake_up, 0);

/* Thresholds by size and CPUs: 2 bits(8) (1 + bits(40000 / 32768)) = 2 * 4 * 2; pressure below. */
static void body_rule_12_3_12_thresholds(struct machine_fixture *f)
{
	uint64_t gap = zone_mark(f->zone, WMARK_LOW) - zone_mark(f->zone, WMARK_MIN);

	assert_int_equal(f->zone->threshold_normal, 16);
	assert_int_equal(f->zone->threshold_pressure, max_u64(1, min_u64(125, gap / 8)));
	assert_int_equal(vmstat_threshold_normal(UINT64_C(1) << 30, 1024), 125); /* never more */
	assert_int_equal(vmstat_threshold_normal(100, 1), 2);
}
RULE(rule_12_3_12_thresholds, .pages = 40000, .nr_cpus = 8);

/* One good zone is enough; protection, boost and the order count; no zone at all is good. */
static void body_rule_12_3_13_one_good_zone_is_enough(struct machine_fixture *f)
{
	struct zone *dma = &f->node->zone[ZONE_DMA];
	struct fixture_hoard hoard = { 0 };

	machine_hoard(f, &hoard, 10);
	vmstat_fold_all(f->t, f->m);
	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL)); /* zone DMA, however small */
	assert_true(kswapd_balanced(f->node, 3, ZONE_NORMAL));
	atomic_store(&dma->reserve[ZONE_NORMAL], zone_managed(dma));
	marks_refresh(dma);
	assert_false(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	assert_true(kswapd_balanced(f->node, 0, ZONE_DMA)); /* not held back from its own */
	uint64_t free = zone_stat_exact(dma, NR_FREE_PAGES);

	/* At the mark is not above it. */
	atomic_store(&dma->boost, free - zone_mark(dma, WMARK_HIGH));
	marks_refresh(dma);
	assert_false(kswapd_balanced(f->node, 0, ZONE_DMA));
	atomic_fetch_sub(&dma->boost, 1);
	assert_true(kswapd_balanced(f->node, 0, ZONE_DMA));
	atomic_store(&dma->boost, 0);
	marks_refresh(dma);
	atomic_store(&dma->managed, 0);
	assert_true(kswapd_balanced(f->node, 0, ZONE_DMA));
	atomic_store(&dma->managed, dma->present);
	atomic_store(&dma->reserve[ZONE_NORMAL], 0);
	marks_refresh(dma);
	machine_release(f, &hoard, UINT64_MAX);
}
RULE(rule_12_3_13_one_good_zone_is_enough, .dma_pages = 1024);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_12_1_1_one_thread_a_node_with_memory),
		cmocka_unit_test(rule_12_1_2_page_cluster_by_size),
		cmocka_unit_test(rule_12_1_3_failed_start_after_boot),
		cmocka_unit_test(rule_12_1_4_start_is_a_noop_if_it_runs),
		cmocka_unit_test(rule_12_1_5_hot_add_starts_last_memory_stops),
		cmocka_unit_test(rule_12_1_6_bound_once),
		cmocka_unit_test(rule_12_1_7_rebound_on_cpu_online_as_5_0),
		cmocka_unit_test(rule_12_1_8_task_flags),
		cmocka_unit_test(rule_12_1_9_freezable),
		cmocka_unit_test(rule_12_1_10_fields_at_start),
		cmocka_unit_test(rule_12_2_1_request_is_taken_after_the_sleep),
		cmocka_unit_test(rule_12_2_2_frozen_request_is_lost),
		cmocka_unit_test(rule_12_2_2_request_to_a_frozen_is_kept),
		cmocka_unit_test(rule_12_2_3_stop_during_a_run),
		cmocka_unit_test(rule_12_2_3_stop_while_frozen),
		cmocka_unit_test(rule_12_2_4_request_during_a_run_is_seen),
		cmocka_unit_test(rule_12_2_5_dropped_order_sleeps_at_order_0),
		cmocka_unit_test(rule_12_2_6_zone_without_a_request),
		cmocka_unit_test(rule_12_3_0_no_sleep_while_freezing),
		cmocka_unit_test(rule_12_3_1_waiters_are_let_go),
		cmocka_unit_test(rule_12_3_2_hopeless_may_sleep),
		cmocka_unit_test(rule_12_3_3_balanced_clears_flags),
		cmocka_unit_test(rule_12_3_4_before_the_nap),
		cmocka_unit_test(rule_12_3_5_woken_in_the_nap_counts_low),
		cmocka_unit_test(rule_12_3_6_woken_in_the_nap_keeps_the_order),
		cmocka_unit_test(rule_12_3_7_full_sleep_after_the_nap),
		cmocka_unit_test(rule_12_3_8_unbalanced_after_the_nap_counts_high),
		cmocka_unit_test(rule_12_3_9_unbalanced_at_once_counts_high),
		cmocka_unit_test(rule_12_3_10_balanced_at_the_second_look),
		cmocka_unit_test(rule_12_3_11_no_periodic_wake_up),
		cmocka_unit_test(rule_12_3_12_thresholds),
		cmocka_unit_test(rule_12_3_13_one_good_zone_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
