/*
 * Tests of core/isolate.c: counts and lists while pageblocks are set aside, blocks that reach over
 * the ends of a range, refusals, and that everything is as before afterwards; and random traffic.
 */
#include "core_fixture.h"

#include <errno.h>

#include "core/gfp.h"
#include "core/isolate.h"
#include "core/pageblock.h"

#define BASE 1048576u /* first frame of the zone */
#define BLOCK NEAP_PAGEBLOCK_PAGES

struct aside {
	struct core_fixture f;
	struct zone *zone;
};

static void aside_open(struct aside *a, uint32_t pages)
{
	core_setup_normal(&a->f, 1, pages);
	a->zone = &a->f.m->nodes[0].zone[ZONE_NORMAL];
}

static void aside_close(struct aside *a)
{
	core_verify(&a->f, 0);
	core_teardown(&a->f);
}

static uint64_t aside_free_pages(const struct aside *a)
{
	return zone_stat_exact(a->zone, NR_FREE_PAGES);
}

static uint32_t aside_take(struct aside *a, uint32_t order, uint32_t gfp)
{
	const struct alloc_request request = { .gfp = gfp, .order = order };

	return alloc_pages(a->f.t, &request);
}

static void test_counts(void **state)
{
	struct aside a;

	(void)state;
	aside_open(&a, 16 * BLOCK);
	assert_int_equal(isolate_set(a.f.t, a.zone, BASE, BASE + 4 * BLOCK, MT_MOVABLE), 0);
	assert_int_equal(aside_free_pages(&a), 12 * BLOCK);
	assert_int_equal(a.zone->nr_isolated_blocks, 4);
	assert_int_equal(pageblock_type(a.f.m, BASE), MT_ISOLATE);
	assert_int_equal(pageblock_type(a.f.m, BASE + 4 * BLOCK), MT_MOVABLE);
	assert_int_equal(isolate_test(a.f.t, a.zone, BASE, BASE + 4 * BLOCK), PFN_NONE);
	assert_int_equal(isolate_test(a.f.t, a.zone, BASE, BASE + 5 * BLOCK), BASE + 4 * BLOCK);
	isolate_clear(a.f.t, a.zone, BASE, BASE + 4 * BLOCK, MT_MOVABLE);
	assert_int_equal(aside_free_pages(&a), 16 * BLOCK);
	assert_int_equal(a.zone->nr_isolated_blocks, 0);
	aside_close(&a);
}

/* A range of one pageblock in the middle of blocks of order 10, on either side. */
static void check_half(uint32_t block)
{
	uint32_t first = BASE + block * BLOCK;
	struct aside a;

	aside_open(&a, 8 * BLOCK);
	assert_int_equal(isolate_set(a.f.t, a.zone, first + 7, first + 9, MT_MOVABLE), 0);
	assert_int_equal(aside_free_pages(&a), 7 * BLOCK);
	assert_int_equal(buddy_count_free(a.zone), 7 * BLOCK);
	assert_null(buddy_verify(a.zone));
	assert_true(page_test(&a.f.m->pages[first], PG_BUDDY));
	assert_int_equal(a.f.m->pages[first].owner, NEAP_PAGEBLOCK_ORDER);
	assert_int_equal(a.f.m->pages[first].index, MT_ISOLATE);
	assert_int_equal(a.zone->area[NEAP_MAX_ORDER].nr_free, 3);
	isolate_clear(a.f.t, a.zone, first, first + BLOCK, MT_MOVABLE);
	/* Both halves have found each other again. */
	assert_int_equal(a.zone->area[NEAP_MAX_ORDER].nr_free, 4);
	assert_int_equal(aside_free_pages(&a), 8 * BLOCK);
	aside_close(&a);
}

static void test_halves(void **state)
{
	(void)state;
	check_half(2);
	check_half(3);
}

static void test_refusals(void **state)
{
	struct aside a;

	(void)state;
	aside_open(&a, 8 * BLOCK);
	uint32_t pfn = aside_take(&a, 0, GFP_KERNEL);
	uint32_t block = pfn & ~(BLOCK - 1);

	page_set(&a.f.m->pages[pfn], PG_KERNEL);
	assert_int_equal(isolate_find_immovable(a.zone, BASE, BASE + 8 * BLOCK), pfn);
	assert_int_equal(isolate_set(a.f.t, a.zone, BASE, BASE + 8 * BLOCK, MT_MOVABLE), -EBUSY);
	assert_int_equal(a.zone->nr_isolated_blocks, 0);
	pcp_drain_all(a.f.t, a.f.m, NULL);
	core_verify(&a.f, 1);
	/* Beside it in the same pageblock the range can be had. */
	assert_int_equal(isolate_set(a.f.t, a.zone, pfn + 1, block + BLOCK, MT_MOVABLE), 0);
	assert_int_equal(isolate_set(a.f.t, a.zone, pfn + 1, block + BLOCK, MT_MOVABLE), -EBUSY);
	assert_int_equal(isolate_test(a.f.t, a.zone, pfn, block + BLOCK), pfn);
	/* What becomes free there stays there, and is not counted. */
	uint64_t before = aside_free_pages(&a);

	page_clear(&a.f.m->pages[pfn], PG_KERNEL);
	core_free(&a.f, pfn, 0);
	assert_int_equal(aside_free_pages(&a), before);
	assert_int_equal(isolate_test(a.f.t, a.zone, block, block + BLOCK), PFN_NONE);
	isolate_clear(a.f.t, a.zone, block, block + BLOCK, MT_MOVABLE);
	assert_int_equal(isolate_set(a.f.t, a.zone, BASE + 7 * BLOCK, BASE + 9 * BLOCK, MT_MOVABLE),
			 -EINVAL);
	assert_int_equal(isolate_set(a.f.t, a.zone, BASE, BASE + BLOCK, MT_CMA), -EBUSY);
	aside_close(&a);
}

/* What boot kept is never moved, in zone Movable at the other end. */
static void check_reserved(enum zone_type type, uint32_t reserved, uint32_t other)
{
	struct machine_desc desc;
	struct aside a;

	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_DMA32, 4096, 4 * BLOCK);
	core_desc_zone(&desc, 0, type, BASE, 8 * BLOCK);
	desc.node[0].zone[type].managed -= 10;
	assert_int_equal(core_setup(&a.f, &desc), 0);
	a.zone = &a.f.m->nodes[0].zone[type];
	assert_int_equal(isolate_set(a.f.t, a.zone, reserved, reserved + 1, MT_MOVABLE), -EBUSY);
	assert_int_equal(isolate_set(a.f.t, a.zone, other, other + 1, MT_MOVABLE), 0);
	isolate_clear(a.f.t, a.zone, other, other + 1, MT_MOVABLE);
	aside_close(&a);
}

static void test_reserved(void **state)
{
	(void)state;
	check_reserved(ZONE_NORMAL, BASE, BASE + 8 * BLOCK - 1);
	check_reserved(ZONE_MOVABLE, BASE + 8 * BLOCK - 1, BASE);
}

/* Pages on CPUs' lists are in nobody's way once the lists were drained. */
static void test_drain(void **state)
{
	struct aside a;

	(void)state;
	aside_open(&a, 8 * BLOCK);
	core_free(&a.f, aside_take(&a, 0, GFP_HIGHUSER_MOVABLE), 0);
	assert_int_not_equal(core_pcp_pages(a.zone), 0);
	assert_int_equal(isolate_set(a.f.t, a.zone, BASE, BASE + 8 * BLOCK, MT_MOVABLE), 0);
	assert_int_not_equal(isolate_test(a.f.t, a.zone, BASE, BASE + 8 * BLOCK), PFN_NONE);
	pcp_drain_all(a.f.t, a.f.m, a.zone);
	assert_int_equal(isolate_test(a.f.t, a.zone, BASE, BASE + 8 * BLOCK), PFN_NONE);
	assert_int_equal(aside_free_pages(&a), 0);
	assert_int_equal(aside_take(&a, 0, GFP_BIT_KSWAPD_RECLAIM | GFP_BIT_HIGH), PFN_NONE);
	isolate_clear(a.f.t, a.zone, BASE, BASE + 8 * BLOCK, MT_MOVABLE);
	aside_close(&a);
}

#define TRAFFIC_STEPS 20000u
#define TRAFFIC_HELD 64u

struct traffic {
	struct aside a;
	struct rng rng;
	uint32_t pfn[TRAFFIC_HELD], order[TRAFFIC_HELD];
	uint64_t held_pages;
	uint32_t first, end; /* set aside; end 0: nothing */
};

static void traffic_block(struct traffic *w)
{
	uint32_t i = (uint32_t)rng_below(&w->rng, TRAFFIC_HELD);

	if (w->pfn[i] != PFN_NONE) {
		core_free(&w->a.f, w->pfn[i], w->order[i]);
		w->held_pages -= 1u << w->order[i];
		w->pfn[i] = PFN_NONE;
		return;
	}
	w->order[i] = (uint32_t)rng_below(&w->rng, 11);
	w->pfn[i] =
		aside_take(&w->a, w->order[i],
			   rng_below(&w->rng, 2) == 0 ? GFP_NOWAIT : GFP_NOWAIT | GFP_BIT_MOVABLE);
	if (w->pfn[i] == PFN_NONE)
		return;
	w->held_pages += 1u << w->order[i];
	/* Nothing is handed out from a range that is set aside. */
	assert_true(w->pfn[i] + (1u << w->order[i]) <= w->first || w->pfn[i] >= w->end);
}

static void traffic_range(struct traffic *w, uint32_t pages)
{
	if (w->end != 0) {
		isolate_clear(w->a.f.t, w->a.zone, w->first, w->end, MT_MOVABLE);
		w->end = 0;
		w->first = 0;
		return;
	}
	uint32_t first = BASE + (uint32_t)rng_below(&w->rng, pages / BLOCK) * BLOCK;
	uint32_t end = first + ((uint32_t)rng_below(&w->rng, 4) + 1) * BLOCK;

	if (isolate_set(w->a.f.t, w->a.zone, first, min_u32(end, BASE + pages), MT_MOVABLE) != 0)
		return;
	pcp_drain_all(w->a.f.t, w->a.f.m, w->a.zone);
	w->first = first;
	w->end = min_u32(end, BASE + pages);
}

static void test_traffic(void **state)
{
	static struct traffic w;
	const uint32_t pages = 32 * BLOCK;

	(void)state;
	memset(&w, 0, sizeof(w));
	rng_seed(&w.rng, core_seed());
	aside_open(&w.a, pages);
	for (uint32_t i = 0; i < TRAFFIC_STEPS; i++) {
		if (rng_below(&w.rng, 8) == 0)
			traffic_range(&w, pages);
		else
			traffic_block(&w);
		if (i % 64 == 0 && w.end == 0)
			core_verify(&w.a.f, w.held_pages);
		else if (i % 64 == 0)
			assert_null(buddy_verify(w.a.zone));
	}
	if (w.end != 0)
		traffic_range(&w, pages);
	for (uint32_t i = 0; i < TRAFFIC_HELD; i++)
		if (w.pfn[i] != PFN_NONE)
			core_free(&w.a.f, w.pfn[i], w.order[i]);
	aside_close(&w.a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),	 cmocka_unit_test(test_halves),
		cmocka_unit_test(test_refusals), cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_drain),	 cmocka_unit_test(test_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
