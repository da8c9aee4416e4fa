/*
 * The files this layer knows, by name: what `neap show`, snapshots and later
 * commands go through.
 */
#ifndef NEAP_TEXT_FILES_H
#define NEAP_TEXT_FILES_H

#include "core/snapshot.h"
#include "text/doc.h"

/* What printing a file back has found in it. */
struct text_report {
	uint32_t nr_lines;
	uint32_t nr_unknown;	       /* lines that 6.1 does not have */
	uint32_t nr_odd;	       /* lines that 6.1 spells differently */
	struct text_buf unknown_names; /* free it with text_report_free() */
};

struct text_file {
	const char *name; /* as below /proc */
	/* Appends the file of a machine. => 0 or -ENOMEM */
	int (*write)(const struct snapshot *snapshot, struct text_buf *out);
	/*
	 * Parses a file and appends what the parsed document prints: the same bytes.
	 * => 0; -EINVAL, -EFBIG, -ENOMEM with *err filled
	 * => report may be NULL; it is empty after an error
	 */
	int (*reprint)(const struct text_input *in, struct text_buf *out,
		       struct text_report *report, struct text_error *err);
};

/* All files, ending with an entry whose name is NULL. */
extern const struct text_file text_files[];

/* => the file of that name, or NULL */
const struct text_file *text_file_find(const char *name);

/* Appends a machine's file. => 0; -ENOENT if there is no such file; -ENOMEM */
MUST_CHECK int text_proc_write(const struct snapshot *snapshot, const char *file_name,
			       struct text_buf *out);

void text_report_free(struct text_report *report);

#endif
