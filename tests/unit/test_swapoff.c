/*
 * Switching swap areas on and off (core/swapoff.c, core/swap_slots.c).
 *
 *   region ─ swapped out to area 0 ─ swap_off(0) ─> every page in memory or in area 1
 *
 * Each rule of spec 13, section 8, and of section 2's priorities. Contents are checked
 * page by page; verify_machine() after each test counts every slot and word.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/snapshot.h"
#include "core/snapshot_take.h"
#include "core/verify.h"

static int64_t free_slots(struct machine_fixture *f)
{
	return atomic_load(&f->m->nr_swap_free);
}

static int64_t total_slots(struct machine_fixture *f)
{
	return atomic_load(&f->m->nr_swap_total);
}

/* Everything comes back, counted as swap-ins but not as faults, and unused. */
static void body_back(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 300);
	uint64_t major = machine_events(f, EV_PGMAJFAULT);
	uint64_t in = machine_events(f, EV_PSWPIN);

	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	assert_int_equal(machine_events(f, EV_PGMAJFAULT), major);
	assert_int_equal(machine_events(f, EV_PSWPIN) - in, 300);
	assert_int_equal(atomic_load(&f->space->swap_entries), 0);
	assert_int_equal(atomic_load(&f->space->rss_anon), 300);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	assert_int_equal(total_slots(f), 0);
	assert_int_equal(free_slots(f), 0);
	for (uint64_t page = 0; page < 300; page++) {
		struct hw_entry entry = { .vpn = region->start_vpn + page };

		f->m->hw->ops->get(f->space->hw, &entry);
		assert_int_equal(entry.flags, HW_PRESENT);
	}
	/* Nothing on disk holds the contents: they are dirty, and may be written once more. */
	machine_check(f, region, 0, 300);
	machine_fill(f, region, 0, 300);
	/* Without an area nothing can be swapped out. */
	assert_int_equal(swap_slot_get(f->t), 0);
	assert_int_equal(swap_off(f->t, f->m, 0), -ENOENT);
	assert_int_equal(swap_off(f->t, f->m, 1), -ENOENT);
}

MACHINE_TEST(back, .swap_pages = 1024);

/* The place of an area serves the next one, of another size, too. */
static void body_again(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 200);
	uint32_t seen = 0;

	for (uint32_t round = 0; round < 2 * NEAP_MAX_SWAPS; round++) {
		const struct swap_spec spec = { .store = f->swap[0],
						.path = "/dev/again",
						.priority = SWAP_PRIO_AUTO };
		uint32_t type = round == 0 ? 0 : seen;

		assert_int_equal(swap_off(f->t, f->m, type), 0);
		assert_int_equal(total_slots(f), 0);
		machine_check(f, region, 0, 200);
		assert_int_equal(swap_on(f->t, f->m, &spec, &seen), 0);
		assert_int_equal(seen, min_u32(round + 1, NEAP_MAX_SWAPS - 1) *
					       (round + 1 < NEAP_MAX_SWAPS));
		assert_int_equal(f->m->swap[seen].priority, -2);
		assert_int_equal(total_slots(f), 1023);
		machine_swap_out(f, region, 0, 200);
	}
	machine_check(f, region, 0, 200);
}

MACHINE_TEST(again, .swap_pages = 1024);

static uint64_t allocated(struct machine_fixture *f)
{
	return machine_events(f, EV_PGALLOC_DMA) + machine_events(f, EV_PGALLOC_DMA32) +
	       machine_events(f, EV_PGALLOC_NORMAL) + machine_events(f, EV_PGALLOC_MOVABLE);
}

/*
 * Read-ahead by slots meets slots that nobody needs any more, every third. A fault sees that before
 * it takes a frame; swapoff, which has barred the CPUs' slot caches, after it.
 */
static void body_free_slots_cost_frames(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 300);

	atomic_store(&f->m->sysctl.vma_ra_enabled, 0);
	for (uint64_t page = 2; page < 300; page += 3)
		region_zap(f->t, region, page, 1);
	uint64_t before = allocated(f), in = machine_events(f, EV_PSWPIN);

	for (uint64_t page = 0; page < 90; page++)
		if (page % 3 != 2)
			machine_check(f, region, page, 1);
	assert_int_equal(allocated(f) - before, machine_events(f, EV_PSWPIN) - in);
	before = allocated(f);
	in = machine_events(f, EV_PSWPIN);
	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	uint64_t read = machine_events(f, EV_PSWPIN) - in;

	/* At most one of a window of two is free. */
	assert_true(read > 100);
	assert_true(allocated(f) - before >= read + 20);
	assert_true(allocated(f) - before <= 2 * read);
}

MACHINE_TEST(free_slots_cost_frames, .swap_pages = 1024);

/* Automatic priorities behind the one that goes move up; given ones stay. */
static void body_priorities(struct machine_fixture *f)
{
	const struct swap_spec spec = { .store = f->swap[0],
					.path = "x",
					.priority = SWAP_PRIO_AUTO };
	uint32_t type;

	assert_int_equal(f->m->swap[1].priority, 7);
	assert_int_equal(f->m->swap[2].priority, -3);
	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	assert_int_equal(f->m->swap[1].priority, 7);
	assert_int_equal(f->m->swap[2].priority, -2);
	assert_int_equal(swap_on(f->t, f->m, &spec, &type), 0);
	assert_int_equal(f->m->swap[type].priority, -3);
}

MACHINE_TEST(priorities, .swap_pages = 300, .nr_swaps = 3, .swap_priority = { 0, 7, 0 });

/* Half of the pages have no room in memory: they go to the other area meanwhile. */
static void body_other_area(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 1500);

	machine_fill(f, region, 0, 1500);
	assert_true(f->m->swap[0].inuse > 300);
	assert_int_equal(f->m->swap[1].inuse, 0);
	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	assert_true(f->m->swap[1].inuse > 300);
	machine_check(f, region, 0, 1500);
}

MACHINE_TEST(other_area, .pages = 1024, .swap_pages = 1200, .nr_swaps = 2,
	     .swap_priority = { 5, 1 });

/* Nowhere to go: the area stays as it was, and nothing is lost. */
static void body_no_room(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 1500);

	machine_fill(f, region, 0, 1500);
	assert_int_equal(swap_off(f->t, f->m, 0), -ENOMEM);
	assert_int_equal(total_slots(f), 1199);
	assert_int_equal(f->m->swap[0].priority, -2);
	assert_int_equal(atomic_load(&f->m->swap_cache_barred), 0);
	machine_check(f, region, 0, 1500);
	/* With less to hold it works. */
	region_zap(f->t, region, 0, 1200);
	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	machine_check(f, region, 1200, 300);
}

MACHINE_TEST(no_room, .pages = 1024, .swap_pages = 1200);

/* A page that cannot be read is an error for ever, and no other page's contents. */
static void body_lost(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 40);
	uint64_t lost = 0;
	uint64_t value;

	store_fault_arm(f->swap[0], f->t, STORE_READ, 10, -EIO);
	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	for (uint64_t page = 0; page < 40; page++) {
		int err = machine_read(f, region, page, &value);

		if (err == 0) {
			assert_int_equal(value, machine_value(region, page, 0));
			continue;
		}
		assert_int_equal(err, -EIO);
		assert_int_equal(machine_write(f, region, page, 1), -EIO);
		assert_int_equal(machine_read(f, region, page, &value), -EIO);
		lost++;
		/* Only giving the page up ends it. */
		assert_int_equal(region_zap(f->t, region, page, 1), 1);
		assert_int_equal(machine_write(f, region, page, 1), 0);
	}
	assert_int_equal(lost, 1);
	assert_int_equal(atomic_load(&f->space->swap_entries), 0);
}

MACHINE_TEST(lost, .swap_pages = 256);

/* Slots that only the cache holds are given back without a read. */
static void body_cached(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 64);
	uint64_t value;

	for (uint64_t page = 0; page < 64; page++)
		assert_int_equal(machine_read(f, region, page, &value), 0);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 64);
	uint64_t in = machine_events(f, EV_PSWPIN);

	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	assert_int_equal(machine_events(f, EV_PSWPIN), in);
	assert_int_equal(machine_node_count(f, NR_SWAPCACHED), 0);
	machine_check(f, region, 0, 64);
}

MACHINE_TEST(cached, .swap_pages = 1024);

/* /proc/swaps and meminfo: what is in an area that leaves still counts as swap. */
static void body_texts(struct machine_fixture *f)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(f->m->nr_nodes));
	struct region *region = machine_region_swapped(f, 100);

	swap_slots_drain(f->t, f->m);
	swap_area_close(f->t, &f->m->swap[0]);
	snapshot_take(f->t, f->m, snapshot);
	assert_int_equal(snapshot->nr_swaps, 2);
	assert_int_equal(snapshot->swap[0].used_pages, 100);
	assert_int_equal(snapshot->swap_total_pages, 299 + 100);
	assert_int_equal(snapshot->swap_free_pages, 299);
	swap_area_reopen(f->t, &f->m->swap[0]);
	assert_int_equal(f->m->swap[0].priority, -3);
	assert_int_equal(swap_off(f->t, f->m, 0), 0);
	snapshot_take(f->t, f->m, snapshot);
	assert_int_equal(snapshot->nr_swaps, 1);
	assert_int_equal(snapshot->swap_total_pages, 299);
	free(snapshot);
	machine_check(f, region, 0, 100);
}

MACHINE_TEST(texts, .swap_pages = 300, .nr_swaps = 2);

/* ---- with programs at work ---- */

struct writer {
	struct machine_fixture *f;
	struct region *region;
	uint64_t seed;
};

/* Touches, frees and reads pages of its own half for a while, and knows what each must hold. */
static int writer_main(struct task *t, void *arg)
{
	struct writer *w = arg;
	struct rng rng;
	uint64_t held[400] = { 0 };

	rng_seed(&rng, w->seed);
	for (uint32_t i = 0; i < 3000; i++) {
		uint64_t page = rng_below(&rng, 400);
		uint64_t value = 0;

		if (rng_below(&rng, 10) == 0) {
			(void)region_zap(t, w->region, page, 1);
			held[page] = 0;
		} else if (rng_below(&rng, 2) == 0) {
			held[page] = (uint64_t)i + 1;
			assert_int_equal(task_write(t, w->region, page, held[page]), 0);
		} else {
			assert_int_equal(task_read(t, w->region, page, &value), 0);
			assert_int_equal(value, held[page]);
		}
	}
	return 0;
}

/* Areas go off and on while two programs overcommit the memory. */
static void body_beside(struct machine_fixture *f)
{
	struct writer writer[2];
	struct task *task[2];
	uint32_t type[2] = { 0, 1 };

	for (uint32_t i = 0; i < 2; i++) {
		const struct task_spec spec = { .name = "writer",
						.fn = writer_main,
						.arg = &writer[i] };

		writer[i] = (struct writer){ f, machine_region(f, 400), f->setup->seed + i };
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t round = 0; round < 6; round++) {
		uint32_t i = round % 2;
		const struct swap_spec spec = { .store = f->swap[i],
						.path = "x",
						.priority = SWAP_PRIO_AUTO };

		rt_sleep(f->t, NSEC_PER_MSEC);
		assert_int_equal(swap_off(f->t, f->m, type[i]), 0);
		assert_int_equal(swap_on(f->t, f->m, &spec, &type[i]), 0);
	}
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(rt_join(f->t, task[i]), 0);
}

static void test_beside(void **state)
{
	uint64_t first = machine_seed();

	(void)state;
	for (uint64_t seed = first; seed < first + 20; seed++)
		machine_run(&(struct machine_setup){ .pages = 640,
						     .swap_pages = 1200,
						     .nr_swaps = 2,
						     .seed = seed,
						     .explore = true },
			    body_beside);
}

/*
 * An area goes, and with it the free slots that it had: the other is full, and the per-CPU caches
 * are on. A slot that is freed now is counted at once, because reclaim asks the count before it
 * asks for a slot; and who asks for one gets it out of another CPU's cache.
 */
static void body_last_slots(struct machine_fixture *f)
{
	static uint32_t entry[511];
	struct cpu *other = &f->m->cpus[1];

	for (uint32_t i = 0; i < 511; i++) {
		entry[i] = swap_slot_get(f->t);
		assert_int_equal(swap_type_of(entry[i]), 0);
	}
	assert_int_equal(f->m->swap_cache_on, 1);
	assert_int_equal(swap_off(f->t, f->m, 1), 0);
	assert_int_equal(free_slots(f), 0);
	assert_int_equal(f->m->swap_cache_on, 1);
	swap_slot_put(f->t, entry[510]);
	assert_int_equal(f->m->cpus[0].nr_swap_returned, 0);
	assert_int_equal(free_slots(f), 1);
	/* As if the other CPU had filled its cache just before. */
	assert_int_equal(swap_slot_get(f->t), entry[510]);
	atomic_store(&f->m->swap_cache_on, 1);
	for (uint32_t i = 511 - 64; i < 511; i++)
		other->swap_slot[other->nr_swap_slots++] = entry[i];
	assert_int_equal(free_slots(f), 0);
	entry[511 - 64] = swap_slot_get(f->t);
	assert_int_not_equal(entry[511 - 64], 0);
	assert_int_equal(other->nr_swap_slots, 0);
	assert_int_equal(free_slots(f), 63);
	for (uint32_t i = 0; i <= 511 - 64; i++)
		swap_slot_put(f->t, entry[i]);
	assert_int_equal(free_slots(f), 511);
}

MACHINE_TEST(last_slots, .nr_cpus = 2, .swap_pages = 512, .nr_swaps = 2, .swap_priority = { 9, 5 });

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_free_slots_cost_frames),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_other_area),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_cached),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_last_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
