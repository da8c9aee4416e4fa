/* The fast searches of compaction, and what they share with the free scanner. */
#ifndef NEAP_CORE_COMPACT_FAST_H
#define NEAP_CORE_COMPACT_FAST_H

#include "core/compact.h"

/* Frames to walk for targets, within one pageblock. */
struct free_range {
	uint32_t first; /* in; out: where the walk stopped */
	uint32_t end;
	uint32_t stride;
	bool strict; /* stop at the first frame that is not free */
};

/*
 * Asks the free lists for a pageblock to empty.
 * => where to scan; cc->migrate_pfn if it found none or does not apply
 */
uint32_t compact_fast_source(struct task *t, struct compact_control *cc);
/* Asks the free lists for targets, then the pageblock around what it found. May sleep. */
void compact_fast_targets(struct task *t, struct compact_control *cc, struct list *chunks);

/*
 * Takes the free block at pfn off its list, if the zone's min mark allows it. => pinned, zone lock
 * held; pages taken, 0 if refused
 */
uint32_t compact_free_detach(struct task *t, struct compact_control *cc, uint32_t pfn,
			     struct list *chunks);
/*
 * Walks a range. May sleep.
 * => frames taken; 0 from a strict walk that did not reach the end, which holds what it took
 */
uint32_t compact_free_block(struct task *t, struct compact_control *cc, struct free_range *range,
			    struct list *chunks);
/* Makes frames on cc->free of detached blocks. */
void compact_free_split(struct compact_control *cc, struct list *chunks);

#endif
