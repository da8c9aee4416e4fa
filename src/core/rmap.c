/*
 * Reverse mapping: which entries map this frame?
 *
 *   anonymous page ─ owner = region id, index = page in it ─> one entry,
 *                    or 512 in a row if it is huge
 *   file page      ─ owner = mapping id, index = page in the file
 *                    mapping.first_region ─> region ─> region ... each maps the
 *                    file from its first page, so vpn = start_vpn + index
 *
 * Every function here needs the page lock. It keeps the mappings of the page
 * still: faults map, and zaps unmap, under the page lock only. So an anonymous
 * page with maps = 1 has a live region, and an entry that is seen to map the page
 * goes on doing so until we change it.
 *
 * What must never happen: an unmap that leaves data nowhere. Before an anonymous
 * entry is replaced by its swap word the slot gets one more reference; a dirty
 * entry marks the page dirty before the caller can look at the flag.
 *
 * Linux: mm/rmap.c. DIFF: no anon_vma trees, because regions never share
 * anonymous pages (no fork).
 */
#include "core/rmap.h"

#include "core/aops.h"
#include "core/mapping.h"
#include "core/pagelock.h"
#include "core/swap.h"
#include "core/thp.h"
#include "core/tlb.h"
#include "core/vmstat.h"

enum rmap_action {
	RMAP_HARVEST,
	RMAP_UNMAP,
	RMAP_PROTECT,
	RMAP_MIGRATE_OUT,
	RMAP_MIGRATE_IN,
};

/* One walk over the entries of a page. */
struct rmap_walk {
	enum rmap_action action;
	uint32_t young; /* out: regions in which it was young, and their flags */
	uint32_t young_flags;
	uint32_t from;	/* RMAP_MIGRATE_IN: the (first) frame the words stand for */
	uint32_t part;	/* frame of a huge page at hand, 0..511; else 0 */
	uint32_t moved; /* out: entries turned into migration words, or back */
	uint64_t word;	/* out: the latest migration word */
	uint32_t steps; /* out: entries looked at */
	bool dirty;	/* out: an entry was dirty */
};

/* One more entry, or one less, that maps the page. => pinned */
static ALWAYS_INLINE void count_map(struct task *t, struct page *page, uint64_t flags)
{
	/* Each frame of a huge page is mapped once at most, and counts by itself. */
	if (atomic_fetch_add_explicit(&page->maps, 1, memory_order_acq_rel) == 0 ||
	    (flags & PG_HEAD))
		node_stat_add(t, &t->machine->nodes[page_node_of(flags)],
			      (flags & PG_ANON) ? NR_ANON_PAGES : NR_MAPPED, 1);
}

static ALWAYS_INLINE void count_unmap(struct task *t, struct page *page, uint64_t flags)
{
	uint32_t before = atomic_fetch_sub_explicit(&page->maps, 1, memory_order_acq_rel);

	DCHECK(before != 0);
	if (before == 1 || (flags & PG_HEAD))
		node_stat_add(t, &t->machine->nodes[page_node_of(flags)],
			      (flags & PG_ANON) ? NR_ANON_PAGES : NR_MAPPED, -1);
}

void rmap_account_add(struct task *t, struct space *space, struct page *page)
{
	uint64_t flags = page_flags(page);

	atomic_fetch_add_explicit((flags & PG_ANON) ? &space->rss_anon : &space->rss_file, 1,
				  memory_order_relaxed);
	struct cpu_slot *pinned = cpu_pin_leaf(t);

	count_map(t, page, flags);
	cpu_unpin_leaf(t, pinned);
}

void rmap_account_remove(struct task *t, struct space *space, struct page *page)
{
	uint64_t flags = page_flags(page);

	struct cpu_slot *pinned = cpu_pin_leaf(t);

	count_unmap(t, page, flags);
	cpu_unpin_leaf(t, pinned);
	atomic_fetch_sub_explicit((flags & PG_ANON) ? &space->rss_anon : &space->rss_file, 1,
				  memory_order_relaxed);
}

/*
 * Takes one entry away; it is known to map this part of the page, 0 if it is small.
 * => whether it was dirty
 */
static bool unmap_entry(struct task *t, struct region *region, struct page *page, uint32_t part)
{
	struct neap_machine *m = t->machine;
	struct space *space = region->space;
	struct hw_entry entry = { .vpn = region->start_vpn + page->index + part,
				  .pfn = (uint32_t)(page - m->pages) + part };

	if (page_test(page, PG_ANON)) {
		uint32_t slot = m->slot_of[entry.pfn];

		CHECK(page_test(page, PG_SWAPCACHE));
		swap_slot_dup(t, slot);
		entry.word = word_from_swap(slot);
		atomic_fetch_add_explicit(&space->swap_entries, 1, memory_order_relaxed);
	}
	/*
	 * Before the entry goes: a zap takes a swap word without our page lock, and then region and
	 * space may be gone.
	 */
	rmap_account_remove(t, space, page);
	m->hw->ops->unmap(space->hw, &entry, 1);
	CHECK(entry.err == 0);
	rt_explore(t);
	tlb_note(t, (entry.flags & HW_DIRTY) != 0);
	/* The entry's reference; the caller holds another. */
	CHECK(!page_put_test(page));
	return (entry.flags & HW_DIRTY) != 0;
}

/*
 * The entry, if it maps the page, becomes a word that remembers its flags. The space's resident
 * pages stay counted: the page is there, only not to be had for a moment.
 */
static void migrate_out_entry(struct task *t, struct region *region, struct page *page,
			      struct rmap_walk *walk)
{
	struct neap_machine *m = t->machine;
	struct hw_space *space = region->space->hw;
	uint32_t pfn = (uint32_t)(page - m->pages) + walk->part;
	struct hw_entry entry = { .vpn = region->start_vpn + page->index + walk->part,
				  .pfn = pfn,
				  .word = word_from_migration(pfn, 0),
				  .flags_shift = WORD_FLAGS_SHIFT };

	walk->steps++;
	if (page->index >= region->nr_pages)
		return;
	m->hw->ops->unmap(space, &entry, 1);
	if (entry.err != 0) /* it maps nothing, or another frame */
		return;
	m->hw->ops->flush(space);
	tlb_flush_page(t);
	rt_explore(t);
	count_unmap(t, page, page_flags(page));
	CHECK(!page_put_test(page));
	walk->word = entry.word;
	walk->moved++;
}

/* The entry holds this migration word, which nobody but us changes: it maps the page. */
static void migrate_in_word(struct task *t, struct region *region, struct page *page,
			    const struct hw_entry *found)
{
	struct neap_machine *m = t->machine;
	uint32_t part = (uint32_t)(found->vpn - region->start_vpn) - page->index;
	struct hw_entry entry = { .vpn = found->vpn,
				  .word = found->word,
				  .pfn = (uint32_t)(page - m->pages) + part,
				  .flags = word_to_moving_flags(found->word) };

	page_get(page);
	count_map(t, page, page_flags(page));
	m->hw->ops->map(region->space->hw, &entry, 1);
	CHECK(entry.err == 0); /* the table is there, and the word is ours */
}

/* The other way round, if the entry is such a word for the frame. */
static void migrate_in_entry(struct task *t, struct region *region, struct page *page,
			     struct rmap_walk *walk)
{
	struct hw_entry entry = { .vpn = region->start_vpn + page->index + walk->part };

	walk->steps++;
	if (page->index >= region->nr_pages)
		return;
	t->machine->hw->ops->get(region->space->hw, &entry);
	if ((entry.flags & HW_PRESENT) || !word_is_migration(entry.word) ||
	    word_to_moving_pfn(entry.word) != walk->from + walk->part)
		return;
	migrate_in_word(t, region, page, &entry);
	walk->moved++;
}

static void act_on_entry(struct task *t, struct region *region, struct page *page,
			 struct rmap_walk *walk)
{
	struct neap_machine *m = t->machine;
	const struct hw_ops *hw = m->hw->ops;
	struct hw_space *space = region->space->hw;
	struct hw_entry entry = { .vpn = region->start_vpn + page->index + walk->part };

	if (walk->action == RMAP_MIGRATE_IN) {
		migrate_in_entry(t, region, page, walk);
		return;
	}
	if (walk->action == RMAP_MIGRATE_OUT) {
		migrate_out_entry(t, region, page, walk);
		return;
	}
	walk->steps++;
	if (page->index >= region->nr_pages)
		return;
	hw->get(space, &entry);
	rt_explore(t);
	if (!(entry.flags & HW_PRESENT) || entry.pfn != (uint32_t)(page - m->pages) + walk->part)
		return;
	switch (walk->action) {
	case RMAP_HARVEST:
		hw->harvest(space, &entry, 1);
		if (entry.err == 0 && (entry.flags & HW_YOUNG) &&
		    region_pattern(region) != REGION_SEQUENTIAL) {
			walk->young++;
			walk->young_flags |= region->flags;
		}
		break;
	case RMAP_PROTECT:
		hw->protect(space, &entry, 1);
		tlb_flush_page(t);
		walk->dirty |= entry.err == 0 && (entry.flags & HW_DIRTY);
		break;
	case RMAP_UNMAP:
		walk->dirty |= unmap_entry(t, region, page, walk->part);
		break;
	case RMAP_MIGRATE_OUT:
	case RMAP_MIGRATE_IN: /* done above */
		break;
	}
}

/* The mapping's lock keeps the list of regions, and so each region on it, alive. */
static void walk_file(struct task *t, struct page *page, struct rmap_walk *walk)
{
	struct neap_machine *m = t->machine;
	struct mapping *mapping = pool_get(&m->mappings, page->owner);

	cpu_pin(t);
	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	uint32_t id = mapping->first_region;

	while (id != 0 && (walk->action == RMAP_MIGRATE_IN || page_maps(page) != 0)) {
		struct region *region = pool_get(&m->regions, id);

		act_on_entry(t, region, page, walk);
		id = region->next_of_mapping;
	}
	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	cpu_unpin(t);
}

static ALWAYS_INLINE struct region *region_of_anon(struct task *t, const struct page *page)
{
	return pool_get(&t->machine->regions, page->owner);
}

/* An anonymous page that is not huge is mapped by its region, at its place there, or not at all. */
static ALWAYS_INLINE bool page_has_one_entry(uint64_t flags)
{
	return (flags & (PG_ANON | PG_HEAD)) == PG_ANON;
}

/* The entries of a whole huge page are one to the hardware that Linux runs on: one step. */
static void walk_anon(struct task *t, struct page *page, struct rmap_walk *walk)
{
	struct region *region = region_of_anon(t, page);

	/* Each becomes a swap word of its own. */
	if (walk->action == RMAP_UNMAP && page_test(page, PG_THP_WHOLE))
		thp_split_entries(t, region, page);
	uint64_t flags = page_flags(page);

	for (walk->part = 0; walk->part < page_nr_of(flags); walk->part++)
		act_on_entry(t, region, page, walk);
	if (flags & PG_THP_WHOLE)
		walk->steps = 1;
}

static void rmap_walk_page(struct task *t, struct page *page, struct rmap_walk *walk)
{
	DCHECK(page_test(page, PG_LOCKED));
	if (page_maps(page) == 0 && walk->action != RMAP_MIGRATE_IN)
		return;
	if (page_test(page, PG_ANON))
		walk_anon(t, page, walk);
	else
		walk_file(t, page, walk);
	if (walk->dirty)
		page_aops(t->machine, page)->set_dirty(t, page);
	event_add(t, EV_SIM_PTE_WALK, walk->steps);
}

static uint32_t rmap_walk(struct task *t, struct page *page, enum rmap_action action)
{
	struct rmap_walk walk = { .action = action };

	rmap_walk_page(t, page, &walk);
	return walk.young;
}

/* The entry of a mapped anonymous page, where its lock keeps it. => as rmap_referenced() */
static ALWAYS_INLINE uint32_t referenced_once(struct task *t, struct page *page,
					      uint32_t *region_flags)
{
	struct region *region = region_of_anon(t, page);
	uint32_t pfn = (uint32_t)(page - t->machine->pages);

	if (unlikely(thp_is_splitting(region->space)))
		return RMAP_CONTENDED;
	event_add(t, EV_SIM_PTE_WALK, 1);
	if (!t->machine->hw->ops->harvest_one(region->space->hw, region->start_vpn + page->index,
					      pfn) ||
	    region_pattern(region) == REGION_SEQUENTIAL)
		return 0;
	*region_flags = region->flags;
	return 1;
}

/* By itself, so that the common case needs no room for it. */
static NOINLINE uint32_t referenced_walk(struct task *t, struct page *page, uint32_t *region_flags)
{
	struct rmap_walk walk = { .action = RMAP_HARVEST };

	if (page_test(page, PG_ANON) && thp_is_splitting(region_of_anon(t, page)->space))
		return RMAP_CONTENDED;
	rmap_walk_page(t, page, &walk);
	*region_flags = walk.young_flags;
	/* x86 forgets the translation of a huge page that was young, of no other one. */
	if (walk.young != 0 && page_test(page, PG_THP_WHOLE))
		tlb_flush_range(t);
	/* However many frames of a huge page: one region. */
	return page_test(page, PG_HEAD) ? min_u32(walk.young, 1) : walk.young;
}

uint32_t rmap_referenced(struct task *t, struct page *page, uint32_t *region_flags)
{
	DCHECK(page_test(page, PG_LOCKED));
	*region_flags = 0;
	/* Most pages of files: not worth a walk's structure. */
	if (page_maps(page) == 0)
		return 0;
	if (page_has_one_entry(page_flags(page)))
		return referenced_once(t, page, region_flags);
	return referenced_walk(t, page, region_flags);
}

/*
 * A migration word keeps faults and zaps away while we look whether the page was written: a fault
 * that found the entry empty would give the program a page of zeroes.
 */
bool rmap_discard(struct task *t, struct page *page)
{
	struct region *region = region_of_anon(t, page);
	struct space *space = region->space;
	struct rmap_moved moved;

	CHECK(!page_test(page, PG_HEAD | PG_SWAPCACHE) && page_test(page, PG_ANON));
	cpu_pin(t);
	CHECK(rmap_migrate_out(t, page, &moved) && moved.entries == 1);
	rt_explore(t);
	bool used = (word_to_moving_flags(moved.word) & HW_DIRTY) != 0 ||
		    page_test(page, PG_DIRTY) || page_refs(page) != 1;

	if (used)
		rmap_migrate_in(t, page, &moved);
	cpu_unpin(t);
	if (used)
		return false;
	atomic_fetch_sub_explicit(&space->rss_anon, 1, memory_order_relaxed);
	CHECK(t->machine->hw->ops->set_word(space->hw, region->start_vpn + page->index, moved.word,
					    0) == 0);
	return true;
}

bool rmap_unmap(struct task *t, struct page *page)
{
	DCHECK(page_test(page, PG_LOCKED));
	if (page_maps(page) == 0 || !page_has_one_entry(page_flags(page))) {
		rmap_walk(t, page, RMAP_UNMAP);
		return page_maps(page) == 0;
	}
	rt_explore(t);
	/* The lock keeps the one entry where it is: no look is needed. */
	if (unmap_entry(t, region_of_anon(t, page), page, 0))
		page_aops(t->machine, page)->set_dirty(t, page);
	event_add(t, EV_SIM_PTE_WALK, 1);
	return true;
}

bool rmap_migrate_out(struct task *t, struct page *page, struct rmap_moved *moved)
{
	struct rmap_walk walk = { .action = RMAP_MIGRATE_OUT };

	if (page_maps(page) != 0 && page_has_one_entry(page_flags(page))) {
		migrate_out_entry(t, region_of_anon(t, page), page, &walk);
		event_add_pinned(t, EV_SIM_PTE_WALK, 1);
	} else {
		rmap_walk_page(t, page, &walk);
	}
	*moved = (struct rmap_moved){ .pfn = (uint32_t)(page - t->machine->pages),
				      .entries = walk.moved,
				      .word = walk.word };
	return page_maps(page) == 0;
}

void rmap_migrate_in(struct task *t, struct page *page, const struct rmap_moved *moved)
{
	struct rmap_walk walk = { .action = RMAP_MIGRATE_IN, .from = moved->pfn };

	if (page_has_one_entry(page_flags(page))) {
		struct region *region = region_of_anon(t, page);
		struct hw_entry entry = { .vpn = region->start_vpn + page->index,
					  .word = moved->word };

		migrate_in_word(t, region, page, &entry);
		event_add_pinned(t, EV_SIM_PTE_WALK, 1);
		return;
	}
	rmap_walk_page(t, page, &walk);
	CHECK(walk.moved == moved->entries);
}

void rmap_soon(struct task *t, struct page *page)
{
	const struct hw_ops *hw = t->machine->hw->ops;
	const void *entry = NULL;

	if (!page_has_one_entry(page_flags(page)) || !page_trylock(t, page))
		return;
	/* Mapped and locked: its region stays where it is. */
	if (page_maps(page) != 0) {
		struct region *region = region_of_anon(t, page);

		entry = hw->entry_hint(region->space->hw, region->start_vpn + page->index);
	}
	page_unlock(t, page);
	/* After the unlock, which would wait for it to come. */
	if (entry != NULL)
		__builtin_prefetch(entry, 1);
}

void rmap_write_protect(struct task *t, struct page *page)
{
	rmap_walk(t, page, RMAP_PROTECT);
}
