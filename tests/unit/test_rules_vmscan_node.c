/*
 * The rules of a pass over one node and of the four waits, one test each (docs/rules.md): spec 11,
 * sections 7 and 8.
 *
 *   lists ─> what kswapd learns of the node ─> waits ─> again, for compaction? ─> hope
 *
 *   WRITEBACK   100 ms, or 32 pages written a waiter     ISOLATED    20 ms
 *   NOPROGRESS  a tick, or somebody's progress           CONGESTED   a tick
 *
 * A wait is entered as reclaim enters it; what is being written is said by the counter
 * that the rule reads, where no device is needed for it.
 *
 * What must never happen here: a wait whose length is not compared with its line in the
 * trace.
 */
#include "rules_fixture.h"

#include "core/aops.h"
#include "core/io.h"
#include "core/kswapd.h"
#include "core/pagelock.h"

/* One pass at this priority with a goal of one page. => passes it made, by its isolations */
static uint32_t pass(struct machine_fixture *f, struct scan_control sc)
{
	rules_trace(f);
	reclaim_shrink_node(f->t, f->node, &sc);
	struct fixture_events *events = rules_events(f);
	uint32_t nr = machine_count_events(events, TE_MM_VMSCAN_LRU_ISOLATE);

	assert_int_equal(machine_node_count(f, NR_ISOLATED_FILE), 0);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_ANON), 0);
	test_free(events);
	return nr;
}

static struct scan_control scan_at(int32_t priority, uint32_t order, bool is_kswapd)
{
	struct scan_control sc = machine_scan();

	sc.nr_to_reclaim = 1;
	sc.priority = priority;
	sc.order = order;
	sc.is_kswapd = is_kswapd;
	return sc;
}

/* ---- 7: one node ---- */

/* "All file pages met were dirty" is true of none as well; only kswapd notes anything. */
static void body_rule_11_7_1_dirty_flag_of_an_empty_pass(struct machine_fixture *f)
{
	(void)pass(f, scan_at(12, 0, false));
	assert_int_equal(atomic_load(&f->node->flags), 0);
	(void)pass(f, scan_at(12, 0, true));
	assert_int_equal(atomic_load(&f->node->flags), NODE_FLAG_DIRTY);
}
RULE(rule_11_7_1_dirty_flag_of_an_empty_pass, 0);

/* One clean file page among those taken: the node is not known for dirty ones. */
static void body_rule_11_7_2_dirty_flag_needs_all(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 64);
	struct scan_control sc = scan_at(1, 0, true);

	for (uint64_t page = 1; page < 64; page++) {
		assert_int_equal(machine_file_write(f, file, page, 1), 0);
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
	}
	lru_drain_all(f->t);
	for (uint64_t page = 1; page < 64; page++)
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr.taken, 32);
	assert_int_equal(sc.nr.unqueued_dirty, 31);
	assert_int_equal(atomic_load(&f->node->flags), 0);
}
RULE(rule_11_7_2_dirty_flag_needs_all, .pages = 8192);

/* 64 cached pages, dirty from `first` on; `nr` of those are being written, none was looked at. */
static struct fixture_file *file_being_written(struct machine_fixture *f, uint64_t first,
					       uint64_t nr)
{
	struct fixture_file *file = machine_cached_file(f, 64);

	for (uint64_t page = first; page < 64; page++)
		assert_int_equal(machine_file_write(f, file, page, 1), 0);
	lru_drain_all(f->t);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, nr), nr);
	for (uint64_t page = first; page < 64; page++)
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
	return file;
}

/* One dirty page that nobody writes yet: the node is not congested. */
static void body_rule_11_7_9_congested_needs_all(struct machine_fixture *f)
{
	struct fixture_file *file = file_being_written(f, 0, 31);
	struct scan_control sc = scan_at(1, 0, true);

	for (uint64_t page = 0; page < 31; page++)
		page_set(machine_file_page(f, file, page), PG_RECLAIM);
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr.dirty, 32);
	assert_int_equal(sc.nr.congested, 31);
	assert_int_equal(atomic_load(&f->node->lruvec.congested), 0);
	machine_settle(f);
}
RULE(rule_11_7_9_congested_needs_all, .pages = 8192, .disk = { .latency_ns = 50000000 });

/* One page not under write-out among those taken: reclaim is not yet going round in circles. */
static void body_rule_11_7_8_writeback_flag_needs_all(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(1, 0, true);

	(void)file_being_written(f, 1, 63);
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr.taken, 32);
	assert_int_equal(sc.nr.writeback, 31);
	assert_int_equal(atomic_load(&f->node->flags) & NODE_FLAG_WRITEBACK, 0);
	machine_settle(f);
}
RULE(rule_11_7_8_writeback_flag_needs_all, .pages = 8192, .disk = { .latency_ns = 50000000 });

/* More for compaction: not for order 0; for orders up to 3 below priority 10; while it helps. */
static void body_rule_11_7_3_goes_on_for_compaction(struct machine_fixture *f)
{
	struct rules_pieces pieces;

	rules_make_pieces(f, &pieces, 1200);
	machine_hoard(f, &pieces.rest, zone_mark(f->zone, WMARK_MIN) / 2 + 20);
	vmstat_fold_all(f->t, f->m);
	/* 1200 >> 10 is a page, >> 9 are two. */
	assert_int_equal(pass(f, scan_at(10, 0, false)), 1);
	assert_int_equal(pass(f, scan_at(9, 0, false)), 1);
	assert_int_equal(pass(f, scan_at(10, 3, false)), 1);
	assert_true(pass(f, scan_at(9, 3, false)) > 1);
	/* Nothing got: no more. */
	assert_int_equal(pass(f, scan_at(12, 4, false)), 0);
	rules_end_pieces(f, &pieces);
}
RULE(rule_11_7_3_goes_on_for_compaction, 0);

/* Who may not do I/O may not compact: more pages than asked for would be no help. */
static void body_rule_11_7_6_not_without_io(struct machine_fixture *f)
{
	struct scan_control sc = scan_at(9, 3, false);
	struct rules_pieces pieces;

	rules_make_pieces(f, &pieces, 1200);
	machine_hoard(f, &pieces.rest, zone_mark(f->zone, WMARK_MIN) / 2 + 20);
	vmstat_fold_all(f->t, f->m);
	sc.gfp_mask = GFP_NOIO;
	assert_int_equal(pass(f, sc), 1);
	sc.gfp_mask = GFP_NOFS;
	assert_true(pass(f, sc) > 1);
	rules_end_pieces(f, &pieces);
}
RULE(rule_11_7_6_not_without_io, 0);

/* A costly order goes on at any priority; enough free memory for compaction ends it. */
static void body_rule_11_7_4_until_compaction_is_possible(struct machine_fixture *f)
{
	struct rules_pieces pieces;

	rules_make_pieces(f, &pieces, 1200);
	assert_int_equal(pass(f, scan_at(10, 4, false)), 1); /* above the high mark */
	machine_hoard(f, &pieces.rest, zone_mark(f->zone, WMARK_MIN) / 2 + 20);
	vmstat_fold_all(f->t, f->m);
	assert_true(pass(f, scan_at(10, 4, false)) > 1);
	rules_end_pieces(f, &pieces);
}
RULE(rule_11_7_4_until_compaction_is_possible, 0);

/*
 * Twice the block above the min mark is room enough to compact for orders up to 3; for higher ones
 * it is twice the block above the low mark.
 */
static void body_rule_11_7_7_room_above_low_for_costly_orders(struct machine_fixture *f)
{
	struct rules_pieces pieces;

	rules_make_pieces(f, &pieces, 1200);
	assert_true(zone_mark(f->zone, WMARK_LOW) >= zone_mark(f->zone, WMARK_MIN) + 20);
	machine_hoard(f, &pieces.rest, zone_mark(f->zone, WMARK_LOW) + 16);
	vmstat_fold_all(f->t, f->m);
	assert_int_equal(pass(f, scan_at(9, 3, false)), 1);
	assert_true(pass(f, scan_at(10, 4, false)) > 1);
	rules_end_pieces(f, &pieces);
}
RULE(rule_11_7_7_room_above_low_for_costly_orders, 0);

/* So few inactive pages that the block cannot come of them: it ends. */
static void body_rule_11_7_5_needs_enough_inactive_pages(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_file *file = machine_cached_file(f, 40);

	(void)rules_old_region(f, 100); /* there is no swap: these do not count */
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_MIN) / 2 + 20);
	vmstat_fold_all(f->t, f->m);
	assert_non_null(file);
	/* 2 << 4 = 32 are wanted; 20 are taken, and 20 are left. */
	assert_int_equal(pass(f, scan_at(1, 4, false)), 1);
	machine_release(f, &hoard, UINT64_MAX);
}
RULE(rule_11_7_5_needs_enough_inactive_pages, 0);

/* ---- 8: waits ---- */

static void pend(struct machine_fixture *f, int64_t pages)
{
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_ZONE_WRITE_PENDING, pages);
	cpu_unpin(f->t);
}

/* => ns that a wait took */
static uint64_t wait_for(struct machine_fixture *f, enum vmscan_wait reason)
{
	uint64_t start_ns = rt_now(f->t);

	reclaim_throttle(f->t, f->node, reason);
	return rt_now(f->t) - start_ns;
}

/* Limits, and the lines that tell of them: times in whole ticks of 4 ms. */
static void body_rule_11_8_1_limits_and_lines(struct machine_fixture *f)
{
	(void)machine_cached_file(f, 100);
	pend(f, 51); /* twice that is more than can be reclaimed */
	rules_trace(f);
	assert_in_range(wait_for(f, WAIT_WRITEBACK), 100 * NSEC_PER_MSEC, 101 * NSEC_PER_MSEC);
	assert_in_range(wait_for(f, WAIT_ISOLATED), 20 * NSEC_PER_MSEC, 21 * NSEC_PER_MSEC);
	assert_in_range(wait_for(f, WAIT_NOPROGRESS), 4 * NSEC_PER_MSEC, 5 * NSEC_PER_MSEC);
	assert_in_range(wait_for(f, WAIT_CONGESTED), 4 * NSEC_PER_MSEC, 5 * NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	assert_lines(events,
		     "mm_vmscan_throttled: nid=0 usec_timeout=100000 usect_delayed=100000"
		     " reason=VMSCAN_THROTTLE_WRITEBACK",
		     "mm_vmscan_throttled: nid=0 usec_timeout=20000 usect_delayed=20000"
		     " reason=VMSCAN_THROTTLE_ISOLATED",
		     "mm_vmscan_throttled: nid=0 usec_timeout=4000 usect_delayed=4000"
		     " reason=VMSCAN_THROTTLE_NOPROGRESS",
		     "mm_vmscan_throttled: nid=0 usec_timeout=4000 usect_delayed=4000"
		     " reason=VMSCAN_THROTTLE_CONGESTED");
	pend(f, -51);
	test_free(events);
}
RULE(rule_11_8_1_limits_and_lines, 0);

/* With little being written, or on a hopeless node, the short waits are left out; others not. */
static void body_rule_11_8_2_pointless_waits_are_left_out(struct machine_fixture *f)
{
	(void)machine_cached_file(f, 100);
	rules_trace(f);
	pend(f, 50);
	assert_true(wait_for(f, WAIT_NOPROGRESS) < NSEC_PER_MSEC);
	assert_true(wait_for(f, WAIT_CONGESTED) < NSEC_PER_MSEC);
	pend(f, 1);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	assert_true(wait_for(f, WAIT_NOPROGRESS) < NSEC_PER_MSEC);
	assert_true(wait_for(f, WAIT_CONGESTED) < NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_THROTTLED), 0);
	assert_true(wait_for(f, WAIT_ISOLATED) >= 20 * NSEC_PER_MSEC);
	atomic_store(&f->node->kswapd_failures, 0);
	pend(f, -51);
	test_free(events);
}
RULE(rule_11_8_2_pointless_waits_are_left_out, 0);

/* Kernel threads other than kswapd only let others run. */
static void body_rule_11_8_3_kernel_threads_never_wait(struct machine_fixture *f)
{
	rules_trace(f);
	f->t->flags |= PF_KTHREAD;
	for (uint32_t reason = 0; reason < NR_VMSCAN_WAITS; reason++)
		assert_true(wait_for(f, (enum vmscan_wait)reason) < NSEC_PER_MSEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_THROTTLED), 0);
	f->t->flags |= PF_KSWAPD;
	assert_true(wait_for(f, WAIT_ISOLATED) >= 20 * NSEC_PER_MSEC);
	f->t->flags &= ~(PF_KTHREAD | PF_KSWAPD);
	test_free(events);
}
RULE(rule_11_8_3_kernel_threads_never_wait, 0);

struct waiter {
	struct machine_fixture *f;
	uint64_t woken_ns; /* 0: it waits */
};

static int waiter_main(struct task *t, void *arg)
{
	struct waiter *w = arg;

	reclaim_throttle(t, w->f->node, WAIT_WRITEBACK);
	w->woken_ns = rt_now(t);
	return 0;
}

/* More than 32 pages written for each waiter since the first began to wait: all go. */
static void body_rule_11_8_4_written_pages_end_the_wait(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 200);
	struct waiter w[2] = { { .f = f }, { .f = f } };
	struct task *task[2];
	struct rules_counts before;

	for (uint64_t page = 0; page < 200; page++)
		assert_int_equal(machine_file_write(f, file, page, 1), 0);
	rules_count(f, &before);
	for (uint32_t i = 0; i < 2; i++) {
		const struct task_spec spec = { .name = "waiter", .fn = waiter_main, .arg = &w[i] };

		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	rt_sleep(f->t, 100 * NSEC_PER_USEC);
	assert_int_equal(atomic_load(&f->node->nr_writeback_throttled), 2);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 64), 64);
	rt_sleep(f->t, 20 * NSEC_PER_MSEC);
	assert_moved(f, &before, { "nr_throttled_written", 64 }, { "nr_written", 64 });
	assert_int_equal(w[0].woken_ns, 0);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 1), 1);
	rt_sleep(f->t, 20 * NSEC_PER_MSEC);
	assert_int_not_equal(w[0].woken_ns, 0);
	assert_int_not_equal(w[1].woken_ns, 0);
	for (uint32_t i = 0; i < 2; i++)
		(void)rt_join(f->t, task[i]);
	/* Without a waiter nothing is counted. */
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 5), 5);
	rt_sleep(f->t, 20 * NSEC_PER_MSEC);
	assert_moved(f, &before, { "nr_throttled_written", 65 }, { "nr_written", 70 });
}
RULE(rule_11_8_4_written_pages_end_the_wait, .pages = 8192, .nr_cpus = 4);

/* A task that waits may be the only one who has requests that it waits for. */
static void body_rule_11_8_5_gathered_writes_are_sent_first(struct machine_fixture *f)
{
	struct fixture_file *file = machine_cached_file(f, 4);
	struct page *page = machine_file_page(f, file, 0);
	struct io_plug plug;

	assert_int_equal(machine_file_write(f, file, 0, 7), 0);
	io_plug(f->t, &plug);
	page_lock(f->t, page);
	assert_true(page_aops(f->m, page)->write_page(f->t, page));
	assert_true(page_test(page, PG_WRITEBACK));
	reclaim_throttle(f->t, f->node, WAIT_WRITEBACK);
	assert_false(page_test(page, PG_WRITEBACK));
	io_unplug(f->t);
}
RULE(rule_11_8_5_gathered_writes_are_sent_first, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_11_7_1_dirty_flag_of_an_empty_pass),
		cmocka_unit_test(rule_11_7_2_dirty_flag_needs_all),
		cmocka_unit_test(rule_11_7_3_goes_on_for_compaction),
		cmocka_unit_test(rule_11_7_4_until_compaction_is_possible),
		cmocka_unit_test(rule_11_7_5_needs_enough_inactive_pages),
		cmocka_unit_test(rule_11_7_6_not_without_io),
		cmocka_unit_test(rule_11_7_7_room_above_low_for_costly_orders),
		cmocka_unit_test(rule_11_7_8_writeback_flag_needs_all),
		cmocka_unit_test(rule_11_7_9_congested_needs_all),
		cmocka_unit_test(rule_11_8_1_limits_and_lines),
		cmocka_unit_test(rule_11_8_5_gathered_writes_are_sent_first),
		cmocka_unit_test(rule_11_8_2_pointless_waits_are_left_out),
		cmocka_unit_test(rule_11_8_3_kernel_threads_never_wait),
		cmocka_unit_test(rule_11_8_4_written_pages_end_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
