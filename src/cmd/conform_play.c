/*
 * neap conform: playing the jobs.
 *
 *     parent   task 0 ......... task 1 ......... task 2 ...       (job, boot, seed)
 *                |                |                |
 *     child    neap sim --like BOOT --seed N JOB, counters of each snapshot --> its file
 *
 * Each run has a process of its own: a machine is large, a run may fail, and as many
 * run at once as there are CPUs. A child writes what it found to a file in memory that
 * the parent made before; the parent reads them in the order of the tasks, so the
 * result does not depend on who was faster, or on how many CPUs there are.
 *
 * A job with a recorded trace gets one more run with trace events on, which compares
 * the order of decisions itself and reports as text. Tracing changes nothing in a run.
 *
 * What a child complains about on standard error goes to a second file. The first line of it is
 * why the job was refused (usage) or failed (a finding).
 *
 * What must never happen: a child that outlives the parent's wait, or a failed run
 * counted as a run.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/conform.h"
#include "cmd/conform_host.h"
#include "cmd/play.h"
#include "diag/decisions.h"
#include "job/run.h"

#define REPLY_BYTES_MAX (4 * MIB)
#define SEED_TRACED 1u

struct task {
	struct conform_job *job;
	const char *boot; /* where it begins; NULL: as built */
	uint64_t seed;
	int64_t host_others_permille; /* -1: as the cost table says */
	bool timed;		      /* only how long it takes is wanted, ... */
	uint32_t point;		      /* ... for this one of conform_host_points */
	bool traced;
	pid_t pid;
	int out, complaints; /* files in memory; -1 = none */
	int status;
};

/* ---- in the child ---- */

struct listener {
	struct record record;
	int error;
};

static void on_snapshot(void *ctx, struct neap_machine *machine, const char *label)
{
	struct listener *listener = ctx;
	struct text_buf text;
	char *vmstat = NULL;

	if (neap_proc_text(machine, "vmstat", &vmstat) < 0) {
		listener->error = -ENOMEM;
		return;
	}
	text_buf_init(&text);
	listener->error = text_buf_puts(&text, vmstat);
	if (listener->error == 0)
		listener->error = record_add(&listener->record, label, &text);
	text_buf_free(&text);
	free(vmstat);
}

static void set_options(const struct task *task, struct options *options)
{
	static char host_others[24];

	options_init(false, "conform", options);
	options->files = &task->job->job_path;
	options->nr_files = 1;
	options->seed = task->seed;
	options->silent = true;
	options->quiet = true;
	options->like = task->boot;
	options->costs = task->job->costs;
	if (task->host_others_permille >= 0) {
		(void)snprintf(host_others, sizeof(host_others), "%" PRId64 ".%03" PRId64,
			       task->host_others_permille / 1000,
			       task->host_others_permille % 1000);
		options->host_others = host_others;
	}
}

static bool write_all(int fd, const struct text_buf *text)
{
	const char *at = text_buf_text(text);
	size_t left = text->bytes;

	while (left > 0) {
		ssize_t wrote = write(fd, at, left);

		if (wrote <= 0)
			return false;
		at += wrote;
		left -= (size_t)wrote;
	}
	return text->error == 0;
}

/* Plays the task's job before the observer; into a trace file, if named. => the exit status */
static int play_observed(const struct task *task, const struct run_observer *observer,
			 const char *trace_path)
{
	struct options options;

	set_options(task, &options);
	options.trace_path = trace_path;
	options.observer = observer;
	return play(&options);
}

/* What a run that ended with `status` has found goes to the parent; frees it. => the exit status */
static int reply(const struct task *task, int status, struct text_buf *text)
{
	if (status == CMD_FINE && !write_all(task->out, text))
		status = CMD_WORLD;
	text_buf_free(text);
	return status;
}

static int play_counters(const struct task *task)
{
	static struct listener listener;
	const struct run_observer observer = { .ctx = &listener, .snapshot = on_snapshot };
	struct text_buf text;
	int status = play_observed(task, &observer, NULL);

	if (status == CMD_FINE && listener.error != 0) {
		cmd_error("a snapshot could not be taken: %s", strerror(-listener.error));
		status = CMD_WORLD;
	}
	text_buf_init(&text);
	record_print(&listener.record, &text);
	return reply(task, status, &text);
}

struct stopwatch {
	struct text_buf text; /* a line for each stretch */
	uint64_t last_ns;     /* 0: no snapshot yet */
};

static void on_timed_snapshot(void *ctx, struct neap_machine *machine, const char *label)
{
	struct stopwatch *watch = ctx;
	uint64_t now_ns = neap_now(machine);

	(void)label;
	if (watch->last_ns != 0)
		(void)text_buf_printf(&watch->text, "%" PRIu64 "\n", now_ns - watch->last_ns);
	watch->last_ns = now_ns;
}

static int play_timed(const struct task *task)
{
	struct stopwatch watch = { .last_ns = 0 };
	const struct run_observer observer = { .ctx = &watch, .snapshot = on_timed_snapshot };

	text_buf_init(&watch.text);
	return reply(task, play_observed(task, &observer, NULL), &watch.text);
}

/* One side: its trace, the decisions in it, when snapshots were taken. */
struct side {
	struct trace_log log;
	struct decisions decisions;
	struct witness_marks marks;
};

static void side_free(struct side *side)
{
	trace_log_free(&side->log);
	decisions_free(&side->decisions);
}

static int load_side(const char *path, bool compressed, struct side *out)
{
	struct text_buf text;
	struct text_error err = { .message = "memory is out" };
	int error;

	text_buf_init(&text);
	trace_log_init(&out->log);
	error = compressed ? unpack_text(path, &text, &err)
			   : text_buf_read_file(&text, path, 512 * MIB);
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, path };

		error = trace_log_parse(&out->log, &in, &err);
	}
	/* A traced window in which nothing happened is no error here. */
	if (error == -EINVAL && !compressed)
		error = 0;
	if (error == 0)
		error = trace_log_sort(&out->log);
	if (error == 0)
		error = decisions_from_log(&out->log, &out->decisions);
	if (error != 0)
		cmd_error("%s: %s", path, err.message);
	text_buf_free(&text);
	return error;
}

/* What both traces say about each of the job's rows, in order. */
static int print_witnesses(const struct conform_job *job, const struct side *kernel,
			   const struct side *ours, struct text_buf *out)
{
	const struct witness_side sides[2] = { { &kernel->log, &kernel->marks },
					       { &ours->log, &ours->marks } };
	const struct record_set nothing = { .nr = 0 };
	struct record_row *rows = calloc(RECORD_ROWS_MAX, sizeof(*rows));
	int nr = rows == NULL ? -ENOMEM : record_rows(&job->kernel, &nothing, rows);

	for (int i = 0; i < nr; i++) {
		for (uint32_t k = 0; k < 2; k++) {
			struct witness witness;

			witness_row(&sides[k], &kernel->marks, &job->kernel.run[0], &rows[i],
				    &witness);
			witness_print(&witness, out);
		}
	}
	free(rows);
	/* Runs that cannot be compared are said elsewhere, and have no rows. */
	return nr == -ENOMEM ? nr : 0;
}

static int compare_sides(const struct task *task, const struct side *kernel,
			 const struct side *ours)
{
	struct decisions_difference difference;
	struct text_buf text, words;
	int error = decisions_compare(&kernel->decisions, &ours->decisions, &difference);

	text_buf_init(&text);
	text_buf_init(&words);
	if (error == 0) {
		decisions_print(&kernel->decisions, &ours->decisions, &difference, &words);
		(void)text_buf_printf(&text, "%u %u %u %zu\n%s", difference.compared[0],
				      difference.compared[1], difference.distance, words.bytes,
				      text_buf_text(&words));
		error = print_witnesses(task->job, kernel, ours, &text);
	}
	if (error == 0 && (words.error != 0 || !write_all(task->out, &text)))
		error = -EIO;
	text_buf_free(&words);
	text_buf_free(&text);
	return error;
}

static int compare_traces(const struct task *task, const char *path, struct side *ours)
{
	static struct side kernel;
	int error = load_side(task->job->trace_path, true, &kernel);

	witness_marks_from_log(&kernel.log, &kernel.marks);
	if (error == 0)
		error = load_side(path, false, ours);
	if (error == 0)
		error = compare_sides(task, &kernel, ours);
	side_free(&kernel);
	side_free(ours);
	return error == 0 ? CMD_FINE : CMD_WORLD;
}

static void on_traced_snapshot(void *ctx, struct neap_machine *machine, const char *label)
{
	witness_mark(ctx, label, neap_now(machine));
}

static int play_traced(const struct task *task)
{
	static struct side ours;
	const struct run_observer observer = { .ctx = &ours.marks, .snapshot = on_traced_snapshot };
	char path[] = "/proc/self/fd/0123456789";
	int fd = memfd_create("trace", 0);
	int status;

	if (fd < 0)
		return CMD_WORLD;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	status = play_observed(task, &observer, path);
	return status == CMD_FINE ? compare_traces(task, path, &ours) : status;
}

/* ---- in the parent ---- */

/* The whole of a file in memory. => NULL when memory is out */
static char *read_reply(int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	char *text;

	if (bytes < 0 || (uint64_t)bytes > REPLY_BYTES_MAX)
		return NULL;
	text = calloc(1, (size_t)bytes + 1);
	if (text != NULL && pread(fd, text, (size_t)bytes, 0) != bytes) {
		free(text);
		return NULL;
	}
	return text;
}

static bool start_task(struct task *task)
{
	task->out = memfd_create("reply", MFD_CLOEXEC);
	task->complaints = memfd_create("complaints", MFD_CLOEXEC);
	if (task->out < 0 || task->complaints < 0)
		return false;
	task->pid = fork();
	if (task->pid != 0)
		return task->pid > 0;
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	if (dup2(task->complaints, STDERR_FILENO) < 0)
		_exit(CMD_WORLD);
	if (task->timed)
		_exit(play_timed(task));
	_exit(task->traced ? play_traced(task) : play_counters(task));
}

static void end_tasks(const struct task *tasks, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (tasks[i].pid > 0)
			(void)kill(tasks[i].pid, SIGTERM); /* it may have ended already */
}

/* Waits for one child. => false if there is none */
static bool wait_one(struct task *tasks, uint32_t nr)
{
	int status;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
		if (cmd_interrupt)
			end_tasks(tasks, nr);
	} while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return false;
	for (uint32_t i = 0; i < nr; i++) {
		if (tasks[i].pid != pid)
			continue;
		tasks[i].pid = 0;
		tasks[i].status = WIFEXITED(status) ? WEXITSTATUS(status) : CMD_FINDING;
	}
	return true;
}

static bool run_tasks(const struct conform *conform, struct task *tasks, uint32_t nr)
{
	uint64_t running = 0;
	bool fine = true;

	for (uint32_t i = 0; i < nr && fine && !cmd_interrupt; i++) {
		if (running == conform->options->nr_processes) {
			fine = wait_one(tasks, i);
			running--;
		}
		fine = fine && !cmd_interrupt && start_task(&tasks[i]);
		running += fine;
	}
	if (!fine && !cmd_interrupt)
		cmd_error("a process could not be started: %s", strerror(errno));
	for (; running > 0 && wait_one(tasks, nr); running--)
		continue;
	return fine && !cmd_interrupt;
}

/* The first complaint, without "neap: " and the script's path. */
static char *first_complaint(const struct task *task)
{
	char *text = read_reply(task->complaints);
	char *at = text, *reason;
	size_t bytes;

	if (text == NULL)
		return NULL;
	if (strncmp(at, "neap: ", 6) == 0)
		at += 6;
	bytes = strlen(task->job->job_path);
	if (strncmp(at, task->job->job_path, bytes) == 0) {
		at += bytes;
		at += strspn(at, ":0123456789");
		at += strspn(at, " ");
	}
	at[strcspn(at, "\n")] = '\0';
	reason = strdup(*at != '\0' ? at : "the process ended without a word");
	free(text);
	return reason;
}

static int take_counters(struct task *task)
{
	struct record_set *ours = &task->job->ours;
	struct record *run = realloc(ours->run, (ours->nr + 1) * sizeof(*run));
	char *text = read_reply(task->out);
	int error = run == NULL || text == NULL ? -ENOMEM : 0;

	if (run != NULL)
		ours->run = run;
	if (error == 0)
		error = record_parse(text, &run[ours->nr]);
	if (error == 0)
		ours->nr++;
	free(text);
	return error;
}

/* => 0, -EINVAL if the text is not what print_witnesses() wrote, or -ENOMEM */
static int take_witnesses(struct conform_job *job, const char *at)
{
	while (*at != '\0') {
		struct witness(*list)[2] =
			realloc(job->witnesses, (job->nr_witnesses + 1) * sizeof(*list));

		if (list == NULL)
			return -ENOMEM;
		job->witnesses = list;
		for (uint32_t k = 0; k < 2; k++) {
			int used = witness_parse(at, &list[job->nr_witnesses][k]);

			if (used < 0)
				return used;
			at += used;
		}
		job->nr_witnesses++;
	}
	return 0;
}

static int take_evidence(struct task *task)
{
	struct conform_job *job = task->job;
	char *text = read_reply(task->out);
	size_t bytes = 0;
	int used = 0, error = -EINVAL;

	if (text == NULL)
		return -ENOMEM;
	if (sscanf(text, "%u %u %u %zu%n", &job->decisions[0], &job->decisions[1], &job->distance,
		   &bytes, &used) == 4 &&
	    text[used] == '\n' && strlen(text + used + 1) >= bytes) {
		job->evidence = strndup(text + used + 1, bytes);
		error = job->evidence == NULL ? -ENOMEM
					      : take_witnesses(job, text + used + 1 + bytes);
	}
	free(text);
	return error;
}

/* What cannot be played is said by the runs that are compared. */
static void take_times(const struct task *task)
{
	char *text = task->status == CMD_FINE ? read_reply(task->out) : NULL;
	struct conform_times *times = &task->job->our_times[task->point];
	uint32_t nr = 0;

	for (char *at = text, *end; at != NULL && *at != '\0' && nr < CONFORM_STRETCHES_MAX; nr++) {
		times->ns[nr] += strtoull(at, &end, 10);
		at = end + strspn(end, "\n");
	}
	if (text != NULL) {
		times->nr = nr;
		task->job->nr_our_times[task->point]++;
	}
	free(text);
}

static int take_result(struct task *task)
{
	struct conform_job *job = task->job;
	char **where = task->status == CMD_USAGE ? &job->refused : &job->failed;

	if (task->timed) {
		take_times(task);
		return 0;
	}
	if (task->status == CMD_FINE)
		return task->traced ? take_evidence(task) : take_counters(task);
	if (*where == NULL)
		*where = first_complaint(task);
	return *where == NULL ? -ENOMEM : 0;
}

/* Jobs whose durations were recorded, on hosts more and less busy. => how many tasks */
static uint32_t make_timed(const struct conform *conform, struct task *tasks)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < conform->nr_jobs && conform->options->host_from_log; i++) {
		struct conform_job *job = &conform->job[i];
		struct task task = { .job = job,
				     .boot = job->boot_dir[0],
				     .timed = true,
				     .out = -1,
				     .complaints = -1 };

		for (; task.point < CONFORM_HOST_POINTS && job->log_times[0].nr != 0;
		     task.point++) {
			uint32_t others = conform_host_points[task.point];

			task.host_others_permille = others * 1000;
			for (task.seed = 1; task.seed <= (others == 0 ? 1 : CONFORM_HOST_SEEDS);
			     task.seed++)
				tasks[nr++] = task;
		}
	}
	return nr;
}

static void estimate_hosts(struct conform *conform)
{
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_job *job = &conform->job[i];

		for (uint32_t k = 0; k < CONFORM_HOST_POINTS; k++)
			for (uint32_t at = 0; at < job->our_times[k].nr; at++)
				job->our_times[k].ns[at] /= max_u32(job->nr_our_times[k], 1);
		for (uint32_t run = 0; run < job->kernel.nr; run++)
			job->host_others_permille[run] =
				conform_host_others(&job->log_times[run], job->our_times);
	}
}

/* Seeds take turns with the kernel's runs: each is played on a host as busy as one of them had. */
static uint32_t make_tasks(const struct conform *conform, struct task *tasks)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_job *job = &conform->job[i];
		struct task task = { .job = job, .out = -1, .complaints = -1 };

		for (uint32_t boot = 0; boot < max_u32(job->nr_boots, 1); boot++) {
			for (task.seed = 1; task.seed <= conform->options->nr_seeds; task.seed++) {
				task.boot = job->boot_dir[boot];
				task.host_others_permille =
					job->host_others_permille[(task.seed - 1) % job->kernel.nr];
				tasks[nr++] = task;
			}
		}
		if (job->trace_path != NULL && !conform->options->brief) {
			task.boot = job->boot_dir[0];
			task.seed = SEED_TRACED;
			task.host_others_permille = job->host_others_permille[0];
			task.traced = true;
			tasks[nr++] = task;
		}
	}
	return nr;
}

static int judge_jobs(struct conform *conform)
{
	struct record_row *rows = calloc(RECORD_ROWS_MAX, sizeof(*rows));

	if (rows == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_job *job = &conform->job[i];
		int nr = record_rows(&job->kernel, &job->ours, rows);

		if (nr < 0) {
			if (job->failed == NULL)
				job->failed = strdup("its snapshots are not those of the kernel");
			job->ours.nr = 0;
			continue;
		}
		job->rows = calloc((size_t)nr + 1, sizeof(*rows));
		if (job->rows == NULL) {
			free(rows);
			return -ENOMEM;
		}
		memcpy(job->rows, rows, (size_t)nr * sizeof(*rows));
		job->nr_rows = (uint32_t)nr;
	}
	free(rows);
	return 0;
}

/* Runs the tasks and takes what they found. => 0, or -EINTR or negative errno, said */
static int perform(struct conform *conform, struct task *tasks, uint32_t nr)
{
	bool fine = run_tasks(conform, tasks, nr);
	int error = 0;

	for (uint32_t i = 0; i < nr; i++) {
		if (fine && error == 0)
			error = take_result(&tasks[i]);
		if (tasks[i].out >= 0)
			close(tasks[i].out);
		if (tasks[i].complaints >= 0)
			close(tasks[i].complaints);
	}
	if (error != 0)
		cmd_error("the results: %s", strerror(-error));
	return fine ? error : -EINTR;
}

int conform_play(struct conform *conform)
{
	size_t most = (size_t)conform->nr_jobs * (conform->options->nr_seeds * CONFORM_BOOTS_MAX +
						  1 + CONFORM_HOST_POINTS * CONFORM_HOST_SEEDS);
	struct task *tasks = calloc(most + 1, sizeof(*tasks));
	int error = tasks == NULL ? -ENOMEM : perform(conform, tasks, make_timed(conform, tasks));

	if (error == 0) {
		estimate_hosts(conform);
		error = perform(conform, tasks, make_tasks(conform, tasks));
	}
	free(tasks);
	if (error == 0) {
		error = judge_jobs(conform);
		if (error != 0)
			cmd_error("the results: %s", strerror(-error));
	}
	if (cmd_interrupt)
		return CMD_INTERRUPTED;
	return error == 0 ? CMD_FINE : CMD_WORLD;
}
