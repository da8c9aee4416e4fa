/*
 * Pressure stall information (core/psi.c, core/psi_trigger.c): spec 14, C1 to C4.
 *
 *   tasks enter and leave sections on known CPUs at known times ──> totals, averages, events
 *
 * Times are virtual, so that totals are exact. Rates of a CPU count by how busy it was; a
 * test with one busy CPU therefore sees its times unchanged.
 */
#include "machine_fixture.h"

#include <errno.h>

#include "base/rng.h"
#include "core/hotplug_cpu.h"
#include "core/psi.h"
#include "core/snapshot.h"

static uint64_t total_us(struct machine_fixture *f, enum psi_state state)
{
	psi_update(f->t, f->m);
	return atomic_load(&f->m->psi.total_ns[state]) / NSEC_PER_USEC;
}

/* ---- arithmetic ---- */

static void test_step(void **state)
{
	(void)state;
	/* Spec 14, C2, by hand: 100 % for one period, from 0. */
	assert_int_equal(psi_average_step(0, 1677, 100),
			 (100 * 2048ull * (2048 - 1677) + 2047) / 2048);
	assert_int_equal(psi_average_step(0, 1677, 0), 0);
	/* A constant load is reached and kept. */
	static const uint32_t kept[] = { 1677, 1981, 2034 };

	for (size_t i = 0; i < 3; i++)
		for (uint64_t percent = 0; percent <= 100; percent += 20) {
			uint64_t average = 0;

			for (uint32_t period = 0; period < 3000; period++)
				average = psi_average_step(average, kept[i], percent);
			assert_int_equal(average >> 11, percent);
			assert_int_equal(psi_average_step(average, kept[i], percent), average);
		}
}

static void test_decay(void **state)
{
	(void)state;
	assert_int_equal(psi_average_decay(204800, 1677, 0), 204800);
	assert_int_equal(psi_average_decay(204800, 1677, 1), 204800ull * 1677 / 2048);
	/* 1677^2 = 2812329, / 2048 = 1373.2: rounded to 1373. */
	assert_int_equal(psi_average_decay(204800, 1677, 2), 204800ull * 1373 / 2048);
	assert_int_equal(psi_average_decay(204800, 2034, 100000), 0);
	/* Never below stepping, by more than the roundings, and never growing. */
	for (uint64_t n = 1; n < 200; n++)
		assert_true(psi_average_decay(204800, 1981, n) <=
			    psi_average_decay(204800, 1981, n - 1));
}

/* ---- sections ---- */

static void body_alone(struct machine_fixture *f)
{
	uint64_t before = total_us(f, PSI_SOME);

	psi_task_begin(f->t);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(total_us(f, PSI_SOME), before);
	psi_memstall_enter(f->t);
	psi_memstall_enter(f->t);
	rt_sleep(f->t, 300 * NSEC_PER_MSEC);
	psi_memstall_leave(f->t);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	psi_memstall_leave(f->t); /* only the outermost counts */
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_in_range(total_us(f, PSI_SOME) - before, 400000, 400100);
	/* Nobody else ran. */
	assert_int_equal(total_us(f, PSI_FULL), total_us(f, PSI_SOME));
	psi_task_end(f->t);
	assert_int_equal(f->t->psi_state, 0);
}

MACHINE_TEST(alone, .nr_cpus = 1);

struct worker {
	struct machine_fixture *f;
	uint64_t stall_ns, work_ns;
	uint32_t cpu;
};

static int worker_main(struct task *t, void *arg)
{
	struct worker *w = arg;
	struct cpumask cpus = { { 0 } };
	uint64_t until;

	cpumask_set(&cpus, w->cpu);
	assert_int_equal(t->rt->ops->set_cpus(t, &cpus), 0);
	psi_task_begin(t);
	if (w->stall_ns != 0) {
		psi_memstall_enter(t);
		rt_sleep(t, w->stall_ns);
		psi_memstall_leave(t);
	}
	until = rt_now(t) + w->work_ns;
	while (rt_now(t) < until) {
		event_add(t, EV_SIM_TICK, 1000);
		rt_preempt(t);
	}
	psi_task_end(t);
	return 0;
}

static void run_workers(struct machine_fixture *f, struct worker *worker, uint32_t nr)
{
	struct task *task[4];

	for (uint32_t i = 0; i < nr; i++) {
		const struct task_spec spec = { .name = "worker",
						.fn = worker_main,
						.arg = &worker[i] };

		worker[i].f = f;
		assert_int_equal(rt_spawn(f->t, &spec, &task[i]), 0);
	}
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(rt_join(f->t, task[i]), 0);
}

/* One task waits for memory while another computes on the same CPU: some, not full. */
static void body_some(struct machine_fixture *f)
{
	struct worker worker[2] = { { .stall_ns = 200 * NSEC_PER_MSEC },
				    { .work_ns = 400 * NSEC_PER_MSEC } };

	run_workers(f, worker, 2);
	assert_in_range(total_us(f, PSI_SOME), 195000, 205000);
	assert_in_range(total_us(f, PSI_FULL), 0, 5000);
	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++)
		assert_int_equal(psi_nr_stalled(&f->m->cpus[cpu].psi), 0);
}

MACHINE_TEST(some, .nr_cpus = 1);

/* Both wait: full. */
static void body_full(struct machine_fixture *f)
{
	struct worker worker[2] = { { .stall_ns = 200 * NSEC_PER_MSEC },
				    { .stall_ns = 300 * NSEC_PER_MSEC } };

	run_workers(f, worker, 2);
	assert_in_range(total_us(f, PSI_SOME), 299000, 301000);
	assert_in_range(total_us(f, PSI_FULL), 299000, 301000);
}

MACHINE_TEST(full, .nr_cpus = 1);

/* CPU 0 stalls all of the time it is not idle, CPU 1 works as long: half of the weight each. */
static void body_weights(struct machine_fixture *f)
{
	struct worker worker[2] = { { .stall_ns = 400 * NSEC_PER_MSEC, .cpu = 0 },
				    { .work_ns = 400 * NSEC_PER_MSEC, .cpu = 1 } };

	run_workers(f, worker, 2);
	assert_in_range(total_us(f, PSI_SOME), 190000, 210000);
	assert_in_range(total_us(f, PSI_FULL), 190000, 210000);
}

MACHINE_TEST(weights, .nr_cpus = 2);

/* A CPU that goes offline forgets its tasks; they are counted where they go on. */
static int sleeper_main(struct task *t, void *arg)
{
	struct worker *w = arg;
	struct cpumask cpus = { { 0 } };

	cpumask_set(&cpus, w->cpu);
	assert_int_equal(t->rt->ops->set_cpus(t, &cpus), 0);
	psi_task_begin(t);
	psi_memstall_enter(t);
	rt_sleep(t, w->stall_ns);
	psi_memstall_leave(t);
	psi_task_end(t);
	return 0;
}

static void body_offline(struct machine_fixture *f)
{
	struct worker worker = { .stall_ns = 300 * NSEC_PER_MSEC, .cpu = 1 };
	const struct task_spec spec = { .name = "sleeper", .fn = sleeper_main, .arg = &worker };
	struct task *task;

	assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(psi_nr_stalled(&f->m->cpus[1].psi), 1);
	assert_int_equal(hotplug_cpu_offline(f->t, 1), 0);
	assert_int_equal(psi_nr_stalled(&f->m->cpus[1].psi), 0);
	rt_sleep(f->t, 100 * NSEC_PER_MSEC);
	assert_int_equal(hotplug_cpu_online(f->t, 1), 0);
	assert_int_equal(rt_join(f->t, task), 0);
	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++) {
		assert_int_equal(psi_nr_stalled(&f->m->cpus[cpu].psi), 0);
		assert_in_range(psi_nr_running(&f->m->cpus[cpu].psi), 0, 2);
	}
}

MACHINE_TEST(offline, .nr_cpus = 2);

/* ---- averages ---- */

static void body_averages(struct machine_fixture *f)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(f->m->nr_nodes));

	assert_non_null(snapshot);
	psi_task_begin(f->t);
	psi_memstall_enter(f->t);
	for (uint32_t i = 0; i < 10; i++) {
		rt_sleep(f->t, 2004 * NSEC_PER_MSEC);
		psi_update(f->t, f->m);
	}
	psi_fill_snapshot(f->m, snapshot);
	/* 10 periods at 100 %: 1 - (1677/2048)^10 = 86.4 %; the rounding adds to it. */
	assert_in_range(snapshot->psi_some.average_hundredths[0], 8600, 8700);
	assert_in_range(snapshot->psi_some.average_hundredths[1], 2800, 2900);
	assert_in_range(snapshot->psi_some.average_hundredths[2], 640, 700);
	psi_memstall_leave(f->t);
	/* Nobody looked for a hundred seconds: the missed periods count as quiet. */
	rt_sleep(f->t, 100 * NSEC_PER_SEC);
	psi_update(f->t, f->m);
	psi_fill_snapshot(f->m, snapshot);
	assert_in_range(snapshot->psi_some.average_hundredths[0], 0, 5);
	assert_in_range(snapshot->psi_some.average_hundredths[1], 500, 560);
	assert_true(snapshot->psi_full.total_us <= snapshot->psi_some.total_us);
	psi_task_end(f->t);
	free(snapshot);
}

MACHINE_TEST(averages, .nr_cpus = 1);

/* ---- triggers ---- */

static void body_trigger_texts(struct machine_fixture *f)
{
	static const struct {
		const char *text;
		int result;
	} cases[] = {
		{ "some 150000 1000000\n", 0 },
		{ "full 150000 1000000\n", 0 },
		{ "some 150000 1000000", -EINVAL }, /* the last digit is lost: a window of 100000 */
		{ "some 0 1000000\n", -EINVAL },
		{ "some 1000001 1000000\n", -EINVAL },
		{ "some 1 499999\n", -EINVAL },
		{ "some 1 10000001\n", -EINVAL },
		{ "none 150000 1000000\n", -EINVAL },
		{ "some\n", -EINVAL },
		{ "", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int number = psi_trigger_open(f->t, f->m, cases[i].text, strlen(cases[i].text));

		if (number != cases[i].result)
			fail_msg("'%s': %d", cases[i].text, number);
		if (number >= 0)
			psi_trigger_close(f->t, f->m, (uint32_t)number);
	}
	for (int i = 0; i < (int)PSI_TRIGGERS; i++)
		assert_int_equal(psi_trigger_open(f->t, f->m, "some 1 500000\n", 14), i);
	assert_int_equal(psi_trigger_open(f->t, f->m, "some 1 500000\n", 14), -EBUSY);
	psi_trigger_close(f->t, f->m, 3);
	assert_int_equal(psi_trigger_open(f->t, f->m, "some 1 500000\n", 14), 3);
}

MACHINE_TEST(trigger_texts, .nr_cpus = 1);

static int staller_main(struct task *t, void *arg)
{
	const uint64_t *stall_ns = arg;

	psi_task_begin(t);
	for (uint32_t i = 0; i < 40; i++) {
		psi_memstall_enter(t);
		rt_sleep(t, *stall_ns);
		psi_memstall_leave(t);
		rt_sleep(t, 100 * NSEC_PER_MSEC - *stall_ns);
	}
	psi_task_end(t);
	return 0;
}

/* => events of a trigger of 200 ms in 1 s while a task stalls so much of every 100 ms, for 4 s */
static uint32_t events_of(struct machine_fixture *f, uint64_t stall_ns)
{
	const struct task_spec spec = { .name = "staller", .fn = staller_main, .arg = &stall_ns };
	int number = psi_trigger_open(f->t, f->m, "some 200000 1000000\n", 20);
	uint64_t end = rt_now(f->t) + 6 * NSEC_PER_SEC;
	uint32_t events = 0;
	struct task *task;

	assert_true(number >= 0);
	assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
	while (rt_now(f->t) < end)
		if (psi_trigger_wait(f->t, f->m, (uint32_t)number, 500 * NSEC_PER_MSEC) == 0)
			events++;
	assert_int_equal(rt_join(f->t, task), 0);
	psi_trigger_close(f->t, f->m, (uint32_t)number);
	assert_int_equal(psi_trigger_wait(f->t, f->m, (uint32_t)number, NSEC_PER_MSEC), -ENOENT);
	return events;
}

static void body_triggers(struct machine_fixture *f)
{
	psi_task_begin(f->t);
	assert_int_equal(events_of(f, 10 * NSEC_PER_MSEC), 0); /* 100 ms a second */
	/* 500 ms a second: about one event a window. */
	assert_in_range(events_of(f, 50 * NSEC_PER_MSEC), 3, 5);
	psi_task_end(f->t);
}

MACHINE_TEST(triggers, .nr_cpus = 1);

/* ---- laws, with programs that really are short of memory ---- */

static void body_laws(struct machine_fixture *f)
{
	struct region *region = machine_region(f, 3000);
	uint64_t before[2] = { 0, 0 };

	psi_task_begin(f->t);
	for (uint32_t round = 0; round < 20; round++) {
		machine_fill(f, region, 0, 3000);
		for (uint32_t state = 0; state < 2; state++) {
			uint64_t now = total_us(f, (enum psi_state)state);

			assert_true(now >= before[state]);
			before[state] = now;
		}
		assert_true(before[PSI_FULL] <= before[PSI_SOME]);
	}
	assert_true(before[PSI_SOME] > 0);
	assert_int_equal(f->t->psi_depth, 0);
	psi_task_end(f->t);
}

MACHINE_TEST(laws, .pages = 1024, .swap_pages = 8192);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_step),	      cmocka_unit_test(test_decay),
		cmocka_unit_test(test_alone),	      cmocka_unit_test(test_some),
		cmocka_unit_test(test_full),	      cmocka_unit_test(test_weights),
		cmocka_unit_test(test_averages),      cmocka_unit_test(test_offline),
		cmocka_unit_test(test_trigger_texts), cmocka_unit_test(test_triggers),
		cmocka_unit_test(test_laws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
