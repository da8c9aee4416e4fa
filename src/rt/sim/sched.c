/*
 * sched.c: who runs next, and until when.
 *
 * Everything runs on one thread. A task executes without interruption until it
 * waits or meets a preempt point at which the scheduler has something to do. The
 * next preempt point like that is known beforehand, as a time of the current
 * CPU's clock: due_ns. Until then a preempt point costs one comparison.
 *
 *	clocks        CPU 0 |=========>|
 *	              CPU 1 |======>|
 *	              CPU 2 |===========>|
 *	                            ^ runs: it is the last
 *	              due for CPU 1:  min(CPU 0 + quantum, next event,
 *	                                  end of its task's turn, urgent wake-up)
 *
 * One step (sched_pick):
 *	1. While the first event is not later than every CPU's key, it happens: a
 *	   timeout makes its task runnable, a callback becomes due on its CPU.
 *	2. The CPU with the smallest key runs; the seed decides between equals.
 *	3. On that CPU: callbacks that are due, then an engine thread that preempts,
 *	   then the running task, then the next in turn.
 * An idle CPU has no key and holds nobody back; when work arrives its clock jumps
 * to the time of arrival. So events happen in the order of time although the
 * CPUs' clocks differ by up to a quantum.
 *
 * Exploration makes a preempt point of every lock operation and, with a chance
 * that the seed chose, lets a random other CPU go on there; after a wake-up, every
 * second time: who is woken may be faster than who woke him. A task that is
 * suspended under a lock or a pin keeps its CPU: nothing else (no task and no
 * callback) may run there, or it would meet the lock on its own CPU. The same is
 * true while some task holds another CPU's slot for a remote drain; who that is
 * cannot be seen, so then no CPU changes its task (sched_may_interrupt). A task
 * that finds a lock taken lets other CPUs run until the word is free.
 *
 * Numbered rules:
 *	S1. A task runs at times >= its ready_ns only.
 *	S2. A CPU's clock never goes back.
 *	S3. A CPU changes its task at points where that task holds nothing.
 *	S4. Nothing depends on an address.
 */
#include "rt/sim/sched.h"

#include "rt/panic.h"

#define EXPLORE_WAKE_ONE_IN 2u
#define EXPLORE_STALL_ONE_IN 2048u
#define EXPLORE_STALL_NS (4 * NSEC_PER_MSEC)
#define EXPLORE_LOST_NS (600 * NSEC_PER_SEC)

static uint32_t sched_cpu(const struct sim *sim)
{
	return task_cpu(sim->head.current);
}

void sched_note_event(struct sim *sim, uint64_t at_ns)
{
	sim->due_ns = min_u64(sim->due_ns, at_ns);
}

/* ---- what may run ---- */

bool sched_is_spinning(const struct sim *sim, const struct sim_cpu *c)
{
	if (!sim->head.rt.explore)
		return false;
	const struct sim_task *st = c->irq_active ? &c->irq : c->running;

	if (st == NULL || st->spin_word == NULL ||
	    atomic_load_explicit(st->spin_word, memory_order_relaxed) == 0)
		return false;
	/* The word of an offline CPU is not waited for. */
	return st->spin_slot == NULL ||
	       atomic_load_explicit(&st->spin_slot->offline, memory_order_relaxed) == 0;
}

/* Does this task own its own CPU's slot? One that still spins for it has only asked. */
static bool sched_owns_slot(const struct sim_task *st, const struct cpu_slot *slot)
{
	return st != NULL && st->task.pin_depth != 0 && st->spin_word != &slot->word;
}

/* Is a slot taken by a task of another CPU? */
static bool sched_remote_drain(struct sim *sim)
{
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		const struct cpu_slot *slot = &sim->head.rt.slots[cpu];
		const struct sim_cpu *c = &sim->cpus[cpu];

		if (atomic_load_explicit(&slot->word, memory_order_relaxed) == 0 ||
		    atomic_load_explicit(&slot->offline, memory_order_relaxed) != 0)
			continue;
		if (!sched_owns_slot(c->running, slot) &&
		    !(c->irq_active && sched_owns_slot(&c->irq, slot)))
			return true;
	}
	return false;
}

/* May the CPU's running task be put aside, for a callback or another task? (S3) */
static bool sched_may_interrupt(struct sim *sim, const struct sim_cpu *c)
{
	if (c->running == NULL)
		return true;
	if (!sim_holds_nothing(c->running))
		return false;
	return !sim->head.rt.explore || !sched_remote_drain(sim);
}

/* ---- events ---- */

uint32_t sched_call_cpu(const struct sim *sim, uint32_t cpu)
{
	if (!sim->cpus[cpu].stopped)
		return cpu;
	for (uint32_t other = 0; other < sim->config.nr_cpus; other++)
		if (!sim->cpus[other].stopped && sim->cpus[other].irq.fiber != NULL)
			return other;
	CHECK(false); /* the last one that could was not stopped before another was made able to */
	return cpu;
}

static void sched_fire_call(struct sim *sim, struct sim_call *call)
{
	call->cpu = sched_call_cpu(sim, call->cpu);
	struct sim_cpu *c = &sim->cpus[call->cpu];

	if (c->running == NULL && !c->irq_active && c->calls == NULL)
		clock_idle(sim, call->cpu, call->event.at_ns);
	call->next = NULL;
	*c->calls_tail = call;
	c->calls_tail = &call->next;
	queue_update_key(sim, call->cpu);
}

/* Has the task waited for long without any limit? */
static bool sched_waits_long(const struct sim_task *st, uint64_t now_ns)
{
	bool waits = st->state == SIM_WAITING || st->state == SIM_JOINING;

	return waits && st->timer.place == 0 && now_ns >= st->since_ns + EXPLORE_LOST_NS;
}

/*
 * The engine's threads have periodic work, so that there is always a next event. If all programs
 * have waited without a limit for so long, none of these threads is going to wake one.
 */
static void sched_look_for_lost(struct sim *sim, uint64_t now_ns)
{
	bool any = false;

	sim->next_look_ns = now_ns + EXPLORE_LOST_NS;
	for (struct sim_link *at = sim->tasks.next; at != &sim->tasks; at = at->next) {
		const struct sim_task *st = sim_task_in(at, all);

		if (sim_is_kthread(st) || st->state == SIM_DONE)
			continue;
		if (!sched_waits_long(st, now_ns))
			return;
		any = true;
	}
	if (any)
		report_lost(sim, EXPLORE_LOST_NS);
}

static void sched_fire(struct sim *sim, struct event *event)
{
	uint64_t at_ns = event->at_ns;

	if (unlikely(sim->head.rt.explore && at_ns >= sim->next_look_ns))
		sched_look_for_lost(sim, at_ns);
	event_cancel(&sim->events, event);
	if (event->kind == EVENT_CALL) {
		sched_fire_call(sim, container_of(event, struct sim_call, event));
		return;
	}
	struct sim_task *st = container_of(event, struct sim_task, timer);

	st->timed_out = true;
	sched_wake(sim, st, at_ns);
}

/* Those of the CPUs that can get on with the smallest key. */
struct sched_first {
	uint64_t key_ns; /* SIM_NEVER: there is none */
	uint32_t cpu;	 /* the lowest */
	bool tie;	 /* there are others */
};

static ALWAYS_INLINE void sched_compare_first(struct sched_first *first, uint32_t cpu,
					      uint64_t key_ns)
{
	if (key_ns < first->key_ns)
		*first = (struct sched_first){ .key_ns = key_ns, .cpu = cpu };
	else if (key_ns == first->key_ns)
		first->tie = true;
}

static NOINLINE struct sched_first sched_find_first_exploring(struct sim *sim)
{
	struct sched_first first = { .key_ns = SIM_NEVER };

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		if (!sched_is_spinning(sim, &sim->cpus[cpu]))
			sched_compare_first(&first, cpu, sim->keys_ns[cpu]);
	return first;
}

static ALWAYS_INLINE struct sched_first sched_find_first(struct sim *sim)
{
	struct sched_first first = { .key_ns = SIM_NEVER };

	if (unlikely(sim->head.rt.explore))
		return sched_find_first_exploring(sim);
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		sched_compare_first(&first, cpu, sim->keys_ns[cpu]);
	return first;
}

/*
 * Lets everything happen that is due and returns who runs next.
 * => key_ns SIM_NEVER: the simulation has reached its end
 */
static ALWAYS_INLINE struct sched_first sched_fire_due(struct sim *sim)
{
	for (;;) { /* event loop */
		struct sched_first first = sched_find_first(sim);
		uint64_t event_ns = event_first_ns(&sim->events);
		uint64_t next_ns = min_u64(first.key_ns, event_ns);

		if (unlikely(next_ns >= sim->config.end_ns)) {
			if (next_ns == SIM_NEVER)
				report_deadlock(sim);
			first.key_ns = SIM_NEVER;
			return first;
		}
		if (event_ns > first.key_ns)
			return first;
		sched_fire(sim, event_first(&sim->events));
	}
}

/* ---- choosing ---- */

/* One of the CPUs with this key; the seed decides between several. */
static uint32_t sched_choose_cpu(struct sim *sim, const struct sched_first *first)
{
	uint32_t chosen = first->cpu;
	uint32_t nr = 0;

	if (likely(!first->tie))
		return chosen;
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		if (sim->keys_ns[cpu] != first->key_ns || sched_is_spinning(sim, &sim->cpus[cpu]))
			continue;
		nr++;
		if (nr == 1 || rng_below(&sim->rng, nr) == 0)
			chosen = cpu;
	}
	return chosen;
}

/* A random CPU other than `but` that can get on; `but` itself when there is none. */
static uint32_t sched_choose_other(struct sim *sim, uint32_t but)
{
	uint32_t chosen = but;
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		if (cpu == but || sim->keys_ns[cpu] == SIM_NEVER ||
		    sched_is_spinning(sim, &sim->cpus[cpu]))
			continue;
		nr++;
		if (rng_below(&sim->rng, nr) == 0)
			chosen = cpu;
	}
	return chosen;
}

/* Puts the running task back when its turn is over or an engine thread preempts it. */
static void sched_end_turn(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (!sim_list_empty(&c->urgent) &&
	    sim_task_in(c->urgent.next, queue)->preempt_ns <= c->clock_ns) {
		queue_put_back(sim, cpu, false);
		return;
	}
	if (c->clock_ns < c->slice_end_ns)
		return;
	if (queue_has_ready(c))
		queue_put_back(sim, cpu, true);
	else
		c->slice_end_ns = c->clock_ns + sim->config.slice_ns;
}

/* Makes the next task in turn the running one. */
static void sched_begin_turn(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	clock_idle(sim, cpu, sim->keys_ns[cpu]); /* S2 */
	struct sim_task *st = queue_take(sim, cpu);

	CHECK(st != NULL);
	CHECK(st->ready_ns <= c->clock_ns); /* S1 */
	c->running = st;
	c->counted_ns = c->clock_ns;
	st->state = SIM_RUNNING;
	c->slice_end_ns =
		c->clock_ns + (st->slice_left_ns != 0 ? st->slice_left_ns : sim->config.slice_ns);
	if (c->last_id != st->task.id)
		clock_count(sim, cpu, sim->config.switch_item);
	c->last_id = st->task.id;
	if (!sim_is_kthread(st))
		cpumask_set(&sim->programs, cpu);
}

/* What the CPU executes now. => it has work. */
static struct sim_task *sched_choose_task(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (c->irq_active)
		return &c->irq;
	if (sched_may_interrupt(sim, c)) {
		if (c->calls != NULL) {
			c->irq_active = true;
			return &c->irq;
		}
		if (c->running != NULL)
			sched_end_turn(sim, cpu);
		if (c->running == NULL)
			sched_begin_turn(sim, cpu);
	}
	queue_update_key(sim, cpu);
	return c->running;
}

/* The clock of the CPU at which the scheduler must look again. */
static uint64_t sched_due_ns(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	uint64_t due_ns = min_u64(event_first_ns(&sim->events), sim->config.end_ns);
	uint64_t behind_ns = SIM_NEVER;

	for (uint32_t other = 0; other < sim->config.nr_cpus; other++)
		if (other != cpu)
			behind_ns = min_u64(behind_ns, sim->keys_ns[other]);
	if (behind_ns < due_ns && due_ns - behind_ns > sim->config.quantum_ns)
		due_ns = behind_ns + sim->config.quantum_ns;
	if (!sim_list_empty(&c->urgent))
		due_ns = min_u64(due_ns, sim_task_in(c->urgent.next, queue)->preempt_ns);
	if (!sim_list_empty(&c->ready))
		due_ns = min_u64(due_ns, c->slice_end_ns);
	return due_ns;
}

/*
 * Who runs is its CPU's favourite at once: all tasks are one thread, and none of them is suspended
 * while it is pinned. Exploration looks at who has taken which word. (port/rt.h, rt/slot.c)
 */
static void sched_favour(struct sim *sim, uint32_t cpu, struct task *t)
{
	struct cpu_slot *slot = &sim->head.rt.slots[cpu];

	if (!sim->head.rt.explore && atomic_load_explicit(&slot->word, memory_order_relaxed) == 0)
		atomic_store_explicit(&slot->favourite, t, memory_order_relaxed);
}

/* Lets the CPU run: returns the task to switch to. */
static ALWAYS_INLINE struct sim_task *sched_run_cpu(struct sim *sim, uint32_t cpu)
{
	struct sim_task *st = sched_choose_task(sim, cpu);

	sim->head.current = &st->task;
	/* Callbacks are interrupted by exploration only. */
	sim->due_ns = (st->task.flags & PF_IRQ) != 0 && !sim->head.rt.explore
			      ? SIM_NEVER
			      : sched_due_ns(sim, cpu);
	sched_favour(sim, cpu, &st->task);
	return st;
}

/* The task that runs next anywhere; NULL when the simulation has reached its end. */
static ALWAYS_INLINE struct sim_task *sched_pick(struct sim *sim)
{
	struct sched_first first = sched_fire_due(sim);

	if (unlikely(first.key_ns == SIM_NEVER)) {
		sim->head.current = NULL;
		return NULL;
	}
	return sched_run_cpu(sim, sched_choose_cpu(sim, &first));
}

/* => the current CPU's clock has just been charged; its key changes with it */
static struct sim_task *sched_suspend(struct sim *sim)
{
	uint32_t cpu = sched_cpu(sim);

	clock_settle(sim, cpu);
	queue_update_key(sim, cpu);
	return sim_task_of(sim->head.current);
}

/*
 * The task to switch to; NULL at the end. Callbacks that come first are executed right here,
 * unless exploration may want to suspend one.
 */
static struct sim_task *sched_next(struct sim *sim)
{
	for (;;) { /* event loop */
		struct sim_task *st = sched_pick(sim);

		if (st == NULL || (st->task.flags & PF_IRQ) == 0 || sim->head.rt.explore)
			return st;
		sim_irq_calls(sim, sim_cpu_of(sim, &st->task));
		(void)sched_suspend(sim);
	}
}

static struct fiber *sched_fiber(struct sim *sim, struct sim_task *st)
{
	return st != NULL ? st->fiber : &sim->thread;
}

static void sched_continue(struct sim *sim, struct sim_task *from, struct sim_task *to)
{
	if (from != to)
		fiber_switch(from->fiber, sched_fiber(sim, to));
}

void sched_switch(struct sim *sim)
{
	struct sim_task *from = sched_suspend(sim);

	sched_continue(sim, from, sched_next(sim));
}

NORETURN void sched_switch_last(struct sim *sim)
{
	struct sim_task *from = sched_suspend(sim);

	fiber_switch_last(from->fiber, sched_fiber(sim, sched_next(sim)));
}

void sched_enter(struct sim *sim)
{
	struct sim_task *first = sched_next(sim);

	if (first != NULL)
		fiber_switch(&sim->thread, first->fiber);
}

NORETURN void sched_leave(struct sim *sim)
{
	struct sim_task *from = sched_suspend(sim);

	sim->head.current = NULL;
	fiber_switch_last(from->fiber, &sim->thread);
}

/* ---- blocking and waking ---- */

void sched_block(struct sim *sim, enum sim_state state, uint64_t until_ns)
{
	struct sim_task *st = sim_task_of(sim->head.current);
	struct sim_cpu *c = &sim->cpus[sched_cpu(sim)];

	CHECK(c->running == st && !c->irq_active);
	st->state = state;
	st->timed_out = false;
	st->since_ns = c->clock_ns;
	st->slice_left_ns = 0;
	if (until_ns != SIM_NEVER)
		event_enter(&sim->events, &st->timer, until_ns);
	queue_stop_running(c);
	queue_pull(sim, task_cpu(&st->task));
	sched_switch(sim);
}

void sched_wake(struct sim *sim, struct sim_task *st, uint64_t at_ns)
{
	CHECK(st->state == SIM_WAITING || st->state == SIM_SLEEPING || st->state == SIM_JOINING);
	event_cancel(&sim->events, &st->timer);
	if (st->queue.next != NULL)
		sim_list_remove(&st->queue);
	st->word = NULL;
	st->must_move = false;
	/* Its own past counts, too: it may have waited on a CPU that was ahead of the waker's. */
	queue_insert(sim, st, queue_choose_cpu(sim, st), max_u64(at_ns, st->since_ns));
}

void sched_move(struct sim *sim, struct sim_task *st)
{
	uint32_t from = task_cpu(&st->task);
	struct sim_cpu *c = &sim->cpus[from];
	bool current = sim->head.current == &st->task;

	if (st->state == SIM_RUNNING && !current && !sched_may_interrupt(sim, c)) {
		st->must_move = true;
		return;
	}
	st->must_move = false;
	if (st->state == SIM_RUNNING) {
		queue_stop_running(c);
		st->slice_left_ns = 0;
	} else if (st->state == SIM_QUEUED) {
		sim_list_remove(&st->queue);
	} else {
		return; /* It goes where it may when it wakes. */
	}
	/* It was runnable up to now: wherever it goes, it is not runnable before now. */
	uint64_t now_ns = max_u64(c->clock_ns, sim->cpus[sched_cpu(sim)].clock_ns);
	uint32_t to = queue_choose_home(sim, &st->cpus, sim_is_kthread(st));

	queue_insert(sim, st, to, max_u64(now_ns, st->ready_ns));
	queue_update_key(sim, from);
	if (current) {
		/* The task has changed its CPU already, the work done is still the old one's. */
		struct sim_task *next = sched_next(sim);

		sched_continue(sim, st, next);
	}
}

/* ---- preempt points and exploration ---- */

/* Lets a random other CPU go on. false when no other can. */
static bool sched_switch_other(struct sim *sim)
{
	clock_charge_ns(sim, sched_cpu(sim));

	struct sim_task *from = sched_suspend(sim);
	uint32_t mine = sched_cpu(sim);

	if (sched_fire_due(sim).key_ns == SIM_NEVER) {
		sim->head.current = NULL;
		sched_continue(sim, from, NULL);
		return true;
	}
	uint32_t other = sched_choose_other(sim, mine);

	if (other == mine)
		return false;
	sched_continue(sim, from, sched_run_cpu(sim, other));
	return true;
}

void sched_explore_wake(struct sim *sim)
{
	if (rng_below(&sim->rng, EXPLORE_WAKE_ONE_IN) == 0)
		(void)sched_switch_other(sim);
}

void sched_preempt_slow(struct sim *sim, struct task *t)
{
	struct sim_task *st = sim_task_of(t);

	CHECK(sim->head.current == t);
	if (!sim->head.rt.explore) {
		CHECK(sim_holds_nothing(st));
		if ((t->flags & PF_IRQ) == 0)
			sched_switch(sim);
		return;
	}
	if (st->must_move && sim_holds_nothing(st) && !sched_remote_drain(sim)) {
		sched_move(sim, st);
		clock_charge_ns(sim, sched_cpu(sim)); /* the switch to it, on its new CPU */
	}
	/* Now and then a CPU stands still for long, as when a host takes it away. */
	if (rng_below(&sim->rng, EXPLORE_STALL_ONE_IN) == 0)
		sim->cpus[sched_cpu(sim)].clock_ns += rng_below(&sim->rng, EXPLORE_STALL_NS);
	if (rng_below(&sim->rng, sim->explore_one_in) == 0 && sched_switch_other(sim))
		return;
	if (sim->cpus[sched_cpu(sim)].clock_ns >= sim->due_ns)
		sched_switch(sim);
}

void sched_contended(struct sim *sim, struct task *t, _Atomic uint32_t *word, const char *what,
		     struct cpu_slot *slot)
{
	struct sim_task *st = sim_task_of(t);

	if (!sim->head.rt.explore)
		report_contention(sim, t, what);
	CHECK(sim->head.current == t);
	st->spin_word = word;
	st->spin_slot = slot;
	if (!sched_switch_other(sim))
		report_contention(sim, t, what);
	st->spin_word = NULL;
	st->spin_slot = NULL;
}

/* ---- CPUs that stop ---- */

/* Callbacks that were due on the CPU become due on another one. */
static void sched_move_calls(struct sim *sim, struct sim_cpu *c)
{
	while (c->calls != NULL) {
		struct sim_call *call = c->calls;

		c->calls = call->next;
		event_enter(&sim->events, &call->event, c->clock_ns);
	}
	c->calls_tail = &c->calls;
}

bool sched_clear_cpu(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (!c->irq_active)
		sched_move_calls(sim, c);
	for (struct sim_link *at = sim->tasks.next; at != &sim->tasks; at = at->next) {
		struct sim_task *st = sim_task_in(at, all);

		/* Who sleeps chooses its CPU anew when it wakes. */
		if (task_cpu(&st->task) == cpu &&
		    (st->state == SIM_QUEUED || st->state == SIM_RUNNING))
			sched_move(sim, st);
	}
	queue_update_key(sim, cpu);
	return c->running == NULL && !c->irq_active && c->calls == NULL;
}
