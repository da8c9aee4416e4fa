/*
 * A store that fails on request, wrapped around any other.
 *
 * The wrapper answers every page exactly once, like any store, and holds nothing
 * back for ever: see fault.c.
 */
#ifndef NEAP_STORE_FAULT_H
#define NEAP_STORE_FAULT_H

#include "base/base.h"
#include "port/store.h"

#define STORE_FAULT_HOLD_MAX 64u

/* Rules. A field that is 0 injects nothing; errors are negative errnos, 0 = -EIO. */
struct store_fault_spec {
	uint64_t seed;
	int error;		 /* what permille and range failures report */
	uint32_t read_permille;	 /* of the pages read fail */
	uint32_t write_permille; /* of the pages written fail, and are not written */
	uint64_t nth_read;	 /* the Nth page read from now on fails, once; 1 = the next */
	uint64_t nth_write;
	uint64_t bad_first; /* pages bad_first..bad_first+bad_pages-1 always fail */
	uint64_t bad_pages;
	uint32_t bad_ops;	   /* 1 << STORE_READ | 1 << STORE_WRITE; 0 = both */
	uint32_t short_permille;   /* of the submits are cut in two */
	uint32_t delay_permille;   /* of the completions come late */
	uint64_t delay_ns;	   /* by at most this much */
	uint32_t reorder_permille; /* of the completions are held back and shuffled */
	uint32_t hold;		   /* at most so many at a time; at most STORE_FAULT_HOLD_MAX */
	uint32_t nth_sync;	   /* the Nth sync from now on fails, once */
};

struct store_fault_counts {
	uint64_t reads; /* pages submitted */
	uint64_t writes;
	uint64_t failed_reads; /* pages failed here, not by the inner store */
	uint64_t failed_writes;
	uint64_t failed_syncs;
	uint64_t cuts;	    /* submits cut in two */
	uint64_t delayed;   /* completions */
	uint64_t held;	    /* completions held back */
	uint64_t overtaken; /* completions delivered in another order than they came */
};

/*
 * The wrapper owns `inner` from now on and closes it; it uses the same host.
 * => nothing was submitted to inner yet; 0, -EINVAL or -ENOMEM
 */
int MUST_CHECK store_fault_wrap(struct store *inner, const struct store_fault_spec *spec,
				struct store **out);

/*
 * Replaces all rules but the seed; the Nth counts start again.
 * => may be called with I/O in flight
 */
void store_fault_set(struct store *store, struct task *t, const struct store_fault_spec *spec);

/* Makes the Nth page read or written from now on fail, once, with `error` (0 = -EIO). 0: none. */
void store_fault_arm(struct store *store, struct task *t, enum store_op op, uint64_t nth,
		     int error);

void store_fault_counts(struct store *store, struct task *t, struct store_fault_counts *out);

#endif
