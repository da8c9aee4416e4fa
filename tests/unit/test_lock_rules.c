/*
 * test_lock_rules.c: the rules of port/rt.h that stop the program when broken.
 *
 * Each breach runs in a child process. The test reads what the child printed
 * before it aborted, so a breach that goes unnoticed fails the test, and so does
 * one that is noticed for the wrong reason.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "aborts.h"
#include "core/pagelock.h"
#include "core/shrinker.h"
#include "core/sleeplock.h"
#include "rt/live/live.h"
#include "rt/panic.h"

static struct task *new_task(void)
{
	struct rt *rt;

	if (rt_live_create(2, &rt) != 0)
		_exit(9);
	return rt_live_attach(rt, "breaker");
}

static struct spinlock lru_lock;
static struct spinlock zone_lock;
static struct spinlock second_zone_lock;
static _Atomic uint32_t word;

static void wait_with_lock(void)
{
	struct task *t = new_task();

	spin_lock(t, &lru_lock, LOCK_LRU);
	spin_lock(t, &zone_lock, LOCK_ZONE);
	rt_wait(t, &word, 1, 0);
}

static void sleep_with_lock(void)
{
	struct task *t = new_task();

	spin_lock(t, &lru_lock, LOCK_LRU);
	rt_sleep(t, 1);
}

static void yield_with_pin(void)
{
	struct task *t = new_task();

	cpu_pin(t);
	cpu_pin(t);
	rt_yield(t);
}

static void join_in_completion(void)
{
	struct task *t = new_task();

	t->flags |= PF_IRQ;
	rt_join(t, t);
}

static void sleep_after_release(void)
{
	struct task *t = new_task();

	cpu_pin(t);
	spin_lock(t, &lru_lock, LOCK_LRU);
	spin_unlock(t, &lru_lock, LOCK_LRU);
	cpu_unpin(t);
	rt_sleep(t, 1);
}

static void test_sleep_rules(void **state)
{
	char text[512];

	(void)state;
	assert_true(aborts(wait_with_lock, text, sizeof(text)));
	assert_non_null(strstr(text, "breaker"));
	assert_non_null(strstr(text, "spin locks of class LRU ZONE"));
	assert_true(aborts(sleep_with_lock, text, sizeof(text)));
	assert_non_null(strstr(text, "spin locks of class LRU\n"));
	assert_true(aborts(yield_with_pin, text, sizeof(text)));
	assert_non_null(strstr(text, "pinned CPU 0 2 deep"));
	assert_true(aborts(join_in_completion, text, sizeof(text)));
	assert_non_null(strstr(text, "PF_IRQ"));
	assert_false(aborts(sleep_after_release, text, sizeof(text)));
	assert_string_equal(text, "");
}

/* ---- reclaim ---- */

static struct reclaim_tally tally;

static void wait_in_reclaim(void)
{
	struct task *t = new_task();

	t->tally = &tally;
	sleeplock_take(t, &word);
}

static void lock_page_in_reclaim(void)
{
	static struct page page;
	struct task *t = new_task();

	t->tally = &tally;
	page_lock(t, &page);
}

static void try_in_reclaim(void)
{
	struct task *t = new_task();

	t->tally = &tally;
	if (!sleeplock_try(&word))
		_exit(9);
	t->tally = NULL;
	sleeplock_release(t, &word);
	sleeplock_take(t, &word);
}

/* Whoever holds such a lock may allocate, and the request may wait for this very reclaim. */
static void test_reclaim_waits_for_no_lock(void **state)
{
	char text[512];

	(void)state;
	assert_int_equal(aborts(wait_in_reclaim, text, sizeof(text)), NEAP_DEBUG_BUILD);
	if (NEAP_DEBUG_BUILD)
		assert_non_null(strstr(text, "tally"));
	assert_int_equal(aborts(lock_page_in_reclaim, text, sizeof(text)), NEAP_DEBUG_BUILD);
	if (NEAP_DEBUG_BUILD)
		assert_non_null(strstr(text, "tally"));
	assert_false(aborts(try_in_reclaim, text, sizeof(text)));
}

static void fail_check(void)
{
	CHECK(1 + 1 == 3);
}

static void test_check_message(void **state)
{
	char text[512];

	(void)state;
	assert_true(aborts(fail_check, text, sizeof(text)));
	assert_non_null(strstr(text, "neap: check failed: "));
	assert_non_null(strstr(text, "test_lock_rules.c:"));
	assert_non_null(strstr(text, ": 1 + 1 == 3\n"));
}

static void take_in_wrong_order(void)
{
	struct task *t = new_task();

	spin_lock(t, &zone_lock, LOCK_ZONE);
	spin_lock(t, &lru_lock, LOCK_LRU);
}

static void take_two_of_a_class(void)
{
	struct task *t = new_task();

	spin_lock(t, &zone_lock, LOCK_ZONE);
	spin_lock(t, &second_zone_lock, LOCK_ZONE);
}

static void try_in_wrong_order(void)
{
	struct task *t = new_task();

	spin_lock(t, &zone_lock, LOCK_ZONE);
	if (!spin_trylock(t, &lru_lock, LOCK_LRU))
		_exit(9);
}

static void pin_under_lock(void)
{
	struct task *t = new_task();

	spin_lock(t, &zone_lock, LOCK_ZONE);
	cpu_pin(t);
}

static void unpin_under_lock(void)
{
	struct task *t = new_task();

	cpu_pin(t);
	spin_lock(t, &zone_lock, LOCK_ZONE);
	cpu_unpin(t);
}

static void take_remote_while_pinned(void)
{
	struct task *t = new_task();

	cpu_pin(t);
	assert_true(slot_take_remote(t, &t->rt->slots[1]));
}

static void unlock_what_is_not_held(void)
{
	spin_unlock(new_task(), &lru_lock, LOCK_LRU);
}

static void preempt_under_lock(void)
{
	struct task *t = new_task();

	spin_lock(t, &lru_lock, LOCK_LRU);
	rt_preempt(t);
}

static void obey_the_order(void)
{
	struct task *t = new_task();

	cpu_pin(t);
	spin_lock(t, &lru_lock, LOCK_LRU);
	spin_lock(t, &zone_lock, LOCK_ZONE);
	cpu_pin(t);
	cpu_unpin(t);
	spin_unlock(t, &zone_lock, LOCK_ZONE);
	spin_unlock(t, &lru_lock, LOCK_LRU);
	cpu_unpin(t);
	assert_true(slot_take_remote(t, &t->rt->slots[1]));
	slot_put_remote(t, &t->rt->slots[1]);
	rt_preempt(t);
}

/* The order is checked in debug builds; other builds do not pay for it. */
static void test_order_rules(void **state)
{
	static void (*const breaches[])(void) = {
		take_in_wrong_order, take_two_of_a_class,     try_in_wrong_order,
		pin_under_lock,	     unpin_under_lock,	      take_remote_while_pinned,
		preempt_under_lock,  unlock_what_is_not_held,
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(breaches); i++) {
		assert_int_equal(aborts(breaches[i], text, sizeof(text)), NEAP_DEBUG_BUILD);
		if (NEAP_DEBUG_BUILD)
			assert_non_null(strstr(text, "rt.h:"));
	}
	assert_false(aborts(obey_the_order, text, sizeof(text)));
}

static void test_class_names(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < NR_LOCK_CLASSES; i++)
		assert_true(strlen(panic_lock_class_name((enum lock_class)i)) >= 2);
	assert_string_equal(panic_lock_class_name(NR_LOCK_CLASSES), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sleep_rules),
		cmocka_unit_test(test_check_message),
		cmocka_unit_test(test_order_rules),
		cmocka_unit_test(test_reclaim_waits_for_no_lock),
		cmocka_unit_test(test_class_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
