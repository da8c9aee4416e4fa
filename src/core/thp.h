/*
 * Transparent huge pages: one page of 512 frames behind 512 entries of an anonymous region
 * (spec 23, section 5).
 */
#ifndef NEAP_CORE_THP_H
#define NEAP_CORE_THP_H

#include "core/space.h"

#define THP_ORDER NEAP_PAGEBLOCK_ORDER
#define THP_PAGES NEAP_PAGEBLOCK_PAGES

/* ---- from a frame to its page ---- */

/*
 * The descriptor that stands for the frame: its own, or the head of its huge page. A stale frame
 * may lead to any page; look again with the page locked.
 */
static inline struct page *thp_head(const struct neap_machine *m, uint32_t pfn)
{
	struct page *page = machine_page(m, pfn);

	if (likely(!page_test(page, PG_TAIL)))
		return page;
	return &m->pages[pfn & ~(THP_PAGES - 1)];
}

/* A reference to the page that the frame belongs to. => NULL: it is changing hands */
struct page *thp_get(struct task *t, uint32_t pfn);

static inline bool thp_is_huge(const struct page *page)
{
	return (page_flags(page) & (PG_HEAD | PG_ANON)) == (PG_HEAD | PG_ANON);
}

/* ---- thp.c: coming to be, and going as a whole ---- */

/* What thp_fault() says beside 0 and errors: this page is a small one's business. */
#define THP_SMALL 1

/*
 * A write to a page that no entry maps: gives the 2 MiB around it a huge page, if policy, advice,
 * region and memory allow it. May sleep.
 * => 0 mapped; THP_SMALL; -EAGAIN somebody was faster, look at the entry again; -ENOMEM no table
 */
int thp_fault(struct task *t, struct region *region, uint64_t page) MUST_CHECK;

/*
 * The gfp mask of such a page: `defrag` is the position of its word among always, defer,
 * defer+madvise, madvise, never; `advised` whether the region asked for huge pages. Pure.
 */
uint32_t thp_gfp(int32_t defrag, bool advised);

/*
 * Takes a whole huge page (PG_THP_WHOLE) out of its entries, and drops their references. Page
 * locked, and referenced by the caller.
 */
void thp_unmap_whole(struct task *t, struct region *region, struct page *page);

/* From now on each entry of the locked page is on its own. => PG_THP_WHOLE was set */
void thp_split_entries(struct task *t, struct region *region, struct page *page);

/* ---- thp_split.c: becoming 512 small pages ---- */

/*
 * Could it be split, as far as references and write-out can tell? Page locked, one reference is
 * ours.
 */
bool thp_can_split(const struct page *page);

/*
 * Makes small pages of the 512 frames. Frames that no entry maps are freed if list is NULL. Page
 * locked, and referenced once by the caller; afterwards page is the first of them, still locked,
 * and the caller's reference is its. list: the page is isolated; so are all parts, those but the
 * first on the list, at its end. NULL: the parts take the page's place on its LRU list.
 * => 0; -EAGAIN somebody else refers to it, and it is still one
 */
int thp_split(struct task *t, struct page *page, struct list *list) MUST_CHECK;

/* Is a huge page of the space being split? Nobody looks at the space's entries meanwhile. */
static inline bool thp_is_splitting(const struct space *space)
{
	return atomic_load_explicit(&((struct space *)(uintptr_t)space)->splitting,
				    memory_order_relaxed) != 0;
}

/*
 * Splits the huge pages that frames first..end-1 touch, so that what is there can be migrated.
 * Those that somebody holds stay as they are. May sleep.
 */
void thp_split_range(struct task *t, uint32_t first, uint32_t end);

/* Parts of the locked page are not mapped any more: it waits for reclaim to split it. */
void thp_defer_split(struct task *t, struct page *page);
/* The page is about to be freed. => its references are gone */
void thp_forget(struct task *t, struct page *page);

/*
 * The pages that wait to be split are a cache that reclaim asks: it is registered when the machine
 * starts. May sleep. => 0 or -ENOSPC
 */
int thp_register_shrinker(struct task *t, struct neap_machine *m) MUST_CHECK;

/* NULL, or what is wrong with a node's queue; *pages: how many wait. Nobody uses it meanwhile. */
const char *thp_verify_queue(const struct node *node, uint64_t *pages);

#endif
