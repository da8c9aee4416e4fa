/*
 * LRU lists and the per-CPU batches in front of them (spec 10).
 */
#ifndef NEAP_CORE_LRU_H
#define NEAP_CORE_LRU_H

#include "core/machine.h"

/*
 * Drops a reference; the last one takes the page off its LRU list and frees it. Never sleeps.
 * Nothing held.
 */
void page_put(struct task *t, struct page *page);

/* Frees a page whose references were frozen at zero, taking it off its list first. Never sleeps. */
void page_free_frozen(struct task *t, struct page *page);

/* Queues a new page for its list. => takes its own reference until the batch is flushed */
void lru_add(struct task *t, struct page *page);
/* lru_add(), and then lru_drain(). => pinned */
void lru_add_drain(struct task *t, struct page *page);
/* Queues moves of a page that is on a list. */
void lru_activate(struct task *t, struct page *page);
void lru_deactivate(struct task *t, struct page *page);
void lru_rotate(struct task *t, struct page *page);
void lru_lazyfree(struct task *t, struct page *page);
void lru_deactivate_file(struct task *t, struct page *page);
/* Flushes this CPU's batches. Nothing held. */
void lru_drain(struct task *t);
/* Flushes every CPU's batches, taking their words. Nothing held. */
void lru_drain_all(struct task *t);
/* The CPU's that is pinned. */
void lru_drain_pinned(struct task *t);
/* The two-touch rule of read- and write-type access (spec 10, section 4). */
void lru_mark_accessed(struct task *t, struct page *page);

/*
 * No page waits in a batch any more, until lru_enable(): what is on an LRU list can be told by its
 * flag. Nests. Takes other CPUs' words: nothing held.
 */
void lru_disable(struct task *t);
void lru_enable(struct task *t);

/*
 * Takes pages for reclaim from the tail of a list (spec 10, section 9).
 */
struct lru_isolate {
	struct lruvec *lruvec;
	enum lru_list list;
	uint64_t want;	     /* pages to scan */
	uint32_t zone_limit; /* highest zone index wanted */
	bool may_unmap;
	uint64_t scanned;		 /* out: without skipped */
	uint64_t skipped;		 /* out */
	uint64_t skipped_zone[NR_ZONES]; /* out */
};
/* Pages of one size that go to one list, from one zone: counted together. */
struct lru_run {
	enum lru_list list;
	uint32_t zone;
	uint32_t nr_pages; /* of each */
	uint32_t nr;
};
/*
 * Pages of a zone leave ctl->list: one step, however many. Pages come to a list: one by one, so
 * that counters carry over as often as they would. => pinned, lru lock held
 */
void lru_count_taken(struct task *t, const struct lru_isolate *ctl, uint32_t zone, uint64_t nr);
void lru_count_run(struct task *t, struct node *node, const struct lru_run *run);
/* => pages taken onto *out, each with a reference and PG_ISOLATED; pinned, lru lock held */
uint64_t lru_isolate(struct task *t, struct lru_isolate *ctl, struct list *out);
/* Takes one page off its list if it is on one. => false if somebody else has it. Nothing held. */
bool lru_isolate_page(struct task *t, struct page *page);
/* Takes a page off its list whose PG_LRU the caller cleared. => pinned, lru lock held */
void lru_take_cleared(struct task *t, struct page *page);
/*
 * Splitting a huge page on its list (core/thp_split.c): the list gets longer or shorter by so many
 * pages; a page, not on any list, goes before another one. => pinned, lru lock held
 */
void lru_resize(struct task *t, struct lruvec *lruvec, const struct page *page, int64_t delta);
void lru_add_before(struct task *t, struct lruvec *lruvec, struct page *page, struct page *where);
/*
 * Puts isolated pages back where their flags say, the list's last one first, so that pages isolated
 * from a tail keep their order. Drops the isolation's reference. Nothing held.
 */
void lru_putback(struct task *t, struct node *node, struct list *list);

/* Pages on a list of a node in zones 0..zone_limit. */
static inline uint64_t lruvec_size(const struct lruvec *lruvec, enum lru_list list,
				   uint32_t zone_limit)
{
	_Atomic uint64_t *size = ((struct lruvec *)(uintptr_t)lruvec)->size[list];
	uint64_t pages = 0;

	for (uint32_t zone = 0; zone <= zone_limit && zone < NR_ZONES; zone++)
		pages += atomic_load_explicit(&size[zone], memory_order_relaxed);
	return pages;
}
/* Is the inactive list of the type too short (spec 10, section 6)? file: 0 anon, 1 file */
bool lru_inactive_is_low(const struct lruvec *lruvec, uint32_t file);
/* Adds write-out or refault cost (spec 10, section 8). Nothing held. */
void lru_note_cost(struct task *t, struct lruvec *lruvec, uint32_t file, uint64_t pages);

static inline uint32_t page_is_file_lru(const struct page *page)
{
	return !page_test(page, PG_SWAPBACKED);
}

/* The list that flags which were read belong to. */
static inline enum lru_list lru_list_of(uint64_t flags)
{
	if (flags & PG_UNEVICTABLE)
		return LRU_UNEVICTABLE;
	return (enum lru_list)(((flags & PG_SWAPBACKED) ? 0u : 2u) +
			       ((flags & PG_ACTIVE) ? 1u : 0u));
}

static inline enum lru_list page_lru_list(const struct page *page)
{
	return lru_list_of(page_flags(page));
}

#endif
