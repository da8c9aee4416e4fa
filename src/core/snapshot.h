/*
 * A snapshot: what a machine's /proc files say, as plain numbers.
 *
 * core fills it (snapshot_take), src/text writes it in Linux's formats, src/diag
 * reasons about it, and the parsers of src/text can fill one from a real
 * machine's files. All amounts are in pages unless the name says otherwise.
 * Numbers of one snapshot are taken piecewise, as Linux takes them: they may
 * disagree by changes in flight.
 *
 * Memory: one block, allocated by the caller with snapshot_bytes(); no pointers
 * into the machine.
 */
#ifndef NEAP_CORE_SNAPSHOT_H
#define NEAP_CORE_SNAPSHOT_H

#include "base/base.h"
#include "base/cpumask.h"
#include "core/vmstat_ids.h"

#define NEAP_MAX_NODES 64u
#define NEAP_NR_ZONES 5u /* DMA, DMA32, Normal, Movable, Device (spec 01, section 2) */
#define NEAP_NR_ORDERS 11u
#define NEAP_NR_TYPES 6u /* migrate types, CMA included */
#define NEAP_MAX_SWAPS 29u
#define SNAPSHOT_MAX_SYSCTLS 96u
#define SNAPSHOT_PSI_AVERAGES 3u /* over 10, 60 and 300 seconds */

/*
 * The slots of a node's zones. A 32-bit kernel has HighMem above Normal and no Device: in a
 * snapshot with has_highmem, slot ZONE_MOVABLE is HighMem and slot ZONE_DEVICE is Movable.
 */
enum zone_type {
	ZONE_DMA,
	ZONE_DMA32,
	ZONE_NORMAL,
	ZONE_MOVABLE,
	ZONE_DEVICE,
};

enum migrate_type {
	MT_UNMOVABLE,
	MT_MOVABLE,
	MT_RECLAIMABLE,
	MT_HIGHATOMIC,
	MT_CMA,
	MT_ISOLATE,
};

struct snapshot_pageset {
	uint32_t count;
	uint32_t high;
	uint32_t batch;
	uint32_t threshold;
};

struct snapshot_zone {
	uint32_t node;
	uint32_t type; /* enum zone_type */
	uint64_t free;
	uint64_t boost, min, low, high, promo; /* marks include the boost */
	uint64_t spanned, present, managed, cma;
	uint64_t start_pfn;
	uint64_t protection[NEAP_NR_ZONES];
	uint64_t stat[NR_ZONE_ITEMS];
	uint64_t numa[NR_NUMA_ITEMS];
	uint64_t nr_free[NEAP_NR_ORDERS];
	uint64_t nr_free_type[NEAP_NR_TYPES][NEAP_NR_ORDERS];
	uint64_t nr_blocks[NEAP_NR_TYPES]; /* pageblocks of each type */
	uint64_t nr_reserved_highatomic;
	bool node_unreclaimable;
	struct snapshot_pageset pageset[NEAP_MAX_CPUS]; /* by CPU; valid for online CPUs */
};

struct snapshot_node {
	uint32_t id;
	bool has_memory;
	bool online; /* it has memory or CPUs */
	struct cpumask cpus;
	uint64_t huge_total, huge_free, huge_surplus; /* pool pages of 2 MiB on this node */
	uint32_t distance[NEAP_MAX_NODES];
	uint64_t stat[NR_NODE_ITEMS]; /* base pages; the writers divide the huge items */
	struct snapshot_zone zone[NEAP_NR_ZONES];
};

struct snapshot_swap {
	char path[256];
	bool is_file;	     /* "file" or "partition" */
	uint64_t size_pages; /* usable slots, header excluded */
	uint64_t used_pages;
	int32_t priority;
};

/* A file of /proc/sys/vm: its name there, and what a read gives without the newline. */
struct snapshot_sysctl {
	char name[40];
	char value[64];
};

/* One line of /proc/pressure/memory. */
struct snapshot_psi {
	uint32_t average_hundredths[SNAPSHOT_PSI_AVERAGES]; /* 1/100 percent */
	uint64_t total_us;
};

/* Policy of transparent huge pages: the bracketed word of .../transparent_hugepage/enabled. */
enum snapshot_thp {
	SNAPSHOT_THP_UNKNOWN, /* no file said it; the reference kernel's is "always" from 512 MiB */
	SNAPSHOT_THP_ALWAYS,
	SNAPSHOT_THP_MADVISE,
	SNAPSHOT_THP_NEVER,
};

struct snapshot {
	uint64_t time_ns;
	uint32_t nr_nodes;
	uint32_t nr_swaps;
	struct cpumask online;
	uint32_t nr_cpus_beyond; /* CPUs with a number too high for the mask */
	uint32_t page_kb;	 /* KiB of a page; 0 means 4; 16 or 64 on some arm64 kernels */
	uint32_t zones_listed;	 /* bit = slot: the kernel was built with such a zone */
	bool has_highmem;	 /* see enum zone_type; no machine of neap can be like that */
	uint64_t zone_stat[NR_ZONE_ITEMS]; /* machine-wide sums, deltas not folded */
	uint64_t numa[NR_NUMA_ITEMS];	   /* folded */
	uint64_t node_stat[NR_NODE_ITEMS];
	uint64_t dirty_threshold, dirty_background_threshold;
	uint64_t event[NR_METER_ITEMS]; /* pgpgin, pgpgout in sectors, as kept */
	uint64_t total_pages;		/* sum of managed */
	uint64_t reserve_pages;		/* totalreserve: spec 01, section 6 */
	uint64_t available_pages;	/* MemAvailable */
	uint64_t buffers_pages;
	uint64_t swapcache_pages;
	uint64_t swap_total_pages, swap_free_pages;
	uint64_t commit_limit_pages, committed_pages;
	uint64_t vmalloc_total_kb, vmalloc_used_kb;
	uint64_t percpu_kb;
	uint64_t direct_map_kb[3];				     /* 4k, 2M, 1G */
	uint64_t huge_total, huge_free, huge_reserved, huge_surplus; /* pool pages of 2 MiB */
	struct snapshot_swap swap[NEAP_MAX_SWAPS];
	struct snapshot_psi psi_some, psi_full; /* memory pressure */
	enum snapshot_thp thp;
	uint32_t nr_sysctls; /* files that can be read; ascending by name */
	struct snapshot_sysctl sysctl[SNAPSHOT_MAX_SYSCTLS];
	struct snapshot_node node[]; /* nr_nodes */
};

/* KiB of a page. */
static inline uint64_t snapshot_page_kb(const struct snapshot *snapshot)
{
	return snapshot->page_kb != 0 ? snapshot->page_kb : NEAP_PAGE_BYTES / KIB;
}

/* Bytes of a snapshot with room for nr_nodes nodes. */
static inline size_t snapshot_bytes(uint32_t nr_nodes)
{
	return sizeof(struct snapshot) + nr_nodes * sizeof(struct snapshot_node);
}

#endif
