/*
 * Recorded files as they are kept: tar archives and single files, compressed.
 */
#ifndef NEAP_DIAG_UNPACK_H
#define NEAP_DIAG_UNPACK_H

#include "base/base.h"
#include "text/buf.h"
#include "text/doc.h"

struct unpack_file {
	char *name; /* "start/vmstat": without a "./" in front */
	struct text_buf text;
};

struct unpack_files {
	struct unpack_file *file; /* in the order of the archive */
	uint32_t nr, room;
};

/*
 * Reads the regular files of a tar archive, compressed or not, into *files (any contents; free them
 * in any case).
 * => 0; -ENOENT, -EINVAL, -EFBIG, -ENOMEM, -ENOTSUP (built without libarchive) with *err filled
 */
MUST_CHECK int unpack_load(const char *path, struct unpack_files *files, struct text_error *err);
void unpack_free(struct unpack_files *files);
/* => the file of that name, or NULL */
const struct unpack_file *unpack_find(const struct unpack_files *files, const char *name);
/* Writes the files below folder `prefix` ("boot/") into the directory. => 0 or negative errno */
MUST_CHECK int unpack_extract(const struct unpack_files *files, const char *prefix,
			      const char *directory);
/* Appends the contents of one compressed file. Errors as unpack_load(). */
MUST_CHECK int unpack_text(const char *path, struct text_buf *out, struct text_error *err);

#endif
