/*
 * Advice of files (core/fadvise.c): what read calls read ahead afterwards, what WILLNEED begins to
 * read, and what DONTNEED drops, writes, and leaves.
 *
 *   pages of a file   clean: dropped | dirty: written, stays | held: to the list's tail
 *
 * Contents are compared after each: advice never loses any.
 */
#include "machine_fixture.h"

#include "base/rng.h"
#include "core/fadvise.h"
#include "core/lru.h"
#include "core/readahead.h"

#define PAGES 400u

static void read_page(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	uint64_t value = 1;

	assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_int_equal(value, machine_file_value(page, 0));
}

static bool is_cached(struct machine_fixture *f, struct fixture_file *file, uint64_t page)
{
	return machine_file_page(f, file, page) != NULL;
}

/* ---- patterns ---- */

/* A file read sequentially has twice the window, for read calls and around faults. */
static void test_sequential(void **state)
{
	static const uint32_t sizes[] = { 8, 16, 32, 64, 64 };
	struct mapping file;
	struct readahead_window window;
	uint64_t mark = 1;
	uint64_t next = 4;

	(void)state;
	memset(&file, 0, sizeof(file));
	atomic_store(&file.bytes, 10000 * NEAP_PAGE_BYTES);
	fadvise_pattern(&file, REGION_SEQUENTIAL);
	window = readahead_miss(&file, 0, 0);
	assert_int_equal(window.nr, 4);
	for (uint32_t i = 0; i < ARRAY_LEN(sizes); i++) {
		assert_int_equal(window.mark, mark);
		assert_true(readahead_expects(&file, mark));
		window = readahead_hit(&file, mark, 0, 1);
		assert_int_equal(window.first, next);
		assert_int_equal(window.nr, sizes[i]);
		mark = next;
		next += sizes[i];
	}
	window = readahead_fault_miss(&file, 1000);
	assert_int_equal(window.first, 1000 - 32);
	assert_int_equal(window.nr, 64);
	assert_int_equal(window.mark, 1000 - 32 + 48);
	window = readahead_sequential_miss(&file, 5000);
	assert_int_equal(window.nr, 64);
	/* Windows shrink again with what is said. */
	fadvise_pattern(&file, REGION_NORMAL);
	window = readahead_fault_miss(&file, 1000);
	assert_int_equal(window.first, 1000 - 16);
	assert_int_equal(window.nr, 32);
	assert_int_equal(window.mark, 1000 - 16 + 24);
}

/* Read calls read the page alone; a fault reads around it as before. */
static void body_random(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, PAGES);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = PAGES, .mapping = file->mapping });
	uint64_t value;

	fadvise_pattern(file->mapping, REGION_RANDOM);
	for (uint64_t page = 0; page < 10; page++)
		read_page(f, file, page);
	machine_settle(f);
	assert_int_equal(file->mapping->nr_pages, 10);
	assert_int_equal(machine_read(f, region, 200, &value), 0);
	machine_settle(f);
	assert_int_equal(file->mapping->nr_pages, 10 + 32);
	fadvise_pattern(file->mapping, REGION_NORMAL);
	read_page(f, file, 10);
	read_page(f, file, 11);
	machine_settle(f);
	assert_true(file->mapping->nr_pages > 10 + 32 + 2);
}

MACHINE_TEST(random);

/* ---- willneed ---- */

/* The range and nothing else, not waited for, and never more than one large request's worth. */
static void body_willneed(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, PAGES);

	fadvise_willneed(f->t, file->mapping, 10, 20);
	machine_settle(f);
	assert_int_equal(file->mapping->nr_pages, 20);
	assert_true(is_cached(f, file, 10) && is_cached(f, file, 29) && !is_cached(f, file, 9));
	fadvise_willneed(f->t, file->mapping, PAGES - 5, UINT64_MAX / 2);
	machine_settle(f);
	assert_int_equal(file->mapping->nr_pages, 25);
	fadvise_willneed(f->t, file->mapping, 0, PAGES);
	machine_settle(f);
	assert_int_equal(file->mapping->nr_pages, 325);
	assert_true(is_cached(f, file, 319) && !is_cached(f, file, 320));
	for (uint64_t page = 0; page < PAGES; page++)
		read_page(f, file, page);
}

MACHINE_TEST(willneed);

/* ---- dontneed ---- */

/* Pages just read are in a batch, which holds them: they go all the same. No other page does. */
static void body_dontneed_clean(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 100);

	for (uint64_t page = 0; page < 100; page++)
		read_page(f, file, page);
	fadvise_dontneed(f->t, file->mapping, 20, 50);
	for (uint64_t page = 0; page < 100; page++)
		assert_int_equal(is_cached(f, file, page), page < 20 || page >= 70);
	/* They leave no shadow: what comes back is no refault. */
	read_page(f, file, 30);
	assert_int_equal(machine_events(f, EV_PGROTATED), 0);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_FILE), 0);
	fadvise_dontneed(f->t, file->mapping, 0, UINT64_MAX);
	machine_settle(f);
	fadvise_dontneed(f->t, file->mapping, 0, UINT64_MAX);
	assert_int_equal(file->mapping->nr_pages, 0);
}

MACHINE_TEST(dontneed_clean);

/* Dirty pages are written and stay; once they are clean they go. */
static void body_dontneed_dirty(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 60);

	for (uint64_t page = 0; page < 40; page++)
		assert_int_equal(machine_file_write(f, file, page, 1000 + page), 0);
	assert_int_equal(file->mapping->nr_dirty, 40);
	fadvise_dontneed(f->t, file->mapping, 0, 20);
	assert_int_equal(file->mapping->nr_dirty, 20);
	assert_int_equal(file->mapping->nr_pages, 40);
	machine_settle(f);
	for (uint64_t page = 0; page < 20; page++)
		assert_int_equal(machine_file_stored(file, page), 1000 + page);
	fadvise_dontneed(f->t, file->mapping, 0, 20);
	assert_int_equal(file->mapping->nr_pages, 20);
	for (uint64_t page = 0; page < 40; page++) {
		uint64_t value;

		assert_int_equal(machine_file_read(f, file, page, &value), 0);
		assert_int_equal(value, 1000 + page);
	}
}

MACHINE_TEST(dontneed_dirty);

/* A page in somebody's hands goes to where reclaim takes next; one that is mapped stays put. */
static void body_dontneed_held(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 40);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 40, .mapping = file->mapping });
	uint64_t value;

	for (uint64_t page = 0; page < 40; page++) {
		read_page(f, file, page);
		read_page(f, file, page);
	}
	assert_int_equal(machine_read(f, region, 39, &value), 0);
	lru_drain_all(f->t);
	struct page *held = machine_file_page(f, file, 3);
	struct page *mapped = machine_file_page(f, file, 39);

	lru_activate(f->t, held);
	lru_activate(f->t, mapped);
	lru_drain_all(f->t);
	page_get(held);
	uint64_t rotated = machine_events(f, EV_PGROTATED);
	uint64_t deactivated = machine_events(f, EV_PGDEACTIVATE);

	fadvise_dontneed(f->t, file->mapping, 0, 40);
	lru_drain_all(f->t);
	assert_ptr_equal(machine_file_page(f, file, 3), held);
	assert_false(page_test(held, PG_ACTIVE | PG_REFERENCED));
	assert_true(page_test(mapped, PG_ACTIVE));
	/* Twice in the range, and on the active list the first time. */
	assert_int_equal(machine_events(f, EV_PGDEACTIVATE) - deactivated, 1);
	assert_int_equal(machine_events(f, EV_PGROTATED) - rotated, 2);
	assert_true(is_cached(f, file, 39) && !is_cached(f, file, 4));
	page_put(f->t, held);
	fadvise_dontneed(f->t, file->mapping, 3, 1);
	assert_false(is_cached(f, file, 3));
}

MACHINE_TEST(dontneed_held);

/* ---- random ---- */

static int advise_at_random(struct task *t, struct mapping *mapping, struct rng *rng)
{
	uint64_t first = rng_below(rng, PAGES);
	uint64_t nr = rng_below(rng, PAGES - first) + 1;

	switch (rng_below(rng, 6)) {
	case 0:
		fadvise_willneed(t, mapping, first, nr);
		break;
	case 1:
		fadvise_pattern(mapping, (enum region_pattern)rng_below(rng, 3));
		break;
	case 2:
		return mapping_sync(t, mapping);
	default:
		fadvise_dontneed(t, mapping, first, nr);
		break;
	}
	return 0;
}

/* Reads, writes and advice in any order, on memory too small for the file. */
static void body_any_order(struct machine_fixture *f)
{
	static uint64_t expected[PAGES];
	struct fixture_file *file = machine_file(f, PAGES);
	struct rng rng;

	rng_seed(&rng, machine_seed());
	for (uint64_t page = 0; page < PAGES; page++)
		expected[page] = machine_file_value(page, 0);
	for (uint64_t i = 0; i < 4000; i++) {
		uint64_t page = rng_below(&rng, PAGES);
		uint64_t value;

		switch (rng_below(&rng, 3)) {
		case 0:
			assert_int_equal(machine_file_write(f, file, page, i), 0);
			expected[page] = i;
			break;
		case 1:
			assert_int_equal(machine_file_read(f, file, page, &value), 0);
			assert_int_equal(value, expected[page]);
			break;
		default:
			assert_int_equal(advise_at_random(f->t, file->mapping, &rng), 0);
			break;
		}
	}
}

MACHINE_TEST(any_order, .pages = 384);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequential),     cmocka_unit_test(test_random),
		cmocka_unit_test(test_willneed),       cmocka_unit_test(test_dontneed_clean),
		cmocka_unit_test(test_dontneed_dirty), cmocka_unit_test(test_dontneed_held),
		cmocka_unit_test(test_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
