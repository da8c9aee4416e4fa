/*
 * Address spaces and regions.
 *
 *   space ── regions at ascending, 2 MiB aligned page numbers, never reused
 *     region 1 |------|   region 2 |---|     region 3 |-------------|
 *
 * A region's leaf tables are its own, because regions are 2 MiB aligned and so is
 * what a leaf table covers; they go back when the region is destroyed. Upper
 * tables are shared by regions and go back with the space.
 *
 * Zapping (munmap, MADV_DONTNEED). Each non-empty entry of the range is either a
 * frame or a swap word. Frames are taken out under the page lock, which is what
 * reverse mapping relies on: the entry is read, the page referenced and locked,
 * and the entry read again before it is cleared. A reference taken on a frame
 * that meanwhile belongs to somebody else is harmless and dropped again.
 *
 * What must never happen: a swap slot or frame that no entry points to any more
 * and that nobody freed (verify.c counts both).
 *
 * Linux: mm/mmap.c, mm/memory.c (zap_pte_range). DIFF: no merging or splitting of
 * regions; upper page tables stay until the space ends.
 */
#include "core/space.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/lru.h"
#include "core/mapping.h"
#include "core/pagelock.h"
#include "core/rmap.h"
#include "core/sleeplock.h"
#include "core/swap.h"
#include "core/tail.h"
#include "core/thp.h"
#include "core/vmstat.h"

#define REGION_ALIGN_PAGES 512u
#define SPACE_FIRST_VPN 512u
#define ZAP_BATCH 32u

/* ---- table frames ---- */

static uint32_t table_alloc(struct task *t, struct space *space)
{
	struct neap_machine *m = t->machine;
	uint32_t pfn = alloc_page(t, GFP_KERNEL | GFP_BIT_ACCOUNT | GFP_BIT_ZERO);

	if (pfn == PFN_NONE)
		return PFN_NONE;
	struct page *page = machine_page(m, pfn);

	page_set(page, PG_TABLE);
	page->owner = space->id;
	cpu_pin(t);
	node_stat_add(t, page_node(m, page), NR_PAGE_TABLE_PAGES, 1);
	cpu_unpin(t);
	atomic_fetch_add(&space->nr_tables, 1);
	return pfn;
}

static void table_free(struct task *t, struct space *space, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct page *page = machine_page(m, pfn);

	CHECK(page_test(page, PG_TABLE));
	cpu_pin(t);
	node_stat_add(t, page_node(m, page), NR_PAGE_TABLE_PAGES, -1);
	cpu_unpin(t);
	atomic_fetch_sub(&space->nr_tables, 1);
	page_clear(page, PG_TABLE);
	page->owner = 0;
	atomic_store(&page->maps, LEAF_SMALL);
	page_put(t, page);
}

struct table_free_arg {
	struct task *t;
	struct space *space;
};

static void table_free_callback(void *arg, uint32_t pfn)
{
	struct table_free_arg *a = arg;

	table_free(a->t, a->space, pfn);
}

int space_map(struct task *t, struct space *space, struct hw_entry *entry)
{
	const struct hw_ops *hw = t->machine->hw->ops;

	for (uint32_t tries = 0; tries <= HW_LEVELS; tries++) {
		hw->map(space->hw, entry, 1);
		if (entry->err != -ENOMEM)
			return entry->err;
		uint32_t pfn = table_alloc(t, space);

		if (pfn == PFN_NONE)
			return -ENOMEM;
		if (hw->add_table(space->hw, entry->vpn, entry->level, pfn) != 0)
			table_free(t, space, pfn);
	}
	/* Others kept adding and nobody removes: the last try above must have found every table. */
	return -EAGAIN;
}

/* ---- whose leaf tables are ---- */

/* => NULL: there is none, and *level is missing */
static struct page *leaf_of(struct space *space, uint64_t vpn, uint32_t *level)
{
	struct neap_machine *m = space->machine;
	uint32_t pfn = m->hw->ops->leaf_table(space->hw, vpn, level);

	return pfn == PFN_NONE ? NULL : machine_page(m, pfn);
}

bool space_leaf_is_free(struct space *space, uint64_t vpn)
{
	uint32_t level;
	const struct page *leaf = leaf_of(space, vpn, &level);

	return leaf == NULL || page_maps(leaf) == LEAF_EMPTY;
}

void space_leaf_release(struct space *space, uint64_t vpn, enum leaf_use use)
{
	uint32_t level;
	struct page *leaf = leaf_of(space, vpn, &level);

	CHECK(leaf != NULL && page_maps(leaf) == LEAF_HUGE);
	atomic_store_explicit(&leaf->maps, use, memory_order_release);
}

/* The leaf table of vpn, made if needed: then nobody's if it is for a huge page. => NULL: no memory
 */
static struct page *leaf_get(struct task *t, struct space *space, uint64_t vpn, enum leaf_use use)
{
	struct neap_machine *m = t->machine;
	uint32_t level;

	/* Bounded: each round finds one more table, ours or somebody else's. */
	for (;;) {
		struct page *leaf = leaf_of(space, vpn, &level);

		if (leaf != NULL)
			return leaf;
		uint32_t pfn = table_alloc(t, space);

		if (pfn == PFN_NONE)
			return NULL;
		/* Before anybody can find it. */
		if (level == 1 && use == LEAF_HUGE)
			atomic_store(&machine_page(m, pfn)->maps, LEAF_EMPTY);
		if (m->hw->ops->add_table(space->hw, vpn, level, pfn) != 0)
			table_free(t, space, pfn);
	}
}

int space_leaf_claim(struct task *t, struct space *space, uint64_t vpn, enum leaf_use use)
{
	struct page *leaf = leaf_get(t, space, vpn, use);
	uint32_t found = LEAF_EMPTY;

	if (leaf == NULL)
		return -ENOMEM;
	if (use == LEAF_SMALL && likely(page_maps(leaf) == LEAF_SMALL))
		return 0;
	if (atomic_compare_exchange_strong(&leaf->maps, &found, use))
		return 0;
	return use == LEAF_SMALL && found == LEAF_SMALL ? 0 : -EAGAIN;
}

/* ---- spaces ---- */

int space_create(struct task *t, struct neap_machine *m, struct space **out)
{
	uint32_t id;
	struct space *space = pool_alloc(t, &m->spaces, &id);

	if (space == NULL)
		return -ENOMEM;
	space->id = id;
	space->machine = m;
	space->next_vpn = SPACE_FIRST_VPN;
	uint32_t root = table_alloc(t, space);

	if (root == PFN_NONE || m->hw->ops->space_create(m->hw, root, &space->hw) != 0) {
		if (root != PFN_NONE)
			table_free(t, space, root);
		pool_free(t, &m->spaces, id);
		return -ENOMEM;
	}
	space->root = root;
	*out = space;
	return 0;
}

void space_destroy(struct task *t, struct space *space)
{
	struct neap_machine *m = space->machine;
	struct table_free_arg arg = { t, space };

	CHECK(space->nr_regions == 0);
	m->hw->ops->space_destroy(space->hw, table_free_callback, &arg);
	CHECK(atomic_load(&space->nr_tables) == 0);
	pool_free(t, &m->spaces, space->id);
}

/* ---- regions ---- */

static void link_mapping(struct task *t, struct region *region)
{
	struct mapping *mapping = region->mapping;

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	region->next_of_mapping = mapping->first_region;
	mapping->first_region = region->id;
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
}

static void unlink_mapping(struct task *t, struct region *region)
{
	struct neap_machine *m = t->machine;
	struct mapping *mapping = region->mapping;
	uint32_t *link;

	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	link = &mapping->first_region;
	while (*link != region->id) {
		CHECK(*link != 0);
		link = &((struct region *)pool_get(&m->regions, *link))->next_of_mapping;
	}
	*link = region->next_of_mapping;
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
}

void space_hold_regions(struct task *t, struct neap_machine *m)
{
	sleeplock_take(t, &m->regions_held);
}

void space_release_regions(struct task *t, struct neap_machine *m)
{
	sleeplock_release(t, &m->regions_held);
}

/* Reserves page numbers. => 0 if the space has no room left */
static uint64_t take_vpns(struct task *t, struct space *space, uint64_t nr_pages)
{
	uint64_t room = round_up_u64(nr_pages, REGION_ALIGN_PAGES);
	uint64_t first = 0;

	spin_lock(t, &space->lock, LOCK_SPACE);
	if (room <= HW_VPN_MAX - space->next_vpn) {
		first = space->next_vpn;
		space->next_vpn += room;
		space->nr_regions++;
	}
	spin_unlock(t, &space->lock, LOCK_SPACE);
	return first;
}

/* => regions held */
static int region_make(struct task *t, struct space *space, const struct region_spec *spec,
		       struct region **out)
{
	struct neap_machine *m = space->machine;
	uint32_t id;
	struct region *region = pool_alloc(t, &m->regions, &id);

	if (region == NULL)
		return -ENOMEM;
	uint64_t first = take_vpns(t, space, spec->nr_pages);

	if (first == 0) {
		pool_free(t, &m->regions, id);
		return -ENOMEM;
	}
	region->id = id;
	region->space = space;
	region->mapping = spec->mapping;
	region->start_vpn = first;
	region->nr_pages = spec->nr_pages;
	region->flags = spec->flags;
	region->node = spec->node;
	atomic_store(&region->readahead, 4); /* hits start at 4: spec 13, section 6 */
	if (region->mapping != NULL)
		link_mapping(t, region);
	*out = region;
	return 0;
}

int region_create(struct task *t, struct space *space, const struct region_spec *spec,
		  struct region **out)
{
	struct neap_machine *m = space->machine;

	if (spec->nr_pages == 0 || spec->nr_pages > UINT32_MAX || spec->node > m->nr_nodes)
		return -EINVAL;
	space_hold_regions(t, m);
	int err = region_make(t, space, spec, out);

	space_release_regions(t, m);
	return err;
}

void space_wait_migration(struct task *t, uint64_t word)
{
	/*
	 * The frame may belong to somebody else by now, and be locked for another reason: then we
	 * wait a little longer than needed.
	 */
	page_wait_unlocked(t, thp_head(t->machine, word_to_moving_pfn(word)));
}

/* ---- zapping ---- */

/* What is to be emptied. */
struct zap {
	struct region *region;
	uint64_t first, last; /* vpn */
};

bool region_drop_word(struct task *t, struct region *region, uint64_t vpn, uint64_t word)
{
	struct space *space = region->space;

	if (t->machine->hw->ops->set_word(space->hw, vpn, word, 0) != 0)
		return false;
	if (word_is_swap(word)) {
		atomic_fetch_sub_explicit(&space->swap_entries, 1, memory_order_relaxed);
		swap_release_entry(t, word_to_swap(word));
	}
	return true;
}

/* Clears an entry that maps the locked page, and gives the page up. */
static void zap_mapped(struct task *t, struct region *region, struct page *page, uint64_t vpn)
{
	struct hw_entry entry = { .vpn = vpn };

	t->machine->hw->ops->unmap(region->space->hw, &entry, 1);
	CHECK(entry.err == 0);
	if (!page_test(page, PG_ANON) && (entry.flags & HW_DIRTY))
		mapping_set_dirty(t, page);
	if (!page_test(page, PG_ANON) && (entry.flags & HW_YOUNG) &&
	    region_pattern(region) == REGION_NORMAL)
		lru_mark_accessed(t, page);
	rmap_account_remove(t, region->space, page);
	CHECK(!page_put_test(page));
	if (page_test(page, PG_SWAPCACHE))
		swap_cache_try_free(t, page);
	else if (thp_is_huge(page)) /* what is being swapped out is left to reclaim */
		thp_defer_split(t, page);
}

/* The same for an entry of a whole huge page: takes all of it if all of it is to go. => entries */
static uint64_t zap_whole(struct task *t, struct zap *zap, struct page *page, uint64_t vpn)
{
	uint64_t first = zap->region->start_vpn + page->index;

	if (first >= zap->first && first + THP_PAGES - 1 <= zap->last) {
		thp_unmap_whole(t, zap->region, page);
		return THP_PAGES;
	}
	thp_split_entries(t, zap->region, page);
	zap_mapped(t, zap->region, page, vpn);
	return 1;
}

/* The entry maps a frame of this page, which is locked. => entries emptied; 0: it is another one */
static uint64_t zap_present(struct task *t, struct zap *zap, struct page *page, uint64_t vpn)
{
	struct neap_machine *m = t->machine;
	struct hw_entry again = { .vpn = vpn };

	m->hw->ops->get(zap->region->space->hw, &again);
	if (!(again.flags & HW_PRESENT) || thp_head(m, again.pfn) != page)
		return 0;
	if (page_test(page, PG_THP_WHOLE))
		return zap_whole(t, zap, page, vpn);
	zap_mapped(t, zap->region, page, vpn);
	return 1;
}

/*
 * Empties one entry, whatever it holds by now.
 * => entries emptied; 0 if it was empty
 */
static uint64_t zap_entry(struct task *t, struct zap *zap, uint64_t vpn)
{
	struct neap_machine *m = t->machine;
	const struct hw_ops *hw = m->hw->ops;
	struct hw_space *space = zap->region->space->hw;

	/* event loop: ends when the entry stays what it was for one look */
	for (;;) {
		struct hw_entry entry = { .vpn = vpn };

		hw->get(space, &entry);
		rt_explore(t);
		if (!(entry.flags & HW_PRESENT)) {
			if (entry.word == 0)
				return 0;
			if (word_is_migration(entry.word)) {
				space_wait_migration(t, entry.word);
				continue;
			}
			if (region_drop_word(t, zap->region, vpn, entry.word))
				return 1;
			continue;
		}
		if (entry.pfn == m->zero_pfn) {
			hw->unmap(space, &entry, 1);
			if (entry.err != 0)
				continue;
			return 1;
		}
		struct page *page = thp_get(t, entry.pfn);

		if (page == NULL)
			continue;
		page_lock(t, page);
		uint64_t emptied = zap_present(t, zap, page, vpn);

		page_unlock(t, page);
		page_put(t, page);
		if (emptied != 0)
			return emptied;
	}
}

uint64_t region_zap(struct task *t, struct region *region, uint64_t first, uint64_t nr)
{
	const struct hw_ops *hw = t->machine->hw->ops;
	uint64_t vpn = region->start_vpn + first;
	uint64_t last = vpn + nr - 1;
	struct zap zap = { .region = region, .first = vpn, .last = last };
	uint64_t held = 0;

	CHECK(first + nr <= region->nr_pages);
	if (nr == 0)
		return 0;
	/* event loop: each round takes the next entries that hold something */
	for (;;) {
		struct hw_entry found[ZAP_BATCH];
		uint32_t got = hw->scan(region->space->hw, vpn, last, found, ZAP_BATCH);

		for (uint32_t i = 0; i < got; i++)
			held += zap_entry(t, &zap, found[i].vpn);
		event_add(t, EV_SIM_PTE_WALK, got);
		rt_preempt(t);
		if (got < ZAP_BATCH || found[got - 1].vpn == last)
			break;
		vpn = found[got - 1].vpn + 1;
	}
	hw->flush(region->space->hw);
	return held;
}

void region_destroy(struct task *t, struct region *region)
{
	struct neap_machine *m = t->machine;
	struct space *space = region->space;
	struct table_free_arg arg = { t, space };

	region_zap(t, region, 0, region->nr_pages);
	if (region->mapping == NULL)
		tail_forget_region(t);
	/*
	 * Before the tables go: a reverse walk of a page that other regions map still visits this
	 * region as long as it is on the file's list, and looks into its tables.
	 */
	if (region->mapping != NULL)
		unlink_mapping(t, region);
	space_hold_regions(t, m);
	m->hw->ops->release_tables(space->hw, region->start_vpn,
				   region->start_vpn +
					   round_up_u64(region->nr_pages, REGION_ALIGN_PAGES) - 1,
				   table_free_callback, &arg);
	spin_lock(t, &space->lock, LOCK_SPACE);
	space->nr_regions--;
	spin_unlock(t, &space->lock, LOCK_SPACE);
	uint32_t id = region->id;

	region->id = 0; /* verify.c and swapoff.c tell live regions by their id */
	pool_free(t, &m->regions, id);
	space_release_regions(t, m);
}
