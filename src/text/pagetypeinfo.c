/*
 * /proc/pagetypeinfo.
 *
 *     Page block order: 9                                          once a node with memory
 *     Pages per block:  512
 *
 *     Free pages count per migrate type at order       0      1 ...     10 \n
 *     Node    0, zone    DMA32, type      Movable      0      1 ...    481 \n
 *          ^value        ^name            ^word        ^list
 *
 *     Number of blocks type     Unmovable      Movable  Reclaimable ...
 *     Node 0, zone    DMA32           46          964            6 ...
 *          ^value     ^name           ^list, in the order of the head above
 *
 * Which types there are depends on the build (CMA), so the number of columns does,
 * and a column means what the head of its table says: that head keeps the words as
 * its name. A third table, of mixed blocks, exists with page owner tracking only. It
 * has the second one's form, so what a line of that form is follows from the last
 * head (doc->section).
 *
 * A list of 100000 or more blocks is printed as ">100000": Linux walks it with the
 * zone locked and stops there. Older kernels print the whole number (odd lines).
 * Linux's counterpart is pagetypeinfo_show() in mm/vmstat.c.
 *
 * What must never happen: a column counted under another type than its head says.
 */
#include "text/pagetypeinfo.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "text/scan.h"
#include "text/zonename.h"

#define ORDER_LABEL "Page block order:"
#define PAGES_LABEL "Pages per block:"
#define FREE_LABEL "Free pages count per migrate type at order"
#define BLOCKS_LABEL "Number of blocks type"
#define MIXED_LABEL "Number of mixed blocks"

/* Column at which the numbers of the first table, and of the others, begin. */
#define FREE_COLUMN 44u
#define BLOCKS_COLUMN 23u

/* Line kinds that begin a table, as the note of where the parser is. */
enum section {
	SECTION_NONE,
	SECTION_BLOCKS,
	SECTION_MIXED,
};

#define PAGEBLOCK_ORDER 9u

static const char *const type_names[NEAP_NR_TYPES] = {
	[MT_UNMOVABLE] = "Unmovable",	[MT_MOVABLE] = "Movable", [MT_RECLAIMABLE] = "Reclaimable",
	[MT_HIGHATOMIC] = "HighAtomic", [MT_CMA] = "CMA",	  [MT_ISOLATE] = "Isolate",
};

/* The types that the reference kernel has; it is built without CMA. */
static const enum migrate_type written_types[] = {
	MT_UNMOVABLE, MT_MOVABLE, MT_RECLAIMABLE, MT_HIGHATOMIC, MT_ISOLATE,
};
static const char written_head[] = "Unmovable Movable Reclaimable HighAtomic Isolate";

const char *pagetypeinfo_type_name(enum migrate_type type)
{
	CHECK((uint32_t)type < NEAP_NR_TYPES);
	return type_names[type];
}

/* => the type of that name, whose length is given; NEAP_NR_TYPES if 6.1 has none such */
static uint32_t type_find(const char *name, size_t bytes)
{
	uint32_t type = 0;

	while (type < NEAP_NR_TYPES &&
	       (strlen(type_names[type]) != bytes || memcmp(type_names[type], name, bytes) != 0))
		type++;
	return type;
}

/* ---- reading ---- */

/*
 * Reads numbers up to the end of the line into its list; "capped" ones may have a ">" before.
 * => 1; 0 if there is anything else or no number; -ENOMEM
 */
static int read_numbers(struct text_doc *doc, struct text_line *line, const char *at, bool capped)
{
	while (!scan_end(at)) {
		const char *number = scan_blanks(at);
		uint64_t value = 0;

		/* Only a blank keeps two numbers apart. */
		if (number == NULL || number == at)
			return 0;
		at = capped && *number == '>' ? scan_blanks(number + 1) : number;
		at = scan_u64(at, &value);
		if (at == NULL)
			return 0;
		int error = text_doc_add_number(doc, line, value);
		if (error != 0)
			return error;
	}
	return line->nr_list != 0;
}

/* Understands "LABEL number". => whether it is that */
static bool read_labelled(struct text_line *line, const char *text, const char *label,
			  enum pagetypeinfo_kind kind)
{
	uint64_t value = 0;

	if (!scan_end(scan_u64(scan_blanks(scan_literal(text, label)), &value)))
		return false;
	line->kind = (uint16_t)kind;
	line->value = value;
	line->known = true;
	return true;
}

/* Understands the head of a table of blocks: keeps the types' names, one blank apart. */
static bool read_types_head(struct text_doc *doc, struct text_line *line, const char *at)
{
	char names[256];
	size_t used = 0;
	bool known = true;

	while (!scan_end(at)) {
		const char *word = scan_blanks(at);

		at = scan_word(word);
		size_t bytes = at != NULL ? (size_t)(at - word) : 0;
		if (bytes == 0 || used + bytes + 1 >= sizeof(names))
			return false;
		if (used != 0)
			names[used++] = ' ';
		memcpy(names + used, word, bytes);
		used += bytes;
		known = known && type_find(word, bytes) < NEAP_NR_TYPES;
	}
	if (used == 0)
		return false;
	line->name = text_doc_name(doc, names, used);
	line->known = known;
	return true;
}

/* Understands "Node N, zone NAME, type TYPE numbers". => 0, or -ENOMEM */
static int read_free(struct text_doc *doc, struct text_line *line, const char *at,
		     const struct zonename_label *label)
{
	const char *type = scan_blanks(scan_literal(scan_blanks(at), "type"));
	const char *end = scan_word(type);

	if (end == NULL || label->name_bytes < 2)
		return 0;
	int result = read_numbers(doc, line, end, true);
	if (result <= 0)
		return result;
	line->kind = PAGETYPEINFO_FREE;
	line->value = label->node;
	line->name = text_doc_name(doc, label->name, label->name_bytes - 1);
	line->word = text_doc_name(doc, type, (size_t)(end - type));
	line->known = zonename_type(line->name) < NEAP_NR_ZONES &&
		      line->nr_list == NEAP_NR_ORDERS &&
		      type_find(line->word, strlen(line->word)) < NEAP_NR_TYPES;
	return 0;
}

/* Understands "Node N, zone NAME numbers", below one of the two heads. => 0, or -ENOMEM */
static int read_blocks(struct text_doc *doc, struct text_line *line, const char *at,
		       const struct zonename_label *label)
{
	int result = read_numbers(doc, line, at, false);

	if (result <= 0 || doc->section == SECTION_NONE)
		return result < 0 ? result : 0;
	line->kind = doc->section == SECTION_MIXED ? PAGETYPEINFO_MIXED : PAGETYPEINFO_BLOCKS;
	line->value = label->node;
	line->name = text_doc_name(doc, label->name, label->name_bytes);
	line->known = zonename_type(line->name) < NEAP_NR_ZONES;
	return 0;
}

static int read_zone(struct text_doc *doc, struct text_line *line, const char *text)
{
	struct zonename_label label = { 0 };
	const char *at = zonename_scan_label(text, &label);

	if (at == NULL)
		return 0;
	if (label.name[label.name_bytes - 1] == ',')
		return read_free(doc, line, at, &label);
	return read_blocks(doc, line, at, &label);
}

static int pagetypeinfo_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *blocks = scan_literal(text, BLOCKS_LABEL);
	const char *mixed = scan_literal(text, MIXED_LABEL);
	const char *orders = scan_literal(text, FREE_LABEL);

	if (read_labelled(line, text, ORDER_LABEL, PAGETYPEINFO_ORDER) ||
	    read_labelled(line, text, PAGES_LABEL, PAGETYPEINFO_PAGES))
		return 0;
	if (*text == '\0') {
		line->kind = PAGETYPEINFO_BLANK;
		line->known = true;
		return 0;
	}
	if (orders != NULL) {
		int result = read_numbers(doc, line, orders, false);

		line->kind = result > 0 ? PAGETYPEINFO_FREE_HEAD : TEXT_LINE_RAW;
		line->known = line->nr_list == NEAP_NR_ORDERS;
		return result < 0 ? result : 0;
	}
	if (blocks == NULL && mixed == NULL)
		return read_zone(doc, line, text);
	doc->section = SECTION_NONE;
	if (!read_types_head(doc, line, blocks != NULL ? blocks : mixed))
		return 0;
	doc->section = blocks != NULL ? SECTION_BLOCKS : SECTION_MIXED;
	line->kind = blocks != NULL ? PAGETYPEINFO_BLOCKS_HEAD : PAGETYPEINFO_MIXED_HEAD;
	return 0;
}

/* ---- printing ---- */

/* Appends a text, right-aligned in `width`. */
static void print_right(struct text_buf *out, const char *text, size_t bytes, size_t width)
{
	text_buf_fill(out, ' ', bytes < width ? width - bytes : 0);
	text_buf_add(out, text, bytes);
}

/* Appends a text, then blanks up to the column. */
static void print_label(struct text_buf *out, const char *text, size_t column)
{
	size_t bytes = strlen(text);

	text_buf_add(out, text, bytes);
	text_buf_fill(out, ' ', bytes < column ? column - bytes : 1);
}

static void print_numbers(const struct text_doc *doc, const struct text_line *line, uint32_t width,
			  struct text_buf *out)
{
	for (uint32_t i = 0; i < line->nr_list; i++) {
		text_buf_u64(out, doc->numbers[line->list + i], width);
		text_buf_add(out, " ", 1);
	}
}

static void print_types_head(const struct text_line *line, const char *label, struct text_buf *out)
{
	print_label(out, label, BLOCKS_COLUMN);
	for (const char *at = line->name; at != NULL && *at != '\0';) {
		const char *word = scan_blanks(at);

		at = scan_word(word);
		print_right(out, word, at != NULL ? (size_t)(at - word) : 0, 12);
		text_buf_add(out, " ", 1);
	}
}

static void print_free(const struct text_doc *doc, const struct text_line *line,
		       struct text_buf *out)
{
	text_buf_puts(out, "Node ");
	text_buf_u64(out, line->value, 4);
	text_buf_puts(out, ", zone ");
	print_right(out, line->name, strlen(line->name), 8);
	text_buf_puts(out, ", type ");
	print_right(out, line->word, strlen(line->word), 12);
	text_buf_add(out, " ", 1);
	for (uint32_t i = 0; i < line->nr_list; i++) {
		uint64_t blocks = doc->numbers[line->list + i];

		if (blocks >= PAGETYPEINFO_BLOCKS_MAX)
			text_buf_add(out, ">", 1);
		text_buf_u64(out, min_u64(blocks, PAGETYPEINFO_BLOCKS_MAX), 6);
		text_buf_add(out, " ", 1);
	}
}

static void pagetypeinfo_print(const struct text_doc *doc, const struct text_line *line,
			       struct text_buf *out)
{
	switch ((enum pagetypeinfo_kind)line->kind) {
	case PAGETYPEINFO_ORDER:
		text_buf_puts(out, ORDER_LABEL " ");
		text_buf_u64(out, line->value, 0);
		break;
	case PAGETYPEINFO_PAGES:
		text_buf_puts(out, PAGES_LABEL "  ");
		text_buf_u64(out, line->value, 0);
		break;
	case PAGETYPEINFO_FREE_HEAD:
		print_label(out, FREE_LABEL, FREE_COLUMN);
		print_numbers(doc, line, 6, out);
		break;
	case PAGETYPEINFO_FREE:
		print_free(doc, line, out);
		break;
	case PAGETYPEINFO_BLOCKS_HEAD:
		print_types_head(line, BLOCKS_LABEL, out);
		break;
	case PAGETYPEINFO_MIXED_HEAD:
		print_types_head(line, MIXED_LABEL, out);
		break;
	case PAGETYPEINFO_BLOCKS:
	case PAGETYPEINFO_MIXED:
		zonename_print_label(line, out);
		text_buf_add(out, " ", 1);
		print_numbers(doc, line, 12, out);
		break;
	case PAGETYPEINFO_BLANK:
		break;
	}
}

const struct text_format pagetypeinfo_format = {
	.title = "/proc/pagetypeinfo",
	.form = "Node    0, zone    DMA32, type      Movable      0      1 ...",
	.bytes_max = 16 * MIB,
	.lines_max = 65536,
	.line_bytes_max = 2048,
	.read = pagetypeinfo_read,
	.print = pagetypeinfo_print,
};

/* ---- from a machine ---- */

static int add_plain(struct text_doc *doc, enum pagetypeinfo_kind kind, uint64_t value)
{
	struct text_line line = {
		.kind = (uint16_t)kind,
		.known = true,
		.name = kind == PAGETYPEINFO_BLOCKS_HEAD ? written_head : "",
		.value = value,
	};

	return text_doc_add(doc, &line);
}

static int add_free_head(struct text_doc *doc)
{
	struct text_line line = { .kind = PAGETYPEINFO_FREE_HEAD, .known = true, .name = "" };

	for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++) {
		int error = text_doc_add_number(doc, &line, order);

		if (error != 0)
			return error;
	}
	return text_doc_add(doc, &line);
}

/* The lists of one zone, a line each type. */
static int add_free(struct text_doc *doc, const struct snapshot_zone *zone)
{
	for (uint32_t i = 0; i < ARRAY_LEN(written_types); i++) {
		struct text_line line = {
			.kind = PAGETYPEINFO_FREE,
			.known = true,
			.name = zonename_of(zone->type),
			.word = type_names[written_types[i]],
			.value = zone->node,
		};
		int error = 0;

		for (uint32_t order = 0; order < NEAP_NR_ORDERS && error == 0; order++)
			error = text_doc_add_number(
				doc, &line,
				min_u64(zone->nr_free_type[written_types[i]][order],
					PAGETYPEINFO_BLOCKS_MAX));
		if (error == 0)
			error = text_doc_add(doc, &line);
		if (error != 0)
			return error;
	}
	return 0;
}

static int add_blocks(struct text_doc *doc, const struct snapshot_zone *zone)
{
	struct text_line line = {
		.kind = PAGETYPEINFO_BLOCKS,
		.known = true,
		.name = zonename_of(zone->type),
		.value = zone->node,
	};
	int error = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(written_types) && error == 0; i++)
		error = text_doc_add_number(doc, &line, zone->nr_blocks[written_types[i]]);
	return error != 0 ? error : text_doc_add(doc, &line);
}

/* Both tables of a node that has memory. */
static int add_node(struct text_doc *doc, const struct snapshot_node *node)
{
	int error = add_plain(doc, PAGETYPEINFO_ORDER, PAGEBLOCK_ORDER);

	if (error == 0)
		error = add_plain(doc, PAGETYPEINFO_PAGES, (uint64_t)1 << PAGEBLOCK_ORDER);
	if (error == 0)
		error = add_plain(doc, PAGETYPEINFO_BLANK, 0);
	if (error == 0)
		error = add_free_head(doc);
	for (uint32_t z = 0; z < NEAP_NR_ZONES && error == 0; z++)
		if (node->zone[z].present != 0)
			error = add_free(doc, &node->zone[z]);
	if (error == 0)
		error = add_plain(doc, PAGETYPEINFO_BLANK, 0);
	if (error == 0)
		error = add_plain(doc, PAGETYPEINFO_BLOCKS_HEAD, 0);
	for (uint32_t z = 0; z < NEAP_NR_ZONES && error == 0; z++)
		if (node->zone[z].present != 0)
			error = add_blocks(doc, &node->zone[z]);
	return error;
}

int pagetypeinfo_from_snapshot(const struct snapshot *snapshot, struct text_doc **out)
{
	int error = 0;

	*out = text_doc_new(&pagetypeinfo_format);
	if (*out == NULL)
		return -ENOMEM;
	for (uint32_t n = 0; n < snapshot->nr_nodes && error == 0; n++) {
		uint64_t present = 0;

		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			present |= snapshot->node[n].zone[z].present;
		if (present != 0)
			error = add_node(*out, &snapshot->node[n]);
	}
	return text_doc_finish(out, error);
}

/* ---- looking things up ---- */

static bool line_is(const struct text_line *line, enum pagetypeinfo_kind kind, uint32_t node,
		    const char *zone)
{
	return line->kind == kind && line->value == node && strcmp(line->name, zone) == 0;
}

const uint64_t *pagetypeinfo_doc_free(const struct text_doc *doc,
				      const struct pagetypeinfo_key *key, uint32_t *nr_orders)
{
	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];

		if (!line_is(line, PAGETYPEINFO_FREE, key->node, key->zone) ||
		    strcmp(line->word, key->type) != 0)
			continue;
		*nr_orders = line->nr_list;
		return &doc->numbers[line->list];
	}
	return NULL;
}

/* The column of a type below this head; UINT32_MAX if it has none. */
static uint32_t head_column(const struct text_line *head, const char *type)
{
	size_t bytes = strlen(type);
	uint32_t column = 0;

	for (const char *at = head->name; at != NULL && *at != '\0'; column++) {
		const char *word = scan_blanks(at);

		at = scan_word(word);
		if (at != NULL && (size_t)(at - word) == bytes && memcmp(word, type, bytes) == 0)
			return column;
	}
	return UINT32_MAX;
}

bool pagetypeinfo_doc_blocks(const struct text_doc *doc, const struct pagetypeinfo_key *key,
			     uint64_t *blocks)
{
	uint32_t column = UINT32_MAX;

	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->kind == PAGETYPEINFO_BLOCKS_HEAD)
			column = head_column(line, key->type);
		if (!line_is(line, PAGETYPEINFO_BLOCKS, key->node, key->zone))
			continue;
		if (column >= line->nr_list)
			return false;
		*blocks = doc->numbers[line->list + column];
		return true;
	}
	return false;
}

/* ---- into a snapshot ---- */

static void fill_free(const struct text_doc *doc, const struct pagetypeinfo_key *key,
		      struct snapshot_zone *zone, uint32_t type)
{
	uint32_t nr_orders = 0;
	const uint64_t *blocks = pagetypeinfo_doc_free(doc, key, &nr_orders);

	if (blocks == NULL)
		return;
	for (uint32_t order = 0; order < min_u32(nr_orders, NEAP_NR_ORDERS); order++)
		zone->nr_free_type[type][order] = blocks[order];
	for (uint32_t order = NEAP_NR_ORDERS; order < min_u32(nr_orders, 32); order++)
		zone->nr_free_type[type][NEAP_NR_ORDERS - 1] += blocks[order]
								<< (order - NEAP_NR_ORDERS + 1);
}

/* Gives the first cut list of an order what the others leave of all its blocks. */
static void fill_cut(struct snapshot_zone *zone, uint32_t order)
{
	uint64_t others = 0;
	uint64_t *cut = NULL;

	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++) {
		uint64_t *blocks = &zone->nr_free_type[type][order];

		if (cut == NULL && *blocks >= PAGETYPEINFO_BLOCKS_MAX)
			cut = blocks;
		else
			others += *blocks;
	}
	if (cut != NULL && zone->nr_free[order] > others)
		*cut = max_u64(*cut, zone->nr_free[order] - others);
}

void pagetypeinfo_fill_snapshot(const struct text_doc *doc, struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++) {
		struct snapshot_zone *zone =
			&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];

		for (uint32_t type = 0; type < NEAP_NR_TYPES; type++) {
			struct pagetypeinfo_key key = { zone->node,
							zonename_in(snapshot, zone->type),
							type_names[type] };

			fill_free(doc, &key, zone, type);
			(void)pagetypeinfo_doc_blocks(doc, &key, &zone->nr_blocks[type]);
		}
		for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++)
			fill_cut(zone, order);
		/* The reserve is counted in whole pageblocks: spec 02, invariant 5. */
		zone->nr_reserved_highatomic = zone->nr_blocks[MT_HIGHATOMIC] << PAGEBLOCK_ORDER;
	}
}
