/*
 * machine.json beside recorded snapshots: which CPUs each node of the machine has, and the
 * distances of its nodes.
 */
#ifndef NEAP_TEXT_MACHINE_JSON_H
#define NEAP_TEXT_MACHINE_JSON_H

#include "base/base.h"
#include "core/snapshot.h"

struct machine_json_node {
	bool has_cpus;	/* false: "cpus" is null or missing */
	char cpus[128]; /* "0-1", "all" */
};

struct machine_json {
	uint32_t nr_nodes;
	struct machine_json_node node[NEAP_MAX_NODES];
	char distances[1024]; /* "0-1:15,0-2:20"; "" when the file has none */
};

/*
 * Finds these in a terminated text. Everything else in it is skipped.
 * => whether the text is a JSON object with an array "nodes" of 1 to NEAP_MAX_NODES objects
 */
bool machine_json_scan(const char *text, struct machine_json *out);

/*
 * The CPUs of each node, at position n for the n-th node of the snapshot. The file's nodes are
 * numbered as Linux does it: in the order of their lowest CPUs, those without CPUs behind.
 * => whether the file has a list for a machine of so many nodes that gives every online
 *    CPU one node
 */
bool machine_json_cpus(const struct machine_json *json, const struct snapshot *snapshot,
		       struct cpumask cpus[NEAP_MAX_NODES]);

/* Enters the distances the file names, both ways. => whether it has any, and all fit */
bool machine_json_distances(const struct machine_json *json, struct snapshot *snapshot);

#endif
