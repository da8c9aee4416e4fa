/*
 * The static arithmetic of a machine: from zone sizes and knobs to marks,
 * protection, per-CPU limits, thresholds and reserves (spec 01, 03, 04).
 *
 * Pure: a plan is plain data, the functions below only compute on it and keep
 * their terms, so that a report can show where each number comes from. A running
 * machine and the commands that reason about a saved one use the same functions.
 *
 * Each function is one of the moments at which Linux recomputes something; what
 * it does not recompute then stays as it was (stale values are real).
 */
#ifndef NEAP_CORE_PLAN_H
#define NEAP_CORE_PLAN_H

#include "core/marks.h"
#include "core/snapshot.h"

/* What a zone is for. Indices of zones depend on the build of the kernel; these do not. */
enum plan_kind {
	PLAN_DMA,
	PLAN_DMA32,
	PLAN_NORMAL,
	PLAN_HIGHMEM, /* 32-bit kernels: memory without a permanent address */
	PLAN_MOVABLE,
	PLAN_DEVICE,
	NR_PLAN_KINDS,
};

struct plan_knobs {
	int64_t min_free_kbytes;
	int64_t user_min_free_kbytes; /* -1: never written */
	int64_t watermark_scale_factor;
	int64_t lowmem_reserve_ratio[NEAP_NR_ZONES];
	int64_t high_fraction; /* percpu_pagelist_high_fraction */
	int64_t min_unmapped_ratio, min_slab_ratio;
	bool thp_raises; /* khugepaged runs: transparent huge pages are always or madvise */
};

struct plan_zone {
	bool populated;
	uint64_t managed;	  /* pages */
	uint64_t extra;		  /* pages that a patched kernel adds below low; 0 in mainline */
	struct marks_terms marks; /* without boost */
	uint64_t boost;
	uint64_t protection[NEAP_NR_ZONES];
	uint64_t above[NEAP_NR_ZONES]; /* term: managed pages of higher zones, to be divided */
	uint32_t batch, high;	       /* per-CPU lists */
	uint64_t high_total;	       /* term: pages shared by the node's CPUs */
	uint32_t high_cpus;	       /* term: among how many */
	int32_t threshold_normal, threshold_pressure;
	uint64_t drift_mark; /* 0: none */
	uint64_t reserve_pages;
};

struct plan {
	struct plan_knobs knobs;
	uint32_t nr_nodes;
	uint32_t nr_cpus;  /* online */
	uint32_t nr_zones; /* of each node; at most NEAP_NR_ZONES */
	enum plan_kind kind[NEAP_NR_ZONES];
	uint64_t page_kb;     /* KiB of a page */
	uint64_t block_pages; /* of a pageblock: what huge pages want depends on it */
	bool movable_apart;   /* 6.18: Movable has a small minimum and no share, like HighMem */
	bool halves;	      /* a kernel without watermark_scale_factor (marks.h) */
	bool six_batches;     /* before 5.14: per-CPU high is 6 batches, whatever the marks */
	uint32_t node_cpus[NEAP_MAX_NODES];
	uint64_t managed_total; /* of all zones: MemTotal */
	uint64_t share_total;	/* term: of the zones that share min_free_kbytes */
	uint64_t reserve_pages;
	uint64_t min_unmapped_pages[NEAP_MAX_NODES];
	uint64_t min_slab_pages[NEAP_MAX_NODES];
	struct plan_zone zone[NEAP_MAX_NODES][NEAP_NR_ZONES];
};

/* Why min_free_kbytes has its value. */
struct plan_min_free_terms {
	uint64_t low_pages;	   /* managed above high marks, zones up to Normal */
	uint64_t automatic_kbytes; /* isqrt(16 * low kB), unclamped */
	uint64_t raise_zones;	   /* populated zones up to Normal */
	uint64_t raise_kbytes;	   /* what huge pages want, after the cap of 5 % */
	bool raise_capped;
};

/* Sums that describe what a setting costs. */
struct plan_totals {
	uint64_t min, low, high; /* sums of the marks */
	uint64_t gap;		 /* sum of low - min */
	uint64_t node_gap_least; /* the smallest such sum of one node that has memory */
};

/* Zones as amd64 has them, default knobs, no memory. */
void plan_init(struct plan *plan);
/* The defaults of a booting 6.1: no value written by anybody. */
void plan_knobs_init(struct plan_knobs *knobs);
/*
 * Sizes and CPUs from a snapshot, marks, boost and limits as it shows them; knobs are the caller's.
 */
void plan_from_snapshot(struct plan *plan, const struct snapshot *snapshot);
/* Whether the zone of this index has a small minimum of its own instead of a share. */
bool plan_zone_apart(const struct plan *plan, uint32_t index);
/* Whether kernel allocations may use the zone of this index: what the automatic value counts. */
bool plan_zone_low(const struct plan *plan, uint32_t index);

/*
 * Marks, boosts (cleared), total reserve, per-CPU limits: what a write of min_free_kbytes
 * recomputes.
 */
void plan_setup_marks(struct plan *plan);
/* Protection arrays and total reserve: any access to lowmem_reserve_ratio. */
void plan_setup_protection(struct plan *plan);
/* Per-CPU batch and high. */
void plan_setup_limits(struct plan *plan);
/* Thresholds and drift marks: boot and hot-plug only. */
void plan_setup_thresholds(struct plan *plan);
/* Limits of node reclaim: boot and their sysctls. */
void plan_setup_ratios(struct plan *plan);
/* Terms of the automatic value and of the huge-page raise, with the marks of this moment. */
void plan_min_free(const struct plan *plan, struct plan_min_free_terms *terms);
/*
 * The automatic value replaces the user's if it is larger. Marks are not recomputed.
 * => whether it did
 */
bool plan_auto_min_free(struct plan *plan);
/* Huge pages raise min_free_kbytes, never lower it; marks stay. => whether they did */
bool plan_raise_min_free(struct plan *plan);
/* Transparent huge pages are switched on or off, as a write to their `enabled` file does. */
void plan_switch_thp(struct plan *plan, bool on);
/*
 * What boot does, in its order: marks, thresholds, protection, ratios. All of it on a kernel that
 * is built without transparent huge pages.
 */
void plan_boot_early(struct plan *plan);
/*
 * The same, and then huge pages raise min_free_kbytes, or, switched off by the command line, have
 * it computed a second time, now with the high marks subtracted. Below 512 MiB they begin switched
 * off and do neither.
 */
void plan_boot(struct plan *plan);
/* Puts the plan's results into a snapshot's zones. */
void plan_to_snapshot(const struct plan *plan, struct snapshot *snapshot);

/* Sums over all zones, without boosts. */
void plan_sum(const struct plan *plan, struct plan_totals *totals);
/* The managed pages of all zones changed: brings the sums up to date. */
void plan_count(struct plan *plan);

/*
 * The invariants of marks and protection that hold after a recomputation (plan.c).
 * => NULL, or which one is violated
 */
const char *plan_verify(const struct plan *plan);

#endif
