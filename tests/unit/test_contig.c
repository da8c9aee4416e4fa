/*
 * Contiguous ranges: emptied, taken, given back; or refused, and then nothing has changed.
 *
 *   isolate ── drain ── move away ── all free? ── taken
 *                                       └─ no ─── types and counts as before
 *
 * The last test takes and gives back ranges while programs read and write what lies there, in many
 * interleavings.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/contig.h"
#include "core/hotplug_mem.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/sysctl.h"
#include "core/thp.h"
#include "core/vmstat.h"

/* What an attempt must leave as it was. */
struct before {
	uint64_t free;
	uint64_t blocks[NR_TYPES];
};

static void look(struct machine_fixture *f, struct before *before)
{
	lru_drain_all(f->t);
	pcp_drain_all(f->t, f->m, NULL);
	before->free = machine_zone_count(f, NR_FREE_PAGES);
	pageblock_count(f->zone, before->blocks);
}

static void check_unchanged(struct machine_fixture *f, const struct before *before)
{
	struct before now;

	look(f, &now);
	assert_int_equal(now.free, before->free);
	assert_memory_equal(now.blocks, before->blocks, sizeof(now.blocks));
	machine_verify(f);
}

static void check_taken(struct machine_fixture *f, uint32_t first, uint32_t end)
{
	for (uint32_t pfn = first; pfn < end; pfn++) {
		assert_true(page_test(machine_page(f->m, pfn), PG_KERNEL));
		assert_int_equal(page_refs(machine_page(f->m, pfn)), 1);
	}
}

/* Pages first..end-1 are what the region's entries map, as far as they map any. */
static uint32_t mapped_in(struct machine_fixture *f, struct region *region, uint32_t first,
			  uint32_t end)
{
	uint32_t nr = 0;

	for (uint64_t i = 0; i < region->nr_pages; i++) {
		const struct page *page = machine_page_at(f, region, i);
		uint32_t pfn = page == NULL ? 0 : (uint32_t)(page - f->m->pages);

		nr += pfn >= first && pfn < end;
	}
	return nr;
}

/* ---- success ---- */

/* A range over borders of pageblocks, with pages of memory and of a file everywhere. */
static void body_range(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 400);
	struct region *region = machine_region(f, 2000);
	uint32_t first = f->zone->start_pfn + 3 * 512 + 100;
	uint32_t end = first + 1000;
	struct before before;
	uint64_t value;

	machine_fill(f, region, 0, 2000);
	for (uint64_t i = 0; i < 400; i++)
		assert_int_equal(machine_file_read(f, file, i, &value), 0);
	assert_true(mapped_in(f, region, first, end) > 100);
	look(f, &before);
	assert_int_equal(contig_alloc(f->t, f->zone, first, end, MT_MOVABLE), 0);
	check_taken(f, first, end);
	assert_int_equal(mapped_in(f, region, first, end), 0);
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) > 100);
	machine_verify(f);
	machine_check(f, region, 0, 2000);
	for (uint64_t i = 0; i < 400; i++) {
		assert_int_equal(machine_file_read(f, file, i, &value), 0);
		assert_int_equal(value, machine_file_value(i, 0));
	}
	contig_free(f->t, first, end - first);
	check_unchanged(f, &before);
}

MACHINE_TEST(range, .pages = 8192, .real = true);

/* The ends cut free blocks: what lies beyond is free again. */
static void body_ends(struct machine_fixture *f)
{
	uint32_t first = f->zone->start_pfn + 2 * 1024 + 3;
	struct before before;

	look(f, &before);
	assert_int_equal(contig_alloc(f->t, f->zone, first, first + 1, MT_MOVABLE), 0);
	check_taken(f, first, first + 1);
	machine_verify(f);
	assert_int_equal(contig_alloc(f->t, f->zone, first + 1, first + 700, MT_MOVABLE), 0);
	check_taken(f, first + 1, first + 700);
	assert_int_equal(machine_zone_count(f, NR_FREE_PAGES), before.free - 700);
	machine_verify(f);
	contig_free(f->t, first, 700);
	check_unchanged(f, &before);
}

MACHINE_TEST(ends, .pages = 8192);

/* Huge pages in the way are split, and their parts move. */
static void body_huge(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 4 * THP_PAGES, .flags = REGION_HUGE });
	uint32_t first;

	assert_int_equal(sysctl_write(f->t, f->m, "/sys/kernel/mm/transparent_hugepage/enabled",
				      "always", 6),
			 6);
	machine_fill(f, region, 0, 4 * THP_PAGES);
	assert_int_equal(machine_events(f, EV_THP_FAULT_ALLOC), 4);
	first = (uint32_t)(machine_page_at(f, region, 0) - f->m->pages) + 9;
	assert_int_equal(contig_alloc(f->t, f->zone, first, first + 20, MT_MOVABLE), 0);
	assert_int_equal(machine_events(f, EV_THP_SPLIT_PAGE), 1);
	assert_int_equal(machine_events(f, EV_PGMIGRATE_SUCCESS), 20);
	machine_verify(f);
	machine_check(f, region, 0, 4 * THP_PAGES);
	contig_free(f->t, first, 20);
}

MACHINE_TEST(huge, .pages = 8192);

/* ---- refusals ---- */

static void body_refused(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3000);
	struct fixture_hoard hoard = { 0 };
	struct before before;
	uint32_t pfn, first;

	machine_fill(f, region, 0, 3000);
	/* A pinned page. */
	assert_int_equal(fault_pin(f->t, region, 1500, true, &pfn), 0);
	first = pfn & ~511u;
	look(f, &before);
	assert_int_equal(contig_alloc(f->t, f->zone, first, first + 512, MT_MOVABLE), -EBUSY);
	check_unchanged(f, &before);
	machine_check(f, region, 0, 3000);
	fault_unpin(f->t, machine_page(f->m, pfn), false);
	/* A block of the kernel. */
	pfn = alloc_page(f->t, GFP_KERNEL);
	page_set(machine_page(f->m, pfn), PG_KERNEL);
	look(f, &before);
	assert_int_equal(contig_alloc(f->t, f->zone, pfn, pfn + 8, MT_MOVABLE), -EBUSY);
	check_unchanged(f, &before);
	page_clear(machine_page(f->m, pfn), PG_KERNEL);
	page_put(f->t, machine_page(f->m, pfn));
	/* Not of an area for contiguous memory; not wholly in the zone. */
	assert_int_equal(contig_alloc(f->t, f->zone, first, first + 1, MT_CMA), -EBUSY);
	first = f->zone->start_pfn + zone_spanned(f->zone);
	assert_int_equal(contig_alloc(f->t, f->zone, first, first + 1, MT_MOVABLE), -EINVAL);
	/* Nowhere to go to. The hoard takes whole pageblocks from other types, so look afterwards.
	 */
	machine_hoard(f, &hoard, 5);
	look(f, &before);
	first = (uint32_t)(machine_page_at(f, region, 700) - f->m->pages) & ~511u;
	assert_true(contig_alloc(f->t, f->zone, first, first + 512, MT_MOVABLE) < 0);
	check_unchanged(f, &before);
	machine_release(f, &hoard, hoard.nr);
	machine_check(f, region, 0, 3000);
}

MACHINE_TEST(refused, .pages = 6144);

/* ---- any range ---- */

static void body_any(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 4000);
	struct before before;
	uint32_t first, second;

	machine_fill(f, region, 0, 4000);
	look(f, &before);
	assert_int_equal(contig_alloc_pages(f->t, 0, 1024, &first), 0);
	assert_int_equal(contig_alloc_pages(f->t, 0, 1024, &second), 0);
	assert_int_equal(first % 1024, 0);
	assert_true(second >= first + 1024);
	check_taken(f, first, first + 1024);
	assert_int_equal(contig_alloc_pages(f->t, 0, 1u << 20, &first), -ENOMEM);
	machine_verify(f);
	machine_check(f, region, 0, 4000);
	contig_free(f->t, second - 1024, 2048);
	check_unchanged(f, &before);
}

MACHINE_TEST(any, .pages = 8192);

/* ---- all at once ---- */

#define WORLD_PAGES 600u

struct world {
	struct machine_fixture *f;
	struct region *region;
	uint64_t seed;
	uint32_t taken, refused;
};

struct worker {
	struct world *world;
	uint32_t id;
};

/* Reads and writes its own third of the pages. */
static int toucher(struct task *t, void *arg)
{
	const struct worker *worker = arg;
	struct world *world = worker->world;
	uint32_t version[WORLD_PAGES / 3] = { 0 };
	struct rng rng;

	t->machine = world->f->m;
	rng_seed(&rng, world->seed * 31 + worker->id);
	for (uint32_t step = 0; step < 300; step++) {
		uint32_t i = (uint32_t)rng_below(&rng, WORLD_PAGES / 3);
		uint64_t page = i * 3 + worker->id;
		uint64_t value;

		if (rng_below(&rng, 2) == 0) {
			version[i] = step + 1;
			value = machine_value(world->region, page, version[i]);
			assert_int_equal(task_write(t, world->region, page, value), 0);
			continue;
		}
		assert_int_equal(task_read(t, world->region, page, &value), 0);
		if (value != (version[i] == 0 ? 0 : machine_value(world->region, page, version[i])))
			fail_msg("seed %llu: page %llu", (unsigned long long)world->seed,
				 (unsigned long long)page);
	}
	return 0;
}

static int taker(struct task *t, void *arg)
{
	struct worker *worker = arg;
	struct world *world = worker->world;
	struct zone *zone = world->f->zone;
	struct rng rng;

	t->machine = world->f->m;
	rng_seed(&rng, world->seed * 17 + worker->id);
	for (uint32_t round = 0; round < 6; round++) {
		uint32_t nr = 1 + (uint32_t)rng_below(&rng, 300);
		uint32_t first =
			zone->start_pfn + (uint32_t)rng_below(&rng, zone_spanned(zone) - nr - 512);
		int err = contig_alloc(t, zone, first, first + nr, MT_MOVABLE);

		if (err != 0) {
			world->refused++;
			continue;
		}
		world->taken++;
		rt_preempt(t);
		contig_free(t, first, nr);
	}
	return 0;
}

static uint64_t world_seed, world_taken, world_refused;

static void body_world(struct machine_fixture *f)
{
	static int (*const job[4])(struct task *, void *) = { toucher, toucher, toucher, taker };
	struct world world = { .f = f, .seed = world_seed };
	struct worker worker[4];
	struct task *task[4];

	world.region = machine_region(f, WORLD_PAGES);
	machine_fill(f, world.region, 0, 1);
	region_zap(f->t, world.region, 0, 1);
	for (uint32_t i = 0; i < 4; i++) {
		struct task_spec spec = { .name = "worker", .fn = job[i], .arg = &worker[i] };

		worker[i] = (struct worker){ &world, i };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++)
		rt_join(f->t, task[i]);
	machine_settle(f);
	machine_verify(f);
	world_taken += world.taken;
	world_refused += world.refused;
	machine_region_end_cached(f, world.region);
}

static void test_world(void **state)
{
	uint64_t first = machine_seed();
	uint64_t nr = machine_nr_seeds();

	(void)state;
	world_taken = 0;
	world_refused = 0;
	for (world_seed = first; world_seed < first + nr; world_seed++)
		machine_run(&(struct machine_setup){ .pages = 2048,
						     .nr_cpus = 3,
						     .swap_pages = 1024,
						     .seed = world_seed,
						     .real = world_seed % 4 == 0,
						     .explore = true },
			    body_world);
	print_message("%llu interleavings: %llu ranges taken, %llu refused\n",
		      (unsigned long long)nr, (unsigned long long)world_taken,
		      (unsigned long long)world_refused);
	assert_true(world_taken > nr);
}

/* ---- zones whose spans overlap ---- */

#define OVERLAP_BLOCKS 3u

/*
 * Normal | Movable | Normal: zone Normal's span covers a memory block of zone Movable, whose lists
 * another lock guards. Nothing of it may be set aside, or taken, as Normal's.
 */
static void body_overlap(struct machine_fixture *f)
{
	struct zone *movable = &f->node->zone[ZONE_MOVABLE];
	uint32_t pages = 1u << f->m->blocks.shift;
	uint32_t first, found;

	assert_int_equal(hotplug_mem_add(f->t, 0, OVERLAP_BLOCKS, &first), 0);
	for (uint32_t i = 0; i < OVERLAP_BLOCKS; i++)
		assert_int_equal(hotplug_mem_online(f->t, first + i,
						    i == 1 ? HOTPLUG_MOVABLE : HOTPLUG_KERNEL),
				 0);
	uint32_t pfn = (first + 1) << f->m->blocks.shift;
	uint64_t movable_free = zone_stat_exact(movable, NR_FREE_PAGES);

	assert_true(f->zone->start_pfn < pfn && pfn < zone_end(f->zone));
	assert_int_equal(contig_alloc(f->t, f->zone, pfn + 5, pfn + 600, MT_MOVABLE), -EINVAL);
	assert_int_equal(contig_alloc(f->t, f->zone, pfn - 300, pfn + 300, MT_MOVABLE), -EINVAL);
	assert_int_equal(zone_stat_exact(movable, NR_FREE_PAGES), movable_free);
	machine_verify(f);
	/* Larger than any block of the hole's both sides: it is found nowhere. */
	assert_int_equal(contig_alloc_pages(f->t, 0, f->m->max_pfn - f->zone->start_pfn, &found),
			 -ENOMEM);
	machine_verify(f);
	assert_int_equal(contig_alloc_pages(f->t, 0, pages - 24, &found), 0);
	for (uint32_t i = 0; i < pages - 24; i++)
		assert_ptr_equal(page_zone(f->m, machine_page(f->m, found + i)), f->zone);
	contig_free(f->t, found, pages - 24);
	machine_verify(f);
}
MACHINE_TEST(overlap, .pages = 2048, .hot_blocks = OVERLAP_BLOCKS);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range),	cmocka_unit_test(test_ends),
		cmocka_unit_test(test_huge),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_any),	cmocka_unit_test(test_world),
		cmocka_unit_test(test_overlap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
