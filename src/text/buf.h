/*
 * A growing text buffer: where every writer of this layer puts its output.
 *
 * Errors stick: after an append failed, further appends do nothing and return
 * the same error, so a writer may append freely and look once, at the end.
 * The contents are always terminated by a NUL that `bytes` does not count.
 */
#ifndef NEAP_TEXT_BUF_H
#define NEAP_TEXT_BUF_H

#include "base/base.h"

struct text_buf {
	char *at;      /* the text; NULL until the first append */
	size_t bytes;  /* without the NUL */
	uint32_t room; /* allocated bytes */
	int error;     /* 0, or the first error: -ENOMEM */
};

void text_buf_init(struct text_buf *buf);
/* Frees the text; the buffer is then as after text_buf_init(). */
void text_buf_free(struct text_buf *buf);
/* Forgets the text and the error but keeps the memory. */
void text_buf_reset(struct text_buf *buf);

/* Each appends and => returns 0, or the sticky error. */
int text_buf_add(struct text_buf *buf, const char *text, size_t bytes);
int text_buf_puts(struct text_buf *buf, const char *text);
int text_buf_printf(struct text_buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* `count` times the character c. */
int text_buf_fill(struct text_buf *buf, char c, size_t count);
/* A number, right-aligned in `width` characters. */
int text_buf_u64(struct text_buf *buf, uint64_t value, uint32_t width);
int text_buf_i64(struct text_buf *buf, int64_t value);

/* => the text, never NULL: "" when nothing was appended */
const char *text_buf_text(const struct text_buf *buf);

/* Whether the text equals these bytes. */
bool text_buf_equals(const struct text_buf *buf, const char *text, size_t bytes);

/*
 * Appends the contents of a file.
 * => 0; -EFBIG if it has more than bytes_max; else the negative errno of the failed call
 * => may block; reads to the end of file, since files in /proc say that their size is 0
 */
MUST_CHECK int text_buf_read_file(struct text_buf *buf, const char *path, size_t bytes_max);

#endif
