/*
 * How many huge pages?
 *
 *     pages of a zone, and what each stage may turn into huge pages
 *
 *     | free, in blocks >= 2 MiB | free, in pieces | cache, swappable | the rest |
 *       now
 *       after compaction ........ pieces are joined by moving what lies between
 *       after reclaim ............................... and more is freed
 *
 *     in all stages: what lies below the min mark plus the zone's protection stays, and
 *     pageblocks of types that cannot be moved are lost to it
 *
 * A write to nr_hugepages asks for one page after the other: movable, from any zone, with
 * reclaim and compaction, and fails when no zone gives one any more. So the number now is how often
 * the engine's mark test would pass with one block less each time, and no more than there are
 * blocks. After compaction, free pages count whatever pieces they are in, if the engine thinks
 * the zone worth a run; but a huge page needs a pageblock from which everything can be moved.
 * After reclaim, what the lists could give counts as free as well.
 *
 * The later stages are upper limits: a pinned page in each movable pageblock, which no file shows,
 * would make them all useless. A page of 1 GiB is larger than any block; the kernel looks for a
 * range that it can empty, and where in a zone the obstacles lie is in no file.
 *
 * What must never happen: a number "now" that the kernel could not give.
 *
 * Linux: alloc_buddy_huge_page(), alloc_contig_pages(); spec 23, sections 6 and 7.
 */
#include "diag/forecast.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/alloc.h"
#include "core/compact.h"
#include "core/vmstat.h"
#include "core/zonelist.h"
#include "diag/terms.h"

#define HUGE_2M_KB 2048u
#define HUGE_1G_KB 1048576u

/* Movable user memory that may be retried: what the pool asks with. */
#define POOL_GFP (GFP_HIGHUSER_MOVABLE | GFP_BIT_COMP | GFP_BIT_NOWARN | GFP_BIT_RETRY_MAYFAIL)

/* The mark test at min with some pages less. */
static bool passes(const struct zone *zone, const struct alloc_context *ac, uint32_t order,
		   int64_t free_pages, struct watermark_terms *terms)
{
	const struct watermark_query query = {
		.order = order,
		.limit = ac->highest,
		.alloc_flags = ac->flags,
		.mark = zone_mark(zone, WMARK_MIN),
		.free = free_pages,
	};

	return zone_watermark_test(zone, &query, terms);
}

/*
 * How often a zone with so many free pages could give a huge page, each time by the test; blocks
 * are assumed to be there. => at most `most`
 */
static uint64_t times(const struct zone *zone, const struct alloc_context *ac,
		      const struct forecast *forecast, uint64_t free_pages, uint64_t most)
{
	uint64_t huge = (uint64_t)1 << forecast->order;
	uint64_t low = 0, high = min_u64(free_pages / huge, most);

	/* Passing once more with what `middle` pages leave means that middle + 1 can be had. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int64_t left = (int64_t)(free_pages - middle * huge - (huge - 1));

		if (passes(zone, ac, 0, left, NULL))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Huge pages in the free blocks that a movable request may take. */
static uint64_t count_blocks(const struct state *state, const struct zone *zone,
			     const struct alloc_context *ac, uint32_t order)
{
	const struct snapshot_zone *from =
		&state->evidence->snapshot->node[zone->node].zone[zone->type];
	uint64_t sum = 0;

	for (uint32_t o = order; o < NR_ORDERS; o++) {
		uint64_t blocks = state->has_types ? 0 : from->nr_free[o];

		for (uint32_t type = 0; type < NR_TYPES && state->has_types; type++)
			if (watermark_may_take(type, ac->flags))
				blocks += from->nr_free_type[type][o];
		sum += min_u64(blocks, (uint64_t)1 << 40) << (o - order);
	}
	return sum;
}

/* Pageblocks by whether what they hold can be moved. */
static void count_pageblocks(const struct state *state, const struct alloc_context *ac,
			     struct forecast_zone *out)
{
	const struct zone *zone = out->zone;
	const uint64_t *blocks =
		state->evidence->snapshot->node[zone->node].zone[zone->type].nr_blocks;

	out->movable_blocks = blocks[MT_MOVABLE];
	if (ac->flags & ALLOC_CMA)
		out->movable_blocks += blocks[MT_CMA];
	out->fixed_blocks = blocks[MT_UNMOVABLE] + blocks[MT_RECLAIMABLE] + blocks[MT_HIGHATOMIC];
	if (!state->has_types || out->movable_blocks + out->fixed_blocks == 0) {
		out->movable_blocks = zone->present / NEAP_PAGEBLOCK_PAGES;
		out->fixed_blocks = 0;
	}
}

/* LRU pages that could be freed; not free pages, as the engine counts for a zone without any. */
static uint64_t reclaimable(const struct state *state, const struct zone *zone)
{
	uint64_t pages =
		zone_stat(zone, NR_ZONE_INACTIVE_FILE) + zone_stat(zone, NR_ZONE_ACTIVE_FILE);
	uint64_t anon =
		zone_stat(zone, NR_ZONE_INACTIVE_ANON) + zone_stat(zone, NR_ZONE_ACTIVE_ANON);
	int64_t swap = atomic_load(&((struct state *)(uintptr_t)state)->machine.nr_swap_free);

	return pages + (swap > 0 ? min_u64(anon, (uint64_t)swap) : 0);
}

static void forecast_one(struct state *state, const struct forecast *forecast,
			 const struct alloc_context *ac, struct forecast_zone *out)
{
	struct zone *zone = (struct zone *)(uintptr_t)out->zone;
	uint64_t free_pages = zone_stat(zone, NR_FREE_PAGES);
	uint64_t huge = (uint64_t)1 << forecast->order;
	uint64_t per_block = max_u64(huge / NEAP_PAGEBLOCK_PAGES, 1);
	struct watermark_terms terms;

	out->whole = zone_managed(zone) / huge;
	out->blocks = forecast->gigantic ? 0 : count_blocks(state, zone, ac, forecast->order);
	out->reclaimable_pages = reclaimable(state, zone);
	count_pageblocks(state, ac, out);
	(void)passes(zone, ac, 0, (int64_t)free_pages, &terms);
	out->kept_pages = (uint64_t)(terms.mark + terms.reserve);
	out->now = times(zone, ac, forecast, free_pages, out->blocks);
	out->compaction_runs =
		compact_suit_zone(&state->task, zone, (int32_t)min_u32(forecast->order, 10),
				  ac->flags, ac->highest) != COMPACT_SKIPPED;
	/* Blocks that are there count even if their pageblock is of another type. */
	uint64_t room = max_u64(out->movable_blocks / per_block, out->now);

	out->after_compaction =
		out->compaction_runs
			? max_u64(times(zone, ac, forecast, free_pages, room), out->now)
			: out->now;
	out->after_reclaim =
		max_u64(times(zone, ac, forecast, free_pages + out->reclaimable_pages, room),
			out->after_compaction);
}

int forecast_run(struct state *state, uint64_t huge_kb, struct forecast *out)
{
	const struct snapshot *snapshot = state->evidence->snapshot;
	struct alloc_context ac;

	*out = (struct forecast){ .huge_kb = huge_kb };
	if ((huge_kb != HUGE_2M_KB && huge_kb != HUGE_1G_KB) || snapshot_page_kb(snapshot) != 4)
		return -EINVAL;
	if (!state->has_blocks)
		return -ENODATA;
	out->gigantic = huge_kb == HUGE_1G_KB;
	out->order = out->gigantic ? 18 : NEAP_PAGEBLOCK_ORDER;
	out->pool_total = snapshot->huge_total;
	out->pool_free = snapshot->huge_free;
	for (uint32_t n = 0; n < state->machine.nr_nodes; n++) {
		if (!state_context(state, POOL_GFP, 0, n, &ac))
			return -EINVAL;
		ac.flags &= ~ALLOC_WMARK_MASK; /* min: the slow path is taken when low fails */
		for (uint32_t slot = ZONE_DEVICE; slot-- > 0;) {
			const struct zone *zone = &state->machine.nodes[n].zone[slot];
			struct forecast_zone *at = &out->zone[out->nr_zones];

			if (zone_managed(zone) == 0 || out->nr_zones == FORECAST_ZONES_MAX)
				continue;
			*at = (struct forecast_zone){ .zone = zone };
			forecast_one(state, out, &ac, at);
			out->now += at->now;
			out->after_compaction += at->after_compaction;
			out->after_reclaim += at->after_reclaim;
			out->nr_zones++;
		}
	}
	return 0;
}

/* ---- text ---- */

static void add_size(struct text_buf *out, uint64_t pages, uint32_t order)
{
	text_buf_puts(out, " (");
	terms_bytes_add(out, min_u64(pages, (uint64_t)1 << 30) << order);
	text_buf_puts(out, ")");
}

static void add_verdict(struct text_buf *out, const struct forecast *forecast, uint64_t wanted)
{
	const char *size = forecast->gigantic ? "1 GiB" : "2 MiB";

	if (wanted == 0) {
		text_buf_printf(out, "%" PRIu64 " pages of %s can be had now", forecast->now, size);
		add_size(out, forecast->now, forecast->order);
		text_buf_printf(out,
				",\n  at most %" PRIu64 " after compaction, at most %" PRIu64
				" after reclaim\n",
				forecast->after_compaction, forecast->after_reclaim);
	} else if (wanted <= forecast->now) {
		text_buf_printf(out, "yes: %" PRIu64 " of %s can be had now\n", wanted, size);
	} else if (wanted <= forecast->after_compaction) {
		text_buf_printf(out, "perhaps: %" PRIu64 " now, the rest after compaction\n",
				forecast->now);
	} else if (wanted <= forecast->after_reclaim) {
		text_buf_printf(out, "perhaps: %" PRIu64 " now, the rest after reclaim\n",
				forecast->now);
	} else {
		text_buf_printf(out, "no: %" PRIu64 " now, at most %" PRIu64 " after reclaim\n",
				forecast->now, forecast->after_reclaim);
	}
}

/* Why a zone gives no more, the strongest reason first. */
static void add_reasons(struct text_buf *out, const struct forecast *forecast,
			const struct forecast_zone *zone)
{
	uint64_t per_page = max_u64((((uint64_t)1 << forecast->order) / NEAP_PAGEBLOCK_PAGES), 1);

	if (zone->after_reclaim == 0 && zone->kept_pages >= zone_managed(zone->zone))
		text_buf_puts(out, "      closed: its protection is larger than the zone\n");
	if (zone->fixed_blocks != 0)
		text_buf_printf(out,
				"      %" PRIu64 " lie in unmovable and reclaimable pageblocks\n",
				(zone->fixed_blocks + per_page - 1) / per_page);
	text_buf_printf(out, "      %" PRIu64 " pages stay: min mark and protection\n",
			zone->kept_pages);
	if (!zone->compaction_runs)
		text_buf_puts(out,
			      "      compaction is not begun: too few free pages to move into\n");
	text_buf_printf(out, "      %" PRIu64 " pages could be reclaimed\n",
			zone->reclaimable_pages);
}

void forecast_add(struct text_buf *out, const struct state *state, const struct forecast *forecast,
		  uint64_t wanted, const struct paint *paint)
{
	char label[40];

	paint_colour(out, paint,
		     wanted > forecast->after_reclaim ? PAINT_RED
		     : wanted > forecast->now	      ? PAINT_YELLOW
						      : PAINT_GREEN);
	add_verdict(out, forecast, wanted);
	paint_colour(out, paint, PAINT_PLAIN);
	if (forecast->pool_total != 0)
		text_buf_printf(out, "  the pool has %" PRIu64 " of 2 MiB, %" PRIu64 " free\n",
				forecast->pool_total, forecast->pool_free);
	text_buf_puts(out, "\nnode, zone      room     now  compaction    reclaim\n");
	for (uint32_t i = 0; i < forecast->nr_zones; i++) {
		const struct forecast_zone *zone = &forecast->zone[i];

		snprintf(label, sizeof(label), "%u %s", state_node_id(state, zone->zone->node),
			 state_zone_name(state, zone->zone));
		text_buf_printf(out, "%-12s%8" PRIu64 "%8" PRIu64 "%12" PRIu64 "%11" PRIu64 "\n",
				label, zone->whole, zone->now, zone->after_compaction,
				zone->after_reclaim);
		add_reasons(out, forecast, zone);
	}
	if (forecast->gigantic)
		text_buf_puts(out, "\nWhere in a zone the obstacles lie is in no file: a range of"
				   " 1 GiB without one is\nneeded, so these are upper limits.\n");
	else if (!state->has_types)
		text_buf_puts(out, "\nWithout pagetypeinfo (root only) every pageblock is taken for"
				   " movable.\n");
}
