/*
 * Switching a swap area off: everything in it comes back (spec 13, section 8).
 *
 *   ACTIVE ── no new slots ──> LEAVING ── empty ──> UNUSED, once nobody looks at it
 *      ^                          │
 *      └──── does not fit ────────┘        each round:
 *                                            every entry with a swap word of the area:
 *                                              page from the cache, or read in; map it, old
 *                                            every slot that only the cache holds: drop it
 *
 * Meanwhile programs fault, free and are reclaimed as ever. Pages that were on their way
 * out when the area was closed may still enter it, so that rounds go on until no slot is
 * in use; each of the rest is held by somebody who will let go of it.
 *
 * A page that cannot be read leaves a mark in the entry (WORD_LOST): every access to it
 * is an error from then on, never other contents.
 *
 * Regions neither come nor go while one of them is looked at (space_hold_regions); it is
 * let go after every batch of entries.
 *
 * What must never happen: the area's end while a slot is in use, or an entry mapped to a
 * page of another slot. fault_map_swapped() compares the word when it maps.
 *
 * Linux: try_to_unuse(), unuse_pte_range(), sys_swapoff() of mm/swapfile.c, 6.1.
 */
#include "core/swap.h"

#include <errno.h>

#include "core/fault.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/racy.h"
#include "core/sleeplock.h"
#include "core/space.h"
#include "core/thp.h"
#include "core/vmstat.h"

#define UNUSE_BATCH 32u
#define ROUND_PAUSE_NS (4 * NSEC_PER_MSEC)
#define LOOK_AGAIN 1

/* Brings entry's frame back from where the read left it. => LOCKED page; 0 or LOOK_AGAIN */
static int unuse_locked(struct task *t, struct region *region, uint64_t vpn, uint32_t entry,
			uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct page *page = thp_head(m, pfn);
	struct hw_entry at = { .vpn = vpn, .pfn = pfn };

	page_wait_writeback(t, page);
	if (!page_test(page, PG_SWAPCACHE) || m->slot_of[pfn] != entry)
		return LOOK_AGAIN;
	if (!page_test(page, PG_UPTODATE)) {
		if (m->hw->ops->set_word(region->space->hw, vpn, word_from_swap(entry),
					 WORD_LOST) != 0)
			return LOOK_AGAIN;
		atomic_fetch_sub_explicit(&region->space->swap_entries, 1, memory_order_relaxed);
		swap_slot_free(t, entry);
		swap_cache_try_free(t, page);
		return 0;
	}
	int err = fault_map_swapped(t, region, &at, entry);

	if (err == 0)
		swap_cache_try_free(t, page);
	return err == -EAGAIN ? LOOK_AGAIN : err;
}

/* => 0 the entry was dealt with, LOOK_AGAIN, or -ENOMEM */
static int unuse_entry(struct task *t, struct region *region, uint64_t vpn, uint32_t entry)
{
	struct neap_machine *m = t->machine;
	uint64_t index = vpn - region->start_vpn;
	uint32_t pfn = swap_cache_find(t, entry);

	if (pfn == PFN_NONE) {
		int err = swap_in(t, region, index, entry, &pfn);

		if (err < 0)
			return err == -ENOENT ? LOOK_AGAIN : err;
	} else {
		swap_readahead_hit(t, region, index, thp_head(m, pfn));
	}
	struct page *page = thp_head(m, pfn);

	page_lock(t, page);
	int result = unuse_locked(t, region, vpn, entry, pfn);

	page_unlock(t, page);
	page_put(t, page);
	return result;
}

/* => regions held; 0, or -ENOMEM */
static int unuse_word(struct task *t, struct region *region, uint64_t vpn, uint32_t type)
{
	struct hw_entry entry;
	int result;

	do {
		entry = (struct hw_entry){ .vpn = vpn };
		t->machine->hw->ops->get(region->space->hw, &entry);
		if ((entry.flags & HW_PRESENT) || !word_is_swap(entry.word) ||
		    swap_type_of(word_to_swap(entry.word)) != type)
			return 0;
		result = unuse_entry(t, region, vpn, word_to_swap(entry.word));
		rt_preempt(t);
	} while (result == LOOK_AGAIN); /* event loop: the entry changed, and not by us */
	return result;
}

static struct region *region_by_id(struct neap_machine *m, uint32_t id)
{
	struct region *region = pool_get(&m->regions, id);

	return region->id == id ? region : NULL;
}

/*
 * One batch of a region's entries from *vpn on, which moves behind them.
 * => 1 there is more, 0 the region is done or gone, or -ENOMEM
 */
static int unuse_batch(struct task *t, uint32_t id, uint32_t type, uint64_t *vpn)
{
	struct neap_machine *m = t->machine;
	struct hw_entry found[UNUSE_BATCH];
	int result = 0;

	space_hold_regions(t, m);
	struct region *region = region_by_id(m, id);

	if (region != NULL && region->mapping == NULL) {
		uint64_t first = max_u64(*vpn, region->start_vpn);
		uint64_t last = region->start_vpn + region->nr_pages - 1;
		uint32_t got = first <= last ? m->hw->ops->scan(region->space->hw, first, last,
								found, UNUSE_BATCH)
					     : 0;

		for (uint32_t i = 0; i < got && result == 0; i++)
			result = unuse_word(t, region, found[i].vpn, type);
		event_add(t, EV_SIM_PTE_WALK, got);
		if (result == 0 && got == UNUSE_BATCH) {
			*vpn = found[got - 1].vpn + 1;
			result = 1;
		}
	}
	space_release_regions(t, m);
	return result;
}

static uint32_t last_region(struct task *t, struct neap_machine *m)
{
	spin_lock(t, &m->regions.lock, LOCK_SPACE);
	uint32_t last = pool_last_id(&m->regions);

	spin_unlock(t, &m->regions.lock, LOCK_SPACE);
	return last;
}

/* => 0, -ENOMEM, -EINTR */
static int unuse_regions(struct task *t, struct swap_area *area)
{
	uint32_t last = last_region(t, area->machine);

	for (uint32_t id = 1; id <= last && racy_read(area->inuse) != 0; id++) {
		uint64_t vpn = 0;
		int result;

		do {
			result = unuse_batch(t, id, area->type, &vpn);
			rt_preempt(t);
			if (result >= 0 && (t->flags & PF_EXITING))
				result = -EINTR;
		} while (result == 1);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Slots that no entry needs: their pages leave the cache. */
static void unuse_cached(struct task *t, struct swap_area *area)
{
	struct neap_machine *m = t->machine;

	for (uint32_t slot = 1; slot < area->nr_slots && racy_read(area->inuse) != 0; slot++) {
		uint32_t entry = area->type << SWAP_TYPE_SHIFT | slot;

		if (racy_read(area->map[slot]) != SWAP_HAS_CACHE)
			continue;
		uint32_t pfn = swap_cache_find(t, entry);

		if (pfn == PFN_NONE)
			continue;
		struct page *page = thp_head(m, pfn);

		page_lock(t, page);
		page_wait_writeback(t, page);
		if (page_test(page, PG_SWAPCACHE) && m->slot_of[pfn] == entry)
			swap_cache_try_free(t, page);
		page_unlock(t, page);
		page_put(t, page);
		rt_preempt(t);
	}
}

/* => 0 no slot is in use, or -ENOMEM, -EINTR */
static int unuse(struct task *t, struct swap_area *area)
{
	int err = 0;

	/* event loop: whoever holds a slot drops it or makes it findable for the next round */
	while (err == 0 && racy_read(area->inuse) != 0) {
		err = unuse_regions(t, area);
		if (err == 0)
			unuse_cached(t, area);
		if (err == 0 && racy_read(area->inuse) != 0)
			rt_sleep(t, ROUND_PAUSE_NS);
	}
	return err;
}

/* Could the machine's memory and the other areas ever hold what is in this one? */
static bool contents_fit(struct neap_machine *m, const struct swap_area *area)
{
	return (int64_t)racy_read(area->inuse) <=
	       (int64_t)atomic_load(&m->total_pages) + atomic_load(&m->nr_swap_total);
}

/* => switching held */
static int area_empty(struct task *t, struct neap_machine *m, uint32_t type)
{
	if (type >= swap_nr_areas(m) || atomic_load(&m->swap[type].state) != SWAP_ACTIVE)
		return -ENOENT;
	struct swap_area *area = &m->swap[type];

	if (!contents_fit(m, area))
		return -ENOMEM;
	swap_area_close(t, area);
	int err = unuse(t, area);

	if (err != 0)
		swap_area_reopen(t, area);
	else
		swap_area_end(t, area);
	return err;
}

int swap_off(struct task *t, struct neap_machine *m, uint32_t type)
{
	sleeplock_take(t, &m->swap_switching);
	int err = area_empty(t, m, type);

	sleeplock_release(t, &m->swap_switching);
	return err;
}
