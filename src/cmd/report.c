/*
 * The summary of a run.
 *
 *     faults     10120 minor, 2345 major
 *     reclaim    kswapd scanned 8123, stole 7000; direct scanned 64, stole 64 in 2 stalls
 *     ...        one subject a line, the word in the first column
 *
 * A subject that is longer than the terminal is wide goes on below its facts, as in
 * files and pipes at 80 columns:
 *
 *     swap       out 50340 pages (196.6M), in 155053 pages (605.6M),
 *                15040 of 35061 pages used
 *
 * The JSON document has the same facts with stable keys, units in the names:
 *
 *     { "command": "run", "runs": [ { "file": ..., "state": "...", ... } ] }
 *
 * What must never happen: a number without its unit, or a key that changes its
 * meaning. New facts get new keys.
 */
#include "cmd/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>
#endif

#include "base/size.h"
#include "cmd/cmd.h"
#include "job/progress.h"

#define INDENT 11u	  /* columns of the word in front */
#define COLUMNS_LEAST 40u /* a terminal that is narrower breaks lines itself */
#define LINE_BYTES 512u	  /* ten facts of 20 digits and their words are fewer */

/* How good it is to break a line after the character. */
static uint32_t break_rank(char c)
{
	return c == ';' ? 3 : c == ',' || c == ':' ? 2 : 1;
}

/* => how many of the `length` bytes go onto a line of that many columns, the space left out */
static size_t fitting(const char *text, size_t length, size_t columns)
{
	uint32_t rank = 0;
	size_t best = length;

	if (length <= columns)
		return length;
	for (size_t i = 1; i <= columns; i++) {
		if (text[i] != ' ' || break_rank(text[i - 1]) < rank)
			continue;
		rank = break_rank(text[i - 1]);
		best = i;
	}
	return best;
}

/* One subject: the word, then facts, on as many lines as they need. */
static PRINTF_LIKE(2, 3) void print_subject(FILE *out, const char *format, ...)
{
	size_t columns = progress_columns(out);
	char line[LINE_BYTES];
	const char *text = line;
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	columns = columns > COLUMNS_LEAST ? columns : COLUMNS_LEAST;
	for (size_t left = strlen(line), room = columns; left > 0; room = columns - INDENT) {
		size_t length = fitting(text, left, room);

		fprintf(out, "%*s%.*s\n", text == line ? 0 : (int)INDENT, "", (int)length, text);
		length += length < left; /* the space */
		text += length;
		left -= length;
	}
}

static void format_time(uint64_t ns, char buffer[32])
{
	if (ns < 10 * NSEC_PER_USEC)
		snprintf(buffer, 32, "%" PRIu64 " ns", ns);
	else if (ns < 10 * NSEC_PER_MSEC)
		snprintf(buffer, 32, "%.1f us", (double)ns / 1e3);
	else if (ns < 10 * NSEC_PER_SEC)
		snprintf(buffer, 32, "%.1f ms", (double)ns / 1e6);
	else
		snprintf(buffer, 32, "%.1f s", (double)ns / 1e9);
}

static void print_accesses(const struct report *report, FILE *out)
{
	const struct run_counts *c = &report->result->counts;
	double seconds = (double)c->wall_ns / 1e9;

	if (report->live)
		print_subject(out, "accesses   %" PRIu64 " in %.2f s", c->accesses, seconds);
	else
		print_subject(out,
			      "accesses   %" PRIu64 " in %.3f s of virtual time (seed %" PRIu64
			      "), simulated in %.2f s",
			      c->accesses, (double)c->elapsed_ns / 1e9, report->seed, seconds);
}

static void print_reclaim(const struct run_counts *c, FILE *out)
{
	char p50[32], p99[32], max[32], total[32];

	print_subject(out, "faults     %" PRIu64 " minor, %" PRIu64 " major", c->minor_faults,
		      c->major_faults);
	print_subject(out,
		      "reclaim    kswapd scanned %" PRIu64 ", stole %" PRIu64
		      "; direct scanned %" PRIu64 ", stole %" PRIu64 " in %" PRIu64 " stalls",
		      c->kswapd_scanned_pages, c->kswapd_stolen_pages, c->direct_scanned_pages,
		      c->direct_stolen_pages, c->direct_stalls);
	print_subject(out, "refaults   %" PRIu64 " anonymous, %" PRIu64 " of files",
		      c->refault_anon_pages, c->refault_file_pages);
	format_time(c->stalls.p50_ns, p50);
	format_time(c->stalls.p99_ns, p99);
	format_time(c->stalls.max_ns, max);
	format_time(c->stalls.total_ns, total);
	print_subject(out, "stalls     %" PRIu64 ": p50 %s, p99 %s, max %s, together %s",
		      c->stalls.count, p50, p99, max, total);
}

static void print_memory(const struct report *report, FILE *out)
{
	const struct run_counts *c = &report->result->counts;
	const struct neap_gauge *g = &c->gauge;
	char in[24], swapped[24], peak[24], managed[24], rss[24];

	size_format(c->swapin_pages * NEAP_PAGE_SIZE, in);
	size_format(c->swapout_pages * NEAP_PAGE_SIZE, swapped);
	print_subject(out,
		      "swap       out %" PRIu64 " pages (%s), in %" PRIu64 " pages (%s), %" PRIu64
		      " of %" PRIu64 " pages used",
		      c->swapout_pages, swapped, c->swapin_pages, in, g->swap_used_pages,
		      g->swap_total_pages);
	size_format(g->peak_used_pages * NEAP_PAGE_SIZE, peak);
	size_format(g->managed_pages * NEAP_PAGE_SIZE, managed);
	print_subject(out,
		      "frames     at most %" PRIu64 " (%s) of %" PRIu64
		      " (%s) in use; free now %" PRIu64 ", min %" PRIu64 " low %" PRIu64
		      " high %" PRIu64 "",
		      g->peak_used_pages, peak, g->managed_pages, managed, g->free_pages,
		      g->min_pages, g->low_pages, g->high_pages);
	if (report->live) {
		size_format(c->rss_peak_bytes, rss);
		print_subject(out, "process    RssAnon + RssShmem at most %s", rss);
	}
}

static void print_verification(const struct run_result *r, FILE *out)
{
	print_subject(out,
		      "verified   %" PRIu64 " accesses, %" PRIu64 " whole pages: %" PRIu64
		      " wrong, %" PRIu64 " reported lost, %" PRIu64 " failed accesses%s%s",
		      r->verified.accesses, r->verified.whole_pages, r->verified.mismatches,
		      r->verified.lost_pages, r->verified.failed_accesses,
		      r->swept ? "" : "; the final check of all pages was left out",
		      r->invariants_hold ? "" : "; AN INVARIANT DOES NOT HOLD");
	if (r->snapshots_not_saved > 0)
		print_subject(out, "snapshots  %" PRIu64 " not saved; --out DIR saves them",
			      r->snapshots_not_saved);
}

void report_print_notes(const char *notes, FILE *out)
{
	while (notes != NULL && *notes != '\0') {
		size_t length = strcspn(notes, "\n");

		if (length < LINE_BYTES)
			print_subject(out, "%.*s", (int)length, notes);
		else
			fprintf(out, "%.*s\n", (int)length, notes);
		notes += length + (notes[length] == '\n');
	}
}

void report_print(const struct report *report, FILE *out)
{
	const struct run_result *r = report->result;

	fprintf(out, "%s%s\n", report->path,
		r->outcome == RUN_INTERRUPTED ? ": interrupted, so far" : "");
	print_accesses(report, out);
	print_reclaim(&r->counts, out);
	print_memory(report, out);
	print_verification(r, out);
}

#ifdef NEAP_HAVE_JANSSON
struct report_json {
	json_t *root; /* NULL once memory was out */
};

static const char *outcome_word(enum run_outcome outcome)
{
	switch (outcome) {
	case RUN_WORLD_FAILED:
		return "world-failed";
	case RUN_REFUSED:
		return "refused";
	case RUN_FAILED:
		return "failed";
	case RUN_INTERRUPTED:
		return "interrupted";
	case RUN_FINE:
		break;
	}
	return "fine";
}

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* An array of the lines of a text. */
static json_t *lines_of(const char *text)
{
	json_t *lines = json_array();

	for (const char *line = text; line != NULL && *line != '\0';) {
		size_t length = strcspn(line, "\n");

		/* A path need not be UTF-8; then the line cannot be a JSON string. */
		json_t *string = json_stringn(line, length);

		json_array_append_new(lines, string != NULL ? string : json_string("?"));
		line += length + (line[length] == '\n');
	}
	return lines;
}

static json_t *counts_json(const struct run_counts *c)
{
	return json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "accesses",
		number(c->accesses), "minor_faults", number(c->minor_faults), "major_faults",
		number(c->major_faults), "kswapd_scanned_pages", number(c->kswapd_scanned_pages),
		"kswapd_stolen_pages", number(c->kswapd_stolen_pages), "direct_scanned_pages",
		number(c->direct_scanned_pages), "direct_stolen_pages",
		number(c->direct_stolen_pages), "direct_stalls", number(c->direct_stalls),
		"swapin_pages", number(c->swapin_pages), "swapout_pages", number(c->swapout_pages),
		"refault_anon_pages", number(c->refault_anon_pages), "refault_file_pages",
		number(c->refault_file_pages), "elapsed_ns", number(c->elapsed_ns), "wall_ns",
		number(c->wall_ns), "rss_peak_bytes", number(c->rss_peak_bytes));
}

static json_t *gauge_json(const struct neap_gauge *g)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "free_pages", number(g->free_pages),
			 "min_pages", number(g->min_pages), "low_pages", number(g->low_pages),
			 "high_pages", number(g->high_pages), "managed_pages",
			 number(g->managed_pages), "peak_used_pages", number(g->peak_used_pages),
			 "swap_used_pages", number(g->swap_used_pages), "swap_total_pages",
			 number(g->swap_total_pages));
}

static json_t *stalls_json(const struct neap_stalls *s)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "count", number(s->count), "total_ns",
			 number(s->total_ns), "p50_ns", number(s->p50_ns), "p99_ns",
			 number(s->p99_ns), "max_ns", number(s->max_ns));
}

static json_t *verified_json(const struct run_result *r)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:b}", "accesses", number(r->verified.accesses),
			 "whole_pages", number(r->verified.whole_pages), "mismatches",
			 number(r->verified.mismatches), "lost_pages",
			 number(r->verified.lost_pages), "failed_accesses",
			 number(r->verified.failed_accesses), "all_pages_checked", r->swept,
			 "invariants_hold", r->invariants_hold);
}

struct report_json *report_json_new(bool live)
{
	struct report_json *document = calloc(1, sizeof(*document));

	if (document != NULL)
		document->root = json_pack("{s:s,s:[]}", "command", live ? "run" : "sim", "runs");
	if (document == NULL || document->root == NULL) {
		free(document);
		cmd_error("memory is out");
		return NULL;
	}
	return document;
}

void report_json_add(struct report_json *document, const struct report *report)
{
	const struct run_result *r = report->result;
	json_t *path = json_string(report->path);
	char state[17];
	json_t *run;

	snprintf(state, sizeof(state), "%016" PRIx64, r->state_hash);
	run = json_pack("{s:o,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "file",
			path != NULL ? path : json_string("?"), "outcome", outcome_word(r->outcome),
			"state", state, "seed", number(report->seed), "counts",
			counts_json(&r->counts), "gauge", gauge_json(&r->counts.gauge), "stalls",
			stalls_json(&r->counts.stalls), "verified", verified_json(r), "messages",
			lines_of(r->messages), "findings", lines_of(r->findings), "digests",
			lines_of(r->digests), "notes", lines_of(r->notes));
	if (document->root == NULL)
		json_decref(run);
	else if (run == NULL ||
		 json_array_append_new(json_object_get(document->root, "runs"), run)) {
		json_decref(document->root);
		document->root = NULL;
	}
}

bool report_json_print(struct report_json *document, FILE *out)
{
	bool complete = document->root != NULL;

	if (complete) {
		json_dumpf(document->root, out, JSON_INDENT(2));
		fputc('\n', out);
	}
	json_decref(document->root);
	free(document);
	return complete;
}
#else
struct report_json *report_json_new(bool live)
{
	(void)live;
	cmd_error("--json: this neap was built without jansson");
	return NULL;
}

void report_json_add(struct report_json *document, const struct report *report)
{
	(void)document;
	(void)report;
}

bool report_json_print(struct report_json *document, FILE *out)
{
	(void)document;
	(void)out;
	return false;
}
#endif
