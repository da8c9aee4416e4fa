/*
 * cpuset.c: the nodes that a task's memory may come from.
 *
 *     task.mems   nodes as bits; 0 = no limit (then PF_CPUSET is not set, and no request asks)
 *
 *     request         first walk                    slow path
 *     no mask         mask = the task's nodes       no mask; each zone is asked (CPUSET)
 *     own mask        own mask; each zone asked     the same
 *     atomic          as above                      no limit (CPUSET falls with MIN_RESERVE)
 *     reserve rights                                no limit and no mask
 *     NOFAIL                                        within the limit, at last without
 *
 * To be asked, in the slow path, means: the node is the task's, or the request has no hard wall
 * (kernel memory: rather from elsewhere than not at all), or the task is to die for memory. What
 * is limited as well: which nodes a request wakes kswapd of, and which ones it reclaims from
 * itself. What is not: compaction, as in 6.1, and completions of I/O, which only borrow the task.
 *
 * The limit may lose its memory to hot-plug. Linux then gives the tasks the nodes of the cpuset
 * above; here they are not limited while that lasts.
 *
 * What must never happen: a request with a hard wall that may sleep served from a node outside,
 * unless it must not fail.
 *
 * Linux: cpuset_node_allowed() of kernel/cgroup/cpuset.c, prepare_alloc_pages() of
 * mm/page_alloc.c, mpol_rebind_task() of mm/mempolicy.c, 6.1. DIFF: a set belongs to one task and
 * to those it starts; there is no hierarchy, and no spreading of pages over the set.
 */
#include "core/cpuset.h"

#include <errno.h>

#include "core/alloc_path.h"
#include "core/mempolicy.h"
#include "core/zonelist.h"

static uint64_t nodes_with_memory(const struct neap_machine *m)
{
	uint64_t nodes = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		nodes |= (uint64_t)(node_has_memory(&m->nodes[n]) ? 1 : 0) << n;
	return nodes;
}

uint64_t cpuset_nodes(const struct task *t)
{
	uint64_t all = nodes_with_memory(t->machine);

	return (t->mems & all) != 0 ? t->mems & all : all;
}

int cpuset_set(struct task *t, uint64_t nodes)
{
	uint64_t all = nodes_with_memory(t->machine);

	if (nodes != 0 && (nodes & all) == 0)
		return -EINVAL;
	if (nodes == 0)
		t->flags &= ~PF_CPUSET;
	else
		t->flags |= PF_CPUSET;
	t->mems = nodes;
	mempolicy_rebind(t, cpuset_nodes(t));
	return 0;
}

bool cpuset_allows(const struct task *t, uint32_t node, uint32_t gfp)
{
	if (!cpuset_limits(t) || (t->flags & PF_IRQ) || ((t->mems >> node) & 1) != 0)
		return true;
	if (!(gfp & GFP_BIT_HARDWALL) || (t->flags & PF_OOM_VICTIM))
		return true;
	return ((cpuset_nodes(t) >> node) & 1) != 0;
}

void cpuset_begin(const struct task *t, struct alloc_context *ac)
{
	if (t->flags & PF_IRQ)
		return;
	ac->gfp |= GFP_BIT_HARDWALL;
	if (ac->nodemask != NULL) {
		ac->flags |= ALLOC_CPUSET;
		return;
	}
	ac->mems = cpuset_nodes(t);
	ac->nodemask = &ac->mems;
	ac->preferred = zonelist_first(ac->zonelist, ac->highest, ac->nodemask);
}
