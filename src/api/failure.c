/*
 * Reports of failed requests, in the text of Linux's log.
 *
 *     core/alloc_warn.c ── hook ──> snapshot ── text/report_write.c ──> lines
 *                                                                        │ [   12.345678]
 *                                                                        v
 *                                                                       file
 *
 * The hook runs in the task whose request failed, wherever that is, possibly with locks
 * held; it takes a snapshot, which needs the zones' locks only, and writes. The memory for
 * the snapshot is got at the start, so that a report does not depend on more of it.
 *
 * In the simulator all else stands still meanwhile (machine.watched), nothing is locked
 * and no time passes: a run with reports is the same run. Live, one report is written at a
 * time.
 *
 * What must never happen: half a report followed by another. A report is one write() where
 * the system lets it be.
 *
 * Linux: the log that warn_alloc() prints into. DIFF: no stack trace, no cpuset but "/".
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "core/alloc_warn.h"
#include "core/cpuset.h"
#include "core/snapshot_take.h"
#include "text/report_memory.h"

struct failure_log {
	char path[CONFIG_PATH_BYTES];
	int fd;	   /* -1 until the first report */
	int error; /* the first of writing */
	uint64_t nr_reports;
	pthread_mutex_t lock; /* one report at a time */
	struct snapshot *snapshot;
};

/* Puts the time before each line, as the kernel's log has it. */
static void add_times(const struct text_buf *lines, uint64_t now_ns, struct text_buf *out)
{
	for (const char *at = text_buf_text(lines); *at != '\0';) {
		size_t bytes = strcspn(at, "\n") + 1;

		text_buf_printf(out, "[%5" PRIu64 ".%06" PRIu64 "] ", now_ns / NSEC_PER_SEC,
				now_ns % NSEC_PER_SEC / NSEC_PER_USEC);
		text_buf_add(out, at, bytes);
		at += bytes;
	}
}

static int write_all(struct failure_log *log, const struct text_buf *text)
{
	if (text->error != 0)
		return text->error;
	if (log->fd < 0)
		log->fd = open(log->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (log->fd < 0)
		return -errno;
	for (size_t at = 0; at < text->bytes;) {
		ssize_t wrote = write(log->fd, text->at + at, text->bytes - at);

		if (wrote < 0 && errno != EINTR)
			return -errno;
		at += wrote > 0 ? (size_t)wrote : 0;
	}
	return 0;
}

/* The nodes that the report shows. */
static uint64_t shown_nodes(const struct task *t, const struct alloc_failure *failure)
{
	if (failure->show_all_nodes)
		return UINT64_MAX;
	return failure->nodemask != NULL ? *failure->nodemask : cpuset_nodes(t);
}

static void write_report(struct failure_log *log, struct task *t,
			 const struct alloc_failure *failure)
{
	const struct report_request request = {
		.comm = t->name,
		.gfp = failure->gfp,
		.order = failure->order,
		.pid = t->id,
		.nodemask = failure->nodemask,
		.mems = cpuset_limits(t) ? cpuset_nodes(t) : 0,
		.kernel = "neap " NEAP_VERSION,
	};
	const struct report_filter filter = {
		.nodes = shown_nodes(t, failure),
		.limit = failure->highest,
		.cpu = t->slot->cpu,
		.giant = true,
	};
	struct text_buf lines, out;

	text_buf_init(&lines);
	text_buf_init(&out);
	memset(log->snapshot, 0, snapshot_bytes(t->machine->nr_nodes));
	snapshot_take(t, t->machine, log->snapshot);
	if (failure->suppressed != 0)
		text_buf_printf(&lines, "warn_alloc: %" PRIu64 " callbacks suppressed\n",
				failure->suppressed);
	report_failure_write(log->snapshot, &request, &filter, &lines);
	add_times(&lines, rt_now(t), &out);
	int error = lines.error != 0 ? lines.error : write_all(log, &out);

	if (error == 0)
		log->nr_reports++;
	else if (log->error == 0)
		log->error = error;
	text_buf_free(&lines);
	text_buf_free(&out);
}

static void failure_told(struct task *t, const struct alloc_failure *failure)
{
	struct api_machine *a = api_of(t->machine);
	bool watched = a->m.watched;

	if (!a->sim)
		(void)pthread_mutex_lock(&a->failures->lock);
	else
		a->m.watched = true;
	write_report(a->failures, t, failure);
	if (!a->sim)
		(void)pthread_mutex_unlock(&a->failures->lock);
	else
		a->m.watched = watched;
}

static void log_free(struct failure_log *log)
{
	if (log->fd >= 0)
		(void)close(log->fd);
	(void)pthread_mutex_destroy(&log->lock);
	free(log->snapshot);
	free(log);
}

int neap_report_start(struct neap_machine *machine, const char *path)
{
	struct api_machine *a = api_of(machine);
	struct failure_log *log;

	if (a->failures != NULL)
		return api_fail(a, -EBUSY, "Reports are written to %s already.", a->failures->path);
	if (strlen(path) >= sizeof(log->path))
		return api_fail(a, -ENAMETOOLONG, "The path of the reports is too long.");
	log = calloc(1, sizeof(*log));
	if (log == NULL)
		return api_fail(a, -ENOMEM, "Memory is out.");
	log->fd = -1;
	(void)pthread_mutex_init(&log->lock, NULL);
	memcpy(log->path, path, strlen(path) + 1);
	log->snapshot = calloc(1, snapshot_bytes(machine->nr_nodes));
	if (log->snapshot == NULL) {
		log_free(log);
		return api_fail(a, -ENOMEM, "Memory is out.");
	}
	a->failures = log;
	atomic_store_explicit(&machine->failure_hook, failure_told, memory_order_release);
	return 0;
}

void api_failure_close(struct api_machine *a)
{
	if (a->failures == NULL)
		return;
	log_free(a->failures);
	a->failures = NULL;
}

int64_t neap_report_count(struct neap_machine *machine)
{
	struct api_machine *a = api_of(machine);
	struct failure_log *log = a->failures;
	int64_t count;

	if (log == NULL)
		return 0;
	(void)pthread_mutex_lock(&log->lock);
	count = log->error != 0 ? log->error : (int64_t)log->nr_reports;
	(void)pthread_mutex_unlock(&log->lock);
	return count;
}
