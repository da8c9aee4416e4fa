/*
 * neap calibrate: a cost table of this machine.
 *
 *     measured here      accesses, faults, zeroing, copying, system calls, switches, and
 *                        reads of a file around the page cache (the disk below --tmp)
 *     scaled             what only a kernel does (scanning, reclaiming, rmap): the server
 *                        table's value times how this machine's measured ones compare
 *     taken over         scheduler's constants
 *
 * Each line says which it is, so that the table can be judged. A measurement is the
 * median of nine repetitions; each repeats its operation often enough to take about a
 * millisecond or more.
 *
 * Scaling assumes that a processor which zeroes, copies and faults twice as fast as
 * the server's also scans twice as fast. That is rough, and better than a number from
 * another machine.
 *
 * What must never happen: a table that `neap sim --costs FILE` refuses; the text is
 * parsed before it is given out.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <neap/neap.h>

#include "api/costs.h"
#include "base/rng.h"
#include "cmd/cmd.h"
#include "text/buf.h"

#define REPEATS 9u
#define PAGES 4096u /* 16 MiB: beyond most second-level caches */
#define SWITCHES 2000u
#define FILE_PAGES 8192u
#define READS 400u
#define BULK_PAGES 256u

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What is measured with: memory that is there, and a file that is not cached. */
struct bench_room {
	uint8_t *memory; /* PAGES, touched */
	int file;	 /* -1: direct reads are not possible here */
	int fds[2][2];	 /* two pipes for the switches */
	struct rng rng;
};

/* Each => picoseconds an operation, of one repetition; 0 if it cannot be measured. */
static uint64_t measure_access(struct bench_room *room)
{
	volatile uint8_t *memory = room->memory;
	uint64_t begin_ns = now_ns();

	for (uint32_t i = 0; i < 64 * PAGES; i++)
		memory[rng_below(&room->rng, PAGES) * NEAP_PAGE_BYTES]++;
	return (now_ns() - begin_ns) * 1000 / (64 * PAGES);
}

static uint64_t measure_zero(struct bench_room *room)
{
	uint64_t begin_ns = now_ns();

	for (uint32_t i = 0; i < PAGES; i++)
		memset(room->memory + (size_t)i * NEAP_PAGE_BYTES, (int)i, NEAP_PAGE_BYTES);
	return (now_ns() - begin_ns) * 1000 / PAGES;
}

static uint64_t measure_copy(struct bench_room *room)
{
	uint64_t begin_ns = now_ns();

	for (uint32_t i = 0; i < PAGES / 2; i++)
		memcpy(room->memory + (size_t)i * NEAP_PAGE_BYTES,
		       room->memory + (size_t)(PAGES / 2 + i) * NEAP_PAGE_BYTES, NEAP_PAGE_BYTES);
	return (now_ns() - begin_ns) * 1000 / (PAGES / 2);
}

/* A first touch: the fault, a page and its zeroing. */
static uint64_t measure_fault(struct bench_room *room)
{
	size_t bytes = (size_t)PAGES * NEAP_PAGE_BYTES;
	uint8_t *fresh =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t begin_ns;

	(void)room;
	if (fresh == MAP_FAILED)
		return 0;
	(void)madvise(fresh, bytes, MADV_NOHUGEPAGE); /* without it, a huge page is one fault */
	begin_ns = now_ns();
	for (uint32_t i = 0; i < PAGES; i++)
		fresh[(size_t)i * NEAP_PAGE_BYTES] = 1;
	begin_ns = now_ns() - begin_ns;
	(void)munmap(fresh, bytes);
	return begin_ns * 1000 / PAGES;
}

/* A page read from the page cache by a system call. */
static uint64_t measure_syscall(struct bench_room *room)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint64_t begin_ns = now_ns();

	if (fd < 0)
		return 0;
	for (uint32_t i = 0; i < PAGES; i++)
		if (pread(fd, room->memory, NEAP_PAGE_BYTES, (off_t)(i % 8) * NEAP_PAGE_BYTES) < 0)
			break;
	begin_ns = now_ns() - begin_ns;
	(void)close(fd);
	return begin_ns * 1000 / PAGES;
}

static void *echo(void *arg)
{
	struct bench_room *room = arg;
	char byte;

	for (uint32_t i = 0; i < SWITCHES; i++)
		if (read(room->fds[0][0], &byte, 1) != 1 || write(room->fds[1][1], &byte, 1) != 1)
			break;
	return NULL;
}

/* Two threads that wake each other: two switches a round. */
static uint64_t measure_switch(struct bench_room *room)
{
	uint64_t begin_ns = now_ns();
	pthread_t thread;
	char byte = 0;

	if (pthread_create(&thread, NULL, echo, room) != 0)
		return 0;
	for (uint32_t i = 0; i < SWITCHES; i++)
		if (write(room->fds[0][1], &byte, 1) != 1 || read(room->fds[1][0], &byte, 1) != 1)
			break;
	(void)pthread_join(thread, NULL);
	return (now_ns() - begin_ns) * 1000 / (2 * SWITCHES);
}

static uint64_t measure_read(struct bench_room *room)
{
	uint64_t begin_ns = now_ns();

	for (uint32_t i = 0; i < READS && room->file >= 0; i++) {
		off_t at = (off_t)rng_below(&room->rng, FILE_PAGES) * NEAP_PAGE_BYTES;

		if (pread(room->file, room->memory, NEAP_PAGE_BYTES, at) != NEAP_PAGE_BYTES)
			return 0;
	}
	return room->file < 0 ? 0 : (now_ns() - begin_ns) * 1000 / READS;
}

static uint64_t measure_bulk(struct bench_room *room)
{
	size_t bytes = (size_t)BULK_PAGES * NEAP_PAGE_BYTES;
	uint64_t begin_ns = now_ns();

	for (uint32_t at = 0; at < FILE_PAGES && room->file >= 0; at += BULK_PAGES)
		if (pread(room->file, room->memory, bytes, (off_t)at * NEAP_PAGE_BYTES) !=
		    (ssize_t)bytes)
			return 0;
	return room->file < 0 ? 0 : (now_ns() - begin_ns) * 1000 / FILE_PAGES;
}

static uint64_t median(struct bench_room *room, uint64_t (*measure)(struct bench_room *room))
{
	uint64_t ps[REPEATS];

	for (uint32_t i = 0; i < REPEATS; i++)
		ps[i] = measure(room);
	qsort(ps, REPEATS, sizeof(ps[0]), compare_u64);
	return ps[REPEATS / 2];
}

/* ---- the table ---- */

/* What was measured, picoseconds. */
struct measured {
	uint64_t access, zero, copy, fault, syscall, swtch, read, bulk;
};

/* => 0 and what to measure with, or the exit status */
static int room_open(struct bench_room *room, const char *tmp)
{
	size_t bytes = (size_t)PAGES * NEAP_PAGE_BYTES;

	*room = (struct bench_room){ .file = -1 };
	rng_seed(&room->rng, 1);
	room->memory = aligned_alloc(NEAP_PAGE_BYTES, bytes);
	if (room->memory == NULL || pipe2(room->fds[0], O_CLOEXEC) != 0 ||
	    pipe2(room->fds[1], O_CLOEXEC) != 0) {
		cmd_error("calibrate: %s", strerror(errno));
		return CMD_WORLD;
	}
	memset(room->memory, 0x5a, bytes);
	/* A file system without direct reads (tmpfs) has no disk to be measured. */
	room->file = open(tmp, O_TMPFILE | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
	for (uint32_t at = 0; at < FILE_PAGES && room->file >= 0; at += PAGES) {
		if (pwrite(room->file, room->memory, bytes, (off_t)at * NEAP_PAGE_BYTES) ==
		    (ssize_t)bytes)
			continue;
		(void)close(room->file);
		room->file = -1;
	}
	return CMD_FINE;
}

static void room_close(struct bench_room *room)
{
	for (uint32_t i = 0; i < 4; i++)
		if (room->fds[i / 2][i % 2] > 0)
			(void)close(room->fds[i / 2][i % 2]);
	if (room->file >= 0)
		(void)close(room->file);
	free(room->memory);
}

/* The measured value of a line of the table, in picoseconds or its own unit. => 0: not measured */
static uint64_t measured_value(const struct measured *m, const char *name, const char **how)
{
	const struct {
		const char *name;
		uint64_t value;
		const char *how;
	} lines[] = {
		{ "accesses", m->access, "a random byte of 16 MiB" },
		{ "pgfault", m->fault > m->zero ? m->fault - m->zero : 0,
		  "a first touch, less zeroing" },
		{ "pages_zeroed", m->zero, "memset() of a page" },
		{ "pages_copied", m->copy, "memcpy() of a page" },
		{ "syscall_pages", m->syscall, "pread() of a cached page" },
		{ "context_switches", m->swtch, "two threads and two pipes" },
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (strcmp(lines[i].name, name) != 0)
			continue;
		*how = lines[i].how;
		return lines[i].value;
	}
	return 0;
}

/* How this machine compares with the server's table, per mille: mean of what both have. */
static uint64_t compare_to_server(const struct measured *m, const struct costs *server)
{
	const struct {
		uint64_t here;
		enum meter_item item;
	} pairs[] = { { m->zero, EV_SIM_PAGE_ZERO },
		      { m->copy, EV_SIM_PAGE_COPY },
		      { m->syscall, EV_SIM_SYSCALL_PAGE },
		      { m->fault > m->zero ? m->fault - m->zero : 0, EV_PGFAULT } };
	uint64_t sum = 0;
	uint32_t nr = 0;

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		if (pairs[i].here == 0 || server->item_ps[pairs[i].item] == 0)
			continue;
		sum += pairs[i].here * 1000 / server->item_ps[pairs[i].item];
		nr++;
	}
	return nr == 0 ? 1000 : max_u64(sum / nr, 1);
}

static void add_line(struct text_buf *out, const char *name, uint64_t ps, const char *how)
{
	(void)text_buf_printf(out, "%-23s %" PRIu64 ".%03" PRIu64 "  # %s\n", name, ps / 1000,
			      ps % 1000, how);
}

static void add_devices(struct text_buf *out, const struct measured *m)
{
	static const char *const devices[] = { "swap", "disk" };

	for (uint32_t i = 0; i < 2; i++) {
		const char *how = m->read != 0 ? "measured: direct reads of one page below --tmp"
					       : "the server's: no direct reads below --tmp";
		uint64_t latency_ns = m->read != 0 ? m->read / 1000 : 85000;
		uint64_t bytes_per_s =
			m->bulk != 0 ? NEAP_PAGE_BYTES * 1000000000000 / m->bulk : 2500000000;

		(void)text_buf_printf(out,
				      "%s.latency_ns         %" PRIu64 "  # %s\n"
				      "%s.depth              64  # the server's\n"
				      "%s.jitter_permille    100  # the server's\n"
				      "%s.bytes_per_s        %" PRIu64
				      "  # reads of 1 MiB, likewise\n"
				      "%s.rotational         0  # the server's\n",
				      devices[i], latency_ns, how, devices[i], devices[i],
				      devices[i], bytes_per_s, devices[i]);
	}
}

/* The server's table, line by line, with this machine's numbers. */
static void make_table(const struct measured *m, const struct costs *server, struct text_buf *out)
{
	uint64_t permille = compare_to_server(m, server);
	const char *line = costs_builtin("server");
	char scaled[64], name[64];
	uint64_t value;

	(void)snprintf(scaled, sizeof(scaled), "scaled: the server's times %" PRIu64 ".%03" PRIu64,
		       permille / 1000, permille % 1000);
	(void)text_buf_puts(out, "# Made by neap calibrate on this machine.\n\n");
	for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
		const char *how = scaled;
		uint64_t here;

		if (sscanf(line, "%63s %" SCNu64, name, &value) != 2 || strchr(name, '.') != NULL)
			continue;
		here = measured_value(m, name, &how);
		if (here != 0) {
			char text[96];

			(void)snprintf(text, sizeof(text), "measured: %s", how);
			add_line(out, name, here, text);
		} else if (strstr(name, "_ns") != NULL) {
			(void)text_buf_printf(out, "%-23s %" PRIu64 "  # the server's\n", name,
					      value);
		} else {
			add_line(out, name, value * permille, scaled);
		}
	}
	add_devices(out, m);
}

static int calibrate(const char *path, const char *tmp)
{
	struct neap_config *config = neap_config_new();
	struct costs server, check;
	struct bench_room room;
	struct text_buf text;
	int status = config == NULL ? CMD_WORLD : room_open(&room, tmp);

	if (status != CMD_FINE)
		return status;
	text_buf_init(&text);
	if (costs_parse(config, "server", costs_builtin("server"), &server) == 0) {
		struct measured m = {
			.access = median(&room, measure_access),
			.zero = median(&room, measure_zero),
			.copy = median(&room, measure_copy),
			.fault = median(&room, measure_fault),
			.syscall = median(&room, measure_syscall),
			.swtch = median(&room, measure_switch),
			.read = median(&room, measure_read),
			.bulk = median(&room, measure_bulk),
		};

		make_table(&m, &server, &text);
	}
	if (text.error != 0 ||
	    costs_parse(config, "calibrate", text_buf_text(&text), &check) != 0) {
		cmd_error("calibrate: %s", neap_config_error(config));
		status = CMD_FINDING;
	} else {
		FILE *out = path == NULL || strcmp(path, "-") == 0 ? stdout : fopen(path, "we");

		if (out == NULL || fputs(text_buf_text(&text), out) < 0 ||
		    (out != stdout && fclose(out) != 0)) {
			cmd_error("%s: %s", path, strerror(errno));
			status = CMD_WORLD;
		}
	}
	text_buf_free(&text);
	room_close(&room);
	neap_config_free(config);
	return status;
}

struct calibrate_options {
	const char *path, *tmp;
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct calibrate_options *options = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case 't':
		options->tmp = value;
		return 0;
	case ARGP_KEY_ARG:
		if (options->path != NULL) {
			cmd_error("calibrate writes one FILE");
			return EINVAL;
		}
		options->path = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_calibrate(int argc, char **argv)
{
	static const struct argp_option table[] = {
		{ "tmp", 't', "DIR", 0, "the disk to measure ($TMPDIR or /tmp)", 0 },
		{ "help", '?', NULL, 0, "this list", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = table,
		.parser = parse_option,
		.args_doc = "[FILE]",
		.doc = "Measures this machine and writes a cost table for neap sim --costs FILE.",
	};
	const char *tmp = getenv("TMPDIR");
	struct calibrate_options options = { .tmp = tmp != NULL && *tmp != '\0' ? tmp : "/tmp" };

	if (cmd_parse(&argp, argc, argv, &options) != CMD_FINE)
		return CMD_USAGE;
	return calibrate(options.path, options.tmp);
}
