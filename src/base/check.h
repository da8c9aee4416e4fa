/*
 * Assertions.
 *
 * CHECK is always on and must be cheap: it states what would make every later
 * line wrong. DCHECK may be slow and exists in builds with NEAP_DEBUG only.
 * Both end the process through check_fail(): a broken invariant has no caller
 * that could handle it. Errors of the world are never CHECKs.
 *
 * check_fail() itself prints and aborts, which base may not do, so it is
 * provided by the runtime layer (src/rt/panic.c).
 */
#ifndef NEAP_BASE_CHECK_H
#define NEAP_BASE_CHECK_H

#include "base/base.h"

NORETURN void check_fail(const char *file, int line, const char *what);

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			check_fail(__FILE__, __LINE__, #cond);                                     \
	} while (0)

#ifdef NEAP_DEBUG
#define DCHECK(cond) CHECK(cond)
#define NEAP_DEBUG_BUILD 1
#else
#define DCHECK(cond)                                                                               \
	do {                                                                                       \
		(void)sizeof(cond);                                                                \
	} while (0)
#define NEAP_DEBUG_BUILD 0
#endif

#endif
