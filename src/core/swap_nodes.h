/*
 * Nodes of the swap cache's trees: what Linux keeps to find the pages and shadows of swap slots.
 */
#ifndef NEAP_CORE_SWAP_NODES_H
#define NEAP_CORE_SWAP_NODES_H

#include "core/swap.h"

#define SWAP_NODE_BYTES 576u /* as nodes of a file's index */
#define SWAP_NODE_SHIFT 6u   /* slots of a leaf, and leaves of a node above: 64 */

/* From now on the trees take memory. => no slot is in use */
void swap_nodes_enable(struct neap_machine *m);
/* Tables for an area of so many slots. => 0 or -ENOMEM */
int swap_nodes_reserve(struct neap_machine *m, struct swap_area *area) MUST_CHECK;

/*
 * Before something is put where nothing is, in the slot's place of the cache: makes the nodes that
 * it needs. gfp is for the case that there is none to be had without waiting. May sleep if it says
 * so; no lock is held.
 */
void swap_nodes_prepare(struct task *t, struct swap_area *area, uint32_t slot, uint32_t gfp);
/* The slot's place holds something now, or nothing any more. => area locked */
void swap_nodes_fill(struct swap_area *area, uint32_t slot);
void swap_nodes_empty(struct swap_area *area, uint32_t slot);
/* Gives back nodes that hold nothing. No lock is held; never sleeps. */
void swap_nodes_settle(struct task *t, struct swap_area *area);
/* The same for all of an area of which no slot is in use. */
void swap_nodes_drain(struct task *t, struct swap_area *area);

/* => NULL, or what is wrong. *nr grows by the nodes there are. Everything stands still. */
const char *swap_nodes_verify(const struct swap_area *area, uint64_t *nr);

#endif
