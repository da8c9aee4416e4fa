/*
 * Tests of src/diag's arithmetic: terms as text, marks of published reports explained from their
 * numbers alone, settings and their effects, and the inverse.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag/marks.h"
#include "diag/settings.h"
#include "diag/terms.h"
#include "text/sysctls.h"

struct zone_row {
	uint32_t index;
	uint64_t managed, min, low, high;
	uint64_t protection[NEAP_NR_ZONES];
};

/* A zoneinfo of one node and nothing else. */
static struct snapshot *snapshot_of(const struct zone_row *rows, size_t nr_rows, uint32_t cpus)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));

	assert_non_null(snapshot);
	snapshot->nr_nodes = 1;
	for (uint32_t cpu = 0; cpu < cpus; cpu++)
		cpumask_set(&snapshot->online, cpu);
	snapshot->node[0].cpus = snapshot->online;
	for (size_t i = 0; i < nr_rows; i++) {
		struct snapshot_zone *zone = &snapshot->node[0].zone[rows[i].index];

		zone->present = zone->spanned = zone->managed = rows[i].managed;
		zone->min = rows[i].min;
		zone->low = rows[i].low;
		zone->high = rows[i].high;
		memcpy(zone->protection, rows[i].protection, sizeof(zone->protection));
		snapshot->total_pages += zone->managed;
	}
	return snapshot;
}

static struct marks_machine *machine_of(struct snapshot *snapshot)
{
	struct marks_machine *machine = NULL;
	struct text_error err;

	assert_int_equal(marks_machine_new(snapshot, &machine, &err), 0);
	free(snapshot);
	return machine;
}

static void assert_text(struct text_buf *out, const char *expect)
{
	assert_string_equal(text_buf_text(out), expect);
	text_buf_free(out);
}

/* ---- terms ---- */

/* Tests against marks; the numbers of two published reports, and of the design. */
static void test_terms_of_tests(void **state)
{
	const struct terms_test design = { 4310, 511, "low", 4400, 0 };
	const struct terms_test equal = { 4911, 511, "low", 4400, 0 };
	/* Zone Normal is 26 pages below low, DMA32 has plenty: kswapd rightly sleeps. */
	const struct terms_test normal = { 2372, 0, "low", 2398, 0 };
	const struct terms_test dma32 = { 634266, 0, "low", 18635, 441 };
	/* The phone: asleep, so what failed was no matter of amount. */
	const struct terms_test phone = { 6985, 0, "high", 4540, 0 };
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	assert_false(terms_test_passes(&design));
	terms_test_add(&out, &design, "next zone");
	assert_text(&out, "free 4310 - unusable 511 < low 4400 + reserve 0 -> next zone");
	assert_false(terms_test_passes(&equal));
	terms_test_add(&out, &equal, NULL);
	assert_text(&out, "free 4911 - unusable 511 = low 4400 + reserve 0");
	assert_false(terms_test_passes(&normal));
	assert_int_equal(normal.mark - normal.free, 26);
	assert_true(terms_test_passes(&dma32));
	terms_test_add(&out, &dma32, "allocate");
	assert_text(&out, "free 634266 - unusable 0 > low 18635 + reserve 441 -> allocate");
	assert_true(terms_test_passes(&phone));
}

static void test_terms_of_marks(void **state)
{
	static const struct zone_row rows[] = { { .index = ZONE_DMA, .managed = 3840 },
						{ .index = ZONE_DMA32, .managed = 757805 },
						{ .index = ZONE_NORMAL, .managed = 243730 } };
	struct snapshot *snapshot = snapshot_of(rows, ARRAY_LEN(rows), 4);
	struct plan *plan = malloc(sizeof(*plan));
	struct text_buf out;

	(void)state;
	assert_non_null(plan);
	text_buf_init(&out);
	plan_from_snapshot(plan, snapshot);
	plan->knobs.min_free_kbytes = 4096;
	settings_recompute(plan);
	terms_min_add(&out, plan, &plan->zone[0][ZONE_DMA32]);
	assert_text(&out, "share 771 = 1024 * 757805 / 1005375");
	terms_gap_add(&out, plan, &plan->zone[0][ZONE_DMA32]);
	assert_text(&out, "gap 757 = max(share/4 = 192, 0.1 % of managed = 757)");
	terms_protection_add(&out, plan, 0, ZONE_DMA);
	assert_text(&out, "protection from DMA32 2960 = 757805 / 256,"
			  " Normal 3912 = 1001535 / 256");
	terms_limits_add(&out, plan, &plan->zone[0][ZONE_DMA32]);
	assert_text(&out, "high 382 = low 1528 / 4 CPUs; batch 63");
	plan->knobs.high_fraction = 10000;
	plan_setup_limits(plan);
	terms_limits_add(&out, plan, &plan->zone[0][ZONE_DMA32]);
	assert_text(&out, "high 252 = 4 * batch, more than managed/10000 = 75 / 4 CPUs; batch 63");
	free(plan);
	free(snapshot);
}

static void test_units(void **state)
{
	static const struct {
		int64_t factor;
		const char *text;
	} factors[] = { { 10, "0.1 %" },
			{ 1, "0.01 %" },
			{ 150, "1.5 %" },
			{ 3000, "30 %" },
			{ 33, "0.33 %" } };
	static const struct {
		uint64_t pages;
		const char *text;
	} sizes[] = { { 0, "0 KiB" },	     { 1, "4 KiB" },	    { 256, "1 MiB" },
		      { 25600, "100 MiB" },  { 21120, "82.5 MiB" }, { 786432, "3 GiB" },
		      { 1005375, "3.8 GiB" } };
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	for (size_t i = 0; i < ARRAY_LEN(factors); i++) {
		terms_factor_add(&out, factors[i].factor);
		assert_text(&out, factors[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		terms_bytes_add(&out, sizes[i].pages);
		assert_text(&out, sizes[i].text);
	}
}

/* ---- explaining ---- */

/*
 * One zoneinfo is enough: 67584 is what huge pages want of three zones, and the marks are stale
 * since DMA32 had 877056 to 877229 pages.
 */
static void test_report_of_002(void **state)
{
	static const struct zone_row rows[] = {
		{ ZONE_DMA, 3977, 67, 83, 99, { 0, 3426, 3867, 3867, 3867 } },
		{ ZONE_DMA32, 889680, 14908, 18635, 22362, { 0, 0, 441, 441, 441 } },
		{ ZONE_NORMAL, 112936, 1919, 2398, 2877, { 0 } },
	};
	struct marks_machine *machine = machine_of(snapshot_of(rows, ARRAY_LEN(rows), 1));
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	assert_true(machine->min_free_guessed);
	assert_int_equal(machine->printed.knobs.min_free_kbytes, 67584);
	assert_int_equal(machine->printed.knobs.watermark_scale_factor, 10);
	assert_true(machine->stale.marks && machine->stale.protection);
	assert_true(machine->stale.explained);
	assert_int_equal(machine->stale.nr_changed, 1);
	assert_int_equal(machine->stale.changed[0].index, ZONE_DMA32);
	assert_int_equal(machine->stale.changed[0].least, 877056);
	assert_int_equal(machine->stale.changed[0].most, 877229);
	assert_int_equal(machine->fresh.zone[0][ZONE_DMA32].marks.min, 14933);
	marks_stale_add(&out, machine);
	assert_non_null(strstr(text_buf_text(&out),
			       "computed when node 0 DMA32 had 877056 to 877229 pages; it has"
			       " 889680 now"));
	text_buf_free(&out);
	free(machine);
}

/* Before 4.6 high was half of min above min; that is told from the numbers. */
static void test_report_of_000(void **state)
{
	static const struct zone_row rows[] = {
		{ ZONE_DMA, 253, 63, 78, 94, { 0 } },
		{ ZONE_DMA32, 28557, 7139, 8923, 10708, { 0 } },
		{ ZONE_NORMAL, 3116918, 779229, 974036, 1168843, { 0 } }
	};
	struct marks_machine *machine = machine_of(snapshot_of(rows, ARRAY_LEN(rows), 2));

	(void)state;
	assert_true(machine->printed.halves);
	assert_false(machine->extra);
	assert_false(machine->stale.marks);
	free(machine);
}

/* Android's extra pages between min and low. */
static void test_report_of_004(void **state)
{
	static const struct zone_row rows[] = {
		{ ZONE_NORMAL, 950000, 1342, 4204, 4540, { 0 } },
	};
	struct marks_machine *machine = machine_of(snapshot_of(rows, ARRAY_LEN(rows), 8));
	struct plan *plan = malloc(sizeof(*plan));
	struct text_error err;

	(void)state;
	assert_non_null(plan);
	assert_true(machine->extra && machine->printed.halves);
	assert_int_equal(machine->printed.zone[0][ZONE_NORMAL].extra, 2527);
	assert_int_equal(machine->printed.knobs.min_free_kbytes, 5368);
	assert_false(machine->stale.marks);
	assert_int_equal(marks_apply(machine, "min_free_kbytes=107216", plan, &err), 0);
	assert_int_equal(plan->zone[0][ZONE_NORMAL].marks.min, 26804);
	assert_int_equal(plan->zone[0][ZONE_NORMAL].marks.low, 36032);
	assert_int_equal(plan->zone[0][ZONE_NORMAL].marks.high, 42733);
	free(plan);
	free(machine);
}

/* Kernel 5.0's report: lists of 6 batches, none in the small zone, whatever the marks are. */
static void test_six_batches(void **state)
{
	static const struct zone_row rows[] = {
		{ ZONE_DMA, 3977, 67, 83, 99, { 0, 3426, 3867, 3867, 3867 } },
		{ ZONE_DMA32, 889680, 14908, 18635, 22362, { 0, 0, 441, 441, 441 } },
		{ ZONE_NORMAL, 112936, 1919, 2398, 2877, { 0 } },
	};
	static const struct snapshot_pageset sets[] = { { .high = 0, .batch = 1 },
							{ .high = 378, .batch = 63 },
							{ .high = 186, .batch = 31 } };
	struct snapshot *snapshot = snapshot_of(rows, ARRAY_LEN(rows), 2);
	struct marks_machine *machine;
	struct text_buf out;

	(void)state;
	for (uint32_t i = 0; i < ARRAY_LEN(sets); i++)
		for (uint32_t cpu = 0; cpu < 2; cpu++)
			snapshot->node[0].zone[rows[i].index].pageset[cpu] = sets[i];
	machine = machine_of(snapshot);
	assert_true(machine->printed.six_batches);
	assert_false(machine->limits_tuned);
	for (uint32_t i = 0; i < ARRAY_LEN(sets); i++)
		assert_int_equal(machine->fresh.zone[0][rows[i].index].high, sets[i].high);
	text_buf_init(&out);
	terms_limits_add(&out, &machine->fresh, &machine->fresh.zone[0][ZONE_NORMAL]);
	assert_text(&out, "high 186 = 6 * batch 31");
	free(machine);
}

/* A kernel of 6.18: Movable is empty and has 32 pages all the same. */
static void test_movable_apart(void **state)
{
	static const struct zone_row rows[] = {
		{ ZONE_DMA, 3840, 51, 63, 75, { 0, 3019, 4939, 4939, 4939 } },
		{ ZONE_DMA32, 772915, 10296, 12870, 15444, { 0, 0, 1920, 1920, 1920 } },
		{ ZONE_NORMAL, 491520, 6548, 8185, 9822, { 0 } },
		{ ZONE_MOVABLE, 0, 32, 32, 32, { 0 } },
	};
	struct marks_machine *machine = machine_of(snapshot_of(rows, ARRAY_LEN(rows), 2));

	(void)state;
	assert_true(machine->printed.movable_apart);
	assert_false(machine->stale.marks);
	assert_false(machine->stale.protection);
	free(machine);
}

/* Marks that nothing explains are said to be so. */
static void test_unexplained(void **state)
{
	static const struct zone_row rows[] = { { ZONE_DMA, 3840, 22, 27, 32, { 0 } },
						{ ZONE_DMA32, 113899, 663, 900, 1137, { 0 } } };
	struct snapshot *snapshot = snapshot_of(rows, ARRAY_LEN(rows), 2);

	(void)state;
	assert_int_equal(sysctls_snapshot_set(snapshot, "min_free_kbytes", "2745"), 0);
	assert_int_equal(sysctls_snapshot_set(snapshot, "watermark_scale_factor", "10"), 0);
	struct marks_machine *machine = machine_of(snapshot);

	assert_false(machine->min_free_guessed);
	assert_true(machine->stale.marks);
	assert_false(machine->stale.explained);
	free(machine);
}

/* Absurd numbers from a file end, and explain nothing. */
static void test_absurd(void **state)
{
	static const struct zone_row rows[] = {
		{ ZONE_DMA, UINT64_MAX, UINT64_MAX, 5, 3, { 1, 2, UINT64_MAX, 4, 5 } },
		{ ZONE_DMA32, UINT64_MAX / 2, 7, UINT64_MAX, 1, { UINT64_MAX } },
	};
	struct marks_machine *machine = machine_of(snapshot_of(rows, ARRAY_LEN(rows), 2));
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	marks_add(&out, machine);
	assert_int_equal(out.error, 0);
	assert_false(machine->stale.explained);
	text_buf_free(&out);
	free(machine);
}

/* ---- settings ---- */

static struct marks_machine *machine_m512(void)
{
	static const struct zone_row rows[] = {
		{ ZONE_DMA, 3840, 22, 27, 32, { 0, 444, 444, 444, 444 } },
		{ ZONE_DMA32, 116411, 663, 828, 993, { 0 } },
	};
	struct snapshot *snapshot = snapshot_of(rows, ARRAY_LEN(rows), 2);

	assert_int_equal(sysctls_snapshot_set(snapshot, "min_free_kbytes", "2745"), 0);
	assert_int_equal(sysctls_snapshot_set(snapshot, "watermark_scale_factor", "10"), 0);
	snapshot->thp = SNAPSHOT_THP_NEVER;
	return machine_of(snapshot);
}

/* A write recomputes what Linux recomputes, and leaves the rest as it was printed. */
static void test_apply(void **state)
{
	struct marks_machine *machine = machine_m512();
	struct plan *plan = malloc(sizeof(*plan));
	struct text_error err;

	(void)state;
	assert_non_null(plan);
	assert_int_equal(marks_apply(machine, "min_free_kbytes=2745", plan, &err), 0);
	assert_int_equal(plan->zone[0][ZONE_DMA32].marks.min, 664);
	assert_int_equal(plan->zone[0][ZONE_DMA].protection[ZONE_DMA32], 444);
	assert_int_equal(marks_apply(machine, "lowmem_reserve_ratio=256 256 32 0 0", plan, &err),
			 0);
	assert_int_equal(plan->zone[0][ZONE_DMA32].marks.min, 663);
	assert_int_equal(plan->zone[0][ZONE_DMA].protection[ZONE_DMA32], 454);
	assert_int_equal(
		marks_apply(machine, "vm.watermark_scale_factor=100,thp=always", plan, &err), 0);
	assert_int_equal(plan->knobs.watermark_scale_factor, 100);
	/* Capped at 5 % of 120251 pages less the high marks. */
	assert_int_equal(plan->knobs.min_free_kbytes % 4, 0);
	assert_in_range(plan->knobs.min_free_kbytes, 22000, 24050);
	free(plan);
	free(machine);
}

static void test_refused(void **state)
{
	static const struct {
		const char *writes, *why;
	} cases[] = {
		{ "min_free_kbytes=-1", "from 0 to" },
		{ "watermark_scale_factor=3001", "from 1 to 3000" },
		{ "watermark_scale_factor=", "from 1 to 3000" },
		{ "percpu_pagelist_high_fraction=7", "from 8" },
		{ "thp=sometimes", "madvise" },
		{ "swappiness=10", "do not depend" },
		{ "swapiness=10", "no such setting" },
		{ "drop_caches=3", "cannot be computed" },
		{ "min_free_kbytes", "NAME=VALUE" },
		{ "=5", "NAME=VALUE" },
		{ "min_free_kbytes=5,", NULL },
	};
	struct marks_machine *machine = machine_m512();
	struct plan *plan = malloc(sizeof(*plan));

	(void)state;
	assert_non_null(plan);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct text_error err = { .line = 0 };
		int result = marks_apply(machine, cases[i].writes, plan, &err);

		assert_int_equal(result, cases[i].why != NULL ? -EINVAL : 0);
		if (cases[i].why != NULL && strstr(err.message, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].writes, err.message);
	}
	free(plan);
	free(machine);
}

/* ---- wants ---- */

static void test_want_words(void **state)
{
	static const struct {
		const char *text;
		uint64_t pages; /* 0: refused */
	} cases[] = {
		{ "low-min=2G", 524288 },
		{ "low-min=1", 1 },
		{ "absorb=500M/s:200ms", 25600 },
		{ "absorb=1G/s:2s", 524288 },
		{ "absorb=4K/s:500us", 1 },
		{ "low-min=0", 0 },
		{ "low-min=", 0 },
		{ "low-min=2X", 0 },
		{ "absorb=500M:200ms", 0 },
		{ "absorb=500M/s:200", 0 },
		{ "absorb=500M/s:-1s", 0 },
		{ "absorb=500M/s:0ms", 0 },
		{ "high-low=3", 0 },
		{ "absorb=9999999T/s:4000000000s", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct marks_want want;
		struct text_error err;
		int result = marks_want_parse(cases[i].text, &want, &err);

		if (result != (cases[i].pages != 0 ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, result);
		if (result == 0)
			assert_int_equal(want.pages, cases[i].pages);
	}
}

/* An answer fulfils the want, and one less does not. */
static void test_answers(void **state)
{
	struct marks_machine *machine = machine_m512();
	struct plan *plan = malloc(sizeof(*plan)), *scratch = malloc(sizeof(*scratch));

	(void)state;
	assert_non_null(plan);
	assert_non_null(scratch);
	for (uint64_t pages = 200; pages < 30000; pages = pages * 3 / 2) {
		struct marks_want want = { .text = "", .pages = pages };
		struct marks_answer answers[MARKS_NR_ANSWERS];

		marks_answer(machine, &want, scratch, answers);
		for (uint32_t i = 0; i < MARKS_NR_ANSWERS; i++) {
			struct plan_totals totals;
			struct text_error err;
			char write[64];

			if (!answers[i].reachable)
				continue;
			assert_true(answers[i].totals.gap >= pages);
			for (int64_t less = 0; less < 2; less++) {
				snprintf(write, sizeof(write), "%s=%lld", answers[i].name,
					 (long long)(answers[i].value - less));
				assert_int_equal(marks_apply(machine, write, plan, &err), 0);
				plan_sum(plan, &totals);
				assert_true((totals.gap >= pages) == (less == 0));
			}
		}
		/* 30 % of the memory is the factor's limit. */
		assert_true(answers[0].reachable == (pages <= 36075));
	}
	struct marks_want want = { .text = "low-min=1G", .pages = 262144 };
	struct marks_answer answers[MARKS_NR_ANSWERS];

	marks_answer(machine, &want, scratch, answers);
	assert_false(answers[0].reachable || answers[1].reachable);
	free(scratch);
	free(plan);
	free(machine);
}

/* Every line of every text fits a terminal. */
static void test_width(void **state)
{
	struct marks_machine *machine = machine_m512();
	struct plan *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
	const char *const labels[] = { "now", "thp=always", "min_free_kbytes=2147483647" };
	const struct plan *const plans[] = { &machine->printed, a, b };
	struct marks_want want = { .text = "low-min=50M", .pages = 12800 };
	struct marks_answer answers[MARKS_NR_ANSWERS];
	struct text_error err;
	struct text_buf out;

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	text_buf_init(&out);
	assert_int_equal(marks_apply(machine, labels[1], a, &err), 0);
	assert_int_equal(marks_apply(machine, labels[2], b, &err), 0);
	marks_add(&out, machine);
	marks_columns_add(&out, labels, plans, 3);
	marks_answer(machine, &want, a, answers);
	marks_answer_add(&out, machine, &want, answers);
	for (const char *line = text_buf_text(&out); *line != '\0';) {
		size_t bytes = strcspn(line, "\n");

		if (bytes > 80)
			fail_msg("%zu columns: %.*s", bytes, (int)bytes, line);
		line += bytes + (line[bytes] == '\n');
	}
	text_buf_free(&out);
	free(a);
	free(b);
	free(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terms_of_tests), cmocka_unit_test(test_terms_of_marks),
		cmocka_unit_test(test_units),	       cmocka_unit_test(test_report_of_002),
		cmocka_unit_test(test_report_of_000),  cmocka_unit_test(test_report_of_004),
		cmocka_unit_test(test_movable_apart),  cmocka_unit_test(test_six_batches),
		cmocka_unit_test(test_unexplained),    cmocka_unit_test(test_absurd),
		cmocka_unit_test(test_apply),	       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_want_words),     cmocka_unit_test(test_answers),
		cmocka_unit_test(test_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
