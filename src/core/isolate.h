/*
 * Setting pageblocks aside (spec 02, section 9): what is free in them is handed out no more, what
 * becomes free stays.
 */
#ifndef NEAP_CORE_ISOLATE_H
#define NEAP_CORE_ISOLATE_H

#include "core/machine.h"

/*
 * Sets every pageblock aside that first..end-1 touches: their free pages go to the Isolate lists
 * and leave the count of free pages. Frames on per-CPU lists do not: drain the zone's lists
 * afterwards. Only the frames of the range itself are asked whether they could be moved away; a
 * free block that reaches over an end of the outermost pageblocks is split there. Batches of the
 * LRU lists must be drained and off (lru_disable()), or their pages count as immovable.
 *
 * type: MT_MOVABLE, or MT_CMA: only pageblocks of a contiguous memory area will do, and they are
 * refused otherwise.
 * => nothing held, not pinned
 * => 0; -EBUSY a frame cannot be moved, or a pageblock is set aside already; -EINVAL a pageblock is
 *    not wholly the zone's. After an error everything is as it was, but for the types: what was
 *    set aside for a moment is of `type` afterwards.
 */
int isolate_set(struct task *t, struct zone *zone, uint32_t first, uint32_t end,
		uint32_t type) MUST_CHECK;

/*
 * The opposite: the pageblocks of the range that are set aside become of `type`, their free pages
 * count again. Others are left alone. => nothing held, not pinned
 */
void isolate_clear(struct task *t, struct zone *zone, uint32_t first, uint32_t end, uint32_t type);

/*
 * Is all of first..end-1 free and set aside? `first` begins a free block, if it is.
 * => nothing held, not pinned; PFN_NONE: yes; else the first frame that is not
 */
uint32_t isolate_test(struct task *t, struct zone *zone, uint32_t first, uint32_t end);
/* The same. => zone lock held */
uint32_t isolate_test_locked(struct task *t, const struct zone *zone, uint32_t first, uint32_t end);

/*
 * A frame of the range that will never move, as far as can be told without waiting; PFN_NONE if
 * there is none. An answer of the moment. => the zone lock held makes free blocks reliable
 */
uint32_t isolate_find_immovable(const struct zone *zone, uint32_t first, uint32_t end);

#endif
