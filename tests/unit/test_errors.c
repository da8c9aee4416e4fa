/*
 * When the world fails: swap full, swap and file transfers that fail, a full disk, memory
 * refused. The error is reported where it belongs, nothing else is lost, the laws hold.
 *
 *   swap read    -EIO at the access; the next access reads again
 *   swap write   nobody is told: the page stays in memory, dirty
 *   file read    -EIO at the access; the next access reads again
 *   file write   at the next sync or close, once; the page stays dirty
 *   no memory    -ENOMEM at the access; everything is as before
 *
 * test_failures.c fails every single transfer and allocation of a long workload.
 *
 * What must never happen here: a run in which the error did not happen counts as passed.
 */
#include "machine_fixture.h"

#include <errno.h>

static void fail_next(struct machine_fixture *f, struct store *store, enum store_op op, int error)
{
	store_fault_arm(store, f->t, op, 1, error);
}

static struct store_fault_counts counts(struct machine_fixture *f, struct store *store)
{
	struct store_fault_counts out;

	store_fault_counts(store, f->t, &out);
	return out;
}

static struct region *swapped(struct machine_fixture *f, uint64_t nr)
{
	struct region *region = machine_region(f, nr);

	machine_fill(f, region, 0, nr);
	machine_swap_out(f, region, 0, nr);
	return region;
}

/* ---- swap ---- */

/* More than memory and swap hold: refused, and all that was accepted is there. */
static void body_swap_full(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3000);
	uint64_t page = 0;
	int err = 0;

	for (; page < 3000 && err == 0; page++)
		err = machine_write(f, region, page, machine_value(region, page, 0));
	assert_int_equal(err, -ENOMEM);
	page--;
	/*
	 * Less than memory and swap together: once every slot is given to some page, anonymous
	 * lists are not scanned any more (spec 11, invariant 5), written pages among them.
	 */
	assert_true(page > 800 && page < 1024 + 511);
	assert_true(atomic_load(&f->m->oom_count) > 0);
	assert_int_equal(atomic_load(&f->m->nr_swap_free), 0);
	/* It goes on failing, and goes on losing nothing. */
	assert_int_equal(machine_write(f, region, 2999, 1), -ENOMEM);
	for (uint64_t i = 0; i < page; i += 7) {
		uint64_t value;

		err = machine_read(f, region, i, &value);
		if (err == 0)
			assert_int_equal(value, machine_value(region, i, 0));
		else
			assert_int_equal(err, -ENOMEM);
	}
	machine_verify(f);
	/* As soon as there is room, all of it can be read. */
	assert_int_equal(region_zap(f->t, region, 0, 500), 500);
	machine_check(f, region, 500, page - 500);
	assert_int_equal(machine_write(f, region, 2999, 1), 0);
}

MACHINE_TEST(swap_full, .pages = 1024, .swap_pages = 512, .real = true);

static void body_swap_read(struct machine_fixture *f)
{
	struct region *region = swapped(f, 8);
	uint64_t value;

	atomic_store(&f->m->sysctl.page_cluster, 0);
	for (uint64_t page = 0; page < 4; page++) {
		uint32_t entry = machine_swap_at(f, region, page);

		fail_next(f, f->swap[0], STORE_READ, -EIO);
		int err = page % 2 ? machine_write(f, region, page, 1)
				   : machine_read(f, region, page, &value);

		assert_int_equal(err, -EIO);
		/* The copy is still where it was. */
		assert_int_equal(machine_swap_at(f, region, page), entry);
		machine_check(f, region, page, 1);
	}
	assert_int_equal(f->m->swap[0].read_errors, 4);
	assert_int_equal(counts(f, f->swap[0]).failed_reads, 4);
	machine_check(f, region, 0, 8);
}

MACHINE_TEST(swap_read, .swap_pages = 512, .real = true);

/* The page itself can never be read: -EIO for ever, and only for this page. */
static void body_swap_bad_page(struct machine_fixture *f)
{
	struct region *region = swapped(f, 16);
	struct store_fault_spec bad = {
		.bad_first = swap_slot_of(machine_swap_at(f, region, 5)),
		.bad_pages = 1,
		.bad_ops = 1u << STORE_READ,
	};

	store_fault_set(f->swap[0], f->t, &bad);
	for (uint32_t round = 0; round < 3; round++) {
		for (uint64_t page = 0; page < 16; page++) {
			uint64_t value = 0;
			int err = machine_read(f, region, page, &value);

			assert_int_equal(err, page == 5 ? -EIO : 0);
			if (page != 5)
				assert_int_equal(value, machine_value(region, page, 0));
		}
		machine_verify(f);
	}
	/* Given up, the page is new and empty. */
	assert_int_equal(region_zap(f->t, region, 5, 1), 1);
	assert_int_equal(machine_write(f, region, 5, 77), 0);
}

MACHINE_TEST(swap_bad_page, .swap_pages = 512);

static void body_swap_write(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 8);
	struct page *page;

	machine_fill(f, region, 0, 8);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 8);
	page = machine_page_at(f, region, 0);
	fail_next(f, f->swap[0], STORE_WRITE, -EIO);
	assert_int_equal(machine_reclaim_one(f, page), 0);
	machine_settle(f);
	assert_int_equal(f->m->swap[0].write_errors, 1);
	/* In memory, in the cache, with its slot, and dirty; not rotated to be freed next. */
	assert_true(page_test(page, PG_DIRTY));
	assert_true(page_test(page, PG_ERROR));
	assert_true(page_test(page, PG_SWAPCACHE));
	assert_false(page_test(page, PG_RECLAIM | PG_WRITEBACK));
	assert_int_equal(machine_events(f, EV_PGROTATED), 0);
	uint32_t entry = machine_swap_at(f, region, 0);

	/* Reclaim tries again, with the same slot. */
	assert_int_equal(machine_reclaim_one(f, page), 0);
	machine_settle(f);
	assert_false(page_test(page, PG_DIRTY | PG_ERROR));
	assert_int_equal(machine_swap_at(f, region, 0), entry);
	assert_int_equal(machine_reclaim_one(f, page), 1);
	machine_check(f, region, 0, 8);
	/* The other way out: the program comes back first. */
	page = machine_page_at(f, region, 1);
	machine_age(f, region, 1, 1);
	fail_next(f, f->swap[0], STORE_WRITE, -EIO);
	assert_int_equal(machine_reclaim_one(f, page), 0);
	machine_settle(f);
	machine_check(f, region, 1, 1);
	assert_int_equal(f->m->swap[0].write_errors, 2);
}

MACHINE_TEST(swap_write, .swap_pages = 512, .real = true);

/* Nothing can be written: as if there were no swap. Everything ends, and everything is there. */
static void body_swap_dead(struct machine_fixture *f)
{
	struct store_fault_spec dead = { .write_permille = 1000,
					 .error = f->setup->real ? -EIO : -ENOSPC };
	struct region *region = machine_region(f, 2000);
	uint64_t page = 0;
	int err = 0;

	store_fault_set(f->swap[0], f->t, &dead);
	for (; page < 2000 && err == 0; page++)
		err = machine_write(f, region, page, machine_value(region, page, 0));
	assert_int_equal(err, -ENOMEM);
	page--;
	assert_true(page > 700 && page < 1024);
	assert_true(f->m->swap[0].write_errors > 0);
	for (uint64_t i = 0; i < page; i++) {
		uint64_t value = 0;

		assert_int_equal(machine_read(f, region, i, &value), 0);
		assert_int_equal(value, machine_value(region, i, 0));
	}
	machine_verify(f);
	/* The device recovers: so does the machine. */
	store_fault_set(f->swap[0], f->t, &(struct store_fault_spec){ 0 });
	for (; page < 2000; page++) {
		err = machine_write(f, region, page, machine_value(region, page, 0));
		for (uint32_t i = 0; i < 10 && err == -ENOMEM; i++) {
			rt_sleep(f->t, 10 * NSEC_PER_MSEC);
			err = machine_write(f, region, page, machine_value(region, page, 0));
		}
		assert_int_equal(err, 0);
	}
	machine_check(f, region, 0, 2000);
}

MACHINE_TEST(swap_dead, .pages = 1024, .swap_pages = 4096, .real = true);
static void body_swap_disk_full(struct machine_fixture *f)
{
	body_swap_dead(f);
}

MACHINE_TEST(swap_disk_full, .pages = 1024, .swap_pages = 4096);

/* ---- files ---- */

static void body_file_read(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 40, .mapping = file->mapping });
	uint64_t value = 0;

	file->mapping->readahead = UINT64_MAX; /* reads one page */
	fail_next(f, file->store, STORE_READ, -EIO);
	assert_int_equal(machine_file_read(f, file, 20, &value), -EIO);
	assert_int_equal(machine_file_read(f, file, 20, &value), 0);
	assert_int_equal(value, machine_file_value(20, 0));
	fail_next(f, file->store, STORE_READ, -EIO);
	assert_int_equal(machine_read(f, region, 25, &value), -EIO);
	assert_int_equal(machine_read(f, region, 25, &value), 0);
	assert_int_equal(value, machine_file_value(25, 0));
	/* A neighbour read ahead failed: whoever wants it reads it again, and is told nothing. */
	file->mapping->readahead = 0;
	store_fault_arm(file->store, f->t, STORE_READ, 3, -EIO);
	assert_int_equal(machine_file_read(f, file, 0, &value), 0);
	for (uint64_t page = 0; page < 4; page++) {
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
		assert_int_equal(value, machine_file_value(page, 0));
	}
	assert_int_equal(counts(f, file->store).failed_reads, 3);
	/* Overwriting needs no read, so it cannot fail like that. */
	fail_next(f, file->store, STORE_READ, -EIO);
	assert_int_equal(machine_file_write(f, file, 30, 3), 0);
	assert_int_equal(machine_file_read(f, file, 30, &value), 0);
	assert_int_equal(value, 3);
	store_fault_arm(file->store, f->t, STORE_READ, 0, 0);
}

MACHINE_TEST(file_read, .real = true);

static void write_version(struct machine_fixture *f, struct fixture_file *file, uint64_t page,
			  uint64_t version)
{
	assert_int_equal(machine_file_write(f, file, page, machine_file_value(page, version)), 0);
}

static void body_file_write(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);

	for (uint64_t page = 0; page < 10; page++)
		write_version(f, file, page, 1);
	store_fault_arm(file->store, f->t, STORE_WRITE, 4, -ENOSPC);
	/* Told at the sync, once; the page stays dirty, the others are written. */
	assert_int_equal(mapping_sync(f->t, file->mapping), -ENOSPC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	for (uint64_t page = 0; page < 10; page++)
		assert_int_equal(machine_file_stored(file, page),
				 machine_file_value(page, page == 3 ? 0 : 1));
	assert_true(page_test(machine_file_page(f, file, 3), PG_ERROR));
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 3), machine_file_value(3, 1));
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
	/* In the background: told at the next sync, though that one writes without error. */
	write_version(f, file, 20, 1);
	fail_next(f, file->store, STORE_WRITE, -EIO);
	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 1), 1);
	machine_settle(f);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	assert_int_equal(mapping_sync(f->t, file->mapping), -EIO);
	assert_int_equal(machine_file_stored(file, 20), machine_file_value(20, 1));
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	/* The device's own sync. */
	store_fault_set(file->store, f->t, &(struct store_fault_spec){ .nth_sync = 1 });
	assert_int_equal(mapping_sync(f->t, file->mapping), -EIO);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
}

MACHINE_TEST(file_write, .real = true);

/* Closing: the error of what cannot be written is reported; the rest is in the file. */
static void body_file_close(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);
	const struct store_fault_spec bad = {
		.bad_first = 7, .bad_pages = 2, .bad_ops = 1u << STORE_WRITE, .error = -ENOSPC
	};

	store_fault_set(file->store, f->t, &bad);
	for (uint64_t page = 0; page < 20; page++)
		write_version(f, file, page, 1);
	assert_int_equal(machine_file_end(f, file), -ENOSPC);
	for (uint64_t page = 0; page < 20; page++)
		assert_int_equal(machine_file_stored(file, page),
				 machine_file_value(page, page == 7 || page == 8 ? 0 : 1));
	/* Once only, and the second try of closing succeeds: no error is left to tell. */
	file = machine_file(f, 8);
	write_version(f, file, 1, 1);
	fail_next(f, file->store, STORE_WRITE, -EIO);
	assert_int_equal(mapping_sync(f->t, file->mapping), -EIO);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(machine_file_stored(file, 1), machine_file_value(1, 1));
}

MACHINE_TEST(file_close, 0);

/* A file that cannot be written, on a machine too small for it: reclaim loses nothing. */
static void body_file_dead(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 1500);
	const struct store_fault_spec dead = { .write_permille = 1000 };
	uint64_t written = 0;
	uint64_t value;

	store_fault_set(file->store, f->t, &dead);
	/* The limit on dirty pages holds the writer up, but not for ever. */
	for (; written < 150; written++)
		write_version(f, file, written, 1);
	for (uint64_t page = 400; page < 1500; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_true(machine_events(f, EV_PGSTEAL_FILE) > 0);
	for (uint64_t page = 0; page < written; page++) {
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
		assert_int_equal(value, machine_file_value(page, 1));
	}
	store_fault_set(file->store, f->t, &(struct store_fault_spec){ 0 });
	assert_int_equal(mapping_sync(f->t, file->mapping), -EIO); /* of before */
	assert_int_equal(machine_file_end(f, file), 0);
	for (uint64_t page = 0; page < written; page++)
		assert_int_equal(machine_file_stored(file, page), machine_file_value(page, 1));
}

MACHINE_TEST(file_dead, .pages = 1024);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swap_full),     cmocka_unit_test(test_swap_read),
		cmocka_unit_test(test_swap_bad_page), cmocka_unit_test(test_swap_write),
		cmocka_unit_test(test_swap_dead),     cmocka_unit_test(test_swap_disk_full),
		cmocka_unit_test(test_file_read),     cmocka_unit_test(test_file_write),
		cmocka_unit_test(test_file_close),    cmocka_unit_test(test_file_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
