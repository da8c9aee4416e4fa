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
	uint64_t mems;		  /* a task's own limit, for nodemask to point at */
	const struct zonelist *zonelist;
	const struct zoneref *preferred; /* first usable entry; its zone is NULL if there is none */
};

struct watermark_terms;

/*
 * The mark test of a walk in one zone, with the mark and the rights of ac->flags. terms: NULL, or
 * those of the test that decided. Changes nothing.
 */
bool alloc_mark_test(const struct zone *zone, const struct alloc_context *ac,
		     struct watermark_terms *terms);
/* Would the slow path compact before it reclaims (for a task without rights of its own)? */
bool alloc_slow_compacts_first(const struct alloc_context *ac);
/* Would the slow path go on after one round of reclaim and compaction? */
bool alloc_slow_may_retry(const struct alloc_context *ac);
/* Could the zone reach its min mark if everything reclaimable were free? terms: NULL or filled */
bool alloc_slow_could_serve(const struct zone *zone, const struct alloc_context *ac,
			    struct watermark_terms *terms);

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

/*
 * Makes a block that is on no list ready for use: one reference. Counts nothing. compound: its
 * tails shall say what they are (PG_TAIL).
 */
void alloc_prepare_block(struct zone *zone, uint32_t pfn, uint32_t order, bool compound);

/* What every freed block must satisfy. flags: its head's */
static ALWAYS_INLINE void free_check(const struct page *page, uint64_t flags, uint32_t order)
{
	if (likely(order == 0))
		CHECK((flags & (PG_BAD_AT_FREE | PG_HEAD)) == 0);
	else
		CHECK((flags & PG_BAD_AT_FREE) == 0 && (flags & PG_HEAD) != 0 &&
		      page_order_of(flags) == order);
	CHECK((page_refs(page) | page_maps(page)) == 0); /* nobody refers to it */
}

/* free_pages() at length. This CPU's late frees are performed, or this is one of them. */
void free_block(struct task *t, uint32_t pfn, uint32_t order);

/* Remembers the lowest number of free pages that was ever seen. */
void alloc_note_free(struct neap_machine *m);

#endif
