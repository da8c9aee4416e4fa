/*
 * The working set: what became of pages that were evicted (spec 10, section 7).
 *
 * Each lruvec has an age that grows by one for every page that leaves it or is
 * activated in it. A page that is evicted leaves a shadow in the slot it leaves,
 * holding the age of that moment. When the page comes back, the difference of
 * ages is how many other pages moved meanwhile: its refault distance. If that is
 * no more than the pages that could have been given up for it, it would have
 * stayed with a better choice, and it starts on the active list.
 *
 *   shadow  63 ........ 12 | 11 ... 2 | 1          | 0
 *           eviction age   | node     | workingset | 1 (tells it from a frame)
 *
 * The age is kept modulo 2^52; distances are far below that.
 *
 * What must never happen: a shadow taken for a page, or the other way round; bit
 * 0 decides.
 *
 * Linux: mm/workingset.c. DIFF: no memory cgroup id in the shadow yet.
 */
#include "core/workingset.h"

#include "core/lru.h"
#include "core/vmstat.h"

#define SHADOW_WORKINGSET 2u
#define SHADOW_NODE_SHIFT 2u
#define SHADOW_NODE_MASK 0x3ffu
#define SHADOW_AGE_SHIFT 12u
#define SHADOW_AGE_MASK ((UINT64_C(1) << 52) - 1)

void workingset_age(struct node *node, uint64_t pages)
{
	atomic_fetch_add_explicit(&node->lruvec.nonresident_age, pages, memory_order_relaxed);
}

uint64_t workingset_eviction(struct page *page, struct node *node)
{
	uint64_t age = atomic_load_explicit(&node->lruvec.nonresident_age, memory_order_relaxed);
	uint64_t shadow = (age & SHADOW_AGE_MASK) << SHADOW_AGE_SHIFT;

	shadow |= (uint64_t)node->id << SHADOW_NODE_SHIFT;
	shadow |= SHADOW_TAG;
	if (page_test(page, PG_WORKINGSET))
		shadow |= SHADOW_WORKINGSET;
	workingset_age(node, page_nr(page));
	return shadow;
}

static ALWAYS_INLINE uint64_t list_pages(_Atomic uint64_t *zones)
{
	return atomic_load_explicit(&zones[0], memory_order_relaxed) +
	       atomic_load_explicit(&zones[1], memory_order_relaxed) +
	       atomic_load_explicit(&zones[2], memory_order_relaxed) +
	       atomic_load_explicit(&zones[3], memory_order_relaxed) +
	       atomic_load_explicit(&zones[4], memory_order_relaxed);
}

_Static_assert(NR_ZONES == 5, "list_pages() adds up every zone's");

/* Pages that compete with a refaulting one: the S of spec 10. */
static uint64_t workingset_size(const struct node *node, bool file)
{
	struct lruvec *lruvec = (struct lruvec *)(uintptr_t)&node->lruvec;
	bool swap = atomic_load(&node->machine->nr_swap_free) > 0;
	_Atomic uint64_t *files = lruvec->size[LRU_ACTIVE_FILE];
	_Atomic uint64_t *anon = lruvec->size[LRU_ACTIVE_ANON];
	_Atomic uint64_t *own = lruvec->size[file ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE];
	uint64_t size = list_pages(files);

	if (swap)
		size += list_pages(anon);
	if (swap || !file)
		size += list_pages(own);
	return size;
}

/* What came back, that it starts on the active list, and that it had been there. */
static void workingset_count(struct task *t, struct node *node, uint32_t file, bool active,
			     bool restored)
{
	struct cpu_slot *pinned = cpu_pin_leaf(t);

	node_stat_add(t, node, file ? WORKINGSET_REFAULT_FILE : WORKINGSET_REFAULT_ANON, 1);
	if (active)
		node_stat_add(t, node, file ? WORKINGSET_ACTIVATE_FILE : WORKINGSET_ACTIVATE_ANON,
			      1);
	if (restored)
		node_stat_add(t, node, file ? WORKINGSET_RESTORE_FILE : WORKINGSET_RESTORE_ANON, 1);
	cpu_unpin_leaf(t, pinned);
}

void workingset_refault(struct task *t, struct page *page, uint64_t shadow)
{
	struct neap_machine *m = t->machine;
	uint32_t file = page_is_file_lru(page);
	struct node *evicted = &m->nodes[(shadow >> SHADOW_NODE_SHIFT) & SHADOW_NODE_MASK];
	struct node *home = page_node(m, page);
	uint64_t age = atomic_load_explicit(&evicted->lruvec.nonresident_age, memory_order_relaxed);
	uint64_t distance = (age - (shadow >> SHADOW_AGE_SHIFT)) & SHADOW_AGE_MASK;

	DCHECK(shadow & SHADOW_TAG);
	bool active = distance <= workingset_size(evicted, file != 0);
	bool restored = active && (shadow & SHADOW_WORKINGSET) != 0;

	workingset_count(t, home, file, active, restored);
	if (!active)
		return;
	page_set(page, restored ? PG_ACTIVE | PG_WORKINGSET : PG_ACTIVE);
	workingset_age(home, 1);
	if (restored)
		lru_note_cost(t, &home->lruvec, file, 1);
}
