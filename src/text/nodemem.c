/*
 * nodeN/meminfo.
 *
 *     Node 0 MemTotal:        2030272 kB     label and colon padded to 16, value in 8
 *     Node 0 FileHugePages:        0 kB      ... to 15: two labels, a slip of 6.1
 *     Node 0 HugePages_Total:     0          label padded to 17, value in 5, no unit
 *            ^name                ^value     list[0] = node
 *
 * A node has no MemAvailable, no buffers and no swap of its own; FilePages contains
 * buffers and swap cache, MemUsed is all that is not free. As in meminfo the values of
 * a machine's file are arithmetic over the snapshot, by a table. Later kernels pad the
 * two labels like the others (odd lines). Linux's counterpart is node_read_meminfo() in
 * drivers/base/node.c.
 *
 * What must never happen: MemUsed below zero; its terms come from different moments.
 */
#include "text/nodemem.h"

#include <errno.h>
#include <string.h>

#include "text/scan.h"

#define KB_PER_PAGE (NEAP_PAGE_BYTES / 1024u)
#define LABEL_COLUMN 16u
#define NARROW_COLUMN 15u
#define COUNT_COLUMN 17u
#define KB_WIDTH 8u
#define COUNT_WIDTH 5u

/* How a line's value is found in a node. */
enum source {
	SOURCE_ZERO,	 /* always 0 */
	SOURCE_MANAGED,	 /* pages of all zones */
	SOURCE_USED,	 /* the same without the free ones */
	SOURCE_ZONE,	 /* pages: a zone item, summed over zones */
	SOURCE_NODE,	 /* pages: a node item */
	SOURCE_NODE_SUM, /* pages: two node items together */
	SOURCE_NODE_KB,	 /* a node item that is in KiB */
	SOURCE_HUGE,	 /* a uint64_t of the node */
};

struct nodemem_row {
	const char *label;
	uint16_t kind;
	uint16_t column; /* up to which the label and its colon are padded */
	enum source source;
	size_t first;  /* item number, or offset in the node */
	size_t second; /* the other item of a sum */
};

#define ROW(label, source, first)                                                                  \
	{                                                                                          \
		label, NODEMEM_KB, LABEL_COLUMN, source, first, 0                                  \
	}
#define NARROW(label, item)                                                                        \
	{                                                                                          \
		label, NODEMEM_KB, NARROW_COLUMN, SOURCE_NODE, item, 0                             \
	}
#define SUM(label, first, second)                                                                  \
	{                                                                                          \
		label, NODEMEM_KB, LABEL_COLUMN, SOURCE_NODE_SUM, first, second                    \
	}
#define COUNT(label, field)                                                                        \
	{                                                                                          \
		label, NODEMEM_COUNT, COUNT_COLUMN, SOURCE_HUGE,                                   \
			offsetof(struct snapshot_node, field), 0                                   \
	}

static const struct nodemem_row rows[] = {
	ROW("MemTotal", SOURCE_MANAGED, 0),
	ROW("MemFree", SOURCE_ZONE, NR_FREE_PAGES),
	ROW("MemUsed", SOURCE_USED, 0),
	ROW("SwapCached", SOURCE_NODE, NR_SWAPCACHED),
	SUM("Active", NR_ACTIVE_ANON, NR_ACTIVE_FILE),
	SUM("Inactive", NR_INACTIVE_ANON, NR_INACTIVE_FILE),
	ROW("Active(anon)", SOURCE_NODE, NR_ACTIVE_ANON),
	ROW("Inactive(anon)", SOURCE_NODE, NR_INACTIVE_ANON),
	ROW("Active(file)", SOURCE_NODE, NR_ACTIVE_FILE),
	ROW("Inactive(file)", SOURCE_NODE, NR_INACTIVE_FILE),
	ROW("Unevictable", SOURCE_NODE, NR_UNEVICTABLE),
	ROW("Mlocked", SOURCE_ZONE, NR_MLOCK),
	ROW("Dirty", SOURCE_NODE, NR_DIRTY),
	ROW("Writeback", SOURCE_NODE, NR_WRITEBACK),
	ROW("FilePages", SOURCE_NODE, NR_FILE_PAGES),
	ROW("Mapped", SOURCE_NODE, NR_MAPPED),
	ROW("AnonPages", SOURCE_NODE, NR_ANON_PAGES),
	ROW("Shmem", SOURCE_NODE, NR_SHMEM),
	ROW("KernelStack", SOURCE_NODE_KB, NR_KERNEL_STACK),
	ROW("PageTables", SOURCE_NODE, NR_PAGE_TABLE_PAGES),
	ROW("SecPageTables", SOURCE_NODE, NR_SEC_PAGE_TABLE_PAGES),
	ROW("NFS_Unstable", SOURCE_ZERO, 0),
	ROW("Bounce", SOURCE_ZONE, NR_BOUNCE),
	ROW("WritebackTmp", SOURCE_NODE, NR_WRITEBACK_TEMP),
	SUM("KReclaimable", NR_SLAB_RECLAIMABLE, NR_KERNEL_MISC_RECLAIMABLE),
	SUM("Slab", NR_SLAB_RECLAIMABLE, NR_SLAB_UNRECLAIMABLE),
	ROW("SReclaimable", SOURCE_NODE, NR_SLAB_RECLAIMABLE),
	ROW("SUnreclaim", SOURCE_NODE, NR_SLAB_UNRECLAIMABLE),
	ROW("AnonHugePages", SOURCE_NODE, NR_ANON_TRANSPARENT_HUGEPAGES),
	ROW("ShmemHugePages", SOURCE_NODE, NR_SHMEM_HUGEPAGES),
	ROW("ShmemPmdMapped", SOURCE_NODE, NR_SHMEM_PMDMAPPED),
	NARROW("FileHugePages", NR_FILE_HUGEPAGES),
	NARROW("FilePmdMapped", NR_FILE_PMDMAPPED),
	COUNT("HugePages_Total", huge_total),
	COUNT("HugePages_Free", huge_free),
	COUNT("HugePages_Surp", huge_surplus),
};

/* => the row of that label, or NULL. *hint: where to look first */
static const struct nodemem_row *find_row(const char *label, uint32_t *hint)
{
	uint32_t start = *hint < ARRAY_LEN(rows) ? *hint : 0;

	for (uint32_t step = 0; step < ARRAY_LEN(rows); step++) {
		uint32_t at = (start + step) % (uint32_t)ARRAY_LEN(rows);

		if (strcmp(rows[at].label, label) == 0) {
			*hint = at + 1;
			return &rows[at];
		}
	}
	return NULL;
}

static int nodemem_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	uint32_t node = 0;
	const char *at = scan_u32(scan_blanks(scan_literal(text, "Node")), &node);
	const char *label = scan_blanks(at);
	const char *colon = label != NULL ? strchr(label, ':') : NULL;

	if (colon == NULL || colon == label || label == at)
		return 0;
	at = scan_u64(scan_blanks(colon + 1), &line->value);
	const char *unit = scan_literal(scan_blanks(at), "kB");
	if (!scan_end(at) && !scan_end(unit))
		return 0;
	line->kind = unit != NULL ? NODEMEM_KB : NODEMEM_COUNT;
	line->name = text_doc_name(doc, label, (size_t)(colon - label));
	line->known = find_row(line->name, &doc->hint) != NULL;
	return text_doc_add_number(doc, line, node);
}

static void nodemem_print(const struct text_doc *doc, const struct text_line *line,
			  struct text_buf *out)
{
	uint32_t hint = 0;
	const struct nodemem_row *row = find_row(line->name, &hint);
	bool is_count = line->kind == NODEMEM_COUNT;
	size_t column = row != NULL ? row->column : is_count ? COUNT_COLUMN : LABEL_COLUMN;
	size_t length = strlen(line->name) + 1;

	text_buf_puts(out, "Node ");
	text_buf_u64(out, doc->numbers[line->list], 0);
	text_buf_add(out, " ", 1);
	text_buf_add(out, line->name, length - 1);
	text_buf_add(out, ":", 1);
	text_buf_fill(out, ' ', length < column ? column - length : 0);
	text_buf_u64(out, line->value, is_count ? COUNT_WIDTH : KB_WIDTH);
	if (!is_count)
		text_buf_puts(out, " kB");
}

const struct text_format nodemem_format = {
	.title = "nodeN/meminfo",
	.form = "Node 0 MemTotal:        2030272 kB",
	.bytes_max = MIB,
	.lines_max = 4096,
	.line_bytes_max = 256,
	.by_name = true,
	.read = nodemem_read,
	.print = nodemem_print,
};

/* ---- from a node ---- */

static uint64_t managed_pages(const struct snapshot_node *node)
{
	uint64_t pages = 0;

	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		pages += node->zone[z].managed;
	return pages;
}

static uint64_t zone_item_pages(const struct snapshot_node *node, size_t item)
{
	uint64_t pages = 0;

	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		pages += node->zone[z].stat[item];
	return pages;
}

static uint64_t row_value(const struct snapshot_node *node, const struct nodemem_row *row)
{
	uint64_t managed = managed_pages(node);
	uint64_t value = 0;

	switch (row->source) {
	case SOURCE_MANAGED:
		return managed * KB_PER_PAGE;
	case SOURCE_USED:
		value = zone_item_pages(node, NR_FREE_PAGES);
		return (managed - min_u64(managed, value)) * KB_PER_PAGE;
	case SOURCE_ZONE:
		return zone_item_pages(node, row->first) * KB_PER_PAGE;
	case SOURCE_NODE:
		return node->stat[row->first] * KB_PER_PAGE;
	case SOURCE_NODE_SUM:
		return (node->stat[row->first] + node->stat[row->second]) * KB_PER_PAGE;
	case SOURCE_NODE_KB:
		return node->stat[row->first];
	case SOURCE_HUGE:
		memcpy(&value, (const char *)node + row->first, sizeof(value));
		return value;
	case SOURCE_ZERO:
		break;
	}
	return 0;
}

int nodemem_from_snapshot(const struct snapshot_node *node, struct text_doc **out)
{
	int error = 0;

	*out = text_doc_new(&nodemem_format);
	if (*out == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < ARRAY_LEN(rows) && error == 0; i++) {
		struct text_line line = {
			.kind = rows[i].kind,
			.known = true,
			.name = rows[i].label,
			.value = row_value(node, &rows[i]),
		};

		error = text_doc_add_number(*out, &line, node->id);
		if (error == 0)
			error = text_doc_add(*out, &line);
	}
	return text_doc_finish(out, error);
}

/* ---- looking things up ---- */

static bool find_value(const struct text_doc *doc, uint16_t kind, const char *label,
		       uint64_t *value)
{
	const struct text_line *line = text_doc_find(doc, 0, kind, label);

	if (line != NULL)
		*value = line->value;
	return line != NULL;
}

bool nodemem_doc_kb(const struct text_doc *doc, const char *label, uint64_t *value_kb)
{
	return find_value(doc, NODEMEM_KB, label, value_kb);
}

bool nodemem_doc_count(const struct text_doc *doc, const char *label, uint64_t *value)
{
	return find_value(doc, NODEMEM_COUNT, label, value);
}

void nodemem_fill_node(const struct text_doc *doc, struct snapshot_node *node)
{
	(void)nodemem_doc_count(doc, "HugePages_Total", &node->huge_total);
	(void)nodemem_doc_count(doc, "HugePages_Free", &node->huge_free);
	(void)nodemem_doc_count(doc, "HugePages_Surp", &node->huge_surplus);
}
