/*
 * thp_split.c: from one huge page to 512 small ones.
 *
 *   refs  maps + 1 ──freeze──> 0 ── descriptors of the tails are written ──> refs of 512 pages
 *                    (one more if the swap cache has it; then each part has one of the cache)
 *   entries   map the same frames before, meanwhile and after
 *
 * Splitting changes descriptors only. The head's count is frozen at zero, so nobody gets hold of
 * the page; then each tail becomes a page with the head's flags, its own index, and a reference
 * for its entry if there is one. Programs go on accessing the frames all the time. Whoever came
 * by an entry meanwhile found a page that he could not get, and looks again.
 *
 * One page of a space at a time: meanwhile reclaim keeps all pages of that space that it
 * meets, since their entries are not to be looked at (Linux: rmap locks are only tried there).
 *
 * Who splits:
 *   reclaim   has isolated the page and wants to swap it out in parts: the parts join its list
 *   shrinker  pages of which parts were given back wait in a queue of their node; under pressure
 *             they are split, which frees the parts that nobody maps
 *
 *   queue   first ─> head + 1 ─> head + 1 ─> ...       linked by the second descriptor, because
 *                                                      the first one is on an LRU list
 *
 * How many of them at which priority is the business of core/shrinker.c.
 *
 * What must never happen:
 *   1. a frame that is mapped and not in use, or in use and not reachable
 *   2. a page on the queue that is not a huge page any more: PG_SPLIT_QUEUED and the list change
 *      together, under the queue's lock
 *
 * Linux: split_huge_page_to_list(), __split_huge_page(), deferred_split_huge_page(),
 * deferred_split_scan() of mm/huge_memory.c, 6.1. DIFF: entries are not turned into migration
 * words meanwhile. DIFF: parts in the swap cache whose slots nothing needs are left to reclaim.
 */
#include "core/thp.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/lru.h"
#include "core/pagelock.h"
#include "core/racy.h"
#include "core/shrinker.h"
#include "core/sleeplock.h"
#include "core/tlb.h"
#include "core/vmstat.h"

/* Entries forgotten between two looks at who else wants to run. */
#define FORGET_BATCH 32u

/* Flags that each part has from the whole. */
#define FLAGS_OF_PARTS                                                                             \
	(PG_REFERENCED | PG_UPTODATE | PG_DIRTY | PG_ACTIVE | PG_WORKINGSET | PG_SWAPBACKED |      \
	 PG_UNEVICTABLE | PG_MLOCKED | PG_ANON | PG_SWAPCACHE)

/* ---- the queue ---- */

static void queue_lock(struct task *t, struct node *node)
{
	cpu_pin(t);
	spin_lock(t, &node->split_lock, LOCK_LRU);
}

static void queue_unlock(struct task *t, struct node *node)
{
	spin_unlock(t, &node->split_lock, LOCK_LRU);
	cpu_unpin(t);
}

void thp_defer_split(struct task *t, struct page *page)
{
	struct page *pages = t->machine->pages;
	struct node *node = page_node(t->machine, page);

	if (page_test(page, PG_SPLIT_QUEUED))
		return;
	queue_lock(t, node);
	if (!page_test_set(page, PG_SPLIT_QUEUED)) {
		list_add_tail(pages, &node->split_queue, (uint32_t)(page - pages) + 1);
		racy_write(node->split_queue_len, node->split_queue_len + 1);
		event_add_pinned(t, EV_THP_DEFERRED_SPLIT_PAGE, 1);
	}
	queue_unlock(t, node);
}

/* => queue locked */
static void queue_remove(struct task *t, struct node *node, struct page *page)
{
	struct page *pages = t->machine->pages;

	if (!page_test_clear(page, PG_SPLIT_QUEUED))
		return;
	list_remove(pages, &node->split_queue, (uint32_t)(page - pages) + 1);
	racy_write(node->split_queue_len, node->split_queue_len - 1);
}

void thp_forget(struct task *t, struct page *page)
{
	struct node *node = page_node(t->machine, page);

	if (!page_test(page, PG_SPLIT_QUEUED))
		return;
	queue_lock(t, node);
	queue_remove(t, node, page);
	queue_unlock(t, node);
}

/* ---- splitting ---- */

/* A split in progress. */
struct split {
	struct page *page;
	uint32_t pfn;
	struct lruvec *lruvec; /* its lock is held; NULL: the parts go to `list` */
	struct list *list;
	struct list unmapped; /* parts that nobody needs */
	uint64_t mapped[THP_PAGES / 64];
};

static bool part_is_mapped(const struct split *split, uint32_t i)
{
	return (split->mapped[i / 64] >> (i % 64)) & 1;
}

/* Which parts the region's entries map; they stay as they are while the page is locked. */
static void look_at_entries(struct task *t, struct split *split, const struct region *region)
{
	struct hw_space *space = region->space->hw;
	uint64_t first = region->start_vpn + split->page->index;
	uint64_t vpn = first;
	struct hw_entry found[32];
	uint32_t nr_mapped = 0;
	uint32_t got;

	do {
		got = t->machine->hw->ops->scan(space, vpn, first + THP_PAGES - 1, found,
						ARRAY_LEN(found));
		for (uint32_t i = 0; i < got; i++) {
			uint32_t part = (uint32_t)(found[i].vpn - first);

			if (!(found[i].flags & HW_PRESENT) || found[i].pfn != split->pfn + part)
				continue;
			split->mapped[part / 64] |= (uint64_t)1 << (part % 64);
			nr_mapped++;
		}
		if (got != 0)
			vpn = found[got - 1].vpn + 1;
	} while (got == ARRAY_LEN(found) && vpn < first + THP_PAGES);
	CHECK(nr_mapped == page_maps(split->page));
	event_add(t, EV_SIM_PTE_WALK, THP_PAGES);
}

/* The descriptor of a tail becomes that of a page; its references come last. */
static void make_part(struct task *t, struct split *split, uint32_t i)
{
	struct page *pages = t->machine->pages;
	struct page *part = &split->page[i];
	uint64_t flags = page_flags(split->page);
	uint32_t mapped = part_is_mapped(split, i) ? 1 : 0;
	uint32_t others = split->list != NULL ? 1 : 0; /* the isolation's; the cache's */

	others += (flags & PG_SWAPCACHE) != 0;
	bool listed = mapped + others != 0;

	flags &= FLAGS_OF_PARTS | PAGE_PLACE_MASK;
	if (split->list != NULL)
		flags |= PG_ISOLATED;
	else if (listed)
		flags |= PG_LRU;
	part->owner = split->page->owner;
	part->index = split->page->index + i;
	atomic_store_explicit(&part->maps, mapped, memory_order_relaxed);
	atomic_store_explicit(&part->flags, flags, memory_order_release);
	if (split->list != NULL)
		list_add_tail(pages, split->list, split->pfn + i);
	else if (listed)
		lru_add_before(t, split->lruvec, part, split->page);
	else
		list_add_tail(pages, &split->unmapped, split->pfn + i);
	atomic_store_explicit(&part->refs, mapped + others, memory_order_release);
}

static uint32_t cache_refs(const struct page *page)
{
	return page_test(page, PG_SWAPCACHE) ? 1 : 0;
}

/* => the head's references are frozen; and as struct split says */
static void make_parts(struct task *t, struct split *split)
{
	struct page *page = split->page;
	uint32_t mapped = part_is_mapped(split, 0) ? 1 : 0;

	if (split->lruvec != NULL)
		lru_resize(t, split->lruvec, page, -(int64_t)THP_PAGES);
	/* In this order, so that on a list the last part is the youngest. */
	for (uint32_t i = THP_PAGES - 1; i > 0; i--)
		make_part(t, split, i);
	page_clear(page, PG_HEAD | (uint64_t)0xf << PAGE_ORDER_SHIFT);
	if (split->lruvec != NULL)
		lru_resize(t, split->lruvec, page, 1);
	atomic_store_explicit(&page->maps, mapped, memory_order_relaxed);
	atomic_store_explicit(&page->refs, mapped + 1 + cache_refs(page), memory_order_release);
}

bool thp_can_split(const struct page *page)
{
	return page_refs(page) == page_maps(page) + 1 + cache_refs(page) &&
	       !page_test(page, PG_WRITEBACK);
}

/* => whether the page was split. Nothing here sleeps once it is frozen. */
static bool try_split(struct task *t, struct split *split)
{
	struct page *page = split->page;
	struct node *node = page_node(t->machine, page);

	if (!page_freeze(page, page_maps(page) + 1 + cache_refs(page)))
		return false;
	thp_forget(t, page);
	cpu_pin(t);
	if (split->list == NULL) {
		split->lruvec = &node->lruvec;
		spin_lock(t, &node->lruvec.lock, LOCK_LRU);
		CHECK(page_test(page, PG_LRU)); /* whoever takes it off its list has a reference */
	}
	make_parts(t, split);
	if (split->list == NULL)
		spin_unlock(t, &node->lruvec.lock, LOCK_LRU);
	cpu_unpin(t);
	return true;
}

/*
 * Linux takes the entries out one by one, and the CPUs that run the program must forget each before
 * the next one's turn. Ours stay; the time that passes is the same.
 */
static void forget_entries(struct task *t, const struct split *split)
{
	for (uint32_t i = 0; i < THP_PAGES; i++) {
		if (part_is_mapped(split, i))
			tlb_flush_page(t);
		if (i % FORGET_BATCH == FORGET_BATCH - 1)
			rt_preempt(t);
	}
}

/* => page locked and mapped, so that its region and space stay. May sleep. As try_split() */
static bool split_mapped(struct task *t, struct split *split)
{
	struct region *region = pool_get(&t->machine->regions, split->page->owner);
	struct space *space = region->space;

	/* Not sleeplock_take(): who has it waits for CPUs only, so reclaim may wait for him. */
	while (!sleeplock_try(&space->splitting))
		(void)rt_wait(t, &space->splitting, 1, SLEEPLOCK_LOOK_NS); /* or late */
	if (page_test(split->page, PG_THP_WHOLE))
		thp_split_entries(t, region, split->page);
	look_at_entries(t, split, region);
	forget_entries(t, split);
	rt_explore(t);
	bool done = try_split(t, split);

	sleeplock_release(t, &space->splitting);
	return done;
}

int thp_split(struct task *t, struct page *page, struct list *list)
{
	struct page *pages = t->machine->pages;
	struct split split = { .page = page, .pfn = (uint32_t)(page - pages), .list = list };
	bool done = false;

	DCHECK(page_test(page, PG_LOCKED) && thp_is_huge(page));
	if (page_test(page, PG_WRITEBACK)) /* not tried, so it did not fail */
		return -EAGAIN;
	/* Without entries the region may be gone. */
	if (thp_can_split(page))
		done = page_maps(page) != 0 ? split_mapped(t, &split) : try_split(t, &split);
	event_add(t, done ? EV_THP_SPLIT_PAGE : EV_THP_SPLIT_PAGE_FAILED, 1);
	while (!list_empty(&split.unmapped))
		page_free_frozen(t, &pages[list_pop(pages, &split.unmapped)]);
	return done ? 0 : -EAGAIN;
}

void thp_split_range(struct task *t, uint32_t first, uint32_t end)
{
	for (uint32_t pfn = first & ~(THP_PAGES - 1); pfn < end; pfn += THP_PAGES) {
		struct page *page = machine_page(t->machine, pfn);
		int err = 0;

		if (!thp_is_huge(page) || !page_get_unless_zero(page))
			continue;
		page_lock(t, page);
		page_wait_writeback(t, page);
		if (thp_is_huge(page) && page_test(page, PG_LRU))
			err = thp_split(t, page, NULL);
		page_unlock(t, page);
		page_put(t, page);
		if (err != 0) /* it stays in the way, and the caller will meet it */
			return;
		rt_preempt(t);
	}
}

/* ---- the shrinker ---- */

/* Takes references of the first `most` pages of the queue, which go to its end. => how many */
static uint32_t queue_take(struct task *t, struct node *node, struct page **taken, uint32_t most)
{
	struct page *pages = t->machine->pages;
	uint32_t nr = 0;

	queue_lock(t, node);
	for (uint32_t i = min_u32(most, node->split_queue_len); i > 0; i--) {
		uint32_t pfn = node->split_queue.first;
		struct page *page = &pages[pfn - 1];

		if (!page_get_unless_zero(page)) {
			/* It is about to be freed, or split by somebody else. */
			queue_remove(t, node, page);
			continue;
		}
		list_remove(pages, &node->split_queue, pfn);
		list_add_tail(pages, &node->split_queue, pfn);
		taken[nr++] = page;
	}
	queue_unlock(t, node);
	return nr;
}

static uint64_t count_queued(struct task *t, void *ctx, const struct shrink_request *request)
{
	(void)t;
	(void)ctx;
	return racy_read(request->node->split_queue_len);
}

/* => pages split; SHRINK_STOP: none was, and none waits any more */
static uint64_t split_queued(struct task *t, void *ctx, struct shrink_request *request)
{
	struct page *taken[SHRINKER_BATCH];
	uint32_t nr = queue_take(t, request->node, taken,
				 (uint32_t)min_u64(request->nr_to_scan, SHRINKER_BATCH));
	uint64_t nr_split = 0;

	(void)ctx;
	for (uint32_t i = 0; i < nr; i++) {
		if (page_trylock(t, taken[i])) {
			if (thp_is_huge(taken[i]) && thp_split(t, taken[i], NULL) == 0)
				nr_split++;
			page_unlock(t, taken[i]);
		}
		page_put(t, taken[i]);
		rt_preempt(t);
	}
	if (nr_split == 0 && racy_read(request->node->split_queue_len) == 0)
		return SHRINK_STOP;
	return nr_split;
}

int thp_register_shrinker(struct task *t, struct neap_machine *m)
{
	static const struct shrinker_spec spec = { .name = "deferred_split",
						   .count = count_queued,
						   .scan = split_queued,
						   .seeks = SHRINKER_SEEKS,
						   .per_node = true };
	int number = shrinker_register(t, m, &spec);

	return number < 0 ? number : 0;
}

const char *thp_verify_queue(const struct node *node, uint64_t *nr_pages)
{
	const struct page *pages = node->machine->pages;

	*nr_pages = 0;
	for (uint32_t pfn = node->split_queue.first; pfn != PFN_NONE; pfn = pages[pfn].next) {
		const struct page *page = &pages[pfn - 1];

		if (!thp_is_huge(page) || !page_test(page, PG_SPLIT_QUEUED) ||
		    page_node_id(page) != node->id)
			return "a page that waits to be split is no huge page of the node";
		if (++*nr_pages > node->split_queue_len)
			break;
	}
	return *nr_pages == node->split_queue_len
		       ? NULL
		       : "the queue of pages to be split has another length than its count";
}
