/*
 * Free blocks of a zone: powers of two of frames, by order and migrate type (spec 02, section 2).
 */
#ifndef NEAP_CORE_BUDDY_H
#define NEAP_CORE_BUDDY_H

#include "core/machine.h"

/*
 * Added to the type of buddy_free(): the block goes to the end of its list (memory that came
 * online).
 */
#define BUDDY_TO_TAIL 0x100u

/*
 * Frees a block onto the lists of `type` (an enum migrate_type, maybe with BUDDY_TO_TAIL), merging
 * it with its free buddies. => pinned, zone lock held
 */
void buddy_free(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type);

/* Blocks of one order beside each other, freed or taken one after the other. */
struct buddy_run {
	uint32_t first;	 /* lowest frame */
	uint32_t nr;	 /* blocks; taking: at most so many */
	uint32_t order;	 /* of each */
	uint32_t type;	 /* enum migrate_type, not Isolate */
	bool descending; /* freed from the highest to the lowest */
};

/* Blocks of one order, off a per-CPU list, that are to be freed, the first one first. */
struct buddy_frames {
	const uint32_t *pfn;
	uint32_t nr;
	uint32_t order; /* at most NEAP_COSTLY_ORDER, or a pageblock's */
	uint32_t type;	/* that all of them remember; NR_TYPES: each its own */
};

/*
 * Frees the blocks, each to the type that it remembers. Does not count them.
 * => pinned, zone lock held, nothing is captured or isolated, the zone has no contiguous memory
 * area
 */
void buddy_free_frames(struct task *t, struct zone *zone, const struct buddy_frames *frames);

/*
 * Takes what buddy_take_smallest(), called again and again, would give from one block: always
 * upwards. Does not count.
 * => how many blocks, from run->first on; 0 if the type has none. Zone lock held
 */
uint32_t buddy_take_run(struct task *t, struct zone *zone, struct buddy_run *run);

/*
 * Takes up to want->nr blocks, as that many calls of buddy_take_smallest() would give them, with
 * the marks of a per-CPU list, and puts each before the first of the list, which has room there.
 * Does not count.
 * => how many; fewer if the type has no more. Zone lock held
 */
uint32_t buddy_take_list(struct task *t, struct zone *zone, struct pcp_list *to,
			 const struct buddy_run *want);

/*
 * Takes the smallest sufficient block of exactly this type, and gives its upper part back. Does not
 * count.
 * => zone lock held; PFN_NONE if the type has none
 */
uint32_t buddy_take_smallest(struct task *t, struct zone *zone, uint32_t order, uint32_t type);

/*
 * The same, taking from other types when the own has none. Does not count. => pinned, zone lock
 * held
 */
uint32_t buddy_take(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
		    uint32_t alloc_flags);

/*
 * Puts a block at the end of a list as it is: not merged, not counted. For a state that is put
 * together block by block. => nobody at work; the frames are on no list
 */
void buddy_append(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type);

/*
 * Takes a free block off its list; its head keeps the order in `owner`. Does not count.
 * => zone lock held
 */
void buddy_detach(struct task *t, struct zone *zone, uint32_t pfn);

/* Moves a free block to the end of another type's list. => zone lock held */
void buddy_move(struct task *t, struct zone *zone, uint32_t pfn, uint32_t type);

/* Some list of the type has a block of at least this order. May be asked without the lock. */
static inline bool buddy_has(const struct zone *zone, uint32_t order, uint32_t type)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return (atomic_load_explicit(&z->nonempty[type], memory_order_relaxed) >> order) != 0;
}

/* The list of the type has a block of exactly this order. May be asked without the lock. */
static inline bool buddy_has_at(const struct zone *zone, uint32_t order, uint32_t type)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return ((atomic_load_explicit(&z->nonempty[type], memory_order_relaxed) >> order) & 1) != 0;
}

/*
 * Checks lists, links, heads, alignment, counts and that nothing mergeable is left apart.
 * => zone lock held, or nobody at work; NULL, or what is wrong
 */
const char *buddy_verify(const struct zone *zone);
/* Free pages on the lists of a type. Same condition. */
uint64_t buddy_count_type(const struct zone *zone, uint32_t type);
/* Free pages on the lists, without those of type Isolate. Same condition. */
uint64_t buddy_count_free(const struct zone *zone);

#endif
