/*
 * Tests of core/mempolicy.c: from which nodes pages come under each policy, of a task and of a
 * region, what happens when those have none left, and the NUMA counters of every case, exactly.
 */
#include "numa_counts.h"

#include <errno.h>

#include "core/hotplug_cpu.h"
#include "core/mempolicy.h"

static void numa_expect(struct machine_fixture *f, const struct numa *before, uint32_t node,
			enum numa_item item, uint64_t more)
{
	struct numa now;

	numa_read(f, &now);
	assert_int_equal(now.count[node][item] - before->count[node][item], more);
}

/* How many of the region's pages lie on each node. */
static void where(struct machine_fixture *f, struct region *region, uint64_t nr, uint32_t *on)
{
	memset(on, 0, NR_NODES * sizeof(*on));
	for (uint64_t i = 0; i < nr; i++)
		on[page_node_id(machine_page_at(f, region, i))]++;
}

static struct region *policy_region(struct machine_fixture *f, uint32_t mode, uint64_t nodes)
{
	struct region *region = machine_region(f, 300);

	region->policy_mode = mode;
	region->policy_nodes = nodes;
	/* A table is a page, too: this makes it. */
	assert_int_equal(machine_write(f, region, 299, 1), 0);
	return region;
}

static void body_interleave(struct machine_fixture *f)
{
	struct region *region = policy_region(f, MEMPOLICY_INTERLEAVE, 5);
	struct numa before;

	numa_read(f, &before);
	machine_fill(f, region, 0, 200);
	for (uint64_t i = 0; i < 200; i++)
		assert_int_equal(page_node_id(machine_page_at(f, region, i)), i % 2 == 0 ? 0 : 2);
	numa_expect(f, &before, 0, NUMA_INTERLEAVE, 100);
	numa_expect(f, &before, 2, NUMA_INTERLEAVE, 100);
	numa_expect(f, &before, 2, NUMA_HIT, 100);
	numa_expect(f, &before, 2, NUMA_OTHER, 100);
	numa_expect(f, &before, 0, NUMA_LOCAL, 100);
	numa_expect(f, &before, 1, NUMA_HIT, 0);
	/* A page keeps its node when it comes again, by the policy. */
	assert_int_equal(hotplug_cpu_offline(f->t, 0), 0);
	machine_swap_out(f, region, 6, 1);
	machine_check(f, region, 6, 1);
	assert_int_equal(page_node_id(machine_page_at(f, region, 6)), 0);
	assert_int_equal(hotplug_cpu_online(f->t, 0), 0);
}
MACHINE_TEST(interleave, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3,
	     .swap_pages = 4096);

/* A task takes turns, whatever it asks for. */
static void body_turns(struct machine_fixture *f)
{
	uint32_t pfn[9];
	struct numa before;

	numa_read(f, &before);
	f->t->policy_mode = MEMPOLICY_INTERLEAVE;
	f->t->policy_nodes = 7;
	f->t->policy_last = 2;
	for (uint32_t i = 0; i < 9; i++) {
		pfn[i] = alloc_page(f->t, i % 2 == 0 ? GFP_KERNEL : GFP_HIGHUSER_MOVABLE);
		assert_int_equal(page_node_id(&f->m->pages[pfn[i]]), i % 3);
	}
	f->t->policy_mode = MEMPOLICY_DEFAULT;
	for (uint32_t n = 0; n < NR_NODES; n++)
		numa_expect(f, &before, n, NUMA_INTERLEAVE, 3);
	for (uint32_t i = 0; i < 9; i++)
		page_put(f->t, &f->m->pages[pfn[i]]);
}
MACHINE_TEST(turns, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

/* Near one node; when that is full, elsewhere: miss there, foreign here. */
static void body_preferred(struct machine_fixture *f)
{
	struct region *region = policy_region(f, MEMPOLICY_PREFERRED, 2);
	struct numa before, now;
	uint32_t on[NR_NODES];

	numa_read(f, &before);
	machine_fill(f, region, 0, 100);
	where(f, region, 100, on);
	assert_int_equal(on[1], 100);
	numa_expect(f, &before, 1, NUMA_HIT, 100);
	numa_expect(f, &before, 1, NUMA_OTHER, 100);
	numa_expect(f, &before, 1, NUMA_LOCAL, 0);
	numa_expect(f, &before, 1, NUMA_MISS, 0);
	struct region *much = machine_region(f, NODE_PAGES + 200);

	much->policy_mode = MEMPOLICY_PREFERRED;
	much->policy_nodes = 2;
	numa_read(f, &before);
	machine_fill(f, much, 0, NODE_PAGES + 200);
	where(f, much, NODE_PAGES + 200, on);
	assert_true(on[1] > NODE_PAGES / 2 && on[0] + on[2] > 200);
	numa_read(f, &now);
	uint64_t foreign = now.count[1][NUMA_FOREIGN] - before.count[1][NUMA_FOREIGN];

	assert_int_equal(foreign, on[0] + on[2]);
	assert_int_equal(now.count[1][NUMA_HIT] - before.count[1][NUMA_HIT], on[1]);
}
MACHINE_TEST(preferred, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

/* Only these nodes, although the others are empty: the rest is swapped. */
static void body_bind(struct machine_fixture *f)
{
	const uint64_t nr = NODE_PAGES + 300;
	struct region *region = machine_region(f, nr);
	uint64_t far_free = zone_stat_exact(&f->m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES);

	region->policy_mode = MEMPOLICY_BIND;
	region->policy_nodes = 4;
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(machine_write(f, region, i, machine_value(region, i, 0)), 0);
		const struct page *page = machine_page_at(f, region, i);

		assert_true(page == NULL || page_node_id(page) == 2);
	}
	assert_true(machine_events(f, EV_PSWPOUT) > 0);
	assert_true(zone_stat_exact(&f->m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES) + 64 >
		    far_free);
	machine_check(f, region, 0, nr);
}
MACHINE_TEST(bind, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3, .swap_pages = 8192);

/* These nodes first, but none is reclaimed for it. */
static void body_many(struct machine_fixture *f)
{
	const uint64_t nr = 2 * NODE_PAGES + 100;
	struct region *region = machine_region(f, nr);
	uint32_t on[NR_NODES];

	region->policy_mode = MEMPOLICY_PREFERRED_MANY;
	region->policy_nodes = 6;
	machine_fill(f, region, 0, nr);
	where(f, region, nr, on);
	assert_true(on[1] > NODE_PAGES * 9 / 10 && on[2] > NODE_PAGES * 9 / 10 && on[0] > 100);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), 0);
	/* LOCAL is near the CPU even for a task that prefers another node. */
	struct region *local = machine_region(f, 50);

	f->t->policy_mode = MEMPOLICY_PREFERRED;
	f->t->policy_nodes = 4;
	local->policy_mode = MEMPOLICY_LOCAL;
	machine_fill(f, local, 0, 50);
	where(f, local, 50, on);
	assert_int_equal(on[0], 50);
	f->t->policy_mode = MEMPOLICY_DEFAULT;
}
MACHINE_TEST(many, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

static void body_check(struct machine_fixture *f)
{
	uint64_t nodes = 0;

	assert_int_equal(mempolicy_check(f->m, MEMPOLICY_DEFAULT, &nodes), 0);
	assert_int_equal(mempolicy_check(f->m, MEMPOLICY_LOCAL, &nodes), 0);
	assert_int_equal(mempolicy_check(f->m, MEMPOLICY_BIND, &nodes), -EINVAL);
	assert_int_equal(mempolicy_check(f->m, NR_MEMPOLICIES, &nodes), -EINVAL);
	nodes = 1;
	assert_int_equal(mempolicy_check(f->m, MEMPOLICY_LOCAL, &nodes), -EINVAL);
	nodes = 8;
	assert_int_equal(mempolicy_check(f->m, MEMPOLICY_INTERLEAVE, &nodes), -EINVAL);
	nodes = 14;
	assert_int_equal(mempolicy_check(f->m, MEMPOLICY_INTERLEAVE, &nodes), 0);
	assert_int_equal(nodes, 6);
}
MACHINE_TEST(check, .pages = NODE_PAGES, .nr_nodes = NR_NODES, .nr_cpus = 3);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interleave), cmocka_unit_test(test_turns),
		cmocka_unit_test(test_preferred),  cmocka_unit_test(test_bind),
		cmocka_unit_test(test_many),	   cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
