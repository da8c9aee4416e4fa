/*
 * The files below /proc/sys/vm: each by itself, and all together as "name = value" lines,
 * which is what sysctl_vm.txt of a saved machine holds (spec 05, section 8).
 */
#ifndef NEAP_TEXT_SYSCTLS_H
#define NEAP_TEXT_SYSCTLS_H

#include "core/snapshot.h"
#include "text/doc.h"

#define SYSCTLS_NUMBERS 1u /* line kind: list = elements, two's complement; none for an empty */
#define SYSCTLS_WORD 2u	   /* line kind: word = "Node" */

extern const struct text_format sysctls_format;	       /* all: name = the file's name */
extern const struct text_format sysctls_single_format; /* one: name = "" */

/* All files of a machine that can be read. => 0 and *out, or -ENOMEM */
MUST_CHECK int sysctls_from_snapshot(const struct snapshot *snapshot, struct text_doc **out);
/*
 * One file of a machine.
 * => 0 and *out; -EACCES (write-only: compact_memory, drop_caches); -ENOENT; -ENOMEM
 */
MUST_CHECK int sysctls_single_from_snapshot(const struct snapshot *snapshot, const char *name,
					    struct text_doc **out);

/*
 * Enters all values into a snapshot, those of unknown names, too.
 * => 0; -E2BIG with *err filled if there are more or longer ones than it can hold
 */
MUST_CHECK int sysctls_fill_snapshot(const struct text_doc *doc, struct snapshot *snapshot,
				     struct text_error *err);
/* Enters one value, replacing it if the name is there. => 0, or -E2BIG */
MUST_CHECK int sysctls_snapshot_set(struct snapshot *snapshot, const char *name, const char *value);

/* => the value as text, without newline; NULL if the snapshot lacks it */
const char *sysctls_snapshot_get(const struct snapshot *snapshot, const char *name);
/* Element `index` (0 for a scalar) as a number. => whether there is such an element */
bool sysctls_snapshot_number(const struct snapshot *snapshot, const char *name, uint32_t index,
			     int64_t *number);

/* Whether Linux 6.1 has a file of this name in /proc/sys/vm, in any build. */
bool sysctls_is_known(const char *name);
/* Whether a file of this name can only be written: compact_memory, drop_caches. */
bool sysctls_is_write_only(const char *name);

#endif
