/*
 * bench compact: what moving pages costs, beside what only copying them costs.
 *
 *   frames of the machine, real contents, far more than the caches hold:
 *
 *     region's pages, random order ──32 at a time──> migrate_pages() ──> 32 free frames
 *     other frames, random order   ──32 at a time──> memcpy()        ──> 32 free frames
 *
 * The two take turns, so that both meet the same state of the machine. Isolating pages
 * is not timed here (it is part of the scan), and neither is getting the targets: they
 * are taken before, as compaction's free scanner does. In the time of a move are: locks,
 * the entry to a migration word and back, contents, flags, counters, the new frame onto
 * its list, the old one back to the allocator.
 *
 * The order is harder than compaction's: its sources are one pageblock's and its targets
 * were just split off, so that both have descriptors side by side; here each lies anywhere
 * in 768 MiB. memcpy() is the plain one, and nothing is asked for ahead of it: what the
 * engine gains by looking ahead is its own doing.
 *
 * The scanners run over memory in which every frame is in use and nothing can be
 * moved (migrate scan), or nothing is free (free scan): the price of a look.
 *
 * What must never happen: a source or target that is still in the caches from its last
 * use. Each frame is used once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "base/rng.h"
#include "cmd/bench.h"
#include "core/alloc.h"
#include "core/compact.h"
#include "core/compact_fast.h"
#include "core/lru.h"
#include "core/pageblock.h"

#define BITE COMPACT_CLUSTER_PAGES

/* ---- migration ---- */

struct move_work {
	struct bench_run *run;
	uint32_t *source; /* frames of the region, in random order */
	uint32_t *other;  /* frames that are only copied */
	uint32_t *target; /* free frames, two for each source */
	uint64_t nr;
	uint64_t nr_targets; /* not yet used, from the front */
	uint64_t move_ns, copy_ns;
};

static uint32_t take_target(struct task *t, void *arg)
{
	struct move_work *work = arg;

	(void)t;
	return work->nr_targets > 0 ? work->target[--work->nr_targets] : PFN_NONE;
}

static uint32_t peek_target(const void *arg)
{
	const struct move_work *work = arg;

	return work->nr_targets > 0 ? work->target[work->nr_targets - 1] : PFN_NONE;
}

static void return_target(struct task *t, void *arg, uint32_t pfn)
{
	struct move_work *work = arg;

	(void)t;
	work->target[work->nr_targets++] = pfn;
}

static void shuffle(uint32_t *pfn, uint64_t nr, uint64_t seed)
{
	struct rng rng;

	rng_seed(&rng, seed);
	for (uint64_t i = nr; i > 1; i--) {
		uint64_t other = rng_below(&rng, i);
		uint32_t swap = pfn[i - 1];

		pfn[i - 1] = pfn[other];
		pfn[other] = swap;
	}
}

/* => how many were had */
static uint64_t take_frames(struct task *t, uint32_t *pfn, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++) {
		pfn[i] = alloc_page(t, GFP_BIT_MOVABLE | GFP_BIT_NOWARN);
		if (pfn[i] == PFN_NONE)
			return i;
		/* The host gives memory at the first touch; that is not what is measured. */
		*(uint64_t *)t->machine->hw->ops->window(t->machine->hw, pfn[i]) = pfn[i];
	}
	return nr;
}

/* Anonymous pages on the lists. => how many, at most nr */
static uint64_t find_sources(struct neap_machine *m, uint32_t *pfn, uint64_t nr)
{
	uint64_t found = 0;

	for (uint32_t at = 1; at < m->max_pfn && found < nr; at++)
		if (page_test(&m->pages[at], PG_LRU) && page_test(&m->pages[at], PG_ANON))
			pfn[found++] = at;
	return found;
}

static int move_bite(struct task *t, struct move_work *work, const uint32_t *source)
{
	struct migrate_control control = { .mode = MIGRATE_SYNC,
					   .reason = MIGRATE_FOR_COMPACTION,
					   .get_target = take_target,
					   .put_target = return_target,
					   .peek_target = peek_target,
					   .arg = work };
	struct list list = { PFN_NONE, PFN_NONE };

	for (uint32_t i = 0; i < BITE; i++) {
		struct page *page = machine_page(t->machine, source[i]);

		if (!lru_isolate_page(t, page))
			return -EBUSY;
		cpu_pin(t);
		node_stat_add(t, page_node(t->machine, page), NR_ISOLATED_ANON, 1);
		cpu_unpin(t);
		list_add_tail(t->machine->pages, &list, source[i]);
	}
	bench_count_resume();
	uint64_t start_ns = bench_cpu_ns();
	int err = migrate_pages(t, &list, &control);

	work->move_ns += bench_cpu_ns() - start_ns;
	bench_count_pause();
	if (err != 0)
		migrate_putback(t, &list);
	return err > 0 ? -EBUSY : err;
}

static void copy_bite(struct task *t, struct move_work *work, const uint32_t *source)
{
	struct hw *hw = t->machine->hw;
	uint64_t start_ns = bench_cpu_ns();

	for (uint32_t i = 0; i < BITE; i++)
		memcpy(hw->ops->window(hw, take_target(t, work)), hw->ops->window(hw, source[i]),
		       NEAP_PAGE_BYTES);
	work->copy_ns += bench_cpu_ns() - start_ns;
}

static void give_frames(struct task *t, const uint32_t *pfn, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		page_put(t, machine_page(t->machine, pfn[i]));
}

/* The targets that were copied to are still ours; those that pages moved to are the region's. */
static int move_all(struct task *t, struct move_work *work)
{
	uint32_t *copied = malloc(work->nr * sizeof(*copied));
	uint64_t nr_copied = 0;
	int err = copied == NULL ? -ENOMEM : 0;

	for (uint64_t i = 0; i + BITE <= work->nr && err == 0; i += BITE) {
		err = move_bite(t, work, &work->source[i]);
		if (err != 0)
			break;
		memcpy(&copied[nr_copied], &work->target[work->nr_targets - BITE],
		       BITE * sizeof(*copied));
		nr_copied += BITE;
		copy_bite(t, work, &work->other[i]);
	}
	if (copied != NULL)
		give_frames(t, copied, nr_copied);
	free(copied);
	return err;
}

static int move_task(struct task *t, void *arg)
{
	struct move_work *work = arg;
	double *value = work->run->value;

	lru_drain_all(t);
	uint64_t nr_other = take_frames(t, work->other, work->nr);

	work->nr_targets = take_frames(t, work->target, 2 * work->nr);
	int err = nr_other < work->nr || work->nr_targets < 2 * work->nr ? -ENOMEM : 0;

	if (err == 0 && find_sources(t->machine, work->source, work->nr) < work->nr)
		err = -ENODATA;
	if (err == 0) {
		shuffle(work->source, work->nr, 1);
		shuffle(work->other, work->nr, 2);
		shuffle(work->target, work->nr_targets, 3);
		bench_count_begin();
		bench_count_pause();
		err = move_all(t, work);
		bench_count_resume();
		bench_count_end("compact.migrate", work->nr);
	}
	give_frames(t, work->target, work->nr_targets);
	give_frames(t, work->other, nr_other);
	value[0] = (double)work->move_ns / (double)work->nr;
	value[1] = (double)work->copy_ns / (double)work->nr;
	value[2] = (double)work->move_ns / (double)max_u64(work->copy_ns, 1);
	return err;
}

static int move_run(struct bench_run *run)
{
	uint64_t bytes = run->quick ? 16 * MIB : 128 * MIB;
	uint64_t nr = bytes / NEAP_PAGE_BYTES;
	struct move_work work = { .run = run, .nr = nr };
	uint32_t *frames = malloc(4 * nr * sizeof(*frames));
	struct neap_region *region;
	int err = frames == NULL
			  ? -ENOMEM
			  : neap_region_create(run->machine, bytes, 0, NEAP_ANY_NODE, &region);

	if (err == 0) {
		work.source = frames;
		work.other = frames + nr;
		work.target = frames + 2 * nr;
		for (uint64_t i = 0; i < nr && err == 0; i++)
			err = neap_access(region, i, true);
		if (err == 0)
			err = api_call(api_of(run->machine), move_task, &work);
		neap_region_destroy(region);
	}
	free(frames);
	return err;
}

static const struct bench_line move_lines[] = {
	{ "compact.migrate", "cold page, mapped once, moved to a cold frame", "ns", 0 },
	{ "compact.copy", "cold page copied to a cold frame", "ns", 0 },
	{ "compact.ratio", "moved compared with copied", "x", 1.3 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_compact_migrate = {
	.group = "compact",
	.settings = { { "memory", "768M" }, { "cpus", "1" } },
	.lines = move_lines,
	.run = move_run,
};

/* ---- scans ---- */

/* Takes all single frames there are; they cannot be moved. => how many, the first in *first */
static uint64_t fill_memory(struct task *t, uint32_t *first)
{
	uint64_t nr = 0;

	*first = PFN_NONE;
	for (;;) { /* event loop: until memory is out */
		uint32_t pfn = alloc_page(t, GFP_BIT_NOWARN | GFP_BIT_MEMALLOC);

		if (pfn == PFN_NONE)
			return nr;
		page_set(machine_page(t->machine, pfn), PG_KERNEL);
		machine_page(t->machine, pfn)->next = *first;
		*first = pfn;
		nr++;
	}
}

static void empty_memory(struct task *t, uint32_t first)
{
	while (first != PFN_NONE) {
		struct page *page = machine_page(t->machine, first);
		uint32_t next = page->next;

		page_clear(page, PG_KERNEL);
		page_put(t, page);
		first = next;
	}
}

/* Looks at every frame, pageblock by pageblock; nothing is free. */
static void scan_free(struct task *t, struct compact_control *cc, uint32_t begin)
{
	struct list chunks = { PFN_NONE, PFN_NONE };

	for (uint32_t at = begin; pageblock_end(at) <= zone_end(cc->zone); at = pageblock_end(at)) {
		struct free_range range = { .first = at, .end = pageblock_end(at), .stride = 1 };

		compact_free_block(t, cc, &range, &chunks);
	}
	compact_free_split(cc, &chunks);
}

static int scan_task(struct task *t, void *arg)
{
	struct bench_run *run = arg;
	struct zone *zone = NULL;
	uint32_t first;
	uint32_t next = 0;

	for (uint32_t i = 0; i < NR_ZONES; i++)
		if (zone_managed(&t->machine->nodes[0].zone[i]) > 0)
			zone = &t->machine->nodes[0].zone[i];
	uint64_t filled = fill_memory(t, &first);
	uint32_t begin = pageblock_end(zone->start_pfn);
	struct compact_control cc = { .zone = zone,
				      .order = COMPACT_WHOLE,
				      .mode = MIGRATE_SYNC,
				      .type = MT_MOVABLE,
				      .ignore_skip_hint = true,
				      .ignore_block_suitable = true,
				      .whole_zone = true };

	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();
	int err = compact_scan_range(t, &cc, begin, pageblock_start(zone_end(zone)), &next);

	run->value[0] =
		(double)(bench_cpu_ns() - start_ns) / (double)max_u64(cc.nr_migrate_scanned, 1);
	bench_count_end("compact.migrate_scan", cc.nr_migrate_scanned);
	cc.nr_migrate = COMPACT_CLUSTER_PAGES; /* so many targets are wanted */
	bench_count_begin();
	start_ns = bench_cpu_ns();
	scan_free(t, &cc, begin);
	run->value[1] =
		(double)(bench_cpu_ns() - start_ns) / (double)max_u64(cc.nr_free_scanned, 1);
	bench_count_end("compact.free_scan", cc.nr_free_scanned);
	uint64_t wanted = filled - filled / 8;

	if (err == 0 && (cc.nr_migrate_scanned < wanted || cc.nr_free_scanned < wanted))
		err = -ENODATA;
	compact_free_release(t, &cc);
	empty_memory(t, first);
	return err;
}

static int scan_run(struct bench_run *run)
{
	return api_call(api_of(run->machine), scan_task, run);
}

static const struct bench_line scan_lines[] = {
	{ "compact.migrate_scan", "frame in use that the migrate scanner passes over", "ns", 4 },
	{ "compact.free_scan", "frame in use that the free scanner passes over", "ns", 2 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_compact_scan = {
	.group = "compact",
	.settings = { { "memory", "512M" } },
	.lines = scan_lines,
	.run = scan_run,
};
