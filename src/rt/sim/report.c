/*
 * report.c: what is printed when the simulation cannot go on.
 *
 * In virtual time "nothing happens any more" is a fact and not an impression:
 * when no task is runnable and no event is due, none ever will be. The program
 * stops then, with one line for each task that says what it waits for, on which
 * CPU and since when:
 *
 *	neap: simulation stands still at 1200000 ns
 *	neap:   main (1) CPU 0: joins writer (3) since 0 ns
 *	neap:   kswapd0 (2) CPU 1: waits on a word that is 0 since 40000 ns
 *	neap:   writer (3) CPU 0: waits on a word that is 1 since 1200000 ns
 *	neap: deadlock: every task waits or spins, and no event is pending
 *
 * Engine threads with periodic work never stand still: while a schedule is explored, programs that
 * have all waited without a limit for ten minutes are told in the same way.
 *
 * The other way to stand still is a spin lock or a slot that is taken although
 * nobody can give it back: outside exploration tasks change only where they hold
 * nothing, so a taken lock means a preempt point (or a wait) under that lock; in
 * exploration it means that all CPUs wait for each other's locks.
 *
 * No addresses are printed: the same seed prints the same lines.
 */
#include <inttypes.h>
#include <stdio.h>

#include "rt/panic.h"
#include "rt/sim/sched.h"

/* The task that waits for `child` to end is known to the child only. */
static const struct sim_task *report_joined(struct sim *sim, const struct sim_task *joiner)
{
	for (struct sim_link *at = sim->tasks.next; at != &sim->tasks; at = at->next)
		if (sim_task_in(at, all)->joiner == joiner)
			return sim_task_in(at, all);
	return NULL;
}

/* Says in `buf` what the task is doing. */
static void report_state(struct sim *sim, const struct sim_task *st, char *buf, size_t bytes)
{
	const struct sim_task *joined;

	switch (st->state) {
	case SIM_QUEUED:
		snprintf(buf, bytes, "is runnable from %" PRIu64 " ns on", st->ready_ns);
		return;
	case SIM_RUNNING:
		snprintf(buf, bytes, st->spin_word != NULL ? "spins" : "is running");
		return;
	case SIM_WAITING:
		snprintf(buf, bytes, "waits on a word that is %u since %" PRIu64 " ns",
			 atomic_load(st->word), st->since_ns);
		return;
	case SIM_SLEEPING:
		snprintf(buf, bytes, "sleeps since %" PRIu64 " ns", st->since_ns);
		return;
	case SIM_JOINING:
		joined = report_joined(sim, st);
		snprintf(buf, bytes, "joins %s (%u) since %" PRIu64 " ns",
			 joined != NULL ? joined->task.name : "?",
			 joined != NULL ? joined->task.id : 0, st->since_ns);
		return;
	case SIM_DONE:
		snprintf(buf, bytes, "ended at %" PRIu64 " ns", st->since_ns);
		return;
	}
}

static void report_classes(const struct task *t)
{
	for (uint32_t class_bit = 0; class_bit < NR_LOCK_CLASSES; class_bit++)
		if ((t->held & (1u << class_bit)) != 0)
			fprintf(stderr, ", holds %s",
				panic_lock_class_name((enum lock_class)class_bit));
	if (t->pin_depth != 0)
		fprintf(stderr, ", has pinned its CPU");
	fputc('\n', stderr);
}

/* One line for each task; also tasks that have ended and were not joined. */
static void report_tasks(struct sim *sim)
{
	char state[96];

	for (struct sim_link *at = sim->tasks.next; at != &sim->tasks; at = at->next) {
		const struct sim_task *st = sim_task_in(at, all);

		report_state(sim, st, state, sizeof(state));
		fprintf(stderr, "neap:   %s (%u) CPU %u: %s", st->task.name, st->task.id,
			task_cpu(&st->task), state);
		report_classes(&st->task);
	}
}

NORETURN void report_deadlock(struct sim *sim)
{
	uint64_t last_ns = 0;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++)
		last_ns = max_u64(last_ns, sim->cpus[cpu].clock_ns);
	fprintf(stderr, "neap: simulation stands still at %" PRIu64 " ns\n", last_ns);
	report_tasks(sim);
	panic_stop("deadlock: every task waits or spins, and no event is pending");
}

NORETURN void report_lost(struct sim *sim, uint64_t waited_ns)
{
	fprintf(stderr, "neap: all programs stand still\n");
	report_tasks(sim);
	panic_stop("a wake-up is lost: no program has run for %" PRIu64
		   " s, and each waits without a limit",
		   waited_ns / NSEC_PER_SEC);
}

NORETURN void report_contention(struct sim *sim, const struct task *t, const char *what)
{
	fprintf(stderr, "neap: task %s (%u) on CPU %u found %s taken\n", t->name, t->id,
		task_cpu(t), what);
	report_tasks(sim);
	if (sim->head.rt.explore)
		panic_stop("deadlock: no other CPU can run to give %s back", what);
	panic_stop("%s was held across a preempt point or a wait", what);
}
