/*
 * Kernel logs that people have published, and what neap decode says of them. Numbers and lines are
 * as published, with the source beside each; the verdict was written down before it was run. Where
 * the published text is cut, the missing part is what the verdict must name.
 */
#include "test_text_util.h"

#include "diag/decode_group.h"

struct incident {
	const char *source;
	const char *log;
	enum decode_kind kind;
	enum decode_cause cause;
	const char *piece; /* of what is said */
};

static const struct incident incidents[] = {
	{ /* 58 blocks of 4 MiB free, and an atomic request for one fails: they are CMA's. The page
	   * prints the zone cut and its free lists not at all, and those decide. */
	  .source = "unix.stackexchange.com/questions/593335",
	  .log = "[ 2161.623563] xxxx: page allocation failure: order:10, "
		 "mode:0x2084020(GFP_ATOMIC|"
		 "__GFP_COMP)\n"
		 "[ 2161.632085] CPU: 0 PID: 179 Comm: AiApp Not tainted 4.9.56 #53\n"
		 "[ 2161.689204] Mem-Info:\n"
		 "[ 2161.691518] active_anon:3268 inactive_anon:2 isolated_anon:0\n"
		 "[ 2161.691518]  active_file:1271 inactive_file:89286 isolated_file:0\n"
		 "[ 2161.691518]  unevictable:0 dirty:343 writeback:0 unstable:0\n"
		 "[ 2161.691518]  slab_reclaimable:2019 slab_unreclaimable:644\n"
		 "[ 2161.691518]  mapped:4282 shmem:4 pagetables:59 bounce:0\n"
		 "[ 2161.691518]  free:62086 free_pcp:199 free_cma:60234\n"
		 "[ 2161.748626] Normal free:248344kB min:2444kB low:3052kB high:3660kB "
		 "active_anon:13072kB inactive_anon:8kB active_file:5084kB "
		 "inactive_file:357144kB "
		 "unevictable:0kB writepending:1372kB present:1048572kB\n",
	  .kind = DECODE_FAILURE,
	  .cause = CAUSE_UNKNOWN,
	  .piece = "the free lists are missing" },
	{ /* 507 MiB free in zone DMA, 502 of them CMA's; the head of the report is not printed. */
	  .source = "github.com/raspberrypi/linux/issues/3872",
	  .log = "[  492.656714] Node 0 active_anon:968kB inactive_anon:32280kB "
		 "active_file:101656kB "
		 "inactive_file:27096kB unevictable:14276kB isolated(anon):0kB "
		 "isolated(file):768kB "
		 "mapped:34324kB dirty:68192kB writeback:10488kB shmem:10236kB writeback_tmp:0kB "
		 "kernel_stack:1488kB pagetables:1768kB sec_pagetables:0kB "
		 "all_unreclaimable? no\n"
		 "[  492.659081] DMA free:519112kB boost:7216kB min:10428kB low:11228kB "
		 "high:12028kB "
		 "reserved_highatomic:0KB active_anon:0kB inactive_anon:0kB active_file:77632kB "
		 "inactive_file:168kB unevictable:0kB writepending:78556kB present:786432kB "
		 "managed:663836kB mlocked:0kB bounce:0kB free_pcp:236kB local_pcp:232kB "
		 "free_cma:513592kB\n"
		 "[  492.661151] lowmem_reserve[]: 0 0 3188 3188\n"
		 "[  492.662208] DMA: 142*4kB (UEC) 161*8kB (UEC) 59*16kB (UEC) 51*32kB (UEC) "
		 "18*64kB (UEC) 2*128kB (UC) 1*256kB (C) 0*512kB 1*1024kB (C) 0*2048kB "
		 "125*4096kB (C) = 519120kB\n"
		 "[  492.663352] 36861 total pagecache pages\n"
		 "[  492.665835] Free swap  = 785668kB\n"
		 "[  492.666982] Total swap = 785668kB\n"
		 "[  492.668136] 1012736 pages RAM\n"
		 "[  492.669366] 816128 pages HighMem/MovableOnly\n"
		 "[  492.670505] 30649 pages reserved\n"
		 "[  492.671656] 131072 pages cma reserved\n",
	  .kind = DECODE_MEMORY,
	  .cause = CAUSE_SHOWN,
	  .piece = "free 129778 - CMA, reserved 128398; min 2607 low 2807 high 3007 (boost "
		   "1804)" },
	{ /* A network driver; one zone of the report is printed whole. */
	  .source = "github.com/openzfs/zfs/issues/325",
	  .log = "[49212.455709] txg_sync: page allocation failure. order:0, mode:0x20\n"
		 "[49212.455714] Pid: 4772, comm: txg_sync Tainted: P            "
		 "2.6.38-10-server "
		 "#46-Ubuntu\n"
		 "[49212.455716] Call Trace:\n"
		 "[49212.455723]  [<ffffffff81113e64>] ? __alloc_pages_nodemask+0x5f4/0x830\n"
		 "[49212.456165] Node 0 Normal free:2264kB min:13224kB low:16528kB high:19836kB "
		 "active_anon:2288172kB inactive_anon:229976kB active_file:1044952kB "
		 "inactive_file:1822464kB unevictable:0kB isolated(anon):0kB isolated(file):0kB "
		 "present:13445120kB mlocked:0kB dirty:228568kB writeback:31828kB mapped:18728kB "
		 "shmem:896kB slab_reclaimable:48992kB slab_unreclaimable:130064kB "
		 "kernel_stack:4912kB pagetables:14636kB unstable:0kB bounce:0kB "
		 "writeback_tmp:0kB "
		 "pages_scanned:142 all_unreclaimable? no\n"
		 "[49212.456171] lowmem_reserve[]: 0 0 0 0\n"
		 "[49212.456188] 927178 total pagecache pages\n",
	  .kind = DECODE_FAILURE,
	  .cause = CAUSE_AMOUNT,
	  .piece = "free 566 - unusable 0 < 3/8 min 1240 + reserve 0" },
	{ /* Trimmed by syslog; the slab's complaint comes before the page's. */
	  .source = "github.com/openzfs/zfs/issues/1535",
	  .log = "Jun 18 12:16:00 river kernel: SLUB: Unable to allocate memory on node -1 "
		 "(gfp=0x20)\n"
		 "Jun 18 12:16:00 river kernel: cache: kmalloc-4096, object size: 4096, "
		 "buffer size: "
		 "4096, default order: 3, min order: 0\n"
		 "Jun 18 12:16:00 river kernel: node 0: slabs: 659, objs: 3893, free: 0\n",
	  .kind = DECODE_SLUB,
	  .cause = CAUSE_UNKNOWN,
	  .piece = "slab allocation failure: kmalloc-4096" },
	{ .source = "github.com/openzfs/zfs/issues/2125",
	  .log = "563663 Apr 22 20:06:57 AI02 kernel: [94488.814125] INFO: task "
		 "kswapd0:139 blocked "
		 "for more than 120 seconds.\n"
		 "563664 Apr 22 20:06:57 AI02 kernel: [94488.814132]       Tainted: P      "
		 "     OE    "
		 "4.15.0-96-generic #97-Ubuntu\n"
		 "563666 Apr 22 20:06:57 AI02 kernel: [94488.814137] kswapd0         D    "
		 "0   139      "
		 "2 0x80000000\n"
		 "563667 Apr 22 20:06:57 AI02 kernel: [94488.814141] Call Trace:\n"
		 "563668 Apr 22 20:06:57 AI02 kernel: [94488.814151]  __schedule+0x24e/0x880\n"
		 "563670 Apr 22 20:06:57 AI02 kernel: [94488.814161]  schedule+0x2c/0x80\n"
		 "563671 Apr 22 20:06:57 AI02 kernel: [94488.814165]  "
		 "schedule_timeout+0x1cf/0x350\n"
		 "563673 Apr 22 20:06:57 AI02 kernel: [94488.814223]  "
		 "wait_for_completion+0xba/0x140\n"
		 "563676 Apr 22 20:06:57 AI02 kernel: [94488.814302]  "
		 "xfs_buf_submit_wait+0x81/0x210 "
		 "[xfs]\n",
	  .kind = DECODE_HUNG,
	  .cause = CAUSE_HANGS,
	  .piece = "kswapd0 waits for XFS to write a buffer" },
	{ .source = "github.com/openzfs/zfs/issues/1371",
	  .log = "Mar 23 13:22:31 wqb202a kernel: [166187.998697] INFO: task kswapd1:84 "
		 "blocked for "
		 "more than 120 seconds.\n"
		 "Mar 23 13:22:31 wqb202a kernel: [166187.998782] Call Trace:\n"
		 "Mar 23 13:22:31 wqb202a kernel: [166187.998791]  [<ffffffff8165ba6f>] "
		 "schedule+0x3f/0x60\n"
		 "Mar 23 13:22:31 wqb202a kernel: [166187.998795]  [<ffffffff8165c877>] "
		 "__mutex_lock_slowpath+0xd7/0x150\n"
		 "Mar 23 13:22:31 wqb202a kernel: [166187.998822]  [<ffffffffa01724a0>] ? "
		 "dbuf_rele_and_unlock+0x1b0/0x210 [zfs]\n"
		 "Mar 23 13:22:31 wqb202a kernel: [166187.998825]  [<ffffffff8165c48a>] "
		 "mutex_lock+0x2a/0x50\n"
		 "Mar 23 13:22:31 wqb202a kernel: [166187.998848]  [<ffffffffa020351c>] "
		 "zfs_zinactive+0x5c/0xd0 [zfs]\n",
	  .kind = DECODE_HUNG,
	  .cause = CAUSE_HANGS,
	  .piece = "kswapd1 waits for a mutex" },
	{ .source = "github.com/openzfs/zfs/issues/531",
	  .log = "kern: kern.err: Jan 13 02:49:23 kernel: INFO: task kswapd0:549 blocked "
		 "for more "
		 "than 3600 seconds.\n"
		 "kern: kern.notice: Jan 13 02:49:23 kernel: Call Trace:\n"
		 "kern: kern.notice: Jan 13 02:49:23 kernel:  [<ffffffff815e0dca>] "
		 "schedule+0x3a/0x50\n"
		 "kern: kern.notice: Jan 13 02:49:23 kernel:  [<ffffffff815e289d>] "
		 "rwsem_down_failed_common+0xcd/0x160\n",
	  .kind = DECODE_HUNG,
	  .cause = CAUSE_HANGS,
	  .piece = "waits for a semaphore" },
	{ .source = "github.com/openzfs/zfs/issues/266",
	  .log = "Jun  7 14:54:50 atlantis kernel: [838087.621465] INFO: task kswapd0:94 "
		 "blocked for "
		 "more than 120 seconds.\n"
		 "Jun  7 14:54:50 atlantis kernel: [838087.621497] Call Trace:\n"
		 "Jun  7 14:54:50 atlantis kernel: [838087.621504]  [<ffffffff8117e36d>] "
		 "__wait_on_freeing_inode+0x9d/0xd0\n"
		 "Jun  7 14:54:50 atlantis kernel: [838087.621513]  [<ffffffff8117e3cb>] "
		 "find_inode_fast+0x2b/0x90\n",
	  .kind = DECODE_HUNG,
	  .cause = CAUSE_HANGS,
	  .piece = "for an inode that somebody else is freeing" },
	{ /* Not kswapd: a task that reclaims for itself and waits for a throttled disk. */
	  .source = "github.com/ophub/amlogic-s9xxx-openwrt/issues/641",
	  .log = "[208560.275403] INFO: task kthreadd:2 blocked for more than 120 seconds.\n"
		 "[208560.277302]       Tainted: G         C         6.6.43-flippy-91+ #87\n"
		 "[208560.291611] task:kthreadd        state:D stack:0     pid:2     ppid:0      "
		 "flags:0x00000008\n"
		 "[208560.291634] Call trace:\n"
		 "[208560.291638]  __switch_to+0x164/0x270\n"
		 "[208560.291666]  io_schedule+0x38/0xcc\n"
		 "[208560.291672]  rq_qos_wait+0xe0/0x138\n"
		 "[208560.291682]  wbt_wait+0xc8/0x18c\n"
		 "[208560.291738]  __swap_writepage+0x484/0x54c\n"
		 "[208560.291755]  shrink_folio_list+0x968/0xe38\n"
		 "[208560.291784]  shrink_node+0xb70/0xe5c\n"
		 "[208560.291798]  try_to_free_pages+0x2bc/0x4c0\n",
	  .kind = DECODE_HUNG,
	  .cause = CAUSE_HANGS,
	  .piece = "kthreadd waits for a disk whose writes are throttled" },
	{ .source = "github.com/openzfs/spl/issues/415",
	  .log = "BUG: soft lockup - CPU#13 stuck for 22s! [kswapd1:149]\n",
	  .kind = DECODE_HUNG,
	  .cause = CAUSE_HANGS,
	  .piece = "kswapd1 runs without giving its CPU back" },
};

static int add_report(void *arg, const struct decode_report *report)
{
	return decode_groups_add(arg, report);
}

static void check(const struct incident *incident)
{
	struct decode_groups groups = { .nr = 0 };
	struct decode *decode = decode_new(add_report, &groups);
	struct paint paint = { .width = 80 };
	struct text_buf out;

	assert_non_null(decode);
	for (const char *at = incident->log; *at != '\0'; at += strcspn(at, "\n") + 1)
		assert_int_equal(decode_line(decode, at, (uint32_t)strcspn(at, "\n")), 0);
	assert_int_equal(decode_end(decode), 0);
	decode_free(decode);
	if (groups.nr != 1)
		fail_msg("%s: %u groups", incident->source, groups.nr);
	text_buf_init(&out);
	decode_group_add_text(&out, groups.group[0], &paint);
	if (groups.group[0]->kind != incident->kind ||
	    groups.group[0]->verdict.cause != incident->cause ||
	    strstr(text_buf_text(&out), incident->piece) == NULL)
		fail_msg("%s: %s, %s:\n%s", incident->source,
			 decode_kind_word(groups.group[0]->kind),
			 decode_cause_word(groups.group[0]->verdict.cause), text_buf_text(&out));
	text_buf_free(&out);
	decode_groups_free(&groups);
}

static void test_incidents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(incidents); i++)
		check(&incidents[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_incidents) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
