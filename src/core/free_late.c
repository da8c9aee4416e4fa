/*
 * free_late.c: freeing what has not come from memory yet.
 *
 *   free_page_put(pfn) ── asks for the descriptor ──> cpu.late[ o o o o ... ]
 *                                                        the oldest half, when it is full
 *                                                           └──> reference dropped,
 *   per-CPU list (core/pcp.c):   oldest o o o o newest | o o o      put behind the newest
 *
 * A program that gives back a gigabyte in an order of its own hands us one frame number
 * after the other whose descriptor is in no cache. Nobody could ask for it earlier, since
 * the number comes with the call, and a free needs more instructions than the processor
 * looks ahead: so each call would wait for memory once. Here it does not wait. The number
 * is noted, the line is on its way, and the free is performed LATE_HALF calls later.
 *
 * Late frees are on only while a CPU frees in bulk (its per-CPU list overflowed again and
 * again with hardly a request between). Whoever does something else with the allocator on
 * that CPU (a request, another kind of free, a drain, a report, setting pageblocks aside)
 * first performs all of them in their order, and then they are off. So each list, count
 * and decision is what it would have been (docs/decisions/0009).
 *
 * Each half goes straight onto the array of its per-CPU list, and is counted once for all frames
 * that are of one zone and type (struct late_run); one of another sort begins another such run.
 * What a run may take is known before: until the limit of the lists, or the end of the array,
 * whichever comes first. At either something is due that a prompt free would have done there.
 *
 * The reference is dropped with the free: a dropped one would have to be written to the
 * line that is not there. Until then the frame looks used. It is one that only holders of
 * references know, so nobody waits for it; who counts frames settles first.
 *
 * Whoever sets pageblocks aside forbids late frees first and then settles them, so that none begin
 * before the pageblocks themselves say that they must not.
 *
 * In virtual time nothing is late: the simulator charges what a free costs where it happens.
 *
 * What must never happen: a frame forgotten here while its CPU goes, or while somebody
 * waits for its pageblock; two frees of a CPU in another order than they were asked for; more of
 * them performed between two looks at limit and array than there was room for.
 *
 * DIFF: Linux has nothing like it. Its callers that free many pages hand over a list
 * (free_unref_page_list()).
 */
#include "core/free_late.h"

#include <string.h>

#include "core/alloc_path.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/visit.h"

#define LATE_HALF (LATE_FREES / 2)
#define LATE_FACTOR 2u /* flushes without requests between, until a CPU counts as freeing in bulk */

/* Frames of one zone and type on their way to their list. */
struct late_run {
	struct zone *zone;
	struct pcp *pcp;
	struct pcp_list *list;
	uint64_t place; /* what the flags of each say that fits */
	uint64_t flags; /* what each descriptor will say */
	uint32_t type;
	uint32_t room; /* so many can come until there is something to do */
};

/* What is the same in the flags of all frames of a zone that may be freed. */
#define LATE_MASK (PG_BAD_AT_FREE | PG_HEAD | PAGE_PLACE_MASK)
#define LATE_NOWHERE UINT64_MAX /* the place of a run that nothing fits */

/* So many more are on the list. */
static ALWAYS_INLINE void run_count(struct task *t, struct late_run *run, uint32_t nr)
{
	run->list->end += nr;
	run->room -= nr;
	racy_add(run->pcp->count, nr);
	slot_count_event(t->slot, EV_PGFREE, nr);
}

/* Until the limit, or the end of the list's array. */
static ALWAYS_INLINE void run_make_room(struct task *t, struct late_run *run)
{
	uint32_t limit = pcp_limit(run->pcp, run->zone, 0);
	uint32_t count = racy_read(run->pcp->count);

	if (unlikely(run->list->end == run->list->room_end))
		pcp_put_first(t, run->zone, pcp_list_index(0, run->type));
	run->room = min_u32(count < limit ? limit - count : 1,
			    (uint32_t)(run->list->room_end - run->list->end));
}

/* Goes on with frames like those before. */
static ALWAYS_INLINE void run_begin(struct task *t, struct late_run *run)
{
	const struct cpu *cpu = task_cpu_data(t);

	*run = (struct late_run){ .zone = cpu->late_zone, .place = LATE_NOWHERE, .room = 1 };
	if (unlikely(run->zone == NULL))
		return;
	run->type = cpu->late_type;
	run->pcp = pcp_of(t, run->zone);
	run->list = &run->pcp->list[pcp_list_index(0, run->type)];
	run->place = run->zone->place;
	run->flags = pcp_page_flags(run->zone, 0, run->type);
	run_make_room(t, run);
}

/* There is no room: the limit is met, or the array is full. */
static NOINLINE void run_full(struct task *t, struct late_run *run)
{
	if (racy_read(run->pcp->count) >= pcp_limit(run->pcp, run->zone, 0))
		pcp_put_full(t, run->zone, pcp_list_index(0, run->type), 0);
	run_make_room(t, run);
}

/*
 * Drops references as long as the frames fit and there is room; what nobody refers to joins the
 * list. => how many; *odd: the last of them does not fit, and nobody refers to it
 */
static ALWAYS_INLINE uint32_t run_fill(struct task *t, struct late_run *run, const uint32_t *pfn,
				       uint32_t nr, bool *odd)
{
	const struct neap_machine *m = t->machine;
	struct page *pages = m->pages;
	const uint8_t *block_type = m->block_type;
	const uint64_t place = run->place;
	const uint64_t flags = run->flags;
	const uint32_t type = run->type;
	const uint32_t most = min_u32(nr, run->room);
	uint32_t nothing;
	uint32_t *const first = run->list != NULL ? run->list->end : &nothing;
	uint32_t *to = first;
	bool fits = true;
	uint32_t i = 0;

	while (i < most && fits) {
		uint32_t at = pfn[i++];
		struct page *page = &pages[at];

		if (!page_put_owned(page))
			continue;
		if (likely((page_flags(page) & LATE_MASK) == place &&
			   racy_read(block_type[at >> PAGEBLOCK_SHIFT]) == type)) {
			CHECK(page_maps(page) == 0);
			atomic_store_explicit(&page->flags, flags, memory_order_relaxed);
			*to++ = at;
		} else {
			fits = false;
		}
	}
	*odd = !fits;
	if (to != first)
		run_count(t, run, (uint32_t)(to - first));
	return i;
}

/* One of another zone or type, which the next ones may share, or one that is not on these lists. */
static NOINLINE void late_free_other(struct task *t, struct late_run *run, uint32_t pfn)
{
	struct page *page = machine_page(t->machine, pfn);
	struct cpu *cpu = task_cpu_data(t);
	uint64_t flags = page_flags(page);
	uint32_t type = pageblock_type(t->machine, pfn);

	free_check(page, flags, 0);
	if (type >= NR_PCP_TYPES) {
		free_block(t, pfn, 0);
		run_begin(t, run);
		return;
	}
	cpu->late_zone = page_zone_of(t->machine, flags);
	cpu->late_type = type;
	run_begin(t, run);
	atomic_store_explicit(&page->flags, run->flags, memory_order_relaxed);
	*run->list->end = pfn;
	run_count(t, run, 1);
}

/* Drops the references and frees what had no other. => pinned */
static void late_perform(struct task *t, const uint32_t *pfn, uint32_t nr)
{
	struct late_run run;

	run_begin(t, &run);
	for (uint32_t at = 0; at < nr;) {
		bool odd;

		at += run_fill(t, &run, &pfn[at], nr - at, &odd);
		if (unlikely(odd))
			late_free_other(t, &run, pfn[at - 1]);
		if (unlikely(run.room == 0))
			run_full(t, &run);
	}
}

/* The oldest half of those of this CPU, if they are as many as can be. */
static NOINLINE void late_perform_half(struct task *t)
{
	uint32_t pfn[LATE_HALF];

	cpu_pin(t);
	struct cpu *cpu = task_cpu_data(t);

	if (likely(cpu->nr_late == LATE_FREES + 1)) {
		memcpy(pfn, cpu->late, sizeof(pfn));
		memcpy(cpu->late, &cpu->late[LATE_HALF], sizeof(pfn));
		racy_write(cpu->nr_late, LATE_HALF + 1);
		late_perform(t, pfn, LATE_HALF);
	}
	cpu_unpin(t);
}

void free_late_put(struct task *t, struct cpu_slot *slot, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct cpu *cpu = slot_cpu(slot);
	uint32_t nr = cpu->nr_late;

	/* Full: its favourite was asked to go between two halves of a call. */
	if (unlikely(nr - 1 >= LATE_FREES ||
		     atomic_load_explicit(&m->tracing, memory_order_relaxed) != 0)) {
		cpu_unpin_brief(t, slot);
		if (page_put_owned(machine_page(m, pfn)))
			free_pages(t, pfn, 0);
		return;
	}
	__builtin_prefetch(machine_page(m, pfn), 1);
	cpu->late[nr - 1] = pfn;
	racy_write(cpu->nr_late, nr + 1);
	cpu_unpin_brief(t, slot);
	if (unlikely(nr == LATE_FREES))
		late_perform_half(t);
}

/* Somewhere pageblocks are set aside, or soon: who does that waits for every free in them. */
static bool any_set_aside(const struct neap_machine *m)
{
	if (atomic_load(&m->late_off) != 0)
		return true;
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			struct zone *zone = &m->nodes[n].zone[i];

			if (zone->pcp_off != 0 || zone->nr_isolated_blocks != 0)
				return true;
		}
	return false;
}

void free_late_begin(struct task *t, const struct zone *zone)
{
	struct cpu *cpu = task_cpu_data(t);

	if (cpu->nr_late != 0 || zone->pcp[task_cpu(t)].free_factor < LATE_FACTOR ||
	    t->rt->virtual_time)
		return;
	racy_write(cpu->nr_late, 1);
	/* Either we see who sets aside, or he sees this and comes for our word. */
	atomic_thread_fence(memory_order_seq_cst);
	if (any_set_aside(t->machine))
		racy_write(cpu->nr_late, 0);
}

void free_late_forbid(struct task *t, struct neap_machine *m)
{
	atomic_fetch_add(&m->late_off, 1);
	free_late_settle_all(t, m);
}

void free_late_allow(struct neap_machine *m)
{
	CHECK(atomic_fetch_sub(&m->late_off, 1) != 0);
}

void free_late_settle_here(struct task *t)
{
	uint32_t pfn[LATE_FREES];

	cpu_pin(t);
	struct cpu *cpu = task_cpu_data(t);
	uint32_t nr = cpu->nr_late;

	/* Off when all are performed: who sees from another CPU that they are off does not wait. */
	if (nr > 1) {
		memcpy(pfn, cpu->late, (nr - 1) * sizeof(pfn[0]));
		racy_write(cpu->nr_late, 1);
		late_perform(t, pfn, nr - 1);
	}
	racy_write(cpu->nr_late, 0);
	cpu_unpin(t);
}

void free_late_settle_all(struct task *t, struct neap_machine *m)
{
	/* Whoever forbade them just now sees those that began before (see free_late_begin()). */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct cpu_visit visit;

		if (racy_read(m->cpus[cpu].nr_late) == 0 || !cpu_visit(t, cpu, &visit))
			continue;
		free_late_settle_here(t);
		cpu_leave(t, &visit);
	}
}
