/*
 * /proc/zoneinfo: understanding and printing its lines, finding zones in them.
 *
 *     Node 0, zone      DMA                    header
 *       per-node stats                         first populated zone of a node only
 *           nr_inactive_anon 254                 node items
 *       pages free     3808                    the marks:
 *             boost    0                         boost min low high (promo)
 *             min      22                        spanned present managed cma
 *             protection: (0, 444, 444)
 *           nr_free_pages 3808                 zone items and NUMA events,
 *       pagesets                               page lists: populated zones only
 *         cpu: 0
 *                   count: 0
 *       vm stats threshold: 4
 *       start_pfn:           1
 *
 * Node items and zone items look alike; the section (the kind of the latest line
 * that changes it) tells them apart. Lines are recognised by their words, not by
 * their indentation, so that a file pasted into a mail, which lost its blanks,
 * can still be used; it is printed back as it was read. What kernels before 4.14
 * did otherwise (items before protection, other tails) is understood as well.
 *
 * The zones and page lists that callers ask for are an index over the lines, made
 * by one function for parsed and for written documents. Linux's counterpart is
 * zoneinfo_show_print() in mm/vmstat.c. Documents from snapshots are made in
 * zoneinfo_snapshot.c.
 *
 * What must never happen: a node item taken for a zone's. The names overlap in
 * old kernels, so both are looked up in their own section only.
 */
#include "text/zoneinfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/mem.h"
#include "text/scan.h"
#include "text/vmstat.h"
#include "text/zonename.h"

#define STAT_COLUMN 12u
#define MARK_COLUMN 8u
#define PAGESET_COLUMN 6u
#define TAIL_COLUMN 20u

static const char *const mark_names[] = {
	"boost", "min", "low", "high", "spanned", "present", "managed", "cma",
};
/* Marks of other kernels: understood, but 6.1 does not have them. */
static const char *const other_marks[] = { "promo", "scanned" };
static const char *const pageset_names[] = { "count", "high", "batch" };
static const char *const other_pagesets[] = { "high_min", "high_max" };
static const char *const tail_names[] = { "node_unreclaimable", "start_pfn" };

static bool name_in(const char *const *names, uint32_t nr_names, const char *name)
{
	uint32_t hint = 0;

	return text_name_find(names, nr_names, name, &hint) != NAME_NONE;
}

static bool node_item_known(const char *name, uint32_t *hint)
{
	static const char *const names[] = {
#define NODE_ITEM(id, name) name,
#include "core/vmstat_items.def"
	};

	return text_name_find(names, ARRAY_LEN(names), name, hint) != NAME_NONE;
}

static bool zone_item_known(const char *name, uint32_t *hint)
{
	static const char *const names[] = {
#define ZONE_ITEM(id, name) name,
#include "core/vmstat_items.def"
#define NUMA_ITEM(id, name) name,
#include "core/vmstat_items.def"
	};

	return text_name_find(names, ARRAY_LEN(names), name, hint) != NAME_NONE;
}

/* "name value": a mark, a node item or a zone item, which the section decides. */
static int read_item(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *name = scan_blanks(text);
	const char *name_end = scan_word(name);
	const char *at = scan_blanks(name_end);

	if (!scan_end(scan_u64(at, &line->value)))
		return 0;
	line->name = text_doc_name(doc, name, (size_t)(name_end - name));
	if (doc->section == ZONEINFO_NODE_STATS) {
		line->kind = ZONEINFO_NODE_STAT;
		line->known = node_item_known(line->name, &doc->hint);
	} else if (name_in(mark_names, ARRAY_LEN(mark_names), line->name)) {
		line->kind = ZONEINFO_MARK;
		line->known = true;
	} else if (name_in(other_marks, ARRAY_LEN(other_marks), line->name) ||
		   (doc->section == ZONEINFO_FREE && name - text == 8)) {
		line->kind = ZONEINFO_MARK;
	} else {
		line->kind = ZONEINFO_ZONE_STAT;
		line->known = zone_item_known(line->name, &doc->hint);
	}
	return 0;
}

/* "name: value": a CPU, a field of its page list, or one of the last lines of a zone. */
static int read_labelled(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *name = scan_blanks(text);
	const char *colon = strchr(name, ':');

	if (colon == NULL || !scan_end(scan_u64(scan_blanks(colon + 1), &line->value)))
		return 0;
	line->name = text_doc_name(doc, name, (size_t)(colon - name));
	if (strcmp(line->name, "cpu") == 0) {
		line->kind = ZONEINFO_CPU;
		line->known = true;
	} else if (strcmp(line->name, "vm stats threshold") == 0) {
		line->kind = ZONEINFO_THRESHOLD;
		line->known = true;
	} else if (name_in(pageset_names, ARRAY_LEN(pageset_names), line->name)) {
		line->kind = ZONEINFO_PAGESET;
		line->known = true;
	} else if (name_in(other_pagesets, ARRAY_LEN(other_pagesets), line->name)) {
		line->kind = ZONEINFO_PAGESET;
	} else {
		line->kind = ZONEINFO_TAIL;
		line->known = name_in(tail_names, ARRAY_LEN(tail_names), line->name);
	}
	return 0;
}

/* "protection: (a, b, ...)" after the colon. => 0 or -ENOMEM */
static int read_protection(struct text_doc *doc, struct text_line *line, const char *at)
{
	at = scan_literal(scan_blanks(at), "(");
	while (at != NULL && *at != ')') {
		uint64_t value = 0;

		at = scan_i64(scan_blanks(at), &value);
		if (at == NULL || (*at != ',' && *at != ')'))
			return 0;
		int error = text_doc_add_number(doc, line, value);
		if (error != 0)
			return error;
		if (*at == ',')
			at++;
	}
	if (line->nr_list != 0 && scan_end(scan_literal(at, ")"))) {
		line->kind = ZONEINFO_PROTECTION;
		line->known = true;
	}
	return 0;
}

/* A line without a value, or with its own form: sets the kind. => false if it is another */
static bool read_title(struct text_doc *doc, struct text_line *line, const char *text)
{
	struct zonename_label label = { 0 };
	const char *at = scan_blanks(text);

	if (scan_end(zonename_scan_label(text, &label))) {
		line->kind = ZONEINFO_ZONE;
		line->value = label.node;
		line->name = text_doc_name(doc, label.name, label.name_bytes);
		line->known = zonename_type(line->name) < NEAP_NR_ZONES;
		return true;
	}
	if (scan_end(scan_literal(at, "per-node stats")))
		line->kind = ZONEINFO_NODE_STATS;
	else if (scan_end(scan_literal(at, "pagesets")))
		line->kind = ZONEINFO_PAGESETS;
	line->known = line->kind != TEXT_LINE_RAW;
	return line->known;
}

static int zoneinfo_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *at = scan_blanks(text);
	const char *free_at = scan_literal(scan_blanks(scan_literal(at, "pages")), "free");
	const char *protection = scan_literal(at, "protection:");
	int error = 0;

	if (read_title(doc, line, text)) {
		doc->section = line->kind;
	} else if (doc->section == 0) {
		return 0; /* nothing belongs to a zone before the first header */
	} else if (free_at != NULL && scan_end(scan_u64(scan_blanks(free_at), &line->value))) {
		line->kind = ZONEINFO_FREE;
		line->name = "free";
		line->known = true;
		doc->section = ZONEINFO_FREE;
	} else if (protection != NULL) {
		error = read_protection(doc, line, protection);
		doc->section = ZONEINFO_PROTECTION;
	} else if (strchr(at, ':') != NULL) {
		error = read_labelled(doc, line, text);
	} else {
		error = read_item(doc, line, text);
	}
	return error;
}

/* Indentation, a label padded to a column, a blank, the value. */
static void print_item(struct text_buf *out, uint32_t indent, const char *label, uint32_t column,
		       uint64_t value)
{
	size_t length = strlen(label);

	text_buf_fill(out, ' ', indent);
	text_buf_add(out, label, length);
	text_buf_fill(out, ' ', (length < column ? column - length : 0) + 1);
	text_buf_u64(out, value, 0);
}

static void print_colon_item(struct text_buf *out, uint32_t indent, const struct text_line *line,
			     uint32_t column)
{
	size_t length = strlen(line->name) + 1;

	text_buf_fill(out, ' ', indent);
	text_buf_add(out, line->name, length - 1);
	text_buf_add(out, ":", 1);
	text_buf_fill(out, ' ', (length < column ? column - length : 0) + 1);
	text_buf_u64(out, line->value, 0);
}

static void print_protection(const struct text_doc *doc, const struct text_line *line,
			     struct text_buf *out)
{
	text_buf_puts(out, "        protection: (");
	for (uint32_t i = 0; i < line->nr_list; i++) {
		if (i != 0)
			text_buf_puts(out, ", ");
		text_buf_i64(out, (int64_t)doc->numbers[line->list + i]);
	}
	text_buf_puts(out, ")");
}

static void zoneinfo_print(const struct text_doc *doc, const struct text_line *line,
			   struct text_buf *out)
{
	switch ((enum zoneinfo_kind)line->kind) {
	case ZONEINFO_ZONE:
		zonename_print_label(line, out);
		break;
	case ZONEINFO_NODE_STATS:
		text_buf_puts(out, "  per-node stats");
		break;
	case ZONEINFO_NODE_STAT:
	case ZONEINFO_ZONE_STAT:
		print_item(out, 6, line->name, STAT_COLUMN, line->value);
		break;
	case ZONEINFO_FREE:
		print_item(out, 2, "pages free", 14, line->value);
		break;
	case ZONEINFO_MARK:
		print_item(out, 8, line->name, MARK_COLUMN, line->value);
		break;
	case ZONEINFO_PROTECTION:
		print_protection(doc, line, out);
		break;
	case ZONEINFO_PAGESETS:
		text_buf_puts(out, "  pagesets");
		break;
	case ZONEINFO_CPU:
		print_colon_item(out, 4, line, 0);
		break;
	case ZONEINFO_PAGESET:
		print_colon_item(out, 14, line, PAGESET_COLUMN);
		break;
	case ZONEINFO_THRESHOLD:
		print_colon_item(out, 2, line, 0);
		break;
	case ZONEINFO_TAIL:
		print_colon_item(out, 2, line, TAIL_COLUMN);
		break;
	}
}

static const struct text_format zoneinfo_format = {
	.title = "/proc/zoneinfo",
	.form = "Node 0, zone      DMA",
	.bytes_max = 64 * MIB,
	.lines_max = 4000000,
	.line_bytes_max = 1024,
	.read = zoneinfo_read,
	.print = zoneinfo_print,
};

struct zoneinfo_doc *zoneinfo_new(void)
{
	struct zoneinfo_doc *zoneinfo = text_mem_resize(NULL, sizeof(*zoneinfo));

	if (zoneinfo == NULL)
		return NULL;
	memset(zoneinfo, 0, sizeof(*zoneinfo));
	text_doc_init(&zoneinfo->doc, &zoneinfo_format);
	return zoneinfo;
}

void zoneinfo_free(struct zoneinfo_doc *zoneinfo)
{
	if (zoneinfo == NULL)
		return;
	text_doc_clear(&zoneinfo->doc);
	free(zoneinfo->zones);
	free(zoneinfo->pagesets);
	free(zoneinfo);
}

/* Counts what the index will hold and makes room for it. => 0 or -ENOMEM */
static int index_reserve(struct zoneinfo_doc *zoneinfo)
{
	const struct text_doc *doc = &zoneinfo->doc;
	void *zones = NULL;
	void *pagesets = NULL;
	uint32_t zones_room = 0;
	uint32_t pagesets_room = 0;
	uint32_t nr_zones = 0;
	uint32_t nr_pagesets = 0;

	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		nr_zones += doc->lines[i].kind == ZONEINFO_ZONE;
		nr_pagesets += doc->lines[i].kind == ZONEINFO_CPU;
	}
	int error = text_mem_reserve(&zones, &zones_room, nr_zones, sizeof(struct zoneinfo_zone));
	zoneinfo->zones = zones;
	if (error != 0)
		return error;
	error = text_mem_reserve(&pagesets, &pagesets_room, nr_pagesets,
				 sizeof(struct zoneinfo_pageset));
	zoneinfo->pagesets = pagesets;
	return error;
}

/* Enters a line of a CPU's page list. */
static void index_pageset(struct zoneinfo_pageset *pageset, const struct text_line *line)
{
	const struct {
		const char *name;
		uint64_t *field;
	} fields[] = {
		{ "count", &pageset->count },	    { "high", &pageset->high },
		{ "batch", &pageset->batch },	    { "high_min", &pageset->high_min },
		{ "high_max", &pageset->high_max }, { "vm stats threshold", &pageset->threshold },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].name, line->name) == 0)
			*fields[i].field = line->value;
}

/* Enters a line into the zone that it belongs to; the page list is the zone's latest. */
static void index_line(struct zoneinfo_doc *zoneinfo, struct zoneinfo_zone *zone,
		       const struct text_line *line)
{
	switch (line->kind) {
	case ZONEINFO_MARK:
		if (strcmp(line->name, "present") == 0)
			zone->populated = line->value != 0;
		break;
	case ZONEINFO_PROTECTION:
		zone->protection = &zoneinfo->doc.numbers[line->list];
		zone->nr_protection = line->nr_list;
		zone->complete = zone->complete || !zone->populated;
		break;
	case ZONEINFO_TAIL:
		if (strcmp(line->name, "start_pfn") == 0)
			zone->complete = zone->nr_protection != 0;
		break;
	case ZONEINFO_CPU: {
		struct zoneinfo_pageset *pageset = &zoneinfo->pagesets[zoneinfo->nr_pagesets++];

		*pageset = (struct zoneinfo_pageset){ .cpu = line->value };
		if (zone->nr_pagesets++ == 0)
			zone->pagesets = pageset;
		break;
	}
	case ZONEINFO_PAGESET:
	case ZONEINFO_THRESHOLD:
		if (zone->nr_pagesets != 0)
			index_pageset(&zoneinfo->pagesets[zoneinfo->nr_pagesets - 1], line);
		break;
	default:
		break;
	}
}

int zoneinfo_index(struct zoneinfo_doc *zoneinfo)
{
	const struct text_doc *doc = &zoneinfo->doc;
	struct zoneinfo_zone *zone = NULL;
	int error = index_reserve(zoneinfo);

	for (uint32_t i = 0; i < doc->nr_lines && error == 0; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->kind == ZONEINFO_ZONE) {
			zone = &zoneinfo->zones[zoneinfo->nr_zones++];
			*zone = (struct zoneinfo_zone){
				.node = line->value,
				.name = line->name,
				.first_line = i,
			};
		} else if (zone != NULL) {
			index_line(zoneinfo, zone, line);
		}
		if (zone != NULL)
			zone->end_line = i + 1;
	}
	return error;
}

/* Refuses a file whose last zone is not whole. => 0 or -EINVAL */
static int check_whole(const struct zoneinfo_doc *zoneinfo, const char *file_name,
		       struct text_error *err)
{
	if (zoneinfo->nr_zones == 0) {
		text_error_set(err, file_name, 1, "there is no line like \"%s\" in it",
			       zoneinfo_format.form);
		return -EINVAL;
	}
	const struct zoneinfo_zone *last = &zoneinfo->zones[zoneinfo->nr_zones - 1];
	if (last->complete)
		return 0;
	text_error_set(err, file_name, zoneinfo->doc.nr_lines,
		       "the file is cut off: node %llu, zone %s has no %s line; save the whole "
		       "/proc/zoneinfo",
		       (unsigned long long)last->node, last->name,
		       last->nr_protection == 0 ? "protection" : "start_pfn");
	return -EINVAL;
}

int zoneinfo_parse_excerpt(const struct text_input *in, struct zoneinfo_doc **out, bool *whole,
			   struct text_error *err)
{
	struct zoneinfo_doc *zoneinfo = zoneinfo_new();

	*out = NULL;
	*whole = false;
	if (zoneinfo == NULL)
		return text_error_no_memory(err, in->file_name);
	int error = text_doc_parse(&zoneinfo->doc, in->text, in->bytes, in->file_name, err);
	if (error == 0 && zoneinfo_index(zoneinfo) != 0)
		error = text_error_no_memory(err, in->file_name);
	if (error == 0) {
		*whole = check_whole(zoneinfo, in->file_name, err) == 0;
		error = zoneinfo->nr_zones == 0 ? -EINVAL : 0;
	}
	if (error != 0) {
		zoneinfo_free(zoneinfo);
		return error;
	}
	*out = zoneinfo;
	return 0;
}

int zoneinfo_parse(const char *text, size_t bytes, const char *file_name, struct zoneinfo_doc **out,
		   struct text_error *err)
{
	const struct text_input in = { text, bytes, file_name };
	bool whole;
	int error = zoneinfo_parse_excerpt(&in, out, &whole, err);

	if (error != 0 || whole)
		return error;
	zoneinfo_free(*out);
	*out = NULL;
	return -EINVAL;
}

int zoneinfo_write(const struct zoneinfo_doc *zoneinfo, struct text_buf *out)
{
	return text_doc_write(&zoneinfo->doc, out);
}

const struct zoneinfo_zone *zoneinfo_doc_zone(const struct zoneinfo_doc *zoneinfo, uint64_t node,
					      const char *zone)
{
	for (uint32_t i = 0; i < zoneinfo->nr_zones; i++)
		if (zoneinfo->zones[i].node == node && strcmp(zoneinfo->zones[i].name, zone) == 0)
			return &zoneinfo->zones[i];
	return NULL;
}

bool zoneinfo_doc_get(const struct zoneinfo_doc *zoneinfo, const struct zoneinfo_zone *zone,
		      const char *name, uint64_t *value)
{
	for (uint32_t i = zone->first_line; i < zone->end_line; i++) {
		const struct text_line *line = &zoneinfo->doc.lines[i];
		bool of_zone = line->kind == ZONEINFO_FREE || line->kind == ZONEINFO_MARK ||
			       line->kind == ZONEINFO_ZONE_STAT || line->kind == ZONEINFO_TAIL;

		if (of_zone && strcmp(line->name, name) == 0) {
			*value = line->value;
			return true;
		}
	}
	return false;
}

bool zoneinfo_doc_node_get(const struct zoneinfo_doc *zoneinfo, uint64_t node, const char *name,
			   uint64_t *value)
{
	for (uint32_t z = 0; z < zoneinfo->nr_zones; z++) {
		const struct zoneinfo_zone *zone = &zoneinfo->zones[z];

		if (zone->node != node)
			continue;
		for (uint32_t i = zone->first_line; i < zone->end_line; i++) {
			const struct text_line *line = &zoneinfo->doc.lines[i];

			if (line->kind != ZONEINFO_NODE_STAT || strcmp(line->name, name) != 0)
				continue;
			*value = line->value;
			return true;
		}
	}
	return false;
}
