/*
 * rt.h: the contract between the engine and a runtime.
 *
 * A runtime gives the engine tasks, time and waiting. There are two: rt/live
 * (POSIX threads, the monotonic clock, futexes) and rt/sim (fibers, a virtual
 * clock per CPU, a seeded scheduler). The engine cannot tell which one it runs on.
 *
 * TASK FIRST. Every engine function that allocates, counts, locks or may wait
 * takes `struct task *t` as its first parameter: the task that executes it.
 * There is no hidden "current". Only the public API looks the task up.
 *
 * CPUS AND PINNING. A neap CPU is a slot (struct cpu_slot). Each task has a
 * home slot, t->slot. Per-CPU data of a slot (page lists, counters, LRU batches,
 * the trace ring) is touched only by the task that holds the slot's word, that
 * is between cpu_pin(t) and cpu_unpin(t), or by a remote drain that took the
 * word with slot_take_remote(). A task that was for long the only one to pin a slot
 * becomes its favourite and pins without an atomic exchange, until somebody else
 * wants the slot (src/rt/slot.c). Pins nest. While pinned:
 *   - the task does not sleep and does not meet a preempt point;
 *   - plain (non-atomic) loads and stores of the slot's data are enough.
 * Pinning comes BEFORE spin locks: a task that holds a spin lock may pin only if
 * it was pinned when it took the lock (counters are updated under locks, so
 * lock holders that count pin first). That makes "word, then locks" the one order.
 *
 * SPIN LOCKS are taken with spin_lock(t, lock, class). A task holds at most one
 * lock of a class, and takes classes in the order of enum lock_class only
 * (docs/locking.md). Both rules are checked in debug builds from t->held.
 * Contention calls the runtime: live spins, then yields; in the simulator it can
 * only happen in exploration, and is an error otherwise.
 *
 * MAY SLEEP: the functions of struct rt_ops that say so. They CHECK that the
 * caller holds no spin lock and no pin: a lock held across a wait is a bug that
 * stops the program with the lock's class.
 *
 * WAITING is futex-like: rt_wait(t, word, expect, timeout) sleeps only if *word
 * still equals `expect`, atomically against rt_wake(). Spurious returns are
 * allowed, so callers loop on their condition. rt_wake() never sleeps and may be
 * called from a completion.
 *
 * TIME is nanoseconds since the machine was built, from rt_now(t). Live: the
 * monotonic clock. Simulated: the clock of the task's CPU, which is the sum over
 * the CPU's meter of (increments x cost). A meter is one array of counts that
 * only grow, owned by the engine (its event counters and hidden items). Who adds
 * to a count adds what that is worth (rt->cost_ps) to the slot's worth_ps, and the
 * runtime looks at this one number at preempt points: an addition a count instead
 * of a sum over all of them a look.
 *
 * PREEMPT POINTS. rt_preempt(t) is where the simulator may run another CPU or
 * task, fire timers and deliver completions. Every loop that can run long calls
 * it with nothing held. Live it costs one predictable branch.
 *
 * COMPLETIONS AND CALLBACKS. rt_call_at() exists in virtual time only: a model
 * device uses it to have `fn` run on a given CPU at a given time. The callback
 * runs in interrupt context: on that CPU's irq task (PF_IRQ), at the running
 * task's next preempt point or at once when the CPU is idle, its cost charged to
 * that CPU. It must not sleep.
 */
#ifndef NEAP_PORT_RT_H
#define NEAP_PORT_RT_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/check.h"
#include "base/cpumask.h"

struct neap_machine;
struct reclaim_tally;
struct rt;
struct task;

#define RT_FOREVER UINT64_MAX
#define TASK_NAME_BYTES 16

/* Lock classes in the order in which they may be taken: lower values first. */
enum lock_class {
	LOCK_SPACE,	/* list of regions of an address space, pools of small objects */
	LOCK_MAPPING,	/* page-cache index of one file */
	LOCK_SWAP,	/* slot map and cache entries of one swap area */
	LOCK_SWAP_LIST, /* priority lists of swap areas */
	LOCK_LRU,	/* page lists of one lruvec */
	LOCK_ZONE,	/* free lists of one zone */
	LOCK_IO,	/* a store's request table */
	LOCK_RT,	/* innermost: the runtime's own */
	NR_LOCK_CLASSES,
};

/* Bits of task.flags. Values of the first two are Linux's, so that texts agree. */
#define PF_MEMALLOC 0x00000800u	     /* may use all reserves; never enters reclaim */
#define PF_KSWAPD 0x00020000u	     /* is a kswapd */
#define PF_KTHREAD 0x00200000u	     /* engine thread, not a program's */
#define PF_IRQ 0x00000001u	     /* completion context: must not sleep */
#define PF_OOM_VICTIM 0x00000002u    /* may use half of min */
#define PF_EXITING 0x00000004u	     /* asked to stop (fatal signal pending) */
#define PF_CPUSET 0x00000008u	     /* its memory is limited to nodes: mems */
#define PF_MEMALLOC_NOFS 0x00040000u /* scope: no FS in reclaim */
#define PF_MEMALLOC_NOIO 0x00080000u /* scope: no IO in reclaim */

/* Legend: I immutable after creation, o owner task only, a atomic. */
struct cpu_slot {
	_Atomic uint32_t word;	 /* a: 0 free, 1 taken; CPU-private data belongs to the taker */
	_Atomic uint32_t inside; /* a: 1 = the favourite is pinned, without having taken the word */
	_Atomic(struct task *) favourite; /* a: set with the word taken; NULL = none */
	struct task *last;		  /* the word's taker: who pinned last ... */
	uint32_t streak;		  /* ... and how often in a row */
	_Atomic uint32_t offline; /* a: 1 while nobody may take the word (core/hotplug_cpu.c) */
	uint32_t cpu;		  /* I */
	uint32_t priced; /* I after machine build: 1 = some item of the meter is worth something */
	uint64_t *meter; /* I after machine build: never-folded counts, see TIME; may be NULL */
	uint64_t worth_ps; /* of all that the meter has counted, modulo 2^64; the taker's */
	void *own;	   /* I: what the runtime keeps for the CPU; NULL: nothing */
} CACHE_ALIGNED;

_Static_assert(sizeof(struct cpu_slot) == 64, "a slot is one line of the cache");

struct task {
	struct neap_machine *machine; /* I: set by the engine when the task first enters it */
	struct rt *rt;		      /* I */
	struct cpu_slot *slot;	      /* o: home slot; in the simulator the CPU it runs on */
	uint32_t id;		      /* I: 1.. in order of creation; printed as pid */
	uint32_t flags;		      /* o: PF_* */
	uint32_t held;		      /* o: mask of lock classes held */
	uint32_t pin_depth;	      /* o */
	bool explore;		      /* I: the runtime's, at hand */
	_Atomic uint32_t *pin_word;   /* o: what the outermost unpin sets to 0 */
	uint32_t sleep_locks;  /* o: number of sleeping locks (page locks) held; diagnostics */
	uint32_t tlb_pending;  /* o: core/tlb.h: what CPUs may remember of entries taken out */
	uint32_t psi_depth;    /* o: nesting of memory-stall sections */
	uint32_t psi_state;    /* o: core/psi.h */
	uint32_t psi_cpu;      /* o: the CPU that counts it, if one does, */
	uint32_t psi_epoch;    /* o: and since when */
	uint32_t access_run;   /* o: resident accesses since the last preempt point */
	uint32_t policy_mode;  /* o: the task's memory policy (core/mempolicy.h); 0 = none */
	uint32_t policy_last;  /* o: node that had the latest turn */
	uint64_t policy_nodes; /* o: the policy's, as bits */
	uint64_t policy_mems;  /* o: the nodes that memory could come from when it was set */
	uint64_t mems;	       /* o: the nodes that memory may come from (core/cpuset.h) */
	uint64_t random_state; /* o */
	struct reclaim_tally *tally; /* o: where freed slab is counted; NULL outside passes */
	void *group;		     /* o: memory cgroup, NULL = root */
	void *plug;		     /* o: write-out being gathered (core/io.c), NULL = none */
	void *capture; /* o: block a run of compaction waits for (core/compact.h), NULL = none */
	char name[TASK_NAME_BYTES]; /* I: as Linux's comm, terminated */
};

/* What rt_spawn() needs. The structure is copied. */
struct task_spec {
	const char *name; /* at most TASK_NAME_BYTES-1 characters are kept */
	int (*fn)(struct task *t, void *arg);
	void *arg;
	const struct cpumask *cpus; /* allowed CPUs; NULL = all */
	uint32_t flags;		    /* PF_* of the new task */
};

struct spinlock {
	_Atomic uint32_t word; /* a: 0 free, else 1 */
};

typedef void (*rt_call_fn)(struct task *irq, void *arg, uint64_t a, uint64_t b);

struct rt_ops {
	/*
	 * Creates a task running spec->fn. Does not sleep for the task to start.
	 * => 0 and *out, or -EAGAIN/-ENOMEM (also injectable: rt_fail_spawn)
	 * => the caller must rt_join() it exactly once
	 */
	int (*spawn)(struct task *t, const struct task_spec *spec, struct task **out);
	/* May sleep. Waits until the task's function returns; frees the task. => its result */
	int (*join)(struct task *t, struct task *child);
	/* May sleep. => 0 woken or spurious, -EAGAIN if *word != expect, -ETIMEDOUT */
	int (*wait)(struct task *t, _Atomic uint32_t *word, uint32_t expect, uint64_t timeout_ns);
	/* Never sleeps. Wakes at most nr waiters of the word. */
	void (*wake)(struct task *t, _Atomic uint32_t *word, uint32_t nr);
	/* May sleep. */
	void (*sleep)(struct task *t, uint64_t ns);
	/* May sleep. Lets other tasks of the CPU run. */
	void (*yield)(struct task *t);
	uint64_t (*now)(struct task *t);
	/* now() for whoever only watches: in the simulator no run differs for having been looked
	 * at. */
	uint64_t (*peek)(struct task *t);
	/* Deterministic from the machine's seed in the simulator. */
	uint64_t (*random)(struct task *t);
	/* The slow half of rt_preempt(); see PREEMPT POINTS. Nothing held. */
	void (*preempt)(struct task *t);
	/*
	 * Contention. Return when it is worth trying again. A task that wants its own slot, which
	 * is offline, has another one then.
	 */
	void (*lock_contended)(struct task *t, struct spinlock *lock, enum lock_class class);
	void (*slot_contended)(struct task *t, struct cpu_slot *slot);
	/*
	 * The slot has no favourite any more: returns when every task of the process has passed a
	 * full memory barrier, and slot->inside is 0. Never sleeps. Not called while favour_after
	 * is 0.
	 */
	void (*slot_empty)(struct task *t, struct cpu_slot *slot);
	/*
	 * Moves the task to one of the CPUs; takes effect at once for the caller itself.
	 * => 0 or -EINVAL
	 */
	int (*set_cpus)(struct task *t, const struct cpumask *cpus);
	/*
	 * Tasks leave the CPU, the caller too: those without another CPU in their mask go anywhere.
	 * None begins there until start_cpu(). A task may still come once more to find the word
	 * taken (slot_contended). Both may sleep; one caller at a time; another CPU is left.
	 * => 0 or -ENOMEM, nothing has changed then
	 */
	int (*stop_cpu)(struct task *t, uint32_t cpu);
	void (*start_cpu)(struct task *t, uint32_t cpu);
	/*
	 * Makes the other CPUs that execute a program forget translations, all or those of one
	 * page, and returns when each has answered. NULL where nobody remembers any. Never sleeps;
	 * locks may be held. => how many were asked
	 */
	uint32_t (*shoot_down)(struct task *t, bool all);
	/*
	 * Virtual time only, else NULL: whoever provides the task's CPU works for so long besides,
	 * on the same processors. Never sleeps.
	 */
	void (*host_work)(struct task *t, uint64_t work_ns);
	/*
	 * Virtual time only (else -ENOSYS): fn(irq task of cpu, arg, a, b) at time at_ns
	 * (or now, if that is past), after everything scheduled earlier for the same time.
	 */
	int (*call_at)(struct task *t, uint32_t cpu, uint64_t at_ns, rt_call_fn fn, void *arg,
		       uint64_t a, uint64_t b);
};

struct rt {
	const struct rt_ops *ops; /* I */
	struct cpu_slot *slots;	  /* I: nr_slots of them */
	uint32_t nr_slots;	  /* I */
	uint32_t favour_after;	  /* I: pins in a row that make a favourite; 0 = never */
	bool virtual_time;	  /* I: rt/sim */
	bool explore;		  /* I: rt/sim: preempt points under locks */
	/* I: rt/sim: what one increment of each meter item is worth; NULL: nothing */
	const uint32_t *cost_ps;
	/* Told by the waits below when a task stops and when it goes on; NULL: nobody asks. */
	void (*task_hook)(struct task *t, bool running); /* I once tasks run */
};

static inline struct rt *task_rt(struct task *t)
{
	return t->rt;
}

static inline uint32_t task_cpu(const struct task *t)
{
	return t->slot->cpu;
}

/* ---- pinning ---- */

/*
 * Takes the word for the task's own use, and may make it the favourite. Never sleeps. If the slot
 * is offline the task has another one afterwards, and its word.
 */
void rt_slot_take(struct task *t, struct cpu_slot *slot);
/* Takes the word for a visitor. Never sleeps. => false: the CPU is offline */
bool rt_slot_take_remote(struct task *t, struct cpu_slot *slot);

/*
 * The favourite's way in: says that it is inside, then looks whether it still is the favourite.
 * Whoever ends the favour does the two in the other order, with a barrier for all tasks between
 * them, so that one of the two sees the other; here the compiler only must keep the order.
 */
static ALWAYS_INLINE bool slot_enter_favourite(const struct task *t, struct cpu_slot *slot)
{
	if (unlikely(atomic_load_explicit(&slot->favourite, memory_order_relaxed) != t))
		return false;
	atomic_store_explicit(&slot->inside, 1, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (likely(atomic_load_explicit(&slot->favourite, memory_order_relaxed) == t))
		return true;
	atomic_store_explicit(&slot->inside, 0, memory_order_release);
	return false;
}

/*
 * Takes the word of the task's slot (or nests). Never sleeps.
 * => not under a spin lock, unless already pinned
 */
static ALWAYS_INLINE void cpu_pin(struct task *t)
{
	if (t->pin_depth++ != 0)
		return;
	DCHECK(t->held == 0);
	if (likely(slot_enter_favourite(t, t->slot)))
		t->pin_word = &t->slot->inside;
	else
		rt_slot_take(t, t->slot);
}

static ALWAYS_INLINE void cpu_unpin(struct task *t)
{
	DCHECK(t->pin_depth > 0);
	if (--t->pin_depth == 0) {
		DCHECK(t->held == 0);
		atomic_store_explicit(t->pin_word, 0, memory_order_release);
	}
}

/*
 * A pin for a path that calls nothing while it lasts, so that the task itself need not know of it.
 * slot: t->slot, read by the caller after its last call. Only the task itself changes that, in
 * calls (it moves, or finds its slot offline while it waits for the word), so that it stays the
 * task's until the unpin, and need not be read again.
 * => true: pinned to it, unpin with cpu_unpin_brief(); false: not pinned, and it would take longer,
 * or it is pinned already: use cpu_pin()
 */
static ALWAYS_INLINE bool cpu_pin_brief(struct task *t, struct cpu_slot *slot)
{
	if (NEAP_DEBUG_BUILD) {
		cpu_pin(t);
		if (likely(t->slot == slot))
			return true;
		cpu_unpin(t);
		return false;
	}
	return t->pin_depth == 0 && slot_enter_favourite(t, slot);
}

/* slot: the one that was pinned */
static ALWAYS_INLINE void cpu_unpin_brief(struct task *t, struct cpu_slot *slot)
{
	if (NEAP_DEBUG_BUILD)
		cpu_unpin(t);
	else
		atomic_store_explicit(&slot->inside, 0, memory_order_release);
}

/*
 * A pin for the same kind of path, whatever else there is: the brief one if it can be had, else the
 * whole. => what cpu_unpin_leaf() is told
 */
static ALWAYS_INLINE struct cpu_slot *cpu_pin_leaf(struct task *t)
{
	struct cpu_slot *slot = t->slot;

	if (likely(cpu_pin_brief(t, slot)))
		return slot;
	cpu_pin(t);
	return NULL;
}

static ALWAYS_INLINE void cpu_unpin_leaf(struct task *t, struct cpu_slot *brief)
{
	if (likely(brief != NULL))
		cpu_unpin_brief(t, brief);
	else
		cpu_unpin(t);
}

/* Asserts the state per-CPU code relies on. */
static ALWAYS_INLINE void cpu_assert_pinned(const struct task *t)
{
	(void)t;
	DCHECK(t->pin_depth > 0);
}

/*
 * Takes the word of any slot, for a remote drain. Never sleeps; spins while the
 * owner is pinned.
 * => caller is not pinned and holds no spin lock
 * => false: the CPU is offline; else pair with slot_put_remote()
 */
static inline bool MUST_CHECK slot_take_remote(struct task *t, struct cpu_slot *slot)
{
	DCHECK(t->held == 0 && t->pin_depth == 0);
	return rt_slot_take_remote(t, slot);
}

static inline void slot_put_remote(struct task *t, struct cpu_slot *slot)
{
	(void)t;
	atomic_store_explicit(&slot->word, 0, memory_order_release);
}

/* ---- spin locks ---- */

/* Bits of the classes that must not be held when `class` is taken: itself and all later ones. */
static ALWAYS_INLINE uint32_t lock_forbidden_mask(enum lock_class class)
{
	return ~((1u << (uint32_t) class) - 1u);
}

static ALWAYS_INLINE bool spin_trylock(struct task *t, struct spinlock *lock, enum lock_class class)
{
	DCHECK((t->held & lock_forbidden_mask(class)) == 0);
	if (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) != 0)
		return false;
	t->held |= 1u << (uint32_t) class;
	return true;
}

/*
 * A place between two steps without a lock where a thread may be interrupted for long.
 * Exploration switches to another CPU here, whatever is held; otherwise nothing happens.
 */
static ALWAYS_INLINE void rt_explore(struct task *t)
{
	if (unlikely(t->explore))
		t->rt->ops->preempt(t);
}

static ALWAYS_INLINE void spin_lock(struct task *t, struct spinlock *lock, enum lock_class class)
{
	DCHECK((t->held & lock_forbidden_mask(class)) == 0);
	rt_explore(t);
	while (unlikely(atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) != 0))
		t->rt->ops->lock_contended(t, lock, class);
	t->held |= 1u << (uint32_t) class;
}

static ALWAYS_INLINE void spin_unlock(struct task *t, struct spinlock *lock, enum lock_class class)
{
	DCHECK(t->held & (1u << (uint32_t) class));
	t->held &= ~(1u << (uint32_t) class);
	atomic_store_explicit(&lock->word, 0, memory_order_release);
}

static ALWAYS_INLINE void spin_assert_held(const struct task *t, enum lock_class class)
{
	(void)t;
	(void)class;
	DCHECK(t->held & (1u << (uint32_t) class));
}

/* ---- the sleeping table, as functions ---- */

/* The task is about to wait, or went on. => nothing held that may not be held while sleeping */
static inline void rt_tell(struct task *t, bool running)
{
	if (t->rt->task_hook != NULL)
		t->rt->task_hook(t, running);
}

/* => stops the program if a spin lock or a pin is held, or in completion context */
void rt_assert_may_sleep(const struct task *t);

/*
 * Debug builds: the task is in no pass of reclaim. There it waits for no lock that is held across
 * waiting, page locks included: whoever holds one may be allocating, and so may wait for reclaim.
 * (Linux: fs_reclaim_acquire(), of locks that are taken in both places.)
 */
static inline void rt_assert_no_reclaim(const struct task *t)
{
	DCHECK(t->tally == NULL);
}

static inline int MUST_CHECK rt_spawn(struct task *t, const struct task_spec *spec,
				      struct task **out)
{
	return t->rt->ops->spawn(t, spec, out);
}

static inline int rt_join(struct task *t, struct task *child)
{
	rt_assert_may_sleep(t);
	rt_tell(t, false);
	int result = t->rt->ops->join(t, child);

	rt_tell(t, true);
	return result;
}

static inline int rt_wait(struct task *t, _Atomic uint32_t *word, uint32_t expect,
			  uint64_t timeout_ns)
{
	rt_assert_may_sleep(t);
	rt_explore(t); /* between the look at what is waited for and the sleep */
	rt_tell(t, false);
	int result = t->rt->ops->wait(t, word, expect, timeout_ns);

	rt_tell(t, true);
	return result;
}

static inline void rt_wake(struct task *t, _Atomic uint32_t *word, uint32_t nr)
{
	t->rt->ops->wake(t, word, nr);
}

static inline void rt_sleep(struct task *t, uint64_t ns)
{
	rt_assert_may_sleep(t);
	rt_tell(t, false);
	t->rt->ops->sleep(t, ns);
	rt_tell(t, true);
}

static inline void rt_yield(struct task *t)
{
	rt_assert_may_sleep(t);
	t->rt->ops->yield(t);
}

static inline uint64_t rt_now(struct task *t)
{
	return t->rt->ops->now(t);
}

static inline uint64_t rt_peek(struct task *t)
{
	return t->rt->ops->peek(t);
}

static inline uint64_t rt_random(struct task *t)
{
	return t->rt->ops->random(t);
}

static ALWAYS_INLINE void rt_preempt(struct task *t)
{
	DCHECK(t->held == 0 && t->pin_depth == 0);
	if (t->rt->virtual_time)
		t->rt->ops->preempt(t);
}

/* ---- wait queues: a futex word and a count of waiters ---- */

struct waitq {
	_Atomic uint32_t seq;	  /* a: grows at each wake */
	_Atomic uint32_t waiters; /* a */
};

/*
 * The pattern:
 *   seq = waitq_begin(t, wq); if (!condition) waitq_wait(t, wq, seq, timeout); waitq_end(wq);
 * A wake between begin and wait makes the wait return at once.
 */
static inline uint32_t waitq_begin(struct task *t, struct waitq *wq)
{
	rt_explore(t); /* between a look that led here and the place in the queue */
	atomic_fetch_add(&wq->waiters, 1);
	return atomic_load(&wq->seq);
}

static inline void waitq_end(struct waitq *wq)
{
	atomic_fetch_sub(&wq->waiters, 1);
}

/* May sleep. => 0, -EAGAIN or -ETIMEDOUT, as rt_wait() */
static inline int waitq_wait(struct task *t, struct waitq *wq, uint32_t seq, uint64_t timeout_ns)
{
	return rt_wait(t, &wq->seq, seq, timeout_ns);
}

static inline bool waitq_active(struct waitq *wq)
{
	return atomic_load(&wq->waiters) != 0;
}

static inline void waitq_wake(struct task *t, struct waitq *wq, uint32_t nr)
{
	rt_explore(t);
	atomic_fetch_add(&wq->seq, 1);
	if (waitq_active(wq))
		rt_wake(t, &wq->seq, nr);
}

#endif
