/*
 * Making a failing job small.
 */
#ifndef NEAP_JOB_SHRINK_H
#define NEAP_JOB_SHRINK_H

#include "base/base.h"

/*
 * The question that is asked of every candidate: does this text still fail as the first one did?
 * A text that is no job does not.
 */
typedef bool (*shrink_fails_fn)(void *ctx, const char *text);

struct shrink {
	shrink_fails_fn fails;
	void *ctx;
	uint32_t tries_left; /* candidates that may still be tried */
	uint32_t tried;	     /* so far */
};

/*
 * A text that fails, too, and from which neither a line nor half of a number could be taken, or
 * that was reached when no tries were left. The text must fail; it is not asked again.
 * => to be freed by the caller; NULL: memory is out
 */
char *shrink_job(struct shrink *s, const char *text);

#endif
