/*
 * nodeN/cpulist and nodeN/distance below /sys/devices/system/node: which CPUs a node has,
 * and how far the other nodes are.
 */
#ifndef NEAP_TEXT_TOPOLOGY_H
#define NEAP_TEXT_TOPOLOGY_H

#include "core/snapshot.h"
#include "text/doc.h"

/* Line kind of both files, which have one line each. */
#define TOPOLOGY_LIST 1u /* list = first and last CPU of each range, or one distance a node */

extern const struct text_format topology_cpulist_format;
extern const struct text_format topology_distance_format;

/* The files of a node. => 0 and *out, or -ENOMEM */
MUST_CHECK int topology_cpulist_from_snapshot(const struct snapshot_node *node,
					      struct text_doc **out);
MUST_CHECK int topology_distance_from_snapshot(const struct snapshot *snapshot,
					       const struct snapshot_node *node,
					       struct text_doc **out);

/* The CPUs of a list. => false if there are numbers that no machine of neap has (256 and more) */
bool topology_cpulist_mask(const struct text_doc *doc, struct cpumask *cpus);
/* Enters the distances of a node. => false if there is not one for each of nr_nodes nodes */
bool topology_distance_fill(const struct text_doc *doc, struct snapshot_node *node,
			    uint32_t nr_nodes);

#endif
