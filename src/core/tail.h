/* The tail of a list, decided about while it is on the list. */
#ifndef NEAP_CORE_TAIL_H
#define NEAP_CORE_TAIL_H

#include "core/lru.h"

/* What was decided. */
struct tail {
	uint32_t nr;	  /* pages; 0: nothing was, and nothing has changed */
	uint32_t nr_up;	  /* of an inactive list: those that are on the active list now */
	uint32_t nr_ptes; /* entries looked at, not counted yet (EV_SIM_PTE_WALK) */
};

/*
 * Decides about the ctl->want pages at the tail of an inactive or active anonymous list, or of the
 * active list of files, as lru_isolate(), the tests and lru_putback() would, if that is known of
 * all of them at a glance. What the pages on lists count for is done then, and ctl has its results;
 * the isolated counters and all events but the ageing of the list are the caller's.
 * => pinned, lru lock held; never sleeps
 */
void tail_decide(struct task *t, struct lru_isolate *ctl, struct tail *tail);
/*
 * Returns when nobody is in tail_decide() who could know a region none of whose pages are mapped
 * any more. May spin; nothing held.
 */
void tail_forget_region(struct task *t);

#endif
