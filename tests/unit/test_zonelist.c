/*
 * Tests of core/zonelist.c: node orders that a real kernel printed, and which entries a request
 * may use.
 */
#include "core_fixture.h"

#include "core/zonelist.h"

struct order_case {
	uint32_t nr_nodes;
	uint32_t distance[4][4];
	bool no_memory[4];
	const char *order[4];
};

static const struct order_case cases[] = {
	{ .nr_nodes = 2, .distance = { { 10, 20 }, { 20, 10 } }, .order = { "0 1 ", "1 0 " } },
	{ .nr_nodes = 2,
	  .distance = { { 10, 20 }, { 20, 10 } },
	  .no_memory = { false, true },
	  .order = { "0 ", "1 0 " } },
	{ .nr_nodes = 4,
	  .distance = { { 10, 20, 20, 20 },
			{ 20, 10, 20, 20 },
			{ 20, 20, 10, 20 },
			{ 20, 20, 20, 10 } },
	  .order = { "0 1 2 3 ", "1 2 3 0 ", "2 3 0 1 ", "3 0 1 2 " } },
	{ .nr_nodes = 4,
	  .distance = { { 10, 15, 20, 30 },
			{ 15, 10, 25, 20 },
			{ 20, 25, 10, 12 },
			{ 30, 20, 12, 10 } },
	  .order = { "0 1 2 3 ", "1 0 3 2 ", "2 3 0 1 ", "3 2 1 0 " } },
};

static void setup_case(struct core_fixture *f, const struct order_case *c)
{
	struct machine_desc desc;

	core_desc_init(&desc, c->nr_nodes, c->nr_nodes);
	for (uint32_t n = 0; n < c->nr_nodes; n++) {
		for (uint32_t k = 0; k < c->nr_nodes; k++)
			desc.node[n].distance[k] = c->distance[n][k];
		if (!c->no_memory[n])
			core_desc_zone(&desc, n, ZONE_NORMAL, 1048576 + n * 8192, 8192);
	}
	assert_int_equal(core_setup(f, &desc), 0);
}

static void test_node_orders(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct core_fixture f;
		uint32_t load[NEAP_MAX_NODES] = { 0 };

		setup_case(&f, &cases[i]);
		for (uint32_t n = 0; n < cases[i].nr_nodes; n++) {
			uint32_t order[NEAP_MAX_NODES];
			uint32_t nr = zonelist_node_order(f.m, n, load, order);
			char text[64] = "";

			for (uint32_t k = 0; k < nr; k++)
				snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u ",
					 order[k]);
			assert_string_equal(text, cases[i].order[n]);
		}
		core_teardown(&f);
	}
}

static void test_lists(void **state)
{
	static const struct {
		uint32_t node;
		enum zone_type type;
	} expect[] = {
		{ 0, ZONE_NORMAL }, { 0, ZONE_DMA32 }, { 0, ZONE_DMA }, { 1, ZONE_MOVABLE }
	};
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	core_desc_init(&desc, 2, 2);
	core_desc_zone(&desc, 0, ZONE_DMA, 1, 4095);
	core_desc_zone(&desc, 0, ZONE_DMA32, 4096, 8192);
	core_desc_zone(&desc, 0, ZONE_NORMAL, 1048576, 4096);
	core_desc_zone(&desc, 1, ZONE_MOVABLE, 2097152, 4096);
	assert_int_equal(core_setup(&f, &desc), 0);
	const struct zonelist *list = &f.m->nodes[0].fallback;

	for (uint32_t i = 0; i < ARRAY_LEN(expect); i++) {
		assert_non_null(list->ref[i].zone);
		assert_int_equal(list->ref[i].zone->node, expect[i].node);
		assert_int_equal(list->ref[i].index, expect[i].type);
	}
	assert_null(list->ref[ARRAY_LEN(expect)].zone);
	assert_non_null(f.m->nodes[0].nofallback.ref[2].zone);
	assert_null(f.m->nodes[0].nofallback.ref[3].zone);
	assert_int_equal(f.m->nodes[1].fallback.ref[0].zone->type, ZONE_MOVABLE);
	assert_int_equal(f.m->policy_zone, ZONE_NORMAL);
	assert_true(f.m->nodes[0].zone[ZONE_NORMAL].nofragment);
	assert_false(f.m->nodes[1].zone[ZONE_NORMAL].nofragment);
	core_teardown(&f);
}

static void test_first_entries(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;
	const uint64_t node1 = 2;
	uint32_t seen = 0;
	const struct zoneref *ref;

	(void)state;
	core_desc_init(&desc, 2, 2);
	core_desc_zone(&desc, 0, ZONE_DMA32, 4096, 4096);
	core_desc_zone(&desc, 0, ZONE_NORMAL, 1048576, 4096);
	core_desc_zone(&desc, 1, ZONE_NORMAL, 2097152, 4096);
	assert_int_equal(core_setup(&f, &desc), 0);
	const struct zonelist *list = &f.m->nodes[0].fallback;

	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		assert_ptr_equal(zonelist_first(list, limit, NULL),
				 zonelist_seek(list->ref, limit, NULL));
	assert_null(zonelist_first(list, ZONE_DMA, NULL)->zone);
	assert_int_equal(zonelist_first(list, ZONE_DMA32, NULL)->index, ZONE_DMA32);
	assert_int_equal(zonelist_first(list, ZONE_MOVABLE, &node1)->zone->node, 1);
	assert_null(zonelist_first(list, ZONE_DMA32, &node1)->zone);
	zonelist_for_each(ref, list, ZONE_NORMAL, NULL) seen++;
	assert_int_equal(seen, 3);
	core_teardown(&f);
}

/* Below five pageblocks of 512 frames everything is one type. */
static void test_grouping_limit(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 2559);
	assert_true(f.m->mobility_disabled);
	assert_int_equal(gfp_migrate_type(f.m, GFP_HIGHUSER_MOVABLE), MT_UNMOVABLE);
	core_teardown(&f);
	core_setup_normal(&f, 1, 2560);
	assert_false(f.m->mobility_disabled);
	assert_int_equal(gfp_migrate_type(f.m, GFP_HIGHUSER_MOVABLE), MT_MOVABLE);
	assert_int_equal(gfp_migrate_type(f.m, GFP_KERNEL | GFP_BIT_RECLAIMABLE), MT_RECLAIMABLE);
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_orders),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_first_entries),
		cmocka_unit_test(test_grouping_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
