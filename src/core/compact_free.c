/*
 * The free scanner: from the high end of a zone downwards, collecting free frames.
 *
 *   migrate scanner|            |skip| huge |movable ......|
 *                                            block by block, each from its low end
 *
 * It runs when a target is wanted and none is held, until as many are held as pages
 * wait to be moved. First the free lists are asked (compact_fast.c); only then pageblocks
 * are walked, from the free position down to the migrate scanner. Within a block the walk
 * looks at every `stride`-th frame: every one in a synchronous run, every 32nd at first in
 * one that may not sleep. A block with a free frame sets the stride to 1, one without
 * doubles it; so free frames at odd numbers can stay unseen (spec 20, section 12).
 *
 * A free block that is taken leaves the free lists whole and is split into frames with one
 * reference each. Those not used are given back at the end of the run.
 *
 * What must never happen: the zone drained below its min mark. Each detachment is tested
 * against it.
 *
 * Linux: isolate_freepages(), isolate_freepages_block(), __isolate_free_page(),
 * release_freepages() of mm/compaction.c and mm/page_alloc.c, 6.1.
 */
#include "core/alloc.h"
#include "core/buddy.h"
#include "core/compact.h"
#include "core/compact_fast.h"
#include "core/event.h"
#include "core/pageblock.h"
#include "core/vmstat.h"

#define SCAN_PAUSE_BLOCKS 32u

static bool enough(const struct compact_control *cc)
{
	return cc->nr_free >= cc->nr_migrate;
}

uint32_t compact_free_detach(struct task *t, struct compact_control *cc, uint32_t pfn,
			     struct list *chunks)
{
	struct zone *zone = cc->zone;
	struct neap_machine *m = zone->machine;
	uint32_t order = m->pages[pfn].owner;

	spin_assert_held(t, LOCK_ZONE);
	/* What is counted goes by the list that the block is on, not by its pageblock. */
	if (m->pages[pfn].index != MT_ISOLATE) {
		uint64_t min = atomic_load_explicit(&zone->mark[WMARK_MIN], memory_order_relaxed);

		if (!zone_watermark_ok(zone, 0, min + ((uint64_t)1 << order), 0, ALLOC_CMA))
			return 0;
		zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << order));
		if (m->pages[pfn].index == MT_CMA)
			zone_stat_add(t, zone, NR_FREE_CMA, -((int64_t)1 << order));
	}
	buddy_detach(t, zone, pfn);
	for (uint32_t at = pfn; order + 1 >= NEAP_PAGEBLOCK_ORDER && at < pfn + (1u << order);
	     at += NEAP_PAGEBLOCK_PAGES)
		if (pageblock_type_mergeable(pageblock_type(m, at)))
			pageblock_set_type(m, at, MT_MOVABLE);
	list_add_tail(m->pages, chunks, pfn);
	cc->nr_free += 1u << order;
	return 1u << order;
}

void compact_free_split(struct compact_control *cc, struct list *chunks)
{
	struct zone *zone = cc->zone;
	struct page *pages = zone->machine->pages;

	while (!list_empty(chunks)) {
		uint32_t pfn = list_pop(pages, chunks);
		uint32_t nr = 1u << pages[pfn].owner;

		for (uint32_t i = pfn; i < pfn + nr; i++) {
			struct page *page = &pages[i];

			atomic_store_explicit(&page->flags, page_place(zone->node, zone->type),
					      memory_order_relaxed);
			page->owner = 0;
			page->index = 0;
			atomic_store_explicit(&page->maps, 0, memory_order_relaxed);
			atomic_store_explicit(&page->refs, 1, memory_order_release);
			list_add_head(pages, &cc->free, i);
		}
	}
}

uint32_t compact_free_release(struct task *t, struct compact_control *cc)
{
	struct page *pages = t->machine->pages;
	struct list freed = { PFN_NONE, PFN_NONE };
	uint32_t highest = 0;

	while (!list_empty(&cc->free)) {
		uint32_t pfn = list_pop(pages, &cc->free);

		highest = max_u32(highest, pfn);
		/* Not ours to free if somebody has found it by an old entry: he does it. */
		if (page_put_test(&pages[pfn]))
			list_add_tail(pages, &freed, pfn);
	}
	free_page_list(t, &freed);
	cc->nr_free = 0;
	return highest;
}

/* ---- one pageblock ---- */

static void zone_lock(struct task *t, struct compact_control *cc)
{
	cpu_pin(t);
	if (cc->mode == MIGRATE_ASYNC && !cc->contended) {
		if (spin_trylock(t, &cc->zone->lock, LOCK_ZONE))
			return;
		cc->contended = true;
	}
	spin_lock(t, &cc->zone->lock, LOCK_ZONE);
}

static void zone_unlock(struct task *t, struct compact_control *cc)
{
	spin_unlock(t, &cc->zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

/* One walk over a pageblock. */
struct free_walk {
	struct compact_control *cc;
	struct list *chunks;
	uint32_t pfn;
	uint32_t nr_scanned, nr_isolated;
	bool strict; /* every frame must be free */
	bool locked;
	bool stop;
};

/* => false: a fatal signal */
static bool walk_pause(struct task *t, struct free_walk *walk)
{
	if (walk->locked)
		zone_unlock(t, walk->cc);
	walk->locked = false;
	if (t->flags & PF_EXITING) {
		walk->cc->contended = true;
		return false;
	}
	rt_preempt(t);
	return true;
}

/*
 * Takes the free block at the position.
 * => whether the frame was free; the position is the last frame of the block then
 */
static bool walk_take(struct task *t, struct free_walk *walk)
{
	struct compact_control *cc = walk->cc;
	const struct page *page = machine_page(t->machine, walk->pfn);

	if (page_test(page, PG_HEAD)) {
		uint32_t order = page_order(page);

		if (order <= NEAP_MAX_ORDER)
			walk->pfn += (1u << order) - 1;
		return false;
	}
	if (!page_test(page, PG_BUDDY))
		return false;
	if (!walk->locked) {
		zone_lock(t, cc);
		walk->locked = true;
		if (!page_test(page, PG_BUDDY))
			return false;
	}
	/* Its memory block may have come to another zone, whose lists have another lock. */
	if (page_zone(t->machine, page) != cc->zone)
		return false;
	uint32_t taken = compact_free_detach(t, cc, walk->pfn, walk->chunks);

	if (taken == 0) {
		walk->stop = true;
		return true;
	}
	walk->nr_scanned += taken - 1;
	walk->nr_isolated += taken;
	walk->pfn += taken - 1;
	if (!walk->strict && enough(cc)) {
		walk->pfn++;
		walk->stop = true;
	}
	return true;
}

uint32_t compact_free_block(struct task *t, struct compact_control *cc, struct free_range *range,
			    struct list *chunks)
{
	struct free_walk walk = {
		.cc = cc, .chunks = chunks, .pfn = range->first, .strict = range->strict
	};

	while (walk.pfn < range->end) {
		if (walk.pfn % COMPACT_CLUSTER_PAGES == 0 && !walk_pause(t, &walk))
			break;
		walk.nr_scanned++;
		bool free = walk_take(t, &walk);

		if (walk.stop || (!free && walk.strict))
			break;
		walk.pfn += range->stride;
	}
	if (walk.locked)
		zone_unlock(t, cc);
	walk.pfn = min_u32(walk.pfn, range->end);
	event_emit(t, MM_COMPACTION_ISOLATE_FREEPAGES, range->first, walk.pfn, walk.nr_scanned,
		   walk.nr_isolated);
	range->first = walk.pfn;
	cc->nr_free_scanned += walk.nr_scanned;
	event_add(t, EV_COMPACT_ISOLATED, walk.nr_isolated);
	event_add(t, EV_SIM_COMPACT_LOOK, walk.nr_scanned);
	if (range->strict && walk.pfn < range->end)
		return 0;
	return walk.nr_isolated;
}

/* ---- from block to block ---- */

static bool target_suits(const struct compact_control *cc, uint32_t pfn)
{
	const struct neap_machine *m = cc->zone->machine;
	const struct page *page = machine_page(m, pfn);

	/* Nearly a huge page already: do not break it up. */
	if (page_test(page, PG_BUDDY) && page_order(page) >= NEAP_PAGEBLOCK_ORDER)
		return false;
	if (!cc->ignore_block_suitable && pageblock_type(m, pfn) != MT_MOVABLE &&
	    pageblock_type(m, pfn) != MT_CMA)
		return false;
	return cc->ignore_skip_hint || !compact_skip_test(m, pfn);
}

/* The walk from the free position down to the migrate scanner. */
static void free_walk_down(struct task *t, struct compact_control *cc, struct list *chunks)
{
	struct zone *zone = cc->zone;
	uint32_t low = pageblock_end(cc->migrate_pfn);
	uint32_t block = pageblock_start(cc->free_pfn);
	struct free_range range = {
		.first = cc->free_pfn,
		.end = min_u32(block + NEAP_PAGEBLOCK_PAGES, zone_end(zone)),
		.stride = cc->mode == MIGRATE_ASYNC ? COMPACT_CLUSTER_PAGES : 1,
	};

	while (block >= low) {
		if (block % (SCAN_PAUSE_BLOCKS * NEAP_PAGEBLOCK_PAGES) == 0)
			rt_preempt(t);
		if (block >= zone->start_pfn && zone_has_frame(zone, block) &&
		    target_suits(cc, block)) {
			uint32_t nr = compact_free_block(t, cc, &range, chunks);
			bool whole = range.first == range.end;

			if (whole)
				compact_hint_free(cc, block);
			if (enough(cc) || !whole) {
				if (whole)
					range.first = block - NEAP_PAGEBLOCK_PAGES;
				break;
			}
			range.stride =
				nr != 0 ? 1 : min_u32(COMPACT_CLUSTER_PAGES, range.stride * 2);
		}
		range.end = block;
		block -= NEAP_PAGEBLOCK_PAGES;
		range.first = block;
	}
	cc->free_pfn = range.first;
}

void compact_free_scan(struct task *t, struct compact_control *cc)
{
	struct list chunks = { PFN_NONE, PFN_NONE };

	compact_fast_targets(t, cc, &chunks);
	if (cc->nr_free == 0)
		free_walk_down(t, cc, &chunks);
	compact_free_split(cc, &chunks);
}

uint32_t compact_free_range(struct task *t, struct compact_control *cc, uint32_t first,
			    uint32_t end)
{
	struct list chunks = { PFN_NONE, PFN_NONE };
	struct free_range range = { .first = first, .stride = 1, .strict = true };

	while (range.first < end) {
		uint32_t from = range.first;

		/* A block taken before may reach beyond this pageblock. */
		range.end = min_u32(pageblock_end(from), end);
		if (from < cc->zone->start_pfn || range.end > zone_end(cc->zone) ||
		    !zone_has_frame(cc->zone, from))
			break;
		uint32_t got = compact_free_block(t, cc, &range, &chunks);

		if (got == 0)
			break;
		range.first = max_u32(range.first, from + got);
	}
	compact_free_split(cc, &chunks);
	if (range.first >= end)
		return range.first;
	compact_free_release(t, cc);
	return 0;
}
