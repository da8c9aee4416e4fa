/*
 * Decoding a file into an unnamed temporary one.
 *
 *     FILE.xz --read 64K--> liblzma --64K--> unnamed file in tmp_dir
 *
 * The copy has no name from its first moment (O_TMPFILE, else created 0600 and
 * O_EXCL and unlinked at once), so it vanishes with the process whatever ends it.
 *
 * What must never happen: an error of the temporary directory reported as a
 * damaged trace, or the other way round. Each step says which side failed: the
 * input (-EINVAL: the user's file) or the output (the world).
 *
 * liblzma may use 512 MiB to decode; the largest preset needs 65. Its memory is
 * given back before the machine is built.
 */
#include "job/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef NEAP_HAVE_LZMA
#include <lzma.h>
#endif

#include "job/ptrace.h"

#define CHUNK_BYTES (64 * KIB)
#define DECODER_BYTES_MAX (512 * MIB)

struct spool {
	const char *path;
	const char *dir; /* of the copy */
	char *message;
	int in, out;
	uint64_t in_bytes, out_bytes;
	uint8_t in_chunk[CHUNK_BYTES];
	uint8_t out_chunk[CHUNK_BYTES];
};

static int open_unnamed(const char *dir)
{
	char name[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int length;

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)
		return -errno;
	length = snprintf(name, sizeof(name), "%s/neap-trace-XXXXXX", dir);
	if (length < 0 || (size_t)length >= sizeof(name))
		return -ENAMETOOLONG;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (unlink(name) != 0) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* => bytes read, 0 at the end, -EINVAL with a message */
static int64_t read_chunk(struct spool *s)
{
	ssize_t got;

	do {
		got = read(s->in, s->in_chunk, sizeof(s->in_chunk));
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		snprintf(s->message, PTRACE_MESSAGE_BYTES, "%s: cannot be read: %s", s->path,
			 strerror(errno));
		return -EINVAL;
	}
	s->in_bytes += (uint64_t)got;
	return got;
}

/* => 0 or negative errno with a message */
static int write_chunk(struct spool *s, const uint8_t *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t put = write(s->out, data, bytes);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			int error = put < 0 ? -errno : -ENOSPC;

			snprintf(s->message, PTRACE_MESSAGE_BYTES,
				 "%s: its temporary copy in %s ends after %" PRIu64
				 " bytes: %s. Free space there, or name another place with"
				 " --tmp DIR",
				 s->path, s->dir, s->out_bytes, strerror(-error));
			return error;
		}
		data += put;
		bytes -= (size_t)put;
		s->out_bytes += (uint64_t)put;
	}
	return 0;
}

static int copy_plain(struct spool *s, int64_t first)
{
	int error = 0;

	for (int64_t got = first; got != 0 && error == 0; got = error == 0 ? read_chunk(s) : 0)
		error = got < 0 ? (int)got : write_chunk(s, s->in_chunk, (size_t)got);
	return error;
}

#ifdef NEAP_HAVE_LZMA
static int report_lzma(struct spool *s, lzma_ret ret)
{
	const char *why = ret == LZMA_MEM_ERROR	       ? "memory is out"
			  : ret == LZMA_MEMLIMIT_ERROR ? "it needs more than 512 MiB to decode"
			  : ret == LZMA_BUF_ERROR      ? "the compressed data ends early"
						       : "the compressed data is damaged";

	snprintf(s->message, PTRACE_MESSAGE_BYTES, "%s: offset %" PRIu64 ": %s", s->path,
		 s->out_bytes, why);
	return ret == LZMA_MEM_ERROR ? -ENOMEM : -EINVAL;
}

static int decode_stream(struct spool *s, lzma_stream *stream, int64_t first)
{
	lzma_action action = LZMA_RUN;
	lzma_ret ret = LZMA_OK;

	stream->next_in = s->in_chunk;
	stream->avail_in = (size_t)first;
	while (ret == LZMA_OK) {
		size_t made;
		int error;

		if (stream->avail_in == 0 && action == LZMA_RUN) {
			int64_t got = read_chunk(s);

			if (got < 0)
				return (int)got;
			stream->next_in = s->in_chunk;
			stream->avail_in = (size_t)got;
			if (got == 0)
				action = LZMA_FINISH;
		}
		stream->next_out = s->out_chunk;
		stream->avail_out = sizeof(s->out_chunk);
		ret = lzma_code(stream, action);
		made = sizeof(s->out_chunk) - stream->avail_out;
		error = write_chunk(s, s->out_chunk, made);
		if (error != 0)
			return error;
	}
	return ret == LZMA_STREAM_END ? 0 : report_lzma(s, ret);
}

static int copy_xz(struct spool *s, int64_t first)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret ret = lzma_stream_decoder(&stream, DECODER_BYTES_MAX, LZMA_CONCATENATED);
	int error = ret != LZMA_OK ? report_lzma(s, ret) : decode_stream(s, &stream, first);

	lzma_end(&stream);
	return error;
}
#else
static int copy_xz(struct spool *s, int64_t first)
{
	(void)first;
	snprintf(s->message, PTRACE_MESSAGE_BYTES,
		 "%s: compressed, and this neap was built without liblzma; xz -d unpacks it",
		 s->path);
	return -ENOTSUP;
}
#endif

static int copy_all(struct spool *s)
{
	static const uint8_t xz[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 };
	int64_t first = read_chunk(s);

	if (first < 0)
		return (int)first;
	if (first >= (int64_t)sizeof(xz) && memcmp(s->in_chunk, xz, sizeof(xz)) == 0)
		return copy_xz(s, first);
	return copy_plain(s, first);
}

int spool_decode(const char *path, const char *tmp_dir, int *fd, uint64_t *bytes, char *message)
{
	struct spool *s = malloc(sizeof(*s));
	int error = -ENOMEM;

	if (s == NULL) {
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	*s = (struct spool){
		.path = path, .dir = tmp_dir, .message = message, .in = -1, .out = -1
	};
	s->in = open(path, O_RDONLY | O_CLOEXEC);
	if (s->in < 0) {
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: cannot be read: %s", path,
			 strerror(errno));
		error = -EINVAL;
		goto out;
	}
	s->out = open_unnamed(tmp_dir);
	if (s->out < 0) {
		error = s->out;
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: no temporary file in %s: %s", path,
			 tmp_dir, strerror(-error));
		goto out;
	}
	error = copy_all(s);
	if (error == 0) {
		*fd = s->out;
		*bytes = s->out_bytes;
		s->out = -1;
	}
out:
	if (s->in >= 0)
		close(s->in);
	if (s->out >= 0)
		close(s->out);
	free(s);
	return error;
}
