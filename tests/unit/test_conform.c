/*
 * Tests of the comparison with recorded kernels: the rule (diag/rule.c), rows from runs
 * (diag/record.c), archives (diag/unpack.c), and the order of decisions (diag/decisions.c).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/conform_host.h"
#include "diag/decisions.h"
#include "diag/record.h"
#include "diag/unpack.h"

#define SAMPLE "tests/golden/dynamic/anon-seq-swap60/"

#define VALUES(...)                                                                                \
	{                                                                                          \
		.nr = sizeof((int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t), .value = {             \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static enum rule_verdict judge_one(const struct rule_values *kernel, int64_t value)
{
	struct rule_values one = VALUES(value);

	return rule_judge(kernel, &one);
}

/* ---- the rule ---- */

static void test_rule_borders(void **state)
{
	/* Median 1000: widened by 150 and 32; near up to 1500 and down to 667. */
	const struct rule_values kernel = VALUES(1100, 900, 1000, 1050, 950);

	(void)state;
	assert_int_equal(rule_median(&kernel), 1000);
	assert_int_equal(judge_one(&kernel, 1100 + 182), RULE_INSIDE);
	assert_int_equal(judge_one(&kernel, 1100 + 183), RULE_NEAR);
	assert_int_equal(judge_one(&kernel, 900 - 182), RULE_INSIDE);
	assert_int_equal(judge_one(&kernel, 900 - 183), RULE_NEAR);
	assert_int_equal(judge_one(&kernel, 1500), RULE_NEAR);
	assert_int_equal(judge_one(&kernel, 1501), RULE_OFF);
	assert_int_equal(judge_one(&kernel, 667), RULE_NEAR);
	assert_int_equal(judge_one(&kernel, 666), RULE_OFF);
}

static void test_rule_small_numbers(void **state)
{
	const struct rule_values few = VALUES(0, 3, 64);
	const struct rule_values none = VALUES(0, 3, 63);

	(void)state;
	assert_true(rule_row_counts(&few));
	assert_false(rule_row_counts(&none));
	assert_int_equal(judge_one(&few, 96), RULE_INSIDE); /* 64 and 32 */
	assert_int_equal(judge_one(&few, 97), RULE_OFF);
	assert_int_equal(judge_one(&(struct rule_values)VALUES(100), 164), RULE_NEAR);
}

static void test_rule_two_outcomes(void **state)
{
	const struct rule_values kernel = VALUES(5889, 716, 5880, 720, 700);
	const struct rule_values high = VALUES(5900, 5900, 6000, 3000, 3000);
	const struct rule_values between = VALUES(3000, 3000, 3000, 720, 5889);
	const struct rule_values lonely = VALUES(10, 12, 11, 9, 5000);
	uint32_t low_nr;

	(void)state;
	assert_true(rule_two_outcomes(&kernel, &low_nr));
	assert_int_equal(low_nr, 3);
	assert_int_equal(judge_one(&kernel, 5885), RULE_INSIDE);
	assert_int_equal(judge_one(&kernel, 710), RULE_INSIDE);
	assert_int_equal(judge_one(&kernel, 3000), RULE_OFF);
	assert_int_equal(rule_judge(&kernel, &high), RULE_INSIDE); /* three of five */
	assert_int_equal(rule_judge(&kernel, &between),
			 RULE_OFF); /* though the median of one is near */
	/* One run alone is no second outcome. */
	assert_false(rule_two_outcomes(&lonely, &low_nr));
}

static void test_rule_counters(void **state)
{
	uint32_t alloc = rule_counter_of("pgalloc_dma32", 13);

	(void)state;
	assert_string_equal(rule_counter_name(alloc), "pgalloc_total");
	assert_int_equal(rule_counter_of("pgalloc_movable", 15), alloc);
	assert_string_equal(rule_counter_name(rule_counter_of("allocstall_normal", 17)),
			    "allocstall_total");
	assert_string_equal(rule_counter_name(rule_counter_of("pgfault", 7)), "pgfault");
	assert_int_equal(rule_counter_of("pgalloc_elsewhere", 17), rule_nr_counters());
	assert_int_equal(rule_counter_of("nr_free_pages", 13), rule_nr_counters());
	assert_int_equal(rule_counter_of("x", 1), rule_nr_counters());
}

/* ---- runs and rows ---- */

static void add(struct record *record, const char *label, const char *vmstat)
{
	struct text_buf text;

	text_buf_init(&text);
	(void)text_buf_puts(&text, vmstat);
	assert_int_equal(record_add(record, label, &text), 0);
	text_buf_free(&text);
}

static struct record *make_record(uint32_t nr)
{
	struct record *record = calloc(nr, sizeof(*record));

	assert_non_null(record);
	return record;
}

static void test_rows(void **state)
{
	static struct record_row rows[RECORD_ROWS_MAX];
	struct record_set kernel = { .nr = 2, .run = make_record(2) };
	struct record_set ours = { .nr = 1, .run = make_record(1) };
	int nr;

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		add(&kernel.run[i], "a", "pgfault 10\npgalloc_dma 1\npgalloc_dma32 9\n");
		add(&kernel.run[i], "b", "pgfault 110\npgalloc_dma 2\npgalloc_dma32 10\n");
		add(&kernel.run[i], "c", "pgfault 111\npgalloc_dma 2\npgalloc_dma32 300\n");
	}
	add(&ours.run[0], "a", "pgfault 0\npgalloc_normal 0\n");
	add(&ours.run[0], "b", "pgfault 100\npgalloc_normal 2\n");
	add(&ours.run[0], "c", "pgfault 101\npgalloc_normal 1000\n");
	nr = record_rows(&kernel, &ours, rows);
	/* a-b faults; b-c allocations; a-c both. */
	assert_int_equal(nr, 4);
	assert_int_equal(rows[0].kernel.value[0], 100);
	assert_int_equal(rows[0].verdict, RULE_INSIDE);
	assert_string_equal(rule_counter_name(rows[1].counter), "pgalloc_total");
	assert_int_equal(rows[1].verdict, RULE_OFF);
	assert_int_equal(rows[1].kernel_runs[RULE_INSIDE], 2);
	assert_int_equal(rows[3].from, 0);
	assert_int_equal(rows[3].to, 2);
	/* Other labels are no run of this job. */
	memcpy(ours.run[0].label[2], "d", 2);
	assert_int_equal(record_rows(&kernel, &ours, rows), -EINVAL);
	free(kernel.run);
	free(ours.run);
}

static void test_record_text(void **state)
{
	struct record *run = make_record(2);
	struct text_buf text;

	(void)state;
	add(&run[0], "start", "pgfault 10\npgsteal_kswapd 3\npgsteal_direct 4\n");
	add(&run[0], "end", "pgfault 20\npgsteal_kswapd 33\npgsteal_direct 14\n");
	text_buf_init(&text);
	record_print(&run[0], &text);
	assert_int_equal(record_parse(text_buf_text(&text), &run[1]), 0);
	assert_memory_equal(run[0].label, run[1].label, sizeof(run[0].label[0]) * 2);
	assert_memory_equal(run[0].value, run[1].value, sizeof(run[0].value[0]) * 2);
	assert_int_equal(record_parse("no run\n", &run[1]), -EINVAL);
	assert_int_equal(record_parse("1 2\n", &run[1]), -EINVAL); /* a value without a label */
	assert_int_equal(record_kswapd_share(&(struct record_set){ 1, run }), 750);
	text_buf_free(&text);
	free(run);
}

/* ---- archives ---- */

static void test_unpack(void **state)
{
	char dir[] = "/tmp/test-neap-unpack-XXXXXX", path[256];
	struct unpack_files files;
	struct record *run = make_record(1);
	struct text_error err;

	(void)state;
	assert_int_equal(unpack_load(SAMPLE "run5.tar.xz", &files, &err), 0);
	assert_non_null(unpack_find(&files, "boot/zoneinfo"));
	assert_null(unpack_find(&files, "boot/nothing"));
	assert_int_equal(record_from_archive(&files, "run5", run, &err), 0);
	assert_int_equal(run->nr_labels, 4); /* not boot */
	assert_string_equal(run->label[0], "start");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(unpack_extract(&files, "boot/", dir), 0);
	(void)snprintf(path, sizeof(path), "%s/node0/cpulist", dir);
	assert_int_equal(access(path, R_OK), 0);
	(void)snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
	/* A name that leads out of the directory is not followed. */
	free(files.file[0].name);
	files.file[0].name = strdup("boot/../../evil");
	(void)snprintf(dir, sizeof(dir), "/tmp/test-neap-unpack-XXXXXX");
	assert_non_null(mkdtemp(dir));
	uint32_t nr = files.nr;

	files.nr = 1;
	assert_int_equal(unpack_extract(&files, "boot/", dir), 0);
	assert_int_equal(rmdir(dir), 0); /* empty */
	files.nr = nr;
	unpack_free(&files);
	free(run);
	assert_int_equal(unpack_load("tests/unit/test_conform.c", &files, &err), -EINVAL);
	unpack_free(&files);
	assert_int_equal(unpack_load("tests/golden/nothing", &files, &err), -ENOENT);
	unpack_free(&files);
}

/* ---- decisions ---- */

static void decide(struct decisions *out, const char *const *events, uint32_t nr)
{
	struct trace_log log;

	trace_log_init(&log);
	for (uint32_t i = 0; i < nr; i++) {
		const char *colon = strchr(events[i], ' ');
		char name[64];
		struct trace_line line = { .time_ns = 1000 + i, .task = "kswapd0", .name = name };

		(void)snprintf(name, sizeof(name), "%.*s", (int)(colon - events[i]), events[i]);
		line.body = colon + 1;
		assert_int_equal(trace_log_add(&log, &line), 0);
	}
	assert_int_equal(decisions_from_log(&log, out), 0);
	trace_log_free(&log);
}

static void test_decisions(void **state)
{
	static const char *const kernel_events[] = {
		"mm_vmscan_kswapd_wake nid=0 order=0",
		("mm_vmscan_lru_shrink_inactive nid=0 nr_scanned=32 nr_reclaimed=30 nr_dirty=1"
		 " nr_writeback=1 nr_ref_keep=0 flags=RECLAIM_WB_ANON|RECLAIM_WB_ASYNC"),
		"mm_vmscan_kswapd_sleep nid=0",
		"mm_vmscan_direct_reclaim_begin order=0 gfp_flags=GFP_KERNEL",
		"mm_vmscan_direct_reclaim_end nr_reclaimed=32",
	};
	static const char *const our_events[] = {
		"mm_vmscan_kswapd_wake nid=0 order=0",
		"mm_vmscan_direct_reclaim_begin order=0 gfp_flags=GFP_NOFS",
		"mm_vmscan_direct_reclaim_end nr_reclaimed=16",
		"mm_vmscan_kswapd_sleep nid=0",
	};
	struct decisions kernel, ours;
	struct decisions_difference difference;
	struct text_buf text;

	(void)state;
	decide(&kernel, kernel_events, 5);
	decide(&ours, our_events, 4);
	assert_int_equal(kernel.nr, 4);
	assert_int_equal(kernel.sums.shrink[0].reclaimed, 30);
	assert_int_equal(kernel.list[1].state.kswapd_scanned_pages, 32);
	assert_int_equal(decisions_compare(&kernel, &ours, &difference), 0);
	assert_int_equal(difference.distance, 2); /* the sleep moves: one out, one in */
	assert_int_equal(difference.first, 1);
	text_buf_init(&text);
	decisions_print(&kernel, &ours, &difference, &text);
	assert_non_null(strstr(text_buf_text(&text), "edit distance 2"));
	assert_non_null(strstr(text_buf_text(&text), "kswapd sleep nid=0"));
	text_buf_free(&text);
	assert_int_equal(decisions_compare(&kernel, &kernel, &difference), 0);
	assert_int_equal(difference.distance, 0);
	assert_int_equal(difference.first, UINT32_MAX);
	decisions_free(&kernel);
	decisions_free(&ours);
}

/* How busy a host was: how long a job took from snapshot to snapshot. */
static void test_times_of_a_log(void **state)
{
	struct conform_times times;

	(void)state;
	assert_true(conform_log_times("# snapshot boot at 6.1\n"
				      "6.19 6.25 machine nodes=256M cpus=2\n"
				      "6.25 6.50 snapshot start\n"
				      "6.75 8.25 touch A seq all\n"
				      "8.25 8.50 snapshot filled\n"
				      "9.50 9.75 snapshot end\n"
				      "9.75 9.99 touch A seq all\n",
				      &times));
	assert_int_equal(times.nr, 2);
	assert_int_equal(times.ns[0], 1750000000);
	assert_int_equal(times.ns[1], 1000000000);
	assert_false(conform_log_times("6.0 6.5 snapshot start\n1.0 2.0 touch A all\n", &times));
	assert_false(conform_log_times("not a log\n", &times));
	assert_false(conform_log_times("3.0 2.0 snapshot a\n4.0 5.0 snapshot b\n", &times));
	assert_false(conform_log_times("3.0 4.0 snapshot a\n3.5 5.0 snapshot b\n", &times));
	assert_int_equal(times.nr, 0);
}

/* And how long ours takes: what the host does not matter to says little. */
static void test_host_of_a_recording(void **state)
{
	const struct conform_times ours[] = { { 2, { 1000000000, 3000000000 } },
					      { 2, { 9000000000, 3000000000 } } };
	const struct conform_times flat[] = { { 1, { 1000000000 } }, { 1, { 1200000000 } } };
	const struct conform_times small[] = { { 1, { 1000000 } }, { 1, { 8000000 } } };
	struct conform_times recorded = { 2, { 1000000000, 3000000000 } };

	(void)state;
	assert_int_equal(conform_host_others(&recorded, ours), 0);
	recorded.ns[0] = 500000000;
	assert_int_equal(conform_host_others(&recorded, ours), 0);
	recorded.ns[0] = 1500000000;
	assert_int_equal(conform_host_others(&recorded, ours), 500);
	recorded.ns[0] = 5000000000;
	assert_int_equal(conform_host_others(&recorded, ours), 4000);
	recorded.ns[1] = 9000000000; /* a slow disk */
	assert_int_equal(conform_host_others(&recorded, ours), 4000);
	recorded.ns[0] = 11000000000;
	assert_int_equal(conform_host_others(&recorded, ours), 10000);
	recorded.ns[0] = UINT64_C(900) * 1000000000;
	assert_int_equal(conform_host_others(&recorded, ours), CONFORM_HOST_MOST * 1000);
	recorded.nr = 1;
	assert_int_equal(conform_host_others(&recorded, ours), -1);
	assert_int_equal(conform_host_others(&recorded, flat), -1);
	assert_int_equal(conform_host_others(&recorded, small), -1);
	recorded.nr = 0;
	assert_int_equal(conform_host_others(&recorded, flat), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times_of_a_log),
		cmocka_unit_test(test_host_of_a_recording),
		cmocka_unit_test(test_rule_borders),
		cmocka_unit_test(test_rule_small_numbers),
		cmocka_unit_test(test_rule_two_outcomes),
		cmocka_unit_test(test_rule_counters),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_record_text),
		cmocka_unit_test(test_unpack),
		cmocka_unit_test(test_decisions),
	};

	return cmocka_run_group_tests_name("conform", tests, NULL, NULL);
}
