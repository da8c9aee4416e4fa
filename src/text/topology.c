/*
 * Where CPUs and nodes are.
 *
 *     nodeN/cpulist     0-3,8      ranges, ascending; an empty line: no CPUs
 *     nodeN/distance    10 20 20   one number a node, ascending by node; 10 is the node itself
 *
 * A document of either has one line. The ranges of a cpulist are kept as they are
 * written: "0,1" and "0-1" are the same set and print differently. The second is
 * Linux's own form; the first is printed back because ranges are kept, not sets.
 * Distances count online nodes only: a machine with nodes 0 and 2 has two numbers.
 * Linux's counterparts are the %*pbl format and node_read_distance() in
 * drivers/base/node.c.
 *
 * What must never happen: a CPU number from a file used as an index before it was
 * compared with the mask's size; a range that runs for billions of steps.
 */
#include "text/topology.h"

#include <errno.h>
#include <string.h>

#include "text/scan.h"

#define CPUS_MAX 65536u

/* Understands "0-3,8", the empty list included. => 0, or -ENOMEM */
static int cpulist_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *at = scan_blanks(text);

	while (*at != '\0') {
		uint32_t first = 0;

		at = scan_u32(at, &first);
		uint32_t last = first;
		if (at != NULL && *at == '-')
			at = scan_u32(at + 1, &last);
		if (at == NULL || first > last || last >= CPUS_MAX)
			return 0;
		int error = text_doc_add_number(doc, line, first);
		if (error == 0)
			error = text_doc_add_number(doc, line, last);
		if (error != 0)
			return error;
		if (*at == ',' && at[1] != '\0')
			at++;
		else if (!scan_end(at))
			return 0;
		else
			break;
	}
	line->kind = TOPOLOGY_LIST;
	line->known = true;
	return 0;
}

static void cpulist_print(const struct text_doc *doc, const struct text_line *line,
			  struct text_buf *out)
{
	for (uint32_t i = 0; i + 1 < line->nr_list; i += 2) {
		uint64_t first = doc->numbers[line->list + i];
		uint64_t last = doc->numbers[line->list + i + 1];

		if (i != 0)
			text_buf_add(out, ",", 1);
		text_buf_u64(out, first, 0);
		if (last == first)
			continue;
		text_buf_add(out, "-", 1);
		text_buf_u64(out, last, 0);
	}
}

static int distance_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *at = text;

	while (!scan_end(at)) {
		const char *number = scan_blanks(at);
		uint32_t distance = 0;

		if (at != text && number == at)
			return 0;
		at = scan_u32(number, &distance);
		if (at == NULL)
			return 0;
		int error = text_doc_add_number(doc, line, distance);
		if (error != 0)
			return error;
	}
	if (line->nr_list == 0)
		return 0;
	line->kind = TOPOLOGY_LIST;
	line->known = true;
	return 0;
}

static void distance_print(const struct text_doc *doc, const struct text_line *line,
			   struct text_buf *out)
{
	for (uint32_t i = 0; i < line->nr_list; i++) {
		if (i != 0)
			text_buf_add(out, " ", 1);
		text_buf_u64(out, doc->numbers[line->list + i], 0);
	}
}

const struct text_format topology_cpulist_format = {
	.title = "nodeN/cpulist",
	.form = "0-1,4",
	.bytes_max = 64 * KIB,
	.lines_max = 1,
	.line_bytes_max = 64 * KIB,
	.read = cpulist_read,
	.print = cpulist_print,
};

const struct text_format topology_distance_format = {
	.title = "nodeN/distance",
	.form = "10 20",
	.bytes_max = 64 * KIB,
	.lines_max = 1,
	.line_bytes_max = 64 * KIB,
	.read = distance_read,
	.print = distance_print,
};

/* ---- from a node ---- */

static int add_ranges(struct text_doc *doc, const struct cpumask *cpus)
{
	struct text_line line = { .kind = TOPOLOGY_LIST, .known = true, .name = "" };
	uint32_t first = cpumask_next(cpus, 0);
	int error = 0;

	while (first < NEAP_MAX_CPUS && error == 0) {
		uint32_t end = first + 1;

		while (end < NEAP_MAX_CPUS && cpumask_test(cpus, end))
			end++;
		error = text_doc_add_number(doc, &line, first);
		if (error == 0)
			error = text_doc_add_number(doc, &line, end - 1);
		first = cpumask_next(cpus, end);
	}
	return error != 0 ? error : text_doc_add(doc, &line);
}

int topology_cpulist_from_snapshot(const struct snapshot_node *node, struct text_doc **out)
{
	*out = text_doc_new(&topology_cpulist_format);
	return *out == NULL ? -ENOMEM : text_doc_finish(out, add_ranges(*out, &node->cpus));
}

int topology_distance_from_snapshot(const struct snapshot *snapshot,
				    const struct snapshot_node *node, struct text_doc **out)
{
	struct text_line line = { .kind = TOPOLOGY_LIST, .known = true, .name = "" };
	int error = 0;

	*out = text_doc_new(&topology_distance_format);
	if (*out == NULL)
		return -ENOMEM;
	for (uint32_t n = 0; n < snapshot->nr_nodes && error == 0; n++)
		error = text_doc_add_number(*out, &line, node->distance[n]);
	if (error == 0)
		error = text_doc_add(*out, &line);
	return text_doc_finish(out, error);
}

/* ---- into a node ---- */

bool topology_cpulist_mask(const struct text_doc *doc, struct cpumask *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	for (uint32_t i = 0; i + 1 < doc->nr_numbers; i += 2) {
		if (doc->numbers[i + 1] >= NEAP_MAX_CPUS)
			return false;
		for (uint64_t cpu = doc->numbers[i]; cpu <= doc->numbers[i + 1]; cpu++)
			cpumask_set(cpus, (uint32_t)cpu);
	}
	return true;
}

bool topology_distance_fill(const struct text_doc *doc, struct snapshot_node *node,
			    uint32_t nr_nodes)
{
	if (doc->nr_numbers != nr_nodes || nr_nodes > NEAP_MAX_NODES)
		return false;
	for (uint32_t n = 0; n < nr_nodes; n++)
		node->distance[n] = (uint32_t)doc->numbers[n];
	return true;
}
