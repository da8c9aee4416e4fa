/*
 * Reports of failed requests on running machines: written, understood by the parser, agreeing with
 * the machine, once in ten seconds, and without effect on a simulation.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_fixture.h"
#include "core/gfp.h"
#include "diag/decode_group.h"
#include "report_corpus.h"

#define BLOCKS_MAX 4096

/* What the machine's program does. */
struct asking {
	struct neap_machine *machine;
	uint32_t gfp, order;
	uint64_t pause_ns; /* before the last request */
	uint32_t failures;
	struct neap_block *block[BLOCKS_MAX];
	uint32_t nr_blocks;
};

/* Takes blocks until one is refused, then asks twice more. */
static int ask_until_refused(void *arg)
{
	struct asking *asking = arg;

	while (asking->failures < 3) {
		struct neap_block *block = NULL;

		if (asking->failures == 2)
			neap_sleep(asking->machine, asking->pause_ns);
		if (neap_block_alloc(asking->machine, asking->order, asking->gfp, -1, &block) != 0)
			asking->failures++;
		else if (asking->nr_blocks < BLOCKS_MAX)
			asking->block[asking->nr_blocks++] = block;
	}
	return 0;
}

static int give_back(void *arg)
{
	struct asking *asking = arg;

	for (uint32_t i = 0; i < asking->nr_blocks; i++)
		neap_block_free(asking->machine, asking->block[i]);
	return 0;
}

static int add_report(void *arg, const struct decode_report *report)
{
	return decode_groups_add(arg, report);
}

static void decode_file(const char *path, struct decode_groups *groups, uint64_t *suppressed)
{
	struct decode *decode = decode_new(add_report, groups);
	struct report_counts counts;
	struct text_buf again;
	size_t bytes = 0;
	char *text = report_corpus_read(path, &bytes);

	memset(groups, 0, sizeof(*groups));
	/* Every line is one of Linux 6.1's, in its form. */
	text_buf_init(&again);
	assert_int_equal(report_reprint(text, bytes, &again, &counts), 0);
	assert_int_equal(counts.nr_unknown + counts.nr_odd, 0);
	assert_true(text_buf_equals(&again, text, bytes));
	text_buf_free(&again);
	for (char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1)
		assert_int_equal(decode_line(decode, at, (uint32_t)strcspn(at, "\n")), 0);
	assert_int_equal(decode_end(decode), 0);
	*suppressed = decode_suppressed(decode);
	decode_free(decode);
	free(text);
}

/* One run of the program. => its state hash */
static uint64_t ask(const char *runtime, const char *path, struct asking *asking)
{
	static const struct api_setting settings[] = { { "memory", "16M" },
						       { "cpus", "2" },
						       { NULL, NULL } };
	uint64_t hash;

	asking->machine = api_machine_new(runtime, settings);
	if (path != NULL) {
		assert_int_equal(neap_report_start(asking->machine, path), 0);
		assert_int_equal(neap_report_start(asking->machine, path), -EBUSY);
	}
	api_run(asking->machine, ask_until_refused, asking);
	if (path != NULL)
		assert_int_equal(neap_report_count(asking->machine), asking->pause_ns != 0 ? 2 : 1);
	hash = neap_state_hash(asking->machine);
	api_run(asking->machine, give_back, asking);
	api_machine_end(asking->machine);
	return hash;
}

static void check(const char *runtime, uint32_t order, uint32_t gfp, uint64_t pause_ns)
{
	char path[] = "/tmp/report-XXXXXX";
	struct asking *asking = calloc(1, sizeof(*asking));
	struct decode_groups groups;
	uint64_t suppressed = 0;
	int fd = mkstemp(path);

	assert_non_null(asking);
	assert_true(fd >= 0);
	close(fd);
	*asking = (struct asking){ .gfp = gfp, .order = order, .pause_ns = pause_ns };
	uint64_t hash = ask(runtime, path, asking);

	decode_file(path, &groups, &suppressed);
	assert_int_equal(groups.nr_reports, pause_ns != 0 ? 2 : 1);
	assert_int_equal(suppressed, pause_ns != 0 ? 1 : 0);
	const struct decode_group *group = groups.group[0];

	assert_int_equal(group->report->order, order);
	assert_int_equal(group->report->gfp, gfp);
	/* The report's own numbers say why: the engine refused by the same test. */
	assert_true(group->verdict.cause == CAUSE_AMOUNT || group->verdict.cause == CAUSE_ORDER);
	assert_int_equal(group->total_pages, 4096);
	decode_groups_free(&groups);
	unlink(path);
	if (strcmp(runtime, "sim") == 0) {
		/* A simulation with reports is the same simulation. */
		*asking = (struct asking){ .gfp = gfp, .order = order, .pause_ns = pause_ns };
		assert_int_equal(ask(runtime, NULL, asking), hash);
	}
	free(asking);
}

static void test_simulated(void **state)
{
	(void)state;
	check("sim", 0, GFP_ATOMIC, 11 * NSEC_PER_SEC);
	check("sim", 0, GFP_ATOMIC, 0);
	check("sim", 4, GFP_KERNEL, 11 * NSEC_PER_SEC);
	check("sim", 3, GFP_NOWAIT, 0);
}

static void test_live(void **state)
{
	(void)state;
	check("live", 0, GFP_ATOMIC, 0);
	check("live", 5, GFP_KERNEL | GFP_BIT_NORETRY, 0);
}

/* Nothing is written for requests that do not want it, and no file is made. */
static void test_nowarn(void **state)
{
	static const struct api_setting settings[] = { { "memory", "16M" }, { NULL, NULL } };
	struct asking *asking = calloc(1, sizeof(*asking));
	const char *path = "/tmp/report-of-nobody";

	(void)state;
	assert_non_null(asking);
	unlink(path);
	asking->gfp = GFP_ATOMIC | GFP_BIT_NOWARN;
	asking->machine = api_machine_new("sim", settings);
	assert_int_equal(neap_report_count(asking->machine), 0);
	assert_int_equal(neap_report_start(asking->machine, path), 0);
	api_run(asking->machine, ask_until_refused, asking);
	assert_int_equal(neap_report_count(asking->machine), 0);
	assert_int_equal(access(path, F_OK), -1);
	api_run(asking->machine, give_back, asking);
	api_machine_end(asking->machine);
	free(asking);
}

/* A report that cannot be written is an error that stays. */
static void test_full_disk(void **state)
{
	static const struct api_setting settings[] = { { "memory", "16M" }, { NULL, NULL } };
	struct asking *asking = calloc(1, sizeof(*asking));

	(void)state;
	assert_non_null(asking);
	asking->gfp = GFP_ATOMIC;
	asking->machine = api_machine_new("sim", settings);
	assert_int_equal(neap_report_start(asking->machine, "/dev/full"), 0);
	api_run(asking->machine, ask_until_refused, asking);
	assert_int_equal(neap_report_count(asking->machine), -ENOSPC);
	api_run(asking->machine, give_back, asking);
	api_machine_end(asking->machine);
	free(asking);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_simulated),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_nowarn),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
