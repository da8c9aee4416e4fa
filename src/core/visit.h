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

/*
 * Never sleeps. => nothing held, not pinned; true: pinned to `cpu` afterwards; false: the CPU is
 * offline, and has nothing of its own
 */
static inline bool MUST_CHECK cpu_visit(struct task *t, uint32_t cpu, struct cpu_visit *visit)
{
	DCHECK(cpu < t->machine->nr_cpus);
	visit->home = NULL;
	if (!slot_take_remote(t, &t->rt->slots[cpu]))
		return false;
	/* Not before: while it waited, its own CPU may have gone, and the task to another one. */
	visit->home = t->slot;
	t->slot = &t->rt->slots[cpu];
	t->pin_depth = 1;
	return true;
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

/*
 * Leaves without giving the word back: the CPU is offline from now on. Whoever has it for his own
 * finds the word taken and is given another CPU by the runtime.
 */
static inline void cpu_leave_offline(struct task *t, const struct cpu_visit *visit)
{
	struct cpu_slot *visited = t->slot;

	CHECK(t->pin_depth == 1);
	atomic_store_explicit(&visited->offline, 1, memory_order_release);
	t->pin_depth = 0;
	t->slot = visit->home;
}

#endif
