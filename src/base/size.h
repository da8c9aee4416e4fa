/*
 * Sizes as people write them: 4096, 512K, 64M, 2G, 1T (IEC, powers of 1024).
 */
#ifndef NEAP_BASE_SIZE_H
#define NEAP_BASE_SIZE_H

#include "base/base.h"

/*
 * Parses a size at `text` into bytes.
 * => on success returns the number of characters used (at least 1)
 * => returns 0 when there is no number, or it does not fit 64 bits
 */
size_t size_parse(const char *text, uint64_t *bytes_out);

/*
 * Writes `bytes` the short way ("64M", "1.5G", "100") into buf, always terminated.
 * => buf has at least 24 bytes; returns buf
 */
char *size_format(uint64_t bytes, char *buf);

#endif
