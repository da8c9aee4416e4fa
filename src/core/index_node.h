/* A node of a page cache's index, as core/index.c and core/shadow_nodes.c know it. */
#ifndef NEAP_CORE_INDEX_NODE_H
#define NEAP_CORE_INDEX_NODE_H

#include "core/index.h"
#include "port/hw.h"

/* Everything is the mapping's lock's, but the list's links. */
struct index_node {
	uint64_t slot[INDEX_NODE_SLOTS];
	uint64_t next_freed; /* the next one that was gathered to be freed */
	uint32_t nr_used;    /* slots */
	uint32_t nr_dirty;   /* pages below */
	/* Of leaves only: */
	uint32_t nr_pages; /* slots that are pages; the others in use are shadows */
	uint32_t mapping;  /* id of its file */
	uint64_t number;   /* of its first page, divided by its slots */
	uint64_t older,
		newer;	    /* shadow_lock: places of its neighbours in the list, if it is there */
	uint64_t unused[2]; /* what else Linux has there: marks, parent */
};

_Static_assert(sizeof(struct index_node) == INDEX_NODE_BYTES, "as many in a slab as Linux has");

#define PLACE_BYTES 64u
#define PLACES_PER_NODE (INDEX_NODE_BYTES / PLACE_BYTES)
#define PLACE_SHIFT 6u /* of a frame */
_Static_assert(NEAP_PAGE_BYTES >> PLACE_SHIFT == PLACE_BYTES, "a frame has as many places");

static inline struct index_node *node_at(struct neap_machine *m, uint64_t place)
{
	char *frame = hw_window(m->hw, (uint32_t)(place >> PLACE_SHIFT));
	size_t offset = (place & ((1u << PLACE_SHIFT) - 1)) * PLACE_BYTES;

	return (struct index_node *)(void *)(frame + offset);
}

/* => a leaf that is in use, and by no page */
static inline bool index_node_is_shadows(const struct index_node *leaf)
{
	return leaf->nr_used != 0 && leaf->nr_pages == 0;
}

#endif
