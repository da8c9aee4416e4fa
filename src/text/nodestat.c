/*
 * nodeN/vmstat and nodeN/numastat.
 *
 *     vmstat    nr_free_pages 497693      zone items, summed over the node's zones
 *               numa_hit 3694             NUMA events
 *               nr_inactive_anon 14       node items
 *     numastat  numa_hit 3709             the same events, partly by older names
 *               interleave_hit 204
 *
 * Both have the form of /proc/vmstat, "name value". The first is its beginning, with a
 * node's numbers: no write-back limits, no events, no fixed last line; names and
 * order come from core/vmstat_items.def as there. Linux's counterpart is in
 * drivers/base/node.c.
 *
 * What must never happen: a name of one file taken as known in the other; they
 * count the same six events by different names.
 */
#include "text/nodestat.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "text/scan.h"
#include "text/vmstat.h"

enum {
	NUMA_AT = NR_ZONE_ITEMS,
	NODE_AT = NUMA_AT + NR_NUMA_ITEMS,
	NR_NAMES = NODE_AT + NR_NODE_ITEMS,
};

static const struct {
	const char *name;
	enum numa_item item;
} numa_rows[] = {
	{ "numa_hit", NUMA_HIT },	  { "numa_miss", NUMA_MISS },
	{ "numa_foreign", NUMA_FOREIGN }, { "interleave_hit", NUMA_INTERLEAVE },
	{ "local_node", NUMA_LOCAL },	  { "other_node", NUMA_OTHER },
};

_Static_assert(ARRAY_LEN(numa_rows) == NR_NUMA_ITEMS, "every event has a line");

/* The name at this place of nodeN/vmstat. */
static const char *name_at(uint32_t at)
{
	if (at < NUMA_AT)
		return vmstat_zone_name((enum zone_item)at);
	if (at < NODE_AT)
		return vmstat_numa_name((enum numa_item)(at - NUMA_AT));
	return vmstat_node_name((enum node_item)(at - NODE_AT));
}

/* The place of a name, looked for at *hint first; NAME_NONE if 6.1 has no such line. */
static uint32_t place_of(const char *name, uint32_t *hint)
{
	uint32_t start = *hint < NR_NAMES ? *hint : 0;

	for (uint32_t step = 0; step < NR_NAMES; step++) {
		uint32_t at = (start + step) % NR_NAMES;

		if (strcmp(name_at(at), name) == 0) {
			*hint = at + 1;
			return at;
		}
	}
	return NAME_NONE;
}

/* Understands "name value". => whether it is that */
static bool read_pair(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *name_end = scan_word(text);

	if (!scan_end(scan_u64(scan_blanks(name_end), &line->value)))
		return false;
	line->kind = NODESTAT_VALUE;
	line->name = text_doc_name(doc, text, (size_t)(name_end - text));
	return true;
}

static int nodestat_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	if (read_pair(doc, line, text))
		line->known = place_of(line->name, &doc->hint) != NAME_NONE;
	return 0;
}

static int nodestat_numa_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	if (!read_pair(doc, line, text))
		return 0;
	for (uint32_t i = 0; i < ARRAY_LEN(numa_rows); i++)
		line->known = line->known || strcmp(numa_rows[i].name, line->name) == 0;
	return 0;
}

static void nodestat_print(const struct text_doc *doc UNUSED, const struct text_line *line,
			   struct text_buf *out)
{
	text_buf_puts(out, line->name);
	text_buf_add(out, " ", 1);
	text_buf_u64(out, line->value, 0);
}

const struct text_format nodestat_format = {
	.title = "nodeN/vmstat",
	.form = "nr_free_pages 497693",
	.bytes_max = MIB,
	.lines_max = 8192,
	.line_bytes_max = 256,
	.by_name = true,
	.read = nodestat_read,
	.print = nodestat_print,
};

const struct text_format nodestat_numa_format = {
	.title = "nodeN/numastat",
	.form = "interleave_hit 204",
	.bytes_max = 64 * KIB,
	.lines_max = 1024,
	.line_bytes_max = 256,
	.by_name = true,
	.read = nodestat_numa_read,
	.print = nodestat_print,
};

/* ---- from a node ---- */

static uint64_t numa_events(const struct snapshot_node *node, uint32_t item)
{
	uint64_t events = 0;

	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		events += node->zone[z].numa[item];
	return events;
}

static uint64_t value_at(const struct snapshot_node *node, uint32_t at)
{
	uint64_t pages = 0;

	if (at >= NODE_AT) {
		enum node_item item = (enum node_item)(at - NODE_AT);

		return node->stat[item] / (vmstat_node_is_huge(item) ? VMSTAT_HUGE_PAGES : 1);
	}
	if (at >= NUMA_AT)
		return numa_events(node, at - NUMA_AT);
	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		pages += node->zone[z].stat[at];
	return pages;
}

static int add(struct text_doc *doc, const char *name, uint64_t value)
{
	struct text_line line = {
		.kind = NODESTAT_VALUE,
		.known = true,
		.name = name,
		.value = value,
	};

	return text_doc_add(doc, &line);
}

int nodestat_from_snapshot(const struct snapshot_node *node, struct text_doc **out)
{
	int error = 0;

	*out = text_doc_new(&nodestat_format);
	if (*out == NULL)
		return -ENOMEM;
	for (uint32_t at = 0; at < NR_NAMES && error == 0; at++)
		error = add(*out, name_at(at), value_at(node, at));
	return text_doc_finish(out, error);
}

int nodestat_numa_from_snapshot(const struct snapshot_node *node, struct text_doc **out)
{
	int error = 0;

	*out = text_doc_new(&nodestat_numa_format);
	if (*out == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < ARRAY_LEN(numa_rows) && error == 0; i++)
		error = add(*out, numa_rows[i].name, numa_events(node, numa_rows[i].item));
	return text_doc_finish(out, error);
}

/* ---- looking things up ---- */

bool nodestat_doc_get(const struct text_doc *doc, const char *name, uint64_t *value)
{
	const struct text_line *line = text_doc_find(doc, 0, NODESTAT_VALUE, name);

	if (line != NULL)
		*value = line->value;
	return line != NULL;
}

void nodestat_fill_node(const struct text_doc *doc, struct snapshot_node *node)
{
	uint32_t hint = 0;

	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];
		uint32_t at = NAME_NONE;

		if (line->kind == NODESTAT_VALUE)
			at = place_of(line->name, &hint);
		if (at == NAME_NONE || at < NODE_AT)
			continue;
		enum node_item item = (enum node_item)(at - NODE_AT);
		node->stat[item] =
			line->value * (vmstat_node_is_huge(item) ? VMSTAT_HUGE_PAGES : 1);
	}
}
