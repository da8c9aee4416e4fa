/*
 * nodeN/vmstat and nodeN/numastat below /sys/devices/system/node (spec 05, section 3).
 */
#ifndef NEAP_TEXT_NODESTAT_H
#define NEAP_TEXT_NODESTAT_H

#include "core/snapshot.h"
#include "text/doc.h"

#define NODESTAT_VALUE 1u /* line kind: name and value */

extern const struct text_format nodestat_format;      /* nodeN/vmstat */
extern const struct text_format nodestat_numa_format; /* nodeN/numastat */

/* The files of a node. => 0 and *out, or -ENOMEM */
MUST_CHECK int nodestat_from_snapshot(const struct snapshot_node *node, struct text_doc **out);
MUST_CHECK int nodestat_numa_from_snapshot(const struct snapshot_node *node, struct text_doc **out);

/* The counter of that name in either file. => whether the file has it */
bool nodestat_doc_get(const struct text_doc *doc, const char *name, uint64_t *value);

/*
 * Enters the node items of a nodeN/vmstat. zoneinfo has them for nodes with memory; for a
 * node without memory this is the only file that does.
 */
void nodestat_fill_node(const struct text_doc *doc, struct snapshot_node *node);

#endif
