/*
 * From snapshots to rows.
 *
 *     run 1:  start  filled  touched  settled        labels
 *     run 2:  start  filled  touched  settled        each with its counters
 *       \_______\______/ \______/ \_____/  pairs: neighbours, and first to last
 *                 |
 *     one row a counter and pair: differences in the kernel's runs, and in ours
 *
 * The labels are those of the recorded log, in its order: the directory's order says
 * nothing about time. "boot" is where a simulation starts, not a part of the job.
 *
 * Counters of vmstat are those that the rule lists; names of zones are summed up. A
 * counter that a run lacks (another kernel) makes no row there.
 *
 * A run crosses from one process to another as lines of text, "LABEL NAME VALUE".
 *
 * What must never happen: a row made of runs with different labels.
 */
#include "diag/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(RULE_RUNS_MAX >= 12, "the recordings have up to twelve runs of a job");

static int add_label(struct record *record, const char *label)
{
	size_t bytes = strlen(label);
	uint32_t at = record->nr_labels;

	if (at == RECORD_LABELS_MAX || bytes >= RECORD_LABEL_BYTES)
		return -E2BIG;
	memcpy(record->label[at], label, bytes + 1);
	for (uint32_t i = 0; i < RECORD_COUNTERS_MAX; i++)
		record->value[at][i] = RECORD_ABSENT;
	record->nr_labels++;
	return 0;
}

static void add_value(struct record *record, uint32_t label, uint32_t counter, int64_t value)
{
	int64_t *to = &record->value[label][counter];

	*to = *to == RECORD_ABSENT ? value : *to + value;
}

int record_add(struct record *record, const char *label, const struct text_buf *vmstat)
{
	uint32_t nr = 0;
	int error = add_label(record, label);

	if (error != 0)
		return error;
	for (const char *line = text_buf_text(vmstat); *line != '\0';) {
		size_t name = strcspn(line, " \n");
		uint32_t counter = rule_counter_of(line, name);

		if (counter != rule_nr_counters() && line[name] == ' ') {
			/* Counters of a machine stay far below 2^63. */
			add_value(record, record->nr_labels - 1, counter,
				  (int64_t)strtoull(line + name, NULL, 10));
			nr++;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return nr == 0 ? -EINVAL : 0;
}

int record_from_archive(const struct unpack_files *files, const char *path, struct record *out,
			struct text_error *err)
{
	static const char mark[] = "# snapshot ";
	const struct unpack_file *log = unpack_find(files, "log.txt");
	const char *at = log == NULL ? NULL : text_buf_text(&log->text);

	out->nr_labels = 0;
	if (at == NULL) {
		text_error_set(err, path, 0, "it holds no log.txt, so it is no recorded run");
		return -EINVAL;
	}
	while ((at = strstr(at, mark)) != NULL) {
		char label[RECORD_LABEL_BYTES] = "", name[RECORD_LABEL_BYTES + 16];
		const struct unpack_file *file;
		size_t bytes;

		at += strlen(mark);
		bytes = strcspn(at, " \n");
		if (bytes >= sizeof(label) || (bytes == 4 && memcmp(at, "boot", 4) == 0))
			continue;
		memcpy(label, at, bytes);
		(void)snprintf(name, sizeof(name), "%s/vmstat", label);
		file = unpack_find(files, name);
		if (file == NULL || record_add(out, label, &file->text) != 0) {
			text_error_set(err, path, 0, "%s is missing or no vmstat", name);
			return -EINVAL;
		}
	}
	return 0;
}

/* ---- as text ---- */

void record_print(const struct record *record, struct text_buf *out)
{
	for (uint32_t label = 0; label < record->nr_labels; label++) {
		(void)text_buf_printf(out, "label %s\n", record->label[label]);
		for (uint32_t i = 0; i < rule_nr_counters(); i++)
			if (record->value[label][i] != RECORD_ABSENT)
				(void)text_buf_printf(out, "%" PRIu32 " %" PRId64 "\n", i,
						      record->value[label][i]);
	}
}

int record_parse(const char *text, struct record *out)
{
	out->nr_labels = 0;
	for (const char *line = text; *line != '\0';) {
		char label[RECORD_LABEL_BYTES];
		uint32_t counter;
		int64_t value;

		if (sscanf(line, "label %47s", label) == 1) {
			if (add_label(out, label) != 0)
				return -E2BIG;
		} else if (sscanf(line, "%" SCNu32 " %" SCNd64, &counter, &value) == 2 &&
			   counter < rule_nr_counters() && out->nr_labels != 0) {
			add_value(out, out->nr_labels - 1, counter, value);
		} else {
			return -EINVAL;
		}
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	return 0;
}

/* ---- rows ---- */

static bool labels_equal(const struct record *a, const struct record *b)
{
	if (a->nr_labels != b->nr_labels)
		return false;
	for (uint32_t i = 0; i < a->nr_labels; i++)
		if (strcmp(a->label[i], b->label[i]) != 0)
			return false;
	return true;
}

static void collect(const struct record_set *runs, const struct record_row *row,
		    struct rule_values *values)
{
	values->nr = 0;
	for (uint32_t i = 0; i < runs->nr && values->nr < RULE_RUNS_MAX; i++) {
		int64_t from = runs->run[i].value[row->from][row->counter];
		int64_t to = runs->run[i].value[row->to][row->counter];

		if (from != RECORD_ABSENT && to != RECORD_ABSENT)
			values->value[values->nr++] = to - from;
	}
}

/* Each run of the kernel against all others. */
static void judge_kernel(struct record_row *row)
{
	const struct rule_values *kernel = &row->kernel;

	memset(row->kernel_runs, 0, sizeof(row->kernel_runs));
	for (uint32_t i = 0; i < kernel->nr && kernel->nr > 1; i++) {
		struct rule_values one = { .nr = 1, .value = { kernel->value[i] } };
		struct rule_values others = *kernel;

		others.value[i] = others.value[--others.nr];
		row->kernel_runs[rule_judge(&others, &one)]++;
	}
}

/* Adds the rows of one pair of labels. => the number of rows now */
static int add_pair(const struct record_set *kernel, const struct record_set *ours,
		    const struct record_row *pair, struct record_row *rows, int nr)
{
	for (uint32_t counter = 0; counter < rule_nr_counters(); counter++) {
		struct record_row *row = &rows[nr];

		*row = *pair;
		row->counter = counter;
		collect(kernel, row, &row->kernel);
		if (!rule_row_counts(&row->kernel))
			continue;
		collect(ours, row, &row->ours);
		/* What we do not count we have not seen happen. */
		if (row->ours.nr == 0 && ours->nr != 0)
			row->ours = (struct rule_values){ .nr = 1 };
		row->verdict = ours->nr == 0 ? RULE_OFF : rule_judge(&row->kernel, &row->ours);
		judge_kernel(row);
		nr++;
	}
	return nr;
}

int record_rows(const struct record_set *kernel, const struct record_set *ours,
		struct record_row *rows)
{
	uint32_t nr_labels = kernel->nr == 0 ? 0 : kernel->run[0].nr_labels;
	int nr = 0;

	for (uint32_t i = 1; i < kernel->nr; i++)
		if (!labels_equal(&kernel->run[0], &kernel->run[i]))
			return -EINVAL;
	for (uint32_t i = 0; i < ours->nr; i++)
		if (!labels_equal(&kernel->run[0], &ours->run[i]))
			return -EINVAL;
	for (uint32_t i = 0; i + 1 < nr_labels; i++) {
		struct record_row pair = { .from = i, .to = i + 1 };

		nr = add_pair(kernel, ours, &pair, rows, nr);
	}
	if (nr_labels > 2) {
		struct record_row pair = { .from = 0, .to = nr_labels - 1 };

		nr = add_pair(kernel, ours, &pair, rows, nr);
	}
	return nr;
}

int record_kswapd_share(const struct record_set *runs)
{
	static const char *const names[] = { "pgsteal_kswapd", "pgsteal_direct" };
	struct rule_values shares = { .nr = 0 };

	for (uint32_t i = 0; i < runs->nr && shares.nr < RULE_RUNS_MAX; i++) {
		const struct record *run = &runs->run[i];
		int64_t stolen[2] = { 0, 0 };

		for (uint32_t k = 0; k < 2 && run->nr_labels > 1; k++) {
			uint32_t counter = rule_counter_of(names[k], strlen(names[k]));

			stolen[k] =
				run->value[run->nr_labels - 1][counter] - run->value[0][counter];
		}
		if (stolen[0] + stolen[1] > 0)
			shares.value[shares.nr++] = stolen[0] * 1000 / (stolen[0] + stolen[1]);
	}
	return shares.nr == 0 ? -1 : (int)rule_median(&shares);
}
