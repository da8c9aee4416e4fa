/*
 * From options and a file to a finished run.
 *
 *     FILE --parse--> job --+                       +--> summary, JSON
 *                           +--> config --> machine -+--> run_job
 *     options --------------+                       +--> exit status
 *
 * Everything that can be wrong with the input is found before the machine exists:
 * the job's text, its traces, requests that this machine cannot serve (digests in a
 * machine of tags), the configuration.
 *
 * Who decides what the machine is, strongest first: options, the job's `machine`
 * line, the traces it replays, the defaults. An option -m or --nodes replaces the
 * machine line's zones as a whole; --swap replaces its swap.
 *
 * Several files are played one after the other, each on a machine of its own. The worst
 * result is the exit status. --explore plays one file with many seeds: explore.c.
 *
 * Ctrl-C (SIGINT, SIGTERM) asks the run to end; the summary so far is printed. The
 * second one ends the process at once: the handler is gone after the first.
 *
 * What must never happen: a run that ends with status 0 without having printed its
 * state line.
 */
#include "cmd/play.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <neap/neap.h>

#include "base/rng.h"
#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/explore.h"
#include "cmd/report.h"
#include "cmd/tell.h"
#include "job/parse.h"
#include "job/progress.h"
#include "job/ptrace.h"
#include "job/replay.h"
#include "job/run.h"
#include "job/support.h"

#define FAULTS_SALT UINT64_C(0xfa17)
#define FAULTS_PERMILLE 20u

/* A traced program may have used thousands of files; each is one here, too. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* Failing to raise it matters only to huge traces, whose files then say so. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the machine ---- */

/* What the traces of a job need. */
struct trace_needs {
	uint32_t nr_traces;
	uint64_t memory_bytes; /* by default */
	uint64_t peak_pages;
	uint64_t window_pages;
};

static struct trace_needs add_up_traces(const struct job *job)
{
	struct trace_needs needs = { 0 };

	for (uint32_t i = 0; i < job->nr_objects; i++) {
		const struct ptrace_info *info;

		if (job->objects[i].kind != JOB_TRACE)
			continue;
		info = ptrace_info(job->objects[i].trace);
		needs.nr_traces++;
		needs.memory_bytes += replay_memory_bytes(info);
		needs.peak_pages += info->peak_pages;
		needs.window_pages += info->window_pages;
	}
	return needs;
}

/* memory= of a replay: a size, or a part of the peak but not less than four windows. */
static uint64_t replay_memory(const char *text, const struct trace_needs *needs)
{
	uint64_t bytes = 0;
	size_t used = size_parse(text, &bytes);
	uint64_t above, below, pages;
	char *end;

	if (text[used] == '\0')
		return bytes;
	above = strtoull(text, &end, 10);
	below = strtoull(end + 1, NULL, 10);
	pages = (needs->peak_pages * above + below - 1) / below;
	return max_u64(pages, 4 * needs->window_pages) * NEAP_PAGE_SIZE;
}

static bool set(struct neap_config *config, const char *name, const char *value)
{
	if (value == NULL || neap_config_set(config, name, value) == 0)
		return true;
	cmd_error("%s", neap_config_error(config));
	return false;
}

/* A saved machine. What its files do not say is assumed, and told. */
static bool set_like(struct neap_config *config, const struct options *options)
{
	if (!set(config, "like", options->like))
		return false;
	if (options->like != NULL && neap_config_error(config)[0] != '\0' && !options->silent)
		cmd_error("warning: %s: %s", options->like, neap_config_error(config));
	return true;
}

static bool set_number(struct neap_config *config, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return set(config, name, text);
}

static bool set_sysctl(struct neap_config *config, const char *name, size_t length,
		       const char *value)
{
	char key[96];

	snprintf(key, sizeof(key), "sysctl.%.*s", (int)length, name);
	return set(config, key, value);
}

/* set= of a machine line: NAME:VALUE;NAME:VALUE */
static bool set_machine_settings(struct neap_config *config, const struct job *job)
{
	char *copy = job->machine.settings != NULL ? strdup(job->machine.settings) : NULL;
	char *save = NULL;
	bool fine = true;

	if (copy == NULL)
		return true;
	for (char *item = strtok_r(copy, ";", &save); item != NULL && fine;
	     item = strtok_r(NULL, ";", &save)) {
		char *colon = strchr(item, ':');

		fine = colon != NULL;
		if (fine)
			*colon = '\0';
		if (!fine || support_sysctl(item) != SUPPORT_YES) {
			cmd_error("%s:%u: set=%s is not possible", job->path, job->machine.line,
				  item);
			fine = false;
		} else {
			fine = set_sysctl(config, item, strlen(item), colon + 1);
		}
	}
	free(copy);
	return fine;
}

/* The machine line's own words, with --cpus in place of its cpus=. */
static bool set_machine_spec(struct neap_config *config, const struct job *job,
			     const struct options *options)
{
	const struct job_machine *machine = &job->machine;
	const char *cpus = options->cpus != NULL ? options->cpus : machine->cpus;
	char *text = NULL;
	int error;

	if (asprintf(&text, "%s%s%s", machine->spec, cpus != NULL ? " cpus=" : "",
		     cpus != NULL ? cpus : "") < 0) {
		cmd_error("memory is out");
		return false;
	}
	error = neap_config_set(config, "machine", text);
	free(text);
	if (error != 0)
		cmd_error("%s:%u: %s", job->path, machine->line, neap_config_error(config));
	return error == 0;
}

static bool set_machine_line(struct neap_config *config, const struct job *job,
			     const struct options *options)
{
	const struct job_machine *machine = &job->machine;
	bool fine = true;

	if (!machine->given)
		return set(config, "cpus", options->cpus);
	if (options->memory != NULL || options->nodes != NULL || machine->memory != NULL)
		fine = set(config, "cpus", options->cpus != NULL ? options->cpus : machine->cpus) &&
		       set(config, "memory", machine->memory);
	else
		fine = set_machine_spec(config, job, options);
	fine = fine && set(config, "hotplug", machine->hotplug) &&
	       set(config, "block", machine->block);
	if (options->nr_swaps == 0 && !machine->noswapon)
		fine = fine && set(config, "swap", machine->swap);
	return fine && set_machine_settings(config, job);
}

/* Memory and swap for a job that replays traces and says nothing else. */
static bool set_trace_needs(struct neap_config *config, const struct job *job,
			    const struct options *options)
{
	struct trace_needs needs = add_up_traces(job);
	uint64_t memory_bytes = needs.memory_bytes;

	if (needs.nr_traces == 0)
		return true;
	if (job->replay_memory != NULL)
		memory_bytes = replay_memory(job->replay_memory, &needs);
	if (!job->machine.given && options->memory == NULL &&
	    !set_number(config, "memory", memory_bytes))
		return false;
	if (options->nr_swaps > 0 || job->machine.swap != NULL)
		return true;
	return set_number(config, "swap", 2 * needs.peak_pages * NEAP_PAGE_SIZE);
}

/*
 * With noswapon the first two --swap are the disks of the job's own swapon; so they are not
 * switched on here.
 */
static bool set_options(struct neap_config *config, const struct job *job,
			const struct options *options)
{
	uint32_t first = job->machine.noswapon ? 2 : 0;

	bool fine = set(config, "memory", options->memory) &&
		    set(config, "nodes", options->nodes) && set(config, "tmp", options->tmp_dir) &&
		    set(config, "cma", job->machine.cma) &&
		    set(config, "rebind", job->machine.rebind ? "1" : NULL);

	for (uint32_t i = first; i < options->nr_swaps && fine; i++)
		fine = set(config, "swap", options->swaps[i]);
	for (uint32_t i = 0; i < options->nr_settings && fine; i++) {
		const char *equals = strchr(options->settings[i], '=');

		fine = set_sysctl(config, options->settings[i],
				  (size_t)(equals - options->settings[i]), equals + 1);
	}
	return fine;
}

/* --errors: what fails, and when, is drawn from the seed. */
static bool set_faults(struct neap_config *config, uint64_t seed)
{
	static const char *const kinds[] = { "fault.swap-read", "fault.swap-write",
					     "fault.file-read", "fault.file-write", "fault.page" };
	struct rng rng;
	bool fine;

	rng_seed(&rng, mix_u64(seed) ^ FAULTS_SALT);
	fine = set_number(config, "fault.permille",
			  rng_below(&rng, 4) == 0 ? rng_below(&rng, FAULTS_PERMILLE) : 0) &&
	       set(config, "fault.error", rng_below(&rng, 2) == 0 ? "EIO" : "ENOSPC");
	for (size_t i = 0; i < ARRAY_LEN(kinds) && fine; i++)
		if (rng_below(&rng, 2) == 0)
			fine = set_number(config, kinds[i],
					  1 + rng_below(&rng, UINT64_C(1) << rng_below(&rng, 16)));
	return fine;
}

static bool set_runtime(struct neap_config *config, const struct job *job,
			const struct options *options, uint64_t seed)
{
	const char *costs =
		job->machine.given && job->machine.memory == NULL ? "emulated-guest" : "server";

	if (!set(config, "runtime", options->live ? "live" : "sim") ||
	    !set(config, "contents", options->tags ? "tags" : "real"))
		return false;
	if (options->live)
		return true;
	return set(config, "costs", options->costs != NULL ? options->costs : costs) &&
	       (options->host_others == NULL || set(config, "host_others", options->host_others)) &&
	       set_number(config, "seed", seed) &&
	       set(config, "explore", options->explore > 0 ? "1" : "0") &&
	       (!options->errors || set_faults(config, seed));
}

/* A machine may be made and yet not be all that was asked for. */
static void warn_of_machine(const struct job *job, const struct neap_machine *machine)
{
	const char *warning = neap_machine_error(machine);

	if (warning[0] != '\0')
		cmd_error("warning: %s: %s", job->path, warning);
}

/* => CMD_FINE and *machine, or the exit status after a message */
static int build_machine(const struct job *job, const struct options *options, uint64_t seed,
			 struct neap_machine **machine)
{
	struct neap_config *config = neap_config_new();
	int status = CMD_USAGE;
	int error;

	if (config == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	if (set_runtime(config, job, options, seed) && set_like(config, options) &&
	    set_machine_line(config, job, options) && set_trace_needs(config, job, options) &&
	    set_options(config, job, options)) {
		error = neap_machine_create(config, machine);
		if (error == 0) {
			status = CMD_FINE;
			warn_of_machine(job, *machine);
		} else if (error != -EINVAL && error != -ENOTSUP && error != -ERANGE)
			status = CMD_WORLD;
		if (error != 0)
			cmd_error("%s: the machine cannot be built: %s", job->path,
				  neap_config_error(config));
	}
	neap_config_free(config);
	return status;
}

/* ---- one run ---- */

int play_status(enum run_outcome outcome)
{
	switch (outcome) {
	case RUN_WORLD_FAILED:
		return CMD_WORLD;
	case RUN_REFUSED:
		return CMD_USAGE;
	case RUN_FAILED:
		return CMD_FINDING;
	case RUN_INTERRUPTED:
		return CMD_INTERRUPTED;
	case RUN_FINE:
		break;
	}
	return CMD_FINE;
}

int play_worse(int a, int b)
{
	static const int order[] = { CMD_WORLD, CMD_USAGE, CMD_FINDING, CMD_INTERRUPTED };

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return CMD_FINE;
}

static void set_swap_disks(const struct job *job, const struct options *options,
			   struct run_options *run)
{
	const char *own[2] = { job->machine.swap, job->machine.swap2 };

	for (uint32_t i = 0; i < ARRAY_LEN(own); i++)
		run->swap_disk[i] = i < options->nr_swaps ? options->swaps[i] : own[i];
	run->swap_on = !job->machine.noswapon;
}

/* Where reports of failed requests go; NULL: nowhere. A directory's old file goes first. */
static const char *report_path(const struct options *options, char *room, size_t room_bytes)
{
	if (options->report_path != NULL || options->out_dir == NULL)
		return options->report_path;
	int length = snprintf(room, room_bytes, "%s/report.txt", options->out_dir);

	if (length < 0 || (size_t)length >= room_bytes)
		return NULL; /* snapshots could not be saved there either */
	(void)unlink(room);  /* it need not exist */
	return room;
}

int play_run(const struct job *job, const struct options *options, uint64_t seed,
	     struct run_result *result)
{
	bool silent = options->quiet || options->json || options->explore > 0 || options->silent ||
		      options_stops(options);
	struct neap_machine *machine = NULL;
	char path[4096];
	struct run_options run_options = {
		.live = options->live,
		.tags = options->tags,
		.out_dir = options->out_dir,
		.observer = options->observer,
		.trace_path = options->trace_path,
		.report_path = report_path(options, path, sizeof(path)),
		.interrupt = &cmd_interrupt,
	};
	int status = build_machine(job, options, seed, &machine);

	if (status != CMD_FINE)
		return status;
	set_swap_disks(job, options, &run_options);
	run_options.progress = progress_new(silent ? NULL : stderr,
					    job->nr_objects == 1 ? job->objects[0].name : job->path,
					    job->total_accesses);
	run_job(job, machine, &run_options, result);
	progress_free(run_options.progress);
	neap_machine_destroy(machine);
	return CMD_FINE;
}

/* The same, telling what the job wants told. */
static int run_telling(const struct job *job, const struct options *options,
		       struct run_result *result)
{
	bool silent = options->quiet || options->json || options->observer != NULL;
	struct tell *tell = silent ? NULL : tell_new(job);
	struct run_observer observer = { .ctx = tell,
					 .started = tell_start,
					 .finished = tell_finish };
	struct options watched = *options;
	int status;

	if (tell != NULL)
		watched.observer = &observer;
	status = play_run(job, &watched, options->seed, result);
	if (status == CMD_FINE) {
		cmd_error_lines(result->messages);
		cmd_error_lines(result->findings);
	}
	if (tell != NULL)
		fputs(tell_text(tell), stdout);
	tell_free(tell);
	return status;
}

static int play_once(const struct job *job, const struct options *options, struct report_json *json)
{
	struct run_result result;
	struct report report = {
		.path = job->path, .live = options->live, .seed = options->seed, .result = &result
	};
	int status = run_telling(job, options, &result);

	if (status != CMD_FINE)
		return status;
	status = play_status(result.outcome);
	if (json != NULL) {
		report_json_add(json, &report);
	} else if (result.outcome != RUN_REFUSED && !options->silent) {
		if (!options->quiet)
			report_print_notes(result.notes, stdout);
		if (result.digests != NULL)
			fputs(result.digests, stdout);
		if (!options->quiet)
			report_print(&report, stdout);
		printf("state %016" PRIx64 "\n", result.state_hash);
	}
	run_result_free(&result);
	return status;
}

/* What a machine of tags cannot do, said with file and line. */
static bool tags_suffice(const struct job *job, const struct options *options)
{
	uint32_t line = job->digest_line != 0 ? job->digest_line : job->path_line;

	if (!options->tags || line == 0)
		return true;
	cmd_error("%s:%u: %s needs real contents, and this machine keeps tags; add --contents real",
		  job->path, line, job->digest_line != 0 ? "digest" : "a file with path=");
	return false;
}

static int load(const char *path, const struct options *options, struct job **job)
{
	char *errors = NULL;
	int is_trace = job_file_is_trace(path);
	int error;

	if (is_trace == 1)
		error = job_from_trace(path, job, &errors);
	else
		error = job_parse_file(path, job, &errors);
	if (error == 0 && is_trace == 1)
		(*job)->objects[0].line = 0;
	if (error == 0) {
		error = tags_suffice(*job, options) && tell_check(*job) ? 0 : -EINVAL;
		if (error == 0)
			error = job_open_traces(*job, options->tmp_dir, &errors);
		if (error != 0)
			job_free(*job);
	}
	if (error == -ENOMEM && errors == NULL)
		cmd_error("%s: memory is out", path);
	cmd_error_lines(errors);
	free(errors);
	if (error == 0)
		return CMD_FINE;
	return error == -EINVAL || error == -ENOTSUP ? CMD_USAGE : CMD_WORLD;
}

static int play_file(const char *path, const struct options *options, struct report_json *json)
{
	struct job *job = NULL;
	int status = load(path, options, &job);

	if (status != CMD_FINE)
		return status;
	status = options->explore > 0 ? explore_job(job, options, json)
				      : play_once(job, options, json);
	job_free(job);
	return status;
}

static int make_out_dir(const char *dir)
{
	struct stat st;

	if (dir == NULL || mkdir(dir, 0777) == 0)
		return CMD_FINE;
	if (errno == EEXIST && stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return CMD_FINE;
	cmd_error("--out %s: %s", dir, strerror(errno));
	return CMD_WORLD;
}

int play(const struct options *options)
{
	struct report_json *json = NULL;
	int status = make_out_dir(options->out_dir);

	if (status != CMD_FINE)
		return status;
	if (options->json) {
		json = report_json_new(options->live);
		if (json == NULL)
			return CMD_USAGE;
	}
	cmd_catch_interrupts(true);
	allow_many_files();
	for (int i = 0; i < options->nr_files && !cmd_interrupt; i++)
		status = play_worse(status, play_file(options->files[i], options, json));
	if (json != NULL && !report_json_print(json, stdout)) {
		cmd_error("memory is out");
		status = play_worse(status, CMD_WORLD);
	}
	return status;
}
