/*
 * A machine made like a saved one: its free lists, marks, limits and what the kernel holds.
 */
#ifndef NEAP_CORE_LIKENESS_H
#define NEAP_CORE_LIKENESS_H

#include "core/machine.h"

/*
 * Takes over the saved machine's settings without recomputing anything that depends on them.
 * => 0, or -EINVAL: *name is the setting whose value is none
 */
int likeness_knobs(struct neap_machine *m, const struct snapshot *snapshot,
		   const char **name) MUST_CHECK;

/*
 * Prepares a machine that nobody has used yet for the saved one's user pages: requests of programs
 * get the highest frames of each zone; the kernel's get the highest of those that were its own in
 * the saved machine, which are the zone's lowest.
 */
void likeness_user_first(struct task *t, struct neap_machine *m, const struct snapshot *snapshot);

/*
 * Where user pages left less of a zone than was free in the saved one, some of them move to zones
 * that have more left. Nobody else uses the machine. May sleep.
 */
void likeness_fit(struct task *t, struct neap_machine *m, const struct snapshot *snapshot);

/*
 * Gives the machine's frames that are free now to free lists as the snapshot has them by order and
 * type, to per-CPU lists, and to the kernel, so that counts come out as saved; then marks,
 * protection, limits and thresholds as observed. User pages that are there already stay where they
 * are. Zones are of the snapshot's sizes, and nobody else uses the machine. May sleep.
 * => pages that should be free and are not: 0, unless more is in use than the snapshot allows
 */
uint64_t likeness_apply(struct task *t, struct neap_machine *m, const struct snapshot *snapshot);

#endif
