/* Per-CPU page lists in front of the buddy lists (spec 04, section 1). */
#ifndef NEAP_CORE_PCP_H
#define NEAP_CORE_PCP_H

#include "core/gfp.h"
#include "core/machine.h"
#include "core/racy.h"

#define PCP_HUGE_LIST (NR_PCP_LISTS - 2) /* the Movable one follows */

/* The orders that per-CPU lists keep: small ones, and huge pages. */
static ALWAYS_INLINE bool pcp_order_allowed(uint32_t order)
{
	return order <= NEAP_COSTLY_ORDER || order == NEAP_PAGEBLOCK_ORDER;
}

static ALWAYS_INLINE uint32_t pcp_list_index(uint32_t order, uint32_t type)
{
	if (unlikely(order == NEAP_PAGEBLOCK_ORDER))
		return PCP_HUGE_LIST + (type == MT_MOVABLE ? 1 : 0);
	return order * NR_PCP_TYPES + type;
}

/* The type that a page on a list remembers. */
static ALWAYS_INLINE uint32_t pcp_page_type(const struct page *page)
{
	return (uint32_t)(page_flags(page) >> PAGE_TYPE_SHIFT) & 0x7;
}

/* The order of the blocks on a list. */
uint32_t pcp_list_order(uint32_t list_index);

/* This CPU's set of a zone. => pinned */
static ALWAYS_INLINE struct pcp *pcp_of(const struct task *t, const struct zone *zone)
{
	cpu_assert_pinned(t);
	return &zone->pcp[task_cpu(t)];
}

static ALWAYS_INLINE bool pcp_list_empty(const struct pcp_list *list)
{
	return list->first == list->end;
}

static ALWAYS_INLINE uint32_t pcp_list_nr(const struct pcp_list *list)
{
	return (uint32_t)(list->end - list->first);
}

/* The block that came last, and the one that came first. => the list has one */
static ALWAYS_INLINE uint32_t pcp_list_newest(const struct pcp_list *list)
{
	DCHECK(!pcp_list_empty(list));
	return list->end[-1];
}

static ALWAYS_INLINE uint32_t pcp_list_oldest(const struct pcp_list *list)
{
	DCHECK(!pcp_list_empty(list));
	return list->first[0];
}

/* Takes the newest block of a non-empty list. The descriptor still says PG_PCP. */
static ALWAYS_INLINE uint32_t pcp_pop(struct pcp *pcp, uint32_t list_index, uint32_t order)
{
	struct pcp_list *list = &pcp->list[list_index];
	uint32_t *newest = list->end - 1;

	list->end = newest;
	racy_add(pcp->count, -(1u << order));
	return *newest;
}

/* => NULL: the host has no address space for the sets of all CPUs */
struct pcp *pcp_build(struct neap_machine *m);

/*
 * Makes room for so many blocks more on a list. => false: the host has no address space, and the
 * list stays as it is
 */
bool pcp_list_make_room(struct neap_machine *m, struct pcp_list *list, uint32_t nr);

/* Puts a block behind all others, for a state that is put together. => false: the same */
bool pcp_list_add_oldest(struct neap_machine *m, struct pcp_list *list, uint32_t pfn);

/*
 * Takes a block through the lists, refilling them if need be.
 * => pinned, no zone lock; order is allowed; PFN_NONE if the buddy lists have nothing either
 * => the descriptor still says PG_PCP
 */
uint32_t pcp_take(struct task *t, struct zone *zone, uint32_t order, uint32_t type,
		  uint32_t alloc_flags);

/*
 * Flushes when the lists have reached their limit: the second half of pcp_put(). => pinned, no zone
 * lock
 */
void pcp_put_full(struct task *t, struct zone *zone, uint32_t list_index, uint32_t order);

/*
 * Makes room for one block more on a list: the first half of pcp_put(). Where the host has no
 * address space, half the list goes back as if it had met its limit. => pinned, no zone lock
 */
void pcp_put_first(struct task *t, struct zone *zone, uint32_t list_index);

/* The limit at which a put of this order flushes. */
static ALWAYS_INLINE uint32_t pcp_limit(const struct pcp *pcp, const struct zone *zone,
					uint32_t order)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;
	uint32_t high = racy_read(pcp->high);

	if (unlikely(order != 0 && order <= NEAP_COSTLY_ORDER && pcp->free_factor != 0))
		return 0;
	if (unlikely(atomic_load_explicit(&z->flags, memory_order_relaxed) & ZONE_RECLAIM_ACTIVE))
		return min_u32(racy_read(pcp->batch) * 4, high);
	return high;
}

/*
 * A put onto the list that makes it `count` pages does not meet the limit, for certain, and the
 * list has room: fewer registers than pcp_limit(), which tells the rest.
 */
static ALWAYS_INLINE bool pcp_has_room(const struct pcp *pcp, const struct pcp_list *list,
				       const struct zone *zone, uint32_t order, uint32_t count)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;
	uint32_t flags = atomic_load_explicit(&z->flags, memory_order_relaxed);

	if (order != 0 && order <= NEAP_COSTLY_ORDER && pcp->free_factor != 0)
		return false;
	return (flags & ZONE_RECLAIM_ACTIVE) == 0 && list->end != list->room_end &&
	       count < racy_read(pcp->high);
}

/* What the descriptor of a block on the lists says. */
static ALWAYS_INLINE uint64_t pcp_page_flags(const struct zone *zone, uint32_t order, uint32_t type)
{
	return PG_PCP | zone->place | ((uint64_t)order << PAGE_ORDER_SHIFT) |
	       ((uint64_t)type << PAGE_TYPE_SHIFT);
}

/*
 * Puts a free block on its list, full or not; the list has room. page: its descriptor; flags:
 * pcp_page_flags(). The caller counts it (pcp.count). => pinned
 */
static ALWAYS_INLINE void pcp_push(struct page *page, struct pcp_list *list, uint32_t pfn,
				   uint64_t flags)
{
	atomic_store_explicit(&page->flags, flags, memory_order_relaxed);
	*list->end++ = pfn;
}

/*
 * Puts a free block on its list; flushes some when the lists are full. type: its pageblock's, not
 * Isolate.
 * => pinned, no zone lock; order is allowed
 */
static ALWAYS_INLINE void pcp_put(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order,
				  uint32_t type)
{
	struct pcp *pcp = pcp_of(t, zone);
	uint32_t index = pcp_list_index(order, type < NR_PCP_TYPES ? type : MT_MOVABLE);
	struct pcp_list *list = &pcp->list[index];

	DCHECK(pcp_order_allowed(order) && type != MT_ISOLATE);
	if (unlikely(list->end == list->room_end))
		pcp_put_first(t, zone, index);
	uint32_t count = racy_read(pcp->count) + (1u << order);
	bool full = count >= pcp_limit(pcp, zone, order);

	slot_count_event(t->slot, EV_PGFREE, (uint64_t)1 << order);
	racy_write(pcp->count, count);
	if (unlikely(type >= NR_PCP_TYPES))
		list->mixed = true;
	pcp_push(machine_page(t->machine, pfn), list, pfn, pcp_page_flags(zone, order, type));
	if (unlikely(full))
		pcp_put_full(t, zone, index, order);
}

/* Frees up to nr pages of this CPU's lists, list 0 first. => pinned, no zone lock */
void pcp_drain(struct task *t, struct zone *zone, uint32_t nr);

/*
 * Frees everything on every CPU's lists (of one zone, or all if NULL). Takes other CPUs' words:
 * nothing held.
 */
void pcp_drain_all(struct task *t, struct neap_machine *m, struct zone *only);

/* The same for the CPU that is pinned. => pinned, no zone lock */
void pcp_drain_cpu(struct task *t, struct neap_machine *m, struct zone *only);

/* batch and high of every zone and CPU (spec 04, "Batch", "High"). => machine.sysctl_lock held */
void pcp_limits_setup(struct neap_machine *m);
/*
 * The same while a CPU is coming online: every node counts one CPU more than it has. 6.1 does so
 * for all zones, whatever node the CPU belongs to (recorded).
 */
void pcp_limits_cpu_coming(struct neap_machine *m);

/*
 * The zone's per-CPU lists stay empty until pcp_enable(): blocks come from the buddy lists one by
 * one, and go back at once. Nests. => machine.sysctl_lock held, nothing else
 */
void pcp_disable(struct task *t, struct zone *zone);
void pcp_enable(struct zone *zone);
/* Pages moved at a time between the lists and the buddy lists of a zone. */
uint32_t pcp_batch_for(uint64_t managed);
/* Limit of each of `cpus` sets that share `total` pages. */
uint32_t pcp_high_for(uint64_t total, uint32_t cpus, uint32_t batch);

/*
 * Checks one set: places, flags and count. => the CPU's word held, or nobody at work; NULL or what
 * is wrong
 */
const char *pcp_verify(const struct zone *zone, uint32_t cpu);

#endif
