/*
 * Files of types and of nodes, written out by hand: pagetypeinfo, nodeN/{meminfo,vmstat,
 * numastat,distance,cpulist}, pressure; and the names by which files are found.
 */
#include "test_text_util.h"

#include <errno.h>

#include "text/nodemem.h"
#include "text/nodestat.h"
#include "text/pagetypeinfo.h"
#include "text/pressure.h"
#include "text/topology.h"

static char *write_file(const struct snapshot *snapshot, const char *name)
{
	struct text_buf out;

	text_buf_init(&out);
	assert_int_equal(text_proc_write(snapshot, name, &out), 0);
	assert_non_null(out.at);
	return out.at;
}

static struct text_doc *load(const struct text_format *format, const char *text)
{
	struct text_input in = { text, strlen(text), format->title };
	struct text_doc *doc = NULL;
	struct text_error err;

	if (text_doc_load(format, &in, &doc, &err) != 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.message);
	return doc;
}

/* ---- pagetypeinfo ---- */

static const char types_text[] =
	"Page block order: 9\n"
	"Pages per block:  512\n"
	"\n"
	"Free pages count per migrate type at order       0      1      2      3      4      5 "
	"     6      7      8      9     10 \n"
	"Node    3, zone    DMA32, type    Unmovable      1      0      0      0      1      0 "
	"     0      0      0      0      0 \n"
	"Node    3, zone    DMA32, type      Movable      0      0      0      0      0      0 "
	"     0      0      0      0 >100000 \n"
	"Node    3, zone    DMA32, type  Reclaimable      0      0      0      0      0      0 "
	"     0      0      0      0      0 \n"
	"Node    3, zone    DMA32, type   HighAtomic  99999 >100000      0      0      0      0 "
	"     0      0      0      0      0 \n"
	"Node    3, zone    DMA32, type      Isolate      0      0      0      0      0      0 "
	"     0      0      0      0      0 \n"
	"\n"
	"Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate \n"
	"Node 3, zone    DMA32           46          964            6            1            0 \n";

/* One zone on node 3, and a node without memory. */
static struct snapshot *types_machine(void)
{
	struct snapshot *snapshot = util_snapshot_new(2);
	struct snapshot_zone *zone = &snapshot->node[0].zone[ZONE_DMA32];

	snapshot->node[0].id = 3;
	snapshot->node[1].id = 4;
	zone->node = 3;
	zone->present = 1;
	zone->nr_free_type[MT_UNMOVABLE][0] = 1;
	zone->nr_free_type[MT_UNMOVABLE][4] = 1;
	zone->nr_free_type[MT_MOVABLE][10] = 123456;
	zone->nr_free_type[MT_HIGHATOMIC][0] = 99999;
	zone->nr_free_type[MT_HIGHATOMIC][1] = 100000;
	zone->nr_blocks[MT_UNMOVABLE] = 46;
	zone->nr_blocks[MT_MOVABLE] = 964;
	zone->nr_blocks[MT_RECLAIMABLE] = 6;
	zone->nr_blocks[MT_HIGHATOMIC] = 1;
	return snapshot;
}

static void test_pagetypeinfo_text(void **state)
{
	struct snapshot *snapshot = types_machine();
	char *text = write_file(snapshot, "pagetypeinfo");

	(void)state;
	util_assert_text(text, types_text);
	free(text);
	free(snapshot);
}

static void test_pagetypeinfo_lookups(void **state)
{
	struct text_doc *doc = load(&pagetypeinfo_format, types_text);
	struct pagetypeinfo_key key = { 3, "DMA32", "HighAtomic" };
	uint32_t nr_orders = 0;
	uint64_t blocks = 0;
	const uint64_t *list = pagetypeinfo_doc_free(doc, &key, &nr_orders);

	(void)state;
	assert_int_equal(doc->nr_odd + doc->nr_unknown, 0);
	assert_int_equal(nr_orders, 11);
	assert_int_equal(list[0], 99999);
	assert_int_equal(list[1], PAGETYPEINFO_BLOCKS_MAX);
	assert_true(pagetypeinfo_doc_blocks(doc, &key, &blocks));
	assert_int_equal(blocks, 1);
	key.type = "CMA";
	assert_null(pagetypeinfo_doc_free(doc, &key, &nr_orders));
	assert_false(pagetypeinfo_doc_blocks(doc, &key, &blocks));
	key.node = 4;
	assert_null(pagetypeinfo_doc_free(doc, &key, &nr_orders));
	text_doc_free(doc);
}

/* A list that was cut gets what the other types leave of all blocks of its order. */
static void test_pagetypeinfo_cut_lists(void **state)
{
	struct snapshot *machine = types_machine();
	struct snapshot *snapshot = types_machine();
	struct snapshot_zone *zone = &snapshot->node[0].zone[ZONE_DMA32];
	struct text_doc *doc = load(&pagetypeinfo_format, types_text);

	(void)state;
	memset(zone->nr_free_type, 0, sizeof(zone->nr_free_type));
	memset(zone->nr_blocks, 0, sizeof(zone->nr_blocks));
	zone->nr_free[0] = 100000;
	zone->nr_free[1] = 100000;
	zone->nr_free[10] = 123456;
	pagetypeinfo_fill_snapshot(doc, snapshot);
	assert_memory_equal(zone->nr_free_type, machine->node[0].zone[ZONE_DMA32].nr_free_type,
			    sizeof(zone->nr_free_type));
	assert_memory_equal(zone->nr_blocks, machine->node[0].zone[ZONE_DMA32].nr_blocks,
			    sizeof(zone->nr_blocks));
	assert_int_equal(zone->nr_reserved_highatomic, 512);
	text_doc_free(doc);
	free(machine);
	free(snapshot);
}

/* A kernel with CMA: columns are what their head says, not what their place is in ours. */
static void test_pagetypeinfo_columns(void **state)
{
	static const char text[] =
		"Number of blocks type     Unmovable          CMA      Isolate      Movable \n"
		"Node 0, zone   Normal           11           22           33           44 \n"
		"Number of mixed blocks    Unmovable      Movable \n"
		"Node 0, zone   Normal          666          777 \n";
	struct snapshot *snapshot = util_snapshot_new(1);
	struct text_doc *doc = load(&pagetypeinfo_format, text);
	const uint64_t *blocks = snapshot->node[0].zone[ZONE_NORMAL].nr_blocks;

	(void)state;
	assert_int_equal(doc->nr_odd + doc->nr_unknown, 0);
	pagetypeinfo_fill_snapshot(doc, snapshot);
	assert_int_equal(blocks[MT_UNMOVABLE], 11);
	assert_int_equal(blocks[MT_CMA], 22);
	assert_int_equal(blocks[MT_ISOLATE], 33);
	assert_int_equal(blocks[MT_MOVABLE], 44);
	assert_int_equal(blocks[MT_HIGHATOMIC], 0);
	text_doc_free(doc);
	free(snapshot);
}

/* ---- nodes ---- */

static const char node_text[] = "Node 0 MemTotal:        2030272 kB\n"
				"Node 0 MemFree:         1990772 kB\n"
				"Node 0 MemUsed:           39500 kB\n"
				"Node 0 SwapCached:            0 kB\n"
				"Node 0 Active:             2156 kB\n"
				"Node 0 Inactive:             56 kB\n"
				"Node 0 Active(anon):          4 kB\n"
				"Node 0 Inactive(anon):       56 kB\n"
				"Node 0 Active(file):       2152 kB\n"
				"Node 0 Inactive(file):        0 kB\n"
				"Node 0 Unevictable:           0 kB\n"
				"Node 0 Mlocked:              12 kB\n"
				"Node 0 Dirty:                 0 kB\n"
				"Node 0 Writeback:             0 kB\n"
				"Node 0 FilePages:             0 kB\n"
				"Node 0 Mapped:                4 kB\n"
				"Node 0 AnonPages:           132 kB\n"
				"Node 0 Shmem:                 0 kB\n"
				"Node 0 KernelStack:         824 kB\n"
				"Node 0 PageTables:           52 kB\n"
				"Node 0 SecPageTables:         0 kB\n"
				"Node 0 NFS_Unstable:          0 kB\n"
				"Node 0 Bounce:                0 kB\n"
				"Node 0 WritebackTmp:          0 kB\n"
				"Node 0 KReclaimable:       8620 kB\n"
				"Node 0 Slab:              12988 kB\n"
				"Node 0 SReclaimable:       8616 kB\n"
				"Node 0 SUnreclaim:         4372 kB\n"
				"Node 0 AnonHugePages:      2048 kB\n"
				"Node 0 ShmemHugePages:        0 kB\n"
				"Node 0 ShmemPmdMapped:        0 kB\n"
				"Node 0 FileHugePages:        0 kB\n"
				"Node 0 FilePmdMapped:        0 kB\n"
				"Node 0 HugePages_Total:    25\n"
				"Node 0 HugePages_Free:      7\n"
				"Node 0 HugePages_Surp:      1\n";

static struct snapshot *node_machine(void)
{
	struct snapshot *snapshot = util_snapshot_new(3);
	struct snapshot_node *node = &snapshot->node[0];

	node->zone[ZONE_DMA].managed = 3840;
	node->zone[ZONE_DMA32].managed = 507568 - 3840;
	node->zone[ZONE_DMA].stat[NR_FREE_PAGES] = 3000;
	node->zone[ZONE_DMA32].stat[NR_FREE_PAGES] = 497693 - 3000;
	node->zone[ZONE_DMA32].stat[NR_MLOCK] = 3;
	node->zone[ZONE_DMA].numa[NUMA_HIT] = 9;
	node->zone[ZONE_DMA32].numa[NUMA_HIT] = 3700;
	node->zone[ZONE_DMA32].numa[NUMA_INTERLEAVE] = 204;
	node->zone[ZONE_DMA32].numa[NUMA_OTHER] = 1191;
	node->zone[ZONE_DMA32].numa[NUMA_LOCAL] = 2518;
	node->stat[NR_ACTIVE_ANON] = 1;
	node->stat[NR_INACTIVE_ANON] = 14;
	node->stat[NR_ACTIVE_FILE] = 538;
	node->stat[NR_MAPPED] = 1;
	node->stat[NR_ANON_PAGES] = 33;
	node->stat[NR_KERNEL_STACK] = 824;
	node->stat[NR_PAGE_TABLE_PAGES] = 13;
	node->stat[NR_SLAB_RECLAIMABLE] = 2154;
	node->stat[NR_SLAB_UNRECLAIMABLE] = 1093;
	node->stat[NR_KERNEL_MISC_RECLAIMABLE] = 1;
	node->stat[NR_ANON_TRANSPARENT_HUGEPAGES] = 512;
	node->huge_total = 25;
	node->huge_free = 7;
	node->huge_surplus = 1;
	for (uint32_t cpu = 0; cpu < 12; cpu++)
		if (cpu != 4 && cpu != 9)
			cpumask_set(&node->cpus, cpu);
	cpumask_set(&node->cpus, 255);
	cpumask_set(&snapshot->node[1].cpus, 4);
	node->distance[2] = 31;
	return snapshot;
}

static void check_text(const struct snapshot *snapshot, const char *name, const char *want)
{
	char *text = write_file(snapshot, name);

	util_assert_text(text, want);
	free(text);
}

static void test_node_files(void **state)
{
	struct snapshot *snapshot = node_machine();
	char *vmstat = write_file(snapshot, "node0/vmstat");

	(void)state;
	check_text(snapshot, "node0/meminfo", node_text);
	check_text(snapshot, "/sys/devices/system/node/node0/numastat",
		   "numa_hit 3709\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 204\n"
		   "local_node 2518\nother_node 1191\n");
	assert_int_equal(strncmp(vmstat, "nr_free_pages 497693\n", 21), 0);
	assert_non_null(strstr(vmstat, "\nnr_mlock 3\n"));
	assert_non_null(strstr(vmstat, "\nnuma_interleave 204\n"));
	assert_non_null(strstr(vmstat, "\nnr_anon_transparent_hugepages 1\n"));
	assert_null(strstr(vmstat, "dirty_threshold"));
	assert_null(strstr(vmstat, "nr_unstable"));
	check_text(snapshot, "node0/cpulist", "0-3,5-8,10-11,255\n");
	check_text(snapshot, "node1/cpulist", "4\n");
	check_text(snapshot, "node2/cpulist", "\n");
	check_text(snapshot, "node0/distance", "10 20 31\n");
	check_text(snapshot, "node2/distance", "20 20 10\n");
	free(vmstat);
	free(snapshot);
}

static void test_node_lookups(void **state)
{
	struct text_doc *doc = load(&nodemem_format, node_text);
	struct snapshot_node node = { .id = 0 };
	uint64_t value = 0;

	(void)state;
	assert_int_equal(doc->nr_odd + doc->nr_unknown, 0);
	assert_true(nodemem_doc_kb(doc, "KReclaimable", &value));
	assert_int_equal(value, 8620);
	assert_true(nodemem_doc_count(doc, "HugePages_Free", &value));
	assert_int_equal(value, 7);
	assert_false(nodemem_doc_count(doc, "MemFree", &value));
	assert_false(nodemem_doc_kb(doc, "MemAvailable", &value));
	text_doc_free(doc);
	doc = load(&nodestat_format, "nr_free_pages 5\nnr_dirty 7\nnr_file_hugepages 2\n");
	assert_true(nodestat_doc_get(doc, "nr_dirty", &value));
	assert_int_equal(value, 7);
	assert_false(nodestat_doc_get(doc, "nr_mapped", &value));
	nodestat_fill_node(doc, &node);
	assert_int_equal(node.stat[NR_DIRTY], 7);
	assert_int_equal(node.stat[NR_FILE_HUGEPAGES], 1024);
	text_doc_free(doc);
}

/* MemUsed is floored: its terms were read at different moments. */
static void test_node_used_floor(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);
	char *text;

	(void)state;
	snapshot->node[0].zone[ZONE_DMA].managed = 5;
	snapshot->node[0].zone[ZONE_DMA].stat[NR_FREE_PAGES] = 6;
	text = write_file(snapshot, "node0/meminfo");
	assert_non_null(strstr(text, "Node 0 MemUsed:               0 kB\n"));
	free(text);
	free(snapshot);
}

static void test_cpulist_limits(void **state)
{
	struct text_doc *doc = load(&topology_cpulist_format, "0-1,4\n");
	struct cpumask cpus;

	(void)state;
	assert_true(topology_cpulist_mask(doc, &cpus));
	assert_int_equal(cpumask_count(&cpus), 3);
	assert_true(cpumask_test(&cpus, 4));
	text_doc_free(doc);
	doc = load(&topology_cpulist_format, "0,256\n");
	assert_false(topology_cpulist_mask(doc, &cpus));
	text_doc_free(doc);
	doc = load(&topology_cpulist_format, "\n");
	assert_true(topology_cpulist_mask(doc, &cpus));
	assert_true(cpumask_empty(&cpus));
	text_doc_free(doc);
}

/* ---- pressure ---- */

static void test_pressure(void **state)
{
	static const char text[] = "some avg10=7.24 avg60=1.30 avg300=0.27 total=1023559\n"
				   "full avg10=100.00 avg60=0.05 avg300=0.00 total=12\n";
	struct text_doc *doc = load(&pressure_format, text);
	struct snapshot *snapshot = util_snapshot_new(1);

	(void)state;
	pressure_fill_snapshot(doc, snapshot);
	assert_int_equal(snapshot->psi_some.average_hundredths[0], 724);
	assert_int_equal(snapshot->psi_full.average_hundredths[0], 10000);
	assert_int_equal(snapshot->psi_full.average_hundredths[1], 5);
	assert_int_equal(snapshot->psi_some.total_us, 1023559);
	check_text(snapshot, "pressure/memory", text);
	check_text(snapshot, "/proc/pressure/memory", text);
	check_text(snapshot, "pressure_memory", text);
	text_doc_free(doc);
	free(snapshot);
}

/* ---- names ---- */

static void test_names(void **state)
{
	static const struct {
		const char *name;
		int error;
	} names[] = {
		{ "/proc/vmstat", 0 },
		{ "proc/meminfo", 0 },
		{ "sysctl_vm.txt", 0 },
		{ "/sys/kernel/debug/extfrag/unusable_index", 0 },
		{ "node1/meminfo", 0 },
		{ "sys/vm/swappiness", 0 },
		{ "/proc/sys/vm/stat_refresh", 0 },
		{ "sys/vm/drop_caches", -EACCES },
		{ "sys/vm/compact_memory", -EACCES },
		{ "node0/compact", -EACCES },
		{ "node3/compact", -ENOENT },
		{ "node3/meminfo", -ENOENT },
		{ "sys/vm/extra_free_kbytes", -ENOENT },
		{ "pressure/cpu", -ENOENT },
		{ "cgroup.memory.pressure", -ENOENT },
	};
	static const char *const absent[] = {
		"",	     "vmstat2",	    "sys/vm/",		"sys/vm/a/b",	 "node/meminfo",
		"node0",     "node0/",	    "node0/uevent",	"nodex/meminfo", "node-1/meminfo",
		"/etc/swap", "proc/proc/x", "pressure/memory/", "/vmstat",
	};
	struct snapshot *snapshot = util_snapshot_new(2);
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	snapshot->nr_sysctls = 1;
	strcpy(snapshot->sysctl[0].name, "swappiness");
	strcpy(snapshot->sysctl[0].value, "60");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (text_file_find(names[i].name) == NULL)
			fail_msg("%s is not found", names[i].name);
		if (text_proc_write(snapshot, names[i].name, &out) != names[i].error)
			fail_msg("%s: another result than %d", names[i].name, names[i].error);
	}
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		if (text_file_find(absent[i]) != NULL)
			fail_msg("%s is found", absent[i]);
		assert_int_equal(text_proc_write(snapshot, absent[i], &out), -ENOENT);
	}
	text_buf_free(&out);
	free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pagetypeinfo_text),
		cmocka_unit_test(test_pagetypeinfo_lookups),
		cmocka_unit_test(test_pagetypeinfo_cut_lists),
		cmocka_unit_test(test_pagetypeinfo_columns),
		cmocka_unit_test(test_node_files),
		cmocka_unit_test(test_node_lookups),
		cmocka_unit_test(test_node_used_floor),
		cmocka_unit_test(test_cpulist_limits),
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
