/*
 * Tails that are decided about on their list (core/tail.c).
 *
 *   certain ── all of the tail at once: young bits, flags, places, counters
 *   spoilt  ── one page is not certain: nothing at all has happened
 *   same    ── a random list shrunk twice, on two machines of one seed: with somebody
 *              watching events, which sends every batch the general way, and without
 *   world   ── regions come and go while tails are looked at, in many orders
 *
 * What must never happen: a difference between the two ways. What they are compared by
 * is everything that a job could see: every list in its order, flags, young bits,
 * counters, the simulated time, and all trace events with their times.
 */
#include "machine_fixture.h"

#include "base/rng.h"
#include "core/tail.h"

/* ---- one tail ---- */

static struct lru_isolate request(enum lru_list list)
{
	return (struct lru_isolate){
		.list = list, .want = 32, .zone_limit = ZONE_MOVABLE, .may_unmap = true
	};
}

static void tail_of(struct machine_fixture *f, struct lru_isolate *ctl, struct tail *tail)
{
	ctl->lruvec = &f->node->lruvec;
	cpu_pin(f->t);
	spin_lock(f->t, &f->node->lruvec.lock, LOCK_LRU);
	tail_decide(f->t, ctl, tail);
	spin_unlock(f->t, &f->node->lruvec.lock, LOCK_LRU);
	cpu_unpin(f->t);
}

static bool is_young(struct machine_fixture *f, struct region *region, uint64_t page)
{
	struct hw_entry entry = { .vpn = region->start_vpn + page };

	f->hw->ops->get(region->space->hw, &entry);
	return (entry.flags & HW_YOUNG) != 0;
}

/* A region on the inactive list, all of it young; page 0 is the list's last. */
static struct region *young_region(struct machine_fixture *f, uint64_t nr)
{
	struct region *region = machine_region(f, nr);

	machine_fill(f, region, 0, nr);
	lru_drain_all(f->t);
	return region;
}

/* Is the n-th page of the list, its first one being 0, this page of the region? */
static void assert_place(struct machine_fixture *f, enum lru_list list, uint32_t n,
			 struct region *region, uint64_t page)
{
	uint32_t pfn = f->node->lruvec.list[list].first;

	for (uint32_t i = 0; i < n; i++)
		pfn = f->m->pages[pfn].next;
	assert_int_equal(pfn, machine_page_at(f, region, page) - f->m->pages);
}

static void body_stays(struct machine_fixture *f)
{
	struct region *region = young_region(f, 100);
	struct lru_isolate ctl = request(LRU_INACTIVE_ANON);
	struct tail tail;
	uint64_t walked = machine_events(f, EV_SIM_PTE_WALK);

	tail_of(f, &ctl, &tail);
	assert_int_equal(tail.nr, 32);
	assert_int_equal(tail.nr_up, 0);
	assert_int_equal(tail.nr_ptes, 32);
	assert_int_equal(ctl.scanned, 32);
	assert_int_equal(machine_events(f, EV_SIM_PTE_WALK), walked);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 100);
	for (uint64_t page = 0; page < 100; page++) {
		struct page *p = machine_page_at(f, region, page);

		assert_int_equal(is_young(f, region, page), page >= 32);
		assert_int_equal(page_test(p, PG_REFERENCED), page < 32);
		assert_true(page_test(p, PG_LRU) && !page_test(p, PG_ISOLATED | PG_LOCKED));
		assert_int_equal(page_refs(p), 1);
	}
	assert_place(f, LRU_INACTIVE_ANON, 0, region, 31);
	assert_place(f, LRU_INACTIVE_ANON, 31, region, 0);
	assert_place(f, LRU_INACTIVE_ANON, 99, region, 32);
}

MACHINE_TEST(stays, .swap_pages = 256);

/* The second time a page goes up; a list that ends before 32 pages is all tail. */
static void body_goes_up(struct machine_fixture *f)
{
	struct region *region = young_region(f, 20);
	struct lru_isolate ctl = request(LRU_INACTIVE_ANON);
	uint64_t age = atomic_load(&f->node->lruvec.nonresident_age);
	struct tail tail;

	for (uint64_t page = 0; page < 20; page += 2)
		page_set(machine_page_at(f, region, page), PG_REFERENCED);
	tail_of(f, &ctl, &tail);
	assert_int_equal(tail.nr, 20);
	assert_int_equal(tail.nr_up, 10);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 10);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 10);
	assert_int_equal(atomic_load(&f->node->lruvec.nonresident_age), age + 10);
	assert_place(f, LRU_ACTIVE_ANON, 0, region, 18);
	assert_place(f, LRU_ACTIVE_ANON, 9, region, 0);
	assert_place(f, LRU_INACTIVE_ANON, 0, region, 19);
	assert_place(f, LRU_INACTIVE_ANON, 9, region, 1);
}

MACHINE_TEST(goes_up, .swap_pages = 256);

/* Down from the active list: young or not, what was young is not any more. */
static void body_goes_down(struct machine_fixture *f)
{
	struct region *region = young_region(f, 64);
	struct lru_isolate ctl = request(LRU_ACTIVE_ANON);
	struct tail tail;

	for (uint64_t page = 0; page < 64; page++)
		lru_activate(f->t, machine_page_at(f, region, page));
	lru_drain_all(f->t);
	machine_age(f, region, 0, 16);
	page_set(machine_page_at(f, region, 3), PG_WORKINGSET);
	tail_of(f, &ctl, &tail);
	assert_int_equal(tail.nr, 32);
	assert_int_equal(tail.nr_ptes, 32);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_ANON), 32);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_ANON), 32);
	for (uint64_t page = 0; page < 64; page++) {
		struct page *p = machine_page_at(f, region, page);

		assert_int_equal(is_young(f, region, page), page >= 32);
		assert_int_equal(page_test(p, PG_ACTIVE), page >= 32);
		assert_int_equal(page_test(p, PG_WORKINGSET), page < 32);
	}
	assert_place(f, LRU_INACTIVE_ANON, 0, region, 31);
	assert_place(f, LRU_INACTIVE_ANON, 31, region, 0);
}

MACHINE_TEST(goes_down, .swap_pages = 256);

/* Instructions stay on the list of files' active pages, also those in memory that may be freed. */
static void body_text_stays(struct machine_fixture *f)
{
	struct region *region = machine_region_spec(
		f, &(struct region_spec){ .nr_pages = 32, .flags = REGION_EXEC });
	struct lru_isolate ctl = request(LRU_ACTIVE_FILE);
	struct scan_control sc = machine_scan();
	struct tail tail;

	machine_fill(f, region, 0, 32);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 32; page++)
		lru_lazyfree(f->t, machine_page_at(f, region, page));
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 32; page++)
		lru_activate(f->t, machine_page_at(f, region, page));
	lru_drain_all(f->t);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 32);
	tail_of(f, &ctl, &tail);
	assert_int_equal(tail.nr, 0);
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 32);
	assert_int_equal(machine_list_size(f, LRU_ACTIVE_FILE), 32);
	assert_int_equal(machine_list_size(f, LRU_INACTIVE_FILE), 0);
}

MACHINE_TEST(text_stays, .swap_pages = 256);

/* ---- what spoils a tail ---- */

enum spoiler {
	SPOIL_LOCKED,
	SPOIL_OLD,
	SPOIL_MLOCKED,
	SPOIL_WRITEBACK,
	SPOIL_UNMAPPED,
	SPOIL_CACHED,
	SPOIL_ASLEEP,
	SPOIL_SEQUENTIAL,
	SPOIL_MAPPED,
	SPOIL_ZONE,
	SPOIL_WATCHED,
	SPOIL_LONG,
	NR_SPOILERS,
};

static void watch_nothing(struct task *t, const struct event_record *record)
{
	(void)t;
	(void)record;
}

/* Does it, or undoes it, to the 20th page of the tail or to the request. */
static void spoil(struct machine_fixture *f, struct region *region, struct lru_isolate *ctl,
		  enum spoiler spoiler, bool on)
{
	static const uint64_t flag[NR_SPOILERS] = {
		[SPOIL_LOCKED] = PG_LOCKED,
		[SPOIL_MLOCKED] = PG_MLOCKED,
		[SPOIL_WRITEBACK] = PG_WRITEBACK,
		[SPOIL_CACHED] = PG_SWAPCACHE | PG_REFERENCED,
	};
	struct page *page = machine_page_at(f, region, 20);

	if (on)
		page_set(page, flag[spoiler]);
	else
		page_clear(page, flag[spoiler]);
	if (spoiler == SPOIL_OLD && on)
		machine_age(f, region, 20, 1);
	if (spoiler == SPOIL_OLD && !on)
		machine_check(f, region, 20, 1);
	if (spoiler == SPOIL_UNMAPPED)
		atomic_fetch_add(&page->maps, on ? UINT32_MAX : 1);
	if (spoiler == SPOIL_ASLEEP)
		atomic_fetch_add(&page_wait_queue(f->m, page)->waiters, on ? 1 : UINT32_MAX);
	if (spoiler == SPOIL_SEQUENTIAL)
		atomic_store(&region->pattern, on ? REGION_SEQUENTIAL : REGION_NORMAL);
	if (spoiler == SPOIL_MAPPED)
		ctl->may_unmap = false;
	if (spoiler == SPOIL_ZONE)
		ctl->zone_limit = ZONE_DMA32;
	if (spoiler == SPOIL_LONG)
		ctl->want = 33;
	if (spoiler == SPOIL_WATCHED && on) {
		f->m->event_hook = watch_nothing;
		event_hook_start(f->m);
	} else if (spoiler == SPOIL_WATCHED) {
		event_hook_stop(f->m);
	}
}

static void body_spoilt(struct machine_fixture *f)
{
	struct region *region = young_region(f, 64);

	for (enum spoiler spoiler = 0; spoiler < NR_SPOILERS; spoiler++) {
		struct lru_isolate ctl = request(LRU_INACTIVE_ANON);
		struct tail tail;

		spoil(f, region, &ctl, spoiler, true);
		tail_of(f, &ctl, &tail);
		if (tail.nr != 0)
			fail_msg("decided in spite of spoiler %d", (int)spoiler);
		assert_int_equal(ctl.scanned, 0);
		spoil(f, region, &ctl, spoiler, false);
		for (uint64_t page = 0; page < 64; page++) {
			assert_true(is_young(f, region, page));
			assert_false(page_test(machine_page_at(f, region, page), PG_REFERENCED));
		}
		assert_place(f, LRU_INACTIVE_ANON, 0, region, 63);
		assert_place(f, LRU_INACTIVE_ANON, 63, region, 0);
	}
	struct lru_isolate ctl = request(LRU_INACTIVE_ANON);
	struct tail tail;

	tail_of(f, &ctl, &tail);
	assert_int_equal(tail.nr, 32);
}

MACHINE_TEST(spoilt, .swap_pages = 256);

/* ---- the two ways ---- */

#define SAME_PAGES 700u

/* All that can be seen afterwards. */
struct outcome {
	uint32_t nr_listed;
	uint64_t listed[4096];
	uint64_t young[SAME_PAGES / 64 + 1];
	uint64_t event[NR_METER_ITEMS];
	int64_t node[NR_NODE_ITEMS];
	uint64_t now_ns, scanned, reclaimed;
	struct fixture_events events;
};

static struct outcome *outcome;
static bool watched;
static uint64_t same_seed;

static void see(struct machine_fixture *f, struct region *region)
{
	for (uint32_t list = 0; list < NR_LRU_LISTS; list++)
		for (uint32_t pfn = f->node->lruvec.list[list].first; pfn != PFN_NONE;
		     pfn = f->m->pages[pfn].next)
			outcome->listed[outcome->nr_listed++] =
				(uint64_t)list << 60 | (uint64_t)pfn << 32 |
				(page_flags(&f->m->pages[pfn]) & UINT32_MAX);
	for (uint32_t page = 0; page < SAME_PAGES; page++)
		if (is_young(f, region, page))
			outcome->young[page / 64] |= UINT64_C(1) << page % 64;
	for (uint32_t item = 0; item < NR_METER_ITEMS; item++)
		outcome->event[item] = machine_events(f, (enum meter_item)item);
	for (uint32_t item = 0; item < NR_NODE_ITEMS; item++)
		outcome->node[item] = atomic_load(&f->node->stat[item]);
	outcome->now_ns = rt_now(f->t);
}

/* Pages in runs that are alike, as programs leave them; some runs have an odd one. */
static void mix_up(struct machine_fixture *f, struct region *region, struct rng *rng)
{
	for (uint32_t page = 0; page < SAME_PAGES;) {
		uint32_t run = 1 + (uint32_t)rng_below(rng, 90);
		uint64_t kind = rng_below(rng, 6);

		for (; run > 0 && page < SAME_PAGES; run--, page++) {
			struct page *p = machine_page_at(f, region, page);

			if (kind == 0 || rng_below(rng, 60) == 0)
				machine_age(f, region, page, 1);
			if (kind == 1 || (kind == 2 && rng_below(rng, 2) == 0))
				page_set(p, PG_REFERENCED);
			if (kind == 3)
				lru_activate(f->t, p);
		}
	}
	lru_drain_all(f->t);
}

static void body_same(struct machine_fixture *f)
{
	struct region *region = machine_region(f, SAME_PAGES);
	struct fixture_file *file = machine_cached_file(f, 100);
	struct scan_control sc = machine_scan();
	struct rng rng;

	rng_seed(&rng, same_seed);
	machine_fill(f, region, 0, SAME_PAGES);
	lru_drain_all(f->t);
	for (uint64_t page = 0; page < 80; page++)
		lru_activate(f->t, machine_file_page(f, file, page));
	mix_up(f, region, &rng);
	f->m->event_hook = watch_nothing;
	if (watched)
		event_hook_start(f->m);
	assert_int_equal(event_start(f->m), 0);
	sc.priority = (int32_t)rng_below(&rng, 3);
	sc.nr_to_reclaim = rng_below(&rng, 200);
	sc.may_deactivate = DEACTIVATE_ANON | DEACTIVATE_FILE;
	for (uint32_t i = 0; i < 4; i++)
		reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_ANON,
				      1 + rng_below(&rng, SWAP_CLUSTER_MAX));
	reclaim_shrink_active(f->t, f->node, &sc, LRU_ACTIVE_FILE, 20);
	reclaim_shrink_node(f->t, f->node, &sc);
	event_stop(f->m);
	if (watched)
		event_hook_stop(f->m);
	see(f, region);
	outcome->scanned = sc.nr_scanned;
	outcome->reclaimed = sc.nr_reclaimed;
	machine_take_events(f, &outcome->events);
	machine_settle(f);
	machine_verify(f);
	machine_region_end_cached(f, region);
}

static void run_same(struct outcome *out, bool is_watched)
{
	memset(out, 0, sizeof(*out));
	outcome = out;
	watched = is_watched;
	machine_run(&(struct machine_setup){ .pages = 4096, .swap_pages = 2048, .seed = same_seed },
		    body_same);
}

static void test_same(void **state)
{
	static struct outcome one_by_one, whole;
	uint64_t first = machine_seed();
	uint64_t kept = 0;

	(void)state;
	for (same_seed = first; same_seed < first + 60; same_seed++) {
		run_same(&one_by_one, true);
		run_same(&whole, false);
		assert_int_equal(one_by_one.nr_listed, whole.nr_listed);
		for (uint32_t i = 0; i < whole.nr_listed; i++)
			if (one_by_one.listed[i] != whole.listed[i])
				fail_msg("seed %llu: place %u", (unsigned long long)same_seed, i);
		for (uint32_t i = 0; i < NR_METER_ITEMS; i++)
			if (one_by_one.event[i] != whole.event[i])
				fail_msg("seed %llu: event %u is %llu, not %llu",
					 (unsigned long long)same_seed, i,
					 (unsigned long long)whole.event[i],
					 (unsigned long long)one_by_one.event[i]);
		assert_memory_equal(&one_by_one, &whole, sizeof(whole));
		kept += whole.scanned - whole.reclaimed;
	}
	assert_true(kept > 1000);
}

/* ---- regions that go ---- */

#define WORLD_TASKS 3u
#define WORLD_PAGES 5u

struct world {
	struct machine_fixture *f;
	_Atomic uint32_t left; /* tasks that still make regions */
};

/*
 * Makes a region in a space of its own, uses it, and destroys it while somebody else has its pages,
 * so that they are not freed, which would wait for the lru lock.
 */
static void make_region(struct machine_fixture *f, struct task *t)
{
	struct page *page[WORLD_PAGES];
	struct region *region;
	struct space *space;

	assert_int_equal(space_create(t, t->machine, &space), 0);
	assert_int_equal(region_create(t, space, &(struct region_spec){ .nr_pages = WORLD_PAGES },
				       &region),
			 0);
	for (uint64_t i = 0; i < WORLD_PAGES; i++) {
		assert_int_equal(task_write(t, region, i, i), 0);
		page[i] = machine_page_at(f, region, i);
		page_get(page[i]);
	}
	lru_drain(t);
	for (uint64_t i = 0; i < 4 * WORLD_PAGES; i++) {
		assert_int_equal(task_write(t, region, i % WORLD_PAGES, i), 0);
		rt_preempt(t);
	}
	region_destroy(t, region);
	space_destroy(t, space);
	for (uint64_t i = 0; i < WORLD_PAGES; i++)
		page_put(t, page[i]);
}

static int maker(struct task *t, void *arg)
{
	struct world *world = arg;

	t->machine = world->f->m;
	for (uint32_t round = 0; round < 100; round++)
		make_region(world->f, t);
	atomic_fetch_sub(&world->left, 1);
	return 0;
}

static uint64_t world_tails;

static void body_world(struct machine_fixture *f)
{
	struct world world = { f, WORLD_TASKS };
	struct task *task[WORLD_TASKS];

	for (uint32_t i = 0; i < WORLD_TASKS; i++) {
		struct task_spec spec = { .name = "maker", .fn = maker, .arg = &world };

		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	while (atomic_load(&world.left) != 0) { /* event loop */
		struct lru_isolate ctl = request(LRU_INACTIVE_ANON);
		struct lru_isolate up = request(LRU_ACTIVE_ANON);
		struct tail tail;

		tail_of(f, &ctl, &tail);
		world_tails += tail.nr != 0;
		tail_of(f, &up, &tail);
		world_tails += tail.nr != 0;
		rt_sleep(f->t, 2 * NSEC_PER_USEC);
	}
	for (uint32_t i = 0; i < WORLD_TASKS; i++)
		rt_join(f->t, task[i]);
	machine_settle(f);
	machine_verify(f);
}

static void test_world(void **state)
{
	uint64_t first = machine_seed();
	uint64_t nr = machine_nr_seeds();

	(void)state;
	world_tails = 0;
	for (uint64_t seed = first; seed < first + nr; seed++)
		machine_run(
			&(struct machine_setup){
				.pages = 2048, .nr_cpus = 4, .seed = seed, .explore = true },
			body_world);
	print_message("%llu interleavings: %llu tails\n", (unsigned long long)nr,
		      (unsigned long long)world_tails);
	assert_true(world_tails > nr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stays),	   cmocka_unit_test(test_goes_up),
		cmocka_unit_test(test_goes_down),  cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_same),	   cmocka_unit_test(test_world),
		cmocka_unit_test(test_text_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
