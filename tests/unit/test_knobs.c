/*
 * Tests of core/knobs*.c: what each file takes, what it answers, and what a write is followed by
 * (spec 05, sections 7 and 8).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/rng.h"
#include "core/knobs.h"
#include "core/knobs_plan.h"
#include "job/support.h"

#define THP "/sys/kernel/mm/transparent_hugepage/"

struct write_case {
	const char *path, *text;
	int64_t result; /* bytes, or negative errno */
	const char *after;
};

static int64_t write_text(struct knobs *k, const char *path, const char *text,
			  struct knob_effects *effects)
{
	return knobs_write(k, path, text, strlen(text), effects);
}

static void check_read(const struct knobs *k, const char *path, const char *expect)
{
	char text[KNOBS_TEXT_BYTES];
	int64_t bytes = knobs_read(k, path, text, sizeof(text));

	if (bytes != (int64_t)strlen(expect) || strcmp(text, expect) != 0)
		fail_msg("%s reads '%s' (%lld), not '%s'", path, bytes >= 0 ? text : "",
			 (long long)bytes, expect);
}

/* One machine, one write after the other. */
static void check_writes(const struct write_case *writes, size_t nr)
{
	struct knob_effects effects;
	struct knobs k;

	knobs_init(&k);
	for (size_t i = 0; i < nr; i++) {
		int64_t result = write_text(&k, writes[i].path, writes[i].text, &effects);

		if (result != writes[i].result)
			fail_msg("%s '%s': %lld, not %lld", writes[i].path, writes[i].text,
				 (long long)result, (long long)writes[i].result);
		check_read(&k, writes[i].path, writes[i].after);
	}
}

static void test_numbers(void **state)
{
	static const struct write_case writes[] = {
		{ "min_free_kbytes", "8192", 4, "8192\n" },
		{ "min_free_kbytes", "", 0, "8192\n" },
		{ "min_free_kbytes", "\n", -EINVAL, "8192\n" },
		{ "min_free_kbytes", "4096 8192\n", 5, "4096\n" },
		{ "min_free_kbytes", "4096abc\n", -EINVAL, "4096\n" },
		{ "min_free_kbytes", " 2048 \n", 7, "2048\n" },
		{ "min_free_kbytes", "\v\f\r2049\n", 8, "2049\n" },
		{ "min_free_kbytes", "2050\v", -EINVAL, "2049\n" },
		{ "min_free_kbytes", "0x1000\n", 7, "4096\n" },
		{ "min_free_kbytes", "3002\n3003\n", 5, "3002\n" },
		{ "min_free_kbytes", "+3004\n", -EINVAL, "3002\n" },
		{ "min_free_kbytes", "1.5\n", -EINVAL, "3002\n" },
		{ "min_free_kbytes", "010\n", 4, "8\n" },
		{ "min_free_kbytes", "09\n", -EINVAL, "8\n" },
		{ "min_free_kbytes", "0x\n", -EINVAL, "8\n" },
		{ "min_free_kbytes", "0xfFf", 5, "4095\n" },
		{ "min_free_kbytes", "-", -EINVAL, "4095\n" },
		{ "min_free_kbytes", "--1", -EINVAL, "4095\n" },
		{ "min_free_kbytes", "-0\n", 3, "0\n" },
		/* 20 characters are a number, 21 are none. */
		{ "min_free_kbytes", "00000000000000000001", 20, "1\n" },
		{ "min_free_kbytes", "000000000000000000002", -EINVAL, "1\n" },
		{ "min_free_kbytes", "0xffffffffffffffffff", -EINVAL, "1\n" },
		{ "min_free_kbytes", "4294967296\n", -EINVAL, "1\n" },
		{ "dirty_writeback_centisecs", "-2147483648\n", 12, "-2147483648\n" },
		{ "dirty_writeback_centisecs", "-2147483649\n", -EINVAL, "-2147483648\n" },
		{ "dirty_writeback_centisecs", "0x80000000\n", -EINVAL, "-2147483648\n" },
		{ "overcommit_kbytes", "18446744073709551615\n", 21, "18446744073709551615\n" },
		{ "overcommit_kbytes", "18446744073709551616\n", -EINVAL,
		  "18446744073709551615\n" },
		{ "overcommit_kbytes", "-1\n", -EINVAL, "18446744073709551615\n" },
		{ "overcommit_kbytes", "7 8\n", 2, "7\n" },
	};
	struct knob_effects effects;
	struct knobs k;

	(void)state;
	check_writes(writes, ARRAY_LEN(writes));
	/* A NUL belongs to the text. */
	knobs_init(&k);
	assert_int_equal(knobs_write(&k, "swappiness", "10\0", 3, &effects), -EINVAL);
	/* What is beyond one page less a byte is not read: neither consumed nor refused. */
	static char wide[6000];

	memset(wide, ' ', sizeof(wide));
	memcpy(wide, "17", 2);
	wide[4500] = 'x';
	assert_int_equal(knobs_write(&k, "swappiness", wide, sizeof(wide), &effects), 6000);
	memset(wide, ' ', 2);
	assert_int_equal(knobs_write(&k, "swappiness", wide, sizeof(wide), &effects), -EINVAL);
	check_read(&k, "swappiness", "17\n");
}

/* The table of section 8: default, the least and the greatest value, and one beyond each. */
struct range_case {
	const char *name, *initial, *least, *below, *most, *above;
};

#define ANY_INT "-2147483648", "-2147483649", "2147483647", "2147483648"
#define FROM_0 "0", "-1", "2147483647", "2147483648"
#define ANY_WIDE "0", "-1", "18446744073709551615", "18446744073709551616"

static const struct range_case ranges[] = {
	{ "admin_reserve_kbytes", "0", ANY_WIDE },
	{ "compact_unevictable_allowed", "1", "0", "-1", "1", "2" },
	{ "compaction_proactiveness", "20", "0", "-1", "100", "101" },
	{ "dirty_background_ratio", "10", "0", "-1", "100", "101" },
	{ "dirty_expire_centisecs", "3000", FROM_0 },
	{ "dirty_ratio", "20", "0", "-1", "100", "101" },
	{ "dirty_writeback_centisecs", "500", ANY_INT },
	{ "dirtytime_expire_seconds", "43200", FROM_0 },
	{ "extfrag_threshold", "500", "0", "-1", "1000", "1001" },
	{ "hugetlb_optimize_vmemmap", "0", "0", "-1", "1", "2" },
	{ "hugetlb_shm_group", "0", FROM_0 },
	{ "laptop_mode", "0", "-8589934", "-8589935", "8589934", "8589935" },
	{ "legacy_va_layout", "0", FROM_0 },
	{ "max_map_count", "65530", FROM_0 },
	{ "min_free_kbytes", "0", FROM_0 },
	{ "min_slab_ratio", "5", "0", "-1", "100", "101" },
	{ "min_unmapped_ratio", "1", "0", "-1", "100", "101" },
	{ "mmap_min_addr", "65536", ANY_WIDE },
	{ "mmap_rnd_bits", "28", "28", "27", "32", "33" },
	{ "mmap_rnd_compat_bits", "8", "8", "7", "16", "17" },
	{ "nr_hugepages", "0", ANY_WIDE },
	{ "nr_hugepages_mempolicy", "0", ANY_WIDE },
	{ "nr_overcommit_hugepages", "0", ANY_WIDE },
	{ "numa_stat", "1", "0", "-1", "1", "2" },
	{ "oom_dump_tasks", "1", ANY_INT },
	{ "oom_kill_allocating_task", "0", ANY_INT },
	{ "overcommit_kbytes", "0", ANY_WIDE },
	{ "overcommit_memory", "0", "0", "-1", "2", "3" },
	{ "overcommit_ratio", "50", ANY_INT },
	{ "page-cluster", "3", FROM_0 },
	{ "page_lock_unfairness", "5", FROM_0 },
	{ "panic_on_oom", "0", "0", "-1", "2", "3" },
	{ "percpu_pagelist_high_fraction", "0", FROM_0 },
	{ "stat_interval", "1", "-8589934", "-8589935", "8589934", "8589935" },
	{ "swappiness", "60", "0", "-1", "200", "201" },
	{ "unprivileged_userfaultfd", "0", "0", "-1", "1", "2" },
	{ "user_reserve_kbytes", "0", ANY_WIDE },
	{ "vfs_cache_pressure", "100", FROM_0 },
	{ "watermark_boost_factor", "15000", FROM_0 },
	{ "watermark_scale_factor", "10", "1", "0", "3000", "3001" },
	{ "zone_reclaim_mode", "0", FROM_0 },
};

static void check_value(const struct knobs *k, const char *name, const char *value)
{
	char line[KNOBS_TEXT_BYTES];

	snprintf(line, sizeof(line), "%s\n", value);
	check_read(k, name, line);
}

static void test_ranges(void **state)
{
	struct knob_effects effects;
	struct knobs k, before;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++) {
		const struct range_case *range = &ranges[i];

		knobs_init(&k);
		check_value(&k, range->name, range->initial);
		assert_int_equal(write_text(&k, range->name, range->least, &effects),
				 strlen(range->least));
		check_value(&k, range->name, range->least);
		assert_int_equal(write_text(&k, range->name, range->most, &effects),
				 strlen(range->most));
		check_value(&k, range->name, range->most);
		knobs_copy(&before, &k);
		assert_int_equal(write_text(&k, range->name, range->below, &effects), -EINVAL);
		assert_int_equal(write_text(&k, range->name, range->above, &effects), -EINVAL);
		assert_int_equal(write_text(&k, range->name, "abc", &effects), -EINVAL);
		assert_int_equal(effects.what, 0);
		assert_true(knobs_equal(&before, &k));
	}
	/* Every file of the directory is in this table or has a test of its own. */
	static const char *const own[] = { "compact_memory",	   "dirty_background_bytes",
					   "dirty_bytes",	   "drop_caches",
					   "lowmem_reserve_ratio", "numa_zonelist_order",
					   "stat_refresh" };
	uint32_t nr = 0;

	while (knobs_path(nr) != NULL && knobs_path(nr)[0] != '/')
		nr++;
	assert_int_equal(nr, ARRAY_LEN(ranges) + ARRAY_LEN(own));
}

static void test_ratios(void **state)
{
	static const char *const name = "lowmem_reserve_ratio";
	const struct write_case writes[] = {
		{ name, "256 256 32 0 0\n", 15, "256\t256\t32\t0\t0\n" },
		{ name, "-1 -1 -1 -1 -1\n", 15, "0\t0\t0\t0\t0\n" },
		{ name, "100 50\n", 7, "100\t50\t0\t0\t0\n" },
		{ name, "1 2 3 4 5 6\n", 10, "1\t2\t3\t4\t5\n" },
		{ name, "abc\n", 4, "1\t2\t3\t4\t5\n" },
		{ name, "256 abc\n", 4, "256\t2\t3\t4\t5\n" },
		{ name, "2147483648 1 1 1 1\n", 19, "256\t2\t3\t4\t5\n" },
		{ name, "11 2147483648 3 4 5\n", 13, "11\t2\t3\t4\t5\n" },
		{ name, "12 13x 3 4 5\n", 3, "12\t2\t3\t4\t5\n" },
		{ name, "", 0, "12\t2\t3\t4\t5\n" },
		{ name, " \n", 2, "12\t2\t3\t4\t5\n" },
		{ name, "7", 1, "7\t2\t3\t4\t5\n" },
	};
	struct knob_effects effects;
	struct knobs k;

	(void)state;
	check_writes(writes, ARRAY_LEN(writes));
	/* Always recomputed, also after garbage, also after a read. */
	knobs_init(&k);
	assert_int_equal(write_text(&k, name, "abc", &effects), 3);
	assert_int_equal(effects.what, KNOB_PROTECTION);
	assert_int_equal(knobs_read_effects(name), KNOB_PROTECTION);
}

static void test_pairs(void **state)
{
	static const struct write_case writes[] = {
		{ "dirty_bytes", "0\n", -EINVAL, "0\n" },
		{ "dirty_bytes", "8191\n", -EINVAL, "0\n" },
		{ "dirty_ratio", "20\n", 3, "20\n" },
		{ "dirty_bytes", "8192\n", 5, "8192\n" },
		{ "dirty_ratio", "0\n", 2, "0\n" }, /* no change: nothing follows */
		{ "dirty_bytes", "8192\n", 5, "8192\n" },
		{ "dirty_ratio", "20\n", 3, "20\n" },
		{ "dirty_bytes", "\n", -EINVAL, "0\n" },
		{ "dirty_bytes", "17592186040320\n", 15, "17592186040320\n" },
		{ "dirty_bytes", "17592186040321\n", -ERANGE, "17592186040320\n" },
		{ "dirty_background_bytes", "0\n", -EINVAL, "0\n" },
		{ "dirty_background_bytes", "1\n", 2, "1\n" },
		{ "dirty_background_ratio", "0\n", 2, "0\n" },
		{ "dirty_background_bytes", "17592186040321\n", -ERANGE, "0\n" },
		{ "overcommit_kbytes", "0\n", 2, "0\n" },
		{ "overcommit_ratio", "50\n", 3, "50\n" },
	};
	struct knob_effects effects;
	struct knobs k;

	(void)state;
	check_writes(writes, ARRAY_LEN(writes));
	knobs_init(&k);
	assert_int_equal(write_text(&k, "dirty_bytes", "8192", &effects), 4);
	check_read(&k, "dirty_ratio", "0\n");
	assert_int_equal(write_text(&k, "overcommit_kbytes", "0", &effects), 1);
	check_read(&k, "overcommit_ratio", "0\n");
	assert_int_equal(write_text(&k, "overcommit_kbytes", "9", &effects), 1);
	assert_int_equal(write_text(&k, "overcommit_ratio", "50", &effects), 2);
	check_read(&k, "overcommit_kbytes", "0\n");
	/* The two names of the pool of huge pages. */
	assert_int_equal(write_text(&k, "nr_hugepages_mempolicy", "9", &effects), 1);
	check_read(&k, "nr_hugepages", "9\n");
	assert_int_equal(effects.what, KNOB_HUGEPAGES);
	assert_int_equal(effects.hugepages, 9);
	knobs_set_hugepages(&k, 5);
	check_read(&k, "nr_hugepages_mempolicy", "5\n");
}

static void test_loose(void **state)
{
	static const struct write_case orders[] = {
		{ "numa_zonelist_order", "Node\n", 5, "Node\n" },
		{ "numa_zonelist_order", "default\n", 8, "Node\n" },
		{ "numa_zonelist_order", "N", 1, "Node\n" },
		{ "numa_zonelist_order", "Zone\n", -EINVAL, "Node\n" },
		{ "numa_zonelist_order", " n", -EINVAL, "Node\n" },
		{ "numa_zonelist_order", "", -EINVAL, "Node\n" },
		{ "stat_refresh", "1\n", 2, "" },
		{ "stat_refresh", "", 0, "" },
	};
	struct knob_effects effects;
	struct knobs k;
	char text[16];

	(void)state;
	check_writes(orders, ARRAY_LEN(orders));
	knobs_init(&k);
	assert_int_equal(write_text(&k, "stat_refresh", "", &effects), 0);
	assert_int_equal(effects.what, KNOB_FOLD);
	assert_int_equal(write_text(&k, "compact_memory", "abc\n", &effects), 4);
	assert_int_equal(effects.what, KNOB_COMPACT);
	assert_int_equal(effects.node, -1);
	assert_int_equal(write_text(&k, "compact_memory", "", &effects), 0);
	assert_int_equal(effects.what, KNOB_COMPACT);
	assert_int_equal(knobs_read(&k, "compact_memory", text, sizeof(text)), -EACCES);
	assert_int_equal(write_text(&k, "drop_caches", "0", &effects), -EINVAL);
	assert_int_equal(write_text(&k, "drop_caches", "5", &effects), -EINVAL);
	assert_int_equal(write_text(&k, "drop_caches", "", &effects), 0);
	assert_int_equal(effects.what, 0);
	assert_int_equal(write_text(&k, "drop_caches", "3\n", &effects), 2);
	assert_int_equal(effects.what, KNOB_DROP_CACHE | KNOB_DROP_SLAB);
	assert_int_equal(write_text(&k, "drop_caches", "", &effects), 0);
	assert_int_equal(effects.what, KNOB_DROP_CACHE | KNOB_DROP_SLAB);
	assert_int_equal(write_text(&k, "drop_caches", "4", &effects), 1);
	assert_int_equal(effects.what, 0);
	assert_int_equal(knobs_read(&k, "drop_caches", text, sizeof(text)), -EACCES);
}

static void test_sysfs(void **state)
{
	static const struct write_case writes[] = {
		{ THP "enabled", "always\n", 7, "[always] madvise never\n" },
		{ THP "enabled", "madvise", 7, "always [madvise] never\n" },
		{ THP "enabled", "never\n\n", -EINVAL, "always [madvise] never\n" },
		{ THP "enabled", "neve\n", -EINVAL, "always [madvise] never\n" },
		{ THP "enabled", " never", -EINVAL, "always [madvise] never\n" },
		{ THP "enabled", "", 0, "always [madvise] never\n" },
		{ THP "defrag", "defer+madvise\n", 14,
		  "always defer [defer+madvise] madvise never\n" },
		{ THP "defrag", "defer\n", 6, "always [defer] defer+madvise madvise never\n" },
		{ THP "shmem_enabled", "deny\n", 5,
		  "always within_size advise never [deny] force\n" },
		{ THP "use_zero_page", "1", 1, "1\n" },
		{ THP "hpage_pmd_size", "1", -EACCES, "2097152\n" },
		{ THP "hpage_pmd_size", "", -EACCES, "2097152\n" },
		{ THP "khugepaged/defrag", "0x1\n", 4, "1\n" },
		{ THP "khugepaged/defrag", "2\n", -EINVAL, "1\n" },
		{ THP "khugepaged/defrag", "18446744073709551616\n", -ERANGE, "1\n" },
		{ THP "khugepaged/defrag", "+0", 2, "0\n" },
		{ THP "khugepaged/pages_to_scan", "0\n", -EINVAL, "4096\n" },
		{ THP "khugepaged/pages_to_scan", "010\n", 4, "10\n" },
		{ THP "khugepaged/pages_to_scan", "0x10\n", -EINVAL, "10\n" },
		{ THP "khugepaged/pages_to_scan", " 10\n", -EINVAL, "10\n" },
		{ THP "khugepaged/pages_to_scan", "10 \n", -EINVAL, "10\n" },
		{ THP "khugepaged/pages_to_scan", "4294967295\n", 11, "4294967295\n" },
		{ THP "khugepaged/pages_to_scan", "4294967296\n", -EINVAL, "4294967295\n" },
		{ THP "khugepaged/pages_to_scan", "99999999999999999999\n", -EINVAL,
		  "4294967295\n" },
		{ THP "khugepaged/max_ptes_none", "511\n", 4, "511\n" },
		{ THP "khugepaged/max_ptes_none", "512\n", -EINVAL, "511\n" },
		{ THP "khugepaged/max_ptes_swap", "-1\n", -EINVAL, "64\n" },
		{ THP "khugepaged/max_ptes_shared", "\n", -EINVAL, "256\n" },
		{ THP "khugepaged/scan_sleep_millisecs", "0\n", 2, "0\n" },
		{ THP "khugepaged/alloc_sleep_millisecs", "1\n", 2, "1\n" },
		{ "/sys/kernel/mm/lru_gen/enabled", "y\n", 2, "0x0007\n" },
		{ "/sys/kernel/mm/lru_gen/enabled", "No\n", 3, "0x0000\n" },
		{ "/sys/kernel/mm/lru_gen/enabled", "0xd\n", 4, "0x0005\n" },
		{ "/sys/kernel/mm/lru_gen/enabled", "4294967296\n", -EINVAL, "0x0005\n" },
		{ "/sys/kernel/mm/lru_gen/enabled", "-1\n", -EINVAL, "0x0005\n" },
		{ "/sys/kernel/mm/lru_gen/min_ttl_ms", "1001\n", 5, "1004\n" },
		{ "/sys/kernel/mm/lru_gen/min_ttl_ms", "0x10\n", 5, "16\n" },
		{ "/sys/kernel/mm/lru_gen/min_ttl_ms", "2147483648\n", 11, "4294967288\n" },
		{ "/sys/kernel/mm/lru_gen/min_ttl_ms", "x\n", -EINVAL, "4294967288\n" },
		{ "/sys/kernel/mm/swap/vma_ra_enabled", "off", 3, "false\n" },
		{ "/sys/kernel/mm/swap/vma_ra_enabled", "ON", 2, "true\n" },
		{ "/sys/kernel/mm/swap/vma_ra_enabled", "ok", -EINVAL, "true\n" },
		{ "/sys/kernel/mm/swap/vma_ra_enabled", "fish", 4, "false\n" },
		{ "/sys/kernel/mm/swap/vma_ra_enabled", "", 0, "false\n" },
	};
	struct knob_effects effects;
	struct knobs k;

	(void)state;
	check_writes(writes, ARRAY_LEN(writes));
	/* A NUL ends what a file of /sys sees; all bytes count as written. */
	knobs_init(&k);
	assert_int_equal(knobs_write(&k, THP "enabled", "always\0junk", 11, &effects), 11);
	assert_int_equal(effects.what, KNOB_THP);
	check_read(&k, THP "enabled", "[always] madvise never\n");
	assert_int_equal(knobs_write(&k, THP "khugepaged/defrag", "0\n\0 9", 5, &effects), 5);
	assert_int_equal(write_text(&k, THP "enabled", "bogus", &effects), -EINVAL);
	assert_int_equal(effects.what, 0);
	assert_int_equal(write_text(&k, THP "enabled", "", &effects), 0);
	assert_int_equal(effects.what, 0);
	assert_int_equal(write_text(&k, "/sys/kernel/mm/lru_gen/enabled", "n", &effects), 1);
	assert_int_equal(effects.what, KNOB_LRU_GEN);
}

struct trigger_case {
	const char *text;
	size_t bytes;
	int64_t result;
	bool full;
	uint32_t threshold_us, window_us;
};

static void test_triggers(void **state)
{
	static const struct trigger_case cases[] = {
		{ "some 150000 1000000", 19, -EINVAL, false, 0, 0 }, /* the last digit is lost */
		{ "some 150000 1000000\n", 20, 20, false, 150000, 1000000 },
		{ "some 150000 1000000\0", 20, 20, false, 150000, 1000000 },
		{ "full 150000 20000000", 20, 20, true, 150000, 2000000 },
		{ "some 150000 10000000", 20, 20, false, 150000, 1000000 },
		{ "some 150000 500000\0", 19, 19, false, 150000, 500000 },
		{ "some 150000 499999\0", 19, -EINVAL, false, 0, 0 },
		{ "some 150000 10000001\0", 21, -EINVAL, false, 0, 0 },
		{ "some 0 1000000\0", 15, -EINVAL, false, 0, 0 },
		{ "some 1000001 1000000\0", 21, -EINVAL, false, 0, 0 },
		{ "some 1000000 1000000\0", 21, 21, false, 1000000, 1000000 },
		{ "some1 500000 and more", 21, 21, false, 1, 500000 },
		{ "some\n1\t500000\n", 14, 14, false, 1, 500000 },
		{ "some 4294967297 500000\n", 23, 23, false, 1, 500000 },
		{ " some 1 500000\n", 15, -EINVAL, false, 0, 0 },
		{ "some -1 500000\n", 15, -EINVAL, false, 0, 0 },
		{ "bogus", 5, -EINVAL, false, 0, 0 },
		{ "som", 3, -EINVAL, false, 0, 0 },
		{ "", 0, -EINVAL, false, 0, 0 },
		/* Only 31 bytes are looked at. */
		{ "some 00000000000001 00000500000000\n", 35, 35, false, 1, 500000 },
	};
	struct knob_effects effects;
	struct knobs k;

	(void)state;
	knobs_init(&k);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct trigger_case *c = &cases[i];
		int64_t result =
			knobs_write(&k, "/proc/pressure/memory", c->text, c->bytes, &effects);

		if (result != c->result)
			fail_msg("'%s': %lld", c->text, (long long)result);
		assert_int_equal(effects.what, result < 0 ? 0 : KNOB_PSI_TRIGGER);
		if (result < 0)
			continue;
		assert_int_equal(effects.psi_full, c->full);
		assert_int_equal(effects.psi_threshold_us, c->threshold_us);
		assert_int_equal(effects.psi_window_us, c->window_us);
	}
}

static void test_paths(void **state)
{
	static const char *const none[] = {
		"",
		"highmem_is_dirtyable",
		"nr_pdflush_threads",
		"percpu_pagelist_fraction",
		"extra_free_kbytes",
		"swappines",
		"swappinesss",
		"page_cluster",
		"zoneinfo",
		"/proc/sys/vm/",
		"/proc/sys/vm//proc/zoneinfo",
		"/proc/sys/vm/vm/swappiness",
		"/sys/devices/system/node/node1/compact",
		"/sys/devices/system/node/node00/compact",
		"/sys/devices/system/node/node/compact",
		"/sys/devices/system/node/node*/compact",
		"/sys/devices/system/node/node0/compactx",
		"/sys/devices/system/node/node64/compact",
		"/sys/devices/system/node/node999/compact",
		"/sys/devices/system/node/node4294967296/compact",
	};
	static const char *const unwritable[] = { "/proc/zoneinfo",	"/proc/vmstat",
						  "/proc/buddyinfo",	"/proc/meminfo",
						  "/proc/pagetypeinfo", "/proc/swaps" };
	struct knob_effects effects;
	struct knobs k;
	char text[16];

	(void)state;
	knobs_init(&k);
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (write_text(&k, none[i], "1", &effects) != -ENOENT)
			fail_msg("'%s' can be written", none[i]);
		assert_int_equal(knobs_read(&k, none[i], text, sizeof(text)), -ENOENT);
		assert_int_equal(knobs_parse(&k, none[i], "1", 1), -ENOENT);
	}
	for (size_t i = 0; i < ARRAY_LEN(unwritable); i++) {
		assert_int_equal(write_text(&k, unwritable[i], "1", &effects), -EIO);
		assert_int_equal(write_text(&k, unwritable[i], "", &effects), -EIO);
		assert_int_equal(knobs_read(&k, unwritable[i], text, sizeof(text)), -ENODATA);
	}
	/* Nodes that are there. */
	atomic_store(&k.nodes, UINT64_C(1) | (UINT64_C(1) << 63));
	assert_int_equal(write_text(&k, "/sys/devices/system/node/node63/compact", "0", &effects),
			 1);
	assert_int_equal(effects.what, KNOB_COMPACT);
	assert_int_equal(effects.node, 63);
	assert_int_equal(write_text(&k, "/sys/devices/system/node/node0/compact", "", &effects), 0);
	assert_int_equal(effects.what, 0);
	assert_int_equal(write_text(&k, "/sys/devices/system/node/node62/compact", "1", &effects),
			 -ENOENT);
	/* Buffers that are too small. */
	assert_int_equal(knobs_read(&k, "swappiness", text, 3), -ERANGE);
	assert_int_equal(knobs_read(&k, "swappiness", text, 4), 3);
	assert_int_equal(knobs_read(&k, "stat_refresh", text, 0), -ERANGE);
}

static void test_effects(void **state)
{
	static const struct {
		const char *path, *text;
		uint32_t what;
	} cases[] = {
		{ "min_free_kbytes", "1", KNOB_MARKS },
		{ "min_free_kbytes", "", KNOB_MARKS }, /* no bytes reach the handler, too */
		{ "watermark_scale_factor", "10", KNOB_MARKS },
		{ "watermark_boost_factor", "1", 0 },
		{ "percpu_pagelist_high_fraction", "7", 0 },
		{ "percpu_pagelist_high_fraction", "8", KNOB_LIMITS },
		{ "percpu_pagelist_high_fraction", "8", 0 },
		{ "percpu_pagelist_high_fraction", "0", KNOB_LIMITS },
		{ "min_slab_ratio", "1", KNOB_NODE_RATIOS },
		{ "min_unmapped_ratio", "1", KNOB_NODE_RATIOS },
		{ "numa_stat", "1", 0 },
		{ "numa_stat", "0", KNOB_NUMA_STAT },
		{ "compaction_proactiveness", "50", KNOB_KCOMPACTD },
		{ "compaction_proactiveness", "0", 0 },
		{ "dirty_writeback_centisecs", "500", 0 },
		{ "dirty_writeback_centisecs", "100", KNOB_FLUSHER },
		{ "dirty_writeback_centisecs", "0", 0 },
		{ "stat_interval", "5", KNOB_TIMER },
		{ "swappiness", "5", 0 },
	};
	struct knob_effects effects;
	struct knobs k;

	(void)state;
	knobs_init(&k);
	assert_int_equal(k.user_min_free_kbytes, -1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		(void)write_text(&k, cases[i].path, cases[i].text, &effects);
		if (effects.what != cases[i].what)
			fail_msg("%s '%s': %x", cases[i].path, cases[i].text, effects.what);
	}
	assert_int_equal(k.user_min_free_kbytes, 1);
	assert_int_equal(knobs_read_effects("min_slab_ratio"), KNOB_NODE_RATIOS);
	assert_int_equal(knobs_read_effects("stat_refresh"), KNOB_FOLD);
	assert_int_equal(knobs_read_effects("swappiness"), 0);
	assert_int_equal(knobs_read_effects("nothing"), 0);
}

/* parse(read(x)) = x, from other values than the defaults. */
static void test_parse(void **state)
{
	char text[KNOBS_TEXT_BYTES];
	struct knobs from, to;
	struct knob_effects effects;
	const char *path;
	uint32_t nr = 0;

	(void)state;
	knobs_init(&from);
	knobs_init(&to);
	knobs_init_thp(&from, 131072);
	knobs_init_reserves(&from, 1000000);
	assert_int_equal(write_text(&from, "lowmem_reserve_ratio", "1 2 3 4 5", &effects), 9);
	assert_int_equal(write_text(&from, "dirty_bytes", "99999", &effects), 5);
	assert_int_equal(write_text(&from, "stat_interval", "-7", &effects), 2);
	assert_int_equal(write_text(&from, "/sys/kernel/mm/lru_gen/enabled", "5", &effects), 1);
	assert_int_equal(write_text(&from, "/sys/kernel/mm/lru_gen/min_ttl_ms", "8", &effects), 1);
	assert_int_equal(write_text(&from, "/sys/kernel/mm/swap/vma_ra_enabled", "0", &effects), 1);
	assert_false(knobs_equal(&from, &to));
	for (uint32_t i = 0; (path = knobs_path(i)) != NULL; i++) {
		int64_t bytes = knobs_read(&from, path, text, sizeof(text));

		if (bytes < 0)
			continue;
		nr++;
		if (knobs_parse(&to, path, text, (size_t)bytes) != 0)
			fail_msg("%s does not take '%s' back", path, text);
		assert_int_equal(bytes == 0 ? 0 : knobs_parse(&to, path, text, (size_t)bytes - 1),
				 0);
	}
	assert_true(knobs_equal(&from, &to));
	print_message("%u files\n", nr);
	check_read(&to, "admin_reserve_kbytes", "8192\n");
	check_read(&to, "user_reserve_kbytes", "125000\n");
	check_read(&to, THP "defrag", "always defer defer+madvise [madvise] never\n");
	assert_int_equal(knobs_parse(&to, "swappiness", "60 70", 5), -EINVAL);
	assert_int_equal(knobs_parse(&to, "swappiness", "", 0), -EINVAL);
	assert_int_equal(knobs_parse(&to, "nr_hugepages", "-1", 2), -EINVAL);
	assert_int_equal(knobs_parse(&to, "lowmem_reserve_ratio", "256\t32\t0\t0", 10), -EINVAL);
	assert_int_equal(knobs_parse(&to, THP "enabled", "always madvise never", 20), -EINVAL);
	assert_int_equal(knobs_parse(&to, THP "enabled", "]always[", 8), -EINVAL);
	assert_int_equal(knobs_parse(&to, THP "enabled", "always [inherit] never", 22), -EINVAL);
	assert_int_equal(knobs_parse(&to, "/sys/kernel/mm/lru_gen/enabled", "0x0008", 6), -EINVAL);
	assert_int_equal(knobs_parse(&to, "compact_memory", "1", 1), -EACCES);
	assert_int_equal(knobs_parse(&to, "/proc/zoneinfo", "1", 1), -ENODATA);
	assert_true(knobs_equal(&from, &to));
}

/* The text of a random write: pieces that mean something, and any bytes. */
static size_t random_text(struct rng *rng, char *text)
{
	static const char *const pieces[] = {
		"0",   "1",	 "60",	   "100",    "4096",  "2147483647",  "-1",    " ",     "\n",
		"\t",  "0x",	 "+",	   "always", "never", "madvise",     "some ", "full ", "y",
		"256", "500000", "150000", "\v",     "n",     "99999999999", "[",     "true",  "8",
	};
	size_t bytes = 0;

	for (uint64_t n = rng_below(rng, 7); n > 0; n--) {
		const char *piece = pieces[rng_below(rng, ARRAY_LEN(pieces))];

		if (rng_below(rng, 8) == 0) {
			text[bytes++] = (char)rng_below(rng, 256);
			continue;
		}
		memcpy(text + bytes, piece, strlen(piece));
		bytes += strlen(piece);
	}
	return bytes;
}

/* A failed write changes nothing, no write takes more than it was given, values stay in range. */
static void test_random(void **state)
{
	const char *seed_text = getenv("NEAP_SEED");
	uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 0) : 6192;
	struct knob_effects effects;
	struct knobs k, before, again;
	uint64_t nr_taken = 0;
	uint32_t nr = 0;
	struct rng rng;
	char text[256];

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	rng_seed(&rng, seed);
	knobs_init(&k);
	while (knobs_path(nr) != NULL)
		nr++;
	for (uint32_t i = 0; i < 200000; i++) {
		const char *path = knobs_path((uint32_t)rng_below(&rng, nr));
		size_t bytes = random_text(&rng, text);

		if (strchr(path, '*') != NULL)
			path = "/sys/devices/system/node/node0/compact";
		knobs_copy(&before, &k);
		int64_t result = knobs_write(&k, path, text, bytes, &effects);

		assert_true(result <= (int64_t)bytes);
		if (result < 0) {
			assert_true(knobs_equal(&before, &k));
			assert_int_equal(effects.what, 0);
			continue;
		}
		nr_taken++;
		/* Invariants 1 and 3 of knobs.c. */
		int64_t length = knobs_read(&k, path, text, sizeof(text));

		knobs_copy(&again, &k);
		if (length > 0)
			assert_int_equal(knobs_parse(&again, path, text, (size_t)length), 0);
		if (!knobs_equal(&again, &k))
			fail_msg("%s: '%s' comes back as something else", path, text);
		assert_in_range(k.swappiness, 0, 200);
		assert_in_range(k.watermark_scale_factor, 1, 3000);
		assert_true(k.percpu_pagelist_high_fraction == 0 ||
			    k.percpu_pagelist_high_fraction >= 8);
		assert_true(k.lowmem_reserve_ratio[0] >= 0 && k.lowmem_reserve_ratio[4] >= 0);
		assert_in_range(k.thp_enabled, 0, 2);
	}
	print_message("%llu of 200000 writes were taken\n", (unsigned long long)nr_taken);
	assert_true(nr_taken > 20000);
}

/* The job language refuses exactly what a machine would refuse. */
static void test_kinds(void **state)
{
	const char *path;

	(void)state;
	for (uint32_t i = 0; (path = knobs_path(i)) != NULL && path[0] != '/'; i++) {
		enum support expect =
			knobs_kind(path) == KNOB_NOT_YET ? SUPPORT_LATER : SUPPORT_YES;

		if (support_sysctl(path) != expect)
			fail_msg("%s: jobs and machine disagree", path);
	}
	assert_int_equal(knobs_kind("swappiness"), KNOB_ACTS);
	assert_int_equal(knobs_kind("vfs_cache_pressure"), KNOB_STORED);
	assert_int_equal(knobs_kind("/sys/devices/system/node/node3/compact"), KNOB_ACTS);
	assert_int_equal(knobs_kind("nothing"), KNOB_ACTS);
}

/* ---- knobs and plan ---- */

/* One node with zones DMA and DMA32 of so many managed pages, as it is after a write. */
static void plan_of(struct plan *plan, struct knobs *k, uint64_t dma, uint64_t dma32)
{
	knobs_init(k);
	plan_init(plan);
	plan->nr_nodes = 1;
	plan->nr_cpus = 1;
	plan->node_cpus[0] = 1;
	plan->zone[0][ZONE_DMA].populated = true;
	plan->zone[0][ZONE_DMA].managed = dma;
	plan->zone[0][ZONE_DMA32].populated = true;
	plan->zone[0][ZONE_DMA32].managed = dma32;
	plan_count(plan);
}

static void write_plan(struct plan *plan, struct knobs *k, const char *path, const char *text)
{
	struct knob_effects effects;

	assert_int_equal(write_text(k, path, text, &effects), strlen(text));
	knobs_plan_apply(plan, k, effects.what);
}

static void check_marks(const struct plan *plan, uint32_t zone, uint64_t min, uint64_t low)
{
	assert_int_equal(plan->zone[0][zone].marks.min, min);
	assert_int_equal(plan->zone[0][zone].marks.low, low);
}

/* Spec 03, worked examples 4, and what huge pages make of them. */
static void test_plan(void **state)
{
	struct plan *plan = malloc(sizeof(*plan));
	struct knobs k;

	(void)state;
	assert_non_null(plan);
	plan_of(plan, &k, 3840, 52056);
	write_plan(plan, &k, "min_free_kbytes", "8192");
	check_marks(plan, ZONE_DMA, 140, 175);
	check_marks(plan, ZONE_DMA32, 1907, 2383);
	write_plan(plan, &k, "min_free_kbytes", "4096");
	write_plan(plan, &k, "watermark_scale_factor", "3000");
	check_marks(plan, ZONE_DMA, 70, 1222);
	check_marks(plan, ZONE_DMA32, 953, 16569);
	write_plan(plan, &k, "watermark_scale_factor", "10");
	write_plan(plan, &k, "swappiness", "10");
	write_plan(plan, &k, THP "enabled", "always");
	check_marks(plan, ZONE_DMA, 186, 232);
	check_marks(plan, ZONE_DMA32, 2531, 3163);
	check_read(&k, "min_free_kbytes", "10872\n");
	/* The user's 4096 is more than the automatic value, and what huge pages raised stays. */
	write_plan(plan, &k, THP "enabled", "never");
	check_read(&k, "min_free_kbytes", "10872\n");
	check_marks(plan, ZONE_DMA, 186, 232);
	write_plan(plan, &k, "lowmem_reserve_ratio", "100");
	assert_int_equal(plan->zone[0][ZONE_DMA].protection[ZONE_DMA32], 520);
	write_plan(plan, &k, "percpu_pagelist_high_fraction", "8");
	assert_int_equal(plan->zone[0][ZONE_DMA32].high, 52056 / 8);
	write_plan(plan, &k, "min_unmapped_ratio", "50");
	assert_int_equal(plan->min_unmapped_pages[0], 1920 + 26028);
	free(plan);
}

static void check_guess(struct plan *plan, struct knobs *k, int32_t min_free, int64_t user)
{
	atomic_store(&k->min_free_kbytes, min_free);
	knobs_plan_guess_user(plan, k);
	assert_int_equal(k->user_min_free_kbytes, user);
}

static void test_guess(void **state)
{
	struct plan *plan = malloc(sizeof(*plan));
	struct knobs k;

	(void)state;
	assert_non_null(plan);
	plan_of(plan, &k, 3840, 52056);
	check_guess(plan, &k, 1848, -1); /* as booted, before some memory was freed */
	check_guess(plan, &k, 1891, -1); /* isqrt(16 * 4 * 55896) */
	check_guess(plan, &k, 1892, 1892);
	check_guess(plan, &k, 10980, -1); /* raised, and capped */
	check_guess(plan, &k, 8192, 8192);
	check_guess(plan, &k, 0, 0);
	plan_of(plan, &k, 3840, 1003520);
	check_guess(plan, &k, 45056, -1);
	check_guess(plan, &k, 45055, 45055);
	free(plan);
}

/* What a message about a refused value says. */
static void test_ranges_said(void **state)
{
	struct knobs_range range;

	(void)state;
	assert_true(knobs_range("swappiness", &range));
	assert_null(range.words);
	assert_int_equal(range.lowest, 0);
	assert_int_equal(range.highest, 200);
	assert_true(knobs_range("/sys/kernel/mm/transparent_hugepage/enabled", &range));
	assert_string_equal(range.words, "always madvise never");
	assert_false(knobs_range("lowmem_reserve_ratio", &range));
	assert_false(knobs_range("nosuch", &range));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),	    cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_ratios),	    cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_loose),	    cmocka_unit_test(test_sysfs),
		cmocka_unit_test(test_triggers),    cmocka_unit_test(test_paths),
		cmocka_unit_test(test_effects),	    cmocka_unit_test(test_parse),
		cmocka_unit_test(test_random),	    cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_plan),	    cmocka_unit_test(test_guess),
		cmocka_unit_test(test_ranges_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
