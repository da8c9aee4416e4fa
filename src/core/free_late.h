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

/* The second half of free_page_put(). */
void free_late_put(struct task *t, uint32_t pfn);

/*
 * Drops a reference to a single frame that no list, entry or index leads to, and frees it if that
 * was the last. On a CPU that only frees this may happen a little later, but before the CPU does
 * anything that could tell: the caller's reference is gone in any case. Never sleeps.
 */
static ALWAYS_INLINE void free_page_put(struct task *t, uint32_t pfn)
{
	if (unlikely(free_late_is_on(t)))
		free_late_put(t, pfn);
	else if (page_put_test(machine_page(t->machine, pfn)))
		free_pages(t, pfn, 0);
}

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

/* The same for every CPU: takes their words. => nothing held, not pinned */
void free_late_settle_all(struct task *t, struct neap_machine *m);

#endif
