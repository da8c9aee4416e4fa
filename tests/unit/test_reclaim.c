/*
 * The fate of each isolated page (core/pages.c), one test for each line of the table:
 *
 *   locked, mlocked, under write-out, referenced, without a slot, pinned, mapped,
 *   dirty, clean  ──>  freed | keep | activate
 *
 * A page is made ready with real accesses and then decided about on its own, so that
 * every counter can be compared with what it was before.
 *
 * What must never happen here: a page whose contents are not looked at afterwards. A
 * fate is right only if the data is still there.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "core/index.h"

/* What one decision did. */
struct outcome {
	uint64_t freed;
	struct scan_control sc;
	struct reclaim_stat stat;
	/* Growth of counters. */
	uint64_t activated, pswpout, vmscan_write, immediate;
};

static struct outcome decide(struct machine_fixture *f, struct page *page, struct scan_control sc)
{
	struct outcome out = { .sc = sc };
	uint64_t activated = machine_events(f, EV_PGACTIVATE);
	uint64_t pswpout = machine_events(f, EV_PSWPOUT);
	uint64_t write = machine_node_count(f, NR_VMSCAN_WRITE);
	uint64_t immediate = machine_node_count(f, NR_VMSCAN_IMMEDIATE_RECLAIM);

	out.freed = machine_reclaim(f, &out.sc, &out.stat, &page, 1);
	out.activated = machine_events(f, EV_PGACTIVATE) - activated;
	out.pswpout = machine_events(f, EV_PSWPOUT) - pswpout;
	out.vmscan_write = machine_node_count(f, NR_VMSCAN_WRITE) - write;
	out.immediate = machine_node_count(f, NR_VMSCAN_IMMEDIATE_RECLAIM) - immediate;
	return out;
}

static struct scan_control kswapd_scan(void)
{
	struct scan_control sc = machine_scan();

	sc.is_kswapd = true;
	sc.gfp_mask = GFP_KERNEL;
	return sc;
}

static void assert_kept(const struct outcome *out, const struct page *page)
{
	assert_int_equal(out->freed, 0);
	assert_int_equal(out->activated, 0);
	assert_true(page_test(page, PG_LRU));
	assert_false(page_test(page, PG_ACTIVE | PG_ISOLATED));
}

static void assert_activated(const struct outcome *out, const struct page *page)
{
	assert_int_equal(out->freed, 0);
	assert_int_equal(out->activated, 1);
	assert_int_equal(out->stat.nr_activate[page_is_file_lru(page)], 1);
	assert_true(page_test(page, PG_LRU));
	assert_true(page_test(page, PG_ACTIVE));
}

/* An old anonymous page: written once, on the inactive list, not young. */
static struct page *old_anon(struct machine_fixture *f, struct region **region)
{
	*region = machine_region(f, 4);
	machine_fill(f, *region, 0, 4);
	lru_drain_all(f->t);
	machine_age(f, *region, 0, 4);
	return machine_page_at(f, *region, 0);
}

/* An old page of a file: read once, the mark taken off. */
static struct page *old_file(struct machine_fixture *f, struct fixture_file **file)
{
	uint64_t value;

	*file = machine_file(f, 4);
	(*file)->mapping->readahead = UINT64_MAX;
	assert_int_equal(machine_file_read(f, *file, 0, &value), 0);
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, *file, 0);

	page_clear(page, PG_REFERENCED);
	return page;
}

/* Maps page 0 of the file and touches it. */
static struct region *map_page(struct machine_fixture *f, struct fixture_file *file)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4, .mapping = file->mapping });
	uint64_t value;

	assert_int_equal(machine_read(f, region, 0, &value), 0);
	return region;
}

/* ---- not now ---- */

static void body_locked(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);

	page_lock(f->t, page);
	struct outcome out = decide(f, page, machine_scan());

	page_unlock(f->t, page);
	assert_kept(&out, page);
	assert_int_equal(out.sc.nr_scanned, 0); /* it was not even looked at */
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(locked, .swap_pages = 256);

static void body_mlocked(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);

	page_set(page, PG_MLOCKED);
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_MLOCK, 1);
	cpu_unpin(f->t);
	struct outcome out = decide(f, page, machine_scan());

	assert_int_equal(out.freed, 0);
	assert_int_equal(out.activated, 0);
	assert_int_equal(out.sc.nr_scanned, 1);
	assert_true(page_test(page, PG_UNEVICTABLE));
	assert_false(page_test(page, PG_ACTIVE));
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), 1);
	assert_int_equal(page_maps(page), 1);
}

MACHINE_TEST(mlocked, .swap_pages = 256);

static void body_no_unmap(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	struct scan_control sc = machine_scan();

	sc.may_unmap = false;
	struct outcome out = decide(f, page, sc);

	assert_kept(&out, page);
	assert_int_equal(page_maps(page), 1);
	assert_false(page_test(page, PG_SWAPCACHE));
}

MACHINE_TEST(no_unmap, .swap_pages = 256);

static void body_no_io(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	struct scan_control sc = machine_scan();

	sc.gfp_mask = GFP_NOIO;
	struct outcome out = decide(f, page, sc);

	assert_kept(&out, page);
	assert_false(page_test(page, PG_SWAPCACHE));
	/* IO without FS is enough for swap. */
	sc.gfp_mask = GFP_NOFS;
	out = decide(f, page, sc);
	assert_int_equal(out.stat.nr_pageout, 1);
	machine_settle(f);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(no_io, .swap_pages = 256);

/* Without permission to write, a page gets its slot and is unmapped, but stays. */
static void body_no_writepage(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	struct scan_control sc = machine_scan();

	sc.may_writepage = false;
	struct outcome out = decide(f, page, sc);

	assert_kept(&out, page);
	assert_int_equal(out.pswpout, 0);
	assert_true(page_test(page, PG_SWAPCACHE));
	assert_true(page_test(page, PG_DIRTY));
	assert_int_equal(page_maps(page), 0);
	machine_check(f, region, 0, 4); /* a minor fault brings it back */
	assert_int_equal(machine_events(f, EV_PSWPIN), 0);
}

MACHINE_TEST(no_writepage, .swap_pages = 256);

/* ---- references ---- */

/* young: touched through a page table; marked: the software bit. */
static void body_referenced_anon(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	uint64_t value;

	/* Young, not marked: kept, and marked. */
	assert_int_equal(machine_read(f, region, 0, &value), 0);
	struct outcome out = decide(f, page, machine_scan());

	assert_kept(&out, page);
	assert_int_equal(out.stat.nr_ref_keep, 1);
	assert_true(page_test(page, PG_REFERENCED));
	/* Young and marked: activated, still marked. */
	assert_int_equal(machine_read(f, region, 0, &value), 0);
	out = decide(f, page, machine_scan());
	assert_activated(&out, page);
	assert_int_equal(out.stat.nr_ref_keep, 0);
	assert_true(page_test(page, PG_REFERENCED));
	/* Marked, not young: an anonymous page is reclaimed, dirty or not. */
	struct region *other;

	page = old_anon(f, &other);
	page_set(page, PG_REFERENCED);
	out = decide(f, page, machine_scan());
	assert_int_equal(out.stat.nr_pageout, 1);
	machine_settle(f);
	machine_check(f, other, 0, 4);
}

static void body_referenced_file(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);
	struct region *a = map_page(f, file);
	struct outcome out = decide(f, page, machine_scan());

	/* Young in one region: kept. */
	assert_kept(&out, page);
	assert_int_equal(out.stat.nr_ref_keep, 1);
	/* Young in two at once: activated, marked or not. */
	page_clear(page, PG_REFERENCED);
	uint64_t value;

	(void)map_page(f, file);
	assert_int_equal(machine_read(f, a, 0, &value), 0);
	assert_int_equal(page_maps(page), 2);
	out = decide(f, page, machine_scan());
	assert_activated(&out, page);
}

MACHINE_TEST(referenced_file, 0);

/* Marked, not young: a file page may be freed if it is clean, and is not written if it is not. */
static void body_referenced_clean(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);

	page_set(page, PG_REFERENCED);
	struct outcome out = decide(f, page, machine_scan());

	assert_int_equal(out.freed, 1);
	page = old_file(f, &file);
	assert_int_equal(machine_file_write(f, file, 0, 8), 0);
	lru_drain_all(f->t);
	page_set(page, PG_RECLAIM | PG_REFERENCED);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	out = decide(f, page, kswapd_scan());
	assert_kept(&out, page);
	assert_int_equal(out.stat.nr_pageout, 0);
	assert_true(page_test(page, PG_DIRTY));
	assert_false(page_test(page, PG_REFERENCED));
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_DIRTY);
}

MACHINE_TEST(referenced_clean, 0);

/* ---- swap ---- */

/* The usual way: written at the first visit, rotated when that ends, freed at the next. */
static void body_two_visits(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	uint64_t rotated = machine_events(f, EV_PGROTATED);
	uint64_t free_before = machine_zone_count(f, NR_FREE_PAGES) + f->zone->pcp[0].count +
			       f->zone->pcp[1].count;
	struct outcome out = decide(f, page, machine_scan());

	assert_kept(&out, page);
	assert_int_equal(out.sc.nr_scanned, 1);
	assert_int_equal(out.stat.nr_pageout, 1);
	assert_int_equal(out.pswpout, 1);
	assert_int_equal(out.vmscan_write, 1);
	assert_int_equal(out.stat.nr_dirty, 0); /* anonymous pages are not counted */
	assert_true(page_test(page, PG_WRITEBACK));
	assert_true(page_test(page, PG_RECLAIM));
	assert_false(page_test(page, PG_DIRTY));
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 1);
	assert_int_equal(machine_node_count(f, NR_WRITEBACK), 1);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 3);
	uint32_t entry = machine_swap_at(f, region, 0);

	assert_int_not_equal(entry, 0);
	assert_int_equal(swap_area_of(f->m, entry)->map[swap_slot_of(entry)], SWAP_HAS_CACHE | 1);
	machine_settle(f);
	assert_false(page_test(page, PG_WRITEBACK | PG_RECLAIM));
	assert_int_equal(machine_events(f, EV_PGROTATED), rotated + 1);
	assert_int_equal(f->node->lruvec.list[LRU_INACTIVE_ANON].last,
			 (uint32_t)(page - f->m->pages));
	out = decide(f, page, machine_scan());
	assert_int_equal(out.freed, 1);
	assert_int_equal(out.pswpout, 0);
	assert_int_equal(out.stat.nr_pageout, 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	assert_int_equal(swap_area_of(f->m, entry)->map[swap_slot_of(entry)], 1);
	assert_int_equal(machine_zone_count(f, NR_FREE_PAGES) + f->zone->pcp[0].count +
				 f->zone->pcp[1].count,
			 free_before + 1);
	machine_check(f, region, 0, 4);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 1);
}

MACHINE_TEST(two_visits, .swap_pages = 256, .real = true);

MACHINE_TEST(referenced_anon, .swap_pages = 256);

/* A store that is done inside submit: written and freed in one visit. */
static void body_one_visit(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	struct outcome out = decide(f, page, machine_scan());

	assert_int_equal(out.freed, 1);
	assert_int_equal(out.stat.nr_pageout, 1);
	assert_int_equal(out.pswpout, 1);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	assert_int_not_equal(machine_swap_at(f, region, 0), 0);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(one_visit, .swap_pages = 256, .swap_synchronous = true);

/* No slot left: the page is activated, and stays. */
static void body_swap_full(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	uint32_t entry[7];

	for (uint32_t i = 0; i < 7; i++)
		entry[i] = swap_slot_get(f->t);
	assert_int_equal(atomic_load(&f->m->nr_swap_free), 0);
	struct outcome out = decide(f, page, machine_scan());

	assert_activated(&out, page);
	assert_false(page_test(page, PG_SWAPCACHE));
	assert_int_equal(page_maps(page), 1);
	machine_check(f, region, 0, 4);
	for (uint32_t i = 0; i < 7; i++)
		swap_slot_put(f->t, entry[i]);
}

MACHINE_TEST(swap_full, .swap_pages = 8);

/* Activated while swap is half full: the copy in swap is given up. */
static void body_activated_half_full(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	uint32_t entry[7];

	machine_swap_out(f, region, 0, 1);
	machine_check(f, region, 0, 1); /* read: the slot stays */
	page = machine_page_at(f, region, 0);
	lru_drain_all(f->t);
	assert_true(page_test(page, PG_SWAPCACHE));
	for (uint32_t i = 0; i < 7; i++)
		entry[i] = swap_slot_get(f->t);
	page_set(page, PG_REFERENCED);
	struct outcome out = decide(f, page, machine_scan());

	assert_activated(&out, page);
	assert_false(page_test(page, PG_SWAPCACHE));
	assert_true(page_test(page, PG_DIRTY));
	for (uint32_t i = 0; i < 7; i++)
		swap_slot_put(f->t, entry[i]);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(activated_half_full, .swap_pages = 13);

/* ---- under write-out ---- */

static void body_writeback_anon(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	struct outcome out = decide(f, page, machine_scan());

	assert_true(page_test(page, PG_WRITEBACK));
	/* Met for the first time by somebody else: marked to be freed soon, activated. */
	page_clear(page, PG_RECLAIM);
	out = decide(f, page, machine_scan());
	assert_activated(&out, page);
	assert_int_equal(out.stat.nr_writeback, 1);
	assert_int_equal(out.stat.nr_immediate, 0);
	assert_true(page_test(page, PG_RECLAIM));
	/* Met again: kswapd outruns the device, if the node is known for it. */
	out = decide(f, page, kswapd_scan());
	assert_int_equal(out.stat.nr_writeback, 1);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_WRITEBACK);
	out = decide(f, page, kswapd_scan());
	assert_int_equal(out.stat.nr_writeback, 0);
	assert_int_equal(out.stat.nr_immediate, 1);
	out = decide(f, page, machine_scan()); /* a program is not kswapd */
	assert_int_equal(out.stat.nr_writeback, 1);
	assert_int_equal(out.stat.nr_immediate, 0);
	assert_int_equal(out.stat.nr_congested, 0);
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_WRITEBACK);
	/* The end of the write brings it to the tail of the inactive list. */
	machine_settle(f);
	assert_false(page_test(page, PG_ACTIVE));
	assert_int_equal(f->node->lruvec.list[LRU_INACTIVE_ANON].last,
			 (uint32_t)(page - f->m->pages));
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(writeback_anon, .swap_pages = 256, .swap = { .latency_ns = 50000000 });

static void body_writeback_file(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);

	assert_int_equal(machine_file_write(f, file, 0, 6), 0);
	lru_drain_all(f->t);
	page_clear(page, PG_REFERENCED);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 1), 1);
	struct outcome out = decide(f, page, machine_scan());

	assert_activated(&out, page);
	assert_int_equal(out.stat.nr_dirty, 1);
	assert_int_equal(out.stat.nr_unqueued_dirty, 0);
	assert_int_equal(out.stat.nr_congested, 0);
	assert_int_equal(out.stat.nr_writeback, 1);
	out = decide(f, page, machine_scan());
	assert_int_equal(out.stat.nr_congested, 1);
	machine_settle(f);
	assert_false(page_test(page, PG_ACTIVE | PG_DIRTY));
	out = decide(f, page, machine_scan());
	assert_int_equal(out.freed, 1);
}

MACHINE_TEST(writeback_file, .disk = { .latency_ns = 50000000 });

/* ---- files ---- */

static void body_clean_file(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);
	struct region *region = map_page(f, file);

	machine_age(f, region, 0, 1);
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 1);
	assert_int_equal(machine_node_count(f, NR_MAPPED), 1);
	struct outcome out = decide(f, page, machine_scan());

	assert_int_equal(out.freed, 1);
	assert_int_equal(out.stat.nr_pageout, 0);
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 0);
	assert_int_equal(machine_node_count(f, NR_MAPPED), 0);
	assert_int_equal(atomic_load(&f->space->rss_file), 0);
	assert_null(machine_page_at(f, region, 0));
	/* What is left is a shadow. */
	uint64_t slot = machine_file_slot(f, file, 0);

	assert_true(slot != 0 && !index_is_page(slot));
	uint64_t value;

	assert_int_equal(machine_read(f, region, 0, &value), 0);
	assert_int_equal(value, machine_file_value(0, 0));
}

MACHINE_TEST(clean_file, .real = true);

/* A dirty page of a file is the flusher's business. */
static void body_dirty_file_direct(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);

	assert_int_equal(machine_file_write(f, file, 0, 6), 0);
	lru_drain_all(f->t);
	page_clear(page, PG_REFERENCED);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	for (uint32_t visit = 0; visit < 2; visit++) {
		struct outcome out = decide(f, page, machine_scan());

		/* However often: direct reclaim never writes it. */
		assert_activated(&out, page);
		assert_int_equal(out.immediate, 1);
		assert_int_equal(out.stat.nr_dirty, 1);
		assert_int_equal(out.stat.nr_unqueued_dirty, 1);
		assert_int_equal(out.stat.nr_pageout, 0);
		assert_true(page_test(page, PG_RECLAIM));
		assert_true(page_test(page, PG_DIRTY));
	}
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_DIRTY);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), 0);
}

MACHINE_TEST(dirty_file_direct, 0);

/* kswapd writes it at the second meeting, on a node that is known to be full of dirty pages. */
static void body_dirty_file_kswapd(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);

	assert_int_equal(machine_file_write(f, file, 0, 6), 0);
	lru_drain_all(f->t);
	page_clear(page, PG_REFERENCED);
	struct outcome out = decide(f, page, kswapd_scan());

	assert_activated(&out, page);
	assert_int_equal(out.immediate, 1);
	out = decide(f, page, kswapd_scan()); /* met again, but the node is not known for it */
	assert_int_equal(out.immediate, 1);
	assert_int_equal(out.stat.nr_pageout, 0);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	struct scan_control gentle = kswapd_scan();

	gentle.may_writepage = false;
	out = decide(f, page, gentle);
	assert_int_equal(out.stat.nr_pageout, 0);
	out = decide(f, page, kswapd_scan());
	assert_int_equal(out.freed, 0);
	assert_int_equal(out.immediate, 0);
	assert_int_equal(out.stat.nr_pageout, 1);
	assert_int_equal(out.vmscan_write, 1);
	assert_int_equal(out.pswpout, 0);
	assert_true(page_test(page, PG_WRITEBACK));
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_DIRTY);
	machine_settle(f);
	assert_int_equal(machine_file_stored(file, 0), 6);
	out = decide(f, page, kswapd_scan());
	assert_int_equal(out.freed, 1);
}

MACHINE_TEST(dirty_file_kswapd, 0);

/* Dirty only in the page table: found when it is unmapped. */
static void body_dirty_entry(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct page *page = old_file(f, &file);
	struct region *region = map_page(f, file);

	assert_int_equal(machine_write(f, region, 0, 1), 0);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_write(f, region, 0, 2), 0);
	machine_age(f, region, 0, 1);
	lru_drain_all(f->t);
	page_clear(page, PG_REFERENCED);
	struct outcome out = decide(f, page, machine_scan());

	assert_int_equal(out.freed, 0);
	assert_int_equal(page_maps(page), 0);
	assert_true(page_test(page, PG_DIRTY));
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 0), 2);
}

MACHINE_TEST(dirty_entry, 0);

/* ---- somebody uses it ---- */

static void body_in_use(struct machine_fixture *f)
{
	struct fixture_file *file;
	struct region *region;
	struct page *page = old_file(f, &file);

	/* One more reference: a clean page is not freed. */
	page_get(page);
	struct outcome out = decide(f, page, machine_scan());

	assert_kept(&out, page);
	page_put(f->t, page);
	/* Nor is a dirty one written. */
	page = old_anon(f, &region);
	page_get(page);
	out = decide(f, page, machine_scan());
	assert_kept(&out, page);
	assert_int_equal(out.stat.nr_pageout, 0);
	assert_true(page_test(page, PG_DIRTY));
	page_put(f->t, page);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(in_use, .swap_pages = 256);

static void body_pinned(struct machine_fixture *f)
{
	struct region *region;
	struct page *page = old_anon(f, &region);
	uint32_t pfn;

	assert_int_equal(fault_pin(f->t, region, 0, true, &pfn), 0);
	struct outcome out = decide(f, page, machine_scan());

	/* Without a slot: kept as it is. */
	assert_kept(&out, page);
	assert_false(page_test(page, PG_SWAPCACHE));
	assert_int_equal(page_maps(page), 1);
	fault_unpin(f->t, page, false);
	/* With one: unmapped, but then activated instead of written. */
	page_lock(f->t, page);
	assert_true(swap_cache_add_new(f->t, page));
	page_unlock(f->t, page);
	assert_int_equal(fault_pin(f->t, region, 0, false, &pfn), 0);
	machine_age(f, region, 0, 1);
	out = decide(f, page, machine_scan());
	assert_activated(&out, page);
	assert_int_equal(out.stat.nr_pageout, 0);
	fault_unpin(f->t, page, true);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(pinned, .swap_pages = 256);

/* Work begins at the tail: the pages are decided about in the order of their age. */
static void body_order(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 40);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	struct page *page[40];

	machine_fill(f, region, 0, 40);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 40);
	for (uint32_t i = 0; i < 40; i++)
		page[i] = machine_page_at(f, region, i);
	assert_int_equal(machine_reclaim(f, &sc, &stat, page, 40), 0);
	assert_int_equal(stat.nr_pageout, 40);
	assert_int_equal(sc.nr_scanned, 40);
	for (uint64_t i = 1; i < 40; i++)
		assert_int_equal(machine_swap_at(f, region, i), machine_swap_at(f, region, 0) + i);
	/* Gathered into few requests. */
	assert_true(machine_events(f, EV_SIM_IO_SUBMIT) <= 2);
	machine_settle(f);
	assert_int_equal(machine_reclaim(f, &sc, &stat, page, 40), 40);
	machine_check(f, region, 0, 40);
}

MACHINE_TEST(order, .swap_pages = 2048);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_mlocked),
		cmocka_unit_test(test_no_unmap),
		cmocka_unit_test(test_no_io),
		cmocka_unit_test(test_no_writepage),
		cmocka_unit_test(test_referenced_anon),
		cmocka_unit_test(test_referenced_file),
		cmocka_unit_test(test_referenced_clean),
		cmocka_unit_test(test_two_visits),
		cmocka_unit_test(test_one_visit),
		cmocka_unit_test(test_swap_full),
		cmocka_unit_test(test_activated_half_full),
		cmocka_unit_test(test_writeback_anon),
		cmocka_unit_test(test_writeback_file),
		cmocka_unit_test(test_clean_file),
		cmocka_unit_test(test_dirty_file_direct),
		cmocka_unit_test(test_dirty_file_kswapd),
		cmocka_unit_test(test_dirty_entry),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
