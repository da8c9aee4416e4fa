/*
 * kcompactd: requests, their merging, deferral, and the clock.
 *
 *   kcompactd_wake() ── noted ── suitable? ── woken ── zones ── request cleared
 *
 * What must never happen here: a test that depends on how fast the thread is. Each waits
 * for what it expects, with virtual time as the limit.
 */
#include "zone_picture.h"

#include "core/compact.h"
#include "core/kcompactd.h"
#include "core/kswapd.h"

#define TICK_NS (500 * NSEC_PER_MSEC)

static uint32_t max_order(struct machine_fixture *f)
{
	return atomic_load(&f->node->kcompactd_max_order);
}

static uint32_t highest_zone(struct machine_fixture *f)
{
	return atomic_load(&f->node->kcompactd_highest_zone);
}

/* Events of the given kind since the last look; the others are dropped. */
static uint32_t count_new(struct machine_fixture *f, enum event_id id)
{
	struct fixture_events *events = calloc(1, sizeof(*events));

	assert_non_null(events);
	machine_take_events(f, events);
	uint32_t nr = machine_count_events(events, id);

	free(events);
	return nr;
}

/* ---- requests ---- */

static void body_merging(struct machine_fixture *f)
{
	rt_sleep(f->t, NSEC_PER_MSEC);
	/* Order 0 is no request. Nothing is fragmented: noted, but nobody is woken. */
	kcompactd_wake(f->t, f->node, 0, ZONE_DMA);
	assert_int_equal(max_order(f), 0);
	assert_int_equal(highest_zone(f), ZONE_NORMAL);
	kcompactd_wake(f->t, f->node, 3, ZONE_NORMAL);
	kcompactd_wake(f->t, f->node, 5, ZONE_MOVABLE);
	kcompactd_wake(f->t, f->node, 4, ZONE_DMA);
	rt_sleep(f->t, NSEC_PER_SEC);
	/* The greatest order, the tightest zone. */
	assert_int_equal(max_order(f), 5);
	assert_int_equal(highest_zone(f), ZONE_DMA);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), 0);
	/* Whatever wakes it, it looks at what was noted, and then it is done with it. */
	waitq_wake(f->t, &f->node->kcompactd_wait, 1);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), 1);
	assert_int_equal(max_order(f), 0);
	assert_int_equal(highest_zone(f), ZONE_NORMAL);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_MIGRATE_SCANNED), 0);
}

MACHINE_TEST(merging, .pages = 4096, .dma_pages = 64 * 512);

static void body_request(struct machine_fixture *f)
{
	struct picture picture;
	char after[4 * PICTURE_BLOCKS_MAX];

	picture_build(&picture, f, "64o");
	rt_sleep(f->t, NSEC_PER_MSEC);
	assert_int_equal(event_start(f->m), 0);
	kcompactd_wake(f->t, f->node, 9, ZONE_DMA);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(count_new(f, TE_MM_COMPACTION_WAKEUP_KCOMPACTD), 1);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), 1);
	assert_int_equal(machine_events(f, EV_PGMIGRATE_SUCCESS) - picture.nr_pages, 256);
	/* What the daemon scanned is what was scanned, and nobody stalled. */
	assert_true(machine_events(f, EV_COMPACT_DAEMON_MIGRATE_SCANNED) >= 512);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_MIGRATE_SCANNED),
			 machine_events(f, EV_COMPACT_MIGRATE_SCANNED));
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_FREE_SCANNED),
			 machine_events(f, EV_COMPACT_FREE_SCANNED));
	assert_int_equal(machine_events(f, EV_COMPACT_STALL), 0);
	assert_int_equal(max_order(f), 0);
	assert_int_equal(atomic_load(&picture.zone->compact_order_failed), 10);
	machine_settle(f);
	picture_draw(&picture, after);
	assert_int_equal(after[0], '.');
	/* The block is there: the next request is noted, and the node does not suit. */
	kcompactd_wake(f->t, f->node, 9, ZONE_DMA);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), 1);
	assert_int_equal(max_order(f), 9);
	picture_end(&picture);
}

MACHINE_TEST(request, .pages = 4096, .dma_pages = 64 * 512);

static void body_failing(struct machine_fixture *f)
{
	struct picture picture;

	/* A kernel's page in each block: no run can succeed. */
	picture_build(&picture, f, "64x");
	rt_sleep(f->t, NSEC_PER_MSEC);
	for (uint32_t i = 1; i <= 2; i++) {
		kcompactd_wake(f->t, f->node, 9, ZONE_DMA);
		rt_sleep(f->t, 100 * NSEC_PER_MSEC);
		assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), i);
	}
	/* The first failure's shift of 1 turned the second request away. */
	assert_int_equal(atomic_load(&picture.zone->compact_defer_shift), 1);
	assert_int_equal(atomic_load(&picture.zone->compact_considered), 1);
	assert_int_equal(max_order(f), 0);
	kcompactd_wake(f->t, f->node, 9, ZONE_DMA);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&picture.zone->compact_defer_shift), 2);
	picture_end(&picture);
}

MACHINE_TEST(failing, .pages = 4096, .dma_pages = 64 * 512);

/* ---- the clock ---- */

static void body_clock(struct machine_fixture *f)
{
	struct picture picture;
	struct fixture_events *events = calloc(1, sizeof(*events));

	assert_non_null(events);
	picture_build(&picture, f, "64o");
	uint64_t fill_ns = rt_now(f->t);

	assert_true(fill_ns < TICK_NS); /* else a turn has passed already */
	assert_int_equal(event_start(f->m), 0);
	rt_sleep(f->t, 4 * TICK_NS);
	machine_take_events(f, events);
	/* One run, at the first turn: a zone with order -1 from its start. */
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) > picture.nr_pages);
	assert_true(compact_suit_zone_score(picture.zone) <= compact_suit_score_low(f->m));
	assert_int_equal(machine_event_at(events, TE_MM_COMPACTION_BEGIN, 0)->arg[1],
			 picture.zone->start_pfn);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), 0);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_MIGRATE_SCANNED), 0);
	/* Then every half second a look, and nothing to do. */
	assert_in_range(machine_count_events(events, TE_MM_COMPACTION_KCOMPACTD_SLEEP), 3, 5);
	uint64_t moved = machine_events(f, EV_PGMIGRATE_SUCCESS);

	rt_sleep(f->t, 10 * TICK_NS);
	assert_int_equal(machine_events(f, EV_PGMIGRATE_SUCCESS), moved);
	free(events);
	picture_end(&picture);
}

MACHINE_TEST(clock, .pages = 2560, .dma_pages = 64 * 512, .proactiveness = 20);

/* When the n-th look by the clock ended: the sleep after it begins there. */
static uint64_t turn_ns(const struct fixture_events *events, uint32_t n)
{
	return machine_event_at(events, TE_MM_COMPACTION_KCOMPACTD_SLEEP, n)->time_ns;
}

/* What a machine at rest does for so many turns. => the caller's */
static struct fixture_events *events_of_turns(struct machine_fixture *f, uint32_t turns)
{
	struct fixture_events *events = calloc(1, sizeof(*events));

	assert_non_null(events);
	assert_int_equal(event_start(f->m), 0);
	rt_sleep(f->t, turns * TICK_NS);
	machine_take_events(f, events);
	return events;
}

/* A sleep of half a second ends at a slot of the wheel of timers: 128 ticks, not 125. */
static void body_turns_are_512_ms_apart(struct machine_fixture *f)
{
	struct fixture_events *events = events_of_turns(f, 10);

	for (uint32_t n = 2; n <= 9; n++)
		assert_in_range(turn_ns(events, n) - turn_ns(events, n - 1), 511 * NSEC_PER_MSEC,
				513 * NSEC_PER_MSEC);
	free(events);
}

MACHINE_TEST(turns_are_512_ms_apart, .proactiveness = 20);

static uint64_t first_turn_ns[2];

/* A machine that has run before is somewhere in a turn; where, the seed says. */
static void body_first_turn_is_drawn(struct machine_fixture *f)
{
	struct fixture_events *events = events_of_turns(f, 2);

	uint64_t first = turn_ns(events, 1) - turn_ns(events, 0);

	assert_true(first <= 533 * NSEC_PER_MSEC);
	first_turn_ns[f->setup->seed - 1] = first;
	assert_int_not_equal(first_turn_ns[0], first_turn_ns[1]);
	free(events);
}

MACHINE_TEST(first_turn_is_drawn, .proactiveness = 20, .booted = true, .seed = 1);

#define body_first_turn_of_another_seed body_first_turn_is_drawn
MACHINE_TEST(first_turn_of_another_seed, .proactiveness = 20, .booted = true, .seed = 2);

static void body_back_off(struct machine_fixture *f)
{
	struct picture picture;

	/* Nothing can be gained: after the first run there is silence for 32 s. */
	picture_build(&picture, f, "64k");
	rt_sleep(f->t, 4 * TICK_NS);
	assert_int_equal(event_start(f->m), 0);
	rt_sleep(f->t, 28 * NSEC_PER_SEC);
	assert_int_equal(count_new(f, TE_MM_COMPACTION_KCOMPACTD_SLEEP), 0);
	assert_int_equal(count_new(f, TE_MM_COMPACTION_BEGIN), 0);
	rt_sleep(f->t, 3 * NSEC_PER_SEC);
	/* The look after it begins the next silence. */
	assert_int_equal(count_new(f, TE_MM_COMPACTION_KCOMPACTD_SLEEP), 1);
	/* A write to the sysctl ends it. */
	kcompactd_trigger(f->t, f->m);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	assert_int_equal(count_new(f, TE_MM_COMPACTION_KCOMPACTD_SLEEP), 1);
	assert_int_equal(atomic_load(&f->node->kcompactd_trigger), 0);
	/* So does a request. */
	kcompactd_wake(f->t, f->node, 9, ZONE_DMA);
	rt_sleep(f->t, 10 * NSEC_PER_MSEC);
	assert_int_equal(machine_events(f, EV_COMPACT_DAEMON_WAKE), 1);
	rt_sleep(f->t, 2 * TICK_NS);
	assert_true(count_new(f, TE_MM_COMPACTION_KCOMPACTD_SLEEP) >= 2);
	picture_end(&picture);
}

MACHINE_TEST(back_off, .pages = 2560, .dma_pages = 64 * 512, .proactiveness = 20);

static void body_off(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "64o");
	rt_sleep(f->t, NSEC_PER_MSEC);
	assert_int_equal(event_start(f->m), 0);
	rt_sleep(f->t, 100 * NSEC_PER_SEC);
	assert_int_equal(count_new(f, TE_MM_COMPACTION_KCOMPACTD_SLEEP), 0);
	/* The clock starts with the first value that is not 0. */
	atomic_store(&f->m->sysctl.compaction_proactiveness, 20);
	kcompactd_trigger(f->t, f->m);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) > picture.nr_pages);
	rt_sleep(f->t, 3 * TICK_NS);
	assert_true(count_new(f, TE_MM_COMPACTION_KCOMPACTD_SLEEP) >= 3);
	picture_end(&picture);
}

MACHINE_TEST(off, .pages = 2560, .dma_pages = 64 * 512);

/* ---- who asks ---- */

/* kswapd hands over what it was asked for when it goes to sleep, and resets the hints. */
static void body_kswapd(struct machine_fixture *f)
{
	struct picture picture;

	picture_build(&picture, f, "64z"); /* reclaim alone cannot empty a block */
	rt_sleep(f->t, NSEC_PER_MSEC);
	machine_age(f, picture.region, 0, picture.nr_pages);
	atomic_store(&picture.zone->compact_blockskip_flush, 1);
	assert_int_equal(event_start(f->m), 0);
	/* It reclaims enough for compaction, goes on at order 0, and hands the 9 over. */
	atomic_store(&f->node->kswapd_order, 9);
	atomic_store(&f->node->kswapd_highest_zone, ZONE_DMA);
	waitq_wake(f->t, &f->node->kswapd_wait, 1);
	rt_sleep(f->t, 2 * NSEC_PER_SEC);
	assert_int_equal(atomic_load(&picture.zone->compact_blockskip_flush), 0);
	assert_true(machine_events(f, EV_COMPACT_DAEMON_WAKE) >= 1);
	assert_true(machine_events(f, EV_PGMIGRATE_SUCCESS) > picture.nr_pages);
	picture_end(&picture);
}

MACHINE_TEST(kswapd, .pages = 4096, .dma_pages = 64 * 512, .swap_pages = 8192);

/* A balanced node: who cannot reclaim for himself has kcompactd do it, the others do not. */
static void body_waker(struct machine_fixture *f)
{
	rt_sleep(f->t, NSEC_PER_MSEC);
	kswapd_wake(f->t, f->zone, GFP_KERNEL, 3, ZONE_NORMAL);
	assert_int_equal(max_order(f), 0);
	kswapd_wake(f->t, f->zone, GFP_ATOMIC, 3, ZONE_NORMAL);
	assert_int_equal(max_order(f), 3);
}

MACHINE_TEST(waker, .pages = 4096);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merging),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_turns_are_512_ms_apart),
		cmocka_unit_test(test_first_turn_is_drawn),
		cmocka_unit_test(test_first_turn_of_another_seed),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_kswapd),
		cmocka_unit_test(test_waker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
