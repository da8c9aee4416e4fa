/*
 * /proc/buddyinfo.
 *
 *     Node 0, zone    DMA32      1      2      0 ...     102 \n
 *          ^value     ^name      ^list: blocks of order 0, 1, ... 10
 *                                                           ^ a blank ends each number
 *
 * Only populated zones have a line. The numbers are those of all migrate types
 * together. Other builds have other numbers of orders (11 on amd64), so the list
 * is as long as the line says. Linux's counterpart is frag_show_print() in
 * mm/vmstat.c.
 *
 * What must never happen: a shift beyond 64 bits when blocks are turned into
 * pages; the order is data from a file.
 */
#include "text/buddyinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/mem.h"
#include "text/scan.h"
#include "text/zonename.h"

static int buddyinfo_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	struct zonename_label label = { 0 };
	const char *at = zonename_scan_label(text, &label);

	if (at == NULL)
		return 0;
	while (!scan_end(at)) {
		uint64_t blocks = 0;

		at = scan_u64(scan_blanks(at), &blocks);
		if (at == NULL)
			return 0;
		int error = text_doc_add_number(doc, line, blocks);
		if (error != 0)
			return error;
	}
	if (line->nr_list == 0)
		return 0;
	line->kind = BUDDYINFO_ZONE;
	line->value = label.node;
	line->name = text_doc_name(doc, label.name, label.name_bytes);
	line->known = zonename_type(line->name) < NEAP_NR_ZONES && line->nr_list == NEAP_NR_ORDERS;
	return 0;
}

static void buddyinfo_print(const struct text_doc *doc, const struct text_line *line,
			    struct text_buf *out)
{
	zonename_print_label(line, out);
	text_buf_add(out, " ", 1);
	for (uint32_t i = 0; i < line->nr_list; i++) {
		text_buf_u64(out, doc->numbers[line->list + i], 6);
		text_buf_add(out, " ", 1);
	}
}

static const struct text_format buddyinfo_format = {
	.title = "/proc/buddyinfo",
	.form = "Node 0, zone    DMA32      1      2      0 ...",
	.bytes_max = 4 * MIB,
	.lines_max = 8192,
	.line_bytes_max = 2048,
	.read = buddyinfo_read,
	.print = buddyinfo_print,
};

/* => an empty document, or NULL when memory is out */
static struct buddyinfo_doc *buddyinfo_new(void)
{
	struct buddyinfo_doc *buddyinfo = text_mem_resize(NULL, sizeof(*buddyinfo));

	if (buddyinfo != NULL)
		text_doc_init(&buddyinfo->doc, &buddyinfo_format);
	return buddyinfo;
}

void buddyinfo_free(struct buddyinfo_doc *buddyinfo)
{
	if (buddyinfo == NULL)
		return;
	text_doc_clear(&buddyinfo->doc);
	free(buddyinfo);
}

int buddyinfo_parse(const char *text, size_t bytes, const char *file_name,
		    struct buddyinfo_doc **out, struct text_error *err)
{
	struct buddyinfo_doc *buddyinfo = buddyinfo_new();

	*out = NULL;
	if (buddyinfo == NULL)
		return text_error_no_memory(err, file_name);
	int error = text_doc_parse(&buddyinfo->doc, text, bytes, file_name, err);
	if (error != 0) {
		buddyinfo_free(buddyinfo);
		return error;
	}
	*out = buddyinfo;
	return 0;
}

static int add_zone(struct text_doc *doc, const struct snapshot_zone *zone)
{
	struct text_line line = {
		.kind = BUDDYINFO_ZONE,
		.known = true,
		.name = zonename_of(zone->type),
		.value = zone->node,
	};

	for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++) {
		int error = text_doc_add_number(doc, &line, zone->nr_free[order]);

		if (error != 0)
			return error;
	}
	return text_doc_add(doc, &line);
}

int buddyinfo_from_snapshot(const struct snapshot *snapshot, struct buddyinfo_doc **out)
{
	struct buddyinfo_doc *buddyinfo = buddyinfo_new();
	int error = buddyinfo != NULL ? 0 : -ENOMEM;

	*out = NULL;
	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES && error == 0; i++) {
		const struct snapshot_zone *zone =
			&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];

		if (zone->present != 0)
			error = add_zone(&buddyinfo->doc, zone);
	}
	if (error != 0) {
		buddyinfo_free(buddyinfo);
		return error;
	}
	*out = buddyinfo;
	return 0;
}

int buddyinfo_write(const struct buddyinfo_doc *buddyinfo, struct text_buf *out)
{
	return text_doc_write(&buddyinfo->doc, out);
}

const uint64_t *buddyinfo_doc_zone(const struct buddyinfo_doc *buddyinfo, uint32_t node,
				   const char *zone, uint32_t *nr_orders)
{
	const struct text_doc *doc = &buddyinfo->doc;

	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->kind != BUDDYINFO_ZONE || line->value != node ||
		    strcmp(line->name, zone) != 0)
			continue;
		*nr_orders = line->nr_list;
		return &doc->numbers[line->list];
	}
	return NULL;
}

uint64_t buddyinfo_doc_free_pages(const struct buddyinfo_doc *buddyinfo, uint32_t node,
				  const char *zone)
{
	uint32_t nr_orders = 0;
	uint64_t pages = 0;
	const uint64_t *blocks = buddyinfo_doc_zone(buddyinfo, node, zone, &nr_orders);

	if (blocks == NULL)
		return 0;
	for (uint32_t order = 0; order < nr_orders; order++) {
		if (blocks[order] == 0)
			continue;
		if (order >= 64 || blocks[order] > (UINT64_MAX - pages) >> order)
			return UINT64_MAX;
		pages += blocks[order] << order;
	}
	return pages;
}

void buddyinfo_fill_snapshot(const struct buddyinfo_doc *buddyinfo, struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++) {
		struct snapshot_zone *zone =
			&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];
		uint32_t nr_orders = 0;
		const uint64_t *blocks = buddyinfo_doc_zone(
			buddyinfo, zone->node, zonename_in(snapshot, zone->type), &nr_orders);

		if (blocks == NULL)
			continue;
		for (uint32_t order = 0; order < min_u32(nr_orders, NEAP_NR_ORDERS); order++)
			zone->nr_free[order] = blocks[order];
		/* Kernels with large pages have larger blocks, too: each is several of ours. */
		for (uint32_t order = NEAP_NR_ORDERS; order < min_u32(nr_orders, 32); order++)
			zone->nr_free[NEAP_NR_ORDERS - 1] += blocks[order]
							     << (order - NEAP_NR_ORDERS + 1);
	}
}
