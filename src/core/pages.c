/*
 * The fate of each isolated page (spec 11, section 6).
 *
 *   isolated page
 *     │ cannot lock ................................ keep
 *     │ mlocked .................................... activate path (unevictable list)
 *     │ under write-out ............................ activate, marked for rotation
 *     │ referenced ................................. keep or activate
 *     │ anonymous, no slot ......................... gets one (swap full: activate)
 *     │ lazily freed, written since ................ anonymous again, activate
 *     │ mapped ..................................... unmapped everywhere
 *     │ dirty file page ............................ flusher's business; kswapd may write
 *     │ dirty anonymous page ....................... written to swap
 *     └ clean ...................................... freed, leaves a shadow
 *
 * Three ends: freed, keep (back to the head of the inactive list), activate. The
 * order of the tests is Linux's and is visible in counters, so it must not change.
 *
 * Writes are gathered in a plug for the whole list; with a synchronous store a
 * page can be written and freed in one visit, otherwise a page that was written
 * is freed on a later one, when its rotation brings it to the tail.
 *
 * What must never happen: a page freed while somebody can still reach it. The
 * reference count must be exactly ours plus the cache's, and is frozen at zero,
 * before the page is taken from its cache; and it is freed only when every CPU has
 * forgotten its translations, which is asked for once for the whole list.
 *
 * A huge page whose entries go together is swapped out as a whole if an area has a
 * free cluster for it; otherwise it is split, and its parts join the list. As long as
 * it is one, it counts for its 512 frames wherever pages are counted.
 *
 * Linux: shrink_page_list() and pageout() in mm/vmscan.c. DIFF: no demotion. 6.1
 * frees a huge page at once, while CPUs may still have its translations.
 */
#include "core/alloc.h"
#include "core/aops.h"
#include "core/event.h"
#include "core/io.h"
#include "core/lru.h"
#include "core/mapping.h"
#include "core/pagelock.h"
#include "core/reclaim.h"
#include "core/rmap.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/tlb.h"
#include "core/vmstat.h"
#include "core/workingset.h"

enum fate {
	FATE_GO_ON,
	FATE_KEEP,
	FATE_ACTIVATE,
	FATE_FREED,
	FATE_KEEP_UNLOCKED, /* keep, and the lock is gone already */
};

/* Everything the tests of one page share. */
struct visit {
	struct node *node;
	struct scan_control *sc;
	struct reclaim_stat *stat;
	struct list *list; /* where the parts of a huge page go */
	uint32_t nr_pages; /* that it counts for */
	uint64_t set;	   /* flags that the page gets when it is unlocked */
	bool ignore_references;
	bool clean_only; /* referenced file page: free it only if it is clean */
};

static void tally_dirty(struct visit *v, const struct page *page)
{
	uint64_t flags = page_flags(page);

	if (flags & (PG_SWAPBACKED | PG_ANON))
		return;
	if (flags & (PG_DIRTY | PG_WRITEBACK))
		v->stat->nr_dirty++;
	if ((flags & PG_DIRTY) && !(flags & PG_WRITEBACK))
		v->stat->nr_unqueued_dirty++;
	if ((flags & PG_WRITEBACK) && (flags & PG_RECLAIM))
		v->stat->nr_congested++;
}

static enum fate meet_writeback(struct visit *v, struct page *page)
{
	bool node_writeback = (atomic_load(&v->node->flags) & NODE_FLAG_WRITEBACK) != 0;

	if (!page_test(page, PG_WRITEBACK))
		return FATE_GO_ON;
	if (v->sc->is_kswapd && page_test(page, PG_RECLAIM) && node_writeback) {
		v->stat->nr_immediate += v->nr_pages;
		return FATE_ACTIVATE;
	}
	page_set(page, PG_RECLAIM);
	v->stat->nr_writeback += v->nr_pages;
	return FATE_ACTIVATE;
}

/* The four results of spec 10, section 5, on the inactive list. */
static enum fate check_references(struct task *t, struct visit *v, struct page *page)
{
	if (v->ignore_references)
		return FATE_GO_ON;
	/* Looked at first: most pages do not have it, and a look is cheaper than an exchange. */
	bool was_referenced =
		page_test(page, PG_REFERENCED) && page_test_clear(page, PG_REFERENCED);
	uint32_t region_flags;
	uint32_t young = rmap_referenced(t, page, &region_flags);

	if (unlikely(young == RMAP_CONTENDED))
		return FATE_KEEP;
	if (young > 0) {
		v->set = PG_REFERENCED;
		if (was_referenced || young > 1)
			return FATE_ACTIVATE;
		/* The text of a program is worth keeping from its first use on. */
		if ((region_flags & REGION_EXEC) && page_is_file_lru(page))
			return FATE_ACTIVATE;
		return FATE_KEEP;
	}
	v->clean_only = was_referenced && !page_test(page, PG_SWAPBACKED);
	return FATE_GO_ON;
}

/* What was a huge page when it was met is decided about in parts; this is the first of them. */
static void count_as_small(struct visit *v)
{
	v->sc->nr_scanned -= v->nr_pages - 1;
	v->nr_pages = 1;
}

/*
 * A whole huge page gets the slots of a cluster, if there is one; otherwise it is split, which
 * counts as a failed attempt to swap it out. One whose entries are separate already is split at
 * once: some of its parts may not be needed any more.
 * => FATE_GO_ON with the page in the cache, or with its first part, the others on the list
 */
static enum fate give_cluster(struct task *t, struct visit *v, struct page *page)
{
	bool whole = page_test(page, PG_THP_WHOLE);

	if (!thp_can_split(page))
		return FATE_ACTIVATE;
	if (whole && swap_cache_add_whole(t, page))
		return FATE_GO_ON;
	if (thp_split(t, page, v->list) != 0)
		return FATE_ACTIVATE;
	if (whole)
		event_add(t, EV_THP_SWPOUT_FALLBACK, 1);
	count_as_small(v);
	return FATE_GO_ON;
}

static enum fate give_slot(struct task *t, struct visit *v, struct page *page)
{
	uint64_t flags = page_flags(page);

	if (!(flags & PG_ANON) || !(flags & PG_SWAPBACKED) || (flags & PG_SWAPCACHE))
		return FATE_GO_ON;
	if (!(v->sc->gfp_mask & GFP_BIT_IO) || page_maybe_pinned(page))
		return FATE_KEEP;
	if (flags & PG_HEAD) {
		enum fate fate = give_cluster(t, v, page);

		if (fate != FATE_GO_ON || page_test(page, PG_SWAPCACHE))
			return fate;
	}
	if (swap_cache_add_new(t, page))
		return FATE_GO_ON;
	count_as_small(v);
	return FATE_ACTIVATE;
}

/* Anonymous contents that the program does not need unless it writes them again (MADV_FREE). */
static bool page_is_lazyfree(const struct page *page)
{
	return (page_flags(page) & (PG_ANON | PG_SWAPBACKED)) == PG_ANON;
}

/* => false: the program has written the page again, or somebody looks at it. It stays */
static bool discard(struct task *t, struct page *page)
{
	if (rmap_discard(t, page))
		return true;
	page_set(page, PG_SWAPBACKED);
	return false;
}

static enum fate unmap(struct task *t, struct visit *v, struct page *page)
{
	bool lazyfree = page_is_lazyfree(page);

	if (lazyfree && page_test(page, PG_HEAD)) {
		/* Part by part: some may have been written again. */
		if (!thp_can_split(page) || thp_split(t, page, v->list) != 0)
			return FATE_ACTIVATE;
		count_as_small(v);
	}
	if (page_maps(page) != 0 && !(lazyfree ? discard(t, page) : rmap_unmap(t, page))) {
		v->stat->nr_unmap_fail += v->nr_pages;
		return FATE_ACTIVATE;
	}
	return page_maybe_pinned(page) ? FATE_ACTIVATE : FATE_GO_ON;
}

/*
 * Writes a dirty page out. May sleep in the store.
 * => FATE_KEEP_UNLOCKED after a successful start; KEEP if somebody uses it; GO_ON if it turned out
 *    clean
 */
static enum fate write_out(struct task *t, struct visit *v, struct page *page)
{
	uint64_t type = page_test(page, PG_SWAPBACKED) ? RECLAIM_FLAG_ANON : RECLAIM_FLAG_FILE;

	tlb_flush_dirty(t);
	if (page_refs(page) != 1 + page_aops(t->machine, page)->cache_refs)
		return FATE_KEEP;
	page_set(page, PG_RECLAIM);
	if (!page_aops(t->machine, page)->write_page(t, page)) {
		page_clear(page, PG_RECLAIM);
		return FATE_GO_ON;
	}
	event_emit(t, MM_VMSCAN_WRITE_FOLIO, (uint64_t)(page - t->machine->pages),
		   type | RECLAIM_FLAG_ASYNC);
	v->stat->nr_pageout += v->nr_pages;
	cpu_pin(t);
	node_stat_add(t, v->node, NR_VMSCAN_WRITE, v->nr_pages);
	cpu_unpin(t);
	/* event: a synchronous store may be done with it; then it can be freed in this visit */
	if (page_test(page, PG_WRITEBACK | PG_DIRTY) || !page_trylock(t, page))
		return FATE_KEEP_UNLOCKED;
	if (page_test(page, PG_WRITEBACK | PG_DIRTY))
		return FATE_KEEP;
	return FATE_GO_ON;
}

static enum fate meet_dirty(struct task *t, struct visit *v, struct page *page)
{
	bool file = !page_test(page, PG_SWAPBACKED | PG_ANON);
	bool node_dirty = (atomic_load(&v->node->flags) & NODE_FLAG_DIRTY) != 0;

	if (!page_test(page, PG_DIRTY))
		return FATE_GO_ON;
	if (file && (!v->sc->is_kswapd || !page_test(page, PG_RECLAIM) || !node_dirty)) {
		cpu_pin(t);
		node_stat_add(t, v->node, NR_VMSCAN_IMMEDIATE_RECLAIM, 1);
		cpu_unpin(t);
		page_set(page, PG_RECLAIM);
		return FATE_ACTIVATE;
	}
	/* Without a cache there is nowhere to write to. Somebody else holds a page given up. */
	if (v->clean_only || page_is_lazyfree(page))
		return FATE_KEEP;
	bool may_enter_fs = (v->sc->gfp_mask & GFP_BIT_FS) ||
			    (page_test(page, PG_SWAPCACHE) && (v->sc->gfp_mask & GFP_BIT_IO));

	if (!may_enter_fs || !v->sc->may_writepage)
		return FATE_KEEP;
	return write_out(t, v, page);
}

/* Takes a clean, unmapped page out of its cache. => true: nobody can reach it, its count is 0 */
static bool remove_from_cache(struct task *t, struct visit *v, struct page *page)
{
	const struct aops *ops = page_aops(t->machine, page);
	uint32_t refs = 1 + ops->cache_refs; /* ours, and none but the cache's */

	if (!page_freeze(page, refs))
		return false;
	if (page_test(page, PG_DIRTY)) {
		atomic_store(&page->refs, refs);
		return false;
	}
	ops->free_page(t, page, v->node);
	return true;
}

/* The tests in their order. => page locked unless FATE_KEEP_UNLOCKED */
static enum fate decide(struct task *t, struct visit *v, struct page *page)
{
	enum fate fate;

	if (page_test(page, PG_MLOCKED))
		return FATE_ACTIVATE;
	if (!v->sc->may_unmap && page_maps(page) != 0)
		return FATE_KEEP;
	tally_dirty(v, page);
	fate = meet_writeback(v, page);
	if (fate != FATE_GO_ON)
		return fate;
	fate = check_references(t, v, page);
	if (fate == FATE_KEEP)
		v->stat->nr_ref_keep += v->nr_pages;
	if (fate != FATE_GO_ON)
		return fate;
	fate = give_slot(t, v, page);
	if (fate != FATE_GO_ON)
		return fate;
	fate = unmap(t, v, page);
	if (fate != FATE_GO_ON)
		return fate;
	fate = meet_dirty(t, v, page);
	if (fate != FATE_GO_ON)
		return fate;
	return remove_from_cache(t, v, page) ? FATE_FREED : FATE_KEEP;
}

static void activate(struct task *t, struct visit *v, struct page *page)
{
	if (page_test(page, PG_SWAPCACHE) &&
	    (swap_is_half_full(t->machine) || page_test(page, PG_MLOCKED)))
		swap_cache_try_free(t, page);
	if (page_test(page, PG_MLOCKED))
		return;
	page_set(page, PG_ACTIVE);
	v->stat->nr_activate[page_is_file_lru(page)] += v->nr_pages;
	event_add(t, EV_PGACTIVATE, v->nr_pages);
}

/* What nobody can reach any more, until no CPU remembers a translation of it. */
struct freed_pages {
	struct list small;
	struct list huge; /* blocks by themselves */
};

static void gather_freed(struct task *t, struct page *page, struct freed_pages *freed)
{
	struct page *pages = t->machine->pages;

	page_clear(page, PG_ISOLATED);
	page_unlock(t, page);
	list_add_tail(pages, page_test(page, PG_HEAD) ? &freed->huge : &freed->small,
		      (uint32_t)(page - pages));
}

/* => all translations noted before are forgotten */
static void free_gathered(struct task *t, struct freed_pages *freed)
{
	struct page *pages = t->machine->pages;
	uint32_t pfn;

	while ((pfn = list_pop(pages, &freed->huge)) != PFN_NONE)
		page_free_frozen(t, &pages[pfn]);
	free_page_list(t, &freed->small);
}

uint64_t reclaim_page_list(struct task *t, struct node *node, struct list *list,
			   struct scan_control *sc, struct reclaim_stat *stat)
{
	struct page *pages = t->machine->pages;
	struct list kept = { PFN_NONE, PFN_NONE };
	struct freed_pages freed = { { PFN_NONE, PFN_NONE }, { PFN_NONE, PFN_NONE } };
	bool plugged = t->plug != NULL;
	struct io_plug plug;
	uint64_t nr_freed = 0;

	if (!plugged)
		io_plug(t, &plug);
	while (!list_empty(list)) {
		uint32_t pfn = list->last;
		struct page *page = &pages[pfn];
		struct visit v = { .node = node,
				   .sc = sc,
				   .stat = stat,
				   .list = list,
				   .nr_pages = page_nr(page) };

		list_remove(pages, list, pfn);
		if (!page_trylock(t, page)) {
			list_add_head(pages, &kept, pfn);
			continue;
		}
		sc->nr_scanned += v.nr_pages;
		enum fate fate = decide(t, &v, page);

		if (fate == FATE_FREED) {
			gather_freed(t, page, &freed);
			nr_freed += v.nr_pages;
			continue;
		}
		if (fate == FATE_ACTIVATE)
			activate(t, &v, page);
		if (fate != FATE_KEEP_UNLOCKED)
			page_unlock_set(t, page, v.set);
		list_add_head(pages, &kept, pfn);
	}
	tlb_flush(t);
	if (!plugged)
		io_unplug(t);
	free_gathered(t, &freed);
	*list = kept;
	return nr_freed;
}

uint64_t reclaim_pages(struct task *t, struct node *node, struct list *list)
{
	struct scan_control sc = {
		.gfp_mask = GFP_KERNEL, .may_writepage = true, .may_unmap = true, .may_swap = true
	};
	struct reclaim_stat stat = { 0 };
	uint64_t freed = reclaim_page_list(t, node, list, &sc, &stat);

	lru_putback(t, node, list);
	return freed;
}
