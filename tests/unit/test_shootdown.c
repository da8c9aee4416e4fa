/*
 * Making other CPUs forget translations, in virtual time (rt/sim/shootdown.c): who is
 * asked, what it costs whom, and how long the asker waits.
 */
#include "rt_bench.h"

#define FORGETS ITEM_FREE
#define ANSWERS ITEM_ODD
#define ALL true
#define ONE false

/* What a task on CPU 1 does while CPU 0 asks. */
enum other {
	OTHER_NONE,
	OTHER_WORKS,
	OTHER_SLEEPS,
	OTHER_ENGINE,
	NR_OTHERS
};

static int other_main(struct task *t, void *arg)
{
	const enum other *other = arg;

	if (*other == OTHER_SLEEPS)
		rt_sleep(t, 2 * MSEC);
	else
		work(t, 2 * MSEC);
	return 0;
}

struct asked {
	enum other other;
	bool all;
	uint32_t nr;
	uint64_t took_ns;
};

static int ask_once(struct task *t, void *arg)
{
	struct asked *asked = arg;
	const struct task_spec spec = { .name = "other",
					.fn = other_main,
					.arg = &asked->other,
					.flags = asked->other == OTHER_ENGINE ? PF_KTHREAD : 0 };
	struct task *child = asked->other != OTHER_NONE ? spawn_on(t, &spec, 1) : NULL;

	work(t, MSEC);
	uint64_t before_ns = rt_now(t);

	asked->nr = t->rt->ops->shoot_down(t, asked->all);
	asked->took_ns = rt_now(t) - before_ns;
	if (child != NULL)
		rt_join(t, child);
	return 0;
}

static void run_ask(struct asked *asked, uint64_t forgets[2], uint64_t answers[2])
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	config.flush_item = FORGETS;
	config.answer_item = ANSWERS;
	bench_open(&bench, &config);
	assert_int_equal(rt_sim_run(bench.rt, ask_once, asked), 0);
	for (uint32_t cpu = 0; cpu < 2; cpu++)
		forgets[cpu] = bench.meters[cpu][FORGETS];
	for (uint32_t cpu = 0; cpu < 2; cpu++)
		answers[cpu] = bench.meters[cpu][ANSWERS];
	rt_sim_destroy(bench.rt);
}

/*
 * Only a CPU that executes a program is asked; it forgets everything or one page. Who forgets by
 * himself and who is interrupted for it are counted apart.
 */
static void test_who_is_asked(void **state)
{
	static const struct {
		uint32_t nr;
		uint64_t mine, others;
	} expected[NR_OTHERS] = {
		[OTHER_NONE] = { 0, 0, 0 }, /* a single entry, on the asker's own CPU */
		[OTHER_WORKS] = { 1, 1, 1 },
		[OTHER_SLEEPS] = { 0, 1, 0 }, /* its CPU had executed it, and is idle now */
		[OTHER_ENGINE] = { 0, 0, 0 },
	};

	(void)state;
	for (enum other other = 0; other < NR_OTHERS; other++) {
		struct asked asked = { .other = other, .all = ALL };
		uint64_t forgets[2], answers[2];

		run_ask(&asked, forgets, answers);
		assert_int_equal(asked.nr, expected[other].nr);
		assert_int_equal(forgets[0], expected[other].mine);
		assert_int_equal(forgets[1], 0);
		assert_int_equal(answers[0], 0);
		assert_int_equal(answers[1], expected[other].others);
		assert_int_equal(asked.took_ns, 0);
		asked.all = ONE;
		run_ask(&asked, forgets, answers);
		assert_int_equal(asked.nr, expected[other].nr);
		assert_int_equal(forgets[0] + forgets[1] + answers[0] + answers[1], 0);
	}
}

#define ASKS 400u

/* Asks again and again. => how often it took long, and how long that was */
struct waits {
	uint32_t nr_asked, nr_waited;
	uint64_t longest_ns;
};

static int program(struct task *t, void *arg)
{
	(void)arg;
	work(t, 400 * MSEC);
	return 0;
}

static int ask_often(struct task *t, void *arg)
{
	struct waits *waits = arg;

	for (uint32_t i = 0; i < ASKS; i++) {
		work(t, 100 * USEC);
		uint64_t before_ns = rt_now(t);

		waits->nr_asked += t->rt->ops->shoot_down(t, ALL);
		uint64_t waited_ns = rt_now(t) - before_ns;

		waits->nr_waited += waited_ns != 0;
		waits->longest_ns = max_u64(waits->longest_ns, waited_ns);
	}
	return 0;
}

static int ask_beside_program(struct task *t, void *arg)
{
	const struct task_spec engine = {
		.name = "engine", .fn = ask_often, .arg = arg, .flags = PF_KTHREAD
	};
	const struct task_spec other = { .name = "program", .fn = program };
	struct task *asker = spawn_on(t, &engine, 0);
	struct task *child = spawn_on(t, &other, 1);

	rt_join(t, asker);
	rt_join(t, child);
	return 0;
}

static struct waits run_often(uint64_t round_ns, uint32_t processors)
{
	struct rt_sim_config config = plain_config(2);
	struct waits waits = { 0 };
	struct bench bench;

	config.host_round_ns = round_ns;
	config.host_processors = processors;
	config.host_balance_ns = 20 * MSEC;
	config.host_others_permille = 2000;
	bench_open(&bench, &config);
	assert_int_equal(rt_sim_run(bench.rt, ask_beside_program, &waits), 0);
	rt_sim_destroy(bench.rt);
	return waits;
}

/* A virtual CPU that its host has taken away answers when it is back. */
static void test_waits_for_stolen_cpu(void **state)
{
	struct waits waits;

	(void)state;
	waits = run_often(0, 1);
	assert_true(waits.nr_asked >= ASKS - 1);
	assert_int_equal(waits.nr_waited, 0);
	waits = run_often(4 * MSEC, 2);
	assert_true(waits.nr_asked >= ASKS / 2);
	assert_true(waits.nr_waited >= 5);
	assert_true(waits.longest_ns >= 500 * USEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_asked),
		cmocka_unit_test(test_waits_for_stolen_cpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
