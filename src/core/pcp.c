/*
 * pcp.c: each CPU keeps some free blocks of each zone for itself.
 *
 *   zone.pcp[cpu]
 *     list 0..11   order 0..3 x Unmovable, Movable, Reclaimable
 *     list 12, 13  order 9: Unmovable and Reclaimable; Movable
 *
 *   room              first                 end           room_end
 *    |   .   .   .   . | o   o   o   o   o   o |   .   .   . |     frame numbers
 *             flush -> oldest           newest <- put, take
 *
 * Almost every request ends here, without the zone lock and without touching what
 * another CPU writes. A refill takes a batch of blocks at once under the zone lock,
 * in the order in which they will be handed out. A flush returns blocks in growing
 * amounts while a CPU only frees (free_factor doubles the batch each time), because
 * then the lists help nobody; every allocation halves the factor again.
 *
 * A list is an array: a put writes one number, a take and a flush read numbers that lie
 * beside each other, and no descriptor names another one that may be in no near cache. At
 * the end of the array the blocks move to its start, or to one twice as long.
 *
 * DIFF: where the host has no address space for that, half of a full list goes back early,
 * and a refill takes no more than fit. The limits allow longer lists; so does Linux.
 *
 * Reserved (HighAtomic) pages are kept on the Movable lists but remember their
 * type, so that they return to the reserve. The type is read when a block is put
 * here and may be stale when it leaves; Linux 6.1 lives with that, and so do we.
 * Only Isolate must be right: those pages bypass the lists, and while a zone has
 * isolated pageblocks a flush reads each type again.
 *
 * A set belongs to the holder of its CPU's word. Drains of all CPUs visit each CPU
 * in turn (core/visit.h) instead of interrupting it.
 *
 * What must never happen: a block counted both here and in NR_FREE_PAGES. Pages
 * leave that count with the refill that brings them, and return to it with the flush.
 *
 * Linux: rmqueue_bulk(), free_pcppages_bulk(), nr_pcp_free(), zone_batchsize(),
 * zone_highsize() of mm/page_alloc.c, 6.1. Two lists for order 9 came with a stable
 * update; 6.1.0 had one.
 */
#include "core/pcp.h"

#include <string.h>

#include "core/alloc_path.h"
#include "core/buddy.h"
#include "core/free_late.h"
#include "core/marks.h"
#include "core/pageblock.h"
#include "core/sysctl.h"
#include "core/visit.h"
#include "core/vmstat.h"

#define BATCH_BYTES_MAX MIB /* a batch is at most a quarter of this */
#define FREE_FACTOR_MAX 5u  /* measured on 6.1.192: 15, 30, ... 480, 480 pages at batch 15 */

static const uint8_t list_order[NR_PCP_LISTS] = {
	0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 9, 9,
};

uint32_t pcp_list_order(uint32_t list_index)
{
	CHECK(list_index < NR_PCP_LISTS);
	return list_order[list_index];
}

/* ---- the arrays ---- */

#define ROOM_SINGLES 1024u /* blocks of order 0 at first; twice as large, half as many */
#define ROOM_LARGE 16u	   /* of order 9 */

static uint32_t first_room(uint32_t index)
{
	uint32_t order = list_order[index];

	return order <= NEAP_COSTLY_ORDER ? ROOM_SINGLES >> order : ROOM_LARGE;
}

/* The lists of one CPU. => false: no address space */
static bool lists_build(struct neap_machine *m, struct pcp *pcp)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < NR_PCP_LISTS; i++)
		nr += first_room(i);
	uint32_t *frame = m->hw->ops->reserve(m->hw, nr * sizeof(*frame));

	for (uint32_t i = 0; i < NR_PCP_LISTS && frame != NULL; i++) {
		pcp->list[i] = (struct pcp_list){ .first = frame,
						  .end = frame,
						  .room = frame,
						  .room_end = frame + first_room(i) };
		frame += first_room(i);
	}
	return frame != NULL;
}

struct pcp *pcp_build(struct neap_machine *m)
{
	struct pcp *pcp = m->hw->ops->reserve(m->hw, m->nr_cpus * sizeof(*pcp));

	for (uint32_t cpu = 0; cpu < m->nr_cpus && pcp != NULL; cpu++)
		if (!lists_build(m, &pcp[cpu]))
			return NULL; /* what was reserved belongs to the hardware */
	return pcp;
}

/* Moves the blocks to another place of their array, or of one that is to be theirs. */
static void list_move(struct pcp_list *list, uint32_t *to)
{
	uint32_t nr = pcp_list_nr(list);

	memmove(to, list->first, nr * sizeof(*to));
	list->first = to;
	list->end = to + nr;
}

/* A larger array. => false: the host has no address space */
static bool list_grow(struct neap_machine *m, struct pcp_list *list, uint64_t room)
{
	uint32_t *array =
		room <= UINT32_MAX ? m->hw->ops->reserve(m->hw, room * sizeof(*array)) : NULL;

	if (array == NULL)
		return false;
	list_move(list, array);
	list->room = array;
	list->room_end = array + room;
	return true;
}

bool pcp_list_make_room(struct neap_machine *m, struct pcp_list *list, uint32_t nr)
{
	uint64_t want = (uint64_t)pcp_list_nr(list) + nr;
	uint64_t room = (uint64_t)(list->room_end - list->room);

	if (list->room_end - list->end >= nr)
		return true;
	/*
	 * At most half full afterwards: as many puts pass until the next time as blocks move. What
	 * is left is never given back: each array is twice the last one, so that all that a list
	 * had are less than the one it has.
	 */
	if (want > room / 2 && list_grow(m, list, 2 * max_u64(want, room)))
		return true;
	list_move(list, list->room);
	return want <= room;
}

bool pcp_list_add_oldest(struct neap_machine *m, struct pcp_list *list, uint32_t pfn)
{
	if (list->first == list->room) {
		/* As much again; without address space what the array has. */
		(void)pcp_list_make_room(m, list, pcp_list_nr(list) + 1);
		list_move(list, list->room_end - pcp_list_nr(list));
		if (list->first == list->room)
			return false;
	}
	*--list->first = pfn;
	return true;
}

/* ---- taking ---- */

/*
 * One block of a zone with a contiguous memory area, of which its mark tells, so that it goes back
 * there. => 1, or 0 if there is none
 */
static NOINLINE uint32_t refill_one(struct task *t, struct zone *zone, struct pcp_list *list,
				    const struct buddy_run *want, uint32_t alloc_flags)
{
	struct page *pages = zone->machine->pages;
	uint32_t pfn = buddy_take(t, zone, want->order, want->type, alloc_flags);

	if (pfn == PFN_NONE)
		return 0;
	bool cma = pageblock_type(zone->machine, pfn) == MT_CMA;

	atomic_store_explicit(&pages[pfn].flags,
			      pcp_page_flags(zone, want->order, cma ? MT_CMA : want->type),
			      memory_order_relaxed);
	list->mixed |= cma;
	*--list->first = pfn;
	return 1;
}

/*
 * Takes up to want->nr blocks from the buddy lists: the first one is to be the newest. The list has
 * so many places before its first. => how many
 */
static uint32_t refill_list(struct task *t, struct zone *zone, struct pcp_list *list,
			    const struct buddy_run *want, uint32_t alloc_flags)
{
	bool cma = unlikely(zone->cma != 0) && (alloc_flags & ALLOC_CMA) != 0;
	struct buddy_run left = *want;

	while (left.nr > 0) {
		uint32_t nr = cma ? refill_one(t, zone, list, &left, alloc_flags)
				  : buddy_take_list(t, zone, list, &left);

		left.nr -= nr;
		if (left.nr > 0 &&
		    (cma ? nr == 0
			 : !pageblock_fallback(t, zone, want->order, want->type, alloc_flags)))
			break;
	}
	return want->nr - left.nr;
}

/*
 * Asks for the frames that a refill of single frames will find on their list, as far as is known.
 * => zone lock held
 */
static ALWAYS_INLINE void refill_ask(struct zone *zone, uint32_t type, uint32_t nr)
{
	const struct page *pages = zone->machine->pages;
	struct newest *newest = &zone->newest[type];
	const uint32_t *pfn = &newest->pfn[newest->nr];

	if (!buddy_has_at(zone, 0, type))
		return;
	nr = min_u32(nr, newest->nr);
	newest->nr -= nr;
	for (const uint32_t *last = pfn - nr; pfn != last;)
		__builtin_prefetch(&pages[*--pfn], 1);
}

/* The list is empty. */
static void pcp_refill(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
		       uint32_t alloc_flags)
{
	struct pcp *pcp = pcp_of(t, zone);
	struct pcp_list *list = &pcp->list[pcp_list_index(order, type)];
	uint32_t batch = racy_read(pcp->batch);
	struct buddy_run want = {
		.nr = batch > 1 ? max_u32(batch >> order, 2) : batch,
		.order = order,
		.type = type,
	};

	list->end = list->first = list->room;
	list->mixed = false;
	if (unlikely(!pcp_list_make_room(zone->machine, list, want.nr)))
		want.nr = (uint32_t)(list->room_end - list->room);
	list->end = list->first = list->room + want.nr;
	spin_lock(t, &zone->lock, LOCK_ZONE);
	if (order == 0)
		refill_ask(zone, type, want.nr);
	uint32_t got = refill_list(t, zone, list, &want, alloc_flags);

	zone_stat_add(t, zone, NR_FREE_PAGES, -((int64_t)got << order));
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	racy_add(pcp->count, got << order);
	alloc_note_free(zone->machine);
}

uint32_t pcp_take(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
		  uint32_t alloc_flags)
{
	struct pcp *pcp = pcp_of(t, zone);
	uint32_t index = pcp_list_index(order, type);

	DCHECK(pcp_order_allowed(order) && type < NR_PCP_TYPES);
	pcp->free_factor >>= 1;
	if (pcp_list_empty(&pcp->list[index])) {
		pcp_refill(t, zone, order, type, alloc_flags);
		if (pcp_list_empty(&pcp->list[index]))
			return PFN_NONE;
	}
	return pcp_pop(pcp, index, order);
}

/* Blocks on the list may remember other types than it has in its name. */
static ALWAYS_INLINE bool list_may_mix(const struct pcp_list *list, uint32_t index)
{
	return list->mixed || index >= PCP_HUGE_LIST;
}

/* Can many blocks go back at once, each to the type that it remembers? => zone lock held */
static bool flush_is_plain(const struct task *t, const struct zone *zone)
{
	return zone->nr_isolated_blocks == 0 && t->capture == NULL && zone->cma == 0;
}

/* What a flush returns, list by list. */
struct flush {
	struct buddy_frames part[NR_PCP_LISTS];
	uint32_t nr_parts;
	uint32_t nr_pages;
};

/* The oldest blocks of a list, at most nr pages; the last block may overshoot. => their pages */
static uint32_t flush_take(struct flush *flush, struct pcp *pcp, uint32_t index, uint32_t nr)
{
	struct pcp_list *list = &pcp->list[index];
	uint32_t order = list_order[index];
	struct buddy_frames *part = &flush->part[flush->nr_parts++];

	part->pfn = list->first;
	part->nr = min_u32((nr + (1u << order) - 1) >> order, pcp_list_nr(list));
	part->order = order;
	part->type = list_may_mix(list, index) ? NR_TYPES : index % NR_PCP_TYPES;
	list->first += part->nr;
	flush->nr_pages += part->nr << order;
	return part->nr << order;
}

/*
 * The blocks are counted before they are written: a carry waits until the processor has finished
 * what was written before.
 */
static void flush_count(struct task *t, struct zone *zone, const struct flush *flush)
{
	int64_t carry = 0;

	for (uint32_t i = 0; i < flush->nr_parts; i++)
		carry += zone_stat_each(t, zone, NR_FREE_PAGES, (int64_t)1 << flush->part[i].order,
					flush->part[i].nr);
	if (carry != 0)
		zone_stat_carry(zone, NR_FREE_PAGES, carry);
}

/*
 * Returns blocks to the buddy lists, one by one to the types that their pageblocks have now.
 * => zone lock held
 */
static NOINLINE void flush_singles(struct task *t, struct zone *zone,
				   const struct buddy_frames *frames)
{
	const struct page *pages = zone->machine->pages;

	for (uint32_t i = 0; i < frames->nr; i++) {
		uint32_t pfn = frames->pfn[i];

		buddy_free(t, zone, pfn, frames->order,
			   zone->nr_isolated_blocks != 0 ? pageblock_type(zone->machine, pfn)
							 : pcp_page_type(&pages[pfn]));
	}
}

/* Returns what was taken. => zone lock held */
static void flush_free(struct task *t, struct zone *zone, const struct flush *flush)
{
	racy_add(pcp_of(t, zone)->count, -flush->nr_pages);
	if (unlikely(!flush_is_plain(t, zone))) {
		for (uint32_t i = 0; i < flush->nr_parts; i++)
			flush_singles(t, zone, &flush->part[i]);
		return;
	}
	flush_count(t, zone, flush);
	for (uint32_t i = 0; i < flush->nr_parts; i++)
		buddy_free_frames(t, zone, &flush->part[i]);
}

/* Lists that have blocks, as bits: list `first` is bit 0, and so on, going round. */
static uint32_t lists_filled(const struct pcp *pcp, uint32_t first)
{
	uint32_t filled = 0;

	for (uint32_t index = 0; index < NR_PCP_LISTS; index++)
		filled |= (uint32_t)!pcp_list_empty(&pcp->list[index]) << index;
	return ((filled | filled << NR_PCP_LISTS) >> first) & ((1u << NR_PCP_LISTS) - 1);
}

/* Returns nr pages, beginning with list `first` and going round. => zone lock held */
static void pcp_flush_lists(struct task *t, struct zone *zone, uint32_t nr, uint32_t first)
{
	struct pcp *pcp = pcp_of(t, zone);
	uint32_t filled = lists_filled(pcp, first);
	uint32_t left = nr;
	struct flush flush;

	flush.nr_parts = flush.nr_pages = 0;
	for (; left > 0 && filled != 0; filled &= filled - 1) {
		uint32_t index = first + (uint32_t)__builtin_ctz(filled);

		index = index < NR_PCP_LISTS ? index : index - NR_PCP_LISTS;
		left -= min_u32(left, flush_take(&flush, pcp, index, left));
	}
	CHECK(left == 0); /* else the count was more than the lists have */
	flush_free(t, zone, &flush);
}

/*
 * Returns nr pages, or all if there are fewer, beginning with list `first` and going round. A large
 * block may overshoot.
 */
static void pcp_flush(struct task *t, struct zone *zone, uint32_t nr, uint32_t first)
{
	uint32_t left = min_u32(nr, racy_read(pcp_of(t, zone)->count));

	if (left == 0)
		return;
	spin_lock(t, &zone->lock, LOCK_ZONE);
	pcp_flush_lists(t, zone, left, first);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
}

/* How many pages a put that met the limit returns; grows while the CPU only frees. */
static uint32_t pcp_flush_amount(struct pcp *pcp, uint32_t limit)
{
	uint32_t batch = racy_read(pcp->batch);

	if (limit < batch)
		return 1;
	uint64_t amount = (uint64_t)batch << pcp->free_factor;

	if (amount < limit - batch && pcp->free_factor < FREE_FACTOR_MAX)
		pcp->free_factor++;
	return (uint32_t)min_u64(max_u64(amount, batch), limit - batch);
}

void pcp_put_full(struct task *t, struct zone *zone, uint32_t list_index, uint32_t order)
{
	struct pcp *pcp = pcp_of(t, zone);
	bool all = pcp->free_factor != 0 && order != 0 && order <= NEAP_COSTLY_ORDER;

	if (order == 0)
		free_late_begin(t, zone);
	uint32_t nr =
		all ? racy_read(pcp->count) : pcp_flush_amount(pcp, pcp_limit(pcp, zone, order));

	pcp_flush(t, zone, nr, list_index);
}

void pcp_put_first(struct task *t, struct zone *zone, uint32_t index)
{
	struct pcp_list *list = &pcp_of(t, zone)->list[index];

	if (likely(pcp_list_make_room(zone->machine, list, 1)))
		return;
	struct flush flush;

	flush.nr_parts = flush.nr_pages = 0;
	(void)flush_take(&flush, pcp_of(t, zone), index,
			 (pcp_list_nr(list) / 2) << list_order[index]);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	flush_free(t, zone, &flush);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	CHECK(pcp_list_make_room(zone->machine, list, 1));
}

void pcp_drain(struct task *t, struct zone *zone, uint32_t nr)
{
	free_late_settle(t);
	pcp_flush(t, zone, nr, 0);
}

void pcp_drain_cpu(struct task *t, struct neap_machine *m, struct zone *only)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			struct zone *zone = &m->nodes[n].zone[i];

			if (!zone_populated(zone) || (only != NULL && zone != only))
				continue;
			pcp_drain(t, zone, UINT32_MAX);
			DCHECK(pcp_verify(zone, task_cpu(t)) == NULL);
		}
	}
}

/* Asked from outside, to leave CPUs alone that have nothing. */
static bool cpu_has_pcp_pages(const struct neap_machine *m, const struct zone *only, uint32_t cpu)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			const struct zone *zone = &m->nodes[n].zone[i];

			if (!zone_populated(zone) || (only != NULL && zone != only))
				continue;
			if (racy_read(zone->pcp[cpu].count) != 0)
				return true;
		}
	}
	return false;
}

/* force: also CPUs that have nothing as far as can be seen from outside. */
static void drain_cpus(struct task *t, struct neap_machine *m, struct zone *only, bool force)
{
	/* First all of these, since they came before the drain. */
	free_late_settle_all(t, m);
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct cpu_visit visit;

		if (!machine_cpu_online(m, cpu) || (!force && !cpu_has_pcp_pages(m, only, cpu)))
			continue;
		if (!cpu_visit(t, cpu, &visit))
			continue;
		pcp_drain_cpu(t, m, only);
		cpu_leave(t, &visit);
	}
}

void pcp_drain_all(struct task *t, struct neap_machine *m, struct zone *only)
{
	/* A general drain that already runs does this one's work as well. */
	bool other = atomic_exchange(&m->pcp_draining, 1) != 0;

	if (other && only == NULL)
		return;
	drain_cpus(t, m, only, false);
	if (!other)
		atomic_store(&m->pcp_draining, 0);
}

uint32_t pcp_batch_for(uint64_t managed)
{
	uint64_t batch = min_u64(managed >> 10, BATCH_BYTES_MAX / NEAP_PAGE_BYTES) / 4;

	batch = max_u64(batch, 1);
	/*
	 * One less than a power of two: sizes that are powers of two would walk in step with
	 * caches.
	 */
	batch = ((uint64_t)1 << (fls_u64(batch + batch / 2) - 1)) - 1;
	return (uint32_t)max_u64(batch, 1);
}

uint32_t pcp_high_for(uint64_t total, uint32_t cpus, uint32_t batch)
{
	uint64_t high = max_u64(total / max_u32(cpus, 1), (uint64_t)batch * 4);

	return (uint32_t)min_u64(high, INT32_MAX);
}

/* coming: CPUs that are about to be online. */
static void zone_limits_setup(struct neap_machine *m, struct zone *zone, uint32_t coming)
{
	uint64_t fraction = (uint64_t)sysctl_get(&m->sysctl.percpu_pagelist_high_fraction);
	uint64_t managed = zone_managed(zone);
	uint64_t total = fraction == 0 ? zone_mark(zone, WMARK_LOW) : managed / fraction;
	struct cpumask online = machine_node_cpus(&m->nodes[zone->node]);
	uint32_t cpus = cpumask_count(&online) + coming;
	uint32_t batch = pcp_batch_for(managed);
	uint32_t high = pcp_high_for(total, cpus != 0 ? cpus : m->nr_online, batch);

	if (zone->pcp_off != 0) {
		batch = 1;
		high = 0;
	}

	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		racy_write(zone->pcp[cpu].batch, batch);
		racy_write(zone->pcp[cpu].high, high);
	}
}

static void machine_limits_setup(struct neap_machine *m, uint32_t coming)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++)
			if (zone_populated(&m->nodes[n].zone[i]))
				zone_limits_setup(m, &m->nodes[n].zone[i], coming);
}

void pcp_limits_setup(struct neap_machine *m)
{
	machine_limits_setup(m, 0);
}

void pcp_limits_cpu_coming(struct neap_machine *m)
{
	machine_limits_setup(m, 1);
}

void pcp_disable(struct task *t, struct zone *zone)
{
	atomic_fetch_add(&zone->pcp_off, 1);
	zone_limits_setup(zone->machine, zone, 0);
	/*
	 * Whoever has found room by the old limits and is about to put a page there has his CPU's
	 * word: visiting every CPU waits for him.
	 */
	drain_cpus(t, zone->machine, zone, true);
}

void pcp_enable(struct zone *zone)
{
	CHECK(atomic_fetch_sub(&zone->pcp_off, 1) != 0);
	zone_limits_setup(zone->machine, zone, 0);
}

/* What is wrong with a block on a list? */
static const char *pcp_verify_block(const struct zone *zone, const struct pcp_list *list,
				    uint32_t index, uint32_t pfn)
{
	const struct page *page = &zone->machine->pages[pfn];
	uint32_t order = list_order[index];

	if (pfn - zone->start_pfn >= zone_spanned(zone))
		return "a frame outside the zone is on its per-CPU list";
	uint32_t type = pcp_page_type(page);

	if (page_flags(page) != pcp_page_flags(zone, order, type) || type == MT_ISOLATE)
		return "a page on a per-CPU list has wrong flags";
	if (pcp_list_index(order, type < NR_PCP_TYPES ? type : MT_MOVABLE) != index)
		return "a page is on the per-CPU list of another type";
	if (!list_may_mix(list, index) && type != index % NR_PCP_TYPES)
		return "a per-CPU list has a page of a type that it does not tell of";
	if (page_refs(page) != 0 || page_maps(page) != 0)
		return "a page on a per-CPU list is referenced or mapped";
	return NULL;
}

const char *pcp_verify(const struct zone *zone, uint32_t cpu)
{
	const struct pcp *pcp = &zone->pcp[cpu];
	uint64_t count = 0;

	for (uint32_t index = 0; index < NR_PCP_LISTS; index++) {
		const struct pcp_list *list = &pcp->list[index];
		const char *wrong = NULL;

		if (list->first < list->room || list->first > list->end ||
		    list->end > list->room_end)
			return "a per-CPU list is not in its array";
		for (const uint32_t *pfn = list->first; pfn != list->end && wrong == NULL; pfn++)
			wrong = pcp_verify_block(zone, list, index, *pfn);
		if (wrong != NULL)
			return wrong;
		count += (uint64_t)pcp_list_nr(list) << list_order[index];
	}
	return count == racy_read(pcp->count) ? NULL
					      : "a per-CPU count is not the pages on the lists";
}
