/*
 * clock.c: from counts to time.
 *
 * The engine counts what it does on each CPU in an array that only grows, the
 * CPU's meter. Time is the sum over its items of count x cost:
 *
 *	meter[i]   12  0  407  3 ...         counts, the engine's
 *	costs      (item 0: 250 ps) (item 2: 90 000 ps) ...   only what costs
 *	worth_ps   12*250 + 407*90000 + ...  the slot's, modulo 2^64
 *
 *	charge:  worth_ps - what it was at the last charge -> carry_ps -> whole nanoseconds
 *
 * Who counts keeps the sum: each increment adds its cost to the slot's worth_ps
 * (port/rt.h, TIME). The clock takes the difference of two looks at this number,
 * which is exact modulo 2^64 as long as fewer than 2^64 ps (213 days) pass between
 * them. Less than a nanosecond is carried over, so no time is lost or invented
 * however often a clock is read. Debug builds form the sum over the meter at each
 * look and compare.
 *
 * Standing still. A loop that counts nothing would never let another CPU catch
 * up with it. After STILL_MAX preempt points without progress the clock moves by
 * a microsecond, which only such a loop ever notices.
 *
 * Stolen time. A virtual CPU whose host has other things to do stands still now and
 * then while its clock goes on: see host.c.
 *
 * What must never happen: a clock that goes back.
 */
#include <errno.h>
#include <stdlib.h>

#include "rt/sim/sched.h"

#define STILL_MAX 1000u
#define STEP_NS (1 * NSEC_PER_USEC)

int clock_take_costs(struct sim *sim, const uint32_t *cost_ps, uint32_t nr_meter)
{
	uint32_t *own;

	sim->metered = cost_ps != NULL;
	if (!sim->metered || nr_meter == 0)
		return 0;
	own = calloc(nr_meter, sizeof(*own));
	if (own == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_meter; i++) {
		own[i] = cost_ps[i];
		sim->costs_time |= cost_ps[i] != 0;
	}
	sim->head.rt.cost_ps = own;
	return 0;
}

bool clock_verify(const struct sim *sim, uint32_t cpu)
{
	const struct cpu_slot *slot = &sim->head.rt.slots[cpu];
	uint64_t sum = 0;

	if (slot->meter == NULL || sim->head.rt.cost_ps == NULL)
		return true;
	for (uint32_t i = 0; i < sim->config.nr_meter; i++)
		sum += slot->meter[i] * sim->head.rt.cost_ps[i];
	return sum == slot->worth_ps;
}

void clock_skip_meter(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	c->meter = sim->head.rt.slots[cpu].meter;
	/* The CPU's own place is no meter, and not NULL. */
	c->plain = sim->config.host_round_ns == 0 ? (const void *)c->meter : c;
	c->metered = sim->head.rt.slots[cpu].worth_ps;
}

void clock_idle_until(struct sim *sim, uint32_t cpu, uint64_t until_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	uint64_t idle_ns = until_ns - c->clock_ns;

	c->clock_ns = until_ns;
	if (sim->config.host_round_ns != 0)
		host_wake(sim, cpu, idle_ns);
}

void clock_spin(struct sim *sim, uint32_t cpu, uint64_t until_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	/* Each pass takes at least a nanosecond, and all but the last take a turn. */
	while (c->clock_ns < until_ns) {
		uint64_t step_ns = min_u64(until_ns - c->clock_ns, host_turn_left_ns(sim, c));

		c->clock_ns += step_ns;
		host_run(sim, cpu, step_ns);
	}
}

uint64_t clock_charge_slow(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	uint64_t before_ns = c->clock_ns;

	if (sim->head.rt.slots[cpu].meter != c->meter)
		clock_skip_meter(sim, cpu);
	if (c->meter == NULL || !sim->costs_time)
		return c->clock_ns;
	clock_take_worth(c, &sim->head.rt.slots[cpu]);
	host_run(sim, cpu, c->clock_ns - before_ns);
	return c->clock_ns;
}

void clock_settle_host(struct sim *sim, uint32_t cpu)
{
	DCHECK(sim->cpus[cpu].meter != sim->head.rt.slots[cpu].meter ||
	       sim->head.rt.slots[cpu].worth_ps == sim->cpus[cpu].metered);
	host_run(sim, cpu, 0);
}

uint64_t clock_preempt_still_ns(struct sim *sim, struct sim_cpu *c)
{
	if (!sim->metered || ++c->still >= STILL_MAX) {
		c->still = 0;
		c->clock_ns += STEP_NS;
		c->preempted_ns = c->clock_ns;
	}
	return c->clock_ns;
}

void clock_count(struct sim *sim, uint32_t cpu, uint32_t item)
{
	struct cpu_slot *slot = &sim->head.rt.slots[cpu];

	if (slot->meter == NULL || item == RT_SIM_NO_ITEM)
		return;
	slot->meter[item]++;
	if (sim->head.rt.cost_ps != NULL)
		slot->worth_ps += sim->head.rt.cost_ps[item];
}
