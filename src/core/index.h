/*
 * The index of a page cache: a radix tree of frames with 512 slots each.
 */
#ifndef NEAP_CORE_INDEX_H
#define NEAP_CORE_INDEX_H

#include "core/mapping.h"

/* A slot: 0 empty; bit 0 set: a shadow; else frame << 8 with INDEX_DIRTY. */
#define INDEX_DIRTY 2u
#define INDEX_FRAME_SHIFT 8u
#define INDEX_SLOT_BITS 9u
#define INDEX_NODE_SLOTS 512u
#define INDEX_MAX_HEIGHT 4u

static inline bool index_is_page(uint64_t value)
{
	return value != 0 && !(value & 1);
}

static inline uint32_t index_frame(uint64_t value)
{
	return (uint32_t)(value >> INDEX_FRAME_SHIFT);
}

/* => mapping lock held; 0 if empty */
uint64_t index_load(struct task *t, struct mapping *mapping, uint64_t index);
/*
 * Puts a page where nothing or a shadow is. May sleep (allocates nodes). Nothing held.
 * => 0, *shadow is what was there; -EEXIST a page is there; -ENOMEM
 */
int index_insert(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn,
		 uint64_t *shadow) MUST_CHECK;
/*
 * Replaces a page by a shadow or by nothing; nodes that become empty are gathered on *freed. =>
 * lock held
 */
void index_remove(struct task *t, struct mapping *mapping, uint64_t index, uint64_t shadow,
		  struct list *freed);
/* Puts another frame where a page is; the dirty mark stays. => lock held */
void index_replace(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn);
/* Marks or unmarks a page dirty. => lock held; whether that changed anything */
bool index_mark_dirty(struct task *t, struct mapping *mapping, uint64_t index, bool dirty);
/* Gives gathered nodes back. Nothing held. */
void index_free_nodes(struct task *t, struct list *freed);

/* Finds pages at `from` or later, ascending. => lock held; frames stored, at most max */
struct index_scan {
	uint64_t from; /* in; out: where to go on */
	bool dirty_only;
	uint32_t nr; /* out */
	uint32_t max;
	uint32_t pfn[32];
	bool done; /* out: nothing more */
};
void index_scan(struct task *t, struct mapping *mapping, struct index_scan *scan);
/* Drops the shadows, and with them every node. No pages left. Nothing held. */
void index_clear(struct task *t, struct mapping *mapping);

#endif
