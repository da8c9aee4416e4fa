/*
 * Colours, escapes and units that all pictures share.
 *
 *     colour     terminal     SVG
 *     red        ESC[31m      #c0392b    used frames that cannot move, the min mark
 *     green      ESC[32m      #27864d    free pages, the high mark
 *     ...
 *
 * A terminal's palette belongs to its owner, so only the eight basic colours are
 * used there, and every picture can be read without them.
 *
 * What must never happen: an escape sequence in a pipe or a file. `colour` is false
 * then, and both functions append nothing.
 */
#include "diag/paint.h"

#include <stdio.h>

static const struct {
	const char *foreground, *background, *svg;
} colours[NR_PAINT_COLOURS] = {
	[PAINT_PLAIN] = { "\033[0m", "\033[0m", "#222222" },
	[PAINT_RED] = { "\033[31m", "\033[41m", "#c0392b" },
	[PAINT_GREEN] = { "\033[32m", "\033[42m", "#27864d" },
	[PAINT_YELLOW] = { "\033[33m", "\033[43m", "#c58a00" },
	[PAINT_BLUE] = { "\033[34m", "\033[44m", "#2563a8" },
	[PAINT_MAGENTA] = { "\033[35m", "\033[45m", "#8e44ad" },
	[PAINT_CYAN] = { "\033[36m", "\033[46m", "#168a8a" },
	[PAINT_GREY] = { "\033[90m", "\033[100m", "#9a9a9a" },
};

void paint_colour(struct text_buf *out, const struct paint *paint, enum paint_colour colour)
{
	if (paint->colour)
		text_buf_puts(out, colours[colour].foreground);
}

void paint_background(struct text_buf *out, const struct paint *paint, enum paint_colour colour)
{
	if (paint->colour)
		text_buf_puts(out, colours[colour].background);
}

const char *paint_svg_colour(enum paint_colour colour)
{
	return colours[colour].svg;
}

void paint_svg_text(struct text_buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			text_buf_puts(out, "&amp;");
			break;
		case '<':
			text_buf_puts(out, "&lt;");
			break;
		case '>':
			text_buf_puts(out, "&gt;");
			break;
		case '"':
			text_buf_puts(out, "&quot;");
			break;
		default:
			/* Bytes that are not ASCII may come from a file's name and be anything. */
			text_buf_add(out, *text >= ' ' && *text <= '~' ? text : "?", 1);
		}
	}
}

void paint_time(uint64_t ns, char text[16])
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = {
		{ NSEC_PER_SEC, "s" },
		{ NSEC_PER_MSEC, "ms" },
		{ NSEC_PER_USEC, "us" },
	};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		uint64_t unit = units[i].unit;
		uint64_t thousandths;

		if (ns < unit)
			continue;
		if (ns / unit >= 1000000) {
			(void)snprintf(text, 16, "%.0e %s", (double)ns / (double)unit,
				       units[i].name);
			return;
		}
		thousandths = ns / (unit / 1000);
		/* Three digits that count, whatever the size. */
		if (thousandths >= 100000)
			(void)snprintf(text, 16, "%u %s", (uint32_t)(thousandths / 1000),
				       units[i].name);
		else if (thousandths >= 10000)
			(void)snprintf(text, 16, "%u.%u %s", (uint32_t)(thousandths / 1000),
				       (uint32_t)(thousandths / 100 % 10), units[i].name);
		else
			(void)snprintf(text, 16, "%u.%02u %s", (uint32_t)(thousandths / 1000),
				       (uint32_t)(thousandths / 10 % 100), units[i].name);
		return;
	}
	(void)snprintf(text, 16, "%u ns", (uint32_t)(ns % NSEC_PER_USEC));
}
