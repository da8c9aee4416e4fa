/*
 * neap explain with two readings: what grew between them is a finding, what only stands there since
 * boot is a note, and a cause is named only for something that is the case.
 *
 * Readings differ in the lines that a test is about; the machine below is well otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diag/explain.h"

/* ---- a machine of one zone that is well: far above its marks ---- */

#define WELL                                                                                       \
	"Node 0, zone   Normal\n"                                                                  \
	"  per-node stats\n"                                                                       \
	"      nr_inactive_anon 100000\n"                                                          \
	"      nr_active_anon 100000\n"                                                            \
	"      nr_inactive_file 100000\n"                                                          \
	"      nr_active_file 100000\n"                                                            \
	"  pages free     50000\n"                                                                 \
	"        boost    0\n"                                                                     \
	"        min      2000\n"                                                                  \
	"        low      2500\n"                                                                  \
	"        high     3000\n"                                                                  \
	"        spanned  524288\n"                                                                \
	"        present  524288\n"                                                                \
	"        managed  510000\n"                                                                \
	"        protection: (0, 0)\n"                                                             \
	"      nr_zone_inactive_anon 100000\n"                                                     \
	"      nr_zone_active_anon 100000\n"                                                       \
	"      nr_zone_inactive_file 100000\n"                                                     \
	"      nr_zone_active_file 100000\n"                                                       \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              count: 0\n"                                                                 \
	"              high:  378\n"                                                               \
	"              batch: 63\n"                                                                \
	"  vm stats threshold: 24\n"                                                               \
	"  node_unreclaimable:  0\n"                                                               \
	"  start_pfn:           1\n"                                                               \
	"nr_free_pages 50000\n"

struct readings {
	struct evidence *before, *after;
	struct explain *x;
};

static struct evidence *paste(const char *lines)
{
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };
	char text[8192];

	snprintf(text, sizeof(text), "%s%s", WELL, lines);
	if (evidence_from_text("the text", text, strlen(text), &evidence, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	return evidence;
}

/* before may be NULL: one reading. */
static void explain(struct readings *r, const char *before, const char *after)
{
	struct text_error err = { .line = 0 };

	r->before = before != NULL ? paste(before) : NULL;
	r->after = paste(after);
	if (explain_new(r->before, r->after, NULL, &r->x, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	assert_int_equal(r->x->error, 0);
}

static void end(struct readings *r)
{
	explain_free(r->x);
	evidence_free(r->before);
	evidence_free(r->after);
}

/* level: of the item; -1: there must be none */
static void must_be(const struct readings *r, const char *id, int level)
{
	const struct explain_item *item = explain_find(r->x, id);

	if (item == NULL ? level != -1 : level != (int)item->level)
		fail_msg("%s is %s", id,
			 item != NULL ? explain_level_word(item->level) : "not there");
}

static void must_prove(const struct readings *r, const char *id, const char *words)
{
	const struct explain_item *item = explain_find(r->x, id);

	assert_non_null(item);
	if (strstr(text_buf_text(&item->proof), words) == NULL)
		fail_msg("'%s' is not in: %s", words, text_buf_text(&item->proof));
}

/* ---- tests ---- */

#define RECLAIM(stalls, kswapd, direct, refaults)                                                  \
	"allocstall_normal " stalls "\n"                                                           \
	"pgsteal_kswapd " kswapd "\n"                                                              \
	"pgsteal_direct " direct "\n"                                                              \
	"workingset_refault_anon 0\n"                                                              \
	"workingset_refault_file " refaults "\n"

static void test_well(void **state)
{
	struct readings r;

	(void)state;
	explain(&r, RECLAIM("5", "100", "10", "50"), RECLAIM("5", "100", "10", "50"));
	assert_int_equal(r.x->nr_findings, 0);
	assert_int_equal(r.x->direct, DIRECT_BEFORE);
	assert_true(r.x->node[0].balanced);
	end(&r);
}

/* The same counter: since boot it is history, between the readings it is happening. */
static void test_direct_reclaim(void **state)
{
	struct readings r;

	(void)state;
	explain(&r, NULL, RECLAIM("705", "100", "10", "0"));
	must_be(&r, "past-direct-reclaim", EXPLAIN_NOTE);
	must_be(&r, "direct-reclaim", -1);
	assert_int_equal(r.x->direct, DIRECT_BEFORE);
	end(&r);
	explain(&r, RECLAIM("5", "100", "10", "0"), RECLAIM("705", "9100", "5010", "0"));
	must_be(&r, "direct-reclaim", EXPLAIN_FINDING);
	must_prove(&r, "direct-reclaim", "allocstall grew by 700");
	must_prove(&r, "direct-reclaim", "kswapd freed 9000 pages, tasks 5000");
	must_prove(&r, "direct-reclaim", "low - min is 500 pages");
	assert_int_equal(r.x->direct, DIRECT_BETWEEN);
	assert_int_equal(r.x->direct_count, 700);
	end(&r);
}

/* Thrashing: every second page comes back. A finding only where somebody waits for it. */
static void test_thrashing(void **state)
{
	struct readings r;

	(void)state;
	explain(&r, RECLAIM("0", "0", "0", "0"), RECLAIM("0", "20000", "0", "15000"));
	must_be(&r, "thrashing", EXPLAIN_NOTE);
	assert_int_equal(r.x->nr_findings, 0);
	end(&r);
	explain(&r, RECLAIM("0", "0", "0", "0"), RECLAIM("90", "20000", "4000", "15000"));
	must_be(&r, "thrashing", EXPLAIN_FINDING);
	must_prove(&r, "thrashing", "workingset_refault grew by 15000");
	end(&r);
	/* Reclaim that hits what nobody needs is how it should be. */
	explain(&r, RECLAIM("0", "0", "0", "0"), RECLAIM("90", "20000", "4000", "3000"));
	must_be(&r, "thrashing", -1);
	end(&r);
}

/* A kernel's defect: kswapd runs and looks at nothing. */
static void test_empty_runs(void **state)
{
	struct readings r;

	(void)state;
	explain(&r, "pageoutrun 10\npgscan_kswapd 4000\n",
		"pageoutrun 250010\npgscan_kswapd 4000\n");
	must_be(&r, "kswapd-empty-runs", EXPLAIN_FINDING);
	end(&r);
	/* The same totals, but nothing happens now. */
	explain(&r, "pageoutrun 250010\npgscan_kswapd 4000\n",
		"pageoutrun 250010\npgscan_kswapd 4000\n");
	must_be(&r, "kswapd-empty-runs", -1);
	end(&r);
	/* Runs that scan are work. */
	explain(&r, "pageoutrun 10\npgscan_kswapd 4000\n",
		"pageoutrun 250010\npgscan_kswapd 8004000\n");
	must_be(&r, "kswapd-empty-runs", -1);
	end(&r);
}

static void test_oom_kill(void **state)
{
	struct readings r;

	(void)state;
	explain(&r, NULL, "oom_kill 3\n");
	must_be(&r, "past-oom-kill", EXPLAIN_NOTE);
	end(&r);
	explain(&r, "oom_kill 3\n", "oom_kill 4\n");
	must_be(&r, "oom-kill", EXPLAIN_FINDING);
	end(&r);
}

/* Pressure of the last ten seconds is now, the total is history. */
static void test_pressure(void **state)
{
	struct readings r;

	(void)state;
	explain(&r, NULL,
		"some avg10=4.20 avg60=1.00 avg300=0.10 total=900000\n"
		"full avg10=2.00 avg60=0.50 avg300=0.05 total=400000\n");
	must_be(&r, "memory-pressure", EXPLAIN_FINDING);
	must_prove(&r, "memory-pressure", "some avg10=4.20 avg60=1.00 avg300=0.10");
	end(&r);
	explain(&r, NULL,
		"some avg10=0.00 avg60=0.00 avg300=0.10 total=900000\n"
		"full avg10=0.00 avg60=0.00 avg300=0.05 total=400000\n");
	must_be(&r, "memory-pressure", -1);
	must_be(&r, "past-pressure", EXPLAIN_NOTE);
	assert_int_equal(r.x->nr_findings, 0);
	end(&r);
}

/* The limit of a group is no lack of the machine: told apart, and only with a wait a finding. */
static void test_group(void **state)
{
	struct readings r = { .before = NULL };
	struct text_error err = { .line = 0 };
	struct evidence_group *group;

	(void)state;
	for (uint32_t waits = 0; waits < 2; waits++) {
		r.after = paste("");
		group = &r.after->group;
		*group = (struct evidence_group){
			.known = true,
			.current_bytes = 536870912 - 4096,
			.max_bytes = 536870912,
			.high_bytes = EVIDENCE_NO_LIMIT,
			.swap_max_bytes = EVIDENCE_NO_LIMIT,
			.has_pressure = true,
		};
		group->psi_some.average_hundredths[0] = waits != 0 ? 3000 : 0;
		assert_int_equal(explain_new(NULL, r.after, NULL, &r.x, &err), 0);
		must_be(&r, "group-at-limit", waits != 0 ? EXPLAIN_FINDING : EXPLAIN_NOTE);
		must_prove(&r, "group-at-limit", "512 MiB");
		end(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_well),	  cmocka_unit_test(test_direct_reclaim),
		cmocka_unit_test(test_thrashing), cmocka_unit_test(test_empty_runs),
		cmocka_unit_test(test_oom_kill),  cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
