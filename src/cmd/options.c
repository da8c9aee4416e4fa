/*
 * Command lines of run and sim, read by argp.
 *
 * Values are checked as far as that needs no machine; sizes, nodes and cost tables are
 * judged by the library, whose sentences name the property.
 *
 * Commands that play a job to draw a picture of it (graph, map) take the options that
 * describe the machine from here, as a child of their own table.
 *
 * What must never happen: an option that is accepted and has no effect. Those that
 * only make sense in the simulator are unknown to run.
 */
#include "cmd/options.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "job/support.h"

enum option_key {
	KEY_MEMORY = 'm',
	KEY_NODES = 256,
	KEY_CPUS,
	KEY_SWAP,
	KEY_SET,
	KEY_OUT,
	KEY_TRACE,
	KEY_REPORT,
	KEY_TMP,
	KEY_COSTS,
	KEY_CONTENTS,
	KEY_QUIET,
	KEY_JSON,
	KEY_SEED,
	KEY_EXPLORE,
	KEY_ERRORS,
	KEY_FOUND,
	KEY_STEP,
	KEY_BREAK,
	KEY_UNTIL,
	KEY_PRINT,
	KEY_LIKE,
	KEY_HOST_OTHERS,
};

#define MACHINE_OPTIONS                                                                            \
	{ "memory", KEY_MEMORY, "SIZE", 0, "memory of the machine", 0 },                           \
		{ "nodes", KEY_NODES, "N", 0, "split memory and CPUs over N nodes", 0 },           \
		{ "cpus", KEY_CPUS, "N", 0, "number of CPUs (2)", 0 },                             \
		{ "swap", KEY_SWAP, "SIZE|FILE:SIZE", 0, "a swap area; may be repeated", 0 },      \
		{ "set", KEY_SET, "NAME=VALUE", 0, "a value below /proc/sys/vm", 0 },              \
		{ "tmp", KEY_TMP, "DIR", 0, "temporary files ($TMPDIR or /tmp)", 0 },              \
		{ "costs", KEY_COSTS, "NAME|FILE", 0, "emulated-guest, server, or a table", 0 },   \
		{ "contents", KEY_CONTENTS, "real|tags", 0, "what pages hold", 0 },                \
		{ "help", '?', NULL, 0, "this list", 0 },                                          \
	{                                                                                          \
		"like", KEY_LIKE, "DIR", 0, "begin in the state of the machine saved in DIR", 0    \
	}

#define COMMON_OPTIONS                                                                             \
	MACHINE_OPTIONS,                                                                           \
		{ "out", KEY_OUT, "DIR", 0, "save each snapshot LABEL as DIR/LABEL/", 0 },         \
		{ "trace", KEY_TRACE, "FILE", 0, "write trace events in Linux's text", 0 },        \
		{ "report",                                                                        \
		  KEY_REPORT,                                                                      \
		  "FILE",                                                                          \
		  0,                                                                               \
		  "write reports of failed requests, as in Linux's log (--out: DIR/report.txt)",   \
		  0 },                                                                             \
		{ "quiet", KEY_QUIET, NULL, 0, "errors and the state line only", 0 },              \
	{                                                                                          \
		"json", KEY_JSON, NULL, 0, "one JSON document", 0                                  \
	}

#define SEED_OPTION                                                                                \
	{                                                                                          \
		"seed", KEY_SEED, "N", 0, "seed of the scheduler (1)", 0                           \
	}

static const struct argp_option run_options[] = { COMMON_OPTIONS, { 0 } };

static const struct argp_option sim_options[] = {
	COMMON_OPTIONS,
	SEED_OPTION,
	{ "explore", KEY_EXPLORE, "N", 0, "N seeds, preempting under locks, too", 0 },
	{ "host-others", KEY_HOST_OTHERS, "N", 0,
	  "other threads on the host of virtual CPUs (the cost table's)", 0 },
	{ "errors", KEY_ERRORS, NULL, 0, "with --explore: devices and allocations fail at times",
	  0 },
	{ "found", KEY_FOUND, "DIR", 0,
	  "with --explore: where a job that fails is written when it is small (jobs/regress)", 0 },
	{ "step", KEY_STEP, NULL, 0, "stop at every trace event", 1 },
	{ "break", KEY_BREAK, "EVENT[:COND]", 0, "stop at events of this name while COND holds",
	  1 },
	{ "until", KEY_UNTIL, "TIME", 0, "stop when the clock is there: 1.5s, 300ms, 20us", 1 },
	{ "print", KEY_PRINT, "FILE", 0, "print this /proc file at each stop", 1 },
	{ 0 },
};

static const struct argp_option picture_options[] = { MACHINE_OPTIONS, SEED_OPTION, { 0 } };

static bool add_to_list(const char **list, uint32_t *nr, const char *value, const char *what)
{
	if (*nr == OPTIONS_LIST_MAX) {
		cmd_error("%s is given more than %u times", what, OPTIONS_LIST_MAX);
		return false;
	}
	list[(*nr)++] = value;
	return true;
}

static bool take_setting(struct options *options, const char *text)
{
	const char *equals = strchr(text, '=');
	char name[64] = "";

	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof(name)) {
		cmd_error("--set %s: write NAME=VALUE", text);
		return false;
	}
	memcpy(name, text, (size_t)(equals - text));
	switch (support_sysctl(name)) {
	case SUPPORT_YES:
		break;
	case SUPPORT_LATER:
		cmd_error("--set %s: %s cannot be set yet", text, name);
		return false;
	case SUPPORT_UNKNOWN:
		cmd_error("--set %s: there is no '%s' below /proc/sys/vm", text, name);
		return false;
	}
	return add_to_list(options->settings, &options->nr_settings, text, "--set");
}

static bool take_contents(struct options *options, const char *text)
{
	if (strcmp(text, "real") == 0) {
		options->tags = false;
		return true;
	}
	if (strcmp(text, "tags") != 0) {
		cmd_error("--contents %s: real or tags", text);
		return false;
	}
	if (options->live)
		cmd_error("--contents tags: run keeps real contents always; sim can keep tags");
	options->tags = true;
	return !options->live;
}

/* Options with one value that is kept as it is. => where, or NULL */
static const char **text_option(struct options *options, int key)
{
	switch (key) {
	case KEY_MEMORY:
		return &options->memory;
	case KEY_NODES:
		return &options->nodes;
	case KEY_CPUS:
		return &options->cpus;
	case KEY_OUT:
		return &options->out_dir;
	case KEY_TRACE:
		return &options->trace_path;
	case KEY_REPORT:
		return &options->report_path;
	case KEY_TMP:
		return &options->tmp_dir;
	case KEY_COSTS:
		return &options->costs;
	case KEY_LIKE:
		return &options->like;
	case KEY_HOST_OTHERS:
		return &options->host_others;
	case KEY_FOUND:
		return &options->found_dir;
	default:
		return NULL;
	}
}

static bool take_until(struct options *options, const char *text)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 } };
	char *end = NULL;
	double number = text[0] >= '0' && text[0] <= '9' ? strtod(text, &end) : -1;

	for (size_t i = 0; i < ARRAY_LEN(units) && number >= 0; i++) {
		if (strcmp(end, units[i].name) != 0 || number * units[i].ns > 9e18)
			continue;
		options->until_ns = (uint64_t)(number * units[i].ns);
		options->until = true;
		return true;
	}
	cmd_error("--until %s: write a time on the machine's clock, as 1.5s, 300ms or 20us", text);
	return false;
}

static bool take_option(struct options *options, int key, char *value)
{
	const char **text = text_option(options, key);

	if (text != NULL) {
		*text = value;
		return true;
	}
	switch (key) {
	case KEY_SWAP:
		return add_to_list(options->swaps, &options->nr_swaps, value, "--swap");
	case KEY_SET:
		return take_setting(options, value);
	case KEY_CONTENTS:
		return take_contents(options, value);
	case KEY_QUIET:
		options->quiet = true;
		return true;
	case KEY_JSON:
		options->json = true;
		return true;
	case KEY_SEED:
		return cmd_number(value, "--seed", &options->seed);
	case KEY_EXPLORE:
		if (!cmd_number(value, "--explore", &options->explore))
			return false;
		if (options->explore != 0)
			return true;
		cmd_error("--explore 0 plays nothing; write how many seeds, 1 or more");
		return false;
	case KEY_ERRORS:
		options->errors = true;
		return true;
	case KEY_STEP:
		options->step = true;
		return true;
	case KEY_BREAK:
		return add_to_list(options->breaks, &options->nr_breaks, value, "--break");
	case KEY_UNTIL:
		return take_until(options, value);
	case KEY_PRINT:
		return add_to_list(options->prints, &options->nr_prints, value, "--print");
	default:
		return false;
	}
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case ARGP_KEY_ARGS:
		options->files = state->argv + state->next;
		options->nr_files = state->argc - state->next;
		return 0;
	case ARGP_KEY_INIT:
	case ARGP_KEY_ARG:
	case ARGP_KEY_NO_ARGS:
	case ARGP_KEY_END:
	case ARGP_KEY_SUCCESS:
	case ARGP_KEY_ERROR:
	case ARGP_KEY_FINI:
		return ARGP_ERR_UNKNOWN;
	default:
		return take_option(options, key, value) ? 0 : EINVAL;
	}
}

static int check_together(const struct options *options)
{
	if (options->nr_files == 0) {
		cmd_error("%s needs a JOB or a TRACE; neap %s --help lists the options",
			  options->command, options->command);
		return CMD_USAGE;
	}
	if (options_stops(options) && (options->nr_files > 1 || options->explore > 0)) {
		cmd_error("--step, --break and --until are for one run; there would be several");
		return CMD_USAGE;
	}
	if (options->nr_prints > 0 && !options_stops(options)) {
		cmd_error(
			"--print %s: says what to print at a stop; add --step, --break or --until",
			options->prints[0]);
		return CMD_USAGE;
	}
	if ((options->nr_files > 1 || options->explore > 1) &&
	    (options->out_dir != NULL || options->trace_path != NULL ||
	     options->report_path != NULL)) {
		cmd_error("--out, --trace and --report are for one run; there would be several");
		return CMD_USAGE;
	}
	if ((options->errors || options->found_dir != NULL) && options->explore == 0) {
		cmd_error("%s is for --explore N", options->errors ? "--errors" : "--found");
		return CMD_USAGE;
	}
	if (options->explore > 1000000) {
		cmd_error("--explore: at most 1000000 seeds");
		return CMD_USAGE;
	}
	return CMD_FINE;
}

const struct argp options_picture_argp = { .options = picture_options, .parser = parse_option };

void options_init(bool live, const char *command, struct options *options)
{
	const char *tmp = getenv("TMPDIR");

	*options = (struct options){
		.live = live,
		.command = command,
		.tags = !live,
		.seed = 1,
		.tmp_dir = tmp != NULL && *tmp != '\0' ? tmp : "/tmp",
	};
}

int options_parse(bool live, int argc, char **argv, struct options *options)
{
	const struct argp argp = {
		.options = live ? run_options : sim_options,
		.parser = parse_option,
		.args_doc = "JOB|TRACE...",
		.doc = live ? "Runs jobs, or replays traces, on a live machine: threads, memory,"
			      " real files."
			    : "Runs jobs, or replays traces, on a simulated machine: virtual time,"
			      " deterministic from a seed.",
	};

	options_init(live, live ? "run" : "sim", options);
	if (cmd_parse(&argp, argc, argv, options) != CMD_FINE)
		return CMD_USAGE;
	return check_together(options);
}
