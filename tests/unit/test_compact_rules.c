/*
 * Compaction beyond single runs: what is remembered between them, ranges, capture, drivers'
 * pages, requests that succeed through it, and its interleavings with everything else.
 *
 * Which test or picture (compact_rows.h) stands for which rule:
 *
 *   skipped, too little free memory   "skipped: too few free pages", suitable
 *   skipped, index                    "skipped: not fragmentation" (extfrag_threshold: suitable)
 *   success at once / by a block      "success at once", "daemon, order 4"
 *   success by capture                request; what is not captured: capture_rules
 *   success by the clock's mark       "clock, down to the low mark", "clock, eager"
 *   deferred                          refused, deferral (shift 0 to 6 and restarting)
 *   complete / partial_skipped        "all, even frames used" / "daemon, from the middle"
 *   contended: no target              "all, min mark refuses targets", "async, min mark ..."
 *   contended: signal                 "all, ...", "clock, ..." and "async, fatal signal"
 *   contended: too much isolated      "async, too much isolated"
 *   kswapd at work                    "clock, kswapd runs"
 *   scanners in one block, crossed    "async/daemon, scanners in one block"; crossed
 *   skip marks respected, ignored     "daemon, all marked skip", "full, all marked skip"; first,
 *                                     last, begun inside
 *   skip marks set and reset          the cached positions of every row; reset, reset_nothing
 *   positions taken, repaired         "daemon, from the middle", "daemon, positions outside"
 *   source: type by mode              "async, other types are passed over", "async, unmovable ..."
 *   target: type by mode              "light, targets of movable type only", "full, targets of ..."
 *   a hole, huge blocks               "all, a hole", "all, huge blocks"
 *   high-atomic and isolated          "all, high-atomic and isolated"
 *   pinned, locked, unevictable       "all, pinned pages stay", "async, a locked page: ...",
 *                                     "light, a locked page", "all, unevictable pages (forbidden)"
 *   give up early                     "async, order 4: the bad quarter is left"
 *   no permission for file systems    "daemon, no file systems"
 *   fast searches                     "... chunks burn their pageblocks", "async, chunks as
 * targets" stride and parity                 "all, odd frames used", "async, odd frames" strict
 * ranges                     ranges drivers' pages                    driver
 *
 * What must never happen here: a request counted as served by compaction that would have
 * been served without. Each such test shows first that the block is not there.
 */
#include "zone_picture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/buddy.h"
#include "core/compact.h"
#include "core/kcompactd.h"
#include "core/pageblock.h"
#include "core/pcp.h"

#define GFP_ZONE_DMA (GFP_KERNEL | GFP_BIT_DMA | GFP_BIT_MOVABLE | GFP_BIT_NOWARN)
#define HUGE NEAP_PAGEBLOCK_ORDER

static uint32_t alloc_order(struct machine_fixture *f, uint32_t order, uint32_t gfp)
{
	struct alloc_request request = { .gfp = gfp, .order = order };

	return alloc_pages(f->t, &request);
}

static void free_order(struct machine_fixture *f, uint32_t pfn, uint32_t order)
{
	assert_true(page_put_test(machine_page(f->m, pfn)));
	free_pages(f->t, pfn, order);
}

/* ---- deferral ---- */

static void body_deferral(struct machine_fixture *f)
{
	struct zone *zone = f->zone;

	/* A clean zone: every call passes. */
	for (uint32_t i = 0; i < 5; i++)
		assert_false(compact_defer_test(f->t, zone, 9));
	for (uint32_t failures = 1; failures <= 9; failures++) {
		uint32_t shift = min_u32(failures, COMPACT_DEFER_SHIFT_MAX);

		compact_defer_failure(f->t, zone, 9);
		assert_int_equal(atomic_load(&zone->compact_defer_shift), shift);
		/* 2^shift - 1 are turned away, then all pass. */
		for (uint32_t i = 1; i < 1u << shift; i++)
			assert_true(compact_defer_test(f->t, zone, 9));
		assert_false(compact_defer_restarting(zone, 9));
		for (uint32_t i = 0; i < 3; i++)
			assert_false(compact_defer_test(f->t, zone, 9));
		assert_int_equal(compact_defer_restarting(zone, 9), shift == 6);
	}
	/* order_failed stays 0: lower orders are not told apart until a success. */
	assert_int_equal(atomic_load(&zone->compact_order_failed), 0);
	compact_defer_success(f->t, zone, 9, false);
	assert_int_equal(atomic_load(&zone->compact_order_failed), 10);
	assert_int_equal(atomic_load(&zone->compact_defer_shift), 6);
	compact_defer_success(f->t, zone, 9, true);
	assert_int_equal(atomic_load(&zone->compact_defer_shift), 0);
	compact_defer_failure(f->t, zone, 5);
	assert_int_equal(atomic_load(&zone->compact_order_failed), 5);
	/* Only calls at or above the failed order count. */
	assert_false(compact_defer_test(f->t, zone, 4));
	assert_int_equal(atomic_load(&zone->compact_considered), 0);
	assert_true(compact_defer_test(f->t, zone, 7));
	assert_false(compact_defer_restarting(zone, 4));
}

MACHINE_TEST(deferral, .pages = 2048);

/* ---- suitability ---- */

static void body_suitable(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "32e32M");
	uint64_t free_pages = zone_stat_exact(picture.zone, NR_FREE_PAGES);
	_Atomic uint64_t *low = &picture.zone->mark[WMARK_LOW];
	_Atomic uint64_t *min = &picture.zone->mark[WMARK_MIN];

	assert_int_equal(compact_suit_zone(f->t, picture.zone, -1, 0, 0), COMPACT_CONTINUE);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 9, 0, 0), COMPACT_CONTINUE);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 0, 0, 0), COMPACT_SUCCESS);
	/* Order 9 wants 1024 pages above low, one more than that for the test to pass. */
	atomic_store(low, free_pages - 1024);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 9, 0, 0), COMPACT_SKIPPED);
	atomic_store(low, free_pages - 1025);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 9, 0, 0), COMPACT_CONTINUE);
	/* Order 3 wants 16 above min, and asks no index. */
	atomic_store(min, free_pages - 16);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 3, 0, 0), COMPACT_SKIPPED);
	atomic_store(min, free_pages - 17);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 3, 0, 0), COMPACT_CONTINUE);
	atomic_store(min, PICTURE_MIN);
	atomic_store(low, PICTURE_MIN);
	marks_refresh(picture.zone);
	/* The index is 999 here, so only the highest threshold says "lack of memory". */
	atomic_store(&f->m->sysctl.extfrag_threshold, 1000);
	assert_int_equal(compact_suit_zone(f->t, picture.zone, 9, 0, 0), COMPACT_SKIPPED);
	atomic_store(&f->m->sysctl.extfrag_threshold, 500);
	/* All free memory is in pieces; the node's score counts the other zone, too. */
	assert_int_equal(compact_suit_zone_score(picture.zone), 100);
	assert_true(compact_suit_node_score(f->node) < 100);
	picture_end(&picture);
}

MACHINE_TEST(suitable, .pages = 4096, .dma_pages = 64 * 512);

static void body_scores(struct machine_fixture *f)
{
	static const struct {
		int32_t proactiveness;
		uint32_t low, high;
	} marks[] = { { 0, 100, 100 }, { 1, 99, 100 }, { 10, 90, 100 }, { 20, 80, 90 },
		      { 50, 50, 60 },  { 95, 5, 15 },  { 96, 5, 15 },	{ 100, 5, 15 } };

	for (uint32_t i = 0; i < ARRAY_LEN(marks); i++) {
		atomic_store(&f->m->sysctl.compaction_proactiveness, marks[i].proactiveness);
		assert_int_equal(compact_suit_score_low(f->m), marks[i].low);
		assert_int_equal(compact_suit_score_high(f->m), marks[i].high);
	}
}

MACHINE_TEST(scores, .pages = 2048);

/* ---- the reset of hints ---- */

static void body_reset(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "2K2e56.2k2K");
	struct zone *zone = picture.zone;
	uint32_t start = zone->start_pfn;

	for (uint32_t i = 0; i < 64; i++)
		compact_skip_set(f->m, start + i * NEAP_PAGEBLOCK_PAGES);
	/* Nobody asked: nothing changes. */
	compact_hint_reset(f->t, zone);
	assert_true(compact_skip_test(f->m, start + 2 * NEAP_PAGEBLOCK_PAGES));
	atomic_store(&zone->compact_blockskip_flush, 1);
	compact_hint_reset(f->t, zone);
	assert_int_equal(atomic_load(&zone->compact_blockskip_flush), 0);
	/*
	 * The first block with something to move; the last frame of the last one that a free block
	 * begins in: block 59 is the upper half of an order 10.
	 */
	assert_int_equal(atomic_load(&zone->compact_init_migrate) - start, 2 * 512);
	assert_int_equal(atomic_load(&zone->compact_cached_migrate[0]) - start, 2 * 512);
	assert_int_equal(atomic_load(&zone->compact_cached_migrate[1]) - start, 2 * 512);
	assert_int_equal(atomic_load(&zone->compact_init_free) - start, 59 * 512 - 1);
	assert_int_equal(atomic_load(&zone->compact_cached_free) - start, 59 * 512 - 1);
	/* Samples are every eighth frame, which are all in use in the blocks of the letter k. */
	assert_true(compact_skip_test(f->m, start));
	assert_false(compact_skip_test(f->m, start + 2 * 512));
	assert_false(compact_skip_test(f->m, start + 30 * 512));
	assert_true(compact_skip_test(f->m, start + 60 * 512));
	assert_true(compact_skip_test(f->m, start + 63 * 512));
	picture_end(&picture);
}

MACHINE_TEST(reset, .pages = 4096, .dma_pages = 64 * 512);

static void body_reset_nothing(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "64K");
	struct zone *zone = picture.zone;

	atomic_store(&zone->compact_blockskip_flush, 1);
	compact_hint_reset(f->t, zone);
	/* The scanners are put together: the next run ends at once. */
	struct compact_control cc = {
		.zone = zone, .order = 9, .gfp = GFP_KERNEL, .mode = MIGRATE_SYNC_LIGHT
	};

	assert_true(atomic_load(&zone->compact_cached_free) >> PAGEBLOCK_SHIFT <=
		    atomic_load(&zone->compact_cached_migrate[1]) >> PAGEBLOCK_SHIFT);
	assert_int_equal(compact_zone(f->t, &cc), COMPACT_SKIPPED);
	picture_end(&picture);
}

MACHINE_TEST(reset_nothing, .pages = 4096, .dma_pages = 64 * 512);

/*
 * Within one list of pages the free scanner can end below the migrate scanner. Another target is
 * then not to be had, and nothing outside the zone is looked at.
 */
static void body_crossed(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "32e32q");
	struct zone *zone = picture.zone;
	struct compact_control cc = { .zone = zone,
				      .order = 5,
				      .search_order = 5,
				      .gfp = GFP_HIGHUSER_MOVABLE,
				      .mode = MIGRATE_SYNC_LIGHT,
				      .direct = true,
				      .type = MT_MOVABLE,
				      .migrate_pfn = zone->start_pfn + 20 * 512 + 64,
				      .free_pfn = zone->start_pfn + 19 * 512,
				      .free = { PFN_NONE, PFN_NONE },
				      .migrate = { PFN_NONE, PFN_NONE },
				      .nr_migrate = 32 };

	compact_free_scan(f->t, &cc);
	assert_int_equal(cc.nr_free, 0);
	assert_true(list_empty(&cc.free));
	assert_int_equal(cc.free_pfn, zone->start_pfn + 19 * 512);
	assert_int_equal(cc.fast_search_fail, 1);
	for (uint32_t i = 0; i < 64; i++)
		assert_false(compact_skip_test(f->m, zone->start_pfn + i * 512));
	picture_end(&picture);
}

MACHINE_TEST(crossed, .pages = 4096, .dma_pages = 64 * 512);

/* ---- ranges ---- */

static void body_ranges(struct machine_fixture *f)
{
	struct picture picture;
	uint32_t next;

	picture_build(&picture, f, "8.4e8.44K");
	uint32_t start = picture.zone->start_pfn;
	struct compact_control cc = { .zone = picture.zone,
				      .order = -1,
				      .gfp = GFP_KERNEL,
				      .mode = MIGRATE_SYNC,
				      .ignore_skip_hint = true,
				      .no_set_skip_hint = true };

	/* All free: everything is taken, and nothing remembered. */
	assert_int_equal(compact_free_range(f->t, &cc, start, start + 1024), start + 1024);
	assert_int_equal(cc.nr_free, 1024);
	assert_int_equal(compact_free_release(f->t, &cc), start + 1023);
	pcp_drain_all(f->t, f->m, NULL);
	/* A range that ends inside a free block: the block goes as a whole. */
	assert_int_equal(compact_free_range(f->t, &cc, start, start + 300), start + 1024);
	assert_int_equal(cc.nr_free, 1024);
	compact_free_release(f->t, &cc);
	pcp_drain_all(f->t, f->m, NULL);
	/* One that begins inside is not seen to be free. */
	assert_int_equal(compact_free_range(f->t, &cc, start + 8, start + 300), 0);
	/* One frame in use: none is kept. */
	assert_int_equal(compact_free_range(f->t, &cc, start + 7 * 512, start + 9 * 512), 0);
	assert_int_equal(cc.nr_free, 0);
	assert_true(list_empty(&cc.free));
	assert_false(compact_skip_test(f->m, start + 7 * 512));
	/* Sources of a range: about a bite a call, whatever the marks say. */
	compact_skip_set(f->m, start + 8 * 512);
	assert_int_equal(compact_scan_range(f->t, &cc, start + 8 * 512, start + 12 * 512, &next),
			 0);
	assert_int_equal(cc.nr_migrate, 32);
	assert_int_equal(next - start, 8 * 512 + 63);
	migrate_putback(f->t, &cc.migrate);
	cc.nr_migrate = 0;
	assert_int_equal(atomic_load(&picture.zone->compact_cached_free), 0);
	picture_end(&picture);
}

MACHINE_TEST(ranges, .pages = 4096, .dma_pages = 64 * 512);

/* ---- capture ---- */

static void body_capture_rules(struct machine_fixture *f)
{
	struct compact_capture capture = { .zone = f->zone, .order = HUGE };
	uint32_t pfn = alloc_order(f, HUGE, GFP_KERNEL);

	assert_int_not_equal(pfn, PFN_NONE);
	cpu_pin(f->t);
	spin_lock(f->t, &f->zone->lock, LOCK_ZONE);
	f->t->capture = &capture;
	/* Another order, another zone, a kernel thread, a block set aside, one too many. */
	assert_false(compact_capture_block(f->t, f->zone, pfn, HUGE - 1, MT_UNMOVABLE));
	assert_false(compact_capture_block(f->t, &f->node->zone[ZONE_DMA], pfn, HUGE, MT_MOVABLE));
	assert_false(compact_capture_block(f->t, f->zone, pfn, HUGE, MT_ISOLATE));
	assert_false(compact_capture_block(f->t, f->zone, pfn, HUGE, MT_CMA));
	f->t->flags |= PF_KTHREAD;
	assert_false(compact_capture_block(f->t, f->zone, pfn, HUGE, MT_MOVABLE));
	f->t->flags &= ~PF_KTHREAD;
	capture.order = 4;
	assert_false(compact_capture_block(f->t, f->zone, pfn, 4, MT_MOVABLE));
	capture.pfn = 77;
	assert_false(compact_capture_block(f->t, f->zone, pfn, 4, MT_UNMOVABLE));
	f->t->capture = NULL;
	spin_unlock(f->t, &f->zone->lock, LOCK_ZONE);
	cpu_unpin(f->t);
	free_order(f, pfn, HUGE);
}

MACHINE_TEST(capture_rules, .pages = 4096);

/*
 * Half of the zone is free, no block of order 9 is: the request gets one through capture, without
 * a mark asked, and every page is what it was.
 */
static void body_request(struct machine_fixture *f)
{
	struct picture picture;
	char after[4 * PICTURE_BLOCKS_MAX];

	picture_build(&picture, f, "64o");
	uint64_t before = zone_stat_exact(picture.zone, NR_FREE_PAGES);

	assert_int_equal(alloc_order(f, HUGE, GFP_ZONE_DMA & ~GFP_BIT_DIRECT_RECLAIM), PFN_NONE);
	assert_int_equal(machine_events(f, EV_COMPACT_STALL), 0);
	for (uint32_t i = 1; i <= 16; i++) {
		uint32_t pfn = alloc_order(f, HUGE, GFP_ZONE_DMA);

		assert_int_not_equal(pfn, PFN_NONE);
		assert_int_equal(page_refs(machine_page(f->m, pfn)), 1);
		assert_int_equal(page_order(machine_page(f->m, pfn)), HUGE);
		page_set(machine_page(f->m, pfn), PG_KERNEL);
		machine_settle(f);
		uint64_t held = zone_stat_exact(picture.zone, NR_FREE_PAGES);

		for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++)
			held += picture.zone->pcp[cpu].count;
		assert_int_equal(held, before - (uint64_t)i * 512);
		assert_int_equal(machine_events(f, EV_COMPACT_STALL),
				 machine_events(f, EV_COMPACT_SUCCESS) +
					 machine_events(f, EV_COMPACT_FAIL));
	}
	assert_true(machine_events(f, EV_COMPACT_SUCCESS) > 8);
	machine_verify(f);
	machine_check(f, picture.region, 0, picture.nr_pages);
	picture_draw(&picture, after);
	for (uint32_t pfn = picture.zone->start_pfn; pfn < zone_end(picture.zone); pfn++) {
		struct page *page = machine_page(f->m, pfn);

		if (page_test(page, PG_HEAD)) {
			page_clear(page, PG_KERNEL);
			free_order(f, pfn, HUGE);
		}
	}
	picture_end(&picture);
}

MACHINE_TEST(request, .pages = 4096, .dma_pages = 64 * 512, .real = true);

/* Without permission for I/O there is no compaction; without a chance a request is deferred. */
static void body_refused(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "64o");
	assert_int_equal(alloc_order(f, HUGE, GFP_ZONE_DMA & ~(GFP_BIT_IO | GFP_BIT_FS)), PFN_NONE);
	assert_int_equal(machine_events(f, EV_COMPACT_STALL), 0);
	compact_defer_failure(f->t, picture.zone, HUGE);
	compact_defer_failure(f->t, picture.zone, HUGE);
	/* One light attempt, turned away: counted as a stall and as a failure. */
	assert_int_equal(alloc_order(f, HUGE, GFP_ZONE_DMA | GFP_BIT_NORETRY), PFN_NONE);
	assert_int_equal(machine_events(f, EV_COMPACT_STALL), 1);
	assert_int_equal(machine_events(f, EV_COMPACT_FAIL), 1);
	assert_int_equal(machine_events(f, EV_COMPACT_MIGRATE_SCANNED), 0);
	picture_end(&picture);
}

MACHINE_TEST(refused, .pages = 4096, .dma_pages = 64 * 512);

/* compact_memory and a node's file do the same on one node. */
static void body_everything(struct machine_fixture *f)
{
	struct picture picture;
	char after[4 * PICTURE_BLOCKS_MAX];

	picture_build(&picture, f, "64e");
	compact_all(f->t, f->m);
	machine_settle(f);
	picture_draw(&picture, after);
	assert_string_equal(after, "31.ef31M");
	uint64_t moved = machine_events(f, EV_PGMIGRATE_SUCCESS);

	compact_node(f->t, f->node);
	/* Nothing is left to gain: a last bite without a target. */
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) - moved <= 256);
	picture_end(&picture);
}

MACHINE_TEST(everything, .pages = 4096, .dma_pages = 64 * 512);

/* ---- drivers' pages ---- */

#define DRIVER_PAGES 64u

static uint32_t driver_pfn[DRIVER_PAGES];
static uint32_t driver_moved;

static bool driver_isolate(struct task *t, struct page *page, enum migrate_mode mode)
{
	(void)t;
	(void)mode;
	return page_test(page, PG_LOCKED);
}

static int driver_migrate(struct task *t, struct page *to, struct page *from,
			  enum migrate_mode mode)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(from - m->pages);

	(void)mode;
	for (uint32_t i = 0; i < DRIVER_PAGES; i++) {
		if (driver_pfn[i] == pfn) {
			driver_pfn[i] = (uint32_t)(to - m->pages);
			driver_moved++;
			return 0;
		}
	}
	return -EBUSY;
}

static void driver_putback(struct task *t, struct page *page)
{
	(void)t;
	(void)page;
}

static const struct movable_ops driver_ops = { driver_isolate, driver_migrate, driver_putback };

static void body_driver(struct machine_fixture *f)
{
	struct picture picture;
	char after[4 * PICTURE_BLOCKS_MAX];

	picture_build(&picture, f, "k47K16q");
	uint32_t driver = migrate_register(f->m, &driver_ops);

	driver_moved = 0;
	for (uint32_t i = 0; i < DRIVER_PAGES; i++) {
		driver_pfn[i] = picture.zone->start_pfn + 2 * i;
		migrate_set_movable(machine_page(f->m, driver_pfn[i]), driver);
	}
	/* The rest of the block's pages go, so that only the driver's are in the way. */
	for (uint32_t i = 2 * DRIVER_PAGES; i < NEAP_PAGEBLOCK_PAGES; i += 2) {
		page_clear(machine_page(f->m, picture.zone->start_pfn + i), PG_KERNEL);
		page_put(f->t, machine_page(f->m, picture.zone->start_pfn + i));
	}
	compact_all(f->t, f->m);
	machine_settle(f);
	picture_draw(&picture, after);
	assert_int_equal(driver_moved, DRIVER_PAGES);
	for (uint32_t i = 0; i < DRIVER_PAGES; i++) {
		struct page *page = machine_page(f->m, driver_pfn[i]);

		assert_true(driver_pfn[i] >= picture.zone->start_pfn + NEAP_PAGEBLOCK_PAGES);
		assert_int_equal(page_refs(page), 1);
		page_lock(f->t, page);
		migrate_clear_movable(page);
		page_unlock(f->t, page);
	}
	/* compact_isolated counts them, nr_isolated_* do not. */
	assert_true(machine_events(f, EV_COMPACT_ISOLATED) >= 2 * DRIVER_PAGES);
	picture_end(&picture);
}

MACHINE_TEST(driver, .pages = 4096, .dma_pages = 64 * 512);

/* ---- interleavings ---- */

#define WORLD_PAGES 2100u
#define WORLD_OWNED 700u
#define WORLD_TASKS 5u

struct world {
	struct machine_fixture *f;
	struct region *region;
	struct region *view;
	uint64_t seed;
	_Atomic uint32_t done;
};

struct worker {
	struct world *world;
	uint32_t index;
};

/* Touches, frees and rewrites its own pages; expects to find what it wrote. */
static int toucher(struct task *t, void *arg)
{
	const struct worker *worker = arg;
	struct world *world = worker->world;
	uint32_t *version = calloc(WORLD_OWNED, sizeof(*version));
	struct rng rng;

	t->machine = world->f->m;
	assert_non_null(version);
	rng_seed(&rng, world->seed * 31 + worker->index);
	for (uint32_t step = 1; step < 2000; step++) {
		uint64_t i = step <= WORLD_OWNED ? step - 1 : rng_below(&rng, WORLD_OWNED);
		uint64_t page = worker->index * WORLD_OWNED + i;
		uint64_t value = 0;
		uint32_t action = step <= WORLD_OWNED ? 4 : (uint32_t)rng_below(&rng, 16);

		if (action < 4) {
			region_zap(t, world->region, page, 1);
			version[i] = 0;
		} else if (action < 11) {
			version[i] = step;
			value = machine_value(world->region, page, step);
			assert_int_equal(task_write(t, world->region, page, value), 0);
		} else if (action < 12) {
			assert_int_equal(task_read(t, world->view, page % 64, &value), 0);
			assert_int_equal(value, machine_file_value(page % 64, 0));
		} else {
			uint64_t expected =
				version[i] == 0 ? 0
						: machine_value(world->region, page, version[i]);

			assert_int_equal(task_read(t, world->region, page, &value), 0);
			if (value != expected)
				fail_msg("seed %llu: page %llu at step %u",
					 (unsigned long long)world->seed, (unsigned long long)page,
					 step);
		}
	}
	free(version);
	atomic_fetch_add(&world->done, 1);
	return 0;
}

/* Asks for blocks of every order, and gives them back. */
static int asker(struct task *t, void *arg)
{
	struct world *world = ((struct worker *)arg)->world;
	struct rng rng;

	t->machine = world->f->m;
	rng_seed(&rng, world->seed * 17 + 3);
	while (atomic_load(&world->done) < 3) {
		struct alloc_request request = { .gfp = rng_below(&rng, 2) ? GFP_HIGHUSER_MOVABLE
									   : GFP_KERNEL,
						 .order = 1 + (uint32_t)rng_below(&rng, 9) };

		request.gfp |= GFP_BIT_NORETRY | GFP_BIT_NOWARN;
		uint32_t pfn = alloc_pages(t, &request);

		if (pfn != PFN_NONE) {
			page_set(machine_page(t->machine, pfn), PG_KERNEL);
			rt_preempt(t);
			page_clear(machine_page(t->machine, pfn), PG_KERNEL);
			page_put(t, machine_page(t->machine, pfn));
		}
		rt_sleep(t, 20 * NSEC_PER_USEC);
	}
	return 0;
}

/* Compacts as an administrator, and rouses kcompactd. */
static int administrator(struct task *t, void *arg)
{
	struct world *world = ((struct worker *)arg)->world;

	t->machine = world->f->m;
	while (atomic_load(&world->done) < 3) {
		compact_all(t, t->machine);
		rt_sleep(t, 50 * NSEC_PER_USEC);
		kcompactd_wake(t, world->f->node, 9, ZONE_NORMAL);
		rt_sleep(t, 50 * NSEC_PER_USEC);
		compact_hint_reset_node(t, world->f->node);
	}
	return 0;
}

static uint64_t world_seed;
static uint64_t world_moved, world_stalls;

static void body_world(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 64);
	struct world world = { .f = f, .seed = world_seed };
	struct worker worker[WORLD_TASKS];
	struct task *task[WORLD_TASKS];
	static int (*const job[WORLD_TASKS])(struct task *, void *) = { toucher, toucher, toucher,
									asker, administrator };

	world.region = machine_region(f, WORLD_PAGES);
	world.view = machine_region_spec(f, &(struct region_spec){ .nr_pages = 64,
								   .mapping = file->mapping });
	for (uint32_t i = 0; i < WORLD_TASKS; i++) {
		struct task_spec spec = { .name = "worker", .fn = job[i], .arg = &worker[i] };

		worker[i] = (struct worker){ &world, i };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < WORLD_TASKS; i++)
		rt_join(f->t, task[i]);
	machine_settle(f);
	assert_int_equal(machine_events(f, EV_COMPACT_STALL),
			 machine_events(f, EV_COMPACT_SUCCESS) +
				 machine_events(f, EV_COMPACT_FAIL));
	machine_verify(f);
	world_moved += machine_events(f, EV_PGMIGRATE_SUCCESS);
	world_stalls += machine_events(f, EV_COMPACT_STALL);
	machine_region_end_cached(f, world.region);
}

static void test_world(void **state)
{
	uint64_t first = machine_seed();
	uint64_t nr = machine_nr_seeds();

	(void)state;
	world_moved = 0;
	world_stalls = 0;
	for (world_seed = first; world_seed < first + nr; world_seed++)
		machine_run(&(struct machine_setup){ .pages = 3072,
						     .nr_cpus = 3,
						     .swap_pages = 2048,
						     .seed = world_seed,
						     .real = world_seed % 2 == 0,
						     .proactiveness = world_seed % 3 == 0 ? 100 : 0,
						     .explore = world_seed % 8 != 0 },
			    body_world);
	print_message("%llu interleavings: %llu pages moved, %llu direct attempts\n",
		      (unsigned long long)nr, (unsigned long long)world_moved,
		      (unsigned long long)world_stalls);
	assert_true(world_moved > nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deferral),      cmocka_unit_test(test_suitable),
		cmocka_unit_test(test_scores),	      cmocka_unit_test(test_reset),
		cmocka_unit_test(test_reset_nothing), cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_capture_rules), cmocka_unit_test(test_request),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_everything),
		cmocka_unit_test(test_crossed),	      cmocka_unit_test(test_driver),
		cmocka_unit_test(test_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
