/*
 * The prefix of a log line.
 *
 *     Nov 21 13:47:03 host kernel: [   28.483595] Mem-Info:
 *     |---- when ---|              |-- uptime --| ^ text
 *     |----------------- prefix ----------------|
 *
 * A prefix is read in three steps, each of which may find nothing: the mark of a
 * console or of dmesg -x, a date with host and "kernel:", a time in brackets (twice
 * where the caller is shown, too). Whatever remains is the kernel's text. The one
 * blank after a bracket or after "kernel:" belongs to the prefix; further blanks are
 * the kernel's, which indents the lines of a statement.
 *
 * A line that a program, not the kernel, has written ("sshd[123]: ...") keeps its
 * prefix as text, so that no report is read out of it by mistake; only a name that is
 * "kernel" is one.
 *
 * What must never happen: a byte of the kernel's text lost. prefix and text together
 * are the line, always.
 */
#include "text/logline.h"

#include <string.h>

#define UPTIME_SECONDS_MAX 100000000000u

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits from *at on. => how many */
static uint32_t read_digits(const char **at, const char *end, uint64_t *value)
{
	const char *start = *at;

	*value = 0;
	while (*at < end && is_digit(**at) && *value < UPTIME_SECONDS_MAX) {
		*value = *value * 10 + (uint64_t)(**at - '0');
		(*at)++;
	}
	return (uint32_t)(*at - start);
}

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* "   28.483595" as a whole. => whether it is an uptime */
static bool read_uptime(const char *at, const char *end, uint64_t *us)
{
	uint64_t seconds, micros;

	at = skip_blanks(at, end);
	/* dmesg -d shows the time since the line before, which is no time of its own. */
	if (at < end && *at == '+')
		return false;
	if (read_digits(&at, end, &seconds) == 0 || at == end || *at != '.')
		return false;
	at++;
	uint32_t digits = read_digits(&at, end, &micros);

	if (at != end || digits == 0 || digits > 6)
		return false;
	for (; digits < 6; digits++)
		micros *= 10;
	*us = seconds * 1000000 + micros;
	return true;
}

/* "  +0.002367" of dmesg -d. */
static bool looks_like_delta(const char *at, const char *end)
{
	uint64_t number;

	at = skip_blanks(at, end);
	if (at == end || *at != '+')
		return false;
	at++;
	if (read_digits(&at, end, &number) == 0 || at == end || *at != '.')
		return false;
	at++;
	return read_digits(&at, end, &number) != 0 && at == end;
}

/* "Sat Nov 21 13:47:03 2026": a date has two colons and a blank. */
static bool looks_like_date(const char *at, const char *end)
{
	uint32_t colons = 0, blanks = 0;

	for (; at < end; at++) {
		colons += *at == ':';
		blanks += *at == ' ';
	}
	return colons == 2 && blanks >= 2;
}

/* "  T195" or "   C1": the caller that some kernels show. */
static bool looks_like_caller(const char *at, const char *end)
{
	uint64_t number;

	at = skip_blanks(at, end);
	if (at == end || (*at != 'T' && *at != 'C'))
		return false;
	at++;
	return read_digits(&at, end, &number) != 0 && at == end;
}

/* "[...]" at `at`, if it is a time or a caller. => the position after it and a blank, or at */
static const char *skip_bracket(const char *at, const char *end, struct logline *out)
{
	const char *close = at < end && *at == '['
				    ? memchr(at, ']', (size_t)min_u64((uint64_t)(end - at), 40))
				    : NULL;

	if (close == NULL)
		return at;
	if (read_uptime(at + 1, close, &out->uptime_us)) {
		out->has_uptime = true;
	} else if (!looks_like_date(at + 1, close)) {
		if (!looks_like_caller(at + 1, close) && !looks_like_delta(at + 1, close))
			return at;
		return close + 1 < end && close[1] == ' ' ? close + 2 : close + 1;
	}
	if (out->when.bytes == 0) {
		out->when.at = skip_blanks(at + 1, close);
		out->when.bytes = (uint32_t)(close - out->when.at);
	}
	close++;
	return close < end && *close == ' ' ? close + 1 : close;
}

/* "<4>" of a console; "kern  :warn  : " of dmesg -x. */
static const char *skip_mark(const char *at, const char *end)
{
	const char *start = at;

	if (at < end && *at == '<') {
		uint64_t level;

		at++;
		if (read_digits(&at, end, &level) != 0 && at < end && *at == '>')
			return at + 1;
		return start;
	}
	if (end - at < 16 || memcmp(at, "kern", 4) != 0 || at[6] != ':' || at[13] != ':')
		return start;
	return at + 15;
}

/* => the end of the word at `at` */
static const char *word_end(const char *at, const char *end)
{
	while (at < end && *at != ' ')
		at++;
	return at;
}

/* Does a syslog date stand here? => its end ("Nov 21 13:47:03", "2026-11-21T13:47:03+00:00") */
static const char *date_end(const char *at, const char *end)
{
	const char *stop = word_end(at, end);

	if (stop - at >= 19 && is_digit(at[0]) && at[4] == '-' && at[10] == 'T')
		return stop;
	if (stop - at != 3 || end - at < 15 || at[9] != ':' || at[12] != ':')
		return NULL;
	return is_digit(at[5]) && is_digit(at[14]) ? at + 15 : NULL;
}

/* "HOST kernel: ", "kernel: " => the position after it, or NULL */
static const char *skip_host(const char *at, const char *end)
{
	for (uint32_t word = 0; word < 2; word++) {
		const char *stop = word_end(at, end);

		if (stop - at == 7 && memcmp(at, "kernel:", 7) == 0)
			return stop < end ? stop + 1 : stop;
		at = skip_blanks(stop, end);
	}
	return NULL;
}

/* What may stand before a date: "123:" of grep -n, "kern: kern.err: " of a facility. */
static const char *skip_to_date(const char *at, const char *end)
{
	for (uint32_t word = 0; word < 2 && date_end(at, end) == NULL; word++) {
		const char *stop = word_end(at, end);
		uint64_t number;
		const char *digits = at;

		if (read_digits(&digits, end, &number) != 0 && digits < end && *digits == ':')
			at = digits + 1;
		else if (stop > at && stop < end && (stop[-1] == ':' || digits == stop))
			at = skip_blanks(stop, end);
		else
			break;
	}
	return at;
}

static const char *skip_syslog(const char *start, const char *end, struct logline *out)
{
	const char *at = skip_to_date(start, end);
	const char *date = date_end(at, end);

	if (date == NULL)
		at = start;
	const char *text = skip_host(date != NULL ? skip_blanks(date, end) : at, end);

	if (text == NULL)
		return start;
	if (date != NULL)
		out->when = (struct logline_slice){ at, (uint32_t)(date - at) };
	return text;
}

void logline_split(const char *line, uint32_t bytes, struct logline *out)
{
	const char *end = line + bytes;

	*out = (struct logline){ .has_uptime = false };
	const char *at = skip_mark(line, end);

	at = skip_bracket(at, end, out);
	at = skip_syslog(at, end, out);
	at = skip_bracket(at, end, out);
	at = skip_bracket(at, end, out);
	out->prefix = (struct logline_slice){ line, (uint32_t)(at - line) };
	out->text = (struct logline_slice){ at, (uint32_t)(end - at) };
}
