/* Periodic work of a machine (start.c). */
#ifndef NEAP_CORE_TIMER_H
#define NEAP_CORE_TIMER_H

#include "core/machine.h"

/*
 * Counters moved: fold them within a second. Cheap when armed already. Never sleeps. Nothing held.
 */
void timer_kick(struct task *t, struct neap_machine *m);

#endif
