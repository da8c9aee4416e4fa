/*
 * neap decode: what it says of recorded reports agrees with the engine's mark test on the state of
 * the moment; logs of other kernels, cut and repeated ones; hanging threads.
 */
#include "test_text_util.h"

#include <glob.h>
#include <unistd.h>

#include "core/alloc.h"
#include "diag/decode_group.h"
#include "diag/state.h"
#include "report_corpus.h"
#include "text_corpus.h"

static int add_report(void *arg, const struct decode_report *report)
{
	return decode_groups_add(arg, report);
}

/* Decodes a text. Free the groups. */
static void decode_text(const char *text, struct decode_groups *groups, uint64_t *suppressed)
{
	struct decode *decode = decode_new(add_report, groups);

	memset(groups, 0, sizeof(*groups));
	assert_non_null(decode);
	for (const char *at = text; *at != '\0';) {
		uint32_t bytes = (uint32_t)strcspn(at, "\n");

		assert_int_equal(decode_line(decode, at, bytes), 0);
		at += bytes + (at[bytes] == '\n');
	}
	assert_int_equal(decode_end(decode), 0);
	if (suppressed != NULL)
		*suppressed = decode_suppressed(decode);
	decode_free(decode);
}

/* The text of all groups: no line may be longer than a terminal. */
static void print_groups(const struct decode_groups *groups, struct text_buf *out)
{
	struct paint paint = { .width = 80 };

	text_buf_init(out);
	for (uint32_t i = 0; i < groups->nr; i++)
		decode_group_add_text(out, groups->group[i], &paint);
	assert_int_equal(out->error, 0);
	for (const char *at = text_buf_text(out); *at != '\0';) {
		size_t bytes = strcspn(at, "\n");

		if (bytes > 80)
			fail_msg("%zu columns: %.*s", bytes, (int)bytes, at);
		at += bytes + (at[bytes] == '\n');
	}
}

/* Decodes one report and checks kind, cause, and a piece of what is said. */
static void check_one(const char *text, enum decode_kind kind, enum decode_cause cause,
		      const char *piece)
{
	struct decode_groups groups;
	struct text_buf out;

	decode_text(text, &groups, NULL);
	assert_int_equal(groups.nr, 1);
	assert_int_equal(groups.group[0]->kind, kind);
	assert_int_equal(groups.group[0]->verdict.cause, cause);
	print_groups(&groups, &out);
	if (strstr(text_buf_text(&out), piece) == NULL)
		fail_msg("\"%s\" is not in:\n%s", piece, text_buf_text(&out));
	text_buf_free(&out);
	decode_groups_free(&groups);
}

/* ---- against the engine ---- */

/* A state of the corpus as the engine's structures. */
static struct state *load_state(const char *dir, const char *suffix, struct evidence **evidence)
{
	char pattern[1200], root[] = "/tmp/decode-state-XXXXXX";
	struct text_error err;
	struct state *state = NULL;
	glob_t found;

	assert_non_null(mkdtemp(root));
	snprintf(pattern, sizeof(pattern), "%s/*%s", dir, suffix);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *name = strrchr(found.gl_pathv[i], '/') + 1;
		char link[1200];

		snprintf(link, sizeof(link), "%s/%.*s", root, (int)(strlen(name) - strlen(suffix)),
			 name);
		assert_int_equal(symlink(found.gl_pathv[i], link), 0);
	}
	globfree(&found);
	if (evidence_load(root, evidence, &err) != 0 || state_new(*evidence, &state, &err) != 0)
		fail_msg("%s: %s", dir, err.message);
	corpus_remove(root);
	return state;
}

/* The engine's own answer for one zone. */
static enum decode_answer engine_answer(struct state *state, const struct decode_zone *zone,
					uint32_t limit, uint32_t gfp)
{
	struct zone *real = &state->machine.nodes[zone->zone.node].zone[zone->zone.kind];
	struct watermark_query query = zone->query;
	struct watermark_terms terms;

	query.mark = zone_mark(real, WMARK_MIN);
	query.free = real->stat[NR_FREE_PAGES];
	query.limit = limit;
	if (zone_watermark_test(real, &query, &terms))
		return DECODE_PASSES;
	if (watermark_ignores_boost(gfp, query.order, query.alloc_flags) && real->boost != 0) {
		query.mark = real->mark[WMARK_MIN];
		if (zone_watermark_test(real, &query, &terms))
			return DECODE_PASSES;
	}
	return terms.order_failed ? DECODE_ORDER : DECODE_AMOUNT;
}

struct agreement {
	uint32_t zones, both, one, held;
};

/* The state was read before and after; does it hold the moment of the report? */
static bool holds_moment(struct state *const state[2], const struct decode_zone *zone)
{
	int64_t free_pages[2];

	for (uint32_t k = 0; k < 2; k++)
		free_pages[k] = state[k]->machine.nodes[zone->zone.node]
					.zone[zone->zone.kind]
					.stat[NR_FREE_PAGES];
	return zone->query.free >=
		       (free_pages[0] < free_pages[1] ? free_pages[0] : free_pages[1]) &&
	       zone->query.free <= (free_pages[0] < free_pages[1] ? free_pages[1] : free_pages[0]);
}

/*
 * A zone's answer must be the engine's on the state before and after; where these two differ, the
 * report stands between them and has one of the two. Where the zone had fewer free pages at the
 * report than at either time (atomic-order0 was made so), the states say nothing about it.
 */
static void compare_zones(const char *path, const struct decode_group *group,
			  struct agreement *agreement)
{
	struct evidence *evidence[2];
	struct state *state[2];
	char dir[1024];

	snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(path) - 4), path);
	state[0] = load_state(dir, ".before", &evidence[0]);
	state[1] = load_state(dir, ".after", &evidence[1]);
	for (uint32_t i = 0; i < group->verdict.nr_zones; i++) {
		const struct decode_zone *zone = &group->verdict.zone[i];
		enum decode_answer answer[2];

		if (zone->answer == DECODE_ABOVE)
			continue;
		for (uint32_t k = 0; k < 2; k++)
			answer[k] = engine_answer(state[k], zone, group->verdict.limit,
						  group->report->gfp);
		agreement->zones++;
		agreement->both += answer[0] == zone->answer && answer[1] == zone->answer;
		agreement->one += answer[0] == zone->answer || answer[1] == zone->answer;
		printf("%s zone %u: %s (free %ld), engine %s (%ld) and %s (%ld)\n",
		       strrchr(path, '/') + 1, i, decode_answer_word(zone->answer),
		       (long)zone->query.free, decode_answer_word(answer[0]),
		       (long)state[0]->machine.nodes[zone->zone.node].zone[zone->zone.kind].stat[0],
		       decode_answer_word(answer[1]),
		       (long)state[1]
			       ->machine.nodes[zone->zone.node]
			       .zone[zone->zone.kind]
			       .stat[0]);
		agreement->held += holds_moment(state, zone);
		if (answer[0] == answer[1] && answer[0] != zone->answer &&
		    holds_moment(state, zone))
			fail_msg("%s: zone %u: decode says %s, the engine %s", path, i,
				 decode_answer_word(zone->answer), decode_answer_word(answer[0]));
	}
	for (uint32_t k = 0; k < 2; k++) {
		state_free(state[k]);
		evidence_free(evidence[k]);
	}
}

/* What every recorded text is about. */
static const struct {
	const char *name;
	enum decode_kind kind;
	enum decode_cause cause;
} expected[] = {
	{ "atomic-order0", DECODE_FAILURE, CAUSE_AMOUNT },
	{ "atomic-order3", DECODE_FAILURE, CAUSE_ORDER },
	{ "dma-order10", DECODE_FAILURE, CAUSE_AMOUNT },
	{ "kernel-order4", DECODE_FAILURE, CAUSE_ORDER },
	{ "noretry-order7", DECODE_FAILURE, CAUSE_ORDER },
	{ "nowait-order5", DECODE_FAILURE, CAUSE_ORDER },
	{ "retrymayfail-order4", DECODE_FAILURE, CAUSE_ORDER },
	{ "thisnode-thp", DECODE_FAILURE, CAUSE_ORDER },
	{ "bind0", DECODE_OOM, CAUSE_AMOUNT },
	{ "bind1", DECODE_OOM, CAUSE_AMOUNT },
	{ "killallocating", DECODE_OOM, CAUSE_AMOUNT },
	{ "nodumptasks", DECODE_OOM, CAUSE_AMOUNT },
	{ "noswap", DECODE_OOM, CAUSE_AMOUNT },
	{ "swapfull", DECODE_OOM, CAUSE_AMOUNT },
	{ "memcg", DECODE_GROUP, CAUSE_LIMIT },
	{ "memcg-swap", DECODE_GROUP, CAUSE_LIMIT },
	{ "memcg-group", DECODE_GROUP, CAUSE_LIMIT },
};

static void check_recorded(const char *path, struct agreement *agreement)
{
	const char *name = strrchr(path, '/') + 1;
	struct decode_groups groups;
	struct text_buf out;
	size_t bytes = 0;
	char *text = report_corpus_read(path, &bytes);
	bool sysrq = strstr(path, "/sysrq-") != NULL;

	decode_text(text, &groups, NULL);
	assert_int_equal(groups.nr, 1);
	for (size_t i = 0; i < ARRAY_LEN(expected) && !sysrq; i++)
		if (strlen(expected[i].name) == strlen(name) - 4 &&
		    strncmp(expected[i].name, name, strlen(name) - 4) == 0) {
			assert_int_equal(groups.group[0]->kind, expected[i].kind);
			if (groups.group[0]->verdict.cause != expected[i].cause)
				fail_msg("%s: %s", name,
					 decode_cause_word(groups.group[0]->verdict.cause));
		}
	assert_int_equal(decode_groups_finding(&groups), !sysrq);
	print_groups(&groups, &out);
	if (strstr(path, "/allocfail/") != NULL || groups.group[0]->kind == DECODE_OOM)
		compare_zones(path, groups.group[0], agreement);
	text_buf_free(&out);
	decode_groups_free(&groups);
	free(text);
}

static void test_recorded(void **state)
{
	struct agreement agreement = { .zones = 0 };
	const char *root = report_corpus_unpack();
	char pattern[256];
	glob_t found;

	(void)state;
	snprintf(pattern, sizeof(pattern), "%s/*/*.txt", root);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++)
		check_recorded(found.gl_pathv[i], &agreement);
	globfree(&found);
	corpus_remove(root);
	printf("%u zones: %u as before and after, %u as one of them; %u between the two\n",
	       agreement.zones, agreement.both, agreement.one, agreement.held);
	assert_true(agreement.zones >= 20);
}

/* ---- made-up logs ---- */

#define MEMORY                                                                                     \
	"Mem-Info:\n"                                                                              \
	"active_anon:1 inactive_anon:2 isolated_anon:0\n"                                          \
	" free:30000 free_pcp:0 free_cma:20000\n"

/* Enough is free, but every large block is CMA's. */
static void test_type(void **state)
{
	static const char log[] =
		"x: page allocation failure: order:10, mode:0x920(GFP_ATOMIC|__GFP_ZERO), "
		"nodemask=(null)\n" MEMORY "Normal free:120000kB min:4000kB low:5000kB high:6000kB "
		"reserved_highatomic:0KB managed:800000kB free_pcp:0kB free_cma:80000kB\n"
		"lowmem_reserve[]: 0 0\n"
		"Normal: 10000*4kB (UM) 0*8kB 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB "
		"0*1024kB 0*2048kB 20*4096kB (C) = 120000kB\n"
		"1 pages reserved\n";
	static const char reserve[] =
		"x: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)\n" MEMORY
		"Normal free:120000kB min:4000kB low:5000kB high:6000kB "
		"reserved_highatomic:2048KB free_cma:0kB\n"
		"lowmem_reserve[]: 0 0\n"
		"Normal: 29900*4kB (UM) 0*8kB 0*16kB 0*32kB 7*64kB (H) = 120048kB\n";

	(void)state;
	check_one(log, DECODE_FAILURE, CAUSE_TYPE, "all of type C");
	check_one(reserve, DECODE_FAILURE, CAUSE_TYPE, "all of type H");
}

/* The same for a movable request: it may have them. */
static void test_movable(void **state)
{
	static const char log[] =
		"x: page allocation failure: order:10, mode:0x140cca(GFP_HIGHUSER_MOVABLE|"
		"__GFP_COMP), nodemask=(null)\n" MEMORY
		"Normal free:120000kB min:4000kB low:5000kB high:6000kB "
		"reserved_highatomic:0KB free_cma:80000kB\n"
		"lowmem_reserve[]: 0 0\n"
		"Normal: 10000*4kB (UM) 20*4096kB (C) = 120000kB\n";

	(void)state;
	check_one(log, DECODE_FAILURE, CAUSE_PASSES, "memory was freed between");
}

/* kswapd itself: no mark binds it; it fails when nothing is left. */
static void test_reclaiming(void **state)
{
	static const char log[] =
		"kswapd0: page allocation failure: order:0, mode:0x800(GFP_NOWAIT), "
		"nodemask=(null)\n"
		"Call Trace:\n"
		" warn_alloc+0x1/0x2\n"
		" zs_malloc+0x1/0x2 [zsmalloc]\n"
		" shrink_node+0x1/0x2\n"
		" balance_pgdat+0x1/0x2\n" MEMORY
		"Normal free:0kB min:4000kB low:5000kB high:6000kB free_cma:0kB\n"
		"lowmem_reserve[]: 0 0\n"
		"Normal: 0*4kB 0*8kB = 0kB\n";

	/* A softirq on top of kswapd has not kswapd's rights: 100 free pages are below 3/8 min. */
	static const char interrupt[] =
		"kswapd0: page allocation failure: order:0, mode:0x480020(GFP_ATOMIC), "
		"nodemask=(null)\n"
		"CPU: 4 PID: 107 Comm: kswapd0 Kdump: loaded Not tainted 4.18.0-553.el8_10 #1\n"
		"Call Trace:\n"
		"<IRQ>\n"
		"dump_stack+0x41/0x60\n"
		"</IRQ>\n"
		"shrink_node+0x1/0x2\n" MEMORY
		"Normal free:400kB min:4000kB low:5000kB high:6000kB free_cma:0kB\n"
		"lowmem_reserve[]: 0 0\n"
		"Normal: 100*4kB (U) = 400kB\n";

	(void)state;
	check_one(log, DECODE_FAILURE, CAUSE_AMOUNT, "not even in the reserves");
	check_one(interrupt, DECODE_FAILURE, CAUSE_AMOUNT, "3/8 min 375");
	check_one(interrupt, DECODE_FAILURE, CAUSE_AMOUNT, "an interrupt asked");
}

/* Requests for zone DMA know nothing of the memory above it. */
static void test_limits(void **state)
{
	static const char log[] =
		"x: page allocation failure: order:0, mode:0xcc1(GFP_KERNEL|GFP_DMA), "
		"nodemask=(null)\n" MEMORY "Node 0 DMA free:100kB min:200kB low:250kB high:300kB\n"
		"lowmem_reserve[]: 0 500 500 500 500\n"
		"Node 0 DMA: 25*4kB (U) = 100kB\n";
	static const char *const cut[] = {
		"x: page allocation failure: order:0, mode:0xcc0(GFP_KERNEL), nodemask=(null)\n",
		"x: page allocation failure: order:2, mode:0xcc0(GFP_KERNEL)\n" MEMORY
		"Node 0 Normal free:40000kB min:200kB low:250kB high:300kB\n",
	};

	(void)state;
	check_one(log, DECODE_FAILURE, CAUSE_AMOUNT, "free 25 - unusable 0 < min 50 + reserve 0");
	check_one(log, DECODE_FAILURE, CAUSE_AMOUNT, "more were free in zones or nodes");
	check_one(cut[0], DECODE_FAILURE, CAUSE_UNKNOWN, "the log has no Mem-Info");
	check_one(cut[1], DECODE_FAILURE, CAUSE_UNKNOWN, "the free lists are missing");
}

/* Flags of kernels with other numbers. */
static void test_flags(void **state)
{
	static const struct {
		uint32_t raw;
		const char *words;
		uint32_t gfp;
		const char *unknown;
	} cases[] = {
		{ 0xa20, "GFP_ATOMIC", GFP_ATOMIC, "" },
		{ 0x820, "GFP_ATOMIC", GFP_ATOMIC, "" },
		{ 0x2204020, "GFP_ATOMIC|__GFP_COMP|__GFP_NOTRACK", GFP_ATOMIC | GFP_BIT_COMP, "" },
		{ 0x24201ca, "GFP_HIGHUSER_MOVABLE|__GFP_COLD", GFP_HIGHUSER_MOVABLE, "" },
		{ 0x204010, "", GFP_NOIO | GFP_BIT_COMP, "" },
		{ 0x20, "", GFP_ATOMIC, "" },
		{ 0xd0, "", GFP_KERNEL, "" },
		{ 0x201da, "", GFP_HIGHUSER_MOVABLE, "" },
		{ 0x2080020, "", GFP_ATOMIC, "" },
		{ 0x24000c0, "", GFP_KERNEL, "" },
		{ 0x1, "GFP_KERNEL|__GFP_BRANDNEW", GFP_KERNEL, "__GFP_BRANDNEW" },
	};
	struct decode_report *report = calloc(1, sizeof(*report));

	(void)state;
	assert_non_null(report);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct logline_slice words = { cases[i].words, (uint32_t)strlen(cases[i].words) };

		assert_int_equal(decode_flags(report, &words, cases[i].raw),
				 cases[i].unknown[0] == '\0');
		if (report->gfp != cases[i].gfp)
			fail_msg("0x%x(%s): 0x%x", cases[i].raw, cases[i].words, report->gfp);
		assert_string_equal(report->unknown, cases[i].unknown);
	}
	free(report);
	/* Every flag of 6.1 that decides something is explained. */
	for (uint32_t bit = 1; bit <= GFP_BIT_ACCOUNT; bit <<= 1)
		assert_non_null(decode_flag_words(bit));
}

static void test_repeats(void **state)
{
	static const char one[] =
		"Nov 21 13:47:0%u host kernel: [   28.48359%u] kworker/%u:1: page allocation "
		"failure: order:%u, mode:0xa20(GFP_ATOMIC), nodemask=(null)\n"
		"Nov 21 13:47:00 host sshd[12]: a line of somebody else\n"
		"Nov 21 13:47:00 host kernel: [   28.483595] Mem-Info:\n"
		"Nov 21 13:47:00 host kernel: [   28.483595] active_anon:1 inactive_anon:2 "
		"isolated_anon:0#012 free:30 free_pcp:0 free_cma:0\n"
		"Nov 21 13:47:00 host kernel: [   28.483595] Node 0 Normal free:100kB min:4000kB "
		"low:5000kB high:6000kB\n"
		"Nov 21 13:47:00 host kernel: [   28.483595] lowmem_reserve[]: 0 0 0 0 0\n"
		"Nov 21 13:47:00 host kernel: [   28.483595] Node 0 Normal: 25*4kB (U) = 100kB\n"
		"Nov 21 13:47:00 host kernel: [   28.483595] 5 pages reserved\n"
		"Nov 21 13:47:00 host kernel: [   38.483595] warn_alloc: 7 callbacks suppressed\n";
	struct decode_groups groups;
	struct text_buf log, out;
	uint64_t suppressed = 0;

	(void)state;
	text_buf_init(&log);
	for (unsigned i = 0; i < 6; i++)
		text_buf_printf(&log, one, i, i, i % 4, i == 5 ? 1u : 0u);
	decode_text(text_buf_text(&log), &groups, &suppressed);
	assert_int_equal(suppressed, 42);
	assert_int_equal(groups.nr_reports, 6);
	assert_int_equal(groups.nr, 2);
	assert_int_equal(groups.group[0]->count, 5);
	assert_int_equal(groups.group[0]->nr_comms, 1);
	assert_string_equal(groups.group[0]->first_when, "Nov 21 13:47:00");
	assert_string_equal(groups.group[0]->last_when, "Nov 21 13:47:04");
	assert_int_equal(groups.group[0]->verdict.all_free_pages, 30);
	print_groups(&groups, &out);
	assert_non_null(strstr(text_buf_text(&out), "5 times"));
	text_buf_free(&out);
	text_buf_free(&log);
	decode_groups_free(&groups);
}

/* More kinds of reports than are kept: the rest is counted. */
static void test_many_kinds(void **state)
{
	struct decode_groups groups;
	struct text_buf log;

	(void)state;
	text_buf_init(&log);
	for (unsigned order = 0; order < 40; order++)
		for (unsigned type = 0; type < 2; type++)
			text_buf_printf(&log,
					"x: page allocation failure: order:%u, mode:0x%x(%s)\n",
					order, type ? 0xcc0u : 0xa20u,
					type ? "GFP_KERNEL" : "GFP_ATOMIC");
	decode_text(text_buf_text(&log), &groups, NULL);
	assert_int_equal(groups.nr, DECODE_GROUPS_MAX);
	assert_int_equal(groups.nr_reports, 80);
	assert_int_equal(groups.nr_left_out, 80 - DECODE_GROUPS_MAX);
	decode_groups_free(&groups);
	text_buf_free(&log);
}

static void test_hanging(void **state)
{
	static const char waits[] =
		"[  363.1] INFO: task kswapd0:45 blocked for more than 120 seconds.\n"
		"[  363.1]       Not tainted 6.1.0-18-amd64 #1 Debian 6.1.76-1\n"
		"[  363.1] \"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this "
		"message.\n"
		"[  363.1] task:kswapd0         state:D stack:0     pid:45    ppid:2      "
		"flags:0x00004000\n"
		"[  363.1] Call Trace:\n"
		"[  363.1]  <TASK>\n"
		"[  363.1]  __schedule+0x34d/0x9e0\n"
		"[  363.1]  schedule+0x5a/0xd0\n"
		"[  363.1]  io_schedule+0x42/0x70\n"
		"[  363.1]  blk_mq_get_tag+0x11a/0x2b0\n"
		"[  363.1]  swap_writepage_bdev_async+0x1/0x2\n"
		"[  363.1]  shrink_folio_list+0x1/0x2\n"
		"[  363.1]  </TASK>\n";
	static const char spins[] =
		"[  88.1] watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kcompactd0:46]\n"
		"[  88.1] CPU: 3 PID: 46 Comm: kcompactd0 Not tainted 5.10.0 #1\n"
		"[  88.1]  isolate_migratepages_block+0x1/0x2\n";
	static const char other[] =
		"[  363.1] INFO: task nfsd:45 blocked for more than 120 seconds.\n"
		"[  363.1]  __schedule+0x34d/0x9e0\n";
	struct decode_groups groups;

	(void)state;
	check_one(waits, DECODE_HUNG, CAUSE_HANGS, "a free place in a disk's queue");
	check_one(waits, DECODE_HUNG, CAUSE_HANGS, "blk_mq_get_tag");
	check_one(spins, DECODE_HUNG, CAUSE_HANGS, "runs without giving its CPU back");
	decode_text(other, &groups, NULL);
	assert_int_equal(groups.nr, 0);
	decode_groups_free(&groups);
}

/* Bytes that a terminal would obey do not reach it. */
static void test_escapes(void **state)
{
	static const char log[] =
		"\033[2Jx: page allocation failure: order:0, mode:0xa20(GFP_AT\033"
		"OMIC), nodemask=\033]0;t\007\n";
	struct decode_groups groups;
	struct text_buf out;

	(void)state;
	decode_text(log, &groups, NULL);
	print_groups(&groups, &out);
	assert_null(strchr(text_buf_text(&out), '\033'));
	text_buf_free(&out);
	decode_groups_free(&groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recorded), cmocka_unit_test(test_type),
		cmocka_unit_test(test_movable),	 cmocka_unit_test(test_reclaiming),
		cmocka_unit_test(test_limits),	 cmocka_unit_test(test_flags),
		cmocka_unit_test(test_repeats),	 cmocka_unit_test(test_many_kinds),
		cmocka_unit_test(test_hanging),	 cmocka_unit_test(test_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
