/*
 * live_wait.c: the runtime on POSIX threads, waiting and the passing of time.
 *
 *	rt_wait(word, 7)                       rt_wake(word, 1)
 *	  *word != 7 ? -> -EAGAIN                FUTEX_WAKE on the word's address
 *	  FUTEX_WAIT_BITSET until a deadline  <--+
 *
 * The kernel compares the word and puts the thread to sleep in one step with
 * respect to FUTEX_WAKE, which is all that rt_wait() promises. Deadlines are
 * points of the monotonic clock, so a signal that interrupts a wait does not
 * lengthen it: the wait goes on to the same deadline. The words are C11 atomics
 * and the callers loop on their conditions, so the memory ordering comes from
 * the words and not from the system call.
 *
 * Contention. A spin lock or a slot's word is held for some hundred nanoseconds,
 * so the first answer is to look again a bounded number of times with a pause in
 * between. When that does not help, the holder is probably off its real CPU, and
 * the best thing to do is to give it this one: sched_yield(). Both are counted in
 * the task.
 *
 * Home slots. Only a task itself may change t->slot, so set_cpus() for another
 * task leaves a note that the task reads when it next returns from a wait. A task
 * whose CPU went offline learns it when it next pins, by finding the word taken. The
 * real CPU follows the neap CPU only where every CPU of the mask exists and the
 * process may use it; on a smaller computer binding some threads to a part of
 * the CPUs would only unbalance it.
 *
 * What must never happen: a sleep with a lock or a pin held (checked before any
 * of these runs), or a wake that allocates, blocks or fails.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "rt/live/live_private.h"

/* About 4 us with the 40 ns of a pause on current x86: longer than any lock is held. */
#define SPIN_PAUSES 100u

uint64_t live_clock_ns(void)
{
	struct timespec now;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* The point of the monotonic clock that is ns from now; false when it is too far to matter. */
static bool live_deadline(uint64_t ns, struct timespec *out)
{
	uint64_t now_ns = live_clock_ns();
	uint64_t at_ns = now_ns + ns;

	/* 2^63 ns is 292 years. Beyond that (and for a sum that wraps) the wait has no end. */
	if (at_ns < now_ns || at_ns > INT64_MAX)
		return false;
	out->tv_sec = (time_t)(at_ns / NSEC_PER_SEC);
	out->tv_nsec = (long)(at_ns % NSEC_PER_SEC);
	return true;
}

/* ---- CPUs ---- */

/* Does the mask name all CPUs of the runtime that are not stopped? */
static bool live_is_all_cpus(const struct live *live, const struct cpumask *cpus)
{
	struct cpumask all = live_usable_cpus(live, NULL);

	return cpumask_count(cpus) >= cpumask_count(&all);
}

void live_bind_thread(const struct live *live, pthread_t thread, const struct cpumask *cpus)
{
	cpu_set_t real;

	CPU_ZERO(&real);
	if (live_is_all_cpus(live, cpus)) {
		real = live->process_cpus;
	} else {
		for (uint32_t cpu = 0; cpu < live->head.rt.nr_slots; cpu++) {
			if (!cpumask_test(cpus, cpu))
				continue;
			if (!CPU_ISSET(cpu, &live->process_cpus))
				return;
			CPU_SET(cpu, &real);
		}
	}
	if (CPU_COUNT(&real) == 0)
		return;
	/* Binding is a wish: a refusal (a CPU that went away) costs speed and nothing else. */
	(void)pthread_setaffinity_np(thread, sizeof(real), &real);
}

/* Carries out a move that set_cpus() asked for while the task was not looking. */
static void live_follow_move(struct task *t)
{
	struct live_task *lt = live_task_of(t);

	if (likely(atomic_load_explicit(&lt->moved_to, memory_order_relaxed) == 0))
		return;
	uint32_t to = atomic_exchange(&lt->moved_to, 0);

	if (to != 0)
		t->slot = &t->rt->slots[to - 1];
}

int live_set_cpus(struct task *t, const struct cpumask *cpus)
{
	struct live *live = live_of(t->rt);
	struct live_task *lt = live_task_of(t);
	struct cpumask usable = live_usable_cpus(live, cpus);

	if (cpumask_empty(&usable))
		return -EINVAL;
	if (t != rt_live_current(t->rt)) {
		/*
		 * Where the task is now is its own business: tell it where to go. A task
		 * that is in the mask already moves too, which is allowed.
		 */
		live_bind_thread(live, lt->thread, &usable);
		atomic_store(&lt->moved_to,
			     live_choose_cpu(live, &usable, &live->next_kthread) + 1);
		return 0;
	}
	CHECK(t->pin_depth == 0 && t->held == 0);
	live_bind_thread(live, pthread_self(), &usable);
	atomic_store(&lt->moved_to, 0);
	if (!cpumask_test(&usable, task_cpu(t)))
		t->slot = &t->rt->slots[live_choose_cpu(live, &usable, &live->next_program)];
	return 0;
}

/* Gives the task another CPU if its own is stopped. */
static void live_leave_cpu(struct task *t)
{
	struct live *live = live_of(t->rt);
	struct live_task *lt = live_task_of(t);

	t->slot = &t->rt->slots[live_choose_cpu(live, &lt->cpus, &live->next_program)];
}

int live_stop_cpu(struct task *t, uint32_t cpu)
{
	struct live *live = live_of(t->rt);

	atomic_fetch_or(&live->stopped[cpu / 64], (uint64_t)1 << (cpu % 64));
	if (task_cpu(t) == cpu)
		live_leave_cpu(t);
	return 0;
}

void live_start_cpu(struct task *t, uint32_t cpu)
{
	atomic_fetch_and(&live_of(t->rt)->stopped[cpu / 64], ~((uint64_t)1 << (cpu % 64)));
}

/* ---- waiting ---- */

int live_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns)
{
	struct timespec deadline;
	struct timespec *until = NULL;
	int err = 0;

	if (timeout_ns != RT_FOREVER && live_deadline(timeout_ns, &deadline))
		until = &deadline;
	do { /* ends: only a signal that arrives in this very wait repeats it */
		long ret = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expect, until, NULL,
				   FUTEX_BITSET_MATCH_ANY);

		err = ret == 0 ? 0 : -errno;
	} while (err == -EINTR);
	CHECK(err == 0 || err == -EAGAIN || err == -ETIMEDOUT);
	live_follow_move(t);
	return err;
}

void live_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	int count = nr > INT_MAX ? INT_MAX : (int)nr;

	(void)t;
	CHECK(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0) >= 0);
}

void live_sleep(struct task *t, uint64_t ns)
{
	struct timespec deadline;
	int err;

	if (!live_deadline(ns, &deadline)) {
		deadline.tv_sec = (time_t)(INT64_MAX / (int64_t)NSEC_PER_SEC);
		deadline.tv_nsec = 0;
	}
	do { /* ends: the deadline stands still */
		err = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
	} while (err == EINTR);
	CHECK(err == 0);
	live_follow_move(t);
}

void live_yield(struct task *t)
{
	sched_yield();
	live_follow_move(t);
}

uint64_t live_now(struct task *t)
{
	return live_clock_ns() - live_of(t->rt)->start_ns;
}

uint64_t live_random(struct task *t)
{
	struct rng rng = { t->random_state };
	uint64_t value = rng_next(&rng);

	t->random_state = rng.state;
	return value;
}

/* The kernel below preempts threads on its own. */
void live_preempt(struct task *t)
{
	(void)t;
}

int live_call_at(struct task *t, uint32_t cpu, uint64_t at_ns, rt_call_fn fn, void *arg, uint64_t a,
		 uint64_t b)
{
	(void)t;
	(void)cpu;
	(void)at_ns;
	(void)fn;
	(void)arg;
	(void)a;
	(void)b;
	return -ENOSYS;
}

/* ---- contention ---- */

static void live_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Looks at the word until it is free or patience ends; then gives the real CPU away. */
static void live_spin(struct live_task *lt, _Atomic uint32_t *word)
{
	for (uint32_t i = 0; i < SPIN_PAUSES; i++) {
		live_pause();
		if (atomic_load_explicit(word, memory_order_relaxed) == 0)
			return;
	}
	lt->contention.yields++;
	sched_yield();
}

void live_lock_contended(struct task *t, struct spinlock *lock, enum lock_class class)
{
	struct live_task *lt = live_task_of(t);

	(void)class;
	lt->contention.locks++;
	live_spin(lt, &lock->word);
}

void live_slot_contended(struct task *t, struct cpu_slot *slot)
{
	struct live_task *lt = live_task_of(t);

	lt->contention.slots++;
	/* An offline slot's word is never given back. Its pin was asked for, and is not held yet.
	 */
	if (atomic_load_explicit(&slot->offline, memory_order_acquire) != 0) {
		if (t->slot == slot)
			live_leave_cpu(t);
		return;
	}
	live_spin(lt, &slot->word);
}

/*
 * The thread sanitizer does not know what membarrier() orders, and would see races where there
 * are none.
 */
#if defined(__SANITIZE_THREAD__)
#define FAVOURITES false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FAVOURITES false
#endif
#endif
#ifndef FAVOURITES
#define FAVOURITES true
#endif

bool live_fence_prepare(void)
{
	return FAVOURITES &&
	       syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void live_slot_empty(struct task *t, struct cpu_slot *slot)
{
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	/* event loop: the favourite unpins */
	while (atomic_load_explicit(&slot->inside, memory_order_acquire) != 0)
		live_spin(live_task_of(t), &slot->inside);
}
