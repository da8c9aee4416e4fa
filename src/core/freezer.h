/*
 * The freezer: kswapd, kcompactd, the flusher and the timer stand still while a machine is
 * verified or suspended. neap_io goes on, so that what is in flight completes. Freezes add up: the
 * threads go on when the last of them is taken back.
 */
#ifndef NEAP_CORE_FREEZER_H
#define NEAP_CORE_FREEZER_H

#include "core/machine.h"

/* Returns once all of them stand still. May sleep. */
void freezer_freeze(struct task *t, struct neap_machine *m);
/* Takes one freeze back; after the last one, returns when the threads go on. May sleep. */
void freezer_thaw(struct task *t, struct neap_machine *m);
/*
 * A thread's freeze point. *end (may be NULL) is not 0 when the thread is to end, which ends the
 * freeze for it, as the machine's end does. May sleep. => true if it was frozen
 */
bool freezer_wait(struct task *t, struct neap_machine *m, _Atomic uint32_t *end);

/* Nobody may count on the threads now. */
static inline bool freezer_is_on(struct neap_machine *m)
{
	return atomic_load_explicit(&m->freezing, memory_order_relaxed) != 0;
}

/* Work is to be left at the next chance: a freeze is asked for, or the machine stops. */
static inline bool freezer_should_stop(struct neap_machine *m)
{
	return freezer_is_on(m) || atomic_load_explicit(&m->stopping, memory_order_relaxed) != 0;
}

#endif
