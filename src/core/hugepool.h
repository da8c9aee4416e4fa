/*
 * The pool of huge pages that is set aside by hand (vm.nr_hugepages; spec 23, section 6).
 */
#ifndef NEAP_CORE_HUGEPOOL_H
#define NEAP_CORE_HUGEPOOL_H

#include "core/machine.h"

/*
 * Grows or shrinks the pool until it has `want` pages of 2 MiB, or as many as can be had, with the
 * nodes taking turns. One resize at a time; others wait. May sleep, reclaim and compact. Nothing
 * held.
 * => pages that the pool has now
 */
uint64_t hugepool_resize(struct task *t, struct neap_machine *m, uint64_t want);

/* Pages of 2 MiB in the pool: of one node, of all. */
uint64_t hugepool_node_pages(const struct node *node);
uint64_t hugepool_pages(const struct neap_machine *m);

/*
 * Counts the pool's lists and looks at each page of them. => NULL, or what is wrong. Nobody resizes
 * meanwhile.
 */
const char *hugepool_verify(const struct neap_machine *m);

#endif
