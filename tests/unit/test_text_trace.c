/*
 * Trace text: flag words as real traces have them, and the layout of the file.
 */
#include "test_text_util.h"

#include <errno.h>

#include "text/trace.h"

/* Words found in traces of Linux 6.1. */
static const char *const real_words[] = {
	"GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO",
	"GFP_NOFS|__GFP_HIGHMEM|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_HARDWALL|__GFP_MOVABLE",
	"GFP_HIGHUSER_MOVABLE|__GFP_COMP",
	"GFP_NOWAIT|__GFP_NOWARN|__GFP_NORETRY|__GFP_NOMEMALLOC",
	"GFP_NOIO|__GFP_NOWARN|__GFP_NORETRY|__GFP_NOMEMALLOC",
	"GFP_KERNEL_ACCOUNT|__GFP_ZERO",
	"GFP_NOWAIT|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_RECLAIMABLE",
	"GFP_HIGHUSER_MOVABLE",
	"GFP_TRANSHUGE|__GFP_NORETRY|__GFP_THISNODE",
	"GFP_HIGHUSER_MOVABLE|__GFP_NOWARN|__GFP_RETRY_MAYFAIL|__GFP_COMP|__GFP_THISNODE",
	"GFP_ATOMIC|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_NOMEMALLOC",
	"none",
	"GFP_KERNEL|__GFP_HIGHMEM|__GFP_NOWARN|__GFP_ZERO",
	("__GFP_IO|__GFP_FS|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_NOMEMALLOC|"
	 "__GFP_RECLAIMABLE"),
	"__GFP_IO|__GFP_NOWARN|__GFP_NORETRY|__GFP_COMP|__GFP_NOMEMALLOC|__GFP_RECLAIMABLE",
	"GFP_NOWAIT|__GFP_FS|__GFP_NOWARN|__GFP_NORETRY|__GFP_NOMEMALLOC",
};

static void test_real_words(void **state)
{
	char text[GFP_TEXT_BYTES];
	uint32_t gfp = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(real_words); i++) {
		assert_int_equal(gfp_flags_parse(real_words[i], &gfp), 0);
		assert_int_equal(gfp_flags_format(gfp, text, sizeof(text)), strlen(real_words[i]));
		assert_string_equal(text, real_words[i]);
	}
}

static void test_values(void **state)
{
	static const struct {
		uint32_t gfp;
		const char *text;
	} words[] = {
		{ 0xcc0, "GFP_KERNEL" },
		{ 0xa20, "GFP_ATOMIC" },
		{ 0x820, "GFP_NOWAIT|__GFP_HIGH" },
		{ 0x140dca, "GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO" },
		{ 0x1c24ca, "GFP_TRANSHUGE" },
		{ 0x1c20ca, "GFP_TRANSHUGE_LIGHT" },
		{ 0x5, "GFP_DMA|GFP_DMA32" },
		{ 0x400, "__GFP_DIRECT_RECLAIM" },
		{ 0x2000cc0, "GFP_KERNEL|0x2000000" },
	};
	char text[GFP_TEXT_BYTES];
	uint32_t gfp = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		gfp_flags_format(words[i].gfp, text, sizeof(text));
		assert_string_equal(text, words[i].text);
		assert_int_equal(gfp_flags_parse(words[i].text, &gfp), 0);
		assert_int_equal(gfp, words[i].gfp);
	}
	assert_int_equal(gfp_flags_parse("0xCC0|__GFP_COMP", &gfp), 0);
	assert_int_equal(gfp, 0x40cc0);
	assert_int_equal(gfp_flags_parse("GFP_KERNEL|", &gfp), -EINVAL);
	assert_int_equal(gfp_flags_parse("GFP_KERNE", &gfp), -EINVAL);
	assert_int_equal(gfp_flags_parse("", &gfp), -EINVAL);
	assert_int_equal(gfp_flags_parse("0x123456789", &gfp), -EINVAL);
}

/* Any 32 bits survive, and the longest text fits its room. */
static void test_random_flags(void **state)
{
	char text[GFP_TEXT_BYTES];
	struct rng rng;
	uint32_t gfp = 0;

	(void)state;
	rng_seed(&rng, util_seed());
	for (int i = 0; i < 10000; i++) {
		uint32_t flags = (uint32_t)rng_next(&rng) | (uint32_t)rng_next(&rng);

		assert_true(gfp_flags_format(flags, text, sizeof(text)) < sizeof(text));
		assert_int_equal(gfp_flags_parse(text, &gfp), 0);
		assert_int_equal(gfp, flags);
	}
	assert_true(gfp_flags_format(UINT32_MAX & ~0xc00u, text, sizeof(text)) < sizeof(text));
}

static void test_cut(void **state)
{
	char text[8] = "-------";

	(void)state;
	assert_int_equal(gfp_flags_format(0xcc0, text, sizeof(text)), 10);
	assert_string_equal(text, "GFP_KER");
	assert_int_equal(gfp_flags_format(0x140dca, text, sizeof(text)), 42);
	assert_string_equal(text, "GFP_HIG");
	assert_int_equal(gfp_flags_format(0xcc0, NULL, 0), 10);
}

static void test_reclaim_words(void **state)
{
	char text[GFP_TEXT_BYTES];

	(void)state;
	reclaim_flags_format(RECLAIM_WB_ANON | RECLAIM_WB_ASYNC, text, sizeof(text));
	assert_string_equal(text, "RECLAIM_WB_ANON|RECLAIM_WB_ASYNC");
	reclaim_flags_format(RECLAIM_WB_FILE | RECLAIM_WB_SYNC | 0x40, text, sizeof(text));
	assert_string_equal(text, "RECLAIM_WB_FILE|RECLAIM_WB_SYNC|0x40");
	reclaim_flags_format(0, text, sizeof(text));
	assert_string_equal(text, "RECLAIM_WB_NONE");
	assert_string_equal(lru_list_name(0), "inactive_anon");
	assert_string_equal(lru_list_name(4), "unevictable");
	assert_string_equal(lru_list_name(5), "?");
}

static void test_layout(void **state)
{
	const struct trace_prefix prefix = { "kswapd0", 42, 1, 6733871999, NULL };
	const struct trace_prefix wide = { "a-very-long-task-name", 1234567, 255,
					   123456789000001000, "d..3." };
	const uint64_t values[] = { 0, 3 };
	const struct trace_event event = { "mm_vmscan_kswapd_wake", "nid=%d order=%d", "nn",
					   values };
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	assert_int_equal(trace_event_write(&out, &prefix, &event), 0);
	assert_int_equal(trace_event_write(&out, &wide, &event), 0);
	util_assert_text(out.at, "         kswapd0-42      [001] .....     6.733871: "
				 "mm_vmscan_kswapd_wake: nid=0 order=3\n"
				 " a-very-long-tas-1234567 [255] d..3. 123456789.000001: "
				 "mm_vmscan_kswapd_wake: nid=0 order=3\n");
	text_buf_reset(&out);
	assert_int_equal(trace_header_write(&out, 9954, 10000, 2), 0);
	const char *first =
		"# tracer: nop\n#\n# entries-in-buffer/entries-written: 9954/10000   #P:2\n#\n";
	assert_int_equal(strncmp(out.at, first, strlen(first)), 0);
	assert_non_null(
		strstr(out.at, "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"));
	/* The columns under the legend are the columns of the prefix. */
	const char *legend = strstr(out.at, "#           TASK-PID");
	assert_int_equal(strstr(legend, "|||||") - legend, 31);
	text_buf_free(&out);
}

static void test_bodies(void **state)
{
	static const struct {
		const char *format, *kinds;
		uint64_t values[6];
		const char *text;
	} bodies[] = {
		{ "page=%p pfn=0x%lx order=%d gfp_flags=%s",
		  "nnng",
		  { 0xabc, 0x3c28, 0, 0xdc0 },
		  "page=0000000000000abc pfn=0x3c28 order=0 gfp_flags=GFP_KERNEL|__GFP_ZERO" },
		{ "lru=%s flags=%s",
		  "lr",
		  { 2, 0xa },
		  "lru=inactive_file flags=RECLAIM_WB_FILE|RECLAIM_WB_ASYNC" },
		{ "%d %ld %u %lu",
		  "nnnn",
		  { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
		  "-1 -1 4294967295 18446744073709551615" },
		{ "zone=%-8s|%5d|%-5d|%05d|%05d%%",
		  "znnnn",
		  { 1, 7, 7, 7, (uint64_t)-7 },
		  "zone=DMA32   |    7|7    |00007|-0007%" },
		{ "plain", "", { 0 }, "plain" },
		{ "%zu %llx %s", "nnz", { 5, 255, 99 }, "5 ff ?" },
	};
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		text_buf_reset(&out);
		assert_int_equal(trace_body_write(&out, bodies[i].format, bodies[i].kinds,
						  bodies[i].values),
				 0);
		assert_string_equal(text_buf_text(&out), bodies[i].text);
	}
	text_buf_free(&out);
}

/* Formats and kinds that do not fit: refused, with nothing printed. */
static void test_bad_bodies(void **state)
{
	static const struct {
		const char *format, *kinds;
	} bodies[] = {
		{ "nid=%d", "" }, { "nid=%d", "nn" }, { "nid=%d", "g" },
		{ "%s", "n" },	  { "x %", "n" },     { "%f", "n" },
		{ "%*d", "n" },	  { "%s", "?" },      { "%l", "n" },
	};
	const uint64_t values[] = { 1, 2 };
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	text_buf_puts(&out, "before");
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		assert_int_equal(trace_body_write(&out, bodies[i].format, bodies[i].kinds, values),
				 -EINVAL);
		assert_string_equal(out.at, "before");
	}
	text_buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_words),    cmocka_unit_test(test_values),
		cmocka_unit_test(test_random_flags),  cmocka_unit_test(test_cut),
		cmocka_unit_test(test_reclaim_words), cmocka_unit_test(test_layout),
		cmocka_unit_test(test_bodies),	      cmocka_unit_test(test_bad_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
