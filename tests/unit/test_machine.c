/*
 * Tests of core/machine.c: descriptions that are refused, what a built machine looks like, and
 * that every reservation may fail.
 */
#include "core_fixture.h"

#include "core/pageblock.h"

static void desc_pc(struct machine_desc *desc)
{
	core_desc_init(desc, 2, 4);
	desc->node[0].zone[ZONE_DMA] = (struct machine_zone_desc){
		.start_pfn = 1, .spanned = 4095, .present = 3998, .managed = 3840
	};
	core_desc_zone(desc, 0, ZONE_DMA32, 4096, 61396);
	core_desc_zone(desc, 1, ZONE_NORMAL, 1048576, 10007);
}

/* => machine_build()'s result on the description */
static int build_result(const struct machine_desc *desc)
{
	struct core_fixture f;
	int err = core_setup(&f, desc);

	core_teardown(&f);
	return err;
}

static void test_refused_descriptions(void **state)
{
	struct machine_desc good, desc;

	(void)state;
	desc_pc(&good);
	assert_int_equal(build_result(&good), 0);
	desc = good;
	desc.node[0].zone[ZONE_DMA].managed = 3999;
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	desc.node[0].zone[ZONE_DMA].present = 4096;
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	desc.node[0].zone[ZONE_DMA].start_pfn = 0; /* frame 0 is nobody's */
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	desc.node[0].zone[ZONE_DMA32].start_pfn = 4095; /* overlaps */
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	core_desc_zone(&desc, 1, ZONE_DEVICE, 2097152, 512);
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	cpumask_set(&desc.node[1].cpus, 0); /* a CPU in two nodes */
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	cpumask_clear(&desc.node[0].cpus, 0); /* a CPU in none */
	assert_int_equal(build_result(&desc), -EINVAL);
	desc = good;
	desc.nr_nodes = 0;
	assert_int_equal(build_result(&desc), -EINVAL);
	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_MOVABLE, 4096, 4096); /* nothing for the kernel's own */
	assert_int_equal(build_result(&desc), -EINVAL);
}

static void test_built_machine(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	desc_pc(&desc);
	assert_int_equal(core_setup(&f, &desc), 0);
	const struct node *node0 = &f.m->nodes[0];
	const struct node *node1 = &f.m->nodes[1];

	assert_int_equal(f.m->max_pfn, 1048576 + 10007);
	assert_int_equal(f.m->total_pages, 3840 + 61396 + 10007);
	assert_int_equal(f.m->min_free_pages_seen, 3840 + 61396 + 10007);
	assert_int_equal(f.m->zone_stat[NR_FREE_PAGES], 3840 + 61396 + 10007);
	assert_string_equal(node0->zone[ZONE_DMA32].name, "DMA32");
	assert_int_equal(node0->nr_zones, 2);
	assert_int_equal(node1->nr_zones, 3);
	assert_int_equal(node1->distance[0], 20);
	assert_true(cpumask_test(&node1->cpus, 3) && !cpumask_test(&node1->cpus, 1));
	assert_int_equal(f.m->cpus[1].node, 0);
	assert_int_equal(f.m->cpus[2].node, 1);
	assert_ptr_equal(f.rt.slots[3].meter, f.m->cpus[3].meter);
	assert_int_equal(f.m->nr_online, 4);
	assert_non_null(f.m->slot_of);
	assert_int_equal(pageblock_type(f.m, 1048576 + 10006), MT_MOVABLE);
	/* Reserved frames first, whole blocks in ascending order after them. */
	const struct zone *dma = &node0->zone[ZONE_DMA];

	assert_int_equal(dma->area[0].list[MT_MOVABLE].first, 159);
	assert_int_equal(dma->area[5].list[MT_MOVABLE].first, 160);
	assert_int_equal(dma->area[10].list[MT_MOVABLE].first, 1024);
	assert_int_equal(dma->area[10].list[MT_MOVABLE].last, 2048);
	const struct zone *normal = &node1->zone[ZONE_NORMAL];
	uint32_t expect = 1048576;

	for (uint32_t pfn = normal->area[10].list[MT_MOVABLE].first; pfn != PFN_NONE;
	     pfn = f.m->pages[pfn].next) {
		assert_int_equal(pfn, expect);
		expect += 1024;
	}
	assert_int_equal(expect, 1048576 + 9 * 1024);
	/* Inside of a free block: nothing was written. */
	const struct page zero = { 0 };

	assert_memory_equal(&f.m->pages[1048577], &zero, sizeof(zero));
	assert_int_equal(f.rt.slots[0].word, 0);
	core_verify(&f, 0);
	core_teardown(&f);
}

/* A zone that no request of its size class would use still has its page list and its place. */
static void test_places(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	desc_pc(&desc);
	assert_int_equal(core_setup(&f, &desc), 0);
	fake_rt_cpu(&f.rt, 2);
	uint32_t pfn = alloc_page(f.t, GFP_KERNEL);

	assert_int_equal(page_node_id(&f.m->pages[pfn]), 1);
	assert_int_equal(page_zone_index(&f.m->pages[pfn]), ZONE_NORMAL);
	assert_ptr_equal(page_zone(f.m, &f.m->pages[pfn]), &f.m->nodes[1].zone[ZONE_NORMAL]);
	assert_ptr_equal(page_node(f.m, &f.m->pages[pfn]), &f.m->nodes[1]);
	core_teardown(&f);
}

/* The Nth reservation fails, for every N: an error each time, and success after the last. */
static void test_every_reserve_may_fail(void **state)
{
	struct machine_desc desc;
	uint32_t nth = 1;
	int err = -ENOMEM;

	(void)state;
	desc_pc(&desc);
	for (; err != 0 && nth < 100; nth++) {
		static struct core_fixture f;

		fake_rt_init(&f.rt, desc.nr_cpus);
		assert_int_equal(fake_hw_init(&f.hw, 1048576 + 10007), 0);
		f.m = calloc(1, sizeof(*f.m));
		assert_non_null(f.m);
		f.hw.fail_reserve = nth;
		err = machine_build(f.m, &desc, &f.rt.rt, &f.hw.hw, NULL);
		assert_true(err == 0 || err == -ENOMEM);
		core_teardown(&f);
	}
	assert_int_equal(err, 0);
	assert_true(nth > 8);
	/* Hardware with too few frames for the description. */
	struct core_fixture f;

	fake_rt_init(&f.rt, desc.nr_cpus);
	assert_int_equal(fake_hw_init(&f.hw, 1048576), 0);
	f.m = calloc(1, sizeof(*f.m));
	assert_non_null(f.m);
	assert_int_equal(machine_build(f.m, &desc, &f.rt.rt, &f.hw.hw, NULL), -ENOMEM);
	core_teardown(&f);
}

/* Descriptors are written once per free block only. */
static void test_large_machine(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	core_desc_init(&desc, 4, 8);
	for (uint32_t n = 0; n < 4; n++)
		core_desc_zone(&desc, n, ZONE_NORMAL, 1048576 + n * 4194304, 4194304);
	assert_int_equal(core_setup(&f, &desc), 0);
	assert_int_equal(f.m->zone_stat[NR_FREE_PAGES], 4u * 4194304);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(f.m->nodes[n].zone[ZONE_NORMAL].area[10].nr_free, 4096);
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_descriptions),
		cmocka_unit_test(test_built_machine),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_every_reserve_may_fail),
		cmocka_unit_test(test_large_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
