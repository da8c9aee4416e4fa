/*
 * The summary of a run: whatever its numbers, it fits onto 80 columns in files and pipes, and
 * nothing of it is lost where a line is broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/report.h"

/* => the summary, to be freed, of a run all of whose counts are `n` */
static char *summary(uint64_t n, bool live)
{
	struct run_result result = { .outcome = RUN_FINE,
				     .swept = true,
				     .invariants_hold = true,
				     .snapshots_not_saved = n };
	struct run_counts *c = &result.counts;
	const struct report report = {
		.path = "a.job", .live = live, .seed = n, .result = &result
	};
	char *text = NULL;
	size_t bytes = 0;

	c->accesses = c->minor_faults = c->major_faults = n;
	c->kswapd_scanned_pages = c->kswapd_stolen_pages = n;
	c->direct_scanned_pages = c->direct_stolen_pages = c->direct_stalls = n;
	c->swapin_pages = c->swapout_pages = n;
	c->refault_anon_pages = c->refault_file_pages = n;
	c->gauge = (struct neap_gauge){ .free_pages = n,
					.min_pages = n,
					.low_pages = n,
					.high_pages = n,
					.managed_pages = n,
					.peak_used_pages = n,
					.swap_used_pages = n,
					.swap_total_pages = n };
	result.verified.accesses = result.verified.whole_pages = n;
	FILE *out = open_memstream(&text, &bytes);

	assert_non_null(out);
	report_print(&report, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_fits_80_columns(void **state)
{
	static const uint64_t counts[] = { 0, 1234567, 123456789, 12345678901 };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
		char *text = summary(counts[i / 2], i % 2 != 0);
		uint32_t words = 0;

		for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
			assert_true(strlen(line) <= 80);
			assert_int_not_equal(line[strlen(line) - 1], ' ');
			words += line[0] != ' ';
		}
		/* The path, nine subjects, and the one line that is about snapshots or memory. */
		assert_int_equal(words, 9 + (i % 2) + (i > 1));
		free(text);
	}
}

/* A line is broken where a sentence is, before where a fact ends. */
static void test_broken_between_facts(void **state)
{
	char *text = summary(1234567, true);

	(void)state;
	assert_non_null(strstr(text, "reclaim    kswapd scanned 1234567, stole 1234567;\n"
				     "           direct scanned 1234567, stole 1234567 in 1234567"
				     " stalls\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits_80_columns),
		cmocka_unit_test(test_broken_between_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
