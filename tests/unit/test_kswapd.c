/*
 * kswapd: waking, napping, sleeping, boosting, giving up; and how it keeps up with a
 * program that needs pages (core/kswapd.c).
 *
 *   full sleep ── wake (unbalanced, or boosted) ── balance ── nap 100 ms ── full sleep
 *                                                      │  woken: LOW     │ unbalanced: HIGH
 *
 * Free memory is set exactly, by taking pages away in ways that wake nobody
 * (machine_hoard), so that each rule is met on purpose.
 *
 * What must never happen here: a test that waits "long enough". Time is virtual, and
 * the moments are compared.
 */
#include "machine_fixture.h"

#include "core/kswapd.h"
#include "core/pcp.h"
#include "core/sysctl.h"

#define NAP_NS (100 * NSEC_PER_MSEC)
#define NO_REQUEST NR_ZONES

/* Lets kswapd come to rest; what was counted and traced until then is forgotten. */
static struct fixture_events *begin(struct machine_fixture *f)
{
	struct fixture_events *events = test_malloc(sizeof(*events));

	machine_settle(f);
	rt_sleep(f->t, 2 * NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 1);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), NO_REQUEST);
	assert_int_equal(event_start(f->m), 0);
	machine_take_events(f, events);
	return events;
}

struct counts {
	uint64_t runs, low, high;
};

static struct counts counts(struct machine_fixture *f)
{
	return (struct counts){
		.runs = machine_events(f, EV_PAGEOUTRUN),
		.low = machine_events(f, EV_KSWAPD_LOW_WMARK_HIT_QUICKLY),
		.high = machine_events(f, EV_KSWAPD_HIGH_WMARK_HIT_QUICKLY),
	};
}

static void assert_counts(struct machine_fixture *f, struct counts since, uint64_t runs,
			  uint64_t low, uint64_t high)
{
	struct counts now = counts(f);

	assert_int_equal(now.runs - since.runs, runs);
	assert_int_equal(now.low - since.low, low);
	assert_int_equal(now.high - since.high, high);
}

static void wake(struct machine_fixture *f, uint32_t order, uint32_t highest)
{
	kswapd_wake(f->t, f->zone, GFP_KERNEL, order, highest);
}

/* Takes pages until a little less than the mark is free. */
static void sink_below(struct machine_fixture *f, struct fixture_hoard *hoard, enum wmark mark)
{
	machine_hoard(f, hoard, zone_mark(f->zone, mark) - 1);
	vmstat_fold_all(f->t, f->m);
}

/* ---- waking ---- */

static void body_wake_rules(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;

	(void)machine_cached_file(f, 1000);
	events = begin(f);
	struct counts before = counts(f);

	/* Balanced: the request is recorded, nobody is woken. The zone is only raised. */
	wake(f, 1, ZONE_DMA32);
	assert_int_equal(atomic_load(&f->node->kswapd_order), 1);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), ZONE_DMA32);
	wake(f, 0, ZONE_NORMAL);
	wake(f, 0, ZONE_DMA);
	assert_int_equal(atomic_load(&f->node->kswapd_order), 1);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_counts(f, before, 0, 0, 0);
	/* Unbalanced, but hopeless; unbalanced, but it runs already; a zone without memory. */
	sink_below(f, &hoard, WMARK_HIGH);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	wake(f, 0, ZONE_NORMAL);
	atomic_store(&f->node->kswapd_failures, 0);
	atomic_store(&f->node->kswapd_sleeping, 0);
	wake(f, 0, ZONE_NORMAL);
	atomic_store(&f->node->kswapd_sleeping, 1);
	kswapd_wake(f->t, &f->node->zone[ZONE_DMA], GFP_KERNEL, 5, ZONE_MOVABLE);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_counts(f, before, 0, 0, 0);
	machine_take_events(f, events);
	assert_int_equal(events->nr, 0);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kswapd_order), 1);
	/* Unbalanced and sleeping: woken once, and the request is taken. */
	wake(f, 0, ZONE_NORMAL);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_MSEC);
	assert_int_equal(atomic_load(&f->node->kswapd_order), 0);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), NO_REQUEST);
	assert_int_equal(machine_events(f, EV_PAGEOUTRUN), before.runs + 1);
	machine_take_events(f, events);
	const struct event_record *wakeup = machine_event_at(events, TE_MM_VMSCAN_WAKEUP_KSWAPD, 0);

	assert_int_equal(wakeup->arg[0], 0);
	assert_int_equal(wakeup->arg[1], 0);
	assert_int_equal(wakeup->arg[2], GFP_KERNEL);
	assert_int_equal(wakeup->arg[3], ZONE_NORMAL);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_WAKEUP_KSWAPD), 1);
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 0)->arg[1], 1);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(wake_rules, 0);

/* The whole story in the trace: woken, awake, isolations, 100 ms later asleep. */
static void body_story(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;

	(void)machine_cached_file(f, 1000);
	events = begin(f);
	struct counts before = counts(f);

	sink_below(f, &hoard, WMARK_LOW);
	uint64_t start_ns = rt_now(f->t);

	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	machine_take_events(f, events);
	assert_int_equal(events->record[0].id, TE_MM_VMSCAN_WAKEUP_KSWAPD);
	assert_int_equal(events->record[1].id, TE_MM_VMSCAN_KSWAPD_WAKE);
	assert_int_equal(events->record[2].id, TE_MM_VMSCAN_LRU_ISOLATE);
	assert_string_equal(events->record[1].comm, "kswapd0");
	const struct event_record *last = &events->record[events->nr - 1];

	assert_int_equal(last->id, TE_MM_VMSCAN_KSWAPD_SLEEP);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 1);
	assert_in_range(last->time_ns - start_ns, NAP_NS, NAP_NS + 10 * NSEC_PER_MSEC);
	/* A full sleep counts neither low nor high. */
	assert_counts(f, before, 1, 0, 0);
	assert_true(machine_zone_count(f, NR_FREE_PAGES) > zone_mark(f->zone, WMARK_HIGH));
	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	/* Priority falls by one a round; the first rounds are too gentle for 1000 pages. */
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_LRU_SHRINK_INACTIVE, 0)->arg[11], 9);
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_LRU_SHRINK_INACTIVE, 1)->arg[11], 8);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), 0);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(story, 0);

/* Nothing asked: for ten seconds no counter of any CPU moves. */
static void body_idle(struct machine_fixture *f)
{
	static uint64_t before[2][NR_METER_ITEMS];

	(void)machine_cached_file(f, 1000);
	machine_fill(f, machine_region(f, 1000), 0, 1000);
	test_free(begin(f));
	event_stop(f->m);
	for (uint32_t cpu = 0; cpu < 2; cpu++)
		memcpy(before[cpu], f->m->cpus[cpu].meter, sizeof(before[cpu]));
	uint64_t clock_ns = rt_sim_cpu_clock_ns(f->rt, 1);

	rt_sleep(f->t, 10 * NSEC_PER_SEC);
	for (uint32_t cpu = 0; cpu < 2; cpu++)
		for (uint32_t i = 0; i < NR_METER_ITEMS; i++)
			if (f->m->cpus[cpu].meter[i] != before[cpu][i])
				fail_msg("item %u of CPU %u moved", i, cpu);
	assert_int_equal(rt_sim_cpu_clock_ns(f->rt, 1), clock_ns);
}

MACHINE_TEST(idle, .swap_pages = 4096);

/* ---- sleeping ---- */

/* Woken in the nap: LOW, and no full sleep in between. */
static void body_low(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;

	(void)machine_cached_file(f, 2000);
	events = begin(f);
	struct counts before = counts(f);

	for (uint32_t round = 0; round < 3; round++) {
		sink_below(f, &hoard, WMARK_LOW);
		wake(f, 0, ZONE_NORMAL);
		rt_sleep(f->t, 30 * NSEC_PER_MSEC);
		assert_counts(f, before, round + 1, round, 0);
	}
	machine_take_events(f, events);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 0);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_counts(f, before, 3, 2, 0);
	machine_take_events(f, events);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 1);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(low, 0);

/* Memory sinks during the nap without anybody asking: HIGH when the nap is over. */
static void body_high(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;

	(void)machine_cached_file(f, 2000);
	events = begin(f);
	struct counts before = counts(f);

	sink_below(f, &hoard, WMARK_LOW);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 30 * NSEC_PER_MSEC);
	assert_counts(f, before, 1, 0, 0);
	sink_below(f, &hoard, WMARK_LOW);
	rt_sleep(f->t, 60 * NSEC_PER_MSEC);
	assert_counts(f, before, 1, 0, 0);
	rt_sleep(f->t, 30 * NSEC_PER_MSEC);
	assert_counts(f, before, 2, 0, 1);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_counts(f, before, 2, 0, 1);
	machine_take_events(f, events);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 1);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(high, 0);

/* Balance after balance without a page: 16 failures, then it sleeps, and is not woken any more. */
static void body_hopeless(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;

	machine_fill(f, machine_region(f, 1000), 0, 1000); /* no swap: nothing can be reclaimed */
	events = begin(f);
	struct counts before = counts(f);

	sink_below(f, &hoard, WMARK_LOW);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), MAX_RECLAIM_RETRIES);
	/* Not balanced after each of the first 15; hopeless, so ready, after the last. */
	assert_counts(f, before, 16, 0, 15);
	machine_take_events(f, events);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_WAKE), 16);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 1);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_counts(f, before, 16, 0, 15);
	/* Whoever reclaims something gives it hope again. */
	struct fixture_file *file = machine_file(f, 40);
	struct scan_control sc = machine_scan();
	uint64_t value;

	machine_release(f, &hoard, 200);
	for (uint64_t page = 0; page < 40; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 40; page++)
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
	sc.priority = 0;
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(sc.nr_reclaimed, 32);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(hopeless, 0);

/* One good zone is enough, and the class zone's protection counts. */
static void body_balanced(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct zone *dma = &f->node->zone[ZONE_DMA];

	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	machine_hoard(f, &hoard, 10);
	vmstat_fold_all(f->t, f->m);
	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL)); /* zone DMA is good */
	assert_true(kswapd_balanced(f->node, 0, ZONE_DMA));
	atomic_store(&dma->reserve[ZONE_NORMAL], zone_managed(dma));
	marks_refresh(dma);
	assert_false(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	assert_true(kswapd_balanced(f->node, 0, ZONE_DMA));
	/* The boost is part of the mark. */
	atomic_store(&dma->boost, zone_managed(dma));
	marks_refresh(dma);
	assert_false(kswapd_balanced(f->node, 0, ZONE_DMA));
	atomic_store(&dma->boost, 0);
	marks_refresh(dma);
	/* No zone at all: nothing to do. */
	atomic_store(&dma->managed, 0);
	assert_true(kswapd_balanced(f->node, 0, ZONE_DMA));
	atomic_store(&dma->managed, dma->present);
	machine_release(f, &hoard, UINT64_MAX);
}

MACHINE_TEST(balanced, .dma_pages = 1024);

/* While it sleeps, counters are kept roughly; while it works, more exactly. */
static void body_thresholds(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;

	(void)machine_cached_file(f, 1000);
	events = begin(f);
	assert_int_not_equal(atomic_load(&f->zone->drift_mark), 0);
	int32_t normal = f->zone->threshold_normal;
	int32_t pressure = f->zone->threshold_pressure;

	assert_true(pressure < normal);
	for (uint32_t cpu = 0; cpu < 8; cpu++)
		assert_int_equal(f->zone->pcp[cpu].threshold, normal);
	sink_below(f, &hoard, WMARK_LOW);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, 50 * NSEC_PER_MSEC); /* in the nap it counts as working */
	for (uint32_t cpu = 0; cpu < 8; cpu++)
		assert_int_equal(f->zone->pcp[cpu].threshold, pressure);
	rt_sleep(f->t, NSEC_PER_SEC);
	for (uint32_t cpu = 0; cpu < 8; cpu++)
		assert_int_equal(f->zone->pcp[cpu].threshold, normal);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(thresholds, .nr_cpus = 8);

/* ---- boost ---- */

static void set_boost(struct zone *zone, uint64_t pages)
{
	atomic_store(&zone->boost, pages);
	marks_refresh(zone);
}

/* Priorities of the shrunk lists, and that no anonymous list is among them. */
static uint32_t boosted_rounds(const struct fixture_events *events, int32_t *priority,
			       uint32_t most)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < events->nr; i++) {
		const struct event_record *record = &events->record[i];

		if (record->id != TE_MM_VMSCAN_LRU_SHRINK_INACTIVE)
			continue;
		assert_int_equal(record->arg[12], RECLAIM_FLAG_FILE | RECLAIM_FLAG_ASYNC);
		assert_true(nr < most);
		priority[nr++] = (int32_t)record->arg[11];
	}
	return nr;
}

/* A boost is worked off at priorities 12, 11, 10, 10 ..., with files only, and then removed. */
static void body_boost(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 9000);
	struct fixture_events *events;
	int32_t priority[64];

	(void)machine_cached_file(f, 9000);
	machine_fill(f, region, 0, 9000);
	events = begin(f);
	machine_age(f, region, 0, 9000);
	/* A refault: without the rule for boosts, anonymous pages would be scanned, too. */
	atomic_fetch_add(&f->node->lruvec.refaults[1], 1);
	set_boost(f->zone, 64);
	wake(f, 0, ZONE_NORMAL); /* balanced, but boosted */
	rt_sleep(f->t, NSEC_PER_SEC);
	machine_take_events(f, events);
	uint32_t rounds = boosted_rounds(events, priority, 64);

	/* 9000 >> 12 = 2, 4, 8, 8 ...: 2 + 4 + 8 * 8 = 70. */
	assert_int_equal(rounds, 10);
	assert_int_equal(priority[0], 12);
	assert_int_equal(priority[1], 11);
	for (uint32_t i = 2; i < rounds; i++)
		assert_int_equal(priority[i], 10);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	assert_int_equal(machine_events(f, EV_PGSTEAL_KSWAPD), 70);
	assert_int_equal(machine_events(f, EV_PSWPOUT), 0);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
	test_free(events);
}

MACHINE_TEST(boost, .pages = 32768, .swap_pages = 8192);

/* Nothing to take for a boost: one round, a failure, and the boost is gone all the same. */
static void body_boost_nothing(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 2000);
	struct fixture_events *events;

	machine_fill(f, region, 0, 2000);
	events = begin(f);
	machine_age(f, region, 0, 2000);
	set_boost(f->zone, 64);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 1);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	assert_int_equal(machine_events(f, EV_PGSCAN_KSWAPD), 0);
	test_free(events);
}

MACHINE_TEST(boost_nothing, .swap_pages = 8192);

/* A boost on an unbalanced node: ordinary reclaim, with swap, takes over. */
static void body_boost_unbalanced(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };
	struct region *region = machine_region(f, 2000);
	struct fixture_events *events;

	machine_fill(f, region, 0, 2000);
	events = begin(f);
	machine_age(f, region, 0, 2000);
	sink_below(f, &hoard, WMARK_LOW);
	set_boost(f->zone, 64);
	wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_true(machine_events(f, EV_PSWPOUT) > 0);
	assert_int_equal(atomic_load(&f->zone->boost), 0);
	assert_int_equal(atomic_load(&f->node->kswapd_failures), 0);
	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(boost_unbalanced, .swap_pages = 8192);

/* ---- orders ---- */

/* After enough was reclaimed for the order, kswapd goes for order 0, and sleeps on that. */
static void body_order(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 1200);
	struct fixture_hoard between = { 0 };
	struct fixture_hoard hoard = { 0 };
	struct fixture_events *events;
	uint64_t value;

	/* File pages and taken ones alternate, so that freeing files makes no blocks. */
	for (uint64_t page = 0; page < 1200; page++) {
		file->mapping->readahead = UINT64_MAX;
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
		page_clear(machine_file_page(f, file, page), PG_REFERENCED);
		machine_hoard_one(f, &between);
	}
	events = begin(f);
	machine_hoard(f, &hoard, 4);
	machine_release_scattered(f, &hoard, zone_mark(f->zone, WMARK_HIGH) + 20);
	vmstat_fold_all(f->t, f->m);
	assert_true(kswapd_balanced(f->node, 0, ZONE_NORMAL));
	assert_false(kswapd_balanced(f->node, 3, ZONE_NORMAL));
	struct counts before = counts(f);

	wake(f, 3, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_counts(f, before, 1, 0, 0);
	assert_false(kswapd_balanced(f->node, 3, ZONE_NORMAL));
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 1);
	machine_take_events(f, events);
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 0)->arg[1], 3);
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_KSWAPD_SLEEP), 1);
	/* At priorities 10 to 7: 1 + 2 + 4 + 9, which is compact_gap(3). */
	assert_int_equal(machine_events(f, EV_PGSTEAL_KSWAPD), 16);
	machine_release(f, &hoard, UINT64_MAX);
	machine_release(f, &between, UINT64_MAX);
	test_free(events);
}

MACHINE_TEST(order, 0);

/* ---- keeping up ---- */

/* Writes new pages at a given pace. */
struct pace {
	struct region *region;
	uint64_t at;		/* next page */
	uint64_t failed;	/* refused for want of memory */
	uint64_t period_ns, nr; /* nr pages each period; period 0 = as fast as possible */
};

static void produce(struct machine_fixture *f, struct pace *pace, uint64_t duration_ns)
{
	uint64_t start_ns = rt_now(f->t);
	uint64_t turn = 0;

	while (rt_now(f->t) - start_ns < duration_ns) {
		for (uint64_t i = 0; i < max_u64(pace->nr, 1); i++) {
			assert_true(pace->at < pace->region->nr_pages);
			if (machine_write(f, pace->region, pace->at++, 1) != 0)
				pace->failed++;
		}
		uint64_t due_ns = start_ns + ++turn * pace->period_ns;

		if (due_ns > rt_now(f->t))
			rt_sleep(f->t, due_ns - rt_now(f->t));
	}
}

static void drop_events(struct machine_fixture *f, uint64_t *sleeps)
{
	struct event_record record;

	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++)
		while (event_take(f->m, cpu, &record))
			*sleeps += record.id == TE_MM_VMSCAN_KSWAPD_SLEEP;
}

/* => pages a second that kswapd reclaims while the program takes all it can get */
static uint64_t measure_rate(struct machine_fixture *f, struct pace *pace)
{
	produce(f, pace, 150 * NSEC_PER_MSEC); /* memory is used up, kswapd works */
	uint64_t stolen = machine_events(f, EV_PGSTEAL_KSWAPD);
	uint64_t start_ns = rt_now(f->t);

	assert_true(stolen > 0);
	produce(f, pace, 200 * NSEC_PER_MSEC);
	stolen = machine_events(f, EV_PGSTEAL_KSWAPD) - stolen;
	uint64_t rate = stolen * NSEC_PER_SEC / (rt_now(f->t) - start_ns);

	print_message("kswapd: %llu pages/s\n", (unsigned long long)rate);
	rt_sleep(f->t, NSEC_PER_SEC);
	return rate;
}

/*
 * A program that needs pages at half the rate at which kswapd reclaims never has to do it itself.
 * At twice that rate kswapd never sleeps, and no request fails.
 *
 * Between the marks there must be room for what the program takes while kswapd goes once round a
 * list of pages that all were touched since the last time (60 000 pages, 8 ms, 2000 pages at this
 * pace), and for a boost; 5 per cent of memory are enough. With the default of 0.1 per cent the
 * program has to reclaim a few times in each round, as on Linux.
 */
static void body_pace(struct machine_fixture *f)
{
	struct pace pace = { .region = machine_region(f, 900000) };
	uint64_t sleeps = 0;

	assert_int_equal(sysctl_write(f->t, f->m, "watermark_scale_factor", "500", 3), 3);
	uint64_t rate = measure_rate(f, &pace);

	/* Half. */
	uint64_t stalls = machine_stalls(f);
	uint64_t runs = machine_events(f, EV_PAGEOUTRUN);
	uint64_t stolen = machine_events(f, EV_PGSTEAL_KSWAPD);

	pace.period_ns = 100 * NSEC_PER_USEC;
	pace.nr = max_u64(rate / 2 / 10000, 1);
	produce(f, &pace, 600 * NSEC_PER_MSEC);
	assert_int_equal(machine_stalls(f), stalls);
	assert_int_equal(pace.failed, 0);
	assert_true(machine_events(f, EV_PAGEOUTRUN) > runs + 10);
	assert_true(machine_events(f, EV_PGSTEAL_KSWAPD) - stolen > rate / 2 / 2);

	/* Twice. The first moments, in which free memory is used up, do not count. */
	pace.nr = rate * 2 / 10000;
	produce(f, &pace, 20 * NSEC_PER_MSEC);
	assert_int_equal(event_start(f->m), 0);
	for (uint32_t i = 0; i < 40; i++) {
		produce(f, &pace, 10 * NSEC_PER_MSEC);
		drop_events(f, &sleeps);
	}
	event_stop(f->m);
	assert_int_equal(sleeps, 0);
	assert_int_equal(pace.failed, 0);
	assert_int_equal(atomic_load(&f->m->oom_count), 0);
}

MACHINE_TEST(pace, .pages = 65536, .swap_pages = 1000000);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wake_rules),
		cmocka_unit_test(test_story),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_low),
		cmocka_unit_test(test_high),
		cmocka_unit_test(test_hopeless),
		cmocka_unit_test(test_balanced),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_boost),
		cmocka_unit_test(test_boost_nothing),
		cmocka_unit_test(test_boost_unbalanced),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_pace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
