/*
 * Tests of core/cpuset.c: which nodes a limited task's requests are served from, in the first walk,
 * the slow path and reclaim; which requests may leave; how policies and masks go together with the
 * limit; and the NUMA counters of every case, exactly.
 */
#include "numa_counts.h"

#include <errno.h>

#include "core/cpuset.h"
#include "core/mempolicy.h"

/* Cannot sleep, has no reserve, and a hard wall. */
#define GFP_WALLED (GFP_NOWAIT | GFP_BIT_HARDWALL)

/* hit, miss, foreign, interleave, local, other of a node since `before`. */
static void numa_expect(struct machine_fixture *f, const struct numa *before, uint32_t node,
			const uint64_t more[NR_NUMA_ITEMS])
{
	struct numa now;

	numa_read(f, &now);
	for (uint32_t i = 0; i < NR_NUMA_ITEMS; i++)
		assert_int_equal(now.count[node][i] - before->count[node][i], more[i]);
}

static struct list held; /* what the test's requests got */

/* => the node that the page came from; NR_NODES: there was none */
static uint32_t node_of_request(struct machine_fixture *f, uint32_t gfp, const uint64_t *nodemask)
{
	const struct alloc_request request = { .gfp = gfp, .nodemask = nodemask };
	uint32_t pfn = alloc_pages(f->t, &request);

	if (pfn == PFN_NONE)
		return NR_NODES;
	page_set(machine_page(f->m, pfn), PG_KERNEL);
	list_add_head(f->m->pages, &held, pfn);
	return page_node_id(machine_page(f->m, pfn));
}

static void give_back(struct machine_fixture *f)
{
	while (!list_empty(&held)) {
		struct page *page = machine_page(f->m, list_pop(f->m->pages, &held));

		page_clear(page, PG_KERNEL);
		page_put(f->t, page);
	}
}

/* Takes all that walled requests can have. => how many pages, all of the node */
static uint64_t exhaust(struct machine_fixture *f, uint32_t node)
{
	uint64_t nr = 0;
	uint32_t from = node_of_request(f, GFP_WALLED, NULL);

	for (; from != NR_NODES; nr++) {
		assert_int_equal(from, node);
		from = node_of_request(f, GFP_WALLED, NULL);
	}
	return nr;
}

/* A task on node 0's CPU that may use node 1: these are hits there, and no misses here. */
static void body_first_walk(struct machine_fixture *f)
{
	struct numa before;

	assert_int_equal(cpuset_set(f->t, 2), 0);
	numa_read(f, &before);
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(node_of_request(f, GFP_KERNEL, NULL), 1);
	numa_expect(f, &before, 1, (const uint64_t[NR_NUMA_ITEMS]){ 40, 0, 0, 0, 0, 40 });
	numa_expect(f, &before, 0, (const uint64_t[NR_NUMA_ITEMS]){ 0 });
	/* By the plain way of single pages, too. */
	uint32_t pfn = alloc_page(f->t, GFP_USER);

	assert_int_equal(page_node_id(machine_page(f->m, pfn)), 1);
	page_put(f->t, machine_page(f->m, pfn));
	assert_int_equal(cpuset_set(f->t, 0), 0);
	numa_read(f, &before);
	assert_int_equal(node_of_request(f, GFP_KERNEL, NULL), 0);
	numa_expect(f, &before, 0, (const uint64_t[NR_NUMA_ITEMS]){ 1, 0, 0, 0, 1, 0 });
	assert_int_equal(cpuset_set(f->t, 8), -EINVAL);
	assert_int_equal(cpuset_nodes(f->t), 7);
	give_back(f);
}
MACHINE_TEST(first_walk, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

/* User memory stays inside, although other nodes are empty: the rest is swapped. */
static void body_user_memory(struct machine_fixture *f)
{
	const uint64_t nr = NODE_PAGES + 300;
	struct region *region = machine_region(f, nr);
	uint64_t far = zone_stat_exact(&f->m->nodes[2].zone[ZONE_NORMAL], NR_FREE_PAGES);

	assert_int_equal(cpuset_set(f->t, 2), 0);
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(machine_write(f, region, i, machine_value(region, i, 0)), 0);
		const struct page *page = machine_page_at(f, region, i);

		assert_true(page == NULL || page_node_id(page) == 1);
	}
	assert_true(machine_events(f, EV_PSWPOUT) > 0);
	assert_int_equal(zone_stat_exact(&f->m->nodes[2].zone[ZONE_NORMAL], NR_FREE_PAGES), far);
	/* Nobody has asked the other nodes' threads for anything. */
	assert_int_equal(f->m->nodes[0].kswapd_highest_zone, NR_ZONES);
	assert_int_equal(f->m->nodes[2].kswapd_highest_zone, NR_ZONES);
	machine_check(f, region, 0, nr);
}
MACHINE_TEST(user_memory, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3,
	     .swap_pages = 8192);

/* Whose node is full: with a hard wall nothing, without, or with reserves, memory of elsewhere. */
static void body_who_may_leave(struct machine_fixture *f)
{
	struct numa before;
	const uint64_t two = 2, all = 7;

	assert_int_equal(cpuset_set(f->t, 2), 0);
	assert_true(exhaust(f, 1) > NODE_PAGES / 2);
	numa_read(f, &before);
	assert_int_equal(node_of_request(f, GFP_WALLED, NULL), NR_NODES);
	assert_int_equal(node_of_request(f, GFP_WALLED, &all), NR_NODES);
	assert_int_equal(node_of_request(f, GFP_NOWAIT, NULL), 0);
	assert_int_equal(node_of_request(f, GFP_ATOMIC | GFP_BIT_HARDWALL, NULL), 0);
	assert_int_equal(node_of_request(f, GFP_NOWAIT, &two), NR_NODES);
	assert_int_equal(node_of_request(f, GFP_BIT_MEMALLOC | GFP_WALLED, NULL), 0);
	numa_expect(f, &before, 0, (const uint64_t[NR_NUMA_ITEMS]){ 3, 0, 0, 0, 3, 0 });
	numa_expect(f, &before, 1, (const uint64_t[NR_NUMA_ITEMS]){ 0 });
	f->t->flags |= PF_OOM_VICTIM;
	assert_int_equal(node_of_request(f, GFP_WALLED, &all), 0);
	f->t->flags &= ~PF_OOM_VICTIM;
	f->t->flags |= PF_IRQ;
	assert_int_equal(node_of_request(f, GFP_WALLED, NULL), 0);
	f->t->flags &= ~PF_IRQ;
	give_back(f);
}
MACHINE_TEST(who_may_leave, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

/* What must not fail takes the last of its own node first, and then of others. */
static void body_no_fail(struct machine_fixture *f)
{
	struct zone *zone = &f->m->nodes[1].zone[ZONE_NORMAL];
	uint32_t inside = 0;

	assert_int_equal(cpuset_set(f->t, 2), 0);
	(void)exhaust(f, 1);
	while (node_of_request(f, GFP_USER | GFP_BIT_NOFAIL, NULL) == 1)
		inside++;
	assert_true(inside > 0);
	assert_true(zone_stat_exact(zone, NR_FREE_PAGES) < 8);
	give_back(f);
}
MACHINE_TEST(no_fail, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

/* A request's own mask and the limit hold both. */
static void body_mask(struct machine_fixture *f)
{
	const uint64_t mask = 3, outside = 1;

	assert_int_equal(cpuset_set(f->t, 6), 0);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(node_of_request(f, GFP_USER, &mask), 1);
	assert_int_equal(node_of_request(f, GFP_WALLED, &outside), NR_NODES);
	assert_int_equal(node_of_request(f, GFP_KERNEL, &outside), 0);
	give_back(f);
}
MACHINE_TEST(mask, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

static uint32_t node_of_policy(struct machine_fixture *f)
{
	uint32_t pfn = alloc_page(f->t, GFP_USER);
	uint32_t node = page_node_id(machine_page(f->m, pfn));

	page_put(f->t, machine_page(f->m, pfn));
	return node;
}

/* Policies within the limit; one whose nodes are all outside does not bind. */
static void body_policies(struct machine_fixture *f)
{
	struct task *t = f->t;
	struct numa before;

	assert_int_equal(cpuset_set(t, 6), 0);
	assert_int_equal(mempolicy_set(t, MEMPOLICY_PREFERRED, 1), -EINVAL);
	assert_int_equal(mempolicy_set(t, MEMPOLICY_BIND, 5), 0);
	assert_int_equal(t->policy_nodes, 4);
	assert_int_equal(node_of_policy(f), 2);
	assert_int_equal(mempolicy_set(t, MEMPOLICY_INTERLEAVE, 7), 0);
	numa_read(f, &before);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(node_of_policy(f), 1 + i % 2);
	numa_expect(f, &before, 1, (const uint64_t[NR_NUMA_ITEMS]){ 3, 0, 0, 3, 0, 3 });
	numa_expect(f, &before, 2, (const uint64_t[NR_NUMA_ITEMS]){ 3, 0, 0, 3, 0, 3 });
	/* Preferred stays where it was; the limit decides. */
	assert_int_equal(mempolicy_set(t, MEMPOLICY_PREFERRED, 2), 0);
	assert_int_equal(cpuset_set(t, 4), 0);
	assert_int_equal(t->policy_nodes, 2);
	assert_int_equal(node_of_policy(f), 2);
	/* A region's policy does not follow the task: it binds nothing then. */
	struct region *region = machine_region(f, 20);

	region->policy_mode = MEMPOLICY_BIND;
	region->policy_nodes = 2;
	machine_fill(f, region, 0, 20);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(page_node_id(machine_page_at(f, region, i)), 2);
}
MACHINE_TEST(policies, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

/* Nodes of a policy go to the same places of the new set, round and round. */
static void body_rebind(struct machine_fixture *f)
{
	struct task *t = f->t;

	assert_int_equal(mempolicy_set(t, MEMPOLICY_INTERLEAVE, 3), 0);
	assert_int_equal(cpuset_set(t, 6), 0);
	assert_int_equal(t->policy_nodes, 6);
	assert_int_equal(cpuset_set(t, 5), 0);
	assert_int_equal(t->policy_nodes, 5);
	assert_int_equal(cpuset_set(t, 2), 0);
	assert_int_equal(t->policy_nodes, 2);
	assert_int_equal(cpuset_set(t, 0), 0);
	assert_int_equal(t->policy_nodes, 1);
	assert_int_equal(t->flags & PF_CPUSET, 0);
	/* A request for one node alone asks no policy. */
	assert_int_equal(mempolicy_set(t, MEMPOLICY_BIND, 4), 0);
	uint32_t pfn = mempolicy_alloc(t, GFP_KERNEL | GFP_BIT_THISNODE, 0);

	assert_int_equal(page_node_id(machine_page(f->m, pfn)), 0);
	page_put(t, machine_page(f->m, pfn));
}
MACHINE_TEST(rebind, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_walk),    cmocka_unit_test(test_user_memory),
		cmocka_unit_test(test_who_may_leave), cmocka_unit_test(test_no_fail),
		cmocka_unit_test(test_mask),	      cmocka_unit_test(test_policies),
		cmocka_unit_test(test_rebind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
