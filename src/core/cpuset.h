/* Which nodes a task's memory may come from at all: the memory side of cpusets. */
#ifndef NEAP_CORE_CPUSET_H
#define NEAP_CORE_CPUSET_H

#include "core/machine.h"

struct alloc_context;

/* Whether the task is limited: what everybody asks before anything below. */
static ALWAYS_INLINE bool cpuset_limits(const struct task *t)
{
	return unlikely((t->flags & PF_CPUSET) != 0);
}

/*
 * Limits the calling task to some nodes, as bits, from its next request on; its policy goes to the
 * nodes in the same places of the new set. nodes 0: no limit.
 * => 0; -EINVAL: none of the nodes has memory, nothing has changed
 */
int cpuset_set(struct task *t, uint64_t nodes) MUST_CHECK;

/*
 * The task's nodes that have memory, as bits; all of them if it is not limited, or if its own have
 * lost all of theirs.
 */
uint64_t cpuset_nodes(const struct task *t);

/*
 * May this request of the task use the node? Without HARDWALL it may: then the limit is that of
 * the nearest enclosing cpuset with a hard wall, which is the whole machine here.
 */
bool cpuset_allows(const struct task *t, uint32_t node, uint32_t gfp);

/*
 * A limited task's request before its first walk: a hard wall, and the task's nodes for a mask if
 * it brings none, else every zone is to be asked for. alloc_slow() begins without this.
 */
void cpuset_begin(const struct task *t, struct alloc_context *ac);

#endif
