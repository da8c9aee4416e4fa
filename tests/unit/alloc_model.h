/*
 * A naive page allocator to compare with: two bytes a frame. What a request may get follows from
 * the rules alone (spec 02, sections 5 to 8), by looking at every frame.
 *
 *     MUST_FAIL   no zone has a free, aligned run of frames, or every zone is below its mark
 *     MUST_GET    all lists of CPUs are empty, and some zone has a run and is above its mark
 *     MAY         between the two: a zone is as near its mark as the CPUs' counters may be off
 */
#ifndef NEAP_TESTS_ALLOC_MODEL_H
#define NEAP_TESTS_ALLOC_MODEL_H

#include "core/alloc.h"
#include "core/buddy.h"

#define FREE 0u /* states of a frame */
#define USED 1u
#define ABSENT 2u

enum verdict {
	MUST_FAIL,
	MAY,
	MUST_GET
};

struct model {
	const struct neap_machine *m;
	uint8_t *frame; /* by number: its state */
	uint8_t *owner; /* by number: its zone's number; spans may overlap */
};

static inline uint32_t model_zone_limit(uint32_t gfp)
{
	if (gfp & GFP_BIT_DMA)
		return ZONE_DMA;
	if (gfp & GFP_BIT_DMA32)
		return ZONE_DMA32;
	return (gfp & GFP_BIT_HIGHMEM) && (gfp & GFP_BIT_MOVABLE) ? ZONE_MOVABLE : ZONE_NORMAL;
}

static inline bool model_no_marks(const struct task *t, uint32_t gfp)
{
	return !(gfp & GFP_BIT_NOMEMALLOC) &&
	       ((gfp & GFP_BIT_MEMALLOC) || (t->flags & PF_MEMALLOC));
}

static inline bool model_may_block(uint32_t gfp)
{
	return (gfp & GFP_BIT_DIRECT_RECLAIM) != 0;
}

static inline bool model_mask_binds(const struct task *t, uint32_t gfp)
{
	return !model_no_marks(t, gfp) && (model_may_block(gfp) || !(gfp & GFP_BIT_HIGH));
}

/* The node is one that the task may use, or none of those has memory. */
static inline bool model_allows(const struct task *t, uint32_t node)
{
	const struct neap_machine *m = t->machine;
	bool any = false;

	for (uint32_t i = 0; i < m->nr_nodes * NR_ZONES; i++)
		any |= ((t->mems >> (i / NR_ZONES)) & 1) != 0 &&
		       m->nodes[i / NR_ZONES].zone[i % NR_ZONES].present != 0;
	return !any || ((t->mems >> node) & 1) != 0;
}

/* The zone is in the request's reach; bound: its node mask holds. */
static inline bool model_reaches(const struct zone *zone, const struct alloc_request *r, bool bound)
{
	return zone->present != 0 && zone->type <= model_zone_limit(r->gfp) &&
	       (!(r->gfp & GFP_BIT_THISNODE) || zone->node == r->node) &&
	       (r->nodemask == NULL || !bound || ((*r->nodemask >> zone->node) & 1) != 0);
}

static inline bool model_eligible(const struct task *t, const struct zone *zone,
				  const struct alloc_request *r)
{
	bool bound = model_mask_binds(t, r->gfp);

	return model_reaches(zone, r, bound) &&
	       (!bound || !(r->gfp & GFP_BIT_HARDWALL) || model_allows(t, zone->node));
}

/* The last mark a request has to pass, after what its rights take off. */
static inline int64_t model_mark(const struct zone *zone, const struct alloc_request *r)
{
	bool atomic = !model_may_block(r->gfp) && !(r->gfp & GFP_BIT_NOMEMALLOC);
	int64_t mark = (int64_t)zone->mark[WMARK_MIN];

	if (r->order != 0 || !(r->gfp & GFP_BIT_ATOMIC))
		mark += (int64_t)zone->boost;
	if (r->gfp & GFP_BIT_HIGH)
		mark -= mark / 2;
	if ((r->gfp & GFP_BIT_HIGH) && atomic)
		mark -= mark / 4;
	return mark + (int64_t)zone->reserve[model_zone_limit(r->gfp)];
}

static inline bool model_uses_reserve(const struct alloc_request *r)
{
	return (r->gfp & GFP_BIT_HIGH) ||
	       (!model_may_block(r->gfp) && !(r->gfp & GFP_BIT_NOMEMALLOC));
}

static inline bool model_has_run(const struct model *md, const struct zone *zone, uint32_t order)
{
	uint64_t size = (uint64_t)1 << order;
	uint64_t end = (uint64_t)zone->start_pfn + zone_spanned(zone);

	for (uint64_t pfn = round_up_u64(zone->start_pfn, size); pfn + size <= end; pfn += size) {
		uint64_t at = pfn;

		while (at < pfn + size && md->frame[at] == FREE &&
		       md->owner[at] == zone_number(zone))
			at++;
		if (at == pfn + size)
			return true;
	}
	return false;
}

/* What one zone can do for a request. drained: all free frames are on the zone's lists. */
static inline enum verdict model_zone(const struct model *md, const struct task *t,
				      const struct zone *zone, const struct alloc_request *r,
				      bool drained)
{
	int64_t free_pages = (int64_t)zone_stat_exact(zone, NR_FREE_PAGES);
	int64_t unusable = (int64_t)((uint64_t)1 << r->order) - 1;
	/* Free pages of the reserve are not for all; whole pageblocks may stay apart. */
	bool plain =
		drained && r->order <= NEAP_PAGEBLOCK_ORDER && !buddy_has(zone, 0, MT_HIGHATOMIC);
	int64_t off = 0;

	if (!model_has_run(md, zone, r->order))
		return MUST_FAIL;
	if (model_no_marks(t, r->gfp))
		return plain ? MUST_GET : MAY;
	for (uint32_t cpu = 0; cpu < md->m->nr_cpus; cpu++)
		off += zone->pcp[cpu].threshold;
	if (!model_uses_reserve(r))
		unusable += (int64_t)zone->nr_reserved_highatomic;
	int64_t room = free_pages - unusable - model_mark(zone, r);

	/* Reclaim may give reserved pageblocks back before the request fails. */
	if (room + off <= 0 && !(model_may_block(r->gfp) && zone->nr_reserved_highatomic != 0))
		return MUST_FAIL;
	return plain && room - off > 0 ? MUST_GET : MAY;
}

static inline enum verdict model_request(const struct model *md, const struct task *t,
					 const struct alloc_request *r, bool drained)
{
	enum verdict best = MUST_FAIL;
	bool reachable = false; /* whatever its rights, a mask without zones ends a request */

	for (uint32_t i = 0; i < md->m->nr_nodes * NR_ZONES; i++) {
		const struct zone *zone = &md->m->nodes[i / NR_ZONES].zone[i % NR_ZONES];

		reachable |= model_reaches(zone, r, true);
		if (best != MUST_GET && model_eligible(t, zone, r))
			best = (enum verdict)max_u32(best, model_zone(md, t, zone, r, drained));
	}
	return reachable ? best : MUST_FAIL;
}

#endif
