/*
 * Tests of blocks with one owner (PAGE_OWNED in core/page.h), and of giving blocks back without
 * waiting for what their descriptors say.
 *
 *     asked for with GFP_BIT_OWNED ──> refs = PAGE_OWNED | 1 ──> free_pages_put() ──> refs = 0
 *     asked for without            ──> refs = 1, 2, ...      ──> free_pages_put(), the last time
 *
 * Random ones are in test_free_late.c and test_alloc_property.c.
 */
#include "core_fixture.h"

/* Of an owned block nobody gets a reference; the last one of it and of others is dropped alike. */
static void test_owned_blocks(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 8192);
	const struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	uint64_t free_pages = zone_stat_exact(zone, NR_FREE_PAGES);

	for (uint32_t order = 0; order <= NEAP_MAX_ORDER; order++) {
		const struct alloc_request owned = { .gfp = GFP_HIGHUSER_MOVABLE | GFP_BIT_OWNED,
						     .order = order };
		const struct alloc_request shared = { .gfp = GFP_HIGHUSER_MOVABLE | GFP_BIT_COMP,
						      .order = order };
		uint32_t mine = alloc_pages(f.t, &owned);
		uint32_t ours = alloc_pages(f.t, &shared);
		struct page *page = &f.m->pages[ours];

		assert_int_equal(page_refs(&f.m->pages[mine]), PAGE_OWNED | 1);
		assert_false(page_get_unless_zero(&f.m->pages[mine]));
		assert_int_equal(page_refs(page), 1);
		assert_true(page_get_unless_zero(page));
		free_pages_put(f.t, ours, order); /* somebody else still has it */
		assert_int_equal(page_refs(page), 1);
		free_pages_put(f.t, ours, order);
		free_pages_put(f.t, mine, order);
		assert_int_equal(page_refs(page) | page_refs(&f.m->pages[mine]), 0);
	}
	pcp_drain_all(f.t, f.m, NULL);
	assert_int_equal(zone_stat_exact(zone, NR_FREE_PAGES), free_pages);
	core_teardown(&f);
}

/* What comes by the long way is not owned, and its gfp is the caller's in texts. */
static void test_traced_blocks_are_not_owned(void **state)
{
	const struct alloc_request owned = { .gfp = GFP_KERNEL | GFP_BIT_OWNED };
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 8192);
	atomic_store(&f.m->tracing, 1);
	uint32_t pfn = alloc_pages(f.t, &owned);

	atomic_store(&f.m->tracing, 0);
	assert_int_equal(page_refs(&f.m->pages[pfn]), 1);
	free_pages_put(f.t, pfn, 0);
	assert_int_equal(page_refs(&f.m->pages[pfn]), 0);
	core_teardown(&f);
}

/* The CPU remembers the zone of what it gave back last: blocks of two zones take turns. */
static void test_zones_take_turns_when_freeing(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;
	uint32_t pfn[2][64];

	(void)state;
	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_DMA, 1024, 4096);
	core_desc_zone(&desc, 0, ZONE_DMA32, 8192, 4096);
	assert_int_equal(core_setup(&f, &desc), 0);
	for (uint32_t i = 0; i < 64; i++) {
		pfn[0][i] = alloc_page(f.t, GFP_KERNEL | GFP_BIT_DMA | GFP_BIT_OWNED);
		pfn[1][i] = alloc_page(f.t, GFP_KERNEL | GFP_BIT_DMA32 | GFP_BIT_OWNED);
		assert_true(pfn[0][i] < 8192 && pfn[1][i] >= 8192);
	}
	uint32_t before[2] = { f.m->nodes[0].zone[ZONE_DMA].pcp[0].count,
			       f.m->nodes[0].zone[ZONE_DMA32].pcp[0].count };

	for (uint32_t i = 0; i < 64; i++)
		free_page_put(f.t, pfn[i % 2][i / 2]);
	for (uint32_t i = 0; i < 2; i++) {
		const struct zone *zone = &f.m->nodes[0].zone[i == 0 ? ZONE_DMA : ZONE_DMA32];

		assert_int_equal(zone->pcp[0].count, before[i] + 32);
		assert_null(pcp_verify(zone, 0));
	}
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owned_blocks),
		cmocka_unit_test(test_traced_blocks_are_not_owned),
		cmocka_unit_test(test_zones_take_turns_when_freeing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
