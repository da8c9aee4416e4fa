/*
 * Tests of core/fresh.c: each block is counted once, when its first frame is cleared for
 * somebody; what was in use before, and zone DMA, never; nothing unless it was asked for.
 */
#include "machine_fixture.h"

#include "core/fresh.h"

#define PAGES 4096u

static uint32_t nr_fresh(const struct neap_machine *m)
{
	uint32_t nr = 0;

	for (uint32_t block = 0; block <= m->max_pfn / NEAP_PAGEBLOCK_PAGES; block++)
		nr += (uint32_t)(m->fresh[block / 64] >> block % 64 & 1);
	return nr;
}

/* The blocks in which the region has a page. */
static uint32_t nr_blocks_of(struct machine_fixture *f, struct region *region, uint64_t nr_pages)
{
	bool seen[2 * PAGES / NEAP_PAGEBLOCK_PAGES] = { false };
	uint32_t nr = 0;

	for (uint64_t page = 0; page < nr_pages; page++) {
		size_t pfn = (size_t)(machine_page_at(f, region, page) - f->m->pages);

		nr += !seen[pfn / NEAP_PAGEBLOCK_PAGES];
		seen[pfn / NEAP_PAGEBLOCK_PAGES] = true;
	}
	return nr;
}

static void body_each_block_once(struct machine_fixture *f)
{
	struct region *region;

	assert_int_equal(fresh_begin(f->m), 0);
	uint32_t begun = nr_fresh(f->m);

	/* The machine's own pages lie in some block. */
	assert_in_range(begun, 4, (f->m->max_pfn / NEAP_PAGEBLOCK_PAGES) - 1);
	region = machine_region(f, 1200);
	machine_fill(f, region, 0, 1200);
	uint64_t counted = machine_events(f, EV_SIM_FRESH_BLOCK);

	assert_int_equal(nr_fresh(f->m), begun - counted);
	/* The first blocks taken may be such as were in use. */
	assert_in_range(counted, nr_blocks_of(f, region, 1200) - 2,
			nr_blocks_of(f, region, 1200) + 1);
	machine_region_end(f, region);
	region = machine_region(f, 1200);
	machine_fill(f, region, 0, 1200);
	assert_int_equal(machine_events(f, EV_SIM_FRESH_BLOCK), begun - nr_fresh(f->m));
	machine_region_end(f, region);
}
MACHINE_TEST(each_block_once, .pages = PAGES);

static void body_not_in_zone_dma(struct machine_fixture *f)
{
	const struct zone *dma = &f->m->nodes[0].zone[ZONE_DMA];

	assert_int_equal(fresh_begin(f->m), 0);
	for (uint32_t pfn = dma->start_pfn; pfn < dma->end_pfn; pfn++) {
		uint32_t block = pfn / NEAP_PAGEBLOCK_PAGES;

		assert_int_equal(f->m->fresh[block / 64] >> block % 64 & 1, 0);
	}
	assert_true(nr_fresh(f->m) > 0);
}
MACHINE_TEST(not_in_zone_dma, .pages = PAGES, .dma_pages = 2048);

/* A block of two pageblocks that is cleared is two blocks used. */
static void body_large_block(struct machine_fixture *f)
{
	struct alloc_request request = { .gfp = GFP_KERNEL | GFP_BIT_ZERO, .order = 10 };

	assert_int_equal(fresh_begin(f->m), 0);
	uint32_t begun = nr_fresh(f->m);
	uint32_t pfn = alloc_pages(f->t, &request);

	assert_int_not_equal(pfn, PFN_NONE);
	assert_int_equal(nr_fresh(f->m), begun - 2);
	assert_int_equal(machine_events(f, EV_SIM_FRESH_BLOCK), 2);
	free_pages_put(f->t, pfn, request.order);
}
MACHINE_TEST(large_block, .pages = PAGES);

static void body_nothing_unasked(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 1200);

	machine_fill(f, region, 0, 1200);
	assert_null(f->m->fresh);
	assert_int_equal(machine_events(f, EV_SIM_FRESH_BLOCK), 0);
	machine_region_end(f, region);
}
MACHINE_TEST(nothing_unasked, .pages = PAGES);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_block_once),
		cmocka_unit_test(test_not_in_zone_dma),
		cmocka_unit_test(test_large_block),
		cmocka_unit_test(test_nothing_unasked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
