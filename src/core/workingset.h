/* Shadow entries and refaults (spec 10, section 7). */
#ifndef NEAP_CORE_WORKINGSET_H
#define NEAP_CORE_WORKINGSET_H

#include "core/machine.h"

/* A shadow: bit 0 set, bit 1 was-workingset, bits 2..11 node, bits 12.. eviction age. Never 0. */
#define SHADOW_TAG 1u

/* The shadow a page leaves behind when reclaim evicts it; ages the node. */
uint64_t workingset_eviction(struct page *page, struct node *node);
/*
 * A page comes back whose slot held `shadow`: counts, maybe activates. Page locked, not yet on the
 * LRU.
 */
void workingset_refault(struct task *t, struct page *page, uint64_t shadow);
/* An inactive page became active: ages the node. */
void workingset_age(struct node *node, uint64_t pages);

#endif
