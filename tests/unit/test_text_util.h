/*
 * What the tests of src/text share: snapshots with chosen or random contents, and
 * comparing text.
 */
#ifndef NEAP_TEST_TEXT_UTIL_H
#define NEAP_TEST_TEXT_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/snapshot.h"
#include "text/files.h"
#include "text/vmstat.h"

#ifndef NEAP_SOURCE_DIR
#define NEAP_SOURCE_DIR "."
#endif

/* The checkout: the environment wins over the build's own idea. */
UNUSED static const char *util_source_dir(void)
{
	const char *dir = getenv("NEAP_SOURCE_DIR");

	return dir != NULL ? dir : NEAP_SOURCE_DIR;
}

/* The seed of a property test: NEAP_SEED or a fixed one; printed, to run a failure again. */
UNUSED static uint64_t util_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20240601;

	printf("NEAP_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* A snapshot of nr_nodes empty nodes with ids 0, 1, ... */
static struct snapshot *util_snapshot_new(uint32_t nr_nodes)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(nr_nodes));

	assert_non_null(snapshot);
	snapshot->nr_nodes = nr_nodes;
	for (uint32_t n = 0; n < nr_nodes; n++) {
		snapshot->node[n].id = n;
		for (uint32_t to = 0; to < nr_nodes; to++)
			snapshot->node[n].distance[to] = n == to ? 10 : 20;
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
			snapshot->node[n].zone[z].node = n;
			snapshot->node[n].zone[z].type = z;
		}
	}
	return snapshot;
}

/* Numbers of every length, 0 included; at most 2^40, so that sums and kB stay far from 64 bits. */
UNUSED static uint64_t util_random_amount(struct rng *rng)
{
	return rng_next(rng) >> (24 + rng_below(rng, 40));
}

UNUSED static void util_random_amounts(struct rng *rng, uint64_t *amounts, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		amounts[i] = util_random_amount(rng);
}

UNUSED static void util_random_zone(struct rng *rng, const struct snapshot *snapshot,
				    struct snapshot_zone *zone)
{
	zone->present = rng_below(rng, 3) == 0 ? 0 : 1 + util_random_amount(rng);
	zone->free = util_random_amount(rng);
	zone->boost = util_random_amount(rng);
	zone->min = util_random_amount(rng);
	zone->low = util_random_amount(rng);
	zone->high = util_random_amount(rng);
	zone->spanned = util_random_amount(rng);
	zone->managed = util_random_amount(rng);
	util_random_amounts(rng, zone->protection, NEAP_NR_ZONES);
	if (zone->present == 0)
		return;
	zone->start_pfn = util_random_amount(rng);
	zone->node_unreclaimable = rng_below(rng, 2) != 0;
	util_random_amounts(rng, zone->stat, NR_ZONE_ITEMS);
	util_random_amounts(rng, zone->numa, NR_NUMA_ITEMS);
	util_random_amounts(rng, zone->nr_free, NEAP_NR_ORDERS);
	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
		if (type != MT_CMA)
			util_random_amounts(rng, zone->nr_free_type[type], NEAP_NR_ORDERS);
	util_random_amounts(rng, zone->nr_blocks, NEAP_NR_TYPES);
	zone->nr_blocks[MT_CMA] = 0;
	for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++) {
		if (!cpumask_test(&snapshot->online, cpu))
			continue;
		zone->pageset[cpu].count = (uint32_t)rng_below(rng, 5000);
		zone->pageset[cpu].high = (uint32_t)rng_below(rng, 5000);
		zone->pageset[cpu].batch = (uint32_t)rng_below(rng, 64);
		zone->pageset[cpu].threshold = (uint32_t)rng_below(rng, 126);
	}
}

UNUSED static void util_random_swaps(struct rng *rng, struct snapshot *snapshot)
{
	static const char letters[] = "abc/ \t\n\\0123.\xc3\xa9";

	snapshot->nr_swaps = (uint32_t)rng_below(rng, NEAP_MAX_SWAPS + 1);
	for (uint32_t i = 0; i < snapshot->nr_swaps; i++) {
		struct snapshot_swap *swap = &snapshot->swap[i];
		size_t length = rng_below(rng, 80);

		swap->path[0] = '/';
		for (size_t at = 0; at < length; at++)
			swap->path[at + 1] = letters[rng_below(rng, sizeof(letters) - 1)];
		swap->is_file = rng_below(rng, 2) != 0;
		swap->size_pages = util_random_amount(rng);
		swap->used_pages = rng_below(rng, swap->size_pages + 1);
		swap->priority = (int32_t)rng_next(rng);
		snapshot->swap_total_pages += swap->size_pages;
		snapshot->swap_free_pages += swap->size_pages - swap->used_pages;
	}
}

/* Settings as the kernel prints them: numbers, lists of numbers, a word; ascending by name. */
UNUSED static void util_random_sysctls(struct rng *rng, struct snapshot *snapshot)
{
	static const char *const names[] = {
		"dirty_ratio",	       "lowmem_reserve_ratio", "min_free_kbytes",
		"numa_zonelist_order", "page-cluster",	       "zone_reclaim_mode",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct snapshot_sysctl *to = &snapshot->sysctl[snapshot->nr_sysctls];

		if (rng_below(rng, 4) == 0)
			continue;
		snprintf(to->name, sizeof(to->name), "%s", names[i]);
		if (i == 1)
			snprintf(to->value, sizeof(to->value), "%d\t%d\t0",
				 (int)rng_below(rng, 999), (int32_t)rng_next(rng));
		else if (i == 3)
			snprintf(to->value, sizeof(to->value), "Node");
		else
			snprintf(to->value, sizeof(to->value), "%d", (int32_t)rng_next(rng));
		snapshot->nr_sysctls++;
	}
}

UNUSED static void util_random_psi(struct rng *rng, struct snapshot_psi *psi)
{
	for (uint32_t i = 0; i < SNAPSHOT_PSI_AVERAGES; i++)
		psi->average_hundredths[i] = (uint32_t)rng_below(rng, 10001);
	psi->total_us = util_random_amount(rng);
}

/* A machine whose numbers are all random but possible to print; at least one zone is populated. */
UNUSED static struct snapshot *util_snapshot_random(struct rng *rng)
{
	struct snapshot *snapshot = util_snapshot_new(1 + (uint32_t)rng_below(rng, 4));

	for (uint32_t i = 0; i <= rng_below(rng, 8); i++)
		cpumask_set(&snapshot->online, (uint32_t)rng_below(rng, NEAP_MAX_CPUS));
	for (uint32_t i = 0; i < snapshot->nr_nodes; i++) {
		struct snapshot_node *node = &snapshot->node[i];

		util_random_amounts(rng, node->stat, NR_NODE_ITEMS);
		util_random_amounts(rng, &node->huge_total, 1);
		util_random_amounts(rng, &node->huge_free, 1);
		util_random_amounts(rng, &node->huge_surplus, 1);
		for (uint32_t to = 0; to < snapshot->nr_nodes; to++)
			node->distance[to] = (uint32_t)rng_below(rng, 256);
		for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++)
			if (cpumask_test(&snapshot->online, cpu) && cpu % snapshot->nr_nodes == i)
				cpumask_set(&node->cpus, cpu);
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			util_random_zone(rng, snapshot, &node->zone[z]);
	}
	snapshot->node[0].zone[ZONE_DMA32].present |= 1;
	util_random_amounts(rng, snapshot->zone_stat, NR_ZONE_ITEMS);
	util_random_amounts(rng, snapshot->numa, NR_NUMA_ITEMS);
	util_random_amounts(rng, snapshot->node_stat, NR_NODE_ITEMS);
	util_random_amounts(rng, snapshot->event, NR_METER_ITEMS);
	/* vmstat prints whole huge pages; a rest would be lost on the way through the files. */
	for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
		if (vmstat_node_is_huge((enum node_item)i))
			snapshot->node_stat[i] -= snapshot->node_stat[i] % VMSTAT_HUGE_PAGES;
	snapshot->dirty_threshold = util_random_amount(rng);
	snapshot->dirty_background_threshold = util_random_amount(rng);
	snapshot->total_pages = util_random_amount(rng);
	snapshot->available_pages = util_random_amount(rng);
	snapshot->buffers_pages = util_random_amount(rng);
	snapshot->swapcache_pages = util_random_amount(rng);
	snapshot->commit_limit_pages = util_random_amount(rng);
	snapshot->committed_pages = util_random_amount(rng);
	snapshot->vmalloc_total_kb = util_random_amount(rng);
	snapshot->vmalloc_used_kb = util_random_amount(rng);
	snapshot->percpu_kb = util_random_amount(rng);
	util_random_amounts(rng, snapshot->direct_map_kb, 3);
	snapshot->huge_total = util_random_amount(rng);
	snapshot->huge_free = util_random_amount(rng);
	snapshot->huge_reserved = util_random_amount(rng);
	snapshot->huge_surplus = util_random_amount(rng);
	util_random_swaps(rng, snapshot);
	util_random_sysctls(rng, snapshot);
	util_random_psi(rng, &snapshot->psi_some);
	util_random_psi(rng, &snapshot->psi_full);
	return snapshot;
}

/* Fails with both texts' first different line if they differ. */
UNUSED static void util_assert_text(const char *got, const char *want)
{
	size_t at = 0;

	while (got[at] != '\0' && got[at] == want[at])
		at++;
	if (got[at] == want[at])
		return;
	while (at > 0 && got[at - 1] != '\n')
		at--;
	fail_msg("texts differ:\n got  \"%.*s\"\n want \"%.*s\"", (int)strcspn(got + at, "\n"),
		 got + at, (int)strcspn(want + at, "\n"), want + at);
}

#endif
