/*
 * Virtual CPUs on a host's processors (rt/sim/host.c): what they get of them alone and
 * together, and how long one waits for another's answer.
 */
#include <errno.h>

#include "rt_bench.h"

#define WORK_NS (400 * MSEC)
#define ROUND_NS (4 * MSEC)

struct pair {
	uint64_t ended_ns[2];
	uint32_t nr_answers;
	bool asks;
};

static int work_first(struct task *t, void *arg)
{
	struct pair *pair = arg;

	if (pair->asks) {
		while (rt_now(t) < WORK_NS) {
			work(t, USEC);
			pair->nr_answers += t->rt->ops->shoot_down(t, true);
		}
	} else {
		work(t, WORK_NS);
	}
	pair->ended_ns[0] = rt_now(t);
	return 0;
}

static int work_second(struct task *t, void *arg)
{
	struct pair *pair = arg;

	work(t, WORK_NS);
	pair->ended_ns[1] = rt_now(t);
	return 0;
}

/* The first on CPU 1, somebody who works on CPU 0. */
static int work_beside(struct task *t, const struct task_spec *first)
{
	const struct task_spec second = { .name = "second", .fn = work_second, .arg = first->arg };
	struct task *a = spawn_on(t, first, 1);
	struct task *b = spawn_on(t, &second, 0);

	rt_join(t, a);
	rt_join(t, b);
	return 0;
}

static int work_both(struct task *t, void *arg)
{
	return work_beside(
		t, &(struct task_spec){
			   .name = "first", .fn = work_first, .arg = arg, .flags = PF_KTHREAD });
}

static struct rt_sim_config host_config(uint32_t processors, uint32_t others_permille)
{
	struct rt_sim_config config = plain_config(2);

	config.seed = test_seed();
	config.host_round_ns = ROUND_NS;
	config.host_balance_ns = 64 * MSEC;
	config.host_processors = processors;
	config.host_others_permille = others_permille;
	return config;
}

static struct pair run_config(int (*fn)(struct task *t, void *arg),
			      const struct rt_sim_config *config, bool asks)
{
	struct pair pair = { .asks = asks };
	struct bench bench;

	bench_open(&bench, config);
	assert_int_equal(rt_sim_run(bench.rt, fn, &pair), 0);
	rt_sim_destroy(bench.rt);
	return pair;
}

static struct pair run_pair(int (*fn)(struct task *t, void *arg), uint32_t processors,
			    uint32_t others, bool asks)
{
	struct rt_sim_config config = host_config(processors, others * 1000);

	return run_config(fn, &config, asks);
}

static void test_create_refuses(void **state)
{
	struct rt_sim_config config = plain_config(2);
	struct rt *rt;

	(void)state;
	config.host_round_ns = ROUND_NS;
	assert_int_equal(rt_sim_create(&config, &rt), -EINVAL);
	config.host_processors = 17;
	assert_int_equal(rt_sim_create(&config, &rt), -EINVAL);
}

/* With a processor for each nobody waits; with others there, each thread gets its part. */
static void test_share_of_processor(void **state)
{
	struct pair pair;

	(void)state;
	pair = run_pair(work_second, 1, 0, false);
	assert_in_range(pair.ended_ns[1], WORK_NS, WORK_NS + MSEC);
	pair = run_pair(work_second, 2, 3, false);
	assert_in_range(pair.ended_ns[1], WORK_NS * 17 / 10, WORK_NS * 23 / 10);
	pair = run_pair(work_both, 2, 0, false);
	assert_in_range(pair.ended_ns[0], WORK_NS, WORK_NS + MSEC);
	assert_in_range(pair.ended_ns[1], WORK_NS, WORK_NS + MSEC);
}

/* Two on one processor never run at once. */
static void test_one_processor_for_two(void **state)
{
	struct pair pair = run_pair(work_both, 1, 0, false);

	(void)state;
	assert_in_range(max_u64(pair.ended_ns[0], pair.ended_ns[1]), WORK_NS * 2 - 8 * ROUND_NS,
			WORK_NS * 2 + 8 * ROUND_NS);
	assert_true(min_u64(pair.ended_ns[0], pair.ended_ns[1]) > WORK_NS * 15 / 10);
}

/* On one processor an answer costs a round, on two nearly nothing. */
static void test_one_answer_a_round(void **state)
{
	const uint32_t rounds = (uint32_t)(WORK_NS / ROUND_NS);
	struct pair pair = run_pair(work_both, 1, 0, true);

	(void)state;
	/* Turns vary in length; when the other is done nobody is asked. */
	assert_in_range(pair.nr_answers, rounds / 2, rounds * 2);
	pair = run_pair(work_both, 2, 0, true);
	assert_true(pair.nr_answers > 100 * rounds);
}

/*
 * With a mean of one, nobody, one or two others are there a quarter, half and a quarter of the
 * time, which leaves 7 of 12 parts of the processor; with half a one, one is there or not: 3 of 4.
 */
static void test_others_come_and_go(void **state)
{
	struct rt_sim_config config = host_config(1, 1000);
	uint64_t ended_ns;

	(void)state;
	config.host_stay_ns = 10 * MSEC;
	ended_ns = run_config(work_second, &config, false).ended_ns[1];
	assert_in_range(ended_ns, WORK_NS * 14 / 10, WORK_NS * 21 / 10);
	config.host_others_permille = 500;
	ended_ns = run_config(work_second, &config, false).ended_ns[1];
	assert_in_range(ended_ns, WORK_NS * 115 / 100, WORK_NS * 16 / 10);
	config.host_others_permille = 0;
	ended_ns = run_config(work_second, &config, false).ended_ns[1];
	assert_in_range(ended_ns, WORK_NS, WORK_NS + MSEC);
}

/* Where numbers alone would leave two of ours where they are, they meet and part all the same. */
static void test_two_meet_and_part(void **state)
{
	struct rt_sim_config config = host_config(2, 2000);
	uint32_t most, nr;

	(void)state;
	config.host_balance_ns = 1000 * MSEC;
	config.host_apart_ns = 1000 * MSEC;
	config.host_together_ns = 1;
	most = run_config(work_both, &config, true).nr_answers;
	config.host_together_ns = 30 * MSEC;
	config.host_apart_ns = 10 * MSEC;
	nr = run_config(work_both, &config, true).nr_answers;
	assert_in_range(nr, 1000, most * 3 / 4);
	/* Nobody is left alone with an idle processor beside him. */
	config.host_others_permille = 0;
	nr = run_config(work_both, &config, true).nr_answers;
	assert_true(nr > most);
}

/* Works for 300 us, sleeps for 200, and so on. */
static int work_and_sleep(struct task *t, void *arg)
{
	struct pair *pair = arg;

	for (uint64_t worked_ns = 0; worked_ns < WORK_NS; worked_ns += 300 * USEC) {
		work(t, 300 * USEC);
		rt_sleep(t, 200 * USEC);
	}
	pair->ended_ns[0] = rt_now(t);
	return 0;
}

/*
 * Who sleeps now and then gets no more than his part: while he sleeps each of the others gets on
 * by its part of that time only.
 */
static void test_short_sleep_is_credit_against_each(void **state)
{
	(void)state;
	assert_in_range(run_pair(work_and_sleep, 1, 0, false).ended_ns[0], WORK_NS * 16 / 10,
			WORK_NS * 18 / 10);
	assert_in_range(run_pair(work_and_sleep, 1, 1, false).ended_ns[0], WORK_NS * 18 / 10,
			WORK_NS * 22 / 10);
	assert_in_range(run_pair(work_and_sleep, 1, 3, false).ended_ns[0], WORK_NS * 36 / 10,
			WORK_NS * 44 / 10);
}

#define NR_COPIES 20u

/* Has something copied by the emulator now and then, each time for a millisecond. */
static int work_and_copy(struct task *t, void *arg)
{
	struct pair *pair = arg;

	for (uint32_t i = 0; i < NR_COPIES; i++) {
		work(t, WORK_NS / NR_COPIES);
		t->rt->ops->host_work(t, MSEC);
	}
	pair->ended_ns[0] = rt_now(t);
	return 0;
}

static int copy_beside(struct task *t, void *arg)
{
	return work_beside(t,
			   &(struct task_spec){ .name = "first", .fn = work_and_copy, .arg = arg });
}

static uint64_t late_ns(struct pair pair)
{
	uint64_t ended_ns = pair.ended_ns[0] + pair.ended_ns[1];

	return ended_ns - min_u64(ended_ns, 2 * WORK_NS);
}

/* The emulator's threads use an idle processor; where there is none, one of ours stands still. */
static void test_emulator_works_in_place_of_ours(void **state)
{
	uint64_t copies_ns = NR_COPIES * MSEC;

	(void)state;
	assert_in_range(late_ns(run_pair(copy_beside, 2, 0, false)), copies_ns - MSEC,
			copies_ns + MSEC);
	assert_in_range(late_ns(run_pair(copy_beside, 3, 0, false)), 0, MSEC);
	/* Who works alone leaves the other processor to it. */
	assert_in_range(run_pair(work_and_copy, 2, 0, false).ended_ns[0], WORK_NS, WORK_NS + MSEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_share_of_processor),
		cmocka_unit_test(test_one_processor_for_two),
		cmocka_unit_test(test_one_answer_a_round),
		cmocka_unit_test(test_others_come_and_go),
		cmocka_unit_test(test_two_meet_and_part),
		cmocka_unit_test(test_short_sleep_is_credit_against_each),
		cmocka_unit_test(test_emulator_works_in_place_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
