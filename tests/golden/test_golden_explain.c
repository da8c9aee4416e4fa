/*
 * neap explain on every recorded machine: no false alarm, and no statement that the trace of the
 * same kernel contradicts.
 *
 *     static snapshots, and "boot" and "start" of every job      no finding at all
 *     "settled"                                                  what its own PSI proves
 *     traced jobs, snapshot by snapshot, alone and in pairs      kswapd's state, direct
 *                                                                reclaim: never wrong
 *     pairs of snapshots                                         "cannot know" in at most
 *                                                                30 % of the statements
 *     before a job asks for huge pages                           what it got lies between
 *                                                                the forecast's limits
 *
 * The corpus is not part of the repository; without it the tests are skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <glob.h>
#include <unistd.h>

#include "diag/explain.h"
#include "diag/forecast.h"
#include "test_text_util.h"
#include "text_corpus.h"

#define PATH_BYTES 1400u
#define EVENTS_MAX 200000u
#define LABELS_MAX 16u

static char corpus_root[1024];

static void find_corpus(void)
{
	static const char *const patterns[] = { "/golden", "/../golden", "/../*/golden" };
	const char *named = getenv("NEAP_GOLDEN_DIR");
	char pattern[1200];
	glob_t found;

	if (named != NULL)
		snprintf(corpus_root, sizeof(corpus_root), "%s", named);
	for (size_t i = 0; i < ARRAY_LEN(patterns) && corpus_root[0] == '\0'; i++) {
		snprintf(pattern, sizeof(pattern), "%s%s/static/zones.tsv", util_source_dir(),
			 patterns[i]);
		if (glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0)
			snprintf(corpus_root, sizeof(corpus_root), "%.*s",
				 (int)(strlen(found.gl_pathv[0]) - strlen("/static/zones.tsv")),
				 found.gl_pathv[0]);
		globfree(&found);
	}
}

static int setup(void **state)
{
	(void)state;
	find_corpus();
	if (corpus_root[0] == '\0')
		print_message("no corpus: set NEAP_GOLDEN_DIR\n");
	return 0;
}

/* ---- reading ---- */

struct reading {
	struct evidence *evidence;
	struct explain *x;
};

static void read_pair(struct reading *out, const struct evidence *before, const char *dir)
{
	struct text_error err = { .line = 0 };

	if (evidence_load(dir, &out->evidence, &err) != 0)
		fail_msg("%s: %s", dir, err.message);
	if (explain_new(before, out->evidence, NULL, &out->x, &err) != 0)
		fail_msg("%s: %s", dir, err.message);
	assert_int_equal(out->x->error, 0);
}

static void free_reading(struct reading *reading)
{
	explain_free(reading->x);
	evidence_free(reading->evidence);
}

/* The machine's own files say so: its pressure, or the kernel's count of failed runs. */
static bool is_proven(const struct explain_item *item, const struct snapshot *snapshot)
{
	if (strcmp(item->id, "memory-pressure") == 0)
		return snapshot->psi_some.average_hundredths[0] >= 100;
	if (strcmp(item->id, "kswapd-gave-up") == 0)
		return snapshot->node[0].zone[ZONE_DMA32].node_unreclaimable;
	return false;
}

/* Fails unless there is no finding, or only such as the machine's own files prove. */
static void check_findings(const char *dir, bool pressure_may)
{
	struct reading reading;

	read_pair(&reading, NULL, dir);
	for (uint32_t i = 0; i < reading.x->nr_items; i++) {
		const struct explain_item *item = &reading.x->item[i];

		if (item->level != EXPLAIN_FINDING)
			continue;
		if (!pressure_may || !is_proven(item, reading.evidence->snapshot))
			fail_msg("%s: a finding: %s", dir, text_buf_text(&item->title));
	}
	free_reading(&reading);
}

/* Unpacks an archive of the corpus beside the machine's own description. */
static void unpack(const char *archive, char root[64])
{
	snprintf(root, 64, "/tmp/golden-explain-XXXXXX");
	assert_non_null(mkdtemp(root));
	if (corpus_unpack(archive, root) != 0)
		fail_msg("cannot unpack %s", archive);
}

/* Calls `check` for each directory below root/... that has a zoneinfo. */
static uint32_t each_snapshot(const char *root, const char *pattern, const char *only,
			      bool pressure_may)
{
	char path[PATH_BYTES];
	uint32_t nr = 0;
	glob_t found;

	snprintf(path, sizeof(path), "%s/%s/zoneinfo", root, pattern);
	if (glob(path, 0, NULL, &found) != 0)
		return 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *slash = strrchr(found.gl_pathv[i], '/');

		*slash = '\0';
		if (only != NULL && strcmp(strrchr(found.gl_pathv[i], '/') + 1, only) != 0)
			continue;
		check_findings(found.gl_pathv[i], pressure_may);
		nr++;
	}
	globfree(&found);
	return nr;
}

static void test_static(void **state)
{
	char path[PATH_BYTES], root[64];
	uint32_t nr = 0;
	glob_t found;

	(void)state;
	if (corpus_root[0] == '\0')
		skip();
	nr += each_snapshot(corpus_root, "static/*/00-boot", NULL, false);
	snprintf(path, sizeof(path), "%s/static/*/steps.tar.xz", corpus_root);
	assert_int_equal(glob(path, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		unpack(found.gl_pathv[i], root);
		nr += each_snapshot(root, "*", NULL, false);
		corpus_remove(root);
	}
	globfree(&found);
	print_message("%u static snapshots, no finding\n", nr);
	assert_true(nr > 600);
}

static void test_dynamic(void **state)
{
	char path[PATH_BYTES], root[64];
	uint32_t nr = 0;
	glob_t found;

	(void)state;
	if (corpus_root[0] == '\0')
		skip();
	snprintf(path, sizeof(path), "%s/dynamic/*/run[45].tar.xz", corpus_root);
	assert_int_equal(glob(path, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		unpack(found.gl_pathv[i], root);
		nr += each_snapshot(root, "*", "boot", false);
		nr += each_snapshot(root, "*", "start", false);
		nr += each_snapshot(root, "*", "settled", true);
		corpus_remove(root);
	}
	globfree(&found);
	print_message("%u snapshots of jobs, no finding that nothing proves\n", nr);
	assert_true(nr > 150);
}

/* ---- traces ---- */

struct event {
	double time;
	int32_t node; /* of kswapd, or -1 */
	char kind;    /* S sleep, W wake, R works (scans), D direct reclaim, M marker */
};

struct trace {
	struct event *event;
	uint32_t nr;
	double mark[LABELS_MAX];
	char label[LABELS_MAX][40];
	uint32_t nr_labels;
};

/* "  kswapd0-42  [001] ..... 5.466604: mm_vmscan_kswapd_wake: nid=0 order=0" */
static void take_line(struct trace *trace, const char *line)
{
	const char *colon = strstr(line, ": ");
	const char *kswapd = strstr(line, "kswapd");
	struct event event = { .node = -1 };
	const char *time = colon;

	if (colon == NULL || trace->nr == EVENTS_MAX)
		return;
	while (time > line && time[-1] != ' ')
		time--;
	event.time = strtod(time, NULL);
	if (kswapd != NULL && kswapd < strchr(line, '['))
		event.node = atoi(kswapd + 6);
	colon += 2;
	if (strncmp(colon, "tracing_mark_write: snapshot ", 29) == 0) {
		if (trace->nr_labels < LABELS_MAX) {
			sscanf(colon + 29, "%39s", trace->label[trace->nr_labels]);
			trace->mark[trace->nr_labels++] = event.time;
		}
		return;
	}
	if (strncmp(colon, "mm_vmscan_kswapd_sleep", 22) == 0)
		event.kind = 'S';
	else if (strncmp(colon, "mm_vmscan_kswapd_wake", 21) == 0)
		event.kind = 'W';
	else if (strncmp(colon, "mm_vmscan_direct_reclaim_begin", 30) == 0)
		event.kind = 'D';
	else if (event.node >= 0 && (strncmp(colon, "mm_vmscan_lru", 13) == 0 ||
				     strncmp(colon, "mm_shrink_slab", 14) == 0))
		event.kind = 'R';
	else
		return;
	trace->event[trace->nr++] = event;
}

static int compare_events(const void *a, const void *b)
{
	const struct event *first = a, *second = b;

	return first->time < second->time ? -1 : first->time > second->time;
}

static void read_trace(struct trace *trace, const char *path)
{
	char command[PATH_BYTES + 32], line[512];
	FILE *stream;

	*trace = (struct trace){ .nr = 0 };
	trace->event = calloc(EVENTS_MAX, sizeof(*trace->event));
	assert_non_null(trace->event);
	snprintf(command, sizeof(command), "xz -dc '%s'", path);
	stream = popen(command, "r");
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream) != NULL)
		take_line(trace, line);
	assert_int_equal(pclose(stream), 0);
	qsort(trace->event, trace->nr, sizeof(*trace->event), compare_events);
}

/* What the trace says of a node's kswapd at a time: S asleep, A awake or napping, 0 not known. */
static char kswapd_at(const struct trace *trace, int32_t node, double time)
{
	char last = 0;

	for (uint32_t i = 0; i < trace->nr && trace->event[i].time < time; i++)
		if (trace->event[i].node == node && trace->event[i].kind != 'R')
			last = trace->event[i].kind == 'S' ? 'S' : 'A';
	return last;
}

/* Is it in the middle of a run then? */
static bool works_at(const struct trace *trace, int32_t node, double time)
{
	for (uint32_t i = 0; i < trace->nr; i++)
		if (trace->event[i].time >= time && trace->event[i].node == node)
			return trace->event[i].kind == 'R';
	return false;
}

static bool direct_between(const struct trace *trace, double from, double to)
{
	for (uint32_t i = 0; i < trace->nr; i++)
		if (trace->event[i].kind == 'D' && trace->event[i].time >= from &&
		    trace->event[i].time < to)
			return true;
	return false;
}

struct tally {
	uint32_t pair_statements, pair_unknown, checked;
};

static void check_kswapd(const struct trace *trace, const struct explain *x, double time,
			 const char *where, struct tally *tally)
{
	for (uint32_t n = 0; n < x->state->machine.nr_nodes; n++) {
		int32_t node = (int32_t)state_node_id(x->state, n);
		char truth = kswapd_at(trace, node, time);

		switch (x->node[n].kswapd) {
		case KSWAPD_SLEEPS:
			if (truth == 'A')
				fail_msg("%s: kswapd%d does not sleep", where, node);
			break;
		case KSWAPD_AWAKE:
			if (truth == 'S')
				fail_msg("%s: kswapd%d sleeps", where, node);
			break;
		case KSWAPD_RESTS:
			if (works_at(trace, node, time))
				fail_msg("%s: kswapd%d is at work", where, node);
			break;
		default:
			continue;
		}
		tally->checked++;
	}
}

static void count_unknown(const struct explain *x, struct tally *tally)
{
	for (uint32_t n = 0; n < x->state->machine.nr_nodes; n++) {
		tally->pair_statements += 2;
		tally->pair_unknown += x->node[n].kswapd == KSWAPD_UNKNOWN;
		tally->pair_unknown += !x->node[n].boost_known;
	}
	tally->pair_statements++;
	tally->pair_unknown += x->direct == DIRECT_UNKNOWN;
}

/* Time of a label in the trace; negative if the trace does not reach to it. */
static double mark_of(const struct trace *trace, const char *label)
{
	for (uint32_t i = 0; i < trace->nr_labels; i++)
		if (strcmp(trace->label[i], label) == 0)
			return trace->mark[i];
	return -1;
}

/* Labels of a job in the order of their times, from log.txt. */
static uint32_t read_labels(const char *root, char labels[LABELS_MAX][40])
{
	char path[PATH_BYTES], line[512];
	uint32_t nr = 0;

	snprintf(path, sizeof(path), "%s/log.txt", root);
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream) != NULL && nr < LABELS_MAX)
		nr += sscanf(line, "# snapshot %39s at", labels[nr]) == 1;
	fclose(stream);
	return nr;
}

static void check_job(const char *root, const struct trace *trace, struct tally *tally)
{
	char labels[LABELS_MAX][40], path[PATH_BYTES];
	uint32_t nr = read_labels(root, labels);
	struct reading before = { NULL, NULL };

	for (uint32_t i = 0; i < nr; i++) {
		double time = mark_of(trace, labels[i]);
		struct reading alone, pair;

		snprintf(path, sizeof(path), "%s/%s", root, labels[i]);
		read_pair(&alone, NULL, path);
		if (time >= 0)
			check_kswapd(trace, alone.x, time, path, tally);
		if (i > 0) {
			double earlier = mark_of(trace, labels[i - 1]);

			read_pair(&pair, before.evidence, path);
			count_unknown(pair.x, tally);
			if (time >= 0)
				check_kswapd(trace, pair.x, time, path, tally);
			if (time >= 0 && earlier >= 0) {
				assert_int_equal(pair.x->direct == DIRECT_BETWEEN,
						 direct_between(trace, earlier, time));
				tally->checked++;
			}
			free_reading(&pair);
			free_reading(&before);
		}
		before = alone;
	}
	if (nr > 0)
		free_reading(&before);
}

static void test_traced(void **state)
{
	char path[PATH_BYTES], root[64];
	struct tally tally = { 0, 0, 0 };
	glob_t found;

	(void)state;
	if (corpus_root[0] == '\0')
		skip();
	snprintf(path, sizeof(path), "%s/dynamic/*/traced.tar.xz", corpus_root);
	assert_int_equal(glob(path, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct trace trace;

		snprintf(path, sizeof(path), "%.*s/trace-reclaim.txt.xz",
			 (int)(strrchr(found.gl_pathv[i], '/') - found.gl_pathv[i]),
			 found.gl_pathv[i]);
		read_trace(&trace, path);
		unpack(found.gl_pathv[i], root);
		check_job(root, &trace, &tally);
		corpus_remove(root);
		free(trace.event);
	}
	globfree(&found);
	print_message("%u statements agree with traces; with two readings %u of %u unknown\n",
		      tally.checked, tally.pair_unknown, tally.pair_statements);
	assert_true(tally.checked > 20);
	assert_true(tally.pair_unknown * 10 <= tally.pair_statements * 3);
}

/* ---- forecasts ---- */

/* The log's line of "hugepages N": what was obtained. => -1 if the job has none */
static int64_t obtained(const char *root)
{
	char path[PATH_BYTES], line[512];
	int64_t got = -1;

	snprintf(path, sizeof(path), "%s/log.txt", root);
	FILE *stream = fopen(path, "r");

	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream) != NULL) {
		const char *at = strstr(line, "hugepages, have ");

		if (at != NULL)
			got = strtoll(at + strlen("hugepages, have "), NULL, 10);
	}
	fclose(stream);
	return got;
}

static void test_forecast(void **state)
{
	char path[PATH_BYTES], root[64];
	uint32_t nr = 0;
	glob_t found;

	(void)state;
	if (corpus_root[0] == '\0')
		skip();
	snprintf(path, sizeof(path), "%s/dynamic/frag-hugetlb-k2/run*.tar.xz", corpus_root);
	assert_int_equal(glob(path, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		static struct forecast forecast;
		struct text_error err = { .line = 0 };
		struct evidence *evidence;
		struct state *engine;

		unpack(found.gl_pathv[i], root);
		int64_t got = obtained(root);

		snprintf(path, sizeof(path), "%s/fragmented", root);
		if (got >= 0 && access(path, R_OK) == 0) {
			assert_int_equal(evidence_load(path, &evidence, &err), 0);
			assert_int_equal(state_new(evidence, &engine, &err), 0);
			assert_int_equal(forecast_run(engine, 2048, &forecast), 0);
			print_message("now %u, got %d, after reclaim %u\n", (uint32_t)forecast.now,
				      (int)got, (uint32_t)forecast.after_reclaim);
			assert_true((int64_t)forecast.now <= got);
			assert_true(got <= (int64_t)forecast.after_reclaim);
			state_free(engine);
			evidence_free(evidence);
			nr++;
		}
		corpus_remove(root);
	}
	globfree(&found);
	assert_true(nr > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static),
		cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_traced),
		cmocka_unit_test(test_forecast),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
