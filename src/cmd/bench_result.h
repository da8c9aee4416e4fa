/*
 * Results of benches: gathered over the repetitions, then printed as text or as JSON.
 */
#ifndef NEAP_CMD_BENCH_RESULT_H
#define NEAP_CMD_BENCH_RESULT_H

#include "cmd/bench.h"

#define BENCH_REPETITIONS 7u

/* The repetitions of one allocator. */
struct bench_column {
	uint32_t nr;
	double value[BENCH_LINES_MAX][BENCH_REPETITIONS];
};

struct bench_result {
	struct bench_column ours;
	struct bench_column peer[BENCH_PEERS_MAX]; /* nr = 0: not there */
};

/* Adds one repetition's values. */
void bench_result_add(struct bench_column *column, const struct bench *bench, const double *value);
/* After the last: orders the repetitions of every line. */
void bench_result_sort(struct bench_result *result, const struct bench *bench);

/* Where results go. */
struct bench_document;

/* => NULL if memory is out, or JSON is wanted and was not built in */
struct bench_document *bench_document_new(bool json);
/* One line of a bench, after bench_result_sort(). Text is printed at once. */
void bench_document_add(struct bench_document *document, const struct bench *bench, uint32_t line,
			const struct bench_result *result);
/* Prints what is left to print, and frees the document. */
void bench_document_end(struct bench_document *document);

#endif
