/*
 * The page cache's index.
 *
 *   height 1                 height 2
 *   root ─> [64 slots]       root ─> [64 nodes] ─> [64 slots]
 *
 * A node has Linux's size and comes out of a slab cache: 14 of them share a block of
 * two frames. Who reads a file so asks for a reclaimable block of order 1 every 900
 * pages, and wakes kswapd and kcompactd for it when there is none. Beside its slots a
 * node knows how many of them are in use, and how many pages below it are dirty, so
 * that the flusher steps over clean parts. A slot that holds only a shadow is in use,
 * too. A leaf of which no slot is a page is only remembered; it is on a list of such
 * leaves, and goes when there are too many of them (core/shadow_nodes.c).
 *
 * A node is named by its place: the number of its first 64 bytes in the machine's
 * memory.
 *
 *	place >> 6 ─> frame         place & 63 ─> 64 bytes of it
 *
 * The tree grows at the top: a root of height h covers 64^h pages; a page beyond
 * that gets a new root above the old one. Missing nodes are allocated with the
 * mapping's lock dropped, so an insertion starts over after each allocation; a
 * node that turned out not to be needed is freed again, and so are the empty ones
 * of an insertion that ran out of memory half way.
 *
 * What must never happen: a node freed while a slot of it is in use, or left
 * behind empty (index_clear and verify.c count).
 *
 * Linux: lib/xarray.c with the marks of fs/mm. DIFF: a file of one page has a node,
 * too.
 */
#include "core/index.h"

#include <errno.h>
#include <string.h>

#include "core/gfp.h"
#include "core/index_node.h"
#include "core/shadow_nodes.h"
#include "core/slab.h"

/* A slot that leads to a node: its place, as frames stand in the slots of pages. */
static uint64_t slot_of_node(uint64_t place)
{
	return place << INDEX_FRAME_SHIFT;
}

static uint64_t node_of_slot(uint64_t value)
{
	return value >> INDEX_FRAME_SHIFT;
}

void index_init(struct neap_machine *m)
{
	slab_init(m, &m->index_nodes, INDEX_NODE_BYTES, true);
	m->index_nodes.later = true;
}

static uint32_t slot_at(uint64_t index, uint32_t level)
{
	return (uint32_t)(index >> (INDEX_SLOT_BITS * (level - 1))) & (INDEX_NODE_SLOTS - 1);
}

static bool index_covers(const struct mapping *mapping, uint64_t index)
{
	return mapping->root != INDEX_NODE_NONE &&
	       (index >> (INDEX_SLOT_BITS * mapping->height)) == 0;
}

/* The node of `level` (1 = leaf) on the way to index; none if it is missing. => lock held, covered
 */
static ALWAYS_INLINE uint64_t node_find(struct neap_machine *m, const struct mapping *mapping,
					uint64_t index, uint32_t level)
{
	uint64_t node = mapping->root;

	for (uint32_t at = mapping->height; at > level && node != INDEX_NODE_NONE; at--)
		node = node_of_slot(node_at(m, node)->slot[slot_at(index, at)]);
	return node;
}

/* The leaf of an index that is covered, if there is one; the last one is known. => lock held */
static uint64_t leaf_find(struct neap_machine *m, struct mapping *mapping, uint64_t index)
{
	uint64_t number = index >> INDEX_SLOT_BITS;

	if (likely(mapping->leaf != INDEX_NODE_NONE && mapping->leaf_number == number))
		return mapping->leaf;
	mapping->leaf = node_find(m, mapping, index, 1);
	mapping->leaf_number = number;
	return mapping->leaf;
}

/* The leaf of an index that has one. => lock held */
static struct index_node *leaf_of(struct neap_machine *m, struct mapping *mapping, uint64_t index)
{
	return node_at(m, leaf_find(m, mapping, index));
}

uint64_t index_load(struct task *t, struct mapping *mapping, uint64_t index)
{
	spin_assert_held(t, LOCK_MAPPING);
	if (!index_covers(mapping, index))
		return 0;
	uint64_t leaf = leaf_find(t->machine, mapping, index);

	return leaf == INDEX_NODE_NONE ? 0 : node_at(t->machine, leaf)->slot[slot_at(index, 1)];
}

/* ---- nodes ---- */

/* First without waiting, as Linux does under the index's lock; then as a file system may. */
static uint64_t node_alloc(struct task *t)
{
	struct slab_cache *cache = &t->machine->index_nodes;
	uint32_t number = 0;
	uint32_t pfn = slab_alloc(t, cache, GFP_NOWAIT | GFP_BIT_NOWARN, &number);

	if (pfn == PFN_NONE)
		pfn = slab_alloc(t, cache, GFP_NOFS, &number);
	if (pfn == PFN_NONE)
		return INDEX_NODE_NONE;
	uint64_t place = ((uint64_t)pfn << PLACE_SHIFT) + (uint64_t)number * PLACES_PER_NODE;

	memset(node_at(t->machine, place), 0, INDEX_NODE_BYTES);
	return place;
}

static void node_free(struct task *t, uint64_t place)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(place >> PLACE_SHIFT);
	const struct index_node *node = node_at(m, place);

	CHECK(node->nr_used == 0 && node->nr_dirty == 0);
	if (page_test(machine_page(m, pfn), PG_TAIL))
		pfn &= ~((1u << m->index_nodes.order) - 1);
	uint64_t offset = place - ((uint64_t)pfn << PLACE_SHIFT);

	CHECK(offset % PLACES_PER_NODE == 0);
	slab_free(t, &m->index_nodes, pfn, (uint32_t)(offset / PLACES_PER_NODE));
}

void index_free_nodes(struct task *t, uint64_t *freed)
{
	/* event loop */
	while (*freed != INDEX_NODE_NONE) {
		uint64_t place = *freed;

		*freed = node_at(t->machine, place)->next_freed;
		node_free(t, place);
	}
}

/* The node is the leaf of this index. */
static void leaf_begin(struct neap_machine *m, const struct mapping *mapping, uint64_t place,
		       uint64_t index)
{
	struct index_node *leaf = node_at(m, place);

	leaf->mapping = mapping->id;
	leaf->number = index >> INDEX_SLOT_BITS;
}

/* Links `fresh` where the tree lacks a node for index. => true if it was used */
static bool index_grow(struct task *t, struct mapping *mapping, uint64_t index, uint64_t fresh)
{
	struct neap_machine *m = t->machine;

	if (mapping->root == INDEX_NODE_NONE) {
		mapping->root = fresh;
		mapping->height = 1;
		/* As high as needed at once: growing later would leave an empty leaf below. */
		while (!index_covers(mapping, index))
			mapping->height++;
		if (mapping->height == 1)
			leaf_begin(m, mapping, fresh, index);
		return true;
	}
	if (!index_covers(mapping, index)) {
		struct index_node *root = node_at(m, fresh);

		root->slot[0] = slot_of_node(mapping->root);
		root->nr_used = 1;
		root->nr_dirty = node_at(m, mapping->root)->nr_dirty;
		mapping->root = fresh;
		mapping->height++;
		return true;
	}
	for (uint32_t level = mapping->height; level > 1; level--) {
		struct index_node *node = node_at(m, node_find(m, mapping, index, level));
		uint64_t *slot = &node->slot[slot_at(index, level)];

		if (*slot == 0) {
			*slot = slot_of_node(fresh);
			node->nr_used++;
			if (level == 2)
				leaf_begin(m, mapping, fresh, index);
			return true;
		}
	}
	return false;
}

static bool index_has_leaf(struct task *t, struct mapping *mapping, uint64_t index)
{
	return index_covers(mapping, index) &&
	       leaf_find(t->machine, mapping, index) != INDEX_NODE_NONE;
}

/* => 0, -EEXIST; lock held, the leaf exists */
static int index_store_page(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn,
			    uint64_t *shadow)
{
	uint64_t place = leaf_find(t->machine, mapping, index);
	struct index_node *leaf = node_at(t->machine, place);
	uint64_t *slot = &leaf->slot[slot_at(index, 1)];

	if (index_is_page(*slot))
		return -EEXIST;
	if (index_node_is_shadows(leaf))
		shadow_nodes_unlist(t, place);
	*shadow = *slot;
	leaf->nr_pages++;
	if (*slot == 0)
		leaf->nr_used++;
	*slot = (uint64_t)pfn << INDEX_FRAME_SHIFT;
	return 0;
}

/* Takes empty nodes on the way to index out, from the lowest there is upwards. */
static void index_prune(struct task *t, struct mapping *mapping, uint64_t index, uint64_t *freed)
{
	struct neap_machine *m = t->machine;

	if (!index_covers(mapping, index))
		return;
	for (uint32_t level = 1; level <= mapping->height; level++) {
		uint64_t place = node_find(m, mapping, index, level);

		if (place == INDEX_NODE_NONE)
			continue;
		struct index_node *node = node_at(m, place);

		if (node->nr_used != 0)
			return;
		mapping->leaf = INDEX_NODE_NONE;
		node->next_freed = *freed;
		*freed = place;
		if (level == mapping->height) {
			mapping->root = INDEX_NODE_NONE;
			mapping->height = 0;
			return;
		}
		struct index_node *parent = node_at(m, node_find(m, mapping, index, level + 1));

		parent->slot[slot_at(index, level + 1)] = 0;
		parent->nr_used--;
	}
}

/* There was no memory for a node: what was linked for this index alone goes again. */
static void index_undo_grow(struct task *t, struct mapping *mapping, uint64_t index)
{
	uint64_t freed = INDEX_NODE_NONE;

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	index_prune(t, mapping, index, &freed);
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	index_free_nodes(t, &freed);
}

int index_insert(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn,
		 uint64_t *shadow)
{
	uint64_t fresh = INDEX_NODE_NONE;
	int err;

	if (index >> (INDEX_SLOT_BITS * INDEX_MAX_HEIGHT) != 0)
		return -EINVAL;
	/* event loop: each round adds one missing node */
	for (;;) {
		spin_lock(t, &mapping->lock, LOCK_MAPPING);
		bool ready = index_has_leaf(t, mapping, index);

		if (!ready && fresh != INDEX_NODE_NONE && index_grow(t, mapping, index, fresh)) {
			fresh = INDEX_NODE_NONE;
			ready = index_has_leaf(t, mapping, index);
		}
		err = ready ? index_store_page(t, mapping, index, pfn, shadow) : -ENOMEM;
		spin_unlock(t, &mapping->lock, LOCK_MAPPING);
		if (ready)
			break;
		if (fresh == INDEX_NODE_NONE)
			fresh = node_alloc(t);
		if (fresh == INDEX_NODE_NONE)
			break;
	}
	if (fresh != INDEX_NODE_NONE)
		node_free(t, fresh);
	if (err == -ENOMEM)
		index_undo_grow(t, mapping, index);
	return err;
}

bool index_mark_dirty(struct task *t, struct mapping *mapping, uint64_t index, bool dirty)
{
	struct neap_machine *m = t->machine;
	uint64_t *slot = &leaf_of(m, mapping, index)->slot[slot_at(index, 1)];

	spin_assert_held(t, LOCK_MAPPING);
	DCHECK(index_is_page(*slot));
	if (((*slot & INDEX_DIRTY) != 0) == dirty)
		return false;
	*slot ^= INDEX_DIRTY;
	uint64_t place = mapping->root;

	for (uint32_t level = mapping->height; level > 0; level--) {
		struct index_node *node = node_at(m, place);

		node->nr_dirty += dirty ? 1u : UINT32_MAX;
		place = node_of_slot(node->slot[slot_at(index, level)]);
	}
	return true;
}

void index_replace(struct task *t, struct mapping *mapping, uint64_t index, uint32_t pfn)
{
	uint64_t *slot = &leaf_of(t->machine, mapping, index)->slot[slot_at(index, 1)];

	spin_assert_held(t, LOCK_MAPPING);
	CHECK(index_is_page(*slot));
	*slot = (uint64_t)pfn << INDEX_FRAME_SHIFT | (*slot & INDEX_DIRTY);
}

void index_remove(struct task *t, struct mapping *mapping, uint64_t index, uint64_t shadow,
		  uint64_t *freed)
{
	uint64_t place = leaf_find(t->machine, mapping, index);
	struct index_node *leaf = node_at(t->machine, place);
	uint64_t *slot = &leaf->slot[slot_at(index, 1)];

	spin_assert_held(t, LOCK_MAPPING);
	CHECK(index_is_page(*slot) && !(*slot & INDEX_DIRTY));
	*slot = shadow;
	leaf->nr_pages--;
	if (shadow == 0)
		leaf->nr_used--;
	if (index_node_is_shadows(leaf))
		shadow_nodes_list(t, place);
	if (shadow == 0)
		index_prune(t, mapping, index, freed);
}

/* Empties a leaf that has no pages, and takes it out. => lock held */
static void leaf_clear(struct task *t, struct mapping *mapping, uint64_t place, uint64_t *freed)
{
	struct index_node *leaf = node_at(t->machine, place);

	CHECK(leaf->nr_pages == 0);
	if (index_node_is_shadows(leaf))
		shadow_nodes_unlist(t, place);
	memset(leaf->slot, 0, sizeof(leaf->slot));
	leaf->nr_used = 0;
	index_prune(t, mapping, leaf->number << INDEX_SLOT_BITS, freed);
}

bool index_drop_shadows(struct task *t, struct mapping *mapping, uint64_t number, uint64_t place,
			uint64_t *freed)
{
	uint64_t index = number << INDEX_SLOT_BITS;

	spin_assert_held(t, LOCK_MAPPING);
	if (!index_covers(mapping, index) || node_find(t->machine, mapping, index, 1) != place ||
	    !index_node_is_shadows(node_at(t->machine, place)))
		return false;
	leaf_clear(t, mapping, place, freed);
	return true;
}

/* ---- scanning ---- */

/* The next index at which the subtree of a missing or clean node at `level` is over. */
static uint64_t index_after(uint64_t index, uint32_t level)
{
	return ((index >> (INDEX_SLOT_BITS * level)) + 1) << (INDEX_SLOT_BITS * level);
}

/* Takes what a leaf offers from scan->from on. */
static void scan_leaf(const struct index_node *leaf, struct index_scan *scan)
{
	const uint64_t *slots = leaf->slot;
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
		uint64_t place = mapping->root;
		uint32_t level = mapping->height;
		const struct index_node *node = node_at(m, place);

		while (level > 1 && (!scan->dirty_only || node->nr_dirty != 0)) {
			place = node_of_slot(node->slot[slot_at(scan->from, level)]);
			level--;
			if (place == INDEX_NODE_NONE)
				break;
			node = node_at(m, place);
		}
		if (place == INDEX_NODE_NONE || (scan->dirty_only && node->nr_dirty == 0))
			scan->from = index_after(scan->from, level);
		else
			scan_leaf(node, scan);
	}
}

void index_clear(struct task *t, struct mapping *mapping)
{
	struct neap_machine *m = t->machine;
	uint64_t freed = INDEX_NODE_NONE;

	/* event loop: leftmost leaf first; every round frees at least one node */
	while (mapping->root != INDEX_NODE_NONE) {
		spin_lock(t, &mapping->lock, LOCK_MAPPING);
		uint64_t place = mapping->root;

		for (uint32_t level = mapping->height; level > 1; level--) {
			const struct index_node *node = node_at(m, place);
			uint32_t i = 0;

			while (node->slot[i] == 0) {
				i++;
				CHECK(i < INDEX_NODE_SLOTS); /* no empty node stays */
			}
			place = node_of_slot(node->slot[i]);
		}
		leaf_clear(t, mapping, place, &freed);
		spin_unlock(t, &mapping->lock, LOCK_MAPPING);
		index_free_nodes(t, &freed);
	}
}
