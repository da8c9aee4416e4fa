/*
 * Memory policies of the task that performs recorded operations.
 *
 *     default, local     the CPU's node, all nodes
 *     preferred          the mask's first node, all nodes
 *     bind               the CPU's node first, only the mask's nodes
 *     interleave         the mask's nodes in turn, all nodes
 *     preferred-many     the CPU's node first, the mask's nodes without reclaim; then all nodes
 *
 * A recorded task has set its policy with set_mempolicy(2) before the burst; which node an
 * interleaving one is at is not part of a recording (cmd/probe_replay.c finds it out).
 *
 * What must never happen: a policy applied to requests for low zones, which other nodes may be the
 * only ones to have (bind says so for zones below the policy zone).
 *
 * Linux: alloc_pages(), policy_node(), policy_nodemask() of mm/mempolicy.c, 6.1.
 */
#include "cmd/probe_policy.h"

#include "core/alloc.h"

static uint32_t first_node(uint64_t nodes, uint32_t otherwise)
{
	return nodes != 0 ? (uint32_t)__builtin_ctzll(nodes) : otherwise;
}

/* The node after `node` in the mask, round and round. */
static uint32_t next_node(uint64_t nodes, uint32_t node)
{
	uint64_t later = node + 1 < 64 ? nodes & ~(((uint64_t)2 << node) - 1) : 0;

	return first_node(later != 0 ? later : nodes, node);
}

static uint32_t preferred_many(struct task *t, const struct probe_policy *policy, uint32_t gfp,
			       struct alloc_request *request)
{
	uint32_t pfn;

	request->nodemask = &policy->nodes;
	request->gfp = (gfp | GFP_BIT_NOWARN) & ~(GFP_BIT_DIRECT_RECLAIM | GFP_BIT_NOFAIL);
	pfn = alloc_pages(t, request);
	if (pfn != PFN_NONE)
		return pfn;
	request->nodemask = NULL;
	request->gfp = gfp;
	return alloc_pages(t, request);
}

uint32_t probe_policy_alloc(struct task *t, struct probe_policy *policy, uint32_t gfp,
			    uint32_t order)
{
	uint32_t local = t->machine->cpus[task_cpu(t)].node;
	struct alloc_request request = { .gfp = gfp, .order = order, .node = local };

	if (gfp & GFP_BIT_THISNODE)
		return alloc_pages(t, &request);
	switch (policy->mode) {
	case PROBE_POLICY_PREFERRED:
		request.node = first_node(policy->nodes, local);
		break;
	case PROBE_POLICY_BIND:
		if (gfp_highest_zone(gfp) >= t->machine->policy_zone)
			request.nodemask = &policy->nodes;
		break;
	case PROBE_POLICY_INTERLEAVE:
		request.node = policy->turn;
		policy->turn = next_node(policy->nodes, policy->turn);
		break;
	case PROBE_POLICY_PREFERRED_MANY:
		return preferred_many(t, policy, gfp, &request);
	default:
		break;
	}
	return alloc_pages(t, &request);
}
