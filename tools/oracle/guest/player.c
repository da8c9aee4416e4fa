/*
 * The program that plays a job inside a recorded kernel, and saves what the kernel says.
 *
 *   job file ── one command a line ── system calls ──> the kernel under observation
 *                                  └─ snapshot ──> /proc, /sys ──> records on a raw disk
 *
 * A record is a header of 512 bytes, "neap-record BYTES NAME", and the file's bytes, padded to
 * 512. They are written with O_DIRECT from one locked buffer, and all memory of this
 * program is locked before the first snapshot, so that saving moves no counter of the page
 * cache and reclaim finds nothing of ours to take but the job's own pages.
 *
 * The page sequences are src/job/pageseq.c, the simulator's own: it is compiled in, so that
 * both sides touch the same pages in the same order.
 *
 * What must never happen: a command that fails and is passed over. What the kernel refuses
 * is a line of log.txt; what this program cannot do ends it, and the recording is thrown
 * away.
 *
 * Run as: player JOB DISK; - instead of a disk records nothing. It belongs to tools/oracle and is
 * linked statically.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/size.h"
#include "job/pageseq.h"

#define PAGE 4096u
#define RECORD 512u
#define MAX_WORDS 24u
#define MAX_OBJECTS 64u
#define MAX_BESIDE 8u
#define MAX_THREADS 64u
#define TEXT_BYTES (256u << 10)
#define BUFFER_BYTES (1u << 20)
#define HUGE_PAGE (2u << 20)
#define MPOL_STRICT 2

struct object {
	char name[32];
	char *memory; /* NULL: a file */
	uint64_t bytes;
	int fd; /* -1: memory */
};

struct words {
	uint32_t nr;
	char *word[MAX_WORDS];
	char text[512];
};

static struct object objects[MAX_OBJECTS];
static uint32_t nr_objects;
static char text[TEXT_BYTES];
static char buffer[BUFFER_BYTES] __attribute__((aligned(PAGE)));
static size_t buffered;
static int disk = -1;
static off_t disk_at;
static char journal[64u << 10]; /* becomes log.txt */
static size_t journal_used;
static char group[128]; /* directory of the job's control group */
static bool tracing;

static void die(const char *what)
{
	printf("player: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* What the page sequences call when they were called wrongly (base/check.h). */
void check_fail(const char *file, int line, const char *what)
{
	printf("player: %s:%d: %s does not hold\n", file, line, what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
		die("clock");
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t room = sizeof(journal) - journal_used;
	va_list args;

	va_start(args, format);
	int length = vsnprintf(journal + journal_used, room, format, args);

	va_end(args);
	if (length < 0 || (size_t)length >= room) {
		errno = ENOSPC;
		die("log.txt");
	}
	fputs(journal + journal_used, stdout);
	fflush(stdout);
	journal_used += (size_t)length;
}

/* ---- records ---- */

static void disk_flush(void)
{
	if (disk >= 0 && buffered != 0 &&
	    pwrite(disk, buffer, buffered, disk_at) != (ssize_t)buffered)
		die("result disk");
	disk_at += (off_t)buffered;
	buffered = 0;
}

static void disk_add(const char *bytes, size_t nr)
{
	for (size_t done = 0; done < nr;) {
		size_t part = nr - done;

		if (part > sizeof(buffer) - buffered)
			part = sizeof(buffer) - buffered;
		memcpy(buffer + buffered, bytes + done, part);
		buffered += part;
		done += part;
		if (buffered == sizeof(buffer))
			disk_flush();
	}
}

static void record(const char *name, const char *bytes, size_t nr)
{
	static const char zeroes[RECORD];
	char header[RECORD] = "";

	snprintf(header, sizeof(header), "neap-record %zu %s\n", nr, name);
	disk_add(header, sizeof(header));
	disk_add(bytes, nr);
	disk_add(zeroes, (RECORD - nr % RECORD) % RECORD);
}

/* => bytes of the file in `text`, or -1 if it cannot be read */
static ssize_t take_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t used = 0;
	ssize_t got;

	if (fd < 0)
		return -1;
	while ((got = read(fd, text + used, sizeof(text) - 1 - (size_t)used)) > 0)
		used += got;
	close(fd);
	text[used] = '\0';
	return used;
}

static void record_file(const char *label, const char *name, const char *path)
{
	char full[256];
	ssize_t bytes = take_file(path);

	if (bytes < 0)
		return;
	snprintf(full, sizeof(full), "%s/%s", label, name);
	record(full, text, (size_t)bytes);
}

/* Every setting of a directory as a line "NAME = VALUE". */
static void record_settings(const char *label, const char *name, const char *directory)
{
	static char lines[TEXT_BYTES / 4];
	struct dirent **entry;
	size_t used = 0;
	char path[512];
	int nr = scandir(directory, &entry, NULL, alphasort);

	for (int i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.' && take_file(path) > 0 && used < sizeof(lines) - 600)
			used += (size_t)snprintf(lines + used, sizeof(lines) - used, "%s = %.*s\n",
						 entry[i]->d_name, (int)strcspn(text, "\n"), text);
		free(entry[i]);
	}
	if (nr >= 0)
		free(entry);
	snprintf(path, sizeof(path), "%s/%s", label, name);
	record(path, lines, used);
}

/* What a simulation that begins here must know besides the counters. */
static void record_machine(const char *label)
{
	char path[128], name[64];

	record_settings(label, "sysctl_vm.txt", "/proc/sys/vm");
	for (int node = 0; node < 8; node++) {
		static const char *const files[] = { "cpulist", "distance" };

		for (size_t i = 0; i < 2; i++) {
			snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/%s", node,
				 files[i]);
			snprintf(name, sizeof(name), "node%d/%s", node, files[i]);
			record_file(label, name, path);
		}
	}
	record_file(label, "thp_enabled", "/sys/kernel/mm/transparent_hugepage/enabled");
	record_file(label, "thp_defrag", "/sys/kernel/mm/transparent_hugepage/defrag");
	record_file(label, "swap_rotational", "/sys/block/vdb/queue/rotational");
}

/* ---- writing settings ---- */

static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error = fd < 0 || write(fd, value, strlen(value)) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (error != 0)
		note("#   write %s to %s: %s\n", value, path, strerror(error));
}

static void snapshot(const char *label)
{
	static const char *const saved[][2] = {
		{ "vmstat", "/proc/vmstat" },
		{ "zoneinfo", "/proc/zoneinfo" },
		{ "buddyinfo", "/proc/buddyinfo" },
		{ "meminfo", "/proc/meminfo" },
		{ "pagetypeinfo", "/proc/pagetypeinfo" },
		{ "swaps", "/proc/swaps" },
		{ "pressure_memory", "/proc/pressure/memory" },
		{ "extfrag_index", "/sys/kernel/debug/extfrag/extfrag_index" },
		{ "unusable_index", "/sys/kernel/debug/extfrag/unusable_index" },
	};
	static const char *const of_group[] = { "memory.current", "memory.stat", "memory.events",
						"memory.pressure", "memory.swap.current" };
	char name[64], path[256];

	note("# snapshot %s at %.6f\n", label, now());
	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++)
		record_file(label, saved[i][0], saved[i][1]);
	for (size_t i = 0; group[0] != '\0' && i < sizeof(of_group) / sizeof(of_group[0]); i++) {
		snprintf(name, sizeof(name), "cgroup.%s", of_group[i]);
		snprintf(path, sizeof(path), "%s/%s", group, of_group[i]);
		record_file(label, name, path);
	}
	disk_flush();
	if (tracing) {
		snprintf(name, sizeof(name), "snapshot %s", label);
		set("/sys/kernel/tracing/trace_marker", name);
	}
}

/* ---- words ---- */

static const char *option(const struct words *w, const char *key)
{
	size_t length = strlen(key);

	for (uint32_t i = 1; i < w->nr; i++)
		if (strncmp(w->word[i], key, length) == 0 && w->word[i][length] == '=')
			return w->word[i] + length + 1;
	return NULL;
}

static bool has(const struct words *w, const char *key)
{
	for (uint32_t i = 1; i < w->nr; i++)
		if (strcmp(w->word[i], key) == 0)
			return true;
	return false;
}

static uint64_t number(const struct words *w, const char *key, uint64_t otherwise)
{
	const char *value = option(w, key);

	return value != NULL ? strtoull(value, NULL, 0) : otherwise;
}

static struct object *object_new(const struct words *w)
{
	struct object *o = &objects[nr_objects++];

	if (nr_objects > MAX_OBJECTS || w->nr < 3) {
		errno = EINVAL;
		die("objects");
	}
	snprintf(o->name, sizeof(o->name), "%s", w->word[1]);
	o->fd = -1;
	return o;
}

static struct object *object(const char *name)
{
	for (uint32_t i = 0; i < nr_objects; i++)
		if (strcmp(objects[i].name, name) == 0)
			return &objects[i];
	errno = ENOENT;
	die(name);
	return NULL;
}

static void split(struct words *w, const char *line)
{
	char *rest;

	w->nr = 0;
	snprintf(w->text, sizeof(w->text), "%.*s", (int)strcspn(line, "#\n"), line);
	for (char *word = strtok_r(w->text, " \t", &rest); word != NULL && w->nr < MAX_WORDS;
	     word = strtok_r(NULL, " \t", &rest))
		w->word[w->nr++] = word;
}

/* ---- memory and files ---- */

static void do_anon(struct words *w)
{
	struct object *o = object_new(w);

	if (size_parse(w->word[2], &o->bytes) == 0)
		die(w->word[2]);
	char *memory = mmap(NULL, o->bytes + HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	o->memory = memory + (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
	if (has(w, "thp") && madvise(o->memory, o->bytes, MADV_HUGEPAGE) != 0)
		note("#   thp: %s\n", strerror(errno));
	if (has(w, "nothp") && madvise(o->memory, o->bytes, MADV_NOHUGEPAGE) != 0)
		note("#   nothp: %s\n", strerror(errno));
	if (option(w, "node") != NULL) {
		unsigned long mask = 1ul << number(w, "node", 0);

		if (syscall(SYS_mbind, o->memory, o->bytes, MPOL_STRICT, &mask, 64ul, 0) != 0)
			die("mbind");
	}
	if (has(w, "mlock") && mlock(o->memory, o->bytes) != 0)
		note("#   mlock: %s\n", strerror(errno));
}

static void do_file(struct words *w)
{
	struct object *o = object_new(w);
	char path[64];

	if (size_parse(w->word[2], &o->bytes) == 0)
		die(w->word[2]);
	snprintf(path, sizeof(path), "/mnt/%s", o->name);
	int fd = open(path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	disk_flush();
	memset(buffer, 'n', sizeof(buffer));
	for (uint64_t done = 0; done < o->bytes;) {
		uint64_t part = o->bytes - done < sizeof(buffer) ? o->bytes - done : sizeof(buffer);

		if (write(fd, buffer, part) != (ssize_t)part)
			die(path);
		done += part;
	}
	if (fsync(fd) != 0 || close(fd) != 0)
		die(path);
	o->fd = open(path, O_RDWR | O_CLOEXEC);
	if (o->fd < 0)
		die(path);
}

static void do_mapfile(struct words *w)
{
	struct object *o = object_new(w);
	const struct object *file = object(w->word[2]);

	o->bytes = file->bytes;
	o->memory = mmap(NULL, o->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (o->memory == MAP_FAILED)
		die("mapfile");
}

struct touch {
	const struct object *object;
	enum pageseq_order order;
	uint64_t count, seed;
	bool read_only;
	pthread_t thread;
};

static void *touch_thread(void *arg)
{
	const struct touch *touch = arg;
	struct pageseq seq;
	uint64_t sum = 0;

	pageseq_start(&seq, touch->order, touch->object->bytes / PAGE, touch->seed);
	for (uint64_t i = 0; i < touch->count; i++) {
		volatile uint64_t *page = (volatile uint64_t *)(void *)(touch->object->memory +
									pageseq_next(&seq) * PAGE);

		if (touch->read_only) {
			sum += *(volatile unsigned char *)page;
		} else {
			page[0] = i * 0x9E3779B97F4A7C15u + 1;
			page[PAGE / 16] = ~i;
		}
	}
	return (void *)(uintptr_t)sum;
}

static struct touch touch_of(const struct words *w)
{
	struct touch touch = { .object = object(w->word[1]),
			       .seed = number(w, "seed", PAGESEQ_DEFAULT_SEED),
			       .read_only = has(w, "ro") };

	touch.order = strcmp(w->word[2], "zipf") == 0	  ? PAGESEQ_ZIPF
		      : strcmp(w->word[2], "random") == 0 ? PAGESEQ_RANDOM
							  : PAGESEQ_SEQ;
	touch.count = strcmp(w->word[3], "all") == 0 ? touch.object->bytes / PAGE
						     : strtoull(w->word[3], NULL, 0);
	return touch;
}

static void do_touch(struct words *w)
{
	struct touch share[MAX_THREADS];
	uint64_t nr = number(w, "threads", 1);

	nr = nr < 1 ? 1 : nr > MAX_THREADS ? MAX_THREADS : nr;
	for (uint64_t i = 0; i < nr; i++) {
		share[i] = touch_of(w);
		share[i].count /= nr;
		share[i].seed += i * PAGESEQ_THREAD_SEED_STEP;
		if (i > 0 && pthread_create(&share[i].thread, NULL, touch_thread, &share[i]) != 0)
			die("thread");
	}
	touch_thread(&share[0]);
	for (uint64_t i = 1; i < nr; i++)
		pthread_join(share[i].thread, NULL);
}

static void do_transfer(struct words *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	struct touch touch = touch_of(w);
	bool writes = w->word[0][0] == 'w';
	struct pageseq seq;

	pageseq_start(&seq, touch.order, touch.object->bytes / PAGE, touch.seed);
	for (uint64_t i = 0; i < touch.count; i++) {
		off_t at = (off_t)(pageseq_next(&seq) * PAGE);

		memcpy(page, &i, sizeof(i));
		ssize_t done = writes ? pwrite(touch.object->fd, page, PAGE, at)
				      : pread(touch.object->fd, page, PAGE, at);

		if (done != (ssize_t)PAGE)
			die(w->word[0]);
	}
}

static void do_fill(struct words *w)
{
	const struct object *o = object(w->word[1]);
	bool random = strcmp(w->word[2], "random") == 0;
	bool half = strcmp(w->word[2], "half") == 0;
	uint64_t state = 1;

	for (uint64_t i = 0; i < o->bytes / 8; i++) {
		uint64_t in_page = i % (PAGE / 8);

		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		uint64_t value = random || (half && in_page < PAGE / 16)
					 ? state
					 : 0x2020202020202020u + (i / (PAGE / 8) & 63);

		memcpy(o->memory + i * 8, &value, 8);
	}
}

static void do_free(struct words *w)
{
	const struct object *o = object(w->word[1]);
	uint64_t every = number(w, "every", 1);
	int error = 0;

	if (o->fd >= 0)
		error = posix_fadvise(o->fd, 0, 0, POSIX_FADV_DONTNEED);
	else if (every <= 1)
		error = madvise(o->memory, o->bytes, MADV_DONTNEED);
	for (uint64_t i = number(w, "offset", 0); o->fd < 0 && every > 1 && i < o->bytes / PAGE;
	     i += every)
		error |= madvise(o->memory + i * PAGE, PAGE, MADV_DONTNEED);
	if (error != 0)
		die("free");
}

static void do_advise(struct words *w)
{
	const struct object *o = object(w->word[1]);
	int advice = strcmp(w->word[2], "cold") == 0	  ? MADV_COLD
		     : strcmp(w->word[2], "pageout") == 0 ? MADV_PAGEOUT
		     : strcmp(w->word[2], "free") == 0	  ? MADV_FREE
							  : MADV_WILLNEED;

	if (madvise(o->memory, o->bytes, advice) != 0)
		note("#   advise: %s\n", strerror(errno));
}

static void do_fsync(struct words *w)
{
	if (fsync(object(w->word[1])->fd) != 0)
		die("fsync");
}

/* ---- the kernel's knobs ---- */

static void do_thp(struct words *w)
{
	const char *mode = strcmp(w->word[1], "on") == 0    ? "always"
			   : strcmp(w->word[1], "off") == 0 ? "never"
							    : w->word[1];

	set("/sys/kernel/mm/transparent_hugepage/enabled", mode);
	if (w->nr > 2)
		set("/sys/kernel/mm/transparent_hugepage/defrag", w->word[2]);
}

static void do_khugepaged(struct words *w)
{
	bool on = strcmp(w->word[1], "on") == 0;

	set("/sys/kernel/mm/transparent_hugepage/khugepaged/defrag", on ? "1" : "0");
	set("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
	    on ? "10000" : "4000000000");
}

static void do_hugepages(struct words *w)
{
	set("/proc/sys/vm/nr_hugepages", w->word[1]);
	if (take_file("/proc/sys/vm/nr_hugepages") > 0)
		note("#   asked %s hugepages, have %s", w->word[1], text);
}

static void do_sysctl(struct words *w)
{
	char path[128], value[256] = "";
	size_t used = 0;

	for (uint32_t i = 2; i < w->nr && used < sizeof(value); i++)
		used += (size_t)snprintf(value + used, sizeof(value) - used, "%s%s",
					 i > 2 ? " " : "", w->word[i]);
	snprintf(path, sizeof(path), "/proc/sys/vm/%s", w->word[1]);
	set(path, value);
}

static void do_compact(struct words *w)
{
	char path[64] = "/proc/sys/vm/compact_memory";

	if (w->nr > 1)
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%.8s/compact",
			 w->word[1]);
	set(path, "1");
}

static void do_drop(struct words *w)
{
	set("/proc/sys/vm/drop_caches", w->word[1]);
}

static void do_mglru(struct words *w)
{
	set("/sys/kernel/mm/lru_gen/enabled", strcmp(w->word[1], "on") == 0 ? "y" : "n");
}

static void do_cgroup(struct words *w)
{
	static const char *const limits[] = { "max", "high", "low", "min", "swap.max" };
	char path[192];

	set("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	snprintf(group, sizeof(group), "/sys/fs/cgroup/%.64s", w->word[1]);
	if (mkdir(group, 0755) != 0)
		die(group);
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (option(w, limits[i]) == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/memory.%s", group, limits[i]);
		set(path, option(w, limits[i]));
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	set(path, "0");
}

static void do_reclaim(struct words *w)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/memory.reclaim", group);
	set(path, w->word[1]);
}

static void do_cpu(struct words *w)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(strtoul(w->word[1], NULL, 0), &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0)
		die("cpu");
}

static void do_trace(struct words *w)
{
	const char *value = strcmp(w->word[1], "on") == 0 ? "1" : "0";

	if (!tracing)
		return;
	set("/sys/kernel/tracing/tracing_on", value);
	set("/sys/kernel/tracing/instances/kmem/tracing_on", value);
}

/* ---- swap areas ---- */

static const char *swap_disk(const struct words *w)
{
	return w->word[1][0] == '2' ? "/dev/vde" : "/dev/vdb";
}

/* The first page of a swap area: version, last page, magic; spec 13, section 1. */
static void swap_format(const char *path)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	uint32_t header[2] = { 1, (uint32_t)(lseek(fd, 0, SEEK_END) / PAGE - 1) };

	memcpy(page + 1024, header, sizeof(header));
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, page, PAGE, 0) != (ssize_t)PAGE || fsync(fd) != 0 || close(fd) != 0)
		die(path);
}

static void do_swapon(struct words *w)
{
	int flags = 0;

	if (w->nr > 2)
		flags = SWAP_FLAG_PREFER | (atoi(w->word[2]) & SWAP_FLAG_PRIO_MASK);
	swap_format(swap_disk(w));
	if (swapon(swap_disk(w), flags) != 0)
		die("swapon");
}

static void do_swapoff(struct words *w)
{
	double began = now();
	int error = swapoff(swap_disk(w)) != 0 ? errno : 0;

	note("#   swapoff %s: %s after %.3f s\n", w->word[1], error != 0 ? strerror(error) : "done",
	     now() - began);
}

/* ---- the script ---- */

static void do_sleep(struct words *w)
{
	uint64_t ms = strtoull(w->word[1], NULL, 0);
	struct timespec pause = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

	while (nanosleep(&pause, &pause) != 0) /* a signal: the rest of it */
		;
}

static void do_snapshot(struct words *w)
{
	snapshot(w->word[1]);
}

struct beside {
	pthread_t thread;
	struct words words;
};

static struct beside beside[MAX_BESIDE];
static uint32_t nr_beside;

static void perform(struct words *w);

static void *beside_thread(void *arg)
{
	perform(arg);
	return NULL;
}

static void do_bg(struct words *w)
{
	struct beside *b = &beside[nr_beside++];

	if (nr_beside > MAX_BESIDE) {
		errno = EAGAIN;
		die("bg");
	}
	b->words = *w;
	b->words.nr--;
	/* The words point into a text of their own. */
	for (uint32_t i = 0; i < b->words.nr; i++)
		b->words.word[i] = b->words.text + (w->word[i + 1] - w->text);
	if (pthread_create(&b->thread, NULL, beside_thread, &b->words) != 0)
		die("bg");
}

static void do_wait(struct words *w)
{
	(void)w;
	while (nr_beside > 0)
		pthread_join(beside[--nr_beside].thread, NULL);
}

static void do_nothing(struct words *w)
{
	(void)w;
}

static const struct {
	const char *name;
	uint32_t nr_words; /* at least, the name included */
	void (*run)(struct words *w);
} commands[] = {
	{ "machine", 1, do_nothing },
	{ "anon", 3, do_anon },
	{ "file", 3, do_file },
	{ "mapfile", 3, do_mapfile },
	{ "touch", 4, do_touch },
	{ "read", 4, do_transfer },
	{ "write", 4, do_transfer },
	{ "fill", 3, do_fill },
	{ "free", 2, do_free },
	{ "advise", 3, do_advise },
	{ "fsync", 2, do_fsync },
	{ "thp", 2, do_thp },
	{ "khugepaged", 2, do_khugepaged },
	{ "hugepages", 2, do_hugepages },
	{ "sysctl", 3, do_sysctl },
	{ "compact", 1, do_compact },
	{ "drop", 2, do_drop },
	{ "mglru", 2, do_mglru },
	{ "cgroup", 2, do_cgroup },
	{ "reclaim", 2, do_reclaim },
	{ "cpu", 2, do_cpu },
	{ "trace", 2, do_trace },
	{ "swapon", 2, do_swapon },
	{ "swapoff", 2, do_swapoff },
	{ "sleep", 2, do_sleep },
	{ "snapshot", 2, do_snapshot },
	{ "bg", 2, do_bg },
	{ "wait", 1, do_wait },
};

static void perform(struct words *w)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, w->word[0]) == 0 && w->nr >= commands[i].nr_words) {
			commands[i].run(w);
			return;
		}
	errno = ENOSYS;
	die(w->word[0]);
}

static void play(FILE *job)
{
	static struct words words;
	char line[512];

	while (fgets(line, sizeof(line), job) != NULL) {
		line[strcspn(line, "#\n")] = '\0';
		split(&words, line);
		if (words.nr == 0)
			continue;
		double began = now();

		perform(&words);
		note("%.6f %.6f %s\n", began, now(), line);
	}
}

int main(int argc, char **argv)
{
	FILE *job = argc == 3 ? fopen(argv[1], "re") : NULL;

	if (job == NULL)
		die("usage: player JOB DISK");
	disk = open(argv[2], O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (disk < 0 && strcmp(argv[2], "-") != 0)
		die(argv[2]);
	tracing = getenv("TRACE") != NULL;
	if (mlockall(MCL_CURRENT) != 0)
		die("mlockall");
	record_machine("boot");
	snapshot("boot");
	play(job);
	record("log.txt", journal, journal_used);
	record("end", "", 0);
	disk_flush();
	return 0;
}
