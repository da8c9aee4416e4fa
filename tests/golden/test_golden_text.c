/*
 * Every text file of the golden corpus: printed back byte for byte, and through a snapshot;
 * and the files of the machine that the test runs on, whatever kernel it has.
 *
 * The corpus is not part of the repository. It is looked for in $NEAP_GOLDEN_DIR, then as a
 * directory "golden" in the checkout, beside it, or one level below what is beside it.
 */
#include "test_text_util.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <unistd.h>

#include "text/load.h"
#include "text_corpus.h"

#define ARCHIVES_MIN 30

static char corpus_dir[1024];
static unsigned nr_archives;
static struct corpus totals = { .is_61 = true };

static bool is_corpus(const char *dir)
{
	char path[1200];

	snprintf(path, sizeof(path), "%s/static/zones.tsv", dir);
	return access(path, R_OK) == 0;
}

/* The corpus; an empty string if there is none. */
static void find_corpus(void)
{
	static const char *const patterns[] = { "%s/golden", "%s/../golden", "%s/../*/golden" };
	const char *named = getenv("NEAP_GOLDEN_DIR");

	if (named != NULL && is_corpus(named))
		snprintf(corpus_dir, sizeof(corpus_dir), "%s", named);
	for (size_t i = 0; i < ARRAY_LEN(patterns) && corpus_dir[0] == '\0'; i++) {
		char pattern[1024];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s", util_source_dir());
		snprintf(pattern + strlen(pattern), sizeof(pattern) - strlen(pattern), "%s",
			 patterns[i] + 2);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t at = 0; at < found.gl_pathc && corpus_dir[0] == '\0'; at++)
			if (is_corpus(found.gl_pathv[at]))
				snprintf(corpus_dir, sizeof(corpus_dir), "%s", found.gl_pathv[at]);
		globfree(&found);
	}
}

/* Unpacks an archive beside a copy of what the machine's directory says, and checks it. */
static void check_archive(const char *path, const char *machine_dir)
{
	char root[] = "/tmp/golden-text-XXXXXX";
	char command[4200];

	assert_non_null(mkdtemp(root));
	/* Job and machine names stay in the path: what is compared depends on the kernel. */
	snprintf(command, sizeof(command),
		 "mkdir -p '%s/%s/steps' && cp '%s/machine.json' '%s/%s/'", root,
		 strrchr(machine_dir, '/') + 1, machine_dir, root, strrchr(machine_dir, '/') + 1);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "%s/%s/steps", root, strrchr(machine_dir, '/') + 1);
	assert_int_equal(corpus_unpack(path, command), 0);
	corpus_check(&totals, root);
	corpus_remove(root);
	nr_archives++;
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	size_t length = strlen(path);
	char dir[1024];

	(void)status;
	if (type != FTW_F || length < 7 || strcmp(path + length - 7, ".tar.xz") != 0)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", walk->base - 1, path);
	check_archive(path, dir);
	return 0;
}

static void check_part(const char *part)
{
	char dir[1200];

	if (corpus_dir[0] == '\0') {
		print_message("the golden corpus is not here; set NEAP_GOLDEN_DIR to check it\n");
		skip();
	}
	snprintf(dir, sizeof(dir), "%s/%s", corpus_dir, part);
	corpus_check(&totals, dir);
	assert_int_equal(nftw(dir, visit, 16, FTW_PHYS), 0);
}

static void test_static(void **state)
{
	(void)state;
	check_part("static");
	corpus_print(&totals);
	assert_true(nr_archives >= ARCHIVES_MIN);
}

static void test_dynamic(void **state)
{
	(void)state;
	check_part("dynamic");
	corpus_print(&totals);
}

static void test_hotplug(void **state)
{
	(void)state;
	check_part("hotplug");
}

static void test_reports(void **state)
{
	(void)state;
	check_part("reports");
	corpus_print(&totals);
}

/* ---- this machine ---- */

/* Prints a file of this machine back. => whether it could be read */
static bool check_live(const char *path, uint32_t *nr_unknown)
{
	const struct text_file *file = text_file_find(path);
	struct text_buf in, out;
	struct text_report report;
	struct text_error err;

	if (file == NULL)
		fail_msg("%s: the name is not known", path);
	text_buf_init(&in);
	text_buf_init(&out);
	int error = text_buf_read_file(&in, path, 64 * MIB);
	if (error == 0) {
		struct text_input input = { text_buf_text(&in), in.bytes, path };

		if (file->reprint(&input, &out, &report, &err) != 0)
			fail_msg("%s:%u: %s", path, err.line, err.message);
		assert_true(text_buf_equals(&out, text_buf_text(&in), in.bytes));
		*nr_unknown += report.nr_unknown;
		if (report.nr_unknown != 0)
			printf("# %s: %u unknown lines: %.300s\n", path, report.nr_unknown,
			       text_buf_text(&report.unknown_names));
		text_report_free(&report);
	}
	text_buf_free(&in);
	text_buf_free(&out);
	return error == 0;
}

static void test_this_machine(void **state)
{
	static const char *const patterns[] = {
		"/proc/vmstat",
		"/proc/zoneinfo",
		"/proc/buddyinfo",
		"/proc/meminfo",
		"/proc/pagetypeinfo",
		"/proc/swaps",
		"/proc/pressure/*",
		"/sys/kernel/debug/extfrag/*",
		"/sys/devices/system/node/node[0-9]*/meminfo",
		"/sys/devices/system/node/node[0-9]*/vmstat",
		"/sys/devices/system/node/node[0-9]*/numastat",
		"/sys/devices/system/node/node[0-9]*/distance",
		"/sys/devices/system/node/node[0-9]*/cpulist",
		"/proc/sys/vm/[a-r]*",
		"/proc/sys/vm/sh*",
		"/proc/sys/vm/stat_i*",
		"/proc/sys/vm/sw*",
		"/proc/sys/vm/[t-z]*",
	};
	unsigned nr_read = 0;
	unsigned nr_unreadable = 0;
	uint32_t nr_unknown = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
		glob_t found;

		if (glob(patterns[i], 0, NULL, &found) != 0)
			continue;
		for (size_t at = 0; at < found.gl_pathc; at++) {
			if (check_live(found.gl_pathv[at], &nr_unknown))
				nr_read++;
			else
				nr_unreadable++;
		}
		globfree(&found);
	}
	printf("# %u files of this machine printed back, %u unknown lines; %u cannot be read\n",
	       nr_read, nr_unknown, nr_unreadable);
	assert_true(nr_read > 0);
}

/* A snapshot of this machine: no error, and a machine that has something. */
static void test_this_snapshot(void **state)
{
	struct snapshot *snapshot = NULL;
	struct text_error err;

	(void)state;
	int error = snapshot_load_dir("/", &snapshot, &err);
	if (error == -ENOENT) {
		print_message("this machine has no /proc/zoneinfo\n");
		skip();
	}
	if (error != 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.message);
	assert_true(snapshot->nr_nodes > 0);
	assert_true(snapshot->total_pages > 0);
	assert_true(snapshot->nr_sysctls > 10);
	free(snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_static),	     cmocka_unit_test(test_dynamic),
		cmocka_unit_test(test_hotplug),	     cmocka_unit_test(test_reports),
		cmocka_unit_test(test_this_machine), cmocka_unit_test(test_this_snapshot),
	};

	find_corpus();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
