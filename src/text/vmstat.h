/*
 * /proc/vmstat: one "name value" a line (spec 04, section 3; spec 05, section 3).
 */
#ifndef NEAP_TEXT_VMSTAT_H
#define NEAP_TEXT_VMSTAT_H

#include "core/snapshot.h"
#include "text/doc.h"

#define VMSTAT_VALUE 1u /* line kind: name and value */

struct vmstat_doc {
	struct text_doc doc;
};

/* => 0 and *out; -EINVAL, -EFBIG with *err filled; -ENOMEM */
MUST_CHECK int vmstat_parse(const char *text, size_t bytes, const char *file_name,
			    struct vmstat_doc **out, struct text_error *err);
/* The file of a machine in 6.1's order. => 0 and *out, or -ENOMEM */
MUST_CHECK int vmstat_from_snapshot(const struct snapshot *snapshot, struct vmstat_doc **out);
int vmstat_write(const struct vmstat_doc *vmstat, struct text_buf *out);
void vmstat_free(struct vmstat_doc *vmstat);

/* The counter of that name, known to 6.1 or not. => whether the file has it */
bool vmstat_doc_get(const struct vmstat_doc *vmstat, const char *name, uint64_t *value);

/* Enters the machine-wide counters that the file has into a snapshot. */
void vmstat_fill_snapshot(const struct vmstat_doc *vmstat, struct snapshot *snapshot);

/* => /proc's name of an item, as vmstat and zoneinfo print it */
const char *vmstat_zone_name(enum zone_item item);
const char *vmstat_numa_name(enum numa_item item);
const char *vmstat_node_name(enum node_item item);
/* Events, and the hidden items behind them. */
const char *vmstat_event_name(enum meter_item item);
/* Whether a node item is kept in base pages but printed in huge pages. */
bool vmstat_node_is_huge(enum node_item item);

#define VMSTAT_HUGE_PAGES 512u /* base pages of a huge page */

#endif
