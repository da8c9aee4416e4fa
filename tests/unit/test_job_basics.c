/*
 * Page sequences against numbers computed by another program from the written
 * definition, and SHA-256 against the standard's examples.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "job/pageseq.h"
#include "job/sha256.h"

struct known_sequence {
	enum pageseq_order order;
	uint64_t nr_pages, seed;
	uint64_t first[6];
	uint64_t weighted_sum; /* of 100000 pages, the i-th times i + 1, modulo 2^64 */
};

static void test_sequences(void **state)
{
	static const struct known_sequence known[] = {
		{ PAGESEQ_RANDOM,
		  1000,
		  PAGESEQ_DEFAULT_SEED,
		  { 579, 93, 196, 713, 293, 381 },
		  2497786305298u },
		{ PAGESEQ_RANDOM,
		  66560,
		  777,
		  { 39167, 58991, 5482, 22178, 23994, 5061 },
		  165634647603981u },
		{ PAGESEQ_ZIPF,
		  1000,
		  PAGESEQ_DEFAULT_SEED,
		  { 544, 490, 31, 0, 44, 665 },
		  2268097053957u },
		{ PAGESEQ_ZIPF,
		  76800,
		  5,
		  { 31937, 75608, 59723, 4253, 68883, 269 },
		  199430238914331u },
		{ PAGESEQ_ZIPF, 7, 21, { 0, 5, 2, 4, 3, 0 }, 12198387127u },
	};

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(known); k++) {
		struct pageseq seq;
		uint64_t sum = 0;

		pageseq_start(&seq, known[k].order, known[k].nr_pages, known[k].seed);
		for (uint64_t i = 0; i < 100000; i++) {
			uint64_t page = pageseq_next(&seq);

			assert_true(page < known[k].nr_pages);
			if (i < ARRAY_LEN(known[k].first))
				assert_int_equal(page, known[k].first[i]);
			sum += (i + 1) * page;
		}
		assert_int_equal(sum, known[k].weighted_sum);
	}
}

static void test_seq_wraps(void **state)
{
	struct pageseq seq;

	(void)state;
	pageseq_start(&seq, PAGESEQ_SEQ, 3, 1);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(pageseq_next(&seq), i % 3);
}

static void digest(const char *text, size_t bytes, size_t step, char hex[SHA256_HEX_BYTES])
{
	struct sha256 hash;

	sha256_start(&hash);
	for (size_t at = 0; at < bytes; at += step)
		sha256_add(&hash, text + at, bytes - at < step ? bytes - at : step);
	sha256_finish(&hash, hex);
}

static void test_sha256(void **state)
{
	static const struct {
		const char *text;
		const char *hex;
	} known[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	char hex[SHA256_HEX_BYTES];
	char *million = malloc(1000000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		digest(known[i].text, strlen(known[i].text), 1000, hex);
		assert_string_equal(hex, known[i].hex);
		digest(known[i].text, strlen(known[i].text), 1, hex);
		assert_string_equal(hex, known[i].hex);
	}
	memset(million, 'a', 1000000);
	digest(million, 1000000, 4099, hex);
	assert_string_equal(hex,
			    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(million);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_seq_wraps),
		cmocka_unit_test(test_sha256),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
