/*
 * Tasks: who is calling, and how further tasks begin and end.
 *
 *   live       the thread's task is found through a thread-local word. A thread
 *              that has none yet gets one at its first call and gives it back with
 *              neap_thread_detach(), or when the machine ends.
 *   simulated  the running fiber is the task. Outside neap_run() there is none:
 *              calls that need one are refused, those about the whole machine
 *              (texts, knobs, verification) make one for their duration.
 *
 * Every task of the API carries a run of resident accesses that are not counted
 * yet (task.access_run, below 64). It is counted when it is full, before a task
 * sleeps or faults, and when it ends: so the simulator's clocks are right wherever
 * somebody could look, and the hot path pays for one increment.
 *
 * What must never happen: an engine call with a task of another machine. The
 * runtime's look-up compares the machine's serial number.
 *
 * Linux: kernel/fork.c and sched.c play this part; `current` has no counterpart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "core/psi.h"

struct neap_thread {
	struct task *task;
	int (*fn)(void *arg);
	void *arg;
	/* What it has from the task that started it. */
	uint32_t policy_mode;
	uint64_t policy_nodes, policy_mems, mems;
};

struct task *api_task_attach(struct api_machine *a)
{
	char name[TASK_NAME_BYTES] = "neap";
	struct task *t;

	(void)pthread_getname_np(pthread_self(), name, sizeof(name)); /* keeps "neap" if it fails */
	t = rt_live_attach(a->rt, name);
	if (t != NULL) {
		t->machine = &a->m;
		psi_task_begin(t);
	}
	return t;
}

int api_no_task(struct api_machine *a)
{
	if (!a->sim)
		return api_fail(a, -ENOMEM, "There is no memory to attach the calling thread.");
	return api_fail(a, -EINVAL,
			"A simulated machine is used from tasks only: make the call inside"
			" neap_run().");
}

int api_call(struct api_machine *a, int (*fn)(struct task *t, void *arg), void *arg)
{
	struct task *t = api_task(a);

	if (t != NULL) {
		api_access_flush(t);
		return fn(t, arg);
	}
	if (a->sim)
		return rt_sim_run(a->rt, fn, arg);
	return api_no_task(a);
}

void api_access_flush(struct task *t)
{
	uint32_t run = t->access_run;

	/* A watcher must not move the counters; its task counts them a little later. */
	if (run != 0 && likely(!t->machine->watched)) {
		t->access_run = 0;
		event_add(t, EV_SIM_ACCESS, run);
	}
}

NOINLINE void api_access_point(struct api_machine *a, struct task *t)
{
	api_access_flush(t);
	rt_preempt(t);
	if (unlikely(atomic_load_explicit(&a->trace_drain, memory_order_relaxed)))
		api_trace_poll(a, t);
}

struct run_call {
	int (*fn)(void *arg);
	void *arg;
};

static int run_task(struct task *t, void *arg)
{
	struct run_call *call = arg;

	psi_task_begin(t);
	int result = call->fn(call->arg);

	api_access_flush(t);
	if (t->machine->rt->virtual_time)
		psi_task_end(t); /* a live thread goes on after its call */
	return result;
}

int neap_run(struct neap_machine *machine, int (*fn)(void *arg), void *arg)
{
	struct api_machine *a = api_of(machine);
	struct run_call call = { .fn = fn, .arg = arg };

	if (a->sim && rt_sim_current(a->rt) != NULL)
		return api_fail(a, -EINVAL, "neap_run() was called inside neap_run().");
	return api_call(a, run_task, &call);
}

static int thread_main(struct task *t, void *arg)
{
	struct neap_thread *thread = arg;

	t->policy_mode = thread->policy_mode;
	t->policy_nodes = thread->policy_nodes;
	t->policy_mems = thread->policy_mems;
	t->policy_last = NEAP_MAX_NODES - 1;
	t->mems = thread->mems;
	t->flags |= thread->mems != 0 ? PF_CPUSET : 0;
	psi_task_begin(t);
	int result = thread->fn(thread->arg);

	api_access_flush(t);
	psi_task_end(t);
	return result;
}

int neap_thread_start(struct neap_machine *machine, const char *name, int cpu, int (*fn)(void *arg),
		      void *arg, struct neap_thread **out)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	struct cpumask cpus = { { 0 } };
	struct neap_thread *thread;
	int err;

	if (t == NULL)
		return api_no_task(a);
	if (cpu < -1 || cpu >= (int)a->m.nr_cpus ||
	    (cpu >= 0 && !machine_cpu_online(&a->m, (uint32_t)cpu)))
		return api_fail(a, -EINVAL, "CPU %d is not there or offline; the machine has %u.",
				cpu, a->m.nr_cpus);
	thread = calloc(1, sizeof(*thread));
	if (thread == NULL)
		return -ENOMEM;
	thread->fn = fn;
	thread->arg = arg;
	thread->policy_mode = t->policy_mode;
	thread->policy_nodes = t->policy_nodes;
	thread->policy_mems = t->policy_mems;
	thread->mems = t->mems;
	if (cpu >= 0)
		cpumask_set(&cpus, (uint32_t)cpu);
	struct task_spec spec = {
		.name = name != NULL ? name : "neap",
		.fn = thread_main,
		.arg = thread,
		.cpus = cpu >= 0 ? &cpus : NULL,
	};
	api_access_flush(t);
	err = rt_spawn(t, &spec, &thread->task);
	if (err != 0) {
		free(thread);
		return api_fail(a, err, "A thread could not be started: %s.", strerror(-err));
	}
	*out = thread;
	return 0;
}

int neap_thread_join(struct neap_machine *machine, struct neap_thread *thread)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	int result;

	if (t == NULL)
		return api_no_task(a);
	api_access_flush(t);
	result = rt_join(t, thread->task);
	free(thread);
	return result;
}

void neap_thread_detach(struct neap_machine *machine)
{
	struct api_machine *a = api_of(machine);

	if (a->sim)
		return;
	struct task *t = rt_live_current(a->rt);

	if (t != NULL) {
		api_access_flush(t);
		psi_task_end(t);
		rt_live_detach(a->rt);
	}
}

int neap_set_cpu(struct neap_machine *machine, uint32_t cpu)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	struct cpumask cpus = { { 0 } };

	if (t == NULL)
		return api_no_task(a);
	if (cpu >= a->m.nr_cpus || !machine_cpu_online(&a->m, cpu))
		return api_fail(a, -EINVAL, "CPU %u is not there or offline; the machine has %u.",
				cpu, a->m.nr_cpus);
	cpumask_set(&cpus, cpu);
	api_access_flush(t);
	return t->rt->ops->set_cpus(t, &cpus);
}

void neap_sleep(struct neap_machine *machine, uint64_t ns)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t == NULL)
		return;
	api_access_flush(t);
	rt_sleep(t, ns);
	if (atomic_load_explicit(&a->trace_drain, memory_order_relaxed))
		api_trace_poll(a, t);
}

uint64_t neap_now(struct neap_machine *machine)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);

	if (t != NULL) {
		api_access_flush(t);
		return rt_now(t);
	}
	return a->sim ? rt_sim_cpu_clock_ns(a->rt, 0) : 0;
}

void neap_tick(struct neap_machine *machine, uint64_t ticks)
{
	struct api_machine *a = api_of(machine);

	if (!a->sim)
		return;
	struct task *t = rt_sim_current(a->rt);

	if (t == NULL)
		return;
	event_add(t, EV_SIM_TICK, ticks);
	api_access_point(a, t);
}
