/*
 * When reclaim asks other CPUs to forget translations (core/tlb.c): once for each page
 * that it writes out, once for a list of clean ones, never while the program sleeps.
 */
#include "machine_fixture.h"

#define NR_PAGES 32u

struct other {
	_Atomic uint32_t stop;
	bool sleeps;
};

/* A thread of the program, on the other CPU. */
static int other_main(struct task *t, void *arg)
{
	struct other *other = arg;

	while (atomic_load(&other->stop) == 0) {
		if (other->sleeps)
			rt_sleep(t, NSEC_PER_MSEC);
		event_add(t, EV_SIM_TICK, 1);
		rt_preempt(t);
	}
	return 0;
}

static struct task *other_begin(struct machine_fixture *f, struct other *other)
{
	struct cpumask second = { { 2 } };
	const struct task_spec spec = {
		.name = "other", .fn = other_main, .arg = other, .cpus = &second
	};
	struct task *child = NULL;

	assert_int_equal(rt_spawn(f->t, &spec, &child), 0);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	return child;
}

static void other_end(struct machine_fixture *f, struct other *other, struct task *child)
{
	atomic_store(&other->stop, 1);
	assert_int_equal(rt_join(f->t, child), 0);
}

/* => how often CPUs were asked while the pages were decided about */
static uint64_t asked_for(struct machine_fixture *f, struct page **page, uint64_t *freed)
{
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	uint64_t before = machine_events(f, EV_SIM_TLB_SHOOTDOWN);

	*freed = machine_reclaim(f, &sc, &stat, page, NR_PAGES);
	assert_int_equal(f->t->tlb_pending, 0);
	return machine_events(f, EV_SIM_TLB_SHOOTDOWN) - before;
}

static struct region *old_pages(struct machine_fixture *f, struct page **page)
{
	struct region *region = machine_region(f, NR_PAGES);

	machine_fill(f, region, 0, NR_PAGES);
	lru_drain_all(f->t);
	machine_age(f, region, 0, NR_PAGES);
	for (uint32_t i = 0; i < NR_PAGES; i++)
		page[i] = machine_page_at(f, region, i);
	return region;
}

static void body_dirty_asks_for_each(struct machine_fixture *f)
{
	struct other other = { 0 };
	struct page *page[NR_PAGES];
	struct region *region = old_pages(f, page);
	struct task *child = other_begin(f, &other);
	uint64_t freed;

	assert_int_equal(asked_for(f, page, &freed), NR_PAGES);
	assert_int_equal(freed, 0);
	/* Written and clean now; nothing maps them any more, so nobody has to forget. */
	machine_settle(f);
	assert_int_equal(asked_for(f, page, &freed), 0);
	assert_int_equal(freed, NR_PAGES);
	other_end(f, &other, child);
	machine_check(f, region, 0, NR_PAGES);
}

MACHINE_TEST(dirty_asks_for_each, .swap_pages = 256, .nr_cpus = 2);

static void body_clean_asks_once(struct machine_fixture *f)
{
	struct other other = { 0 };
	struct fixture_file *file = machine_file(f, NR_PAGES);
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = NR_PAGES, .mapping = file->mapping });
	struct page *page[NR_PAGES];
	uint64_t freed;
	uint64_t value;

	for (uint32_t i = 0; i < NR_PAGES; i++)
		assert_int_equal(machine_read(f, region, i, &value), 0);
	lru_drain_all(f->t);
	machine_age(f, region, 0, NR_PAGES);
	for (uint32_t i = 0; i < NR_PAGES; i++) {
		page[i] = machine_file_page(f, file, i);
		page_clear(page[i], PG_REFERENCED);
	}
	struct task *child = other_begin(f, &other);

	assert_int_equal(asked_for(f, page, &freed), 1);
	assert_int_equal(freed, NR_PAGES);
	other_end(f, &other, child);
}

MACHINE_TEST(clean_asks_once, .nr_cpus = 2);

static void body_sleeping_program_is_not_asked(struct machine_fixture *f)
{
	struct other other = { .sleeps = true };
	struct page *page[NR_PAGES];
	struct region *region = old_pages(f, page);
	struct task *child = other_begin(f, &other);
	uint64_t freed;

	assert_true(asked_for(f, page, &freed) <= 1);
	other_end(f, &other, child);
	machine_settle(f);
	machine_check(f, region, 0, NR_PAGES);
}

MACHINE_TEST(sleeping_program_is_not_asked, .swap_pages = 256, .nr_cpus = 2);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dirty_asks_for_each),
		cmocka_unit_test(test_clean_asks_once),
		cmocka_unit_test(test_sleeping_program_is_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
