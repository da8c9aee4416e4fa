/*
 * sim.c: the runtime in virtual time; the operations of port/rt.h.
 *
 * The whole simulated machine runs on the thread that called rt_sim_run(). Each
 * task has a fiber, each CPU has a clock, and nothing ever happens at the same
 * time as anything else, which is why the same seed gives the same bytes.
 *
 *	rt_sim_run --> sched: who is next? --> fiber of a task --+
 *	                ^                                         | rt_wait, rt_sleep,
 *	                +------ sched_switch(): charge, choose ---+ rt_join, rt_preempt ...
 *
 *	task:  QUEUED -> RUNNING -> WAITING | SLEEPING | JOINING -> QUEUED ...
 *	                        \-> DONE -> joined, freed
 *
 * Waiting. A task that waits on a word hangs in a bucket chosen by the word's
 * address. Several words may share a bucket, but a wake walks the bucket in
 * order of arrival and takes only waiters of its word, so the address decides
 * nothing.
 *
 * Completion context. Each CPU has an irq task with a fiber of its own, opened
 * when the CPU's first callback is requested. It executes callbacks in order and
 * takes precedence over the CPU's running task, which must hold nothing then.
 * Only in exploration can something else run half way through a callback; without
 * it the callbacks are executed on the stack of whoever is suspended, which saves
 * two switches of stacks an interrupt.
 *
 * Memory. What a task needs to wait (a place in the heap of events) is reserved
 * when it is created, so waiting cannot fail. Stacks of joined tasks are kept
 * for the next ones. Meters are read, never written, but for the switch item.
 *
 * What must never happen: an operation called for a task that is not the current
 * one, or anything that depends on real time, real threads or addresses.
 */
#include "rt/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rt/panic.h"
#include "rt/sim/sched.h"

#define DEFAULT_QUANTUM_NS (20 * NSEC_PER_USEC)
#define DEFAULT_SLICE_NS (4 * NSEC_PER_MSEC)
#define YIELD_MIN_NS (1 * NSEC_PER_USEC)
#define STOP_WAIT_NS (1 * NSEC_PER_USEC)

static uint64_t sim_add_ns(uint64_t a, uint64_t b)
{
	return a + b >= a ? a + b : SIM_NEVER;
}

/* Brings the clock of the task's CPU up to date. */
static uint64_t sim_charge_ns(struct sim *sim, const struct task *t)
{
	return clock_charge_slot_ns(sim, t->slot);
}

/* ---- stacks ---- */

static struct fiber *sim_fiber_get(struct sim *sim)
{
	if (sim->nr_free_fibers > 0)
		return sim->free_fibers[--sim->nr_free_fibers];
	struct fiber *fiber = malloc(sizeof(*fiber));

	if (fiber != NULL && fiber_open(fiber) != 0) {
		free(fiber);
		fiber = NULL;
	}
	return fiber;
}

static void sim_fiber_close(struct sim *sim, struct fiber *fiber)
{
	size_t used_bytes = fiber_high_water_bytes(fiber);

	if (used_bytes > sim->closed_high_water_bytes)
		sim->closed_high_water_bytes = used_bytes;
	fiber_close(fiber);
	free(fiber);
}

static void sim_fiber_put(struct sim *sim, struct fiber *fiber)
{
	if (sim->nr_free_fibers < sim->max_free_fibers)
		sim->free_fibers[sim->nr_free_fibers++] = fiber;
	else
		sim_fiber_close(sim, fiber);
}

/* ---- tasks ---- */

static void sim_set_name(struct task *t, const char *name)
{
	for (size_t i = 0; i < TASK_NAME_BYTES - 1 && name[i] != '\0'; i++)
		t->name[i] = name[i];
}

static void sim_seed_task(struct sim *sim, struct task *t, uint64_t number)
{
	struct rng rng;

	rng_seed(&rng, mix_u64(sim->config.seed) + number);
	t->random_state = rng.state;
}

/* CPUs of the mask that exist; all of them for NULL or when none is left. */
static struct cpumask sim_usable_cpus(const struct sim *sim, const struct cpumask *mask)
{
	struct cpumask usable = { { 0 } };

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		if (mask == NULL || cpumask_test(mask, cpu))
			cpumask_set(&usable, cpu);
	return usable;
}

/* The first frame of every task: runs it and reports its end. */
static void sim_task_main(void *arg)
{
	struct sim_task *st = arg;
	struct sim *sim = sim_of(st->task.rt);

	st->result = st->fn(&st->task, st->arg);
	rt_assert_may_sleep(&st->task);
	if (fiber_is_nearly_full(st->fiber))
		panic_stop("task %s (%u) has used its stack up to the last 4 KiB", st->task.name,
			   st->task.id);
	struct sim_cpu *c = sim_cpu_of(sim, &st->task);

	st->since_ns = sim_charge_ns(sim, &st->task);
	st->state = SIM_DONE;
	queue_stop_running(c);
	if (st == sim->main)
		sched_leave(sim);
	if (st->joiner != NULL)
		sched_wake(sim, st->joiner, st->since_ns);
	queue_pull(sim, task_cpu(&st->task));
	sched_switch_last(sim);
}

/* Reserves what the task will need, so that nothing it does later runs out of memory. */
static int sim_task_reserve(struct sim *sim, struct sim_task *st)
{
	int err = event_reserve(&sim->events, sim->nr_tasks + 1 + sim->nr_calls);

	if (err != 0)
		return err;
	st->fiber = sim_fiber_get(sim);
	return st->fiber != NULL ? 0 : -ENOMEM;
}

/* => 0 and *out: a task at home on `cpu` that no queue knows yet; or -ENOMEM */
static int sim_task_new(struct sim *sim, const struct task_spec *spec, uint32_t cpu,
			struct sim_task **out)
{
	struct sim_task *st = calloc(1, sizeof(*st));

	if (st == NULL)
		return -ENOMEM;
	int err = sim_task_reserve(sim, st);

	if (err != 0) {
		free(st);
		return err;
	}
	st->task.rt = &sim->head.rt;
	st->task.explore = sim->head.rt.explore;
	st->task.id = sim->next_id++;
	st->task.flags = spec->flags;
	st->task.machine = sim->machine;
	st->timer.kind = EVENT_TIMEOUT;
	st->fn = spec->fn;
	st->arg = spec->arg;
	st->cpus = sim_usable_cpus(sim, spec->cpus);
	sim_set_name(&st->task, spec->name);
	sim_seed_task(sim, &st->task, st->task.id);
	queue_set_home(sim, st, cpu);
	sim_list_insert(&st->all, &sim->tasks);
	sim->nr_tasks++;
	fiber_start(st->fiber, sim_task_main, st);
	*out = st;
	return 0;
}

static void sim_task_free(struct sim *sim, struct sim_task *st)
{
	struct sim_cpu *c = sim_cpu_of(sim, &st->task);

	if (sim_is_kthread(st))
		c->nr_kthreads--;
	else
		c->nr_programs--;
	sim_list_remove(&st->all);
	sim->nr_tasks--;
	sim_fiber_put(sim, st->fiber);
	free(st);
}

static int sim_spawn(struct task *t, const struct task_spec *spec, struct task **out)
{
	struct sim *sim = sim_of(t->rt);
	struct cpumask cpus = sim_usable_cpus(sim, spec->cpus);
	struct task_spec usable = *spec;
	struct sim_task *st;

	if (sim->fail_spawn > 0 && --sim->fail_spawn == 0)
		return -EAGAIN;
	/* A mask without any CPU, as of a node that has none, means all of them. */
	if (cpumask_empty(&cpus))
		cpus = sim_usable_cpus(sim, NULL);
	usable.cpus = &cpus;
	uint32_t cpu = queue_choose_home(sim, &cpus, (spec->flags & PF_KTHREAD) != 0);
	int err = sim_task_new(sim, &usable, cpu, &st);

	if (err != 0)
		return err;
	if (t->machine != NULL)
		st->task.machine = t->machine;
	uint64_t now_ns = sim_charge_ns(sim, t);

	queue_insert(sim, st, queue_choose_cpu(sim, st), now_ns);
	*out = &st->task;
	return 0;
}

static int sim_join(struct task *t, struct task *child)
{
	struct sim *sim = sim_of(t->rt);
	struct sim_task *st = sim_task_of(child);

	CHECK(sim->head.current == t);
	CHECK(st->joiner == NULL && !st->is_main);
	uint64_t now_ns = sim_charge_ns(sim, t);

	if (st->state != SIM_DONE) {
		st->joiner = sim_task_of(t);
		sched_block(sim, SIM_JOINING, SIM_NEVER);
	} else if (st->since_ns > now_ns) {
		/* Its CPU is ahead: here it has not ended yet. */
		sched_block(sim, SIM_SLEEPING, st->since_ns);
	}
	int result = st->result;

	sim_task_free(sim, st);
	return result;
}

/* ---- waiting ---- */

_Static_assert(SIM_WAIT_BUCKETS == 256, "sim_bucket() takes the top 8 bits");

static struct sim_link *sim_bucket(struct sim *sim, const _Atomic uint32_t *word)
{
	/* The golden ratio spreads what differs in low bits over the high ones. */
	return &sim->waiters[(uintptr_t)word * UINT64_C(0x9E3779B97F4A7C15) >> 56];
}

static int sim_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns)
{
	struct sim *sim = sim_of(t->rt);
	struct sim_task *st = sim_task_of(t);

	CHECK(sim->head.current == t);
	uint64_t now_ns = sim_charge_ns(sim, t);

	if (atomic_load(word) != expect)
		return -EAGAIN;
	st->word = word;
	sim_list_insert(&st->queue, sim_bucket(sim, word));
	sched_block(sim, SIM_WAITING, sim_add_ns(now_ns, timeout_ns));
	return st->timed_out ? -ETIMEDOUT : 0;
}

static void sim_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	struct sim *sim = sim_of(t->rt);
	struct sim_link *bucket = sim_bucket(sim, word);
	struct sim_link *at = bucket->next;
	uint64_t now_ns = 0;
	bool charged = false;

	while (at != bucket && nr > 0) {
		struct sim_task *st = sim_task_in(at, queue);

		at = at->next;
		if (st->word != word)
			continue;
		/*
		 * Not for waiters of other words: whether there are any in this bucket depends on
		 * addresses, and when a clock is charged must not.
		 */
		if (!charged)
			now_ns = sim_charge_ns(sim, t);
		charged = true;
		sched_wake(sim, st, now_ns);
		nr--;
	}
	if (charged && sim->head.rt.explore)
		sched_explore_wake(sim);
}

static void sim_sleep(struct task *t, uint64_t ns)
{
	struct sim *sim = sim_of(t->rt);

	CHECK(sim->head.current == t);
	sched_block(sim, SIM_SLEEPING, sim_add_ns(sim_charge_ns(sim, t), ns));
}

static void sim_yield(struct task *t)
{
	struct sim *sim = sim_of(t->rt);
	struct sim_cpu *c = sim_cpu_of(sim, t);

	CHECK(sim->head.current == t);
	uint64_t now_ns = sim_charge_ns(sim, t);

	/* A task that does nothing but yield must not stop the time for the other CPUs. */
	if (now_ns == c->yielded_ns)
		c->clock_ns += YIELD_MIN_NS;
	c->yielded_ns = c->clock_ns;
	if (queue_has_ready(c) || !sim_list_empty(&c->urgent))
		queue_put_back(sim, task_cpu(t), true);
	sched_switch(sim);
}

static uint64_t sim_now(struct task *t)
{
	return sim_charge_ns(sim_of(t->rt), t);
}

static uint64_t sim_peek(struct task *t)
{
	return clock_peek_ns(sim_of(t->rt), task_cpu(t));
}

static uint64_t sim_random(struct task *t)
{
	struct rng rng = { t->random_state };
	uint64_t value = rng_next(&rng);

	t->random_state = rng.state;
	return value;
}

static NOINLINE void sim_preempt_any(struct sim *sim, struct task *t)
{
	uint64_t now_ns = clock_preempt_ns(sim, t->slot);

	if (unlikely(now_ns >= sim->due_ns || sim->head.rt.explore))
		sched_preempt_slow(sim, t);
}

/* Nearly always the clock has moved, no host is asked, and nothing is due: no call for that. */
static void sim_preempt(struct task *t)
{
	struct sim *sim = sim_of(t->rt);
	const struct cpu_slot *slot = t->slot;
	struct sim_cpu *c = slot->own;

	if (likely(slot->meter == c->plain && sim->metered && !t->explore)) {
		DCHECK(clock_verify(sim, slot->cpu));
		if (slot->worth_ps != c->metered)
			clock_take_worth(c, slot);
		if (likely(c->clock_ns < sim->due_ns && c->clock_ns != c->preempted_ns)) {
			c->preempted_ns = c->clock_ns;
			c->still = 0;
			return;
		}
	}
	sim_preempt_any(sim, t);
}

static void sim_lock_contended(struct task *t, struct spinlock *lock, enum lock_class class)
{
	char what[32] = "spin lock ";

	strncat(what, panic_lock_class_name(class), sizeof(what) - strlen(what) - 1);
	sched_contended(sim_of(t->rt), t, &lock->word, what, NULL);
}

static void sim_slot_contended(struct task *t, struct cpu_slot *slot)
{
	sched_contended(sim_of(t->rt), t, &slot->word, "a CPU's slot", slot);
}

/* All tasks are one thread, and nobody is interrupted inside. */
static void sim_slot_empty(struct task *t, struct cpu_slot *slot)
{
	(void)t;
	(void)slot;
}

static int sim_set_cpus(struct task *t, const struct cpumask *cpus)
{
	struct sim *sim = sim_of(t->rt);
	struct sim_task *st = sim_task_of(t);
	struct cpumask usable = sim_usable_cpus(sim, cpus);

	if (cpumask_empty(&usable))
		return -EINVAL;
	CHECK(sim->head.current != NULL && st->state != SIM_DONE);
	sim_charge_ns(sim, sim->head.current);
	st->cpus = usable;
	st->must_move = false;
	usable = queue_allowed(sim, &usable);
	if (!cpumask_test(&usable, task_cpu(t)))
		sched_move(sim, st);
	return 0;
}

static int sim_irq_open(struct sim *sim, struct sim_cpu *c);

/* Another CPU must be able to execute callbacks before this one stops. */
static int sim_stop_prepare(struct sim *sim, uint32_t cpu)
{
	uint32_t other = 0;

	while (other == cpu || sim->cpus[other].stopped)
		other++;
	CHECK(other < sim->config.nr_cpus);
	return sim_irq_open(sim, &sim->cpus[other]);
}

static int sim_stop_cpu(struct task *t, uint32_t cpu)
{
	struct sim *sim = sim_of(t->rt);
	int err = sim_stop_prepare(sim, cpu);

	if (err != 0)
		return err;
	sim_charge_ns(sim, t);
	sim->cpus[cpu].stopped = true;
	/* event loop: who holds something there gives it back first */
	while (!sched_clear_cpu(sim, cpu))
		sched_block(sim, SIM_SLEEPING, sim_add_ns(sim_charge_ns(sim, t), STOP_WAIT_NS));
	return 0;
}

static void sim_start_cpu(struct task *t, uint32_t cpu)
{
	sim_of(t->rt)->cpus[cpu].stopped = false;
}

/* ---- completion context ---- */

void sim_irq_calls(struct sim *sim, struct sim_cpu *c)
{
	while (c->calls != NULL) { /* event loop */
		struct sim_call *call = c->calls;

		c->calls = call->next;
		if (c->calls == NULL)
			c->calls_tail = &c->calls;
		call->fn(&c->irq.task, call->arg, call->a, call->b);
		CHECK(sim_holds_nothing(&c->irq));
		clock_charge_ns(sim, task_cpu(&c->irq.task));
		call->next = sim->free_calls;
		sim->free_calls = call;
	}
	c->irq_active = false;
}

/* The fiber of a CPU's completion task. */
static void sim_irq_main(void *arg)
{
	struct sim_cpu *c = arg;
	struct sim *sim = sim_of(c->irq.task.rt);

	for (;;) { /* event loop */
		sim_irq_calls(sim, c);
		sched_switch(sim);
	}
}

/* Opens the completion fiber of a CPU. */
static int sim_irq_open(struct sim *sim, struct sim_cpu *c)
{
	if (c->irq.fiber != NULL)
		return 0;
	c->irq.fiber = sim_fiber_get(sim);
	if (c->irq.fiber == NULL)
		return -ENOMEM;
	fiber_start(c->irq.fiber, sim_irq_main, c);
	return 0;
}

/* A callback's memory, with its place in the heap; NULL when memory is short. */
static struct sim_call *sim_call_get(struct sim *sim)
{
	struct sim_call *call = sim->free_calls;

	if (call != NULL) {
		sim->free_calls = call->next;
		return call;
	}
	if (event_reserve(&sim->events, sim->nr_tasks + sim->nr_calls + 1) != 0)
		return NULL;
	call = calloc(1, sizeof(*call));
	if (call != NULL)
		sim->nr_calls++;
	return call;
}

static int sim_call_at(struct task *t, uint32_t cpu, uint64_t at_ns, rt_call_fn fn, void *arg,
		       uint64_t a, uint64_t b)
{
	struct sim *sim = sim_of(t->rt);

	CHECK(cpu < sim->config.nr_cpus);
	cpu = sched_call_cpu(sim, cpu);
	if (sim_irq_open(sim, &sim->cpus[cpu]) != 0)
		return -ENOMEM;
	struct sim_call *call = sim_call_get(sim);

	if (call == NULL)
		return -ENOMEM;
	call->event.kind = EVENT_CALL;
	call->cpu = cpu;
	call->fn = fn;
	call->arg = arg;
	call->a = a;
	call->b = b;
	at_ns = max_u64(at_ns, sim_charge_ns(sim, t));
	event_enter(&sim->events, &call->event, at_ns);
	sched_note_event(sim, at_ns);
	return 0;
}

/* ---- the runtime ---- */

static const struct rt_ops sim_ops = {
	.spawn = sim_spawn,
	.join = sim_join,
	.wait = sim_wait,
	.wake = sim_wake,
	.sleep = sim_sleep,
	.yield = sim_yield,
	.now = sim_now,
	.peek = sim_peek,
	.random = sim_random,
	.preempt = sim_preempt,
	.lock_contended = sim_lock_contended,
	.slot_contended = sim_slot_contended,
	.slot_empty = sim_slot_empty,
	.set_cpus = sim_set_cpus,
	.shoot_down = shootdown_wait,
	.host_work = host_work,
	.stop_cpu = sim_stop_cpu,
	.start_cpu = sim_start_cpu,
	.call_at = sim_call_at,
};

static void sim_init_cpus(struct sim *sim)
{
	char name[TASK_NAME_BYTES];

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		struct sim_cpu *c = &sim->cpus[cpu];
		struct task *irq = &c->irq.task;

		sim->head.rt.slots[cpu].cpu = cpu;
		sim->head.rt.slots[cpu].own = c;
		sim->keys_ns[cpu] = SIM_NEVER;
		sim_list_init(&c->urgent);
		sim_list_init(&c->ready);
		c->calls_tail = &c->calls;
		c->yielded_ns = SIM_NEVER;
		irq->rt = &sim->head.rt;
		irq->explore = sim->head.rt.explore;
		irq->slot = &sim->head.rt.slots[cpu];
		irq->flags = PF_IRQ;
		snprintf(name, sizeof(name), "irq/%u", cpu);
		sim_set_name(irq, name);
		sim_seed_task(sim, irq, UINT64_MAX - cpu);
	}
}

/* Completes the settings with their defaults. => 0 or -EINVAL */
static int sim_take_config(struct sim *sim, const struct rt_sim_config *config)
{
	struct rt_sim_config *own = &sim->config;

	*own = *config;
	own->cost_ps = NULL;
	if (own->nr_cpus == 0 || own->nr_cpus > NEAP_MAX_CPUS)
		return -EINVAL;
	if (own->switch_item != RT_SIM_NO_ITEM && own->switch_item >= own->nr_meter)
		return -EINVAL;
	if (own->flush_item != RT_SIM_NO_ITEM && own->flush_item >= own->nr_meter)
		return -EINVAL;
	if (own->answer_item != RT_SIM_NO_ITEM && own->answer_item >= own->nr_meter)
		return -EINVAL;
	if (own->quantum_ns == 0)
		own->quantum_ns = DEFAULT_QUANTUM_NS;
	if (own->slice_ns == 0)
		own->slice_ns = DEFAULT_SLICE_NS;
	if (own->end_ns == 0)
		own->end_ns = SIM_NEVER;
	if (own->host_round_ns != 0 &&
	    (own->host_processors == 0 || own->host_processors > SIM_HOST_PROCESSORS_MAX))
		return -EINVAL;
	rng_seed(&sim->host_rng, mix_u64(config->seed) ^ 1);
	rng_seed(&sim->rng, config->seed);
	/* One switch in 4 to 32 preempt points: short and long stretches both find faults. */
	sim->explore_one_in = 4u << rng_below(&sim->rng, 4);
	return 0;
}

static int sim_allocate(struct sim *sim, const struct rt_sim_config *config)
{
	uint32_t nr = sim->config.nr_cpus;

	sim->head.rt.slots = aligned_alloc(64, nr * sizeof(struct cpu_slot));
	sim->cpus = calloc(nr, sizeof(*sim->cpus));
	sim->keys_ns = calloc(nr, sizeof(*sim->keys_ns));
	sim->max_free_fibers = 64;
	sim->free_fibers = calloc(sim->max_free_fibers, sizeof(struct fiber *));
	if (sim->head.rt.slots == NULL || sim->cpus == NULL || sim->keys_ns == NULL ||
	    sim->free_fibers == NULL)
		return -ENOMEM;
	memset(sim->head.rt.slots, 0, nr * sizeof(struct cpu_slot));
	return clock_take_costs(sim, config->cost_ps, config->nr_meter);
}

static void sim_free(struct sim *sim)
{
	event_free(&sim->events);
	free((void *)(uintptr_t)sim->head.rt.cost_ps);
	free(sim->free_fibers);
	free(sim->keys_ns);
	free(sim->cpus);
	free(sim->head.rt.slots);
	free(sim);
}

int rt_sim_create(const struct rt_sim_config *config, struct rt **out)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (sim == NULL)
		return -ENOMEM;
	int err = sim_take_config(sim, config);

	if (err == 0)
		err = sim_allocate(sim, config);
	if (err != 0) {
		sim_free(sim);
		return err;
	}
	sim->head.rt.ops = &sim_ops;
	sim->head.rt.nr_slots = config->nr_cpus;
	sim->head.rt.virtual_time = true;
	sim->head.rt.explore = config->explore;
	/* Exploration looks at who has taken which word. */
	sim->head.rt.favour_after = config->explore ? 0 : 1;
	sim->next_id = 1;
	event_init(&sim->events);
	sim_list_init(&sim->tasks);
	for (uint32_t i = 0; i < SIM_WAIT_BUCKETS; i++)
		sim_list_init(&sim->waiters[i]);
	sim_init_cpus(sim);
	*out = &sim->head.rt;
	return 0;
}

/* Frees the callbacks that are due on a CPU or free; those still to come are events. */
static void sim_calls_free(struct sim_call *call)
{
	while (call != NULL) {
		struct sim_call *next = call->next;

		free(call);
		call = next;
	}
}

static void sim_events_free(struct sim *sim)
{
	struct event *event = event_first(&sim->events);

	for (; event != NULL; event = event_first(&sim->events)) {
		event_cancel(&sim->events, event);
		if (event->kind == EVENT_CALL)
			free(container_of(event, struct sim_call, event));
	}
}

void rt_sim_destroy(struct rt *rt)
{
	struct sim *sim = sim_of(rt);

	CHECK(sim->head.current == NULL);
	sim_events_free(sim);
	sim_calls_free(sim->free_calls);
	while (!sim_list_empty(&sim->tasks))
		sim_task_free(sim, sim_task_in(sim->tasks.next, all));
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		sim_calls_free(sim->cpus[cpu].calls);
		if (sim->cpus[cpu].irq.fiber != NULL)
			sim_fiber_close(sim, sim->cpus[cpu].irq.fiber);
	}
	while (sim->nr_free_fibers > 0)
		sim_fiber_close(sim, sim->free_fibers[--sim->nr_free_fibers]);
	sim_free(sim);
}

int rt_sim_run(struct rt *rt, int (*fn)(struct task *t, void *arg), void *arg)
{
	struct sim *sim = sim_of(rt);
	const struct task_spec spec = { .name = "main", .fn = fn, .arg = arg };
	struct sim_task *st;

	CHECK(sim->head.current == NULL);
	struct cpumask cpus = sim_usable_cpus(sim, NULL);
	uint32_t cpu = 0;

	cpus = queue_allowed(sim, &cpus);
	cpu = cpumask_next(&cpus, 0);
	int err = sim_task_new(sim, &spec, cpu, &st);

	if (err != 0)
		return err;
	st->is_main = true;
	sim->main = st;
	queue_insert(sim, st, cpu, sim->last_ns);
	fiber_adopt_thread(&sim->thread);
	sched_enter(sim);
	sim->main = NULL;
	/* Interrupted by the end: the task stays where it is and goes on in a later run. */
	if (st->state != SIM_DONE)
		return -ETIME;
	err = st->result;
	sim->last_ns = st->since_ns;
	sim_task_free(sim, st);
	return err;
}

void rt_sim_set_end_ns(struct rt *rt, uint64_t end_ns)
{
	struct sim *sim = sim_of(rt);

	CHECK(sim->head.current == NULL);
	sim->config.end_ns = end_ns != 0 ? end_ns : SIM_NEVER;
}

void rt_sim_set_machine(struct rt *rt, struct neap_machine *machine)
{
	struct sim *sim = sim_of(rt);

	sim->machine = machine;
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		sim->cpus[cpu].irq.task.machine = machine;
}

void rt_sim_skip_meters(struct rt *rt)
{
	struct sim *sim = sim_of(rt);

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		clock_skip_meter(sim, cpu);
}

void rt_sim_fail_spawn(struct rt *rt, int nth)
{
	sim_of(rt)->fail_spawn = nth;
}

uint64_t rt_sim_cpu_clock_ns(const struct rt *rt, uint32_t cpu)
{
	const struct sim *sim = (const struct sim *)(const void *)rt;

	CHECK(cpu < sim->config.nr_cpus);
	return sim->cpus[cpu].clock_ns;
}

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

size_t rt_sim_stack_high_water(const struct rt *rt)
{
	const struct sim *sim = (const struct sim *)(const void *)rt;
	size_t deepest = sim->closed_high_water_bytes;

	for (struct sim_link *at = sim->tasks.next; at != &sim->tasks; at = at->next)
		deepest = max_size(deepest, fiber_high_water_bytes(sim_task_in(at, all)->fiber));
	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		if (sim->cpus[cpu].irq.fiber != NULL)
			deepest =
				max_size(deepest, fiber_high_water_bytes(sim->cpus[cpu].irq.fiber));
	for (uint32_t i = 0; i < sim->nr_free_fibers; i++)
		deepest = max_size(deepest, fiber_high_water_bytes(sim->free_fibers[i]));
	return deepest;
}
