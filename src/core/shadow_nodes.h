/* Leaves of the page cache's indexes that hold shadows and no pages (core/shadow_nodes.c). */
#ifndef NEAP_CORE_SHADOW_NODES_H
#define NEAP_CORE_SHADOW_NODES_H

#include "core/machine.h"

/* The leaf at this place holds only shadows from now on. => its mapping's lock held */
void shadow_nodes_list(struct task *t, uint64_t place);
/* It gets a page, or goes. => its mapping's lock held */
void shadow_nodes_unlist(struct task *t, uint64_t place);
/* Registers the shrinker. May sleep. => 0 or a negative errno */
int shadow_nodes_register(struct task *t, struct neap_machine *m) MUST_CHECK;
/* => what is wrong with the node's list, or NULL. Everything stands still. */
const char *shadow_nodes_verify(struct node *node);

#endif
