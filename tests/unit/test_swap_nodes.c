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

/* Gives back the slots, the last ones of an area that is being switched off. */
static int give_slots(struct task *t, void *arg)
{
	const uint32_t *entry = arg;

	for (uint32_t i = 0; i < 3; i++)
		swap_slot_put(t, entry[i]);
	return 0;
}

/* Who gives the last slot back and swapoff find the same empty nodes: one of them takes each. */
static void body_last_slot(struct machine_fixture *f)
{
	struct swap_area *area = &f->m->swap[0];
	uint32_t entry[3];
	struct task_spec spec = { .name = "giver", .fn = give_slots, .arg = entry };
	struct task *giver;

	swap_nodes_enable(f->m);
	for (uint32_t i = 0; i < 3; i++) {
		entry[i] = swap_slot_get(f->t);
		swap_nodes_prepare(f->t, area, swap_slot_of(entry[i]), GFP_KERNEL);
		cpu_pin(f->t);
		spin_lock(f->t, &area->lock, LOCK_SWAP);
		swap_slot_store_cache(f->t, area, swap_slot_of(entry[i]), 1);
		spin_unlock(f->t, &area->lock, LOCK_SWAP);
		cpu_unpin(f->t);
	}
	assert_int_equal(nr_nodes(f), 3);
	swap_area_close(f->t, area);
	assert_int_equal(rt_spawn(f->t, &spec, &giver), 0);
	while (racy_read(area->inuse) != 0)
		rt_yield(f->t);
	swap_area_end(f->t, area);
	assert_int_equal(rt_join(f->t, giver), 0);
	assert_int_equal(nr_nodes(f), 0);
}

static void test_last_slot(void **state)
{
	uint64_t first = machine_seed();

	(void)state;
	for (uint64_t seed = first; seed < first + 300; seed++)
		machine_run(
			&(struct machine_setup){
				.pages = 640, .swap_pages = 1200, .seed = seed, .explore = true },
			body_last_slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_last_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
