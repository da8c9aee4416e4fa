/*
 * machine.json.
 *
 *     { "nodes": [ { "mem": "2G", "cpus": "0-1" }, { "mem": "1G", "cpus": null } ],
 *     ^ depth 1  ^ 2 ^ 3                ^ key, value at depth 3
 *       "dist": "0-1:15", ... }
 *
 * Two things of this file are of use to a snapshot, and the rest may be anything, so
 * it is walked token by token with the depth and the last key, and no tree is
 * built. Strings are compared as they are spelled: an escape in one of ours would
 * make it another string, which no recorder writes.
 *
 * Linux has no such file; the program that recorded the snapshots writes it.
 *
 * What must never happen: a walk past the terminator, or a node list of another
 * machine applied because its length happens to be the same: every online CPU must
 * be in it exactly once.
 */
#include "text/machine_json.h"

#include <string.h>

#include "text/doc.h"
#include "text/scan.h"
#include "text/topology.h"

#define DEPTH_MAX 64u
#define KEY_BYTES 32u

/* Where the walk is. */
struct walk {
	const char *at;
	uint32_t depth;
	bool in_nodes;	     /* inside the array "nodes" */
	bool in_node;	     /* inside an object of that array; nr_nodes is then above 0 */
	char key[KEY_BYTES]; /* the last key; "" if it was longer */
};

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* Copies a string that fits; an empty one else. */
static void copy_text(char *to, size_t room, const char *at, size_t bytes)
{
	if (bytes >= room)
		bytes = 0;
	memcpy(to, at, bytes);
	to[bytes] = '\0';
}

/* A value, of which `bytes` characters are given, at the key where the walk is. */
static void take_value(const struct walk *walk, struct machine_json *out, const char *at,
		       size_t bytes)
{
	if (walk->depth == 1 && strcmp(walk->key, "dist") == 0)
		copy_text(out->distances, sizeof(out->distances), at, bytes);
	if (!walk->in_node || walk->depth != 3 || strcmp(walk->key, "cpus") != 0)
		return;
	struct machine_json_node *node = &out->node[out->nr_nodes - 1];
	copy_text(node->cpus, sizeof(node->cpus), at, bytes);
	node->has_cpus = node->cpus[0] != '\0' && strcmp(node->cpus, "null") != 0;
}

/* Takes a string, which is a key if a colon follows. => false if it has no end */
static bool take_string(struct walk *walk, struct machine_json *out)
{
	const char *start = walk->at + 1;
	const char *end = start;

	while (*end != '\0' && *end != '"')
		end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
	if (*end == '\0')
		return false;
	const char *after = skip_space(end + 1);
	if (*after == ':')
		copy_text(walk->key, sizeof(walk->key), start, (size_t)(end - start));
	else
		take_value(walk, out, start, (size_t)(end - start));
	walk->at = after + (*after == ':' ? 1 : 0);
	return true;
}

/* Takes a bracket. => false if there are too many, or too many nodes */
static bool take_bracket(struct walk *walk, struct machine_json *out)
{
	char c = *walk->at++;

	if (c == '}' || c == ']') {
		if (walk->depth == 0)
			return false;
		walk->depth--;
		walk->in_nodes = walk->in_nodes && walk->depth >= 2;
		walk->in_node = walk->in_node && walk->depth >= 3;
		return true;
	}
	if (walk->depth == DEPTH_MAX)
		return false;
	walk->depth++;
	if (c == '[' && walk->depth == 2 && strcmp(walk->key, "nodes") == 0)
		walk->in_nodes = true;
	if (c != '{' || walk->depth != 3 || !walk->in_nodes)
		return true;
	if (out->nr_nodes == NEAP_MAX_NODES)
		return false;
	walk->in_node = true;
	out->nr_nodes++;
	return true;
}

bool machine_json_scan(const char *text, struct machine_json *out)
{
	struct walk walk = { .at = skip_space(text) };

	memset(out, 0, sizeof(*out));
	if (*walk.at != '{')
		return false;
	while (*walk.at != '\0') {
		size_t plain = strcspn(walk.at, "\"{}[], \t\r\n");

		if (plain > 0) {
			take_value(&walk, out, walk.at, plain);
			walk.at += plain;
		} else if (*walk.at == '"') {
			if (!take_string(&walk, out))
				return false;
		} else if (*walk.at == ',') {
			walk.at++;
		} else if (!take_bracket(&walk, out)) {
			return false;
		}
		walk.at = skip_space(walk.at);
	}
	return walk.depth == 0 && out->nr_nodes > 0;
}

/* ---- what it says ---- */

/* Reads one list. => false if it is none */
static bool node_cpus(const struct machine_json_node *node, const struct snapshot *snapshot,
		      struct cpumask *cpus)
{
	struct text_doc doc;
	char line[sizeof(node->cpus) + 1];
	size_t bytes = strlen(node->cpus);

	memset(cpus, 0, sizeof(*cpus));
	if (!node->has_cpus)
		return true;
	if (strcmp(node->cpus, "all") == 0) {
		*cpus = snapshot->online;
		return true;
	}
	memcpy(line, node->cpus, bytes);
	line[bytes] = '\n';
	text_doc_init(&doc, &topology_cpulist_format);
	bool is_list = text_doc_parse(&doc, line, bytes + 1, "machine.json", NULL) == 0 &&
		       topology_cpulist_mask(&doc, cpus);
	text_doc_clear(&doc);
	return is_list;
}

/* The lowest CPU of a node; NEAP_MAX_CPUS for a node without CPUs. */
static uint32_t lowest_cpu(const struct cpumask *cpus)
{
	uint32_t cpu = 0;

	while (cpu < NEAP_MAX_CPUS && !cpumask_test(cpus, cpu))
		cpu++;
	return cpu;
}

/*
 * Linux numbers nodes as the firmware's table names them, and that has CPUs first, then memory: so
 * the file's nodes come in the order of their lowest CPUs, and those without CPUs behind.
 * number: of the node that the file has at this place; cpus: of the node with this number
 * => false if the CPUs are not the snapshot's
 */
static bool number_nodes(const struct machine_json *json, const struct snapshot *snapshot,
			 uint32_t number[NEAP_MAX_NODES], struct cpumask cpus[NEAP_MAX_NODES])
{
	uint32_t order[NEAP_MAX_NODES]; /* places in the file, by number */
	uint32_t lowest[NEAP_MAX_NODES];

	if (json->nr_nodes != snapshot->nr_nodes)
		return false;
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		uint32_t at = n;

		if (!node_cpus(&json->node[n], snapshot, &cpus[n]))
			return false;
		lowest[n] = lowest_cpu(&cpus[n]);
		for (; at > 0 && lowest[order[at - 1]] > lowest[n]; at--)
			order[at] = order[at - 1];
		order[at] = n;
	}
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		number[order[n]] = n;
		if (!node_cpus(&json->node[order[n]], snapshot, &cpus[n]))
			return false;
	}
	return true;
}

bool machine_json_cpus(const struct machine_json *json, const struct snapshot *snapshot,
		       struct cpumask cpus[NEAP_MAX_NODES])
{
	uint32_t number[NEAP_MAX_NODES];

	if (!number_nodes(json, snapshot, number, cpus))
		return false;
	for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++) {
		uint32_t count = 0;

		for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
			count += cpumask_test(&cpus[n], cpu);
		if (cpumask_test(&snapshot->online, cpu) && count != 1)
			return false;
	}
	return true;
}

bool machine_json_distances(const struct machine_json *json, struct snapshot *snapshot)
{
	struct cpumask cpus[NEAP_MAX_NODES];
	uint32_t number[NEAP_MAX_NODES];
	const char *at = json->distances;

	if (*at == '\0' || !number_nodes(json, snapshot, number, cpus))
		return false;
	while (at != NULL && *at != '\0') {
		uint32_t from = 0;
		uint32_t to = 0;
		uint32_t distance = 0;

		at = scan_u32(scan_literal(scan_u32(at, &from), "-"), &to);
		at = scan_u32(scan_literal(at, ":"), &distance);
		if (at == NULL || from >= snapshot->nr_nodes || to >= snapshot->nr_nodes)
			return false;
		snapshot->node[number[from]].distance[number[to]] = distance;
		snapshot->node[number[to]].distance[number[from]] = distance;
		if (*at != '\0')
			at = scan_literal(at, ",");
	}
	return at != NULL;
}
