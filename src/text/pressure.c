/*
 * Pressure stall information.
 *
 *     some avg10=7.24 avg60=1.30 avg300=0.27 total=1023559
 *     full avg10=7.24 avg60=1.30 avg300=0.27 total=1023559
 *     ^name      ^list[0]   [1]         [2]        ^value
 *
 * Averages are percents of the last 10, 60 and 300 seconds with two digits, cut, not
 * rounded; here they are integers of 1/100 percent. The total is in microseconds.
 * pressure/irq has no line "some". All resources and all cgroups have the same form, so
 * there is one format for them; a machine of neap has memory pressure only. A kernel
 * without PSI has no such files or refuses to read them. Linux's counterpart is
 * psi_show() in kernel/sched/psi.c.
 *
 * What must never happen: an average with one or three digits taken for one with two.
 */
#include "text/pressure.h"

#include <errno.h>
#include <string.h>

#include "text/scan.h"

#define PERCENT_MAX 1000000u

static const char *const average_labels[SNAPSHOT_PSI_AVERAGES] = { "avg10=", "avg60=", "avg300=" };

/* Understands "7.24". */
static const char *scan_hundredths(const char *at, uint64_t *value)
{
	uint64_t percent = 0;
	uint64_t rest = 0;

	const char *digits = scan_literal(scan_u64(at, &percent), ".");
	at = scan_u64(digits, &rest);
	if (at == NULL || at - digits != 2 || percent > PERCENT_MAX)
		return NULL;
	*value = percent * 100 + rest;
	return at;
}

static int pressure_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *name_end = scan_word(text);
	const char *at = name_end;
	uint64_t averages[SNAPSHOT_PSI_AVERAGES] = { 0 };
	uint64_t total = 0;

	for (uint32_t i = 0; i < SNAPSHOT_PSI_AVERAGES; i++)
		at = scan_hundredths(scan_literal(scan_blanks(at), average_labels[i]),
				     &averages[i]);
	if (!scan_end(scan_u64(scan_literal(scan_blanks(at), "total="), &total)))
		return 0;
	for (uint32_t i = 0; i < SNAPSHOT_PSI_AVERAGES; i++) {
		int error = text_doc_add_number(doc, line, averages[i]);

		if (error != 0)
			return error;
	}
	line->kind = PRESSURE_LINE;
	line->name = text_doc_name(doc, text, (size_t)(name_end - text));
	line->value = total;
	line->known = strcmp(line->name, "some") == 0 || strcmp(line->name, "full") == 0;
	return 0;
}

static void pressure_print(const struct text_doc *doc, const struct text_line *line,
			   struct text_buf *out)
{
	text_buf_puts(out, line->name);
	for (uint32_t i = 0; i < SNAPSHOT_PSI_AVERAGES; i++) {
		uint64_t average = doc->numbers[line->list + i];

		text_buf_printf(out, " %s%llu.%02llu", average_labels[i],
				(unsigned long long)(average / 100),
				(unsigned long long)(average % 100));
	}
	text_buf_puts(out, " total=");
	text_buf_u64(out, line->value, 0);
}

const struct text_format pressure_format = {
	.title = "/proc/pressure/memory",
	.form = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0",
	.bytes_max = 64 * KIB,
	.lines_max = 64,
	.line_bytes_max = 256,
	.by_name = true,
	.read = pressure_read,
	.print = pressure_print,
};

static int add_line(struct text_doc *doc, const char *name, const struct snapshot_psi *psi)
{
	struct text_line line = {
		.kind = PRESSURE_LINE,
		.known = true,
		.name = name,
		.value = psi->total_us,
	};
	int error = 0;

	for (uint32_t i = 0; i < SNAPSHOT_PSI_AVERAGES && error == 0; i++)
		error = text_doc_add_number(doc, &line, psi->average_hundredths[i]);
	return error != 0 ? error : text_doc_add(doc, &line);
}

int pressure_from_snapshot(const struct snapshot *snapshot, struct text_doc **out)
{
	*out = text_doc_new(&pressure_format);
	if (*out == NULL)
		return -ENOMEM;
	int error = add_line(*out, "some", &snapshot->psi_some);
	if (error == 0)
		error = add_line(*out, "full", &snapshot->psi_full);
	return text_doc_finish(out, error);
}

bool pressure_doc_get(const struct text_doc *doc, const char *name, struct snapshot_psi *psi)
{
	const struct text_line *line = text_doc_find(doc, 0, PRESSURE_LINE, name);

	if (line == NULL)
		return false;
	for (uint32_t i = 0; i < SNAPSHOT_PSI_AVERAGES; i++)
		psi->average_hundredths[i] = (uint32_t)doc->numbers[line->list + i];
	psi->total_us = line->value;
	return true;
}

void pressure_fill_snapshot(const struct text_doc *doc, struct snapshot *snapshot)
{
	(void)pressure_doc_get(doc, "some", &snapshot->psi_some);
	(void)pressure_doc_get(doc, "full", &snapshot->psi_full);
}
