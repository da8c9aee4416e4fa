/*
 * Tests of core/sysctl.c: what a real kernel returned for odd writes, and which ones recompute
 * the marks.
 */
#include "core_fixture.h"

#include "core/sysctl.h"

struct write_case {
	const char *name, *text;
	int64_t result; /* bytes, or negative errno */
	const char *after;
};

/* In this order on one machine. */
static const struct write_case writes[] = {
	{ "min_free_kbytes", "0\n", 2, "0\n" },
	{ "min_free_kbytes", "8192\n", 5, "8192\n" },
	{ "min_free_kbytes", "8192", 4, "8192\n" },
	{ "min_free_kbytes", "-1\n", -EINVAL, "8192\n" },
	{ "min_free_kbytes", "abc\n", -EINVAL, "8192\n" },
	{ "min_free_kbytes", "", 0, "8192\n" },
	{ "min_free_kbytes", "\n", -EINVAL, "8192\n" },
	{ "min_free_kbytes", "4096 8192\n", 5, "4096\n" },
	{ "min_free_kbytes", "4096abc\n", -EINVAL, "4096\n" },
	{ "min_free_kbytes", " 2048 \n", 7, "2048\n" },
	{ "min_free_kbytes", "0x1000\n", 7, "4096\n" },
	{ "min_free_kbytes", "2147483647\n", 11, "2147483647\n" },
	{ "min_free_kbytes", "2147483648\n", -EINVAL, "2147483647\n" },
	{ "min_free_kbytes", "99999999999\n", -EINVAL, "2147483647\n" },
	{ "min_free_kbytes", "\t3000\n", 6, "3000\n" },
	{ "min_free_kbytes", "3002\n3003\n", 5, "3002\n" },
	{ "min_free_kbytes", "+3004\n", -EINVAL, "3002\n" },
	{ "min_free_kbytes", "1.5\n", -EINVAL, "3002\n" },
	{ "min_free_kbytes", "010\n", 4, "8\n" },
	{ "min_free_kbytes", "09\n", -EINVAL, "8\n" },
	{ "min_free_kbytes", "0x\n", -EINVAL, "8\n" },
	{ "min_free_kbytes", "0xfFf", 5, "4095\n" },
	{ "min_free_kbytes", "-", -EINVAL, "4095\n" },
	{ "min_free_kbytes", "-0\n", 3, "0\n" },
	{ "min_free_kbytes", "000000000000000000001", -EINVAL, "0\n" },
	{ "min_free_kbytes", "0xffffffffffffffffff", -EINVAL, "0\n" },
	{ "watermark_scale_factor", "0\n", -EINVAL, "10\n" },
	{ "watermark_scale_factor", "3001\n", -EINVAL, "10\n" },
	{ "watermark_scale_factor", "3000\n", 5, "3000\n" },
	{ "swappiness", "201\n", -EINVAL, "60\n" },
	{ "swappiness", "200 0 0\n", 4, "200\n" },
	{ "swappiness", "-1\n", -EINVAL, "200\n" },
	{ "page-cluster", "32\n", 3, "32\n" },
	{ "page-cluster", "-1\n", -EINVAL, "32\n" },
	{ "dirty_ratio", "50\n", -ENOTSUP, "20\n" },
	{ "lowmem_reserve_ratio", "1 1 1\n", -ENOTSUP, "256\t256\t32\t0\t0\n" },
	{ "numa_zonelist_order", "n\n", -ENOTSUP, "Node\n" },
};

static void check_read(struct core_fixture *f, const char *name, const char *expect)
{
	char text[64];
	int64_t bytes = sysctl_read(f->m, name, text, sizeof(text));

	assert_int_equal(bytes, strlen(expect));
	assert_string_equal(text, expect);
}

static void test_writes(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 55896);
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		int64_t result = sysctl_write(f.t, f.m, writes[i].name, writes[i].text,
					      strlen(writes[i].text));

		if (result != writes[i].result)
			fail_msg("%s '%s': %lld", writes[i].name, writes[i].text,
				 (long long)result);
		check_read(&f, writes[i].name, writes[i].after);
	}
	/* The zero byte at the end belongs to the text. */
	assert_int_equal(sysctl_write(f.t, f.m, "swappiness", "10\0", 3), -EINVAL);
	assert_int_equal(f.m->sysctl_lock, 0);
	core_teardown(&f);
}

/* Every number a read gives can be written back; the rest of the table is refused by name. */
static void test_every_knob(void **state)
{
	static const struct {
		const char *name;
		int32_t initial, lowest;
		bool acts, readable;
	} table[] = {
#define ACTS true
#define NOT_YET false
#define WRITE_ONLY false
#define SYSCTL(id, name, initial, lowest, highest, kind)                                           \
	{ name, initial, lowest, kind, sizeof(#kind) != sizeof("WRITE_ONLY") },
#include "core/sysctl_items.def"
	};
	struct core_fixture f;
	char text[64];

	(void)state;
	core_setup_normal(&f, 1, 55896);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		int64_t bytes = sysctl_read(f.m, table[i].name, text, sizeof(text));

		if (!table[i].readable) {
			assert_int_equal(bytes, -EACCES);
			assert_int_equal(sysctl_write(f.t, f.m, table[i].name, "1", 1), -ENOTSUP);
			continue;
		}
		assert_true(bytes >= 2);
		assert_int_equal(strlen(text), bytes);
		if (table[i].initial != 0)
			assert_int_equal(strtol(text, NULL, 10), table[i].initial);
		assert_int_equal(sysctl_write(f.t, f.m, table[i].name, text, (size_t)bytes),
				 table[i].acts ? bytes : -ENOTSUP);
	}
	assert_int_equal(sysctl_read(f.m, "highmem_is_dirtyable", text, sizeof(text)), -ENOENT);
	assert_int_equal(sysctl_write(f.t, f.m, "extra_free_kbytes", "1", 1), -ENOENT);
	core_teardown(&f);
}

static void test_buffers(void **state)
{
	struct core_fixture f;
	char text[4] = "xyz";

	(void)state;
	core_setup_normal(&f, 1, 55896);
	assert_int_equal(sysctl_read(f.m, "swappiness", text, 3), -ERANGE);
	assert_int_equal(sysctl_read(f.m, "swappiness", text, 0), -ERANGE);
	assert_int_equal(sysctl_read(f.m, "swappiness", text, 4), 3);
	assert_string_equal(text, "60\n");
	core_teardown(&f);
}

static void test_marks_follow(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 55896);
	struct zone *zone = &f.m->nodes[0].zone[ZONE_NORMAL];

	zone->boost = 700;
	assert_int_equal(sysctl_write(f.t, f.m, "min_free_kbytes", "4096", 4), 4);
	assert_int_equal(zone->boost, 0);
	assert_int_equal(zone_mark(zone, WMARK_MIN), 1024);
	assert_int_equal(zone_mark(zone, WMARK_LOW), 1280);
	assert_int_equal(f.m->sysctl.user_min_free_kbytes, 4096);
	assert_int_equal(zone->pcp[0].high, 1280);
	assert_int_equal(f.m->reserve_pages, 1536);
	assert_int_equal(sysctl_write(f.t, f.m, "watermark_scale_factor", "1000", 4), 4);
	assert_int_equal(zone_mark(zone, WMARK_LOW), 1024 + 5589);
	/* A refused write recomputes nothing. */
	zone->boost = 700;
	assert_int_equal(sysctl_write(f.t, f.m, "watermark_scale_factor", "0", 1), -EINVAL);
	assert_int_equal(sysctl_write(f.t, f.m, "swappiness", "1", 1), 1);
	assert_int_equal(zone->boost, 700);
	core_teardown(&f);
}

static void test_reserves_at_boot(void **state)
{
	struct core_fixture f;

	(void)state;
	core_setup_normal(&f, 1, 65536);
	check_read(&f, "admin_reserve_kbytes", "8192\n");
	check_read(&f, "user_reserve_kbytes", "8192\n");
	core_teardown(&f);
	core_setup_normal(&f, 1, 2621440);
	check_read(&f, "user_reserve_kbytes", "131072\n");
	core_teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes),		 cmocka_unit_test(test_every_knob),
		cmocka_unit_test(test_buffers),		 cmocka_unit_test(test_marks_follow),
		cmocka_unit_test(test_reserves_at_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
