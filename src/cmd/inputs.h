/*
 * Where the commands that reason about real machines get them from: --root, files, --watch.
 */
#ifndef NEAP_CMD_INPUTS_H
#define NEAP_CMD_INPUTS_H

#include <argp.h>

#include "diag/evidence.h"
#include "diag/paint.h"

#define INPUTS_FILES_MAX 16u

struct inputs {
	const char *dir[2]; /* a machine, or the same one twice: before and after */
	uint32_t nr_dirs;
	const char *file[INPUTS_FILES_MAX]; /* single files, "-" being standard input */
	uint32_t nr_files;
	uint32_t watch_s; /* 0: not asked for */
	bool json;
};

/* The keys of the options that these commands share; a command's own follow. */
enum inputs_key {
	INPUTS_KEY_ROOT = 256,
	INPUTS_KEY_WATCH,
	INPUTS_KEY_JSON,
	INPUTS_KEY_OWN,
};

/* What each command's option table ends with. */
#define INPUTS_OPTIONS                                                                             \
	{ "json", INPUTS_KEY_JSON, NULL, 0, "print one JSON document", 0 },                        \
		{ "help", '?', NULL, 0, "this list", 0 },                                          \
	{                                                                                          \
		0                                                                                  \
	}

/*
 * Takes a shared option, or an argument: a directory, a file, or "-". => 0; EINVAL, said;
 * ARGP_ERR_UNKNOWN
 */
error_t inputs_option(struct inputs *inputs, int key, const char *value, struct argp_state *state);

/* A command that reads a machine, or the same one twice, and says something about it. */
struct inputs_command {
	const struct argp *argp;
	void *options;	       /* for argp's parser and run() */
	struct inputs *inputs; /* within them: filled by the parser */
	/* before is NULL unless there are two readings. => an exit status, errors said */
	int (*run)(const void *options, const struct evidence *before,
		   const struct evidence *after);
};

/* Parses the arguments, reads what they name (with --watch it waits), runs. => the exit status */
int inputs_run(int argc, char **argv, const struct inputs_command *command);

/* How to write to standard output: colour on a terminal only, and not with NO_COLOR. */
struct paint inputs_paint(void);

#endif
