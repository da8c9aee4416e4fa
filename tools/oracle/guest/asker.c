/*
 * The program that asks a recorded kernel other questions than a job does.
 *
 *     asker probe SCRIPT DISK    lines to the module (probe_module.c), answers to records
 *     asker moment DIRECTORY     the /proc files and the kernel's memory report of one moment
 *     asker writes TABLE         settings written one by one, a line of seven columns each
 *
 * probe: what stands between "burst" and "end" goes to the module in one write, so that nothing
 * of this program runs in between; other lines one by one. Three kinds of lines are done here,
 * since they belong to the task that allocates, or to user space: policy, sysctl, sh.
 *
 * moment: all files are read into locked memory first and written to the directory afterwards.
 * zoneinfo and buddyinfo are read again behind the report: where both agree, nothing changed.
 *
 * What must never happen: an answer that is cut. Answers are read until the module has no more.
 *
 * It belongs to tools/oracle and is linked statically.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORD 512u
#define CHUNK (256u << 10)
#define MODULE "/proc/neap-probe"

static char chunk[RECORD + CHUNK] __attribute__((aligned(4096)));
static off_t disk_at;

static void die(const char *what)
{
	fprintf(stderr, "asker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* => bytes read, or -1 */
static ssize_t read_whole(const char *path, char *to, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	while (used < room - 1 && (got = read(fd, to + used, room - 1 - used)) > 0)
		used += (size_t)got;
	close(fd);
	to[used] = '\0';
	return got < 0 ? -1 : (ssize_t)used;
}

/* => errno, or 0; *done: what write() returned */
static int write_once(const char *path, const char *bytes, size_t nr, ssize_t *done)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int error;

	*done = -1;
	if (fd < 0)
		return errno;
	*done = write(fd, bytes, nr);
	error = *done < 0 ? errno : 0;
	close(fd);
	return error;
}

/* ---- probes ---- */

/* One record of the results disk, as player.c writes them; `nr` bytes stand behind the header. */
static void put_record(int disk, const char *name, size_t nr)
{
	size_t bytes = RECORD + (nr + RECORD - 1) / RECORD * RECORD;

	memset(chunk, 0, RECORD);
	memset(chunk + RECORD + nr, 0, bytes - RECORD - nr);
	snprintf(chunk, RECORD, "neap-record %zu %s\n", nr, name);
	if (pwrite(disk, chunk, bytes, disk_at) != (ssize_t)bytes)
		die("result disk");
	disk_at += (off_t)bytes;
}

static void take_answers(int module, int disk)
{
	ssize_t got;

	while ((got = read(module, chunk + RECORD, CHUNK)) > 0)
		put_record(disk, "probe.out", (size_t)got);
	if (got < 0)
		die(MODULE);
}

static void set_policy(const char *words)
{
	unsigned long mode, mask;

	if (sscanf(words, "%lu %lx", &mode, &mask) != 2 ||
	    syscall(SYS_set_mempolicy, mode, mask != 0 ? &mask : NULL, 64ul) != 0)
		die("policy");
}

static void set_sysctl(const char *words)
{
	char path[192];
	const char *value = strchr(words, ' ');
	ssize_t done;

	if (value == NULL)
		value = words + strlen(words);
	snprintf(path, sizeof(path), "/proc/sys/vm/%.*s", (int)(value - words), words);
	value += strspn(value, " ");
	errno = write_once(path, value, strlen(value), &done);
	if (errno != 0)
		die(path);
}

/* What was done here stands in the answers, too: "# sysctl swappiness 10". */
static void answer(int disk, const char *line)
{
	int bytes = snprintf(chunk + RECORD, 256, "# %.*s%s\n", (int)strcspn(line, "\n"), line,
			     strncmp(line, "policy ", 7) == 0 ? ": ok" : "");

	put_record(disk, "probe.out", (size_t)bytes);
}

/* => whether the line is none for the module */
static bool own_line(int disk, const char *line)
{
	if (strncmp(line, "policy ", 7) == 0)
		set_policy(line + 7);
	else if (strncmp(line, "sysctl ", 7) == 0)
		set_sysctl(line + 7);
	else if (strncmp(line, "sh ", 3) == 0)
		(void)!system(line + 3); /* its result is for the eye: it goes to the console */
	else
		return false;
	answer(disk, line);
	return true;
}

/* The file is opened anew each time: answers are read from its beginning. */
static void ask(int disk, const char *lines, size_t bytes)
{
	int module = open(MODULE, O_RDWR | O_CLOEXEC);

	if (module < 0 || write(module, lines, bytes) != (ssize_t)bytes)
		die(MODULE);
	take_answers(module, disk);
	close(module);
}

static void play_script(FILE *script, int disk)
{
	static char lines[512u << 10];
	char line[256];
	size_t used = 0;
	bool in_burst = false;

	while (fgets(line, sizeof(line), script) != NULL) {
		if (!in_burst && own_line(disk, line))
			continue;
		if (strlen(line) >= sizeof(lines) - used) {
			errno = E2BIG;
			die("burst");
		}
		used += (size_t)snprintf(lines + used, sizeof(lines) - used, "%s", line);
		in_burst =
			strncmp(line, "burst ", 6) == 0 || (in_burst && strcmp(line, "end\n") != 0);
		if (in_burst)
			continue;
		ask(disk, lines, used);
		used = 0;
	}
}

static int probe(const char *path, const char *disk_path)
{
	FILE *script = fopen(path, "re");
	int disk = open(disk_path, O_WRONLY | O_DIRECT | O_CLOEXEC);

	if (script == NULL || disk < 0)
		die(script == NULL ? path : disk_path);
	if (mlockall(MCL_CURRENT) != 0)
		die("mlockall");
	play_script(script, disk);
	put_record(disk, "end", 0);
	return 0;
}

/* ---- a moment ---- */

static int moment(const char *directory)
{
	static const char *const names[] = { "zoneinfo", "buddyinfo",	 "meminfo",  "vmstat",
					     "swaps",	 "pagetypeinfo", "zoneinfo", "buddyinfo" };
	enum {
		NR = sizeof(names) / sizeof(names[0]),
		NR_BEFORE = NR - 2
	};
	static char files[NR][CHUNK / 2];
	ssize_t bytes[NR];
	char path[256];

	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		die("mlockall");
	memset(files, 1, sizeof(files));
	for (int i = 0; i < NR; i++) {
		ssize_t done;

		if (i == NR_BEFORE)
			(void)write_once("/proc/sysrq-trigger", "m", 1, &done);
		snprintf(path, sizeof(path), "/proc/%s", names[i]);
		bytes[i] = read_whole(path, files[i], sizeof(files[i]));
		if (bytes[i] < 0)
			die(path);
	}
	for (int i = 0; i < NR; i++) {
		FILE *out;

		snprintf(path, sizeof(path), "%s/%s%s", directory, names[i],
			 i < NR_BEFORE ? "" : ".after");
		out = fopen(path, "we");
		if (out == NULL || fwrite(files[i], 1, (size_t)bytes[i], out) != (size_t)bytes[i] ||
		    fclose(out) != 0)
			die(path);
	}
	return 0;
}

/* ---- settings ---- */

static const char escapes[][2] = { { '\n', 'n' }, { '\t', 't' }, { '\0', '0' }, { '\\', '\\' } };

static size_t unescape(const char *from, char *to)
{
	size_t used = 0;

	for (; *from != '\0' && *from != '\n'; from++) {
		to[used] = *from;
		for (size_t i = 0; i < 4 && *from == '\\'; i++)
			if (from[1] == escapes[i][1]) {
				to[used] = escapes[i][0];
				from++;
				break;
			}
		used++;
	}
	return used;
}

static void print_escaped(const char *bytes, ssize_t nr)
{
	if (nr < 0)
		printf("(unreadable)");
	for (ssize_t i = 0; i < nr; i++) {
		size_t e = 0;

		while (e < 4 && escapes[e][0] != bytes[i])
			e++;
		if (e < 4)
			printf("\\%c", escapes[e][1]);
		else
			putchar(bytes[i]);
	}
	putchar('\t');
}

/* The marks of every populated zone as words "N0.DMA:33/41/49 ". */
static void read_marks(char *out, size_t room)
{
	static char text[CHUNK];
	char node[16] = "", zone[16] = "";
	long min = 0, low = 0, high;
	size_t used = 0;

	out[0] = '\0';
	if (read_whole("/proc/zoneinfo", text, sizeof(text)) < 0)
		die("zoneinfo");
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (sscanf(line, "Node %15[0-9], zone %15s", node, zone) == 2 ||
		    sscanf(line, "        min %ld", &min) == 1 ||
		    sscanf(line, "        low %ld", &low) == 1 ||
		    sscanf(line, "        high %ld", &high) != 1 || high == 0 || used + 80 > room)
			continue;
		used += (size_t)snprintf(out + used, room - used, "N%s.%s:%ld/%ld/%ld ", node, zone,
					 min, low, high);
	}
}

static void write_setting(const char *path, const char *escaped)
{
	static char text[1024], value[2][1024], marks[2][2048];
	size_t bytes = unescape(escaped, text);
	ssize_t done, had[2];
	int error;

	had[0] = read_whole(path, value[0], sizeof(value[0]));
	read_marks(marks[0], sizeof(marks[0]));
	error = write_once(path, text, bytes, &done);
	had[1] = read_whole(path, value[1], sizeof(value[1]));
	read_marks(marks[1], sizeof(marks[1]));
	printf("%s\t", path);
	print_escaped(value[0], had[0]);
	print_escaped(text, (ssize_t)bytes);
	printf("%zd\t%s\t", done, error != 0 ? strerrorname_np(error) : "0");
	print_escaped(value[1], had[1]);
	puts(strcmp(marks[0], marks[1]) != 0 ? marks[1] : "");
}

static int writes(const char *table)
{
	FILE *in = fopen(table, "re");
	char line[1024];

	if (in == NULL)
		die(table);
	puts("path\tbefore\twritten\tret\terrno\tafter\twatermarks_min/low/high_if_changed");
	while (fgets(line, sizeof(line), in) != NULL) {
		char *tab = strchr(line, '\t');

		if (line[0] == '#' || tab == NULL)
			continue;
		*tab = '\0';
		write_setting(line, tab + 1);
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "probe") == 0)
		return probe(argv[2], argv[3]);
	if (argc == 3 && strcmp(argv[1], "moment") == 0)
		return moment(argv[2]);
	if (argc == 3 && strcmp(argv[1], "writes") == 0)
		return writes(argv[2]);
	fprintf(stderr, "usage: asker probe SCRIPT DISK | moment DIRECTORY | writes TABLE\n");
	return 2;
}
