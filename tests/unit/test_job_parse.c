/*
 * The job language: what is accepted, and the sentence for what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "job/parse.h"

static int parse(const char *text, struct job **job, char **errors)
{
	return job_parse_text("t.job", text, strlen(text), job, errors);
}

struct bad_job {
	const char *text;
	const char *message; /* must be part of the errors */
};

static const struct bad_job bad_jobs[] = {
	{ "tuch A seq all\n", "t.job:1: unknown command 'tuch'" },
	{ "anon A\n", "t.job:1: too few words; write: anon NAME SIZE" },
	{ "anon A 10M\nanon A 4M\n", "t.job:2: the name 'A' is used already, in line 1" },
	{ "anon A 10Q\n", "t.job:1: '10Q' is no size" },
	{ "anon A 0\n", "'0' is no size" },
	{ "anon A 99999T\n", "too large" },
	{ "anon 1A 4M\n", "'1A' is no name" },
	{ "anon A 4M thp nothp\n", "thp and nothp contradict each other" },
	{ "anon A 4M mloc\n", "t.job:1: unexpected word 'mloc'" },
	{ "anon A 4M node=x\n", "node 'x' is not a whole number" },
	{ "touch A seq all\n", "t.job:1: there is no 'A' declared before this line" },
	{ "anon A 4M\ntouch A sq all\n", "t.job:2: 'sq' is no order of pages" },
	{ "anon A 4M\ntouch A seq many\n", "the count 'many' is not a whole number" },
	{ "anon A 4M\ntouch A seq all threads=0\n", "threads must be at least 1" },
	{ "anon A 4M\ntouch A seq all threads=65\n", "threads 65 is too large, the most is 64" },
	{ "anon A 4M\nread A seq all\n",
	  "t.job:2: 'A' is anonymous memory (anon), but read needs a file (file)" },
	{ "file F 4M\ntouch F seq all\n", "but touch needs anonymous memory (anon) or a mapped" },
	{ "file F 4M\nfree F every=2\n", "every and offset are for memory" },
	{ "file F 4M path=/\n", "/ is not a regular file" },
	{ "file F 4M path=/dev/null\n", "/dev/null is not a regular file" },
	{ "anon A 4M\nadvise A hot\n", "'hot' is no advice" },
	{ "anon A 4M\nfill A zero\n", "'zero' is no kind of contents" },
	{ "sysctl panic_on_oom 1\n", "t.job:1: sysctl panic_on_oom is not possible yet" },
	{ "sysctl swapiness 20\n", "there is no 'swapiness' below /proc/sys/vm" },
	{ "cgroup g max=64M\n", "t.job:1: cgroup is not possible yet (control groups)" },
	{ "reclaim 64M\n", "reclaim is not possible yet" },
	{ "range A\n", "too few words; write: range NAME SIZE" },
	{ "range A 3M order=1\n", "unexpected word 'order=1'" },
	{ "hugepages\n", "too few words; write: hugepages N" },
	{ "hugepages many\n", "the count 'many' is not a whole number" },
	{ "compact x\n", "node 'x' is not a whole number" },
	{ "compact 1024\n", "node 1024 is too large, the most is 1023" },
	{ "compact 0 1\n", "unexpected word '1'" },
	{ "cpu online\n", "t.job:1: cpu '' is not a whole number" },
	{ "anon A 4M\nsysctl swappiness 1 2 3\ncpu online\n", "t.job:3: cpu '' is not a" },
	{ "memory remove 9\n", "the number of blocks '' is not a whole number" },
	{ "policy\n", "too few words; write: policy MODE[:NODES]" },
	{ "policy near:0\n", "policy near:0 is none of default, preferred, bind" },
	{ "policy bind\n", "policy bind needs nodes: bind:0-1" },
	{ "policy local:1\n", "policy local takes no nodes" },
	{ "policy interleave:0-x\n", "'0-x' is not a list of nodes such as 0-1,3" },
	{ "anon A 4M policy=preferred\n", "policy preferred needs nodes" },
	{ "mems\n", "too few words; write: mems NODES|all" },
	{ "mems none\n", "'none' is not a list of nodes such as 0-1,3, and not all" },
	{ "parallel\nmems 0\nend\n", "mems cannot run in parallel" },
	{ "thp yes\n", "'yes' is no policy of huge pages: on, madvise or off" },
	{ "thp madvise often\n", "'often' is none of always, defer, defer+madvise" },
	{ "thp on always never\n", "unexpected word 'never'" },
	{ "khugepaged on\n", "khugepaged on is not possible yet" },
	{ "mglru on\n", "mglru on is not possible yet" },
	{ "zram 64M\n", "zram is not possible yet" },
	{ "zswap on\n", "zswap is not possible yet" },
	{ "swapon 1\n", "the machine line has no swap=, which is disk 1" },
	{ "machine nodes=1G swap=64M\nswapoff 2\n", "has no swap2=, which is disk 2" },
	{ "machine memory=8M swap=64M,disk=x\n", "disk= 'x' is not a whole number" },
	{ "machine memory=8M swap2=64M,prio=1\n", "swap2= has pri=N and disk=N behind its size" },
	{ "machine memory=8M swap=,disk=0\n", "swap=,disk=0 is no size" },
	{ "machine memory=8M swap=M,disk=0\n", "'M' is no size" },
	{ "swapon 0\n", "disks are 1 (swap=) and 2 (swap2=)" },
	{ "machine nodes=1G swap=64M\nswapon 1 -2\n", "priority '-2' is not a whole number" },
	{ "swapon z\n", "swapon z is not possible yet (compressed swap)" },
	{ "drop 0\n", "drop takes 1, 2 or 3" },
	{ "file f 1M\nadvise f cold\n", "advise cold is for memory; of a file can be said normal" },
	{ "file f 1M\nmapfile m f\nadvise m free\n", "advise free is for anonymous memory" },
	{ "bg\n", "bg needs a command" },
	{ "bg anon A 4M\n", "anon cannot run in the background" },
	{ "bg zram 2M\n", "zram is not possible yet" },
	{ "parallel\nsleep 1\n", "t.job:1: this parallel has no end" },
	{ "end\n", "end without parallel" },
	{ "parallel\nparallel\nend\n", "parallel inside the parallel of line 1" },
	{ "parallel\nbg sleep 1\nend\n", "bg inside parallel" },
	{ "parallel\nexpect vmstat.x > 0\nend\n", "expect cannot run in parallel" },
	{ "alloc B\n", "alloc needs order=N" },
	{ "alloc B order=11\n", "order 11 is too large, the most is 10" },
	{ "alloc B order=2 gfp=GFP_NOSUCH\n", "'GFP_NOSUCH' is no gfp mask" },
	{ "alloc B order=1\nrelease B every=0\n", "every must be at least 1" },
	{ "anon A 4M\nrelease A\n", "release needs a block (alloc)" },
	{ "snapshot a/b\n", "'a/b' is no label" },
	{ "snapshot ..\n", "'..' is no label" },
	{ "snapshot a\nsnapshot a\n", "t.job:2: the label 'a' is used already, in line 1" },
	{ "every 0 snapshot s\n", "every needs at least 1 ms" },
	{ "every 10 sleep 1\n", "only snapshots can be repeated" },
	{ "trace maybe\n", "'maybe' should be on or off" },
	{ "expect vmstat.pswpin > many\n", "'many' is not a whole number" },
	{ "expect vmstat.pswpin ~ 3\n", "'~' is not a comparison" },
	{ "expect pswpin > 3\n", "'pswpin' is not FILE.NAME" },
	{ "expect stat.pswpin > 3\n", "'stat.pswpin' is not FILE.NAME" },
	{ "expect vmstat.pswpin > 3 or vmstat.x > 1\n", "'or' should be 'and'" },
	{ "expect vmstat.pswpin > 3 and\n", "write FILE.NAME OP NUMBER" },
	{ "replay R f.ptr memory=1/x\n", "memory '1/x' is neither a part of the peak" },
	{ "replay R f memory=1/4\nreplay Q f memory=1/2\n", "there is one machine" },
	{ "machine cpus=2\n", "a machine needs nodes=" },
	{ "machine nodes=1G\nmachine nodes=1G\n", "t.job:2: the machine is described already" },
	{ "machine nodes=1G zram=1\n", "machine option zram= is not possible yet" },
	{ "machine nodes=1G noswapon=2\n", "noswapon 2 is too large, the most is 1" },
	{ "machine nodes=1G colour=red\n", "unexpected word 'colour=red'" },
	{ "anon A 4M\001\n", "the line holds a control character (1)" },
};

static void test_bad_jobs(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_jobs); i++) {
		struct job *job = NULL;
		char *errors = NULL;
		int result = parse(bad_jobs[i].text, &job, &errors);

		if (result != -EINVAL || strstr(errors, bad_jobs[i].message) == NULL)
			fail_msg("%s\ngave %d and: %s\nwanted: %s", bad_jobs[i].text, result,
				 errors != NULL ? errors : "(nothing)", bad_jobs[i].message);
		free(errors);
	}
}

/* All mistakes of a job are reported, each with its line. */
static void test_all_errors_are_reported(void **state)
{
	struct job *job;
	char *errors;

	(void)state;
	assert_int_equal(parse("nonsense\nanon A 4M\ntouch B seq all\nsleep x\n", &job, &errors),
			 -EINVAL);
	assert_non_null(strstr(errors, "t.job:1: "));
	assert_non_null(strstr(errors, "t.job:3: "));
	assert_non_null(strstr(errors, "t.job:4: "));
	assert_null(strstr(errors, "t.job:2: "));
	free(errors);
	/* What is no text is said once, not line by line. */
	assert_int_equal(job_parse_text("t.job", "a\0b\nc\0d\n", 8, &job, &errors), -EINVAL);
	assert_non_null(strstr(errors, "t.job:1: the line holds a zero byte"));
	assert_null(strstr(errors, "t.job:2: "));
	free(errors);
}

static const char good_text[] =
	"# a comment\n"
	"machine nodes=256M/0+256M/1 cpus=2 swap=512M swapiops=1500 trace=4096 fs=1\n"
	"\n"
	"khugepaged off  # true already\n"
	"anon A 260M nothp node=1 mlock\r\n"
	"file F 300M\n"
	"mapfile M F\n"
	"touch A seq all\n"
	"touch M zipf 20000 ro seed=5 threads=4\n"
	"read F random 0x100 seed=777\n"
	"free A every=2 offset=1\n"
	"sysctl swappiness 60 70\n"
	"bg write F seq all\n"
	"parallel\n"
	"  touch A random 10\n"
	"  sleep 20\n"
	"end\n"
	"alloc B order=3 count=7 gfp=GFP_KERNEL|__GFP_NORETRY try\n"
	"release B every=3 offset=2\n"
	"trace on\n"
	"every 100 snapshot tick\n"
	"snapshot end\n"
	"expect vmstat.pswpout > 0 and meminfo.MemFree <= 100000\n"
	"digest F\n"
	"wait";

static void test_good_job(void **state)
{
	struct job *job = NULL;
	char *errors = NULL;
	const struct job_command *c;

	(void)state;
	if (parse(good_text, &job, &errors) != 0)
		fail_msg("%s", errors);
	assert_true(job->machine.given);
	assert_string_equal(job->machine.spec, "nodes=256M/0+256M/1 swapiops=1500");
	assert_string_equal(job->machine.cpus, "2");
	assert_string_equal(job->machine.swap, "512M");
	assert_int_equal(job->nr_objects, 4);
	assert_int_equal(job->objects[0].bytes, 260 * MIB);
	assert_int_equal(job->objects[0].node, 1);
	assert_int_equal(job->objects[0].flags, NEAP_LOCKED | NEAP_NO_HUGE);
	assert_int_equal(job->objects[2].file, 1);
	assert_int_equal(job->objects[2].bytes, 300 * MIB);
	assert_true(job->has_trace_window);
	assert_int_equal(job->digest_line, 24);
	c = job->commands;
	assert_int_equal(c[0].op, JOB_OP_NOTHING);
	assert_int_equal(c[4].op, JOB_OP_TOUCH);
	assert_int_equal(c[4].count, 66560);
	assert_int_equal(c[4].seed, PAGESEQ_DEFAULT_SEED);
	assert_int_equal(c[5].threads, 4);
	assert_true(c[5].read_only);
	assert_int_equal(c[5].object, 2);
	assert_int_equal(c[6].count, 0x100);
	assert_int_equal(c[7].every, 2);
	assert_int_equal(c[7].offset, 1);
	assert_string_equal(c[8].name, "swappiness");
	assert_string_equal(c[8].text, "60 70");
	assert_true(c[9].background);
	assert_int_equal(c[9].line, 13);
	assert_int_equal(c[10].op, JOB_OP_PARALLEL);
	assert_int_equal(c[13].op, JOB_OP_END);
	assert_int_equal(c[14].gfp, 0x10cc0);
	assert_true(c[14].may_fail);
	assert_int_equal(c[15].every, 3);
	assert_int_equal(c[15].offset, 2);
	assert_int_equal(job->total_accesses, 66560 + 20000 + 0x100 + 76800 + 10);
	job_free(job);
}

/*
 * Random cuts and changes of a good job: an answer, never a crash. Leaks show under the sanitizer.
 */
static void test_mutations(void **state)
{
	const char *given = getenv("NEAP_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 1;
	struct rng rng;

	(void)state;
	print_message("NEAP_SEED=%llu\n", (unsigned long long)seed);
	rng_seed(&rng, seed);
	for (uint32_t i = 0; i < 3000; i++) {
		char text[sizeof(good_text)];
		size_t bytes = 1 + rng_below(&rng, sizeof(good_text) - 1);
		struct job *job = NULL;
		char *errors = NULL;

		memcpy(text, good_text, sizeof(text));
		for (uint64_t n = rng_below(&rng, 8); n > 0; n--)
			text[rng_below(&rng, bytes)] = (char)rng_next(&rng);
		if (job_parse_text("t.job", text, bytes, &job, &errors) == 0) {
			job_free(job);
		} else {
			assert_non_null(errors);
			assert_int_equal(strncmp(errors, "t.job:", 6), 0);
			free(errors);
		}
	}
}

static void test_files(void **state)
{
	struct job *job = NULL;
	char *errors = NULL;

	(void)state;
	assert_int_equal(job_parse_file("/no/such.job", &job, &errors), -EINVAL);
	assert_non_null(strstr(errors, "/no/such.job: cannot be read"));
	free(errors);
	assert_int_equal(job_parse_file("/", &job, &errors), -EINVAL);
	free(errors);
	assert_int_equal(job_file_is_trace("/no/such.job"), -ENOENT);
	assert_int_equal(job_from_trace("/x/redis.7.ptr.xz", &job, &errors), 0);
	assert_string_equal(job->objects[0].name, "redis");
	job_free(job);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_jobs), cmocka_unit_test(test_all_errors_are_reported),
		cmocka_unit_test(test_good_job), cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
