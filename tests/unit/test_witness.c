/*
 * Evidence for rows (diag/witness.c): which events of a trace belong to a row and are counted.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "diag/witness.h"

static const char trace[] =
	"# tracer: nop\n"
	"wl-10 [001] ..... 1.000000: mm_vmscan_direct_reclaim_begin: order=0 gfp_flags=GFP_KERNEL\n"
	"kswapd0-4 [000] ..... 1.100000: mm_vmscan_lru_shrink_inactive: nid=0 nr_scanned=32"
	" nr_reclaimed=30 nr_dirty=0 nr_activate_anon=1 nr_activate_file=2 priority=12"
	" flags=RECLAIM_WB_ANON|RECLAIM_WB_ASYNC\n"
	"wl-10 [001] ..... 1.200000: mm_vmscan_lru_shrink_inactive: nid=0 nr_scanned=16"
	" nr_reclaimed=7 nr_activate_anon=0 nr_activate_file=0 flags=RECLAIM_WB_FILE\n"
	"wl-10 [001] ..... 2.000000: tracing_mark_write: snapshot b\n"
	"kswapd0-4 [000] ..... 2.500000: mm_vmscan_lru_shrink_inactive: nid=0 nr_scanned=32"
	" nr_reclaimed=1 flags=RECLAIM_WB_ANON\n"
	"kcompactd0-5 [000] ..... 2.600000: mm_compaction_isolate_migratepages:"
	" range=(0x1 ~ 0x200) nr_scanned=299 nr_taken=3\n"
	"wl-10 [000] ..... 2.700000: mm_compaction_isolate_freepages:"
	" range=(0x400 ~ 0x600) nr_scanned=512 nr_taken=6\n"
	"wl-10 [001] ..... 3.000000: tracing_mark_write: snapshot c\n";

static struct trace_log trace_lines;
static struct witness_marks marks;
static struct record run;

static int setup(void **state)
{
	const struct text_input in = { trace, sizeof(trace) - 1, "trace" };
	struct text_error err;

	(void)state;
	trace_log_init(&trace_lines);
	if (trace_log_parse(&trace_lines, &in, &err) != 0)
		return -1;
	witness_marks_from_log(&trace_lines, &marks);
	/* a was taken before the trace began, d after it ended. */
	run.nr_labels = 4;
	for (uint32_t i = 0; i < 4; i++)
		(void)snprintf(run.label[i], sizeof(run.label[i]), "%c", (char)('a' + i));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	trace_log_free(&trace_lines);
	return 0;
}

static struct witness look(const char *counter, uint32_t from, uint32_t to)
{
	const struct witness_side side = { &trace_lines, &marks };
	const struct record_row row = { .from = from,
					.to = to,
					.counter = rule_counter_of(counter, strlen(counter)) };
	struct witness witness;

	assert_int_not_equal(row.counter, rule_nr_counters());
	witness_row(&side, &marks, &run, &row, &witness);
	return witness;
}

static void test_marks(void **state)
{
	(void)state;
	assert_int_equal(marks.nr, 2);
	assert_string_equal(marks.label[1], "c");
	assert_int_equal(marks.time_ns[0], 2000000000);
}

/* Events of the right kind, task and stretch of time, and nothing else. */
static void test_events_between_two_snapshots(void **state)
{
	struct witness witness = look("pgsteal_kswapd", 0, 1);

	(void)state;
	assert_int_equal(witness.status, WITNESS_SEEN);
	assert_int_equal(witness.nr_events, 1);
	assert_int_equal(witness.sum, 30);
	assert_int_equal(witness.nr_lines, 1);
	assert_string_equal(witness.line[0], "+100.000 ms kswapd0 nr_scanned=32 nr_reclaimed=30"
					     " nr_activate_anon=1");
	witness = look("pgsteal_kswapd", 1, 2);
	assert_int_equal(witness.sum, 1);
	assert_int_equal(look("pgscan_direct", 0, 1).sum, 16);
	assert_int_equal(look("pgscan_direct", 1, 2).nr_events, 0);
	assert_int_equal(look("pgscan_file", 0, 1).sum, 16);
	assert_int_equal(look("pgscan_anon", 0, 1).sum, 32);
	assert_int_equal(look("pgactivate", 0, 1).sum, 3);
	assert_int_equal(look("allocstall_total", 0, 1).nr_events, 1);
	assert_int_equal(look("compact_isolated", 1, 2).sum, 9);
	assert_int_equal(look("compact_migrate_scanned", 1, 2).sum, 299);
	assert_int_equal(look("compact_daemon_migrate_scanned", 1, 2).sum, 299);
}

static void test_rows_beyond_the_trace(void **state)
{
	struct witness witness = look("pgscan_kswapd", 0, 3);

	(void)state;
	assert_int_equal(witness.status, WITNESS_PART);
	assert_int_equal(witness.sum, 64);
	assert_int_equal(look("pgscan_kswapd", 2, 3).status, WITNESS_PART);
	assert_int_equal(look("pgscan_kswapd", 2, 3).nr_events, 0);
	run.nr_labels = 6; /* d, e, f: e to f is long after */
	(void)snprintf(run.label[4], sizeof(run.label[4]), "e");
	(void)snprintf(run.label[5], sizeof(run.label[5]), "f");
	assert_int_equal(look("pgscan_kswapd", 4, 5).status, WITNESS_OUTSIDE);
	run.nr_labels = 4;
}

static void test_counters_without_an_event_say_so(void **state)
{
	(void)state;
	assert_int_equal(look("pgfault", 0, 1).status, WITNESS_NONE);
	assert_null(witness_events(rule_counter_of("pgfault", 7)));
	assert_null(witness_sum(rule_counter_of("pgfault", 7)));
	assert_string_equal(witness_sum(rule_counter_of("pgactivate", 10)), "nr_activate");
}

static void test_as_text_and_back(void **state)
{
	const struct witness before = look("pgscan_kswapd", 0, 3);
	struct witness after;
	struct text_buf text;

	(void)state;
	text_buf_init(&text);
	witness_print(&before, &text);
	(void)text_buf_puts(&text, "more");
	assert_int_equal(witness_parse(text_buf_text(&text), &after), (int)text.bytes - 4);
	assert_int_equal(after.sum, before.sum);
	assert_int_equal(after.nr_lines, before.nr_lines);
	for (uint32_t i = 0; i < before.nr_lines; i++)
		assert_string_equal(after.line[i], before.line[i]);
	text_buf_free(&text);
	assert_int_equal(witness_parse("", &after), -EINVAL);
	assert_int_equal(witness_parse("9 1 1 0\n", &after), -EINVAL);
	assert_int_equal(witness_parse("0 1 1 3\na\nb\nc\n", &after), -EINVAL);
	assert_int_equal(witness_parse("0 1 1 2\na\nb", &after), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_events_between_two_snapshots),
		cmocka_unit_test(test_rows_beyond_the_trace),
		cmocka_unit_test(test_counters_without_an_event_say_so),
		cmocka_unit_test(test_as_text_and_back),
	};

	return cmocka_run_group_tests_name("witness", tests, setup, teardown);
}
