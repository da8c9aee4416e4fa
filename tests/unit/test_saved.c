/*
 * Tests of cmd/saved.c and cmd/batch.c: machines that exist as files, and tables of writes.
 */
#include <errno.h>
#include <unistd.h>

#include "test_text_util.h"
#include "text_corpus.h"

#include "cmd/batch.h"

static char root[] = "/tmp/saved-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

static void check_value(struct saved *saved, const char *path, const char *expect)
{
	struct text_buf text;

	text_buf_init(&text);
	assert_int_equal(saved_read(saved, path, &text), 0);
	assert_string_equal(text_buf_text(&text), expect);
	text_buf_free(&text);
}

/* A machine that was just booted, with 64 MiB in one zone. */
static void test_default(void **state)
{
	struct saved saved;
	struct text_buf text;

	(void)state;
	assert_int_equal(saved_init(&saved, 16384, 2), 0);
	/* isqrt(16 * 65536) = 1024: 256, 320, 384 pages */
	check_value(&saved, "min_free_kbytes", "1024\n");
	check_value(&saved, "admin_reserve_kbytes", "2048\n");
	check_value(&saved, "/sys/kernel/mm/transparent_hugepage/enabled",
		    "always madvise [never]\n");
	text_buf_init(&text);
	saved_marks_add(&saved, &text);
	assert_string_equal(text_buf_text(&text), "N0.Normal:256/320/384 ");
	text_buf_reset(&text);
	assert_int_equal(saved_read(&saved, "/proc/zoneinfo", &text), 0);
	assert_non_null(strstr(text_buf_text(&text), "        low      320\n"));
	assert_int_equal(saved_write(&saved, "watermark_scale_factor", "1000", 4), 4);
	text_buf_reset(&text);
	assert_int_equal(saved_read(&saved, "/proc/zoneinfo", &text), 0);
	assert_non_null(strstr(text_buf_text(&text), "        low      1894\n"));
	assert_int_equal(saved_read(&saved, "/proc/nothing", &text), -ENOENT);
	assert_int_equal(saved_read(&saved, "drop_caches", &text), -EACCES);
	assert_int_equal(saved_write(&saved, "nr_hugepages", "1000", 4), 4);
	check_value(&saved, "nr_hugepages", "32\n"); /* all that there could be */
	assert_int_equal(saved_write(&saved, "nr_hugepages", "3", 1), 1);
	check_value(&saved, "nr_hugepages", "3\n");
	text_buf_free(&text);
	saved_free(&saved);
	/* Huge pages are on from 512 MiB, and raise min_free_kbytes. */
	assert_int_equal(saved_init(&saved, 262144, 2), 0);
	check_value(&saved, "min_free_kbytes", "22528\n");
	check_value(&saved, "/sys/kernel/mm/transparent_hugepage/enabled",
		    "[always] madvise never\n");
	saved_free(&saved);
}

/* Values of other kernels, other forms of files, and what is missing. */
static void test_open(void **state)
{
	static const char zoneinfo[] = "Node 0, zone   Normal\n"
				       "  pages free     200000\n"
				       "        boost    0\n"
				       "        min      5632\n"
				       "        low      7040\n"
				       "        high     8448\n"
				       "        spanned  262144\n"
				       "        present  262144\n"
				       "        managed  262144\n"
				       "        cma      0\n"
				       "        protection: (0, 0, 0, 0, 0)\n"
				       "  pagesets\n"
				       "    cpu: 0\n"
				       "              count: 0\n"
				       "              high:  7040\n"
				       "              batch: 63\n"
				       "  vm stats threshold: 8\n"
				       "  node_unreclaimable:  0\n"
				       "  start_pfn:           4096\n";
	struct text_error err;
	struct saved saved;

	(void)state;
	assert_int_equal(saved_open(&saved, root, &err), -ENOENT);
	write_file("zoneinfo", zoneinfo);
	assert_int_equal(saved_open(&saved, root, &err), 0);
	check_value(&saved, "min_free_kbytes", "22528\n"); /* from the marks */
	assert_int_equal(saved.knobs.user_min_free_kbytes, -1);
	saved_free(&saved);
	write_file("sysctl_vm.txt", "min_free_kbytes = 30000\nswappiness = 10\n"
				    "defrag_mode = 0\nlowmem_reserve_ratio = 256\t32\t0\n");
	write_file("thp_defrag", "always defer defer+madvise madvise [never]\n");
	assert_int_equal(saved_open(&saved, root, &err), 0);
	check_value(&saved, "swappiness", "10\n");
	check_value(&saved, "lowmem_reserve_ratio", "256\t256\t32\t0\t0\n");
	check_value(&saved, "/sys/kernel/mm/transparent_hugepage/defrag",
		    "always defer defer+madvise madvise [never]\n");
	assert_int_equal(saved.knobs.user_min_free_kbytes, 30000);
	assert_string_equal(text_buf_text(&saved.unknown), "defrag_mode, lowmem_reserve_ratio");
	saved_free(&saved);
	write_file("sys_kernel_mm.txt",
		   "/sys/kernel/mm/transparent_hugepage/enabled:always [madvise] never\n"
		   "/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none:100\n"
		   "/sys/kernel/mm/lru_gen/enabled:0x0007\n"
		   "no colon here\n"
		   "/sys/kernel/mm/new:1\n");
	assert_int_equal(saved_open(&saved, root, &err), 0);
	check_value(&saved, "/sys/kernel/mm/lru_gen/enabled", "0x0007\n");
	check_value(&saved, "/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none",
		    "100\n");
	assert_int_equal(saved.knobs.thp_enabled, KNOBS_THP_MADVISE);
	assert_non_null(strstr(text_buf_text(&saved.unknown), "/sys/kernel/mm/new"));
	saved_free(&saved);
}

static int parse(const char *text, struct batch *batch, struct text_error *err)
{
	struct text_input in = { text, strlen(text), "table" };

	return batch_parse(&in, batch, err);
}

static void test_table(void **state)
{
	struct batch batch;
	struct text_error err;

	(void)state;
	assert_int_equal(parse("# comment\n"
			       "path\tbefore\twritten\n"
			       "\n"
			       "swappiness\t60\\n\n"
			       "a\t\\t\\0\\\\x\n"
			       "b\t\n"
			       "c\tbefore\twritten\t1\t0\tafter\t\n"
			       "d\tlast",
			       &batch, &err),
			 0);
	assert_int_equal(batch.nr, 5);
	assert_string_equal(batch.write[0].path, "swappiness");
	assert_memory_equal(batch.write[0].text, "60\n", 3);
	assert_int_equal(batch.write[0].bytes, 3);
	assert_int_equal(batch.write[0].line, 4);
	assert_memory_equal(batch.write[1].text, "\t\0\\x", 4);
	assert_int_equal(batch.write[1].bytes, 4);
	assert_int_equal(batch.write[2].bytes, 0);
	assert_memory_equal(batch.write[3].text, "written", 7);
	assert_int_equal(batch.write[3].bytes, 7);
	assert_memory_equal(batch.write[4].text, "last", 4);
	assert_int_equal(batch.write[4].bytes, 4);
	batch_free(&batch);
	assert_int_equal(parse("", &batch, &err), 0);
	assert_int_equal(batch.nr, 0);
	batch_free(&batch);
}

static void test_bad_tables(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *says;
	} cases[] = {
		{ "swappiness 60\n", 1, "no tab" },
		{ "a\tb\n\tc\n", 2, "path is empty" },
		{ "a\t\\x\n", 1, "backslash" },
		{ "a\tb\\\n", 1, "backslash" },
	};
	struct text_input binary = { "a\tb\nc\0d\te\n", 10, "table" };
	struct batch batch;
	struct text_error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(parse(cases[i].text, &batch, &err), -EINVAL);
		assert_int_equal(err.line, cases[i].line);
		assert_non_null(strstr(err.message, cases[i].says));
	}
	assert_int_equal(batch_parse(&binary, &batch, &err), -EINVAL);
	assert_int_equal(err.line, 2);
}

static void test_lines(void **state)
{
	static const char expect[] =
		"swappiness\t60\\n\t201\\n\t-1\tEINVAL\t60\\n\t\n"
		"/proc/sys/vm/min_free_kbytes\t1024\\n\t 2048 1\\n\t6\t0\t2048\\n\t"
		"N0.Normal:512/640/768 \n"
		"compact_memory\t(unreadable)\t\\0\t1\t0\t(unreadable)\t\n"
		"lowmem_reserve_ratio\t256\\t256\\t32\\t0\\t0\\n\t1 x\t2\t0\t"
		"1\\t256\\t32\\t0\\t0\\n\t\n"
		"nothing\t(unreadable)\t1\t-1\tENOENT\t(unreadable)\t\n"
		"vm.swappiness\t60\\n\t61\\n\t3\t0\t61\\n\t\n"
		"vm/swappiness\t61\\n\t60\\n\t3\t0\t60\\n\t\n";
	struct saved saved;
	struct batch batch;
	struct text_error err;
	struct text_buf out;

	(void)state;
	text_buf_init(&out);
	assert_int_equal(saved_init(&saved, 16384, 2), 0);
	/* The input may be the output: the columns stand where they stood. */
	for (uint32_t pass = 0; pass < 2; pass++) {
		assert_int_equal(parse(expect, &batch, &err), 0);
		text_buf_reset(&out);
		for (uint32_t i = 0; i < batch.nr; i++)
			(void)batch_perform(&saved, &batch.write[i], &out);
		batch_free(&batch);
		if (pass == 0)
			assert_string_equal(text_buf_text(&out), expect);
	}
	assert_null(strstr(text_buf_text(&out), "N0.Normal")); /* no change the second time */
	text_buf_free(&out);
	saved_free(&saved);
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(root) == NULL ? -1 : 0;
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
		cmocka_unit_test(test_default), cmocka_unit_test(test_open),
		cmocka_unit_test(test_table),	cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, set_up, clean_up);
}
