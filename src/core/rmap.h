/* From a frame to the entries that map it. */
#ifndef NEAP_CORE_RMAP_H
#define NEAP_CORE_RMAP_H

#include "core/space.h"

/*
 * Tests and clears young in every entry of a locked page. => number of regions in which it was
 * young, those that are read sequentially apart; *region_flags: the REGION_* flags of these
 */
uint32_t rmap_referenced(struct task *t, struct page *page, uint32_t *region_flags);
/*
 * Takes a locked page out of every entry. Anonymous pages must be in the swap cache: their entry
 * becomes the
 * swap word. Dirty entries make the page dirty.
 * => true if nothing maps it any more
 */
bool rmap_unmap(struct task *t, struct page *page);
/*
 * Replaces every entry of a locked page by a migration word. => true if nothing maps it any more;
 * *entries: how many words there are now
 */
bool rmap_migrate_out(struct task *t, struct page *page, uint32_t *entries);
/*
 * Maps the locked page in place of every migration word that stands for frame `from`: the page's
 * new
 * frame, or the same one if it could not be moved.
 * => entries mapped; the page has a reference for each
 */
uint32_t rmap_migrate_in(struct task *t, struct page *page, uint32_t from);
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
