/*
 * neap map: a zone as cells.
 *
 *     neap map --at LABEL [--at LABEL] JOB   at the job's snapshots: before, after
 *     neap map JOB                           at the end of the job
 *     neap map --root DIR                    a real machine's pagetypeinfo and zoneinfo
 *
 * A job is played in the simulator, where every page can be asked what it is, so cells
 * are in their places. From a machine's files only counts are known (diag/map.c).
 *
 * Without --zone the largest zone of each node is drawn.
 *
 * What must never happen: an empty picture because a label was misspelt. A label at
 * which the job took no snapshot is an error that names those there were.
 */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/picture.h"
#include "cmd/play.h"
#include "diag/map.h"
#include "job/run.h"
#include "text/load.h"
#include "text/zonename.h"

#define MAPS_MAX 64u
#define LABELS_MAX 8u
#define ROWS 16u
#define NODES_MAX 64u
#define ZONES_MAX 4u

enum map_key {
	KEY_SVG = 1000,
	KEY_AT,
	KEY_ROOT,
	KEY_ZONE,
	KEY_NODE,
	KEY_WIDTH,
};

struct map_command {
	struct options options;
	struct run_observer observer;
	const char *svg, *root;
	const char *at[LABELS_MAX];
	bool seen[LABELS_MAX];
	uint32_t nr_at;
	char labels[400]; /* of the job, for the message */
	uint32_t zone;	  /* NEAP_NR_ZONES: the largest of each node */
	uint64_t node;	  /* UINT64_MAX: all */
	uint64_t width;
	struct map maps[MAPS_MAX];
	uint32_t nr_maps;
	int error;
};

static const struct argp_option map_options[] = {
	{ "at", KEY_AT, "LABEL", 0, "when the job takes this snapshot; may be repeated", 0 },
	{ "root", KEY_ROOT, "DIR", 0, "a machine's saved files instead of a job; / is this one",
	  0 },
	{ "zone", KEY_ZONE, "NAME", 0, "DMA, DMA32, Normal or Movable (each node's largest)", 0 },
	{ "node", KEY_NODE, "N", 0, "only this node", 0 },
	{ "svg", KEY_SVG, "FILE", 0, "write a drawing to FILE", 0 },
	{ "width", KEY_WIDTH, "COLUMNS", 0, "instead of the terminal's (80 in a pipe)", 0 },
	{ NULL, 0, NULL, 0, "Of a JOB's machine:", 1 },
	{ 0 },
};

static bool take_zone(struct map_command *map, const char *name)
{
	map->zone = zonename_type(name);
	if (map->zone < ZONES_MAX)
		return true;
	cmd_error("--zone %s: DMA, DMA32, Normal or Movable", name);
	return false;
}

static bool take_width(struct map_command *map, const char *text)
{
	if (!cmd_number(text, "--width", &map->width))
		return false;
	if (map->width >= PAINT_WIDTH_MIN && map->width <= PAINT_WIDTH_MAX)
		return true;
	cmd_error("--width %s: from %u to %u", text, PAINT_WIDTH_MIN, PAINT_WIDTH_MAX);
	return false;
}

static bool take_at(struct map_command *map, const char *label)
{
	if (map->nr_at == LABELS_MAX) {
		cmd_error("--at is given more than %u times", LABELS_MAX);
		return false;
	}
	map->at[map->nr_at++] = label;
	return true;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
	struct map_command *map = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &map->options;
		return 0;
	case KEY_SVG:
		map->svg = value;
		return 0;
	case KEY_ROOT:
		map->root = value;
		return 0;
	case KEY_AT:
		return take_at(map, value) ? 0 : EINVAL;
	case KEY_ZONE:
		return take_zone(map, value) ? 0 : EINVAL;
	case KEY_NODE:
		return cmd_number(value, "--node", &map->node) ? 0 : EINVAL;
	case KEY_WIDTH:
		return take_width(map, value) ? 0 : EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int parse(int argc, char **argv, struct map_command *map)
{
	const struct argp_child children[] = { { &options_picture_argp, 0, NULL, 2 }, { 0 } };
	const struct argp argp = {
		.options = map_options,
		.parser = parse_option,
		.args_doc = "JOB|TRACE",
		.doc = "Draws a zone as cells: what its pages are used for.",
		.children = children,
	};

	options_init(false, "map", &map->options);
	if (cmd_parse(&argp, argc, argv, map) != CMD_FINE)
		return CMD_USAGE;
	if (map->options.nr_files == (map->root == NULL ? 1 : 0) &&
	    (map->root == NULL || map->nr_at == 0))
		return CMD_FINE;
	cmd_error("map takes one JOB (with --at LABEL), or --root DIR; neap map --help lists the"
		  " options");
	return CMD_USAGE;
}

/* => the next map to be filled in, or NULL after noting an error */
static struct map *new_map(struct map_command *map)
{
	if (map->nr_maps < MAPS_MAX)
		return &map->maps[map->nr_maps];
	map->error = -E2BIG;
	return NULL;
}

static uint32_t columns(const struct map_command *map)
{
	if (map->svg != NULL)
		return 96;
	return picture_paint((uint32_t)map->width).width - 10;
}

/* ---- a run ---- */

static void copy_cell(const struct neap_map_cell *from, struct map_cell *to)
{
	to->pages[MAP_FREE] = from->free;
	to->pages[MAP_MOVABLE] = from->movable;
	to->pages[MAP_UNMOVABLE] = from->unmovable;
	to->pages[MAP_HUGE] = from->huge;
	to->pages[MAP_PINNED] = from->pinned;
	to->pages[MAP_RESERVED] = from->reserved;
}

static int fill_map(struct neap_machine *machine, struct neap_map *request, struct map *to)
{
	int64_t cells = neap_zone_map(machine, request);

	if (cells < 0)
		return (int)cells;
	request->nr_cells = (size_t)cells;
	request->cells = calloc((size_t)cells + 1, sizeof(*request->cells));
	to->cells = calloc((size_t)cells + 1, sizeof(*to->cells));
	if (request->cells == NULL || to->cells == NULL) {
		free(to->cells);
		free(request->cells);
		return -ENOMEM;
	}
	cells = neap_zone_map(machine, request);
	to->nr_cells = (uint32_t)cells;
	to->cell_pages = request->cell_pages;
	to->placed = true;
	for (uint32_t i = 0; i < to->nr_cells; i++)
		copy_cell(&request->cells[i], &to->cells[i]);
	free(request->cells);
	return 0;
}

static void take_map(struct map_command *map, struct neap_machine *machine, uint32_t node,
		     uint32_t zone, const char *label)
{
	struct neap_map request = { .node = node, .zone = zone, .cell_pages = 1 };
	struct map *to = new_map(map);
	int64_t pages = neap_zone_map(machine, &request);

	if (to == NULL || pages < 0)
		return;
	request.cell_pages = map_cell_pages((uint64_t)pages, columns(map), ROWS);
	map->error = fill_map(machine, &request, to);
	if (map->error != 0)
		return;
	(void)snprintf(to->title, sizeof(to->title), "node %u zone %s %s%.100s", node,
		       zonename_of(zone), label != NULL ? "at " : "at the end",
		       label != NULL ? label : "");
	map->nr_maps++;
}

/* The zone to be drawn: the one asked for, or the largest. => ZONES_MAX: none */
static uint32_t choose_zone(const struct map_command *map, struct neap_machine *machine,
			    uint32_t node)
{
	struct neap_zone_gauge gauge;
	uint64_t most = 0;
	uint32_t chosen = ZONES_MAX;

	for (uint32_t zone = 0; zone < ZONES_MAX; zone++) {
		if (neap_zone_gauge(machine, node, zone, &gauge) != 0 ||
		    (map->zone < ZONES_MAX && map->zone != zone) || gauge.managed_pages <= most)
			continue;
		most = gauge.managed_pages;
		chosen = zone;
	}
	return chosen;
}

static void take_maps(struct map_command *map, struct neap_machine *machine, const char *label)
{
	struct neap_zone_gauge gauge;

	for (uint32_t node = 0; node < NODES_MAX && map->error == 0; node++) {
		if (neap_zone_gauge(machine, node, 0, &gauge) == -EINVAL)
			break;
		if (map->node != UINT64_MAX && map->node != node)
			continue;
		uint32_t zone = choose_zone(map, machine, node);

		if (zone < ZONES_MAX)
			take_map(map, machine, node, zone, label);
	}
}

static void on_snapshot(void *ctx, struct neap_machine *machine, const char *label)
{
	struct map_command *map = ctx;
	size_t used = strlen(map->labels);

	(void)snprintf(map->labels + used, sizeof(map->labels) - used, "%s%s", used > 0 ? ", " : "",
		       label);
	for (uint32_t i = 0; i < map->nr_at; i++) {
		if (strcmp(map->at[i], label) != 0)
			continue;
		map->seen[i] = true;
		take_maps(map, machine, label);
	}
}

static void on_finish(void *ctx, struct neap_machine *machine)
{
	struct map_command *map = ctx;

	if (map->nr_at == 0)
		take_maps(map, machine, NULL);
}

static int map_run(struct map_command *map)
{
	int status;

	map->observer =
		(struct run_observer){ .ctx = map, .snapshot = on_snapshot, .finished = on_finish };
	map->options.observer = &map->observer;
	map->options.silent = true;
	status = play(&map->options);
	if (status == CMD_USAGE || status == CMD_WORLD)
		return status;
	for (uint32_t i = 0; i < map->nr_at; i++) {
		if (map->seen[i])
			continue;
		cmd_error("--at %s: the job takes no snapshot of that name; it takes %s",
			  map->at[i], map->labels[0] != '\0' ? map->labels : "none");
		return CMD_USAGE;
	}
	return status;
}

/* ---- saved files ---- */

static int take_saved(struct map_command *map, const struct snapshot_node *node)
{
	const struct snapshot_zone *best = NULL;
	struct map *to = new_map(map);
	int error;

	for (uint32_t z = 0; z < ZONES_MAX; z++) {
		const struct snapshot_zone *zone = &node->zone[z];

		if ((map->zone < ZONES_MAX && map->zone != z) || zone->managed == 0)
			continue;
		if (best == NULL || zone->managed > best->managed)
			best = zone;
	}
	if (best == NULL || to == NULL || (map->node != UINT64_MAX && map->node != node->id))
		return 0;
	error = map_from_zone(best, map_cell_pages(best->managed, columns(map), ROWS), to);
	if (error == -ENODATA)
		cmd_error("%s: there is no pagetypeinfo, or it has no pageblock of node %u zone"
			  " %s (on a running machine only root can read it)",
			  map->root, node->id, zonename_of(best->type));
	if (error != 0)
		return error;
	(void)snprintf(to->title, sizeof(to->title), "%.100s: node %u zone %s", map->root, node->id,
		       zonename_of(best->type));
	map->nr_maps++;
	return 0;
}

static int map_saved(struct map_command *map)
{
	struct snapshot *snapshot = NULL;
	struct text_error err = { .line = 0 };
	int error = snapshot_load_dir(map->root, &snapshot, &err);

	if (error != 0) {
		cmd_error("%s: %s", map->root,
			  err.message[0] != '\0' ? err.message : strerror(-error));
		return error == -ENOMEM || error == -EACCES ? CMD_WORLD : CMD_USAGE;
	}
	for (uint32_t n = 0; n < snapshot->nr_nodes && error == 0; n++)
		error = take_saved(map, &snapshot->node[n]);
	free(snapshot);
	return error == 0 ? CMD_FINE : error == -ENOMEM ? CMD_WORLD : CMD_USAGE;
}

/* ---- drawing ---- */

static int draw(const struct map_command *map)
{
	struct paint paint = picture_paint((uint32_t)map->width);
	struct text_buf out;
	int error = 0;
	int status;

	if (map->nr_maps == 0) {
		cmd_error("there is no such zone or node to draw");
		return CMD_USAGE;
	}
	text_buf_init(&out);
	if (map->svg != NULL)
		error = map_svg(map->maps, map->nr_maps, &out);
	for (uint32_t i = 0; i < map->nr_maps && map->svg == NULL && error == 0; i++) {
		if (i > 0)
			text_buf_puts(&out, "\n");
		error = map_print(&map->maps[i], &paint, &out);
	}
	if (error != 0)
		cmd_error("memory is out");
	status = error == 0 ? picture_write(&out, map->svg) : CMD_WORLD;
	text_buf_free(&out);
	return status;
}

int cmd_map(int argc, char **argv)
{
	struct map_command *map = calloc(1, sizeof(*map));
	int status;

	if (map == NULL) {
		cmd_error("memory is out");
		return CMD_WORLD;
	}
	map->zone = NEAP_NR_ZONES;
	map->node = UINT64_MAX;
	status = parse(argc, argv, map);
	if (status == CMD_FINE)
		status = map->root != NULL ? map_saved(map) : map_run(map);
	if (map->error != 0) {
		cmd_error("the map could not be made: %s", strerror(-map->error));
		status = CMD_WORLD;
	}
	if (status == CMD_FINE || status == CMD_FINDING || status == CMD_INTERRUPTED) {
		int drawn = draw(map);

		status = status == CMD_FINE ? drawn : status;
	}
	for (uint32_t i = 0; i < map->nr_maps; i++)
		free(map->maps[i].cells);
	free(map);
	return status;
}
