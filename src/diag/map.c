/*
 * Maps of zones.
 *
 *     0x000000 UUUUuMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMmmmmmmmmmmm
 *     0x000800 MMMMMM.......MMMMMMMHHHHHHHHHHHHHHHH..................
 *
 * A cell stands for a power of two of pages and shows the kind that most of its used
 * pages are, as a capital letter; a small letter if at least a quarter of the cell is
 * free, '.' if all of it is. So fragmentation is visible: small letters everywhere.
 * One pinned or unmovable page keeps a large block from being made, so these two win
 * over movable pages however few they are.
 *
 * From a run each page is known, and cells are in order of address. From a real
 * machine's pagetypeinfo it is only known how many pageblocks each type has and how
 * many blocks of each order are free in them: cells are sorted then, free whole
 * pageblocks first, and the picture says so.
 *
 * What must never happen: cells that add up to another number of pages than the zone
 * has.
 */
#include "diag/map.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGEBLOCK_ORDER 9u
#define PAGEBLOCK_PAGES (1u << PAGEBLOCK_ORDER)
#define ADDRESS_COLUMNS 10u
#define SVG_CELL 8u
#define SVG_COLUMNS 96u

static const struct {
	char letter;
	enum paint_colour colour;
	const char *name;
} looks[NR_MAP_KINDS] = {
	[MAP_PINNED] = { 'P', PAINT_MAGENTA, "pinned" },
	[MAP_UNMOVABLE] = { 'U', PAINT_RED, "unmovable" },
	[MAP_RECLAIMABLE] = { 'R', PAINT_YELLOW, "reclaimable" },
	[MAP_HUGE] = { 'H', PAINT_BLUE, "huge" },
	[MAP_MOVABLE] = { 'M', PAINT_CYAN, "movable" },
	[MAP_FREE] = { '.', PAINT_GREEN, "free" },
	[MAP_RESERVED] = { '-', PAINT_GREY, "reserved" },
};

uint32_t map_cell_pages(uint64_t zone_pages, uint32_t columns, uint32_t rows)
{
	uint32_t pages = 1;

	while (pages < (1u << 30) && zone_pages / pages > (uint64_t)columns * rows)
		pages *= 2;
	return pages;
}

/* ---- from pagetypeinfo ---- */

/* What is known of one type's pageblocks. */
struct type_pages {
	enum map_kind kind;
	uint64_t whole;	    /* pages free in blocks of a pageblock or more */
	uint64_t fragments; /* free in smaller ones */
	uint64_t used;
};

static struct type_pages type_pages(const struct snapshot_zone *zone, uint32_t type)
{
	struct type_pages pages = { .kind = type == MT_MOVABLE || type == MT_CMA ? MAP_MOVABLE
					    : type == MT_RECLAIMABLE		 ? MAP_RECLAIMABLE
										 : MAP_UNMOVABLE };
	uint64_t all = zone->nr_blocks[type] * PAGEBLOCK_PAGES;

	for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++) {
		uint64_t free = zone->nr_free_type[type][order] << order;

		if (order >= PAGEBLOCK_ORDER)
			pages.whole += free;
		else
			pages.fragments += free;
	}
	/* The file's two halves are read one after the other and may disagree. */
	pages.whole = min_u64(pages.whole, all);
	pages.fragments = min_u64(pages.fragments, all - pages.whole);
	pages.used = all - pages.whole - pages.fragments;
	return pages;
}

/* Spreads a type's free fragments evenly over its cells that are not wholly free. */
static void add_type(struct map *map, const struct type_pages *type)
{
	uint64_t rest = type->fragments + type->used;
	uint64_t done = 0;

	while (done < rest) {
		uint32_t size = (uint32_t)min_u64(map->cell_pages, rest - done);
		struct map_cell *cell = &map->cells[map->nr_cells++];
		uint64_t free_before = type->fragments * done / rest;
		uint64_t free_after = type->fragments * (done + size) / rest;

		cell->pages[MAP_FREE] = (uint32_t)(free_after - free_before);
		cell->pages[type->kind] = size - cell->pages[MAP_FREE];
		done += size;
	}
}

int map_from_zone(const struct snapshot_zone *zone, uint32_t cell_pages, struct map *map)
{
	uint64_t whole = 0, cells = 0;

	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
		cells += zone->nr_blocks[type] * PAGEBLOCK_PAGES / cell_pages + 2;
	if (cells == 2 * NEAP_NR_TYPES && zone->nr_blocks[MT_MOVABLE] == 0)
		return -ENODATA;
	map->cell_pages = cell_pages;
	map->placed = false;
	map->nr_cells = 0;
	map->cells = calloc(cells + 1, sizeof(*map->cells));
	if (map->cells == NULL)
		return -ENOMEM;
	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
		whole += type_pages(zone, type).whole;
	for (uint64_t done = 0; done < whole; done += cell_pages)
		map->cells[map->nr_cells++].pages[MAP_FREE] =
			(uint32_t)min_u64(cell_pages, whole - done);
	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++) {
		struct type_pages pages = type_pages(zone, type);

		add_type(map, &pages);
	}
	return 0;
}

/* ---- a cell ---- */

struct cell_look {
	enum map_kind kind;
	char letter;
	uint32_t free_quarters; /* how much of it is free: 0 to 4 */
};

static struct cell_look cell_look(const struct map_cell *cell)
{
	uint32_t all = 0;
	struct cell_look look = { .kind = MAP_FREE };

	for (uint32_t kind = 0; kind < NR_MAP_KINDS; kind++)
		all += cell->pages[kind];
	if (all == 0)
		return (struct cell_look){ MAP_RESERVED, ' ', 0 };
	if (cell->pages[MAP_RESERVED] == all)
		return (struct cell_look){ MAP_RESERVED, looks[MAP_RESERVED].letter, 0 };
	look.free_quarters = cell->pages[MAP_FREE] * 4 / all;
	if (cell->pages[MAP_PINNED] > 0)
		look.kind = MAP_PINNED;
	else if (cell->pages[MAP_UNMOVABLE] > 0)
		look.kind = MAP_UNMOVABLE;
	else if (cell->pages[MAP_RECLAIMABLE] > 0)
		look.kind = MAP_RECLAIMABLE;
	else if (cell->pages[MAP_HUGE] > cell->pages[MAP_MOVABLE])
		look.kind = MAP_HUGE;
	else if (cell->pages[MAP_MOVABLE] > 0)
		look.kind = MAP_MOVABLE;
	look.letter = looks[look.kind].letter;
	if (look.kind != MAP_FREE && look.free_quarters > 0)
		look.letter = (char)tolower((unsigned char)look.letter);
	return look;
}

/* ---- text ---- */

static void print_summary(const struct map *map, const struct paint *paint, struct text_buf *out)
{
	uint64_t pages[NR_MAP_KINDS] = { 0 };
	const char *between = "";

	for (uint32_t i = 0; i < map->nr_cells; i++)
		for (uint32_t kind = 0; kind < NR_MAP_KINDS; kind++)
			pages[kind] += map->cells[i].pages[kind];
	for (uint32_t kind = 0; kind < NR_MAP_KINDS; kind++) {
		if (pages[kind] == 0)
			continue;
		text_buf_puts(out, between);
		paint_colour(out, paint, looks[kind].colour);
		text_buf_printf(out, "%c", looks[kind].letter);
		paint_colour(out, paint, PAINT_PLAIN);
		text_buf_printf(out, " %s %llu", looks[kind].name, (unsigned long long)pages[kind]);
		between = "  ";
	}
	text_buf_puts(out, "\n");
}

static void print_row(const struct map *map, const struct paint *paint, uint32_t first,
		      struct text_buf *out)
{
	uint32_t columns = paint->width - ADDRESS_COLUMNS;
	uint32_t end = min_u32(first + columns, map->nr_cells);
	enum map_kind now = NR_MAP_KINDS;

	if (map->placed)
		text_buf_printf(out, "%8llx  ", (unsigned long long)first * map->cell_pages);
	else
		text_buf_fill(out, ' ', ADDRESS_COLUMNS);
	for (uint32_t i = first; i < end; i++) {
		struct cell_look look = cell_look(&map->cells[i]);

		if (look.kind != now) {
			paint_colour(out, paint, PAINT_PLAIN);
			paint_background(out, paint, looks[look.kind].colour);
			now = look.kind;
		}
		text_buf_add(out, &look.letter, 1);
	}
	paint_colour(out, paint, PAINT_PLAIN);
	text_buf_puts(out, "\n");
}

int map_print(const struct map *map, const struct paint *paint, struct text_buf *out)
{
	struct paint fit = *paint;

	fit.width = max_u32(PAINT_WIDTH_MIN, min_u32(fit.width, PAINT_WIDTH_MAX));
	text_buf_printf(out, "%s\n", map->title);
	text_buf_printf(out, "a cell is %u pages; small letters: a quarter of it or more is free\n",
			map->cell_pages);
	if (!map->placed)
		text_buf_puts(out, "where pages lie is not known from these files:"
				   " cells are sorted, free blocks first\n");
	for (uint32_t first = 0; first < map->nr_cells; first += fit.width - ADDRESS_COLUMNS)
		print_row(map, &fit, first, out);
	print_summary(map, &fit, out);
	return out->error;
}

/* ---- SVG ---- */

static uint32_t svg_rows(const struct map *map)
{
	return (map->nr_cells + SVG_COLUMNS - 1) / SVG_COLUMNS;
}

static void svg_cells(const struct map *map, uint32_t top, struct text_buf *out)
{
	static const char *const opacity[] = { "1", "0.8", "0.6", "0.4", "0.25" };

	for (uint32_t i = 0; i < map->nr_cells;) {
		struct cell_look look = cell_look(&map->cells[i]);
		uint32_t end = i + 1;

		/* Equal neighbours in a row are one rectangle: documents stay small. */
		while (end < map->nr_cells && end % SVG_COLUMNS != 0) {
			struct cell_look next = cell_look(&map->cells[end]);

			if (next.kind != look.kind || next.free_quarters != look.free_quarters)
				break;
			end++;
		}
		text_buf_printf(out,
				"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\""
				" fill-opacity=\"%s\"/>\n",
				20 + i % SVG_COLUMNS * SVG_CELL, top + i / SVG_COLUMNS * SVG_CELL,
				(end - i) * SVG_CELL - 1, SVG_CELL - 1,
				look.kind == MAP_FREE ? "#dddddd"
						      : paint_svg_colour(looks[look.kind].colour),
				look.kind == MAP_FREE ? "1" : opacity[look.free_quarters]);
		i = end;
	}
}

static void svg_legend(uint32_t top, struct text_buf *out)
{
	uint32_t x = 20;

	for (uint32_t kind = 0; kind < NR_MAP_KINDS; kind++) {
		text_buf_printf(out,
				"<rect x=\"%u\" y=\"%u\" width=\"10\" height=\"10\" fill=\"%s\"/>\n"
				"<text x=\"%u\" y=\"%u\">%s</text>\n",
				x, top,
				kind == MAP_FREE ? "#dddddd" : paint_svg_colour(looks[kind].colour),
				x + 14, top + 9, looks[kind].name);
		x += 105;
	}
}

int map_svg(const struct map *maps, uint32_t nr_maps, struct text_buf *out)
{
	uint32_t height = 40, top = 40;

	for (uint32_t i = 0; i < nr_maps; i++)
		height += 60 + svg_rows(&maps[i]) * SVG_CELL;
	text_buf_printf(out,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\""
			" font-family=\"sans-serif\" font-size=\"12\">\n"
			"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
			40 + SVG_COLUMNS * SVG_CELL, height);
	svg_legend(12, out);
	for (uint32_t i = 0; i < nr_maps; i++) {
		text_buf_printf(out, "<text x=\"20\" y=\"%u\">", top + 14);
		paint_svg_text(out, maps[i].title);
		text_buf_printf(out, "; a cell is %u pages%s</text>\n", maps[i].cell_pages,
				maps[i].placed ? "" : ", sorted: their places are not known");
		svg_cells(&maps[i], top + 24, out);
		top += 60 + svg_rows(&maps[i]) * SVG_CELL;
	}
	text_buf_puts(out, "</svg>\n");
	return out->error;
}
