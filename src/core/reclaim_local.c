/*
 * reclaim_local.c: reclaiming a little in the near node before using a far one.
 *
 *   zone missed its mark ── mode 0, or farther than 30 ──────────> next zone
 *        │ little cache and little slab there ───────────────────> next zone
 *        │ request cannot sleep, is reclaiming, is of another
 *        │ node with CPUs of its own, or somebody is at it ──────> next zone
 *        └─ shrink the node, priority 4 to 0, until enough ──────> test the mark again
 *
 * A program whose memory is near is faster, and clean page cache is the cheapest thing to
 * give for it. What may be taken beside that says vm.zone_reclaim_mode. It is 0 by
 * default: most programs lose more by a smaller cache than by far memory.
 *
 * It is part of the first walk, so it comes before kswapd is woken, and counts as direct
 * reclaim without a stall: pgscan_direct and pgsteal_direct, but not allocstall.
 *
 * What must never happen: two tasks at one node (NODE_FLAG_RECLAIM_LOCKED), or a task
 * that sleeps here although its request must not.
 *
 * Linux: node_reclaim(), __node_reclaim() of mm/vmscan.c, zone_allows_reclaim() of
 * mm/page_alloc.c; 6.1.
 */
#include "core/reclaim_local.h"

#include "core/alloc.h"
#include "core/event.h"
#include "core/psi.h"
#include "core/reclaim.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define RECLAIM_DISTANCE_MOST 30u
#define RECLAIM_LOCAL_PRIORITY 4

static int32_t reclaim_mode(const struct neap_machine *m)
{
	return sysctl_get(&m->sysctl.zone_reclaim_mode) &
	       (ZONE_RECLAIM_ON | ZONE_RECLAIM_WRITE | ZONE_RECLAIM_UNMAP);
}

uint64_t reclaim_local_cache_pages(struct node *node)
{
	int32_t mode = reclaim_mode(node->machine);
	uint64_t listed = node_stat(node, NR_INACTIVE_FILE) + node_stat(node, NR_ACTIVE_FILE);
	uint64_t pages = listed - min_u64(listed, node_stat(node, NR_MAPPED));

	if (mode & ZONE_RECLAIM_UNMAP)
		pages = node_stat(node, NR_FILE_PAGES);
	if (mode & ZONE_RECLAIM_WRITE)
		return pages;
	return pages - min_u64(pages, node_stat(node, NR_DIRTY));
}

static bool worth_it(struct node *node)
{
	return reclaim_local_cache_pages(node) > atomic_load(&node->min_unmapped_pages) ||
	       node_stat(node, NR_SLAB_RECLAIMABLE) > atomic_load(&node->min_slab_pages);
}

/* May this task reclaim there? */
static bool may_scan(const struct task *t, const struct alloc_context *ac, const struct node *node)
{
	struct cpumask cpus = machine_node_cpus(node);

	if (!(ac->gfp & GFP_BIT_DIRECT_RECLAIM) || (t->flags & PF_MEMALLOC))
		return false;
	return cpumask_empty(&cpus) || t->machine->cpus[task_cpu(t)].node == node->id;
}

/* => pages reclaimed */
static uint64_t shrink(struct task *t, const struct alloc_context *ac, struct node *node)
{
	int32_t mode = reclaim_mode(t->machine);
	uint64_t wanted = (uint64_t)1 << ac->order;
	struct scan_control sc = {
		.nr_to_reclaim = max_u64(wanted, SWAP_CLUSTER_MAX),
		.order = ac->order,
		.priority = RECLAIM_LOCAL_PRIORITY,
		.reclaim_idx = ac->highest,
		.gfp_mask = gfp_in_context(t, ac->gfp),
		.may_writepage = (mode & ZONE_RECLAIM_WRITE) != 0,
		.may_unmap = (mode & ZONE_RECLAIM_UNMAP) != 0,
		.may_swap = true,
	};

	event_emit(t, MM_VMSCAN_NODE_RECLAIM_BEGIN, node->id, sc.order, sc.gfp_mask);
	psi_memstall_enter(t);
	t->flags |= PF_MEMALLOC;
	do {
		reclaim_shrink_node(t, node, &sc);
	} while (sc.nr_reclaimed < wanted && --sc.priority >= 0);
	t->flags &= ~PF_MEMALLOC;
	psi_memstall_leave(t);
	event_emit(t, MM_VMSCAN_NODE_RECLAIM_END, sc.nr_reclaimed);
	return sc.nr_reclaimed;
}

enum reclaim_local reclaim_local_try(struct task *t, const struct alloc_context *ac,
				     const struct zone *zone)
{
	struct neap_machine *m = t->machine;
	struct node *node = &m->nodes[zone->node];
	uint64_t got;

	if (reclaim_mode(m) == 0 ||
	    m->nodes[ac->preferred->zone->node].distance[node->id] > RECLAIM_DISTANCE_MOST)
		return RECLAIM_LOCAL_OFF;
	if (!worth_it(node))
		return RECLAIM_LOCAL_FULL;
	if (!may_scan(t, ac, node) ||
	    (atomic_fetch_or(&node->flags, NODE_FLAG_RECLAIM_LOCKED) & NODE_FLAG_RECLAIM_LOCKED))
		return RECLAIM_LOCAL_NOSCAN;
	got = shrink(t, ac, node);
	atomic_fetch_and(&node->flags, ~NODE_FLAG_RECLAIM_LOCKED);
	if (got >= (uint64_t)1 << ac->order)
		return RECLAIM_LOCAL_ENOUGH;
	event_add(t, EV_ZONE_RECLAIM_FAILED, 1);
	return RECLAIM_LOCAL_SOME;
}
