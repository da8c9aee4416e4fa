/*
 * neap sysctl: the knobs of a machine that nobody has to boot.
 *
 *     neap sysctl --like DIR                      all values, as sysctl(8) prints them
 *     neap sysctl --like DIR vm.swappiness /sys/kernel/mm/lru_gen/enabled
 *     neap sysctl --like DIR vm.min_free_kbytes=65536
 *     neap sysctl --like DIR --batch FILE         a table of writes and what each one did
 *
 * The machine is the one whose files are saved in DIR, or one of -m SIZE with one zone. Everything
 * is arithmetic: ranges, errors, short writes, and the marks that a write changes are those of
 * Linux 6.1; what would need a running kernel (dropping caches, compacting) is accepted and does
 * nothing. The machine this runs on is never written to.
 *
 * In a table a refused write is a result like any other. On the command line it is an error,
 * status 2, and names what was refused; so is a value of which only a part would be taken.
 *
 * What must never happen: a value printed as set that Linux would have refused.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/size.h"
#include "cmd/batch.h"
#include "cmd/cmd.h"

#define TABLE_BYTES_MAX (16 * MIB)
#define DEFAULT_BYTES (64 * MIB)
#define DEFAULT_CPUS 2u
#define VALUE_BYTES_MAX 4096u

enum sysctl_key {
	KEY_LIKE = 256,
	KEY_BATCH,
};

struct sysctl_options {
	const char *dir;   /* --like */
	const char *batch; /* --batch */
	uint64_t bytes;	   /* -m */
	char **names;
	int nr_names;
};

static const struct argp_option sysctl_option_table[] = {
	{ "like", KEY_LIKE, "DIR", 0, "the machine whose files are saved in DIR", 0 },
	{ "memory", 'm', "SIZE", 0, "a machine of one zone with this much memory (64M)", 0 },
	{ "batch", KEY_BATCH, "FILE", 0,
	  "perform a table of writes (PATH, tab, text with \\n \\t \\0) and print what each did",
	  0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ 0 },
};

static error_t parse_size(const char *text, uint64_t *bytes)
{
	size_t used = size_parse(text, bytes);

	if (used != 0 && text[used] == '\0' && *bytes >= MIB && *bytes <= 1024 * 1024 * GIB)
		return 0;
	cmd_error("-m %s: write a size from 1M on, like 64M or 4G", text);
	return EINVAL;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct sysctl_options *options = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case KEY_LIKE:
		options->dir = value;
		return 0;
	case KEY_BATCH:
		options->batch = value;
		return 0;
	case 'm':
		return parse_size(value, &options->bytes);
	case ARGP_KEY_ARGS:
		options->names = state->argv + state->next;
		options->nr_names = state->argc - state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool options_agree(const struct sysctl_options *options)
{
	if (options->dir != NULL && options->bytes != 0)
		cmd_error("one machine at a time: --like %s or -m", options->dir);
	else if (options->batch != NULL && options->nr_names != 0)
		cmd_error("--batch %s has its own names; leave out %s", options->batch,
			  options->names[0]);
	else
		return true;
	return false;
}

static void complain(const struct text_error *err)
{
	if (err->line != 0)
		cmd_error("%s:%u: %s", err->file, err->line, err->message);
	else
		cmd_error("%s: %s", err->file, err->message);
}

static int open_machine(struct saved *saved, const struct sysctl_options *options)
{
	struct text_error err = { .line = 0 };
	uint64_t bytes = options->bytes != 0 ? options->bytes : DEFAULT_BYTES;
	int error;

	if (options->dir == NULL) {
		if (saved_init(saved, bytes / NEAP_PAGE_BYTES, DEFAULT_CPUS) == 0)
			return CMD_FINE;
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	error = saved_open(saved, options->dir, &err);
	if (err.message[0] != '\0')
		complain(&err);
	else if (error == -ENOMEM)
		cmd_error("memory is out");
	if (error != 0)
		return error == -ENOMEM || error == -EACCES ? CMD_WORLD : CMD_USAGE;
	if (saved->unknown.bytes != 0)
		cmd_error("%s: settings that Linux 6.1 does not have are left out: %s",
			  options->dir, text_buf_text(&saved->unknown));
	return CMD_FINE;
}

/* ---- a table ---- */

static int run_table(struct saved *saved, const struct batch *batch)
{
	struct text_buf out;
	int status = CMD_FINE;

	text_buf_init(&out);
	batch_add_headline(&out);
	for (uint32_t i = 0; i < batch->nr; i++)
		(void)batch_perform(saved, &batch->write[i], &out); /* the line has the result */
	if (out.error != 0) {
		cmd_error("memory is out");
		status = CMD_WORLD;
	} else {
		fwrite(text_buf_text(&out), 1, out.bytes, stdout);
	}
	text_buf_free(&out);
	return status;
}

static int run_batch(struct saved *saved, const char *path)
{
	struct text_error err = { .line = 0 };
	struct text_buf text;
	struct batch batch;
	int status = CMD_USAGE;

	text_buf_init(&text);
	int error = text_buf_read_file(&text, strcmp(path, "-") == 0 ? "/dev/stdin" : path,
				       TABLE_BYTES_MAX);

	if (error != 0) {
		cmd_error("%s: cannot be read: %s", path, strerror(-error));
	} else {
		struct text_input in = { text_buf_text(&text), text.bytes, path };

		error = batch_parse(&in, &batch, &err);
		if (error != 0) {
			complain(&err);
			status = error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
		} else {
			status = run_table(saved, &batch);
			batch_free(&batch);
		}
	}
	text_buf_free(&text);
	return status;
}

/* ---- names ---- */

/* "vm.NAME = VALUE", or the whole text of a file that is no knob. */
static int print_value(struct saved *saved, const char *path)
{
	struct text_buf value;
	int status = CMD_FINE;

	text_buf_init(&value);
	int error = saved_read(saved, path, &value);
	const char *text = text_buf_text(&value);
	bool is_knob = knobs_read(&saved->knobs, path, NULL, 0) == -ERANGE;
	const char *name = strncmp(path, KNOBS_VM_DIR, strlen(KNOBS_VM_DIR)) == 0
				   ? path + strlen(KNOBS_VM_DIR)
				   : path;

	if (error == -EACCES) {
		cmd_error("%s: this file can only be written", path);
		status = CMD_USAGE;
	} else if (error != 0) {
		cmd_error("%s: Linux 6.1 has no such knob", path);
		status = CMD_USAGE;
	} else if (!is_knob) {
		fputs(text, stdout);
	} else {
		printf("%s%s = %.*s\n", name[0] == '/' ? "" : "vm.", name, (int)strcspn(text, "\n"),
		       text);
	}
	text_buf_free(&value);
	return status;
}

/* NAME=VALUE, as sysctl(8) writes it: with a newline. */
static int write_value(struct saved *saved, char *assignment, char *equals)
{
	char value[VALUE_BYTES_MAX], takes[KNOB_TAKES_BYTES];
	int length = snprintf(value, sizeof(value), "%s\n", equals + 1);
	const char *path;

	*equals = '\0';
	path = saved_path(assignment);
	if (length < 0 || (size_t)length >= sizeof(value)) {
		cmd_error("%s: the value is longer than any knob's", path);
		return CMD_USAGE;
	}
	int64_t result = saved_write(saved, path, value, (size_t)length);

	if (result == -ENOENT)
		cmd_error("%s: Linux 6.1 has no such knob", path);
	else if (result < 0)
		cmd_error("%s: Linux 6.1 refuses '%s': %s%s", path, equals + 1,
			  strerror((int)-result), api_knob_takes(path, takes));
	else if (result < length)
		cmd_error("%s: of '%s' Linux takes only the first %lld bytes", path, equals + 1,
			  (long long)result);
	else
		return CMD_FINE;
	return CMD_USAGE;
}

static int run_name(struct saved *saved, char *word)
{
	char *equals = strchr(word, '=');
	struct text_buf value;

	if (equals == NULL)
		return print_value(saved, saved_path(word));
	int status = write_value(saved, word, equals);

	if (status != CMD_FINE)
		return status;
	/* What can only be written has nothing to show. */
	text_buf_init(&value);
	bool readable = saved_read(saved, saved_path(word), &value) == 0;

	text_buf_free(&value);
	return readable ? print_value(saved, saved_path(word)) : CMD_FINE;
}

static int run_names(struct saved *saved, const struct sysctl_options *options)
{
	int status = CMD_FINE;

	for (int i = 0; i < options->nr_names && status == CMD_FINE; i++)
		status = run_name(saved, options->names[i]);
	return status;
}

/* All values of one line that can be read without a consequence. */
static int run_all(struct saved *saved)
{
	char value[KNOBS_TEXT_BYTES];

	for (uint32_t i = 0; knobs_path(i) != NULL; i++)
		if (knobs_read(&saved->knobs, knobs_path(i), value, sizeof(value)) > 0)
			(void)print_value(saved, knobs_path(i)); /* it can be read */
	return CMD_FINE;
}

int cmd_sysctl(int argc, char **argv)
{
	static const struct argp argp = {
		.options = sysctl_option_table,
		.parser = parse_option,
		.args_doc = "[NAME[=VALUE]...]",
		.doc = "Prints or sets the knobs of a saved machine, with the results and the"
		       " consequences that Linux 6.1 has. The machine this runs on is never"
		       " written to.",
	};
	struct sysctl_options options = { .dir = NULL };
	int status = CMD_USAGE;

	if (cmd_parse(&argp, argc, argv, &options) != CMD_FINE || !options_agree(&options))
		return CMD_USAGE;
	struct saved *saved = calloc(1, sizeof(*saved));

	if (saved == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	status = open_machine(saved, &options);
	if (status == CMD_FINE) {
		if (options.batch != NULL)
			status = run_batch(saved, options.batch);
		else
			status =
				options.nr_names != 0 ? run_names(saved, &options) : run_all(saved);
		saved_free(saved);
	}
	free(saved);
	return status;
}
