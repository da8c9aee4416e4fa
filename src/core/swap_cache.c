/*
 * The swap cache: anonymous pages that have a slot (spec 13, sections 5 to 7).
 *
 *            add_new              write                 reclaim
 *   anon page ─────> + slot ────────────> + copy on disk ────────> slot only
 *      ^                 try_free |                                   |
 *      └──────────────────────────┘            swap_in: read back <───┘
 *
 * cache[slot] of the area holds the frame; slot_of[pfn] the entry; PG_SWAPCACHE
 * says that both are valid, and changes under the page lock. The cache has a
 * reference on the page.
 *
 * A huge page has 512 slots in a row, frame i the slot i, and one reference of the cache.
 * It comes back in parts: an entry that is faulted finds its frame in the cache, or reads
 * a small page once the huge one was freed. Split while it is here, each part is cached
 * for the slot that it had.
 *
 * Two tasks may want the same slot read. Whoever sets HAS_CACHE under the area's
 * lock reads it; the other finds the locked page and waits for it.
 *
 * A store that is done at once, as memory is, is read past the cache if one entry alone
 * refers to the slot: the page comes with nothing around it, and the slot is free then.
 *
 * Read-ahead is by slot (aligned block around the slot) if a rotational area is
 * in use, else by address (window of the region). All pages of a window go to
 * the store in one batch.
 *
 * What must never happen: stale contents. A page that was read with an error
 * stays not up to date; a slot is freed only if no entry refers to it; a page
 * leaves the cache without its slot only after it is marked dirty, because
 * nothing on disk holds its contents any more.
 *
 * Linux: mm/swap_state.c, mm/page_io.c. DIFF: a page that no entry maps has no
 * owner yet; owner and index are set when it is mapped.
 */
#include "core/swap.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/io.h"
#include "core/lru.h"
#include "core/mempolicy.h"
#include "core/pagelock.h"
#include "core/racy.h"
#include "core/space.h"
#include "core/swap_nodes.h"
#include "core/sysctl.h"
#include "core/thp.h"
#include "core/vmstat.h"
#include "core/workingset.h"

#define SWAP_WINDOW_MAX 32u

/* ---- entering and leaving ---- */

static void cache_account(struct task *t, struct page *page, int64_t sign)
{
	struct node *node = page_node(t->machine, page);
	int64_t delta = sign * page_nr(page);

	struct cpu_slot *pinned = cpu_pin_leaf(t);

	node_stat_add(t, node, NR_SWAPCACHED, delta);
	node_stat_add(t, node, NR_FILE_PAGES, delta);
	cpu_unpin_leaf(t, pinned);
}

/* The page's side of entering: its slot, flag, reference and counters. */
static void cache_attach(struct task *t, struct page *page, uint32_t entry)
{
	t->machine->slot_of[page - t->machine->pages] = entry;
	page_get(page);
	page_set(page, PG_SWAPCACHE);
	cache_account(t, page, 1);
}

bool swap_cache_add_new(struct task *t, struct page *page)
{
	uint32_t entry = swap_slot_get(t);

	DCHECK(page_test(page, PG_LOCKED) && page_test(page, PG_ANON) &&
	       !page_test(page, PG_SWAPCACHE));
	if (entry == 0 && swap_reclaim_cached(t, SWAP_CLUSTER_MAX) != 0)
		entry = swap_slot_get(t);
	if (entry == 0)
		return false;
	struct swap_area *area = swap_area_of(t->machine, entry);

	swap_nodes_prepare(t, area, swap_slot_of(entry),
			   GFP_BIT_HIGH | GFP_BIT_NOMEMALLOC | GFP_BIT_NOWARN);
	cache_attach(t, page, entry);
	spin_lock(t, &area->lock, LOCK_SWAP);
	CHECK(area->map[swap_slot_of(entry)] == SWAP_HAS_CACHE);
	swap_slot_store_cache(t, area, swap_slot_of(entry), (uint32_t)(page - t->machine->pages));
	spin_unlock(t, &area->lock, LOCK_SWAP);
	page_set(page, PG_DIRTY);
	return true;
}

bool swap_cache_add_whole(struct task *t, struct page *page)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(page - m->pages);
	uint32_t entry = swap_cluster_get(t);

	_Static_assert(SWAP_CLUSTER_SLOTS == THP_PAGES, "a cluster is what a huge page needs");
	DCHECK(page_test(page, PG_LOCKED) && thp_is_huge(page) && !page_test(page, PG_SWAPCACHE));
	if (entry == 0)
		return false;
	struct swap_area *area = swap_area_of(m, entry);
	uint32_t slot = swap_slot_of(entry);

	for (uint32_t i = 0; i < THP_PAGES; i++) {
		swap_nodes_prepare(t, area, slot + i,
				   GFP_BIT_HIGH | GFP_BIT_NOMEMALLOC | GFP_BIT_NOWARN);
		m->slot_of[pfn + i] = entry + i;
	}
	cache_attach(t, page, entry);
	spin_lock(t, &area->lock, LOCK_SWAP);
	for (uint32_t i = 0; i < THP_PAGES; i++) {
		CHECK(area->map[slot + i] == SWAP_HAS_CACHE);
		swap_slot_store_cache(t, area, slot + i, pfn + i);
	}
	spin_unlock(t, &area->lock, LOCK_SWAP);
	page_set(page, PG_DIRTY);
	return true;
}

uint32_t swap_cache_find(struct task *t, uint32_t entry)
{
	struct neap_machine *m = t->machine;
	struct swap_area *area = swap_area_of(m, entry);
	struct page *page = NULL;
	uint32_t pfn = PFN_NONE;

	spin_lock(t, &area->lock, LOCK_SWAP);
	uint64_t cached = area->cache[swap_slot_of(entry)];

	if (cached != 0 && !(cached & 1)) {
		pfn = (uint32_t)(cached >> 1);
		page = thp_head(m, pfn);
		if (!page_get_unless_zero(page))
			page = NULL;
	}
	spin_unlock(t, &area->lock, LOCK_SWAP);
	if (page == NULL)
		return PFN_NONE;
	if (likely(thp_head(m, pfn) == page))
		return pfn;
	/* Split between the two looks: it is the first part, and not what was asked for. */
	page_put(t, page);
	return PFN_NONE;
}

/* The common end of leaving: slot_of stays as it is, meaningless without the flag. */
static void cache_detach(struct task *t, struct page *page, uint64_t shadow)
{
	const uint32_t *slot = &t->machine->slot_of[page - t->machine->pages];
	uint32_t nr = page_nr(page);

	for (uint32_t i = 0; i < nr; i++)
		swap_slot_drop_cache(t, slot[i], shadow);
	page_clear(page, PG_SWAPCACHE);
	cache_account(t, page, -1);
}

void swap_cache_delete(struct task *t, struct page *page)
{
	DCHECK(page_test(page, PG_LOCKED) && page_test(page, PG_SWAPCACHE) &&
	       !page_test(page, PG_WRITEBACK));
	cache_detach(t, page, 0);
	/* The caller holds a reference, so this is not the last one. */
	CHECK(!page_put_test(page));
}

void swap_cache_remove_frozen(struct task *t, struct page *page, uint64_t shadow)
{
	DCHECK(page_refs(page) == 0 && page_test(page, PG_LOCKED));
	cache_detach(t, page, shadow);
}

bool swap_cache_replace(struct task *t, struct page *from, struct page *to)
{
	struct neap_machine *m = t->machine;
	uint32_t entry = m->slot_of[from - m->pages];
	struct swap_area *area = swap_area_of(m, entry);

	DCHECK(page_test(from, PG_LOCKED) && page_test(to, PG_LOCKED));
	DCHECK(page_test(from, PG_SWAPCACHE) && !page_test(from, PG_WRITEBACK | PG_HEAD));
	spin_lock(t, &area->lock, LOCK_SWAP);
	/* Under the lock: whoever looks finds the one or the other. */
	bool frozen = page_freeze(from, 2);

	if (frozen) {
		m->slot_of[to - m->pages] = entry;
		page_get(to);
		page_set(to, PG_SWAPCACHE | (page_flags(from) & PG_DIRTY));
		area->cache[swap_slot_of(entry)] = (uint64_t)(to - m->pages) << 1;
		page_clear(from, PG_SWAPCACHE | PG_DIRTY);
		atomic_store(&from->refs, 1);
	}
	spin_unlock(t, &area->lock, LOCK_SWAP);
	return frozen;
}

bool swap_cache_try_free(struct task *t, struct page *page)
{
	struct neap_machine *m = t->machine;
	const uint32_t *slot = &m->slot_of[page - m->pages];

	if (!page_test(page, PG_SWAPCACHE) || page_test(page, PG_WRITEBACK))
		return false;
	/* From the end: who gives entries up begins with the first. */
	for (uint32_t i = page_nr(page); i > 0; i--)
		if (swap_slot_count(m, slot[i - 1]) != 0)
			return false;
	page_set(page, PG_DIRTY);
	swap_cache_delete(t, page);
	return true;
}

void swap_release_entry(struct task *t, uint32_t entry)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = swap_cache_find(t, entry);

	swap_slot_free(t, entry);
	if (pfn == PFN_NONE)
		return;
	struct page *page = thp_head(m, pfn);

	if (page_maps(page) == 0 && page_trylock(t, page)) {
		if (page_test(page, PG_SWAPCACHE) && m->slot_of[pfn] == entry)
			swap_cache_try_free(t, page);
		page_unlock(t, page);
	}
	page_put(t, page);
}

/* ---- writing ---- */

void swap_write_page(struct task *t, struct page *page)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(page - m->pages);
	uint32_t entry = m->slot_of[pfn];

	DCHECK(page_test(page, PG_LOCKED) && page_test(page, PG_SWAPCACHE));
	if (swap_cache_try_free(t, page)) {
		page_unlock(t, page);
		return;
	}
	uint32_t nr = page_nr(page);

	page_clear(page, PG_DIRTY);
	io_begin_write(t, page);
	page_unlock(t, page);
	if (nr > 1)
		event_add(t, EV_THP_SWPOUT, 1);
	/*
	 * A synchronous store gains nothing from neighbours, and ends the write before reclaim
	 * looks at the page again, which can free it in the same visit.
	 */
	const struct swap_area *area = swap_area_of(m, entry);

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t slot = swap_slot_of(entry) + i;

		if (area->synchronous)
			io_write_now(t, area->store, IO_SWAP_WRITE, slot, pfn + i);
		else
			io_write(t, area->store, IO_SWAP_WRITE, slot, pfn + i);
	}
}

/* ---- read-ahead windows ---- */

uint32_t swap_readahead_window(uint32_t hits, bool adjacent, uint32_t max, uint32_t previous)
{
	uint32_t pages = hits + 2;

	if (pages == 2) {
		if (!adjacent)
			pages = 1;
	} else {
		uint32_t power = 4;

		while (power < pages && power < max)
			power <<= 1;
		pages = power;
	}
	pages = min_u32(pages, max);
	return max_u32(pages, previous / 2);
}

/*
 * Slots of a rotating disk are read ahead in the order they have there; so is everything when
 * vma_ra_enabled is false. Otherwise what is near in the address space is read.
 */
static bool reads_by_slot(struct neap_machine *m)
{
	return atomic_load(&m->nr_rotational_swap) != 0 ||
	       knobs_get(&m->sysctl.vma_ra_enabled) == 0;
}

void swap_readahead_hit(struct task *t, struct region *region, uint64_t page_index,
			struct page *page)
{
	/* Nobody reads a huge page ahead: its flag says that it goes to the tail once written. */
	if (page_test(page, PG_HEAD))
		return;
	bool hit = page_test_clear(page, PG_RECLAIM);

	event_add(t, EV_SWAP_RA_HIT, hit ? 1 : 0);
	if (reads_by_slot(t->machine)) {
		atomic_fetch_add(&t->machine->swap_ra_hits, hit ? 1 : 0);
		return;
	}
	/* The place moves on with every hit, so that the next miss knows the direction. */
	uint64_t state = atomic_load_explicit(&region->readahead, memory_order_relaxed);
	uint64_t hits = min_u64((state & 0xff) + (hit ? 1 : 0), 0xff);

	atomic_store_explicit(&region->readahead, page_index << 16 | (state & 0xff00) | hits,
			      memory_order_relaxed);
}

/* A swap-in in progress: what will be read, in one batch per area. */
struct swap_read {
	struct region *region;
	uint64_t page;	 /* of the region, that is wanted: a policy goes by it */
	uint32_t wanted; /* entry */
	uint32_t nr;
	uint32_t entry[SWAP_WINDOW_MAX];
};

/* 1: read-ahead is off. DIFF: at most 32 by slots, too, where Linux knows no limit. */
static uint32_t window_max(struct neap_machine *m)
{
	uint32_t cluster = (uint32_t)sysctl_get(&m->sysctl.page_cluster);

	return cluster >= 5 ? SWAP_WINDOW_MAX : 1u << cluster;
}

/* Aligned block of slots around the wanted one. => its pages, 1: the wanted one alone */
static uint32_t plan_cluster(struct neap_machine *m, struct swap_read *read)
{
	uint32_t slot = swap_slot_of(read->wanted);
	uint32_t type_bits = read->wanted & ~SWAP_SLOT_MASK;

	/* Off: what is known stays as it is. */
	if (window_max(m) == 1)
		return 1;
	uint32_t hits = atomic_exchange(&m->swap_ra_hits, 0);
	uint32_t last = atomic_load(&m->swap_ra_last_slot);
	uint32_t window = swap_readahead_window(hits, slot == last + 1 || slot + 1 == last,
						window_max(m), atomic_load(&m->swap_ra_window));
	const struct swap_area *area = swap_area_of(m, read->wanted);

	if (hits == 0)
		atomic_store(&m->swap_ra_last_slot, slot);
	atomic_store(&m->swap_ra_window, window);
	/*
	 * A window is a power of two except after halving an odd one, which powers of two never
	 * are.
	 */
	uint32_t first = slot & ~(window - 1);

	for (uint32_t i = 0; i < window; i++)
		if (first + i != 0 && first + i < area->nr_slots)
			read->entry[read->nr++] = type_bits | (first + i);
	return window;
}

/* Window of pages around the faulting one, by address. => its pages, 1: the wanted one alone */
static uint32_t plan_region(struct task *t, struct swap_read *read, uint64_t page)
{
	struct region *region = read->region;
	uint64_t state = atomic_load_explicit(&region->readahead, memory_order_relaxed);
	uint32_t hits = (uint32_t)(state & 0xff);
	uint32_t previous = (uint32_t)(state >> 8) & 0xff;
	uint64_t last = state >> 16;
	uint32_t window = swap_readahead_window(hits, page == last + 1 || page + 1 == last,
						window_max(t->machine), previous);
	uint64_t table = round_down_u64(page, HW_TABLE_ENTRIES);
	uint64_t before = 0; /* pages of the window that lie before this one */

	if (window_max(t->machine) == 1)
		return 1;
	if (window == 1) {
		/* The wanted page, whose entry the caller knows. */
		atomic_store_explicit(&region->readahead, page << 16 | (uint64_t)1 << 8,
				      memory_order_relaxed);
		event_add(t, EV_SIM_PTE_WALK, 1);
		return 1;
	}
	if (page + 1 == last)
		before = window - 1;
	else if (page != last + 1)
		before = (window - 1) / 2;
	uint64_t end = page + window - before;

	/* Within one page-table page and the region; what lies outside is not made up for. */
	uint64_t first = max_u64(page - min_u64(page, before), table);

	end = min_u64(min_u64(end, table + HW_TABLE_ENTRIES), region->nr_pages);
	atomic_store_explicit(&region->readahead, page << 16 | (uint64_t)window << 8,
			      memory_order_relaxed);
	for (uint64_t at = first; at < end; at++) {
		struct hw_entry entry = { .vpn = region->start_vpn + at };

		t->machine->hw->ops->get(region->space->hw, &entry);
		if (!(entry.flags & HW_PRESENT) && word_is_swap(entry.word))
			read->entry[read->nr++] = word_to_swap(entry.word);
	}
	event_add(t, EV_SIM_PTE_WALK, end - first);
	return window;
}

/* ---- reading ---- */

/*
 * Read-ahead came upon a free slot. Usually that is seen at once; but while an area is switched off
 * and slots are not gathered by CPU, Linux cannot tell it from one that is about to be filled, and
 * takes a frame for it before it asks: that frame goes back unused.
 */
static void read_free_slot(struct task *t, struct swap_read *read, uint32_t gfp)
{
	if (atomic_load(&t->machine->swap_cache_barred) == 0)
		return;
	uint32_t pfn = mempolicy_alloc_region(t, read->region, read->page, gfp);

	if (pfn != PFN_NONE)
		page_put(t, machine_page(t->machine, pfn));
}

/*
 * Puts a new locked page into the cache for an entry that has none.
 * => 0 and *pfn with one reference for the I/O; -EEXIST cached already; -ENOENT free slot; -ENOMEM
 */
static int read_add(struct task *t, struct swap_read *read, uint32_t entry, uint32_t gfp,
		    uint32_t *pfn_out)
{
	struct neap_machine *m = t->machine;
	struct swap_area *area = swap_area_of(m, entry);
	uint32_t slot = swap_slot_of(entry);
	uint64_t shadow = 0;
	int err = 0;

	uint8_t peek = racy_read(area->map[slot]);

	if (peek == 0)
		read_free_slot(t, read, gfp);
	if ((peek & SWAP_COUNT_MASK) == 0 || peek == SWAP_MAP_BAD)
		return -ENOENT;
	if (peek & SWAP_HAS_CACHE)
		return -EEXIST;
	uint32_t pfn = mempolicy_alloc_region(t, read->region, read->page, gfp);

	if (pfn == PFN_NONE)
		return -ENOMEM;
	struct page *page = machine_page(m, pfn);

	page_lock_set(t, page, PG_ANON | PG_SWAPBACKED);
	swap_nodes_prepare(t, area, slot, gfp & (GFP_KERNEL | GFP_BIT_NOWARN));
	spin_lock(t, &area->lock, LOCK_SWAP);
	if ((area->map[slot] & SWAP_COUNT_MASK) == 0)
		err = -ENOENT;
	else if (area->map[slot] & SWAP_HAS_CACHE)
		err = -EEXIST;
	if (err == 0) {
		racy_write(area->map[slot], (uint8_t)(area->map[slot] | SWAP_HAS_CACHE));
		shadow = area->cache[slot];
		swap_slot_store_cache(t, area, slot, pfn);
		m->slot_of[pfn] = entry;
		page_get(page);
		page_set(page, PG_SWAPCACHE);
	}
	spin_unlock(t, &area->lock, LOCK_SWAP);
	if (err != 0) {
		page_unlock(t, page);
		page_put(t, page);
		return err;
	}
	cache_account(t, page, 1);
	if (shadow != 0)
		workingset_refault(t, page, shadow);
	lru_add(t, page);
	*pfn_out = pfn;
	return 0;
}

/* The same for a neighbour, whose entry was read without a lock: its area may be off by now. */
static int read_add_neighbour(struct task *t, struct swap_read *read, uint32_t entry, uint32_t *pfn)
{
	struct swap_area *area = swap_area_get(t->machine, swap_type_of(entry));

	if (area == NULL)
		return -ENOENT;
	int err = read_add(t, read, entry, GFP_HIGHUSER_MOVABLE, pfn);

	swap_area_put(area);
	return err;
}

/* Sends one page that was added. */
static void read_submit_one(struct task *t, struct swap_area *area, uint32_t entry, uint32_t pfn)
{
	const struct store_page request = { .offset = swap_slot_of(entry),
					    .cookie = io_cookie(IO_SWAP_READ, pfn),
					    .pfn = pfn };

	page_lock_handover(t);
	io_read_pages(t, area->store, IO_SWAP_READ, &request, 1);
}

/* Sends pages that were added, runs of one area at a time. */
static void read_submit(struct task *t, const uint32_t *pfns, uint32_t nr)
{
	struct neap_machine *m = t->machine;
	struct store_page request[SWAP_WINDOW_MAX];
	uint32_t sent = 0;

	while (sent < nr) {
		struct swap_area *area = swap_area_of(m, m->slot_of[pfns[sent]]);
		uint32_t run = 0;

		while (sent + run < nr && swap_area_of(m, m->slot_of[pfns[sent + run]]) == area) {
			uint32_t pfn = pfns[sent + run];

			request[run] = (struct store_page){ .offset = swap_slot_of(m->slot_of[pfn]),
							    .cookie = io_cookie(IO_SWAP_READ, pfn),
							    .pfn = pfn };
			page_lock_handover(t);
			run++;
		}
		io_read_pages(t, area->store, IO_SWAP_READ, request, run);
		sent += run;
	}
}

bool swap_is_direct(struct neap_machine *m, uint32_t entry)
{
	return swap_area_of(m, entry)->synchronous && swap_slot_count(m, entry) == 1;
}

int swap_in_direct(struct task *t, struct region *region, uint64_t page_index, uint32_t entry,
		   uint32_t *pfn_out)
{
	struct neap_machine *m = t->machine;
	struct swap_area *area = swap_area_of(m, entry);
	uint64_t shadow = 0;
	uint32_t pfn = mempolicy_alloc_region(t, region, page_index, GFP_HIGHUSER_MOVABLE);

	if (pfn == PFN_NONE)
		return -ENOMEM;
	struct page *page = machine_page(m, pfn);

	/* HAS_CACHE without a page: others wait as for somebody who is about to add one. */
	if (!swap_slot_claim(t, entry, &shadow)) {
		page_put(t, page);
		rt_yield(t);
		return -ENOENT;
	}
	page_set(page, PG_ANON | PG_SWAPBACKED);
	m->slot_of[pfn] = entry;
	if (shadow != 0)
		workingset_refault(t, page, shadow);
	page_lock(t, page);
	page_get(page);
	read_submit_one(t, area, entry, pfn);
	io_wait_page(t, area->store, page);
	page_lock(t, page);
	*pfn_out = pfn;
	return 0;
}

void swap_direct_end(struct task *t, uint32_t entry)
{
	const struct swap_area *area = swap_area_of(t->machine, entry);

	/* Where the page was comes with the slot, for as long as there is one. */
	swap_slot_drop_cache(t, entry, racy_read(area->cache[swap_slot_of(entry)]));
}

int swap_read_ahead(struct task *t, struct region *region, uint64_t page_index, uint32_t entry)
{
	struct swap_read read = { .region = region, .page = page_index, .wanted = entry };
	struct swap_area *area = swap_area_get(t->machine, swap_type_of(entry));
	uint32_t pfn;

	if (area == NULL)
		return 0;
	int err = read_add(t, &read, entry, GFP_HIGHUSER_MOVABLE, &pfn);

	if (err == 0) {
		struct store_page request = { .offset = swap_slot_of(entry),
					      .cookie = io_cookie(IO_SWAP_READ, pfn),
					      .pfn = pfn };

		page_lock_handover(t);
		io_read_ahead(t, area->store, IO_SWAP_READ, &request, 1);
	}
	swap_area_put(area);
	return err == -ENOMEM ? err : 0;
}

/* Adds and sends the wanted page, which is in the cache already, and the others of the plan. */
static NOINLINE void read_window(struct task *t, struct swap_read *read, uint32_t wanted)
{
	uint32_t added[SWAP_WINDOW_MAX];
	uint32_t nr_added = 0;
	bool placed = false;

	for (uint32_t i = 0; i < read->nr; i++) {
		if (read->entry[i] == read->wanted) {
			added[nr_added++] = wanted;
			placed = true;
		} else if (nr_added + (placed ? 0 : 1) < SWAP_WINDOW_MAX &&
			   read_add_neighbour(t, read, read->entry[i], &added[nr_added]) == 0) {
			page_set(machine_page(t->machine, added[nr_added++]), PG_RECLAIM);
			event_add(t, EV_SWAP_RA, 1);
		}
	}
	if (!placed)
		added[nr_added++] = wanted;
	read_submit(t, added, nr_added);
}

int swap_in(struct task *t, struct region *region, uint64_t page_index, uint32_t entry,
	    uint32_t *pfn_out)
{
	struct neap_machine *m = t->machine;
	struct swap_read read; /* entries beyond nr are never looked at */
	uint32_t wanted = PFN_NONE;

	read.region = region;
	read.page = page_index;
	read.wanted = entry;
	read.nr = 0;
	int err = read_add(t, &read, entry, GFP_HIGHUSER_MOVABLE, &wanted);

	if (err == -EEXIST) {
		/*
		 * Somebody else got ahead; if the page is not to be seen yet, look at the table
		 * again.
		 */
		*pfn_out = swap_cache_find(t, entry);
		if (*pfn_out != PFN_NONE)
			return 0;
		rt_yield(t);
		return -ENOENT;
	}
	if (err != 0)
		return err;
	page_get(machine_page(m, wanted));
	uint32_t window =
		reads_by_slot(m) ? plan_cluster(m, &read) : plan_region(t, &read, page_index);
	struct swap_area *area = swap_area_of(m, entry);

	if (read.nr == 0)
		read_submit_one(t, area, entry, wanted);
	else
		read_window(t, &read, wanted);
	/* What was read ahead is to be seen on its list at once; a page alone waits for others. */
	if (window > 1)
		lru_drain(t);
	bool waits = window > 1 && page_test(machine_page(m, wanted), PG_LOCKED);

	io_wait_page(t, area->store, machine_page(m, wanted));
	*pfn_out = wanted;
	return waits ? SWAP_IN_WAITED : 0;
}
