/*
 * Builds small PTRACE1 traces in memory, for tests.
 */
#ifndef NEAP_TESTS_TRACE_BUILD_H
#define NEAP_TESTS_TRACE_BUILD_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "job/ptrace.h"

#define TRACE_COLUMN_BYTES 65536u

struct trace_build {
	uint8_t column[4][TRACE_COLUMN_BYTES];
	size_t bytes[4];
	uint64_t records, pages, ticks, live, peak;
	int64_t previous_id, previous_vpn, previous_offset[16];
};

static inline void trace_varint(struct trace_build *b, uint32_t column, uint64_t value)
{
	while (value >= 128) {
		b->column[column][b->bytes[column]++] = (uint8_t)(value | 128);
		value >>= 7;
	}
	b->column[column][b->bytes[column]++] = (uint8_t)value;
}

static inline void trace_zigzag(struct trace_build *b, uint32_t column, int64_t value)
{
	trace_varint(b, column, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static inline void trace_begin(struct trace_build *b, uint8_t tag, uint64_t ticks)
{
	b->column[0][b->bytes[0]++] = tag;
	trace_varint(b, 1, ticks);
	b->records++;
	b->ticks += ticks;
}

/* A first reference. file: ignored for anonymous pages. => the new id */
static inline uint32_t trace_new(struct trace_build *b, enum ptrace_op op, enum ptrace_kind kind,
				 uint32_t file, int64_t where)
{
	trace_begin(b, (uint8_t)(op | 8), 3);
	b->column[3][b->bytes[3]++] = (uint8_t)kind;
	if (kind == PTRACE_ANON) {
		trace_zigzag(b, 3, where - b->previous_vpn);
		b->previous_vpn = where;
	} else {
		trace_varint(b, 3, file);
		trace_zigzag(b, 3, where - b->previous_offset[file]);
		b->previous_offset[file] = where;
	}
	b->previous_id = (int64_t)b->pages++;
	b->live++;
	b->peak = b->live > b->peak ? b->live : b->peak;
	return (uint32_t)b->previous_id;
}

static inline void trace_ref(struct trace_build *b, enum ptrace_op op, uint32_t id)
{
	trace_begin(b, (uint8_t)op, 1);
	trace_zigzag(b, 2, (int64_t)id - b->previous_id);
	b->previous_id = id;
}

static inline void trace_free(struct trace_build *b, uint32_t id, uint32_t count)
{
	trace_ref(b, PTRACE_FREE, id);
	trace_varint(b, 2, count);
	b->live -= count;
}

/* => the whole file, malloc'ed */
static inline uint8_t *trace_bytes(const struct trace_build *b, size_t *bytes)
{
	uint64_t header[9] = { b->records,  b->pages,	 b->ticks * 256, 512,	 b->bytes[0],
			       b->bytes[1], b->bytes[2], b->bytes[3],	 b->peak };
	uint8_t *data = calloc(1, 128 + 4 * (size_t)TRACE_COLUMN_BYTES);
	size_t at = 128;

	memcpy(data, "PTRACE1\n", 8);
	for (uint32_t i = 0; i < 9; i++)
		for (uint32_t byte = 0; byte < 8; byte++)
			data[8 + 8 * i + byte] = (uint8_t)(header[i] >> (8 * byte));
	memcpy(data + 80, "tiny", 4);
	for (uint32_t i = 0; i < 4; i++) {
		memcpy(data + at, b->column[i], b->bytes[i]);
		at += b->bytes[i];
	}
	*bytes = at;
	return data;
}

/* Writes bytes to a temporary file whose name goes to path (at least 32 bytes). */
static inline void trace_save(const uint8_t *data, size_t bytes, char *path)
{
	int fd;

	memcpy(path, "/tmp/trace-test-XXXXXX", 23);
	fd = mkstemp(path);
	if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
		abort();
	close(fd);
}

#endif
