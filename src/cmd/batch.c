/*
 * Many writes, one line each.
 *
 *     path                          before  written  ret  errno   after   marks if changed
 *     /proc/sys/vm/swappiness       60\n    201\n    -1   EINVAL  60\n
 *     /proc/sys/vm/min_free_kbytes  128\n   1024\n   5    0       1024\n  N0.DMA:17/21/25 ...
 *
 * The form is that of tables recorded on real kernels, so that a table can be performed and the
 * result compared with it column by column. The input is such a table itself, of which only path
 * and text are used, or just these two.
 *
 * Of a text only the first 511 bytes are shown, enough for every knob and for the head of a file
 * of counters.
 *
 * What must never happen: a write that was performed because half of a line could be understood.
 * A table is parsed as a whole first.
 */
#include "cmd/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES_MAX 511u
#define WRITE_COLUMN 2u /* of seven columns */

/* ---- parsing ---- */

/*
 * Resolves the escapes of a column in place.
 * => its bytes, or -1 and *wrong: the character after the backslash
 */
static int64_t unescape(char *text, size_t bytes, char *wrong)
{
	size_t to = 0;

	for (size_t from = 0; from < bytes; from++) {
		char c = text[from];

		if (c == '\\') {
			c = ++from < bytes ? text[from] : '\0';
			if (c == '\0' || strchr("nt0\\", c) == NULL) {
				*wrong = c;
				return -1;
			}
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == '0' ? '\0' : '\\';
		}
		text[to++] = c;
	}
	return (int64_t)to;
}

/* Understands one line, which it may change. => 0 or -EINVAL */
static int parse_line(char *line, size_t bytes, struct batch_write *write, const char **complaint)
{
	char *end = line + bytes;
	char *tab = memchr(line, '\t', bytes);
	char wrong;

	*complaint = "there is no tab; a line is PATH, a tab, and the text to write";
	if (tab == NULL)
		return -EINVAL;
	*complaint = "the path is empty";
	if (tab == line)
		return -EINVAL;
	write->path = line;
	*tab = '\0';
	char *text = tab + 1;
	char *next = memchr(text, '\t', (size_t)(end - text));

	for (uint32_t column = 1; next != NULL && column < WRITE_COLUMN; column++) {
		text = next + 1;
		next = memchr(text, '\t', (size_t)(end - text));
	}
	size_t length = (size_t)((next != NULL ? next : end) - text);
	int64_t resolved = unescape(text, length, &wrong);

	*complaint = "a backslash begins \\n, \\t, \\0 or \\\\";
	if (resolved < 0)
		return -EINVAL;
	write->text = text;
	write->bytes = (size_t)resolved;
	return 0;
}

static bool is_skipped(const char *line, size_t bytes)
{
	static const char headline[] = "path\t";

	return bytes == 0 || line[0] == '#' ||
	       (bytes >= sizeof(headline) - 1 && memcmp(line, headline, sizeof(headline) - 1) == 0);
}

static uint32_t count_lines(const struct text_input *in)
{
	uint32_t nr = 1;

	for (size_t i = 0; i < in->bytes; i++)
		nr += in->text[i] == '\n';
	return nr;
}

int batch_parse(const struct text_input *in, struct batch *batch, struct text_error *err)
{
	uint32_t nr = 0;
	size_t bytes = 0;

	*batch = (struct batch){ .write = calloc(count_lines(in), sizeof(*batch->write)),
				 .storage = malloc(in->bytes + 1) };
	if (batch->write == NULL || batch->storage == NULL) {
		batch_free(batch);
		return text_error_no_memory(err, in->file_name);
	}
	if (in->bytes != 0)
		memcpy(batch->storage, in->text, in->bytes);
	for (char *line = batch->storage; line < batch->storage + in->bytes; line += bytes + 1) {
		size_t left = (size_t)(batch->storage + in->bytes - line);
		char *newline = memchr(line, '\n', left);
		const char *complaint = "a NUL byte; this is no table of writes";

		bytes = newline != NULL ? (size_t)(newline - line) : left;
		nr++;
		if (is_skipped(line, bytes))
			continue;
		struct batch_write *write = &batch->write[batch->nr];

		write->line = nr;
		if (memchr(line, '\0', bytes) != NULL ||
		    parse_line(line, bytes, write, &complaint) != 0) {
			text_error_set(err, in->file_name, nr, "%s", complaint);
			batch_free(batch);
			return -EINVAL;
		}
		batch->nr++;
	}
	return 0;
}

void batch_free(struct batch *batch)
{
	free(batch->write);
	free(batch->storage);
	*batch = (struct batch){ .nr = 0 };
}

/* ---- performing ---- */

static void add_escaped(struct text_buf *out, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		char c = text[i];

		if (c == '\n')
			text_buf_puts(out, "\\n");
		else if (c == '\t')
			text_buf_puts(out, "\\t");
		else if (c == '\0')
			text_buf_puts(out, "\\0");
		else if (c == '\\')
			text_buf_puts(out, "\\\\");
		else
			text_buf_add(out, &c, 1);
	}
	text_buf_add(out, "\t", 1);
}

/* The column of a file's contents. */
static void add_contents(struct saved *saved, const char *path, struct text_buf *out)
{
	struct text_buf contents;

	text_buf_init(&contents);
	if (saved_read(saved, path, &contents) == 0)
		add_escaped(out, text_buf_text(&contents),
			    contents.bytes < SHOWN_BYTES_MAX ? contents.bytes : SHOWN_BYTES_MAX);
	else
		text_buf_puts(out, "(unreadable)\t");
	text_buf_free(&contents);
}

void batch_add_headline(struct text_buf *out)
{
	text_buf_puts(out, "path\tbefore\twritten\tret\terrno\tafter\t"
			   "watermarks_min/low/high_if_changed\n");
}

int64_t batch_perform(struct saved *saved, const struct batch_write *write, struct text_buf *out)
{
	const char *path = saved_path(write->path);
	struct text_buf before, after;

	text_buf_init(&before);
	text_buf_init(&after);
	text_buf_printf(out, "%s\t", write->path);
	add_contents(saved, path, out);
	add_escaped(out, write->text, write->bytes);
	saved_marks_add(saved, &before);
	int64_t result = saved_write(saved, path, write->text, write->bytes);

	if (result >= 0)
		text_buf_printf(out, "%lld\t0\t", (long long)result);
	else
		text_buf_printf(out, "-1\t%s\t", strerrorname_np((int)-result));
	add_contents(saved, path, out);
	saved_marks_add(saved, &after);
	if (!text_buf_equals(&before, text_buf_text(&after), after.bytes))
		text_buf_add(out, text_buf_text(&after), after.bytes);
	text_buf_add(out, "\n", 1);
	text_buf_free(&before);
	text_buf_free(&after);
	return result;
}
