/*
 * likeness_fit.c: user pages go to the zones that had room for them.
 *
 *     saved      zone A [ used ........ | free ]      zone B [ used | free .......... ]
 *     faulted in zone A [ used ............... ]      zone B [ used | free .... ]
 *                               └── pages of lists that the saved zone had fewer of ──> zone B
 *
 * A machine like a saved one has its user pages faulted in first, and free lists made of what is
 * left (core/likeness.c). Faults take the highest zone of the task's node that has room. The saved
 * machine's programs may have come to their pages in another way: files read on another node, a
 * high zone that was filled and emptied again. Then a zone has fewer frames left than were free
 * in it, while others have more.
 *
 * Such zones give pages up to others, as compaction would move them: of lists that are longer
 * than the saved zone's first, of any list after that; to zones of the same node first. A machine
 * whose zones fit is not touched, so it is exactly as its faults left it.
 *
 * What must never happen: a zone that gets pages and then lacks frames itself. Its room is counted
 * before the first page moves, and falls with each.
 *
 * Linux has no counterpart: it arrives in such a state by running.
 */
#include "core/buddy.h"
#include "core/likeness.h"
#include "core/lru.h"
#include "core/migrate.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/vmstat.h"

#define NR_ALL_ZONES (NEAP_MAX_NODES * NR_ZONES)
#define BITE SWAP_CLUSTER_MAX

struct fit {
	struct neap_machine *m;
	const struct snapshot *saved;
	int64_t room[NR_ALL_ZONES]; /* frames free beyond those that were; negative: they lack */
	uint32_t from;		    /* the zone that gives pages up */
};

static struct zone *fit_zone(const struct fit *fit, uint32_t i)
{
	return &fit->m->nodes[i / NR_ZONES].zone[i % NR_ZONES];
}

static const struct snapshot_zone *fit_saved(const struct fit *fit, uint32_t i)
{
	return &fit->saved->node[i / NR_ZONES].zone[i % NR_ZONES];
}

/* The zone that a page of `from` goes to: of its node, the highest; else of another. */
static uint32_t fit_target(const struct fit *fit)
{
	uint32_t nr = fit->m->nr_nodes * NR_ZONES;
	uint32_t first = (fit->from / NR_ZONES + 1) * NR_ZONES; /* downwards from here, around */

	for (uint32_t back = 1; back <= nr; back++) {
		uint32_t i = (first + nr - back) % nr;

		if (fit->room[i] > 0)
			return i;
	}
	return nr;
}

static uint32_t target_get(struct task *t, void *arg)
{
	struct fit *fit = arg;
	uint32_t i = fit_target(fit);
	uint32_t pfn;

	if (i == fit->m->nr_nodes * NR_ZONES)
		return PFN_NONE;
	struct zone *zone = fit_zone(fit, i);

	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	pfn = buddy_take(t, zone, 0, MT_MOVABLE, 0);
	if (pfn != PFN_NONE)
		zone_stat_add(t, zone, NR_FREE_PAGES, -1);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
	if (pfn == PFN_NONE) {
		fit->room[i] = 0;
		return PFN_NONE; /* the next page tries another zone */
	}
	struct page *page = machine_page(fit->m, pfn);

	atomic_store(&page->flags, page_place(zone->node, zone->type));
	atomic_store(&page->maps, 0);
	atomic_store(&page->refs, 1);
	fit->room[i]--;
	return pfn;
}

static void target_put(struct task *t, void *arg, uint32_t pfn)
{
	struct fit *fit = arg;
	struct page *page = machine_page(fit->m, pfn);
	const struct zone *zone = page_zone(fit->m, page);

	fit->room[zone->node * NR_ZONES + zone->type]++;
	page_put(t, page);
}

/* A single page on a list of which the zone has more than the saved one had, or on any. */
static bool may_go(const struct fit *fit, struct page *page, bool any)
{
	uint64_t flags = page_flags(page);

	if (!(flags & PG_LRU) || (flags & (PG_HEAD | PG_BUDDY | PG_PCP)))
		return false;
	uint32_t item = NR_ZONE_INACTIVE_ANON + (uint32_t)lru_list_of(flags);

	return any || zone_stat_exact(fit_zone(fit, fit->from), (enum zone_item)item) >
			      fit_saved(fit, fit->from)->stat[item];
}

/* Moves what was gathered. => how many frames are free now that were not */
static int64_t move(struct task *t, struct fit *fit, struct list *list)
{
	struct migrate_control control = { .mode = MIGRATE_SYNC,
					   .reason = MIGRATE_FOR_SYSCALL,
					   .get_target = target_get,
					   .put_target = target_put,
					   .arg = fit };

	/* What does not move stays where it is, and lacks at the end. */
	if (!list_empty(list) && migrate_pages(t, list, &control) != 0)
		migrate_putback(t, list);
	lru_drain_all(t);
	return (int64_t)control.nr_moved;
}

/* One way through the zone, from its end: the highest were the last to be used. */
static void give_up(struct task *t, struct fit *fit, bool any)
{
	struct zone *zone = fit_zone(fit, fit->from);
	struct list list = { PFN_NONE, PFN_NONE };
	uint32_t nr = 0;

	for (uint32_t pfn = zone_end(zone); pfn-- > zone->start_pfn;) {
		struct page *page = &fit->m->pages[pfn];

		if (fit->room[fit->from] + nr >= 0)
			break;
		if (!zone_has_frame(zone, pfn) || !may_go(fit, page, any) ||
		    !lru_isolate_page(t, page))
			continue;
		list_add_tail(fit->m->pages, &list, pfn);
		if (++nr < BITE)
			continue;
		fit->room[fit->from] += move(t, fit, &list);
		nr = 0;
	}
	fit->room[fit->from] += move(t, fit, &list);
}

/* => the frames that are free beyond those that were free in the saved zone */
static int64_t zone_room(const struct zone *zone, const struct snapshot_zone *saved)
{
	int64_t room = (int64_t)zone_stat_exact(zone, NR_FREE_PAGES);

	for (uint32_t type = 0; type < NR_TYPES; type++)
		for (uint32_t order = 0; order < NR_ORDERS && type != MT_ISOLATE; order++)
			room -= (int64_t)(saved->nr_free_type[type][order] << order);
	return room;
}

void likeness_fit(struct task *t, struct neap_machine *m, const struct snapshot *snapshot)
{
	struct fit fit = { .m = m, .saved = snapshot };
	uint32_t nr = m->nr_nodes * NR_ZONES;

	lru_drain_all(t);
	pcp_drain_all(t, m, NULL);
	vmstat_fold_all(t, m);
	for (uint32_t i = 0; i < nr; i++)
		if (zone_populated(fit_zone(&fit, i)))
			fit.room[i] = zone_room(fit_zone(&fit, i), fit_saved(&fit, i));
	for (uint32_t pass = 0; pass < 2; pass++)
		for (fit.from = 0; fit.from < nr; fit.from++)
			if (fit.room[fit.from] < 0)
				give_up(t, &fit, pass != 0);
}
