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

static void print_range(const struct rule_values *values, FILE *out)
{
	int64_t least = values->value[0], most = values->value[0];
	uint32_t low_nr;

	for (uint32_t i = 1; i < values->nr; i++) {
		least = values->value[i] < least ? values->value[i] : least;
		most = values->value[i] > most ? values->value[i] : most;
	}
	fprintf(out, "%9" PRId64 " %8" PRId64 "..%-8" PRId64, rule_median(values), least, most);
	if (rule_two_outcomes(values, &low_nr))
		fprintf(out, " (two outcomes, %" PRIu32 ":%" PRIu32 ")", low_nr,
			values->nr - low_nr);
}

static void print_row(const struct conform_job *job, const struct record_row *row, FILE *out)
{
	const struct record *run = &job->kernel.run[0];

	fprintf(out, "  %-6s %-10s %-10s %-30s %9" PRId64 "  ", verdict_words[row->verdict],
		run->label[row->from], run->label[row->to], rule_counter_name(row->counter),
		rule_median(&row->ours));
	print_range(&row->kernel, out);
	fputc('\n', out);
}

static void print_score(const char *name, const struct conform_score *score, FILE *out)
{
	uint32_t ours = conform_inside(score), kernel = conform_kernel_inside(score);

	fprintf(out, "%-26s %5" PRIu64 " %6u.%u %%%6" PRIu64 "%6" PRIu64 " %8u.%u %%", name,
		score->rows, ours / 10, ours % 10, score->ours[RULE_NEAR], score->ours[RULE_OFF],
		kernel / 10, kernel % 10);
}

static void print_share(const struct conform_job *job, FILE *out)
{
	int ours = record_kswapd_share(&job->ours);
	int kernel = record_kswapd_share(&job->kernel);

	if (ours >= 0 && kernel >= 0)
		fprintf(out, " %6d.%d %% %6d.%d %%", ours / 10, ours % 10, kernel / 10,
			kernel % 10);
	fputc('\n', out);
}

static void print_job(const struct conform_job *job, bool all, FILE *out)
{
	uint32_t nr = 0;

	fprintf(out, "%s\n", job->name);
	if (job->refused != NULL || job->failed != NULL) {
		fprintf(out, "  %s: %s\n\n", job->refused != NULL ? "refused" : "FAILED",
			job->refused != NULL ? job->refused : job->failed);
		return;
	}
	for (uint32_t i = 0; i < job->nr_rows; i++) {
		if (!all && job->rows[i].verdict == RULE_INSIDE)
			continue;
		if (nr++ == 0)
			fprintf(out, "  %-6s %-10s %-10s %-30s %9s  %9s %s\n", "rule", "from", "to",
				"counter", "ours", "kernel's", "   least..most");
		print_row(job, &job->rows[i], out);
	}
	if (nr == 0)
		fprintf(out, "  all of %" PRIu32 " rows are inside\n", job->nr_rows);
	if (job->evidence != NULL)
		fputs(job->evidence, out);
	fputc('\n', out);
}

/* ---- all jobs ---- */

static const char score_head[] =
	"job                         rows    inside  near   off  the kernel   kswapd's share:"
	" ours, kernel\n";

static struct conform_score print_summary(const struct conform *conform, FILE *out)
{
	struct conform_score total = { 0 };

	fputs(score_head, out);
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		const struct conform_job *job = &conform->job[i];
		struct conform_score score = conform_score_job(job);

		conform_score_add(&total, &score);
		if (score.played == 0) {
			fprintf(out, "%-26s %s: %s\n", job->name,
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
	fputc('\n', out);
	for (uint32_t i = 0; i < conform->nr_jobs && !conform->options->brief; i++)
		print_job(&conform->job[i], conform->options->all_rows, out);
	(void)print_summary(conform, out);
	fputc('\n', out);
	print_counters(conform, out);
}

/* ---- before and after ---- */

/* => whether the row's value differs from before */
static bool print_change(const struct conform_job *job, const struct record_row *row,
			 const struct record_row *old, FILE *out)
{
	const struct record *run = &job->kernel.run[0];
	int64_t before = rule_median(&old->ours), after = rule_median(&row->ours);

	if (before == after && old->verdict == row->verdict)
		return false;
	fprintf(out, "  %-10s %-10s %-30s %9" PRId64 " %-6s %9" PRId64 " %-6s  ",
		run->label[row->from], run->label[row->to], rule_counter_name(row->counter), before,
		verdict_words[old->verdict], after, verdict_words[row->verdict]);
	print_range(&row->kernel, out);
	fputc('\n', out);
	return true;
}

static void change_job(struct conform_job *job, struct conform_score *before, FILE *out)
{
	static struct record_row rows[RECORD_ROWS_MAX];
	int nr = record_rows(&job->kernel, &job->before, rows);
	bool first = true;

	for (int i = 0; i < nr && (uint32_t)nr == job->nr_rows; i++) {
		before->rows++;
		before->ours[rows[i].verdict]++;
		if (rule_median(&rows[i].ours) == rule_median(&job->rows[i].ours) &&
		    rows[i].verdict == job->rows[i].verdict)
			continue;
		if (first)
			fprintf(out, "%s\n", job->name);
		first = false;
		(void)print_change(job, &job->rows[i], &rows[i], out);
	}
}

void conform_print_changes(const struct conform *conform, FILE *out)
{
	struct conform_score before = { 0 }, after = { 0 };
	uint32_t old, now, kernel;

	fputs(rule_text, out);
	fprintf(out, "\n  %-10s %-10s %-30s %9s %-6s %9s %-6s  %9s %s\n", "from", "to", "counter",
		"before", "", "after", "", "kernel's", "   least..most");
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
