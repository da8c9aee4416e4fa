/*
 * Telling the user how far a run is: one line redrawn on a terminal, plain lines now and then
 * elsewhere.
 */
#ifndef NEAP_JOB_PROGRESS_H
#define NEAP_JOB_PROGRESS_H

#include <neap/neap.h>
#include <stdio.h>

#include "base/base.h"

#define PROGRESS_LINE_BYTES 512u

struct progress;

/* What a line shows. */
struct progress_view {
	const char *name;
	uint64_t done, total; /* accesses; total 0 = not known */
	double accesses_per_s;
	double swapins_per_s, swapouts_per_s; /* pages */
	double eta_s;			      /* negative = not known */
	bool checking;			      /* the sweep after the last access */
	struct neap_gauge gauge;
};

/*
 * Writes the line of a view that fits into `columns` columns, terminated, without newline. Fields
 * that do not fit are left out from the end; the first is cut.
 */
void progress_format(const struct progress_view *view, size_t columns,
		     char line[PROGRESS_LINE_BYTES]);

/* => the columns of the terminal that it is, or 80 */
size_t progress_columns(FILE *out);

/* out: where lines go, NULL for none. => NULL when memory is out */
struct progress *progress_new(FILE *out, const char *name, uint64_t total);
/* Erases a line that was drawn, and frees. NULL is fine. */
void progress_free(struct progress *progress);

/*
 * Draws if it is time; called by any task between accesses, often. Never waits for another task
 * that is drawing. NULL is fine.
 */
void progress_poll(struct progress *progress, struct neap_machine *machine, uint64_t done);
/* From now on the run is checking its pages. */
void progress_set_checking(struct progress *progress);
/* => highest RssAnon + RssShmem seen so far, this moment included */
uint64_t progress_rss_peak_bytes(struct progress *progress);

/* => RssAnon + RssShmem of this process now, 0 if unknown */
uint64_t progress_rss_bytes(void);

#endif
