/*
 * The conservation laws, counted in full.
 *
 *   1. Free lists and per-CPU lists are sound, and their frames add up to
 *      nr_free_pages and the sets' counts.
 *   2. Every other managed frame is in exactly one use: table, slab, kernel
 *      block (marked, if of the contiguous memory area), huge page of the pool (and
 *      on its list), zero page, or user page;
 *      free + per-CPU + used = managed.
 *   3. A user page is on exactly the LRU list its flags say; lists, sizes and
 *      counters agree.
 *      A file page is where the index of its file says, and as dirty as that says.
 *      A huge page is a head and 511 tails, none of which has references of its own;
 *      whole ones have a leaf table each; those that wait to be split are in the queue.
 *   4. refs = entries that map it + 1 if a cache holds it (pins apart).
 *   5. Entries of all regions: each frame they map counts them in maps; each swap
 *      word is one reference of its slot.
 *   6. Counters of anonymous, mapped, cached, dirty, table and slab pages equal
 *      the count; nothing is isolated or under write-out.
 *   7. Swap maps and the free count agree (swap_verify).
 *   8. The files' own counts of dirty pages add up to the nodes', and a file with dirty pages
 *      knows since when: the flusher goes by that.
 *
 * The engine's threads are frozen, batches are drained, counters folded and
 * write-out is waited for first, so each law is an equation, not an estimate.
 *
 * What must never happen: a check that cannot fail. tests/unit/test_verify.c breaks
 * each law once.
 */
#include "core/verify.h"

#include <string.h>

#include "core/bio.h"
#include "core/buddy.h"
#include "core/buffer.h"
#include "core/cma.h"
#include "core/free_late.h"
#include "core/freezer.h"
#include "core/hugepool.h"
#include "core/index.h"
#include "core/lru.h"
#include "core/mapping.h"
#include "core/marks.h"
#include "core/pcp.h"
#include "core/shadow_nodes.h"
#include "core/slab.h"
#include "core/space.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/vmstat.h"

/* What the walk over descriptors counted. */
struct census {
	struct neap_machine *m;
	struct task *t;
	uint64_t used, reserved, free, pcp; /* of the zone at hand */
	uint64_t mlocked, pending;    /* of the zone at hand: user pages, file pages to write */
	uint64_t maps;		      /* sum over user pages */
	uint64_t node[NR_NODE_ITEMS]; /* of the node at hand */
	uint64_t lru[NR_LRU_LISTS][NR_ZONES];
	uint64_t whole; /* huge pages whose entries go together; leaf tables they have */
	uint64_t claimed;
	uint64_t queued;  /* of the node at hand: huge pages that wait to be split */
	uint64_t pool;	  /* pages of the pool of huge pages, of all zones */
	uint64_t entries; /* present entries of all regions, zero page apart */
	uint64_t swap_words;
	uint64_t buffers; /* file pages with a buffer head */
};

/* Formats "law: what (a is A, b is B)". => the message */
static const char *fail(struct neap_machine *m, const char *what, uint64_t found, uint64_t expected)
{
	char *at = m->verify_message;
	char *end = at + sizeof(m->verify_message) - 64;
	uint64_t numbers[2] = { found, expected };
	static const char *const words[2] = { ": found ", ", expected " };

	while (*what != '\0' && at < end)
		*at++ = *what++;
	for (uint32_t i = 0; i < 2; i++) {
		char digits[20];
		size_t n = 0;

		for (const char *w = words[i]; *w != '\0'; w++)
			*at++ = *w;
		do {
			digits[n++] = (char)('0' + numbers[i] % 10);
			numbers[i] /= 10;
		} while (numbers[i] != 0);
		while (n > 0)
			*at++ = digits[--n];
	}
	*at = '\0';
	return m->verify_message;
}

/* ---- descriptors ---- */

/* Does the index of its file hold the page where the page says? */
static bool file_page_indexed(struct census *c, uint32_t pfn, const struct page *page)
{
	struct neap_machine *m = c->m;

	if (page->owner == 0 || page->owner > pool_last_id(&m->mappings))
		return false;
	struct mapping *mapping = pool_get(&m->mappings, page->owner);

	spin_lock(c->t, &mapping->lock, LOCK_MAPPING);
	uint64_t slot = index_load(c->t, mapping, page->index);

	spin_unlock(c->t, &mapping->lock, LOCK_MAPPING);
	return index_is_page(slot) && index_frame(slot) == pfn &&
	       ((slot & INDEX_DIRTY) != 0) == page_test(page, PG_DIRTY);
}

/* What holds for huge pages beside all that holds for user pages. */
static const char *census_huge(struct census *c, uint32_t pfn, const struct page *page)
{
	struct neap_machine *m = c->m;
	uint64_t flags = page_flags(page);

	if (!thp_is_huge(page) || page_order(page) != THP_ORDER || pfn % THP_PAGES != 0)
		return fail(m, "a user page of several frames is no huge page, frame", pfn, 0);
	for (uint32_t i = 1; i < THP_PAGES; i++)
		if (!page_test(&page[i], PG_TAIL) || page_refs(&page[i]) != 0 ||
		    page_maps(&page[i]) != 0)
			return fail(m, "a frame of a huge page is not its tail, frame", pfn + i,
				    pfn);
	if (page_maps(page) > THP_PAGES || ((flags & PG_THP_WHOLE) && page_maps(page) != THP_PAGES))
		return fail(m, "entries of a huge page", page_maps(page), THP_PAGES);
	c->whole += (flags & PG_THP_WHOLE) != 0;
	c->queued += (flags & PG_SPLIT_QUEUED) != 0;
	c->node[NR_ANON_TRANSPARENT_HUGEPAGES] += (flags & PG_THP_WHOLE) ? THP_PAGES : 0;
	return NULL;
}

static const char *census_user(struct census *c, uint32_t pfn, const struct page *page)
{
	struct neap_machine *m = c->m;
	uint64_t flags = page_flags(page);
	uint32_t cached = (flags & PG_SWAPCACHE) != 0 || !(flags & PG_ANON);
	uint32_t nr = page_nr(page);
	const char *wrong = nr == 1 ? NULL : census_huge(c, pfn, page);

	if (wrong != NULL)
		return wrong;
	c->used += nr;
	if (!(flags & PG_LRU))
		return fail(m, "a user page is on no LRU list, frame", pfn, 0);
	if (flags & (PG_LOCKED | PG_WRITEBACK | PG_ISOLATED | PG_BATCH))
		return fail(m,
			    "a user page at rest is locked, written, isolated or in a batch, frame",
			    pfn, 0);
	if (!page_maybe_pinned(page) && page_refs(page) != page_maps(page) + cached)
		return fail(m, "references of a user page", page_refs(page),
			    page_maps(page) + cached);
	if ((flags & PG_SWAPCACHE) && !(flags & PG_ANON))
		return fail(m, "a file page is in the swap cache, frame", pfn, 0);
	if (!(flags & PG_ANON) && !file_page_indexed(c, pfn, page))
		return fail(m, "a file page is not what its file's index says, frame", pfn, 0);
	c->mlocked += (flags & PG_MLOCKED) != 0 ? nr : 0;
	c->pending += !(flags & PG_ANON) && (flags & PG_DIRTY);
	c->buffers += !(flags & PG_ANON) && buffer_has(m, pfn);
	c->lru[page_lru_list(page)][page_zone_index(page)] += nr;
	c->maps += page_maps(page);
	/* Frames of a huge page are counted one by one. */
	c->node[NR_ANON_PAGES] += (flags & PG_ANON) ? min_u32(page_maps(page), nr) : 0;
	c->node[NR_MAPPED] += !(flags & PG_ANON) && page_maps(page) != 0;
	c->node[NR_FILE_PAGES] += cached * nr;
	c->node[NR_SWAPCACHED] += (flags & PG_SWAPCACHE) != 0 ? nr : 0;
	c->node[NR_DIRTY] += !(flags & PG_ANON) && (flags & PG_DIRTY);
	return NULL;
}

/* One frame or block at pfn. *step: frames it covers. */
static const char *census_frame(struct census *c, uint32_t pfn, uint32_t *step)
{
	const struct page *page = machine_page(c->m, pfn);
	uint64_t flags = page_flags(page);

	*step = 1;
	if (flags & PG_BUDDY) {
		*step = 1u << page->owner;
		c->free += *step;
	} else if (flags & PG_PCP) {
		*step = 1u << page_order(page);
		c->pcp += *step;
	} else if (flags & PG_TABLE) {
		c->used++;
		c->claimed += page_maps(page) == LEAF_HUGE;
		c->node[NR_PAGE_TABLE_PAGES]++;
	} else if (flags & PG_SLAB) {
		*step = page_nr_of(flags);
		c->used += *step;
		c->node[flags & PG_INDEX ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE] += *step;
	} else if (flags & PG_HUGETLB) {
		*step = 1u << page_order(page);
		c->used += *step;
		c->pool++;
	} else if (flags & PG_KERNEL) {
		if ((flags & PG_MOVABLE) && (flags & (PG_ISOLATED | PG_LOCKED)))
			return fail(c->m, "a movable block is isolated or locked, frame", pfn, 0);
		*step = 1u << page_order(page);
		c->used += *step;
	} else if (flags & PG_ZEROPAGE) {
		c->used++;
	} else if (page_refs(page) != 0) {
		*step = page_nr(page);
		return census_user(c, pfn, page);
	} else {
		c->reserved++;
	}
	return NULL;
}

static const char *census_zone(struct census *c, struct zone *zone)
{
	struct neap_machine *m = c->m;
	const char *wrong = buddy_verify(zone);
	uint64_t counted = 0;

	for (uint32_t limit = 0; limit < NR_ZONES; limit++)
		if (zone->plain_above[limit] != marks_plain_above(zone, limit))
			return fail(m, "free pages that a plain request wants, by marks_refresh()",
				    (uint64_t)marks_plain_above(zone, limit),
				    (uint64_t)zone->plain_above[limit]);
	c->used = c->reserved = c->free = c->pcp = 0;
	c->mlocked = c->pending = 0;
	if (wrong != NULL)
		return wrong;
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		wrong = pcp_verify(zone, cpu);
		if (wrong != NULL)
			return wrong;
		counted += zone->pcp[cpu].count;
	}
	for (uint32_t pfn = zone->start_pfn; pfn < zone_end(zone);) {
		uint32_t step = 1;

		if (zone_has_frame(zone, pfn))
			wrong = census_frame(c, pfn, &step);
		if (wrong != NULL)
			return wrong;
		pfn += step;
	}
	if (c->pcp != counted)
		return fail(m, "pages on per-CPU lists", counted, c->pcp);
	if (zone_stat_exact(zone, NR_FREE_PAGES) != c->free)
		return fail(m, "nr_free_pages of a zone", zone_stat_exact(zone, NR_FREE_PAGES),
			    c->free);
	if (zone_stat_exact(zone, NR_FREE_CMA) != buddy_count_type(zone, MT_CMA))
		return fail(m, "nr_free_cma of a zone", zone_stat_exact(zone, NR_FREE_CMA),
			    buddy_count_type(zone, MT_CMA));
	if (c->free + c->pcp + c->used != zone_managed(zone))
		return fail(m, "free + per-CPU + used frames of a zone", c->free + c->pcp + c->used,
			    zone_managed(zone));
	if (zone_stat_exact(zone, NR_MLOCK) != c->mlocked)
		return fail(m, "nr_mlock of a zone", zone_stat_exact(zone, NR_MLOCK), c->mlocked);
	if (zone_stat_exact(zone, NR_ZONE_WRITE_PENDING) != c->pending)
		return fail(m, "nr_zone_write_pending of a zone",
			    zone_stat_exact(zone, NR_ZONE_WRITE_PENDING), c->pending);
	return NULL;
}

/* ---- lists ---- */

static const char *verify_list(struct census *c, struct node *node, enum lru_list list)
{
	struct neap_machine *m = c->m;
	const struct lruvec *lruvec = &node->lruvec;
	uint64_t length = 0;
	uint32_t prev = PFN_NONE;
	uint64_t expected = 0;

	for (uint32_t pfn = lruvec->list[list].first; pfn != PFN_NONE; pfn = m->pages[pfn].next) {
		const struct page *page = machine_page(m, pfn);

		if (page->prev != prev || !page_test(page, PG_LRU) || page_lru_list(page) != list ||
		    page_node_id(page) != node->id)
			return fail(m, "a page does not fit the LRU list it is on, frame", pfn,
				    prev);
		prev = pfn;
		length += page_nr(page);
	}
	for (uint32_t zone = 0; zone < NR_ZONES; zone++) {
		expected += c->lru[list][zone];
		if (lruvec->size[list][zone] != c->lru[list][zone])
			return fail(m, "size of an LRU list in a zone", lruvec->size[list][zone],
				    c->lru[list][zone]);
		if (!zone_populated(&node->zone[zone]))
			continue;
		uint64_t counted = zone_stat_exact(
			&node->zone[zone], (enum zone_item)(NR_ZONE_INACTIVE_ANON + (int)list));

		if (counted != c->lru[list][zone])
			return fail(m, "LRU counter of a zone", counted, c->lru[list][zone]);
	}
	if (length != expected)
		return fail(m, "length of an LRU list", length, expected);
	c->node[NR_INACTIVE_ANON + (int)list] = expected;
	return NULL;
}

static const char *verify_node_counters(struct census *c, struct node *node)
{
	static const struct {
		enum node_item item;
		const char *what;
	} checked[] = {
		{ NR_INACTIVE_ANON, "nr_inactive_anon" },
		{ NR_ACTIVE_ANON, "nr_active_anon" },
		{ NR_INACTIVE_FILE, "nr_inactive_file" },
		{ NR_ACTIVE_FILE, "nr_active_file" },
		{ NR_UNEVICTABLE, "nr_unevictable" },
		{ NR_ISOLATED_ANON, "nr_isolated_anon" },
		{ NR_ISOLATED_FILE, "nr_isolated_file" },
		{ NR_ANON_PAGES, "nr_anon_pages" },
		{ NR_ANON_TRANSPARENT_HUGEPAGES, "nr_anon_transparent_hugepages" },
		{ NR_MAPPED, "nr_mapped" },
		{ NR_FILE_PAGES, "nr_file_pages" },
		{ NR_SWAPCACHED, "nr_swapcached" },
		{ NR_DIRTY, "nr_dirty" },
		{ NR_WRITEBACK, "nr_writeback" },
		{ NR_PAGE_TABLE_PAGES, "nr_page_table_pages" },
		{ NR_SLAB_RECLAIMABLE, "nr_slab_reclaimable" },
		{ NR_SLAB_UNRECLAIMABLE, "nr_slab_unreclaimable" },
	};

	for (uint32_t i = 0; i < ARRAY_LEN(checked); i++) {
		uint64_t found = node_stat_exact(node, checked[i].item);

		if (found != c->node[checked[i].item])
			return fail(c->m, checked[i].what, found, c->node[checked[i].item]);
	}
	return NULL;
}

static const char *verify_node(struct census *c, struct node *node)
{
	const char *wrong = NULL;

	uint64_t queued = 0;

	memset(c->node, 0, sizeof(c->node));
	memset(c->lru, 0, sizeof(c->lru));
	c->queued = 0;
	for (uint32_t z = 0; z < NR_ZONES && wrong == NULL; z++)
		if (zone_populated(&node->zone[z]))
			wrong = census_zone(c, &node->zone[z]);
	for (uint32_t list = 0; list < NR_LRU_LISTS && wrong == NULL; list++)
		wrong = verify_list(c, node, (enum lru_list)list);
	if (wrong == NULL)
		wrong = thp_verify_queue(node, &queued);
	if (wrong == NULL && queued != c->queued)
		wrong = fail(c->m, "huge pages that wait to be split", queued, c->queued);
	if (wrong == NULL)
		wrong = shadow_nodes_verify(node);
	return wrong != NULL ? wrong : verify_node_counters(c, node);
}

/* ---- regions ---- */

static const char *verify_entry(struct census *c, const struct region *region,
				const struct hw_entry *entry)
{
	struct neap_machine *m = c->m;

	if (!(entry->flags & HW_PRESENT)) {
		if (word_is_migration(entry->word))
			return fail(m, "an entry stands for a page that is being moved, frame",
				    word_to_moving_pfn(entry->word), 0);
		if (!word_is_swap(entry->word))
			return NULL;
		c->swap_words++;
		if (swap_slot_count(m, word_to_swap(entry->word)) == 0)
			return fail(m, "a swap word refers to a slot without references, slot",
				    word_to_swap(entry->word), 0);
		return NULL;
	}
	if (entry->pfn == m->zero_pfn)
		return NULL;
	const struct page *page = thp_head(m, entry->pfn);
	uint64_t index = page->index + (entry->pfn - (uint64_t)(page - m->pages));
	uint32_t owner = region->mapping == NULL ? region->id : region->mapping->id;

	c->entries++;
	if (page_maps(page) == 0 || page->owner != owner || index != entry->vpn - region->start_vpn)
		return fail(m, "an entry maps a frame that does not know it, frame", entry->pfn,
			    owner);
	return NULL;
}

static const char *verify_region(struct census *c, const struct region *region)
{
	const struct hw_ops *hw = c->m->hw->ops;
	uint64_t vpn = region->start_vpn;
	uint64_t last = vpn + region->nr_pages - 1;
	struct hw_entry found[32];
	uint32_t got;

	do {
		got = hw->scan(region->space->hw, vpn, last, found, ARRAY_LEN(found));
		for (uint32_t i = 0; i < got; i++) {
			const char *wrong = verify_entry(c, region, &found[i]);

			if (wrong != NULL)
				return wrong;
		}
		if (got != 0)
			vpn = found[got - 1].vpn + 1;
	} while (got == ARRAY_LEN(found) && vpn <= last);
	return NULL;
}

static uint64_t swap_references(const struct neap_machine *m)
{
	uint64_t count = 0;

	for (uint32_t type = 0; type < swap_nr_areas(m); type++)
		for (uint32_t slot = 1; slot < m->swap[type].nr_slots; slot++)
			if (m->swap[type].map[slot] != SWAP_MAP_BAD)
				count += m->swap[type].map[slot] & SWAP_COUNT_MASK;
	return count;
}

static const char *verify_regions(struct census *c)
{
	struct neap_machine *m = c->m;
	const char *wrong;

	for (uint32_t id = 1; id <= pool_last_id(&m->regions); id++) {
		const struct region *region = pool_get(&m->regions, id);

		if (region->id != id)
			continue;
		wrong = verify_region(c, region);
		if (wrong != NULL)
			return wrong;
	}
	if (c->entries != c->maps)
		return fail(m, "present entries of all regions against maps of all pages",
			    c->entries, c->maps);
	if (c->swap_words != swap_references(m))
		return fail(m, "swap words of all regions against references of all slots",
			    c->swap_words, swap_references(m));
	return NULL;
}

/* ---- files ---- */

static const char *verify_mappings(struct neap_machine *m)
{
	uint64_t dirty = 0;
	uint64_t counted = 0;

	for (uint32_t id = m->first_mapping; id != 0;) {
		struct mapping *mapping = pool_get(&m->mappings, id);
		uint64_t nr = atomic_load(&mapping->nr_dirty);

		if ((nr != 0) != (atomic_load(&mapping->dirtied_when_ns) != 0))
			return fail(m, "dirty pages of a file against its being known as dirty", nr,
				    atomic_load(&mapping->dirtied_when_ns));
		if (atomic_load(&mapping->nr_writeback) != 0)
			return fail(m, "pages of a file under write-out",
				    atomic_load(&mapping->nr_writeback), 0);
		dirty += nr;
		id = mapping->next_mapping;
	}
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		counted += node_stat_exact(&m->nodes[n], NR_DIRTY);
	return dirty == counted ? NULL : fail(m, "dirty pages of all files", dirty, counted);
}

/* ---- the whole ---- */

/*
 * Waits for reads and writes in flight, which neap_io or the stores complete. Only programs free
 * late, and they stand still: what ends meanwhile frees at once, so once is enough.
 */
static void settle(struct task *t, struct neap_machine *m)
{
	free_late_settle_all(t, m);
	/* event loop: bounded by the I/O in flight */
	for (;;) {
		uint64_t busy = 0;

		vmstat_fold_all(t, m);
		for (uint32_t n = 0; n < m->nr_nodes; n++)
			busy += node_stat_exact(&m->nodes[n], NR_WRITEBACK);
		for (uint32_t pfn = 1; pfn < m->max_pfn && busy == 0;) {
			const struct page *page = &m->pages[pfn];
			uint64_t flags = page_flags(page);

			if (!(flags & PG_BUDDY) && (flags & (PG_LOCKED | PG_WRITEBACK)))
				busy++;
			/* The order from the flags: completions may free pages meanwhile. */
			pfn += flags & PG_BUDDY ? 1u << page_order_of(flags) : 1;
		}
		/* A completion frees what it marked as done only afterwards. */
		busy += atomic_load(&m->nr_completing);
		if (busy == 0)
			break;
		rt_sleep(t, NSEC_PER_MSEC);
	}
	lru_drain_all(t);
	vmstat_fold_all(t, m);
}

const char *verify_machine(struct task *t, struct neap_machine *m)
{
	struct census census = { .m = m, .t = t };
	const char *wrong = NULL;

	freezer_freeze(t, m);
	settle(t, m);
	for (uint32_t n = 0; n < m->nr_nodes && wrong == NULL; n++)
		wrong = verify_node(&census, &m->nodes[n]);
	if (wrong == NULL)
		wrong = verify_regions(&census);
	if (wrong == NULL)
		wrong = verify_mappings(m);
	if (wrong == NULL)
		wrong = hugepool_verify(m);
	if (wrong == NULL)
		wrong = cma_verify(m);
	if (wrong == NULL && census.whole != census.claimed)
		wrong = fail(m, "leaf tables of huge pages", census.claimed, census.whole);
	if (wrong == NULL && census.pool != hugepool_pages(m))
		wrong = fail(m, "pages of the huge page pool", hugepool_pages(m), census.pool);
	if (wrong == NULL)
		wrong = swap_verify(m);
	if (wrong == NULL)
		wrong = bio_verify(m);
	if (wrong == NULL)
		wrong = slab_verify(m, &m->index_nodes);
	if (wrong == NULL)
		wrong = slab_verify(m, &m->buffers.slab);
	if (wrong == NULL)
		wrong = slab_verify(m, &m->swap_nodes);
	if (wrong == NULL && census.buffers != m->buffers.slab.nr_used)
		wrong = fail(m, "pages with a buffer head", census.buffers,
			     m->buffers.slab.nr_used);
	if (wrong != NULL && wrong != m->verify_message) {
		size_t length = strlen(wrong);

		length = length < sizeof(m->verify_message) - 1 ? length
								: sizeof(m->verify_message) - 1;
		memcpy(m->verify_message, wrong, length);
		m->verify_message[length] = '\0';
		wrong = m->verify_message;
	}
	freezer_thaw(t, m);
	return wrong;
}

/* ---- the hash ---- */

static void hash_add(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * UINT64_C(0x100000001b3);
	*hash ^= *hash >> 29;
}

static void hash_frames(uint64_t *hash, const struct neap_machine *m, const struct zone *zone)
{
	for (uint32_t pfn = zone->start_pfn; pfn < zone_end(zone);) {
		const struct page *page = &m->pages[pfn];
		uint64_t flags = page_flags(page);
		bool head = (flags & PG_BUDDY) != 0;

		if (!zone_has_frame(zone, pfn)) {
			pfn++;
			continue;
		}
		if (head || page_refs(page) != 0) {
			/* Owned or not, it has the one reference. */
			hash_add(hash, (uint64_t)pfn << 32 | (page_refs(page) & ~PAGE_OWNED));
			hash_add(hash, flags);
			hash_add(hash, (uint64_t)page->next << 32 | page->prev);
			hash_add(hash, (uint64_t)page->owner << 32 | page->index);
		}
		pfn += head ? 1u << page->owner : 1;
	}
}

static void hash_pcp(uint64_t *hash, const struct neap_machine *m, const struct zone *zone)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++)
		for (uint32_t i = 0; i < NR_PCP_LISTS; i++) {
			const struct pcp_list *list = &zone->pcp[cpu].list[i];

			hash_add(hash, (uint64_t)cpu << 32 | pcp_list_nr(list));
			for (const uint32_t *pfn = list->first; pfn != list->end; pfn++)
				hash_add(hash, page_flags(&m->pages[*pfn]) ^ *pfn);
		}
}

uint64_t verify_state_hash(struct task *t, struct neap_machine *m)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	freezer_freeze(t, m);
	settle(t, m);
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];

		for (uint32_t z = 0; z < NR_ZONES; z++) {
			if (!zone_populated(&node->zone[z]))
				continue;
			hash_frames(&hash, m, &node->zone[z]);
			hash_pcp(&hash, m, &node->zone[z]);
			for (uint32_t i = 0; i < NR_ZONE_ITEMS; i++)
				hash_add(&hash, zone_stat_exact(&node->zone[z], (enum zone_item)i));
		}
		for (uint32_t i = 0; i < NR_NODE_ITEMS; i++)
			hash_add(&hash, node_stat_exact(node, (enum node_item)i));
	}
	for (uint32_t i = 0; i < NR_METER_ITEMS; i++)
		hash_add(&hash, machine_event(m, (enum meter_item)i));
	for (uint32_t type = 0; type < swap_nr_areas(m); type++)
		for (uint32_t slot = 1; slot < m->swap[type].nr_slots; slot++)
			hash_add(&hash, m->swap[type].map[slot]);
	if (m->rt->virtual_time)
		hash_add(&hash, rt_now(t));
	freezer_thaw(t, m);
	return hash;
}
