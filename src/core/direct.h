/* Direct reclaim: the allocating task frees memory itself (spec 11, sections 9 and 10). */
#ifndef NEAP_CORE_DIRECT_H
#define NEAP_CORE_DIRECT_H

#include "core/machine.h"

struct direct_request {
	const struct zonelist *zonelist;
	uint32_t highest; /* zone index limit */
	uint32_t order;
	uint32_t gfp;
	const uint64_t *nodemask; /* NULL = all */
};

/*
 * Tries to reclaim at least 32 pages. May sleep.
 * => pages reclaimed (0: nothing could be freed)
 */
uint64_t direct_reclaim(struct task *t, const struct direct_request *request);

#endif
