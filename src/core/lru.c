/*
 * LRU lists, their per-CPU batches, isolation and putting back (spec 10).
 *
 *   new page ─> batch (15, per CPU) ─> lists of its node:
 *        inactive_anon <-> active_anon     inactive_file <-> active_file     unevictable
 *        head = youngest ............. tail = next to be reclaimed
 *
 * PG_LRU says "on a list". Whoever clears it with a test owns the page's place on
 * the list until setting it again; moving the page itself needs the lru lock. So
 * a page may be on the list with PG_LRU clear for a moment: such a page is
 * skipped by everybody else. A page in a batch holds a reference there.
 *
 * Invariants, checked by verify.c:
 *   1. PG_LRU set and nobody in the middle of a move  <=>  the page is on exactly
 *      the list that its flags say (page_lru_list).
 *   2. PG_ACTIVE and PG_UNEVICTABLE are never both set on a list.
 *   3. size[list][zone] equals the pages of that zone on the list, and the node
 *      and zone counters equal them once differences are folded.
 *
 * Locking: CPU word, then the lru lock. Freed pages are handed to the allocator
 * only after the lru lock is dropped.
 *
 * A huge page is on a list once and counts for its 512 frames, wherever pages are counted.
 *
 * Linux: mm/swap.c, mm/vmscan.c (isolation).
 */
#include "core/lru.h"

#include "core/alloc.h"
#include "core/pagelock.h"
#include "core/racy.h"
#include "core/thp.h"
#include "core/visit.h"
#include "core/vmstat.h"
#include "core/workingset.h"

_Static_assert(NR_UNEVICTABLE - NR_INACTIVE_ANON == LRU_UNEVICTABLE,
	       "node items follow list order");
_Static_assert(NR_ZONE_UNEVICTABLE - NR_ZONE_INACTIVE_ANON == LRU_UNEVICTABLE,
	       "zone items follow list order");

/* ---- sizes ---- */

bool lru_inactive_is_low(const struct lruvec *lruvec, uint32_t file)
{
	enum lru_list base = file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
	uint64_t inactive = lruvec_size(lruvec, base, NR_ZONES - 1);
	uint64_t active = lruvec_size(lruvec, (enum lru_list)(base + 1), NR_ZONES - 1);
	uint64_t gib = (inactive + active) >> (30 - NEAP_PAGE_SHIFT);
	uint64_t ratio = gib == 0 ? 1 : isqrt_u64(10 * gib);

	return inactive * ratio < active;
}

static ALWAYS_INLINE void size_add(struct lruvec *lruvec, enum lru_list list, uint32_t zone,
				   int64_t delta)
{
	_Atomic uint64_t *size = &lruvec->size[list][zone];

	atomic_store_explicit(size,
			      atomic_load_explicit(size, memory_order_relaxed) + (uint64_t)delta,
			      memory_order_relaxed);
}

void lru_resize(struct task *t, struct lruvec *lruvec, const struct page *page, int64_t delta)
{
	uint64_t flags = page_flags(page);
	enum lru_list list = lru_list_of(flags);
	struct node *node = &t->machine->nodes[page_node_of(flags)];
	struct zone *zone = &node->zone[page_zone_index_of(flags)];

	size_add(lruvec, list, (uint32_t)zone->type, delta);
	node_stat_add(t, node, (enum node_item)(NR_INACTIVE_ANON + (int)list), delta);
	zone_stat_add(t, zone, (enum zone_item)(NR_ZONE_INACTIVE_ANON + (int)list), delta);
}

static void lruvec_add_head(struct task *t, struct lruvec *lruvec, struct page *page)
{
	struct page *pages = t->machine->pages;

	list_add_head(pages, &lruvec->list[page_lru_list(page)], (uint32_t)(page - pages));
	lru_resize(t, lruvec, page, page_nr(page));
}

void lru_add_before(struct task *t, struct lruvec *lruvec, struct page *page, struct page *where)
{
	struct page *pages = t->machine->pages;

	spin_assert_held(t, LOCK_LRU);
	list_insert_before(pages, &lruvec->list[page_lru_list(page)], (uint32_t)(page - pages),
			   (uint32_t)(where - pages));
	lru_resize(t, lruvec, page, page_nr(page));
}

static void lruvec_add_tail(struct task *t, struct lruvec *lruvec, struct page *page)
{
	struct page *pages = t->machine->pages;

	list_add_tail(pages, &lruvec->list[page_lru_list(page)], (uint32_t)(page - pages));
	lru_resize(t, lruvec, page, page_nr(page));
}

static void lruvec_remove(struct task *t, struct lruvec *lruvec, struct page *page)
{
	struct page *pages = t->machine->pages;

	lru_resize(t, lruvec, page, -(int64_t)page_nr(page));
	list_remove(pages, &lruvec->list[page_lru_list(page)], (uint32_t)(page - pages));
}

static struct lruvec *page_lruvec(struct task *t, const struct page *page)
{
	return &page_node(t->machine, page)->lruvec;
}

/* ---- releasing ---- */

void page_free_frozen(struct task *t, struct page *page)
{
	DCHECK(page_refs(page) == 0);
	cpu_pin(t);
	if (page_test(page, PG_LRU)) {
		struct lruvec *lruvec = page_lruvec(t, page);

		spin_lock(t, &lruvec->lock, LOCK_LRU);
		page_clear(page, PG_LRU);
		lruvec_remove(t, lruvec, page);
		spin_unlock(t, &lruvec->lock, LOCK_LRU);
	}
	if (page_test(page, PG_MLOCKED))
		zone_stat_add(t, page_zone(t->machine, page), NR_MLOCK, -(int64_t)page_nr(page));
	thp_forget(t, page);
	DCHECK(page_maps(page) == 0);
	free_pages(t, (uint32_t)(page - t->machine->pages), page_order(page));
	cpu_unpin(t);
}

void page_put(struct task *t, struct page *page)
{
	rt_explore(t);
	if (page_put_test(page))
		page_free_frozen(t, page);
}

/* ---- batches ---- */

void lru_count_run(struct task *t, struct node *node, const struct lru_run *run)
{
	spin_assert_held(t, LOCK_LRU);
	struct zone *zone = &node->zone[run->zone];

	enum node_item node_item = (enum node_item)(NR_INACTIVE_ANON + (int)run->list);
	enum zone_item zone_item = (enum zone_item)(NR_ZONE_INACTIVE_ANON + (int)run->list);

	size_add(&node->lruvec, run->list, run->zone, (int64_t)run->nr_pages * run->nr);
	if (run->nr == 1) {
		node_stat_add(t, node, node_item, run->nr_pages);
		zone_stat_add(t, zone, zone_item, run->nr_pages);
		return;
	}
	node_stat_add_each(t, node, node_item, run->nr_pages, run->nr);
	zone_stat_add_each(t, zone, zone_item, run->nr_pages, run->nr);
}

/* A page comes to the head of its list, and is counted with the run. => pinned, lru lock held */
static ALWAYS_INLINE void lruvec_add_counted(struct task *t, struct node *node, struct page *page,
					     struct lru_run *run)
{
	struct page *pages = t->machine->pages;
	uint64_t flags = page_flags(page);
	struct lru_run kind = { lru_list_of(flags), page_zone_index_of(flags), page_nr_of(flags),
				1 };

	list_add_head(pages, &node->lruvec.list[kind.list], (uint32_t)(page - pages));
	if (run->nr != 0 && run->list == kind.list && run->zone == kind.zone &&
	    run->nr_pages == kind.nr_pages) {
		run->nr++;
		return;
	}
	if (run->nr != 0)
		lru_count_run(t, node, run);
	*run = kind;
}

static void batch_move_add(struct task *t, struct node *node, struct page *page,
			   struct lru_run *run)
{
	if (page_test(page, PG_MLOCKED)) {
		page_clear(page, PG_ACTIVE);
		if (!page_test_set(page, PG_UNEVICTABLE))
			event_add_pinned(t, EV_UNEVICTABLE_PGS_CULLED, page_nr(page));
	} else if (page_test(page, PG_UNEVICTABLE)) {
		page_clear(page, PG_UNEVICTABLE);
		event_add_pinned(t, EV_UNEVICTABLE_PGS_RESCUED, page_nr(page));
	}
	lruvec_add_counted(t, node, page, run);
}

static void batch_move_rotate(struct task *t, struct lruvec *lruvec, struct page *page)
{
	if (page_test(page, PG_UNEVICTABLE))
		return;
	lruvec_remove(t, lruvec, page);
	page_clear(page, PG_ACTIVE);
	lruvec_add_tail(t, lruvec, page);
	event_add_pinned(t, EV_PGROTATED, page_nr(page));
}

static void batch_move_activate(struct task *t, struct lruvec *lruvec, struct page *page)
{
	if (page_test(page, PG_ACTIVE | PG_UNEVICTABLE))
		return;
	lruvec_remove(t, lruvec, page);
	page_set(page, PG_ACTIVE);
	lruvec_add_head(t, lruvec, page);
	event_add_pinned(t, EV_PGACTIVATE, page_nr(page));
}

static void batch_move_deactivate(struct task *t, struct lruvec *lruvec, struct page *page)
{
	if (!page_test(page, PG_ACTIVE) || page_test(page, PG_UNEVICTABLE))
		return;
	lruvec_remove(t, lruvec, page);
	page_clear(page, PG_ACTIVE | PG_REFERENCED);
	lruvec_add_head(t, lruvec, page);
	event_add_pinned(t, EV_PGDEACTIVATE, page_nr(page));
}

static void batch_move_deactivate_file(struct task *t, struct lruvec *lruvec, struct page *page)
{
	if (page_test(page, PG_UNEVICTABLE) || page_maps(page) != 0)
		return;
	bool active = page_test(page, PG_ACTIVE);

	lruvec_remove(t, lruvec, page);
	page_clear(page, PG_ACTIVE | PG_REFERENCED);
	if (page_test(page, PG_DIRTY | PG_WRITEBACK)) {
		page_set(page, PG_RECLAIM);
		lruvec_add_head(t, lruvec, page);
	} else {
		lruvec_add_tail(t, lruvec, page);
		event_add_pinned(t, EV_PGROTATED, page_nr(page));
	}
	if (active)
		event_add_pinned(t, EV_PGDEACTIVATE, page_nr(page));
}

static void batch_move_lazyfree(struct task *t, struct lruvec *lruvec, struct page *page)
{
	uint64_t flags = page_flags(page);

	if (!(flags & PG_ANON) || !(flags & PG_SWAPBACKED) ||
	    (flags & (PG_SWAPCACHE | PG_UNEVICTABLE)))
		return;
	lruvec_remove(t, lruvec, page);
	page_clear(page, PG_ACTIVE | PG_REFERENCED | PG_SWAPBACKED);
	lruvec_add_head(t, lruvec, page);
	event_add_pinned(t, EV_PGLAZYFREE, page_nr(page));
}

/* All kinds but BATCH_ADD. */
typedef void (*batch_move_fn)(struct task *t, struct lruvec *lruvec, struct page *page);

static const batch_move_fn batch_move[NR_LRU_BATCHES] = {
	[BATCH_ROTATE] = batch_move_rotate,
	[BATCH_DEACTIVATE_FILE] = batch_move_deactivate_file,
	[BATCH_DEACTIVATE] = batch_move_deactivate,
	[BATCH_LAZYFREE] = batch_move_lazyfree,
	[BATCH_ACTIVATE] = batch_move_activate,
};

/* New pages come to their lists. => pinned; no spin lock held */
static void batch_apply_add(struct task *t, const uint32_t *pfn, uint32_t nr)
{
	struct neap_machine *m = t->machine;

	for (uint32_t i = 0; i < nr;) {
		struct node *node = page_node(m, &m->pages[pfn[i]]);
		struct lru_run run = { 0 };

		spin_lock(t, &node->lruvec.lock, LOCK_LRU);
		for (; i < nr && page_node(m, &m->pages[pfn[i]]) == node; i++) {
			batch_move_add(t, node, &m->pages[pfn[i]], &run);
			page_exchange(&m->pages[pfn[i]], PG_BATCH, PG_LRU);
		}
		lru_count_run(t, node, &run);
		spin_unlock(t, &node->lruvec.lock, LOCK_LRU);
	}
}

/* The others move, if they are on a list and nobody else moves them. => as above */
static void batch_apply(struct task *t, enum lru_batch_kind kind, const uint32_t *pfn, uint32_t nr)
{
	struct neap_machine *m = t->machine;
	struct lruvec *locked = NULL;

	for (uint32_t i = 0; i < nr; i++) {
		struct page *page = &m->pages[pfn[i]];
		struct lruvec *lruvec = page_lruvec(t, page);

		if (!page_test_clear(page, PG_LRU))
			continue;
		if (lruvec != locked) {
			if (locked != NULL)
				spin_unlock(t, &locked->lock, LOCK_LRU);
			spin_lock(t, &lruvec->lock, LOCK_LRU);
			locked = lruvec;
		}
		batch_move[kind](t, lruvec, page);
		page_exchange(page, 0, PG_LRU);
	}
	if (locked != NULL)
		spin_unlock(t, &locked->lock, LOCK_LRU);
}

/*
 * Applies a batch to the lists and drops its references.
 * => pinned; no spin lock held
 */
static void batch_flush(struct task *t, enum lru_batch_kind kind)
{
	struct neap_machine *m = t->machine;
	struct lru_batch *batch = &task_cpu_data(t)->batch[kind];
	uint32_t nr = batch->nr;
	uint32_t pfn[LRU_BATCH_PAGES];

	DCHECK(nr != 0);
	for (uint32_t i = 0; i < nr; i++)
		pfn[i] = batch->pfn[i];
	batch->nr = 0;
	task_cpu_data(t)->batches_filled &= ~(1u << kind);
	if (kind == BATCH_ADD)
		batch_apply_add(t, pfn, nr);
	else
		batch_apply(t, kind, pfn, nr);
	for (uint32_t i = 0; i < nr; i++)
		page_put(t, &m->pages[pfn[i]]);
}

static void batch_queue(struct task *t, enum lru_batch_kind kind, struct page *page)
{
	page_get(page);
	cpu_pin(t);
	struct cpu *cpu = task_cpu_data(t);
	struct lru_batch *batch = &cpu->batch[kind];

	cpu->batches_filled |= 1u << kind;
	batch->pfn[batch->nr++] = (uint32_t)(page - t->machine->pages);
	if (batch->nr == LRU_BATCH_PAGES || page_test(page, PG_HEAD) ||
	    atomic_load_explicit(&t->machine->lru_disabled, memory_order_relaxed) != 0)
		batch_flush(t, kind);
	cpu_unpin(t);
}

void lru_add(struct task *t, struct page *page)
{
	DCHECK(!page_test(page, PG_LRU | PG_BATCH));
	page_set(page, PG_BATCH);
	batch_queue(t, BATCH_ADD, page);
}

void lru_add_drain(struct task *t, struct page *page)
{
	const struct lru_batch *batch = task_cpu_data(t)->batch;

	cpu_assert_pinned(t);
	DCHECK(!page_test(page, PG_LRU | PG_BATCH));
	if (batch[BATCH_ADD].nr != 0) {
		lru_add(t, page);
	} else {
		struct node *node = page_node(t->machine, page);
		struct lru_run run = { 0 };

		spin_lock(t, &node->lruvec.lock, LOCK_LRU);
		batch_move_add(t, node, page, &run);
		lru_count_run(t, node, &run);
		page_set(page, PG_LRU);
		spin_unlock(t, &node->lruvec.lock, LOCK_LRU);
	}
	lru_drain_pinned(t);
}

void lru_activate(struct task *t, struct page *page)
{
	if (page_test(page, PG_LRU) && !page_test(page, PG_ACTIVE | PG_UNEVICTABLE))
		batch_queue(t, BATCH_ACTIVATE, page);
}

void lru_deactivate(struct task *t, struct page *page)
{
	if (page_test(page, PG_LRU) && page_test(page, PG_ACTIVE) &&
	    !page_test(page, PG_UNEVICTABLE))
		batch_queue(t, BATCH_DEACTIVATE, page);
}

void lru_lazyfree(struct task *t, struct page *page)
{
	uint64_t flags = page_flags(page);

	if ((flags & PG_LRU) && (flags & PG_ANON) && (flags & PG_SWAPBACKED) &&
	    !(flags & (PG_SWAPCACHE | PG_UNEVICTABLE)))
		batch_queue(t, BATCH_LAZYFREE, page);
}

void lru_rotate(struct task *t, struct page *page)
{
	if (page_test(page, PG_LRU) && !page_test(page, PG_LOCKED | PG_DIRTY | PG_UNEVICTABLE))
		batch_queue(t, BATCH_ROTATE, page);
}

void lru_deactivate_file(struct task *t, struct page *page)
{
	if (page_test(page, PG_LRU) && !page_test(page, PG_UNEVICTABLE))
		batch_queue(t, BATCH_DEACTIVATE_FILE, page);
}

void lru_drain_pinned(struct task *t)
{
	uint32_t filled = task_cpu_data(t)->batches_filled;

	for (; filled != 0; filled &= filled - 1)
		batch_flush(t, (enum lru_batch_kind)__builtin_ctz(filled));
}

void lru_drain(struct task *t)
{
	cpu_pin(t);
	lru_drain_pinned(t);
	cpu_unpin(t);
}

void lru_drain_all(struct task *t)
{
	for (uint32_t cpu = 0; cpu < t->machine->nr_cpus; cpu++) {
		struct cpu_visit visit;

		if (!cpu_visit(t, cpu, &visit))
			continue;
		lru_drain_pinned(t);
		cpu_leave(t, &visit);
	}
}

void lru_disable(struct task *t)
{
	atomic_fetch_add(&t->machine->lru_disabled, 1);
	/* Whoever did not see it yet is pinned, and his batch is drained after he lets go. */
	lru_drain_all(t);
}

void lru_enable(struct task *t)
{
	CHECK(atomic_fetch_sub(&t->machine->lru_disabled, 1) != 0);
}

/* Sets active on a page that still waits in this CPU's add batch. */
static void batch_add_activate(struct task *t, struct page *page)
{
	uint32_t pfn = (uint32_t)(page - t->machine->pages);

	cpu_pin(t);
	const struct lru_batch *batch = &task_cpu_data(t)->batch[BATCH_ADD];

	for (uint32_t i = batch->nr; i-- > 0;) {
		if (batch->pfn[i] == pfn) {
			page_set(page, PG_ACTIVE);
			break;
		}
	}
	cpu_unpin(t);
}

void lru_mark_accessed(struct task *t, struct page *page)
{
	uint64_t flags = page_flags(page);

	if (!(flags & PG_REFERENCED)) {
		page_set(page, PG_REFERENCED);
	} else if (flags & PG_UNEVICTABLE) {
		return;
	} else if (!(flags & PG_ACTIVE)) {
		if (flags & PG_LRU)
			lru_activate(t, page);
		else
			batch_add_activate(t, page);
		page_clear(page, PG_REFERENCED);
		workingset_age(page_node(t->machine, page), page_nr(page));
	}
}

void lru_note_cost(struct task *t, struct lruvec *lruvec, uint32_t file, uint64_t pages)
{
	spin_lock(t, &lruvec->lock, LOCK_LRU);
	uint64_t total = 0;

	uint64_t anon = lruvec->anon_cost + (file ? 0 : pages);
	uint64_t files = lruvec->file_cost + (file ? pages : 0);

	for (uint32_t list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_FILE; list++)
		total += lruvec_size(lruvec, (enum lru_list)list, NR_ZONES - 1);
	if (anon + files > total / 4) {
		anon /= 2;
		files /= 2;
	}
	racy_write(lruvec->anon_cost, anon);
	racy_write(lruvec->file_cost, files);
	spin_unlock(t, &lruvec->lock, LOCK_LRU);
}

/* ---- isolation ---- */

/* Takes a page that is on the list, for now with its place there. => false: it cannot be had */
static bool isolate_claim(const struct lru_isolate *ctl, struct page *page)
{
	if ((!ctl->may_unmap && page_maps(page) != 0) || !page_test(page, PG_LRU) ||
	    !page_get_unless_zero(page))
		return false;
	if (page_test_exchange(page, PG_LRU, PG_ISOLATED))
		return true;
	/* Somebody moves it; it still has the mover's reference, so this is not the last. */
	CHECK(!page_put_test(page));
	return false;
}

/*
 * Takes the pages at the tail until one cannot be had. They leave the list together, as they are.
 * nr_zone: grows by the pages of each zone. => pages taken
 */
static uint64_t isolate_run(struct page *pages, struct lru_isolate *ctl, struct list *out,
			    uint64_t nr_zone[NR_ZONES])
{
	struct list *list = &ctl->lruvec->list[ctl->list];
	struct list run = { PFN_NONE, list->last };
	uint32_t pfn = list->last;
	uint64_t taken = 0;

	while (pfn != PFN_NONE && ctl->scanned < ctl->want) {
		struct page *page = &pages[pfn];
		uint32_t zone = page_zone_index(page);

		__builtin_prefetch(&pages[page->prev], 1);
		if (zone > ctl->zone_limit || !isolate_claim(ctl, page))
			break;
		DCHECK(page_lru_list(page) == ctl->list);
		uint32_t nr = page_nr(page);

		ctl->scanned += nr;
		nr_zone[zone] += nr;
		taken += nr;
		run.first = pfn;
		pfn = page->prev;
	}
	if (taken == 0)
		return 0;
	list->last = pfn;
	if (pfn != PFN_NONE)
		pages[pfn].next = PFN_NONE;
	else
		list->first = PFN_NONE;
	pages[run.first].prev = PFN_NONE;
	list_splice_head(pages, out, &run);
	return taken;
}

void lru_count_taken(struct task *t, const struct lru_isolate *ctl, uint32_t zone, uint64_t nr)
{
	spin_assert_held(t, LOCK_LRU);
	struct node *node = &t->machine->nodes[ctl->lruvec->node];
	int64_t delta = -(int64_t)nr;

	size_add(ctl->lruvec, ctl->list, zone, delta);
	node_stat_add(t, node, (enum node_item)(NR_INACTIVE_ANON + (int)ctl->list), delta);
	zone_stat_add(t, &node->zone[zone],
		      (enum zone_item)(NR_ZONE_INACTIVE_ANON + (int)ctl->list), delta);
}

/* The page at the tail cannot be had: it goes to the head, or to `skipped` if its zone is wrong. */
static void isolate_reject(struct task *t, struct lru_isolate *ctl, struct list *skipped)
{
	struct page *pages = t->machine->pages;
	struct list *list = &ctl->lruvec->list[ctl->list];
	uint32_t pfn = list->last;
	uint32_t zone = page_zone_index(&pages[pfn]);
	uint32_t nr = page_nr(&pages[pfn]);

	list_remove(pages, list, pfn);
	if (zone > ctl->zone_limit) {
		list_add_head(pages, skipped, pfn);
		ctl->skipped += nr;
		ctl->skipped_zone[zone] += nr;
	} else {
		list_add_head(pages, list, pfn);
		ctl->scanned += nr;
	}
	event_add_pinned(t, EV_SIM_LRU_REJECT, 1);
}

uint64_t lru_isolate(struct task *t, struct lru_isolate *ctl, struct list *out)
{
	struct list *list = &ctl->lruvec->list[ctl->list];
	struct list skipped = { PFN_NONE, PFN_NONE };
	uint64_t nr_zone[NR_ZONES] = { 0 };
	uint64_t taken = 0;

	spin_assert_held(t, LOCK_LRU);
	while (ctl->scanned < ctl->want && !list_empty(list)) {
		taken += isolate_run(t->machine->pages, ctl, out, nr_zone);
		if (ctl->scanned < ctl->want && !list_empty(list))
			isolate_reject(t, ctl, &skipped);
	}
	list_splice_head(t->machine->pages, list, &skipped);
	for (uint32_t zone = 0; zone < NR_ZONES; zone++) {
		if (nr_zone[zone] != 0)
			lru_count_taken(t, ctl, zone, nr_zone[zone]);
		if (ctl->skipped_zone[zone] != 0)
			event_add_pinned(t, (enum meter_item)(EV_PGSKIP_DMA + (int)zone),
					 ctl->skipped_zone[zone]);
	}
	return taken;
}

bool lru_isolate_page(struct task *t, struct page *page)
{
	bool taken = false;

	if (!page_test(page, PG_LRU) || !page_get_unless_zero(page))
		return false;
	cpu_pin(t);
	struct lruvec *lruvec = page_lruvec(t, page);

	spin_lock(t, &lruvec->lock, LOCK_LRU);
	if (page_test_clear(page, PG_LRU)) {
		lruvec_remove(t, lruvec, page);
		page_set(page, PG_ISOLATED);
		taken = true;
	}
	spin_unlock(t, &lruvec->lock, LOCK_LRU);
	cpu_unpin(t);
	if (!taken)
		page_put(t, page);
	return taken;
}

void lru_take_cleared(struct task *t, struct page *page)
{
	spin_assert_held(t, LOCK_LRU);
	lruvec_remove(t, page_lruvec(t, page), page);
	page_set(page, PG_ISOLATED);
}

/* One page to the head of its list, not yet counted there. => pinned, lru lock held */
static void putback_one(struct task *t, struct node *node, struct page *page, struct lru_run *run)
{
	if (page_test(page, PG_MLOCKED)) {
		page_clear(page, PG_ACTIVE);
		if (!page_test_set(page, PG_UNEVICTABLE))
			event_add_pinned(t, EV_UNEVICTABLE_PGS_CULLED, page_nr(page));
	}
	if (page_test(page, PG_ACTIVE))
		workingset_age(node, page_nr(page));
	lruvec_add_counted(t, node, page, run);
	page_exchange(page, PG_ISOLATED, PG_LRU);
}

void lru_putback(struct task *t, struct node *node, struct list *list)
{
	struct page *pages = t->machine->pages;
	struct lruvec *lruvec = &node->lruvec;
	uint32_t next = list->last;

	cpu_pin(t);
	/* The isolation's references are dropped only after the lock: keep them in a side array. */
	while (next != PFN_NONE) {
		struct lru_run run = { 0 };
		uint32_t put[SWAP_CLUSTER_MAX];
		uint32_t nr = 0;

		spin_lock(t, &lruvec->lock, LOCK_LRU);
		while (nr < SWAP_CLUSTER_MAX && next != PFN_NONE) {
			struct page *page = &pages[next];

			put[nr++] = next;
			next = page->prev;
			putback_one(t, node, page, &run);
		}
		lru_count_run(t, node, &run);
		spin_unlock(t, &lruvec->lock, LOCK_LRU);
		for (uint32_t i = 0; i < nr; i++)
			page_put(t, &pages[put[i]]);
	}
	cpu_unpin(t);
	*list = (struct list){ PFN_NONE, PFN_NONE };
}
