/*
 * /proc/meminfo: "Label:   value kB" (spec 05, sections 4 and 5).
 */
#ifndef NEAP_TEXT_MEMINFO_H
#define NEAP_TEXT_MEMINFO_H

#include "core/snapshot.h"
#include "text/doc.h"

#define MEMINFO_KB 1u	 /* line kind: an amount with the unit kB */
#define MEMINFO_COUNT 2u /* line kind: a number without unit (HugePages_Total ...) */

struct meminfo_doc {
	struct text_doc doc;
};

/* => 0 and *out; -EINVAL, -EFBIG with *err filled; -ENOMEM */
MUST_CHECK int meminfo_parse(const char *text, size_t bytes, const char *file_name,
			     struct meminfo_doc **out, struct text_error *err);
/* The file of a machine in 6.1's order. => 0 and *out, or -ENOMEM */
MUST_CHECK int meminfo_from_snapshot(const struct snapshot *snapshot, struct meminfo_doc **out);
int meminfo_write(const struct meminfo_doc *meminfo, struct text_buf *out);
void meminfo_free(struct meminfo_doc *meminfo);

/* The amount under a label ("MemFree", without colon), in kB. => whether the file has it */
bool meminfo_doc_kb(const struct meminfo_doc *meminfo, const char *label, uint64_t *value_kb);
/* The same for a line without unit ("HugePages_Total"). */
bool meminfo_doc_count(const struct meminfo_doc *meminfo, const char *label, uint64_t *value);

/*
 * Enters what the file says into a snapshot. with_counters: also the machine-wide
 * zone and node items, for when there is no vmstat, which has them all.
 */
void meminfo_fill_snapshot(const struct meminfo_doc *meminfo, struct snapshot *snapshot,
			   bool with_counters);

#endif
