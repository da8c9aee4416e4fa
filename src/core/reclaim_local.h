/* Reclaim in one node on behalf of a request that would rather not leave it (spec 01, section 8).
 */
#ifndef NEAP_CORE_RECLAIM_LOCAL_H
#define NEAP_CORE_RECLAIM_LOCAL_H

#include "core/alloc_path.h"
#include "core/machine.h"

/* vm.zone_reclaim_mode */
#define ZONE_RECLAIM_ON 1
#define ZONE_RECLAIM_WRITE 2 /* dirty pages may be written */
#define ZONE_RECLAIM_UNMAP 4 /* mapped pages may be unmapped, and swapped */

enum reclaim_local {
	RECLAIM_LOCAL_OFF,    /* not asked for, or the node is too far from the preferred one */
	RECLAIM_LOCAL_FULL,   /* nothing worth taking there */
	RECLAIM_LOCAL_NOSCAN, /* not by this task, or not now */
	RECLAIM_LOCAL_SOME,   /* tried; fewer pages than wanted */
	RECLAIM_LOCAL_ENOUGH,
};

/*
 * The zone missed its mark. Reclaims in its node if vm.zone_reclaim_mode says so. After SOME and
 * ENOUGH the mark is worth another test. May sleep if the request may.
 */
enum reclaim_local reclaim_local_try(struct task *t, const struct alloc_context *ac,
				     const struct zone *zone);

/* Page cache of a node that vm.zone_reclaim_mode lets go. Pages. */
uint64_t reclaim_local_cache_pages(struct node *node);

#endif
