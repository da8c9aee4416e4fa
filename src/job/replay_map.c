/*
 * Giving every page of a trace a place.
 *
 * A trace names pages by id; each id says where the page lay: a virtual page number
 * for anonymous memory, file and offset for the rest. The program's address space
 * is rebuilt as regions, because neighbours matter (page tables, read-ahead):
 *
 *     virtual pages   ..####.##..............###........#.#....
 *                       |-- region 0 --|     |-1-|      |-2-|
 *     a gap of more than 512 pages ends a region
 *
 * A scattered program could make thousands of regions. When there would be more
 * than REPLAY_REGIONS_MAX, the gap doubles until there are not; larger gaps inside
 * a region are then cut so that it stays small, keeping the position within 2 MiB.
 *
 * Addresses are used again: an id that is born at an address whose earlier page has
 * been freed gets the same place and the same slot of the verifier. An id born where
 * an earlier page is still alive (the program moved that one away with mremap) gets
 * a page at the end of the last region instead.
 *
 * What must never happen: two live ids in one place. The verifier would see the
 * same versions and notice nothing, but the machine would hold fewer pages than the
 * traced program had.
 */
#include "job/replay_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

#define GAP_PAGES 512u
#define TABLE_PAGES 512u /* pages that share a page table */
#define UNPLACED UINT32_MAX

/* An id with what it is sorted by. */
struct entry {
	uint64_t file_and_where; /* file number above, place below; anonymous: the vpn */
	uint32_t id;
	uint32_t spare;
};

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;

	if (x->file_and_where != y->file_and_where)
		return x->file_and_where < y->file_and_where ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Collects the ids of anonymous (or of file) pages, sorted by place, then id. => their number */
static uint32_t sort_ids(const struct ptrace *trace, uint32_t nr_ids, bool anon,
			 struct entry *entries)
{
	uint32_t n = 0;

	for (uint32_t id = 0; id < nr_ids; id++) {
		struct ptrace_page page = ptrace_page(trace, id);

		if ((page.kind == PTRACE_ANON) != anon)
			continue;
		entries[n].file_and_where =
			anon ? page.where : (uint64_t)page.file << 40 | page.where;
		entries[n++].id = id;
	}
	qsort(entries, n, sizeof(*entries), compare_entries);
	return n;
}

/* The smallest gap, from 512 up by doubling, that leaves few enough regions. */
static uint64_t choose_gap(const struct entry *entries, uint32_t n)
{
	uint64_t gap = GAP_PAGES;

	for (uint32_t doublings = 0; doublings < 40; doublings++, gap *= 2) {
		uint32_t regions = 1;

		for (uint32_t i = 1; i < n; i++)
			if (entries[i].file_and_where - entries[i - 1].file_and_where > gap)
				regions++;
		if (regions <= REPLAY_REGIONS_MAX)
			break;
	}
	return gap;
}

/*
 * The page in a region that follows `page` when the program's next page is `distance` further on.
 */
static uint64_t next_page(uint64_t page, uint64_t distance)
{
	if (distance <= GAP_PAGES)
		return page + distance;
	return page + distance % TABLE_PAGES + TABLE_PAGES;
}

/* May `later` take the place of `earlier`, which lay at the same address? */
static bool was_free(const struct ptrace *trace, uint32_t earlier, uint32_t later)
{
	return ptrace_page(trace, earlier).freed_when <= later;
}

static void add_anon_place(struct replay_map *map, uint32_t id, uint64_t page)
{
	map->regions[map->nr_regions - 1].nr_pages = page + 1;
	map->places[id] =
		(struct replay_place){ map->nr_regions - 1, (uint32_t)page, map->nr_anon_slots };
	map->anon_ids[map->nr_anon_slots++] = id;
}

/* Places anonymous ids in order of their addresses; ids whose place is taken come last. */
static void place_anon(struct replay_map *map, const struct ptrace *trace,
		       const struct entry *entries, uint32_t n)
{
	uint64_t gap = choose_gap(entries, n);
	uint32_t holder = 0; /* entry that has the current place */

	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = entries[i].id;
		uint64_t vpn = entries[i].file_and_where;
		uint64_t distance = i == 0 ? UINT64_MAX : vpn - entries[holder].file_and_where;
		uint64_t page = vpn % TABLE_PAGES;

		if (distance == 0 && !was_free(trace, entries[holder].id, id)) {
			map->places[id].slot = UNPLACED;
			continue;
		}
		if (distance == 0) {
			map->places[id] = map->places[entries[holder].id];
		} else if (distance > gap) {
			map->regions[map->nr_regions++].first_vpn = vpn;
			add_anon_place(map, id, page);
		} else {
			page = map->regions[map->nr_regions - 1].nr_pages - 1;
			add_anon_place(map, id, next_page(page, distance));
		}
		holder = i;
	}
	for (uint32_t i = 0; i < n; i++)
		if (map->places[entries[i].id].slot == UNPLACED)
			add_anon_place(map, entries[i].id,
				       map->regions[map->nr_regions - 1].nr_pages);
}

/* Page numbers are kept in 32 bits. => false if a region is larger than that */
static bool regions_fit(const struct replay_map *map)
{
	for (uint32_t i = 0; i < map->nr_regions; i++)
		if (map->regions[i].nr_pages > UINT32_MAX)
			return false;
	return true;
}

/* Files keep their offsets; two ids of one page share its place. => 0 or -EFBIG */
static int place_files(struct replay_map *map, const struct ptrace *trace,
		       const struct entry *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct ptrace_page page = ptrace_page(trace, entries[i].id);
		bool same = i > 0 && entries[i].file_and_where == entries[i - 1].file_and_where;

		if (page.where >= UINT32_MAX)
			return -EFBIG;
		if (map->nr_files == 0 || map->files[map->nr_files - 1].number != page.file)
			map->files[map->nr_files++] = (struct replay_file){ .number = page.file };
		if (!same)
			map->file_ids[map->nr_file_slots++] = entries[i].id;
		map->files[map->nr_files - 1].nr_pages = page.where + 1;
		map->places[entries[i].id] =
			(struct replay_place){ map->nr_files - 1, (uint32_t)page.where,
					       map->nr_file_slots - 1 };
	}
	return 0;
}

int replay_map_new(const struct ptrace *trace, struct replay_map **out)
{
	uint32_t nr_ids = (uint32_t)ptrace_info(trace)->pages;
	uint32_t nr_files = ptrace_info(trace)->nr_files;
	struct replay_map *map = calloc(1, sizeof(*map));
	struct entry *entries = calloc(nr_ids, sizeof(*entries));
	int error = -ENOMEM;
	uint32_t n;

	if (map == NULL || entries == NULL)
		goto out;
	map->nr_ids = nr_ids;
	map->places = calloc(nr_ids, sizeof(*map->places));
	map->regions = calloc(REPLAY_REGIONS_MAX, sizeof(*map->regions));
	map->files = calloc(min_u32(nr_files, nr_ids) + (size_t)1, sizeof(*map->files));
	map->anon_ids = calloc(nr_ids, sizeof(*map->anon_ids));
	map->file_ids = calloc(nr_ids, sizeof(*map->file_ids));
	if (map->places == NULL || map->regions == NULL || map->files == NULL ||
	    map->anon_ids == NULL || map->file_ids == NULL)
		goto out;
	n = sort_ids(trace, nr_ids, true, entries);
	place_anon(map, trace, entries, n);
	n = sort_ids(trace, nr_ids, false, entries);
	error = regions_fit(map) ? place_files(map, trace, entries, n) : -EFBIG;
out:
	free(entries);
	if (error != 0)
		replay_map_free(map);
	else
		*out = map;
	return error;
}

void replay_map_free(struct replay_map *map)
{
	if (map == NULL)
		return;
	free(map->places);
	free(map->regions);
	free(map->files);
	free(map->anon_ids);
	free(map->file_ids);
	free(map);
}
