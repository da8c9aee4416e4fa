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

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/buddy.h"
#include "core/machine.h"
#include "core/marks.h"
#include "core/pcp.h"
#include "core/vmstat.h"

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
	uint32_t frames = max_u32(1, desc->hot_first_pfn + desc->hot_pages);

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

/*
 * One node, one CPU per `cpus`, one zone Normal from pfn 1048576 on. Fails the test if it cannot be
 * built.
 */
static inline void core_setup_normal(struct core_fixture *f, uint32_t cpus, uint32_t pages)
{
	struct machine_desc desc;

	core_desc_init(&desc, 1, cpus);
	core_desc_zone(&desc, 0, ZONE_NORMAL, 1048576, pages);
	assert_int_equal(core_setup(f, &desc), 0);
}

/* Drops the only reference and frees the block. */
static inline void core_free(struct core_fixture *f, uint32_t pfn, uint32_t order)
{
	assert_true(page_put_owned(&f->m->pages[pfn]));
	free_pages(f->t, pfn, order);
}

/* Chosen limits of one CPU's lists instead of those of the zone's size. */
static inline void core_pcp_limits(struct pcp *pcp, uint32_t batch, uint32_t high)
{
	pcp->batch = batch;
	pcp->high = high;
}

static inline uint64_t core_pcp_pages(const struct zone *zone)
{
	uint64_t pages = 0;

	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++)
		pages += zone->pcp[cpu].count;
	return pages;
}

/* Every list of every zone is right, and free + per-CPU + used = managed. */
static inline void core_verify(struct core_fixture *f, uint64_t used_pages)
{
	uint64_t found = 0;

	for (uint32_t n = 0; n < f->m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			const struct zone *zone = &f->m->nodes[n].zone[i];

			if (!zone_populated(zone))
				continue;
			const char *wrong = buddy_verify(zone);

			for (uint32_t cpu = 0; cpu < f->m->nr_cpus && wrong == NULL; cpu++)
				wrong = pcp_verify(zone, cpu);
			if (wrong != NULL)
				fail_msg("node %u zone %s: %s", n, zone->name, wrong);
			assert_int_equal(zone_stat_exact(zone, NR_FREE_PAGES),
					 buddy_count_free(zone));
			found += buddy_count_free(zone) + core_pcp_pages(zone);
		}
	}
	assert_int_equal(found + used_pages, atomic_load(&f->m->total_pages));
}

/* The seed of a property test: printed, so that a failure can be repeated with NEAP_SEED. */
static inline uint64_t core_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 6192;

	print_message("seed %llu\n", (unsigned long long)seed);
	return seed;
}

#endif
