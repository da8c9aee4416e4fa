/*
 * Direct reclaim (core/direct.c): priorities, the second round with active lists, which
 * nodes are visited, throttling on the reserves, and many tasks in it at once.
 *
 *   throttle ── ok ──> priorities 12..0 until 32 pages ── nothing? ── once more, forced
 *
 * The staircase 10 + 20 + 32 = 62 pages from a list of 41 000 is what recorded kernels
 * free in each run over a file stream.
 *
 * What must never happen here: a deadlock. When all tasks wait for each other the
 * simulator stops the program and says who waits for what.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "core/direct.h"
#include "core/kswapd.h"

static struct direct_request request_of(struct machine_fixture *f, uint32_t gfp)
{
	return (struct direct_request){
		.zonelist = &f->node->fallback,
		.highest = gfp_highest_zone(gfp),
		.gfp = gfp,
	};
}

/* As the allocator calls it. */
static uint64_t direct(struct machine_fixture *f, const struct direct_request *request)
{
	f->t->flags |= PF_MEMALLOC;
	uint64_t freed = direct_reclaim(f->t, request);

	f->t->flags &= ~PF_MEMALLOC;
	return freed;
}

/* ---- priorities ---- */

static void body_staircase(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct fixture_events *events = test_malloc(sizeof(*events));

	(void)machine_cached_file(f, 42000);
	assert_int_equal(event_start(f->m), 0);
	for (uint32_t run = 0; run < 3; run++) {
		uint64_t passes = machine_events(f, EV_SIM_NODE_PASS);

		assert_int_equal(direct(f, &request), 62);
		assert_int_equal(machine_events(f, EV_SIM_NODE_PASS), passes + 3);
		machine_take_events(f, events);
		static const uint64_t wanted[3] = { 10, 20, 32 };

		assert_int_equal(machine_count_events(events, TE_MM_VMSCAN_LRU_ISOLATE), 3);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(
				machine_event_at(events, TE_MM_VMSCAN_LRU_ISOLATE, i)->arg[3],
				wanted[i]);
		assert_int_equal(events->record[0].id, TE_MM_VMSCAN_DIRECT_RECLAIM_BEGIN);
		assert_int_equal(events->record[0].arg[1], GFP_HIGHUSER_MOVABLE);
		assert_int_equal(events->record[events->nr - 1].id,
				 TE_MM_VMSCAN_DIRECT_RECLAIM_END);
		assert_int_equal(events->record[events->nr - 1].arg[0], 62);
	}
	assert_int_equal(machine_events(f, EV_ALLOCSTALL_MOVABLE), 3);
	assert_int_equal(machine_stalls(f), 3);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), 186);
	test_free(events);
}

MACHINE_TEST(staircase, .pages = 65536);

/* Which allocstall is counted follows from the request's zones. */
static void body_stall_zone(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_KERNEL);

	(void)machine_cached_file(f, 400);
	assert_int_not_equal(direct(f, &request), 0);
	assert_int_equal(machine_events(f, EV_ALLOCSTALL_NORMAL), 1);
	assert_int_equal(machine_stalls(f), 1);
}

MACHINE_TEST(stall_zone, 0);

/* Nothing can be reclaimed: 12 to 0, nothing scanned, nothing freed; one round. */
static void body_fruitless(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct region *region = machine_region(f, 500);

	machine_fill(f, region, 0, 500);
	lru_drain_all(f->t);
	assert_int_equal(direct(f, &request), 0);
	assert_int_equal(machine_stalls(f), 1);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT), 0);
	assert_int_equal(machine_events(f, EV_PGREFILL), 0);
	machine_check(f, region, 0, 500);
}

MACHINE_TEST(fruitless, 0);

/* Only the active list holds what can be freed, and it is spared at first: a second round. */
static void body_forced(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct fixture_file *file = machine_cached_file(f, 200);

	for (uint64_t page = 0; page < 90; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	lru_drain_all(f->t);
	/* Somebody uses every inactive one. */
	for (uint64_t page = 90; page < 200; page++)
		page_get(machine_file_page(f, file, page));
	assert_true(direct(f, &request) >= 32);
	assert_int_equal(machine_stalls(f), 2);
	assert_true(machine_events(f, EV_PGDEACTIVATE) >= 32);
	for (uint64_t page = 90; page < 200; page++) {
		assert_non_null(machine_file_page(f, file, page));
		page_put(f->t, machine_file_page(f, file, page));
	}
}

MACHINE_TEST(forced, 0);

/* In laptop mode nothing is written until it becomes serious (priority below 10). */
static void body_laptop(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct fixture_events *events = test_malloc(sizeof(*events));
	struct region *region = machine_region(f, 3000);

	machine_fill(f, region, 0, 3000);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 3000);
	atomic_store(&f->m->sysctl.laptop_mode, 1);
	assert_int_equal(event_start(f->m), 0);
	assert_int_not_equal(direct(f, &request), 0);
	event_stop(f->m);
	machine_take_events(f, events);
	const struct event_record *write = machine_event_at(events, TE_MM_VMSCAN_WRITE_FOLIO, 0);
	int64_t priority = -1;

	for (const struct event_record *r = write; r < &events->record[events->nr]; r++) {
		if (r->id != TE_MM_VMSCAN_LRU_SHRINK_INACTIVE)
			continue;
		priority = (int64_t)r->arg[11];
		break;
	}
	assert_int_equal(priority, 8); /* allowed after the round at 9 began without it */
	test_free(events);
	machine_check(f, region, 0, 3000);
}

MACHINE_TEST(laptop, .swap_pages = 8192);

/* ---- nodes ---- */

static void body_nodes(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	const uint64_t second = 2;
	struct region *a =
		machine_region_spec(f, &(struct region_spec){ .nr_pages = 3000, .node = 1 });
	struct region *b =
		machine_region_spec(f, &(struct region_spec){ .nr_pages = 3000, .node = 2 });

	machine_fill(f, a, 0, 3000);
	machine_fill(f, b, 0, 3000);
	lru_drain_all(f->t);
	machine_age(f, a, 0, 3000);
	machine_age(f, b, 0, 3000);
	request.nodemask = &second;
	assert_int_not_equal(direct(f, &request), 0);
	machine_settle(f);
	assert_int_equal(node_stat_exact(f->node, NR_VMSCAN_WRITE), 0);
	assert_true(lruvec_size(&f->m->nodes[1].lruvec, LRU_INACTIVE_ANON, NR_ZONES - 1) < 3000);
	/* Without a mask both are visited at each priority. */
	uint64_t left = lruvec_size(&f->m->nodes[1].lruvec, LRU_INACTIVE_ANON, NR_ZONES - 1);

	request.nodemask = NULL;
	assert_int_not_equal(direct(f, &request), 0);
	machine_settle(f);
	assert_true(node_stat_exact(f->node, NR_VMSCAN_WRITE) > 0);
	assert_true(lruvec_size(&f->m->nodes[1].lruvec, LRU_INACTIVE_ANON, NR_ZONES - 1) < left);
	machine_check(f, a, 0, 3000);
	machine_check(f, b, 0, 3000);
}

MACHINE_TEST(nodes, .nr_nodes = 2, .pages = 8192, .swap_pages = 16384);

/* ---- throttling on the reserves ---- */

/* Enough is free: nobody is held. */
static void body_not_throttled(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct fixture_hoard hoard = { 0 };
	uint64_t min = zone_mark(f->zone, WMARK_MIN);

	(void)machine_cached_file(f, 400);
	machine_hoard(f, &hoard, min / 2 + 8);
	vmstat_fold_all(f->t, f->m);
	assert_true(kswapd_reserves_ok(f->t, f->node));
	(void)direct(f, &request);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT_THROTTLE), 0);
	machine_release(f, &hoard, UINT64_MAX);
}

MACHINE_TEST(not_throttled, 0);

/* Too little is free: held until kswapd, which is woken for it, has made room. */
static void body_throttled(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct fixture_hoard hoard = { 0 };
	uint64_t min = zone_mark(f->zone, WMARK_MIN);

	(void)machine_cached_file(f, 1000);
	machine_settle(f);
	rt_sleep(f->t, NSEC_PER_SEC); /* kswapd sleeps */
	uint64_t runs = machine_events(f, EV_PAGEOUTRUN);

	machine_hoard(f, &hoard, min / 4);
	vmstat_fold_all(f->t, f->m);
	uint64_t stolen = machine_events(f, EV_PGSTEAL_KSWAPD);

	assert_int_equal(atomic_load(&f->node->kswapd_sleeping), 1);
	(void)direct(f, &request);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT_THROTTLE), 1);
	assert_true(machine_events(f, EV_PAGEOUTRUN) > runs);
	assert_true(machine_events(f, EV_PGSTEAL_KSWAPD) > stolen);
	assert_true(machine_zone_count(f, NR_FREE_PAGES) > min / 2);
	/* Those who work for the engine, or are asked to end, are never held. */
	machine_hoard(f, &hoard, min / 4);
	vmstat_fold_all(f->t, f->m);
	f->t->flags |= PF_KTHREAD;
	(void)direct(f, &request);
	f->t->flags &= ~PF_KTHREAD;
	f->t->flags |= PF_EXITING;
	(void)direct(f, &request);
	f->t->flags &= ~PF_EXITING;
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT_THROTTLE), 1);
	machine_release(f, &hoard, UINT64_MAX);
}

MACHINE_TEST(throttled, 0);

/* A hopeless node holds nobody: kswapd cannot help there. */
static void body_hopeless(struct machine_fixture *f)
{
	struct direct_request request = request_of(f, GFP_HIGHUSER_MOVABLE);
	struct fixture_hoard hoard = { 0 };

	machine_fill(f, machine_region(f, 100), 0, 100);
	atomic_store(&f->node->kswapd_failures, MAX_RECLAIM_RETRIES);
	machine_hoard(f, &hoard, 8);
	vmstat_fold_all(f->t, f->m);
	uint64_t start_ns = rt_now(f->t);

	assert_int_equal(direct(f, &request), 0);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT_THROTTLE), 0);
	assert_true(rt_now(f->t) - start_ns < NSEC_PER_MSEC);
	machine_release(f, &hoard, UINT64_MAX);
}

MACHINE_TEST(hopeless, 0);

/* ---- many at once ---- */

struct producer {
	struct region *region;
	int err;
	uint32_t refused; /* accesses that failed for want of memory, and were tried again */
};

/* A program that waits when it is told that there is no memory. */
static int patient_write(struct task *t, struct producer *p, uint64_t page, uint64_t value)
{
	int err = task_write(t, p->region, page, value);

	for (uint32_t i = 0; i < 100 && err == -ENOMEM; i++) {
		p->refused++;
		rt_sleep(t, 20 * NSEC_PER_MSEC);
		err = task_write(t, p->region, page, value);
	}
	return err;
}

static int patient_read(struct task *t, struct producer *p, uint64_t page, uint64_t *value)
{
	int err = task_read(t, p->region, page, value);

	for (uint32_t i = 0; i < 100 && err == -ENOMEM; i++) {
		p->refused++;
		rt_sleep(t, 20 * NSEC_PER_MSEC);
		err = task_read(t, p->region, page, value);
	}
	return err;
}

/* Writes everything twice and checks it. */
static int produce(struct task *t, void *arg)
{
	struct producer *p = arg;
	uint64_t nr = p->region->nr_pages;

	for (uint64_t version = 0; version < 2; version++) {
		for (uint64_t page = 0; page < nr && p->err == 0; page++)
			p->err = patient_write(t, p, page, version << 32 | page);
		for (uint64_t page = 0; page < nr && p->err == 0; page++) {
			uint64_t value = 0;

			p->err = patient_read(t, p, page, &value);
			if (p->err == 0 && value != (version << 32 | page))
				p->err = -EILSEQ;
		}
	}
	return 0;
}

/* => accesses refused for want of memory */
static uint32_t run_producers(struct machine_fixture *f, uint32_t nr, uint64_t pages)
{
	struct producer producer[8] = { 0 };
	struct task *task[8];
	uint32_t refused = 0;

	for (uint32_t i = 0; i < nr; i++) {
		const struct task_spec spec = { .name = "producer",
						.fn = produce,
						.arg = &producer[i] };

		producer[i].region = machine_region(f, pages);
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < nr; i++) {
		(void)rt_join(f->t, task[i]);
		assert_int_equal(producer[i].err, 0);
		refused += producer[i].refused;
	}
	return refused;
}

/* Every CPU is in direct reclaim, most of the time waiting, while kswapd waits for the disk. */
static void body_all_blocked(struct machine_fixture *f)
{
	assert_int_equal(run_producers(f, 8, 300), 0);
	assert_true(machine_stalls(f) > 8);
	assert_int_equal(atomic_load(&f->m->oom_count), 0);
}

MACHINE_TEST(all_blocked, .pages = 1024, .nr_cpus = 4, .swap_pages = 8192,
	     .swap = { .latency_ns = 500000, .depth = 1 });

/*
 * A disk so slow (100 requests a second) that sixteen rounds of reclaim may pass without a page:
 * then requests fail, as they should, but everything still ends and nothing is lost.
 */
static void body_very_slow(struct machine_fixture *f)
{
	(void)run_producers(f, 8, 300);
	assert_true(machine_stalls(f) > 8);
}

MACHINE_TEST(very_slow, .pages = 1024, .nr_cpus = 4, .swap_pages = 8192,
	     .swap = { .latency_ns = 10000000, .depth = 1 });

/* The same with one CPU, where kswapd and all others share it. */
static void body_one_cpu(struct machine_fixture *f)
{
	(void)run_producers(f, 4, 500);
}

MACHINE_TEST(one_cpu, .pages = 1024, .nr_cpus = 1, .swap_pages = 8192,
	     .swap = { .latency_ns = 5000000, .depth = 1 });

/* Files and anonymous memory, two nodes, a disk with seeks for swap. */
static void body_mixed(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 1500);
	struct producer producer[2] = { 0 };
	struct task *task[2];

	for (uint32_t i = 0; i < 2; i++) {
		const struct task_spec spec = { .name = "producer",
						.fn = produce,
						.arg = &producer[i] };

		producer[i].region = machine_region(f, 900);
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t page = 0; page < 1500; page++)
			assert_int_equal(machine_file_write(f, file, page,
							    machine_file_value(page, round)),
					 0);
	}
	for (uint32_t i = 0; i < 2; i++) {
		(void)rt_join(f->t, task[i]);
		assert_int_equal(producer[i].err, 0);
	}
	assert_int_equal(machine_file_end(f, file), 0);
	for (uint64_t page = 0; page < 1500; page++)
		assert_int_equal(machine_file_stored(file, page), machine_file_value(page, 2));
}

MACHINE_TEST(mixed, .pages = 1024, .nr_nodes = 2, .nr_cpus = 4, .swap_pages = 8192,
	     .swap_rotational = true, .swap = { .latency_ns = 200000, .seek_ns = 2000000 },
	     .disk = { .latency_ns = 1000000, .depth = 2 });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_staircase),     cmocka_unit_test(test_stall_zone),
		cmocka_unit_test(test_fruitless),     cmocka_unit_test(test_forced),
		cmocka_unit_test(test_laptop),	      cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_not_throttled), cmocka_unit_test(test_throttled),
		cmocka_unit_test(test_hopeless),      cmocka_unit_test(test_all_blocked),
		cmocka_unit_test(test_one_cpu),	      cmocka_unit_test(test_very_slow),
		cmocka_unit_test(test_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
