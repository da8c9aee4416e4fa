/*
 * machine.c: from a description to a machine with its memory free.
 *
 *   check the description
 *   reserve arrays: descriptors, block types, nodes, CPUs, per-CPU sets, lists
 *   nodes and zones: sizes, names, CPUs, distances
 *   zonelists, then all managed frames to the free lists, then marks and limits
 *
 * The arrays are zeroed by the hardware and cost nothing until touched, and a zero
 * descriptor means "inside a free block". So building touches one descriptor per
 * free block: a machine of 64 GiB has 16384 of them, not 16 million.
 *
 * Memory is freed as at Linux's boot: ascending, in the largest aligned blocks, each
 * to the end of its list, every pageblock Movable. A first request of another type
 * therefore splits a whole block of order 10 off the movable ones.
 *
 * A zone's holes are known by count only: the first present - managed frames are
 * taken by boot, the last spanned - present do not exist. In zone Movable boot takes the
 * last ones, as it begins at the end of memory before there are zones.
 *
 *   start_pfn | reserved | managed ................ | absent |
 *             <---------- present ------------------>
 *             <---------- spanned --------------------------->
 *
 * There is no task yet. Building runs on a task of its own that lives on this stack,
 * on the first CPU, in a copy of the runtime without its preempt points.
 *
 * What must never happen: overlapping zones, or a CPU in two nodes.
 *
 * Linux: free_area_init() and memblock_free_all() in effect, not in form.
 */
#include "core/machine.h"

#include <errno.h>
#include <string.h>

#include "core/buddy.h"
#include "core/kcompactd.h"
#include "core/kswapd.h"
#include "core/marks.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/sysctl.h"
#include "core/zonelist.h"

#define PFN_LIMIT ((uint64_t)1 << 31) /* 8 TiB: frame numbers and twice their value fit 32 bits */

static const char *const zone_names[NR_ZONES] = { "DMA", "DMA32", "Normal", "Movable", "Device" };

/* ---- the description ---- */

static bool zone_desc_valid(const struct machine_zone_desc *zone)
{
	if (zone->spanned == 0)
		return zone->present == 0 && zone->managed == 0;
	return zone->start_pfn != PFN_NONE && zone->managed <= zone->present &&
	       (zone->reserved_at == 0 ||
		(!zone->hole_first && zone->reserved_at <= zone->managed)) &&
	       zone->present <= zone->spanned &&
	       (uint64_t)zone->start_pfn + zone->spanned <= PFN_LIMIT;
}

static bool zones_overlap(const struct machine_zone_desc *a, const struct machine_zone_desc *b)
{
	return a->spanned != 0 && b->spanned != 0 && a->start_pfn < b->start_pfn + b->spanned &&
	       b->start_pfn < a->start_pfn + a->spanned;
}

/* Zones of all nodes are numbered through: node * NR_ZONES + type. */
static const struct machine_zone_desc *desc_zone(const struct machine_desc *desc, uint32_t i)
{
	return &desc->node[i / NR_ZONES].zone[i % NR_ZONES];
}

static bool desc_zones_valid(const struct machine_desc *desc)
{
	uint32_t nr = desc->nr_nodes * NR_ZONES;
	uint64_t kernel_pages = 0; /* what unmovable requests can use */

	for (uint32_t i = 0; i < nr; i++) {
		const struct machine_zone_desc *zone = desc_zone(desc, i);

		if (!zone_desc_valid(zone))
			return false;
		if (i % NR_ZONES == ZONE_DEVICE && zone->spanned != 0)
			return false;
		if (i % NR_ZONES <= ZONE_NORMAL)
			kernel_pages += zone->managed;
		for (uint32_t k = 0; k < i; k++)
			if (zones_overlap(zone, desc_zone(desc, k)))
				return false;
	}
	return kernel_pages != 0;
}

static bool desc_cpus_valid(const struct machine_desc *desc)
{
	struct cpumask seen = { { 0 } };

	for (uint32_t n = 0; n < desc->nr_nodes; n++) {
		const struct cpumask *cpus = &desc->node[n].cpus;

		for (uint32_t cpu = cpumask_next(cpus, 0); cpu < NEAP_MAX_CPUS;
		     cpu = cpumask_next(cpus, cpu + 1)) {
			if (cpu >= desc->nr_cpus || cpumask_test(&seen, cpu))
				return false;
			cpumask_set(&seen, cpu);
		}
	}
	return cpumask_count(&seen) == desc->nr_cpus;
}

static uint32_t desc_max_pfn(const struct machine_desc *desc)
{
	uint32_t max_pfn = 0;

	for (uint32_t i = 0; i < desc->nr_nodes * NR_ZONES; i++) {
		const struct machine_zone_desc *zone = desc_zone(desc, i);

		if (zone->spanned != 0)
			max_pfn = max_u32(max_pfn, zone->start_pfn + zone->spanned);
	}
	return max_u32(max_pfn, desc->hot_first_pfn + desc->hot_pages);
}

static bool power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* Memory to come lies behind all that there is, in whole blocks. */
static bool desc_hot_valid(const struct machine_desc *desc)
{
	uint32_t block_pages = desc->block_pages != 0 ? desc->block_pages : BLOCK_PAGES_DEFAULT;

	if (!power_of_two(block_pages) || block_pages < 1u << NEAP_MAX_ORDER)
		return false;
	if (desc->hot_pages == 0)
		return true;
	for (uint32_t i = 0; i < desc->nr_nodes * NR_ZONES; i++) {
		const struct machine_zone_desc *zone = desc_zone(desc, i);

		if (zone->spanned != 0 && zone->start_pfn + zone->spanned > desc->hot_first_pfn)
			return false;
	}
	return desc->hot_first_pfn % block_pages == 0 && desc->hot_pages % block_pages == 0 &&
	       (uint64_t)desc->hot_first_pfn + desc->hot_pages <= PFN_LIMIT;
}

static bool desc_valid(const struct machine_desc *desc, const struct rt *rt)
{
	return desc->nr_nodes >= 1 && desc->nr_nodes <= NEAP_MAX_NODES && desc->nr_cpus >= 1 &&
	       desc->nr_cpus <= NEAP_MAX_CPUS && desc->nr_cpus == rt->nr_slots &&
	       desc_cpus_valid(desc) && desc_zones_valid(desc) && desc_hot_valid(desc);
}

static void machine_build_blocks(struct neap_machine *m, const struct machine_desc *desc)
{
	uint32_t pages = desc->block_pages != 0 ? desc->block_pages : BLOCK_PAGES_DEFAULT;

	m->blocks.shift = (uint32_t)__builtin_ctz(pages);
	m->blocks.nr = (m->max_pfn >> m->blocks.shift) + 1;
	m->blocks.first_hot =
		desc->hot_pages != 0 ? desc->hot_first_pfn >> m->blocks.shift : m->blocks.nr;
}

/* ---- arrays ---- */

/* Zone and type are below the node (core/page.h), and the type does not matter. */
#define PLACES_PER_NODE (1u << (PAGE_NODE_SHIFT - PAGE_ZONE_SHIFT))

static void *machine_reserve(struct neap_machine *m, uint64_t nr, size_t bytes)
{
	return m->hw->ops->reserve(m->hw, nr * bytes);
}

static int machine_reserve_arrays(struct neap_machine *m, const struct machine_desc *desc)
{
	uint64_t blocks = (uint64_t)(m->max_pfn >> PAGEBLOCK_SHIFT) + 1;

	/* Up to the end of the last large block: buddies are looked at before zones are compared.
	 */
	m->pages = machine_reserve(m, round_up_u64(m->max_pfn, 1u << NEAP_MAX_ORDER),
				   sizeof(struct page));
	m->block_type = machine_reserve(m, blocks, sizeof(uint8_t));
	m->pairs = machine_reserve(m, round_up_u64(m->max_pfn, NEAP_PAGEBLOCK_PAGES) >> PAIRS_SHIFT,
				   sizeof(*m->pairs));
	m->compact_skip = machine_reserve(m, blocks / 64 + 1, sizeof(*m->compact_skip));
	m->nodes = machine_reserve(m, m->nr_nodes, sizeof(struct node));
	m->zone_of_place = machine_reserve(m, (uint64_t)m->nr_nodes * PLACES_PER_NODE,
					   sizeof(*m->zone_of_place));
	m->cpus = machine_reserve(m, m->nr_cpus, sizeof(struct cpu));
	m->blocks.state = machine_reserve(m, m->blocks.nr, sizeof(*m->blocks.state));
	m->blocks.node = machine_reserve(m, m->blocks.nr, sizeof(*m->blocks.node));
	if (m->blocks.state == NULL || m->blocks.node == NULL)
		return -ENOMEM;
	if (m->pages == NULL || m->pairs == NULL)
		return -ENOMEM;
	if (m->block_type == NULL || m->compact_skip == NULL || m->nodes == NULL ||
	    m->zone_of_place == NULL || m->cpus == NULL)
		return -ENOMEM;
	if (desc->has_swap) {
		m->slot_of = machine_reserve(m, m->max_pfn, sizeof(uint32_t));
		if (m->slot_of == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* ---- nodes, zones, CPUs ---- */

static bool meets(uint32_t first, uint32_t end, uint32_t other, uint32_t nr)
{
	return first < other + nr && other < end;
}

/* Memory blocks that lie wholly in the zone are its own; others stay as they are for ever. */
static void zone_build_blocks(struct neap_machine *m, const struct zone *zone)
{
	struct memory_blocks *blocks = &m->blocks;
	uint32_t last = (zone->end_pfn - 1) >> blocks->shift;

	for (uint32_t block = zone->start_pfn >> blocks->shift; block <= last; block++) {
		uint32_t first = block << blocks->shift;
		uint32_t end = (block + 1) << blocks->shift;
		bool whole = first >= zone->start_pfn && end <= zone->end_pfn &&
			     !meets(first, end, zone->absent_first, zone->nr_absent);

		/* Frames that are missing at the zone's beginning count as reserved. */
		if (zone->present + zone->nr_absent != zone_spanned(zone) &&
		    meets(first, end, zone->reserved_first, zone->nr_reserved))
			whole = false;

		blocks->state[block] =
			whole ? (uint16_t)(BLOCK_FIRST_ZONE + zone_number(zone)) : BLOCK_MIXED;
		blocks->node[block] = (uint8_t)zone->node;
	}
}

/* Do the pairs of the pageblocks at the zone's ends tell of frames of another zone? */
static bool desc_shares_pairs(const struct machine_desc *desc, const struct machine_zone_desc *zone)
{
	const uint32_t pages = 1u << NR_PAIR_ORDERS;
	struct machine_zone_desc whole = *zone;

	if (zone->spanned == 0)
		return false;
	whole.start_pfn &= ~(pages - 1);
	whole.spanned =
		((zone->start_pfn + zone->spanned + pages - 1) & ~(pages - 1)) - whole.start_pfn;
	for (uint32_t i = 0; i < desc->nr_nodes * NR_ZONES; i++)
		if (desc_zone(desc, i) != zone && zones_overlap(&whole, desc_zone(desc, i)))
			return true;
	return false;
}

static int zone_build(struct neap_machine *m, struct node *node, uint32_t type,
		      const struct machine_zone_desc *desc)
{
	struct zone *zone = &node->zone[type];

	zone->machine = m;
	zone->name = zone_names[type];
	zone->node = node->id;
	zone->place = page_place(node->id, type);
	zone->type = type;
	zone->start_pfn = desc->start_pfn;
	zone->end_pfn = desc->start_pfn + desc->spanned;
	zone->boot_first = desc->start_pfn;
	zone->nr_boot = desc->spanned;
	zone->present = desc->present;
	atomic_store(&zone->managed, desc->managed);
	zone->absent_first = desc->start_pfn + desc->present;
	zone->nr_absent = desc->hole_first ? 0 : desc->spanned - desc->present;
	zone->nr_reserved = (desc->hole_first ? desc->spanned : desc->present) - desc->managed;
	zone->reserved_first =
		type == ZONE_MOVABLE ? desc->start_pfn + desc->managed : desc->start_pfn;
	if (desc->reserved_at != 0)
		zone->reserved_first = desc->start_pfn + desc->reserved_at;
	if (desc->spanned == 0)
		return 0;
	node->nr_zones = type + 1;
	zone->pcp = pcp_build(m);
	if (zone->pcp == NULL)
		return -ENOMEM;
	memset(&m->block_type[desc->start_pfn >> PAGEBLOCK_SHIFT], MT_MOVABLE,
	       ((zone->end_pfn - 1) >> PAGEBLOCK_SHIFT) - (desc->start_pfn >> PAGEBLOCK_SHIFT) + 1);
	zone_build_blocks(m, zone);
	return m->hw->ops->add_frames(m->hw, desc->start_pfn, desc->spanned);
}

static int node_build(struct neap_machine *m, uint32_t id, const struct machine_node_desc *desc)
{
	struct node *node = &m->nodes[id];
	int err = 0;

	node->machine = m;
	node->id = id;
	node->cpus = desc->cpus;
	node->lruvec.node = id;
	memcpy(node->distance, desc->distance, sizeof(node->distance));
	for (uint32_t place = 0; place < PLACES_PER_NODE; place++)
		m->zone_of_place[id * PLACES_PER_NODE + place] =
			&node->zone[min_u32(place % 8, NR_ZONES - 1)];
	node->cpu = machine_reserve(m, m->nr_cpus, sizeof(struct node_cpu));
	if (node->cpu == NULL)
		return -ENOMEM;
	for (uint32_t type = 0; type < NR_ZONES && err == 0; type++)
		err = zone_build(m, node, type, &desc->zone[type]);
	for (uint32_t cpu = cpumask_next(&node->cpus, 0); cpu < NEAP_MAX_CPUS;
	     cpu = cpumask_next(&node->cpus, cpu + 1)) {
		m->cpus[cpu].node = id;
		m->cpus[cpu].home = node;
		m->cpus[cpu].given.place = UINT64_MAX;
	}
	return err;
}

static void machine_build_cpus(struct neap_machine *m)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		m->cpus[cpu].id = cpu;
		m->rt->slots[cpu].meter = m->cpus[cpu].meter;
		m->rt->slots[cpu].priced = m->rt->cost_ps != NULL;
		if (m->rt->cost_ps != NULL)
			memcpy(m->cpus[cpu].cost_ps, m->rt->cost_ps, sizeof(m->cpus[cpu].cost_ps));
		m->online[cpu / 64] |= (uint64_t)1 << (cpu % 64);
		m->nr_online++;
	}
}

/* ---- memory ---- */

/* Frees first..end-1 in the largest aligned blocks. */
static void zone_free_boot(struct task *t, struct zone *zone, uint32_t first, uint32_t end)
{
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	while (first < end) {
		uint32_t order = min_u32((uint32_t)__builtin_ctz(first), NEAP_MAX_ORDER);

		while (first + (1u << order) > end)
			order--;
		buddy_free(t, zone, first, order,
			   pageblock_type(zone->machine, first) | BUDDY_TO_TAIL);
		first += 1u << order;
	}
	DCHECK(buddy_verify(zone) == NULL);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

static void machine_free_boot(struct task *t, struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			struct zone *zone = &m->nodes[n].zone[i];
			uint32_t managed = (uint32_t)zone_managed(zone);
			uint32_t below = zone->reserved_first - zone->start_pfn;
			uint32_t above = zone->reserved_first + zone->nr_reserved;

			if (managed == 0)
				continue;
			below = min_u32(below, managed);
			zone_free_boot(t, zone, zone->start_pfn, zone->start_pfn + below);
			zone_free_boot(t, zone, above, above + managed - below);
		}
	}
}

static uint64_t desc_managed(const struct machine_desc *desc)
{
	uint64_t managed = 0;

	for (uint32_t i = 0; i < desc->nr_nodes * NR_ZONES; i++)
		managed += desc_zone(desc, i)->managed;
	return managed;
}

int machine_build(struct neap_machine *m, const struct machine_desc *desc, struct rt *rt,
		  struct hw *hw, struct store_host *host)
{
	struct rt boot_rt = *rt;
	struct task boot = { .machine = m, .rt = &boot_rt, .slot = &rt->slots[0], .name = "boot" };
	int err;

	if (!desc_valid(desc, rt))
		return -EINVAL;
	boot_rt.explore = false;
	boot_rt.virtual_time = false;
	m->rt = rt;
	m->hw = hw;
	m->host = host;
	m->nr_nodes = desc->nr_nodes;
	m->nr_cpus = desc->nr_cpus;
	m->max_pfn = desc_max_pfn(desc);
	machine_build_blocks(m, desc);
	atomic_store(&m->total_pages, desc_managed(desc));
	err = machine_reserve_arrays(m, desc);
	for (uint32_t n = 0; n < m->nr_nodes && err == 0; n++) {
		err = node_build(m, n, &desc->node[n]);
		for (uint32_t type = 0; type < NR_ZONES; type++)
			m->nodes[n].zone[type].shares_pairs =
				desc_shares_pairs(desc, &desc->node[n].zone[type]);
	}
	if (err == 0) {
		machine_build_cpus(m);
		err = zonelist_build(m);
	}
	if (err != 0)
		return err; /* what was reserved belongs to the hardware */
	sysctl_init(m);
	machine_free_boot(&boot, m);
	sysctl_init_reserves(m);
	marks_init(&boot, m);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		kswapd_init_node(&m->nodes[n]);
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		kcompactd_init_node(&m->nodes[n]);
	atomic_store(&m->min_free_pages_seen, atomic_load(&m->total_pages));
	return 0;
}
