/*
 * Numbers and words as Linux reads them from what is written to its files: the rules of
 * /proc/sys, those of /sys, and the output of values (spec 05, section 8).
 */
#ifndef NEAP_CORE_KNOBS_TEXT_H
#define NEAP_CORE_KNOBS_TEXT_H

#include "base/base.h"

/* What is left of a text being written. */
struct knobs_in {
	const char *at;
	size_t left;
};

/* A text being put together; bytes counts on when the buffer is full. */
struct knobs_out {
	char *buffer;
	size_t room;
	size_t bytes;
};

/* ---- characters ---- */

/* => the position of the first c in the bytes; `bytes` if there is none */
size_t knobs_text_find(const char *at, size_t bytes, char c);
/* Whether two terminated texts are the same. */
bool knobs_text_equal(const char *a, const char *b);
/* => bytes of the prefix if the text begins so, else 0 */
size_t knobs_text_begins(const char *text, const char *prefix, size_t prefix_bytes);

/* ---- files of /proc/sys: several elements with blanks between ---- */

void knobs_text_skip_blanks(struct knobs_in *in);
/*
 * Takes one number with an optional minus, decimal, 0x or 0 octal, up to a blank or the end.
 * => 0; -EINVAL, and nothing is taken
 */
int knobs_text_number(struct knobs_in *in, uint64_t *magnitude, bool *negative);
/* => whether the number fits an int, and *value */
bool knobs_text_is_int(uint64_t magnitude, bool negative, int32_t *value);

/* ---- files of /sys: one element, at most one newline, ends at a NUL ---- */

/* base: 10, or 0 for any that a prefix announces. => 0, -EINVAL, -ERANGE (beyond 64 bits) */
int knobs_text_unsigned(const struct knobs_in *in, uint32_t base, uint64_t *value);
/* Whether the text is this word of word_bytes bytes. */
bool knobs_text_is_word(const struct knobs_in *in, const char *word, size_t word_bytes);
/* y t 1 on, n f 0 off, by the first letters. => 0 or -EINVAL */
int knobs_text_bool(const struct knobs_in *in, bool *value);

/* ---- /proc/pressure ---- */

struct knobs_trigger {
	bool full;
	uint32_t threshold_us, window_us;
};

/* "some|full THRESHOLD WINDOW"; the last byte, or the 32nd, counts for nothing. => 0 or -EINVAL */
int knobs_text_trigger(const struct knobs_in *in, struct knobs_trigger *trigger);

/* ---- output ---- */

void knobs_text_put(struct knobs_out *out, const char *text, size_t bytes);
void knobs_text_put_char(struct knobs_out *out, char c);
void knobs_text_put_unsigned(struct knobs_out *out, uint64_t value);
void knobs_text_put_int(struct knobs_out *out, int64_t value);
/* 0x and four digits */
void knobs_text_put_hex4(struct knobs_out *out, uint32_t value);
/* Terminates. => the text's bytes, or -ERANGE if it did not fit */
int64_t knobs_text_end(struct knobs_out *out);

#endif
