/*
 * Files that are not as 6.1 writes them: other kernels, lost blanks, damage,
 * hostile sizes, and memory that runs out at every request in turn.
 */
#include "test_text_util.h"

#include <errno.h>

#include "text/buddyinfo.h"
#include "text/load.h"
#include "text/mem.h"
#include "text/sysctls.h"

/* How many requests for memory succeed before all fail; negative: all succeed. */
static int allowed = -1;

/* Replaces the weak definition in mem.c. */
void *text_mem_resize(void *old, size_t bytes)
{
	if (allowed == 0)
		return NULL;
	if (allowed > 0)
		allowed--;
	return realloc(old, bytes);
}

/* The text in a block of exactly its size, so that the sanitizer sees any read beyond it. */
static char *exact_copy(const char *text, size_t bytes)
{
	char *copy = malloc(bytes != 0 ? bytes : 1);

	assert_non_null(copy);
	memcpy(copy, text, bytes);
	return copy;
}

/* Prints a file back. => the result; on success the output equals the input */
static int print_back(const char *name, const char *text, size_t bytes, struct text_report *report,
		      struct text_error *err)
{
	struct text_buf out;
	char *copy = exact_copy(text, bytes);
	struct text_input in = { copy, bytes, "saved/file" };

	text_buf_init(&out);
	int error = text_file_find(name)->reprint(&in, &out, report, err);
	if (error == 0)
		assert_true(text_buf_equals(&out, text, bytes));
	else
		assert_int_equal(out.bytes, 0);
	text_buf_free(&out);
	free(copy);
	return error;
}

/* A file that must be taken, with this many unknown and odd lines. */
static void accept(const char *name, const char *text, uint32_t unknown, uint32_t odd,
		   const char *names)
{
	struct text_report report;
	struct text_error err;

	if (print_back(name, text, strlen(text), &report, &err) != 0)
		fail_msg("%s: %s", name, err.message);
	assert_int_equal(report.nr_unknown, unknown);
	assert_int_equal(report.nr_odd, odd);
	assert_string_equal(text_buf_text(&report.unknown_names), names);
	text_report_free(&report);
}

static void refuse(const char *name, const char *text, size_t bytes, int error, const char *words)
{
	struct text_error err;

	assert_int_equal(print_back(name, text, bytes, NULL, &err), error);
	assert_string_equal(err.file, "saved/file");
	if (strstr(err.message, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

#define SWAPS_HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static const char zones_618[] = "Node 0, zone      DMA\n"
				"  per-node stats\n"
				"      nr_inactive_anon 2193\n"
				"      nr_hugetlb   0\n"
				"  pages free     3840\n"
				"        boost    0\n"
				"        min      62\n"
				"        low      77\n"
				"        high     92\n"
				"        promo    107\n"
				"        spanned  4095\n"
				"        present  3998\n"
				"        managed  3840\n"
				"        cma      0\n"
				"        protection: (0, 3019, 4043, 4043, 4043)\n"
				"      nr_free_pages 3840\n"
				"      nr_free_pages_blocks 3584\n"
				"  pagesets\n"
				"    cpu: 0\n"
				"              count:    17\n"
				"              high:     38\n"
				"              batch:    1\n"
				"              high_min: 38\n"
				"              high_max: 240\n"
				"  vm stats threshold: 4\n"
				"  node_unreclaimable:  0\n"
				"  start_pfn:           1\n";

static void test_other_kernels(void **state)
{
	(void)state;
	accept("zoneinfo", zones_618, 5, 3,
	       "nr_hugetlb, promo, nr_free_pages_blocks, high_min, high_max");
	accept("vmstat", "nr_free_pages 1\nnr_iommu_pages 0\nthp_underused_split_page 7\n", 2, 0,
	       "nr_iommu_pages, thp_underused_split_page");
	accept("vmstat", "nr_free_pages 1\nzswpin 5\ncma_alloc_fail 0\n", 0, 0, "");
	/* The TAB of 6.1's release candidates; a line of memory failure handling. */
	accept("meminfo",
	       "SecPageTables:\t       0 kB\nHardwareCorrupted:     0 kB\n"
	       "Balloon:               0 kB\n",
	       1, 1, "Balloon");
	/* 5.8: single tabs. */
	accept("swaps",
	       "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"
	       "/dev/vdb                                partition\t262140\t0\t-2\n",
	       0, 2, "");
	/* Another number of orders. */
	accept("buddyinfo", "Node 0, zone      DMA      1      2 \n", 1, 0, "DMA");
	accept("buddyinfo",
	       "Node 0, zone    DMA32      1      2      0      2      3      5     10     11"
	       "      3      3    102 \n"
	       "Node 0, zone  HighMem      1      2      0      2      3      5     10     11"
	       "      3      3    102 \n",
	       1, 0, "HighMem");
}

#define PTI_FREE_HEAD                                                                              \
	"Free pages count per migrate type at order       0      1      2      3      4      5 "   \
	"     6      7      8      9     10 \n"
#define PTI_COUNTS                                                                                 \
	"      1      0      0      0      0      0      0      0      0      0      3 \n"

/* The same for the files of types and nodes, of settings and of pressure. */
static void test_other_kernels_more(void **state)
{
	(void)state;
	/* A list too long to be counted; types of a kernel with CMA; HighMem of a 32-bit one. */
	accept("pagetypeinfo",
	       "Page block order: 9\nPages per block:  512\n\n" PTI_FREE_HEAD
	       "Node    0, zone   Normal, type      Movable >100000      0      0      0      0 "
	       "     0      0      0      0      0      3 \n"
	       "Node    0, zone   Normal, type          CMA" PTI_COUNTS
	       "Node    0, zone  HighMem, type      Isolate" PTI_COUNTS
	       "\nNumber of blocks type     Unmovable      Movable  Reclaimable   HighAtomic"
	       "          CMA      Isolate \n"
	       "Node 0, zone  HighMem            1            7            0            0"
	       "            0            0 \n",
	       2, 0, "HighMem");
	/* Before lists were cut; a type that was given up; page owner tracking. */
	accept("pagetypeinfo",
	       "Node    0, zone   Normal, type      Movable 123456      0      0      0      0 "
	       "     0      0      0      0      0      3 \n"
	       "Node    0, zone   Normal, type      Reserve" PTI_COUNTS
	       "Number of mixed blocks    Unmovable      Movable  Reclaimable   HighAtomic"
	       "      Isolate \n"
	       "Node 0, zone   Normal            0            2            0            0"
	       "            0 \n",
	       1, 1, "Normal");
	/* Later kernels pad two labels as the others; more of them. */
	accept("node0/meminfo",
	       "Node 0 MemTotal:        2030272 kB\n"
	       "Node 0 FileHugePages:         0 kB\nNode 0 FilePmdMapped:        0 kB\n"
	       "Node 0 Unaccepted:            0 kB\nNode 0 HugePages_Surp:      0\n",
	       1, 1, "Unaccepted");
	accept("node7/vmstat", "nr_free_pages 1\nnr_iommu_pages 0\npgfault 3\n", 2, 0,
	       "nr_iommu_pages, pgfault");
	accept("node7/numastat", "numa_hit 1\nlocal_node 2\nnuma_local 2\n", 1, 0, "numa_local");
	accept("sysctl_vm.txt", "swappiness = 60\ndefrag_mode = 0\nvm.min_free_kbytes = 67584\n", 1,
	       1, "defrag_mode");
	accept("sys/vm/lowmem_reserve_ratio", "256\t256\t32\t0\n", 0, 0, "");
	accept("sys/vm/lowmem_reserve_ratio", "256 256 32\n", 0, 1, "");
	accept("sys/vm/numa_zonelist_order", "Node\n", 0, 0, "");
	accept("sys/vm/stat_refresh", "", 0, 0, "");
	accept("sys/vm/dirty_bytes", "18446744073709551615\n", 0, 0, "");
	accept("pressure/irq", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 0, 0, "");
	accept("pressure_memory",
	       "some avg10=100.00 avg60=7.09 avg300=0.27 total=1023559\n"
	       "full avg10=0.5 avg60=0.00 avg300=0.00 total=0\n",
	       1, 0, "full avg10=0.5 avg60=0.00 avg300=0.00 total=0");
	accept("extfrag_index", "Node 0, zone      DMA -1.000  0.-500 \n", 1, 0, "DMA");
	accept("extfrag_index", "Node 0, zone      DMA -1.000 -1.-500\n", 1, 1, "DMA");
	accept("unusable_index", "Node 0, zone      DMA 0.000 1.000 \nNode 0, zone DMA 0.5\n", 2, 0,
	       "DMA, Node 0, zone DMA 0.5");
	accept("node0/cpulist", "0-3,8,10-11\n", 0, 0, "");
	accept("node0/cpulist", "0,1\n", 0, 0, "");
	accept("node0/cpulist", "\n", 0, 0, "");
	accept("node0/cpulist", "0-0 \n", 0, 1, "");
	accept("node0/distance", "10 255 20\n", 0, 0, "");
	accept("node0/distance", " 10  20\n", 0, 1, "");
}

static void test_618_values(void **state)
{
	struct zoneinfo_doc *zoneinfo = NULL;
	struct snapshot *snapshot = NULL;
	struct text_error err;
	uint64_t value = 0;

	(void)state;
	assert_int_equal(zoneinfo_parse(zones_618, strlen(zones_618), "z", &zoneinfo, &err), 0);
	assert_int_equal(zoneinfo->nr_zones, 1);
	assert_int_equal(zoneinfo->zones[0].pagesets[0].count, 17);
	assert_int_equal(zoneinfo->zones[0].pagesets[0].high_max, 240);
	assert_true(zoneinfo_doc_node_get(zoneinfo, 0, "nr_hugetlb", &value));
	assert_true(
		zoneinfo_doc_get(zoneinfo, &zoneinfo->zones[0], "nr_free_pages_blocks", &value));
	assert_int_equal(value, 3584);
	struct snapshot_docs docs = { .zoneinfo = zoneinfo };
	assert_int_equal(snapshot_from_docs(&docs, &snapshot, &err), 0);
	assert_int_equal(snapshot->node[0].zone[ZONE_DMA].promo, 107);
	assert_int_equal(snapshot->node[0].zone[ZONE_DMA].pageset[0].count, 17);
	free(snapshot);
	zoneinfo_free(zoneinfo);
}

/* A file from a mail: blanks collapsed, trailing ones gone. Values are found all the same. */
static void test_lost_blanks(void **state)
{
	static const char zones[] = "Node 0, zone DMA32\n"
				    "per-node stats\n"
				    "nr_inactive_anon 254\n"
				    "pages free 109029\n"
				    "min 663\n"
				    "low 828\n"
				    "high 993\n"
				    "present 126932\n"
				    "managed 116411\n"
				    "protection: (0, 0, 0, 0, 0)\n"
				    "nr_free_pages 109029\n"
				    "pagesets\n"
				    "cpu: 3\n"
				    "count: 162\n"
				    "vm stats threshold: 12\n"
				    "start_pfn: 4096\n";
	struct zoneinfo_doc *zoneinfo = NULL;
	struct buddyinfo_doc *buddyinfo = NULL;
	uint64_t value = 0;

	(void)state;
	accept("zoneinfo", zones, 0, 16, "");
	assert_int_equal(zoneinfo_parse(zones, strlen(zones), "z", &zoneinfo, NULL), 0);
	assert_true(zoneinfo_doc_node_get(zoneinfo, 0, "nr_inactive_anon", &value));
	assert_int_equal(value, 254);
	assert_true(zoneinfo_doc_get(zoneinfo, &zoneinfo->zones[0], "low", &value));
	assert_int_equal(value, 828);
	assert_int_equal(zoneinfo->zones[0].pagesets[0].cpu, 3);
	assert_int_equal(zoneinfo->zones[0].pagesets[0].threshold, 12);
	zoneinfo_free(zoneinfo);

	const char *row = "Node 0, zone DMA32 1 2 0 2 3 5 10 11 3 3 102\n";
	accept("buddyinfo", row, 0, 1, "");
	assert_int_equal(buddyinfo_parse(row, strlen(row), "b", &buddyinfo, NULL), 0);
	assert_int_equal(buddyinfo_doc_free_pages(buddyinfo, 0, "DMA32"),
			 1 + 4 + 16 + 48 + 160 + 640 + 1408 + 768 + 1536 + 104448);
	buddyinfo_free(buddyinfo);
	accept("meminfo", "MemTotal: 481004 kB\nMemFree:451348kB\n", 0, 2, "");
	accept("swaps", "Filename Type Size Used Priority\n/dev/vdb partition 4 0 -2\n", 0, 2, "");
}

static void test_unknown_lines(void **state)
{
	(void)state;
	accept("vmstat", "nr_free_pages 1\n\nwhat is this\npgfault 2\n", 2, 0, ", what is this");
	accept("vmstat", "pgfault 18446744073709551615\npgfree 18446744073709551616\n", 1, 0,
	       "pgfree 18446744073709551616");
	accept("vmstat", "pgfault 007\npgfree -1\n", 1, 1, "pgfree -1");
	accept("meminfo", "MemTotal:  1 kB\nMemFree: x kB\n: 5 kB\n", 2, 1,
	       "MemFree: x kB, : 5 kB");
	/* As long as that, it is no label but text, colon and number or not. */
#define TEXT_OF_20 "SomethingThatIsLong."
	accept("meminfo", "MemTotal:  1 kB\n" TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 "12345: 5 kB\n", 1,
	       1, TEXT_OF_20 TEXT_OF_20 TEXT_OF_20 "12345: 5 kB");
	accept("swaps", SWAPS_HEAD "/dev/vdb  directory 4 0 -2\n", 1, 0,
	       "/dev/vdb  directory 4 0 -2");
	/* Sizes that run into each other are not three numbers. */
	accept("swaps", SWAPS_HEAD "/dev/vdb  file 4-2 0\n", 1, 0, "/dev/vdb  file 4-2 0");
}

/* The same for the files of types and nodes, of settings and of pressure. */
static void test_refused_more(void **state)
{
	static const struct {
		const char *name, *text;
		int error;
		const char *words;
	} files[] = {
		{ "pagetypeinfo", "Page block order: nine\n", -EINVAL, "another file" },
		{ "pagetypeinfo", "Node 0, zone   Normal            1 \n", -EINVAL,
		  "another file" },
		{ "pagetypeinfo", "Node 0, zone Normal, type Movable 1 >\n", -EINVAL, "another" },
		{ "pagetypeinfo", "Node 0, zone ,, type Movable\n", -EINVAL, "another" },
		{ "pagetypeinfo", "Page block order: 9\nPages per", -EINVAL, "cut off: line 2" },
		{ "node0/meminfo", "MemTotal:         481004 kB\n", -EINVAL, "nodeN/meminfo" },
		{ "node0/meminfo", "Node 0 : 5 kB\n", -EINVAL, "another file" },
		{ "node0/meminfo", "Node 0 MemFree: 99999999999999999999 kB\n", -EINVAL,
		  "another" },
		{ "node0/vmstat", "numastat 5\n", -EINVAL, "another file" },
		{ "node0/numastat", "nr_free_pages 5\n", -EINVAL, "another file" },
		{ "node0/cpulist", "", -EINVAL, "empty" },
		{ "node0/cpulist", "0-\n", -EINVAL, "another file" },
		{ "node0/cpulist", "3-1\n", -EINVAL, "another file" },
		{ "node0/cpulist", "0,\n", -EINVAL, "another file" },
		{ "node0/cpulist", "0-4000000000\n", -EINVAL, "another file" },
		{ "node0/cpulist", "0\n1\n", -EFBIG, "line 2 is beyond" },
		{ "node0/distance", "\n", -EINVAL, "another file" },
		{ "node0/distance", "10 -20\n", -EINVAL, "another file" },
		{ "node0/distance", "10 99999999999\n", -EINVAL, "another file" },
		{ "node0/compact", "1\n", -EACCES, "only be written" },
		{ "sys/vm/drop_caches", "1\n", -EACCES, "only be written" },
		{ "sys/vm/swappiness", "60\n60\n", -EFBIG, "line 2 is beyond" },
		{ "sys/vm/swappiness", "a b\n", -EINVAL, "another file" },
		{ "sys/vm/swappiness", "60", -EINVAL, "cut off" },
		{ "sysctl_vm.txt", "swappiness 60\n", -EINVAL, "another file" },
		{ "sysctl_vm.txt", "= 60\n", -EINVAL, "another file" },
		{ "sysctl_vm.txt", "strange = 60\n", -EINVAL, "another file" },
		{ "extfrag_index", "Node 0, zone      DMA\n", -EINVAL, "another file" },
		{ "extfrag_index", "Node 0, zone      DMA 0.0000\n", -EINVAL, "another file" },
		{ "extfrag_index", "Node 0, zone      DMA 0.000-1.000\n", -EINVAL, "another file" },
		{ "unusable_index", "Node 0, zone      DMA 9999999999.000\n", -EINVAL, "another" },
		{ "pressure_memory", "some avg10=0.00\n", -EINVAL, "another file" },
		{ "pressure_memory", "most avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", -EINVAL,
		  "another file" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		refuse(files[i].name, files[i].text, strlen(files[i].text), files[i].error,
		       files[i].words);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name, *text;
		int error;
		const char *words;
	} files[] = {
		{ "vmstat", "", -EINVAL, "empty" },
		{ "vmstat", "nr_free_pages 1\npgfau", -EINVAL, "cut off: line 2" },
		{ "vmstat", "nr_free_pages 1", -EINVAL, "cut off: line 1" },
		{ "vmstat", "MemTotal:  481004 kB\n", -EINVAL, "another file" },
		{ "vmstat", "nr_free_pages 1\r\n", -EINVAL, "carriage return" },
		{ "vmstat", "nr_free_pages\0331\n", -EINVAL, "0x1b" },
		{ "meminfo", "nr_free_pages 112778\n", -EINVAL, "another file" },
		{ "meminfo", "Node 0 MemTotal:   481004 kB\n", -EINVAL, "another file" },
		{ "buddyinfo", "Node 0, zone      DMA\n", -EINVAL, "another file" },
		{ "buddyinfo", "Node 0, zone DMA 1 2 x\n", -EINVAL, "another file" },
		{ "buddyinfo", "Node 99999999999, zone DMA 1 2\n", -EINVAL, "another file" },
		{ "swaps", "nothing here\n", -EINVAL, "another file" },
		{ "swaps", "/dev/vdb partition 4 0 -2\n", -EINVAL, "header" },
		{ "zoneinfo", "  pages free     3840\n", -EINVAL, "another file" },
		{ "zoneinfo", "Node 0, zone      DMA\n", -EINVAL, "no protection line" },
		{ "zoneinfo",
		  "Node 0, zone      DMA\n        present  5\n        protection: (0)\n", -EINVAL,
		  "no start_pfn line" },
		{ "zoneinfo", "Node 0, zone      DMA\n        protection: (0, 1\n", -EINVAL,
		  "no protection line" },
		{ "zoneinfo", "Node 0, zone      DMA\n        protection: (", -EINVAL, "cut off" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		refuse(files[i].name, files[i].text, strlen(files[i].text), files[i].error,
		       files[i].words);
	refuse("meminfo", "MemTotal: 1 kB\n\0\0\n", 18, -EINVAL, "binary or UTF-16");
	refuse("swaps", "F\0i\0l\0e\0", 8, -EINVAL, "0x00 at column 2");
	refuse("vmstat",
	       "\x7f"
	       "ELF\x02\x01",
	       6, -EINVAL, "0x7f at column 1");
}

/* More bytes, lines or columns than any such file has. */
static void test_oversized(void **state)
{
	static const struct {
		const char *name;
		size_t bytes;
		char fill;
		const char *words;
	} files[] = {
		{ "vmstat", (1 << 20) + 1, 'a', "bytes, more than" },
		{ "zoneinfo", (64 << 20) + 1, 'a', "bytes, more than" },
		{ "vmstat", 9000, '\n', "line 8193 is beyond" },
		{ "vmstat", 9000, 'a', "line 1 is beyond" },
		{ "swaps", 30000, '/', "line 1 is beyond" },
		{ "pagetypeinfo", (16 << 20) + 1, 'a', "bytes, more than" },
		{ "pagetypeinfo", 70000, '\n', "line 65537 is beyond" },
		{ "sysctl_vm.txt", 9000, '=', "line 1 is beyond" },
		{ "sys/vm/swappiness", 9000, '6', "line 1 is beyond" },
		{ "pressure_memory", 70000, 's', "bytes, more than" },
		{ "node0/cpulist", 70000, '1', "bytes, more than" },
		{ "node0/meminfo", 5000, '\n', "line 4097 is beyond" },
		{ "extfrag_index", 5000, '1', "line 1 is beyond" },
	};
	struct text_error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *text = malloc(files[i].bytes);

		assert_non_null(text);
		memset(text, files[i].fill, files[i].bytes);
		assert_int_equal(print_back(files[i].name, text, files[i].bytes, NULL, &err),
				 -EFBIG);
		if (strstr(err.message, files[i].words) == NULL)
			fail_msg("%s: %s", files[i].name, err.message);
		free(text);
	}
}

#define TAIL "        present  0\n        protection: (0)\n"

/* Files that can be printed back but describe no machine of neap. */
static void test_no_machine(void **state)
{
	static const struct {
		const char *text, *words;
	} files[] = {
		{ "Node 0, zone      DMA\n" TAIL "Node 0, zone  Strange\n" TAIL, "Strange" },
		{ "Node 0, zone      DMA\n" TAIL "Node 0, zone      DMA\n" TAIL, "listed twice" },

	};
	struct zoneinfo_doc *zoneinfo = NULL;
	struct snapshot *snapshot = NULL;
	struct text_error err;
	struct text_buf many;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct snapshot_docs docs;

		assert_int_equal(zoneinfo_parse(files[i].text, strlen(files[i].text), "z",
						&zoneinfo, &err),
				 0);
		docs = (struct snapshot_docs){ .zoneinfo = zoneinfo };
		assert_int_equal(snapshot_from_docs(&docs, &snapshot, &err), -EINVAL);
		assert_null(snapshot);
		if (strstr(err.message, files[i].words) == NULL)
			fail_msg("%s", err.message);
		zoneinfo_free(zoneinfo);
	}
	text_buf_init(&many);
	for (uint32_t n = 0; n <= NEAP_MAX_NODES; n++)
		text_buf_printf(&many, "Node %u, zone      DMA\n%s", n, TAIL);
	assert_int_equal(zoneinfo_parse(many.at, many.bytes, "z", &zoneinfo, &err), 0);
	assert_int_equal(zoneinfo_to_snapshot(zoneinfo, "z", &snapshot, &err), -EINVAL);
	assert_non_null(strstr(err.message, "64 nodes"));
	zoneinfo_free(zoneinfo);
	text_buf_free(&many);
}

/* Every request for memory refused once: -ENOMEM, a sentence, nothing leaked, no half output. */
static void test_no_memory(void **state)
{
	static const char *const names[] = {
		"vmstat",	   "zoneinfo",	     "buddyinfo",     "meminfo",
		"pagetypeinfo",	   "swaps",	     "extfrag_index", "unusable_index",
		"pressure_memory", "sysctl_vm.txt",  "node0/meminfo", "node0/vmstat",
		"node0/numastat",  "node0/distance", "node0/cpulist", "sys/vm/lowmem_reserve_ratio",
	};
	struct rng rng;
	struct snapshot *snapshot = NULL;

	(void)state;
	rng_seed(&rng, 7);
	/* A machine may lack any of its settings; one of the names is a file of its own. */
	for (int n = 0; n < 100; n++) {
		snapshot = util_snapshot_random(&rng);
		if (sysctls_snapshot_get(snapshot, "lowmem_reserve_ratio") != NULL)
			break;
		free(snapshot);
		snapshot = NULL;
	}
	assert_non_null(snapshot);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const struct text_file *file = text_file_find(names[i]);
		struct text_buf text, out;
		struct text_error err;
		int error = -ENOMEM;

		text_buf_init(&text);
		text_buf_init(&out);
		for (int n = 0; error == -ENOMEM; n++) {
			assert_true(n < 1000);
			allowed = n;
			text_buf_reset(&text);
			error = text_proc_write(snapshot, names[i], &text);
			assert_true(error == 0 || text.bytes == 0);
		}
		assert_int_equal(error, 0);
		struct text_input in = { text.at, text.bytes, names[i] };
		error = -ENOMEM;
		for (int n = 0; error == -ENOMEM; n++) {
			assert_true(n < 1000);
			allowed = n;
			text_buf_reset(&out);
			error = file->reprint(&in, &out, NULL, &err);
			assert_true(error == 0 ||
				    (out.bytes == 0 && strstr(err.message, "memory")));
		}
		assert_int_equal(error, 0);
		assert_true(text_buf_equals(&out, text.at, text.bytes));
		allowed = -1;
		text_buf_free(&text);
		text_buf_free(&out);
	}
	free(snapshot);
}

static void test_buffer(void **state)
{
	struct text_buf buf;
	char long_text[700];

	(void)state;
	text_buf_init(&buf);
	assert_string_equal(text_buf_text(&buf), "");
	assert_true(text_buf_equals(&buf, "", 0));
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_int_equal(text_buf_printf(&buf, "%s|%d", long_text, -5), 0);
	assert_int_equal(buf.bytes, sizeof(long_text) - 1 + 3);
	assert_string_equal(buf.at + sizeof(long_text) - 1, "|-5");
	text_buf_reset(&buf);
	text_buf_u64(&buf, UINT64_MAX, 8);
	text_buf_u64(&buf, 0, 3);
	text_buf_i64(&buf, INT64_MIN);
	assert_string_equal(buf.at, "18446744073709551615  0-9223372036854775808");
	allowed = 0;
	assert_int_equal(text_buf_fill(&buf, ' ', 5000), -ENOMEM);
	allowed = -1;
	/* The error stays until the buffer is reset, and what was there is still whole. */
	assert_int_equal(text_buf_puts(&buf, "x"), -ENOMEM);
	assert_string_equal(buf.at, "18446744073709551615  0-9223372036854775808");
	text_buf_reset(&buf);
	assert_int_equal(text_buf_puts(&buf, "x"), 0);
	assert_int_equal(text_buf_read_file(&buf, "/nonexistent/file", 10), -ENOENT);
	assert_int_equal(text_buf_read_file(&buf, "/dev/zero", 100000), -EFBIG);
	text_buf_free(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_kernels), cmocka_unit_test(test_other_kernels_more),
		cmocka_unit_test(test_618_values),    cmocka_unit_test(test_lost_blanks),
		cmocka_unit_test(test_unknown_lines), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_more),  cmocka_unit_test(test_oversized),
		cmocka_unit_test(test_no_machine),    cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
