/*
 * Executing a job on a machine.
 */
#ifndef NEAP_JOB_RUN_H
#define NEAP_JOB_RUN_H

#include <neap/neap.h>
#include <signal.h>
#include <stdio.h>

#include "base/base.h"
#include "job/job.h"
#include "job/progress.h"
#include "job/verify.h"

/*
 * Somebody who looks on. Members may be NULL; each is called in a task of the machine and must not
 * change it.
 */
struct run_observer {
	void *ctx;
	void (*started)(void *ctx, struct neap_machine *machine); /* before the first command */
	/* at each snapshot command, also where snapshots are not saved */
	void (*snapshot)(void *ctx, struct neap_machine *machine, const char *label);
	/* after the last command, before anything is checked */
	void (*finished)(void *ctx, struct neap_machine *machine);
};

struct run_options {
	bool live;				/* real threads and time */
	bool tags;				/* pages hold a tag, not bytes */
	const char *out_dir;			/* exists; NULL: snapshots are not saved */
	const struct run_observer *observer;	/* may be NULL */
	const char *trace_path;			/* NULL: no trace events */
	const char *report_path;		/* of failed requests; NULL: none are written */
	const char *swap_disk[2];		/* what swapon 1 and 2 switch on; may be NULL */
	bool swap_on;				/* disk 1 is the machine's first area already */
	struct progress *progress;		/* may be NULL */
	const volatile sig_atomic_t *interrupt; /* not 0: end early; may be NULL */
};

/* How a run ended, worst first. */
enum run_outcome {
	RUN_WORLD_FAILED, /* no memory, disk full, no permission: nothing is proved */
	RUN_REFUSED,	  /* the job asks for what is not there; found before its first command */
	RUN_FAILED,	  /* a command failed, a page was wrong or lost, an invariant broken */
	RUN_INTERRUPTED,
	RUN_FINE,
};

/* What the machine counted, taken after the last command and before the sweep. */
struct run_counts {
	uint64_t accesses; /* resident and faulting, by the job */
	uint64_t faults, minor_faults, major_faults;
	uint64_t kswapd_scanned_pages, kswapd_stolen_pages;
	uint64_t direct_scanned_pages, direct_stolen_pages;
	uint64_t direct_stalls; /* allocstall, all zones */
	uint64_t swapin_pages, swapout_pages;
	uint64_t refault_anon_pages, refault_file_pages;
	uint64_t elapsed_ns; /* on the machine's clock */
	uint64_t wall_ns;
	uint64_t rss_peak_bytes;
	struct neap_gauge gauge;
	struct neap_stalls stalls;
};

struct run_result {
	enum run_outcome outcome;
	char *messages; /* "FILE:LINE: sentence" lines; NULL if there are none */
	char *findings; /* what the verifier found, one line each; NULL if nothing */
	char *digests;	/* "digest NAME HEX" lines; NULL if there are none */
	/* what commands obtained or found: "asked 60 hugepages, have 37"; NULL if nothing */
	char *notes;
	struct run_counts counts;
	struct verify_totals verified;
	bool swept;	       /* every page was checked at the end */
	bool invariants_hold;  /* all were checked at the end, and hold */
	bool invariant_broken; /* one was found not to hold */
	uint64_t state_hash;
	uint64_t snapshots_not_saved;
};

/*
 * Runs a parsed job, whose traces are open, on a fresh machine, to its end or to the first failed
 * command. => result is always filled in; free it with run_result_free()
 */
void run_job(const struct job *job, struct neap_machine *machine, const struct run_options *options,
	     struct run_result *result);
void run_result_free(struct run_result *result);

#endif
