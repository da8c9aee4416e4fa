/*
 * Private to run.c and run_command.c: a run in progress.
 */
#ifndef NEAP_JOB_RUNNER_H
#define NEAP_JOB_RUNNER_H

#include <pthread.h>
#include <stdatomic.h>

#include "job/access.h"
#include "job/run.h"

struct replay;
struct run;

/* What the run has made of an object of the job. */
struct run_object {
	struct run *run;
	const struct job_object *job;
	struct access_target target; /* memory, file or mapping */
	struct replay *replay;
	struct neap_block **blocks;
	uint64_t nr_blocks;
};

/* A thread of the job; thread 0 is the script itself. */
struct run_thread {
	struct run *run;
	const struct job_command *command;
	struct verify_task *verify;
	struct neap_thread *thread;
	uint64_t first_access, nr_accesses; /* its share of a touch */
	uint64_t seed;
	char name[16];
};

struct run {
	const struct job *job;
	const struct run_options *options;
	struct run_result *result;
	struct neap_machine *machine;
	struct verify *verify;
	struct run_object *objects;
	int cpu; /* home of new threads, -1 = any */
	uint64_t start_ns, start_wall_ns;
	uint32_t trace_windows;
	struct run_thread *background; /* running bg commands */
	uint32_t nr_background;
	struct run_thread *periodic; /* running `every` commands */
	uint32_t nr_periodic;
	_Atomic uint64_t done; /* accesses, for progress */
	_Atomic uint64_t failed_blocks;
	_Atomic bool stop;     /* end as soon as possible */
	_Atomic bool finished; /* the script is done: periodic threads end */
	pthread_mutex_t mutex; /* the rest; never held across a call into the machine */
	enum run_outcome outcome;
	int swap_area[2]; /* the area number of each swap disk, -1 = off */
	FILE *messages, *digests, *notes;
	FILE *log; /* out_dir/log.txt: when each snapshot was taken; NULL */
	uint64_t nr_messages;
};

/* Notes "FILE:LINE: sentence" (line 0: without); the run goes on and has failed at its end. */
void run_note(struct run *run, uint32_t line, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same, and the run ends now, with this outcome at least. */
void run_fail(struct run *run, uint32_t line, enum run_outcome outcome, const char *format, ...)
	PRINTF_LIKE(4, 5);
/* Counts accesses, draws progress. => false when the run should end. */
bool run_poll(void *run, uint64_t accesses);
/* Starts a thread of the job. => 0, or a complaint was made */
int run_start_thread(struct run_thread *thread, int (*fn)(void *arg));
/* => a thread prepared for a command, in *thread; false after a complaint */
bool run_prepare_thread(struct run *run, const struct job_command *command,
			struct run_thread *thread);

/* Performs one command that may run in any thread. */
void run_command(struct run_thread *thread);
/* The body of an `every` thread. */
int run_periodic(void *thread);

#endif
