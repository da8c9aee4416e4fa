/*
 * Settings of /proc/sys/vm, and the directories that a snapshot is loaded from: where each
 * file may be, which of two places wins, and what is said when something is missing.
 */
#include "test_text_util.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text/load.h"
#include "text/machine_json.h"
#include "text/sysctls.h"
#include "text_corpus.h"

/* ---- values ---- */

static struct text_doc *load_all(const char *text)
{
	struct text_input in = { text, strlen(text), "sysctl_vm.txt" };
	struct text_doc *doc = NULL;
	struct text_error err;

	if (text_doc_load(&sysctls_format, &in, &doc, &err) != 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.message);
	return doc;
}

static void test_values(void **state)
{
	static const char text[] = "swappiness = 60\n"
				   "lowmem_reserve_ratio = 256\t256\t32\t0\t0\n"
				   "defrag_mode = 0\n"
				   "vm.dirty_ratio  =  20\n"
				   "what is this\n"
				   "numa_zonelist_order = Node\n"
				   "laptop_mode = -3\n";
	struct text_doc *doc = load_all(text);
	struct snapshot *snapshot = util_snapshot_new(1);
	struct text_buf out;
	int64_t number = 0;

	(void)state;
	assert_int_equal(doc->nr_unknown, 2);
	assert_int_equal(doc->nr_odd, 1);
	assert_int_equal(sysctls_fill_snapshot(doc, snapshot, NULL), 0);
	assert_int_equal(snapshot->nr_sysctls, 6);
	assert_string_equal(sysctls_snapshot_get(snapshot, "numa_zonelist_order"), "Node");
	assert_true(sysctls_snapshot_number(snapshot, "lowmem_reserve_ratio", 2, &number));
	assert_int_equal(number, 32);
	assert_false(sysctls_snapshot_number(snapshot, "lowmem_reserve_ratio", 5, &number));
	assert_true(sysctls_snapshot_number(snapshot, "laptop_mode", 0, &number));
	assert_int_equal(number, -3);
	assert_false(sysctls_snapshot_number(snapshot, "numa_zonelist_order", 0, &number));
	assert_false(sysctls_snapshot_number(snapshot, "page-cluster", 0, &number));
	/* Written ascending by name, in the one form. */
	text_buf_init(&out);
	assert_int_equal(text_proc_write(snapshot, "sysctl_vm.txt", &out), 0);
	util_assert_text(out.at, "defrag_mode = 0\ndirty_ratio = 20\nlaptop_mode = -3\n"
				 "lowmem_reserve_ratio = 256\t256\t32\t0\t0\n"
				 "numa_zonelist_order = Node\nswappiness = 60\n");
	text_buf_reset(&out);
	assert_int_equal(text_proc_write(snapshot, "sys/vm/lowmem_reserve_ratio", &out), 0);
	assert_string_equal(out.at, "256\t256\t32\t0\t0\n");
	assert_int_equal(sysctls_snapshot_set(snapshot, "swappiness", "10"), 0);
	text_buf_reset(&out);
	assert_int_equal(text_proc_write(snapshot, "sys/vm/swappiness", &out), 0);
	assert_string_equal(out.at, "10\n");
	assert_int_equal(snapshot->nr_sysctls, 6);
	text_buf_free(&out);
	text_doc_free(doc);
	free(snapshot);
}

/* More than a snapshot holds is an error that says so, and never a cut value. */
static void test_too_much(void **state)
{
	struct snapshot *snapshot = util_snapshot_new(1);
	struct text_error err;
	struct text_buf text;
	char name[64];

	(void)state;
	text_buf_init(&text);
	for (uint32_t i = 0; i < SNAPSHOT_MAX_SYSCTLS; i++) {
		snprintf(name, sizeof(name), "name%u", i);
		assert_int_equal(sysctls_snapshot_set(snapshot, name, "1"), 0);
	}
	assert_int_equal(sysctls_snapshot_set(snapshot, "name7", "2"), 0);
	assert_int_equal(sysctls_snapshot_set(snapshot, "another", "2"), -E2BIG);
	memset(name, 'n', 50);
	name[50] = '\0';
	assert_int_equal(sysctls_snapshot_set(snapshot, name, "2"), -E2BIG);
	text_buf_puts(&text, "swappiness = ");
	text_buf_fill(&text, '6', 64);
	text_buf_puts(&text, "\n");
	struct text_doc *doc = load_all(text.at);
	assert_int_equal(sysctls_fill_snapshot(doc, snapshot, &err), -E2BIG);
	assert_non_null(strstr(err.message, "swappiness"));
	assert_int_equal(err.line, 1);
	text_doc_free(doc);
	text_buf_free(&text);
	free(snapshot);
}

static void test_known_names(void **state)
{
	static const char *const known[] = { "min_free_kbytes", "page-cluster", "mmap_min_addr",
					     "stat_refresh", "memory_failure_recovery" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		assert_true(sysctls_is_known(known[i]));
	assert_false(sysctls_is_known("defrag_mode"));
	assert_false(sysctls_is_known(""));
	assert_true(sysctls_is_write_only("compact_memory"));
	assert_false(sysctls_is_write_only("stat_refresh"));
}

/* ---- machine.json ---- */

static void test_machine_json(void **state)
{
	static const char text[] =
		"{ \"name\": \"a \\\"nodes\\\": [\", \"other\": [[{\"cpus\": \"9\"}]],\n"
		" \"nodes\": [ {\"mem\": \"2G\", \"cpus\": \"0-1\", \"x\": "
		"{\"cpus\": \"7\"}},\n{\"cpus\": null}, {\"cpus\":\"2\"} ],"
		"\"dist\": \"0-1:15,1-2:30\", \"cpus\": \"4\"}\n";
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"nodes\": []}",
		"nodes",
		"{\"nodes\": [{\"cpus\": \"0\"}]",
		"{\"nodes",
		"{\"nodes\": [{}]}}",
		"{\"nodes\": [[\"cpus\": \"0\"]]}",
		"{\"a\\",
		"{\"nodes\": {\"cpus\": \"0\"}}",
	};
	struct machine_json json;
	struct snapshot *snapshot = util_snapshot_new(3);
	struct cpumask cpus[NEAP_MAX_NODES];

	(void)state;
	assert_true(machine_json_scan(text, &json));
	assert_int_equal(json.nr_nodes, 3);
	assert_string_equal(json.node[0].cpus, "0-1");
	assert_false(json.node[1].has_cpus);
	for (uint32_t cpu = 0; cpu < 3; cpu++)
		cpumask_set(&snapshot->online, cpu);
	assert_true(machine_json_cpus(&json, snapshot, cpus));
	/* Nodes without CPUs get the last numbers: the file's second node is node 2. */
	assert_true(cpumask_empty(&cpus[2]) && cpumask_test(&cpus[1], 2));
	assert_true(machine_json_distances(&json, snapshot));
	assert_int_equal(snapshot->node[2].distance[1], 30);
	assert_int_equal(snapshot->node[2].distance[0], 15);
	assert_int_equal(snapshot->node[1].distance[0], 20);
	/* A CPU of no node: the file describes another machine. */
	cpumask_set(&snapshot->online, 3);
	assert_false(machine_json_cpus(&json, snapshot, cpus));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (machine_json_scan(bad[i], &json))
			fail_msg("taken: %s", bad[i]);
	free(snapshot);
}

/* Linux numbers nodes in the order of their lowest CPUs, whatever their place in the file. */
static void test_nodes_numbered_by_their_cpus(void **state)
{
	static const char text[] =
		"{\"nodes\": [{\"cpus\": null}, {\"cpus\": \"2-3\"}, {\"cpus\": \"0-1\"}, "
		"{\"cpus\": null}], \"dist\": \"0-1:12,2-3:14\"}";
	struct machine_json json;
	struct snapshot *snapshot = util_snapshot_new(4);
	struct cpumask cpus[NEAP_MAX_NODES];

	(void)state;
	assert_true(machine_json_scan(text, &json));
	for (uint32_t cpu = 0; cpu < 4; cpu++)
		cpumask_set(&snapshot->online, cpu);
	assert_true(machine_json_cpus(&json, snapshot, cpus));
	assert_true(cpumask_test(&cpus[0], 0) && cpumask_test(&cpus[0], 1));
	assert_true(cpumask_test(&cpus[1], 2) && cpumask_test(&cpus[1], 3));
	assert_true(cpumask_empty(&cpus[2]) && cpumask_empty(&cpus[3]));
	assert_true(machine_json_distances(&json, snapshot));
	assert_int_equal(snapshot->node[2].distance[1], 12);
	assert_int_equal(snapshot->node[0].distance[3], 14);
	free(snapshot);
}

/* ---- directories ---- */

#define EMPTY_ZONE(node, zone)                                                                     \
	"Node " node ", zone " zone "\n  pages free     0\n        present  0\n"                   \
	"        protection: (0, 0)\n"
#define FULL_ZONE(node, zone)                                                                      \
	"Node " node ", zone " zone                                                                \
	"\n  per-node stats\n      nr_dirty     0\n  pages free     9\n"                           \
	"        present  9\n        managed  9\n        protection: (0, 0)\n  pagesets\n"         \
	"    cpu: 0\n              count: 1\n    cpu: 1\n              count: 1\n"                 \
	"    cpu: 2\n              count: 1\n  start_pfn:           1\n"

static const char zones[] = FULL_ZONE("0", "     DMA") EMPTY_ZONE("1", "     DMA");

static char root[] = "/tmp/text-settings-XXXXXX";

/* Writes ROOT/PATH, making the directories before it. */
static void put(const char *path, const char *text)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(full, 0777) != 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void drop(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s/%s", root, path);
	assert_int_equal(unlink(full), 0);
}

/* Loads ROOT/DIR, which must be possible. *warnings gets what was said. */
static struct snapshot *load_dir(const char *dir, struct text_error *warnings)
{
	char full[512];
	struct snapshot *snapshot = NULL;

	snprintf(full, sizeof(full), "%s/%s", root, dir);
	if (snapshot_load_dir(full, &snapshot, warnings) != 0)
		fail_msg("%s: %s:%u: %s", dir, warnings->file, warnings->line, warnings->message);
	return snapshot;
}

static void expect_cpus(const char *dir, uint32_t cpu, uint32_t node, const char *warning)
{
	struct text_error said;
	struct snapshot *snapshot = load_dir(dir, &said);

	if (!cpumask_test(&snapshot->node[node].cpus, cpu))
		fail_msg("%s: CPU %u is not of node %u", dir, cpu, node);
	assert_false(cpumask_test(&snapshot->node[1 - node].cpus, cpu));
	if ((strstr(said.message, warning) == NULL))
		fail_msg("\"%s\" does not say \"%s\"", said.message, warning);
	if (warning[0] == '\0')
		assert_null(strstr(said.message, "evenly"));
	free(snapshot);
}

/* Each source of CPUs, from the last resort to the first choice. */
static void test_cpu_sources(void **state)
{
	(void)state;
	put("m/10-step/zoneinfo", zones);
	expect_cpus("m/10-step", 2, 1, "split evenly");
	put("m/00-boot/node0/cpulist", "0-2\n");
	put("m/00-boot/node1/cpulist", "\n");
	expect_cpus("m/10-step", 2, 0, "");
	put("m/machine.json", "{\"nodes\": [{\"cpus\": \"0\"}, {\"cpus\": \"1-2\"}]}");
	expect_cpus("m/10-step", 1, 1, "");
	/* Three nodes: another machine's. The boot's lists are used. */
	put("m/machine.json",
	    "{\"nodes\": [{\"cpus\": \"0\"}, {\"cpus\": \"1\"}, {\"cpus\": \"2\"}]}");
	expect_cpus("m/10-step", 1, 0, "");
	put("m/machine.json", "{\"nodes\":");
	expect_cpus("m/10-step", 1, 0, "machine.json describes no nodes");
	put("m/10-step/machine.json", "{\"nodes\": [{\"cpus\": \"0,2\"}, {\"cpus\": \"1\"}]}");
	expect_cpus("m/10-step", 2, 0, "");
	put("m/10-step/sys/devices/system/node/node0/cpulist", "0-1\n");
	put("m/10-step/sys/devices/system/node/node1/cpulist", "2-255\n");
	expect_cpus("m/10-step", 2, 1, "");
	put("m/10-step/node0/cpulist", "1\n");
	/* Only one of the nodes has a list here: the next place is used for both. */
	expect_cpus("m/10-step", 1, 0, "");
	put("m/10-step/node1/cpulist", "0,2\n");
	expect_cpus("m/10-step", 0, 1, "");
}

static void expect_error(const char *dir, int error, const char *words)
{
	char full[512];
	struct snapshot *snapshot = NULL;
	struct text_error err;

	snprintf(full, sizeof(full), "%s/%s", root, dir);
	assert_int_equal(snapshot_load_dir(full, &snapshot, &err), error);
	assert_null(snapshot);
	if (strstr(err.message, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

/* A file that is there and cannot be understood is an error that names it. */
static void test_bad_files(void **state)
{
	static const struct {
		const char *path, *text;
		int error;
		const char *words;
	} files[] = {
		{ "b/node0/cpulist", "all\n", -EINVAL, "another file" },
		{ "b/node1/cpulist", "256\n", -EINVAL, "above 255" },
		{ "b/node0/distance", "10\n", -EINVAL, "one distance for each of 2" },
		{ "b/node0/meminfo", "MemFree: 1 kB\n", -EINVAL, "nodeN/meminfo" },
		{ "b/node1/vmstat", "a b c\n", -EINVAL, "nodeN/vmstat" },
		{ "b/sysctl_vm.txt", "swappiness 60\n", -EINVAL, "sysctl_vm.txt" },
		{ "b/pagetypeinfo", "Page block order: 9", -EINVAL, "cut off" },
		{ "b/pressure_memory", "some\n", -EINVAL, "pressure" },
		{ "b/proc/sys/vm/swappiness",
		  "1111111111111111111111111111111111111111111111111111111111111111\n", -EINVAL,
		  "too long" },
	};

	(void)state;
	put("b/zoneinfo", zones);
	put("b/node0/cpulist", "0-2\n");
	put("b/node1/cpulist", "\n");
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		put(files[i].path, files[i].text);
		expect_error("b", files[i].error, files[i].words);
		drop(files[i].path);
		put("b/node0/cpulist", "0-2\n");
		put("b/node1/cpulist", "\n");
	}
}

/* The three layouts of settings, and those of the boot. */
static void test_setting_sources(void **state)
{
	struct text_error said;
	struct snapshot *snapshot;

	(void)state;
	put("s/10/zoneinfo", zones);
	snapshot = load_dir("s/10", &said);
	assert_int_equal(snapshot->nr_sysctls, 0);
	assert_non_null(strstr(said.message, "settings are unknown"));
	assert_int_equal(snapshot->thp, SNAPSHOT_THP_UNKNOWN);
	free(snapshot);
	put("s/boot/sysctl_vm.txt", "swappiness = 1\n");
	put("s/boot/thp_enabled", "always madvise [never]\n");
	snapshot = load_dir("s/10", &said);
	assert_string_equal(sysctls_snapshot_get(snapshot, "swappiness"), "1");
	assert_non_null(strstr(said.message, "settings are those of the boot"));
	assert_int_equal(snapshot->thp, SNAPSHOT_THP_NEVER);
	free(snapshot);
	put("s/10/proc/sys/vm/swappiness", "2\n");
	put("s/10/proc/sys/vm/lowmem_reserve_ratio", "256\t256\t32\t0\t0\n");
	put("s/10/proc/sys/vm/drop_caches", "3\n");
	put("s/10/proc/sys/vm/stat_refresh", "");
	put("s/10/sys_kernel_mm.txt",
	    "/sys/kernel/mm/transparent_hugepage/defrag:[always] never\n"
	    "/sys/kernel/mm/transparent_hugepage/enabled:always [madvise]\n");
	snapshot = load_dir("s/10", &said);
	assert_string_equal(sysctls_snapshot_get(snapshot, "swappiness"), "2");
	assert_string_equal(sysctls_snapshot_get(snapshot, "lowmem_reserve_ratio"),
			    "256\t256\t32\t0\t0");
	assert_int_equal(snapshot->nr_sysctls, 2);
	assert_null(strstr(said.message, "settings"));
	assert_int_equal(snapshot->thp, SNAPSHOT_THP_MADVISE);
	free(snapshot);
	put("s/10/sysctl_vm.txt", "swappiness = 3\n");
	put("s/10/thp_enabled", "[always] madvise never\n");
	snapshot = load_dir("s/10", &said);
	assert_string_equal(sysctls_snapshot_get(snapshot, "swappiness"), "3");
	assert_int_equal(snapshot->nr_sysctls, 1);
	assert_int_equal(snapshot->thp, SNAPSHOT_THP_ALWAYS);
	free(snapshot);
}

/* What only a node's own files say. */
static void test_node_sources(void **state)
{
	struct text_error said;
	struct snapshot *snapshot;

	(void)state;
	put("n/zoneinfo", zones);
	put("n/node0/meminfo", "Node 0 MemFree: 36 kB\nNode 0 HugePages_Total:    25\n"
			       "Node 0 HugePages_Free:      7\nNode 0 HugePages_Surp:      1\n");
	put("n/node0/vmstat", "nr_dirty 77\n");
	put("n/node1/vmstat", "nr_dirty 78\n");
	put("n/pressure/memory", "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n");
	put("n/machine.json", "{\"nodes\": [{\"cpus\": \"0-2\"}, {\"cpus\": null}],"
			      " \"dist\": \"0-1:17\"}");
	snapshot = load_dir("n", &said);
	assert_int_equal(snapshot->node[0].huge_total, 25);
	assert_int_equal(snapshot->node[0].huge_free, 7);
	assert_int_equal(snapshot->node[0].huge_surplus, 1);
	/* zoneinfo has the items of nodes with memory; the other node's are here only. */
	assert_int_equal(snapshot->node[0].stat[NR_DIRTY], 0);
	assert_int_equal(snapshot->node[1].stat[NR_DIRTY], 78);
	assert_int_equal(snapshot->node[1].distance[0], 17);
	assert_int_equal(snapshot->psi_some.total_us, 5);
	free(snapshot);
	put("n/node0/distance", "10 99\n");
	put("n/node1/distance", "98 10\n");
	snapshot = load_dir("n", &said);
	assert_int_equal(snapshot->node[0].distance[1], 99);
	assert_int_equal(snapshot->node[1].distance[0], 98);
	free(snapshot);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)state;
	corpus_remove(root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_known_names),
		cmocka_unit_test(test_machine_json),
		cmocka_unit_test(test_nodes_numbered_by_their_cpus),
		cmocka_unit_test(test_cpu_sources),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_setting_sources),
		cmocka_unit_test(test_node_sources),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
