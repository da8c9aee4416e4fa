/*
 * A run from its first command to its last check.
 *
 *     names in expect --> commands --> counts --> invariants, hash --> sweep --> undo
 *                            |
 *               script thread 0, bg threads, parallel threads, touch threads,
 *               `every` threads: each with its own task of the verifier
 *
 * The script runs as one task of the machine inside neap_run(); the same code runs
 * live and simulated. What differs: live, a sleep is cut into slices so that Ctrl-C
 * is noticed.
 *
 * Counts are taken when the script is done and before anything is checked, so that
 * the sweep, which faults every page in once more, does not show in them. The state
 * hash is taken before the sweep as well.
 *
 * Failures are of two kinds. Most end the run at once; a few (an fsync that reports
 * a lost write) are noted and the script goes on, as a program might. Either way
 * what went wrong is listed with the job's file and line, and the checks at the end
 * still run, because they are most interesting then.
 *
 * What must never happen: a thread that outlives the run, a failed command without a
 * message, or a message that is lost because another thread failed too.
 */
#include "job/run.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "job/expect.h"
#include "job/replay.h"
#include "job/runner.h"

#define MESSAGES_MAX 50u
#define SWAP_LOOK_ACCESSES 128u	    /* how often the swap areas' errors are looked at */
#define SWAP_FULL_ERRORS_MOST 4096u /* more than disks show that are full for a moment */
#define MISMATCHES_MAX 8u

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void PRINTF_LIKE(4, 0) complain(struct run *run, uint32_t line, enum run_outcome outcome,
				       const char *format, va_list args)
{
	pthread_mutex_lock(&run->mutex);
	if (outcome < run->outcome)
		run->outcome = outcome;
	if (run->nr_messages++ < MESSAGES_MAX) {
		if (line != 0)
			fprintf(run->messages, "%s:%u: ", run->job->path, line);
		else
			fprintf(run->messages, "%s: ", run->job->path);
		vfprintf(run->messages, format, args);
		fputc('\n', run->messages);
	}
	pthread_mutex_unlock(&run->mutex);
}

void run_note(struct run *run, uint32_t line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(run, line, RUN_FAILED, format, args);
	va_end(args);
}

void run_fail(struct run *run, uint32_t line, enum run_outcome outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(run, line, outcome, format, args);
	va_end(args);
	atomic_store(&run->stop, true);
}

static bool was_interrupted(const struct run *run)
{
	return run->options->interrupt != NULL && *run->options->interrupt != 0;
}

/*
 * A page whose write to swap failed stays, and is tried again whenever reclaim meets it: a disk
 * that stays full makes everything a thousand times slower, and proves nothing.
 */
static void check_swap_disk(struct run *run)
{
	struct neap_gauge gauge;

	neap_gauge(run->machine, &gauge);
	if (gauge.swap_full_errors >= SWAP_FULL_ERRORS_MOST)
		atomic_store(&run->stop, true);
}

/* => whether the disk behind a swap area being full is why the run ended, which is then said */
static bool swap_disk_failed(struct run *run)
{
	struct neap_gauge gauge;

	neap_gauge(run->machine, &gauge);
	if (!run->options->live || gauge.swap_full_errors == 0 || was_interrupted(run) ||
	    (gauge.swap_full_errors < SWAP_FULL_ERRORS_MOST && run->outcome != RUN_FAILED))
		return false;
	run_fail(run, 0, RUN_WORLD_FAILED,
		 "the disk of a swap area is full: %llu writes failed. Free space on it, or give"
		 " another place with --tmp DIR or --swap FILE:SIZE",
		 (unsigned long long)gauge.swap_full_errors);
	return true;
}

bool run_poll(void *arg, uint64_t accesses)
{
	struct run *run = arg;
	uint64_t done = atomic_fetch_add_explicit(&run->done, accesses, memory_order_relaxed);

	progress_poll(run->options->progress, run->machine, done + accesses);
	if (run->options->live &&
	    done / SWAP_LOOK_ACCESSES != (done + accesses) / SWAP_LOOK_ACCESSES)
		check_swap_disk(run);
	if (was_interrupted(run))
		atomic_store(&run->stop, true);
	return !atomic_load_explicit(&run->stop, memory_order_relaxed);
}

static void free_blocks(struct run *run, struct run_object *object)
{
	for (uint64_t i = 0; i < object->nr_blocks; i++)
		neap_block_free(run->machine, object->blocks[i]);
	object->nr_blocks = 0;
	free(object->blocks);
	object->blocks = NULL;
}

/* ---- threads ---- */

bool run_prepare_thread(struct run *run, const struct job_command *command,
			struct run_thread *thread)
{
	*thread = (struct run_thread){ .run = run, .command = command };
	thread->verify = verify_task_new(run->verify);
	if (thread->verify == NULL) {
		run_fail(run, command != NULL ? command->line : 0, RUN_WORLD_FAILED,
			 "memory is out");
		return false;
	}
	snprintf(thread->name, sizeof(thread->name), "job%u", thread->verify->number);
	return true;
}

int run_start_thread(struct run_thread *thread, int (*fn)(void *arg))
{
	struct run *run = thread->run;
	int error;

	verify_set_concurrent(run->verify, true);
	error = neap_thread_start(run->machine, thread->name, run->cpu, fn, thread,
				  &thread->thread);
	if (error != 0) {
		thread->thread = NULL;
		run_fail(run, thread->command->line, RUN_FAILED,
			 "a thread could not be started: %s", strerror(-error));
	}
	return error;
}

static int thread_body(void *arg)
{
	run_command(arg);
	return 0;
}

static void join_threads(struct run *run, struct run_thread *threads, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (threads[i].thread != NULL)
			neap_thread_join(run->machine, threads[i].thread);
}

/* Adds a slot to an array of threads that are running. Threads hold pointers: it must not move. */
static struct run_thread *thread_array_new(struct run *run, enum job_op op, bool background)
{
	uint32_t nr = 1;
	struct run_thread *threads;

	for (uint32_t i = 0; i < run->job->nr_commands; i++) {
		const struct job_command *command = &run->job->commands[i];

		if (background ? command->background : command->op == op)
			nr++;
	}
	threads = calloc(nr, sizeof(*threads));
	if (threads == NULL)
		run_fail(run, 0, RUN_WORLD_FAILED, "memory is out");
	return threads;
}

static void wait_background(struct run *run)
{
	join_threads(run, run->background, run->nr_background);
	run->nr_background = 0;
	verify_set_concurrent(run->verify, false);
}

static void start_background(struct run *run, const struct job_command *command)
{
	struct run_thread *thread = &run->background[run->nr_background];

	if (run_prepare_thread(run, command, thread) && run_start_thread(thread, thread_body) == 0)
		run->nr_background++;
}

static void start_periodic(struct run *run, const struct job_command *command)
{
	struct run_thread *thread = &run->periodic[run->nr_periodic];

	if (run_prepare_thread(run, command, thread) && run_start_thread(thread, run_periodic) == 0)
		run->nr_periodic++;
}

/* Runs the commands between `parallel` at `at` and its end, one thread each. => the end's number */
static uint32_t run_parallel(struct run *run, uint32_t at)
{
	const struct job_command *commands = run->job->commands;
	uint32_t end = at + 1;
	struct run_thread *threads;
	uint32_t nr = 0;

	while (commands[end].op != JOB_OP_END)
		end++;
	threads = calloc(end - at, sizeof(*threads));
	if (threads == NULL) {
		run_fail(run, commands[at].line, RUN_WORLD_FAILED, "memory is out");
		return end;
	}
	for (uint32_t i = at + 1; i < end; i++) {
		if (!run_prepare_thread(run, &commands[i], &threads[nr]) ||
		    run_start_thread(&threads[nr], thread_body) != 0)
			break;
		nr++;
	}
	join_threads(run, threads, nr);
	free(threads);
	if (run->nr_background == 0)
		verify_set_concurrent(run->verify, false);
	return end;
}

/* ---- the script ---- */

static void trace_window(struct run *run, const struct job_command *command)
{
	const char *path = run->options->trace_path;
	char name[4096];
	int error;

	if (path == NULL)
		return;
	if (!command->on) {
		error = neap_trace_stop(run->machine);
	} else {
		/* A second window would overwrite the first: it gets a file of its own. */
		run->trace_windows++;
		snprintf(name, sizeof(name), run->trace_windows > 1 ? "%s.%u" : "%s", path,
			 run->trace_windows);
		error = neap_trace_start(run->machine, name);
		path = name;
	}
	if (error != 0)
		run_fail(run, command->line, RUN_WORLD_FAILED, "trace events to %s: %s", path,
			 strerror(-error));
}

static void check_expectation(struct run *run, const struct job_command *command)
{
	struct verify_totals totals = verify_totals(run->verify);
	struct expect_facts facts = {
		.mismatches = totals.mismatches,
		.lost_pages = totals.lost_pages,
		.failed_accesses = totals.failed_accesses,
		.failed_blocks = atomic_load(&run->failed_blocks),
	};
	char message[EXPECT_MESSAGE_BYTES] = "";
	int held = expect_evaluate(command->expect, run->machine, &facts, message);

	if (held != 1) {
		run_fail(run, command->line, RUN_FAILED, "%s",
			 message[0] != '\0' ? message : strerror(-held));
		return;
	}
	pthread_mutex_lock(&run->mutex);
	fprintf(run->notes, "found      line %u: %s\n", command->line, message);
	pthread_mutex_unlock(&run->mutex);
}

/* => number of the last command performed */
static uint32_t script_command(struct run *run, struct run_thread *script, uint32_t at)
{
	const struct job_command *command = &run->job->commands[at];

	if (command->background) {
		start_background(run, command);
		return at;
	}
	switch (command->op) {
	case JOB_OP_PARALLEL:
		return run_parallel(run, at);
	case JOB_OP_WAIT:
		wait_background(run);
		return at;
	case JOB_OP_EVERY:
		start_periodic(run, command);
		return at;
	case JOB_OP_TRACE:
		trace_window(run, command);
		return at;
	case JOB_OP_EXPECT:
		check_expectation(run, command);
		return at;
	default:
		script->command = command;
		run_command(script);
		return at;
	}
}

/* Misspelt names would be found late, or never: all are looked up before the first command. */
static bool names_are_known(struct run *run)
{
	char message[EXPECT_MESSAGE_BYTES];
	bool known = true;

	for (uint32_t i = 0; i < run->job->nr_commands; i++) {
		const struct job_command *command = &run->job->commands[i];
		int error;

		if (command->op != JOB_OP_EXPECT)
			continue;
		error = expect_check_names(command->expect, run->machine, message);
		if (error == 0)
			continue;
		known = false;
		run_fail(run, command->line, RUN_REFUSED, "%s",
			 error == -ENOENT ? message : strerror(-error));
	}
	return known;
}

static void start_reports(struct run *run)
{
	const char *path = run->options->report_path;
	int error = path != NULL ? neap_report_start(run->machine, path) : 0;

	if (error != 0)
		run_fail(run, 0, RUN_WORLD_FAILED, "reports to %s: %s", path, strerror(-error));
}

/* A report that could not be written must not look like a run without any. */
static void check_reports(struct run *run)
{
	int64_t count = neap_report_count(run->machine);

	if (count < 0)
		run_fail(run, 0, RUN_WORLD_FAILED, "reports to %s: %s", run->options->report_path,
			 strerror((int)-count));
}

static bool is_in_background(const struct run *run, uint32_t object)
{
	for (uint32_t i = 0; i < run->nr_background; i++)
		if (run->background[i].command->object == object)
			return true;
	return false;
}

/*
 * What a script that ended early had allocated for itself goes back: a request in the background
 * that must not fail may wait for it, and nobody will write `release` any more.
 */
static void give_blocks_back(struct run *run)
{
	for (uint32_t i = 0; i < run->job->nr_objects; i++)
		if (!is_in_background(run, i))
			free_blocks(run, &run->objects[i]);
}

static void play_script(struct run *run, struct run_thread *script)
{
	const struct job *job = run->job;
	int error;

	start_reports(run);
	if (run->options->trace_path != NULL && !job->has_trace_window) {
		error = neap_trace_start(run->machine, run->options->trace_path);
		if (error != 0)
			run_fail(run, 0, RUN_WORLD_FAILED, "trace events to %s: %s",
				 run->options->trace_path, strerror(-error));
	}
	for (uint32_t at = 0; at < job->nr_commands && run_poll(run, 0); at++)
		at = script_command(run, script, at);
	if (atomic_load(&run->stop))
		give_blocks_back(run);
	wait_background(run);
}

/* ---- the end ---- */

static uint64_t sum_counters(struct neap_machine *machine, const char *prefix)
{
	static const char *const zones[] = { "dma", "dma32", "normal", "movable", "device" };
	uint64_t sum = 0;
	char name[64];

	for (uint32_t i = 0; i < ARRAY_LEN(zones); i++) {
		snprintf(name, sizeof(name), "%s_%s", prefix, zones[i]);
		sum += neap_counter(machine, name);
	}
	return sum;
}

static void take_counts(struct run *run)
{
	struct neap_machine *m = run->machine;
	struct run_counts *c = &run->result->counts;

	c->faults = neap_counter(m, "pgfault");
	c->major_faults = neap_counter(m, "pgmajfault");
	c->minor_faults = c->faults - min_u64(c->faults, c->major_faults);
	c->kswapd_scanned_pages = neap_counter(m, "pgscan_kswapd");
	c->kswapd_stolen_pages = neap_counter(m, "pgsteal_kswapd");
	c->direct_scanned_pages = neap_counter(m, "pgscan_direct");
	c->direct_stolen_pages = neap_counter(m, "pgsteal_direct");
	c->direct_stalls = sum_counters(m, "allocstall");
	c->swapin_pages = neap_counter(m, "pswpin");
	c->swapout_pages = neap_counter(m, "pswpout");
	c->refault_anon_pages = neap_counter(m, "workingset_refault_anon");
	c->refault_file_pages = neap_counter(m, "workingset_refault_file");
	neap_gauge(m, &c->gauge);
	neap_stalls(m, &c->stalls);
	run->result->verified = verify_totals(run->verify);
	c->accesses = run->result->verified.accesses;
	c->elapsed_ns = neap_now(m) - run->start_ns;
	c->wall_ns = wall_ns() - run->start_wall_ns;
	c->rss_peak_bytes = progress_rss_peak_bytes(run->options->progress);
}

static void stop_periodic(struct run *run)
{
	atomic_store(&run->finished, true);
	join_threads(run, run->periodic, run->nr_periodic);
	run->nr_periodic = 0;
}

static void check_invariants(struct run *run, const char *when)
{
	int error = neap_verify(run->machine);

	run->result->invariants_hold = error == 0;
	run->result->invariant_broken |= error != 0;
	if (error != 0)
		run_fail(run, 0, RUN_FAILED, "an invariant does not hold %s: %s", when,
			 neap_machine_error(run->machine));
}

static int sweep_object(struct run *run, struct run_thread *script, struct run_object *object)
{
	struct verify_object *pages = object->target.object;
	int error = 0;

	if (object->replay != NULL)
		return replay_sweep(object->replay, script->verify, run_poll, run);
	/* A mapping's pages are its file's, which is swept itself. */
	if (pages == NULL || object->job->kind == JOB_MAPPING)
		return 0;
	for (uint64_t page = 0; page < verify_pages(pages) && error == 0; page++) {
		struct access access = { .page = page, .index = page };

		/* Each time: without memory, or with a full disk, a single page may take long. */
		if (!run_poll(run, 0))
			break;
		if (verify_is_live(pages, page))
			error = access_sweep(script->verify, &object->target, &access);
	}
	return error;
}

/* Every page that holds something is looked at from first to last byte. */
static void sweep(struct run *run, struct run_thread *script)
{
	int error = 0;

	progress_set_checking(run->options->progress);
	for (uint32_t i = 0; i < run->job->nr_objects && error == 0; i++)
		error = sweep_object(run, script, &run->objects[i]);
	/* A machine that had no memory for the job may have none for the check. */
	if (error != 0 && run->outcome == RUN_FINE)
		run_fail(run, 0, RUN_FAILED, "the final check of all pages failed: %s",
			 strerror(-error));
	run->result->swept = error == 0 && run_poll(run, 0);
}

static void undo_object(struct run *run, struct run_object *object)
{
	const struct job_object *job = object->job;
	int error = 0;

	free_blocks(run, object);
	if (object->replay != NULL)
		error = replay_finish(object->replay);
	if (object->target.region != NULL)
		neap_region_destroy(object->target.region);
	if (job->kind == JOB_FILE && object->target.file != NULL)
		error = neap_file_close(object->target.file);
	if (error != 0)
		run_fail(run, job->line, RUN_FAILED, "%s: closing reports that data were lost: %s",
			 job->name, strerror(-error));
}

static void take_verification(struct run *run)
{
	struct run_result *result = run->result;
	struct verify_totals totals = verify_totals(run->verify);
	size_t bytes = 0;
	FILE *out = open_memstream(&result->findings, &bytes);

	result->verified.mismatches = totals.mismatches;
	result->verified.lost_pages = totals.lost_pages;
	result->verified.failed_accesses = totals.failed_accesses;
	result->verified.whole_pages = totals.whole_pages;
	if (out != NULL) {
		verify_print(run->verify, out, "");
		fclose(out);
		if (bytes == 0) {
			free(result->findings);
			result->findings = NULL;
		}
	}
	if (totals.mismatches + totals.failed_accesses + totals.lost_pages > 0 &&
	    run->outcome > RUN_FAILED)
		run->outcome = RUN_FAILED;
}

/* Ends the trace of the whole run. A file that lacks events must not pass for a whole one. */
static void stop_trace(struct run *run)
{
	int error;

	if (run->options->trace_path == NULL || run->job->has_trace_window)
		return;
	error = neap_trace_stop(run->machine);
	if (error != 0)
		run_fail(run, 0, RUN_WORLD_FAILED, "trace events to %s: %s",
			 run->options->trace_path, strerror(-error));
}

/* What follows the script: counts, hash, checks. */
static void finish_script(struct run *run, struct run_thread *script)
{
	bool interrupted;

	take_counts(run);
	if (run->options->observer != NULL && run->options->observer->finished != NULL)
		run->options->observer->finished(run->options->observer->ctx, run->machine);
	stop_periodic(run);
	check_reports(run);
	stop_trace(run);
	check_invariants(run, "after the last command");
	run->result->state_hash = neap_state_hash(run->machine);
	interrupted = was_interrupted(run);
	if (interrupted && run->outcome > RUN_INTERRUPTED)
		run->outcome = RUN_INTERRUPTED;
	/* After a failed command, too: that nothing else was lost is worth knowing then. */
	if (!swap_disk_failed(run) && !interrupted && run->outcome >= RUN_FAILED) {
		atomic_store(&run->stop, false);
		sweep(run, script);
		check_invariants(run, "after the final check of all pages");
		(void)swap_disk_failed(run);
	}
	take_verification(run);
}

static int run_inside(void *arg)
{
	struct run *run = arg;
	struct run_thread script;

	run->start_ns = neap_now(run->machine);
	run->start_wall_ns = wall_ns();
	if (names_are_known(run) && run_prepare_thread(run, NULL, &script)) {
		if (run->options->observer != NULL && run->options->observer->started != NULL)
			run->options->observer->started(run->options->observer->ctx, run->machine);
		play_script(run, &script);
		finish_script(run, &script);
	}
	/* Mappings before their files: an object is declared after what it needs. */
	for (uint32_t i = run->job->nr_objects; i > 0; i--)
		undo_object(run, &run->objects[i - 1]);
	return 0;
}

/* The disk may be full: what the log lacks is worth a message. */
static void close_log(struct run *run)
{
	bool bad;

	if (run->log == NULL)
		return;
	bad = ferror(run->log) != 0;
	if (fclose(run->log) != 0 || bad)
		run_fail(run, 0, RUN_WORLD_FAILED, "%s/log.txt could not be written completely",
			 run->options->out_dir);
}

static bool run_setup(struct run *run)
{
	const struct job *job = run->job;
	size_t bytes = job->nr_objects + (size_t)1;

	run->verify = verify_new(run->options->tags);
	run->objects = calloc(bytes, sizeof(*run->objects));
	if (run->verify == NULL || run->objects == NULL)
		return false;
	run->background = thread_array_new(run, JOB_OP_WAIT, true);
	run->periodic = thread_array_new(run, JOB_OP_EVERY, false);
	for (uint32_t i = 0; i < job->nr_objects; i++) {
		run->objects[i].run = run;
		run->objects[i].job = &job->objects[i];
	}
	return run->background != NULL && run->periodic != NULL;
}

static void close_text(FILE *stream, char **text)
{
	if (stream == NULL)
		return;
	fclose(stream);
	if (*text != NULL && **text == '\0') {
		free(*text);
		*text = NULL;
	}
}

void run_job(const struct job *job, struct neap_machine *machine, const struct run_options *options,
	     struct run_result *result)
{
	struct run run = {
		.job = job,
		.options = options,
		.result = result,
		.machine = machine,
		.cpu = -1,
		.swap_area = { options->swap_on ? 0 : -1, -1 },
		.outcome = RUN_FINE,
	};
	size_t message_bytes = 0;
	size_t digest_bytes = 0;
	size_t note_bytes = 0;

	*result = (struct run_result){ 0 };
	pthread_mutex_init(&run.mutex, NULL);
	run.messages = open_memstream(&result->messages, &message_bytes);
	run.digests = open_memstream(&result->digests, &digest_bytes);
	run.notes = open_memstream(&result->notes, &note_bytes);
	if (run.messages == NULL || run.digests == NULL || run.notes == NULL || !run_setup(&run))
		run.outcome = RUN_WORLD_FAILED;
	else
		neap_run(machine, run_inside, &run);
	close_log(&run);
	close_text(run.messages, &result->messages);
	close_text(run.digests, &result->digests);
	close_text(run.notes, &result->notes);
	result->outcome = run.outcome;
	verify_free(run.verify);
	free(run.objects);
	free(run.background);
	free(run.periodic);
	pthread_mutex_destroy(&run.mutex);
}

void run_result_free(struct run_result *result)
{
	free(result->messages);
	free(result->findings);
	free(result->digests);
	free(result->notes);
	*result = (struct run_result){ 0 };
}
