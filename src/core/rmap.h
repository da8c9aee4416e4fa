/* From a frame to the entries that map it. */
#ifndef NEAP_CORE_RMAP_H
#define NEAP_CORE_RMAP_H

#include "core/space.h"

#define RMAP_CONTENDED UINT32_MAX

/*
 * Tests and clears young in every entry of a locked page. A preempt point if the page is huge.
 * => number of regions in which it was young, those that are read sequentially apart;
 * *region_flags: the REGION_* flags of these; RMAP_CONTENDED: a huge page of the space is being
 * split, and nothing was looked at
 */
uint32_t rmap_referenced(struct task *t, struct page *page, uint32_t *region_flags);
/*
 * Takes a locked page out of every entry. Anonymous pages must be in the swap cache: their entry
 * becomes the
 * swap word. Dirty entries make the page dirty.
 * => true if nothing maps it any more
 */
bool rmap_unmap(struct task *t, struct page *page);
/* The entries of a page that is being moved. */
struct rmap_moved {
	uint32_t pfn;	  /* the frame their words stand for, the first one of a huge page */
	uint32_t entries; /* how many words there are */
	uint64_t word;	  /* one of them: the only one of an anonymous page that is not huge */
};
/*
 * Replaces every entry of a locked page by a migration word. => true if nothing maps it any more;
 * *moved is for rmap_migrate_in(); pinned
 */
bool rmap_migrate_out(struct task *t, struct page *page, struct rmap_moved *moved);
/*
 * Maps the locked page in place of every migration word: the page's new frame, or the same one if
 * it could not be moved. The page has a reference for each entry afterwards. => pinned
 */
void rmap_migrate_in(struct task *t, struct page *page, const struct rmap_moved *moved);
/*
 * Asks for the entry of a page that will be looked for soon. A hint: nothing happens if somebody
 * has the page locked, or if it may have several entries. => holding page locks is fine
 */
void rmap_soon(struct task *t, struct page *page);
/*
 * Takes a locked, lazily freed page out of its entry, which is empty then, unless the page was
 * written since or somebody but its entry and the caller, with one reference, refers to it: then
 * nothing changes. => true: nothing maps it any more, and its contents are given up
 */
bool rmap_discard(struct task *t, struct page *page);
/* Write-protects a locked file page everywhere before write-out; dirty entries make it dirty. */
void rmap_write_protect(struct task *t, struct page *page);

/*
 * Counts one more or one entry less that maps the page: page.maps, nr_anon_pages, nr_mapped, the
 * space's rss.
 */
void rmap_account_add(struct task *t, struct space *space, struct page *page);
void rmap_account_remove(struct task *t, struct space *space, struct page *page);

#endif
