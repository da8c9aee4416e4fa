/*
 * The rules of direct reclaim, of the throttle on the reserves, of node reclaim and of what
 * requests bring with them, one test each (docs/rules.md): spec 11, sections 2, 9 to 11, 13.
 *
 *   throttle ─> begin ─> 12 .. 0 until 32 pages ─> nothing, and lists were spared: once more ─> end
 *
 * Direct reclaim is entered as the allocator enters it (rules_direct). Where kswapd would
 * help at once, its thread is stopped first, so that a wait can be measured.
 *
 * What must never happen here: a test that leaves a node without its kswapd.
 */
#include "rules_fixture.h"

#include "core/direct.h"
#include "core/freezer.h"
#include "core/kswapd.h"
#include "core/pcp.h"
#include "core/reclaim_local.h"
#include "core/sysctl.h"

/* ---- 2: what a request brings with it ---- */

/* Goal 32, from priority 12, zones up to its own, flags without what the task's scope forbids. */
static void body_rule_11_2_1_direct_request(struct machine_fixture *f)
{
	(void)machine_cached_file(f, 8300);
	rules_trace(f);
	assert_int_equal(rules_direct(f, GFP_KERNEL, 1), 2 + 4 + 8 + 16 + 32);
	f->t->flags |= PF_MEMALLOC_NOIO;
	(void)rules_direct(f, GFP_KERNEL, 0);
	f->t->flags &= ~PF_MEMALLOC_NOIO;
	f->t->flags |= PF_MEMALLOC_NOFS;
	(void)rules_direct(f, GFP_KERNEL, 0);
	f->t->flags &= ~PF_MEMALLOC_NOFS;
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_direct_reclaim_begin: order=1 gfp_flags=GFP_KERNEL",
		     "mm_vmscan_direct_reclaim_end: nr_reclaimed=62",
		     "mm_vmscan_direct_reclaim_begin: order=0 gfp_flags=GFP_NOIO",
		     "mm_vmscan_direct_reclaim_end: nr_reclaimed=62",
		     "mm_vmscan_direct_reclaim_begin: order=0 gfp_flags=GFP_NOFS",
		     "mm_vmscan_direct_reclaim_end: nr_reclaimed=57");
	assert_string_equal(rules_line(events, TE_MM_VMSCAN_LRU_ISOLATE, 0),
			    "mm_vmscan_lru_isolate: isolate_mode=0 classzone=2 order=1"
			    " nr_requested=2 nr_scanned=2 nr_skipped=0 nr_taken=2"
			    " lru=inactive_file");
	test_free(events);
}
RULE(rule_11_2_1_direct_request, .pages = 16384);

/* ---- 9: direct reclaim ---- */

/* One allocstall a try, of the highest zone that the request may use. */
static void body_rule_11_9_1_allocstall_by_zone(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_count(f, &before);
	assert_int_equal(rules_direct(f, GFP_BIT_DMA | GFP_KERNEL, 0), 0);
	assert_moved(f, &before, { "allocstall_dma", 1 });
	(void)rules_direct(f, GFP_KERNEL, 0);
	(void)rules_direct(f, GFP_KERNEL, 0);
	(void)rules_direct(f, GFP_HIGHUSER_MOVABLE, 0);
	assert_moved(f, &before, { "allocstall_dma", 1 }, { "allocstall_normal", 2 },
		     { "allocstall_movable", 1 });
}
RULE(rule_11_9_1_allocstall_by_zone, 0);

/* The pages freed add up over the priorities, and are what is told. */
static void body_rule_11_9_2_priorities_until_the_goal(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 3000);
	rules_count(f, &before);
	rules_trace(f);
	/* 3000 >> 11, 10, 9, 8, 7: 1 + 2 + 5 + 11 + 23 = 42. */
	assert_int_equal(rules_direct(f, GFP_HIGHUSER_MOVABLE, 0), 42);
	assert_moved(f, &before, { "allocstall_movable", 1 }, { "pgscan_direct", 42 },
		     { "pgscan_file", 42 }, { "pgsteal_direct", 42 }, { "pgsteal_file", 42 });
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_LRU_ISOLATE), 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(
			machine_event_at(events, TE_MM_VMSCAN_LRU_SHRINK_INACTIVE, i)->arg[11],
			11 - i);
	test_free(events);
}
RULE(rule_11_9_2_priorities_until_the_goal, 0);

/* The goal itself is enough: 9225 >> 12, 11, 10, 9 are 2 + 4 + 9 + 17 = 32. */
static void body_rule_11_9_10_the_goal_is_enough(struct machine_fixture *f)
{
	(void)machine_cached_file(f, 9225);
	assert_int_equal(rules_direct(f, GFP_HIGHUSER_MOVABLE, 0), 32);
}
RULE(rule_11_9_10_the_goal_is_enough, .pages = 16384);

/* Nothing got, but active lists were spared: all priorities again, with them; one stall more. */
static void body_rule_11_9_3_forced_round(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 200);
	struct rules_counts before;

	for (uint64_t page = 0; page < 90; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	for (uint64_t page = 90; page < 200; page++)
		page_get(machine_file_page(f, file, page));
	rules_count(f, &before);
	rules_trace(f);
	assert_true(rules_direct(f, GFP_KERNEL, 0) >= 32);
	assert_moved(f, &before, { "allocstall_normal", 2 }, { "pgscan_direct", RULES_SOME },
		     { "pgscan_file", RULES_SOME }, { "pgsteal_direct", RULES_SOME },
		     { "pgsteal_file", RULES_SOME }, { "pgrefill", RULES_SOME },
		     { "pgdeactivate", RULES_SOME });
	struct fixture_events *events = rules_events(f);
	bool active = false;

	/* Down to priority 0 before the first active page is touched. */
	for (uint32_t i = 0; i < events->nr; i++) {
		const struct event_record *record = &events->record[i];

		if (record->id == TE_MM_VMSCAN_LRU_SHRINK_ACTIVE)
			active = true;
		if (record->id == TE_MM_VMSCAN_LRU_SHRINK_INACTIVE && record->arg[11] == 0 &&
		    !active)
			break;
		assert_false(active);
	}
	for (uint64_t page = 90; page < 200; page++)
		page_put(f->t, machine_file_page(f, file, page));
	test_free(events);
}
RULE(rule_11_9_3_forced_round, 0);

/* A costly order that compaction could serve now needs no page: that is progress. */
static void body_rule_11_9_4_compaction_ready(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 1000);
	rules_count(f, &before);
	assert_int_equal(rules_direct(f, GFP_KERNEL, 4), 1);
	assert_moved(f, &before, { "allocstall_normal", 1 });
	/* Not for orders up to 3, nor for who may not compact: these are reclaimed for. */
	assert_true(rules_direct(f, GFP_KERNEL, 3) >= 32);
	assert_true(rules_direct(f, GFP_NOIO, 4) >= 32);
}
RULE(rule_11_9_4_compaction_ready, .pages = 8192);

/* Activations up to the end of a run are no reason to age lists in the next. */
static void body_rule_11_9_5_refaults_are_noted(struct machine_fixture *f)
{
	for (uint32_t n = 0; n < 2; n++) {
		cpu_pin(f->t);
		node_stat_add(f->t, &f->m->nodes[n], WORKINGSET_ACTIVATE_FILE, 5 + n);
		cpu_unpin(f->t);
	}
	(void)rules_direct(f, GFP_KERNEL, 0);
	for (uint32_t n = 0; n < 2; n++)
		assert_int_equal(atomic_load(&f->m->nodes[n].lruvec.refaults[1]), 5 + n);
}
RULE(rule_11_9_5_refaults_are_noted, .nr_nodes = 2);

/* Nothing got at priority 1, and much is being written: one tick; with progress others go on. */
static void body_rule_11_9_6_no_progress_waits(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 100);

	for (uint64_t page = 0; page < 100; page++)
		page_get(machine_file_page(f, file, page));
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_ZONE_WRITE_PENDING, 51);
	cpu_unpin(f->t);
	rules_trace(f);
	assert_int_equal(rules_direct(f, GFP_KERNEL, 0), 0);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_throttled: nid=0 usec_timeout=4000 usect_delayed=4000"
			     " reason=VMSCAN_THROTTLE_NOPROGRESS");
	for (uint32_t i = 1; i < events->nr; i++)
		if (events->record[i].id == TE_MM_VMSCAN_THROTTLED) {
			/* Right after the pass at priority 1. */
			assert_int_equal(events->record[i - 1].id,
					 TE_MM_VMSCAN_LRU_SHRINK_INACTIVE);
			assert_int_equal(events->record[i - 1].arg[11], 1);
		}
	test_free(events);
	for (uint64_t page = 0; page < 100; page++)
		page_put(f->t, machine_file_page(f, file, page));
	uint32_t seq = atomic_load(&f->node->reclaim_wait[WAIT_NOPROGRESS].seq);

	assert_true(rules_direct(f, GFP_KERNEL, 0) >= 32);
	assert_int_not_equal(atomic_load(&f->node->reclaim_wait[WAIT_NOPROGRESS].seq), seq);
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_ZONE_WRITE_PENDING, -51);
	cpu_unpin(f->t);
}
RULE(rule_11_9_6_no_progress_waits, 0);

static uint32_t full_batches; /* isolations of 32 pages so far */
static struct fixture_file *held_file;

/* At the second full batch, the first at priority 0, nobody uses 16 of the pages any more. */
static void let_go_at_priority_0(struct task *t, const struct event_record *record)
{
	(void)t;
	if (record->id != TE_MM_VMSCAN_LRU_ISOLATE || record->arg[3] != SWAP_CLUSTER_MAX ||
	    ++full_batches != 2)
		return;
	for (uint64_t page = 0; page < 16; page++)
		atomic_fetch_sub(&machine_file_page(rules_running(), held_file, page)->refs, 1);
}

/* Who got more than an eighth of what the round scanned lets others go: 16 of 100. */
static void body_rule_11_9_9_an_eighth_is_progress(struct machine_fixture *f)
{
	_Atomic uint32_t *seq = &f->node->reclaim_wait[WAIT_NOPROGRESS].seq;

	held_file = machine_cached_file(f, 100);
	full_batches = 0;
	for (uint64_t page = 0; page < 100; page++)
		page_get(machine_file_page(f, held_file, page));
	uint32_t before = atomic_load(seq);

	rules_set_probe(f, let_go_at_priority_0);
	assert_int_equal(rules_direct(f, GFP_KERNEL, 0), 16);
	assert_true(full_batches >= 2);
	assert_int_not_equal(atomic_load(seq), before);
	for (uint64_t page = 16; page < 100; page++)
		page_put(f->t, machine_file_page(f, held_file, page));
}
RULE(rule_11_9_9_an_eighth_is_progress, 0);

/* The node whose waiters go on is the first that was shrunk: not one that is ready anyway. */
static void body_rule_11_9_7_first_node_that_was_shrunk(struct machine_fixture *f)
{
	struct waitq *ready = &f->m->nodes[1].reclaim_wait[WAIT_NOPROGRESS];
	struct waitq *shrunk = &f->node->reclaim_wait[WAIT_NOPROGRESS];
	const struct direct_request request = {
		.zonelist = &f->m->nodes[1].fallback,
		.highest = ZONE_MOVABLE,
		.order = 4,
		.gfp = GFP_HIGHUSER_MOVABLE,
	};
	struct rules_pieces pieces;

	rules_make_pieces(f, &pieces, 4200);
	uint32_t seq[2] = { atomic_load(&ready->seq), atomic_load(&shrunk->seq) };

	f->t->flags |= PF_MEMALLOC;
	(void)direct_reclaim(f->t, &request); /* 4200 >> 12: one page of node 0 */
	f->t->flags &= ~PF_MEMALLOC;
	assert_true(machine_events(f, EV_PGSTEAL_DIRECT) >= 1);
	assert_int_equal(atomic_load(&ready->seq), seq[0]);
	assert_int_not_equal(atomic_load(&shrunk->seq), seq[1]);
	rules_end_pieces(f, &pieces);
}
RULE(rule_11_9_7_first_node_that_was_shrunk, .nr_nodes = 2, .pages = 16384);

/* ... and not the last, although all that was got came from there. */
static void body_rule_11_9_7_not_the_last_node(struct machine_fixture *f)
{
	struct waitq *first = &f->m->nodes[1].reclaim_wait[WAIT_NOPROGRESS];
	struct waitq *last = &f->node->reclaim_wait[WAIT_NOPROGRESS];
	const struct direct_request request = {
		.zonelist = &f->m->nodes[1].fallback,
		.highest = ZONE_MOVABLE,
		.gfp = GFP_HIGHUSER_MOVABLE,
	};
	uint32_t seq[2] = { atomic_load(&first->seq), atomic_load(&last->seq) };

	(void)machine_cached_file(f, 3000);
	f->t->flags |= PF_MEMALLOC;
	assert_int_equal(direct_reclaim(f->t, &request), 42);
	f->t->flags &= ~PF_MEMALLOC;
	assert_int_not_equal(atomic_load(&first->seq), seq[0]);
	assert_int_equal(atomic_load(&last->seq), seq[1]);
}
RULE(rule_11_9_7_not_the_last_node, .nr_nodes = 2);

/* Only nodes that the task's memory may come from. */
static void body_rule_11_9_8_within_the_cpuset(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 2000);
	rules_count(f, &before);
	f->t->flags |= PF_CPUSET;
	f->t->mems = 2;
	assert_int_equal(rules_direct(f, GFP_HIGHUSER_MOVABLE, 0), 0);
	assert_moved(f, &before, { "allocstall_movable", 1 });
	f->t->mems = 1;
	assert_true(rules_direct(f, GFP_HIGHUSER_MOVABLE, 0) >= 32);
	f->t->flags &= ~PF_CPUSET;
}
RULE(rule_11_9_8_within_the_cpuset, .nr_nodes = 2);

/* ---- 10: the throttle on the reserves ---- */

/* Good is more than half of the sum of the min marks; a zone above Normal does not count. */
static void body_rule_11_10_1_half_of_the_min_marks(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	uint64_t half = zone_mark(f->zone, WMARK_MIN) / 2;

	(void)machine_cached_file(f, 100);
	rules_rest(f);
	atomic_store(&f->node->kswapd_sleeping, 0); /* it would help at once */
	machine_hoard(f, &hoard, half + 1);
	vmstat_fold_all(f->t, f->m);
	assert_true(kswapd_reserves_ok(f->t, f->node));
	machine_hoard(f, &hoard, half);
	vmstat_fold_all(f->t, f->m);
	assert_false(kswapd_reserves_ok(f->t, f->node));
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	assert_true(kswapd_reserves_ok(f->t, f->node));
	atomic_store(&f->node->kswapd_failures, 0);
	atomic_store(&f->zone->mark[WMARK_MIN], 0); /* no reserve: nothing to guard */
	marks_refresh(f->zone);
	assert_true(kswapd_reserves_ok(f->t, f->node));
	atomic_store(&f->zone->mark[WMARK_MIN], 2 * half);
	marks_refresh(f->zone);
	atomic_store(&f->node->kswapd_sleeping, 1);
	machine_release(f, &hoard, UINT64_MAX);
}
RULE(rule_11_10_1_half_of_the_min_marks, 0);

/* A zone with nothing free and nothing to reclaim asks for no reserve. */
static void body_rule_11_10_7_empty_zones_do_not_count(struct machine_fixture *f)
{
	const struct zone *dma = &f->node->zone[ZONE_DMA];
	struct fixture_hoard hoard = { 0 };
	uint32_t nr = 0, pfn[256];

	(void)machine_cached_file(f, 100);
	rules_rest(f);
	atomic_store(&f->node->kswapd_sleeping, 0); /* it would help at once */
	while (nr < 256 && (pfn[nr] = alloc_page(f->t, GFP_BIT_DMA | GFP_BIT_MEMALLOC |
							       GFP_BIT_NOWARN)) != PFN_NONE)
		nr++;
	assert_int_equal(zone_stat_exact(dma, NR_FREE_PAGES), 0);
	assert_true(zone_mark(dma, WMARK_MIN) >= 4);
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_MIN) / 2 + 1);
	vmstat_fold_all(f->t, f->m);
	assert_true(kswapd_reserves_ok(f->t, f->node));
	page_put(f->t, machine_page(f->m, pfn[--nr]));
	pcp_drain_all(f->t, f->m, NULL);
	vmstat_fold_all(f->t, f->m);
	assert_false(kswapd_reserves_ok(f->t, f->node));
	atomic_store(&f->node->kswapd_sleeping, 1);
	while (nr > 0)
		page_put(f->t, machine_page(f->m, pfn[--nr]));
	machine_release(f, &hoard, UINT64_MAX);
}
RULE(rule_11_10_7_empty_zones_do_not_count, .pages = 4096, .dma_pages = 256);

/* Who finds them bad wakes kswapd, whatever the marks say, and for zones up to Normal at most. */
static void body_rule_11_10_2_bad_reserves_wake_kswapd(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };

	(void)machine_cached_file(f, 500);
	rules_rest(f);
	rules_trace(f);
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_MIN) / 4);
	vmstat_fold_all(f->t, f->m);
	atomic_store(&f->node->kswapd_highest_zone, ZONE_MOVABLE);
	assert_false(kswapd_reserves_ok(f->t, f->node));
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 0);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	/* No line of a request. */
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_WAKEUP_KSWAPD), 0);
	assert_true(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_WAKE) > 0);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_11_10_2_bad_reserves_wake_kswapd, 0);

struct program {
	struct machine_fixture *f;
	uint32_t gfp;
	uint64_t result;
	uint64_t done_ns; /* 0: it is held */
	struct task *self;
};

static int program_main(struct task *t, void *arg)
{
	struct program *p = arg;
	struct machine_fixture as_me = *p->f;

	p->self = t;
	as_me.t = t;
	p->result = rules_direct(&as_me, p->gfp, 0);
	p->done_ns = rt_now(t);
	return 0;
}

static struct task *start_program(struct machine_fixture *f, struct program *p)
{
	const struct task_spec spec = { .name = "program", .fn = program_main, .arg = p };
	struct task *task;

	p->f = f;
	assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
	rt_sleep(f->t, NSEC_PER_MSEC);
	return task;
}

/* No kswapd, and next to nothing is free. */
static void starve(struct machine_fixture *f, struct fixture_hoard *hoard)
{
	rules_rest(f);
	atomic_store(&f->node->stop_threads, 1);
	kswapd_stop(f->t, f->node);
	atomic_store(&f->node->stop_threads, 0);
	machine_hoard(f, hoard, zone_mark(f->zone, WMARK_MIN) / 4);
	vmstat_fold_all(f->t, f->m);
}

static void end_starving(struct machine_fixture *f, struct fixture_hoard *hoard)
{
	machine_release(f, hoard, UINT64_MAX);
	assert_int_equal(kswapd_run(f->t, f->node), 0);
}

/* Without FS it waits a second at most, however often it is woken for nothing. */
static void body_rule_11_10_3_without_fs_a_second(struct machine_fixture *f)
{
	struct program p = { .gfp = GFP_NOFS };
	struct fixture_hoard hoard = { 0 };
	struct rules_counts before;

	(void)machine_cached_file(f, 500);
	starve(f, &hoard);
	rules_count(f, &before);
	uint64_t start_ns = rt_now(f->t);
	struct task *task = start_program(f, &p);

	for (uint32_t i = 0; i < 9; i++) {
		rt_sleep(f->t, 100 * NSEC_PER_MSEC);
		waitq_wake(f->t, &f->node->pfmemalloc_wait, UINT32_MAX);
	}
	assert_int_equal(p.done_ns, 0);
	assert_moved(f, &before, { "pgscan_direct_throttle", 1 });
	rt_sleep(f->t, 200 * NSEC_PER_MSEC);
	assert_in_range(p.done_ns - start_ns, NSEC_PER_SEC, NSEC_PER_SEC + 20 * NSEC_PER_MSEC);
	assert_true(p.result >= 32); /* then it reclaims itself */
	(void)rt_join(f->t, task);
	end_starving(f, &hoard);
}
RULE(rule_11_10_3_without_fs_a_second, 0);

/* With FS it waits without limit, until the reserves are good. */
static void body_rule_11_10_4_with_fs_until_they_are_good(struct machine_fixture *f)
{
	struct program p = { .gfp = GFP_KERNEL };
	struct fixture_hoard hoard = { 0 };
	struct rules_counts before;

	(void)machine_cached_file(f, 500);
	starve(f, &hoard);
	rules_count(f, &before);
	struct task *task = start_program(f, &p);

	rt_sleep(f->t, 35 * NSEC_PER_SEC);
	waitq_wake(f->t, &f->node->pfmemalloc_wait, UINT32_MAX);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(p.done_ns, 0);
	assert_moved(f, &before, { "pgscan_direct_throttle", 1 });
	machine_release(f, &hoard, UINT64_MAX);
	vmstat_fold_all(f->t, f->m);
	waitq_wake(f->t, &f->node->pfmemalloc_wait, UINT32_MAX);
	rt_sleep(f->t, 5 * NSEC_PER_MSEC);
	assert_int_not_equal(p.done_ns, 0);
	assert_true(p.result >= 32);
	(void)rt_join(f->t, task);
	end_starving(f, &hoard);
}
RULE(rule_11_10_4_with_fs_until_they_are_good, 0);

/* Told to end while it waits: it says that there was progress, so that nobody is killed for it. */
static void body_rule_11_10_5_fatal_signal(struct machine_fixture *f)
{
	struct program p = { .gfp = GFP_KERNEL };
	struct fixture_hoard hoard = { 0 };
	struct rules_counts before;

	(void)machine_cached_file(f, 500);
	starve(f, &hoard);
	rules_count(f, &before);
	struct task *task = start_program(f, &p);

	p.self->flags |= PF_EXITING;
	waitq_wake(f->t, &f->node->pfmemalloc_wait, UINT32_MAX);
	rt_sleep(f->t, 5 * NSEC_PER_MSEC);
	assert_int_not_equal(p.done_ns, 0);
	assert_int_equal(p.result, 1);
	/* It has not even begun. */
	assert_moved(f, &before, { "pgscan_direct_throttle", 1 });
	(void)rt_join(f->t, task);
	end_starving(f, &hoard);
}
RULE(rule_11_10_5_fatal_signal, 0);

/* DIFF: while the engine is frozen nobody waits for it, and who waits is let go. */
static void body_rule_11_10_6_nobody_waits_for_a_frozen_kswapd(struct machine_fixture *f)
{
	struct program p = { .gfp = GFP_KERNEL };
	struct fixture_hoard hoard = { 0 };

	(void)machine_cached_file(f, 500);
	starve(f, &hoard);
	struct task *task = start_program(f, &p);

	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(p.done_ns, 0);
	freezer_freeze(f->t, f->m);
	rt_sleep(f->t, 5 * NSEC_PER_MSEC);
	assert_true(p.result >= 32);
	freezer_thaw(f->t, f->m);
	(void)rt_join(f->t, task);
	end_starving(f, &hoard);
}
RULE(rule_11_10_6_nobody_waits_for_a_frozen_kswapd, 0);

/* ---- 11: node reclaim ---- */

static void set_mode(struct machine_fixture *f, const char *mode)
{
	assert_true(sysctl_write(f->t, f->m, "zone_reclaim_mode", mode, strlen(mode)) > 0);
}

/* Priority 4, max(2^order, 32) pages, no stall, and two lines of its own. */
static void body_rule_11_11_1_node_reclaim(struct machine_fixture *f)
{
	struct alloc_context ac = {
		.gfp = GFP_HIGHUSER_MOVABLE,
		.highest = ZONE_MOVABLE,
		.type = MT_MOVABLE,
		.preferred = f->node->fallback.first[ZONE_MOVABLE],
	};
	struct rules_counts before;

	(void)machine_cached_file(f, 1000);
	set_mode(f, "1");
	rules_count(f, &before);
	rules_trace(f);
	assert_int_equal(reclaim_local_try(f->t, &ac, f->zone), RECLAIM_LOCAL_ENOUGH);
	struct fixture_events *events = rules_events(f);

	assert_lines(events,
		     "mm_vmscan_node_reclaim_begin: nid=0 order=0 gfp_flags=GFP_HIGHUSER_MOVABLE",
		     "mm_vmscan_node_reclaim_end: nr_reclaimed=32");
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_LRU_SHRINK_INACTIVE, 0)->arg[11], 4);
	assert_moved(f, &before, { "pgscan_direct", 32 }, { "pgscan_file", 32 },
		     { "pgsteal_direct", 32 }, { "pgsteal_file", 32 });
	assert_int_equal(f->t->psi_depth, 0);
	test_free(events);
	ac.order = 6; /* 64 pages: 968 >> 4 = 60, then more at the next priority */
	assert_int_equal(reclaim_local_try(f->t, &ac, f->zone), RECLAIM_LOCAL_ENOUGH);
	assert_true(machine_events(f, EV_PGSTEAL_DIRECT) >= 32 + 64);
	assert_int_equal(machine_events(f, EV_ZONE_RECLAIM_FAILED), 0);
}
RULE(rule_11_11_1_node_reclaim, .nr_nodes = 2);

/* Without bit 2 nothing is written, without bit 4 nothing is unmapped. */
static void body_rule_11_11_2_mode_bits(struct machine_fixture *f)
{
	struct alloc_context ac = {
		.gfp = GFP_HIGHUSER_MOVABLE,
		.highest = ZONE_MOVABLE,
		.type = MT_MOVABLE,
		.preferred = f->node->fallback.first[ZONE_MOVABLE],
	};
	struct rules_counts before;
	struct region *region = machine_region(f, 800);

	machine_fill(f, region, 0, 800);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 800);
	(void)machine_cached_file(f, 20);
	atomic_store(&f->node->min_unmapped_pages, 0);
	atomic_fetch_add(&f->node->lruvec.refaults[1], 1); /* no trim: both types */
	set_mode(f, "1");
	ac.order = 9;
	rules_count(f, &before);
	assert_int_equal(reclaim_local_try(f->t, &ac, f->zone), RECLAIM_LOCAL_SOME);
	struct rules_counts after;

	rules_count(f, &after);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_WRITE), 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0); /* none got a slot */
	assert_int_equal(machine_events(f, EV_ZONE_RECLAIM_FAILED), 1);
	atomic_store(&f->node->min_unmapped_pages, 0);
	(void)machine_cached_file(f, 20);
	set_mode(f, "5"); /* on, unmap, no write: slots, but no I/O */
	(void)reclaim_local_try(f->t, &ac, f->zone);
	assert_true(machine_node_count(f, NR_SWAPCACHED) > 0);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_WRITE), 0);
	(void)machine_cached_file(f, 20);
	set_mode(f, "7");
	(void)reclaim_local_try(f->t, &ac, f->zone);
	assert_true(machine_node_count(f, NR_VMSCAN_WRITE) > 0);
	machine_settle(f);
}
RULE(rule_11_11_2_mode_bits, .nr_nodes = 2, .swap_pages = 4096);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_11_2_1_direct_request),
		cmocka_unit_test(rule_11_9_1_allocstall_by_zone),
		cmocka_unit_test(rule_11_9_2_priorities_until_the_goal),
		cmocka_unit_test(rule_11_9_10_the_goal_is_enough),
		cmocka_unit_test(rule_11_9_3_forced_round),
		cmocka_unit_test(rule_11_9_4_compaction_ready),
		cmocka_unit_test(rule_11_9_5_refaults_are_noted),
		cmocka_unit_test(rule_11_9_6_no_progress_waits),
		cmocka_unit_test(rule_11_9_9_an_eighth_is_progress),
		cmocka_unit_test(rule_11_9_7_first_node_that_was_shrunk),
		cmocka_unit_test(rule_11_9_7_not_the_last_node),
		cmocka_unit_test(rule_11_9_8_within_the_cpuset),
		cmocka_unit_test(rule_11_10_1_half_of_the_min_marks),
		cmocka_unit_test(rule_11_10_7_empty_zones_do_not_count),
		cmocka_unit_test(rule_11_10_2_bad_reserves_wake_kswapd),
		cmocka_unit_test(rule_11_10_3_without_fs_a_second),
		cmocka_unit_test(rule_11_10_4_with_fs_until_they_are_good),
		cmocka_unit_test(rule_11_10_5_fatal_signal),
		cmocka_unit_test(rule_11_10_6_nobody_waits_for_a_frozen_kswapd),
		cmocka_unit_test(rule_11_11_1_node_reclaim),
		cmocka_unit_test(rule_11_11_2_mode_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
