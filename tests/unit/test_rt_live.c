/*
 * test_rt_live.c: the runtime on real threads.
 *
 * Times are only used as bounds that cannot fail on a slow computer (a timeout
 * does not come early), never as measurements. The file is meant to run under
 * the thread sanitizer, too.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rt/live/live.h"

#define ROUNDS 20000u

static struct rt *new_rt(uint32_t nr_cpus)
{
	struct rt *rt = NULL;

	assert_int_equal(rt_live_create(nr_cpus, &rt), 0);
	return rt;
}

static struct task *spawn(struct task *t, const char *name, int (*fn)(struct task *, void *),
			  void *arg)
{
	const struct task_spec spec = { .name = name, .fn = fn, .arg = arg };
	struct task *child = NULL;

	assert_int_equal(rt_spawn(t, &spec, &child), 0);
	return child;
}

/* ---- who am I ---- */

static void test_create_refuses(void **state)
{
	struct rt *rt;

	(void)state;
	assert_int_equal(rt_live_create(0, &rt), -EINVAL);
	assert_int_equal(rt_live_create(NEAP_MAX_CPUS + 1, &rt), -EINVAL);
}

static void test_attach(void **state)
{
	struct rt *rt = new_rt(3);

	(void)state;
	assert_null(rt_live_current(rt));
	rt_live_detach(rt);
	struct task *t = rt_live_attach(rt, "a name that is too long");

	assert_non_null(t);
	assert_ptr_equal(rt_live_current(rt), t);
	assert_ptr_equal(rt_live_attach(rt, "again"), t);
	assert_string_equal(t->name, "a name that is ");
	assert_int_equal(t->id, 1);
	assert_true(task_cpu(t) < 3);
	rt_live_detach(rt);
	assert_null(rt_live_current(rt));
	rt_live_destroy(rt);
}

static void test_several_runtimes(void **state)
{
	struct rt *rts[3];
	struct task *tasks[3];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		rts[i] = new_rt(1);
		tasks[i] = rt_live_attach(rts[i], "many");
		assert_non_null(tasks[i]);
	}
	for (size_t i = 0; i < 9; i++)
		assert_ptr_equal(rt_live_current(rts[i * 2 % 3]), tasks[i * 2 % 3]);
	rt_live_detach(rts[1]);
	assert_null(rt_live_current(rts[1]));
	assert_ptr_equal(rt_live_current(rts[0]), tasks[0]);
	assert_ptr_equal(rt_live_current(rts[2]), tasks[2]);
	for (size_t i = 0; i < 3; i++)
		rt_live_destroy(rts[i]);
}

/* The allocator likes to give the same address again; the old task must not come back with it. */
static void test_same_address(void **state)
{
	uint32_t same = 0;

	(void)state;
	for (uint32_t i = 0; i < 100; i++) {
		struct rt *first = new_rt(1);
		uintptr_t address = (uintptr_t)first;

		assert_non_null(rt_live_attach(first, "old"));
		rt_live_destroy(first);
		struct rt *second = new_rt(1);

		same += (uintptr_t)second == address;
		assert_null(rt_live_current(second));
		rt_live_destroy(second);
	}
	print_message("same address %u times in 100\n", same);
}

struct visit {
	struct rt *rt;
	pthread_barrier_t *barrier;
};

static void *visit_and_leave(void *arg)
{
	const struct visit *visit = arg;
	struct task *t = rt_live_attach(visit->rt, "visitor");

	CHECK(t != NULL && rt_live_current(visit->rt) == t);
	cpu_pin(t);
	cpu_unpin(t);
	if (visit->barrier != NULL) {
		pthread_barrier_wait(visit->barrier);
		pthread_barrier_wait(visit->barrier);
	}
	return NULL;
}

static void test_thread_ends_without_detach(void **state)
{
	struct visit visit = { new_rt(2), NULL };
	pthread_t thread;

	(void)state;
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(pthread_create(&thread, NULL, visit_and_leave, &visit), 0);
		pthread_join(thread, NULL);
	}
	assert_null(rt_live_current(visit.rt));
	rt_live_destroy(visit.rt);
}

static void test_runtime_ends_before_thread(void **state)
{
	pthread_barrier_t barrier;
	struct visit visit = { new_rt(2), &barrier };
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, visit_and_leave, &visit), 0);
	pthread_barrier_wait(&barrier);
	rt_live_destroy(visit.rt);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
}

/* ---- spawn and join ---- */

static int report_self(struct task *t, void *arg)
{
	char name[32] = "";
	sigset_t blocked;

	pthread_getname_np(pthread_self(), name, sizeof(name));
	CHECK(strcmp(name, t->name) == 0);
	CHECK(rt_live_current(t->rt) == t);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	CHECK((sigismember(&blocked, SIGINT) != 0) == ((t->flags & PF_KTHREAD) != 0));
	CHECK(sigismember(&blocked, SIGSEGV) == 0);
	*(struct task **)arg = t;
	return (int)t->id + 100;
}

static void test_spawn_join(void **state)
{
	struct rt *rt = new_rt(4);
	struct task *t = rt_live_attach(rt, "main");
	struct cpumask mask = { { 0 } };
	struct task *self = NULL, *child = NULL;

	(void)state;
	t->machine = (struct neap_machine *)(void *)rt;
	cpumask_set(&mask, 2);
	cpumask_set(&mask, 200);
	const struct task_spec spec = { .name = "kswapd0",
					.fn = report_self,
					.arg = &self,
					.cpus = &mask,
					.flags = PF_KTHREAD | PF_KSWAPD };

	assert_int_equal(rt_spawn(t, &spec, &child), 0);
	assert_string_equal(child->name, "kswapd0");
	assert_int_equal(child->flags, PF_KTHREAD | PF_KSWAPD);
	assert_int_equal(task_cpu(child), 2);
	assert_ptr_equal(child->machine, t->machine);
	assert_int_equal(rt_join(t, child), 102);
	assert_ptr_equal(self, child);
	child = spawn(t, "program", report_self, &self);
	assert_int_equal(rt_join(t, child), 103);
	rt_live_destroy(rt);
}

static int return_cpu(struct task *t, void *arg)
{
	(void)arg;
	return (int)task_cpu(t);
}

/* Home slots go round; a mask without CPUs (a node that has none) means all. */
static void test_home_slots(void **state)
{
	struct rt *rt = new_rt(4);
	struct task *t = rt_live_attach(rt, "main");
	const struct cpumask none = { { 0 } };
	struct cpumask two = { { 0xa } };
	uint32_t seen = 0;

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		seen |= 1u << rt_join(t, spawn(t, "w", return_cpu, NULL));
	assert_int_equal(seen, 0xf);
	seen = 0;
	for (uint32_t i = 0; i < 12; i++) {
		const struct task_spec spec = { .name = "w",
						.fn = return_cpu,
						.cpus = i < 4 ? &none : &two };
		struct task *child;

		assert_int_equal(rt_spawn(t, &spec, &child), 0);
		seen |= 1u << (uint32_t)rt_join(t, child) << (i < 4 ? 0 : 8);
	}
	assert_int_equal(seen, 0xa0f);
	rt_live_destroy(rt);
}

static void test_spawn_fails(void **state)
{
	struct rt *rt = new_rt(2);
	struct task *t = rt_live_attach(rt, "main");
	const struct task_spec spec = { .name = "w", .fn = return_cpu };
	struct task *child;

	(void)state;
	rt_live_fail_spawn(rt, 2);
	assert_int_equal(rt_spawn(t, &spec, &child), 0);
	rt_join(t, child);
	assert_int_equal(rt_spawn(t, &spec, &child), -EAGAIN);
	assert_int_equal(rt_spawn(t, &spec, &child), 0);
	rt_join(t, child);
	rt_live_fail_spawn(rt, 1);
	rt_live_fail_spawn(rt, 0);
	assert_int_equal(rt_spawn(t, &spec, &child), 0);
	rt_join(t, child);
	rt_live_destroy(rt);
}

/* ---- waiting ---- */

static void test_wait_returns(void **state)
{
	struct rt *rt = new_rt(1);
	struct task *t = rt_live_attach(rt, "main");
	_Atomic uint32_t word = 7;

	(void)state;
	assert_int_equal(rt_wait(t, &word, 8, RT_FOREVER), -EAGAIN);
	uint64_t before_ns = rt_now(t);

	assert_int_equal(rt_wait(t, &word, 7, 3 * NSEC_PER_MSEC), -ETIMEDOUT);
	assert_true(rt_now(t) - before_ns >= 3 * NSEC_PER_MSEC);
	assert_int_equal(rt_wait(t, &word, 7, 0), -ETIMEDOUT);
	before_ns = rt_now(t);
	rt_sleep(t, 2 * NSEC_PER_MSEC);
	assert_true(rt_now(t) - before_ns >= 2 * NSEC_PER_MSEC);
	rt_wake(t, &word, UINT32_MAX);
	rt_yield(t);
	rt_live_destroy(rt);
}

struct ball {
	_Atomic uint32_t side;
	uint32_t hits; /* plain: the ball's side says whose it is */
};

static int play(struct task *t, void *arg)
{
	struct ball *ball = arg;

	for (uint32_t i = 0; i < ROUNDS / 10; i++) {
		while (atomic_load(&ball->side) != 1)
			rt_wait(t, &ball->side, 0, RT_FOREVER);
		ball->hits++;
		atomic_store(&ball->side, 0);
		rt_wake(t, &ball->side, 1);
	}
	return 0;
}

static void test_wait_wake(void **state)
{
	struct rt *rt = new_rt(2);
	struct task *t = rt_live_attach(rt, "main");
	struct ball ball = { 0, 0 };
	struct task *other = spawn(t, "other", play, &ball);

	(void)state;
	for (uint32_t i = 0; i < ROUNDS / 10; i++) {
		while (atomic_load(&ball.side) != 0)
			rt_wait(t, &ball.side, 1, RT_FOREVER);
		assert_int_equal(ball.hits, i);
		atomic_store(&ball.side, 1);
		rt_wake(t, &ball.side, 1);
	}
	rt_join(t, other);
	assert_int_equal(ball.hits, ROUNDS / 10);
	rt_live_destroy(rt);
}

static void on_signal(int number)
{
	(void)number;
}

static int wait_long(struct task *t, void *arg)
{
	_Atomic uint32_t *words = arg;
	uint64_t before_ns = rt_now(t);

	atomic_store(&words[1], 1);
	int err = rt_wait(t, &words[0], 0, 60 * NSEC_PER_MSEC);

	return err == -ETIMEDOUT && rt_now(t) - before_ns >= 60 * NSEC_PER_MSEC ? 0 : 1;
}

/* A signal neither ends a wait nor makes it longer without end. */
static void test_wait_and_signals(void **state)
{
	struct rt *rt = new_rt(2);
	struct task *t = rt_live_attach(rt, "main");
	_Atomic uint32_t words[2] = { 0, 0 };
	struct sigaction action = { .sa_handler = on_signal };
	struct task *child;

	(void)state;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	child = spawn(t, "waiter", wait_long, words);
	while (atomic_load(&words[1]) == 0)
		rt_yield(t);
	for (uint32_t i = 0; i < 10; i++) {
		kill(getpid(), SIGUSR1);
		rt_sleep(t, 3 * NSEC_PER_MSEC);
	}
	assert_int_equal(rt_join(t, child), 0);
	rt_live_destroy(rt);
}

/* ---- exclusion ---- */

struct counted {
	struct spinlock lock;
	uint64_t under_lock;
	uint64_t per_slot[2]; /* plain: belongs to whoever has the slot's word */
};

static int count_both(struct task *t, void *arg)
{
	struct counted *counted = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		cpu_pin(t);
		counted->per_slot[task_cpu(t)]++;
		spin_lock(t, &counted->lock, LOCK_ZONE);
		counted->under_lock++;
		spin_unlock(t, &counted->lock, LOCK_ZONE);
		cpu_unpin(t);
		if (i % 64 == 0) {
			struct cpu_slot *slot = &t->rt->slots[i / 64 % 2];

			assert_true(slot_take_remote(t, slot));
			counted->per_slot[slot->cpu] += 3;
			slot_put_remote(t, slot);
		}
	}
	return 0;
}

static void test_exclusion(void **state)
{
	struct rt *rt = new_rt(2);
	struct task *t = rt_live_attach(rt, "main");
	struct counted counted = { .under_lock = 0 };
	struct task *workers[4];
	uint64_t remote = (ROUNDS + 63) / 64;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(workers); i++)
		workers[i] = spawn(t, "worker", count_both, &counted);
	for (size_t i = 0; i < ARRAY_LEN(workers); i++)
		rt_join(t, workers[i]);
	assert_int_equal(counted.under_lock, 4 * ROUNDS);
	assert_int_equal(counted.per_slot[0] + counted.per_slot[1], 4 * (ROUNDS + 3 * remote));
	rt_live_destroy(rt);
}

/*
 * Favourites: a task pins so often in a row that the slot becomes its own, others visit it and pin
 * it, too, and it becomes its own again; nobody is ever inside with it.
 */
#define FAVOURITE_PINS 10000000u

struct favoured {
	uint64_t count; /* plain: belongs to whoever has the slot */
	volatile uint32_t inside;
	_Atomic uint32_t gone; /* those who have finished */
	uint64_t visits;       /* plain, too */
	uint64_t favourites;   /* plain: pins that found themselves the favourite's */
};

/* long_ones: stays long enough for the other one to notice. */
static void favoured_step(struct favoured *favoured, uint32_t long_ones)
{
	assert_int_equal(favoured->inside, 0);
	favoured->count++;
	for (uint32_t i = 0; i < long_ones; i++)
		favoured->inside = 1 + i;
	favoured->inside = 0;
}

static int pin_often(struct task *t, void *arg)
{
	struct favoured *favoured = arg;

	for (uint32_t i = 0; i < FAVOURITE_PINS; i++) {
		cpu_pin(t);
		favoured_step(favoured, 1);
		favoured->favourites += t->pin_word == &t->slot->inside ? 1 : 0;
		cpu_unpin(t);
	}
	atomic_fetch_add(&favoured->gone, 1);
	return 0;
}

static int disturb(struct task *t, void *arg)
{
	struct favoured *favoured = arg;
	struct cpu_slot *slot = &t->rt->slots[0];
	uint64_t visits = 0;

	/* event loop: until the others have finished */
	for (; atomic_load(&favoured->gone) == 0; visits++) {
		assert_true(slot_take_remote(t, slot));
		favoured_step(favoured, 2000);
		slot_put_remote(t, slot);
		for (uint32_t i = 0; i < visits % 3; i++) {
			cpu_pin(t);
			favoured_step(favoured, 2000);
			favoured->visits++;
			cpu_unpin(t);
		}
		for (volatile uint32_t i = 0; i < 40000; i++)
			;
	}
	cpu_pin(t);
	favoured->visits += visits;
	cpu_unpin(t);
	return 0;
}

static void test_favourite(void **state)
{
	struct rt *rt = new_rt(1);
	struct task *t = rt_live_attach(rt, "main");
	struct favoured favoured = { .count = 0 };
	struct task *owner = spawn(t, "owner", pin_often, &favoured);
	struct task *other = spawn(t, "other", disturb, &favoured);

	(void)state;
	rt_join(t, owner);
	rt_join(t, other);
	assert_int_equal(favoured.count, FAVOURITE_PINS + favoured.visits);
	if (rt->favour_after != 0) {
		assert_true(favoured.favourites > 0);
		assert_true(favoured.favourites < FAVOURITE_PINS);
	}
	rt_live_destroy(rt);
}

struct hold {
	struct spinlock lock;
	_Atomic uint32_t held;
	_Atomic uint32_t wanted;
};

static int hold_lock(struct task *t, void *arg)
{
	struct hold *hold = arg;

	spin_lock(t, &hold->lock, LOCK_LRU);
	atomic_store(&hold->held, 1);
	while (atomic_load(&hold->wanted) == 0)
		sched_yield();
	spin_unlock(t, &hold->lock, LOCK_LRU);
	return 0;
}

/* Contention is counted, and a try does not wait. */
static void test_contention_is_counted(void **state)
{
	struct rt *rt = new_rt(2);
	struct task *t = rt_live_attach(rt, "main");
	struct hold hold = { .held = 0 };
	struct task *holder = spawn(t, "holder", hold_lock, &hold);

	(void)state;
	while (atomic_load(&hold.held) == 0)
		rt_yield(t);
	assert_false(spin_trylock(t, &hold.lock, LOCK_LRU));
	assert_int_equal(rt_live_get_contention(t).locks, 0);
	t->rt->ops->lock_contended(t, &hold.lock, LOCK_LRU);
	assert_int_equal(rt_live_get_contention(t).locks, 1);
	assert_int_equal(rt_live_get_contention(t).yields, 1);
	atomic_store(&hold.wanted, 1);
	spin_lock(t, &hold.lock, LOCK_LRU);
	spin_unlock(t, &hold.lock, LOCK_LRU);
	rt_join(t, holder);
	assert_int_equal(rt_live_get_contention(t).slots, 0);
	rt_live_destroy(rt);
}

/* ---- CPUs and the rest ---- */

static int wait_to_be_moved(struct task *t, void *arg)
{
	_Atomic uint32_t *moved = arg;

	while (atomic_load(moved) == 0)
		rt_wait(t, moved, 0, RT_FOREVER);
	rt_sleep(t, 1);
	return (int)task_cpu(t);
}

static void test_set_cpus(void **state)
{
	struct rt *rt = new_rt(4);
	struct task *t = rt_live_attach(rt, "main");
	const struct cpumask none = { { 0 } };
	const struct cpumask far = { .bits = { [3] = 1 } };
	const struct cpumask third = { { 1u << 3 } };
	const struct cpumask all = { { 0xf } };
	_Atomic uint32_t moved = 0;

	(void)state;
	assert_int_equal(rt->ops->set_cpus(t, &none), -EINVAL);
	assert_int_equal(rt->ops->set_cpus(t, &far), -EINVAL);
	assert_int_equal(rt->ops->set_cpus(t, &third), 0);
	assert_int_equal(task_cpu(t), 3);
	assert_int_equal(rt->ops->set_cpus(t, &all), 0);
	assert_int_equal(task_cpu(t), 3);
	struct task *child = spawn(t, "moved", wait_to_be_moved, &moved);

	assert_int_equal(rt->ops->set_cpus(child, &third), 0);
	atomic_store(&moved, 1);
	rt_wake(t, &moved, 1);
	assert_int_equal(rt_join(t, child), 3);
	rt_live_destroy(rt);
}

static void never_called(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	(void)irq;
	(void)arg;
	(void)a;
	(void)b;
	CHECK(a != a);
}

static void test_the_rest(void **state)
{
	struct rt *rt = new_rt(1);
	struct task *t = rt_live_attach(rt, NULL);

	(void)state;
	assert_false(rt->virtual_time);
	assert_false(rt->explore);
	assert_int_equal(rt->ops->call_at(t, 0, 0, never_called, NULL, 0, 0), -ENOSYS);
	rt_preempt(t);
	uint64_t first = rt_random(t);

	assert_int_not_equal(first, rt_random(t));
	assert_true(rt_now(t) <= rt_now(t));
	rt_live_destroy(rt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create_refuses),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_several_runtimes),
		cmocka_unit_test(test_same_address),
		cmocka_unit_test(test_thread_ends_without_detach),
		cmocka_unit_test(test_runtime_ends_before_thread),
		cmocka_unit_test(test_spawn_join),
		cmocka_unit_test(test_home_slots),
		cmocka_unit_test(test_spawn_fails),
		cmocka_unit_test(test_wait_returns),
		cmocka_unit_test(test_wait_wake),
		cmocka_unit_test(test_wait_and_signals),
		cmocka_unit_test(test_exclusion),
		cmocka_unit_test(test_favourite),
		cmocka_unit_test(test_contention_is_counted),
		cmocka_unit_test(test_set_cpus),
		cmocka_unit_test(test_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
