/*
 * cma.c: an area that can be emptied at any time.
 *
 *   zone      |..............................|CMA |CMA |CMA |
 *   map                                       #####.....##..    # given out, by frame
 *   the rest                                       mm..m   m    free, or movable pages
 *
 * A driver that needs a large buffer now and then cannot count on finding one, and a reserve that
 * lies idle meanwhile would be a waste. So pageblocks of the area have a type of their own: movable
 * requests may use them, and prefer them once more than half of a zone's free memory is there;
 * nobody else does. Whoever wants frames of the area in a row marks them in the map, and takes them
 * like any range (core/contig.c): what is there can be moved, because only such pages are there.
 *
 * One allocation works at a time. A range that is busy, because a page of it is pinned or being
 * written, is given up and the next one is tried.
 *
 * Free pages of the area count as free, and in NR_FREE_CMA, which the test of the marks subtracts
 * for those who cannot use them.
 *
 * What must never happen: a frame marked in the map that the allocator has; a frame in use by a
 * driver that is not marked.
 *
 * Linux: mm/cma.c, mm/cma_debug.c's counts, 6.1. DIFF: one area, whose unit is a page.
 */
#include "core/cma.h"

#include <errno.h>

#include "core/contig.h"
#include "core/isolate.h"
#include "core/lru.h"
#include "core/marks.h"
#include "core/pageblock.h"
#include "core/sleeplock.h"
#include "core/vmstat.h"

#define ALIGN_ORDER_MOST 8u

/* ---- making it ---- */

/* Whether nothing of first..end-1 is in use or reserved. An answer of the moment. */
static bool range_is_free(const struct neap_machine *m, uint32_t first, uint32_t end)
{
	uint32_t head = first & ~((1u << NEAP_MAX_ORDER) - 1);

	/* A block of the largest order may begin a pageblock earlier. */
	if (!page_test(machine_page(m, first), PG_BUDDY) &&
	    (head == PFN_NONE || !page_test(machine_page(m, head), PG_BUDDY) ||
	     page_order(machine_page(m, head)) != NEAP_MAX_ORDER))
		return false;
	for (uint32_t pfn = first; pfn < end; pfn += NEAP_PAGEBLOCK_PAGES) {
		const struct page *page = machine_page(m, pfn);
		bool begins = page_test(page, PG_BUDDY) && page_order(page) >= NEAP_PAGEBLOCK_ORDER;
		const struct page *pair = machine_page(m, pfn ^ NEAP_PAGEBLOCK_PAGES);
		bool inside = page_test(pair, PG_BUDDY) && page_order(pair) == NEAP_MAX_ORDER;

		if (!begins && !inside)
			return false;
	}
	return true;
}

/* The highest free row of nr_pages, whole pageblocks, in the zone. => PFN_NONE */
static uint32_t find_room(const struct zone *zone, uint32_t nr_pages)
{
	uint32_t end = (zone->start_pfn + zone_spanned(zone)) & ~(NEAP_PAGEBLOCK_PAGES - 1);
	uint32_t low = (uint32_t)round_up_u64(zone->start_pfn, NEAP_PAGEBLOCK_PAGES);

	for (; end > low && end - low >= nr_pages; end -= NEAP_PAGEBLOCK_PAGES)
		if (range_is_free(zone->machine, end - nr_pages, end))
			return end - nr_pages;
	return PFN_NONE;
}

static struct zone *highest_kernel_zone(struct neap_machine *m)
{
	for (uint32_t i = ZONE_NORMAL + 1; i-- > 0;)
		for (uint32_t n = 0; n < m->nr_nodes; n++)
			if (zone_managed(&m->nodes[n].zone[i]) != 0)
				return &m->nodes[n].zone[i];
	return NULL;
}

int cma_create(struct task *t, struct neap_machine *m, uint64_t nr_pages)
{
	struct zone *zone = highest_kernel_zone(m);
	uint64_t rounded = round_up_u64(nr_pages, NEAP_PAGEBLOCK_PAGES);

	if (m->cma.nr_pages != 0)
		return -EEXIST;
	if (zone == NULL || rounded == 0 || rounded > zone_spanned(zone))
		return -ENOMEM;
	uint32_t nr = (uint32_t)rounded;
	uint64_t *map = m->hw->ops->reserve(m->hw, nr / 64 * sizeof(*map));

	lru_disable(t);
	uint32_t first = find_room(zone, nr);
	int err = map == NULL || first == PFN_NONE
			  ? -ENOMEM
			  : isolate_set(t, zone, first, first + nr, MT_MOVABLE);

	if (err == 0) {
		/* Before the first page of it counts. */
		zone->cma = nr;
		marks_refresh(zone);
		m->cma.zone = zone;
		m->cma.first = first;
		m->cma.map = map;
		m->cma.nr_pages = nr;
		isolate_clear(t, zone, first, first + nr, MT_CMA);
	}
	lru_enable(t);
	return err == 0 ? 0 : -ENOMEM;
}

/* ---- the map ---- */

static bool map_test(const struct cma_area *cma, uint32_t at)
{
	return (cma->map[at / 64] >> (at % 64)) & 1;
}

static void map_write(struct cma_area *cma, uint32_t at, uint32_t nr, bool used)
{
	for (uint32_t i = at; i < at + nr; i++) {
		uint64_t bit = (uint64_t)1 << (i % 64);

		CHECK(map_test(cma, i) != used);
		cma->map[i / 64] = used ? cma->map[i / 64] | bit : cma->map[i / 64] & ~bit;
	}
}

/* The first free run of nr at a multiple of `align` from `from` on. => false: there is none */
static bool map_find(const struct cma_area *cma, uint32_t nr, uint32_t align, uint32_t *from)
{
	uint32_t at = (uint32_t)round_up_u64(*from, align);
	uint32_t run = 0;

	while (at + nr <= cma->nr_pages && run < nr) {
		if (map_test(cma, at + run)) {
			at = (uint32_t)round_up_u64(at + run + 1, align);
			run = 0;
		} else {
			run++;
		}
	}
	*from = at;
	return at + nr <= cma->nr_pages;
}

/* ---- giving out ---- */

static uint32_t align_of(uint32_t nr_pages)
{
	uint32_t order = 0;

	while (order < ALIGN_ORDER_MOST && 1u << order < nr_pages)
		order++;
	return 1u << order;
}

int cma_alloc(struct task *t, struct neap_machine *m, uint32_t nr_pages, uint32_t *first)
{
	struct cma_area *cma = &m->cma;
	uint32_t align = align_of(nr_pages);
	uint32_t at = 0;
	int err = -ENOMEM;

	if (nr_pages == 0 || nr_pages > cma->nr_pages)
		return -ENOMEM;
	sleeplock_take(t, &cma->lock);
	while (map_find(cma, nr_pages, align, &at)) {
		map_write(cma, at, nr_pages, true);
		err = contig_alloc(t, cma->zone, cma->first + at, cma->first + at + nr_pages,
				   MT_CMA);
		if (err == 0)
			break;
		map_write(cma, at, nr_pages, false);
		if (err != -EBUSY)
			break;
		/* A page that stays: behind it there may be others that move. */
		at += align;
		rt_preempt(t);
	}
	sleeplock_release(t, &cma->lock);
	event_add(t, err == 0 ? EV_SIM_CMA_ALLOC_SUCCESS : EV_SIM_CMA_ALLOC_FAIL, 1);
	*first = cma->first + at;
	return err == -EBUSY ? -ENOMEM : err;
}

void cma_release(struct task *t, struct neap_machine *m, uint32_t first, uint32_t nr_pages)
{
	struct cma_area *cma = &m->cma;

	CHECK(first >= cma->first && first - cma->first + nr_pages <= cma->nr_pages);
	contig_free(t, first, nr_pages);
	sleeplock_take(t, &cma->lock);
	map_write(cma, first - cma->first, nr_pages, false);
	sleeplock_release(t, &cma->lock);
}

const char *cma_verify(const struct neap_machine *m)
{
	const struct cma_area *cma = &m->cma;

	for (uint32_t at = 0; at < cma->nr_pages; at++) {
		const struct page *page = machine_page(m, cma->first + at);

		if (pageblock_type(m, cma->first + at) != MT_CMA)
			return "a pageblock of the contiguous memory area is of another type";
		if (map_test(cma, at) != (page_test(page, PG_KERNEL) && page_refs(page) != 0))
			return "a frame of the contiguous memory area is not what the map says";
	}
	return NULL;
}
