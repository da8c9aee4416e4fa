/*
 * nodeN/meminfo below /sys/devices/system/node: "Node 0 MemTotal:   2030272 kB" (spec 05,
 * section 4).
 */
#ifndef NEAP_TEXT_NODEMEM_H
#define NEAP_TEXT_NODEMEM_H

#include "core/snapshot.h"
#include "text/doc.h"

#define NODEMEM_KB 1u	 /* line kind: name = label, value = amount, list = the node */
#define NODEMEM_COUNT 2u /* the same without unit (HugePages_Total ...) */

extern const struct text_format nodemem_format;

/* The file of a node. => 0 and *out, or -ENOMEM */
MUST_CHECK int nodemem_from_snapshot(const struct snapshot_node *node, struct text_doc **out);

/* The amount under a label ("MemFree"), in kB. => whether the file has it */
bool nodemem_doc_kb(const struct text_doc *doc, const char *label, uint64_t *value_kb);
/* The same for a line without unit. */
bool nodemem_doc_count(const struct text_doc *doc, const char *label, uint64_t *value);

/* Enters what zoneinfo does not say: the node's huge pages. */
void nodemem_fill_node(const struct text_doc *doc, struct snapshot_node *node);

#endif
