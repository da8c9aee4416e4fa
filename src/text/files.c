/*
 * The table of files.
 *
 *     name        snapshot -> document -> text          text -> document -> text
 *     "vmstat"    write                                 reprint
 *     ...
 *
 * Each row is made by one macro from the five functions that every file type has
 * (parse, from_snapshot, write, free and its document), so that a new file is one
 * line here and cannot lack one of the two directions: a writer without a parser
 * does not compile.
 *
 * What must never happen: an output that was begun and left half: on an error
 * the buffer keeps what was in it before.
 */
#include "text/files.h"

#include <errno.h>
#include <string.h>

#include "text/buddyinfo.h"
#include "text/meminfo.h"
#include "text/swaps.h"
#include "text/vmstat.h"
#include "text/zoneinfo.h"

static void init_report(struct text_report *report)
{
	if (report != NULL)
		memset(report, 0, sizeof(*report));
}

/* Tells a caller what parsing found. => 0 or -ENOMEM */
static int fill_report(const struct text_doc *doc, struct text_report *report)
{
	if (report == NULL)
		return 0;
	report->nr_lines = doc->nr_lines;
	report->nr_unknown = doc->nr_unknown;
	report->nr_odd = doc->nr_odd;
	return text_doc_unknown_names(doc, &report->unknown_names);
}

/* Takes back what was appended since the buffer had `bytes` bytes, if `error`. => error */
static int undo_on_error(struct text_buf *out, size_t bytes, int error)
{
	if (error != 0 && out->at != NULL) {
		out->bytes = bytes;
		out->at[bytes] = '\0';
	}
	return error;
}

#define FILE_TYPE(type)                                                                            \
	static int type##_file_write(const struct snapshot *snapshot, struct text_buf *out)        \
	{                                                                                          \
		struct type##_doc *file = NULL;                                                    \
		size_t bytes = out->bytes;                                                         \
		int error = type##_from_snapshot(snapshot, &file);                                 \
                                                                                                   \
		if (error == 0)                                                                    \
			error = type##_write(file, out);                                           \
		type##_free(file);                                                                 \
		return undo_on_error(out, bytes, error);                                           \
	}                                                                                          \
                                                                                                   \
	static int type##_file_reprint(const struct text_input *in, struct text_buf *out,          \
				       struct text_report *report, struct text_error *err)         \
	{                                                                                          \
		struct type##_doc *file = NULL;                                                    \
		size_t bytes = out->bytes;                                                         \
                                                                                                   \
		init_report(report);                                                               \
		int error = type##_parse(in->text, in->bytes, in->file_name, &file, err);          \
		if (error == 0)                                                                    \
			error = fill_report(&file->doc, report);                                   \
		if (error == 0)                                                                    \
			error = type##_write(file, out);                                           \
		if (error == -ENOMEM)                                                              \
			text_error_no_memory(err, in->file_name);                                  \
		type##_free(file);                                                                 \
		return undo_on_error(out, bytes, error);                                           \
	}

FILE_TYPE(vmstat)
FILE_TYPE(zoneinfo)
FILE_TYPE(buddyinfo)
FILE_TYPE(meminfo)
FILE_TYPE(swaps)

#define FILE_ROW(type)                                                                             \
	{                                                                                          \
		.name = #type, .write = type##_file_write, .reprint = type##_file_reprint,         \
	}

const struct text_file text_files[] = {
	FILE_ROW(vmstat),  FILE_ROW(zoneinfo), FILE_ROW(buddyinfo),
	FILE_ROW(meminfo), FILE_ROW(swaps),    { .name = NULL },
};

const struct text_file *text_file_find(const char *name)
{
	for (const struct text_file *file = text_files; file->name != NULL; file++)
		if (strcmp(file->name, name) == 0)
			return file;
	return NULL;
}

int text_proc_write(const struct snapshot *snapshot, const char *file_name, struct text_buf *out)
{
	const struct text_file *file = text_file_find(file_name);

	return file != NULL ? file->write(snapshot, out) : -ENOENT;
}

void text_report_free(struct text_report *report)
{
	text_buf_free(&report->unknown_names);
}
