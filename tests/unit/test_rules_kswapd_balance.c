/*
 * The rules of one balance run of kswapd, one test each (docs/rules.md): boosts, priorities, what
 * is allowed when, how it ends, and what a node is that nobody can help. Sections 4 to 6.
 *
 *   boosts summed ─> round: balanced? ─ no, boosted ─> ordinary reclaim, from 12 again
 *                      │ go on
 *                      └─ age ─ shrink (goal) ─ waiters ─ freeze? ─ next priority, 12 .. 1
 *
 * Most situations never get balanced (rules_never_balanced): a run then goes through all
 * its rounds. What a round scanned is read from the trace; where a run must be cut after
 * one round, it is frozen there, which ends it.
 *
 * What must never happen here: an expectation about rounds that does not come from list
 * sizes: size >> priority pages of a list in a round.
 */
#include "rules_fixture.h"

#include "core/freezer.h"
#include "core/kswapd.h"
#include "core/snapshot_take.h"

/* The priorities of shrunk inactive lists in the trace, equal ones told once. => how many */
static uint32_t priorities(const struct fixture_events *events, uint64_t *out, uint32_t most)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < events->nr; i++) {
		const struct event_record *record = &events->record[i];

		if (record->id != TE_MM_VMSCAN_LRU_SHRINK_INACTIVE ||
		    (nr > 0 && out[nr - 1] == record->arg[11]))
			continue;
		assert_true(nr < most);
		out[nr++] = record->arg[11];
	}
	return nr;
}

/* Pages scanned from inactive lists at a priority. */
static uint64_t scanned_at(const struct fixture_events *events, uint64_t priority)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < events->nr; i++)
		if (events->record[i].id == TE_MM_VMSCAN_LRU_SHRINK_INACTIVE &&
		    events->record[i].arg[11] == priority)
			pages += events->record[i].arg[1];
	return pages;
}

static bool is_anon_list(const struct event_record *record)
{
	return record->id == TE_MM_VMSCAN_LRU_ISOLATE && record->arg[7] <= LRU_ACTIVE_ANON;
}

static void keep_all(struct machine_fixture *f, struct fixture_file *file, uint64_t nr, bool on)
{
	for (uint64_t page = 0; page < nr; page++) {
		struct page *p = machine_file_page(f, file, page);

		if (p != NULL && on)
			page_get(p);
		else if (p != NULL)
			page_put(f->t, p);
	}
}

/* ---- 4: a run ---- */

static uint32_t stalled_in_run, stalled_outside;

static void probe_stall(struct task *t, const struct event_record *record)
{
	bool stalled = t->psi_depth == 1 && (t->psi_state & 4 /* PSI_STALLED */);

	if (!(t->flags & PF_KSWAPD))
		return;
	if (record->id == TE_MM_VMSCAN_LRU_ISOLATE)
		stalled_in_run += stalled ? 1 : 100;
	else if (record->id == TE_MM_VMSCAN_KSWAPD_SLEEP || record->id == TE_MM_VMSCAN_KSWAPD_WAKE)
		stalled_outside += stalled ? 1 : 0;
}

static void body_rule_12_4_1_pageoutrun_and_memstall(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 200);
	rules_rest(f);
	stalled_in_run = stalled_outside = 0;
	rules_never_balanced(f, true);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 1);
	rules_set_probe(f, probe_stall);
	rules_trace(f);
	rules_count(f, &before);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_USEC * 300);
	struct fixture_events *events = rules_events(f);

	assert_true(stalled_in_run > 0 && stalled_in_run < 100);
	assert_int_equal(stalled_outside, 0);
	/* The index is left with nodes of shadows alone: more than so few pages are worth. */
	assert_moved(f, &before,
		     { "pageoutrun", machine_count_events(events, TE_MM_VMSCAN_KSWAPD_WAKE) },
		     { "kswapd_high_wmark_hit_quickly", RULES_SOME },
		     { "slabs_scanned", RULES_SOME }, { "pgscan_kswapd", RULES_SOME },
		     { "pgscan_file", RULES_SOME }, { "pgsteal_kswapd", RULES_SOME },
		     { "pgsteal_file", RULES_SOME });
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_4_1_pageoutrun_and_memstall, 0);

/* The boosts of all zones are one sum: 9000 >> 12 = 2, then 4, then 8 a round, until it is 0. */
static void body_rule_12_4_2_boosts_are_summed(struct machine_fixture *f)
{
	struct rules_counts before;
	uint64_t priority[8];

	(void)machine_cached_file(f, 9000);
	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	atomic_store(&f->node->zone[ZONE_DMA].boost, 30);
	marks_refresh(&f->node->zone[ZONE_DMA]);
	atomic_store(&f->zone->boost, 34);
	marks_refresh(f->zone);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	/* 2 + 4 + 8 * 8 = 70 is the first sum that is at least 64; never below priority 10. */
	assert_int_equal(priorities(events, priority, 8), 3);
	assert_int_equal(priority[0], 12);
	assert_int_equal(priority[1], 11);
	assert_int_equal(priority[2], 10);
	assert_moved(f, &before, { "pageoutrun", 1 }, { "pgscan_kswapd", 70 },
		     { "pgscan_file", 70 }, { "pgsteal_kswapd", 70 }, { "pgsteal_file", 70 });
	assert_int_equal(atomic_load(&f->node->zone[ZONE_DMA].boost), 0);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	test_free(events);
}
RULE(rule_12_4_2_boosts_are_summed, .pages = 32768, .dma_pages = 1024);

static uint32_t active_in_run;

static void probe_reclaim_active(struct task *t, const struct event_record *record)
{
	const struct node *node = &t->machine->nodes[0];

	if (record->id != TE_MM_VMSCAN_LRU_ISOLATE)
		return;
	for (uint32_t z = 0; z < NR_ZONES; z++) {
		struct zone *zone = (struct zone *)(uintptr_t)&node->zone[z];

		if (atomic_load(&zone->flags) & ZONE_RECLAIM_ACTIVE)
			active_in_run |= 1u << z;
	}
}

/* While it works, per-CPU lists of the zones it works for are kept short. */
static void body_rule_12_4_3_reclaim_active(struct machine_fixture *f)
{
	struct zone *dma = &f->node->zone[ZONE_DMA];

	(void)machine_cached_file(f, 5000);
	rules_rest(f);
	active_in_run = 0;
	rules_set_probe(f, probe_reclaim_active);
	atomic_store(&dma->boost, 1);
	marks_refresh(dma);
	kswapd_wake(f->t, dma, GFP_KERNEL, 0, ZONE_DMA);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(active_in_run, 0); /* nothing to isolate in that zone */
	atomic_store(&f->zone->boost, 1);
	marks_refresh(f->zone);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(active_in_run, 1u << ZONE_DMA | 1u << ZONE_NORMAL);
	assert_false(atomic_load(&dma->flags) & ZONE_RECLAIM_ACTIVE);
	assert_false(atomic_load(&f->zone->flags) & ZONE_RECLAIM_ACTIVE);
}
RULE(rule_12_4_3_reclaim_active, .pages = 8192, .dma_pages = 1024);

static void probe_unbalance_at_11(struct task *t, const struct event_record *record)
{
	(void)t;
	if (record->id == TE_MM_VMSCAN_LRU_SHRINK_INACTIVE && record->arg[11] == 11)
		rules_never_balanced(rules_running(), true);
}

/* Unbalanced while boosted: ordinary reclaim takes over, from 12 again, with swap. */
static void body_rule_12_4_4_unbalanced_ends_boosting(struct machine_fixture *f)
{
	uint64_t priority[32];

	(void)machine_cached_file(f, 9000);
	(void)rules_old_region(f, 9000);
	rules_rest(f);
	atomic_fetch_add(&f->node->lruvec.refaults[1], 1); /* no trim: both types are scanned */
	rules_trace(f);
	atomic_store(&f->zone->boost, 64);
	marks_refresh(f->zone);
	rules_set_probe(f, probe_unbalance_at_11);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_MSEC);
	event_hook_stop(f->m);
	rules_never_balanced(f, false);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);
	uint32_t nr = priorities(events, priority, 32);

	assert_true(nr > 4);
	assert_int_equal(priority[0], 12);
	assert_int_equal(priority[1], 11);
	assert_int_equal(priority[2], 12);
	assert_int_equal(priority[3], 11);
	assert_true(machine_events(f, EV_PSWPOUT) > 0);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	test_free(events);
}
RULE(rule_12_4_4_unbalanced_ends_boosting, .pages = 32768, .swap_pages = 16384);

/* Balanced and not boosted: nothing is done, and that is no failure. */
static void body_rule_12_4_5_balanced_ends_the_run(struct machine_fixture *f)
{
	struct rules_counts before;

	(void)machine_cached_file(f, 3000);
	rules_rest(f);
	rules_count(f, &before);
	atomic_store(&f->node->kswapd_failures, 3);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_moved(f, &before, { "pageoutrun", 1 });
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 3);
}
RULE(rule_12_4_5_balanced_ends_the_run, 0);

/* While a boost is worked off nothing is swapped and nothing written. */
static void body_rule_12_4_6_boosting_does_no_io(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 9000);
	struct rules_counts before;

	(void)rules_old_region(f, 9000);
	rules_rest(f);
	/* The oldest is dirty, and such that kswapd would write it. */
	assert_int_equal(machine_file_write(f, file, 0, 8), 0);
	page_clear(machine_file_page(f, file, 0), PG_REFERENCED);
	page_set(machine_file_page(f, file, 0), PG_RECLAIM);
	lru_drain_all(f->t);
	atomic_fetch_add(&f->node->lruvec.refaults[1], 1);
	rules_trace(f);
	rules_count(f, &before);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	atomic_store(&f->zone->boost, 20);
	marks_refresh(f->zone);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 20 * NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	for (uint32_t i = 0; i < events->nr; i++)
		assert_false(is_anon_list(&events->record[i]));
	/* 2 + 4 + 8 + 8 scanned; the dirty one is kept as it is. */
	assert_moved(f, &before, { "pageoutrun", 1 }, { "pgscan_kswapd", 22 },
		     { "pgscan_file", 22 }, { "pgsteal_kswapd", 21 }, { "pgsteal_file", 21 });
	assert_true(page_test(machine_file_page(f, file, 0), PG_DIRTY));
	test_free(events);
}
RULE(rule_12_4_6_boosting_does_no_io, .pages = 32768, .swap_pages = 16384);

/* In laptop mode it writes from priority 9 on only. */
static void body_rule_12_4_7_laptop_mode(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };

	(void)rules_old_region(f, 6000);
	rules_rest(f);
	atomic_store(&f->m->sysctl.laptop_mode, 1);
	rules_trace(f);
	rules_sink(f, &hoard, WMARK_LOW);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 2 * NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);
	uint64_t written[13] = { 0 };
	uint64_t writes = 0;

	for (uint32_t i = 0; i < events->nr; i++) {
		const struct event_record *record = &events->record[i];

		writes += record->id == TE_MM_VMSCAN_WRITE_FOLIO;
		if (record->id != TE_MM_VMSCAN_LRU_SHRINK_INACTIVE)
			continue;
		written[record->arg[11]] += writes;
		writes = 0;
	}
	assert_int_equal(written[12] + written[11] + written[10], 0);
	assert_true(scanned_at(events, 10) > 0);
	assert_true(written[9] > 0);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_4_7_laptop_mode, .pages = 8192, .swap_pages = 8192);

/* Aging in each round, if there is swap at all and too few anonymous pages are inactive. */
static void body_rule_12_4_8_aging(struct machine_fixture *f)
{
	struct region *region = rules_old_region(f, 400);

	rules_activate(f, region, 390);
	rules_rest(f);
	rules_trace(f);
	atomic_store(&f->zone->boost, 1); /* no file: one round, and it leaves */
	marks_refresh(f->zone);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	/* Once before the pass, and once at its end. */
	if (f->setup->swap_pages != 0)
		assert_lines(
			events,
			"mm_vmscan_lru_isolate: isolate_mode=0 classzone=2 order=0 nr_requested=32"
			" nr_scanned=32 nr_skipped=0 nr_taken=32 lru=active_anon",
			"mm_vmscan_lru_isolate: isolate_mode=0 classzone=2 order=0 nr_requested=32"
			" nr_scanned=32 nr_skipped=0 nr_taken=32 lru=active_anon");
	else
		assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_LRU_ISOLATE), 0);
	test_free(events);
}

static void rule_12_4_8_aging(void **state)
{
	(void)state;
	machine_run(&(struct machine_setup){ .swap_pages = 1024 }, body_rule_12_4_8_aging);
	machine_run(&(struct machine_setup){ 0 }, body_rule_12_4_8_aging);
}

/* A round that scanned its goal, and got something, is repeated at its priority. */
static void body_rule_12_4_9_goal_keeps_the_priority(struct machine_fixture *f)
{
	uint64_t high = zone_mark(f->zone, WMARK_HIGH);
	uint64_t round = round_up_u64(high, SWAP_CLUSTER_MAX); /* what is scanned for the goal */
	uint64_t priority[16];

	(void)machine_cached_file(f, 3000);
	rules_rest(f);
	rules_trace(f);
	rules_never_balanced(f, true);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 400 * NSEC_PER_USEC);
	struct fixture_events *events = rules_events(f);
	uint32_t nr = priorities(events, priority, 16);
	uint64_t repeated = 0;

	assert_in_range(high, 33, 300);
	assert_true(nr > 4);
	for (uint32_t i = 0; i < nr; i++)
		if (scanned_at(events, priority[i]) > (3000u >> priority[i])) {
			assert_true(scanned_at(events, priority[i]) >= 2 * round);
			repeated++;
		}
	assert_true(repeated >= 1);
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_4_9_goal_keeps_the_priority, 0);

static uint32_t let_go_before, let_go_good, let_go_bad;

/* Was anybody let go in the first run, and were the reserves good then? */
static void probe_let_go(struct task *t, const struct event_record *record)
{
	struct node *node = &t->machine->nodes[0];
	const struct zone *zone = &node->zone[ZONE_NORMAL];

	if (record->id == TE_MM_VMSCAN_KSWAPD_WAKE && let_go_before == 0)
		let_go_before = atomic_load(&node->pfmemalloc_wait.seq) + 1;
	if (record->id != TE_MM_VMSCAN_LRU_ISOLATE ||
	    machine_event(t->machine, EV_PAGEOUTRUN) != 1 ||
	    atomic_load(&node->pfmemalloc_wait.seq) + 1 == let_go_before)
		return;
	if (2 * zone_stat_exact(zone, NR_FREE_PAGES) > zone_mark(zone, WMARK_MIN))
		let_go_good++;
	else
		let_go_bad++;
}

/* Programs that wait for reserves go on as soon as these are good, in the middle of the run. */
static void body_rule_12_4_10_waiters_go_when_reserves_are_good(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };

	(void)machine_cached_file(f, 2500);
	rules_rest(f);
	(void)waitq_begin(f->t, &f->node->pfmemalloc_wait); /* somebody waits */
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_MIN) / 4);
	vmstat_fold_all(f->t, f->m);
	let_go_before = let_go_good = let_go_bad = 0;
	rules_set_probe(f, probe_let_go);
	rules_never_balanced(f, true);
	assert_int_equal(machine_events(f, EV_PAGEOUTRUN), 0);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 5 * NSEC_PER_MSEC);
	event_hook_stop(f->m);
	assert_int_equal(let_go_bad, 0);
	assert_true(let_go_good > 0);
	waitq_end(&f->node->pfmemalloc_wait);
	rules_never_balanced(f, false);
	machine_release(f, &hoard, UINT64_MAX);
}
RULE(rule_12_4_10_waiters_go_when_reserves_are_good, 0);

static void probe_freeze_at_wake(struct task *t, const struct event_record *record)
{
	if (record->id == TE_MM_VMSCAN_KSWAPD_WAKE && atomic_load(&t->machine->freezing) == 0)
		atomic_store(&t->machine->freezing, 1);
}

/* Frozen in the loop after a round: thawed it leaves, which was a failure, and asks anew. */
static void body_rule_12_4_11_frozen_in_the_loop(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_never_balanced(f, true);
	rules_trace(f);
	rules_count(f, &before);
	rules_set_probe(f, probe_freeze_at_wake);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	event_hook_stop(f->m);
	/* It stands in the middle of its run. */
	assert_true(atomic_load(&f->zone->flags) & ZONE_RECLAIM_ACTIVE);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
	rules_wake(f, 2, ZONE_NORMAL); /* kept: it has taken its request before */
	assert_int_equal(atomic_load(&f->node->kswapd_order), 2);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 2);
	freezer_thaw(f->t, f->m);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), MAX_RECLAIM_RETRIES);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=0",
		     "mm_vmscan_kswapd_wake: nid=0 order=2", "mm_vmscan_kswapd_sleep: nid=0");
	assert_moved(f, &before, { "pageoutrun", 2 }, { "kswapd_high_wmark_hit_quickly", 1 });
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_4_11_frozen_in_the_loop, 0);

/* Still boosted and nothing got: it leaves after that round, and that is a failure. */
static void body_rule_12_4_12_boosting_without_progress(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 9000);
	struct rules_counts before;
	uint64_t priority[4];

	rules_rest(f);
	keep_all(f, file, 9000, true);
	rules_trace(f);
	rules_count(f, &before);
	atomic_store(&f->zone->boost, 64);
	marks_refresh(f->zone);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(priorities(events, priority, 4), 1);
	assert_int_equal(priority[0], 12);
	assert_moved(f, &before, { "pageoutrun", 1 }, { "pgscan_kswapd", 2 }, { "pgscan_file", 2 });
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 1);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	keep_all(f, file, 9000, false);
	test_free(events);
}
RULE(rule_12_4_12_boosting_without_progress, .pages = 16384);

/* Without progress each round is one priority lower, goal or not, from 12 to 1 and never 0. */
static void body_rule_12_4_13_priorities_12_to_1(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 8192);
	uint64_t priority[16];

	rules_rest(f);
	keep_all(f, file, 8192, true);
	rules_trace(f);
	rules_never_balanced(f, true);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 1);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(priorities(events, priority, 16), 12);
	for (uint32_t i = 0; i < 12; i++) {
		assert_int_equal(priority[i], 12 - i);
		assert_int_equal(scanned_at(events, 12 - i), 8192u >> (12 - i));
	}
	keep_all(f, file, 8192, false);
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_4_13_priorities_12_to_1, .pages = 16384);

/* A run that got nothing counts as a failure of the node; one that got something resets them. */
static void body_rule_12_4_14_failures(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_count(f, &before);
	rules_never_balanced(f, true);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), MAX_RECLAIM_RETRIES);
	assert_moved(f, &before, { "pageoutrun", 16 }, { "kswapd_high_wmark_hit_quickly", 15 });
	rules_never_balanced(f, false);
	rt_sleep(f->t, NSEC_PER_SEC);
	(void)machine_cached_file(f, 5000);
	atomic_store(&f->zone->boost, 1);
	marks_refresh(f->zone);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 1);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
}
RULE(rule_12_4_14_failures, .pages = 8192);

static uint32_t failures_at_second_wake;

static void probe_starve_after_boost(struct task *t, const struct event_record *record)
{
	struct machine_fixture *f = rules_running();
	static uint32_t wakes;

	if (record->id == TE_MM_VMSCAN_KSWAPD_WAKE) {
		wakes = failures_at_second_wake == UINT32_MAX ? 1 : wakes + 1;
		if (wakes == 2)
			failures_at_second_wake = atomic_load(&f->node->kswapd_failures);
		else if (wakes == 1)
			failures_at_second_wake = UINT32_MAX - 1;
	}
	if (record->id != TE_MM_VMSCAN_LRU_SHRINK_INACTIVE || record->arg[11] != 11 || wakes != 1)
		return;
	/* From now on unbalanced, and nothing more to get. */
	rules_never_balanced(f, true);
	for (uint32_t pfn = f->zone->start_pfn; pfn < zone_end(f->zone); pfn++)
		if (page_test(&t->machine->pages[pfn], PG_LRU))
			page_set(&t->machine->pages[pfn], PG_MLOCKED);
}

static void unlock_all(struct machine_fixture *f)
{
	for (uint32_t pfn = f->zone->start_pfn; pfn < zone_end(f->zone); pfn++)
		page_clear(&f->m->pages[pfn], PG_MLOCKED);
}

/* What was freed before boosting was given up counts: the run as a whole got something. */
static void body_rule_12_4_15_progress_before_the_restart(struct machine_fixture *f)
{
	(void)machine_cached_file(f, 9000);
	rules_rest(f);
	atomic_store(&f->zone->boost, 64);
	marks_refresh(f->zone);
	failures_at_second_wake = UINT32_MAX;
	rules_set_probe(f, probe_starve_after_boost);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	event_hook_stop(f->m);
	assert_int_equal(failures_at_second_wake, 0);
	/* The next ones get nothing. */
	assert_int_equal(atomic_load(&f->node->kswapd_failures), MAX_RECLAIM_RETRIES);
	rules_never_balanced(f, false);
	unlock_all(f);
	f->unverified = true; /* pages lie on the unevictable list that are not locked */
}
RULE(rule_12_4_15_progress_before_the_restart, .pages = 16384);

static int64_t boost_change;

static void probe_change_boost(struct task *t, const struct event_record *record)
{
	struct zone *zone = &t->machine->nodes[0].zone[ZONE_NORMAL];

	if (record->id != TE_MM_VMSCAN_LRU_SHRINK_INACTIVE || boost_change == 0)
		return;
	atomic_store(&zone->boost, (uint64_t)((int64_t)atomic_load(&zone->boost) + boost_change));
	marks_refresh(zone);
	boost_change = 0;
}

/* At the end what was seen at the start is taken off each zone, never more, never below 0. */
static void body_rule_12_4_16_boosts_are_removed(struct machine_fixture *f)
{
	struct zone *dma = &f->node->zone[ZONE_DMA];

	(void)machine_cached_file(f, 9000);
	rules_rest(f);
	rules_set_probe(f, probe_change_boost);
	atomic_store(&f->zone->boost, 6);
	marks_refresh(f->zone);
	boost_change = 100; /* another theft meanwhile */
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->zone->boost), 100);
	/* Pages may have to move back into their blocks: kcompactd is asked for a whole one. */
	assert_int_equal(atomic_load(&f->node->kcompactd_max_order), NEAP_PAGEBLOCK_ORDER);
	assert_int_equal(atomic_load(&f->node->kcompactd_highest_zone), ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	atomic_store(&f->zone->boost, 6);
	marks_refresh(f->zone);
	atomic_store(&dma->boost, 5);
	marks_refresh(dma);
	boost_change = -4; /* somebody else removed some */
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	assert_int_equal(atomic_load(&dma->boost), 0);
}
RULE(rule_12_4_16_boosts_are_removed, .pages = 16384, .dma_pages = 1024);

/* Activations up to the end of a run are no reason to age lists in the next. */
static void body_rule_12_4_17_refaults_are_noted(struct machine_fixture *f)
{
	rules_rest(f);
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, WORKINGSET_ACTIVATE_FILE, 5);
	node_stat_add(f->t, f->node, WORKINGSET_ACTIVATE_ANON, 3);
	cpu_unpin(f->t);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->lruvec.refaults[0]), 3);
	assert_int_equal(atomic_load(&f->node->lruvec.refaults[1]), 5);
}
RULE(rule_12_4_17_refaults_are_noted, 0);

/* ---- 5: the goal, and the order ---- */

static void probe_freeze_at_3(struct task *t, const struct event_record *record)
{
	if (record->id == TE_MM_VMSCAN_LRU_SHRINK_INACTIVE && record->arg[11] == 3 &&
	    atomic_load(&t->machine->freezing) == 0)
		atomic_store(&t->machine->freezing, 1);
}

/* => pages that one round at priority 3 scanned: whole batches, up to the goal */
static uint64_t scanned_in_a_round(struct machine_fixture *f, uint32_t highest)
{
	rules_trace(f);
	rules_never_balanced(f, true);
	atomic_store(&f->node->zone[ZONE_DMA].reserve[ZONE_DMA], 4096);
	marks_refresh(&f->node->zone[ZONE_DMA]);
	rules_set_probe(f, probe_freeze_at_3);
	rules_wake(f, 0, highest);
	rt_sleep(f->t, NSEC_PER_SEC);
	event_hook_stop(f->m);
	rules_never_balanced(f, false);
	atomic_store(&f->node->zone[ZONE_DMA].reserve[ZONE_DMA], 0);
	marks_refresh(&f->node->zone[ZONE_DMA]);
	struct fixture_events *events = rules_events(f);
	uint64_t scanned = scanned_at(events, 3);

	test_free(events);
	freezer_thaw(f->t, f->m);
	rules_rest(f);
	return scanned;
}

/* Sum of the high marks of managed zones up to the one wanted; 32 pages a zone at least. */
static void body_rule_12_5_1_goal(struct machine_fixture *f)
{
	struct zone *dma = &f->node->zone[ZONE_DMA];

	(void)machine_cached_file(f, 6000);
	rules_rest(f);
	atomic_store(&f->zone->mark[WMARK_HIGH], 200);
	marks_refresh(f->zone);
	atomic_store(&dma->mark[WMARK_HIGH],
		     1); /* counts as 32: 232 are eight batches, 201 seven */
	assert_int_equal(scanned_in_a_round(f, ZONE_NORMAL), 256);
	atomic_store(&dma->mark[WMARK_HIGH], 68);
	marks_refresh(dma);
	assert_int_equal(scanned_in_a_round(f, ZONE_NORMAL), 288);
	/* A zone without managed pages adds nothing: there are three more here. */
}
RULE(rule_12_5_1_goal, .pages = 8192, .dma_pages = 1024);

/* Zones above the one wanted add nothing: 68 are three batches, with Normal's 200 it were nine. */
static void body_rule_12_5_3_goal_of_the_zones_wanted(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	uint64_t value;

	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_LOW) - 16);
	struct fixture_file *low = machine_file(f, 2600);

	low->mapping->readahead = UINT64_MAX;
	for (uint64_t page = 0; page < 2600; page++) {
		assert_int_equal(machine_file_read(f, low, page, &value), 0);
		page_clear(machine_file_page(f, low, page), PG_REFERENCED);
	}
	machine_release(f, &hoard, UINT64_MAX);
	rules_rest(f);
	atomic_store(&f->zone->mark[WMARK_HIGH], 200);
	atomic_store(&f->node->zone[ZONE_DMA].mark[WMARK_HIGH], 68);
	assert_int_equal(scanned_in_a_round(f, ZONE_DMA), 96);
}
RULE(rule_12_5_3_goal_of_the_zones_wanted, .pages = 4096, .dma_pages = 4096);

/* Twice the block's pages freed since the run began: the order is dropped to 0. */
static void body_rule_12_5_2_order_dropped_at_the_gap(struct machine_fixture *f)
{
	struct rules_pieces pieces;
	struct rules_counts before;

	rules_make_pieces(f, &pieces, 1100);
	rules_count(f, &before);
	rules_trace(f);
	rules_wake(f, 3, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	/* 1100 >> 10 .. 6: 1 + 2 + 4 + 8 are one too few for 2 x 8; 16 more, the order still 3. */
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_LRU_ISOLATE), 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_LRU_ISOLATE, i)->arg[2], 3);
	assert_moved(f, &before, { "pageoutrun", 1 }, { "compact_daemon_wake", 1 },
		     { "pgscan_kswapd", 31 }, { "pgscan_file", 31 }, { "pgsteal_kswapd", 31 },
		     { "pgsteal_file", 31 });
	rules_end_pieces(f, &pieces);
	test_free(events);
}
RULE(rule_12_5_2_order_dropped_at_the_gap, 0);

/* Exactly twice the block is enough: 1160 >> 10 .. 7 are 1 + 2 + 4 + 9 = 2 x 8. */
static void body_rule_12_5_4_the_gap_itself_is_enough(struct machine_fixture *f)
{
	struct rules_pieces pieces;
	struct rules_counts before;

	rules_make_pieces(f, &pieces, 1160);
	rules_count(f, &before);
	rules_wake(f, 3, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_moved(f, &before, { "pageoutrun", 1 }, { "compact_daemon_wake", 1 },
		     { "pgscan_kswapd", 16 }, { "pgscan_file", 16 }, { "pgsteal_kswapd", 16 },
		     { "pgsteal_file", 16 });
	rules_end_pieces(f, &pieces);
}
RULE(rule_12_5_4_the_gap_itself_is_enough, 0);

/* ---- 6: a hopeless node ---- */

static bool told_unreclaimable(struct machine_fixture *f)
{
	struct snapshot *snapshot = test_malloc(snapshot_bytes(f->m->nr_nodes));

	snapshot_take(f->t, f->m, snapshot);
	bool told = snapshot->node[0].zone[ZONE_NORMAL].node_unreclaimable;

	test_free(snapshot);
	return told;
}

static void body_rule_12_6_1_told_in_zoneinfo(struct machine_fixture *f)
{
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES - 1);
	assert_false(told_unreclaimable(f));
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	assert_true(told_unreclaimable(f));
	atomic_store(&f->node->kswapd_failures, 0);
}
RULE(rule_12_6_1_told_in_zoneinfo, 0);

/* Any pass over the node that got something gives it hope, whoever made it. */
static void body_rule_12_6_2_any_progress_gives_hope(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)machine_cached_file(f, 2000);
	atomic_store(&f->node->kswapd_failures, 20);
	reclaim_shrink_node(f->t, f->node, &sc); /* priority 12: nothing of 2000 pages */
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 20);
	assert_true(rules_direct(f, GFP_HIGHUSER_MOVABLE, 0) >= 32);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
}
RULE(rule_12_6_2_any_progress_gives_hope, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_12_4_1_pageoutrun_and_memstall),
		cmocka_unit_test(rule_12_4_2_boosts_are_summed),
		cmocka_unit_test(rule_12_4_3_reclaim_active),
		cmocka_unit_test(rule_12_4_4_unbalanced_ends_boosting),
		cmocka_unit_test(rule_12_4_5_balanced_ends_the_run),
		cmocka_unit_test(rule_12_4_6_boosting_does_no_io),
		cmocka_unit_test(rule_12_4_7_laptop_mode),
		cmocka_unit_test(rule_12_4_8_aging),
		cmocka_unit_test(rule_12_4_9_goal_keeps_the_priority),
		cmocka_unit_test(rule_12_4_10_waiters_go_when_reserves_are_good),
		cmocka_unit_test(rule_12_4_11_frozen_in_the_loop),
		cmocka_unit_test(rule_12_4_12_boosting_without_progress),
		cmocka_unit_test(rule_12_4_13_priorities_12_to_1),
		cmocka_unit_test(rule_12_4_14_failures),
		cmocka_unit_test(rule_12_4_15_progress_before_the_restart),
		cmocka_unit_test(rule_12_4_16_boosts_are_removed),
		cmocka_unit_test(rule_12_4_17_refaults_are_noted),
		cmocka_unit_test(rule_12_5_1_goal),
		cmocka_unit_test(rule_12_5_2_order_dropped_at_the_gap),
		cmocka_unit_test(rule_12_5_3_goal_of_the_zones_wanted),
		cmocka_unit_test(rule_12_5_4_the_gap_itself_is_enough),
		cmocka_unit_test(rule_12_6_1_told_in_zoneinfo),
		cmocka_unit_test(rule_12_6_2_any_progress_gives_hope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
