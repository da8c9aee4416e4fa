/*
 * The graph as SVG.
 *
 *     +--------------------------------------+
 *     | title                                |
 *     |  [ panel of zone 0: 760 x 200 ]      |
 *     |  [ panel of zone 1 ]                 |
 *     |  kswapd0   [===]  [=]                |
 *     +--------------------------------------+
 *
 * As in the terminal the top of a panel is at most three times the high mark, and free
 * pages above it are cut off there; a note says so. Free pages are a line of steps,
 * marks are dashed lines of steps, since they change when a boost comes and goes.
 *
 * The document is plain SVG 1.1 without scripts, styles or fonts of its own, so that
 * every viewer shows it.
 *
 * What must never happen: text from outside (a file name) inside the document without
 * escapes.
 */
#include <errno.h>

#include "diag/graph.h"

#define LEFT 90u
#define WIDTH 760u
#define HEIGHT 200u
#define GAP 50u
#define BAR_HEIGHT 18u
#define TOP_MARKS 3u

struct plot {
	const struct series *series;
	struct text_buf *out;
	uint32_t zone;
	uint32_t y; /* of the panel's upper edge */
	uint64_t top;
	bool cut; /* some free pages lie above the top */
};

static uint32_t x_of(const struct series *series, uint64_t ns)
{
	uint64_t first = series->time_ns[0];
	uint64_t length = series->time_ns[series->nr_times - 1] - first;
	uint64_t from = ns > first ? min_u64(ns - first, length) : 0;

	return LEFT + (uint32_t)(length == 0 ? 0 : from * WIDTH / length);
}

static uint32_t y_of(const struct plot *plot, uint64_t pages)
{
	return plot->y + HEIGHT - (uint32_t)(min_u64(pages, plot->top) * HEIGHT / plot->top);
}

static uint64_t value_of(const struct series_sample *sample, uint32_t which)
{
	const uint64_t values[] = { sample->free, sample->min, sample->low, sample->high };

	return values[which];
}

/* A line of steps; points that change nothing are left out. */
static void draw_line(const struct plot *plot, uint32_t which, enum paint_colour colour)
{
	const struct series *series = plot->series;
	uint32_t last_y = UINT32_MAX;

	text_buf_printf(plot->out,
			"<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%s\"%s points=\"",
			paint_svg_colour(colour), which == 0 ? "1.6" : "1",
			which == 0 ? "" : " stroke-dasharray=\"5 3\"");
	for (uint32_t i = 0; i < series->nr_times; i++) {
		uint32_t x = x_of(series, series->time_ns[i]);
		uint32_t y = y_of(plot, value_of(series_sample(series, i, plot->zone), which));

		uint64_t dip = which == 0 ? series_sample(series, i, plot->zone)->dip : 0;

		if (y == last_y && dip == 0 && i + 1 < series->nr_times)
			continue;
		if (last_y != UINT32_MAX)
			text_buf_printf(plot->out, "%u,%u ", x, last_y);
		if (dip > 0)
			text_buf_printf(plot->out, "%u,%u ", x,
					y_of(plot,
					     series_sample(series, i, plot->zone)->free - dip));
		text_buf_printf(plot->out, "%u,%u ", x, y);
		last_y = y;
	}
	text_buf_puts(plot->out, "\"/>\n");
}

static void draw_text(struct text_buf *out, uint32_t x, uint32_t y, const char *anchor,
		      const char *text)
{
	text_buf_printf(out, "<text x=\"%u\" y=\"%u\" text-anchor=\"%s\">", x, y, anchor);
	paint_svg_text(out, text);
	text_buf_puts(out, "</text>\n");
}

static void draw_mark(const struct plot *plot, uint32_t which, const char *name,
		      enum paint_colour colour)
{
	const struct series *series = plot->series;
	uint64_t pages = value_of(series_sample(series, series->nr_times - 1, plot->zone), which);

	draw_line(plot, which, colour);
	text_buf_printf(plot->out,
			"<text x=\"%u\" y=\"%u\" text-anchor=\"end\" fill=\"%s\">%s %llu</text>\n",
			LEFT - 6, y_of(plot, pages) + 4, paint_svg_colour(colour), name,
			(unsigned long long)pages);
}

static void draw_panel(struct plot *plot)
{
	const struct series *series = plot->series;
	const struct series_zone *zone = &series->zone[plot->zone];
	uint64_t most_mark = 1, most_free = 0, least_high = UINT64_MAX;
	struct text_buf title;

	for (uint32_t i = 0; i < series->nr_times; i++) {
		const struct series_sample *s = series_sample(series, i, plot->zone);

		most_mark = max_u64(most_mark, s->high);
		most_free = max_u64(most_free, s->free);
		least_high = min_u64(least_high, s->high);
	}
	plot->top = max_u64(most_mark + most_mark / 4, min_u64(most_free, TOP_MARKS * least_high));
	plot->cut = most_free > plot->top;
	text_buf_init(&title);
	text_buf_printf(&title, "node %u zone %s: free pages, at most %llu of %llu%s", zone->node,
			zone->name, (unsigned long long)most_free,
			(unsigned long long)zone->managed_pages,
			plot->cut ? "; cut above three times the high mark" : "");
	draw_text(plot->out, LEFT, plot->y - 8, "start", text_buf_text(&title));
	text_buf_free(&title);
	text_buf_printf(plot->out,
			"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"none\""
			" stroke=\"#bbbbbb\"/>\n",
			LEFT, plot->y, WIDTH, HEIGHT);
	draw_mark(plot, 3, "high", PAINT_GREEN);
	draw_mark(plot, 2, "low", PAINT_YELLOW);
	draw_mark(plot, 1, "min", PAINT_RED);
	draw_line(plot, 0, PAINT_BLUE);
}

static void draw_axis(const struct series *series, uint32_t y, struct text_buf *out)
{
	for (uint32_t i = 0; i <= 4; i++) {
		uint64_t first = series->time_ns[0];
		uint64_t ns = first + (series->time_ns[series->nr_times - 1] - first) / 4 * i;
		char text[24];

		if (series->numbered)
			text_buf_printf(out,
					"<text x=\"%u\" y=\"%u\" text-anchor=\"middle\">"
					"#%llu</text>\n",
					LEFT + WIDTH * i / 4, y, (unsigned long long)ns);
		else {
			paint_time(ns, text);
			draw_text(out, LEFT + WIDTH * i / 4, y, "middle", text);
		}
	}
}

static void draw_bar(const struct series *series, const struct series_bar *bar, uint32_t y,
		     struct text_buf *out)
{
	uint32_t end = 0; /* of what is drawn: thousands of spans may share a pixel */

	draw_text(out, LEFT - 6, y + 12, "end", bar->name);
	for (uint32_t i = 0; i < bar->nr_spans; i++) {
		const struct series_span *span = &bar->spans[i];

		if (span->to_ns < series->time_ns[0] ||
		    span->from_ns > series->time_ns[series->nr_times - 1])
			continue;
		uint32_t from = max_u32(x_of(series, span->from_ns), end);
		uint32_t to = x_of(series, span->to_ns) + 1;

		if (to <= from)
			continue;
		text_buf_printf(
			out, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n",
			from, y, to - from, BAR_HEIGHT - 4, paint_svg_colour(PAINT_MAGENTA));
		end = to;
	}
}

int graph_svg(const struct series *series, struct text_buf *out)
{
	uint32_t panels = series->nr_zones * (HEIGHT + GAP);
	uint32_t height = GAP + panels + series->nr_bars * BAR_HEIGHT + 20;
	struct plot plot = { .series = series, .out = out };

	if (series->nr_times < 2 || series->nr_zones == 0)
		return -ENODATA;
	text_buf_printf(out,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\""
			" font-family=\"sans-serif\" font-size=\"12\">\n"
			"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
			LEFT + WIDTH + 30, height);
	draw_text(out, LEFT, 18, "start", series->title);
	for (plot.zone = 0; plot.zone < series->nr_zones; plot.zone++) {
		plot.y = GAP + plot.zone * (HEIGHT + GAP);
		draw_panel(&plot);
		draw_axis(series, plot.y + HEIGHT + 16, out);
	}
	for (uint32_t i = 0; i < series->nr_bars; i++)
		draw_bar(series, &series->bar[i], GAP + panels - 12 + i * BAR_HEIGHT, out);
	text_buf_puts(out, "</svg>\n");
	return out->error;
}
