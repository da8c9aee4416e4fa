/* Where zone Movable begins: the boot options kernelcore and movablecore (spec 01, section 2). */
#ifndef NEAP_CORE_MOVABLE_H
#define NEAP_CORE_MOVABLE_H

#include "core/snapshot.h"

/* A stretch of memory of one node. Those of a machine ascend by address. */
struct movable_range {
	uint32_t node;
	uint64_t first_pfn, end_pfn; /* end: behind the last */
};

struct movable_want {
	uint64_t kernelcore_pages;  /* for the kernel, at least; 0: not said */
	uint64_t movablecore_pages; /* for Movable, at most; 0: not said */
	uint64_t usable_pfn;	    /* where the highest zone of the machine begins: only its
				       memory can become Movable */
};

/*
 * Spreads the kernel's memory evenly over the nodes; what remains of the highest zone on each is
 * Movable. first_pfn: one a node, 0 = the node has no Movable zone.
 */
void movable_place(const struct movable_range *ranges, uint32_t nr_ranges,
		   const struct movable_want *want, uint64_t first_pfn[NEAP_MAX_NODES]);

#endif
