/*
 * Caches of a program that the machine asks to shrink, and reclaim on request, through
 * the public interface, on both runtimes; and swap that is in memory, which is simulated.
 *
 *   program ── blocks of the machine ──> its cache
 *   pressure ──> count, scan ──> neap_block_free() ──> the frames are free
 *
 * What must never happen here: a callback after neap_shrinker_unregister() returned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "api_fixture.h"

#define GFP_KERNEL_BITS 0xcc0u
#define BLOCKS 1024u

#define EXPECT(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			print_error("%s:%d: %s\n", __FILE__, __LINE__, #condition);                \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

static const struct api_setting small[] = { { "memory", "16M" },
					    { "swap", "64M" },
					    { NULL, NULL } };

static struct neap_machine *machine;

/* A cache whose objects are one frame each. Its lock is never held across a call into neap. */
static struct cache {
	pthread_mutex_t mutex;
	struct neap_block *block[BLOCKS];
	uint32_t nr;
	_Atomic bool registered;
	_Atomic uint64_t late; /* calls after the end */
} cache = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static uint64_t cache_count(void *ctx, const struct neap_shrink *shrink)
{
	struct cache *c = ctx;

	(void)shrink;
	if (!atomic_load(&c->registered))
		atomic_fetch_add(&c->late, 1);
	pthread_mutex_lock(&c->mutex);
	uint64_t nr = c->nr;

	pthread_mutex_unlock(&c->mutex);
	return nr;
}

static uint64_t cache_scan(void *ctx, struct neap_shrink *shrink)
{
	struct cache *c = ctx;
	uint64_t freed = 0;

	while (freed < shrink->nr_to_scan) {
		struct neap_block *block = NULL;

		pthread_mutex_lock(&c->mutex);
		if (c->nr != 0)
			block = c->block[--c->nr];
		pthread_mutex_unlock(&c->mutex);
		if (block == NULL)
			break;
		neap_block_free(machine, block);
		freed++;
	}
	return freed;
}

static int fill_cache(void)
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		EXPECT(neap_block_alloc(machine, 0, GFP_KERNEL_BITS, NEAP_ANY_NODE,
					&cache.block[i]) == 0);
	cache.nr = BLOCKS;
	return 0;
}

/* Memory for twice what is there is asked for: the cache gives way, and what is left is ours. */
static int press(void *unused)
{
	const struct neap_shrinker shrinker = {
		.count = cache_count, .scan = cache_scan, .ctx = &cache, .seeks = 2, .batch = 32
	};
	const struct neap_shrinker half = { .count = cache_count, .ctx = &cache };
	struct neap_region *region;
	uint64_t value;

	(void)unused;
	EXPECT(neap_shrinker_register(machine, &half) == -EINVAL);
	EXPECT(neap_shrinker_unregister(machine, 1) == -ENOENT); /* the engine's own */
	EXPECT(fill_cache() == 0);
	atomic_store(&cache.registered, true);
	int number = neap_shrinker_register(machine, &shrinker);

	EXPECT(number > 0);
	EXPECT(neap_region_create(machine, 24 << 20, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < 6144; page++) {
		value = page * 7;
		EXPECT(neap_write(region, page * NEAP_PAGE_SIZE, &value, sizeof(value)) == 0);
	}
	EXPECT(cache.nr < BLOCKS / 2);
	EXPECT(neap_counter(machine, "slabs_scanned") >= BLOCKS / 2);
	for (uint64_t page = 0; page < 6144; page++) {
		EXPECT(neap_read(region, page * NEAP_PAGE_SIZE, &value, sizeof(value)) == 0);
		EXPECT(value == page * 7);
	}
	neap_region_destroy(region);
	/* The rest on request. */
	EXPECT(neap_sysctl_write(machine, "drop_caches", "2", 1) == 1);
	EXPECT(cache.nr == 0);
	EXPECT(neap_counter(machine, "drop_slab") == 1);
	EXPECT(neap_shrinker_unregister(machine, number) == 0);
	atomic_store(&cache.registered, false);
	EXPECT(neap_shrinker_unregister(machine, number) == -ENOENT);
	return 0;
}

/* More after the end: nobody calls. */
static int press_again(void *unused)
{
	struct neap_region *region;

	(void)unused;
	EXPECT(neap_region_create(machine, 24 << 20, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < 6144; page++)
		EXPECT(neap_access(region, page, true) == 0);
	EXPECT(cache.late == 0);
	neap_region_destroy(region);
	return 0;
}

static void test_cache(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, press, NULL);
		api_run(machine, press_again, NULL);
		api_machine_end(machine);
	}
}

/* What the program forgot to unregister ends with the machine. */
static int forget(void *unused)
{
	const struct neap_shrinker shrinker = {
		.count = cache_count, .scan = cache_scan, .ctx = &cache, .seeks = 2
	};

	(void)unused;
	atomic_store(&cache.registered, true);
	for (uint32_t i = 0; i < 15; i++)
		EXPECT(neap_shrinker_register(machine, &shrinker) > 0);
	EXPECT(neap_shrinker_register(machine, &shrinker) == -ENOSPC);
	return 0;
}

static void test_forgotten(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, forget, NULL);
		neap_machine_destroy(machine);
	}
}

static int shrink_all(void *unused)
{
	struct neap_region *region;
	struct neap_gauge before, after;
	int64_t freed;

	(void)unused;
	EXPECT(neap_region_create(machine, 8 << 20, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < 2048; page++)
		EXPECT(neap_access(region, page, true) == 0);
	neap_gauge(machine, &before);
	/* Twice at least: what is young is passed over first, what is written is freed later. */
	freed = neap_shrink_all(machine, 1000);
	EXPECT(freed >= 0);
	for (uint32_t i = 0; i < 20; i++) {
		neap_sleep(machine, 20000000);
		freed += neap_shrink_all(machine, 1000);
	}
	neap_gauge(machine, &after);
	EXPECT(freed >= 1000);
	EXPECT(after.free_pages > before.free_pages + 500);
	for (uint64_t page = 0; page < 2048; page++)
		EXPECT(neap_access(region, page, false) == 0);
	neap_region_destroy(region);
	return 0;
}

static void test_shrink_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, shrink_all, NULL);
		api_machine_end(machine);
	}
}

/* ---- swap in memory ---- */

static int read_past_the_cache(void *unused)
{
	struct neap_region *region;
	uint64_t value;

	(void)unused;
	EXPECT(neap_region_create(machine, 24 << 20, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint64_t page = 0; page < 6144; page++) {
			value = page * 7;
			if (round == 0)
				EXPECT(neap_write(region, page * NEAP_PAGE_SIZE, &value,
						  sizeof(value)) == 0);
			EXPECT(neap_read(region, page * NEAP_PAGE_SIZE, &value, sizeof(value)) ==
			       0);
			EXPECT(value == page * 7);
		}
	}
	EXPECT(neap_counter(machine, "pswpin") > 4000);
	EXPECT(neap_counter(machine, "pswpin") == neap_counter(machine, "pgmajfault"));
	EXPECT(neap_counter(machine, "swap_ra") == 0);
	neap_region_destroy(region);
	return 0;
}

static void test_swap_in_memory(void **state)
{
	static const struct api_setting settings[] = { { "memory", "16M" },
						       { "swap", "64M,disk=0" },
						       { NULL, NULL } };

	(void)state;
	machine = api_machine_new("sim", settings);
	api_run(machine, read_past_the_cache, NULL);
	api_machine_end(machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_shrink_all),
		cmocka_unit_test(test_swap_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
