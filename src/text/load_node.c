/*
 * A saved machine's nodes.
 *
 *     cpulist    DIR/nodeN/             every node has one there, and online CPUs count
 *                DIR/sys/devices/system/node/nodeN/
 *                machine.json           in DIR or above it
 *                DIR/../00-boot/nodeN/, DIR/../boot/nodeN/
 *                else an even split, with a warning
 *     distance   the same places, a machine.json last; else 10 and 20
 *     meminfo    DIR's own only: huge pages change while a machine runs
 *     vmstat     DIR's own only, for nodes without memory
 *
 * A list in DIR itself is what the machine said at that moment. One from another
 * moment or from the machine's description must fit to be used: it must have the
 * same number of nodes and one node for every CPU that is online now.
 *
 * What must never happen: the CPUs of two nodes taken from different sources.
 */
#include "text/load_part.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text/machine_json.h"
#include "text/nodemem.h"
#include "text/nodestat.h"
#include "text/topology.h"

#define NAME_BYTES 128u

/* Where node directories are; the first two belong to the snapshot itself. */
static const char *const places[] = {
	"",
	"sys/devices/system/node/",
	"../00-boot/",
	"../boot/",
};
#define OWN_PLACES 2u

static const char *const json_places[] = {
	"machine.json",
	"../machine.json",
	"../../machine.json",
};

/*
 * Reads and parses PLACE/nodeN/LEAF.
 * => 0 and *out, to be freed with text_doc_free(); -ENOENT; another errno with *err filled
 */
static int read_leaf(const char *dir, const char *path, const struct text_format *format,
		     struct text_doc **out, struct text_error *err)
{
	struct text_buf text;

	*out = NULL;
	text_buf_init(&text);
	int error = load_read(dir, path, &text, err);
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, path };

		error = text_doc_load(format, &in, out, err);
	}
	text_buf_free(&text);
	return error;
}

/* "sys/devices/system/node/node3/cpulist" */
static const char *leaf_path(char path[NAME_BYTES], uint32_t place, uint32_t id, const char *leaf)
{
	snprintf(path, NAME_BYTES, "%snode%u/%s", places[place], id, leaf);
	return path;
}

/* Only CPUs with page lists are online; a list saved at another moment may have others. */
static void mask_online(const struct snapshot *snapshot, struct cpumask *cpus)
{
	for (uint32_t i = 0; i < ARRAY_LEN(cpus->bits); i++)
		cpus->bits[i] &= snapshot->online.bits[i];
}

/* Whether every online CPU is in exactly one of the masks. */
static bool masks_fit(const struct snapshot *snapshot, const struct cpumask *cpus)
{
	uint32_t count = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		count += cpumask_count(&cpus[n]);
	return count == cpumask_count(&snapshot->online);
}

/* Reads the cpulists of a place. => 0; -ENOENT if a node has none; another negative errno */
static int read_cpulists(const char *dir, uint32_t place, const struct snapshot *snapshot,
			 struct cpumask *cpus, struct text_error *err)
{
	int error = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes && error == 0; n++) {
		struct text_doc *doc = NULL;
		char path[NAME_BYTES];

		leaf_path(path, place, snapshot->node[n].id, "cpulist");
		error = read_leaf(dir, path, &topology_cpulist_format, &doc, err);
		if (error == 0 && !topology_cpulist_mask(doc, &cpus[n])) {
			text_error_set(err, path, 1, "a CPU number is above %u, the highest",
				       NEAP_MAX_CPUS - 1);
			error = -EINVAL;
		}
		if (error == 0)
			mask_online(snapshot, &cpus[n]);
		text_doc_free(doc);
	}
	return error;
}

/* Reads the first machine.json. => 0, -ENOENT, or another negative errno */
static int read_json(const char *dir, struct machine_json *json, struct text_error *warning,
		     struct text_error *err)
{
	struct text_buf text;
	int error = -ENOENT;

	memset(json, 0, sizeof(*json));
	text_buf_init(&text);
	for (uint32_t i = 0; i < ARRAY_LEN(json_places) && error == -ENOENT; i++)
		error = load_read(dir, json_places[i], &text, err);
	if (error == 0 && !machine_json_scan(text_buf_text(&text), json)) {
		load_warn(warning, dir, "machine.json describes no nodes and is not used");
		error = -ENOENT;
	}
	text_buf_free(&text);
	return error;
}

/* Gives each node its even share of the CPUs. */
static void split_cpus(const struct snapshot *snapshot, struct cpumask *cpus)
{
	uint32_t count = cpumask_count(&snapshot->online);
	uint32_t nth = 0;

	memset(cpus, 0, snapshot->nr_nodes * sizeof(*cpus));
	for (uint32_t cpu = cpumask_next(&snapshot->online, 0); cpu < NEAP_MAX_CPUS;
	     cpu = cpumask_next(&snapshot->online, cpu + 1))
		cpumask_set(&cpus[nth++ * snapshot->nr_nodes / count], cpu);
}

/* Finds the CPUs of all nodes in the first source that has them. */
static int find_cpus(const char *dir, const struct snapshot *snapshot,
		     const struct machine_json *json, struct cpumask *cpus, struct text_error *err)
{
	int error = -ENOENT;

	for (uint32_t place = 0; place < ARRAY_LEN(places); place++) {
		if (place == OWN_PLACES && machine_json_cpus(json, snapshot, cpus))
			return 0;
		error = read_cpulists(dir, place, snapshot, cpus, err);
		if (error == 0 && (place < OWN_PLACES || masks_fit(snapshot, cpus)))
			return 0;
		if (error != 0 && error != -ENOENT)
			return error;
	}
	return -ENOENT;
}

static int load_cpus(const char *dir, struct snapshot *snapshot, const struct machine_json *json,
		     struct text_error *warning, struct text_error *err)
{
	struct cpumask cpus[NEAP_MAX_NODES];
	int error = find_cpus(dir, snapshot, json, cpus, err);

	if (error == -ENOENT) {
		split_cpus(snapshot, cpus);
		error = 0;
		if (snapshot->nr_nodes > 1)
			load_warn(warning, dir,
				  "no nodeN/cpulist: CPUs are split evenly over the nodes");
	}
	for (uint32_t n = 0; n < snapshot->nr_nodes && error == 0; n++)
		snapshot->node[n].cpus = cpus[n];
	return error;
}

/* The distances of one node, from the first place that has the file. => 0 or an errno */
static int load_distance(const char *dir, struct snapshot *snapshot, struct snapshot_node *node,
			 struct text_error *err)
{
	int error = -ENOENT;

	for (uint32_t place = 0; place < ARRAY_LEN(places) && error == -ENOENT; place++) {
		struct text_doc *doc = NULL;
		char path[NAME_BYTES];

		leaf_path(path, place, node->id, "distance");
		error = read_leaf(dir, path, &topology_distance_format, &doc, err);
		if (error == 0 && !topology_distance_fill(doc, node, snapshot->nr_nodes)) {
			text_error_set(err, path, 1,
				       "there is not one distance for each of %u nodes",
				       snapshot->nr_nodes);
			/* Another moment's file may be of another number of nodes. */
			error = place < OWN_PLACES ? -EINVAL : -ENOENT;
		}
		text_doc_free(doc);
	}
	return error;
}

/* Huge pages and counters from the node's own files. => 0 or an errno */
static int load_counts(const char *dir, struct snapshot_node *node, struct text_error *err)
{
	int error = -ENOENT;

	for (uint32_t place = 0; place < OWN_PLACES && error == -ENOENT; place++) {
		struct text_doc *doc = NULL;
		char path[NAME_BYTES];

		leaf_path(path, place, node->id, "meminfo");
		error = read_leaf(dir, path, &nodemem_format, &doc, err);
		if (error == 0)
			nodemem_fill_node(doc, node);
		text_doc_free(doc);
	}
	if (node->has_memory || (error != 0 && error != -ENOENT))
		return error == -ENOENT ? 0 : error;
	error = -ENOENT;
	for (uint32_t place = 0; place < OWN_PLACES && error == -ENOENT; place++) {
		struct text_doc *doc = NULL;
		char path[NAME_BYTES];

		leaf_path(path, place, node->id, "vmstat");
		error = read_leaf(dir, path, &nodestat_format, &doc, err);
		if (error == 0)
			nodestat_fill_node(doc, node);
		text_doc_free(doc);
	}
	return error == -ENOENT ? 0 : error;
}

int load_nodes(const char *dir, struct snapshot *snapshot, struct text_error *warning,
	       struct text_error *err)
{
	struct machine_json json;
	bool distances_missing = false;
	int error = read_json(dir, &json, warning, err);

	if (error == 0 || error == -ENOENT)
		error = load_cpus(dir, snapshot, &json, warning, err);
	if (snapshot->nr_nodes == 1) {
		snapshot->node[0].huge_total = snapshot->huge_total;
		snapshot->node[0].huge_free = snapshot->huge_free;
		snapshot->node[0].huge_surplus = snapshot->huge_surplus;
	}
	for (uint32_t n = 0; n < snapshot->nr_nodes && error == 0; n++) {
		error = load_distance(dir, snapshot, &snapshot->node[n], err);
		distances_missing = distances_missing || error == -ENOENT;
		if (error == 0 || error == -ENOENT)
			error = load_counts(dir, &snapshot->node[n], err);
	}
	if (error == 0 && distances_missing)
		(void)machine_json_distances(&json, snapshot); /* else 10 and 20 stay */
	return error;
}
