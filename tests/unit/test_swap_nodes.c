/*
 * Tests of core/swap_nodes.c: the memory of the swap cache's trees follows the slots
 * that hold a page or a shadow.
 */
#include "machine_fixture.h"

#include "core/swap_nodes.h"

#define PAGES 300u

static uint64_t nr_nodes(struct machine_fixture *f)
{
	return f->m->swap_nodes.nr_used;
}

/* Nodes that the places in use need: distinct groups of 64, of 4096 and of 16384 slots. */
static uint64_t expected_nodes(struct machine_fixture *f)
{
	static const uint32_t shift[] = { 6, 12, 14 };
	const struct swap_area *area = &f->m->swap[0];
	uint64_t nr = 0;

	for (size_t level = 0; level < ARRAY_LEN(shift); level++) {
		uint32_t last = UINT32_MAX;

		for (uint32_t slot = 0; slot < area->nr_slots; slot++)
			if (area->cache[slot] != 0 && slot >> shift[level] != last) {
				last = slot >> shift[level];
				nr++;
			}
	}
	return nr;
}

/* Nodes come with the first page of their slots, stay for shadows, and go with the last of these.
 */
static void body_follow(struct machine_fixture *f)
{
	struct region *region = machine_region(f, PAGES);

	machine_fill(f, region, 0, PAGES);
	swap_nodes_enable(f->m);
	assert_int_equal(nr_nodes(f), 0);
	machine_swap_out(f, region, 0, PAGES);
	machine_settle(f);
	assert_true(nr_nodes(f) >= PAGES / 64 + 2);
	assert_int_equal(nr_nodes(f), expected_nodes(f));
	assert_true(machine_node_count(f, NR_SLAB_RECLAIMABLE) >= 2);
	machine_verify(f);
	machine_check(f, region, 0, PAGES / 2);
	assert_int_equal(nr_nodes(f), expected_nodes(f));
	machine_verify(f);
	machine_region_end(f, region);
	machine_verify(f);
	assert_true(nr_nodes(f) >= expected_nodes(f));
	/* Of two nodes that become empty at once one may stay. */
	assert_in_range(nr_nodes(f), 0, 3);
}

MACHINE_TEST(follow, .swap_pages = 4096);

/* Without memory for a node the page goes to swap all the same. */
static void body_no_memory(struct machine_fixture *f)
{
	struct region *region = machine_region(f, PAGES);

	machine_fill(f, region, 0, PAGES);
	swap_nodes_enable(f->m);
	f->m->inject[INJECT_SLAB] = 1;
	machine_swap_out(f, region, 0, PAGES);
	machine_settle(f);
	f->m->inject[INJECT_SLAB] = 0;
	assert_int_equal(nr_nodes(f), 0);
	machine_verify(f);
	machine_check(f, region, 0, PAGES);
	machine_region_end(f, region);
	machine_verify(f);
	assert_int_equal(nr_nodes(f), 0);
}

MACHINE_TEST(no_memory, .swap_pages = 4096);

/* A count that is wrong is found. */
static void body_found(struct machine_fixture *f)
{
	struct swap_area *area = &f->m->swap[0];
	uint64_t nr = 0;

	assert_null(swap_nodes_verify(area, &nr));
	area->node[0][1].nr_used++;
	assert_non_null(swap_nodes_verify(area, &nr));
	area->node[0][1].nr_used--;
	assert_null(swap_nodes_verify(area, &nr));
}

MACHINE_TEST(found, .swap_pages = 4096);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
