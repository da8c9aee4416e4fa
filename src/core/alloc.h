/*
 * The allocator's entry points: request a block, give it back, test a mark.
 */
#ifndef NEAP_CORE_ALLOC_H
#define NEAP_CORE_ALLOC_H

#include "core/gfp.h"
#include "core/machine.h"
#include "core/watermark.h"

struct alloc_request {
	uint32_t gfp;
	uint32_t order;
	uint32_t node;		  /* preferred node */
	const uint64_t *nodemask; /* allowed nodes as bits; NULL = all */
};

/*
 * A block of 2^order frames. May sleep if gfp has DIRECT_RECLAIM (then no lock or pin may be held).
 * Without it the caller may be pinned, and hold locks of lower classes than LOCK_ZONE.
 * => PFN_NONE if none could be had by the rules of spec 02, section 8
 * => else refs = 1, maps = 0, flags = place only (HEAD, TAIL and order set for order > 0), contents
 *    undefined unless ZERO was asked
 * => asked for with GFP_BIT_OWNED, refs may be PAGE_OWNED | 1: free_pages_put() gives it back
 */
uint32_t alloc_pages(struct task *t, const struct alloc_request *request);

/* One frame from the zones of a list of the caller's own, whatever node they are of. */
uint32_t alloc_page_from(struct task *t, const struct zonelist *zonelist, uint32_t gfp);

/* One frame from the task's own node (or its policy node). */
uint32_t alloc_page(struct task *t, uint32_t gfp);

/*
 * Gives back a block whose last reference is gone (refs = 0), through the per-CPU lists. Never
 * sleeps.
 */
void free_pages(struct task *t, uint32_t pfn, uint32_t order);

/*
 * Drops a reference to a single frame that no list, entry or index leads to, and frees it if that
 * was the last. On a CPU that only frees this may happen a little later, but before the CPU does
 * anything that could tell (core/free_late.h): the caller's reference is gone in any case. Never
 * sleeps.
 */
void free_page_put(struct task *t, uint32_t pfn);

/*
 * The same for a block of any order, its head's reference. What was asked for with GFP_BIT_OWNED
 * costs the least.
 */
void free_pages_put(struct task *t, uint32_t pfn, uint32_t order);

/* free_pages() for a list of single frames, each with refs = 0; the list is empty afterwards. */
void free_page_list(struct task *t, struct list *list);

/* The zone index a request may use at most. */
static ALWAYS_INLINE uint32_t gfp_highest_zone(uint32_t gfp)
{
	uint32_t highest = watermark_limit(gfp);

	CHECK(highest != WATERMARK_LIMIT_NONE);
	return highest;
}

/* Whether the bits are a request at all; other bits than these are a caller's bug. */
static inline bool gfp_is_request(uint32_t gfp)
{
	const uint32_t mobility = GFP_BIT_MOVABLE | GFP_BIT_RECLAIMABLE;

	return watermark_limit(gfp) != WATERMARK_LIMIT_NONE && (gfp & mobility) != mobility;
}

/* Migrate type asked for (spec 02, section 1). */
static ALWAYS_INLINE uint32_t gfp_migrate_type(const struct neap_machine *m, uint32_t gfp)
{
	uint32_t type = (gfp & (GFP_BIT_MOVABLE | GFP_BIT_RECLAIMABLE)) / GFP_BIT_MOVABLE;

	CHECK(type < NR_PCP_TYPES); /* both bits at once are a caller's bug */
	return unlikely(m->mobility_disabled) ? MT_UNMOVABLE : type;
}

/* gfp after the task's NOIO, NOFS scopes. */
static ALWAYS_INLINE uint32_t gfp_in_context(const struct task *t, uint32_t gfp)
{
	if (likely((t->flags & (PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS)) == 0))
		return gfp;
	return gfp & ~((t->flags & PF_MEMALLOC_NOIO) ? GFP_BIT_IO | GFP_BIT_FS : GFP_BIT_FS);
}

/* The mark test (spec 02, section 7). terms: NULL, or filled in whatever the result. */
bool zone_watermark_test(const struct zone *zone, const struct watermark_query *query,
			 struct watermark_terms *terms);
/* The same on the approximate count of free pages. */
bool zone_watermark_ok(const struct zone *zone, uint32_t order, uint64_t mark, uint32_t limit,
		       uint32_t alloc_flags);
/* Uses the exact count when the approximate one is near the drift mark. */
bool zone_watermark_ok_safe(const struct zone *zone, uint32_t order, uint64_t mark, uint32_t limit,
			    uint32_t alloc_flags);

/*
 * Pages of a zone that reclaim could free: file lists, and anon lists while swap has room; the free
 * pages if there are none of these. Exact.
 */
uint64_t zone_reclaimable_pages(const struct zone *zone);

#endif
