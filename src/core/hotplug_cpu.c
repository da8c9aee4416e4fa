/*
 * hotplug_cpu.c: CPUs that go offline and come online.
 *
 *   offline                                 online
 *     tasks leave (rt: stop_cpu)              limits, with one CPU more than each node has
 *     bit cleared                             word given back, bit set, tasks may come
 *     word taken, all drained, word kept      thresholds
 *     limits, thresholds                      kcompactds bound to their nodes' CPUs
 *
 * A CPU that is offline is a slot whose word nobody gives back. A task that still has it
 * for its own finds the word taken when it pins, and the runtime gives it another CPU
 * then; so pinning costs no more than without hot-plug. Whoever visits the CPU from
 * outside is told that it is offline, and that there is nothing to visit.
 *
 * Events and NUMA events of a CPU stay where they are: sums are taken over all CPUs, so
 * nothing is seen of the folding that Linux does.
 *
 * What a node's threads may run on shows 6.1's history. kswapd is bound to its node's
 * CPUs when it starts, and never again (5.0 did, and so does a machine that is asked to:
 * kswapd_rebinds). kcompactd is bound again, to the CPUs that its
 * node has at that moment, whenever any CPU comes online. A thread none of whose CPUs is
 * left may run anywhere once it is woken; before that, its mask stays as it was. So an
 * idle kswapd keeps the mask of a node without CPUs, and a kcompactd, which looks at its
 * node twice a second, does not (recorded).
 *
 * All of this under sysctl_lock, as other recomputations are.
 *
 * What must never happen: a page, a slot or a count left with a CPU that is offline.
 *
 * Linux: page_alloc_cpu_dead(), page_alloc_cpu_online() of mm/page_alloc.c,
 * vmstat_cpu_online(), vmstat_cpu_dead() of mm/vmstat.c, kcompactd_cpu_online() of
 * mm/compaction.c, select_fallback_rq() of kernel/sched/core.c; 6.1.
 */
#include "core/hotplug_cpu.h"

#include <errno.h>

#include "core/lru.h"
#include "core/pcp.h"
#include "core/psi.h"
#include "core/racy.h"
#include "core/swap.h"
#include "core/sleeplock.h"
#include "core/visit.h"
#include "core/vmstat.h"

/* ---- where threads may run ---- */

static struct cpumask all_cpus(const struct neap_machine *m)
{
	struct cpumask cpus = { { 0 } };

	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		cpumask_set(&cpus, cpu);
	return cpus;
}

static void mask_write(struct cpumask *to, const struct cpumask *from)
{
	for (size_t i = 0; i < ARRAY_LEN(to->bits); i++)
		racy_write(to->bits[i], from->bits[i]);
}

void hotplug_cpu_bind(struct node *node, struct cpumask *cpus)
{
	struct cpumask own = machine_node_cpus(node);

	if (cpumask_empty(&own))
		own = all_cpus(node->machine);
	mask_write(cpus, &own);
}

struct cpumask hotplug_cpu_mask(struct task *t, struct node *node, const struct cpumask *cpus)
{
	struct cpumask copy;

	spin_lock(t, &node->bind_lock, LOCK_SPACE);
	copy = *cpus;
	spin_unlock(t, &node->bind_lock, LOCK_SPACE);
	return copy;
}

void hotplug_cpu_widen(struct task *t, struct node *node, struct cpumask *cpus)
{
	struct cpumask all = all_cpus(node->machine);

	spin_lock(t, &node->bind_lock, LOCK_SPACE);
	struct cpumask online = machine_online_of(node->machine, cpus);
	bool none = cpumask_empty(&online);

	if (none)
		*cpus = all;
	spin_unlock(t, &node->bind_lock, LOCK_SPACE);
	if (none)
		(void)t->rt->ops->set_cpus(t, &all); /* fails only without any CPU */
}

/* Binds a thread of the node to its CPUs, if there are any. thread: NULL = it does not run */
static void bind_again(struct task *t, struct node *node, struct task *thread, struct cpumask *cpus)
{
	struct cpumask own = machine_node_cpus(node);

	if (thread == NULL || cpumask_empty(&own))
		return;
	spin_lock(t, &node->bind_lock, LOCK_SPACE);
	*cpus = own;
	spin_unlock(t, &node->bind_lock, LOCK_SPACE);
	(void)t->rt->ops->set_cpus(thread, &own); /* they are online */
}

static void bind_threads(struct task *t, struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];

		bind_again(t, node, node->kcompactd, &node->kcompactd_cpus);
		if (m->kswapd_rebinds)
			bind_again(t, node, node->kswapd, &node->kswapd_cpus);
	}
}

/* ---- offline ---- */

static void online_bit(struct neap_machine *m, uint32_t cpu, bool on)
{
	uint64_t bit = (uint64_t)1 << (cpu % 64);

	if (on)
		atomic_fetch_or(&m->online[cpu / 64], bit);
	else
		atomic_fetch_and(&m->online[cpu / 64], ~bit);
	atomic_store(&m->nr_online, m->nr_online + (on ? 1u : UINT32_MAX));
}

/* Everything that the CPU has for itself goes back, and its word is taken for good. */
static void empty_cpu(struct task *t, struct neap_machine *m, uint32_t cpu)
{
	struct cpu_visit visit;

	CHECK(cpu_visit(t, cpu, &visit));
	lru_drain_pinned(t);
	swap_slots_drain_pinned(t);
	pcp_drain_cpu(t, m, NULL);
	vmstat_fold_pinned(t);
	psi_cpu_offline(t, cpu);
	cpu_leave_offline(t, &visit);
}

static int offline_locked(struct task *t, struct neap_machine *m, uint32_t cpu)
{
	if (!machine_cpu_online(m, cpu))
		return -EINVAL;
	if (m->nr_online == 1)
		return -EBUSY;
	int err = t->rt->ops->stop_cpu(t, cpu);

	if (err != 0)
		return err;
	online_bit(m, cpu, false);
	empty_cpu(t, m, cpu);
	pcp_limits_setup(m);
	vmstat_thresholds_setup(m);
	return 0;
}

int hotplug_cpu_offline(struct task *t, uint32_t cpu)
{
	struct neap_machine *m = t->machine;

	if (cpu >= m->nr_cpus)
		return -EINVAL;
	sleeplock_take(t, &m->sysctl_lock);
	int err = offline_locked(t, m, cpu);

	sleeplock_release(t, &m->sysctl_lock);
	return err;
}

/* ---- online ---- */

static void online_locked(struct task *t, struct neap_machine *m, uint32_t cpu)
{
	struct cpu_slot *slot = &t->rt->slots[cpu];

	pcp_limits_cpu_coming(m);
	online_bit(m, cpu, true);
	atomic_store_explicit(&slot->offline, 0, memory_order_release);
	atomic_store_explicit(&slot->word, 0, memory_order_release);
	t->rt->ops->start_cpu(t, cpu);
	vmstat_thresholds_setup(m);
	bind_threads(t, m);
}

int hotplug_cpu_online(struct task *t, uint32_t cpu)
{
	struct neap_machine *m = t->machine;
	int err = -EINVAL;

	if (cpu >= m->nr_cpus)
		return -EINVAL;
	sleeplock_take(t, &m->sysctl_lock);
	if (!machine_cpu_online(m, cpu)) {
		online_locked(t, m, cpu);
		err = 0;
	}
	sleeplock_release(t, &m->sysctl_lock);
	return err;
}
