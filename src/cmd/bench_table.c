/*
 * The table of benches, in the order in which they run. What each of them does stands in
 * its file of bench/:
 *
 *     bench_access.c    access, sim, fault, swap, stream: through the public interface
 *     bench_alloc.c     alloc: the allocator's entry points, peers beside them
 *     bench_reclaim.c   reclaim: pages freed, and pages kept
 *     bench_compact.c   compact: pages moved, frames scanned
 *
 * Each repetition has a machine of its own, so that none profits from what the one
 * before left. Only time is measured; that the results are right is the business of
 * the tests and of every job.
 *
 * What must never happen: a number that the build asserts. A time depends on the
 * machine and on its other work; instruction counts are what tools/check-instructions
 * compares.
 */
#include <time.h>

#include "cmd/bench.h"

uint64_t bench_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

uint64_t bench_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

const struct bench *const bench_table[] = {
	&bench_access,	      &bench_alloc_hot,	   &bench_alloc_bulk,	 &bench_alloc_mixed,
	&bench_fault,	      &bench_fault_tags,   &bench_swap,		 &bench_stream,
	&bench_reclaim_clean, &bench_reclaim_kept, &bench_reclaim_mixed, &bench_compact_migrate,
	&bench_compact_scan,  &bench_sim,	   &bench_cycle,	 NULL,
};
