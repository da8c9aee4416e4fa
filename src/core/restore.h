/*
 * Puts the allocator of a built machine into a given state: which blocks are free and in what
 * order, what each CPU keeps, marks and counts (a state recorded on another machine).
 */
#ifndef NEAP_CORE_RESTORE_H
#define NEAP_CORE_RESTORE_H

#include "core/machine.h"

/* What a zone has beside its lists. Pages. */
struct restore_zone {
	uint64_t managed;
	uint64_t mark[NR_WMARKS]; /* without boost */
	uint64_t boost;
	uint64_t reserve[NR_ZONES];
	uint64_t drift_mark;
	uint64_t highatomic;
	int64_t free;	/* the global counter, without the differences of the CPUs */
	uint32_t flags; /* ZONE_* */
};

/* What a CPU's set of a zone has beside its lists. */
struct restore_pcp {
	uint32_t high, batch, free_factor, expire;
	int32_t diff; /* of the free counter */
	int32_t threshold;
};

struct restore_node {
	uint32_t failures, order;
	uint32_t highest; /* NR_ZONES = no request */
	bool sleeping;	  /* kswapd waits */
};

/*
 * Every frame becomes a used one with one reference, every list empty.
 * => nobody is at work in the machine, here and below; no engine thread runs
 */
void restore_begin(struct neap_machine *m);

/* Marks nr pageblocks from pfn on as this type. => -EINVAL beyond the machine's frames */
int MUST_CHECK restore_pageblocks(struct neap_machine *m, uint32_t pfn, uint32_t nr, uint32_t type);

/*
 * Appends a free block to the end of a list of its zone.
 * => 0; -EINVAL if it is not aligned, leaves the zone, or has a frame that is free already
 */
int MUST_CHECK restore_free_block(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type);

/*
 * Puts a block behind the oldest of a CPU's list, which knows its order. type: the one it
 * remembers, which must belong to the list. The same errors, and -ENOMEM: the host has no address
 * space for more blocks on the list.
 */
int MUST_CHECK restore_pcp_block(struct zone *zone, uint32_t cpu, uint32_t index, uint32_t pfn,
				 uint32_t type);

/* A block in use, as the allocator hands it out. The same errors. */
int MUST_CHECK restore_used_block(struct zone *zone, uint32_t pfn, uint32_t order);

void restore_zone_numbers(struct zone *zone, const struct restore_zone *numbers);
/* => -EINVAL: numbers that do not fit */
int MUST_CHECK restore_pcp_numbers(struct zone *zone, uint32_t cpu,
				   const struct restore_pcp *numbers);
void restore_node_numbers(struct node *node, const struct restore_node *numbers);

/* Sums up. => NULL, or what a state of an allocator cannot be */
const char *restore_end(struct neap_machine *m);

#endif
