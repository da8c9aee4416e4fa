/*
 * Fast searches: instead of walking frames, ask the free lists.
 *
 *   zone    |migrate ...........|            |.......... free|
 *   source   a free chunk below `high`: its pageblock is partly empty already
 *   target                       min     good
 *            a free chunk at or above `good` is taken at once; else the best above `min`
 *
 * Both look at a few entries of each list only: 33, halved with every search in a row that
 * failed. What was looked at goes to the other end of the list, so that the next search
 * sees other entries. The order in which lists are changed here is visible in which frames
 * later requests get.
 *
 * What must never happen: a list walked without the zone lock.
 *
 * Linux: fast_find_migrateblock(), fast_isolate_freepages(), fast_isolate_around() of
 * mm/compaction.c, 6.1.
 */
#include "core/compact_fast.h"

#include "core/pageblock.h"
#include "core/vmstat.h"

#define LOOK_ENTRIES 32u
#define LOOK_SHIFT_MAX 63u
#define LOOK_ENTRIES_START (NEAP_PAGEBLOCK_PAGES / 2)

static uint32_t look_limit(const struct compact_control *cc)
{
	uint32_t shift = min_u32(cc->fast_search_fail, LOOK_SHIFT_MAX);

	return (shift >= 32 ? 0 : LOOK_ENTRIES >> shift) + 1;
}

/* Everything before pfn goes to the end of the list, in its order. => zone lock held */
static void list_rotate_to(struct page *pages, struct list *list, uint32_t pfn)
{
	if (list->first == pfn)
		return;
	uint32_t last = pages[pfn].prev;

	pages[list->last].next = list->first;
	pages[list->first].prev = list->last;
	pages[last].next = PFN_NONE;
	pages[pfn].prev = PFN_NONE;
	list->first = pfn;
	list->last = last;
}

/* The same after a walk from the head; a walk that ended at the last entry changes nothing. */
static void list_rotate_seen(struct page *pages, struct list *list, uint32_t pfn)
{
	if (list->last != pfn)
		list_rotate_to(pages, list, pfn);
}

static struct list *movable_list(struct zone *zone, uint32_t order)
{
	return &zone->area[order].list[MT_MOVABLE];
}

/* ---- sources ---- */

static bool source_applies(const struct compact_control *cc)
{
	if (cc->ignore_skip_hint)
		return false;
	/* Within a pageblock the last scan goes on. */
	if (cc->migrate_pfn != cc->zone->start_pfn && !pageblock_aligned(cc->migrate_pfn))
		return false;
	if (cc->order <= (int32_t)NEAP_COSTLY_ORDER)
		return false;
	return !cc->direct || cc->type == MT_MOVABLE;
}

/* A pageblock to try, from one free list. => PFN_NONE if it has none. Zone lock held */
static uint32_t source_in_list(struct compact_control *cc, uint32_t order, uint32_t high,
			       uint32_t *looks)
{
	struct neap_machine *m = cc->zone->machine;
	struct list *list = movable_list(cc->zone, order);
	uint32_t limit = look_limit(cc);

	for (uint32_t pfn = list->first; pfn != PFN_NONE; pfn = m->pages[pfn].next) {
		if ((*looks)++ >= limit) {
			list_rotate_seen(m->pages, list, pfn);
			break;
		}
		if (pfn >= high || compact_skip_test(m, pfn))
			continue;
		list_rotate_seen(m->pages, list, pfn);
		if (cc->fast_start_pfn == 0)
			cc->fast_start_pfn = pfn;
		else if (cc->fast_start_pfn != UINT32_MAX)
			cc->fast_start_pfn = min_u32(cc->fast_start_pfn, pfn);
		compact_skip_set(m, pfn);
		return max_u32(pageblock_start(pfn), cc->zone->start_pfn);
	}
	return PFN_NONE;
}

/* Nothing is left to find: the linear scan goes on at the lowest that ever was. */
static uint32_t source_fall_back(struct compact_control *cc)
{
	cc->fast_search_fail++;
	if (cc->fast_start_pfn != 0 && cc->fast_start_pfn != UINT32_MAX) {
		cc->migrate_pfn = cc->fast_start_pfn;
		cc->fast_start_pfn = UINT32_MAX;
	}
	return cc->migrate_pfn;
}

uint32_t compact_fast_source(struct task *t, struct compact_control *cc)
{
	struct zone *zone = cc->zone;
	uint32_t span = (cc->free_pfn - cc->migrate_pfn) / 2;
	uint32_t limit = look_limit(cc);
	uint32_t found = PFN_NONE;
	uint32_t looks = 0;

	if (!source_applies(cc))
		return cc->migrate_pfn;
	if (cc->migrate_pfn != zone->start_pfn)
		span /= 4;
	uint32_t high = pageblock_start(cc->migrate_pfn + span);

	for (int32_t order = cc->order - 1;
	     order >= (int32_t)NEAP_COSTLY_ORDER && found == PFN_NONE && looks < limit; order--) {
		if (racy_read(zone->area[order].nr_free) == 0)
			continue;
		cpu_pin(t);
		spin_lock(t, &zone->lock, LOCK_ZONE);
		found = source_in_list(cc, (uint32_t)order, high, &looks);
		spin_unlock(t, &zone->lock, LOCK_ZONE);
		cpu_unpin(t);
	}
	cc->nr_migrate_scanned += looks;
	event_add(t, EV_SIM_COMPACT_LOOK, looks);
	if (found == PFN_NONE)
		return source_fall_back(cc);
	cc->fast_search_fail = 0;
	return found;
}

/* ---- targets ---- */

/* A fast search for targets. */
struct target_search {
	uint32_t good;	  /* a chunk here or above is taken at once */
	uint32_t min;	  /* the best above this will do */
	uint32_t limit;	  /* entries to look at in the next list */
	uint32_t highest; /* highest pageblock start seen */
	uint32_t looks;	  /* entries looked at, and pages taken beyond them */
	uint32_t taken_pfn, taken_pages;
	bool refused;  /* by the min mark: it ends */
	bool starting; /* the free scanner has not gone down yet */
};

/* => the next order, or -1 after the last */
static int32_t next_order(struct compact_control *cc, int32_t order)
{
	order--;
	if (order < 0)
		order = cc->order - 1;
	if (order != cc->search_order)
		return order;
	/* All were tried: another time begin with another one. */
	cc->search_order--;
	if (cc->search_order < 0)
		cc->search_order = cc->order - 1;
	return -1;
}

/* Looks through one list from its tail. => a chunk, or PFN_NONE; *looks: entries. Zone lock held */
static uint32_t target_in_list(struct compact_control *cc, struct target_search *search,
			       uint32_t order, uint32_t *looks)
{
	struct page *pages = cc->zone->machine->pages;
	struct list *list = movable_list(cc->zone, order);
	uint32_t candidate = 0;
	uint32_t pfn;

	*looks = 0;
	for (pfn = list->last; pfn != PFN_NONE; pfn = pages[pfn].prev) {
		(*looks)++;
		if (pfn >= search->highest)
			search->highest = max_u32(pageblock_start(pfn), cc->zone->start_pfn);
		if (pfn >= search->good) {
			cc->fast_search_fail = 0;
			cc->search_order = (int32_t)order;
			candidate = pfn;
			break;
		}
		if (pfn >= search->min && pfn > candidate) {
			candidate = pfn;
			search->limit >>= 1;
		}
		if (*looks >= search->limit)
			break;
	}
	if (candidate != 0)
		list_rotate_to(pages, list, candidate);
	else if (pfn != PFN_NONE)
		list_rotate_to(pages, list, pfn);
	return candidate;
}

static void target_search_list(struct task *t, struct compact_control *cc,
			       struct target_search *search, uint32_t order, struct list *chunks)
{
	struct zone *zone = cc->zone;
	uint32_t looks;

	if (racy_read(zone->area[order].nr_free) == 0)
		return;
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	uint32_t pfn = target_in_list(cc, search, order, &looks);

	search->looks += looks;
	if (pfn != PFN_NONE) {
		search->taken_pages = compact_free_detach(t, cc, pfn, chunks);
		search->refused = search->taken_pages == 0;
		if (!search->refused) {
			search->taken_pfn = pfn;
			search->looks += search->taken_pages - 1;
			event_add_pinned(t, EV_COMPACT_ISOLATED, search->taken_pages);
		}
	}
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
	/* The whole search looks at about as many entries, however many lists there are. */
	if (looks >= search->limit)
		search->limit = max_u32(1, search->limit >> 1);
}

/* Nothing was taken: at the start the position may jump. => where to look around; 0 = nowhere */
static uint32_t target_jump(struct compact_control *cc, const struct target_search *search)
{
	const struct zone *zone = cc->zone;

	cc->fast_search_fail++;
	if (!search->starting)
		return 0;
	if (search->highest >= search->min) {
		cc->free_pfn = search->highest;
		return search->highest;
	}
	if (!cc->direct || search->min >= zone_end(zone))
		return 0;
	cc->free_pfn = search->min;
	return search->min >= zone->start_pfn ? search->min : 0;
}

/* The rest of the pageblock that a chunk was found in. */
static void target_around(struct task *t, struct compact_control *cc,
			  const struct target_search *search, uint32_t pfn, struct list *chunks)
{
	uint32_t end = min_u32(pageblock_end(pfn), zone_end(cc->zone));
	struct free_range before = { .first = max_u32(pageblock_start(pfn), cc->zone->start_pfn),
				     .end = pfn,
				     .stride = 1 };
	struct free_range after = { .first = pfn + search->taken_pages, .end = end, .stride = 1 };

	if (cc->nr_free >= cc->nr_migrate || (cc->direct && cc->mode == MIGRATE_ASYNC))
		return;
	if (before.first < before.end)
		compact_free_block(t, cc, &before, chunks);
	if (cc->nr_free < cc->nr_migrate && after.first < after.end)
		compact_free_block(t, cc, &after, chunks);
	if (cc->nr_free < cc->nr_migrate)
		compact_skip_set(t->machine, pfn);
}

/*
 * Which chunks are wanted. The scanners may have crossed within one list of pages; then none is,
 * but the lists are looked at and turned all the same.
 */
static void target_bounds(const struct compact_control *cc, struct target_search *search)
{
	search->good = UINT32_MAX;
	search->min = UINT32_MAX;
	if (cc->free_pfn < cc->migrate_pfn)
		return;
	uint32_t span = cc->free_pfn - cc->migrate_pfn;

	search->good = pageblock_start(cc->free_pfn - span / 4);
	search->min = pageblock_start(cc->free_pfn - span / 2);
}

void compact_fast_targets(struct task *t, struct compact_control *cc, struct list *chunks)
{
	struct zone *zone = cc->zone;
	struct target_search search = { .limit = max_u32(1, look_limit(cc) >> 1) };

	if (cc->order <= 0)
		return;
	target_bounds(cc, &search);
	if (cc->free_pfn >= atomic_load_explicit(&zone->compact_init_free, memory_order_relaxed)) {
		search.limit = LOOK_ENTRIES_START;
		search.starting = true;
	}
	cc->search_order = cc->search_order < cc->order - 1 ? cc->search_order : cc->order - 1;
	int32_t order = cc->search_order;

	while (order >= 0 && search.taken_pfn == PFN_NONE) {
		target_search_list(t, cc, &search, (uint32_t)order, chunks);
		if (cc->nr_free >= cc->nr_migrate)
			break;
		/* A refusal ends the search as if every list had been tried. */
		order = next_order(cc, search.refused ? cc->search_order + 1 : order);
	}
	uint32_t around =
		search.taken_pfn != PFN_NONE ? search.taken_pfn : target_jump(cc, &search);

	if (search.highest != 0 &&
	    search.highest >=
		    atomic_load_explicit(&zone->compact_cached_free, memory_order_relaxed))
		atomic_store_explicit(&zone->compact_cached_free,
				      search.highest -
					      min_u32(search.highest, NEAP_PAGEBLOCK_PAGES),
				      memory_order_relaxed);
	cc->nr_free_scanned += search.looks;
	event_add(t, EV_SIM_COMPACT_LOOK, search.looks);
	if (around != 0)
		target_around(t, cc, &search, around, chunks);
}
