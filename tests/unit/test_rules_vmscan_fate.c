/*
 * The rules of each isolated page's fate, one test each (docs/rules.md): spec 11, section 6.
 *
 *   page ─> locked? mlocked? mapped and not to be? under write-out? referenced? no slot?
 *           cannot be unmapped? pinned? dirty? somebody uses it? ─> freed | keep | activate
 *
 * test_reclaim.c looks at the same decisions from the side of the data; here every counter
 * that reclaim could move is compared for each of them, and what is tallied for the node.
 *
 * What must never happen here: two rules met by one page without saying which came first.
 */
#include "rules_fixture.h"

#include "core/index.h"

enum end {
	KEPT,
	ACTIVATED,
	FREED,
};

/* Decides about one page; checks its end, its place and the two counts that all ends share. */
static struct reclaim_stat meet(struct machine_fixture *f, struct page *page,
				struct scan_control sc, enum end end)
{
	struct reclaim_stat stat = { 0 };
	uint64_t scanned = sc.nr_scanned;
	bool locked = page_test(page, PG_LOCKED);
	bool active = page_test(page, PG_ACTIVE);

	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), end == FREED ? 1 : 0);
	assert_int_equal(sc.nr_scanned - scanned, locked ? 0 : 1);
	if (end == FREED)
		return stat;
	assert_true(page_test(page, PG_LRU));
	assert_int_equal(page_test(page, PG_ACTIVE) != 0, end == ACTIVATED || active);
	assert_int_equal(stat.nr_activate[0] + stat.nr_activate[1], end == ACTIVATED ? 1 : 0);
	return stat;
}

static struct scan_control kswapd_scan(void)
{
	struct scan_control sc = machine_scan();

	sc.is_kswapd = true;
	sc.gfp_mask = GFP_KERNEL;
	return sc;
}

static struct page *anon_page(struct machine_fixture *f, struct region **region)
{
	*region = rules_old_region(f, 4);
	return machine_page_at(f, *region, 0);
}

static struct page *file_page(struct machine_fixture *f, struct fixture_file **file)
{
	uint64_t value;

	*file = machine_file(f, 4);
	(*file)->mapping->readahead = UINT64_MAX;
	assert_int_equal(machine_file_read(f, *file, 0, &value), 0);
	lru_drain_all(f->t);
	page_clear(machine_file_page(f, *file, 0), PG_REFERENCED);
	return machine_file_page(f, *file, 0);
}

static struct page *dirty_page(struct machine_fixture *f, struct fixture_file **file)
{
	struct page *page = file_page(f, file);

	assert_int_equal(machine_file_write(f, *file, 0, 6), 0);
	lru_drain_all(f->t);
	page_clear(page, PG_REFERENCED);
	return page;
}

/* 1: its lock is taken: kept, and not even counted as scanned. */
static void body_rule_11_6_1_locked(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct rules_counts before;

	rules_count(f, &before);
	page_lock(f->t, page);
	(void)meet(f, page, machine_scan(), KEPT);
	page_unlock(f->t, page);
	assert_nothing_moved(f, &before);
}
RULE(rule_11_6_1_locked, .swap_pages = 256);

/* 3: mlocked: to the unevictable list, without being activated. */
static void body_rule_11_6_3_mlocked(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct rules_counts before;

	page_set(page, PG_MLOCKED);
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_MLOCK, 1);
	cpu_unpin(f->t);
	rules_count(f, &before);
	(void)meet(f, page, machine_scan(), KEPT);
	assert_true(page_test(page, PG_UNEVICTABLE));
	assert_moved(f, &before, { "unevictable_pgs_culled", 1 });
}
RULE(rule_11_6_3_mlocked, .swap_pages = 256);

/* 4: mapped, and nothing may be unmapped: kept, its young bit untouched. */
static void body_rule_11_6_4_may_not_unmap(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct scan_control sc = machine_scan();
	struct rules_counts before;
	uint64_t value;

	assert_int_equal(machine_read(f, region, 0, &value), 0);
	rules_count(f, &before);
	sc.may_unmap = false;
	assert_int_equal(meet(f, page, sc, KEPT).nr_ref_keep, 0);
	assert_nothing_moved(f, &before);
	/* Still young: the next one who may unmap keeps it for that. */
	assert_int_equal(meet(f, page, machine_scan(), KEPT).nr_ref_keep, 1);
}
RULE(rule_11_6_4_may_not_unmap, .swap_pages = 256);

/* 5: tallies are of file pages; anonymous ones count as nothing, dirty or under write-out. */
static void body_rule_11_6_5_tallies(struct machine_fixture *f)
{
	struct region *region;
	struct fixture_file *file;
	struct page *page = anon_page(f, &region);
	struct reclaim_stat stat = meet(f, page, machine_scan(), KEPT);

	assert_true(page_test(page, PG_WRITEBACK));
	assert_int_equal(stat.nr_dirty + stat.nr_unqueued_dirty + stat.nr_congested, 0);
	stat = meet(f, page, machine_scan(), ACTIVATED);
	assert_int_equal(stat.nr_dirty + stat.nr_unqueued_dirty + stat.nr_congested, 0);
	assert_int_equal(stat.nr_writeback, 1);
	page = dirty_page(f, &file);
	stat = meet(f, page, machine_scan(), ACTIVATED);
	assert_int_equal(stat.nr_dirty, 1);
	assert_int_equal(stat.nr_unqueued_dirty, 1);
	assert_int_equal(stat.nr_congested, 0);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 1), 1);
	stat = meet(f, page, machine_scan(), ACTIVATED); /* wanted before: it has the mark */
	assert_int_equal(stat.nr_dirty, 1);
	assert_int_equal(stat.nr_unqueued_dirty, 0);
	assert_int_equal(stat.nr_congested, 1);
	/* Nobody in reclaim wanted this one before. */
	page = dirty_page(f, &file);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 1), 1);
	stat = meet(f, page, machine_scan(), ACTIVATED);
	assert_int_equal(stat.nr_dirty, 1);
	assert_int_equal(stat.nr_congested, 0);
	machine_settle(f);
}
RULE(rule_11_6_5_tallies, .swap_pages = 256, .swap = { .latency_ns = 50000000 },
     .disk = { .latency_ns = 50000000 });

/* 6: under write-out: marked and activated; kswapd, met again on a node known for it: immediate. */
static void body_rule_11_6_6_under_write_out(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct rules_counts before;

	(void)meet(f, page, machine_scan(), KEPT);
	page_clear(page, PG_RECLAIM);
	rules_count(f, &before);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_WRITEBACK);
	/* Without the mark it is met for the first time, even by kswapd. */
	struct reclaim_stat stat = meet(f, page, kswapd_scan(), ACTIVATED);

	assert_int_equal(stat.nr_writeback, 1);
	assert_int_equal(stat.nr_immediate, 0);
	assert_true(page_test(page, PG_RECLAIM));
	stat = meet(f, page, kswapd_scan(), ACTIVATED);
	assert_int_equal(stat.nr_writeback, 0);
	assert_int_equal(stat.nr_immediate, 1);
	stat = meet(f, page, machine_scan(), ACTIVATED); /* a program never */
	assert_int_equal(stat.nr_writeback, 1);
	assert_int_equal(stat.nr_immediate, 0);
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_WRITEBACK);
	stat = meet(f, page, kswapd_scan(), ACTIVATED); /* nor on another node */
	assert_int_equal(stat.nr_immediate, 0);
	assert_moved(f, &before, { "pgactivate", 4 });
	machine_settle(f);
	assert_moved(f, &before, { "pgactivate", 4 }, { "pgrotated", 1 }, { "nr_written", 1 });
}
RULE(rule_11_6_6_under_write_out, .swap_pages = 256, .swap = { .latency_ns = 50000000 });

/* 7: referenced: kept once, activated the second time. */
static void body_rule_11_6_7_references(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct rules_counts before;
	uint64_t value;

	rules_count(f, &before);
	assert_int_equal(machine_read(f, region, 0, &value), 0);
	assert_int_equal(meet(f, page, machine_scan(), KEPT).nr_ref_keep, 1);
	assert_nothing_moved(f, &before);
	assert_int_equal(machine_read(f, region, 0, &value), 0);
	assert_int_equal(meet(f, page, machine_scan(), ACTIVATED).nr_ref_keep, 0);
	assert_moved(f, &before, { "pgactivate", 1 });
}
RULE(rule_11_6_7_references, .swap_pages = 256);

/* 9: no slot: kept if nothing may be written at all or it is pinned, activated if swap is full. */
static void body_rule_11_6_9_no_slot(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct scan_control sc = machine_scan();
	struct rules_counts before;
	uint32_t pfn, entry[7];

	rules_count(f, &before);
	sc.gfp_mask = GFP_NOIO;
	(void)meet(f, page, sc, KEPT);
	assert_false(page_test(page, PG_SWAPCACHE)); /* not even that far */
	assert_int_equal(page_maps(page), 1);
	assert_int_equal(fault_pin(f->t, region, 0, true, &pfn), 0);
	machine_age(f, region, 0, 1);
	(void)meet(f, page, machine_scan(), KEPT);
	fault_unpin(f->t, page, false);
	assert_nothing_moved(f, &before);
	for (uint32_t i = 0; i < 7; i++)
		entry[i] = swap_slot_get(f->t);
	machine_age(f, region, 0, 1);
	page_clear(page, PG_REFERENCED);
	(void)meet(f, page, machine_scan(), ACTIVATED);
	assert_int_equal(page_maps(page), 1);
	assert_moved(f, &before, { "pgactivate", 1 });
	for (uint32_t i = 0; i < 7; i++)
		swap_slot_put(f->t, entry[i]);
}
RULE(rule_11_6_9_no_slot, .swap_pages = 8);

/* 11: pinned with its slot already: activated instead of written. */
static void body_rule_11_6_11_pinned(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct rules_counts before;
	uint32_t pfn;

	page_lock(f->t, page);
	assert_true(swap_cache_add_new(f->t, page));
	page_unlock(f->t, page);
	assert_int_equal(fault_pin(f->t, region, 0, false, &pfn), 0);
	machine_age(f, region, 0, 1);
	page_clear(page, PG_REFERENCED);
	rules_count(f, &before);
	(void)meet(f, page, machine_scan(), ACTIVATED);
	assert_moved(f, &before, { "pgactivate", 1 });
	fault_unpin(f->t, page, true);
}
RULE(rule_11_6_11_pinned, .swap_pages = 256);

/* 12a: a dirty file page is left to the flusher by programs, however often they meet it. */
static void body_rule_11_6_12_dirty_file_direct(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = dirty_page(f, &file);
	struct rules_counts before;

	rules_count(f, &before);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	(void)meet(f, page, machine_scan(), ACTIVATED);
	assert_true(page_test(page, PG_RECLAIM));
	(void)meet(f, page, machine_scan(), ACTIVATED);
	assert_moved(f, &before, { "pgactivate", 2 }, { "nr_vmscan_immediate_reclaim", 2 });
}
RULE(rule_11_6_12_dirty_file_direct, 0);

/* 12a, e: kswapd writes it at the second meeting, on a node known for dirty pages. */
static void body_rule_11_6_12_dirty_file_kswapd(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = dirty_page(f, &file);
	struct scan_control sc = kswapd_scan();
	struct rules_counts before;
	char line[128];

	rules_trace(f);
	rules_count(f, &before);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	(void)meet(f, page, kswapd_scan(), ACTIVATED);
	assert_moved(f, &before, { "pgactivate", 1 }, { "nr_vmscan_immediate_reclaim", 1 });
	/* d: not if nothing may be written; c: nor if the filesystem may not be entered. */
	sc.may_writepage = false;
	(void)meet(f, page, sc, KEPT);
	sc = kswapd_scan();
	sc.gfp_mask = GFP_NOFS;
	(void)meet(f, page, sc, KEPT);
	assert_int_equal(meet(f, page, kswapd_scan(), KEPT).nr_pageout, 1);
	assert_moved(f, &before, { "pgactivate", 1 }, { "nr_vmscan_immediate_reclaim", 1 },
		     { "nr_vmscan_write", 1 });
	(void)snprintf(line, sizeof(line),
		       "mm_vmscan_write_folio: pfn=0x%lx flags=RECLAIM_WB_FILE|RECLAIM_WB_ASYNC",
		       (unsigned long)(page - f->m->pages));
	struct fixture_events *events = rules_events(f);

	assert_lines(events, line);
	machine_settle(f);
	assert_int_equal(machine_file_stored(file, 0), 6);
	(void)meet(f, page, kswapd_scan(), FREED);
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_DIRTY);
	test_free(events);
}
RULE(rule_11_6_12_dirty_file_kswapd, 0);

/* 12e: an anonymous page is written by whoever meets it: kept, rotated, freed when met again. */
static void body_rule_11_6_12_dirty_anon(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = anon_page(f, &region);
	struct rules_counts before;
	char line[128];

	rules_trace(f);
	rules_count(f, &before);
	struct scan_control sc = machine_scan();

	/* c: it has its slot, but without IO it cannot be written. */
	page_lock(f->t, page);
	assert_true(swap_cache_add_new(f->t, page));
	page_unlock(f->t, page);
	sc.gfp_mask = GFP_NOIO;
	assert_int_equal(meet(f, page, sc, KEPT).nr_pageout, 0);
	assert_nothing_moved(f, &before);
	/* c: IO without FS is enough for swap. */
	sc.gfp_mask = GFP_NOFS;
	assert_int_equal(meet(f, page, sc, KEPT).nr_pageout, 1);
	assert_moved(f, &before, { "nr_vmscan_write", 1 }, { "pswpout", 1 });
	machine_settle(f);
	assert_moved(f, &before, { "nr_vmscan_write", 1 }, { "pswpout", 1 }, { "pgrotated", 1 },
		     { "nr_written", 1 });
	(void)snprintf(line, sizeof(line),
		       "mm_vmscan_write_folio: pfn=0x%lx flags=RECLAIM_WB_ANON|RECLAIM_WB_ASYNC",
		       (unsigned long)(page - f->m->pages));
	struct fixture_events *events = rules_events(f);

	assert_lines(events, line);
	assert_int_equal(meet(f, page, machine_scan(), FREED).nr_pageout, 0);
	machine_check(f, region, 0, 4);
	test_free(events);
}
RULE(rule_11_6_12_dirty_anon, .swap_pages = 256);

/* 12b: marked but not young: a file page is freed if it is clean, not written if it is not. */
static void body_rule_11_6_12_reclaim_clean(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = dirty_page(f, &file);

	page_set(page, PG_RECLAIM | PG_REFERENCED);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	assert_int_equal(meet(f, page, kswapd_scan(), KEPT).nr_pageout, 0);
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_DIRTY);
	page = file_page(f, &file);
	page_set(page, PG_REFERENCED);
	(void)meet(f, page, machine_scan(), FREED);
}
RULE(rule_11_6_12_reclaim_clean, 0);

/* 14: one reference more than the cache's and ours: kept, and nothing was lost. */
static void body_rule_11_6_14_in_use(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct region *region;
	struct page *page = file_page(f, &file);
	struct rules_counts before;

	rules_count(f, &before);
	page_get(page);
	(void)meet(f, page, machine_scan(), KEPT);
	page_put(f->t, page);
	page = anon_page(f, &region);
	page_get(page);
	assert_int_equal(meet(f, page, machine_scan(), KEPT).nr_pageout, 0);
	page_put(f->t, page);
	assert_nothing_moved(f, &before);
	machine_check(f, region, 0, 4);
}
RULE(rule_11_6_14_in_use, .swap_pages = 256);

/* 14, 15: a clean page nobody uses is freed, and leaves a shadow. */
static void body_rule_11_6_15_freed(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = file_page(f, &file);
	struct rules_counts before;

	rules_count(f, &before);
	(void)meet(f, page, machine_scan(), FREED);
	assert_nothing_moved(f, &before); /* what is stolen is counted for the list */
	uint64_t slot = machine_file_slot(f, file, 0);

	assert_true(slot != 0 && !index_is_page(slot));
}
RULE(rule_11_6_15_freed, 0);

/* Activated while swap is half full: the copy in swap is given up; before that it is kept. */
static void body_rule_11_6_16_activated_gives_its_slot_up(struct machine_fixture *f)
{
	struct region *region = rules_old_region(f, 4);
	uint32_t entry[7];

	for (uint32_t round = 0; round < 2; round++) {
		machine_swap_out(f, region, 0, 1);
		machine_check(f, region, 0, 1); /* read: the slot stays */
		struct page *page = machine_page_at(f, region, 0);

		lru_drain_all(f->t);
		for (uint32_t i = 0; i < 7 && round == 1; i++)
			entry[i] = swap_slot_get(f->t);
		assert_true(page_test(page, PG_SWAPCACHE));
		page_set(page, PG_REFERENCED);
		(void)meet(f, page, machine_scan(), ACTIVATED);
		assert_int_equal(page_test(page, PG_SWAPCACHE) != 0, round == 0);
		page_clear(page, PG_REFERENCED);
		lru_deactivate(f->t, page);
	}
	for (uint32_t i = 0; i < 7; i++)
		swap_slot_put(f->t, entry[i]);
	machine_check(f, region, 0, 4);
}
RULE(rule_11_6_16_activated_gives_its_slot_up, .swap_pages = 13);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_11_6_1_locked),
		cmocka_unit_test(rule_11_6_3_mlocked),
		cmocka_unit_test(rule_11_6_4_may_not_unmap),
		cmocka_unit_test(rule_11_6_5_tallies),
		cmocka_unit_test(rule_11_6_6_under_write_out),
		cmocka_unit_test(rule_11_6_7_references),
		cmocka_unit_test(rule_11_6_9_no_slot),
		cmocka_unit_test(rule_11_6_11_pinned),
		cmocka_unit_test(rule_11_6_12_dirty_file_direct),
		cmocka_unit_test(rule_11_6_12_dirty_file_kswapd),
		cmocka_unit_test(rule_11_6_12_dirty_anon),
		cmocka_unit_test(rule_11_6_12_reclaim_clean),
		cmocka_unit_test(rule_11_6_14_in_use),
		cmocka_unit_test(rule_11_6_15_freed),
		cmocka_unit_test(rule_11_6_16_activated_gives_its_slot_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
