/*
 * neap conform: tables.
 *
 *     a table per job     rows that are off or near (with --all every row), the
 *                         kernel's median and range, our median and what the rule says
 *     evidence            traces of both sides, where the kernel's was recorded
 *     summary             a line per job, then all jobs; the kernel's own score beside ours
 *
 * Numbers in a line are counts of events or pages between two snapshots.
 *
 * Percentages are of rows: for the kernel, of rows times runs. A row that no run of
 * the kernel repeats (half of the compaction counters) lowers its score as it lowers
 * ours.
 *
 * What must never happen: an average over jobs that hides one. The total counts rows.
 */
#include <inttypes.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/conform.h"

static const char *const verdict_words[NR_RULE_VERDICTS] = { "inside", "near", "off" };

struct conform_score conform_score_job(const struct conform_job *job)
{
	struct conform_score score = { .played = 1 };

	if (job->refused != NULL)
		return (struct conform_score){ .refused = 1 };
	if (job->failed != NULL)
		return (struct conform_score){ .failed = 1 };
	score.rows = job->nr_rows;
	for (uint32_t i = 0; i < job->nr_rows; i++) {
		score.ours[job->rows[i].verdict]++;
		for (uint32_t v = 0; v < NR_RULE_VERDICTS; v++) {
			score.kernel[v] += job->rows[i].kernel_runs[v];
			score.kernel_judged += job->rows[i].kernel_runs[v];
		}
	}
	return score;
}

void conform_score_add(struct conform_score *to, const struct conform_score *from)
{
	to->rows += from->rows;
	to->kernel_judged += from->kernel_judged;
	to->played += from->played;
	to->refused += from->refused;
	to->failed += from->failed;
	for (uint32_t v = 0; v < NR_RULE_VERDICTS; v++) {
		to->ours[v] += from->ours[v];
		to->kernel[v] += from->kernel[v];
	}
}

static uint32_t permille(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : (uint32_t)((part * 1000 + whole / 2) / whole);
}

uint32_t conform_inside(const struct conform_score *score)
{
	return permille(score->ours[RULE_INSIDE], score->rows);
}

uint32_t conform_kernel_inside(const struct conform_score *score)
{
	return permille(score->kernel[RULE_INSIDE], score->kernel_judged);
}

/* ---- a job ---- */

/* The kernel's range, and in how many runs of two outcomes the lower one was seen. */
static void print_range(const struct rule_values *values, FILE *out)
{
	int64_t least = values->value[0], most = values->value[0];
	uint32_t low_nr;

	for (uint32_t i = 1; i < values->nr; i++) {
		least = values->value[i] < least ? values->value[i] : least;
		most = values->value[i] > most ? values->value[i] : most;
	}
	fprintf(out, " %8" PRId64 "..%" PRId64, least, most);
	if (rule_two_outcomes(values, &low_nr))
		fprintf(out, " %" PRIu32 ":%" PRIu32, low_nr, values->nr - low_nr);
}

static void print_row(const struct record_row *row, FILE *out)
{
	fprintf(out, "  %-6s %-30s %8" PRId64 " %8" PRId64, verdict_words[row->verdict],
		rule_counter_name(row->counter), rule_median(&row->ours),
		rule_median(&row->kernel));
	print_range(&row->kernel, out);
	fputc('\n', out);
}

static void print_witness(const char *who, const struct witness *witness, uint32_t counter,
			  FILE *out)
{
	const char *sum = witness_sum(counter);

	fprintf(out, "      %-6s %" PRIu64 " events", who, witness->nr_events);
	if (sum != NULL)
		fprintf(out, ", %s %" PRIu64, sum, witness->sum);
	fputs(witness->status == WITNESS_PART ? ", traced in part\n" : "\n", out);
	for (uint32_t i = 0; i < witness->nr_lines; i++)
		fprintf(out, "        %s\n", witness->line[i]);
}

void conform_print_evidence(const struct conform_job *job, uint32_t number, FILE *out)
{
	uint32_t counter = job->rows[number].counter;
	const struct witness *pair;

	if (job->witnesses == NULL || number >= job->nr_witnesses)
		return;
	pair = job->witnesses[number];
	if (pair[0].status == WITNESS_NONE) {
		fprintf(out, "    no event of a trace of reclaim feeds %s\n",
			rule_counter_name(counter));
		return;
	}
	fprintf(out, "    %s\n", witness_events(counter));
	if (pair[0].status == WITNESS_OUTSIDE) {
		fputs("      not traced between these two snapshots\n", out);
		return;
	}
	print_witness("kernel", &pair[0], counter, out);
	print_witness("ours", &pair[1], counter, out);
}

static void print_score(const char *name, const struct conform_score *score, FILE *out)
{
	uint32_t ours = conform_inside(score), kernel = conform_kernel_inside(score);

	fprintf(out, "%-23s %5" PRIu64 " %4u.%u %5" PRIu64 " %5" PRIu64 " %6u.%u", name,
		score->rows, ours / 10, ours % 10, score->ours[RULE_NEAR], score->ours[RULE_OFF],
		kernel / 10, kernel % 10);
}

static void print_share(const struct conform_job *job, FILE *out)
{
	int ours = record_kswapd_share(&job->ours);
	int kernel = record_kswapd_share(&job->kernel);

	if (ours >= 0 && kernel >= 0)
		fprintf(out, " %8d.%d %6d.%d", ours / 10, ours % 10, kernel / 10, kernel % 10);
	fputc('\n', out);
}

static void print_rows(const struct conform_job *job, bool all, FILE *out)
{
	const struct record *run = &job->kernel.run[0];
	const struct record_row *last = NULL;

	for (uint32_t i = 0; i < job->nr_rows; i++) {
		const struct record_row *row = &job->rows[i];

		if (!all && row->verdict == RULE_INSIDE)
			continue;
		if (last == NULL)
			fprintf(out, "  %-6s %-30s %8s %8s %8s..%s\n", "rule", "counter", "ours",
				"kernel's", "least", "most");
		if (last == NULL || last->from != row->from || last->to != row->to)
			fprintf(out, "%s .. %s\n", run->label[row->from], run->label[row->to]);
		last = row;
		print_row(row, out);
		if (row->verdict == RULE_OFF)
			conform_print_evidence(job, i, out);
	}
	if (last == NULL)
		fprintf(out, "  all of %" PRIu32 " rows are inside\n", job->nr_rows);
}

static void print_job(const struct conform_job *job, bool all, FILE *out)
{
	fprintf(out, "%s\n", job->name);
	if (job->refused != NULL || job->failed != NULL) {
		fprintf(out, "  %s: %s\n\n", job->refused != NULL ? "refused" : "FAILED",
			job->refused != NULL ? job->refused : job->failed);
		return;
	}
	print_rows(job, all, out);
	if (job->evidence != NULL)
		fputs(job->evidence, out);
	else
		fprintf(out, "  no traced run of %s was recorded: no evidence\n", job->name);
	fputc('\n', out);
}

/* ---- all jobs ---- */

static const char score_head[] =
	"job                      rows inside  near   off kernel's  kswapd's steals\n"
	"                                   %                    %     ours % kernel %\n";

static struct conform_score print_summary(const struct conform *conform, FILE *out)
{
	struct conform_score total = { 0 };

	fputs(score_head, out);
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		const struct conform_job *job = &conform->job[i];
		struct conform_score score = conform_score_job(job);

		conform_score_add(&total, &score);
		if (score.played == 0) {
			fprintf(out, "%s: %s: %s\n", job->name,
				job->refused != NULL ? "refused" : "FAILED",
				job->refused != NULL ? job->refused : job->failed);
			continue;
		}
		print_score(job->name, &score, out);
		print_share(job, out);
	}
	print_score("all", &total, out);
	fprintf(out, "\n%" PRIu64 " jobs played, %" PRIu64 " refused, %" PRIu64 " failed\n",
		total.played, total.refused, total.failed);
	return total;
}

/* Which counters are off most often, most first. */
static void print_counters(const struct conform *conform, FILE *out)
{
	uint32_t off[RECORD_COUNTERS_MAX] = { 0 }, rows[RECORD_COUNTERS_MAX] = { 0 };

	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		const struct conform_job *job = &conform->job[i];

		for (uint32_t k = 0; k < job->nr_rows && conform_score_job(job).played; k++) {
			rows[job->rows[k].counter]++;
			off[job->rows[k].counter] += job->rows[k].verdict != RULE_INSIDE;
		}
	}
	fputs("counter                         rows not inside\n", out);
	for (;;) { /* ends when no counter is left */
		uint32_t worst = 0;

		for (uint32_t i = 0; i < rule_nr_counters(); i++)
			if (off[i] > off[worst])
				worst = i;
		if (off[worst] == 0)
			break;
		fprintf(out, "%-30s %5" PRIu32 " %10" PRIu32 "\n", rule_counter_name(worst),
			rows[worst], off[worst]);
		off[worst] = 0;
	}
}

void conform_print(const struct conform *conform, FILE *out)
{
	fputs(rule_text, out);
	fputs("A row's last word \"3:2\" says that it has two outcomes: three runs, and two.\n\n",
	      out);
	for (uint32_t i = 0; i < conform->nr_jobs && !conform->options->brief; i++)
		print_job(&conform->job[i], conform->options->all_rows, out);
	(void)print_summary(conform, out);
	fputc('\n', out);
	print_counters(conform, out);
}

/* ---- before and after ---- */

static void print_change(const struct record_row *row, const struct record_row *old, FILE *out)
{
	fprintf(out, "  %-30s %8" PRId64 " %-6s %8" PRId64 " %-6s", rule_counter_name(row->counter),
		rule_median(&old->ours), verdict_words[old->verdict], rule_median(&row->ours),
		verdict_words[row->verdict]);
	print_range(&row->kernel, out);
	fputc('\n', out);
}

static void change_job(struct conform_job *job, struct conform_score *before, FILE *out)
{
	static struct record_row rows[RECORD_ROWS_MAX];
	const struct record *run = &job->kernel.run[0];
	const struct record_row *last = NULL;
	int nr = record_rows(&job->kernel, &job->before, rows);

	for (int i = 0; i < nr && (uint32_t)nr == job->nr_rows; i++) {
		const struct record_row *row = &job->rows[i];

		before->rows++;
		before->ours[rows[i].verdict]++;
		if (rule_median(&rows[i].ours) == rule_median(&row->ours) &&
		    rows[i].verdict == row->verdict)
			continue;
		if (last == NULL || last->from != row->from || last->to != row->to)
			fprintf(out, "%s: %s .. %s\n", job->name, run->label[row->from],
				run->label[row->to]);
		last = row;
		print_change(row, &rows[i], out);
	}
}

void conform_print_changes(const struct conform *conform, FILE *out)
{
	struct conform_score before = { 0 }, after = { 0 };
	uint32_t old, now, kernel;

	fputs(rule_text, out);
	fprintf(out, "\n  %-30s %8s %-6s %8s %-6s %8s..%s\n", "counter", "before", "", "after", "",
		"kernel's", "");
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_job *job = &conform->job[i];
		struct conform_score score = conform_score_job(job);

		if (score.played == 0 || job->before.nr == 0)
			continue;
		conform_score_add(&after, &score);
		change_job(job, &before, out);
	}
	old = conform_inside(&before);
	now = conform_inside(&after);
	kernel = conform_kernel_inside(&after);
	fprintf(out,
		"inside: before %u.%u %%, after %u.%u %%, the kernel %u.%u %% (%" PRIu64 " jobs)\n",
		old / 10, old % 10, now / 10, now % 10, kernel / 10, kernel % 10, after.played);
}
