/*
 * neap graph: a run as a picture.
 *
 *     neap graph JOB                     played in the simulator, drawn in the terminal
 *     neap graph DIR                     what `neap run --out DIR` saved
 *     neap graph --svg FILE JOB|DIR      as a drawing
 *     neap graph --figure NAME JOB|DIR   how reclaim works, with this run's numbers
 *
 * A directory is drawn from its snapshots (`every MS snapshot LABEL` makes them) and its
 * trace; a job is played and watched (collect.c). Golden directories of a real kernel
 * have the same layout and are drawn as well.
 *
 * What must never happen: a picture of nothing. A run without a second point of time,
 * and a figure of something that did not happen, are refused with the reason.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/cmd.h"
#include "cmd/collect.h"
#include "cmd/picture.h"
#include "diag/graph.h"

enum graph_key {
	KEY_SVG = 1000,
	KEY_FIGURE,
	KEY_WIDTH,
	KEY_EVENTS,
};

struct graph {
	struct options options;
	const char *svg, *figure, *trace;
	uint64_t width;
};

static const struct argp_option graph_options[] = {
	{ "svg", KEY_SVG, "FILE", 0, "write a drawing to FILE", 0 },
	{ "figure", KEY_FIGURE, "NAME", 0,
	  "call-path, kswapd, nap, balance, kcompactd, layers or scanners", 0 },
	{ "width", KEY_WIDTH, "COLUMNS", 0, "instead of the terminal's (80 in a pipe)", 0 },
	{ "events", KEY_EVENTS, "FILE", 0, "trace of a directory, if it is not beside it", 0 },
	{ NULL, 0, NULL, 0, "Of a JOB's machine:", 1 },
	{ 0 },
};

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct graph *graph = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &graph->options;
		return 0;
	case KEY_SVG:
		graph->svg = value;
		return 0;
	case KEY_FIGURE:
		if (!figure_is_known(value)) {
			cmd_error("--figure %s: there are %s", value, figure_names());
			return EINVAL;
		}
		graph->figure = value;
		return 0;
	case KEY_WIDTH:
		if (!cmd_number(value, "--width", &graph->width))
			return EINVAL;
		if (graph->width >= PAINT_WIDTH_MIN && graph->width <= PAINT_WIDTH_MAX)
			return 0;
		cmd_error("--width %s: from %u to %u", value, PAINT_WIDTH_MIN, PAINT_WIDTH_MAX);
		return EINVAL;
	case KEY_EVENTS:
		graph->trace = value;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int parse(int argc, char **argv, struct graph *graph)
{
	const struct argp_child children[] = { { &options_picture_argp, 0, NULL, 2 }, { 0 } };
	const struct argp argp = {
		.options = graph_options,
		.parser = parse_option,
		.args_doc = "JOB|TRACE|DIR",
		.doc = "Draws free pages against the marks over time, with kswapd and kcompactd as"
		       " bars; or a figure of how reclaim and compaction work.",
		.children = children,
	};

	options_init(false, "graph", &graph->options);
	if (cmd_parse(&argp, argc, argv, graph) != CMD_FINE)
		return CMD_USAGE;
	if (graph->options.nr_files != 1) {
		cmd_error("graph takes one JOB, TRACE or DIR, not %d; neap graph --help lists the"
			  " options",
			  graph->options.nr_files);
		return CMD_USAGE;
	}
	return CMD_FINE;
}

static int draw(const struct graph *graph, const struct collect *collect)
{
	struct paint paint = picture_paint((uint32_t)graph->width);
	const char *why = "there are less than two points of time; a directory needs snapshots"
			  " (`every 10 snapshot s` in the job)";
	struct text_buf out;
	int status;
	int error;

	text_buf_init(&out);
	if (graph->figure != NULL)
		error = figure_print(&collect->facts, graph->figure,
				     graph->svg == NULL ? &paint : NULL, &out, &why);
	else if (graph->svg != NULL)
		error = graph_svg(&collect->series, &out);
	else
		error = graph_print(&collect->series, &paint, &out);
	if (error == 0) {
		status = picture_write(&out, graph->svg);
	} else {
		cmd_error("%s: %s", graph->options.files[0],
			  error == -ENODATA ? why : strerror(-error));
		status = error == -ENODATA ? CMD_FINDING : CMD_WORLD;
	}
	text_buf_free(&out);
	return status;
}

int cmd_graph(int argc, char **argv)
{
	struct graph graph = { .svg = NULL };
	struct collect *collect;
	struct stat st;
	int status = parse(argc, argv, &graph);

	if (status != CMD_FINE)
		return status;
	collect = malloc(sizeof(*collect));
	if (collect == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	if (stat(graph.options.files[0], &st) == 0 && S_ISDIR(st.st_mode))
		status = collect_directory(collect, graph.options.files[0], graph.trace);
	else
		status = collect_run(collect, &graph.options);
	if (status == CMD_FINE || status == CMD_FINDING || status == CMD_INTERRUPTED) {
		int drawn = draw(&graph, collect);

		status = status == CMD_FINE ? drawn : status;
	}
	collect_free(collect);
	free(collect);
	return status;
}
