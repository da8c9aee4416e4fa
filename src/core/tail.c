/*
 * The tail of a list, decided about as a whole.
 *
 * Reclaim takes up to 32 pages off a list, decides about each under its page lock, and
 * puts those back that stay. Where all of them stay, as in a program whose memory is in
 * use, most of that is taking pages away from others and giving them back. So before
 * anything is taken the tail is looked at, under the lru lock and without changing it:
 *
 *	list  head ── ... ── page ── page ── page ── page    the last 32
 *	                      │       │       │       │
 *	                     flags, references, entry: is the outcome certain?
 *
 *	one is not   nothing has happened: isolate them, and decide one by one
 *	all are      young bits off, flags on, and the tail moves to a head in one piece
 *
 * Certain is, in each case for a page of one frame that is on its list, unlocked and
 * evictable, with a reference, and with nobody asleep in its bucket of wait queues, who
 * would be woken by an unlock:
 *
 *	inactive anonymous, its one entry young        stays; the second time, goes up
 *	active anonymous, or active and not mapped     goes down, its young bit off
 *
 * On the active list of files a mapped page may be a program's text, which stays; so may
 * an anonymous page that lies there because it may be freed without being swapped out.
 *
 * Why no page lock and no reference is needed:
 *	1. A page on a list is freed under the lru lock, so it is not freed here, and
 *	   stays the anonymous page, or page of a file, that it is.
 *	2. A mapped anonymous page has a live region. The last entry of a region goes
 *	   before region_destroy() takes every node's lru lock, and its tables and itself
 *	   go after that. So who sees maps != 0 under the lock, and only then reads the
 *	   owner, may look into the region and its tables until he lets the lock go.
 *	3. An entry that changes after the first look is left alone by the second, which
 *	   is one compare-and-swap and looks at the frame again.
 *	4. Others who lock the page afterwards come after us: what happened to it is what
 *	   happens to a page that is locked, tested and unlocked before they begin.
 *	5. A page whose PG_LRU somebody cleared after the look is moved like one that
 *	   cannot be had; he finds list and flags in agreement once he has the lru lock.
 *
 * What must never happen: one page of a tail changed and another one left to the
 * general way, which would see the first one's young bit gone; an outcome, a counter or
 * an event other than the general way's (tests/unit/test_tail.c compares the two).
 *
 * Somebody who watches events looks at counters in the middle of a batch, so that
 * batches go the general way then.
 *
 * Linux: nothing like it. folio_check_references() and shrink_active_list() of
 * mm/vmscan.c give the outcomes.
 */
#include "core/tail.h"

#include "core/event.h"
#include "core/gfp.h"
#include "core/pagelock.h"
#include "core/space.h"
#include "core/thp.h"
#include "core/workingset.h"

#define TAIL_PAGES SWAP_CLUSTER_MAX

/* None of these is set on a page that is certain. */
#define TAIL_FLAGS_OFF                                                                             \
	(PG_LOCKED | PG_WRITEBACK | PG_UNEVICTABLE | PG_MLOCKED | PG_ISOLATED | PG_HEAD | PG_TAIL)

_Static_assert(TAIL_PAGES <= 32, "`up` has a bit for each page");

/* The pages looked at, the list's last one first. */
struct look {
	struct neap_machine *m;
	struct lru_isolate *ctl;
	bool active; /* the list is an active one */
	uint32_t pfn[TAIL_PAGES];
	struct hw_spot spot[TAIL_PAGES]; /* of the mapped ones */
	uint32_t nr, nr_spots;
	uint32_t looked;	       /* spots before this one have been looked at */
	uint32_t up;		       /* bits: these go up */
	uint32_t nr_zone[NR_ZONES];    /* pages of each zone, */
	uint32_t nr_up_zone[NR_ZONES]; /* and those that go up */
	uint32_t owner;		       /* id of `region` */
	struct region *region;
};

/* Not all of it is written: most is filled as it is used. */
static void look_begin(struct look *look, struct neap_machine *m, struct lru_isolate *ctl)
{
	look->m = m;
	look->ctl = ctl;
	look->nr = look->nr_spots = look->looked = 0;
	look->active = ctl->list == LRU_ACTIVE_ANON || ctl->list == LRU_ACTIVE_FILE;
	look->up = 0;
	for (uint32_t zone = 0; zone < NR_ZONES; zone++)
		look->nr_zone[zone] = look->nr_up_zone[zone] = 0;
	look->owner = 0; /* no region has it */
	look->region = NULL;
}

/* => whether all spots that were not looked at are certain */
static bool look_at_spots(struct look *look)
{
	uint32_t first = look->looked;

	look->looked = look->nr_spots;
	DCHECK(look->region == NULL || look->region->id == look->owner); /* reason 2: it lives */
	return first == look->nr_spots ||
	       look->m->hw->ops->spot_look(look->region->space->hw, &look->spot[first],
					   look->nr_spots - first, !look->active);
}

/* The next page belongs to another region. => false: a page of the latest one is not certain */
static NOINLINE bool look_change_region(struct look *look, uint32_t owner)
{
	if (!look_at_spots(look))
		return false;
	look->owner = owner;
	look->region = pool_get(&look->m->regions, owner);
	if (thp_is_splitting(look->region->space))
		return false;
	/* Young bits do not count in a region that is read once. */
	return look->active || region_pattern(look->region) != REGION_SEQUENTIAL;
}

/* A mapped anonymous page's entry is one to look at. => false: a page is not certain */
static ALWAYS_INLINE bool look_add_spot(struct look *look, const struct page *page, uint32_t pfn)
{
	struct hw_spot *spot = &look->spot[look->nr_spots];

	if (page->owner != look->owner && !look_change_region(look, page->owner))
		return false;
	spot->vpn = look->region->start_vpn + page->index;
	spot->pfn = pfn;
	look->nr_spots++;
	/* The 1st, 5th, 21st: most tails of a list that is being reclaimed fail early. */
	return look->nr_spots <= 4 * look->looked || look_at_spots(look);
}

/* => whether it is certain what becomes of the page, as far as the page itself tells */
static ALWAYS_INLINE bool look_at_page(struct look *look, const struct page *page, uint32_t pfn,
				       bool active)
{
	uint64_t flags = page_flags(page);
	uint64_t kind = active ? 0 : PG_ANON;
	uint32_t zone = page_zone_index_of(flags);
	bool mapped = page_maps(page) != 0; /* before the owner is read */

	if ((flags & (PG_LRU | TAIL_FLAGS_OFF | kind)) != (PG_LRU | kind) || page_refs(page) == 0 ||
	    zone > look->ctl->zone_limit || (!active && !mapped) ||
	    (active && mapped && !(flags & PG_SWAPBACKED)) ||
	    waitq_active(page_wait_queue(look->m, page)))
		return false;
	if (!active && (flags & PG_REFERENCED)) {
		/* Its slot may have to be given back. */
		if (flags & PG_SWAPCACHE)
			return false;
		look->up |= 1u << look->nr;
		look->nr_up_zone[zone]++;
	}
	if (mapped && !look_add_spot(look, page, pfn))
		return false;
	look->nr_zone[zone]++;
	look->pfn[look->nr++] = pfn;
	return true;
}

/* => true: all of the tail is certain, and there is one; nothing has changed either way */
static ALWAYS_INLINE bool look_at_tail(struct task *t, struct look *look, bool active)
{
	const struct page *pages = look->m->pages;
	uint64_t want = look->ctl->want;
	uint32_t pfn = look->ctl->lruvec->list[look->ctl->list].last;

	while (pfn != PFN_NONE && look->nr < want) {
		const struct page *page = &pages[pfn];

		__builtin_prefetch(&pages[page->prev], 1);
		rt_explore(t);
		if (!look_at_page(look, page, pfn, active))
			return false;
		pfn = page->prev;
	}
	return look->nr != 0 && look_at_spots(look);
}

/* Pages come to a list, those of each zone. */
static void count_come(struct task *t, struct node *node, enum lru_list list,
		       const uint32_t nr_zone[NR_ZONES])
{
	for (uint32_t zone = 0; zone < NR_ZONES; zone++)
		if (nr_zone[zone] != 0)
			lru_count_run(t, node,
				      &(struct lru_run){ .list = list,
							 .zone = zone,
							 .nr_pages = 1,
							 .nr = nr_zone[zone] });
}

/* All of an active list's tail goes to the inactive list. */
static void tail_down(struct task *t, struct node *node, struct look *look)
{
	struct page *pages = look->m->pages;
	enum lru_list to = (enum lru_list)(look->ctl->list - 1);

	for (uint32_t i = 0; i < look->nr; i++) {
		struct page *page = &pages[look->pfn[i]];

		if (page_test(page, PG_WORKINGSET))
			page_clear(page, PG_ACTIVE);
		else
			page_exchange(page, PG_ACTIVE, PG_WORKINGSET);
	}
	list_move_end(pages, &node->lruvec.list[look->ctl->list], look->pfn[look->nr - 1],
		      &node->lruvec.list[to]);
	count_come(t, node, to, look->nr_zone);
}

/* Some of an inactive list's tail go up. Each goes to the head of its list, the last one first. */
static void tail_part(struct task *t, struct node *node, struct look *look)
{
	struct page *pages = look->m->pages;
	struct list *list = &node->lruvec.list[look->ctl->list];
	struct list *active = &node->lruvec.list[look->ctl->list + 1];

	for (uint32_t i = 0; i < look->nr; i++) {
		bool up = (look->up >> i & 1) != 0;

		page_set(&pages[look->pfn[i]], up ? PG_ACTIVE : PG_REFERENCED);
		list_remove(pages, list, look->pfn[i]);
		list_add_head(pages, up ? active : list, look->pfn[i]);
	}
	for (uint32_t zone = 0; zone < NR_ZONES; zone++)
		look->nr_zone[zone] -= look->nr_up_zone[zone];
	count_come(t, node, look->ctl->list, look->nr_zone);
	count_come(t, node, (enum lru_list)(look->ctl->list + 1), look->nr_up_zone);
}

/* All of an inactive list's tail stays on it. */
static void tail_stay(struct task *t, struct node *node, struct look *look)
{
	struct page *pages = look->m->pages;
	struct list *list = &node->lruvec.list[look->ctl->list];

	for (uint32_t i = 0; i < look->nr; i++)
		page_set(&pages[look->pfn[i]], PG_REFERENCED);
	list_move_end(pages, list, look->pfn[look->nr - 1], list);
	count_come(t, node, look->ctl->list, look->nr_zone);
}

void tail_decide(struct task *t, struct lru_isolate *ctl, struct tail *tail)
{
	struct neap_machine *m = t->machine;
	struct node *node = &m->nodes[ctl->lruvec->node];
	struct look look;

	spin_assert_held(t, LOCK_LRU);
	*tail = (struct tail){ 0 };
	if (!ctl->may_unmap || ctl->want > TAIL_PAGES || ctl->list == LRU_INACTIVE_FILE ||
	    (atomic_load_explicit(&m->tracing, memory_order_relaxed) & EVENT_TO_HOOK))
		return;
	look_begin(&look, m, ctl);
	if (!(look.active ? look_at_tail(t, &look, true) : look_at_tail(t, &look, false)))
		return;
	m->hw->ops->spot_take(look.spot, look.nr_spots);
	for (uint32_t zone = 0; zone < NR_ZONES; zone++)
		if (look.nr_zone[zone] != 0)
			lru_count_taken(t, ctl, zone, look.nr_zone[zone]);
	tail->nr = look.nr;
	tail->nr_ptes = look.nr_spots;
	tail->nr_up = (uint32_t)__builtin_popcount(look.up);
	ctl->scanned = look.nr;
	if (look.active) {
		tail_down(t, node, &look);
	} else if (look.up != 0) {
		tail_part(t, node, &look);
		workingset_age(node, tail->nr_up);
	} else {
		tail_stay(t, node, &look);
	}
}

void tail_forget_region(struct task *t)
{
	struct neap_machine *m = t->machine;

	for (uint32_t nid = 0; nid < m->nr_nodes; nid++) {
		struct spinlock *lock = &m->nodes[nid].lruvec.lock;

		spin_lock(t, lock, LOCK_LRU);
		spin_unlock(t, lock, LOCK_LRU);
	}
}
