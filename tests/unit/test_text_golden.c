/*
 * Saved files of real machines (tests/golden/text): each must be printed back byte
 * for byte, and those of Linux 6.1 must come out the same after the way through a
 * snapshot, too: file -> document -> snapshot -> document -> text.
 */
#include "test_text_util.h"

#include <errno.h>
#include <ftw.h>
#include <unistd.h>

#include "text/load.h"

#define FILES_MIN 500
#define DIRS_MIN 100

static char root[] = "/tmp/text-samples-XXXXXX";
static unsigned nr_files, nr_dirs;

static bool is_61(const char *path)
{
	return strstr(path, "linux-6.18") == NULL;
}

/* Debian's generic build of 6.1 has lines that the reference kernel lacks. */
static bool is_generic(const char *path)
{
	return strstr(path, "/zswap-") != NULL || strstr(path, "/zram-") != NULL;
}

static void check_file(const char *path, const char *name)
{
	const struct text_file *file = text_file_find(name);
	struct text_error err;
	struct text_report report;
	struct text_buf in, out;

	if (file == NULL)
		return;
	text_buf_init(&in);
	text_buf_init(&out);
	assert_int_equal(text_buf_read_file(&in, path, 64 * MIB), 0);
	struct text_input input = { text_buf_text(&in), in.bytes, path };
	if (file->reprint(&input, &out, &report, &err) != 0)
		fail_msg("%s: %s", path, err.message);
	util_assert_text(text_buf_text(&out), text_buf_text(&in));
	assert_true(text_buf_equals(&out, in.at, in.bytes));
	if (is_61(path) && (report.nr_odd != 0 || report.nr_unknown != 0))
		fail_msg("%s: %u odd, %u unknown lines (%s)", path, report.nr_odd,
			 report.nr_unknown, text_buf_text(&report.unknown_names));
	if (!is_61(path) && strcmp(name, "zoneinfo") == 0)
		assert_non_null(strstr(text_buf_text(&report.unknown_names), "promo"));
	text_report_free(&report);
	text_buf_free(&in);
	text_buf_free(&out);
	nr_files++;
}

static int visit_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	if (type == FTW_F)
		check_file(path, path + walk->base);
	return 0;
}

/* The snapshot's text must be the file's, if the directory has the file. */
static void check_snapshot_file(const char *dir, const char *name, const struct snapshot *snapshot)
{
	char path[1024];
	struct text_buf saved, written;

	text_buf_init(&saved);
	text_buf_init(&written);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text_buf_read_file(&saved, path, MIB) == 0) {
		assert_int_equal(text_proc_write(snapshot, name, &written), 0);
		util_assert_text(text_buf_text(&written), text_buf_text(&saved));
	}
	text_buf_free(&saved);
	text_buf_free(&written);
}

/* meminfo alone: without a vmstat its own counters are used, so it must come out the same. */
static void check_meminfo(const char *dir)
{
	char path[1024];
	struct text_buf zones, mem;
	struct text_error err;
	struct snapshot_docs docs = { .zoneinfo = NULL };
	struct zoneinfo_doc *zoneinfo = NULL;
	struct meminfo_doc *meminfo = NULL;
	struct snapshot *snapshot = NULL;

	text_buf_init(&zones);
	text_buf_init(&mem);
	snprintf(path, sizeof(path), "%s/zoneinfo", dir);
	assert_int_equal(text_buf_read_file(&zones, path, MIB), 0);
	snprintf(path, sizeof(path), "%s/meminfo", dir);
	assert_int_equal(text_buf_read_file(&mem, path, MIB), 0);
	assert_int_equal(zoneinfo_parse(zones.at, zones.bytes, "zoneinfo", &zoneinfo, &err), 0);
	assert_int_equal(meminfo_parse(mem.at, mem.bytes, "meminfo", &meminfo, &err), 0);
	docs.zoneinfo = zoneinfo;
	docs.meminfo = meminfo;
	assert_int_equal(snapshot_from_docs(&docs, &snapshot, &err), 0);
	check_snapshot_file(dir, "meminfo", snapshot);
	free(snapshot);
	zoneinfo_free(zoneinfo);
	meminfo_free(meminfo);
	text_buf_free(&zones);
	text_buf_free(&mem);
}

static int visit_dir(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	static const char *const names[] = { "zoneinfo", "vmstat", "buddyinfo", "swaps" };
	struct text_error err;
	struct snapshot *snapshot = NULL;
	char dir[512];

	(void)status;
	if (type != FTW_F || strcmp(path + walk->base, "zoneinfo") != 0 || is_generic(path) ||
	    !is_61(path))
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", walk->base - 1, path);
	if (snapshot_load_dir(dir, &snapshot, &err) != 0)
		fail_msg("%s: %s: %s", dir, err.file, err.message);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		check_snapshot_file(dir, names[i], snapshot);
	free(snapshot);
	check_meminfo(dir);
	nr_dirs++;
	return 0;
}

static void test_printed_back(void **state)
{
	(void)state;
	assert_int_equal(nftw(root, visit_file, 16, FTW_PHYS), 0);
	assert_true(nr_files >= FILES_MIN);
}

static void test_through_snapshot(void **state)
{
	(void)state;
	assert_int_equal(nftw(root, visit_dir, 16, FTW_PHYS), 0);
	assert_true(nr_dirs >= DIRS_MIN);
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
	assert_non_null(strstr(err.message, "split evenly"));
	assert_int_equal(cpumask_count(&snapshot->node[0].cpus), 2);
	assert_int_equal(cpumask_count(&snapshot->node[1].cpus), 2);
	assert_true(cpumask_test(&snapshot->node[1].cpus, 2));
	free(snapshot);
	/* Its boot directory has the cpulists that this one lacks. */
	snapshot = load("dynamic/numa-local/touched", &err);
	assert_string_equal(err.message, "");
	free(snapshot);
	snprintf(dir, sizeof(dir), "%s/static", root);
	assert_int_equal(snapshot_load_dir(dir, &snapshot, &err), -ENOENT);
	assert_non_null(strstr(err.message, "zoneinfo"));
	assert_null(snapshot);
}

static int unpack(void **state)
{
	char command[1024];

	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(command, sizeof(command),
		 "xz -dc '%s/tests/golden/text/samples.tar.xz' | tar -xf - -C '%s'",
		 util_source_dir(), root);
	return system(command);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int clean_up(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printed_back),  cmocka_unit_test(test_through_snapshot),
		cmocka_unit_test(test_topology),      cmocka_unit_test(test_known_numbers),
		cmocka_unit_test(test_missing_files),
	};

	return cmocka_run_group_tests(tests, unpack, clean_up);
}
