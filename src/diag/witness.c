/*
 * Evidence for single counters.
 *
 *     row      filled .. touched   pgsteal_direct   off
 *                  |         |
 *     trace  ......[ events ]..........      between the marks of both snapshots
 *                      |
 *     feeds    mm_vmscan_lru_shrink_inactive, not by kswapd: nr_reclaimed
 *
 * A counter that disagrees says that something happened more often, or longer. The
 * trace says which: each counter has the kind of event at which Linux counts it, with
 * the field that it adds, and whose events they are. From both traces these events are
 * counted between the two snapshots, their fields summed, and the first of them shown.
 *
 * Recorders mark snapshots in the trace. A label without a mark was taken before the
 * trace began or after it ended; which, is told by its place among the marked ones.
 * Our trace runs exactly as long as the recorded one, since the same job starts it.
 *
 * Some counters have no event in a trace of reclaim (faults, swap-ins, huge pages).
 * They say so, by name.
 *
 * What must never happen: a sum over another stretch of time than the row's.
 */
#include "diag/witness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum witness_whose {
	OF_ANYBODY,
	OF_KSWAPD,
	OF_OTHERS, /* not of kswapd: direct reclaim */
	OF_KCOMPACTD,
};

/* Where counters are fed. The table's order is that of the words. */
static const struct feed {
	const char *counter;
	const char *event;
	enum witness_whose whose;
	const char *contains; /* in the event's text; NULL: any */
	const char *sum[2];
	const char *words, *sum_words;
} feeds[] = {
#define SHRINK "mm_vmscan_lru_shrink_inactive"
#define ACTIVE "mm_vmscan_lru_shrink_active"
#define MIGRATE "mm_compaction_isolate_migratepages"
#define WAKE "mm_vmscan_kswapd_wake"
#define TRY "mm_compaction_try_to_compact_pages"
	{ "pgscan_kswapd", SHRINK, OF_KSWAPD, NULL, { "nr_scanned" }, SHRINK " of kswapd", NULL },
	{ "pgscan_direct", SHRINK, OF_OTHERS, NULL, { "nr_scanned" }, SHRINK " of others", NULL },
	{ "pgsteal_kswapd",
	  SHRINK,
	  OF_KSWAPD,
	  NULL,
	  { "nr_reclaimed" },
	  SHRINK " of kswapd",
	  NULL },
	{ "pgsteal_direct",
	  SHRINK,
	  OF_OTHERS,
	  NULL,
	  { "nr_reclaimed" },
	  SHRINK " of others",
	  NULL },
	{ "pgscan_anon", SHRINK, OF_ANYBODY, "_ANON", { "nr_scanned" }, SHRINK ", anon", NULL },
	{ "pgscan_file", SHRINK, OF_ANYBODY, "_FILE", { "nr_scanned" }, SHRINK ", file", NULL },
	{ "pgsteal_anon", SHRINK, OF_ANYBODY, "_ANON", { "nr_reclaimed" }, SHRINK ", anon", NULL },
	{ "pgsteal_file", SHRINK, OF_ANYBODY, "_FILE", { "nr_reclaimed" }, SHRINK ", file", NULL },
	{ "pswpout", SHRINK, OF_ANYBODY, "_ANON", { "nr_reclaimed" }, SHRINK ", anon", NULL },
	{ "pgactivate",
	  SHRINK,
	  OF_ANYBODY,
	  NULL,
	  { "nr_activate_anon", "nr_activate_file" },
	  SHRINK,
	  "nr_activate" },
	{ "pgdeactivate", ACTIVE, OF_ANYBODY, NULL, { "nr_deactivated" }, ACTIVE, NULL },
	{ "pgrefill", ACTIVE, OF_ANYBODY, NULL, { "nr_taken" }, ACTIVE, NULL },
	{ "allocstall_total",
	  "mm_vmscan_direct_reclaim_begin",
	  OF_ANYBODY,
	  NULL,
	  { NULL },
	  "mm_vmscan_direct_reclaim_begin",
	  NULL },
	{ "pageoutrun", WAKE, OF_ANYBODY, NULL, { NULL }, WAKE, NULL },
	{ "kswapd_low_wmark_hit_quickly", WAKE, OF_ANYBODY, NULL, { NULL }, WAKE, NULL },
	{ "kswapd_high_wmark_hit_quickly", WAKE, OF_ANYBODY, NULL, { NULL }, WAKE, NULL },
	{ "slabs_scanned",
	  "mm_shrink_slab_start",
	  OF_ANYBODY,
	  NULL,
	  { NULL },
	  "mm_shrink_slab_start",
	  NULL },
	{ "compact_stall", TRY, OF_ANYBODY, NULL, { NULL }, TRY, NULL },
	{ "compact_fail", TRY, OF_ANYBODY, NULL, { NULL }, TRY, NULL },
	{ "compact_success", TRY, OF_ANYBODY, NULL, { NULL }, TRY, NULL },
	{ "compact_migrate_scanned", MIGRATE, OF_ANYBODY, NULL, { "nr_scanned" }, MIGRATE, NULL },
	{ "compact_daemon_migrate_scanned",
	  MIGRATE,
	  OF_KCOMPACTD,
	  NULL,
	  { "nr_scanned" },
	  MIGRATE " of kcompactd",
	  NULL },
	{ "compact_free_scanned",
	  "mm_compaction_isolate_freepages",
	  OF_ANYBODY,
	  NULL,
	  { "nr_scanned" },
	  "mm_compaction_isolate_freepages",
	  NULL },
	{ "compact_isolated",
	  "mm_compaction_isolate_",
	  OF_ANYBODY,
	  NULL,
	  { "nr_taken" },
	  "mm_compaction_isolate_*",
	  NULL },
	{ "compact_daemon_wake",
	  "mm_compaction_kcompactd_wake",
	  OF_ANYBODY,
	  NULL,
	  { NULL },
	  "mm_compaction_kcompactd_wake",
	  NULL },
	{ "pgmigrate_success",
	  "mm_migrate_pages",
	  OF_ANYBODY,
	  NULL,
	  { "nr_succeeded" },
	  "mm_migrate_pages",
	  NULL },
	{ "pgmigrate_fail",
	  "mm_migrate_pages",
	  OF_ANYBODY,
	  NULL,
	  { "nr_failed" },
	  "mm_migrate_pages",
	  NULL },
};

static const struct feed *feed_of(uint32_t counter)
{
	const char *name = rule_counter_name(counter);

	for (size_t i = 0; i < ARRAY_LEN(feeds); i++)
		if (strcmp(feeds[i].counter, name) == 0)
			return &feeds[i];
	return NULL;
}

const char *witness_events(uint32_t counter)
{
	const struct feed *feed = feed_of(counter);

	return feed == NULL ? NULL : feed->words;
}

const char *witness_sum(uint32_t counter)
{
	const struct feed *feed = feed_of(counter);

	if (feed == NULL)
		return NULL;
	return feed->sum_words != NULL ? feed->sum_words : feed->sum[0];
}

/* ---- marks ---- */

void witness_mark(struct witness_marks *marks, const char *label, uint64_t time_ns)
{
	if (marks->nr == RECORD_LABELS_MAX || strlen(label) >= RECORD_LABEL_BYTES)
		return;
	(void)snprintf(marks->label[marks->nr], RECORD_LABEL_BYTES, "%s", label);
	marks->time_ns[marks->nr++] = time_ns;
}

void witness_marks_from_log(const struct trace_log *log, struct witness_marks *out)
{
	static const char word[] = "snapshot ";

	out->nr = 0;
	for (uint32_t i = 0; i < log->nr_lines; i++) {
		const struct trace_line *line = &log->lines[i];

		if (strcmp(line->name, "tracing_mark_write") == 0 &&
		    strncmp(line->body, word, strlen(word)) == 0)
			witness_mark(out, line->body + strlen(word), line->time_ns);
	}
}

/* => the number of the mark, or marks->nr */
static uint32_t find_mark(const struct witness_marks *marks, const char *label)
{
	uint32_t i = 0;

	while (i < marks->nr && strcmp(marks->label[i], label) != 0)
		i++;
	return i;
}

/* Whether the label was taken before tracing began. => its mark is missing */
static bool before_trace(const struct witness_marks *traced, const struct record *labels,
			 uint32_t label)
{
	for (uint32_t i = label + 1; i < labels->nr_labels; i++)
		if (find_mark(traced, labels->label[i]) != traced->nr)
			return true;
	return false;
}

struct window {
	uint64_t from_ns, to_ns;
};

/* The stretch of a row in this trace. => how much of it was traced */
static enum witness_status find_window(const struct witness_side *side,
				       const struct witness_marks *traced,
				       const struct record *labels, const struct record_row *row,
				       struct window *out)
{
	const uint32_t label[2] = { row->from, row->to };
	uint64_t at_ns[2] = { 0, UINT64_MAX };
	enum witness_status status = WITNESS_SEEN;

	for (uint32_t i = 0; i < 2; i++) {
		const char *name = labels->label[label[i]];
		uint32_t mark = find_mark(side->marks, name);

		if (find_mark(traced, name) != traced->nr) {
			if (mark != side->marks->nr)
				at_ns[i] = side->marks->time_ns[mark];
			continue;
		}
		/* Usually a trace is switched on right after the first snapshot. */
		if (traced->nr != 0 && before_trace(traced, labels, label[i]) != (i == 0))
			return WITNESS_OUTSIDE;
		if (i == 1 || label[0] + 1 != label[1])
			status = WITNESS_PART;
	}
	*out = (struct window){ at_ns[0], at_ns[1] };
	return status;
}

/* ---- events ---- */

static bool feeds_it(const struct feed *feed, const struct trace_line *line)
{
	size_t bytes = strlen(feed->event);
	bool kswapd = strncmp(line->task, "kswapd", 6) == 0;

	if (strncmp(line->name, feed->event, bytes) != 0 ||
	    (line->name[bytes] != '\0' && feed->event[bytes - 1] != '_'))
		return false;
	if (feed->contains != NULL && strstr(line->body, feed->contains) == NULL)
		return false;
	switch (feed->whose) {
	case OF_KSWAPD:
		return kswapd;
	case OF_OTHERS:
		return !kswapd;
	case OF_KCOMPACTD:
		return strncmp(line->task, "kcompactd", 9) == 0;
	case OF_ANYBODY:
		break;
	}
	return true;
}

static uint64_t sum_fields(const struct feed *feed, const struct trace_line *line)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(feed->sum) && feed->sum[i] != NULL; i++) {
		int64_t value = 0;

		if (trace_line_number(line, feed->sum[i], &value) && value > 0)
			sum += (uint64_t)value;
	}
	return sum;
}

/* The event in a line: when after `begin_ns`, whose, and its fields that are not 0. */
static void show(const struct trace_line *line, uint64_t begin_ns, char *out)
{
	uint64_t after_ns = line->time_ns - begin_ns;
	size_t used =
		(size_t)snprintf(out, WITNESS_LINE_BYTES, "+%" PRIu64 ".%03" PRIu64 " ms %.15s",
				 after_ns / NSEC_PER_MSEC, after_ns % NSEC_PER_MSEC / NSEC_PER_USEC,
				 line->task);

	for (const char *at = line->body; *at != '\0';) {
		size_t bytes = strcspn(at, " ");
		bool zero = bytes > 2 && memcmp(at + bytes - 2, "=0", 2) == 0;

		if (!zero && bytes != 0 && used + bytes + 1 < WITNESS_LINE_BYTES)
			used += (size_t)snprintf(out + used, WITNESS_LINE_BYTES - used, " %.*s",
						 (int)bytes, at);
		at += bytes;
		at += strspn(at, " ");
	}
}

void witness_row(const struct witness_side *side, const struct witness_marks *traced,
		 const struct record *labels, const struct record_row *row, struct witness *out)
{
	const struct feed *feed = feed_of(row->counter);
	const struct trace_log *log = side->log;
	struct window window = { 0, 0 };
	uint64_t begin_ns;

	*out = (struct witness){ .status = WITNESS_NONE };
	if (feed == NULL)
		return;
	out->status = find_window(side, traced, labels, row, &window);
	if (out->status == WITNESS_OUTSIDE || log->nr_lines == 0)
		return;
	begin_ns = max_u64(window.from_ns, log->lines[0].time_ns);
	for (uint32_t i = 0; i < log->nr_lines; i++) {
		const struct trace_line *line = &log->lines[i];

		if (line->time_ns < window.from_ns || line->time_ns > window.to_ns ||
		    !feeds_it(feed, line))
			continue;
		out->nr_events++;
		out->sum += sum_fields(feed, line);
		if (out->nr_lines < WITNESS_LINES)
			show(line, begin_ns, out->line[out->nr_lines++]);
	}
}

/* ---- as text ---- */

void witness_print(const struct witness *witness, struct text_buf *out)
{
	(void)text_buf_printf(out, "%u %" PRIu64 " %" PRIu64 " %" PRIu32 "\n",
			      (unsigned)witness->status, witness->nr_events, witness->sum,
			      witness->nr_lines);
	for (uint32_t i = 0; i < witness->nr_lines; i++)
		(void)text_buf_printf(out, "%s\n", witness->line[i]);
}

int witness_parse(const char *text, struct witness *out)
{
	const char *at = text;
	unsigned status;
	int used = 0;

	*out = (struct witness){ .status = WITNESS_NONE };
	if (sscanf(at, "%u %" SCNu64 " %" SCNu64 " %" SCNu32 "%n", &status, &out->nr_events,
		   &out->sum, &out->nr_lines, &used) != 4 ||
	    at[used] != '\n' || status >= NR_WITNESS_STATUSES || out->nr_lines > WITNESS_LINES)
		return -EINVAL;
	out->status = (enum witness_status)status;
	at += used + 1;
	for (uint32_t i = 0; i < out->nr_lines; i++) {
		size_t bytes = strcspn(at, "\n");

		if (at[bytes] != '\n' || bytes >= WITNESS_LINE_BYTES)
			return -EINVAL;
		memcpy(out->line[i], at, bytes);
		at += bytes + 1;
	}
	return (int)(at - text);
}
