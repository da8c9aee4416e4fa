/*
 * The pool of huge pages: whose turn it is, what is asked for, when it stops, and what the files
 * say.
 *
 *   nr_hugepages N ── node 0, node 1, node 0 ... ── N pages, or the first failure of all nodes
 *
 * What must never happen here: a request counted by what it returned. The gfp mask of every
 * request is read from the trace.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "core/hugepool.h"
#include "core/pcp.h"
#include "core/snapshot_take.h"
#include "core/sysctl.h"
#include "core/verify.h"

#define HUGE_PAGES 512u
#define GFP_HARD 0x346ccau

/* What the pool's requests looked like since the last look. */
struct asked {
	uint32_t nr, nr_hard, nr_failed;
};

static void take_asked(struct machine_fixture *f, struct asked *asked)
{
	struct event_record record;

	*asked = (struct asked){ 0 };
	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++) {
		while (event_take(f->m, cpu, &record)) {
			if (record.id != TE_MM_PAGE_ALLOC || record.arg[1] != 9)
				continue;
			asked->nr++;
			asked->nr_failed += record.arg[0] == PFN_NONE;
			asked->nr_hard += record.arg[3] == GFP_HARD;
			if ((record.arg[3] | GFP_BIT_RETRY_MAYFAIL) != GFP_HARD)
				fail_msg("a request with flags 0x%llx",
					 (unsigned long long)record.arg[3]);
		}
	}
}

static uint64_t pool_of(const struct machine_fixture *f, uint32_t node)
{
	return hugepool_node_pages(&f->m->nodes[node]);
}

/* ---- turns ---- */

static void body_turns(struct machine_fixture *f)
{
	uint64_t free_before = machine_zone_count(f, NR_FREE_PAGES);
	uint32_t first, second;

	assert_int_equal(hugepool_resize(f->t, f->m, 3), 3);
	assert_int_equal(pool_of(f, 0), 2);
	assert_int_equal(pool_of(f, 1), 1);
	/* The turns go on from one write to the next. */
	assert_int_equal(hugepool_resize(f->t, f->m, 4), 4);
	assert_int_equal(pool_of(f, 1), 2);
	first = f->m->nodes[0].huge_pool.last;
	second = f->m->nodes[0].huge_pool.first;
	assert_true(first != second);
	machine_verify(f);
	/* The newest of each node goes first, and both nodes take turns. */
	assert_int_equal(hugepool_resize(f->t, f->m, 2), 2);
	assert_int_equal(pool_of(f, 0), 1);
	assert_int_equal(pool_of(f, 1), 1);
	assert_int_equal(f->m->nodes[0].huge_pool.first, first);
	assert_int_equal(hugepool_resize(f->t, f->m, 0), 0);
	assert_int_equal(machine_events(f, EV_HTLB_BUDDY_ALLOC_SUCCESS), 4);
	assert_int_equal(machine_events(f, EV_HTLB_BUDDY_ALLOC_FAIL), 0);
	vmstat_fold_all(f->t, f->m);
	pcp_drain_all(f->t, f->m, NULL);
	assert_true(machine_zone_count(f, NR_FREE_PAGES) + 2 >= free_before);
}

MACHINE_TEST(turns, .pages = 8192, .nr_nodes = 2);

/* ---- the end of memory ---- */

/* Every node fails once, hard; the write ends there. */
static void body_failure(struct machine_fixture *f)
{
	struct asked asked;
	uint64_t got;

	assert_int_equal(event_start(f->m), 0);
	got = hugepool_resize(f->t, f->m, 1000);
	assert_in_range(got, 8, 32);
	take_asked(f, &asked);
	assert_int_equal(asked.nr, got + asked.nr_failed);
	assert_int_equal(machine_events(f, EV_HTLB_BUDDY_ALLOC_SUCCESS), got);
	assert_int_equal(machine_events(f, EV_HTLB_BUDDY_ALLOC_FAIL), asked.nr_failed);
	/* The last round failed on both nodes; a node that failed before was asked lightly. */
	assert_in_range(asked.nr_failed, 2, 4);
	assert_true(asked.nr_hard <= asked.nr);
	/* The next write forgets who failed. */
	assert_int_equal(hugepool_resize(f->t, f->m, 1000), got);
	take_asked(f, &asked);
	assert_int_equal(asked.nr, 2);
	assert_int_equal(asked.nr_hard, 2);
	assert_int_equal(asked.nr_failed, 2);
	assert_int_equal(hugepool_resize(f->t, f->m, 0), 0);
}

MACHINE_TEST(failure, .pages = 8192, .nr_nodes = 2);

/* One node is full of what cannot be moved: it is asked hard once, then lightly. */
static void body_tired(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct asked asked;

	machine_hoard(f, &hoard, 600); /* of node 0 */
	assert_int_equal(event_start(f->m), 0);
	assert_int_equal(hugepool_resize(f->t, f->m, 4), 4);
	assert_int_equal(pool_of(f, 1), 4);
	take_asked(f, &asked);
	/* Node 0 before each of the four pages of node 1. */
	assert_int_equal(asked.nr, 8);
	assert_int_equal(asked.nr_failed, 4);
	assert_int_equal(asked.nr_hard, 5);
	event_stop(f->m);
	machine_release(f, &hoard, hoard.nr);
	assert_int_equal(hugepool_resize(f->t, f->m, 0), 0);
}

MACHINE_TEST(tired, .pages = 8192, .nr_nodes = 2);

/* ---- files ---- */

static void check_file(struct machine_fixture *f, const char *name, const char *expect)
{
	char text[KNOBS_TEXT_BYTES];

	assert_true(sysctl_read(f->m, name, text, sizeof(text)) > 0);
	assert_string_equal(text, expect);
}

static void body_files(struct machine_fixture *f)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));
	int32_t min_free = knobs_get(&f->m->sysctl.min_free_kbytes);
	uint64_t limit;

	assert_non_null(snapshot);
	snapshot_take(f->t, f->m, snapshot);
	limit = snapshot->commit_limit_pages;
	assert_int_equal(sysctl_write(f->t, f->m, "nr_hugepages", "3\n", 2), 2);
	check_file(f, "nr_hugepages", "3\n");
	check_file(f, "nr_hugepages_mempolicy", "3\n");
	snapshot_take(f->t, f->m, snapshot);
	assert_int_equal(snapshot->huge_total, 3);
	assert_int_equal(snapshot->huge_free, 3);
	assert_int_equal(snapshot->huge_reserved + snapshot->huge_surplus, 0);
	assert_int_equal(snapshot->node[0].huge_total, 3);
	/* Half of what is not in the pool may be committed. */
	assert_in_range(limit - snapshot->commit_limit_pages, 3 * HUGE_PAGES / 2,
			3 * HUGE_PAGES / 2 + 1);
	/* More than there is: the file says what was obtained. */
	assert_int_equal(sysctl_write(f->t, f->m, "nr_hugepages_mempolicy", "1000000", 7), 7);
	assert_in_range(hugepool_pages(f->m), 4, 16);
	assert_int_equal(knobs_get_wide(&f->m->sysctl.nr_hugepages), hugepool_pages(f->m));
	assert_int_equal(sysctl_write(f->t, f->m, "nr_hugepages", "x", 1), -EINVAL);
	assert_int_equal(knobs_get_wide(&f->m->sysctl.nr_hugepages), hugepool_pages(f->m));
	assert_int_equal(knobs_get(&f->m->sysctl.min_free_kbytes), min_free);
	assert_int_equal(sysctl_write(f->t, f->m, "nr_hugepages", "0", 1), 1);
	check_file(f, "nr_hugepages_mempolicy", "0\n");
	free(snapshot);
}

MACHINE_TEST(files, .pages = 8192);

/* ---- laws ---- */

/* A page that is counted and missing, or on the list and somebody else's, is found. */
static void body_law(struct machine_fixture *f)
{
	struct node *node = f->node;
	struct page *page;

	assert_int_equal(hugepool_resize(f->t, f->m, 2), 2);
	page = machine_page(f->m, node->huge_pool.first);
	assert_null(hugepool_verify(f->m));
	atomic_fetch_add(&node->nr_huge_pool, 1);
	assert_non_null(hugepool_verify(f->m));
	atomic_fetch_sub(&node->nr_huge_pool, 1);
	page_clear(page, PG_HUGETLB);
	assert_non_null(hugepool_verify(f->m));
	page_set(page, PG_KERNEL);
	assert_non_null(verify_machine(f->t, f->m));
	page_clear(page, PG_KERNEL);
	page_set(page, PG_HUGETLB);
	assert_null(verify_machine(f->t, f->m));
	assert_int_equal(hugepool_resize(f->t, f->m, 0), 0);
}

MACHINE_TEST(law, .pages = 8192);

/* ---- several at once ---- */

static int resize_often(struct task *t, void *arg)
{
	for (uint64_t i = 0; i < 20; i++)
		(void)hugepool_resize(t, arg, i * 7 % 12); /* whatever can be had */
	return 0;
}

static void body_together(struct machine_fixture *f)
{
	struct task *task[2];

	for (uint32_t i = 0; i < 2; i++) {
		const struct task_spec spec = { .name = "resizer",
						.fn = resize_often,
						.arg = f->m };

		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	resize_often(f->t, f->m);
	for (uint32_t i = 0; i < 2; i++)
		rt_join(f->t, task[i]);
	machine_verify(f);
	assert_int_equal(hugepool_resize(f->t, f->m, 0), 0);
}

MACHINE_TEST(together, .pages = 8192, .explore = true);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turns), cmocka_unit_test(test_failure),
		cmocka_unit_test(test_tired), cmocka_unit_test(test_files),
		cmocka_unit_test(test_law),   cmocka_unit_test(test_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
