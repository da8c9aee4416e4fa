/*
 * /proc/buddyinfo: free blocks per order, one populated zone a line (spec 05, section 2).
 */
#ifndef NEAP_TEXT_BUDDYINFO_H
#define NEAP_TEXT_BUDDYINFO_H

#include "core/snapshot.h"
#include "text/doc.h"

#define BUDDYINFO_ZONE 1u /* line kind: name = zone, value = node, list = blocks per order */

struct buddyinfo_doc {
	struct text_doc doc;
};

/* => 0 and *out; -EINVAL, -EFBIG with *err filled; -ENOMEM */
MUST_CHECK int buddyinfo_parse(const char *text, size_t bytes, const char *file_name,
			       struct buddyinfo_doc **out, struct text_error *err);
/* The file of a machine. => 0 and *out, or -ENOMEM */
MUST_CHECK int buddyinfo_from_snapshot(const struct snapshot *snapshot, struct buddyinfo_doc **out);
int buddyinfo_write(const struct buddyinfo_doc *buddyinfo, struct text_buf *out);
void buddyinfo_free(struct buddyinfo_doc *buddyinfo);

/*
 * The free blocks of a zone per order, 0 first.
 * => NULL if the file lacks the zone; else *nr_orders numbers, at least 1
 */
const uint64_t *buddyinfo_doc_zone(const struct buddyinfo_doc *buddyinfo, uint32_t node,
				   const char *zone, uint32_t *nr_orders);
/* Free pages of a zone: the sum of blocks x 2^order; 0 if the file lacks it. Saturates. */
uint64_t buddyinfo_doc_free_pages(const struct buddyinfo_doc *buddyinfo, uint32_t node,
				  const char *zone);

/* Enters the blocks of the zones that the snapshot has. Orders beyond 10 have no place in it. */
void buddyinfo_fill_snapshot(const struct buddyinfo_doc *buddyinfo, struct snapshot *snapshot);

#endif
