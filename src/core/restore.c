/*
 * restore.c: an allocator in a state that was recorded elsewhere.
 *
 *     restore_begin()          all frames used, all lists empty
 *     restore_pageblocks()     types
 *     restore_free_block()     free lists, head first  ─┐
 *     restore_pcp_block()      per-CPU lists            ├─ a frame can be placed once
 *     restore_used_block()     blocks in use            ┘
 *     restore_*_numbers()      marks, counts, differences, kswapd's request
 *     restore_end()            sums; every list checked
 *
 * The machine was built the usual way, so zones, zonelists and arrays are there; only
 * what changes while it runs is replaced. Nothing is recomputed: a mark, a limit or a
 * counter is what was recorded, whether or not this engine would have come to it.
 * That is the point: the next request then meets what the recorded kernel's met.
 *
 *     frame:   used, 1 reference ──placed──> head of a block, 0 references
 *                                 └────────> inside of a block: all zero
 *
 * A used frame is known by its flags (place only) and its one reference. Placing takes
 * both away, so a second block over the same frame is refused.
 *
 * What a recording cannot say is chosen plainly: a used frame is no part of a larger
 * block and not on an LRU list; nothing is isolated, dirty or mapped.
 *
 * What must never happen: a frame in two places, or a state accepted whose lists do not
 * add up to its counts: the engine's own checks would stop the program later.
 *
 * Linux has no counterpart.
 */
#include "core/restore.h"

#include <errno.h>
#include <string.h>

#include "core/alloc_path.h"
#include "core/buddy.h"
#include "core/marks.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/vmstat.h"

static void restore_zone_empty(struct neap_machine *m, struct zone *zone)
{
	/* Of whole pageblocks: a pair may be told of in the word of the buddy outside. */
	const uint32_t words = NEAP_PAGEBLOCK_PAGES >> PAIRS_SHIFT;
	uint32_t first = (zone->start_pfn >> PAGEBLOCK_SHIFT) * words;
	uint32_t last = ((zone_end(zone) - 1) >> PAGEBLOCK_SHIFT) * words + words - 1;

	memset(&m->pairs[first], 0, (last - first + 1) * sizeof(m->pairs[0]));
	memset(zone->area, 0, sizeof(zone->area));
	for (uint32_t type = 0; type < NR_TYPES; type++)
		atomic_store(&zone->nonempty[type], 0);
	zone->nr_isolated_blocks = 0;
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct pcp *pcp = &zone->pcp[cpu];

		for (uint32_t i = 0; i < NR_PCP_LISTS; i++) {
			pcp->list[i].first = pcp->list[i].end = pcp->list[i].room;
			pcp->list[i].mixed = false;
		}
		memset(pcp->diff, 0, sizeof(pcp->diff));
		racy_write(pcp->count, 0);
	}
	for (uint32_t i = 0; i < zone_spanned(zone); i++) {
		struct page *page = &m->pages[zone->start_pfn + i];

		memset(page, 0, sizeof(*page));
		atomic_store(&page->flags, page_place(zone->node, zone->type));
		atomic_store(&page->refs, 1);
	}
}

void restore_begin(struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++)
			if (zone_populated(&m->nodes[n].zone[i]))
				restore_zone_empty(m, &m->nodes[n].zone[i]);
}

int restore_pageblocks(struct neap_machine *m, uint32_t pfn, uint32_t nr, uint32_t type)
{
	uint64_t first = pfn >> PAGEBLOCK_SHIFT;

	if (type >= NR_TYPES || first + nr > ((uint64_t)m->max_pfn >> PAGEBLOCK_SHIFT) + 1)
		return -EINVAL;
	memset(&m->block_type[first], (int)type, nr);
	return 0;
}

/* => whether all frames of the block are used ones of the zone, nowhere placed */
static bool block_is_unplaced(const struct zone *zone, uint32_t pfn, uint32_t order)
{
	const struct page *page = &zone->machine->pages[pfn];
	uint64_t place = page_place(zone->node, zone->type);
	uint64_t offset = (uint64_t)pfn - zone->start_pfn;

	if (order > NEAP_MAX_ORDER || (pfn & ((1u << order) - 1)) != 0)
		return false;
	if (pfn < zone->start_pfn || offset + ((uint64_t)1 << order) > zone_spanned(zone))
		return false;
	for (uint32_t i = 0; i < 1u << order; i++)
		if (page_flags(&page[i]) != place || page_refs(&page[i]) != 1)
			return false;
	return true;
}

static void block_clear(struct zone *zone, uint32_t pfn, uint32_t order)
{
	memset(&zone->machine->pages[pfn], 0, sizeof(struct page) << order);
}

int restore_free_block(struct zone *zone, uint32_t pfn, uint32_t order, uint32_t type)
{
	if (type >= NR_TYPES || !block_is_unplaced(zone, pfn, order))
		return -EINVAL;
	block_clear(zone, pfn, order);
	buddy_append(zone, pfn, order, type);
	return 0;
}

int restore_pcp_block(struct zone *zone, uint32_t cpu, uint32_t index, uint32_t pfn, uint32_t type)
{
	struct neap_machine *m = zone->machine;
	uint32_t order = pcp_list_order(index);

	if (type == MT_ISOLATE || type >= NR_TYPES || !block_is_unplaced(zone, pfn, order) ||
	    pcp_list_index(order, type < NR_PCP_TYPES ? type : MT_MOVABLE) != index)
		return -EINVAL;
	if (!pcp_list_add_oldest(m, &zone->pcp[cpu].list[index], pfn))
		return -ENOMEM;
	if (type >= NR_PCP_TYPES)
		zone->pcp[cpu].list[index].mixed = true;
	block_clear(zone, pfn, order);
	atomic_store(&m->pages[pfn].flags, pcp_page_flags(zone, order, type));
	racy_add(zone->pcp[cpu].count, 1u << order);
	return 0;
}

int restore_used_block(struct zone *zone, uint32_t pfn, uint32_t order)
{
	if (!block_is_unplaced(zone, pfn, order))
		return -EINVAL;
	alloc_prepare_block(zone, pfn, order, false);
	return 0;
}

void restore_zone_numbers(struct zone *zone, const struct restore_zone *numbers)
{
	atomic_store(&zone->managed, numbers->managed);
	for (uint32_t i = 0; i < NR_WMARKS; i++)
		atomic_store(&zone->mark[i], numbers->mark[i]);
	atomic_store(&zone->boost, numbers->boost);
	for (uint32_t i = 0; i < NR_ZONES; i++)
		atomic_store(&zone->reserve[i], numbers->reserve[i]);
	atomic_store(&zone->drift_mark, numbers->drift_mark);
	atomic_store(&zone->flags, numbers->flags);
	atomic_store(&zone->nr_reserved_highatomic, numbers->highatomic);
	atomic_store(&zone->stat[NR_FREE_PAGES], numbers->free);
	marks_refresh(zone);
}

int restore_pcp_numbers(struct zone *zone, uint32_t cpu, const struct restore_pcp *numbers)
{
	struct pcp *pcp = &zone->pcp[cpu];

	if (numbers->diff < INT8_MIN || numbers->diff > INT8_MAX || numbers->threshold < 0 ||
	    numbers->threshold > INT8_MAX || numbers->free_factor > 30 || numbers->batch == 0)
		return -EINVAL;
	racy_write(pcp->high, numbers->high);
	racy_write(pcp->batch, numbers->batch);
	pcp->free_factor = numbers->free_factor;
	pcp->expire = numbers->expire;
	pcp->threshold = numbers->threshold;
	pcp->diff[NR_FREE_PAGES] = (int8_t)numbers->diff;
	return 0;
}

void restore_node_numbers(struct node *node, const struct restore_node *numbers)
{
	atomic_store(&node->kswapd_failures, numbers->failures);
	atomic_store(&node->kswapd_order, numbers->order);
	atomic_store(&node->kswapd_highest_zone, numbers->highest);
	atomic_store(&node->kswapd_sleeping, numbers->sleeping ? 1 : 0);
}

/* Isolated pageblocks change how lists are flushed; the zone counts them. */
static uint64_t count_isolated(const struct zone *zone)
{
	uint64_t end = zone_end(zone);
	uint64_t nr = 0;

	for (uint64_t pfn = zone->start_pfn; pfn < end; pfn += NEAP_PAGEBLOCK_PAGES)
		nr += pageblock_type(zone->machine, (uint32_t)pfn) == MT_ISOLATE ? 1 : 0;
	return nr;
}

static const char *restore_zone_check(const struct zone *zone)
{
	const char *wrong = buddy_verify(zone);
	int64_t counted = atomic_load(&((struct zone *)(uintptr_t)zone)->stat[NR_FREE_PAGES]);

	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++) {
		if (wrong == NULL)
			wrong = pcp_verify(zone, cpu);
		counted += zone->pcp[cpu].diff[NR_FREE_PAGES];
	}
	if (wrong == NULL && counted != (int64_t)buddy_count_free(zone))
		wrong = "the free lists do not add up to the count of free pages";
	return wrong;
}

const char *restore_end(struct neap_machine *m)
{
	const char *wrong = NULL;
	int64_t free_pages = 0;

	for (uint32_t i = 0; i < m->nr_nodes * NR_ZONES && wrong == NULL; i++) {
		struct zone *zone = &m->nodes[i / NR_ZONES].zone[i % NR_ZONES];

		if (!zone_populated(zone))
			continue;
		zone->nr_isolated_blocks = count_isolated(zone);
		wrong = restore_zone_check(zone);
		free_pages += atomic_load(&zone->stat[NR_FREE_PAGES]);
	}
	atomic_store(&m->zone_stat[NR_FREE_PAGES], free_pages);
	return wrong;
}
