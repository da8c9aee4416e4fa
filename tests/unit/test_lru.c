/*
 * LRU lists, the per-CPU batches in front of them, isolation and costs: the rules of
 * core/lru.c one by one.
 *
 *   new page ─> batch of 15 ─> head of a list ... tail ─> isolation ─> putback
 *
 * A test looks at three things after each step: the page's flags, the list it is on
 * (walked, not trusted), and the counters. Pages come from real faults, so that their
 * references are what the engine makes them.
 *
 * What must never happen here: a rule that is only checked through a counter. The
 * position on the list is compared, too, because reclaim takes from the tail.
 */
#include "machine_fixture.h"

#include "base/rng.h"

#define LIST_MAX 256u

/* Frames of a list, youngest first. */
static uint32_t walk(struct machine_fixture *f, enum lru_list list, uint32_t *pfns)
{
	uint32_t nr = 0;

	for (uint32_t pfn = f->node->lruvec.list[list].first; pfn != PFN_NONE;
	     pfn = f->m->pages[pfn].next) {
		assert_true(nr < LIST_MAX);
		pfns[nr++] = pfn;
	}
	return nr;
}

static uint32_t pfn_of(struct machine_fixture *f, const struct page *page)
{
	return (uint32_t)(page - f->m->pages);
}

static uint32_t pfn_at(struct machine_fixture *f, struct region *region, uint64_t page)
{
	return pfn_of(f, machine_page_at(f, region, page));
}

static uint32_t batch_size(struct machine_fixture *f, enum lru_batch_kind kind)
{
	return f->m->cpus[task_cpu(f->t)].batch[kind].nr;
}

static void assert_head(struct machine_fixture *f, enum lru_list list, const struct page *page)
{
	assert_int_equal(f->node->lruvec.list[list].first, pfn_of(f, page));
}

static void assert_tail(struct machine_fixture *f, enum lru_list list, const struct page *page)
{
	assert_int_equal(f->node->lruvec.list[list].last, pfn_of(f, page));
}

/* A region of nr pages that are all on the inactive list; page 0 is at its tail. */
static struct region *listed_region(struct machine_fixture *f, uint64_t nr)
{
	struct region *region = machine_region(f, nr);

	machine_fill(f, region, 0, nr);
	lru_drain(f->t);
	return region;
}

/* A file of nr pages that are in the cache and on the inactive list, read once each. */
static struct fixture_file *listed_file(struct machine_fixture *f, uint64_t nr)
{
	struct fixture_file *file = machine_file(f, nr);
	uint64_t value;

	for (uint64_t page = 0; page < nr; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	lru_drain_all(f->t);
	return file;
}

/* ---- batches ---- */

static void body_batch(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 40);

	for (uint64_t page = 0; page < LRU_BATCH_PAGES - 1; page++) {
		assert_int_equal(machine_write(f, region, page, 1), 0);
		struct page *p = machine_page_at(f, region, page);

		assert_int_equal(batch_size(f, BATCH_ADD), page + 1);
		assert_true(page_test(p, PG_BATCH));
		assert_false(page_test(p, PG_LRU));
		assert_int_equal(page_refs(p), 2); /* the entry's and the batch's */
		assert_int_equal(machine_node_count(f, NR_INACTIVE_ANON), 0);
		assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 0);
		assert_false(lru_isolate_page(f->t, p));
	}
	/* The fifteenth makes all of them visible, the last one at the head. */
	assert_int_equal(machine_write(f, region, LRU_BATCH_PAGES - 1, 1), 0);
	assert_int_equal(batch_size(f, BATCH_ADD), 0);
	assert_int_equal(machine_node_count(f, NR_INACTIVE_ANON), LRU_BATCH_PAGES);
	assert_int_equal(machine_zone_count(f, NR_ZONE_INACTIVE_ANON), LRU_BATCH_PAGES);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), LRU_BATCH_PAGES);
	assert_tail(f, LRU_INACTIVE_ANON, machine_page_at(f, region, 0));
	assert_head(f, LRU_INACTIVE_ANON, machine_page_at(f, region, LRU_BATCH_PAGES - 1));
	assert_int_equal(page_refs(machine_page_at(f, region, 3)), 1);
	/* A drain does not wait for a full batch; new pages never start active. */
	assert_int_equal(machine_write(f, region, 20, 1), 0);
	lru_drain(f->t);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), LRU_BATCH_PAGES + 1);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 0);
	assert_head(f, LRU_INACTIVE_ANON, machine_page_at(f, region, 20));
	/* With batching off there is nothing to drain. */
	atomic_store(&f->m->lru_disabled, 1);
	assert_int_equal(machine_write(f, region, 21, 1), 0);
	assert_int_equal(batch_size(f, BATCH_ADD), 0);
	assert_head(f, LRU_INACTIVE_ANON, machine_page_at(f, region, 21));
	atomic_store(&f->m->lru_disabled, 0);
}

MACHINE_TEST(batch, .nr_cpus = 1);

/* A page freed while it waits in a batch is freed by the flush. */
static void body_batch_freed(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);
	uint64_t free_before = machine_zone_count(f, NR_FREE_PAGES);

	machine_fill(f, region, 0, 4);
	struct page *page = machine_page_at(f, region, 0);

	assert_int_equal(region_zap(f->t, region, 0, 4), 4);
	assert_int_equal(page_refs(page), 1);
	assert_true(page_test(page, PG_BATCH));
	lru_drain(f->t);
	assert_int_equal(page_refs(page), 0);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 0);
	(void)free_before;
}

MACHINE_TEST(batch_freed, 0);

/* Another CPU's batch is drained by lru_drain_all() only. */
static int fill_elsewhere(struct task *t, void *arg)
{
	struct region *region = arg;

	for (uint64_t page = 0; page < 5; page++)
		if (task_write(t, region, page, 1) != 0)
			return -1;
	return 0;
}

static int run_on_cpu(struct machine_fixture *f, uint32_t cpu, int (*fn)(struct task *, void *),
		      void *arg)
{
	struct cpumask cpus = { { 0 } };
	struct task *task;

	cpumask_set(&cpus, cpu);
	const struct task_spec spec = { .name = "other", .fn = fn, .arg = arg, .cpus = &cpus };

	assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
	return rt_join(f->t, task);
}

static void body_drain_all(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 8);

	assert_int_equal(run_on_cpu(f, 1, fill_elsewhere, region), 0);
	assert_int_equal(f->m->cpus[1].batch[BATCH_ADD].nr, 5);
	lru_drain(f->t);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 0);
	lru_drain_all(f->t);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 5);
	assert_int_equal(f->m->cpus[1].batch[BATCH_ADD].nr, 0);
}

MACHINE_TEST(drain_all, 0);

/* ---- moves ---- */

static void body_activate(struct machine_fixture *f)
{
	struct region *region = listed_region(f, 10);
	struct page *page = machine_page_at(f, region, 4);
	uint64_t activated = machine_events(f, EV_PGACTIVATE);

	lru_activate(f->t, page);
	assert_false(page_test(page, PG_ACTIVE));
	assert_int_equal(page_refs(page), 2);
	lru_drain(f->t);
	assert_true(page_test(page, PG_ACTIVE));
	assert_true(page_test(page, PG_LRU));
	assert_int_equal(page_refs(page), 1);
	assert_int_equal(machine_events(f, EV_PGACTIVATE), activated + 1);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 1);
	assert_int_equal(machine_node_count(f, NR_ACTIVE_ANON), 1);
	assert_int_equal(machine_node_count(f, NR_INACTIVE_ANON), 9);
	assert_head(f, LRU_ACTIVE_ANON, page);
	lru_activate(f->t, page);
	assert_int_equal(batch_size(f, BATCH_ACTIVATE), 0);

	/* Queued twice, it is moved and counted once. */
	page = machine_page_at(f, region, 5);
	lru_activate(f->t, page);
	lru_activate(f->t, page);
	assert_int_equal(batch_size(f, BATCH_ACTIVATE), 2);
	lru_drain(f->t);
	assert_int_equal(machine_events(f, EV_PGACTIVATE), activated + 2);

	/* Isolated by somebody between queueing and flush: left alone. */
	struct list list = { PFN_NONE, PFN_NONE };

	page = machine_page_at(f, region, 6);
	lru_activate(f->t, page);
	assert_true(lru_isolate_page(f->t, page));
	lru_drain(f->t);
	assert_false(page_test(page, PG_ACTIVE | PG_LRU));
	list_add_head(f->m->pages, &list, pfn_of(f, page));
	lru_putback(f->t, f->node, &list);
	assert_int_equal(machine_events(f, EV_PGACTIVATE), activated + 2);
	assert_head(f, LRU_INACTIVE_ANON, page);
}

MACHINE_TEST(activate, .nr_cpus = 1);

static void body_deactivate(struct machine_fixture *f)
{
	struct region *region = listed_region(f, 6);
	struct page *page = machine_page_at(f, region, 2);
	uint64_t counted = machine_events(f, EV_PGDEACTIVATE);

	lru_deactivate(f->t, page);
	assert_int_equal(batch_size(f, BATCH_DEACTIVATE), 0); /* it is inactive */
	lru_activate(f->t, page);
	lru_drain(f->t);
	page_set(page, PG_REFERENCED);
	lru_deactivate(f->t, page);
	lru_drain(f->t);
	assert_false(page_test(page, PG_ACTIVE | PG_REFERENCED));
	assert_false(page_test(page, PG_WORKINGSET));
	assert_int_equal(machine_events(f, EV_PGDEACTIVATE), counted + 1);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 0);
	assert_head(f, LRU_INACTIVE_ANON, page);
}

MACHINE_TEST(deactivate, .nr_cpus = 1);

static void body_rotate(struct machine_fixture *f)
{
	struct fixture_file *file = listed_file(f, 8);
	struct page *page = machine_file_page(f, file, 5);
	uint64_t rotated = machine_events(f, EV_PGROTATED);

	lru_rotate(f->t, page);
	lru_drain(f->t);
	assert_tail(f, LRU_INACTIVE_FILE, page);
	assert_int_equal(machine_events(f, EV_PGROTATED), rotated + 1);
	/* From the active list it goes to the tail of the inactive one. */
	page = machine_file_page(f, file, 6);
	lru_activate(f->t, page);
	lru_drain(f->t);
	lru_rotate(f->t, page);
	lru_drain(f->t);
	assert_false(page_test(page, PG_ACTIVE));
	assert_tail(f, LRU_INACTIVE_FILE, page);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 0);
	/* Locked or dirty: not now. */
	page = machine_file_page(f, file, 7);
	page_set(page, PG_LOCKED);
	lru_rotate(f->t, page);
	page_clear(page, PG_LOCKED);
	mapping_set_dirty(f->t, page);
	lru_rotate(f->t, page);
	assert_int_equal(batch_size(f, BATCH_ROTATE), 0);
	assert_int_equal(machine_events(f, EV_PGROTATED), rotated + 2);
}

MACHINE_TEST(rotate, .nr_cpus = 1);

static void body_deactivate_file(struct machine_fixture *f)
{
	struct fixture_file *file = listed_file(f, 24);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 24, .mapping = file->mapping });
	struct page *clean = machine_file_page(f, file, 1);
	struct page *dirty = machine_file_page(f, file, 2);
	struct page *mapped = machine_file_page(f, file, 20); /* with 16 to 23 around it */
	uint64_t rotated = machine_events(f, EV_PGROTATED);
	uint64_t deactivated = machine_events(f, EV_PGDEACTIVATE);
	uint64_t value;

	assert_int_equal(machine_read(f, region, 20, &value), 0);
	assert_int_equal(machine_file_write(f, file, 2, 77), 0);
	lru_drain(f->t);
	lru_activate(f->t, clean);
	lru_drain(f->t);
	lru_deactivate_file(f->t, clean);
	lru_deactivate_file(f->t, dirty);
	lru_deactivate_file(f->t, mapped);
	lru_drain(f->t);
	/* Clean: to the tail. Dirty: to the head, to be freed when it is written. */
	assert_false(page_test(clean, PG_ACTIVE | PG_REFERENCED | PG_RECLAIM));
	assert_tail(f, LRU_INACTIVE_FILE, clean);
	assert_false(page_test(dirty, PG_ACTIVE | PG_REFERENCED));
	assert_true(page_test(dirty, PG_RECLAIM));
	assert_head(f, LRU_INACTIVE_FILE, dirty);
	assert_int_equal(machine_events(f, EV_PGROTATED), rotated + 1);
	assert_true(machine_events(f, EV_PGDEACTIVATE) >= deactivated + 1);
	/* Mapped: left alone. */
	assert_true(page_test(mapped, PG_REFERENCED));
}

MACHINE_TEST(deactivate_file, .nr_cpus = 1);

/* Queues by hand: nothing in the engine gives pages up this way yet. */
static void queue_lazyfree(struct machine_fixture *f, struct page *page)
{
	page_get(page);
	cpu_pin(f->t);
	struct cpu *cpu = task_cpu_data(f->t);
	struct lru_batch *batch = &cpu->batch[BATCH_LAZYFREE];

	cpu->batches_filled |= 1u << BATCH_LAZYFREE;
	batch->pfn[batch->nr++] = pfn_of(f, page);
	cpu_unpin(f->t);
}

static void body_lazyfree(struct machine_fixture *f)
{
	struct region *region = listed_region(f, 6);
	struct page *page = machine_page_at(f, region, 3);
	struct page *cached = machine_page_at(f, region, 4);
	uint64_t counted = machine_events(f, EV_PGLAZYFREE);

	page_lock(f->t, cached);
	assert_true(swap_cache_add_new(f->t, cached));
	page_unlock(f->t, cached);
	lru_activate(f->t, page);
	lru_drain(f->t);
	page_set(page, PG_REFERENCED);
	queue_lazyfree(f, page);
	queue_lazyfree(f, cached);
	lru_drain(f->t);
	assert_false(page_test(page, PG_ACTIVE | PG_REFERENCED | PG_SWAPBACKED));
	assert_head(f, LRU_INACTIVE_FILE, page);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_FILE), 1);
	assert_true(page_test(cached, PG_SWAPBACKED)); /* has a slot: not lazily freed */
	assert_int_equal(machine_events(f, EV_PGLAZYFREE), counted + 1);
}

MACHINE_TEST(lazyfree, .nr_cpus = 1, .swap_pages = 1024);

static void body_unevictable(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4, .flags = REGION_LOCKED });

	machine_fill(f, region, 0, 4);
	lru_drain(f->t);
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), 4);
	assert_int_equal(machine_node_count(f, NR_UNEVICTABLE), 4);
	assert_int_equal(machine_zone_count(f, NR_ZONE_UNEVICTABLE), 4);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), 4);
	assert_int_equal(machine_events(f, EV_UNEVICTABLE_PGS_CULLED), 4);
	assert_int_equal(machine_events(f, EV_UNEVICTABLE_PGS_MLOCKED), 4);

	struct page *page = machine_page_at(f, region, 1);

	/* No move touches them, and accesses do not activate them. */
	lru_activate(f->t, page);
	lru_rotate(f->t, page);
	lru_deactivate_file(f->t, page);
	lru_mark_accessed(f->t, page);
	lru_mark_accessed(f->t, page);
	lru_drain(f->t);
	assert_true(page_test(page, PG_UNEVICTABLE));
	assert_false(page_test(page, PG_ACTIVE));
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), 4);
	machine_region_end(f, region);
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), 0);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), 0);
}

MACHINE_TEST(unevictable, .nr_cpus = 1);

/* A page whose lock on memory ended while it was off the lists is rescued by the next add. */
static void body_rescued(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 2, .flags = REGION_LOCKED });

	machine_fill(f, region, 0, 1);
	lru_drain(f->t);
	struct page *page = machine_page_at(f, region, 0);

	assert_true(lru_isolate_page(f->t, page));
	page_clear(page, PG_ISOLATED | PG_MLOCKED);
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_MLOCK, -1);
	cpu_unpin(f->t);
	lru_add(f->t, page);
	page_put(f->t, page);
	lru_drain(f->t);
	assert_int_equal(machine_events(f, EV_UNEVICTABLE_PGS_RESCUED), 1);
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), 0);
	assert_head(f, LRU_INACTIVE_ANON, page);
}

MACHINE_TEST(rescued, .nr_cpus = 1);

/* ---- mark accessed ---- */

static uint64_t age_of(struct machine_fixture *f)
{
	return atomic_load(&f->node->lruvec.nonresident_age);
}

static void body_mark(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 4);
	uint64_t value;

	assert_int_equal(machine_file_read(f, file, 0, &value), 0);
	lru_drain_all(f->t);
	struct page *page = machine_file_page(f, file, 0);
	uint64_t age = age_of(f);

	assert_true(page_test(page, PG_REFERENCED)); /* the read was the first mark */
	assert_false(page_test(page, PG_ACTIVE));
	lru_mark_accessed(f->t, page);
	assert_false(page_test(page, PG_REFERENCED | PG_ACTIVE));
	assert_int_equal(age_of(f), age + 1);
	lru_drain(f->t);
	assert_true(page_test(page, PG_ACTIVE));
	lru_mark_accessed(f->t, page);
	assert_true(page_test(page, PG_REFERENCED));
	lru_mark_accessed(f->t, page);
	assert_true(page_test(page, PG_REFERENCED));
	assert_true(page_test(page, PG_ACTIVE));
	assert_int_equal(age_of(f), age + 1);
	assert_int_equal(batch_size(f, BATCH_ACTIVATE), 0);
}

MACHINE_TEST(mark, .nr_cpus = 1);

static int mark_twice(struct task *t, void *arg)
{
	lru_mark_accessed(t, arg);
	lru_mark_accessed(t, arg);
	return 0;
}

/* A page still in the batch becomes active there, if it is this CPU's batch. */
static void body_mark_batch(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4);

	machine_fill(f, region, 0, 2);
	struct page *ours = machine_page_at(f, region, 0);
	struct page *theirs = machine_page_at(f, region, 1);

	(void)mark_twice(f->t, ours);
	assert_true(page_test(ours, PG_ACTIVE));
	assert_false(page_test(ours, PG_LRU));
	assert_int_equal(run_on_cpu(f, 1, mark_twice, theirs), 0);
	assert_false(page_test(theirs, PG_ACTIVE | PG_REFERENCED));
	lru_drain_all(f->t);
	assert_head(f, LRU_ACTIVE_ANON, ours);
	assert_head(f, LRU_INACTIVE_ANON, theirs);
	assert_int_equal(machine_events(f, EV_PGACTIVATE), 0); /* it was never inactive */
}

MACHINE_TEST(mark_batch, 0);

/* ---- isolation ---- */

static uint64_t isolate(struct machine_fixture *f, struct lru_isolate *ctl, struct list *out)
{
	ctl->lruvec = &f->node->lruvec;
	out->first = out->last = PFN_NONE;
	cpu_pin(f->t);
	spin_lock(f->t, &f->node->lruvec.lock, LOCK_LRU);
	uint64_t taken = lru_isolate(f->t, ctl, out);

	spin_unlock(f->t, &f->node->lruvec.lock, LOCK_LRU);
	cpu_unpin(f->t);
	return taken;
}

static void body_isolate(struct machine_fixture *f)
{
	struct region *region = listed_region(f, 10);
	struct lru_isolate ctl = {
		.list = LRU_INACTIVE_ANON, .want = 4, .zone_limit = ZONE_MOVABLE, .may_unmap = true
	};
	struct page *moving = machine_page_at(f, region, 1);
	struct list list;

	/* Somebody else is moving page 1: it goes to the head and counts as scanned. */
	page_clear(moving, PG_LRU);
	assert_int_equal(isolate(f, &ctl, &list), 3);
	page_set(moving, PG_LRU);
	assert_int_equal(ctl.scanned, 4);
	assert_int_equal(ctl.skipped, 0);
	assert_head(f, LRU_INACTIVE_ANON, moving);
	assert_tail(f, LRU_INACTIVE_ANON, machine_page_at(f, region, 4));
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 7);
	assert_int_equal(machine_node_count(f, NR_INACTIVE_ANON), 7);
	/* The first taken is the last of the result: work begins there. */
	assert_int_equal(list.last, pfn_at(f, region, 0));
	assert_int_equal(list.first, pfn_at(f, region, 3));
	struct page *taken = machine_page_at(f, region, 0);

	assert_int_equal(page_refs(taken), 2);
	assert_true(page_test(taken, PG_ISOLATED));
	assert_false(page_test(taken, PG_LRU));
	assert_false(lru_isolate_page(f->t, taken));
	lru_putback(f->t, f->node, &list);
	assert_true(list_empty(&list));
	assert_int_equal(page_refs(taken), 1);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 10);
	/* Put back in the order in which they were taken: the last one taken is the youngest. */
	assert_head(f, LRU_INACTIVE_ANON, machine_page_at(f, region, 3));

	/* Mapped pages without permission to unmap: all scanned, none taken, order kept. */
	uint32_t before[LIST_MAX], after[LIST_MAX];
	uint32_t nr = walk(f, LRU_INACTIVE_ANON, before);

	ctl = (struct lru_isolate){ .list = LRU_INACTIVE_ANON, .want = 10, .zone_limit = 4 };
	assert_int_equal(isolate(f, &ctl, &list), 0);
	assert_int_equal(ctl.scanned, 10);
	assert_int_equal(walk(f, LRU_INACTIVE_ANON, after), nr);
	assert_memory_equal(before, after, nr * sizeof(before[0]));
	/* More than there is: ends with the list. */
	ctl = (struct lru_isolate){
		.list = LRU_INACTIVE_ANON, .want = 99, .zone_limit = 4, .may_unmap = true
	};
	assert_int_equal(isolate(f, &ctl, &list), 10);
	assert_int_equal(ctl.scanned, 10);
	lru_putback(f->t, f->node, &list);
}

MACHINE_TEST(isolate, .nr_cpus = 1);

/* Fills pages while zone Normal is below its low mark, so that they come from zone DMA. */
static void fill_from_dma(struct machine_fixture *f, struct region *region, uint64_t first,
			  uint64_t nr)
{
	struct fixture_hoard hoard = { 0 };

	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_LOW) - 16);
	machine_fill(f, region, first, nr);
	for (uint64_t page = first; page < first + nr; page++)
		assert_int_equal(page_zone_index(machine_page_at(f, region, page)), ZONE_DMA);
	machine_release(f, &hoard, UINT64_MAX);
}

/* Pages of zones above the limit wait at the side and return to the head in their order. */
static void body_isolate_zones(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 20);
	struct lru_isolate ctl = {
		.list = LRU_INACTIVE_ANON, .want = 2, .zone_limit = ZONE_DMA, .may_unmap = true
	};
	uint64_t skip_before = machine_events(f, EV_PGSKIP_NORMAL);
	uint32_t found[LIST_MAX];
	struct list list;

	machine_fill(f, region, 0, 8);
	fill_from_dma(f, region, 8, 4);
	machine_fill(f, region, 12, 8);
	lru_drain_all(f->t);
	assert_int_equal(lruvec_size(&f->node->lruvec, LRU_INACTIVE_ANON, ZONE_DMA), 4);
	assert_int_equal(lruvec_size(&f->node->lruvec, LRU_INACTIVE_ANON, ZONE_NORMAL), 20);
	assert_int_equal(isolate(f, &ctl, &list), 2);
	assert_int_equal(ctl.scanned, 2);
	assert_int_equal(ctl.skipped, 8);
	assert_int_equal(ctl.skipped_zone[ZONE_NORMAL], 8);
	assert_int_equal(machine_events(f, EV_PGSKIP_NORMAL), skip_before + 8);
	assert_int_equal(machine_events(f, EV_PGSKIP_DMA), 0);
	assert_int_equal(list.last, pfn_at(f, region, 8));
	assert_int_equal(list.first, pfn_at(f, region, 9));
	/* Head: 7 6 ... 0, then 19 ... 12, then 11 10. */
	assert_int_equal(walk(f, LRU_INACTIVE_ANON, found), 18);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(found[i], pfn_at(f, region, 7 - i));
		assert_int_equal(found[8 + i], pfn_at(f, region, 19 - i));
	}
	assert_int_equal(found[16], pfn_at(f, region, 11));
	assert_int_equal(found[17], pfn_at(f, region, 10));
	lru_putback(f->t, f->node, &list);

	/* Skipped pages leave the walk; rejected ones are met again until enough was scanned. */
	ctl = (struct lru_isolate){ .list = LRU_INACTIVE_ANON, .want = 30, .zone_limit = ZONE_DMA };
	assert_int_equal(isolate(f, &ctl, &list), 0);
	assert_int_equal(ctl.skipped, 16);
	assert_int_equal(ctl.scanned, 30);
	/* Nothing but skipped pages: the walk ends with the list. */
	assert_int_equal(region_zap(f->t, region, 8, 4), 4);
	ctl = (struct lru_isolate){ .list = LRU_INACTIVE_ANON, .want = 30, .zone_limit = ZONE_DMA };
	assert_int_equal(isolate(f, &ctl, &list), 0);
	assert_int_equal(ctl.skipped, 16);
	assert_int_equal(ctl.scanned, 0);
}

MACHINE_TEST(isolate_zones, .nr_cpus = 1, .dma_pages = 1024);

static void body_putback(struct machine_fixture *f)
{
	struct region *region = listed_region(f, 6);
	struct list list = { PFN_NONE, PFN_NONE };
	struct page *page[4];
	uint64_t age = age_of(f);

	for (uint64_t i = 0; i < 4; i++) {
		page[i] = machine_page_at(f, region, i);
		assert_true(lru_isolate_page(f->t, page[i]));
		list_add_head(f->m->pages, &list, pfn_of(f, page[i]));
	}
	page_set(page[1], PG_ACTIVE);
	page_set(page[2], PG_MLOCKED | PG_ACTIVE);
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_MLOCK, 1);
	cpu_unpin(f->t);
	/* Page 3 has nobody else left: the isolation's reference is the last one. */
	assert_int_equal(region_zap(f->t, region, 3, 1), 1);
	assert_int_equal(page_refs(page[3]), 1);
	lru_putback(f->t, f->node, &list);
	assert_head(f, LRU_INACTIVE_ANON, page[0]);
	assert_head(f, LRU_ACTIVE_ANON, page[1]);
	assert_int_equal(age_of(f), age + 1); /* only the active one ages the node */
	assert_head(f, LRU_UNEVICTABLE, page[2]);
	assert_false(page_test(page[2], PG_ACTIVE));
	assert_int_equal(machine_events(f, EV_UNEVICTABLE_PGS_CULLED), 1);
	assert_int_equal(page_refs(page[3]), 0);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 3);
}

MACHINE_TEST(putback, .nr_cpus = 1);

/* ---- arithmetic ---- */

static void check_ratio(uint64_t gib, uint64_t ratio)
{
	static struct lruvec lruvec;
	uint64_t total = gib * (GIB / NEAP_PAGE_BYTES) + 7;
	uint64_t enough = (total + ratio) / (ratio + 1);

	for (uint32_t file = 0; file < 2; file++) {
		memset(&lruvec, 0, sizeof(lruvec));
		/* Two zones: the rule looks at their sum. */
		atomic_store(&lruvec.size[2 * file][ZONE_DMA32], 1);
		atomic_store(&lruvec.size[2 * file][ZONE_NORMAL], enough - 1);
		atomic_store(&lruvec.size[2 * file + 1][ZONE_NORMAL], total - enough);
		assert_false(lru_inactive_is_low(&lruvec, file));
		atomic_store(&lruvec.size[2 * file][ZONE_DMA32], 0);
		atomic_store(&lruvec.size[2 * file + 1][ZONE_NORMAL], total - enough + 1);
		assert_true(lru_inactive_is_low(&lruvec, file));
		assert_false(lru_inactive_is_low(&lruvec, !file));
	}
}

static void test_ratio(void **state)
{
	(void)state;
	check_ratio(0, 1);
	check_ratio(1, 3);
	check_ratio(2, 4);
	check_ratio(10, 10);
	check_ratio(100, 31);
	check_ratio(1024, 101);
}

static void assert_costs(struct machine_fixture *f, uint64_t anon, uint64_t file)
{
	assert_int_equal(f->node->lruvec.anon_cost, anon);
	assert_int_equal(f->node->lruvec.file_cost, file);
}

static void body_cost(struct machine_fixture *f)
{
	struct lruvec *lruvec = &f->node->lruvec;

	(void)listed_region(f, 64);
	assert_costs(f, 0, 0);
	lru_note_cost(f->t, lruvec, 1, 5);
	lru_note_cost(f->t, lruvec, 0, 11);
	assert_costs(f, 11, 5); /* 16 is not more than a quarter of 64 */
	lru_note_cost(f->t, lruvec, 0, 2);
	assert_costs(f, 6, 2); /* 13 and 5, halved once */
	lru_note_cost(f->t, lruvec, 1, 100);
	assert_costs(f, 3, 51); /* still more than 16: halving happens once a call */
	lru_note_cost(f->t, lruvec, 0, 0);
	assert_costs(f, 1, 25);
	lru_note_cost(f->t, lruvec, 0, 0);
	assert_costs(f, 0, 12);
	lru_note_cost(f->t, lruvec, 0, 0);
	assert_costs(f, 0, 12);
}

MACHINE_TEST(cost, .nr_cpus = 1);

/* ---- everything at random ---- */

static void random_step(struct machine_fixture *f, struct rng *rng, struct region *region,
			struct fixture_file *file)
{
	uint64_t at = rng_below(rng, 100);
	struct page *anon = machine_page_at(f, region, at);
	struct page *cached = machine_file_page(f, file, at);
	struct list list = { PFN_NONE, PFN_NONE };
	struct page *page = rng_below(rng, 2) ? anon : cached;

	switch (rng_below(rng, 9)) {
	case 0:
		lru_activate(f->t, page);
		break;
	case 1:
		lru_deactivate(f->t, page);
		break;
	case 2:
		lru_rotate(f->t, page);
		break;
	case 3:
		lru_deactivate_file(f->t, cached);
		break;
	case 4:
		lru_mark_accessed(f->t, page);
		break;
	case 5:
		assert_int_equal(region_zap(f->t, region, at, 1), 1);
		assert_int_equal(machine_write(f, region, at, 1), 0);
		break;
	case 6:
		if (lru_isolate_page(f->t, page)) {
			list_add_head(f->m->pages, &list, pfn_of(f, page));
			lru_putback(f->t, f->node, &list);
		}
		break;
	case 7:
		lru_drain(f->t);
		break;
	default:
		assert_int_equal(machine_file_write(f, file, at, 1), 0);
		break;
	}
}

static void body_random(struct machine_fixture *f)
{
	struct region *region = listed_region(f, 100);
	struct fixture_file *file = listed_file(f, 100);
	struct rng rng;

	rng_seed(&rng, machine_seed());
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 300; i++)
			random_step(f, &rng, region, file);
		machine_verify(f);
		uint64_t sum = 0;

		for (uint32_t list = 0; list < NR_LRU_LISTS; list++)
			sum += machine_list_size(f, (enum lru_list)list);
		assert_int_equal(sum, 200);
	}
}

MACHINE_TEST(random, 0);

/* What waits in the batch comes before the page that empties it. */
static void body_add_drain(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3);

	for (uint32_t waiting = 0; waiting < 2; waiting++) {
		machine_fill(f, region, 0, 1 + waiting);
		if (waiting == 0)
			lru_drain(f->t);
		struct page *page = machine_page(f->m, alloc_page(f->t, GFP_KERNEL));

		page_set(page, PG_SWAPBACKED);
		cpu_pin(f->t);
		lru_add_drain(f->t, page);
		cpu_unpin(f->t);
		assert_int_equal(batch_size(f, BATCH_ADD), 0);
		assert_true(page_test(page, PG_LRU));
		assert_false(page_test(page, PG_BATCH));
		assert_int_equal(page_refs(page), 1);
		assert_head(f, LRU_INACTIVE_ANON, page);
		assert_int_equal(page->next, pfn_of(f, machine_page_at(f, region, waiting)));
		page_put(f->t, page);
	}
}

MACHINE_TEST(add_drain, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_freed),
		cmocka_unit_test(test_drain_all),
		cmocka_unit_test(test_activate),
		cmocka_unit_test(test_deactivate),
		cmocka_unit_test(test_rotate),
		cmocka_unit_test(test_deactivate_file),
		cmocka_unit_test(test_lazyfree),
		cmocka_unit_test(test_unevictable),
		cmocka_unit_test(test_rescued),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_mark_batch),
		cmocka_unit_test(test_isolate),
		cmocka_unit_test(test_isolate_zones),
		cmocka_unit_test(test_putback),
		cmocka_unit_test(test_ratio),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_add_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
