/*
 * rt_bench.h: what the tests of the simulated runtime share.
 *
 * Work is simulated by adding to the CPU's meter: item 0 costs 1 ns, item 1 costs
 * 333 ps, item 2 nothing; item 3 counts context switches. Since time is virtual,
 * exact times are asserted. Property tests print their seed; NEAP_SEED repeats one.
 */
#ifndef NEAP_TESTS_RT_BENCH_H
#define NEAP_TESTS_RT_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aborts.h"
#include "rt/sim/sim.h"

#define ITEM_NS 0
#define ITEM_ODD 1
#define ITEM_FREE 2
#define ITEM_SWITCH 3
#define NR_ITEMS 4
#define MAX_CPUS 8u
#define MSEC NSEC_PER_MSEC
#define USEC NSEC_PER_USEC

static const uint32_t cost_ps[NR_ITEMS] = { 1000, 333, 0, 0 };

/* One simulated machine with meters. */
struct bench {
	struct rt *rt;
	uint64_t meters[MAX_CPUS][NR_ITEMS];
};

/* Adds to a meter item, as whoever counts does. */
static inline void count(struct task *t, uint32_t item, uint64_t nr)
{
	t->slot->meter[item] += nr;
	t->slot->worth_ps += nr * cost_ps[item];
}

static inline uint64_t test_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;

	print_message("NEAP_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline struct rt_sim_config plain_config(uint32_t nr_cpus)
{
	const struct rt_sim_config config = {
		.nr_cpus = nr_cpus,
		.seed = 1,
		.cost_ps = cost_ps,
		.nr_meter = NR_ITEMS,
		.switch_item = ITEM_SWITCH,
		.flush_item = RT_SIM_NO_ITEM,
		.answer_item = RT_SIM_NO_ITEM,
	};

	return config;
}

static inline void bench_open(struct bench *bench, const struct rt_sim_config *config)
{
	memset(bench, 0, sizeof(*bench));
	CHECK(rt_sim_create(config, &bench->rt) == 0);
	for (uint32_t cpu = 0; cpu < config->nr_cpus; cpu++)
		bench->rt->slots[cpu].meter = bench->meters[cpu];
	rt_sim_skip_meters(bench->rt);
}

static inline void bench_open_plain(struct bench *bench, uint32_t nr_cpus)
{
	const struct rt_sim_config config = plain_config(nr_cpus);

	bench_open(bench, &config);
}

/* Works for ns of virtual time, with a preempt point after each microsecond. */
static inline void work(struct task *t, uint64_t ns)
{
	while (ns > 0) {
		uint64_t step_ns = min_u64(ns, USEC);

		count(t, ITEM_NS, step_ns);
		ns -= step_ns;
		rt_preempt(t);
	}
}

static inline struct task *spawn_on(struct task *t, const struct task_spec *spec, uint32_t cpu)
{
	struct task_spec placed = *spec;
	struct cpumask mask = { { 0 } };
	struct task *child = NULL;

	cpumask_set(&mask, cpu);
	placed.cpus = &mask;
	CHECK(rt_spawn(t, &placed, &child) == 0);
	return child;
}

#endif
