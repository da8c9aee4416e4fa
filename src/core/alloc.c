/*
 * alloc.c: from a request to a block of frames and back; the test of the marks.
 *
 *   alloc_pages ── alloc_quick: preferred zone above its low mark, page on this CPU's list
 *        │           (orders with lists; one pin, no lock, no line that other CPUs write often)
 *        ├──────── alloc_second: the same zone, refill or buddy lists
 *        ├──────── alloc_walk: every zone in fallback order, low mark
 *        │             per-CPU list, refill, buddy lists, other types
 *        └──────── alloc_slow (alloc_slow.c): wake kswapd, min mark, reclaim, retry
 *
 * The marks decide where memory comes from. A zone serves a request if, without the
 * pages the request could not use anyway, more is free than the mark plus what the
 * zone keeps for requests that have no other zone:
 *
 *   free - unusable > mark (discounted by the request's rights) + reserve[limit]
 *
 * The count of free pages lags (core/vmstat.h), so a zone may end a little below or
 * above its mark; Linux has the same slack and its size is visible in which request
 * fails first.
 *
 * A first walk by a request that prefers zone Normal spares other types' blocks
 * (NOFRAGMENT) and rather uses zone DMA32; on several nodes it gives that up before
 * it would leave the node.
 *
 * What must never happen: a page handed out twice (every free block has one owner:
 * a buddy list, a per-CPU list or a caller), or freed while anybody refers to it.
 *
 * Linux: get_page_from_freelist(), rmqueue(), __zone_watermark_ok(), zone_statistics()
 * of mm/page_alloc.c, late 6.1.y. Cpusets and CMA are not there.
 */
#include "core/alloc.h"

#include "core/alloc_path.h"
#include "core/alloc_warn.h"
#include "core/buddy.h"
#include "core/cma.h"
#include "core/cpuset.h"
#include "core/event.h"
#include "core/free_late.h"
#include "core/fresh.h"
#include "core/kswapd.h"
#include "core/marks.h"
#include "core/mempolicy.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/reclaim_local.h"
#include "core/sysctl.h"
#include "core/vmstat.h"
#include "core/zonelist.h"
#include "core/writeback.h"

/* ---- marks ---- */

/* What the test asks about a running zone, without its lock: an answer of the moment. */
static ALWAYS_INLINE struct watermark_zone watermark_view(struct zone *zone, uint32_t limit)
{
	struct watermark_zone view = {
		.highatomic = (int64_t)atomic_load_explicit(&zone->nr_reserved_highatomic,
							    memory_order_relaxed),
		.reserve =
			(int64_t)atomic_load_explicit(&zone->reserve[limit], memory_order_relaxed),
	};

	if (zone->cma != 0)
		view.free_cma = (int64_t)zone_stat(zone, NR_FREE_CMA);
	return view;
}

bool zone_watermark_test(const struct zone *zone, const struct watermark_query *query,
			 struct watermark_terms *terms)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;
	struct watermark_zone view = watermark_view(z, query->limit);

	for (uint32_t type = 0; type < NR_TYPES && query->order != 0; type++)
		view.nonempty[type] =
			atomic_load_explicit(&z->nonempty[type], memory_order_relaxed);
	return watermark_test(&view, query, terms);
}

bool zone_watermark_ok(const struct zone *zone, uint32_t order, uint64_t mark, uint32_t limit,
		       uint32_t alloc_flags)
{
	const struct watermark_query query = {
		.order = order,
		.limit = limit,
		.alloc_flags = alloc_flags,
		.mark = mark,
		.free = (int64_t)zone_stat(zone, NR_FREE_PAGES),
	};

	return zone_watermark_test(zone, &query, NULL);
}

bool zone_watermark_ok_safe(const struct zone *zone, uint32_t order, uint64_t mark, uint32_t limit,
			    uint32_t alloc_flags)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;
	uint64_t drift_mark = atomic_load_explicit(&z->drift_mark, memory_order_relaxed);
	struct watermark_query query = {
		.order = order,
		.limit = limit,
		.alloc_flags = alloc_flags,
		.mark = mark,
		.free = (int64_t)zone_stat(zone, NR_FREE_PAGES),
	};

	if (drift_mark != 0 && (uint64_t)query.free < drift_mark)
		query.free = (int64_t)zone_stat_exact(zone, NR_FREE_PAGES);
	return zone_watermark_test(zone, &query, NULL);
}

uint64_t zone_reclaimable_pages(const struct zone *zone)
{
	uint64_t pages = zone_stat_exact(zone, NR_ZONE_INACTIVE_FILE) +
			 zone_stat_exact(zone, NR_ZONE_ACTIVE_FILE);

	if (atomic_load_explicit(&zone->machine->nr_swap_free, memory_order_relaxed) > 0)
		pages += zone_stat_exact(zone, NR_ZONE_INACTIVE_ANON) +
			 zone_stat_exact(zone, NR_ZONE_ACTIVE_ANON);
	/* A zone without anything to reclaim is not hopeless while it has free pages. */
	return pages != 0 ? pages : zone_stat_exact(zone, NR_FREE_PAGES);
}

/* The test of order 0 against a mark. */
static ALWAYS_INLINE bool watermark_single(struct zone *zone, uint64_t mark, uint32_t limit,
					   uint32_t alloc_flags)
{
	int64_t free = atomic_load_explicit(&zone->stat[NR_FREE_PAGES], memory_order_relaxed);
	struct watermark_zone view = watermark_view(zone, limit);
	int64_t usable = free - watermark_unusable(&view, 0, alloc_flags);

	/* Marks are never negative, so a negative amount fails without being cut at zero. */
	return usable > (int64_t)mark + view.reserve;
}

/* A request without rights may take blocks of the three ordinary types. */
static ALWAYS_INLINE bool zone_has_blocks(struct zone *zone, uint32_t order)
{
	uint32_t orders = 0;

	for (uint32_t type = 0; type < NR_PCP_TYPES && order != 0; type++)
		orders |= atomic_load_explicit(&zone->nonempty[type], memory_order_relaxed);
	return order == 0 || orders >> order != 0;
}

/* The common case: the low mark, without any discount. */
static ALWAYS_INLINE bool watermark_quick(struct zone *zone, uint32_t limit, uint32_t order)
{
	uint64_t mark = zone_mark(zone, WMARK_LOW) + (1u << order) - 1;

	return likely(watermark_single(zone, mark, limit, 0)) && zone_has_blocks(zone, order);
}

/*
 * The same by one number that was computed before (marks_refresh()), and nobody is to be woken. May
 * say no where the marks alone say yes.
 */
static ALWAYS_INLINE bool watermark_plain(struct zone *zone, uint32_t limit, uint32_t order)
{
	int64_t free = atomic_load_explicit(&zone->stat[NR_FREE_PAGES], memory_order_relaxed);
	int64_t above = atomic_load_explicit(&zone->plain_above[limit], memory_order_relaxed);

	return likely(free - ((int64_t)(1u << order) - 1) > above) && zone_has_blocks(zone, order);
}

bool alloc_mark_test(const struct zone *zone, const struct alloc_context *ac,
		     struct watermark_terms *terms)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;
	struct watermark_query query = {
		.order = ac->order,
		.limit = ac->highest,
		.alloc_flags = ac->flags,
		.mark = zone_mark(zone, (enum wmark)(ac->flags & ALLOC_WMARK_MASK)),
		.free = (int64_t)zone_stat(zone, NR_FREE_PAGES),
	};

	if (zone_watermark_test(zone, &query, terms))
		return true;
	if (!watermark_ignores_boost(ac->gfp, ac->order, ac->flags) ||
	    atomic_load_explicit(&z->boost, memory_order_relaxed) == 0)
		return false;
	query.mark = atomic_load_explicit(&z->mark[WMARK_MIN], memory_order_relaxed);
	return zone_watermark_test(zone, &query, terms);
}

/* The test of the walk. */
static bool watermark_walk(struct zone *zone, const struct alloc_context *ac)
{
	uint64_t mark = zone_mark(zone, (enum wmark)(ac->flags & ALLOC_WMARK_MASK));

	if (ac->order == 0 && watermark_single(zone, mark, ac->highest, ac->flags))
		return true;
	return alloc_mark_test(zone, ac, NULL);
}

/* ---- taking ---- */

void alloc_note_free(struct neap_machine *m)
{
	uint64_t free_pages = machine_zone_stat(m, NR_FREE_PAGES);
	uint64_t seen = atomic_load_explicit(&m->min_free_pages_seen, memory_order_relaxed);

	while (free_pages < seen)
		if (atomic_compare_exchange_weak_explicit(&m->min_free_pages_seen, &seen,
							  free_pages, memory_order_relaxed,
							  memory_order_relaxed))
			break;
}

_Static_assert(GFP_BIT_OWNED == PAGE_OWNED, "a request's first reference has the bit");

/* The first reference of a block that is asked for so. */
static ALWAYS_INLINE uint32_t first_reference(uint32_t gfp)
{
	return (gfp & GFP_BIT_OWNED) | 1;
}

/*
 * A fresh descriptor with its first reference. The release makes the rest visible to whoever finds
 * the reference.
 */
static ALWAYS_INLINE void page_init_used(struct page *page, uint64_t flags, uint32_t refs)
{
	atomic_store_explicit(&page->flags, flags, memory_order_relaxed);
	page->next = PFN_NONE;
	page->prev = PFN_NONE;
	page->owner = 0;
	page->index = 0;
	page_set_uses(page, refs);
}

/* What the flags of a block's head say besides its place. */
static ALWAYS_INLINE uint64_t page_head_flags(uint32_t order)
{
	return order != 0 ? PG_HEAD | (uint64_t)order << PAGE_ORDER_SHIFT : 0;
}

/* Only the users of compound pages need to know a tail: the marks are a write for each frame. */
static NOINLINE void block_mark_tails(const struct zone *zone, struct page *page, uint32_t order)
{
	for (uint32_t i = 1; i < 1u << order; i++) {
		atomic_store_explicit(&page[i].flags, zone->place | PG_TAIL, memory_order_relaxed);
		page[i].owner = 0;
		page[i].index = 0;
	}
}

void alloc_prepare_block(struct zone *zone, uint32_t pfn, uint32_t order, bool compound)
{
	struct page *page = &zone->machine->pages[pfn];

	if (compound)
		block_mark_tails(zone, page, order);
	page_init_used(page, zone->place | page_head_flags(order), 1);
}

/* Counts one block of `zone` for a request that preferred a zone of node `wanted`. => pinned */
static void alloc_count(struct task *t, struct zone *zone, struct zone *preferred, uint32_t order)
{
	struct pcp *pcp = pcp_of(t, zone);

	event_add_pinned(t, EV_PGALLOC_DMA + zone->type, (uint64_t)1 << order);
	if (zone->node == preferred->node) {
		racy_add(pcp->numa[NUMA_HIT], 1);
	} else {
		racy_add(pcp->numa[NUMA_MISS], 1);
		racy_add(pcp_of(t, preferred)->numa[NUMA_FOREIGN], 1);
	}
}

static NOINLINE void alloc_wake_boosted(struct task *t, struct zone *zone)
{
	atomic_fetch_and_explicit(&zone->flags, ~ZONE_BOOSTED, memory_order_relaxed);
	marks_refresh(zone);
	kswapd_wake(t, zone, 0, 0, zone->type);
}

static ALWAYS_INLINE bool zone_wants_kswapd(struct zone *zone)
{
	return unlikely(atomic_load_explicit(&zone->flags, memory_order_relaxed) & ZONE_BOOSTED);
}

/*
 * Straight from the free lists, with the reserve as far as the request has a right to it. => pinned
 */
static uint32_t alloc_take_buddy(struct task *t, struct zone *zone, const struct alloc_context *ac)
{
	uint32_t pfn = PFN_NONE;

	spin_lock(t, &zone->lock, LOCK_ZONE);
	if (ac->flags & ALLOC_HIGHATOMIC)
		pfn = buddy_take_smallest(t, zone, ac->order, MT_HIGHATOMIC);
	if (pfn == PFN_NONE)
		pfn = buddy_take(t, zone, ac->order, ac->type, ac->flags);
	if (pfn == PFN_NONE && (ac->flags & (ALLOC_OOM | ALLOC_NON_BLOCK)))
		pfn = buddy_take_smallest(t, zone, ac->order, MT_HIGHATOMIC);
	if (pfn != PFN_NONE)
		zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << ac->order));
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	return pfn;
}

/* One of the type's own blocks, for a request without rights. => pinned */
static uint32_t alloc_take_own(struct task *t, struct zone *zone, uint32_t order, uint32_t type)
{
	spin_lock(t, &zone->lock, LOCK_ZONE);
	uint32_t pfn = buddy_take_smallest(t, zone, order, type);

	if (likely(pfn != PFN_NONE))
		zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)1 << order));
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	return pfn;
}

/* Takes a block from one zone, whatever its marks say. => PFN_NONE or a block ready for use */
static uint32_t alloc_take(struct task *t, struct zone *zone, const struct alloc_context *ac)
{
	uint32_t pfn = PFN_NONE;

	cpu_pin(t);
	if (pcp_order_allowed(ac->order))
		pfn = pcp_take(t, zone, ac->order, ac->type, ac->flags);
	if (pfn == PFN_NONE)
		pfn = alloc_take_buddy(t, zone, ac);
	if (pfn != PFN_NONE) {
		alloc_count(t, zone, ac->preferred->zone, ac->order);
		alloc_prepare_block(zone, pfn, ac->order, (ac->gfp & GFP_BIT_COMP) != 0);
		if (unlikely(ac->flags & ALLOC_HIGHATOMIC))
			pageblock_reserve_highatomic(t, zone, pfn);
	}
	cpu_unpin(t);
	if (zone_wants_kswapd(zone))
		alloc_wake_boosted(t, zone);
	return pfn;
}

/* ---- the walk ---- */

/* Pages of the node that may be dirty before requests for more should go elsewhere. */
static uint64_t node_dirty_limit(struct node *node)
{
	struct neap_machine *m = node->machine;
	uint64_t ratio = (uint64_t)sysctl_get(&m->sysctl.dirty_ratio);
	uint64_t bytes = knobs_get_wide(&m->sysctl.dirty_bytes);
	uint64_t free_pages = 0;

	for (uint32_t i = 0; i < NR_ZONES; i++)
		free_pages += zone_stat(&node->zone[i], NR_FREE_PAGES);
	uint64_t reserve = atomic_load_explicit(&node->reserve_pages, memory_order_relaxed);
	uint64_t pages = free_pages - min_u64(free_pages, reserve);

	pages += node_stat(node, NR_INACTIVE_FILE) + node_stat(node, NR_ACTIVE_FILE);
	if (bytes == 0)
		return pages * ratio / 100;
	/* The node's share of an amount that is set for the machine. */
	return (bytes + NEAP_PAGE_BYTES - 1) / NEAP_PAGE_BYTES * pages /
	       max_u64(writeback_dirtyable_pages(m), 1);
}

static bool node_has_dirty_room(struct node *node)
{
	return node_stat(node, NR_DIRTY) + node_stat(node, NR_WRITEBACK) <= node_dirty_limit(node);
}

/* The zone missed its mark; a little reclaim in its node may help. => it passes now */
static NOINLINE bool walk_reclaims(struct task *t, const struct alloc_context *ac,
				   struct zone *zone)
{
	if (likely(sysctl_get(&t->machine->sysctl.zone_reclaim_mode) == 0) ||
	    reclaim_local_try(t, ac, zone) < RECLAIM_LOCAL_SOME)
		return false;
	return zone_watermark_ok(zone, ac->order,
				 zone_mark(zone, (enum wmark)(ac->flags & ALLOC_WMARK_MASK)),
				 ac->highest, ac->flags);
}

/*
 * One pass. *leaving: the pass stopped because NOFRAGMENT would have made it leave the preferred
 * node.
 */
static uint32_t alloc_walk_once(struct task *t, const struct alloc_context *ac, bool *leaving)
{
	struct neap_machine *m = t->machine;
	uint32_t home = ac->preferred->zone->node;
	bool stay = (ac->flags & ALLOC_NOFRAGMENT) && m->nr_nodes > 1;
	uint32_t dirty_node = NEAP_MAX_NODES; /* the node that dirty_room is about */
	bool dirty_room = true;

	*leaving = false;
	for (const struct zoneref *ref = ac->preferred; ref->zone != NULL;
	     ref = zonelist_seek(ref + 1, ac->highest, ac->nodemask)) {
		struct zone *zone = ref->zone;

		if (ac->spread_dirty && dirty_node != zone->node) {
			dirty_node = zone->node;
			dirty_room = node_has_dirty_room(&m->nodes[dirty_node]);
		}
		if (!dirty_room)
			continue;
		if ((ac->flags & ALLOC_CPUSET) && !cpuset_allows(t, zone->node, ac->gfp))
			continue;
		if (stay && zone->node != home) {
			*leaving = true;
			return PFN_NONE;
		}
		if (!watermark_walk(zone, ac) && !(ac->flags & ALLOC_NO_WATERMARKS) &&
		    !walk_reclaims(t, ac, zone))
			continue;
		uint32_t pfn = alloc_take(t, zone, ac);

		if (pfn != PFN_NONE)
			return pfn;
	}
	return PFN_NONE;
}

uint32_t alloc_walk(struct task *t, struct alloc_context *ac)
{
	const uint32_t flags = ac->flags;
	bool leaving;

	if (ac->preferred->zone == NULL)
		return PFN_NONE;
	uint32_t pfn = alloc_walk_once(t, ac, &leaving);

	/* Better a foreign block than a foreign node, and either than nothing. */
	if (pfn == PFN_NONE && (flags & ALLOC_NOFRAGMENT)) {
		ac->flags &= ~ALLOC_NOFRAGMENT;
		pfn = alloc_walk_once(t, ac, &leaving);
		ac->flags = flags;
	}
	return pfn;
}

/* ---- requests ---- */

/* Error injection: a request in tests fails when the countdown reaches one. */
static NOINLINE bool alloc_injected(struct neap_machine *m, uint32_t gfp)
{
	uint64_t left = racy_read(m->inject[INJECT_PAGE]);

	if (gfp & GFP_BIT_NOFAIL)
		return false;
	racy_write(m->inject[INJECT_PAGE], left - 1);
	return left == 1;
}

static NOINLINE void block_zero(struct task *t, uint32_t pfn, uint32_t order)
{
	struct hw *hw = t->machine->hw;

	for (uint32_t i = 0; i < 1u << order; i += 1u << NEAP_PAGEBLOCK_ORDER)
		fresh_use(t, pfn + i);
	for (uint32_t i = 0; i < 1u << order; i++)
		hw->ops->zero(hw, pfn + i);
	event_add(t, EV_SIM_PAGE_ZERO, (uint64_t)1 << order);
}

/*
 * What the lowest five bits of gfp flags say: the zone index a request may use at most, and the
 * type.
 */
#define KIND_LIMIT 0x7u
#define KIND_TYPE_SHIFT 3u
#define KIND_ODD 0x80u /* nothing: a caller's bug */
#define KIND_ZONES(bits) (WATERMARK_LIMITS >> 4 * ((bits)&0xf) & 0xf)
#define KIND(bits)                                                                                 \
	((uint8_t)((KIND_ZONES(bits) & KIND_LIMIT) | (bits) >> 3 << KIND_TYPE_SHIFT |              \
		   (KIND_ZONES(bits) == WATERMARK_LIMIT_NONE || (bits) >> 3 == NR_PCP_TYPES        \
			    ? KIND_ODD                                                             \
			    : 0)))
#define KINDS_4(bits) KIND(bits), KIND((bits) + 1), KIND((bits) + 2), KIND((bits) + 3)
#define KINDS_16(bits) KINDS_4(bits), KINDS_4((bits) + 4), KINDS_4((bits) + 8), KINDS_4((bits) + 12)

_Static_assert(GFP_BIT_MOVABLE == 0x8 && GFP_BIT_RECLAIMABLE == 0x10, "the bits of a kind");

static ALWAYS_INLINE uint32_t request_kind(uint32_t gfp)
{
	static const uint8_t kinds[32] = { KINDS_16(0u), KINDS_16(16u) };

	return kinds[gfp & 0x1f];
}

/* Everything that alloc_quick() does not do. */
static NOINLINE uint32_t alloc_full(struct task *t, const struct alloc_request *request,
				    uint32_t gfp, const struct zonelist *zonelist,
				    const struct zoneref *preferred)
{
	struct alloc_context ac = {
		.gfp = gfp,
		.order = request->order,
		.highest = gfp_highest_zone(gfp),
		.type = gfp_migrate_type(t->machine, gfp),
		.flags = ALLOC_WMARK_LOW | (gfp & ALLOC_KSWAPD),
		.spread_dirty = (gfp & GFP_BIT_WRITE) != 0,
		.nodemask = request->nodemask,
		.zonelist = zonelist,
		.preferred = preferred,
	};

	ac.flags |= cma_alloc_flag(t->machine, ac.type);
	if (preferred->zone != NULL && preferred->zone->nofragment)
		ac.flags |= ALLOC_NOFRAGMENT;
	if (cpuset_limits(t))
		cpuset_begin(t, &ac);
	uint32_t pfn = alloc_walk(t, &ac);

	if (pfn == PFN_NONE) {
		ac.gfp = gfp;
		ac.nodemask = request->nodemask;
		pfn = alloc_slow(t, &ac);
	}
	if (unlikely(pfn == PFN_NONE)) {
		const struct alloc_failure failure = {
			.gfp = gfp,
			.order = request->order,
			.highest = ac.highest,
			.nodemask = request->nodemask,
		};

		alloc_warn(t, &failure);
	}
	return pfn;
}

/*
 * A block from the list of this CPU, if the zone is above its low mark, nobody is to be woken and
 * the list has one. Must do what alloc_walk() would do then. Calls nothing, so that its callers
 * need no stack frame on this path. kind: request_kind(); order: one that has lists; the block is
 * not compound; refs: its first reference. => PFN_NONE otherwise, nothing changed
 */
static ALWAYS_INLINE uint32_t alloc_quick(struct task *t, struct zone *zone, uint32_t kind,
					  uint32_t order, uint32_t refs)
{
	DCHECK((kind & KIND_ODD) == 0 && (kind & KIND_LIMIT) < NR_ZONES);
	if (unlikely(!watermark_plain(zone, kind & KIND_LIMIT, order)))
		return PFN_NONE;
	struct page *pages = t->machine->pages;
	struct cpu_slot *slot = t->slot;

	if (unlikely(!cpu_pin_brief(t, slot)))
		return PFN_NONE;
	struct pcp *pcp = &zone->pcp[slot->cpu];
	uint32_t index = pcp_list_index(order, (kind & ~KIND_ODD) >> KIND_TYPE_SHIFT);

	if (unlikely(pcp_list_empty(&pcp->list[index]))) {
		cpu_unpin_brief(t, slot);
		return PFN_NONE;
	}
	uint32_t pfn = pcp_pop(pcp, index, order);

	pcp->free_factor >>= 1;
	slot_count_event(slot, EV_PGALLOC_DMA + zone->type, (uint64_t)1 << order);
	racy_add(pcp->numa[NUMA_HIT], 1);
	page_init_used(&pages[pfn], zone->place | page_head_flags(order), refs);
	cpu_unpin_brief(t, slot);
	return pfn;
}

/*
 * Nothing about the request, its task, its CPU or the machine that alloc_quick() does not know.
 * m: the task's. One test for all of it, since each part is nearly always zero. Late frees of other
 * tasks of the CPU, tracing and injection may begin right after: this request came first then.
 */
static ALWAYS_INLINE bool alloc_is_plain(const struct task *t, const struct neap_machine *m,
					 uint32_t gfp, const uint64_t *nodemask)
{
	uint32_t odd = request_kind(gfp) & KIND_ODD;
	const uint32_t rare = GFP_BIT_WRITE | GFP_BIT_ZERO | GFP_BIT_THISNODE | GFP_BIT_COMP;
	const uint32_t scopes = PF_MEMALLOC_NOIO | PF_MEMALLOC_NOFS | PF_CPUSET;
	uint32_t tracing = atomic_load_explicit(&((struct neap_machine *)(uintptr_t)m)->tracing,
						memory_order_relaxed);

	return ((gfp & rare) | odd | t->policy_mode | (t->flags & scopes) |
		racy_read(task_cpu_here(t)->nr_late) | racy_read(m->inject[INJECT_PAGE]) | tracing |
		(uintptr_t)nodemask) == 0;
}

/*
 * The next step for what alloc_quick() could not serve: the list is refilled, or the order has none
 * and the block comes from the free lists. Must do what alloc_walk() would do, and is done only
 * where that would end in this zone. => PFN_NONE otherwise, nothing changed
 */
static ALWAYS_INLINE uint32_t alloc_second(struct task *t, const struct node *node, uint32_t gfp,
					   uint32_t order)
{
	uint32_t highest = gfp_highest_zone(gfp);
	struct zone *zone = node->fallback.first[highest]->zone;
	uint32_t type = gfp_migrate_type(t->machine, gfp);
	uint32_t pfn;

	if (unlikely(zone == NULL || zone_wants_kswapd(zone) || zone->cma != 0 ||
		     !buddy_has(zone, order, type) || !watermark_quick(zone, highest, order)))
		return PFN_NONE;
	uint32_t flags =
		ALLOC_WMARK_LOW | (gfp & ALLOC_KSWAPD) | (zone->nofragment ? ALLOC_NOFRAGMENT : 0);

	cpu_pin(t);
	struct pcp *pcp = pcp_of(t, zone);
	uint32_t free_factor = pcp->free_factor;

	if (pcp_order_allowed(order))
		pfn = pcp_take(t, zone, order, type, flags);
	else
		pfn = alloc_take_own(t, zone, order, type);
	if (likely(pfn != PFN_NONE)) {
		alloc_count(t, zone, zone, order);
		page_init_used(&zone->machine->pages[pfn], zone->place | page_head_flags(order),
			       first_reference(gfp));
	} else {
		pcp->free_factor = free_factor; /* another CPU was faster */
	}
	cpu_unpin(t);
	if (zone_wants_kswapd(zone))
		alloc_wake_boosted(t, zone);
	return pfn;
}

/* A plain request. => PFN_NONE: nothing has changed, it has to be made at length */
static ALWAYS_INLINE uint32_t alloc_plain(struct task *t, const struct node *node, uint32_t gfp,
					  uint32_t order)
{
	uint32_t kind = request_kind(gfp);
	struct zone *zone = node->fallback.first[kind & KIND_LIMIT]->zone;

	if (unlikely(zone == NULL))
		return PFN_NONE;
	/* A zone whose machine does not keep types apart serves nobody here. */
	return alloc_quick(t, zone, kind, order, first_reference(gfp));
}

/*
 * alloc_pages() at length. node: that of the request, which names it, too. The block is not owned,
 * whoever asked for it: who gives it back waits for its descriptor.
 */
static uint32_t alloc_request_pages(struct task *t, const struct node *node,
				    const struct alloc_request *request)
{
	struct neap_machine *m = t->machine;
	uint32_t gfp = gfp_in_context(t, request->gfp) & ~GFP_BIT_OWNED;

	free_late_settle(t);
	const struct zonelist *zonelist =
		(gfp & GFP_BIT_THISNODE) ? &node->nofallback : &node->fallback;
	uint32_t highest = gfp_highest_zone(gfp);
	const struct zoneref *ref = zonelist_first(zonelist, highest, request->nodemask);
	uint32_t type = gfp_migrate_type(m, gfp);
	uint32_t pfn = PFN_NONE;

	if (unlikely(racy_read(m->inject[INJECT_PAGE]) != 0) && alloc_injected(m, gfp))
		return PFN_NONE;
	if (likely(request->order == 0 && ref->zone != NULL && !(gfp & GFP_BIT_WRITE) &&
		   !cpuset_limits(t)))
		pfn = alloc_quick(t, ref->zone, highest | type << KIND_TYPE_SHIFT, 0, 1);
	if (unlikely(pfn == PFN_NONE))
		pfn = alloc_full(t, request, gfp, zonelist, ref);
	if ((gfp & GFP_BIT_ZERO) && pfn != PFN_NONE)
		block_zero(t, pfn, request->order);
	event_emit(t, MM_PAGE_ALLOC, pfn, request->order, type, gfp);
	return pfn;
}

static NOINLINE uint32_t alloc_pages_full(struct task *t, const struct alloc_request *request)
{
	return alloc_request_pages(t, &t->machine->nodes[request->node], request);
}

/* A plain request that found no block on its list, or has none. */
static NOINLINE uint32_t alloc_pages_second(struct task *t, const struct alloc_request *request)
{
	const struct node *node = &t->machine->nodes[request->node];
	uint32_t pfn = alloc_second(t, node, request->gfp, request->order);

	return likely(pfn != PFN_NONE) ? pfn : alloc_pages_full(t, request);
}

/* A plain request for more than one page. */
static NOINLINE uint32_t alloc_pages_block(struct task *t, const struct alloc_request *request)
{
	const struct node *node = &t->machine->nodes[request->node];
	uint32_t pfn = PFN_NONE;

	if (likely(pcp_order_allowed(request->order)))
		pfn = alloc_plain(t, node, request->gfp, request->order);
	return likely(pfn != PFN_NONE) ? pfn : alloc_pages_second(t, request);
}

uint32_t alloc_pages(struct task *t, const struct alloc_request *request)
{
	struct neap_machine *m = t->machine;

	CHECK(request->order <= NEAP_MAX_ORDER && request->node < m->nr_nodes);
	if (unlikely(!alloc_is_plain(t, m, request->gfp, request->nodemask)))
		return alloc_pages_full(t, request);
	if (unlikely(request->order != 0))
		return alloc_pages_block(t, request);
	uint32_t pfn = alloc_plain(t, &m->nodes[request->node], request->gfp, 0);

	return likely(pfn != PFN_NONE) ? pfn : alloc_pages_second(t, request);
}

uint32_t alloc_page_from(struct task *t, const struct zonelist *zonelist, uint32_t gfp)
{
	const struct alloc_request request = {
		.gfp = gfp_in_context(t, gfp) & ~GFP_BIT_OWNED,
	};
	const struct zoneref *ref = zonelist_first(zonelist, gfp_highest_zone(request.gfp), NULL);
	uint32_t pfn = PFN_NONE;

	free_late_settle(t);
	if (racy_read(t->machine->inject[INJECT_PAGE]) == 0 ||
	    !alloc_injected(t->machine, request.gfp))
		pfn = alloc_full(t, &request, request.gfp, zonelist, ref);
	event_emit(t, MM_PAGE_ALLOC, pfn, 0, gfp_migrate_type(t->machine, request.gfp),
		   request.gfp);
	return pfn;
}

/* alloc_page() at length. */
static NOINLINE uint32_t alloc_page_full(struct task *t, uint32_t gfp)
{
	const struct node *home = task_cpu_here(t)->home;

	if (unlikely(t->policy_mode != 0))
		return mempolicy_alloc(t, gfp, 0);
	const struct alloc_request request = { .gfp = gfp, .node = home->id };

	return alloc_request_pages(t, home, &request);
}

/* alloc_page() of a plain request that found no page on its list. */
static NOINLINE uint32_t alloc_page_second(struct task *t, uint32_t gfp)
{
	uint32_t pfn = alloc_second(t, task_cpu_here(t)->home, gfp, 0);

	return likely(pfn != PFN_NONE) ? pfn : alloc_page_full(t, gfp);
}

uint32_t alloc_page(struct task *t, uint32_t gfp)
{
	if (unlikely(!alloc_is_plain(t, t->machine, gfp, NULL)))
		return alloc_page_full(t, gfp);
	uint32_t pfn = alloc_plain(t, task_cpu_here(t)->home, gfp, 0);

	return likely(pfn != PFN_NONE) ? pfn : alloc_page_second(t, gfp);
}

/* ---- freeing ---- */

/* A compound block's tails are ordinary inside frames again. */
static void free_tails(struct page *page, uint32_t order)
{
	if (order == 0 || !page_test(&page[1], PG_TAIL))
		return;
	for (uint32_t i = 1; i < 1u << order; i++) {
		DCHECK(page_test(&page[i], PG_TAIL));
		atomic_store_explicit(&page[i].flags, 0, memory_order_relaxed);
	}
}

static NOINLINE void free_to_buddy(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order)
{
	struct neap_machine *m = zone->machine;

	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	atomic_store_explicit(&m->pages[pfn].flags, 0, memory_order_relaxed);
	/* One of its pageblocks may have been set aside meanwhile: what is free there stays apart.
	 */
	if (unlikely(order > NEAP_PAGEBLOCK_ORDER && zone->nr_isolated_blocks != 0)) {
		order--;
		buddy_free(t, zone, pfn + (1u << order), order,
			   pageblock_type(m, pfn + (1u << order)));
		buddy_free(t, zone, pfn, order, pageblock_type(m, pfn));
		order++;
	} else {
		buddy_free(t, zone, pfn, order, pageblock_type(m, pfn));
	}
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	event_add_pinned(t, EV_PGFREE, (uint64_t)1 << order);
	cpu_unpin(t);
}

static ALWAYS_INLINE void free_block_inline(struct task *t, uint32_t pfn, uint32_t order)
{
	struct neap_machine *m = t->machine;
	struct page *page = machine_page(m, pfn);
	uint64_t flags = page_flags(page);
	struct zone *zone = page_zone_of(m, flags);

	event_emit(t, MM_PAGE_FREE, pfn, order);
	free_check(page, flags, order);
	free_tails(page, order);
	uint32_t type = pageblock_type(m, pfn);

	if (unlikely(!pcp_order_allowed(order) || type == MT_ISOLATE)) {
		free_to_buddy(t, zone, pfn, order);
		return;
	}
	cpu_pin(t);
	pcp_put(t, zone, pfn, order, type);
	cpu_unpin(t);
}

void free_block(struct task *t, uint32_t pfn, uint32_t order)
{
	free_block_inline(t, pfn, order);
}

static NOINLINE void free_pages_full(struct task *t, uint32_t pfn, uint32_t order)
{
	free_late_settle(t);
	free_block(t, pfn, order);
}

/* A block of an order with lists, that was looked at, onto a list that may be full. */
static NOINLINE void free_overflow(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order)
{
	uint32_t type = pageblock_type(zone->machine, pfn);

	if (unlikely(type == MT_ISOLATE)) { /* since the look */
		free_to_buddy(t, zone, pfn, order);
		return;
	}
	cpu_pin(t);
	pcp_put(t, zone, pfn, order, type);
	cpu_unpin(t);
}

/*
 * The zone in the flags of a block that is given back. Most are of the same zone as the one before:
 * what is done with its lists then need not wait for the descriptor. => pinned
 */
static ALWAYS_INLINE struct zone *free_zone(const struct neap_machine *m, struct cpu *cpu,
					    uint64_t flags)
{
	if (unlikely((flags & PAGE_PLACE_MASK) != cpu->given.place)) {
		cpu->given.place = flags & PAGE_PLACE_MASK;
		cpu->given.zone = page_zone_of(m, flags);
	}
	DCHECK(cpu->given.zone == page_zone_of(m, flags));
	return cpu->given.zone;
}

/*
 * A block onto a list, if it is plain. Calls nothing before it returns, as alloc_quick(). Frees of
 * this CPU are not late, as far as this task has seen. order: one that has lists; the block is not
 * compound.
 * => pinned briefly to slot; not any more
 */
static ALWAYS_INLINE void free_quick(struct task *t, struct cpu_slot *slot, struct page *page,
				     uint32_t pfn, uint32_t order)
{
	struct neap_machine *m = t->machine;
	uint64_t flags = page_flags(page);

	free_check(page, flags, order);
	uint32_t tracing = atomic_load_explicit(&m->tracing, memory_order_relaxed);
	size_t type = pageblock_type(m, pfn);

	if (unlikely(tracing != 0 || type >= NR_PCP_TYPES)) {
		cpu_unpin_brief(t, slot);
		free_pages_full(t, pfn, order);
		return;
	}
	struct zone *zone = free_zone(m, slot_cpu(slot), flags);
	struct pcp *pcp = &zone->pcp[slot->cpu];
	struct pcp_list *list = &pcp->list[pcp_list_index(order, (uint32_t)type)];
	uint32_t count = racy_read(pcp->count) + (1u << order);
	bool room = pcp_has_room(pcp, list, zone, order, count);

	if (likely(room)) {
		slot_count_event(slot, EV_PGFREE, (uint64_t)1 << order);
		racy_write(pcp->count, count);
		pcp_push(page, list, pfn, pcp_page_flags(zone, order, (uint32_t)type));
	}
	cpu_unpin_brief(t, slot);
	if (unlikely(!room))
		free_overflow(t, zone, pfn, order);
}

/* A block of one of the small orders, or of a huge page. => not pinned */
static NOINLINE void free_pages_block(struct task *t, struct page *page, uint32_t pfn,
				      uint32_t order)
{
	struct cpu_slot *slot = t->slot;

	if (!pcp_order_allowed(order) || page_test(page + 1, PG_TAIL) || free_late_is_on(t) ||
	    !cpu_pin_brief(t, slot))
		free_pages_full(t, pfn, order);
	else
		free_quick(t, slot, page, pfn, order);
}

void free_pages(struct task *t, uint32_t pfn, uint32_t order)
{
	struct page *page = machine_page(t->machine, pfn);
	struct cpu_slot *slot = t->slot;

	if (unlikely(order != 0))
		free_pages_block(t, page, pfn, order);
	else if (unlikely(free_late_is_on(t) || !cpu_pin_brief(t, slot)))
		free_pages_full(t, pfn, 0);
	else
		free_quick(t, slot, page, pfn, 0);
}

/* free_page_put() of who cannot be pinned briefly: prompt, whatever his CPU does. */
static NOINLINE void free_page_put_full(struct task *t, uint32_t pfn)
{
	if (page_put_owned(machine_page(t->machine, pfn)))
		free_pages_full(t, pfn, 0);
}

void free_page_put(struct task *t, uint32_t pfn)
{
	struct cpu_slot *slot = t->slot;

	if (unlikely(!cpu_pin_brief(t, slot))) {
		free_page_put_full(t, pfn);
		return;
	}
	struct page *page = machine_page(t->machine, pfn);

	if (unlikely(racy_read(slot_cpu(slot)->nr_late) != 0))
		free_late_put(t, slot, pfn);
	else if (likely(page_put_owned(page)))
		free_quick(t, slot, page, pfn, 0);
	else
		cpu_unpin_brief(t, slot);
}

void free_pages_put(struct task *t, uint32_t pfn, uint32_t order)
{
	if (likely(order == 0)) {
		free_page_put(t, pfn);
		return;
	}
	struct page *page = machine_page(t->machine, pfn);

	if (page_put_owned(page))
		free_pages_block(t, page, pfn, order);
}

void free_page_list(struct task *t, struct list *list)
{
	struct page *pages = t->machine->pages;
	uint32_t in_run = 0;

	free_late_settle(t);
	for (uint32_t pfn = list_pop(pages, list); pfn != PFN_NONE; pfn = list_pop(pages, list)) {
		/* One pin for a run, but not for so long that a remote drain starves. */
		if (in_run == 0)
			cpu_pin(t);
		free_block_inline(t, pfn, 0);
		if (++in_run == SWAP_CLUSTER_MAX) {
			cpu_unpin(t);
			in_run = 0;
		}
	}
	if (in_run != 0)
		cpu_unpin(t);
}
