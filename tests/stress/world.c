/*
 * The areas: making, making anew, destroying, and looking at all of them.
 *
 *   area 0..7    anonymous, together four times the machine's memory; some bound to
 *                a node, some for huge pages, some against them
 *   area 8..10   files of a quarter of the memory each, mapped twice
 *
 * Nobody ever waits for a lock of the program itself: an operation that finds one
 * taken is left out. So the program cannot deadlock on its own, and runs alike on
 * threads and on the simulator's fibers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stress.h"

bool users_enter(_Atomic int32_t *users)
{
	int32_t now = atomic_load(users);

	while (now >= 0)
		if (atomic_compare_exchange_weak(users, &now, now + 1))
			return true;
	return false;
}

void users_leave(_Atomic int32_t *users)
{
	atomic_fetch_sub(users, 1);
}

bool users_take(_Atomic int32_t *users)
{
	int32_t none = 0;

	return atomic_compare_exchange_strong(users, &none, -1);
}

void users_give(_Atomic int32_t *users)
{
	atomic_store(users, 0);
}

void world_count(struct world *w, enum counter counter)
{
	atomic_fetch_add_explicit(&w->count[counter], 1, memory_order_relaxed);
}

bool world_accepts(struct world *w, int64_t result, const char *what)
{
	if (likely(result >= 0))
		return true;
	if (result == -ENOMEM) {
		world_count(w, COUNT_ENOMEM);
		return false;
	}
	if (w->opt->faults && (result == -EIO || result == -ENOSPC)) {
		world_count(w, COUNT_EIO);
		return false;
	}
	fail(w, "%s: %s (%s)", what, strerror((int)-result), neap_machine_error(w->machine));
}

void world_fault_files(struct world *w, uint64_t random)
{
	if (!w->opt->faults)
		return;
	(void)neap_inject(w->machine, "file-read", 1 + random % 1000, -EIO);
	(void)neap_inject(w->machine, "file-write", 1 + random / 1000 % 1000, -EIO);
}

static bool area_is_file(const struct area *area)
{
	return area->id >= NR_ANON;
}

/* Opens or creates what the area is. => false: no memory for it now */
static bool area_open(struct world *w, struct area *area)
{
	static const uint32_t advice[] = { NEAP_HUGE, 0, NEAP_NO_HUGE };
	uint64_t bytes = (uint64_t)area->nr_pages * NEAP_PAGE_SIZE;
	int node = area->id < 2 ? (int)area->id : NEAP_ANY_NODE;
	uint32_t flags = advice[area->id % 3];

	area->key = mix(w->seed) + mix(atomic_fetch_add(&w->next_key, 1));
	for (uint32_t page = 0; page < area->nr_pages; page++) {
		area->cells[page].version = 0;
		area->cells[page].word_version = 0;
	}
	if (!area_is_file(area))
		return world_accepts(
			w, neap_region_create(w->machine, bytes, flags, node, &area->region[0]),
			"neap_region_create");
	if (!world_accepts(w, neap_file_open(w->machine, NULL, bytes, 0, &area->file),
			   "neap_file_open"))
		return false;
	for (uint32_t i = 0; i < NR_MAPPINGS; i++)
		if (!world_accepts(w, neap_region_map(area->file, 0, &area->region[i]),
				   "neap_region_map"))
			area->region[i] = NULL;
	return true;
}

static void area_close(struct world *w, struct area *area)
{
	for (uint32_t i = 0; i < NR_MAPPINGS; i++) {
		if (area->region[i] != NULL)
			neap_region_destroy(area->region[i]);
		area->region[i] = NULL;
	}
	if (area->file != NULL)
		(void)world_accepts(w, neap_file_close(area->file), "neap_file_close");
	area->file = NULL;
}

bool area_rebuild(struct world *w, struct area *area)
{
	if (!users_take(&area->users))
		return false;
	area_close(w, area);
	/* Without memory it stays closed; everybody leaves it alone until it is open again. */
	(void)area_open(w, area);
	world_count(w, COUNT_REBUILD);
	users_give(&area->users);
	return true;
}

bool area_remap(struct world *w, struct area *area, uint32_t mapping)
{
	struct neap_region **region = &area->region[mapping];

	if (!users_take(&area->map_users[mapping]))
		return false;
	if (*region != NULL)
		neap_region_destroy(*region);
	*region = NULL;
	if (area->file != NULL &&
	    !world_accepts(w, neap_region_map(area->file, 0, region), "neap_region_map"))
		*region = NULL;
	users_give(&area->map_users[mapping]);
	return true;
}

void world_create(struct world *w)
{
	uint32_t memory_pages = (uint32_t)(w->memory / NEAP_PAGE_SIZE);

	for (uint32_t i = 0; i < NR_AREAS; i++) {
		struct area *area = &w->area[i];

		area->id = i;
		area->nr_pages = i < NR_ANON ? memory_pages * 4 / NR_ANON : memory_pages / 4;
		area->cells = calloc(area->nr_pages, sizeof(area->cells[0]));
		if (area->cells == NULL)
			fail(w, "no memory");
		(void)area_open(w, area);
	}
}

void world_destroy(struct world *w)
{
	for (uint32_t i = 0; i < NR_AREAS; i++) {
		area_close(w, &w->area[i]);
		free(w->area[i].cells);
		w->area[i].cells = NULL;
	}
}

void world_check(struct world *w)
{
	uint64_t data[PAGE_WORDS];

	for (uint32_t i = 0; i < NR_AREAS; i++) {
		const struct area *area = &w->area[i];

		for (uint32_t page = 0; page < area->nr_pages; page++) {
			uint64_t at = (uint64_t)page * NEAP_PAGE_SIZE;
			int64_t got = 0;

			guard_step(GUARD_MAIN);
			if (area->file != NULL && page % 2 == 0)
				got = neap_file_read(area->file, at, data, sizeof(data));
			else if (area->region[0] != NULL)
				got = neap_read(area->region[0], at, data, sizeof(data));
			else
				continue;
			if (world_accepts(w, got, "the last look"))
				contents_check(w, area, page, data, 1);
		}
	}
}
