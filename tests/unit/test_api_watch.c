/*
 * Watching: events called back, live and simulated; looking changes nothing; maps of
 * zones add up.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api_fixture.h"

#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return __LINE__;                                                           \
	} while (0)

static struct neap_machine *machine; /* of the test that runs */

static const struct api_setting small[] = {
	{ "memory", "8M" },
	{ "swap", "64M" },
	{ NULL, NULL },
};

/* More memory than the machine has: everything that reclaims is traced. */
static int fill(void *unused)
{
	struct neap_region *region;

	(void)unused;
	EXPECT(neap_region_create(machine, 12u << 20, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < neap_region_pages(region); page++)
		EXPECT(neap_access(region, page, true) == 0);
	neap_region_destroy(region);
	return 0;
}

struct watch {
	_Atomic uint64_t nr, nr_wakes, nr_wrong;
	bool looks;
	struct neap_map_cell cells[64];
};

static void on_event(void *ctx, const struct neap_event *event)
{
	struct watch *watch = ctx;
	struct neap_zone_gauge gauge;
	char text[256], *zoneinfo = NULL;
	uint64_t value;

	atomic_fetch_add(&watch->nr, 1);
	if (neap_zone_gauge(machine, 0, 2, &gauge) != 0 || gauge.managed_pages == 0 ||
	    event->task_name[0] == '\0')
		atomic_fetch_add(&watch->nr_wrong, 1);
	if (strcmp(event->name, "mm_page_alloc") == 0 &&
	    (!neap_event_value(event, "order", &value) || value > 10 ||
	     !neap_event_value(event, "pfn", &value) || neap_event_value(event, "fn", &value) ||
	     neap_event_value(event, "", &value)))
		atomic_fetch_add(&watch->nr_wrong, 1);
	if (strcmp(event->name, "mm_vmscan_kswapd_wake") != 0)
		return;
	atomic_fetch_add(&watch->nr_wakes, 1);
	if (neap_event_text(event, text, sizeof(text)) != strlen(text) ||
	    strcmp(text, "nid=0 order=0") != 0)
		atomic_fetch_add(&watch->nr_wrong, 1);
	if (neap_event_text(event, text, 4) != strlen("nid=0 order=0") || strcmp(text, "nid") != 0)
		atomic_fetch_add(&watch->nr_wrong, 1);
	if (!watch->looks)
		return;
	struct neap_map map = {
		.zone = 2, .cell_pages = 64, .cells = watch->cells, .nr_cells = 64
	};

	if (neap_proc_text(machine, "zoneinfo", &zoneinfo) <= 0 ||
	    neap_zone_map(machine, &map) != 32 || neap_counter(machine, "pgfault") == 0 ||
	    neap_trace_callback(machine, NULL, NULL) != -EINVAL)
		atomic_fetch_add(&watch->nr_wrong, 1);
	free(zoneinfo);
}

static void test_callback(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct watch watch = { .looks = strcmp(api_runtimes[i], "sim") == 0 };

		machine = api_machine_new(api_runtimes[i], small);
		assert_int_equal(neap_trace_callback(machine, NULL, NULL), 0);
		assert_int_equal(neap_trace_callback(machine, on_event, &watch), 0);
		assert_int_equal(neap_trace_callback(machine, on_event, &watch), -EBUSY);
		api_run(machine, fill, NULL);
		assert_int_equal(neap_trace_callback(machine, NULL, NULL), 0);
		uint64_t seen = atomic_load(&watch.nr);

		assert_true(seen > 3000);
		assert_true(atomic_load(&watch.nr_wakes) > 0);
		assert_int_equal(atomic_load(&watch.nr_wrong), 0);
		api_run(machine, fill, NULL);
		assert_int_equal(atomic_load(&watch.nr), seen);
		api_machine_end(machine);
	}
}

static uint64_t hash_of_run(struct watch *watch)
{
	uint64_t hash;

	machine = api_machine_new("sim", small);
	if (watch != NULL)
		assert_int_equal(neap_trace_callback(machine, on_event, watch), 0);
	api_run(machine, fill, NULL);
	if (watch != NULL)
		assert_int_equal(neap_trace_callback(machine, NULL, NULL), 0);
	hash = neap_state_hash(machine);
	api_machine_end(machine);
	return hash;
}

/* Texts, maps and counters read at every wake-up leave the run as it is. */
static void test_watching_changes_nothing(void **state)
{
	struct watch watch = { .looks = true };
	uint64_t alone = hash_of_run(NULL);

	(void)state;
	assert_int_equal(hash_of_run(&watch), alone);
	assert_true(atomic_load(&watch.nr_wakes) > 0);
	assert_int_equal(atomic_load(&watch.nr_wrong), 0);
}

struct picture {
	struct neap_map_cell cells[2048];
	int64_t nr;
};

static struct neap_map_cell sum(const struct picture *picture)
{
	struct neap_map_cell all = { 0 };

	for (int64_t i = 0; i < picture->nr; i++) {
		all.free += picture->cells[i].free;
		all.movable += picture->cells[i].movable;
		all.unmovable += picture->cells[i].unmovable;
		all.huge += picture->cells[i].huge;
		all.pinned += picture->cells[i].pinned;
		all.reserved += picture->cells[i].reserved;
	}
	return all;
}

static int look_at_pages(void *arg)
{
	struct picture *pictures = arg;
	struct neap_region *region;
	struct neap_block *block;
	void *data;

	EXPECT(neap_region_create(machine, 400u << 12, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < 400; page++)
		EXPECT(neap_access(region, page, true) == 0);
	EXPECT(neap_pin(region, 7, true, &data) == 0);
	EXPECT(neap_block_alloc(machine, 6, 0xcc0, NEAP_ANY_NODE, &block) == 0);
	for (uint32_t i = 0; i < 3; i++) {
		static const uint32_t sizes[] = { 1, 16, 1024 };
		struct neap_map map = { .zone = 2,
					.cell_pages = sizes[i],
					.cells = pictures[i].cells,
					.nr_cells = 2048 };

		pictures[i].nr = neap_zone_map(machine, &map);
		EXPECT(pictures[i].nr == 2048 / sizes[i]);
	}
	neap_unpin(region, 7);
	neap_block_free(machine, block);
	neap_region_destroy(region);
	return 0;
}

/* The same pages, whatever the size of a cell; one pinned, a block of 64 that cannot move. */
static void test_map(void **state)
{
	struct picture *pictures = calloc(3, sizeof(*pictures));
	struct neap_map map = { .zone = 2, .cell_pages = 3 };
	struct neap_zone_gauge gauge;

	(void)state;
	assert_non_null(pictures);
	for (size_t i = 0; i < 2; i++) {
		struct neap_map_cell all;

		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, look_at_pages, pictures);
		all = sum(&pictures[0]);
		for (uint32_t k = 1; k < 3; k++) {
			struct neap_map_cell other = sum(&pictures[k]);

			assert_memory_equal(&other, &all, sizeof(all));
		}
		assert_int_equal(all.pinned, 1);
		assert_int_equal(all.movable, 399);
		assert_true(all.unmovable >= 64 && all.unmovable < 128);
		assert_int_equal(all.free + all.movable + all.unmovable + all.pinned + all.reserved,
				 2048);
		assert_int_equal(neap_zone_map(machine, &map), -EINVAL);
		map.cell_pages = 4;
		assert_int_equal(neap_zone_map(machine, &map), 512);
		map.zone = 0;
		assert_int_equal(neap_zone_map(machine, &map), -ENOENT);
		assert_int_equal(neap_zone_gauge(machine, 0, 0, &gauge), -ENOENT);
		assert_int_equal(neap_zone_gauge(machine, 1, 2, &gauge), -EINVAL);
		assert_int_equal(neap_zone_gauge(machine, 0, 2, &gauge), 0);
		assert_string_equal(gauge.name, "Normal");
		map = (struct neap_map){ .zone = 2, .cell_pages = 3 };
		api_machine_end(machine);
	}
	free(pictures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_watching_changes_nothing),
		cmocka_unit_test(test_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
