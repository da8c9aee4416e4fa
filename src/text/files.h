/*
 * The files this layer knows, by name: what `neap show`, snapshots and later
 * commands go through.
 *
 * A file goes by the name that a saved snapshot gives it ("vmstat", "pressure_memory",
 * "sysctl_vm.txt", "node0/meminfo") and by Linux's ("pressure/memory", "sys/vm/swappiness",
 * "extfrag/extfrag_index"), with or without the directory before it ("/proc/",
 * "/sys/devices/system/node/", "/sys/kernel/debug/"). Names of cgroup files
 * ("cgroup.memory.pressure") are understood where the form is the same.
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
	const char *name; /* in a saved snapshot */
	/*
	 * Appends the file of a machine. => 0 or -ENOMEM
	 * NULL for files that exist once a node or once a setting, and for those that no
	 * machine of neap has: text_proc_write() serves all.
	 */
	int (*write)(const struct snapshot *snapshot, struct text_buf *out);
	/*
	 * Parses a file and appends what the parsed document prints: the same bytes.
	 * => 0; -EINVAL, -EFBIG, -ENOMEM with *err filled; -EACCES: nobody can read such a file
	 * => report may be NULL; it is empty after an error
	 */
	int (*reprint)(const struct text_input *in, struct text_buf *out,
		       struct text_report *report, struct text_error *err);
};

/* The files of a snapshot's directory, ending with an entry whose name is NULL. */
extern const struct text_file text_files[];

/* => the file of any of the names above, or NULL */
const struct text_file *text_file_find(const char *name);

/*
 * Appends a machine's file.
 * => 0; -ENOENT if it has no such file, node or setting; -EACCES if the file is write-only
 *    (sys/vm/drop_caches, node0/compact); -ENOMEM
 */
MUST_CHECK int text_proc_write(const struct snapshot *snapshot, const char *file_name,
			       struct text_buf *out);

void text_report_free(struct text_report *report);

#endif
