/*
 * neap: one command, many verbs.
 *
 *     neap VERB [OPTIONS] [FILES]
 *
 * The table below knows every verb; a misspelt one gets the nearest one suggested.
 *
 * Exit status, the same for all: 0 fine, 1 a finding or a failed check, 2 usage or
 * input, 3 the world failed. Output into a pipe that somebody closed ends the
 * process quietly by SIGPIPE, as with every filter; output that cannot be written
 * (a full disk) is noticed here, at the end, and is status 3.
 *
 * What must never happen: success reported for output that nobody received.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "cmd/cmd.h"

struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
};

static const struct verb verbs[] = {
	{ "run", cmd_run, "jobs and traces on a live machine" },
	{ "sim", cmd_sim, "jobs and traces on a simulated machine" },
	{ "graph", cmd_graph, "free pages against the marks over time; figures of reclaim" },
	{ "map", cmd_map, "a zone as cells: what its pages are used for" },
	{ "show", cmd_show, "one /proc file of a machine, or parsed and printed back" },
	{ "bench", cmd_bench, "the speed of the engine, one line each" },
	{ "sysctl", cmd_sysctl, "settings of a machine, and what writes to them do" },
	{ "decode", cmd_decode, "memory reports in a kernel log, explained" },
	{ "marks", cmd_marks, "where watermarks come from, and what would change them" },
	{ "conform", cmd_conform, "recorded jobs: our counters beside the kernel's" },
	{ "probe", cmd_probe, "recorded decisions of a kernel's allocator, performed again" },
	{ "explain", cmd_explain, "what is wrong with a machine, why, and what to do" },
	{ "ledger", cmd_ledger, "where memory is, every page once, and what nobody accounts for" },
	{ "request", cmd_request, "would an allocation succeed now, and where would it fail" },
	{ "forecast", cmd_forecast, "how many huge pages can be had now, and after what" },
	{ "calibrate", cmd_calibrate, "measure this machine: a cost table for sim" },
};

static void print_help(FILE *out)
{
	fputs("Usage: neap COMMAND [OPTIONS] [FILES]\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-9s %s\n", verbs[i].name, verbs[i].what);
	fputs("\n  neap COMMAND --help   options of a command\n"
	      "  neap --version        the version\n",
	      out);
}

/* Number of single-letter changes from a to b, for words of up to 15 letters. */
static uint32_t edit_distance(const char *a, const char *b)
{
	uint32_t row[16];
	size_t n = strlen(b);

	if (strlen(a) > 15 || n > 15)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= n; j++)
		row[j] = j;
	for (uint32_t i = 1; a[i - 1] != '\0'; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= n; j++) {
			uint32_t changed = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = min_u32(changed, min_u32(row[j - 1], row[j]) + 1);
		}
	}
	return row[n];
}

static int unknown_verb(const char *name)
{
	const char *nearest = NULL;
	uint32_t least = 3;

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		uint32_t distance = edit_distance(name, verbs[i].name);

		if (distance < least) {
			least = distance;
			nearest = verbs[i].name;
		}
	}
	if (nearest != NULL)
		cmd_error("unknown command '%s'; did you mean %s?", name, nearest);
	else
		cmd_error("unknown command '%s'; neap help lists the commands", name);
	return CMD_USAGE;
}

static int run_verb(const char *name, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(verbs[i].name, name) != 0)
			continue;
		return verbs[i].run(argc, argv);
	}
	return unknown_verb(name);
}

/* neap help [COMMAND] */
static int help(int argc, char **argv)
{
	static char option[] = "--help";
	char *words[] = { argv[0], option, NULL };

	if (argc < 2) {
		print_help(stdout);
		return CMD_FINE;
	}
	words[0] = argv[1];
	return run_verb(argv[1], 2, words);
}

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (name == NULL) {
		print_help(stderr);
		return CMD_USAGE;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("neap %s\n", NEAP_VERSION);
		return CMD_FINE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help(1, argv);
	if (strcmp(name, "help") == 0)
		return help(argc - 1, argv + 1);
	return run_verb(name, argc - 1, argv + 1);
}

/* Runs at every exit, argp's own included: was everything written? */
static void check_output(void)
{
	bool written = fflush(stdout) == 0;

	if (written && ferror(stdout) == 0)
		return;
	/* Of a write that failed earlier errno says nothing any more. */
	fprintf(stderr, "neap: standard output: %s\n",
		written ? "not everything could be written" : strerror(errno));
	_Exit(CMD_WORLD);
}

int main(int argc, char **argv)
{
	atexit(check_output);
	/* A limit on the size of files (ulimit -f) is a full disk: an error with a name. */
	(void)signal(SIGXFSZ, SIG_IGN);
	return dispatch(argc, argv);
}
