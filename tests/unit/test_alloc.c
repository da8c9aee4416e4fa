/*
 * Tests of core/alloc.c and core/alloc_slow.c: flags, the mark test, zone choice, rights, failure,
 * and random requests of every kind against a map of used frames.
 */
#include "core_fixture.h"

#include "core/mempolicy.h"
#include "core/alloc_dry.h"
#include "core/alloc_path.h"
#include "base/rng.h"
#include "core/pageblock.h"
#include "core/zonelist.h"

#define BASE 1048576u

/* ---- flags ---- */

static void test_gfp(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 8192);
	assert_int_equal(gfp_highest_zone(GFP_KERNEL), ZONE_NORMAL);
	assert_int_equal(gfp_highest_zone(GFP_BIT_DMA), ZONE_DMA);
	assert_int_equal(gfp_highest_zone(GFP_HIGHUSER), ZONE_NORMAL);
	assert_int_equal(gfp_highest_zone(GFP_BIT_DMA32), ZONE_DMA32);
	assert_int_equal(gfp_highest_zone(GFP_BIT_MOVABLE), ZONE_NORMAL);
	assert_int_equal(gfp_highest_zone(GFP_BIT_MOVABLE | GFP_BIT_DMA), ZONE_DMA);
	assert_int_equal(gfp_highest_zone(GFP_HIGHUSER_MOVABLE), ZONE_MOVABLE);
	assert_int_equal(gfp_highest_zone(GFP_BIT_MOVABLE | GFP_BIT_DMA32), ZONE_DMA32);
	assert_int_equal(gfp_migrate_type(f.m, GFP_KERNEL), MT_UNMOVABLE);
	assert_int_equal(gfp_migrate_type(f.m, GFP_HIGHUSER_MOVABLE), MT_MOVABLE);
	f.t->flags = PF_MEMALLOC_NOFS;
	assert_int_equal(gfp_in_context(f.t, GFP_KERNEL), GFP_NOFS);
	f.t->flags = PF_MEMALLOC_NOIO;
	assert_int_equal(gfp_in_context(f.t, GFP_KERNEL), GFP_NOIO);
	f.t->flags = 0;
	assert_int_equal(gfp_in_context(f.t, GFP_KERNEL), GFP_KERNEL);
	core_teardown(&f);
}

/* ---- the mark test ---- */

/* One row: is `free` enough for a request at min 8672? */
struct mark_case {
	uint32_t flags;
	int64_t fails_at; /* the largest amount that is not enough */
};

static void test_mark_discounts(void **state)
{
	static const struct mark_case cases[] = {
		{ ALLOC_WMARK_MIN, 8672 },
		{ ALLOC_NON_BLOCK, 8672 },
		{ ALLOC_MIN_RESERVE, 4336 },
		{ ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK, 3252 },
		{ ALLOC_OOM, 4336 },
		{ ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK | ALLOC_OOM, 1626 },
	};
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 65536);
	const struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct watermark_query query = { .limit = ZONE_MOVABLE,
						 .alloc_flags = cases[i].flags,
						 .mark = 8672,
						 .free = cases[i].fails_at };

		assert_false(zone_watermark_test(zone, &query, NULL));
		query.free++;
		assert_true(zone_watermark_test(zone, &query, NULL));
	}
	core_teardown(&f);
}

/* What is computed before says of plain requests what the marks say; where it cannot, it says no.
 */
static void test_plain_above_is_the_mark_test(void **state)
{
	struct core_fixture f;
	struct rng rng;

	(void)state;
	core_setup_normal(&f, 1, 65536);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	const uint64_t free_pages = zone_stat(zone, NR_FREE_PAGES);

	rng_seed(&rng, core_seed());
	for (uint32_t i = 0; i < 2000; i++) {
		/* Close to what is free: one page more or less decides. */
		uint64_t reserve = rng_below(&rng, 3000), boost = rng_below(&rng, 3000);
		uint64_t reserved = rng_below(&rng, 6) * NEAP_PAGEBLOCK_PAGES;
		uint64_t low = free_pages - reserve - boost - reserved + 1 - rng_below(&rng, 4);
		uint32_t limit = (uint32_t)rng_below(&rng, NR_ZONES);

		atomic_store(&zone->mark[WMARK_LOW], low);
		atomic_store(&zone->boost, boost);
		atomic_store(&zone->reserve[limit], reserve);
		atomic_store(&zone->nr_reserved_highatomic, reserved);
		marks_refresh(zone);
		assert_int_equal((int64_t)free_pages > zone->plain_above[limit],
				 zone_watermark_ok(zone, 0, low + boost, limit, 0));
	}
	atomic_fetch_or(&zone->flags, ZONE_BOOSTED);
	marks_refresh(zone);
	assert_true(zone->plain_above[0] == INT64_MAX);
	atomic_fetch_and(&zone->flags, ~ZONE_BOOSTED);
	f.m->mobility_disabled = true;
	marks_refresh(zone);
	assert_true(zone->plain_above[0] == INT64_MAX);
	core_teardown(&f);
}

static void test_mark_terms(void **state)
{
	struct core_fixture f;
	struct watermark_terms terms;

	(void)state;
	core_setup_normal(&f, 1, 65536);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct watermark_query query = {
		.order = 3, .limit = ZONE_MOVABLE, .mark = 100, .free = 620
	};

	zone->reserve[ZONE_MOVABLE] = 10;
	zone->nr_reserved_highatomic = 512;
	marks_refresh(zone);
	assert_false(zone_watermark_test(zone, &query, &terms));
	assert_int_equal(terms.free, 620);
	assert_int_equal(terms.unusable, 512 + 7);
	assert_int_equal(terms.mark, 100);
	assert_int_equal(terms.reserve, 10);
	assert_false(terms.ok || terms.order_failed);
	query.free = 630;
	assert_true(zone_watermark_test(zone, &query, &terms));
	assert_true(terms.ok);
	/* The right to the reserve makes it usable. */
	query.alloc_flags = ALLOC_HIGHATOMIC;
	query.free = 118;
	assert_true(zone_watermark_test(zone, &query, NULL));
	query.free = 117;
	assert_false(zone_watermark_test(zone, &query, NULL));
	core_teardown(&f);
}

/* Enough pages, but in pieces. */
static void test_mark_order(void **state)
{
	struct core_fixture f;
	struct watermark_terms terms;
	static uint32_t pfn[2560 + 1]; /* the last one is the failure */
	uint32_t nr = 0;

	(void)state;
	core_setup_normal(&f, 1, 2560);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct watermark_query query = { .order = 1, .limit = ZONE_NORMAL, .mark = 0, .free = 500 };

	while ((pfn[nr] = alloc_page(f.t, GFP_NOWAIT | GFP_BIT_MEMALLOC)) != PFN_NONE)
		nr++;
	assert_int_equal(nr, 2560);
	for (uint32_t i = 0; i < nr; i++)
		if (pfn[i] % 2 == 0)
			core_free(&f, pfn[i], 0);
	pcp_drain_all(f.t, f.m, NULL);
	assert_false(zone_watermark_test(zone, &query, &terms));
	assert_true(terms.order_failed);
	query.order = 0;
	assert_true(zone_watermark_test(zone, &query, NULL));
	/* Reserved blocks count for those with the right only. */
	pageblock_set_type(f.m, BASE, MT_HIGHATOMIC);
	cpu_pin(f.t);
	spin_lock(f.t, &zone->lock, LOCK_ZONE);
	pageblock_move_free(f.t, zone, BASE, MT_HIGHATOMIC, NULL);
	spin_unlock(f.t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f.t);
	core_free(&f, BASE + 1, 0);
	pcp_drain_all(f.t, f.m, NULL);
	query.order = 1;
	assert_false(zone_watermark_test(zone, &query, NULL));
	query.alloc_flags = ALLOC_HIGHATOMIC;
	assert_true(zone_watermark_test(zone, &query, NULL));
	core_teardown(&f);
}

static void test_safe_test_is_exact(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 2, 8192);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	zone->stat[NR_FREE_PAGES] = 100;
	zone->pcp[0].diff[NR_FREE_PAGES] = 3;
	zone->pcp[1].diff[NR_FREE_PAGES] = 2;
	assert_false(zone_watermark_ok(zone, 0, 104, ZONE_NORMAL, 0));
	zone->drift_mark = 100;
	assert_false(zone_watermark_ok_safe(zone, 0, 104, ZONE_NORMAL, 0));
	zone->drift_mark = 101;
	assert_true(zone_watermark_ok_safe(zone, 0, 104, ZONE_NORMAL, 0));
	core_teardown(&f);
}

static void test_reclaimable(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 8192);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	assert_int_equal(zone_reclaimable_pages(zone), 8192);
	zone->stat[NR_ZONE_INACTIVE_ANON] = 50;
	assert_int_equal(zone_reclaimable_pages(zone), 8192);
	zone->stat[NR_ZONE_ACTIVE_FILE] = 7;
	assert_int_equal(zone_reclaimable_pages(zone), 7);
	f.m->nr_swap_free = 1;
	assert_int_equal(zone_reclaimable_pages(zone), 57);
	core_teardown(&f);
}

/* ---- pages ---- */

/* Only the tails of a compound block say what they are, and only while it is in use. */
static void test_compound_tails(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE | GFP_BIT_COMP, .order = 3 };

	(void)state;
	core_setup_normal(&f, 1, 8192);
	uint32_t pfn = alloc_pages(f.t, &request);
	const struct page *page = &f.m->pages[pfn];

	for (uint32_t i = 1; i < 8; i++)
		assert_int_equal(page_flags(&page[i]), PG_TAIL | page_place(0, ZONE_NORMAL));
	core_free(&f, pfn, 3);
	for (uint32_t i = 1; i < 8; i++)
		assert_int_equal(page_flags(&page[i]), 0);
	core_teardown(&f);
}

static void test_fresh_pages(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_KERNEL | GFP_BIT_ZERO, .order = 3 };

	(void)state;
	core_setup_normal(&f, 1, 8192);
	uint32_t pfn = alloc_pages(f.t, &request);
	const struct page *page = &f.m->pages[pfn];

	assert_int_equal(pfn % 8, 0);
	assert_int_equal(page_refs(page), 1);
	assert_int_equal(page_order(page), 3);
	assert_true(page_test(page, PG_HEAD));
	for (uint32_t i = 1; i < 8; i++) {
		assert_false(page_test(&page[i], PG_HEAD | PG_BUDDY));
		assert_int_equal(page_refs(&page[i]), 0);
	}
	assert_int_equal(f.hw.nr_zeroed, 8);
	assert_int_equal(machine_event(f.m, EV_SIM_PAGE_ZERO), 8);
	core_free(&f, pfn, 3);
	for (uint32_t i = 0; i < 100; i++) {
		pfn = alloc_page(f.t, GFP_KERNEL);
		page = &f.m->pages[pfn];
		assert_int_equal(page_flags(page), page_place(0, ZONE_NORMAL));
		assert_int_equal(page_refs(page), 1);
		assert_int_equal(page_maps(page), 0);
		assert_int_equal(page->next | page->prev | page->owner | page->index, 0);
		f.m->pages[pfn].owner = 77;
		f.m->pages[pfn].index = 78;
		core_free(&f, pfn, 0);
	}
	assert_int_equal(machine_event(f.m, EV_PGALLOC_NORMAL), 108);
	assert_int_equal(machine_event(f.m, EV_PGFREE), 108);
	core_verify(&f, 0);
	core_teardown(&f);
}

static void test_free_list(void **state)
{
	struct core_fixture f;
	struct list list = { PFN_NONE, PFN_NONE };

	(void)state;
	core_setup_normal(&f, 1, 8192);
	for (uint32_t i = 0; i < 200; i++) {
		uint32_t pfn = alloc_page(f.t, GFP_HIGHUSER_MOVABLE);

		assert_true(page_put_test(&f.m->pages[pfn]));
		list_add_tail(f.m->pages, &list, pfn);
	}
	free_page_list(f.t, &list);
	assert_true(list_empty(&list));
	assert_int_equal(f.t->pin_depth, 0);
	core_verify(&f, 0);
	core_teardown(&f);
}

/* ---- zones and nodes ---- */

/* A PC of one node: DMA, DMA32, Normal. */
static void setup_pc(struct core_fixture *f)
{
	struct machine_desc desc;

	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_DMA, 1, 4095);
	core_desc_zone(&desc, 0, ZONE_DMA32, 4096, 16384);
	core_desc_zone(&desc, 0, ZONE_NORMAL, BASE, 16384);
	assert_int_equal(core_setup(f, &desc), 0);
}

static struct zone *zone_of(struct core_fixture *f, uint32_t pfn)
{
	return page_zone(f->m, &f->m->pages[pfn]);
}

static void test_zone_choice(void **state)
{
	struct core_fixture f;

	(void)state;
	setup_pc(&f);
	assert_int_equal(zone_of(&f, alloc_page(f.t, GFP_KERNEL))->type, ZONE_NORMAL);
	assert_int_equal(zone_of(&f, alloc_page(f.t, GFP_KERNEL | GFP_BIT_DMA32))->type,
			 ZONE_DMA32);
	assert_int_equal(zone_of(&f, alloc_page(f.t, GFP_KERNEL | GFP_BIT_DMA))->type, ZONE_DMA);
	/* Used up to the low mark, Normal hands over to DMA32, and that keeps its protection. */
	struct zone *normal = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct zone *dma32 = &f.m->nodes[0].zone[ZONE_DMA32];
	uint32_t pfn;

	do {
		pfn = alloc_page(f.t, GFP_NOWAIT);
	} while (zone_of(&f, pfn) == normal);
	assert_ptr_equal(zone_of(&f, pfn), dma32);
	uint64_t low = zone_mark(normal, WMARK_LOW);

	assert_true(zone_stat(normal, NR_FREE_PAGES) <= low + pcp_batch_for(16384));
	do {
		pfn = alloc_page(f.t, GFP_NOWAIT);
	} while (pfn != PFN_NONE);
	assert_true(zone_stat_exact(dma32, NR_FREE_PAGES) >= dma32->reserve[ZONE_NORMAL]);
	assert_true(zone_stat_exact(&f.m->nodes[0].zone[ZONE_DMA], NR_FREE_PAGES) > 0);
	core_teardown(&f);
}

/* Nor does a refill that finds some blocks of its own type, but fewer than it wants. */
static void check_nofragment_refill(struct core_fixture *f, struct zone *normal)
{
	struct pcp *pcp = &normal->pcp[0];

	pcp_drain_all(f->t, f->m, NULL);
	uint32_t pair = normal->area[1].list[MT_MOVABLE].first;

	assert_int_not_equal(pair, PFN_NONE);
	assert_true(pcp->batch > 2);
	cpu_pin(f->t);
	spin_lock(f->t, &normal->lock, LOCK_ZONE);
	buddy_move(f->t, normal, pair, MT_UNMOVABLE);
	spin_unlock(f->t, &normal->lock, LOCK_ZONE);
	cpu_unpin(f->t);
	assert_int_equal(alloc_page(f->t, GFP_KERNEL), pair);
	assert_int_equal(pcp_list_oldest(&pcp->list[pcp_list_index(0, MT_UNMOVABLE)]), pair + 1);
	assert_int_equal(pcp->count, 1);
}

/* A request that would have to break up a pageblock of Normal takes DMA32 instead. */
static void test_nofragment(void **state)
{
	struct core_fixture f;

	(void)state;
	setup_pc(&f);
	struct zone *normal = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE, .order = 10 };
	uint32_t pfn;

	/* Nothing of order 9 or more is left in Normal, but much below. */
	while (pfn = alloc_pages(f.t, &request), pfn != PFN_NONE && zone_of(&f, pfn) == normal)
		;
	for (uint32_t at = BASE; at < BASE + 8192; at += 1024) {
		if (!page_test(&f.m->pages[at], PG_HEAD))
			continue;
		core_free(&f, at, 10);
		for (uint32_t i = 0; i < 2; i++) {
			request.order = 8;
			request.gfp = GFP_HIGHUSER_MOVABLE;
			assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
		}
	}
	request.gfp = GFP_HIGHUSER_MOVABLE;
	request.order = 8;
	while (normal->area[9].nr_free + normal->area[10].nr_free != 0)
		assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
	uint32_t movable = 0;

	for (uint32_t at = BASE; at < BASE + 16384 && movable < 8; at += 256) {
		if (page_test(&f.m->pages[at], PG_HEAD) && page_order(&f.m->pages[at]) == 8 &&
		    page_zone(f.m, &f.m->pages[at]) == normal && (at / 256) % 2 == 0) {
			core_free(&f, at, 8);
			movable++;
		}
	}
	assert_true(movable > 0);
	assert_int_equal(zone_of(&f, alloc_page(f.t, GFP_KERNEL))->type, ZONE_DMA32);
	assert_int_equal(zone_of(&f, alloc_page(f.t, GFP_HIGHUSER_MOVABLE))->type, ZONE_NORMAL);
	check_nofragment_refill(&f, normal);
	core_teardown(&f);
}

static void setup_two_nodes(struct core_fixture *f)
{
	struct machine_desc desc;

	core_desc_init(&desc, 2, 2);
	core_desc_zone(&desc, 0, ZONE_NORMAL, BASE, 8192);
	core_desc_zone(&desc, 1, ZONE_NORMAL, BASE + 8192, 8192);
	assert_int_equal(core_setup(f, &desc), 0);
}

static void test_numa_counters(void **state)
{
	struct core_fixture f;
	const uint64_t only1 = 2;
	struct alloc_request request = { .gfp = GFP_NOWAIT, .node = 0 };

	(void)state;
	setup_two_nodes(&f);
	const struct zone *zone0 = &f.m->nodes[0].zone[ZONE_NORMAL];
	const struct zone *zone1 = &f.m->nodes[1].zone[ZONE_NORMAL];

	alloc_pages(f.t, &request);
	assert_int_equal(zone_numa(zone0, NUMA_HIT), 1);
	assert_int_equal(zone_numa(zone0, NUMA_LOCAL), 1);
	request.node = 1;
	alloc_pages(f.t, &request);
	assert_int_equal(zone_numa(zone1, NUMA_HIT), 1);
	assert_int_equal(zone_numa(zone1, NUMA_OTHER), 1);
	/* The mask makes node 1 the preferred one. */
	request.node = 0;
	request.nodemask = &only1;
	alloc_pages(f.t, &request);
	assert_int_equal(zone_numa(zone1, NUMA_HIT), 2);
	/* Node 0 used up: misses there are foreign ones of node 0. */
	request.nodemask = NULL;
	uint32_t pfn;

	do {
		pfn = alloc_pages(f.t, &request);
	} while (page_node_id(&f.m->pages[pfn]) == 0);
	assert_int_equal(zone_numa(zone1, NUMA_MISS), 1);
	assert_int_equal(zone_numa(zone0, NUMA_FOREIGN), 1);
	/* THISNODE does not leave it. */
	request.gfp |= GFP_BIT_THISNODE;
	do {
		pfn = alloc_pages(f.t, &request);
		assert_true(pfn == PFN_NONE || page_node_id(&f.m->pages[pfn]) == 0);
	} while (pfn != PFN_NONE);
	assert_int_equal(machine_numa(f.m, NUMA_HIT) + machine_numa(f.m, NUMA_MISS),
			 machine_numa(f.m, NUMA_LOCAL) + machine_numa(f.m, NUMA_OTHER));
	assert_int_equal(machine_numa(f.m, NUMA_HIT) + machine_numa(f.m, NUMA_MISS),
			 machine_event(f.m, EV_PGALLOC_NORMAL));
	core_teardown(&f);
}

static void test_policy(void **state)
{
	struct core_fixture f;

	(void)state;
	setup_two_nodes(&f);
	f.t->policy_mode = MEMPOLICY_BIND;
	f.t->policy_nodes = 2;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(page_node_id(&f.m->pages[alloc_page(f.t, GFP_KERNEL)]), 1);
	f.t->policy_mode = MEMPOLICY_DEFAULT;
	assert_int_equal(page_node_id(&f.m->pages[alloc_page(f.t, GFP_KERNEL)]), 0);
	fake_rt_cpu(&f.rt, 1);
	assert_int_equal(page_node_id(&f.m->pages[alloc_page(f.t, GFP_KERNEL)]), 1);
	core_teardown(&f);
}

/* ---- running out ---- */

/* Allocates order 0 until nothing comes. => free pages then */
static uint64_t use_up(struct core_fixture *f, uint32_t gfp)
{
	while (alloc_page(f->t, gfp) != PFN_NONE)
		;
	return zone_stat(&f->m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES);
}

/* Where each kind of request stops, on a fresh machine. Refills make it at most a batch earlier. */
static void test_rights(void **state)
{
	static const struct {
		uint32_t gfp, task_flags;
		uint32_t numerator; /* of the min mark, in eighths */
	} cases[] = {
		{ GFP_NOWAIT, 0, 8 },
		{ GFP_BIT_ATOMIC | GFP_NOWAIT, 0, 8 },
		{ GFP_ATOMIC, 0, 3 },
		{ GFP_BIT_HIGH, 0, 3 },
		{ GFP_BIT_HIGH | GFP_BIT_NOMEMALLOC, 0, 4 },
		{ GFP_NOWAIT | GFP_BIT_MEMALLOC, 0, 0 },
		{ GFP_NOWAIT | GFP_BIT_MEMALLOC | GFP_BIT_NOMEMALLOC, 0, 8 },
		{ GFP_KERNEL, PF_MEMALLOC, 0 },
		{ GFP_KERNEL | GFP_BIT_NOMEMALLOC, PF_MEMALLOC, 8 },
		{ GFP_NOWAIT, PF_MEMALLOC | PF_IRQ, 8 },
		{ GFP_NOWAIT, PF_OOM_VICTIM, 4 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct core_fixture f;

		core_setup_normal(&f, 1, 16384);
		f.t->flags = cases[i].task_flags;
		uint64_t min = zone_mark(&f.m->nodes[0].zone[ZONE_NORMAL], WMARK_MIN);
		uint64_t limit = min * cases[i].numerator / 8;
		uint64_t left = use_up(&f, cases[i].gfp);
		uint64_t slack = pcp_batch_for(16384) + 4;

		if (left > limit + 1 || left + slack < limit)
			fail_msg("case %zu: %lu left, limit %lu", i, (unsigned long)left,
				 (unsigned long)limit);
		core_teardown(&f);
	}
}

/* A request that may sleep reclaims, finds nothing, and fails; Linux would have killed somebody. */
static void test_failure_counts_oom(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 4096);
	uint64_t left = use_up(&f, GFP_KERNEL);
	uint64_t min = zone_mark(&f.m->nodes[0].zone[ZONE_NORMAL], WMARK_MIN);

	assert_true(left <= min + 1 && left > min / 2);
	assert_int_equal(f.m->oom_count, 1);
	assert_true(machine_event(f.m, EV_SIM_ALLOC_SLOW) > 0);
	assert_true(f.m->min_free_pages_seen <= min + 1);
	assert_int_equal(alloc_page(f.t, GFP_KERNEL | GFP_BIT_NORETRY), PFN_NONE);
	assert_int_equal(alloc_page(f.t, GFP_KERNEL | GFP_BIT_RETRY_MAYFAIL), PFN_NONE);
	assert_int_equal(f.m->oom_count, 1);
	assert_int_equal(f.t->flags, 0);
	assert_int_equal(f.t->pin_depth, 0);
	core_teardown(&f);
}

/* Gives a page back when the request sleeps. */
static uint32_t idle_pages[64];
static uint32_t nr_idle_pages;

static void idle_frees(struct fake_rt *fake, void *arg)
{
	struct core_fixture *f = arg;

	if (fake->nr_sleeps >= 5)
		while (nr_idle_pages > 0)
			core_free(f, idle_pages[--nr_idle_pages], 0);
}

static void test_nofail_waits(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 4096);
	for (nr_idle_pages = 0; nr_idle_pages < ARRAY_LEN(idle_pages); nr_idle_pages++)
		idle_pages[nr_idle_pages] = alloc_page(f.t, GFP_KERNEL);
	f.t->flags = PF_MEMALLOC;
	use_up(&f, GFP_KERNEL);
	/* Every page is gone, reserves included. */
	assert_int_equal(zone_stat_exact(&f.m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES), 0);
	f.rt.idle = idle_frees;
	f.rt.idle_arg = &f;
	uint32_t pfn = alloc_page(f.t, GFP_KERNEL | GFP_BIT_NOFAIL);

	assert_int_not_equal(pfn, PFN_NONE);
	assert_true(f.rt.nr_sleeps >= 5);
	core_teardown(&f);
}

static void test_costly_orders_fail_early(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_KERNEL, .order = 10 };

	(void)state;
	core_setup_normal(&f, 1, 8192);
	while (alloc_pages(f.t, &request) != PFN_NONE)
		;
	assert_int_equal(f.m->oom_count, 0);
	request.gfp |= GFP_BIT_NORETRY;
	assert_int_equal(alloc_pages(f.t, &request), PFN_NONE);
	core_teardown(&f);
}

/* An atomic high-order request reserves its pageblock, which later ones use and others do not. */
static void test_highatomic(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_ATOMIC, .order = 4 };

	(void)state;
	core_setup_normal(&f, 1, 65536);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	alloc_pages(f.t, &request);
	assert_int_equal(zone->nr_reserved_highatomic,
			 0); /* the low mark was met: no rights used */
	uint64_t low = zone_mark(zone, WMARK_LOW);
	struct alloc_request filler = { .gfp = GFP_NOWAIT | GFP_BIT_NOMEMALLOC, .order = 4 };

	while (zone_stat(zone, NR_FREE_PAGES) > low + 15)
		assert_int_not_equal(alloc_pages(f.t, &filler), PFN_NONE);
	struct alloc_request nowait = { .gfp = GFP_NOWAIT, .order = 4 };

	/* Not being able to sleep is no right to the reserve: HIGH is wanted, too. */
	assert_int_not_equal(alloc_pages(f.t, &nowait), PFN_NONE);
	assert_int_equal(zone->nr_reserved_highatomic, 0);
	uint32_t pfn = alloc_pages(f.t, &request);

	assert_int_not_equal(pfn, PFN_NONE);
	assert_int_equal(zone->nr_reserved_highatomic, 512);
	assert_int_equal(pageblock_type(f.m, pfn), MT_HIGHATOMIC);
	core_free(&f, pfn, 4);
	assert_true(buddy_has(zone, 4, MT_HIGHATOMIC));
	assert_int_equal(alloc_pages(f.t, &filler), PFN_NONE);
	assert_int_not_equal(alloc_pages(f.t, &request), PFN_NONE);
	core_teardown(&f);
}

/* The boost holds up ordinary requests; an atomic one of order 0 passes by it. */
static void test_atomic_ignores_boost(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 16384);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	zone->boost = 4096;
	marks_refresh(zone);
	assert_true(use_up(&f, GFP_NOWAIT) > 4000);
	assert_int_not_equal(alloc_page(f.t, GFP_ATOMIC), PFN_NONE);
	uint64_t left = use_up(&f, GFP_ATOMIC);

	assert_true(left < zone_mark(zone, WMARK_MIN) - 4096);
	core_teardown(&f);
}

/* Requests to write go where dirty pages have room, while there is a choice. */
static void test_dirty_spreading(void **state)
{
	struct core_fixture f;
	struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE | GFP_BIT_WRITE, .node = 0 };

	(void)state;
	setup_two_nodes(&f);
	assert_int_equal(page_node_id(&f.m->pages[alloc_pages(f.t, &request)]), 0);
	f.m->nodes[0].stat[NR_DIRTY] = 4000;
	assert_int_equal(page_node_id(&f.m->pages[alloc_pages(f.t, &request)]), 1);
	f.m->nodes[1].stat[NR_WRITEBACK] = 4000;
	assert_int_equal(page_node_id(&f.m->pages[alloc_pages(f.t, &request)]), 0);
	core_teardown(&f);
}

/* ---- failing the Nth request ---- */

/* ---- the walk without effect ---- */

static uint32_t dry_zone_of(struct core_fixture *f, uint32_t pfn)
{
	const struct page *page = &f->m->pages[pfn];

	return page_node_id(page) * NR_ZONES + page_zone_index(page);
}

/* => the zone that the dry walks name, node * NR_ZONES + index; UINT32_MAX for none */
static uint32_t dry_answer(struct core_fixture *f, uint32_t gfp, uint32_t order)
{
	static struct dry_walk walk;
	struct alloc_context ac = { .gfp = gfp,
				    .order = order,
				    .highest = gfp_highest_zone(gfp),
				    .type = gfp_migrate_type(f->m, gfp),
				    .flags = ALLOC_WMARK_LOW | (gfp & ALLOC_KSWAPD),
				    .zonelist = &f->m->nodes[0].fallback };

	ac.preferred = zonelist_first(ac.zonelist, ac.highest, NULL);
	if (ac.preferred->zone == NULL)
		return UINT32_MAX;
	if (ac.preferred->zone->nofragment)
		ac.flags |= ALLOC_NOFRAGMENT;
	if (!alloc_dry_walk(f->m, &ac, &walk)) {
		ac.flags = watermark_slow_flags(gfp, order);
		if (!alloc_dry_walk(f->m, &ac, &walk))
			return UINT32_MAX;
	}
	return walk.got->zone->node * NR_ZONES + walk.got->zone->type;
}

/* Requests that may not wait get what the dry walk on the same state says, till nothing is left. */
static void test_dry_walk(void **state)
{
	static const uint32_t gfps[] = { GFP_NOWAIT,
					 GFP_ATOMIC,
					 GFP_ATOMIC | GFP_BIT_NOMEMALLOC,
					 GFP_NOWAIT | GFP_BIT_DMA32,
					 GFP_NOWAIT | GFP_BIT_HIGHMEM | GFP_BIT_MOVABLE,
					 GFP_NOWAIT | GFP_BIT_RECLAIMABLE };
	struct machine_desc desc;
	struct core_fixture f;
	struct rng rng;
	uint32_t failed = 0, got = 0;

	(void)state;
	rng_seed(&rng, core_seed());
	core_desc_init(&desc, 2, 2);
	core_desc_zone(&desc, 0, ZONE_DMA32, 4096, 16384);
	core_desc_zone(&desc, 0, ZONE_NORMAL, BASE, 16384);
	core_desc_zone(&desc, 1, ZONE_NORMAL, BASE + 32768, 16384);
	assert_int_equal(core_setup(&f, &desc), 0);
	for (uint32_t i = 0; i < 20000 && failed < 400; i++) {
		struct alloc_request request = { .gfp = gfps[rng_below(&rng, ARRAY_LEN(gfps))],
						 .order = (uint32_t)rng_below(&rng, 11) };

		/* What lies on a CPU's lists is no part of the walk's knowledge. */
		pcp_drain_all(f.t, f.m, NULL);
		uint32_t expected = dry_answer(&f, request.gfp, request.order);
		uint32_t pfn = alloc_pages(f.t, &request);

		if (pfn == PFN_NONE) {
			assert_int_equal(expected, UINT32_MAX);
			failed++;
		} else {
			assert_int_equal(expected, dry_zone_of(&f, pfn));
			if (rng_below(&rng, 4) == 0)
				core_free(&f, pfn, request.order);
			got++;
		}
	}
	assert_true(failed > 100 && got > 100);
	core_teardown(&f);
}

/* CMA blocks serve movable requests only, and their free pages count for nobody else. */
static void test_dry_cma(void **state)
{
	static struct dry_walk walk;
	struct watermark_terms terms;
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 65536);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	struct alloc_context ac = { .gfp = GFP_ATOMIC,
				    .order = 10,
				    .highest = ZONE_NORMAL,
				    .type = MT_UNMOVABLE,
				    .flags = ALLOC_WMARK_LOW,
				    .zonelist = &f.m->nodes[0].fallback };

	ac.preferred = zonelist_first(ac.zonelist, ac.highest, NULL);
	assert_true(alloc_dry_walk(f.m, &ac, &walk));
	/* All large blocks are CMA's now, and 60000 of the pages. */
	zone->nonempty[MT_CMA] = zone->nonempty[MT_MOVABLE];
	zone->nonempty[MT_MOVABLE] = 1;
	assert_false(alloc_dry_walk(f.m, &ac, &walk));
	assert_true(walk.step[0].terms.order_failed);
	zone->stat[NR_FREE_CMA] = 60000;
	zone->cma = 65024;
	ac.order = 0;
	assert_true(alloc_mark_test(zone, &ac, &terms));
	assert_int_equal(terms.unusable, 60000);
	assert_int_equal(terms.cma, 60000);
	zone->stat[NR_FREE_CMA] = 65500;
	assert_false(alloc_mark_test(zone, &ac, &terms));
	ac.order = 10;
	ac.type = MT_MOVABLE;
	ac.flags |= ALLOC_CMA;
	assert_true(alloc_dry_walk(f.m, &ac, &walk));
	assert_int_equal(walk.got->result, DRY_CMA);
	core_teardown(&f);
}

static void test_injection(void **state)
{
	(void)state;
	for (uint32_t nth = 1; nth < 20; nth++) {
		struct core_fixture f;

		core_setup_normal(&f, 1, 4096);
		f.m->inject[INJECT_PAGE] = nth;
		for (uint32_t i = 1; i < 30; i++) {
			uint64_t before =
				zone_stat_exact(&f.m->nodes[0].zone[ZONE_NORMAL], NR_FREE_PAGES);
			uint32_t pfn = alloc_page(f.t, GFP_KERNEL);

			assert_int_equal(pfn == PFN_NONE, i == nth);
			if (pfn == PFN_NONE)
				assert_int_equal(before,
						 zone_stat_exact(&f.m->nodes[0].zone[ZONE_NORMAL],
								 NR_FREE_PAGES));
		}
		f.m->inject[INJECT_PAGE] = 1;
		assert_int_not_equal(alloc_page(f.t, GFP_KERNEL | GFP_BIT_NOFAIL), PFN_NONE);
		core_verify(&f, 29);
		core_teardown(&f);
	}
}

/* ---- random requests ---- */

#define HELD_MAX 2000u

struct held {
	uint32_t pfn, order;
};

static struct held held[HELD_MAX];
static uint32_t nr_held;
static uint64_t used_pages;
static uint8_t *used_map;

static void held_mark(uint32_t pfn, uint32_t order, uint8_t used)
{
	for (uint32_t i = 0; i < 1u << order; i++) {
		assert_int_not_equal(used_map[pfn + i], used);
		used_map[pfn + i] = used;
	}
}

static void held_drop(struct core_fixture *f, uint32_t i)
{
	held_mark(held[i].pfn, held[i].order, 0);
	core_free(f, held[i].pfn, held[i].order);
	used_pages -= (uint64_t)1 << held[i].order;
	held[i] = held[--nr_held];
}

static uint32_t random_gfp(struct rng *rng)
{
	static const uint32_t kinds[] = {
		GFP_KERNEL,
		GFP_HIGHUSER_MOVABLE,
		GFP_NOWAIT,
		GFP_ATOMIC,
		GFP_KERNEL | GFP_BIT_RECLAIMABLE,
		GFP_NOWAIT | GFP_BIT_DMA,
		GFP_KERNEL | GFP_BIT_DMA32,
		GFP_HIGHUSER_MOVABLE | GFP_BIT_WRITE,
		GFP_NOWAIT | GFP_BIT_MEMALLOC,
		GFP_KERNEL | GFP_BIT_THISNODE | GFP_BIT_NORETRY,
		GFP_HIGHUSER_MOVABLE & ~GFP_BIT_DIRECT_RECLAIM,
	};

	return kinds[rng_below(rng, ARRAY_LEN(kinds))];
}

static void random_step(struct core_fixture *f, struct rng *rng)
{
	const uint64_t mask = 1 + rng_below(rng, 3);
	struct alloc_request request = {
		.gfp = random_gfp(rng),
		.order = rng_below(rng, 4) == 0 ? (uint32_t)rng_below(rng, NR_ORDERS)
						: (uint32_t)rng_below(rng, 3),
		.node = (uint32_t)rng_below(rng, f->m->nr_nodes),
		.nodemask = rng_below(rng, 4) == 0 ? &mask : NULL,
	};

	fake_rt_cpu(&f->rt, (uint32_t)rng_below(rng, f->m->nr_cpus));
	if (nr_held == HELD_MAX || (nr_held > 0 && rng_below(rng, 100) < 45)) {
		held_drop(f, (uint32_t)rng_below(rng, nr_held));
		return;
	}
	uint32_t pfn = alloc_pages(f->t, &request);

	if (pfn == PFN_NONE)
		return;
	const struct zone *zone = zone_of(f, pfn);

	assert_true(pfn >= zone->start_pfn && pfn - zone->start_pfn < zone_spanned(zone));
	assert_true(zone->type <= gfp_highest_zone(request.gfp));
	if (request.gfp & GFP_BIT_THISNODE)
		assert_int_equal(zone->node, request.node);
	held_mark(pfn, request.order, 1);
	held[nr_held++] = (struct held){ pfn, request.order };
	used_pages += (uint64_t)1 << request.order;
}

/* Odd sizes, holes, zones that end inside a pageblock. */
static void setup_odd(struct core_fixture *f, struct rng *rng, uint32_t nodes)
{
	struct machine_desc desc;
	uint32_t at = 1;

	core_desc_init(&desc, nodes, 1 + (uint32_t)rng_below(rng, 4));
	for (uint32_t n = 0; n < nodes; n++) {
		for (uint32_t type = 0; type < ZONE_DEVICE; type++) {
			if (rng_below(rng, 3) == 0 && !(n == 0 && type == ZONE_NORMAL))
				continue;
			struct machine_zone_desc *zone = &desc.node[n].zone[type];

			zone->start_pfn = at;
			zone->spanned = 600 + (uint32_t)rng_below(rng, 9000);
			zone->present = zone->spanned - (uint32_t)rng_below(rng, 300);
			zone->managed = zone->present - (uint32_t)rng_below(rng, 300);
			at += zone->spanned + (uint32_t)rng_below(rng, 3) * 77;
		}
	}
	assert_int_equal(core_setup(f, &desc), 0);
}

static void test_random_requests(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, core_seed());
	for (uint32_t round = 0; round < 12; round++) {
		struct core_fixture f;

		setup_odd(&f, &rng, 1 + round % 3);
		used_map = calloc(f.m->max_pfn, 1);
		assert_non_null(used_map);
		used_pages = 0;
		nr_held = 0;
		for (uint32_t step = 0; step < 3000; step++) {
			random_step(&f, &rng);
			if (step % 64 == 0)
				core_verify(&f, used_pages);
			if (rng_below(&rng, 300) == 0)
				pcp_drain_all(f.t, f.m, NULL);
			if (rng_below(&rng, 100) == 0)
				vmstat_fold_cpu(f.t, (uint32_t)rng_below(&rng, f.m->nr_cpus));
		}
		while (nr_held > 0)
			held_drop(&f, nr_held - 1);
		pcp_drain_all(f.t, f.m, NULL);
		core_verify(&f, 0);
		assert_int_equal(machine_event(f.m, EV_PGFREE),
				 machine_event(f.m, EV_PGALLOC_DMA) +
					 machine_event(f.m, EV_PGALLOC_DMA32) +
					 machine_event(f.m, EV_PGALLOC_NORMAL) +
					 machine_event(f.m, EV_PGALLOC_MOVABLE));
		assert_int_equal(machine_numa(f.m, NUMA_MISS), machine_numa(f.m, NUMA_FOREIGN));
		free(used_map);
		core_teardown(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gfp),
		cmocka_unit_test(test_mark_discounts),
		cmocka_unit_test(test_plain_above_is_the_mark_test),
		cmocka_unit_test(test_mark_terms),
		cmocka_unit_test(test_mark_order),
		cmocka_unit_test(test_safe_test_is_exact),
		cmocka_unit_test(test_reclaimable),
		cmocka_unit_test(test_fresh_pages),
		cmocka_unit_test(test_compound_tails),
		cmocka_unit_test(test_free_list),
		cmocka_unit_test(test_zone_choice),
		cmocka_unit_test(test_nofragment),
		cmocka_unit_test(test_numa_counters),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_failure_counts_oom),
		cmocka_unit_test(test_nofail_waits),
		cmocka_unit_test(test_costly_orders_fail_early),
		cmocka_unit_test(test_highatomic),
		cmocka_unit_test(test_atomic_ignores_boost),
		cmocka_unit_test(test_dirty_spreading),
		cmocka_unit_test(test_dry_walk),
		cmocka_unit_test(test_dry_cma),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_random_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
