/* A directory with a recorded sequence of the allocator's decisions. */
#ifndef NEAP_CMD_PROBE_FILES_H
#define NEAP_CMD_PROBE_FILES_H

#include "text/machine_json.h"
#include "text/probe.h"
#include "text/probe_script.h"

struct probe_files {
	char path[512]; /* of the recording */
	struct probe probe;
	bool has_script, has_json;
	struct probe_script script;
	struct machine_json json;
};

/*
 * Reads probe.out or probe.out.xz, and beside it the one *.probe and machine.json if there are any.
 * => 0; -EINVAL, -EFBIG (input), -ENOTSUP (xz without liblzma) with *err filled; -ENOENT, -EACCES
 *    and other errors of reading with *err filled; -ENOMEM
 * => on success to be closed with probe_files_close()
 */
MUST_CHECK int probe_files_open(struct probe_files *files, const char *dir, struct text_error *err);
void probe_files_close(struct probe_files *files);

/*
 * Appends the decompressed contents of an .xz file that is in memory.
 * => 0; -EINVAL damaged, -ENOTSUP without liblzma, -EFBIG more than bytes_max, -ENOMEM
 */
MUST_CHECK int probe_files_unpack(const char *packed, size_t bytes, size_t bytes_max,
				  struct text_buf *out);

#endif
