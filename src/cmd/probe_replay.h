/* A whole recorded sequence against the engine: what is equal, what is not. */
#ifndef NEAP_CMD_PROBE_REPLAY_H
#define NEAP_CMD_PROBE_REPLAY_H

#include "cmd/probe_guess.h"
#include "cmd/probe_machine.h"
#include "text/probe_script.h"

/* Operations compared, in bursts that begin from their own recorded state. */
struct probe_count {
	uint32_t operations, equal;
	uint32_t bursts, equal_states; /* bursts; those whose state afterwards is equal, too */
	uint32_t steals, wakes;	       /* recorded ones among the equal operations */
	uint32_t assumed;	       /* pageblocks taken to hold movable pages */
	struct probe_claim claim; /* what a burst's first difference says; of no block: nothing */
};

/* Failures compared, in bursts that begin from another state. */
struct probe_limits {
	uint32_t points, within; /* failed requests; those within batch + threshold + 1 */
	uint64_t off_most;	 /* pages of the worst one */
};

struct probe_outcome {
	struct probe_count counted;  /* what decides */
	struct probe_count doubtful; /* bursts of a task with PF_MEMALLOC */
	struct probe_limits limits;
	struct probe_limits doubtful_limits;
	struct text_buf difference; /* the first one of `counted`; empty if there is none */
	struct text_buf far;	    /* failure points out of bounds, a line each */
	struct text_buf unknown;    /* settings that could not be made, a line each */
};

/*
 * Plays every burst. script: NULL if there is none; then no slot is freed silently and rights are
 * those that comments name.
 * => 0; -EINVAL with *err filled (input); -ENOMEM, -ETIME
 * => the outcome's buffers are freed with probe_outcome_free()
 */
MUST_CHECK int probe_replay(struct probe_machine *pm, const struct probe_script *script,
			    struct probe_outcome *outcome, struct text_error *err);
void probe_outcome_free(struct probe_outcome *outcome);

/* Whether everything that counts is equal. */
bool probe_outcome_is_fine(const struct probe_outcome *outcome);

#endif
