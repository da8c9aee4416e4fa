/*
 * The histogram of stalls (core/stall.c): counts, totals, and quantiles that are the
 * upper edge of a bucket at most 12.5 % wide.
 *
 *   durations ── stall_record, on any CPU ──> buckets ── stall_summarize ──> p50, p99, max
 *
 * A quantile is compared with the true one of the same durations, sorted here.
 *
 * What must never happen here: a quantile below the true one, or above the maximum.
 */
#include "machine_fixture.h"

#include "base/rng.h"
#include "core/stall.h"

static struct stall_summary summary(struct machine_fixture *f)
{
	struct stall_summary out;

	stall_summarize(f->m, &out);
	return out;
}

static void forget(struct machine_fixture *f)
{
	for (uint32_t cpu = 0; cpu < f->m->nr_cpus; cpu++) {
		struct cpu *c = &f->m->cpus[cpu];

		memset(c->stall_bucket, 0, sizeof(c->stall_bucket));
		c->stall_count = c->stall_total_ns = c->stall_max_ns = 0;
	}
}

static void body_few(struct machine_fixture *f)
{
	struct stall_summary s = summary(f);

	assert_int_equal(s.count, 0);
	assert_int_equal(s.p50_ns, 0);
	assert_int_equal(s.p99_ns, 0);
	stall_record(f->t, 1000);
	s = summary(f);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.total_ns, 1000);
	assert_int_equal(s.max_ns, 1000);
	assert_int_equal(s.p50_ns, 1000); /* the bucket's edge, cut at the maximum */
	assert_int_equal(s.p99_ns, 1000);
	/* Small values have buckets of their own, or nearly so. */
	forget(f);
	stall_record(f->t, 0);
	stall_record(f->t, 0);
	stall_record(f->t, 5);
	s = summary(f);
	assert_in_range(s.p50_ns, 0, 1);
	assert_int_equal(s.p99_ns, 5);
	/* The largest there are. */
	forget(f);
	stall_record(f->t, UINT64_MAX);
	s = summary(f);
	assert_int_equal(s.p50_ns, UINT64_MAX);
	forget(f);
}

MACHINE_TEST(few, 0);

/* With 1 long one among 100 the 99th is short; with 2 among 101 the 100th is long. */
static void body_rank(struct machine_fixture *f)
{
	for (uint32_t i = 0; i < 99; i++)
		stall_record(f->t, 100);
	stall_record(f->t, 1000000);
	struct stall_summary s = summary(f);

	assert_in_range(s.p50_ns, 100, 112);
	assert_in_range(s.p99_ns, 100, 112);
	assert_int_equal(s.max_ns, 1000000);
	assert_int_equal(s.total_ns, 99 * 100 + 1000000);
	stall_record(f->t, 1000000);
	s = summary(f);
	assert_int_equal(s.count, 101);
	assert_int_equal(s.p99_ns, 1000000);
	forget(f);
}

MACHINE_TEST(rank, 0);

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct elsewhere {
	const uint64_t *value;
	uint32_t nr;
};

static int record_all(struct task *t, void *arg)
{
	const struct elsewhere *e = arg;

	for (uint32_t i = 0; i < e->nr; i++)
		stall_record(t, e->value[i]);
	return 0;
}

/* Random durations over nine powers of ten, half of them recorded on another CPU. */
static void body_random(struct machine_fixture *f)
{
	static uint64_t value[2000];
	struct cpumask cpus = { { 0 } };
	struct task *task;
	struct rng rng;

	rng_seed(&rng, machine_seed());
	cpumask_set(&cpus, 1);
	for (uint32_t round = 0; round < 20; round++) {
		uint64_t total = 0;

		for (uint32_t i = 0; i < ARRAY_LEN(value); i++) {
			value[i] = rng_next(&rng) >> (34 + rng_below(&rng, 30));
			total += value[i];
		}
		struct elsewhere e = { value, 1000 };
		const struct task_spec spec = {
			.name = "other", .fn = record_all, .arg = &e, .cpus = &cpus
		};

		assert_int_equal(rt_spawn(f->t, &spec, &task), 0);
		assert_int_equal(rt_join(f->t, task), 0);
		assert_int_equal(f->m->cpus[1].stall_count, 1000);
		(void)record_all(f->t, &(struct elsewhere){ value + 1000, 1000 });
		qsort(value, ARRAY_LEN(value), sizeof(value[0]), compare);
		struct stall_summary s = summary(f);

		assert_int_equal(s.count, 2000);
		assert_int_equal(s.total_ns, total);
		assert_int_equal(s.max_ns, value[1999]);
		uint64_t p50 = value[1000 - 1];
		uint64_t p99 = value[1980 - 1];

		assert_in_range(s.p50_ns, p50, p50 + p50 / 8 + 1);
		assert_in_range(s.p99_ns, p99, p99 + p99 / 8 + 1);
		assert_true(s.p99_ns <= s.max_ns);
		forget(f);
	}
}

MACHINE_TEST(random, 0);

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few),
		cmocka_unit_test(test_rank),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
