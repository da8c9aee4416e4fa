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

/*
 * Tries to free that many pages of all zones, as for an image of the machine that has to fit beside
 * it (hibernation): nobody waits for reserves. May sleep, for long. => pages reclaimed
 */
uint64_t direct_shrink_all(struct task *t, struct neap_machine *m, uint64_t pages);

#endif
