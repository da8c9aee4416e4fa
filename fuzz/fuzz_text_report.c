/*
 * Fuzz target: kernel logs with memory reports.
 *
 *     any bytes -> lines -> printed back: the same bytes
 *                        -> a Mem-Info block of whatever was understood
 *
 * The input comes in a block of exactly its size and is not terminated, so the address
 * sanitizer sees a read of one byte too many.
 *
 * What must never happen: a crash, a byte changed, a zone or node beyond the arrays.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/report_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void take_lines(const char *text, size_t bytes, struct report_memory *memory)
{
	struct report_context context = { .last = REPORT_OTHER };
	struct report_line line;
	struct logline split;

	for (size_t at = 0; at < bytes;) {
		const char *end = memchr(text + at, '\n', bytes - at);
		size_t length = end != NULL ? (size_t)(end - (text + at)) : bytes - at;

		logline_split(text + at, (uint32_t)length, &split);
		report_line_read(&split.text, &context, &line);
		CHECK(line.nr_words <= REPORT_WORDS && line.nr_numbers <= REPORT_NUMBERS);
		CHECK(line.nr_values <= REPORT_VALUES);
		/* Names of tasks are short; a longer one is the fuzzer's own. */
		if (line.kind == REPORT_MEMINFO || line.kind == REPORT_HUNG ||
		    ((line.kind == REPORT_FAILURE || line.kind == REPORT_OOM) &&
		     line.word[0].bytes < 48))
			CHECK(report_line_begins(&split.text));
		(void)report_memory_take(memory, &line);
		at += length + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	enum plan_kind kind[NEAP_NR_ZONES];
	struct report_memory *memory = malloc(sizeof(*memory));
	struct report_counts counts;
	struct text_buf out;

	CHECK(memory != NULL);
	report_memory_init(memory);
	text_buf_init(&out);
	CHECK(report_reprint((const char *)data, bytes, &out, &counts) == 0);
	CHECK(text_buf_equals(&out, (const char *)data, bytes));
	take_lines((const char *)data, bytes, memory);
	CHECK(memory->nr_nodes <= NEAP_MAX_NODES && memory->nr_zones <= REPORT_ZONES_MAX);
	CHECK(report_memory_columns(memory, kind) <= NEAP_NR_ZONES);
	text_buf_free(&out);
	free(memory);
	return 0;
}
