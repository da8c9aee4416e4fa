/*
 * hugepool.c: huge pages that are set aside by hand.
 *
 *   node 0   pool ─> [2 MiB] ─> [2 MiB] ─> ...       newest first
 *   node 1   pool ─> [2 MiB] ─> ...
 *              ^ next node to grow, next node to shrink: they take turns
 *
 * A write to nr_hugepages asks for a number of pages. The pool grows by one page after the other,
 * each a request of order 9 of its own: on one node only, and with RETRY_MAYFAIL, so that it
 * reclaims and compacts as long as that seems to help. A node on which this failed is tried
 * lightly for the rest of the write, until it has a page again after all. The first page that no
 * node can give ends the write; the shorter count is the file's new value. Shrinking takes the
 * newest page of each node in turn.
 *
 * A page of the pool is in use by the pool: one reference, PG_HUGETLB at its head. It is on no LRU
 * list, nobody maps it, reclaim and compaction pass over it.
 *
 * One resize runs at a time; a sleeping word serialises them. So the lists need no lock, and the
 * counts, which snapshots read, are atomics.
 *
 * What must never happen: a page that is in the pool and on a free list, or counted and on no
 * list; hugepool_verify() counts both.
 *
 * Linux: set_max_huge_pages() and alloc_buddy_huge_page() of mm/hugetlb.c, 6.1. DIFF: nobody maps
 * pages of the pool here, so none are reserved or surplus, and nr_overcommit_hugepages is only
 * kept.
 */
#include "core/hugepool.h"

#include "core/alloc.h"
#include "core/lru.h"
#include "core/vmstat.h"

#define HUGE_ORDER NEAP_PAGEBLOCK_ORDER
#define LOCK_WAIT_NS (4 * NSEC_PER_MSEC)
/* 0x346cca with RETRY_MAYFAIL: user movable, compound, no warning, this node only. */
#define POOL_GFP (GFP_HIGHUSER_MOVABLE | GFP_BIT_COMP | GFP_BIT_NOWARN | GFP_BIT_THISNODE)

/* A resize in progress. */
struct resize {
	uint64_t tired; /* bit: node that failed, and is not tried hard any more */
};

uint64_t hugepool_node_pages(const struct node *node)
{
	return atomic_load_explicit(&((struct node *)(uintptr_t)node)->nr_huge_pool,
				    memory_order_relaxed);
}

uint64_t hugepool_pages(const struct neap_machine *m)
{
	uint64_t pages = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		pages += hugepool_node_pages(&m->nodes[n]);
	return pages;
}

/* ---- turns ---- */

/* The node whose turn it is, at or after *next; *next moves on behind it. */
static struct node *take_turn(struct neap_machine *m, uint32_t *next)
{
	struct node *node = &m->nodes[*next];

	CHECK(m->nr_nodes > 0);
	for (uint32_t i = 0; i < m->nr_nodes && !node_has_memory(node); i++)
		node = &m->nodes[(node->id + 1) % m->nr_nodes];
	*next = (node->id + 1) % m->nr_nodes;
	return node;
}

/* ---- growing ---- */

/* One page of one node. May sleep. => PFN_NONE: none could be had */
static uint32_t grow_on_node(struct task *t, const struct node *node, struct resize *resize)
{
	uint64_t bit = (uint64_t)1 << node->id;
	bool hard = (resize->tired & bit) == 0;
	struct alloc_request request = { .gfp = POOL_GFP | (hard ? GFP_BIT_RETRY_MAYFAIL : 0),
					 .order = HUGE_ORDER,
					 .node = node->id };
	uint32_t pfn = alloc_pages(t, &request);

	if (pfn == PFN_NONE && hard)
		resize->tired |= bit;
	if (pfn != PFN_NONE && !hard)
		resize->tired &= ~bit;
	event_add(t, pfn == PFN_NONE ? EV_HTLB_BUDDY_ALLOC_FAIL : EV_HTLB_BUDDY_ALLOC_SUCCESS, 1);
	return pfn;
}

/* One page of any node, each tried once. May sleep. => false: no node has one */
static bool grow(struct task *t, struct neap_machine *m, struct resize *resize)
{
	for (uint32_t i = 0; i < m->nr_nodes; i++) {
		struct node *node = take_turn(m, &m->huge_next_grow);
		uint32_t pfn = grow_on_node(t, node, resize);

		if (pfn == PFN_NONE)
			continue;
		page_set(machine_page(m, pfn), PG_HUGETLB);
		list_add_head(m->pages, &node->huge_pool, pfn);
		atomic_fetch_add_explicit(&node->nr_huge_pool, 1, memory_order_relaxed);
		return true;
	}
	return false;
}

/* ---- shrinking ---- */

/* => the pool has pages; one is on *out instead, first */
static void take_out(struct neap_machine *m, struct list *out)
{
	struct node *node = take_turn(m, &m->huge_next_shrink);

	for (uint32_t i = 0; i < m->nr_nodes && list_empty(&node->huge_pool); i++)
		node = take_turn(m, &m->huge_next_shrink);
	uint32_t pfn = list_pop(m->pages, &node->huge_pool);

	CHECK(pfn != PFN_NONE);
	atomic_fetch_sub_explicit(&node->nr_huge_pool, 1, memory_order_relaxed);
	list_add_head(m->pages, out, pfn);
}

static void shrink(struct task *t, struct neap_machine *m, uint64_t want)
{
	struct list out = { PFN_NONE, PFN_NONE };

	while (hugepool_pages(m) > want)
		take_out(m, &out);
	while (!list_empty(&out)) {
		struct page *page = machine_page(m, list_pop(m->pages, &out));

		page_clear(page, PG_HUGETLB);
		/* Not always the last reference: an old table entry may have led somebody here. */
		page_put(t, page);
		rt_preempt(t);
	}
}

/* ---- resizing ---- */

static void resize_lock(struct task *t, struct neap_machine *m)
{
	while (atomic_exchange(&m->huge_resizing, 1) != 0) /* bounded by the resizes before us */
		(void)rt_wait(t, &m->huge_resizing, 1, LOCK_WAIT_NS); /* any return: look again */
}

static void resize_unlock(struct task *t, struct neap_machine *m)
{
	atomic_store(&m->huge_resizing, 0);
	rt_wake(t, &m->huge_resizing, 1);
}

uint64_t hugepool_resize(struct task *t, struct neap_machine *m, uint64_t want)
{
	struct resize resize = { 0 };

	rt_assert_may_sleep(t);
	resize_lock(t, m);
	/* event loop: ends with the wish, the first failure, or the task's end */
	while (hugepool_pages(m) < want && grow(t, m, &resize)) {
		rt_preempt(t);
		if (t->flags & PF_EXITING)
			break;
	}
	shrink(t, m, want);
	uint64_t pages = hugepool_pages(m);

	resize_unlock(t, m);
	return pages;
}

/* ---- verification ---- */

const char *hugepool_verify(const struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		const struct node *node = &m->nodes[n];
		uint64_t pages = 0;

		for (uint32_t pfn = node->huge_pool.first; pfn != PFN_NONE;
		     pfn = m->pages[pfn].next) {
			const struct page *page = machine_page(m, pfn);

			if (!page_test(page, PG_HUGETLB) || page_order(page) != HUGE_ORDER ||
			    page_node_id(page) != n || page_refs(page) != 1)
				return "a page of the huge page pool is not what it should be";
			if (++pages > hugepool_node_pages(node))
				break;
		}
		if (pages != hugepool_node_pages(node))
			return "the pool of huge pages has another length than its count";
	}
	return NULL;
}
