/*
 * Playing a trace as a process on a machine.
 */
#ifndef NEAP_JOB_REPLAY_H
#define NEAP_JOB_REPLAY_H

#include <neap/neap.h>

#include "base/base.h"
#include "job/ptrace.h"
#include "job/verify.h"

struct replay;

/* Called now and then while a replay goes on. => false to end it early */
typedef bool (*replay_poll_fn)(void *arg, uint64_t accesses_done);

/*
 * Makes the regions and files of the traced program and loads the files' first contents.
 * => 0 and *out, or negative errno. Inside neap_run().
 */
int replay_start(struct neap_machine *machine, struct verify *verify, const char *name,
		 const struct ptrace *trace, struct replay **out);

/*
 * Plays all records. => may block
 * => 0 (also when poll ended it), or a negative errno that ended the replay
 */
int replay_run(struct replay *replay, struct verify_task *task, replay_poll_fn poll, void *arg);

/* Checks every page that still holds something. => 0 or negative errno */
int replay_sweep(struct replay *replay, struct verify_task *task, replay_poll_fn poll, void *arg);

/* Destroys regions and closes files. => 0 or the first error of a write-back. NULL is fine. */
int replay_finish(struct replay *replay);

/* The smallest machine that makes sense: peak/4, 4 windows, 16 MiB. */
uint64_t replay_memory_bytes(const struct ptrace_info *info);

#endif
