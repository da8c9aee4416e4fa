/*
 * The fake machine's hot-plug, policies and sets of nodes: a part of fake_neap.c, which
 * includes this file.
 *
 *   jobs of the tests say such things only to be parsed and run: everything is fine, except nodes
 *   that the machine does not have
 */
#ifdef FAKE_NEAP
#include "fake_neap.h"

/* ---- hot-plug: always fine ---- */

int neap_cpu_offline(struct neap_machine *machine, uint32_t cpu)
{
	(void)machine;
	(void)cpu;
	return 0;
}

int neap_cpu_online(struct neap_machine *machine, uint32_t cpu)
{
	(void)machine;
	(void)cpu;
	return 0;
}

int neap_memory_add(struct neap_machine *machine, uint32_t node, uint64_t bytes,
		    uint32_t *first_block)
{
	(void)machine;
	(void)node;
	(void)bytes;
	*first_block = 1;
	return 0;
}

int neap_memory_remove(struct neap_machine *machine, uint32_t first_block, uint32_t nr_blocks)
{
	(void)machine;
	(void)first_block;
	(void)nr_blocks;
	return 0;
}

int neap_memory_online(struct neap_machine *machine, uint32_t block, enum neap_memory_use use)
{
	(void)machine;
	(void)block;
	(void)use;
	return 0;
}

int neap_memory_offline(struct neap_machine *machine, uint32_t block)
{
	(void)machine;
	(void)block;
	return 0;
}

int neap_set_policy(struct neap_machine *machine, enum neap_policy policy, uint64_t nodes)
{
	(void)machine;
	(void)policy;
	(void)nodes;
	return 0;
}

/* The machine has node 0 only; `nodes` 0 is all. */
int neap_set_mems(struct neap_machine *machine, uint64_t nodes)
{
	snprintf(machine->error, sizeof(machine->error), "None of the nodes has memory.");
	return nodes == 0 || (nodes & 1) != 0 ? 0 : -EINVAL;
}

int neap_region_policy(struct neap_region *region, enum neap_policy policy, uint64_t nodes)
{
	(void)region;
	(void)policy;
	(void)nodes;
	return 0;
}
#else
/* Nothing: see fake_neap.c. */
typedef int fake_neap_plug_is_not_wanted_here;
#endif
