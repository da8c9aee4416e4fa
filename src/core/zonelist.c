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
 * Walks take no lock. A walk starts at the first entry that the request may use, its
 * preferred entry, and compares zone types through the copy in the entry, so that a
 * zone that is passed over is not touched.
 *
 * Entries are written once. When a zone gets its first memory or loses its last, all
 * nodes' lists are built again somewhere else, and the nodes' pointers exchanged; a walk
 * that has begun ends on the old entries, which stay. The sets of entries are kept by
 * what they were built from (which zones have memory, which nodes have CPUs), so that
 * memory that comes and goes all day needs no more of them than there are states.
 *
 * What must never happen: an entry of type Device, whose memory is never handed out, or
 * an entry of a zone that never had any.
 *
 * Linux: build_zonelists() and find_next_best_node() of mm/page_alloc.c. The
 * distances are multiplied as there, by 1024 nodes, because ties depend on it.
 */
#include "core/zonelist.h"

#include <errno.h>
#include <string.h>

#include "core/marks.h"

#define NODES_FACTOR 1024u /* Debian's MAX_NUMNODES: loads stay below one step of distance */
/* Fewer pages than this many blocks of 512 for each of Linux's five types: one type for all. */
#define GROUPING_MIN_PAGES (NEAP_PAGEBLOCK_PAGES * 5u)

/* What lists are built from. */
struct zonelist_key {
	uint8_t populated[NEAP_MAX_NODES]; /* bit per zone type */
	uint64_t cpu_nodes;		   /* bit per node that has CPUs online */
};

struct zonelist_set {
	struct zonelist_set *next;
	struct zonelist_key key;
	struct zonelist fallback[NEAP_MAX_NODES];
	struct zonelist nofallback[NEAP_MAX_NODES];
	struct zoneref ref[];
};

static void machine_zonelist_key(const struct neap_machine *m, struct zonelist_key *key)
{
	memset(key, 0, sizeof(*key));
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct cpumask cpus = machine_node_cpus(&m->nodes[n]);

		key->cpu_nodes |= (uint64_t)(cpumask_empty(&cpus) ? 0 : 1) << n;
		for (uint32_t type = 0; type < ZONE_DEVICE; type++)
			if (zone_populated(&m->nodes[n].zone[type]))
				key->populated[n] |= (uint8_t)(1u << type);
	}
}

/* => the best node not in `used`, or m->nr_nodes */
static uint32_t node_next_best(const struct neap_machine *m, const struct zonelist_key *key,
			       uint32_t from, const uint32_t *load, uint64_t used)
{
	uint64_t best_score = UINT64_MAX;
	uint32_t best = m->nr_nodes;

	if (((used >> from) & 1) == 0)
		return from;
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		if (((used >> n) & 1) != 0 || key->populated[n] == 0)
			continue;
		uint64_t score = m->nodes[from].distance[n];

		score += n < from ? 1 : 0;
		score += (key->cpu_nodes >> n) & 1;
		score = score * NODES_FACTOR + load[n];
		if (score < best_score) {
			best_score = score;
			best = n;
		}
	}
	return best;
}

static uint32_t node_order(const struct neap_machine *m, const struct zonelist_key *key,
			   uint32_t node, uint32_t *load, uint32_t *order)
{
	const uint32_t *distance = m->nodes[node].distance;
	uint32_t previous = node;
	uint64_t used = 0;
	uint32_t nr = 0;

	while (nr < m->nr_nodes) {
		uint32_t next = node_next_best(m, key, node, load, used);

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

uint32_t zonelist_node_order(const struct neap_machine *m, uint32_t node, uint32_t *load,
			     uint32_t *order)
{
	struct zonelist_key key;

	machine_zonelist_key(m, &key);
	return node_order(m, &key, node, load, order);
}

/* Appends the node's zones. => the place behind them */
static struct zoneref *append_node(struct neap_machine *m, const struct zonelist_key *key,
				   uint32_t node, struct zoneref *at)
{
	for (uint32_t type = ZONE_DEVICE; type-- > 0;) {
		if (((key->populated[node] >> type) & 1) == 0)
			continue;
		*at++ = (struct zoneref){ &m->nodes[node].zone[type], type };
	}
	return at;
}

static void zonelist_begin(struct zonelist *list, const struct zoneref *ref)
{
	list->ref = ref;
	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		list->first[limit] = zonelist_seek(ref, limit, NULL);
}

static uint32_t key_zones(const struct zonelist_key *key)
{
	uint32_t nr = 0;

	for (uint32_t n = 0; n < NEAP_MAX_NODES; n++)
		nr += (uint32_t)__builtin_popcount(key->populated[n]);
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

/* A set of new lists; NULL: no memory. */
static struct zonelist_set *set_build(struct neap_machine *m, const struct zonelist_key *key)
{
	uint32_t load[NEAP_MAX_NODES] = { 0 };
	uint32_t order[NEAP_MAX_NODES];
	/* Per node: a list over all zones, a list over its own, each with an end. */
	uint64_t nr_refs = (uint64_t)m->nr_nodes * (key_zones(key) + 1 + NR_ZONES);
	struct zonelist_set *set =
		m->hw->ops->reserve(m->hw, sizeof(*set) + nr_refs * sizeof(struct zoneref));

	if (set == NULL)
		return NULL;
	set->key = *key;
	struct zoneref *at = set->ref;

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		uint32_t nr = node_order(m, key, n, load, order);
		const struct zoneref *first = at;

		for (uint32_t i = 0; i < nr; i++)
			at = append_node(m, key, order[i], at);
		at++; /* its zone is NULL */
		zonelist_begin(&set->fallback[n], first);
		first = at;
		at = append_node(m, key, n, at) + 1;
		zonelist_begin(&set->nofallback[n], first);
	}
	CHECK(at <= set->ref + nr_refs);
	set->next = m->zonelist_sets;
	m->zonelist_sets = set;
	return set;
}

static void zonelist_use(struct zonelist *to, const struct zonelist *from)
{
	to->ref = from->ref;
	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		to->first[limit] = from->first[limit];
}

/* Managed pages above the high marks. */
static uint64_t machine_usable_pages(const struct neap_machine *m)
{
	uint64_t pages = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t type = 0; type < ZONE_DEVICE; type++) {
			uint64_t managed = zone_managed(&m->nodes[n].zone[type]);
			uint64_t high = zone_mark(&m->nodes[n].zone[type], WMARK_HIGH);

			pages += managed > high ? managed - high : 0;
		}
	}
	return pages;
}

/* The set that answers to the key, built if it is not there. NULL: no memory. */
static const struct zonelist_set *set_of_key(struct neap_machine *m, const struct zonelist_key *key)
{
	const struct zonelist_set *set = m->zonelist_sets;

	while (set != NULL && memcmp(&set->key, key, sizeof(*key)) != 0)
		set = set->next;
	return set != NULL ? set : set_build(m, key);
}

int zonelist_prepare(struct neap_machine *m, const struct zone *zone)
{
	struct zonelist_key key;

	machine_zonelist_key(m, &key);
	if (zone->type < ZONE_DEVICE)
		key.populated[zone->node] |= (uint8_t)(1u << zone->type);
	return set_of_key(m, &key) != NULL ? 0 : -ENOMEM;
}

/* The highest zone that policies of tasks speak of: of all that ever had memory. */
static void policy_zone_raise(struct neap_machine *m, const struct zonelist_key *key)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t type = 0; type < ZONE_MOVABLE; type++)
			if (((key->populated[n] >> type) & 1) != 0 && type > m->policy_zone)
				m->policy_zone = type;
}

int zonelist_build(struct neap_machine *m)
{
	const struct zonelist_set *set;
	struct zonelist_key key;

	machine_zonelist_key(m, &key);
	set = set_of_key(m, &key);
	if (set == NULL)
		return -ENOMEM;
	policy_zone_raise(m, &key);
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		zonelist_use(&m->nodes[n].fallback, &set->fallback[n]);
		zonelist_use(&m->nodes[n].nofallback, &set->nofallback[n]);
		zone_set_nofragment(m, &m->nodes[n]);
	}
	m->mobility_disabled = machine_usable_pages(m) < GROUPING_MIN_PAGES;
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++)
			marks_refresh(&m->nodes[n].zone[i]);
	return 0;
}

void zonelist_set_fallback(struct node *node, struct zone *const *zones, uint32_t nr)
{
	/* Nobody is on its way, and zones neither come nor go: the entries may be changed. */
	struct zoneref *ref = (struct zoneref *)(uintptr_t)node->fallback.ref;
	struct zonelist_key key;

	machine_zonelist_key(node->machine, &key);
	CHECK(nr <= key_zones(&key));
	for (uint32_t i = 0; i < nr; i++)
		ref[i] = (struct zoneref){ .zone = zones[i], .index = zones[i]->type };
	ref[nr] = (struct zoneref){ .zone = NULL };
	zonelist_begin(&node->fallback, ref);
}
