/*
 * Figures of how reclaim and compaction work, with the numbers of a run in them.
 */
#ifndef NEAP_DIAG_FIGURE_H
#define NEAP_DIAG_FIGURE_H

#include "diag/paint.h"
#include "text/trace_read.h"

#define FIGURE_POSITIONS_MAX 2048u
#define FIGURE_FACTS_MAX 64u

/* Where a scanner of a compaction run was. */
struct figure_position {
	bool free_scanner;
	uint32_t first_pfn, end_pfn; /* the range it looked at */
	uint32_t taken;
};

/* What one kind of event, or one counter, amounts to. */
struct figure_fact {
	char name[48]; /* "mm_vmscan_kswapd_wake", "vmstat.pageoutrun", "shrink.kswapd.freed" */
	uint64_t value;
};

/* Gathered event by event; the figures read nothing else. */
struct figure_facts {
	char title[160];
	uint32_t nr_facts;
	struct figure_fact fact[FIGURE_FACTS_MAX];
	uint32_t lowest_priority; /* of kswapd's rounds; 0 = it made none */
	bool in_run;		  /* a compaction run began and has not ended */
	bool run_complete;	  /* positions are of the longest run that ended */
	uint32_t zone_start_pfn, zone_end_pfn;
	uint32_t nr_positions, nr_best;
	struct figure_position position[FIGURE_POSITIONS_MAX]; /* of the run in progress */
	struct figure_position best[FIGURE_POSITIONS_MAX];     /* of the longest one so far */
	uint32_t best_start_pfn, best_end_pfn;
};

void figure_facts_init(struct figure_facts *facts);
/* Takes the next event. */
void figure_facts_event(struct figure_facts *facts, const struct trace_line *line);
/* Takes /proc/vmstat as it was at the end (add) or at the beginning (!add) of the run. */
void figure_facts_vmstat(struct figure_facts *facts, const char *text, bool add);

/* The names, for messages: "call-path, kswapd, ..." */
const char *figure_names(void);
bool figure_is_known(const char *name);
/*
 * Appends the figure: as text with a paint, as SVG without one.
 * => 0; -ENODATA, *why set to a sentence, if the run has nothing to show; -ENOENT, -ENOMEM
 */
MUST_CHECK int figure_print(const struct figure_facts *facts, const char *name,
			    const struct paint *paint, struct text_buf *out, const char **why);

#endif
