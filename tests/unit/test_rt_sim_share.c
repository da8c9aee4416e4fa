/*
 * test_rt_sim_share.c: how tasks of the simulated runtime share its CPUs.
 *
 * Who waits often and works little is not held up by who works all the time; nobody
 * waits for a CPU while another one is idle; nobody saves up more than a few
 * milliseconds by sleeping. How tests simulate work is in rt_bench.h.
 */
#include "rt_bench.h"

/* Sleeps a little and works a little, as a program does that waits for its disk. */
struct reader {
	uint64_t latest_ns; /* the longest that it was woken late */
	uint64_t late_ns;   /* all together */
	uint64_t end_ns;
	uint32_t cpus; /* bits of those it woke on */
};

#define READS 40u
#define READ_NS (200 * USEC)
#define READ_WORK_NS (50 * USEC)

static int read_often(struct task *t, void *arg)
{
	struct reader *reader = arg;

	for (uint32_t i = 0; i < READS; i++) {
		uint64_t due_ns = rt_now(t) + READ_NS;

		rt_sleep(t, READ_NS);
		uint64_t late_ns = rt_now(t) - due_ns;

		reader->latest_ns = max_u64(reader->latest_ns, late_ns);
		reader->late_ns += late_ns;
		reader->cpus |= 1u << task_cpu(t);
		work(t, READ_WORK_NS);
	}
	reader->end_ns = rt_now(t);
	return 0;
}

static int work_long(struct task *t, void *arg)
{
	work(t, 30 * MSEC);
	*(uint64_t *)arg = rt_now(t);
	return 0;
}

struct pair {
	struct reader reader;
	uint64_t hog_ns; /* when the hog ended */
	bool pinned;
};

/* A reader beside an engine thread that works without a break, both at home on CPU 0. */
static int reader_and_hog(struct task *t, void *arg)
{
	struct pair *pair = arg;
	struct task_spec spec = { .name = "reader", .fn = read_often, .arg = &pair->reader };
	const struct task_spec hog = {
		.name = "kswapd0", .fn = work_long, .arg = &pair->hog_ns, .flags = PF_KTHREAD
	};
	struct task *tasks[2];

	tasks[0] = spawn_on(t, &spec, 0);
	if (!pair->pinned) {
		struct cpumask all = { { 3 } };

		CHECK(t->rt->ops->set_cpus(tasks[0], &all) == 0);
	}
	tasks[1] = spawn_on(t, &hog, 0);
	CHECK(rt_join(t, tasks[0]) == 0);
	return rt_join(t, tasks[1]);
}

static void run_pair(struct pair *pair, bool pinned)
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	memset(pair, 0, sizeof(*pair));
	pair->pinned = pinned;
	config.wake_latency_ns = 7 * USEC;
	bench_open(&bench, &config);
	assert_int_equal(rt_sim_run(bench.rt, reader_and_hog, pair), 0);
	rt_sim_destroy(bench.rt);
}

/* Once the hog is 2 ms ahead, the reader is let in each time after the latency of a wake-up. */
static void test_sleeper_preempts_who_had_more(void **state)
{
	struct pair pair;

	(void)state;
	run_pair(&pair, true);
	assert_int_equal(pair.reader.cpus, 1);
	assert_in_range(pair.reader.latest_ns, 7 * USEC, 4 * MSEC);
	assert_in_range(pair.reader.late_ns, 0, 4 * MSEC + READS * 10 * USEC);
	/* Nothing is lost: both together took their work. */
	assert_in_range(pair.hog_ns, 30 * MSEC, 30 * MSEC + READS * (READ_WORK_NS + 10 * USEC));
}

static void test_waking_program_finds_idle_cpu(void **state)
{
	struct pair pair;

	(void)state;
	run_pair(&pair, false);
	assert_int_equal(pair.reader.cpus & 2, 2);
	assert_in_range(pair.reader.late_ns, 0, READS * USEC);
	assert_in_range(pair.hog_ns, 30 * MSEC, 30 * MSEC + 500 * USEC);
}

/* ---- sleep is credited up to a limit ---- */

struct sleeper {
	uint64_t hog_ns[2];
};

static int sleep_then_work(struct task *t, void *arg)
{
	rt_sleep(t, 400 * MSEC);
	return work_long(t, arg);
}

static int work_then_note(struct task *t, void *arg)
{
	work(t, 405 * MSEC);
	*(uint64_t *)arg = rt_now(t);
	return 0;
}

static int sleeper_and_hog(struct task *t, void *arg)
{
	struct sleeper *s = arg;
	const struct task_spec specs[2] = {
		{ .name = "sleeper", .fn = sleep_then_work, .arg = &s->hog_ns[0] },
		{ .name = "worker", .fn = work_then_note, .arg = &s->hog_ns[1] },
	};
	struct task *tasks[2];

	for (uint32_t i = 0; i < 2; i++)
		tasks[i] = spawn_on(t, &specs[i], 0);
	return rt_join(t, tasks[0]) + rt_join(t, tasks[1]);
}

/* 400 ms of sleep do not buy 30 ms of work: the other one, 5 ms from its end, gets its turns. */
static void test_sleep_buys_little(void **state)
{
	struct sleeper s = { { 0 } };
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	assert_int_equal(rt_sim_run(bench.rt, sleeper_and_hog, &s), 0);
	rt_sim_destroy(bench.rt);
	assert_in_range(s.hog_ns[1], 405 * MSEC, 420 * MSEC);
	assert_in_range(s.hog_ns[0], 430 * MSEC, 436 * MSEC);
}

/* ---- a CPU that has nothing to do ---- */

static int work_short(struct task *t, void *arg)
{
	work(t, 10 * MSEC);
	*(uint64_t *)arg = rt_now(t);
	return 0;
}

/* Three programs on two CPUs: 30 and 30 ms on one of them, 10 ms on the other. */
static int three_programs(struct task *t, void *arg)
{
	uint64_t *ends_ns = arg;
	const struct task_spec specs[3] = {
		{ .name = "long", .fn = work_long, .arg = &ends_ns[0] },
		{ .name = "long", .fn = work_long, .arg = &ends_ns[1] },
		{ .name = "short", .fn = work_short, .arg = &ends_ns[2] },
	};
	struct cpumask all = { { 3 } };
	struct task *tasks[3];

	for (uint32_t i = 0; i < 3; i++) {
		tasks[i] = spawn_on(t, &specs[i], i / 2);
		CHECK(t->rt->ops->set_cpus(tasks[i], &all) == 0);
	}
	int result = 0;

	for (uint32_t i = 0; i < 3; i++)
		result += rt_join(t, tasks[i]);
	return result;
}

static void test_idle_cpu_takes_who_waits(void **state)
{
	uint64_t ends_ns[3] = { 0 };
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	assert_int_equal(rt_sim_run(bench.rt, three_programs, ends_ns), 0);
	rt_sim_destroy(bench.rt);
	/* 70 ms of work are done by two CPUs; without the move one of them would take 60. */
	assert_in_range(max_u64(ends_ns[0], ends_ns[1]), 35 * MSEC, 41 * MSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sleeper_preempts_who_had_more),
		cmocka_unit_test(test_waking_program_finds_idle_cpu),
		cmocka_unit_test(test_sleep_buys_little),
		cmocka_unit_test(test_idle_cpu_takes_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
