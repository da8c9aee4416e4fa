/*
 * Pageblocks: runs of 512 frames that share a migrate type, and what happens when a
 * request takes memory of another type (spec 02, sections 3 and 4).
 */
#ifndef NEAP_CORE_PAGEBLOCK_H
#define NEAP_CORE_PAGEBLOCK_H

#include "core/alloc_path.h"
#include "core/machine.h"
#include "core/racy.h"

#define PAGEBLOCK_SHIFT NEAP_PAGEBLOCK_ORDER

static ALWAYS_INLINE uint32_t pageblock_type(const struct neap_machine *m, uint32_t pfn)
{
	return racy_read(m->block_type[pfn >> PAGEBLOCK_SHIFT]);
}

/* Types whose blocks merge across pageblocks and fall back to one another. */
static inline bool pageblock_type_mergeable(uint32_t type)
{
	return type < NR_PCP_TYPES;
}

/* => zone lock held, or machine being built */
void pageblock_set_type(struct neap_machine *m, uint32_t pfn, uint32_t type);

/*
 * Moves the free blocks of the pageblock around `pfn` (the head of one of them) to the lists of
 * `type`.
 * => zone lock held; pages moved; *movable: pages in use there that could be moved, if not NULL
 */
uint32_t pageblock_move_free(struct task *t, struct zone *zone, uint32_t pfn, uint32_t type,
			     uint32_t *movable);

/*
 * Moves a block of another type to the lists of `type`, so that taking it can be tried again.
 * => pinned, zone lock held; false if no other type has anything
 */
bool pageblock_fallback(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
			uint32_t alloc_flags);

/* A free block of another type. */
struct pageblock_choice {
	uint32_t order, type;
};

/*
 * Which block pageblock_fallback() would move. Changes nothing; asked without
 * the lock it is an answer of the moment. => false if no other type has anything
 */
bool pageblock_fallback_type(const struct zone *zone, uint32_t order, uint32_t type,
			     uint32_t alloc_flags, struct pageblock_choice *out);

/*
 * The block at pfn was allocated with the right to the reserve: its pageblock joins it. => pinned,
 * no zone lock
 */
void pageblock_reserve_highatomic(struct task *t, struct zone *zone, uint32_t pfn);

/*
 * Gives one reserved pageblock back for the request; force: even a zone's last one.
 * => true if it had free pages. No zone lock held.
 */
bool pageblock_unreserve_highatomic(struct task *t, const struct alloc_context *ac, bool force);

/* Pageblocks of the zone by type, as pagetypeinfo counts them. */
void pageblock_count(const struct zone *zone, uint64_t nr[NR_TYPES]);

#endif
