/*
 * alloc_dry.c: would this request succeed?
 *
 *      alloc_walk()                     alloc_dry_walk()
 *        for each zone:                   for each zone:
 *          mark test  ── the same ──        mark test, its terms kept
 *          take a block                     which block it would be
 *
 * A machine known from its files only has counts of free blocks, but no pages. All that the
 * allocator decides by is there: marks, protection, the bits that say which lists have a block.
 * So the walk over the zones is done as alloc.c does it, with the same test and the same choice
 * among other types' blocks, and ends where alloc.c would put its hand on a page.
 *
 * Two things are unknown here and left out: the pages on per-CPU lists, which may serve a
 * request although no block of its type is left, and which nodes have their share of dirty
 * pages.
 *
 * What must never happen: a change of the machine; the walk may be asked any number of times.
 * And an answer that differs from the allocator's on the same state, which a test compares.
 *
 * Linux: get_page_from_freelist() and rmqueue() of mm/page_alloc.c, late 6.1.y, as alloc.c.
 */
#include "core/alloc_dry.h"

#include "core/buddy.h"
#include "core/pageblock.h"
#include "core/vmstat.h"
#include "core/zonelist.h"

/* More than half of the zone's free pages are CMA's: these go first, for who may have them. */
static bool cma_first(const struct zone *zone)
{
	return zone_stat(zone, NR_FREE_CMA) > zone_stat(zone, NR_FREE_PAGES) / 2;
}

/* Which block buddy_take() would give. */
static enum dry_result dry_take(const struct zone *zone, const struct alloc_context *ac,
				struct dry_step *step)
{
	bool cma = (ac->flags & ALLOC_CMA) != 0 && buddy_has(zone, ac->order, MT_CMA);

	if ((ac->flags & ALLOC_HIGHATOMIC) && buddy_has(zone, ac->order, MT_HIGHATOMIC))
		return DRY_RESERVE;
	if (cma && cma_first(zone))
		return DRY_CMA;
	if (buddy_has(zone, ac->order, ac->type))
		return DRY_OWN;
	if (cma)
		return DRY_CMA;
	if (pageblock_fallback_type(zone, ac->order, ac->type, ac->flags, &step->from))
		return DRY_OTHER;
	if ((ac->flags & (ALLOC_OOM | ALLOC_NON_BLOCK)) &&
	    buddy_has(zone, ac->order, MT_HIGHATOMIC))
		return DRY_RESERVE;
	return DRY_NOTHING;
}

static void dry_step(const struct zone *zone, const struct alloc_context *ac, struct dry_step *step)
{
	*step = (struct dry_step){ .zone = zone, .result = DRY_MARK };
	step->nofragment = (ac->flags & ALLOC_NOFRAGMENT) != 0;
	if (alloc_mark_test(zone, ac, &step->terms) || (ac->flags & ALLOC_NO_WATERMARKS))
		step->result = dry_take(zone, ac, step);
}

/* One pass, as alloc_walk_once(). => whether a block was got */
static bool dry_pass(const struct neap_machine *m, const struct alloc_context *ac,
		     struct dry_walk *walk)
{
	uint32_t home = ac->preferred->zone->node;
	bool stay = (ac->flags & ALLOC_NOFRAGMENT) && m->nr_nodes > 1;

	for (const struct zoneref *ref = ac->preferred; ref->zone != NULL;
	     ref = zonelist_seek(ref + 1, ac->highest, ac->nodemask)) {
		/* The last place is kept for the zone that decides. */
		struct dry_step *step = &walk->step[min_u32(walk->nr, DRY_STEPS_MAX - 1)];

		if (stay && ref->zone->node != home)
			return false;
		dry_step(ref->zone, ac, step);
		walk->nr = min_u32(walk->nr + 1, DRY_STEPS_MAX);
		if (step->result > DRY_NOTHING) {
			walk->got = step;
			return true;
		}
	}
	return false;
}

bool alloc_dry_walk(const struct neap_machine *m, struct alloc_context *ac, struct dry_walk *walk)
{
	const uint32_t flags = ac->flags;
	bool got;

	walk->nr = 0;
	walk->got = NULL;
	if (ac->preferred->zone == NULL)
		return false;
	got = dry_pass(m, ac, walk);
	if (!got && (flags & ALLOC_NOFRAGMENT)) {
		ac->flags &= ~ALLOC_NOFRAGMENT;
		got = dry_pass(m, ac, walk);
		ac->flags = flags;
	}
	return got;
}
