/*
 * The one rule by which counters are judged, part by part: which rows count, inside, near, off,
 * the median of the seeds, two outcomes, and the kernel against itself (diag/rule.c, record.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag/record.h"

#define VALUES(...)                                                                                \
	{                                                                                          \
		.nr = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .value = {             \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static enum rule_verdict judge(struct rule_values kernel, struct rule_values ours)
{
	return rule_judge(&kernel, &ours);
}

#define JUDGE(kernel, ...)                                                                         \
	judge((struct rule_values)kernel, (struct rule_values)VALUES(__VA_ARGS__))

static void test_row_counts_if_its_maximum_is_64(void **state)
{
	const struct rule_values least = VALUES(0, 0, 64), less = VALUES(63, 63, 63);
	const struct rule_values falls = VALUES(-5000, -100);

	(void)state;
	assert_true(rule_row_counts(&least));
	assert_false(rule_row_counts(&less));
	assert_false(rule_row_counts(&falls));
}

static void test_median(void **state)
{
	const struct rule_values odd = VALUES(9, 1, 5), even = VALUES(4, 1, 9, 2);
	const struct rule_values one = VALUES(7), below = VALUES(-4, -1);

	(void)state;
	assert_int_equal(rule_median(&odd), 5);
	assert_int_equal(rule_median(&even), 3);
	assert_int_equal(rule_median(&one), 7);
	assert_int_equal(rule_median(&below), -2); /* rounded to zero */
	/* Judging does not reorder what it was given. */
	assert_int_equal(odd.value[0], 9);
}

static void test_inside_is_the_range_widened(void **state)
{
	(void)state;
	/* 15 % of 200 and 32: 62. */
	assert_int_equal(JUDGE(VALUES(100, 200, 300), 38), RULE_INSIDE);
	assert_int_equal(JUDGE(VALUES(100, 200, 300), 362), RULE_INSIDE);
	assert_int_not_equal(JUDGE(VALUES(100, 200, 300), 37), RULE_INSIDE);
	assert_int_not_equal(JUDGE(VALUES(100, 200, 300), 363), RULE_INSIDE);
	/* The 15 % are of the median, not of the ends. */
	assert_int_equal(JUDGE(VALUES(1000, 1000, 9000), 9182), RULE_INSIDE);
	assert_int_not_equal(JUDGE(VALUES(1000, 1000, 9000), 9183), RULE_INSIDE);
	/* A median below zero widens, too. */
	assert_int_equal(JUDGE(VALUES(-200, -200, 100), -262), RULE_INSIDE);
	assert_int_not_equal(JUDGE(VALUES(-200, -200, 100), -263), RULE_INSIDE);
}

static void test_near_is_a_factor_of_three_halves_or_64(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(VALUES(1000, 1000), 1500), RULE_NEAR);
	assert_int_equal(JUDGE(VALUES(1000, 1000), 1501), RULE_OFF);
	assert_int_equal(JUDGE(VALUES(900, 900), 600), RULE_NEAR);
	assert_int_equal(JUDGE(VALUES(900, 900), 599), RULE_OFF);
	/* 64, where that is more than the factor: 50 widened by 39 is 89. */
	assert_int_equal(JUDGE(VALUES(50, 50), 90), RULE_NEAR);
	assert_int_equal(JUDGE(VALUES(50, 50), 114), RULE_NEAR);
	assert_int_equal(JUDGE(VALUES(50, 50), 115), RULE_OFF);
	/* No factor makes 0 near to anything. */
	assert_int_equal(JUDGE(VALUES(0, 0), 65), RULE_OFF);
	assert_int_equal(JUDGE(VALUES(1000, 1000), 0), RULE_OFF);
}

static void test_ours_is_the_median_of_the_seeds(void **state)
{
	(void)state;
	assert_int_equal(JUDGE(VALUES(1000, 1000), 0, 0, 1000, 1000, 1000), RULE_INSIDE);
	assert_int_equal(JUDGE(VALUES(1000, 1000), 0, 0, 0, 1000, 1000), RULE_OFF);
	assert_int_equal(JUDGE(VALUES(1000, 1000), 0, 1000, 1000, 99999), RULE_INSIDE);
}

static void test_two_outcomes_need_two_runs_each_and_a_gap(void **state)
{
	const struct rule_values two = VALUES(10, 1000, 12, 1010, 11);
	const struct rule_values lonely_low = VALUES(10, 1000, 1005, 1010);
	const struct rule_values lonely_high = VALUES(10, 12, 11, 1000);
	const struct rule_values close = VALUES(1000, 1010, 1480, 1490); /* within 3/2 */
	const struct rule_values few = VALUES(0, 1, 60, 61);		 /* within 64 */
	uint32_t low_nr = 9;

	(void)state;
	assert_true(rule_two_outcomes(&two, &low_nr));
	assert_int_equal(low_nr, 3);
	assert_false(rule_two_outcomes(&lonely_low, &low_nr));
	assert_false(rule_two_outcomes(&lonely_high, &low_nr));
	assert_false(rule_two_outcomes(&close, &low_nr));
	assert_false(rule_two_outcomes(&few, &low_nr));
}

#define BIMODAL VALUES(100, 110, 120, 5000, 5100)

static void test_two_outcomes_are_judged_as_a_set(void **state)
{
	(void)state;
	/* Each group has its own range: 110 widened by 48, 5050 by 789. */
	assert_int_equal(JUDGE(BIMODAL, 168), RULE_INSIDE);
	assert_int_equal(JUDGE(BIMODAL, 169), RULE_NEAR);
	assert_int_equal(JUDGE(BIMODAL, 4211), RULE_INSIDE);
	assert_int_equal(JUDGE(BIMODAL, 4210), RULE_NEAR);
	assert_int_equal(JUDGE(BIMODAL, 2000), RULE_OFF); /* between the groups is nowhere */
}

static void test_of_two_outcomes_half_the_seeds_must(void **state)
{
	(void)state;
	/* Some seeds here, some there: all are inside. */
	assert_int_equal(JUDGE(BIMODAL, 100, 5000, 105, 5050, 110), RULE_INSIDE);
	/* Half are enough, less are not, whatever the median of all would be. */
	assert_int_equal(JUDGE(BIMODAL, 100, 5000, 2000, 2000), RULE_INSIDE);
	assert_int_equal(JUDGE(BIMODAL, 100, 5000, 2000, 2000, 2000), RULE_OFF);
	assert_int_equal(JUDGE(BIMODAL, 100, 170, 170, 2000, 2000), RULE_NEAR);
}

/* ---- rows ---- */

static struct record *make_runs(uint32_t nr, const int64_t *faults, const char *labels)
{
	struct record *run = calloc(nr, sizeof(*run));

	assert_non_null(run);
	for (uint32_t i = 0; i < nr; i++) {
		for (const char *l = labels; *l != '\0'; l++) {
			const char name[2] = { *l, '\0' };
			struct text_buf text;

			text_buf_init(&text);
			/* All happens before the second label. */
			assert_int_equal(text_buf_printf(&text, "pgfault %lld\n",
							 l == labels ? 0ll : (long long)faults[i]),
					 0);
			assert_int_equal(record_add(&run[i], name, &text), 0);
			text_buf_free(&text);
		}
	}
	return run;
}

static struct record_row rows[RECORD_ROWS_MAX];

static void test_pairs_are_neighbours_and_the_whole(void **state)
{
	const int64_t faults[] = { 100, 100 };
	struct record_set two = { 2, make_runs(2, faults, "ab") };
	struct record_set three = { 2, make_runs(2, faults, "abc") };

	(void)state;
	assert_int_equal(record_rows(&two, &two, rows), 1);
	/* a-b, a-c; between b and c nothing happened, which is no row. */
	assert_int_equal(record_rows(&three, &three, rows), 2);
	assert_int_equal(rows[1].from, 0);
	assert_int_equal(rows[1].to, 2);
	free(two.run);
	free(three.run);
}

static void test_kernel_is_judged_each_run_against_the_others(void **state)
{
	/* 200, 1000 and 1001: the first is off the others, both others are inside the rest. */
	const int64_t faults[] = { 200, 1000, 1001 };
	struct record_set kernel = { 3, make_runs(3, faults, "ab") };
	struct record_set one = { 1, make_runs(1, faults + 1, "ab") };
	const struct record_set nothing = { 0, NULL };

	(void)state;
	assert_int_equal(record_rows(&kernel, &nothing, rows), 1);
	assert_int_equal(rows[0].kernel_runs[RULE_OFF], 1);
	assert_int_equal(rows[0].kernel_runs[RULE_INSIDE], 2);
	/* Its verdicts do not depend on ours. */
	assert_int_equal(record_rows(&kernel, &one, rows), 1);
	assert_int_equal(rows[0].verdict, RULE_INSIDE);
	assert_int_equal(rows[0].kernel_runs[RULE_OFF], 1);
	/* A single run has nothing to be judged by. */
	assert_int_equal(record_rows(&one, &one, rows), 1);
	assert_int_equal(rows[0].kernel_runs[RULE_INSIDE], 0);
	free(kernel.run);
	free(one.run);
}

static void test_what_we_do_not_count_did_not_happen(void **state)
{
	const int64_t faults[] = { 100, 100 };
	struct record_set kernel = { 2, make_runs(2, faults, "ab") };
	struct record_set ours = { 1, make_runs(1, faults, "ab") };

	(void)state;
	for (uint32_t l = 0; l < 2; l++)
		for (uint32_t i = 0; i < RECORD_COUNTERS_MAX; i++)
			ours.run[0].value[l][i] = RECORD_ABSENT;
	assert_int_equal(record_rows(&kernel, &ours, rows), 1);
	assert_int_equal(rows[0].ours.nr, 1);
	assert_int_equal(rows[0].ours.value[0], 0);
	assert_int_equal(rows[0].verdict, RULE_OFF);
	free(kernel.run);
	free(ours.run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row_counts_if_its_maximum_is_64),
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_inside_is_the_range_widened),
		cmocka_unit_test(test_near_is_a_factor_of_three_halves_or_64),
		cmocka_unit_test(test_ours_is_the_median_of_the_seeds),
		cmocka_unit_test(test_two_outcomes_need_two_runs_each_and_a_gap),
		cmocka_unit_test(test_two_outcomes_are_judged_as_a_set),
		cmocka_unit_test(test_of_two_outcomes_half_the_seeds_must),
		cmocka_unit_test(test_pairs_are_neighbours_and_the_whole),
		cmocka_unit_test(test_kernel_is_judged_each_run_against_the_others),
		cmocka_unit_test(test_what_we_do_not_count_did_not_happen),
	};

	return cmocka_run_group_tests_name("rule", tests, NULL, NULL);
}
