/*
 * Fragmentation numbers: the worked examples of spec 02, section 10, the files they are
 * printed in, and what holds for any free lists.
 */
#include "test_text_util.h"

#include "core/fragindex.h"
#include "text/extfrag.h"

#define ORDERS NEAP_NR_ORDERS
#define ROUNDS 20000

static void check(const uint64_t blocks[ORDERS], const int32_t external[ORDERS],
		  const int32_t unusable[ORDERS])
{
	for (uint32_t order = 0; order < ORDERS; order++) {
		struct fragindex frag = fragindex_count(blocks, ORDERS, order);

		if (external != NULL)
			assert_int_equal(fragindex_external(&frag), external[order]);
		if (unusable != NULL)
			assert_int_equal(fragindex_unusable(&frag), unusable[order]);
	}
}

static void test_examples(void **state)
{
	static const uint64_t quiet[ORDERS] = { 0, 1, 2, 2, 1, 1, 7, 10, 3, 4, 101 };
	static const int32_t quiet_unusable[ORDERS] = { 0, 0, 0, 0, 0, 0, 0, 4, 16, 23, 42 };
	static const uint64_t dma[ORDERS] = { 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 3 };
	static const int32_t dma_unusable[ORDERS] = { 0, 0, 0, 0, 0, 0, 8, 25, 58, 58, 193 };
	static const uint64_t small[ORDERS] = { 900, 450, 100, 20 };
	static const int32_t small_external[ORDERS] = { -1000, -1000, -1000, -1000, 899, 950,
							975,   987,   994,   997,   998 };
	static const int32_t small_unusable[ORDERS] = { 0,    381,  762,  932,	1000, 1000,
							1000, 1000, 1000, 1000, 1000 };
	static const uint64_t three[ORDERS] = { 3 };
	static const int32_t three_external[ORDERS] = { -1000, 167, 417, 542, 605, 636,
							652,   659, 663, 665, 666 };
	static const uint64_t none[ORDERS] = { 0 };
	static const int32_t none_external[ORDERS] = { 0 };
	static const int32_t none_unusable[ORDERS] = { 1000, 1000, 1000, 1000, 1000, 1000,
						       1000, 1000, 1000, 1000, 1000 };

	(void)state;
	check(quiet, NULL, quiet_unusable);
	check(dma, NULL, dma_unusable);
	check(small, small_external, small_unusable);
	check(three, three_external, NULL);
	check(none, none_external, none_unusable);
}

/* A negative index that does not mean "would not fail". */
static void test_one_large_block(void **state)
{
	uint64_t blocks[ORDERS] = { 0 };

	(void)state;
	blocks[9] = 1;
	struct fragindex frag = fragindex_count(blocks, ORDERS, 10);
	assert_int_equal(fragindex_external(&frag), -500);
	assert_int_equal(fragindex_unusable_percent(&frag), 100);
	frag = fragindex_count(blocks, ORDERS, 9);
	assert_int_equal(fragindex_external(&frag), -1000);
	assert_int_equal(fragindex_unusable_percent(&frag), 0);
	blocks[9] = 0;
	frag = fragindex_count(blocks, ORDERS, 9);
	assert_int_equal(fragindex_unusable_percent(&frag), 0);
	assert_int_equal(fragindex_unusable(&frag), 1000);
}

/* Ranges and orders that follow from the definitions. */
static void test_any_lists(void **state)
{
	struct rng rng;

	(void)state;
	rng_seed(&rng, util_seed());
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t blocks[ORDERS];
		uint64_t pages = 0;
		uint32_t unusable = 0;

		for (uint32_t order = 0; order < ORDERS; order++) {
			blocks[order] = rng_below(&rng, 3) == 0
						? 0
						: rng_next(&rng) >> (30 + rng_below(&rng, 34));
			pages += blocks[order] << order;
		}
		for (uint32_t order = 0; order < ORDERS; order++) {
			struct fragindex frag = fragindex_count(blocks, ORDERS, order);
			int32_t external = fragindex_external(&frag);

			assert_true(frag.pages == pages);
			assert_true(external == -1000 || (external > -1000 && external <= 1000));
			assert_int_equal(external == -1000, frag.suitable > 0);
			assert_true(fragindex_unusable(&frag) >= unusable || pages == 0);
			unusable = fragindex_unusable(&frag);
			assert_true(unusable <= 1000);
			assert_true(pages == 0 ||
				    fragindex_unusable_percent(&frag) == unusable / 10);
		}
	}
}

/* Numbers from a hostile file: some result within the range, and no crash. */
static void test_absurd_lists(void **state)
{
	uint64_t blocks[ORDERS];

	(void)state;
	for (uint32_t order = 0; order < ORDERS; order++) {
		memset(blocks, 0xff, sizeof(blocks));
		struct fragindex frag = fragindex_count(blocks, ORDERS, order);
		assert_true(fragindex_external(&frag) <= 1000);
		assert_true(fragindex_unusable(&frag) <= 1000);
		assert_true(fragindex_unusable_percent(&frag) <= 100);
	}
	memset(blocks, 0, sizeof(blocks));
	blocks[0] = UINT64_MAX;
	struct fragindex frag = fragindex_count(blocks, ORDERS, 10);
	assert_true(fragindex_external(&frag) <= 1000);
}

static void test_files(void **state)
{
	static const uint64_t dma[ORDERS] = { 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0 };
	struct snapshot *snapshot = util_snapshot_new(2);
	struct text_doc *doc = NULL;
	struct text_buf out;
	int64_t value = 0;

	(void)state;
	text_buf_init(&out);
	struct snapshot_zone *zone = &snapshot->node[0].zone[ZONE_DMA];
	zone->present = 1;
	memcpy(zone->nr_free, dma, sizeof(dma));
	snapshot->node[1].zone[ZONE_NORMAL].present = 1;
	assert_int_equal(text_proc_write(snapshot, "extfrag/extfrag_index", &out), 0);
	util_assert_text(out.at, "Node 0, zone      DMA -1.000 -1.000 -1.000 -1.000 -1.000 -1.000"
				 " -1.000 -1.000 -1.000 -1.000  0.571 \n"
				 "Node 1, zone   Normal  0.000  0.000  0.000  0.000  0.000  0.000"
				 "  0.000  0.000  0.000  0.000  0.000 \n");
	text_buf_reset(&out);
	assert_int_equal(text_proc_write(snapshot, "unusable_index", &out), 0);
	util_assert_text(out.at, "Node 0, zone      DMA 0.000 0.000 0.000 0.000 0.000 0.000 0.043"
				 " 0.130 0.304 0.304 1.000 \n"
				 "Node 1, zone   Normal 1.000 1.000 1.000 1.000 1.000 1.000 1.000"
				 " 1.000 1.000 1.000 1.000 \n");
	/* One block of order 9 alone: the odd look of a negative fraction. */
	memset(zone->nr_free, 0, sizeof(zone->nr_free));
	zone->nr_free[9] = 1;
	text_buf_reset(&out);
	assert_int_equal(text_proc_write(snapshot, "extfrag_index", &out), 0);
	assert_non_null(strstr(out.at, " -1.000  0.-500 \n"));
	struct text_input in = { out.at, out.bytes, "extfrag_index" };
	assert_int_equal(text_doc_load(&extfrag_index_format, &in, &doc, NULL), 0);
	assert_int_equal(doc->nr_odd + doc->nr_unknown, 0);
	assert_true(extfrag_doc_get(doc, zone, 10, &value));
	assert_int_equal(value, -500);
	assert_true(extfrag_doc_get(doc, zone, 9, &value));
	assert_int_equal(value, -1000);
	assert_false(extfrag_doc_get(doc, zone, 11, &value));
	assert_false(extfrag_doc_get(doc, &snapshot->node[1].zone[ZONE_DMA], 0, &value));
	text_doc_free(doc);
	text_buf_free(&out);
	free(snapshot);
}

/* Negative numbers of every length: one free page, seen from each order. */
static void test_negative_text(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);
	struct snapshot_zone *zone = &snapshot->node[0].zone[ZONE_DMA];
	struct text_doc *doc = NULL;
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	zone->present = 1;
	zone->nr_free[0] = 1;
	assert_int_equal(text_proc_write(snapshot, "extfrag_index", &out), 0);
	util_assert_text(out.at,
			 "Node 0, zone      DMA -1.000  0.-500  0.-250  0.-125  0.-62  0.-31"
			 "  0.-15  0.-07  0.-03  0.-01  0.000 \n");
	struct text_input in = { out.at, out.bytes, "extfrag_index" };
	assert_int_equal(text_doc_load(&extfrag_index_format, &in, &doc, NULL), 0);
	assert_int_equal(doc->nr_odd + doc->nr_unknown, 0);
	for (uint32_t order = 0; order < ORDERS; order++) {
		struct fragindex frag = fragindex_count(zone->nr_free, ORDERS, order);
		int64_t value = 0;

		assert_true(extfrag_doc_get(doc, zone, order, &value));
		assert_int_equal(value, fragindex_external(&frag));
	}
	text_doc_free(doc);
	text_buf_free(&out);
	free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),  cmocka_unit_test(test_one_large_block),
		cmocka_unit_test(test_any_lists), cmocka_unit_test(test_absurd_lists),
		cmocka_unit_test(test_files),	  cmocka_unit_test(test_negative_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
