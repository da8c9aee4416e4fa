/*
 * The rules of what is scanned, and of shrinking one node's lists, one test each (docs/rules.md):
 * spec 11, sections 3 to 5, the trace's texts (13), and the invariants.
 *
 *   switches of the pass ─> mode ─> pages a list ─> 32 of each in turn ─> goal reached? ─> age
 *
 * test_balance.c checks sections 3 and 4 on a node made by hand, where every number is an
 * input; here the same rules are met on a whole machine, and swept over all swappinesses.
 *
 * What must never happen here: a share computed by the function under test.
 */
#include "rules_fixture.h"

#include "base/rng.h"
#include "core/pcp.h"
#include "core/shrinker.h"
#include "core/sysctl.h"
#include "core/thp.h"

static struct scan_control scan_at(int32_t priority)
{
	struct scan_control sc = machine_scan();

	sc.priority = priority;
	return sc;
}

static struct fixture_events *pass(struct machine_fixture *f, struct scan_control *sc)
{
	rules_trace(f);
	reclaim_shrink_node(f->t, f->node, sc);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_FILE), 0);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_ANON), 0);
	return rules_events(f);
}

/* Pages asked for from each list. */
static void wanted(const struct fixture_events *events, uint64_t list[4])
{
	memset(list, 0, 4 * sizeof(list[0]));
	for (uint32_t i = 0; i < events->nr; i++)
		if (events->record[i].id == TE_MM_VMSCAN_LRU_ISOLATE)
			list[events->record[i].arg[7]] += events->record[i].arg[3];
}

/* A refault since the last run: aging of files is allowed, which forbids the trim. */
static void refault_file(struct machine_fixture *f)
{
	atomic_fetch_add(&f->node->lruvec.refaults[1], 1);
}

/* ---- 3: switches ---- */

/* Plenty of inactive files and no reason to age them: files only, whatever the swappiness. */
static void body_rule_11_3_1_cache_trim(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(3);
	uint64_t list[4];

	(void)rules_old_region(f, 800);
	(void)machine_cached_file(f, 800);
	atomic_store(&f->m->sysctl.swappiness, 200);
	sc.nr_to_reclaim = 1000;
	struct fixture_events *events = pass(f, &sc);

	wanted(events, list);
	assert_int_equal(list[LRU_INACTIVE_FILE], 100);
	assert_int_equal(list[LRU_INACTIVE_ANON], 0);
	test_free(events);
	/* A refault ends it: at 200 all of it is anonymous then. */
	refault_file(f);
	sc = scan_at(3);
	events = pass(f, &sc);
	wanted(events, list);
	assert_int_equal(list[LRU_INACTIVE_FILE], 0);
	assert_int_equal(list[LRU_INACTIVE_ANON], 100);
	test_free(events);
	machine_settle(f);
}
RULE(rule_11_3_1_cache_trim, .swap_pages = 4096);

/* Files and free pages together do not reach the high mark: anonymous pages only. */
static void body_rule_11_3_2_file_is_tiny(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(3);
	struct fixture_hoard hoard = { 0 };
	uint64_t high = zone_mark(f->zone, WMARK_HIGH);
	uint64_t list[4];

	(void)rules_old_region(f, 800);
	(void)machine_cached_file(f, 40);
	atomic_store(&f->m->sysctl.swappiness, 0);
	machine_hoard(f, &hoard, high - 45);
	vmstat_fold_all(f->t, f->m);
	sc.nr_to_reclaim = 1000;
	struct fixture_events *events = pass(f, &sc);

	wanted(events, list);
	assert_int_equal(list[LRU_INACTIVE_ANON], 100);
	assert_int_equal(list[LRU_INACTIVE_FILE], 0);
	test_free(events);
	machine_release(f, &hoard, 10); /* now they do */
	pcp_drain_all(f->t, f->m, NULL);
	machine_settle(f);
	sc = scan_at(3);
	events = pass(f, &sc);
	wanted(events, list);
	assert_int_equal(list[LRU_INACTIVE_ANON], 0);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_11_3_2_file_is_tiny, .swap_pages = 4096);

/* ---- 4: scan counts ---- */

/*
 * Swappiness 0 to 200, no costs: shares s to 200 - s of 1600 >> 3 pages a list. At priority 0 both
 * types are scanned in full, but not with swappiness 0.
 */
static void body_rule_11_4_1_all_swappinesses(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(3);
	struct scan_terms terms;
	uint64_t nr[4];

	(void)rules_old_region(f, 1600);
	(void)machine_cached_file(f, 1600);
	for (uint64_t s = 0; s <= 200; s++) {
		atomic_store(&f->m->sysctl.swappiness, (int32_t)s);
		balance_scan_count(f->m, f->node, &sc, nr, &terms);
		assert_int_equal(terms.mode, SCAN_FRACT);
		assert_int_equal(nr[LRU_INACTIVE_ANON], s); /* 200 s / 200 */
		assert_int_equal(nr[LRU_INACTIVE_FILE], 200 - s);
		sc.priority = 0;
		balance_scan_count(f->m, f->node, &sc, nr, &terms);
		assert_int_equal(terms.mode, s == 0 ? SCAN_FRACT : SCAN_EQUAL);
		assert_int_equal(nr[LRU_INACTIVE_ANON], s == 0 ? 0 : 1600);
		assert_int_equal(nr[LRU_INACTIVE_FILE], 1600);
		sc.priority = 3;
	}
}
RULE(rule_11_4_1_all_swappinesses, .pages = 8192, .swap_pages = 4096);

/* A type that cost more is scanned less: worked examples of the specification. */
static void body_rule_11_4_2_costs(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(0);
	struct scan_terms terms;
	uint64_t nr[4];

	(void)rules_old_region(f, 506);
	(void)machine_cached_file(f, 506);
	atomic_store(&f->m->sysctl.swappiness, 60);
	sc.anon_cost = 100;
	sc.priority = 1;
	balance_scan_count(f->m, f->node, &sc, nr, &terms);
	assert_int_equal(terms.anon_share, 89);
	assert_int_equal(terms.file_share, 417);
	assert_int_equal(nr[LRU_INACTIVE_ANON], 44); /* 253 * 89 / 506 */
	assert_int_equal(nr[LRU_INACTIVE_FILE], 208);
}
RULE(rule_11_4_2_costs, .swap_pages = 1024);

/* No free slot, or no permission: not a single anonymous page is scanned (invariant 5). */
static void body_rule_11_4_3_no_swap(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(0);
	struct scan_terms terms;
	uint64_t nr[4];
	uint32_t entry[7];

	(void)rules_old_region(f, 100);
	balance_scan_count(f->m, f->node, &sc, nr, &terms);
	assert_int_equal(nr[LRU_INACTIVE_ANON], 100);
	sc.may_swap = false;
	balance_scan_count(f->m, f->node, &sc, nr, &terms);
	assert_int_equal(nr[LRU_INACTIVE_ANON] + nr[LRU_ACTIVE_ANON], 0);
	sc.may_swap = true;
	for (uint32_t i = 0; i < 7; i++)
		entry[i] = swap_slot_get(f->t);
	balance_scan_count(f->m, f->node, &sc, nr, &terms);
	assert_int_equal(terms.mode, SCAN_FILE);
	assert_int_equal(nr[LRU_INACTIVE_ANON] + nr[LRU_ACTIVE_ANON], 0);
	for (uint32_t i = 0; i < 7; i++)
		swap_slot_put(f->t, entry[i]);
}
RULE(rule_11_4_3_no_swap, .swap_pages = 8);

/* ---- 5: lists ---- */

/* An active anonymous list alone does not keep the loop going. */
static void body_rule_11_5_1_active_anon_alone(struct machine_fixture *f)
{
	struct region *region = rules_old_region(f, 400);
	struct scan_control sc = scan_at(0);
	struct rules_counts before;

	rules_activate(f, region, 400);
	rules_count(f, &before);
	sc.force_deactivate = true;
	struct fixture_events *events = pass(f, &sc);

	/* Only what follows each pass: 32 pages are aged. */
	assert_lines(events, "mm_vmscan_lru_isolate: isolate_mode=0 classzone=3 order=0"
			     " nr_requested=32 nr_scanned=32 nr_skipped=0 nr_taken=32"
			     " lru=active_anon");
	assert_moved(f, &before, { "pgrefill", 32 }, { "pgdeactivate", 32 });
	test_free(events);
}
RULE(rule_11_5_1_active_anon_alone, .swap_pages = 1024);

/* The goal reached, one type dropped, the other cut by the same share; costs of what was written.
 */
static void body_rule_11_5_2_proportional_stop(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(3);
	struct rules_counts before;
	uint64_t list[4];

	(void)rules_old_region(f, 1024);
	(void)machine_cached_file(f, 1536);
	atomic_store(&f->m->sysctl.swappiness, 100);
	refault_file(f);
	rules_count(f, &before);
	struct fixture_events *events = pass(f, &sc);

	/* Targets 64 and 96; 49 % of the anonymous ones are left, so 96 * 51 % = 48 file pages. */
	wanted(events, list);
	assert_int_equal(list[LRU_INACTIVE_ANON], 32);
	assert_int_equal(list[LRU_INACTIVE_FILE], 48);
	assert_int_equal(f->node->lruvec.anon_cost, 32);
	assert_int_equal(f->node->lruvec.file_cost, 0);
	assert_moved(f, &before, { "pgscan_direct", 80 }, { "pgscan_anon", 32 },
		     { "pgscan_file", 48 }, { "pgsteal_direct", 48 }, { "pgsteal_file", 48 },
		     { "nr_vmscan_write", 32 }, { "pswpout", 32 });
	test_free(events);
	machine_settle(f);
}
RULE(rule_11_5_2_proportional_stop, .pages = 8192, .swap_pages = 8192);

/*
 * Active pages that are looked at one by one, since somebody has one of them locked: all go down,
 * known as part of the working set, the locked one as well.
 */
static void body_rule_11_5_6_refill_one_by_one(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 100);
	struct scan_control sc = scan_at(12);
	struct rules_counts before;

	for (uint64_t page = 0; page < 90; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	rules_count(f, &before);
	page_lock(f->t, machine_file_page(f, file, 5));
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 20);
	page_unlock(f->t, machine_file_page(f, file, 5));
	for (uint64_t page = 0; page < 20; page++) {
		assert_false(page_test(machine_file_page(f, file, page), PG_ACTIVE));
		assert_true(page_test(machine_file_page(f, file, page), PG_WORKINGSET));
	}
	assert_moved(f, &before, { "pgrefill", 20 }, { "pgdeactivate", 20 });
}
RULE(rule_11_5_6_refill_one_by_one, 0);

/* Active pages of zones above the limit are passed over, and count as looked at. */
static void body_rule_11_5_7_refill_counts_skipped(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 100);
	struct fixture_file *low = machine_low_file(f, 64);
	struct scan_control sc = scan_at(12);
	struct rules_counts before;

	for (uint64_t page = 0; page < 100; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	for (uint64_t page = 0; page < 64; page++)
		lru_activate(f->t, machine_file_page(f, low, page));
	lru_drain_all(f->t);
	rules_count(f, &before);
	sc.reclaim_idx = ZONE_DMA;
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 8);
	assert_moved(f, &before, { "pgrefill", 108 }, { "pgdeactivate", 8 },
		     { "pgskip_normal", 100 });
}
RULE(rule_11_5_7_refill_counts_skipped, .dma_pages = 2048);

/* Pages that stay, and pages that are freed, cost nothing: what is written out does. */
static void body_rule_11_5_5_cost_is_what_is_written(struct machine_fixture *f)
{
	struct region *region = rules_old_region(f, 256);
	struct scan_control sc = scan_at(3);
	uint64_t value;

	for (uint64_t page = 0; page < 20; page++)
		assert_int_equal(machine_read(f, region, page, &value), 0);
	atomic_store(&f->m->sysctl.swappiness, 200);
	sc.nr_to_reclaim = 1000;
	struct fixture_events *events = pass(f, &sc);

	assert_int_equal(sc.nr.taken, 32);
	assert_int_equal(f->node->lruvec.anon_cost, 12);
	assert_int_equal(f->node->lruvec.file_cost, 0);
	test_free(events);
	machine_settle(f);
}
RULE(rule_11_5_5_cost_is_what_is_written, .swap_pages = 4096);

/* 5.2, 1: a task that is to end gets out of the wait at once, as if it had got its 32 pages. */
static void body_rule_11_5_3_isolated_and_fatal(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(3);

	(void)machine_cached_file(f, 1024);
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ISOLATED_FILE, 129);
	cpu_unpin(f->t);
	vmstat_fold_all(f->t, f->m);
	f->t->flags |= PF_EXITING;
	rules_trace(f);
	reclaim_shrink_node(f->t, f->node, &sc);
	f->t->flags &= ~PF_EXITING;
	struct fixture_events *events = rules_events(f);

	assert_int_equal(sc.nr_reclaimed, 32);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT), 0);
	assert_lines(events, "mm_vmscan_throttled: nid=0 usec_timeout=20000 usect_delayed=20000"
			     " reason=VMSCAN_THROTTLE_ISOLATED");
	/* Who finds few enough lets the others go. */
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ISOLATED_FILE, -129);
	cpu_unpin(f->t);
	vmstat_fold_all(f->t, f->m);
	uint32_t seq = atomic_load(&f->node->reclaim_wait[WAIT_ISOLATED].seq);

	sc = scan_at(3);
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_not_equal(atomic_load(&f->node->reclaim_wait[WAIT_ISOLATED].seq), seq);
	test_free(events);
}
RULE(rule_11_5_3_isolated_and_fatal, 0);

/* 5.2, 5: the flusher is asked if all that was taken is dirty and nobody writes it. */
static void body_rule_11_5_4_flusher_is_asked(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 64);
	struct scan_control sc = scan_at(1);

	for (uint64_t page = 1; page < 64; page++)
		assert_int_equal(machine_file_write(f, file, page, 1), 0);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 64; page++)
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
	uint32_t seq = atomic_load(&f->m->flush_wait.seq);

	sc.nr_to_reclaim = 1;
	reclaim_shrink_node(f->t, f->node, &sc); /* 31 of 32 are dirty */
	assert_int_equal(sc.nr.unqueued_dirty, 31);
	assert_int_equal(atomic_load(&f->m->flush_wait.seq), seq);
	reclaim_shrink_node(f->t, f->node, &sc); /* all of the next 16 */
	assert_int_equal(sc.nr.unqueued_dirty, sc.nr.taken);
	assert_int_not_equal(atomic_load(&f->m->flush_wait.seq), seq);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
}
RULE(rule_11_5_4_flusher_is_asked, .pages = 8192);

/* ---- 13: texts ---- */

static void body_rule_11_13_1_list_texts(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 200);
	struct scan_control sc = scan_at(3);

	for (uint64_t page = 100; page < 200; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	page_get(machine_file_page(f, file, 0)); /* kept */
	sc.is_kswapd = true;
	sc.order = 2;
	sc.force_deactivate = true;
	sc.reclaim_idx = ZONE_NORMAL;
	struct fixture_events *events = pass(f, &sc);

	assert_lines(events,
		     "mm_vmscan_lru_isolate: isolate_mode=0 classzone=2 order=2 nr_requested=12"
		     " nr_scanned=12 nr_skipped=0 nr_taken=12 lru=inactive_file",
		     "mm_vmscan_lru_shrink_inactive: nid=0 nr_scanned=12 nr_reclaimed=11 nr_dirty=0"
		     " nr_writeback=0 nr_congested=0 nr_immediate=0 nr_activate_anon=0"
		     " nr_activate_file=0 nr_ref_keep=0 nr_unmap_fail=0 priority=3"
		     " flags=RECLAIM_WB_FILE|RECLAIM_WB_ASYNC",
		     "mm_vmscan_lru_isolate: isolate_mode=0 classzone=2 order=2 nr_requested=12"
		     " nr_scanned=12 nr_skipped=0 nr_taken=12 lru=active_file",
		     "mm_vmscan_lru_shrink_active: nid=0 nr_taken=12 nr_active=0 nr_deactivated=12"
		     " nr_referenced=0 priority=3 flags=RECLAIM_WB_FILE|RECLAIM_WB_ASYNC");
	page_put(f->t, machine_file_page(f, file, 0));
	test_free(events);
}
RULE(rule_11_13_1_list_texts, 0);

/* Six huge pages wait to be split, one call scans none, the next all of them. */
static void body_rule_11_13_2_shrinker_texts(struct machine_fixture *f)
{
	const struct region_spec spec = { .nr_pages = 6 * 512, .flags = REGION_HUGE };
	struct region *region = machine_region_spec(f, &spec);
	const char *enabled = "/sys/kernel/mm/transparent_hugepage/enabled";

	assert_int_equal(sysctl_write(f->t, f->m, enabled, "madvise", 7), 7);
	for (uint64_t i = 0; i < 6; i++) {
		machine_fill(f, region, i * 512, 2);
		region_zap(f->t, region, i * 512 + 9, 1);
	}
	assert_int_equal(f->node->split_queue_len, 6);
	rules_trace(f);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 2);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 1);
	struct fixture_events *events = rules_events(f);

	assert_lines(events,
		     "mm_shrink_slab_start: shrinker_1: nid: 0 objects to shrink 0"
		     " gfp_flags GFP_KERNEL cache items 6 delta 2 total_scan 2 priority 2",
		     "mm_shrink_slab_end: shrinker_1: nid: 0 unused scan count 0"
		     " new scan count 2 total_scan 2 last shrinker return val 0",
		     "mm_shrink_slab_start: shrinker_1: nid: 0 objects to shrink 2"
		     " gfp_flags GFP_KERNEL cache items 6 delta 6 total_scan 7 priority 1",
		     "mm_shrink_slab_end: shrinker_1: nid: 0 unused scan count 2"
		     " new scan count 1 total_scan 0 last shrinker return val 6");
	test_free(events);
}
RULE(rule_11_13_2_shrinker_texts, .pages = 6144);

/* ---- invariants ---- */

static const char *broken;

static void require(bool holds, const char *what)
{
	if (!holds && broken == NULL)
		broken = what;
}

static void probe_laws(struct task *t, const struct event_record *record)
{
	bool file = record->id == TE_MM_VMSCAN_LRU_SHRINK_INACTIVE &&
		    (record->arg[12] & RECLAIM_FLAG_FILE);

	if (record->id == TE_MM_VMSCAN_LRU_ISOLATE) {
		require(record->arg[6] <= record->arg[3], "more taken than asked for");
		require(record->arg[3] <= SWAP_CLUSTER_MAX, "more than a batch");
		require(record->arg[4] == record->arg[5] + record->arg[6],
			"scanned, but neither taken nor skipped");
	} else if (record->id == TE_MM_VMSCAN_LRU_SHRINK_INACTIVE) {
		require(record->arg[2] <= record->arg[1], "2: more reclaimed than scanned");
		require(record->arg[5] <= record->arg[3], "7: congested pages that are not dirty");
		require(file || record->arg[3] == 0, "7: dirty anonymous pages are told");
		require(record->arg[3] <= record->arg[1], "7: more dirty than taken");
	} else if (record->id == TE_MM_VMSCAN_WRITE_FOLIO) {
		require(!(record->arg[1] & RECLAIM_FLAG_FILE) || (t->flags & PF_KSWAPD),
			"4: a file page written by a program");
	}
}

static void use(struct machine_fixture *f, struct rng *rng, struct region *region,
		struct fixture_file *file)
{
	uint64_t page = rng_below(rng, 3000);
	uint64_t value;

	switch (rng_below(rng, 4)) {
	case 0:
		(void)machine_write(f, region, page, page);
		break;
	case 1:
		(void)machine_read(f, region, page / 8, &value);
		break;
	case 2:
		(void)machine_file_write(f, file, page, page);
		break;
	default:
		(void)machine_file_read(f, file, page, &value);
		break;
	}
}

/* Random uses of memory and files; every event is looked at, and sums at the end. */
static void body_rule_11_invariants(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3000);
	struct fixture_file *file = machine_file(f, 3000);
	struct rng rng;

	rng_seed(&rng, machine_seed());
	broken = NULL;
	rules_set_probe(f, probe_laws);
	for (uint32_t i = 0; i < 40000 && broken == NULL; i++) {
		use(f, &rng, region, file);
		if (i % 400 == 0)
			(void)rules_direct(f, GFP_HIGHUSER_MOVABLE, 0);
		if (i % 4000 == 0)
			atomic_store(&f->m->sysctl.swappiness, (int32_t)rng_below(&rng, 201));
	}
	event_hook_stop(f->m);
	if (broken != NULL)
		fail_msg("invariant %s", broken);
	/* 3: without groups both ways of counting agree. */
	assert_int_equal(machine_events(f, EV_PGSTEAL_KSWAPD) +
				 machine_events(f, EV_PGSTEAL_DIRECT),
			 machine_events(f, EV_PGSTEAL_ANON) + machine_events(f, EV_PGSTEAL_FILE));
	assert_int_equal(machine_events(f, EV_PGSCAN_KSWAPD) + machine_events(f, EV_PGSCAN_DIRECT),
			 machine_events(f, EV_PGSCAN_ANON) + machine_events(f, EV_PGSCAN_FILE));
	assert_true(machine_events(f, EV_PGSTEAL_ANON) > 100);
	assert_true(machine_events(f, EV_PGSTEAL_FILE) > 100);
}
RULE(rule_11_invariants, .pages = 1024, .swap_pages = 8192,
     .swap = { .latency_ns = 500000, .depth = 1 });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_11_3_1_cache_trim),
		cmocka_unit_test(rule_11_3_2_file_is_tiny),
		cmocka_unit_test(rule_11_4_1_all_swappinesses),
		cmocka_unit_test(rule_11_4_2_costs),
		cmocka_unit_test(rule_11_4_3_no_swap),
		cmocka_unit_test(rule_11_5_1_active_anon_alone),
		cmocka_unit_test(rule_11_5_2_proportional_stop),
		cmocka_unit_test(rule_11_5_3_isolated_and_fatal),
		cmocka_unit_test(rule_11_5_5_cost_is_what_is_written),
		cmocka_unit_test(rule_11_5_6_refill_one_by_one),
		cmocka_unit_test(rule_11_5_7_refill_counts_skipped),
		cmocka_unit_test(rule_11_5_4_flusher_is_asked),
		cmocka_unit_test(rule_11_13_1_list_texts),
		cmocka_unit_test(rule_11_13_2_shrinker_texts),
		cmocka_unit_test(rule_11_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
