/*
 * The page cache's index.
 *
 *   height 1                  height 2
 *   root ─> [512 slots]       root ─> [512 nodes] ─> [512 slots]
 *
 * A node is one frame (PG_SLAB | PG_INDEX, counted as reclaimable slab); its
 * descriptor holds the bookkeeping: owner = mapping id, refs = 1, index = slots
 * in use, and maps = pages below it that are dirty, so that the flusher steps over
 * clean parts. A slot that holds only a shadow is in use, too.
 *
 * The tree grows at the top: a root of height h covers 512^h pages; a page beyond
 * that gets a new root above the old one. Missing nodes are allocated with the
 * mapping's lock dropped, so an insertion starts over after each allocation; a
 * node that turned out not to be needed is freed again, and so are the empty ones
 * of an insertion that ran out of memory half way.
 *
 * What must never happen: a node freed while a slot of it is in use, or left
 * behind empty (index_clear and verify.c count).
 *
 * Linux: lib/xarray.c with the marks of fs/mm. DIFF: nodes of 512 slots in whole
 * frames, not 64 slots in slab objects of 576 bytes.
 */
#include "core/index.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/lru.h"
#include "core/vmstat.h"

static uint64_t *node_slots(struct neap_machine *m, uint32_t node)
{
	return hw_window(m->hw, node);
}

static uint32_t slot_at(uint64_t index, uint32_t level)
{
	return (uint32_t)(index >> (INDEX_SLOT_BITS * (level - 1))) & (INDEX_NODE_SLOTS - 1);
}

static bool index_covers(const struct mapping *mapping, uint64_t index)
{
	return mapping->root != PFN_NONE && (index >> (INDEX_SLOT_BITS * mapping->height)) == 0;
}

/*
 * Frame of the node of `level` (1 = leaf) on the way to index; PFN_NONE if missing. => lock held,
 * covered
 */
static uint32_t node_find(struct neap_machine *m, const struct mapping *mapping, uint64_t index,
			  uint32_t level)
{
	uint32_t node = mapping->root;

	for (uint32_t at = mapping->height; at > level && node != PFN_NONE; at--)
		node = index_frame(node_slots(m, node)[slot_at(index, at)]);
	return node;
}

uint64_t index_load(struct task *t, struct mapping *mapping, uint64_t index)
{
	spin_assert_held(t, LOCK_MAPPING);
	if (!index_covers(mapping, index))
		return 0;
	uint32_t leaf = node_find(t->machine, mapping, index, 1);

	return leaf == PFN_NONE ? 0 : node_slots(t->machine, leaf)[slot_at(index, 1)];
}

/* ---- nodes ---- */

static uint32_t node_alloc(struct task *t, struct mapping *mapping)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = alloc_page(t, (GFP_KERNEL & ~GFP_BIT_FS) | GFP_BIT_RECLAIMABLE);

	if (pfn == PFN_NONE)
		return PFN_NONE;
	struct page *page = machine_page(m, pfn);
	uint64_t *slots = node_slots(m, pfn);

	for (uint32_t i = 0; i < INDEX_NODE_SLOTS; i++)
		slots[i] = 0;
	page_set(page, PG_SLAB | PG_INDEX);
	page->owner = mapping->id;
	page->index = 0;
	cpu_pin(t);
	node_stat_add(t, page_node(m, page), NR_SLAB_RECLAIMABLE, 1);
	cpu_unpin(t);
	return pfn;
}

static void node_free(struct task *t, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct page *page = machine_page(m, pfn);

	CHECK(page->index == 0 && page_maps(page) == 0);
	cpu_pin(t);
	node_stat_add(t, page_node(m, page), NR_SLAB_RECLAIMABLE, -1);
	cpu_unpin(t);
	page_clear(page, PG_SLAB | PG_INDEX);
	page->owner = 0;
	page_put(t, page);
}

void index_free_nodes(struct task *t, struct list *freed)
{
	/* event loop */
	while (!list_empty(freed))
		node_free(t, list_pop(t->machine->pages, freed));
}

/* Links `fresh` where the tree lacks a node for index. => true if it was used */
static bool index_grow(struct task *t, struct mapping *mapping, uint64_t index, uint32_t fresh)
{
	struct neap_machine *m = t->machine;
	uint64_t entry = (uint64_t)fresh << INDEX_FRAME_SHIFT;

	if (mapping->root == PFN_NONE) {
		mapping->root = fresh;
		mapping->height = 1;
		/* As high as needed at once: growing later would leave an empty leaf below. */
		while (!index_covers(mapping, index))
			mapping->height++;
		return true;
	}
	if (!index_covers(mapping, index)) {
		node_slots(m, fresh)[0] = (uint64_t)mapping->root << INDEX_FRAME_SHIFT;
		machine_page(m, fresh)->index = 1;
		atomic_store(&machine_page(m, fresh)->maps,
			     page_maps(machine_page(m, mapping->root)));
		mapping->root = fresh;
		mapping->height++;
		return true;
	}
	for (uint32_t level = mapping->height; level > 1; level--) {
		uint32_t node = node_find(m, mapping, index, level);
		uint64_t *slot = &node_slots(m, node)[slot_at(index, level)];

		if (*slot == 0) {
			*slot = entry;
			machine_page(m, node)->index++;
			return true;
		}
	}
	return false;
}

static bool index_has_leaf(struct task *t, const struct mapping *mapping, uint64_t index)
{
	return index_covers(mapping, index) && node_find(t->machine, mapping, index, 1) != PFN_NONE;
}

/* => 0, -EEXIST; lock held, the leaf exists */
static int index_store_page(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn,
			    uint64_t *shadow)
{
	struct neap_machine *m = t->machine;
	uint32_t leaf = node_find(m, mapping, index, 1);
	uint64_t *slot = &node_slots(m, leaf)[slot_at(index, 1)];

	if (index_is_page(*slot))
		return -EEXIST;
	*shadow = *slot;
	if (*slot == 0)
		machine_page(m, leaf)->index++;
	*slot = (uint64_t)pfn << INDEX_FRAME_SHIFT;
	return 0;
}

/* Takes empty nodes on the way to index out, from the lowest there is upwards. */
static void index_prune(struct task *t, struct mapping *mapping, uint64_t index, struct list *freed)
{
	struct neap_machine *m = t->machine;

	if (!index_covers(mapping, index))
		return;
	for (uint32_t level = 1; level <= mapping->height; level++) {
		uint32_t node = node_find(m, mapping, index, level);

		if (node == PFN_NONE)
			continue;
		if (machine_page(m, node)->index != 0)
			return;
		list_add_tail(m->pages, freed, node);
		if (level == mapping->height) {
			mapping->root = PFN_NONE;
			mapping->height = 0;
			return;
		}
		uint32_t parent = node_find(m, mapping, index, level + 1);

		node_slots(m, parent)[slot_at(index, level + 1)] = 0;
		machine_page(m, parent)->index--;
	}
}

/* There was no memory for a node: what was linked for this index alone goes again. */
static void index_undo_grow(struct task *t, struct mapping *mapping, uint64_t index)
{
	struct list freed = { PFN_NONE, PFN_NONE };

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	index_prune(t, mapping, index, &freed);
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	index_free_nodes(t, &freed);
}

int index_insert(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn,
		 uint64_t *shadow)
{
	uint32_t fresh = PFN_NONE;
	int err;

	if (index >> (INDEX_SLOT_BITS * INDEX_MAX_HEIGHT) != 0)
		return -EINVAL;
	/* event loop: each round adds one missing node */
	for (;;) {
		spin_lock(t, &mapping->lock, LOCK_MAPPING);
		bool ready = index_has_leaf(t, mapping, index);

		if (!ready && fresh != PFN_NONE && index_grow(t, mapping, index, fresh)) {
			fresh = PFN_NONE;
			ready = index_has_leaf(t, mapping, index);
		}
		err = ready ? index_store_page(t, mapping, index, pfn, shadow) : -ENOMEM;
		spin_unlock(t, &mapping->lock, LOCK_MAPPING);
		if (ready)
			break;
		if (fresh == PFN_NONE)
			fresh = node_alloc(t, mapping);
		if (fresh == PFN_NONE)
			break;
	}
	if (fresh != PFN_NONE)
		node_free(t, fresh);
	if (err == -ENOMEM)
		index_undo_grow(t, mapping, index);
	return err;
}

bool index_mark_dirty(struct task *t, struct mapping *mapping, uint64_t index, bool dirty)
{
	struct neap_machine *m = t->machine;
	uint32_t leaf = node_find(m, mapping, index, 1);
	uint64_t *slot = &node_slots(m, leaf)[slot_at(index, 1)];

	spin_assert_held(t, LOCK_MAPPING);
	DCHECK(index_is_page(*slot));
	if (((*slot & INDEX_DIRTY) != 0) == dirty)
		return false;
	*slot ^= INDEX_DIRTY;
	for (uint32_t level = 1; level <= mapping->height; level++) {
		struct page *node = machine_page(m, node_find(m, mapping, index, level));

		atomic_fetch_add(&node->maps, dirty ? 1u : UINT32_MAX);
	}
	return true;
}

void index_replace(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	uint32_t leaf = node_find(m, mapping, index, 1);
	uint64_t *slot = &node_slots(m, leaf)[slot_at(index, 1)];

	spin_assert_held(t, LOCK_MAPPING);
	CHECK(index_is_page(*slot));
	*slot = (uint64_t)pfn << INDEX_FRAME_SHIFT | (*slot & INDEX_DIRTY);
}

void index_remove(struct task *t, struct mapping *mapping, uint64_t index, uint64_t shadow,
		  struct list *freed)
{
	struct neap_machine *m = t->machine;
	uint32_t leaf = node_find(m, mapping, index, 1);
	uint64_t *slot = &node_slots(m, leaf)[slot_at(index, 1)];

	spin_assert_held(t, LOCK_MAPPING);
	CHECK(index_is_page(*slot) && !(*slot & INDEX_DIRTY));
	*slot = shadow;
	if (shadow == 0) {
		machine_page(m, leaf)->index--;
		index_prune(t, mapping, index, freed);
	}
}

/* ---- scanning ---- */

/* The next index at which the subtree of a missing or clean node at `level` is over. */
static uint64_t index_after(uint64_t index, uint32_t level)
{
	return ((index >> (INDEX_SLOT_BITS * level)) + 1) << (INDEX_SLOT_BITS * level);
}

/* Takes what a leaf offers from scan->from on. */
static void scan_leaf(struct neap_machine *m, uint32_t leaf, struct index_scan *scan)
{
	const uint64_t *slots = node_slots(m, leaf);
	uint64_t end = index_after(scan->from, 1);

	while (scan->from < end && scan->nr < scan->max) {
		uint64_t value = slots[slot_at(scan->from, 1)];

		if (index_is_page(value) && (!scan->dirty_only || (value & INDEX_DIRTY)))
			scan->pfn[scan->nr++] = index_frame(value);
		scan->from++;
	}
}

void index_scan(struct task *t, struct mapping *mapping, struct index_scan *scan)
{
	struct neap_machine *m = t->machine;

	spin_assert_held(t, LOCK_MAPPING);
	CHECK(scan->max <= ARRAY_LEN(scan->pfn));
	scan->nr = 0;
	scan->done = false;
	while (scan->nr < scan->max) {
		if (!index_covers(mapping, scan->from)) {
			scan->done = true;
			return;
		}
		uint32_t node = mapping->root;
		uint32_t level = mapping->height;

		while (level > 1 && node != PFN_NONE &&
		       (!scan->dirty_only || page_maps(machine_page(m, node)) != 0)) {
			node = index_frame(node_slots(m, node)[slot_at(scan->from, level)]);
			level--;
		}
		if (node == PFN_NONE)
			scan->from = index_after(scan->from, level);
		else if (scan->dirty_only && page_maps(machine_page(m, node)) == 0)
			scan->from = index_after(scan->from, level);
		else
			scan_leaf(m, node, scan);
	}
}

void index_clear(struct task *t, struct mapping *mapping)
{
	struct neap_machine *m = t->machine;
	struct list freed = { PFN_NONE, PFN_NONE };

	/* event loop: leftmost leaf first; every round frees at least one node */
	while (mapping->root != PFN_NONE) {
		uint64_t index = 0;
		uint32_t node = mapping->root;

		for (uint32_t level = mapping->height; level > 1; level--) {
			const uint64_t *slots = node_slots(m, node);
			uint32_t i = 0;

			while (slots[i] == 0) {
				i++;
				CHECK(i < INDEX_NODE_SLOTS); /* no empty node stays */
			}
			index |= (uint64_t)i << (INDEX_SLOT_BITS * (level - 1));
			node = index_frame(slots[i]);
		}
		uint64_t *slots = node_slots(m, node);

		for (uint32_t i = 0; i < INDEX_NODE_SLOTS; i++) {
			CHECK(!index_is_page(slots[i]));
			slots[i] = 0;
		}
		machine_page(m, node)->index = 0;
		spin_lock(t, &mapping->lock, LOCK_MAPPING);
		index_prune(t, mapping, index, &freed);
		spin_unlock(t, &mapping->lock, LOCK_MAPPING);
		index_free_nodes(t, &freed);
	}
}
