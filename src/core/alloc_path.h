/*
 * What the fast and the slow path of the allocator share: one request on its way
 * through the zones.
 */
#ifndef NEAP_CORE_ALLOC_PATH_H
#define NEAP_CORE_ALLOC_PATH_H

#include "core/machine.h"

struct alloc_context {
	uint32_t gfp; /* after the task's scopes */
	uint32_t order;
	uint32_t highest;	  /* zone index limit */
	uint32_t type;		  /* migrate type */
	uint32_t flags;		  /* ALLOC_* */
	bool spread_dirty;	  /* pass over nodes that have their share of dirty pages */
	const uint64_t *nodemask; /* NULL = all */
	const struct zonelist *zonelist;
	const struct zoneref *preferred; /* first usable entry; its zone is NULL if there is none */
};

/*
 * Tries every eligible zone once with ac->flags. Never sleeps. Pins itself.
 * => PFN_NONE or the block, ready for use
 */
uint32_t alloc_walk(struct task *t, struct alloc_context *ac);

/*
 * After a failed first walk. Sleeps and reclaims as ac->gfp allows. ac->nodemask is the caller's
 * own.
 */
uint32_t alloc_slow(struct task *t, struct alloc_context *ac);

/* Makes a block that is on no list ready for use: one reference. Counts nothing. */
void alloc_prepare_block(struct zone *zone, uint32_t pfn, uint32_t order);

/* Remembers the lowest number of free pages that was ever seen. */
void alloc_note_free(struct neap_machine *m);

#endif
