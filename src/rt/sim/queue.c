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
 * Two lists per CPU. `urgent` holds tasks that were woken and preempt: each when the
 * clock reaches its preempt_ns. `ready` holds the rest in turn. When the CPU has
 * nothing running, urgent ones go first and at once.
 *
 * Home CPUs. New tasks go where the fewest of their kind live. Who wakes goes to an
 * idle CPU of its mask, its own if that is idle, else home. A CPU that runs out of
 * work takes over who has been waiting for another one.
 *
 * Fair shares (CFS). had_ns is the time that a task has had. Who wakes at home and
 * has had much less than who runs there preempts it, so a program that waits for its
 * disk again and again is not held up by a busy kswapd; sleeping is credited up to a
 * limit. Engine threads that wake preempt in any case. least_ns is what the poorest
 * task of a CPU has had: a task that changes its CPU keeps its distance from it.
 *
 *	kswapd  |=====|      |=======|    |====     had 40 ms
 *	program       |==|wait       |==|wait       had 11 ms
 *
 * In exploration programs stay at home, in turn: who runs is left to chance there.
 *
 * What must never happen: a task in two lists, or a choice that depends on
 * anything but numbers and order.
 *
 * Linux: place_entity(), wakeup_preempt_entity(), select_idle_sibling() and
 * newidle_balance() of kernel/sched/fair.c, 6.1, with all weights alike.
 */
#include "rt/sim/sched.h"

/*
 * CFS on two CPUs (each is 1 + log2(CPUs) times its value for one): half of sched_latency,
 * sched_wakeup_granularity; and sched_migration_cost, which does not grow.
 */
#define FAIR_CREDIT_NS ((int64_t)(6 * NSEC_PER_MSEC))
#define FAIR_AHEAD_NS ((int64_t)(2 * NSEC_PER_MSEC))
#define FAIR_HOT_NS (500 * NSEC_PER_USEC)

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

/* ---- fair shares ---- */

static int64_t queue_poorest_ns(const struct sim_link *list, int64_t least_ns)
{
	for (const struct sim_link *at = list->next; at != list; at = at->next)
		least_ns = min_i64(least_ns, sim_task_in(at, queue)->had_ns);
	return least_ns;
}

/* Counts what the running task has had up to the clock. */
static void queue_count_turn(struct sim_cpu *c)
{
	if (c->running == NULL)
		return;
	c->running->had_ns += (int64_t)(c->clock_ns - c->counted_ns);
	c->counted_ns = c->clock_ns;
	int64_t least_ns = queue_poorest_ns(&c->urgent, c->running->had_ns);

	c->least_ns = max_i64(c->least_ns, queue_poorest_ns(&c->ready, least_ns));
}

void queue_stop_running(struct sim_cpu *c)
{
	queue_count_turn(c);
	c->running = NULL;
}

/* Gives a task that slept its credit. => does it preempt what runs there? */
static bool queue_is_poorer(const struct sim *sim, struct sim_cpu *c, struct sim_task *st)
{
	queue_count_turn(c);
	st->had_ns = max_i64(st->had_ns, c->least_ns - FAIR_CREDIT_NS);
	return c->running != NULL && !sim->head.rt.explore &&
	       c->running->had_ns - st->had_ns > FAIR_AHEAD_NS;
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
	bool poorer = queue_is_poorer(sim, c, st);

	if (poorer || sim_is_kthread(st)) {
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
	queue_stop_running(c);
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
	struct sim_cpu *to = &sim->cpus[cpu];

	if (st->task.slot == &sim->head.rt.slots[cpu])
		return;
	if (st->task.slot != NULL) {
		struct sim_cpu *from = sim_cpu_of(sim, &st->task);

		(*queue_home_count(from, kthread))--;
		st->had_ns -= from->least_ns;
	}
	st->task.slot = &sim->head.rt.slots[cpu];
	(*queue_home_count(to, kthread))++;
	st->had_ns += to->least_ns;
}

/* Has the CPU no task to execute? It may be executing callbacks. */
static bool queue_is_idle(const struct sim *sim, uint32_t cpu)
{
	const struct sim_cpu *c = &sim->cpus[cpu];

	return c->running == NULL && sim_list_empty(&c->urgent) && sim_list_empty(&c->ready);
}

uint32_t queue_choose_cpu(struct sim *sim, const struct sim_task *st)
{
	uint32_t home = task_cpu(&st->task);
	bool stays = sim->head.rt.explore && !sim_is_kthread(st);

	/* As nearly always. */
	if ((stays || queue_is_idle(sim, home)) && !sim->cpus[home].stopped &&
	    cpumask_test(&st->cpus, home))
		return home;
	struct cpumask cpus = queue_allowed(sim, &st->cpus);
	uint32_t nr = sim->config.nr_cpus;

	if (!cpumask_test(&cpus, home))
		home = queue_choose_home(sim, &cpus, sim_is_kthread(st));
	if (stays)
		return home;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t cpu = (home + i) % nr;

		if (cpumask_test(&cpus, cpu) && queue_is_idle(sim, cpu))
			return cpu;
	}
	return home;
}

/* The first task that another CPU has kept waiting for so long that its cache is cold; or NULL. */
static struct sim_task *queue_waiting_for(const struct sim *sim, uint32_t from, uint32_t cpu)
{
	const struct sim_cpu *c = &sim->cpus[from];
	uint64_t now_ns = sim->cpus[cpu].clock_ns;

	if (c->running == NULL)
		return NULL;
	for (struct sim_link *at = c->ready.next; at != &c->ready; at = at->next) {
		struct sim_task *st = sim_task_in(at, queue);
		struct cpumask cpus = queue_allowed(sim, &st->cpus);

		if (st->ready_ns + FAIR_HOT_NS <= now_ns && cpumask_test(&cpus, cpu))
			return st;
	}
	return NULL;
}

void queue_pull(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (sim->head.rt.explore || c->stopped || !queue_is_idle(sim, cpu))
		return;
	for (uint32_t from = 0; from < sim->config.nr_cpus; from++) {
		struct sim_task *st = from != cpu ? queue_waiting_for(sim, from, cpu) : NULL;

		if (st == NULL)
			continue;
		sim_list_remove(&st->queue);
		queue_insert(sim, st, cpu, c->clock_ns);
		queue_update_key(sim, from);
		return;
	}
}
