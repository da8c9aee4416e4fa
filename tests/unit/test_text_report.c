/*
 * Memory reports in kernel logs: recorded ones are printed back byte for byte and written again
 * from the state; prefixes of many tools; forms of other kernels.
 */
#include "test_text_util.h"

#include "report_corpus.h"
#include "text_corpus.h"

static void test_corpus(void **state)
{
	struct report_corpus corpus = { .texts = 0 };
	const char *root = report_corpus_unpack();

	(void)state;
	report_corpus_check(&corpus, root);
	corpus_remove(root);
	assert_int_equal(corpus.texts, 38);
	assert_int_equal(corpus.failures, 8);
	assert_int_equal(corpus.ooms, 9);
	assert_int_equal(corpus.written, 21);
	assert_true(corpus.equal > 3000);
}

static void check_split(const char *line, const char *text, const char *when, uint64_t uptime_us)
{
	struct logline split;

	logline_split(line, (uint32_t)strlen(line), &split);
	assert_int_equal(split.prefix.bytes + split.text.bytes, strlen(line));
	assert_int_equal(split.text.bytes, strlen(text));
	assert_memory_equal(split.text.at, text, split.text.bytes);
	assert_int_equal(split.when.bytes, strlen(when));
	assert_memory_equal(split.when.at, when, split.when.bytes);
	assert_int_equal(split.has_uptime, uptime_us != 0);
	assert_int_equal(split.uptime_us, uptime_us);
}

static void test_prefixes(void **state)
{
	(void)state;
	check_split("Mem-Info:", "Mem-Info:", "", 0);
	check_split("[   28.483595] Mem-Info:", "Mem-Info:", "28.483595", 28483595);
	check_split("[   28.483595]  active_file:0", " active_file:0", "28.483595", 28483595);
	check_split("<4>[   28.483595][  T195] Mem-Info:", "Mem-Info:", "28.483595", 28483595);
	check_split("[   28.483595] [    T1] Mem-Info:", "Mem-Info:", "28.483595", 28483595);
	check_split("[Sat Nov 21 13:47:03 2026] Mem-Info:", "Mem-Info:", "Sat Nov 21 13:47:03 2026",
		    0);
	check_split("kern  :warn  : [   28.483595] Mem-Info:", "Mem-Info:", "28.483595", 28483595);
	check_split("Nov 21 13:47:03 host kernel: [   28.483595] Mem-Info:", "Mem-Info:",
		    "Nov 21 13:47:03", 28483595);
	check_split("Nov  1 13:47:03 host kernel: Mem-Info:", "Mem-Info:", "Nov  1 13:47:03", 0);
	check_split("2026-11-21T13:47:03.123456+00:00 host kernel: [    1.5] Mem-Info:",
		    "Mem-Info:", "2026-11-21T13:47:03.123456+00:00", 1500000);
	check_split("[   28.483595] host kernel: Mem-Info:", "Mem-Info:", "28.483595", 28483595);
	check_split("[  +0.002367] Mem-Info:", "Mem-Info:", "", 0);
	check_split("12:Nov 21 13:47:03 host kernel: Mem-Info:", "Mem-Info:", "Nov 21 13:47:03", 0);
	check_split("kern: kern.err: Nov 21 13:47:03 kernel: Mem-Info:", "Mem-Info:",
		    "Nov 21 13:47:03", 0);
	/* Not the kernel's: a program may print such a line, too. */
	check_split("Nov 21 13:47:03 host app[12]: Mem-Info:",
		    "Nov 21 13:47:03 host app[12]: Mem-Info:", "", 0);
	check_split("[<ffffffff8113c09a>] foo+0x1/0x2", "[<ffffffff8113c09a>] foo+0x1/0x2", "", 0);
	check_split("[    118]     0   118", "[    118]     0   118", "", 0);
	check_split("", "", "", 0);
	check_split("[", "[", "", 0);
}

/* Reads a line that must be printed back as it stands. */
static void read_back(const char *text, struct report_context *context, enum report_kind kind,
		      struct report_line *line)
{
	struct logline_slice slice = { text, (uint32_t)strlen(text) };
	struct text_buf out;

	text_buf_init(&out);
	report_line_read(&slice, context, line);
	if (line->kind != kind)
		fail_msg("\"%s\" is read as kind %d", text, (int)line->kind);
	assert_int_equal(report_line_print(line, &out), 0);
	assert_string_equal(text_buf_text(&out), text);
	text_buf_free(&out);
}

/* Lines of other kernels: understood, and printed back. */
static void test_other_kernels(void **state)
{
	static const struct {
		enum report_kind kind;
		const char *text;
	} lines[] = {
		{ REPORT_FAILURE, "swapper/0: page allocation failure: order:0, mode:0x2204020"
				  "(GFP_ATOMIC|__GFP_COMP|__GFP_NOTRACK)" },
		{ REPORT_FAILURE, "java: page allocation failure: order:8, mode:0x204010" },
		{ REPORT_FAILURE, "irq/5-600c0004.: page allocation failure: order:0, "
				  "mode:0x820(GFP_ATOMIC), nodemask=(null)" },
		{ REPORT_STALL, "ld: page allocation stalls for 10004ms, order:0, "
				"mode:0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null)" },
		{ REPORT_CPU, "CPU: 3 UID: 0 PID: 77 Comm: kworker/3:1 Not tainted 6.18.0 #1" },
		{ REPORT_FRAME, " [<ffffffff8113c09a>] ? __alloc_pages_nodemask+0x22a/0x240" },
		{ REPORT_FRAME, " [<ffffffffa02a5da0>] ? try_alloc+0xb0/0x1d0 [dm_writeboost]" },
		{ REPORT_GLOBAL, "active_anon:656114 inactive_anon:679646 isolated_anon:0" },
		{ REPORT_GLOBAL, " slab_reclaimable:119934 slab_unreclaimable:40229" },
		{ REPORT_GLOBAL, " mapped:62257 shmem:42828 pagetables:8912 bounce:0" },
		{ REPORT_ZONE, "Normal free:24148kB min:65640kB low:129584kB high:193528kB" },
		{ REPORT_ZONE, "Node 0 DMA free:13312kB min:64kB low:80kB high:96kB "
			       "active_anon:0kB pages_scanned:0 all_unreclaimable? yes" },
		{ REPORT_RESERVE, "lowmem_reserve[]: 0 2660 15392 15392" },
		{ REPORT_RESERVE, "lowmem_reserve[]:" },
		{ REPORT_BLOCKS, "Normal: 4*4kB (UMC) 3*8kB (C) 0*16kB 1*32kB (H) = 88kB" },
		{ REPORT_BLOCKS, "Node 3 Normal: 4*64kB (UM) 0*128kB 1*256kB (I) = 512kB" },
		{ REPORT_SWAP_STATS, "Swap cache stats: add 1, delete 2, find 3/4" },
		{ REPORT_RAM, "1048446 pages RAM" },
		{ REPORT_CMA_PAGES, "16384 pages cma reserved" },
		{ REPORT_POISONED, "0 pages hwpoisoned" },
		{ REPORT_SYSRQ, "sysrq: SysRq : Show Memory" },
		{ REPORT_OOM, "mysqld invoked oom-killer: gfp_mask=0x14280ca(GFP_HIGHUSER_MOVABLE"
			      "|__GFP_ZERO), nodemask=(null),  order=0, oom_score_adj=0" },
		{ REPORT_OOM,
		  "x invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=-17" },
		{ REPORT_OOM_CPUSET, "mysqld cpuset=/ mems_allowed=0" },
		{ REPORT_SACRIFICE,
		  "Out of memory: Kill process 1234 (mysqld) score 901 or sacrifice child" },
		{ REPORT_KILLED, "Killed process 1234 (mysqld) total-vm:1kB, anon-rss:2kB, "
				 "file-rss:3kB, shmem-rss:4kB" },
		{ REPORT_REAPED, "oom_reaper: reaped process 1234 (my sqld), now anon-rss:0kB, "
				 "file-rss:0kB, shmem-rss:0kB" },
		{ REPORT_HUNG, "INFO: task kswapd0:45 blocked for more than 120 seconds." },
		{ REPORT_TASK_STATE,
		  "task:kswapd0         state:D stack:    0 pid:   45 ppid:     2"
		  " flags:0x00004000" },
		{ REPORT_LOCKUP, "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kswapd0:45]" },
		{ REPORT_SLUB,
		  "SLUB: Unable to allocate memory on node -1, gfp=0x820(GFP_ATOMIC)" },
		{ REPORT_SLUB_CACHE, "  cache: skbuff_head_cache, object size: 216, buffer size: "
				     "256, default order: 1, min order: 0" },
	};
	struct report_context context = { .last = REPORT_OTHER };
	struct report_line line;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		read_back(lines[i].text, &context, lines[i].kind, &line);
}

/* Tables of tasks: the number of columns is the head's. */
static void test_task_tables(void **state)
{
	static const char *const tables[][2] = {
		{ "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj"
		  " name",
		  "[  335]     0   335     9235       29      21       3        0             0"
		  " systemd-journal" },
		{ "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj"
		  " name",
		  "[    118]     0   118      565       25    28672        0         -1000 init" },
	};
	struct report_line line;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		struct report_context context = { .last = REPORT_TASKS };

		read_back(tables[i][0], &context, REPORT_TASK_HEAD, &line);
		read_back(tables[i][1], &context, REPORT_TASK, &line);
	}
	assert_int_equal((int64_t)line.number[line.nr_numbers - 1], -1000);
	assert_int_equal(line.number[4], 25);
}

/* A log is full of other things. */
static void test_strangers(void **state)
{
	static const char *const lines[] = {
		"usb 1-1: new high-speed USB device number 2 using xhci_hcd",
		"Node 0: something",
		"Node 99999999999 DMA free:1kB",
		"Normal operation",
		"DMA: 12*4 = 3",
		"page allocation failure: order:0",
		"123 pages",
		"Total swap = kB",
		"free: 12",
		"18446744073709551616 pages RAM",
		"Node 0 DMA: 0*4kB 0*0kB = 0kB",
		"lowmem_reserve[]: 1 x",
	};
	struct report_context context = { .last = REPORT_OTHER };
	struct report_line line;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct logline_slice slice = { lines[i], (uint32_t)strlen(lines[i]) };

		report_line_read(&slice, &context, &line);
		if (line.kind != REPORT_OTHER)
			fail_msg("\"%s\" is read as kind %d", lines[i], (int)line.kind);
	}
}

/* Which zones the columns of lowmem_reserve stand for. */
static void test_columns(void **state)
{
	static const struct {
		uint32_t columns;
		const char *zones, *kinds;
	} cases[] = {
		{ 5, "DMA DMA32", "DMA DMA32 Normal Movable Device" },
		{ 4, "DMA DMA32 Normal", "DMA DMA32 Normal Movable" },
		{ 5, "DMA32 Normal", "DMA DMA32 Normal Movable Device" },
		{ 4, "DMA Normal HighMem", "DMA Normal HighMem Movable" },
		{ 3, "Normal HighMem", "Normal HighMem Movable" },
		{ 4, "DMA", "DMA DMA32 Normal Movable" },
		{ 3, "DMA32 Normal", "DMA32 Normal Movable" },
		{ 2, "Normal", "Normal Movable" },
	};
	struct report_memory *memory = calloc(1, sizeof(*memory));

	(void)state;
	assert_non_null(memory);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum plan_kind kind[NEAP_NR_ZONES];
		char text[128] = "";

		report_memory_init(memory);
		for (const char *at = cases[i].zones; *at != '\0';) {
			uint32_t bytes = (uint32_t)strcspn(at, " ");
			struct logline_slice name = { at, bytes };

			memory->zone[memory->nr_zones].nr_reserve = cases[i].columns;
			memory->zone[memory->nr_zones++].kind = report_zone_kind(&name);
			at += bytes + (at[bytes] == ' ');
		}
		uint32_t nr = report_memory_columns(memory, kind);

		for (uint32_t k = 0; k < nr; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 k != 0 ? " " : "", report_kind_name(kind[k]));
		assert_string_equal(text, cases[i].kinds);
	}
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_corpus),	      cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_other_kernels), cmocka_unit_test(test_task_tables),
		cmocka_unit_test(test_strangers),     cmocka_unit_test(test_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
