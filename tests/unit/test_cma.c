/*
 * The contiguous memory area: who may use its pages meanwhile, and that it can be emptied.
 *
 *   movable requests ── more than half of what is free is there? ── first, else last
 *   other requests   ── never, and the marks do not count it for them
 *   cma_alloc        ── map, contig_alloc, and behind what stays
 */
#include "machine_fixture.h"

#include <errno.h>

#include "core/buddy.h"
#include "core/cma.h"
#include "core/contig.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/verify.h"

#define AREA_PAGES 1536u

static uint64_t free_cma(struct machine_fixture *f)
{
	pcp_drain_all(f->t, f->m, NULL);
	return machine_zone_count(f, NR_FREE_CMA);
}

static bool in_area(const struct machine_fixture *f, uint32_t pfn)
{
	return pfn - f->m->cma.first < f->m->cma.nr_pages;
}

static void body_create(struct machine_fixture *f)
{
	uint64_t free_before = machine_zone_count(f, NR_FREE_PAGES);

	assert_int_equal(cma_alloc(f->t, f->m, 1, &(uint32_t){ 0 }), -ENOMEM);
	assert_int_equal(cma_create(f->t, f->m, 1u << 24), -ENOMEM);
	assert_int_equal(cma_create(f->t, f->m, AREA_PAGES - 3), 0);
	assert_int_equal(cma_create(f->t, f->m, 1), -EEXIST);
	assert_int_equal(f->m->cma.nr_pages, AREA_PAGES);
	assert_int_equal(f->m->cma.first + AREA_PAGES, f->zone->start_pfn + zone_spanned(f->zone));
	assert_int_equal(machine_zone_count(f, NR_FREE_CMA), AREA_PAGES);
	assert_int_equal(machine_zone_count(f, NR_FREE_PAGES), free_before);
	assert_int_equal(pageblock_type(f->m, f->m->cma.first), MT_CMA);
	assert_int_equal(pageblock_type(f->m, f->m->cma.first - 1), MT_MOVABLE);
	machine_verify(f);
}

MACHINE_TEST(create, .pages = 6144);

/* Movable pages take turns between both parts; kernel pages never come from the area. */
static void body_use(struct machine_fixture *f)
{
	struct list kernel = { PFN_NONE, PFN_NONE };
	struct list user = { PFN_NONE, PFN_NONE };
	uint64_t in = 0;
	uint32_t pfn;

	assert_int_equal(cma_create(f->t, f->m, AREA_PAGES), 0);
	/* As long as less than half of what is free is there, the own type comes first. */
	pfn = alloc_page(f->t, GFP_HIGHUSER_MOVABLE);
	assert_false(in_area(f, pfn));
	page_put(f->t, machine_page(f->m, pfn));
	for (;;) {
		pfn = alloc_page(f->t, GFP_KERNEL & ~GFP_BITS_RECLAIM);
		if (pfn == PFN_NONE)
			break;
		assert_false(in_area(f, pfn));
		list_add_head(f->m->pages, &kernel, pfn);
		page_set(machine_page(f->m, pfn), PG_KERNEL);
	}
	/* The marks do not count the area for such requests: it is all that is free. */
	assert_int_equal(free_cma(f), AREA_PAGES);
	assert_in_range(machine_zone_count(f, NR_FREE_PAGES), AREA_PAGES,
			AREA_PAGES + zone_mark(f->zone, WMARK_MIN) + 64);
	for (uint32_t i = 0; i < 800; i++) {
		pfn = alloc_page(f->t, GFP_HIGHUSER_MOVABLE & ~GFP_BITS_RECLAIM);
		assert_int_not_equal(pfn, PFN_NONE);
		in += in_area(f, pfn);
		list_add_head(f->m->pages, &user, pfn);
		page_set(machine_page(f->m, pfn), PG_KERNEL);
	}
	assert_true(in > 700);
	assert_int_equal(free_cma(f), AREA_PAGES - in);
	while (!list_empty(&user)) {
		pfn = list_pop(f->m->pages, &user);
		page_clear(machine_page(f->m, pfn), PG_KERNEL);
		page_put(f->t, machine_page(f->m, pfn));
	}
	assert_int_equal(free_cma(f), AREA_PAGES);
	while (!list_empty(&kernel)) {
		pfn = list_pop(f->m->pages, &kernel);
		page_clear(machine_page(f->m, pfn), PG_KERNEL);
		page_put(f->t, machine_page(f->m, pfn));
	}
	assert_int_equal(buddy_count_type(f->zone, MT_CMA), AREA_PAGES);
}

MACHINE_TEST(use, .pages = 6144);

/* Programs' pages leave when the area is wanted, and come back later. */
static void body_alloc(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 5000);
	uint32_t first[4];

	assert_int_equal(cma_create(f->t, f->m, AREA_PAGES), 0);
	machine_fill(f, region, 0, 5000);
	assert_true(free_cma(f) < 1000);
	region_zap(f->t, region, 1000, 2000);
	assert_int_equal(cma_alloc(f->t, f->m, 700, &first[0]), 0);
	assert_int_equal((first[0] - f->m->cma.first) % 256, 0);
	assert_int_equal(cma_alloc(f->t, f->m, 3, &first[1]), 0);
	assert_int_equal((first[1] - f->m->cma.first) % 4, 0);
	assert_true(first[1] >= first[0] + 700 || first[1] + 3 <= first[0]);
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) > 100);
	machine_verify(f);
	assert_int_equal(cma_alloc(f->t, f->m, 1000, &first[2]), -ENOMEM);
	assert_int_equal(machine_events(f, EV_SIM_CMA_ALLOC_SUCCESS), 2);
	assert_int_equal(machine_events(f, EV_SIM_CMA_ALLOC_FAIL), 1);
	machine_check(f, region, 0, 1000);
	machine_check(f, region, 3000, 2000);
	cma_release(f->t, f->m, first[0], 700);
	cma_release(f->t, f->m, first[1], 3);
	machine_verify(f);
	assert_int_equal(cma_alloc(f->t, f->m, AREA_PAGES, &first[3]), 0);
	assert_int_equal(first[3], f->m->cma.first);
	assert_int_equal(free_cma(f), 0);
	machine_verify(f);
	cma_release(f->t, f->m, first[3], AREA_PAGES);
}

MACHINE_TEST(alloc, .pages = 6144);

/* A pinned page: the run behind it is taken. */
static void body_busy(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 5500);
	uint32_t pfn = PFN_NONE;
	uint32_t first;
	uint64_t page = 0;

	assert_int_equal(cma_create(f->t, f->m, AREA_PAGES), 0);
	machine_fill(f, region, 0, 5500);
	for (; page < 5500; page++) {
		pfn = (uint32_t)(machine_page_at(f, region, page) - f->m->pages);
		if (pfn - f->m->cma.first < 256)
			break;
	}
	assert_true(page < 5500);
	assert_int_equal(fault_pin(f->t, region, page, true, &pfn), 0);
	region_zap(f->t, region, 0, page < 2700 ? page : 2700);
	region_zap(f->t, region, page + 1, 5500 - page - 1);
	assert_int_equal(cma_alloc(f->t, f->m, 256, &first), 0);
	assert_int_equal(first, f->m->cma.first + 256);
	assert_int_equal(cma_alloc(f->t, f->m, AREA_PAGES - 512, &(uint32_t){ 0 }), 0);
	assert_int_equal(cma_alloc(f->t, f->m, 256, &(uint32_t){ 0 }), -ENOMEM);
	machine_verify(f);
	fault_unpin(f->t, machine_page(f->m, pfn), false);
	cma_release(f->t, f->m, first, 256);
	cma_release(f->t, f->m, first + 256, AREA_PAGES - 512);
}

MACHINE_TEST(busy, .pages = 6144);

/* The law of the map, and of the count. */
static void body_laws(struct machine_fixture *f)
{
	uint32_t first;

	assert_int_equal(cma_create(f->t, f->m, AREA_PAGES), 0);
	assert_int_equal(cma_alloc(f->t, f->m, 10, &first), 0);
	assert_null(verify_machine(f->t, f->m));
	f->m->cma.map[0] ^= 1;
	assert_non_null(verify_machine(f->t, f->m));
	f->m->cma.map[0] ^= 1;
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_FREE_CMA, 1);
	cpu_unpin(f->t);
	assert_non_null(verify_machine(f->t, f->m));
	cpu_pin(f->t);
	zone_stat_add(f->t, f->zone, NR_FREE_CMA, -1);
	cpu_unpin(f->t);
	assert_null(verify_machine(f->t, f->m));
	cma_release(f->t, f->m, first, 10);
}

MACHINE_TEST(laws, .pages = 6144);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create), cmocka_unit_test(test_use),
		cmocka_unit_test(test_alloc),  cmocka_unit_test(test_busy),
		cmocka_unit_test(test_laws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
