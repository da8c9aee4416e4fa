/*
 * Memory that comes and goes: blocks are added, taken online into a zone, offline again, removed
 * (spec 01 section 3, spec 03 section 7).
 */
#ifndef NEAP_CORE_HOTPLUG_MEM_H
#define NEAP_CORE_HOTPLUG_MEM_H

#include "core/machine.h"

/* Into which zone a block goes: the words of /sys/devices/system/memory/memoryN/state. */
enum hotplug_zone {
	HOTPLUG_DEFAULT, /* the zone around it, else as KERNEL */
	HOTPLUG_KERNEL,	 /* the kernel zone that reaches there, else Normal */
	HOTPLUG_MOVABLE,
};

/*
 * Plugs nr_blocks consecutive blocks in, for this node; they are offline. Nothing is recomputed.
 * => 0 and *first; -EINVAL; -ENOSPC there is no such room (machine_desc.hot_pages)
 */
int hotplug_mem_add(struct task *t, uint32_t node, uint32_t nr_blocks, uint32_t *first) MUST_CHECK;
/* Takes blocks out that were added and are offline. => 0; -EINVAL; -EBUSY one is online */
int hotplug_mem_remove(struct task *t, uint32_t first, uint32_t nr_blocks) MUST_CHECK;

/*
 * The block's memory becomes the zone's. Marks, protection, per-CPU limits and thresholds of all
 * zones are recomputed; a node that had no memory gets its threads, if they can be started. May
 * sleep. => 0; -EINVAL no such block, or it is not offline; -ENOMEM
 */
int hotplug_mem_online(struct task *t, uint32_t block, enum hotplug_zone how) MUST_CHECK;
/*
 * Moves everything in the block elsewhere and takes its memory from the zone; recomputes as above.
 * A node that loses its last memory loses its threads. May sleep for long.
 * => 0; -EINVAL no such block, not online, or it has holes or several zones; -EBUSY something in it
 *    cannot be moved; -EINTR the task is to end. After an error everything is in its place.
 */
int hotplug_mem_offline(struct task *t, uint32_t block) MUST_CHECK;

/* The zone that a block would be taken into. => block is offline */
struct zone *hotplug_mem_zone(struct neap_machine *m, uint32_t block, enum hotplug_zone how);

#endif
