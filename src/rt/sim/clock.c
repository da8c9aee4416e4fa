/*
 * clock.c: from counts to time.
 *
 * The engine counts what it does on each CPU in an array that only grows, the
 * CPU's meter. Time is the sum over its items of count x cost:
 *
 *	meter[i]   12  0  407  3 ...         counts, the engine's
 *	costs      (item 0: 250 ps) (item 2: 90 000 ps) ...   only what costs
 *	metered    12*250 + 407*90000 + ...  at the last charge, modulo 2^64
 *
 *	charge:  new sum - metered -> carry_ps -> whole nanoseconds to clock_ns
 *
 * The sum is formed anew at each charge instead of remembering every count: one
 * number to keep, and the difference of two sums modulo 2^64 is exact as long as
 * fewer than 2^64 ps (213 days) pass between two charges. Less than a nanosecond
 * is carried over, so no time is lost or invented however often a clock is read.
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
#define SUM_ROW 4u /* items of one round of the sum */
#define STEP_NS (1 * NSEC_PER_USEC)
#define PS_PER_NS 1000u

int clock_take_costs(struct sim *sim, const uint32_t *cost_ps, uint32_t nr_meter)
{
	sim->metered = cost_ps != NULL;
	if (!sim->metered || nr_meter == 0)
		return 0;
	sim->costs = calloc(nr_meter + SUM_ROW, sizeof(*sim->costs));
	if (sim->costs == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_meter; i++) {
		if (cost_ps[i] == 0)
			continue;
		sim->costs[sim->nr_costs].item = i;
		sim->costs[sim->nr_costs].cost_ps = cost_ps[i];
		sim->nr_costs++;
	}
	/* The rest of the last row: item 0, which costs nothing there. */
	sim->nr_costs = (uint32_t)round_up_u64(sim->nr_costs, SUM_ROW);
	return 0;
}

/* The weighted sum. Chains of additions beside each other, so that the multiplications overlap. */
static uint64_t clock_sum_ps(const struct sim *sim, const uint64_t *meter)
{
	if (sim->nr_costs == 0)
		return 0; /* and maybe no array at all */
	const struct sim_cost *cost = sim->costs;
	const struct sim_cost *end = cost + sim->nr_costs;
	uint64_t even = 0;
	uint64_t odd = 0;

	for (; cost < end; cost += SUM_ROW) {
		even += meter[cost[0].item] * cost[0].cost_ps;
		odd += meter[cost[1].item] * cost[1].cost_ps;
		even += meter[cost[2].item] * cost[2].cost_ps;
		odd += meter[cost[3].item] * cost[3].cost_ps;
	}
	return even + odd;
}

void clock_skip_meter(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	c->meter = sim->head.rt.slots[cpu].meter;
	c->metered = c->meter != NULL ? clock_sum_ps(sim, c->meter) : 0;
}

void clock_idle(struct sim *sim, uint32_t cpu, uint64_t until_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (until_ns <= c->clock_ns)
		return;
	uint64_t idle_ns = until_ns - c->clock_ns;

	c->clock_ns = until_ns;
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

uint64_t clock_charge_ns(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	const uint64_t *meter = sim->head.rt.slots[cpu].meter;

	if (unlikely(meter != c->meter))
		clock_skip_meter(sim, cpu);
	if (meter == NULL || sim->nr_costs == 0)
		return c->clock_ns;
	uint64_t sum = clock_sum_ps(sim, meter);
	uint64_t ps = c->carry_ps + (sum - c->metered);

	c->metered = sum;
	c->clock_ns += ps / PS_PER_NS;
	c->carry_ps = ps % PS_PER_NS;
	host_run(sim, cpu, ps / PS_PER_NS);
	return c->clock_ns;
}

void clock_settle(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	DCHECK(c->meter != sim->head.rt.slots[cpu].meter || c->meter == NULL ||
	       sim->nr_costs == 0 || clock_sum_ps(sim, c->meter) == c->metered);
	host_run(sim, cpu, 0);
}

uint64_t clock_preempt_ns(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];
	uint64_t now_ns = clock_charge_ns(sim, cpu);

	if (likely(now_ns != c->preempted_ns && sim->metered)) {
		c->preempted_ns = now_ns;
		c->still = 0;
		return now_ns;
	}
	if (!sim->metered || ++c->still >= STILL_MAX) {
		c->still = 0;
		c->clock_ns += STEP_NS;
		c->preempted_ns = c->clock_ns;
	}
	return c->clock_ns;
}

void clock_count(struct sim *sim, uint32_t cpu, uint32_t item)
{
	uint64_t *meter = sim->head.rt.slots[cpu].meter;

	if (meter != NULL && item != RT_SIM_NO_ITEM)
		meter[item]++;
}
