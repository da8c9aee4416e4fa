/*
 * Pressure stall information.
 *
 *   task      RUNNING or waiting   STALLED or not        told by the runtime and by sections
 *     │
 *   CPU       number of tasks in each state ──> which states hold ──> time in each
 *     │
 *   machine   totals: each CPU's time, weighted by how busy the CPU was
 *               └─> avg10, avg60, avg300 every 2 s + 1 tick, and triggers
 *
 * States of a CPU: SOME, a task of it is stalled; FULL, a task is stalled and none that is
 * not stalled runs, or the one that runs is itself in a section; NONIDLE, there is any.
 *
 * A CPU's counts and times change under the CPU's word. A task is counted on the CPU on
 * which it was last seen, and moves over when it is seen on another one.
 *
 * Averages are computed by whoever looks first after they are due: the timer thread while
 * there is work, else a reader, for all periods that were missed.
 *
 * What must never happen: a task that ends while it is counted. The API tells begin and
 * end of programs; engine threads live as long as the machine.
 *
 * Linux: kernel/sched/psi.c, 6.1. DIFF: only memory; a task that is runnable and waits
 * for a CPU counts from when it gets the CPU; which task a CPU runs is known from their
 * events only, so that a change between two runnable tasks shows at the next event of one.
 */
#include "core/psi.h"

#include <errno.h>

#include "core/racy.h"
#include "core/sleeplock.h"
#include "core/snapshot.h"
#include "core/timer.h"
#include "core/visit.h"

#define TICK_NS (4 * NSEC_PER_MSEC) /* HZ 250 */
#define PERIOD_NS (2 * NSEC_PER_SEC + TICK_NS)
#define FIXED_SHIFT 11u
#define FIXED_ONE ((uint64_t)1 << FIXED_SHIFT)

/* What is left of an average after one period: e^(-2/10), e^(-2/60), e^(-2/300) of 2048. */
static const uint32_t kept_by_average[PSI_AVERAGES] = { 1677, 1981, 2034 };

/* ---- states of a CPU ---- */

/* Without branches: nobody can foretell them. */
static ALWAYS_INLINE uint32_t cpu_states(const struct psi_cpu *psi)
{
	uint32_t productive = psi->nr[PSI_KNOWN | PSI_RUNNING];
	uint32_t stalled =
		psi->nr[PSI_KNOWN | PSI_STALLED] | psi->nr[PSI_KNOWN | PSI_RUNNING | PSI_STALLED];
	uint32_t some = stalled != 0;
	uint32_t full = some & ((productive == 0) | (uint32_t)psi->current_stalled);
	uint32_t nonidle = (stalled | productive) != 0;

	return some << PSI_SOME | full << PSI_FULL | nonidle << PSI_NONIDLE;
}

/* Adds the time since the last change to the states that held. => the CPU's word is ours */
static ALWAYS_INLINE void cpu_account(struct psi_cpu *psi, uint64_t now)
{
	if (now <= psi->since_ns)
		return; /* another CPU's clock may be a little ahead in virtual time */
	psi->spent_ns[psi->states] += now - psi->since_ns;
	psi->since_ns = now;
}

/* How long a state has held. */
static uint64_t cpu_time_ns(const struct psi_cpu *psi, uint32_t state)
{
	uint64_t sum_ns = 0;

	for (uint32_t states = 0; states < 1u << NR_PSI_STATES; states++)
		if (states & 1u << state)
			sum_ns += psi->spent_ns[states];
	return sum_ns;
}

/* A task goes from one state to another; 0: it is not counted there. */
static ALWAYS_INLINE void cpu_count(struct psi_cpu *psi, uint32_t from, uint32_t to)
{
	psi->nr[from]--;
	psi->nr[to]++;
}

/* Takes the task off the CPU that counts it, which is not the one it is on. Nothing held. */
static void forget_elsewhere(struct task *t)
{
	struct cpu_visit visit;

	if (!cpu_visit(t, t->psi_cpu, &visit))
		return;
	struct psi_cpu *psi = &t->machine->cpus[t->psi_cpu].psi;

	if (psi->epoch == t->psi_epoch) {
		cpu_account(psi, rt_now(t));
		cpu_count(psi, t->psi_state, 0);
		psi->states = cpu_states(psi);
	}
	cpu_leave(t, &visit);
}

/* The task is in this state from now on. => nothing held, not pinned */
static void change(struct task *t, uint32_t state)
{
	if (t->psi_state == state)
		return;
	if (unlikely((t->psi_state & PSI_KNOWN) && t->psi_cpu != task_cpu(t))) {
		forget_elsewhere(t);
		t->psi_state = 0;
	}
	cpu_pin(t);
	struct psi_cpu *psi = &task_cpu_data(t)->psi;
	/* Who is not known has no other bits; a CPU that went may have moved the task just now. */
	bool counted = psi->epoch == t->psi_epoch && t->psi_cpu == task_cpu(t);
	uint32_t from = likely(counted) ? t->psi_state : 0;

	cpu_account(psi, rt_now(t));
	cpu_count(psi, from, state);
	psi->current_stalled = (state & (PSI_RUNNING | PSI_STALLED)) == (PSI_RUNNING | PSI_STALLED);
	psi->states = cpu_states(psi);
	t->psi_cpu = task_cpu(t);
	t->psi_epoch = psi->epoch;
	t->psi_state = state;
	cpu_unpin(t);
}

static uint32_t state_of(const struct task *t)
{
	return (t->psi_state & PSI_KNOWN) ? t->psi_state : PSI_KNOWN | PSI_RUNNING;
}

/* The runtime's word that a task stops or goes on. */
static void task_hook(struct task *t, bool running)
{
	if (t->machine == NULL || t->machine->watched || (t->flags & PF_IRQ))
		return;
	change(t, running ? state_of(t) | PSI_RUNNING : state_of(t) & ~PSI_RUNNING);
}

void psi_init(struct neap_machine *m)
{
	m->rt->task_hook = task_hook;
}

void psi_memstall_enter(struct task *t)
{
	if (t->psi_depth++ != 0)
		return;
	change(t, state_of(t) | PSI_RUNNING | PSI_STALLED);
	timer_kick(t, t->machine);
}

void psi_memstall_leave(struct task *t)
{
	CHECK(t->psi_depth > 0);
	if (--t->psi_depth == 0)
		change(t, state_of(t) & ~PSI_STALLED);
}

/* Both at once, as seen by everybody else: between them nothing would be done. */
void psi_memstall_wait(struct task *t)
{
	if (unlikely(t->psi_depth != 0 || t->machine->watched || t->rt->task_hook == NULL)) {
		psi_memstall_enter(t);
		rt_tell(t, false);
		return;
	}
	t->psi_depth = 1;
	change(t, PSI_KNOWN | PSI_STALLED);
	timer_kick(t, t->machine);
}

void psi_memstall_go_on(struct task *t)
{
	if (unlikely(t->psi_depth != 1 || t->machine->watched || t->rt->task_hook == NULL)) {
		rt_tell(t, true);
		psi_memstall_leave(t);
		return;
	}
	t->psi_depth = 0;
	change(t, PSI_KNOWN | PSI_RUNNING);
}

void psi_task_begin(struct task *t)
{
	change(t, PSI_KNOWN | PSI_RUNNING);
}

void psi_task_end(struct task *t)
{
	change(t, 0);
}

/* ---- totals and averages ---- */

uint64_t psi_average_step(uint64_t average, uint32_t kept, uint64_t percent)
{
	uint64_t active = percent * FIXED_ONE;
	uint64_t sum = average * kept + active * (FIXED_ONE - kept);

	/* Upwards an average is rounded up, so that it reaches what it approaches. */
	if (active >= average)
		sum += FIXED_ONE - 1;
	return sum / FIXED_ONE;
}

uint64_t psi_average_decay(uint64_t average, uint32_t kept, uint64_t n)
{
	uint64_t factor = FIXED_ONE;
	uint64_t power = kept;

	/* kept^n by squaring, rounded at each step. */
	for (; n != 0; n >>= 1) {
		if (n & 1)
			factor = (factor * power + FIXED_ONE / 2) >> FIXED_SHIFT;
		power = (power * power + FIXED_ONE / 2) >> FIXED_SHIFT;
	}
	return average * factor / FIXED_ONE;
}

void psi_cpu_offline(struct task *t, uint32_t cpu)
{
	struct psi_cpu *psi = &t->machine->cpus[cpu].psi;

	cpu_account(psi, rt_now(t));
	for (uint32_t state = 0; state < PSI_TASK_STATES; state++)
		psi->nr[state] = 0;
	psi->current_stalled = false;
	psi->states = 0;
	psi->epoch++;
}

/* One CPU's part since the last time, as time in each state. Nothing held. */
static void take_cpu(struct task *t, uint32_t cpu, uint64_t delta_ns[NR_PSI_STATES])
{
	struct cpu_visit visit;

	for (uint32_t state = 0; state < NR_PSI_STATES; state++)
		delta_ns[state] = 0;
	if (!cpu_visit(t, cpu, &visit))
		return; /* offline: what it had was taken when it went, or will be when it is back
			 */
	struct psi_cpu *psi = &t->machine->cpus[cpu].psi;

	cpu_account(psi, rt_now(t));
	for (uint32_t state = 0; state < NR_PSI_STATES; state++) {
		uint64_t time_ns = cpu_time_ns(psi, state);

		delta_ns[state] = time_ns - psi->seen_ns[state];
		psi->seen_ns[state] = time_ns;
	}
	cpu_leave(t, &visit);
}

/* => updating held */
static void take_totals(struct task *t, struct neap_machine *m)
{
	uint64_t sum_ns[NR_PSI_STATES] = { 0 };
	uint64_t weights = 0;

	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		uint64_t delta_ns[NR_PSI_STATES];

		take_cpu(t, cpu, delta_ns);
		uint64_t weight = delta_ns[PSI_NONIDLE] / TICK_NS;

		weights += weight;
		for (uint32_t state = 0; state < PSI_NONIDLE; state++)
			sum_ns[state] += delta_ns[state] * weight;
	}
	for (uint32_t state = 0; state < PSI_NONIDLE; state++)
		atomic_fetch_add(&m->psi.total_ns[state], sum_ns[state] / max_u64(weights, 1));
}

/* => updating held; the averages are due */
static void take_averages(struct neap_machine *m, uint64_t now)
{
	struct psi_machine *psi = &m->psi;
	uint64_t missed = (now - psi->due_ns) / PERIOD_NS;
	uint64_t length_ns = now - (psi->updated_ns + missed * PERIOD_NS);

	psi->due_ns += (1 + missed) * PERIOD_NS;
	psi->updated_ns = now;
	for (uint32_t state = 0; state < PSI_NONIDLE; state++) {
		uint64_t sample_ns = atomic_load(&psi->total_ns[state]) - psi->reported_ns[state];

		/* What does not fit into the period is left for the next one. */
		sample_ns = min_u64(sample_ns, length_ns);
		psi->reported_ns[state] += sample_ns;
		for (uint32_t i = 0; i < PSI_AVERAGES; i++) {
			uint64_t average = atomic_load(&psi->average[state][i]);

			average = psi_average_decay(average, kept_by_average[i], missed);
			atomic_store(&psi->average[state][i],
				     psi_average_step(average, kept_by_average[i],
						      sample_ns * 100 / length_ns));
		}
	}
}

void psi_update(struct task *t, struct neap_machine *m)
{
	uint64_t now = rt_now(t);

	if (!sleeplock_try(&m->psi.updating))
		return; /* somebody else does it at this moment */
	take_totals(t, m);
	if (m->psi.due_ns == 0)
		m->psi.due_ns = PERIOD_NS;
	if (now >= m->psi.due_ns)
		take_averages(m, now);
	sleeplock_release(t, &m->psi.updating);
}

void psi_fill_snapshot(struct neap_machine *m, struct snapshot *out)
{
	struct snapshot_psi *line[PSI_NONIDLE] = { &out->psi_some, &out->psi_full };

	for (uint32_t state = 0; state < PSI_NONIDLE; state++) {
		line[state]->total_us = atomic_load(&m->psi.total_ns[state]) / NSEC_PER_USEC;
		for (uint32_t i = 0; i < PSI_AVERAGES; i++) {
			uint64_t average = atomic_load(&m->psi.average[state][i]);

			line[state]->average_hundredths[i] =
				(uint32_t)((average >> FIXED_SHIFT) * 100 +
					   (((average & (FIXED_ONE - 1)) * 100) >> FIXED_SHIFT));
		}
	}
}
