/*
 * queue.c: which tasks wait for which CPU, and since when a CPU has work.
 *
 *	CPU 0  clock 120 us   running: main    ready: writer -> reader(from 125 us)
 *	                                       urgent: kswapd0 (preempts at 121 us)
 *	CPU 1  clock  90 us   running: -       ready: worker(from 118 us)
 *	CPU 2  clock  40 us   running: -       nothing: idle
 *
 *	keys_ns   120 us  118 us  never
 *
 * Clocks of different CPUs differ, so a task that one CPU wakes at time T may be
 * queued on another one whose clock is still before T. It carries ready_ns = T
 * and does not run earlier: an effect never comes before its cause. A CPU that
 * has only such tasks is as good as idle until the first of them is ready, and
 * that is its key: the time at which it can run. The scheduler compares keys.
 *
 * Two lists per CPU. `urgent` holds engine threads that were woken: each preempts
 * what runs there when the clock reaches preempt_ns. `ready` holds the rest in
 * turn. When the CPU has nothing running, urgent ones go first and at once.
 *
 * Home CPUs. Ordinary tasks stay where they are; new ones go where the fewest of
 * their kind live. An engine thread that wakes goes to an idle CPU of its mask,
 * its own if that is idle, else it preempts at home.
 *
 * What must never happen: a task in two lists, or a choice that depends on
 * anything but numbers and order.
 */
#include "rt/sim/sched.h"

/* Is the CPU busy with something, be it suspended? */
static bool queue_is_executing(const struct sim_cpu *c)
{
	return c->running != NULL || c->irq_active || c->calls != NULL;
}

/* The first task of a list that may run at the clock; else NULL, and *soonest is lowered. */
static struct sim_task *queue_first(const struct sim_link *list, uint64_t clock_ns,
				    uint64_t *soonest_ns)
{
	for (struct sim_link *at = list->next; at != list; at = at->next) {
		struct sim_task *st = sim_task_in(at, queue);

		if (st->ready_ns <= clock_ns)
			return st;
		*soonest_ns = min_u64(*soonest_ns, st->ready_ns);
	}
	return NULL;
}

void queue_update_key(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	uint64_t soonest_ns = SIM_NEVER;

	if (queue_is_executing(c) || queue_first(&c->urgent, c->clock_ns, &soonest_ns) != NULL ||
	    queue_first(&c->ready, c->clock_ns, &soonest_ns) != NULL)
		sim->keys_ns[cpu] = c->clock_ns;
	else
		sim->keys_ns[cpu] = soonest_ns;
}

/* Tells the current CPU when it has to look at the scheduler because of work on `cpu`. */
static void queue_note_arrival(struct sim *sim, const struct sim_task *st, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	queue_update_key(sim, cpu);
	if (sim->head.current == NULL)
		return;
	if (task_cpu(sim->head.current) != cpu)
		sched_note_event(sim, sim->keys_ns[cpu] + sim->config.quantum_ns);
	else if (c->running != NULL)
		sched_note_event(sim,
				 st->preempt_ns != SIM_NEVER ? st->preempt_ns : c->slice_end_ns);
}

/* A task that ran alone took its turns unseen: its present one began at a multiple of a slice. */
static void queue_roll_slice(struct sim *sim, struct sim_cpu *c)
{
	uint64_t slice_ns = sim->config.slice_ns;

	if (c->running != NULL && c->clock_ns >= c->slice_end_ns)
		c->slice_end_ns += ((c->clock_ns - c->slice_end_ns) / slice_ns + 1) * slice_ns;
}

void queue_insert(struct sim *sim, struct sim_task *st, uint32_t cpu, uint64_t ready_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	CHECK(st->queue.next == NULL);
	CHECK(sim_holds_nothing(st));
	queue_set_home(sim, st, cpu);
	st->state = SIM_QUEUED;
	st->ready_ns = ready_ns;
	st->preempt_ns = SIM_NEVER;
	if (sim_is_kthread(st)) {
		st->preempt_ns = max_u64(ready_ns, c->clock_ns) + sim->config.wake_latency_ns;
		sim_list_insert(&st->queue, &c->urgent);
	} else {
		if (sim_list_empty(&c->ready))
			queue_roll_slice(sim, c);
		sim_list_insert(&st->queue, &c->ready);
	}
	queue_note_arrival(sim, st, cpu);
}

void queue_put_back(struct sim *sim, uint32_t cpu, bool turn_is_over)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	struct sim_task *st = c->running;

	CHECK(st->queue.next == NULL);
	CHECK(sim_holds_nothing(st));
	c->running = NULL;
	st->state = SIM_QUEUED;
	st->ready_ns = c->clock_ns;
	st->preempt_ns = SIM_NEVER;
	st->slice_left_ns = 0;
	if (!turn_is_over && c->slice_end_ns > c->clock_ns)
		st->slice_left_ns = c->slice_end_ns - c->clock_ns;
	sim_list_insert(&st->queue, turn_is_over ? &c->ready : c->ready.next);
	queue_update_key(sim, cpu);
}

bool queue_has_ready(const struct sim_cpu *c)
{
	uint64_t unused_ns = SIM_NEVER;

	return queue_first(&c->ready, c->clock_ns, &unused_ns) != NULL;
}

struct sim_task *queue_take(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	uint64_t unused_ns = SIM_NEVER;
	struct sim_task *st = queue_first(&c->urgent, c->clock_ns, &unused_ns);

	if (st == NULL)
		st = queue_first(&c->ready, c->clock_ns, &unused_ns);
	if (st != NULL)
		sim_list_remove(&st->queue);
	return st;
}

/* ---- home CPUs ---- */

static uint32_t *queue_home_count(struct sim_cpu *c, bool kthread)
{
	return kthread ? &c->nr_kthreads : &c->nr_programs;
}

struct cpumask queue_allowed(const struct sim *sim, const struct cpumask *cpus)
{
	struct cpumask allowed = { { 0 } };
	struct cpumask running = { { 0 } };

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		if (sim->cpus[cpu].stopped)
			continue;
		cpumask_set(&running, cpu);
		if (cpumask_test(cpus, cpu))
			cpumask_set(&allowed, cpu);
	}
	return cpumask_empty(&allowed) ? running : allowed;
}

uint32_t queue_choose_home(const struct sim *sim, const struct cpumask *cpus, bool kthread)
{
	struct cpumask allowed = queue_allowed(sim, cpus);
	uint32_t best = 0;
	uint32_t best_nr = UINT32_MAX;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		uint32_t nr = *queue_home_count(&sim->cpus[cpu], kthread);

		if (!cpumask_test(&allowed, cpu) || nr >= best_nr)
			continue;
		best = cpu;
		best_nr = nr;
	}
	return best;
}

void queue_set_home(struct sim *sim, struct sim_task *st, uint32_t cpu)
{
	bool kthread = sim_is_kthread(st);

	if (st->task.slot != NULL)
		(*queue_home_count(sim_cpu_of(sim, &st->task), kthread))--;
	st->task.slot = &sim->head.rt.slots[cpu];
	(*queue_home_count(&sim->cpus[cpu], kthread))++;
}

static bool queue_is_idle(const struct sim *sim, uint32_t cpu)
{
	return sim->keys_ns[cpu] == SIM_NEVER;
}

uint32_t queue_choose_cpu(struct sim *sim, const struct sim_task *st)
{
	uint32_t home = task_cpu(&st->task);

	/* As nearly always. */
	if (!sim_is_kthread(st) && !sim->cpus[home].stopped && cpumask_test(&st->cpus, home))
		return home;
	struct cpumask cpus = queue_allowed(sim, &st->cpus);
	uint32_t nr = sim->config.nr_cpus;

	if (!cpumask_test(&cpus, home))
		home = queue_choose_home(sim, &cpus, sim_is_kthread(st));
	if (!sim_is_kthread(st))
		return home;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t cpu = (home + i) % nr;

		if (cpumask_test(&cpus, cpu) && queue_is_idle(sim, cpu))
			return cpu;
	}
	return home;
}
