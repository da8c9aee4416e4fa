/*
 * /proc/pagetypeinfo: free blocks per migrate type, and pageblocks of each type (spec 05,
 * section 2).
 */
#ifndef NEAP_TEXT_PAGETYPEINFO_H
#define NEAP_TEXT_PAGETYPEINFO_H

#include "core/snapshot.h"
#include "text/doc.h"

/* Line kinds, in the order in which a node's block has them. */
enum pagetypeinfo_kind {
	PAGETYPEINFO_ORDER = 1,	  /* "Page block order: 9": value */
	PAGETYPEINFO_PAGES,	  /* "Pages per block:  512": value */
	PAGETYPEINFO_BLANK,	  /* an empty line */
	PAGETYPEINFO_FREE_HEAD,	  /* "Free pages count per migrate type ...": list of orders */
	PAGETYPEINFO_FREE,	  /* value = node, name = zone, word = type, list = blocks */
	PAGETYPEINFO_BLOCKS_HEAD, /* "Number of blocks type ...": name = the types, a blank apart */
	PAGETYPEINFO_MIXED_HEAD,  /* "Number of mixed blocks ...": likewise; page owner tracking */
	PAGETYPEINFO_BLOCKS,	  /* value = node, name = zone, list = one number a type */
	PAGETYPEINFO_MIXED,	  /* the same below the head of mixed blocks */
};

/* Linux stops counting a list here and prints ">100000". */
#define PAGETYPEINFO_BLOCKS_MAX 100000u

extern const struct text_format pagetypeinfo_format;

/* The file of a machine. => 0 and *out, or -ENOMEM */
MUST_CHECK int pagetypeinfo_from_snapshot(const struct snapshot *snapshot, struct text_doc **out);

/* A list of the file: which zone and type it is about. */
struct pagetypeinfo_key {
	uint32_t node;
	const char *zone; /* "DMA32" */
	const char *type; /* "Movable" */
};

/*
 * The free blocks of a zone and type per order, 0 first; PAGETYPEINFO_BLOCKS_MAX means
 * that many or more.
 * => NULL if the file lacks the list; else *nr_orders numbers, at least 1
 */
const uint64_t *pagetypeinfo_doc_free(const struct text_doc *doc,
				      const struct pagetypeinfo_key *key, uint32_t *nr_orders);
/* The pageblocks of a zone that have this type. => whether the file says it */
bool pagetypeinfo_doc_blocks(const struct text_doc *doc, const struct pagetypeinfo_key *key,
			     uint64_t *blocks);

/*
 * Enters free lists and block counts of the zones that the snapshot has. A list that the
 * file cut at ">100000" gets what buddyinfo, entered before, leaves for it.
 */
void pagetypeinfo_fill_snapshot(const struct text_doc *doc, struct snapshot *snapshot);

/* => "Unmovable", "Movable", "Reclaimable", "HighAtomic", "CMA" or "Isolate" */
const char *pagetypeinfo_type_name(enum migrate_type type);

#endif
