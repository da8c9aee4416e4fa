/*
 * From a zoneinfo document to a snapshot: the way back of zoneinfo_snapshot.c.
 *
 *     zones of the document, any order     snapshot
 *     (node 0, DMA) (node 0, DMA32) ...    node[] ascending by id, zone[] by type
 *
 * A saved zoneinfo is where most of a machine's description comes from: sizes,
 * marks, protection, page lists and the levels per zone. The first pass collects
 * the node ids, the second fills zones, the third sums up.
 *
 * protection has one column a zone of the node, in the order in which the file
 * lists them; columns are moved to the types they stand for, so that files of
 * kernels without zone DMA or Device come out right.
 *
 * What must never happen: an index from the file used before it was compared
 * with the size of its array.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/mem.h"
#include "text/vmstat.h"
#include "text/zoneinfo.h"
#include "text/zonename.h"

#define DISTANCE_LOCAL 10u
#define DISTANCE_REMOTE 20u

/* The node ids of a file, ascending. */
struct node_ids {
	uint32_t id[NEAP_MAX_NODES];
	uint32_t count;
};

/* The position of a node's id; ids->count if it is not there. */
static uint32_t ids_find(const struct node_ids *ids, uint64_t id)
{
	uint32_t at = 0;

	while (at < ids->count && ids->id[at] != id)
		at++;
	return at;
}

/* Enters an id in its place. => false if there are too many */
static bool ids_add(struct node_ids *ids, uint32_t id)
{
	uint32_t at = ids->count;

	if (ids_find(ids, id) < ids->count)
		return true;
	if (ids->count == NEAP_MAX_NODES)
		return false;
	for (; at > 0 && ids->id[at - 1] > id; at--)
		ids->id[at] = ids->id[at - 1];
	ids->id[at] = id;
	ids->count++;
	return true;
}

static struct snapshot *new_snapshot(const struct node_ids *ids)
{
	size_t bytes = snapshot_bytes(ids->count);
	struct snapshot *snapshot = text_mem_resize(NULL, bytes);

	if (snapshot == NULL)
		return NULL;
	memset(snapshot, 0, bytes);
	snapshot->nr_nodes = ids->count;
	snapshot->page_kb = NEAP_PAGE_BYTES / KIB;
	for (uint32_t n = 0; n < ids->count; n++) {
		struct snapshot_node *node = &snapshot->node[n];

		node->id = ids->id[n];
		for (uint32_t to = 0; to < ids->count; to++)
			node->distance[to] = n == to ? DISTANCE_LOCAL : DISTANCE_REMOTE;
		for (uint32_t type = 0; type < NEAP_NR_ZONES; type++) {
			node->zone[type].node = node->id;
			node->zone[type].type = type;
		}
	}
	return snapshot;
}

/* Enters "name value" of a zone if the snapshot has a place for it. */
static void fill_mark(struct snapshot_zone *zone, const struct text_line *line)
{
	const struct {
		const char *name;
		uint64_t *field;
	} fields[] = {
		{ "free", &zone->free },
		{ "boost", &zone->boost },
		{ "min", &zone->min },
		{ "low", &zone->low },
		{ "high", &zone->high },
		{ "promo", &zone->promo },
		{ "spanned", &zone->spanned },
		{ "present", &zone->present },
		{ "managed", &zone->managed },
		{ "cma", &zone->cma },
		{ "start_pfn", &zone->start_pfn },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].name, line->name) == 0)
			*fields[i].field = line->value;
	if (strcmp(line->name, "node_unreclaimable") == 0 ||
	    strcmp(line->name, "all_unreclaimable") == 0)
		zone->node_unreclaimable = line->value != 0;
}

/* Whether a zone's counter has this name; before 4.8 "nr_zone_inactive_anon" lacked its "zone_". */
static bool is_zone_item(const char *item, const char *name)
{
	static const char zone[] = "nr_zone_", plain[] = "nr_";

	if (strcmp(item, name) == 0)
		return true;
	return strncmp(item, zone, sizeof(zone) - 1) == 0 &&
	       strncmp(name, plain, sizeof(plain) - 1) == 0 &&
	       strcmp(item + sizeof(zone) - 1, name + sizeof(plain) - 1) == 0;
}

static void fill_zone_item(struct snapshot_zone *zone, const struct text_line *line)
{
	for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
		if (is_zone_item(vmstat_zone_name((enum zone_item)i), line->name))
			zone->stat[i] = line->value;
	for (uint32_t i = 0; i < NR_NUMA_ITEMS; i++)
		if (strcmp(vmstat_numa_name((enum numa_item)i), line->name) == 0)
			zone->numa[i] = line->value;
}

static void fill_node_item(struct snapshot_node *node, const struct text_line *line)
{
	for (uint32_t i = 0; i < NR_NODE_ITEMS; i++) {
		enum node_item item = (enum node_item)i;

		if (strcmp(vmstat_node_name(item), line->name) == 0)
			node->stat[i] =
				line->value * (vmstat_node_is_huge(item) ? VMSTAT_HUGE_PAGES : 1);
	}
}

static void fill_lines(struct snapshot_node *node, struct snapshot_zone *zone,
		       const struct zoneinfo_doc *zoneinfo, const struct zoneinfo_zone *from)
{
	for (uint32_t i = from->first_line; i < from->end_line; i++) {
		const struct text_line *line = &zoneinfo->doc.lines[i];

		switch (line->kind) {
		case ZONEINFO_FREE:
		case ZONEINFO_MARK:
		case ZONEINFO_TAIL:
			fill_mark(zone, line);
			break;
		case ZONEINFO_ZONE_STAT:
			fill_zone_item(zone, line);
			break;
		case ZONEINFO_NODE_STAT:
			fill_node_item(node, line);
			break;
		default:
			break;
		}
	}
}

/* Moves each column of protection to the type of the zone that it stands for. */
static void fill_protection(const struct snapshot *snapshot, struct snapshot_zone *zone,
			    const struct zoneinfo_doc *zoneinfo, const struct zoneinfo_zone *from)
{
	uint32_t column = 0;

	for (uint32_t i = 0; i < zoneinfo->nr_zones && column < from->nr_protection; i++) {
		if (zoneinfo->zones[i].node != from->node)
			continue;
		uint32_t type = zonename_slot(snapshot, zoneinfo->zones[i].name);
		if (type < NEAP_NR_ZONES)
			zone->protection[type] = from->protection[column];
		column++;
	}
}

static uint32_t narrow(uint64_t value)
{
	return (uint32_t)min_u64(value, UINT32_MAX);
}

/* CPUs that the mask has no room for are counted. */
static void fill_pagesets(struct snapshot *snapshot, struct snapshot_zone *zone,
			  const struct zoneinfo_zone *from)
{
	uint32_t beyond = 0;

	for (uint32_t i = 0; i < from->nr_pagesets; i++) {
		const struct zoneinfo_pageset *pageset = &from->pagesets[i];

		if (pageset->cpu >= NEAP_MAX_CPUS) {
			beyond++;
			continue;
		}
		cpumask_set(&snapshot->online, (uint32_t)pageset->cpu);
		zone->pageset[pageset->cpu] = (struct snapshot_pageset){
			.count = narrow(pageset->count),
			.high = narrow(pageset->high),
			.batch = narrow(pageset->batch),
			.threshold = narrow(pageset->threshold),
		};
	}
	snapshot->nr_cpus_beyond = max_u32(snapshot->nr_cpus_beyond, beyond);
}

/* Fills one zone. => NULL, or why it cannot be */
static const char *fill_zone(struct snapshot *snapshot, struct snapshot_node *node,
			     const struct zoneinfo_doc *zoneinfo, const struct zoneinfo_zone *from)
{
	uint32_t type = zonename_slot(snapshot, from->name);
	uint64_t managed;

	if (type == NEAP_NR_ZONES)
		return "no kernel has a zone of this name";
	if (zoneinfo_doc_zone(zoneinfo, from->node, from->name) != from)
		return "it is listed twice";
	struct snapshot_zone *zone = &node->zone[type];
	fill_lines(node, zone, zoneinfo, from);
	/* Before 3.8 a zone did not say how much of it the allocator has. */
	if (!zoneinfo_doc_get(zoneinfo, from, "managed", &managed))
		zone->managed = zone->present;
	fill_protection(snapshot, zone, zoneinfo, from);
	fill_pagesets(snapshot, zone, from);
	node->has_memory = node->has_memory || zone->present != 0;
	node->online = true; /* others are not listed */
	snapshot->zones_listed |= 1u << type;
	return NULL;
}

static bool has_highmem(const struct zoneinfo_doc *zoneinfo)
{
	for (uint32_t i = 0; i < zoneinfo->nr_zones; i++)
		if (strcmp(zoneinfo->zones[i].name, "HighMem") == 0)
			return true;
	return false;
}

/* Machine-wide counters as sums; a vmstat, where there is one, replaces them. */
static void sum_up(struct snapshot *snapshot)
{
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		const struct snapshot_node *node = &snapshot->node[n];

		for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
			snapshot->node_stat[i] += node->stat[i];
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
			const struct snapshot_zone *zone = &node->zone[z];

			snapshot->total_pages += zone->managed;
			for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
				snapshot->zone_stat[i] += zone->stat[i];
			for (uint32_t i = 0; i < NR_NUMA_ITEMS; i++)
				snapshot->numa[i] += zone->numa[i];
		}
	}
	snapshot->swapcache_pages = snapshot->node_stat[NR_SWAPCACHED];
}

int zoneinfo_to_snapshot(const struct zoneinfo_doc *zoneinfo, const char *file_name,
			 struct snapshot **out, struct text_error *err)
{
	struct node_ids ids = { .count = 0 };

	*out = NULL;
	for (uint32_t i = 0; i < zoneinfo->nr_zones; i++) {
		if (ids_add(&ids, (uint32_t)zoneinfo->zones[i].node))
			continue;
		text_error_set(err, file_name, zoneinfo->zones[i].first_line + 1,
			       "the machine has more than %u nodes", NEAP_MAX_NODES);
		return -EINVAL;
	}
	struct snapshot *snapshot = new_snapshot(&ids);
	if (snapshot == NULL)
		return text_error_no_memory(err, file_name);
	snapshot->has_highmem = has_highmem(zoneinfo);
	for (uint32_t i = 0; i < zoneinfo->nr_zones; i++) {
		const struct zoneinfo_zone *from = &zoneinfo->zones[i];
		struct snapshot_node *node = &snapshot->node[ids_find(&ids, from->node)];
		const char *problem = fill_zone(snapshot, node, zoneinfo, from);

		if (problem == NULL)
			continue;
		text_error_set(err, file_name, from->first_line + 1, "node %u, zone %s: %s",
			       node->id, from->name, problem);
		free(snapshot);
		return -EINVAL;
	}
	sum_up(snapshot);
	*out = snapshot;
	return 0;
}
