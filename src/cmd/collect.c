/*
 * Where pictures get their data.
 *
 *   a job        played in the simulator; at each trace event the gauges of all zones
 *                are read if the last sample is old enough: series; the event itself
 *                goes to the bars and to the figures' facts
 *   a directory  DIR/LABEL/{zoneinfo,vmstat} of each snapshot, in order of time, which
 *                DIR/log.txt says ("start end snapshot LABEL"); and a trace file
 *
 * Free pages change at allocations and frees only, and both are trace events, so a
 * sample between two events would say nothing new, and the lowest point between two
 * samples is kept with the later one. How long the job takes is not
 * known beforehand: when there are too many samples every second one is left out and
 * the distance doubles.
 *
 * What must never happen: a job that runs otherwise because somebody draws it. The
 * callback only reads, and the state hash is that of the plain run.
 */
#include "cmd/collect.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/play.h"
#include "text/load.h"

#define SAMPLES_MAX 1600u
#define FIRST_PERIOD_NS (10 * NSEC_PER_USEC)
#define FILE_BYTES_MAX (512 * MIB)
#define SNAPSHOTS_MAX 20000u
#define NODES_MAX 64u
#define ZONES_MAX 4u

/* ---- a run ---- */

static void take_sample(struct collect *collect, uint64_t now_ns)
{
	struct series *series = &collect->series;
	struct series_sample *samples;

	if (series->nr_times >= SAMPLES_MAX) {
		series_thin(series);
		collect->period_ns *= 2;
	}
	samples = series_add_time(series, now_ns);
	collect->next_ns = now_ns + collect->period_ns;
	if (samples == NULL) {
		collect->error = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < series->nr_zones; i++) {
		struct collect_zone *zone = &collect->zone[i];
		struct neap_zone_gauge gauge;

		/* A zone that was there stays. */
		if (neap_zone_gauge(collect->machine, zone->node, zone->zone, &gauge) != 0)
			continue;
		samples[i] = (struct series_sample){
			.free = gauge.free_pages,
			.min = gauge.min_pages,
			.low = gauge.low_pages,
			.high = gauge.high_pages,
			.dip = gauge.free_pages - min_u64(gauge.free_pages, zone->least_free),
		};
		zone->least_free = gauge.free_pages;
	}
}

/* Between samples only the lowest point is kept. */
static void note_least(struct collect *collect)
{
	for (uint32_t i = 0; i < collect->series.nr_zones; i++) {
		struct collect_zone *zone = &collect->zone[i];
		struct neap_zone_gauge gauge;

		if (neap_zone_gauge(collect->machine, zone->node, zone->zone, &gauge) == 0)
			zone->least_free = min_u64(zone->least_free, gauge.free_pages);
	}
}

static void on_event(void *ctx, const struct neap_event *event)
{
	struct collect *collect = ctx;
	char body[1024];
	struct trace_line line = {
		.time_ns = event->time_ns,
		.cpu = event->cpu,
		.task = event->task_name,
		.name = event->name,
		.body = body,
	};

	if (event->time_ns >= collect->next_ns)
		take_sample(collect, event->time_ns);
	else
		note_least(collect);
	if (!trace_log_wants(event->name))
		return;
	(void)neap_event_text(event, body, sizeof(body)); /* no event is as long as that */
	if (series_add_event(&collect->series, &line) != 0)
		collect->error = -ENOMEM;
	figure_facts_event(&collect->facts, &line);
}

static void take_vmstat(struct collect *collect, bool at_the_end)
{
	char *text = NULL;

	if (neap_proc_text(collect->machine, "vmstat", &text) < 0) {
		collect->error = -ENOMEM;
		return;
	}
	figure_facts_vmstat(&collect->facts, text, at_the_end);
	free(text);
}

static void on_start(void *ctx, struct neap_machine *machine)
{
	struct collect *collect = ctx;

	collect->machine = machine;
	collect->period_ns = FIRST_PERIOD_NS;
	for (uint32_t i = 0; i < NODES_MAX * ZONES_MAX; i++) {
		struct neap_zone_gauge gauge;
		int error = neap_zone_gauge(machine, i / ZONES_MAX, i % ZONES_MAX, &gauge);

		if (error == -EINVAL)
			break;
		if (error != 0)
			continue;
		if (!series_add_zone(&collect->series, i / ZONES_MAX, gauge.name,
				     gauge.managed_pages))
			break;
		collect->zone[collect->series.nr_zones - 1] =
			(struct collect_zone){ i / ZONES_MAX, i % ZONES_MAX, UINT64_MAX };
	}
	take_vmstat(collect, false);
	take_sample(collect, neap_now(machine));
	if (collect->error == 0)
		collect->error = neap_trace_callback(machine, on_event, collect);
}

static void on_finish(void *ctx, struct neap_machine *machine)
{
	struct collect *collect = ctx;

	(void)neap_trace_callback(machine, NULL, NULL); /* taking it away cannot fail here */
	take_sample(collect, neap_now(machine));
	take_vmstat(collect, true);
}

static void collect_init(struct collect *collect, const char *title)
{
	memset(collect, 0, sizeof(*collect));
	series_init(&collect->series);
	figure_facts_init(&collect->facts);
	(void)snprintf(collect->series.title, sizeof(collect->series.title), "%s", title);
	(void)snprintf(collect->facts.title, sizeof(collect->facts.title), "%s", title);
}

int collect_run(struct collect *collect, struct options *options)
{
	int status;

	collect_init(collect, options->files[0]);
	collect->observer =
		(struct run_observer){ .ctx = collect, .started = on_start, .finished = on_finish };
	options->observer = &collect->observer;
	options->silent = true;
	status = play(options);
	if (collect->error != 0) {
		cmd_error("%s: it could not be watched: %s", options->files[0],
			  strerror(-collect->error));
		return CMD_WORLD;
	}
	/* A job that fails has a picture, too, and it may tell why. */
	if (status == CMD_FINDING || status == CMD_INTERRUPTED)
		cmd_error("%s: the run did not end well; the picture is of what there was",
			  options->files[0]);
	return status;
}

void collect_free(struct collect *collect)
{
	series_free(&collect->series);
}

/* ---- a directory ---- */

struct label {
	char name[256];
	uint64_t time_ns;
	bool timed;
};

struct labels {
	struct label *at;
	uint32_t nr;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int by_time(const void *a, const void *b)
{
	const struct label *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return by_name(a, b);
}

/* All directories below dir that hold a zoneinfo. */
static int find_labels(const char *dir, struct labels *labels)
{
	DIR *stream = opendir(dir);
	const struct dirent *entry;
	int error = 0;

	if (stream == NULL)
		return -errno;
	labels->at = calloc(SNAPSHOTS_MAX, sizeof(*labels->at));
	if (labels->at == NULL)
		error = -ENOMEM;
	while (error == 0 && labels->nr < SNAPSHOTS_MAX && (entry = readdir(stream)) != NULL) {
		char path[4600];
		FILE *file;

		if (entry->d_name[0] == '.' || strcmp(entry->d_name, "boot") == 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/zoneinfo", dir, entry->d_name);
		file = fopen(path, "re");
		if (file == NULL)
			continue;
		fclose(file);
		(void)snprintf(labels->at[labels->nr++].name, sizeof(labels->at->name), "%s",
			       entry->d_name);
	}
	closedir(stream);
	if (error == 0)
		qsort(labels->at, labels->nr, sizeof(*labels->at), by_name);
	return error;
}

/* Finds "start end snapshot LABEL" in log.txt for every label. => all have a time */
static bool read_times(const char *dir, struct labels *labels)
{
	char path[4400], line[600];
	uint32_t timed = 0;
	FILE *log;

	(void)snprintf(path, sizeof(path), "%s/log.txt", dir);
	log = fopen(path, "re");
	if (log == NULL)
		return false;
	while (fgets(line, sizeof(line), log) != NULL) { /* ends with the file */
		unsigned long long s = 0, us = 0;
		char name[256] = "";

		if (sscanf(line, "%llu.%6llu %*s snapshot %255s", &s, &us, name) != 3)
			continue;
		for (uint32_t i = 0; i < labels->nr; i++) {
			struct label *label = &labels->at[i];

			if (strcmp(label->name, name) != 0)
				continue;
			timed += !label->timed;
			label->timed = true;
			label->time_ns = s * NSEC_PER_SEC + us * NSEC_PER_USEC;
		}
	}
	fclose(log);
	return timed == labels->nr;
}

static int add_label(struct collect *collect, const char *dir, const struct label *label, bool last)
{
	struct snapshot *snapshot = NULL;
	struct text_error err = { .line = 0 };
	struct text_buf vmstat;
	char path[4600];
	int error;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, label->name);
	error = snapshot_load_dir(path, &snapshot, &err);
	if (error != 0) {
		cmd_error("%s: %s", path, err.message[0] != '\0' ? err.message : strerror(-error));
		return error;
	}
	if (collect->series.nr_times == 0 && !series_add_zones_of(&collect->series, snapshot))
		cmd_error("%s: more than %u zones; the first are drawn", dir, SERIES_ZONES_MAX);
	bool first = collect->series.nr_times == 0;

	error = series_add_snapshot(&collect->series, label->time_ns, snapshot);
	free(snapshot);
	text_buf_init(&vmstat);
	(void)snprintf(path, sizeof(path), "%s/%s/vmstat", dir, label->name);
	/* Without a vmstat its counters are 0 at both ends. */
	if (error == 0 && (first || last) && text_buf_read_file(&vmstat, path, MIB) == 0)
		figure_facts_vmstat(&collect->facts, text_buf_text(&vmstat), last);
	text_buf_free(&vmstat);
	return error;
}

static int add_trace(struct collect *collect, const char *path)
{
	struct text_buf text;
	struct text_error err = { .line = 0 };
	struct trace_log log;
	int error;

	trace_log_init(&log);
	text_buf_init(&text);
	error = text_buf_read_file(&text, path, FILE_BYTES_MAX);
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, path };

		error = trace_log_parse(&log, &in, &err);
	}
	if (error != 0)
		cmd_error("%s: %s", path, err.message[0] != '\0' ? err.message : strerror(-error));
	if (error == 0)
		error = trace_log_sort(&log);
	for (uint32_t i = 0; i < log.nr_lines && error == 0; i++) {
		error = series_add_event(&collect->series, &log.lines[i]);
		figure_facts_event(&collect->facts, &log.lines[i]);
	}
	if (error == 0 && log.nr_dropped > 0)
		cmd_error("%s: the recorder lost %llu events; bars and numbers lack them", path,
			  (unsigned long long)log.nr_dropped);
	text_buf_free(&text);
	trace_log_free(&log);
	return error;
}

/* The trace beside the snapshots, if there is one. */
static int find_trace(struct collect *collect, const char *dir, const char *trace)
{
	static const char *const names[] = { "trace", "trace.txt", "trace-reclaim.txt" };
	char path[4400];

	if (trace != NULL)
		return add_trace(collect, trace);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		FILE *file;

		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		file = fopen(path, "re");
		if (file == NULL)
			continue;
		fclose(file);
		return add_trace(collect, path);
	}
	return 0;
}

int collect_directory(struct collect *collect, const char *dir, const char *trace)
{
	struct labels labels = { .nr = 0 };
	int error;

	collect_init(collect, dir);
	error = find_labels(dir, &labels);
	if (error != 0) {
		cmd_error("%s: %s", dir, strerror(-error));
	} else if (labels.nr > 0) {
		collect->series.numbered = !read_times(dir, &labels);
		for (uint32_t i = 0; i < labels.nr && collect->series.numbered; i++)
			labels.at[i].time_ns = i + 1;
		qsort(labels.at, labels.nr, sizeof(*labels.at), by_time);
	}
	for (uint32_t i = 0; i < labels.nr && error == 0; i++)
		error = add_label(collect, dir, &labels.at[i], i + 1 == labels.nr);
	free(labels.at);
	if (error == 0)
		error = find_trace(collect, dir, trace);
	/* Bars are on the clock; numbered snapshots are not. */
	if (collect->series.numbered)
		collect->series.nr_bars = 0;
	if (error == -ENOMEM || error == -EACCES)
		return CMD_WORLD;
	return error == 0 ? CMD_FINE : CMD_USAGE;
}
