/*
 * CPUs and memory that come and go while programs run.
 *
 *   neap_memory_add ── neap_memory_online ── ... ── neap_memory_offline ── neap_memory_remove
 *
 * The numbers of memory blocks are Linux's: a block's first byte divided by the size of a
 * block. Room for memory to come is a property of the machine (`hotplug` of its
 * configuration), since frames have descriptors in one array.
 *
 * The engine does all of it (core/hotplug_mem.c, core/hotplug_cpu.c). Here errors get
 * their sentence.
 *
 * What must never happen: a call that leaves the machine between two states. Each either
 * does all that it says, or nothing.
 *
 * Linux: drivers/base/memory.c and cpu.c: the files `state` and `online`.
 */
#include <errno.h>
#include <string.h>

#include "api/api.h"
#include "core/hotplug_cpu.h"
#include "core/hotplug_mem.h"

/* ---- CPUs ---- */

int neap_cpu_offline(struct neap_machine *machine, uint32_t cpu)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return api_no_task(a);
	api_access_flush(t);
	int err = hotplug_cpu_offline(t, cpu);

	if (err == -EBUSY)
		return api_fail(a, err, "CPU %u is the last one that is online.", cpu);
	if (err != 0)
		return api_fail(a, err, "CPU %u cannot go offline: %s.", cpu,
				err == -EINVAL ? "there is none of that number online"
					       : strerror(-err));
	return 0;
}

int neap_cpu_online(struct neap_machine *machine, uint32_t cpu)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return api_no_task(a);
	api_access_flush(t);
	int err = hotplug_cpu_online(t, cpu);

	if (err != 0)
		return api_fail(a, err, "CPU %u cannot come online: %s.", cpu,
				err == -EINVAL ? "there is none of that number offline"
					       : strerror(-err));
	return 0;
}

/* ---- memory ---- */

uint64_t neap_memory_block_bytes(struct neap_machine *machine)
{
	return (uint64_t)NEAP_PAGE_BYTES << machine->blocks.shift;
}

int neap_memory_add(struct neap_machine *machine, uint32_t node, uint64_t bytes, uint32_t *first)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	uint64_t block_bytes = neap_memory_block_bytes(machine);

	if (t == NULL)
		return api_no_task(a);
	if (bytes == 0 || bytes % block_bytes != 0 || bytes / block_bytes > UINT32_MAX)
		return api_fail(a, -EINVAL, "Memory comes in blocks of %llu KiB.",
				(unsigned long long)(block_bytes / KIB));
	api_access_flush(t);
	int err = hotplug_mem_add(t, node, (uint32_t)(bytes / block_bytes), first);

	if (err == -ENOSPC)
		return api_fail(a, err,
				"The machine has no room for %llu MiB more: it was made with"
				" `hotplug` too small.",
				(unsigned long long)(bytes / MIB));
	if (err != 0)
		return api_fail(a, err, "Node %u does not exist; the machine has %u.", node,
				machine->nr_nodes);
	return 0;
}

int neap_memory_remove(struct neap_machine *machine, uint32_t first, uint32_t nr_blocks)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return api_no_task(a);
	api_access_flush(t);
	int err = hotplug_mem_remove(t, first, nr_blocks);

	if (err == -EBUSY)
		return api_fail(a, err, "Of memory blocks %u to %u some are online.", first,
				first + nr_blocks - 1);
	if (err != 0)
		return api_fail(a, err, "Memory blocks from %u on were not added.", first);
	return 0;
}

int neap_memory_online(struct neap_machine *machine, uint32_t block, enum neap_memory_use use)
{
	static const enum hotplug_zone zones[] = {
		[NEAP_MEMORY_DEFAULT] = HOTPLUG_DEFAULT,
		[NEAP_MEMORY_KERNEL] = HOTPLUG_KERNEL,
		[NEAP_MEMORY_MOVABLE] = HOTPLUG_MOVABLE,
	};
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return api_no_task(a);
	if ((uint32_t)use >= ARRAY_LEN(zones))
		return api_fail(a, -EINVAL, "There is no such use of memory.");
	api_access_flush(t);
	int err = hotplug_mem_online(t, block, zones[use]);

	if (err != 0)
		return api_fail(a, err, "Memory block %u cannot come online: %s.", block,
				err == -EINVAL ? "it is not offline" : strerror(-err));
	return 0;
}

int neap_memory_offline(struct neap_machine *machine, uint32_t block)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return api_no_task(a);
	api_access_flush(t);
	int err = hotplug_mem_offline(t, block);

	if (err == -EINVAL)
		return api_fail(a, err,
				"Memory block %u cannot go offline: it is not online, or it has"
				" holes or parts of several zones.",
				block);
	if (err == -EBUSY)
		return api_fail(a, err,
				"Memory block %u stays online: something in it cannot be moved.",
				block);
	if (err != 0)
		return api_fail(a, err, "Memory block %u cannot go offline: %s.", block,
				strerror(-err));
	return 0;
}

int neap_memory_state(struct neap_machine *machine, uint32_t block, struct neap_memory_state *out)
{
	if (block >= machine->blocks.nr)
		return -ENOENT;
	uint32_t state = atomic_load(&machine->blocks.state[block]);

	if (state == BLOCK_ABSENT)
		return -ENOENT;
	*out = (struct neap_memory_state){
		.node = machine->blocks.node[block],
		.online = state != BLOCK_OFFLINE,
		.fixed = state == BLOCK_MIXED,
		.zone = state >= BLOCK_FIRST_ZONE ? (state - BLOCK_FIRST_ZONE) % NR_ZONES : 0,
	};
	return 0;
}
