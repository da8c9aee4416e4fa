/*
 * The simulator's own data, and what its files offer each other.
 *
 *	sim.c     the operations of port/rt.h, the life of tasks
 *	sched.c   who runs next, and until when
 *	queue.c   which task waits on which CPU
 *	clock.c   from counts to time
 *	report.c  what is printed when everything stands still
 */
#ifndef NEAP_RT_SIM_SCHED_H
#define NEAP_RT_SIM_SCHED_H

#include "base/rng.h"
#include "rt/sim/event.h"
#include "rt/sim/fiber.h"
#include "rt/sim/sim.h"

#define SIM_NEVER UINT64_MAX
#define SIM_PS_PER_NS 1000u
#define SIM_WAIT_BUCKETS 256u
#define SIM_HOST_PROCESSORS_MAX 16u

enum sim_state {
	SIM_QUEUED,   /* on a CPU's queue */
	SIM_RUNNING,  /* a CPU's running task: executes, or is suspended at a preempt point */
	SIM_WAITING,  /* on a word */
	SIM_SLEEPING, /* until its timer */
	SIM_JOINING,  /* for a task to end */
	SIM_DONE,
};

/* A list in order of arrival. A link that is in no list is all zero. */
struct sim_link {
	struct sim_link *next;
	struct sim_link *prev;
};

/* Legend: I immutable after creation, o the task itself, s the scheduler. */
struct sim_task {
	struct task task;		      /* first: a task pointer is a sim_task pointer */
	struct fiber *fiber;		      /* I */
	int (*fn)(struct task *t, void *arg); /* I */
	void *arg;			      /* I */
	int result;			      /* o until done */
	enum sim_state state;		      /* s */
	bool timed_out;			      /* s: how the latest wait ended */
	bool must_move;			      /* s: its CPU is outside its mask */
	bool is_main;			      /* I: started by rt_sim_run(), joined by nobody */
	struct cpumask cpus;		      /* s: where it may run */
	uint64_t ready_ns;		      /* s: queued: must not run before */
	uint64_t preempt_ns;	     /* s: queued as urgent: CPU time at which it preempts */
	uint64_t since_ns;	     /* s: when its wait began, or when it ended */
	uint64_t slice_left_ns;	     /* s: rest of an interrupted turn, 0 = a whole one */
	int64_t had_ns;		     /* s: CPU time it has had, on its CPU's scale (queue.c) */
	_Atomic uint32_t *word;	     /* s: what it waits on */
	_Atomic uint32_t *spin_word; /* o: what it found taken (exploration) */
	struct cpu_slot *spin_slot;  /* o: the slot whose word that is; NULL: a lock's */
	struct sim_task *joiner;     /* s: who waits for it to end */
	struct sim_link queue;	     /* s: a CPU's queue, or a bucket of waiters */
	struct sim_link all;	     /* s: every task in order of creation */
	struct event timer;	     /* s */
};

/* A callback that is due or will be. */
struct sim_call {
	struct event event;
	uint32_t cpu;
	rt_call_fn fn;
	void *arg;
	uint64_t a;
	uint64_t b;
	struct sim_call *next; /* due on its CPU, or free */
};

struct sim_cpu {
	uint64_t clock_ns;
	uint64_t carry_ps;	/* 0..999: what the clock owes */
	uint64_t metered;	/* the slot's worth_ps at the last charge */
	const uint64_t *meter;	/* the slot's meter as last seen ... */
	const void *plain;	/* ... or, where a host counts our turns, no meter */
	uint64_t slice_end_ns;	/* end of the running task's turn */
	uint64_t counted_ns;	/* up to here the running task's had_ns knows of its turn */
	int64_t least_ns;	/* the smallest had_ns of its tasks, as far as it ever rose */
	uint64_t preempted_ns;	/* clock at the latest preempt point that found it moved */
	uint32_t still;		/* preempt points since then */
	uint64_t ran_ns;	/* in this turn on the host's processor, less what was idle */
	uint64_t turn_ns;	/* the turn is over when ran_ns is here */
	uint64_t away_from_ns;	/* the latest time between two turns began then ... */
	uint64_t away_until_ns; /* ... and ended then */
	uint32_t place;		/* which of the host's processors, once `placed` */
	bool placed;
	uint64_t yielded_ns;	      /* clock at the latest yield */
	uint32_t nr_programs;	      /* ordinary tasks at home here */
	uint32_t nr_kthreads;	      /* engine threads at home here */
	struct sim_task *running;     /* NULL: idle, or nothing chosen yet */
	uint32_t last_id;	      /* who ran before: a change is a context switch */
	struct sim_link urgent;	      /* woken tasks that will preempt */
	struct sim_link ready;	      /* the others, in turn */
	struct sim_call *calls;	      /* callbacks that are due, in order */
	struct sim_call **calls_tail; /* where the next one is linked */
	bool irq_active;	      /* a callback is being executed */
	bool stopped;		      /* offline: nothing new runs here */
	struct sim_task irq;	      /* completion context; its fiber is opened at first use */
};

/* One of the host's processors (host.c). */
struct sim_processor {
	uint32_t seats;	 /* threads that share it, ours and others' */
	uint32_t turns;	 /* of ours since the others had theirs */
	uint64_t end_ns; /* of the latest turn given to one of ours */
};

struct sim {
	struct rt_sim_head head;     /* first: an rt pointer is a sim pointer */
	struct rt_sim_config config; /* I; defaults filled in; cost_ps is not used */
	bool metered;		     /* I: a table of costs was given, copied to rt.cost_ps */
	bool costs_time;	     /* I: something in it does */
	uint32_t explore_one_in;     /* I: chance of a switch at a preempt point */
	uint64_t due_ns;       /* clock of the current CPU from which the scheduler must look */
	uint64_t last_ns;      /* when the latest run ended */
	uint64_t next_look_ns; /* exploring: when to look for programs that wait in vain */
	uint64_t *keys_ns;     /* per CPU: when it can run; SIM_NEVER when it has no work */
	struct sim_cpu *cpus;
	struct event_heap events;
	struct sim_processor host[SIM_HOST_PROCESSORS_MAX];
	uint32_t host_threads;	      /* on all of them, when they were seated */
	uint32_t host_others;	      /* threads of others that are there */
	uint64_t host_drawn_ns;	      /* when that was drawn; 0: never */
	uint64_t host_change_ns;      /* when one of ours changes places with one of theirs */
	uint64_t host_moved_ns;	      /* when one of them was moved, or could have been */
	struct rng host_rng;	      /* draws only what host.c does */
	struct rng rng;		      /* ties and exploration */
	struct neap_machine *machine; /* default of new tasks */
	struct sim_task *main;	      /* whose end ends the run */
	struct fiber thread;	      /* where rt_sim_run() was called */
	struct sim_link tasks;	      /* all, in order of creation */
	uint32_t nr_tasks;
	struct cpumask programs; /* CPUs that have executed a program */
	uint32_t nr_calls;	 /* allocated ones */
	uint32_t next_id;
	int fail_spawn;
	struct sim_call *free_calls;
	struct fiber **free_fibers; /* stacks of ended tasks, to be used again */
	uint32_t nr_free_fibers;
	uint32_t max_free_fibers;
	size_t closed_high_water_bytes; /* of stacks that are gone */
	struct sim_link waiters[SIM_WAIT_BUCKETS];
};

static inline struct sim *sim_of(struct rt *rt)
{
	return (struct sim *)(void *)rt;
}

static inline struct sim_task *sim_task_of(struct task *t)
{
	return (struct sim_task *)(void *)t;
}

static inline struct sim_cpu *sim_cpu_of(struct sim *sim, const struct task *t)
{
	(void)sim;
	return t->slot->own;
}

/* Holds nothing that another task of its CPU could need. */
static inline bool sim_holds_nothing(const struct sim_task *st)
{
	return st->task.held == 0 && st->task.pin_depth == 0;
}

static inline bool sim_is_kthread(const struct sim_task *st)
{
	return (st->task.flags & PF_KTHREAD) != 0;
}

/* ---- lists ---- */

static inline void sim_list_init(struct sim_link *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool sim_list_empty(const struct sim_link *list)
{
	return list->next == list;
}

static inline void sim_list_insert(struct sim_link *link, struct sim_link *before)
{
	link->next = before;
	link->prev = before->prev;
	before->prev->next = link;
	before->prev = link;
}

static inline void sim_list_remove(struct sim_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = NULL;
	link->prev = NULL;
}

#define sim_task_in(link, member) container_of(link, struct sim_task, member)

/* ---- clock.c ---- */

/* => 0 or -ENOMEM: copies the table */
int clock_take_costs(struct sim *sim, const uint32_t *cost_ps, uint32_t nr_meter);

/* The rest of clock_charge_ns(): a meter that is new, or a host that counts our turns. */
uint64_t clock_charge_slow(struct sim *sim, uint32_t cpu);

/* Does the slot's worth_ps agree with its meter? */
bool clock_verify(const struct sim *sim, uint32_t cpu);

/* Moves the clock on by what was counted since the last time. */
static inline void clock_take_worth(struct sim_cpu *c, const struct cpu_slot *slot)
{
	uint64_t ps = c->carry_ps + (slot->worth_ps - c->metered);

	c->metered = slot->worth_ps;
	c->clock_ns += ps / SIM_PS_PER_NS;
	c->carry_ps = ps % SIM_PS_PER_NS;
}

/* Brings the CPU's clock up to date with its meter and returns it. */
static ALWAYS_INLINE uint64_t clock_charge_slot_ns(struct sim *sim, const struct cpu_slot *slot)
{
	struct sim_cpu *c = slot->own;

	if (unlikely(slot->meter != c->plain))
		return clock_charge_slow(sim, slot->cpu);
	DCHECK(clock_verify(sim, slot->cpu));
	if (slot->worth_ps != c->metered)
		clock_take_worth(c, slot);
	return c->clock_ns;
}

static inline uint64_t clock_charge_ns(struct sim *sim, uint32_t cpu)
{
	return clock_charge_slot_ns(sim, &sim->head.rt.slots[cpu]);
}

/*
 * The CPU's clock with what its meter shows, which is left for the next charge: where a host takes
 * turns, how a stretch of time is cut decides when the next turn ends.
 */
static inline uint64_t clock_peek_ns(const struct sim *sim, uint32_t cpu)
{
	const struct sim_cpu *c = &sim->cpus[cpu];
	const struct cpu_slot *slot = &sim->head.rt.slots[cpu];

	if (slot->meter == NULL || slot->meter != c->meter || !sim->costs_time)
		return c->clock_ns;
	return c->clock_ns + (c->carry_ps + (slot->worth_ps - c->metered)) / SIM_PS_PER_NS;
}

/* clock_charge_ns() where nothing was counted since the last one. */
void clock_settle_host(struct sim *sim, uint32_t cpu);

static inline void clock_settle(struct sim *sim, uint32_t cpu)
{
	if (unlikely(sim->config.host_round_ns != 0))
		clock_settle_host(sim, cpu);
}

/* The rest of clock_preempt_ns(): the clock has not moved, or no table says what costs. */
uint64_t clock_preempt_still_ns(struct sim *sim, struct sim_cpu *c);

/* clock_charge_ns() for a preempt point: also without a cost table, time moves. */
static ALWAYS_INLINE uint64_t clock_preempt_ns(struct sim *sim, const struct cpu_slot *slot)
{
	struct sim_cpu *c = slot->own;
	uint64_t now_ns = clock_charge_slot_ns(sim, slot);

	if (unlikely(now_ns == c->preempted_ns || !sim->metered))
		return clock_preempt_still_ns(sim, c);
	c->preempted_ns = now_ns;
	c->still = 0;
	return now_ns;
}

/* Makes what the CPU's meter shows now the zero of its time. */
void clock_skip_meter(struct sim *sim, uint32_t cpu);

/* clock_idle() of a CPU that has not come as far. */
void clock_idle_until(struct sim *sim, uint32_t cpu, uint64_t until_ns);

/* The CPU had nothing to do until then; its clock is there at least. */
static inline void clock_idle(struct sim *sim, uint32_t cpu, uint64_t until_ns)
{
	if (until_ns > sim->cpus[cpu].clock_ns)
		clock_idle_until(sim, cpu, until_ns);
}

/* The CPU executed a loop that counts nothing until then, or is beyond it already. */
void clock_spin(struct sim *sim, uint32_t cpu, uint64_t until_ns);

/* Counts one increment of a meter item that the runtime counts; RT_SIM_NO_ITEM: nothing. */
void clock_count(struct sim *sim, uint32_t cpu, uint32_t item);

/* ---- host.c ---- */

/* The CPU has work after having been idle for so long; its clock moves on if it must wait. */
void host_wake(struct sim *sim, uint32_t cpu, uint64_t idle_ns);

/* The CPU has run for so long, as its clock says; it may have to wait for its next turn. */
void host_run(struct sim *sim, uint32_t cpu, uint64_t ran_ns);

/*
 * The CPU runs: another one on the same processor does not, even if its clock has not come as far
 * as to notice.
 */
void host_exclude(struct sim *sim, uint32_t cpu, uint32_t other);

/* Contract: rt.h, host_work. */
void host_work(struct task *t, uint64_t work_ns);

/* => how long the CPU can run before its turn is over, at least 1 */
uint64_t host_turn_left_ns(const struct sim *sim, const struct sim_cpu *c);

/* ---- shootdown.c ---- */

/* Contract: rt.h, shoot_down. */
uint32_t shootdown_wait(struct task *t, bool all);

/* ---- queue.c ---- */

/*
 * Makes a task that is in no queue runnable on `cpu` from time ready_ns on. An
 * engine thread preempts what runs there, and so does who has had much less time; others
 * take their turn.
 */
void queue_insert(struct sim *sim, struct sim_task *st, uint32_t cpu, uint64_t ready_ns);

/* Puts the running task back in the queue: at the end, or first with the rest of its turn. */
void queue_put_back(struct sim *sim, uint32_t cpu, bool turn_is_over);

/* Takes the task out that may run at the CPU's clock; urgent ones first. NULL when none may. */
struct sim_task *queue_take(struct sim *sim, uint32_t cpu);

/* The CPU's running task stops running there: its turn is counted. */
void queue_stop_running(struct sim_cpu *c);

/* The CPU has nothing left to do: takes a task that waits for another CPU, if there is one. */
void queue_pull(struct sim *sim, uint32_t cpu);

/* Is there a task in turn that may run at the CPU's clock? */
bool queue_has_ready(const struct sim_cpu *cpu);

/* Writes keys_ns[cpu] anew after any change of the CPU's work or clock. */
void queue_update_key(struct sim *sim, uint32_t cpu);

/* Chooses the CPU for a task that has just become runnable. */
uint32_t queue_choose_cpu(struct sim *sim, const struct sim_task *st);

/* Those of the mask that are not stopped; all that are not, if there is none. */
struct cpumask queue_allowed(const struct sim *sim, const struct cpumask *cpus);

/* The CPU of the mask with the fewest tasks of the same kind at home; the lowest of equals. */
uint32_t queue_choose_home(const struct sim *sim, const struct cpumask *cpus, bool kthread);

/* Changes the home slot of a task and the CPUs' numbers of tasks. */
void queue_set_home(struct sim *sim, struct sim_task *st, uint32_t cpu);

/* ---- sched.c ---- */

/*
 * Suspends the current task, whose new state is already noted, and runs whatever
 * comes next; returns when the task runs again, perhaps at once.
 */
void sched_switch(struct sim *sim);

/* As sched_switch() when the current task has ended. */
NORETURN void sched_switch_last(struct sim *sim);

/* Starts the simulation from the thread; returns when it ends or pauses. */
void sched_enter(struct sim *sim);

/* Gives control back to the thread for good, from the main task. */
NORETURN void sched_leave(struct sim *sim);

/* The current task stops running until sched_wake() or its timer. `state` says why. */
void sched_block(struct sim *sim, enum sim_state state, uint64_t until_ns);

/* Makes a blocked task runnable at the given time. */
void sched_wake(struct sim *sim, struct sim_task *st, uint64_t at_ns);

/* Something happens at at_ns: the current CPU must not run past it unnoticed. */
void sched_note_event(struct sim *sim, uint64_t at_ns);

/* Somebody was woken: often lets another CPU go on, as if the waker were interrupted just there. */
void sched_explore_wake(struct sim *sim);
/* The part of a preempt point that is not needed most of the time. */
void sched_preempt_slow(struct sim *sim, struct task *t);

/* The current task found a word taken: runs other CPUs until it is free. slot: whose it is. */
void sched_contended(struct sim *sim, struct task *t, _Atomic uint32_t *word, const char *what,
		     struct cpu_slot *slot);

/* Makes the tasks of a stopped CPU leave it, the current one too. => whether all have left */
bool sched_clear_cpu(struct sim *sim, uint32_t cpu);

/* The CPU that executes callbacks for one that is stopped. */
uint32_t sched_call_cpu(const struct sim *sim, uint32_t cpu);

/* Moves a task to a CPU of its mask as soon as it holds nothing. */
void sched_move(struct sim *sim, struct sim_task *st);

/* Does the CPU wait in vain for a word that is still taken? Only exploration meets such a word. */
bool sched_is_spinning(const struct sim *sim, const struct sim_cpu *c);

/* ---- sim.c ---- */

/* Executes the callbacks that are due on the CPU. => its completion task is the current one */
void sim_irq_calls(struct sim *sim, struct sim_cpu *c);

/* ---- report.c ---- */

/* Nothing can ever run again: says who waits for what and stops the program. */
NORETURN void report_deadlock(struct sim *sim);

/* No program will run again, for all that the engine's threads do: says who waits, and stops. */
NORETURN void report_lost(struct sim *sim, uint64_t waited_ns);

/* A lock or slot was found taken where that cannot be: says who may have it and stops. */
NORETURN void report_contention(struct sim *sim, const struct task *t, const char *what);

#endif
