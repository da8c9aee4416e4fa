/*
 * Documents: the lines of a /proc file, typed, in their order.
 *
 *     text  "MemTotal:  481004 kB\0Foo bar\0..."   private copy, newline -> NUL
 *                                    ^ raw
 *     lines [ KB "MemTotal" 481004 ][ RAW ] ...
 *               |
 *     names "MemTotal\0..."                        numbers [ 0 444 444 ... ]
 *
 * A parse goes line by line: copy, understand (format->read), print what was
 * understood (format->print) into a scratch buffer, compare with what was read.
 * Where the two differ the line keeps its text. That makes print(parse(f)) == f
 * hold by construction and leaves the file types free to be tolerant: what they
 * understand is used, how it was spelled is never lost.
 *
 * Invariants:
 *   1. a line of kind RAW has raw != NULL and known == false.
 *   2. nr_unknown counts lines with known == false, nr_odd those of another kind
 *      than RAW with raw != NULL.
 *   3. the names of one line fit into as many bytes as the line with its newline,
 *      so the name store is allocated once, with the input's size.
 *
 * What must never happen: reading outside the input (it is not terminated), or
 * memory that is more than a constant factor of it (limits are per file type).
 */
#include "text/doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/mem.h"

#define UNKNOWN_NAMES_MAX 64u

void text_error_clear(struct text_error *err)
{
	if (err != NULL)
		memset(err, 0, sizeof(*err));
}

void text_error_set(struct text_error *err, const char *file_name, uint32_t line,
		    const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return;
	snprintf(err->file, sizeof(err->file), "%s", file_name);
	err->line = line;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
}

int text_error_no_memory(struct text_error *err, const char *file_name)
{
	text_error_set(err, file_name, 0, "no memory left to read the file");
	return -ENOMEM;
}

void text_doc_init(struct text_doc *doc, const struct text_format *format)
{
	memset(doc, 0, sizeof(*doc));
	doc->format = format;
}

void text_doc_clear(struct text_doc *doc)
{
	free(doc->lines);
	free(doc->numbers);
	free(doc->text);
	free(doc->names);
	text_doc_init(doc, doc->format);
}

int text_doc_add(struct text_doc *doc, const struct text_line *line)
{
	void *array = doc->lines;
	int error = text_mem_reserve(&array, &doc->lines_room, doc->nr_lines + 1,
				     sizeof(doc->lines[0]));

	doc->lines = array;
	if (error == 0)
		doc->lines[doc->nr_lines++] = *line;
	return error;
}

int text_doc_add_number(struct text_doc *doc, struct text_line *line, uint64_t number)
{
	void *array = doc->numbers;
	int error = text_mem_reserve(&array, &doc->numbers_room, doc->nr_numbers + 1,
				     sizeof(doc->numbers[0]));

	doc->numbers = array;
	if (error != 0)
		return error;
	if (line->nr_list == 0)
		line->list = doc->nr_numbers;
	CHECK(line->list + line->nr_list == doc->nr_numbers);
	doc->numbers[doc->nr_numbers++] = number;
	line->nr_list++;
	return 0;
}

const char *text_doc_name(struct text_doc *doc, const char *at, size_t bytes)
{
	char *name = doc->names + doc->names_used_bytes;

	CHECK(doc->names_used_bytes + bytes + 1 <= doc->names_room_bytes);
	memcpy(name, at, bytes);
	name[bytes] = '\0';
	doc->names_used_bytes += bytes + 1;
	return name;
}

/* The position of the first byte that this file type cannot have; `bytes` if all is well. */
static size_t first_bad_byte(const struct text_format *format, const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)at[i];

		if (c == 0 || (!format->any_bytes && c != '\t' && (c < 0x20 || c == 0x7f)))
			return i;
	}
	return bytes;
}

/* Refuses bytes that no such file has. => 0 or -EINVAL */
static int check_bytes(const struct text_doc *doc, const char *at, size_t bytes,
		       const char *file_name, struct text_error *err)
{
	size_t bad = first_bad_byte(doc->format, at, bytes);
	uint32_t line = doc->nr_lines + 1;

	if (bad == bytes)
		return 0;
	if (at[bad] == '\r')
		text_error_set(err, file_name, line,
			       "line %u has a carriage return; convert the file from DOS to "
			       "Unix line ends",
			       line);
	else
		text_error_set(err, file_name, line,
			       "line %u holds the byte 0x%02x at column %zu, so this is no "
			       "saved %s but a binary or UTF-16 file",
			       line, (unsigned)(unsigned char)at[bad], bad + 1, doc->format->title);
	return -EINVAL;
}

/* Lets the file type understand a line and keeps its text if 6.1 would print another. */
static int read_line(struct text_doc *doc, const char *text, size_t bytes, struct text_buf *scratch)
{
	struct text_line line = { .name = "" };
	uint32_t nr_numbers = doc->nr_numbers;
	int error = doc->format->read(doc, &line, text);

	if (error != 0)
		return error;
	if (line.kind == TEXT_LINE_RAW) {
		doc->nr_numbers = nr_numbers;
		line = (struct text_line){ .name = "", .raw = text };
		doc->nr_raw++;
	} else {
		text_buf_reset(scratch);
		doc->format->print(doc, &line, scratch);
		if (scratch->error != 0)
			return scratch->error;
		if (!text_buf_equals(scratch, text, bytes)) {
			line.raw = text;
			doc->nr_odd++;
		}
	}
	doc->nr_unknown += !line.known;
	return text_doc_add(doc, &line);
}

/* Splits the input, copied to doc->text, into lines and reads each. */
static int read_lines(struct text_doc *doc, size_t bytes, const char *file_name,
		      struct text_error *err)
{
	const struct text_format *format = doc->format;
	struct text_buf scratch;
	int error = 0;

	text_buf_init(&scratch);
	for (size_t at = 0; at < bytes && error == 0;) {
		char *line = doc->text + at;
		char *end = memchr(line, '\n', bytes - at);
		size_t length = end != NULL ? (size_t)(end - line) : bytes - at;
		uint32_t number = doc->nr_lines + 1;

		error = check_bytes(doc, line, length, file_name, err);
		if (error != 0)
			break;
		if (length > format->line_bytes_max || number > format->lines_max) {
			text_error_set(err, file_name, number,
				       "line %u is beyond what a %s can have "
				       "(%u lines of %u bytes)",
				       number, format->title, format->lines_max,
				       format->line_bytes_max);
			error = -EFBIG;
			break;
		}
		if (end == NULL) {
			text_error_set(err, file_name, number,
				       "the file is cut off: line %u has no newline at its end; "
				       "save the whole %s",
				       number, format->title);
			error = -EINVAL;
			break;
		}
		*end = '\0';
		error = read_line(doc, line, length, &scratch);
		at += length + 1;
	}
	text_buf_free(&scratch);
	return error;
}

/* Copies the input and makes the store for names. => 0, -EFBIG, -EINVAL or -ENOMEM */
static int take_input(struct text_doc *doc, const char *text, size_t bytes, const char *file_name,
		      struct text_error *err)
{
	if (bytes == 0 && !doc->format->may_be_empty) {
		text_error_set(err, file_name, 0, "the file is empty; save the whole %s",
			       doc->format->title);
		return -EINVAL;
	}
	if (bytes > doc->format->bytes_max) {
		text_error_set(err, file_name, 0,
			       "the file has %zu bytes, more than the %zu that a %s can have",
			       bytes, doc->format->bytes_max, doc->format->title);
		return -EFBIG;
	}
	if (bytes == 0)
		return 0;
	doc->text = text_mem_resize(NULL, bytes);
	doc->names = text_mem_resize(NULL, bytes);
	if (doc->text == NULL || doc->names == NULL)
		return -ENOMEM;
	doc->names_room_bytes = bytes;
	memcpy(doc->text, text, bytes);
	return 0;
}

int text_doc_parse(struct text_doc *doc, const char *text, size_t bytes, const char *file_name,
		   struct text_error *err)
{
	text_error_clear(err);
	int error = take_input(doc, text, bytes, file_name, err);
	if (error == 0)
		error = read_lines(doc, bytes, file_name, err);
	uint32_t nr_strange = doc->format->by_name ? doc->nr_unknown : doc->nr_raw;
	if (error == 0 && nr_strange == doc->nr_lines && doc->nr_lines > 0) {
		text_error_set(err, file_name, 1,
			       "no line looks like one of %s (\"%s\"); is it another file?",
			       doc->format->title, doc->format->form);
		error = -EINVAL;
	}
	return error == -ENOMEM ? text_error_no_memory(err, file_name) : error;
}

struct text_doc *text_doc_new(const struct text_format *format)
{
	struct text_doc *doc = text_mem_resize(NULL, sizeof(*doc));

	if (doc != NULL)
		text_doc_init(doc, format);
	return doc;
}

void text_doc_free(struct text_doc *doc)
{
	if (doc == NULL)
		return;
	text_doc_clear(doc);
	free(doc);
}

int text_doc_finish(struct text_doc **doc, int error)
{
	if (error != 0) {
		text_doc_free(*doc);
		*doc = NULL;
	}
	return error;
}

int text_doc_load(const struct text_format *format, const struct text_input *in,
		  struct text_doc **out, struct text_error *err)
{
	*out = text_doc_new(format);
	if (*out == NULL)
		return text_error_no_memory(err, in->file_name);
	return text_doc_finish(out, text_doc_parse(*out, in->text, in->bytes, in->file_name, err));
}

int text_doc_write(const struct text_doc *doc, struct text_buf *out)
{
	for (uint32_t i = 0; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->raw != NULL)
			text_buf_puts(out, line->raw);
		else
			doc->format->print(doc, line, out);
		text_buf_add(out, "\n", 1);
	}
	return out->error;
}

int text_doc_unknown_names(const struct text_doc *doc, struct text_buf *out)
{
	const char *seen[UNKNOWN_NAMES_MAX];
	uint32_t nr_seen = 0;

	for (uint32_t i = 0; i < doc->nr_lines && nr_seen < UNKNOWN_NAMES_MAX; i++) {
		const struct text_line *line = &doc->lines[i];
		const char *name = line->kind == TEXT_LINE_RAW ? line->raw : line->name;
		uint32_t at = 0;

		if (line->known)
			continue;
		while (at < nr_seen && strcmp(seen[at], name) != 0)
			at++;
		if (at < nr_seen)
			continue;
		if (nr_seen > 0)
			text_buf_puts(out, ", ");
		text_buf_puts(out, name);
		seen[nr_seen++] = name;
	}
	return out->error;
}

const struct text_line *text_doc_find(const struct text_doc *doc, uint32_t from, uint16_t kind,
				      const char *name)
{
	for (uint32_t i = from; i < doc->nr_lines; i++) {
		const struct text_line *line = &doc->lines[i];

		if (line->kind == kind && strcmp(line->name, name) == 0)
			return line;
	}
	return NULL;
}

uint32_t text_name_find(const char *const *names, uint32_t nr_names, const char *name,
			uint32_t *hint)
{
	uint32_t start = *hint < nr_names ? *hint : 0;

	for (uint32_t step = 0; step < nr_names; step++) {
		uint32_t at = start + step < nr_names ? start + step : start + step - nr_names;

		if (strcmp(names[at], name) == 0) {
			*hint = at + 1;
			return at;
		}
	}
	return NAME_NONE;
}
