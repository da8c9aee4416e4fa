/*
 * likeness.c: a machine as another one was when its /proc files were saved.
 *
 * The files say how many free blocks of each order and type a zone had, but not where
 * they were. Any placing with these counts is one that buddy allocation could have
 * reached, if and only if no two halves of one block are free side by side. So free
 * memory is cut top down:
 *
 *     order 10   [ free ][ free ][ hole ]          whole chunks: given away or not
 *     order  9                   [hole][free]      of a hole, at most one half is free
 *     order  8                   [hole][hole][..]  ...
 *     order  0                   used frames: what remains of the holes
 *
 * A HOLE is a chunk that must keep a used frame. Splitting one of order k gives a
 * free block of order k-1 and a hole of order k-1, or two holes. WHOLE chunks are
 * those that were free when we began: they become a free block, or a hole. Holes are
 * split as the allocator would: the smallest that is large enough, upper half first,
 * so that fragments lie together and used memory lies low, where boot left it.
 *
 * Types: a free block of a pageblock or more makes its pageblocks the type of its
 * list. The remaining pageblocks get the types that are left over by count; smaller
 * blocks then go to pageblocks of their own type as far as these have room.
 *
 * The used frames become per-CPU lists, slab, page tables, and blocks of the kernel.
 * Nobody ever frees those. User pages cannot be made here; whoever wants the saved
 * LRU lists faults pages in first, and they are used frames like others.
 *
 *     zone start                                                    zone end
 *     [ kernel, slab ........ ][ free, free, free, free ... ][ user pages ]
 *
 * Boot leaves it so: the kernel's requests split the lowest free block while there is
 * nothing else, programs come when the memory of the initial file system is free
 * again, which lies at the end (/proc/kpageflags of four boots of three machines:
 * nothing that can be moved in the lowest 5600 to 8600 frames of zone DMA32). Compaction
 * looks at all that before it finds the first page to move, so where it lies decides
 * how much is scanned. likeness_user_first() turns the free lists over for it. Slab
 * takes blocks of several frames, which a scan passes over in one step.
 *
 * What must never happen: two free buddies side by side, or a frame in two places. The
 * laws of verify.c hold afterwards.
 *
 * Linux has no counterpart: it arrives in such a state by booting.
 */
#include "core/likeness.h"

#include <errno.h>
#include <string.h>

#include "core/buddy.h"
#include "core/knobs.h"
#include "core/lru.h"
#include "core/marks.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/racy.h"
#include "core/vmstat.h"

/*
 * Of a thousand frames of slab, those in blocks of each order: /proc/kpageflags of the same four
 * boots, which agree to within six (dentries and small objects take one or two frames, inodes up to
 * eight).
 */
static const uint16_t slab_permille[] = { 332, 482, 66, 120 };

#define BLOCK_PAGES_MAX (1u << NEAP_MAX_ORDER)
#define KINDS NR_PCP_TYPES /* Unmovable, Movable, Reclaimable; others have no order below here */

/* A zone being cut. */
struct cut {
	struct task *t;
	struct zone *zone;
	struct page *pages;
	uint64_t want[NR_TYPES][NR_ORDERS];  /* free blocks still to be placed */
	uint64_t blocks[NR_TYPES];	     /* pageblocks still to be typed */
	uint64_t all_blocks[NR_TYPES];	     /* pageblocks that have to be typed in all */
	struct list whole[NR_ORDERS][KINDS]; /* by the type of the (first) pageblock */
	struct list hole[NR_ORDERS][KINDS];
	uint64_t missed_pages;
};

static uint32_t cut_kind(const struct cut *cut, uint32_t pfn)
{
	uint32_t type = pageblock_type(cut->zone->machine, pfn);

	return type < KINDS ? type : MT_MOVABLE;
}

static void cut_add(struct cut *cut, struct list lists[KINDS], uint32_t pfn)
{
	list_add_tail(cut->pages, &lists[cut_kind(cut, pfn)], pfn);
}

/* The last chunk of a list of the type, or else of another. => PFN_NONE if there is none */
static uint32_t cut_pop(struct cut *cut, struct list lists[KINDS], uint32_t type)
{
	for (uint32_t i = 0; i < KINDS; i++) {
		struct list *list = &lists[(type + i) % KINDS];
		uint32_t pfn = list->last;

		if (pfn == PFN_NONE)
			continue;
		list_remove(cut->pages, list, pfn);
		return pfn;
	}
	return PFN_NONE;
}

/* All free blocks, in the order of addresses, become whole chunks. => zone lock held */
static void cut_begin(struct cut *cut)
{
	struct zone *zone = cut->zone;
	uint32_t end = zone_end(zone);
	int64_t free_pages = 0;

	for (uint32_t pfn = zone->start_pfn; pfn < end;) {
		uint64_t flags = page_flags(&cut->pages[pfn]);
		uint32_t order = page_order_of(flags);

		if (!(flags & PG_BUDDY)) {
			pfn++;
			continue;
		}
		buddy_detach(cut->t, zone, pfn);
		cut_add(cut, cut->whole[order], pfn);
		free_pages += (int64_t)1 << order;
		pfn += 1u << order;
	}
	zone_stat_add(cut->t, zone, NR_FREE_PAGES, -free_pages);
}

/*
 * The smallest hole above `order`, preferably of the type, split until its upper part is of that
 * order. => that part; PFN_NONE if there is no such hole
 */
static uint32_t cut_split(struct cut *cut, uint32_t order, uint32_t type)
{
	uint32_t at = order + 1;
	uint32_t pfn = PFN_NONE;

	for (uint32_t other = 0; other < 2 && pfn == PFN_NONE; other++)
		for (at = order + 1; at < NR_ORDERS && pfn == PFN_NONE; at++)
			if (other != 0 || !list_empty(&cut->hole[at][type]))
				pfn = cut_pop(cut, cut->hole[at], type);
	if (pfn == PFN_NONE)
		return PFN_NONE;
	for (at--; at > order;) {
		at--;
		cut_add(cut, cut->hole[at], pfn);
		pfn += 1u << at;
	}
	return pfn;
}

/* A pageblock's type; a type it had before is still to be given, if it was `counted` when given. */
static void cut_set_type(struct cut *cut, uint32_t pfn, uint32_t type, bool counted)
{
	uint32_t before = pageblock_type(cut->zone->machine, pfn);

	if (counted && before == type)
		return;
	if (counted && before != MT_MOVABLE)
		cut->blocks[before]++;
	cut->blocks[type] -= min_u64(cut->blocks[type], 1);
	pageblock_set_type(cut->zone->machine, pfn, type);
}

/* Puts one free block of the type on its list. => false if there is no place for it */
static bool cut_place(struct cut *cut, uint32_t order, uint32_t type)
{
	uint32_t kind = type < KINDS ? type : MT_MOVABLE;
	uint32_t pfn = cut_pop(cut, cut->whole[order], kind);

	if (pfn == PFN_NONE)
		pfn = cut_split(cut, order, kind);
	if (pfn == PFN_NONE)
		return false;
	for (uint32_t at = 0; order >= NEAP_PAGEBLOCK_ORDER && at < 1u << order;
	     at += NEAP_PAGEBLOCK_PAGES)
		cut_set_type(cut, pfn + at, type, order < NEAP_MAX_ORDER);
	buddy_free(cut->t, cut->zone, pfn, order, type);
	return true;
}

/* All blocks of one order; what has no place is tried as twice as many of the order below. */
static void cut_order(struct cut *cut, uint32_t order)
{
	for (uint32_t type = 0; type < NR_TYPES; type++) {
		uint64_t left = cut->want[type][order];

		while (left > 0 && cut_place(cut, order, type))
			left--;
		if (order > 0)
			cut->want[type][order - 1] += 2 * left;
		else
			cut->missed_pages += left;
	}
	for (uint32_t kind = 0; kind < KINDS; kind++) {
		uint32_t pfn;

		while ((pfn = list_pop(cut->pages, &cut->whole[order][kind])) != PFN_NONE)
			list_add_tail(cut->pages, &cut->hole[order][kind], pfn);
	}
}

/* ---- types of pageblocks ---- */

/*
 * A type that is still to be given to at least so many pageblocks, or Movable: of two, the one of
 * which more is left, so that they alternate as they did while the kernel grew.
 */
static uint32_t type_left(const struct cut *cut, uint32_t nr)
{
	static const uint8_t types[] = { MT_UNMOVABLE, MT_RECLAIMABLE, MT_HIGHATOMIC };
	uint32_t best = MT_MOVABLE;

	for (uint32_t i = 0; i < ARRAY_LEN(types); i++) {
		uint32_t type = types[i];

		if (cut->blocks[type] >= nr &&
		    (best == MT_MOVABLE || cut->blocks[type] * cut->all_blocks[best] >
						   cut->blocks[best] * cut->all_blocks[type]))
			best = type;
	}
	return best;
}

/* Is the pageblock part of a free block that is placed already? */
static bool block_is_placed(const struct cut *cut, uint32_t pfn)
{
	uint64_t own = page_flags(&cut->pages[pfn]);
	uint64_t pair = page_flags(&cut->pages[pfn & ~(2 * NEAP_PAGEBLOCK_PAGES - 1)]);

	return ((own & PG_BUDDY) && page_order_of(own) >= NEAP_PAGEBLOCK_ORDER) ||
	       ((pair & PG_BUDDY) && page_order_of(pair) > NEAP_PAGEBLOCK_ORDER);
}

/* Pageblocks that the engine's own unmovable pages made their type keep it while it is wanted. */
static void type_used_blocks(struct cut *cut)
{
	struct neap_machine *m = cut->zone->machine;
	uint32_t end = zone_end(cut->zone);

	for (uint32_t pfn = cut->zone->start_pfn & ~(NEAP_PAGEBLOCK_PAGES - 1); pfn < end;
	     pfn += NEAP_PAGEBLOCK_PAGES) {
		uint32_t type = pageblock_type(m, pfn);

		if (type == MT_MOVABLE || block_is_placed(cut, pfn))
			continue;
		if (cut->blocks[type] != 0)
			cut->blocks[type]--;
		else
			pageblock_set_type(m, pfn, MT_MOVABLE);
	}
}

/* Gives the types that are left to pageblocks that are holes, lowest address first. */
static void type_holes(struct cut *cut)
{
	struct list *movable = &cut->hole[NEAP_PAGEBLOCK_ORDER][MT_MOVABLE];

	for (uint32_t pfn = movable->first; pfn != PFN_NONE;) {
		uint32_t next = cut->pages[pfn].next;
		uint32_t type = type_left(cut, 1);

		if (type == MT_MOVABLE)
			break;
		cut->blocks[type]--;
		list_remove(cut->pages, movable, pfn);
		pageblock_set_type(cut->zone->machine, pfn, type);
		cut_add(cut, cut->hole[NEAP_PAGEBLOCK_ORDER], pfn);
		pfn = next;
	}
}

/* The rest to pageblocks of which a part is reserved or used. */
static void type_parts(struct cut *cut)
{
	for (uint32_t order = NEAP_PAGEBLOCK_ORDER; order-- > 0;) {
		uint32_t pfn = cut->whole[order][MT_MOVABLE].first;

		for (; pfn != PFN_NONE; pfn = cut->pages[pfn].next) {
			uint32_t type = type_left(cut, 1);

			if (type == MT_MOVABLE ||
			    pageblock_type(cut->zone->machine, pfn) != MT_MOVABLE)
				continue;
			cut->blocks[type]--;
			pageblock_set_type(cut->zone->machine, pfn, type);
		}
	}
}

/* What is left over to pageblocks that boot or the engine fill wholly. */
static void type_full(struct cut *cut)
{
	uint32_t end = zone_end(cut->zone);

	for (uint32_t pfn = cut->zone->start_pfn & ~(NEAP_PAGEBLOCK_PAGES - 1); pfn < end;
	     pfn += NEAP_PAGEBLOCK_PAGES) {
		uint32_t type = type_left(cut, 1);

		if (type == MT_MOVABLE || block_is_placed(cut, pfn) ||
		    pageblock_type(cut->zone->machine, pfn) != MT_MOVABLE)
			continue;
		cut->blocks[type]--;
		pageblock_set_type(cut->zone->machine, pfn, type);
	}
}

/* Sorts the chunks of an order by the types of their pageblocks again. */
static void type_sort(struct cut *cut, struct list lists[KINDS])
{
	struct list all = { PFN_NONE, PFN_NONE };
	uint32_t pfn;

	for (uint32_t kind = KINDS; kind-- > 0;)
		list_splice_head(cut->pages, &all, &lists[kind]);
	while ((pfn = list_pop(cut->pages, &all)) != PFN_NONE)
		cut_add(cut, lists, pfn);
}

/*
 * The largest holes become holes of one pageblock. They lie below those that were halved for a free
 * pageblock, which are the highest first: afterwards all are in the order of addresses.
 */
static void cut_largest(struct cut *cut, uint32_t kind)
{
	struct list *large = &cut->hole[NEAP_MAX_ORDER][kind];
	struct list *holes = &cut->hole[NEAP_PAGEBLOCK_ORDER][kind];
	struct list halved = *holes;
	uint32_t pfn;

	*holes = (struct list){ PFN_NONE, PFN_NONE };
	while ((pfn = list_pop(cut->pages, large)) != PFN_NONE) {
		cut_add(cut, cut->hole[NEAP_PAGEBLOCK_ORDER], pfn);
		cut_add(cut, cut->hole[NEAP_PAGEBLOCK_ORDER], pfn + NEAP_PAGEBLOCK_PAGES);
	}
	while ((pfn = halved.last) != PFN_NONE) {
		list_remove(cut->pages, &halved, pfn);
		cut_add(cut, cut->hole[NEAP_PAGEBLOCK_ORDER], pfn);
	}
}

/* All blocks of at least a pageblock are placed: the other pageblocks get their types. */
static void cut_types(struct cut *cut)
{
	for (uint32_t kind = 0; kind < KINDS; kind++)
		cut_largest(cut, kind);
	type_sort(cut, cut->hole[NEAP_PAGEBLOCK_ORDER]);
	type_holes(cut);
	type_parts(cut);
	type_full(cut);
	for (uint32_t order = 0; order < NEAP_PAGEBLOCK_ORDER; order++)
		type_sort(cut, cut->whole[order]);
}

/* ---- used frames ---- */

/*
 * A block out of the holes, preferably from a pageblock of the type. => PFN_NONE: no hole is large
 * enough
 */
static uint32_t cut_use(struct cut *cut, uint32_t order, uint32_t type)
{
	uint32_t pfn = PFN_NONE;
	uint32_t at = 0;

	for (uint32_t other = 0; other < 2 && pfn == PFN_NONE; other++)
		for (at = order; at < NR_ORDERS && pfn == PFN_NONE; at++)
			if (other != 0 || !list_empty(&cut->hole[at][type]))
				pfn = cut_pop(cut, cut->hole[at], type);
	if (pfn == PFN_NONE)
		return PFN_NONE;
	for (at--; at > order; at--) /* the lowest part; the upper halves stay holes */
		cut_add(cut, cut->hole[at - 1], pfn + (1u << (at - 1)));
	return pfn;
}

/* Fills the per-CPU lists with as many pages as the saved ones had, Movable if possible. */
static void cut_pcp(struct cut *cut, const struct snapshot_zone *saved)
{
	struct zone *zone = cut->zone;

	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++) {
		struct pcp *pcp = &zone->pcp[cpu];
		const struct snapshot_pageset *set = &saved->pageset[cpu];

		for (uint32_t i = 0; i < set->count; i++) {
			uint32_t pfn = cut_use(cut, 0, MT_MOVABLE);

			if (pfn == PFN_NONE)
				return;
			uint32_t type = cut_kind(cut, pfn);
			struct pcp_list *list = &pcp->list[pcp_list_index(0, type)];

			if (!pcp_list_make_room(zone->machine, list, 1)) {
				cut_add(cut, cut->hole[0], pfn);
				return;
			}
			pcp_push(&cut->pages[pfn], list, pfn, pcp_page_flags(zone, 0, type));
			racy_add(pcp->count, 1);
		}
	}
}

/*
 * Makes up to nr frames the kernel's, in blocks of an order, counted under `item` of their node.
 * => those it made
 */
static uint64_t cut_kernel(struct cut *cut, uint64_t nr, uint32_t order, uint64_t flags,
			   int32_t item)
{
	struct zone *zone = cut->zone;
	struct node *node = &zone->machine->nodes[zone->node];
	uint32_t type = flags & PG_INDEX ? MT_RECLAIMABLE : MT_UNMOVABLE;
	uint64_t made = 0;

	if (order != 0)
		flags |= PG_HEAD | (uint64_t)order << PAGE_ORDER_SHIFT;
	while (nr - made >= 1u << order) {
		uint32_t pfn = cut_use(cut, order, type);

		if (pfn == PFN_NONE)
			break;
		atomic_store(&cut->pages[pfn].flags, page_place(zone->node, zone->type) | flags);
		atomic_store(&cut->pages[pfn].refs, 1);
		cut->pages[pfn].owner = 0;
		cut->pages[pfn].index = 0;
		made += 1u << order;
	}
	if (item >= 0)
		node_stat_add(cut->t, node, (enum node_item)item, (int64_t)made);
	return made;
}

/* Slab frames, in blocks of the orders in which caches take them. */
static void cut_slab(struct cut *cut, uint64_t nr, uint64_t flags, int32_t item)
{
	uint64_t made = 0;

	for (uint32_t order = ARRAY_LEN(slab_permille); order-- > 0;) {
		uint64_t part = order == 0 ? nr - made : nr * slab_permille[order] / 1000;

		made += cut_kernel(cut, part, order, PG_SLAB | flags, item);
	}
}

/* What the saved node has of an item and ours has not. Items count frames. */
static uint64_t node_lacks(const struct node *node, const struct snapshot_node *saved,
			   enum node_item item)
{
	uint64_t have = node_stat_exact(node, item);

	return saved->stat[item] > have ? saved->stat[item] - have : 0;
}

static void cut_used(struct cut *cut, const struct snapshot_node *saved)
{
	struct node *node = &cut->zone->machine->nodes[cut->zone->node];

	cut_pcp(cut, &saved->zone[cut->zone->type]);
	cut_slab(cut, node_lacks(node, saved, NR_SLAB_RECLAIMABLE), PG_INDEX, NR_SLAB_RECLAIMABLE);
	cut_slab(cut, node_lacks(node, saved, NR_SLAB_UNRECLAIMABLE), 0, NR_SLAB_UNRECLAIMABLE);
	(void)cut_kernel(cut, node_lacks(node, saved, NR_PAGE_TABLE_PAGES), 0, PG_TABLE,
			 NR_PAGE_TABLE_PAGES);
	(void)cut_kernel(cut, UINT64_MAX, 0, PG_KERNEL, -1);
}

/* ---- a zone ---- */

static uint64_t zone_apply(struct task *t, struct zone *zone, const struct snapshot_node *saved)
{
	const struct snapshot_zone *from = &saved->zone[zone->type];
	struct cut cut = { .t = t, .zone = zone, .pages = zone->machine->pages };

	memcpy(cut.want, from->nr_free_type, sizeof(cut.want));
	memcpy(cut.blocks, from->nr_blocks, sizeof(cut.blocks));
	/* What somebody had set aside is not free to anybody: here the kernel has it. */
	memset(cut.want[MT_ISOLATE], 0, sizeof(cut.want[MT_ISOLATE]));
	cut.blocks[MT_ISOLATE] = 0;
	memcpy(cut.all_blocks, from->nr_blocks, sizeof(cut.all_blocks));
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	cut_begin(&cut);
	for (uint32_t order = NR_ORDERS; order-- > 0;) {
		cut_order(&cut, order);
		if (order == NEAP_MAX_ORDER)
			type_used_blocks(&cut);
		if (order == NEAP_PAGEBLOCK_ORDER)
			cut_types(&cut);
	}
	cut_used(&cut, saved);
	atomic_store(&zone->nr_reserved_highatomic,
		     from->nr_blocks[MT_HIGHATOMIC] * NEAP_PAGEBLOCK_PAGES);
	marks_refresh(zone);
	DCHECK(buddy_verify(zone) == NULL);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
	return cut.missed_pages;
}

/* A damaged file may say anything. */
static uint32_t saved_threshold(const struct snapshot_pageset *set)
{
	return min_u32(set->threshold, VMSTAT_THRESHOLD_MOST);
}

static void zone_marks(struct zone *zone, const struct snapshot_zone *from)
{
	const uint64_t marks[NR_WMARKS] = { from->min, from->low, from->high, from->promo };

	for (uint32_t i = 0; i < NR_WMARKS; i++)
		atomic_store(&zone->mark[i], marks[i] - min_u64(marks[i], from->boost));
	/* 6.1's zoneinfo does not print it; it is as far above high as high is above low. */
	if (from->promo == 0)
		atomic_store(&zone->mark[WMARK_PROMO],
			     atomic_load(&zone->mark[WMARK_HIGH]) + from->high - from->low);
	atomic_store(&zone->boost, from->boost);
	for (uint32_t i = 0; i < NR_ZONES; i++)
		atomic_store(&zone->reserve[i], from->protection[i]);
	marks_refresh(zone);
	for (uint32_t cpu = 0; cpu < zone->machine->nr_cpus; cpu++) {
		const struct snapshot_pageset *set = &from->pageset[cpu];

		if (set->batch == 0)
			continue;
		racy_write(zone->pcp[cpu].high, set->high);
		racy_write(zone->pcp[cpu].batch, set->batch);
		racy_write(zone->pcp[cpu].threshold, (int32_t)saved_threshold(set));
	}
	if (from->pageset[0].batch != 0)
		zone->threshold_normal = (int32_t)saved_threshold(&from->pageset[0]);
}

/* Marks and what hangs together with them, as observed. */
static void node_marks(struct node *node, const struct snapshot_node *saved)
{
	uint64_t reserve = 0;

	for (uint32_t z = 0; z < NR_ZONES; z++) {
		const struct snapshot_zone *from = &saved->zone[z];
		uint64_t protection = 0;

		if (!zone_populated(&node->zone[z]))
			continue;
		zone_marks(&node->zone[z], from);
		for (uint32_t i = z; i < NR_ZONES; i++)
			protection = max_u64(protection, from->protection[i]);
		reserve += min_u64(from->managed, protection + from->high);
	}
	atomic_store(&node->reserve_pages, reserve);
}

/* ---- the machine ---- */

/* A free list the other way round: the highest block is the next to be taken. => zone lock held */
static void list_turn(struct zone *zone, struct list *list)
{
	struct page *pages = zone->machine->pages;
	struct list turned = { PFN_NONE, PFN_NONE };
	uint32_t pfn;

	while ((pfn = list_pop(pages, list)) != PFN_NONE)
		list_add_head(pages, &turned, pfn);
	*list = turned;
}

/*
 * The lowest of the largest blocks are the kernel's, by the types of the saved pageblocks: two of
 * them a block, since it took blocks as a whole. => zone lock held, lists in the order of addresses
 */
static void zone_give_kernel(struct task *t, struct zone *zone, const struct snapshot_zone *saved)
{
	struct list *movable = &zone->area[NEAP_MAX_ORDER].list[MT_MOVABLE];
	struct cut cut = { .t = t, .zone = zone, .pages = zone->machine->pages };

	memcpy(cut.blocks, saved->nr_blocks, sizeof(cut.blocks));
	memcpy(cut.all_blocks, saved->nr_blocks, sizeof(cut.all_blocks));
	type_used_blocks(&cut);
	while (!list_empty(movable)) {
		uint32_t type = type_left(&cut, BLOCK_PAGES_MAX / NEAP_PAGEBLOCK_PAGES);
		uint32_t pfn = movable->first;

		if (type == MT_MOVABLE)
			break;
		buddy_detach(t, zone, pfn);
		for (uint32_t at = 0; at < BLOCK_PAGES_MAX; at += NEAP_PAGEBLOCK_PAGES)
			cut_set_type(&cut, pfn + at, type, false);
		buddy_append(zone, pfn, NEAP_MAX_ORDER, type);
	}
}

static void zone_turn(struct task *t, struct zone *zone, const struct snapshot_zone *saved)
{
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	zone_give_kernel(t, zone, saved);
	for (uint32_t order = 0; order < NR_ORDERS; order++)
		for (uint32_t type = 0; type < KINDS; type++)
			list_turn(zone, &zone->area[order].list[type]);
	DCHECK(buddy_verify(zone) == NULL);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

void likeness_user_first(struct task *t, struct neap_machine *m, const struct snapshot *snapshot)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t z = 0; z < NR_ZONES; z++)
			if (zone_populated(&m->nodes[n].zone[z]))
				zone_turn(t, &m->nodes[n].zone[z], &snapshot->node[n].zone[z]);
}

int likeness_knobs(struct neap_machine *m, const struct snapshot *snapshot, const char **name)
{
	for (uint32_t i = 0; i < snapshot->nr_sysctls; i++) {
		const struct snapshot_sysctl *sysctl = &snapshot->sysctl[i];

		*name = sysctl->name;
		/* Names that 6.1 does not have are no knobs. */
		if (knobs_parse(&m->sysctl, sysctl->name, sysctl->value, strlen(sysctl->value)) ==
		    -EINVAL)
			return -EINVAL;
	}
	return 0;
}

uint64_t likeness_apply(struct task *t, struct neap_machine *m, const struct snapshot *snapshot)
{
	uint64_t missed_pages = 0;

	lru_drain_all(t);
	pcp_drain_all(t, m, NULL);
	vmstat_fold_all(t, m);
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		struct node *node = &m->nodes[n];
		const struct snapshot_node *saved = &snapshot->node[n];
		int64_t stacks = (int64_t)saved->stat[NR_KERNEL_STACK];

		for (uint32_t z = NR_ZONES; z-- > 0;)
			if (zone_populated(&node->zone[z]))
				missed_pages += zone_apply(t, &node->zone[z], saved);
		node_stat_carry(node, NR_KERNEL_STACK, stacks);
		node_marks(node, saved);
	}
	atomic_store(&m->reserve_pages, snapshot->reserve_pages);
	vmstat_fold_all(t, m);
	return missed_pages;
}
