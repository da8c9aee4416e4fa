/*
 * knobs_text.c: text into numbers, as a kernel does it.
 *
 * Linux reads what is written to its files by three sets of rules, and the differences show:
 *
 *                    /proc/sys           /sys                   pressure triggers
 *   " 5"             5                   -EINVAL                5
 *   "5 6"            5, a short write    -EINVAL                two numbers
 *   "5abc"           -EINVAL             -EINVAL                5
 *   "+5"             -EINVAL             5                      -EINVAL
 *   "-5"             -5                  -EINVAL                -EINVAL
 *   "0x10" "010"     16, 8               16, 8, or by base 10   0, 10
 *   "5" NUL "x"      -EINVAL             5                      ends the text
 *   2 to the 64th    -EINVAL             -ERANGE                wraps at 32 bits
 *
 * In /proc/sys a number of 21 characters or more is refused unread, so 000000000000000000001
 * is no number there. A pressure file keeps 31 characters of a write and throws the last one
 * away, whatever it is: a writer that sends neither newline nor NUL loses a digit.
 *
 * What must never happen: a byte read beyond the given ones. No text here is terminated.
 *
 * Linux: kernel/sysctl.c (proc_get_long), lib/kstrtox.c, lib/vsprintf.c (vsscanf),
 * psi_trigger_create() of kernel/sched/psi.c; 6.1.
 */
#include "core/knobs_text.h"

#include <errno.h>
#include <string.h>

#define NUMBER_CHARS_MAX 20u  /* sign and prefix included; /proc/sys refuses longer ones unread */
#define NUMBER_TEXT_BYTES 20u /* 18446744073709551615 */
#define NO_DIGIT 16u
#define TRIGGER_BYTES 32u /* of a write that a pressure file looks at, the last one as its end */
#define WINDOW_LEAST_US 500000u
#define WINDOW_MOST_US 10000000u

static bool char_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* => 0..15, or NO_DIGIT for what is not a digit in any base */
static uint32_t char_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (uint32_t)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (uint32_t)(c - 'A') + 10;
	return NO_DIGIT;
}

size_t knobs_text_find(const char *at, size_t bytes, char c)
{
	size_t i = 0;

	while (i < bytes && at[i] != c)
		i++;
	return i;
}

bool knobs_text_equal(const char *a, const char *b)
{
	size_t bytes = strlen(a);

	return strlen(b) == bytes && memcmp(a, b, bytes) == 0;
}

size_t knobs_text_begins(const char *text, const char *prefix, size_t prefix_bytes)
{
	return strlen(text) >= prefix_bytes && memcmp(text, prefix, prefix_bytes) == 0
		       ? prefix_bytes
		       : 0;
}

static void in_skip(struct knobs_in *in, size_t bytes)
{
	in->at += bytes;
	in->left -= bytes;
}

void knobs_text_skip_blanks(struct knobs_in *in)
{
	while (in->left > 0 && char_is_blank(*in->at))
		in_skip(in, 1);
}

/* Takes the prefix of a number. => the base that it announces */
static uint32_t take_prefix(struct knobs_in *in)
{
	if (in->left < 2 || in->at[0] != '0')
		return 10;
	if ((in->at[1] == 'x' || in->at[1] == 'X') && in->left > 2 &&
	    char_digit(in->at[2]) < NO_DIGIT) {
		in_skip(in, 2);
		return 16;
	}
	return 8;
}

/* Takes all digits of a base. => how many; *overflow: they do not fit 64 bits, *value wrapped */
static size_t take_digits(struct knobs_in *in, uint32_t base, uint64_t *value, bool *overflow)
{
	size_t nr = 0;

	*value = 0;
	*overflow = false;
	for (; in->left > 0 && char_digit(*in->at) < base; nr++, in_skip(in, 1)) {
		uint32_t digit = char_digit(*in->at);

		if (*value > (UINT64_MAX - digit) / base)
			*overflow = true;
		*value = *value * base + digit;
	}
	return nr;
}

int knobs_text_number(struct knobs_in *in, uint64_t *magnitude, bool *negative)
{
	struct knobs_in rest = *in;
	bool overflow;

	*negative = rest.left > 1 && rest.at[0] == '-';
	if (*negative)
		in_skip(&rest, 1);
	if (rest.left == 0 || char_digit(*rest.at) > 9)
		return -EINVAL;
	uint32_t base = take_prefix(&rest);

	if (take_digits(&rest, base, magnitude, &overflow) == 0 || overflow)
		return -EINVAL;
	if (in->left - rest.left > NUMBER_CHARS_MAX)
		return -EINVAL;
	if (rest.left > 0 && *rest.at != ' ' && *rest.at != '\t' && *rest.at != '\n')
		return -EINVAL;
	*in = rest;
	return 0;
}

bool knobs_text_is_int(uint64_t magnitude, bool negative, int32_t *value)
{
	if (magnitude > (uint64_t)INT32_MAX + (negative ? 1 : 0))
		return false;
	*value = (int32_t)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
	return true;
}

/* ---- /sys ---- */

/* The text up to a NUL, without one newline before it. */
static struct knobs_in sysfs_element(const struct knobs_in *in)
{
	struct knobs_in element = { in->at, knobs_text_find(in->at, in->left, '\0') };

	if (element.left > 0 && element.at[element.left - 1] == '\n')
		element.left--;
	return element;
}

int knobs_text_unsigned(const struct knobs_in *in, uint32_t base, uint64_t *value)
{
	struct knobs_in rest = sysfs_element(in);
	bool overflow;

	if (rest.left > 0 && *rest.at == '+')
		in_skip(&rest, 1);
	if (base == 0)
		base = take_prefix(&rest);
	if (take_digits(&rest, base, value, &overflow) == 0)
		return -EINVAL;
	if (overflow)
		return -ERANGE;
	return rest.left == 0 ? 0 : -EINVAL;
}

bool knobs_text_is_word(const struct knobs_in *in, const char *word, size_t word_bytes)
{
	struct knobs_in element = sysfs_element(in);

	return element.left == word_bytes && memcmp(element.at, word, word_bytes) == 0;
}

int knobs_text_bool(const struct knobs_in *in, bool *value)
{
	static const char on[] = { 'y', 'Y', 't', 'T', '1' };
	static const char off[] = { 'n', 'N', 'f', 'F', '0' };
	char first = in->left > 0 ? in->at[0] : '\0';
	char second = in->left > 1 ? in->at[1] : '\0';

	if (first == 'o' || first == 'O') {
		*value = second == 'n' || second == 'N';
		return *value || second == 'f' || second == 'F' ? 0 : -EINVAL;
	}
	*value = knobs_text_find(on, sizeof(on), first) != sizeof(on);
	return *value || knobs_text_find(off, sizeof(off), first) != sizeof(off) ? 0 : -EINVAL;
}

/* ---- pressure triggers ---- */

/* Takes blanks and a decimal number, kept modulo 2 to the 32nd. => whether there was one */
static bool take_u32(struct knobs_in *in, uint32_t *value)
{
	uint64_t wide;
	bool overflow; /* Linux does not look */

	knobs_text_skip_blanks(in);
	if (take_digits(in, 10, &wide, &overflow) == 0)
		return false;
	*value = (uint32_t)wide;
	return true;
}

int knobs_text_trigger(const struct knobs_in *in, struct knobs_trigger *trigger)
{
	struct knobs_in rest = *in;

	if (rest.left == 0)
		return -EINVAL;
	rest.left = (rest.left < TRIGGER_BYTES ? rest.left : TRIGGER_BYTES) - 1;
	rest.left = knobs_text_find(rest.at, rest.left, '\0');
	if (rest.left < 4)
		return -EINVAL;
	trigger->full = memcmp(rest.at, "full", 4) == 0;
	if (!trigger->full && memcmp(rest.at, "some", 4) != 0)
		return -EINVAL;
	in_skip(&rest, 4);
	if (!take_u32(&rest, &trigger->threshold_us) || !take_u32(&rest, &trigger->window_us))
		return -EINVAL;
	if (trigger->window_us < WINDOW_LEAST_US || trigger->window_us > WINDOW_MOST_US)
		return -EINVAL;
	if (trigger->threshold_us == 0 || trigger->threshold_us > trigger->window_us)
		return -EINVAL;
	return 0;
}

/* ---- output ---- */

void knobs_text_put_char(struct knobs_out *out, char c)
{
	if (out->bytes < out->room)
		out->buffer[out->bytes] = c;
	out->bytes++;
}

void knobs_text_put(struct knobs_out *out, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		knobs_text_put_char(out, text[i]);
}

void knobs_text_put_unsigned(struct knobs_out *out, uint64_t value)
{
	char digits[NUMBER_TEXT_BYTES];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	while (n > 0)
		knobs_text_put_char(out, digits[--n]);
}

void knobs_text_put_int(struct knobs_out *out, int64_t value)
{
	if (value < 0)
		knobs_text_put_char(out, '-');
	knobs_text_put_unsigned(out, value < 0 ? 0u - (uint64_t)value : (uint64_t)value);
}

void knobs_text_put_hex4(struct knobs_out *out, uint32_t value)
{
	static const char digits[] = "0123456789abcdef";

	knobs_text_put(out, "0x", 2);
	for (uint32_t shift = 16; shift > 0; shift -= 4)
		knobs_text_put_char(out, digits[(value >> (shift - 4)) & 15]);
}

int64_t knobs_text_end(struct knobs_out *out)
{
	if (out->bytes >= out->room)
		return -ERANGE;
	out->buffer[out->bytes] = '\0';
	return (int64_t)out->bytes;
}
