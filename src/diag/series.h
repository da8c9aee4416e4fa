/*
 * Free pages and marks of a machine's zones over time, and who was at work when.
 */
#ifndef NEAP_DIAG_SERIES_H
#define NEAP_DIAG_SERIES_H

#include "base/base.h"
#include "core/snapshot.h"
#include "text/trace_read.h"

#define SERIES_ZONES_MAX 16u
#define SERIES_BARS_MAX 24u
#define SERIES_NAME_BYTES 16u
#define SERIES_WORKERS_MAX 64u

struct series_sample {
	uint64_t free, min, low, high; /* pages; marks include the boost */
	uint64_t dip; /* how far below `free` it was for a moment since the sample before */
};

struct series_zone {
	uint32_t node;
	char name[SERIES_NAME_BYTES];
	uint64_t managed_pages;
};

struct series_span {
	uint64_t from_ns, to_ns;
};

/* When somebody was at work. */
struct series_bar {
	char name[SERIES_NAME_BYTES]; /* "kswapd0", "kcompactd0", "direct" */
	struct series_span *spans;
	uint32_t nr_spans, spans_room;
};

/* A task at work: its span is number `span` of its bar. */
struct series_worker {
	char task[SERIES_NAME_BYTES]; /* "": no worker */
	uint32_t bar, span;
};

struct series {
	char title[160]; /* what was run, or the directory */
	bool numbered;	 /* times are snapshot numbers, not ns: nobody wrote them down */
	uint32_t nr_zones;
	struct series_zone zone[SERIES_ZONES_MAX];
	uint32_t nr_times, times_room;
	uint64_t *time_ns;
	struct series_sample *samples; /* nr_zones to a time */
	uint32_t nr_bars;
	struct series_bar bar[SERIES_BARS_MAX];
	struct series_worker worker[SERIES_WORKERS_MAX];
};

void series_init(struct series *series);
void series_free(struct series *series);
/* Adds a zone, before the first time. => false: there are too many */
bool series_add_zone(struct series *series, uint32_t node, const char *name,
		     uint64_t managed_pages);
/* Adds the populated zones of a snapshot; true if there was room for all. */
bool series_add_zones_of(struct series *series, const struct snapshot *snapshot);
/* Adds a time, not before the last. => its samples, one a zone, all zero; NULL: no memory */
struct series_sample *series_add_time(struct series *series, uint64_t time_ns);
/* Adds what a snapshot says. => 0 or -ENOMEM */
MUST_CHECK int series_add_snapshot(struct series *series, uint64_t time_ns,
				   const struct snapshot *snapshot);
/* Leaves out every second time, to make room; dips are kept. The last one stays. */
void series_thin(struct series *series);
const struct series_sample *series_sample(const struct series *series, uint32_t time,
					  uint32_t zone);

/*
 * Takes the next event, in order of time: there is a bar for each kswapd and kcompactd, and one
 * for programs that reclaim or compact themselves. A daemon is at work from its wake event to its
 * last event before the next one.
 * => 0 or -ENOMEM
 */
MUST_CHECK int series_add_event(struct series *series, const struct trace_line *line);

#endif
