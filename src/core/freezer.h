/*
 * The freezer: kswapd, the flusher and the timer stand still while a machine is
 * verified or suspended. neap_io goes on, so that what is in flight completes.
 */
#ifndef NEAP_CORE_FREEZER_H
#define NEAP_CORE_FREEZER_H

#include "core/machine.h"

/* Returns once all of them stand still. May sleep. */
void freezer_freeze(struct task *t, struct neap_machine *m);
/* Lets them go on; returns when they do. May sleep. */
void freezer_thaw(struct task *t, struct neap_machine *m);
/* A thread's freeze point. May sleep. => true if it was frozen */
bool freezer_wait(struct task *t, struct neap_machine *m);

/* Work is to be left at the next chance: a freeze is asked for, or the machine stops. */
static inline bool freezer_should_stop(struct neap_machine *m)
{
	return atomic_load_explicit(&m->freezing, memory_order_relaxed) != 0 ||
	       atomic_load_explicit(&m->stopping, memory_order_relaxed) != 0;
}

#endif
