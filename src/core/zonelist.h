/* Which zones a request may use, and in which order (spec 01, section 5). */
#ifndef NEAP_CORE_ZONELIST_H
#define NEAP_CORE_ZONELIST_H

#include "core/machine.h"

/*
 * Builds both lists of every node, policy_zone, and whether grouping by type is worth while; at
 * build, and when a zone has got its first memory or lost its last. The entries come from the
 * hardware's reserve. Zones and distances are set. One caller at a time; requests may be on their
 * way.
 * => 0; -ENOMEM, the lists are as before
 */
int zonelist_build(struct neap_machine *m) MUST_CHECK;

/*
 * Makes sure that zonelist_build() cannot fail when the zone has got its first memory and nothing
 * else has changed. One caller at a time, as above. => 0; -ENOMEM
 */
int zonelist_prepare(struct neap_machine *m, const struct zone *zone) MUST_CHECK;

/*
 * Replaces a node's fallback order by the nr zones given, which are populated and differ from one
 * another. => nobody at work
 */
void zonelist_set_fallback(struct node *node, struct zone *const *zones, uint32_t nr);

/*
 * The nodes in the order in which `node` falls back to them, itself first. load: one count per
 * node, 0 before the first node of a rebuild; nodes are built in ascending order.
 * => number of nodes in order[]
 */
uint32_t zonelist_node_order(const struct neap_machine *m, uint32_t node, uint32_t *load,
			     uint32_t *order);

/*
 * The first entry from `ref` on that a request with this limit and nodemask may use; its zone is
 * NULL at the end.
 */
static ALWAYS_INLINE const struct zoneref *zonelist_seek(const struct zoneref *ref,
							 uint32_t highest, const uint64_t *nodemask)
{
	while (ref->zone != NULL) {
		if (ref->index <= highest &&
		    (nodemask == NULL || ((*nodemask >> ref->zone->node) & 1) != 0))
			break;
		ref++;
	}
	return ref;
}

/* The entry a request prefers. */
static ALWAYS_INLINE const struct zoneref *zonelist_first(const struct zonelist *list,
							  uint32_t highest,
							  const uint64_t *nodemask)
{
	return likely(nodemask == NULL) ? list->first[highest]
					: zonelist_seek(list->ref, highest, nodemask);
}

/* All usable entries of a list: const struct zoneref *ref is declared by the caller. */
#define zonelist_for_each(ref, list, highest, nodemask)                                            \
	for ((ref) = zonelist_first((list), (highest), (nodemask)); (ref)->zone != NULL;           \
	     (ref) = zonelist_seek((ref) + 1, (highest), (nodemask)))

#endif
