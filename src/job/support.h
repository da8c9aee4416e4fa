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
 * => NULL if it can, or is no such command at all; else what is missing, as a noun ("control
 * groups")
 */
const char *support_missing_command(const char *command);

enum support {
	SUPPORT_YES,
	SUPPORT_LATER,	 /* Linux 6.1 has it, neap does not yet */
	SUPPORT_UNKNOWN, /* nobody has it */
};

/* Can this file below /proc/sys/vm be written? */
enum support support_sysctl(const char *name);
/* => the advice that a word of the job language stands for; false: there is no such word */
bool support_advice(const char *name, enum neap_advice *advice);

#endif
