/* Writes to the knobs of a machine that exists as numbers only: knobs and plan together. */
#ifndef NEAP_CORE_KNOBS_PLAN_H
#define NEAP_CORE_KNOBS_PLAN_H

#include "core/knobs.h"
#include "core/plan.h"

/* Gives the plan the values of the knobs; nothing is recomputed. */
void knobs_plan_set(struct plan *plan, const struct knobs *k);
/*
 * Recomputes in the plan what a write or a read was followed by, and takes over what Linux changes
 * on its own in the course of it (min_free_kbytes, by transparent huge pages).
 * => the effects that a plan knows nothing of are left out: compaction, caches, counters, pools
 */
void knobs_plan_apply(struct plan *plan, struct knobs *k, uint32_t effects);
/*
 * Did somebody write min_free_kbytes by hand? No file says so. The value is taken for one of the
 * two that Linux computes if it is what transparent huge pages ask for, or within a tenth of the
 * automatic value, which was computed when some memory of boot was not free yet.
 * => sets k's user_min_free_kbytes: the value, or -1
 */
void knobs_plan_guess_user(const struct plan *plan, struct knobs *k);

#endif
