/*
 * thp.c: transparent huge pages, from the fault to the last entry.
 *
 *   region   ....|<------- 2 MiB ------->|....        entry i maps frame head + i
 *   entries      e e e e e e ... e e e e              512, each with its own young bit
 *   leaf table   LEAF_HUGE                            the table says whose it is
 *   frames       H t t t t t ... t t t t              one block of order 9
 *                └─ the page: refs, maps, flags, LRU place
 *
 * A huge page is mapped by 512 ordinary entries, so that an access needs to know nothing of it,
 * and all of them appear together: the leaf table is claimed first (space_leaf_claim()), and a
 * claimed table is nobody else's. PG_THP_WHOLE says that the entries still go together; it ends
 * when some of them are taken away alone, which Linux calls splitting the entry of the upper level,
 * and counts so. What was claimed by small pages once is never offered to a huge page again.
 *
 *   policy     always | madvise | never       whether a fault tries at all
 *   advice     huge | no huge                 of the region
 *   defrag     five words                     what the request may do for a block
 *
 * The request is made twice: on the task's own node, with one light compaction and no reclaim, and
 * then anywhere with everything that the defrag word allows. Without a block the fault goes on
 * with a small page.
 *
 * References: one for each entry and no other from the mapping, so maps + 1 references of a locked
 * page mean that it is in nobody else's hands.
 *
 * What must never happen: a huge page whose entries map some of its frames and something else,
 * while PG_THP_WHOLE is set; or a small page in a claimed table. Both would be lost by unmapping
 * the whole.
 *
 * Linux: do_huge_pmd_anonymous_page(), zap_huge_pmd(), __split_huge_pmd() of mm/huge_memory.c,
 * vma_alloc_folio() of mm/mempolicy.c, 6.1. DIFF: a read of what was never written maps the small
 * page of zeroes, there is no huge one; the leaf table stays when the huge page goes; nothing is
 * collapsed afterwards (no khugepaged).
 */
#include "core/thp.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/fresh.h"
#include "core/lru.h"
#include "core/mempolicy.h"
#include "core/pagelock.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define GFP_LIGHT                                                                                  \
	((GFP_HIGHUSER_MOVABLE | GFP_BIT_COMP | GFP_BIT_NOMEMALLOC | GFP_BIT_NOWARN) &             \
	 ~GFP_BITS_RECLAIM)
#define GFP_FULL (GFP_LIGHT | GFP_BIT_DIRECT_RECLAIM)
#define ENTRY_BATCH 64u /* entries changed by one call */

/* Positions of the words of transparent_hugepage/defrag. */
enum thp_defrag {
	DEFRAG_ALWAYS,
	DEFRAG_DEFER,
	DEFRAG_DEFER_MADVISE,
	DEFRAG_MADVISE,
	DEFRAG_NEVER,
};

struct page *thp_get(struct task *t, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct page *page = thp_head(m, pfn);

	if (!page_get_unless_zero(page))
		return NULL;
	/* Split or freed between the two looks: then it may be another page's reference. */
	if (likely(thp_head(m, pfn) == page))
		return page;
	page_put(t, page);
	return NULL;
}

/* ---- policy ---- */

uint32_t thp_gfp(int32_t defrag, bool advised)
{
	switch (defrag) {
	case DEFRAG_ALWAYS:
		return GFP_FULL | (advised ? 0 : GFP_BIT_NORETRY);
	case DEFRAG_DEFER:
		return GFP_LIGHT | GFP_BIT_KSWAPD_RECLAIM;
	case DEFRAG_DEFER_MADVISE:
		return GFP_LIGHT | (advised ? GFP_BIT_DIRECT_RECLAIM : GFP_BIT_KSWAPD_RECLAIM);
	case DEFRAG_MADVISE:
		return GFP_LIGHT | (advised ? GFP_BIT_DIRECT_RECLAIM : 0);
	default:
		return GFP_LIGHT;
	}
}

static bool thp_wanted(const struct neap_machine *m, const struct region *region)
{
	if (region->mapping != NULL || (region->flags & REGION_NO_HUGE))
		return false;
	switch (knobs_get(&m->sysctl.thp_enabled)) {
	case KNOBS_THP_ALWAYS:
		return true;
	case KNOBS_THP_MADVISE:
		return (region->flags & REGION_HUGE) != 0;
	default:
		return false;
	}
}

/* ---- memory ---- */

static uint32_t request_block(struct task *t, uint32_t gfp, uint32_t node, const uint64_t *nodemask)
{
	struct alloc_request request = {
		.gfp = gfp, .order = THP_ORDER, .node = node, .nodemask = nodemask
	};

	return alloc_pages(t, &request);
}

/* A block for the region, or PFN_NONE. May sleep as far as the policy allows. */
static uint32_t thp_alloc(struct task *t, const struct region *region)
{
	struct neap_machine *m = t->machine;
	uint32_t gfp =
		thp_gfp(knobs_get(&m->sysctl.thp_defrag), (region->flags & REGION_HUGE) != 0);
	uint32_t home = m->cpus[task_cpu(t)].node;
	uint32_t bound = region->node; /* node + 1 */
	uint64_t mask = bound != 0 ? (uint64_t)1 << (bound - 1) : 0;

	/* A policy decides page by page; a huge page would take 512 turns at once. */
	if (bound == 0 && mempolicy_rules(t, region))
		return PFN_NONE;

	if (bound != 0 && bound - 1 != home)
		return request_block(t, gfp, bound - 1, &mask);
	uint32_t pfn = request_block(t, gfp | GFP_BIT_THISNODE | GFP_BIT_NORETRY, home, NULL);

	if (pfn == PFN_NONE && (gfp & GFP_BIT_DIRECT_RECLAIM))
		pfn = request_block(t, gfp, home, mask != 0 ? &mask : NULL);
	return pfn;
}

static void thp_zero(struct task *t, uint32_t pfn)
{
	struct hw *hw = t->machine->hw;

	fresh_use(t, pfn);
	for (uint32_t i = 0; i < THP_PAGES; i++)
		hw->ops->zero(hw, pfn + i);
	event_add(t, EV_SIM_PAGE_ZERO, THP_PAGES);
}

/* ---- entries ---- */

/* Entries first..first+nr-1 of a batch about `page`, which is the first of 512. */
static void batch_fill(struct hw_entry *entries, uint32_t nr, uint64_t vpn, uint32_t pfn)
{
	for (uint32_t i = 0; i < nr; i++)
		entries[i] = (struct hw_entry){ .vpn = vpn + i,
						.pfn = pfn + i,
						.flags = HW_WRITE | HW_YOUNG | HW_DIRTY };
}

/* What a whole huge page counts for, when it is mapped (1) or unmapped (-1). */
static void account(struct task *t, struct space *space, struct page *page, int64_t sign)
{
	struct node *node = page_node(t->machine, page);

	atomic_fetch_add_explicit(&space->rss_anon, sign * THP_PAGES, memory_order_relaxed);
	cpu_pin(t);
	node_stat_add(t, node, NR_ANON_PAGES, sign * THP_PAGES);
	node_stat_add(t, node, NR_ANON_TRANSPARENT_HUGEPAGES, sign * THP_PAGES);
	cpu_unpin(t);
}

/* A new page's identity; still unknown to everybody else. */
static void make_anon(struct task *t, const struct region *region, struct page *page,
		      uint64_t first)
{
	page->owner = region->id;
	page->index = (uint32_t)first;
	page_set(page, PG_ANON | PG_SWAPBACKED | PG_UPTODATE | PG_THP_WHOLE);
	if ((region->flags & REGION_LOCKED) == 0)
		return;
	page_set(page, PG_MLOCKED);
	cpu_pin(t);
	zone_stat_add(t, page_zone(t->machine, page), NR_MLOCK, THP_PAGES);
	event_add_pinned(t, EV_UNEVICTABLE_PGS_MLOCKED, THP_PAGES);
	cpu_unpin(t);
}

/* Maps the new, locked page into a leaf table that is claimed for it. */
static void map_whole(struct task *t, const struct region *region, struct page *page)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(page - m->pages);
	uint64_t vpn = region->start_vpn + page->index;

	/* Before the first entry leads anybody here. */
	atomic_store(&page->maps, THP_PAGES);
	atomic_fetch_add(&page->refs, THP_PAGES);
	account(t, region->space, page, 1);
	for (uint32_t i = 0; i < THP_PAGES; i += ENTRY_BATCH) {
		struct hw_entry entries[ENTRY_BATCH];

		batch_fill(entries, ENTRY_BATCH, vpn + i, pfn + i);
		m->hw->ops->map(region->space->hw, entries, ENTRY_BATCH);
		for (uint32_t k = 0; k < ENTRY_BATCH; k++)
			CHECK(entries[k].err == 0); /* the table is ours, and was empty */
	}
}

int thp_fault(struct task *t, struct region *region, uint64_t index)
{
	struct neap_machine *m = t->machine;
	uint64_t first = round_down_u64(index, THP_PAGES);
	uint64_t vpn = region->start_vpn + first;

	if (!thp_wanted(m, region) || first + THP_PAGES > region->nr_pages ||
	    !space_leaf_is_free(region->space, vpn))
		return THP_SMALL;
	uint32_t pfn = thp_alloc(t, region);

	if (pfn == PFN_NONE) {
		event_add(t, EV_THP_FAULT_FALLBACK, 1);
		return THP_SMALL;
	}
	thp_zero(t, pfn);
	int err = space_leaf_claim(t, region->space, vpn, LEAF_HUGE);
	struct page *page = machine_page(m, pfn);

	rt_explore(t);
	if (err == 0) {
		make_anon(t, region, page, first);
		/* Locked until it is complete: a zap must not see a part of it. */
		page_lock(t, page);
		map_whole(t, region, page);
		lru_add(t, page);
		page_unlock(t, page);
		event_add(t, EV_THP_FAULT_ALLOC, 1);
	}
	page_put(t, page);
	return err;
}

void thp_unmap_whole(struct task *t, struct region *region, struct page *page)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(page - m->pages);
	uint64_t vpn = region->start_vpn + page->index;
	uint32_t before;

	DCHECK(page_test(page, PG_LOCKED));
	for (uint32_t i = 0; i < THP_PAGES; i += ENTRY_BATCH) {
		struct hw_entry entries[ENTRY_BATCH];

		batch_fill(entries, ENTRY_BATCH, vpn + i, pfn + i);
		m->hw->ops->unmap(region->space->hw, entries, ENTRY_BATCH);
		for (uint32_t k = 0; k < ENTRY_BATCH; k++)
			CHECK(entries[k].err == 0);
	}
	m->hw->ops->flush(region->space->hw);
	rt_explore(t);
	CHECK(page_test_clear(page, PG_THP_WHOLE) && page_maps(page) == THP_PAGES);
	account(t, region->space, page, -1);
	atomic_store(&page->maps, 0);
	before = atomic_fetch_sub(&page->refs, THP_PAGES);
	CHECK(before > THP_PAGES);
	space_leaf_release(region->space, vpn, LEAF_EMPTY);
}

void thp_split_entries(struct task *t, struct region *region, struct page *page)
{
	DCHECK(page_test(page, PG_LOCKED));
	CHECK(page_test_clear(page, PG_THP_WHOLE));
	cpu_pin(t);
	node_stat_add(t, page_node(t->machine, page), NR_ANON_TRANSPARENT_HUGEPAGES,
		      -(int64_t)THP_PAGES);
	event_add_pinned(t, EV_THP_SPLIT_PMD, 1);
	cpu_unpin(t);
	space_leaf_release(region->space, region->start_vpn + page->index, LEAF_SMALL);
}
