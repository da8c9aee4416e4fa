/*
 * What all commands share: how errors look, how numbers are read.
 *
 * Every message of the command goes to standard error and begins with "neap: ",
 * so that it can be told from results, which go to standard output. A message names
 * what was wrong, where, and what to do about it.
 *
 * What must never happen: an error on standard output, where a script would read it
 * as a result.
 */
#include "cmd/cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void cmd_error(const char *format, ...)
{
	va_list args;

	fputs("neap: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void cmd_error_lines(const char *lines)
{
	for (const char *line = lines; line != NULL && *line != '\0';) {
		size_t length = strcspn(line, "\n");

		fprintf(stderr, "neap: %.*s\n", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

void cmd_help(struct argp_state *state, const char *command)
{
	char name[32];

	/* argp sets the name from argv[0], which is "neap" for the sake of messages. */
	snprintf(name, sizeof(name), "neap %s", command);
	state->name = name;
	argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
	exit(CMD_FINE);
}

bool cmd_number(const char *text, const char *what, uint64_t *value)
{
	char *end = NULL;

	errno = 0;
	if (text[0] >= '0' && text[0] <= '9')
		*value = strtoull(text, &end, 0);
	if (end != NULL && *end == '\0' && errno == 0)
		return true;
	cmd_error("%s '%s' is not a whole number", what, text);
	return false;
}
