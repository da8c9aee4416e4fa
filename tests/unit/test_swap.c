/*
 * Swap slots, the swap cache and read-ahead (core/swap_slots.c, core/swap_cache.c).
 *
 *   area ─ clusters of 512 slots ─ batches of 64 ─> CPU's slot cache ─> one slot
 *   page ─ swapped out ─ read in with neighbours ─ slot kept or freed
 *
 * Which slots are handed out, in which batches, and from which area is the visible
 * behaviour here; it decides how requests reach a disk. Read-ahead is checked by what
 * it counts: pswpin = pgmajfault + swap_ra, always.
 *
 * What must never happen here: a slot leaked by a test; verify_machine() ends each.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/advice.h"
#include "core/verify.h"

static int64_t free_slots(struct machine_fixture *f)
{
	return atomic_load(&f->m->nr_swap_free);
}

/* Those in the CPUs' caches, got or freed, included. */
static int64_t free_slots_all(struct machine_fixture *f)
{
	swap_slots_drain(f->t, f->m);
	return free_slots(f);
}

static uint8_t map_of(struct machine_fixture *f, uint32_t entry)
{
	return swap_area_of(f->m, entry)->map[swap_slot_of(entry)];
}

/* ---- areas ---- */

static void body_on(struct machine_fixture *f)
{
	const struct store_model_spec model = { .pages = 100, .swap = true };
	struct store *store;
	uint32_t type;

	/* 600 slots: the header and three bad ones (one named twice) are not usable. */
	assert_int_equal(free_slots(f), 596);
	assert_int_equal(atomic_load(&f->m->nr_swap_total), 596);
	assert_int_equal(f->m->swap[0].priority, -2);
	assert_int_equal(f->m->swap[1].priority, 0);
	assert_int_equal(store_model_open(f->host, &model, &store), 0);
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t bad[2] = { 0, 100 };
		const struct swap_spec spec = {
			.store = store, .path = "x", .priority = 5, .bad = &bad[i], .nr_bad = 1
		};

		assert_int_equal(swap_on(f->t, f->m, &spec, &type), -EINVAL);
	}
	assert_int_equal(swap_nr_areas(f->m), 1);
	assert_int_equal(free_slots(f), 596);
	store->ops->close(store);
	/* Every usable slot, and none of the others, is handed out once. */
	bool seen[600] = { false };

	for (uint32_t i = 0; i < 596; i++) {
		uint32_t slot = swap_slot_of(swap_slot_get(f->t));

		assert_true(slot != 0 && slot < 600 && slot != 7 && slot != 8 && slot != 599);
		assert_false(seen[slot]);
		seen[slot] = true;
	}
	assert_int_equal(swap_slot_get(f->t), 0);
	assert_int_equal(free_slots(f), 0);
	for (uint32_t slot = 1; slot < 600; slot++)
		if (seen[slot])
			swap_slot_put(f->t, slot);
	assert_int_equal(free_slots(f), 596);
}

MACHINE_TEST(on, .swap_pages = 600, .swap_bad = (const uint32_t[]){ 7, 8, 7, 599 },
	     .nr_swap_bad = 4);

/* Takes n slots and gives them back at once through *entries. */
static void take(struct machine_fixture *f, uint32_t *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		entries[i] = swap_slot_get(f->t);
		assert_int_not_equal(entries[i], 0);
	}
}

static void give_back(struct machine_fixture *f, const uint32_t *entries, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		swap_slot_put(f->t, entries[i]);
	swap_slots_drain(f->t, f->m);
}

static uint32_t area_index(uint32_t entry)
{
	return entry >> SWAP_TYPE_SHIFT;
}

/* Areas of equal priority take turns, a batch each. */
static void body_turns(struct machine_fixture *f)
{
	uint32_t entry[256];

	assert_int_equal(f->m->swap[0].priority, 5);
	take(f, entry, 256);
	for (uint32_t i = 0; i < 256; i++)
		assert_int_equal(area_index(entry[i]), i / 64 % 2);
	give_back(f, entry, 256);
}

MACHINE_TEST(turns, .swap_pages = 4096, .nr_swaps = 2, .swap_priority = { 5, 5 });

/* The higher priority is used up first. Automatic ones decrease in order of activation. */
static void body_priorities(struct machine_fixture *f)
{
	uint32_t entry[600];

	assert_int_equal(f->m->swap[0].priority, -2);
	assert_int_equal(f->m->swap[1].priority, 7);
	assert_int_equal(f->m->swap[2].priority, -3);
	take(f, entry, 600);
	for (uint32_t i = 0; i < 600; i++)
		assert_int_equal(area_index(entry[i]), i < 299 ? 1 : i < 598 ? 0 : 2);
	give_back(f, entry, 600);
	assert_int_equal(free_slots(f), 3 * 299);
}

MACHINE_TEST(priorities, .swap_pages = 300, .nr_swaps = 3, .swap_priority = { 0, 7, 0 });

/* ---- slots ---- */

static void body_counts(struct machine_fixture *f)
{
	int64_t before = free_slots(f);
	uint32_t entry = swap_slot_get(f->t);

	assert_int_equal(free_slots(f), before - 1);
	assert_int_equal(map_of(f, entry), SWAP_HAS_CACHE);
	swap_slot_dup(f->t, entry);
	swap_slot_dup(f->t, entry);
	assert_int_equal(map_of(f, entry), SWAP_HAS_CACHE | 2);
	assert_int_equal(swap_slot_count(f->m, entry), 2);
	swap_slot_drop_cache(f->t, entry, 0x1001);
	assert_int_equal(map_of(f, entry), 2);
	assert_int_equal(f->m->swap[0].cache[swap_slot_of(entry)], 0x1001);
	swap_slot_free(f->t, entry);
	assert_int_equal(free_slots(f), before - 1);
	swap_slot_free(f->t, entry);
	assert_int_equal(free_slots(f), before);
	assert_int_equal(map_of(f, entry), 0);
	assert_int_equal(f->m->swap[0].cache[swap_slot_of(entry)], 0);
	/* The other way round: references first, then the cache. */
	entry = swap_slot_get(f->t);
	swap_slot_dup(f->t, entry);
	swap_slot_free(f->t, entry);
	assert_int_equal(map_of(f, entry), SWAP_HAS_CACHE);
	swap_slot_put(f->t, entry);
	assert_int_equal(free_slots(f), before);
}

MACHINE_TEST(counts, .swap_pages = 300);

/* With plenty of slots each CPU gets 64 at once; below 128 a CPU it goes one by one again. */
static void body_slot_cache(struct machine_fixture *f)
{
	static uint32_t entry[1023];
	int64_t before = free_slots(f);

	for (uint32_t i = 0; i < 1023; i++) {
		int64_t free_before = free_slots(f);

		take(f, &entry[i], 1);
		int64_t took = free_before - free_slots(f);

		/* 1023 - 12 * 64 = 255 are fewer than 256: the next one returns the other 63. */
		if (i == 705)
			assert_int_equal(took, 1 - 63);
		else
			assert_int_equal(took, i > 705 ? 1 : i % 64 == 0 ? 64 : 0);
	}
	/* It is used again above 320 a CPU only. */
	give_back(f, &entry[0], 640);
	take(f, entry, 1);
	assert_int_equal(free_slots(f), 639);
	give_back(f, &entry[640], 2);
	take(f, &entry[1], 1);
	assert_int_equal(free_slots(f), 641 - 64);
	give_back(f, entry, 2);
	give_back(f, &entry[642], 1023 - 642);
	assert_int_equal(free_slots(f), before);
}

MACHINE_TEST(slot_cache, .swap_pages = 1024);

/* Freed slots wait on their CPU until there are 64, and go back area by area (spec 13, 4). */
static void body_return_cache(struct machine_fixture *f)
{
	static uint32_t entry[256];
	const struct cpu *cpu = &f->m->cpus[0];

	take(f, entry, 256); /* four batches, from the two areas in turn */
	assert_int_equal(f->m->swap[0].inuse, 128);
	assert_int_equal(f->m->swap[1].inuse, 128);
	int64_t before = free_slots(f);

	for (uint32_t i = 0; i < 64; i++) {
		swap_slot_put(f->t, entry[i * 3]);
		assert_int_equal(map_of(f, entry[i * 3]), SWAP_HAS_CACHE);
		assert_int_equal(cpu->nr_swap_returned, i + 1);
		assert_int_equal(free_slots(f), before);
	}
	/* Nobody takes one of them for a page that is cached. */
	assert_int_equal(swap_cache_find(f->t, entry[0]), PFN_NONE);
	assert_int_equal(swap_reclaim_cached(f->t, 100), 0);
	swap_slot_put(f->t, entry[1]);
	assert_int_equal(cpu->nr_swap_returned, 1);
	assert_int_equal(free_slots(f), before + 64);
	assert_int_equal(f->m->swap[0].inuse + f->m->swap[1].inuse, 256 - 64);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(map_of(f, entry[i * 3]), 0);
	/* A swapoff wants them all, and none is gathered until it is over. */
	atomic_fetch_add(&f->m->swap_cache_barred, 1);
	swap_slots_drain(f->t, f->m);
	assert_int_equal(free_slots(f), before + 65);
	swap_slot_put(f->t, entry[2]);
	assert_int_equal(cpu->nr_swap_returned, 0);
	assert_int_equal(free_slots(f), before + 66);
	atomic_fetch_sub(&f->m->swap_cache_barred, 1);
	for (uint32_t i = 4; i < 256; i++)
		if (i % 3 != 0 || i >= 192)
			give_back(f, &entry[i], 1);
}

MACHINE_TEST(return_cache, .nr_cpus = 1, .swap_pages = 2048, .nr_swaps = 2,
	     .swap_priority = { 5, 5 });

/* When slots become scarce, none is left with a CPU that does not need it. */
static void body_return_scarce(struct machine_fixture *f)
{
	static uint32_t entry[64 + 477];

	take(f, entry, 64);
	for (uint32_t i = 0; i < 30; i++)
		swap_slot_put(f->t, entry[i]);
	assert_int_equal(f->m->cpus[0].nr_swap_returned, 30);
	/* 511 - 34 are left; below 128 the caches are given up, with what is in them. */
	take(f, &entry[64], 477);
	assert_int_equal(f->m->swap_cache_on, 0);
	assert_int_equal(f->m->cpus[0].nr_swap_returned, 0);
	assert_int_equal(free_slots(f), 0);
	swap_slot_put(f->t, entry[30]);
	assert_int_equal(f->m->cpus[0].nr_swap_returned, 0);
	assert_int_equal(free_slots(f), 1);
	give_back(f, &entry[31], 33 + 477);
	assert_int_equal(free_slots(f), 511);
}

MACHINE_TEST(return_scarce, .nr_cpus = 1, .swap_pages = 512);

/* Solid state: a cluster for each CPU, slots in ascending order. */
struct other_cpu {
	struct machine_fixture *f;
	uint32_t entry[70];
};

static int take_elsewhere(struct task *t, void *arg)
{
	struct other_cpu *other = arg;

	for (uint32_t i = 0; i < 70; i++)
		other->entry[i] = swap_slot_get(t);
	return 0;
}

static void body_clusters(struct machine_fixture *f)
{
	struct other_cpu other = { .f = f };
	struct cpumask cpus = { { 0 } };
	const struct task_spec spec = {
		.name = "other", .fn = take_elsewhere, .arg = &other, .cpus = &cpus
	};
	uint32_t entry[70];
	struct task *task;

	cpumask_set(&cpus, 1);
	take(f, entry, 70);
	assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
	assert_int_equal(rt_join(f->t, task), 0);
	/* Cluster 0 holds the header and is therefore never wholly free. */
	for (uint32_t i = 0; i < 70; i++) {
		assert_int_equal(entry[i], 512 + i);
		assert_int_equal(other.entry[i], 1024 + i);
	}
	give_back(f, entry, 70);
	give_back(f, other.entry, 70);
	/* Wholly free again, they went to the end of the queue: the next one is taken. */
	take(f, entry, 70);
	assert_int_equal(entry[0], 1536);
	give_back(f, entry, 70);
}

MACHINE_TEST(clusters, .swap_pages = 8192);

/* A disk with seeks: the batch that finds 512 free slots in a row gets 3, the next 8 get 64. */
static void body_rotational(struct machine_fixture *f)
{
	static uint32_t entry[515 * 3];
	uint32_t at = 0;

	for (uint32_t period = 0; period < 3; period++) {
		for (uint32_t batch = 0; batch < 9; batch++) {
			int64_t before = free_slots(f);
			uint32_t nr = batch == 0 ? 3 : 64;

			take(f, &entry[at], nr);
			assert_int_equal(before - free_slots(f), nr);
			at += nr;
		}
	}
	for (uint32_t i = 0; i < at; i++)
		assert_int_equal(entry[i], 1 + i);
	/* What was freed behind is not used before the area's end is near: next goes on. */
	give_back(f, entry, 600);
	take(f, entry, 1);
	assert_int_equal(entry[0], 1); /* 512 slots in a row from slot 1 on are free again */
	give_back(f, entry, 1);
	give_back(f, &entry[600], at - 600);
}

MACHINE_TEST(rotational, .swap_pages = 8192, .swap_rotational = true);

/* Random taking and giving back: every slot has one owner, and the tables stay sound. */
static void random_slots(struct machine_fixture *f, uint64_t seed)
{
	static uint32_t held[4000];
	uint32_t nr = 0;
	struct rng rng;

	rng_seed(&rng, seed);
	for (uint32_t step = 0; step < 30000; step++) {
		bool grow = rng_below(&rng, 4000) > nr;

		/* Now and then nearly everything goes, so that whole clusters become free. */
		if (step % 5000 == 4999) {
			give_back(f, held, nr);
			nr = 0;
		}
		if (grow && nr < ARRAY_LEN(held)) {
			uint32_t entry = swap_slot_get(f->t);

			if (entry != 0)
				held[nr++] = entry;
		} else if (nr > 0) {
			uint32_t pick = (uint32_t)rng_below(&rng, nr);

			swap_slot_put(f->t, held[pick]);
			held[pick] = held[--nr];
		}
		if (step % 500 != 0)
			continue;
		const char *wrong = swap_verify(f->m);

		/* The held slots belong to no page: that law alone cannot hold here. */
		if (wrong != NULL && strstr(wrong, "nobody") == NULL)
			fail_msg("step %u: %s", step, wrong);
	}
	give_back(f, held, nr);
	assert_null(swap_verify(f->m));
}

static void body_random(struct machine_fixture *f)
{
	random_slots(f, machine_seed());
}

MACHINE_TEST(random, .swap_pages = 4000);

static void body_random_rotational(struct machine_fixture *f)
{
	random_slots(f, machine_seed());
}

MACHINE_TEST(random_rotational, .swap_pages = 4000, .swap_rotational = true);

/* ---- windows ---- */

static void test_windows(void **state)
{
	static const struct {
		uint32_t hits, adjacent, max, previous, window;
	} cases[] = {
		{ 0, 0, 8, 0, 1 },   { 0, 1, 8, 0, 2 },	 { 0, 0, 8, 8, 4 },    { 0, 0, 8, 4, 2 },
		{ 0, 0, 8, 2, 1 },   { 1, 0, 8, 0, 4 },	 { 2, 0, 8, 0, 4 },    { 3, 0, 8, 0, 8 },
		{ 4, 0, 8, 0, 8 },   { 20, 0, 8, 0, 8 }, { 20, 0, 32, 0, 32 }, { 6, 0, 32, 0, 8 },
		{ 7, 0, 32, 0, 16 }, { 0, 1, 1, 0, 1 },	 { 9, 0, 1, 0, 1 },    { 0, 1, 8, 8, 4 },
		{ 1, 0, 2, 0, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(swap_readahead_window(cases[i].hits, cases[i].adjacent != 0,
						       cases[i].max, cases[i].previous),
				 cases[i].window);
}

/* ---- swapping in ---- */

struct traffic {
	uint64_t major, in, ahead, hits, out;
};

static struct traffic traffic(struct machine_fixture *f)
{
	return (struct traffic){
		.major = machine_events(f, EV_PGMAJFAULT),
		.in = machine_events(f, EV_PSWPIN),
		.ahead = machine_events(f, EV_SWAP_RA),
		.hits = machine_events(f, EV_SWAP_RA_HIT),
		.out = machine_events(f, EV_PSWPOUT),
	};
}

/* Reads pages first, first+1*step ... and tells what that cost. */
static struct traffic read_pages(struct machine_fixture *f, struct region *region, uint64_t first,
				 uint64_t nr, int64_t step)
{
	struct traffic before = traffic(f);

	for (uint64_t i = 0; i < nr; i++)
		machine_check(f, region, (uint64_t)((int64_t)first + step * (int64_t)i), 1);
	struct traffic after = traffic(f);

	assert_int_equal(after.in - before.in,
			 after.major - before.major + after.ahead - before.ahead);
	return (struct traffic){ after.major - before.major, after.in - before.in,
				 after.ahead - before.ahead, after.hits - before.hits,
				 after.out - before.out };
}

/* In order of address, windows of 8 begin at the faulting page; each page in it is a hit later. */
static void body_read_in_order(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 256);
	struct traffic cost = read_pages(f, region, 0, 256, 1);

	/* Nobody knows the order at the first: of 8 pages 3 lie before it, outside the region. */
	assert_int_equal(cost.major, 1 + 32);
	assert_int_equal(cost.ahead, 256 - 33);
	assert_int_equal(cost.hits, 256 - 33);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_ANON), 256);
	assert_int_equal(atomic_load(&f->space->swap_entries), 0);
	assert_int_equal(atomic_load(&f->space->rss_anon), 256);
}

MACHINE_TEST(read_in_order, .swap_pages = 4096);

static void body_read_backwards(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 256);
	struct traffic cost = read_pages(f, region, 255, 256, -1);

	/* The first window cannot know the direction: the page, and those beside it. */
	assert_in_range(cost.major, 32, 34);
	assert_int_equal(cost.in, 256);
}

MACHINE_TEST(read_backwards, .swap_pages = 4096);

/* Far apart: the windows shrink to the wanted page. */
static void body_read_far(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 512);
	struct traffic cost = read_pages(f, region, 0, 16, 31);

	/* Begins with 8 (4 hits assumed; 3 before the region), then 4, 2, 1, 1 ... */
	assert_int_equal(cost.major, 16);
	assert_int_equal(cost.ahead, 4 + 3 + 1);
	assert_int_equal(cost.hits, 0);
}

MACHINE_TEST(read_far, .swap_pages = 4096);

static void body_no_readahead(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 64);

	atomic_store(&f->m->sysctl.page_cluster, 0);
	struct traffic cost = read_pages(f, region, 0, 64, 1);

	assert_int_equal(cost.major, 64);
	assert_int_equal(cost.ahead, 0);
}

MACHINE_TEST(no_readahead, .swap_pages = 4096);

/* Clamped to the table of 512 pages: what lies outside is not made up for on the other side. */
static void body_read_at_table(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 1024);
	/* Two pages before the table's end: -3..+4 becomes -3..+1. */
	struct traffic cost = read_pages(f, region, 510, 1, 1);

	assert_int_equal(cost.ahead, 4);
	assert_int_equal(machine_swap_at(f, region, 506) == 0, false);
	/* At the beginning of the next one, with 4 pages: -1..+2 becomes 0..+2. */
	cost = read_pages(f, region, 512, 1, 1);
	assert_int_equal(cost.ahead, 2);
}

MACHINE_TEST(read_at_table, .swap_pages = 4096);

/* page-cluster 0 forgets nothing: switched on again, read-ahead goes on where it was. */
static void body_readahead_off(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 256);
	uint64_t state;

	read_pages(f, region, 0, 20, 1);
	state = atomic_load(&region->readahead);
	atomic_store(&f->m->sysctl.page_cluster, 0);
	atomic_store(&f->m->swap_ra_hits, 3);
	read_pages(f, region, 200, 1, 1);
	assert_int_equal(atomic_load(&region->readahead), state);
	atomic_store(&f->m->nr_rotational_swap, 1);
	read_pages(f, region, 202, 1, 1);
	atomic_store(&f->m->nr_rotational_swap, 0);
	assert_int_equal(atomic_load(&f->m->swap_ra_hits), 3);
}

MACHINE_TEST(readahead_off, .swap_pages = 4096);

/* ---- past the cache ---- */

/*
 * From a store that is done at once a page comes alone, and its slot is free then (spec 13, section
 * 5, step 2). It is written again the next time.
 */
static void body_direct(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 64);
	int64_t free = free_slots_all(f);
	struct traffic cost = read_pages(f, region, 0, 64, 1);

	assert_int_equal(cost.major, 64);
	assert_int_equal(cost.ahead, 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	assert_int_equal(free_slots_all(f), free + 64);
	assert_int_equal(atomic_load(&f->space->swap_entries), 0);
	assert_int_equal(atomic_load(&f->space->rss_anon), 64);
	/* Where the pages had been was with the slots. */
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_ANON), 64);
	machine_verify(f);
	machine_swap_out(f, region, 0, 64);
	assert_int_equal(traffic(f).out, 128);
	/* A write makes the page writable at once; after a read it takes a fault of its own. */
	uint64_t reused = machine_events(f, EV_PGREUSE);

	assert_int_equal(machine_write(f, region, 3, 99), 0);
	assert_int_equal(machine_events(f, EV_PGREUSE), reused);
	machine_check(f, region, 4, 1);
	assert_int_equal(machine_write(f, region, 4, 98), 0);
	assert_int_equal(machine_events(f, EV_PGREUSE), reused + 1);
	machine_swap_out(f, region, 3, 2);
	uint64_t value;

	assert_int_equal(machine_read(f, region, 3, &value), 0);
	assert_int_equal(value, 99);
	assert_int_equal(machine_read(f, region, 4, &value), 0);
	assert_int_equal(value, 98);
}

MACHINE_TEST(direct, .swap_pages = 4096, .swap_synchronous = true);

/* A page that is in the cache, on its way out, is taken from there. */
static void body_direct_cached(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 2);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };

	machine_fill(f, region, 0, 2);
	lru_drain_all(f->t);
	machine_age(f, region, 0, 2);
	struct page *page = machine_page_at(f, region, 0);

	sc.may_writepage = false;
	machine_reclaim(f, &sc, &stat, &page, 1);
	assert_true(page_test(page, PG_SWAPCACHE));
	struct traffic cost = read_pages(f, region, 0, 1, 1);

	assert_int_equal(cost.major, 0);
	assert_int_equal(cost.in, 0);
	assert_ptr_equal(machine_page_at(f, region, 0), page);
}

MACHINE_TEST(direct_cached, .swap_pages = 256, .swap_synchronous = true);

/* An error leaves everything as it was: the next access reads again. */
static void body_direct_error(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 4);
	uint64_t frames;
	uint64_t value;

	lru_drain_all(f->t);
	frames = machine_zone_count(f, NR_FREE_PAGES);
	store_fault_arm(f->swap[0], f->t, STORE_READ, 1, -EIO);
	assert_int_equal(machine_read(f, region, 2, &value), -EIO);
	assert_int_equal(atomic_load(&f->space->swap_entries), 4);
	assert_int_equal(map_of(f, machine_swap_at(f, region, 2)), 1);
	assert_int_equal(f->m->swap[0].read_errors, 1);
	assert_true(machine_zone_count(f, NR_FREE_PAGES) + 64 >= frames);
	machine_check(f, region, 0, 4);
	assert_int_equal(machine_node_count(f, WORKINGSET_REFAULT_ANON), 5);
}

MACHINE_TEST(direct_error, .swap_pages = 256, .swap_synchronous = true);

/* A disk with seeks: aligned blocks of slots, which here are in the order of the pages. */
static void body_read_rotational(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 255); /* slots 1..255 */
	struct traffic cost = read_pages(f, region, 0, 255, 1);

	assert_int_equal(machine_swap_at(f, region, 0), 0);
	assert_int_equal(cost.major, 32);
	assert_int_equal(cost.in, 255);
	assert_int_equal(cost.hits, 255 - 32);
}

MACHINE_TEST(read_rotational, .swap_pages = 4096, .swap_rotational = true);

/* The largest window: every slot of its block is read, also when the first is the wanted one. */
static void body_read_widest(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 255); /* slots 1..255 */

	atomic_store(&f->m->sysctl.page_cluster, 5);
	struct traffic cost = read_pages(f, region, 0, 255, 1);

	/* 7 pages, 8, 16, then blocks of 32. */
	assert_int_equal(cost.major, 3 + 7);
	assert_int_equal(cost.in, 255);
}

MACHINE_TEST(read_widest, .swap_pages = 4096, .swap_rotational = true);

static void body_read_rotational_far(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 500);
	struct traffic cost = read_pages(f, region, 0, 16, 31);

	assert_int_equal(cost.major, 16);
	/* 8 (7 without slot 0), 4, 2, 1, 1 ... */
	assert_int_equal(cost.ahead, 6 + 3 + 1);
	assert_int_equal(cost.hits, 0);
}

MACHINE_TEST(read_rotational_far, .swap_pages = 4096, .swap_rotational = true);

/* ---- what happens to the slot ---- */

static void body_slot_kept(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 4);
	uint32_t entry[4];

	atomic_store(&f->m->sysctl.page_cluster, 0);
	for (uint64_t page = 0; page < 4; page++) {
		entry[page] = machine_swap_at(f, region, page);
		assert_int_equal(map_of(f, entry[page]), 1);
	}
	/* Read: the slot stays, as a copy. */
	machine_check(f, region, 0, 1);
	struct page *page = machine_page_at(f, region, 0);

	assert_int_equal(map_of(f, entry[0]), SWAP_HAS_CACHE);
	assert_true(page_test(page, PG_SWAPCACHE));
	assert_false(page_test(page, PG_DIRTY));
	lru_drain_all(f->t);
	assert_int_equal(page_refs(page), 2);
	/* So that it can be given up without writing. */
	uint64_t out = machine_events(f, EV_PSWPOUT);

	machine_age(f, region, 0, 1);
	assert_int_equal(machine_reclaim_one(f, page), 1);
	assert_int_equal(machine_events(f, EV_PSWPOUT), out);
	assert_int_equal(machine_swap_at(f, region, 0), entry[0]);
	assert_int_equal(map_of(f, entry[0]), 1);
	machine_check(f, region, 0, 1);
	/* Written afterwards: the copy is worthless, and its slot free. */
	assert_int_equal(machine_write(f, region, 0, machine_value(region, 0, 0)), 0);
	page = machine_page_at(f, region, 0);
	swap_slots_drain(f->t, f->m);
	assert_int_equal(map_of(f, entry[0]), 0);
	assert_false(page_test(page, PG_SWAPCACHE));
	assert_true(page_test(page, PG_DIRTY));
	/* Swapped in by a write: freed at once. */
	assert_int_equal(machine_write(f, region, 1, machine_value(region, 1, 0)), 0);
	swap_slots_drain(f->t, f->m);
	assert_int_equal(map_of(f, entry[1]), 0);
	assert_false(page_test(machine_page_at(f, region, 1), PG_SWAPCACHE));
	machine_check(f, region, 0, 4);
}

MACHINE_TEST(slot_kept, .swap_pages = 1024);

/* When swap is more than half full, reads free their slots, too. */
static void body_half_full(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 60);
	uint32_t entry = machine_swap_at(f, region, 5);

	atomic_store(&f->m->sysctl.page_cluster, 0);
	assert_true(swap_is_half_full(f->m));
	machine_check(f, region, 5, 1);
	assert_int_equal(map_of(f, entry), 0);
	assert_false(page_test(machine_page_at(f, region, 5), PG_SWAPCACHE));
	assert_true(page_test(machine_page_at(f, region, 5), PG_DIRTY));
	machine_check(f, region, 0, 60);
}

MACHINE_TEST(half_full, .swap_pages = 101);

static void body_half_full_limit(struct machine_fixture *f)
{
	uint32_t entry[51];

	take(f, entry, 50);
	assert_false(swap_is_half_full(f->m)); /* 2 * 50 free is not less than 100 */
	take(f, &entry[50], 1);
	assert_true(swap_is_half_full(f->m));
	give_back(f, entry, 51);
}

MACHINE_TEST(half_full_limit, .swap_pages = 101);

/* No slot is free, but pages in memory hold copies: their slots are taken. */
static void body_reclaim_cached(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 40);
	uint32_t entry[60];

	atomic_store(&f->m->sysctl.page_cluster, 0);
	machine_check(f, region, 0, 40); /* 40 of 100: the slots stay */
	lru_drain_all(f->t);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 40);
	take(f, entry, 60);
	assert_int_equal(free_slots(f), 0);
	struct region *more = machine_region(f, 1);

	machine_fill(f, more, 0, 1);
	lru_drain_all(f->t);
	struct page *page = machine_page_at(f, more, 0);

	page_lock(f->t, page);
	assert_true(swap_cache_add_new(f->t, page));
	page_unlock(f->t, page);
	assert_int_equal(free_slots(f), 31);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 40 - 32 + 1);
	give_back(f, entry, 60);
	machine_check(f, region, 0, 40);
}

MACHINE_TEST(reclaim_cached, .swap_pages = 101);

/* Two tasks want the same page: it is read once, and both see it. */
struct reader {
	struct region *region;
	uint64_t page;
	uint64_t value;
};

static int read_one(struct task *t, void *arg)
{
	struct reader *reader = arg;

	return task_read(t, reader->region, reader->page, &reader->value);
}

static void body_two_readers(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 16);
	struct reader reader[4];
	struct task *task[4];

	atomic_store(&f->m->sysctl.page_cluster, 0);
	struct traffic before = traffic(f);

	for (uint32_t i = 0; i < 4; i++) {
		const struct task_spec spec = { .name = "reader",
						.fn = read_one,
						.arg = &reader[i] };

		reader[i] = (struct reader){ .region = region, .page = 3 };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(rt_join(f->t, task[i]), 0);
		assert_int_equal(reader[i].value, machine_value(region, 3, 0));
	}
	assert_int_equal(machine_events(f, EV_PSWPIN) - before.in, 1);
	assert_int_equal(atomic_load(&f->space->swap_entries), 15);
}

MACHINE_TEST(two_readers, .swap_pages = 1024, .nr_cpus = 4);

/* The same past the cache, with pages given back and swapped out in between. */
#define RACE_PAGES 24u

struct racer {
	struct machine_fixture *f;
	struct region *region;
	uint64_t seed;
	bool zaps;
	uint64_t nr_zero; /* out: pages found given back */
};

static int race(struct task *t, void *arg)
{
	struct racer *racer = arg;
	struct rng rng;

	t->machine = racer->f->m;
	rng_seed(&rng, racer->seed);
	for (uint32_t round = 0; round < 60; round++) {
		uint64_t page = rng_below(&rng, RACE_PAGES);
		uint64_t value;

		if (racer->zaps && round % 8 == 7) {
			region_zap(t, racer->region, page, 1);
		} else if (racer->zaps) {
			assert_int_equal(advice_pageout(t, racer->region, 0, RACE_PAGES), 0);
		} else {
			assert_int_equal(task_read(t, racer->region, page, &value), 0);
			racer->nr_zero += value == 0;
			if (value != 0)
				assert_int_equal(value, machine_value(racer->region, page, 0));
		}
		rt_preempt(t);
	}
	return 0;
}

static uint64_t race_seed, race_majors, race_zeroes;

static void body_direct_race(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, RACE_PAGES);
	struct racer racer[4];
	struct task *task[4];

	for (uint32_t i = 0; i < 4; i++) {
		const struct task_spec spec = { .name = "racer", .fn = race, .arg = &racer[i] };

		racer[i] = (struct racer){
			.f = f, .region = region, .seed = race_seed * 5 + i, .zaps = i == 0
		};
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(rt_join(f->t, task[i]), 0);
		race_zeroes += racer[i].nr_zero;
	}
	race_majors += machine_events(f, EV_PGMAJFAULT);
	assert_int_equal(machine_events(f, EV_PSWPIN), machine_events(f, EV_PGMAJFAULT));
	machine_settle(f);
	machine_verify(f);
}

static void test_direct_race(void **state)
{
	uint64_t first = machine_seed();

	(void)state;
	race_majors = race_zeroes = 0;
	for (race_seed = first; race_seed < first + 60; race_seed++)
		machine_run(&(struct machine_setup){ .pages = 1024,
						     .nr_cpus = 3,
						     .swap_pages = 1024,
						     .swap_synchronous = true,
						     .seed = race_seed,
						     .explore = true },
			    body_direct_race);
	assert_true(race_majors > 600 && race_zeroes > 60);
}

/* The region goes while its pages are in all states; nothing stays behind. */
static void body_zap(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 64);
	struct scan_control sc = machine_scan();
	struct reclaim_stat stat = { 0 };
	struct page *writing[8];

	machine_fill(f, region, 0, 64);
	machine_swap_out(f, region, 0, 24);
	machine_check(f, region, 8, 4); /* some in the cache, read ahead or mapped */
	machine_age(f, region, 40, 8);
	for (uint32_t i = 0; i < 8; i++)
		writing[i] = machine_page_at(f, region, 40 + i);
	assert_int_equal(machine_reclaim(f, &sc, &stat, writing, 8), 0);
	assert_int_equal(stat.nr_pageout, 8);
	assert_true(page_test(writing[0], PG_WRITEBACK));
	assert_int_equal(region_zap(f->t, region, 0, 64), 64);
	assert_int_equal(atomic_load(&f->space->swap_entries), 0);
	assert_int_equal(atomic_load(&f->space->rss_anon), 0);
	machine_settle(f);
	/* What was under write-out is left to reclaim, which needs one visit. */
	for (uint32_t i = 0; i < 8; i++)
		if (page_refs(writing[i]) != 0)
			assert_int_equal(machine_reclaim_one(f, writing[i]), 1);
	swap_slots_drain(f->t, f->m);
	assert_int_equal(free_slots(f), 1023);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
}

MACHINE_TEST(zap, .swap_pages = 1024);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_slot_cache),
		cmocka_unit_test(test_clusters),
		cmocka_unit_test(test_rotational),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_random_rotational),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_read_in_order),
		cmocka_unit_test(test_read_backwards),
		cmocka_unit_test(test_read_far),
		cmocka_unit_test(test_no_readahead),
		cmocka_unit_test(test_read_rotational),
		cmocka_unit_test(test_read_widest),
		cmocka_unit_test(test_read_rotational_far),
		cmocka_unit_test(test_return_cache),
		cmocka_unit_test(test_return_scarce),
		cmocka_unit_test(test_slot_kept),
		cmocka_unit_test(test_half_full),
		cmocka_unit_test(test_half_full_limit),
		cmocka_unit_test(test_reclaim_cached),
		cmocka_unit_test(test_two_readers),
		cmocka_unit_test(test_read_at_table),
		cmocka_unit_test(test_readahead_off),
		cmocka_unit_test(test_direct),
		cmocka_unit_test(test_direct_cached),
		cmocka_unit_test(test_direct_error),
		cmocka_unit_test(test_direct_race),
		cmocka_unit_test(test_zap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
