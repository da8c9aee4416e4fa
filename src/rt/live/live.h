/*
 * The runtime on real threads: POSIX threads, futexes, the monotonic clock.
 * live.c describes it; port/rt.h is the contract that it keeps.
 */
#ifndef NEAP_RT_LIVE_LIVE_H
#define NEAP_RT_LIVE_LIVE_H

#include "port/rt.h"

/* The part of the runtime that rt_live_current() needs. */
struct rt_live_head {
	struct rt rt;
	uint64_t serial; /* I: differs from that of every other runtime of the process, never 0 */
};

/* What the calling thread used last. The serial, not the address, says whose task it is. */
struct rt_live_tls {
	uint64_t serial;
	struct task *task;
};

/* Initial-exec keeps the look-up at two loads in the shared library too. */
extern _Thread_local struct rt_live_tls rt_live_tls __attribute__((tls_model("initial-exec")));

/* How often a task met contention, and how often it gave the CPU away because of it. */
struct rt_live_contention {
	uint64_t locks;
	uint64_t slots;
	uint64_t yields;
};

/*
 * Creates a runtime with nr_cpus slots, 1..NEAP_MAX_CPUS.
 * => 0 and *out, -EINVAL, or -ENOMEM
 */
int MUST_CHECK rt_live_create(uint32_t nr_cpus, struct rt **out);

/*
 * Frees the runtime and the tasks of all threads that are still attached.
 * => every spawned task has been joined, and no thread uses the runtime any more
 */
void rt_live_destroy(struct rt *rt);

/*
 * Gives the calling thread a task with a home slot of its own choice (round
 * robin), or returns the one it has.
 * => NULL only when memory is short
 */
struct task *rt_live_attach(struct rt *rt, const char *name);

/* Frees the calling thread's task, if it has one. => nothing held. => not in a spawned task */
void rt_live_detach(struct rt *rt);

/* The slow half of rt_live_current(): looks in the thread's list. */
struct task *rt_live_current_slow(struct rt *rt);

/* The same if this runtime is the one that the thread used last; else NULL. */
static inline struct task *rt_live_current_known(struct rt *rt)
{
	bool known = rt_live_tls.serial == ((const struct rt_live_head *)(const void *)rt)->serial;

	return likely(known) ? rt_live_tls.task : NULL;
}

/* The calling thread's task in this runtime; NULL when it has none. */
static inline struct task *rt_live_current(struct rt *rt)
{
	if (likely(rt_live_tls.serial == ((const struct rt_live_head *)(const void *)rt)->serial))
		return rt_live_tls.task;
	return rt_live_current_slow(rt);
}

/* For tests: the nth next spawn (1 = the next one) fails with -EAGAIN; 0 = none. */
void rt_live_fail_spawn(struct rt *rt, int nth);

/* => t is the calling thread's, or does not run */
struct rt_live_contention rt_live_get_contention(const struct task *t);

#endif
