/*
 * Page migration: every kind of page, every way to fail, and interleavings with faults,
 * pins, zaps and reclaim.
 *
 *   isolate ── migrate_pages ── moved: same contents, other frame
 *                          └─── not moved: same contents, same frame, put back
 *
 * The targets of these tests come from a small stock of frames, so that what was asked
 * for and given back can be counted.
 *
 * What must never happen here: a page compared with itself. Contents are read through
 * the page tables, or from the store, after the move.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/migrate.h"
#include "core/space.h"

#define STOCK_MAX 64u

/* Targets, and how they were used. */
struct stock {
	struct machine_fixture *f;
	uint32_t pfn[STOCK_MAX];
	uint32_t nr;
	uint32_t given, returned;
};

static uint32_t stock_get(struct task *t, void *arg)
{
	struct stock *stock = arg;

	(void)t;
	if (stock->nr == 0)
		return PFN_NONE;
	stock->given++;
	return stock->pfn[--stock->nr];
}

static void stock_put(struct task *t, void *arg, uint32_t pfn)
{
	struct stock *stock = arg;
	const struct page *page = machine_page(t->machine, pfn);

	/* As it was given, but for who has found it by an old entry. */
	assert_true(page_refs(page) >= 1);
	assert_int_equal(page_flags(page) & PG_FLAG_MASK, 0);
	stock->pfn[stock->nr++] = pfn;
	stock->returned++;
}

static void stock_fill(struct stock *stock, struct machine_fixture *f, uint32_t nr)
{
	memset(stock, 0, sizeof(*stock));
	stock->f = f;
	for (uint32_t i = 0; i < nr; i++) {
		stock->pfn[i] = alloc_page(f->t, GFP_BIT_MOVABLE | GFP_BIT_NOWARN);
		assert_int_not_equal(stock->pfn[i], PFN_NONE);
	}
	stock->nr = nr;
}

static void stock_empty(struct stock *stock)
{
	while (stock->nr > 0)
		page_put(stock->f->t, machine_page(stock->f->m, stock->pfn[--stock->nr]));
}

/* Takes a page off its list. => false if somebody else has it */
static bool isolate(struct task *t, struct page *page, struct list *list)
{
	struct neap_machine *m = t->machine;

	if (!lru_isolate_page(t, page))
		return false;
	cpu_pin(t);
	node_stat_add(t, page_node(m, page),
		      page_is_file_lru(page) ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, 1);
	cpu_unpin(t);
	list_add_tail(m->pages, list, (uint32_t)(page - m->pages));
	return true;
}

static struct migrate_control control_of(struct stock *stock, enum migrate_mode mode)
{
	return (struct migrate_control){
		.mode = mode, .get_target = stock_get, .put_target = stock_put, .arg = stock
	};
}

/* Migrates one page with a fresh target. => migrate_pages()'s result; what is left is put back */
static int migrate_one(struct machine_fixture *f, struct page *page, enum migrate_mode mode,
		       struct stock *stock)
{
	struct list list = { PFN_NONE, PFN_NONE };

	stock_fill(stock, f, 1);
	lru_drain_all(f->t);
	assert_true(isolate(f->t, page, &list));
	struct migrate_control control = control_of(stock, mode);
	int err = migrate_pages(f->t, &list, &control);

	migrate_putback(f->t, &list);
	assert_int_equal(stock->given, stock->returned + (uint32_t)control.nr_moved);
	stock_empty(stock);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_ANON), 0);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_FILE), 0);
	return err;
}

static struct hw_entry entry_of(struct machine_fixture *f, struct region *region, uint64_t page)
{
	struct hw_entry entry = { .vpn = region->start_vpn + page };

	f->hw->ops->get(region->space->hw, &entry);
	return entry;
}

/* ---- anonymous pages ---- */

static void body_anon(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 16);
	struct stock stock;

	machine_fill(f, region, 0, 16);
	machine_age(f, region, 3, 1);
	for (uint64_t i = 0; i < 16; i++) {
		struct page *page = machine_page_at(f, region, i);
		struct hw_entry before = entry_of(f, region, i);

		assert_int_equal(migrate_one(f, page, MIGRATE_ASYNC, &stock), 0);
		struct hw_entry after = entry_of(f, region, i);

		/* Another frame, the same rights and bits. */
		assert_int_not_equal(before.pfn, after.pfn);
		assert_int_equal(before.flags, after.flags);
		assert_int_equal(stock.given, 1);
		assert_int_equal(page_refs(page), 0);
		assert_true(page_test(machine_page_at(f, region, i), PG_LRU));
	}
	assert_int_equal(machine_events(f, EV_PGMIGRATE_SUCCESS), 16);
	assert_int_equal(machine_events(f, EV_PGMIGRATE_FAIL), 0);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), 16);
	machine_check(f, region, 0, 16);
}

MACHINE_TEST(anon, .real = true);

static void body_flags(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 2);
	const uint64_t kept =
		PG_REFERENCED | PG_WORKINGSET | PG_ACTIVE | PG_UPTODATE | PG_ANON | PG_SWAPBACKED;
	struct stock stock;

	machine_fill(f, region, 0, 2);
	lru_drain_all(f->t);
	struct page *page = machine_page_at(f, region, 0);

	lru_activate(f->t, page);
	page_set(page, PG_REFERENCED | PG_WORKINGSET);
	lru_drain_all(f->t);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 1);
	assert_int_equal(migrate_one(f, page, MIGRATE_SYNC, &stock), 0);
	page = machine_page_at(f, region, 0);
	assert_int_equal(page_flags(page) & kept, kept);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 1);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 1);
}

MACHINE_TEST(flags, .real = true);

static void body_mlocked(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4, .flags = REGION_LOCKED });
	struct stock stock;

	machine_fill(f, region, 0, 4);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), 4);
	struct page *page = machine_page_at(f, region, 1);

	assert_int_equal(migrate_one(f, page, MIGRATE_ASYNC, &stock), 0);
	page = machine_page_at(f, region, 1);
	assert_true(page_test(page, PG_MLOCKED) && page_test(page, PG_UNEVICTABLE));
	assert_int_equal(machine_zone_count(f, NR_MLOCK), 4);
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), 4);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(mlocked, .real = true);

static void body_swap_cache(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 8);
	struct stock stock;

	machine_fill(f, region, 0, 8);
	machine_swap_out(f, region, 0, 8);
	/* Read back: the page stays in the swap cache; with an entry, and without. */
	machine_check(f, region, 0, 1);
	machine_settle(f);
	struct page *page = machine_page_at(f, region, 0);
	uint32_t pfn = (uint32_t)(page - f->m->pages);
	uint32_t slot = f->m->slot_of[pfn];

	assert_true(page_test(page, PG_SWAPCACHE));
	assert_int_equal(migrate_one(f, page, MIGRATE_SYNC_LIGHT, &stock), 0);
	assert_false(page_test(machine_page(f->m, pfn), PG_SWAPCACHE));
	struct page *moved = machine_page_at(f, region, 0);

	assert_ptr_not_equal(moved, page);
	assert_true(page_test(moved, PG_SWAPCACHE));
	assert_int_equal(f->m->slot_of[moved - f->m->pages], slot);
	uint32_t found = swap_cache_find(f->t, slot);

	assert_int_equal(found, (uint32_t)(moved - f->m->pages));
	page_put(f->t, moved);
	/* Its neighbours were read ahead and nothing maps them. */
	uint32_t word = machine_swap_at(f, region, 1);
	uint32_t neighbour = swap_cache_find(f->t, word);

	assert_int_not_equal(neighbour, PFN_NONE);
	page_put(f->t, machine_page(f->m, neighbour));
	assert_int_equal(migrate_one(f, machine_page(f->m, neighbour), MIGRATE_ASYNC, &stock), 0);
	found = swap_cache_find(f->t, word);
	assert_int_not_equal(found, PFN_NONE);
	assert_int_not_equal(found, neighbour);
	page_put(f->t, machine_page(f->m, found));
	machine_verify(f);
	machine_check(f, region, 0, 8);
}

MACHINE_TEST(swap_cache, .real = true, .swap_pages = 256);

/* ---- file pages ---- */

static void body_file(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 8);
	struct region *a = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 8, .mapping = file->mapping });
	struct region *b = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4, .mapping = file->mapping });
	struct stock stock;
	uint64_t value;

	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(machine_read(f, a, i, &value), 0);
	assert_int_equal(machine_read(f, b, 2, &value), 0);
	assert_int_equal(machine_write(f, a, 5, machine_file_value(5, 1)), 0);
	machine_settle(f);
	for (uint64_t i = 0; i < 8; i++) {
		struct page *page = machine_file_page(f, file, i);
		bool dirty = page_test(page, PG_DIRTY);

		assert_int_equal(migrate_one(f, page, MIGRATE_ASYNC, &stock), 0);
		struct page *moved = machine_file_page(f, file, i);

		assert_ptr_not_equal(moved, page);
		assert_int_equal(page_test(moved, PG_DIRTY), dirty);
		assert_ptr_equal(machine_page_at(f, a, i), moved);
		if (i == 2)
			assert_ptr_equal(machine_page_at(f, b, 2), moved);
	}
	machine_verify(f);
	assert_int_equal(machine_node_count(f, NR_MAPPED), 8);
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(machine_file_stored(file, i), machine_file_value(i, i == 5));
	assert_int_equal(mapping_drop_clean(f->t, file->mapping), 0); /* all are mapped */
}

MACHINE_TEST(file, .real = true);

/* ---- failing ---- */

static void body_pinned(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	struct stock stock;
	uint32_t pfn;

	machine_fill(f, region, 0, 4);
	assert_int_equal(fault_pin(f->t, region, 2, true, &pfn), 0);
	struct page *page = machine_page(f->m, pfn);
	struct hw_entry before = entry_of(f, region, 2);

	assert_int_equal(migrate_one(f, page, MIGRATE_SYNC, &stock), 1);
	struct hw_entry after = entry_of(f, region, 2);

	/* Ten attempts, ten targets, and everything as it was. */
	assert_int_equal(stock.given, 10);
	assert_int_equal(stock.returned, 10);
	assert_int_equal(before.pfn, after.pfn);
	assert_int_equal(before.flags, after.flags);
	assert_true(page_test(page, PG_LRU));
	assert_int_equal(machine_events(f, EV_PGMIGRATE_FAIL), 1);
	fault_unpin(f->t, page, false);
	assert_int_equal(migrate_one(f, page, MIGRATE_SYNC, &stock), 0);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(pinned, .real = true);

static void body_locked(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	struct stock stock;

	machine_fill(f, region, 0, 4);
	struct page *page = machine_page_at(f, region, 0);

	page_lock(f->t, page);
	assert_int_equal(migrate_one(f, page, MIGRATE_ASYNC, &stock), 1);
	assert_int_equal(stock.given, 10);
	/* A reclaimer does not sleep for it either. */
	f->t->flags |= PF_MEMALLOC;
	assert_int_equal(migrate_one(f, page, MIGRATE_SYNC_LIGHT, &stock), 1);
	f->t->flags &= ~PF_MEMALLOC;
	page_unlock(f->t, page);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(locked, .real = true);

static int unlock_later(struct task *t, void *arg)
{
	struct page *page = arg;

	page_lock(t, page);
	rt_sleep(t, 10 * NSEC_PER_MSEC);
	page_unlock(t, page);
	return 0;
}

static void body_sleeps_for_lock(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	struct stock stock;
	struct task *other;

	machine_fill(f, region, 0, 4);
	struct page *page = machine_page_at(f, region, 0);
	struct task_spec spec = { .name = "holder", .fn = unlock_later, .arg = page };

	assert_int_equal(rt_spawn(f->t, &spec, &other), 0);
	while (!page_test(page, PG_LOCKED))
		rt_sleep(f->t, 100 * NSEC_PER_USEC);
	uint64_t start_ns = rt_now(f->t);

	assert_int_equal(migrate_one(f, page, MIGRATE_SYNC_LIGHT, &stock), 0);
	assert_true(rt_now(f->t) - start_ns > 5 * NSEC_PER_MSEC);
	assert_int_equal(stock.given, 4); /* three relaxed passes, then the one that slept */
	rt_join(f->t, other);
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(sleeps_for_lock, .real = true);

static void body_writeback(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	struct stock stock;

	assert_int_equal(machine_file_write(f, file, 1, machine_file_value(1, 1)), 0);
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, file, 1);

	assert_int_equal(mapping_write_dirty(f->t, file->mapping, 1), 1);
	assert_true(page_test(page, PG_WRITEBACK));
	/* Busy is final for those who do not wait: one attempt. */
	assert_int_equal(migrate_one(f, page, MIGRATE_ASYNC, &stock), 1);
	assert_int_equal(stock.given, 1);
	if (page_test(page, PG_WRITEBACK)) {
		assert_int_equal(migrate_one(f, page, MIGRATE_SYNC, &stock), 0);
		assert_ptr_not_equal(machine_file_page(f, file, 1), page);
	}
	assert_int_equal(mapping_sync(f->t, file->mapping), 0);
	assert_int_equal(machine_file_stored(file, 1), machine_file_value(1, 1));
}

MACHINE_TEST(writeback, .real = true);

static void body_freed_meanwhile(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	struct list list = { PFN_NONE, PFN_NONE };
	struct stock stock;

	machine_fill(f, region, 0, 4);
	lru_drain_all(f->t);
	stock_fill(&stock, f, 1);
	assert_true(isolate(f->t, machine_page_at(f, region, 0), &list));
	assert_int_equal(region_zap(f->t, region, 0, 1), 1);
	struct migrate_control control = control_of(&stock, MIGRATE_ASYNC);

	/* Counted as moved, without a target. */
	assert_int_equal(migrate_pages(f->t, &list, &control), 0);
	assert_int_equal(control.nr_moved, 1);
	assert_int_equal(stock.given, 0);
	assert_true(list_empty(&list));
	stock_empty(&stock);
}

MACHINE_TEST(freed_meanwhile, .real = true);

static void body_no_target(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 8);
	struct list list = { PFN_NONE, PFN_NONE };
	struct stock stock;

	machine_fill(f, region, 0, 8);
	lru_drain_all(f->t);
	stock_fill(&stock, f, 1);
	for (uint64_t i = 0; i < 8; i++)
		assert_true(isolate(f->t, machine_page_at(f, region, i), &list));
	struct migrate_control control = control_of(&stock, MIGRATE_ASYNC);

	/* The page that got no target is a failure; those behind it were not tried. */
	assert_int_equal(migrate_pages(f->t, &list, &control), -ENOMEM);
	assert_int_equal(control.nr_moved, 1);
	assert_int_equal(control.nr_failed, 1);
	assert_int_equal(machine_events(f, EV_PGMIGRATE_FAIL), 1);
	migrate_putback(f->t, &list);
	assert_true(list_empty(&list));
	machine_check(f, region, 0, 8);
}

MACHINE_TEST(no_target, .real = true);

/* ---- movable blocks ---- */

/* A driver with one page. */
static struct {
	uint32_t pfn;
	bool refuse;
	int err;
	uint32_t isolated, moved, put;
} driver;

static bool driver_isolate(struct task *t, struct page *page, enum migrate_mode mode)
{
	(void)mode;
	assert_true(page_test(page, PG_LOCKED));
	assert_int_equal((uint32_t)(page - t->machine->pages), driver.pfn);
	driver.isolated += driver.refuse ? 0 : 1;
	return !driver.refuse;
}

static int driver_migrate(struct task *t, struct page *to, struct page *from,
			  enum migrate_mode mode)
{
	struct neap_machine *m = t->machine;

	(void)mode;
	assert_true(page_test(to, PG_LOCKED) && page_test(from, PG_LOCKED));
	if (driver.err != 0)
		return driver.err;
	m->hw->ops->copy(m->hw, (uint32_t)(to - m->pages), (uint32_t)(from - m->pages));
	driver.pfn = (uint32_t)(to - m->pages);
	driver.moved++;
	return 0;
}

static void driver_putback(struct task *t, struct page *page)
{
	(void)t;
	assert_true(page_test(page, PG_LOCKED));
	driver.put++;
}

static const struct movable_ops driver_ops = { driver_isolate, driver_migrate, driver_putback };

static struct page *driver_start(struct machine_fixture *f)
{
	memset(&driver, 0, sizeof(driver));
	driver.pfn = alloc_page(f->t, GFP_HIGHUSER_MOVABLE);
	struct page *page = machine_page(f->m, driver.pfn);

	page_set(page, PG_KERNEL);
	migrate_set_movable(page, migrate_register(f->m, &driver_ops));
	*(uint64_t *)f->hw->ops->window(f->hw, driver.pfn) = 4711;
	return page;
}

static void driver_end(struct machine_fixture *f)
{
	struct page *page = machine_page(f->m, driver.pfn);

	page_lock(f->t, page);
	migrate_clear_movable(page);
	page_clear(page, PG_KERNEL);
	page_unlock(f->t, page);
	page_put(f->t, page);
}

static int migrate_driver(struct machine_fixture *f, struct stock *stock)
{
	struct list list = { driver.pfn, driver.pfn };
	struct migrate_control control = control_of(stock, MIGRATE_SYNC);

	stock_fill(stock, f, 1);
	int err = migrate_pages(f->t, &list, &control);

	migrate_putback(f->t, &list);
	stock_empty(stock);
	return err;
}

static void body_movable(struct machine_fixture *f)
{
	struct page *page = driver_start(f);
	struct stock stock;

	assert_true(migrate_isolate_movable(f->t, page, MIGRATE_SYNC));
	assert_false(migrate_isolate_movable(f->t, page, MIGRATE_SYNC)); /* has it already */
	assert_int_equal(migrate_driver(f, &stock), 0);
	assert_int_equal(driver.moved, 1);
	assert_ptr_not_equal(machine_page(f->m, driver.pfn), page);
	assert_int_equal(page_refs(page), 0);
	assert_int_equal(*(uint64_t *)f->hw->ops->window(f->hw, driver.pfn), 4711);
	page = machine_page(f->m, driver.pfn);
	assert_int_equal(page_refs(page), 1);
	driver.refuse = true;
	assert_false(migrate_isolate_movable(f->t, page, MIGRATE_SYNC));
	driver.refuse = false;
	driver.err = -EAGAIN;
	assert_true(migrate_isolate_movable(f->t, page, MIGRATE_SYNC));
	assert_int_equal(migrate_driver(f, &stock), 1);
	assert_int_equal(stock.given, 10);
	assert_int_equal(driver.put, 1);
	assert_int_equal(page_refs(page), 1);
	machine_verify(f);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_ANON), 0);
	driver_end(f);
}

MACHINE_TEST(movable, .real = true);

static void body_movable_given_up(struct machine_fixture *f)
{
	struct page *page = driver_start(f);
	struct stock stock;

	assert_true(migrate_isolate_movable(f->t, page, MIGRATE_SYNC));
	driver_end(f);
	assert_int_equal(page_refs(page), 1);
	/* The driver freed it: as good as moved, and it is never asked again. */
	assert_int_equal(migrate_driver(f, &stock), 0);
	assert_int_equal(driver.moved + driver.put, 0);
	assert_int_equal(page_refs(page), 0);
	assert_int_equal(page_flags(page) & PG_MOVABLE, 0);
}

MACHINE_TEST(movable_given_up, .real = true);

/* ---- interleavings ---- */

#define WORLD_PAGES 24u
#define WORLD_OWNED 8u /* pages of the region that one toucher owns */

/* What the tasks of one run share. */
struct world {
	struct machine_fixture *f;
	struct region *region;
	struct region *view; /* of a file */
	struct fixture_file *file;
	_Atomic uint32_t migrated, refused;
	uint64_t seed;
};

struct worker {
	struct world *world;
	uint32_t index;
};

static int migrator(struct task *t, void *arg)
{
	struct world *world = ((struct worker *)arg)->world;
	struct machine_fixture *f = world->f;
	struct rng rng;

	t->machine = f->m;
	rng_seed(&rng, world->seed * 7 + 1);
	for (uint32_t round = 0; round < 24; round++) {
		struct list list = { PFN_NONE, PFN_NONE };
		struct stock *stock = calloc(1, sizeof(*stock));
		enum migrate_mode mode = (enum migrate_mode)rng_below(&rng, 3);

		assert_non_null(stock);
		for (uint32_t i = 0; i < 4; i++) {
			struct region *region =
				rng_below(&rng, 3) == 0 ? world->view : world->region;
			struct page *page =
				machine_page_at(f, region, rng_below(&rng, WORLD_PAGES));

			if (page != NULL && (uint32_t)(page - f->m->pages) != f->m->zero_pfn)
				isolate(t, page, &list);
		}
		for (uint32_t i = 0; i < 4; i++) {
			uint32_t pfn = alloc_page(t, GFP_BIT_MOVABLE | GFP_BIT_NOWARN);

			if (pfn != PFN_NONE)
				stock->pfn[stock->nr++] = pfn;
		}
		struct migrate_control control = control_of(stock, mode);
		int err = migrate_pages(t, &list, &control);

		atomic_fetch_add(&world->migrated, (uint32_t)control.nr_moved);
		atomic_fetch_add(&world->refused, err != 0 ? 1 : 0);
		migrate_putback(t, &list);
		while (stock->nr > 0)
			page_put(t, machine_page(f->m, stock->pfn[--stock->nr]));
		free(stock);
		lru_drain(t);
		rt_preempt(t);
	}
	return 0;
}

/* Writes versions into its own pages and expects to find the last one. */
static int toucher(struct task *t, void *arg)
{
	const struct worker *worker = arg;
	struct world *world = worker->world;
	uint64_t version[WORLD_OWNED] = { 0 };
	struct rng rng;

	t->machine = world->f->m;
	rng_seed(&rng, world->seed * 31 + worker->index);
	for (uint32_t step = 0; step < 160; step++) {
		uint32_t i = (uint32_t)rng_below(&rng, WORLD_OWNED);
		uint64_t page = worker->index * WORLD_OWNED + i;
		uint64_t value;
		uint32_t pfn;

		switch (rng_below(&rng, 8)) {
		case 0: /* zap: zeroes afterwards */
			region_zap(t, world->region, page, 1);
			version[i] = 0;
			break;
		case 1: /* pin, look, unpin */
			assert_int_equal(fault_pin(t, world->region, page, true, &pfn), 0);
			rt_preempt(t);
			/* Perhaps unmapped for the moment of an attempt, but never elsewhere. */
			if (machine_page_at(world->f, world->region, page) != NULL)
				assert_ptr_equal(machine_page_at(world->f, world->region, page),
						 machine_page(world->f->m, pfn));
			fault_unpin(t, machine_page(world->f->m, pfn), false);
			break;
		case 2:
		case 3:
		case 4:
			version[i] = step + 1;
			value = machine_value(world->region, page, version[i]);
			assert_int_equal(task_write(t, world->region, page, value), 0);
			break;
		case 5:
			assert_int_equal(task_read(t, world->view, page, &value), 0);
			if (value != machine_file_value(page, 0))
				fail_msg("seed %llu: file page %llu",
					 (unsigned long long)world->seed, (unsigned long long)page);
			break;
		default:
			assert_int_equal(task_read(t, world->region, page, &value), 0);
			if (value !=
			    (version[i] == 0 ? 0 : machine_value(world->region, page, version[i])))
				fail_msg("seed %llu: page %llu, step %u",
					 (unsigned long long)world->seed, (unsigned long long)page,
					 step);
		}
	}
	return 0;
}

/* Reclaims pages at random: they go to swap, or leave the cache. */
static int reclaimer(struct task *t, void *arg)
{
	struct world *world = ((struct worker *)arg)->world;
	struct machine_fixture *f = world->f;
	struct rng rng;

	t->machine = f->m;
	rng_seed(&rng, world->seed * 13 + 5);
	for (uint32_t round = 0; round < 24; round++) {
		struct list list = { PFN_NONE, PFN_NONE };

		for (uint32_t i = 0; i < 3; i++) {
			struct page *page = machine_page_at(
				f, rng_below(&rng, 3) == 0 ? world->view : world->region,
				rng_below(&rng, WORLD_PAGES));

			if (page != NULL && (uint32_t)(page - f->m->pages) != f->m->zero_pfn &&
			    lru_isolate_page(t, page))
				list_add_tail(f->m->pages, &list, (uint32_t)(page - f->m->pages));
		}
		reclaim_pages(t, f->node, &list);
		rt_preempt(t);
	}
	return 0;
}

static uint64_t world_seed;
static uint64_t world_migrated, world_refused;

static void body_world(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, WORLD_PAGES);
	struct world world = { .f = f, .file = file, .seed = world_seed };
	struct worker worker[6];
	struct task *task[6];
	static int (*const job[6])(struct task *, void *) = { toucher,	toucher,   toucher,
							      migrator, reclaimer, migrator };

	world.region = machine_region(f, WORLD_PAGES);
	world.view = machine_region_spec(f, &(struct region_spec){ .nr_pages = WORLD_PAGES,
								   .mapping = file->mapping });
	for (uint32_t i = 0; i < 6; i++) {
		struct task_spec spec = { .name = "worker", .fn = job[i], .arg = &worker[i] };

		worker[i] = (struct worker){ &world, i };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < 6; i++)
		rt_join(f->t, task[i]);
	machine_settle(f);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_ANON), 0);
	assert_int_equal(machine_node_count(f, NR_ISOLATED_FILE), 0);
	machine_verify(f);
	/* A zap that met a locked page of the swap cache left it to reclaim. */
	machine_region_end_cached(f, world.region);
	world_migrated += atomic_load(&world.migrated);
	world_refused += atomic_load(&world.refused);
}

static void test_world(void **state)
{
	uint64_t first = machine_seed();
	const char *count = getenv("NEAP_SEEDS");
	uint64_t nr = count != NULL ? strtoull(count, NULL, 10) : 60;

	(void)state;
	world_migrated = 0;
	world_refused = 0;
	for (world_seed = first; world_seed < first + nr; world_seed++)
		machine_run(&(struct machine_setup){ .pages = 512,
						     .nr_cpus = 3,
						     .swap_pages = 128,
						     .seed = world_seed,
						     .real = world_seed % 2 == 0,
						     .swap_synchronous = world_seed % 4 < 2,
						     .explore = true },
			    body_world);
	print_message("%llu interleavings: %llu pages moved, %llu calls that left some\n",
		      (unsigned long long)nr, (unsigned long long)world_migrated,
		      (unsigned long long)world_refused);
	assert_true(world_migrated > nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anon),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_mlocked),
		cmocka_unit_test(test_swap_cache),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_sleeps_for_lock),
		cmocka_unit_test(test_writeback),
		cmocka_unit_test(test_freed_meanwhile),
		cmocka_unit_test(test_no_target),
		cmocka_unit_test(test_movable),
		cmocka_unit_test(test_movable_given_up),
		cmocka_unit_test(test_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
