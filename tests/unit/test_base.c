/*
 * Tests of src/base: sizes as people write them, small arithmetic, random numbers, CPU sets.
 *
 * The random sequence is the one that job files document ("page sequence": xorshift, then a
 * multiplication). Its expected values were computed from that description by another
 * program, so that a change of the generator, which would change what every recorded job means,
 * fails here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/cpumask.h"
#include "base/rng.h"
#include "base/size.h"

#define SIZE_TEXT_BYTES 24
#define DEFAULT_SEED ((uint64_t)88172645463325252)

static uint64_t test_seed(void)
{
	const char *text = getenv("NEAP_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20240613;

	print_message("seed %llu\n", (unsigned long long)seed);
	return seed;
}

struct size_case {
	const char *text;
	size_t used; /* 0: refused */
	uint64_t bytes;
};

static void size_parse_accepts_number_and_letter(void **state)
{
	static const struct size_case cases[] = {
		{ "0", 1, 0 },
		{ "0K", 2, 0 },
		{ "4096", 4, 4096 },
		{ "512K", 4, 512 * KIB },
		{ "512k", 4, 512 * KIB },
		{ "64M", 3, 64 * MIB },
		{ "64m", 3, 64 * MIB },
		{ "2G", 2, 2 * GIB },
		{ "2g", 2, 2 * GIB },
		{ "1T", 2, 1024 * GIB },
		{ "1t", 2, 1024 * GIB },
		{ "007", 3, 7 },
		{ "18446744073709551615", 20, UINT64_MAX },
		{ "16777215T", 9, (uint64_t)16777215 << 40 },
		/* what follows is the caller's to report */
		{ "64MB", 3, 64 * MIB },
		{ "64 M", 2, 64 },
		{ "1.5G", 1, 1 },
		{ "12x", 2, 12 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t bytes = 99;

		assert_int_equal(size_parse(cases[i].text, &bytes), cases[i].used);
		assert_true(bytes == cases[i].bytes);
	}
}

static void size_parse_refuses_and_leaves_output(void **state)
{
	static const char *const cases[] = {
		"",
		"K",
		"-1",
		"+1",
		" 1",
		"x",
		"18446744073709551616",
		"99999999999999999999",
		"16777216T",
		"17179869184G",
		"18014398509481984K",
		"18446744073709551615K",
		"184467440737095516150",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t bytes = 99;

		assert_int_equal(size_parse(cases[i], &bytes), 0);
		assert_true(bytes == 99);
	}
}

static void size_format_chooses_unit(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 100, "100" },
		{ 1023, "1023" },
		{ 1024, "1K" },
		{ 1025, "1.0K" },
		{ 1536, "1.5K" },
		{ 2047, "1.9K" },
		{ 64 * MIB, "64M" },
		{ 64 * MIB + 512 * KIB, "64.5M" },
		{ GIB + 512 * MIB, "1.5G" },
		{ GIB + 256 * MIB, "1.2G" },
		{ GIB - 1, "1023.9M" },
		{ 1024 * GIB, "1T" },
		{ 1536 * GIB, "1.5T" },
		{ UINT64_MAX, "16777215.9T" },
	};
	char buf[SIZE_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_ptr_equal(size_format(cases[i].bytes, buf), buf);
		assert_string_equal(buf, cases[i].text);
	}
}

/* What is a whole number of its unit comes back; anything else is at most a tenth too small. */
static void size_format_and_parse_round_trip(void **state)
{
	char buf[SIZE_TEXT_BYTES];
	struct rng rng;

	(void)state;
	rng_seed(&rng, test_seed());
	for (uint32_t i = 0; i < 20000; i++) {
		uint64_t bytes = rng_next(&rng) >> rng_below(&rng, 64);
		uint64_t whole = 0;
		size_t used;

		memset(buf, 'x', sizeof(buf));
		size_format(bytes, buf);
		assert_non_null(memchr(buf, '\0', sizeof(buf)));
		used = size_parse(buf, &whole);
		assert_true(used > 0);
		if (buf[used] == '.') {
			uint64_t unit = 0;
			char one[3] = { '1', buf[used + 2], '\0' };

			assert_int_equal(size_parse(one, &unit), 2);
			assert_int_equal(strlen(buf), used + 3);
			assert_true(whole == bytes / unit);
			assert_int_equal(buf[used + 1] - '0', (int)(bytes % unit * 10 / unit));
		} else {
			assert_int_equal(strlen(buf), used);
			assert_true(whole == bytes);
		}
	}
}

static void isqrt_is_the_rounded_down_root(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, test_seed());
	for (uint64_t i = 0; i < 70000; i++) {
		uint64_t x = i < 60000 ? i : rng_next(&rng) >> rng_below(&rng, 64);
		uint64_t root = isqrt_u64(x);

		assert_true((unsigned __int128)root * root <= x);
		assert_true((unsigned __int128)(root + 1) * (root + 1) > x);
	}
	assert_true(isqrt_u64(UINT64_MAX) == UINT32_MAX);
	assert_true(isqrt_u64((uint64_t)UINT32_MAX * UINT32_MAX) == UINT32_MAX);
	assert_true(isqrt_u64((uint64_t)UINT32_MAX * UINT32_MAX - 1) == UINT32_MAX - 1u);
}

static void fls_counts_from_one(void **state)
{
	(void)state;
	assert_int_equal(fls_u64(0), 0);
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint64_t x = (uint64_t)1 << bit;

		assert_int_equal(fls_u64(x), bit + 1);
		assert_int_equal(fls_u64(x | (x - 1)), bit + 1);
	}
}

static void rounding_and_extremes(void **state)
{
	(void)state;
	assert_true(round_down_u64(4095, 4096) == 0);
	assert_true(round_down_u64(4096, 4096) == 4096);
	assert_true(round_up_u64(0, 4096) == 0);
	assert_true(round_up_u64(1, 4096) == 4096);
	assert_true(round_up_u64(4096, 4096) == 4096);
	assert_true(round_up_u64(10, 3) == 12);
	assert_true(min_u64(1, UINT64_MAX) == 1 && max_u64(1, UINT64_MAX) == UINT64_MAX);
	assert_true(min_i64(-1, 1) == -1 && max_i64(-1, 1) == 1);
	assert_true(min_u32(3, 4) == 3 && max_u32(3, 4) == 4);
}

static void rng_follows_the_documented_sequence(void **state)
{
	static const uint64_t expect[] = {
		0xE6A7A1EA317BCF2B, 0xA742A7A1B0D7CEF5, 0x9EED8B48662608D4,
		0x047840241EA2E4F9, 0x41A00689347AD585, 0xCF02DA6CC900223D,
	};
	static const uint64_t page_of_1000[] = { 579, 93, 196, 713, 293, 381 };
	struct rng rng = { .state = DEFAULT_SEED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(expect); i++) {
		uint64_t r = rng_next(&rng);

		assert_true(r == expect[i]);
		assert_true(r % 1000 == page_of_1000[i]);
	}
}

static void rng_is_determined_by_its_seed(void **state)
{
	uint64_t seed = test_seed();
	uint32_t equal = 0;
	struct rng a, b, c;

	(void)state;
	rng_seed(&a, seed);
	rng_seed(&b, seed);
	rng_seed(&c, seed + 1);
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t value = rng_next(&a);

		assert_true(value == rng_next(&b));
		equal += value == rng_next(&c);
	}
	assert_int_equal(equal, 0);
	for (uint64_t small = 0; small < 1000; small++) {
		rng_seed(&a, small);
		assert_true(a.state != 0);
	}
	/* The seed that the finalizer would turn into the forbidden state. */
	rng_seed(&a, 0 - (uint64_t)0x9E3779B97F4A7C15);
	assert_true(a.state != 0);
	assert_true(rng_next(&a) != rng_next(&a));
}

static void rng_below_covers_its_range(void **state)
{
	uint32_t hits[7] = { 0 };
	struct rng rng;

	(void)state;
	rng_seed(&rng, test_seed());
	for (uint32_t i = 0; i < 70000; i++) {
		uint64_t value = rng_below(&rng, ARRAY_LEN(hits));

		assert_true(value < ARRAY_LEN(hits));
		hits[value]++;
	}
	/* 10000 expected each, standard deviation 93; eleven of those either way. */
	for (size_t i = 0; i < ARRAY_LEN(hits); i++)
		assert_in_range(hits[i], 9000, 11000);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(rng_below(&rng, 1) == 0);
}

static void mix_is_one_to_one_and_spreads(void **state)
{
	uint32_t changed_bits = 0;

	(void)state;
	assert_true(mix_u64(0) == 0);
	for (uint32_t bit = 0; bit < 64; bit++) {
		uint64_t x = mix_u64(12345) ^ mix_u64(12345 ^ (uint64_t)1 << bit);

		assert_true(x != 0);
		changed_bits += (uint32_t)__builtin_popcountll(x);
	}
	/* One bit in changes half of the bits out, 32 of 64 for each. */
	assert_in_range(changed_bits, 64 * 28, 64 * 36);
}

static void cpumask_is_a_set(void **state)
{
	bool model[NEAP_MAX_CPUS] = { false };
	struct cpumask mask = { { 0 } };
	struct rng rng;

	(void)state;
	assert_true(cpumask_empty(&mask));
	assert_int_equal(cpumask_next(&mask, 0), NEAP_MAX_CPUS);
	rng_seed(&rng, test_seed());
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t cpu = (uint32_t)rng_below(&rng, NEAP_MAX_CPUS);
		uint32_t from = (uint32_t)rng_below(&rng, NEAP_MAX_CPUS + 1);
		uint32_t count = 0;
		uint32_t next = NEAP_MAX_CPUS;

		model[cpu] = rng_below(&rng, 8) == 0;
		if (model[cpu])
			cpumask_set(&mask, cpu);
		else
			cpumask_clear(&mask, cpu);
		for (uint32_t c = NEAP_MAX_CPUS; c-- > 0;) {
			count += model[c];
			assert_int_equal(cpumask_test(&mask, c), model[c]);
			if (model[c] && c >= from)
				next = c;
		}
		assert_int_equal(cpumask_count(&mask), count);
		assert_int_equal(cpumask_empty(&mask), count == 0);
		assert_int_equal(cpumask_next(&mask, from), next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_parse_accepts_number_and_letter),
		cmocka_unit_test(size_parse_refuses_and_leaves_output),
		cmocka_unit_test(size_format_chooses_unit),
		cmocka_unit_test(size_format_and_parse_round_trip),
		cmocka_unit_test(isqrt_is_the_rounded_down_root),
		cmocka_unit_test(fls_counts_from_one),
		cmocka_unit_test(rounding_and_extremes),
		cmocka_unit_test(rng_follows_the_documented_sequence),
		cmocka_unit_test(rng_is_determined_by_its_seed),
		cmocka_unit_test(rng_below_covers_its_range),
		cmocka_unit_test(mix_is_one_to_one_and_spreads),
		cmocka_unit_test(cpumask_is_a_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
