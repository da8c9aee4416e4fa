/* How the file behind a store comes to be: made, found, checked, locked. */
#ifndef NEAP_STORE_FILE_OPEN_H
#define NEAP_STORE_FILE_OPEN_H

#include <sys/types.h>

#include "store/file.h"

struct file_opened {
	int fd;
	bool block;	 /* a block device */
	bool made;	 /* made by this call, named or not */
	bool rotational; /* block devices only */
	uint64_t size_bytes;
	dev_t dev; /* with ino: is the file still the one that was opened? */
	ino_t ino;
	struct swap_header_info swap; /* swap areas only */
};

/*
 * => 0 and *out, of which the caller closes fd; or negative errno and a sentence in err
 * => after an error nothing that was made is left behind
 */
int MUST_CHECK file_open(const struct store_file_spec *spec, struct file_opened *out, char *err,
			 size_t err_bytes);

/* Removes a file made by file_open(), if `path` still names it. */
void file_open_remove(const char *path, const struct file_opened *opened);

#endif
