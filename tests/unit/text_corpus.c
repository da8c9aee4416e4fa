/*
 * Saved machines as a test.
 *
 *     tree ──> every file whose name src/text knows ──> print(parse(f)) == f
 *          ──> every directory with a zoneinfo ──> snapshot ──> the same files again
 *
 * The second way compares a file only with the one that the snapshot took its numbers
 * from. extfrag_index and unusable_index are computed from buddyinfo, which Linux read
 * a moment before, so they may differ; how many do not is counted. The same goes for
 * a node's meminfo, vmstat and numastat, which are sums over zoneinfo.
 */
#include "text_corpus.h"

#include "test_text_util.h"

#include <ftw.h>
#include <unistd.h>

#include "text/load.h"
#include "text/sysctls.h"

/* The walk that is going on: nftw() has no argument for its caller. */
static struct corpus *walking;

/* "a/node0/vmstat" => "node0/vmstat"; else what follows the last slash. */
static const char *corpus_name(const char *path, char *name, size_t room)
{
	const char *slash = strrchr(path, '/');
	const char *leaf = slash != NULL ? slash + 1 : path;
	const char *from = leaf;

	for (const char *at = slash; at != NULL && at > path; at--)
		if (at != slash && *at == '/') {
			if (strncmp(at, "/node", 5) == 0 && at[5] >= '0' && at[5] <= '9')
				from = at + 1;
			break;
		}
	if (strstr(path, "/sys/vm/") != NULL)
		from = strstr(path, "/sys/vm/") + 1;
	snprintf(name, room, "%s", from);
	/* Texts of before and after an event have the same form. */
	char *suffix = strrchr(name, '.');
	if (suffix != NULL && (strcmp(suffix, ".before") == 0 || strcmp(suffix, ".after") == 0))
		*suffix = '\0';
	return name;
}

/* The counts of this name's type; all nodes are one type, and all settings. */
static struct corpus_type *type_of(struct corpus *corpus, const char *name)
{
	char type[40];
	uint32_t at = 0;

	if (strncmp(name, "node", 4) == 0 && strchr(name, '/') != NULL)
		snprintf(type, sizeof(type), "nodeN %.30s", strchr(name, '/') + 1);
	else if (strncmp(name, "sys/vm/", 7) == 0)
		snprintf(type, sizeof(type), "sys/vm");
	else
		snprintf(type, sizeof(type), "%.39s", name);
	while (at < corpus->nr_types && strcmp(corpus->type[at].name, type) != 0)
		at++;
	assert_true(at < CORPUS_TYPES_MAX);
	if (at == corpus->nr_types) {
		memcpy(corpus->type[at].name, type, sizeof(type));
		corpus->nr_types++;
	}
	return &corpus->type[at];
}

static void check_file(struct corpus *corpus, const char *path)
{
	char name[256];
	const struct text_file *file = text_file_find(corpus_name(path, name, sizeof(name)));
	struct text_error err;
	struct text_report report;
	struct text_buf in, out;

	/* pressure/cpu in a directory that is named so. */
	if (file == NULL && strstr(path, "/pressure/") != NULL) {
		snprintf(name, sizeof(name), "pressure/%.200s", strrchr(path, '/') + 1);
		file = text_file_find(name);
	}
	if (file == NULL) {
		corpus->nr_not_ours++;
		return;
	}
	text_buf_init(&in);
	text_buf_init(&out);
	if (text_buf_read_file(&in, path, 64 * MIB) != 0)
		fail_msg("%s: cannot be read", path);
	struct text_input input = { text_buf_text(&in), in.bytes, path };
	if (file->reprint(&input, &out, &report, &err) != 0)
		fail_msg("%s:%u: %s", path, err.line, err.message);
	util_assert_text(text_buf_text(&out), text_buf_text(&in));
	assert_true(text_buf_equals(&out, text_buf_text(&in), in.bytes));
	if (corpus->is_61 && (report.nr_odd != 0 || report.nr_unknown != 0))
		fail_msg("%s: %u odd, %u unknown lines (%s)", path, report.nr_odd,
			 report.nr_unknown, text_buf_text(&report.unknown_names));
	struct corpus_type *type = type_of(corpus, name);
	type->files++;
	type->odd += report.nr_odd;
	type->unknown += report.nr_unknown;
	text_report_free(&report);
	text_buf_free(&in);
	text_buf_free(&out);
}

/* Compares a file of a directory with what its snapshot prints. */
static void compare(struct corpus *corpus, const char *dir, const char *name,
		    const struct snapshot *snapshot)
{
	char path[1400];
	struct text_buf saved, written;

	text_buf_init(&saved);
	text_buf_init(&written);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (text_buf_read_file(&saved, path, MIB) == 0) {
		struct corpus_type *type = type_of(corpus, name);

		assert_int_equal(text_proc_write(snapshot, name, &written), 0);
		if (text_buf_equals(&written, text_buf_text(&saved), saved.bytes))
			type->same++;
		else
			type->other++;
	}
	text_buf_free(&saved);
	text_buf_free(&written);
}

/* The same, and a difference is a failure. */
static void compare_same(struct corpus *corpus, const char *dir, const char *name,
			 const struct snapshot *snapshot)
{
	char path[1400];
	struct text_buf saved, written;
	uint32_t other = type_of(corpus, name)->other;

	compare(corpus, dir, name, snapshot);
	if (type_of(corpus, name)->other == other)
		return;
	text_buf_init(&saved);
	text_buf_init(&written);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(text_buf_read_file(&saved, path, MIB), 0);
	assert_int_equal(text_proc_write(snapshot, name, &written), 0);
	print_message("%s\n", path);
	util_assert_text(text_buf_text(&written), text_buf_text(&saved));
	fail_msg("%s: does not survive the snapshot", path);
}

/* Each value of a sysctl_vm.txt as a file of its own. */
static void check_settings(struct corpus *corpus, const struct snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->nr_sysctls; i++) {
		char name[80];
		struct text_buf want, got;

		text_buf_init(&want);
		text_buf_init(&got);
		snprintf(name, sizeof(name), "sys/vm/%s", snapshot->sysctl[i].name);
		text_buf_printf(&want, "%s\n", snapshot->sysctl[i].value);
		assert_int_equal(text_proc_write(snapshot, name, &got), 0);
		util_assert_text(text_buf_text(&got), text_buf_text(&want));
		struct text_input input = { want.at, want.bytes, name };
		struct text_report report;
		struct text_error err;
		text_buf_reset(&got);
		assert_int_equal(text_file_find(name)->reprint(&input, &got, &report, &err), 0);
		util_assert_text(text_buf_text(&got), text_buf_text(&want));
		assert_int_equal(report.nr_odd + report.nr_unknown, 0);
		text_report_free(&report);
		text_buf_free(&want);
		text_buf_free(&got);
		corpus->nr_settings++;
	}
}

/* Debian's generic build of 6.1 has lines that the reference kernel lacks. */
static bool is_generic(const char *path)
{
	return strstr(path, "/zswap-") != NULL || strstr(path, "/zram-") != NULL;
}

static void check_nodes(struct corpus *corpus, const char *dir, const struct snapshot *snapshot)
{
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		static const char *const sums[] = { "meminfo", "vmstat", "numastat" };
		static const char *const same[] = { "cpulist", "distance" };
		char name[80];

		for (size_t i = 0; i < ARRAY_LEN(same); i++) {
			snprintf(name, sizeof(name), "node%u/%s", snapshot->node[n].id, same[i]);
			compare_same(corpus, dir, name, snapshot);
		}
		for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
			snprintf(name, sizeof(name), "node%u/%s", snapshot->node[n].id, sums[i]);
			compare(corpus, dir, name, snapshot);
		}
	}
}

/* meminfo alone: without a vmstat its own counters are used, so it must come out the same. */
static void check_meminfo(struct corpus *corpus, const char *dir)
{
	char path[1400];
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
	compare_same(corpus, dir, "meminfo", snapshot);
	free(snapshot);
	zoneinfo_free(zoneinfo);
	meminfo_free(meminfo);
	text_buf_free(&zones);
	text_buf_free(&mem);
}

static void check_dir(struct corpus *corpus, const char *dir)
{
	static const char *const same[] = { "zoneinfo", "buddyinfo",	   "pagetypeinfo",
					    "swaps",	"pressure_memory", "sysctl_vm.txt",
					    "vmstat" };
	static const char *const computed[] = { "extfrag_index", "unusable_index" };
	struct text_error err;
	struct snapshot *snapshot = NULL;

	if (snapshot_load_dir(dir, &snapshot, &err) != 0)
		fail_msg("%s: %s: %s", dir, err.file, err.message);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (strcmp(same[i], "vmstat") != 0 || !is_generic(dir))
			compare_same(corpus, dir, same[i], snapshot);
	if (!is_generic(dir))
		check_meminfo(corpus, dir);
	for (size_t i = 0; i < ARRAY_LEN(computed); i++)
		compare(corpus, dir, computed[i], snapshot);
	check_nodes(corpus, dir, snapshot);
	check_settings(corpus, snapshot);
	corpus->nr_dirs++;
	free(snapshot);
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	char dir[1024];

	(void)status;
	if (type != FTW_F)
		return 0;
	check_file(walking, path);
	if (strcmp(path + walk->base, "zoneinfo") != 0 || !walking->is_61)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", walk->base - 1, path);
	check_dir(walking, dir);
	return 0;
}

void corpus_check(struct corpus *corpus, const char *root)
{
	walking = corpus;
	assert_int_equal(nftw(root, visit, 16, FTW_PHYS), 0);
	walking = NULL;
}

struct corpus_type corpus_find(const struct corpus *corpus, const char *name)
{
	for (uint32_t i = 0; i < corpus->nr_types; i++)
		if (strcmp(corpus->type[i].name, name) == 0)
			return corpus->type[i];
	return (struct corpus_type){ .files = 0 };
}

void corpus_print(const struct corpus *corpus)
{
	uint32_t files = 0;

	for (uint32_t i = 0; i < corpus->nr_types; i++) {
		const struct corpus_type *type = &corpus->type[i];

		files += type->files;
		printf("# %-22s %6u files, %u odd and %u unknown lines", type->name, type->files,
		       type->odd, type->unknown);
		if (type->same + type->other != 0)
			printf(", %u of %u equal after the snapshot", type->same,
			       type->same + type->other);
		printf("\n");
	}
	printf("# %u files, %u snapshots, %u settings; %u files are of no type of ours\n", files,
	       corpus->nr_dirs, corpus->nr_settings, corpus->nr_not_ours);
}

int corpus_unpack(const char *archive, const char *dir)
{
	char command[2200];

	snprintf(command, sizeof(command), "xz -dc '%s' | tar -xf - -C '%s'", archive, dir);
	return system(command);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)walk;
	if (type == FTW_D || type == FTW_DNR)
		(void)chmod(path, 0700); /* archives hold directories without the right to write */
	return 0;
}

static int remove_two(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void corpus_remove(const char *dir)
{
	(void)nftw(dir, remove_one, 16, FTW_PHYS);
	assert_int_equal(nftw(dir, remove_two, 16, FTW_DEPTH | FTW_PHYS), 0);
}
