/*
 * Moving one isolated page to another frame.
 *
 *   old frame, locked               new frame, locked
 *     entries ── migration words      (nothing)          rmap_migrate_out()
 *     cache   ── frozen, replaced ──> cache              the only step that can fail
 *     contents ─────────────────────> contents
 *     flags ────────────────────────> flags, then its LRU list
 *                                     entries            rmap_migrate_in()
 *   unlocked, freed                 unlocked
 *
 * A migration word keeps the entry's writable, young and dirty bits. A fault that meets
 * one sleeps on the page lock of the old frame and looks again; so does a zap, so that
 * the region of a word stays alive. If the page cannot be moved, the same words are
 * turned back to the old frame.
 *
 * Whether it can is decided by its references: ours, the cache's, and none else, at a
 * moment when no entry maps it. A pin, an I/O, a batch or a task that has just found the
 * page holds one more, and the page stays.
 *
 * Most of the time is waiting for memory: of each page the contents, a table entry and two
 * descriptors are in no cache. What the next page of the list will need is asked for while this
 * one's contents are copied (look_ahead()).
 *
 * What must never happen:
 *   1. contents or mappings that differ afterwards, whatever the result
 *   2. a page with a foreign reference moved
 *   3. a migration word that outlives migrate_page()
 *   4. dirty before, and neither dirty nor written afterwards
 *
 * Linux: unmap_and_move(), move_to_new_folio(), folio_migrate_mapping(),
 * folio_migrate_flags() of mm/migrate.c, 6.1. DIFF: every file can be migrated, so that
 * nothing is written out for it; there are no buffers.
 */
#include "core/migrate.h"

#include <errno.h>

#include "core/aops.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/rmap.h"
#include "core/swap.h"
#include "core/vmstat.h"

/*
 * Flags that go over with the contents; those of the caches, and PG_DIRTY of their pages, went with
 * the place in the cache.
 */
#define FLAGS_MOVED                                                                                \
	(PG_REFERENCED | PG_UPTODATE | PG_DIRTY | PG_ACTIVE | PG_WORKINGSET | PG_ERROR |           \
	 PG_RECLAIM | PG_SWAPBACKED | PG_UNEVICTABLE | PG_MLOCKED | PG_ANON | PG_YOUNG | PG_IDLE)
/* What the old frame may not keep: it is no page of anybody any more. They go with its lock. */
#define FLAGS_GIVEN_UP (PG_DIRTY | PG_ACTIVE | PG_UNEVICTABLE | PG_MLOCKED | PG_ANON | PG_ISOLATED)

/* ---- isolation's end ---- */

/* => pinned */
static void count_isolated(struct task *t, const struct page *page, int64_t delta)
{
	node_stat_add(t, page_node(t->machine, page),
		      page_is_file_lru(page) ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, delta);
}

/* Nobody but us refers to the page any more: there is nothing to move. */
static void release_orphan(struct task *t, struct page *page)
{
	cpu_pin(t);
	if (!page_test(page, PG_MOVABLE))
		count_isolated(t, page, -1);
	cpu_unpin(t);
	page_clear(page, PG_ISOLATED | PG_MOVABLE | PG_ACTIVE | PG_UNEVICTABLE);
	page_put(t, page);
}

/* ---- the move ---- */

/* What the page counted for in its old zone and node, it counts for in the new ones. */
static void move_counts(struct task *t, const struct page *from, const struct page *to)
{
	struct neap_machine *m = t->machine;
	struct zone *zone[2] = { page_zone(m, from), page_zone(m, to) };
	bool swapcache = page_test(to, PG_SWAPCACHE);
	bool file = !swapcache && !page_test(from, PG_ANON);

	if (zone[0] == zone[1])
		return;
	for (uint32_t i = 0; i < 2; i++) {
		struct node *node = &m->nodes[zone[i]->node];
		int64_t delta = i == 0 ? -1 : 1;

		if (swapcache)
			node_stat_add(t, node, NR_SWAPCACHED, delta);
		if (swapcache || file)
			node_stat_add(t, node, NR_FILE_PAGES, delta);
		if (file && page_test(to, PG_DIRTY)) {
			node_stat_add(t, node, NR_DIRTY, delta);
			zone_stat_add(t, zone[i], NR_ZONE_WRITE_PENDING, delta);
		}
		if (page_test(from, PG_MLOCKED))
			zone_stat_add(t, zone[i], NR_MLOCK, delta);
	}
}

/*
 * What the next page needs is in no cache and its translations are not known to the processor. It
 * is asked for right before a copy: there nothing else waits for memory, and the atomic operations
 * everywhere else would wait for all of it.
 */
static void look_ahead(struct task *t, const struct migrate_control *control)
{
	struct hw *hw = t->machine->hw;

	if (control->next == PFN_NONE)
		return;
	rmap_soon(t, machine_page(t->machine, control->next));
	hw->ops->soon(hw, control->next);
	uint32_t target =
		control->peek_target != NULL ? control->peek_target(control->arg) : PFN_NONE;

	if (target != PFN_NONE) {
		__builtin_prefetch(machine_page(t->machine, target), 1);
		hw->ops->soon(hw, target);
	}
}

/* => pages locked, no entry maps `from`; 0 or -EAGAIN, nothing changed */
static int move_contents(struct task *t, struct page *from, struct page *to,
			 const struct migrate_control *control)
{
	struct neap_machine *m = t->machine;

	/* The new frame gets the place that the page has in its cache. */
	if (!page_aops(m, from)->migratepage(t, from, to))
		return -EAGAIN;
	move_counts(t, from, to);
	rt_explore(t);
	look_ahead(t, control);
	m->hw->ops->copy(m->hw, (uint32_t)(to - m->pages), (uint32_t)(from - m->pages));
	event_add_pinned(t, EV_SIM_PAGE_COPY, 1);
	if (page_test(from, PG_ANON)) {
		to->owner = from->owner;
		to->index = from->index;
	}
	/* Who found the page in the cache waits for its lock before believing its flags. */
	page_set(to, page_flags(from) & FLAGS_MOVED);
	count_isolated(t, from, -1);
	return 0;
}

/* Entries, place and contents. => as migrate_page(); both locked before and after; pinned */
static int move_page(struct task *t, struct page *from, struct page *to,
		     const struct migrate_control *control)
{
	struct rmap_moved moved = { 0 };
	int err = -EAGAIN;

	/* A page without a cache and without an entry is about to be freed by whoever has it. */
	if (page_maps(from) == 0 && !page_test(from, PG_SWAPCACHE) &&
	    (page_test(from, PG_ANON) || from->owner == 0))
		return -EAGAIN;
	if (page_maps(from) == 0 || rmap_migrate_out(t, from, &moved))
		err = move_contents(t, from, to, control);
	if (err == 0 && moved.entries != 0)
		lru_add_drain(t, to);
	else if (err == 0)
		lru_add(t, to);
	rt_explore(t);
	if (moved.entries != 0)
		rmap_migrate_in(t, err == 0 ? to : from, &moved);
	return err;
}

/* A driver moves its own page, and its reference. => as migrate_locked() */
static int move_movable(struct task *t, struct page *from, struct page *to, enum migrate_mode mode)
{
	struct neap_machine *m = t->machine;
	uint32_t driver = from->owner;

	/* Given up by its driver since we isolated it: as good as moved. */
	if (driver == 0) {
		page_clear(from, PG_ISOLATED | PG_MOVABLE);
		return 1;
	}
	int err = m->movable_ops[driver - 1]->migrate(t, to, from, mode);

	if (err != 0)
		return err;
	page_get(to);
	page_set(to, PG_KERNEL | PG_MOVABLE);
	to->owner = driver;
	from->owner = 0;
	page_clear(from, PG_KERNEL | PG_MOVABLE);
	CHECK(!page_put_test(from)); /* the driver's; ours is still there */
	event_add(t, EV_SIM_PAGE_COPY, 1);
	return 0;
}

/* ---- locks and waiting ---- */

/* => 0 with the page locked, or -EAGAIN */
static int lock_source(struct task *t, struct page *page, enum migrate_mode mode, bool force)
{
	if (page_trylock(t, page))
		return 0;
	/* A task that reclaims may hold locks that the holder of this one waits for. */
	if (!force || mode == MIGRATE_ASYNC || (t->flags & PF_MEMALLOC))
		return -EAGAIN;
	page_lock(t, page);
	return 0;
}

/* => 0, -EAGAIN, -EBUSY */
static int wait_write_out(struct task *t, struct page *page, enum migrate_mode mode, bool force)
{
	if (!page_test(page, PG_WRITEBACK))
		return 0;
	if (mode != MIGRATE_SYNC)
		return -EBUSY;
	if (!force)
		return -EAGAIN;
	page_wait_writeback(t, page);
	return 0;
}

/* With the source locked and a target in hand. => as migrate_page(), or 1: no target was needed */
static int migrate_locked(struct task *t, struct page *from, struct page *to,
			  const struct migrate_control *control, bool force)
{
	int err = wait_write_out(t, from, control->mode, force);

	if (err != 0)
		return err;
	if (!page_trylock(t, to))
		return -EAGAIN;
	if (page_test(from, PG_MOVABLE)) {
		err = move_movable(t, from, to, control->mode);
	} else {
		/* Once for all that is counted on the way; about 2 us, the copy included. */
		cpu_pin(t);
		err = move_page(t, from, to, control);
		cpu_unpin(t);
	}
	page_unlock(t, to);
	return err;
}

int migrate_page(struct task *t, struct page *page, const struct migrate_control *control,
		 bool force)
{
	struct page *pages = t->machine->pages;

	DCHECK(page_test(page, PG_ISOLATED));
	CHECK(!page_test(page, PG_HEAD)); /* huge pages are split before */
	if (page_refs(page) == 1) {
		release_orphan(t, page);
		return 0;
	}
	uint32_t target = control->get_target(t, control->arg);

	if (target == PFN_NONE)
		return -ENOMEM;
	CHECK(&pages[target] != page);
	int err = lock_source(t, page, control->mode, force);

	if (err == 0) {
		err = migrate_locked(t, page, &pages[target], control, force);
		page_unlock_clear(t, page, err == 0 ? FLAGS_GIVEN_UP : 0);
	}
	if (err != 0)
		control->put_target(t, control->arg, target);
	else
		page_put(t, &pages[target]);
	if (err >= 0)
		page_put(t, page);
	return err >= 0 ? 0 : err;
}
