/*
 * The fragmentation files of debugfs, extfrag/extfrag_index and extfrag/unusable_index
 * (spec 05, section 2). Both have one line a populated zone and one number an order.
 */
#ifndef NEAP_TEXT_EXTFRAG_H
#define NEAP_TEXT_EXTFRAG_H

#include "core/snapshot.h"
#include "text/doc.h"

#define EXTFRAG_ZONE 1u /* line kind: name = zone, value = node, list = thousandths, int64_t */

extern const struct text_format extfrag_index_format;
extern const struct text_format unusable_index_format;

/* The files of a machine, computed from its free lists. => 0 and *out, or -ENOMEM */
MUST_CHECK int extfrag_index_from_snapshot(const struct snapshot *snapshot, struct text_doc **out);
MUST_CHECK int unusable_index_from_snapshot(const struct snapshot *snapshot, struct text_doc **out);

/*
 * The number of an order in one of the two files, in thousandths.
 * => whether the file has it
 */
bool extfrag_doc_get(const struct text_doc *doc, const struct snapshot_zone *zone, uint32_t order,
		     int64_t *thousandths);

#endif
