/*
 * Words about nodes: memory policies, and the nodes that a task may use at all.
 *
 *     anon NAME SIZE policy=MODE[:NODES]   the policy of a region
 *     policy MODE[:NODES]                  of the script, and of threads started later
 *     mems NODES|all                       its nodes (cpuset.mems), the same
 *
 *     MODE    default, preferred, bind, interleave, local, preferred-many
 *     NODES   0-1,3
 *
 * A policy is a property of a task, so `policy` and `mems` stand alone: not in `bg`, not in
 * `parallel`, whose threads have what the script had when they began.
 *
 * What must never happen: a policy taken without the nodes that it needs, or with nodes that it
 * would ignore.
 *
 * Linux: set_mempolicy(2), mbind(2), numactl(8), cpuset(7).
 */
#include <string.h>

#include "job/parser.h"

static bool mode_takes_nodes(enum neap_policy mode)
{
	return mode != NEAP_POLICY_DEFAULT && mode != NEAP_POLICY_LOCAL;
}

void parser_policy(struct parser *p, const char *text, enum neap_policy *mode, uint64_t *nodes)
{
	static const char *const names[] = {
		[NEAP_POLICY_DEFAULT] = "default", [NEAP_POLICY_PREFERRED] = "preferred",
		[NEAP_POLICY_BIND] = "bind",	   [NEAP_POLICY_INTERLEAVE] = "interleave",
		[NEAP_POLICY_LOCAL] = "local",	   [NEAP_POLICY_PREFERRED_MANY] = "preferred-many",
	};
	size_t length = strcspn(text, ":");
	size_t i = 0;

	while (i < ARRAY_LEN(names) &&
	       (strlen(names[i]) != length || strncmp(names[i], text, length) != 0))
		i++;
	if (i == ARRAY_LEN(names)) {
		parser_error(p,
			     "policy %.40s is none of default, preferred, bind, interleave,"
			     " local, preferred-many",
			     text);
		return;
	}
	*mode = (enum neap_policy)i;
	*nodes = text[length] == ':' ? parser_nodes(text + length + 1) : 0;
	if (text[length] == ':' && *nodes == 0)
		parser_error(p, "'%.40s' is not a list of nodes such as 0-1,3", text + length + 1);
	else if (mode_takes_nodes(*mode) && *nodes == 0)
		parser_error(p, "policy %s needs nodes: %s:0-1", names[i], names[i]);
	else if (!mode_takes_nodes(*mode) && *nodes != 0)
		parser_error(p, "policy %s takes no nodes", names[i]);
}

void parser_run_policy(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_POLICY);

	p->used[1] = true;
	if (command != NULL)
		parser_policy(p, p->words[1], &command->policy, &command->nodes);
}

void parser_run_mems(struct parser *p)
{
	struct job_command *command = parser_add_command(p, JOB_OP_MEMS);

	p->used[1] = true;
	if (command == NULL || strcmp(p->words[1], "all") == 0)
		return;
	command->nodes = parser_nodes(p->words[1]);
	if (command->nodes == 0)
		parser_error(p, "'%.40s' is not a list of nodes such as 0-1,3, and not all",
			     p->words[1]);
}
