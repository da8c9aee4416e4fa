/*
 * From the lines of a Mem-Info block to its numbers.
 *
 *     free:153 free_pcp:128        memory->pages
 *     Node 0 active_anon:...       memory->node[]
 *     Node 0 DMA32 free:...        memory->zone[]   <- lowmem_reserve[] of the zone above it
 *     Node 0 DMA32: 19*4kB (UME)   the same zone, found by node and name
 *     754 total pagecache pages    memory->pagecache_pages ...
 *
 * Lines come in any order that a log may have them in; a line that repeats one before
 * replaces it. The size of a page is that of the smallest free block: the only place
 * where the text says it.
 *
 * lowmem_reserve has one number for each zone that the kernel was built with, populated
 * or not, and nothing says which these are. A 64-bit PC has five (DMA, DMA32, Normal,
 * Movable, Device) or four; a 32-bit one has HighMem after Normal; small machines have
 * no zone for DMA.
 *
 * What must never happen: an array index taken from the text before it was compared
 * with the size of the array.
 *
 * Linux: __show_mem() of mm/show_mem.c (mm/page_alloc.c in 6.1).
 */
#include "text/report_memory.h"

#include <string.h>

#define PAGE_SHIFT_MAX 6u /* 64 KiB */

void report_memory_init(struct report_memory *memory)
{
	memset(memory, 0, offsetof(struct report_memory, node));
	memory->page_kb = 4;
	memory->last_node = -1;
}

uint64_t report_values_get(const struct report_values *values, enum report_item item)
{
	return values->value[item];
}

bool report_values_has(const struct report_values *values, enum report_item item)
{
	return (values->has >> item & 1) != 0;
}

static void values_set(struct report_values *values, const struct report_line *line)
{
	_Static_assert(NR_REPORT_ITEMS <= 64, "has is a mask");
	for (uint32_t i = 0; i < line->nr_values; i++) {
		uint32_t item = line->value[i].item;

		if (item >= NR_REPORT_ITEMS)
			continue;
		values->value[item] = line->value[i].value;
		values->has |= (uint64_t)1 << item;
	}
}

static const char *const kind_names[NR_PLAN_KINDS] = {
	[PLAN_DMA] = "DMA",	    [PLAN_DMA32] = "DMA32",	[PLAN_NORMAL] = "Normal",
	[PLAN_HIGHMEM] = "HighMem", [PLAN_MOVABLE] = "Movable", [PLAN_DEVICE] = "Device",
};

enum plan_kind report_zone_kind(const struct logline_slice *name)
{
	for (uint32_t kind = 0; kind < NR_PLAN_KINDS; kind++)
		if (strlen(kind_names[kind]) == name->bytes &&
		    memcmp(kind_names[kind], name->at, name->bytes) == 0)
			return (enum plan_kind)kind;
	return NR_PLAN_KINDS;
}

const char *report_kind_name(enum plan_kind kind)
{
	return kind < NR_PLAN_KINDS ? kind_names[kind] : "?";
}

static struct report_node *find_node(struct report_memory *memory, uint32_t id)
{
	for (uint32_t i = 0; i < memory->nr_nodes; i++)
		if (memory->node[i].id == id)
			return &memory->node[i];
	if (memory->nr_nodes == NEAP_MAX_NODES)
		return NULL;
	struct report_node *node = &memory->node[memory->nr_nodes++];

	memset(node, 0, sizeof(*node));
	node->id = id;
	return node;
}

static struct report_zone *find_zone(struct report_memory *memory, uint32_t node,
				     enum plan_kind kind)
{
	for (uint32_t i = 0; i < memory->nr_zones; i++)
		if (memory->zone[i].node == node && memory->zone[i].kind == kind)
			return &memory->zone[i];
	if (memory->nr_zones == REPORT_ZONES_MAX || kind == NR_PLAN_KINDS)
		return NULL;
	struct report_zone *zone = &memory->zone[memory->nr_zones++];

	memset(zone, 0, sizeof(*zone));
	zone->node = node;
	zone->kind = kind;
	return zone;
}

/* The node that a line is about: one it names, or the last that was named. */
static uint32_t line_node(struct report_memory *memory, const struct report_line *line)
{
	if (line->node >= 0)
		memory->last_node = line->node;
	return memory->last_node >= 0 ? (uint32_t)memory->last_node : 0;
}

static void take_blocks(struct report_memory *memory, struct report_zone *zone,
			const struct report_line *line)
{
	uint32_t smallest = line->value[0].size_shift;

	zone->has_blocks = true;
	zone->blocks_kb = line->value[line->nr_values - 1].value;
	memset(zone->nr_free, 0, sizeof(zone->nr_free));
	memset(zone->nonempty, 0, sizeof(zone->nonempty));
	/* A list that lost its beginning begins with no page of any processor. */
	if (smallest > PAGE_SHIFT_MAX)
		smallest = 2;
	memory->page_kb = 1u << smallest;
	for (uint32_t i = 0; i + 1 < line->nr_values; i++) {
		const struct report_value *value = &line->value[i];
		uint32_t order = value->size_shift - smallest;

		if (value->size_shift < smallest || order >= REPORT_ORDERS)
			continue;
		zone->nr_free[order] = value->value;
		for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
			if (value->item & (1u << type))
				zone->nonempty[type] |= (uint16_t)(1u << order);
	}
}

static void take_reserve(struct report_memory *memory, const struct report_line *line)
{
	if (memory->nr_zones == 0)
		return;
	struct report_zone *zone = &memory->zone[memory->nr_zones - 1];

	zone->nr_reserve = min_u32(line->nr_values, NEAP_NR_ZONES);
	for (uint32_t i = 0; i < zone->nr_reserve; i++)
		zone->reserve_pages[i] = line->value[i].value;
}

static void take_values(struct report_memory *memory, const struct report_line *line)
{
	uint32_t id = line_node(memory, line);
	struct report_zone *zone = NULL;
	struct report_node *node = NULL;

	if (line->kind == REPORT_NODE)
		node = find_node(memory, id);
	else
		zone = find_zone(memory, id, report_zone_kind(&line->word[0]));
	if (node != NULL)
		values_set(&node->kb, line);
	if (zone == NULL)
		return;
	if (line->kind == REPORT_ZONE)
		values_set(&zone->kb, line);
	else
		take_blocks(memory, zone, line);
}

bool report_memory_take(struct report_memory *memory, const struct report_line *line)
{
	uint64_t first = line->nr_numbers > 0 ? line->number[0] : 0;

	switch (line->kind) {
	case REPORT_GLOBAL:
		values_set(&memory->pages, line);
		return true;
	case REPORT_NODE:
	case REPORT_ZONE:
	case REPORT_BLOCKS:
		take_values(memory, line);
		return true;
	case REPORT_RESERVE:
		take_reserve(memory, line);
		return true;
	case REPORT_PAGECACHE:
		memory->pagecache_pages = first;
		return true;
	case REPORT_SWAPCACHE:
		memory->swapcache_pages = first;
		return true;
	case REPORT_SWAP_FREE:
		memory->swap_free_kb = first;
		return true;
	case REPORT_SWAP_TOTAL:
		memory->swap_total_kb = first;
		memory->has_swap = true;
		return true;
	case REPORT_RAM:
		memory->ram_pages = first;
		memory->has_ram = true;
		return true;
	case REPORT_HIGHMEM:
		memory->highmem_pages = first;
		return true;
	case REPORT_RESERVED:
		memory->reserved_pages = first;
		memory->complete = true;
		return true;
	case REPORT_CMA_PAGES:
		memory->cma_pages = first;
		memory->has_cma = true;
		return true;
	case REPORT_POISONED:
		memory->poisoned_pages = first;
		return true;
	default:
		return line->kind == REPORT_MEMINFO || line->kind == REPORT_HUGE ||
		       line->kind == REPORT_SWAP_STATS;
	}
}

uint32_t report_memory_columns(const struct report_memory *memory,
			       enum plan_kind kind[NEAP_NR_ZONES])
{
	uint32_t columns = 0, seen = 0, nr = 0;

	for (uint32_t i = 0; i < memory->nr_zones; i++) {
		columns = max_u32(columns, memory->zone[i].nr_reserve);
		seen |= 1u << memory->zone[i].kind;
	}
	bool narrow = (seen & (1u << PLAN_HIGHMEM)) != 0 || memory->highmem_pages != 0;
	bool dma = (seen & (1u << PLAN_DMA)) != 0;
	bool dma32 = (seen & (1u << PLAN_DMA32)) != 0;

	/* Normal and Movable are always there; the rest by what is seen, then what is missing. */
	uint32_t have = 2 + (narrow ? 1u : 0) + (dma ? 1u : 0) + (dma32 ? 1u : 0);

	if (!dma && !narrow && columns >= 4) {
		dma = true;
		have++;
	}
	if (!dma32 && !narrow && columns > have) {
		dma32 = true;
		have++;
	}
	if (!dma && columns > have) {
		dma = true;
		have++;
	}
	const bool built[NR_PLAN_KINDS] = {
		[PLAN_DMA] = dma,	 [PLAN_DMA32] = dma32,	[PLAN_NORMAL] = true,
		[PLAN_HIGHMEM] = narrow, [PLAN_MOVABLE] = true, [PLAN_DEVICE] = columns > have,
	};

	for (uint32_t i = 0; i < NR_PLAN_KINDS && nr < NEAP_NR_ZONES; i++)
		if (built[i])
			kind[nr++] = (enum plan_kind)i;
	return nr;
}
