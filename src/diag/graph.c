/*
 * The graph in a terminal.
 *
 *       free   1085 ^  ####
 *                   |     ##
 *       high    271 |- - - ##- - - - - - -     one panel for each zone
 *       low     226 |- - - -#- - - - - - -
 *       min     181 |- - - - ###- - - - -
 *                 0 +----------------------
 *                   0                0.2 s
 *       kswapd0     |      ##  #               one line for each bar
 *
 * The marks are a few percent of a zone, and what happens happens around them. So the
 * top of a panel is three times the high mark (without a boost) if free pages were
 * ever above that; columns beyond it end in '^'.
 *
 * A column covers a part of the time. It is filled from the least to the most that
 * was free in that part; between two samples free pages are taken as constant. A mark
 * is drawn where it was in that part.
 *
 * What must never happen: a line wider than the paper, or a picture that differs
 * between two machines: no floating point, no locale.
 */
#include "diag/graph.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LABEL_COLUMNS 15u
#define ROWS_ONE 16u  /* rows of a panel */
#define ROWS_MANY 12u /* of each panel if there are more than two */
#define ROWS_MAX ROWS_ONE
#define TOP_MARKS 3u

enum cell {
	CELL_BLANK,
	CELL_MIN,
	CELL_LOW,
	CELL_HIGH,
	CELL_FREE,
	CELL_OVER,
	NR_CELLS,
};

static const struct {
	const char *ascii, *unicode;
	enum paint_colour colour;
} looks[NR_CELLS] = {
	[CELL_BLANK] = { " ", " ", PAINT_PLAIN }, [CELL_MIN] = { ".", "·", PAINT_RED },
	[CELL_LOW] = { "-", "╌", PAINT_YELLOW },  [CELL_HIGH] = { "=", "═", PAINT_GREEN },
	[CELL_FREE] = { "#", "█", PAINT_CYAN },	  [CELL_OVER] = { "^", "▲", PAINT_CYAN },
};

struct panel {
	const struct series *series;
	const struct paint *paint;
	uint32_t zone;
	uint32_t columns, rows;
	uint64_t top; /* pages at the upper edge */
	uint64_t most_free;
	struct series_sample last; /* for the labels: the marks at the end */
	uint8_t cell[ROWS_MAX][PAINT_WIDTH_MAX];
};

static uint64_t first_ns(const struct series *series)
{
	return series->time_ns[0];
}

static uint64_t last_ns(const struct series *series)
{
	return series->time_ns[series->nr_times - 1];
}

/* The column of a time, of `columns`. */
static uint32_t column_of(const struct series *series, uint64_t ns, uint32_t columns)
{
	uint64_t length = last_ns(series) - first_ns(series);
	uint64_t from = ns > first_ns(series) ? ns - first_ns(series) : 0;

	if (length == 0)
		return 0;
	/* Times of days times hundreds of columns still fit. */
	return (uint32_t)min_u64(from * columns / (length + 1), columns - 1);
}

static uint32_t row_of(const struct panel *panel, uint64_t pages)
{
	uint64_t row = pages * panel->rows / (panel->top + 1);

	return (uint32_t)min_u64(row, panel->rows - 1);
}

/* ---- filling ---- */

static void measure(struct panel *panel)
{
	uint64_t most_mark = 1, least_high = UINT64_MAX;

	for (uint32_t i = 0; i < panel->series->nr_times; i++) {
		const struct series_sample *s = series_sample(panel->series, i, panel->zone);

		panel->most_free = max_u64(panel->most_free, s->free);
		most_mark = max_u64(most_mark, s->high);
		least_high = min_u64(least_high, s->high);
		panel->last = *s;
	}
	/* A boost raises the marks for a while; the picture is about the others. */
	panel->top = max_u64(most_mark + most_mark / 4,
			     min_u64(panel->most_free, TOP_MARKS * least_high));
}

/* Draws from one sample on, over the columns it holds for. */
static void fill_marks(struct panel *panel, const struct series_sample *s, uint32_t from,
		       uint32_t to)
{
	for (uint32_t x = from; x <= to; x++) {
		panel->cell[row_of(panel, s->high)][x] = CELL_HIGH;
		panel->cell[row_of(panel, s->low)][x] = CELL_LOW;
		panel->cell[row_of(panel, s->min)][x] = CELL_MIN;
	}
}

static void fill_free(struct panel *panel, uint32_t x, uint64_t least, uint64_t most)
{
	uint32_t low = row_of(panel, least);
	uint32_t high = row_of(panel, min_u64(most, panel->top));

	for (uint32_t y = low; y <= high; y++)
		/* Marks shine through in every other column. */
		if (panel->cell[y][x] == CELL_BLANK || x % 2 == 0)
			panel->cell[y][x] = CELL_FREE;
	if (most > panel->top)
		panel->cell[panel->rows - 1][x] = CELL_OVER;
}

static void fill(struct panel *panel)
{
	const struct series *series = panel->series;
	uint64_t least[PAINT_WIDTH_MAX];
	uint64_t most[PAINT_WIDTH_MAX] = { 0 };

	memset(least, 0xff, sizeof(least));
	for (uint32_t i = 0; i < series->nr_times; i++) {
		const struct series_sample *s = series_sample(series, i, panel->zone);
		uint32_t from = column_of(series, series->time_ns[i], panel->columns);
		uint32_t to = from;

		if (i + 1 < series->nr_times)
			to = column_of(series, series->time_ns[i + 1], panel->columns);
		fill_marks(panel, s, from, to);
		for (uint32_t x = from; x <= to; x++) {
			/* The column where the next sample lies belongs to that one. */
			if (x == to && x != from)
				break;
			least[x] = min_u64(least[x], s->free - (x == from ? s->dip : 0));
			most[x] = max_u64(most[x], s->free);
		}
	}
	for (uint32_t x = 0; x < panel->columns; x++)
		if (most[x] >= least[x])
			fill_free(panel, x, least[x], most[x]);
}

/* ---- printing ---- */

static const char *look(const struct paint *paint, enum cell cell)
{
	return paint->unicode ? looks[cell].unicode : looks[cell].ascii;
}

/* The label of a row: what has its place there. */
static void print_label(const struct panel *panel, uint32_t row, struct text_buf *out)
{
	const struct series_sample *s = &panel->last;
	const struct {
		const char *name;
		uint64_t pages;
		enum paint_colour colour;
	} labels[] = {
		{ "min", s->min, PAINT_RED },
		{ "low", s->low, PAINT_YELLOW },
		{ "high", s->high, PAINT_GREEN },
	};

	/* Where marks share a row, the lowest is named: it is drawn. */
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		if (row_of(panel, labels[i].pages) != row)
			continue;
		paint_colour(out, panel->paint, labels[i].colour);
		text_buf_printf(out, "%-5s%9llu", labels[i].name,
				(unsigned long long)labels[i].pages);
		paint_colour(out, panel->paint, PAINT_PLAIN);
		return;
	}
	if (row + 1 == panel->rows)
		text_buf_printf(out, "%-5s%9llu", panel->most_free > panel->top ? "above" : "",
				(unsigned long long)panel->top);
	else
		text_buf_fill(out, ' ', LABEL_COLUMNS - 1);
}

static void print_row(const struct panel *panel, uint32_t row, struct text_buf *out)
{
	enum paint_colour now = PAINT_PLAIN;
	uint32_t end = panel->columns;

	print_label(panel, row, out);
	text_buf_puts(out, panel->paint->unicode ? "│" : "|");
	while (end > 0 && panel->cell[row][end - 1] == CELL_BLANK)
		end--;
	for (uint32_t x = 0; x < end; x++) {
		enum cell cell = (enum cell)panel->cell[row][x];

		if (looks[cell].colour != now && cell != CELL_BLANK) {
			now = looks[cell].colour;
			paint_colour(out, panel->paint, now);
		}
		text_buf_puts(out, look(panel->paint, cell));
	}
	if (now != PAINT_PLAIN)
		paint_colour(out, panel->paint, PAINT_PLAIN);
	text_buf_puts(out, "\n");
}

static void print_moment(const struct series *series, uint64_t ns, char text[16])
{
	if (series->numbered)
		(void)snprintf(text, 16, "#%u", (uint32_t)(ns % 1000000000));
	else
		paint_time(ns, text);
}

static void print_axis(const struct series *series, const struct paint *paint, uint32_t columns,
		       struct text_buf *out)
{
	char first[16], middle[16], last[16];
	uint32_t used;

	text_buf_fill(out, ' ', LABEL_COLUMNS - 2);
	text_buf_puts(out, "0");
	text_buf_puts(out, paint->unicode ? "└" : "+");
	for (uint32_t x = 0; x < columns; x++)
		text_buf_puts(out, paint->unicode ? "─" : "-");
	text_buf_puts(out, "\n");
	print_moment(series, first_ns(series), first);
	print_moment(series, first_ns(series) + (last_ns(series) - first_ns(series)) / 2, middle);
	print_moment(series, last_ns(series), last);
	text_buf_fill(out, ' ', LABEL_COLUMNS);
	used = (columns - (uint32_t)strlen(middle)) / 2;
	text_buf_printf(out, "%-*s%s%*s\n", (int)used, first, middle,
			(int)(columns - used - (uint32_t)strlen(middle)), last);
}

static void print_panel(const struct series *series, const struct paint *paint, uint32_t zone,
			struct text_buf *out)
{
	struct panel panel = {
		.series = series,
		.paint = paint,
		.zone = zone,
		.columns = paint->width - LABEL_COLUMNS,
		.rows = series->nr_zones > 2 ? ROWS_MANY : ROWS_ONE,
	};
	const struct series_zone *z = &series->zone[zone];
	char title[128];

	measure(&panel);
	fill(&panel);
	(void)snprintf(title, sizeof(title), "node %u zone %s: free pages, at most %llu of %llu",
		       z->node, z->name, (unsigned long long)panel.most_free,
		       (unsigned long long)z->managed_pages);
	text_buf_printf(out, "%.*s\n", (int)paint->width, title);
	for (uint32_t row = panel.rows; row > 0; row--)
		print_row(&panel, row - 1, out);
	print_axis(series, paint, panel.columns, out);
}

/* When column x begins, after the first time. */
static uint64_t column_ns(const struct series *series, uint32_t x, uint32_t columns)
{
	return (last_ns(series) - first_ns(series) + 1) * x / columns;
}

/* Adds how long a bar was at work in each column; spans of one bar may overlap, so up to `done`. */
static void cover(const struct series *series, const struct series_bar *bar, uint32_t columns,
		  uint64_t *busy_ns)
{
	uint64_t done = 0;

	memset(busy_ns, 0, columns * sizeof(*busy_ns));
	for (uint32_t i = 0; i < bar->nr_spans; i++) {
		const struct series_span *span = &bar->spans[i];

		if (span->to_ns < first_ns(series) || span->from_ns > last_ns(series))
			continue;
		/* A span of one event still shows. */
		uint64_t to = min_u64(span->to_ns, last_ns(series)) - first_ns(series) + 1;
		uint64_t from = max_u64(span->from_ns, first_ns(series)) - first_ns(series);

		from = max_u64(from, done);
		done = max_u64(done, to);
		for (uint32_t x = column_of(series, first_ns(series) + from, columns);
		     x < columns && from < to; x++) {
			uint64_t end = min_u64(to, column_ns(series, x + 1, columns));

			busy_ns[x] += end > from ? end - from : 0;
			from = max_u64(from, end);
		}
	}
}

static void print_bar(const struct series *series, const struct paint *paint,
		      const struct series_bar *bar, struct text_buf *out)
{
	static const char *const ascii[] = { " ", ".", ":", "#" };
	static const char *const unicode[] = { " ", "░", "▒", "█" };
	uint32_t columns = paint->width - LABEL_COLUMNS;
	uint64_t busy_ns[PAINT_WIDTH_MAX];
	uint64_t column = (last_ns(series) - first_ns(series)) / columns + 1;
	uint32_t end = columns;

	cover(series, bar, columns, busy_ns);
	text_buf_printf(out, "%-*s%s", (int)LABEL_COLUMNS - 1, bar->name,
			paint->unicode ? "│" : "|");
	while (end > 0 && busy_ns[end - 1] == 0)
		end--;
	paint_colour(out, paint, PAINT_MAGENTA);
	for (uint32_t x = 0; x < end; x++) {
		uint64_t thirds = busy_ns[x] * 3 / column;
		uint32_t shade = busy_ns[x] == 0 ? 0 : thirds == 0 ? 1 : thirds == 1 ? 2 : 3;

		text_buf_puts(out, paint->unicode ? unicode[shade] : ascii[shade]);
	}
	paint_colour(out, paint, PAINT_PLAIN);
	text_buf_puts(out, "\n");
}

static void print_legend(const struct series *series, const struct paint *paint,
			 struct text_buf *out)
{
	static const struct {
		enum cell cell;
		const char *what;
	} parts[] = {
		{ CELL_FREE, " free  " }, { CELL_OVER, " off the top  " },
		{ CELL_HIGH, " high  " }, { CELL_LOW, " low  " },
		{ CELL_MIN, " min" },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		paint_colour(out, paint, looks[parts[i].cell].colour);
		text_buf_puts(out, look(paint, parts[i].cell));
		paint_colour(out, paint, PAINT_PLAIN);
		text_buf_puts(out, parts[i].what);
	}
	text_buf_puts(out, "\n");
	if (series->nr_bars > 0 && paint->width >= 80)
		text_buf_printf(out,
				"bars: at work in less than a third of the column %s, two"
				" thirds %s, more %s\n",
				paint->unicode ? "░" : ".", paint->unicode ? "▒" : ":",
				paint->unicode ? "█" : "#");
}

int graph_print(const struct series *series, const struct paint *paint, struct text_buf *out)
{
	struct paint fit = *paint;

	if (series->nr_times < 2 || series->nr_zones == 0)
		return -ENODATA;
	fit.width = max_u32(PAINT_WIDTH_MIN, min_u32(fit.width, PAINT_WIDTH_MAX));
	if (series->title[0] != '\0')
		text_buf_printf(out, "%.*s\n", (int)fit.width, series->title);
	for (uint32_t zone = 0; zone < series->nr_zones; zone++)
		print_panel(series, &fit, zone, out);
	for (uint32_t i = 0; i < series->nr_bars; i++)
		print_bar(series, &fit, &series->bar[i], out);
	print_legend(series, &fit, out);
	return out->error;
}
