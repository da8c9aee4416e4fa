/*
 * The NUMA counters of a machine of three nodes, for tests that compare them with what they were.
 */
#ifndef NEAP_TEST_NUMA_COUNTS_H
#define NEAP_TEST_NUMA_COUNTS_H

#include "machine_fixture.h"

#define NODE_PAGES 2048u
#define NR_NODES 3u

/* NUMA events of each node's zone Normal. */
struct numa {
	uint64_t count[NR_NODES][NR_NUMA_ITEMS];
};

static inline void numa_read(struct machine_fixture *f, struct numa *numa)
{
	for (uint32_t n = 0; n < NR_NODES; n++)
		for (uint32_t i = 0; i < NR_NUMA_ITEMS; i++)
			numa->count[n][i] =
				zone_numa(&f->m->nodes[n].zone[ZONE_NORMAL], (enum numa_item)i);
}

#endif
