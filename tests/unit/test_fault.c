/*
 * Page faults: each line of the table in core/fault.c, and what it leaves in entries,
 * descriptors and counters; page tables; pins.
 *
 *   entry                 read              write
 *   nothing, anonymous    zero page         new zeroed page
 *   nothing, file         cached page       the same, dirty
 *   swap word             test_swap.c       test_swap.c
 *   read-only             -                 made writable
 *
 * What must never happen here: an access that succeeds without the contents being
 * compared.
 */
#include "machine_fixture.h"

#include <errno.h>

static struct hw_entry entry_of(struct machine_fixture *f, struct region *region, uint64_t page)
{
	struct hw_entry entry = { .vpn = region->start_vpn + page };

	f->hw->ops->get(region->space->hw, &entry);
	return entry;
}

static void assert_reads(struct machine_fixture *f, struct region *region, uint64_t page,
			 uint64_t expected)
{
	uint64_t value = ~expected;

	assert_int_equal(machine_read(f, region, page, &value), 0);
	assert_int_equal(value, expected);
}

/* ---- anonymous ---- */

static void body_zero_page(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 600);

	assert_reads(f, region, 0, 0); /* brings the tables */
	uint64_t allocated = machine_events(f, EV_PGALLOC_NORMAL);
	uint64_t faults = machine_events(f, EV_PGFAULT);
	struct page *zero = machine_page(f->m, f->m->zero_pfn);

	for (uint64_t page = 0; page < 100; page++)
		assert_reads(f, region, page, 0);
	assert_int_equal(machine_events(f, EV_PGALLOC_NORMAL), allocated);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults + 99);
	assert_int_equal(entry_of(f, region, 50).pfn, f->m->zero_pfn);
	assert_int_equal(page_maps(zero), 0);
	assert_int_equal(page_refs(zero), 1);
	assert_int_equal(atomic_load(&f->space->rss_anon), 0);
	/* A write replaces it by a page of its own; the others still see zeroes. */
	assert_int_equal(machine_write(f, region, 50, 7), 0);
	assert_int_not_equal(entry_of(f, region, 50).pfn, f->m->zero_pfn);
	assert_int_equal(atomic_load(&f->space->rss_anon), 1);
	assert_reads(f, region, 50, 7);
	assert_reads(f, region, 49, 0);
	assert_int_equal(region_zap(f->t, region, 0, 600), 100);
	assert_int_equal(atomic_load(&f->space->rss_anon), 0);
}

MACHINE_TEST(zero_page, 0);

static void body_new_page(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	uint64_t faults = machine_events(f, EV_PGFAULT);

	assert_int_equal(machine_write(f, region, 2, 5), 0);
	struct hw_entry entry = entry_of(f, region, 2);
	struct page *page = machine_page_at(f, region, 2);

	assert_int_equal(entry.flags, HW_PRESENT | HW_WRITE | HW_YOUNG | HW_DIRTY);
	assert_true(page_test(page, PG_ANON));
	assert_true(page_test(page, PG_SWAPBACKED));
	assert_true(page_test(page, PG_UPTODATE));
	assert_false(page_test(page, PG_LOCKED | PG_ACTIVE | PG_SWAPCACHE));
	assert_int_equal(page->owner, region->id);
	assert_int_equal(page->index, 2);
	assert_int_equal(page_maps(page), 1);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 1);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults + 1);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 0);
	assert_int_equal(machine_events(f, EV_SIM_FAULT_MINOR), faults + 1);
	/* A second write needs no fault. */
	assert_int_equal(machine_write(f, region, 2, 6), 0);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults + 1);
	assert_int_equal(region_zap(f->t, region, 2, 1), 1);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 0);
	assert_reads(f, region, 2, 0);
}

MACHINE_TEST(new_page, .real = true);

/* Locked memory gets frames of its own even when it is only read. */
static void body_locked(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 8, .flags = REGION_LOCKED });

	assert_int_equal(fault_populate(f->t, region, 0, 8, false), 0);
	assert_int_equal(atomic_load(&f->space->rss_anon), 8);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), 8);
	assert_true(page_test(machine_page_at(f, region, 3), PG_MLOCKED));
}

MACHINE_TEST(locked, 0);

static void body_strict_node(struct machine_fixture *f)
{
	struct region *region =
		machine_region_spec(f, &(struct region_spec){ .nr_pages = 50, .node = 2 });
	struct region *any = machine_region(f, 50);

	machine_fill(f, region, 0, 50);
	machine_fill(f, any, 0, 50);
	for (uint64_t page = 0; page < 50; page++) {
		assert_int_equal(page_node_id(machine_page_at(f, region, page)), 1);
		assert_int_equal(page_node_id(machine_page_at(f, any, page)), 0);
	}
	struct region *wrong;
	const struct region_spec spec = { .nr_pages = 1, .node = 3 };

	assert_int_equal(region_create(f->t, f->space, &spec, &wrong), -EINVAL);
}

MACHINE_TEST(strict_node, .nr_nodes = 2);

/* ---- files ---- */

static struct region *map_file(struct machine_fixture *f, struct fixture_file *file, uint64_t nr)
{
	return machine_region_spec(f, &(struct region_spec){ .nr_pages = nr,
							     .mapping = file->mapping });
}

static void body_file(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	struct region *a = map_file(f, file, 8);
	struct region *b = map_file(f, file, 8);

	file->mapping->readahead = UINT64_MAX; /* reads one page */
	assert_reads(f, a, 5, machine_file_value(5, 0));
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 1);
	assert_reads(f, b, 5, machine_file_value(5, 0));
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 1);
	struct page *page = machine_page_at(f, a, 5);

	assert_ptr_equal(machine_page_at(f, b, 5), page);
	assert_int_equal(page_maps(page), 2);
	assert_int_equal(machine_node_count(f, NR_MAPPED), 1); /* a page, not an entry */
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 1);
	assert_int_equal(atomic_load(&f->space->rss_file), 2);
	assert_int_equal(entry_of(f, a, 5).flags & (HW_WRITE | HW_DIRTY), 0);
	/* Plain loads and stores are no marks. */
	assert_false(page_test(page, PG_REFERENCED));

	/* A write through one mapping is seen through the other. */
	assert_int_equal(machine_write(f, a, 5, 99), 0);
	assert_reads(f, b, 5, 99);
	assert_true(page_test(page, PG_DIRTY));
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	assert_int_equal(machine_events(f, EV_PGREUSE), 1);
	assert_true(entry_of(f, a, 5).flags & HW_WRITE);
	assert_false(entry_of(f, b, 5).flags & HW_WRITE);
	/* When the region goes, young becomes a mark, and dirty stays. */
	machine_region_end(f, a);
	assert_true(page_test(page, PG_REFERENCED));
	assert_int_equal(page_maps(page), 1);
	machine_region_end(f, b);
	assert_int_equal(machine_node_count(f, NR_MAPPED), 0);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(machine_file_stored(file, 5), 99);
	assert_int_equal(machine_file_stored(file, 4), machine_file_value(4, 0));
}

MACHINE_TEST(file, .real = true);

/* A miss waits without the space's lock: the fault is taken anew, and counted again, once. */
static void body_miss_counts_twice(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 64);
	struct region *region = map_file(f, file, 64);
	uint64_t faults = machine_events(f, EV_PGFAULT);

	assert_reads(f, region, 5, machine_file_value(5, 0));
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 1);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults + 2);
	/* The second attempt maps what was read with the page: its 16 aligned pages. */
	assert_int_equal(atomic_load(&f->space->rss_file), 16);
	assert_reads(f, region, 15, machine_file_value(15, 0));
	assert_int_equal(machine_events(f, EV_PGFAULT), faults + 2);
	/* What is cached and free to be taken needs one attempt. */
	assert_reads(f, region, 16, machine_file_value(16, 0));
	assert_int_equal(machine_events(f, EV_PGFAULT), faults + 3);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 1);
}

MACHINE_TEST(miss_counts_twice, 0);

/* A first access that writes: one fault, dirty and writable at once. */
static void body_file_write(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	struct region *region = map_file(f, file, 4);

	assert_int_equal(machine_write(f, region, 1, 42), 0);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), 1);
	assert_int_equal(machine_events(f, EV_PGREUSE), 0);
	assert_true(entry_of(f, region, 1).flags & HW_WRITE);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	/* After write-out it is clean and read-only; the next write makes it dirty again. */
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 1), 42);
	assert_false(entry_of(f, region, 1).flags & (HW_WRITE | HW_DIRTY));
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
	assert_int_equal(machine_write(f, region, 1, 43), 0);
	assert_int_equal(machine_events(f, EV_PGREUSE), 1);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 1), 43);
}

MACHINE_TEST(file_write, 0);

/* Written without a further fault, then unmapped: still not forgotten. */
static void body_file_dirty_entry(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	struct region *region = map_file(f, file, 4);

	assert_int_equal(machine_write(f, region, 0, 1), 0);
	uint64_t faults = machine_events(f, EV_PGFAULT);

	assert_int_equal(machine_write(f, region, 0, 2), 0);
	assert_int_equal(machine_events(f, EV_PGFAULT), faults);
	machine_region_end(f, region);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(machine_file_stored(file, 0), 2);
}

MACHINE_TEST(file_dirty_entry, 0);

/* ---- errors ---- */

/* Each allocation of the first fault refused in turn: three tables and the page. */
static void body_no_memory(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	uint64_t tables = machine_node_count(f, NR_PAGE_TABLE_PAGES);
	uint64_t nth;

	for (nth = 1;; nth++) {
		f->m->inject[INJECT_PAGE] = nth;
		int err = machine_write(f, region, 0, 3);

		f->m->inject[INJECT_PAGE] = 0;
		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_int_equal(entry_of(f, region, 0).word, 0);
		assert_int_equal(atomic_load(&f->space->rss_anon), 0);
		machine_verify(f);
	}
	assert_int_equal(nth,
			 4); /* page; page, table; page, table, table; then the rest is enough */
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), tables + 3);
	assert_reads(f, region, 0, 3);
}

MACHINE_TEST(no_memory, 0);

/* ---- page tables ---- */

static void body_tables(struct machine_fixture *f)
{
	uint64_t root = machine_node_count(f, NR_PAGE_TABLE_PAGES);
	struct region *a = machine_region(f, 3 * 512);
	struct region *b = machine_region(f, 1);

	assert_int_equal(root, 1);
	assert_int_equal(b->start_vpn - a->start_vpn, 3 * 512);
	machine_fill(f, a, 0, 1);
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), root + 3);
	machine_fill(f, a, 600, 1);
	machine_fill(f, a, 1535, 1);
	machine_fill(f, b, 0, 1);
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), root + 6);
	assert_int_equal(atomic_load(&f->space->nr_tables), root + 6);
	/* Zapping keeps the tables, the end of a region gives its leaves back. */
	assert_int_equal(region_zap(f->t, a, 0, 3 * 512), 3);
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), root + 6);
	machine_region_end(f, a);
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), root + 3);
	machine_region_end(f, b);
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), root + 2);
	struct region *wrong;

	assert_int_equal(region_create(f->t, f->space, &(struct region_spec){ .nr_pages = 0 },
				       &wrong),
			 -EINVAL);
	assert_int_equal(region_create(f->t, f->space,
				       &(struct region_spec){ .nr_pages = UINT64_C(1) << 33 },
				       &wrong),
			 -EINVAL);
}

MACHINE_TEST(tables, 0);

/* ---- pins ---- */

static void body_pins(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	uint32_t pfn = PFN_NONE;
	uint32_t zero = PFN_NONE;

	assert_int_equal(fault_pin(f->t, region, 1, true, &pfn), 0);
	struct page *page = machine_page(f->m, pfn);

	lru_drain_all(f->t);
	assert_ptr_equal(machine_page_at(f, region, 1), page);
	assert_int_equal(page_refs(page), 1 + PAGE_PIN_BIAS);
	assert_true(page_maybe_pinned(page));
	assert_int_equal(machine_node_count(f, NR_FOLL_PIN_ACQUIRED), 1);
	/* A second pin of the same page; unpinning goes one by one. */
	assert_int_equal(fault_pin(f->t, region, 1, false, &pfn), 0);
	assert_int_equal(page_refs(page), 1 + 2 * PAGE_PIN_BIAS);
	page_clear(page, PG_DIRTY);
	fault_unpin(f->t, page, false);
	assert_false(page_test(page, PG_DIRTY));
	assert_true(page_maybe_pinned(page));
	fault_unpin(f->t, page, true);
	assert_true(page_test(page, PG_DIRTY));
	assert_int_equal(page_refs(page), 1);
	assert_int_equal(machine_node_count(f, NR_FOLL_PIN_RELEASED), 2);
	/* Reading what was never written: the zero page needs no reference. */
	assert_int_equal(fault_pin(f->t, region, 2, false, &zero), 0);
	assert_int_equal(zero, f->m->zero_pfn);
	assert_int_equal(page_refs(machine_page(f->m, zero)), 1);
	fault_unpin(f->t, machine_page(f->m, zero), false);
	/* To be written, it is replaced. */
	assert_int_equal(fault_pin(f->t, region, 2, true, &pfn), 0);
	assert_int_not_equal(pfn, f->m->zero_pfn);
	fault_unpin(f->t, machine_page(f->m, pfn), false);
}

MACHINE_TEST(pins, .swap_pages = 256);

/* A pinned page outlives its entry, and no longer: the last unpin frees it. */
static void body_pin_outlives(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	uint32_t pfn = PFN_NONE;

	machine_fill(f, region, 0, 4);
	assert_int_equal(fault_pin(f->t, region, 0, true, &pfn), 0);
	lru_drain_all(f->t);
	assert_int_equal(region_zap(f->t, region, 0, 1), 1);
	assert_int_equal(page_refs(machine_page(f->m, pfn)), PAGE_PIN_BIAS);
	uint64_t anon = machine_list_size(f, LRU_INACTIVE_ANON);

	fault_unpin(f->t, machine_page(f->m, pfn), false);
	assert_int_equal(page_refs(machine_page(f->m, pfn)), 0);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), anon - 1);
	assert_reads(f, region, 0, 0);
}

MACHINE_TEST(pin_outlives, 0);

/* A pinned file page: written while pinned, dirty when unpinned. */
static void body_pin_file(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	struct region *region = map_file(f, file, 4);
	uint32_t pfn;

	assert_int_equal(fault_pin(f->t, region, 1, true, &pfn), 0);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
	*f->hw->ops->tag(f->hw, pfn) = 1234;
	fault_unpin(f->t, machine_page(f->m, pfn), true);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 1), 1234);
}

MACHINE_TEST(pin_file, 0);

/* ---- two tasks, one page ---- */

struct toucher {
	struct region *region;
	uint64_t page;
	uint64_t value;
};

static int touch(struct task *t, void *arg)
{
	struct toucher *toucher = arg;

	return task_write(t, toucher->region, toucher->page, toucher->value);
}

static void body_race(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 64);
	struct toucher toucher[4];
	struct task *task[4];

	for (uint64_t page = 0; page < 64; page++) {
		for (uint32_t i = 0; i < 4; i++) {
			const struct task_spec spec = { .name = "toucher",
							.fn = touch,
							.arg = &toucher[i] };

			toucher[i] = (struct toucher){ region, page, 100 + i };
			assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
		}
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(rt_join(f->t, task[i]), 0);
		uint64_t value;

		assert_int_equal(machine_read(f, region, page, &value), 0);
		assert_in_range(value, 100, 103);
	}
	assert_int_equal(atomic_load(&f->space->rss_anon), 64);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 64);
}

MACHINE_TEST(race, .nr_cpus = 4);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_page),    cmocka_unit_test(test_new_page),
		cmocka_unit_test(test_locked),	     cmocka_unit_test(test_strict_node),
		cmocka_unit_test(test_file),	     cmocka_unit_test(test_miss_counts_twice),
		cmocka_unit_test(test_file_write),   cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_tables),	     cmocka_unit_test(test_pins),
		cmocka_unit_test(test_pin_outlives), cmocka_unit_test(test_pin_file),
		cmocka_unit_test(test_race),	     cmocka_unit_test(test_file_dirty_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
