/*
 * Playing a trace.
 *
 *     record            on the machine
 *     R, X, W           a load, a fetch, a store at the page's place in its region; for a
 *                       page of a file in the shared mapping of that file
 *     PR, PW            the page through a read- or write-type call
 *     FREE              the run of pages is given back; neighbours in one call
 *     tick              charged to the virtual clock; live it means nothing
 *
 * The traced program's files are unnamed, sparse, and as long as the trace needs.
 * Before the first record each of their pages is put to the store with its stamp,
 * as if it had been there for long, except those that the program writes as a whole
 * before it reads them: they are holes. So the page cache is cold and the store
 * holds what a first read must find.
 *
 * All anonymous pages are one object of the verifier, all file pages another, both
 * numbered densely (replay_map.c), so a scattered program costs no more metadata
 * than a compact one.
 *
 * What must never happen: a page freed for one id while another lives in it (see
 * replay_map.c), and an error of the world that ends the replay silently.
 */
#include "job/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "job/access.h"
#include "job/replay_map.h"

#define POLL_EVERY 256u
#define MEMORY_MIN (16 * MIB)

struct replay {
	struct neap_machine *machine;
	const struct ptrace *trace;
	const char *name;
	struct replay_map *map;
	struct access_target *regions; /* by region number */
	struct access_target *mapped;  /* by file: as memory */
	struct access_target *called;  /* by file: through calls */
	struct verify_object *anon, *file;
};

uint64_t replay_memory_bytes(const struct ptrace_info *info)
{
	uint64_t pages = max_u64((info->peak_pages + 3) / 4, 4 * info->window_pages);

	return max_u64(pages * NEAP_PAGE_SIZE, MEMORY_MIN);
}

/* ---- names for reports ---- */

static void describe_anon(void *arg, uint64_t slot, char *buffer, size_t bytes)
{
	const struct replay *replay = arg;
	uint32_t id = replay->map->anon_ids[slot];
	const struct replay_place *place = &replay->map->places[id];

	snprintf(buffer, bytes, "%s address %#" PRIx64 " (region %u page %u, id %u)", replay->name,
		 ptrace_page(replay->trace, id).where * NEAP_PAGE_SIZE, place->where, place->page,
		 id);
}

static void describe_file(void *arg, uint64_t slot, char *buffer, size_t bytes)
{
	const struct replay *replay = arg;
	uint32_t id = replay->map->file_ids[slot];
	struct ptrace_page page = ptrace_page(replay->trace, id);

	snprintf(buffer, bytes, "%s file %u page %" PRIu64 " (id %u)", replay->name, page.file,
		 page.where, id);
}

/* ---- setting up ---- */

static int make_regions(struct replay *replay)
{
	const struct replay_map *map = replay->map;
	int error = 0;

	for (uint32_t i = 0; i < map->nr_regions && error == 0; i++) {
		struct access_target *target = &replay->regions[i];

		target->object = replay->anon;
		error = neap_region_create(replay->machine,
					   map->regions[i].nr_pages * NEAP_PAGE_SIZE, 0,
					   NEAP_ANY_NODE, &target->region);
	}
	return error;
}

static int make_files(struct replay *replay)
{
	const struct replay_map *map = replay->map;
	int error = 0;

	for (uint32_t i = 0; i < map->nr_files && error == 0; i++) {
		struct access_target *mapped = &replay->mapped[i];
		struct access_target *called = &replay->called[i];

		error = neap_file_open(replay->machine, NULL,
				       map->files[i].nr_pages * NEAP_PAGE_SIZE, 0, &called->file);
		if (error == 0)
			error = neap_region_map(called->file, 0, &mapped->region);
		mapped->file = called->file;
		mapped->object = replay->file;
		called->object = replay->file;
	}
	return error;
}

/* Puts the first contents of all file pages that are not written first to the store. */
static int load_files(struct replay *replay)
{
	const struct replay_map *map = replay->map;
	uint64_t *data = aligned_alloc(NEAP_PAGE_SIZE, NEAP_PAGE_SIZE);
	uint64_t tag = 0;
	int error = data == NULL ? -ENOMEM : 0;

	for (uint32_t slot = 0; slot < map->nr_file_slots && error == 0; slot++) {
		uint32_t id = map->file_ids[slot];
		const struct replay_place *place = &map->places[id];

		if (ptrace_page(replay->trace, id).written_first)
			continue;
		verify_load(replay->file, slot, data, &tag);
		error = neap_file_load(replay->called[place->where].file, place->page, data, tag);
	}
	free(data);
	return error;
}

int replay_start(struct neap_machine *machine, struct verify *verify, const char *name,
		 const struct ptrace *trace, struct replay **out)
{
	struct replay *replay = calloc(1, sizeof(*replay));
	const struct replay_map *map;
	int error = -ENOMEM;

	if (replay == NULL)
		return -ENOMEM;
	replay->machine = machine;
	replay->trace = trace;
	replay->name = name;
	error = replay_map_new(trace, &replay->map);
	if (error != 0)
		goto fail;
	map = replay->map;
	error = -ENOMEM;
	replay->regions = calloc(map->nr_regions + (size_t)1, sizeof(*replay->regions));
	replay->mapped = calloc(map->nr_files + (size_t)1, sizeof(*replay->mapped));
	replay->called = calloc(map->nr_files + (size_t)1, sizeof(*replay->called));
	replay->anon = verify_add(verify, VERIFY_MEMORY, map->nr_anon_slots, describe_anon, replay);
	replay->file = verify_add(verify, VERIFY_FILE, map->nr_file_slots, describe_file, replay);
	if (replay->regions == NULL || replay->mapped == NULL || replay->called == NULL ||
	    replay->anon == NULL || replay->file == NULL)
		goto fail;
	error = make_regions(replay);
	if (error == 0)
		error = make_files(replay);
	if (error == 0)
		error = load_files(replay);
	if (error != 0)
		goto fail;
	*out = replay;
	return 0;
fail:
	replay_finish(replay);
	return error;
}

int replay_finish(struct replay *replay)
{
	int result = 0;

	if (replay == NULL)
		return 0;
	for (uint32_t i = 0; replay->regions != NULL && i < replay->map->nr_regions; i++)
		if (replay->regions[i].region != NULL)
			neap_region_destroy(replay->regions[i].region);
	for (uint32_t i = 0; replay->mapped != NULL && i < replay->map->nr_files; i++)
		if (replay->mapped[i].region != NULL)
			neap_region_destroy(replay->mapped[i].region);
	for (uint32_t i = 0; replay->called != NULL && i < replay->map->nr_files; i++) {
		int error = 0;

		if (replay->called[i].file != NULL)
			error = neap_file_close(replay->called[i].file);
		if (result == 0)
			result = error;
	}
	replay_map_free(replay->map);
	free(replay->regions);
	free(replay->mapped);
	free(replay->called);
	free(replay);
	return result;
}

/* ---- playing ---- */

/* Gives back pages first..first+nr-1 of a region, whose slots are consecutive, too. */
static int release_run(struct replay *replay, const struct replay_place *first, uint32_t nr)
{
	int64_t released;

	verify_release_begin(replay->anon, first->slot, nr);
	released = neap_release(replay->regions[first->where].region, first->page, nr);
	verify_release_end(replay->anon, first->slot, nr, released >= 0);
	return released < 0 ? (int)released : 0;
}

/* Ids of a run are consecutive; their places may not be. Neighbours are given back in one call. */
static int play_free(struct replay *replay, const struct ptrace_record *record)
{
	const struct replay_place *places = replay->map->places + record->id;
	int error = 0;

	for (uint32_t at = 0; at < record->count && error == 0;) {
		const struct replay_place *first = &places[at];
		uint32_t nr = 1;

		while (at + nr < record->count && places[at + nr].where == first->where &&
		       places[at + nr].page == first->page + nr &&
		       places[at + nr].slot == first->slot + nr)
			nr++;
		error = release_run(replay, first, nr);
		at += nr;
	}
	return error;
}

static int play_access(struct replay *replay, struct verify_task *task,
		       const struct ptrace_record *record)
{
	static const enum access_kind kinds[NR_PTRACE_OPS] = {
		[PTRACE_R] = ACCESS_READ,  [PTRACE_W] = ACCESS_WRITE,	   [PTRACE_X] = ACCESS_EXEC,
		[PTRACE_PR] = ACCESS_READ, [PTRACE_PW] = ACCESS_OVERWRITE,
	};
	const struct replay_place *place = &replay->map->places[record->id];
	bool anon = ptrace_page(replay->trace, record->id).kind == PTRACE_ANON;
	bool call = record->op == PTRACE_PR || record->op == PTRACE_PW;
	const struct access_target *target = anon   ? &replay->regions[place->where]
					     : call ? &replay->called[place->where]
						    : &replay->mapped[place->where];
	struct access access = {
		.kind = kinds[record->op],
		.page = place->page,
		.index = place->slot,
	};

	return access_perform(task, target, &access);
}

int replay_run(struct replay *replay, struct verify_task *task, replay_poll_fn poll, void *arg)
{
	struct ptrace_cursor *cursor = ptrace_cursor_new(replay->trace);
	struct ptrace_record record = { 0 };
	uint64_t done = 0;
	int more = 1;
	int error = 0;

	if (cursor == NULL)
		return -ENOMEM;
	while (error == 0 && (more = ptrace_next(cursor, &record)) > 0) { /* one record each */
		if (record.ticks > 0)
			neap_tick(replay->machine, record.ticks);
		error = record.op == PTRACE_FREE ? play_free(replay, &record)
						 : play_access(replay, task, &record);
		if (++done % POLL_EVERY == 0 && !poll(arg, POLL_EVERY))
			break;
	}
	poll(arg, done % POLL_EVERY);
	ptrace_cursor_free(cursor);
	return error != 0 ? error : more < 0 ? more : 0;
}

static int sweep_slots(struct replay *replay, struct verify_task *task, bool anon,
		       replay_poll_fn poll, void *arg)
{
	struct verify_object *object = anon ? replay->anon : replay->file;
	const uint32_t *ids = anon ? replay->map->anon_ids : replay->map->file_ids;
	int error = 0;

	for (uint32_t slot = 0; slot < verify_pages(object) && error == 0; slot++) {
		const struct replay_place *place = &replay->map->places[ids[slot]];
		struct access access = { .page = place->page, .index = slot };

		if (slot % POLL_EVERY == 0 && !poll(arg, 0))
			break;
		if (!verify_is_live(object, slot))
			continue;
		error = access_sweep(
			task, anon ? &replay->regions[place->where] : &replay->called[place->where],
			&access);
	}
	return error;
}

int replay_sweep(struct replay *replay, struct verify_task *task, replay_poll_fn poll, void *arg)
{
	int error = sweep_slots(replay, task, true, poll, arg);

	return error != 0 ? error : sweep_slots(replay, task, false, poll, arg);
}
