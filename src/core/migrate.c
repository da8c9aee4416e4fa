/*
 * Moving a list of isolated pages.
 *
 *   list ──> pass 1 .. 10:  each page ── moved ............ gone from the list
 *              ^               │ try again ............... next pass
 *              └───────────────┘
 *                              │ cannot be moved ......... set aside
 *                              │ no target ............... stop at once
 *   list <── set aside + not tried
 *
 * The first three passes only try: whoever holds a page lock or writes a page out is
 * likely to be done soon. From the fourth on, a synchronous call sleeps for the lock.
 * Every attempt asks for a target of its own, and gives it back when it fails.
 *
 * Beside pages of the LRU lists there are movable blocks: frames of a driver that can
 * move its own data. A driver registers three functions; its pages carry its number in
 * `owner`, and PG_MOVABLE. They are isolated by PG_ISOLATED under their page lock.
 *
 * What must never happen: a page lost on the way. Each page of the list ends either
 * moved, its old frame given up, or on the list again.
 *
 * Linux: migrate_pages(), putback_movable_pages(), isolate_movable_page() of
 * mm/migrate.c, 6.1. DIFF: no huge pages, so nothing is ever split.
 */
#include "core/migrate.h"

#include <errno.h>

#include "core/event.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/vmstat.h"

#define MIGRATE_PASSES 10u
#define RELAXED_PASSES 3u

/* ---- the list ---- */

/* What became of the pages of one pass. */
struct pass {
	struct list again; /* try once more */
	struct list aside; /* failed for good */
	uint64_t nr_again;
};

/* => 0, or -ENOMEM: the rest of the list was not tried */
static int migrate_pass(struct task *t, struct list *list, struct migrate_control *control,
			struct pass *pass, bool force)
{
	struct page *pages = t->machine->pages;

	pass->nr_again = 0;
	while (!list_empty(list)) {
		uint32_t pfn = list_pop(pages, list);

		rt_preempt(t);
		control->next = list->first;
		int err = migrate_page(t, &pages[pfn], control, force);

		if (err == 0) {
			control->nr_moved++;
		} else if (err == -EAGAIN) {
			list_add_tail(pages, &pass->again, pfn);
			pass->nr_again++;
		} else {
			list_add_tail(pages, &pass->aside, pfn);
			control->nr_failed++;
			if (err == -ENOMEM)
				return -ENOMEM;
		}
	}
	return 0;
}

int migrate_pages(struct task *t, struct list *list, struct migrate_control *control)
{
	struct page *pages = t->machine->pages;
	struct pass pass = { 0 };
	int err = 0;

	event_emit(t, MM_MIGRATE_PAGES_START, control->mode, control->reason);
	control->nr_moved = 0;
	control->nr_failed = 0;
	if (atomic_load_explicit(&t->machine->has_migrated, memory_order_relaxed) == 0 &&
	    atomic_exchange(&t->machine->has_migrated, 1) == 0)
		event_add(t, EV_SIM_MIGRATE_FIRST, 1);
	for (uint32_t i = 0; i < MIGRATE_PASSES && err == 0; i++) {
		err = migrate_pass(t, list, control, &pass, i >= RELAXED_PASSES);
		/* After a full pass the list is empty. */
		list_splice_head(pages, list, &pass.again);
		if (pass.nr_again == 0)
			break;
	}
	control->nr_failed += pass.nr_again;
	list_splice_head(pages, list, &pass.aside);
	cpu_pin(t);
	event_add_pinned(t, EV_PGMIGRATE_SUCCESS, control->nr_moved);
	event_add_pinned(t, EV_PGMIGRATE_FAIL, control->nr_failed);
	cpu_unpin(t);
	event_emit(t, MM_MIGRATE_PAGES, control->nr_moved, control->nr_failed, 0, 0, 0,
		   control->mode, control->reason);
	return err != 0 ? err : (int)control->nr_failed;
}

/* ---- putting back ---- */

static const struct movable_ops *movable_ops_of(const struct neap_machine *m,
						const struct page *page)
{
	return m->movable_ops[page->owner - 1];
}

static void putback_movable(struct task *t, struct page *page)
{
	page_lock(t, page);
	if (page->owner != 0)
		movable_ops_of(t->machine, page)->putback(t, page);
	else /* the driver gave the page up meanwhile */
		page_clear(page, PG_MOVABLE);
	page_clear(page, PG_ISOLATED);
	page_unlock(t, page);
	page_put(t, page);
}

/* LRU pages of one node go back together. */
static void putback_node(struct task *t, struct node *node, struct list *list)
{
	const struct page *pages = t->machine->pages;
	int64_t nr[2] = { 0, 0 };

	for (uint32_t pfn = list->first; pfn != PFN_NONE; pfn = pages[pfn].next)
		nr[page_is_file_lru(&pages[pfn])] += page_nr(&pages[pfn]);
	cpu_pin(t);
	node_stat_add(t, node, NR_ISOLATED_ANON, -nr[0]);
	node_stat_add(t, node, NR_ISOLATED_FILE, -nr[1]);
	cpu_unpin(t);
	lru_putback(t, node, list);
}

void migrate_putback(struct task *t, struct list *list)
{
	struct page *pages = t->machine->pages;

	while (!list_empty(list)) {
		struct list same = { PFN_NONE, PFN_NONE };
		struct list others = { PFN_NONE, PFN_NONE };
		struct node *node = NULL;

		while (!list_empty(list)) {
			uint32_t pfn = list_pop(pages, list);
			struct page *page = &pages[pfn];

			if (page_test(page, PG_MOVABLE)) {
				putback_movable(t, page);
				continue;
			}
			if (node == NULL)
				node = page_node(t->machine, page);
			if (page_node(t->machine, page) == node)
				list_add_head(pages, &same, pfn);
			else
				list_add_tail(pages, &others, pfn);
		}
		if (node != NULL)
			putback_node(t, node, &same);
		*list = others;
	}
}

/* ---- movable blocks ---- */

uint32_t migrate_register(struct neap_machine *m, const struct movable_ops *ops)
{
	for (uint32_t i = 0; i < NR_MOVABLE_OPS; i++) {
		if (m->movable_ops[i] == NULL || m->movable_ops[i] == ops) {
			m->movable_ops[i] = ops;
			return i + 1;
		}
	}
	return 0;
}

void migrate_set_movable(struct page *page, uint32_t driver)
{
	CHECK(driver >= 1 && driver <= NR_MOVABLE_OPS && page_test(page, PG_KERNEL));
	CHECK(!page_test(page, PG_HEAD));
	page->owner = driver;
	page_set(page, PG_MOVABLE);
}

void migrate_clear_movable(struct page *page)
{
	CHECK(page_test(page, PG_LOCKED) && page_test(page, PG_MOVABLE));
	page->owner = 0;
	/* Who isolated it still has to tell it from a page of an LRU list. */
	if (!page_test(page, PG_ISOLATED))
		page_clear(page, PG_MOVABLE);
}

bool migrate_isolate_movable(struct task *t, struct page *page, enum migrate_mode mode)
{
	bool taken = false;

	if (!page_get_unless_zero(page))
		return false;
	if (page_trylock(t, page)) {
		/* It looked movable from outside; now it cannot change any more. */
		if (page_test(page, PG_MOVABLE) && !page_test(page, PG_ISOLATED) &&
		    movable_ops_of(t->machine, page)->isolate(t, page, mode)) {
			page_set(page, PG_ISOLATED);
			taken = true;
		}
		page_unlock(t, page);
	}
	if (!taken)
		page_put(t, page);
	return taken;
}
