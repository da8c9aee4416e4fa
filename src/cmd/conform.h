/*
 * neap conform: what its parts share.
 */
#ifndef NEAP_CMD_CONFORM_H
#define NEAP_CMD_CONFORM_H

#include <stdio.h>

#include "cmd/conform_host.h"
#include "diag/record.h"
#include "diag/witness.h"

#define CONFORM_BOOTS_MAX 2u /* the recordings have so many of a job */
#define CONFORM_SEEDS_MAX (RULE_RUNS_MAX / CONFORM_BOOTS_MAX)

struct conform_options {
	char **dirs;
	uint32_t nr_dirs;
	uint64_t nr_seeds;
	uint64_t nr_processes;
	bool json, brief, all_rows;
	bool host_from_log;   /* hosts are as busy as the logs tell, where they do */
	const char *document; /* the date of a document; NULL: print tables */
	const char *save;     /* file that gets our counters; NULL */
	const char *compare;  /* file with our counters of before; NULL */
	const char *tmp_dir;
	const char *costs; /* as of neap sim; NULL */
};

/* A recorded job, and what became of ours. */
struct conform_job {
	char *dir;	   /* the recordings */
	char *name;	   /* the directory's own name */
	char *job_path;	   /* DIR/NAME.job, or the one there is */
	const char *costs; /* the cost table to play it with; NULL: by default */
	/* The machine before the first command, of each run that recorded it, written out. */
	char *boot_dir[CONFORM_BOOTS_MAX];
	uint32_t nr_boots; /* 0: not recorded */
	/*
	 * Of each run of the kernel: its times, and what they say of the threads of others on its
	 * host, -1: as the cost table says.
	 */
	struct conform_times log_times[RULE_RUNS_MAX];
	int64_t host_others_permille[RULE_RUNS_MAX];
	/* For each of conform_host_points: sums of so many runs, until they are divided. */
	struct conform_times our_times[CONFORM_HOST_POINTS];
	uint32_t nr_our_times[CONFORM_HOST_POINTS];
	char *trace_path; /* the kernel's trace of reclaim; NULL */
	struct record_set kernel, ours;
	struct record_set before;	 /* of an earlier build; may be empty */
	char *refused;			 /* why the job cannot be played; NULL */
	char *failed;			 /* what went wrong while it was played; NULL */
	char *evidence;			 /* text: traces side by side; NULL */
	uint32_t decisions[2], distance; /* of the evidence; 0 without */
	struct record_row *rows;
	uint32_t nr_rows;
	struct witness (*witnesses)[2]; /* of each row: the kernel's trace, ours; NULL without */
	uint32_t nr_witnesses;
};

struct conform {
	const struct conform_options *options;
	struct conform_job *job; /* ascending by name */
	uint32_t nr_jobs;
	char tmp[256]; /* directory of ours, removed in the end; "" = none yet */
};

/* Verdicts over some rows. Kernel: over rows and runs. */
struct conform_score {
	uint64_t rows, ours[NR_RULE_VERDICTS];
	uint64_t kernel_judged, kernel[NR_RULE_VERDICTS];
	uint64_t played, refused, failed; /* jobs */
};

/* Finds the jobs below the directories and reads their recordings. => the exit status */
int conform_load(struct conform *conform);
void conform_free(struct conform *conform);
/* Plays all jobs with all seeds, in processes of their own. => the exit status */
int conform_play(struct conform *conform);

struct conform_score conform_score_job(const struct conform_job *job);
void conform_score_add(struct conform_score *to, const struct conform_score *from);
/* Per mille of the rows, of ours and of the kernel's runs; 0 if there are none. */
uint32_t conform_inside(const struct conform_score *score);
uint32_t conform_kernel_inside(const struct conform_score *score);

void conform_print(const struct conform *conform, FILE *out);
/* What both traces say about a row; nothing where no traced run was recorded. */
void conform_print_evidence(const struct conform_job *job, uint32_t number, FILE *out);
void conform_print_changes(const struct conform *conform, FILE *out);
void conform_print_document(const struct conform *conform, FILE *out);
/* => false if there is no JSON in this build, after a message */
bool conform_print_json(const struct conform *conform, FILE *out);

#endif
