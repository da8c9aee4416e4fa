/*
 * How busy the host of a recording was: from the times in its log.
 */
#ifndef NEAP_CMD_CONFORM_HOST_H
#define NEAP_CMD_CONFORM_HOST_H

#include "base/base.h"

/* So many others a job is played with, ascending. */
#define CONFORM_HOST_POINTS 2u
extern const uint32_t conform_host_points[CONFORM_HOST_POINTS];
/* As many are believed, and no more. */
#define CONFORM_HOST_MOST 64u
#define CONFORM_HOST_STEP_PERMILLE 125u
/*
 * They must make some stretch longer by one part in so many, and by so much; else durations tell
 * nothing.
 */
#define CONFORM_HOST_MATTERS 4u
#define CONFORM_HOST_LEAST_NS 100000000u
/* A job is played so often with others, as they come and go by chance. */
#define CONFORM_HOST_SEEDS 4u
#define CONFORM_STRETCHES_MAX 64u

/* How long a job took from each snapshot to the next. */
struct conform_times {
	uint32_t nr; /* 0: not known */
	uint64_t ns[CONFORM_STRETCHES_MAX];
};

/* By a run's log.txt, without what the snapshots took. => false: it cannot be said, and nr is 0 */
bool conform_log_times(const char *log, struct conform_times *out);
/*
 * Thousandths of threads that a host ran beside a recorded guest, if our own job takes so long
 * (one of ours for each of conform_host_points).
 * => 0 to CONFORM_HOST_MOST * 1000; -1: it cannot be said
 */
int64_t conform_host_others(const struct conform_times *recorded, const struct conform_times *ours);

#endif
