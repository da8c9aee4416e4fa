/*
 * Playing jobs and traces: what run and sim do with their options.
 */
#ifndef NEAP_CMD_PLAY_H
#define NEAP_CMD_PLAY_H

#include "cmd/options.h"
#include "job/job.h"
#include "job/run.h"

/* => the exit status */
int play(const struct options *options);

/*
 * One run, on a machine of its own; prints nothing about it.
 * => CMD_FINE and *result, to be freed with run_result_free()
 * => the exit status after a message: the machine could not be built
 */
MUST_CHECK int play_run(const struct job *job, const struct options *options, uint64_t seed,
			struct run_result *result);
/* The exit status that an outcome stands for. */
int play_status(enum run_outcome outcome);
/* The worse of two exit statuses: what failed outside, then usage, findings, interruption. */
int play_worse(int a, int b);
/* Whether Ctrl-C asked for the end. */

#endif
