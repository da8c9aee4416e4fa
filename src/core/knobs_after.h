/* What a successful write to a knob is followed by: one function for each column `after`. */
#ifndef NEAP_CORE_KNOBS_AFTER_H
#define NEAP_CORE_KNOBS_AFTER_H

#include "core/knobs.h"

/* The value of the file that was written, as its bits: an int is extended with its sign. */
struct knob_change {
	uint64_t before, after; /* the same if nothing was written, or the same again */
};

/*
 * Changes other values that depend on this one and says what follows.
 * => 0; a negative errno if the file refuses the value after all: the caller puts the old one back
 */
typedef int (*knob_after)(struct knobs *k, const struct knob_change *change,
			  struct knob_effects *effects);

int knob_after_nothing(struct knobs *k, const struct knob_change *change,
		       struct knob_effects *effects);
int knob_after_marks(struct knobs *k, const struct knob_change *change,
		     struct knob_effects *effects);
int knob_after_min_free(struct knobs *k, const struct knob_change *change,
			struct knob_effects *effects);
int knob_after_node_ratio(struct knobs *k, const struct knob_change *change,
			  struct knob_effects *effects);
int knob_after_fraction(struct knobs *k, const struct knob_change *change,
			struct knob_effects *effects);
int knob_after_thp(struct knobs *k, const struct knob_change *change, struct knob_effects *effects);
int knob_after_drop(struct knobs *k, const struct knob_change *change,
		    struct knob_effects *effects);
int knob_after_hugepages(struct knobs *k, const struct knob_change *change,
			 struct knob_effects *effects);
int knob_after_numa_stat(struct knobs *k, const struct knob_change *change,
			 struct knob_effects *effects);
int knob_after_proactiveness(struct knobs *k, const struct knob_change *change,
			     struct knob_effects *effects);
int knob_after_interval(struct knobs *k, const struct knob_change *change,
			struct knob_effects *effects);
int knob_after_period(struct knobs *k, const struct knob_change *change,
		      struct knob_effects *effects);
/* Pairs of files of which only one is in force. */
int knob_after_dirty_ratio(struct knobs *k, const struct knob_change *change,
			   struct knob_effects *effects);
int knob_after_dirty_bytes(struct knobs *k, const struct knob_change *change,
			   struct knob_effects *effects);
int knob_after_background_ratio(struct knobs *k, const struct knob_change *change,
				struct knob_effects *effects);
int knob_after_background_bytes(struct knobs *k, const struct knob_change *change,
				struct knob_effects *effects);
int knob_after_overcommit_ratio(struct knobs *k, const struct knob_change *change,
				struct knob_effects *effects);
int knob_after_overcommit_kbytes(struct knobs *k, const struct knob_change *change,
				 struct knob_effects *effects);

#endif
