/*
 * mempolicy.c: from which nodes memory comes.
 *
 *   request ── region has a policy? ── task has one? ── near the CPU
 *
 *   LOCAL           node of the CPU, then by distance
 *   PREFERRED       the node named, then by distance from it
 *   PREFERRED_MANY  the nodes named, without reclaim; then near the CPU, with all means
 *   BIND            the nodes named, by distance from the CPU; no other, whatever it costs
 *   INTERLEAVE      one of the nodes named: of a region by the number of the page, so that
 *                   it does not matter who touches it first; of a task each in its turn
 *
 * BIND never binds a request that may use low zones only: they exist on one node. A strict
 * node that was given when the region was made goes before all policies. And all of this is
 * within the nodes that the task may use at all (core/cpuset.c).
 *
 * The counters show it: interleave counts pages that came from the node whose turn it was;
 * hit, miss and foreign are about the first node that the request could have used.
 *
 * What must never happen: a page from outside BIND's nodes in a zone that BIND rules.
 *
 * Linux: alloc_pages(), vma_alloc_folio(), interleave_nid(), policy_nodemask(),
 * apply_policy_zone(), alloc_page_interleave(), alloc_pages_preferred_many(),
 * mpol_rebind_nodemask() of mm/mempolicy.c, 6.1. DIFF: no relative or static node numbers;
 * a region that a policy rules gets small pages only, and its policy is not bound anew when
 * the nodes of a task change.
 */
#include "core/mempolicy.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/cpuset.h"
#include "core/pcp.h"
#include "core/racy.h"

/* A policy applied to one request. */
struct choice {
	uint32_t mode;
	uint64_t nodes;
	uint32_t turn; /* INTERLEAVE: which node */
};

static uint64_t nodes_with_memory(const struct neap_machine *m)
{
	uint64_t nodes = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		nodes |= (uint64_t)(node_has_memory(&m->nodes[n]) ? 1 : 0) << n;
	return nodes;
}

int mempolicy_check(const struct neap_machine *m, uint32_t mode, uint64_t *nodes)
{
	bool wants = mode != MEMPOLICY_DEFAULT && mode != MEMPOLICY_LOCAL;

	if (mode >= NR_MEMPOLICIES || (!wants && *nodes != 0))
		return -EINVAL;
	*nodes &= nodes_with_memory(m);
	return wants && *nodes == 0 ? -EINVAL : 0;
}

static uint32_t first_node(uint64_t nodes)
{
	return (uint32_t)__builtin_ctzll(nodes);
}

/* The node after `last` among `nodes`, going round. */
static uint32_t next_node(uint64_t nodes, uint32_t last)
{
	uint64_t above = last >= 63 ? 0 : nodes & (UINT64_MAX << (last + 1));

	return first_node(above != 0 ? above : nodes);
}

static uint32_t nth_node(uint64_t nodes, uint64_t n)
{
	n %= (uint64_t)__builtin_popcountll(nodes);
	for (; n > 0; n--)
		nodes &= nodes - 1;
	return first_node(nodes);
}

int mempolicy_set(struct task *t, uint32_t mode, uint64_t nodes)
{
	bool none = nodes == 0;
	uint64_t mems = cpuset_nodes(t);
	uint64_t allowed = nodes & mems;
	int err = mempolicy_check(t->machine, mode, &allowed);

	if (err != 0 || (!none && allowed == 0))
		return -EINVAL;
	t->policy_nodes = allowed;
	t->policy_mode = mode;
	t->policy_last = NEAP_MAX_NODES - 1;
	t->policy_mems = mems;
	return 0;
}

/* The node at the same place among `to`; a node that was not among `from` stays. */
static uint64_t node_rebind(uint32_t node, uint64_t from, uint64_t to)
{
	uint64_t bit = (uint64_t)1 << node;

	if ((from & bit) == 0)
		return bit;
	return (uint64_t)1 << nth_node(to, (uint64_t)__builtin_popcountll(from & (bit - 1)));
}

void mempolicy_rebind(struct task *t, uint64_t mems)
{
	uint64_t nodes = 0;

	if (t->policy_mode == MEMPOLICY_BIND || t->policy_mode == MEMPOLICY_INTERLEAVE) {
		for (uint32_t n = 0; n < t->machine->nr_nodes; n++)
			if ((t->policy_nodes >> n) & 1)
				nodes |= node_rebind(n, t->policy_mems, mems);
		t->policy_nodes = nodes;
	}
	t->policy_mems = mems;
}

/*
 * Nodes that have nothing but zone Movable bind only what may come from there; nodes that the task
 * may not use bind nothing.
 */
static bool binds(const struct task *t, uint64_t nodes, uint32_t gfp)
{
	const struct neap_machine *m = t->machine;
	uint32_t least = ZONE_MOVABLE;

	if (cpuset_limits(t) && (nodes & cpuset_nodes(t)) == 0)
		return false;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i <= ZONE_NORMAL && ((nodes >> n) & 1) != 0; i++)
			if (zone_populated(&m->nodes[n].zone[i]))
				least = m->policy_zone;
	return gfp_highest_zone(gfp) >= least;
}

static uint32_t take(struct task *t, uint32_t gfp, uint32_t order, uint32_t node,
		     const uint64_t *nodemask)
{
	const struct alloc_request request = {
		.gfp = gfp, .order = order, .node = node, .nodemask = nodemask
	};

	return alloc_pages(t, &request);
}

static uint32_t take_interleaved(struct task *t, uint32_t gfp, uint32_t order, uint32_t node)
{
	uint32_t pfn = take(t, gfp, order, node, NULL);
	struct zone *zone;

	if (pfn == PFN_NONE)
		return pfn;
	zone = page_zone(t->machine, &t->machine->pages[pfn]);
	if (zone->node != node)
		return pfn;
	cpu_pin(t);
	racy_add(pcp_of(t, zone)->numa[NUMA_INTERLEAVE], 1);
	cpu_unpin(t);
	return pfn;
}

static uint32_t take_chosen(struct task *t, uint32_t gfp, uint32_t order,
			    const struct choice *choice)
{
	struct neap_machine *m = t->machine;
	uint32_t home = m->cpus[task_cpu(t)].node;
	uint32_t pfn;

	switch (choice->mode) {
	case MEMPOLICY_PREFERRED:
		return take(t, gfp, order, first_node(choice->nodes), NULL);
	case MEMPOLICY_BIND:
		return take(t, gfp, order, home,
			    binds(t, choice->nodes, gfp) ? &choice->nodes : NULL);
	case MEMPOLICY_INTERLEAVE:
		return take_interleaved(t, gfp, order, choice->turn);
	case MEMPOLICY_PREFERRED_MANY:
		pfn = take(t, (gfp & ~(GFP_BIT_DIRECT_RECLAIM | GFP_BIT_NOFAIL)) | GFP_BIT_NOWARN,
			   order, home, &choice->nodes);
		return pfn != PFN_NONE ? pfn : take(t, gfp, order, home, NULL);
	default:
		return take(t, gfp, order, home, NULL);
	}
}

uint32_t mempolicy_alloc(struct task *t, uint32_t gfp, uint32_t order)
{
	struct choice choice = { .mode = t->policy_mode, .nodes = t->policy_nodes };

	if ((gfp & GFP_BIT_THISNODE) || (t->flags & PF_IRQ))
		choice.mode = MEMPOLICY_DEFAULT;
	/* The nodes may have been set without a look at their memory: a task of the engine's. */
	if (choice.mode == MEMPOLICY_INTERLEAVE) {
		choice.turn = next_node(choice.nodes, t->policy_last);
		t->policy_last = choice.turn;
	}
	return take_chosen(t, gfp, order, &choice);
}

uint32_t mempolicy_alloc_region(struct task *t, const struct region *region, uint64_t page,
				uint32_t gfp)
{
	struct choice choice = { .mode = racy_read(region->policy_mode),
				 .nodes = racy_read(region->policy_nodes) };

	if (region->node != 0) {
		uint64_t mask = (uint64_t)1 << (region->node - 1);

		return take(t, gfp, 0, region->node - 1, &mask);
	}
	if (choice.mode == MEMPOLICY_DEFAULT && t->policy_mode == MEMPOLICY_INTERLEAVE)
		choice = (struct choice){ t->policy_mode, t->policy_nodes, 0 };
	if (choice.mode == MEMPOLICY_DEFAULT)
		return alloc_page(t, gfp);
	if (choice.mode == MEMPOLICY_INTERLEAVE)
		choice.turn = nth_node(choice.nodes, page);
	return take_chosen(t, gfp, 0, &choice);
}

bool mempolicy_rules(const struct task *t, const struct region *region)
{
	return racy_read(region->policy_mode) != MEMPOLICY_DEFAULT ||
	       t->policy_mode != MEMPOLICY_DEFAULT;
}
