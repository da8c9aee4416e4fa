/*
 * Time series for the graph.
 *
 *     time_ns   t0        t1        t2
 *     samples   z0 z1 z2  z0 z1 z2  z0 z1 z2       nr_zones to a time
 *     bars      kswapd0   [from to] [from to] ...
 *               direct    [from to] ...
 *
 * Samples come from snapshots of a directory, or from a run that is watched. A run's
 * length is not known beforehand, so it samples often and leaves out every second
 * one (series_thin()) when there are many.
 *
 * Bars come from trace events. A daemon's wake event begins a span and each of its
 * further events makes it longer, so the naps of kswapd, which no event tells,
 * do not count as work. "direct" holds the spans of all programs in direct reclaim
 * or direct compaction; they may overlap.
 *
 * What must never happen: a span that ends before it begins; events of different
 * CPUs may be out of order by a little.
 */
#include "diag/series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/zonename.h"

void series_init(struct series *series)
{
	*series = (struct series){ 0 };
}

void series_free(struct series *series)
{
	for (uint32_t i = 0; i < series->nr_bars; i++)
		free(series->bar[i].spans);
	free(series->time_ns);
	free(series->samples);
	series_init(series);
}

bool series_add_zone(struct series *series, uint32_t node, const char *name, uint64_t managed_pages)
{
	if (series->nr_zones == SERIES_ZONES_MAX || series->nr_times != 0)
		return false;
	struct series_zone *zone = &series->zone[series->nr_zones++];

	zone->node = node;
	zone->managed_pages = managed_pages;
	(void)snprintf(zone->name, sizeof(zone->name), "%.15s", name);
	return true;
}

bool series_add_zones_of(struct series *series, const struct snapshot *snapshot)
{
	bool room = true;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
			const struct snapshot_zone *zone = &snapshot->node[n].zone[z];

			if (zone->managed != 0)
				room &= series_add_zone(series, snapshot->node[n].id,
							zonename_of(z), zone->managed);
		}
	return room;
}

struct series_sample *series_add_time(struct series *series, uint64_t time_ns)
{
	uint32_t zones = max_u32(series->nr_zones, 1);

	if (series->nr_times == series->times_room) {
		uint32_t room = max_u32(256, 2 * series->times_room);
		uint64_t *times = realloc(series->time_ns, room * sizeof(*times));

		if (times == NULL)
			return NULL;
		series->time_ns = times;
		struct series_sample *samples =
			realloc(series->samples, (size_t)room * zones * sizeof(*samples));

		if (samples == NULL)
			return NULL;
		series->samples = samples;
		series->times_room = room;
	}
	uint32_t at = series->nr_times++;
	uint64_t last_ns = at > 0 ? series->time_ns[at - 1] : 0;
	struct series_sample *samples = &series->samples[(size_t)at * zones];

	/* CPUs' clocks differ a little. */
	series->time_ns[at] = max_u64(time_ns, last_ns);
	memset(samples, 0, zones * sizeof(*samples));
	return samples;
}

static uint32_t find_zone(const struct series *series, uint32_t node, const char *name)
{
	for (uint32_t i = 0; i < series->nr_zones; i++)
		if (series->zone[i].node == node && strcmp(series->zone[i].name, name) == 0)
			return i;
	return UINT32_MAX;
}

int series_add_snapshot(struct series *series, uint64_t time_ns, const struct snapshot *snapshot)
{
	struct series_sample *samples = series_add_time(series, time_ns);

	if (samples == NULL)
		return -ENOMEM;
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
			const struct snapshot_zone *zone = &snapshot->node[n].zone[z];
			uint32_t at = find_zone(series, snapshot->node[n].id, zonename_of(z));

			if (at != UINT32_MAX)
				samples[at] = (struct series_sample){ .free = zone->free,
								      .min = zone->min,
								      .low = zone->low,
								      .high = zone->high };
		}
	return 0;
}

/* A sample goes away; the next one remembers how low it was. */
static void merge_dip(const struct series_sample *gone, struct series_sample *next)
{
	uint64_t least = min_u64(gone->free - gone->dip, next->free - next->dip);

	next->dip = next->free - least;
}

void series_thin(struct series *series)
{
	uint32_t zones = max_u32(series->nr_zones, 1);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < series->nr_times; i++) {
		if (i % 2 != 0 && i + 1 != series->nr_times) {
			for (uint32_t zone = 0; zone < zones; zone++)
				merge_dip(&series->samples[(size_t)i * zones + zone],
					  &series->samples[(size_t)(i + 1) * zones + zone]);
			continue;
		}
		series->time_ns[kept] = series->time_ns[i];
		memmove(&series->samples[(size_t)kept * zones], &series->samples[(size_t)i * zones],
			zones * sizeof(series->samples[0]));
		kept++;
	}
	series->nr_times = kept;
}

const struct series_sample *series_sample(const struct series *series, uint32_t time, uint32_t zone)
{
	return &series->samples[(size_t)time * series->nr_zones + zone];
}

/* ---- bars ---- */

static int bar_begin(struct series_bar *bar, uint64_t from_ns)
{
	if (bar->nr_spans == bar->spans_room) {
		uint32_t room = max_u32(64, 2 * bar->spans_room);
		struct series_span *spans = realloc(bar->spans, room * sizeof(*spans));

		if (spans == NULL)
			return -ENOMEM;
		bar->spans = spans;
		bar->spans_room = room;
	}
	bar->spans[bar->nr_spans++] = (struct series_span){ from_ns, from_ns };
	return 0;
}

/* => the bar of that name, made if need be; NULL: there are too many */
static struct series_bar *bar_find(struct series *series, const char *name)
{
	for (uint32_t i = 0; i < series->nr_bars; i++)
		if (strcmp(series->bar[i].name, name) == 0)
			return &series->bar[i];
	if (series->nr_bars == SERIES_BARS_MAX)
		return NULL;
	struct series_bar *bar = &series->bar[series->nr_bars++];

	(void)snprintf(bar->name, sizeof(bar->name), "%.15s", name);
	return bar;
}

enum bar_step {
	BAR_NOTHING,
	BAR_BEGINS,
	BAR_ENDS,
};

/* What an event says about its task's work, and in which bar. */
static enum bar_step bar_step(const struct trace_line *line, char name[SERIES_NAME_BYTES])
{
	static const struct {
		const char *event;
		const char *bar; /* with the node's number after it if it ends in 'd' */
		enum bar_step step;
	} steps[] = {
		{ "mm_vmscan_kswapd_wake", "kswapd", BAR_BEGINS },
		{ "mm_vmscan_kswapd_sleep", "kswapd", BAR_ENDS },
		{ "mm_compaction_kcompactd_wake", "kcompactd", BAR_BEGINS },
		{ "mm_compaction_kcompactd_sleep", "kcompactd", BAR_ENDS },
		{ "mm_vmscan_direct_reclaim_begin", "direct", BAR_BEGINS },
		{ "mm_vmscan_direct_reclaim_end", "direct", BAR_ENDS },
		{ "mm_compaction_begin", "direct", BAR_BEGINS },
		{ "mm_compaction_end", "direct", BAR_ENDS },
	};
	bool daemon = strncmp(line->task, "kcompactd", 9) == 0;
	int64_t node;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i].event, line->name) != 0)
			continue;
		/* What a daemon does for a zone is part of its own span. */
		if (daemon && steps[i].bar[0] == 'd')
			return BAR_NOTHING;
		if (trace_line_number(line, "nid", &node) && steps[i].bar[0] == 'k')
			(void)snprintf(name, SERIES_NAME_BYTES, "%s%u", steps[i].bar,
				       (uint32_t)node % 1000);
		else
			(void)snprintf(name, SERIES_NAME_BYTES, "%s", steps[i].bar);
		return steps[i].step;
	}
	return BAR_NOTHING;
}

static struct series_worker *worker_find(struct series *series, const char *task)
{
	for (uint32_t i = 0; i < SERIES_WORKERS_MAX; i++)
		if (strcmp(series->worker[i].task, task) == 0)
			return &series->worker[i];
	return NULL;
}

static int worker_begin(struct series *series, const struct trace_line *line, const char *name)
{
	struct series_bar *bar = bar_find(series, name);
	struct series_worker *worker = worker_find(series, line->task);

	if (worker == NULL)
		worker = worker_find(series, "");
	/* Beyond so many tasks or nodes the picture has no room for them anyway. */
	if (bar == NULL || worker == NULL)
		return 0;
	if (bar_begin(bar, line->time_ns) != 0)
		return -ENOMEM;
	worker->bar = (uint32_t)(bar - series->bar);
	worker->span = bar->nr_spans - 1;
	(void)snprintf(worker->task, sizeof(worker->task), "%.15s", line->task);
	return 0;
}

int series_add_event(struct series *series, const struct trace_line *line)
{
	char name[SERIES_NAME_BYTES] = "";
	enum bar_step step = bar_step(line, name);
	struct series_worker *worker = worker_find(series, line->task);

	if (step == BAR_BEGINS)
		return worker_begin(series, line, name);
	if (worker == NULL)
		return 0;
	struct series_span *span = &series->bar[worker->bar].spans[worker->span];

	/* kswapd's sleep event comes after its nap, which is no work. */
	if (step == BAR_NOTHING || strcmp(name, "direct") == 0)
		span->to_ns = max_u64(span->to_ns, line->time_ns);
	if (step == BAR_ENDS)
		worker->task[0] = '\0';
	return 0;
}
