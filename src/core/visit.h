/*
 * Doing another CPU's work: a task takes the word of any CPU and acts as if that
 * CPU were its own, so that counters and lists of the right CPU change.
 *
 *   cpu_visit(t, cpu, &visit);  ... code that expects a pinned task ...  cpu_leave(t, &visit);
 *
 * The task's own CPU may be visited like any other.
 */
#ifndef NEAP_CORE_VISIT_H
#define NEAP_CORE_VISIT_H

#include "core/machine.h"

struct cpu_visit {
	struct cpu_slot *home;
};

/* Never sleeps. => nothing held, not pinned; pinned to `cpu` afterwards */
static inline void cpu_visit(struct task *t, uint32_t cpu, struct cpu_visit *visit)
{
	DCHECK(cpu < t->machine->nr_cpus);
	slot_take_remote(t, &t->rt->slots[cpu]);
	visit->home = t->slot;
	t->slot = &t->rt->slots[cpu];
	t->pin_depth = 1;
}

/* => all locks taken meanwhile are released */
static inline void cpu_leave(struct task *t, const struct cpu_visit *visit)
{
	struct cpu_slot *visited = t->slot;

	CHECK(t->pin_depth == 1);
	t->pin_depth = 0;
	t->slot = visit->home;
	slot_put_remote(t, visited);
}

#endif
