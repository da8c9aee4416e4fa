/*
 * The parts of loading a snapshot from a directory: shared by the files load*.c only.
 */
#ifndef NEAP_TEXT_LOAD_PART_H
#define NEAP_TEXT_LOAD_PART_H

#include "core/snapshot.h"
#include "text/doc.h"

/* Whether an errno says that a file is not there. */
bool load_is_missing(int error);

/*
 * Reads DIR/NAME, name being a path below it.
 * => 0; -ENOENT; another negative errno with *err filled
 */
MUST_CHECK int load_read(const char *dir, const char *name, struct text_buf *out,
			 struct text_error *err);

/* Appends a sentence to the warning that a successful load leaves in *err (may be NULL). */
void load_warn(struct text_error *err, const char *dir, const char *sentence);

/*
 * CPUs, distances and huge pages of each node.
 * => 0, or a negative errno with *err filled; warnings are appended to *warning
 */
MUST_CHECK int load_nodes(const char *dir, struct snapshot *snapshot, struct text_error *warning,
			  struct text_error *err);

/* The values of /proc/sys/vm and the policy of huge pages. => likewise */
MUST_CHECK int load_settings(const char *dir, struct snapshot *snapshot, struct text_error *warning,
			     struct text_error *err);

#endif
