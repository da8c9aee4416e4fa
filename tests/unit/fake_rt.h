/*
 * A runtime of one task and no time: enough to call the engine's functions from a
 * unit test. Waits end at once, sleeping only moves the clock, contention is a bug.
 * call_at() is NULL: it belongs to virtual time.
 *
 *   struct fake_rt fake;
 *   fake_rt_init(&fake, nr_cpus);       fake.rt to machine_build(), &fake.task to the engine
 *   fake_rt_attach(&fake, machine);
 *   fake_rt_cpu(&fake, 3);              the task goes to another CPU
 */
#ifndef NEAP_TESTS_FAKE_RT_H
#define NEAP_TESTS_FAKE_RT_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "port/rt.h"

struct fake_rt {
	struct rt rt;
	struct rt_ops ops;
	struct task task;
	struct cpu_slot slots[NEAP_MAX_CPUS];
	struct rng rng;
	uint64_t now_ns;
	uint64_t nr_waits, nr_wakes, nr_sleeps;
	/* Called at each wait, sleep and yield, when set: the world moves on. */
	void (*idle)(struct fake_rt *fake, void *arg);
	void *idle_arg;
};

static inline struct fake_rt *fake_rt_of(struct task *t)
{
	return container_of(t, struct fake_rt, task);
}

NORETURN static inline void fake_rt_stop(const char *what)
{
	fprintf(stderr, "fake_rt: %s in a test of one task\n", what);
	abort();
}

static inline void fake_rt_idle(struct fake_rt *fake, uint64_t ns)
{
	fake->now_ns += ns;
	if (fake->idle != NULL)
		fake->idle(fake, fake->idle_arg);
}

static inline int fake_rt_spawn(struct task *t, const struct task_spec *spec, struct task **out)
{
	(void)t;
	(void)spec;
	(void)out;
	return -EAGAIN;
}

static inline int fake_rt_join(struct task *t, struct task *child)
{
	(void)t;
	(void)child;
	fake_rt_stop("join");
}

static inline int fake_rt_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect,
			       uint64_t timeout_ns)
{
	struct fake_rt *fake = fake_rt_of(t);

	fake->nr_waits++;
	if (atomic_load(word) != expect)
		return -EAGAIN;
	fake_rt_idle(fake, timeout_ns == RT_FOREVER ? NSEC_PER_SEC : timeout_ns);
	if (atomic_load(word) != expect)
		return 0;
	if (timeout_ns == RT_FOREVER && fake->idle == NULL)
		fake_rt_stop("a wait for ever");
	return -ETIMEDOUT;
}

static inline void fake_rt_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	(void)word;
	(void)nr;
	fake_rt_of(t)->nr_wakes++;
}

static inline void fake_rt_sleep(struct task *t, uint64_t ns)
{
	fake_rt_of(t)->nr_sleeps++;
	fake_rt_idle(fake_rt_of(t), ns);
}

static inline void fake_rt_yield(struct task *t)
{
	fake_rt_idle(fake_rt_of(t), NSEC_PER_USEC);
}

static inline uint64_t fake_rt_now(struct task *t)
{
	return ++fake_rt_of(t)->now_ns;
}

static inline uint64_t fake_rt_random(struct task *t)
{
	return rng_next(&fake_rt_of(t)->rng);
}

static inline void fake_rt_preempt(struct task *t)
{
	(void)t;
}

static inline void fake_rt_lock_contended(struct task *t, struct spinlock *lock,
					  enum lock_class class)
{
	(void)t;
	(void)lock;
	(void)class;
	fake_rt_stop("a contended lock");
}

static inline void fake_rt_slot_contended(struct task *t, struct cpu_slot *slot)
{
	(void)t;
	(void)slot;
	fake_rt_stop("a contended CPU");
}

/* All tasks of a test run in one thread: nobody is inside. */
static inline void fake_rt_slot_empty(struct task *t, struct cpu_slot *slot)
{
	(void)t;
	(void)slot;
}

static inline int fake_rt_set_cpus(struct task *t, const struct cpumask *cpus)
{
	uint32_t cpu = cpumask_next(cpus, 0);

	if (cpu >= t->rt->nr_slots)
		return -EINVAL;
	t->slot = &t->rt->slots[cpu];
	return 0;
}

/* The one task has left the CPU before. */
static inline int fake_rt_stop_cpu(struct task *t, uint32_t cpu)
{
	if (t->slot->cpu == cpu)
		fake_rt_stop("stopping the CPU of the task");
	return 0;
}

static inline void fake_rt_start_cpu(struct task *t, uint32_t cpu)
{
	(void)t;
	(void)cpu;
}

static inline void fake_rt_init(struct fake_rt *fake, uint32_t nr_cpus)
{
	memset(fake, 0, sizeof(*fake));
	fake->ops = (struct rt_ops){
		.spawn = fake_rt_spawn,
		.join = fake_rt_join,
		.wait = fake_rt_wait,
		.wake = fake_rt_wake,
		.sleep = fake_rt_sleep,
		.yield = fake_rt_yield,
		.now = fake_rt_now,
		.peek = fake_rt_now,
		.random = fake_rt_random,
		.preempt = fake_rt_preempt,
		.lock_contended = fake_rt_lock_contended,
		.slot_contended = fake_rt_slot_contended,
		.slot_empty = fake_rt_slot_empty,
		.set_cpus = fake_rt_set_cpus,
		.stop_cpu = fake_rt_stop_cpu,
		.start_cpu = fake_rt_start_cpu,
	};
	/* The one task is the favourite of its CPU at once, as a live one is after a while. */
	fake->rt = (struct rt){
		.ops = &fake->ops, .slots = fake->slots, .nr_slots = nr_cpus, .favour_after = 1
	};
	for (uint32_t cpu = 0; cpu < nr_cpus; cpu++)
		fake->slots[cpu].cpu = cpu;
	fake->task.rt = &fake->rt;
	fake->task.slot = &fake->slots[0];
	fake->task.id = 1;
	memcpy(fake->task.name, "test", 5);
	rng_seed(&fake->rng, 1);
}

static inline void fake_rt_attach(struct fake_rt *fake, struct neap_machine *m)
{
	fake->task.machine = m;
}

static inline void fake_rt_cpu(struct fake_rt *fake, uint32_t cpu)
{
	fake->task.slot = &fake->slots[cpu];
}

#endif
