/*
 * The address-space operations of the caches that there are.
 *
 *   page ── PG_SWAPCACHE ─────────────> aops_swap    core/swap_cache.c
 *        ├─ PG_ANON, no slot ─────────> aops_anon    nothing behind it
 *        └─ else: owner = mapping id ─> mapping.ops  aops_file: core/mapping.c
 *
 * Reclaim, migration and reverse mapping go through the table; what belongs to one cache
 * only (slots, shadows of an index, faults of a region) stays with its module, and is
 * called there. The tables are small on purpose: an operation is here if somebody calls
 * it without knowing the cache.
 *
 * Of Linux's table these are not needed: bmap (a page of a file is the same page of its
 * store), releasepage (no page has private data; a slot is given up by
 * swap_cache_try_free()), direct_IO (api/file.c loads a store before anybody caches it),
 * isolate_page and putback_page (core/migrate.h, for blocks of drivers), launder_page
 * (dirty pages are not invalidated), is_partially_uptodate (a page is read as a whole),
 * is_dirty_writeback (its flags say so), error_remove_page (no memory failures),
 * swap_activate and swap_deactivate (api/swap.c opens the store of an area).
 *
 * What must never happen: the table of one cache used for a page that went over to
 * another meanwhile. Whoever asks holds the page's lock, or an entry that maps it.
 *
 * Linux: struct address_space_operations; swap_aops of mm/swap_state.c; 6.1.
 */
#include "core/aops.h"

#include "core/pagelock.h"
#include "core/swap.h"
#include "core/vmstat.h"
#include "core/workingset.h"

static struct mapping *mapping_of(struct task *t, const struct page *page)
{
	return pool_get(&t->machine->mappings, page->owner);
}

/* ---- files ---- */

static bool file_write_page(struct task *t, struct page *page)
{
	if (!mapping_write_page(t, mapping_of(t, page), page))
		return false;
	page_unlock(t, page);
	return true;
}

static bool file_migrate_page(struct task *t, struct page *from, struct page *to)
{
	return mapping_replace_page(t, mapping_of(t, from), from, to);
}

static void file_free_page(struct task *t, struct page *page, struct node *node)
{
	mapping_remove_frozen(t, mapping_of(t, page), page, workingset_eviction(page, node));
}

const struct aops aops_file = {
	.name = "file",
	.cache_refs = 1,
	.write_page = file_write_page,
	.set_dirty = mapping_set_dirty,
	.migratepage = file_migrate_page,
	.free_page = file_free_page,
	.read_page = mapping_get_page,
	.read_ahead = mapping_read_ahead,
	.write_begin = mapping_begin_access,
	.write_end = mapping_end_access,
	.write_pages = mapping_write_dirty,
	.invalidate = mapping_drop_clean,
};

/* ---- anonymous pages ---- */

static bool slot_write_page(struct task *t, struct page *page)
{
	swap_write_page(t, page);
	return true;
}

static void anon_set_dirty(struct task *t, struct page *page)
{
	(void)t;
	page_set(page, PG_DIRTY);
}

static void slot_free_page(struct task *t, struct page *page, struct node *node)
{
	swap_cache_remove_frozen(t, page, workingset_eviction(page, node));
}

const struct aops aops_swap = {
	.name = "swap",
	.cache_refs = 1,
	.write_page = slot_write_page,
	.set_dirty = anon_set_dirty,
	.migratepage = swap_cache_replace,
	.free_page = slot_free_page,
};

static bool anon_migrate_page(struct task *t, struct page *from, struct page *to)
{
	(void)t;
	(void)to;
	return page_refs(from) == 1;
}

/* Only one that was lazily freed goes without a slot: its contents are given up. */
static void anon_free_page(struct task *t, struct page *page, struct node *node)
{
	(void)node;
	DCHECK(!page_test(page, PG_SWAPBACKED));
	event_add(t, EV_PGLAZYFREED, page_nr(page));
}

const struct aops aops_anon = {
	.name = "anon",
	.cache_refs = 0,
	.set_dirty = anon_set_dirty,
	.migratepage = anon_migrate_page,
	.free_page = anon_free_page,
};
