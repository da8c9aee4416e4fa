/*
 * The engine's structures, filled with what is known of a real machine, so that the engine's own
 * tests can be run on it.
 */
#ifndef NEAP_DIAG_STATE_H
#define NEAP_DIAG_STATE_H

#include "core/alloc_path.h"
#include "core/plan.h"
#include "diag/evidence.h"

struct state {
	const struct evidence *evidence;
	struct neap_machine machine; /* nodes, zones, zonelists, knobs; no pages, no CPUs */
	struct task task;	     /* who asks: nobody in particular */
	bool has_blocks;	     /* free blocks by order are known */
	bool has_types;		     /* ... and by migrate type */
	bool has_cma;		     /* some zone has CMA blocks */
	struct arena *arena;
};

/*
 * => 0 and *out, to be freed with state_free(), the evidence must outlive it; -ENODATA without a
 *    zoneinfo; -EINVAL with *err filled: a setting is not understood; -ENOMEM
 */
MUST_CHECK int state_new(const struct evidence *evidence, struct state **out,
			 struct text_error *err);
void state_free(struct state *state);

/* Gives the zones other marks and protection: "what if it were set so". Boosts stay. */
void state_set_marks(struct state *state, const struct plan *plan);
/* Gives them back those of the files. */
void state_reset_marks(struct state *state);

/* => the slot that a request with these flags may use at most; NEAP_NR_ZONES: no such request */
uint32_t state_limit(const struct state *state, uint32_t gfp);
/*
 * A request on its way, as alloc_pages() begins it; ac->flags are those of the first walk.
 * => false if the flags contradict each other
 */
bool state_context(const struct state *state, uint32_t gfp, uint32_t order, uint32_t node,
		   struct alloc_context *ac);
/* => "Normal", "HighMem" ... */
const char *state_zone_name(const struct state *state, const struct zone *zone);
/* => the id that the kernel gives the node at this index */
uint32_t state_node_id(const struct state *state, uint32_t index);
/* The highest slot of a node that has managed pages and is not Device. */
uint32_t state_node_limit(const struct state *state, uint32_t index);
/* Pages that the count of free pages of a zone may be off by: differences that CPUs keep. */
uint64_t state_zone_drift(const struct state *state, const struct zone *zone);

#endif
