/*
 * test_swap_fault.c: what a fault does while the page it wants is being read from swap.
 */
#include "machine_fixture.h"

/* Reads every page of the region in order. => major faults */
static uint64_t read_all(struct machine_fixture *f, struct region *region)
{
	uint64_t before = machine_events(f, EV_PGMAJFAULT);

	machine_check(f, region, 0, region->nr_pages);
	return machine_events(f, EV_PGMAJFAULT) - before;
}

/*
 * A page that is read with others is waited for without the space's lock, so that the fault is
 * taken anew and counted twice; one that is read alone is waited for on the spot.
 */
static void body_waiting_counts_twice(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 256);
	uint64_t before = machine_events(f, EV_PGFAULT);
	uint64_t majors = read_all(f, region);

	assert_true(majors < 64);
	assert_int_equal(machine_events(f, EV_PGFAULT) - before, 256 + majors);
	machine_swap_out(f, region, 0, 256);
	atomic_store(&f->m->sysctl.page_cluster, 0);
	before = machine_events(f, EV_PGFAULT);
	assert_int_equal(read_all(f, region), 256);
	assert_int_equal(machine_events(f, EV_PGFAULT) - before, 256);
}

MACHINE_TEST(waiting_counts_twice, .swap_pages = 4096);

/* Pages read ahead are put on their list at once; a page alone waits in the CPU's batch. */
static void body_read_alone_stays_in_batch(struct machine_fixture *f)
{
	struct region *region = machine_region_swapped(f, 64);
	const struct lru_batch *batch = &f->m->cpus[0].batch[BATCH_ADD];

	machine_check(f, region, 0, 1);
	assert_int_equal(batch->nr, 0);
	atomic_store(&f->m->sysctl.page_cluster, 0);
	machine_check(f, region, 60, 1);
	assert_int_equal(batch->nr, 1);
	machine_check(f, region, 30, 1);
	assert_int_equal(batch->nr, 2);
}

MACHINE_TEST(read_alone_stays_in_batch, .swap_pages = 4096);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waiting_counts_twice),
		cmocka_unit_test(test_read_alone_stays_in_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
