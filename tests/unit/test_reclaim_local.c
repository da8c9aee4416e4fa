/*
 * Tests of core/reclaim_local.c: a near node gives its page cache up before a far one is used, as
 * far as vm.zone_reclaim_mode allows; and the NUMA counters of both ways.
 */
#include "machine_fixture.h"

#include "core/reclaim_local.h"
#include "core/sysctl.h"

#define NODE_PAGES 2048u
#define TAKEN 200u

static void set_mode(struct machine_fixture *f, int32_t mode)
{
	char text[8];

	snprintf(text, sizeof(text), "%d", mode);
	assert_true(sysctl_write(f->t, f->m, "zone_reclaim_mode", text, strlen(text)) > 0);
}

/* Fills node 0 with clean cache, down to its low mark: the next pages come from node 1. */
static struct fixture_file *fill_cache(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, NODE_PAGES);
	uint64_t value;

	for (uint64_t page = 0; zone_numa(&f->m->nodes[1].zone[ZONE_NORMAL], NUMA_MISS) == 0;
	     page++) {
		assert_true(page < NODE_PAGES);
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	}
	machine_settle(f);
	return file;
}

/* TAKEN pages that prefer node 0. => how many came from there */
static uint32_t take(struct machine_fixture *f, struct list *taken)
{
	const struct alloc_request request = { .gfp = GFP_HIGHUSER_MOVABLE, .node = 0 };
	uint32_t near = 0;

	for (uint32_t i = 0; i < TAKEN; i++) {
		uint32_t pfn = alloc_pages(f->t, &request);

		assert_int_not_equal(pfn, PFN_NONE);
		near += page_node_id(&f->m->pages[pfn]) == 0 ? 1 : 0;
		page_set(&f->m->pages[pfn], PG_KERNEL);
		list_add_tail(f->m->pages, taken, pfn);
	}
	return near;
}

static void give_back(struct machine_fixture *f, struct list *taken)
{
	uint32_t pfn;

	while ((pfn = list_pop(f->m->pages, taken)) != PFN_NONE) {
		page_clear(&f->m->pages[pfn], PG_KERNEL);
		page_put(f->t, &f->m->pages[pfn]);
	}
}

static void body_modes(struct machine_fixture *f)
{
	struct list taken = { PFN_NONE, PFN_NONE };
	const struct zone *near = &f->m->nodes[0].zone[ZONE_NORMAL];
	const struct zone *far = &f->m->nodes[1].zone[ZONE_NORMAL];

	fill_cache(f);
	uint64_t stolen = machine_events(f, EV_PGSTEAL_DIRECT);
	uint64_t hit = zone_numa(near, NUMA_HIT), miss = zone_numa(far, NUMA_MISS);
	uint64_t foreign = zone_numa(near, NUMA_FOREIGN), local = zone_numa(near, NUMA_LOCAL);
	uint64_t other = zone_numa(far, NUMA_OTHER);

	/* Off: near pages as far as kswapd frees some, and nothing is reclaimed by the requests. */
	uint32_t got = take(f, &taken);

	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), stolen);
	assert_int_equal(zone_numa(near, NUMA_HIT), hit + got);
	assert_int_equal(zone_numa(far, NUMA_MISS), miss + TAKEN - got);
	assert_int_equal(zone_numa(near, NUMA_FOREIGN), foreign + TAKEN - got);
	assert_int_equal(zone_numa(near, NUMA_LOCAL), local + got);
	assert_int_equal(zone_numa(far, NUMA_OTHER), other + TAKEN - got);
	/* On: near pages, reclaimed at least 32 at a time, without a stall. */
	set_mode(f, ZONE_RECLAIM_ON);
	hit = zone_numa(near, NUMA_HIT);
	uint32_t rounds = 0;

	/* First what kswapd has freed meanwhile. */
	for (got = 0; machine_events(f, EV_PGSTEAL_DIRECT) == stolen; rounds++) {
		assert_true(rounds < 6);
		got += take(f, &taken);
	}
	/* What was freed waits on the CPU's list, so a few of the tests still fail. */
	assert_true(got >= rounds * TAKEN - SWAP_CLUSTER_MAX);
	assert_true(machine_events(f, EV_PGSTEAL_DIRECT) >= stolen + SWAP_CLUSTER_MAX);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT) % SWAP_CLUSTER_MAX,
			 stolen % SWAP_CLUSTER_MAX);
	assert_int_equal(machine_stalls(f), 0);
	assert_int_equal(machine_events(f, EV_ZONE_RECLAIM_FAILED), 0);
	assert_int_equal(zone_numa(near, NUMA_HIT), hit + got);
	give_back(f, &taken);
}
MACHINE_TEST(modes, .pages = NODE_PAGES, .nr_nodes = 2, .nr_cpus = 2);

/* Takes pages of node 0 until one had to be reclaimed. => what its first isolation said */
static uint64_t isolate_mode(struct machine_fixture *f, struct list *taken)
{
	struct fixture_events *events = test_malloc(sizeof(*events));
	uint64_t stolen = machine_events(f, EV_PGSTEAL_DIRECT);
	uint64_t mode = UINT64_MAX;
	bool inside = false;

	assert_int_equal(event_start(f->m), 0);
	for (uint32_t round = 0; machine_events(f, EV_PGSTEAL_DIRECT) == stolen; round++) {
		assert_true(round < 6);
		(void)take(f, taken);
	}
	machine_take_events(f, events);
	for (uint32_t i = 0; i < events->nr && mode == UINT64_MAX; i++) {
		inside = inside || events->record[i].id == TE_MM_VMSCAN_NODE_RECLAIM_BEGIN;
		if (inside && events->record[i].id == TE_MM_VMSCAN_LRU_ISOLATE)
			mode = events->record[i].arg[0];
	}
	event_stop(f->m);
	test_free(events);
	return mode;
}

/* A scan that may not unmap says so: 2, as recorded at zone_reclaim_mode 1; with bit 4 it is 0. */
static void body_isolate_mode(struct machine_fixture *f)
{
	struct list taken = { PFN_NONE, PFN_NONE };

	fill_cache(f);
	set_mode(f, ZONE_RECLAIM_ON);
	assert_int_equal(isolate_mode(f, &taken), 2);
	set_mode(f, ZONE_RECLAIM_UNMAP);
	assert_int_equal(isolate_mode(f, &taken), 0);
	give_back(f, &taken);
}
MACHINE_TEST(isolate_mode, .pages = NODE_PAGES, .nr_nodes = 2, .nr_cpus = 2);

/* What a node lets go, by the mode. */
static void body_cache(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 400);
	uint64_t value;

	for (uint64_t page = 0; page < 300; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	for (uint64_t page = 0; page < 40; page++)
		assert_int_equal(machine_file_write(f, file, page, 7), 0);
	machine_settle(f);
	uint64_t file_pages = node_stat(f->node, NR_FILE_PAGES);
	uint64_t dirty = node_stat(f->node, NR_DIRTY);

	assert_true(dirty > 0 && file_pages >= 300);
	set_mode(f, ZONE_RECLAIM_ON);
	assert_int_equal(reclaim_local_cache_pages(f->node), file_pages - dirty);
	set_mode(f, ZONE_RECLAIM_ON | ZONE_RECLAIM_WRITE);
	assert_int_equal(reclaim_local_cache_pages(f->node), file_pages);
	set_mode(f, ZONE_RECLAIM_UNMAP | ZONE_RECLAIM_WRITE);
	assert_int_equal(reclaim_local_cache_pages(f->node), file_pages);
}
MACHINE_TEST(cache, .pages = NODE_PAGES, .nr_nodes = 2, .nr_cpus = 2);

/* Who does not scan: nothing to gain, may not sleep, is reclaiming, another is at it, too far. */
static void body_refusals(struct machine_fixture *f)
{
	struct alloc_context ac = {
		.gfp = GFP_HIGHUSER_MOVABLE,
		.highest = ZONE_MOVABLE,
		.type = MT_MOVABLE,
		.preferred = f->node->fallback.first[ZONE_MOVABLE],
	};
	const struct zone *near = f->zone;
	const struct zone *far = &f->m->nodes[1].zone[ZONE_NORMAL];

	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_OFF);
	set_mode(f, ZONE_RECLAIM_ON);
	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_FULL);
	set_mode(f, 0);
	fill_cache(f);
	set_mode(f, ZONE_RECLAIM_ON);
	ac.gfp = GFP_NOWAIT;
	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_NOSCAN);
	ac.gfp = GFP_KERNEL;
	f->t->flags |= PF_MEMALLOC;
	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_NOSCAN);
	f->t->flags &= ~PF_MEMALLOC;
	atomic_fetch_or(&f->node->flags, NODE_FLAG_RECLAIM_LOCKED);
	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_NOSCAN);
	atomic_fetch_and(&f->node->flags, ~NODE_FLAG_RECLAIM_LOCKED);
	/* A node with CPUs of its own is left to them. */
	atomic_store(&f->m->nodes[1].min_unmapped_pages, 0);
	assert_int_equal(reclaim_local_try(f->t, &ac, far), RECLAIM_LOCAL_NOSCAN);
	f->node->distance[0] = 31;
	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_OFF);
	f->node->distance[0] = 10;
	assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_ENOUGH);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), SWAP_CLUSTER_MAX);
	/* More than there is: counted as failed. */
	atomic_store(&f->node->min_unmapped_pages, 0);
	while (machine_list_size(f, LRU_INACTIVE_FILE) + machine_list_size(f, LRU_ACTIVE_FILE) >=
	       1u << NEAP_MAX_ORDER)
		assert_int_equal(reclaim_local_try(f->t, &ac, near), RECLAIM_LOCAL_ENOUGH);
	uint64_t failed = machine_events(f, EV_ZONE_RECLAIM_FAILED);

	ac.order = NEAP_MAX_ORDER;
	enum reclaim_local result = reclaim_local_try(f->t, &ac, near);

	assert_int_equal(result, RECLAIM_LOCAL_SOME);
	assert_int_equal(machine_events(f, EV_ZONE_RECLAIM_FAILED), failed + 1);
}
MACHINE_TEST(refusals, .pages = NODE_PAGES, .nr_nodes = 2, .nr_cpus = 2);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_isolate_mode),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
