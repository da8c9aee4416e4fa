/*
 * neap conform: how busy the host of each recording was.
 *
 * A recorded guest shared its host with others, from run to run with more or fewer of
 * them (rt/sim/host.c). That is not in the state of its boot, but in the times of its
 * log, of which the first load of memory is taken:
 *
 *	log.txt of each run     7.015765 8.520700 touch A seq all     1.5 s
 *	                        6.703255 11.97535 touch A seq all     5.3 s
 *
 * Our machine does the same commands up to there, once with a host that runs nothing
 * else and once with MANY threads. What lies between is a straight line, since who
 * works all the time gets his part of the host:
 *
 *	duration        .   <- MANY
 *	           .  x     <- recorded: so many others
 *	    .  .            <- alone
 *
 * It is the same for all jobs, and it looks at times alone, never at a counter that is
 * compared. Jobs that begin with another load have no such line: they keep the number
 * of the cost table, as jobs do whose log is not there.
 *
 * This is not the default (--host log), as one number for all is easier to judge, and
 * the model of the host is rough where the threads can be shared out evenly: then
 * nobody is moved, and two virtual CPUs on one processor stay there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/conform_host.h"
#include "text/buf.h"

/* Commands after which the machine has not been loaded yet. */
static bool is_quiet_command(const char *line)
{
	static const char *const quiet[] = { "#",      "machine",  "sysctl", "anon",
					     "sleep",  "snapshot", "file",   "trace",
					     "swapon", "settle",   "mems",   "policy" };

	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		size_t length = strlen(quiet[i]);

		if (strncmp(line, quiet[i], length) == 0 &&
		    (quiet[i][0] == '#' || line[length] == ' '))
			return true;
	}
	return line[strspn(line, " \t")] == '\0';
}

static bool is_first_load(const char *line)
{
	char name[64], end;

	return sscanf(line, "touch %63s seq al%c", name, &end) == 2 && end == 'l';
}

/* The next line of *at, which moves on, without its end. => false: there is none, or it is long */
static bool next_line(const char **at, char *line, size_t room)
{
	size_t bytes = strcspn(*at, "\n");

	if (**at == '\0' || bytes >= room)
		return false;
	memcpy(line, *at, bytes);
	line[bytes] = '\0';
	*at += bytes + ((*at)[bytes] == '\n');
	return true;
}

uint64_t conform_log_load_ns(const char *log)
{
	char line[256];

	while (next_line(&log, line, sizeof(line))) {
		double begin, end;
		int used = 0;

		if (line[0] == '#')
			continue;
		if (sscanf(line, "%lf %lf %n", &begin, &end, &used) != 2 || used == 0)
			return 0;
		if (is_first_load(line + used))
			return end > begin && end - begin < 1e6 ? (uint64_t)((end - begin) * 1e9)
								: 0;
		if (!is_quiet_command(line + used))
			return 0;
	}
	return 0;
}

char *conform_first_load(const char *job)
{
	struct text_buf out;
	char line[256];
	bool found = false;

	text_buf_init(&out);
	while (!found && next_line(&job, line, sizeof(line))) {
		found = is_first_load(line);
		if (!found && !is_quiet_command(line))
			break;
		if (!found && strncmp(line, "snapshot ", 9) == 0)
			continue;
		(void)text_buf_printf(
			&out, found ? "snapshot before\n%s\nsnapshot after\n" : "%s\n", line);
	}
	char *text = found && out.error == 0 ? strdup(text_buf_text(&out)) : NULL;

	text_buf_free(&out);
	return text;
}

int64_t conform_host_others(uint64_t recorded_ns, const uint64_t ours_ns[2])
{
	if (recorded_ns == 0 || ours_ns[0] == 0 || ours_ns[1] <= ours_ns[0])
		return -1;
	if (recorded_ns <= ours_ns[0])
		return 0;
	double others = (double)(recorded_ns - ours_ns[0]) * CONFORM_HOST_MANY /
			(double)(ours_ns[1] - ours_ns[0]);

	return others < CONFORM_HOST_MOST ? (int64_t)(others + 0.5) : CONFORM_HOST_MOST;
}
