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

/*
 * Reads what was asked for; *before is NULL unless there are two of it. With --watch it waits.
 * => CMD_FINE and evidence to be freed with evidence_free(); else an exit status, said
 */
int inputs_load(const struct inputs *inputs, struct evidence **before, struct evidence **after);

/* How to write to standard output: colour on a terminal only, and not with NO_COLOR. */
struct paint inputs_paint(void);

#endif
