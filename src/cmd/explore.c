/*
 * neap sim --explore: one job, many seeds.
 *
 *     seed, seed + 1, ... ──> trial.c, as many at a time as there are CPUs ──> lines in order
 *                                     │ the first that fails
 *                                     v
 *     text of the job ──> shrink.c ──> candidate ──> seed, and a few after it: the same failure?
 *                            ^────────────┘
 *                            └──> DIR/found-HASH.job, whose comments say how to repeat it
 *
 * A seed decides who runs when: the scheduler may switch at every point where a real machine could,
 * under locks, too; CPUs stand still now and then; devices are late and finish requests in another
 * order. With --errors it also decides what fails.
 *
 * A smaller job takes other paths, so its failure may need another seed; a candidate is tried with
 * a few. What counts as the same failure is the same sentence without its numbers.
 *
 * What must never happen: a small job written that was not seen to fail.
 */
#include "cmd/explore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/rng.h"
#include "cmd/cmd.h"
#include "cmd/play.h"
#include "cmd/trial.h"
#include "job/parse.h"
#include "job/shrink.h"

#define AT_ONCE_MAX 16u
#define SHRINK_TRIES 400u
#define SHRINK_SEEDS 4u
#define KIND_BYTES 256u
#define PATH_BYTES 4096u
#define TEXT_BYTES_MAX MIB
#define DEFAULT_DIR "jobs/regress"

/* What is known of the first failure. */
struct found {
	bool any;
	uint64_t seed;
	char kind[KIND_BYTES];
};

struct exploration {
	const struct job *job;
	const struct options *options;
	struct report_json *json;
	uint64_t played, failed;
	uint64_t mixed; /* over all states */
	int worst;
	struct found found;
	struct shrink shrink;
	uint64_t small_seed; /* with which the last accepted candidate fails */
};

/* ---- the seeds ---- */

static void note_failure(struct exploration *x, const struct trial *trial)
{
	x->failed++;
	cmd_error("%s: seed %" PRIu64 " fails; --explore 1 --seed %" PRIu64
		  " with the same options repeats it",
		  x->job->path, trial->seed, trial->seed);
	if (x->found.any)
		return;
	x->found = (struct found){ .any = true, .seed = trial->seed };
	trial_kind(trial, x->job->path, x->found.kind, sizeof(x->found.kind));
}

/* Tells what a run was. => whether the next seed is worth trying */
static bool take_trial(struct exploration *x, struct trial *trial)
{
	struct report report = { .path = x->job->path,
				 .seed = trial->seed,
				 .result = &trial->result };
	bool failed;

	trial_finish(trial);
	failed = trial_failed(trial, x->options);
	if (trial->end == TRIAL_NO_RUN) {
		fputs(trial->said != NULL ? trial->said : "", stderr);
		x->worst = play_worse(x->worst, trial->status);
		return false;
	}
	x->played++;
	if (trial->end == TRIAL_ENDED && (failed || !x->options->errors))
		trial->status = play_status(trial->result.outcome);
	x->worst = play_worse(x->worst, trial->status);
	x->mixed = mix_u64(x->mixed ^ trial->result.state_hash);
	if (x->json != NULL)
		report_json_add(x->json, &report);
	else if (!x->options->quiet)
		printf("seed %" PRIu64 " %s state %016" PRIx64 "\n", trial->seed,
		       failed			   ? "FAILED"
		       : trial->status == CMD_FINE ? "fine"
						   : "not run to its end",
		       trial->result.state_hash);
	if (failed || trial->status != CMD_FINE) {
		cmd_error_lines(trial->result.messages);
		cmd_error_lines(trial->result.findings);
	}
	if (failed)
		note_failure(x, trial);
	return trial->status != CMD_USAGE && trial->status != CMD_WORLD;
}

/* Plays all seeds, a few at a time; what they were is told in their order. */
static void play_seeds(struct exploration *x)
{
	static struct trial ring[AT_ONCE_MAX];
	uint64_t at_once = min_u64((uint64_t)max_u32((uint32_t)get_nprocs(), 1), AT_ONCE_MAX);
	uint64_t started = 0, taken = 0;
	bool more = true;

	while (taken < started || (more && started < x->options->explore)) {
		while (more && started < x->options->explore && started - taken < at_once &&
		       !cmd_interrupt) {
			more = trial_start(&ring[started % AT_ONCE_MAX], x->job, x->options,
					   x->options->seed + started);
			started += more;
			if (!more)
				x->worst = play_worse(x->worst, CMD_WORLD);
		}
		if (taken == started)
			break;
		struct trial *oldest = &ring[taken++ % AT_ONCE_MAX];

		more = take_trial(x, oldest) && more && !cmd_interrupt;
		trial_free(oldest);
	}
	if (cmd_interrupt)
		x->worst = play_worse(x->worst, CMD_INTERRUPTED);
}

/* ---- the small job ---- */

static bool fails_with(struct exploration *x, const struct job *job, uint64_t seed)
{
	struct trial trial;
	char kind[KIND_BYTES];
	bool same;

	if (cmd_interrupt || !trial_start(&trial, job, x->options, seed))
		return false;
	trial_finish(&trial);
	trial_kind(&trial, job->path, kind, sizeof(kind));
	same = trial_failed(&trial, x->options) && strcmp(kind, x->found.kind) == 0;
	trial_free(&trial);
	if (same)
		x->small_seed = seed;
	return same;
}

/* Whether a candidate is a job and fails as the first one did; see shrink.h. */
static bool candidate_fails(void *ctx, const char *text)
{
	struct exploration *x = ctx;
	struct job *job = NULL;
	char *errors = NULL;
	bool fails = false;

	if (job_parse_text(x->job->path, text, strlen(text), &job, &errors) == 0 &&
	    job_open_traces(job, x->options->tmp_dir, &errors) == 0)
		for (uint64_t i = 0; i < SHRINK_SEEDS && !fails; i++)
			fails = fails_with(x, job, x->found.seed + i);
	job_free(job);
	free(errors);
	return fails;
}

/* The options that belong to a job, as its comment has them. */
static void print_options(const struct exploration *x, FILE *out)
{
	const struct options *o = x->options;
	const struct {
		const char *name, *value;
	} texts[] = { { "-m", o->memory },     { "--nodes", o->nodes },
		      { "--cpus", o->cpus },   { "--like", o->like },
		      { "--costs", o->costs }, { "--contents", o->tags ? NULL : "real" } };

	fputs("# options:", out);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].value != NULL)
			fprintf(out, " %s '%s'", texts[i].name, texts[i].value);
	for (uint32_t i = 0; i < o->nr_swaps; i++)
		fprintf(out, " --swap '%s'", o->swaps[i]);
	for (uint32_t i = 0; i < o->nr_settings; i++)
		fprintf(out, " --set '%s'", o->settings[i]);
	fprintf(out, " --explore 1 --seed %" PRIu64 "%s\n", x->small_seed,
		o->errors ? " --errors" : "");
}

/* The lines of the small text but its old comments. */
static void print_job(const char *text, FILE *out)
{
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		if (text[0] != '#')
			fprintf(out, "%.*s\n", (int)length, text);
		text += length + (text[length] == '\n');
	}
}

static bool write_small(const struct exploration *x, const char *path, const char *text)
{
	FILE *out = fopen(path, "wx");
	bool fine;

	if (out == NULL) {
		cmd_error("%s: the small job cannot be written: %s", path, strerror(errno));
		return false;
	}
	fprintf(out, "# Found by exploring %s; it failed with (numbers left out): %s\n",
		x->job->path, x->found.kind);
	print_options(x, out);
	print_job(text, out);
	fine = ferror(out) == 0;
	fine = fclose(out) == 0 && fine;
	if (!fine) {
		cmd_error("%s: the small job cannot be written: %s", path, strerror(errno));
		(void)unlink(path); /* half a job is none */
	}
	return fine;
}

/* The directory that --found names, or jobs/regress where there is one, or this one. */
static const char *found_dir(const struct options *options)
{
	struct stat st;

	if (options->found_dir != NULL)
		return options->found_dir;
	return stat(DEFAULT_DIR, &st) == 0 && S_ISDIR(st.st_mode) ? DEFAULT_DIR : ".";
}

static void keep_small(struct exploration *x, const char *text)
{
	char path[PATH_BYTES];
	uint64_t hash = 0;
	uint32_t lines = 0;
	int length;

	for (const char *c = text; *c != '\0'; c++) {
		hash = mix_u64(hash ^ (uint8_t)*c);
		lines += *c == '\n';
	}
	length = snprintf(path, sizeof(path), "%s/found-%08" PRIx64 ".job", found_dir(x->options),
			  hash & UINT32_MAX);
	if (length < 0 || (size_t)length >= sizeof(path)) {
		cmd_error("--found: the path is too long");
		x->worst = play_worse(x->worst, CMD_WORLD);
	} else if (access(path, F_OK) == 0) {
		cmd_error("%s: this small job was found before", path);
	} else if (write_small(x, path, text)) {
		cmd_error("%s: it fails in the same way with %u line%s (%u jobs were tried)", path,
			  lines, lines == 1 ? "" : "s", x->shrink.tried);
	} else {
		x->worst = play_worse(x->worst, CMD_WORLD);
	}
}

/* => the text of the job's file; NULL: a trace, or it cannot be read any more */
static char *read_job(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t bytes = 0;

	if (in == NULL)
		return NULL;
	text = calloc(1, TEXT_BYTES_MAX + 1);
	if (text != NULL)
		bytes = fread(text, 1, TEXT_BYTES_MAX, in);
	fclose(in);
	if (text != NULL && (bytes == TEXT_BYTES_MAX || strlen(text) != bytes)) {
		free(text);
		text = NULL;
	}
	return text;
}

static void shrink_found(struct exploration *x)
{
	const struct options *o = x->options;
	const char *dir = o->found_dir;
	char *text, *small;

	if (job_file_is_trace(x->job->path) != 0 || (dir != NULL && strcmp(dir, "-") == 0))
		return;
	/* What was written of the run is wanted, and other runs would write over it. */
	if (o->out_dir != NULL || o->trace_path != NULL || o->report_path != NULL)
		return;
	text = read_job(x->job->path);
	if (text == NULL)
		return;
	x->small_seed = x->found.seed;
	x->shrink =
		(struct shrink){ .fails = candidate_fails, .ctx = x, .tries_left = SHRINK_TRIES };
	small = shrink_job(&x->shrink, text);
	if (small != NULL)
		keep_small(x, small);
	free(small);
	free(text);
}

/* => false: a small job could not be written where --found says, and the user has been told */
static bool found_dir_is_fine(const char *dir)
{
	struct stat st;
	int error = 0;

	if (dir == NULL || strcmp(dir, "-") == 0)
		return true;
	if (stat(dir, &st) != 0)
		error = errno;
	else if (!S_ISDIR(st.st_mode))
		error = ENOTDIR;
	else if (access(dir, W_OK | X_OK) != 0)
		error = errno;
	if (error != 0)
		cmd_error("--found %s: a small job cannot be written there: %s", dir,
			  strerror(error));
	return error == 0;
}

int explore_job(const struct job *job, const struct options *options, struct report_json *json)
{
	struct exploration x = { .job = job, .options = options, .json = json, .worst = CMD_FINE };

	/* Before hours are spent on the search. */
	if (!found_dir_is_fine(options->found_dir))
		return CMD_WORLD;
	play_seeds(&x);
	if (x.found.any && !cmd_interrupt)
		shrink_found(&x);
	if (json == NULL && !options->quiet)
		printf("explored   %" PRIu64 " seeds, %" PRIu64 " failed\n", x.played, x.failed);
	if (json == NULL)
		printf("state %016" PRIx64 "\n", x.mixed);
	return x.worst;
}
