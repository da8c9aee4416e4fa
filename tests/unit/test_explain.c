/*
 * neap explain and neap request on machines from published reports: the verdict, its level, and the
 * numbers that prove it.
 *
 * The texts are the numbers that were published, in the form of the kernel that printed them;
 * what was not published is left out, as people leave it out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag/explain.h"
#include "diag/request.h"

/* ---- helpers ---- */

struct fixture {
	struct evidence *evidence;
	struct explain *x;
	char text[16384]; /* the whole explanation */
};

static void explain_text_with(struct fixture *f, const char *text, const char *set)
{
	const struct paint paint = { .width = 80 };
	struct text_error err = { .line = 0 };
	struct text_buf out;

	if (evidence_from_text("the text", text, strlen(text), &f->evidence, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	if (explain_new(NULL, f->evidence, set, &f->x, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	text_buf_init(&out);
	explain_add(&out, f->x, true, &paint);
	assert_int_equal(out.error, 0);
	snprintf(f->text, sizeof(f->text), "%s", text_buf_text(&out));
	text_buf_free(&out);
}

static void explain_text(struct fixture *f, const char *text)
{
	explain_text_with(f, text, NULL);
}

static void end(struct fixture *f)
{
	explain_free(f->x);
	evidence_free(f->evidence);
}

static bool starts_with(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Folding may break a line anywhere between words: blanks and newlines are one. */
static bool says(const char *text, const char *words)
{
	for (; *text != '\0'; text++) {
		const char *at = text, *want = words;

		while (*want != '\0' && *at != '\0') {
			if (*want == ' ') {
				if (*at != ' ' && *at != '\n')
					break;
				at += strspn(at, " \n");
				want++;
			} else if (*at++ != *want++) {
				want = NULL;
				break;
			}
		}
		if (want != NULL && *want == '\0')
			return true;
	}
	return false;
}

static void must_say(const struct fixture *f, const char *words)
{
	if (!says(f->text, words))
		fail_msg("not said: '%s' in\n%s", words, f->text);
}

static void must_not_say(const struct fixture *f, const char *words)
{
	if (says(f->text, words))
		fail_msg("said: '%s' in\n%s", words, f->text);
}

static void must_be(const struct fixture *f, const char *id, enum explain_level level)
{
	const struct explain_item *item = explain_find(f->x, id);

	if (item == NULL || item->level != level)
		fail_msg("%s is no %s in\n%s", id, explain_level_word(level), f->text);
}

static void must_fit(const struct fixture *f)
{
	for (const char *line = f->text; *line != '\0';) {
		size_t length = strcspn(line, "\n");

		if (length > 80)
			fail_msg("more than 80 columns: %.*s", (int)length, line);
		line += length + (line[length] == '\n');
	}
}

/* ---- three zones, kernel 5.0: the verdict of one zone alone would be wrong ---- */

#define THREE_ZONES                                                                                \
	"Node 0, zone      DMA\n"                                                                  \
	"  per-node stats\n"                                                                       \
	"      nr_inactive_anon 3014\n"                                                            \
	"      nr_active_anon 121407\n"                                                            \
	"      nr_inactive_file 90551\n"                                                           \
	"      nr_active_file 51032\n"                                                             \
	"  pages free     3965\n"                                                                  \
	"        min      67\n"                                                                    \
	"        low      83\n"                                                                    \
	"        high     99\n"                                                                    \
	"        spanned  4095\n"                                                                  \
	"        present  3998\n"                                                                  \
	"        managed  3977\n"                                                                  \
	"        protection: (0, 3426, 3867, 3867, 3867)\n"                                        \
	"      nr_free_pages 3965\n"                                                               \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              count: 0\n"                                                                 \
	"              high:  0\n"                                                                 \
	"              batch: 1\n"                                                                 \
	"  vm stats threshold: 2\n"                                                                \
	"  node_unreclaimable:  0\n"                                                               \
	"  start_pfn:           1\n"                                                               \
	"Node 0, zone    DMA32\n"                                                                  \
	"  pages free     634266\n"                                                                \
	"        min      14908\n"                                                                 \
	"        low      18635\n"                                                                 \
	"        high     22362\n"                                                                 \
	"        spanned  1044480\n"                                                               \
	"        present  913344\n"                                                                \
	"        managed  889680\n"                                                                \
	"        protection: (0, 0, 441, 441, 441)\n"                                              \
	"      nr_free_pages 634266\n"                                                             \
	"      nr_zone_inactive_file 90000\n"                                                      \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              count: 162\n"                                                               \
	"              high:  378\n"                                                               \
	"              batch: 63\n"                                                                \
	"  vm stats threshold: 12\n"                                                               \
	"  node_unreclaimable:  0\n"                                                               \
	"  start_pfn:           4096\n"                                                            \
	"Node 0, zone   Normal\n"                                                                  \
	"  pages free     2372\n"                                                                  \
	"        min      1919\n"                                                                  \
	"        low      2398\n"                                                                  \
	"        high     2877\n"                                                                  \
	"        spanned  131072\n"                                                                \
	"        present  131072\n"                                                                \
	"        managed  112936\n"                                                                \
	"        protection: (0, 0, 0, 0, 0)\n"                                                    \
	"      nr_free_pages 2372\n"                                                               \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              count: 96\n"                                                                \
	"              high:  186\n"                                                               \
	"              batch: 31\n"                                                                \
	"  vm stats threshold: 6\n"                                                                \
	"  node_unreclaimable:  0\n"                                                               \
	"  start_pfn:           1048576\n"                                                         \
	"Node 0, zone  Movable\n"                                                                  \
	"  pages free     0\n"                                                                     \
	"        min      0\n"                                                                     \
	"        low      0\n"                                                                     \
	"        high     0\n"                                                                     \
	"        spanned  0\n"                                                                     \
	"        present  0\n"                                                                     \
	"        managed  0\n"                                                                     \
	"        protection: (0, 0, 0, 0, 0)\n"                                                    \
	"Node 0, zone   Device\n"                                                                  \
	"  pages free     0\n"                                                                     \
	"        min      0\n"                                                                     \
	"        low      0\n"                                                                     \
	"        high     0\n"                                                                     \
	"        spanned  0\n"                                                                     \
	"        present  0\n"                                                                     \
	"        managed  0\n"                                                                     \
	"        protection: (0, 0, 0, 0, 0)\n"

static void test_three_zones(void **state)
{
	struct fixture f;

	(void)state;
	explain_text(&f, THREE_ZONES);
	must_say(&f, "nothing is wrong");
	assert_true(starts_with(f.text, "nothing is wrong\n"));
	assert_int_equal(f.x->nr_findings, 0);
	/* 26 pages below low, and requests fall back before anybody is woken. */
	must_be(&f, "zone-below-low", EXPLAIN_NOTE);
	must_say(&f, "Normal is 26 pages below its low mark");
	must_say(&f, "requests take DMA32 instead");
	must_say(&f, "free 2372 - unusable 0 < low 2398 + reserve 0");
	must_say(&f, "free 634266 - unusable 0 > low 18635 + reserve 441");
	/* The reserve is huge pages' own; the marks are those of a smaller DMA32. */
	must_be(&f, "thp-raise", EXPLAIN_NOTE);
	must_say(&f, "the reserve of 67584 kB is what transparent huge pages ask for");
	must_be(&f, "stale-marks", EXPLAIN_NOTE);
	must_say(&f, "computed when DMA32 had 877056..877229 pages; it has 889680 now");
	must_say(&f, "DMA's protection alone, 3426, allows 877056..877311 pages");
	must_fit(&f);
	end(&f);
}

/* ---- the board with CMA, of which only meminfo was posted ---- */

static const char cma_board[] = "MemTotal:        4955096 kB\n"
				"MemFree:          816396 kB\n"
				"Buffers:            3280 kB\n"
				"Cached:            83860 kB\n"
				"SwapCached:            0 kB\n"
				"Active:          2667712 kB\n"
				"Inactive:          99728 kB\n"
				"Active(anon):    2643828 kB\n"
				"Inactive(anon):    49948 kB\n"
				"Active(file):      23884 kB\n"
				"Inactive(file):    49780 kB\n"
				"Unevictable:           0 kB\n"
				"SwapTotal:             0 kB\n"
				"SwapFree:              0 kB\n"
				"AnonPages:       2684368 kB\n"
				"Mapped:            57140 kB\n"
				"Shmem:             12852 kB\n"
				"KReclaimable:      46600 kB\n"
				"Slab:              69556 kB\n"
				"SReclaimable:      28836 kB\n"
				"SUnreclaim:       114344 kB\n"
				"KernelStack:       46600 kB\n"
				"PageTables:        69556 kB\n"
				"Percpu:              360 kB\n"
				"AnonHugePages:    671744 kB\n"
				"CmaTotal:        1048576 kB\n"
				"CmaFree:          740176 kB\n";

static void test_cma_board(void **state)
{
	struct fixture f;

	(void)state;
	explain_text(&f, cma_board);
	assert_int_equal(f.x->nr_findings, 0);
	/* The likely cause is named, and the one input that would decide. */
	assert_true(starts_with(f.text, "cannot know whether kswapd can rest"));
	must_be(&f, "kswapd-rest-unknown", EXPLAIN_UNKNOWN);
	must_say(&f, "zoneinfo, with the marks, would tell");
	must_say(&f, "MemFree 816396 kB - CmaFree 740176 kB = 76220 kB");
	must_say(&f, "no swap: almost nothing");
	must_say(&f, "with 2 zones the marks are 45056/56320/67584 kB, so kswapd could rest");
	must_say(&f,
		 "with 3 zones the marks are 67584/84480/101376 kB, so kswapd would never rest");
	must_be(&f, "cma-free", EXPLAIN_NOTE);
	must_say(&f, "CMA in use 308400 kB of CmaTotal 1048576 kB");
	must_be(&f, "labels", EXPLAIN_NOTE);
	must_say(&f, "Slab 69556 is not SReclaimable 28836 + SUnreclaim 114344");
	must_fit(&f);
	end(&f);
}

/* ---- the phone ---- */

#define PHONE(settings)                                                                            \
	"Node 0, zone   Normal\n"                                                                  \
	"  pages free     6985\n"                                                                  \
	"        min      1342\n"                                                                  \
	"        low      4204\n"                                                                  \
	"        high     4540\n"                                                                  \
	"        spanned  524288\n"                                                                \
	"        present  524288\n"                                                                \
	"        managed  475136\n"                                                                \
	"        protection: (0, 0)\n"                                                             \
	"      nr_zone_inactive_file 40000\n"                                                      \
	"Node 0, zone  Movable\n"                                                                  \
	"  pages free     0\n"                                                                     \
	"        min      0\n"                                                                     \
	"        low      0\n"                                                                     \
	"        high     0\n"                                                                     \
	"        spanned  0\n"                                                                     \
	"        present  0\n"                                                                     \
	"        managed  0\n"                                                                     \
	"        protection: (0, 0)\n" settings

static void test_phone(void **state)
{
	struct fixture f;

	(void)state;
	explain_text(&f, PHONE("vm.min_free_kbytes = 5368\n"));
	assert_int_equal(f.x->nr_findings, 0);
	must_be(&f, "patched-marks", EXPLAIN_NOTE);
	must_say(&f, "extra_free_kbytes is 10108");
	/* More than high is free: what failed, failed for its order or type. */
	must_be(&f, "buddyinfo", EXPLAIN_UNKNOWN);
	must_say(&f, "buddyinfo is missing");
	must_say(&f, "failed for its order");
	must_say(&f, "kswapd0 should be asleep (its node is balanced)");
	assert_true(f.x->node[0].balanced);
	must_not_say(&f, "below its low mark");
	must_fit(&f);
	end(&f);
	/* The same without the setting, which the marks give away. */
	explain_text(&f, PHONE(""));
	must_say(&f, "extra_free_kbytes is 10108");
	end(&f);
}

static void test_phone_plan(void **state)
{
	struct fixture f;

	(void)state;
	explain_text_with(&f, PHONE("vm.min_free_kbytes = 5368\n"), "min_free_kbytes=107216");
	must_be(&f, "what-if", EXPLAIN_FINDING);
	must_say(&f, "the new min is above what is free");
	must_say(&f, "free 6985 - unusable 0 < min 26804 + reserve 0");
	must_say(&f, "26804/36032/42733 pages");
	must_say(&f, "kswapd would keep 140 to 166 MiB free");
	must_fit(&f);
	end(&f);
}

/* Sizes that were cut off are not zeroes. */
static void test_what_if_without_sizes(void **state)
{
	struct fixture f;

	(void)state;
	explain_text_with(&f,
			  "Node 0, zone   Normal\n"
			  "  pages free     6985\n"
			  "        min      1342\n"
			  "        low      4204\n"
			  "        high     4540\n",
			  "min_free_kbytes=107216");
	must_be(&f, "what-if", EXPLAIN_UNKNOWN);
	assert_int_equal(f.x->nr_findings, 0);
	must_not_say(&f, "0/0/0");
	end(&f);
}

/* ---- settings ---- */

static void test_swappiness_without_swap(void **state)
{
	struct fixture f;

	(void)state;
	explain_text(&f,
		     THREE_ZONES "vm.swappiness = 0\nMemTotal: 4026372 kB\nMemFree: 2562412 kB\n"
				 "SwapTotal: 0 kB\nSwapFree: 0 kB\n");
	assert_int_equal(f.x->nr_findings, 0);
	must_be(&f, "swappiness-inert", EXPLAIN_NOTE);
	must_say(&f, "swappiness 0 does nothing: there is no swap");
	end(&f);
}

/* ---- requests ---- */

static const char cma_types[] =
	"Node 0, zone   Normal\n"
	"  pages free     200000\n"
	"        min      2000\n"
	"        low      2500\n"
	"        high     3000\n"
	"        spanned  524288\n"
	"        present  524288\n"
	"        managed  500000\n"
	"        protection: (0, 0)\n"
	"      nr_free_cma 102400\n"
	"Node 0, zone  Movable\n"
	"  pages free     0\n"
	"        min      0\n"
	"        low      0\n"
	"        high     0\n"
	"        spanned  0\n"
	"        present  0\n"
	"        managed  0\n"
	"        protection: (0, 0)\n"
	"Page block order: 9\n"
	"Pages per block:  512\n"
	"\n"
	"Free pages count per migrate type at order       0      1      2      3      4      5"
	"      6      7      8      9     10 \n"
	"Node    0, zone   Normal, type    Unmovable  97600      0      0      0      0      0"
	"      0      0      0      0      0 \n"
	"Node    0, zone   Normal, type      Movable      0      0      0      0      0      0"
	"      0      0      0      0      0 \n"
	"Node    0, zone   Normal, type  Reclaimable      0      0      0      0      0      0"
	"      0      0      0      0      0 \n"
	"Node    0, zone   Normal, type   HighAtomic      0      0      0      0      0      0"
	"      0      0      0      0      0 \n"
	"Node    0, zone   Normal, type          CMA      0      0      0      0      0      0"
	"      0      0      0      0    100 \n"
	"Node    0, zone   Normal, type      Isolate      0      0      0      0      0      0"
	"      0      0      0      0      0 \n";

static void run_request(const char *text, uint32_t gfp, uint32_t order, struct request *out,
			char words[8192])
{
	const struct paint paint = { .width = 80 };
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };
	struct state *state = NULL;
	struct text_buf buf;

	if (evidence_from_text("the text", text, strlen(text), &evidence, &err) != 0)
		fail_msg("%s", err.message);
	assert_int_equal(state_new(evidence, &state, &err), 0);
	request_run(state, gfp, order, 0, out);
	text_buf_init(&buf);
	request_add(&buf, state, out, &paint);
	snprintf(words, 8192, "%s", text_buf_text(&buf));
	text_buf_free(&buf);
	state_free(state);
	evidence_free(evidence);
}

/* Blocks are there, of a type that the request may not have. */
static void test_request_cma_only(void **state)
{
	static struct request request;
	static char words[8192];

	(void)state;
	run_request(cma_types, GFP_ATOMIC, 10, &request, words);
	assert_int_equal(request.verdict, REQUEST_FAILS);
	assert_true(request.slow.step[0].terms.order_failed);
	assert_true(says(words, "enough, but no block"));
	assert_true(says(words, "and free CMA pages"));
	/* A movable one gets it. */
	run_request(cma_types, GFP_HIGHUSER_MOVABLE, 10, &request, words);
	assert_int_equal(request.verdict, REQUEST_FAST);
	assert_int_equal(request.fast.got->result, DRY_CMA);
}

static void test_request_three_zones(void **state)
{
	static struct request request;
	static char words[8192];

	(void)state;
	run_request(THREE_ZONES, GFP_KERNEL, 0, &request, words);
	assert_int_equal(request.verdict, REQUEST_FAST);
	assert_true(starts_with(words, "it succeeds at once"));
	assert_true(says(words, "free 2372 - unusable 0 < low 2398 + reserve 0 -> next zone"));
	/* Above order 0 the blocks decide, and nobody said which there are. */
	run_request(THREE_ZONES, GFP_KERNEL, 3, &request, words);
	assert_int_equal(request.verdict, REQUEST_UNKNOWN);
	run_request(THREE_ZONES, GFP_KERNEL | GFP_BIT_DMA | GFP_BIT_DMA32, 0, &request, words);
	assert_int_equal(request.verdict, REQUEST_NONSENSE);
	run_request(THREE_ZONES, GFP_KERNEL | GFP_BIT_MOVABLE | GFP_BIT_RECLAIMABLE, 0, &request,
		    words);
	assert_int_equal(request.verdict, REQUEST_NONSENSE);
	run_request(THREE_ZONES, GFP_KERNEL, 11, &request, words);
	assert_int_equal(request.verdict, REQUEST_NONSENSE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_three_zones),
		cmocka_unit_test(test_cma_board),
		cmocka_unit_test(test_phone),
		cmocka_unit_test(test_phone_plan),
		cmocka_unit_test(test_what_if_without_sizes),
		cmocka_unit_test(test_swappiness_without_swap),
		cmocka_unit_test(test_request_cma_only),
		cmocka_unit_test(test_request_three_zones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
