/*
 * How pictures are painted: the width of the paper, colours, and which characters it can show.
 */
#ifndef NEAP_DIAG_PAINT_H
#define NEAP_DIAG_PAINT_H

#include "base/base.h"
#include "text/buf.h"

struct paint {
	uint32_t width; /* columns */
	bool colour;	/* escape sequences are understood: a terminal */
	bool unicode;	/* lines and blocks of UTF-8; else ASCII */
};

enum paint_colour {
	PAINT_PLAIN,
	PAINT_RED,
	PAINT_GREEN,
	PAINT_YELLOW,
	PAINT_BLUE,
	PAINT_MAGENTA,
	PAINT_CYAN,
	PAINT_GREY,
	NR_PAINT_COLOURS,
};

#define PAINT_WIDTH_MIN 60u
#define PAINT_WIDTH_MAX 400u

/* Switches the colour of what follows; PAINT_PLAIN ends a colour. Nothing without colours. */
void paint_colour(struct text_buf *out, const struct paint *paint, enum paint_colour colour);
/* The same for the background, for cells. */
void paint_background(struct text_buf *out, const struct paint *paint, enum paint_colour colour);
/* "#1f77b4": the colour in SVG. */
const char *paint_svg_colour(enum paint_colour colour);
/* Appends text with &, <, >, " and control characters made safe for SVG. */
void paint_svg_text(struct text_buf *out, const char *text);
/* "12.3 ms", at most 15 characters. */
void paint_time(uint64_t ns, char text[16]);

#endif
