/*
 * The rules of waking kswapd, of its trace, and what holds at all times (docs/rules.md). Sections 7
 * and 8 and the invariants.
 *
 *   zone without memory ─> nothing            request noted ─┬─ it runs: no more
 *                                                            ├─ hopeless, or good: no wake-up
 *                                                            └─ wake it, and say so
 *
 * The invariants are looked at from inside, at each event of a random load with thefts,
 * orders, two nodes and swap.
 *
 * What must never happen here: a random test without its seed printed.
 */
#include "rules_fixture.h"

#include "base/rng.h"
#include "core/kswapd.h"

/* ---- 7: waking ---- */

static void assert_request(struct machine_fixture *f, uint32_t order, uint32_t zone)
{
	assert_int_equal(atomic_load(&f->node->kswapd_order), order);
	assert_int_equal(atomic_load(&f->node->kswapd_highest_zone), zone);
}

static void body_rule_12_7_1_zone_without_memory(struct machine_fixture *f)
{
	rules_rest(f);
	kswapd_wake(f->t, &f->node->zone[ZONE_DMA], GFP_KERNEL, 3, ZONE_MOVABLE);
	assert_request(f, 0, RULES_NO_REQUEST);
}
RULE(rule_12_7_1_zone_without_memory, 0);

/* A node that the waker's memory may not come from is none of its business. */
static void body_rule_12_7_1_cpuset_forbids(struct machine_fixture *f)
{
	rules_rest(f);
	f->t->flags |= PF_CPUSET;
	f->t->mems = 2;
	kswapd_wake(f->t, f->zone, GFP_HIGHUSER_MOVABLE, 3, ZONE_NORMAL);
	assert_request(f, 0, RULES_NO_REQUEST);
	f->t->mems = 1;
	kswapd_wake(f->t, f->zone, GFP_HIGHUSER_MOVABLE, 3, ZONE_NORMAL);
	assert_request(f, 3, ZONE_NORMAL);
	f->t->flags &= ~PF_CPUSET;
}
RULE(rule_12_7_1_cpuset_forbids, .nr_nodes = 2);

/* Any zone replaces "no request", then only a higher one; the order only grows. */
static void body_rule_12_7_2_requests_are_raised(struct machine_fixture *f)
{
	rules_rest(f);
	rules_wake(f, 1, ZONE_DMA);
	assert_request(f, 1, ZONE_DMA);
	rules_wake(f, 0, ZONE_NORMAL);
	assert_request(f, 1, ZONE_NORMAL);
	rules_wake(f, 4, ZONE_DMA32);
	assert_request(f, 4, ZONE_NORMAL);
}
RULE(rule_12_7_2_requests_are_raised, 0);

/* It runs already: the request is noted, nothing else happens, not even for kcompactd. */
static void body_rule_12_7_3_nobody_waits(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	atomic_store(&f->node->kswapd_sleeping, 0);
	kswapd_wake(f->t, f->zone, GFP_ATOMIC, 3, ZONE_NORMAL);
	assert_request(f, 3, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kcompactd_max_order), 0);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(events->nr, 0);
	assert_nothing_moved(f, &before);
	atomic_store(&f->node->kswapd_sleeping, 1);
	test_free(events);
}
RULE(rule_12_7_3_nobody_waits, 0);

/* Hopeless: not woken. Who cannot reclaim has kcompactd do what it can; the others do it. */
static void body_rule_12_7_4_hopeless_is_not_woken(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_never_balanced(f, true);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	rules_count(f, &before);
	rules_wake(f, 3, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kcompactd_max_order), 0);
	kswapd_wake(f->t, f->zone, GFP_ATOMIC, 3, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kcompactd_max_order), 3);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_WAKEUP_KSWAPD), 0);
	assert_nothing_moved(f, &before);
	rules_never_balanced(f, false);
	test_free(events);
}
RULE(rule_12_7_4_hopeless_is_not_woken, 0);

/* Balanced: the same; unless a zone is boosted. */
static void body_rule_12_7_5_balanced_is_not_woken(struct machine_fixture *f)
{
	struct rules_counts before;

	rules_rest(f);
	rules_trace(f);
	rules_count(f, &before);
	rules_wake(f, 3, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kcompactd_max_order), 0);
	kswapd_wake(f->t, f->zone, GFP_ATOMIC, 2, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kcompactd_max_order), 2);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_nothing_moved(f, &before);
	atomic_store(&f->zone->boost, 1);
	marks_refresh(f->zone);
	rules_wake(f, 0, ZONE_DMA32); /* not boosted there: no zone with memory */
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_nothing_moved(f, &before);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_wakeup_kswapd: nid=0 order=0 gfp_flags=GFP_KERNEL");
	assert_moved(f, &before, { "pageoutrun", 1 });
	test_free(events);
}
RULE(rule_12_7_5_balanced_is_not_woken, 0);

/* What a zone looks like to a waker is decided at the high mark, whatever mark it missed itself. */
static void body_rule_12_7_6_high_mark_decides(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };

	(void)machine_cached_file(f, 1000);
	rules_rest(f);
	rules_trace(f);
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_HIGH) + 1);
	vmstat_fold_all(f->t, f->m);
	rules_wake(f, 0, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_WAKEUP_KSWAPD), 0);
	test_free(events);
	machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_HIGH));
	vmstat_fold_all(f->t, f->m);
	rules_wake(f, 0, ZONE_NORMAL);
	rules_wake(f, 0, ZONE_NORMAL); /* it is off the queue: woken once */
	rt_sleep(f->t, NSEC_PER_SEC);
	events = rules_events(f);
	assert_lines(events, "mm_vmscan_wakeup_kswapd: nid=0 order=0 gfp_flags=GFP_KERNEL");
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_WAKEUP_KSWAPD, 0)->arg[3],
			 ZONE_NORMAL);
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_7_6_high_mark_decides, 0);

static void hold_back(struct machine_fixture *f, uint32_t highest, bool on)
{
	for (uint32_t n = 0; n < f->m->nr_nodes; n++) {
		for (uint32_t z = 0; z < NR_ZONES; z++) {
			struct zone *zone = &f->m->nodes[n].zone[z];

			atomic_store(&zone->reserve[highest], on ? zone_managed(zone) : 0);
			marks_refresh(zone);
		}
	}
}

/* A request that misses all low marks wakes each node once, however many zones it has. */
static void body_rule_12_7_7_slow_path_wakes_each_node_once(struct machine_fixture *f)
{
	const struct alloc_request request = { .gfp = GFP_NOWAIT | GFP_BIT_NOWARN, .node = 1 };

	rules_rest(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	rules_trace(f);
	hold_back(f, ZONE_NORMAL, true);
	assert_int_equal(alloc_pages(f->t, &request), PFN_NONE);
	hold_back(f, ZONE_NORMAL, false);
	struct fixture_events *events = rules_events(f);
	char first[128];

	(void)snprintf(first, sizeof(first), "%s",
		       rules_line(events, TE_MM_VMSCAN_WAKEUP_KSWAPD, 0));
	/* The near one first. Woken twice it would have been told so. */
	assert_string_equal(first, "mm_vmscan_wakeup_kswapd: nid=1 order=0"
				   " gfp_flags=GFP_NOWAIT|__GFP_NOWARN");
	assert_string_equal(rules_line(events, TE_MM_VMSCAN_WAKEUP_KSWAPD, 1),
			    "mm_vmscan_wakeup_kswapd: nid=0 order=0"
			    " gfp_flags=GFP_NOWAIT|__GFP_NOWARN");
	assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_WAKEUP_KSWAPD), 2);
	test_free(events);
}
RULE(rule_12_7_7_slow_path_wakes_each_node_once, .nr_nodes = 2, .dma_pages = 1024);

/* A zone that was boosted by a theft has its kswapd woken by the next allocation from it. */
static void body_rule_12_7_8_fast_path_wakes_for_a_boost(struct machine_fixture *f)
{
	rules_rest(f);
	rules_trace(f);
	atomic_store(&f->zone->boost, 5);
	marks_refresh(f->zone);
	atomic_fetch_or(&f->zone->flags, ZONE_BOOSTED);
	uint32_t pfn = alloc_page(f->t, GFP_HIGHUSER_MOVABLE);

	assert_int_not_equal(pfn, PFN_NONE);
	assert_false(atomic_load(&f->zone->flags) & ZONE_BOOSTED);
	page_put(f->t, machine_page(f->m, pfn));
	pfn = alloc_page(f->t, GFP_HIGHUSER_MOVABLE);
	page_put(f->t, machine_page(f->m, pfn));
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_wakeup_kswapd: nid=0 order=0 gfp_flags=none");
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_WAKEUP_KSWAPD, 0)->arg[3],
			 ZONE_NORMAL);
	test_free(events);
}
RULE(rule_12_7_8_fast_path_wakes_for_a_boost, 0);

/* ---- 8: trace ---- */

/* All three events of one wake-up, in order, with the fields that are not printed. */
static void body_rule_12_8_1_trace_texts(struct machine_fixture *f)
{
	struct fixture_hoard hoard = { 0 };

	(void)machine_cached_file(f, 1000);
	rules_rest(f);
	rules_trace(f);
	rules_sink(f, &hoard, WMARK_LOW);
	kswapd_wake(f->t, f->zone, GFP_HIGHUSER_MOVABLE, 1, ZONE_NORMAL);
	rt_sleep(f->t, NSEC_PER_SEC);
	struct fixture_events *events = rules_events(f);

	assert_lines(events,
		     "mm_vmscan_wakeup_kswapd: nid=0 order=1 gfp_flags=GFP_HIGHUSER_MOVABLE",
		     "mm_vmscan_kswapd_wake: nid=0 order=1", "mm_vmscan_kswapd_sleep: nid=0");
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_WAKEUP_KSWAPD, 0)->arg[3],
			 ZONE_NORMAL);
	assert_int_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 0)->arg[2],
			 ZONE_NORMAL);
	assert_string_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_WAKE, 0)->comm, "kswapd0");
	assert_string_equal(machine_event_at(events, TE_MM_VMSCAN_KSWAPD_SLEEP, 0)->comm,
			    "kswapd0");
	machine_release(f, &hoard, UINT64_MAX);
	test_free(events);
}
RULE(rule_12_8_1_trace_texts, 0);

/* ---- invariants ---- */

/*
 * What holds of invariant 2: a request that woke nobody is kept while kswapd sleeps, and the next
 * wake-up, whoever it is of, takes it with its own.
 */
static void body_rule_12_invariant_2_kept_requests_are_taken(struct machine_fixture *f)
{
	rules_rest(f);
	rules_trace(f);
	rules_wake(f, 2, ZONE_NORMAL); /* balanced */
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_request(f, 2, ZONE_NORMAL);
	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 1);
	rules_kick(f);
	rt_sleep(f->t, NSEC_PER_SEC);
	assert_request(f, 0, RULES_NO_REQUEST);
	struct fixture_events *events = rules_events(f);

	assert_lines(events, "mm_vmscan_kswapd_wake: nid=0 order=2");
	test_free(events);
}
RULE(rule_12_invariant_2_kept_requests_are_taken, 0);

/* What is known of the run of each node's kswapd, and which law was broken first. */
static struct {
	uint64_t order;
	uint64_t quickly; /* low + high at its last wake */
	bool awake;
	uint32_t runs, rounds;
} law[2];
static const char *broken;

static uint64_t quickly(struct neap_machine *m)
{
	return machine_event(m, EV_KSWAPD_LOW_WMARK_HIT_QUICKLY) +
	       machine_event(m, EV_KSWAPD_HIGH_WMARK_HIT_QUICKLY);
}

static void require(bool holds, const char *what)
{
	if (!holds && broken == NULL)
		broken = what;
}

static void law_of_wake(struct neap_machine *m, uint32_t n, const struct event_record *record)
{
	/* The counters are of both nodes: each may have counted one attempt of its own. */
	if (m->nr_nodes == 1)
		require(quickly(m) - law[n].quickly <= 1, "7: more than one count an attempt");
	law[n].order = record->arg[1];
	law[n].quickly = quickly(m);
	law[n].awake = true;
	law[n].runs++;
}

static void law_of_shrink(const struct task *t, uint32_t n, const struct event_record *record)
{
	struct node *node = &t->machine->nodes[n];
	uint64_t priority = record->arg[11];

	require(t == node->kswapd, "1: another task in the node's run");
	require(law[n].awake, "1: a round outside a run");
	require(priority >= 1 && priority <= DEF_PRIORITY, "5: priority");
	law[n].rounds++;
}

static void probe_laws(struct task *t, const struct event_record *record)
{
	struct neap_machine *m = t->machine;

	if (!(t->flags & PF_KSWAPD))
		return;
	uint32_t n = t == m->nodes[0].kswapd ? 0 : 1;

	for (uint32_t z = 0; z < NR_ZONES; z++)
		require(atomic_load(&m->nodes[n].zone[z].boost) <=
				zone_managed(&m->nodes[n].zone[z]),
			"3: a boost below 0");
	switch (record->id) {
	case TE_MM_VMSCAN_KSWAPD_WAKE:
		law_of_wake(m, n, record);
		break;
	case TE_MM_VMSCAN_KSWAPD_SLEEP:
		if (m->nr_nodes == 1)
			require(quickly(m) == law[n].quickly || !law[n].awake,
				"7: a full sleep was counted");
		law[n].awake = false;
		break;
	case TE_MM_VMSCAN_LRU_SHRINK_INACTIVE:
		law_of_shrink(t, n, record);
		break;
	case TE_MM_VMSCAN_LRU_ISOLATE:
		require(record->arg[2] == law[n].order || record->arg[2] == 0, "6: order");
		break;
	default:
		break;
	}
}

/* Random wishes, thefts, uses and rests. */
static void load(struct machine_fixture *f, struct rng *rng)
{
	struct region *region = machine_region(f, 5000);
	struct fixture_hoard hoard = { 0 };
	uint64_t value;

	for (uint32_t i = 0; i < 4000 && broken == NULL; i++) {
		struct node *node = &f->m->nodes[rng_below(rng, f->m->nr_nodes)];
		struct zone *zone = &node->zone[ZONE_NORMAL];

		switch (rng_below(rng, 16)) {
		case 0:
			kswapd_wake(f->t, zone, GFP_KERNEL, (uint32_t)rng_below(rng, 4),
				    ZONE_NORMAL);
			break;
		case 1:
			spin_lock(f->t, &zone->lock, LOCK_ZONE);
			atomic_store(&zone->boost, rng_below(rng, 200));
			marks_refresh(zone);
			spin_unlock(f->t, &zone->lock, LOCK_ZONE);
			break;
		case 2:
			rt_sleep(f->t, rng_below(rng, 150) * NSEC_PER_MSEC);
			break;
		case 3:
			if (hoard.nr == 0)
				machine_hoard(f, &hoard, zone_mark(f->zone, WMARK_MIN));
			else
				machine_release(f, &hoard, UINT64_MAX);
			break;
		default:
			for (uint32_t k = 0; k < 40; k++)
				if (rng_below(rng, 2))
					(void)machine_write(f, region, rng_below(rng, 5000), i);
				else
					(void)machine_read(f, region, rng_below(rng, 5000), &value);
			break;
		}
	}
	machine_release(f, &hoard, UINT64_MAX);
}

static void body_rule_12_invariants(struct machine_fixture *f)
{
	struct rng rng;

	rng_seed(&rng, machine_seed());
	memset(law, 0, sizeof(law));
	broken = NULL;
	rules_set_probe(f, probe_laws);
	load(f, &rng);
	event_hook_stop(f->m);
	if (broken != NULL)
		fail_msg("invariant %s", broken);
	for (uint32_t n = 0; n < f->m->nr_nodes; n++)
		assert_true(law[n].runs > 20 && law[n].rounds > 50);
}

static void rule_12_invariants(void **state)
{
	(void)state;
	machine_run(&(struct machine_setup){ .pages = 2048, .swap_pages = 16384 },
		    body_rule_12_invariants);
	machine_run(&(struct machine_setup){ .pages = 1024, .nr_nodes = 2, .swap_pages = 16384 },
		    body_rule_12_invariants);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_12_7_1_zone_without_memory),
		cmocka_unit_test(rule_12_7_1_cpuset_forbids),
		cmocka_unit_test(rule_12_7_2_requests_are_raised),
		cmocka_unit_test(rule_12_7_3_nobody_waits),
		cmocka_unit_test(rule_12_7_4_hopeless_is_not_woken),
		cmocka_unit_test(rule_12_7_5_balanced_is_not_woken),
		cmocka_unit_test(rule_12_7_6_high_mark_decides),
		cmocka_unit_test(rule_12_7_7_slow_path_wakes_each_node_once),
		cmocka_unit_test(rule_12_7_8_fast_path_wakes_for_a_boost),
		cmocka_unit_test(rule_12_8_1_trace_texts),
		cmocka_unit_test(rule_12_invariant_2_kept_requests_are_taken),
		cmocka_unit_test(rule_12_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
