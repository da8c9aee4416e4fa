/*
 * neap bench: how fast the engine is, and other allocators beside it.
 *
 *     alloc.round      9.8 ns   9.6 .. 10.1   aim 8     order-0 block, 64 taken, 64 given back
 *         jemalloc  15.2   mimalloc 9.9
 *                  median  lowest, highest
 *
 * A bench is repeated, each time on a new machine; the median is what counts and the
 * spread says how far to trust it. --quick does a tenth of the work three times: it
 * is there so that `make check` runs every bench, not to be quoted.
 *
 * NAME is a group (alloc) or one line of it (alloc.round). A bench fills all its lines
 * at once, so a single line costs as much as its group.
 *
 * What must never happen: a bench that fails and leaves no trace: the exit status is
 * then 1, and the line says why. A peer that is not installed is not a failure: it is
 * named once, and its column is left out.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "cmd/bench.h"
#include "cmd/bench_result.h"
#include "cmd/cmd.h"

#define REPETITIONS_QUICK 3u
#define NAMES_MAX 32u

enum bench_key {
	KEY_QUICK = 256,
	KEY_JSON,
	KEY_PEER,
	KEY_NO_PEERS,
	KEY_COUNT,
};

struct bench_options {
	bool quick, json, no_peers;
	bool count;	  /* for instruction counts: one quick repetition, ours only */
	const char *peer; /* this process is a peer's: what to do */
	const char *names[NAMES_MAX];
	uint32_t nr_names;
	bool absent[BENCH_PEERS_MAX]; /* said already */
};

static const struct argp_option bench_options[] = {
	{ "quick", KEY_QUICK, NULL, 0, "a tenth of the work: to see that all run", 0 },
	{ "json", KEY_JSON, NULL, 0, "one JSON document", 0 },
	{ "no-peers", KEY_NO_PEERS, NULL, 0, "no other allocators beside ours", 0 },
	{ "count", KEY_COUNT, NULL, 0,
	  "once and quickly, for counting instructions under callgrind", 0 },
	{ "peer", KEY_PEER, "WORDS", OPTION_HIDDEN, NULL, 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

/* ---- names ---- */

/* Does the name mean this line: itself, or its group? */
static bool name_means(const char *name, const struct bench *bench, const struct bench_line *line)
{
	return strcmp(name, bench->group) == 0 || strcmp(name, line->name) == 0;
}

static bool line_wanted(const struct bench_options *options, const struct bench *bench,
			const struct bench_line *line)
{
	for (uint32_t i = 0; i < options->nr_names; i++)
		if (name_means(options->names[i], bench, line))
			return true;
	return options->nr_names == 0;
}

static bool bench_wanted(const struct bench_options *options, const struct bench *bench)
{
	for (const struct bench_line *line = bench->lines; line->name != NULL; line++)
		if (line_wanted(options, bench, line))
			return true;
	return false;
}

static bool name_known(const char *name)
{
	for (const struct bench *const *bench = bench_table; *bench != NULL; bench++)
		for (const struct bench_line *line = (*bench)->lines; line->name != NULL; line++)
			if (name_means(name, *bench, line))
				return true;
	return false;
}

static error_t take_name(struct bench_options *options, const char *name)
{
	if (!name_known(name)) {
		cmd_error("there is no bench '%s'; these are, by group or one by one:", name);
		for (const struct bench *const *bench = bench_table; *bench != NULL; bench++)
			for (const struct bench_line *line = (*bench)->lines; line->name != NULL;
			     line++)
				cmd_error("  %-20s %s", line->name, line->what);
		return EINVAL;
	}
	if (options->nr_names < NAMES_MAX)
		options->names[options->nr_names++] = name;
	return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct bench_options *options = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case KEY_QUICK:
		options->quick = true;
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_NO_PEERS:
		options->no_peers = true;
		return 0;
	case KEY_COUNT:
		options->count = true;
		options->quick = true;
		options->no_peers = true;
		return 0;
	case KEY_PEER:
		options->peer = value;
		return 0;
	case ARGP_KEY_ARG:
		return take_name(options, value);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- one repetition ---- */

struct repetition {
	const struct bench *bench;
	struct bench_run run;
};

static int run_inside(void *arg)
{
	struct repetition *repetition = arg;

	return repetition->bench->run(&repetition->run);
}

static bool configure(struct neap_config *config, const struct bench *bench)
{
	for (uint32_t i = 0; i < BENCH_SETTINGS_MAX && bench->settings[i][0] != NULL; i++) {
		if (neap_config_set(config, bench->settings[i][0], bench->settings[i][1]) != 0) {
			cmd_error("bench %s: %s", bench->group, neap_config_error(config));
			return false;
		}
	}
	return true;
}

/* => CMD_FINE and a value for each line, or the exit status after a message */
static int repeat(const struct bench *bench, bool quick, double *value)
{
	struct repetition repetition = { .bench = bench,
					 .run = { .quick = quick, .value = value } };
	struct neap_config *config = neap_config_new();
	int status = CMD_WORLD;
	int error;

	if (config == NULL || !configure(config, bench))
		goto out;
	if (neap_machine_create(config, &repetition.run.machine) != 0) {
		cmd_error("bench %s: %s", bench->group, neap_config_error(config));
		goto out;
	}
	error = neap_run(repetition.run.machine, run_inside, &repetition);
	neap_machine_destroy(repetition.run.machine);
	status = error == 0 ? CMD_FINE : CMD_FINDING;
	if (error != 0)
		cmd_error("bench %s (%s): %s", bench->group, bench->lines[0].name,
			  strerror(-error));
out:
	neap_config_free(config);
	return status;
}

/* One repetition of every peer that is there. */
static int repeat_peers(struct bench_options *options, uint32_t index, struct bench_result *result)
{
	const struct bench *bench = bench_table[index];

	for (uint32_t i = 0; i < BENCH_PEERS_MAX; i++) {
		double value[BENCH_LINES_MAX];

		if (bench->run_peer == NULL || options->no_peers || options->absent[i])
			continue;
		int err = bench_peer_run(&bench_peers[i], index, options->quick, value);

		if (err == 0) {
			bench_result_add(&result->peer[i], bench, value);
			continue;
		}
		options->absent[i] = true;
		if (err != -ENOPKG) {
			cmd_error("bench with %s: %s", bench_peers[i].name, strerror(-err));
			return CMD_WORLD;
		}
		cmd_error("bench: %s is not here (%s, package %s): its column is left out",
			  bench_peers[i].name, bench_peers[i].library, bench_peers[i].package);
	}
	return CMD_FINE;
}

static int run_bench(struct bench_options *options, uint32_t index, struct bench_result *result)
{
	uint32_t repetitions = options->count	? 1
			       : options->quick ? REPETITIONS_QUICK
						: BENCH_REPETITIONS;
	int status = CMD_FINE;

	memset(result, 0, sizeof(*result));
	for (uint32_t i = 0; i < repetitions && status == CMD_FINE; i++) {
		double value[BENCH_LINES_MAX] = { 0 };

		status = repeat(bench_table[index], options->quick, value);
		if (status != CMD_FINE)
			break;
		bench_result_add(&result->ours, bench_table[index], value);
		/* Peers take most of the time: one repetition is enough to see that they run. */
		if (!options->quick || i == 0)
			status = repeat_peers(options, index, result);
	}
	bench_result_sort(result, bench_table[index]);
	return status;
}

static int run_all(struct bench_options *options, struct bench_document *document)
{
	int worst = CMD_FINE;

	for (uint32_t index = 0; bench_table[index] != NULL; index++) {
		const struct bench *bench = bench_table[index];
		struct bench_result result;

		if (!bench_wanted(options, bench))
			continue;
		int status = run_bench(options, index, &result);

		worst = status > worst ? status : worst;
		for (uint32_t i = 0; status == CMD_FINE && bench->lines[i].name != NULL; i++)
			if (line_wanted(options, bench, &bench->lines[i]))
				bench_document_add(document, bench, i, &result);
	}
	return worst;
}

int cmd_bench(int argc, char **argv)
{
	static const struct argp argp = {
		.options = bench_options,
		.parser = parse_option,
		.args_doc = "[NAME...]",
		.doc = "Measures the engine's speed: median and spread of several repetitions.",
	};
	struct bench_options options = { 0 };
	struct bench_document *document;

	if (cmd_parse(&argp, argc, argv, &options) != CMD_FINE)
		return CMD_USAGE;
	if (options.peer != NULL)
		return bench_peer_main(options.peer, options.quick);
	document = bench_document_new(options.json);
	if (document == NULL) {
		cmd_error("--json: this neap was built without jansson, or memory is out");
		return CMD_USAGE;
	}
	int status = run_all(&options, document);

	bench_document_end(document);
	return status;
}
