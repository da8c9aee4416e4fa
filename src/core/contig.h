/*
 * Contiguous ranges of frames, whatever their length (spec 23, section 7).
 */
#ifndef NEAP_CORE_CONTIG_H
#define NEAP_CORE_CONTIG_H

#include "core/machine.h"

/*
 * Takes exactly the frames first..end-1, all of one zone: what is there is moved away. Every
 * pageblock that the range touches must be wholly in the zone.
 * type: MT_MOVABLE, or MT_CMA for a range of a contiguous memory area.
 * => 0: single frames with one reference each, PG_KERNEL; give them back with contig_free()
 * => -EBUSY something there cannot be moved now; -ENOMEM no memory to move it to; -EINTR; -EINVAL.
 *    After an error the frames, and the types of their pageblocks, are as free as before.
 * May sleep, reclaim and wait for write-out. Nothing held.
 */
int contig_alloc(struct task *t, struct zone *zone, uint32_t first, uint32_t end,
		 uint32_t type) MUST_CHECK;

/*
 * Any nr_pages frames in a row: zones in the order of the node's zonelist, in each the multiples of
 * nr_pages from its start, the first range that can be had.
 * => 0 and *first; -ENOMEM; -EINTR. May sleep. Nothing held.
 */
int contig_alloc_pages(struct task *t, uint32_t node, uint32_t nr_pages,
		       uint32_t *first) MUST_CHECK;

void contig_free(struct task *t, uint32_t first, uint32_t nr_pages);

#endif
