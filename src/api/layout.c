/*
 * Where a machine's memory lies.
 *
 * Two kinds. A plain machine (`memory`, `nodes`, `cpus`) has one zone Normal a node:
 *
 *   frame 0   1024            aligned to 1024                aligned to 1024
 *         ──── [node 0 Normal] ─── [node 1 Normal] ─── ...
 *
 * A PC (`machine`) has the zones that x86-64 makes of the memory map of a QEMU
 * machine, type pc or q35:
 *
 *   1      4096                       PCI hole    1048576 (4 GiB)
 *   [ DMA ][ DMA32 of node 0, 1, ... ]            [ Normal of the later nodes ]
 *
 * Memory of nodes follows one after the other and jumps over the hole. Where the
 * hole begins depends on the type: 3 GiB (pc, from 3.5 GiB of memory on) or 2 GiB
 * (q35, from 2.75 GiB on). Firmware tables take the last 44 frames below the hole.
 * A zone that goes on behind the hole spans it without having it present.
 *
 * MANAGED is what is left when the kernel has booted. We imitate Linux 6.1.192
 * (Debian's cloud flavour), from saved zoneinfo files of 27 such machines; in
 * frames of 4 KiB:
 *   - zone DMA: 158 of 3998, always;
 *   - the frame descriptors, 64 bytes a frame in sections of 128 MiB: 512 a section,
 *     from the node's highest zone;
 *   - kernel and initial file system: 8103, somewhere (its address is random). We
 *     take them from the larger zone of the largest node;
 *   - 16384 for bounce buffers when there is memory above 4 GiB, from the highest
 *     zone below;
 *   - hash tables (one node: 48 a section; several: spread elsewhere), 61 a CPU, and
 *     constants.
 * The result agrees with the saved machines to within four frames a zone wherever the
 * kernel's address was the same.
 *
 * With the boot options kernelcore or movablecore the end of the highest zone of each
 * node becomes zone Movable (core/movable.c); what a node keeps comes from there first.
 *
 * What must never happen: two zones that overlap, or a zone with more managed than
 * present frames; layout_check() looks.
 *
 * Linux: arch/x86/kernel/e820.c, mm/page_alloc.c (free_area_init).
 */
#include "api/layout.h"

#include <errno.h>
#include <string.h>

#include "api/like.h"
#include "core/movable.h"

#define PLAIN_FIRST_PFN 1024u
#define PLAIN_ALIGN_PAGES 1024u
#define PLAIN_NODE_PAGES_MIN 256u
#define DISTANCE_SELF 10u
#define DISTANCE_OTHER 20u

#define DMA_FIRST_PFN 1u
#define DMA_END_PFN 4096u
#define DMA_PRESENT_PAGES 3998u
/* Between these frames lie the firmware's data, the video memory and its ROM. */
#define DMA_LOW_END_PFN 159u
#define DMA_HIGH_FIRST_PFN 256u
#define DMA_MANAGED_PAGES 3840u
#define NORMAL_FIRST_PFN 1048576u
#define FIRMWARE_PAGES 44u
#define SECTION_PAGES 32768u
#define MEMMAP_PAGES_A_SECTION 512u
#define KERNEL_PAGES 8103u
#define BOUNCE_PAGES 16384u
#define PAGES_A_CPU 61u

static uint32_t layout_sections(uint64_t pages)
{
	return (uint32_t)((pages + SECTION_PAGES - 1) / SECTION_PAGES);
}

/* ---- plain machines ---- */

static void plain_distances(struct machine_desc *desc)
{
	for (uint32_t a = 0; a < desc->nr_nodes; a++)
		for (uint32_t b = 0; b < desc->nr_nodes; b++)
			desc->node[a].distance[b] = a == b ? DISTANCE_SELF : DISTANCE_OTHER;
}

static int plain_make(struct neap_config *config, struct machine_desc *desc)
{
	uint64_t total_pages = config->memory_bytes >> NEAP_PAGE_SHIFT;
	uint64_t node_pages = total_pages / config->nr_nodes;
	uint64_t extra_pages = total_pages % config->nr_nodes;
	uint64_t next_pfn = PLAIN_FIRST_PFN;

	if (node_pages < PLAIN_NODE_PAGES_MIN)
		return config_fail(config, -EINVAL,
				   "memory: %llu MiB split over %u nodes leaves less than 1 MiB a"
				   " node.",
				   (unsigned long long)(config->memory_bytes / MIB),
				   config->nr_nodes);
	desc->nr_nodes = config->nr_nodes;
	desc->nr_cpus = config->nr_cpus;
	for (uint32_t nid = 0; nid < desc->nr_nodes; nid++) {
		struct machine_zone_desc *zone = &desc->node[nid].zone[ZONE_NORMAL];
		uint32_t pages = (uint32_t)(node_pages + (nid < extra_pages ? 1 : 0));

		*zone = (struct machine_zone_desc){
			.start_pfn = (uint32_t)next_pfn,
			.spanned = pages,
			.present = pages,
			.managed = pages,
		};
		next_pfn = round_up_u64(next_pfn + pages, PLAIN_ALIGN_PAGES);
	}
	for (uint32_t cpu = 0; cpu < desc->nr_cpus; cpu++)
		cpumask_set(&desc->node[cpu * desc->nr_nodes / desc->nr_cpus].cpus, cpu);
	plain_distances(desc);
	return 0;
}

/* ---- PCs ---- */

/* One node's part of the memory, as offsets in pages from the beginning of all memory. */
struct pc_span {
	uint64_t first, end; /* end: behind the last */
	uint64_t low_pages;  /* of the machine: memory below the hole */
};

static uint64_t pc_low_pages(const struct config_pc *pc, uint64_t total_pages)
{
	uint64_t limit = pc->q35 ? 2816 * MIB : 3584 * MIB;
	uint64_t low = pc->q35 ? 2 * GIB : 3 * GIB;

	return total_pages << NEAP_PAGE_SHIFT >= limit ? low >> NEAP_PAGE_SHIFT : total_pages;
}

/* Sets start, spanned and present of one node's zones; all present frames are managed so far. */
static void pc_place_node(struct machine_zone_desc *zone, const struct pc_span *span)
{
	uint64_t low_end = min_u64(span->end, span->low_pages);
	uint64_t high_first = max_u64(span->first, span->low_pages);
	bool has_high = high_first < span->end;

	if (span->first == 0)
		zone[ZONE_DMA] = (struct machine_zone_desc){
			.start_pfn = DMA_FIRST_PFN,
			.spanned = DMA_END_PFN - DMA_FIRST_PFN,
			.present = DMA_PRESENT_PAGES,
			.managed = DMA_MANAGED_PAGES,
			.hole_first = true,
		};
	if (span->first < low_end) {
		uint64_t start = max_u64(span->first, DMA_END_PFN);
		uint64_t end = low_end == span->low_pages ? low_end - FIRMWARE_PAGES : low_end;
		uint64_t spanned = (has_high ? NORMAL_FIRST_PFN : end) - start;

		zone[ZONE_DMA32] = (struct machine_zone_desc){
			.start_pfn = (uint32_t)start,
			.spanned = (uint32_t)spanned,
			.present = (uint32_t)(end - start),
			.managed = (uint32_t)(end - start),
		};
	}
	if (has_high) {
		uint32_t pages = (uint32_t)(span->end - high_first);

		zone[ZONE_NORMAL] = (struct machine_zone_desc){
			.start_pfn = (uint32_t)(NORMAL_FIRST_PFN + high_first - span->low_pages),
			.spanned = pages,
			.present = pages,
			.managed = pages,
		};
	}
}

/* The memory of a PC in the order of addresses. => number of ranges */
static uint32_t pc_ranges(const struct machine_desc *desc, struct movable_range *ranges)
{
	uint32_t nr = 0;

	for (uint32_t type = ZONE_DMA; type <= ZONE_NORMAL; type++) {
		for (uint32_t nid = 0; nid < desc->nr_nodes; nid++) {
			const struct machine_zone_desc *zone = &desc->node[nid].zone[type];
			uint64_t first = zone->start_pfn;

			if (zone->present == 0)
				continue;
			if (type == ZONE_DMA) {
				ranges[nr++] =
					(struct movable_range){ nid, first, DMA_LOW_END_PFN };
				ranges[nr++] = (struct movable_range){ nid, DMA_HIGH_FIRST_PFN,
								       DMA_END_PFN };
			} else {
				ranges[nr++] =
					(struct movable_range){ nid, first, first + zone->present };
			}
		}
	}
	return nr;
}

/* Cuts zone Movable off the end of a node's highest zone. */
static void pc_cut_movable(struct machine_node_desc *node, uint32_t highest, uint64_t first_pfn)
{
	struct machine_zone_desc *zone = &node->zone[highest];
	uint64_t end = (uint64_t)zone->start_pfn + zone->present;
	uint64_t first = max_u64(first_pfn, zone->start_pfn);
	uint32_t pages = first_pfn != 0 && first < end ? (uint32_t)(end - first) : 0;

	if (pages == 0)
		return;
	node->zone[ZONE_MOVABLE] = (struct machine_zone_desc){
		.start_pfn = (uint32_t)first,
		.spanned = pages,
		.present = pages,
		.managed = pages,
	};
	zone->present -= pages;
	zone->managed -= pages;
	zone->spanned = zone->present;
	if (zone->present == 0)
		*zone = (struct machine_zone_desc){ .present = 0 };
}

static uint64_t pc_part_pages(uint64_t bytes, uint32_t percent, uint64_t total_pages)
{
	return percent != 0 ? total_pages * percent / 100 : bytes >> NEAP_PAGE_SHIFT;
}

/* Carves zone Movable as the boot options say. */
static void pc_place_movable(const struct config_pc *pc, struct machine_desc *desc, bool has_high)
{
	struct movable_range ranges[NEAP_MAX_NODES * 3];
	uint64_t first_pfn[NEAP_MAX_NODES];
	uint32_t nr = pc_ranges(desc, ranges);
	uint32_t highest = has_high ? ZONE_NORMAL : ZONE_DMA32;
	uint64_t total = 0;

	for (uint32_t i = 0; i < nr; i++)
		total += ranges[i].end_pfn - ranges[i].first_pfn;
	const struct movable_want want = {
		.kernelcore_pages =
			pc_part_pages(pc->kernelcore_bytes, pc->kernelcore_percent, total),
		.movablecore_pages =
			pc_part_pages(pc->movablecore_bytes, pc->movablecore_percent, total),
		.usable_pfn = has_high ? NORMAL_FIRST_PFN : DMA_END_PFN,
	};

	movable_place(ranges, nr, &want, first_pfn);
	for (uint32_t nid = 0; nid < desc->nr_nodes; nid++)
		pc_cut_movable(&desc->node[nid], highest, first_pfn[nid]);
}

/* Takes frames from a zone but leaves it an eighth. => how many it could not give */
static uint32_t pc_take_zone(struct machine_zone_desc *zone, uint32_t pages)
{
	uint32_t floor = zone->present / 8;
	uint32_t spare = zone->managed > floor ? zone->managed - floor : 0;
	uint32_t taken = min_u32(spare, pages);

	zone->managed -= taken;
	return pages - taken;
}

/* The same from the higher zone of a node, then from the lower; what remains is not taken. */
static void pc_take_node(struct machine_node_desc *node, uint32_t pages)
{
	if (node->zone[ZONE_MOVABLE].present != 0)
		pages = pc_take_zone(&node->zone[ZONE_MOVABLE], pages);
	if (node->zone[ZONE_NORMAL].present != 0)
		pages = pc_take_zone(&node->zone[ZONE_NORMAL], pages);
	(void)pc_take_zone(&node->zone[ZONE_DMA32], pages);
}

static uint32_t pc_node_pages(const struct machine_node_desc *node)
{
	return node->zone[ZONE_DMA].present + node->zone[ZONE_DMA32].present +
	       node->zone[ZONE_NORMAL].present + node->zone[ZONE_MOVABLE].present;
}

/* The kernel lies in the larger zone of the largest node. */
static void pc_take_kernel(struct machine_desc *desc)
{
	struct machine_node_desc *home = &desc->node[0];

	for (uint32_t nid = 1; nid < desc->nr_nodes; nid++)
		if (layout_sections(pc_node_pages(&desc->node[nid])) >
		    layout_sections(pc_node_pages(home)))
			home = &desc->node[nid];
	if (home->zone[ZONE_NORMAL].present > home->zone[ZONE_DMA32].present)
		(void)pc_take_zone(&home->zone[ZONE_NORMAL], KERNEL_PAGES);
	else
		(void)pc_take_zone(&home->zone[ZONE_DMA32], KERNEL_PAGES);
}

static void pc_take_bounce_buffers(struct machine_desc *desc)
{
	struct machine_zone_desc *zone = NULL;

	for (uint32_t nid = 0; nid < desc->nr_nodes; nid++)
		if (desc->node[nid].zone[ZONE_DMA32].present != 0)
			zone = &desc->node[nid].zone[ZONE_DMA32];
	if (zone != NULL)
		(void)pc_take_zone(zone, BOUNCE_PAGES);
}

static uint32_t pc_nr_memory_nodes(const struct machine_desc *desc)
{
	uint32_t nr = 0;

	for (uint32_t nid = 0; nid < desc->nr_nodes; nid++)
		nr += pc_node_pages(&desc->node[nid]) != 0;
	return nr;
}

/* Everything else that a booted kernel keeps on one node; the numbers are observed. */
static uint32_t pc_node_constant(const struct machine_desc *desc, uint32_t nid, uint32_t sections,
				 bool has_high)
{
	uint32_t nr_memory_nodes = pc_nr_memory_nodes(desc);
	uint32_t pages = 44 + PAGES_A_CPU * cpumask_count(&desc->node[nid].cpus);

	if (nr_memory_nodes == 1) /* nodes without memory have their records here, too */
		return 56 + 42 * (desc->nr_nodes - 1) + PAGES_A_CPU * desc->nr_cpus +
		       48 * sections + (has_high ? 194 : 0);
	if (nid == 0)
		pages += 3;
	if (nid == desc->nr_nodes - 1)
		pages += has_high ? 9 + 194 : 9;
	return pages;
}

static void pc_take_reserves(const struct config_pc *pc, struct machine_desc *desc, bool has_high)
{
	if (has_high)
		pc_take_bounce_buffers(desc);
	pc_take_kernel(desc);
	for (uint32_t nid = 0; nid < desc->nr_nodes; nid++) {
		uint32_t sections = layout_sections(pc->node[nid].bytes >> NEAP_PAGE_SHIFT);

		if (sections != 0)
			pc_take_node(&desc->node[nid],
				     sections * MEMMAP_PAGES_A_SECTION +
					     pc_node_constant(desc, nid, sections, has_high));
	}
}

static int pc_make(struct neap_config *config, struct machine_desc *desc)
{
	const struct config_pc *pc = &config->pc;
	struct pc_span span = { 0 };
	uint64_t total_pages = 0;

	if (config->memory_given || config->nr_nodes != 1 || config->cpus_given)
		return config_fail(config, -EINVAL,
				   "machine: memory, nodes and cpus are part of the machine's text;"
				   " do not set them as well.");
	desc->nr_nodes = pc->nr_nodes;
	desc->nr_cpus = pc->nr_cpus;
	for (uint32_t nid = 0; nid < pc->nr_nodes; nid++)
		total_pages += pc->node[nid].bytes >> NEAP_PAGE_SHIFT;
	span.low_pages = pc_low_pages(pc, total_pages);
	for (uint32_t nid = 0; nid < pc->nr_nodes; nid++) {
		struct machine_node_desc *node = &desc->node[nid];

		span.end = span.first + (pc->node[nid].bytes >> NEAP_PAGE_SHIFT);
		pc_place_node(node->zone, &span);
		span.first = span.end;
		node->cpus = pc->node[nid].cpus;
		memcpy(node->distance, pc->distance[nid], sizeof(node->distance));
	}
	pc_place_movable(pc, desc, span.low_pages < total_pages);
	pc_take_reserves(pc, desc, span.low_pages < total_pages);
	return 0;
}

/* Whether the frames of two zones overlap, holes included. */
static bool zones_overlap(const struct machine_zone_desc *a, const struct machine_zone_desc *b)
{
	return a->present != 0 && b->present != 0 &&
	       a->start_pfn < (uint64_t)b->start_pfn + b->spanned &&
	       b->start_pfn < (uint64_t)a->start_pfn + a->spanned;
}

/* => stops the program if zones overlap or hold more than they span */
static void layout_check(const struct machine_desc *desc)
{
	uint32_t slots = desc->nr_nodes * NR_ZONES;

	for (uint32_t i = 0; i < slots; i++) {
		const struct machine_zone_desc *zone = &desc->node[i / NR_ZONES].zone[i % NR_ZONES];

		CHECK(zone->managed <= zone->present && zone->present <= zone->spanned);
		CHECK((uint64_t)zone->start_pfn + zone->spanned <= UINT32_MAX);
		for (uint32_t k = 0; k < i; k++)
			CHECK(!zones_overlap(zone, &desc->node[k / NR_ZONES].zone[k % NR_ZONES]));
	}
	CHECK(layout_max_pfn(desc) != 0);
}

/*
 * Room for memory to come lies behind all other memory; on a PC at or above 4 GiB, where its
 * firmware puts modules, at a multiple of 1 GiB.
 */
static int hot_make(struct neap_config *config, struct machine_desc *desc)
{
	uint64_t align = config->has_pc ? GIB >> NEAP_PAGE_SHIFT : 1;
	uint64_t first = layout_max_pfn(desc);

	desc->block_pages = (uint32_t)(config->block_bytes >> NEAP_PAGE_SHIFT);
	if (config->hotplug_bytes == 0)
		return 0;
	if (config->has_pc)
		first = max_u64(first, NORMAL_FIRST_PFN);
	first = round_up_u64(round_up_u64(first, align), desc->block_pages);
	if (config->hotplug_bytes % config->block_bytes != 0)
		return config_fail(config, -EINVAL,
				   "hotplug: memory comes in whole blocks of %llu MiB (block).",
				   (unsigned long long)(config->block_bytes / MIB));
	if (first + (config->hotplug_bytes >> NEAP_PAGE_SHIFT) > INT32_MAX)
		return config_fail(config, -EINVAL, "hotplug: there is no room for so much.");
	desc->hot_first_pfn = (uint32_t)first;
	desc->hot_pages = (uint32_t)(config->hotplug_bytes >> NEAP_PAGE_SHIFT);
	return 0;
}

int layout_make(struct neap_config *config, struct machine_desc *desc)
{
	int err;

	memset(desc, 0, sizeof(*desc));
	desc->has_swap = true;
	if (config->snapshot != NULL)
		err = like_layout(config, desc);
	else
		err = config->has_pc ? pc_make(config, desc) : plain_make(config, desc);
	if (err != 0)
		return err;
	layout_check(desc);
	return hot_make(config, desc);
}

uint32_t layout_max_pfn(const struct machine_desc *desc)
{
	uint32_t max_pfn = desc->hot_first_pfn + desc->hot_pages;

	for (uint32_t nid = 0; nid < desc->nr_nodes; nid++)
		for (uint32_t type = 0; type < NR_ZONES; type++)
			if (desc->node[nid].zone[type].present != 0)
				max_pfn = max_u32(max_pfn,
						  desc->node[nid].zone[type].start_pfn +
							  desc->node[nid].zone[type].spanned);
	return max_pfn;
}
