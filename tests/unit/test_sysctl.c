/*
 * Tests of core/sysctl.c: what a running machine does about a write. The rules of the files
 * themselves are test_knobs.c's.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "core/kswapd.h"
#include "core/marks.h"
#include "core/pcp.h"
#include "core/snapshot_take.h"
#include "core/sysctl.h"
#include "core/writeback.h"

struct write_case {
	const char *name, *text;
	int64_t result; /* bytes, or negative errno */
	const char *after;
};

/* In this order on one machine. */
static const struct write_case writes[] = {
	{ "min_free_kbytes", "0\n", 2, "0\n" },
	{ "min_free_kbytes", "8192\n", 5, "8192\n" },
	{ "min_free_kbytes", "-1\n", -EINVAL, "8192\n" },
	{ "min_free_kbytes", "", 0, "8192\n" },
	{ "min_free_kbytes", "4096 8192\n", 5, "4096\n" },
	{ "/proc/sys/vm/min_free_kbytes", " 2048 \n", 7, "2048\n" },
	{ "watermark_scale_factor", "0\n", -EINVAL, "10\n" },
	{ "watermark_scale_factor", "3000\n", 5, "3000\n" },
	{ "watermark_boost_factor", "0\n", 2, "0\n" },
	{ "swappiness", "201\n", -EINVAL, "60\n" },
	{ "swappiness", "200 0 0\n", 4, "200\n" },
	{ "page-cluster", "32\n", 3, "32\n" },
	{ "dirty_ratio", "50\n", 3, "50\n" },
	{ "dirty_bytes", "8191\n", -EINVAL, "0\n" },
	{ "dirty_bytes", "1048576\n", 8, "1048576\n" },
	{ "dirty_ratio", "20\n", 3, "20\n" },
	{ "dirty_bytes", "99999999999999\n", -ERANGE, "0\n" },
	{ "lowmem_reserve_ratio", "1 1 1\n", 6, "1\t1\t1\t0\t0\n" },
	{ "numa_zonelist_order", "n\n", 2, "Node\n" },
	{ "vfs_cache_pressure", "1000\n", 5, "1000\n" },
	{ "percpu_pagelist_high_fraction", "7\n", -EINVAL, "0\n" },
	{ "stat_refresh", "anything", 8, "" },
	{ "/sys/kernel/mm/swap/vma_ra_enabled", "false\n", 6, "false\n" },
	/* Without a subject here: refused, unless nothing changes. */
	{ "overcommit_memory", "2\n", -ENOTSUP, "0\n" },
	{ "overcommit_memory", "0\n", 2, "0\n" },
	{ "overcommit_memory", "3\n", -EINVAL, "0\n" },
	{ "zone_reclaim_mode", "1\n", 2, "1\n" },
	{ "compaction_proactiveness", "50", 2, "50\n" },
	{ "compaction_proactiveness", "20", 2, "20\n" },
	{ "nr_hugepages", "1\n", 2, "1\n" },
	{ "nr_hugepages_mempolicy", "0\n", 2, "0\n" },
	{ "nr_overcommit_hugepages", "7\n", 2, "7\n" },
	{ "/sys/kernel/mm/transparent_hugepage/enabled", "always\n", 7,
	  "[always] madvise never\n" },
	{ "/sys/kernel/mm/transparent_hugepage/enabled", "never\n", 6, "always madvise [never]\n" },
	{ "/sys/kernel/mm/transparent_hugepage/defrag", "defer\n", 6,
	  "always [defer] defer+madvise madvise never\n" },
	{ "/sys/kernel/mm/transparent_hugepage/shmem_enabled", "always\n", -ENOTSUP,
	  "always within_size advise [never] deny force\n" },
	{ "/sys/kernel/mm/lru_gen/enabled", "y\n", -ENOTSUP, "0x0000\n" },
	{ "/sys/kernel/mm/lru_gen/enabled", "n\n", 2, "0x0000\n" },
};

static void check_read(struct machine_fixture *f, const char *name, const char *expect)
{
	char text[KNOBS_TEXT_BYTES];
	int64_t bytes = sysctl_read(f->m, name, text, sizeof(text));

	if (bytes != (int64_t)strlen(expect) || strcmp(text, expect) != 0)
		fail_msg("%s: %lld, '%s' instead of '%s'", name, (long long)bytes, text, expect);
}

static int64_t write_text(struct machine_fixture *f, const char *name, const char *text)
{
	return sysctl_write(f->t, f->m, name, text, strlen(text));
}

static void must_write(struct machine_fixture *f, const char *name, const char *text)
{
	assert_int_equal(write_text(f, name, text), strlen(text));
}

static void body_writes(struct machine_fixture *f)
{
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		int64_t result = write_text(f, writes[i].name, writes[i].text);

		if (result != writes[i].result)
			fail_msg("%s '%s': %lld", writes[i].name, writes[i].text,
				 (long long)result);
		check_read(f, writes[i].name, writes[i].after);
	}
	/* The zero byte at the end belongs to the text. */
	assert_int_equal(sysctl_write(f->t, f->m, "swappiness", "10\0", 3), -EINVAL);
	assert_int_equal(write_text(f, "compact_memory", "1"), 1);
	assert_int_equal(write_text(f, "/sys/devices/system/node/node0/compact", "1"), 1);
	assert_int_equal(write_text(f, "/sys/devices/system/node/node1/compact", "1"), -ENOENT);
	assert_int_equal(write_text(f, "/proc/pressure/memory", "some 150000 1000000\n"), 20);
	assert_int_equal(write_text(f, "/proc/pressure/memory", "bogus"), -EINVAL);
	assert_int_equal(write_text(f, "/proc/vmstat", "1"), -EIO);
	assert_int_equal(write_text(f, "highmem_is_dirtyable", "1"), -ENOENT);
	assert_int_equal(f->m->sysctl_lock, 0);
}

MACHINE_TEST(writes, .proactiveness = 20);

/* What a read gives can be written back, to the files that take it, and changes nothing. */
static void body_write_back(struct machine_fixture *f)
{
	char text[KNOBS_TEXT_BYTES];
	struct knobs before;
	const char *path;

	knobs_copy(&before, &f->m->sysctl);
	for (uint32_t i = 0; (path = knobs_path(i)) != NULL && path[0] != '/'; i++) {
		int64_t bytes = sysctl_read(f->m, path, text, sizeof(text));

		if (bytes < 0) {
			assert_int_equal(bytes, -EACCES);
			continue;
		}
		assert_int_equal(strlen(text), bytes);
		/* Their default cannot be written. */
		if (strcmp(path, "dirty_bytes") == 0 || strcmp(path, "dirty_background_bytes") == 0)
			assert_int_equal(sysctl_write(f->t, f->m, path, text, (size_t)bytes),
					 -EINVAL);
		/* Writing it zeroes overcommit_ratio. */
		else if (strcmp(path, "overcommit_kbytes") != 0)
			assert_int_equal(sysctl_write(f->t, f->m, path, text, (size_t)bytes),
					 bytes);
	}
	assert_true(knobs_equal(&before, &f->m->sysctl));
}

MACHINE_TEST(write_back, 0);

static void body_marks(struct machine_fixture *f)
{
	struct zone *zone = f->zone;

	atomic_store(&zone->boost, 700);
	must_write(f, "min_free_kbytes", "4096");
	assert_int_equal(zone->boost, 0);
	assert_int_equal(zone_mark(zone, WMARK_MIN), 1024);
	assert_int_equal(zone_mark(zone, WMARK_LOW), 1280);
	assert_int_equal(f->m->sysctl.user_min_free_kbytes, 4096);
	assert_int_equal(zone->pcp[0].high, 640);
	assert_int_equal(f->m->reserve_pages, 1536);
	must_write(f, "watermark_scale_factor", "1000");
	assert_int_equal(zone_mark(zone, WMARK_LOW), 1024 + 5589);
	/* A refused write recomputes nothing, and neither do others. */
	atomic_store(&zone->boost, 700);
	assert_int_equal(write_text(f, "watermark_scale_factor", "0"), -EINVAL);
	assert_int_equal(write_text(f, "swappiness", "1"), 1);
	assert_int_equal(zone->boost, 700);
	/* Without boosts there is none. */
	must_write(f, "watermark_boost_factor", "0");
	cpu_pin(f->t);
	spin_lock(f->t, &zone->lock, LOCK_ZONE);
	bool boosted = marks_boost(f->t, zone);

	spin_unlock(f->t, &zone->lock, LOCK_ZONE);
	cpu_unpin(f->t);
	assert_false(boosted);
	/* Huge pages off: the automatic value does not replace a larger one of the user's. */
	must_write(f, "/sys/kernel/mm/transparent_hugepage/enabled", "never");
	check_read(f, "min_free_kbytes", "4096\n");
	assert_int_equal(zone->boost, 0);
	must_write(f, "min_free_kbytes", "16");
	must_write(f, "/sys/kernel/mm/transparent_hugepage/enabled", "never");
	/* isqrt(16 * 4 * (55896 - high)) with high = 4 + 2 * 5589 */
	check_read(f, "min_free_kbytes", "1691\n");
}

MACHINE_TEST(marks, .pages = 55896);

static void body_protection(struct machine_fixture *f)
{
	struct zone *dma = &f->m->nodes[0].zone[ZONE_DMA];

	must_write(f, "lowmem_reserve_ratio", "100 100");
	assert_int_equal(dma->reserve[ZONE_NORMAL], 81);
	assert_int_equal(dma->reserve[ZONE_DMA], 0);
	must_write(f, "lowmem_reserve_ratio", "-1");
	assert_int_equal(dma->reserve[ZONE_NORMAL], 0);
	/* A read recomputes as well; a snapshot's look does not. */
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));

	assert_non_null(snapshot);
	atomic_store(&dma->reserve[ZONE_NORMAL], 5);
	snapshot_take(f->t, f->m, snapshot);
	assert_int_equal(dma->reserve[ZONE_NORMAL], 5);
	free(snapshot);
	check_read(f, "lowmem_reserve_ratio", "0\t100\t32\t0\t0\n");
	assert_int_equal(dma->reserve[ZONE_NORMAL], 0);
}

MACHINE_TEST(protection, .pages = 8192, .dma_pages = 2048);

static void body_limits(struct machine_fixture *f)
{
	struct pcp *pcp = &f->zone->pcp[0];
	uint32_t high = pcp->high;

	must_write(f, "percpu_pagelist_high_fraction", "8");
	assert_int_equal(pcp->high, 8192 / 8 / 2);
	assert_int_equal(write_text(f, "percpu_pagelist_high_fraction", "7"), -EINVAL);
	assert_int_equal(pcp->high, 8192 / 8 / 2);
	must_write(f, "percpu_pagelist_high_fraction", "0");
	assert_int_equal(pcp->high, high);
	must_write(f, "min_unmapped_ratio", "50");
	assert_int_equal(f->node->min_unmapped_pages, 4096);
	must_write(f, "min_slab_ratio", "0");
	assert_int_equal(f->node->min_slab_pages, 0);
}

MACHINE_TEST(limits, .pages = 8192);

static void body_numa_stat(struct machine_fixture *f)
{
	machine_fill(f, machine_region(f, 50), 0, 50);
	assert_true(machine_numa(f->m, NUMA_HIT) >= 50);
	must_write(f, "numa_stat", "0");
	assert_int_equal(machine_numa(f->m, NUMA_HIT), 0);
	machine_fill(f, machine_region(f, 50), 0, 50);
	assert_int_equal(machine_numa(f->m, NUMA_HIT), 0);
	must_write(f, "numa_stat", "1");
	assert_int_equal(machine_numa(f->m, NUMA_HIT), 0);
	machine_fill(f, machine_region(f, 20), 0, 20);
	uint64_t hits = machine_numa(f->m, NUMA_HIT);

	assert_true(hits >= 20 && hits < 40);
	must_write(f, "numa_stat", "1"); /* no change, no reset */
	assert_int_equal(machine_numa(f->m, NUMA_HIT), hits);
}

MACHINE_TEST(numa_stat, 0);

static void read_all(struct machine_fixture *f, struct fixture_file *file, uint64_t nr)
{
	uint64_t value;

	for (uint64_t page = 0; page < nr; page++)
		assert_int_equal(machine_file_read(f, file, page, &value), 0);
}

static void body_drop_caches(struct machine_fixture *f)
{
	struct fixture_file *first = machine_file(f, 100);
	struct fixture_file *second = machine_file(f, 100);

	read_all(f, first, 100);
	read_all(f, second, 100);
	for (uint64_t page = 0; page < 10; page++)
		assert_int_equal(machine_file_write(f, second, page, 7), 0);
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 200);
	assert_int_equal(write_text(f, "drop_caches", "0"), -EINVAL);
	must_write(f, "drop_caches", "2");
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 200);
	assert_int_equal(machine_events(f, EV_DROP_SLAB), 1);
	must_write(f, "drop_caches", "1");
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 10); /* the dirty ones */
	assert_int_equal(machine_events(f, EV_DROP_PAGECACHE), 1);
	read_all(f, first, 100);
	/* No bytes: what was written last, once more. */
	assert_int_equal(sysctl_write(f->t, f->m, "drop_caches", "", 0), 0);
	assert_int_equal(machine_node_count(f, NR_FILE_PAGES), 10);
	assert_int_equal(machine_events(f, EV_DROP_PAGECACHE), 2);
}

MACHINE_TEST(drop_caches, 0);

/* The limits on dirty pages in bytes, and the flusher's two periods. */
static void body_dirty(struct machine_fixture *f)
{
	struct fixture_file *file = machine_file(f, 100);
	uint64_t background, limit;

	must_write(f, "dirty_bytes", "409601");
	must_write(f, "dirty_background_bytes", "40960");
	writeback_limits(f->m, &background, &limit);
	assert_int_equal(limit, 101);
	assert_int_equal(background, 10);
	check_read(f, "dirty_ratio", "0\n");
	must_write(f, "dirty_ratio", "20");
	must_write(f, "dirty_background_ratio", "10");
	writeback_limits(f->m, &background, &limit);
	uint64_t dirtyable = writeback_dirtyable_pages(f->m);

	assert_int_equal(limit, dirtyable * 819 / 4096);
	assert_int_equal(background, dirtyable * 409 / 4096);
	/* Looks every second for what is two seconds old. */
	must_write(f, "dirty_writeback_centisecs", "100");
	must_write(f, "dirty_expire_centisecs", "200");
	assert_int_equal(machine_file_write(f, file, 3, 7), 0);
	rt_sleep(f->t, 1500 * NSEC_PER_MSEC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	rt_sleep(f->t, 2 * NSEC_PER_SEC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
	/* Never by itself, until it is told to again. */
	must_write(f, "dirty_writeback_centisecs", "0");
	assert_int_equal(machine_file_write(f, file, 3, 8), 0);
	rt_sleep(f->t, 100 * NSEC_PER_SEC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 1);
	must_write(f, "dirty_writeback_centisecs", "500");
	rt_sleep(f->t, 6 * NSEC_PER_SEC);
	assert_int_equal(machine_node_count(f, NR_DIRTY), 0);
}

MACHINE_TEST(dirty, 0);

static void body_counters(struct machine_fixture *f)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));

	assert_non_null(snapshot);
	must_write(f, "stat_interval", "-1");
	machine_fill(f, machine_region(f, 1), 0, 1);
	rt_sleep(f->t, 10 * NSEC_PER_SEC);
	/* Differences are below the threshold, and nobody folds. */
	assert_int_not_equal(machine_node_stat(f->m, NR_ANON_PAGES),
			     machine_node_count(f, NR_ANON_PAGES));
	must_write(f, "stat_refresh", "1");
	assert_int_equal(machine_node_stat(f->m, NR_ANON_PAGES),
			 machine_node_count(f, NR_ANON_PAGES));
	/* CommitLimit follows the pair of knobs. */
	must_write(f, "overcommit_ratio", "25");
	snapshot_take(f->t, f->m, snapshot);
	assert_int_equal(snapshot->commit_limit_pages, 1024);
	must_write(f, "overcommit_kbytes", "400");
	snapshot_take(f->t, f->m, snapshot);
	assert_int_equal(snapshot->commit_limit_pages, 100);
	check_read(f, "overcommit_ratio", "0\n");
	free(snapshot);
}

MACHINE_TEST(counters, 0);

static void body_buffers(struct machine_fixture *f)
{
	char text[4] = "xyz";

	assert_int_equal(sysctl_read(f->m, "swappiness", text, 3), -ERANGE);
	assert_int_equal(sysctl_read(f->m, "swappiness", text, 0), -ERANGE);
	assert_int_equal(sysctl_read(f->m, "swappiness", text, 4), 3);
	assert_string_equal(text, "60\n");
	check_read(f, "admin_reserve_kbytes", "512\n"); /* 16 MiB / 32 */
	check_read(f, "user_reserve_kbytes", "512\n");
}

MACHINE_TEST(buffers, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes),	    cmocka_unit_test(test_write_back),
		cmocka_unit_test(test_marks),	    cmocka_unit_test(test_protection),
		cmocka_unit_test(test_limits),	    cmocka_unit_test(test_numa_stat),
		cmocka_unit_test(test_drop_caches), cmocka_unit_test(test_dirty),
		cmocka_unit_test(test_counters),    cmocka_unit_test(test_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
