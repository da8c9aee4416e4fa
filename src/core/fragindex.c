/*
 * How fragmented a zone is.
 *
 *     order        0     1     2     3 ...
 *     nr_free    900   450   100    20          blocks 1470, pages 2360
 *                             └──┬──┘
 *                 order 2: suitable = 100 + 20 x 2 = 140, unusable 2360 - 140 x 4
 *
 * The external index asks why a request fails: with all the free pages in one
 * piece there would be pages / 2^order blocks for it; the fewer those are, compared
 * with the number of pieces, the more it is fragmentation and not a lack of
 * memory. It is defined for a request that fails; for one that does not it is the
 * fixed number -1000. With few large blocks it can be negative without being -1000
 * (one free block of order 9, order 10: -500).
 *
 * The unusable index asks how much of the free memory lies in pieces that are too
 * small. Divisions round down, in the order written here: the printed digits
 * depend on it.
 *
 * What must never happen: a division by a count that is 0, or a result outside
 * its range, whatever numbers a saved file claims. Sums and products are unsigned,
 * so absurd ones wrap; results are limited.
 *
 * Linux: fill_contig_page_info(), __fragmentation_index(), unusable_free_index() and
 * extfrag_for_order() of mm/vmstat.c.
 */
#include "core/fragindex.h"

#include "base/check.h"

#define ONE 1000u /* a whole, in thousandths */
#define INDEX_WOULD_NOT_FAIL (-1000)
#define LOWEST 1000000000u /* how far below 1000 the external index can be */

struct fragindex fragindex_count(const uint64_t *nr_free, uint32_t nr_orders, uint32_t order)
{
	struct fragindex frag = { .order = order };

	CHECK(nr_orders <= FRAGINDEX_ORDERS_MAX && order < FRAGINDEX_ORDERS_MAX);
	for (uint32_t o = 0; o < nr_orders; o++) {
		frag.blocks += nr_free[o];
		frag.pages += nr_free[o] << o;
		if (o >= order)
			frag.suitable += nr_free[o] << (o - order);
	}
	return frag;
}

/* Pages in pieces that are too small for the order. */
static uint64_t unusable_pages(const struct fragindex *frag)
{
	return frag->pages - (frag->suitable << frag->order);
}

int32_t fragindex_external(const struct fragindex *frag)
{
	if (frag->blocks == 0)
		return 0;
	if (frag->suitable > 0)
		return INDEX_WOULD_NOT_FAIL;
	uint64_t wanted = frag->pages * ONE >> frag->order; /* blocks in one piece, thousandths */
	uint64_t share = (ONE + wanted) / frag->blocks;
	return (int32_t)ONE - (int32_t)min_u64(share, LOWEST);
}

uint32_t fragindex_unusable(const struct fragindex *frag)
{
	if (frag->pages == 0)
		return ONE;
	return (uint32_t)min_u64(unusable_pages(frag) * ONE / frag->pages, ONE);
}

uint32_t fragindex_unusable_percent(const struct fragindex *frag)
{
	if (frag->pages == 0)
		return 0;
	return (uint32_t)min_u64(unusable_pages(frag) * 100 / frag->pages, 100);
}
