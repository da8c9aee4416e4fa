/*
 * A machine like a saved one.
 *
 *     DIR of /proc files --> snapshot --> layout      nodes, zones, CPUs
 *                                     --> settings    taken over, nothing recomputed
 *                                     --> pages       of the programs that ran: LRU lists
 *                                     --> free lists, per-CPU lists, kernel, marks
 *
 * What the saved machine's programs had in memory becomes regions and a file of ours:
 * unevictable pages a locked region, anonymous pages one that nobody uses (their young
 * bits are clear, so reclaim finds them as it would find a sleeping program's), page
 * cache a file for each node that was read there. Shared memory counts as anonymous: it
 * lies on the same lists and goes to swap as well.
 *
 * Pages are faulted in before the free lists are made (core/likeness.c), which then
 * takes them as they lie. They come from the highest zone of their node, as the saved
 * ones did as long as that had room; lists of nodes come out exactly, of zones nearly.
 * Where that leaves a zone too full, pages move to others (core/likeness_fit.c).
 *
 * Frames that boot keeps lie where the seed says, since a kernel is loaded at a random
 * address; compaction meets them.
 *
 * Marks start as observed, boost included. A booted kernel's are older than its sizes
 * (diag/stale.c); they stay so until a write recomputes them.
 *
 * What must never happen: a count of the saved machine that is silently not reached.
 * What cannot be is an error that says by how much.
 *
 * Linux has no counterpart.
 */
#include "api/like.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/store.h"
#include "base/rng.h"
#include "core/bio.h"
#include "core/buffer.h"
#include "core/cpuset.h"
#include "core/hotplug_cpu.h"
#include "core/likeness.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/rmap.h"
#include "core/swap_nodes.h"
#include "text/load.h"
#include "text/zonename.h"

#define SAVE_AGAIN " Save them once more, all at one moment."

#define SIZE_TOLERANCE_PERCENT 10u /* between a job's machine line and the saved machine */

int like_load(struct neap_config *config, const char *dir)
{
	struct text_error err = { .message = "" };
	int error;

	free(config->snapshot);
	config->snapshot = NULL;
	error = snapshot_load_dir(dir, &config->snapshot, &err);
	if (error != 0)
		return config_fail(config, error, "like: %s%s%s.", err.file,
				   err.file[0] != '\0' ? ": " : "",
				   err.message[0] != '\0' ? err.message : strerror(-error));
	(void)config_fail(config, 0, "%s", err.message);
	return 0;
}

/* ---- layout ---- */

static uint64_t node_present_pages(const struct snapshot_node *node)
{
	uint64_t pages = 0;

	for (uint32_t z = 0; z < NR_ZONES; z++)
		pages += node->zone[z].present;
	return pages;
}

/* A machine line beside a saved machine must mean the same one. */
static int check_machine_line(struct neap_config *config)
{
	const struct snapshot *saved = config->snapshot;
	const struct config_pc *pc = &config->pc;

	if (pc->nr_nodes != saved->nr_nodes)
		return config_fail(config, -EINVAL,
				   "like: the saved machine has %u nodes, the machine line %u.",
				   saved->nr_nodes, pc->nr_nodes);
	for (uint32_t n = 0; n < saved->nr_nodes; n++) {
		uint64_t have = node_present_pages(&saved->node[n]);
		uint64_t want = pc->node[n].bytes >> NEAP_PAGE_SHIFT;
		uint64_t apart = have > want ? have - want : want - have;

		if (apart * 100 > want * SIZE_TOLERANCE_PERCENT)
			return config_fail(config, -EINVAL,
					   "like: node %u of the saved machine has %llu pages, the"
					   " machine line says %llu: these are different machines.",
					   n, (unsigned long long)have, (unsigned long long)want);
	}
	return 0;
}

/*
 * Where the reserved frames of a zone lie: those of the kernel's image are most of them, and it is
 * loaded at a random address, a multiple of 2 MiB.
 */
static uint32_t place_reserved(struct rng *rng, const struct machine_zone_desc *zone)
{
	if (zone->hole_first || zone->managed < NEAP_PAGEBLOCK_PAGES)
		return 0;
	return (uint32_t)rng_below(rng, zone->managed / NEAP_PAGEBLOCK_PAGES + 1) *
	       NEAP_PAGEBLOCK_PAGES;
}

/* Sizes that no zone can have come from damaged files; spans that overlap, from hot-plug. */
static int check_zone(struct neap_config *config, uint32_t at)
{
	const struct snapshot *saved = config->snapshot;
	const struct snapshot_zone *zone = &saved->node[at / NR_ZONES].zone[at % NR_ZONES];
	const uint64_t end = zone->start_pfn + zone->spanned;

	if (zone->managed > zone->present || zone->present > zone->spanned || end < zone->spanned ||
	    end > UINT32_MAX)
		return config_fail(config, -EINVAL,
				   "like: zone %s of node %u cannot be made: %llu pages managed of"
				   " %llu present in %llu spanned from page %llu on." SAVE_AGAIN,
				   zonename_of(at % NR_ZONES), at / NR_ZONES,
				   (unsigned long long)zone->managed,
				   (unsigned long long)zone->present,
				   (unsigned long long)zone->spanned,
				   (unsigned long long)zone->start_pfn);
	for (uint32_t k = 0; k < at; k++) {
		const struct snapshot_zone *other = &saved->node[k / NR_ZONES].zone[k % NR_ZONES];

		if (zone->present != 0 && other->present != 0 &&
		    zone->start_pfn < other->start_pfn + other->spanned && other->start_pfn < end)
			return config_fail(config, -EINVAL,
					   "like: zones %s of node %u and %s of node %u overlap, as"
					   " after memory came online in turn; a machine like this"
					   " cannot be made.",
					   zonename_of(k % NR_ZONES), k / NR_ZONES,
					   zonename_of(at % NR_ZONES), at / NR_ZONES);
	}
	return 0;
}

/* Zones and nodes that a machine can have. */
static int check_zones(struct neap_config *config)
{
	const struct snapshot *saved = config->snapshot;
	uint64_t managed = 0;
	int err = 0;

	for (uint32_t n = 0; n < saved->nr_nodes; n++)
		if (saved->node[n].id != n)
			return config_fail(
				config, -EINVAL,
				"like: the saved machine has a node %u but none %u; nodes"
				" must count up from 0.",
				saved->node[n].id, n);
	for (uint32_t i = 0; i < saved->nr_nodes * NR_ZONES && err == 0; i++) {
		err = check_zone(config, i);
		managed += saved->node[i / NR_ZONES].zone[i % NR_ZONES].managed;
	}
	if (err == 0 && managed == 0)
		return config_fail(config, -EINVAL,
				   "like: no zone of the saved machine has pages." SAVE_AGAIN);
	return err;
}

static void place_zones(const struct neap_config *config, struct machine_desc *desc)
{
	const struct snapshot *saved = config->snapshot;
	struct rng rng;

	rng_seed(&rng, mix_u64(config->seed));
	for (uint32_t n = 0; n < saved->nr_nodes; n++) {
		for (uint32_t z = 0; z < NR_ZONES; z++) {
			const struct snapshot_zone *zone = &saved->node[n].zone[z];

			if (zone->present == 0)
				continue;
			/* A PC's zone DMA has its hole in the middle, the others at the end. */
			desc->node[n].zone[z] = (struct machine_zone_desc){
				.start_pfn = (uint32_t)zone->start_pfn,
				.spanned = (uint32_t)zone->spanned,
				.present = (uint32_t)zone->present,
				.managed = (uint32_t)zone->managed,
				.hole_first = z == ZONE_DMA && zone->spanned > zone->present,
			};
			if (z != ZONE_MOVABLE)
				desc->node[n].zone[z].reserved_at =
					place_reserved(&rng, &desc->node[n].zone[z]);
		}
	}
}

static uint32_t highest_cpu(const struct snapshot *saved)
{
	uint32_t nr = 0;

	for (uint32_t cpu = cpumask_next(&saved->online, 0); cpu < NEAP_MAX_CPUS;
	     cpu = cpumask_next(&saved->online, cpu + 1))
		nr = cpu + 1;
	return nr;
}

/* CPUs that were offline belong to the node of the one before, since no file says to which. */
static void place_offline(struct machine_desc *desc)
{
	struct cpumask placed = { { 0 } };
	uint32_t node = 0;

	for (uint32_t n = 0; n < desc->nr_nodes; n++)
		for (uint32_t cpu = cpumask_next(&desc->node[n].cpus, 0); cpu < desc->nr_cpus;
		     cpu = cpumask_next(&desc->node[n].cpus, cpu + 1))
			cpumask_set(&placed, cpu);
	for (uint32_t cpu = 0; cpu < desc->nr_cpus; cpu++) {
		for (uint32_t n = 0; n < desc->nr_nodes; n++)
			if (cpumask_test(&desc->node[n].cpus, cpu))
				node = n;
		if (!cpumask_test(&placed, cpu))
			cpumask_set(&desc->node[node].cpus, cpu);
	}
}

/* CPUs: a machine line's, else as many as asked for in an even split, else the saved ones. */
static void place_cpus(const struct neap_config *config, struct machine_desc *desc)
{
	const struct snapshot *saved = config->snapshot;
	uint32_t placed = 0;

	desc->nr_cpus = config->has_pc	     ? config->pc.nr_cpus
			: config->cpus_given ? config->nr_cpus
					     : max_u32(highest_cpu(saved), 1);
	for (uint32_t n = 0; n < desc->nr_nodes; n++) {
		memcpy(desc->node[n].distance, saved->node[n].distance,
		       sizeof(desc->node[n].distance));
		if (config->has_pc)
			desc->node[n].cpus = config->pc.node[n].cpus;
		else if (!config->cpus_given)
			desc->node[n].cpus = saved->node[n].cpus;
		placed += cpumask_count(&desc->node[n].cpus);
	}
	for (uint32_t cpu = 0; cpu < desc->nr_cpus && placed == 0; cpu++)
		cpumask_set(&desc->node[cpu * desc->nr_nodes / desc->nr_cpus].cpus, cpu);
	if (!config->has_pc && !config->cpus_given && placed != 0)
		place_offline(desc);
}

int like_layout(struct neap_config *config, struct machine_desc *desc)
{
	int err = 0;

	if (config->memory_given || config->nr_nodes != 1)
		return config_fail(config, -EINVAL,
				   "like: memory and nodes are the saved machine's; do not set them"
				   " as well.");
	if (config->has_pc)
		err = check_machine_line(config);
	desc->nr_nodes = config->snapshot->nr_nodes;
	if (err == 0)
		err = check_zones(config);
	if (err == 0) {
		place_zones(config, desc);
		place_cpus(config, desc);
	}
	return err;
}

/* ---- swap ---- */

int like_swaps(struct task *t, struct api_machine *a, const struct neap_config *config)
{
	const struct snapshot *saved = config->snapshot;
	uint32_t type;
	int err = 0;

	for (uint32_t i = 0; i < saved->nr_swaps && err == 0; i++) {
		/* The header's page is not among the saved area's usable ones. */
		struct config_swap swap = {
			.bytes = (saved->swap[i].size_pages + 1) << NEAP_PAGE_SHIFT,
			.priority = saved->swap[i].priority < 0 ? CONFIG_AUTO_PRIORITY
								: saved->swap[i].priority,
		};

		err = api_swap_open(t, a, &swap, &type);
	}
	return err;
}

/* ---- pages ---- */

/* The frame of a page that is present; it is used as if nobody had looked. */
static struct page *settle_page(struct task *t, struct api_machine *a, uint32_t pfn)
{
	struct page *page = machine_page(&a->m, pfn);
	uint32_t region_flags;

	page_lock(t, page);
	(void)rmap_referenced(t, page, &region_flags);
	page_unlock(t, page);
	return page;
}

/* A region of pages that were written once; the first `active` of them are on the active list. */
static int make_pages(struct task *t, struct api_machine *a, uint32_t node, uint32_t flags,
		      const uint64_t nr[2])
{
	uint64_t pages = nr[0] + nr[1];
	struct neap_region *region;
	struct neap_page page;
	int err;

	if (pages == 0)
		return 0;
	err = neap_region_create(&a->m, pages << NEAP_PAGE_SHIFT, flags, (int)node, &region);
	for (uint64_t i = 0; i < pages && err == 0; i++)
		err = neap_access(region, i, true);
	lru_drain_all(t);
	for (uint64_t i = 0; i < pages && err == 0; i++) {
		err = neap_page_begin(region, i, NEAP_PAGE_READ, &page);
		if (err != 0)
			break;
		neap_page_end(region, &page);
		struct page *settled = settle_page(t, a, page.frame);

		if (i < nr[1] && !(flags & NEAP_LOCKED))
			lru_activate(t, settled);
	}
	lru_drain_all(t);
	return err;
}

/* The file of the saved machine's page cache: injected errors begin after it was read. */
static int open_cache(struct api_machine *a, uint64_t pages, struct neap_file **file)
{
	uint64_t nth_read = a->fault_nth[CONFIG_FAULT_FILE_READ];
	uint32_t permille = a->fault_permille;

	a->fault_nth[CONFIG_FAULT_FILE_READ] = 0;
	a->fault_permille = 0;
	int err = neap_file_open(&a->m, NULL, pages << NEAP_PAGE_SHIFT, 0, file);

	a->fault_nth[CONFIG_FAULT_FILE_READ] = nth_read;
	a->fault_permille = permille;
	return err;
}

/* A file of nr[0] + nr[1] pages that was read; the first nr[1] are read twice, so active. */
static int make_cache(struct api_machine *a, const uint64_t nr[2])
{
	uint64_t pages = nr[0] + nr[1];
	struct neap_file *file;
	struct neap_page page;
	int err;

	if (pages == 0)
		return 0;
	err = open_cache(a, pages, &file);
	for (uint64_t i = 0; i < pages + nr[1] && err == 0; i++) {
		err = neap_file_page_begin(file, i % pages, NEAP_PAGE_READ, &page);
		if (err == 0)
			neap_file_page_end(file, &page);
	}
	return err;
}

static int make_lists(struct task *t, struct api_machine *a, const struct snapshot *saved)
{
	int err = 0;

	for (uint32_t n = 0; n < saved->nr_nodes && err == 0; n++) {
		const uint64_t *stat = saved->node[n].stat;
		const uint64_t anon[2] = { stat[NR_INACTIVE_ANON], stat[NR_ACTIVE_ANON] };
		const uint64_t locked[2] = { stat[NR_UNEVICTABLE], 0 };

		err = make_pages(t, a, n, NEAP_LOCKED, locked);
		if (err == 0)
			err = make_pages(t, a, n, 0, anon);
	}
	for (uint32_t n = 0; n < saved->nr_nodes && err == 0; n++) {
		const uint64_t *stat = saved->node[n].stat;
		const uint64_t file[2] = { stat[NR_INACTIVE_FILE], stat[NR_ACTIVE_FILE] };

		/* Each node's by a task that gets memory there only, its index nodes as well. */
		if (saved->nr_nodes > 1 && file[0] + file[1] != 0)
			err = cpuset_set(t, UINT64_C(1) << n);
		if (err == 0)
			err = make_cache(a, file);
	}
	if (saved->nr_nodes > 1 && err == 0)
		err = cpuset_set(t, 0);
	return err;
}

/* Whether the saved zones had no more frames free and on lists than they manage. */
static bool files_agree(const struct snapshot *saved)
{
	uint64_t managed = 0, known = 0;

	for (uint32_t i = 0; i < saved->nr_nodes * NR_ZONES; i++) {
		const struct snapshot_zone *zone = &saved->node[i / NR_ZONES].zone[i % NR_ZONES];

		managed += zone->managed;
		known += zone->free;
		for (uint32_t list = NR_ZONE_INACTIVE_ANON; list <= NR_ZONE_UNEVICTABLE; list++)
			known += zone->stat[list];
	}
	return known <= managed;
}

/*
 * Free pages without a place: if the files agree, it is our fault. The tables of its pages take a
 * little more or less room here, and pages in use lie closer together, where small free blocks
 * would be one large one. => a negative errno, or 0 and a warning
 */
static int say_missed(struct api_machine *a, const struct snapshot *saved, uint64_t missed_pages)
{
	if (!files_agree(saved))
		return api_fail(a, -EINVAL,
				"like: %llu pages that are free in the saved machine have no place:"
				" its files do not agree with each other." SAVE_AGAIN,
				(unsigned long long)missed_pages);
	(void)api_fail(a, 0,
		       "like: %llu pages that were free in the saved machine are not here: beside"
		       " what is in use there is no place for them in blocks of their sizes. The"
		       " run begins with so many more in use.",
		       (unsigned long long)missed_pages);
	return 0;
}

/* CPUs that were offline are so here, unless the number of CPUs is somebody else's. */
static int stop_cpus(struct task *t, struct api_machine *a, const struct neap_config *config)
{
	const struct snapshot *saved = config->snapshot;
	int err = 0;

	if (config->has_pc || config->cpus_given || cpumask_count(&saved->online) == 0)
		return 0;
	for (uint32_t cpu = 0; cpu < a->m.nr_cpus && err == 0; cpu++)
		if (!cpumask_test(&saved->online, cpu))
			err = hotplug_cpu_offline(t, cpu);
	return err;
}

int like_begin(struct task *t, struct api_machine *a, const struct neap_config *config)
{
	const struct snapshot *saved = config->snapshot;
	const char *name = "";
	uint64_t missed_pages;
	int err = likeness_knobs(&a->m, saved, &name);

	if (err != 0)
		return api_fail(a, err, "like: the saved value of %s is none.", name);
	err = stop_cpus(t, a, config);
	if (err != 0)
		return api_fail(a, err, "like: a CPU that is offline cannot be stopped: %s.",
				strerror(-err));
	err = make_lists(t, a, saved);
	if (err != 0)
		return api_fail(a, files_agree(saved) ? err : -EINVAL,
				"like: the saved machine's pages do not fit into it: %s.%s",
				strerror(-err), files_agree(saved) ? "" : SAVE_AGAIN);
	likeness_fit(t, &a->m, saved);
	missed_pages = likeness_apply(t, &a->m, saved);
	bio_enable(&a->m);
	swap_nodes_enable(&a->m);
	err = buffer_enable(&a->m);
	if (err != 0)
		return api_fail(a, err, "like: no memory for the table of buffer heads.");
	return missed_pages != 0 ? say_missed(a, saved, missed_pages) : 0;
}
