/*
 * Shrinkers (core/shrinker.c): how much a cache is asked for, what is saved up, who is
 * asked when, and what counts as reclaimed; and the whole-machine shrink.
 *
 *   n objects, priority p, seeks s:  (n >> p) * 4 / s, in batches; the rest is deferred
 *
 * The cache of these tests is a number of objects that remembers each call.
 *
 * What must never happen here: a formula compared with itself. Expected numbers are
 * written out.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/direct.h"
#include "core/shrinker.h"
#include "core/slab.h"
#include "core/sysctl.h"

#define ENGINES 2u /* huge pages to be split, leaves of shadows: before those of the tests */

#define CALLS_MAX 64u
#define SLAB_OBJECTS 1024u

struct cache {
	uint64_t objects;
	uint64_t scans[CALLS_MAX]; /* nr_to_scan of each call */
	uint32_t nr_scans, nr_counts;
	uint32_t node;	   /* of the last call */
	bool stop;	   /* no progress */
	bool kept;	   /* looks at objects and gives none up */
	uint64_t pages;	   /* that each object stands for: tallied */
	uint32_t flags;	   /* of the task */
	uint32_t *order;   /* where to note the order of calls */
	uint32_t position; /* out: in that order */
};

static uint64_t cache_count(struct task *t, void *ctx, const struct shrink_request *request)
{
	struct cache *cache = ctx;

	cache->flags = t->flags;
	cache->nr_counts++;
	cache->node = request->node->id;
	if (cache->order != NULL)
		cache->position = ++*cache->order;
	return cache->objects;
}

static uint64_t cache_scan(struct task *t, void *ctx, struct shrink_request *request)
{
	struct cache *cache = ctx;
	uint64_t freed = min_u64(request->nr_to_scan, cache->objects);

	assert_int_equal(request->nr_scanned, request->nr_to_scan);
	assert_true(cache->nr_scans < CALLS_MAX);
	if (cache->stop)
		return SHRINK_STOP;
	cache->scans[cache->nr_scans++] = request->nr_to_scan;
	if (cache->kept)
		return 0;
	cache->objects -= freed;
	shrinker_tally_freed(t, freed * cache->pages);
	return freed;
}

static uint32_t add(struct machine_fixture *f, struct cache *cache, uint32_t seeks, uint32_t batch)
{
	const struct shrinker_spec spec = { .name = "test",
					    .ctx = cache,
					    .count = cache_count,
					    .scan = cache_scan,
					    .seeks = seeks,
					    .batch = batch };
	int number = shrinker_register(f->t, f->m, &spec);

	assert_true(number > 0);
	return (uint32_t)number;
}

static void drop(struct machine_fixture *f, uint32_t number)
{
	assert_int_equal(shrinker_unregister(f->t, f->m, number), 0);
}

static uint64_t shrink(struct machine_fixture *f, int32_t priority)
{
	return shrinker_shrink_node(f->t, f->node, GFP_KERNEL, priority);
}

/* ---- the formula (spec 14, A: one call, steps 2, 3 and 5) ---- */

static void test_formula(void **state)
{
	static const struct {
		uint64_t freeable, deferred;
		int32_t priority;
		uint32_t seeks;
		uint64_t delta, total, scanned, left;
	} rows[] = {
		{ 100000, 0, 12, 2, 48, 48, 0, 48 }, /* 24 * 4 / 2 */
		{ 100000, 0, 0, 2, 200000, 200000, 200000, 0 },
		{ 100000, 0, 4, 1, 25000, 25000, 24960, 40 },
		{ 100000, 0, 4, 3, 8333, 8333, 8320, 13 },
		{ 100000, 0, 12, 0, 50000, 50000, 50000, 0 }, /* half, whatever the priority */
		{ 10, 0, 12, 0, 5, 5, 0, 5 },
		{ 1000, 5000, 12, 2, 0, 1, 0, 2000 }, /* saved up: at most twice all */
		{ 1000, 5000, 2, 2, 500, 1750, 1664, 2000 },
		{ 1000, 5000, 0, 2, 2000, 2000, 1920, 2000 }, /* never more than twice all */
		{ 1000, 300, 3, 2, 250, 287, 256, 294 },
		{ 1, 0, 12, 2, 0, 0, 0, 0 },
		{ 100, 10, 0, 4, 100, 110, 128, 0 }, /* more scanned than asked */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct shrinker_terms terms = { .freeable = rows[i].freeable,
						.deferred = rows[i].deferred };

		shrinker_compute(&terms, rows[i].priority, rows[i].seeks);
		assert_int_equal(terms.delta, rows[i].delta);
		assert_int_equal(terms.total, rows[i].total);
		assert_int_equal(shrinker_left(&terms, rows[i].scanned), rows[i].left);
	}
}

/* Invariant 1 of spec 14: what is deferred is at most twice what there is. */
static void test_deferred_bound(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, machine_seed());
	for (uint32_t i = 0; i < 100000; i++) {
		struct shrinker_terms terms = { .freeable =
							rng_below(&rng, 1u << rng_below(&rng, 24)),
						.deferred = rng_below(&rng, 1u << 24) };

		shrinker_compute(&terms, (int32_t)rng_below(&rng, 13),
				 (uint32_t)rng_below(&rng, 5));
		assert_true(terms.total <= 2 * terms.freeable);
		assert_true(shrinker_left(&terms, rng_below(&rng, terms.total + 1)) <=
			    2 * terms.freeable);
	}
}

/* ---- calls ---- */

/* Step 4: whole batches; what is left waits, unless it is all there is. */
static void body_batches(struct machine_fixture *f)
{
	struct cache cache = { .objects = 10000 };
	uint32_t number = add(f, &cache, 2, 0);
	const struct shrinker *shrinker = &f->m->shrinkers[ENGINES];
	uint64_t scanned = machine_events(f, EV_SLABS_SCANNED);

	/* 10000 >> 5 = 312, twice that is 624: four batches of 128, 112 left. */
	assert_int_equal(shrink(f, 5), 512);
	assert_int_equal(cache.nr_scans, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(cache.scans[i], 128);
	assert_int_equal(machine_events(f, EV_SLABS_SCANNED), scanned + 512);
	assert_int_equal(shrinker->deferred[0], 112);
	/* 9488 >> 7 = 74, 148 and (112 >> 7) = 0: one batch; 112 + 148 - 128 left. */
	assert_int_equal(shrink(f, 7), 128);
	assert_int_equal(shrinker->deferred[0], 132);
	/* Nothing at priority 12 but the memory of it: 9360 >> 12 = 2, 4 objects. */
	assert_int_equal(shrink(f, 12), 0);
	assert_int_equal(shrinker->deferred[0], 136);
	/* All of it at priority 0: twice what there is is the most, until nothing is left. */
	cache.objects = 100;
	assert_int_equal(shrink(f, 0), 100);
	assert_int_equal(cache.scans[cache.nr_scans - 2], 128);
	assert_int_equal(cache.objects, 0);
	/* An empty cache is not asked, and forgets nothing. */
	uint32_t scans = cache.nr_scans;

	shrink(f, 0);
	assert_int_equal(cache.nr_scans, scans);
	drop(f, number);
}

MACHINE_TEST(batches, .nr_cpus = 1);

/* A cache of fewer objects than a batch gives them when the share is all of them. */
static void body_small(struct machine_fixture *f)
{
	struct cache cache = { .objects = 10, .kept = true };
	uint32_t number = add(f, &cache, 2, 0);

	shrink(f, 1); /* 5 * 2 = 10: as many as there are */
	assert_int_equal(cache.nr_scans, 1);
	assert_int_equal(cache.scans[0], 10);
	shrink(f, 2); /* 2 * 2 = 4 */
	shrink(f, 2); /* (4 >> 2) + 4 = 5 */
	assert_int_equal(cache.nr_scans, 1);
	assert_int_equal(f->m->shrinkers[ENGINES].deferred[0], 8);
	drop(f, number);
	/* With a batch of 3 the same 4 objects are one batch and one left. */
	cache.nr_scans = 0;
	number = add(f, &cache, 2, 3);
	shrink(f, 2);
	assert_int_equal(cache.nr_scans, 1);
	assert_int_equal(cache.scans[0], 3);
	assert_int_equal(f->m->shrinkers[ENGINES].deferred[0], 1);
	drop(f, number);
}

MACHINE_TEST(small, .nr_cpus = 1);

/* Who cannot make progress is left alone, and asked for as much more the next time. */
static void body_stop(struct machine_fixture *f)
{
	struct cache cache = { .objects = 1000, .stop = true };
	uint32_t number = add(f, &cache, 2, 0);
	uint64_t scanned = machine_events(f, EV_SLABS_SCANNED);

	assert_int_equal(shrink(f, 2), 0); /* 500 */
	assert_int_equal(machine_events(f, EV_SLABS_SCANNED), scanned);
	assert_int_equal(f->m->shrinkers[ENGINES].deferred[0], 500);
	cache.stop = false;
	/* (500 >> 2) + 500 = 625: four batches, 500 + 500 - 512 left. */
	assert_int_equal(shrink(f, 2), 512);
	assert_int_equal(f->m->shrinkers[ENGINES].deferred[0], 488);
	drop(f, number);
}

MACHINE_TEST(stop, .nr_cpus = 1);

/* The order of registration, also after one in the middle went; no more than there is room for. */
static void body_order(struct machine_fixture *f)
{
	uint32_t order = 0;
	struct cache cache[NEAP_MAX_SHRINKERS] = { { .order = &order } };
	uint32_t number[NEAP_MAX_SHRINKERS];

	for (uint32_t i = 0; i < NEAP_MAX_SHRINKERS - ENGINES; i++) {
		cache[i].order = &order;
		number[i] = add(f, &cache[i], 2, 0);
	}
	const struct shrinker_spec spec = { .count = cache_count, .scan = cache_scan };

	assert_int_equal(shrinker_register(f->t, f->m, &spec), -ENOSPC);
	drop(f, number[3]);
	shrink(f, 12);
	for (uint32_t i = 0; i < NEAP_MAX_SHRINKERS - ENGINES; i++)
		assert_int_equal(cache[i].position, i < 3 ? i + 1 : i > 3 ? i : 0);
	assert_int_equal(shrinker_unregister(f->t, f->m, number[3]), -ENOENT);
	for (uint32_t i = 0; i < NEAP_MAX_SHRINKERS - ENGINES; i++)
		if (i != 3)
			drop(f, number[i]);
}

MACHINE_TEST(order, .nr_cpus = 1);

/* By node: deferred work is each node's own. Otherwise node 0 stands for all. */
static void body_nodes(struct machine_fixture *f)
{
	struct cache cache[2] = { { .objects = 100, .kept = true },
				  { .objects = 100, .kept = true } };
	struct shrinker_spec spec = { .ctx = &cache[0],
				      .count = cache_count,
				      .scan = cache_scan,
				      .seeks = 2,
				      .per_node = true };
	int by_node = shrinker_register(f->t, f->m, &spec);
	uint32_t of_all = add(f, &cache[1], 2, 0);

	shrinker_shrink_node(f->t, &f->m->nodes[1], GFP_KERNEL, 5);
	assert_int_equal(cache[0].node, 1);
	assert_int_equal(cache[1].node, 0);
	assert_int_equal(f->m->shrinkers[ENGINES].deferred[0], 0);
	assert_int_equal(f->m->shrinkers[ENGINES].deferred[1], 6);
	assert_int_equal(f->m->shrinkers[ENGINES + 1].deferred[0], 6);
	drop(f, (uint32_t)by_node);
	drop(f, of_all);
}

MACHINE_TEST(nodes, .nr_nodes = 2, .nr_cpus = 2);

/* One walk a node pass, at the pass's priority; freed pages count as reclaimed. */
static void body_reclaim(struct machine_fixture *f)
{
	struct cache cache = { .objects = 1000, .pages = 3 };
	uint32_t number = add(f, &cache, 2, 0);
	struct scan_control sc = machine_scan();

	sc.priority = 2;
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(cache.nr_counts, 1);
	assert_int_equal(cache.objects, 1000 - 384); /* 500: three batches */
	assert_int_equal(sc.nr_reclaimed, 3 * 384);
	assert_null(f->t->tally);
	drop(f, number);
}

MACHINE_TEST(reclaim, .nr_cpus = 1);

/* Objects out of slabs, all of them given up at the first call. */
struct slab_user {
	struct slab_cache cache;
	uint32_t nr;
	uint32_t pfn[SLAB_OBJECTS], number[SLAB_OBJECTS];
};

static uint64_t slab_user_count(struct task *t, void *ctx, const struct shrink_request *request)
{
	(void)t;
	(void)request;
	return ((struct slab_user *)ctx)->nr;
}

static uint64_t slab_user_scan(struct task *t, void *ctx, struct shrink_request *request)
{
	struct slab_user *user = ctx;
	uint64_t freed = user->nr;

	(void)request;
	while (user->nr > 0) {
		user->nr--;
		slab_free(t, &user->cache, user->pfn[user->nr], user->number[user->nr]);
	}
	return freed;
}

/* Pages that slabs give back during a pass count as reclaimed. */
static void body_slab_tally(struct machine_fixture *f)
{
	static struct slab_user user;
	const struct shrinker_spec spec = { .name = "test",
					    .ctx = &user,
					    .count = slab_user_count,
					    .scan = slab_user_scan,
					    .seeks = SHRINKER_SEEKS };
	struct scan_control sc = machine_scan();

	memset(&user, 0, sizeof(user));
	slab_init(f->m, &user.cache, 1024, true);
	for (; user.nr < SLAB_OBJECTS; user.nr++) {
		user.pfn[user.nr] =
			slab_alloc(f->t, &user.cache, GFP_KERNEL, &user.number[user.nr]);
		assert_int_not_equal(user.pfn[user.nr], PFN_NONE);
	}
	int number = shrinker_register(f->t, f->m, &spec);
	uint64_t before = slab_frames(&user.cache);

	assert_true(number > 0);
	sc.priority = 0;
	reclaim_shrink_node(f->t, f->node, &sc);
	assert_int_equal(user.nr, 0);
	assert_true(sc.nr_reclaimed >= 8);
	assert_int_equal(sc.nr_reclaimed, before - slab_frames(&user.cache));
	assert_null(f->t->tally);
	/* What is given back outside a pass is nobody's progress, nor what Linux frees later. */
	slab_drain(f->t, &user.cache);
	assert_int_equal(slab_frames(&user.cache), 0);
	drop(f, (uint32_t)number);
}

MACHINE_TEST(slab_tally, .nr_cpus = 1);

/* Files 1, 2 and 3 of drop_caches: rounds at priority 0 while they are worth it. */
static void body_drop_caches(struct machine_fixture *f)
{
	struct cache cache = { .objects = 3000 };
	uint32_t number = add(f, &cache, 2, 0);
	struct fixture_file *file = machine_file(f, 16);
	uint64_t value;

	for (uint64_t page = 0; page < 16; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	assert_int_equal(sysctl_write(f->t, f->m, "drop_caches", "1", 1), 1);
	assert_int_equal(file->mapping->nr_pages, 0);
	assert_int_equal(cache.nr_counts, 0);
	assert_int_equal(sysctl_write(f->t, f->m, "drop_caches", "2", 1), 1);
	assert_int_equal(cache.objects, 0);
	assert_int_equal(cache.nr_counts, 2); /* 3000 freed, then nothing */
	assert_true(cache.flags & PF_MEMALLOC);
	/* One that gives nothing up is asked once. */
	cache.objects = 40;
	cache.kept = true;
	cache.nr_counts = 0;
	assert_int_equal(sysctl_write(f->t, f->m, "drop_caches", "3", 1), 1);
	assert_int_equal(cache.nr_counts, 1);
	assert_int_equal(machine_events(f, EV_DROP_SLAB), 2);
	assert_int_equal(machine_events(f, EV_DROP_PAGECACHE), 2);
	assert_false(f->t->flags & PF_MEMALLOC);
	drop(f, number);
}

MACHINE_TEST(drop_caches, .nr_cpus = 1);

static void body_events(struct machine_fixture *f)
{
	struct cache cache = { .objects = 1000 };
	uint32_t number = add(f, &cache, 2, 0);
	struct fixture_events *events = test_malloc(sizeof(*events));

	assert_int_equal(event_start(f->m), 0);
	shrink(f, 2);
	event_stop(f->m);
	machine_take_events(f, events);
	const struct event_record *start = machine_event_at(events, TE_MM_SHRINK_SLAB_START, 0);
	const struct event_record *end = machine_event_at(events, TE_MM_SHRINK_SLAB_END, 0);
	static const uint64_t started[] = { 0, GFP_KERNEL, 1000, 500, 500, 2 };
	static const uint64_t ended[] = { 0, 116, 116, 384 };

	assert_memory_equal(&start->arg[2], started, sizeof(started));
	assert_memory_equal(&end->arg[2], ended, sizeof(ended));
	test_free(events);
	drop(f, number);
}

MACHINE_TEST(events, .nr_cpus = 1);

/* ---- the whole machine ---- */

/*
 * As many pages as asked for, more at most by a round; anonymous ones are written. Where writing
 * takes its time, a call frees what it can and leaves the rest to the next one.
 */
static void body_shrink_all(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 2000);
	uint64_t free_before;

	machine_fill(f, region, 0, 2000);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 2000);
	uint64_t stalls = machine_stalls(f);

	free_before = machine_zone_count(f, NR_FREE_PAGES);
	uint64_t freed = direct_shrink_all(f->t, f->m, 800);

	assert_true(freed >= 800 && freed <= 2000);
	assert_int_equal(machine_stalls(f), stalls + 1);
	assert_int_equal(machine_events(f, EV_PGSCAN_DIRECT_THROTTLE), 0);
	assert_int_equal(machine_events(f, EV_PGSTEAL_DIRECT), freed);
	machine_settle(f);
	/* But for what lies on the lists of the CPUs. */
	assert_true(machine_zone_count(f, NR_FREE_PAGES) + 512 >= free_before + freed);
	assert_false(f->t->flags & PF_MEMALLOC);
	/* Everything, and again: what is not there cannot be had. */
	uint64_t all = 0;

	for (uint32_t round = 0; round < 8; round++)
		all += direct_shrink_all(f->t, f->m, 100000);
	machine_settle(f);
	all += direct_shrink_all(f->t, f->m, 100000);
	assert_true(all + freed <= 2000 + 64);
	assert_true(machine_node_count(f, NR_ANON_PAGES) < 64);
	machine_check(f, region, 0, 2000);
}

MACHINE_TEST(shrink_all, .swap_pages = 4096, .swap_synchronous = true);

/* Nothing to write to: only what is clean goes. */
static void body_shrink_all_clean(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 100);
	struct fixture_file *file = machine_file(f, 300);
	uint64_t value;

	machine_fill(f, region, 0, 100);
	for (uint64_t page = 0; page < 300; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
	lru_drain_all(f->t);
	uint64_t freed = direct_shrink_all(f->t, f->m, 1000);

	assert_int_equal(freed, 300);
	assert_int_equal(direct_shrink_all(f->t, f->m, 1000), 0);
	machine_check(f, region, 0, 100);
}

MACHINE_TEST(shrink_all_clean);

/* ---- coming and going while others reclaim ---- */

struct comer {
	struct machine_fixture *f;
	struct cache cache;
	bool registered;
	uint64_t seed;
};

static uint64_t comer_count(struct task *t, void *ctx, const struct shrink_request *request)
{
	const struct comer *comer = ctx;

	(void)request;
	rt_preempt(t);
	assert_true(comer->registered);
	return 1000;
}

static uint64_t comer_scan(struct task *t, void *ctx, struct shrink_request *request)
{
	const struct comer *comer = ctx;

	assert_true(comer->registered);
	rt_preempt(t);
	assert_true(comer->registered);
	return request->nr_to_scan / 2;
}

static int come_and_go(struct task *t, void *arg)
{
	struct comer *comer = arg;
	const struct shrinker_spec spec = {
		.ctx = comer, .count = comer_count, .scan = comer_scan, .seeks = 2
	};

	t->machine = comer->f->m;
	for (uint32_t round = 0; round < 30; round++) {
		comer->registered = true;
		int number = shrinker_register(t, t->machine, &spec);

		assert_true(number > 0);
		rt_preempt(t);
		assert_int_equal(shrinker_unregister(t, t->machine, (uint32_t)number), 0);
		/* From here on a call would meet what is not there any more. */
		comer->registered = false;
		rt_preempt(t);
	}
	return 0;
}

static int ask(struct task *t, void *arg)
{
	struct comer *comer = arg;
	struct rng rng;

	t->machine = comer->f->m;
	rng_seed(&rng, comer->seed);
	for (uint32_t round = 0; round < 60; round++) {
		shrinker_shrink_node(t, comer->f->node, GFP_KERNEL, (int32_t)rng_below(&rng, 4));
		rt_preempt(t);
	}
	return 0;
}

static uint64_t coming_seed;

static void body_coming(struct machine_fixture *f)
{
	struct comer comer[4];
	struct task *task[4];

	for (uint32_t i = 0; i < 4; i++) {
		struct task_spec spec = { .name = "comer",
					  .fn = i < 2 ? come_and_go : ask,
					  .arg = &comer[i] };

		comer[i] = (struct comer){ .f = f, .seed = coming_seed + i };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++)
		rt_join(f->t, task[i]);
	assert_int_equal(f->m->nr_shrinkers, ENGINES);
	assert_int_equal(f->m->shrinker_readers, 0);
}

static void test_coming(void **state)
{
	uint64_t first = machine_seed();

	(void)state;
	for (coming_seed = first; coming_seed < first + 60; coming_seed++)
		machine_run(
			&(struct machine_setup){
				.pages = 1024, .nr_cpus = 3, .seed = coming_seed, .explore = true },
			body_coming);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formula),	    cmocka_unit_test(test_deferred_bound),
		cmocka_unit_test(test_batches),	    cmocka_unit_test(test_small),
		cmocka_unit_test(test_stop),	    cmocka_unit_test(test_order),
		cmocka_unit_test(test_nodes),	    cmocka_unit_test(test_reclaim),
		cmocka_unit_test(test_drop_caches), cmocka_unit_test(test_events),
		cmocka_unit_test(test_shrink_all),  cmocka_unit_test(test_shrink_all_clean),
		cmocka_unit_test(test_slab_tally),  cmocka_unit_test(test_coming),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
