/*
 * The commands, performed.
 *
 * Each function takes the thread it runs in: the script, a bg command, one of a
 * parallel block. Objects are made by the script alone, before anybody uses them;
 * what threads share afterwards is the verifier (which locks each page) and the
 * machine (which is made for it).
 *
 * A command whose failure makes the rest of the job pointless (no memory for an
 * access, no such CPU) ends the run; one that reports something (fsync, a failed
 * sysctl write) is noted and the job goes on. Both make the exit status 1.
 *
 * What must never happen: a command that the parser accepted and that does nothing
 * here. A result of -ENOTSUP is therefore reported with file and line.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "job/replay.h"
#include "job/runner.h"
#include "job/sha256.h"

#define POLL_EVERY 256u
#define DIGEST_CHUNK_BYTES (64 * KIB)
#define SLEEP_SLICE_NS (50 * NSEC_PER_MSEC)

static struct run_object *object_of(struct run_thread *thread)
{
	return &thread->run->objects[thread->command->object];
}

/* Whether an error tells of what is around the machine: descriptors, disks, rights. */
static bool is_of_the_world(int error)
{
	static const int errors[] = { EMFILE, ENFILE, ENOSPC, EDQUOT, EFBIG, EROFS, EACCES };

	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (error == -errors[i])
			return true;
	return false;
}

/* A command ends the run because the machine refused something. */
static void fail(struct run_thread *thread, const char *what, int error)
{
	const char *name = "";
	enum run_outcome outcome = RUN_FAILED;

	if (thread->command->object != JOB_NO_OBJECT)
		name = object_of(thread)->job->name;
	if (is_of_the_world(error))
		outcome = RUN_WORLD_FAILED;
	run_fail(thread->run, thread->command->line, outcome, "%s%s%s: %s", what,
		 *name != '\0' ? " " : "", name,
		 error == -ENOTSUP ? "this machine cannot do that" : strerror(-error));
}

/* The machine refused a command and has told why. */
static void refuse(struct run_thread *thread, const char *what)
{
	run_fail(thread->run, thread->command->line, RUN_FAILED, "%s: %s", what,
		 neap_machine_error(thread->run->machine));
}

/* A command failed, but the job can go on. */
static void note(struct run_thread *thread, const char *what, int error)
{
	run_note(thread->run, thread->command->line, "%s: %s", what, strerror(-error));
}

/* ---- objects ---- */

static void describe_page(void *arg, uint64_t index, char *buffer, size_t bytes)
{
	const struct run_object *object = arg;

	snprintf(buffer, bytes, "%s page %" PRIu64, object->job->name, index);
}

static bool add_pages(struct run_thread *thread, enum verify_kind kind, uint64_t bytes)
{
	struct run_object *object = object_of(thread);
	uint64_t nr_pages = round_up_u64(bytes, NEAP_PAGE_SIZE) / NEAP_PAGE_SIZE;

	object->target.object =
		verify_add(thread->run->verify, kind, nr_pages, describe_page, object);
	if (object->target.object == NULL)
		fail(thread, "the verifier's record of", -ENOMEM);
	return object->target.object != NULL;
}

static void do_anon(struct run_thread *thread)
{
	struct run_object *object = object_of(thread);
	const struct job_object *job = object->job;
	int error;

	if (!add_pages(thread, VERIFY_MEMORY, job->bytes))
		return;
	error = neap_region_create(thread->run->machine, job->bytes, job->flags, job->node,
				   &object->target.region);
	if (error != 0) {
		object->target.region = NULL;
		fail(thread, "anon", error);
		return;
	}
	if (job->policy == NEAP_POLICY_DEFAULT)
		return;
	error = neap_region_policy(object->target.region, job->policy, job->policy_nodes);
	if (error != 0)
		refuse(thread, "anon: its policy");
}

/* Gives a new file its contents, behind the page cache's back: nothing of it is cached. */
static int load_file(struct run_thread *thread, const struct run_object *object)
{
	struct run *run = thread->run;
	uint64_t nr_pages = verify_pages(object->target.object);
	uint64_t *data = aligned_alloc(NEAP_PAGE_SIZE, NEAP_PAGE_SIZE);
	uint64_t tag = 0;
	int error = data == NULL ? -ENOMEM : 0;

	if (data != NULL)
		memset(data, 0x5a, NEAP_PAGE_SIZE);
	for (uint64_t page = 0; page < nr_pages && error == 0; page++) {
		if (page % POLL_EVERY == 0 && !run_poll(run, 0))
			break;
		if (object->job->path == NULL)
			verify_load(object->target.object, page, run->options->tags ? NULL : data,
				    &tag);
		error = neap_file_load(object->target.file, page, data, tag);
	}
	free(data);
	return error;
}

static void do_file(struct run_thread *thread)
{
	struct run_object *object = object_of(thread);
	const struct job_object *job = object->job;
	bool made = job->path == NULL || !job->exists;
	uint32_t flags = job->path != NULL && !job->exists ? NEAP_FILE_CREATE : 0;
	int error = neap_file_open(thread->run->machine, job->path, job->bytes, flags,
				   &object->target.file);

	if (error != 0) {
		object->target.file = NULL;
		fail(thread, "file", error);
		return;
	}
	if (job->path != NULL)
		object->target.user_bytes = neap_file_bytes(object->target.file);
	if (!add_pages(thread, job->path != NULL ? VERIFY_USER_FILE : VERIFY_FILE,
		       neap_file_bytes(object->target.file)))
		return;
	error = made ? load_file(thread, object) : 0;
	if (error != 0)
		fail(thread, "writing the first contents of", error);
}

static void do_mapfile(struct run_thread *thread)
{
	struct run_object *object = object_of(thread);
	const struct run_object *file = &thread->run->objects[object->job->file];
	int error;

	object->target = file->target;
	error = neap_region_map(file->target.file, object->job->flags, &object->target.region);
	if (error != 0) {
		object->target = (struct access_target){ 0 };
		fail(thread, "mapfile", error);
	}
}

/* ---- accesses ---- */

/* Performs a thread's share of a touch, read or write. */
static void play_accesses(struct run_thread *thread, enum access_kind kind)
{
	const struct job_command *command = thread->command;
	const struct access_target *target = &object_of(thread)->target;
	struct access access = { .kind = kind };
	struct pageseq seq;
	uint64_t since_poll = 0;
	int error = 0;

	pageseq_start(&seq, command->order, verify_pages(target->object), thread->seed);
	for (uint64_t i = 0; i < thread->nr_accesses && error == 0; i++) {
		access.page = pageseq_next(&seq);
		access.index = access.page;
		access.nth = i;
		error = access_perform(thread->verify, target, &access);
		if (++since_poll == POLL_EVERY) {
			since_poll = 0;
			if (!run_poll(thread->run, POLL_EVERY))
				break;
		}
	}
	run_poll(thread->run, since_poll);
	if (error != 0)
		fail(thread, "an access to", error);
}

static int touch_body(void *arg)
{
	struct run_thread *thread = arg;

	play_accesses(thread, thread->command->read_only ? ACCESS_READ : ACCESS_WRITE);
	return 0;
}

/*
 * Thread i of a touch makes count / threads accesses, seeded S + 7919 * i; thread 0 is the caller.
 */
static void do_touch(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct run *run = thread->run;
	uint32_t nr = command->threads;
	struct run_thread *helpers = calloc(nr, sizeof(*helpers));
	uint32_t started = 0;

	thread->nr_accesses = command->count / nr;
	thread->seed = command->seed;
	if (helpers == NULL) {
		fail(thread, "threads for", -ENOMEM);
		return;
	}
	for (; started + 1 < nr; started++) {
		struct run_thread *helper = &helpers[started];

		if (!run_prepare_thread(run, command, helper))
			break;
		helper->nr_accesses = thread->nr_accesses;
		helper->seed = command->seed + PAGESEQ_THREAD_SEED_STEP * (uint64_t)(started + 1);
		if (run_start_thread(helper, touch_body) != 0)
			break;
	}
	touch_body(thread);
	for (uint32_t i = 0; i < started; i++)
		neap_thread_join(run->machine, helpers[i].thread);
	free(helpers);
}

static void do_io(struct run_thread *thread, enum access_kind kind)
{
	thread->nr_accesses = thread->command->count;
	thread->seed = thread->command->seed;
	play_accesses(thread, kind);
}

static void do_fill(struct run_thread *thread)
{
	const struct access_target *target = &object_of(thread)->target;
	uint64_t nr_pages = verify_pages(target->object);
	int error = 0;

	for (uint64_t page = 0; page < nr_pages && error == 0; page++) {
		struct access access = { .kind = ACCESS_OVERWRITE,
					 .page = page,
					 .index = page,
					 .fill = thread->command->fill };

		error = access_perform(thread->verify, target, &access);
		if (page % POLL_EVERY == POLL_EVERY - 1 && !run_poll(thread->run, POLL_EVERY))
			break;
	}
	if (error != 0)
		fail(thread, "an access to", error);
}

static void do_replay(struct run_thread *thread)
{
	struct run *run = thread->run;
	struct run_object *object = object_of(thread);
	int error = replay_start(run->machine, run->verify, object->job->name, object->job->trace,
				 &object->replay);

	if (error != 0) {
		object->replay = NULL;
		if (is_of_the_world(error))
			run_fail(run, thread->command->line, RUN_WORLD_FAILED,
				 "setting up the replay of %s: %s --tmp DIR names another place",
				 object->job->name, neap_machine_error(run->machine));
		else
			fail(thread, "setting up the replay of", error);
		return;
	}
	error = replay_run(object->replay, thread->verify, run_poll, run);
	if (error != 0)
		fail(thread, "the replay of", error);
}

/* ---- advice and knobs ---- */

static int free_pages(struct run_thread *thread, uint64_t first, uint64_t nr)
{
	const struct run_object *object = object_of(thread);
	bool memory = object->job->kind == JOB_ANON;
	int64_t released;

	/* Unmapping a file's page changes nothing in the file. */
	if (memory)
		verify_release_begin(object->target.object, first, nr);
	released = neap_release(object->target.region, first, nr);
	if (memory)
		verify_release_end(object->target.object, first, nr, released >= 0);
	return released < 0 ? (int)released : 0;
}

static void do_free(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	const struct run_object *object = object_of(thread);
	uint64_t nr_pages = verify_pages(object->target.object);
	int64_t dropped;
	int error = 0;

	if (object->job->kind == JOB_FILE) {
		dropped = neap_file_drop(object->target.file);
		error = dropped < 0 ? (int)dropped : 0;
	} else if (command->every == 1) {
		error = free_pages(thread, 0, nr_pages);
	} else {
		for (uint64_t page = command->offset; page < nr_pages && error == 0;
		     page += command->every) {
			error = free_pages(thread, page, 1);
			if (page / command->every % POLL_EVERY == 0 && !run_poll(thread->run, 0))
				break;
		}
	}
	if (error != 0)
		note(thread, "free", error);
}

static void do_advise(struct run_thread *thread)
{
	const struct access_target *target = &object_of(thread)->target;
	enum neap_advice advice = thread->command->advice;
	bool lazy = advice == NEAP_LAZYFREE && target->file == NULL;
	int error;

	if (lazy)
		verify_lazy_begin(target->object);
	if (target->region == NULL)
		error = neap_file_advise(target->file, 0, verify_pages(target->object), advice);
	else if (advice == NEAP_DONTNEED)
		error = free_pages(thread, 0, verify_pages(target->object));
	else
		error = neap_advise(target->region, 0, verify_pages(target->object), advice);
	if (lazy)
		verify_lazy_end(target->object);
	if (error == -ENOTSUP || error == -EINVAL)
		fail(thread, "advise", error);
	else if (error != 0)
		note(thread, "advise", error);
}

static void do_sysctl(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	int64_t used = neap_sysctl_write(thread->run->machine, command->name, command->text,
					 strlen(command->text));

	if (used < 0)
		run_note(thread->run, command->line, "sysctl %s %s: %s", command->name,
			 command->text, strerror((int)-used));
}

/* A line that the summary and the log of the run show. */
static void note_result(struct run *run, const char *line)
{
	pthread_mutex_lock(&run->mutex);
	fprintf(run->notes, "%s\n", line);
	if (run->log != NULL)
		fprintf(run->log, "#   %s\n", line);
	pthread_mutex_unlock(&run->mutex);
}

/* Writes nr_hugepages and says what was obtained: fewer than asked for is no error. */
static void do_hugepages(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct run *run = thread->run;
	char have[32] = "";
	char line[96];
	int64_t used = neap_sysctl_write(run->machine, command->name, command->text,
					 strlen(command->text));

	if (used >= 0)
		used = neap_sysctl_read(run->machine, command->name, have, sizeof(have));
	if (used < 0) {
		note(thread, "hugepages", (int)used);
		return;
	}
	have[strcspn(have, "\n")] = '\0';
	snprintf(line, sizeof(line), "asked %.30s hugepages, have %s", command->text, have);
	note_result(run, line);
}

static void do_freeze(struct run_thread *thread)
{
	struct neap_machine *machine = thread->run->machine;
	bool freeze = thread->command->on;
	int error = freeze ? neap_freeze(machine) : neap_thaw(machine);

	if (error == -EINVAL && !freeze)
		run_note(thread->run, thread->command->line,
			 "thaw: nothing is frozen; each thaw needs a freeze before it");
	else if (error != 0)
		note(thread, freeze ? "freeze" : "thaw", error);
}

static int write_thp_file(struct run_thread *thread, const char *file, const char *text)
{
	char path[80];
	int64_t used;

	snprintf(path, sizeof(path), "/sys/kernel/mm/transparent_hugepage/%s", file);
	used = neap_sysctl_write(thread->run->machine, path, text, strlen(text));
	return used < 0 ? (int)used : 0;
}

static void do_thp(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	int error = write_thp_file(thread, "enabled", command->name);

	if (error == 0 && command->text != NULL)
		error = write_thp_file(thread, "defrag", command->text);
	if (error != 0)
		note(thread, "thp", error);
}

static void do_policy(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	int error = neap_set_policy(thread->run->machine, command->policy, command->nodes);

	if (error != 0)
		refuse(thread, "policy");
}

static void do_mems(struct run_thread *thread)
{
	int error = neap_set_mems(thread->run->machine, thread->command->nodes);

	if (error != 0)
		refuse(thread, "mems");
}

/* 1: clean pages of files, 2: what shrinkers give up, 3: both. */
static void do_drop(struct run_thread *thread)
{
	char text[2] = { (char)('0' + thread->command->count), '\0' };
	int64_t used = neap_sysctl_write(thread->run->machine, "drop_caches", text, 1);

	if (used < 0)
		note(thread, "drop", (int)used);
}

/* Reclaims from the whole machine, and says how much that was. */
static void do_shrink(struct run_thread *thread)
{
	uint64_t wanted = thread->command->count;
	int64_t freed = neap_shrink_all(thread->run->machine, wanted);
	char line[80];

	if (freed < 0) {
		note(thread, "shrink", (int)freed);
		return;
	}
	snprintf(line, sizeof(line), "asked to reclaim %llu pages, got %lld",
		 (unsigned long long)wanted, (long long)freed);
	note_result(thread->run, line);
}

static void set_swap_area(struct run *run, uint64_t disk, int area)
{
	pthread_mutex_lock(&run->mutex);
	run->swap_area[disk] = area;
	pthread_mutex_unlock(&run->mutex);
}

static void do_swapon(struct run_thread *thread)
{
	struct run *run = thread->run;
	const char *priority = thread->command->text;
	uint64_t disk = thread->command->count - 1;
	char area[512];
	unsigned int number;

	snprintf(area, sizeof(area), "%s%s%s,disk=%u", run->options->swap_disk[disk],
		 priority != NULL ? ",pri=" : "", priority != NULL ? priority : "",
		 (unsigned int)disk + 1);
	int error = neap_swapon(run->machine, area, &number);

	if (error != 0)
		run_note(run, thread->command->line, "swapon %u: %s", (unsigned int)disk + 1,
			 neap_machine_error(run->machine));
	else
		set_swap_area(run, disk, (int)number);
}

/* Takes the area's number, so that of two swapoffs of one disk only one has it. */
static int take_swap_area(struct run *run, uint64_t disk)
{
	pthread_mutex_lock(&run->mutex);
	int area = run->swap_area[disk];

	run->swap_area[disk] = -1;
	pthread_mutex_unlock(&run->mutex);
	return area;
}

static void do_swapoff(struct run_thread *thread)
{
	struct run *run = thread->run;
	uint64_t disk = thread->command->count - 1;
	int area = take_swap_area(run, disk);

	if (area < 0) {
		run_note(run, thread->command->line, "swapoff %u: the disk is not switched on",
			 (unsigned int)disk + 1);
		return;
	}
	int error = neap_swapoff(run->machine, (unsigned int)area);

	if (error == 0)
		return;
	set_swap_area(run, disk, area);
	run_note(run, thread->command->line, "swapoff %u: %s", (unsigned int)disk + 1,
		 neap_machine_error(run->machine));
}

static void do_fsync(struct run_thread *thread)
{
	const struct run_object *object = object_of(thread);
	int error = neap_file_sync(object->target.file);

	if (error == 0)
		return;
	verify_set_reported(object->target.object);
	run_note(thread->run, thread->command->line, "fsync %s reports that data were lost: %s",
		 object->job->name, strerror(-error));
}

static void do_cpu(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	int error = neap_set_cpu(thread->run->machine, (uint32_t)command->count);

	if (error != 0)
		run_fail(thread->run, command->line, RUN_FAILED, "the machine has no CPU %" PRIu64,
			 command->count);
	else
		thread->run->cpu = (int)command->count;
}

/* A refusal is an answer if the job said `try`. */
static void plug_result(struct run_thread *thread, const char *what, int error)
{
	struct run *run = thread->run;
	const struct job_command *command = thread->command;
	bool refused = error == -EBUSY && command->may_fail;

	if (error != 0 && !refused) {
		run_fail(run, command->line, RUN_FAILED, "%s: %s", what,
			 neap_machine_error(run->machine));
		return;
	}
	pthread_mutex_lock(&run->mutex);
	if (run->log != NULL)
		fprintf(run->log, "#   %s %" PRIu64 ": %s\n", what, command->count,
			refused ? "refused" : "done");
	pthread_mutex_unlock(&run->mutex);
}

static void do_cpu_state(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct neap_machine *machine = thread->run->machine;
	uint32_t cpu = (uint32_t)command->count;

	if (command->on)
		plug_result(thread, "cpu online", neap_cpu_online(machine, cpu));
	else
		plug_result(thread, "cpu offline", neap_cpu_offline(machine, cpu));
}

static void do_memory_add(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	uint32_t first;

	plug_result(thread, "memory add",
		    neap_memory_add(thread->run->machine, command->object, command->count, &first));
}

static void do_memory_state(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct neap_machine *machine = thread->run->machine;
	uint32_t block = (uint32_t)command->count;

	if (command->on)
		plug_result(thread, "memory online",
			    neap_memory_online(machine, block,
					       (enum neap_memory_use)command->every));
	else
		plug_result(thread, "memory offline", neap_memory_offline(machine, block));
}

static void do_memory_remove(struct run_thread *thread)
{
	const struct job_command *command = thread->command;

	plug_result(thread, "memory remove",
		    neap_memory_remove(thread->run->machine, (uint32_t)command->count,
				       (uint32_t)command->every));
}

/* => false when the run ends meanwhile */
static bool sleep_ns(struct run *run, uint64_t ns)
{
	if (!run->options->live) {
		neap_sleep(run->machine, ns);
		return run_poll(run, 0);
	}
	while (ns > 0) {
		uint64_t slice = min_u64(ns, SLEEP_SLICE_NS);

		neap_sleep(run->machine, slice);
		ns -= slice;
		if (!run_poll(run, 0) || atomic_load(&run->finished))
			return false;
	}
	return true;
}

/* The first snapshot begins the log; the directory is known to be there then. */
static FILE *open_log(const struct run *run)
{
	char path[4096];
	int length = snprintf(path, sizeof(path), "%s/log.txt", run->options->out_dir);

	return length < 0 || (size_t)length >= sizeof(path) ? NULL : fopen(path, "we");
}

/* "start end snapshot LABEL", as the recorded kernels' log.txt says it. */
static void log_snapshot(struct run_thread *thread, uint64_t from_ns, const char *label)
{
	struct run *run = thread->run;
	uint64_t to_ns = neap_now(run->machine);
	bool fine;

	pthread_mutex_lock(&run->mutex);
	if (run->log == NULL)
		run->log = open_log(run);
	fine = run->log != NULL &&
	       fprintf(run->log,
		       "%" PRIu64 ".%06" PRIu64 " %" PRIu64 ".%06" PRIu64 " snapshot %s\n",
		       from_ns / NSEC_PER_SEC, from_ns % NSEC_PER_SEC / NSEC_PER_USEC,
		       to_ns / NSEC_PER_SEC, to_ns % NSEC_PER_SEC / NSEC_PER_USEC, label) > 0;
	pthread_mutex_unlock(&run->mutex);
	if (!fine)
		run_fail(run, thread->command->line, RUN_WORLD_FAILED, "%s/log.txt: %s",
			 run->options->out_dir, strerror(errno));
}

static void save_snapshot(struct run_thread *thread, const char *label)
{
	struct run *run = thread->run;
	const struct run_observer *observer = run->options->observer;
	uint64_t from_ns = 0;
	char dir[4096];
	int length;
	int error;

	if (observer != NULL && observer->snapshot != NULL)
		observer->snapshot(observer->ctx, run->machine, label);
	if (run->options->out_dir == NULL) {
		__atomic_fetch_add(&run->result->snapshots_not_saved, 1, __ATOMIC_RELAXED);
		return;
	}
	from_ns = neap_now(run->machine);
	length = snprintf(dir, sizeof(dir), "%s/%s", run->options->out_dir, label);
	error = length < 0 || (size_t)length >= sizeof(dir) ? -ENAMETOOLONG
							    : neap_snapshot_save(run->machine, dir);
	if (error != 0)
		run_fail(run, thread->command->line, RUN_WORLD_FAILED, "snapshot to %s: %s", dir,
			 strerror(-error));
	else
		log_snapshot(thread, from_ns, label);
}

int run_periodic(void *arg)
{
	struct run_thread *thread = arg;
	struct run *run = thread->run;
	char label[96];

	for (uint32_t i = 1;; i++) { /* event loop, ends with the script */
		if (!sleep_ns(run, thread->command->sleep_ms * NSEC_PER_MSEC) ||
		    atomic_load(&run->finished))
			return 0;
		snprintf(label, sizeof(label), "%s.%04u", thread->command->name, i);
		save_snapshot(thread, label);
	}
}

/* ---- blocks and digests ---- */

static void do_alloc(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct run_object *object = object_of(thread);

	object->blocks = calloc(command->count + 1, sizeof(*object->blocks));
	if (object->blocks == NULL) {
		fail(thread, "a list of blocks for", -ENOMEM);
		return;
	}
	while (object->nr_blocks < command->count && run_poll(thread->run, 0)) {
		int error =
			neap_block_alloc(thread->run->machine, command->block_order, command->gfp,
					 object->job->node, &object->blocks[object->nr_blocks]);

		if (error == 0) {
			object->nr_blocks++;
			continue;
		}
		atomic_fetch_add(&thread->run->failed_blocks, command->count - object->nr_blocks);
		if (!command->may_fail || error != -ENOMEM)
			run_fail(thread->run, command->line, RUN_FAILED,
				 "block %" PRIu64 " of %" PRIu64 " (order %u) of %s: %s",
				 object->nr_blocks + 1, command->count, command->block_order,
				 object->job->name, strerror(-error));
		break;
	}
}

static void do_range(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct run_object *object = object_of(thread);
	int error;

	object->blocks = calloc(1, sizeof(*object->blocks));
	if (object->blocks == NULL) {
		fail(thread, "the record of", -ENOMEM);
		return;
	}
	if (command->op == JOB_OP_CMA)
		error = neap_cma_alloc(thread->run->machine, object->job->bytes,
				       &object->blocks[0]);
	else
		error = neap_range_alloc(thread->run->machine, object->job->bytes,
					 object->job->node, &object->blocks[0]);
	if (error == 0) {
		object->nr_blocks = 1;
		return;
	}
	atomic_fetch_add(&thread->run->failed_blocks, 1);
	if (!command->may_fail || error != -ENOMEM)
		fail(thread, "the range", error);
}

/* Blocks that stay keep their order, and are numbered anew. */
static void do_release(struct run_thread *thread)
{
	const struct job_command *command = thread->command;
	struct run_object *object = object_of(thread);
	uint64_t kept = 0;

	for (uint64_t i = 0; i < object->nr_blocks; i++) {
		if (i < command->offset || (i - command->offset) % command->every != 0)
			object->blocks[kept++] = object->blocks[i];
		else
			neap_block_free(thread->run->machine, object->blocks[i]);
	}
	object->nr_blocks = kept;
	if (kept != 0)
		return;
	free(object->blocks);
	object->blocks = NULL;
}

static void do_digest(struct run_thread *thread)
{
	struct run *run = thread->run;
	struct neap_file *file = object_of(thread)->target.file;
	uint8_t *chunk = malloc(DIGEST_CHUNK_BYTES);
	struct sha256 hash;
	char hex[SHA256_HEX_BYTES];
	uint64_t offset = 0;
	int64_t got = chunk == NULL ? -ENOMEM : 1;

	sha256_start(&hash);
	while (got > 0 && run_poll(run, 0)) {
		got = neap_file_read(file, offset, chunk, DIGEST_CHUNK_BYTES);
		if (got <= 0)
			break;
		sha256_add(&hash, chunk, (size_t)got);
		offset += (uint64_t)got;
	}
	free(chunk);
	if (got < 0)
		fail(thread, "reading all of", (int)got);
	if (got != 0)
		return;
	sha256_finish(&hash, hex);
	pthread_mutex_lock(&run->mutex);
	fprintf(run->digests, "digest %s %s\n", object_of(thread)->job->name, hex);
	pthread_mutex_unlock(&run->mutex);
}

static void do_read(struct run_thread *thread)
{
	do_io(thread, ACCESS_READ);
}

static void do_write(struct run_thread *thread)
{
	do_io(thread, ACCESS_OVERWRITE);
}

static void do_sleep(struct run_thread *thread)
{
	sleep_ns(thread->run, thread->command->sleep_ms * NSEC_PER_MSEC);
}

static void do_snapshot(struct run_thread *thread)
{
	save_snapshot(thread, thread->command->name);
}

static void do_nothing(struct run_thread *thread)
{
	(void)thread;
}

/* Those that are missing here are performed by the script itself, in run.c. */
static void (*const performers[])(struct run_thread *thread) = {
	[JOB_OP_ANON] = do_anon,
	[JOB_OP_FILE] = do_file,
	[JOB_OP_MAPFILE] = do_mapfile,
	[JOB_OP_TOUCH] = do_touch,
	[JOB_OP_READ] = do_read,
	[JOB_OP_WRITE] = do_write,
	[JOB_OP_FREE] = do_free,
	[JOB_OP_ADVISE] = do_advise,
	[JOB_OP_FILL] = do_fill,
	[JOB_OP_SYSCTL] = do_sysctl,
	[JOB_OP_DROP] = do_drop,
	[JOB_OP_SHRINK] = do_shrink,
	[JOB_OP_SWAPON] = do_swapon,
	[JOB_OP_SWAPOFF] = do_swapoff,
	[JOB_OP_FSYNC] = do_fsync,
	[JOB_OP_CPU] = do_cpu,
	[JOB_OP_CPU_STATE] = do_cpu_state,
	[JOB_OP_MEMORY_ADD] = do_memory_add,
	[JOB_OP_MEMORY_STATE] = do_memory_state,
	[JOB_OP_MEMORY_REMOVE] = do_memory_remove,
	[JOB_OP_SLEEP] = do_sleep,
	[JOB_OP_SNAPSHOT] = do_snapshot,
	[JOB_OP_ALLOC] = do_alloc,
	[JOB_OP_RELEASE] = do_release,
	[JOB_OP_REPLAY] = do_replay,
	[JOB_OP_DIGEST] = do_digest,
	[JOB_OP_NOTHING] = do_nothing,
	[JOB_OP_HUGEPAGES] = do_hugepages,
	[JOB_OP_THP] = do_thp,
	[JOB_OP_POLICY] = do_policy,
	[JOB_OP_MEMS] = do_mems,
	[JOB_OP_RANGE] = do_range,
	[JOB_OP_CMA] = do_range,
	[JOB_OP_FREEZE] = do_freeze,
};

void run_command(struct run_thread *thread)
{
	enum job_op op = thread->command->op;

	CHECK((size_t)op < ARRAY_LEN(performers) && performers[op] != NULL);
	performers[op](thread);
}
