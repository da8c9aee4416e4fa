/*
 * A lock that is held across waiting: one word of the machine, for what happens seldom.
 *
 *   0 free   1 taken;   whoever finds it taken sleeps, and looks again after 4 ms at most,
 *   so that a wake-up that goes to nobody is only late
 *
 * Page locks, spin locks and pins are not held by who takes one. There is no owner: the
 * task that took it releases it.
 */
#ifndef NEAP_CORE_SLEEPLOCK_H
#define NEAP_CORE_SLEEPLOCK_H

#include "port/rt.h"

#define SLEEPLOCK_LOOK_NS (4 * NSEC_PER_MSEC)

static inline bool sleeplock_try(_Atomic uint32_t *lock)
{
	return atomic_exchange(lock, 1) == 0;
}

/* May sleep. => not in a pass of reclaim */
static inline void sleeplock_take(struct task *t, _Atomic uint32_t *lock)
{
	rt_assert_no_reclaim(t);
	while (!sleeplock_try(lock))
		(void)rt_wait(t, lock, 1, SLEEPLOCK_LOOK_NS); /* any return: look again */
}

static inline void sleeplock_release(struct task *t, _Atomic uint32_t *lock)
{
	atomic_store(lock, 0);
	rt_wake(t, lock, 1);
}

#endif
