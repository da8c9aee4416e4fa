/*
 * /proc/swaps.
 *
 *     Filename<t><t><t><t>Type<t><t>Size<t><t>Used<t><t>Priority
 *     /dev/vdb            ...            partition<t>262140<t><t>0<t><t>-2
 *     ^name, padded to column 40         ^kind       ^list       ^value
 *
 * "file" is followed by one tab more than "partition"; a size below 10000000 is
 * followed by one tab more than a larger one, so that the columns line up. Blanks,
 * tabs, newlines and backslashes in a path are printed as octal escapes, which is
 * why a line can be split at blanks at all. Linux's counterpart is swap_show() in
 * mm/swapfile.c; 5.8 and older have single tabs (odd lines here).
 *
 * What must never happen: a path that makes two lines, or one that is decoded
 * beyond the room of its receiver.
 */
#include "text/swaps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/mem.h"
#include "text/scan.h"

#define KB_PER_PAGE (NEAP_PAGE_BYTES / 1024u)
#define PATH_COLUMN 40u
#define NARROW_BELOW 10000000u
#define SIZE_AT 0u
#define USED_AT 1u
#define PATH_PRINTED_MAX (sizeof(((struct snapshot_swap *)0)->path) * 4)

static bool scan_header(const char *text)
{
	const char *at = scan_blanks(scan_literal(text, "Filename"));

	at = scan_blanks(scan_literal(at, "Type"));
	at = scan_blanks(scan_literal(at, "Size"));
	at = scan_blanks(scan_literal(at, "Used"));
	return scan_end(scan_literal(at, "Priority"));
}

static int swaps_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	uint64_t size_kb = 0;
	uint64_t used_kb = 0;
	const char *path_end = scan_word(text);
	const char *type = scan_blanks(path_end);
	const char *type_end = scan_word(type);

	if (scan_header(text)) {
		line->kind = SWAPS_HEADER;
		line->known = true;
		return 0;
	}
	const char *at = scan_u64(scan_blanks(type_end), &size_kb);
	if (at == NULL || at == scan_blanks(at))
		return 0;
	at = scan_u64(scan_blanks(at), &used_kb);
	if (at == NULL || at == scan_blanks(at))
		return 0;
	if (!scan_end(scan_i64(scan_blanks(at), &line->value)))
		return 0;
	if (scan_literal(type, "partition") == type_end)
		line->kind = SWAPS_PARTITION;
	else if (scan_literal(type, "file") == type_end)
		line->kind = SWAPS_FILE;
	else
		return 0;
	line->name = text_doc_name(doc, text, (size_t)(path_end - text));
	line->known = true;
	int error = text_doc_add_number(doc, line, size_kb);
	return error != 0 ? error : text_doc_add_number(doc, line, used_kb);
}

/* A size, and the tabs that bring the next column to its place. */
static void print_kb(struct text_buf *out, uint64_t size_kb)
{
	text_buf_u64(out, size_kb, 0);
	text_buf_puts(out, size_kb < NARROW_BELOW ? "\t\t" : "\t");
}

static void swaps_print(const struct text_doc *doc, const struct text_line *line,
			struct text_buf *out)
{
	size_t length = strlen(line->name);

	if (line->kind == SWAPS_HEADER) {
		text_buf_puts(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority");
		return;
	}
	text_buf_add(out, line->name, length);
	text_buf_fill(out, ' ', length < PATH_COLUMN ? PATH_COLUMN - length : 1);
	text_buf_puts(out, line->kind == SWAPS_PARTITION ? "partition\t" : "file\t\t");
	print_kb(out, doc->numbers[line->list + SIZE_AT]);
	print_kb(out, doc->numbers[line->list + USED_AT]);
	text_buf_i64(out, (int64_t)line->value);
}

static const struct text_format swaps_format = {
	.title = "/proc/swaps",
	.form = "Filename Type Size Used Priority",
	.bytes_max = MIB,
	.lines_max = 4096,
	.line_bytes_max = 20000,
	.any_bytes = true,
	.read = swaps_read,
	.print = swaps_print,
};

/* => an empty document, or NULL when memory is out */
static struct swaps_doc *swaps_new(void)
{
	struct swaps_doc *swaps = text_mem_resize(NULL, sizeof(*swaps));

	if (swaps != NULL)
		text_doc_init(&swaps->doc, &swaps_format);
	return swaps;
}

void swaps_free(struct swaps_doc *swaps)
{
	if (swaps == NULL)
		return;
	text_doc_clear(&swaps->doc);
	free(swaps);
}

int swaps_parse(const char *text, size_t bytes, const char *file_name, struct swaps_doc **out,
		struct text_error *err)
{
	struct swaps_doc *swaps = swaps_new();

	*out = NULL;
	if (swaps == NULL)
		return text_error_no_memory(err, file_name);
	int error = text_doc_parse(&swaps->doc, text, bytes, file_name, err);
	if (error == 0 && swaps->doc.lines[0].kind != SWAPS_HEADER) {
		text_error_set(err, file_name, 1,
			       "line 1 is not the header of /proc/swaps (\"%s\")",
			       swaps_format.form);
		error = -EINVAL;
	}
	if (error != 0) {
		swaps_free(swaps);
		return error;
	}
	*out = swaps;
	return 0;
}

static bool needs_escape(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\\';
}

/* Writes a path with octal escapes to `printed`, which has PATH_PRINTED_MAX bytes. => bytes */
static size_t path_encode(const char *path, char *printed)
{
	size_t used = 0;

	for (size_t i = 0; path[i] != '\0' && used + 5 <= PATH_PRINTED_MAX; i++) {
		unsigned char c = (unsigned char)path[i];

		if (!needs_escape(path[i])) {
			printed[used++] = path[i];
			continue;
		}
		printed[used++] = '\\';
		printed[used++] = (char)('0' + (c >> 6));
		printed[used++] = (char)('0' + ((c >> 3) & 7));
		printed[used++] = (char)('0' + (c & 7));
	}
	return used;
}

static int add_area(struct text_doc *doc, const struct snapshot_swap *area)
{
	char printed[PATH_PRINTED_MAX];
	size_t bytes = path_encode(area->path, printed);
	struct text_line line = {
		.kind = area->is_file ? SWAPS_FILE : SWAPS_PARTITION,
		.known = true,
		.name = text_doc_name(doc, printed, bytes),
		.value = (uint64_t)(int64_t)area->priority,
	};
	int error = text_doc_add_number(doc, &line, area->size_pages * KB_PER_PAGE);

	if (error == 0)
		error = text_doc_add_number(doc, &line, area->used_pages * KB_PER_PAGE);
	return error != 0 ? error : text_doc_add(doc, &line);
}

int swaps_from_snapshot(const struct snapshot *snapshot, struct swaps_doc **out)
{
	struct swaps_doc *swaps = swaps_new();
	struct text_line header = { .kind = SWAPS_HEADER, .known = true, .name = "" };

	*out = NULL;
	if (swaps == NULL)
		return -ENOMEM;
	struct text_doc *doc = &swaps->doc;
	doc->names_room_bytes = NEAP_MAX_SWAPS * (PATH_PRINTED_MAX + 1);
	doc->names = text_mem_resize(NULL, doc->names_room_bytes);
	int error = doc->names != NULL ? text_doc_add(doc, &header) : -ENOMEM;
	CHECK(snapshot->nr_swaps <= NEAP_MAX_SWAPS);
	for (uint32_t i = 0; i < snapshot->nr_swaps && error == 0; i++)
		error = add_area(doc, &snapshot->swap[i]);
	if (error != 0) {
		swaps_free(swaps);
		return error;
	}
	*out = swaps;
	return 0;
}

int swaps_write(const struct swaps_doc *swaps, struct text_buf *out)
{
	return text_doc_write(&swaps->doc, out);
}

static bool line_is_area(const struct text_line *line)
{
	return line->kind == SWAPS_FILE || line->kind == SWAPS_PARTITION;
}

uint32_t swaps_doc_count(const struct swaps_doc *swaps)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < swaps->doc.nr_lines; i++)
		count += line_is_area(&swaps->doc.lines[i]);
	return count;
}

struct swaps_area swaps_doc_area(const struct swaps_doc *swaps, uint32_t index)
{
	const struct text_doc *doc = &swaps->doc;
	uint32_t at = 0;

	for (; at < doc->nr_lines; at++)
		if (line_is_area(&doc->lines[at]) && index-- == 0)
			break;
	CHECK(at < doc->nr_lines);
	const struct text_line *line = &doc->lines[at];
	return (struct swaps_area){
		.path = line->name,
		.is_file = line->kind == SWAPS_FILE,
		.size_kb = doc->numbers[line->list + SIZE_AT],
		.used_kb = doc->numbers[line->list + USED_AT],
		.priority = (int64_t)line->value,
	};
}

/* The byte of an escape "\ooo" at `at`, or -1. */
static int octal_escape(const char *at)
{
	if (at[0] != '\\' || at[1] < '0' || at[1] > '3')
		return -1;
	if (at[2] < '0' || at[2] > '7' || at[3] < '0' || at[3] > '7')
		return -1;
	return (at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0');
}

size_t swaps_path_decode(const char *printed, char *path, size_t room)
{
	size_t used = 0;

	CHECK(room > 0);
	while (*printed != '\0' && used + 1 < room) {
		int byte = octal_escape(printed);

		path[used++] = byte > 0 ? (char)byte : *printed;
		printed += byte > 0 ? 4 : 1;
	}
	path[used] = '\0';
	return used;
}

/* A priority as the snapshot keeps it: 32 bits, as in Linux. */
static int32_t narrow_priority(int64_t priority)
{
	return (int32_t)max_i64(INT32_MIN, min_i64(INT32_MAX, priority));
}

int swaps_fill_snapshot(const struct swaps_doc *swaps, struct snapshot *snapshot)
{
	uint32_t count = swaps_doc_count(swaps);
	uint64_t page_kb = snapshot_page_kb(snapshot);

	if (count > NEAP_MAX_SWAPS)
		return -E2BIG;
	snapshot->nr_swaps = count;
	snapshot->swap_total_pages = 0;
	snapshot->swap_free_pages = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct swaps_area area = swaps_doc_area(swaps, i);
		struct snapshot_swap *swap = &snapshot->swap[i];

		swaps_path_decode(area.path, swap->path, sizeof(swap->path));
		swap->is_file = area.is_file;
		swap->size_pages = area.size_kb / page_kb;
		swap->used_pages = area.used_kb / page_kb;
		swap->priority = narrow_priority(area.priority);
		snapshot->swap_total_pages += swap->size_pages;
		snapshot->swap_free_pages +=
			swap->size_pages - min_u64(swap->used_pages, swap->size_pages);
	}
	return 0;
}
