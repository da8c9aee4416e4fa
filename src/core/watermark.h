/*
 * The mark test over plain numbers (spec 02, section 7): whether a zone may serve a request, and
 * by which terms.
 *
 *     free - unusable > mark (less what the request's rights take off) + reserve
 *     and, above order 0, a free block of at least that order that the request may take
 *
 * Nothing here knows where the numbers come from. The engine fills a watermark_zone from a running
 * zone (core/alloc.c); src/diag from a saved /proc or the text of a kernel log; so an explanation
 * is the decision itself, carried out again.
 */
#ifndef NEAP_CORE_WATERMARK_H
#define NEAP_CORE_WATERMARK_H

#include "base/base.h"
#include "core/gfp.h"
#include "core/snapshot.h"

/* Rights that let a request into the HighAtomic reserve. */
#define ALLOC_RESERVES (ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK | ALLOC_HIGHATOMIC | ALLOC_OOM)

/* What is asked of a zone's marks. */
struct watermark_query {
	uint32_t order;
	uint32_t limit;	      /* highest zone index of the request */
	uint32_t alloc_flags; /* ALLOC_*: rights */
	uint64_t mark;	      /* pages, boost included */
	int64_t free;	      /* pages to test, approximate or exact */
};

/* What the test has to know of a zone beside its free pages. Pages. */
struct watermark_zone {
	int64_t highatomic; /* in reserved blocks, free or not */
	int64_t free_cma;
	int64_t reserve;		  /* lowmem protection against query->limit */
	uint16_t nonempty[NEAP_NR_TYPES]; /* by migrate type: bit = order that has a block */
};

/* Why a mark test passed or failed: its terms, for explanations. Pages. */
struct watermark_terms {
	int64_t free;	   /* free pages the test looked at */
	int64_t unusable;  /* of them not usable by this request */
	int64_t cma;	   /* the part of these that lies in CMA blocks */
	int64_t mark;	   /* after discounts */
	int64_t reserve;   /* lowmem protection against this request */
	bool order_failed; /* amount was enough, no block of the order */
	bool ok;
};

/*
 * Free pages that are of no use to a request. The whole HighAtomic reserve counts, used or not: how
 * much of it is free is not known cheaply.
 */
static ALWAYS_INLINE int64_t watermark_unusable(const struct watermark_zone *zone, uint32_t order,
						uint32_t alloc_flags)
{
	int64_t unusable = ((int64_t)1 << order) - 1;

	if ((alloc_flags & ALLOC_RESERVES) == 0)
		unusable += zone->highatomic;
	if ((alloc_flags & ALLOC_CMA) == 0)
		unusable += zone->free_cma;
	return unusable;
}

/* The mark after what the request's rights take off. The order of the divisions is Linux's. */
static ALWAYS_INLINE int64_t watermark_discount(uint64_t mark, uint32_t alloc_flags)
{
	int64_t min = (int64_t)mark;

	if (alloc_flags & ALLOC_MIN_RESERVE) {
		min -= min / 2;
		if (alloc_flags & ALLOC_NON_BLOCK)
			min -= min / 4;
	}
	if (alloc_flags & ALLOC_OOM)
		min -= min / 2;
	return min;
}

/* Whether blocks of this migrate type may serve a request with these rights. */
static ALWAYS_INLINE bool watermark_may_take(uint32_t type, uint32_t alloc_flags)
{
	switch (type) {
	case MT_UNMOVABLE:
	case MT_MOVABLE:
	case MT_RECLAIMABLE:
		return true;
	case MT_HIGHATOMIC:
		return (alloc_flags & (ALLOC_HIGHATOMIC | ALLOC_OOM)) != 0;
	case MT_CMA:
		return (alloc_flags & ALLOC_CMA) != 0;
	default: /* isolated blocks are about to leave the allocator */
		return false;
	}
}

/* Is there a block the request may take? */
static ALWAYS_INLINE bool watermark_has_block(const struct watermark_zone *zone, uint32_t order,
					      uint32_t alloc_flags)
{
	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
		if (zone->nonempty[type] >> order != 0 && watermark_may_take(type, alloc_flags))
			return true;
	return false;
}

/* The mark test. terms: NULL, or filled in whatever the result. */
static ALWAYS_INLINE bool watermark_test(const struct watermark_zone *zone,
					 const struct watermark_query *query,
					 struct watermark_terms *terms)
{
	int64_t unusable = watermark_unusable(zone, query->order, query->alloc_flags);
	int64_t mark = watermark_discount(query->mark, query->alloc_flags);
	bool enough = query->free - unusable > mark + zone->reserve;
	bool ok = enough && (query->order == 0 ||
			     watermark_has_block(zone, query->order, query->alloc_flags));

	if (terms != NULL)
		*terms = (struct watermark_terms){
			.free = query->free,
			.unusable = unusable,
			.cma = (query->alloc_flags & ALLOC_CMA) ? 0 : zone->free_cma,
			.mark = mark,
			.reserve = zone->reserve,
			.order_failed = enough && !ok,
			.ok = ok,
		};
	return ok;
}

/*
 * Rights that a request has in the slow path by its flags alone; those of its task (reclaiming,
 * killed) replace them. HIGH and KSWAPD_RECLAIM have the same bits in both kinds of flags.
 */
static inline uint32_t watermark_slow_flags(uint32_t gfp, uint32_t order)
{
	uint32_t flags = ALLOC_WMARK_MIN | ALLOC_CPUSET;

	_Static_assert(GFP_BIT_HIGH == ALLOC_MIN_RESERVE, "the bit is copied");
	_Static_assert(GFP_BIT_KSWAPD_RECLAIM == ALLOC_KSWAPD, "the bit is copied");
	flags |= gfp & (GFP_BIT_HIGH | GFP_BIT_KSWAPD_RECLAIM);
	if (gfp & GFP_BIT_DIRECT_RECLAIM)
		return flags;
	if (!(gfp & GFP_BIT_NOMEMALLOC)) {
		flags |= ALLOC_NON_BLOCK;
		/* golden/probes/thresholds: without HIGH no reserve grows, and none is used up. */
		if (order > 0 && (flags & ALLOC_MIN_RESERVE))
			flags |= ALLOC_HIGHATOMIC;
	}
	if (flags & ALLOC_MIN_RESERVE)
		flags &= ~ALLOC_CPUSET;
	return flags;
}

/*
 * The unboosted min may be tried as well: a boost is for kswapd, and a request of order 0 that is
 * atomic has nobody else to turn to.
 */
static ALWAYS_INLINE bool watermark_ignores_boost(uint32_t gfp, uint32_t order,
						  uint32_t alloc_flags)
{
	return order == 0 && (gfp & GFP_BIT_ATOMIC) != 0 &&
	       (alloc_flags & ALLOC_WMARK_MASK) == ALLOC_WMARK_MIN;
}

#define WATERMARK_LIMIT_NONE 0xfu
/* The answers of watermark_limit(), 4 bits each. */
#define WATERMARK_LIMITS UINT64_C(0xfff1f302fff1f202)

/*
 * The zone index a request may use at most (spec 01, section 5), for each value of the four zone
 * bits. => WATERMARK_LIMIT_NONE for combinations that mean nothing
 */
static ALWAYS_INLINE uint32_t watermark_limit(uint32_t gfp)
{
	uint32_t bits = gfp & (GFP_BIT_DMA | GFP_BIT_HIGHMEM | GFP_BIT_DMA32 | GFP_BIT_MOVABLE);

	return (uint32_t)(WATERMARK_LIMITS >> (bits * 4)) & 0xf;
}

#endif
