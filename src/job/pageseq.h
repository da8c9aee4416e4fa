/*
 * Page sequences: which page the i-th access of a touch, read or write goes to.
 */
#ifndef NEAP_JOB_PAGESEQ_H
#define NEAP_JOB_PAGESEQ_H

#include "base/base.h"

#define PAGESEQ_DEFAULT_SEED 88172645463325252u
#define PAGESEQ_THREAD_SEED_STEP 7919u /* thread i of a touch is seeded S + 7919 * i */

enum pageseq_order {
	PAGESEQ_SEQ,
	PAGESEQ_RANDOM,
	PAGESEQ_ZIPF,
};

struct pageseq {
	enum pageseq_order order;
	uint64_t nr_pages;
	uint64_t next_access;
	uint64_t state;
	double log_pages; /* ln(nr_pages + 1), for zipf */
};

/* => nr_pages is not 0; a seed of 0 gives page 0 for ever, as the definition has it */
void pageseq_start(struct pageseq *seq, enum pageseq_order order, uint64_t nr_pages, uint64_t seed);
/* => the page of the next access, below nr_pages */
uint64_t pageseq_next(struct pageseq *seq);

#endif
