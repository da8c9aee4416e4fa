/*
 * Results of benches, as text or as JSON.
 *
 *     alloc.round          9.8 ns    9.6 .. 10.1    aim 8    order-0 block, 64 at a time
 *                          15.2 jemalloc   9.9 mimalloc
 *
 *     { "benches": [ { "name": "alloc.round", "group": "alloc", "operation": "...",
 *         "unit": "ns", "median": 9.8, "min": 9.6, "max": 10.1, "repetitions": 7, "aim": 8,
 *         "peers": [ { "name": "jemalloc", "median": ..., "min": ..., "max": ... } ] } ] }
 *
 * "aim" and "peers" are there where a line has them. Keys are stable; new ones may come.
 *
 * What must never happen: a median of values that are not sorted. The columns are
 * sorted once, by bench_result_sort(), before anything is printed.
 */
#include "cmd/bench_result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/document.h"
#include "job/progress.h"
#ifndef NEAP_HAVE_JANSSON
typedef void json_t;
#endif

#define WHAT_AT 66u /* the column behind a line's numbers */

struct bench_document {
	json_t *json; /* NULL: text */
};

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return x < y ? -1 : x > y;
}

void bench_result_add(struct bench_column *column, const struct bench *bench, const double *value)
{
	if (column->nr == BENCH_REPETITIONS)
		return;
	for (uint32_t i = 0; bench->lines[i].name != NULL; i++)
		column->value[i][column->nr] = value[i];
	column->nr++;
}

static void sort_column(struct bench_column *column, const struct bench *bench)
{
	for (uint32_t i = 0; bench->lines[i].name != NULL; i++)
		qsort(column->value[i], column->nr, sizeof(column->value[i][0]), compare_values);
}

void bench_result_sort(struct bench_result *result, const struct bench *bench)
{
	sort_column(&result->ours, bench);
	for (uint32_t i = 0; i < BENCH_PEERS_MAX; i++)
		sort_column(&result->peer[i], bench);
}

/* => of a column that has repetitions */
static double median(const struct bench_column *column, uint32_t line)
{
	return column->value[line][column->nr / 2];
}

/* ---- text ---- */

static void print_line(const struct bench *bench, uint32_t line, const struct bench_result *result)
{
	const struct bench_line *is = &bench->lines[line];
	const struct bench_column *ours = &result->ours;
	size_t columns = isatty(STDOUT_FILENO) ? progress_columns(stdout) : SIZE_MAX;
	bool any = false;

	printf("%-21s %8.2f %-2s %9.2f .. %-8.2f ", is->name, median(ours, line), is->unit,
	       ours->value[line][0], ours->value[line][ours->nr - 1]);
	if (is->aim != 0)
		printf("aim %-5g", is->aim);
	else
		printf("%-9s", "");
	/* What it is stands in --json, too; on a narrow terminal the numbers come first. */
	if (WHAT_AT + strlen(is->what) <= columns)
		printf(" %s", is->what);
	putchar('\n');
	for (uint32_t i = 0; i < BENCH_PEERS_MAX; i++) {
		if (result->peer[i].nr == 0)
			continue;
		printf("%s %9.2f %s", any ? "  " : "                      ",
		       median(&result->peer[i], line), bench_peers[i].name);
		any = true;
	}
	if (any)
		putchar('\n');
	fflush(stdout);
}

/* ---- JSON ---- */

#ifdef NEAP_HAVE_JANSSON
static json_t *column_json(const char *name, const struct bench_column *column, uint32_t line)
{
	return json_pack("{s:s,s:f,s:f,s:f,s:i}", "name", name, "median", median(column, line),
			 "min", column->value[line][0], "max", column->value[line][column->nr - 1],
			 "repetitions", (int)column->nr);
}

static json_t *line_json(const struct bench *bench, uint32_t line,
			 const struct bench_result *result)
{
	const struct bench_line *is = &bench->lines[line];
	json_t *object = column_json(is->name, &result->ours, line);
	json_t *peers = json_array();

	document_set_text(object, "group", bench->group);
	document_set_text(object, "operation", is->what);
	document_set_text(object, "unit", is->unit);
	if (is->aim != 0)
		json_object_set_new(object, "aim", json_real(is->aim));
	for (uint32_t i = 0; i < BENCH_PEERS_MAX; i++)
		if (result->peer[i].nr != 0)
			json_array_append_new(peers, column_json(bench_peers[i].name,
								 &result->peer[i], line));
	if (json_array_size(peers) != 0)
		json_object_set(object, "peers", peers);
	json_decref(peers);
	return object;
}

struct bench_document *bench_document_new(bool json)
{
	struct bench_document *document = calloc(1, sizeof(*document));

	if (document == NULL || !json)
		return document;
	document->json = json_pack("{s:[]}", "benches");
	if (document->json != NULL)
		return document;
	free(document);
	return NULL;
}

void bench_document_add(struct bench_document *document, const struct bench *bench, uint32_t line,
			const struct bench_result *result)
{
	if (document->json == NULL)
		print_line(bench, line, result);
	else
		json_array_append_new(json_object_get(document->json, "benches"),
				      line_json(bench, line, result));
}

void bench_document_end(struct bench_document *document)
{
	if (document->json != NULL) {
		json_dumpf(document->json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		putchar('\n');
		json_decref(document->json);
	}
	free(document);
}
#else
struct bench_document *bench_document_new(bool json)
{
	return json ? NULL : calloc(1, sizeof(struct bench_document));
}

void bench_document_add(struct bench_document *document, const struct bench *bench, uint32_t line,
			const struct bench_result *result)
{
	(void)document;
	print_line(bench, line, result);
}

void bench_document_end(struct bench_document *document)
{
	free(document);
}
#endif
