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
 * then while its clock goes on. It runs for a time drawn evenly between nothing and
 * twice the mean, and is away likewise. As with a fair scheduler of the host, idle time
 * is credit: who slept keeps the processor longer. But who slept for long finds it
 * taken as often as a running CPU loses it, and waits. For the CPU's tasks the time
 * away is gone, its callbacks are late, and the other CPUs have gone ahead when it
 * comes back.
 *
 * What must never happen: a clock that goes back.
 */
#include <errno.h>
#include <stdlib.h>

#include "rt/sim/sched.h"

#define STILL_MAX 1000u
#define STEP_NS (1 * NSEC_PER_USEC)
#define PS_PER_NS 1000u
/* A host leaves the processor of who sleeps for less to it (CFS: sched_migration_cost, 0.5 ms). */
#define STEAL_HOT_NS (500 * NSEC_PER_USEC)

int clock_take_costs(struct sim *sim, const uint32_t *cost_ps, uint32_t nr_meter)
{
	sim->metered = cost_ps != NULL;
	if (!sim->metered || nr_meter == 0)
		return 0;
	sim->costs = calloc(nr_meter, sizeof(*sim->costs));
	if (sim->costs == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr_meter; i++) {
		if (cost_ps[i] == 0)
			continue;
		sim->costs[sim->nr_costs].item = i;
		sim->costs[sim->nr_costs].cost_ps = cost_ps[i];
		sim->nr_costs++;
	}
	return 0;
}

/* The weighted sum. Two chains of additions, so that the multiplications overlap. */
static uint64_t clock_sum_ps(const struct sim *sim, const uint64_t *meter)
{
	if (sim->nr_costs == 0)
		return 0; /* and maybe no array at all */
	const struct sim_cost *cost = sim->costs;
	const struct sim_cost *end = cost + (sim->nr_costs & ~1u);
	uint64_t even = 0;
	uint64_t odd = 0;

	for (; cost < end; cost += 2) {
		even += meter[cost[0].item] * cost[0].cost_ps;
		odd += meter[cost[1].item] * cost[1].cost_ps;
	}
	if ((sim->nr_costs & 1) != 0)
		even += meter[cost->item] * cost->cost_ps;
	return even + odd;
}

void clock_skip_meter(struct sim *sim, uint32_t cpu)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	c->meter = sim->head.rt.slots[cpu].meter;
	c->metered = c->meter != NULL ? clock_sum_ps(sim, c->meter) : 0;
}

static void clock_go_away(struct sim *sim, struct sim_cpu *c)
{
	c->away_from_ns = c->clock_ns;
	c->clock_ns += rng_below(&c->steal_rng, 2 * sim->config.steal_away_ns + 1);
	c->away_until_ns = c->clock_ns;
}

/* The CPU has run for a while: the host may take the processor away for a while. */
static void clock_steal(struct sim *sim, struct sim_cpu *c, uint64_t ran_ns)
{
	const struct rt_sim_config *config = &sim->config;

	if (c->steal_at_ns == 0)
		c->steal_at_ns = 1 + rng_below(&c->steal_rng, 2 * config->steal_run_ns);
	c->ran_ns += ran_ns;
	if (c->ran_ns < c->steal_at_ns)
		return;
	clock_go_away(sim, c);
	c->ran_ns = 0;
	c->steal_at_ns = 0;
}

void clock_idle(struct sim *sim, uint32_t cpu, uint64_t until_ns)
{
	const struct rt_sim_config *config = &sim->config;
	struct sim_cpu *c = &sim->cpus[cpu];

	if (until_ns <= c->clock_ns)
		return;
	uint64_t idle_ns = until_ns - c->clock_ns;

	c->ran_ns -= min_u64(c->ran_ns, idle_ns);
	c->clock_ns = until_ns;
	if (config->steal_run_ns == 0 || idle_ns < STEAL_HOT_NS ||
	    rng_below(&c->steal_rng, config->steal_run_ns + config->steal_away_ns) <
		    config->steal_run_ns)
		return;
	clock_go_away(sim, c);
}

void clock_spin(struct sim *sim, uint32_t cpu, uint64_t until_ns)
{
	struct sim_cpu *c = &sim->cpus[cpu];

	if (until_ns <= c->clock_ns)
		return;
	uint64_t spun_ns = until_ns - c->clock_ns;

	c->clock_ns = until_ns;
	if (sim->config.steal_run_ns != 0)
		clock_steal(sim, c, spun_ns);
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
	if (sim->config.steal_run_ns != 0)
		clock_steal(sim, c, ps / PS_PER_NS);
	return c->clock_ns;
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
