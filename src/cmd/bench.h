/*
 * What a bench is: a function that performs one repetition and says what it cost.
 */
#ifndef NEAP_CMD_BENCH_H
#define NEAP_CMD_BENCH_H

#include <neap/neap.h>

#include "base/base.h"

#define BENCH_NAME_BYTES 16u

/* One repetition. */
struct bench_sample {
	uint64_t operations;
	uint64_t ns; /* of real time, for all of them */
};

struct bench {
	const char *name;
	const char *what; /* one operation, in words */
	bool simulated;
	const char *memory, *swap; /* of its machine; swap may be NULL */
	/*
	 * Performs one repetition on a machine of its own, inside neap_run(). quick: a tenth of the
	 * work.
	 * => 0 and *sample, or negative errno
	 */
	int (*run)(struct neap_machine *machine, bool quick, struct bench_sample *sample);
};

/* All benches, ending with one whose name is NULL. */
extern const struct bench bench_table[];

/* The allocator's own bench, below the public interface (bench/bench_alloc.c). */
int bench_alloc(struct neap_machine *machine, bool quick, struct bench_sample *sample);

/* => the real clock */
uint64_t bench_clock_ns(void);

#endif
