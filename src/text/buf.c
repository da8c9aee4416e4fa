/*
 * Growing text buffer.
 *
 *     at -> M e m T o t a l :   4 8 1 0 0 4   k B \n \0 . . . .
 *           |<------------- bytes ------------->|
 *           |<-------------------- room ---------------------->|
 *
 * Invariants:
 *   1. at == NULL exactly when room == 0, and then bytes == 0.
 *   2. otherwise bytes < room and at[bytes] == 0.
 *   3. after an error nothing is appended any more: half a line is never
 *      followed by a whole one, and the caller who looks at the end learns of it.
 *
 * Numbers have their own functions: a zoneinfo of a large machine has half a
 * million of them, and a parse prints each line once to see whether it has
 * Linux 6.1's exact form (doc.c).
 */
#include "text/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text/mem.h"

#define READ_STEP_BYTES 65536u

void text_buf_init(struct text_buf *buf)
{
	memset(buf, 0, sizeof(*buf));
}

void text_buf_free(struct text_buf *buf)
{
	free(buf->at);
	text_buf_init(buf);
}

void text_buf_reset(struct text_buf *buf)
{
	buf->bytes = 0;
	buf->error = 0;
	if (buf->at != NULL)
		buf->at[0] = '\0';
}

/* Makes room for `more` bytes and the NUL. => 0, or the sticky error */
static int buf_reserve(struct text_buf *buf, size_t more)
{
	void *array = buf->at;

	if (buf->error != 0)
		return buf->error;
	if (more >= UINT32_MAX - buf->bytes) {
		buf->error = -ENOMEM;
		return buf->error;
	}
	buf->error = text_mem_reserve(&array, &buf->room, (uint32_t)(buf->bytes + more + 1), 1);
	buf->at = array;
	return buf->error;
}

int text_buf_add(struct text_buf *buf, const char *text, size_t bytes)
{
	int error = buf_reserve(buf, bytes);

	if (error != 0)
		return error;
	if (bytes != 0)
		memcpy(buf->at + buf->bytes, text, bytes);
	buf->bytes += bytes;
	buf->at[buf->bytes] = '\0';
	return 0;
}

int text_buf_puts(struct text_buf *buf, const char *text)
{
	return text_buf_add(buf, text, strlen(text));
}

int text_buf_fill(struct text_buf *buf, char c, size_t count)
{
	int error = buf_reserve(buf, count);

	if (error != 0)
		return error;
	memset(buf->at + buf->bytes, c, count);
	buf->bytes += count;
	buf->at[buf->bytes] = '\0';
	return 0;
}

int text_buf_printf(struct text_buf *buf, const char *format, ...)
{
	char small[256];
	va_list args;

	va_start(args, format);
	int length = vsnprintf(small, sizeof(small), format, args);
	va_end(args);
	if (length < 0) {
		buf->error = buf->error != 0 ? buf->error : -EINVAL;
		return buf->error;
	}
	if ((size_t)length < sizeof(small))
		return text_buf_add(buf, small, (size_t)length);
	if (buf_reserve(buf, (size_t)length) != 0)
		return buf->error;
	va_start(args, format);
	vsnprintf(buf->at + buf->bytes, (size_t)length + 1, format, args);
	va_end(args);
	buf->bytes += (size_t)length;
	return 0;
}

/* Writes the decimal digits of value at the end of `digits` (20 bytes). => how many */
static size_t put_digits(char *digits, uint64_t value)
{
	size_t count = 0;

	do {
		digits[20 - ++count] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	return count;
}

int text_buf_u64(struct text_buf *buf, uint64_t value, uint32_t width)
{
	char digits[20];
	size_t count = put_digits(digits, value);

	if (count < width)
		text_buf_fill(buf, ' ', width - count);
	return text_buf_add(buf, digits + 20 - count, count);
}

int text_buf_i64(struct text_buf *buf, int64_t value)
{
	if (value >= 0)
		return text_buf_u64(buf, (uint64_t)value, 0);
	text_buf_puts(buf, "-");
	return text_buf_u64(buf, 0 - (uint64_t)value, 0);
}

const char *text_buf_text(const struct text_buf *buf)
{
	return buf->at != NULL ? buf->at : "";
}

bool text_buf_equals(const struct text_buf *buf, const char *text, size_t bytes)
{
	return buf->bytes == bytes && (bytes == 0 || memcmp(buf->at, text, bytes) == 0);
}

/* Reads to the end of the file, at most bytes_max bytes. => 0 or a negative errno */
static int read_all(struct text_buf *buf, int fd, size_t bytes_max)
{
	size_t start = buf->bytes;

	for (;;) { /* event loop: ends at end of file, an error or the limit */
		if (buf_reserve(buf, READ_STEP_BYTES) != 0)
			return buf->error;
		ssize_t got = read(fd, buf->at + buf->bytes, READ_STEP_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		buf->bytes += (size_t)got;
		buf->at[buf->bytes] = '\0';
		if (got == 0)
			return 0;
		if (buf->bytes - start > bytes_max)
			return -EFBIG;
	}
}

int text_buf_read_file(struct text_buf *buf, const char *path, size_t bytes_max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	int result = read_all(buf, fd, bytes_max);
	/* Only read from: close has no error that could lose anything. */
	(void)close(fd);
	return result;
}
