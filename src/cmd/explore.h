/*
 * neap sim --explore: one job, many seeds.
 */
#ifndef NEAP_CMD_EXPLORE_H
#define NEAP_CMD_EXPLORE_H

#include "cmd/options.h"
#include "cmd/report.h"
#include "job/job.h"

/*
 * Plays the job with options->explore seeds from options->seed on, each in a process of its own,
 * and prints what they were. The first that fails is made a small job, which is written to a file.
 * => the exit status
 */
int explore_job(const struct job *job, const struct options *options, struct report_json *json);

#endif
