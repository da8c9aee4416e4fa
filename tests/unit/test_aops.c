/*
 * The table of address-space operations (core/aops.h): which one a page has in each
 * state of its life, and that the engine goes through the table of the mapping at hand.
 *
 *   file page ── aops_file or what its mapping says      anon ──slot──> aops_swap ──> anon
 *
 * The second half puts a table of its own into a mapping: each function counts, and does
 * what the file's does. A caller that went past the table would leave a zero.
 */
#include "machine_fixture.h"

#include "core/advice.h"
#include "core/aops.h"
#include "core/migrate.h"
#include "core/rmap.h"
#include "core/sysctl.h"

/* ---- which table ---- */

static void body_lookup(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 2);
	struct fixture_file *file = machine_file(f, 2);
	uint64_t value;

	machine_fill(f, region, 0, 2);
	lru_drain_all(f->t);
	struct page *page = machine_page_at(f, region, 0);

	assert_ptr_equal(page_aops(f->m, page), &aops_anon);
	assert_null(aops_anon.write_page);
	page_lock(f->t, page);
	assert_true(swap_cache_add_new(f->t, page));
	assert_ptr_equal(page_aops(f->m, page), &aops_swap);
	assert_true(swap_cache_try_free(f->t, page));
	page_unlock(f->t, page);
	assert_ptr_equal(page_aops(f->m, page), &aops_anon);
	assert_int_equal(advice_free(f->t, region, 0, 1), 0);
	lru_drain_all(f->t);
	assert_ptr_equal(page_aops(f->m, page), &aops_anon);
	assert_int_equal(machine_file_read(f, file, 0, &value), 0);
	assert_ptr_equal(page_aops(f->m, machine_file_page(f, file, 0)), &aops_file);
	assert_ptr_equal(file->mapping->ops, &aops_file);
}

MACHINE_TEST(lookup, .swap_pages = 256);

/* What each cache holds on a page is what reclaim takes off. */
static void body_references(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 1);
	struct fixture_file *file = machine_file(f, 1);
	uint64_t value;

	machine_fill(f, region, 0, 1);
	assert_int_equal(machine_file_read(f, file, 0, &value), 0);
	lru_drain_all(f->t);
	struct page *page = machine_page_at(f, region, 0);

	assert_int_equal(page_refs(page), page_maps(page) + aops_anon.cache_refs);
	page_lock(f->t, page);
	assert_true(swap_cache_add_new(f->t, page));
	assert_int_equal(page_refs(page), page_maps(page) + aops_swap.cache_refs);
	swap_cache_try_free(f->t, page);
	page_unlock(f->t, page);
	page = machine_file_page(f, file, 0);
	assert_int_equal(page_refs(page), aops_file.cache_refs);
}

MACHINE_TEST(references, .swap_pages = 256);

/* ---- a table of one's own ---- */

static struct calls {
	uint32_t write_page, set_dirty, migratepage, free_page;
	uint32_t read_page, read_ahead, write_begin, write_end, write_pages, invalidate;
} calls;

static bool count_write_page(struct task *t, struct page *page)
{
	calls.write_page++;
	return aops_file.write_page(t, page);
}

static void count_set_dirty(struct task *t, struct page *page)
{
	calls.set_dirty++;
	aops_file.set_dirty(t, page);
}

static bool count_migrate_page(struct task *t, struct page *from, struct page *to)
{
	calls.migratepage++;
	return aops_file.migratepage(t, from, to);
}

static void count_free_page(struct task *t, struct page *page, struct node *node)
{
	calls.free_page++;
	aops_file.free_page(t, page, node);
}

static int count_read_page(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
			   uint32_t *pfn)
{
	calls.read_page++;
	return aops_file.read_page(t, mapping, index, flags, pfn);
}

static void count_read_ahead(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr)
{
	calls.read_ahead++;
	aops_file.read_ahead(t, mapping, first, nr);
}

static int count_write_begin(struct task *t, struct mapping *mapping, uint64_t index,
			     uint32_t flags, uint32_t *pfn)
{
	calls.write_begin++;
	return aops_file.write_begin(t, mapping, index, flags, pfn);
}

static void count_write_end(struct task *t, struct mapping *mapping, uint32_t pfn, bool written)
{
	calls.write_end++;
	aops_file.write_end(t, mapping, pfn, written);
}

static uint64_t count_write_pages(struct task *t, struct mapping *mapping, uint64_t nr)
{
	calls.write_pages++;
	return aops_file.write_pages(t, mapping, nr);
}

static uint64_t count_invalidate(struct task *t, struct mapping *mapping)
{
	calls.invalidate++;
	return aops_file.invalidate(t, mapping);
}

static const struct aops counting = {
	.name = "counting",
	.cache_refs = 1,
	.write_page = count_write_page,
	.set_dirty = count_set_dirty,
	.migratepage = count_migrate_page,
	.free_page = count_free_page,
	.read_page = count_read_page,
	.read_ahead = count_read_ahead,
	.write_begin = count_write_begin,
	.write_end = count_write_end,
	.write_pages = count_write_pages,
	.invalidate = count_invalidate,
};

static uint32_t get_target(struct task *t, void *arg)
{
	(void)arg;
	return alloc_page(t, GFP_BIT_MOVABLE | GFP_BIT_NOWARN);
}

static void put_target(struct task *t, void *arg, uint32_t pfn)
{
	(void)arg;
	page_put(t, machine_page(t->machine, pfn));
}

static void move(struct machine_fixture *f, struct page *page)
{
	struct migrate_control control = { .mode = MIGRATE_SYNC,
					   .get_target = get_target,
					   .put_target = put_target };
	struct list list = { PFN_NONE, PFN_NONE };

	lru_drain_all(f->t);
	assert_true(lru_isolate_page(f->t, page));
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ISOLATED_FILE, 1);
	cpu_unpin(f->t);
	list_add_tail(f->m->pages, &list, (uint32_t)(page - f->m->pages));
	assert_int_equal(migrate_pages(f->t, &list, &control), 0);
	assert_int_equal(control.nr_moved, 1);
}

/* An old page of the file, dirty as asked, mapped by nobody, on the inactive list. */
static struct page *old_page(struct machine_fixture *f, struct fixture_file *file, uint64_t index,
			     bool dirty)
{
	uint64_t value = 7;

	if (dirty)
		assert_int_equal(machine_file_write(f, file, index, value), 0);
	else
		assert_int_equal(machine_file_read(f, file, index, &value), 0);
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, file, index);

	page_clear(page, PG_REFERENCED);
	return page;
}

static void body_counting(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 64);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 64, .mapping = file->mapping });
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	uint64_t value;

	calls = (struct calls){ 0 };
	file->mapping->ops = &counting;
	/* A fault reads; advice reads ahead. */
	assert_int_equal(machine_read(f, region, 0, &value), 0);
	assert_int_equal(value, machine_file_value(0, 0));
	assert_true(calls.read_page >= 1);
	assert_int_equal(advice_willneed(f->t, region, 32, 32), 0);
	machine_settle(f);
	assert_int_equal(calls.read_ahead, 1);
	/* An entry that was written through makes the page dirty when it goes. */
	region_zap(f->t, region, 0, 64);
	assert_int_equal(machine_read(f, region, 5, &value), 0);
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, file, 5);

	page_lock(f->t, page);
	page_aops(f->m, page)->set_dirty(f->t, page);
	rmap_write_protect(f->t, page);
	page_unlock(f->t, page);
	assert_int_equal(calls.set_dirty, 1);
	region_zap(f->t, region, 0, 64);
	/* Reclaim frees a clean page, and kswapd writes a dirty one at its second look. */
	page = old_page(f, file, 40, false);
	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 1);
	assert_int_equal(calls.free_page, 1);
	page = old_page(f, file, 41, true);
	page_set(page, PG_RECLAIM);
	atomic_fetch_or(&f->node->flags, NODE_FLAG_DIRTY);
	sc.is_kswapd = true;
	machine_reclaim(f, &sc, &stat, &page, 1);
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_DIRTY);
	assert_int_equal(calls.write_page, 1);
	machine_settle(f);
	assert_int_equal(machine_file_stored(file, 41), 7);
	/* The flusher, drop_caches, and a page that is moved. */
	assert_int_equal(machine_file_write(f, file, 3, 9), 0);
	assert_int_equal(sysctl_write(f->t, f->m, "drop_caches", "1", 1), 1);
	assert_true(calls.invalidate >= 1);
	uint32_t written = calls.write_pages;

	assert_int_equal(sysctl_write(f->t, f->m, "dirty_background_bytes", "4096", 4), 4);
	for (uint64_t index = 8; index < 32; index++)
		assert_int_equal(machine_file_write(f, file, index, index), 0);
	rt_sleep(f->t, 20 * NSEC_PER_SEC);
	rt_sleep(f->t, 40 * NSEC_PER_SEC);
	assert_true(calls.write_pages > written);
	machine_settle(f);
	move(f, machine_file_page(f, file, 3));
	assert_int_equal(calls.migratepage, 1);
	assert_true(calls.write_begin != 0 && calls.write_begin == calls.write_end);
	assert_int_equal(machine_file_read(f, file, 3, &value), 0);
	assert_int_equal(value, 9);
	file->mapping->ops = &aops_file;
}

MACHINE_TEST(counting, .swap_pages = 256);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
