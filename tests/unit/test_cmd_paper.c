/*
 * Machines on paper (cmd/paper.c): files of booted machines come out again byte for byte although
 * every mark and limit in them is computed, and a built machine prints the same marks as the
 * engine's.
 */
#include "test_text_util.h"

#include <errno.h>
#include <ftw.h>
#include <unistd.h>

#include <neap/neap.h>

#include "api_fixture.h"
#include "cmd/cmd.h"
#include "cmd/paper.h"

#define STEPS_MIN 100

static char root[] = "/tmp/paper-machines-XXXXXX";
static unsigned nr_steps;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int unpack(void **state)
{
	char command[1024];

	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	snprintf(command, sizeof(command),
		 "xz -dc '%s/tests/golden/text/samples.tar.xz' | tar -xf - -C '%s' static",
		 util_source_dir(), root);
	return system(command);
}

static int clean(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct paper *paper_new(void)
{
	struct paper *paper = calloc(1, sizeof(*paper));

	assert_non_null(paper);
	return paper;
}

static void paper_end(struct paper *paper)
{
	paper_free(paper);
	free(paper);
}

/* ---- saved machines ---- */

/* How far the computed number may be from the saved one: counts move while a file is read. */
static void check_near(uint64_t computed, uint64_t saved, uint64_t slack, const char *what)
{
	if (computed > saved + slack || saved > computed + slack)
		fail_msg("%s: computed %llu, saved %llu", what, (unsigned long long)computed,
			 (unsigned long long)saved);
}

static void check_step(const char *dir)
{
	struct paper *paper = paper_new();
	struct text_buf saved, written;
	struct snapshot before;
	char path[1024];

	text_buf_init(&saved);
	text_buf_init(&written);
	assert_int_equal(paper_load(paper, dir), CMD_FINE);
	memcpy(&before, paper->snapshot, sizeof(before));
	/* What is not computed would stay wrong. */
	for (uint32_t n = 0; n < paper->snapshot->nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			paper->snapshot->node[n].zone[i].min = 12345;
	assert_int_equal(paper_finish(paper), CMD_FINE);
	snprintf(path, sizeof(path), "%s/zoneinfo", dir);
	assert_int_equal(text_buf_read_file(&saved, path, MIB), 0);
	assert_int_equal(text_proc_write(paper->snapshot, "zoneinfo", &written), 0);
	if (strcmp(text_buf_text(&saved), text_buf_text(&written)) != 0)
		fail_msg("%s: zoneinfo is another one", dir);
	if (before.dirty_threshold != 0) /* a step without vmstat has none */
		check_near(paper->snapshot->dirty_threshold, before.dirty_threshold, 64, dir);
	check_near(paper->snapshot->commit_limit_pages, before.commit_limit_pages, 0, dir);
	check_near(paper->snapshot->available_pages, before.available_pages, 1024, dir);
	text_buf_free(&saved);
	text_buf_free(&written);
	paper_end(paper);
	nr_steps++;
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	char dir[512];

	(void)status;
	/* The first boot's marks are stale; the other dumps' are those of their settings. */
	if (type != FTW_F || strcmp(path + walk->base, "zoneinfo") != 0 ||
	    strstr(path, "/00-boot/") != NULL)
		return 0;
	snprintf(dir, sizeof(dir), "%.*s", walk->base - 1, path);
	check_step(dir);
	return 0;
}

static void test_saved_machines(void **state)
{
	(void)state;
	assert_int_equal(nftw(root, visit, 16, FTW_PHYS), 0);
	printf("%u dumps: zoneinfo computed and equal\n", nr_steps);
	assert_true(nr_steps >= STEPS_MIN);
}

static uint64_t low_of(const struct paper *paper, uint32_t type)
{
	return paper->snapshot->node[0].zone[type].low;
}

/* From one recorded state to another by a write. */
static void test_set(void **state)
{
	struct paper *paper = paper_new();
	char dir[512];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/static/m512-n1-c2/00-boot", root);
	assert_int_equal(paper_load(paper, dir), CMD_FINE);
	assert_int_equal(paper_set(paper, "min_free_kbytes=1024"), CMD_FINE);
	assert_int_equal(paper_set(paper, "swappiness=7"), CMD_FINE);
	assert_int_equal(paper_set(paper, "swappiness=201"), CMD_USAGE);
	assert_int_equal(paper_set(paper, "nonsense"), CMD_USAGE);
	assert_int_equal(paper_finish(paper), CMD_FINE);
	assert_int_equal(low_of(paper, ZONE_DMA), 8 + 3);
	assert_int_equal(low_of(paper, ZONE_DMA32), 247 + 116);
	struct text_buf out;

	text_buf_init(&out);
	assert_int_equal(text_proc_write(paper->snapshot, "sys/vm/swappiness", &out), 0);
	assert_string_equal(text_buf_text(&out), "7\n");
	text_buf_free(&out);
	paper_end(paper);
}

static void test_no_machine(void **state)
{
	struct paper *paper = paper_new();

	(void)state;
	assert_int_equal(paper_load(paper, "/nonexistent"), CMD_USAGE);
	paper_end(paper);
}

/* ---- built machines ---- */

struct question {
	struct neap_machine *machine;
	char *text;
};

static int ask(void *arg)
{
	struct question *question = arg;

	return neap_proc_text(question->machine, "zoneinfo", &question->text) > 0 ? 0 : -1;
}

/* Keeps the lines that settings and sizes decide. */
static void keep_static(char *text)
{
	static const char *const words[] = { "min ",	 "low ",     "high ",	    "spanned ",
					     "present ", "managed ", "protection:", "high:",
					     "batch:",	 "cpu:",     "vm stats",    "start_pfn" };
	char *to = text;

	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		const char *word = line + strspn(line, " ");

		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			size_t bytes = strlen(line);

			if (strncmp(word, words[i], strlen(words[i])) != 0)
				continue;
			memmove(to, line, bytes);
			to += bytes;
			*to++ = '\n';
			break;
		}
	}
	*to = '\0';
}

static void check_built(const struct api_setting *settings)
{
	struct question question = { .machine = api_machine_new("sim", settings) };
	struct neap_config *config = neap_config_new();
	struct paper *paper = paper_new();
	struct text_buf written;

	text_buf_init(&written);
	api_run(question.machine, ask, &question);
	api_machine_end(question.machine);
	for (const struct api_setting *setting = settings; setting->name != NULL; setting++)
		assert_int_equal(neap_config_set(config, setting->name, setting->value), 0);
	assert_int_equal(paper_build(paper, config), CMD_FINE);
	assert_int_equal(paper_finish(paper), CMD_FINE);
	assert_int_equal(text_proc_write(paper->snapshot, "zoneinfo", &written), 0);
	keep_static(question.text);
	keep_static(written.at);
	assert_string_equal(written.at, question.text);
	free(question.text);
	text_buf_free(&written);
	neap_config_free(config);
	paper_end(paper);
}

static void test_built_machines(void **state)
{
	const struct api_setting one[] = { { "memory", "64M" }, { NULL, NULL } };
	const struct api_setting two[] = {
		{ "memory", "1G" }, { "nodes", "2" }, { "cpus", "4" }, { NULL, NULL }
	};
	const struct api_setting three[] = {
		{ "memory", "100M" }, { "nodes", "3" }, { "cpus", "7" }, { NULL, NULL }
	};
	const struct api_setting pc[] = { { "machine", "nodes=2G+1G cpus=2" }, { NULL, NULL } };
	const struct api_setting movable[] = {
		{ "machine", "nodes=512M+256M cpus=2 append=movablecore=256M" }, { NULL, NULL }
	};

	(void)state;
	check_built(one);
	check_built(two);
	check_built(three);
	check_built(pc);
	check_built(movable);
}

/* The free lists of a built machine add up to its memory. */
static void test_free_lists(void **state)
{
	(void)state;
	for (uint32_t mib = 1; mib < 70; mib += 3) {
		struct neap_config *config = neap_config_new();
		struct paper *paper = paper_new();
		char memory[32];
		uint64_t pages = 0;

		snprintf(memory, sizeof(memory), "%uK", mib * 1024 + 12);
		assert_int_equal(neap_config_set(config, "memory", memory), 0);
		assert_int_equal(paper_build(paper, config), CMD_FINE);
		for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++)
			pages += paper->snapshot->node[0].zone[ZONE_NORMAL].nr_free[order] << order;
		assert_int_equal(pages, mib * 256 + 3);
		neap_config_free(config);
		paper_end(paper);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_saved_machines), cmocka_unit_test(test_set),
		cmocka_unit_test(test_no_machine),     cmocka_unit_test(test_built_machines),
		cmocka_unit_test(test_free_lists),
	};

	return cmocka_run_group_tests(tests, unpack, clean);
}
