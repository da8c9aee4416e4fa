/*
 * Recordings of a kernel's allocator and their scripts: what is understood, what is refused and at
 * which line, and that memory that is out is an error like any other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/mem.h"
#include "text/probe.h"
#include "text/probe_script.h"

static uint32_t fail_at; /* the request that fails; 0 = none */
static uint32_t nr_requests;

void *text_mem_resize(void *old, size_t bytes)
{
	if (++nr_requests == fail_at)
		return NULL;
	return realloc(old, bytes);
}

#define NODE_LINE                                                                                  \
	"node 0 kswapd_failures=1 kswapd_order=2 kswapd_highest_zoneidx=5 kswapd_waiting=1 "       \
	"zonelist=0.2 0.1\n"
#define ZONE_LINE                                                                                  \
	"zone 0.1 DMA32 start=4096 spanned=2048 present=2040 managed=2000 min=33 low=41 high=49 "  \
	"promo=57 boost=512 highatomic=1024 free=-3 exact=16 drift_mark=7 "                        \
	"lowmem_reserve=0,1,2,3,4 flags=3\n"
#define BLOCKS_LINE "blocks 0.1 4096: M*2 H*1 -*1\n"
#define FREE_LINE "free 0.1 3 H: 4104 4096\n"
#define PCP_LINE                                                                                   \
	"pcp 0.1 cpu=1 count=2 high=41 batch=15 free_factor=1 expire=3 diff_free=-2 threshold=4\n"
#define PCPLIST_LINE "pcplist 0.1 cpu=1 13: 5120 4608\n"
#define STATE NODE_LINE ZONE_LINE BLOCKS_LINE FREE_LINE PCP_LINE PCPLIST_LINE
#define OPS                                                                                        \
	"## ops a\n"                                                                               \
	"0 c1 a 7 3 1028ca 0 = 4104 0.1 U | 0.1=-1/2/512\n"                                        \
	"  extfrag pfn=4104 alloc_order=3 fallback_order=4 alloc=U fallback=M change=1\n"          \
	"  wake_kswapd node=0 highest_zoneidx=2 order=3\n"                                         \
	"1 c0 p 8 0 cc0 0 = - | 0.1=1/1/0\n"                                                       \
	"2 c0 f 7 = 4104 0.1 M | 0.1=1/1/0\n"                                                      \
	"3 c0 t 0 2a20 0 = 12 last=99 hash=ffffffffffffffff | 0.1=0/0/0\n"
#define RECORDING                                                                                  \
	"# policy 2 2: ok\n"                                                                       \
	"## state a-before\n" STATE "## state a-after\n" STATE OPS                                 \
	"# alone: 0 c0 a 9 4 6cc0 0 = 15696 0.1 U | 0.1=5/5/0\n"

static int parse(const char *text, struct probe *probe, struct text_error *err)
{
	struct text_input in = { text, strlen(text), "probe.out" };

	return probe_parse(&in, probe, err);
}

static void test_items(void **state)
{
	static const uint8_t kinds[] = { PROBE_NOTE, PROBE_STATE, PROBE_STATE, PROBE_BURST,
					 PROBE_ALONE };
	struct text_error err;
	struct probe probe;

	(void)state;
	assert_int_equal(parse(RECORDING, &probe, &err), 0);
	assert_int_equal(probe.nr_items, ARRAY_LEN(kinds));
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++)
		assert_int_equal(probe.items[i].kind, kinds[i]);
	assert_string_equal(probe.notes[0], "policy 2 2: ok");
	assert_string_equal(probe.states[1].label, "a-after");
	assert_int_equal(probe.states[1].zones.first, 1);
	assert_string_equal(probe.items[3].label, "a");
	assert_int_equal(probe.items[3].first, 0);
	assert_int_equal(probe.items[3].nr, 4);
	assert_int_equal(probe.items[4].first, 4);
	probe_free(&probe);
}

static void test_state(void **state)
{
	struct text_error err;
	struct probe probe;

	(void)state;
	assert_int_equal(parse("## state s\n" STATE, &probe, &err), 0);
	const struct probe_node *node = &probe.nodes[0];
	const struct probe_zone *zone = &probe.zones[0];

	assert_true(node->failures == 1 && node->order == 2 && node->highest == 5);
	assert_true(node->waiting && node->places.nr == 2);
	assert_true(probe.places[0].zone == 2 && probe.places[1].zone == 1);
	assert_true(zone->start_pfn == 4096 && zone->spanned == 2048 && zone->managed == 2000);
	assert_true(zone->mark[0] == 33 && zone->mark[3] == 57 && zone->boost == 512);
	assert_true(zone->free == -3 && zone->exact == 16 && zone->reserve[4] == 4);
	assert_int_equal(zone->flags, 3);
	assert_int_equal(probe.states[0].runs.nr, 3);
	assert_true(probe.runs[1].type == MT_HIGHATOMIC && probe.runs[1].pfn == 4096 + 1024);
	assert_int_equal(probe.runs[2].type, PROBE_NO_TYPE);
	assert_int_equal(probe.states[0].lists.nr, 2);
	assert_true(probe.lists[0].cpu == PROBE_NO_CPU && probe.lists[0].index == 3);
	assert_int_equal(probe.pfns[probe.lists[0].pfns.first + 1], 4096);
	assert_true(probe.lists[1].cpu == 1 && probe.lists[1].index == 13);
	assert_true(probe.pcps[0].diff == -2 && probe.pcps[0].threshold == 4);
	probe_free(&probe);
}

static void test_operations(void **state)
{
	struct text_error err;
	struct probe probe;

	(void)state;
	assert_int_equal(parse(OPS, &probe, &err), 0);
	const struct probe_op *op = probe.ops;

	assert_true(op[0].kind == 'a' && op[0].cpu == 1 && op[0].slot == 7 && op[0].order == 3);
	assert_true(op[0].gfp == 0x1028ca && op[0].pfn == 4104 && op[0].place.zone == 1);
	assert_true(op[0].columns.nr == 1 && probe.columns[0].free == -1);
	assert_true(probe.columns[0].exact == 2 && probe.columns[0].highatomic == 512);
	assert_int_equal(op[0].events.nr, 2);
	assert_true(probe.events[0].kind == PROBE_STEAL && probe.events[0].found == 4);
	assert_true(probe.events[0].other == MT_MOVABLE && probe.events[0].change == 1);
	assert_true(probe.events[1].kind == PROBE_WAKE && probe.events[1].zone == 2);
	assert_true(op[1].kind == 'p' && op[1].pfn == 0);
	assert_true(op[2].kind == 'f' && op[2].slot == 7 && op[2].pfn == 4104);
	assert_true(op[3].kind == 't' && op[3].count == 12 && op[3].pfn == 99);
	assert_true(op[3].hash == UINT64_MAX && op[3].gfp == 0x2a20);
	probe_free(&probe);
}

/* Each is refused; the message names the line. */
static void test_refused(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
	} cases[] = {
		{ "", 0 },
		{ "## state a\n" NODE_LINE "zone", 3 },
		{ "## state a\nzone 0.1 DMA32 start=1\n", 2 },
		{ "## state two words\n", 1 },
		{ "## state a\nnode 0 kswapd_failures=1\n", 2 },
		{ "## state a\nnode 64 kswapd_failures=1 kswapd_order=2 kswapd_highest_zoneidx=5 "
		  "kswapd_waiting=1 zonelist=0.2\n",
		  2 },
		{ "## state a\nfree 0.1 11 U: 5\n", 2 },
		{ "## state a\nfree 0.1 3 X: 5\n", 2 },
		{ "## state a\nfree 0.1 3 U: 5 x\n", 2 },
		{ "## state a\nfree 0.1 3 U: 0\n", 2 },
		{ "## state a\nfree 0.1 3 U: 4294967296\n", 2 },
		{ "## state a\nfree 0.9 3 U: 5\n", 2 },
		{ "## state a\nblocks 0.1 4096: M2\n", 2 },
		{ "## state a\nblocks 0.1 4097: M*2\n", 2 },
		{ "## state a\nblocks 0.1 4096: M*4194303 M*4194303\n", 2 },
		{ "## state a\npcp 0.1 cpu=1 count=2\n", 2 },
		{ "## state a\npcplist 0.1 cpu=1 14: 5\n", 2 },
		{ "## state a\npcplist 0.1 cpu=999 1: 5\n", 2 },
		{ "## state a\nsomething\n", 2 },
		{ "0 c0 f 1 = - |\n", 1 },
		{ "## ops a\n0 c0 x 1 = - |\n", 2 },
		{ "## ops a\n0 c0 f 1 = - \n", 2 },
		{ "## ops a\n0 c0 f 70000 = - |\n", 2 },
		{ "## ops a\n0 c0 a 1 11 cc0 0 = - |\n", 2 },
		{ "## ops a\n0 c0 a 1 1 1cc000000 0 = - |\n", 2 },
		{ "## ops a\n0 c0 f 1 = 0 0.1 U |\n", 2 },
		{ "## ops a\n0 c0 f 1 = - | 0.1=1/1\n", 2 },
		{ "## ops a\n  wake_kswapd node=0 highest_zoneidx=2 order=0\n", 2 },
		{ "## ops a\n0 c0 f 1 = - |\n  wake_kswapd node=0\n", 3 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct text_error err;
		struct probe probe;

		if (parse(cases[i].text, &probe, &err) != -EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		if (err.line != cases[i].line || strlen(err.message) < 15)
			fail_msg("line %u, not %u, of %s: %s", err.line, cases[i].line,
				 cases[i].text, err.message);
		assert_null(probe.items);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "## state a\nfree\0 \n";
	struct text_input in = { text, sizeof(text) - 1, "probe.out" };
	struct text_error err;
	struct probe probe;

	(void)state;
	assert_int_equal(probe_parse(&in, &probe, &err), -EINVAL);
	assert_int_equal(err.line, 2);
}

static void test_no_memory(void **state)
{
	struct text_error err;
	struct probe probe;
	int error = -ENOMEM;

	(void)state;
	for (uint32_t nth = 1; error != 0; nth++) {
		fail_at = nth;
		nr_requests = 0;
		error = parse(RECORDING, &probe, &err);
		assert_true(error == 0 || error == -ENOMEM);
		assert_true(error == 0 || nth < 100);
	}
	fail_at = 0;
	probe_free(&probe);
}

/* ---- scripts ---- */

static int parse_script(const char *text, struct probe_script *script, struct text_error *err)
{
	struct text_input in = { text, strlen(text), "a.probe" };

	return probe_script_parse(&in, script, err);
}

static void test_script(void **state)
{
	struct text_error err;
	struct probe_script script;

	(void)state;
	assert_int_equal(parse_script("machine nodes=256M cpus=1\n# comment\n\nhog 0.1 -3 28c0 10\n"
				      "unhog 3 0\ndrain\nburst one nostate\nt 0 28c0 0\nend\n"
				      "burst empty\nend\nfreeslots\nmemalloc on\nsched fifo\n"
				      "a 2000 4 6CC0 0\nstate s\ncpu 1\npolicy 2 1\n"
				      "sysctl watermark_boost_factor 0\nsh sleep 2\n"
				      "burst two\na 1 2 28c0 0 c1\np 2 0 28c0 0\nf 1 c0\nend\n"
				      "memalloc off\nsched normal\ncpu 3\ndrain\n"
				      "burst three\nf 2\nend\n",
				      &script, &err),
			 0);
	assert_int_equal(script.nr_bursts, 3);
	const struct probe_script_burst *burst = script.bursts;

	assert_string_equal(burst[0].label, "one");
	assert_true(!burst[0].states && burst[0].drained && !burst[0].memalloc);
	assert_int_equal(burst[0].nr_freeslots, 0);
	assert_string_equal(burst[1].label, "two");
	assert_true(burst[1].states && burst[1].memalloc && burst[1].realtime && !burst[1].drained);
	assert_true(burst[1].nr_ops == 3 && burst[1].nr_freeslots == 1);
	/* The recorder stays on its CPU where something is done outside of it. */
	assert_true(burst[1].cpu == 1 && burst[2].cpu == 3);
	assert_true(burst[2].drained && !burst[2].memalloc && !burst[2].realtime);
	probe_script_free(&script);
}

static void test_script_refused(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
	} cases[] = {
		{ "", 0 },
		{ "drain", 1 },
		{ "burst a\n", 1 },
		{ "burst\n", 1 },
		{ "burst a maybe\n", 1 },
		{ "burst a\nburst b\n", 2 },
		{ "end\n", 1 },
		{ "burst a\ndrain\nend\n", 2 },
		{ "a 1 11 cc0 0\n", 1 },
		{ "a 1 1 cc0\n", 1 },
		{ "a 1 1 xyz 0\n", 1 },
		{ "a 1 1 cc0 0 d1\n", 1 },
		{ "f\n", 1 },
		{ "t 0 28c0\n", 1 },
		{ "drain 1\n", 1 },
		{ "hog 0.1 5 28c0\n", 1 },
		{ "unhog 3\n", 1 },
		{ "memalloc maybe\n", 1 },
		{ "sched idle\n", 1 },
		{ "policy 2\n", 1 },
		{ "sysctl swappiness\n", 1 },
		{ "cpu 256\n", 1 },
		{ "state\n", 1 },
		{ "freeslots 1\n", 1 },
		{ "dance\n", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct probe_script script;
		struct text_error err;

		if (parse_script(cases[i].text, &script, &err) != -EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		if (err.line != cases[i].line || strlen(err.message) < 10)
			fail_msg("line %u, not %u, of %s: %s", err.line, cases[i].line,
				 cases[i].text, err.message);
		assert_null(script.bursts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),	   cmocka_unit_test(test_state),
		cmocka_unit_test(test_operations), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nul),	   cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_script),	   cmocka_unit_test(test_script_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
