/*
 * The job language: from text to struct job.
 */
#ifndef NEAP_JOB_PARSE_H
#define NEAP_JOB_PARSE_H

#include "base/base.h"
#include "job/job.h"

/*
 * Parses a whole job. Nothing is run, no machine is needed; files with path= are looked at.
 * => 0 and *out (free it with job_free)
 * => -EINVAL and *errors: "NAME:LINE: sentence" lines, all that were found; the caller frees them
 * => another negative errno when the world failed; *errors says how
 */
int job_parse_text(const char *name, const char *text, size_t bytes, struct job **out,
		   char **errors);
int job_parse_file(const char *path, struct job **out, char **errors);

/* A job that replays one trace: what `neap run TRACE` plays. Same results. */
int job_from_trace(const char *path, struct job **out, char **errors);

/* Is this file a trace (by its first bytes)? => 1, 0, or negative errno */
int job_file_is_trace(const char *path);

/*
 * Opens and checks every trace of the job; their spool files go to tmp_dir.
 * => 0; -EINVAL: a trace is damaged; another negative errno: the world. *errors says it with
 * file:line.
 */
int job_open_traces(struct job *job, const char *tmp_dir, char **errors);

#endif
