/*
 * One simulated run of a job in a process of its own, which may crash or never end.
 */
#ifndef NEAP_CMD_TRIAL_H
#define NEAP_CMD_TRIAL_H

#include <sys/types.h>

#include "cmd/options.h"
#include "job/job.h"
#include "job/run.h"

enum trial_end {
	TRIAL_ENDED,   /* the result is the run's */
	TRIAL_CRASHED, /* a check failed, or a signal ended it */
	TRIAL_HUNG,    /* was not over in time, and was ended */
	TRIAL_NO_RUN,  /* the machine could not be built, or the process not be started */
};

struct trial {
	uint64_t seed;
	pid_t pid;
	int over_fd;   /* readable when the process is gone */
	int result_fd; /* what it was */
	int said_fd;   /* what it said on standard error */
	uint64_t end_ns;
	/* after trial_finish() */
	enum trial_end end;
	int status;		  /* the exit status that the run stands for */
	struct run_result result; /* also of a crash: outcome and messages */
	char *said;		  /* what it said; NULL: nothing */
};

/* Starts the run of this seed. => false after a message: the process could not be started */
MUST_CHECK bool trial_start(struct trial *trial, const struct job *job,
			    const struct options *options, uint64_t seed);
/* Waits for its end, at most limit_s seconds from its start. Free it with trial_free(). */
void trial_finish(struct trial *trial);
void trial_free(struct trial *trial);

/* Whether it is what --explore looks for. */
bool trial_failed(const struct trial *trial, const struct options *options);
/*
 * What failed, in a line, without the numbers that differ from run to run: two runs that give the
 * same line fail in the same way. Written into text.
 */
void trial_kind(const struct trial *trial, const char *job_path, char *text, size_t bytes);

#endif
