/*
 * test_rt_sim.c: the runtime in virtual time, its operations one by one.
 *
 * Events, time from counts, waiting, sharing a CPU, completions, runs. What must
 * hold for whole programs is in test_rt_sim_order.c, how tests simulate work in
 * rt_bench.h.
 */
#include <errno.h>

#include "base/rng.h"
#include "rt/sim/event.h"
#include "rt_bench.h"

/* ---- the heap of events against a plain search ---- */

#define HEAP_EVENTS 200u

/* The entered event that is due first, by looking at all of them. */
static uint32_t search_first(const struct event *events, const uint64_t *orders)
{
	uint32_t first = HEAP_EVENTS;

	for (uint32_t i = 0; i < HEAP_EVENTS; i++) {
		if (events[i].place == 0)
			continue;
		if (first == HEAP_EVENTS || events[i].at_ns < events[first].at_ns ||
		    (events[i].at_ns == events[first].at_ns && orders[i] < orders[first]))
			first = i;
	}
	return first;
}

static void test_event_order(void **state)
{
	static struct event events[HEAP_EVENTS];
	static uint64_t orders[HEAP_EVENTS];
	struct event_heap heap = { .nr = 0 };
	struct rng rng;

	(void)state;
	event_init(&heap);
	rng_seed(&rng, test_seed());
	memset(events, 0, sizeof(events));
	assert_null(event_first(&heap));
	assert_true(event_first_ns(&heap) == UINT64_MAX);
	assert_int_equal(event_reserve(&heap, HEAP_EVENTS), 0);
	for (uint64_t round = 0; round < 20000; round++) {
		uint32_t i = (uint32_t)rng_below(&rng, HEAP_EVENTS);

		if (events[i].place != 0) {
			event_cancel(&heap, &events[i]);
		} else {
			event_enter(&heap, &events[i], rng_below(&rng, 50));
			orders[i] = round;
		}
		uint32_t first = search_first(events, orders);

		assert_ptr_equal(event_first(&heap), first < HEAP_EVENTS ? &events[first] : NULL);
	}
	while (event_first(&heap) != NULL) {
		assert_ptr_equal(event_first(&heap), &events[search_first(events, orders)]);
		event_cancel(&heap, event_first(&heap));
	}
	event_cancel(&heap, &events[0]);
	event_free(&heap);
}

/* ---- configuration, time ---- */

static void test_create_refuses(void **state)
{
	struct rt_sim_config config = plain_config(0);
	struct rt *rt;

	(void)state;
	assert_int_equal(rt_sim_create(&config, &rt), -EINVAL);
	config.nr_cpus = NEAP_MAX_CPUS + 1;
	assert_int_equal(rt_sim_create(&config, &rt), -EINVAL);
	config.nr_cpus = 1;
	config.switch_item = NR_ITEMS;
	assert_int_equal(rt_sim_create(&config, &rt), -EINVAL);
	config.nr_cpus = NEAP_MAX_CPUS;
	config.switch_item = RT_SIM_NO_ITEM;
	assert_int_equal(rt_sim_create(&config, &rt), 0);
	assert_true(rt->virtual_time);
	assert_false(rt->explore);
	assert_null(rt_sim_current(rt));
	assert_int_equal(rt->slots[NEAP_MAX_CPUS - 1].cpu, NEAP_MAX_CPUS - 1);
	rt_sim_destroy(rt);
}

static int count_odd(struct task *t, void *arg)
{
	struct rng rng = { rt_random(t) | 1 };
	uint64_t odd = 0;

	(void)arg;
	CHECK(rt_sim_current(t->rt) == t);
	CHECK(t->id == 1 && strcmp(t->name, "main") == 0 && task_cpu(t) == 0);
	for (uint32_t i = 0; i < 10000; i++) {
		uint64_t nr = rng_below(&rng, 7);

		count(t, ITEM_ODD, nr);
		count(t, ITEM_FREE, 1000);
		odd += nr;
		if (i % 3 == 0)
			rt_preempt(t);
		if (i % 7 == 0)
			CHECK(rt_now(t) == odd * 333 / 1000);
	}
	CHECK(rt_now(t) == odd * 333 / 1000);
	return 42;
}

/* No picosecond is lost, however often the clock is read. */
static void test_time_is_exact(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, count_odd, NULL), 42);
	assert_null(rt_sim_current(bench.rt));
	assert_true(rt_sim_cpu_clock_ns(bench.rt, 0) > 1000);
	rt_sim_destroy(bench.rt);
}

static int start_meter_late(struct task *t, void *arg)
{
	struct bench *bench = arg;

	rt_preempt(t);
	CHECK(rt_now(t) == 0);
	t->slot->meter = bench->meters[0];
	count(t, ITEM_NS, 5000);
	rt_preempt(t);
	CHECK(rt_now(t) == 0);
	count(t, ITEM_NS, 70);
	CHECK(rt_now(t) == 70);
	count(t, ITEM_NS, 123456);
	rt_sim_skip_meters(t->rt);
	CHECK(rt_now(t) == 70);
	return 0;
}

static void test_meter_may_come_late(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 1);
	bench.rt->slots[0].meter = NULL;
	assert_int_equal(rt_sim_run(bench.rt, start_meter_late, &bench), 0);
	rt_sim_destroy(bench.rt);
}

static int preempt_often(struct task *t, void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < 5000; i++)
		rt_preempt(t);
	return (int)rt_now(t);
}

static void test_time_without_costs(void **state)
{
	struct rt_sim_config config = { .nr_cpus = 2,
					.switch_item = RT_SIM_NO_ITEM,
					.flush_item = RT_SIM_NO_ITEM,
					.answer_item = RT_SIM_NO_ITEM };
	struct bench bench;
	struct rt *rt;

	(void)state;
	assert_int_equal(rt_sim_create(&config, &rt), 0);
	assert_int_equal(rt_sim_run(rt, preempt_often, NULL), 5000 * USEC);
	rt_sim_destroy(rt);
	/* With costs, but nothing counted: such a loop gets a microsecond now and then. */
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, preempt_often, NULL), 5 * USEC);
	rt_sim_destroy(bench.rt);
}

/* ---- waiting ---- */

static int wake_after_work(struct task *t, void *arg)
{
	_Atomic uint32_t *word = arg;

	work(t, 30 * USEC);
	atomic_store(word, 1);
	rt_wake(t, word, 1);
	work(t, 500 * USEC);
	return 17;
}

static int wait_in_all_ways(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "waker", .fn = wake_after_work, .arg = arg };
	_Atomic uint32_t *word = arg;

	CHECK(rt_wait(t, word, 5, RT_FOREVER) == -EAGAIN);
	CHECK(rt_now(t) == 0);
	CHECK(rt_wait(t, word, 0, 100 * USEC) == -ETIMEDOUT);
	CHECK(rt_now(t) == 100 * USEC);
	CHECK(rt_wait(t, word, 0, 0) == -ETIMEDOUT);
	rt_sleep(t, 50 * USEC);
	CHECK(rt_now(t) == 150 * USEC);
	struct task *child = spawn_on(t, &spec, 1);

	CHECK(child->id == 2 && task_cpu(child) == 1);
	CHECK(rt_wait(t, word, 0, 100 * USEC) == 0);
	CHECK(rt_now(t) == 180 * USEC);
	CHECK(rt_join(t, child) == 17);
	CHECK(rt_now(t) == 680 * USEC);
	return 0;
}

static void test_waiting(void **state)
{
	_Atomic uint32_t word = 0;
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	assert_int_equal(rt_sim_run(bench.rt, wait_in_all_ways, (void *)&word), 0);
	rt_sim_destroy(bench.rt);
}

struct order {
	_Atomic uint32_t words[2];
	uint32_t woken[8];
	uint32_t nr_woken;
};

static int wait_and_note(struct task *t, void *arg)
{
	struct order *order = arg;
	_Atomic uint32_t *word = &order->words[t->id % 2];

	CHECK(rt_wait(t, word, 0, RT_FOREVER) == 0);
	order->woken[order->nr_woken++] = t->id;
	return 0;
}

static int wake_in_parts(struct task *t, void *arg)
{
	struct order *order = arg;
	const struct task_spec spec = { .name = "waiter", .fn = wait_and_note, .arg = arg };
	struct task *children[8];

	for (uint32_t i = 0; i < 8; i++) /* ids 2..9 */
		children[i] = spawn_on(t, &spec, 0);
	rt_yield(t);
	rt_wake(t, &order->words[0], 3);
	rt_yield(t);
	CHECK(order->nr_woken == 3);
	rt_wake(t, &order->words[1], 1);
	rt_wake(t, &order->words[0], UINT32_MAX);
	rt_wake(t, &order->words[1], UINT32_MAX);
	for (uint32_t i = 0; i < 8; i++)
		rt_join(t, children[i]);
	return 0;
}

/* Waiters are woken in order of arrival, only those of the word, and only as many as asked. */
static void test_wake_order(void **state)
{
	static const uint32_t expected[8] = { 2, 4, 6, 3, 8, 5, 7, 9 };
	struct order order = { .nr_woken = 0 };
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, wake_in_parts, &order), 0);
	assert_memory_equal(order.woken, expected, sizeof(expected));
	rt_sim_destroy(bench.rt);
}

static int return_id(struct task *t, void *arg)
{
	(void)arg;
	return (int)t->id;
}

static int spawn_thrice(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "w", .fn = return_id };
	struct task *child;

	(void)arg;
	CHECK(rt_spawn(t, &spec, &child) == 0);
	CHECK(rt_join(t, child) == 2);
	CHECK(rt_spawn(t, &spec, &child) == -EAGAIN);
	CHECK(rt_spawn(t, &spec, &child) == 0);
	rt_sleep(t, 10);
	CHECK(rt_join(t, child) == 3);
	return 0;
}

static void test_spawn_fails(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	rt_sim_fail_spawn(bench.rt, 2);
	assert_int_equal(rt_sim_run(bench.rt, spawn_thrice, NULL), 0);
	rt_sim_destroy(bench.rt);
}

static int spawn_masked(struct task *t, void *arg)
{
	const struct cpumask none = { { 0 } };
	const struct task_spec spec = { .name = "w", .fn = return_id, .cpus = &none };
	struct task *children[4];
	uint32_t seen = 0;

	(void)arg;
	for (uint32_t i = 0; i < 4; i++) {
		CHECK(rt_spawn(t, &spec, &children[i]) == 0);
		seen |= 1u << task_cpu(children[i]);
	}
	for (uint32_t i = 0; i < 4; i++)
		rt_join(t, children[i]);
	return (int)seen;
}

/* A node without CPUs gives an empty mask; its tasks are spread over all CPUs. */
static void test_empty_mask_means_all(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 4);
	assert_int_equal(rt_sim_run(bench.rt, spawn_masked, NULL), 0xf);
	rt_sim_destroy(bench.rt);
}

/* ---- sharing a CPU ---- */

struct turns {
	uint32_t ids[64];
	uint64_t ends_ns[64];
	uint32_t nr;
};

/* Works and notes whenever another task has run in between. */
static int take_turns(struct task *t, void *arg)
{
	struct turns *turns = arg;

	for (uint32_t i = 0; i < 12000; i++) {
		if (turns->nr == 0 || turns->ids[turns->nr - 1] != t->id)
			turns->ids[turns->nr++] = t->id;
		work(t, USEC);
		turns->ends_ns[turns->nr - 1] = rt_now(t);
	}
	return 0;
}

static int share_cpu(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "sharer", .fn = take_turns, .arg = arg };
	struct task *first = spawn_on(t, &spec, 0);
	struct task *second = spawn_on(t, &spec, 0);

	rt_join(t, first);
	rt_join(t, second);
	return 0;
}

/* Two tasks with 12 ms of work each on one CPU: 4 ms each in turn. */
static void test_slices(void **state)
{
	struct turns turns = { .nr = 0 };
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, share_cpu, &turns), 0);
	assert_int_equal(turns.nr, 6);
	for (uint32_t i = 0; i < 6; i++) {
		uint64_t began_ns = i > 0 ? turns.ends_ns[i - 1] : 0;

		assert_int_equal(turns.ids[i], 2 + i % 2);
		/* The last microsecond of a turn is noted when the next one of the task begins. */
		assert_in_range(turns.ends_ns[i] - began_ns, 4 * MSEC - 2 * USEC,
				4 * MSEC + 2 * USEC);
	}
	assert_int_equal(rt_sim_cpu_clock_ns(bench.rt, 0), 24 * MSEC);
	assert_in_range(bench.meters[0][ITEM_SWITCH], 8, 10);
	rt_sim_destroy(bench.rt);
}

struct nap {
	_Atomic uint32_t word;
	uint32_t cpu;
	uint64_t ran_ns;
};

static int nap_once(struct task *t, void *arg)
{
	struct nap *nap = arg;

	while (atomic_load(&nap->word) == 0)
		rt_wait(t, &nap->word, 0, RT_FOREVER);
	nap->ran_ns = rt_now(t);
	nap->cpu = task_cpu(t);
	work(t, 10 * USEC);
	return 0;
}

/* Wakes a sleeping task from a busy CPU 0 and goes on working for 10 ms. */
static int wake_and_work(struct task *t, struct nap *nap, uint32_t flags,
			 const struct cpumask *cpus)
{
	const struct task_spec spec = {
		.name = "kswapd0", .fn = nap_once, .arg = nap, .flags = flags, .cpus = cpus
	};
	struct task *child;

	CHECK(rt_spawn(t, &spec, &child) == 0);
	rt_sleep(t, 100 * USEC);
	work(t, 50 * USEC);
	atomic_store(&nap->word, 1);
	rt_wake(t, &nap->word, 1);
	work(t, 10 * MSEC);
	return rt_join(t, child);
}

static int wake_kthread_here(struct task *t, void *arg)
{
	const struct cpumask here = { { 1 } };

	return wake_and_work(t, arg, PF_KTHREAD, &here);
}

static int wake_program_here(struct task *t, void *arg)
{
	const struct cpumask here = { { 1 } };

	return wake_and_work(t, arg, 0, &here);
}

static int wake_kthread_anywhere(struct task *t, void *arg)
{
	return wake_and_work(t, arg, PF_KTHREAD, NULL);
}

static void run_nap(int (*fn)(struct task *, void *), struct nap *nap)
{
	struct rt_sim_config config = plain_config(2);
	struct bench bench;

	config.wake_latency_ns = 7 * USEC;
	memset(nap, 0, sizeof(*nap));
	bench_open(&bench, &config);
	assert_int_equal(rt_sim_run(bench.rt, fn, nap), 0);
	rt_sim_destroy(bench.rt);
}

static void test_wake_preempts(void **state)
{
	struct nap nap;

	(void)state;
	/* An engine thread preempts after its latency... */
	run_nap(wake_kthread_here, &nap);
	assert_int_equal(nap.ran_ns, 157 * USEC);
	assert_int_equal(nap.cpu, 0);
	/* ... and goes to an idle CPU at once. */
	run_nap(wake_kthread_anywhere, &nap);
	assert_int_equal(nap.ran_ns, 150 * USEC);
	assert_int_equal(nap.cpu, 1);
	/* A program's thread waits for its turn. */
	run_nap(wake_program_here, &nap);
	assert_int_equal(nap.ran_ns, 4 * MSEC + 100 * USEC);
}

static int move_about(struct task *t, void *arg)
{
	const struct cpumask second = { { 2 } };
	const struct cpumask first = { { 1 } };
	const struct cpumask none = { { 0 } };
	struct nap nap = { .word = 0 };
	const struct task_spec spec = { .name = "w", .fn = nap_once, .arg = &nap };

	(void)arg;
	CHECK(t->rt->ops->set_cpus(t, &none) == -EINVAL);
	work(t, 30 * USEC);
	CHECK(t->rt->ops->set_cpus(t, &second) == 0);
	CHECK(task_cpu(t) == 1 && rt_now(t) == 30 * USEC);
	struct task *child = spawn_on(t, &spec, 1);

	rt_sleep(t, USEC);
	CHECK(t->rt->ops->set_cpus(child, &first) == 0);
	atomic_store(&nap.word, 1);
	rt_wake(t, &nap.word, 1);
	rt_join(t, child);
	CHECK(nap.cpu == 0);
	CHECK(nap.ran_ns >= 31 * USEC);
	/* A task that is suspended while another CPU runs is moved, too. */
	child = spawn_on(t, &spec, 0);
	work(t, 5 * USEC);
	CHECK(t->rt->ops->set_cpus(child, &second) == 0);
	rt_join(t, child);
	CHECK(nap.cpu == 0 || nap.cpu == 1);
	return 0;
}

static void test_set_cpus(void **state)
{
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	assert_int_equal(rt_sim_run(bench.rt, move_about, NULL), 0);
	rt_sim_destroy(bench.rt);
}

static struct spinlock lru_lock, zone_lock;

/* Other CPUs go on while it holds a lock, and it cannot be moved before it has let go. */
static int work_locked(struct task *t, void *arg)
{
	_Atomic uint32_t *over = arg;

	while (atomic_load(over) == 0) {
		spin_lock(t, &lru_lock, LOCK_LRU);
		spin_lock(t, &zone_lock, LOCK_ZONE);
		count(t, ITEM_NS, USEC);
		spin_unlock(t, &zone_lock, LOCK_ZONE);
		spin_unlock(t, &lru_lock, LOCK_LRU);
		rt_preempt(t);
	}
	return 0;
}

static int move_others(struct task *t, void *arg)
{
	_Atomic uint32_t over = 0;
	const struct task_spec spec = { .name = "moved", .fn = work_locked, .arg = &over };
	struct task *moved[4];

	(void)arg;
	for (uint32_t i = 0; i < ARRAY_LEN(moved); i++)
		moved[i] = spawn_on(t, &spec, i % 2);
	for (uint32_t round = 0; round < 2000; round++) {
		const struct cpumask mask = { { 1u << rt_random(t) % 2 } };

		CHECK(t->rt->ops->set_cpus(moved[rt_random(t) % 4], &mask) == 0);
		work(t, 5 * USEC);
	}
	atomic_store(&over, 1);
	for (uint32_t i = 0; i < ARRAY_LEN(moved); i++)
		rt_join(t, moved[i]);
	return 0;
}

/* Exploring, tasks are moved where they stand: what the switch cost there is the new CPU's. */
static void test_moves_explored(void **state)
{
	static const uint32_t costs[NR_ITEMS] = { 1000, 333, 0, 1500000 };

	(void)state;
	for (uint64_t seed = 0; seed < 50; seed++) {
		struct rt_sim_config config = plain_config(2);
		struct bench bench;

		config.seed = seed;
		config.explore = true;
		config.cost_ps = costs;
		bench_open(&bench, &config);
		assert_int_equal(rt_sim_run(bench.rt, move_others, NULL), 0);
		rt_sim_destroy(bench.rt);
	}
}

/* ---- completions ---- */

struct calls {
	uint64_t at_ns[16];
	uint64_t which[16];
	uint32_t nr;
	_Atomic uint32_t done;
};

static void note_call(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	struct calls *calls = arg;

	CHECK((irq->flags & PF_IRQ) != 0);
	CHECK(task_cpu(irq) == b);
	CHECK(rt_sim_current(irq->rt) == irq);
	CHECK(irq->machine == (struct neap_machine *)(void *)irq->rt);
	cpu_pin(irq);
	calls->at_ns[calls->nr] = rt_now(irq);
	calls->which[calls->nr++] = a;
	count(irq, ITEM_NS, 2 * USEC);
	cpu_unpin(irq);
	rt_preempt(irq);
	if (a == 99) {
		atomic_store(&calls->done, 1);
		rt_wake(irq, &calls->done, 1);
	}
}

static void call(struct task *t, struct calls *calls, uint32_t cpu, uint64_t at_ns, uint64_t which)
{
	CHECK(t->rt->ops->call_at(t, cpu, at_ns, note_call, calls, which, cpu) == 0);
}

static int call_several(struct task *t, void *arg)
{
	struct calls *calls = arg;

	work(t, 100 * USEC);
	call(t, calls, 0, 300 * USEC, 3);
	call(t, calls, 1, 200 * USEC, 1);
	call(t, calls, 1, 200 * USEC, 2);
	call(t, calls, 0, 5, 0);
	work(t, 900 * USEC);
	call(t, calls, 1, 2 * MSEC, 99);
	while (atomic_load(&calls->done) == 0)
		CHECK(rt_wait(t, &calls->done, 0, RT_FOREVER) == 0);
	return (int)rt_now(t);
}

static void test_calls(void **state)
{
	struct calls calls = { .nr = 0 };
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	rt_sim_set_machine(bench.rt, (struct neap_machine *)(void *)bench.rt);
	assert_int_equal(rt_sim_run(bench.rt, call_several, &calls), 2 * MSEC + 2 * USEC);
	assert_int_equal(calls.nr, 5);
	/* A time that is past means now: the next preempt point. */
	assert_int_equal(calls.which[0], 0);
	assert_int_equal(calls.at_ns[0], 101 * USEC);
	/* On an idle CPU at once, and in order of request. */
	assert_int_equal(calls.which[1], 1);
	assert_int_equal(calls.at_ns[1], 200 * USEC);
	assert_int_equal(calls.which[2], 2);
	assert_int_equal(calls.at_ns[2], 202 * USEC);
	/* On a busy CPU at its next preempt point; the two earlier ones have shifted it by 2 us. */
	assert_int_equal(calls.which[3], 3);
	assert_in_range(calls.at_ns[3], 300 * USEC, 301 * USEC);
	assert_int_equal(calls.at_ns[4], 2 * MSEC);
	rt_sim_destroy(bench.rt);
}

/* "All CPUs blocked in direct reclaim while kswapd waits for I/O", in miniature. */
#define BLOCKED_CPUS 4u

struct memory_short {
	struct waitq pages;	/* who waits for memory */
	_Atomic uint32_t io;	/* 1: the write has completed */
	_Atomic uint32_t freed; /* pages there are */
	uint32_t nr_blocked;
	uint64_t ran_ns[BLOCKED_CPUS];
};

static int reclaim_directly(struct task *t, void *arg)
{
	struct memory_short *memory = arg;

	work(t, 10 * USEC * (task_cpu(t) + 1));
	memory->nr_blocked++;
	for (;;) { /* event loop */
		uint32_t seq = waitq_begin(t, &memory->pages);
		bool there = atomic_load(&memory->freed) != 0;

		if (!there)
			waitq_wait(t, &memory->pages, seq, RT_FOREVER);
		waitq_end(&memory->pages);
		if (there)
			break;
	}
	memory->ran_ns[task_cpu(t)] = rt_now(t);
	return 0;
}

static void complete_write(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	struct memory_short *memory = arg;

	CHECK(a == 1 && b == 2);
	CHECK(memory->nr_blocked == BLOCKED_CPUS);
	atomic_store(&memory->io, 1);
	rt_wake(irq, &memory->io, 1);
}

static int write_and_free(struct task *t, void *arg)
{
	struct memory_short *memory = arg;
	uint64_t done_ns = rt_now(t) + 5 * MSEC;

	CHECK(t->rt->ops->call_at(t, task_cpu(t), done_ns, complete_write, memory, 1, 2) == 0);
	while (atomic_load(&memory->io) == 0)
		rt_wait(t, &memory->io, 0, RT_FOREVER);
	CHECK(rt_now(t) >= done_ns);
	work(t, 3 * USEC);
	atomic_store(&memory->freed, BLOCKED_CPUS);
	waitq_wake(t, &memory->pages, UINT32_MAX);
	return 0;
}

static int run_out_of_memory(struct task *t, void *arg)
{
	const struct task_spec worker = { .name = "worker", .fn = reclaim_directly, .arg = arg };
	const struct task_spec kswapd = {
		.name = "kswapd0", .fn = write_and_free, .arg = arg, .flags = PF_KTHREAD | PF_KSWAPD
	};
	struct task *workers[BLOCKED_CPUS];
	struct task *daemon;

	for (uint32_t cpu = 0; cpu < BLOCKED_CPUS; cpu++)
		workers[cpu] = spawn_on(t, &worker, cpu);
	CHECK(rt_spawn(t, &kswapd, &daemon) == 0);
	for (uint32_t cpu = 0; cpu < BLOCKED_CPUS; cpu++)
		rt_join(t, workers[cpu]);
	return rt_join(t, daemon);
}

static void test_all_cpus_blocked(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 20; seed++) {
		struct rt_sim_config config = plain_config(BLOCKED_CPUS);
		struct memory_short memory = { .nr_blocked = 0 };
		struct bench bench;

		config.seed = seed;
		config.explore = seed >= 10;
		bench_open(&bench, &config);
		assert_int_equal(rt_sim_run(bench.rt, run_out_of_memory, &memory), 0);
		for (uint32_t cpu = 0; cpu < BLOCKED_CPUS; cpu++)
			assert_true(memory.ran_ns[cpu] >= 5 * MSEC + 3 * USEC);
		rt_sim_destroy(bench.rt);
	}
}

/* ---- beginning, pausing and ending ---- */

static int sleep_and_tell(struct task *t, void *arg)
{
	_Atomic uint32_t *told = arg;

	for (uint32_t i = 0; i < 10; i++) {
		rt_sleep(t, MSEC);
		atomic_fetch_add(told, 1);
	}
	return 0;
}

static struct task *left_behind;

static int leave_behind(struct task *t, void *arg)
{
	const struct task_spec spec = { .name = "behind", .fn = sleep_and_tell, .arg = arg };

	CHECK(rt_spawn(t, &spec, &left_behind) == 0);
	rt_sleep(t, 3 * MSEC + 1);
	return (int)rt_now(t);
}

static int pick_up(struct task *t, void *arg)
{
	_Atomic uint32_t *told = arg;

	CHECK(atomic_load(told) == 3);
	CHECK(rt_now(t) == 3 * MSEC + 1);
	CHECK(rt_join(t, left_behind) == 0);
	CHECK(atomic_load(told) == 10);
	return (int)rt_now(t);
}

/* Tasks that are left over go on in the next run, and are freed with the runtime otherwise. */
static void test_two_runs(void **state)
{
	_Atomic uint32_t told = 0;
	struct bench bench;

	(void)state;
	bench_open_plain(&bench, 2);
	assert_int_equal(rt_sim_run(bench.rt, leave_behind, (void *)&told), 3 * MSEC + 1);
	assert_int_equal(rt_sim_run(bench.rt, pick_up, (void *)&told), 10 * MSEC);
	rt_sim_destroy(bench.rt);
	told = 0;
	bench_open_plain(&bench, 1);
	assert_int_equal(rt_sim_run(bench.rt, leave_behind, (void *)&told), 3 * MSEC + 1);
	rt_sim_destroy(bench.rt);
	assert_int_equal(told, 3);
}

static int work_on(struct task *t, void *arg)
{
	work(t, 5 * MSEC);
	*(uint64_t *)arg = rt_now(t);
	return 0;
}

static int nothing(struct task *t, void *arg)
{
	(void)t;
	(void)arg;
	return 8;
}

static int rest(struct task *t, void *arg)
{
	(void)arg;
	rt_sleep(t, 10 * MSEC);
	return 9;
}

static void test_end_of_time(void **state)
{
	struct rt_sim_config config = plain_config(2);
	uint64_t ended_ns = 0;
	struct bench bench;

	(void)state;
	config.end_ns = 2 * MSEC;
	bench_open(&bench, &config);
	assert_int_equal(rt_sim_run(bench.rt, work_on, &ended_ns), -ETIME);
	assert_int_equal(rt_sim_cpu_clock_ns(bench.rt, 0), 2 * MSEC);
	assert_int_equal(rt_sim_run(bench.rt, nothing, NULL), -ETIME);
	assert_int_equal(ended_ns, 0);
	rt_sim_set_end_ns(bench.rt, 0);
	assert_int_equal(rt_sim_run(bench.rt, rest, NULL), 9);
	assert_in_range(ended_ns, 5 * MSEC, 5 * MSEC + 10 * USEC);
	rt_sim_destroy(bench.rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_order),
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_time_is_exact),
		cmocka_unit_test(test_meter_may_come_late),
		cmocka_unit_test(test_time_without_costs),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_wake_order),
		cmocka_unit_test(test_spawn_fails),
		cmocka_unit_test(test_empty_mask_means_all),
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_wake_preempts),
		cmocka_unit_test(test_set_cpus),
		cmocka_unit_test(test_moves_explored),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_all_cpus_blocked),
		cmocka_unit_test(test_two_runs),
		cmocka_unit_test(test_end_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
