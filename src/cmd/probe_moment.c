/*
 * The moment before a burst that was recorded without its state.
 *
 *     burst 1 ... burst 2 ... burst 3 ... STATE       what is loaded for burst 2 is the state
 *             └─────┴── what is known of this moment
 *
 * The nearest state has the same pages in use, but three things move from burst to burst, and the
 * recording tells where they were:
 *
 *   reserve  Each operation says how large the HighAtomic reserve of a zone is. It does not shrink
 *            in a burst, so it begins with what the operation before ended with; before the first
 *            one, with at most what the first one ends with.
 *   boost    Each theft below a pageblock raises a zone's marks. kswapd works that off between two
 *            bursts if it was woken in the first, and recorded wake-ups say whether it was; else
 *            the boost stays. It grows in the played burst as in the recorded one.
 *   types    A theft says on which type's list the block was, and pageblocks change their type by
 *            thefts only: so it is the type from which the pageblock is stolen next, or which the
 *            last theft gave it, whichever the recording has on this side of a state. (Of each
 *            operation the first ten events are recorded.)
 *
 * Which pageblocks make up the reserve is not recorded: those of the lowest frames leave it, and
 * the ones with the most free pages join.
 *
 * None of this looks at the number that is compared afterwards, the free pages at the failure.
 *
 * What must never happen: a reserve that counts pageblocks which are not HighAtomic.
 */
#include "cmd/probe_moment.h"

#include "core/buddy.h"
#include "core/marks.h"
#include "core/pageblock.h"

void probe_moment_see_state(struct probe_moment *moment, const struct probe *probe,
			    const struct probe_state *state)
{
	for (uint32_t i = 0; i < state->zones.nr; i++) {
		const struct probe_zone *zone = &probe->zones[state->zones.first + i];

		moment->zone[zone->place.node][zone->place.zone] =
			(struct probe_moment_zone){ zone->highatomic, zone->boost };
	}
	moment->seen = true;
}

void probe_moment_see_op(struct probe_moment *moment, const struct probe *probe,
			 const struct probe_op *op)
{
	for (uint32_t i = 0; i < op->columns.nr; i++) {
		const struct probe_column *column = &probe->columns[op->columns.first + i];

		moment->zone[column->place.node][column->place.zone].highatomic =
			column->highatomic;
	}
	moment->seen = true;
}

bool probe_moment_woken(const struct probe *probe, const struct probe_item *burst, uint32_t node)
{
	for (uint32_t i = 0; i < burst->nr; i++) {
		const struct probe_op *op = &probe->ops[burst->first + i];

		for (uint32_t k = 0; k < op->events.nr; k++) {
			const struct probe_event *event = &probe->events[op->events.first + k];

			if (event->kind == PROBE_WAKE && event->node == node)
				return true;
		}
	}
	return false;
}

void probe_moment_see_boost(struct probe_moment *moment, const struct probe_machine *pm,
			    const struct probe_item *burst)
{
	for (uint32_t i = 0; i < pm->m.nr_nodes * NR_ZONES; i++) {
		uint32_t node = i / NR_ZONES;
		struct zone *zone = &pm->m.nodes[node].zone[i % NR_ZONES];

		if (!zone_populated(zone))
			continue;
		moment->zone[node][i % NR_ZONES].boost =
			probe_moment_woken(pm->probe, burst, node) ? 0 : atomic_load(&zone->boost);
	}
}

/* ---- pageblocks ---- */

/*
 * A pageblock and its free pages change to a type. A block of order 10 goes as a whole. Of a
 * pageblock that reaches beyond the zone's end, which the allocator would not touch, the part
 * inside does.
 */
static void change_type(struct probe_machine *pm, struct zone *zone, uint32_t pfn, uint32_t type)
{
	uint32_t end = min_u32(pfn + NEAP_PAGEBLOCK_PAGES, zone_end(zone));
	struct task *t = pm->t;

	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	pageblock_set_type(&pm->m, pfn, type);
	for (uint32_t at = pfn; at < end;) {
		bool is_free = page_test(&pm->m.pages[at], PG_BUDDY);
		uint32_t pages = is_free ? 1u << pm->m.pages[at].owner : 1;

		if (is_free)
			buddy_move(t, zone, at, type);
		at += pages;
	}
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

/* The first frame of the i-th pageblock wholly inside the zone. => PFN_NONE behind the last */
static uint32_t zone_block(const struct zone *zone, uint32_t i)
{
	uint64_t pfn = round_up_u64(zone->start_pfn, NEAP_PAGEBLOCK_PAGES) +
		       (uint64_t)i * NEAP_PAGEBLOCK_PAGES;

	return pfn + NEAP_PAGEBLOCK_PAGES <= zone_end(zone) ? (uint32_t)pfn : PFN_NONE;
}

static uint32_t block_free_pages(const struct neap_machine *m, uint32_t pfn)
{
	uint32_t nr = 0;

	for (uint32_t at = pfn; at < pfn + NEAP_PAGEBLOCK_PAGES;) {
		bool is_free = page_test(&m->pages[at], PG_BUDDY);
		uint32_t pages = is_free ? 1u << m->pages[at].owner : 1;

		nr += is_free ? pages : 0;
		at += pages;
	}
	return min_u32(nr, NEAP_PAGEBLOCK_PAGES);
}

/* ---- the reserve ---- */

/* The pageblock that joins or leaves the reserve next. => PFN_NONE if there is none */
static uint32_t reserve_candidate(const struct zone *zone, bool join)
{
	const struct neap_machine *m = zone->machine;
	uint32_t best_free = 0;
	uint32_t best = PFN_NONE;
	uint32_t pfn;

	for (uint32_t i = 0; (pfn = zone_block(zone, i)) != PFN_NONE; i++) {
		bool reserved = pageblock_type(m, pfn) == MT_HIGHATOMIC;

		if (!join && reserved)
			return pfn;
		/* A block of order 10 is two pageblocks and has one list: it cannot join. */
		if (!join || !pageblock_type_mergeable(pageblock_type(m, pfn)) ||
		    (page_test(&m->pages[pfn], PG_BUDDY) &&
		     m->pages[pfn].owner > NEAP_PAGEBLOCK_ORDER))
			continue;
		uint32_t free_pages = block_free_pages(m, pfn);

		if (free_pages > best_free) {
			best_free = free_pages;
			best = pfn;
		}
	}
	if (join)
		return best;
	pfn = (zone_end(zone) - 1) & ~(NEAP_PAGEBLOCK_PAGES - 1);
	return pfn >= zone->start_pfn && pageblock_type(m, pfn) == MT_HIGHATOMIC ? pfn : PFN_NONE;
}

static void apply_reserve(struct probe_machine *pm, struct zone *zone, uint64_t want)
{
	uint64_t now = atomic_load(&zone->nr_reserved_highatomic);

	while (now / NEAP_PAGEBLOCK_PAGES != want / NEAP_PAGEBLOCK_PAGES) {
		bool join = now < want;
		uint32_t pfn = reserve_candidate(zone, join);

		if (pfn == PFN_NONE)
			return;
		change_type(pm, zone, pfn, join ? MT_HIGHATOMIC : MT_UNMOVABLE);
		now = join ? now + NEAP_PAGEBLOCK_PAGES : now - min_u64(now, NEAP_PAGEBLOCK_PAGES);
		atomic_store(&zone->nr_reserved_highatomic, now);
	}
}

/* ---- types ---- */

/* A theft from the pageblock at pfn that the item recorded: its last one, or its first. */
static const struct probe_event *steal_of(const struct probe *probe, const struct probe_item *item,
					  uint32_t pfn, bool last)
{
	const struct probe_event *found = NULL;

	for (uint32_t i = 0; i < item->nr && (last || found == NULL); i++) {
		const struct probe_op *op = &probe->ops[item->first + i];

		for (uint32_t k = 0; k < op->events.nr && (last || found == NULL); k++) {
			const struct probe_event *event = &probe->events[op->events.first + k];
			uint32_t order = max_u32(event->found, NEAP_PAGEBLOCK_ORDER);

			if (event->kind == PROBE_STEAL && event->pfn >> order == pfn >> order)
				found = event;
		}
	}
	return found;
}

static bool has_ops(const struct probe_item *item)
{
	return item->kind == PROBE_BURST || item->kind == PROBE_ALONE;
}

/* The type from which the pageblock is stolen next. => PROBE_NO_TYPE: not before the next state */
static uint32_t type_ahead(const struct probe *probe, uint32_t from, uint32_t pfn)
{
	for (uint32_t i = from; i < probe->nr_items && probe->items[i].kind != PROBE_STATE; i++) {
		const struct probe_event *steal =
			has_ops(&probe->items[i]) ? steal_of(probe, &probe->items[i], pfn, false)
						  : NULL;

		if (steal != NULL)
			return steal->other;
	}
	return PROBE_NO_TYPE;
}

/* The type that the last theft since the last state gave it. => PROBE_NO_TYPE: there was none */
static uint32_t type_behind(const struct probe *probe, uint32_t from, uint32_t pfn)
{
	for (uint32_t i = from; i-- > 0 && probe->items[i].kind != PROBE_STATE;) {
		const struct probe_event *steal =
			has_ops(&probe->items[i]) ? steal_of(probe, &probe->items[i], pfn, true)
						  : NULL;

		if (steal != NULL)
			return steal->change ? steal->type : steal->other;
	}
	return PROBE_NO_TYPE;
}

static void apply_types(struct probe_machine *pm, struct zone *zone, uint32_t item)
{
	uint32_t pfn;

	for (uint32_t i = 0; (pfn = zone_block(zone, i)) != PFN_NONE; i++) {
		uint32_t type = type_ahead(pm->probe, item, pfn);

		if (type == PROBE_NO_TYPE)
			type = type_behind(pm->probe, item, pfn);
		/* The reserve is no part of this. */
		if (type < NR_PCP_TYPES && pageblock_type_mergeable(pageblock_type(&pm->m, pfn)) &&
		    block_free_pages(&pm->m, pfn) != 0)
			change_type(pm, zone, pfn, type);
	}
}

void probe_moment_apply(const struct probe_moment *moment, struct probe_machine *pm, uint32_t item)
{
	const struct probe_op *first = &pm->probe->ops[pm->probe->items[item].first];

	for (uint32_t i = 0; i < first->columns.nr; i++) {
		const struct probe_column *column = &pm->probe->columns[first->columns.first + i];
		struct zone *zone = probe_machine_zone(pm, column->place);
		const struct probe_moment_zone *known =
			&moment->zone[column->place.node][column->place.zone];

		if (zone == NULL)
			continue;
		apply_reserve(pm, zone,
			      moment->seen ? known->highatomic
					   : min_u64(atomic_load(&zone->nr_reserved_highatomic),
						     column->highatomic));
		atomic_store(&zone->boost, known->boost);
		apply_types(pm, zone, item);
		marks_refresh(zone);
	}
}
