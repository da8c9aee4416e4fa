/*
 * Shrinking lists and nodes (core/reclaim.c): what is isolated from which list, in
 * which order, what is counted, and what a pass tells kswapd about its node.
 *
 *   reclaim_shrink_node ── targets ── 32 from each list in turn ── stop? ── flags
 *
 * The engine's own trace events (isolate, shrink_inactive, shrink_active) are the
 * record of its decisions; expectations are written out, not computed.
 *
 * What must never happen here: isolated counters that do not return to zero; every
 * test of a pass ends with that check.
 */
#include "machine_fixture.h"

#include "core/workingset.h"

static void assert_nothing_isolated(struct machine_fixture *f)
{
	assert_int_equal(machine_node_count(f, NR_ISOLATED_ANON), 0);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_FILE), 0);
}

static struct region *old_region(struct machine_fixture *f, uint64_t nr)
{
	struct region *region = machine_region(f, nr);

	machine_fill(f, region, 0, nr);
	lru_drain_all(f->t);
	machine_age(f, region, 0, nr);
	return region;
}

/* Makes the aging of file pages look necessary, which forbids the cache trim. */
static void refault_file(struct machine_fixture *f)
{
	atomic_fetch_add(&f->node->lruvec.refaults[1], 1);
}

static struct fixture_events *pass(struct machine_fixture *f, struct scan_control *sc)
{
	struct fixture_events *events = test_malloc(sizeof(*events));

	assert_int_equal(event_start(f->m), 0);
	reclaim_shrink_node(f->t, f->node, sc);
	event_stop(f->m);
	machine_take_events(f, events);
	assert_nothing_isolated(f);
	return events;
}

/* One isolation: list, pages asked for, scanned, taken. */
struct isolation {
	uint64_t list, want, scanned, taken;
};

static void assert_isolations(const struct fixture_events *events, const struct isolation *expected,
			      uint32_t nr)
{
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_LRU_ISOLATE), nr);
	for (uint32_t i = 0; i < nr; i++) {
		const struct event_record *record =
			machine_event_at(events, TE_MM_VMSCAN_LRU_ISOLATE, i);

		assert_int_equal(record->arg[7], expected[i].list);
		assert_int_equal(record->arg[3], expected[i].want);
		assert_int_equal(record->arg[4], expected[i].scanned);
		assert_int_equal(record->arg[6], expected[i].taken);
	}
}

/* ---- one list ---- */

static void body_file_only(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 1000);
	struct scan_control sc = machine_scan();

	sc.priority = 3; /* 125 pages */
	struct fixture_events *events = pass(f, &sc);

	/* The goal of 32 is met by the first batch; the only type is used up then. */
	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 } },
			  1);
	assert_int_equal(sc.nr_reclaimed, 32);
	assert_int_equal(sc.nr_scanned, 32);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT), 32);
	assert_int_equal(machine_events(f, EV_PGSCAN_FILE), 32);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), 32);
	assert_int_equal(machine_events(f, EV_PGSTEAL_FILE), 32);
	assert_int_equal(machine_events(f, EV_PGSCAN_KSWAPD), 0);
	assert_int_equal(machine_events(f, EV_PGSCAN_ANON), 0);
	const struct event_record *shrink =
		machine_event_at(events, TE_MM_VMSCAN_LRU_SHRINK_INACTIVE, 0);

	assert_int_equal(shrink->arg[0], 0);
	assert_int_equal(shrink->arg[1], 32);
	assert_int_equal(shrink->arg[2], 32);
	for (uint32_t i = 3; i < 11; i++)
		assert_int_equal(shrink->arg[i], 0);
	assert_int_equal(shrink->arg[11], 3);
	assert_int_equal(shrink->arg[12], RECLAIM_FLAG_FILE | RECLAIM_FLAG_ASYNC);
	/* The oldest went. */
	assert_null(machine_file_page(f, file, 31));
	assert_non_null(machine_file_page(f, file, 32));
	test_free(events);
}

MACHINE_TEST(file_only, 0);

/* Small targets: nothing at priority 12; later, what is left after the goal is dropped. */
static void body_first_priority(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)machine_cached_file(f, 3000);
	sc.nr_to_reclaim = 1;
	sc.priority = 12; /* nothing at all: 3000 >> 12 */
	struct fixture_events *events = pass(f, &sc);

	assert_isolations(events, NULL, 0);
	test_free(events);
	/* kswapd has no such exemption: priority 6 gives 46, of which 14 are dropped. */
	sc.priority = 6;
	sc.is_kswapd = true;
	sc.nr_reclaimed = 0;
	events = pass(f, &sc);
	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 } },
			  1);
	assert_int_equal(machine_events(f, EV_PGSCAN_KSWAPD), 32);
	assert_int_equal(machine_events(f, EV_PGSTEAL_KSWAPD), 32);
	test_free(events);
}

MACHINE_TEST(first_priority, .pages = 8192);

/* At priority 12 a direct run takes all of its target: 140 000 >> 12 = 34 pages. */
static void body_first_priority_long(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)machine_cached_file(f, 140000);
	sc.nr_to_reclaim = 1;
	struct fixture_events *events = pass(f, &sc);

	assert_isolations(events,
			  (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 },
						      { LRU_INACTIVE_FILE, 2, 2, 2 } },
			  2);
	test_free(events);
	sc.is_kswapd = true;
	events = pass(f, &sc);
	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 } },
			  1);
	test_free(events);
}

MACHINE_TEST(first_priority_long, .pages = 160000);

/* The first three steps of a run over 41 000 pages. */
static void body_first_priority_all(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)machine_cached_file(f, 41000);
	sc.nr_to_reclaim = 1;
	struct fixture_events *events = pass(f, &sc);

	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 10, 10, 10 } },
			  1);
	test_free(events);
	sc.priority = 11;
	sc.nr_to_reclaim = 32;
	sc.nr_reclaimed = 0;
	events = pass(f, &sc);
	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 20, 20, 20 } },
			  1);
	test_free(events);
	sc.priority = 10;
	events = pass(f, &sc);
	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 } },
			  1);
	assert_int_equal(sc.nr_reclaimed, 52);
	test_free(events);
}

MACHINE_TEST(first_priority_all, .pages = 65536);

/* ---- two types ---- */

/*
 * The goal is met in the first turn (the file pages are clean): the type with less left is given
 * up, and the other is cut by the same share. Equal shares (swappiness 100, no costs); targets:
 * 1024 / 8 / 2 = 64 anon and 1536 / 8 / 2 = 96 file.
 */
static void body_proportional(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)old_region(f, 1024);
	(void)machine_cached_file(f, 1536);
	atomic_store(&f->m->sysctl.swappiness, 100);
	refault_file(f);
	sc.priority = 3;
	struct fixture_events *events = pass(f, &sc);

	/*
	 * After 32 + 32: 32 anon left of 64, 64 file left of 96. Anon is dropped: 32 * 100 / 65 =
	 * 49 per cent of it were left, so the file target becomes 96 * 51 / 100 = 48, of which 32
	 * are done: 16 more.
	 */
	assert_isolations(events,
			  (const struct isolation[]){ { LRU_INACTIVE_ANON, 32, 32, 32 },
						      { LRU_INACTIVE_FILE, 32, 32, 32 },
						      { LRU_INACTIVE_FILE, 16, 16, 16 } },
			  3);
	assert_int_equal(sc.nr_reclaimed, 48);
	test_free(events);
	machine_settle(f);
}

MACHINE_TEST(proportional, .pages = 8192, .swap_pages = 8192);

/* The goal is not met: both types are worked off to the end. */
static void body_not_met(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)old_region(f, 1024);
	(void)machine_cached_file(f, 512);
	atomic_store(&f->m->sysctl.swappiness, 100);
	refault_file(f);
	sc.priority = 3;
	sc.nr_to_reclaim = 1000;
	struct fixture_events *events = pass(f, &sc);

	assert_isolations(events,
			  (const struct isolation[]){ { LRU_INACTIVE_ANON, 32, 32, 32 },
						      { LRU_INACTIVE_FILE, 32, 32, 32 },
						      { LRU_INACTIVE_ANON, 32, 32, 32 } },
			  3);
	assert_int_equal(sc.nr_reclaimed, 32);
	/* Written pages are a cost of the anonymous type; the charge of 0 for files is none. */
	assert_int_equal(f->node->lruvec.anon_cost, 64);
	assert_int_equal(f->node->lruvec.file_cost, 0);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_WRITE), 64);
	test_free(events);
	machine_settle(f);
}

MACHINE_TEST(not_met, .pages = 8192, .swap_pages = 8192);

/* ---- active lists ---- */

static void body_active(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 100);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 90; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	page_set(machine_file_page(f, file, 0), PG_REFERENCED);
	uint64_t deactivated = machine_events(f, EV_PGDEACTIVATE);
	struct fixture_events *events = test_malloc(sizeof(*events));

	assert_int_equal(event_start(f->m), 0);
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 20);
	event_stop(f->m);
	machine_take_events(f, events);
	assert_nothing_isolated(f);
	assert_int_equal(machine_events(f, EV_PGREFILL), 20);
	assert_int_equal(machine_events(f, EV_PGDEACTIVATE), deactivated + 20);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 70);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_FILE), 30);
	/* The oldest active one; even if it was marked, and the mark stays. */
	struct page *page = machine_file_page(f, file, 0);

	assert_false(page_test(page, PG_ACTIVE));
	assert_true(page_test(page, PG_WORKINGSET));
	assert_true(page_test(page, PG_REFERENCED));
	assert_true(page_test(machine_file_page(f, file, 20), PG_ACTIVE));
	const struct event_record *record =
		machine_event_at(events, TE_MM_VMSCAN_LRU_SHRINK_ACTIVE, 0);

	assert_int_equal(record->arg[1], 20);
	assert_int_equal(record->arg[2], 0);
	assert_int_equal(record->arg[3], 20);
	assert_int_equal(record->arg[5], 12);
	test_free(events);
}

MACHINE_TEST(active, 0);

/* Young bits are cleared on the way down, and protect nothing there. */
static void body_active_young(struct machine_fixture *f)
{
	struct region *region = old_region(f, 64);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 64; page++)
		lru_activate(f->t, machine_page_at(f, region, page));
	lru_drain_all(f->t);
	machine_check(f, region, 0, 64); /* all young */
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_ANON, 32);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 32);
	for (uint64_t page = 0; page < 64; page++) {
		struct hw_entry entry = { .vpn = region->start_vpn + page };

		f->hw->ops->get(region->space->hw, &entry);
		assert_int_equal((entry.flags & HW_YOUNG) != 0, page >= 32);
	}
}

MACHINE_TEST(active_young, .swap_pages = 256);

/* An active list that is long enough is left alone, and the pass says so. */
static void body_skipped(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 1000);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 400; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	sc.priority = 3; /* 75 inactive, 50 active */
	struct fixture_events *events = pass(f, &sc);

	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 } },
			  1);
	assert_true(sc.skipped_deactivate);
	assert_int_equal(machine_events(f, EV_PGREFILL), 0);
	test_free(events);
	/* Forced, it is shrunk, too; inactive first. */
	sc.force_deactivate = true;
	sc.skipped_deactivate = false;
	sc.nr_reclaimed = 0;
	events = pass(f, &sc);
	assert_false(sc.skipped_deactivate);
	/* 71 and 50 become 39 + 18 left; all are files, so the pass stops at the goal. */
	assert_isolations(events,
			  (const struct isolation[]){ { LRU_INACTIVE_FILE, 32, 32, 32 },
						      { LRU_ACTIVE_FILE, 32, 32, 32 } },
			  2);
	assert_int_equal(machine_events(f, EV_PGREFILL), 32);
	test_free(events);
}

MACHINE_TEST(skipped, 0);

/* After each pass: too few inactive anonymous pages are refilled, if there is swap at all. */
static void body_refill(struct machine_fixture *f)
{
	struct region *region = old_region(f, 200);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 150; page++)
		lru_activate(f->t, machine_page_at(f, region, page));
	lru_drain_all(f->t);
	struct fixture_events *events = pass(f, &sc);

	if (f->setup->swap_pages != 0)
		assert_isolations(events,
				  (const struct isolation[]){ { LRU_ACTIVE_ANON, 32, 32, 32 } }, 1);
	else
		assert_isolations(events, NULL, 0);
	test_free(events);
}

MACHINE_TEST(refill, .swap_pages = 1024);
static void body_refill_no_swap(struct machine_fixture *f)
{
	body_refill(f);
}

MACHINE_TEST(refill_no_swap, 0);

/* ---- zones ---- */

/* Pages of zones above the limit are skipped, and counted as scanned in pgscan. */
static void body_skip_zone(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 100);
	struct fixture_file *low = machine_low_file(f, 64);
	struct scan_control sc = machine_scan();
	uint64_t in_dma = lruvec_size(&f->node->lruvec, LRU_INACTIVE_FILE, ZONE_DMA);

	assert_int_equal(in_dma, 64);
	sc.priority = 3;
	sc.reclaim_idx = ZONE_DMA;
	for (uint64_t page = 0; page < 64; page++)
		page_clear(machine_file_page(f, low, page), PG_REFERENCED);
	struct fixture_events *events = pass(f, &sc);

	assert_isolations(events, (const struct isolation[]){ { LRU_INACTIVE_FILE, 8, 108, 8 } },
			  1);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT), 108);
	assert_int_equal(machine_events(f, EV_PGSKIP_NORMAL), 100);
	assert_int_equal(sc.nr_scanned, 8);
	assert_int_equal(sc.nr_reclaimed, 8);
	assert_non_null(machine_file_page(f, file, 0));
	test_free(events);
}

MACHINE_TEST(skip_zone, .dma_pages = 2048);

/* ---- what the node is known for ---- */

static void body_flags_dirty(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 256);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 256; page++)
		assert_int_equal(machine_file_write(f, file, page, 1), 0);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 256; page++) {
		page_clear(machine_file_page(f, file, page), PG_REFERENCED | PG_ACTIVE);
	}
	assert_int_equal(atomic_load(&f->node->flags), 0);
	sc.priority = 3;
	sc.is_kswapd = true;
	struct fixture_events *events = pass(f, &sc);

	/* All taken were dirty: the node is known for it, and the flusher was asked. */
	assert_int_equal(sc.nr.dirty, 32);
	assert_int_equal(sc.nr.unqueued_dirty, 32);
	assert_int_equal(sc.nr.file_taken, 32);
	assert_int_equal(sc.nr.taken, 32);
	assert_int_equal(atomic_load(&f->node->flags), NODE_FLAG_DIRTY);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_IMMEDIATE_RECLAIM), 32);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 0);
	test_free(events);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
}

MACHINE_TEST(flags_dirty, .pages = 8192);

/* Everything taken is under write-out: WRITEBACK; met again: CONGESTED, and kswapd waits. */
static void body_flags_writeback(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 64);
	struct scan_control sc = machine_scan();

	for (uint64_t page = 0; page < 64; page++)
		assert_int_equal(machine_file_write(f, file, page, 1), 0);
	lru_drain_all(f->t);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 64), 64);
	sc.priority = 1;
	sc.is_kswapd = true;
	sc.nr_to_reclaim = 1;
	struct fixture_events *events = pass(f, &sc);

	assert_int_equal(sc.nr.writeback, 32);
	assert_int_equal(sc.nr.taken, 32);
	test_free(events);
	events = pass(f, &sc); /* the other half: 16 at this priority */
	assert_int_equal(sc.nr.writeback, 16);
	assert_int_equal(atomic_load(&f->node->flags), NODE_FLAG_WRITEBACK);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 0);
	test_free(events);
	/* Brought back to the inactive list by hand, they are met again, the oldest first. */
	lru_drain_all(f->t);
	for (uint64_t page = 48; page < 64; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 64; page++)
		lru_deactivate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	uint64_t start_ns = rt_now(f->t);

	events = pass(f, &sc);
	assert_int_equal(sc.nr.immediate, sc.nr.taken);
	assert_int_equal(sc.nr.congested, sc.nr.dirty);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 1);
	/* Until enough was written, or 100 ms. */
	const struct event_record *record = machine_event_at(events, TE_MM_VMSCAN_THROTTLED, 0);

	assert_int_equal(record->arg[1], 100000);
	assert_int_equal(record->arg[3], WAIT_WRITEBACK);
	assert_true(rt_now(f->t) - start_ns >= 20 * NSEC_PER_MSEC);
	assert_true(record->arg[2] < 100000);
	assert_true(machine_node_count(f, NR_THROTTLED_WRITTEN) > 32);
	test_free(events);
	machine_settle(f);
}

MACHINE_TEST(flags_writeback, .disk = { .latency_ns = 40000000, .depth = 64 });

/* A program on a congested node waits a tick, unless little is being written. */
static void body_congested(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)machine_cached_file(f, 64);
	atomic_store(&f->node->lruvec.congested, 1);
	struct fixture_events *events = pass(f, &sc);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_THROTTLED), 0);
	test_free(events);
	/* Most of what could be reclaimed is being written. */
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_ZONE_WRITE_PENDING, 64);
	cpu_unpin(f->t);
	uint64_t start_ns = rt_now(f->t);

	events = pass(f, &sc);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_THROTTLED), 1);
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_THROTTLED, 0)->arg[3],
			 WAIT_CONGESTED);
	assert_true(rt_now(f->t) - start_ns >= 4 * NSEC_PER_MSEC);
	test_free(events);
	/* On a hopeless node nobody waits. */
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	events = pass(f, &sc);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_THROTTLED), 0);
	test_free(events);
	atomic_store(&f->node->kswapd_failures, 0);
	atomic_store(&f->node->lruvec.congested, 0);
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_ZONE_WRITE_PENDING, -64);
	cpu_unpin(f->t);
}

MACHINE_TEST(congested, 0);

/* Too many pages are in reclaimers' hands: one wait of 20 ms, then nothing. kswapd never waits. */
static void isolate_many(struct machine_fixture *f, int64_t pages)
{
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ISOLATED_FILE, pages);
	cpu_unpin(f->t);
	vmstat_fold_all(f->t, f->m);
}

static void body_too_many(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();
	struct fixture_events *events = test_malloc(sizeof(*events));

	(void)machine_cached_file(f, 1024);
	vmstat_fold_all(f->t, f->m);
	sc.priority = 3;
	isolate_many(f, 129); /* more than 1024 / 8 */
	uint64_t start_ns = rt_now(f->t);

	assert_int_equal(event_start(f->m), 0);
	reclaim_shrink_node(f->t, f->node, &sc);
	machine_take_events(f, events);
	assert_true(machine_count_events(events, TE_MM_VMSCAN_THROTTLED) >= 1);
	const struct event_record *record = machine_event_at(events, TE_MM_VMSCAN_THROTTLED, 0);

	assert_int_equal(record->arg[1], 20000);
	assert_in_range(record->arg[2], 20000, 20100);
	assert_int_equal(record->arg[3], WAIT_ISOLATED);
	assert_true(rt_now(f->t) - start_ns >= 20 * NSEC_PER_MSEC);
	assert_int_equal(sc.nr_reclaimed, 0);
	/* Without IO or FS the limit is the whole list. */
	sc.gfp_mask = GFP_NOFS;
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr_reclaimed, 32);
	/* kswapd does not look. */
	sc = machine_scan();
	sc.priority = 3;
	sc.is_kswapd = true;
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr_reclaimed, 32);
	event_stop(f->m);
	isolate_many(f, -129);
	test_free(events);
}

MACHINE_TEST(too_many, 0);

/* Progress makes a node hopeful again. */
static void body_progress(struct machine_fixture *f)
{
	struct scan_control sc = machine_scan();

	(void)machine_cached_file(f, 512);
	atomic_store(&f->node->kswapd_failures, 20);
	reclaim_shrink_node(f->t, f->node, &sc); /* priority 12: nothing to scan */
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 20);
	sc.priority = 4;
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr_reclaimed, 32);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
}

MACHINE_TEST(progress, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_only),
		cmocka_unit_test(test_first_priority),
		cmocka_unit_test(test_first_priority_all),
		cmocka_unit_test(test_first_priority_long),
		cmocka_unit_test(test_proportional),
		cmocka_unit_test(test_not_met),
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_active_young),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_refill),
		cmocka_unit_test(test_refill_no_swap),
		cmocka_unit_test(test_skip_zone),
		cmocka_unit_test(test_flags_dirty),
		cmocka_unit_test(test_flags_writeback),
		cmocka_unit_test(test_congested),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
