/*
 * One simulated run in a process of its own.
 *
 *     explore ──fork──> run the job ──> result file: status, struct run_result, its four texts
 *        │                     └─────> said file: standard error, where a failed check speaks
 *        │ waits on a pipe whose other end closes when the process is gone, however it goes
 *        └──> crashed, hung, or a result as if the run had been made here
 *
 * A check that fails in the engine ends its process, as it should: nothing can be trusted any more.
 * When many seeds are played it must end that seed only. A fork costs less than a millisecond, the
 * job and the options are there already, and both files are memory.
 *
 * With --errors requests for pages, reads and writes of devices are made to fail, where and which
 * is drawn from the seed. Commands may fail then and pages be lost, if the machine says so: what
 * counts is that no page is wrong and that every invariant holds.
 *
 * What must never happen: a process that is left behind.
 */
#include "cmd/trial.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/play.h"

#define LIMIT_CPU_S 60u	  /* of processor time: how busy the computer is makes no hang */
#define LIMIT_WALL_S 900u /* for a process that sleeps, which a simulation never does */
#define SAID_BYTES_MAX (64 * KIB)
#define TEXT_BYTES_MAX (16 * MIB)
#define NR_TEXTS 4u

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* ---- the result, from one process to the other ---- */

static void texts_of(struct run_result *result, char **texts[NR_TEXTS])
{
	texts[0] = &result->messages;
	texts[1] = &result->findings;
	texts[2] = &result->digests;
	texts[3] = &result->notes;
}

static bool send_result(int fd, int status, struct run_result *result)
{
	char **texts[NR_TEXTS];
	FILE *out = fdopen(fd, "w");
	bool fine;

	if (out == NULL)
		return false;
	fine = fwrite(&status, sizeof(status), 1, out) == 1 &&
	       fwrite(result, sizeof(*result), 1, out) == 1;
	texts_of(result, texts);
	for (size_t i = 0; i < NR_TEXTS && fine; i++) {
		size_t bytes = *texts[i] == NULL ? 0 : strlen(*texts[i]) + 1;

		fine = fwrite(&bytes, sizeof(bytes), 1, out) == 1 &&
		       fwrite(*texts[i], 1, bytes, out) == bytes;
	}
	return fclose(out) == 0 && fine;
}

/* => false: the process did not come to the end of its run */
static bool receive_result(int fd, int *status, struct run_result *result)
{
	char **texts[NR_TEXTS];
	FILE *in = fdopen(dup(fd), "r");
	bool fine;

	if (in == NULL)
		return false;
	rewind(in);
	fine = fread(status, sizeof(*status), 1, in) == 1 &&
	       fread(result, sizeof(*result), 1, in) == 1;
	if (!fine)
		*result = (struct run_result){ .outcome = RUN_FAILED };
	texts_of(result, texts);
	for (size_t i = 0; i < NR_TEXTS; i++)
		*texts[i] = NULL;
	for (size_t i = 0; i < NR_TEXTS && fine; i++) {
		size_t bytes = 0;

		fine = fread(&bytes, sizeof(bytes), 1, in) == 1 && bytes <= TEXT_BYTES_MAX;
		if (!fine || bytes == 0)
			continue;
		*texts[i] = calloc(1, bytes);
		fine = *texts[i] != NULL && fread(*texts[i], 1, bytes, in) == bytes;
	}
	fclose(in);
	return fine;
}

/* ---- the process ---- */

static NORETURN void run_here(const struct trial *trial, const struct job *job,
			      const struct options *options)
{
	const struct rlimit no_core = { 0, 0 };
	const struct rlimit limit = { LIMIT_CPU_S, LIMIT_CPU_S + 5 };
	struct run_result result = { .outcome = RUN_FINE };
	int status;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setrlimit(RLIMIT_CORE, &no_core);
	setrlimit(RLIMIT_CPU, &limit);
	dup2(trial->said_fd, STDERR_FILENO);
	status = play_run(job, options, trial->seed, &result);
	if (status == CMD_FINE && !send_result(trial->result_fd, status, &result))
		status = CMD_WORLD;
	_exit(status);
}

static void close_all(struct trial *trial)
{
	int *fds[] = { &trial->over_fd, &trial->result_fd, &trial->said_fd };

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

bool trial_start(struct trial *trial, const struct job *job, const struct options *options,
		 uint64_t seed)
{
	int over[2] = { -1, -1 };

	*trial = (struct trial){ .seed = seed,
				 .pid = -1,
				 .over_fd = -1,
				 .result_fd = memfd_create("result", MFD_CLOEXEC),
				 .said_fd = memfd_create("said", MFD_CLOEXEC),
				 .end_ns = clock_ns() + LIMIT_WALL_S * NSEC_PER_SEC };
	fflush(NULL); /* what is buffered is printed once */
	if (trial->result_fd >= 0 && trial->said_fd >= 0 && pipe(over) == 0)
		trial->pid = fork();
	if (trial->pid == 0) {
		close(over[0]);
		run_here(trial, job, options);
	}
	if (over[1] >= 0)
		close(over[1]);
	trial->over_fd = over[0];
	if (trial->pid > 0)
		return true;
	cmd_error("seed %llu cannot be run: %s", (unsigned long long)seed, strerror(errno));
	close_all(trial);
	return false;
}

/* => false: it was not over in time */
static bool wait_until_over(const struct trial *trial)
{
	for (;;) { /* event loop */
		struct pollfd over = { .fd = trial->over_fd, .events = POLLIN };
		uint64_t now_ns = clock_ns();
		uint64_t left_ns = trial->end_ns - min_u64(now_ns, trial->end_ns);
		int ready = poll(&over, 1, (int)(left_ns / 1000000) + 1);

		if (ready > 0)
			return true;
		if (ready == 0 && left_ns == 0)
			return false;
	}
}

/* What the process said; NULL: nothing. */
static char *read_said(int fd)
{
	off_t bytes = lseek(fd, 0, SEEK_END);
	char *text;

	if (bytes <= 0)
		return NULL;
	bytes = bytes < (off_t)SAID_BYTES_MAX ? bytes : (off_t)SAID_BYTES_MAX;
	text = calloc(1, (size_t)bytes + 1);
	if (text != NULL && pread(fd, text, (size_t)bytes, 0) < 0)
		text[0] = '\0';
	return text;
}

/* A run without a result is one that failed, with what is known as its message. */
static void set_crash(struct trial *trial, const char *what)
{
	const char *said = trial->said != NULL ? trial->said : "";
	const char *check = strstr(said, "check failed");

	run_result_free(&trial->result);
	trial->result = (struct run_result){ .outcome = RUN_FAILED };
	if (check == NULL)
		check = said;
	if (asprintf(&trial->result.messages, "%s%s%.*s", what, *check != '\0' ? ": " : "",
		     (int)strcspn(check, "\n"), check) < 0)
		trial->result.messages = NULL;
	trial->status = CMD_FINDING;
}

void trial_finish(struct trial *trial)
{
	char what[64];
	bool over = wait_until_over(trial);
	int wstatus = 0;

	if (!over)
		kill(trial->pid, SIGKILL);
	while (waitpid(trial->pid, &wstatus, 0) < 0 && errno == EINTR)
		; /* event loop */
	trial->said = read_said(trial->said_fd);
	trial->status = CMD_FINE;
	trial->end = TRIAL_ENDED;
	if (!over || (WIFSIGNALED(wstatus) && WTERMSIG(wstatus) == SIGXCPU)) {
		trial->end = TRIAL_HUNG;
		snprintf(what, sizeof(what), "was not over after %u s%s",
			 over ? LIMIT_CPU_S : LIMIT_WALL_S, over ? " of processor time" : "");
		set_crash(trial, what);
	} else if (WIFSIGNALED(wstatus)) {
		trial->end = TRIAL_CRASHED;
		snprintf(what, sizeof(what), "ended by signal %d (%s)", WTERMSIG(wstatus),
			 sigabbrev_np(WTERMSIG(wstatus)));
		set_crash(trial, what);
	} else if (WEXITSTATUS(wstatus) != CMD_FINE) {
		trial->end = TRIAL_NO_RUN;
		trial->status = WEXITSTATUS(wstatus);
	} else if (!receive_result(trial->result_fd, &trial->status, &trial->result)) {
		trial->end = TRIAL_CRASHED;
		set_crash(trial, "ended without a result");
	}
	close_all(trial);
}

void trial_free(struct trial *trial)
{
	run_result_free(&trial->result);
	free(trial->said);
}

/* ---- what it was ---- */

bool trial_failed(const struct trial *trial, const struct options *options)
{
	const struct run_result *r = &trial->result;

	if (trial->end != TRIAL_ENDED)
		return trial->end != TRIAL_NO_RUN;
	if (r->outcome != RUN_FAILED)
		return false;
	return !options->errors || r->verified.mismatches > 0 || r->invariant_broken;
}

void trial_kind(const struct trial *trial, const char *job_path, char *text, size_t bytes)
{
	const struct run_result *r = &trial->result;
	const char *from = r->messages != NULL ? r->messages : r->findings;
	bool place = false; /* in the number of FILE.c:NUMBER */
	size_t at = 0;

	if (from == NULL)
		from = "failed";
	if (strncmp(from, job_path, strlen(job_path)) == 0)
		from += strlen(job_path) + strspn(from + strlen(job_path), ":0123456789 ");
	for (; *from != '\0' && *from != '\n' && at + 1 < bytes; from++) {
		if (isdigit((unsigned char)*from) && !place)
			continue;
		text[at++] = *from;
		if (!isdigit((unsigned char)*from))
			place = *from == ':' && at >= 3 && text[at - 3] == '.';
	}
	text[at] = '\0';
}
