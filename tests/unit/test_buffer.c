/*
 * Tests of core/buffer.c: which pages have a buffer head, and that it goes with them.
 */
#include "machine_fixture.h"

#include "core/buffer.h"
#include "core/list.h"
#include "core/lru.h"
#include "core/mapping.h"
#include "core/migrate.h"

#define PAGES 100u
#define PER_FRAME (NEAP_PAGE_BYTES / BUFFER_BYTES)

static uint64_t nr_buffers(struct machine_fixture *f)
{
	return f->m->buffers.slab.nr_used;
}

static void write_all(struct machine_fixture *f, struct fixture_file *file)
{
	for (uint64_t page = 0; page < PAGES; page++)
		assert_int_equal(machine_file_write(f, file, page, page + 1), 0);
}

/* One for each page that was written, none for pages that were read; gone with the pages. */
static void body_written(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 2 * PAGES);
	uint64_t value;

	write_all(f, file);
	assert_int_equal(nr_buffers(f), 0); /* off until somebody wants it */
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(mapping_drop_clean(f->t, file->mapping), PAGES);

	assert_int_equal(buffer_enable(f->m), 0);
	for (uint64_t page = 0; page < 2 * PAGES; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_int_equal(nr_buffers(f), 0);
	write_all(f, file);
	assert_int_equal(nr_buffers(f), PAGES);
	assert_int_equal(f->m->buffers.slab.nr_frames, (PAGES + PER_FRAME - 1) / PER_FRAME);
	write_all(f, file);
	assert_int_equal(nr_buffers(f), PAGES);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(nr_buffers(f), PAGES);
	machine_verify(f);
	assert_int_equal(mapping_drop_clean(f->t, file->mapping), 2 * PAGES);
	assert_int_equal(nr_buffers(f), 0);
	machine_verify(f);
}

MACHINE_TEST(written, 0);

/* A page changed through a mapping has one from the first store on, a page only read has none. */
static void body_mapped(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 64);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 64, .mapping = file->mapping });
	uint64_t value;

	assert_int_equal(buffer_enable(f->m), 0);
	assert_int_equal(machine_read(f, region, 9, &value), 0);
	assert_int_equal(nr_buffers(f), 0);
	assert_int_equal(machine_write(f, region, 9, 77), 0);
	assert_int_equal(nr_buffers(f), 1);
	assert_int_equal(machine_write(f, region, 50, 78), 0);
	assert_int_equal(machine_write(f, region, 50, 79), 0);
	assert_int_equal(nr_buffers(f), 2);
	machine_verify(f);
	machine_region_end(f, region);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(nr_buffers(f), 0);
}

MACHINE_TEST(mapped, 0);

static uint32_t get_target(struct task *t, void *arg)
{
	(void)arg;
	return alloc_page(t, GFP_HIGHUSER_MOVABLE);
}

static void put_target(struct task *t, void *arg, uint32_t pfn)
{
	(void)arg;
	page_put(t, machine_page(t->machine, pfn));
}

/* A page that moves to another frame takes its buffer head along. */
static void body_moved(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	struct migrate_control control = { .mode = MIGRATE_SYNC,
					   .get_target = get_target,
					   .put_target = put_target };
	struct list list = { PFN_NONE, PFN_NONE };

	assert_int_equal(buffer_enable(f->m), 0);
	assert_int_equal(machine_file_write(f, file, 3, 5), 0);
	uint32_t before = (uint32_t)(machine_file_page(f, file, 3) - f->m->pages);

	lru_drain_all(f->t);
	assert_true(lru_isolate_page(f->t, machine_page(f->m, before)));
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ISOLATED_FILE, 1);
	cpu_unpin(f->t);
	list_add_tail(f->m->pages, &list, before);
	assert_int_equal(migrate_pages(f->t, &list, &control), 0);
	uint32_t after = (uint32_t)(machine_file_page(f, file, 3) - f->m->pages);

	assert_int_not_equal(after, before);
	assert_false(buffer_has(f->m, before));
	assert_true(buffer_has(f->m, after));
	assert_int_equal(nr_buffers(f), 1);
	machine_verify(f);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(nr_buffers(f), 0);
}

MACHINE_TEST(moved, 0);

/* Without memory for it a page is written all the same. */
static void body_no_memory(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	uint64_t value;

	assert_int_equal(buffer_enable(f->m), 0);
	assert_int_equal(machine_file_read(f, file, 3, &value), 0);
	f->m->inject[INJECT_SLAB] = 1;
	assert_int_equal(machine_file_write(f, file, 3, 5), 0);
	f->m->inject[INJECT_SLAB] = 0;
	assert_int_equal(nr_buffers(f), 0);
	assert_int_equal(machine_file_write(f, file, 3, 6), 0);
	assert_int_equal(nr_buffers(f), 1);
	machine_verify(f);
	assert_int_equal(machine_file_end(f, file), 0);
	assert_int_equal(machine_file_stored(file, 3), 6);
	assert_int_equal(nr_buffers(f), 0);
}

MACHINE_TEST(no_memory, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
