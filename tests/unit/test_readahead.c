/*
 * Tests of core/readahead.c: which window a miss, a mark and a fault begin; and of fault-around
 * (core/fault.c).
 */
#include "core/readahead.h"
#include "machine_fixture.h"

static void expect(const struct readahead_window *window, uint64_t first, uint32_t nr)
{
	assert_int_equal(window->first, first);
	assert_int_equal(window->nr, nr);
}

static void setup(struct mapping *mapping, uint64_t pages)
{
	memset(mapping, 0, sizeof(*mapping));
	atomic_store(&mapping->bytes, pages * NEAP_PAGE_BYTES);
}

static void test_in_order(void **state)
{
	static const uint64_t first[] = { 4, 12, 28, 60, 92 };
	static const uint32_t nr[] = { 8, 16, 32, 32, 8 }; /* the last: the end of the file */
	struct mapping file;
	struct readahead_window window;

	(void)state;
	setup(&file, 100);
	window = readahead_miss(&file, 0, 0);
	expect(&window, 0, 4);
	assert_int_equal(window.mark, 1);
	for (uint32_t i = 0; i < ARRAY_LEN(nr); i++) {
		uint64_t mark = window.mark;

		assert_false(readahead_expects(&file, mark + 1));
		assert_true(readahead_expects(&file, mark));
		window = readahead_hit(&file, mark, 0, 1);
		expect(&window, first[i], nr[i]);
		/* A window of which the file has a part only has no mark. */
		assert_int_equal(window.mark, i < 4 ? first[i] : READAHEAD_NO_MARK);
	}
	window = readahead_hit(&file, 92, 0, 1);
	assert_int_equal(window.nr, 0);
}

static void test_misses(void **state)
{
	struct mapping file;
	struct readahead_window window;

	(void)state;
	setup(&file, 1000);
	window = readahead_miss(&file, 500, 0);
	expect(&window, 500, 1); /* out of order */
	assert_int_equal(window.mark, READAHEAD_NO_MARK);
	readahead_note_read(&file, 500);
	window = readahead_miss(&file, 501, 0);
	expect(&window, 501, 4); /* the second of two is order */
	/* Right behind the window, whose mark nobody met: two windows at once. */
	window = readahead_miss(&file, 505, 0);
	expect(&window, 505, 24);
	assert_int_equal(window.mark, 505 + 8);
	window = readahead_miss(&file, 529, 0);
	expect(&window, 529, 32);
	assert_int_equal(window.mark, 529 + 16); /* the most: a mark in the middle */
	window = readahead_miss(&file, 999, 0);
	expect(&window, 999, 1);
	atomic_store(&file.readahead, READAHEAD_NONE);
	window = readahead_miss(&file, 0, 0);
	expect(&window, 0, 1);
	assert_int_equal(window.mark, READAHEAD_NO_MARK);
	assert_int_equal(readahead_most_pages(&file), 0);
}

/* Cached pages before a miss, two or more of them, are a trace of somebody who reads in order. */
static void test_history(void **state)
{
	struct mapping file;
	struct readahead_window window;

	(void)state;
	setup(&file, 1000);
	window = readahead_miss(&file, 500, 1);
	expect(&window, 500, 1);
	window = readahead_miss(&file, 600, 2);
	expect(&window, 600, 3);
	assert_int_equal(window.mark, 602); /* the last one */
	assert_true(readahead_expects(&file, 602));
	window = readahead_miss(&file, 700, 32);
	expect(&window, 700, 32);
	window = readahead_miss(&file, 7, 7); /* the whole file until here */
	expect(&window, 7, 15);
}

/* The mark of a window that was forgotten: on from the first page that is missing. */
static void test_old_mark(void **state)
{
	struct mapping file;
	struct readahead_window window;

	(void)state;
	setup(&file, 1000);
	window = readahead_miss(&file, 600, 2);
	assert_false(readahead_expects(&file, 300));
	window = readahead_hit(&file, 300, 303, 1);
	expect(&window, 303, 8); /* twice as many as lie between, and the one that is asked for */
	assert_int_equal(window.mark, 303);
	window = readahead_hit(&file, 400, 401, 32); /* a fault asks for a whole window */
	expect(&window, 401, 32);
}

static void test_faults(void **state)
{
	struct mapping file;
	struct readahead_window window;

	(void)state;
	setup(&file, 1000);
	window = readahead_fault_miss(&file, 100);
	expect(&window, 84, 32);
	assert_int_equal(window.mark, 108);
	window = readahead_fault_miss(&file, 5);
	expect(&window, 0, 32);
	window = readahead_fault_miss(&file, 995);
	expect(&window, 979, 21);
	/* After a hundred misses without a hit it reads one page each, until there are hits. */
	for (uint32_t i = 3; i < 100; i++)
		(void)readahead_fault_miss(&file, 500);
	window = readahead_fault_miss(&file, 500);
	expect(&window, 500, 1);
	readahead_fault_hit(&file, 16);
	window = readahead_fault_miss(&file, 500);
	expect(&window, 484, 32);
	readahead_fault_hit(&file, UINT32_MAX);
	assert_int_equal(atomic_load(&file.fault_misses), 0);
}

/* One fault maps what is there of 16 aligned pages, and a file read in order costs few of them. */
static void body_fault_around(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 256);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 256, .mapping = file->mapping });
	uint64_t faults = machine_events(f, EV_PGFAULT);
	uint64_t value;

	for (uint64_t page = 0; page < 256; page++) {
		assert_int_equal(machine_read(f, region, page, &value), 0);
		assert_int_equal(value, machine_file_value(page, 0));
	}
	/* 16 blocks of 64 KiB, and at most a fault more for each mark and each end of a window. */
	faults = machine_events(f, EV_PGFAULT) - faults;
	assert_in_range(faults, 16, 48);
	assert_in_range(machine_events(f, EV_PGMAJFAULT), 1, 3);
	/* A page that was mapped around another is written to by a fault of its own. */
	assert_int_equal(machine_write(f, region, 17, 99), 0);
	assert_int_equal(machine_file_read(f, file, 17, &value), 0);
	assert_int_equal(value, 99);
	machine_region_end(f, region);
}

MACHINE_TEST(fault_around, .real = true);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order), cmocka_unit_test(test_misses),
		cmocka_unit_test(test_history),	 cmocka_unit_test(test_old_mark),
		cmocka_unit_test(test_faults),	 cmocka_unit_test(test_fault_around),
	};

	return cmocka_run_group_tests_name("readahead", tests, NULL, NULL);
}
