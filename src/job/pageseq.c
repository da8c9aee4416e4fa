/*
 * The three page sequences of the job language.
 *
 * The same numbers must come out here, in the live runs, in the simulator and in
 * the player that recorded the kernel, or the comparison of counters means
 * nothing. So the definition is arithmetic, not taste, for n pages and the i-th
 * access (i from 0):
 *
 *     seq      i mod n
 *     random   r mod n
 *     zipf     u = (r >> 11) / 2^53, rank = floor(exp(u * ln(n + 1))) - 1,
 *              at most n - 1; page = rank * 2654435761 mod n
 *
 * where r is the next output of a 64-bit xorshift-multiply generator whose state
 * starts as the seed itself (the step is the one of base/rng.h; the seed is NOT
 * spread by rng_seed()).
 *
 * Zipf uses double arithmetic. exp() of one value is the same on every machine
 * that has the same libm; the compiler must not fuse the multiplication into
 * something more exact, therefore src/job is built with -ffp-contract=off.
 *
 * What must never happen: a page at or above n.
 */
#include "job/pageseq.h"

#include <math.h>

#include "base/check.h"
#include "base/rng.h"

void pageseq_start(struct pageseq *seq, enum pageseq_order order, uint64_t nr_pages, uint64_t seed)
{
	CHECK(nr_pages > 0);
	seq->order = order;
	seq->nr_pages = nr_pages;
	seq->next_access = 0;
	seq->state = seed;
	seq->log_pages = order == PAGESEQ_ZIPF ? log((double)nr_pages + 1.0) : 0.0;
}

static uint64_t pick_zipf(const struct pageseq *seq, uint64_t r)
{
	double u = (double)(r >> 11) * (1.0 / 9007199254740992.0);
	uint64_t rank = (uint64_t)exp(u * seq->log_pages) - 1;

	if (rank >= seq->nr_pages)
		rank = seq->nr_pages - 1;
	return (rank * 2654435761u) % seq->nr_pages;
}

uint64_t pageseq_next(struct pageseq *seq)
{
	struct rng rng = { .state = seq->state };
	uint64_t r;

	if (seq->order == PAGESEQ_SEQ)
		return seq->next_access++ % seq->nr_pages;
	seq->next_access++;
	r = rng_next(&rng);
	seq->state = rng.state;
	return seq->order == PAGESEQ_RANDOM ? r % seq->nr_pages : pick_zipf(seq, r);
}
