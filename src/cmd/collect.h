/*
 * Looking on while a job runs, and keeping what pictures are drawn from.
 */
#ifndef NEAP_CMD_COLLECT_H
#define NEAP_CMD_COLLECT_H

#include <neap/neap.h>

#include "cmd/options.h"
#include "diag/figure.h"
#include "diag/series.h"
#include "job/run.h"

struct collect {
	struct series series;
	struct figure_facts facts;
	uint64_t next_ns, period_ns; /* of samples */
	struct collect_zone {
		uint32_t node, zone;
		uint64_t least_free; /* since the last sample */
	} zone[SERIES_ZONES_MAX];    /* of series.zone */
	int error;
	struct neap_machine *machine; /* while it runs */
	struct run_observer observer;
};

/*
 * Plays the file of the options, simulated, without printing its results, and fills in series and
 * facts. Free both in any case. => the exit status
 */
int collect_run(struct collect *collect, struct options *options);
void collect_free(struct collect *collect);

/*
 * Fills in series and facts from a directory of snapshots (DIR/LABEL/zoneinfo) and, if there is
 * one, its trace: `trace`, or DIR/trace, DIR/trace.txt, DIR/trace-reclaim.txt. => the exit status
 */
int collect_directory(struct collect *collect, const char *dir, const char *trace);

#endif
