/*
 * shootdown.c: one CPU makes the others forget translations, and waits for them.
 *
 *	CPU 0 asks at a      |----a··········b------>
 *	CPU 1 runs           |--------->
 *	CPU 2 was taken away |--x············b-->         by the host, from x to b
 *
 * A CPU that executes a program answers at once, but for the time it takes to be
 * interrupted (a cost of the asker's, tlb_shootdowns). What it loses by that is a cost
 * of its own (tlb_answers): less than what one loses that forgets of itself
 * (tlb_flushes), as the next question comes before all that is used is looked up again.
 * A virtual CPU whose host is busy elsewhere cannot answer before it runs again; the
 * asker spins until then, and its own turn on the host's processor passes meanwhile.
 * This is why a kswapd that writes pages of a running program gets on so slowly in
 * virtual machines.
 *
 * A CPU that is idle or executes an engine thread is not asked: it forgets when it
 * goes back to a program. A CPU that never executed a program remembers nothing.
 *
 * If no other CPU has ever executed the program, a reclaimer that is the program
 * makes its CPU forget single pages; that is part of what unmapping costs.
 * Otherwise it forgets everything, once for all pages of a batch.
 *
 * What must never happen: a switch to another task. Spinning moves the clock only.
 *
 * Linux: arch_tlbbatch_flush() and flush_tlb_multi() in arch/x86/mm/tlb.c.
 */
#include "rt/sim/sched.h"

static bool shootdown_concerns(const struct sim *sim, uint32_t cpu)
{
	const struct sim_task *st = sim->cpus[cpu].running;

	return st != NULL && !sim_is_kthread(st);
}

/* When the CPU can answer what it is asked at now_ns. */
static uint64_t shootdown_answer_ns(const struct sim_cpu *c, uint64_t now_ns)
{
	return now_ns >= c->away_from_ns ? max_u64(now_ns, c->away_until_ns) : now_ns;
}

uint32_t shootdown_wait(struct task *t, bool all)
{
	struct sim *sim = sim_of(t->rt);
	uint32_t mine = task_cpu(t);
	uint64_t now_ns = clock_charge_ns(sim, mine);
	uint64_t answered_ns = now_ns;
	bool elsewhere = false;
	uint32_t nr = 0;

	for (uint32_t cpu = 0; cpu < sim->config.nr_cpus; cpu++) {
		if (cpu == mine || !cpumask_test(&sim->programs, cpu))
			continue;
		elsewhere = true;
		if (!shootdown_concerns(sim, cpu))
			continue;
		nr++;
		host_exclude(sim, mine, cpu);
		answered_ns = max_u64(answered_ns, shootdown_answer_ns(&sim->cpus[cpu], now_ns));
		if (all)
			clock_count(sim, cpu, sim->config.answer_item);
	}
	if (all && elsewhere && shootdown_concerns(sim, mine))
		clock_count(sim, mine, sim->config.flush_item);
	clock_spin(sim, mine, answered_ns);
	return nr;
}
