/*
 * The machines that explain, request, forecast reason about.
 *
 *     (nothing)           this one
 *     --root DIR          a copied tree, a report's directory, a snapshot of ours
 *     DIR1 DIR2           the same machine before and after: rates
 *     --watch SECONDS     this one, twice
 *     FILE ... | -        what somebody pasted: all files together are one machine
 *
 * What must never happen: two different machines compared as if they were one; the number of
 * nodes and the memory must agree.
 */
#include "cmd/inputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "text/buf.h"

#define TEXT_BYTES_MAX (64 * MIB)
#define WATCH_MOST_S 86400

static int take_root(struct inputs *inputs, const char *path)
{
	if (inputs->nr_dirs == ARRAY_LEN(inputs->dir)) {
		cmd_error("%s: at most two directories, before and after", path);
		return EINVAL;
	}
	inputs->dir[inputs->nr_dirs++] = path;
	return 0;
}

static int take_argument(struct inputs *inputs, const char *path)
{
	struct stat status;

	if (strcmp(path, "-") != 0 && stat(path, &status) != 0) {
		cmd_error("%s: %s", path, strerror(errno));
		return EINVAL;
	}
	if (strcmp(path, "-") != 0 && S_ISDIR(status.st_mode))
		return take_root(inputs, path);
	if (inputs->nr_files == INPUTS_FILES_MAX) {
		cmd_error("%s: at most %u files", path, INPUTS_FILES_MAX);
		return EINVAL;
	}
	inputs->file[inputs->nr_files++] = path;
	return 0;
}

static int take_watch(struct inputs *inputs, const char *value)
{
	char *end = NULL;
	unsigned long seconds = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end != '\0' || seconds == 0 ||
	    seconds > WATCH_MOST_S) {
		cmd_error("--watch: write a number of seconds, 1 to %d, not '%s'", WATCH_MOST_S,
			  value);
		return EINVAL;
	}
	inputs->watch_s = (uint32_t)seconds;
	return 0;
}

error_t inputs_option(struct inputs *inputs, int key, const char *value, struct argp_state *state)
{
	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case INPUTS_KEY_ROOT:
		return take_root(inputs, value);
	case INPUTS_KEY_WATCH:
		return take_watch(inputs, value);
	case INPUTS_KEY_JSON:
		inputs->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return take_argument(inputs, value);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- reading ---- */

static int fail(const struct text_error *err, int error)
{
	cmd_error("%s: %s", err->file, err->message);
	return error == -ENOMEM || error == -EACCES ? CMD_WORLD : CMD_USAGE;
}

static int load_dir(const char *dir, struct evidence **out)
{
	struct text_error err = { .line = 0 };
	int error = evidence_load(dir, out, &err);

	return error == 0 ? CMD_FINE : fail(&err, error);
}

static int read_stdin(struct text_buf *text)
{
	char chunk[65536];
	size_t bytes;

	while ((bytes = fread(chunk, 1, sizeof(chunk), stdin)) > 0) {
		if (text->bytes + bytes > TEXT_BYTES_MAX)
			return -EFBIG;
		text_buf_add(text, chunk, bytes);
	}
	return ferror(stdin) != 0 ? -EIO : text->error;
}

/* All files, one after the other, as one text. */
static int load_files(const struct inputs *inputs, struct evidence **out)
{
	struct text_error err = { .line = 0 };
	const char *where = "the files given";
	struct text_buf all;
	int status = CMD_FINE;

	if (inputs->nr_files == 1)
		where = strcmp(inputs->file[0], "-") == 0 ? "standard input" : inputs->file[0];
	text_buf_init(&all);
	for (uint32_t i = 0; i < inputs->nr_files && status == CMD_FINE; i++) {
		const char *name = inputs->file[i];
		int error = strcmp(name, "-") == 0 ? read_stdin(&all)
						   : text_buf_read_file(&all, name, TEXT_BYTES_MAX);

		text_buf_puts(&all, "\n");
		if (error != 0 || all.error != 0) {
			error = error != 0 ? error : all.error;
			cmd_error("%s: %s", name, strerror(-error));
			status = error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
		}
	}
	if (status == CMD_FINE) {
		int error = evidence_from_text(where, text_buf_text(&all), all.bytes, out, &err);

		if (error != 0)
			status = fail(&err, error);
	}
	text_buf_free(&all);
	return status;
}

static void wait_seconds(uint32_t seconds)
{
	struct timespec left = { .tv_sec = (time_t)seconds };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* Two readings must be of one machine. */
static int check_pair(const struct evidence *before, const struct evidence *after)
{
	uint64_t total[2] = { 0, 0 };

	if (before->snapshot->nr_nodes != 0 && after->snapshot->nr_nodes != 0 &&
	    before->snapshot->nr_nodes != after->snapshot->nr_nodes) {
		cmd_error("%s and %s are not the same machine: %u nodes and %u", before->where,
			  after->where, before->snapshot->nr_nodes, after->snapshot->nr_nodes);
		return CMD_USAGE;
	}
	if (evidence_kb(before, "MemTotal", &total[0]) &&
	    evidence_kb(after, "MemTotal", &total[1]) &&
	    (total[0] / 2 > total[1] || total[1] / 2 > total[0])) {
		cmd_error("%s and %s are not the same machine: one has more than twice the memory",
			  before->where, after->where);
		return CMD_USAGE;
	}
	return CMD_FINE;
}

/*
 * Reads what was asked for; *before is NULL unless there are two of it. With --watch it waits.
 * => CMD_FINE and evidence to be freed with evidence_free(); else an exit status, said
 */
static int load(const struct inputs *inputs, struct evidence **before, struct evidence **after)
{
	const char *first = inputs->nr_dirs > 0 ? inputs->dir[0] : "/";
	const char *second = inputs->nr_dirs > 1 ? inputs->dir[1] : first;
	bool two = inputs->nr_dirs > 1 || inputs->watch_s != 0;
	int status = CMD_FINE;

	*before = NULL;
	*after = NULL;
	if (inputs->nr_files != 0 && (inputs->nr_dirs != 0 || inputs->watch_s != 0)) {
		cmd_error("give files or directories, not both; files cannot be watched");
		return CMD_USAGE;
	}
	if (inputs->watch_s != 0 && inputs->nr_dirs > 1) {
		cmd_error("--watch reads one machine twice; two directories are two readings"
			  " already");
		return CMD_USAGE;
	}
	if (inputs->nr_files != 0)
		return load_files(inputs, after);
	if (two)
		status = load_dir(first, before);
	if (status == CMD_FINE && inputs->watch_s != 0)
		wait_seconds(inputs->watch_s);
	if (status == CMD_FINE)
		status = load_dir(second, after);
	if (status == CMD_FINE && two)
		status = check_pair(*before, *after);
	if (status != CMD_FINE) {
		evidence_free(*before);
		evidence_free(*after);
		*before = NULL;
		*after = NULL;
	}
	return status;
}

int inputs_run(int argc, char **argv, const struct inputs_command *command)
{
	struct evidence *before = NULL, *after = NULL;
	int status;

	if (cmd_parse(command->argp, argc, argv, command->options) != CMD_FINE)
		return CMD_USAGE;
	status = load(command->inputs, &before, &after);
	if (status == CMD_FINE)
		status = command->run(command->options, before, after);
	evidence_free(before);
	evidence_free(after);
	return status;
}

struct paint inputs_paint(void)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	return (struct paint){
		.width = 80,
		.colour = isatty(STDOUT_FILENO) == 1 &&
			  (no_colour == NULL || no_colour[0] == '\0') && terminal != NULL &&
			  strcmp(terminal, "dumb") != 0,
	};
}
