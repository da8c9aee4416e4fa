/*
 * A real machine's state in the engine's structures.
 *
 *     zoneinfo   ─ free, marks, boost, protection, LRU sizes ─┐
 *     buddyinfo  ─ free blocks by order ──────────────────────┼─> struct zone ─> zonelists
 *     pagetypeinfo ─ the same by type; the reserve ───────────┤
 *     swaps, meminfo ─ free swap ─────────────────────────────┘   struct neap_machine
 *     sys/vm ─ knobs ─────────────────────────────────────────>
 *
 * Explanations are the engine's decisions on an observed state. The mark test, the balance test of
 * kswapd, what compaction thinks of a zone, and the order in which zones are tried are the
 * engine's functions, called on these structures; nothing of it is written a second time here.
 *
 * There are no page descriptors, no CPUs and no threads: a machine of 8 TiB takes as much memory
 * here as one of 80 MiB. Therefore exact counts are the approximate ones. The kernel knows the
 * differences that CPUs keep, files do not show them; state_zone_drift() says how much they may
 * be, and a verdict that is nearer than that to its limit has to say so.
 *
 * Without pagetypeinfo, which only root may read, all free blocks stand on the lists of type
 * Movable; every user of has_block must look at has_types before it speaks of types.
 *
 * What must never happen: a call of an engine function that would change pages. Those used are
 * listed in tools/check-layers.
 */
#include "diag/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"
#include "core/vmstat.h"
#include "core/zonelist.h"
#include "diag/settings.h"
#include "text/zonename.h"

/* Memory for zonelists, which the engine asks the hardware for. */
struct arena {
	struct hw hw; /* first: what the engine sees */
	struct hw_ops ops;
	size_t used_bytes, bytes;
	max_align_t at[];
};

#define ARENA_BYTES (2 * MIB)

static void *arena_reserve(struct hw *hw, size_t bytes)
{
	struct arena *arena = (struct arena *)(void *)hw;
	size_t rounded = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t);
	char *at = (char *)arena->at + arena->used_bytes;

	rounded *= sizeof(max_align_t);
	if (arena->bytes - arena->used_bytes < rounded)
		return NULL;
	arena->used_bytes += rounded;
	return at;
}

static struct arena *arena_new(size_t bytes)
{
	struct arena *arena = calloc(1, sizeof(*arena) + bytes);

	if (arena == NULL)
		return NULL;
	arena->bytes = bytes;
	arena->ops.reserve = arena_reserve;
	arena->hw.ops = &arena->ops;
	return arena;
}

static uint32_t narrow(uint64_t value)
{
	return (uint32_t)min_u64(value, UINT32_MAX);
}

/* Sums and products of these stay far from the end of 64 bits, whatever a file says. */
static uint64_t sane(uint64_t pages)
{
	return min_u64(pages, (uint64_t)1 << 44);
}

static uint64_t minus_saturating(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* ---- zones ---- */

static void fill_marks(struct zone *zone, const struct snapshot_zone *from)
{
	const uint64_t boost = sane(from->boost);

	atomic_store(&zone->boost, boost);
	atomic_store(&zone->mark[WMARK_MIN], minus_saturating(sane(from->min), boost));
	atomic_store(&zone->mark[WMARK_LOW], minus_saturating(sane(from->low), boost));
	atomic_store(&zone->mark[WMARK_HIGH], minus_saturating(sane(from->high), boost));
	atomic_store(&zone->mark[WMARK_PROMO], minus_saturating(sane(from->promo), boost));
	for (uint32_t j = 0; j < NR_ZONES; j++)
		atomic_store(&zone->reserve[j], sane(from->protection[j]));
}

static void fill_blocks(const struct state *state, struct zone *zone,
			const struct snapshot_zone *from)
{
	/* What is free is at least pages; larger blocks nobody has seen. */
	if (!state->has_blocks && from->free != 0)
		atomic_store(&zone->nonempty[MT_MOVABLE], 1);
	for (uint32_t order = 0; order < NR_ORDERS && state->has_blocks; order++) {
		uint16_t bit = (uint16_t)(1u << order);

		zone->area[order].nr_free = min_u64(from->nr_free[order], (uint64_t)1 << 40);
		if (!state->has_types && from->nr_free[order] != 0)
			atomic_fetch_or(&zone->nonempty[MT_MOVABLE], bit);
		for (uint32_t type = 0; type < NR_TYPES && state->has_types; type++)
			if (from->nr_free_type[type][order] != 0)
				atomic_fetch_or(&zone->nonempty[type], bit);
	}
	atomic_store(&zone->nr_reserved_highatomic, sane(from->nr_reserved_highatomic));
}

static void fill_zone(struct state *state, uint32_t node, uint32_t slot)
{
	const struct snapshot_zone *from = &state->evidence->snapshot->node[node].zone[slot];
	struct zone *zone = &state->machine.nodes[node].zone[slot];

	zone->machine = &state->machine;
	zone->name = zonename_in(state->evidence->snapshot, slot);
	zone->node = node;
	zone->type = slot;
	zone->end_pfn = zone->start_pfn + narrow(from->spanned);
	zone->present = narrow(from->present);
	/* Before 5.13 a zone does not say how many CMA pages it has, only how many are free. */
	zone->cma = narrow(from->cma != 0 ? from->cma : from->stat[NR_FREE_CMA]);
	atomic_store(&zone->managed, sane(from->managed));
	fill_marks(zone, from);
	fill_blocks(state, zone, from);
	for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
		atomic_store(&zone->stat[i], (int64_t)sane(from->stat[i]));
	atomic_store(&zone->stat[NR_FREE_PAGES], (int64_t)sane(from->free));
	state->has_cma = state->has_cma || zone->cma != 0 || from->stat[NR_FREE_CMA] != 0 ||
			 from->nr_blocks[MT_CMA] != 0;
}

static void fill_node(struct state *state, uint32_t index)
{
	const struct snapshot_node *from = &state->evidence->snapshot->node[index];
	struct node *node = &state->machine.nodes[index];
	bool hopeless = true, any = false;

	node->machine = &state->machine;
	node->id = index;
	node->cpus = from->cpus;
	memcpy(node->distance, from->distance, sizeof(node->distance));
	for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
		atomic_store(&node->stat[i], (int64_t)sane(from->stat[i]));
	for (uint32_t slot = 0; slot < NR_ZONES; slot++) {
		fill_zone(state, index, slot);
		if (from->zone[slot].present == 0)
			continue;
		/* Before 4.8 each zone had its own mark, and zone DMA nearly always. */
		hopeless = hopeless && from->zone[slot].node_unreclaimable;
		any = true;
		node->nr_zones = slot + 1;
	}
	atomic_store(&node->kswapd_highest_zone, NR_ZONES);
	atomic_store(&node->kswapd_failures, any && hopeless ? MAX_RECLAIM_RETRIES : 0);
}

/* ---- the machine ---- */

static uint64_t free_swap_pages(const struct evidence *evidence)
{
	uint64_t kb = 0;

	if (evidence_has(evidence, EVIDENCE_SWAPS))
		return evidence->snapshot->swap_free_pages;
	return evidence_kb(evidence, "SwapFree", &kb) ? kb / snapshot_page_kb(evidence->snapshot)
						      : 0;
}

static int fill_machine(struct state *state, struct text_error *err)
{
	const struct snapshot *snapshot = state->evidence->snapshot;
	struct neap_machine *m = &state->machine;
	bool complete;
	int error = settings_read(snapshot, &m->sysctl, &complete, err);

	if (error != 0)
		return error;
	m->nr_nodes = snapshot->nr_nodes;
	m->hw = &state->arena->hw;
	m->nodes = calloc(m->nr_nodes, sizeof(*m->nodes));
	if (m->nodes == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(snapshot->online.bits); i++)
		atomic_store(&m->online[i], snapshot->online.bits[i]);
	m->nr_online = cpumask_count(&snapshot->online);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		fill_node(state, n);
	atomic_store(&m->total_pages, sane(snapshot->total_pages));
	atomic_store(&m->nr_swap_free, (int64_t)sane(free_swap_pages(state->evidence)));
	atomic_store(&m->nr_swap_total, (int64_t)sane(snapshot->swap_total_pages));
	return zonelist_build(m);
}

int state_new(const struct evidence *evidence, struct state **out, struct text_error *err)
{
	struct state *state;
	int error;

	*out = NULL;
	if (!evidence_has(evidence, EVIDENCE_ZONEINFO))
		return -ENODATA;
	state = calloc(1, sizeof(*state));
	if (state == NULL)
		return text_error_no_memory(err, evidence->where);
	state->evidence = evidence;
	state->has_blocks = evidence_has(evidence, EVIDENCE_BUDDYINFO) ||
			    evidence_has(evidence, EVIDENCE_PAGETYPEINFO);
	state->has_types = evidence_has(evidence, EVIDENCE_PAGETYPEINFO);
	state->task.machine = &state->machine;
	state->arena = arena_new(ARENA_BYTES);
	error = state->arena != NULL ? fill_machine(state, err) : -ENOMEM;
	if (error != 0) {
		state_free(state);
		return error == -ENOMEM ? text_error_no_memory(err, evidence->where) : error;
	}
	*out = state;
	return 0;
}

void state_free(struct state *state)
{
	if (state == NULL)
		return;
	free(state->machine.nodes);
	free(state->arena);
	free(state);
}

void state_set_marks(struct state *state, const struct plan *plan)
{
	for (uint32_t n = 0; n < state->machine.nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			const struct plan_zone *from = &plan->zone[n][i];
			struct zone *zone = &state->machine.nodes[n].zone[i];

			atomic_store(&zone->mark[WMARK_MIN], sane(from->marks.min));
			atomic_store(&zone->mark[WMARK_LOW], sane(from->marks.low));
			atomic_store(&zone->mark[WMARK_HIGH], sane(from->marks.high));
			for (uint32_t j = 0; j < NR_ZONES; j++)
				atomic_store(&zone->reserve[j], sane(from->protection[j]));
		}
	}
}

void state_reset_marks(struct state *state)
{
	for (uint32_t n = 0; n < state->machine.nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++)
			fill_marks(&state->machine.nodes[n].zone[i],
				   &state->evidence->snapshot->node[n].zone[i]);
}

/* ---- requests ---- */

/* A zone that the kernel was built without is replaced by Normal. */
static uint32_t listed(const struct state *state, uint32_t slot)
{
	return (state->evidence->snapshot->zones_listed >> slot & 1) != 0 ? slot : ZONE_NORMAL;
}

uint32_t state_limit(const struct state *state, uint32_t gfp)
{
	bool highmem = state->evidence->snapshot->has_highmem;
	bool movable = (gfp & GFP_BIT_MOVABLE) != 0;

	switch (gfp & (GFP_BIT_DMA | GFP_BIT_HIGHMEM | GFP_BIT_DMA32)) {
	case 0:
		return ZONE_NORMAL;
	case GFP_BIT_DMA:
		return listed(state, ZONE_DMA);
	case GFP_BIT_DMA32:
		return listed(state, ZONE_DMA32);
	case GFP_BIT_HIGHMEM:
		if (highmem)
			return movable ? ZONE_DEVICE : ZONE_MOVABLE;
		return movable ? ZONE_MOVABLE : ZONE_NORMAL;
	default:
		return NEAP_NR_ZONES;
	}
}

bool state_context(const struct state *state, uint32_t gfp, uint32_t order, uint32_t node,
		   struct alloc_context *ac)
{
	const struct node *home = &state->machine.nodes[node];
	uint32_t limit = state_limit(state, gfp);

	if (limit == NEAP_NR_ZONES || (gfp & (GFP_BIT_MOVABLE | GFP_BIT_RECLAIMABLE)) ==
					      (GFP_BIT_MOVABLE | GFP_BIT_RECLAIMABLE))
		return false;
	*ac = (struct alloc_context){
		.gfp = gfp,
		.order = order,
		.highest = limit,
		.type = gfp_migrate_type(&state->machine, gfp),
		.flags = ALLOC_WMARK_LOW | (gfp & ALLOC_KSWAPD),
		.zonelist = (gfp & GFP_BIT_THISNODE) ? &home->nofallback : &home->fallback,
	};
	ac->preferred = zonelist_first(ac->zonelist, limit, NULL);
	if (ac->preferred->zone != NULL && ac->preferred->zone->nofragment)
		ac->flags |= ALLOC_NOFRAGMENT;
	if (state->has_cma && ac->type == MT_MOVABLE)
		ac->flags |= ALLOC_CMA;
	return true;
}

const char *state_zone_name(const struct state *state, const struct zone *zone)
{
	return zonename_in(state->evidence->snapshot, zone->type);
}

uint32_t state_node_id(const struct state *state, uint32_t index)
{
	return state->evidence->snapshot->node[index].id;
}

uint32_t state_node_limit(const struct state *state, uint32_t index)
{
	const struct node *node = &state->machine.nodes[index];
	uint32_t limit = 0;

	for (uint32_t slot = 0; slot < ZONE_DEVICE; slot++)
		if (zone_managed(&node->zone[slot]) != 0)
			limit = slot;
	return limit;
}

uint64_t state_zone_drift(const struct state *state, const struct zone *zone)
{
	const struct snapshot *snapshot = state->evidence->snapshot;
	const struct snapshot_zone *from = &snapshot->node[zone->node].zone[zone->type];
	uint64_t drift = 0;

	for (uint32_t cpu = cpumask_next(&snapshot->online, 0); cpu < NEAP_MAX_CPUS;
	     cpu = cpumask_next(&snapshot->online, cpu + 1))
		drift += from->pageset[cpu].threshold;
	return drift;
}
