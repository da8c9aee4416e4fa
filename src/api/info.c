/*
 * Looking at a machine: knobs, /proc texts, counters, gauges, verification.
 *
 *   neap_proc_text("vmstat") ── snapshot_take() ── text_proc_write() ── malloc'ed text
 *   neap_snapshot_save(dir)  ── one snapshot, every file of src/text from it
 *
 * Everything here works from outside neap_run() on a simulated machine, too: a short
 * run of its own is made for calls that need a task. So a program can simulate,
 * come back, and look.
 *
 * neap_counter(), neap_gauge() and neap_stalls() read without any lock, and may
 * differ from each other by what is in flight, as Linux's files do. A counter knows of
 * everything that the caller has done on his CPU.
 *
 * What must never happen: a look that changes what it looks at. Snapshots take no
 * frame of the machine and write no file through its page cache; only verification
 * drains batches and folds counters, which its contract says.
 *
 * Linux: fs/proc/{meminfo,stat}.c, mm/vmstat.c, kernel/sysctl.c for the texts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "core/racy.h"
#include "core/free_late.h"
#include "core/freezer.h"
#include "core/snapshot_take.h"
#include "core/stall.h"
#include "core/swap.h"
#include "core/sysctl.h"
#include "core/verify.h"
#include "text/files.h"

#ifndef EUCLEAN
#define EUCLEAN 117
#endif

/* ---- knobs ---- */

int64_t neap_sysctl_read(struct neap_machine *machine, const char *name, char *buffer, size_t bytes)
{
	return sysctl_read(machine, name, buffer, bytes);
}

struct sysctl_call {
	struct neap_machine *m;
	const char *name;
	const char *text;
	size_t bytes;
	int64_t result;
};

static int sysctl_task(struct task *t, void *arg)
{
	struct sysctl_call *call = arg;

	call->result = sysctl_write(t, call->m, call->name, call->text, call->bytes);
	return 0;
}

const char *api_knob_takes(const char *path, char text[KNOB_TAKES_BYTES])
{
	struct knobs_range range;

	text[0] = '\0';
	if (!knobs_range(path, &range))
		return text;
	if (range.words != NULL)
		(void)snprintf(text, KNOB_TAKES_BYTES, "; it takes one of: %s", range.words);
	else if (range.highest >= INT64_MAX)
		(void)snprintf(text, KNOB_TAKES_BYTES, "; it takes whole numbers from %lld on",
			       (long long)range.lowest);
	else
		(void)snprintf(text, KNOB_TAKES_BYTES, "; it takes whole numbers from %lld to %lld",
			       (long long)range.lowest, (long long)range.highest);
	return text;
}

int64_t neap_sysctl_write(struct neap_machine *machine, const char *name, const char *text,
			  size_t bytes)
{
	struct sysctl_call call = { .m = machine, .name = name, .text = text, .bytes = bytes };
	char takes[KNOB_TAKES_BYTES];
	int err = api_call(api_of(machine), sysctl_task, &call);

	if (err != 0)
		return err;
	if (call.result == -ENOTSUP)
		(void)api_fail(api_of(machine), -ENOTSUP,
			       "%s is a knob of Linux that this version does not act on.", name);
	else if (call.result < 0)
		(void)api_fail(api_of(machine), (int)call.result, "%s: the write is refused: %s%s.",
			       name, strerror((int)-call.result), api_knob_takes(name, takes));
	return call.result;
}

/* ---- texts ---- */

struct snapshot_call {
	struct neap_machine *m;
	struct snapshot *snapshot;
};

static int snapshot_task(struct task *t, void *arg)
{
	struct snapshot_call *call = arg;

	free_late_settle_all(t, call->m);
	snapshot_take(t, call->m, call->snapshot);
	return 0;
}

/* => 0 and *out, which the caller frees */
static int snapshot_make(struct neap_machine *machine, struct snapshot **out)
{
	struct snapshot_call call = {
		.m = machine,
		.snapshot = calloc(1, snapshot_bytes(machine->nr_nodes)),
	};
	int err;

	if (call.snapshot == NULL)
		return -ENOMEM;
	err = api_call(api_of(machine), snapshot_task, &call);
	if (err != 0)
		free(call.snapshot);
	else
		*out = call.snapshot;
	return err;
}

int64_t neap_proc_text(struct neap_machine *machine, const char *file, char **text)
{
	struct snapshot *snapshot;
	struct text_buf buf;
	int err;

	if (text_file_find(file) == NULL)
		return api_fail(api_of(machine), -ENOENT, "There is no file called '%s' here.",
				file);
	err = snapshot_make(machine, &snapshot);
	if (err != 0)
		return err;
	text_buf_init(&buf);
	err = text_proc_write(snapshot, file, &buf);
	free(snapshot);
	if (err == 0 && buf.at == NULL)
		err = text_buf_puts(&buf, "");
	if (err != 0 || buf.at == NULL) {
		text_buf_free(&buf);
		return err != 0 ? err : -ENOMEM;
	}
	*text = buf.at; /* malloc'ed: the buffer is given away */
	return (int64_t)buf.bytes;
}

/* Makes a directory and those above it. => 0 or negative errno */
static int make_directories(const char *dir)
{
	char path[4096];
	size_t length = strlen(dir);

	if (length == 0 || length >= sizeof(path))
		return -EINVAL;
	memcpy(path, dir, length + 1);
	for (size_t i = 1; i <= length; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		char kept = path[i];

		path[i] = '\0';
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			return -errno;
		path[i] = kept;
	}
	return 0;
}

/* Writes all of a text to dir/name. => 0 or negative errno */
static int write_file(int dir_fd, const char *name, const struct text_buf *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t done = 0;
	int err = 0;

	if (fd < 0)
		return -errno;
	while (done < text->bytes && err == 0) {
		ssize_t n = write(fd, text->at + done, text->bytes - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			err = -errno;
	}
	if (close(fd) != 0 && err == 0)
		err = -errno;
	return err;
}

static int write_files(int dir_fd, const struct snapshot *snapshot)
{
	struct text_buf buf;
	int err = 0;

	text_buf_init(&buf);
	for (const struct text_file *file = text_files; file->name != NULL && err == 0; file++) {
		text_buf_reset(&buf);
		err = file->write(snapshot, &buf);
		if (err == 0)
			err = write_file(dir_fd, file->name, &buf);
	}
	text_buf_free(&buf);
	return err;
}

int neap_snapshot_save(struct neap_machine *machine, const char *dir)
{
	struct api_machine *a = api_of(machine);
	struct snapshot *snapshot;
	int err = make_directories(dir);
	int dir_fd;

	if (err != 0)
		return api_fail(a, err, "The directory %s could not be made: %s.", dir,
				strerror(-err));
	err = snapshot_make(machine, &snapshot);
	if (err != 0)
		return err;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = dir_fd < 0 ? -errno : write_files(dir_fd, snapshot);
	if (dir_fd >= 0)
		(void)close(dir_fd); /* nothing was written through it */
	free(snapshot);
	if (err != 0)
		return api_fail(a, err, "The snapshot in %s could not be written: %s.", dir,
				strerror(-err));
	return 0;
}

/* ---- numbers ---- */

uint64_t neap_counter(struct neap_machine *machine, const char *name)
{
	struct api_machine *a = api_of(machine);
	struct task *t = api_task(a);
	bool found;

	/* What the caller did himself is counted, also what waits to be done at once with more. */
	if (t != NULL) {
		api_access_flush(t);
		free_late_settle(t);
	}
	return vmstat_by_name(machine, name, &found);
}

void neap_gauge(struct neap_machine *machine, struct neap_gauge *out)
{
	int64_t total_slots = atomic_load(&machine->nr_swap_total);
	int64_t free_slots = atomic_load(&machine->nr_swap_free);
	uint64_t lowest_free = atomic_load(&machine->min_free_pages_seen);

	memset(out, 0, sizeof(*out));
	out->free_pages = machine_zone_stat(machine, NR_FREE_PAGES);
	out->managed_pages = atomic_load(&machine->total_pages);
	out->peak_used_pages = out->managed_pages - min_u64(lowest_free, out->managed_pages);
	out->swap_total_pages = stat_floor(total_slots);
	out->swap_used_pages = stat_floor(total_slots - free_slots);
	for (uint32_t type = 0; type < swap_nr_areas(machine); type++)
		out->swap_full_errors += atomic_load(&machine->swap[type].full_errors);
	for (uint32_t nid = 0; nid < machine->nr_nodes; nid++) {
		struct node *node = &machine->nodes[nid];

		for (uint32_t type = 0; type < NR_ZONES; type++) {
			const struct zone *zone = &node->zone[type];

			if (!zone_populated(zone))
				continue;
			out->min_pages += zone_mark(zone, WMARK_MIN);
			out->low_pages += zone_mark(zone, WMARK_LOW);
			out->high_pages += zone_mark(zone, WMARK_HIGH);
		}
		if (racy_read(node->kswapd) == NULL)
			continue;
		out->nr_kswapd++;
		if (atomic_load(&node->kswapd_sleeping) == 0)
			out->kswapd_awake++;
	}
}

void neap_stalls(struct neap_machine *machine, struct neap_stalls *out)
{
	struct stall_summary summary;

	stall_summarize(machine, &summary);
	*out = (struct neap_stalls){
		.count = summary.count,
		.total_ns = summary.total_ns,
		.p50_ns = summary.p50_ns,
		.p99_ns = summary.p99_ns,
		.max_ns = summary.max_ns,
	};
}

/* ---- freezing ---- */

static int freeze_task(struct task *t, void *arg)
{
	struct api_machine *a = arg;

	freezer_freeze(t, &a->m);
	atomic_fetch_add(&a->nr_freezes, 1);
	return 0;
}

int neap_freeze(struct neap_machine *machine)
{
	return api_call(api_of(machine), freeze_task, api_of(machine));
}

static int thaw_task(struct task *t, void *arg)
{
	struct api_machine *a = arg;
	uint32_t nr = atomic_load(&a->nr_freezes);

	/* Two that thaw at once must not take the same freeze back. */
	do {
		if (nr == 0)
			return api_fail(a, -EINVAL, "Nothing is frozen.");
	} while (!atomic_compare_exchange_weak(&a->nr_freezes, &nr, nr - 1)); /* event loop */
	freezer_thaw(t, &a->m);
	return 0;
}

int neap_thaw(struct neap_machine *machine)
{
	return api_call(api_of(machine), thaw_task, api_of(machine));
}

/* ---- verification ---- */

static int verify_task(struct task *t, void *arg)
{
	struct api_machine *a = arg;
	const char *wrong = verify_machine(t, &a->m);

	return wrong == NULL ? 0 : api_fail(a, -EUCLEAN, "%s", wrong);
}

int neap_verify(struct neap_machine *machine)
{
	return api_call(api_of(machine), verify_task, api_of(machine));
}

struct hash_call {
	struct neap_machine *m;
	uint64_t hash;
};

static int hash_task(struct task *t, void *arg)
{
	struct hash_call *call = arg;

	call->hash = verify_state_hash(t, call->m);
	return 0;
}

uint64_t neap_state_hash(struct neap_machine *machine)
{
	struct hash_call call = { .m = machine };

	/* Without a task there is no hash; 0 is as good an answer as any. */
	(void)api_call(api_of(machine), hash_task, &call);
	return call.hash;
}
