/*
 * swap_nodes.c: the memory of the swap cache's trees.
 *
 *	level 2   [ root of 16384 slots ]                                  one for 64 MiB
 *	level 1   [ 4096 slots ] [ 4096 slots ] ...
 *	level 0   [ 64 ] [ 64 ] [ 64 ] ...     a page or a shadow in each place, or nothing
 *
 * Here the page or shadow of a slot is found in an array (swap.h). Linux has a tree of
 * nodes for each 64 MiB of an area, and takes a node out of a slab when the first page
 * of its slots enters the swap cache. That is in the middle of reclaim, when memory is
 * short; the slabs are blocks of two frames, so that kswapd and programs that reclaim
 * ask for order 1, from the reserves if need be, and kswapd is woken for order 1. The
 * nodes stay while any of their slots holds a page or a shadow: that long the machine
 * has less memory for pages.
 *
 * Counted here are the places in use of each node (and the nodes in use of the node
 * above it); the objects have no contents. A node that is wanted is allocated before
 * the area is locked, and one that became empty is given back after that; should two
 * become empty at once, one of them stays until it is used and empty again.
 *
 * Only machines like saved ones have them.
 *
 * What must never happen: a count that differs from the places in use; a node given back
 * twice. Who gives the last slot of an area back looks for empty nodes after that, when
 * swapoff may be at it already: a node's memory is taken from it under the area's lock.
 *
 * Linux: mm/swap_state.c: add_to_swap_cache(), clear_shadow_from_swap_cache();
 * lib/xarray.c. Differs: no page is refused because there is no memory for its node;
 * roots are there for every 64 MiB in use, however few slots of it are.
 */
#include "core/swap_nodes.h"

#include <errno.h>

#include "core/gfp.h"
#include "core/machine.h"
#include "core/racy.h"
#include "core/slab.h"

#define ROOT_SHIFT 14u /* slots of a tree: SWAP_ADDRESS_SPACE_SHIFT */

/* Slots below one node of the level, as a shift. */
static uint32_t level_shift(uint32_t level)
{
	return min_u32((level + 1) * SWAP_NODE_SHIFT, ROOT_SHIFT);
}

static struct swap_node *node_of(const struct swap_area *area, uint32_t slot, uint32_t level)
{
	return &area->node[level][slot >> level_shift(level)];
}

void swap_nodes_enable(struct neap_machine *m)
{
	slab_init(m, &m->swap_nodes, SWAP_NODE_BYTES, true);
	m->swap_nodes.later = true;
}

static bool nodes_are_on(const struct neap_machine *m)
{
	return m->swap_nodes.object_bytes != 0;
}

int swap_nodes_reserve(struct neap_machine *m, struct swap_area *area)
{
	for (uint32_t level = 0; level < SWAP_NODE_LEVELS; level++) {
		size_t nr = (area->nr_slots >> level_shift(level)) + 1;

		area->node[level] = m->hw->ops->reserve(m->hw, nr * sizeof(*area->node[level]));
		if (area->node[level] == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* ---- nodes come ---- */

static void node_make(struct task *t, struct swap_area *area, struct swap_node *node, uint32_t gfp)
{
	struct slab_cache *cache = &t->machine->swap_nodes;
	uint32_t number;
	uint32_t slab = slab_alloc(t, cache, GFP_NOWAIT | GFP_BIT_NOWARN, &number);

	if (slab == PFN_NONE)
		slab = slab_alloc(t, cache, gfp, &number);
	if (slab == PFN_NONE)
		return;
	spin_lock(t, &area->lock, LOCK_SWAP);
	bool used = node->slab == PFN_NONE;

	if (used)
		node->slab = slab;
	spin_unlock(t, &area->lock, LOCK_SWAP);
	if (!used)
		slab_free_any(t, cache, slab);
}

void swap_nodes_prepare(struct task *t, struct swap_area *area, uint32_t slot, uint32_t gfp)
{
	if (!nodes_are_on(t->machine))
		return;
	for (uint32_t level = SWAP_NODE_LEVELS; level-- > 0;) {
		struct swap_node *node = node_of(area, slot, level);

		if (racy_read(node->slab) == PFN_NONE)
			node_make(t, area, node, gfp);
	}
}

/* ---- places in use ---- */

void swap_nodes_fill(struct swap_area *area, uint32_t slot)
{
	for (uint32_t level = 0; level < SWAP_NODE_LEVELS; level++)
		if (node_of(area, slot, level)->nr_used++ != 0)
			return;
}

void swap_nodes_empty(struct swap_area *area, uint32_t slot)
{
	for (uint32_t level = 0; level < SWAP_NODE_LEVELS; level++) {
		struct swap_node *node = node_of(area, slot, level);

		CHECK(node->nr_used > 0);
		if (--node->nr_used != 0)
			return;
		racy_write(area->node_idle, slot + 1);
	}
}

/* ---- nodes go ---- */

void swap_nodes_settle(struct task *t, struct swap_area *area)
{
	uint32_t idle[SWAP_NODE_LEVELS];
	uint32_t nr = 0;

	if (racy_read(area->node_idle) == 0)
		return;
	spin_lock(t, &area->lock, LOCK_SWAP);
	for (uint32_t level = 0; level < SWAP_NODE_LEVELS && area->node_idle != 0; level++) {
		struct swap_node *node = node_of(area, area->node_idle - 1, level);

		if (node->nr_used == 0 && node->slab != PFN_NONE) {
			idle[nr++] = node->slab;
			racy_write(node->slab, PFN_NONE);
		}
	}
	racy_write(area->node_idle, 0);
	spin_unlock(t, &area->lock, LOCK_SWAP);
	while (nr > 0)
		slab_free_any(t, &t->machine->swap_nodes, idle[--nr]);
}

void swap_nodes_drain(struct task *t, struct swap_area *area)
{
	for (uint32_t level = 0; level < SWAP_NODE_LEVELS; level++)
		for (uint32_t i = 0; i <= (area->nr_slots - 1) >> level_shift(level); i++) {
			struct swap_node *node = &area->node[level][i];

			/* Who gave the last slot back may be in swap_nodes_settle() still. */
			spin_lock(t, &area->lock, LOCK_SWAP);
			uint32_t slab = node->slab;

			CHECK(node->nr_used == 0);
			racy_write(node->slab, PFN_NONE);
			racy_write(area->node_idle, 0);
			spin_unlock(t, &area->lock, LOCK_SWAP);
			if (slab != PFN_NONE)
				slab_free_any(t, &t->machine->swap_nodes, slab);
		}
}

const char *swap_nodes_verify(const struct swap_area *area, uint64_t *nr)
{
	for (uint32_t level = 0; level < SWAP_NODE_LEVELS; level++) {
		uint32_t below = level == 0 ? 0 : level_shift(level - 1);
		uint32_t nr_below = ((area->nr_slots - 1) >> below) + 1;

		for (uint32_t i = 0; i <= (area->nr_slots - 1) >> level_shift(level); i++) {
			uint32_t first = i << (level_shift(level) - below);
			uint32_t end = (i + 1) << (level_shift(level) - below);
			uint32_t used = 0;

			for (uint32_t k = first; k < min_u32(end, nr_below); k++)
				used += level == 0 ? area->cache[k] != 0
						   : area->node[level - 1][k].nr_used != 0;
			if (used != area->node[level][i].nr_used)
				return "a node of the swap cache counts other places than are in "
				       "use";
			*nr += area->node[level][i].slab != PFN_NONE;
		}
	}
	return NULL;
}
