/*
 * A zone as cells: what its pages are.
 */
#ifndef NEAP_DIAG_MAP_H
#define NEAP_DIAG_MAP_H

#include "core/snapshot.h"
#include "diag/paint.h"

/* In the order in which a tie is decided, and in which cells without a place are sorted. */
enum map_kind {
	MAP_PINNED,
	MAP_UNMOVABLE,
	MAP_RECLAIMABLE, /* only where types of pageblocks are all that is known */
	MAP_HUGE,
	MAP_MOVABLE,
	MAP_FREE,
	MAP_RESERVED,
	NR_MAP_KINDS,
};

/* Pages of a cell by kind. */
struct map_cell {
	uint32_t pages[NR_MAP_KINDS];
};

struct map {
	char title[200];
	uint32_t cell_pages; /* of a full cell */
	bool placed;	     /* cells are in order of address; otherwise sorted by kind */
	uint32_t nr_cells;
	struct map_cell *cells;
};

/* The size of a cell so that a zone fits: a power of two, at least 1. */
uint32_t map_cell_pages(uint64_t zone_pages, uint32_t columns, uint32_t rows);

/*
 * Fills in a map from a zone's free lists and pageblock types, which is what a real machine's
 * pagetypeinfo says. Cells without a place. => 0, -ENODATA (no pageblock is known), -ENOMEM;
 * map->cells is to be freed
 */
MUST_CHECK int map_from_zone(const struct snapshot_zone *zone, uint32_t cell_pages,
			     struct map *map);

/* Each appends the picture. => 0 or the buffer's error */
int map_print(const struct map *map, const struct paint *paint, struct text_buf *out);
/* Several maps below each other (before, after), one document. */
int map_svg(const struct map *maps, uint32_t nr_maps, struct text_buf *out);

#endif
