/*
 * Runs of one job, recorded or simulated, as counters at snapshots; and their rows.
 */
#ifndef NEAP_DIAG_RECORD_H
#define NEAP_DIAG_RECORD_H

#include "diag/unpack.h"
#include "diag/rule.h"
#include "text/buf.h"

#define RECORD_LABELS_MAX 48u
#define RECORD_LABEL_BYTES 48u
#define RECORD_COUNTERS_MAX 64u
#define RECORD_ROWS_MAX (RECORD_LABELS_MAX * RECORD_COUNTERS_MAX)
#define RECORD_ABSENT INT64_MIN /* the kernel of this run has no such counter */

/* One run. */
struct record {
	uint32_t nr_labels; /* in the order in which they were taken */
	char label[RECORD_LABELS_MAX][RECORD_LABEL_BYTES];
	int64_t value[RECORD_LABELS_MAX][RECORD_COUNTERS_MAX];
};

/* The runs of a job. */
struct record_set {
	uint32_t nr;
	struct record *run; /* nr of them */
};

/* One counter between two snapshots. */
struct record_row {
	uint32_t from, to; /* labels */
	uint32_t counter;
	struct rule_values kernel, ours;
	enum rule_verdict verdict;
	uint32_t kernel_runs[NR_RULE_VERDICTS]; /* the kernel's runs against each other */
};

/* Appends a snapshot from the text of its vmstat. => 0, -E2BIG (too many labels), -EINVAL */
MUST_CHECK int record_add(struct record *record, const char *label, const struct text_buf *vmstat);
/*
 * Reads a recorded run: the labels that its log names, "boot" left out, in order.
 * => 0; negative errno with *err filled
 */
MUST_CHECK int record_from_archive(const struct unpack_files *files, const char *path,
				   struct record *out, struct text_error *err);

/* Writes a run as text, and reads it back: how the processes of a comparison talk. */
void record_print(const struct record *record, struct text_buf *out);
MUST_CHECK int record_parse(const char *text, struct record *out);

/*
 * The rows of a job whose labels all runs share, judged. `rows` has room for RECORD_ROWS_MAX.
 * ours may be empty: then only the kernel is judged.
 * => number of rows, or -EINVAL if labels differ
 */
MUST_CHECK int record_rows(const struct record_set *kernel, const struct record_set *ours,
			   struct record_row *rows);

/* kswapd's share of the pages reclaimed from first to last snapshot, per mille; -1: none were */
int record_kswapd_share(const struct record_set *runs);

#endif
