/* CPUs that go offline and come online (spec 04, spec 12 section 1, spec 21 section 1). */
#ifndef NEAP_CORE_HOTPLUG_CPU_H
#define NEAP_CORE_HOTPLUG_CPU_H

#include "core/machine.h"

/*
 * Takes a CPU out of use: tasks leave it, its page lists, batches, swap slots and counters are
 * emptied, thresholds and per-CPU limits of all zones are those of the CPUs that are left. May
 * sleep. => 0; -EINVAL there is no such CPU, or it is offline; -EBUSY it is the last; -ENOMEM
 */
int hotplug_cpu_offline(struct task *t, uint32_t cpu) MUST_CHECK;
/* Takes it into use again. May sleep. => 0; -EINVAL there is no such CPU, or it is online */
int hotplug_cpu_online(struct task *t, uint32_t cpu) MUST_CHECK;

/*
 * Where a thread of the node that is about to start may run: on the node's CPUs; anywhere if it has
 * none online. *cpus: the node's kswapd_cpus or kcompactd_cpus.
 */
void hotplug_cpu_bind(struct node *node, struct cpumask *cpus);
/*
 * The calling thread, which may run on *cpus, has woken up: if none of them is online, it may run
 * anywhere from now on. May move the task.
 */
void hotplug_cpu_widen(struct task *t, struct node *node, struct cpumask *cpus);
/* A copy of such a mask, while others may change it. */
struct cpumask hotplug_cpu_mask(struct task *t, struct node *node, const struct cpumask *cpus);

#endif
