/*
 * neap show: one /proc file.
 *
 *     neap show vmstat --file PATH     parses PATH as that file, prints it back
 *     neap show zoneinfo -m 64M        the file of a machine that has just booted
 *     neap show zoneinfo --like DIR --set min_free_kbytes=262144
 *                                      the file of a machine like the one saved in DIR
 *
 * The first form is the test of the parsers that anybody can make with a file of
 * their own: what comes out must be what went in, byte for byte. Lines that Linux 6.1
 * does not have are kept and named on standard error.
 *
 * The others are arithmetic (cmd/paper.c): sizes, free lists and counts are given,
 * marks and limits are computed. No machine is built, so that one of 16 TiB answers
 * as fast as one of 16 MiB.
 *
 * What must never happen: half a file on standard output. The text is complete
 * before the first byte is written.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "cmd/cmd.h"
#include "cmd/paper.h"
#include "text/files.h"

#define FILE_BYTES_MAX (64 * MIB)
#define SETTINGS_MAX 64u

enum show_key {
	KEY_FILE = 256,
	KEY_NODES,
	KEY_CPUS,
	KEY_SET,
	KEY_LIKE,
};

struct show {
	struct neap_config *config;
	const char *name; /* of the /proc file */
	const char *path; /* --file */
	const char *like; /* --like */
	bool described;	  /* -m, --nodes or --cpus */
	const char *setting[SETTINGS_MAX];
	uint32_t nr_settings;
};

static const struct argp_option show_options[] = {
	{ "file", KEY_FILE, "PATH", 0, "parse PATH as that file and print it back", 0 },
	{ "memory", 'm', "SIZE", 0, "memory of the machine", 0 },
	{ "nodes", KEY_NODES, "N", 0, "split memory and CPUs over N nodes", 0 },
	{ "cpus", KEY_CPUS, "N", 0, "number of CPUs (2)", 0 },
	{ "set", KEY_SET, "NAME=VALUE", 0, "a value below /proc/sys/vm", 0 },
	{ "help", '?', NULL, 0, "this list", 0 },
	{ "like", KEY_LIKE, "DIR", 0, "a machine like the one whose files are saved in DIR", 0 },
	{ 0 },
};

static error_t take_property(struct show *show, const char *name, const char *value)
{
	show->described = true;
	if (neap_config_set(show->config, name, value) == 0)
		return 0;
	cmd_error("%s", neap_config_error(show->config));
	return EINVAL;
}

static error_t take_setting(struct show *show, const char *text)
{
	if (show->nr_settings == SETTINGS_MAX) {
		cmd_error("--set: at most %u of them", SETTINGS_MAX);
		return EINVAL;
	}
	show->setting[show->nr_settings++] = text;
	return 0;
}

static error_t take_name(struct show *show, const char *name)
{
	if (show->name != NULL) {
		cmd_error("show takes one FILE, not '%s' as well", name);
		return EINVAL;
	}
	show->name = name;
	return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct show *show = state->input;

	switch (key) {
	case '?':
		cmd_help(state);
		return 0;
	case ARGP_KEY_ARG:
		return take_name(show, value);
	case KEY_FILE:
		show->path = value;
		return 0;
	case 'm':
		return take_property(show, "memory", value);
	case KEY_NODES:
		return take_property(show, "nodes", value);
	case KEY_CPUS:
		return take_property(show, "cpus", value);
	case KEY_SET:
		return take_setting(show, value);
	case KEY_LIKE:
		show->like = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- a file printed back ---- */

static int print_back(const struct text_file *file, const char *path)
{
	struct text_buf in, out;
	struct text_report report = { 0 };
	struct text_error err = { 0 };
	int status = CMD_FINE;
	int error;

	text_buf_init(&in);
	text_buf_init(&out);
	error = text_buf_read_file(&in, strcmp(path, "-") == 0 ? "/dev/stdin" : path,
				   FILE_BYTES_MAX);
	if (error != 0) {
		cmd_error("%s: cannot be read: %s", path, strerror(-error));
		status = CMD_USAGE;
	} else {
		struct text_input input = { text_buf_text(&in), in.bytes, path };

		error = file->reprint(&input, &out, &report, &err);
		if (error != 0 && err.line != 0)
			cmd_error("%s:%u: %s", path, err.line, err.message);
		else if (error != 0)
			cmd_error("%s: %s", path, err.message);
		if (error != 0)
			status = error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
	}
	if (status == CMD_FINE) {
		if (report.nr_unknown > 0)
			cmd_error("%s: %u lines that Linux 6.1 does not have: %s", path,
				  report.nr_unknown, text_buf_text(&report.unknown_names));
		fwrite(text_buf_text(&out), 1, out.bytes, stdout);
		text_report_free(&report);
	}
	text_buf_free(&in);
	text_buf_free(&out);
	return status;
}

/* ---- a file of a machine ---- */

static int print_file(const struct snapshot *snapshot, const char *name)
{
	struct text_buf out;
	int status = CMD_FINE;
	int error;

	text_buf_init(&out);
	error = text_proc_write(snapshot, name, &out);
	if (error == 0) {
		fwrite(text_buf_text(&out), 1, out.bytes, stdout);
	} else if (error == -ENOMEM) {
		cmd_error("memory is out");
		status = CMD_WORLD;
	} else {
		cmd_error("%s: %s", name,
			  error == -EACCES ? "this file can only be written"
					   : "this machine has no such file");
		status = CMD_USAGE;
	}
	text_buf_free(&out);
	return status;
}

static int show_machine(struct show *show)
{
	struct paper *paper = calloc(1, sizeof(*paper));
	int status;

	if (paper == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	status = show->like != NULL ? paper_load(paper, show->like)
				    : paper_build(paper, show->config);
	for (uint32_t i = 0; i < show->nr_settings && status == CMD_FINE; i++)
		status = paper_set(paper, show->setting[i]);
	if (status == CMD_FINE)
		status = paper_finish(paper);
	if (status == CMD_FINE)
		status = print_file(paper->snapshot, show->name);
	paper_free(paper);
	free(paper);
	return status;
}

/* Options that contradict each other. => whether there are none */
static bool is_consistent(const struct show *show)
{
	bool machine = show->like != NULL || show->described || show->nr_settings != 0;

	if (show->path != NULL && machine)
		cmd_error("--file prints a file back as it is; no machine goes with it");
	else if (show->like != NULL && show->described)
		cmd_error("--like says what the machine is; -m, --nodes and --cpus do, too");
	else
		return true;
	return false;
}

/* "vmstat", or a saved path's last word. */
static const struct text_file *find_file(const char *name)
{
	const struct text_file *file = name != NULL ? text_file_find(name) : NULL;

	if (file != NULL)
		return file;
	if (name == NULL) {
		cmd_error("show needs the name of a file:");
	} else {
		cmd_error("show %s: there is no such file; these are:", name);
	}
	for (const struct text_file *known = text_files; known->name != NULL; known++)
		cmd_error("  %s", known->name);
	return NULL;
}

int cmd_show(int argc, char **argv)
{
	static const struct argp argp = {
		.options = show_options,
		.parser = parse_option,
		.args_doc = "FILE",
		.doc = "Prints one /proc file of a machine, or parses PATH as that file and prints"
		       " it back.",
	};
	struct show show = { .config = neap_config_new() };
	const struct text_file *file = NULL;
	int status = CMD_USAGE;

	if (show.config == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	if (cmd_parse(&argp, argc, argv, &show) == CMD_FINE)
		file = find_file(show.name);
	if (file != NULL && is_consistent(&show))
		status = show.path != NULL ? print_back(file, show.path) : show_machine(&show);
	neap_config_free(show.config);
	return status;
}
