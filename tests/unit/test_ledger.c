/*
 * neap ledger: the arithmetic of the files, a published file with slipped lines, recorded machines
 * that are all right, and growth between two readings.
 */
#include "test_text_util.h"

#include <glob.h>

#include "diag/ledger.h"
#include "text_corpus.h"

/*
 * The board of 5 GB with CMA, as its owner published it: the labels of some lines have slipped.
 * MemTotal is what the published use (4138700 kB) and MemFree give together; lines whose numbers
 * the article does not print are left out.
 */
static const char board[] = "MemTotal:        4955096 kB\n"
			    "MemFree:          816396 kB\n"
			    "Buffers:            3280 kB\n"
			    "Cached:            83860 kB\n"
			    "SwapCached:            0 kB\n"
			    "SwapTotal:             0 kB\n"
			    "SwapFree:              0 kB\n"
			    "AnonPages:       2684368 kB\n"
			    "KReclaimable:      46600 kB\n"
			    "Slab:              69556 kB\n"
			    "SReclaimable:      28836 kB\n"
			    "SUnreclaim:       114344 kB\n"
			    "KernelStack:       46600 kB\n"
			    "PageTables:        69556 kB\n"
			    "VmallocUsed:           0 kB\n"
			    "Percpu:              360 kB\n"
			    "CmaTotal:        1048576 kB\n"
			    "CmaFree:          740176 kB\n";

static struct evidence *from_text(const char *text)
{
	struct evidence *evidence = NULL;
	struct text_error err;

	if (evidence_from_text("the text", text, strlen(text), &evidence, &err) != 0)
		fail_msg("%s", err.message);
	return evidence;
}

static void make(const char *text, struct ledger *ledger)
{
	struct evidence *evidence = from_text(text);

	assert_true(ledger_make(evidence, ledger));
	evidence_free(evidence);
}

/* The text has no long line. */
static void check_text(const struct ledger *ledger, const struct ledger *before, const char *piece)
{
	struct paint paint = { .width = 80 };
	struct text_buf out;

	text_buf_init(&out);
	ledger_add_text(&out, ledger, before, &paint);
	assert_int_equal(out.error, 0);
	for (const char *at = text_buf_text(&out); *at != '\0';) {
		size_t bytes = strcspn(at, "\n");

		if (bytes > 80)
			fail_msg("%zu columns: %.*s", bytes, (int)bytes, at);
		at += bytes + (at[bytes] == '\n');
	}
	if (strstr(text_buf_text(&out), piece) == NULL)
		fail_msg("\"%s\" is not in:\n%s", piece, text_buf_text(&out));
	text_buf_free(&out);
}

static void test_board(void **state)
{
	struct ledger ledger;

	(void)state;
	make(board, &ledger);
	/* 74 MiB for requests that may not use CMA; 301 MiB of CMA in use. */
	assert_int_equal(ledger.row[LEDGER_FREE_ANY].kb, 76220);
	assert_int_equal(ledger.cma_total_kb - ledger.cma_free_kb, 308400);
	/* The sum of Slab, and two pairs of lines with the same numbers. */
	assert_int_equal(ledger.nr_checks, 2);
	assert_non_null(strstr(ledger.check[0].text, "Slab 69556 is not"));
	assert_non_null(strstr(ledger.check[1].text, "KernelStack and PageTables have the numbers "
						     "of KReclaimable and Slab"));
	assert_int_equal(ledger.row[LEDGER_SLAB].kb, 143180);
	/* All labels as they may be: at least this has no owner. */
	assert_int_equal(ledger.rest_low_kb, 1107496);
	/* Slab as labelled, and neither stacks nor page tables known. */
	assert_true(ledger.rest_high_kb >= 1181120 && ledger.rest_high_kb < 1400000);
	check_text(&ledger, NULL, "the file cannot be right");
	check_text(&ledger, NULL, "301 MiB are used");
}

/* The same file with the labels mended: no finding, one number. */
static void test_mended(void **state)
{
	static const char text[] = "MemTotal:        4955096 kB\nMemFree:          816396 kB\n"
				   "Buffers:            3280 kB\nCached:            83860 kB\n"
				   "Shmem:              5000 kB\nSwapCached:            0 kB\n"
				   "AnonPages:       2684368 kB\nKReclaimable:      28836 kB\n"
				   "Slab:             143180 kB\nSReclaimable:      28836 kB\n"
				   "SUnreclaim:       114344 kB\nKernelStack:        6000 kB\n"
				   "PageTables:        20000 kB\nVmallocUsed:       30000 kB\n"
				   "Percpu:              360 kB\nSwapTotal:             0 kB\n"
				   "Hugepagesize:       2048 kB\nHugePages_Total:      10\n"
				   "HugePages_Free:        4\nActive(file):      70000 kB\n";
	struct ledger ledger;

	(void)state;
	make(text, &ledger);
	assert_int_equal(ledger.nr_checks, 0);
	assert_int_equal(ledger.row[LEDGER_CACHE_FILES].kb, 78860);
	assert_int_equal(ledger.row[LEDGER_HUGETLB].kb, 20480);
	assert_int_equal(ledger.row[LEDGER_HUGETLB_FREE].kb, 8192);
	assert_true(ledger.stacks_inside && !ledger.row[LEDGER_STACKS].known);
	assert_int_equal(ledger.rest_low_kb, 4955096 - 816396 - 3280 - 83860 - 2684368 - 143180 -
						     20000 - 30000 - 360 - 20480);
	assert_int_equal(ledger.rest_high_kb, ledger.rest_low_kb);
	check_text(&ledger, NULL, "nothing is wrong: all but 1.1 GiB has an owner");
	check_text(&ledger, NULL, "No swap");
}

/* Each rule that a file can break is noticed; SwapCached makes the rest a range. */
static void test_rules(void **state)
{
	static const struct {
		const char *text, *piece;
	} cases[] = {
		{ "MemTotal: 1000 kB\nMemFree: 2000 kB\n", "MemFree 2000 kB is more than" },
		{ "MemTotal: 100000 kB\nMemFree: 20 kB\nActive: 10 kB\nActive(anon): 4 kB\n"
		  "Active(file): 5 kB\n",
		  "Active 10 is not Active(anon) 4 + Active(file) 5 = 9 kB" },
		{ "MemTotal: 100000 kB\nMemFree: 20 kB\nSwapTotal: 5 kB\nSwapFree: 6 kB\n",
		  "SwapFree 6 kB is more than SwapTotal" },
		{ "MemTotal: 100000 kB\nMemFree: 20 kB\nAnonPages: 900000000 kB\n",
		  "more than MemTotal" },
		{ "MemTotal: 100000 kB\nMemFree: 20 kB\nKReclaimable: 5 kB\nSReclaimable: 6 kB\n",
		  "SReclaimable 6 kB is more than" },
	};
	struct ledger ledger;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		make(cases[i].text, &ledger);
		assert_true(ledger.nr_checks >= 1);
		check_text(&ledger, NULL, "the file cannot be right");
		if (strstr(ledger.check[0].text, cases[i].piece) == NULL)
			fail_msg("%s", ledger.check[0].text);
	}
	make("MemTotal: 100000 kB\nMemFree: 20000 kB\nSwapCached: 3000 kB\n", &ledger);
	assert_int_equal(ledger.nr_checks, 0);
	assert_int_equal(ledger.rest_low_kb, 77000);
	assert_int_equal(ledger.rest_high_kb, 80000);
	make("MemFree: 20000 kB\n"
	     "MemTotal: 1 kB\n",
	     &ledger);
	struct evidence *evidence = from_text("MemFree: 20000 kB\nCached: 5 kB\n");

	assert_false(ledger_make(evidence, &ledger));
	evidence_free(evidence);
}

/* What grew, and when that is certain. */
static void test_growth(void **state)
{
	struct ledger before, after;
	struct ledger_growth growth;

	(void)state;
	make("MemTotal: 90000000 kB\nMemFree: 80000000 kB\nAnonPages: 1000000 kB\n", &before);
	make("MemTotal: 90000000 kB\nMemFree: 70000000 kB\nAnonPages: 1000000 kB\n", &after);
	growth = ledger_compare(&before, &after);
	assert_int_equal(growth.least_kb, 10000000);
	assert_true(growth.certain);
	check_text(&after, &before, "grew by at least 9.5 GiB");
	/* Programs took more of it: theirs is the story. */
	make("MemTotal: 90000000 kB\nMemFree: 50000000 kB\nAnonPages: 13000000 kB\n", &after);
	growth = ledger_compare(&before, &after);
	assert_int_equal(growth.least_kb, 18000000);
	assert_true(growth.certain);
	make("MemTotal: 90000000 kB\nMemFree: 50000000 kB\nAnonPages: 23000000 kB\n", &after);
	assert_false(ledger_compare(&before, &after).certain);
	/* Less than the counters may be off. */
	make("MemTotal: 90000000 kB\nMemFree: 79990000 kB\nAnonPages: 1000000 kB\n", &after);
	assert_false(ledger_compare(&before, &after).certain);
	check_text(&after, &before, "nothing is wrong");
	/* A row that only one reading has compares nothing. */
	make("MemTotal: 90000000 kB\nMemFree: 50000000 kB\n", &after);
	assert_false(ledger_compare(&before, &after).certain);
}

/* Recorded machines: no rule is broken, and little is nobody's. */
static void test_recorded(void **state)
{
	char root[] = "/tmp/ledger-XXXXXX", archive[512], pattern[256];
	uint32_t nr = 0;
	int64_t most = 0;
	glob_t found;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(archive, sizeof(archive), "%s/tests/golden/text/samples.tar.xz",
		 util_source_dir());
	assert_int_equal(corpus_unpack(archive, root), 0);
	snprintf(pattern, sizeof(pattern), "%s/*/*/*/meminfo", root);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i += 3) { /* every third: loading takes time */
		struct evidence *evidence = NULL;
		struct text_error err;
		struct ledger ledger;
		char dir[512];

		snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(found.gl_pathv[i]) - 8),
			 found.gl_pathv[i]);
		if (strstr(dir, "6.18") != NULL || evidence_load(dir, &evidence, &err) != 0)
			continue;
		assert_true(ledger_make(evidence, &ledger));
		if (ledger.nr_checks != 0)
			fail_msg("%s: %s", dir, ledger.check[0].text);
		check_text(&ledger, NULL, "nothing is wrong");
		/* The rest of a small quiet guest is a few MiB (spec 05, section 5). */
		if (strstr(dir, "/static/") != NULL && ledger.rest_low_kb > most)
			most = ledger.rest_low_kb;
		if (strstr(dir, "/static/") != NULL &&
		    ledger.rest_high_kb + (int64_t)ledger.row[LEDGER_PCP].kb < 0)
			fail_msg("%s: the rest is %lld kB", dir, (long long)ledger.rest_high_kb);
		evidence_free(evidence);
		nr++;
	}
	globfree(&found);
	corpus_remove(root);
	printf("%u machines; at most %lld kB without an owner\n", nr, (long long)most);
	assert_true(nr > 40);
	assert_true(most < 20 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_board),	 cmocka_unit_test(test_mended),
		cmocka_unit_test(test_rules),	 cmocka_unit_test(test_growth),
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
