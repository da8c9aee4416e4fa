/*
 * Boxes, arrows and words on squared paper, printed as text or as SVG.
 */
#ifndef NEAP_DIAG_CANVAS_H
#define NEAP_DIAG_CANVAS_H

#include "diag/paint.h"

#define CANVAS_COLUMNS 78u
#define CANVAS_ROWS 48u
#define CANVAS_SHAPES 96u
#define CANVAS_TEXT_BYTES 128u

struct canvas_at {
	uint32_t x, y; /* column, row; the upper left square is 0, 0 */
};

enum canvas_kind {
	CANVAS_BOX,
	CANVAS_LINE,
	CANVAS_ARROW,
	CANVAS_WORDS,
};

struct canvas_shape {
	enum canvas_kind kind;
	struct canvas_at from, to;    /* box: corners; line: ends; words: where they begin */
	char text[CANVAS_TEXT_BYTES]; /* box: lines separated by \n, centred */
};

struct canvas {
	uint32_t nr_shapes;
	struct canvas_shape shape[CANVAS_SHAPES];
};

void canvas_init(struct canvas *canvas);
/* A box from one corner to the other, at least 3 rows and columns, with centred words inside. */
void canvas_box(struct canvas *canvas, struct canvas_at from, struct canvas_at to,
		const char *format, ...) PRINTF_LIKE(4, 5);
/* A straight line, along a row or a column. */
void canvas_line(struct canvas *canvas, struct canvas_at from, struct canvas_at to);
/* The same with a head at its end. */
void canvas_arrow(struct canvas *canvas, struct canvas_at from, struct canvas_at to);
void canvas_words(struct canvas *canvas, struct canvas_at at, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* Each appends the picture. => 0 or the buffer's error */
int canvas_print(const struct canvas *canvas, const struct paint *paint, struct text_buf *out);
int canvas_svg(const struct canvas *canvas, const char *title, struct text_buf *out);

#endif
