/*
 * Which trace events feed a counter, and what two traces say about a row that is off.
 */
#ifndef NEAP_DIAG_WITNESS_H
#define NEAP_DIAG_WITNESS_H

#include "diag/record.h"
#include "text/trace_read.h"

#define WITNESS_LINES 2u
#define WITNESS_LINE_BYTES 73u /* a line of a terminal, indented */

enum witness_status {
	WITNESS_SEEN,	 /* the whole row was traced */
	WITNESS_PART,	 /* the trace began later, or ended earlier */
	WITNESS_OUTSIDE, /* nothing of it was */
	WITNESS_NONE,	 /* no event of a trace of reclaim feeds this counter */
	NR_WITNESS_STATUSES,
};

/* What one trace says about one row. */
struct witness {
	enum witness_status status;
	uint64_t nr_events;
	uint64_t sum; /* of the fields that witness_sum() names; 0 without */
	uint32_t nr_lines;
	char line[WITNESS_LINES][WITNESS_LINE_BYTES]; /* the first events, zeroes left out */
};

/* When snapshots were taken, in the trace's time. */
struct witness_marks {
	uint32_t nr;
	char label[RECORD_LABELS_MAX][RECORD_LABEL_BYTES];
	uint64_t time_ns[RECORD_LABELS_MAX];
};

/* The markers "snapshot LABEL" that a recorder wrote into its trace. */
void witness_marks_from_log(const struct trace_log *log, struct witness_marks *out);
/* One more. Labels beyond RECORD_LABELS_MAX are left out. */
void witness_mark(struct witness_marks *marks, const char *label, uint64_t time_ns);

/* The events that feed a counter, in words; NULL if none do. */
const char *witness_events(uint32_t counter);
/* The fields that are summed, in words; NULL if events are counted only. */
const char *witness_sum(uint32_t counter);

/* A trace, and when snapshots were taken while it ran. */
struct witness_side {
	const struct trace_log *log;
	const struct witness_marks *marks;
};

/*
 * What a trace says about a row between two of a run's labels. `traced`: marks of the recorded
 * trace; a label without one there lies outside of both traces.
 */
void witness_row(const struct witness_side *side, const struct witness_marks *traced,
		 const struct record *labels, const struct record_row *row, struct witness *out);

/* As lines of text, and back: how the processes of a comparison talk. => bytes read, or -EINVAL */
void witness_print(const struct witness *witness, struct text_buf *out);
MUST_CHECK int witness_parse(const char *text, struct witness *out);

#endif
