/*
 * Fuzz target: the files of a node, all five.
 *
 *     any bytes -> nodeN/meminfo   -> the same bytes -> a node -> files of our own
 *               -> nodeN/vmstat    -> ...
 *               -> nodeN/numastat
 *               -> nodeN/cpulist
 *               -> nodeN/distance
 *
 * The formats have little in common, so an input is rarely more than one of them; giving
 * it to all keeps one corpus.
 *
 * What must never happen: a CPU number as an index beyond the mask, or a byte changed.
 */
#include "fuzz_text.h"

#include "text/nodemem.h"
#include "text/nodestat.h"
#include "text/topology.h"

/* Our own files of a node that took what the input said. */
static void check_node(const struct snapshot *snapshot, const struct snapshot_node *node)
{
	struct text_doc *made = NULL;
	int error = nodemem_from_snapshot(node, &made);

	fuzz_text_again(made, error);
	error = nodestat_from_snapshot(node, &made);
	fuzz_text_again(made, error);
	error = nodestat_numa_from_snapshot(node, &made);
	fuzz_text_again(made, error);
	error = topology_cpulist_from_snapshot(node, &made);
	fuzz_text_again(made, error);
	error = topology_distance_from_snapshot(snapshot, node, &made);
	fuzz_text_again(made, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct snapshot *snapshot = fuzz_text_machine();
	struct snapshot_node *node = &snapshot->node[0];
	struct text_doc *memory = fuzz_text_load(&nodemem_format, data, bytes);
	struct text_doc *stat = fuzz_text_load(&nodestat_format, data, bytes);
	struct text_doc *numa = fuzz_text_load(&nodestat_numa_format, data, bytes);
	struct text_doc *cpus = fuzz_text_load(&topology_cpulist_format, data, bytes);
	struct text_doc *distance = fuzz_text_load(&topology_distance_format, data, bytes);
	uint64_t value = 0;

	if (memory != NULL)
		nodemem_fill_node(memory, node);
	if (stat != NULL)
		nodestat_fill_node(stat, node);
	if (numa != NULL)
		(void)nodestat_doc_get(numa, "numa_hit", &value);
	if (cpus != NULL)
		(void)topology_cpulist_mask(cpus, &node->cpus);
	if (distance != NULL)
		(void)topology_distance_fill(distance, node, snapshot->nr_nodes);
	if (memory != NULL || stat != NULL || numa != NULL || cpus != NULL || distance != NULL)
		check_node(snapshot, node);
	text_doc_free(memory);
	text_doc_free(stat);
	text_doc_free(numa);
	text_doc_free(cpus);
	text_doc_free(distance);
	free(snapshot);
	return 0;
}
