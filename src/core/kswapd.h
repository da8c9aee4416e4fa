/* kswapd: one thread a node (spec 12). */
#ifndef NEAP_CORE_KSWAPD_H
#define NEAP_CORE_KSWAPD_H

#include "core/machine.h"

/* Initial values of a node's kswapd fields. */
void kswapd_init_node(struct node *node);
/* Starts the node's thread; a no-op if it runs. => 0 or -EAGAIN */
int kswapd_run(struct task *t, struct node *node) MUST_CHECK;
/* Stops and joins it; a no-op if it does not run. May sleep. */
void kswapd_stop(struct task *t, struct node *node);

/*
 * A request for order at zones up to `highest` found its mark missed in `zone` (spec 12, section
 * 7): records the
 * request, wakes kswapd if it sleeps and the node needs it. Never sleeps. Nothing held.
 */
void kswapd_wake(struct task *t, struct zone *zone, uint32_t gfp, uint32_t order, uint32_t highest);

/* One good zone is enough: spec 12, section 3. */
bool kswapd_balanced(const struct node *node, uint32_t order, uint32_t highest);

/* Free pages are above half of the reserves (spec 11, section 10); wakes kswapd if not. */
bool kswapd_reserves_ok(struct task *t, struct node *node);

#endif
