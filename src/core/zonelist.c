/*
 * zonelist.c: for each node, the zones of the machine in the order in which a
 * request that prefers this node tries them.
 *
 *   node 1 of 3, zones DMA32 (0,1) and Normal (1,2):
 *
 *     fallback    1.Normal 1.DMA32 | 0.DMA32 0.Normal ... | 2.Normal | end
 *                 own zones, highest first | nearest node's | next node's
 *     nofallback  1.Normal 1.DMA32 | end
 *
 * Nearness is the firmware's distance, plus one for a node with a lower number
 * (so that nodes do not all fall back to node 0) and one for a node with CPUs
 * (whose own programs need the memory). Among equals the node that fewer others
 * have chosen already wins: that is what the load counts, carried from node to
 * node through one rebuild, spread.
 *
 * Lists are built once and never change afterwards, so walks take no lock. A walk
 * starts at the first entry that the request may use, its preferred entry, and
 * compares zone types through the copy in the entry, so that a zone that is
 * passed over is not touched.
 *
 * What must never happen: an entry of an empty zone, or of type Device, whose
 * memory is never handed out.
 *
 * Linux: build_zonelists() and find_next_best_node() of mm/page_alloc.c. The
 * distances are multiplied as there, by 1024 nodes, because ties depend on it.
 */
#include "core/zonelist.h"

#include <errno.h>

#define NODES_FACTOR 1024u /* Debian's MAX_NUMNODES: loads stay below one step of distance */
/* Fewer pages than this many blocks of 512 for each of Linux's five types: one type for all. */
#define GROUPING_MIN_PAGES (NEAP_PAGEBLOCK_PAGES * 5u)

static bool node_has_memory(const struct node *node)
{
	for (uint32_t i = 0; i < NR_ZONES; i++)
		if (zone_populated(&node->zone[i]))
			return true;
	return false;
}

/* => the best node not in `used`, or m->nr_nodes */
static uint32_t node_next_best(const struct neap_machine *m, uint32_t from, const uint32_t *load,
			       uint64_t used)
{
	uint64_t best_score = UINT64_MAX;
	uint32_t best = m->nr_nodes;

	if (((used >> from) & 1) == 0)
		return from;
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		if (((used >> n) & 1) != 0 || !node_has_memory(&m->nodes[n]))
			continue;
		uint64_t score = m->nodes[from].distance[n];

		score += n < from ? 1 : 0;
		score += cpumask_empty(&m->nodes[n].cpus) ? 0 : 1;
		score = score * NODES_FACTOR + load[n];
		if (score < best_score) {
			best_score = score;
			best = n;
		}
	}
	return best;
}

uint32_t zonelist_node_order(const struct neap_machine *m, uint32_t node, uint32_t *load,
			     uint32_t *order)
{
	const uint32_t *distance = m->nodes[node].distance;
	uint32_t previous = node;
	uint64_t used = 0;
	uint32_t nr = 0;

	while (nr < m->nr_nodes) {
		uint32_t next = node_next_best(m, node, load, used);

		if (next == m->nr_nodes)
			break;
		/* The first node of a group of equal distance is the one others should spare. */
		if (distance[next] != distance[previous])
			load[next]++;
		used |= (uint64_t)1 << next;
		order[nr++] = next;
		previous = next;
	}
	return nr;
}

static uint32_t zonelist_append_node(struct neap_machine *m, struct zonelist *list, uint32_t node)
{
	for (uint32_t type = ZONE_DEVICE; type-- > 0;) {
		struct zone *zone = &m->nodes[node].zone[type];

		if (!zone_populated(zone))
			continue;
		list->ref[list->nr].zone = zone;
		list->ref[list->nr].index = type;
		list->nr++;
		if (type != ZONE_MOVABLE && type > m->policy_zone)
			m->policy_zone = type;
	}
	return list->nr;
}

static void zonelist_set_first(struct zonelist *list)
{
	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		list->first[limit] = zonelist_seek(list->ref, limit, NULL);
}

static uint32_t machine_populated_zones(const struct neap_machine *m)
{
	uint32_t nr = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t type = 0; type < ZONE_DEVICE; type++)
			nr += zone_populated(&m->nodes[n].zone[type]) ? 1 : 0;
	return nr;
}

/*
 * Requests that prefer Normal may spare other types' blocks by using DMA32 instead, if that is
 * there. A machine of one node is taken to have it.
 */
static void zone_set_nofragment(struct neap_machine *m, struct node *node)
{
	node->zone[ZONE_NORMAL].nofragment =
		m->nr_nodes == 1 || zone_populated(&node->zone[ZONE_DMA32]);
}

int zonelist_build(struct neap_machine *m)
{
	uint32_t load[NEAP_MAX_NODES] = { 0 };
	uint32_t order[NEAP_MAX_NODES];
	uint32_t all = machine_populated_zones(m) + 1;
	/* Per node: a list over all zones, a list over its own, each with an end. */
	size_t per_node = all + NR_ZONES;
	struct zoneref *refs =
		m->hw->ops->reserve(m->hw, m->nr_nodes * per_node * sizeof(struct zoneref));

	if (refs == NULL)
		return -ENOMEM;
	m->policy_zone = 0;
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];
		uint32_t nr = zonelist_node_order(m, n, load, order);

		node->fallback = (struct zonelist){ .nr = 0, .ref = refs + n * per_node };
		node->nofallback = (struct zonelist){ .nr = 0, .ref = refs + n * per_node + all };
		for (uint32_t i = 0; i < nr; i++)
			zonelist_append_node(m, &node->fallback, order[i]);
		zonelist_append_node(m, &node->nofallback, n);
		zonelist_set_first(&node->fallback);
		zonelist_set_first(&node->nofallback);
		zone_set_nofragment(m, node);
	}
	m->mobility_disabled = atomic_load(&m->total_pages) < GROUPING_MIN_PAGES;
	return 0;
}

void zonelist_set_fallback(struct node *node, struct zone *const *zones, uint32_t nr)
{
	struct zonelist *list = &node->fallback;

	CHECK(nr <= machine_populated_zones(node->machine));
	for (uint32_t i = 0; i < nr; i++)
		list->ref[i] = (struct zoneref){ .zone = zones[i], .index = zones[i]->type };
	list->ref[nr] = (struct zoneref){ .zone = NULL };
	list->nr = nr;
	zonelist_set_first(list);
}
