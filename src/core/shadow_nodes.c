/*
 * shadow_nodes.c: a limit on what is remembered of files' pages that are gone.
 *
 * A page that reclaim takes leaves a shadow in its file's index (core/workingset.c). When the
 * last page of a leaf has gone, the leaf stays, for its shadows alone:
 *
 *   leaf   page  page  page ...    in use
 *          shade page  shade ...   in use
 *          shade shade   -   ...   only shadows: at the end of its node's list
 *
 * A file much larger than memory that is read once would fill memory with such leaves. So a
 * shrinker counts those that are more than the node's pages make worth while, and frees the
 * oldest: shadows far older than the lists are long activate nothing anyway. With full leaves
 * the limit is as many shadows as there are pages 8 times over; usually they are emptier.
 *
 *   worth while = (pages on LRU lists + slab) * 8 / slots of a leaf
 *
 * A leaf is found by its number in the index of its file. The file cannot go while the leaf is on
 * the list and both locks below are held; then its count of users keeps it.
 *
 *   list of files' lock ── list of leaves' lock ── file counted ── both dropped
 *   file's lock ── still that leaf, still only shadows? ── emptied, off the list, out of the index
 *
 * What must never happen: a leaf on the list that has a page (verify); a shadow dropped that has
 * become a page.
 *
 * Linux: count_shadow_nodes(), shadow_lru_isolate() of mm/workingset.c.
 */
#include "core/shadow_nodes.h"

#include "core/index_node.h"
#include "core/lru.h"
#include "core/shrinker.h"
#include "core/vmstat.h"

#define SHADOWS_PER_PAGE_SHIFT 3u /* if all leaves were full: 8 */

/* Also read without the lock. */
static _Atomic int64_t *nr_leaves(struct node *node)
{
	return &node->stat[WORKINGSET_NODES];
}

static struct node *home_of(struct neap_machine *m, uint64_t place)
{
	return page_node(m, machine_page(m, (uint32_t)(place >> PLACE_SHIFT)));
}

/* => shadow_lock held */
static void leaves_append(struct neap_machine *m, struct node *node, uint64_t place)
{
	struct index_node *leaf = node_at(m, place);

	leaf->older = node->shadow_newest;
	leaf->newer = INDEX_NODE_NONE;
	if (leaf->older != INDEX_NODE_NONE)
		node_at(m, leaf->older)->newer = place;
	else
		node->shadow_oldest = place;
	node->shadow_newest = place;
}

/* => shadow_lock held */
static void leaves_remove(struct neap_machine *m, struct node *node, const struct index_node *leaf)
{
	if (leaf->older != INDEX_NODE_NONE)
		node_at(m, leaf->older)->newer = leaf->newer;
	else
		node->shadow_oldest = leaf->newer;
	if (leaf->newer != INDEX_NODE_NONE)
		node_at(m, leaf->newer)->older = leaf->older;
	else
		node->shadow_newest = leaf->older;
}

void shadow_nodes_list(struct task *t, uint64_t place)
{
	struct node *node = home_of(t->machine, place);

	spin_assert_held(t, LOCK_MAPPING);
	spin_lock(t, &node->shadow_lock, LOCK_LRU);
	leaves_append(t->machine, node, place);
	atomic_fetch_add_explicit(nr_leaves(node), 1, memory_order_relaxed);
	spin_unlock(t, &node->shadow_lock, LOCK_LRU);
}

void shadow_nodes_unlist(struct task *t, uint64_t place)
{
	struct node *node = home_of(t->machine, place);

	spin_assert_held(t, LOCK_MAPPING);
	spin_lock(t, &node->shadow_lock, LOCK_LRU);
	leaves_remove(t->machine, node, node_at(t->machine, place));
	atomic_fetch_sub_explicit(nr_leaves(node), 1, memory_order_relaxed);
	spin_unlock(t, &node->shadow_lock, LOCK_LRU);
}

static uint64_t leaves_worth_while(const struct node *node)
{
	uint64_t pages =
		node_stat(node, NR_SLAB_RECLAIMABLE) + node_stat(node, NR_SLAB_UNRECLAIMABLE);

	for (uint32_t list = 0; list < NR_LRU_LISTS; list++)
		pages += lruvec_size(&node->lruvec, (enum lru_list)list, NR_ZONES - 1);
	return pages >> (INDEX_SLOT_BITS - SHADOWS_PER_PAGE_SHIFT);
}

static uint64_t count_leaves(struct task *t, void *ctx, const struct shrink_request *request)
{
	uint64_t have =
		(uint64_t)atomic_load_explicit(nr_leaves(request->node), memory_order_relaxed);

	(void)t;
	(void)ctx;
	return have - min_u64(have, leaves_worth_while(request->node));
}

/* The oldest leaf. */
struct oldest {
	uint64_t place, number;
	struct mapping *mapping; /* counted as a user; NULL: it is being destroyed */
};

/* => false: there is none */
static bool take_oldest(struct task *t, struct node *node, struct oldest *oldest)
{
	struct neap_machine *m = t->machine;

	spin_lock(t, &m->mapping_list_lock, LOCK_SPACE);
	spin_lock(t, &node->shadow_lock, LOCK_LRU);
	uint64_t place = node->shadow_oldest;

	if (place != INDEX_NODE_NONE) {
		struct index_node *leaf = node_at(m, place);
		struct mapping *mapping = pool_get(&m->mappings, leaf->mapping);

		*oldest = (struct oldest){ .place = place, .number = leaf->number };
		/* Should it stay, the next look is at another one. */
		leaves_remove(m, node, leaf);
		leaves_append(m, node, place);
		if (!mapping->unlisted) {
			atomic_fetch_add(&mapping->users, 1);
			oldest->mapping = mapping;
		}
	}
	spin_unlock(t, &node->shadow_lock, LOCK_LRU);
	spin_unlock(t, &m->mapping_list_lock, LOCK_SPACE);
	return place != INDEX_NODE_NONE;
}

/* => whether the leaf was freed */
static bool free_oldest(struct task *t, const struct oldest *oldest)
{
	uint64_t freed = INDEX_NODE_NONE;
	struct mapping *mapping = oldest->mapping;

	if (mapping == NULL)
		return false;
	spin_lock(t, &mapping->lock, LOCK_MAPPING);
	bool dropped = index_drop_shadows(t, mapping, oldest->number, oldest->place, &freed);

	spin_unlock(t, &mapping->lock, LOCK_MAPPING);
	index_free_nodes(t, &freed);
	mapping_leave(t, mapping);
	return dropped;
}

static uint64_t scan_leaves(struct task *t, void *ctx, struct shrink_request *request)
{
	struct oldest oldest;
	uint64_t freed = 0;

	(void)ctx;
	for (uint64_t i = 0; i < request->nr_to_scan && take_oldest(t, request->node, &oldest); i++)
		freed += free_oldest(t, &oldest) ? 1 : 0;
	cpu_pin(t);
	node_stat_add(t, request->node, WORKINGSET_NODERECLAIM, (int64_t)freed);
	cpu_unpin(t);
	return freed;
}

int shadow_nodes_register(struct task *t, struct neap_machine *m)
{
	/* Nothing has to be read to have a leaf again. */
	static const struct shrinker_spec spec = { .name = "shadow_nodes",
						   .count = count_leaves,
						   .scan = scan_leaves,
						   .seeks = 0,
						   .per_node = true };
	int number = shrinker_register(t, m, &spec);

	return number < 0 ? number : 0;
}

const char *shadow_nodes_verify(struct node *node)
{
	struct neap_machine *m = node->machine;
	int64_t counted = atomic_load(nr_leaves(node));
	uint64_t older = INDEX_NODE_NONE;
	int64_t nr = 0;

	for (uint64_t place = node->shadow_oldest; place != INDEX_NODE_NONE && nr <= counted;
	     nr++) {
		const struct index_node *leaf = node_at(m, place);

		if (home_of(m, place) != node || !index_node_is_shadows(leaf) ||
		    leaf->older != older)
			return "what is listed as a leaf of shadows is none";
		older = place;
		place = leaf->newer;
	}
	return nr == counted && older == node->shadow_newest
		       ? NULL
		       : "workingset_nodes is not the length of the list";
}
