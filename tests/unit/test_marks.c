/*
 * Tests of core/marks.c: the formulas against rows recorded from a real 6.1 kernel, and what the
 * setup functions store.
 */
#include "core_fixture.h"

#include "core/marks.h"
#include "core/sysctl.h"

/* One row of a recorded machine: its settings and one zone. */
struct mark_row {
	uint64_t min_free_kbytes, scale_factor, managed_total, managed;
	uint64_t min, low, high;
};

static const struct mark_row recorded[] = {
	/* 256 MiB, one CPU: DMA 3840, DMA32 52056 */
	{ 8192, 10, 55896, 3840, 140, 175, 210 },
	{ 8192, 10, 55896, 52056, 1907, 2383, 2859 },
	{ 0, 10, 55896, 3840, 0, 3, 6 },
	{ 0, 10, 55896, 52056, 0, 52, 104 },
	{ 4096, 3000, 55896, 3840, 70, 1222, 2374 },
	{ 4096, 3000, 55896, 52056, 953, 16569, 32185 },
	{ 4096, 1001, 55896, 3840, 70, 454, 838 },
	{ 4096, 1001, 55896, 52056, 953, 6163, 11373 },
	{ 2147483647, 10, 55896, 3840, 36882501, 46103126, 55323751 },
	{ 2147483647, 10, 55896, 52056, 499988409, 624985511, 749982613 },
	{ 5242, 1, 55896, 52056, 1220, 1525, 1830 },
	/* 16 GiB, 8 CPUs: DMA 3840, DMA32 765908, Normal 3327351 */
	{ 335544, 100, 4097099, 3840, 78, 116, 154 },
	{ 335544, 100, 4097099, 765908, 15681, 23340, 30999 },
	{ 335544, 100, 4097099, 3327351, 68125, 101398, 134671 },
	{ 335544, 3000, 4097099, 3327351, 68125, 1066330, 2064535 },
	{ 167772, 150, 4097099, 3840, 39, 96, 153 },
	{ 4096, 10, 4097099, 765908, 191, 956, 1721 },
	/* a machine with a Movable zone, which has its share, too */
	{ 2370, 10, 117739, 83960, 422, 527, 632 },
	{ 2370, 10, 117739, 29939, 150, 187, 224 },
	/* an empty zone */
	{ 4096, 10, 4097099, 0, 0, 0, 0 },
};

static void test_recorded_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recorded); i++) {
		const struct mark_row *row = &recorded[i];
		const struct marks_input in = {
			.min_free_kbytes = row->min_free_kbytes,
			.scale_factor = row->scale_factor,
			.managed = row->managed,
			.managed_total = row->managed_total,
		};
		struct marks_terms out;

		marks_compute(&in, &out);
		assert_int_equal(out.min, row->min);
		assert_int_equal(out.low, row->low);
		assert_int_equal(out.high, row->high);
		assert_int_equal(out.promo - out.high, out.high - out.low);
	}
}

static void test_automatic_value(void **state)
{
	(void)state;
	assert_int_equal(marks_auto_min_free_kbytes(470956), 2745);
	assert_int_equal(marks_auto_min_free_kbytes(4 * 87800), 2370);
	assert_int_equal(marks_auto_min_free_kbytes(16), 128);
	assert_int_equal(marks_auto_min_free_kbytes(GIB * 64), 262144);
}

static void test_protection_formula(void **state)
{
	(void)state;
	assert_int_equal(marks_protection(113899, 256), 444);
	assert_int_equal(marks_protection(116411, 256), 454);
	assert_int_equal(marks_protection(253583, 256), 990);
	assert_int_equal(marks_protection(116411, 1), 116411);
	assert_int_equal(marks_protection(116411, 0), 0);
}

/* Properties 1 to 4 of the marks, over random machines. */
static void test_properties(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, core_seed());
	for (uint32_t round = 0; round < 2000; round++) {
		uint64_t managed[4];
		struct marks_input in = { .min_free_kbytes = rng_below(&rng, 1u << 22),
					  .scale_factor = 1 + rng_below(&rng, 3000) };
		uint64_t shares = 0;

		for (size_t i = 0; i < ARRAY_LEN(managed); i++) {
			managed[i] = 1 + rng_below(&rng, 1u << 24);
			in.managed_total += managed[i];
		}
		for (size_t i = 0; i < ARRAY_LEN(managed); i++) {
			struct marks_terms one, two;

			in.managed = managed[i];
			marks_compute(&in, &one);
			assert_true(one.min <= one.low && one.low <= one.high);
			assert_int_equal(one.low - one.min, one.high - one.low);
			assert_true(one.low - one.min >= managed[i] * in.scale_factor / 10000);
			shares += one.share;
			in.min_free_kbytes += 4096;
			marks_compute(&in, &two);
			assert_true(two.min >= one.min && two.high >= one.high);
			in.min_free_kbytes -= 4096;
		}
		assert_true(shares <= in.min_free_kbytes / 4);
		assert_true(shares + ARRAY_LEN(managed) > in.min_free_kbytes / 4);
	}
}

/* A machine of 512 MiB as recorded at boot: DMA 3840 and DMA32 113899 managed, two CPUs. */
static void setup_m512(struct core_fixture *f)
{
	struct machine_desc desc;

	core_desc_init(&desc, 1, 2);
	desc.node[0].zone[ZONE_DMA] = (struct machine_zone_desc){
		.start_pfn = 1, .spanned = 4095, .present = 3998, .managed = 3840
	};
	desc.node[0].zone[ZONE_DMA32] = (struct machine_zone_desc){
		.start_pfn = 4096, .spanned = 126944, .present = 126944, .managed = 113899
	};
	assert_int_equal(core_setup(f, &desc), 0);
}

static void test_boot_of_m512(void **state)
{
	static const uint64_t dma_reserve[NR_ZONES] = { 0, 444, 444, 444, 444 };
	struct core_fixture f;

	(void)state;
	setup_m512(&f);
	const struct zone *dma = &f.m->nodes[0].zone[ZONE_DMA];
	const struct zone *dma32 = &f.m->nodes[0].zone[ZONE_DMA32];

	assert_int_equal(sysctl_get(&f.m->sysctl.min_free_kbytes), 2745);
	assert_int_equal(zone_mark(dma, WMARK_MIN), 22);
	assert_int_equal(zone_mark(dma, WMARK_LOW), 27);
	assert_int_equal(zone_mark(dma, WMARK_HIGH), 32);
	assert_int_equal(zone_mark(dma32, WMARK_MIN), 663);
	assert_int_equal(zone_mark(dma32, WMARK_LOW), 828);
	assert_int_equal(zone_mark(dma32, WMARK_HIGH), 993);
	for (uint32_t limit = 0; limit < NR_ZONES; limit++) {
		assert_int_equal(dma->reserve[limit], dma_reserve[limit]);
		assert_int_equal(dma32->reserve[limit], 0);
	}
	assert_int_equal(dma->pcp[1].high, 13);
	assert_int_equal(dma->pcp[1].batch, 1);
	assert_int_equal(dma32->pcp[0].high, 414);
	assert_int_equal(dma32->pcp[0].batch, 31);
	assert_int_equal(f.m->nodes[0].reserve_pages, 444 + 32 + 993);
	assert_int_equal(f.m->reserve_pages, 444 + 32 + 993);
	assert_int_equal(f.m->nodes[0].min_unmapped_pages, 38 + 1138);
	assert_int_equal(f.m->nodes[0].min_slab_pages, 192 + 5694);
	core_teardown(&f);
}

/* The automatic value does not replace a larger one of the user. */
static void test_user_value_is_kept(void **state)
{
	struct core_fixture f;

	(void)state;
	setup_m512(&f);
	assert_int_equal(sysctl_write(f.t, f.m, "min_free_kbytes", "8192", 4), 4);
	marks_init(f.t, f.m);
	assert_int_equal(sysctl_get(&f.m->sysctl.min_free_kbytes), 8192);
	assert_int_equal(sysctl_write(f.t, f.m, "min_free_kbytes", "100", 3), 3);
	marks_init(f.t, f.m);
	assert_true(sysctl_get(&f.m->sysctl.min_free_kbytes) > 2000);
	core_teardown(&f);
}

/* The empty zone between two others copies the running sum. */
static void test_protection_with_empty_zone(void **state)
{
	static const uint64_t expect[NR_ZONES] = { 0, 327, 327, 444, 444 };
	struct core_fixture f;
	struct machine_desc desc;

	(void)state;
	core_desc_init(&desc, 1, 2);
	core_desc_zone(&desc, 0, ZONE_DMA, 1, 3840);
	core_desc_zone(&desc, 0, ZONE_DMA32, 4096, 83960);
	core_desc_zone(&desc, 0, ZONE_MOVABLE, 98304, 29939);
	assert_int_equal(core_setup(&f, &desc), 0);
	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		assert_int_equal(f.m->nodes[0].zone[ZONE_DMA].reserve[limit], expect[limit]);
	assert_int_equal(f.m->nodes[0].zone[ZONE_DMA32].reserve[ZONE_NORMAL], 0);
	assert_int_equal(f.m->nodes[0].zone[ZONE_DMA32].reserve[ZONE_MOVABLE], 116);
	core_teardown(&f);
}

static bool boost_once(struct core_fixture *f, struct zone *zone)
{
	cpu_pin(f->t);
	spin_lock(f->t, &zone->lock, LOCK_ZONE);
	bool boosted = marks_boost(f->t, zone);

	spin_unlock(f->t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f->t);
	return boosted;
}

static void test_boost(void **state)
{
	struct core_fixture f;

	(void)state;
	setup_m512(&f);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_DMA32];
	uint64_t high = zone_mark(zone, WMARK_HIGH);
	uint64_t cap = high * 15000 / 10000;

	assert_true(boost_once(&f, zone));
	assert_int_equal(zone->boost, 512);
	assert_int_equal(zone_mark(zone, WMARK_HIGH), high + 512);
	for (uint32_t i = 0; i < 10; i++)
		assert_true(boost_once(&f, zone));
	assert_int_equal(zone->boost, cap);
	marks_setup(f.t, f.m);
	assert_int_equal(zone->boost, 0);
	/* A small cap still lets one block through. */
	atomic_store(&f.m->sysctl.watermark_boost_factor, 100);
	assert_true(boost_once(&f, zone));
	assert_true(boost_once(&f, zone));
	assert_int_equal(zone->boost, 512);
	atomic_store(&f.m->sysctl.watermark_boost_factor, 0);
	assert_false(boost_once(&f, zone));
	assert_int_equal(zone->boost, 512);
	core_teardown(&f);
}

static void test_no_boost_of_small_zone(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 2047);
	assert_false(boost_once(&f, &f.m->nodes[0].zone[ZONE_NORMAL]));
	core_teardown(&f);
	core_setup_normal(&f, 1, 2048);
	assert_true(boost_once(&f, &f.m->nodes[0].zone[ZONE_NORMAL]));
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded_rows),
		cmocka_unit_test(test_automatic_value),
		cmocka_unit_test(test_protection_formula),
		cmocka_unit_test(test_properties),
		cmocka_unit_test(test_boot_of_m512),
		cmocka_unit_test(test_user_value_is_kept),
		cmocka_unit_test(test_protection_with_empty_zone),
		cmocka_unit_test(test_boost),
		cmocka_unit_test(test_no_boost_of_small_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
