/*
 * Watermarks, min_free_kbytes, lowmem protection, boost: pure arithmetic first,
 * then the functions that store its results (spec 03, spec 01 section 6).
 */
#ifndef NEAP_CORE_MARKS_H
#define NEAP_CORE_MARKS_H

#include "core/machine.h"

struct marks_input {
	uint64_t min_free_kbytes;
	uint64_t scale_factor;	/* 1/10000 of managed */
	uint64_t managed;	/* of the zone, pages */
	uint64_t managed_total; /* of all zones that share min_free_kbytes, pages */
	/*
	 * The zone has a small minimum of its own instead of its share: HighMem, and Movable from
	 * 6.18 on.
	 */
	bool apart;
	uint64_t extra; /* pages between min and low beside the gap: Android's extra_free_kbytes */
	uint64_t page_kb; /* KiB of a page; 0 means 4 */
	/* No watermark_scale_factor yet: low and high are a quarter and a half above min. */
	bool halves;
};

struct marks_terms {
	uint64_t share;		     /* the zone's part of min_free_kbytes, pages */
	uint64_t gap_min, gap_scale; /* the two candidates for the gap */
	uint64_t gap;		     /* the larger one */
	uint64_t extra;		     /* as given */
	bool apart;		     /* min is not the share */
	uint64_t min, low, high, promo;
};

/* Formula of spec 03, section 3. */
void marks_compute(const struct marks_input *in, struct marks_terms *out);
/* Automatic min_free_kbytes for `kbytes` of low memory: clamp(isqrt(16 * kbytes), 128, 262144). */
uint64_t marks_auto_min_free_kbytes(uint64_t low_kbytes);
/* floor(sum of managed / ratio), spec 01 section 6; 0 if ratio is 0. */
uint64_t marks_protection(uint64_t managed_above, int32_t ratio);

/* Recomputes marks of all zones, totalreserve, per-CPU limits. Clears boosts. */
void marks_setup(struct task *t, struct neap_machine *m);
/* Protection arrays of all zones. */
void marks_setup_protection(struct neap_machine *m);
/* The limits of node reclaim, by min_unmapped_ratio and min_slab_ratio. */
void marks_setup_ratios(struct neap_machine *m);
/*
 * Memory has come or gone: all that boot computes of the zones' sizes is computed again. While huge
 * pages are on, min_free_kbytes is raised for them afterwards. => machine.sysctl_lock held
 */
void marks_setup_sizes(struct task *t, struct neap_machine *m);
/* Huge pages were switched off: the automatic min_free_kbytes if it is larger, and marks. */
void marks_setup_automatic(struct task *t, struct neap_machine *m);
/* Huge pages were switched on: min_free_kbytes is raised to what they want, and marks. */
void marks_setup_raised(struct task *t, struct neap_machine *m);
/*
 * The amount of free pages above which the zone serves a plain request of order 0 with this limit
 * (one without rights, at the low mark): zone.plain_above. INT64_MAX if more is to be asked than
 * marks and amounts: it has a contiguous area, kswapd is to be woken, or types are not kept apart.
 */
int64_t marks_plain_above(const struct zone *zone, uint32_t limit);
/*
 * zone.plain_above is computed again: a mark, boost, a protection, the reserve of HighAtomic
 * pageblocks, ZONE_BOOSTED, cma or mobility_disabled has changed. May be called by several at once,
 * each after its own change. Never sleeps, needs no lock.
 */
void marks_refresh(struct zone *zone);
/* First values at build: automatic min_free_kbytes, marks, protection, thresholds. */
void marks_init(struct task *t, struct neap_machine *m);
/*
 * A block of another type was taken (spec 03, section 5). => zone lock held; true if a boost was
 * applied
 */
bool marks_boost(struct task *t, struct zone *zone);

#endif
