/*
 * Where the commands that reason about real machines find their files: reports with directories
 * of their own, single files, names of old kernels, zones and page sizes of other machines, and
 * files that are missing, broken, or of several machines at once.
 */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "diag/evidence_part.h"
#include "diag/explain.h"
#include "diag/request.h"

/* ---- trees of files ---- */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static int make_root(void **state)
{
	static char root[64];

	snprintf(root, sizeof(root), "/tmp/evidence-XXXXXX");
	*state = root;
	return mkdtemp(root) != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
	return nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file and the directories above it. */
static void put(const char *root, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct evidence *load(const char *root)
{
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };

	if (evidence_load(root, &evidence, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	return evidence;
}

static struct evidence *paste(const char *text)
{
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };

	if (evidence_from_text("the text", text, strlen(text), &evidence, &err) != 0)
		fail_msg("%s: %s", err.file, err.message);
	return evidence;
}

static void test_what_is_no_file_of_memory_is_refused_by_name(void **state)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n";
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };

	(void)state;
	assert_int_equal(evidence_from_text("/etc/passwd", passwd, strlen(passwd), &evidence, &err),
			 -EINVAL);
	assert_null(evidence);
	assert_string_equal(err.file, "/etc/passwd");
	assert_non_null(strstr(err.message, "zoneinfo"));
}

/* ---- a machine with HighMem: 896 MiB that the kernel can address, and the rest ---- */

#define ZONE(name, free, min, low, high, managed, protection)                                      \
	"Node 0, zone " name "\n"                                                                  \
	"  pages free     " free "\n"                                                              \
	"        min      " min "\n"                                                               \
	"        low      " low "\n"                                                               \
	"        high     " high "\n"                                                              \
	"        spanned  " managed "\n"                                                           \
	"        present  " managed "\n"                                                           \
	"        managed  " managed "\n"                                                           \
	"        protection: (" protection ")\n"                                                   \
	"  pagesets\n"                                                                             \
	"    cpu: 0\n"                                                                             \
	"              count: 0\n"                                                                 \
	"              high:  186\n"                                                               \
	"              batch: 31\n"                                                                \
	"  vm stats threshold: 8\n"                                                                \
	"  start_pfn:           1\n"

static const char highmem_zoneinfo[] =
	ZONE("     DMA", "40", "34", "42", "51", "3994", "0, 850, 2999, 2999")		 /* */
	ZONE("  Normal", "1500", "1868", "2335", "2802", "217728", "0, 0, 17192, 17192") /* */
	ZONE(" HighMem", "300000", "128", "600", "1072", "550144", "0, 0, 0, 0");

static const char meminfo_text[] = "MemTotal:        3087464 kB\n"
				   "MemFree:         1206160 kB\n"
				   "Buffers:           10000 kB\n"
				   "Cached:           500000 kB\n";

static enum request_verdict ask(const struct evidence *evidence, uint32_t gfp, struct request *out)
{
	struct text_error err = { .line = 0 };
	struct state *state = NULL;

	assert_int_equal(state_new(evidence, &state, &err), 0);
	request_run(state, gfp, 0, 0, out);
	state_free(state);
	return out->verdict;
}

/* Free memory that a kernel allocation cannot use does not help it. */
static void test_highmem(void **state)
{
	static struct request request;
	struct evidence *evidence = paste(highmem_zoneinfo);

	(void)state;
	assert_true(evidence->snapshot->has_highmem);
	assert_int_equal(ask(evidence, GFP_HIGHUSER_MOVABLE, &request), REQUEST_FAST);
	assert_int_not_equal(ask(evidence, GFP_KERNEL, &request), REQUEST_FAST);
	assert_true(request.went_slow);
	assert_int_equal(request.slow.nr, 2);
	evidence_free(evidence);
}

/* ---- directories ---- */

/* A report unpacked into a directory of its own, settings as a list of `sysctl -a`. */
static void test_report(void **state)
{
	const char *root = *state;
	int64_t value = 0;

	put(root, "sosreport-board-2024/proc/zoneinfo", highmem_zoneinfo);
	put(root, "sosreport-board-2024/proc/meminfo", meminfo_text);
	put(root, "sosreport-board-2024/proc/version",
	    "Linux version 4.19.0-27-686-pae (gcc version 8.3.0) #1 SMP\n");
	put(root, "sosreport-board-2024/sos_commands/kernel/sysctl_-a",
	    "kernel.pid_max = 32768\nvm.min_free_kbytes = 8121\nvm.swappiness = 60\n");
	struct evidence *evidence = load(root);

	assert_true(evidence_has(evidence, EVIDENCE_ZONEINFO));
	assert_true(evidence_has(evidence, EVIDENCE_MEMINFO));
	assert_int_equal(evidence->source[EVIDENCE_VMSTAT].state, EVIDENCE_MISSING);
	assert_string_equal(evidence->kernel.said, "4.19.0-27-686-pae");
	assert_true(evidence_setting(evidence, "min_free_kbytes", &value));
	assert_int_equal(value, 8121);
	assert_false(evidence_setting(evidence, "watermark_scale_factor", &value));
	assert_true(strstr(evidence->where, "sosreport-board-2024") != NULL);
	assert_false(evidence->live);
	evidence_free(evidence);
}

/* Which of two machines is meant cannot be guessed. */
static void test_several_machines(void **state)
{
	const char *root = *state;
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };

	put(root, "worker-0/proc/meminfo", meminfo_text);
	put(root, "worker-1/proc/meminfo", meminfo_text);
	assert_int_equal(evidence_load(root, &evidence, &err), -EEXIST);
	assert_null(evidence);
	assert_non_null(strstr(err.message, "worker-0"));
	assert_non_null(strstr(err.message, "worker-1"));
}

static void test_nothing_there(void **state)
{
	const char *root = *state;
	struct evidence *evidence = NULL;
	struct text_error err = { .line = 0 };

	put(root, "notes/readme.txt", "nothing of memory\n");
	assert_int_equal(evidence_load(root, &evidence, &err), -ENOENT);
	assert_null(evidence);
	assert_non_null(strstr(err.message, "zoneinfo"));
}

/* One broken file does not take the others with it, and is named. */
static void test_broken_file(void **state)
{
	const char *root = *state;
	struct evidence *evidence;

	put(root, "proc_meminfo.txt", meminfo_text);
	put(root, "proc_zoneinfo.txt", "cat: /proc/zoneinfo: Input/output error\n");
	evidence = load(root);
	assert_int_equal(evidence->source[EVIDENCE_ZONEINFO].state, EVIDENCE_BROKEN);
	assert_true(strlen(evidence->source[EVIDENCE_ZONEINFO].problem) > 10);
	assert_true(evidence_has(evidence, EVIDENCE_MEMINFO));
	evidence_free(evidence);
}

/* ---- other machines ---- */

/* arm64 with pages of 64 KiB: only the two files together tell. */
static void test_page_size(void **state)
{
	static const char lru_kb[] = "MemTotal:       33000000 kB\n"
				     "MemFree:         1920000 kB\n"
				     "Active(anon):     640000 kB\n"
				     "Inactive(anon):   640000 kB\n"
				     "Active(file):     640000 kB\n"
				     "Inactive(file):   640000 kB\n";
	static const char lru_pages[] = "Node 0, zone   Normal\n"
					"  per-node stats\n"
					"      nr_inactive_anon 10000\n"
					"      nr_active_anon 10010\n"
					"      nr_inactive_file 9990\n"
					"      nr_active_file 10000\n"
					"  pages free     30000\n"
					"        min      704\n"
					"        low      1221\n"
					"        high     1738\n"
					"        spanned  524288\n"
					"        present  524288\n"
					"        managed  517000\n"
					"        protection: (0, 0)\n";
	char both[2048];

	(void)state;
	struct evidence *evidence = paste(lru_pages);
	assert_int_equal(snapshot_page_kb(evidence->snapshot), 4);
	evidence_free(evidence);
	snprintf(both, sizeof(both), "%s%s", lru_pages, lru_kb);
	evidence = paste(both);
	assert_int_equal(snapshot_page_kb(evidence->snapshot), 64);
	evidence_free(evidence);
}

/* Counters by kernel: 4.9 has one allocstall, 4.10 one a zone, and both mean the same. */
static void test_counter_names(void **state)
{
	struct evidence *old = paste("nr_free_pages 1000\nallocstall 12\n"
				     "pgscan_direct_dma 1\npgscan_direct_normal 30\n"
				     "pgscan_direct_throttle 7\n");
	struct evidence *later = paste("nr_free_pages 1000\nallocstall_dma 1\n"
				       "allocstall_normal 5\nallocstall_movable 6\n"
				       "pgscan_direct 31\npgscan_direct_throttle 7\n");
	uint64_t value = 0;

	(void)state;
	assert_true(evidence_counter(old->vmstat, COUNTER_ALLOCSTALL, &value));
	assert_int_equal(value, 12);
	assert_true(evidence_counter(later->vmstat, COUNTER_ALLOCSTALL, &value));
	assert_int_equal(value, 12);
	assert_true(evidence_counter(old->vmstat, COUNTER_SCAN_DIRECT, &value));
	assert_int_equal(value, 31);
	assert_true(evidence_counter(later->vmstat, COUNTER_SCAN_DIRECT, &value));
	assert_int_equal(value, 31);
	assert_false(evidence_counter(later->vmstat, COUNTER_PAGEOUTRUN, &value));
	assert_int_equal(old->kernel.most, 410);
	assert_int_equal(later->kernel.least, 410);
	evidence_free(old);
	evidence_free(later);
}

/* ---- memory groups ---- */

static void test_group_files(void **state)
{
	struct evidence_group group = { .known = false };

	(void)state;
	assert_true(evidence_group_file("memory.current", "534773760\n", &group));
	assert_true(evidence_group_file("memory.max", "536870912\n", &group));
	assert_true(evidence_group_file("memory.high", "max\n", &group));
	assert_true(evidence_group_file("memory.events",
					"low 0\nhigh 0\nmax 5213\noom 3\noom_kill 2\n", &group));
	assert_true(group.known);
	assert_int_equal(group.current_bytes, 534773760);
	assert_int_equal(group.max_bytes, 536870912);
	assert_true(group.high_bytes == EVIDENCE_NO_LIMIT);
	assert_int_equal(group.nr_max, 5213);
	assert_int_equal(group.nr_oom_kill, 2);
	assert_false(evidence_group_file("memory.max", "lots\n", &group));
	assert_false(evidence_group_file("memory.numa_stat", "anon N0=1\n", &group));
}

/* ---- two readings ---- */

/* Readings of two machines have no growth between them. */
static void test_two_machines_as_readings(void **state)
{
	struct evidence *before = paste("MemTotal: 8000000 kB\nMemFree: 100 kB\n"
					"nr_free_pages 1000\nallocstall_normal 5\n");
	struct evidence *after = paste("MemTotal: 9000000 kB\nMemFree: 100 kB\n"
				       "nr_free_pages 1000\nallocstall_normal 4\n");
	struct explain *explain = NULL;
	struct text_error err = { .line = 0 };

	(void)state;
	/* A counter that fell: the machine was booted in between, or is another. */
	assert_int_equal(explain_new(before, after, NULL, &explain, &err), 0);
	assert_int_not_equal(explain->direct, DIRECT_BETWEEN);
	assert_int_equal(explain->nr_findings, 0);
	explain_free(explain);
	evidence_free(before);
	evidence_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_file_of_memory_is_refused_by_name),
		cmocka_unit_test(test_highmem),
		cmocka_unit_test_setup_teardown(test_report, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_several_machines, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_nothing_there, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_broken_file, make_root, remove_root),
		cmocka_unit_test(test_page_size),
		cmocka_unit_test(test_counter_names),
		cmocka_unit_test(test_group_files),
		cmocka_unit_test(test_two_machines_as_readings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
