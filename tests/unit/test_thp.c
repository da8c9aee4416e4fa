/*
 * Transparent huge pages: who gets one, what is asked for, and how it ends.
 *
 *   thp_fault ── 512 entries ─┬─ zapped as a whole ───────> freed, and again
 *                             ├─ zapped in part ── queue ─> split by the shrinker
 *                             └─ reclaimed ─┬─ a cluster > swapped out as a whole
 *                                           └─ none ────> split, parts to swap
 *
 * The last test lets three programs, reclaim and the shrinker meet in every order that a seed
 * produces: contents, and the laws, at the end.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/event.h"
#include "core/lru.h"
#include "core/pcp.h"
#include "core/rmap.h"
#include "core/shrinker.h"
#include "core/sysctl.h"
#include "core/thp.h"
#include "core/verify.h"

#define ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"
#define DEFRAG "/sys/kernel/mm/transparent_hugepage/defrag"

static void set(struct machine_fixture *f, const char *name, const char *word)
{
	assert_int_equal(sysctl_write(f->t, f->m, name, word, strlen(word)), strlen(word));
}

static struct region *huge_region(struct machine_fixture *f, uint64_t nr_pages, uint32_t flags)
{
	return machine_region_spec(f,
				   &(struct region_spec){ .nr_pages = nr_pages, .flags = flags });
}

/* The huge page that the region's entry maps a frame of. */
static struct page *huge_at(struct machine_fixture *f, struct region *region, uint64_t index)
{
	struct page *page = machine_page_at(f, region, index);

	assert_non_null(page);
	page = thp_head(f->m, (uint32_t)(page - f->m->pages));
	assert_true(thp_is_huge(page));
	return page;
}

static uint64_t faults(struct machine_fixture *f)
{
	return machine_events(f, EV_THP_FAULT_ALLOC);
}

/* ---- policy ---- */

/* The masks of the table in spec 23, section 5, as they were seen on 6.1.192. */
static void test_gfp(void **state)
{
	static const uint32_t expect[5][2] = {
		{ 0x1d24ca, 0x1c24ca }, { 0x1c28ca, 0x1c28ca }, { 0x1c28ca, 0x1c24ca },
		{ 0x1c20ca, 0x1c24ca }, { 0x1c20ca, 0x1c20ca },
	};

	(void)state;
	for (int32_t defrag = 0; defrag < 5; defrag++)
		for (uint32_t advised = 0; advised < 2; advised++)
			assert_int_equal(thp_gfp(defrag, advised != 0), expect[defrag][advised]);
}

static void body_policy(struct machine_fixture *f)
{
	static const char *const words[] = { "never", "madvise", "always" };
	static const uint32_t advice[] = { REGION_NO_HUGE, 0, REGION_HUGE };
	static const bool expect[3][3] = { { false, false, false },
					   { false, false, true },
					   { false, true, true } };

	for (uint32_t w = 0; w < 3; w++) {
		for (uint32_t a = 0; a < 3; a++) {
			struct region *region = huge_region(f, THP_PAGES, advice[a]);
			uint64_t before = faults(f);

			set(f, ENABLED, words[w]);
			assert_int_equal(machine_write(f, region, 7, 1), 0);
			assert_int_equal(faults(f) - before, expect[w][a] ? 1 : 0);
			machine_region_end(f, region);
		}
	}
	assert_int_equal(machine_events(f, EV_THP_FAULT_FALLBACK), 0);
}

MACHINE_TEST(policy, .pages = 4096);

/* Only where 2 MiB fit, and where no small page was before. */
static void body_places(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 2 * THP_PAGES + 511, 0);
	uint64_t value;

	set(f, ENABLED, "always");
	/* A read maps the page of zeroes: the first 2 MiB are small from now on. */
	assert_int_equal(machine_read(f, region, 3, &value), 0);
	assert_int_equal(machine_write(f, region, 4, 4), 0);
	assert_int_equal(machine_write(f, region, 3, 3), 0);
	assert_int_equal(faults(f), 0);
	region_zap(f->t, region, 0, THP_PAGES);
	assert_int_equal(machine_write(f, region, 5, 5), 0);
	assert_int_equal(faults(f), 0);
	/* The last ones are not 2 MiB. */
	assert_int_equal(machine_write(f, region, 2 * THP_PAGES + 1, 1), 0);
	assert_int_equal(faults(f), 0);
	assert_int_equal(machine_write(f, region, 2 * THP_PAGES - 1, 1), 0);
	assert_int_equal(faults(f), 1);
	assert_int_equal(machine_events(f, EV_THP_FAULT_FALLBACK), 0);
	/* Written by nobody else: zero. */
	assert_int_equal(machine_read(f, region, THP_PAGES, &value), 0);
	assert_int_equal(value, 0);
}

MACHINE_TEST(places, .pages = 4096);

/* min_free_kbytes grows when huge pages are switched on, and is computed anew when off. */
static void body_marks(struct machine_fixture *f)
{
	int32_t before = sysctl_get(&f->m->sysctl.min_free_kbytes);
	uint64_t pages = zone_managed(f->zone) - zone_mark(f->zone, WMARK_HIGH);

	set(f, ENABLED, "madvise");
	assert_int_equal(sysctl_get(&f->m->sysctl.min_free_kbytes), pages / 20 * 4);
	assert_true(sysctl_get(&f->m->sysctl.min_free_kbytes) > before);
	set(f, ENABLED, "never");
	assert_in_range(sysctl_get(&f->m->sysctl.min_free_kbytes), before * 9 / 10, before);
}

MACHINE_TEST(marks, .pages = 8192);

/* ---- what is asked for ---- */

/* Masks of all requests of order 9 since the last look. => how many */
static uint32_t take_masks(struct machine_fixture *f, uint32_t masks[8])
{
	struct event_record record;
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++)
		while (event_take(f->m, cpu, &record))
			if (record.id == TE_MM_PAGE_ALLOC && record.arg[1] == THP_ORDER && nr < 8)
				masks[nr++] = (uint32_t)record.arg[3];
	return nr;
}

static void body_requests(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct region *region = huge_region(f, 8 * THP_PAGES, REGION_HUGE);
	uint32_t masks[8];

	set(f, ENABLED, "always");
	set(f, DEFRAG, "madvise");
	assert_int_equal(event_start(f->m), 0);
	assert_int_equal(machine_write(f, region, 0, 1), 0);
	assert_int_equal(take_masks(f, masks), 1);
	assert_int_equal(masks[0], 0x3d24ca); /* own node, light */
	/* Without any block the second request goes everywhere, and a small page has to do. */
	machine_hoard(f, &hoard, 300);
	assert_int_equal(machine_write(f, region, THP_PAGES, 2), 0);
	assert_int_equal(take_masks(f, masks), 2);
	assert_int_equal(masks[0], 0x3d24ca);
	assert_int_equal(masks[1], 0x1c24ca);
	assert_int_equal(machine_events(f, EV_THP_FAULT_FALLBACK), 1);
	/* Small from now on: nobody asks again. */
	assert_int_equal(machine_write(f, region, THP_PAGES + 1, 2), 0);
	assert_int_equal(take_masks(f, masks), 0);
	/* Without the right to reclaim there is no second request. */
	set(f, DEFRAG, "never");
	assert_int_equal(machine_write(f, region, 2 * THP_PAGES, 3), 0);
	assert_int_equal(take_masks(f, masks), 1);
	assert_int_equal(masks[0], 0x1c20ca | GFP_BIT_THISNODE | GFP_BIT_NORETRY);
	assert_int_equal(machine_events(f, EV_THP_FAULT_FALLBACK), 2);
	event_stop(f->m);
	machine_release(f, &hoard, hoard.nr);
}

MACHINE_TEST(requests, .pages = 4096);

/* A request that is refused costs nothing but the huge page. */
static void body_refused(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 2 * THP_PAGES, REGION_HUGE);

	set(f, ENABLED, "always");
	set(f, DEFRAG, "always");
	assert_int_equal(machine_write(f, region, 0, 1), 0); /* all tables above are there */
	f->m->inject[INJECT_PAGE] = 1;
	assert_int_equal(machine_write(f, region, THP_PAGES, 1), 0);
	assert_int_equal(faults(f), 2); /* the second request, anywhere, has it */
	machine_verify(f);
	region_zap(f->t, region, THP_PAGES, THP_PAGES);
	set(f, DEFRAG, "never");
	f->m->inject[INJECT_PAGE] = 1;
	assert_int_equal(machine_write(f, region, THP_PAGES, 1), 0);
	f->m->inject[INJECT_PAGE] = 0;
	assert_int_equal(faults(f), 2);
	assert_int_equal(machine_events(f, EV_THP_FAULT_FALLBACK), 1);
}

MACHINE_TEST(refused, .pages = 4096);

/* ---- as a whole ---- */

static void body_whole(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 2 * THP_PAGES, REGION_HUGE);
	uint64_t free_before, tables;
	struct page *page;
	uint32_t flags;

	set(f, ENABLED, "madvise");
	assert_int_equal(machine_write(f, region, 0, 1), 0);
	region_zap(f->t, region, 0, THP_PAGES);
	pcp_drain_all(f->t, f->m, NULL);
	free_before = machine_zone_count(f, NR_FREE_PAGES);
	tables = machine_node_count(f, NR_PAGE_TABLE_PAGES);
	machine_fill(f, region, 0, THP_PAGES);
	assert_int_equal(faults(f), 2);
	page = huge_at(f, region, 300);
	assert_true(page_test(page, PG_THP_WHOLE | PG_LRU));
	assert_int_equal(page_maps(page), THP_PAGES);
	assert_int_equal(page_refs(page), THP_PAGES);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), THP_PAGES);
	assert_int_equal(machine_node_count(f, NR_ANON_TRANSPARENT_HUGEPAGES), THP_PAGES);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), THP_PAGES);
	assert_int_equal(region->space->rss_anon, THP_PAGES);
	assert_int_equal(machine_node_count(f, NR_PAGE_TABLE_PAGES), tables);
	machine_check(f, region, 0, THP_PAGES);
	machine_verify(f);
	/* One look for all 512 entries; young in any of them is young once. */
	page_lock(f->t, page);
	assert_int_equal(rmap_referenced(f->t, page, &flags), 1);
	assert_int_equal(rmap_referenced(f->t, page, &flags), 0);
	page_unlock(f->t, page);
	assert_int_equal(machine_write(f, region, 511, 9), 0);
	page_lock(f->t, page);
	assert_int_equal(rmap_referenced(f->t, page, &flags), 1);
	page_unlock(f->t, page);
	assert_int_equal(region_zap(f->t, region, 0, 2 * THP_PAGES), THP_PAGES);
	pcp_drain_all(f->t, f->m, NULL);
	assert_int_equal(machine_zone_count(f, NR_FREE_PAGES), free_before);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PMD), 0);
	assert_int_equal(machine_events(f, EV_THP_DEFERRED_SPLIT_PAGE), 0);
	assert_int_equal(machine_node_count(f, NR_ANON_TRANSPARENT_HUGEPAGES), 0);
}

MACHINE_TEST(whole, .pages = 4096);

static void body_locked(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE | REGION_LOCKED);
	uint64_t before;

	set(f, ENABLED, "madvise");
	before = machine_events(f, EV_PGFAULT);
	assert_int_equal(fault_populate(f->t, region, 0, THP_PAGES, true), 0);
	assert_int_equal(machine_events(f, EV_PGFAULT) - before, 1);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), THP_PAGES);
	assert_int_equal(machine_list_size(f, LRU_UNEVICTABLE), THP_PAGES);
	machine_verify(f);
	assert_int_equal(machine_reclaim_one(f, huge_at(f, region, 0)), 0);
	region_zap(f->t, region, 1, 2);
	machine_verify(f);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 0);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), THP_PAGES - 2);
	machine_verify(f);
	machine_region_end(f, region);
	assert_int_equal(machine_zone_count(f, NR_MLOCK), 0);
}

MACHINE_TEST(locked, .pages = 4096);

/* ---- in parts ---- */

static void body_parts(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	uint64_t free_before;
	struct page *page;

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, THP_PAGES);
	page = huge_at(f, region, 0);
	for (uint64_t i = 1; i < THP_PAGES; i += 2)
		assert_int_equal(region_zap(f->t, region, i, 1), 1);
	assert_true(thp_is_huge(page));
	assert_false(page_test(page, PG_THP_WHOLE));
	assert_int_equal(page_maps(page), THP_PAGES / 2);
	assert_int_equal(machine_node_count(f, NR_ANON_PAGES), THP_PAGES / 2);
	assert_int_equal(machine_node_count(f, NR_ANON_TRANSPARENT_HUGEPAGES), 0);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), THP_PAGES);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PMD), 1);
	assert_int_equal(machine_events(f, EV_THP_DEFERRED_SPLIT_PAGE), 1);
	machine_verify(f);
	/* A small page may come where the huge one has gone. */
	assert_int_equal(machine_write(f, region, 1, 77), 0);
	assert_false(thp_is_huge(machine_page_at(f, region, 1)));
	lru_drain_all(f->t);
	pcp_drain_all(f->t, f->m, NULL);
	free_before = machine_zone_count(f, NR_FREE_PAGES);
	/* Gentle reclaim has no share in a queue of one; what is left for later adds up. */
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 12);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 0);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 0);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 1);
	assert_int_equal(f->node->split_queue_len, 0);
	pcp_drain_all(f->t, f->m, NULL);
	assert_int_equal(machine_zone_count(f, NR_FREE_PAGES), free_before + THP_PAGES / 2);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), THP_PAGES / 2 + 1);
	machine_verify(f);
	for (uint64_t i = 0; i < THP_PAGES; i += 2)
		machine_check(f, region, i, 1);
	/* Each part is a page of its own now. */
	assert_int_equal(page_refs(machine_page_at(f, region, 510)), 1);
	assert_int_equal(machine_page_at(f, region, 510)->index, 510);
}

MACHINE_TEST(parts, .pages = 4096);

/* The first frame is given back, too: it is freed with the others. */
static void body_headless(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, THP_PAGES);
	assert_int_equal(region_zap(f->t, region, 0, 500), 500);
	machine_verify(f);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 0);
	machine_verify(f);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 12);
	machine_check(f, region, 500, 12);
}

MACHINE_TEST(headless, .pages = 4096, .real = true);

/* All parts given back one by one: the page goes, and its place in the queue. */
static void body_emptied(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, THP_PAGES);
	for (uint64_t i = 0; i < THP_PAGES; i++)
		assert_int_equal(region_zap(f->t, region, i, 1), 1);
	assert_int_equal(f->node->split_queue_len, 0);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 0);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 0);
}

MACHINE_TEST(emptied, .pages = 4096);

/* The shrinker's arithmetic: twice the share, batches of 128, and what is left for the next time.
 */
static void body_share(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 6 * THP_PAGES, REGION_HUGE);

	set(f, ENABLED, "madvise");
	for (uint64_t i = 0; i < 6; i++) {
		machine_fill(f, region, i * THP_PAGES, 2);
		region_zap(f->t, region, i * THP_PAGES + 9, 1);
	}
	assert_int_equal(f->node->split_queue_len, 6);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL,
			     2); /* 6 / 4 * 2 = 2: fewer than all, and than a batch */
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 0);
	assert_int_equal(f->m->shrinkers[0].deferred[0], 2);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL,
			     1); /* 2 / 2 + 3 * 2 = 7: all six, one is left */
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 6);
	assert_int_equal(machine_events(f, EV_SLABS_SCANNED), 7);
	assert_int_equal(f->m->shrinkers[0].deferred[0], 1);
	machine_verify(f);
}

MACHINE_TEST(share, .pages = 6144);

/* ---- reclaim ---- */

static void body_reclaim(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	struct page *page;

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, THP_PAGES);
	page = huge_at(f, region, 0);
	/* Young: kept, and it counts for all its frames. */
	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
	assert_int_equal(stat.nr_ref_keep, THP_PAGES);
	assert_int_equal(sc.nr_scanned, THP_PAGES);
	page_clear(page, PG_REFERENCED);
	sc = machine_scan();
	(void)machine_reclaim(f, &sc, &stat, &page, 1);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 1);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PMD), 1);
	assert_int_equal(machine_events(f, EV_THP_SWPOUT_FALLBACK), 1);
	assert_int_equal(machine_events(f, EV_PSWPOUT), THP_PAGES);
	assert_int_equal(sc.nr_scanned, THP_PAGES);
	assert_int_equal(stat.nr_pageout, THP_PAGES);
	machine_settle(f);
	machine_verify(f);
	machine_check(f, region, 0, THP_PAGES);
}

MACHINE_TEST(reclaim, .pages = 4096, .swap_pages = 2048, .swap_rotational = true, .real = true);

/* Pinned: neither reclaim nor the shrinker touches it. */
static void body_pinned(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	struct page *page;
	uint32_t pfn;

	set(f, ENABLED, "madvise");
	assert_int_equal(fault_pin(f->t, region, 77, true, &pfn), 0);
	page = huge_at(f, region, 0);
	assert_ptr_equal(machine_page_at(f, region, 77), machine_page(f->m, pfn));
	machine_age(f, region, 0, THP_PAGES);
	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
	assert_true(thp_is_huge(page));
	region_zap(f->t, region, 3, 1);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 0);
	assert_true(thp_is_huge(page));
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 0);
	assert_true(machine_events(f, EV_THP_SPLIT_PAGE_FAILED) >= 1);
	assert_int_equal(f->node->split_queue_len, 1);
	fault_unpin(f->t, machine_page(f->m, pfn), true);
	shrinker_shrink_node(f->t, f->node, GFP_KERNEL, 0);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 1);
	machine_verify(f);
}

MACHINE_TEST(pinned, .pages = 4096, .swap_pages = 2048);

/* Memory is full of huge pages: they go to swap in parts, and everything is still there. */
static void body_pressure(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 12 * THP_PAGES, REGION_HUGE);

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, 12 * THP_PAGES);
	assert_true(machine_events(f, EV_THP_SWPOUT_FALLBACK) >= 2);
	assert_true(machine_events(f, EV_THP_SPLIT_PAGE) >= 2);
	machine_settle(f);
	machine_verify(f);
	machine_check(f, region, 0, 12 * THP_PAGES);
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(pressure, .pages = 4096, .swap_pages = 8192, .swap_rotational = true);

/* ---- as a whole, to swap ---- */

/* A filled huge page, used by nobody lately. */
static struct page *old_huge_page(struct machine_fixture *f, struct region *region)
{
	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, THP_PAGES);
	machine_age(f, region, 0, THP_PAGES);
	return huge_at(f, region, 0);
}

/* Reclaim meets it once. => pages freed */
static uint64_t meet(struct machine_fixture *f, struct page *page)
{
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };

	return machine_reclaim(f, &sc, &stat, &page, 1);
}

static void body_swapped_whole(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *page = old_huge_page(f, region);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };

	assert_int_equal(machine_reclaim(f, &sc, &stat, &page, 1), 0);
	assert_int_equal(stat.nr_pageout, THP_PAGES);
	assert_int_equal(sc.nr_scanned, THP_PAGES);
	assert_int_equal(machine_events(f, EV_THP_SWPOUT), 1);
	assert_int_equal(machine_events(f, EV_THP_SWPOUT_FALLBACK), 0);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 0);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PMD), 1);
	assert_int_equal(machine_events(f, EV_PSWPOUT), THP_PAGES);
	assert_int_equal(machine_node_count(f, NR_VMSCAN_WRITE), THP_PAGES);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), THP_PAGES);
	machine_settle(f);
	machine_verify(f);
	assert_int_equal(machine_node_count(f, NR_WRITTEN), THP_PAGES);
	/* A cluster's slots, in the order of the frames. */
	uint32_t first = machine_swap_at(f, region, 0);

	assert_int_equal(swap_slot_of(first) % SWAP_CLUSTER_SLOTS, 0);
	for (uint64_t i = 1; i < THP_PAGES; i++)
		assert_int_equal(machine_swap_at(f, region, i), first + i);
	/* Met clean: one block is free again, and every part leaves a shadow. */
	assert_true(thp_is_huge(page));
	assert_int_equal(meet(f, page), THP_PAGES);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	machine_verify(f);
	machine_check(f, region, 0, THP_PAGES);
	assert_int_equal(machine_events(f, EV_THP_FAULT_ALLOC), 1); /* small pages come back */
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(swapped_whole, .pages = 4096, .swap_pages = 2048, .real = true);

static uint32_t huge_frees, pending_at_free;

static void note_free(struct task *t, const struct event_record *record)
{
	if (record->id != TE_MM_PAGE_FREE || record->arg[1] != THP_ORDER)
		return;
	huge_frees++;
	pending_at_free |= t->tlb_pending;
}

/*
 * Translations of a list's pages are forgotten once, before any of its frames is free: also before
 * a huge one's.
 */
static void body_forgotten_before_it_is_free(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *both[2] = { NULL, old_huge_page(f, region) };
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	struct region *small = machine_region(f, 1);

	assert_int_equal(meet(f, both[1]), 0);
	machine_settle(f);
	machine_fill(f, small, 0, 1);
	machine_age(f, small, 0, 1);
	lru_drain_all(f->t);
	both[0] = machine_page_at(f, small, 0);
	page_clear(both[0], PG_REFERENCED);
	/* Nobody else makes CPUs forget the first page before the second is decided about. */
	sc.may_writepage = false;
	huge_frees = pending_at_free = 0;
	f->m->event_hook = note_free;
	event_hook_start(f->m);
	assert_int_equal(machine_reclaim(f, &sc, &stat, both, 2), THP_PAGES);
	event_hook_stop(f->m);
	assert_int_equal(huge_frees, 1);
	assert_int_equal(pending_at_free, 0);
	assert_int_equal(page_maps(both[0]), 0);
	machine_verify(f);
	machine_check(f, region, 0, THP_PAGES);
}

MACHINE_TEST(forgotten_before_it_is_free, .pages = 4096, .swap_pages = 2048, .real = true);

/* Parts come back while the whole is in the cache; a written part makes all of it dirty. */
static void body_parts_come_back(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *page = old_huge_page(f, region);
	uint64_t majors = machine_events(f, EV_PGMAJFAULT);
	uint64_t value;

	assert_int_equal(meet(f, page), 0);
	machine_settle(f);
	assert_int_equal(machine_read(f, region, 100, &value), 0);
	assert_ptr_equal(huge_at(f, region, 100), page);
	assert_int_equal(page_maps(page), 1);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), majors);
	machine_verify(f);
	assert_int_equal(machine_write(f, region, 100, 4711), 0); /* its entry was read-only */
	assert_int_equal(machine_write(f, region, 200, 4712), 0);
	assert_int_equal(page_maps(page), 2);
	machine_verify(f);
	machine_age(f, region, 0, THP_PAGES);
	page_clear(page, PG_REFERENCED);
	assert_int_equal(meet(f, page), 0); /* dirty: written once more, all of it */
	assert_int_equal(machine_events(f, EV_THP_SWPOUT), 2);
	machine_settle(f);
	assert_int_equal(meet(f, page), THP_PAGES);
	machine_verify(f);
	assert_int_equal(machine_read(f, region, 100, &value), 0);
	assert_int_equal(value, 4711);
	assert_int_equal(machine_read(f, region, 200, &value), 0);
	assert_int_equal(value, 4712);
	machine_check(f, region, 0, 100);
	machine_check(f, region, 201, THP_PAGES - 201);
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(parts_come_back, .pages = 4096, .swap_pages = 2048, .real = true);

/* Split in the cache: each part is there for the slot that it had. */
static void body_split_in_cache(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *page = old_huge_page(f, region);
	uint64_t value;

	assert_int_equal(meet(f, page), 0);
	assert_int_equal(machine_split_held(f, page), -EAGAIN); /* it is being written */
	machine_settle(f);
	assert_int_equal(machine_read(f, region, 9, &value), 0);
	assert_int_equal(machine_split_held(f, page), 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), THP_PAGES);
	machine_verify(f);
	assert_false(thp_is_huge(machine_page_at(f, region, 9)));
	machine_check(f, region, 0, THP_PAGES);
	assert_int_equal(machine_events(f, EV_PSWPIN), 0);
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(split_in_cache, .pages = 4096, .swap_pages = 2048, .real = true);

/*
 * While it is written: a part that is asked for is no hit of read-ahead, a split that cannot be
 * tried has not failed, and who empties its frames waits for the write.
 */
static void body_split_while_written(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *page = old_huge_page(f, region);
	uint32_t pfn = (uint32_t)(page - f->m->pages);
	uint64_t failed = machine_events(f, EV_THP_SPLIT_PAGE_FAILED);
	uint64_t value;

	assert_int_equal(meet(f, page), 0);
	assert_true(page_test(page, PG_WRITEBACK) && page_test(page, PG_RECLAIM));
	assert_int_equal(machine_read(f, region, 9, &value), 0);
	assert_int_equal(machine_events(f, EV_SWAP_RA_HIT), 0);
	assert_true(page_test(page, PG_RECLAIM));
	assert_true(page_test(page, PG_WRITEBACK));
	assert_int_equal(region_zap(f->t, region, 9, 1), 1); /* its last entry: reclaim's */
	assert_int_equal(machine_events(f, EV_THP_DEFERRED_SPLIT_PAGE), 0);
	assert_int_equal(machine_split_held(f, page), -EAGAIN);
	thp_split_range(f->t, pfn, pfn + THP_PAGES);
	assert_false(thp_is_huge(page));
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE_FAILED), failed);
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(split_while_written, .pages = 4096, .swap_pages = 2048, .real = true);

/* Given up while it is in the cache: slots and frames are free when the last entry goes. */
static void body_given_up_in_cache(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *page = old_huge_page(f, region);
	int64_t free_slots = atomic_load(&f->m->nr_swap_free);
	uint64_t value;

	assert_int_equal(meet(f, page), 0);
	machine_settle(f);
	assert_int_equal(atomic_load(&f->m->nr_swap_free), free_slots - THP_PAGES);
	assert_int_equal(machine_read(f, region, 9, &value), 0);
	assert_int_equal(region_zap(f->t, region, 0, 9), 9);
	assert_int_equal(region_zap(f->t, region, 10, THP_PAGES - 10), THP_PAGES - 10);
	machine_verify(f);
	assert_int_equal(page_maps(page), 1);
	assert_int_equal(region_zap(f->t, region, 9, 1), 1);
	swap_slots_drain(f->t, f->m);
	assert_int_equal(atomic_load(&f->m->nr_swap_free), free_slots);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	machine_verify(f);
}

MACHINE_TEST(given_up_in_cache, .pages = 4096, .swap_pages = 2048);

/* A file gives no cluster, and an area without a wholly free one gives none either. */
static void body_no_cluster(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 2 * THP_PAGES, REGION_HUGE);

	(void)old_huge_page(f, region);
	f->m->swap[0].is_file = true;
	assert_int_equal(swap_cluster_get(f->t), 0);
	f->m->swap[0].is_file = false;
	/* 1023 slots: the cluster with the header is not wholly free, the other one is. */
	uint32_t entry = swap_cluster_get(f->t);

	assert_int_equal(swap_slot_of(entry), SWAP_CLUSTER_SLOTS);
	assert_int_equal(swap_cluster_get(f->t), 0);
	for (uint32_t i = 0; i < SWAP_CLUSTER_SLOTS; i++)
		swap_slot_put(f->t, entry + i);
	swap_slots_drain(f->t, f->m);
	machine_verify(f);
	entry = swap_slot_get(f->t); /* of a cluster: either may be begun */
	assert_int_not_equal(entry, 0);
	swap_slot_put(f->t, entry);
}

MACHINE_TEST(no_cluster, .pages = 4096, .swap_pages = 1024);

/* An error of one frame's write: the page stays, dirty, and is written again. */
static void body_error_in_part(struct machine_fixture *f)
{
	struct region *region = huge_region(f, THP_PAGES, REGION_HUGE);
	struct page *page = old_huge_page(f, region);

	store_fault_arm(f->swap[0], f->t, STORE_WRITE, 300, -EIO);
	assert_int_equal(meet(f, page), 0);
	machine_settle(f);
	assert_true(page_test(page, PG_DIRTY));
	assert_true(page_test(page, PG_ERROR));
	page_clear(page, PG_ACTIVE);
	machine_verify(f);
	assert_int_equal(meet(f, page), 0);
	machine_settle(f);
	assert_false(page_test(page, PG_DIRTY));
	assert_int_equal(meet(f, page), THP_PAGES);
	machine_check(f, region, 0, THP_PAGES);
}

MACHINE_TEST(error_in_part, .pages = 4096, .swap_pages = 2048, .real = true);

/* Memory is full of huge pages, and swap has clusters: most go whole, and all comes back. */
static void body_pressure_whole(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 12 * THP_PAGES, REGION_HUGE);

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, 12 * THP_PAGES);
	assert_true(machine_events(f, EV_THP_SWPOUT) >= 3);
	machine_settle(f);
	machine_verify(f);
	machine_check(f, region, 0, 12 * THP_PAGES);
	machine_settle(f);
	machine_verify(f);
}

MACHINE_TEST(pressure_whole, .pages = 4096, .swap_pages = 16384);

/* ---- laws ---- */

static void body_laws(struct machine_fixture *f)
{
	struct region *region = huge_region(f, 2 * THP_PAGES, REGION_HUGE);
	struct page *page;

	set(f, ENABLED, "madvise");
	machine_fill(f, region, 0, 2 * THP_PAGES);
	region_zap(f->t, region, THP_PAGES, 1);
	page = huge_at(f, region, 0);
	assert_null(verify_machine(f->t, f->m));
	page_clear(page, PG_THP_WHOLE);
	assert_non_null(verify_machine(f->t, f->m));
	page_set(page, PG_THP_WHOLE | PG_SPLIT_QUEUED);
	assert_non_null(verify_machine(f->t, f->m));
	page_clear(page, PG_SPLIT_QUEUED);
	atomic_store(&page[5].refs, 1);
	assert_non_null(verify_machine(f->t, f->m));
	atomic_store(&page[5].refs, 0);
	f->node->split_queue_len++;
	assert_non_null(verify_machine(f->t, f->m));
	f->node->split_queue_len--;
	space_leaf_release(region->space, region->start_vpn, LEAF_SMALL);
	assert_non_null(verify_machine(f->t, f->m));
	assert_int_equal(space_leaf_claim(f->t, region->space, region->start_vpn, LEAF_SMALL), 0);
	page_clear(page, PG_THP_WHOLE);
	cpu_pin(f->t);
	node_stat_add(f->t, f->node, NR_ANON_TRANSPARENT_HUGEPAGES, -(int64_t)THP_PAGES);
	cpu_unpin(f->t);
	assert_null(verify_machine(f->t, f->m));
}

MACHINE_TEST(laws, .pages = 4096);

/* ---- all at once ---- */

#define WORLD_HUGE 3u
#define WORLD_PAGES (WORLD_HUGE * THP_PAGES)
#define WORLD_WORKERS 5u

struct world {
	struct machine_fixture *f;
	struct region *region;
	uint64_t seed;
};

struct worker {
	struct world *world;
	uint32_t id;
};

/* A program that owns every third page of 48 spread over the region. */
static int toucher(struct task *t, void *arg)
{
	const struct worker *worker = arg;
	struct world *world = worker->world;
	uint32_t version[16] = { 0 };
	struct rng rng;

	t->machine = world->f->m;
	rng_seed(&rng, world->seed * 31 + worker->id);
	for (uint32_t step = 0; step < 60; step++) {
		uint32_t i = (uint32_t)rng_below(&rng, ARRAY_LEN(version));
		uint64_t page = (i * 3 + worker->id) * (WORLD_PAGES / 48);
		uint64_t value;
		uint32_t pfn;

		switch (rng_below(&rng, 6)) {
		case 0:
			region_zap(t, world->region, page, 1 + rng_below(&rng, 8));
			version[i] = 0;
			break;
		case 1:
			assert_int_equal(fault_pin(t, world->region, page, true, &pfn), 0);
			rt_preempt(t);
			assert_ptr_equal(machine_page_at(world->f, world->region, page),
					 machine_page(world->f->m, pfn));
			fault_unpin(t, machine_page(world->f->m, pfn), false);
			break;
		case 2:
		case 3:
			version[i] = step + 1;
			value = machine_value(world->region, page, version[i]);
			assert_int_equal(task_write(t, world->region, page, value), 0);
			break;
		default:
			assert_int_equal(task_read(t, world->region, page, &value), 0);
			if (value !=
			    (version[i] == 0 ? 0 : machine_value(world->region, page, version[i])))
				fail_msg("seed %llu: page %llu, step %u",
					 (unsigned long long)world->seed, (unsigned long long)page,
					 step);
		}
	}
	return 0;
}

/* Reclaims what it finds, and splits what waits. */
static int reclaimer(struct task *t, void *arg)
{
	struct world *world = ((struct worker *)arg)->world;
	struct machine_fixture *f = world->f;
	struct rng rng;

	t->machine = f->m;
	rng_seed(&rng, world->seed * 13 + 5);
	for (uint32_t round = 0; round < 40; round++) {
		struct list list = { PFN_NONE, PFN_NONE };
		struct page *page = machine_page_at(f, world->region, rng_below(&rng, WORLD_PAGES));

		shrinker_shrink_node(t, f->node, GFP_KERNEL, (int32_t)rng_below(&rng, 2));
		/* As if nobody had touched it for long. */
		machine_age(f, world->region, 0, WORLD_PAGES);
		if (page != NULL && (uint32_t)(page - f->m->pages) != f->m->zero_pfn) {
			page = thp_head(f->m, (uint32_t)(page - f->m->pages));
			page_clear(page, PG_REFERENCED);
			if (lru_isolate_page(t, page))
				list_add_tail(f->m->pages, &list, (uint32_t)(page - f->m->pages));
		}
		reclaim_pages(t, f->node, &list);
		rt_preempt(t);
	}
	return 0;
}

/* Makes regions, gives huge pages back in whole and in part, and ends the regions. */
static int releaser(struct task *t, void *arg)
{
	struct world *world = ((struct worker *)arg)->world;
	struct region *own = NULL;
	struct rng rng;

	t->machine = world->f->m;
	rng_seed(&rng, world->seed * 7 + 1);
	for (uint32_t round = 0; round < 6; round++) {
		const struct region_spec spec = { .nr_pages = 2 * THP_PAGES, .flags = REGION_HUGE };

		assert_int_equal(region_create(t, world->f->space, &spec, &own), 0);
		for (uint32_t i = 0; i < 6; i++) {
			uint64_t page = rng_below(&rng, 2 * THP_PAGES);

			assert_int_equal(task_write(t, own, page, page), 0);
			if (rng_below(&rng, 3) == 0)
				region_zap(t, own, page & ~(uint64_t)(THP_PAGES - 1), THP_PAGES);
			else if (rng_below(&rng, 2) == 0)
				region_zap(t, own, page, 1 + rng_below(&rng, 2 * THP_PAGES - page));
		}
		region_destroy(t, own);
	}
	return 0;
}

static uint64_t world_seed;
static uint64_t world_huge, world_split;

static void body_world(struct machine_fixture *f)
{
	static int (*const job[WORLD_WORKERS])(struct task *, void *) = { toucher, toucher, toucher,
									  reclaimer, releaser };
	struct world world = { .f = f, .seed = world_seed };
	struct worker worker[WORLD_WORKERS];
	struct task *task[WORLD_WORKERS];

	set(f, ENABLED, "always");
	world.region = huge_region(f, WORLD_PAGES, REGION_HUGE);
	for (uint32_t i = 0; i < WORLD_WORKERS; i++) {
		struct task_spec spec = { .name = "worker", .fn = job[i], .arg = &worker[i] };

		worker[i] = (struct worker){ &world, i };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < WORLD_WORKERS; i++)
		rt_join(f->t, task[i]);
	machine_settle(f);
	machine_verify(f);
	world_huge += faults(f);
	world_split += machine_events(f, EV_THP_SPLIT_PAGE);
	machine_region_end_cached(f, world.region);
}

static void test_world(void **state)
{
	uint64_t first = machine_seed();
	uint64_t nr = machine_nr_seeds();

	(void)state;
	world_huge = 0;
	world_split = 0;
	for (world_seed = first; world_seed < first + nr; world_seed++)
		machine_run(&(struct machine_setup){ .pages = world_seed % 2 ? 3072 : 8192,
						     .nr_cpus = 3,
						     .swap_pages = 4096,
						     .seed = world_seed,
						     .real = world_seed % 4 == 0,
						     .swap_synchronous = world_seed % 4 < 2,
						     .swap_rotational = world_seed % 8 == 7,
						     .explore = true },
			    body_world);
	print_message("%llu interleavings: %llu huge pages, %llu splits\n", (unsigned long long)nr,
		      (unsigned long long)world_huge, (unsigned long long)world_split);
	assert_true(world_huge > nr && world_split > nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gfp),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_headless),
		cmocka_unit_test(test_emptied),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_reclaim),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_swapped_whole),
		cmocka_unit_test(test_forgotten_before_it_is_free),
		cmocka_unit_test(test_parts_come_back),
		cmocka_unit_test(test_split_in_cache),
		cmocka_unit_test(test_split_while_written),
		cmocka_unit_test(test_given_up_in_cache),
		cmocka_unit_test(test_no_cluster),
		cmocka_unit_test(test_error_in_part),
		cmocka_unit_test(test_pressure_whole),
		cmocka_unit_test(test_laws),
		cmocka_unit_test(test_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
