/*
 * bench reclaim: shrinking the lists of a node, without contents and without a disk's
 * time, in the simulator.
 *
 *   reclaim.clean    cache pages of a file, read once: isolated, tested, freed
 *   reclaim.kept     anonymous pages whose entries are young, all of them: they stay
 *   reclaim.active   the same pages, young again: moved up to the active list
 *   reclaim.refill   pages of the active list moved down to the inactive one
 *   reclaim.mixed    young pages, with one locked page in 32: they stay, too, but each is
 *                    isolated, locked, tested and put back
 *
 * Lists are filled first, and then shrunk by as few calls as there can be, so that the
 * price of a page stands out; what a whole kswapd run or a direct reclaim costs beside
 * it is in `stream` and `sim.*`.
 *
 * What must never happen: a time divided by pages that were not there. A run that met
 * fewer pages than it should have fails.
 */
#include <errno.h>

#include "api/api.h"
#include "cmd/bench.h"
#include "core/lru.h"
#include "core/reclaim.h"

#define FILE_BYTES(quick) ((quick) ? 32 * MIB : 192 * MIB)

static double per(uint64_t ns, uint64_t pages)
{
	return (double)ns / (double)pages;
}

/* ---- clean pages ---- */

struct reclaim_work {
	struct bench_run *run;
	uint64_t pages; /* on the list that is to be shrunk */
};

static int clean_task(struct task *t, void *arg)
{
	struct reclaim_work *work = arg;
	struct node *node = &t->machine->nodes[0];
	struct scan_control sc = { .nr_to_reclaim = work->pages / 2,
				   .reclaim_idx = NR_ZONES - 1,
				   .gfp_mask = GFP_KERNEL,
				   .may_unmap = true };

	lru_drain_all(t);
	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();

	reclaim_shrink_node(t, node, &sc);
	work->run->value[0] = per(bench_cpu_ns() - start_ns, sc.nr_reclaimed);
	bench_count_end("reclaim.clean", sc.nr_reclaimed);
	return sc.nr_reclaimed < work->pages / 2 ? -ENODATA : 0;
}

static int clean_run(struct bench_run *run)
{
	struct reclaim_work work = { .run = run, .pages = FILE_BYTES(run->quick) / NEAP_PAGE_SIZE };
	struct neap_file *file;
	int err = neap_file_open(run->machine, NULL, work.pages * NEAP_PAGE_SIZE, 0, &file);

	if (err != 0)
		return err;
	for (uint64_t i = 0; i < work.pages && err == 0; i++) {
		struct neap_page page;

		err = neap_file_page_begin(file, i, NEAP_PAGE_READ, &page);
		if (err == 0)
			neap_file_page_end(file, &page);
	}
	if (err == 0)
		err = api_call(api_of(run->machine), clean_task, &work);
	int closing = neap_file_close(file);

	return err != 0 ? err : closing;
}

static const struct bench_line clean_lines[] = {
	{ "reclaim.clean", "clean page reclaimed, without contents", "ns", 100 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_reclaim_clean = {
	.group = "reclaim",
	.settings = { { "runtime", "sim" }, { "memory", "512M" } },
	.lines = clean_lines,
	.run = clean_run,
};

/* ---- pages that stay ---- */

/* One pass over the inactive anonymous list. => 0 and *ns a page */
static int pass_inactive(struct task *t, uint64_t pages, const char *line, double *ns)
{
	struct scan_control sc = { .nr_to_reclaim = UINT64_MAX,
				   .reclaim_idx = NR_ZONES - 1,
				   .gfp_mask = GFP_KERNEL,
				   .may_unmap = true,
				   .may_swap = true };

	lru_drain_all(t);
	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();

	reclaim_shrink_node(t, &t->machine->nodes[0], &sc);
	*ns = per(bench_cpu_ns() - start_ns, sc.nr_scanned);
	bench_count_end(line, sc.nr_scanned);
	return sc.nr_scanned < pages || sc.nr_reclaimed != 0 ? -ENODATA : 0;
}

static int kept_task(struct task *t, void *arg)
{
	struct reclaim_work *work = arg;

	return pass_inactive(t, work->pages, "reclaim.kept", &work->run->value[0]);
}

static int active_task(struct task *t, void *arg)
{
	struct reclaim_work *work = arg;

	return pass_inactive(t, work->pages, "reclaim.active", &work->run->value[1]);
}

static int refill_task(struct task *t, void *arg)
{
	struct reclaim_work *work = arg;
	struct node *node = &t->machine->nodes[0];
	struct scan_control sc = { .reclaim_idx = NR_ZONES - 1,
				   .gfp_mask = GFP_KERNEL,
				   .may_unmap = true };
	uint64_t before = lruvec_size(&node->lruvec, LRU_ACTIVE_ANON, NR_ZONES - 1);

	bench_count_begin();
	uint64_t start_ns = bench_cpu_ns();

	for (uint64_t done = 0; done < before; done += SWAP_CLUSTER_MAX)
		reclaim_shrink_active(t, node, &sc, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
	work->run->value[2] = per(bench_cpu_ns() - start_ns, before);
	bench_count_end("reclaim.refill", before);
	return before < work->pages / 2 ? -ENODATA : 0;
}

static int touch_all(struct neap_region *region)
{
	uint64_t nr_pages = neap_region_pages(region);
	int err = 0;

	for (uint64_t i = 0; i < nr_pages && err == 0; i++)
		err = neap_access(region, i, true);
	return err;
}

/* A region all of whose pages are young is made, and the task called. => 0 and the region */
static int young_run(struct reclaim_work *work, int (*fn)(struct task *t, void *arg),
		     struct neap_region **region)
{
	struct neap_machine *machine = work->run->machine;
	int err =
		neap_region_create(machine, work->pages * NEAP_PAGE_SIZE, 0, NEAP_ANY_NODE, region);

	if (err != 0)
		return err;
	err = touch_all(*region);
	if (err == 0)
		err = api_call(api_of(machine), fn, work);
	if (err != 0)
		neap_region_destroy(*region);
	return err;
}

static int kept_run(struct bench_run *run)
{
	struct reclaim_work work = { .run = run, .pages = FILE_BYTES(run->quick) / NEAP_PAGE_SIZE };
	struct api_machine *a = api_of(run->machine);
	struct neap_region *region;
	int err = young_run(&work, kept_task, &region);

	if (err != 0)
		return err;
	err = touch_all(region);
	if (err == 0)
		err = api_call(a, active_task, &work);
	if (err == 0)
		err = api_call(a, refill_task, &work);
	neap_region_destroy(region);
	return err;
}

/* Locks every 32nd page of the inactive list, or unlocks all. */
static void set_locked(struct task *t, bool locked)
{
	struct page *pages = t->machine->pages;
	uint32_t pfn = t->machine->nodes[0].lruvec.list[LRU_INACTIVE_ANON].last;

	for (uint32_t i = 0; pfn != PFN_NONE; i++, pfn = pages[pfn].prev)
		if (!locked)
			page_clear(&pages[pfn], PG_LOCKED);
		else if (i % SWAP_CLUSTER_MAX == SWAP_CLUSTER_MAX / 2)
			page_set(&pages[pfn], PG_LOCKED);
}

static int mixed_task(struct task *t, void *arg)
{
	struct reclaim_work *work = arg;
	uint64_t unlocked = work->pages - work->pages / SWAP_CLUSTER_MAX - 1;

	lru_drain_all(t);
	set_locked(t, true);
	int err = pass_inactive(t, unlocked, "reclaim.mixed", &work->run->value[0]);

	set_locked(t, false);
	return err;
}

static int mixed_run(struct bench_run *run)
{
	struct reclaim_work work = { .run = run, .pages = FILE_BYTES(run->quick) / NEAP_PAGE_SIZE };
	struct neap_region *region;
	int err = young_run(&work, mixed_task, &region);

	if (err == 0)
		neap_region_destroy(region);
	return err;
}

static const struct bench_line mixed_lines[] = {
	{ "reclaim.mixed", "scanned page kept, in a batch with a locked one", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_reclaim_mixed = {
	.group = "reclaim",
	.settings = { { "runtime", "sim" }, { "memory", "512M" }, { "swap", "1G" } },
	.lines = mixed_lines,
	.run = mixed_run,
};

static const struct bench_line kept_lines[] = {
	{ "reclaim.kept", "scanned page kept: young, mapped once", "ns", 20 },
	{ "reclaim.active", "scanned page activated", "ns", 0 },
	{ "reclaim.refill", "active page moved to the inactive list", "ns", 0 },
	{ NULL, NULL, NULL, 0 },
};

const struct bench bench_reclaim_kept = {
	.group = "reclaim",
	.settings = { { "runtime", "sim" }, { "memory", "512M" }, { "swap", "1G" } },
	.lines = kept_lines,
	.run = kept_run,
};
