/* Requests through a task's memory policy, as recorded machines make them. */
#ifndef NEAP_CMD_PROBE_POLICY_H
#define NEAP_CMD_PROBE_POLICY_H

#include "cmd/probe_machine.h"

/* A block by the policy's rules; an interleaving policy goes on to its next node. */
uint32_t probe_policy_alloc(struct task *t, struct probe_policy *policy, uint32_t gfp,
			    uint32_t order);

#endif
