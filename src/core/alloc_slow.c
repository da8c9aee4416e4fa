/*
 * alloc_slow.c: what a request does when no zone is above its low mark.
 *
 *   wake kswapds ─ walk (min) ──────────────────────────────────────> page
 *        │ costly or unmovable blocks: compact lightly, walk ───────> page
 *        │
 *   ┌─> wake kswapds ─ reserve rights? ─ walk ──────────────────────> page
 *   │      │ cannot sleep, or is reclaiming itself ─────────────────> fail
 *   │   reclaim ─ walk ─ give reserve back, drain lists, walk ──────> page
 *   │   compact ─ walk ─────────────────────────────────────────────> page
 *   │      │ NORETRY, or too large an order ────────────────────────> fail
 *   ├── progress, or could a zone reach its mark with all that is reclaimable?
 *   ├── progress, and could compaction do better (alloc_compact.c)?
 *   │      │ no
 *   │   last walk (high mark) ──────────────────────────────────────> page, else fail
 *   └── NOFAIL: walk with reserves, sleep a tick, for ever
 *
 * A failed request says that memory is really gone: sixteen rounds without a single
 * page reclaimed, or nothing reclaimable that would help. There is no process to kill
 * here, so where Linux would start its OOM killer the request fails and oom_count
 * grows.
 *
 * Rights are worked out once per round from the request's flags and the task:
 *   cannot sleep (no DIRECT_RECLAIM)  part of the min mark, if HIGH; the reserve
 *   reclaims, or has MEMALLOC         no marks at all
 *   was chosen by the OOM killer      half of min
 *
 * What must never happen: reclaim entered by a task that is reclaiming, or while a
 * lock or a pin is held (rt_assert_may_sleep() stops the program then).
 *
 * Linux: __alloc_pages_slowpath() of mm/page_alloc.c, late 6.1.y. DIFF: no OOM
 * killer.
 */
#include "core/alloc.h"
#include "core/alloc_compact.h"
#include "core/alloc_path.h"
#include "core/cma.h"
#include "core/cpuset.h"
#include "core/direct.h"
#include "core/event.h"
#include "core/kswapd.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/psi.h"
#include "core/vmstat.h"
#include "core/zonelist.h"

#define TICK_NS (4 * NSEC_PER_MSEC) /* HZ 250 */

/* What a request remembers from round to round. */
struct slow_rounds {
	uint32_t no_progress; /* rounds in a row that reclaimed nothing */
	struct compact_rounds compact;
};

static bool can_sleep(const struct alloc_context *ac)
{
	return (ac->gfp & GFP_BIT_DIRECT_RECLAIM) != 0;
}

/* Rights of the task, which replace those of the request; 0 = none. */
static uint32_t reserve_flags(const struct task *t, uint32_t gfp)
{
	if (gfp & GFP_BIT_NOMEMALLOC)
		return 0;
	if (gfp & GFP_BIT_MEMALLOC)
		return ALLOC_NO_WATERMARKS;
	/* A completion borrows the task it interrupts, but not its rights. */
	if (t->flags & PF_IRQ)
		return 0;
	if (t->flags & PF_MEMALLOC)
		return ALLOC_NO_WATERMARKS;
	return (t->flags & PF_OOM_VICTIM) ? ALLOC_OOM : 0;
}

static void slow_prefer_first(struct alloc_context *ac)
{
	ac->preferred = zonelist_first(ac->zonelist, ac->highest, ac->nodemask);
}

/* Every distinct node of the list once, as long as its zones come one after the other. */
static void slow_wake_kswapds(struct task *t, const struct alloc_context *ac)
{
	const struct zoneref *ref;
	uint32_t last = NEAP_MAX_NODES;

	if (!(ac->flags & ALLOC_KSWAPD))
		return;
	zonelist_for_each(ref, ac->zonelist, ac->highest, ac->nodemask)
	{
		if (zone_managed(ref->zone) == 0 || ref->zone->node == last)
			continue;
		last = ref->zone->node;
		kswapd_wake(t, ref->zone, ac->gfp, ac->order, ac->highest);
	}
}

/* Applies the task's rights; who has any is not bound to nodes either. */
static void slow_use_reserves(struct task *t, struct alloc_context *ac)
{
	uint32_t reserve = reserve_flags(t, ac->gfp);

	if (reserve != 0)
		ac->flags = reserve | (ac->flags & (ALLOC_KSWAPD | ALLOC_CMA));
	if (reserve != 0 || !(ac->flags & ALLOC_CPUSET)) {
		ac->nodemask = NULL;
		slow_prefer_first(ac);
	}
}

/* Reclaims once. => pages reclaimed; *pfn: what could be had afterwards. May sleep. */
static uint64_t slow_reclaim(struct task *t, struct alloc_context *ac, uint32_t *pfn)
{
	const struct direct_request request = {
		.zonelist = ac->zonelist,
		.highest = ac->highest,
		.order = ac->order,
		.gfp = ac->gfp,
		.nodemask = ac->nodemask,
	};

	/* What reclaim itself allocates must come from the reserves, not from more reclaim. */
	psi_memstall_enter(t);
	t->flags |= PF_MEMALLOC;
	uint64_t reclaimed = direct_reclaim(t, &request);

	t->flags &= ~PF_MEMALLOC;
	psi_memstall_leave(t);
	*pfn = PFN_NONE;
	if (reclaimed == 0)
		return 0;
	*pfn = alloc_walk(t, ac);
	if (*pfn == PFN_NONE) {
		/* The pages may sit in the reserve or on some CPU's lists. */
		pageblock_unreserve_highatomic(t, ac, false);
		pcp_drain_all(t, t->machine, NULL);
		*pfn = alloc_walk(t, ac);
	}
	return reclaimed;
}

bool alloc_slow_could_serve(const struct zone *zone, const struct alloc_context *ac,
			    struct watermark_terms *terms)
{
	const struct watermark_query query = {
		.order = ac->order,
		.limit = ac->highest,
		.alloc_flags = ac->flags,
		.mark = zone_mark(zone, WMARK_MIN),
		.free = (int64_t)(zone_reclaimable_pages(zone) +
				  zone_stat_exact(zone, NR_FREE_PAGES)),
	};

	return zone_watermark_test(zone, &query, terms);
}

static bool slow_retry_reclaim(struct task *t, const struct alloc_context *ac,
			       struct slow_rounds *rounds, uint64_t reclaimed)
{
	const struct zoneref *ref;

	if (reclaimed != 0 && ac->order <= NEAP_COSTLY_ORDER)
		rounds->no_progress = 0;
	else
		rounds->no_progress++;
	if (rounds->no_progress <= MAX_RECLAIM_RETRIES) {
		zonelist_for_each(ref, ac->zonelist, ac->highest,
				  ac->nodemask) if (alloc_slow_could_serve(ref->zone, ac,
									   NULL)) return true;
	}
	/* Before giving up, the last of the reserve. */
	return pageblock_unreserve_highatomic(t, ac, true);
}

/* Would Linux's OOM killer kill for this request? */
static bool slow_is_oom(const struct alloc_context *ac)
{
	return ac->order <= NEAP_COSTLY_ORDER &&
	       !(ac->gfp & (GFP_BIT_RETRY_MAYFAIL | GFP_BIT_THISNODE)) &&
	       ac->highest >= ZONE_NORMAL;
}

/* With other rights: within the limit of the task's nodes, then without. */
static uint32_t slow_inside_outside(struct task *t, const struct alloc_context *ac, uint32_t flags)
{
	struct alloc_context again = *ac;

	again.flags = flags | ALLOC_CPUSET;
	uint32_t pfn = alloc_walk(t, &again);

	if (pfn != PFN_NONE || !cpuset_limits(t))
		return pfn;
	again.flags = flags;
	return alloc_walk(t, &again);
}

/*
 * The attempt before memory is declared gone: at the high mark, so that only a real recovery lets
 * it pass.
 */
static uint32_t slow_last_attempt(struct task *t, const struct alloc_context *ac)
{
	struct alloc_context last = *ac;

	last.gfp = (ac->gfp | GFP_BIT_HARDWALL) & ~GFP_BIT_DIRECT_RECLAIM;
	last.flags = ALLOC_WMARK_HIGH | ALLOC_CPUSET;
	uint32_t pfn = alloc_walk(t, &last);

	if (pfn == PFN_NONE && slow_is_oom(ac)) {
		atomic_fetch_add_explicit(&t->machine->oom_count, 1, memory_order_relaxed);
		if (ac->gfp & GFP_BIT_NOFAIL)
			pfn = slow_inside_outside(t, ac, ALLOC_NO_WATERMARKS);
	}
	return pfn;
}

bool alloc_slow_may_retry(const struct alloc_context *ac)
{
	const uint32_t wanted = GFP_BIT_RETRY_MAYFAIL | GFP_BIT_IO;

	if (ac->gfp & GFP_BIT_NORETRY)
		return false;
	return ac->order <= NEAP_COSTLY_ORDER || (ac->gfp & wanted) == wanted;
}

/* One round of steps 4 to 12. => false: the request fails, unless *pfn is a page. May sleep. */
static bool slow_round(struct task *t, struct alloc_context *ac, struct slow_rounds *rounds,
		       uint32_t *pfn)
{
	slow_wake_kswapds(t, ac);
	slow_use_reserves(t, ac);
	*pfn = alloc_walk(t, ac);
	if (*pfn != PFN_NONE || !can_sleep(ac) || (t->flags & PF_MEMALLOC))
		return false;
	uint64_t reclaimed = slow_reclaim(t, ac, pfn);

	alloc_note_free(t->machine);
	if (*pfn == PFN_NONE)
		*pfn = alloc_compact_try(t, ac, &rounds->compact);
	if (*pfn != PFN_NONE || !alloc_slow_may_retry(ac))
		return false;
	if (slow_retry_reclaim(t, ac, rounds, reclaimed) ||
	    (reclaimed != 0 && (ac->gfp & GFP_BIT_IO) &&
	     alloc_compact_retry(t, ac, &rounds->compact)))
		return true;
	*pfn = slow_last_attempt(t, ac);
	return false;
}

/* Waits a little and tries with what reserves there are. May sleep. */
static uint32_t slow_nofail(struct task *t, const struct alloc_context *ac)
{
	uint32_t pfn = slow_inside_outside(t, ac, ALLOC_MIN_RESERVE);

	if (pfn == PFN_NONE)
		rt_sleep(t, TICK_NS);
	return pfn;
}

/* Large and unmovable blocks are not what reclaim makes: compaction goes first. */
bool alloc_slow_compacts_first(const struct alloc_context *ac)
{
	if (!can_sleep(ac) || !(ac->gfp & GFP_BIT_IO))
		return false;
	return ac->order > NEAP_COSTLY_ORDER || (ac->order > 0 && ac->type != MT_MOVABLE);
}

static bool slow_compacts_first(const struct task *t, const struct alloc_context *ac)
{
	return reserve_flags(t, ac->gfp) == 0 && alloc_slow_compacts_first(ac);
}

/* A costly request that wants one light attempt has had it. => it fails now */
static bool slow_gives_up(const struct alloc_context *ac, struct slow_rounds *rounds)
{
	if (ac->order <= NEAP_COSTLY_ORDER || !(ac->gfp & GFP_BIT_NORETRY) ||
	    (ac->gfp & GFP_BIT_NOFAIL))
		return false;
	if (rounds->compact.result == COMPACT_SKIPPED ||
	    rounds->compact.result == COMPACT_DEFERRED || (ac->gfp & GFP_BIT_THISNODE))
		return true;
	rounds->compact.priority = COMPACT_PRIORITY_ASYNC;
	return false;
}

uint32_t alloc_slow(struct task *t, struct alloc_context *ac)
{
	struct slow_rounds rounds = { .compact.priority = COMPACT_PRIORITY_ASYNC };
	uint32_t pfn;

	event_add(t, EV_SIM_ALLOC_SLOW, 1);
	alloc_note_free(t->machine);
	if (can_sleep(ac))
		rt_assert_may_sleep(t);
	ac->flags = watermark_slow_flags(ac->gfp, ac->order) | cma_alloc_flag(t->machine, ac->type);
	ac->spread_dirty = false;
	slow_prefer_first(ac);
	if (ac->preferred->zone == NULL)
		return PFN_NONE;
	slow_wake_kswapds(t, ac);
	pfn = alloc_walk(t, ac);
	if (pfn == PFN_NONE && slow_compacts_first(t, ac))
		pfn = alloc_compact_try(t, ac, &rounds.compact);
	rounds.compact.priority = COMPACT_PRIORITY_LIGHT;
	if (pfn != PFN_NONE || (slow_compacts_first(t, ac) && slow_gives_up(ac, &rounds)))
		return pfn;
	for (;;) { /* event loop: ends with a page, a failure, or with the machine's memory */
		bool again = slow_round(t, ac, &rounds, &pfn);

		if (pfn != PFN_NONE)
			return pfn;
		if (!again) {
			if (!(ac->gfp & GFP_BIT_NOFAIL) || !can_sleep(ac))
				return PFN_NONE;
			pfn = slow_nofail(t, ac);
			if (pfn != PFN_NONE)
				return pfn;
		}
		rt_preempt(t);
	}
}
