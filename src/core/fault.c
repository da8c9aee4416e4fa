/*
 * Page faults.
 *
 * A fault looks at the entry, does one of six things, and lets the program try
 * again; if the page left in between, the program faults again.
 *
 *   entry                       read                     write
 *   nothing, anonymous region   map the zero page        new zeroed page, maybe a huge one (thp.c)
 *   nothing, file region        map the cached page      same, dirty and writable
 *   swap word                   page from swap cache, or read in with neighbours, or past the
 *                               cache from a store that is done at once
 *   present, not writable       -                        make writable: zero page is
 *                                                        replaced, swap slot freed
 *
 * Races. The hardware replaces entries only if they still hold what we saw, so of
 * two faults on one page one wins; the loser drops its page and returns "try
 * again". Pages of the caches are mapped under the page lock: the lock is what
 * keeps reclaim and zapping away (rmap.c).
 *
 * A page under write-out may be mapped for reading; for writing only once the
 * write ended, if the store wants stable contents.
 *
 * What must never happen: contents that are not this page's. A page is mapped
 * only if it is up to date; a failed read is reported as -EIO and leaves the
 * entry as it was, so that the next access reads again.
 *
 * Linux: mm/memory.c (do_anonymous_page, do_swap_page, do_wp_page, do_fault).
 */
#include "core/fault.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/aops.h"
#include "core/lru.h"
#include "core/mapping.h"
#include "core/mempolicy.h"
#include "core/pagelock.h"
#include "core/readahead.h"
#include "core/rmap.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/timer.h"
#include "core/vmstat.h"
#include "core/writeback.h"

/* A fault in progress. */
struct fault {
	struct region *region;
	uint64_t page; /* in the region */
	uint64_t vpn;
	bool write;
	bool major; /* out: had to wait for I/O */
	bool tried; /* it waited for a page and was taken anew */
};

/* Pages that a read fault maps at once if the cache has them: 64 KiB, aligned. */
#define FAULT_AROUND_PAGES 16u
/* The answer "look again", beside 0 and errors. */
#define FAULT_AGAIN 1

/* The program takes the fault anew: counted each time, as by 6.1. */
static int fault_anew(struct task *t)
{
	event_add(t, EV_PGFAULT, 1);
	return FAULT_AGAIN;
}

/*
 * A page that is locked, most often because it is being read, is waited for without the address
 * space's lock, once a fault. What was found out with that lock may be wrong by then, so that the
 * fault begins anew: it finds the page where it is, and for files maps what came with it.
 * => page's reference dropped
 */
static int fault_wait_page(struct task *t, struct fault *f, struct page *page)
{
	page_wait_unlocked(t, page);
	page_put(t, page);
	f->tried = true;
	return fault_anew(t);
}

/* A new page of an anonymous region, not yet mapped. */
static void make_anon(struct task *t, struct fault *f, struct page *page)
{
	page->owner = f->region->id;
	page->index = (uint32_t)f->page;
	page_set(page, PG_ANON | PG_SWAPBACKED | PG_UPTODATE);
	if (f->region->flags & REGION_LOCKED) {
		page_set(page, PG_MLOCKED);
		cpu_pin(t);
		zone_stat_add(t, page_zone(t->machine, page), NR_MLOCK, 1);
		event_add_pinned(t, EV_UNEVICTABLE_PGS_MLOCKED, 1);
		cpu_unpin(t);
	}
}

/* Reads of what was never written see one shared page of zeroes. */
static int fault_zero_page(struct task *t, struct fault *f)
{
	struct hw_entry entry = { .vpn = f->vpn, .pfn = t->machine->zero_pfn, .flags = HW_YOUNG };
	int err = space_leaf_claim(t, f->region->space, f->vpn, LEAF_SMALL);

	if (err == 0)
		err = space_map(t, f->region->space, &entry);
	return err == -EAGAIN ? FAULT_AGAIN : err;
}

static int fault_new_small(struct task *t, struct fault *f)
{
	int err = space_leaf_claim(t, f->region->space, f->vpn, LEAF_SMALL);

	if (err != 0)
		return err == -EAGAIN ? FAULT_AGAIN : err;
	uint32_t pfn =
		mempolicy_alloc_region(t, f->region, f->page, GFP_HIGHUSER_MOVABLE | GFP_BIT_ZERO);

	if (pfn == PFN_NONE)
		return -ENOMEM;
	struct page *page = machine_page(t->machine, pfn);
	struct hw_entry entry = { .vpn = f->vpn,
				  .pfn = pfn,
				  .flags = HW_WRITE | HW_YOUNG | HW_DIRTY };

	make_anon(t, f, page);
	/* Locked until it is accounted: a zap must not see the entry before. */
	page_lock(t, page);
	err = space_map(t, f->region->space, &entry);

	if (err == 0) {
		rmap_account_add(t, f->region->space, page);
		lru_add(t, page);
	}
	page_unlock(t, page);
	if (err != 0)
		page_put(t, page);
	return err == -EAGAIN ? FAULT_AGAIN : err;
}

static int fault_new_anon(struct task *t, struct fault *f)
{
	int huge = thp_fault(t, f->region, f->page);

	if (huge == THP_SMALL)
		return fault_new_small(t, f);
	return huge == -EAGAIN ? FAULT_AGAIN : huge;
}

/* ---- swap ---- */

/* Should the slot be freed now that the page is in memory (spec 13, section 5, step 4)? */
static bool swap_slot_unneeded(const struct fault *f, struct neap_machine *m,
			       const struct page *page)
{
	if (swap_is_half_full(m) || page_test(page, PG_MLOCKED))
		return true;
	/* The cache's reference, the entry's, and ours. */
	return f->write && page_refs(page) == 3;
}

/*
 * The entry still holds the swap word if it is mapped: the word that brought us here may be old,
 * the slot freed and used again since, and the page mapped by its true owner. Only then does the
 * page get its owner; nobody asks for the owner of a page while we hold its lock.
 */
int fault_map_swapped(struct task *t, struct region *region, struct hw_entry *entry, uint32_t slot)
{
	struct page *page = thp_head(t->machine, entry->pfn);
	uint32_t part = entry->pfn - (uint32_t)(page - t->machine->pages);
	struct space *space = region->space;

	entry->word = word_from_swap(slot);
	page_get(page);
	int err = space_map(t, space, entry);

	if (err != 0) {
		page_put(t, page);
		return err;
	}
	page->owner = region->id;
	page->index = (uint32_t)(entry->vpn - region->start_vpn) - part;
	rmap_account_add(t, space, page);
	atomic_fetch_sub_explicit(&space->swap_entries, 1, memory_order_relaxed);
	swap_slot_free(t, slot);
	return 0;
}

/* Maps a frame of a locked, up to date page of the swap cache in place of its swap word. */
static int map_swapped(struct task *t, struct fault *f, uint32_t pfn, uint32_t slot)
{
	struct neap_machine *m = t->machine;
	struct page *page = thp_head(m, pfn);
	struct hw_entry entry = { .vpn = f->vpn, .pfn = pfn, .flags = HW_YOUNG };

	if (f->write) {
		if (swap_area_of(m, slot)->stable_writes)
			page_wait_writeback(t, page);
		entry.flags |= HW_WRITE | HW_DIRTY;
	}
	int err = fault_map_swapped(t, f->region, &entry, slot);

	if (err != 0)
		return err == -EAGAIN ? FAULT_AGAIN : err;
	if (swap_slot_unneeded(f, m, page))
		swap_cache_try_free(t, page);
	return 0;
}

/* Past the swap cache: the slot is free when the page is mapped. => as fault_once() */
static int fault_swap_direct(struct task *t, struct fault *f, uint32_t slot)
{
	uint32_t pfn;
	int result = swap_in_direct(t, f->region, f->page, slot, &pfn);

	if (result != 0)
		return result == -ENOENT ? FAULT_AGAIN : result;
	struct page *page = machine_page(t->machine, pfn);
	struct hw_entry entry = { .vpn = f->vpn, .pfn = pfn, .flags = HW_YOUNG };

	f->major = true;
	if (f->write)
		entry.flags |= HW_WRITE | HW_DIRTY;
	result = -EIO;
	if (page_test(page, PG_UPTODATE))
		result = fault_map_swapped(t, f->region, &entry, slot);
	if (result == 0)
		lru_add(t, page);
	swap_direct_end(t, slot);
	page_unlock(t, page);
	page_put(t, page);
	return result == -EAGAIN ? FAULT_AGAIN : result;
}

/* => the area of the slot is kept in use */
static int fault_swap_area(struct task *t, struct fault *f, uint32_t slot)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = swap_cache_find(t, slot);
	int waited = 0;

	if (pfn == PFN_NONE && swap_is_direct(m, slot))
		return fault_swap_direct(t, f, slot);
	if (pfn == PFN_NONE) {
		waited = swap_in(t, f->region, f->page, slot, &pfn);
		if (waited < 0)
			return waited == -ENOENT ? FAULT_AGAIN : waited;
		f->major = true;
	} else {
		swap_readahead_hit(t, f->region, f->page, thp_head(m, pfn));
	}
	struct page *page = thp_head(m, pfn);
	int result = FAULT_AGAIN;

	if (!f->tried && (waited == SWAP_IN_WAITED || page_test(page, PG_LOCKED)))
		return fault_wait_page(t, f, page);

	page_lock(t, page);
	if (page_test(page, PG_SWAPCACHE) && m->slot_of[pfn] == slot) {
		if (page_test(page, PG_UPTODATE)) {
			/* A page still in our add batch has one more reference there. */
			if (f->write && page_test(page, PG_BATCH))
				lru_drain(t);
			result = map_swapped(t, f, pfn, slot);
		} else {
			/*
			 * The read failed. Out of the cache, so that the next access reads again.
			 */
			if (!page_test(page, PG_WRITEBACK))
				swap_cache_delete(t, page);
			result = -EIO;
		}
	}
	page_unlock(t, page);
	page_put(t, page);
	return result;
}

static int fault_swap(struct task *t, struct fault *f, uint32_t slot)
{
	struct swap_area *area = swap_area_get(t->machine, swap_type_of(slot));

	if (area == NULL)
		return FAULT_AGAIN; /* switched off since the entry was read */
	int result = fault_swap_area(t, f, slot);

	swap_area_put(area);
	return result;
}

/* ---- files ---- */

static int map_file_page(struct task *t, struct fault *f, struct page *page)
{
	struct mapping *mapping = f->region->mapping;
	struct hw_entry entry = { .vpn = f->vpn,
				  .pfn = (uint32_t)(page - t->machine->pages),
				  .flags = HW_YOUNG };

	if (f->write) {
		mapping_prepare_write(t, mapping, page);
		mapping_set_dirty(t, page);
		entry.flags |= HW_WRITE | HW_DIRTY;
	}
	page_get(page);
	int err = space_map(t, f->region->space, &entry);

	if (err != 0) {
		page_put(t, page);
		return err == -EAGAIN ? FAULT_AGAIN : err;
	}
	rmap_account_add(t, f->region->space, page);
	return 0;
}

/* Maps a cached page that can be had without waiting. => whether it is mapped now */
static bool map_around_page(struct task *t, struct fault *f, uint64_t index)
{
	struct mapping *mapping = f->region->mapping;
	uint32_t pfn = mapping_find(t, mapping, index);
	struct page *page = machine_page(t->machine, pfn != PFN_NONE ? pfn : t->machine->zero_pfn);
	struct fault around = { .region = f->region,
				.page = index,
				.vpn = f->region->start_vpn + index };
	bool mapped = false;

	if (pfn == PFN_NONE)
		return false;
	if (page_test(page, PG_UPTODATE) && !page_test(page, PG_RECLAIM) && page_trylock(t, page)) {
		if (page->owner == mapping->id && page->index == index &&
		    page_test(page, PG_UPTODATE))
			mapped = map_file_page(t, &around, page) == 0;
		page_unlock(t, page);
	}
	page_put(t, page);
	return mapped;
}

/*
 * A read fault maps what the cache has of the 16 aligned pages around it. => whether the page
 * itself is among it: then the fault is done
 */
static bool fault_around(struct task *t, struct fault *f)
{
	uint64_t first = f->page & ~(uint64_t)(FAULT_AROUND_PAGES - 1);
	uint64_t end = min_u64(first + FAULT_AROUND_PAGES, f->region->nr_pages);
	uint32_t nr = 0;
	bool done = false;

	/* The index of the file may end before the region does; then there is nothing. */
	for (uint64_t index = first; index < end; index++) {
		if (!map_around_page(t, f, index))
			continue;
		nr++;
		done |= index == f->page;
	}
	readahead_fault_hit(f->region->mapping, nr);
	return done;
}

static int fault_file(struct task *t, struct fault *f)
{
	static const uint32_t flags[] = {
		[REGION_NORMAL] = MAPPING_FAULT,
		[REGION_RANDOM] = MAPPING_FAULT | MAPPING_RANDOM,
		[REGION_SEQUENTIAL] = MAPPING_FAULT | MAPPING_SEQUENTIAL,
	};
	enum region_pattern pattern = region_pattern(f->region);
	struct mapping *mapping = f->region->mapping;

	if (!f->write && !(f->region->flags & REGION_LOCKED) && fault_around(t, f))
		return 0;
	uint32_t pfn = mapping_find(t, mapping, f->page);
	bool missing = pfn == PFN_NONE;
	bool waited = missing;

	if (!missing && pattern != REGION_RANDOM && !f->tried) {
		readahead_fault_hit(mapping, 1);
		struct page *found = machine_page(t->machine, pfn);

		waited = page_test(found, PG_RECLAIM);
		mapping_found(t, mapping, found, true);
	}
	if (missing || !page_test(machine_page(t->machine, pfn), PG_UPTODATE)) {
		if (pfn != PFN_NONE)
			page_put(t, machine_page(t->machine, pfn));
		int err = mapping->ops->read_page(t, mapping, f->page, flags[pattern], &pfn);

		if (err != 0)
			return err;
		/* One that is on its way was asked for by somebody else's miss. */
		f->major |= missing;
		waited = true;
	}
	struct page *page = machine_page(t->machine, pfn);
	int result = FAULT_AGAIN;

	if (!f->tried && (waited || page_test(page, PG_LOCKED)))
		return fault_wait_page(t, f, page);

	page_lock(t, page);
	if (page->owner == mapping->id && page->index == f->page && page_test(page, PG_UPTODATE))
		result = map_file_page(t, f, page);
	page_unlock(t, page);
	page_put(t, page);
	return result;
}

/* ---- write to a present, read-only entry ---- */

static void entry_allow_write(struct task *t, struct fault *f, uint32_t pfn)
{
	struct hw_entry entry = { .vpn = f->vpn, .pfn = pfn };

	t->machine->hw->ops->allow_write(f->region->space->hw, &entry, 1);
	event_add(t, EV_PGREUSE, 1);
}

/* The zero page is replaced by a page of its own. */
static int fault_replace_zero(struct task *t, struct fault *f)
{
	struct hw_entry entry = { .vpn = f->vpn, .pfn = t->machine->zero_pfn };

	t->machine->hw->ops->unmap(f->region->space->hw, &entry, 1);
	/* Whoever comes first now maps a new page; the zeroes are the same. */
	return FAULT_AGAIN;
}

static int fault_protected(struct task *t, struct fault *f, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct page *page = thp_get(t, pfn);
	struct hw_entry entry = { .vpn = f->vpn };

	if (page == NULL)
		return FAULT_AGAIN;
	page_lock(t, page);
	m->hw->ops->get(f->region->space->hw, &entry);
	if ((entry.flags & HW_PRESENT) && entry.pfn == pfn) {
		if (!page_test(page, PG_ANON)) {
			mapping_prepare_write(t, f->region->mapping, page);
			mapping_set_dirty(t, page);
		} else if (page_test(page, PG_SWAPCACHE)) {
			if (swap_area_of(m, m->slot_of[pfn])->stable_writes)
				page_wait_writeback(t, page);
			swap_cache_try_free(t, page);
		}
		entry_allow_write(t, f, pfn);
	}
	page_unlock(t, page);
	page_put(t, page);
	return 0;
}

static int fault_once(struct task *t, struct fault *f)
{
	struct neap_machine *m = t->machine;
	struct hw_entry entry = { .vpn = f->vpn };

	m->hw->ops->get(f->region->space->hw, &entry);
	rt_explore(t);
	if (entry.flags & HW_PRESENT) {
		if (!f->write || (entry.flags & HW_WRITE))
			return 0;
		if (entry.pfn == m->zero_pfn)
			return fault_replace_zero(t, f);
		return fault_protected(t, f, entry.pfn);
	}
	if (word_is_swap(entry.word))
		return fault_swap(t, f, word_to_swap(entry.word));
	if (word_is_migration(entry.word)) {
		space_wait_migration(t, entry.word);
		return fault_anew(t);
	}
	if (entry.word == WORD_LOST)
		return -EIO;
	if (f->region->mapping != NULL)
		return fault_file(t, f);
	if (!f->write && !(f->region->flags & REGION_LOCKED))
		return fault_zero_page(t, f);
	return fault_new_anon(t, f);
}

int fault_handle(struct task *t, struct region *region, uint64_t page, uint32_t flags)
{
	struct fault f = { .region = region,
			   .page = page,
			   .vpn = region->start_vpn + page,
			   .write = (flags & FAULT_WRITE) != 0 };
	int result;

	CHECK(page < region->nr_pages);
	do {
		result = fault_once(t, &f);
		rt_preempt(t);
	} while (result == FAULT_AGAIN); /* event loop: somebody else made progress each time */
	struct cpu_slot *pinned = cpu_pin_leaf(t);

	event_add_pinned(t, EV_PGFAULT, 1);
	event_add_pinned(t, f.major ? EV_PGMAJFAULT : EV_SIM_FAULT_MINOR, 1);
	cpu_unpin_leaf(t, pinned);
	timer_kick(t, t->machine);
	if (f.write && region->mapping != NULL && result == 0)
		writeback_balance_dirty(t, t->machine);
	return result;
}

/* ---- pinning and populating ---- */

int fault_pin(struct task *t, struct region *region, uint64_t page_index, bool write, uint32_t *pfn)
{
	struct neap_machine *m = t->machine;

	/* event loop: the page may leave between the fault and our look */
	for (;;) {
		struct hw_entry entry = { .vpn = region->start_vpn + page_index };

		m->hw->ops->get(region->space->hw, &entry);
		rt_explore(t);
		bool good = (entry.flags & HW_PRESENT) && (!write || (entry.flags & HW_WRITE));

		if (good && entry.pfn == m->zero_pfn) {
			*pfn = entry.pfn;
			return 0;
		}
		struct page *page = good ? thp_get(t, entry.pfn) : NULL;

		if (page != NULL) {
			struct hw_entry again = { .vpn = entry.vpn };

			atomic_fetch_add(&page->refs, PAGE_PIN_BIAS - 1);
			m->hw->ops->get(region->space->hw, &again);
			if ((again.flags & HW_PRESENT) && again.pfn == entry.pfn) {
				cpu_pin(t);
				node_stat_add(t, page_node(m, page), NR_FOLL_PIN_ACQUIRED, 1);
				cpu_unpin(t);
				*pfn = entry.pfn;
				return 0;
			}
			atomic_fetch_sub(&page->refs, PAGE_PIN_BIAS - 1);
			page_put(t, page);
		}
		int err = fault_handle(t, region, page_index, write ? FAULT_WRITE : 0);

		if (err != 0)
			return err;
	}
}

void fault_unpin(struct task *t, struct page *page, bool written)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = (uint32_t)(page - m->pages);

	if (pfn == m->zero_pfn)
		return;
	page = thp_head(m, pfn); /* nobody splits a pinned page */
	if (written) {
		page_lock(t, page);
		page_aops(m, page)->set_dirty(t, page);
		page_unlock(t, page);
	}
	cpu_pin(t);
	node_stat_add(t, page_node(m, page), NR_FOLL_PIN_RELEASED, 1);
	cpu_unpin(t);
	atomic_fetch_sub(&page->refs, PAGE_PIN_BIAS - 1);
	page_put(t, page);
}

int fault_populate(struct task *t, struct region *region, uint64_t first, uint64_t nr, bool write)
{
	for (uint64_t page = first; page < first + nr; page++) {
		struct hw_entry entry = { .vpn = region->start_vpn + page };

		/* Other pages of a huge one came with the first. */
		t->machine->hw->ops->get(region->space->hw, &entry);
		if ((entry.flags & HW_PRESENT) && (!write || (entry.flags & HW_WRITE)))
			continue;
		int err = fault_handle(t, region, page, write ? FAULT_WRITE : 0);

		if (err != 0)
			return err;
	}
	return 0;
}
