/*
 * Parsing and printing of sizes.
 *
 * One number, at most one letter. A letter multiplies by a power of 1024 and
 * is accepted in either case; nothing else is ("MB" leaves the B to the caller,
 * who then reports it). Printing chooses the largest unit that leaves at least
 * one whole, and one decimal, rounded down, when it is not exact.
 *
 * What must never happen: a size that silently wraps. Both the digits and the
 * multiplication are checked.
 */
#include "base/size.h"

static uint32_t unit_shift(char c)
{
	switch (c) {
	case 'K':
	case 'k':
		return 10;
	case 'M':
	case 'm':
		return 20;
	case 'G':
	case 'g':
		return 30;
	case 'T':
	case 't':
		return 40;
	default:
		return 0;
	}
}

size_t size_parse(const char *text, uint64_t *bytes_out)
{
	uint64_t value = 0;
	size_t used = 0;

	while (text[used] >= '0' && text[used] <= '9') {
		uint64_t digit = (uint64_t)(text[used] - '0');

		if (value > (UINT64_MAX - digit) / 10)
			return 0;
		value = value * 10 + digit;
		used++;
	}
	if (used == 0)
		return 0;
	uint32_t shift = unit_shift(text[used]);
	if (shift != 0) {
		if (value > (UINT64_MAX >> shift))
			return 0;
		value <<= shift;
		used++;
	}
	*bytes_out = value;
	return used;
}

static char *put_number(char *at, uint64_t value)
{
	char digits[20];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	while (n > 0)
		*at++ = digits[--n];
	return at;
}

char *size_format(uint64_t bytes, char *buf)
{
	static const char units[] = { 'T', 'G', 'M', 'K' };
	char *at = buf;

	for (uint32_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t unit = (uint64_t)1 << (40 - 10 * i);

		if (bytes < unit)
			continue;
		at = put_number(at, bytes / unit);
		if (bytes % unit != 0) {
			*at++ = '.';
			*at++ = (char)('0' + (bytes % unit) * 10 / unit);
		}
		*at++ = units[i];
		*at = '\0';
		return buf;
	}
	at = put_number(at, bytes);
	*at = '\0';
	return buf;
}
