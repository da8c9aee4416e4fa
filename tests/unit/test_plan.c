/*
 * Tests of core/plan.c: the worked examples of recorded machines, figures of published reports,
 * kernels of other builds, and the invariants over random machines.
 */
#include "core_fixture.h"

#include "core/plan.h"

struct size_row {
	uint32_t node, index;
	uint64_t managed;
};

static struct plan plan, other;

static void plan_make(const struct size_row *rows, size_t nr_rows, uint32_t cpus)
{
	plan_init(&plan);
	for (size_t i = 0; i < nr_rows; i++) {
		struct plan_zone *zone = &plan.zone[rows[i].node][rows[i].index];

		zone->managed = rows[i].managed;
		zone->populated = true;
		plan.nr_nodes = max_u32(plan.nr_nodes, rows[i].node + 1);
	}
	for (uint32_t n = 0; n < plan.nr_nodes; n++)
		plan.node_cpus[n] = cpus / plan.nr_nodes;
	plan.nr_cpus = cpus;
	plan_count(&plan);
}

#define PLAN_MAKE(cpus, ...)                                                                       \
	do {                                                                                       \
		static const struct size_row rows[] = { __VA_ARGS__ };                             \
		plan_make(rows, ARRAY_LEN(rows), cpus);                                            \
	} while (0)

static void set_min_free(int64_t kbytes)
{
	plan.knobs.min_free_kbytes = plan.knobs.user_min_free_kbytes = kbytes;
	plan_setup_marks(&plan);
}

static void assert_marks(uint32_t index, uint64_t min, uint64_t low, uint64_t high)
{
	const struct marks_terms *marks = &plan.zone[0][index].marks;

	assert_int_equal(marks->min, min);
	assert_int_equal(marks->low, low);
	assert_int_equal(marks->high, high);
}

static void assert_protection(uint32_t node, uint32_t index, const uint64_t *expect)
{
	for (uint32_t j = 0; j < NEAP_NR_ZONES; j++)
		assert_int_equal(plan.zone[node][index].protection[j], expect[j]);
}

#define ASSERT_PROTECTION(node, index, ...)                                                        \
	assert_protection(node, index, (const uint64_t[NEAP_NR_ZONES]){ __VA_ARGS__ })

/* ---- recorded machines ---- */

/* 512 MiB: marks and protection belong to the smaller zone until something recomputes them. */
static void test_m512(void **state)
{
	(void)state;
	PLAN_MAKE(2, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 113899 });
	plan.knobs.thp_raises = true;
	plan_boot(&plan);
	assert_int_equal(plan.knobs.min_free_kbytes, 2745);
	assert_false(plan.knobs.thp_raises);
	assert_marks(ZONE_DMA, 22, 27, 32);
	assert_marks(ZONE_DMA32, 663, 828, 993);
	assert_int_equal(plan.zone[0][ZONE_DMA32].high, 414);
	assert_int_equal(plan.zone[0][ZONE_DMA32].batch, 31);
	assert_int_equal(plan.zone[0][ZONE_DMA].high, 13);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 444, 444, 444, 444);
	plan.zone[0][ZONE_DMA32].managed = 116411;
	plan_setup_protection(&plan);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 454, 454, 454, 454);
	ASSERT_PROTECTION(0, ZONE_DMA32, 0, 0, 0, 0, 0);
	assert_marks(ZONE_DMA32, 663, 828, 993);
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		plan.knobs.lowmem_reserve_ratio[i] = 1;
	plan_setup_protection(&plan);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 116411, 116411, 116411, 116411);
	assert_int_equal(plan.zone[0][ZONE_DMA].reserve_pages, 3840);
}

static void test_m512_movable(void **state)
{
	(void)state;
	PLAN_MAKE(2, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 83960 }, { 0, ZONE_MOVABLE, 29939 });
	plan_boot(&plan);
	assert_int_equal(plan.knobs.min_free_kbytes, 2370);
	assert_marks(ZONE_DMA, 19, 23, 27);
	assert_marks(ZONE_DMA32, 422, 527, 632);
	assert_marks(ZONE_MOVABLE, 150, 187, 224);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 327, 327, 444, 444);
	ASSERT_PROTECTION(0, ZONE_DMA32, 0, 0, 0, 116, 116);
}

static void test_m4g(void **state)
{
	(void)state;
	PLAN_MAKE(4, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 757805 }, { 0, ZONE_NORMAL, 243730 });
	set_min_free(4096);
	assert_int_equal(plan.share_total, 1005375);
	assert_marks(ZONE_DMA32, 771, 1528, 2285);
	assert_int_equal(plan.zone[0][ZONE_DMA32].marks.gap_min, 192);
	assert_int_equal(plan.zone[0][ZONE_DMA32].marks.gap_scale, 757);
	/* Two nodes: protection never counts another node's zones. */
	PLAN_MAKE(4, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 501583 }, { 1, ZONE_DMA32, 245716 },
		  { 1, ZONE_NORMAL, 253583 });
	plan_setup_protection(&plan);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 1959, 1959, 1959, 1959);
	ASSERT_PROTECTION(1, ZONE_DMA32, 0, 0, 990, 990, 990);
}

/* 256 MiB: the huge-page raise is capped at 5 % of what lies above the high marks. */
static void test_raise_is_capped(void **state)
{
	struct plan_min_free_terms terms;

	(void)state;
	PLAN_MAKE(1, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 52056 });
	set_min_free(2621);
	assert_int_equal(plan.zone[0][ZONE_DMA].marks.high, 66);
	assert_int_equal(plan.zone[0][ZONE_DMA32].marks.high, 914);
	plan_min_free(&plan, &terms);
	assert_int_equal(terms.low_pages, 54916);
	assert_true(terms.raise_capped);
	assert_int_equal(terms.raise_kbytes, 10980);
	plan_switch_thp(&plan, true);
	assert_int_equal(plan.knobs.min_free_kbytes, 10980);
	/* Switched off again, the automatic value is less than what the user wrote: all stays. */
	plan_switch_thp(&plan, false);
	assert_int_equal(plan.knobs.min_free_kbytes, 10980);
}

/* A kernel of version 6.18: Movable has 32 pages even when it is empty, and no share. */
static void test_618(void **state)
{
	(void)state;
	PLAN_MAKE(2, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 772915 }, { 0, ZONE_NORMAL, 491520 });
	plan.movable_apart = true;
	set_min_free(67584);
	plan_setup_protection(&plan);
	plan_setup_thresholds(&plan);
	assert_int_equal(plan.share_total, 1268275);
	assert_marks(ZONE_DMA, 51, 63, 75);
	assert_marks(ZONE_DMA32, 10296, 12870, 15444);
	assert_int_equal(plan.zone[0][ZONE_DMA32].marks.promo, 18018);
	assert_marks(ZONE_NORMAL, 6548, 8185, 9822);
	assert_marks(ZONE_MOVABLE, 32, 32, 32);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 3019, 4939, 4939, 4939);
	ASSERT_PROTECTION(0, ZONE_DMA32, 0, 0, 1920, 1920, 1920);
	assert_int_equal(plan.zone[0][ZONE_DMA].threshold_normal, 4);
	assert_int_equal(plan.zone[0][ZONE_DMA32].threshold_normal, 24);
	assert_int_equal(plan.zone[0][ZONE_NORMAL].threshold_normal, 20);
	plan.zone[0][ZONE_NORMAL].managed = 819200;
	plan_setup_marks(&plan);
	plan_setup_protection(&plan);
	plan_setup_thresholds(&plan);
	assert_marks(ZONE_DMA, 40, 50, 60);
	assert_marks(ZONE_DMA32, 8182, 10227, 12272);
	assert_marks(ZONE_NORMAL, 8672, 10840, 13008);
	ASSERT_PROTECTION(0, ZONE_DMA, 0, 3019, 6219, 6219, 6219);
	ASSERT_PROTECTION(0, ZONE_DMA32, 0, 0, 3200, 3200, 3200);
	assert_int_equal(plan.zone[0][ZONE_NORMAL].threshold_normal, 24);
}

static void test_limits_and_thresholds(void **state)
{
	(void)state;
	PLAN_MAKE(4, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 253783 }, { 1, ZONE_DMA32, 247214 });
	set_min_free(67584);
	plan_setup_thresholds(&plan);
	assert_int_equal(plan.zone[0][ZONE_DMA].threshold_normal, 6);
	assert_int_equal(plan.zone[0][ZONE_DMA32].threshold_normal, 24);
	assert_int_equal(plan.zone[0][ZONE_DMA32].high, plan.zone[0][ZONE_DMA32].marks.low / 2);
	plan.knobs.high_fraction = 8;
	plan_setup_limits(&plan);
	assert_int_equal(plan.zone[0][ZONE_DMA32].high, 15861);
	plan.knobs.high_fraction = 10000;
	plan_setup_limits(&plan);
	assert_int_equal(plan.zone[0][ZONE_DMA32].high, 252);
	/* A node without CPUs: all CPUs of the machine use it. */
	plan.knobs.high_fraction = 0;
	plan.node_cpus[1] = 0;
	plan_setup_limits(&plan);
	assert_int_equal(plan.zone[1][ZONE_DMA32].high_cpus, 4);
}

/* The drift mark stays when it is not needed any more, and a mark's write does not set it. */
static void test_drift_mark(void **state)
{
	(void)state;
	PLAN_MAKE(8, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 113533 });
	set_min_free(2740);
	plan_setup_thresholds(&plan);
	const struct plan_zone *dma = &plan.zone[0][ZONE_DMA];

	assert_int_equal(dma->threshold_normal, 8);
	assert_int_equal(dma->threshold_pressure, 1);
	assert_int_equal(dma->drift_mark, 32 + 8 * 8);
	set_min_free(1048576);
	assert_int_equal(dma->drift_mark, 96);
	plan_setup_thresholds(&plan);
	assert_int_equal(dma->drift_mark, 96);
}

static void test_ratios(void **state)
{
	(void)state;
	PLAN_MAKE(2, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 113899 });
	plan_setup_ratios(&plan);
	assert_int_equal(plan.min_unmapped_pages[0], 38 + 1138);
	assert_int_equal(plan.min_slab_pages[0], 192 + 5694);
}

/* A 32-bit kernel: HighMem has a small minimum of its own, but a gap like any other zone. */
static void test_highmem(void **state)
{
	struct plan_min_free_terms terms;

	(void)state;
	PLAN_MAKE(2, { 0, 0, 3975 }, { 0, 1, 217000 }, { 0, 2, 550000 });
	plan.nr_zones = 4;
	plan.kind[0] = PLAN_DMA;
	plan.kind[1] = PLAN_NORMAL;
	plan.kind[2] = PLAN_HIGHMEM;
	plan.kind[3] = PLAN_MOVABLE;
	plan_boot(&plan);
	assert_null(plan_verify(&plan));
	assert_int_equal(plan.managed_total, 3975 + 217000 + 550000);
	assert_int_equal(plan.share_total, 3975 + 217000);
	plan_min_free(&plan, &terms);
	/* Boot computes it a second time, above the high marks of the first. */
	assert_true(plan.knobs.min_free_kbytes < 3760 && plan.knobs.min_free_kbytes > 3700);
	assert_int_equal(terms.raise_zones, 2);
	const struct marks_terms *high = &plan.zone[0][2].marks;

	assert_int_equal(high->min, 128);
	assert_int_equal(high->low, 128 + high->share / 4);
	assert_true(high->gap > 550);
	/* The ratio 32 is the third zone's: HighMem's own here, for requests for Movable. */
	assert_int_equal(plan.zone[0][1].protection[2], 550000 / 256);
	assert_int_equal(plan.zone[0][2].protection[3], 0);
	plan.zone[0][2].managed = 70000;
	plan_setup_marks(&plan);
	assert_int_equal(high->min, 68);
	plan.zone[0][2].managed = 1000;
	plan_setup_marks(&plan);
	assert_int_equal(high->min, 32);
}

/* ---- published reports ---- */

/*
 * Each zone's share is cut down to whole pages. high is half of min above min, not two quarters:
 * the kernel is older than watermark_scale_factor.
 */
static void test_figures_of_000(void **state)
{
	struct plan_totals totals;

	(void)state;
	PLAN_MAKE(2, { 0, ZONE_DMA, 253 }, { 0, ZONE_DMA32, 28557 }, { 0, ZONE_NORMAL, 3116918 });
	plan.halves = true;
	set_min_free(3145728);
	assert_marks(ZONE_DMA, 63, 78, 94);
	assert_marks(ZONE_DMA32, 7139, 8923, 10708);
	assert_marks(ZONE_NORMAL, 779229, 974036, 1168843);
	plan_sum(&plan, &totals);
	assert_int_equal(totals.min, 786431);
	assert_int_equal(plan.knobs.min_free_kbytes / 4, 786432);
	assert_null(plan_verify(&plan));
	plan.halves = false;
	plan_setup_marks(&plan);
	assert_marks(ZONE_DMA, 63, 78, 93);
}

/* The marks of kernel 5.0's report belong to a zone that was smaller when they were computed. */
static void test_figures_of_002(void **state)
{
	struct plan_min_free_terms terms;
	struct plan_totals totals;

	(void)state;
	PLAN_MAKE(1, { 0, ZONE_DMA, 3977 }, { 0, ZONE_DMA32, 889680 }, { 0, ZONE_NORMAL, 112936 });
	plan_min_free(&plan, &terms);
	assert_int_equal(terms.raise_kbytes, 67584);
	assert_int_equal(terms.raise_kbytes / 4, 33 * 512);
	assert_int_equal(terms.raise_kbytes / 4, 512 * 3 * 2 + 512 * 3 * 3 * 3);
	set_min_free(67584);
	assert_int_equal(plan.zone[0][ZONE_DMA].marks.min, 66);
	assert_int_equal(plan.zone[0][ZONE_DMA32].marks.min, 14933);
	assert_int_equal(plan.zone[0][ZONE_NORMAL].marks.min, 1895);
	plan_setup_protection(&plan);
	assert_int_equal(plan.zone[0][ZONE_DMA].protection[ZONE_DMA32], 3475);
	assert_int_equal(112936 / 256, 3867 - 3426);
	for (uint64_t managed = 877056; managed <= 877229; managed++) {
		plan.zone[0][ZONE_DMA32].managed = managed;
		plan_setup_marks(&plan);
		plan_setup_protection(&plan);
		assert_marks(ZONE_DMA, 67, 83, 99);
		assert_marks(ZONE_DMA32, 14908, 18635, 22362);
		assert_marks(ZONE_NORMAL, 1919, 2398, 2877);
		ASSERT_PROTECTION(0, ZONE_DMA, 0, 3426, 3867, 3867, 3867);
	}
	plan_sum(&plan, &totals);
	assert_int_equal(totals.min, 16894);
	plan_setup_thresholds(&plan);
	assert_int_equal(plan.zone[0][ZONE_DMA].threshold_normal, 2);
	assert_int_equal(plan.zone[0][ZONE_DMA32].threshold_normal, 12);
	assert_int_equal(plan.zone[0][ZONE_NORMAL].threshold_normal, 6);
}

/* What huge pages make kswapd keep free: 66 MiB to 99 MiB with three zones, 44 to 66 with two. */
static void test_figures_of_board(void **state)
{
	struct plan_totals totals;

	(void)state;
	PLAN_MAKE(4, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 700000 }, { 0, ZONE_NORMAL, 500000 });
	set_min_free(67584);
	plan_sum(&plan, &totals);
	assert_in_range(totals.min * 4, 66 * 1024 - 12, 66 * 1024);
	assert_in_range(totals.low * 4, 82 * 1024 + 512 - 24, 82 * 1024 + 512);
	assert_in_range(totals.high * 4, 99 * 1024 - 36, 99 * 1024);
	PLAN_MAKE(4, { 0, ZONE_DMA32, 700000 }, { 0, ZONE_NORMAL, 500000 });
	plan.knobs.thp_raises = true;
	plan_boot(&plan);
	plan_sum(&plan, &totals);
	assert_int_equal(plan.knobs.min_free_kbytes, 44 * 1024);
	assert_in_range(totals.low * 4, 55 * 1024 - 24, 55 * 1024);
	assert_in_range(totals.high * 4, 66 * 1024 - 36, 66 * 1024);
}

/* A phone: Android's patch puts pages between min and low that are not part of the gap. */
static void test_figures_of_004(void **state)
{
	(void)state;
	PLAN_MAKE(8, { 0, ZONE_NORMAL, 950000 });
	plan.halves = true;
	plan.zone[0][ZONE_NORMAL].extra = 2527;
	set_min_free(5368);
	assert_marks(ZONE_NORMAL, 1342, 4204, 4540);
	assert_null(plan_verify(&plan));
	/* kswapd sleeps with the free pages of that day. */
	assert_true(6985 > plan.zone[0][ZONE_NORMAL].marks.high);
	set_min_free(107216);
	assert_marks(ZONE_NORMAL, 26804, 36032, 42733);
	assert_null(plan_verify(&plan));
	/* They would be below the new min; kswapd would hold 141 to 167 MiB. */
	assert_true(6985 < plan.zone[0][ZONE_NORMAL].marks.min);
	assert_int_equal((36032 * 4 + 512) / 1024, 141);
	assert_int_equal((42733 * 4 + 512) / 1024, 167);
}

/* ---- invariants ---- */

static void plan_random(struct rng *rng)
{
	plan_init(&plan);
	plan.nr_nodes = 1 + (uint32_t)rng_below(rng, 4);
	plan.movable_apart = rng_below(rng, 4) == 0;
	for (uint32_t n = 0; n < plan.nr_nodes; n++) {
		plan.node_cpus[n] = (uint32_t)rng_below(rng, 9);
		plan.nr_cpus += plan.node_cpus[n];
		for (uint32_t i = 0; i < ZONE_DEVICE; i++) {
			plan.zone[n][i].populated = rng_below(rng, 3) != 0;
			if (plan.zone[n][i].populated)
				plan.zone[n][i].managed =
					rng_below(rng, (uint64_t)1 << (1 + rng_below(rng, 30)));
		}
	}
	plan.nr_cpus = max_u32(plan.nr_cpus, 1);
	plan.knobs.thp_raises = rng_below(rng, 2) == 0;
	plan.knobs.watermark_scale_factor = 1 + (int64_t)rng_below(rng, 3000);
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		plan.knobs.lowmem_reserve_ratio[i] = (int64_t)rng_below(rng, 300);
	plan_count(&plan);
}

static void check_limits(const struct plan_zone *zone)
{
	if (!zone->populated)
		return;
	assert_true(zone->high >= 4 * zone->batch);
	assert_true(zone->batch == 1 || ((zone->batch + 1) & zone->batch) == 0);
	assert_in_range(zone->threshold_normal, 1, 125);
	assert_in_range(zone->threshold_pressure, 1, 125);
}

static void test_invariants(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, core_seed());
	for (uint32_t round = 0; round < 3000; round++) {
		plan_random(&rng);
		plan_boot(&plan);
		assert_null(plan_verify(&plan));
		for (uint32_t n = 0; n < plan.nr_nodes; n++)
			for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
				check_limits(&plan.zone[n][i]);
		/* Again, with the same inputs: the same numbers. */
		other = plan;
		plan_setup_marks(&plan);
		plan_setup_protection(&plan);
		assert_memory_equal(&plan, &other, sizeof(plan));
		/* Larger inputs: no mark and no gap falls. */
		plan.knobs.min_free_kbytes += (int64_t)rng_below(&rng, 1 << 20);
		plan.knobs.watermark_scale_factor += (int64_t)rng_below(&rng, 1000);
		plan_setup_marks(&plan);
		assert_null(plan_verify(&plan));
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			assert_true(plan.zone[0][i].marks.min >= other.zone[0][i].marks.min);
			assert_true(plan.zone[0][i].marks.gap >= other.zone[0][i].marks.gap);
		}
	}
}

/* A broken plan is noticed. */
static void test_verify(void **state)
{
	(void)state;
	PLAN_MAKE(2, { 0, ZONE_DMA, 3840 }, { 0, ZONE_DMA32, 113899 });
	plan_boot(&plan);
	assert_null(plan_verify(&plan));
	plan.zone[0][ZONE_DMA32].marks.low++;
	assert_non_null(plan_verify(&plan));
	plan_setup_marks(&plan);
	plan.zone[0][ZONE_DMA32].protection[ZONE_DMA] = 1;
	assert_non_null(plan_verify(&plan));
	plan_setup_protection(&plan);
	plan.zone[0][ZONE_DMA32].marks.share *= 2;
	assert_non_null(plan_verify(&plan));
	plan_setup_marks(&plan);
	plan.zone[0][ZONE_DMA].reserve_pages = 3841;
	assert_non_null(plan_verify(&plan));
	plan_setup_marks(&plan);
	plan.knobs.watermark_scale_factor = 3000;
	assert_non_null(plan_verify(&plan));
}

/* Through a snapshot and back: nothing is lost or invented. */
static void test_snapshot(void **state)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));

	(void)state;
	assert_non_null(snapshot);
	snapshot->nr_nodes = 1;
	cpumask_set(&snapshot->online, 0);
	cpumask_set(&snapshot->online, 1);
	snapshot->node[0].cpus = snapshot->online;
	snapshot->node[0].zone[ZONE_DMA].present = 3998;
	snapshot->node[0].zone[ZONE_DMA].managed = 3840;
	snapshot->node[0].zone[ZONE_DMA32].present = 126944;
	snapshot->node[0].zone[ZONE_DMA32].managed = 113899;
	plan_from_snapshot(&plan, snapshot);
	plan_boot(&plan);
	plan.zone[0][ZONE_DMA32].boost = 512;
	plan_to_snapshot(&plan, snapshot);
	assert_int_equal(snapshot->node[0].zone[ZONE_DMA32].low, 828 + 512);
	assert_int_equal(snapshot->node[0].zone[ZONE_DMA32].pageset[1].high, 414);
	assert_int_equal(snapshot->node[0].zone[ZONE_DMA].protection[ZONE_DMA32], 444);
	assert_int_equal(snapshot->reserve_pages, 444 + 32 + 993);
	plan_from_snapshot(&other, snapshot);
	assert_int_equal(other.nr_cpus, 2);
	assert_int_equal(other.zone[0][ZONE_DMA32].boost, 512);
	assert_int_equal(other.zone[0][ZONE_DMA32].marks.low, 828);
	assert_int_equal(other.zone[0][ZONE_DMA32].marks.promo, 993 + 165);
	assert_int_equal(other.zone[0][ZONE_DMA32].batch, 31);
	assert_int_equal(other.managed_total, 3840 + 113899);
	free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_m512),
		cmocka_unit_test(test_m512_movable),
		cmocka_unit_test(test_m4g),
		cmocka_unit_test(test_raise_is_capped),
		cmocka_unit_test(test_618),
		cmocka_unit_test(test_limits_and_thresholds),
		cmocka_unit_test(test_drift_mark),
		cmocka_unit_test(test_ratios),
		cmocka_unit_test(test_highmem),
		cmocka_unit_test(test_figures_of_000),
		cmocka_unit_test(test_figures_of_002),
		cmocka_unit_test(test_figures_of_board),
		cmocka_unit_test(test_figures_of_004),
		cmocka_unit_test(test_invariants),
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
