/*
 * Numbers of the counters in vmstat_items.def. Pure declarations: text and diag
 * include this header, too.
 */
#ifndef NEAP_CORE_VMSTAT_IDS_H
#define NEAP_CORE_VMSTAT_IDS_H

enum zone_item {
#define ZONE_ITEM(id, name) id,
#include "core/vmstat_items.def"
	NR_ZONE_ITEMS
};

enum numa_item {
#define NUMA_ITEM(id, name) id,
#include "core/vmstat_items.def"
	NR_NUMA_ITEMS
};

enum node_item {
#define NODE_ITEM(id, name) id,
#include "core/vmstat_items.def"
	NR_NODE_ITEMS
};

/* A CPU's meter: events first, then the hidden items. */
enum meter_item {
#define EVENT_ITEM(id, name) EV_##id,
#include "core/vmstat_items.def"
	NR_EVENT_ITEMS,
	METER_BEFORE_HIDDEN = NR_EVENT_ITEMS - 1,
#define HIDDEN_ITEM(id, name) EV_##id,
#include "core/vmstat_items.def"
	NR_METER_ITEMS
};

#endif
