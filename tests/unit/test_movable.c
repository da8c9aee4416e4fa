/*
 * Tests of core/movable.c: two recorded machines, and properties of random ones.
 */
#include "core_fixture.h"

#include "core/movable.h"

/* 512 MiB with movablecore=128M: a kernel of 6.1 began Movable at frame 98304. */
static void test_one_node(void **state)
{
	static const struct movable_range ranges[] = { { 0, 1, 159 },
						       { 0, 256, 4096 },
						       { 0, 4096, 131028 } };
	const struct movable_want want = { .movablecore_pages = 32768, .usable_pfn = 4096 };
	uint64_t first[NEAP_MAX_NODES];

	(void)state;
	movable_place(ranges, ARRAY_LEN(ranges), &want, first);
	assert_int_equal(first[0], 98304);
	for (uint32_t n = 1; n < NEAP_MAX_NODES; n++)
		assert_int_equal(first[n], 0);
}

/* Two nodes of 2 GiB with movablecore=1G: node 1's memory above 4 GiB, all of it. */
static void test_two_nodes(void **state)
{
	static const struct movable_range ranges[] = { { 0, 1, 159 },
						       { 0, 256, 4096 },
						       { 0, 4096, 524288 },
						       { 1, 524288, 786388 },
						       { 1, 1048576, 1310720 } };
	const struct movable_want want = { .movablecore_pages = 262144, .usable_pfn = 1048576 };
	uint64_t first[NEAP_MAX_NODES];

	(void)state;
	movable_place(ranges, ARRAY_LEN(ranges), &want, first);
	assert_int_equal(first[0], 0);
	assert_int_equal(first[1], 1048576);
}

/* A node that has less than its share gives all; the other gets the rest. */
static void test_uneven(void **state)
{
	static const struct movable_range ranges[] = { { 0, 1048576, 1048576 + 65536 },
						       { 1, 2097152, 2097152 + 1048576 } };
	const struct movable_want want = { .kernelcore_pages = 262144, .usable_pfn = 1048576 };
	uint64_t first[NEAP_MAX_NODES];

	(void)state;
	movable_place(ranges, ARRAY_LEN(ranges), &want, first);
	assert_int_equal(first[0], 0);
	assert_int_equal(first[1], 2097152 + 262144 - 65536);
}

static void test_nothing_wanted(void **state)
{
	static const struct movable_range ranges[] = { { 0, 1048576, 2097152 } };
	const struct movable_want none = { .usable_pfn = 1048576 };
	const struct movable_want all = { .kernelcore_pages = 1 << 20, .usable_pfn = 1048576 };
	/* More than there is: everything is Movable, which Linux refuses as no kernel memory. */
	const struct movable_want too_much = { .movablecore_pages = 1 << 22,
					       .usable_pfn = 1048576 };
	uint64_t first[NEAP_MAX_NODES];

	(void)state;
	movable_place(ranges, 1, &none, first);
	assert_int_equal(first[0], 0);
	movable_place(ranges, 1, &all, first);
	assert_int_equal(first[0], 0);
	movable_place(ranges, 1, &too_much, first);
	assert_int_equal(first[0], 0);
}

/*
 * The kernel gets what it was promised but for a page a node; Movable begins at a multiple of the
 * largest block, in the highest zone.
 */
static void test_properties(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, core_seed());
	for (uint32_t round = 0; round < 3000; round++) {
		struct movable_range ranges[8];
		uint32_t nr = 1 + (uint32_t)rng_below(&rng, 8);
		uint64_t pfn = 1048576, total = 0, kernel = 0, first[NEAP_MAX_NODES];

		for (uint32_t i = 0; i < nr; i++) {
			uint64_t pages = 1024 * (1 + rng_below(&rng, 512));

			ranges[i] = (struct movable_range){ i, pfn, pfn + pages };
			pfn += pages;
			total += pages;
		}
		const struct movable_want want = { .kernelcore_pages = 1 + rng_below(&rng, total),
						   .usable_pfn = 1048576 };

		movable_place(ranges, nr, &want, first);
		for (uint32_t i = 0; i < nr; i++) {
			assert_int_equal(first[i] % 1024, 0);
			assert_true(first[i] == 0 || first[i] >= ranges[i].first_pfn);
			assert_true(first[i] < ranges[i].end_pfn);
			kernel += (first[i] != 0 ? first[i] : ranges[i].end_pfn) -
				  ranges[i].first_pfn;
		}
		assert_true(kernel + nr >= want.kernelcore_pages);
		assert_true(kernel <= want.kernelcore_pages + 1024 * nr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_node),   cmocka_unit_test(test_two_nodes),
		cmocka_unit_test(test_uneven),	   cmocka_unit_test(test_nothing_wanted),
		cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
