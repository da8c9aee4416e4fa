/*
 * Doubly linked lists of frames, linked by frame number through page.next and
 * page.prev. 0 ends a list in both directions (frame 0 does not exist).
 *
 *   list.first -> pfn <-> pfn <-> pfn <- list.last
 *
 * The lock of a list is whatever its owner says; these functions take none. A
 * frame is on at most one list.
 */
#ifndef NEAP_CORE_LIST_H
#define NEAP_CORE_LIST_H

#include "core/page.h"

struct list {
	uint32_t first;
	uint32_t last;
};

/* One end of a list: 0 the first, 1 the last. */
static ALWAYS_INLINE uint32_t *list_end(struct list *list, uint32_t end)
{
	return (uint32_t *)(void *)list + end;
}

_Static_assert(offsetof(struct list, last) == sizeof(uint32_t), "list_end() counts on it");

static inline bool list_empty(const struct list *list)
{
	return list->first == PFN_NONE;
}

static inline void list_add_head(struct page *pages, struct list *list, uint32_t pfn)
{
	uint32_t first = list->first;

	page_set_links(&pages[pfn], first, PFN_NONE);
	if (first != PFN_NONE)
		pages[first].prev = pfn;
	else
		list->last = pfn;
	list->first = pfn;
}

static inline void list_add_tail(struct page *pages, struct list *list, uint32_t pfn)
{
	uint32_t last = list->last;

	page_set_links(&pages[pfn], PFN_NONE, last);
	if (last != PFN_NONE)
		pages[last].next = pfn;
	else
		list->first = pfn;
	list->last = pfn;
}

/* Before `where`, which is on the list. */
static inline void list_insert_before(struct page *pages, struct list *list, uint32_t pfn,
				      uint32_t where)
{
	uint32_t prev = pages[where].prev;

	pages[pfn].prev = prev;
	pages[pfn].next = where;
	pages[where].prev = pfn;
	if (prev != PFN_NONE)
		pages[prev].next = pfn;
	else
		list->first = pfn;
}

static inline void list_remove(struct page *pages, struct list *list, uint32_t pfn)
{
	struct page *page = &pages[pfn];
	uint32_t next = page->next;
	uint32_t prev = page->prev;

	DCHECK(prev != PFN_NONE || list->first == pfn);
	DCHECK(next != PFN_NONE || list->last == pfn);
	if (prev != PFN_NONE)
		pages[prev].next = next;
	else
		list->first = next;
	if (next != PFN_NONE)
		pages[next].prev = prev;
	else
		list->last = prev;
	page_set_links(page, PFN_NONE, PFN_NONE);
}

/* Frames that are linked among themselves already; both ends of them are set right. */
static inline void list_append(struct page *pages, struct list *list, struct list chain)
{
	pages[chain.first].prev = list->last;
	if (list->last != PFN_NONE)
		pages[list->last].next = chain.first;
	else
		list->first = chain.first;
	pages[chain.last].next = PFN_NONE;
	list->last = chain.last;
}

/* Takes the first frame. => PFN_NONE if the list is empty */
static inline uint32_t list_pop(struct page *pages, struct list *list)
{
	uint32_t pfn = list->first;

	if (pfn != PFN_NONE)
		list_remove(pages, list, pfn);
	return pfn;
}

/* Moves the list's end, from frame `first` on, to the head of `to`, which may be the same list. */
static inline void list_move_end(struct page *pages, struct list *from, uint32_t first,
				 struct list *to)
{
	uint32_t before = pages[first].prev;
	uint32_t last = from->last;

	if (before == PFN_NONE) {
		from->first = PFN_NONE;
	} else {
		pages[before].next = PFN_NONE;
	}
	from->last = before;
	pages[first].prev = PFN_NONE;
	pages[last].next = to->first;
	if (to->first == PFN_NONE)
		to->last = last;
	else
		pages[to->first].prev = last;
	to->first = first;
}

/*
 * Moves everything from `from` to the head of `to`, keeping the order; `from` is empty afterwards.
 */
static inline void list_splice_head(struct page *pages, struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	if (list_empty(to)) {
		*to = *from;
	} else {
		pages[from->last].next = to->first;
		pages[to->first].prev = from->last;
		to->first = from->first;
	}
	from->first = PFN_NONE;
	from->last = PFN_NONE;
}

#endif
