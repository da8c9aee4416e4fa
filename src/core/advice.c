/*
 * Advice: what a program tells about pages of its regions (madvise).
 *
 *   advice      entry maps a page                      entry holds a swap word
 *   free        young, dirty off; the page goes to     emptied, slot freed
 *               the inactive *file* list, and loses
 *               PG_SWAPBACKED
 *   cold        young off; inactive list, if active    -
 *   pageout     young off; isolated, then reclaimed    -
 *   willneed    -                                      read into the swap cache
 *
 * A lazily freed page is an anonymous page whose contents nobody has to keep: PG_ANON
 * without PG_SWAPBACKED. Whether the program has written it again is known by the
 * entry's dirty bit alone, which was cleared; reclaim looks at it at the last moment
 * (rmap_discard) and makes the page an ordinary one again, or frees it without a write.
 *
 *   anonymous ──free──> lazily freed ──reclaim, entry clean──> gone, reads as zero
 *        ^                   └────────reclaim, entry dirty──┐
 *        └──────────────────────────────────────────────────┘
 *
 * A huge page of which only a part is meant is split first. Pages are taken in the
 * order of their addresses, those of one page table (2 MiB) together.
 *
 * What must never happen: contents lost that were written after the advice. The dirty
 * bits of page and entry are cleared under the page lock, before the page can be met by
 * reclaim without PG_SWAPBACKED; a write that comes later sets the entry's bit again.
 *
 * Linux: mm/madvise.c, mark_page_lazyfree() and deactivate_page() in mm/swap.c.
 */
#include "core/advice.h"

#include <errno.h>

#include "core/fadvise.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/reclaim.h"
#include "core/rmap.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/vmstat.h"

#define WALK_BATCH 32u

/* One advice for a range. */
struct advice {
	struct region *region;
	uint64_t first, last; /* vpn */
	/* Page locked, mapped by an entry of the range; a huge one is mapped whole, and within it.
	 */
	void (*page)(struct task *t, struct advice *advice, struct page *page);
	/* => 0 or the error that ends the walk */
	int (*swap_word)(struct task *t, struct advice *advice, const struct hw_entry *entry);
	struct list isolated;
	struct node *node; /* of the pages isolated */
	bool other_node;   /* the page at hand is of another one: those first */
};

/* Frames of the page: the range covers each of them, and their entries are all there. */
static bool covers_whole(const struct advice *advice, const struct page *page)
{
	uint64_t vpn = advice->region->start_vpn + page->index;

	return page_test(page, PG_THP_WHOLE) && vpn >= advice->first &&
	       vpn + THP_PAGES - 1 <= advice->last;
}

/*
 * The entry at vpn maps a frame of this page, which is locked. *skip: entries done with.
 * => false: a huge page became small ones, or the entry changed; look at it again
 */
static bool advise_locked(struct task *t, struct advice *advice, struct page *page, uint64_t vpn,
			  uint64_t *skip)
{
	struct hw_entry again = { .vpn = vpn };

	t->machine->hw->ops->get(advice->region->space->hw, &again);
	if (!(again.flags & HW_PRESENT) || thp_head(t->machine, again.pfn) != page)
		return false;
	if (thp_is_huge(page)) {
		*skip = advice->region->start_vpn + page->index + THP_PAGES - vpn;
		if (!covers_whole(advice, page)) /* one in somebody's hands is passed over */
			return thp_split(t, page, NULL) != 0;
	}
	if (page_maps(page) == page_nr(page))
		advice->page(t, advice, page);
	return true;
}

/* Reclaims what was isolated so far. */
static void flush_isolated(struct task *t, struct advice *advice)
{
	uint32_t memalloc = t->flags & PF_MEMALLOC;

	if (list_empty(&advice->isolated))
		return;
	t->flags |= PF_MEMALLOC;
	reclaim_pages(t, advice->node, &advice->isolated);
	t->flags = (t->flags & ~PF_MEMALLOC) | memalloc;
	advice->isolated = (struct list){ PFN_NONE, PFN_NONE };
}

/* => entries done with, 0: look again */
static uint64_t advise_present(struct task *t, struct advice *advice, const struct hw_entry *entry)
{
	struct page *page = thp_get(t, entry->pfn);
	uint64_t skip = 1;

	if (page == NULL)
		return 0;
	if (page_trylock(t, page)) {
		if (!advise_locked(t, advice, page, entry->vpn, &skip))
			skip = 0;
		page_unlock(t, page);
	}
	page_put(t, page);
	if (advice->other_node) {
		flush_isolated(t, advice);
		advice->other_node = false;
		skip = 0;
	}
	return skip;
}

/* What the entry holds by now is dealt with. => entries done with, or an error */
static int64_t advise_entry(struct task *t, struct advice *advice, uint64_t vpn)
{
	struct neap_machine *m = t->machine;
	uint64_t done = 0;

	/* event loop: ends when the entry stays what it was for one look */
	while (done == 0) {
		struct hw_entry entry = { .vpn = vpn };

		m->hw->ops->get(advice->region->space->hw, &entry);
		rt_explore(t);
		if ((entry.flags & HW_PRESENT) && entry.pfn != m->zero_pfn) {
			done = advice->page == NULL ? 1 : advise_present(t, advice, &entry);
			continue;
		}
		int err = 0;

		if (!(entry.flags & HW_PRESENT) && entry.word != 0 &&
		    !word_is_migration(entry.word) && advice->swap_word != NULL)
			err = advice->swap_word(t, advice, &entry);
		if (err != 0)
			return err;
		done = 1;
	}
	return (int64_t)done;
}

/* One page table's part of the range. => 0 or the error that ended it */
static int walk_table(struct task *t, struct advice *advice, uint64_t vpn, uint64_t last)
{
	const struct hw_ops *hw = t->machine->hw->ops;

	while (vpn <= last) {
		struct hw_entry found[WALK_BATCH];
		uint32_t got = hw->scan(advice->region->space->hw, vpn, last, found, WALK_BATCH);
		uint64_t next = got == WALK_BATCH ? found[got - 1].vpn + 1 : last + 1;

		for (uint32_t i = 0; i < got; i++) {
			if (found[i].vpn < vpn)
				continue; /* of the huge page before */
			int64_t done = advise_entry(t, advice, found[i].vpn);

			if (done < 0)
				return (int)done;
			vpn = found[i].vpn + (uint64_t)done;
		}
		event_add(t, EV_SIM_PTE_WALK, got);
		rt_preempt(t);
		vpn = max_u64(vpn, next);
	}
	return 0;
}

static int walk(struct task *t, struct advice *advice, uint64_t first, uint64_t nr)
{
	struct region *region = advice->region;
	int err = 0;

	CHECK(first + nr <= region->nr_pages);
	advice->first = region->start_vpn + first;
	advice->last = advice->first + nr - 1;
	advice->isolated = (struct list){ PFN_NONE, PFN_NONE };
	lru_drain(t);
	for (uint64_t vpn = advice->first; vpn <= advice->last && err == 0;) {
		uint64_t end = round_down_u64(vpn, HW_TABLE_ENTRIES) + HW_TABLE_ENTRIES;

		err = walk_table(t, advice, vpn, min_u64(end - 1, advice->last));
		flush_isolated(t, advice);
		vpn = end;
	}
	return err;
}

/* ---- free ---- */

/* Clears young and dirty of the page's entries. => page locked, so they go on mapping it */
static void clean_entries(struct task *t, struct region *region, const struct page *page)
{
	const struct hw_ops *hw = t->machine->hw->ops;
	uint64_t vpn = region->start_vpn + page->index;
	uint32_t nr = page_nr(page);

	for (uint32_t i = 0; i < nr; i++) {
		struct hw_entry entry = { .vpn = vpn + i };

		hw->clean(region->space->hw, &entry, 1);
		CHECK(entry.err == 0);
	}
	hw->flush(region->space->hw);
}

static void free_page(struct task *t, struct advice *advice, struct page *page)
{
	if (page_test(page, PG_SWAPCACHE) && !swap_cache_try_free(t, page))
		return; /* under write-out */
	page_clear(page, PG_DIRTY);
	clean_entries(t, advice->region, page);
	lru_lazyfree(t, page);
}

static int free_word(struct task *t, struct advice *advice, const struct hw_entry *entry)
{
	/* If it is another one by now, the program used the page meanwhile. */
	(void)region_drop_word(t, advice->region, entry->vpn, entry->word);
	return 0;
}

int advice_free(struct task *t, struct region *region, uint64_t first, uint64_t nr)
{
	struct advice advice = { .region = region, .page = free_page, .swap_word = free_word };

	if (region->mapping != NULL || (region->flags & REGION_LOCKED))
		return -EINVAL;
	return walk(t, &advice, first, nr);
}

/* ---- cold and pageout ---- */

/* => false: it is on no list */
static bool forget_use(struct task *t, struct page *page)
{
	uint32_t region_flags;

	if (!page_test(page, PG_LRU))
		return false;
	(void)rmap_referenced(t, page, &region_flags);
	page_clear(page, PG_REFERENCED);
	return true;
}

static void cold_page(struct task *t, struct advice *advice, struct page *page)
{
	(void)advice;
	if (forget_use(t, page))
		lru_deactivate(t, page);
}

int advice_cold(struct task *t, struct region *region, uint64_t first, uint64_t nr)
{
	struct advice advice = { .region = region, .page = cold_page };

	if (region->flags & REGION_LOCKED)
		return -EINVAL;
	return walk(t, &advice, first, nr);
}

/* Reclaim comes when the page's lock is gone, and our reference. */
static void pageout_page(struct task *t, struct advice *advice, struct page *page)
{
	struct neap_machine *m = t->machine;

	advice->other_node = !list_empty(&advice->isolated) && advice->node != page_node(m, page);
	if (advice->other_node || page_test(page, PG_MLOCKED | PG_UNEVICTABLE) ||
	    !forget_use(t, page))
		return;
	advice->node = page_node(m, page);
	if (lru_isolate_page(t, page))
		list_add_head(m->pages, &advice->isolated, (uint32_t)(page - m->pages));
}

int advice_pageout(struct task *t, struct region *region, uint64_t first, uint64_t nr)
{
	struct advice advice = { .region = region, .page = pageout_page };

	if (region->flags & REGION_LOCKED)
		return -EINVAL;
	return walk(t, &advice, first, nr);
}

/* ---- willneed ---- */

static int read_word(struct task *t, struct advice *advice, const struct hw_entry *entry)
{
	uint64_t page = entry->vpn - advice->region->start_vpn;

	/* What there is no memory for now is read when it is wanted, as in Linux. */
	if (word_is_swap(entry->word))
		(void)swap_read_ahead(t, advice->region, page, word_to_swap(entry->word));
	return 0;
}

int advice_willneed(struct task *t, struct region *region, uint64_t first, uint64_t nr)
{
	struct advice advice = { .region = region, .swap_word = read_word };

	if (region->mapping != NULL) {
		fadvise_willneed(t, region->mapping, first, nr);
		return 0;
	}
	int err = walk(t, &advice, first, nr);

	lru_drain(t);
	return err;
}
