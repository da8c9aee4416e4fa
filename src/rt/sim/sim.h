/*
 * The simulated runtime: fibers, a virtual clock for each CPU, a seeded scheduler.
 * sim.c and sched.c describe it; port/rt.h is the contract that it keeps.
 */
#ifndef NEAP_RT_SIM_SIM_H
#define NEAP_RT_SIM_SIM_H

#include "port/rt.h"

#define RT_SIM_NO_ITEM UINT32_MAX

struct rt_sim_config {
	uint32_t nr_cpus; /* 1..NEAP_MAX_CPUS */
	uint64_t seed;
	/*
	 * Picoseconds per increment of meter item i; nr_meter of them, copied. NULL: each
	 * preempt point costs 1 us.
	 */
	const uint32_t *cost_ps;
	uint32_t nr_meter;
	uint64_t quantum_ns;	  /* how far a CPU may run ahead of the next; 0 = 20 us */
	uint64_t slice_ns;	  /* turn of one task when several share a CPU; 0 = 4 ms */
	uint64_t wake_latency_ns; /* until a woken engine thread preempts; 0 = at once */
	/*
	 * Virtual CPUs on a busy host (host.c): thousandths of host_others_permille other threads
	 * want one of its processors, as do our CPUs with work; in a round each thread of a
	 * processor has a turn. Each host_balance_ns a thread goes to a less crowded one.
	 * host_round_ns 0: our CPUs have processors of their own.
	 */
	uint64_t host_round_ns, host_balance_ns;
	uint64_t host_stay_ns; /* how long another is there in the mean; 0: always, rounded */
	/* How long two of ours are on one processor in the mean, and on two; apart 0: no rule. */
	uint64_t host_together_ns, host_apart_ns;
	uint32_t host_processors; /* 1..16, if host_round_ns is given */
	uint32_t host_others_permille;
	uint32_t switch_item; /* meter item counted at each context switch; RT_SIM_NO_ITEM = none */
	uint32_t flush_item;  /* the same for each time a CPU forgets all translations */
	uint32_t answer_item; /* the same when another CPU made it do so */
	bool explore;	      /* also switch CPUs at random, under locks too */
	uint64_t end_ns;      /* virtual time at which rt_sim_run() gives up; 0 = never */
};

/* The part of the runtime that rt_sim_current() needs. */
struct rt_sim_head {
	struct rt rt;
	struct task *current; /* the task that runs, also in completion context; NULL outside */
};

/* => 0 and *out, -EINVAL (nr_cpus, or switch_item without meter item), or -ENOMEM */
int MUST_CHECK rt_sim_create(const struct rt_sim_config *config, struct rt **out);

/* Frees everything, suspended tasks too. => not called from a task */
void rt_sim_destroy(struct rt *rt);

/*
 * Runs fn as task "main", beginning on CPU 0, and with it the whole simulation
 * until fn returns; gives back its result. Other tasks stay suspended where they
 * are and go on in the next run. A later run begins at the time when the one
 * before ended.
 * => -ETIME when end_ns is reached first: then no task runs any more (a later run
 *    returns -ETIME at once) unless rt_sim_set_end_ns() moves the end
 * => -ENOMEM when there is no room for the task
 * => not called from a task. => stops the program when all tasks wait for ever
 */
int rt_sim_run(struct rt *rt, int (*fn)(struct task *t, void *arg), void *arg);

/* Moves the end of the simulation; 0 = never. => not called from a task */
void rt_sim_set_end_ns(struct rt *rt, uint64_t end_ns);

/* The task that runs; NULL outside rt_sim_run(). */
static inline struct task *rt_sim_current(struct rt *rt)
{
	return ((const struct rt_sim_head *)(const void *)rt)->current;
}

/* The machine of the CPUs' completion tasks and of tasks created from now on. */
void rt_sim_set_machine(struct rt *rt, struct neap_machine *machine);

/*
 * Takes note of what the meters show without charging it, for an engine that
 * fills its counts with observed values. A meter that is set for the first time
 * is taken the same way: what it shows then is not time.
 */
void rt_sim_skip_meters(struct rt *rt);

/* For tests: the nth next spawn (1 = the next one) fails with -EAGAIN; 0 = none. */
void rt_sim_fail_spawn(struct rt *rt, int nth);

/* The clock of a CPU, as of its last preempt point. */
uint64_t rt_sim_cpu_clock_ns(const struct rt *rt, uint32_t cpu);

/* The deepest any stack has ever been. 0 under valgrind. */
size_t rt_sim_stack_high_water(const struct rt *rt);

#endif
