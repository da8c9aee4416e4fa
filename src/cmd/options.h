/*
 * The options that run and sim have in common.
 */
#ifndef NEAP_CMD_OPTIONS_H
#define NEAP_CMD_OPTIONS_H

#include "base/base.h"

#define OPTIONS_LIST_MAX 32u

struct argp;
struct run_observer;

struct options {
	bool live; /* the machine is not simulated */
	const char *command;
	const char *memory, *nodes, *cpus;
	const char *like; /* directory of a saved machine; NULL */
	const char *swaps[OPTIONS_LIST_MAX];
	uint32_t nr_swaps;
	const char *settings[OPTIONS_LIST_MAX]; /* NAME=VALUE */
	uint32_t nr_settings;
	const char *out_dir, *trace_path, *tmp_dir, *costs;
	const char *report_path; /* of failed requests; NULL: out_dir/report.txt */
	bool tags;
	bool quiet, json;
	const char *host_others; /* instead of the cost table's; NULL */
	uint64_t seed;
	uint64_t explore;      /* number of seeds; 0: one ordinary run */
	bool errors;	       /* with explore: devices and requests for pages fail at times */
	const char *found_dir; /* with explore: where small jobs that fail are written */
	/* where a simulated run stops */
	bool step, until;
	const char *breaks[OPTIONS_LIST_MAX]; /* EVENT[:COND] */
	uint32_t nr_breaks;
	uint64_t until_ns;
	const char *prints[OPTIONS_LIST_MAX]; /* files printed at each stop */
	uint32_t nr_prints;
	const struct run_observer *observer; /* who looks on; NULL */
	bool silent;			     /* no progress, no results: a command that draws */
	char **files;
	int nr_files;
};

/* Whether a run stops somewhere. */
static inline bool options_stops(const struct options *options)
{
	return options->step || options->until || options->nr_breaks > 0;
}

void options_init(bool live, const char *command, struct options *options);
/*
 * Options that describe a simulated machine, and files, for the table of another command; the
 * input is a struct options made by options_init().
 */
extern const struct argp options_picture_argp;

/* => CMD_FINE, or CMD_USAGE after a message; may end the process (--help) */
int options_parse(bool live, int argc, char **argv, struct options *options);

#endif
