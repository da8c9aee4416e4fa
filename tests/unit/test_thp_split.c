/*
 * Who must wait while a huge page is split, or found young: CPUs and other tasks.
 *
 *   reclaim meets a page of the space that is split ── kept, its young bit not looked at
 *   a huge page was young ─────────────────────────── CPUs forget everything, once
 *   a huge page is split ──────────────────────────── CPUs forget 512 entries, one by one
 */
#include "machine_fixture.h"

#include "core/rmap.h"
#include "core/sleeplock.h"
#include "core/sysctl.h"
#include "core/thp.h"

#define ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"

/* A filled huge page, used by nobody lately. */
static struct page *old_huge_page(struct machine_fixture *f, struct region *region)
{
	struct page *page;

	assert_int_equal(sysctl_write(f->t, f->m, ENABLED, "madvise", 7), 7);
	machine_fill(f, region, 0, THP_PAGES);
	machine_age(f, region, 0, THP_PAGES);
	page = machine_page_at(f, region, 0);
	assert_true(page != NULL && thp_is_huge(page));
	return page;
}

static struct region *huge_region(struct machine_fixture *f)
{
	return machine_region_spec(f, &(struct region_spec){ .nr_pages = THP_PAGES,
							     .flags = REGION_HUGE });
}

static uint32_t asked, asked_for_all;

static uint32_t count_asked(struct task *t, bool all)
{
	(void)t;
	asked++;
	asked_for_all += all;
	return 1;
}

/* Whoever asks other CPUs to forget translations is counted from now on; there are two ways to. */
static void count_questions(struct machine_fixture *f, struct rt_ops *ops)
{
	*ops = *f->t->rt->ops;
	ops->shoot_down = count_asked;
	f->t->rt->ops = ops;
	asked = asked_for_all = 0;
}

/* A page of a space that is being split stays as if just used, and its young bit with it. */
static void body_contended(struct machine_fixture *f)
{
	struct region *region = huge_region(f);
	struct page *page = old_huge_page(f, region);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	uint32_t flags;

	assert_true(sleeplock_try(&region->space->splitting));
	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
	assert_int_equal(stat.nr_ref_keep, THP_PAGES);
	assert_false(page_test(page, PG_REFERENCED | PG_SWAPCACHE | PG_ACTIVE));
	page_lock(f->t, page);
	assert_true(rmap_referenced(f->t, page, &flags) == RMAP_CONTENDED);
	sleeplock_release(f->t, &region->space->splitting);
	assert_int_equal(rmap_referenced(f->t, page, &flags), 0);
	page_unlock(f->t, page);
	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
	assert_true(page_test(page, PG_SWAPCACHE));
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(contended, .pages = 4096, .swap_pages = 2048);

/*
 * A huge page that was young is forgotten as a whole by the CPUs that run the program; one that is
 * split, entry by entry.
 */
static void body_forgotten(struct machine_fixture *f)
{
	struct region *region = huge_region(f);
	struct page *page = old_huge_page(f, region);
	const struct rt_ops *before = f->t->rt->ops;
	struct rt_ops ops;
	uint32_t flags;

	count_questions(f, &ops);
	page_lock(f->t, page);
	assert_int_equal(rmap_referenced(f->t, page, &flags), 0);
	assert_int_equal(asked, 0);
	page_unlock(f->t, page);
	assert_int_equal(machine_write(f, region, 0, 1), 0);
	page_lock(f->t, page);
	assert_int_equal(rmap_referenced(f->t, page, &flags), 1);
	page_unlock(f->t, page);
	assert_int_equal(asked, 1);
	assert_int_equal(asked_for_all, 1);
	assert_int_equal(machine_split_held(f, page), 0);
	assert_int_equal(asked, 1 + THP_PAGES);
	assert_int_equal(asked_for_all, 1);
	assert_int_equal(region->space->splitting, 0);
	f->t->rt->ops = before;
	machine_verify(f);
}

MACHINE_TEST(forgotten, .pages = 4096);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contended),
		cmocka_unit_test(test_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
