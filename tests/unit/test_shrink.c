/*
 * Tests of job/shrink.c: a made-up failure says which lines and numbers it needs, and nothing else
 * may be left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "job/shrink.h"

/* Fails while each part is in the text, and the number behind `number` is at least `least`. */
struct needs {
	const char *part[4];
	const char *number; /* what stands before a number */
	long least;
	uint32_t asked;
};

static bool still_fails(void *ctx, const char *text)
{
	struct needs *needs = ctx;
	const char *at;

	needs->asked++;
	for (size_t i = 0; i < ARRAY_LEN(needs->part) && needs->part[i] != NULL; i++)
		if (strstr(text, needs->part[i]) == NULL)
			return false;
	if (needs->number == NULL)
		return true;
	at = strstr(text, needs->number);
	return at != NULL && strtol(at + strlen(needs->number), NULL, 10) >= needs->least;
}

static void expect_small(const char *text, struct needs needs, uint32_t tries, const char *small)
{
	struct shrink s = { .fails = still_fails, .ctx = &needs, .tries_left = tries };
	char *got = shrink_job(&s, text);

	assert_non_null(got);
	assert_string_equal(got, small);
	assert_int_equal(s.tried, needs.asked);
	assert_true(s.tried <= tries);
	free(got);
}

static const char long_job[] = "# what it is\n"
			       "# options: -m 8M\n"
			       "anon A 4M\n"
			       "anon B 6M\n"
			       "touch B seq all\n"
			       "\n"
			       "parallel\n"
			       "  touch A random 8000 seed=3\n"
			       "  sleep 4\n"
			       "end\n"
			       "bg touch A zipf 100\n"
			       "wait\n"
			       "expect vmstat.pgfault < 100\n";

static void test_lines_go(void **state)
{
	(void)state;
	expect_small(long_job, (struct needs){ .part = { "anon A", "touch A random" } }, 1000,
		     "# options: -m 8M\n"
		     "anon A\n"
		     "  touch A random\n");
}

static void test_numbers_are_halved(void **state)
{
	(void)state;
	expect_small(long_job,
		     (struct needs){ .part = { "random" }, .number = "random ", .least = 300 },
		     1000,
		     "# options: -m 8M\n"
		     "  touch A random 500\n");
}

/* A block goes as a whole, or its two ends do. */
static void test_parallel_goes(void **state)
{
	(void)state;
	expect_small("parallel\n sleep 4\nend\n", (struct needs){ .part = { "sleep" } }, 1000,
		     " sleep\n");
	expect_small("parallel\n sleep 4\nend\n",
		     (struct needs){ .part = { "parallel", "end", "sleep 4" } }, 1000,
		     "parallel\n sleep 4\nend\n");
}

static void test_background_goes(void **state)
{
	(void)state;
	expect_small("bg touch A seq all\n", (struct needs){ .part = { "touch A seq" } }, 1000,
		     "touch A seq\n");
}

/* What is expected stays as it is. */
static void test_expectations_stay(void **state)
{
	(void)state;
	expect_small("anon A 4M\nexpect vmstat.pgfault < 100\n",
		     (struct needs){ .part = { "expect vmstat.pgfault" } }, 1000,
		     "expect vmstat.pgfault < 100\n");
}

static void test_tries_end(void **state)
{
	(void)state;
	expect_small(long_job, (struct needs){ .part = { "anon A" } }, 0, long_job);
	expect_small("a\nb\nc\nd\n", (struct needs){ .part = { "d" } }, 2, "c\nd\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_go),	  cmocka_unit_test(test_numbers_are_halved),
		cmocka_unit_test(test_parallel_goes),	  cmocka_unit_test(test_background_goes),
		cmocka_unit_test(test_expectations_stay), cmocka_unit_test(test_tries_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
