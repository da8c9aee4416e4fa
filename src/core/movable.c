/*
 * Placing zone Movable.
 *
 *   node 0  ├── DMA ──┼──────── DMA32 ────────┼┄┄ Movable ┄┄┤
 *   node 1  ├──────── DMA32 ────────┼┄┄┄┄┄┄┄┄ Movable ┄┄┄┄┄┄┤
 *                 kernelcore, spread evenly   what remains of the highest zone
 *
 * Only memory of the machine's highest zone can become Movable; all below it is the
 * kernel's and counts as its part. A node with less than its share gives what it has,
 * and the others get new shares of the rest: rounds go on until everything is placed
 * or no node has anything left. In each round a node's part begins where its last one
 * ended.
 *
 * movablecore is the same said the other way round: the kernel gets all the rest.
 * Where both are given, the kernel gets the larger amount.
 *
 * What must never happen: a beginning that is not a multiple of the largest block, for
 * then a free block could reach over the border of two zones.
 *
 * Linux: find_zone_movable_pfns_for_nodes() of mm/page_alloc.c, 6.1. Percent and
 * movable_node are the caller's to turn into pages.
 */
#include "core/movable.h"

#include <string.h>

#define LARGEST_BLOCK_PAGES ((uint64_t)1 << (NEAP_NR_ORDERS - 1))

/* What has been placed, and what is left to place. */
struct placing {
	const struct movable_range *ranges;
	uint32_t nr_ranges;
	uint64_t usable_pfn;
	uint64_t left_pages; /* of the kernel's memory */
	uint64_t *first_pfn; /* behind the last page of each node that is the kernel's */
};

static uint64_t minus_saturating(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* How many pages the kernel is to get; 0 = there is no Movable zone. */
static uint64_t kernel_pages(const struct movable_range *ranges, uint32_t nr_ranges,
			     const struct movable_want *want)
{
	uint64_t total = 0, kernel = want->kernelcore_pages;

	for (uint32_t i = 0; i < nr_ranges; i++)
		total += ranges[i].end_pfn - ranges[i].first_pfn;
	if (want->movablecore_pages != 0) {
		uint64_t movable = round_up_u64(want->movablecore_pages, LARGEST_BLOCK_PAGES);

		kernel = max_u64(kernel, minus_saturating(total, movable));
	}
	return kernel < total ? kernel : 0;
}

/*
 * The part of a range below the highest zone is the kernel's anyway, and counts.
 * => where the range goes on; its end if it lies below as a whole
 */
static uint64_t place_below(struct placing *placing, const struct movable_range *range,
			    uint64_t first, uint64_t *share_pages)
{
	uint64_t end = min_u64(range->end_pfn, placing->usable_pfn);

	if (first >= end)
		return first;
	*share_pages = minus_saturating(*share_pages, end - first);
	placing->left_pages = minus_saturating(placing->left_pages, end - first);
	return end;
}

/* Gives the kernel up to share_pages of one node, and all of it below the highest zone. */
static void place_node(struct placing *placing, uint32_t node, uint64_t share_pages)
{
	for (uint32_t i = 0; i < placing->nr_ranges; i++) {
		const struct movable_range *range = &placing->ranges[i];
		uint64_t first = max_u64(range->first_pfn, placing->first_pfn[node]);
		uint64_t pages;

		if (range->node != node || first >= range->end_pfn)
			continue;
		first = place_below(placing, range, first, &share_pages);
		placing->first_pfn[node] = first;
		if (first == range->end_pfn)
			continue;
		pages = min_u64(range->end_pfn - first, share_pages);
		placing->first_pfn[node] = first + pages;
		placing->left_pages = minus_saturating(placing->left_pages, pages);
		share_pages -= pages;
		if (share_pages == 0)
			break;
	}
}

static uint32_t count_nodes(const struct movable_range *ranges, uint32_t nr_ranges)
{
	uint64_t seen = 0;

	for (uint32_t i = 0; i < nr_ranges; i++)
		seen |= (uint64_t)1 << ranges[i].node;
	return (uint32_t)__builtin_popcountll(seen);
}

/* Begins at a multiple of the largest block, or not at all. */
static void align(struct placing *placing)
{
	uint64_t end_pfn[NEAP_MAX_NODES] = { 0 };

	for (uint32_t i = 0; i < placing->nr_ranges; i++)
		end_pfn[placing->ranges[i].node] = placing->ranges[i].end_pfn;
	for (uint32_t n = 0; n < NEAP_MAX_NODES; n++) {
		uint64_t *first = &placing->first_pfn[n];

		*first = round_up_u64(*first, LARGEST_BLOCK_PAGES);
		if (*first >= end_pfn[n])
			*first = 0;
	}
}

void movable_place(const struct movable_range *ranges, uint32_t nr_ranges,
		   const struct movable_want *want, uint64_t first_pfn[NEAP_MAX_NODES])
{
	struct placing placing = { .ranges = ranges,
				   .nr_ranges = nr_ranges,
				   .usable_pfn = want->usable_pfn,
				   .left_pages = kernel_pages(ranges, nr_ranges, want),
				   .first_pfn = first_pfn };
	uint32_t rounds = count_nodes(ranges, nr_ranges);

	memset(first_pfn, 0, NEAP_MAX_NODES * sizeof(first_pfn[0]));
	if (placing.left_pages == 0)
		return;
	/* Each round divides among one node fewer; a rest of a page a node is not worth another. */
	for (uint32_t nodes = rounds; nodes != 0; nodes--) {
		uint64_t share = placing.left_pages / nodes;

		for (uint32_t n = 0; n < NEAP_MAX_NODES; n++) {
			if (placing.left_pages < share)
				share = placing.left_pages / nodes;
			place_node(&placing, n, share);
		}
		if (placing.left_pages <= nodes - 1)
			break;
	}
	align(&placing);
}
