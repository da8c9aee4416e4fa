/*
 * Memory that nobody has used since the machine was switched on.
 *
 * What a virtual machine has for memory is memory of its host, which gives it when it
 * is touched first: 2 MiB at a time where the host has huge pages. A guest's CPU stands
 * still while the host finds and clears them, for longer than the guest's own work on
 * all 512 pages takes:
 *
 *	frame    5fff | 6000 6001 ...... 61ff | 6200
 *	              ^                       ^
 *	           4.6 ms    3.4 ms work    4.6 ms
 *
 * A bit for each block of 512 frames says that no frame of it was used yet. At boot these
 * are the blocks that are free as a whole, but for those of zone DMA, where the loader
 * and the kernel's beginnings lie. The first frame that is cleared for somebody takes the
 * bit away and is counted (fresh_blocks in a cost table).
 *
 * DIFF: only what is cleared counts, not what a device reads into: there the host does
 * the same while the program waits for the device.
 *
 * What must never happen: a block counted twice; a test in a machine whose cost table does
 * not ask for it, beyond one of a pointer.
 *
 * There is no Linux counterpart.
 */
#include "core/fresh.h"

#include <errno.h>

#include "core/pageblock.h"
#include "core/vmstat.h"

#define WORD_BITS 64u

static void fresh_mark_zone(struct neap_machine *m, const struct zone *zone)
{
	uint32_t end = zone->end_pfn;
	uint32_t pfn = (uint32_t)round_up_u64(zone->start_pfn, NEAP_PAGEBLOCK_PAGES);
	uint32_t step;

	for (; pfn < end; pfn += step) {
		const struct page *page = &m->pages[pfn];

		step = NEAP_PAGEBLOCK_PAGES;
		if (!page_test(page, PG_BUDDY) || page_order(page) < NEAP_PAGEBLOCK_ORDER)
			continue;
		step = 1u << page_order(page);
		for (uint32_t at = pfn; at < pfn + step; at += NEAP_PAGEBLOCK_PAGES) {
			uint32_t block = at >> PAGEBLOCK_SHIFT;

			m->fresh[block / WORD_BITS] |= UINT64_C(1) << block % WORD_BITS;
		}
	}
}

int fresh_begin(struct neap_machine *m)
{
	uint64_t words = (m->max_pfn >> PAGEBLOCK_SHIFT) / WORD_BITS + 1;

	m->fresh = m->hw->ops->reserve(m->hw, words * sizeof(*m->fresh));
	if (m->fresh == NULL)
		return -ENOMEM;
	for (uint32_t nid = 0; nid < m->nr_nodes; nid++)
		for (uint32_t type = ZONE_DMA + 1; type < NR_ZONES; type++)
			fresh_mark_zone(m, &m->nodes[nid].zone[type]);
	return 0;
}

void fresh_use_block(struct task *t, uint32_t pfn)
{
	uint32_t block = pfn >> PAGEBLOCK_SHIFT;
	uint64_t *word = &t->machine->fresh[block / WORD_BITS];
	uint64_t bit = UINT64_C(1) << block % WORD_BITS;

	if ((*word & bit) == 0)
		return;
	*word &= ~bit;
	event_add(t, EV_SIM_FRESH_BLOCK, 1);
}
