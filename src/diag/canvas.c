/*
 * Squared paper.
 *
 *     shapes in order:  box (2,1)-(20,3) "kswapd0"   arrow (11,4)-(11,6)   words ...
 *           |
 *           +--> text   +-------+   a square is a character; where lines meet
 *           |           | words |   boxes, the box is drawn
 *           |           +-------+
 *           |               |
 *           |               v
 *           +--> SVG    a square is 8 x 16 units
 *
 * One description gives both, so they cannot differ. Lines and arrows run along a row
 * or a column only; a bent one is two.
 *
 * What must never happen: drawing outside the paper. Every square is checked, and
 * what does not fit is cut, so that a number that has grown spoils a line of its
 * picture and nothing else.
 */
#include "diag/canvas.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SQUARE_WIDTH 8u
#define SQUARE_HEIGHT 16u

/* What is in a square, beside the characters of words. */
enum square {
	SQUARE_BLANK = 0,
	SQUARE_ROW = 1, /* part of a line along a row */
	SQUARE_COLUMN,
	SQUARE_CORNER_UL,
	SQUARE_CORNER_UR,
	SQUARE_CORNER_LL,
	SQUARE_CORNER_LR,
	SQUARE_LEFT,
	SQUARE_RIGHT,
	SQUARE_UP,
	SQUARE_DOWN,
	SQUARE_CROSS,
	NR_SQUARES,
};

static const struct {
	const char *ascii, *unicode;
} looks[NR_SQUARES] = {
	{ " ", " " }, { "-", "─" }, { "|", "│" }, { "+", "┌" }, { "+", "┐" }, { "+", "└" },
	{ "+", "┘" }, { "<", "◀" }, { ">", "▶" }, { "^", "▲" }, { "v", "▼" }, { "+", "┼" },
};

void canvas_init(struct canvas *canvas)
{
	canvas->nr_shapes = 0;
}

/* => a new shape, or the last one again when there are too many */
static struct canvas_shape *add(struct canvas *canvas, enum canvas_kind kind)
{
	struct canvas_shape *shape;

	if (canvas->nr_shapes < CANVAS_SHAPES)
		canvas->nr_shapes++;
	shape = &canvas->shape[canvas->nr_shapes - 1];
	*shape = (struct canvas_shape){ .kind = kind };
	return shape;
}

void canvas_box(struct canvas *canvas, struct canvas_at from, struct canvas_at to,
		const char *format, ...)
{
	struct canvas_shape *shape = add(canvas, CANVAS_BOX);
	va_list args;

	shape->from = from;
	shape->to = to;
	va_start(args, format);
	(void)vsnprintf(shape->text, sizeof(shape->text), format, args);
	va_end(args);
}

static void add_line(struct canvas *canvas, enum canvas_kind kind, struct canvas_at from,
		     struct canvas_at to)
{
	struct canvas_shape *shape = add(canvas, kind);

	shape->from = from;
	shape->to = to;
}

void canvas_line(struct canvas *canvas, struct canvas_at from, struct canvas_at to)
{
	add_line(canvas, CANVAS_LINE, from, to);
}

void canvas_arrow(struct canvas *canvas, struct canvas_at from, struct canvas_at to)
{
	add_line(canvas, CANVAS_ARROW, from, to);
}

void canvas_words(struct canvas *canvas, struct canvas_at at, const char *format, ...)
{
	struct canvas_shape *shape = add(canvas, CANVAS_WORDS);
	va_list args;

	shape->from = shape->to = at;
	va_start(args, format);
	(void)vsnprintf(shape->text, sizeof(shape->text), format, args);
	va_end(args);
}

/* ---- text ---- */

struct paper {
	char square[CANVAS_ROWS][CANVAS_COLUMNS]; /* enum square, or a character of words */
	uint32_t rows;				  /* used */
};

static void put(struct paper *paper, uint32_t x, uint32_t y, char what)
{
	if (x >= CANVAS_COLUMNS || y >= CANVAS_ROWS)
		return;
	paper->square[y][x] = what;
	paper->rows = max_u32(paper->rows, y + 1);
}

/* Part of a line: where it meets one of the other direction, both are drawn. */
static void put_part(struct paper *paper, uint32_t x, uint32_t y, enum square part)
{
	enum square other = part == SQUARE_ROW ? SQUARE_COLUMN : SQUARE_ROW;

	if (x < CANVAS_COLUMNS && y < CANVAS_ROWS && paper->square[y][x] == (char)other)
		part = SQUARE_CROSS;
	put(paper, x, y, (char)part);
}

static void put_words(struct paper *paper, uint32_t x, uint32_t y, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		put(paper, x + (uint32_t)i, y, text[i]);
}

static void put_line(struct paper *paper, const struct canvas_shape *shape)
{
	struct canvas_at a = shape->from, b = shape->to;
	bool along_row = a.y == b.y;

	for (uint32_t x = min_u32(a.x, b.x); along_row && x <= max_u32(a.x, b.x); x++)
		put_part(paper, x, a.y, SQUARE_ROW);
	for (uint32_t y = min_u32(a.y, b.y); !along_row && y <= max_u32(a.y, b.y); y++)
		put_part(paper, a.x, y, SQUARE_COLUMN);
	if (shape->kind != CANVAS_ARROW)
		return;
	if (along_row)
		put(paper, b.x, b.y, b.x > a.x ? SQUARE_RIGHT : SQUARE_LEFT);
	else
		put(paper, b.x, b.y, b.y > a.y ? SQUARE_DOWN : SQUARE_UP);
}

/* The row of a box's nth line of words, so that they are in its middle. */
static uint32_t first_words_row(const struct canvas_shape *box)
{
	uint32_t lines = 1;

	for (const char *at = strchr(box->text, '\n'); at != NULL; at = strchr(at + 1, '\n'))
		lines++;
	uint32_t inside = box->to.y - box->from.y - 1;

	return box->from.y + 1 + (inside > lines ? (inside - lines) / 2 : 0);
}

static void put_box(struct paper *paper, const struct canvas_shape *box)
{
	struct canvas_at a = box->from, b = box->to;
	uint32_t inside = b.x - a.x - 1;
	uint32_t row = first_words_row(box);

	for (uint32_t y = a.y; y <= b.y; y++)
		for (uint32_t x = a.x; x <= b.x; x++)
			put(paper, x, y,
			    y == a.y || y == b.y   ? SQUARE_ROW
			    : x == a.x || x == b.x ? SQUARE_COLUMN
						   : SQUARE_BLANK);
	put(paper, a.x, a.y, SQUARE_CORNER_UL);
	put(paper, b.x, a.y, SQUARE_CORNER_UR);
	put(paper, a.x, b.y, SQUARE_CORNER_LL);
	put(paper, b.x, b.y, SQUARE_CORNER_LR);
	for (const char *line = box->text; *line != '\0' && row < b.y; row++) {
		uint32_t length = (uint32_t)strcspn(line, "\n");
		uint32_t kept = min_u32(length, inside);

		put_words(paper, a.x + 1 + (inside - kept) / 2, row, line, kept);
		line += length + (line[length] == '\n');
	}
}

int canvas_print(const struct canvas *canvas, const struct paint *paint, struct text_buf *out)
{
	struct paper paper = { .rows = 0 };

	for (uint32_t i = 0; i < canvas->nr_shapes; i++) {
		const struct canvas_shape *shape = &canvas->shape[i];

		if (shape->kind == CANVAS_BOX)
			put_box(&paper, shape);
		else if (shape->kind == CANVAS_WORDS)
			put_words(&paper, shape->from.x, shape->from.y, shape->text,
				  strlen(shape->text));
		else
			put_line(&paper, shape);
	}
	for (uint32_t y = 0; y < paper.rows; y++) {
		uint32_t end = CANVAS_COLUMNS;

		while (end > 0 && (paper.square[y][end - 1] == SQUARE_BLANK ||
				   paper.square[y][end - 1] == ' '))
			end--;
		for (uint32_t x = 0; x < end; x++) {
			char square = paper.square[y][x];

			if ((unsigned char)square >= NR_SQUARES)
				text_buf_add(out, &square, 1);
			else
				text_buf_puts(out, paint->unicode ? looks[(int)square].unicode
								  : looks[(int)square].ascii);
		}
		text_buf_puts(out, "\n");
	}
	return out->error;
}

/* ---- SVG ---- */

static uint32_t svg_x(uint32_t column)
{
	return 20 + column * SQUARE_WIDTH + SQUARE_WIDTH / 2;
}

static uint32_t svg_y(uint32_t row)
{
	return 40 + row * SQUARE_HEIGHT + SQUARE_HEIGHT / 2;
}

static void svg_words(struct text_buf *out, struct canvas_at at, bool centred, const char *text)
{
	text_buf_printf(out, "<text x=\"%u\" y=\"%u\"%s>",
			svg_x(at.x) - (centred ? 0 : SQUARE_WIDTH / 2), svg_y(at.y) + 4,
			centred ? " text-anchor=\"middle\"" : "");
	paint_svg_text(out, text);
	text_buf_puts(out, "</text>\n");
}

static void svg_box(const struct canvas_shape *box, struct text_buf *out)
{
	uint32_t row = first_words_row(box);
	char line[CANVAS_TEXT_BYTES];

	text_buf_printf(out,
			"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"4\""
			" fill=\"#eef4fb\" stroke=\"#2563a8\"/>\n",
			svg_x(box->from.x), svg_y(box->from.y),
			(box->to.x - box->from.x) * SQUARE_WIDTH,
			(box->to.y - box->from.y) * SQUARE_HEIGHT);
	for (const char *at = box->text; *at != '\0'; row++) {
		size_t length = strcspn(at, "\n");

		(void)snprintf(line, sizeof(line), "%.*s", (int)length, at);
		svg_words(out, (struct canvas_at){ (box->from.x + box->to.x) / 2, row }, true,
			  line);
		at += length + (at[length] == '\n');
	}
}

static void svg_line(const struct canvas_shape *shape, struct text_buf *out)
{
	text_buf_printf(out,
			"<line x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\" stroke=\"#222222\"%s/>\n",
			svg_x(shape->from.x), svg_y(shape->from.y), svg_x(shape->to.x),
			svg_y(shape->to.y),
			shape->kind == CANVAS_ARROW ? " marker-end=\"url(#head)\"" : "");
}

int canvas_svg(const struct canvas *canvas, const char *title, struct text_buf *out)
{
	uint32_t rows = 0;

	for (uint32_t i = 0; i < canvas->nr_shapes; i++)
		rows = max_u32(rows, max_u32(canvas->shape[i].from.y, canvas->shape[i].to.y) + 1);
	text_buf_printf(out,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\""
			" font-family=\"monospace\" font-size=\"13\">\n"
			"<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\""
			" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">"
			"<path d=\"M0 0 L8 4 L0 8 z\" fill=\"#222222\"/></marker></defs>\n"
			"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
			svg_x(CANVAS_COLUMNS) + 20, svg_y(rows) + 20);
	text_buf_puts(out, "<text x=\"20\" y=\"22\" font-weight=\"bold\">");
	paint_svg_text(out, title);
	text_buf_puts(out, "</text>\n");
	for (uint32_t i = 0; i < canvas->nr_shapes; i++) {
		const struct canvas_shape *shape = &canvas->shape[i];

		if (shape->kind == CANVAS_BOX)
			svg_box(shape, out);
		else if (shape->kind == CANVAS_WORDS)
			svg_words(out, shape->from, false, shape->text);
		else
			svg_line(shape, out);
	}
	text_buf_puts(out, "</svg>\n");
	return out->error;
}
