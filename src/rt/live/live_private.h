/* What live.c (the life of tasks) and live_wait.c (waiting) share. */
#ifndef NEAP_RT_LIVE_LIVE_PRIVATE_H
#define NEAP_RT_LIVE_LIVE_PRIVATE_H

#include <pthread.h>
#include <sched.h>

#include "rt/live/live.h"

struct live;

/* Legend: I immutable after creation, o owner thread only, a atomic, g the registry's mutex. */
struct live_task {
	struct task task;		      /* first: a task pointer is a live_task pointer */
	struct live_task *next;		      /* g: list of the runtime's tasks */
	struct live_task *prev;		      /* g */
	pthread_t thread;		      /* I once spawned */
	bool spawned;			      /* I */
	int result;			      /* o until joined */
	int (*fn)(struct task *t, void *arg); /* I: spawned tasks only */
	void *arg;			      /* I */
	struct live_member *member;	      /* o: until the thread has entered it in its list */
	struct cpumask cpus;		      /* I: where it may run when it starts */
	_Atomic uint32_t moved_to;	      /* a: CPU + 1 it should move to, 0 = none */
	struct rt_live_contention contention; /* o */
};

struct live {
	struct rt_live_head head;		      /* first: an rt pointer is a live pointer */
	struct live *next;			      /* g: list of the process's runtimes */
	struct live_task *tasks;		      /* g: any order */
	uint64_t start_ns;			      /* I: monotonic clock at creation */
	_Atomic uint32_t next_id;		      /* a */
	_Atomic uint32_t next_program;		      /* a: round robin of ordinary tasks */
	_Atomic uint32_t next_kthread;		      /* a: round robin of engine threads */
	_Atomic int fail_spawn;			      /* a: countdown of rt_live_fail_spawn() */
	_Atomic uint64_t stopped[NEAP_MAX_CPUS / 64]; /* a: CPUs that no task should be on */
	cpu_set_t process_cpus;			      /* I: real CPUs the process may use */
};

static inline struct live *live_of(struct rt *rt)
{
	return (struct live *)(void *)rt;
}

static inline struct live_task *live_task_of(struct task *t)
{
	return (struct live_task *)(void *)t;
}

/* CPUs of the mask that the runtime has and that are not stopped; all of them for NULL. */
struct cpumask live_usable_cpus(const struct live *live, const struct cpumask *mask);

/* The next CPU of the mask in turn. An empty mask (a node without CPUs) means all CPUs. */
uint32_t live_choose_cpu(const struct live *live, const struct cpumask *mask,
			 _Atomic uint32_t *turn);

/* The functions of live_wait.c in the operation table. */
int live_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns);
void live_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr);
void live_sleep(struct task *t, uint64_t ns);
void live_yield(struct task *t);
uint64_t live_now(struct task *t);
uint64_t live_random(struct task *t);
void live_preempt(struct task *t);
void live_lock_contended(struct task *t, struct spinlock *lock, enum lock_class class);
void live_slot_contended(struct task *t, struct cpu_slot *slot);
/* => false: the system has no such barrier (or a sanitizer would not understand it) */
bool live_fence_prepare(void);
void live_slot_empty(struct task *t, struct cpu_slot *slot);
int live_set_cpus(struct task *t, const struct cpumask *cpus);
int live_stop_cpu(struct task *t, uint32_t cpu);
void live_start_cpu(struct task *t, uint32_t cpu);
int live_call_at(struct task *t, uint32_t cpu, uint64_t at_ns, rt_call_fn fn, void *arg, uint64_t a,
		 uint64_t b);

/* The monotonic clock of the machine below. */
uint64_t live_clock_ns(void);

/* Restricts a thread to the real CPUs with the numbers of `cpus`, if the computer has them all. */
void live_bind_thread(const struct live *live, pthread_t thread, const struct cpumask *cpus);

#endif
