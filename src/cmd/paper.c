/*
 * A machine on paper.
 *
 *     --like DIR:  files ─────────────> snapshot ─┐
 *     -m SIZE:     api/layout.c ──────> snapshot ─┼─> plan, knobs ─> writes ─> snapshot ─> a file
 *                  (zones, no frames)             │
 *                       counts, free lists <──────┘ marks, limits, reserves: computed
 *
 * The same structures as everywhere: the snapshot for what files say, the plan for the
 * arithmetic, the knobs for settings. So an answer costs milliseconds whatever the
 * size of the machine, and agrees with the engine's, which uses the same functions.
 *
 * A machine without settings in its files is given those of a kernel that boots with
 * its sizes; min_free_kbytes is then the automatic one. That is said.
 *
 * What must never happen: a mark of the saved machine in the output. Each is computed,
 * even where the result is the same.
 */
#include "cmd/paper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

#include "api/layout.h"
#include "cmd/cmd.h"
#include "core/knobs_plan.h"
#include "core/snapshot_take.h"
#include "diag/settings.h"
#include "text/load.h"

#define VMALLOC_KBYTES UINT64_C(34359738367)
#define ORDER_MOST (NEAP_NR_ORDERS - 1)
#define PAGES_MOST ((uint64_t)1 << 40) /* 4 PiB: more than any machine of 6.1 */

static int say(const struct text_error *err)
{
	if (err->line != 0)
		cmd_error("%s:%u: %s", err->file, err->line, err->message);
	else
		cmd_error("%s: %s", err->file, err->message);
	return CMD_USAGE;
}

static int no_memory(void)
{
	cmd_error("memory is out");
	return CMD_WORLD;
}

/* ---- like a saved machine ---- */

/* Whether the sizes and counts that are added up here can be those of a machine. */
static bool is_plausible(const struct snapshot *snapshot)
{
	static const enum node_item items[] = { NR_INACTIVE_FILE, NR_ACTIVE_FILE,
						NR_SLAB_RECLAIMABLE, NR_KERNEL_MISC_RECLAIMABLE };

	if (snapshot->zone_stat[NR_FREE_PAGES] > PAGES_MOST)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (snapshot->node_stat[items[i]] > PAGES_MOST)
			return false;
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			if (snapshot->node[n].zone[i].managed > PAGES_MOST ||
			    snapshot->node[n].zone[i].boost > PAGES_MOST)
				return false;
	return true;
}

int paper_load(struct paper *paper, const char *dir)
{
	struct text_error err = { .line = 0 };
	bool complete = false;
	int error = snapshot_load_dir(dir, &paper->snapshot, &err);

	if (error == -ENOMEM)
		return no_memory();
	if (error != 0)
		return error == -EACCES || error == -EPERM ? (say(&err), CMD_WORLD) : say(&err);
	if (err.message[0] != '\0')
		cmd_error("%s: %s", dir, err.message);
	if (!is_plausible(paper->snapshot)) {
		cmd_error("%s: a size or count is larger than 4 PiB; the files are damaged", dir);
		return CMD_USAGE;
	}
	plan_from_snapshot(&paper->plan, paper->snapshot);
	if (settings_read(paper->snapshot, &paper->knobs, &complete, &err) != 0)
		return say(&err);
	if (!complete) {
		cmd_error("%s: without min_free_kbytes and watermark_scale_factor marks are those"
			  " of a kernel that boots",
			  dir);
		settings_boot(&paper->plan, &paper->knobs, true);
		return CMD_FINE;
	}
	knobs_plan_guess_user(&paper->plan, &paper->knobs);
	knobs_plan_set(&paper->plan, &paper->knobs);
	settings_recompute(&paper->plan);
	return CMD_FINE;
}

/* ---- just booted ---- */

/* Free frames first..end-1 as blocks: each as large as its place allows. */
static void fill_blocks(struct snapshot_zone *zone, uint64_t first, uint64_t end)
{
	while (first < end) {
		uint32_t order = first == 0 ? ORDER_MOST : (uint32_t)__builtin_ctzll(first);

		order = min_u32(min_u32(order, ORDER_MOST), fls_u64(end - first) - 1);
		zone->nr_free[order]++;
		zone->nr_free_type[MT_MOVABLE][order]++;
		first += (uint64_t)1 << order;
	}
}

/* As the engine builds a zone: the last managed ones of its present frames are free. */
static void fill_zone(struct snapshot *snapshot, struct snapshot_zone *zone,
		      const struct machine_zone_desc *desc)
{
	uint64_t end = (uint64_t)desc->start_pfn + desc->present;

	zone->start_pfn = desc->start_pfn;
	zone->spanned = desc->spanned;
	zone->present = desc->present;
	zone->managed = desc->managed;
	zone->free = zone->stat[NR_FREE_PAGES] = desc->managed;
	snapshot->zone_stat[NR_FREE_PAGES] += desc->managed;
	snapshot->total_pages += desc->managed;
	if (desc->present == 0)
		return;
	fill_blocks(zone, end - desc->managed, end);
	zone->nr_blocks[MT_MOVABLE] =
		((uint64_t)desc->start_pfn + desc->spanned) / NEAP_PAGEBLOCK_PAGES -
		round_up_u64(desc->start_pfn, NEAP_PAGEBLOCK_PAGES) / NEAP_PAGEBLOCK_PAGES;
}

static struct snapshot *snapshot_of_layout(const struct machine_desc *desc)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(desc->nr_nodes));

	if (snapshot == NULL)
		return NULL;
	snapshot->nr_nodes = desc->nr_nodes;
	snapshot->vmalloc_total_kb = VMALLOC_KBYTES;
	for (uint32_t cpu = 0; cpu < desc->nr_cpus; cpu++)
		cpumask_set(&snapshot->online, cpu);
	for (uint32_t n = 0; n < desc->nr_nodes; n++) {
		struct snapshot_node *node = &snapshot->node[n];

		node->id = n;
		node->cpus = desc->node[n].cpus;
		memcpy(node->distance, desc->node[n].distance, sizeof(node->distance));
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			node->zone[i].node = n;
			node->zone[i].type = i;
			node->has_memory |= desc->node[n].zone[i].present != 0;
			fill_zone(snapshot, &node->zone[i], &desc->node[n].zone[i]);
		}
	}
	return snapshot;
}

int paper_build(struct paper *paper, struct neap_config *config)
{
	struct machine_desc *desc = calloc(1, sizeof(*desc));
	int status = CMD_FINE;

	if (desc == NULL)
		return no_memory();
	if (layout_make(config, desc) != 0) {
		cmd_error("%s", neap_config_error(config));
		status = CMD_USAGE;
	} else {
		paper->snapshot = snapshot_of_layout(desc);
		if (paper->snapshot == NULL)
			status = no_memory();
	}
	free(desc);
	if (status != CMD_FINE)
		return status;
	plan_from_snapshot(&paper->plan, paper->snapshot);
	knobs_init(&paper->knobs);
	knobs_init_reserves(&paper->knobs, paper->snapshot->total_pages);
	/* As the engine, whose machines begin without transparent huge pages. */
	settings_boot(&paper->plan, &paper->knobs, false);
	return CMD_FINE;
}

/* ---- both ---- */

int paper_set(struct paper *paper, const char *assignment)
{
	struct text_error err = { .line = 0 };

	if (settings_write(&paper->plan, &paper->knobs, assignment, NULL, &err) == 0)
		return CMD_FINE;
	if (err.file[0] != '\0')
		cmd_error("--set %s: %s", err.file, err.message);
	else
		cmd_error("--set %s", err.message);
	return CMD_USAGE;
}

int paper_finish(struct paper *paper)
{
	if (settings_store(&paper->plan, &paper->knobs, paper->snapshot) != 0) {
		cmd_error("there are more settings than a snapshot can hold");
		return CMD_USAGE;
	}
	paper->snapshot->available_pages = snapshot_available(paper->snapshot);
	return CMD_FINE;
}

void paper_free(struct paper *paper)
{
	free(paper->snapshot);
	paper->snapshot = NULL;
}
