/*
 * Whole jobs on the fake machine: results, failures with file and line, wrong pages
 * found whatever goes wrong below, and files that hold what a plain program would
 * have left in them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FAKE_NEAP
#include "fake_neap.c"

#include <sys/mman.h>

#include "job/parse.h"
#include "job/run.h"
#include "job/sha256.h"
#include "trace_build.h"

static struct run_result result;
static volatile sig_atomic_t interrupt_flag;

/* Runs a job on this machine, which is destroyed. The result stays until the next run. */
static void run_on(struct neap_machine *machine, const char *text, const char *out_dir)
{
	struct run_options options = {
		.live = !machine->sim,
		.tags = machine->tags,
		.out_dir = out_dir,
		.interrupt = &interrupt_flag,
	};
	struct job *job = NULL;
	char *errors = NULL;

	if (job_parse_text("t.job", text, strlen(text), &job, &errors) != 0)
		fail_msg("%s", errors);
	if (job_open_traces(job, "/tmp", &errors) != 0)
		fail_msg("%s", errors);
	run_result_free(&result);
	run_job(job, machine, &options, &result);
	job_free(job);
	neap_machine_destroy(machine);
}

static void expect_outcome(enum run_outcome outcome, const char *message)
{
	if (result.outcome != outcome ||
	    (message != NULL &&
	     (result.messages == NULL || strstr(result.messages, message) == NULL)))
		fail_msg("outcome %d, messages: %s, findings: %s; wanted %d, '%s'",
			 (int)result.outcome, result.messages != NULL ? result.messages : "none",
			 result.findings != NULL ? result.findings : "none", (int)outcome,
			 message != NULL ? message : "");
}

static const char mixed_job[] = "anon A 400K\n"
				"file F 200K\n"
				"mapfile M F\n"
				"touch A seq all\n"
				"touch A random 500 threads=3\n"
				"read F zipf 300\n"
				"write F random 100\n"
				"touch M seq all\n"
				"free F\n"
				"free A every=3 offset=1\n"
				"touch A random 300 ro\n"
				"fill A half\n"
				"bg touch A zipf 400\n"
				"parallel\n"
				"touch A random 400\n"
				"write F random 100\n"
				"end\n"
				"wait\n"
				"drop 1\n"
				"advise F random\n"
				"fsync F\n"
				"advise F dontneed\n"
				"sysctl swappiness 60\n"
				"freeze\n"
				"thaw\n"
				"alloc B order=3 count=5\n"
				"alloc C order=9 try\n"
				"release B every=2 offset=1\n"
				"release B every=2\n"
				"release B\n"
				"advise A willneed\n"
				"touch A seq all\n"
				"expect vmstat.pswpout > 0 and neap.mismatches == 0\n"
				"expect neap.failed_blocks = 1 and meminfo.MemTotal == 160\n";

static void test_mixed_job(void **state)
{
	(void)state;
	for (uint32_t variant = 0; variant < 4; variant++) {
		run_on(fake_machine(40, (variant & 1) != 0, variant == 3), mixed_job, NULL);
		expect_outcome(RUN_FINE, NULL);
		assert_null(result.findings);
		assert_true(result.swept);
		assert_int_equal(result.verified.mismatches, 0);
		assert_true(result.counts.accesses > 2000);
	}
}

struct failing_job {
	const char *text;
	enum run_outcome outcome;
	const char *message;
};

static const struct failing_job failing_jobs[] = {
	{ "sleep 1\nexpect vmstat.pgfault > 5\nsleep 1\n", RUN_FAILED,
	  "t.job:2: expected vmstat.pgfault > 5, but it is 0" },
	{ "sleep 1\nexpect vmstat.nosuch > 5\n", RUN_REFUSED, "t.job:2: vmstat has no line" },
	{ "expect neap.nosuch > 5\n", RUN_REFUSED, "t.job:1: neap has no line 'nosuch'" },
	{ "alloc B order=9\n", RUN_FAILED, "t.job:1: block 1 of 1 (order 9) of B: Cannot" },
	{ "cpu 7\n", RUN_FAILED, "t.job:1: the machine has no CPU 7" },
	{ "sysctl swappiness x\nsleep 1\n", RUN_FAILED, "t.job:1: sysctl swappiness x: Invalid" },
	{ "freeze\nthaw\nthaw\n", RUN_FAILED, "t.job:3: thaw: nothing is frozen" },
	{ "mems 4\n", RUN_FAILED, "t.job:1: mems: None of the nodes has memory" },
	{ "snapshot s\nfile F 4K path=/no/such/dir/f\n", RUN_FAILED,
	  "t.job:2: file F: No such file" },
};

static void test_failing_jobs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(failing_jobs); i++) {
		run_on(fake_machine(40, false, false), failing_jobs[i].text, NULL);
		expect_outcome(failing_jobs[i].outcome, failing_jobs[i].message);
	}
}

static const char swapping_job[] = "anon A 400K\n"
				   "touch A seq all\n"
				   "touch A random 2000\n";

/* Whatever a write-out does to a page, the page's next access notices. */
static void test_wrong_pages_are_found(void **state)
{
	static const enum fake_wrong wrongs[] = { FAKE_LOST_WRITE, FAKE_TORN, FAKE_ZEROED,
						  FAKE_SWAPPED, FAKE_FLIPPED };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
		struct neap_machine *machine = fake_machine(40, false, false);

		/* From the 150th on every page has been written out once. */
		fake_go_wrong(machine, wrongs[i], 150, false);
		run_on(machine, swapping_job, NULL);
		expect_outcome(RUN_FAILED, NULL);
		assert_true(result.verified.mismatches >= 1);
		assert_non_null(result.findings);
		assert_non_null(strstr(result.findings, "A page "));
		assert_non_null(strstr(result.findings, "is wrong at access"));
	}
}

/* A page that goes wrong after its last access is found by the sweep. */
static void test_sweep_finds_it(void **state)
{
	struct neap_machine *machine = fake_machine(99, false, false);

	(void)state;
	/*
	 * One page more than fits: the last access puts the first page out, and nobody reads it
	 * again.
	 */
	fake_go_wrong(machine, FAKE_FLIPPED, 1, false);
	run_on(machine, "anon A 400K\ntouch A seq all\n", NULL);
	expect_outcome(RUN_FAILED, NULL);
	assert_int_equal(result.verified.mismatches, 1);
}

static void test_tags_find_it(void **state)
{
	struct neap_machine *machine = fake_machine(40, true, true);

	(void)state;
	fake_go_wrong(machine, FAKE_LOST_WRITE, 150, false);
	run_on(machine, swapping_job, NULL);
	expect_outcome(RUN_FAILED, NULL);
	assert_int_equal(result.verified.mismatches, 1);
}

/* A read error is reported, not a mismatch, and everything else is right. */
static void test_read_errors(void **state)
{
	struct neap_machine *machine = fake_machine(40, false, false);

	(void)state;
	fake_go_wrong(machine, FAKE_EIO, 100, false);
	run_on(machine, swapping_job, NULL);
	expect_outcome(RUN_FAILED, NULL);
	assert_int_equal(result.verified.mismatches, 0);
	assert_int_equal(result.verified.lost_pages, 1);
	assert_non_null(strstr(result.findings, "its contents are lost: Input/output error"));
	assert_true(result.swept);
	machine = fake_machine(400, false, false);
	fake_fail_accesses(machine, 20, 3, -EIO);
	run_on(machine, "file F 400K\nread F seq all\nread F seq all\n", NULL);
	expect_outcome(RUN_FAILED, NULL);
	assert_int_equal(result.verified.failed_accesses, 3);
	assert_int_equal(result.verified.lost_pages, 0);
	assert_int_equal(result.verified.mismatches, 0);
	assert_non_null(strstr(result.findings, "F page 19: an access failed"));
}

static void test_no_memory(void **state)
{
	struct neap_machine *machine = fake_machine(400, false, false);

	(void)state;
	fake_fail_accesses(machine, 20, 1, -ENOMEM);
	run_on(machine, "anon A 400K\ntouch A seq all\ntouch A seq all\n", NULL);
	expect_outcome(RUN_FAILED, "t.job:2: an access to A: Cannot allocate memory");
	assert_true(result.swept);
	assert_int_equal(result.verified.mismatches, 0);
}

/* A write-back that failed silently is a mismatch; one that the next sync reports is a loss. */
static void test_write_back_errors(void **state)
{
	static const char job[] = "file F 400K\nwrite F seq all\nwrite F seq all\n"
				  "read F seq all\nfsync F\n";

	(void)state;
	for (uint32_t reported = 0; reported < 2; reported++) {
		struct neap_machine *machine = fake_machine(40, false, false);

		fake_go_wrong(machine, FAKE_LOST_WRITE, 130, false);
		fake_report_write_errors(machine, reported == 1);
		run_on(machine, job, NULL);
		expect_outcome(RUN_FAILED, NULL);
		assert_int_equal(result.verified.mismatches, reported == 1 ? 0 : 1);
		assert_int_equal(result.verified.lost_pages, reported == 1 ? 1 : 0);
	}
}

/*
 * A disk of swap that stays full ends a run with its name; one that was full for a moment does not,
 * unless a command failed.
 */
static void test_full_swap_disk(void **state)
{
	static const char full[] = "the disk of a swap area is full: 5000 writes failed";
	static const char endless[] = "anon A 400K\ntouch A random 5000000\n";
	struct neap_machine *machine = fake_machine(40, false, false);

	(void)state;
	fake_fill_swap_disk(machine, 5000);
	run_on(machine, endless, NULL);
	expect_outcome(RUN_WORLD_FAILED, full);
	assert_false(result.swept);
	assert_true(result.counts.accesses < 5000);
	machine = fake_machine(40, false, false);
	fake_fill_swap_disk(machine, 5);
	run_on(machine, swapping_job, NULL);
	expect_outcome(RUN_FINE, NULL);
	machine = fake_machine(40, false, false);
	fake_fill_swap_disk(machine, 5);
	fake_fail_accesses(machine, 150, 1, -ENOMEM);
	run_on(machine, "anon A 400K\ntouch A seq all\ntouch A seq all\n", NULL);
	expect_outcome(RUN_WORLD_FAILED, "the disk of a swap area is full: 5 writes failed");
	assert_false(result.swept);
}

static void test_interrupt(void **state)
{
	(void)state;
	interrupt_flag = 1;
	run_on(fake_machine(40, false, false), swapping_job, NULL);
	interrupt_flag = 0;
	expect_outcome(RUN_INTERRUPTED, NULL);
	assert_false(result.swept);
}

/* log.txt says once when the snapshot was taken. */
static void expect_log(const char *dir, const char *label)
{
	char path[128], line[128], wanted[64];
	double from = -1, to = -1;
	uint32_t nr = 0;
	FILE *log;

	snprintf(path, sizeof(path), "%s/log.txt", dir);
	log = fopen(path, "r");
	assert_non_null(log);
	snprintf(wanted, sizeof(wanted), " snapshot %s\n", label);
	while (fgets(line, sizeof(line), log) != NULL)
		if (strstr(line, wanted) != NULL && sscanf(line, "%lf %lf", &from, &to) == 2)
			nr++;
	fclose(log);
	assert_int_equal(nr, 1);
	assert_true(from >= 0 && to >= from);
}

static void test_snapshots(void **state)
{
	char dir[] = "/tmp/run-test-XXXXXX";
	char path[128];
	static const char *const labels[] = { "start", "tick.0001", "end" };

	(void)state;
	assert_non_null(mkdtemp(dir));
	run_on(fake_machine(40, false, false),
	       "snapshot start\nevery 60 snapshot tick\nsleep 1500\nsnapshot end\n", dir);
	expect_outcome(RUN_FINE, NULL);
	for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
		snprintf(path, sizeof(path), "%s/%s/vmstat", dir, labels[i]);
		assert_int_equal(access(path, R_OK), 0);
	}
	expect_log(dir, "start");
	expect_log(dir, "tick.0001");
	expect_log(dir, "end");
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
	run_on(fake_machine(40, false, false), "snapshot start\n", "/no/such/dir");
	expect_outcome(RUN_WORLD_FAILED, "t.job:1: snapshot to /no/such/dir/start: No such file");
}

/* ---- traces ---- */

static void test_replay(void **state)
{
	static struct trace_build b;
	char path[64], text[128];
	size_t bytes;
	uint8_t *data;

	(void)state;
	memset(&b, 0, sizeof(b));
	for (uint32_t i = 0; i < 300; i++)
		trace_new(&b, i % 2 == 0 ? PTRACE_W : PTRACE_R, PTRACE_ANON, 0,
			  (int64_t)i + (i / 100) * 5000);
	for (uint32_t i = 0; i < 60; i++)
		trace_new(&b,
			  i % 3 == 0   ? PTRACE_PW
			  : i % 3 == 1 ? PTRACE_PR
				       : PTRACE_X,
			  i % 3 == 2 ? PTRACE_CODE : PTRACE_FILE, i % 5, i);
	for (uint32_t i = 0; i < 2000; i++) {
		uint32_t id = (i * 7919) % 360;

		trace_ref(&b, id < 300 ? (enum ptrace_op)(i % 3) : (enum ptrace_op)(i % 5), id);
	}
	trace_free(&b, 50, 100);
	for (uint32_t i = 0; i < 100; i++)
		trace_new(&b, PTRACE_R, PTRACE_ANON, 0, 50 + (int64_t)i + ((50 + i) / 100) * 5000);
	data = trace_bytes(&b, &bytes);
	trace_save(data, bytes, path);
	free(data);
	snprintf(text, sizeof(text), "replay R %s\nexpect neap.mismatches == 0\n", path);
	for (uint32_t variant = 0; variant < 2; variant++) {
		run_on(fake_machine(64, variant == 1, variant == 1), text, NULL);
		expect_outcome(RUN_FINE, NULL);
		assert_int_equal(result.counts.accesses, b.records - 1);
		assert_true(result.swept);
	}
	struct neap_machine *machine = fake_machine(64, false, false);

	fake_go_wrong(machine, FAKE_SWAPPED, 400, false);
	run_on(machine, text, NULL);
	expect_outcome(RUN_FAILED, NULL);
	assert_non_null(strstr(result.findings, "R "));
	unlink(path);
}

/* ---- a user's file, against a plain program ---- */

/* What access.c documents, done with pwrite and mmap. */
static void plain_touch(const char *path, enum pageseq_order order, uint64_t count, uint64_t seed)
{
	int fd = open(path, O_RDWR);
	struct stat st;
	struct pageseq seq;
	uint8_t *map;

	assert_int_equal(fstat(fd, &st), 0);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pageseq_start(&seq, order, ((uint64_t)st.st_size + 4095) / 4096, seed);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = pageseq_next(&seq) * 4096;
		uint64_t words[2] = { i * 0x9E3779B97F4A7C15u + 1, ~i };

		for (uint32_t w = 0; w < 2; w++)
			for (uint64_t k = 0; k < 8 && at + 2048 * w + k < (uint64_t)st.st_size; k++)
				map[at + 2048 * w + k] = (uint8_t)(words[w] >> (8 * k));
	}
	munmap(map, (size_t)st.st_size);
	close(fd);
}

static void plain_write(const char *path, enum pageseq_order order, uint64_t count, uint64_t seed)
{
	int fd = open(path, O_RDWR);
	struct stat st;
	struct pageseq seq;

	assert_int_equal(fstat(fd, &st), 0);
	pageseq_start(&seq, order, ((uint64_t)st.st_size + 4095) / 4096, seed);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t at = pageseq_next(&seq) * 4096;
		uint64_t page[512] = { i + 1 };

		assert_true(pwrite(fd, page, min_u64(4096, (uint64_t)st.st_size - at), (off_t)at) >
			    0);
	}
	close(fd);
}

static void file_digest(const char *path, char hex[SHA256_HEX_BYTES])
{
	struct sha256 hash;
	uint8_t chunk[4096];
	ssize_t got;
	int fd = open(path, O_RDONLY);

	sha256_start(&hash);
	while ((got = read(fd, chunk, sizeof(chunk))) > 0)
		sha256_add(&hash, chunk, (size_t)got);
	sha256_finish(&hash, hex);
	close(fd);
}

static void make_file(char *path, size_t bytes)
{
	uint64_t x = 1;
	FILE *out;
	int fd;

	memcpy(path, "/tmp/user-test-XXXXXX", 22);
	fd = mkstemp(path);
	out = fdopen(fd, "w");
	for (size_t i = 0; i < bytes; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		fputc((int)(x >> 56), out);
	}
	fclose(out);
}

static void test_user_file(void **state)
{
	static const size_t sizes[] = { 100 * 4096, 100 * 4096 - 3, 100 * 4096 + 2050, 7 };
	char ours[64], plain[64], hex[SHA256_HEX_BYTES], text[512], wanted[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		make_file(ours, sizes[i]);
		make_file(plain, sizes[i]);
		plain_write(plain, PAGESEQ_RANDOM, 90, 7);
		plain_touch(plain, PAGESEQ_ZIPF, 150, 8);
		plain_write(plain, PAGESEQ_SEQ, 11, 0);
		file_digest(plain, hex);
		snprintf(
			text, sizeof(text),
			"file F 1M path=%s\nmapfile M F\nread F seq all\nwrite F random 90 seed=7\n"
			"touch M zipf 150 seed=8\nwrite F seq 11\ntouch M seq all ro\ndigest F\n",
			ours);
		run_on(fake_machine(20, false, false), text, NULL);
		expect_outcome(RUN_FINE, NULL);
		snprintf(wanted, sizeof(wanted), "digest F %s\n", hex);
		assert_string_equal(result.digests, wanted);
		file_digest(ours, hex);
		assert_non_null(strstr(wanted, hex));
		unlink(ours);
		unlink(plain);
	}
}

static void test_new_user_file(void **state)
{
	char path[64], text[256];
	struct stat st;

	(void)state;
	make_file(path, 1);
	unlink(path);
	snprintf(text, sizeof(text), "file F 40K path=%s\nread F seq all\nwrite F seq 3\n", path);
	run_on(fake_machine(20, false, false), text, NULL);
	expect_outcome(RUN_FINE, NULL);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 40960);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixed_job),
		cmocka_unit_test(test_failing_jobs),
		cmocka_unit_test(test_wrong_pages_are_found),
		cmocka_unit_test(test_sweep_finds_it),
		cmocka_unit_test(test_tags_find_it),
		cmocka_unit_test(test_read_errors),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_write_back_errors),
		cmocka_unit_test(test_full_swap_disk),
		cmocka_unit_test(test_interrupt),
		cmocka_unit_test(test_snapshots),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_user_file),
		cmocka_unit_test(test_new_user_file),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	run_result_free(&result);
	return failed;
}
