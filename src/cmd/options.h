/*
 * The options that run and sim have in common.
 */
#ifndef NEAP_CMD_OPTIONS_H
#define NEAP_CMD_OPTIONS_H

#include "base/base.h"

#define OPTIONS_LIST_MAX 32u

struct options {
	bool live; /* which command: run or sim */
	const char *memory, *nodes, *cpus;
	const char *swaps[OPTIONS_LIST_MAX];
	uint32_t nr_swaps;
	const char *settings[OPTIONS_LIST_MAX]; /* NAME=VALUE */
	uint32_t nr_settings;
	const char *out_dir, *trace_path, *tmp_dir, *costs;
	bool tags;
	bool quiet, json;
	uint64_t seed;
	uint64_t explore; /* number of seeds; 0: one ordinary run */
	char **files;
	int nr_files;
};

/* => CMD_FINE, or CMD_USAGE after a message; may end the process (--help) */
int options_parse(bool live, int argc, char **argv, struct options *options);

#endif
