/*
 * neap conform: our counters beside the kernel's.
 *
 *     DIR... --> jobs with recorded runs --> each played from each recorded boot with seeds 1..N
 *            --> tables
 *
 * A recorded job is played as `neap sim --like BOOT --seed N JOB` would play it: the
 * same defaults, models and counters, on a host as busy as the run's log tells
 * (conform_host.c; `--host-others` gives it again). Every counter of the rule's list is compared
 * between the job's snapshots (diag/rule.c is the rule, printed with every table).
 * The kernel's own score stands beside ours: its runs differ, too.
 *
 * A job that needs what the engine lacks is refused by the job language, by name, and
 * counted; so is one that fails. Neither counts as agreement or disagreement.
 *
 * --save keeps our counters; --compare shows what has changed since they were saved,
 * beside the kernel's: what an edit of the engine did.
 *
 * Exit status: 0 if all that can be played was played to its end, 1 if a run failed.
 * Disagreement is no failure: it is what the tables are for.
 *
 * What must never happen: a number of ours that no command line gives again.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/conform.h"

enum conform_key {
	KEY_JSON = 256,
	KEY_SEEDS,
	KEY_PROCESSES,
	KEY_BRIEF,
	KEY_ALL,
	KEY_DOCUMENT,
	KEY_SAVE,
	KEY_COMPARE,
	KEY_COSTS,
	KEY_HOST,
};

static const struct argp_option option_table[] = {
	{ "seeds", KEY_SEEDS, "N", 0, "play each job with seeds 1 to N (5), from each boot", 0 },
	{ "processes", KEY_PROCESSES, "N", 0, "runs at a time (as many as CPUs)", 0 },
	{ "brief", KEY_BRIEF, NULL, 0, "the summary only; no traced runs", 0 },
	{ "all", KEY_ALL, NULL, 0, "rows that agree, too", 0 },
	{ "json", KEY_JSON, NULL, 0, "one JSON document", 0 },
	{ "document", KEY_DOCUMENT, "DATE", 0, "docs/conformance.md, saying that it is of DATE",
	  0 },
	{ "save", KEY_SAVE, "FILE", 0, "keep our counters for --compare", 0 },
	{ "compare", KEY_COMPARE, "FILE", 0, "what has changed since --save FILE", 0 },
	{ "costs", KEY_COSTS, "NAME|FILE", 0, "as of neap sim (emulated-guest)", 0 },
	{ "host", KEY_HOST, "log|table", 0, "how busy the guests' hosts are said to be (log)", 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct conform_options *options = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case KEY_JSON:
		options->json = true;
		return 0;
	case KEY_SEEDS:
		return cmd_number(value, "--seeds", &options->nr_seeds) ? 0 : EINVAL;
	case KEY_PROCESSES:
		return cmd_number(value, "--processes", &options->nr_processes) ? 0 : EINVAL;
	case KEY_BRIEF:
		options->brief = true;
		return 0;
	case KEY_ALL:
		options->all_rows = true;
		return 0;
	case KEY_DOCUMENT:
		options->document = value;
		return 0;
	case KEY_SAVE:
		options->save = value;
		return 0;
	case KEY_COMPARE:
		options->compare = value;
		return 0;
	case KEY_COSTS:
		options->costs = value;
		return 0;
	case KEY_HOST:
		options->host_from_log = strcmp(value, "log") == 0;
		if (options->host_from_log || strcmp(value, "table") == 0)
			return 0;
		cmd_error("--host %s: log, as each log tells, or table, as the cost table says",
			  value);
		return EINVAL;
	case ARGP_KEY_ARGS:
		options->dirs = state->argv + state->next;
		options->nr_dirs = (uint32_t)(state->argc - state->next);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int check_options(const struct conform_options *options)
{
	if (options->nr_dirs == 0) {
		cmd_error("conform needs directories with recorded jobs; neap conform --help lists"
			  " the options");
		return CMD_USAGE;
	}
	if (options->nr_seeds < 1 || options->nr_seeds > CONFORM_SEEDS_MAX ||
	    options->nr_processes < 1 || options->nr_processes > 1024) {
		cmd_error("--seeds is 1 to %u, --processes 1 to 1024", CONFORM_SEEDS_MAX);
		return CMD_USAGE;
	}
	return CMD_FINE;
}

/* ---- our counters, kept ---- */

static int save_counters(const struct conform *conform)
{
	FILE *out = fopen(conform->options->save, "we");
	struct text_buf text;
	bool fine = out != NULL;

	text_buf_init(&text);
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		const struct conform_job *job = &conform->job[i];

		for (uint32_t k = 0; k < job->ours.nr; k++) {
			(void)text_buf_printf(&text, "run %s\n", job->name);
			record_print(&job->ours.run[k], &text);
		}
	}
	fine = fine && text.error == 0 && fputs(text_buf_text(&text), out) >= 0;
	text_buf_free(&text);
	if (out != NULL)
		fine = fclose(out) == 0 && fine;
	if (!fine)
		cmd_error("%s: %s", conform->options->save, strerror(errno));
	return fine ? CMD_FINE : CMD_WORLD;
}

/* Takes one run, "run NAME" and what follows up to the next; the text is cut there. */
static bool take_before(struct conform *conform, char *name, char *body)
{
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct record_set *before = &conform->job[i].before;
		struct record *run;

		if (strcmp(conform->job[i].name, name) != 0)
			continue;
		run = realloc(before->run, (before->nr + 1) * sizeof(*run));
		if (run == NULL)
			return false;
		before->run = run;
		if (record_parse(body, &run[before->nr]) != 0)
			return false;
		before->nr++;
	}
	return true;
}

static int load_before(struct conform *conform)
{
	const char *path = conform->options->compare;
	struct text_buf text;
	bool fine;

	text_buf_init(&text);
	fine = text_buf_read_file(&text, path, 256 * MIB) == 0 && text.at != NULL &&
	       strncmp(text.at, "run ", 4) == 0;
	for (char *at = fine ? text.at : NULL; at != NULL && fine;) {
		char *next = strstr(at, "\nrun ");
		char *body = strchr(at, '\n');

		if (next != NULL)
			next[1] = '\0';
		fine = body != NULL;
		if (fine) {
			*body = '\0';
			fine = take_before(conform, at + 4, body + 1);
		}
		if (next != NULL)
			next[1] = 'r';
		at = next != NULL ? next + 1 : NULL;
	}
	text_buf_free(&text);
	if (!fine)
		cmd_error("%s: it cannot be read, or was not written by --save", path);
	return fine ? CMD_FINE : CMD_USAGE;
}

/* ---- the command ---- */

static int print_results(const struct conform *conform)
{
	const struct conform_options *options = conform->options;

	if (options->json)
		return conform_print_json(conform, stdout) ? CMD_FINE : CMD_WORLD;
	if (options->compare != NULL)
		conform_print_changes(conform, stdout);
	else if (options->document != NULL)
		conform_print_document(conform, stdout);
	else
		conform_print(conform, stdout);
	return CMD_FINE;
}

static int conform_all(struct conform *conform)
{
	int status;

	/* In order, however often it is asked: nothing of it is left. */
	cmd_catch_interrupts(false);
	status = conform_load(conform);
	if (status == CMD_FINE && conform->options->compare != NULL)
		status = load_before(conform);
	if (status == CMD_FINE)
		status = conform_play(conform);
	if (status == CMD_FINE)
		status = print_results(conform);
	if (status == CMD_FINE && conform->options->save != NULL)
		status = save_counters(conform);
	for (uint32_t i = 0; i < conform->nr_jobs && status == CMD_FINE; i++)
		if (conform->job[i].failed != NULL)
			status = CMD_FINDING;
	return status;
}

int cmd_conform(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.args_doc = "DIR...",
		.doc = "Plays recorded jobs on the simulated machine, each from the state in which"
		       " the recorded one booted, and compares every counter with the kernel's.",
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const char *tmp = getenv("TMPDIR");
	struct conform_options options = {
		.nr_seeds = 5,
		.nr_processes = cpus > 0 ? (uint64_t)cpus : 1,
		.host_from_log = true,
		.tmp_dir = tmp != NULL && *tmp != '\0' ? tmp : "/tmp",
	};
	struct conform conform = { .options = &options };
	struct rlimit limit;
	int status;

	if (cmd_parse(&argp, argc, argv, &options) != CMD_FINE ||
	    check_options(&options) != CMD_FINE)
		return CMD_USAGE;
	/* Two open files a run; failing to get them is said when a run cannot be started. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	status = conform_all(&conform);
	conform_free(&conform);
	return status;
}
