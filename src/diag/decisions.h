/*
 * The order of decisions in a trace, and two of them side by side.
 */
#ifndef NEAP_DIAG_DECISIONS_H
#define NEAP_DIAG_DECISIONS_H

#include "text/buf.h"
#include "text/trace_read.h"

#define DECISIONS_COMPARED_MAX 6000u /* of each side; the rest is only counted */

/* What happened up to some event. */
struct decisions_state {
	uint64_t time_ns; /* since the first event of the log */
	uint64_t kswapd_scanned_pages, kswapd_reclaimed_pages;
	uint64_t direct_scanned_pages, direct_reclaimed_pages;
	uint64_t nr_wakeups; /* allocations that asked for kswapd */
};

struct decision {
	char text[72]; /* "kswapd wake nid=0 order=0" */
	uint64_t hash; /* of the text */
	struct decisions_state state;
};

/* Sums over one trace, for the evidence beside counters that disagree. */
struct decisions_sums {
	uint64_t nr_wakeups, nr_kswapd_runs, nr_kswapd_sleeps, nr_direct, nr_compactions;
	uint64_t direct_got_pages; /* what direct reclaim said it reclaimed */
	struct decisions_shrink {
		uint64_t nr, scanned, reclaimed, dirty, writeback, activated, kept;
	} shrink[4]; /* kswapd anon, kswapd file, direct anon, direct file */
	uint64_t nr_shrink_active, deactivated;
	uint64_t nr_slab_scans, slab_scanned;
};

struct decisions {
	struct decision *list; /* nr of them */
	uint32_t nr, room;
	struct decisions_sums sums;
	uint64_t nr_lost; /* events that the recorder dropped: the end is missing then */
};

/*
 * The decisions of a log that is in order of time: kswapd's wakes and sleeps, the begins and ends
 * of direct reclaim and compaction, with their arguments. Free with decisions_free().
 * => 0 or -ENOMEM
 */
MUST_CHECK int decisions_from_log(const struct trace_log *log, struct decisions *out);
void decisions_free(struct decisions *decisions);

struct decisions_difference {
	uint32_t compared[2]; /* how many of each side: the kernel's, ours */
	uint32_t distance;    /* insertions, deletions and replacements from one to the other */
	uint32_t first;	      /* number of the first that differs; UINT32_MAX: none does */
};

/* => 0 and *out, or -ENOMEM */
MUST_CHECK int decisions_compare(const struct decisions *kernel, const struct decisions *ours,
				 struct decisions_difference *out);

/* Appends the comparison as text: sums of both sides, distance, the place of the divergence. */
void decisions_print(const struct decisions *kernel, const struct decisions *ours,
		     const struct decisions_difference *difference, struct text_buf *out);

#endif
