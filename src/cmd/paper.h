/*
 * A machine on paper: sizes, settings and what follows from them, without frames, threads or time.
 * What show needs, and every command that answers "what would this file say if".
 */
#ifndef NEAP_CMD_PAPER_H
#define NEAP_CMD_PAPER_H

#include "core/knobs.h"
#include "core/plan.h"
#include "core/snapshot.h"

struct neap_config;

struct paper {
	struct snapshot *snapshot; /* what its files say; paper_finish() brings it up to date */
	struct plan plan;
	struct knobs knobs;
};

/* Each prints what was wrong. => CMD_FINE, CMD_USAGE or CMD_WORLD */

/* A machine like the one whose files are in a directory: its sizes, counts and settings. */
int paper_load(struct paper *paper, const char *dir) MUST_CHECK;
/* A machine of a configuration as it has just booted, all memory free. */
int paper_build(struct paper *paper, struct neap_config *config) MUST_CHECK;
/* One write, "NAME=VALUE", with its effects. */
int paper_set(struct paper *paper, const char *assignment) MUST_CHECK;
/* Computes what the settings decide into the snapshot. */
int paper_finish(struct paper *paper) MUST_CHECK;
void paper_free(struct paper *paper);

#endif
