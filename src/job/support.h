/*
 * What the job language has and this version of neap can do: one table, asked by
 * the parser before anything runs.
 */
#ifndef NEAP_JOB_SUPPORT_H
#define NEAP_JOB_SUPPORT_H

#include <neap/neap.h>

#include "base/base.h"

/*
 * Is a command of the language one that neap cannot perform yet?
 * => NULL if it can, or is no such command at all; else what is missing, as a noun ("control groups")
 */
const char *support_missing_command(const char *command);

enum support_sysctl {
	SUPPORT_SYSCTL_YES,	/* can be written */
	SUPPORT_SYSCTL_LATER,	/* Linux 6.1 has it, neap does not yet */
	SUPPORT_SYSCTL_UNKNOWN, /* no file of that name below /proc/sys/vm */
};

enum support_sysctl support_sysctl(const char *name);

/* => the advice of that name in *advice; false if there is none */
bool support_advice(const char *name, enum neap_advice *advice);

#endif
