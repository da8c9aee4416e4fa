/*
 * Pressure stall information of memory (spec 14, C): how much of the time tasks were held up for
 * lack of memory.
 */
#ifndef NEAP_CORE_PSI_H
#define NEAP_CORE_PSI_H

#include "core/machine.h"

struct snapshot;

/* Bits of task.psi_state. */
#define PSI_KNOWN 1u   /* counted somewhere */
#define PSI_RUNNING 2u /* runnable: not waiting inside the engine */
#define PSI_STALLED 4u /* in a memory-stall section */

/* Tasks that a CPU counts as stalled, and as running. */
static inline uint32_t psi_nr_stalled(const struct psi_cpu *psi)
{
	return psi->nr[PSI_KNOWN | PSI_STALLED] + psi->nr[PSI_KNOWN | PSI_RUNNING | PSI_STALLED];
}

static inline uint32_t psi_nr_running(const struct psi_cpu *psi)
{
	return psi->nr[PSI_KNOWN | PSI_RUNNING] + psi->nr[PSI_KNOWN | PSI_RUNNING | PSI_STALLED];
}

/* To be called before anything runs: from now on the runtime tells when tasks stop and go on. */
void psi_init(struct neap_machine *m);

/*
 * Begin and end of a section in which the task works or waits only because memory is short.
 * Sections nest; the outermost counts. => nothing held, not pinned
 */
void psi_memstall_enter(struct task *t);
void psi_memstall_leave(struct task *t);
/*
 * Such a section that is one wait: the same with rt_tell() of its begin and end, in one change
 * each.
 */
void psi_memstall_wait(struct task *t);
void psi_memstall_go_on(struct task *t);

/*
 * The CPU goes offline: whoever it counts is counted anew where it is seen next. => visiting the
 * CPU
 */
void psi_cpu_offline(struct task *t, uint32_t cpu);

/* A program's task begins, and ends. Between both it counts as running unless it waits. */
void psi_task_begin(struct task *t);
void psi_task_end(struct task *t);

/* Brings totals up to date, and the averages when they are due. Nothing held. Never sleeps. */
void psi_update(struct task *t, struct neap_machine *m);
/* Fills psi_some and psi_full. => after psi_update() */
void psi_fill_snapshot(struct neap_machine *m, struct snapshot *out);

/*
 * A trigger from a text as written to /proc/pressure/memory: "some|full THRESHOLD_US WINDOW_US",
 * bytes long; as in Linux the last of at most 32 bytes is not looked at.
 * => its number; -EINVAL; -EBUSY all of them are in use
 */
int psi_trigger_open(struct task *t, struct neap_machine *m, const char *text,
		     size_t bytes) MUST_CHECK;
void psi_trigger_close(struct task *t, struct neap_machine *m, uint32_t number);
/*
 * Waits until the trigger fires; each event is reported once. May sleep.
 * => 0; -ETIMEDOUT; -ENOENT it is closed
 */
int psi_trigger_wait(struct task *t, struct neap_machine *m, uint32_t number,
		     uint64_t timeout_ns) MUST_CHECK;

/* The next time at which triggers must be looked at, from now; RT_FOREVER if nothing asks. */
uint64_t psi_poll_ns(struct neap_machine *m);
/* Looks at the triggers: step by step while there are stalls, and ten steps longer. */
void psi_poll(struct task *t, struct neap_machine *m);

/* One step of a running average, 11 fractional bits: spec 14, C2. percent: of the last period. */
uint64_t psi_average_step(uint64_t average, uint32_t kept, uint64_t percent);
/* The same after n periods without any stall. */
uint64_t psi_average_decay(uint64_t average, uint32_t kept, uint64_t n);

#endif
