/*
 * Tests of core/buddy.c and core/pageblock.c: splitting, merging, positions on the lists, crossing
 * between migrate types, the reserve; and random traffic against a map of used frames.
 */
#include "core_fixture.h"

#include "core/buddy_link.h"
#include "core/gfp.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/zonelist.h"

#define BASE 1048576u /* first frame of the zone */

struct lists {
	struct core_fixture f;
	struct zone *zone;
};

static void lists_open(struct lists *l, uint32_t pages)
{
	core_setup_normal(&l->f, 1, pages);
	l->zone = &l->f.m->nodes[0].zone[ZONE_NORMAL];
	cpu_pin(l->f.t);
	spin_lock(l->f.t, &l->zone->lock, LOCK_ZONE);
}

static void lists_close(struct lists *l)
{
	assert_null(buddy_verify(l->zone));
	spin_unlock(l->f.t, &l->zone->lock, LOCK_ZONE);
	cpu_unpin(l->f.t);
	core_teardown(&l->f);
}

/* Takes as the allocator does: with the count. */
static uint32_t lists_take(struct lists *l, uint32_t order, uint32_t type, uint32_t flags)
{
	uint32_t pfn = buddy_take(l->f.t, l->zone, order, type, flags);

	if (pfn != PFN_NONE)
		zone_stat_add(l->f.t, l->zone, NR_FREE_PAGES, -((int64_t)1 << order));
	return pfn;
}

static void lists_free(struct lists *l, uint32_t pfn, uint32_t order, uint32_t type)
{
	buddy_free(l->f.t, l->zone, pfn, order, type);
}

/* Takes every frame of the zone as single pages; afterwards nothing is free. */
static void lists_take_all(struct lists *l)
{
	while (lists_take(l, 0, MT_MOVABLE, 0) != PFN_NONE)
		;
	assert_int_equal(buddy_count_free(l->zone), 0);
}

static uint32_t list_first(const struct lists *l, uint32_t order, uint32_t type)
{
	return l->zone->area[order].list[type].first;
}

static uint32_t list_last(const struct lists *l, uint32_t order, uint32_t type)
{
	return l->zone->area[order].list[type].last;
}

static void test_split_and_merge(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 1024);
	assert_int_equal(l.zone->area[10].nr_free, 1);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(lists_take(&l, 0, MT_MOVABLE, 0), BASE + i);
	assert_int_equal(list_first(&l, 0, MT_MOVABLE), BASE + 3);
	for (uint32_t order = 2; order < 10; order++)
		assert_int_equal(list_first(&l, order, MT_MOVABLE), BASE + (1u << order));
	assert_null(buddy_verify(l.zone));
	assert_int_equal(zone_stat_exact(l.zone, NR_FREE_PAGES), 1021);
	lists_free(&l, BASE + 1, 0, MT_MOVABLE);
	lists_free(&l, BASE, 0, MT_MOVABLE);
	lists_free(&l, BASE + 2, 0, MT_MOVABLE);
	assert_int_equal(l.zone->area[10].nr_free, 1);
	assert_int_equal(zone_stat_exact(l.zone, NR_FREE_PAGES), 1024);
	lists_close(&l);
}

/* A page whose merge partner's neighbour is free waits at the tail; others go to the head. */
static void test_positions(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 1024);
	lists_take_all(&l);
	lists_free(&l, BASE + 2, 1, MT_MOVABLE);
	lists_free(&l, BASE + 8, 0, MT_MOVABLE);
	lists_free(&l, BASE, 0, MT_MOVABLE);
	assert_int_equal(list_first(&l, 0, MT_MOVABLE), BASE + 8);
	assert_int_equal(list_last(&l, 0, MT_MOVABLE), BASE);
	lists_free(&l, BASE + 16, 0, MT_MOVABLE);
	assert_int_equal(list_first(&l, 0, MT_MOVABLE), BASE + 16);
	lists_free(&l, BASE + 32, 0, MT_MOVABLE | BUDDY_TO_TAIL);
	assert_int_equal(list_last(&l, 0, MT_MOVABLE), BASE + 32);
	/* The missing page completes the merge up to order 2. */
	lists_free(&l, BASE + 1, 0, MT_MOVABLE);
	assert_int_equal(list_first(&l, 2, MT_MOVABLE), BASE);
	lists_close(&l);
}

/* A block takes the type it is freed with, and merges with neighbours of any type below order 9. */
static void test_types_when_freeing(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 1024);
	lists_take_all(&l);
	lists_free(&l, BASE, 0, MT_UNMOVABLE);
	lists_free(&l, BASE + 1, 0, MT_RECLAIMABLE);
	assert_int_equal(list_first(&l, 1, MT_RECLAIMABLE), BASE);
	assert_int_equal(list_first(&l, 0, MT_UNMOVABLE), PFN_NONE);
	/* Whole pageblocks stay apart if one of them is reserved. */
	pageblock_set_type(l.f.m, BASE + 512, MT_HIGHATOMIC);
	lists_free(&l, BASE + 512, 9, MT_HIGHATOMIC);
	lists_free(&l, BASE + 2, 1, MT_MOVABLE);
	for (uint32_t order = 2; order < 9; order++)
		lists_free(&l, BASE + (1u << order), order, MT_MOVABLE);
	assert_int_equal(l.zone->area[9].nr_free, 2);
	assert_int_equal(list_first(&l, 9, MT_HIGHATOMIC), BASE + 512);
	lists_close(&l);
}

static void test_isolated_pages_do_not_count(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 1024);
	lists_take_all(&l);
	lists_free(&l, BASE, 3, MT_ISOLATE);
	lists_free(&l, BASE + 64, 3, MT_MOVABLE);
	assert_int_equal(zone_stat_exact(l.zone, NR_FREE_PAGES), 8);
	assert_int_equal(buddy_count_free(l.zone), 8);
	assert_int_equal(l.zone->area[3].nr_free, 2);
	lists_close(&l);
}

/* ---- crossing between types ---- */

static void test_steal_whole_block(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 4096);
	/* The largest block is taken, from the head of its list, and its pageblocks with it. */
	assert_int_equal(lists_take(&l, 0, MT_UNMOVABLE, ALLOC_KSWAPD), BASE);
	assert_int_equal(pageblock_type(l.f.m, BASE), MT_UNMOVABLE);
	assert_int_equal(pageblock_type(l.f.m, BASE + 512), MT_UNMOVABLE);
	assert_int_equal(pageblock_type(l.f.m, BASE + 1024), MT_MOVABLE);
	assert_int_equal(list_first(&l, 9, MT_UNMOVABLE), BASE + 512);
	assert_int_equal(l.zone->boost, 0);
	/* The next one stays within. */
	assert_int_equal(lists_take(&l, 9, MT_UNMOVABLE, 0), BASE + 512);
	assert_int_equal(lists_take(&l, 9, MT_UNMOVABLE, 0), BASE + 1024);
	/* Reclaimable looks at Unmovable before Movable, but the order counts first. */
	assert_int_equal(lists_take(&l, 0, MT_RECLAIMABLE, 0), BASE + 2048);
	lists_close(&l);
}

/* Takes everything, then frees `pages` single frames of the first pageblock, every second one. */
static void lists_scatter(struct lists *l, uint32_t pages)
{
	lists_take_all(l);
	for (uint32_t i = 0; i < pages; i++)
		lists_free(l, BASE + 2 * i, 0, MT_MOVABLE);
}

static void test_steal_claims_half_free_pageblock(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 4096);
	lists_scatter(&l, 256);
	/* 256 free and the rest neither movable nor alike is enough. */
	assert_int_not_equal(lists_take(&l, 0, MT_UNMOVABLE, ALLOC_KSWAPD), PFN_NONE);
	assert_int_equal(pageblock_type(l.f.m, BASE), MT_UNMOVABLE);
	assert_int_equal(list_first(&l, 0, MT_MOVABLE), PFN_NONE);
	assert_int_equal(l.zone->area[0].nr_free, 255);
	/* The theft boosts the marks and asks for kswapd. */
	assert_int_equal(l.zone->boost, 512);
	assert_int_equal(l.zone->flags, ZONE_BOOSTED);
	lists_close(&l);
}

static void test_steal_leaves_pageblock_of_movable_pages(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 4096);
	lists_scatter(&l, 100);
	/* The other pages are on an LRU list: they are movable, so the type stays. */
	for (uint32_t i = 0; i < 512; i++)
		if (!page_test(&l.f.m->pages[BASE + i], PG_BUDDY))
			page_set(&l.f.m->pages[BASE + i], PG_LRU);
	assert_int_not_equal(lists_take(&l, 0, MT_UNMOVABLE, 0), PFN_NONE);
	assert_int_equal(pageblock_type(l.f.m, BASE), MT_MOVABLE);
	assert_int_equal(l.zone->area[0].nr_free, 99);
	assert_int_not_equal(list_first(&l, 0, MT_UNMOVABLE), PFN_NONE);
	assert_int_equal(l.zone->flags, 0);
	/* A movable request gets them back, page by page: its claim is too small a block. */
	uint32_t first = list_first(&l, 0, MT_UNMOVABLE);

	assert_int_equal(lists_take(&l, 0, MT_MOVABLE, 0), first);
	assert_int_equal(l.zone->area[0].nr_free, 98);
	assert_int_not_equal(list_first(&l, 0, MT_UNMOVABLE), PFN_NONE);
	lists_close(&l);
}

static void test_movable_steals_smallest(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 4096);
	lists_take_all(&l);
	for (uint32_t at = 0; at < 4096; at += 512)
		pageblock_set_type(l.f.m, BASE + at, MT_UNMOVABLE);
	lists_free(&l, BASE + 1024, 3, MT_UNMOVABLE);
	lists_free(&l, BASE + 2048, 1, MT_UNMOVABLE);
	assert_int_equal(lists_take(&l, 0, MT_MOVABLE, 0), BASE + 2048);
	assert_int_equal(list_first(&l, 0, MT_MOVABLE), BASE + 2049);
	assert_int_equal(list_first(&l, 3, MT_UNMOVABLE), BASE + 1024);
	/* An unmovable request claims the largest instead. */
	lists_free(&l, BASE + 3072, 2, MT_RECLAIMABLE);
	assert_int_equal(lists_take(&l, 3, MT_UNMOVABLE, 0), BASE + 1024);
	assert_int_equal(lists_take(&l, 0, MT_UNMOVABLE, 0), BASE + 3072);
	lists_close(&l);
}

static void test_nofragment_takes_pageblocks_only(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 4096);
	lists_take_all(&l);
	lists_free(&l, BASE + 1024, 8, MT_MOVABLE);
	assert_int_equal(lists_take(&l, 0, MT_UNMOVABLE, ALLOC_NOFRAGMENT), PFN_NONE);
	lists_free(&l, BASE + 2048, 9, MT_MOVABLE);
	assert_int_equal(lists_take(&l, 0, MT_UNMOVABLE, ALLOC_NOFRAGMENT), BASE + 2048);
	/* Without the flag the rest of that pageblock may be claimed: the smallest block serves. */
	assert_int_equal(lists_take(&l, 4, MT_RECLAIMABLE, 0), BASE + 2048 + 16);
	lists_close(&l);
}

/* Nothing falls back to the reserve. */
static void test_reserve_is_not_a_fallback(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 4096);
	lists_take_all(&l);
	pageblock_set_type(l.f.m, BASE, MT_HIGHATOMIC);
	lists_free(&l, BASE, 9, MT_HIGHATOMIC);
	for (uint32_t type = 0; type < NR_PCP_TYPES; type++)
		assert_int_equal(lists_take(&l, 0, type, 0), PFN_NONE);
	assert_int_equal(buddy_take_smallest(l.f.t, l.zone, 0, MT_HIGHATOMIC), BASE);
	lists_free(&l, BASE, 0, MT_HIGHATOMIC);
	lists_close(&l);
}

static void test_reserve_and_give_back(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 65536);
	struct core_fixture *f = &l.f;
	struct zone *zone = l.zone;
	const struct zonelist *list = &f->m->nodes[0].fallback;
	const struct alloc_context ac = { .highest = ZONE_MOVABLE,
					  .type = MT_UNMOVABLE,
					  .zonelist = list,
					  .preferred = list->ref };

	/* Eight pageblocks, each half in use. */
	lists_take_all(&l);
	for (uint32_t i = 0; i < 8; i++)
		lists_free(&l, BASE + i * 512, 8, MT_MOVABLE);
	spin_unlock(f->t, &zone->lock, LOCK_ZONE);
	/* Up to one per cent and a block, tested before it is added. */
	for (uint32_t i = 0; i < 8; i++)
		pageblock_reserve_highatomic(f->t, zone, BASE + i * 512 + 256);
	assert_int_equal(zone->nr_reserved_highatomic, 3 * 512);
	assert_int_equal(pageblock_type(f->m, BASE + 1024), MT_HIGHATOMIC);
	assert_int_equal(pageblock_type(f->m, BASE + 1536), MT_MOVABLE);
	assert_true(buddy_has(zone, 8, MT_HIGHATOMIC));
	assert_true(pageblock_unreserve_highatomic(f->t, &ac, false));
	assert_true(pageblock_unreserve_highatomic(f->t, &ac, false));
	assert_false(pageblock_unreserve_highatomic(f->t, &ac, false));
	assert_int_equal(zone->nr_reserved_highatomic, 512);
	assert_true(pageblock_unreserve_highatomic(f->t, &ac, true));
	assert_int_equal(zone->nr_reserved_highatomic, 0);
	assert_false(pageblock_unreserve_highatomic(f->t, &ac, true));
	assert_int_equal(pageblock_type(f->m, BASE), MT_UNMOVABLE);
	assert_false(buddy_has(zone, 0, MT_HIGHATOMIC));
	spin_lock(f->t, &zone->lock, LOCK_ZONE);
	lists_close(&l);
}

static void test_counting_pageblocks(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;
	uint64_t nr[NR_TYPES];

	(void)state;
	core_desc_init(&desc, 1, 1);
	desc.node[0].zone[ZONE_DMA] = (struct machine_zone_desc){
		.start_pfn = 1, .spanned = 4095, .present = 3998, .managed = 3840
	};
	/* Half of this zone's sections are absent. */
	desc.node[0].zone[ZONE_DMA32] = (struct machine_zone_desc){
		.start_pfn = 4096, .spanned = 258048, .present = 126976, .managed = 126976
	};
	assert_int_equal(core_setup(&f, &desc), 0);
	pageblock_count(&f.m->nodes[0].zone[ZONE_DMA], nr);
	assert_int_equal(nr[MT_MOVABLE], 8);
	pageblock_set_type(f.m, 8192, MT_RECLAIMABLE);
	pageblock_count(&f.m->nodes[0].zone[ZONE_DMA32], nr);
	assert_int_equal(nr[MT_MOVABLE], 247);
	assert_int_equal(nr[MT_RECLAIMABLE], 1);
	core_teardown(&f);
}

/* ---- the checker itself ---- */

static void test_verify_finds(void **state)
{
	struct lists l;

	(void)state;
	lists_open(&l, 1024);
	lists_take_all(&l);
	lists_free(&l, BASE, 2, MT_MOVABLE);
	lists_free(&l, BASE + 8, 2, MT_MOVABLE);
	struct page *page = &l.f.m->pages[BASE];

	assert_null(buddy_verify(l.zone));
	page->owner = 3;
	assert_string_equal(buddy_verify(l.zone),
			    "1: a free block's head names another order or type than its list");
	page->owner = 2;
	page_set(page, PG_LRU);
	assert_non_null(buddy_verify(l.zone));
	page_clear(page, PG_LRU);
	page->prev = BASE + 4;
	assert_string_equal(buddy_verify(l.zone), "2: a free list's link does not lead back");
	page->prev = BASE + 8;
	l.zone->area[2].nr_free++;
	assert_non_null(buddy_verify(l.zone));
	l.zone->area[2].nr_free--;
	l.zone->nonempty[MT_MOVABLE] = 0;
	assert_non_null(buddy_verify(l.zone));
	l.zone->nonempty[MT_MOVABLE] = 1u << 2;
	pair_toggle(l.zone, BASE + 8, 2);
	assert_string_equal(buddy_verify(l.zone), "5: a free block's pair does not know of it");
	pair_toggle(l.zone, BASE + 8, 2);
	pair_toggle(l.zone, BASE + 16, 2);
	assert_string_equal(buddy_verify(l.zone), "5: a pair knows of a block that is not free");
	pair_toggle(l.zone, BASE + 16, 2);
	lists_close(&l);
}

/* ---- random traffic ---- */

#define HELD_MAX 512u

struct held {
	uint32_t pfn, order;
};

static void map_mark(uint8_t *map, uint32_t at, uint32_t order, uint8_t used)
{
	for (uint32_t i = 0; i < 1u << order; i++) {
		assert_int_not_equal(map[at + i], used);
		map[at + i] = used;
	}
}

/* Random takes and frees on a zone of odd shape; every frame is used by one holder at most. */
static void traffic_round(struct rng *rng, uint32_t pages)
{
	struct lists l;
	struct held held[HELD_MAX];
	uint8_t *map = calloc(pages, 1);
	uint32_t nr = 0;
	uint64_t used = 0;

	assert_non_null(map);
	lists_open(&l, pages);
	for (uint32_t step = 0; step < 3000; step++) {
		uint32_t order = (uint32_t)rng_below(rng, NR_ORDERS);
		uint32_t type = (uint32_t)rng_below(rng, NR_PCP_TYPES);

		order = rng_below(rng, 3) != 0 ? order % 3 : order;
		if (nr < HELD_MAX && rng_below(rng, 100) < 55) {
			uint32_t flags = rng_below(rng, 4) == 0 ? ALLOC_NOFRAGMENT : 0;
			uint32_t pfn = lists_take(&l, order, type, flags);

			if (pfn == PFN_NONE)
				continue;
			assert_int_equal(pfn & ((1u << order) - 1), 0);
			map_mark(map, pfn - BASE, order, 1);
			held[nr++] = (struct held){ pfn, order };
			used += (uint64_t)1 << order;
		} else if (nr > 0) {
			uint32_t i = (uint32_t)rng_below(rng, nr);

			map_mark(map, held[i].pfn - BASE, held[i].order, 0);
			lists_free(&l, held[i].pfn, held[i].order,
				   pageblock_type(l.f.m, held[i].pfn));
			used -= (uint64_t)1 << held[i].order;
			held[i] = held[--nr];
		}
		assert_int_equal(zone_stat_exact(l.zone, NR_FREE_PAGES), pages - used);
		if (step % 16 == 0) {
			const char *wrong = buddy_verify(l.zone);

			if (wrong != NULL)
				fail_msg("step %u: %s", step, wrong);
			assert_int_equal(buddy_count_free(l.zone), pages - used);
		}
	}
	lists_close(&l);
	free(map);
}

static void test_random_traffic(void **state)
{
	static const uint32_t shapes[] = { 1, 513, 1024, 2559, 4095, 5000, 8192, 10007 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, core_seed());
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		traffic_round(&rng, shapes[i]);
}

/* ---- runs ---- */

#define RUN_PAGES 4096u
#define RUN_STEPS 1500u

/* Twins: one takes and frees runs, the other block by block. */
struct twins {
	struct lists runs, singles;
	bool used[RUN_PAGES];
	/* Of `runs`, as they come off a per-CPU list: */
	uint32_t nr_frames;
	uint32_t frame[RUN_PAGES];
	uint32_t frames_type; /* NR_TYPES: of several */
	struct rng rng;
};

/* A type that blocks remember. */
static uint32_t twins_type(struct twins *w)
{
	static const uint8_t types[] = { MT_UNMOVABLE, MT_MOVABLE, MT_RECLAIMABLE, MT_HIGHATOMIC };

	return types[rng_below(&w->rng, ARRAY_LEN(types))];
}

static void assert_lists_equal(const struct twins *w, uint32_t order, uint32_t type)
{
	const struct page *pages = w->runs.f.m->pages;
	const struct list *list = &w->runs.zone->area[order].list[type];
	const struct list *other = &w->singles.zone->area[order].list[type];
	uint32_t pfn = list->first;

	assert_int_equal(pfn, other->first);
	assert_int_equal(list->last, other->last);
	for (; pfn != PFN_NONE; pfn = pages[pfn].next) {
		assert_int_equal(pages[pfn].next, w->singles.f.m->pages[pfn].next);
		assert_int_equal(pages[pfn].prev, w->singles.f.m->pages[pfn].prev);
	}
}

static void assert_twins_equal(struct twins *w)
{
	const struct pcp *a = &w->runs.zone->pcp[0];
	const struct pcp *b = &w->singles.zone->pcp[0];

	for (uint32_t order = 0; order < NR_ORDERS; order++) {
		assert_int_equal(w->runs.zone->area[order].nr_free,
				 w->singles.zone->area[order].nr_free);
		for (uint32_t type = 0; type < NR_TYPES; type++)
			assert_lists_equal(w, order, type);
	}
	assert_int_equal(a->diff[NR_FREE_PAGES], b->diff[NR_FREE_PAGES]);
	assert_int_equal(zone_stat(w->runs.zone, NR_FREE_PAGES),
			 zone_stat(w->singles.zone, NR_FREE_PAGES));
}

static void twins_take(struct twins *w, uint32_t order, uint32_t most)
{
	const uint32_t type = twins_type(w);
	struct buddy_run run = { .nr = most, .order = order, .type = type };
	uint32_t nr = buddy_take_run(w->runs.f.t, w->runs.zone, &run);

	assert_true(nr <= most);
	zone_stat_add(w->runs.f.t, w->runs.zone, NR_FREE_PAGES, -((int64_t)nr << order));
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t pfn = buddy_take_smallest(w->singles.f.t, w->singles.zone, order, type);

		assert_int_equal(pfn, run.first + (i << order));
		memset(&w->used[pfn - BASE], true, 1u << order);
	}
	zone_stat_add(w->singles.f.t, w->singles.zone, NR_FREE_PAGES, -((int64_t)nr << order));
	if (nr == 0)
		assert_int_equal(buddy_take_smallest(w->singles.f.t, w->singles.zone, order, type),
				 PFN_NONE);
}

/* Takes to a per-CPU list, and empties it. => the list has what single requests get */
static void twins_take_list(struct twins *w, uint32_t order, uint32_t most)
{
	static uint32_t room[RUN_PAGES];
	const uint32_t type = twins_type(w);
	const struct buddy_run want = { .nr = most, .order = order, .type = type };
	const struct page *pages = w->runs.f.m->pages;
	uint32_t *end = &room[most];
	struct pcp_list list = {
		.first = end, .end = end, .room = room, .room_end = &room[RUN_PAGES]
	};
	uint32_t nr = buddy_take_list(w->runs.f.t, w->runs.zone, &list, &want);

	assert_true(nr <= most);
	assert_ptr_equal(list.end, end);
	assert_int_equal(pcp_list_nr(&list), nr);
	zone_stat_add(w->runs.f.t, w->runs.zone, NR_FREE_PAGES, -((int64_t)nr << order));
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t pfn = buddy_take_smallest(w->singles.f.t, w->singles.zone, order, type);

		assert_int_equal(pfn, *--end);
		assert_int_equal(page_flags(&pages[pfn]),
				 pcp_page_flags(w->runs.zone, order, type));
		memset(&w->used[pfn - BASE], true, 1u << order);
	}
	zone_stat_add(w->singles.f.t, w->singles.zone, NR_FREE_PAGES, -((int64_t)nr << order));
	if (nr < most)
		assert_int_equal(buddy_take_smallest(w->singles.f.t, w->singles.zone, order, type),
				 PFN_NONE);
}

/* A used block goes to the array, to be freed after those in it; its twin is freed at once. */
static void twins_give(struct twins *w, uint32_t at, uint32_t order, uint32_t type)
{
	memset(&w->used[at], false, 1u << order);
	atomic_store(&w->runs.f.m->pages[BASE + at].flags,
		     pcp_page_flags(w->runs.zone, order, type));
	if (w->nr_frames == 0)
		w->frames_type = type;
	else if (w->frames_type != type)
		w->frames_type = NR_TYPES;
	w->frame[w->nr_frames++] = BASE + at;
	lists_free(&w->singles, BASE + at, order, type);
}

static void lists_free_frames(struct lists *l, const struct buddy_frames *frames)
{
	zone_stat_add_each(l->f.t, l->zone, NR_FREE_PAGES, (int64_t)1 << frames->order, frames->nr);
	buddy_free_frames(l->f.t, l->zone, frames);
}

/* Frees the blocks of the array, in two pieces. */
static void twins_free_frames(struct twins *w, uint32_t order)
{
	struct buddy_frames frames = {
		.pfn = w->frame,
		.nr = (uint32_t)rng_below(&w->rng, w->nr_frames + 1),
		.order = order,
		.type = w->frames_type,
	};

	lists_free_frames(&w->runs, &frames);
	frames.pfn += frames.nr;
	frames.nr = w->nr_frames - frames.nr;
	lists_free_frames(&w->runs, &frames);
	w->nr_frames = 0;
}

/* Frees used frames from `first` on, at most `most` single pages, as one run. */
static void twins_free(struct twins *w, uint32_t first, uint32_t most, bool descending)
{
	const uint32_t type = twins_type(w);
	uint32_t nr = 0;

	while (nr < most && first + nr < RUN_PAGES && w->used[first + nr])
		nr++;
	for (uint32_t i = 0; i < nr; i++)
		twins_give(w, first + (descending ? nr - 1 - i : i), 0, type);
	twins_free_frames(w, 0);
}

/* Frees up to `most` blocks of an order. */
static void twins_free_blocks(struct twins *w, uint32_t order, uint32_t most)
{
	const bool mixed = rng_below(&w->rng, 4) == 0;
	uint32_t type = twins_type(w);

	for (uint32_t i = 0; i < most; i++) {
		uint32_t at = (uint32_t)rng_below(&w->rng, RUN_PAGES >> order) << order;
		uint32_t used = 0;

		for (uint32_t k = 0; k < 1u << order; k++)
			used += w->used[at + k];
		if (used != 1u << order)
			continue;
		twins_give(w, at, order, type);
		type = mixed && rng_below(&w->rng, 8) == 0 ? twins_type(w) : type;
	}
	twins_free_frames(w, order);
}

/* Frees up to `most` pages from anywhere, some beside each other. */
static void twins_free_pages(struct twins *w, uint32_t most, bool scattered)
{
	const bool mixed = rng_below(&w->rng, 4) == 0;
	uint32_t at = (uint32_t)rng_below(&w->rng, RUN_PAGES);
	uint32_t type = twins_type(w);

	for (uint32_t i = 0; i < most; i++) {
		at = (scattered ? (uint32_t)rng_below(&w->rng, RUN_PAGES) : at + 1) % RUN_PAGES;
		if (!w->used[at])
			continue;
		twins_give(w, at, 0, type);
		type = mixed && rng_below(&w->rng, 16) == 0 ? twins_type(w) : type;
	}
	twins_free_frames(w, 0);
}

static void test_runs_are_singles(void **state)
{
	struct twins *w = calloc(1, sizeof(*w));

	(void)state;
	assert_non_null(w);
	lists_open(&w->runs, RUN_PAGES);
	lists_open(&w->singles, RUN_PAGES);
	rng_seed(&w->rng, core_seed());
	for (uint32_t step = 0; step < RUN_STEPS; step++) {
		uint32_t most = 1 + (uint32_t)rng_below(&w->rng, 1u << rng_below(&w->rng, 12));

		switch (rng_below(&w->rng, 5)) {
		case 0:
			twins_take(w, (uint32_t)rng_below(&w->rng, 4), most);
			break;
		case 1:
			twins_take_list(w, (uint32_t)rng_below(&w->rng, 4), most);
			break;
		case 2:
			twins_free_pages(w, most, rng_below(&w->rng, 4) != 0);
			break;
		case 3:
			twins_free_blocks(w, (uint32_t)rng_below(&w->rng, 4), most);
			break;
		default:
			twins_free(w, (uint32_t)rng_below(&w->rng, RUN_PAGES), most,
				   rng_below(&w->rng, 2) != 0);
		}
		assert_twins_equal(w);
	}
	lists_close(&w->singles);
	lists_close(&w->runs);
	free(w);
}

/* ---- pairs ---- */

/*
 * Reserved frames are no hint for refills, which never look for them: what lies behind the hints
 * of the other types stays as it is.
 */
static void test_reserved_frames_leave_no_hints(void **state)
{
	static struct zone before;
	struct core_fixture f;
	uint32_t pfn[64];
	const struct buddy_frames frames = { pfn, ARRAY_LEN(pfn), 0, MT_HIGHATOMIC };

	(void)state;
	core_setup_normal(&f, 1, 4096);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];
	const struct zone *behind = zone + 1;

	memcpy(&before, behind, sizeof(before));
	cpu_pin(f.t);
	spin_lock(f.t, &zone->lock, LOCK_ZONE);
	for (uint32_t i = 0; i < ARRAY_LEN(pfn); i++) {
		uint32_t one =
			buddy_take_smallest(f.t, zone, 1, MT_MOVABLE); /* its buddy is used */

		pfn[i * 7 % ARRAY_LEN(pfn)] = one;
		atomic_store(&f.m->pages[one].flags, pcp_page_flags(zone, 0, MT_HIGHATOMIC));
	}
	buddy_free(f.t, zone, buddy_take_smallest(f.t, zone, 1, MT_MOVABLE), 0, MT_HIGHATOMIC);
	buddy_free_frames(f.t, zone, &frames);
	assert_int_equal(buddy_count_type(zone, MT_HIGHATOMIC), ARRAY_LEN(pfn) + 1);
	spin_unlock(f.t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f.t);
	assert_memory_equal(behind, &before, sizeof(before));
	core_teardown(&f);
}

#define BORDER 1613u /* between two zones, where no buddies meet */
#define BORDER_FRAMES 16u

/* Frees the frames at the border of one of the zones. */
static void border_free(struct core_fixture *f, struct zone *zone, uint32_t first)
{
	uint32_t pfn[BORDER_FRAMES];
	const struct buddy_frames frames = { pfn, BORDER_FRAMES, 0, MT_MOVABLE };

	cpu_pin(f->t);
	spin_lock(f->t, &zone->lock, LOCK_ZONE);
	for (uint32_t i = 0; i < BORDER_FRAMES; i++) {
		/* Not beside each other: 7 and 16 have no common factor. */
		pfn[i] = first + 7 * i % BORDER_FRAMES;
		atomic_store(&f->m->pages[pfn[i]].flags, pcp_page_flags(zone, 0, MT_MOVABLE));
	}
	buddy_free_frames(f->t, zone, &frames);
	assert_null(buddy_verify(zone));
	spin_unlock(f->t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f->t);
}

/*
 * Buddies of two zones stay apart: everything is taken, and the frames at both sides of the border
 * come back.
 */
static void test_pairs_across_zones_do_not_merge(void **state)
{
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_DMA32, 1024, BORDER - 1024);
	core_desc_zone(&desc, 0, ZONE_NORMAL, BORDER, 4096 - BORDER);
	assert_int_equal(core_setup(&f, &desc), 0);
	struct zone *below = &f.m->nodes[0].zone[ZONE_DMA32];
	struct zone *above = &f.m->nodes[0].zone[ZONE_NORMAL];

	assert_true(below->shares_pairs && above->shares_pairs);
	for (struct zone *zone = below; zone != NULL; zone = zone == below ? above : NULL) {
		cpu_pin(f.t);
		spin_lock(f.t, &zone->lock, LOCK_ZONE);
		while (buddy_take_smallest(f.t, zone, 0, MT_MOVABLE) != PFN_NONE)
			;
		spin_unlock(f.t, &zone->lock, LOCK_ZONE);
		cpu_unpin(f.t);
	}
	border_free(&f, above, BORDER);
	border_free(&f, below, BORDER - BORDER_FRAMES);
	for (uint32_t pfn = BORDER - 1; pfn <= BORDER; pfn++) {
		assert_true(page_test(&f.m->pages[pfn], PG_BUDDY));
		assert_int_equal(page_order(&f.m->pages[pfn]), 0);
	}
	core_teardown(&f);
}

/* Three zones; the first two meet at a frame. => whether they share pairs; the third never does */
static bool zones_share_pairs(uint32_t border)
{
	struct core_fixture f;
	struct machine_desc desc;

	core_desc_init(&desc, 1, 1);
	core_desc_zone(&desc, 0, ZONE_DMA, 1, border - 1);
	core_desc_zone(&desc, 0, ZONE_DMA32, border, 2548 - border);
	core_desc_zone(&desc, 0, ZONE_NORMAL, 2560, 500);
	assert_int_equal(core_setup(&f, &desc), 0);
	const struct zone *zone = f.m->nodes[0].zone;
	bool shared = zone[ZONE_DMA].shares_pairs;

	assert_int_equal(zone[ZONE_DMA32].shares_pairs, shared);
	assert_false(zone[ZONE_NORMAL].shares_pairs);
	core_teardown(&f);
	return shared;
}

/* A border between pageblocks, or beside nothing, is nobody's concern. */
static void test_zones_that_share_no_pairs(void **state)
{
	(void)state;
	assert_false(zones_share_pairs(2048));
	assert_true(zones_share_pairs(1600));
	assert_true(zones_share_pairs(1999));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_and_merge),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_types_when_freeing),
		cmocka_unit_test(test_isolated_pages_do_not_count),
		cmocka_unit_test(test_steal_whole_block),
		cmocka_unit_test(test_steal_claims_half_free_pageblock),
		cmocka_unit_test(test_steal_leaves_pageblock_of_movable_pages),
		cmocka_unit_test(test_movable_steals_smallest),
		cmocka_unit_test(test_nofragment_takes_pageblocks_only),
		cmocka_unit_test(test_reserve_is_not_a_fallback),
		cmocka_unit_test(test_reserve_and_give_back),
		cmocka_unit_test(test_counting_pageblocks),
		cmocka_unit_test(test_verify_finds),
		cmocka_unit_test(test_random_traffic),
		cmocka_unit_test(test_runs_are_singles),
		cmocka_unit_test(test_reserved_frames_leave_no_hints),
		cmocka_unit_test(test_pairs_across_zones_do_not_merge),
		cmocka_unit_test(test_zones_that_share_no_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
