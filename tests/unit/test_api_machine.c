/*
 * The public interface on whole machines, live and simulated: life and death, memory
 * larger than the machine, pins, blocks, knobs, texts, threads, injected errors.
 *
 * Tasks return the line of what failed, 0 otherwise, since assertions of the test
 * library cannot leave a simulated task.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_fixture.h"

#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return __LINE__;                                                           \
	} while (0)

#define GFP_KERNEL_BITS 0xcc0u

static struct neap_machine *machine; /* of the test that runs */

static const struct api_setting small[] = {
	{ "memory", "8M" },
	{ "swap", "64M" },
	{ NULL, NULL },
};

/* ---- life and death ---- */

static void test_create_destroy(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_machine_end(machine);
	}
	neap_machine_destroy(NULL);
}

/* The nth thread of a machine cannot be started: an error, a sentence, nothing left. */
static void test_spawn_fails(void **state)
{
	(void)state;
	for (int nth = 1; nth <= 8; nth++) {
		for (size_t i = 0; i < 2; i++) {
			struct neap_config *config = neap_config_new();
			char text[16];
			int err;

			(void)snprintf(text, sizeof(text), "%d", nth);
			assert_int_equal(neap_config_set(config, "runtime", api_runtimes[i]), 0);
			assert_int_equal(neap_config_set(config, "fault.spawn", text), 0);
			err = neap_machine_create(config, &machine);
			if (err == 0)
				neap_machine_destroy(machine);
			else
				assert_non_null(strstr(neap_config_error(config), "thread"));
			/* A machine of one node has kswapd0, kcompactd0 and two or three more. */
			assert_int_equal(err, nth <= 4 ? -EAGAIN : err);
			assert_true(nth <= 5 || err == 0);
			neap_config_free(config);
		}
	}
}

static int leave_things(void *unused)
{
	struct neap_region *region;
	struct neap_file *file;
	struct neap_block *block;
	void *data;

	(void)unused;
	EXPECT(neap_region_create(machine, 16 << 20, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < 4096; page++)
		EXPECT(neap_access(region, page, true) == 0);
	EXPECT(neap_pin(region, 7, true, &data) == 0);
	EXPECT(neap_file_open(machine, NULL, 1 << 20, 0, &file) == 0);
	EXPECT(neap_region_map(file, 0, &region) == 0);
	EXPECT(neap_access(region, 3, true) == 0);
	EXPECT(neap_block_alloc(machine, 2, GFP_KERNEL_BITS, NEAP_ANY_NODE, &block) == 0);
	return 0;
}

/* Destruction takes back what the program forgot. */
static void test_forgotten(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, leave_things, NULL);
		neap_machine_destroy(machine);
	}
}

static int call_nothing(void *unused)
{
	(void)unused;
	return 0;
}

static int call_nested(void *unused)
{
	(void)unused;
	EXPECT(neap_run(machine, call_nothing, NULL) == -EINVAL);
	return 0;
}

/* Outside neap_run() a simulated machine refuses, in words. */
static void test_no_task(void **state)
{
	struct neap_region *region = NULL;

	(void)state;
	machine = api_machine_new("sim", small);
	assert_int_equal(neap_region_create(machine, 4096, 0, NEAP_ANY_NODE, &region), -EINVAL);
	assert_non_null(strstr(neap_machine_error(machine), "inside neap_run()"));
	api_run(machine, call_nested, NULL);
	api_machine_end(machine);
}

/* ---- memory ---- */

#define BIG_BYTES ((uint64_t)24 << 20)

/* Random pieces that cross pages, checked against plain memory. */
static int random_pieces(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	unsigned char *model = calloc(1, BIG_BYTES);
	struct neap_region *region;
	unsigned char buffer[9000];

	EXPECT(model != NULL);
	EXPECT(neap_region_create(machine, BIG_BYTES, 0, NEAP_ANY_NODE, &region) == 0);
	for (int i = 0; i < 20000; i++) {
		uint64_t bytes = api_random(&random) % (i % 16 == 0 ? sizeof(buffer) : 64);
		uint64_t offset = api_random(&random) % (BIG_BYTES - bytes);

		if (api_random(&random) % 2 == 0) {
			memset(buffer, (int)(api_random(&random) & 255), bytes);
			EXPECT(neap_write(region, offset, buffer, bytes) == 0);
			memcpy(model + offset, buffer, bytes);
		} else {
			EXPECT(neap_read(region, offset, buffer, bytes) == 0);
			EXPECT(memcmp(buffer, model + offset, bytes) == 0);
		}
	}
	for (uint64_t page = 0; page < BIG_BYTES / NEAP_PAGE_SIZE; page++) {
		struct neap_page at;

		EXPECT(neap_page_begin(region, page, NEAP_PAGE_READ, &at) == 0);
		int same = memcmp(at.data, model + page * NEAP_PAGE_SIZE, NEAP_PAGE_SIZE) == 0;

		neap_page_end(region, &at);
		EXPECT(same);
	}
	EXPECT(neap_counter(machine, "pswpout") > 1000);
	EXPECT(neap_release(region, 10, 100) > 0);
	EXPECT(neap_read(region, 10 * NEAP_PAGE_SIZE, buffer, 8) == 0);
	EXPECT(memcmp(buffer, "\0\0\0\0\0\0\0\0", 8) == 0);
	neap_region_destroy(region);
	free(model);
	return 0;
}

static void test_larger_than_memory(void **state)
{
	uint64_t seed = api_seed();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct neap_gauge gauge;

		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, random_pieces, &seed);
		neap_gauge(machine, &gauge);
		assert_int_equal(gauge.managed_pages, 2048);
		assert_true(gauge.peak_used_pages > 1500 && gauge.peak_used_pages <= 2048);
		/*
		 * Slots that CPUs keep at hand count as used, as Linux counts them; a page that was
		 * being written when its region went keeps its slot until reclaim comes by.
		 */
		assert_true(gauge.swap_used_pages <=
			    2 * 64 + neap_counter(machine, "nr_swapcached"));
		assert_int_equal(gauge.nr_kswapd, 1);
		api_machine_end(machine);
	}
}

static int bad_arguments(void *unused)
{
	struct neap_region *region;
	struct neap_page page;
	char byte;

	(void)unused;
	EXPECT(neap_region_create(machine, 0, 0, NEAP_ANY_NODE, &region) == -EINVAL);
	EXPECT(neap_region_create(machine, 4096, 0, 1, &region) == -EINVAL);
	EXPECT(neap_region_create(machine, 4096, 64, NEAP_ANY_NODE, &region) == -EINVAL);
	EXPECT(neap_region_create(machine, 5000, 0, NEAP_ANY_NODE, &region) == 0);
	EXPECT(neap_region_pages(region) == 2);
	EXPECT(neap_read(region, 8191, &byte, 1) == 0 && byte == 0);
	EXPECT(neap_read(region, 8192, &byte, 1) == -EINVAL);
	EXPECT(neap_read(region, 8192, &byte, 0) == 0);
	EXPECT(neap_read(region, UINT64_MAX, &byte, 2) == -EINVAL);
	EXPECT(neap_access(region, 2, false) == -EINVAL);
	EXPECT(neap_page_begin(region, 2, NEAP_PAGE_READ, &page) == -EINVAL);
	EXPECT(neap_release(region, 1, 2) == -EINVAL);
	EXPECT(neap_advise(region, 0, 2, (enum neap_advice)99) == -ENOTSUP);
	EXPECT(neap_advise(region, 1, 2, NEAP_COLD) == -EINVAL);
	EXPECT(neap_advise(region, 0, 1, NEAP_RANDOM) == -EINVAL);
	EXPECT(neap_advise(region, 0, 2, NEAP_SEQUENTIAL) == 0);
	EXPECT(neap_advise(region, 0, 2, NEAP_POPULATE_WRITE) == 0);
	EXPECT(neap_advise(region, 0, 2, NEAP_LAZYFREE) == 0);
	EXPECT(neap_advise(region, 0, 2, NEAP_DONTNEED) == 0);
	EXPECT(neap_advise(region, 0, 2, NEAP_WILLNEED) == 0);
	EXPECT(neap_set_cpu(machine, 2) == -EINVAL);
	EXPECT(neap_set_cpu(machine, 1) == 0);
	neap_region_destroy(region);
	return 0;
}

static void test_bad_arguments(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, bad_arguments, NULL);
		api_machine_end(machine);
	}
}

/* ---- pins and locked regions ---- */

static int pins(void *unused)
{
	struct neap_region *region, *locked;
	uint64_t value;
	char *first, *again, *clean;

	(void)unused;
	EXPECT(neap_region_create(machine, BIG_BYTES, 0, NEAP_ANY_NODE, &region) == 0);
	EXPECT(neap_pin(region, 5, true, (void **)&first) == 0);
	EXPECT(neap_pin(region, 5, false, (void **)&again) == 0 && again == first);
	EXPECT(neap_pin(region, 6, false, (void **)&clean) == 0);
	EXPECT(neap_release(region, 0, 6) == -EBUSY);
	memcpy(first, "pinned!", 8);
	for (uint64_t page = 0; page < BIG_BYTES / NEAP_PAGE_SIZE; page++)
		EXPECT(page == 5 || neap_access(region, page, true) == 0);
	EXPECT(memcmp(first, "pinned!", 8) == 0);
	/* What others write shows in a page that was pinned before anybody wrote to it. */
	EXPECT(neap_write(region, 6 * NEAP_PAGE_SIZE, "seen", 5) == 0);
	EXPECT(strcmp(clean, "seen") == 0);
	memcpy(first, "written", 8);
	neap_unpin(region, 5);
	neap_unpin(region, 5);
	neap_unpin(region, 6);
	EXPECT(neap_region_create(machine, 1 << 20, NEAP_LOCKED, NEAP_ANY_NODE, &locked) == 0);
	for (uint64_t page = 0; page < BIG_BYTES / NEAP_PAGE_SIZE; page++)
		EXPECT(page == 5 || neap_access(region, page, true) == 0);
	/* 256, less what a CPU has not folded yet. */
	EXPECT(neap_counter(machine, "nr_mlock") > 240);
	EXPECT(neap_read(region, 5 * NEAP_PAGE_SIZE, &value, 8) == 0);
	EXPECT(memcmp(&value, "written", 8) == 0);
	neap_region_destroy(locked);
	neap_region_destroy(region);
	return 0;
}

static void test_pins(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, pins, NULL);
		api_machine_end(machine);
	}
}

/* ---- blocks ---- */

static int blocks(void *unused)
{
	struct neap_block *block[64];
	struct neap_gauge before, during, after;

	(void)unused;
	EXPECT(neap_block_alloc(machine, 11, GFP_KERNEL_BITS, NEAP_ANY_NODE, block) == -EINVAL);
	EXPECT(neap_block_alloc(machine, 0, GFP_KERNEL_BITS, 7, block) == -EINVAL);
	neap_gauge(machine, &before);
	for (uint32_t i = 0; i < 64; i++)
		EXPECT(neap_block_alloc(machine, i % 4, GFP_KERNEL_BITS, i % 2 ? 0 : NEAP_ANY_NODE,
					&block[i]) == 0);
	neap_gauge(machine, &during);
	EXPECT(before.free_pages - during.free_pages >= 16 * 15);
	EXPECT(neap_verify(machine) == 0);
	for (uint32_t i = 0; i < 64; i++)
		neap_block_free(machine, block[i]);
	EXPECT(neap_verify(machine) == 0);
	neap_gauge(machine, &after);
	EXPECT(after.free_pages > during.free_pages);
	return 0;
}

static void test_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, blocks, NULL);
		api_machine_end(machine);
	}
}

/* Frees that wait for their descriptors are counted when the task that asked for them looks. */
static int freed_are_counted(void *unused)
{
	static struct neap_block *block[1400];

	(void)unused;
	for (uint32_t last = 1380; last < 1400; last++) {
		for (uint32_t i = 0; i < 1400; i++)
			EXPECT(neap_block_alloc(machine, 0, GFP_KERNEL_BITS, NEAP_ANY_NODE,
						&block[i]) == 0);
		uint64_t before = neap_counter(machine, "pgfree");

		for (uint32_t i = 0; i < last; i++)
			neap_block_free(machine, block[i]);
		EXPECT(neap_counter(machine, "pgfree") >= before + last);
		for (uint32_t i = last; i < 1400; i++)
			neap_block_free(machine, block[i]);
	}
	return 0;
}

static void test_freed_are_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, freed_are_counted, NULL);
		api_machine_end(machine);
	}
}

/* ---- tags ---- */

static int tags(void *unused)
{
	struct neap_region *region;
	struct neap_page page;
	void *data;
	char byte;

	(void)unused;
	EXPECT(neap_region_create(machine, BIG_BYTES, 0, NEAP_ANY_NODE, &region) == 0);
	EXPECT(neap_read(region, 0, &byte, 1) == -ENOTSUP);
	EXPECT(neap_write(region, 0, &byte, 1) == -ENOTSUP);
	EXPECT(neap_pin(region, 0, true, &data) == -ENOTSUP);
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < BIG_BYTES / NEAP_PAGE_SIZE; i++) {
			EXPECT(neap_page_begin(region, i, NEAP_PAGE_WRITE, &page) == 0);
			int same = page.data == NULL && *page.tag == (round == 0 ? 0 : i ^ 0x55);

			*page.tag = i ^ 0x55;
			neap_page_end(region, &page);
			EXPECT(same);
		}
	}
	EXPECT(neap_counter(machine, "pswpin") > 1000);
	neap_region_destroy(region);
	return 0;
}

static void test_tags(void **state)
{
	static const struct api_setting settings[] = {
		{ "contents", "tags" },
		{ "memory", "8M" },
		{ "swap", "64M" },
		{ NULL, NULL },
	};

	(void)state;
	machine = api_machine_new("sim", settings);
	api_run(machine, tags, NULL);
	api_machine_end(machine);
}

/* ---- threads ---- */

struct worker {
	struct neap_region *region;
	uint64_t index;
};

static int work(void *arg)
{
	struct worker *worker = arg;
	uint64_t nr_pages = neap_region_pages(worker->region) / 4;
	uint64_t first = worker->index * nr_pages;

	for (uint64_t round = 0; round < 2; round++) {
		for (uint64_t page = first; page < first + nr_pages; page++) {
			uint64_t offset = page * NEAP_PAGE_SIZE + 8 * (page % 512);
			uint64_t value = 0;

			EXPECT(neap_read(worker->region, offset, &value, 8) == 0);
			EXPECT(value == (round == 0 ? 0 : page * 3));
			value = page * 3;
			EXPECT(neap_write(worker->region, offset, &value, 8) == 0);
		}
	}
	return 0;
}

static int threads(void *unused)
{
	struct neap_thread *thread[4];
	struct worker worker[4];
	struct neap_region *region;

	(void)unused;
	EXPECT(neap_region_create(machine, BIG_BYTES, 0, NEAP_ANY_NODE, &region) == 0);
	EXPECT(neap_thread_start(machine, "bad", 2, work, NULL, &thread[0]) == -EINVAL);
	for (uint64_t i = 0; i < 4; i++) {
		worker[i] = (struct worker){ .region = region, .index = i };
		EXPECT(neap_thread_start(machine, "worker", i % 2 == 0 ? -1 : 1, work, &worker[i],
					 &thread[i]) == 0);
	}
	for (uint64_t i = 0; i < 4; i++)
		EXPECT(neap_thread_join(machine, thread[i]) == 0);
	neap_inject(machine, "spawn", 1, 0);
	EXPECT(neap_thread_start(machine, "none", -1, work, NULL, &thread[0]) == -EAGAIN);
	neap_region_destroy(region);
	return 0;
}

static void test_threads(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, threads, NULL);
		api_machine_end(machine);
	}
}

static int sleeps(void *unused)
{
	uint64_t before = neap_now(machine);

	(void)unused;
	neap_sleep(machine, 2000000);
	EXPECT(neap_now(machine) >= before + 2000000);
	before = neap_now(machine);
	neap_tick(machine, 1000);
	EXPECT(neap_now(machine) >= before);
	return 0;
}

static void test_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, sleeps, NULL);
		api_machine_end(machine);
	}
}

/* ---- the same seed, the same history ---- */

static uint64_t history(const char *seed)
{
	const struct api_setting settings[] = {
		{ "memory", "8M" },
		{ "swap", "64M" },
		{ "seed", seed },
		{ NULL, NULL },
	};
	uint64_t hash;

	machine = api_machine_new("sim", settings);
	api_run(machine, threads, NULL);
	hash = neap_state_hash(machine);
	api_machine_end(machine);
	return hash;
}

static void test_repeatable(void **state)
{
	(void)state;
	assert_true(history("5") == history("5"));
	assert_true(history("5") != history("6"));
}

/* ---- knobs, texts, counters ---- */

static void test_texts(void **state)
{
	static const char *const files[] = { "vmstat", "zoneinfo", "buddyinfo", "meminfo",
					     "swaps" };
	static const struct api_setting settings[] = {
		{ "memory", "8M" },
		{ "swap", "64M" },
		{ "sysctl.swappiness", "33" },
		{ NULL, NULL },
	};
	char dir[] = "/tmp/test-test-XXXXXX";
	char path[64], buffer[64];
	char *text;

	(void)state;
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], settings);
		for (size_t j = 0; j < 5; j++) {
			int64_t bytes = neap_proc_text(machine, files[j], &text);

			assert_true(bytes > 0 && strlen(text) == (size_t)bytes);
			free(text);
		}
		assert_int_equal(neap_proc_text(machine, "nonsense", &text), -ENOENT);
		(void)snprintf(path, sizeof(path), "%s/a%zu/b", dir, i);
		assert_int_equal(neap_snapshot_save(machine, path), 0);
		(void)strncat(path, "/meminfo", sizeof(path) - strlen(path) - 1);
		assert_int_equal(access(path, R_OK), 0);
		assert_int_equal(neap_snapshot_save(machine, "/proc/nothing"), -ENOENT);
		assert_true(neap_sysctl_read(machine, "swappiness", buffer, sizeof(buffer)) > 0);
		assert_int_equal(strtol(buffer, NULL, 10), 33);
		assert_true(neap_sysctl_write(machine, "swappiness", "44\n", 3) > 0);
		assert_true(neap_sysctl_read(machine, "swappiness", buffer, sizeof(buffer)) > 0);
		assert_int_equal(strtol(buffer, NULL, 10), 44);
		assert_int_equal(neap_sysctl_write(machine, "swapiness", "1", 1), -ENOENT);
		assert_true(neap_counter(machine, "nr_free_pages") > 1500);
		assert_true(neap_counter(machine, "no_such_counter") == 0);
		api_machine_end(machine);
	}
	(void)snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

static int count_accesses(void *unused)
{
	struct neap_region *region;

	(void)unused;
	EXPECT(neap_region_create(machine, 40960, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t i = 0; i < 1003; i++)
		EXPECT(neap_access(region, i % 10, true) == 0);
	EXPECT(neap_counter(machine, "accesses") == 1003);
	EXPECT(neap_counter(machine, "pgfault") >= 10);
	neap_region_destroy(region);
	return 0;
}

static void test_counters(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, count_accesses, NULL);
		api_machine_end(machine);
	}
}

/* ---- a PC ---- */

static void test_pc(void **state)
{
	static const struct api_setting settings[] = {
		{ "machine", "nodes=96M/0+96M/1 cpus=2 swap=32M" },
		{ NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct neap_gauge gauge;
		char *text;

		machine = api_machine_new(api_runtimes[i], settings);
		neap_gauge(machine, &gauge);
		assert_int_equal(gauge.nr_kswapd, 2);
		assert_int_equal(gauge.swap_total_pages, 8191);
		assert_true(neap_proc_text(machine, "zoneinfo", &text) > 0);
		assert_non_null(strstr(text, "Node 1, zone    DMA32"));
		free(text);
		api_run(machine, count_accesses, NULL);
		api_machine_end(machine);
	}
}

/* ---- errors of devices ---- */

static int read_error(void *unused)
{
	struct neap_region *region;
	uint64_t nr_pages = BIG_BYTES / NEAP_PAGE_SIZE;
	uint64_t failed = 0, value;

	(void)unused;
	EXPECT(neap_region_create(machine, BIG_BYTES, 0, NEAP_ANY_NODE, &region) == 0);
	for (uint64_t page = 0; page < nr_pages; page++)
		EXPECT(neap_write(region, page * NEAP_PAGE_SIZE, &page, 8) == 0);
	EXPECT(neap_inject(machine, "nonsense", 1, 0) == -ENOENT);
	EXPECT(neap_inject(machine, "swap-read", 3, EIO) == 0);
	for (uint64_t page = 0; page < nr_pages; page++) {
		int err = neap_read(region, page * NEAP_PAGE_SIZE, &value, 8);

		failed += err != 0;
		EXPECT(err == 0 || err == -EIO);
		EXPECT(err != 0 || value == page);
	}
	EXPECT(failed <= 1); /* none if it was one that was read ahead, and is read again */
	neap_region_destroy(region);
	return 0;
}

static int write_error(void *unused)
{
	struct neap_region *region;
	uint64_t nr_pages = BIG_BYTES / NEAP_PAGE_SIZE;
	uint64_t value;

	(void)unused;
	EXPECT(neap_region_create(machine, BIG_BYTES, 0, NEAP_ANY_NODE, &region) == 0);
	EXPECT(neap_inject(machine, "swap-write", 20, EIO) == 0);
	for (uint64_t page = 0; page < nr_pages; page++)
		EXPECT(neap_write(region, page * NEAP_PAGE_SIZE, &page, 8) == 0);
	for (uint64_t page = 0; page < nr_pages; page++) {
		EXPECT(neap_read(region, page * NEAP_PAGE_SIZE, &value, 8) == 0);
		EXPECT(value == page);
	}
	neap_region_destroy(region);
	return 0;
}

static void test_device_errors(void **state)
{
	static const struct api_setting settings[] = {
		{ "memory", "8M" },
		{ "swap", "64M" },
		{ "fault.enable", "1" },
		{ NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], settings);
		api_run(machine, read_error, NULL);
		api_run(machine, write_error, NULL);
		api_machine_end(machine);
		machine = api_machine_new(api_runtimes[i], small);
		assert_int_equal(neap_inject(machine, "swap-read", 1, EIO), -ENOTSUP);
		assert_non_null(strstr(neap_machine_error(machine), "fault.enable"));
		api_machine_end(machine);
	}
}

/* Whatever the failing allocation was for, the caller hears -ENOMEM, and may go on. */
static int refused_page(void *total)
{
	struct neap_region *region = NULL;
	struct neap_file *file = NULL;
	uint64_t refused = 0, value = 9;
	int err;

	err = neap_region_create(machine, 64 << 10, 0, NEAP_ANY_NODE, &region);
	EXPECT(err == 0 || err == -ENOMEM);
	refused += err != 0;
	for (uint64_t page = 0; region != NULL && page < 16; page++) {
		err = neap_write(region, page * NEAP_PAGE_SIZE, &value, 8);
		EXPECT(err == 0 || err == -ENOMEM);
		refused += err != 0;
	}
	err = neap_file_open(machine, NULL, 64 << 10, 0, &file);
	EXPECT(err == 0 || err == -ENOMEM);
	refused += err != 0;
	for (uint64_t page = 0; file != NULL && page < 16; page++) {
		int64_t moved = neap_file_write(file, page * NEAP_PAGE_SIZE + 5, &value, 8);

		EXPECT(moved == 8 || moved == -ENOMEM);
		refused += moved != 8;
	}
	EXPECT(refused <= 1);
	*(uint64_t *)total += refused;
	EXPECT(neap_verify(machine) == 0);
	EXPECT(neap_file_close(file) == 0);
	neap_region_destroy(region);
	return 0;
}

static void test_refused_pages(void **state)
{
	uint64_t refused = 0;

	(void)state;
	for (int nth = 1; nth <= 50; nth++) {
		for (size_t i = 0; i < 2; i++) {
			char text[16];
			const struct api_setting settings[] = {
				{ "memory", "8M" },
				{ "fault.page", text },
				{ NULL, NULL },
			};

			(void)snprintf(text, sizeof(text), "%d", nth);
			machine = api_machine_new(api_runtimes[i], settings);
			api_run(machine, refused_page, &refused);
			api_machine_end(machine);
		}
	}
	print_message("%llu requests refused\n", (unsigned long long)refused);
	assert_true(refused > 40);
}

/* ---- traces ---- */

static void test_trace(void **state)
{
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char path[] = "/tmp/test-trace-XXXXXX";
		char line[400];
		uint64_t events = 0, kswapd = 0, dropped = 0, said = 0, lost = 0;
		double last = 0;
		int fd = mkstemp(path);

		assert_true(fd >= 0);
		machine = api_machine_new(api_runtimes[i], small);
		assert_int_equal(neap_trace_start(machine, "/nonexistent/trace"), -ENOENT);
		assert_int_equal(neap_trace_start(machine, path), 0);
		assert_int_equal(neap_trace_start(machine, path), -EBUSY);
		api_run(machine, random_pieces, &seed);
		assert_int_equal(neap_trace_stop(machine), 0);
		api_machine_end(machine);
		FILE *file = fdopen(fd, "r");

		assert_non_null(file);
		while (fgets(line, sizeof(line), file) != NULL) {
			double time;

			if (sscanf(line, "# entries-in-buffer/entries-written: %*u/%lu", &said) ==
			    1)
				continue;
			if (sscanf(line, "# cpu%*u dropped events: %lu", &lost) == 1)
				dropped++;
			if (line[0] == '#')
				continue;
			events++;
			kswapd += strstr(line, "mm_vmscan_kswapd_wake: nid=0 order=0") != NULL;
			assert_int_equal(sscanf(line + 36, "%lf:", &time), 1);
			assert_true(i == 0 || time + 0.001 >= last);
			last = time;
		}
		assert_true(events > 1000 && kswapd > 0);
		assert_int_equal(said, events);
		assert_int_equal(dropped, 2);
		(void)fclose(file);
		(void)unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_destroy),
		cmocka_unit_test(test_spawn_fails),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_no_task),
		cmocka_unit_test(test_larger_than_memory),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_pc),
		cmocka_unit_test(test_device_errors),
		cmocka_unit_test(test_refused_pages),
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_freed_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
