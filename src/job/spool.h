/*
 * Temporary copies: a possibly compressed file, decoded into an unlinked one.
 */
#ifndef NEAP_JOB_SPOOL_H
#define NEAP_JOB_SPOOL_H

#include "base/base.h"

/*
 * Decodes `path` (xz, or plain) into a new unnamed file in tmp_dir.
 * => 0, *fd and its length
 * => -EINVAL: path cannot be read or is damaged; -ENOTSUP: xz, but this build has no liblzma;
 *    other negative errno: the temporary file failed. message: PTRACE_MESSAGE_BYTES
 */
int spool_decode(const char *path, const char *tmp_dir, int *fd, uint64_t *bytes, char *message);

#endif
