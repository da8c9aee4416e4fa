/*
 * live.c: the runtime on POSIX threads, the life of its tasks.
 *
 * A task is a thread that has entered the runtime: one of the program's own
 * (rt_live_attach) or one that the engine started (spawn). A neap CPU is only a
 * slot with a word; which real CPU a thread runs on does not matter to the
 * engine, so a machine may have more CPUs than the computer, and many threads
 * may share a slot.
 *
 *	registry ---> live ---------> live          every runtime of the process
 *	               |
 *	               +-> live_task <-> live_task  its tasks, any thread's
 *	                      ^
 *	thread: key ---> member ---> member         the runtimes one thread is in:
 *	        rt_live_tls = last used one         (serial, task) pairs
 *
 * "Whose task am I?" is asked on each call of the public interface, so the
 * answer must cost a few nanoseconds: one thread-local pair remembers the last
 * answer. It is compared by serial number, because a runtime may be destroyed
 * and another one created at the same address, and a stale pair must not match.
 *
 * Who frees what. A spawned task is freed by its join. An attached one by
 * detach, by the destructor of the thread's key when the thread ends without
 * that, or by the destruction of the runtime, whichever comes first. The member
 * list belongs to its thread alone; entries of destroyed runtimes are stale but
 * harmless (no runtime has their serial again), and are swept out when the
 * thread attaches the next time. The registry's mutex decides the race between a
 * thread that ends and a runtime that is destroyed: a task is freed by whoever
 * takes it off the runtime's list.
 *
 * Signals. Engine threads (PF_KTHREAD) block all signals that can be blocked,
 * so that the program's handlers run on the program's threads.
 *
 * What must never happen: a lock of this file held while anything waits, or a
 * task freed while its slot's word is taken.
 */
#include "rt/live/live.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "rt/live/live_private.h"

/* Pins in a row after which a slot is its task's: they cost about what a fence does. */
#define FAVOUR_AFTER 1024u

/* One runtime that a thread is in. Owned by the thread. */
struct live_member {
	uint64_t serial;
	struct task *task;
	struct live_member *next;
};

_Thread_local struct rt_live_tls rt_live_tls;
static _Thread_local struct live_member *thread_members;

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct live *registry; /* registry_lock: all runtimes */
static _Atomic uint64_t next_serial = 1;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;

/* ---- the registry; all of these under registry_lock ---- */

static struct live *registry_find(uint64_t serial)
{
	for (struct live *live = registry; live != NULL; live = live->next)
		if (live->head.serial == serial)
			return live;
	return NULL;
}

static void tasks_insert(struct live *live, struct live_task *lt)
{
	lt->prev = NULL;
	lt->next = live->tasks;
	if (lt->next != NULL)
		lt->next->prev = lt;
	live->tasks = lt;
}

static void tasks_remove(struct live *live, struct live_task *lt)
{
	if (lt->prev != NULL)
		lt->prev->next = lt->next;
	else
		live->tasks = lt->next;
	if (lt->next != NULL)
		lt->next->prev = lt->prev;
}

/* ---- the list of one thread ---- */

/* Takes the entry for the serial off the calling thread's list; NULL when there is none. */
static struct live_member *member_take(uint64_t serial)
{
	for (struct live_member **at = &thread_members; *at != NULL; at = &(*at)->next) {
		struct live_member *member = *at;

		if (member->serial == serial) {
			*at = member->next;
			return member;
		}
	}
	return NULL;
}

static void member_insert(struct live_member *member, uint64_t serial, struct task *task)
{
	member->serial = serial;
	member->task = task;
	member->next = thread_members;
	thread_members = member;
	rt_live_tls.serial = serial;
	rt_live_tls.task = task;
}

/* Drops entries of runtimes that are gone, so that a long-lived thread's list stays short. */
static void member_sweep(void)
{
	struct live_member **at = &thread_members;

	pthread_mutex_lock(&registry_lock);
	while (*at != NULL) {
		struct live_member *member = *at;

		if (registry_find(member->serial) != NULL) {
			at = &member->next;
			continue;
		}
		*at = member->next;
		free(member);
	}
	pthread_mutex_unlock(&registry_lock);
}

/* Runs when a thread ends that has been attached: what it did not detach is freed here. */
static void member_thread_ended(void *unused)
{
	(void)unused;
	while (thread_members != NULL) {
		struct live_member *member = thread_members;
		struct live_task *lt = live_task_of(member->task);

		thread_members = member->next;
		pthread_mutex_lock(&registry_lock);
		struct live *live = registry_find(member->serial);

		if (live != NULL)
			tasks_remove(live, lt);
		pthread_mutex_unlock(&registry_lock);
		if (live != NULL) {
			CHECK(lt->task.pin_depth == 0 && lt->task.held == 0);
			free(lt);
		}
		free(member);
	}
}

static void key_create(void)
{
	key_error = pthread_key_create(&key, member_thread_ended);
}

/* Makes member_thread_ended() run at the end of the calling thread. */
static bool key_arm(void)
{
	pthread_once(&key_once, key_create);
	return key_error == 0 && pthread_setspecific(key, &rt_live_tls) == 0;
}

/* ---- tasks ---- */

static bool live_is_stopped(const struct live *live, uint32_t cpu)
{
	struct live *l = (struct live *)(uintptr_t)live;

	return (atomic_load_explicit(&l->stopped[cpu / 64], memory_order_relaxed) >> (cpu % 64)) &
	       1;
}

struct cpumask live_usable_cpus(const struct live *live, const struct cpumask *mask)
{
	struct cpumask usable = { { 0 } };

	for (uint32_t cpu = 0; cpu < live->head.rt.nr_slots; cpu++)
		if ((mask == NULL || cpumask_test(mask, cpu)) && !live_is_stopped(live, cpu))
			cpumask_set(&usable, cpu);
	return usable;
}

uint32_t live_choose_cpu(const struct live *live, const struct cpumask *mask,
			 _Atomic uint32_t *turn)
{
	struct cpumask usable = live_usable_cpus(live, mask);
	uint32_t nr = cpumask_count(&usable);

	if (nr == 0) {
		usable = live_usable_cpus(live, NULL);
		nr = cpumask_count(&usable);
	}
	uint32_t skip = atomic_fetch_add(turn, 1) % nr;
	uint32_t cpu = cpumask_next(&usable, 0);

	for (; skip > 0; skip--)
		cpu = cpumask_next(&usable, cpu + 1);
	return cpu;
}

/* A new task, not in any list yet; NULL when memory is short. */
static struct live_task *live_task_new(struct live *live, const char *name, uint32_t cpu)
{
	struct live_task *lt = calloc(1, sizeof(*lt));
	struct rng rng;

	if (lt == NULL)
		return NULL;
	lt->task.rt = &live->head.rt;
	lt->task.slot = &live->head.rt.slots[cpu];
	lt->task.id = atomic_fetch_add(&live->next_id, 1);
	rng_seed(&rng, live_clock_ns() + lt->task.id);
	lt->task.random_state = rng.state;
	for (size_t i = 0; i < TASK_NAME_BYTES - 1 && name[i] != '\0'; i++)
		lt->task.name[i] = name[i];
	return lt;
}

struct task *rt_live_current_slow(struct rt *rt)
{
	uint64_t serial = live_of(rt)->head.serial;

	for (struct live_member *member = thread_members; member != NULL; member = member->next) {
		if (member->serial == serial) {
			rt_live_tls.serial = serial;
			rt_live_tls.task = member->task;
			return member->task;
		}
	}
	return NULL;
}

struct task *rt_live_attach(struct rt *rt, const char *name)
{
	struct live *live = live_of(rt);
	struct task *mine = rt_live_current(rt);

	if (mine != NULL)
		return mine;
	member_sweep();
	struct live_member *member = malloc(sizeof(*member));
	uint32_t cpu = live_choose_cpu(live, NULL, &live->next_program);
	struct live_task *lt = live_task_new(live, name != NULL ? name : "program", cpu);

	if (member == NULL || lt == NULL || !key_arm()) {
		free(member);
		free(lt);
		return NULL;
	}
	lt->thread = pthread_self();
	pthread_mutex_lock(&registry_lock);
	tasks_insert(live, lt);
	pthread_mutex_unlock(&registry_lock);
	member_insert(member, live->head.serial, &lt->task);
	return &lt->task;
}

/* Makes the calling thread forget its task in the runtime. */
static void live_leave(struct live *live)
{
	free(member_take(live->head.serial));
	if (rt_live_tls.serial == live->head.serial) {
		rt_live_tls.serial = 0;
		rt_live_tls.task = NULL;
	}
}

void rt_live_detach(struct rt *rt)
{
	struct live *live = live_of(rt);
	struct task *mine = rt_live_current(rt);

	if (mine == NULL)
		return;
	struct live_task *lt = live_task_of(mine);

	rt_assert_may_sleep(mine);
	CHECK(!lt->spawned);
	live_leave(live);
	pthread_mutex_lock(&registry_lock);
	tasks_remove(live, lt);
	pthread_mutex_unlock(&registry_lock);
	free(lt);
}

/* ---- spawn and join ---- */

static void *live_thread_main(void *arg)
{
	struct live_task *lt = arg;
	struct live *live = live_of(lt->task.rt);

	/* Names are for people; a thread without one works as well. */
	(void)pthread_setname_np(pthread_self(), lt->task.name);
	live_bind_thread(live, pthread_self(), &lt->cpus);
	member_insert(lt->member, live->head.serial, &lt->task);
	lt->member = NULL;
	lt->result = lt->fn(&lt->task, lt->arg);
	rt_assert_may_sleep(&lt->task);
	/* From here on the task is the joiner's. */
	live_leave(live);
	return NULL;
}

/* Starts the thread; engine threads with every signal blocked that may be. */
static int live_thread_start(struct live_task *lt)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF };
	sigset_t blocked, before;

	if ((lt->task.flags & PF_KTHREAD) == 0)
		return -pthread_create(&lt->thread, NULL, live_thread_main, lt);
	sigfillset(&blocked);
	for (size_t i = 0; i < ARRAY_LEN(faults); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	int err = -pthread_create(&lt->thread, NULL, live_thread_main, lt);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* Counts down towards the spawn that a test wants to fail. */
static bool live_spawn_fails(struct live *live)
{
	int left = atomic_load(&live->fail_spawn);

	while (left > 0) /* ends: each failed exchange means that another thread counted */
		if (atomic_compare_exchange_weak(&live->fail_spawn, &left, left - 1))
			return left == 1;
	return false;
}

static int live_spawn(struct task *t, const struct task_spec *spec, struct task **out)
{
	struct live *live = live_of(t->rt);
	bool kthread = (spec->flags & PF_KTHREAD) != 0;

	if (live_spawn_fails(live))
		return -EAGAIN;
	struct live_member *member = malloc(sizeof(*member));
	uint32_t cpu = live_choose_cpu(live, spec->cpus,
				       kthread ? &live->next_kthread : &live->next_program);
	struct live_task *lt = live_task_new(live, spec->name, cpu);

	if (member == NULL || lt == NULL) {
		free(member);
		free(lt);
		return -ENOMEM;
	}
	lt->task.machine = t->machine;
	lt->task.flags = spec->flags;
	lt->spawned = true;
	lt->fn = spec->fn;
	lt->arg = spec->arg;
	lt->member = member;
	lt->cpus = live_usable_cpus(live, spec->cpus);
	pthread_mutex_lock(&registry_lock);
	tasks_insert(live, lt);
	pthread_mutex_unlock(&registry_lock);
	/* The new task may run and even end before this returns, but only a join frees it. */
	int err = live_thread_start(lt);

	if (err != 0) {
		pthread_mutex_lock(&registry_lock);
		tasks_remove(live, lt);
		pthread_mutex_unlock(&registry_lock);
		free(member);
		free(lt);
		return err == -ENOMEM ? -ENOMEM : -EAGAIN;
	}
	*out = &lt->task;
	return 0;
}

static int live_join(struct task *t, struct task *child)
{
	struct live *live = live_of(t->rt);
	struct live_task *lt = live_task_of(child);

	CHECK(lt->spawned);
	CHECK(pthread_join(lt->thread, NULL) == 0);
	int result = lt->result;

	pthread_mutex_lock(&registry_lock);
	tasks_remove(live, lt);
	pthread_mutex_unlock(&registry_lock);
	free(lt);
	return result;
}

/* ---- the runtime ---- */

static const struct rt_ops live_ops = {
	.spawn = live_spawn,
	.join = live_join,
	.wait = live_wait,
	.wake = live_wake,
	.sleep = live_sleep,
	.yield = live_yield,
	.now = live_now,
	.peek = live_now,
	.random = live_random,
	.preempt = live_preempt,
	.lock_contended = live_lock_contended,
	.slot_contended = live_slot_contended,
	.slot_empty = live_slot_empty,
	.set_cpus = live_set_cpus,
	.stop_cpu = live_stop_cpu,
	.start_cpu = live_start_cpu,
	.call_at = live_call_at,
};

int rt_live_create(uint32_t nr_cpus, struct rt **out)
{
	if (nr_cpus == 0 || nr_cpus > NEAP_MAX_CPUS)
		return -EINVAL;
	struct live *live = calloc(1, sizeof(*live));
	struct cpu_slot *slots = aligned_alloc(64, nr_cpus * sizeof(*slots));

	if (live == NULL || slots == NULL) {
		free(live);
		free(slots);
		return -ENOMEM;
	}
	memset(slots, 0, nr_cpus * sizeof(*slots));
	for (uint32_t cpu = 0; cpu < nr_cpus; cpu++)
		slots[cpu].cpu = cpu;
	live->head.rt.ops = &live_ops;
	live->head.rt.slots = slots;
	live->head.rt.nr_slots = nr_cpus;
	live->head.rt.favour_after = live_fence_prepare() ? FAVOUR_AFTER : 0;
	live->head.serial = atomic_fetch_add(&next_serial, 1);
	live->start_ns = live_clock_ns();
	atomic_store(&live->next_id, 1);
	/* Failure (more real CPUs than the set holds) leaves the set empty: nothing gets bound. */
	if (sched_getaffinity(0, sizeof(live->process_cpus), &live->process_cpus) != 0)
		CPU_ZERO(&live->process_cpus);
	pthread_mutex_lock(&registry_lock);
	live->next = registry;
	registry = live;
	pthread_mutex_unlock(&registry_lock);
	*out = &live->head.rt;
	return 0;
}

void rt_live_destroy(struct rt *rt)
{
	struct live *live = live_of(rt);
	struct live **at = &registry;

	if (rt_live_current(rt) != NULL)
		rt_assert_may_sleep(rt_live_current(rt));
	live_leave(live);
	pthread_mutex_lock(&registry_lock);
	while (*at != live)
		at = &(*at)->next;
	*at = live->next;
	pthread_mutex_unlock(&registry_lock);
	while (live->tasks != NULL) {
		struct live_task *lt = live->tasks;

		live->tasks = lt->next;
		CHECK(!lt->spawned);
		free(lt);
	}
	free(live->head.rt.slots);
	free(live);
}

void rt_live_fail_spawn(struct rt *rt, int nth)
{
	atomic_store(&live_of(rt)->fail_spawn, nth);
}

struct rt_live_contention rt_live_get_contention(const struct task *t)
{
	return ((const struct live_task *)(const void *)t)->contention;
}
