/*
 * Pictures from fixed data: every character of the graph, the map and the figures.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag/figure.h"
#include "diag/graph.h"
#include "diag/map.h"
#include "diag/reason.h"

static const struct paint paper80 = { .width = 80 };

/* ---- the graph ---- */

static struct trace_line event(uint64_t ms, const char *task, const char *name, const char *body)
{
	return (struct trace_line){
		.time_ns = ms * NSEC_PER_MSEC, .task = task, .name = name, .body = body
	};
}

/* Free pages fall from 1000 to 100 in 10 steps of 10 ms, stay, and rise to 400. */
static void make_series(struct series *series)
{
	const struct trace_line events[] = {
		event(40, "kswapd0", "mm_vmscan_kswapd_wake", "nid=0 order=0"),
		event(60, "kswapd0", "mm_vmscan_lru_shrink_inactive", "nid=0 nr_scanned=32"),
		event(65, "main", "mm_vmscan_direct_reclaim_begin", "order=0"),
		event(69, "main", "mm_vmscan_direct_reclaim_end", "nr_reclaimed=32"),
		event(70, "kswapd0", "mm_vmscan_kswapd_wake", "nid=0 order=0"),
		event(80, "kswapd0", "mm_vmscan_lru_shrink_inactive", "nid=0 nr_scanned=32"),
		event(99, "kswapd0", "mm_vmscan_kswapd_sleep", "nid=0"),
	};
	static const uint64_t free_pages[] = { 1000, 900, 700, 500, 300, 100, 90, 100, 300, 400 };

	series_init(series);
	strcpy(series->title, "a test");
	assert_true(series_add_zone(series, 0, "Normal", 1024));
	for (uint32_t i = 0; i < ARRAY_LEN(free_pages); i++) {
		struct series_sample *s = series_add_time(series, i * 10 * NSEC_PER_MSEC);

		assert_non_null(s);
		*s = (struct series_sample){ free_pages[i], 100, 150, 200, 0 };
	}
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		assert_int_equal(series_add_event(series, &events[i]), 0);
}

static void test_graph(void **state)
{
	static const char expected[] =
		"a test\n"
		"node 0 zone Normal: free pages, at most 1000 of 1024\n"
		"above      600|^^^^^^^^^^^^^^^^^^^^^\n"
		"              |\n"
		"              |                     #######\n"
		"              |\n"
		"              |\n"
		"              |                                                                #\n"
		"              |\n"
		"              |\n"
		"              |                            ########                     #######\n"
		"              |\n"
		"high       200|=================================================================\n"
		"              |\n"
		"low        150|-----------------------------------------------------------------\n"
		"min        100|....................................#.#.#.#.#.#.#.#.#.#.#........\n"
		"              |\n"
		"              |\n"
		"             0+-----------------------------------------------------------------\n"
		"               0 ns                         45.0 ms                      90.0 ms\n"
		"kswapd0       |                            .##############:      :#######\n"
		"direct        |                                              .###\n"
		"# free  ^ off the top  = high  - low  . min\n"
		"bars: at work in less than a third of the column ., two thirds :, more #\n";
	struct series series;
	struct text_buf out;

	(void)state;
	make_series(&series);
	text_buf_init(&out);
	assert_int_equal(graph_print(&series, &paper80, &out), 0);
	assert_string_equal(text_buf_text(&out), expected);
	text_buf_free(&out);
	series_free(&series);
}

/* No line is wider than the paper, whatever its width: 60 to 400. */
static void test_graph_widths(void **state)
{
	static const uint32_t widths[] = { 1, 60, 80, 133, 200, 400, 1000 };
	struct series series;

	(void)state;
	make_series(&series);
	for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
		struct paint paint = { .width = widths[i] };
		struct text_buf out;
		uint32_t longest = 0;

		text_buf_init(&out);
		assert_int_equal(graph_print(&series, &paint, &out), 0);
		for (const char *at = text_buf_text(&out); *at != '\0';) {
			size_t length = strcspn(at, "\n");

			longest = max_u32(longest, (uint32_t)length);
			at += length + 1;
		}
		assert_true(longest <= max_u32(60, min_u32(widths[i], PAINT_WIDTH_MAX)));
		assert_true(longest + 30 >= min_u32(widths[i], PAINT_WIDTH_MAX));
		text_buf_free(&out);
	}
	series_free(&series);
}

static void test_graph_colours(void **state)
{
	struct paint colour = { .width = 80, .colour = true, .unicode = true };
	struct series series;
	struct text_buf out;

	(void)state;
	make_series(&series);
	text_buf_init(&out);
	assert_int_equal(graph_print(&series, &colour, &out), 0);
	assert_non_null(strstr(text_buf_text(&out), "\033["));
	assert_non_null(strstr(text_buf_text(&out), "\u2588"));
	text_buf_reset(&out);
	assert_int_equal(graph_print(&series, &paper80, &out), 0);
	for (const char *at = text_buf_text(&out); *at != '\0'; at++)
		assert_true((*at >= ' ' && *at <= '~') || *at == '\n');
	text_buf_free(&out);
	series_free(&series);
}

static void test_graph_of_nothing(void **state)
{
	struct series series;
	struct text_buf out;

	(void)state;
	series_init(&series);
	text_buf_init(&out);
	assert_int_equal(graph_print(&series, &paper80, &out), -ENODATA);
	assert_int_equal(graph_svg(&series, &out), -ENODATA);
	series_free(&series);
	text_buf_free(&out);
}

static void test_thinning(void **state)
{
	struct series series;

	(void)state;
	make_series(&series);
	series.samples[3].dip = 50; /* at 500: down to 450 */
	series.samples[5].dip = 60; /* at 100: down to 40, which is below the next, 90 */
	series_thin(&series);
	assert_int_equal(series.nr_times, 6);
	assert_int_equal(series.time_ns[1], 20 * NSEC_PER_MSEC);
	assert_int_equal(series_sample(&series, 1, 0)->free, 700);
	assert_int_equal(series_sample(&series, 2, 0)->dip, 0);
	assert_int_equal(series_sample(&series, 3, 0)->free, 90);
	assert_int_equal(series_sample(&series, 3, 0)->dip, 50);
	/* The last one stays although its number is odd. */
	assert_int_equal(series.time_ns[5], 90 * NSEC_PER_MSEC);
	assert_int_equal(series_sample(&series, 5, 0)->free, 400);
	series_free(&series);
}

/* ---- SVG: every element is closed, and no text breaks out ---- */

static void assert_well_formed(const char *text)
{
	const char *open[16];
	uint32_t depth = 0;

	for (const char *at = strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
		const char *end = strchr(at, '>');
		size_t name = strcspn(at + 1, " />");

		assert_non_null(end);
		assert_null(memchr(at + 1, '<', (size_t)(end - at - 1)));
		if (at[1] == '/') {
			name = strcspn(at + 2, ">");
			assert_true(depth > 0);
			depth--;
			assert_memory_equal(open[depth], at + 2, name);
		} else if (end[-1] != '/') {
			assert_true(depth < ARRAY_LEN(open));
			assert_true(name > 0);
			open[depth++] = at + 1;
		}
	}
	assert_int_equal(depth, 0);
	for (const char *at = strchr(text, '&'); at != NULL; at = strchr(at + 1, '&'))
		assert_true(strncmp(at, "&lt;", 4) == 0 || strncmp(at, "&gt;", 4) == 0 ||
			    strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&quot;", 6) == 0);
}

static void test_graph_svg(void **state)
{
	struct series series;
	struct text_buf out;

	(void)state;
	make_series(&series);
	strcpy(series.title, "a <b> & \"c\" \x01\xff");
	text_buf_init(&out);
	assert_int_equal(graph_svg(&series, &out), 0);
	assert_well_formed(text_buf_text(&out));
	assert_non_null(strstr(text_buf_text(&out), "a &lt;b&gt; &amp; &quot;c&quot; ??"));
	text_buf_free(&out);
	series_free(&series);
}

/* ---- the map ---- */

static void test_map_of_cells(void **state)
{
	struct map_cell cells[] = {
		{ .pages = { [MAP_FREE] = 8 } },
		{ .pages = { [MAP_MOVABLE] = 8 } },
		{ .pages = { [MAP_MOVABLE] = 6, [MAP_FREE] = 2 } },
		{ .pages = { [MAP_MOVABLE] = 7, [MAP_FREE] = 1 } },
		{ .pages = { [MAP_MOVABLE] = 7, [MAP_UNMOVABLE] = 1 } },
		{ .pages = { [MAP_FREE] = 7, [MAP_UNMOVABLE] = 1 } },
		{ .pages = { [MAP_HUGE] = 8 } },
		{ .pages = { [MAP_MOVABLE] = 7, [MAP_PINNED] = 1 } },
		{ .pages = { [MAP_RESERVED] = 8 } },
	};
	struct map map = {
		.title = "a zone",
		.cell_pages = 8,
		.placed = true,
		.nr_cells = ARRAY_LEN(cells),
		.cells = cells,
	};
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	assert_int_equal(map_print(&map, &paper80, &out), 0);
	assert_string_equal(text_buf_text(&out),
			    "a zone\n"
			    "a cell is 8 pages; small letters: a quarter of it or more is free\n"
			    "       0  .MmMUuHP-\n"
			    "P pinned 1  U unmovable 2  H huge 8  M movable 35  . free 18"
			    "  - reserved 8\n");
	text_buf_reset(&out);
	assert_int_equal(map_svg(&map, 1, &out), 0);
	assert_well_formed(text_buf_text(&out));
	text_buf_free(&out);
}

/* Four pageblocks, one of them free as a whole. */
static void test_map_of_pagetypeinfo(void **state)
{
	struct snapshot_zone zone = { .managed = 2048 };
	struct map map = { .title = "a machine" };
	uint64_t pages = 0;
	struct text_buf out;

	(void)state;
	zone.nr_blocks[MT_UNMOVABLE] = 1;
	zone.nr_blocks[MT_MOVABLE] = 3;
	zone.nr_free_type[MT_MOVABLE][9] = 1;
	zone.nr_free_type[MT_MOVABLE][0] = 512;
	zone.nr_free_type[MT_UNMOVABLE][5] = 2;
	assert_int_equal(map_from_zone(&zone, 128, &map), 0);
	text_buf_init(&out);
	assert_int_equal(map_print(&map, &paper80, &out), 0);
	assert_string_equal(text_buf_text(&out),
			    "a machine\n"
			    "a cell is 128 pages; small letters: a quarter of it or more is free\n"
			    "where pages lie is not known from these files: cells are sorted, free"
			    " blocks first\n"
			    "          ....UUUUmmmmmmmm\n"
			    "U unmovable 448  M movable 512  . free 1088\n");
	for (uint32_t i = 0; i < map.nr_cells; i++)
		for (uint32_t kind = 0; kind < NR_MAP_KINDS; kind++)
			pages += map.cells[i].pages[kind];
	assert_int_equal(pages, 2048);
	text_buf_free(&out);
	free(map.cells);
	memset(&zone, 0, sizeof(zone));
	assert_int_equal(map_from_zone(&zone, 128, &map), -ENODATA);
}

/* ---- traces and figures ---- */

static const char trace[] =
	"# tracer: nop\n"
	"         kswapd0-42      [001] .....     0.000500: mm_vmscan_kswapd_wake: nid=0 order=0\n"
	"kswapd0-42 [001] d.s1. 0.000600: mm_vmscan_lru_shrink_inactive: nid=0 nr_scanned=32"
	" nr_reclaimed=30 nr_activate_anon=1 nr_activate_file=1 priority=11\n"
	"   my prog-7 x-77 [000] 0.0001: mm_page_alloc: pfn=0x12 order=0\n"
	" wl-1 [000] ..... 0.000100: mm_compaction_begin: zone_start=0x1000 migrate_pfn=0x1000"
	" free_pfn=0x1e00 zone_end=0x2000, mode=async\n"
	" wl-1 [000] ..... 0.000200: mm_compaction_isolate_migratepages: range=(0x1000 ~ 0x1200)"
	" nr_scanned=512 nr_taken=32\n"
	" wl-1 [000] ..... 0.000300: mm_compaction_isolate_freepages: range=(0x1e00 ~ 0x2000)"
	" nr_scanned=40 nr_taken=32\n"
	" wl-1 [000] ..... 0.000400: mm_compaction_end: zone_start=0x1000 migrate_pfn=0x1200"
	" free_pfn=0x1e00 zone_end=0x2000, mode=async status=success\n"
	"not an event [0] at all\n"
	"# cpu0 dropped events: 3\n";

static void read_trace(struct trace_log *log)
{
	struct text_input in = { trace, sizeof(trace) - 1, "trace" };
	struct text_error err;

	trace_log_init(log);
	assert_int_equal(trace_log_parse(log, &in, &err), 0);
}

static void test_trace_read(void **state)
{
	struct trace_log log;
	char word[16];
	uint64_t first, end;
	int64_t value;

	(void)state;
	read_trace(&log);
	assert_int_equal(log.nr_lines, 6);
	assert_int_equal(log.nr_skipped, 1);
	assert_int_equal(log.nr_dropped, 3);
	assert_string_equal(log.lines[0].task, "kswapd0");
	assert_int_equal(log.lines[0].cpu, 1);
	assert_int_equal(log.lines[0].time_ns, 500000);
	assert_int_equal(trace_log_sort(&log), 0);
	assert_string_equal(log.lines[0].name, "mm_compaction_begin");
	assert_true(trace_line_number(&log.lines[0], "zone_start", &value));
	assert_int_equal(value, 0x1000);
	assert_false(trace_line_number(&log.lines[0], "start", &value));
	assert_true(trace_line_word(&log.lines[0], "mode", word, sizeof(word)));
	assert_string_equal(word, "async");
	assert_true(trace_line_range(&log.lines[1], &first, &end));
	assert_int_equal(first, 0x1000);
	assert_int_equal(end, 0x1200);
	assert_string_equal(log.lines[5].name, "mm_vmscan_lru_shrink_inactive");
	trace_log_free(&log);
}

static void test_no_trace(void **state)
{
	static const char text[] = "hello [1] world: x\n[000] 1.5: a: b\n";
	struct text_input in = { text, sizeof(text) - 1, "x" };
	struct text_error err;
	struct trace_log log;

	(void)state;
	trace_log_init(&log);
	assert_int_equal(trace_log_parse(&log, &in, &err), -EINVAL);
	trace_log_free(&log);
}

static void draw(const struct figure_facts *facts, const char *name, const struct paint *paint,
		 struct text_buf *out)
{
	const char *why = NULL;

	text_buf_reset(out);
	assert_int_equal(figure_print(facts, name, paint, out, &why), 0);
}

static void test_figures(void **state)
{
	static const char *const names[] = { "call-path", "kswapd", "nap",
					     "balance",	  "layers", "scanners" };
	struct figure_facts *facts = malloc(sizeof(*facts));
	struct trace_log log;
	struct text_buf out;
	const char *why = NULL;

	(void)state;
	assert_non_null(facts);
	figure_facts_init(facts);
	read_trace(&log);
	assert_int_equal(trace_log_sort(&log), 0);
	for (uint32_t i = 0; i < log.nr_lines; i++)
		figure_facts_event(facts, &log.lines[i]);
	figure_facts_vmstat(facts, "kswapd_low_wmark_hit_quickly 5\npageoutrun 9\n", false);
	figure_facts_vmstat(facts, "kswapd_low_wmark_hit_quickly 12\npageoutrun 10\n", true);
	text_buf_init(&out);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		draw(facts, names[i], NULL, &out);
		assert_well_formed(text_buf_text(&out));
		draw(facts, names[i], &paper80, &out);
		for (const char *at = text_buf_text(&out); *at != '\0';) {
			size_t length = strcspn(at, "\n");

			assert_true(length <= 78);
			at += length + 1;
		}
	}
	draw(facts, "nap", &paper80, &out);
	assert_non_null(strstr(text_buf_text(&out), "|              7               |"));
	draw(facts, "call-path", &paper80, &out);
	assert_non_null(strstr(text_buf_text(&out), "1 x, looked at 32"));
	assert_non_null(strstr(text_buf_text(&out), "priority 12 to 11"));
	draw(facts, "scanners", &paper80, &out);
	assert_non_null(strstr(text_buf_text(&out), "|MMMMMMMMM     "));
	assert_non_null(strstr(text_buf_text(&out), "   FFFFFFFFF|"));
	assert_int_equal(figure_print(facts, "kcompactd", &paper80, &out, &why), -ENODATA);
	assert_non_null(why);
	assert_int_equal(figure_print(facts, "kcompact", &paper80, &out, &why), -ENOENT);
	text_buf_free(&out);
	trace_log_free(&log);
	free(facts);
}

/* ---- reasons ---- */

static void assert_reason(const struct trace_line *line, const struct reason_zone *zone,
			  const char *expected)
{
	struct text_buf out;

	text_buf_init(&out);
	reason_add(&out, line, zone, 1);
	assert_string_equal(text_buf_text(&out), expected);
	text_buf_free(&out);
}

static void test_reasons(void **state)
{
	struct reason_zone zone = {
		.name = "Normal", .free = 4310, .min = 3520, .low = 4400, .high = 5280
	};
	struct trace_line wakeup =
		event(1, "main", "mm_vmscan_wakeup_kswapd", "nid=0 order=0 gfp_flags=GFP_KERNEL");
	struct trace_line direct =
		event(1, "main", "mm_vmscan_direct_reclaim_begin", "order=0 gfp_flags=GFP_KERNEL");
	struct trace_line rest = event(1, "kswapd0", "mm_vmscan_kswapd_sleep", "nid=0");
	struct trace_line other = event(1, "main", "mm_page_free", "pfn=0x1 order=0");

	(void)state;
	assert_reason(&wakeup, &zone, "free 4310 < low 4400 in zone Normal: kswapd0 is woken");
	assert_reason(&direct, &zone, "the try at the min mark failed: main must reclaim itself");
	assert_reason(&other, &zone, "");
	zone.free = 3000;
	assert_reason(&direct, &zone,
		      "free 3000 < min 3520 in zone Normal: main must reclaim itself");
	zone.free = zone.low;
	assert_reason(&wakeup, &zone, "free 4400 = low 4400 in zone Normal: kswapd0 is woken");
	zone.free = 6000;
	assert_reason(&rest, &zone, "free 6000 > high 5280 in zone Normal after a nap: it sleeps");
	assert_reason(&wakeup, &zone, "what is free is reserved for others: kswapd0 is woken");
	zone.boost = 512;
	assert_reason(&wakeup, &zone, "zone Normal is boosted by 512: kswapd0 is woken");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph),	      cmocka_unit_test(test_graph_widths),
		cmocka_unit_test(test_graph_colours), cmocka_unit_test(test_graph_of_nothing),
		cmocka_unit_test(test_thinning),      cmocka_unit_test(test_graph_svg),
		cmocka_unit_test(test_map_of_cells),  cmocka_unit_test(test_map_of_pagetypeinfo),
		cmocka_unit_test(test_trace_read),    cmocka_unit_test(test_no_trace),
		cmocka_unit_test(test_figures),	      cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
