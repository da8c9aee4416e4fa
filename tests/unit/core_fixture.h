/*
 * A machine for unit tests of the engine: built on fake_rt.h and fake_hw.h from a
 * short list of zones.
 *
 *   struct core_fixture f;
 *   struct machine_desc desc;
 *   core_desc_init(&desc, nr_nodes, nr_cpus);       CPUs split evenly, distances 10 and 20
 *   core_desc_zone(&desc, 0, ZONE_NORMAL, 4096, 8192);
 *   core_setup(&f, &desc);  ... f.m, f.t ...  core_teardown(&f);
 */
#ifndef NEAP_TESTS_CORE_FIXTURE_H
#define NEAP_TESTS_CORE_FIXTURE_H

#include "core/machine.h"

#include "fake_hw.h"
#include "fake_rt.h"

struct core_fixture {
	struct fake_rt rt;
	struct fake_hw hw;
	struct neap_machine *m;
	struct task *t;
};

static inline void core_desc_init(struct machine_desc *desc, uint32_t nr_nodes, uint32_t nr_cpus)
{
	memset(desc, 0, sizeof(*desc));
	desc->nr_nodes = nr_nodes;
	desc->nr_cpus = nr_cpus;
	desc->has_swap = true;
	for (uint32_t n = 0; n < nr_nodes; n++)
		for (uint32_t k = 0; k < nr_nodes; k++)
			desc->node[n].distance[k] = n == k ? 10 : 20;
	for (uint32_t cpu = 0; cpu < nr_cpus; cpu++)
		cpumask_set(&desc->node[cpu * nr_nodes / nr_cpus].cpus, cpu);
}

/* A zone without holes. */
static inline void core_desc_zone(struct machine_desc *desc, uint32_t node, enum zone_type type,
				  uint32_t start_pfn, uint32_t pages)
{
	desc->node[node].zone[type] = (struct machine_zone_desc){
		.start_pfn = start_pfn,
		.spanned = pages,
		.present = pages,
		.managed = pages,
	};
}

/* => machine_build()'s result; the fixture needs core_teardown() in any case */
static inline int core_setup(struct core_fixture *f, const struct machine_desc *desc)
{
	uint32_t frames = 1;

	for (uint32_t n = 0; n < desc->nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++)
			frames = max_u32(frames, desc->node[n].zone[i].start_pfn +
							 desc->node[n].zone[i].spanned);
	fake_rt_init(&f->rt, desc->nr_cpus);
	f->t = &f->rt.task;
	f->m = aligned_alloc(64, round_up_u64(sizeof(*f->m), 64));
	if (f->m == NULL)
		return -ENOMEM;
	memset(f->m, 0, sizeof(*f->m));
	int err = fake_hw_init(&f->hw, frames);

	if (err == 0)
		err = machine_build(f->m, desc, &f->rt.rt, &f->hw.hw, NULL);
	fake_rt_attach(&f->rt, f->m);
	return err;
}

static inline void core_teardown(struct core_fixture *f)
{
	fake_hw_destroy(&f->hw);
	free(f->m);
}

#endif
