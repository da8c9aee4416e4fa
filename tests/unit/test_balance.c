/*
 * How much reclaim scans from which list (core/balance.c): shares, modes, counts and
 * the switches of a pass.
 *
 *   sizes, costs, marks ── balance_prepare ──> switches ── balance_scan_count ──> nr[4]
 *
 * A node made by hand is enough: every number is an input here, so each rule can be
 * put on both sides of its boundary. Worked examples are those of the specification
 * and of recorded kernels (a list of 41 000 file pages gives 10, 20, 40 at priorities
 * 12, 11, 10).
 *
 * What must never happen here: an expectation computed by the formula under test; all
 * numbers are written out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/lru.h"
#include "core/machine.h"
#include "core/reclaim.h"

struct bench {
	struct neap_machine m;
	struct node node;
	struct scan_control sc;
	uint64_t nr[4];
	struct scan_terms terms;
};

/* Swap has room, swappiness is 60, the node is empty. */
static struct bench *bench_new(void)
{
	struct bench *b = aligned_alloc(64, round_up_u64(sizeof(*b), 64));

	assert_non_null(b);
	memset(b, 0, sizeof(*b));
	b->node.machine = &b->m;
	atomic_store(&b->m.nr_swap_free, 1000);
	atomic_store(&b->m.nr_swap_total, 1000);
	atomic_store(&b->m.sysctl.swappiness, 60);
	b->sc = (struct scan_control){ .may_swap = true,
				       .priority = DEF_PRIORITY,
				       .reclaim_idx = ZONE_MOVABLE };
	return b;
}

/* Also sets the node's counters. */
static void set_size(struct bench *b, enum lru_list list, uint64_t pages)
{
	atomic_store(&b->node.lruvec.size[list][ZONE_NORMAL], pages);
	atomic_store(&b->node.stat[NR_INACTIVE_ANON + (int)list], (int64_t)pages);
}

static void set_sizes(struct bench *b, uint64_t ia, uint64_t aa, uint64_t in, uint64_t af)
{
	set_size(b, LRU_INACTIVE_ANON, ia);
	set_size(b, LRU_ACTIVE_ANON, aa);
	set_size(b, LRU_INACTIVE_FILE, in);
	set_size(b, LRU_ACTIVE_FILE, af);
}

static void count(struct bench *b)
{
	balance_scan_count(&b->m, &b->node, &b->sc, b->nr, &b->terms);
}

static void assert_nr(const struct bench *b, uint64_t ia, uint64_t aa, uint64_t in, uint64_t af)
{
	assert_int_equal(b->nr[LRU_INACTIVE_ANON], ia);
	assert_int_equal(b->nr[LRU_ACTIVE_ANON], aa);
	assert_int_equal(b->nr[LRU_INACTIVE_FILE], in);
	assert_int_equal(b->nr[LRU_ACTIVE_FILE], af);
}

/* ---- shares ---- */

static void check_shares(uint64_t anon_cost, uint64_t file_cost, uint32_t swappiness,
			 const uint64_t expected[2])
{
	uint64_t anon, file;

	balance_shares(anon_cost, file_cost, swappiness, &anon, &file);
	assert_int_equal(anon, expected[0]);
	assert_int_equal(file, expected[1]);
}

static void test_shares(void **state)
{
	(void)state;
	check_shares(0, 0, 60, (const uint64_t[]){ 60, 140 });
	check_shares(100, 0, 60, (const uint64_t[]){ 89, 417 });
	check_shares(0, 100, 60, (const uint64_t[]){ 178, 209 });
	check_shares(1000, 1000, 100, (const uint64_t[]){ 199, 199 });
	check_shares(0, 0, 0, (const uint64_t[]){ 0, 200 });
	check_shares(50, 7, 0, (const uint64_t[]){ 0, 529 });
	check_shares(0, 0, 200, (const uint64_t[]){ 200, 0 });
}

/* ---- modes ---- */

static enum scan_mode mode_of(struct bench *b)
{
	count(b);
	return b->terms.mode;
}

static void test_modes(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	set_sizes(b, 4096, 4096, 4096, 4096);
	assert_int_equal(mode_of(b), SCAN_FRACT);
	b->sc.cache_trim_mode = true;
	assert_int_equal(mode_of(b), SCAN_FILE);
	b->sc.file_is_tiny = true; /* comes before the trim */
	assert_int_equal(mode_of(b), SCAN_ANON);
	b->sc.priority = 0; /* before both */
	assert_int_equal(mode_of(b), SCAN_EQUAL);
	atomic_store(&b->m.sysctl.swappiness, 0); /* priority 0 does not count with swappiness 0 */
	assert_int_equal(mode_of(b), SCAN_ANON);
	b->sc.file_is_tiny = false;
	b->sc.cache_trim_mode = false;
	assert_int_equal(mode_of(b), SCAN_FRACT);
	atomic_store(&b->m.sysctl.swappiness, 60);
	atomic_store(&b->m.nr_swap_free, 0); /* before everything */
	b->sc.file_is_tiny = true;
	assert_int_equal(mode_of(b), SCAN_FILE);
	atomic_store(&b->m.nr_swap_free, 1);
	assert_int_equal(mode_of(b), SCAN_EQUAL);
	b->sc.may_swap = false;
	assert_int_equal(mode_of(b), SCAN_FILE);
	free(b);
}

/* ---- counts ---- */

static void test_counts(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	/* 16384 >> 4 = 1024: 60 : 140 of it, rounded down. */
	set_sizes(b, 16384, 1600, 16384, 3200);
	b->sc.priority = 4;
	count(b);
	assert_nr(b, 307, 30, 716, 140);
	assert_int_equal(b->terms.size[LRU_ACTIVE_ANON], 1600);
	assert_int_equal(b->terms.anon_share, 60);
	b->sc.anon_cost = 100;
	count(b);
	assert_nr(b, 180, 17, 843, 164);
	b->sc.cache_trim_mode = true;
	count(b);
	assert_nr(b, 0, 0, 1024, 200);
	b->sc.file_is_tiny = true;
	count(b);
	assert_nr(b, 1024, 100, 0, 0);
	b->sc.priority = 0;
	count(b);
	assert_nr(b, 16384, 1600, 16384, 3200);
	/* No slot free: anonymous lists are not scanned at all. */
	atomic_store(&b->m.nr_swap_free, 0);
	count(b);
	assert_nr(b, 0, 0, 16384, 3200);
	free(b);
}

static void test_counts_zones(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	set_sizes(b, 8192, 0, 8192, 0);
	atomic_store(&b->node.lruvec.size[LRU_INACTIVE_FILE][ZONE_DMA32], 640);
	b->sc.priority = 5;
	b->sc.reclaim_idx = ZONE_DMA32;
	b->sc.cache_trim_mode = true;
	count(b);
	assert_nr(b, 0, 0, 20, 0);
	b->sc.reclaim_idx = ZONE_DMA;
	count(b);
	assert_nr(b, 0, 0, 0, 0);
	free(b);
}

/* Requests that recorded kernels made at these sizes. */
static void test_counts_recorded(void **state)
{
	static const struct {
		uint64_t pages;
		int32_t priority;
		uint64_t nr;
	} recorded[] = {
		{ 41000, 12, 10 }, { 41000, 11, 20 }, { 41000, 10, 40 }, { 41000, 9, 80 },
		{ 41000, 8, 160 }, { 7000, 12, 1 },   { 7000, 11, 3 },	 { 7000, 10, 6 },
		{ 7000, 9, 13 },   { 7000, 8, 27 },
	};
	struct bench *b = bench_new();

	(void)state;
	b->sc.cache_trim_mode = true;
	for (size_t i = 0; i < ARRAY_LEN(recorded); i++) {
		set_size(b, LRU_INACTIVE_FILE, recorded[i].pages);
		b->sc.priority = recorded[i].priority;
		count(b);
		assert_nr(b, 0, 0, recorded[i].nr, 0);
	}
	/* In a run that may not trim, swappiness 200 leaves nothing for files. */
	b->sc.cache_trim_mode = false;
	atomic_store(&b->m.sysctl.swappiness, 200);
	set_sizes(b, 41000, 0, 41000, 0);
	b->sc.priority = 10;
	count(b);
	assert_nr(b, 40, 0, 0, 0);
	free(b);
}

/* ---- switches ---- */

static void prepare(struct bench *b)
{
	balance_prepare(&b->m, &b->node, &b->sc);
}

static void test_deactivate(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	set_sizes(b, 100, 100, 100, 100);
	b->node.lruvec.anon_cost = 12;
	b->node.lruvec.file_cost = 34;
	prepare(b);
	assert_int_equal(b->sc.anon_cost, 12);
	assert_int_equal(b->sc.file_cost, 34);
	assert_int_equal(b->sc.may_deactivate, 0);
	set_size(b, LRU_ACTIVE_ANON, 101); /* the inactive list is too short */
	prepare(b);
	assert_int_equal(b->sc.may_deactivate, DEACTIVATE_ANON);
	set_size(b, LRU_ACTIVE_ANON, 100);
	atomic_store(&b->node.stat[WORKINGSET_ACTIVATE_FILE], 1); /* a refault since the last run */
	prepare(b);
	assert_int_equal(b->sc.may_deactivate, DEACTIVATE_FILE);
	atomic_store(&b->node.stat[WORKINGSET_ACTIVATE_ANON], 1);
	prepare(b);
	assert_int_equal(b->sc.may_deactivate, DEACTIVATE_FILE | DEACTIVATE_ANON);
	reclaim_snapshot_refaults(&b->node);
	prepare(b);
	assert_int_equal(b->sc.may_deactivate, 0);
	b->sc.force_deactivate = true;
	prepare(b);
	assert_int_equal(b->sc.may_deactivate, DEACTIVATE_FILE | DEACTIVATE_ANON);
	free(b);
}

static void test_cache_trim(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	set_size(b, LRU_INACTIVE_FILE, 4095);
	prepare(b);
	assert_false(b->sc.cache_trim_mode);
	set_size(b, LRU_INACTIVE_FILE, 4096);
	prepare(b);
	assert_true(b->sc.cache_trim_mode);
	set_size(b, LRU_ACTIVE_FILE, 4097); /* active files may be aged: no trim */
	prepare(b);
	assert_false(b->sc.cache_trim_mode);
	set_size(b, LRU_ACTIVE_FILE, 0);
	set_size(b, LRU_INACTIVE_FILE, 3);
	b->sc.priority = 1;
	prepare(b);
	assert_true(b->sc.cache_trim_mode);
	free(b);
}

/* A zone with a high mark of `high` pages and `free_pages` free. */
static void set_zone(struct bench *b, enum zone_type type, uint64_t high, uint64_t free_pages)
{
	struct zone *zone = &b->node.zone[type];

	atomic_store(&zone->managed, 1000);
	atomic_store(&zone->mark[WMARK_HIGH], high);
	atomic_store(&zone->stat[NR_FREE_PAGES], (int64_t)free_pages);
}

static void test_file_is_tiny(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	set_zone(b, ZONE_DMA32, 300, 100);
	set_zone(b, ZONE_NORMAL, 700, 400);
	set_sizes(b, 4096, 0, 200, 300);
	prepare(b);
	assert_true(b->sc.file_is_tiny); /* 500 file + 500 free <= 1000 */
	atomic_store(&b->node.zone[ZONE_NORMAL].stat[NR_FREE_PAGES], 401);
	prepare(b);
	assert_false(b->sc.file_is_tiny);
	atomic_store(&b->node.zone[ZONE_NORMAL].boost, 1); /* the mark includes the boost */
	prepare(b);
	assert_true(b->sc.file_is_tiny);
	set_size(b, LRU_ACTIVE_ANON, 4097); /* anonymous pages may be aged */
	prepare(b);
	assert_false(b->sc.file_is_tiny);
	set_size(b, LRU_ACTIVE_ANON, 0);
	set_size(b, LRU_INACTIVE_ANON, 4095); /* too few to find one at this priority */
	prepare(b);
	assert_false(b->sc.file_is_tiny);
	b->sc.priority = 11;
	prepare(b);
	assert_true(b->sc.file_is_tiny);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_counts),		cmocka_unit_test(test_counts_zones),
		cmocka_unit_test(test_counts_recorded), cmocka_unit_test(test_deactivate),
		cmocka_unit_test(test_cache_trim),	cmocka_unit_test(test_file_is_tiny),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
