/*
 * The progress line fits the terminal, and says the most important things first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "job/progress.h"

static const struct progress_view view = {
	.name = "redis",
	.done = 333000,
	.total = 741795,
	.accesses_per_s = 1234567,
	.swapins_per_s = 5120,
	.swapouts_per_s = 812,
	.eta_s = 128.2,
	.gauge = { .free_pages = 240,
		   .min_pages = 200,
		   .low_pages = 250,
		   .high_pages = 300,
		   .managed_pages = 4383,
		   .kswapd_awake = 1,
		   .nr_kswapd = 2,
		   .swap_used_pages = 9000,
		   .swap_total_pages = 35000 },
};

static void test_widths(void **state)
{
	char line[PROGRESS_LINE_BYTES];

	(void)state;
	for (size_t columns = 1; columns < 600; columns++) {
		progress_format(&view, columns, line);
		assert_true(strlen(line) <= columns);
		assert_true(line[0] != '\0');
	}
}

static void test_80_columns(void **state)
{
	char line[PROGRESS_LINE_BYTES];

	(void)state;
	/* One less than 80: the last column stays free. */
	progress_format(&view, 79, line);
	assert_string_equal(line, "redis 45% 1.23M/s ETA 2m09s free 240<low kswapd 1/2"
				  " swap in 5.12k out 812");
}

static void test_200_columns(void **state)
{
	char line[PROGRESS_LINE_BYTES];

	(void)state;
	progress_format(&view, 200, line);
	assert_non_null(strstr(line, "min 200 low 250 high 300"));
	assert_non_null(strstr(line, "swap used 9000/35000"));
}

static void test_unknown_total(void **state)
{
	struct progress_view other = view;
	char line[PROGRESS_LINE_BYTES];

	(void)state;
	other.total = 0;
	other.eta_s = -1;
	progress_format(&other, 80, line);
	assert_int_equal(strncmp(line, "redis 333000 1.23M/s free", 25), 0);
	other.checking = true;
	progress_format(&other, 80, line);
	assert_int_equal(strncmp(line, "redis checking", 14), 0);
}

static void test_memory_of_the_process(void **state)
{
	(void)state;
	assert_true(progress_rss_bytes() > 0);
	assert_true(progress_rss_peak_bytes(NULL) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_widths),
		cmocka_unit_test(test_80_columns),
		cmocka_unit_test(test_200_columns),
		cmocka_unit_test(test_unknown_total),
		cmocka_unit_test(test_memory_of_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
