/*
 * Tests of core/pcp.c: limits, refill and flush amounts and their order, draining.
 */
#include "core_fixture.h"

#include "core/pageblock.h"
#include "core/sysctl.h"

#define BASE 1048576u

static void test_limits(void **state)
{
	(void)state;
	assert_int_equal(pcp_batch_for(3840), 1);
	assert_int_equal(pcp_batch_for(52056), 15);
	assert_int_equal(pcp_batch_for(116411), 31);
	assert_int_equal(pcp_batch_for(112936), 31);
	assert_int_equal(pcp_batch_for(262144), 63);
	assert_int_equal(pcp_batch_for(32768), 7);
	assert_int_equal(pcp_batch_for(65536), 15);
	assert_int_equal(pcp_batch_for((uint64_t)1 << 36), 63);
	assert_int_equal(pcp_batch_for(0), 1);
	assert_int_equal(pcp_high_for(828, 2, 31), 414);
	assert_int_equal(pcp_high_for(27, 2, 1), 13);
	assert_int_equal(pcp_high_for(253783 / 8, 2, 63), 15861);
	assert_int_equal(pcp_high_for(25, 2, 63), 252);
	assert_int_equal(pcp_high_for(UINT32_MAX, 1, 63), INT32_MAX);
}

static void test_high_fraction(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 4, 262144);
	struct pcp *pcp = &f.m->nodes[0].zone[ZONE_NORMAL].pcp[2];
	uint64_t low = zone_mark(&f.m->nodes[0].zone[ZONE_NORMAL], WMARK_LOW);

	assert_int_equal(pcp->batch, 63);
	assert_int_equal(pcp->high, max_u64(low / 4, 4 * 63));
	atomic_store(&f.m->sysctl.percpu_pagelist_high_fraction, 8);
	pcp_limits_setup(f.m);
	assert_int_equal(pcp->high, 262144 / 8 / 4);
	core_teardown(&f);
}

/* One CPU, with chosen batch and high. */
static struct pcp *setup_lists(struct core_fixture *f, uint32_t batch, uint32_t high)
{
	core_setup_normal(f, 1, 65536);
	struct pcp *pcp = &f->m->nodes[0].zone[ZONE_NORMAL].pcp[0];

	core_pcp_limits(pcp, batch, high);
	return pcp;
}

static void test_refill(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE, .order = 0 };

	(void)state;
	struct pcp *pcp = setup_lists(&f, 31, 414);
	const struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	/* Ascending, a batch at a time, and the free count falls by the batch at once. */
	for (uint32_t i = 0; i < 31; i++) {
		assert_int_equal(alloc_pages(f.t, &request), BASE + i);
		assert_int_equal(pcp->count, 30 - i);
		assert_int_equal(zone_stat_exact(zone, NR_FREE_PAGES), 65536 - 31);
	}
	request.order = 1;
	assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
	assert_int_equal(pcp->count, 14 * 2);
	assert_int_equal(zone_stat_exact(zone, NR_FREE_PAGES), 65536 - 31 - 30);
	request.order = 3;
	assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
	assert_int_equal(pcp->count, 14 * 2 + 2 * 8);
	request.order = 9;
	assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
	assert_int_equal(pcp->count, 14 * 2 + 2 * 8 + 512);
	request.order = 4;
	assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
	assert_int_equal(pcp->count, 14 * 2 + 2 * 8 + 512);
	core_verify(&f, 31 + 2 + 8 + 512 + 16);
	core_teardown(&f);
}

/* Frees `nr` pages and compares the sizes of the flushes with `expect` (0-terminated). */
static void check_flushes(struct core_fixture *f, const uint32_t *pfn, uint32_t nr,
			  const uint32_t *expect)
{
	const struct zone *zone = &f->m->nodes[0].zone[ZONE_NORMAL];
	uint64_t free_before = zone_stat_exact(zone, NR_FREE_PAGES);

	for (uint32_t i = 0; i < nr; i++) {
		core_free(f, pfn[i], 0);
		uint64_t free_now = zone_stat_exact(zone, NR_FREE_PAGES);

		if (free_now == free_before)
			continue;
		assert_int_equal(free_now - free_before, *expect);
		assert_int_not_equal(*expect, 0);
		expect++;
		free_before = free_now;
	}
	assert_int_equal(*expect, 0);
}

static void take_pages(struct core_fixture *f, uint32_t *pfn, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		pfn[i] = alloc_page(f->t, GFP_HIGHUSER_MOVABLE);
		assert_int_not_equal(pfn[i], PFN_NONE);
	}
}

static uint32_t pfns[8192];

/* Recorded: batch 31 and high 828, batch 15 and high 535 (the factor stops at five), batch 1. */
static void test_flush_growth(void **state)
{
	static const struct {
		uint32_t batch, high, frees;
		uint32_t expect[10];
	} runs[] = {
		{ 31,
		  828,
		  828 + 31 + 62 + 124 + 248 + 496 + 797,
		  { 31, 62, 124, 248, 496, 797, 797 } },
		{ 63, 414, 414 + 63 + 126 + 252 + 351, { 63, 126, 252, 351, 351 } },
		{ 15,
		  535,
		  535 + 15 + 30 + 60 + 120 + 240 + 480,
		  { 15, 30, 60, 120, 240, 480, 480 } },
		{ 1, 27, 27 + 1 + 2 + 4 + 8 + 16, { 1, 2, 4, 8, 16, 26 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct core_fixture f;
		struct pcp *pcp = setup_lists(&f, 1, 20000);

		take_pages(&f, pfns, runs[i].frees);
		core_pcp_limits(pcp, runs[i].batch, runs[i].high);
		pcp->free_factor = 0;
		check_flushes(&f, pfns, runs[i].frees, runs[i].expect);
		core_verify(&f, 0);
		core_teardown(&f);
	}
}

/* While kswapd works here the lists stay at four batches. */
static void test_flush_under_reclaim(void **state)
{
	static const uint32_t expect[] = { 31, 62, 93, 93, 0 };
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 1, 20000);

	(void)state;
	take_pages(&f, pfns, 124 + 31 + 62 + 93);
	core_pcp_limits(pcp, 31, 828);
	pcp->free_factor = 0;
	atomic_store(&f.m->nodes[0].zone[ZONE_NORMAL].flags, ZONE_RECLAIM_ACTIVE);
	check_flushes(&f, pfns, 124 + 31 + 62 + 93, expect);
	core_teardown(&f);
}

/* A high-order free in a run of frees empties the set; so does it with a boot set's high of 0. */
static void test_high_order_flushes_all(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_KERNEL, .order = 2 };

	(void)state;
	struct pcp *pcp = setup_lists(&f, 31, 414);
	uint32_t block = alloc_pages(f.t, &request);
	uint32_t other = alloc_pages(f.t, &request);

	take_pages(&f, pfns, 40);
	core_free(&f, block, 2);
	assert_int_not_equal(pcp->count, 0);
	pcp->free_factor = 1;
	core_free(&f, other, 2);
	assert_int_equal(pcp->count, 0);
	core_pcp_limits(pcp, 31, 0);
	pcp->free_factor = 0;
	core_free(&f, pfns[0], 0);
	core_free(&f, pfns[1], 0);
	assert_int_equal(pcp->count, 0);
	core_verify(&f, 38);
	core_teardown(&f);
}

/* Newest first out to requests, oldest first back to the free lists. */
static void test_order_of_lists(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 4, 1000);

	(void)state;
	take_pages(&f, pfns, 4);
	for (uint32_t i = 0; i < 4; i++)
		core_free(&f, pfns[i], 0);
	assert_int_equal(pcp_list_newest(&pcp->list[MT_MOVABLE]), pfns[3]);
	assert_int_equal(pcp_list_oldest(&pcp->list[MT_MOVABLE]), pfns[0]);
	cpu_pin(f.t);
	pcp_drain(f.t, &f.m->nodes[0].zone[ZONE_NORMAL], 1);
	cpu_unpin(f.t);
	assert_int_equal(pcp_list_oldest(&pcp->list[MT_MOVABLE]), pfns[1]);
	assert_int_equal(alloc_page(f.t, GFP_HIGHUSER_MOVABLE), pfns[3]);
	core_verify(&f, 1);
	core_teardown(&f);
}

/* A page remembers the type of its pageblock at free time; reserved ones sit among the movable. */
static void test_reserved_pages_remember(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 4, 1000);

	(void)state;
	uint32_t pfn = alloc_page(f.t, GFP_KERNEL);

	pageblock_set_type(f.m, pfn, MT_HIGHATOMIC);
	core_free(&f, pfn, 0);
	assert_int_equal(pcp_list_newest(&pcp->list[MT_MOVABLE]), pfn);
	pcp_drain_all(f.t, f.m, NULL);
	assert_int_equal(pcp->count, 0);
	assert_true(buddy_has(&f.m->nodes[0].zone[ZONE_NORMAL], 0, MT_HIGHATOMIC));
	core_verify(&f, 0);
	core_teardown(&f);
}

/* Reserved ones among others go back to the reserve; the others, and those after them, do not. */
static void test_blocks_go_back_to_the_types_they_remember(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 1, 1000);
	const struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	(void)state;
	/* Of two pageblocks, not beside each other. */
	take_pages(&f, pfns, 2 * NEAP_PAGEBLOCK_PAGES);
	const uint32_t reserved = pfns[0];
	const uint32_t other = pfns[NEAP_PAGEBLOCK_PAGES];

	assert_int_equal(other >> PAGEBLOCK_SHIFT, (reserved >> PAGEBLOCK_SHIFT) + 1);
	pageblock_set_type(f.m, reserved, MT_HIGHATOMIC);
	for (uint32_t i = 0; i < 20; i += 2) {
		core_free(&f, other + i, 0);
		core_free(&f, reserved + i, 0);
	}
	assert_int_equal(pcp_list_nr(&pcp->list[MT_MOVABLE]), 20);
	assert_null(pcp_verify(zone, 0));
	pcp_drain_all(f.t, f.m, NULL);
	for (uint32_t i = 0; i < 20; i += 2) {
		assert_int_equal(f.m->pages[reserved + i].index, MT_HIGHATOMIC);
		assert_int_equal(f.m->pages[other + i].index, MT_MOVABLE);
	}
	assert_true(buddy_has(zone, 0, MT_HIGHATOMIC));
	/* The list is one of Movable blocks again when it was empty and is refilled. */
	core_free(&f, alloc_page(f.t, GFP_HIGHUSER_MOVABLE), 0);
	assert_false(pcp->list[MT_MOVABLE].mixed);
	core_verify(&f, 2 * NEAP_PAGEBLOCK_PAGES - 20);
	core_teardown(&f);
}

/* Huge pages of two types share a list. */
static void test_huge_pages_go_back_to_the_types_they_remember(void **state)
{
	static const uint32_t types[] = { MT_UNMOVABLE, MT_RECLAIMABLE, MT_MOVABLE, MT_HIGHATOMIC };
	const struct alloc_request request = { .gfp = GFP_KERNEL, .order = NEAP_PAGEBLOCK_ORDER };
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 1, 10000);

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		pfns[i] = alloc_pages(f.t, &request);
	for (uint32_t i = 0; i < 8; i += 2) {
		pageblock_set_type(f.m, pfns[i], types[i / 2]);
		core_free(&f, pfns[i], NEAP_PAGEBLOCK_ORDER);
	}
	assert_int_equal(pcp_list_nr(&pcp->list[PCP_HUGE_LIST]), 2);
	assert_int_equal(pcp_list_nr(&pcp->list[PCP_HUGE_LIST + 1]), 2);
	assert_null(pcp_verify(&f.m->nodes[0].zone[ZONE_NORMAL], 0));
	pcp_drain_all(f.t, f.m, NULL);
	for (uint32_t i = 0; i < 8; i += 2)
		assert_int_equal(f.m->pages[pfns[i]].index, types[i / 2]);
	core_verify(&f, 4 * NEAP_PAGEBLOCK_PAGES);
	core_teardown(&f);
}

static void test_isolated_pages_bypass(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 4, 1000);

	(void)state;
	uint32_t pfn = alloc_page(f.t, GFP_KERNEL);
	uint32_t count = pcp->count;
	uint64_t free_pages = zone_stat_exact(&f.m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES);

	pageblock_set_type(f.m, pfn, MT_ISOLATE);
	core_free(&f, pfn, 0);
	assert_int_equal(pcp->count, count);
	assert_int_equal(zone_stat_exact(&f.m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES),
			 free_pages);
	core_teardown(&f);
}

/* The end of a list is the number before the first frame there can be: no run reaches it. */
static void test_flush_of_the_first_frames(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;
	const struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE, .order = 3 };
	uint32_t nr = 0;

	(void)state;
	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_NORMAL, 1, 4095);
	assert_int_equal(core_setup(&f, &desc), 0);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	/* The block at 8 is the newest of its list, and more than its list goes back. */
	for (pfns[0] = alloc_pages(f.t, &request); pfns[nr] != PFN_NONE && pfns[nr] != 8;)
		pfns[++nr] = alloc_pages(f.t, &request);
	assert_int_equal(pfns[nr], 8);
	pcp_drain_all(f.t, f.m, NULL);
	pageblock_set_type(f.m, 8, MT_UNMOVABLE);
	core_free(&f, alloc_page(f.t, GFP_HIGHUSER_MOVABLE), 0);
	core_free(&f, 8, 3);
	assert_int_equal(pcp_list_newest(&zone->pcp[0].list[pcp_list_index(3, MT_UNMOVABLE)]), 8);
	pcp_drain_all(f.t, f.m, NULL);
	core_verify(&f, nr * 8);
	core_teardown(&f);
}

static void test_drain_all(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	core_desc_init(&desc, 2, 4);
	core_desc_zone(&desc, 0, ZONE_NORMAL, BASE, 16384);
	core_desc_zone(&desc, 1, ZONE_NORMAL, BASE + 16384, 16384);
	assert_int_equal(core_setup(&f, &desc), 0);
	struct zone *zone0 = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct zone *zone1 = &f.m->nodes[1].zone[ZONE_NORMAL];

	for (uint32_t cpu = 0; cpu < 4; cpu++) {
		fake_rt_cpu(&f.rt, cpu);
		core_free(&f, alloc_page(f.t, GFP_KERNEL), 0);
	}
	assert_true(core_pcp_pages(zone0) > 0 && core_pcp_pages(zone1) > 0);
	pcp_drain_all(f.t, f.m, zone1);
	assert_true(core_pcp_pages(zone0) > 0);
	assert_int_equal(core_pcp_pages(zone1), 0);
	/* A second general drain leaves the work to the first. */
	f.m->pcp_draining = 1;
	pcp_drain_all(f.t, f.m, NULL);
	assert_true(core_pcp_pages(zone0) > 0);
	f.m->pcp_draining = 0;
	pcp_drain_all(f.t, f.m, NULL);
	assert_int_equal(core_pcp_pages(zone0), 0);
	assert_int_equal(f.m->pcp_draining, 0);
	assert_int_equal(task_cpu(f.t), 3);
	core_verify(&f, 0);
	core_teardown(&f);
}

/* A set that is sound but for what the caller spoils. => what pcp_verify() says of it */
static void check_found(const struct core_fixture *f, const char *wrong)
{
	const char *found = pcp_verify(&f->m->nodes[0].zone[ZONE_NORMAL], 0);

	assert_non_null(found);
	assert_string_equal(found, wrong);
}

static void test_verify_finds(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 4, 1000);
	const struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	(void)state;
	core_free(&f, alloc_page(f.t, GFP_KERNEL), 0);
	assert_null(pcp_verify(zone, 0));
	pcp->count++;
	check_found(&f, "a per-CPU count is not the pages on the lists");
	pcp->count--;
	struct page *newest = &f.m->pages[pcp_list_newest(&pcp->list[MT_UNMOVABLE])];
	struct page *oldest = &f.m->pages[pcp_list_oldest(&pcp->list[MT_UNMOVABLE])];

	page_set(newest, PG_DIRTY);
	check_found(&f, "a page on a per-CPU list has wrong flags");
	page_clear(newest, PG_DIRTY);
	oldest->refs = 1;
	check_found(&f, "a page on a per-CPU list is referenced or mapped");
	oldest->refs = 0;
	oldest->maps = 1;
	check_found(&f, "a page on a per-CPU list is referenced or mapped");
	oldest->maps = 0;
	assert_null(pcp_verify(zone, 0));
	core_teardown(&f);
}

/* Numbers in the array that are not those of blocks of this list. */
static void test_verify_finds_a_wrong_number(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 4, 1000);
	const struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	(void)state;
	core_free(&f, alloc_page(f.t, GFP_KERNEL), 0);
	core_free(&f, alloc_page(f.t, GFP_HIGHUSER_MOVABLE), 0);
	uint32_t *number = pcp->list[MT_UNMOVABLE].first;
	uint32_t right = *number;

	*number = BASE - 1;
	check_found(&f, "a frame outside the zone is on its per-CPU list");
	*number = BASE + 65536;
	check_found(&f, "a frame outside the zone is on its per-CPU list");
	*number = PFN_NONE;
	check_found(&f, "a frame outside the zone is on its per-CPU list");
	*number = zone->area[NEAP_MAX_ORDER].list[MT_MOVABLE].first;
	check_found(&f, "a page on a per-CPU list has wrong flags");
	*number = pcp_list_newest(&pcp->list[MT_MOVABLE]);
	check_found(&f, "a page is on the per-CPU list of another type");
	*number = right;
	/* A type that only a list that says so may have. */
	uint32_t movable = pcp_list_newest(&pcp->list[MT_MOVABLE]);

	f.m->pages[movable].flags = pcp_page_flags(zone, 0, MT_HIGHATOMIC);
	check_found(&f, "a per-CPU list has a page of a type that it does not tell of");
	pcp->list[MT_MOVABLE].mixed = true;
	assert_null(pcp_verify(zone, 0));
	core_teardown(&f);
}

static void test_verify_finds_a_list_outside_its_array(void **state)
{
	struct core_fixture f;
	struct pcp *pcp = setup_lists(&f, 4, 1000);

	(void)state;
	core_free(&f, alloc_page(f.t, GFP_KERNEL), 0);
	struct pcp_list *list = &pcp->list[MT_UNMOVABLE];
	const struct pcp_list right = *list;

	list->room = list->first + 1;
	check_found(&f, "a per-CPU list is not in its array");
	*list = right;
	list->room_end = list->end - 1;
	check_found(&f, "a per-CPU list is not in its array");
	*list = right;
	list->first = list->end + 1;
	check_found(&f, "a per-CPU list is not in its array");
	*list = right;
	assert_null(pcp_verify(&f.m->nodes[0].zone[ZONE_NORMAL], 0));
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_high_fraction),
		cmocka_unit_test(test_refill),
		cmocka_unit_test(test_flush_growth),
		cmocka_unit_test(test_flush_under_reclaim),
		cmocka_unit_test(test_high_order_flushes_all),
		cmocka_unit_test(test_order_of_lists),
		cmocka_unit_test(test_reserved_pages_remember),
		cmocka_unit_test(test_blocks_go_back_to_the_types_they_remember),
		cmocka_unit_test(test_huge_pages_go_back_to_the_types_they_remember),
		cmocka_unit_test(test_isolated_pages_bypass),
		cmocka_unit_test(test_flush_of_the_first_frames),
		cmocka_unit_test(test_drain_all),
		cmocka_unit_test(test_verify_finds),
		cmocka_unit_test(test_verify_finds_a_wrong_number),
		cmocka_unit_test(test_verify_finds_a_list_outside_its_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
