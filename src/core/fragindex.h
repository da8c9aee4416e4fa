/*
 * Fragmentation numbers of a zone, from its free lists (spec 02, section 10). Pure
 * functions: compaction decides by them, debugfs prints them.
 */
#ifndef NEAP_CORE_FRAGINDEX_H
#define NEAP_CORE_FRAGINDEX_H

#include "base/base.h"

#define FRAGINDEX_ORDERS_MAX 32u /* orders that may be counted, and asked for */

/* What all three numbers are made of: the free blocks of a zone, seen from one order. */
struct fragindex {
	uint32_t order;
	uint64_t blocks;   /* free blocks of any size */
	uint64_t pages;	   /* free pages */
	uint64_t suitable; /* blocks of `order` that the larger ones and those of it hold */
};

/*
 * nr_free: free blocks per order, 0 first, of nr_orders (at most FRAGINDEX_ORDERS_MAX).
 * => exact while the zone has fewer than 2^54 free pages; else some number
 */
struct fragindex fragindex_count(const uint64_t *nr_free, uint32_t nr_orders, uint32_t order);

/*
 * Why a request of the order would fail, in thousandths: near 0 for lack of memory, near
 * 1000 for fragmentation. -1000 if it would not fail. 0 without any free block.
 */
int32_t fragindex_external(const struct fragindex *frag);
/* Free pages that no request of the order can use, in thousandths; 1000 if none is free. */
uint32_t fragindex_unusable(const struct fragindex *frag);
/* The same in percent, but 0 if no page is free: what proactive compaction weighs. */
uint32_t fragindex_unusable_percent(const struct fragindex *frag);

#endif
