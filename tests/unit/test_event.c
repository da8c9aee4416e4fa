/*
 * Trace events (core/event.c): rings of records, one a CPU; what is kept when one is
 * full; and that nothing is evaluated while tracing is off.
 *
 *   event_emit ── tracing? ── ring of this CPU ── event_take, by one reader
 *
 * What must never happen here: a record with another event's arguments. Every argument
 * is derived from a running number and checked.
 */
#include "machine_fixture.h"

static void emit(struct task *t, uint64_t number)
{
	event_emit(t, MM_VMSCAN_THROTTLED, number, number + 1, number + 2, number + 3);
}

/* => false: the ring is empty */
static bool take(struct machine_fixture *f, uint32_t cpu, uint64_t number)
{
	struct event_record record;

	if (!event_take(f->m, cpu, &record))
		return false;
	assert_int_equal(record.id, TE_MM_VMSCAN_THROTTLED);
	assert_int_equal(record.cpu, cpu);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(record.arg[i], number + i);
	return true;
}

static void body_basic(struct machine_fixture *f)
{
	struct event_record record;
	uint32_t evaluated = 0;

	/* Off: nothing is recorded, not even the arguments are computed. */
	event_emit(f->t, MM_VMSCAN_KSWAPD_SLEEP, evaluated++);
	assert_int_equal(evaluated, 0);
	assert_int_equal(event_start(f->m), 0);
	event_emit(f->t, MM_VMSCAN_KSWAPD_SLEEP, evaluated++);
	assert_int_equal(evaluated, 1);
	assert_true(event_take(f->m, 0, &record));
	assert_int_equal(record.id, TE_MM_VMSCAN_KSWAPD_SLEEP);
	assert_int_equal(record.task, f->t->id);
	assert_string_equal(record.comm, "main");
	assert_int_equal(record.time_ns, rt_now(f->t));
	assert_false(event_take(f->m, 0, &record));
	rt_sleep(f->t, 12345);
	emit(f->t, 7);
	uint64_t now_ns = rt_now(f->t);

	rt_sleep(f->t, 999);
	assert_true(event_take(f->m, 0, &record));
	assert_int_equal(record.time_ns, now_ns);
	event_stop(f->m);
	emit(f->t, 8);
	assert_false(event_take(f->m, 0, &record));
	/* What was recorded before the stop can be taken after it. */
	assert_int_equal(event_start(f->m), 0);
	emit(f->t, 9);
	event_stop(f->m);
	assert_true(take(f, 0, 9));
	assert_int_equal(event_lost(f->m, 0), 0);
}

MACHINE_TEST(basic, 0);

/* A full ring keeps the beginning, counts the rest, and goes on when there is room. */
static void body_overflow(struct machine_fixture *f)
{
	assert_int_equal(event_start(f->m), 0);
	for (uint64_t i = 0; i < EVENT_RING_RECORDS + 100; i++)
		emit(f->t, 1000 * i);
	assert_int_equal(event_lost(f->m, 0), 100);
	for (uint64_t i = 0; i < 10; i++)
		assert_true(take(f, 0, 1000 * i));
	for (uint64_t i = 0; i < 12; i++)
		emit(f->t, 5 + 1000 * i);
	assert_int_equal(event_lost(f->m, 0), 102);
	for (uint64_t i = 10; i < EVENT_RING_RECORDS; i++)
		assert_true(take(f, 0, 1000 * i));
	for (uint64_t i = 0; i < 10; i++)
		assert_true(take(f, 0, 5 + 1000 * i));
	assert_false(take(f, 0, 0));
	/* Round and round. */
	for (uint64_t i = 0; i < 3 * EVENT_RING_RECORDS; i++) {
		emit(f->t, i);
		assert_true(take(f, 0, i));
	}
	assert_int_equal(event_lost(f->m, 0), 102);
	event_stop(f->m);
}

MACHINE_TEST(overflow, 0);

static int emit_many(struct task *t, void *arg)
{
	uint64_t first = *(const uint64_t *)arg;

	for (uint64_t i = 0; i < 500; i++) {
		emit(t, first + 10 * i);
		rt_preempt(t);
	}
	return 0;
}

/* Each CPU has its own ring: the order on one CPU is kept, losses are counted where they are. */
static void body_cpus(struct machine_fixture *f)
{
	uint64_t first[4] = { 0, 100000, 200000, 300000 };
	struct task *task[4];

	rt_sleep(f->t, NSEC_PER_MSEC); /* kcompactd tells that it sleeps */
	assert_int_equal(event_start(f->m), 0);
	for (uint32_t cpu = 1; cpu < 4; cpu++) {
		struct cpumask cpus = { { 0 } };
		const struct task_spec spec = {
			.name = "emitter", .fn = emit_many, .arg = &first[cpu], .cpus = &cpus
		};

		cpumask_set(&cpus, cpu);
		assert_int_equal(rt_spawn(f->t, &spec, &task[cpu]), 0);
	}
	for (uint32_t cpu = 1; cpu < 4; cpu++)
		assert_int_equal(rt_join(f->t, task[cpu]), 0);
	for (uint32_t cpu = 1; cpu < 4; cpu++) {
		for (uint64_t i = 0; i < 500; i++)
			assert_true(take(f, cpu, first[cpu] + 10 * i));
		assert_false(take(f, cpu, 0));
		assert_int_equal(event_lost(f->m, cpu), 0);
	}
	assert_false(take(f, 0, 0));
	event_stop(f->m);
}

MACHINE_TEST(cpus, .nr_cpus = 4);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
