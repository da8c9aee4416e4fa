/*
 * Memory policies of tasks and regions, and the nodes that a task may use at all.
 *
 * They rule what is allocated from now on; pages that are there stay where they are.
 *
 * What must never happen: a policy that names no node with memory: it could never be
 * served, so it is refused here.
 *
 * Linux: set_mempolicy() and mbind() without MPOL_MF_MOVE; cpuset.mems without migration.
 */
#include <errno.h>

#include "api/api.h"
#include "core/cpuset.h"
#include "core/mempolicy.h"
#include "core/racy.h"

/* => 0 and *mode, *nodes as the engine takes them */
static int policy_check(struct api_machine *a, enum neap_policy policy, uint32_t *mode,
			uint64_t *nodes)
{
	static const enum mempolicy_mode modes[] = {
		[NEAP_POLICY_DEFAULT] = MEMPOLICY_DEFAULT,
		[NEAP_POLICY_PREFERRED] = MEMPOLICY_PREFERRED,
		[NEAP_POLICY_BIND] = MEMPOLICY_BIND,
		[NEAP_POLICY_INTERLEAVE] = MEMPOLICY_INTERLEAVE,
		[NEAP_POLICY_LOCAL] = MEMPOLICY_LOCAL,
		[NEAP_POLICY_PREFERRED_MANY] = MEMPOLICY_PREFERRED_MANY,
	};

	if ((uint32_t)policy >= ARRAY_LEN(modes))
		return api_fail(a, -EINVAL, "There is no such policy.");
	*mode = modes[policy];
	if (mempolicy_check(&a->m, *mode, nodes) != 0)
		return api_fail(a, -EINVAL,
				"The policy names no node that has memory, or names nodes though"
				" it takes none.");
	return 0;
}

int neap_set_policy(struct neap_machine *machine, enum neap_policy policy, uint64_t nodes)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	uint32_t mode;

	if (t == NULL)
		return api_no_task(a);
	int err = policy_check(a, policy, &mode, &nodes);

	if (err != 0)
		return err;
	if (mempolicy_set(t, mode, nodes) != 0)
		return api_fail(a, -EINVAL, "The task's memory may come from none of the nodes.");
	return 0;
}

int neap_set_mems(struct neap_machine *machine, uint64_t nodes)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return api_no_task(a);
	if (cpuset_set(t, nodes) != 0)
		return api_fail(a, -EINVAL, "None of the nodes has memory.");
	return 0;
}

int neap_region_policy(struct neap_region *region, enum neap_policy policy, uint64_t nodes)
{
	uint32_t mode;
	int err = policy_check(region->a, policy, &mode, &nodes);

	if (err != 0)
		return err;
	/* A fault in between finds no policy. */
	racy_write(region->region->policy_mode, MEMPOLICY_DEFAULT);
	racy_write(region->region->policy_nodes, nodes);
	racy_write(region->region->policy_mode, mode);
	return 0;
}
