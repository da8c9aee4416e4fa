/*
 * What a machine's files must look like, written out by hand: the worked examples
 * of spec 05 and a small machine with one node that has memory and one without.
 */
#include "test_text_util.h"

#include <errno.h>

#include "text/buddyinfo.h"
#include "text/meminfo.h"
#include "text/swaps.h"
#include "text/vmstat.h"
#include "text/zoneinfo.h"

static char *write_file(const struct snapshot *snapshot, const char *name)
{
	struct text_buf out;

	text_buf_init(&out);
	assert_int_equal(text_proc_write(snapshot, name, &out), 0);
	assert_non_null(out.at);
	return out.at;
}

/* Node 0: DMA32 with two CPUs. Node 1: nothing. */
static struct snapshot *small_machine(void)
{
	struct snapshot *snapshot = util_snapshot_new(2);
	struct snapshot_node *node = &snapshot->node[0];
	struct snapshot_zone *zone = &node->zone[ZONE_DMA32];

	cpumask_set(&snapshot->online, 0);
	cpumask_set(&snapshot->online, 5);
	node->has_memory = true;
	node->stat[NR_INACTIVE_ANON] = 254;
	node->stat[NR_ANON_TRANSPARENT_HUGEPAGES] = 3 * 512 + 511;
	node->stat[NR_KERNEL_STACK] = 864;
	zone->free = 108042;
	zone->boost = 512;
	zone->min = 1175;
	zone->low = 1340;
	zone->high = 1505;
	zone->spanned = 126932;
	zone->present = 126932;
	zone->managed = 116411;
	zone->start_pfn = 4096;
	zone->node_unreclaimable = true;
	zone->stat[NR_FREE_PAGES] = 108042;
	zone->numa[NUMA_HIT] = 6279;
	zone->pageset[0] = (struct snapshot_pageset){ 162, 414, 31, 12 };
	zone->pageset[5] = (struct snapshot_pageset){ 7, 414, 31, 12 };
	node->zone[ZONE_DMA].protection[ZONE_DMA32] = 454;
	node->zone[ZONE_DMA].protection[ZONE_NORMAL] = 454;
	return snapshot;
}

#define EMPTY_MARKS                                                                                \
	"  pages free     0\n"                                                                     \
	"        boost    0\n"                                                                     \
	"        min      0\n"                                                                     \
	"        low      0\n"                                                                     \
	"        high     0\n"                                                                     \
	"        spanned  0\n"                                                                     \
	"        present  0\n"                                                                     \
	"        managed  0\n"                                                                     \
	"        cma      0\n"

#define EMPTY_ZONE EMPTY_MARKS "        protection: (0, 0, 0, 0, 0)\n"

static const char *const zones_first =
	"Node 0, zone      DMA\n" EMPTY_MARKS "        protection: (0, 454, 454, 0, 0)\n"
	"Node 0, zone    DMA32\n"
	"  per-node stats\n"
	"      nr_inactive_anon 254\n"
	"      nr_active_anon 0\n";
static const char *const zones_middle = "      nr_mapped    0\n"
					"      nr_file_pages 0\n";
static const char *const zones_last =
	"  pages free     108042\n"
	"        boost    512\n"
	"        min      1175\n"
	"        low      1340\n"
	"        high     1505\n"
	"        spanned  126932\n"
	"        present  126932\n"
	"        managed  116411\n"
	"        cma      0\n"
	"        protection: (0, 0, 0, 0, 0)\n"
	"      nr_free_pages 108042\n"
	"      nr_zone_inactive_anon 0\n"
	"      nr_zone_active_anon 0\n"
	"      nr_zone_inactive_file 0\n"
	"      nr_zone_active_file 0\n"
	"      nr_zone_unevictable 0\n"
	"      nr_zone_write_pending 0\n"
	"      nr_mlock     0\n"
	"      nr_bounce    0\n"
	"      nr_zspages   0\n"
	"      nr_free_cma  0\n"
	"      numa_hit     6279\n"
	"      numa_miss    0\n"
	"      numa_foreign 0\n"
	"      numa_interleave 0\n"
	"      numa_local   0\n"
	"      numa_other   0\n"
	"  pagesets\n"
	"    cpu: 0\n"
	"              count: 162\n"
	"              high:  414\n"
	"              batch: 31\n"
	"  vm stats threshold: 12\n"
	"    cpu: 5\n"
	"              count: 7\n"
	"              high:  414\n"
	"              batch: 31\n"
	"  vm stats threshold: 12\n"
	"  node_unreclaimable:  1\n"
	"  start_pfn:           4096\n"
	"Node 0, zone   Normal\n" EMPTY_ZONE "Node 0, zone  Movable\n" EMPTY_ZONE
	"Node 0, zone   Device\n" EMPTY_ZONE "Node 1, zone      DMA\n" EMPTY_ZONE
	"Node 1, zone    DMA32\n" EMPTY_ZONE "Node 1, zone   Normal\n" EMPTY_ZONE
	"Node 1, zone  Movable\n" EMPTY_ZONE "Node 1, zone   Device\n" EMPTY_ZONE;

static void test_zoneinfo_text(void **state)
{
	struct snapshot *snapshot = small_machine();
	char *text = write_file(snapshot, "zoneinfo");

	(void)state;
	assert_int_equal(strncmp(text, zones_first, strlen(zones_first)), 0);
	assert_non_null(strstr(text, zones_middle));
	assert_non_null(strstr(text, "      nr_anon_transparent_hugepages 3\n"));
	assert_non_null(strstr(text, "      nr_kernel_stack 864\n"));
	const char *tail = strstr(text, "  pages free     108042\n");
	assert_non_null(tail);
	util_assert_text(tail, zones_last);
	/* The node's items appear once, and never for a node without memory. */
	assert_null(strstr(strstr(text, "per-node stats") + 1, "per-node stats"));
	free(text);
	free(snapshot);
}

static void test_buddyinfo_text(void **state)
{
	static const uint64_t blocks[NEAP_NR_ORDERS] = { 0, 1, 2, 2, 1, 1, 7, 10, 3, 4, 101 };
	struct snapshot *snapshot = small_machine();
	struct buddyinfo_doc *buddyinfo = NULL;

	(void)state;
	memcpy(snapshot->node[0].zone[ZONE_DMA32].nr_free, blocks, sizeof(blocks));
	char *text = write_file(snapshot, "buddyinfo");
	util_assert_text(text, "Node 0, zone    DMA32      0      1      2      2      1      1"
			       "      7     10      3      4    101 \n");
	assert_int_equal(buddyinfo_parse(text, strlen(text), "buddyinfo", &buddyinfo, NULL), 0);
	assert_int_equal(buddyinfo_doc_free_pages(buddyinfo, 0, "DMA32"), 108042);
	assert_int_equal(buddyinfo_doc_free_pages(buddyinfo, 1, "DMA32"), 0);
	buddyinfo_free(buddyinfo);
	free(text);
	free(snapshot);
}

static void test_vmstat_text(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);

	(void)state;
	snapshot->zone_stat[NR_FREE_PAGES] = 112778;
	snapshot->node_stat[NR_FILE_HUGEPAGES] = 1024;
	snapshot->dirty_background_threshold = 11113;
	snapshot->event[EV_PGPGIN] = 33;
	snapshot->event[EV_PSWPIN] = 5;
	snapshot->event[EV_SIM_ACCESS] = 99;
	char *text = write_file(snapshot, "vmstat");
	const char *first = "nr_free_pages 112778\nnr_zone_inactive_anon 0\n";
	const char *last = "\ndirect_map_level3_splits 0\nnr_unstable 0\n";
	assert_int_equal(strncmp(text, first, strlen(first)), 0);
	assert_string_equal(text + strlen(text) - strlen(last), last);
	assert_non_null(strstr(text, "\nnr_file_hugepages 2\n"));
	assert_non_null(strstr(text, "\nnr_dirty_threshold 0\nnr_dirty_background_threshold 11113\n"
				     "pgpgin 16\npgpgout 0\npswpin 5\n"));
	assert_null(strstr(text, "accesses"));
	size_t lines = 0;
	for (const char *at = text; *at != '\0'; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 171);
	free(text);
	free(snapshot);
}

static const char *const mem_text = "MemTotal:         481004 kB\n"
				    "MemFree:          451348 kB\n"
				    "MemAvailable:     451388 kB\n"
				    "Buffers:              12 kB\n"
				    "Cached:             3112 kB\n"
				    "SwapCached:            8 kB\n"
				    "Active:             2200 kB\n"
				    "Inactive:              0 kB\n"
				    "Active(anon):       2164 kB\n"
				    "Inactive(anon):        0 kB\n"
				    "Active(file):         36 kB\n"
				    "Inactive(file):        0 kB\n"
				    "Unevictable:           0 kB\n"
				    "Mlocked:               0 kB\n"
				    "SwapTotal:             0 kB\n"
				    "SwapFree:              0 kB\n"
				    "Dirty:                 0 kB\n"
				    "Writeback:             0 kB\n"
				    "AnonPages:             0 kB\n"
				    "Mapped:                0 kB\n"
				    "Shmem:                 0 kB\n"
				    "KReclaimable:       9340 kB\n"
				    "Slab:              16196 kB\n"
				    "SReclaimable:       9336 kB\n"
				    "SUnreclaim:         6860 kB\n"
				    "KernelStack:         864 kB\n"
				    "PageTables:            0 kB\n"
				    "SecPageTables:         0 kB\n"
				    "NFS_Unstable:          0 kB\n"
				    "Bounce:                0 kB\n"
				    "WritebackTmp:          0 kB\n"
				    "CommitLimit:      240500 kB\n"
				    "Committed_AS:          0 kB\n"
				    "VmallocTotal:   34359738367 kB\n"
				    "VmallocUsed:           0 kB\n"
				    "VmallocChunk:          0 kB\n"
				    "Percpu:                0 kB\n"
				    "AnonHugePages:      2048 kB\n"
				    "ShmemHugePages:        0 kB\n"
				    "ShmemPmdMapped:        0 kB\n"
				    "FileHugePages:         0 kB\n"
				    "FilePmdMapped:         0 kB\n"
				    "HugePages_Total:      25\n"
				    "HugePages_Free:       24\n"
				    "HugePages_Rsvd:        0\n"
				    "HugePages_Surp:        0\n"
				    "Hugepagesize:       2048 kB\n"
				    "Hugetlb:           51200 kB\n"
				    "DirectMap4k:           0 kB\n"
				    "DirectMap2M:      489472 kB\n"
				    "DirectMap1G:           0 kB\n";

static void test_meminfo_text(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);
	uint64_t *node = snapshot->node_stat;

	(void)state;
	snapshot->total_pages = 120251;
	snapshot->zone_stat[NR_FREE_PAGES] = 112837;
	snapshot->available_pages = 112847;
	snapshot->buffers_pages = 3;
	snapshot->swapcache_pages = 2;
	node[NR_FILE_PAGES] = 778 + 3 + 2;
	node[NR_ACTIVE_ANON] = 541;
	node[NR_ACTIVE_FILE] = 9;
	node[NR_SLAB_RECLAIMABLE] = 2334;
	node[NR_KERNEL_MISC_RECLAIMABLE] = 1;
	node[NR_SLAB_UNRECLAIMABLE] = 1715;
	node[NR_KERNEL_STACK] = 864;
	node[NR_ANON_TRANSPARENT_HUGEPAGES] = 512;
	snapshot->commit_limit_pages = 60125;
	snapshot->vmalloc_total_kb = 34359738367;
	snapshot->huge_total = 25;
	snapshot->huge_free = 24;
	snapshot->direct_map_kb[1] = 489472;
	char *text = write_file(snapshot, "meminfo");
	util_assert_text(text, mem_text);
	free(text);
	free(snapshot);
}

/* Counters of different moments: Cached stops at 0. */
static void test_meminfo_floor(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);

	(void)state;
	snapshot->buffers_pages = 10;
	snapshot->node_stat[NR_FILE_PAGES] = 9;
	char *text = write_file(snapshot, "meminfo");
	assert_non_null(strstr(text, "Cached:                0 kB\nSwapCached"));
	free(text);
	free(snapshot);
}

static void test_swaps_text(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);

	(void)state;
	char *text = write_file(snapshot, "swaps");
	util_assert_text(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	free(text);
	snapshot->nr_swaps = 4;
	snapshot->swap[0] = (struct snapshot_swap){ "/dev/vdb", false, 65535, 0, -2 };
	snapshot->swap[1] =
		(struct snapshot_swap){ "/my swap\\\t\n", true, 2500000, 2499999, 32767 };
	snapshot->swap[2] = (struct snapshot_swap){ "/a/path/of/exactly/forty/characters/aaaa",
						    true, 25, 24, 0 };
	snapshot->swap[3] = (struct snapshot_swap){ "/a/path/of/exactly/39/characters/aaaaaa",
						    false, 3, 2, -3 };
	text = write_file(snapshot, "swaps");
	util_assert_text(text,
			 "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
			 "/dev/vdb                                partition\t262140\t\t0\t\t-2\n"
			 "/my\\040swap\\134\\011\\012                 file\t\t10000000\t9999996"
			 "\t\t32767\n"
			 "/a/path/of/exactly/forty/characters/aaaa file\t\t100\t\t96\t\t0\n"
			 "/a/path/of/exactly/39/characters/aaaaaa partition\t12\t\t8\t\t-3\n");
	free(text);
	free(snapshot);
}

static void test_swaps_path(void **state)
{
	char path[16];

	(void)state;
	assert_int_equal(swaps_path_decode("/my\\040swap\\134", path, sizeof(path)), 9);
	assert_string_equal(path, "/my swap\\");
	assert_int_equal(swaps_path_decode("\\04x\\400\\", path, sizeof(path)), 9);
	assert_string_equal(path, "\\04x\\400\\");
	/* \000 is no escape that Linux writes, and would end the path. */
	assert_int_equal(swaps_path_decode("a\\000", path, sizeof(path)), 5);
	assert_int_equal(swaps_path_decode("/long\\040long\\040long", path, 8), 7);
	assert_string_equal(path, "/long l");
}

static void test_unknown_file(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	assert_int_equal(text_proc_write(snapshot, "slabinfo", &out), -ENOENT);
	assert_int_equal(out.bytes, 0);
	text_buf_free(&out);
	free(snapshot);
}

static void test_lookups(void **state)
{
	struct snapshot *snapshot = small_machine();
	char *text = write_file(snapshot, "zoneinfo");
	struct zoneinfo_doc *zoneinfo = NULL;
	uint64_t value = 0;

	(void)state;
	assert_int_equal(zoneinfo_parse(text, strlen(text), "zoneinfo", &zoneinfo, NULL), 0);
	assert_int_equal(zoneinfo->nr_zones, 10);
	const struct zoneinfo_zone *zone = zoneinfo_doc_zone(zoneinfo, 0, "DMA32");
	assert_non_null(zone);
	assert_true(zone->populated);
	assert_int_equal(zone->nr_pagesets, 2);
	assert_int_equal(zone->pagesets[1].cpu, 5);
	assert_int_equal(zone->pagesets[1].count, 7);
	assert_int_equal(zone->pagesets[1].threshold, 12);
	assert_true(zoneinfo_doc_get(zoneinfo, zone, "low", &value));
	assert_int_equal(value, 1340);
	assert_true(zoneinfo_doc_get(zoneinfo, zone, "numa_hit", &value));
	assert_int_equal(value, 6279);
	assert_true(zoneinfo_doc_get(zoneinfo, zone, "start_pfn", &value));
	assert_int_equal(value, 4096);
	assert_false(zoneinfo_doc_get(zoneinfo, zone, "nr_inactive_anon", &value));
	assert_true(zoneinfo_doc_node_get(zoneinfo, 0, "nr_inactive_anon", &value));
	assert_int_equal(value, 254);
	assert_false(zoneinfo_doc_node_get(zoneinfo, 1, "nr_inactive_anon", &value));
	zone = zoneinfo_doc_zone(zoneinfo, 0, "DMA");
	assert_false(zone->populated);
	assert_int_equal(zone->nr_protection, 5);
	assert_int_equal(zone->protection[2], 454);
	assert_null(zoneinfo_doc_zone(zoneinfo, 2, "DMA"));
	zoneinfo_free(zoneinfo);
	free(text);
	free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zoneinfo_text), cmocka_unit_test(test_buddyinfo_text),
		cmocka_unit_test(test_vmstat_text),   cmocka_unit_test(test_meminfo_text),
		cmocka_unit_test(test_meminfo_floor), cmocka_unit_test(test_swaps_text),
		cmocka_unit_test(test_swaps_path),    cmocka_unit_test(test_unknown_file),
		cmocka_unit_test(test_lookups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
