/* Memory policies: from which nodes a task's or a region's pages come. */
#ifndef NEAP_CORE_MEMPOLICY_H
#define NEAP_CORE_MEMPOLICY_H

#include "core/machine.h"
#include "core/space.h"

/* In the order of Linux's numbers for them. */
enum mempolicy_mode {
	MEMPOLICY_DEFAULT,	  /* the next wider one's; at last the node of the CPU */
	MEMPOLICY_PREFERRED,	  /* near one node */
	MEMPOLICY_BIND,		  /* from these nodes only */
	MEMPOLICY_INTERLEAVE,	  /* from these nodes in turn */
	MEMPOLICY_LOCAL,	  /* near the CPU */
	MEMPOLICY_PREFERRED_MANY, /* from these nodes, as long as it costs no reclaim */
	NR_MEMPOLICIES,
};

/*
 * Is this a policy? => 0; -EINVAL the mode, or which nodes: none that has memory for a mode that
 * wants some, or some for one that wants none. *nodes loses those without memory.
 */
int mempolicy_check(const struct neap_machine *m, uint32_t mode, uint64_t *nodes) MUST_CHECK;

/*
 * Gives the calling task a policy. => as mempolicy_check(), whose mask of nodes is cut down to
 * those that the task's memory may come from first (core/cpuset.h)
 */
int mempolicy_set(struct task *t, uint32_t mode, uint64_t nodes) MUST_CHECK;

/*
 * The task's memory may come from other nodes now, mems as bits: BIND and INTERLEAVE go over to the
 * nodes at the same places of that set, round and round; the others stay.
 */
void mempolicy_rebind(struct task *t, uint64_t mems);

/*
 * A block by the task's policy; requests for their own node only, and completions, have none.
 * => as alloc_pages(), whose rules about sleeping hold
 */
uint32_t mempolicy_alloc(struct task *t, uint32_t gfp, uint32_t order);
/* The same for page `page` of a region, by the region's policy if it has one. */
uint32_t mempolicy_alloc_region(struct task *t, const struct region *region, uint64_t page,
				uint32_t gfp);
/* Whether a policy that is not the default one rules the region's pages. */
bool mempolicy_rules(const struct task *t, const struct region *region);

#endif
