/*
 * The index of a page cache: a radix tree of nodes with 64 slots each.
 */
#ifndef NEAP_CORE_INDEX_H
#define NEAP_CORE_INDEX_H

#include "core/mapping.h"

/* A slot: 0 empty; bit 0 set: a shadow; else frame << 8 with INDEX_DIRTY. */
#define INDEX_DIRTY 2u
#define INDEX_FRAME_SHIFT 8u
#define INDEX_SLOT_BITS 6u
#define INDEX_NODE_SLOTS 64u
#define INDEX_MAX_HEIGHT 6u
#define INDEX_NODE_BYTES 576u /* Linux's size: 64 slots and 64 bytes beside them */
#define INDEX_NODE_NONE 0u

static inline bool index_is_page(uint64_t value)
{
	return value != 0 && !(value & 1);
}

static inline uint32_t index_frame(uint64_t value)
{
	return (uint32_t)(value >> INDEX_FRAME_SHIFT);
}

/* Where nodes come from. Once, when the machine is started. */
void index_init(struct neap_machine *m);

/* => mapping lock held; 0 if empty */
uint64_t index_load(struct task *t, struct mapping *mapping, uint64_t index);
/*
 * Puts a page where nothing or a shadow is. May sleep (allocates nodes). Nothing held.
 * => 0, *shadow is what was there; -EEXIST a page is there; -ENOMEM
 */
int index_insert(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn,
		 uint64_t *shadow) MUST_CHECK;
/*
 * Replaces a page by a shadow or by nothing; nodes that become empty are gathered on *freed, which
 * begins as INDEX_NODE_NONE. => lock held
 */
void index_remove(struct task *t, struct mapping *mapping, uint64_t index, uint64_t shadow,
		  uint64_t *freed);
/*
 * Forgets the shadows of leaf `number`, if that is the one at this place and has no pages; nodes
 * that become empty are gathered on *freed. => lock held; whether it was
 */
bool index_drop_shadows(struct task *t, struct mapping *mapping, uint64_t number, uint64_t place,
			uint64_t *freed);
/* Puts another frame where a page is; the dirty mark stays. => lock held */
void index_replace(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn);
/* Marks or unmarks a page dirty. => lock held; whether that changed anything */
bool index_mark_dirty(struct task *t, struct mapping *mapping, uint64_t index, bool dirty);
/* Gives gathered nodes back. Nothing held but pins and page locks. */
void index_free_nodes(struct task *t, uint64_t *freed);

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
