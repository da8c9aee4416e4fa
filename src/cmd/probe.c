/*
 * neap probe: the allocator's decisions against a kernel's, one by one.
 *
 *     neap probe DIR...
 *
 *     steal: 900 of 900 operations equal; 2 of 2 states equal; 128 steals, 3 wake-ups
 *     highatomic: 278 of 278 operations equal; 3 of 3 states equal; ...
 *     thresholds: 0 of 0 operations equal; without state: 49 of 49 failures near
 *
 * Each DIR holds one sequence that a real kernel performed while nothing else moved: states of
 * every free list and per-CPU list in order, and operations between them. The engine is put into
 * each state and performs the same operations; every frame that it returns, the counts of free
 * pages, the steals, the wake-ups of kswapd and the state afterwards are compared.
 *
 * Bursts that were recorded without their state, and those of a task with PF_MEMALLOC, are printed
 * apart and decide nothing (cmd/probe_replay.c says why).
 *
 * What must never happen: a sequence that could not be played passing for one that is equal.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>
#endif

#include "cmd/cmd.h"
#include "cmd/probe_files.h"
#include "cmd/probe_replay.h"

enum probe_key {
	KEY_JSON = 256,
};

struct probe_options {
	bool json;
	char **dirs;
	int nr_dirs;
};

/* What all sequences together came to. */
struct probe_sum {
	uint32_t sequences, failed; /* failed: could not be played */
	struct probe_count counted;
	struct probe_limits limits;
};

static const struct argp_option probe_option_table[] = {
	{ "json", KEY_JSON, NULL, 0, "one JSON document", 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct probe_options *options = state->input;

	(void)value;
	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case ARGP_KEY_ARGS:
		options->dirs = state->argv + state->next;
		options->nr_dirs = state->argc - state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		cmd_error("probe wants the directories of recorded sequences: neap probe DIR...");
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- JSON ---- */

#ifdef NEAP_HAVE_JANSSON
static json_t *json_new(void)
{
	return json_pack("{s:s,s:[]}", "command", "probe", "sequences");
}

static json_t *json_limits(const struct probe_limits *limits)
{
	return json_pack("{s:I,s:I,s:I}", "failures", (json_int_t)limits->points, "near",
			 (json_int_t)limits->within, "farthest_pages",
			 (json_int_t)limits->off_most);
}

static json_t *json_count(const struct probe_count *count)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "operations",
			 (json_int_t)count->operations, "equal", (json_int_t)count->equal, "states",
			 (json_int_t)count->bursts, "equal_states", (json_int_t)count->equal_states,
			 "steals", (json_int_t)count->steals, "wakes", (json_int_t)count->wakes,
			 "assumed_movable_pageblocks", (json_int_t)count->assumed);
}

static void json_add(json_t *root, const char *dir, const struct probe_outcome *outcome)
{
	json_t *name = json_string(dir);
	json_t *sequence =
		json_pack("{s:o,s:o,s:o,s:o,s:o,s:s}", "directory",
			  name != NULL ? name : json_string("?"), "counted",
			  json_count(&outcome->counted), "without_state",
			  json_limits(&outcome->limits), "doubtful", json_count(&outcome->doubtful),
			  "doubtful_without_state", json_limits(&outcome->doubtful_limits),
			  "difference", text_buf_text(&outcome->difference));

	if (sequence == NULL || json_array_append_new(json_object_get(root, "sequences"), sequence))
		cmd_error("%s: memory is out: the document lacks it", dir);
}

static void json_print(json_t *root)
{
	json_dumpf(root, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(root);
}
#else
typedef void json_t;

static json_t *json_new(void)
{
	return NULL;
}

static void json_add(json_t *root, const char *dir, const struct probe_outcome *outcome)
{
	(void)root;
	(void)dir;
	(void)outcome;
}

static void json_print(json_t *root)
{
	(void)root;
}
#endif

/* ---- text ---- */

/* "golden/probes/steal/" => "steal" */
static void sequence_name(const char *dir, char name[64])
{
	size_t end = strlen(dir);
	size_t begin;

	while (end > 1 && dir[end - 1] == '/')
		end--;
	for (begin = end; begin > 0 && dir[begin - 1] != '/';)
		begin--;
	snprintf(name, 64, "%.*s", (int)(end - begin), dir + begin);
}

static void print_limits(const char *what, const struct probe_limits *limits)
{
	if (limits->points != 0)
		printf("; %s%u of %u failures near", what, limits->within, limits->points);
}

static void print_outcome(const char *dir, const struct probe_outcome *outcome)
{
	const struct probe_count *counted = &outcome->counted;
	const struct probe_count *doubtful = &outcome->doubtful;
	char name[64];

	sequence_name(dir, name);
	printf("%s: %u of %u operations equal", name, counted->equal, counted->operations);
	if (counted->bursts != 0)
		printf("; %u of %u states equal", counted->equal_states, counted->bursts);
	if (counted->steals != 0 || counted->wakes != 0)
		printf("; %u steals, %u wake-ups", counted->steals, counted->wakes);
	if (counted->assumed != 0)
		printf("; %u pageblocks taken to hold movable pages", counted->assumed);
	print_limits("without state: ", &outcome->limits);
	if (doubtful->operations != 0)
		printf("; PF_MEMALLOC: %u of %u operations equal", doubtful->equal,
		       doubtful->operations);
	print_limits("PF_MEMALLOC: ", &outcome->doubtful_limits);
	putchar('\n');
	if (outcome->difference.bytes != 0)
		printf("  first difference:\n%s", text_buf_text(&outcome->difference));
	if (outcome->far.bytes != 0)
		printf("  failures farther than batch + threshold + 1:\n%s",
		       text_buf_text(&outcome->far));
	if (outcome->unknown.bytes != 0)
		printf("  settings that this machine did not take:\n%s",
		       text_buf_text(&outcome->unknown));
}

static void print_sum(const struct probe_sum *sum)
{
	printf("%u sequences: %u of %u operations equal; %u of %u states equal; %u steals,"
	       " %u wake-ups",
	       sum->sequences, sum->counted.equal, sum->counted.operations,
	       sum->counted.equal_states, sum->counted.bursts, sum->counted.steals,
	       sum->counted.wakes);
	if (sum->counted.assumed != 0)
		printf("; %u pageblocks taken to hold movable pages", sum->counted.assumed);
	if (sum->limits.points != 0)
		printf("; without state: %u of %u failures near (batch + threshold + 1)",
		       sum->limits.within, sum->limits.points);
	putchar('\n');
}

/* ---- running ---- */

static int complain(const struct text_error *err, const char *dir, int error)
{
	if (error == -ETIME)
		cmd_error("%s: an operation waited for memory without end", dir);
	else if (err->line != 0)
		cmd_error("%s:%u: %s", err->file, err->line, err->message);
	else if (err->message[0] != '\0')
		cmd_error("%s: %s", err->file, err->message);
	else
		cmd_error("%s: %s", dir, strerror(-error));
	return error == -ENOMEM || error == -EACCES ? CMD_WORLD : CMD_USAGE;
}

static int play(const struct probe_files *files, struct probe_outcome *outcome,
		struct text_error *err)
{
	struct probe_machine *pm = NULL;
	int error = probe_machine_create(&files->probe, files->has_json ? &files->json : NULL,
					 files->path, &pm, err);

	if (error != 0)
		return error;
	error = probe_replay(pm, files->has_script ? &files->script : NULL, outcome, err);
	probe_machine_destroy(pm);
	if (error != 0)
		probe_outcome_free(outcome);
	return error;
}

static void add(struct probe_sum *sum, const struct probe_outcome *outcome)
{
	sum->sequences++;
	sum->counted.operations += outcome->counted.operations;
	sum->counted.equal += outcome->counted.equal;
	sum->counted.bursts += outcome->counted.bursts;
	sum->counted.equal_states += outcome->counted.equal_states;
	sum->counted.steals += outcome->counted.steals;
	sum->counted.wakes += outcome->counted.wakes;
	sum->counted.assumed += outcome->counted.assumed;
	sum->limits.points += outcome->limits.points;
	sum->limits.within += outcome->limits.within;
}

static int run_dir(const char *dir, struct probe_sum *sum, json_t *json)
{
	struct probe_files *files = calloc(1, sizeof(*files));
	struct probe_outcome outcome;
	struct text_error err = { .line = 0 };
	int error = files != NULL ? probe_files_open(files, dir, &err) : -ENOMEM;
	int status = CMD_FINE;

	if (error == 0) {
		error = play(files, &outcome, &err);
		if (error == 0) {
			status = probe_outcome_is_fine(&outcome) ? CMD_FINE : CMD_FINDING;
			add(sum, &outcome);
			if (json != NULL)
				json_add(json, dir, &outcome);
			else
				print_outcome(dir, &outcome);
			probe_outcome_free(&outcome);
		}
		probe_files_close(files);
	}
	free(files);
	return error != 0 ? complain(&err, dir, error) : status;
}

int cmd_probe(int argc, char **argv)
{
	static const struct argp argp = {
		.options = probe_option_table,
		.parser = parse_option,
		.args_doc = "DIR...",
		.doc = "Plays recorded sequences of a kernel's allocator on this engine, and"
		       " compares every frame, count, list, steal and wake-up.",
	};
	struct probe_options options = { .json = false };
	struct probe_sum sum = { .sequences = 0 };
	json_t *json = NULL;
	int worst = CMD_FINE;

	if (cmd_parse(&argp, argc, argv, &options) != CMD_FINE)
		return CMD_USAGE;
	if (options.json) {
		json = json_new();
		if (json == NULL) {
			cmd_error("--json: this neap was built without jansson, or memory is out");
			return CMD_USAGE;
		}
	}
	for (int i = 0; i < options.nr_dirs; i++) {
		int status = run_dir(options.dirs[i], &sum, json);

		worst = status > worst ? status : worst;
	}
	if (json != NULL)
		json_print(json);
	else if (options.nr_dirs > 1)
		print_sum(&sum);
	return worst;
}
