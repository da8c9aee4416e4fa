/*
 * Playing jobs and traces: what run and sim do with their options.
 */
#ifndef NEAP_CMD_PLAY_H
#define NEAP_CMD_PLAY_H

#include "cmd/options.h"

/* => the exit status */
int play(const struct options *options);

#endif
