/*
 * isolate.c: setting pageblocks aside, so that a range of frames can become empty.
 *
 *   block_type   | Movable | Isolate | Isolate | Movable |
 *   free lists    Movable: ..         Isolate: the free blocks of both
 *   NR_FREE_PAGES counts these        not these
 *
 * Whoever wants a range of memory for himself (to take it offline, or for one large
 * block) needs it empty, and needs it to stay empty while he works: no allocation may
 * take what is free there, and what is freed there must not wander off to a CPU's list.
 * Both follow from one more migrate type. Nobody asks for it and nothing falls back to
 * it; free blocks of that type never merge with others; and the free paths look at the
 * type again, under the zone lock, while a zone has any such pageblock.
 *
 *   isolate_set ── drain the per-CPU lists ── move the pages away ── isolate_test
 *       └────────────────────── isolate_clear if it did not work ───────┘
 *
 * The range is asked beforehand whether it is worth while: a frame that is in use and is
 * neither on an LRU list nor a movable block will stay, and so will the range. In zone
 * Movable nothing is in use that could not be moved, except for what boot took.
 *
 * A block of order 10 covers two pageblocks. If only one of them is set aside, the block
 * is split between them first.
 *
 * What must never happen:
 *   1. a free page counted as free in a pageblock of type Isolate, or the other way round
 *   2. nr_isolated_blocks other than the number of such pageblocks in the zone
 *   3. a pageblock set aside by two owners: the second is refused
 *   4. a pageblock set aside by somebody who holds another zone's lock: spans overlap where
 *      memory blocks came to different zones, so each pageblock is asked whose it is, under the
 *      lock
 *
 * The pageblock's earlier type is forgotten, as in Linux: it comes back as Movable (or
 * CMA). A reserve pageblock that was set aside stays counted in the reserve.
 *
 * Linux: mm/page_isolation.c, 6.1.
 */
#include "core/isolate.h"

#include <errno.h>

#include "core/buddy.h"
#include "core/free_late.h"
#include "core/pageblock.h"
#include "core/vmstat.h"

static uint32_t block_first(uint32_t pfn)
{
	return pfn & ~(NEAP_PAGEBLOCK_PAGES - 1);
}

static void isolate_lock(struct task *t, struct zone *zone)
{
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
}

static void isolate_unlock(struct task *t, struct zone *zone)
{
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

/* ---- what can be moved ---- */

/* Taken by boot, or not there at all. */
static bool frame_reserved(const struct zone *zone, uint32_t pfn)
{
	return pfn - zone->reserved_first < zone->nr_reserved ||
	       pfn - zone->absent_first < zone->nr_absent;
}

/* Flags of the head of the block in use that the frame is inside of; 0: there is none. */
static uint64_t inside_head_flags(const struct neap_machine *m, uint32_t pfn)
{
	for (uint32_t order = 1; order <= NEAP_MAX_ORDER; order++) {
		uint64_t flags = page_flags(&m->pages[pfn & ~((1u << order) - 1)]);

		if ((flags & PG_HEAD) && page_order_of(flags) >= order)
			return flags;
	}
	return 0;
}

/* How many frames to go on; 0: this one stays where it is. */
static uint32_t frame_step(const struct zone *zone, uint32_t pfn)
{
	const struct page *page = &zone->machine->pages[pfn];
	uint64_t flags = page_flags(page);

	if (frame_reserved(zone, pfn))
		return 0;
	if (flags & PG_BUDDY)
		return 1u << page_order_of(flags);
	if (page_refs(page) == 0) {
		uint64_t head = inside_head_flags(zone->machine, pfn);

		/* Else a per-CPU list's, or the rest of a free block whose head was seen. */
		return head == 0 || (head & (PG_LRU | PG_MOVABLE)) != 0 ? 1 : 0;
	}
	if (zone->type == ZONE_MOVABLE)
		return 1;
	return (flags & (PG_LRU | PG_MOVABLE)) != 0 ? 1 : 0;
}

uint32_t isolate_find_immovable(const struct zone *zone, uint32_t first, uint32_t end)
{
	for (uint32_t pfn = first; pfn < end;) {
		uint32_t step = frame_step(zone, pfn);

		if (step == 0)
			return pfn;
		pfn += step;
	}
	return PFN_NONE;
}

static bool range_inside(const struct zone *zone, uint32_t first, uint32_t end)
{
	return first < end && block_first(first) >= zone->start_pfn &&
	       round_up_u64(end, NEAP_PAGEBLOCK_PAGES) <= zone_end(zone);
}

/* ---- one pageblock ---- */

/*
 * Splits the free block of order 10 that covers the pageblocks on both sides of `border`, if there
 * is one. Their types differ already, so its halves do not merge again. Zone lock held.
 */
static void split_at(struct task *t, struct zone *zone, uint32_t border)
{
	struct neap_machine *m = zone->machine;
	uint32_t head = border & ~((1u << NEAP_MAX_ORDER) - 1);

	_Static_assert(NEAP_MAX_ORDER == NEAP_PAGEBLOCK_ORDER + 1, "a block has two pageblocks");
	if (head == border || head < zone->start_pfn || !page_test(&m->pages[head], PG_BUDDY) ||
	    m->pages[head].owner != NEAP_MAX_ORDER)
		return;
	DCHECK(pageblock_type(m, head) != pageblock_type(m, border));
	if (m->pages[head].index == MT_CMA)
		zone_stat_add(t, zone, NR_FREE_CMA, -((int64_t)1 << NEAP_MAX_ORDER));
	if (m->pages[head].index != MT_ISOLATE)
		zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << NEAP_MAX_ORDER));
	buddy_detach(t, zone, head);
	buddy_free(t, zone, head, NEAP_PAGEBLOCK_ORDER, pageblock_type(m, head));
	buddy_free(t, zone, border, NEAP_PAGEBLOCK_ORDER, pageblock_type(m, border));
}

/*
 * Moves the pageblock's free blocks to the lists of `type`. Each counts by the list it comes from:
 * a block of order 10 is moved with its first pageblock, and parts of it may have been handed out
 * and come back before the second's turn. => the change of the count of free pages
 */
static int64_t block_move_free(struct task *t, struct zone *zone, uint32_t block, uint32_t type)
{
	const struct page *pages = zone->machine->pages;
	int64_t change = 0;
	int64_t cma = 0;

	for (uint32_t at = block; at < block + NEAP_PAGEBLOCK_PAGES;) {
		if (!page_test(&pages[at], PG_BUDDY)) {
			at++;
			continue;
		}
		int64_t nr = (int64_t)1 << pages[at].owner;

		change += pages[at].index == MT_ISOLATE ? nr : 0;
		change -= type == MT_ISOLATE ? nr : 0;
		cma -= pages[at].index == MT_CMA ? nr : 0;
		cma += type == MT_CMA ? nr : 0;
		buddy_move(t, zone, at, type);
		at += (uint32_t)nr;
	}
	if (cma != 0)
		zone_stat_add(t, zone, NR_FREE_CMA, cma);
	return change;
}

/*
 * first..end-1: the frames of the range in this pageblock. => 0, -EBUSY; -EINVAL: it lies in the
 * zone's span, but is another zone's, or offline by now. Zone lock held.
 */
static int block_set(struct task *t, struct zone *zone, uint32_t first, uint32_t end, uint32_t type)
{
	struct neap_machine *m = zone->machine;
	uint32_t block = block_first(first);
	uint32_t old_type = pageblock_type(m, block);

	if (!range_inside(zone, first, end) || !zone_has_frame(zone, block) ||
	    !zone_has_frame(zone, block + NEAP_PAGEBLOCK_PAGES - 1))
		return -EINVAL;
	if (old_type == MT_ISOLATE)
		return -EBUSY;
	if ((old_type == MT_CMA) != (type == MT_CMA))
		return -EBUSY;
	if (type != MT_CMA && isolate_find_immovable(zone, first, end) != PFN_NONE)
		return -EBUSY;
	pageblock_set_type(m, block, MT_ISOLATE);
	zone->nr_isolated_blocks++;
	zone_stat_add(t, zone, NR_FREE_PAGES, block_move_free(t, zone, block, MT_ISOLATE));
	return 0;
}

/* A whole free pageblock whose buddy is free as well is freed anew, so that both merge. */
static bool block_free_again(struct task *t, struct zone *zone, uint32_t block, uint32_t type)
{
	struct neap_machine *m = zone->machine;
	uint32_t buddy = block ^ NEAP_PAGEBLOCK_PAGES;

	if (!page_test(&m->pages[block], PG_BUDDY) || m->pages[block].owner != NEAP_PAGEBLOCK_ORDER)
		return false;
	if (buddy - zone->start_pfn >= zone_spanned(zone) ||
	    pageblock_type(m, buddy) == MT_ISOLATE || !page_test(&m->pages[buddy], PG_BUDDY) ||
	    page_zone(m, &m->pages[buddy]) != zone || m->pages[buddy].owner != NEAP_PAGEBLOCK_ORDER)
		return false;
	/* Its type may have been read before the pageblock was set aside: then it is counted. */
	if (m->pages[block].index != MT_ISOLATE)
		zone_stat_add(t, zone, NR_FREE_PAGES, -(int64_t)NEAP_PAGEBLOCK_PAGES);
	if (m->pages[block].index == MT_CMA)
		zone_stat_add(t, zone, NR_FREE_CMA, -(int64_t)NEAP_PAGEBLOCK_PAGES);
	buddy_detach(t, zone, block);
	pageblock_set_type(m, block, type);
	buddy_free(t, zone, block, NEAP_PAGEBLOCK_ORDER, pageblock_type(m, block) | BUDDY_TO_TAIL);
	return true;
}

static void block_clear(struct task *t, struct zone *zone, uint32_t block, uint32_t type)
{
	struct neap_machine *m = zone->machine;

	if (pageblock_type(m, block) != MT_ISOLATE)
		return;
	CHECK(zone->nr_isolated_blocks != 0);
	if (!block_free_again(t, zone, block, type)) {
		pageblock_set_type(m, block, type);
		zone_stat_add(t, zone, NR_FREE_PAGES,
			      block_move_free(t, zone, block, pageblock_type(m, block)));
		/*
		 * A block of order 10 has moved as a whole. If its second pageblock is still set
		 * aside, that half must not be handed out or counted from here.
		 */
		if (range_inside(zone, block, block + 2 * NEAP_PAGEBLOCK_PAGES) &&
		    pageblock_type(m, block + NEAP_PAGEBLOCK_PAGES) == MT_ISOLATE)
			split_at(t, zone, block + NEAP_PAGEBLOCK_PAGES);
	}
	zone->nr_isolated_blocks--;
}

/* ---- ranges ---- */

void isolate_clear(struct task *t, struct zone *zone, uint32_t first, uint32_t end, uint32_t type)
{
	for (uint32_t block = block_first(first); block < end; block += NEAP_PAGEBLOCK_PAGES) {
		isolate_lock(t, zone);
		block_clear(t, zone, block, type);
		isolate_unlock(t, zone);
	}
}

/* What a range covers of one pageblock. */
struct isolate_part {
	uint32_t first, end;
	bool begins, ends; /* it is the outermost one of the range */
};

/* => 0 or -EBUSY */
static int part_set(struct task *t, struct zone *zone, const struct isolate_part *part,
		    uint32_t type)
{
	uint32_t block = block_first(part->first);

	isolate_lock(t, zone);
	int err = block_set(t, zone, part->first, part->end, type);

	if (err == 0 && part->begins)
		split_at(t, zone, block);
	if (err == 0 && part->ends)
		split_at(t, zone, block + NEAP_PAGEBLOCK_PAGES);
	isolate_unlock(t, zone);
	return err;
}

/* isolate_set() of a range inside the zone. */
static int range_set(struct task *t, struct zone *zone, uint32_t first, uint32_t end, uint32_t type)
{
	for (uint32_t block = block_first(first); block < end; block += NEAP_PAGEBLOCK_PAGES) {
		const struct isolate_part part = {
			.first = max_u32(block, first),
			.end = min_u32(block + NEAP_PAGEBLOCK_PAGES, end),
			.begins = block <= first,
			.ends = block + NEAP_PAGEBLOCK_PAGES >= end,
		};
		int err = part_set(t, zone, &part, type);

		if (err != 0) {
			isolate_clear(t, zone, first, block, type);
			return err;
		}
		rt_preempt(t);
	}
	return 0;
}

int isolate_set(struct task *t, struct zone *zone, uint32_t first, uint32_t end, uint32_t type)
{
	DCHECK(type == MT_MOVABLE || type == MT_CMA);
	if (!range_inside(zone, first, end))
		return -EINVAL;
	/* What was given back before is not in use any more; from now on frees are prompt. */
	free_late_forbid(t, zone->machine);
	int err = range_set(t, zone, first, end, type);

	free_late_allow(zone->machine);
	return err;
}

uint32_t isolate_test_locked(struct task *t, const struct zone *zone, uint32_t first, uint32_t end)
{
	const struct neap_machine *m = zone->machine;
	uint32_t pfn = first;

	spin_assert_held(t, LOCK_ZONE);
	while (pfn < end && pageblock_type(m, pfn) == MT_ISOLATE &&
	       page_test(&m->pages[pfn], PG_BUDDY))
		pfn += 1u << m->pages[pfn].owner;
	return pfn < end ? pfn : PFN_NONE;
}

uint32_t isolate_test(struct task *t, struct zone *zone, uint32_t first, uint32_t end)
{
	isolate_lock(t, zone);
	uint32_t found = isolate_test_locked(t, zone, first, end);

	isolate_unlock(t, zone);
	return found;
}
