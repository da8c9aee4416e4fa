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
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

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

#define CHILDREN_MAX 3u
#define OPTION_USAGE 0x7f00

/* What argp recommends beside --help when an option is wrong. */
static error_t parse_usage(int key, char *value, struct argp_state *state)
{
	(void)value;
	if (key != OPTION_USAGE)
		return ARGP_ERR_UNKNOWN;
	argp_state_help(state, stdout, ARGP_HELP_USAGE);
	exit(CMD_FINE);
}

int cmd_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	static const struct argp_option options[] = {
		{ "usage", OPTION_USAGE, NULL, OPTION_HIDDEN, NULL, 0 }, { 0 }
	};
	static const struct argp usage = { .options = options, .parser = parse_usage };
	struct argp_child children[CHILDREN_MAX + 1] = { 0 };
	struct argp whole = *argp;
	char *own = argv[0];
	char name[32];
	uint32_t nr = 0;

	for (; argp->children != NULL && argp->children[nr].argp != NULL; nr++) {
		CHECK(nr < CHILDREN_MAX - 1);
		children[nr] = argp->children[nr];
	}
	children[nr].argp = &usage;
	whole.children = children;
	/* The name that getopt and argp put before their messages. */
	(void)snprintf(name, sizeof(name), "neap %s", own);
	argv[0] = name;
	argp_err_exit_status = CMD_USAGE;
	error_t error = argp_parse(&whole, argc, argv, ARGP_NO_HELP, NULL, input);

	argv[0] = own;
	return error == 0 ? CMD_FINE : CMD_USAGE;
}

void cmd_help(struct argp_state *state)
{
	argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
	exit(CMD_FINE);
}

volatile sig_atomic_t cmd_interrupt;

static void on_interrupt(int number)
{
	(void)number;
	cmd_interrupt = 1;
}

void cmd_catch_interrupts(bool once)
{
	struct sigaction action = { .sa_handler = on_interrupt,
				    .sa_flags = once ? (int)SA_RESETHAND : 0 };

	sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
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
