/*
 * neap bench: how fast the engine is, one line each.
 *
 *     access     18.3 ns  (17.9 .. 19.0, 7 times)  54.6 M/s  resident page accessed
 *                median    lowest and highest
 *
 * A bench is repeated, each time on a new machine; the median is what counts and the
 * spread says how far to trust it. --quick does a tenth of the work three times: it
 * is there so that `make check` runs every bench, not to be quoted.
 *
 * What must never happen: a bench that fails and leaves no trace: the exit status is
 * then 1, and the line says why.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>
#endif

#include <neap/neap.h>

#include "cmd/bench.h"
#include "cmd/cmd.h"

#define REPETITIONS 7u
#define REPETITIONS_QUICK 3u
#define NAMES_MAX 32u

enum bench_key {
	KEY_QUICK = 256,
	KEY_JSON,
};

struct bench_options {
	bool quick, json;
	const char *names[NAMES_MAX];
	uint32_t nr_names;
};

struct bench_result {
	uint32_t repetitions;
	double ns[REPETITIONS]; /* an operation, sorted */
};

static const struct argp_option bench_options[] = {
	{ "quick", KEY_QUICK, NULL, 0, "a tenth of the work: to see that all run", 0 },
	{ "json", KEY_JSON, NULL, 0, "one JSON document", 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

static const struct bench *find_bench(const char *name)
{
	for (const struct bench *bench = bench_table; bench->name != NULL; bench++)
		if (strcmp(bench->name, name) == 0)
			return bench;
	return NULL;
}

static error_t take_name(struct bench_options *options, const char *name)
{
	if (find_bench(name) == NULL) {
		cmd_error("there is no bench '%s'; these are:", name);
		for (const struct bench *bench = bench_table; bench->name != NULL; bench++)
			cmd_error("  %-8s %s", bench->name, bench->what);
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
		cmd_help(state, "bench");
		return 0;
	case KEY_QUICK:
		options->quick = true;
		return 0;
	case KEY_JSON:
		options->json = true;
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
	struct neap_machine *machine;
	bool quick;
	struct bench_sample sample;
};

static int run_inside(void *arg)
{
	struct repetition *repetition = arg;

	return repetition->bench->run(repetition->machine, repetition->quick, &repetition->sample);
}

static bool configure(struct neap_config *config, const struct bench *bench)
{
	const char *const settings[][2] = {
		{ "runtime", bench->simulated ? "sim" : "live" },
		{ "memory", bench->memory },
		{ "swap", bench->swap },
	};

	for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
		if (settings[i][1] != NULL &&
		    neap_config_set(config, settings[i][0], settings[i][1]) != 0) {
			cmd_error("bench %s: %s", bench->name, neap_config_error(config));
			return false;
		}
	}
	return true;
}

/* => CMD_FINE and the time of one operation, or the exit status after a message */
static int repeat(struct repetition *repetition, double *ns)
{
	struct neap_config *config = neap_config_new();
	const struct bench *bench = repetition->bench;
	int status = CMD_WORLD;
	int error;

	if (config == NULL || !configure(config, bench))
		goto out;
	if (neap_machine_create(config, &repetition->machine) != 0) {
		cmd_error("bench %s: %s", bench->name, neap_config_error(config));
		goto out;
	}
	error = neap_run(repetition->machine, run_inside, repetition);
	neap_machine_destroy(repetition->machine);
	status = error == 0 ? CMD_FINE : CMD_FINDING;
	if (error != 0)
		cmd_error("bench %s: %s", bench->name, strerror(-error));
	else
		*ns = (double)repetition->sample.ns / (double)repetition->sample.operations;
out:
	neap_config_free(config);
	return status;
}

static int compare_times(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int run_bench(const struct bench *bench, bool quick, struct bench_result *result)
{
	int status = CMD_FINE;

	result->repetitions = quick ? REPETITIONS_QUICK : REPETITIONS;
	for (uint32_t i = 0; i < result->repetitions && status == CMD_FINE; i++) {
		struct repetition repetition = { .bench = bench, .quick = quick };

		status = repeat(&repetition, &result->ns[i]);
	}
	qsort(result->ns, result->repetitions, sizeof(result->ns[0]), compare_times);
	return status;
}

/* ---- results ---- */

static void print_result(const struct bench *bench, const struct bench_result *result)
{
	uint32_t n = result->repetitions;
	double median = result->ns[n / 2];

	printf("%-8s %8.1f ns  (%.1f .. %.1f, %u times)  %.3g M/s  %s\n", bench->name, median,
	       result->ns[0], result->ns[n - 1], n, 1e3 / median, bench->what);
	fflush(stdout);
}

#ifdef NEAP_HAVE_JANSSON
static json_t *json_new(void)
{
	return json_pack("{s:[]}", "benches");
}

static void json_add(json_t *root, const struct bench *bench, const struct bench_result *result)
{
	uint32_t n = result->repetitions;

	json_array_append_new(json_object_get(root, "benches"),
			      json_pack("{s:s,s:s,s:f,s:f,s:f,s:i}", "name", bench->name,
					"operation", bench->what, "median_ns", result->ns[n / 2],
					"min_ns", result->ns[0], "max_ns", result->ns[n - 1],
					"repetitions", (int)n));
}

static void json_print(json_t *root)
{
	json_dumpf(root, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
	json_decref(root);
}
#else
typedef void json_t;

static json_t *json_new(void)
{
	return NULL;
}

static void json_add(json_t *root, const struct bench *bench, const struct bench_result *result)
{
	(void)root;
	(void)bench;
	(void)result;
}

static void json_print(json_t *root)
{
	(void)root;
}
#endif

static bool wanted(const struct bench_options *options, const char *name)
{
	for (uint32_t i = 0; i < options->nr_names; i++)
		if (strcmp(options->names[i], name) == 0)
			return true;
	return options->nr_names == 0;
}

static int run_all(const struct bench_options *options, json_t *json)
{
	int worst = CMD_FINE;

	for (const struct bench *bench = bench_table; bench->name != NULL; bench++) {
		struct bench_result result;
		int status;

		if (!wanted(options, bench->name))
			continue;
		status = run_bench(bench, options->quick, &result);
		if (status != CMD_FINE)
			worst = status > worst ? status : worst;
		else if (json != NULL)
			json_add(json, bench, &result);
		else
			print_result(bench, &result);
	}
	return worst;
}

int cmd_bench(int argc, char **argv)
{
	static char name[] = "neap";
	static const struct argp argp = {
		.options = bench_options,
		.parser = parse_option,
		.args_doc = "[NAME...]",
		.doc = "Measures the engine's speed: median and spread of several repetitions.",
	};
	struct bench_options options = { 0 };
	json_t *json = NULL;
	int status;

	argv[0] = name;
	argp_err_exit_status = CMD_USAGE;
	if (argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &options) != 0)
		return CMD_USAGE;
	if (options.json) {
		json = json_new();
		if (json == NULL) {
			cmd_error("--json: this neap was built without jansson, or memory is out");
			return CMD_USAGE;
		}
	}
	status = run_all(&options, json);
	if (json != NULL)
		json_print(json);
	return status;
}
