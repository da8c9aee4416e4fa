/*
 * The migrate scanner: from the low end of a zone upwards, collecting pages to move.
 *
 *   zone   |skip|unmov.|movable ....|                     |free scanner
 *                       32 32 rest -> cc->migrate
 *
 * A call picks one pageblock (marked ones, huge ones and, without sleeping, ones of other
 * types are passed over) and takes a bite of 32 pages, or all the rest if the pageblock
 * was begun before. Pages are taken off their LRU lists under the lru lock, which is held
 * over at most 32 frames at a time.
 *
 * A direct run that may not sleep wants one aligned block of its order, and gives all it
 * took back as soon as a page of that block cannot be moved: the rest would be in vain.
 *
 * The fast search looks for a pageblock that is half free already, on the free lists. In
 * 6.1 it marks what it finds as skip before the scan, which then passes it over: its net
 * effect is marks (spec 20, 11.3). It is here because the marks and counts are visible.
 *
 * What must never happen: a page taken that is still on a list, or isolated twice. PG_LRU
 * is cleared with a test first; whoever clears it owns the page's place.
 *
 * Linux: isolate_migratepages(), isolate_migratepages_block(), fast_find_migrateblock() of
 * mm/compaction.c, 6.1. DIFF: no hugetlb pages, so contiguous ranges pass over all blocks
 * of order > 0, too.
 */
#include <errno.h>

#include "core/compact_fast.h"
#include "core/event.h"
#include "core/lru.h"
#include "core/pageblock.h"
#include "core/reclaim.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define SCAN_PAUSE_BLOCKS 32u

/* One scan of a pageblock, or of a part of it. */
struct block_scan {
	struct compact_control *cc;
	struct lruvec *lruvec;
	uint32_t pfn; /* position */
	uint32_t end;
	uint32_t boundary; /* give_up_early: end of the aligned block of the order */
	uint32_t nr_scanned, nr_isolated;
	bool give_up_early;
	bool filter;	 /* leave pages alone that this mode could not move */
	bool any_type;	 /* take unevictable pages whatever the sysctl says */
	bool locked;	 /* lru lock held, and pinned */
	bool remembered; /* began at the pageblock's first frame */
	bool marked;	 /* the mark was looked at under the lock */
	bool stop;
	int err;
};

/* What one frame turned out to be. */
enum frame_verdict {
	FRAME_TAKEN,
	FRAME_PASS,   /* free: not a failure */
	FRAME_FAILED, /* in use, and cannot be moved now */
	FRAME_STOP,   /* somebody else scans this pageblock */
};

static bool hints_count(const struct compact_control *cc)
{
	return !cc->ignore_skip_hint;
}

static uint32_t order_block_end(uint32_t pfn, uint32_t order)
{
	return (pfn & ~((1u << order) - 1)) + (1u << order);
}

/* ---- the lru lock ---- */

static void scan_unlock(struct task *t, struct block_scan *scan)
{
	if (!scan->locked)
		return;
	spin_unlock(t, &scan->lruvec->lock, LOCK_LRU);
	cpu_unpin(t);
	scan->locked = false;
}

static void scan_lock(struct task *t, struct block_scan *scan)
{
	struct spinlock *lock = &scan->lruvec->lock;

	cpu_pin(t);
	scan->locked = true;
	if (scan->cc->mode == MIGRATE_ASYNC && !scan->cc->contended) {
		if (spin_trylock(t, lock, LOCK_LRU))
			return;
		scan->cc->contended = true;
	}
	spin_lock(t, lock, LOCK_LRU);
}

/* ---- one frame ---- */

/* A page of a file that was dropped meanwhile counts, too: it fails later. */
static bool has_mapping(const struct page *page)
{
	return page_test(page, PG_SWAPCACHE) || !page_test(page, PG_ANON);
}

/*
 * May the page be moved as far as can be told without its place on the list? It has a reference of
 * ours.
 */
static bool page_wanted(const struct task *t, const struct block_scan *scan,
			const struct page *page)
{
	uint64_t flags = page_flags(page);

	if (!(flags & PG_LRU))
		return false;
	if ((flags & PG_UNEVICTABLE) && !scan->any_type &&
	    sysctl_get(&t->machine->sysctl.compact_unevictable_allowed) == 0)
		return false;
	/* Dirty pages can be moved: every file of ours is able to. */
	return !scan->filter || !(flags & PG_WRITEBACK);
}

/*
 * The first lock of a scan asks whether another compactor works on the pageblock. => false: it does
 */
static bool scan_claim(struct block_scan *scan)
{
	const struct compact_control *cc = scan->cc;

	if (scan->marked)
		return true;
	scan->marked = true;
	if (cc->ignore_skip_hint || !pageblock_aligned(scan->pfn))
		return true;
	if (cc->no_set_skip_hint)
		return !compact_skip_test(cc->zone->machine, scan->pfn);
	return !compact_skip_set(cc->zone->machine, scan->pfn);
}

/* A page of an LRU list. */
static enum frame_verdict take_lru_page(struct task *t, struct block_scan *scan, struct page *page)
{
	bool mapping = has_mapping(page);

	/* Somebody holds an anonymous page beside its entries: a pin, or a batch. */
	if (!mapping && page_refs(page) > page_maps(page))
		return FRAME_FAILED;
	if (!(scan->cc->gfp & GFP_BIT_FS) && mapping)
		return FRAME_FAILED;
	if (!page_get_unless_zero(page))
		return FRAME_FAILED;
	/* The frame may have come to another zone, whose lists have another lock. */
	if (page_zone(t->machine, page) != scan->cc->zone || !page_wanted(t, scan, page) ||
	    !page_test_clear(page, PG_LRU)) {
		scan_unlock(t, scan);
		page_put(t, page);
		return FRAME_FAILED;
	}
	if (!scan->locked) {
		scan_lock(t, scan);
		if (!scan_claim(scan)) {
			page_set(page, PG_LRU);
			scan_unlock(t, scan);
			page_put(t, page);
			return FRAME_STOP;
		}
	}
	lru_take_cleared(t, page);
	node_stat_add(t, page_node(t->machine, page),
		      page_is_file_lru(page) ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, 1);
	return FRAME_TAKEN;
}

/* Looks at the frame at scan->pfn; a block that is passed over moves the position to its last. */
static enum frame_verdict look_at_frame(struct task *t, struct block_scan *scan)
{
	struct page *page = machine_page(t->machine, scan->pfn);
	uint64_t flags = page_flags(page);

	if (flags & (PG_BUDDY | PG_HEAD)) {
		/* Without the zone lock: the block may be another one by now. */
		uint32_t order = (uint32_t)(flags >> PAGE_ORDER_SHIFT) & 0xf;

		if (order <= NEAP_MAX_ORDER)
			scan->pfn += (1u << order) - 1;
		return (flags & PG_BUDDY) ? FRAME_PASS : FRAME_FAILED;
	}
	if (flags & PG_LRU)
		return take_lru_page(t, scan, page);
	if ((flags & (PG_MOVABLE | PG_ISOLATED)) == PG_MOVABLE) {
		scan_unlock(t, scan);
		if (migrate_isolate_movable(t, page, scan->cc->mode))
			return FRAME_TAKEN;
	}
	return FRAME_FAILED;
}

/* ---- one pageblock ---- */

static void scan_taken(struct task *t, struct block_scan *scan)
{
	struct compact_control *cc = scan->cc;

	list_add_head(t->machine->pages, &cc->migrate, scan->pfn);
	cc->nr_migrate++;
	scan->nr_isolated++;
	if (cc->nr_migrate >= COMPACT_CLUSTER_PAGES && !cc->rescan && !cc->contended) {
		scan->pfn++;
		scan->stop = true;
	}
}

/* A frame of the block of the order stays where it is: so may the others. */
static void scan_failed(struct task *t, struct block_scan *scan)
{
	struct compact_control *cc = scan->cc;

	if (!scan->give_up_early)
		return;
	if (scan->nr_isolated != 0) {
		scan_unlock(t, scan);
		migrate_putback(t, &cc->migrate);
		cc->nr_migrate = 0;
		scan->nr_isolated = 0;
	}
	if (scan->pfn < scan->boundary) {
		scan->pfn = scan->boundary - 1;
		scan->boundary += 1u << cc->order;
	}
}

/* What comes before the look at a frame. => false: the scan is over */
static bool scan_before(struct task *t, struct block_scan *scan)
{
	struct compact_control *cc = scan->cc;

	if (scan->give_up_early && scan->pfn >= scan->boundary) {
		if (scan->nr_isolated != 0)
			return false;
		scan->boundary = order_block_end(scan->pfn, (uint32_t)cc->order);
	}
	if (scan->pfn % COMPACT_CLUSTER_PAGES == 0) {
		scan_unlock(t, scan);
		if (t->flags & PF_EXITING) {
			cc->contended = true;
			scan->err = -EINTR;
			return false;
		}
		rt_preempt(t);
	}
	scan->nr_scanned++;
	if (!scan->remembered && pageblock_aligned(scan->pfn)) {
		if (hints_count(cc) && compact_skip_test(t->machine, scan->pfn)) {
			scan->pfn = scan->end;
			return false;
		}
		scan->remembered = true;
	}
	return true;
}

static void scan_frames(struct task *t, struct block_scan *scan)
{
	while (scan->pfn < scan->end && !scan->stop && scan_before(t, scan)) {
		switch (look_at_frame(t, scan)) {
		case FRAME_TAKEN:
			scan_taken(t, scan);
			break;
		case FRAME_FAILED:
			scan_failed(t, scan);
			break;
		case FRAME_STOP:
			return;
		case FRAME_PASS:
			break;
		}
		if (!scan->stop)
			scan->pfn++;
	}
}

/* Marks, positions and counts of a scan that began at `first`. */
static void scan_end(struct task *t, struct block_scan *scan, uint32_t first)
{
	struct compact_control *cc = scan->cc;

	scan_unlock(t, scan);
	scan->pfn = min_u32(scan->pfn, scan->end);
	cc->nr_migrate_scanned += scan->nr_scanned;
	event_add(t, EV_SIM_COMPACT_LOOK, scan->nr_scanned);
	if (scan->err != 0)
		return;
	if (scan->pfn == scan->end && (scan->nr_isolated == 0 || cc->rescan)) {
		/* Whether hints are wanted is not asked here: 6.1 does not. */
		if (scan->remembered && !scan->marked)
			compact_skip_set(t->machine, scan->end - 1);
		compact_hint_migrate(cc, scan->pfn);
	}
	event_emit(t, MM_COMPACTION_ISOLATE_MIGRATEPAGES, first, scan->pfn, scan->nr_scanned,
		   scan->nr_isolated);
	event_add(t, EV_COMPACT_ISOLATED, scan->nr_isolated);
}

/* ---- too much isolated ---- */

static bool too_many_isolated(struct task *t, struct node *node)
{
	uint64_t listed = node_stat(node, NR_INACTIVE_FILE) + node_stat(node, NR_INACTIVE_ANON) +
			  node_stat(node, NR_ACTIVE_FILE) + node_stat(node, NR_ACTIVE_ANON);
	uint64_t isolated = node_stat(node, NR_ISOLATED_FILE) + node_stat(node, NR_ISOLATED_ANON);

	if (isolated > listed / 2)
		return true;
	waitq_wake(t, &node->reclaim_wait[WAIT_ISOLATED], UINT32_MAX);
	return false;
}

/* => 0, -EAGAIN, -EINTR. May sleep unless the mode is ASYNC. */
static int wait_isolated(struct task *t, const struct compact_control *cc)
{
	struct node *node = &t->machine->nodes[cc->zone->node];

	/* event loop: other isolations end */
	while (too_many_isolated(t, node)) {
		if (cc->nr_migrate != 0 || cc->mode == MIGRATE_ASYNC)
			return -EAGAIN;
		reclaim_throttle(t, node, WAIT_ISOLATED);
		if (t->flags & PF_EXITING)
			return -EINTR;
	}
	return 0;
}

/*
 * Scans first..end-1, all in one pageblock; *next: where it stopped. May sleep.
 * => 0, -EAGAIN, -EINTR
 */
static int scan_block(struct task *t, struct compact_control *cc, uint32_t first, uint32_t end,
		      uint32_t *next)
{
	bool early = cc->direct && cc->mode == MIGRATE_ASYNC;
	struct block_scan scan = {
		.cc = cc,
		.lruvec = &t->machine->nodes[cc->zone->node].lruvec,
		.pfn = first,
		.end = end,
		.give_up_early = early,
		.boundary = early ? order_block_end(first, (uint32_t)cc->order) : 0,
		.filter = cc->mode != MIGRATE_SYNC,
		.any_type = cc->no_set_skip_hint,
	};
	int err = wait_isolated(t, cc);

	*next = first;
	if (err != 0)
		return err;
	rt_preempt(t);
	scan_frames(t, &scan);
	scan_end(t, &scan, first);
	*next = scan.pfn;
	return scan.err;
}

/* ---- choosing a pageblock ---- */

static bool whole_block(const struct zone *zone, uint32_t first, uint32_t end)
{
	return first >= zone->start_pfn && end <= zone_end(zone) && zone_has_frame(zone, first) &&
	       zone_has_frame(zone, end - 1);
}

static bool source_suits(const struct compact_control *cc, uint32_t pfn)
{
	const struct neap_machine *m = cc->zone->machine;
	const struct page *page = machine_page(m, pfn);

	if (page_test(page, PG_HEAD) && page_order(page) >= NEAP_PAGEBLOCK_ORDER)
		return false;
	if (cc->mode != MIGRATE_ASYNC || !cc->direct)
		return true;
	return pageblock_type(m, pfn) == cc->type ||
	       (cc->type == MT_MOVABLE && pageblock_type(m, pfn) == MT_CMA);
}

enum compact_scan compact_scan_migrate(struct task *t, struct compact_control *cc)
{
	struct zone *zone = cc->zone;
	uint32_t pfn = compact_fast_source(t, cc);
	bool found = pfn != cc->migrate_pfn && cc->fast_search_fail == 0;
	uint32_t first = max_u32(pageblock_start(pfn), zone->start_pfn);
	uint32_t end = pageblock_end(pfn);

	for (; end <= cc->free_pfn; end += NEAP_PAGEBLOCK_PAGES) {
		if (pfn % (SCAN_PAUSE_BLOCKS * NEAP_PAGEBLOCK_PAGES) == 0)
			rt_preempt(t);
		bool passed = pageblock_aligned(pfn) && !found && hints_count(cc) &&
			      compact_skip_test(t->machine, pfn);

		if (whole_block(zone, first, end) && !passed) {
			if (source_suits(cc, first))
				return scan_block(t, cc, pfn, end, &cc->migrate_pfn) != 0
					       ? COMPACT_SCAN_ABORT
				       : cc->nr_migrate != 0 ? COMPACT_SCAN_SOME
							     : COMPACT_SCAN_NONE;
			compact_hint_migrate(cc, end);
		}
		found = false;
		pfn = end;
		first = end;
		cc->migrate_pfn = end;
	}
	return COMPACT_SCAN_NONE;
}

int compact_scan_range(struct task *t, struct compact_control *cc, uint32_t first, uint32_t end,
		       uint32_t *next)
{
	int err = 0;

	*next = first;
	while (*next < end && err == 0 && cc->nr_migrate < COMPACT_CLUSTER_PAGES) {
		uint32_t block_end = min_u32(pageblock_end(*next), end);

		if (whole_block(cc->zone, *next, block_end))
			err = scan_block(t, cc, *next, block_end, next);
		else
			*next = block_end;
	}
	return err;
}
