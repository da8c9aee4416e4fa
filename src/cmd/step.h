/*
 * Stopping a simulated run inside the engine: --step, --break, --until, --print.
 */
#ifndef NEAP_CMD_STEP_H
#define NEAP_CMD_STEP_H

#include "cmd/options.h"

/* Plays the file of the options, stopping where they say. => the exit status */
int step_play(struct options *options);

#endif
