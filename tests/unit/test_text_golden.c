/*
 * Saved files of real machines (tests/golden/text): each must be printed back byte
 * for byte, and those of Linux 6.1 must come out the same after the way through a
 * snapshot, too: file -> document -> snapshot -> document -> text.
 */
#include "test_text_util.h"

#include <errno.h>

#include "text/load.h"
#include "text/sysctls.h"
#include "text_corpus.h"

#define DIRS_MIN 200

static char root[] = "/tmp/text-samples-XXXXXX";

static const struct {
	const char *name;
	uint32_t files_min;
} types[] = {
	{ "vmstat", 130 },	    { "zoneinfo", 220 },      { "buddyinfo", 220 },
	{ "meminfo", 220 },	    { "swaps", 130 },	      { "pagetypeinfo", 130 },
	{ "pressure_memory", 130 }, { "extfrag_index", 130 }, { "unusable_index", 130 },
	{ "sysctl_vm.txt", 150 },   { "nodeN meminfo", 90 },  { "nodeN vmstat", 90 },
	{ "nodeN numastat", 90 },   { "nodeN cpulist", 120 }, { "nodeN distance", 120 },
};

/* Every file of 6.1 and every snapshot of its machines. */
static void test_linux_61(void **state)
{
	static const char *const parts[] = { "static", "dynamic", "hotplug" };
	struct corpus corpus = { .is_61 = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		char dir[512];

		snprintf(dir, sizeof(dir), "%s/%s", root, parts[i]);
		corpus_check(&corpus, dir);
	}
	corpus_print(&corpus);
	assert_true(corpus.nr_dirs >= DIRS_MIN);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (corpus_find(&corpus, types[i].name).files < types[i].files_min)
			fail_msg("there are only %u files of type %s",
				 corpus_find(&corpus, types[i].name).files, types[i].name);
	/* Computed from free lists read a moment before; a machine just booted is not quiet. */
	assert_true(corpus_find(&corpus, "extfrag_index").same >= 150);
	assert_true(corpus_find(&corpus, "unusable_index").same >= 90);
}

/* Another kernel: nothing is lost, and what 6.1 lacks is named. */
static void test_linux_618(void **state)
{
	struct corpus corpus = { .is_61 = false };
	char dir[512];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/linux-6.18", root);
	corpus_check(&corpus, dir);
	corpus_print(&corpus);
	assert_true(corpus_find(&corpus, "zoneinfo").unknown > 0);
	assert_true(corpus_find(&corpus, "nodeN vmstat").unknown > 0);
	assert_int_equal(corpus_find(&corpus, "nodeN meminfo").odd, 2);
	assert_int_equal(corpus_find(&corpus, "pagetypeinfo").unknown, 0);
	assert_true(corpus_find(&corpus, "sys/vm").files > 40);
	assert_int_equal(corpus_find(&corpus, "pressure/cpu").files, 1);
}

static struct snapshot *load(const char *below, struct text_error *err)
{
	char dir[512];
	struct snapshot *snapshot = NULL;

	snprintf(dir, sizeof(dir), "%s/%s", root, below);
	if (snapshot_load_dir(dir, &snapshot, err) != 0)
		fail_msg("%s: %s: %s", dir, err->file, err->message);
	return snapshot;
}

/* Two equal nodes: CPUs, distances, zones and totals come from the right files. */
static void test_topology(void **state)
{
	struct text_error err;
	struct snapshot *snapshot = load("static/m7g-n4-uneven/00-boot", &err);

	(void)state;
	assert_string_equal(err.message, "");
	assert_int_equal(snapshot->nr_nodes, 4);
	assert_int_equal(snapshot->node[0].distance[1], 15);
	assert_int_equal(snapshot->node[3].distance[0], 30);
	assert_int_equal(snapshot->node[2].distance[3], 12);
	free(snapshot);
	snapshot = load("static/m3g-n2-cpuless/00-boot", &err);
	assert_int_equal(snapshot->nr_nodes, 2);
	assert_int_equal(cpumask_count(&snapshot->online),
			 cpumask_count(&snapshot->node[0].cpus) +
				 cpumask_count(&snapshot->node[1].cpus));
	assert_true(cpumask_empty(&snapshot->node[1].cpus));
	free(snapshot);
	snapshot = load("static/m2g-n2-memless/00-boot", &err);
	assert_true(snapshot->node[0].has_memory);
	assert_false(snapshot->node[1].has_memory);
	free(snapshot);
}

/* Each directory's settings are its own; a job's label without any has those of its boot. */
static void test_settings(void **state)
{
	struct text_error err;
	struct snapshot *snapshot = load("static/m4g-n2-c4/steps/10-min_free_kbytes-1024", &err);
	int64_t value = 0;

	(void)state;
	assert_true(sysctls_snapshot_number(snapshot, "min_free_kbytes", 0, &value));
	assert_int_equal(value, 1024);
	free(snapshot);
	snapshot = load("static/m4g-n2-c4/00-boot", &err);
	assert_true(sysctls_snapshot_number(snapshot, "min_free_kbytes", 0, &value));
	assert_int_equal(value, 90112);
	assert_int_equal(snapshot->thp, SNAPSHOT_THP_ALWAYS);
	assert_int_equal(snapshot->node[1].zone[ZONE_NORMAL].nr_free_type[MT_MOVABLE][10], 240);
	assert_int_equal(snapshot->node[0].zone[ZONE_DMA].nr_blocks[MT_MOVABLE], 7);
	free(snapshot);
	snapshot = load("static/m2g-huge64/00-boot", &err);
	assert_true(snapshot->huge_total > 0);
	assert_true(snapshot->node[0].huge_total == snapshot->huge_total);
	free(snapshot);
	snapshot = load("dynamic/numa-local/touched", &err);
	assert_non_null(strstr(err.message, "settings are those of the boot"));
	assert_int_equal(snapshot->thp, SNAPSHOT_THP_NEVER);
	free(snapshot);
}

/* The worked example of spec 01: sizes and protection of a machine of 512 MiB. */
static void test_known_numbers(void **state)
{
	struct text_error err;
	struct snapshot *snapshot = load("static/m512-n1-c2/00-boot", &err);
	const struct snapshot_zone *dma = &snapshot->node[0].zone[ZONE_DMA];
	const struct snapshot_zone *dma32 = &snapshot->node[0].zone[ZONE_DMA32];

	(void)state;
	assert_int_equal(dma->managed, 3840);
	assert_int_equal(dma->protection[ZONE_DMA32], 444);
	assert_int_equal(dma->protection[ZONE_DEVICE], 444);
	assert_int_equal(dma32->managed, 116411);
	assert_int_equal(dma32->pageset[1].high, 414);
	assert_int_equal(snapshot->total_pages, 120251);
	assert_int_equal(snapshot->event[EV_PGPGIN], 32);
	/* DMA: 444 + 32; DMA32: its high mark. */
	assert_int_equal(snapshot->reserve_pages, 476 + 993);
	assert_int_equal(snapshot->available_pages * 4, 451388);
	free(snapshot);
}

/* A saved step without vmstat, swaps and cpulists: used, with a warning. */
static void test_missing_files(void **state)
{
	struct text_error err;
	struct snapshot *snapshot = NULL;
	char dir[512];

	(void)state;
	snapshot = load("static/m4g-n2-c4/steps/10-min_free_kbytes-1024", &err);
	assert_non_null(strstr(err.message, "no vmstat"));
	assert_non_null(strstr(err.message, "no swaps"));
	/* machine.json, two levels above, has the CPUs. */
	assert_null(strstr(err.message, "split evenly"));
	assert_int_equal(cpumask_count(&snapshot->node[0].cpus), 2);
	assert_int_equal(cpumask_count(&snapshot->node[1].cpus), 2);
	assert_true(cpumask_test(&snapshot->node[1].cpus, 2));
	free(snapshot);
	/* Its boot directory has the cpulists that this one lacks. */
	snapshot = load("dynamic/numa-local/touched", &err);
	assert_null(strstr(err.message, "split evenly"));
	assert_true(cpumask_test(&snapshot->node[0].cpus, 0));
	free(snapshot);
	snprintf(dir, sizeof(dir), "%s/static", root);
	assert_int_equal(snapshot_load_dir(dir, &snapshot, &err), -ENOENT);
	assert_non_null(strstr(err.message, "zoneinfo"));
	assert_null(snapshot);
}

static int unpack(void **state)
{
	char archive[1024];

	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(archive, sizeof(archive), "%s/tests/golden/text/samples.tar.xz",
		 util_source_dir());
	return corpus_unpack(archive, root);
}

static int clean_up(void **state)
{
	(void)state;
	corpus_remove(root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linux_61),      cmocka_unit_test(test_linux_618),
		cmocka_unit_test(test_topology),      cmocka_unit_test(test_settings),
		cmocka_unit_test(test_known_numbers), cmocka_unit_test(test_missing_files),
	};

	return cmocka_run_group_tests(tests, unpack, clean_up);
}
