/*
 * Settings of a machine that exists as numbers only: from its saved files, changed as a write would
 * change them, and back into its files.
 */
#ifndef NEAP_DIAG_SETTINGS_H
#define NEAP_DIAG_SETTINGS_H

#include "core/knobs.h"
#include "core/plan.h"
#include "core/snapshot.h"
#include "text/doc.h"

/*
 * Linux's defaults, then every value that the snapshot has.
 * => 0, whether it has what marks depend on in *complete; -EINVAL with *err filled: a value that
 *    no such file says
 */
MUST_CHECK int settings_read(const struct snapshot *snapshot, struct knobs *k, bool *complete,
			     struct text_error *err);

/*
 * Everything that Linux computes at boot or at a write, from the plan's sizes and knobs. Boosts
 * stay: they are a state, no setting.
 */
void settings_recompute(struct plan *plan);
/*
 * As a kernel boots with these sizes: the automatic min_free_kbytes, raised by huge pages if the
 * kernel has them.
 */
void settings_boot(struct plan *plan, struct knobs *k, bool has_huge_pages);

/*
 * Performs one write, "NAME=VALUE", with the effects it has in Linux on what a plan knows. NAME is
 * below /proc/sys/vm, a whole path, or "thp". *effects: KNOB_*; may be NULL.
 * => 0; -EINVAL with *err filled: Linux refuses it, or its effect is no arithmetic
 */
MUST_CHECK int settings_write(struct plan *plan, struct knobs *k, const char *assignment,
			      uint32_t *effects, struct text_error *err);

/*
 * Puts results and values into a snapshot: marks, protection, limits, reserves, dirty thresholds,
 * commit limit and the files of /proc/sys/vm; all of those if it has none, else only those it has.
 * => 0 or -E2BIG
 */
MUST_CHECK int settings_store(const struct plan *plan, const struct knobs *k,
			      struct snapshot *snapshot);

#endif
