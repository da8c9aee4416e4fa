/*
 * What compaction remembers of a zone between runs.
 *
 *   pageblocks     |.|s|s|.|.|.|.|s|.|s|s|.|       s = skip: nothing was found there lately
 *                       ^               ^
 *            cached migrate [async]     cached free
 *                   [sync]  further down or equal
 *
 * The next run begins where the last one stopped, not at the ends of the zone. A block
 * whose scan was of no use gets a skip mark and is passed over. Both are hints, read and
 * written without a lock; a wrong one costs a block, never correctness.
 *
 * When the scanners have met, everything is marked or behind a position, so a direct run
 * asks for a reset (compact_blockskip_flush). The reset, done when kswapd goes to sleep,
 * walks from both ends towards the middle, samples blocks for something to move or to
 * fill, and places the scanners at the outermost useful ones.
 *
 * Deferral: after a failure the next 2^shift - 1 requests of the order, or a higher one,
 * are turned away at once; shift grows to 6 with every failure, and a success ends it.
 *
 * What must never happen: a hint outside the zone that a run believes. Cached positions
 * are checked when they are taken (compact.c).
 *
 * Linux: defer_compaction() and friends, __reset_isolation_suitable(),
 * update_cached_migrate(), update_pageblock_skip() of mm/compaction.c, 6.1.
 */
#include "core/compact.h"
#include "core/event.h"
#include "core/pageblock.h"

#define SAMPLE_STEP_PAGES 8u

static uint32_t hint_read(_Atomic uint32_t *hint)
{
	return atomic_load_explicit(hint, memory_order_relaxed);
}

static void hint_write(_Atomic uint32_t *hint, uint32_t value)
{
	atomic_store_explicit(hint, value, memory_order_relaxed);
}

/* ---- deferral ---- */

static void defer_event(struct task *t, struct zone *zone, uint32_t order, enum event_id id)
{
	if (likely(atomic_load_explicit(&t->machine->tracing, memory_order_relaxed) == 0))
		return;
	const uint64_t args[] = { zone->node,
				  zone->type,
				  order,
				  hint_read(&zone->compact_order_failed),
				  hint_read(&zone->compact_considered),
				  (uint64_t)1 << hint_read(&zone->compact_defer_shift) };

	event_record(t, id, args, ARRAY_LEN(args));
}

bool compact_defer_test(struct task *t, struct zone *zone, uint32_t order)
{
	uint32_t limit = 1u << hint_read(&zone->compact_defer_shift);

	if (order < hint_read(&zone->compact_order_failed))
		return false;
	uint32_t considered = hint_read(&zone->compact_considered) + 1;

	hint_write(&zone->compact_considered, min_u32(considered, limit));
	if (considered >= limit)
		return false;
	defer_event(t, zone, order, TE_MM_COMPACTION_DEFERRED);
	return true;
}

void compact_defer_failure(struct task *t, struct zone *zone, uint32_t order)
{
	uint32_t shift = hint_read(&zone->compact_defer_shift) + 1;

	hint_write(&zone->compact_considered, 0);
	hint_write(&zone->compact_defer_shift, min_u32(shift, COMPACT_DEFER_SHIFT_MAX));
	if (order < hint_read(&zone->compact_order_failed))
		hint_write(&zone->compact_order_failed, order);
	defer_event(t, zone, order, TE_MM_COMPACTION_DEFER_COMPACTION);
}

void compact_defer_success(struct task *t, struct zone *zone, uint32_t order, bool allocated)
{
	if (allocated) {
		hint_write(&zone->compact_considered, 0);
		hint_write(&zone->compact_defer_shift, 0);
	}
	if (order >= hint_read(&zone->compact_order_failed))
		hint_write(&zone->compact_order_failed, order + 1);
	defer_event(t, zone, order, TE_MM_COMPACTION_DEFER_RESET);
}

bool compact_defer_restarting(const struct zone *zone, uint32_t order)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return order >= hint_read(&z->compact_order_failed) &&
	       hint_read(&z->compact_defer_shift) == COMPACT_DEFER_SHIFT_MAX &&
	       hint_read(&z->compact_considered) >= 1u << COMPACT_DEFER_SHIFT_MAX;
}

/* ---- skip marks ---- */

static _Atomic uint64_t *skip_word(const struct neap_machine *m, uint32_t pfn, uint64_t *bit)
{
	uint32_t block = pfn >> PAGEBLOCK_SHIFT;

	*bit = (uint64_t)1 << (block & 63);
	return &m->compact_skip[block >> 6];
}

bool compact_skip_test(const struct neap_machine *m, uint32_t pfn)
{
	uint64_t bit;
	_Atomic uint64_t *word = skip_word(m, pfn, &bit);

	return (atomic_load_explicit(word, memory_order_relaxed) & bit) != 0;
}

bool compact_skip_set(struct neap_machine *m, uint32_t pfn)
{
	uint64_t bit;
	_Atomic uint64_t *word = skip_word(m, pfn, &bit);

	return (atomic_fetch_or_explicit(word, bit, memory_order_relaxed) & bit) != 0;
}

void compact_skip_clear(struct neap_machine *m, uint32_t pfn)
{
	uint64_t bit;
	_Atomic uint64_t *word = skip_word(m, pfn, &bit);

	atomic_fetch_and_explicit(word, ~bit, memory_order_relaxed);
}

/* ---- cached positions ---- */

void compact_hint_migrate(const struct compact_control *cc, uint32_t pfn)
{
	struct zone *zone = cc->zone;
	/* A caller's pfn is the first of the next block, so this is one block further still. */
	uint32_t next = pageblock_end(pfn);

	if (cc->no_set_skip_hint)
		return;
	if (next > hint_read(&zone->compact_cached_migrate[0]))
		hint_write(&zone->compact_cached_migrate[0], next);
	if (cc->mode != MIGRATE_ASYNC && next > hint_read(&zone->compact_cached_migrate[1]))
		hint_write(&zone->compact_cached_migrate[1], next);
}

void compact_hint_free(const struct compact_control *cc, uint32_t pfn)
{
	struct zone *zone = cc->zone;

	if (cc->no_set_skip_hint)
		return;
	compact_skip_set(zone->machine, pfn);
	if (pfn < hint_read(&zone->compact_cached_free))
		hint_write(&zone->compact_cached_free, pfn);
}

void compact_hint_positions(struct zone *zone)
{
	hint_write(&zone->compact_cached_migrate[0], zone->start_pfn);
	hint_write(&zone->compact_cached_migrate[1], zone->start_pfn);
	hint_write(&zone->compact_cached_free, pageblock_start(zone_end(zone) - 1));
}

/* ---- the reset ---- */

/* The reset's look at one pageblock. */
struct reset_look {
	bool source; /* something to move will do */
	bool target; /* a free page will do */
};

static bool block_is_huge(const struct neap_machine *m, uint32_t pfn)
{
	const struct page *page = machine_page(m, pfn);

	return page_test(page, PG_HEAD) && page_order(page) >= NEAP_PAGEBLOCK_ORDER;
}

/* Clears the mark of the pageblock around pfn if it is of use. => whether it is clear now */
static bool reset_block(struct zone *zone, uint32_t pfn, struct reset_look look)
{
	struct neap_machine *m = zone->machine;
	uint32_t first = max_u32(pageblock_start(pfn), zone->start_pfn);
	uint32_t last = min_u32(pageblock_end(pfn), zone_end(zone)) - 1;

	if (!zone_has_frame(zone, first) || !zone_has_frame(zone, last) || block_is_huge(m, first))
		return false;
	/* Once both scanners have a place, a block without a mark needs no look. */
	if (look.source && look.target && !compact_skip_test(m, pfn))
		return true;
	if (!look.source && look.target && pageblock_type(m, pfn) != MT_MOVABLE)
		return false;
	for (uint32_t at = first; at <= last; at += SAMPLE_STEP_PAGES) {
		const struct page *page = machine_page(m, at);

		if ((look.source && page_test(page, PG_LRU)) ||
		    (look.target && page_test(page, PG_BUDDY))) {
			compact_skip_clear(m, pfn);
			return true;
		}
	}
	return false;
}

static void place_migrate(struct zone *zone, uint32_t pfn)
{
	hint_write(&zone->compact_cached_migrate[0], pfn);
	hint_write(&zone->compact_cached_migrate[1], pfn);
}

void compact_hint_reset(struct task *t, struct zone *zone)
{
	int64_t source = zone->start_pfn;
	int64_t target = (int64_t)zone_end(zone) - 1;
	bool source_found = false;
	bool target_found = false;

	if (!zone_populated(zone) || !hint_read(&zone->compact_blockskip_flush))
		return;
	hint_write(&zone->compact_blockskip_flush, 0);
	while (source < target) {
		rt_preempt(t);
		if (reset_block(zone, (uint32_t)source,
				(struct reset_look){ true, source_found }) &&
		    !source_found) {
			source_found = true;
			hint_write(&zone->compact_init_migrate, (uint32_t)source);
			place_migrate(zone, (uint32_t)source);
		}
		if (reset_block(zone, (uint32_t)target,
				(struct reset_look){ target_found, true }) &&
		    !target_found) {
			target_found = true;
			hint_write(&zone->compact_init_free, (uint32_t)target);
			hint_write(&zone->compact_cached_free, (uint32_t)target);
		}
		source += NEAP_PAGEBLOCK_PAGES;
		target -= NEAP_PAGEBLOCK_PAGES;
	}
	/* Without room between them the scanners are put together: the next run ends at once. */
	if (!source_found || !target_found) {
		place_migrate(zone, (uint32_t)source);
		hint_write(&zone->compact_cached_free, (uint32_t)max_i64(target, 0));
	}
}

void compact_hint_reset_node(struct task *t, struct node *node)
{
	for (uint32_t z = 0; z < NR_ZONES; z++)
		compact_hint_reset(t, &node->zone[z]);
}
