/*
 * The flusher and the limit on dirty pages (core/writeback.c).
 *
 *   0 ───── background ────── (bg + limit) / 2 ────── limit
 *     old data only   flusher writes       flusher writes   writers wait
 *
 * Everything here happens in virtual time, so that "after 30 seconds" is exact and
 * costs nothing.
 *
 * What must never happen here: waiting for the flusher in a loop that would hide that
 * it came late; each test sleeps for a fixed time and looks.
 */
#include "machine_fixture.h"

#include "core/sysctl.h"
#include "core/writeback.h"

static uint64_t dirty(struct machine_fixture *f)
{
	return machine_node_count(f, NR_DIRTY);
}

static void write_pages(struct machine_fixture *f, struct fixture_file *file, uint64_t first,
			uint64_t nr)
{
	for (uint64_t page = first; page < first + nr; page++)
		assert_int_equal(machine_file_write(f, file, page, machine_file_value(page, 1)), 0);
}

static void body_limits(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 400);
	uint64_t background, limit, value;

	vmstat_fold_all(f->t, f->m);
	uint64_t available =
		machine_zone_count(f, NR_FREE_PAGES) - atomic_load(&f->m->reserve_pages);

	writeback_limits(f->m, &background, &limit);
	assert_int_equal(limit, available * 819 / 4096); /* 20 % in parts of a page */
	assert_int_equal(background, available * 409 / 4096);
	/* File pages count as if they were free, anonymous ones do not. */
	for (uint64_t page = 0; page < 400; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	machine_fill(f, machine_region(f, 300), 0, 300);
	machine_settle(f);
	available = machine_zone_count(f, NR_FREE_PAGES) - atomic_load(&f->m->reserve_pages) + 400;
	writeback_limits(f->m, &background, &limit);
	assert_int_equal(limit, available * 819 / 4096);
	atomic_store(&f->m->sysctl.dirty_ratio, 8);
	writeback_limits(f->m, &background, &limit);
	assert_int_equal(limit, available * 327 / 4096);
	assert_int_equal(background, limit / 2); /* not below the limit: half of it */
}

MACHINE_TEST(limits, 0);

/* A little dirty data is left alone for 30 s, and written at the next look, every 5 s. */
static void body_age(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);

	rt_sleep(f->t, 100 * NSEC_PER_SEC);
	write_pages(f, file, 0, 20);
	rt_sleep(f->t, 29 * NSEC_PER_SEC);
	assert_int_equal(dirty(f), 20);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), 0);
	rt_sleep(f->t, 7 * NSEC_PER_SEC);
	assert_int_equal(dirty(f), 0);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), 20);
	assert_int_equal(machine_file_stored(file, 7), machine_file_value(7, 1));
	/* The age of what comes next counts from then. */
	write_pages(f, file, 30, 1);
	rt_sleep(f->t, 28 * NSEC_PER_SEC);
	assert_int_equal(dirty(f), 1);
	rt_sleep(f->t, 8 * NSEC_PER_SEC);
	assert_int_equal(dirty(f), 0);
}

MACHINE_TEST(age, 0);

/* Above the background limit the flusher works at once, until it is below. */
static void body_background(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 1000);
	uint64_t background, limit;

	writeback_limits(f->m, &background, &limit);
	write_pages(f, file, 0, background - 20);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), 0);
	/* The writer asks for it half way between the limits. */
	write_pages(f, file, background - 20, (background + limit) / 2 - background + 30);
	rt_sleep(f->t, NSEC_PER_SEC);
	writeback_limits(f->m, &background, &limit);
	assert_true(dirty(f) <= background);
	assert_true(machine_node_count(f, NR_WRITTEN) > 0);
}

MACHINE_TEST(background, 0);

/* A writer that is faster than the disk waits; the machine never holds much more than the limit. */
static void body_limit(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4000);
	uint64_t background, limit;
	uint64_t most = 0;

	writeback_limits(f->m, &background, &limit);
	uint64_t start_ns = rt_now(f->t);

	for (uint64_t page = 0; page < 4000; page++) {
		write_pages(f, file, page, 1);
		most = max_u64(most, dirty(f) + machine_node_count(f, NR_WRITEBACK));
	}
	/* 4000 pages at 1 MiB/s are 15.6 s; at most the limit is not written yet. */
	uint64_t took_ns = rt_now(f->t) - start_ns;

	assert_true(took_ns > (4000 - limit - 200) * NSEC_PER_SEC / 256);
	assert_true(most > background);
	assert_true(most <= limit + 64);
	assert_int_equal(machine_file_end(f, file), 0);
	for (uint64_t page = 0; page < 4000; page++)
		assert_int_equal(machine_file_stored(file, page), machine_file_value(page, 1));
}

MACHINE_TEST(limit, .pages = 8192,
	     .disk = { .latency_ns = 100000, .depth = 1, .bytes_per_s = MIB });

/* How long writing so many pages takes. */
static uint64_t write_time_ns(struct machine_fixture *f, struct fixture_file *file, uint64_t nr)
{
	uint64_t start_ns = rt_now(f->t);

	write_pages(f, file, 0, nr);
	return rt_now(f->t) - start_ns;
}

/*
 * The limit falls to a quarter without anybody writing a knob, as when programs take memory.
 * Writers are held where it was, and nearer to it with each fifth of a second with a writer.
 */
static void body_held(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 400);
	const char *bytes = "1638400"; /* 400 pages */

	assert_int_equal(sysctl_write(f->t, f->m, "dirty_bytes", bytes, 7), 7);
	assert_int_equal(f->m->dirty_held_pages, 400);
	atomic_store(&f->m->sysctl.dirty_bytes, (uint64_t)100 * NEAP_PAGE_BYTES);
	/* At 1 MiB/s 150 pages are 0.6 s. */
	assert_true(write_time_ns(f, file, 250) < 100 * NSEC_PER_MSEC);
	rt_sleep(f->t, 2 * NSEC_PER_SEC);
	for (uint32_t i = 0; i < 64; i++) {
		write_pages(f, file, 0, 90);
		rt_sleep(f->t, 500 * NSEC_PER_MSEC);
	}
	/* 300 x (31 / 32)^64 are 39. */
	assert_in_range(f->m->dirty_held_pages, 120, 180);
	assert_true(write_time_ns(f, file, 250) > 200 * NSEC_PER_MSEC);
	/* It follows a limit that rises at once, and a knob in either direction. */
	atomic_store(&f->m->sysctl.dirty_bytes, (uint64_t)300 * NEAP_PAGE_BYTES);
	rt_sleep(f->t, 2 * NSEC_PER_SEC);
	write_pages(f, file, 0, 240);
	assert_int_equal(f->m->dirty_held_pages, 300);
	assert_int_equal(sysctl_write(f->t, f->m, "dirty_bytes", "40960", 5), 5);
	assert_int_equal(f->m->dirty_held_pages, 10);
}

MACHINE_TEST(held, .pages = 8192, .disk = { .latency_ns = 100000, .depth = 1, .bytes_per_s = MIB });

/* What only a sum knows, because a CPU keeps the rest, holds nobody. */
static void body_lag(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);
	struct node *node = &f->m->nodes[0];
	uint64_t background, limit;

	atomic_store(&f->m->sysctl.dirty_bytes, (uint64_t)8 * NEAP_PAGE_BYTES);
	atomic_fetch_add(&node->stat[NR_WRITEBACK], 30);
	atomic_fetch_add(&f->m->node_stat[NR_WRITEBACK], 30);
	node->cpu[1].diff[NR_WRITEBACK] -= 30;
	writeback_limits(f->m, &background, &limit);
	assert_int_equal(limit, 8);
	assert_true(machine_node_stat(f->m, NR_WRITEBACK) > limit);
	uint64_t start_ns = rt_now(f->t);

	write_pages(f, file, 0, 1);
	assert_true(rt_now(f->t) - start_ns < 100 * NSEC_PER_MSEC);
}

MACHINE_TEST(lag, 0);

/* Reclaim asks: everything dirty is written, whatever its age. */
static void body_asked(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);
	struct fixture_file *other = machine_file(f, 40);

	write_pages(f, file, 0, 11);
	write_pages(f, other, 20, 5);
	writeback_wake(f->t, f->m);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(dirty(f), 0);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), 16);
}

MACHINE_TEST(asked, 0);

/* Nothing dirty: the flusher does not run at all. */
static void body_idle(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);

	write_pages(f, file, 0, 1);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	rt_sleep(f->t, 50 * NSEC_PER_SEC);
	uint64_t switches = machine_events(f, EV_SIM_SWITCH);

	rt_sleep(f->t, 1000 * NSEC_PER_SEC);
	/* Ours, once. */
	assert_true(machine_events(f, EV_SIM_SWITCH) <= switches + 1);
}

MACHINE_TEST(idle, 0);

/* A file that ends while the flusher writes it. */
static void body_end_while_flushed(struct machine_fixture *f)
{
	for (uint32_t i = 0; i < FIXTURE_FILES; i++) {
		struct fixture_file *file = machine_file(f, 300);

		write_pages(f, file, 0, 300);
		writeback_wake(f->t, f->m);
		rt_sleep(f->t, 20 * NSEC_PER_USEC * i);
		assert_int_equal(machine_file_end(f, file), 0);
		for (uint64_t page = 0; page < 300; page++)
			assert_int_equal(machine_file_stored(file, page),
					 machine_file_value(page, 1));
	}
}

MACHINE_TEST(end_while_flushed, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_background),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_lag),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_end_while_flushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
