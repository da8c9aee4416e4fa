/*
 * A request that failed and may be told about: once in ten seconds, as Linux does.
 */
#ifndef NEAP_CORE_ALLOC_WARN_H
#define NEAP_CORE_ALLOC_WARN_H

#include "core/machine.h"

#define ALLOC_WARN_PERIOD_NS (10 * NSEC_PER_SEC)

/* What a report of a failed request is made from, beside the machine itself. */
struct alloc_failure {
	uint32_t gfp, order;
	uint32_t highest;	  /* zone index limit */
	const uint64_t *nodemask; /* allowed nodes as bits; NULL = all */
	bool show_all_nodes;	  /* a mask does not hide nodes: the task may use reserves */
	uint64_t suppressed;	  /* failures since the last report that were not told */
};

/*
 * Called for every request that found no page. Tells the machine's failure_hook, unless the request
 * has NOWARN, was told about less than ten seconds ago, or is for zone DMA on a machine without
 * one. Never sleeps; locks of lower classes than LOCK_ZONE may be held.
 */
void alloc_warn(struct task *t, const struct alloc_failure *failure);

#endif
