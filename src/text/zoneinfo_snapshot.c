/*
 * /proc/zoneinfo of a machine: from a snapshot to a document.
 *
 *     snapshot.node[n].zone[z]  ->  header [node items] marks protection
 *                                   [zone items, NUMA events, page lists, tail]
 *
 * The rules are those of spec 05, section 1: every zone of every node has its
 * marks and its protection; a node's items come with its first populated zone,
 * and a node without memory has none; everything after protection is for
 * populated zones only; every online CPU has a page list in each of them. min,
 * low and high contain the boost already. promo has no line in 6.1.
 *
 * What must never happen: a line that the parser would not understand as the same
 * line (a test parses what is written here and compares the documents).
 */
#include <errno.h>

#include "text/vmstat.h"
#include "text/zoneinfo.h"
#include "text/zonename.h"

/* Appends one line of a kind, name and value. => 0 or -ENOMEM */
static int add(struct zoneinfo_doc *zoneinfo, enum zoneinfo_kind kind, const char *name,
	       uint64_t value)
{
	struct text_line line = {
		.kind = (uint16_t)kind,
		.known = true,
		.name = name,
		.value = value,
	};

	return text_doc_add(&zoneinfo->doc, &line);
}

static int add_node_items(struct zoneinfo_doc *zoneinfo, const struct snapshot_node *node)
{
	int error = add(zoneinfo, ZONEINFO_NODE_STATS, "", 0);

	for (uint32_t i = 0; i < NR_NODE_ITEMS && error == 0; i++) {
		enum node_item item = (enum node_item)i;
		uint64_t unit = vmstat_node_is_huge(item) ? VMSTAT_HUGE_PAGES : 1;

		error = add(zoneinfo, ZONEINFO_NODE_STAT, vmstat_node_name(item),
			    node->stat[i] / unit);
	}
	return error;
}

static int add_marks(struct zoneinfo_doc *zoneinfo, const struct snapshot_zone *zone)
{
	const struct {
		const char *name;
		uint64_t value;
	} marks[] = {
		{ "boost", zone->boost },     { "min", zone->min },
		{ "low", zone->low },	      { "high", zone->high },
		{ "spanned", zone->spanned }, { "present", zone->present },
		{ "managed", zone->managed }, { "cma", zone->cma },
	};
	struct text_line protection = {
		.kind = ZONEINFO_PROTECTION,
		.known = true,
		.name = "",
	};
	int error = add(zoneinfo, ZONEINFO_FREE, "free", zone->free);

	for (uint32_t i = 0; i < ARRAY_LEN(marks) && error == 0; i++)
		error = add(zoneinfo, ZONEINFO_MARK, marks[i].name, marks[i].value);
	for (uint32_t i = 0; i < NEAP_NR_ZONES && error == 0; i++)
		error = text_doc_add_number(&zoneinfo->doc, &protection, zone->protection[i]);
	return error != 0 ? error : text_doc_add(&zoneinfo->doc, &protection);
}

static int add_zone_items(struct zoneinfo_doc *zoneinfo, const struct snapshot_zone *zone)
{
	int error = 0;

	for (uint32_t i = 0; i < NR_ZONE_ITEMS && error == 0; i++)
		error = add(zoneinfo, ZONEINFO_ZONE_STAT, vmstat_zone_name((enum zone_item)i),
			    zone->stat[i]);
	for (uint32_t i = 0; i < NR_NUMA_ITEMS && error == 0; i++)
		error = add(zoneinfo, ZONEINFO_ZONE_STAT, vmstat_numa_name((enum numa_item)i),
			    zone->numa[i]);
	return error;
}

static int add_pageset(struct zoneinfo_doc *zoneinfo, uint32_t cpu,
		       const struct snapshot_pageset *pageset)
{
	int error = add(zoneinfo, ZONEINFO_CPU, "cpu", cpu);

	if (error == 0)
		error = add(zoneinfo, ZONEINFO_PAGESET, "count", pageset->count);
	if (error == 0)
		error = add(zoneinfo, ZONEINFO_PAGESET, "high", pageset->high);
	if (error == 0)
		error = add(zoneinfo, ZONEINFO_PAGESET, "batch", pageset->batch);
	if (error == 0)
		error = add(zoneinfo, ZONEINFO_THRESHOLD, "vm stats threshold", pageset->threshold);
	return error;
}

static int add_pagesets(struct zoneinfo_doc *zoneinfo, const struct snapshot *snapshot,
			const struct snapshot_zone *zone)
{
	const struct cpumask *online = &snapshot->online;
	int error = add(zoneinfo, ZONEINFO_PAGESETS, "", 0);

	for (uint32_t cpu = cpumask_next(online, 0); cpu < NEAP_MAX_CPUS && error == 0;
	     cpu = cpumask_next(online, cpu + 1))
		error = add_pageset(zoneinfo, cpu, &zone->pageset[cpu]);
	return error;
}

static int add_populated(struct zoneinfo_doc *zoneinfo, const struct snapshot *snapshot,
			 const struct snapshot_zone *zone)
{
	int error = add_zone_items(zoneinfo, zone);

	if (error == 0)
		error = add_pagesets(zoneinfo, snapshot, zone);
	if (error == 0)
		error = add(zoneinfo, ZONEINFO_TAIL, "node_unreclaimable",
			    zone->node_unreclaimable);
	if (error == 0)
		error = add(zoneinfo, ZONEINFO_TAIL, "start_pfn", zone->start_pfn);
	return error;
}

static int add_node(struct zoneinfo_doc *zoneinfo, const struct snapshot *snapshot,
		    const struct snapshot_node *node)
{
	bool items_printed = false;
	int error = 0;

	for (uint32_t i = 0; i < NEAP_NR_ZONES && error == 0; i++) {
		const struct snapshot_zone *zone = &node->zone[i];
		bool populated = zone->present != 0;

		error = add(zoneinfo, ZONEINFO_ZONE, zonename_of(i), node->id);
		if (error == 0 && populated && !items_printed) {
			error = add_node_items(zoneinfo, node);
			items_printed = true;
		}
		if (error == 0)
			error = add_marks(zoneinfo, zone);
		if (error == 0 && populated)
			error = add_populated(zoneinfo, snapshot, zone);
	}
	return error;
}

int zoneinfo_from_snapshot(const struct snapshot *snapshot, struct zoneinfo_doc **out)
{
	struct zoneinfo_doc *zoneinfo = zoneinfo_new();
	int error = zoneinfo != NULL ? 0 : -ENOMEM;

	*out = NULL;
	for (uint32_t i = 0; i < snapshot->nr_nodes && error == 0; i++)
		error = add_node(zoneinfo, snapshot, &snapshot->node[i]);
	if (error == 0)
		error = zoneinfo_index(zoneinfo);
	if (error != 0) {
		zoneinfo_free(zoneinfo);
		return error;
	}
	*out = zoneinfo;
	return 0;
}
