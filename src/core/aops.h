/*
 * Address-space operations: what the engine does with pages of a cache without knowing which cache
 * it is (Linux: struct address_space_operations). A file's mapping has a table of them; so have the
 * swap cache, and anonymous pages that are in no cache.
 */
#ifndef NEAP_CORE_AOPS_H
#define NEAP_CORE_AOPS_H

#include "core/mapping.h"

struct aops {
	const char *name;
	uint32_t cache_refs; /* references that the cache itself holds on a page of its own */

	/* ---- one page, locked by the caller ---- */

	/*
	 * Starts write-out of a page that is not under write-out. May sleep. NULL: there is nowhere
	 * to write to. => true: started, or not needed any more; the page is unlocked. false: it
	 * was clean, and is still locked
	 */
	bool (*write_page)(struct task *t, struct page *page);
	/* The contents were changed. Mapped or locked by the caller. */
	void (*set_dirty)(struct task *t, struct page *page);
	/* Puts `to` in the page's place. => false, nothing changed: somebody else refers to `from`
	 */
	bool (*migratepage)(struct task *t, struct page *from, struct page *to);
	/*
	 * The page, clean and with its references frozen, leaves the cache; its shadow stays behind
	 * for the lists of the node, where there is a place for one.
	 */
	void (*free_page)(struct task *t, struct page *page, struct node *node);

	/* ---- a whole file; NULL where there is no mapping. All may sleep ---- */

	/* As mapping_get_page(), mapping_read_ahead() */
	int (*read_page)(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
			 uint32_t *pfn);
	void (*read_ahead)(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr);
	/* As mapping_begin_access(), mapping_end_access(): what read and write calls do. */
	int (*write_begin)(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
			   uint32_t *pfn);
	void (*write_end)(struct task *t, struct mapping *mapping, uint32_t pfn, bool written);
	/* As mapping_write_dirty(). */
	uint64_t (*write_pages)(struct task *t, struct mapping *mapping, uint64_t nr);
	/* As mapping_drop_clean(). */
	uint64_t (*invalidate)(struct task *t, struct mapping *mapping);
};

extern const struct aops aops_file; /* pages of a file's mapping */
extern const struct aops aops_swap; /* anonymous pages in the swap cache */
extern const struct aops aops_anon; /* anonymous pages that have no slot */

/*
 * The operations of a page. => page locked, or kept in its cache by the caller's entry: otherwise
 * it may be another cache's by now
 */
static inline const struct aops *page_aops(const struct neap_machine *m, const struct page *page)
{
	uint64_t flags = page_flags(page);

	if (flags & PG_SWAPCACHE)
		return &aops_swap;
	if (flags & PG_ANON)
		return &aops_anon;
	return ((const struct mapping *)pool_get(&m->mappings, page->owner))->ops;
}

#endif
