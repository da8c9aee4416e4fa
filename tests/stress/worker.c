/*
 * A worker: operations chosen at random, each checked.
 *
 *   1. choose an area, enter it (and the mapping), so that nobody makes it anew
 *   2. choose a page: one of a few hot ones, the one after the last, or any
 *   3. enter the page's cell, as one of several readers or as the only writer
 *   4. read and compare, or write the next version
 *
 * Accesses without contents (neap_access, WILLNEED) take no cell: they run into
 * whatever others do to the page. Pins are kept over other operations.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "stress.h"

#define NR_PINS 6u
#define NR_BLOCKS 4u
#define HOT_PAGES 48u
#define RUN_MAX 96u
#define BIG_ORDER_MIN 4u
#define BIG_ORDER_MAX 9u
#define GFP_KERNEL_BITS 0xcc0u
#define GFP_ATOMIC_BITS 0xa20u
#define GFP_MOVABLE_BITS 0x100ccau
#define GFP_RETRY_BIT 0x4000u

struct spot {
	struct area *area;
	struct neap_region *region;
	uint32_t mapping;
	uint32_t page;
	uint32_t nr; /* pages of a run */
};

struct pin {
	struct spot spot;
	uint64_t *data;
	uint32_t count;
	bool write;
};

/* A worker's own things. */
struct bench {
	struct worker *worker;
	struct world *world;
	struct pin pin[NR_PINS];
	struct neap_block *block[NR_BLOCKS];
	uint32_t next_page[NR_AREAS];
	uint64_t data[PAGE_WORDS];
};

uint64_t rng_next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return mix(*state);
}

static uint32_t pick(struct bench *b, uint32_t below)
{
	return (uint32_t)(rng_next(&b->worker->rng) % below);
}

/* ---- entering ---- */

/* Chooses an area (file: a file, perhaps unmapped) and a page. => false: nothing is free */
static bool spot_enter(struct bench *b, struct spot *spot, bool file)
{
	uint32_t id = file ? NR_ANON + pick(b, NR_FILES) : pick(b, NR_AREAS);
	struct area *area = &b->world->area[id];
	bool hot = (atomic_load(&b->world->profile) & PROFILE_HOT) != 0;
	uint32_t kind = hot ? pick(b, 8) % 5 % 4 : pick(b, 4);

	spot->area = area;
	if (!users_enter(&area->users))
		return false;
	spot->mapping = id < NR_ANON ? 0 : pick(b, NR_MAPPINGS);
	if (!users_enter(&area->map_users[spot->mapping])) {
		users_leave(&area->users);
		return false;
	}
	spot->region = area->region[spot->mapping];
	if (kind == 0)
		spot->page = pick(b, area->nr_pages < HOT_PAGES ? area->nr_pages : HOT_PAGES);
	else if (kind == 1)
		spot->page = pick(b, area->nr_pages);
	else
		spot->page = b->next_page[id];
	spot->nr = kind == 3 ? 1 + pick(b, RUN_MAX) : 1 + pick(b, 4);
	if (spot->nr > area->nr_pages - spot->page)
		spot->nr = area->nr_pages - spot->page;
	b->next_page[id] = (spot->page + spot->nr) % area->nr_pages;
	if (file ? area->file != NULL : spot->region != NULL)
		return true;
	users_leave(&area->map_users[spot->mapping]);
	users_leave(&area->users);
	return false;
}

static void spot_leave(const struct spot *spot)
{
	users_leave(&spot->area->map_users[spot->mapping]);
	users_leave(&spot->area->users);
}

static struct cell *cell_of(const struct spot *spot)
{
	return &spot->area->cells[spot->page];
}

/* => false: somebody else is at the page */
static bool cell_enter(struct bench *b, const struct spot *spot, bool write)
{
	struct cell *cell = cell_of(spot);
	bool done = write ? users_take(&cell->state) : users_enter(&cell->state);

	if (!done)
		world_count(b->world, COUNT_BUSY);
	return done;
}

static void cell_leave(const struct spot *spot, bool write)
{
	if (write)
		users_give(&cell_of(spot)->state);
	else
		users_leave(&cell_of(spot)->state);
}

static uint64_t offset_of(const struct spot *spot)
{
	return (uint64_t)spot->page * NEAP_PAGE_SIZE;
}

/* How densely a page is looked at. */
static uint32_t look_step(struct bench *b)
{
	return pick(b, 3) == 0 ? 1 : 37;
}

/* The next version of the page is in b->data; undone if it could not be written. */
static void next_version(struct bench *b, const struct spot *spot, struct cell *before)
{
	before->version = cell_of(spot)->version;
	before->word_version = cell_of(spot)->word_version;
	cell_of(spot)->version++;
	cell_of(spot)->word_version = 0;
	contents_fill(spot->area, spot->page, b->data);
}

static void undo_version(const struct spot *spot, const struct cell *before)
{
	cell_of(spot)->version = before->version;
	cell_of(spot)->word_version = before->word_version;
}

/* ---- pages of regions ---- */

/* Does something to each page of a run that nobody else is at. */
typedef void (*page_fn)(struct bench *b, const struct spot *spot);

static void for_run(struct bench *b, bool file, bool write, page_fn fn)
{
	struct spot spot;

	if (!spot_enter(b, &spot, file))
		return;
	for (uint32_t i = 0; i < spot.nr; i++, spot.page++) {
		if (!cell_enter(b, &spot, write))
			continue;
		fn(b, &spot);
		world_count(b->world, write ? COUNT_WRITE : COUNT_READ);
		cell_leave(&spot, write);
	}
	spot_leave(&spot);
}

static void page_read(struct bench *b, const struct spot *spot)
{
	int err = neap_read(spot->region, offset_of(spot), b->data, sizeof(b->data));

	if (world_accepts(b->world, err, "neap_read"))
		contents_check(b->world, spot->area, spot->page, b->data, look_step(b));
}

static void page_write(struct bench *b, const struct spot *spot)
{
	struct cell before;

	next_version(b, spot, &before);
	if (!world_accepts(b->world,
			   neap_write(spot->region, offset_of(spot), b->data, sizeof(b->data)),
			   "neap_write"))
		undo_version(spot, &before);
}

static void word_read(struct bench *b, const struct spot *spot)
{
	uint32_t index = contents_word_index(spot->area, spot->page);
	uint64_t want = contents_word(spot->area, spot->page, index);
	uint64_t word;

	if (world_accepts(b->world,
			  neap_read(spot->region, offset_of(spot) + index * sizeof(word), &word,
				    sizeof(word)),
			  "neap_read of a word") &&
	    word != want)
		fail(b->world,
		     "area %u page %u: its word is %016llx, should be %016llx"
		     " (version %u, word version %u)",
		     spot->area->id, spot->page, (unsigned long long)word, (unsigned long long)want,
		     cell_of(spot)->version, cell_of(spot)->word_version);
}

static void word_write(struct bench *b, const struct spot *spot)
{
	uint32_t index = contents_word_index(spot->area, spot->page);

	cell_of(spot)->word_version++;
	uint64_t word = contents_word(spot->area, spot->page, index);

	if (!world_accepts(b->world,
			   neap_write(spot->region, offset_of(spot) + index * sizeof(word), &word,
				      sizeof(word)),
			   "neap_write of a word"))
		cell_of(spot)->word_version--;
}

static void page_look(struct bench *b, const struct spot *spot)
{
	struct neap_page page;

	if (!world_accepts(b->world,
			   neap_page_begin(spot->region, spot->page, NEAP_PAGE_READ, &page),
			   "neap_page_begin"))
		return;
	contents_check(b->world, spot->area, spot->page, page.data, page.faulted ? 1 : 61);
	neap_page_end(spot->region, &page);
}

static void page_change(struct bench *b, const struct spot *spot)
{
	struct neap_page page;
	struct cell before;

	if (!world_accepts(b->world,
			   neap_page_begin(spot->region, spot->page, NEAP_PAGE_WRITE, &page),
			   "neap_page_begin"))
		return;
	contents_check(b->world, spot->area, spot->page, page.data, page.faulted ? 1 : 61);
	next_version(b, spot, &before);
	memcpy(page.data, b->data, sizeof(b->data));
	neap_page_end(spot->region, &page);
}

static void op_read(struct bench *b)
{
	for_run(b, false, false, page_read);
}

static void op_write(struct bench *b)
{
	for_run(b, false, true, page_write);
}

static void op_word_read(struct bench *b)
{
	for_run(b, false, false, word_read);
}

static void op_word_write(struct bench *b)
{
	for_run(b, false, true, word_write);
}

static void op_look(struct bench *b)
{
	for_run(b, false, false, page_look);
}

static void op_change(struct bench *b)
{
	for_run(b, false, true, page_change);
}

/* Touches pages whatever others do to them. */
static void op_access(struct bench *b)
{
	struct spot spot;

	if (!spot_enter(b, &spot, false))
		return;
	for (uint32_t i = 0; i < spot.nr; i++)
		(void)world_accepts(b->world,
				    neap_access(spot.region, spot.page + i, pick(b, 4) == 0),
				    "neap_access");
	spot_leave(&spot);
}

/* Advice that changes no contents. A locked region refuses to be cold or paged out. */
static void op_advise(struct bench *b)
{
	static const enum neap_advice advice[8] = {
		NEAP_WILLNEED, NEAP_COLD,	   NEAP_PAGEOUT, NEAP_PAGEOUT,
		NEAP_RANDOM,   NEAP_POPULATE_READ, NEAP_NORMAL,	 NEAP_SEQUENTIAL,
	};
	enum neap_advice said = advice[pick(b, 8)];
	bool pattern = said == NEAP_RANDOM || said == NEAP_NORMAL || said == NEAP_SEQUENTIAL;
	struct spot spot;

	if (!spot_enter(b, &spot, false))
		return;
	uint64_t first = pattern ? 0 : spot.page;
	uint64_t nr = pattern ? neap_region_pages(spot.region) : spot.nr;
	int err = neap_advise(spot.region, first, nr, said);

	if (err != -EINVAL || (said != NEAP_COLD && said != NEAP_PAGEOUT))
		(void)world_accepts(b->world, err, "neap_advise");
	spot_leave(&spot);
}

static void op_release(struct bench *b)
{
	struct spot spot;
	uint32_t nr = 0;

	if (!spot_enter(b, &spot, false))
		return;
	uint32_t first = spot.page;

	while (nr < spot.nr && cell_enter(b, &spot, true)) {
		nr++;
		spot.page++;
	}
	int64_t held = neap_release(spot.region, first, nr);

	if (held < 0 || held > nr)
		fail(b->world, "neap_release of %u pages gives %lld", nr, (long long)held);
	for (spot.page = first; spot.page < first + nr; spot.page++) {
		/* A mapping that is given back changes nothing in the file. */
		if (spot.area->file == NULL) {
			cell_of(&spot)->version = 0;
			cell_of(&spot)->word_version = 0;
		}
		cell_leave(&spot, true);
	}
	world_count(b->world, COUNT_RELEASE);
	spot_leave(&spot);
}

/* ---- pins ---- */

static void pin_drop(struct bench *b, struct pin *pin)
{
	struct cell before;

	contents_check(b->world, pin->spot.area, pin->spot.page, pin->data, 1);
	if (pin->write) {
		next_version(b, &pin->spot, &before);
		memcpy(pin->data, b->data, sizeof(b->data));
	}
	for (; pin->count > 0; pin->count--)
		neap_unpin(pin->spot.region, pin->spot.page);
	cell_leave(&pin->spot, pin->write);
	spot_leave(&pin->spot);
}

static void pin_take(struct bench *b, struct pin *pin)
{
	uint32_t wanted = 1 + pick(b, 2);

	if (!spot_enter(b, &pin->spot, false))
		return;
	/* Write-out of a file reads the page at any time: write pins are for memory only. */
	pin->write = pick(b, 2) == 0 && pin->spot.area->file == NULL;
	if (!cell_enter(b, &pin->spot, pin->write)) {
		spot_leave(&pin->spot);
		return;
	}
	for (pin->count = 0; pin->count < wanted; pin->count++) {
		void *data;

		if (!world_accepts(b->world,
				   neap_pin(pin->spot.region, pin->spot.page, pin->write, &data),
				   "neap_pin"))
			break;
		if (pin->count != 0 && data != pin->data)
			fail(b->world, "two pins of area %u page %u give two addresses",
			     pin->spot.area->id, pin->spot.page);
		pin->data = data;
	}
	if (pin->count == 0) {
		cell_leave(&pin->spot, pin->write);
		spot_leave(&pin->spot);
		return;
	}
	contents_check(b->world, pin->spot.area, pin->spot.page, pin->data, 1);
	world_count(b->world, COUNT_PIN);
}

static void op_pin(struct bench *b)
{
	struct pin *pin = &b->pin[pick(b, NR_PINS)];

	if (pin->count != 0)
		pin_drop(b, pin);
	else
		pin_take(b, pin);
}

/* ---- files ---- */

static void file_page_read(struct bench *b, const struct spot *spot)
{
	int64_t got = neap_file_read(spot->area->file, offset_of(spot), b->data, sizeof(b->data));

	if (!world_accepts(b->world, got, "neap_file_read"))
		return;
	if (got != sizeof(b->data))
		fail(b->world, "neap_file_read of a page gives %lld bytes", (long long)got);
	contents_check(b->world, spot->area, spot->page, b->data, look_step(b));
}

static void file_page_write(struct bench *b, const struct spot *spot)
{
	struct cell before;

	next_version(b, spot, &before);
	int64_t put = neap_file_write(spot->area->file, offset_of(spot), b->data, sizeof(b->data));

	if (!world_accepts(b->world, put, "neap_file_write"))
		undo_version(spot, &before);
	else if (put != sizeof(b->data))
		fail(b->world, "neap_file_write of a page gives %lld bytes", (long long)put);
}

static void file_page_change(struct bench *b, const struct spot *spot)
{
	struct neap_page page;
	struct cell before;
	bool over = pick(b, 2) == 0;

	if (!world_accepts(b->world,
			   neap_file_page_begin(spot->area->file, spot->page,
						over ? NEAP_PAGE_OVERWRITE : NEAP_PAGE_WRITE,
						&page),
			   "neap_file_page_begin"))
		return;
	if (!over)
		contents_check(b->world, spot->area, spot->page, page.data, 1);
	next_version(b, spot, &before);
	memcpy(page.data, b->data, sizeof(b->data));
	neap_file_page_end(spot->area->file, &page);
}

static void op_file_read(struct bench *b)
{
	for_run(b, true, false, file_page_read);
}

static void op_file_write(struct bench *b)
{
	for_run(b, true, true, file_page_write);
}

static void op_file_change(struct bench *b)
{
	for_run(b, true, true, file_page_change);
}

static void op_file_sync(struct bench *b)
{
	struct spot spot;

	if (!spot_enter(b, &spot, true))
		return;
	(void)world_accepts(b->world, neap_file_sync(spot.area->file), "neap_file_sync");
	world_count(b->world, COUNT_SYNC);
	spot_leave(&spot);
}

static void op_file_drop(struct bench *b)
{
	struct spot spot;

	if (!spot_enter(b, &spot, true))
		return;
	(void)world_accepts(b->world, neap_file_drop(spot.area->file), "neap_file_drop");
	spot_leave(&spot);
}

static void op_file_advise(struct bench *b)
{
	static const enum neap_advice advice[6] = { NEAP_WILLNEED,   NEAP_DONTNEED, NEAP_DONTNEED,
						    NEAP_SEQUENTIAL, NEAP_RANDOM,   NEAP_NORMAL };
	struct spot spot;

	if (!spot_enter(b, &spot, true))
		return;
	int err = neap_file_advise(spot.area->file, spot.page, spot.nr, advice[pick(b, 6)]);

	(void)world_accepts(b->world, err, "neap_file_advise");
	spot_leave(&spot);
}

/* ---- life ---- */

static void op_rebuild(struct bench *b)
{
	(void)area_rebuild(b->world, &b->world->area[pick(b, NR_AREAS)]);
}

static void op_remap(struct bench *b)
{
	struct area *area = &b->world->area[NR_ANON + pick(b, NR_FILES)];

	if (!users_enter(&area->users))
		return;
	(void)area_remap(b->world, area, pick(b, NR_MAPPINGS));
	users_leave(&area->users);
}

static void op_block(struct bench *b)
{
	struct neap_block **block = &b->block[pick(b, NR_BLOCKS)];
	uint32_t gfp = pick(b, 2) == 0 ? GFP_KERNEL_BITS : GFP_ATOMIC_BITS;

	if (*block != NULL) {
		neap_block_free(b->world->machine, *block);
		*block = NULL;
	} else if (neap_block_alloc(b->world->machine, pick(b, 4), gfp, NEAP_ANY_NODE, block) !=
		   0) {
		*block = NULL; /* a refusal is an answer here */
	}
	world_count(b->world, COUNT_BLOCK);
}

/*
 * A block that is only there when compaction makes it, or a range that is emptied for us. Kept for
 * a moment: memory is small. No atomic ones: a pageblock would be reserved for them, and counts as
 * unusable even while a block of order 9 fills it. On a node of two pageblocks that leaves a fault
 * nothing, as in Linux 6.1.
 */
static void op_big_block(struct bench *b)
{
	static const uint32_t gfp[] = { GFP_KERNEL_BITS, GFP_MOVABLE_BITS };
	struct neap_block *block = NULL;
	uint32_t order = BIG_ORDER_MIN + pick(b, BIG_ORDER_MAX - BIG_ORDER_MIN + 1);
	uint32_t retry = pick(b, 2) == 0 ? GFP_RETRY_BIT : 0;

	int err = pick(b, 4) == 0
			  ? neap_range_alloc(b->world->machine, (1 + pick(b, 700)) * NEAP_PAGE_SIZE,
					     NEAP_ANY_NODE, &block)
			  : neap_block_alloc(b->world->machine, order, gfp[pick(b, 2)] | retry,
					     NEAP_ANY_NODE, &block);

	if (err == 0) {
		world_count(b->world, COUNT_BIG);
		neap_block_free(b->world->machine, block);
	}
}

/* The administrator's compaction: of all nodes, or of one. */
static void op_compact(struct bench *b)
{
	static const char *const knobs[] = { "compact_memory",
					     "/sys/devices/system/node/node0/compact",
					     "/sys/devices/system/node/node1/compact" };
	const char *knob = knobs[pick(b, 3)];

	if (neap_sysctl_write(b->world->machine, knob, "1", 1) < 0)
		fail(b->world, "%s: %s", knob, neap_machine_error(b->world->machine));
	world_count(b->world, COUNT_COMPACT);
}

/* How eager kcompactd is, and what it may take. */
static void op_compact_knob(struct bench *b)
{
	static const struct {
		const char *name;
		const char *value[3];
	} knobs[] = {
		{ "compaction_proactiveness", { "100", "20", "0" } },
		{ "extfrag_threshold", { "500", "0", "1000" } },
		{ "compact_unevictable_allowed", { "1", "0", "1" } },
	};
	uint32_t knob = pick(b, 3) * pick(b, 2);
	const char *value = knobs[knob].value[pick(b, 3)];

	if (neap_sysctl_write(b->world->machine, knobs[knob].name, value, strlen(value)) < 0)
		fail(b->world, "%s=%s: %s", knobs[knob].name, value,
		     neap_machine_error(b->world->machine));
}

/* A small region of one's own, perhaps locked: made, used, destroyed. */
static void op_region(struct bench *b)
{
	uint32_t nr = 1 + pick(b, 40);
	uint32_t flags = pick(b, 2) == 0 ? NEAP_LOCKED : 0;
	struct neap_region *region;

	if (!world_accepts(b->world,
			   neap_region_create(b->world->machine, (uint64_t)nr * NEAP_PAGE_SIZE,
					      flags, NEAP_ANY_NODE, &region),
			   "neap_region_create"))
		return;
	for (uint32_t i = 0; i < nr; i++) {
		uint64_t at = (uint64_t)i * NEAP_PAGE_SIZE, word = i, back = ~word;

		if (!world_accepts(b->world, neap_write(region, at, &word, sizeof(word)),
				   "neap_write") ||
		    !world_accepts(b->world, neap_read(region, at, &back, sizeof(back)),
				   "neap_read"))
			break;
		if (back != word)
			fail(b->world, "a small region: page %u holds %llu", i,
			     (unsigned long long)back);
	}
	neap_region_destroy(region);
}

static int child_main(void *arg)
{
	struct world *w = arg;

	neap_sleep(w->machine, 20 * 1000);
	(void)neap_counter(w->machine, "pgfault");
	return 7;
}

/* A thread that the machine does not know until it calls. */
static void *stranger_main(void *arg)
{
	struct world *w = arg;
	struct neap_region *region;
	uint64_t word = 1;

	if (!world_accepts(w, neap_region_create(w->machine, 1, 0, NEAP_ANY_NODE, &region),
			   "neap_region_create of a stranger"))
		return NULL;
	if (world_accepts(w, neap_read(region, 0, &word, sizeof(word)), "neap_read") && word != 0)
		fail(w, "a new region is not zero");
	neap_region_destroy(region);
	if (neap_now(w->machine) % 2 == 0)
		neap_thread_detach(w->machine);
	return NULL;
}

static void op_stranger(struct bench *b)
{
	pthread_t thread;

	if (b->world->opt->sim)
		return;
	if (pthread_create(&thread, NULL, stranger_main, b->world) == 0)
		(void)pthread_join(thread, NULL);
}

static void op_thread(struct bench *b)
{
	struct neap_thread *thread;
	int err = neap_thread_start(b->world->machine, "child", -1, child_main, b->world, &thread);

	if (err == -EAGAIN)
		return;
	if (err != 0 || neap_thread_join(b->world->machine, thread) != 7)
		fail(b->world, "a thread did not start or end as it should: %s", strerror(-err));
}

/* Has some transfer of swap soon fail, if that is wanted. Those of files: world_fault_files(). */
static void op_fault(struct bench *b)
{
	static const char *const kinds[] = { "swap-read", "swap-write" };

	if (b->world->opt->faults)
		(void)neap_inject(b->world->machine, kinds[pick(b, 2)], 1 + pick(b, 200), -EIO);
}

/* ---- the worker ---- */

/* churn, compact: the weights in those profiles; each has the greatest of the profiles it is in. */
static const struct operation {
	const char *name;
	uint32_t weight;
	uint32_t churn;
	uint32_t compact;
	void (*fn)(struct bench *b);
} operations[] = {
	{ "read", 60, 60, 60, op_read },
	{ "write", 60, 60, 60, op_write },
	{ "read a word", 40, 40, 40, op_word_read },
	{ "write a word", 40, 40, 40, op_word_write },
	{ "look", 30, 30, 30, op_look },
	{ "change", 30, 30, 30, op_change },
	{ "access", 60, 60, 60, op_access },
	{ "advise", 6, 30, 6, op_advise },
	{ "release", 20, 120, 60, op_release },
	{ "pin", 40, 60, 40, op_pin },
	{ "file read", 40, 40, 40, op_file_read },
	{ "file write", 40, 40, 40, op_file_write },
	{ "file change", 20, 20, 20, op_file_change },
	{ "file sync", 2, 10, 2, op_file_sync },
	{ "file drop", 2, 20, 2, op_file_drop },
	{ "file advice", 4, 20, 4, op_file_advise },
	{ "rebuild", 2, 60, 2, op_rebuild },
	{ "remap", 6, 80, 6, op_remap },
	{ "block", 20, 20, 20, op_block },
	{ "big block", 1, 4, 40, op_big_block },
	{ "compact", 1, 2, 12, op_compact },
	{ "compact knob", 1, 1, 4, op_compact_knob },
	{ "small region", 6, 40, 6, op_region },
	{ "thread", 2, 2, 2, op_thread },
	{ "stranger", 2, 2, 2, op_stranger },
	{ "fault", 4, 4, 4, op_fault },
};

#define NR_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

const char *worker_operation(const struct worker *worker)
{
	return operations[atomic_load(&((struct worker *)(uintptr_t)worker)->doing)].name;
}

static uint32_t weight_of(uint32_t operation, uint32_t profile)
{
	const struct operation *op = &operations[operation];
	uint32_t weight = op->weight;

	if ((profile & PROFILE_CHURN) && op->churn > weight)
		weight = op->churn;
	if ((profile & PROFILE_COMPACT) && op->compact > weight)
		weight = op->compact;
	return weight;
}

static void work_once(struct bench *b)
{
	uint32_t profile = atomic_load(&b->world->profile);
	uint32_t total = 0, i = 0;

	for (uint32_t at = 0; at < NR_OPERATIONS; at++)
		total += weight_of(at, profile);
	for (uint32_t left = pick(b, total); left >= weight_of(i, profile); i++)
		left -= weight_of(i, profile);
	atomic_store_explicit(&b->worker->doing, i, memory_order_relaxed);
	operations[i].fn(b);
	guard_step(b->worker->id);
}

/* Gives back what is kept from operation to operation. */
static void work_clear(struct bench *b)
{
	for (uint32_t i = 0; i < NR_PINS; i++)
		if (b->pin[i].count != 0)
			pin_drop(b, &b->pin[i]);
	for (uint32_t i = 0; i < NR_BLOCKS; i++)
		neap_block_free(b->world->machine, b->block[i]);
	memset(b->block, 0, sizeof(b->block));
}

static void work_pause(struct bench *b)
{
	struct world *w = b->world;

	work_clear(b);
	atomic_fetch_add(&w->nr_paused, 1);
	while (atomic_load(&w->pause) != 0)
		neap_sleep(w->machine, 1000 * 1000);
	atomic_fetch_sub(&w->nr_paused, 1);
}

int worker_main(void *arg)
{
	struct worker *worker = arg;
	struct world *w = worker->world;
	struct bench b = { .worker = worker, .world = w };

	guard_expect(worker->id, GUARD_PATIENCE_S);
	for (; worker->ops_left > 0 && atomic_load(&w->stop) == 0; worker->ops_left--) {
		if (atomic_load(&w->pause) != 0)
			work_pause(&b);
		work_once(&b);
	}
	work_clear(&b);
	guard_expect(worker->id, 0);
	return 0;
}
