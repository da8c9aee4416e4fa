/*
 * Single frames given back while a CPU does little else: each is asked for now and freed a few
 * calls later, when its descriptor has come.
 */
#ifndef NEAP_CORE_FREE_LATE_H
#define NEAP_CORE_FREE_LATE_H

#include "core/alloc.h"
#include "core/machine.h"
#include "core/racy.h"

/* Are frees of this CPU put off? Asked without a pin: another task of the CPU may change it. */
static ALWAYS_INLINE bool free_late_is_on(const struct task *t)
{
	return racy_read(task_cpu_here(t)->nr_late) != 0;
}

/* free_page_put() while they are. => pinned briefly to slot; not any more */
void free_late_put(struct task *t, struct cpu_slot *slot, uint32_t pfn);

/*
 * A per-CPU list overflowed although it was emptied before: the CPU frees in bulk, and its next
 * frees may be late. => pinned
 */
void free_late_begin(struct task *t, const struct zone *zone);

/* This CPU's late frees are performed; the next ones are prompt. Never sleeps. */
void free_late_settle_here(struct task *t);
/* => nothing held that is later than the zone locks */
static ALWAYS_INLINE void free_late_settle(struct task *t)
{
	if (unlikely(free_late_is_on(t)))
		free_late_settle_here(t);
}

/* free_late_settle() for every CPU: takes their words. => nothing held, not pinned */
void free_late_settle_all(struct task *t, struct neap_machine *m);

/* All are performed, and none begin until free_late_allow(). => nothing held, not pinned */
void free_late_forbid(struct task *t, struct neap_machine *m);
void free_late_allow(struct neap_machine *m);

#endif
