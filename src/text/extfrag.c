/*
 * extfrag_index and unusable_index.
 *
 *     Node 0, zone      DMA -1.000 -1.000 ...  0.571 \n     extfrag_index
 *     Node 0, zone      DMA 0.000 0.000 ... 0.172 \n        unusable_index
 *          ^value       ^name ^list, thousandths
 *
 * Linux prints a number x as x / 1000 and x % 1000 with C's division, so a negative
 * one that is no multiple of 1000 looks odd: -500 is " 0.-500", -31 is " 0.-31", -1500
 * is "-1.-500". The parser takes exactly these forms. The only difference between the
 * files is the width of the part before the point: 2 and 1.
 *
 * A machine's own files are computed from its free blocks by core/fragindex.h, as
 * Linux does at each read; nothing is stored. Linux's counterpart is at the end of
 * mm/vmstat.c.
 *
 * What must never happen: a digit lost. "0.5" is no number here, since it could
 * mean 5 or 500 thousandths: such a line is unknown.
 */
#include "text/extfrag.h"

#include <errno.h>
#include <string.h>

#include "core/fragindex.h"
#include "text/scan.h"
#include "text/zonename.h"

#define ONE 1000
#define FRACTION_DIGITS 3
#define WHOLE_MAX 1000000u

/* Understands "W.FFF", where either part may have a minus sign. */
static const char *scan_thousandths(const char *at, uint64_t *value)
{
	uint64_t whole = 0;
	uint64_t fraction = 0;
	bool negative = at != NULL && *at == '-';

	at = scan_u64(negative ? at + 1 : at, &whole);
	at = scan_literal(at, ".");
	if (at == NULL || whole > WHOLE_MAX)
		return NULL;
	bool fraction_negative = *at == '-';
	const char *digits = fraction_negative ? at + 1 : at;
	at = scan_u64(digits, &fraction);
	/* The sign is one of the three characters that are always printed. */
	if (at == NULL || at - digits > FRACTION_DIGITS ||
	    at - digits < FRACTION_DIGITS - fraction_negative)
		return NULL;
	int64_t sum = (negative ? -1 : 1) * (int64_t)whole * ONE;
	sum += (fraction_negative ? -1 : 1) * (int64_t)fraction;
	*value = (uint64_t)sum;
	return at;
}

static int extfrag_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	struct zonename_label label = { 0 };
	const char *at = zonename_scan_label(text, &label);

	if (at == NULL)
		return 0;
	while (!scan_end(at)) {
		const char *number = scan_blanks(at);
		uint64_t value = 0;

		if (number == at)
			return 0;
		at = scan_thousandths(number, &value);
		if (at == NULL)
			return 0;
		int error = text_doc_add_number(doc, line, value);
		if (error != 0)
			return error;
	}
	if (line->nr_list == 0)
		return 0;
	line->kind = EXTFRAG_ZONE;
	line->value = label.node;
	line->name = text_doc_name(doc, label.name, label.name_bytes);
	line->known = zonename_type(line->name) < NEAP_NR_ZONES && line->nr_list == NEAP_NR_ORDERS;
	return 0;
}

/* Prints a line with the parts before the point at least `width` wide. */
static void print_line(const struct text_doc *doc, const struct text_line *line, int width,
		       struct text_buf *out)
{
	zonename_print_label(line, out);
	text_buf_add(out, " ", 1);
	for (uint32_t i = 0; i < line->nr_list; i++) {
		int64_t value = (int64_t)doc->numbers[line->list + i];

		text_buf_printf(out, "%*d.%03d ", width, (int)(value / ONE), (int)(value % ONE));
	}
}

static void extfrag_index_print(const struct text_doc *doc, const struct text_line *line,
				struct text_buf *out)
{
	print_line(doc, line, 2, out);
}

static void unusable_index_print(const struct text_doc *doc, const struct text_line *line,
				 struct text_buf *out)
{
	print_line(doc, line, 1, out);
}

const struct text_format extfrag_index_format = {
	.title = "/sys/kernel/debug/extfrag/extfrag_index",
	.form = "Node 0, zone    DMA32 -1.000 -1.000 ...",
	.bytes_max = 4 * MIB,
	.lines_max = 8192,
	.line_bytes_max = 2048,
	.read = extfrag_read,
	.print = extfrag_index_print,
};

const struct text_format unusable_index_format = {
	.title = "/sys/kernel/debug/extfrag/unusable_index",
	.form = "Node 0, zone    DMA32 0.000 0.000 ...",
	.bytes_max = 4 * MIB,
	.lines_max = 8192,
	.line_bytes_max = 2048,
	.read = extfrag_read,
	.print = unusable_index_print,
};

/* ---- from a machine ---- */

static int64_t external(const struct fragindex *frag)
{
	return fragindex_external(frag);
}

static int64_t unusable(const struct fragindex *frag)
{
	return fragindex_unusable(frag);
}

static int add_zone(struct text_doc *doc, const struct snapshot_zone *zone,
		    int64_t (*number)(const struct fragindex *frag))
{
	struct text_line line = {
		.kind = EXTFRAG_ZONE,
		.known = true,
		.name = zonename_of(zone->type),
		.value = zone->node,
	};
	int error = 0;

	for (uint32_t order = 0; order < NEAP_NR_ORDERS && error == 0; order++) {
		struct fragindex frag = fragindex_count(zone->nr_free, NEAP_NR_ORDERS, order);

		error = text_doc_add_number(doc, &line, (uint64_t)number(&frag));
	}
	return error != 0 ? error : text_doc_add(doc, &line);
}

static int fill(struct text_doc *doc, const struct snapshot *snapshot,
		int64_t (*number)(const struct fragindex *frag))
{
	int error = 0;

	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES && error == 0; i++) {
		const struct snapshot_zone *zone =
			&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];

		if (zone->present != 0)
			error = add_zone(doc, zone, number);
	}
	return error;
}

int extfrag_index_from_snapshot(const struct snapshot *snapshot, struct text_doc **out)
{
	*out = text_doc_new(&extfrag_index_format);
	return *out == NULL ? -ENOMEM : text_doc_finish(out, fill(*out, snapshot, external));
}

int unusable_index_from_snapshot(const struct snapshot *snapshot, struct text_doc **out)
{
	*out = text_doc_new(&unusable_index_format);
	return *out == NULL ? -ENOMEM : text_doc_finish(out, fill(*out, snapshot, unusable));
}

bool extfrag_doc_get(const struct text_doc *doc, const struct snapshot_zone *zone, uint32_t order,
		     int64_t *thousandths)
{
	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->kind != EXTFRAG_ZONE || line->value != zone->node ||
		    strcmp(line->name, zonename_of(zone->type)) != 0 || order >= line->nr_list)
			continue;
		*thousandths = (int64_t)doc->numbers[line->list + order];
		return true;
	}
	return false;
}
