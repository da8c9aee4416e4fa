/*
 * The page cache of a file: reading with read-ahead, dirty pages, write-back on sync,
 * dropping, and a file larger than the machine.
 *
 *   store <── read windows 4, 8, 16, 32 ── cache ── dirty ── sync ──> store
 *
 * Reads are counted where they arrive, at the store; contents are compared there, too,
 * past the engine.
 *
 * What must never happen here: comparing the cache with itself.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/lru.h"

static uint64_t reads(struct machine_fixture *f, struct fixture_file *file)
{
	struct store_fault_counts counts;

	store_fault_counts(file->store, f->t, &counts);
	return counts.reads;
}

static uint64_t writes(struct machine_fixture *f, struct fixture_file *file)
{
	struct store_fault_counts counts;

	store_fault_counts(file->store, f->t, &counts);
	return counts.writes;
}

static void read_ok(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	uint64_t value = 0;

	assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_int_equal(value, machine_file_value(page, 0));
}

/* ---- reading ---- */

static void body_windows(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 200);
	uint64_t mark = 1, end = 4, window = 8;

	/*
	 * In order: four pages, and at each mark a window of twice as many as the last, at most 32,
	 * cut at the end of the file. A window's mark is its first page, that of the first one its
	 * second.
	 */
	for (uint64_t page = 0; page < 200; page++) {
		read_ok(f, file, page);
		if (page == mark) {
			mark = end;
			end = min_u64(end + window, 200);
			window = min_u64(2 * window, 32);
		}
		machine_settle(f);
		assert_int_equal(reads(f, file), end);
		assert_int_equal(atomic_load(&file->mapping->nr_pages), end);
	}
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 200);
	assert_int_equal(machine_events(f, EV_PGPGIN), 200 * 8);
	for (uint64_t page = 0; page < 200; page++)
		read_ok(f, file, page);
	assert_int_equal(reads(f, file), 200);
}

MACHINE_TEST(windows, .real = true);

static void body_random_reads(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 400);

	/* Out of order: one page each, also backwards. */
	for (uint64_t i = 0; i < 40; i++)
		read_ok(f, file, 399 - i * 10);
	assert_int_equal(reads(f, file), 40);
	assert_int_equal(atomic_load(&file->mapping->nr_pages), 40);
	/* Order is found again, and begins small. */
	read_ok(f, file, 100);
	read_ok(f, file, 101);
	assert_int_equal(reads(f, file), 41 + 4);
	read_ok(f, file, 105);
	/* Right behind the window: the next one, 8 pages, and 16 at once; 109 and 119 are there. */
	assert_int_equal(reads(f, file), 45 + 24 - 2);
}

MACHINE_TEST(random_reads, 0);

/* Several tasks miss the same page: it is read once. */
struct reader {
	struct machine_fixture *f;
	struct fixture_file *file;
	uint64_t value;
};

static int read_page(struct task *t, void *arg)
{
	struct reader *reader = arg;
	uint32_t pfn;
	int err = mapping_get_page(t, reader->file->mapping, 7, 0, &pfn);

	if (err != 0)
		return err;
	reader->value = *reader->f->hw->ops->tag(reader->f->hw, pfn);
	page_put(t, machine_page(t->machine, pfn));
	return 0;
}

static void body_readers(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 20);
	struct reader reader[4];
	struct task *task[4];

	for (uint32_t i = 0; i < 4; i++) {
		const struct task_spec spec = { .name = "reader",
						.fn = read_page,
						.arg = &reader[i] };

		reader[i] = (struct reader){ .f = f, .file = file };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(rt_join(f->t, task[i]), 0);
		assert_int_equal(reader[i].value, machine_file_value(7, 0));
	}
	assert_int_equal(reads(f, file), 1);
}

MACHINE_TEST(readers, .nr_cpus = 4);

/* ---- dirty pages ---- */

static void body_dirty(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);
	uint64_t dirtied = machine_node_count(f, NR_DIRTIED);

	/* Overwriting a whole page reads nothing. */
	for (uint64_t page = 0; page < 30; page++)
		assert_int_equal(machine_file_write(f, file, page, machine_file_value(page, 1)), 0);
	assert_int_equal(reads(f, file), 0);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 30);
	assert_int_equal(machine_zone_count(f, NR_ZONE_WRITE_PENDING), 30);
	assert_int_equal(machine_node_count(f, NR_DIRTIED), dirtied + 30);
	assert_int_equal(atomic_load(&file->mapping->nr_dirty), 30);
	/* Dirty twice is dirty once. */
	assert_int_equal(machine_file_write(f, file, 3, machine_file_value(3, 2)), 0);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 30);
	assert_int_equal(machine_node_count(f, NR_DIRTIED), dirtied + 30);
	assert_int_equal(machine_file_stored(file, 3), machine_file_value(3, 0));

	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(writes(f, file), 30);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
	assert_int_equal(machine_node_count(f, NR_WRITEBACK), 0);
	assert_int_equal(machine_zone_count(f, NR_ZONE_WRITE_PENDING), 0);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), 30);
	assert_int_equal(machine_events(f, EV_PGPGOUT), 30 * 8);
	for (uint64_t page = 0; page < 40; page++)
		assert_int_equal(machine_file_stored(file, page),
				 machine_file_value(page, page == 3   ? 2
							  : page < 30 ? 1
								      : 0));
	/* Nothing dirty: nothing written. */
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(writes(f, file), 30);
}

MACHINE_TEST(dirty, .real = true);

/* The flush position goes round; at most the wanted number is sent. */
static void body_write_dirty(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 100);

	for (uint64_t page = 0; page < 100; page += 2)
		assert_int_equal(machine_file_write(f, file, page, machine_file_value(page, 1)), 0);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 10), 10);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 40);
	machine_settle(f);
	assert_int_equal(machine_file_stored(file, 18), machine_file_value(18, 1));
	assert_int_equal(machine_file_stored(file, 20), machine_file_value(20, 0));
	assert_int_equal(machine_file_write(f, file, 0, machine_file_value(0, 2)), 0);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 40), 40);
	machine_settle(f);
	assert_int_equal(machine_file_stored(file, 98), machine_file_value(98, 1));
	assert_int_equal(machine_file_stored(file, 0), machine_file_value(0, 1));
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 40), 1);
	machine_settle(f);
	assert_int_equal(machine_file_stored(file, 0), machine_file_value(0, 2));
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 40), 0);
}

MACHINE_TEST(write_dirty, 0);

/* Written to again while it is being written: both versions reach the store. */
static void body_rewrite(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);

	assert_int_equal(machine_file_write(f, file, 1, 10), 0);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 10), 1);
	assert_true(page_test(machine_file_page(f, file, 1), PG_WRITEBACK));
	assert_int_equal(machine_file_write(f, file, 1, 11), 0);
	assert_true(page_test(machine_file_page(f, file, 1), PG_WRITEBACK));
	assert_true(page_test(machine_file_page(f, file, 1), PG_DIRTY));
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 1), 11);
	assert_int_equal(writes(f, file), 2);
}

MACHINE_TEST(rewrite, 0);

/* ---- dropping and ending ---- */

static void body_drop(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 64);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 64, .mapping = file->mapping });
	uint64_t value;

	for (uint64_t page = 0; page < 64; page++)
		read_ok(f, file, page);
	assert_int_equal(machine_file_write(f, file, 5, 5), 0);
	assert_int_equal(machine_read(f, region, 9, &value), 0);
	/* All but the 16 mapped around page 9, the dirty one among them. */
	assert_int_equal(mapping_drop_clean(f->t, file->mapping), 48);
	assert_int_equal(atomic_load(&file->mapping->nr_pages), 16);
	assert_non_null(machine_file_page(f, file, 5));
	assert_non_null(machine_file_page(f, file, 9));
	assert_int_equal(machine_file_read(f, file, 5, &value), 0);
	assert_int_equal(value, 5);
	read_ok(f, file, 6);
	machine_region_end(f, region);
	assert_int_equal(f->m->index_nodes.nr_used, 1);
	assert_true(machine_node_count(f, NR_SLAB_RECLAIMABLE) >= 1);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(machine_file_stored(file, 5), 5);
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 0);
	assert_int_equal(f->m->index_nodes.nr_used, 0);
}

MACHINE_TEST(drop, 0);

/* Two files: the list of mappings stays sound whatever order they end in. */
static void body_files(struct machine_fixture *f)
{
	struct fixture_file *file[3];

	for (uint32_t i = 0; i < 3; i++) {
		file[i] = machine_file(f, 8);
		assert_int_equal(machine_file_write(f, file[i], i, 70 + i), 0);
	}
	assert_int_equal(machine_file_end(f, file[1]), 0);
	assert_int_equal(machine_file_write(f, file[0], 7, 1), 0);
	assert_int_equal(machine_file_end(f, file[2]), 0);
	assert_int_equal(machine_file_end(f, file[0]), 0);
	assert_int_equal(f->m->first_mapping, 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(machine_file_stored(file[i], i), 70 + i);
	assert_int_equal(machine_file_stored(file[0], 7), 1);
}

MACHINE_TEST(files, 0);

/* ---- more than the machine holds ---- */

/* Random reads, writes, mapped accesses and syncs on a file of three times the memory. */
static void big_step(struct machine_fixture *f, struct fixture_file *file, struct region *region,
		     uint64_t *version, struct rng *rng)
{
	uint64_t page = rng_below(rng, region->nr_pages);
	uint64_t value = 0;

	switch (rng_below(rng, 5)) {
	case 0:
		version[page]++;
		assert_int_equal(machine_file_write(f, file, page,
						    machine_file_value(page, version[page])),
				 0);
		return;
	case 1:
		version[page]++;
		assert_int_equal(
			machine_write(f, region, page, machine_file_value(page, version[page])), 0);
		return;
	case 2:
		assert_int_equal(machine_read(f, region, page, &value), 0);
		break;
	default:
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
		break;
	}
	assert_int_equal(value, machine_file_value(page, version[page]));
}

static void body_big(struct machine_fixture *f)
{
	const uint64_t nr = 3 * 2048;
	struct fixture_file *file = machine_file(f, nr);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = nr, .mapping = file->mapping });
	uint64_t *version = calloc(nr, sizeof(*version));
	struct rng rng;

	assert_non_null(version);
	rng_seed(&rng, machine_seed());
	for (uint32_t step = 0; step < 40000; step++) {
		big_step(f, file, region, version, &rng);
		if (step % 10000 == 5000)
			assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	}
	assert_true(machine_events(f, EV_PGSTEAL_FILE) > nr);
	assert_int_equal(machine_events(f, EV_PSWPOUT), 0);
	machine_region_end(f, region);
	assert_int_equal(machine_file_end(f, file), 0);
	for (uint64_t page = 0; page < nr; page++)
		assert_int_equal(machine_file_stored(file, page),
				 machine_file_value(page, version[page]));
	free(version);
}

MACHINE_TEST(big, .pages = 2048);
static void body_big_real(struct machine_fixture *f)
{
	body_big(f);
}

MACHINE_TEST(big_real, .pages = 2048, .real = true, .swap_pages = 4096);

/* Read twice, a page is wanted; written twice, or read once in between, it is not. */
static void body_writing_activates_nothing(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 100);
	uint64_t before = machine_events(f, EV_PGACTIVATE);

	for (uint32_t round = 0; round < 3; round++)
		for (uint64_t page = 0; page < 100; page++)
			assert_int_equal(machine_file_write(f, file, page, round), 0);
	for (uint64_t page = 0; page < 100; page++) {
		uint64_t value = 0;

		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	}
	lru_drain_all(f->t);
	assert_int_equal(machine_events(f, EV_PGACTIVATE), before);
	for (uint64_t page = 0; page < 100; page++) {
		uint64_t value = 0;

		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	}
	lru_drain_all(f->t);
	assert_int_equal(machine_events(f, EV_PGACTIVATE) - before, 100);
}

MACHINE_TEST(writing_activates_nothing, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_random_reads),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_write_dirty),
		cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_writing_activates_nothing),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_big_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
