/*
 * Steps through a line.
 *
 *     "MemTotal:         481004 kB"
 *      ^word     ^blanks ^u64  ^literal
 *
 * Lines are private, terminated copies (doc.c makes them), so no step needs a
 * length, and the terminator ends every loop.
 *
 * What must never happen: a number that wraps. Digits beyond 64 bits make the
 * step fail, and with it the line's understanding, not the parse.
 */
#include "text/scan.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

const char *scan_literal(const char *at, const char *literal)
{
	size_t length = strlen(literal);

	if (at == NULL || strncmp(at, literal, length) != 0)
		return NULL;
	return at + length;
}

const char *scan_blanks(const char *at)
{
	if (at == NULL)
		return NULL;
	while (is_blank(*at))
		at++;
	return at;
}

const char *scan_word(const char *at)
{
	const char *start = at;

	if (at == NULL)
		return NULL;
	while (*at != '\0' && !is_blank(*at))
		at++;
	return at != start ? at : NULL;
}

const char *scan_u64(const char *at, uint64_t *value)
{
	const char *start = at;
	uint64_t sum = 0;

	if (at == NULL)
		return NULL;
	while (*at >= '0' && *at <= '9') {
		uint64_t digit = (uint64_t)(*at - '0');

		if (sum > (UINT64_MAX - digit) / 10)
			return NULL;
		sum = sum * 10 + digit;
		at++;
	}
	if (at == start)
		return NULL;
	*value = sum;
	return at;
}

const char *scan_u32(const char *at, uint32_t *value)
{
	uint64_t wide = 0;

	at = scan_u64(at, &wide);
	if (at == NULL || wide > UINT32_MAX)
		return NULL;
	*value = (uint32_t)wide;
	return at;
}

const char *scan_i64(const char *at, uint64_t *value)
{
	uint64_t size = 0;

	if (at == NULL)
		return NULL;
	bool negative = *at == '-';
	at = scan_u64(negative ? at + 1 : at, &size);
	if (at == NULL || size > (uint64_t)INT64_MAX)
		return NULL;
	*value = negative ? 0 - size : size;
	return at;
}

bool scan_end(const char *at)
{
	at = scan_blanks(at);
	return at != NULL && *at == '\0';
}
