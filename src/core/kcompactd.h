/* kcompactd: one thread a node that compacts on request and by the clock (spec 21). */
#ifndef NEAP_CORE_KCOMPACTD_H
#define NEAP_CORE_KCOMPACTD_H

#include "core/machine.h"

/* Initial values of a node's kcompactd fields. */
void kcompactd_init_node(struct node *node);
/* Starts the node's thread; a no-op if it runs. => 0 or -EAGAIN */
int kcompactd_run(struct task *t, struct node *node) MUST_CHECK;
/* Stops and joins it; a no-op if it does not run. May sleep. */
void kcompactd_stop(struct task *t, struct node *node);

/*
 * A block of the order is wanted in zones up to `highest` by somebody who will not compact: notes
 * the request, and wakes the thread if a run could help. Never sleeps. Nothing held.
 */
void kcompactd_wake(struct task *t, struct node *node, uint32_t order, uint32_t highest);
/* vm.compaction_proactiveness was written and is not 0: every node looks at its score now. */
void kcompactd_trigger(struct task *t, struct neap_machine *m);

#endif
