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
};

/* A directory given by --root or as an argument; a file, or "-". => 0 or EINVAL, said */
int inputs_root(struct inputs *inputs, const char *path);
int inputs_argument(struct inputs *inputs, const char *path);
int inputs_watch(struct inputs *inputs, const char *value);

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
