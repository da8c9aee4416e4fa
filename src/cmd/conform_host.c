/*
 * neap conform: how busy the host of each recording was.
 *
 * A recorded guest shared its host with others, from run to run with more or fewer of
 * them (rt/sim/host.c). That is not in the state of its boot, but in the times of its
 * log: how long it took from each snapshot to the next.
 *
 *	log.txt     7.000 7.015 snapshot start
 *	            7.016 8.520 touch A seq all            1.506 s
 *	            8.521 8.533 snapshot filled
 *	            8.534 10.65 touch A zipf 80000         2.120 s
 *	            10.65 10.66 snapshot touched
 *
 * Our machine does the same job with a host that runs nothing else, and with MANY
 * other threads. What lies between and beyond is taken to be a straight line, since who
 * works all the time gets his part of the host:
 *
 *	duration        .   <- MANY
 *	           .  x     <- recorded: so many others, in thousandths
 *	    .  .            <- alone
 *
 * The number of others is that with which the squares of what all stretches differ by
 * are least: a stretch that sleeps or waits for disks says little of the host, as its
 * line is flat, and counts as little. It is the same for all jobs, and it looks at times
 * alone, never at a counter that is compared. Jobs without a stretch to which the host
 * matters keep the number of the cost table, as those do whose log is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/conform_host.h"

bool conform_log_times(const char *log, struct conform_times *out)
{
	double last = -1;

	out->nr = 0;
	for (; *log != '\0'; log += strcspn(log, "\n"), log += *log == '\n') {
		double begin, end;
		int used = 0;

		if (sscanf(log, "%lf %lf snapshot %n", &begin, &end, &used) != 2 || used == 0)
			continue;
		if (end < begin || begin < last || end > 1e6 || out->nr == CONFORM_STRETCHES_MAX) {
			out->nr = 0;
			return false;
		}
		if (last >= 0)
			out->ns[out->nr++] = (uint64_t)((begin - last) * 1e9);
		last = end;
	}
	return out->nr != 0;
}

const uint32_t conform_host_points[CONFORM_HOST_POINTS] = { 0, 8 };

/* How long a stretch takes with so many others, between the two points that are next. */
static double duration_ns(const struct conform_times *ours, uint32_t stretch, uint32_t permille)
{
	uint32_t k = 1;

	while (k + 1 < CONFORM_HOST_POINTS && permille > conform_host_points[k] * 1000)
		k++;
	double from_ns = (double)ours[k - 1].ns[stretch], to_ns = (double)ours[k].ns[stretch];
	uint32_t from = conform_host_points[k - 1], to = conform_host_points[k];

	return from_ns + (to_ns - from_ns) * ((double)permille / 1000 - from) / (to - from);
}

/* Is there a stretch to which the host matters? */
static bool host_matters(const struct conform_times *ours)
{
	const struct conform_times *most = &ours[CONFORM_HOST_POINTS - 1];

	for (uint32_t i = 0; i < most->nr; i++)
		if (most->ns[i] > ours->ns[i] + ours->ns[i] / CONFORM_HOST_MATTERS &&
		    most->ns[i] > ours->ns[i] + CONFORM_HOST_LEAST_NS)
			return true;
	return false;
}

int64_t conform_host_others(const struct conform_times *recorded, const struct conform_times *ours)
{
	double least = 0;
	int64_t best = -1;

	for (uint32_t k = 0; k < CONFORM_HOST_POINTS; k++)
		if (recorded->nr == 0 || ours[k].nr != recorded->nr)
			return -1;
	if (!host_matters(ours))
		return -1;
	for (uint32_t permille = 0; permille <= CONFORM_HOST_MOST * 1000;
	     permille += CONFORM_HOST_STEP_PERMILLE) {
		double squares = 0;

		for (uint32_t i = 0; i < recorded->nr; i++) {
			double differ = duration_ns(ours, i, permille) - (double)recorded->ns[i];

			squares += differ * differ;
		}
		if (best < 0 || squares < least) {
			least = squares;
			best = permille;
		}
	}
	return best;
}
