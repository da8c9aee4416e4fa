/*
 * Filling a snapshot.
 *
 * Numbers are read as Linux reads them for the file they end up in: levels
 * without the per-CPU differences, NUMA events and other events summed over CPUs.
 * Free lists are walked with the zone's lock held; nothing else is locked, so a
 * snapshot of a busy machine is a collage, as a /proc file is. A watcher in the
 * simulator takes no lock, since it may have interrupted the lock's holder; all else
 * stands still then.
 *
 * What must never happen: a snapshot that changes the machine. Nothing is folded,
 * drained or woken here.
 *
 * Linux: the show functions of mm/vmstat.c, fs/proc/meminfo.c, mm/swapfile.c.
 */
#include "core/snapshot_take.h"

#include <string.h>

#include "core/hugepool.h"
#include "core/pageblock.h"
#include "core/psi.h"
#include "core/racy.h"
#include "core/swap.h"
#include "core/sysctl.h"
#include "core/vmstat.h"
#include "core/writeback.h"

static void take_free_lists(struct task *t, struct zone *zone, struct snapshot_zone *out)
{
	struct neap_machine *m = t->machine;

	if (!m->watched) {
		cpu_pin(t);
		spin_lock(t, &zone->lock, LOCK_ZONE);
	}
	for (uint32_t order = 0; order < NR_ORDERS; order++) {
		out->nr_free[order] = zone->area[order].nr_free;
		for (uint32_t type = 0; type < NR_TYPES; type++) {
			uint32_t pfn = zone->area[order].list[type].first;

			for (; pfn != PFN_NONE; pfn = m->pages[pfn].next)
				out->nr_free_type[type][order]++;
		}
	}
	out->nr_reserved_highatomic = zone->nr_reserved_highatomic;
	pageblock_count(zone, out->nr_blocks);
	if (!m->watched) {
		spin_unlock(t, &zone->lock, LOCK_ZONE);
		cpu_unpin(t);
	}
}

static void take_pagesets(const struct neap_machine *m, const struct zone *zone,
			  struct snapshot_zone *out)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		const struct pcp *pcp = &zone->pcp[cpu];

		out->pageset[cpu] = (struct snapshot_pageset){
			.count = racy_read(pcp->count),
			.high = racy_read(pcp->high),
			.batch = racy_read(pcp->batch),
			.threshold = (uint32_t)racy_read(pcp->threshold),
		};
	}
	for (uint32_t i = 0; i < NR_NUMA_ITEMS; i++)
		out->numa[i] = zone_numa(zone, (enum numa_item)i);
}

static void take_zone(struct task *t, struct zone *zone, struct snapshot_zone *out)
{
	struct neap_machine *m = t->machine;

	out->node = zone->node;
	out->type = zone->type;
	out->start_pfn = zone->start_pfn;
	out->spanned = zone_spanned(zone);
	out->present = zone->present;
	out->cma = zone->cma;
	out->managed = zone_managed(zone);
	for (uint32_t i = 0; i < NR_ZONES; i++)
		out->protection[i] = atomic_load(&zone->reserve[i]);
	out->boost = atomic_load(&zone->boost);
	out->min = zone_mark(zone, WMARK_MIN);
	out->low = zone_mark(zone, WMARK_LOW);
	out->high = zone_mark(zone, WMARK_HIGH);
	out->promo = zone_mark(zone, WMARK_PROMO);
	for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
		out->stat[i] = zone_stat(zone, (enum zone_item)i);
	out->free = out->stat[NR_FREE_PAGES];
	out->node_unreclaimable =
		atomic_load(&m->nodes[zone->node].kswapd_failures) >= MAX_RECLAIM_RETRIES;
	if (!zone_populated(zone))
		return;
	take_free_lists(t, zone, out);
	take_pagesets(m, zone, out);
}

/* An area being switched off is still listed, and what is in it still counts as swap. */
static void take_swaps(struct neap_machine *m, struct snapshot *out)
{
	int64_t free = atomic_load(&m->nr_swap_free);
	int64_t total = atomic_load(&m->nr_swap_total);

	out->nr_swaps = 0;
	for (uint32_t i = 0; i < swap_nr_areas(m); i++) {
		struct swap_area *area = &m->swap[i];
		uint32_t state = atomic_load(&area->state);
		struct snapshot_swap *swap = &out->swap[out->nr_swaps];

		if (state == SWAP_UNUSED)
			continue;
		out->nr_swaps++;
		for (size_t c = 0; c < sizeof(swap->path); c++)
			swap->path[c] = racy_read(area->path[c]);
		swap->is_file = area->is_file;
		swap->size_pages = area->usable;
		swap->used_pages = racy_read(area->inuse);
		swap->priority = racy_read(area->priority);
		if (state == SWAP_LEAVING) {
			free += (int64_t)swap->used_pages;
			total += (int64_t)swap->used_pages;
		}
	}
	out->swap_total_pages = total > 0 ? (uint64_t)total : 0;
	out->swap_free_pages = free > 0 ? (uint64_t)free : 0;
	out->swapcache_pages = machine_node_stat(m, NR_SWAPCACHED);
}

static const char *const sysctl_names[] = {
#define SYSCTL(id, name, ...) name,
#define SYSCTL_OTHER(name) name,
#include "core/sysctl_items.def"
};

_Static_assert(ARRAY_LEN(sysctl_names) <= SNAPSHOT_MAX_SYSCTLS, "all knobs have a place");

/* The knobs that can be read; the table has them in the order of their names. */
static void take_sysctls(struct neap_machine *m, struct snapshot *out)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctl_names); i++) {
		struct snapshot_sysctl *to = &out->sysctl[out->nr_sysctls];
		int64_t bytes =
			knobs_read(&m->sysctl, sysctl_names[i], to->value, sizeof(to->value));

		if (bytes <= 0) /* write-only */
			continue;
		CHECK(strlen(sysctl_names[i]) < sizeof(to->name));
		to->value[bytes - 1] = '\0'; /* the newline */
		memcpy(to->name, sysctl_names[i], strlen(sysctl_names[i]) + 1);
		out->nr_sysctls++;
	}
}

uint64_t snapshot_available(const struct snapshot *snapshot)
{
	uint64_t low = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			low += snapshot->node[n].zone[z].low;
	uint64_t cache =
		snapshot->node_stat[NR_ACTIVE_FILE] + snapshot->node_stat[NR_INACTIVE_FILE];
	uint64_t kernel = snapshot->node_stat[NR_SLAB_RECLAIMABLE] +
			  snapshot->node_stat[NR_KERNEL_MISC_RECLAIMABLE];
	int64_t available =
		(int64_t)snapshot->zone_stat[NR_FREE_PAGES] - (int64_t)snapshot->reserve_pages;

	available += (int64_t)(cache - min_u64(cache / 2, low));
	available += (int64_t)(kernel - min_u64(kernel / 2, low));
	return available > 0 ? (uint64_t)available : 0;
}

/* What overcommit_memory 2 would allow (spec 05, section 4). */
static uint64_t commit_limit(const struct neap_machine *m, const struct snapshot *snapshot)
{
	uint64_t kbytes = knobs_get_wide(&m->sysctl.overcommit_kbytes);
	uint64_t ratio = (uint64_t)(int64_t)knobs_get(&m->sysctl.overcommit_ratio);
	uint64_t huge = snapshot->huge_total * NEAP_PAGEBLOCK_PAGES;
	uint64_t pages = (snapshot->total_pages - huge) * ratio / 100;

	if (kbytes != 0)
		pages = kbytes / (NEAP_PAGE_BYTES / KIB);
	return pages + snapshot->swap_total_pages;
}

/* Only the online ones are of interest. */
static const struct cpumask all_cpus = { { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } };

void snapshot_take(struct task *t, struct neap_machine *m, struct snapshot *out)
{
	if (!m->watched)
		psi_update(t, m);
	memset(out, 0, snapshot_bytes(m->nr_nodes));
	psi_fill_snapshot(m, out);
	out->page_kb = NEAP_PAGE_BYTES / KIB;
	out->zones_listed = (1u << NEAP_NR_ZONES) - 1;
	out->time_ns = rt_now(t);
	out->nr_nodes = m->nr_nodes;
	out->online = machine_online_of(m, &all_cpus);
	for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
		out->zone_stat[i] = machine_zone_stat(m, (enum zone_item)i);
	for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
		out->node_stat[i] = machine_node_stat(m, (enum node_item)i);
	for (uint32_t i = 0; i < NR_METER_ITEMS; i++)
		out->event[i] = machine_event(m, (enum meter_item)i);
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];
		struct snapshot_node *to = &out->node[n];

		to->id = node->id;
		to->huge_total = to->huge_free = hugepool_node_pages(node);
		to->cpus = machine_node_cpus(node);
		for (uint32_t i = 0; i < NEAP_MAX_NODES; i++)
			to->distance[i] = node->distance[i];
		for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
			to->stat[i] = node_stat(node, (enum node_item)i);
		to->online = !cpumask_empty(&to->cpus);
		for (uint32_t z = 0; z < NR_ZONES; z++) {
			take_zone(t, &node->zone[z], &to->zone[z]);
			to->has_memory |= node->zone[z].present != 0;
			for (uint32_t i = 0; i < NR_NUMA_ITEMS; i++)
				out->numa[i] += to->zone[z].numa[i];
		}
	}
	writeback_limits(m, &out->dirty_background_threshold, &out->dirty_threshold);
	out->total_pages = atomic_load(&m->total_pages);
	out->reserve_pages = atomic_load(&m->reserve_pages);
	take_swaps(m, out);
	take_sysctls(m, out);
	out->huge_total = out->huge_free = hugepool_pages(m);
	out->commit_limit_pages = commit_limit(m, out);
	out->vmalloc_total_kb = UINT64_C(34359738367);
	out->available_pages = snapshot_available(out);
}
