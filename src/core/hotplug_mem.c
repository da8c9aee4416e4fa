/*
 * hotplug_mem.c: memory that comes and goes.
 *
 *   absent ── add ──> offline ── online ──> a zone's ── offline ──> offline ── remove ──> absent
 *
 *   blocks.state[]   | Normal | Normal | offline | Movable | absent | ...
 *   zone Normal      <----------------->
 *   zone Movable                                 <--------->
 *
 * Memory is handled in blocks of a fixed size. Frames for blocks to come were reserved
 * when the machine was built: their descriptors cost nothing until they are used.
 *
 * Online: the zone's span grows over the block, its frames are freed in the largest
 * blocks, set aside (core/isolate.h); the zone's sizes grow; zonelists are built anew if
 * the zone was empty; then the pageblocks are given free. So nobody gets a frame of a
 * zone that is not yet in order.
 *
 * Offline is the way back, with the pages that are there to be moved first:
 *
 *   per-CPU lists of the zone and LRU batches off ── set the block aside (may refuse)
 *     ┌─> take what is on LRU lists, and movable blocks; move it, to other nodes rather
 *     │   than to this one
 *     └── until all is free ── or too many rounds have changed nothing: given back, -EBUSY
 *   free blocks off the lists ── sizes shrink ── everything recomputed
 *
 * Linux tries for ever and leaves it to the caller to interrupt it. Here a call ends, as
 * nobody could interrupt a simulated one.
 *
 * Both run under sysctl_lock, one at a time. Requests, faults and reclaim go on
 * meanwhile; they are kept apart by the zone lock, by the type Isolate, and by the lists
 * that a walk holds on to (core/zonelist.c).
 *
 * What must never happen:
 *   1. a frame of a block that is offline, on any list or with any reference
 *   2. sizes of a zone other than its blocks say
 *   3. marks that are recomputed although a block was refused
 *
 * Linux: online_pages(), offline_pages(), zone_for_pfn_range() of mm/memory_hotplug.c,
 * init_per_zone_wmark_min() of mm/page_alloc.c; 6.1.
 */
#include "core/hotplug_mem.h"

#include <errno.h>

#include "core/alloc.h"
#include "core/buddy.h"
#include "core/compact.h"
#include "core/isolate.h"
#include "core/kcompactd.h"
#include "core/kswapd.h"
#include "core/lru.h"
#include "core/marks.h"
#include "core/migrate.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/sleeplock.h"
#include "core/thp.h"
#include "core/visit.h"
#include "core/vmstat.h"
#include "core/zonelist.h"

#define OFFLINE_ROUNDS_IDLE 16u /* rounds without a page moved before a block is refused */
#define OFFLINE_PAUSE_NS (4 * NSEC_PER_MSEC) /* one tick of Linux's */
#define MOVE_BITE_PAGES 512u

/* A block of memory on its way. */
struct hot_block {
	struct neap_machine *m;
	struct zone *zone;
	uint32_t block;
	uint32_t first, end; /* frames */
};

static uint32_t block_state(const struct neap_machine *m, uint32_t block)
{
	return atomic_load(&m->blocks.state[block]);
}

static void block_span(struct hot_block *b, struct neap_machine *m, uint32_t block)
{
	b->m = m;
	b->block = block;
	b->first = block << m->blocks.shift;
	b->end = (block + 1) << m->blocks.shift;
}

/* ---- adding and removing ---- */

/* => whether all of the blocks are as given */
static bool blocks_are(const struct neap_machine *m, uint32_t first, uint32_t nr, uint32_t state)
{
	for (uint32_t i = 0; i < nr; i++)
		if (block_state(m, first + i) != state)
			return false;
	return true;
}

static uint32_t nr_hot_blocks(const struct neap_machine *m)
{
	/* The array has one more, for the frame behind the last. */
	return (m->max_pfn >> m->blocks.shift) - m->blocks.first_hot;
}

static bool blocks_hot(const struct neap_machine *m, uint32_t first, uint32_t nr)
{
	return m->blocks.first_hot < m->blocks.nr && first >= m->blocks.first_hot && nr != 0 &&
	       nr <= nr_hot_blocks(m) && first - m->blocks.first_hot <= nr_hot_blocks(m) - nr;
}

int hotplug_mem_add(struct task *t, uint32_t node, uint32_t nr_blocks, uint32_t *first)
{
	struct neap_machine *m = t->machine;
	uint32_t at = m->blocks.first_hot;

	if (node >= m->nr_nodes || nr_blocks == 0)
		return -EINVAL;
	sleeplock_take(t, &m->sysctl_lock);
	while (blocks_hot(m, at, nr_blocks) && !blocks_are(m, at, nr_blocks, BLOCK_ABSENT))
		at++;
	bool found = blocks_hot(m, at, nr_blocks);

	for (uint32_t i = 0; found && i < nr_blocks; i++) {
		m->blocks.node[at + i] = (uint8_t)node;
		atomic_store(&m->blocks.state[at + i], BLOCK_OFFLINE);
	}
	sleeplock_release(t, &m->sysctl_lock);
	*first = at;
	return found ? 0 : -ENOSPC;
}

int hotplug_mem_remove(struct task *t, uint32_t first, uint32_t nr_blocks)
{
	struct neap_machine *m = t->machine;
	int err = 0;

	if (!blocks_hot(m, first, nr_blocks))
		return -EINVAL;
	sleeplock_take(t, &m->sysctl_lock);
	for (uint32_t i = 0; i < nr_blocks && err == 0; i++) {
		uint32_t state = block_state(m, first + i);

		if (state != BLOCK_OFFLINE)
			err = state == BLOCK_ABSENT ? -EINVAL : -EBUSY;
	}
	for (uint32_t i = 0; i < nr_blocks && err == 0; i++)
		atomic_store(&m->blocks.state[first + i], BLOCK_ABSENT);
	sleeplock_release(t, &m->sysctl_lock);
	return err;
}

/* ---- which zone ---- */

static bool zone_meets(const struct zone *zone, uint32_t first, uint32_t end)
{
	return zone_spanned(zone) != 0 && first < zone_end(zone) && end > zone->start_pfn;
}

/* The first of the kernel's zones that reaches into the block. */
static struct zone *kernel_zone(struct node *node, uint32_t first, uint32_t end)
{
	for (uint32_t type = ZONE_DMA; type < ZONE_NORMAL; type++)
		if (zone_meets(&node->zone[type], first, end))
			return &node->zone[type];
	return &node->zone[ZONE_NORMAL];
}

struct zone *hotplug_mem_zone(struct neap_machine *m, uint32_t block, enum hotplug_zone how)
{
	struct node *node = &m->nodes[m->blocks.node[block]];
	struct zone *movable = &node->zone[ZONE_MOVABLE];
	struct hot_block b;

	block_span(&b, m, block);
	struct zone *kernel = kernel_zone(node, b.first, b.end);

	if (how == HOTPLUG_MOVABLE)
		return movable;
	/* Inside zone Movable alone it stays with it; between both, or apart, it is the kernel's.
	 */
	if (how == HOTPLUG_DEFAULT && zone_meets(movable, b.first, b.end) &&
	    !zone_meets(kernel, b.first, b.end))
		return movable;
	return kernel;
}

/* ---- sizes ---- */

static void zone_lock(struct task *t, struct zone *zone)
{
	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
}

static void zone_unlock(struct task *t, struct zone *zone)
{
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

/* An empty span is one that ends where it begins, wherever that is. => zone lock held */
static void span_grow(struct zone *zone, uint32_t first, uint32_t end)
{
	if (zone_spanned(zone) == 0) {
		/* Whoever reads both on the way finds nothing, or a part of it. */
		zone->end_pfn = 0;
		zone->start_pfn = first;
		zone->end_pfn = end;
		return;
	}
	if (first < zone->start_pfn)
		zone->start_pfn = first;
	if (end > zone->end_pfn)
		zone->end_pfn = end;
}

/* The block is one of several zones, and [first, end) in it is not wholly foreign. */
static bool block_is_partly(const struct zone *zone, uint32_t first, uint32_t end)
{
	const struct neap_machine *m = zone->machine;

	return block_state(m, first >> m->blocks.shift) == BLOCK_MIXED &&
	       first < zone->boot_first + zone->nr_boot && end > zone->boot_first;
}

/* Cuts blocks, and parts of mixed ones, off the ends that are not the zone's. Zone lock held. */
static void span_shrink(struct zone *zone)
{
	uint32_t mask = (1u << zone->machine->blocks.shift) - 1;

	while (zone_spanned(zone) != 0 && !zone_has_frame(zone, zone->start_pfn)) {
		uint32_t first = zone->start_pfn;
		uint32_t end = (first | mask) + 1;

		zone->start_pfn = min_u32(
			block_is_partly(zone, first, end) ? zone->boot_first : end, zone_end(zone));
	}
	while (zone_spanned(zone) != 0 && !zone_has_frame(zone, zone_end(zone) - 1)) {
		uint32_t end = zone_end(zone);
		uint32_t first = (end - 1) & ~mask;

		zone->end_pfn =
			max_u32(block_is_partly(zone, first, end) ? zone->boot_first + zone->nr_boot
								  : first,
				zone->start_pfn);
	}
}

/* pages: frames more, or fewer. => zone lock held */
static void count_managed(struct zone *zone, int64_t pages)
{
	struct neap_machine *m = zone->machine;

	atomic_fetch_add(&zone->managed, (uint64_t)pages);
	atomic_fetch_add(&zone->present, (uint32_t)pages);
	atomic_fetch_add(&m->total_pages, (uint64_t)pages);
}

/* The most that was ever in use stays what it was. */
static void note_total(struct neap_machine *m, int64_t pages)
{
	uint64_t seen = atomic_load(&m->min_free_pages_seen);

	if (pages < 0 && seen < (uint64_t)-pages)
		pages = -(int64_t)seen;
	atomic_fetch_add(&m->min_free_pages_seen, (uint64_t)pages);
}

/* ---- a block's frames ---- */

/* Frees all frames of the block, set aside. => zone lock held */
static void block_fill(struct task *t, const struct hot_block *b)
{
	for (uint32_t pfn = b->first; pfn < b->end; pfn += NEAP_PAGEBLOCK_PAGES) {
		pageblock_set_type(b->m, pfn, MT_ISOLATE);
		compact_skip_clear(b->m, pfn);
		b->zone->nr_isolated_blocks++;
	}
	for (uint32_t pfn = b->first; pfn < b->end; pfn += 1u << NEAP_MAX_ORDER)
		buddy_free(t, b->zone, pfn, NEAP_MAX_ORDER, MT_ISOLATE | BUDDY_TO_TAIL);
}

/* Takes the free blocks off the lists; the frames are nobody's. => zone lock held */
static void block_empty(struct task *t, const struct hot_block *b)
{
	struct zone *zone = b->zone;

	for (uint32_t pfn = b->first; pfn < b->end;) {
		uint32_t pages = 1u << b->m->pages[pfn].owner;

		if (b->m->pages[pfn].index != MT_ISOLATE)
			zone_stat_add(t, zone, NR_FREE_PAGES, -(int64_t)pages);
		buddy_detach(t, zone, pfn);
		b->m->pages[pfn].owner = 0;
		b->m->pages[pfn].index = 0;
		pfn += pages;
	}
	for (uint32_t pfn = b->first; pfn < b->end; pfn += NEAP_PAGEBLOCK_PAGES) {
		pageblock_set_type(b->m, pfn, MT_MOVABLE);
		zone->nr_isolated_blocks--;
	}
}

/*
 * The block is the zone's no more. Compaction of a whole zone takes targets where it finds them, so
 * what was free a moment ago is asked again. => false: some of it is not free, nothing has changed
 */
static bool take_block(struct task *t, struct hot_block *b)
{
	struct zone *zone = b->zone;
	int64_t pages = b->end - b->first;

	/* Differences of a zone that loses its last memory are looked at no more. */
	vmstat_fold_all(t, b->m);
	zone_lock(t, zone);
	if (isolate_test_locked(t, zone, b->first, b->end) != PFN_NONE) {
		zone_unlock(t, zone);
		return false;
	}
	block_empty(t, b);
	atomic_store(&b->m->blocks.state[b->block], BLOCK_OFFLINE);
	span_shrink(zone);
	count_managed(zone, -pages);
	zone_unlock(t, zone);
	note_total(b->m, -pages);
	compact_hint_positions(zone);
	return true;
}

/* ---- online ---- */

/* All that the zone's first memory needs and that may not be had. => 0; -ENOMEM */
static int zone_first_memory(struct neap_machine *m, struct zone *zone)
{
	if (zone->pcp == NULL) {
		struct pcp *pcp = pcp_build(m);

		if (pcp == NULL)
			return -ENOMEM;
		zone->pcp = pcp;
	}
	return zonelist_prepare(m, zone);
}

/* The node's threads; who cannot be started now may be by the next block. */
static void node_start_threads(struct task *t, struct node *node)
{
	if (node->kswapd == NULL && node->kcompactd == NULL) {
		atomic_store(&node->stop_threads, 0);
		kswapd_init_node(node);
		kcompactd_init_node(node);
	}
	int err = kswapd_run(t, node);

	if (err == 0)
		err = kcompactd_run(t, node);
	(void)err; /* as in Linux: the memory is of use without them, too */
}

/* What can fail goes first: once a frame of the block is the zone's, others may hold it. */
static int online_block(struct task *t, struct hot_block *b)
{
	struct neap_machine *m = b->m;
	struct zone *zone = b->zone;
	struct node *node = &m->nodes[zone->node];
	bool first_memory = !zone_populated(zone);
	int64_t pages = b->end - b->first;
	int err = first_memory ? zone_first_memory(m, zone) : 0;

	if (err == 0)
		err = m->hw->ops->add_frames(m->hw, b->first, (uint32_t)pages);
	if (err != 0)
		return err;
	zone_lock(t, zone);
	span_grow(zone, b->first, b->end);
	atomic_store(&m->blocks.state[b->block], (uint16_t)(BLOCK_FIRST_ZONE + zone_number(zone)));
	block_fill(t, b);
	count_managed(zone, pages);
	zone_unlock(t, zone);
	node->nr_zones = max_u32(node->nr_zones, zone->type + 1);
	compact_hint_positions(zone);
	note_total(m, pages);
	if (first_memory) {
		pcp_limits_setup(m);
		err = zonelist_build(m);
		CHECK(err == 0); /* it was prepared */
	}
	isolate_clear(t, zone, b->first, b->end, MT_MOVABLE);
	marks_setup_sizes(t, m);
	node_start_threads(t, node);
	return 0;
}

/* ---- moving things away ---- */

/* Where pages of the block may go: other nodes, or this one if there is no other with memory. */
struct move_targets {
	uint64_t nodes;
	uint32_t node; /* near which */
	uint32_t gfp;
};

static uint32_t move_get_target(struct task *t, void *arg)
{
	const struct move_targets *targets = arg;
	const struct alloc_request request = {
		.gfp = targets->gfp,
		.node = targets->node,
		.nodemask = &targets->nodes,
	};

	return alloc_pages(t, &request);
}

static void move_put_target(struct task *t, void *arg, uint32_t pfn)
{
	(void)arg;
	page_put(t, machine_page(t->machine, pfn));
}

static void move_targets_init(struct move_targets *targets, const struct hot_block *b)
{
	const struct neap_machine *m = b->m;

	*targets = (struct move_targets){
		.node = b->zone->node,
		.gfp = GFP_USER | GFP_BIT_MOVABLE | GFP_BIT_RETRY_MAYFAIL,
	};
	if (b->zone->type == ZONE_MOVABLE)
		targets->gfp |= GFP_BIT_HIGHMEM;
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		if (n != b->zone->node && node_has_memory(&m->nodes[n]))
			targets->nodes |= (uint64_t)1 << n;
	if (targets->nodes == 0)
		targets->nodes = (uint64_t)1 << b->zone->node;
}

/* Takes a page for moving, if it is one that can be. => whether it was taken */
static bool take_page(struct task *t, struct page *page, struct list *list)
{
	struct neap_machine *m = t->machine;
	uint64_t flags = page_flags(page);

	if ((flags & PG_MOVABLE) && !(flags & PG_ISOLATED)) {
		if (!migrate_isolate_movable(t, page, MIGRATE_SYNC))
			return false;
	} else if ((flags & (PG_LRU | PG_HEAD)) == PG_LRU) {
		if (!lru_isolate_page(t, page))
			return false;
		cpu_pin(t);
		node_stat_add(t, page_node(m, page),
			      page_is_file_lru(page) ? NR_ISOLATED_FILE : NR_ISOLATED_ANON, 1);
		cpu_unpin(t);
	} else {
		return false;
	}
	list_add_tail(m->pages, list, (uint32_t)(page - m->pages));
	return true;
}

/* Moves a bite of what is in the block. *any: there was something that looks movable. => moved */
static uint64_t move_bite(struct task *t, const struct hot_block *b, uint32_t *at, bool *any)
{
	struct list list = { PFN_NONE, PFN_NONE };
	struct move_targets targets;
	struct migrate_control control = {
		.mode = MIGRATE_SYNC,
		.reason = MIGRATE_FOR_HOTPLUG,
		.get_target = move_get_target,
		.put_target = move_put_target,
		.arg = &targets,
	};
	uint32_t nr = 0;

	for (; *at < b->end && nr < MOVE_BITE_PAGES; (*at)++) {
		struct page *page = machine_page(b->m, *at);

		if (*at % SWAP_CLUSTER_MAX == 0)
			rt_preempt(t);
		if (!page_test(page, PG_LRU | PG_MOVABLE))
			continue;
		*any = true;
		nr += take_page(t, page, &list) ? 1 : 0;
	}
	if (nr == 0)
		return 0;
	move_targets_init(&targets, b);
	/* What did not move is tried again in the next round. */
	if (migrate_pages(t, &list, &control) != 0)
		migrate_putback(t, &list);
	return control.nr_moved;
}

/* Moves until all of the block is free. => 0; -EBUSY, -EINTR */
static int move_all(struct task *t, const struct hot_block *b)
{
	uint32_t idle = 0;

	/* event loop */
	while (isolate_test(t, b->zone, b->first, b->end) != PFN_NONE) {
		uint32_t at = b->first;
		uint64_t moved = 0;
		bool any = false;

		thp_split_range(t, b->first, b->end);
		while (at < b->end)
			moved += move_bite(t, b, &at, &any);
		if (t->flags & PF_EXITING)
			return -EINTR;
		idle = moved != 0 ? 0 : idle + 1;
		if (idle > OFFLINE_ROUNDS_IDLE)
			return -EBUSY;
		/* Somebody may have looked at a type before it changed. */
		pcp_drain_all(t, b->m, b->zone);
		/* Whoever holds a page for a moment, or writes it, is given the time. */
		if (moved == 0)
			rt_sleep(t, OFFLINE_PAUSE_NS);
	}
	return 0;
}

/* => 0: the block is nobody's; -EBUSY, -EINTR: it is as set aside as it was */
static int leave_block(struct task *t, struct hot_block *b)
{
	int err;

	do
		err = move_all(t, b);
	while (err == 0 && !take_block(t, b)); /* event loop */
	return err;
}

/* ---- offline ---- */

static void node_stop_threads(struct task *t, struct node *node)
{
	atomic_store(&node->stop_threads, 1);
	kcompactd_stop(t, node);
	kswapd_stop(t, node);
}

/* The zone's last memory is gone: nobody is to look there again. */
static void zone_last_memory(struct task *t, struct hot_block *b)
{
	struct neap_machine *m = b->m;
	struct node *node = &m->nodes[b->zone->node];

	int err = zonelist_build(m);

	(void)err; /* without memory the old lists go on naming a zone that has nothing */
	if (!node_has_memory(node))
		node_stop_threads(t, node);
}

static int empty_block(struct task *t, struct hot_block *b)
{
	int err = isolate_set(t, b->zone, b->first, b->end, MT_MOVABLE);

	if (err != 0)
		return err;
	pcp_drain_all(t, b->m, b->zone);
	err = leave_block(t, b);
	if (err != 0)
		isolate_clear(t, b->zone, b->first, b->end, MT_MOVABLE);
	return err;
}

static int offline_block(struct task *t, struct hot_block *b)
{
	pcp_disable(t, b->zone);
	lru_disable(t);
	int err = empty_block(t, b);

	lru_enable(t);
	pcp_enable(b->zone);
	if (err != 0)
		return err;
	marks_setup_sizes(t, b->m);
	if (!zone_populated(b->zone))
		zone_last_memory(t, b);
	return 0;
}

/* ---- entry points ---- */

int hotplug_mem_online(struct task *t, uint32_t block, enum hotplug_zone how)
{
	struct neap_machine *m = t->machine;
	struct hot_block b;
	int err = -EINVAL;

	if (block >= m->blocks.nr)
		return -EINVAL;
	rt_assert_may_sleep(t);
	sleeplock_take(t, &m->sysctl_lock);
	if (block_state(m, block) == BLOCK_OFFLINE) {
		block_span(&b, m, block);
		b.zone = hotplug_mem_zone(m, block, how);
		err = online_block(t, &b);
	}
	sleeplock_release(t, &m->sysctl_lock);
	return err;
}

int hotplug_mem_offline(struct task *t, uint32_t block)
{
	struct neap_machine *m = t->machine;
	struct hot_block b;
	int err = -EINVAL;

	if (block >= m->blocks.nr)
		return -EINVAL;
	rt_assert_may_sleep(t);
	sleeplock_take(t, &m->sysctl_lock);
	uint32_t state = block_state(m, block);

	if (state >= BLOCK_FIRST_ZONE) {
		uint32_t number = state - BLOCK_FIRST_ZONE;

		block_span(&b, m, block);
		b.zone = &m->nodes[number / NR_ZONES].zone[number % NR_ZONES];
		err = offline_block(t, &b);
	}
	sleeplock_release(t, &m->sysctl_lock);
	return err;
}
