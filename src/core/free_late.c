/*
 * free_late.c: freeing what has not come from memory yet.
 *
 *   free_page_put(pfn) ── asks for the descriptor ──> cpu.late[ o o o o ... ]
 *                                                        the oldest half, when it is full
 *                                                           └──> reference dropped, per-CPU list
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
 * waits for its pageblock; two frees of a CPU in another order than they were asked for.
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

/* Frames of one zone and type on their way to the head of their per-CPU list. */
struct late_run {
	const struct zone *zone; /* NULL: there is none */
	struct pcp *pcp;
	struct list *list;
	uint64_t flags; /* what each descriptor will say */
	uint32_t type;
	uint32_t room; /* so many can be put there until one meets the limit */
	uint32_t nr;   /* were put there, and are not counted yet */
};

static ALWAYS_INLINE void run_count(struct task *t, struct late_run *run)
{
	if (run->nr != 0) {
		racy_add(run->pcp->count, run->nr);
		slot_count_event(t->slot, EV_PGFREE, run->nr);
		run->nr = 0;
	}
}

static NOINLINE void run_begin(struct task *t, struct late_run *run, const struct zone *zone,
			       uint32_t type)
{
	struct pcp *pcp = pcp_of(t, zone);

	run_count(t, run);
	uint32_t limit = pcp_limit(pcp, zone, 0);
	uint32_t count = racy_read(pcp->count) + 1;

	*run = (struct late_run){
		.zone = zone,
		.pcp = pcp,
		.list = &pcp->list[pcp_list_index(0, type)],
		.flags = pcp_page_flags(zone, 0, type),
		.type = type,
		.room = count < limit ? limit - count : 0,
	};
}

/* One that does not fit into a run: of a special type, or the list is full with it. => pinned */
static NOINLINE void late_free_alone(struct task *t, struct late_run *run, uint32_t pfn)
{
	run_count(t, run);
	run->zone = NULL;
	free_block(t, pfn, 0);
}

/* Drops the references and frees what had no other. => pinned */
static void late_perform(struct task *t, const uint32_t *pfn, uint32_t nr)
{
	struct neap_machine *m = t->machine;
	struct late_run run = { .zone = NULL };

	for (uint32_t i = 0; i < nr; i++) {
		struct page *page = machine_page(m, pfn[i]);

		if (!page_put_test(page))
			continue;
		uint64_t flags = page_flags(page);
		struct zone *zone = page_zone_of(m, flags);
		uint32_t type = pageblock_type(m, pfn[i]);

		if (unlikely(zone != run.zone || type != run.type) && type < NR_PCP_TYPES)
			run_begin(t, &run, zone, type);
		if (unlikely(type >= NR_PCP_TYPES || run.room == 0)) {
			late_free_alone(t, &run, pfn[i]);
			continue;
		}
		free_check(page, flags, 0);
		atomic_store_explicit(&page->flags, run.flags, memory_order_relaxed);
		list_add_head(m->pages, run.list, pfn[i]);
		run.room--;
		run.nr++;
	}
	run_count(t, &run);
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

void free_late_put(struct task *t, uint32_t pfn)
{
	struct neap_machine *m = t->machine;
	struct cpu_slot *slot = t->slot;

	if (likely(cpu_pin_brief(t, slot))) {
		struct cpu *cpu = task_cpu_data(t);
		uint32_t nr = cpu->nr_late;

		/* Full: its favourite was asked to go between two halves of a call. */
		if (likely(nr - 1 < LATE_FREES &&
			   atomic_load_explicit(&m->tracing, memory_order_relaxed) == 0)) {
			__builtin_prefetch(machine_page(m, pfn), 1);
			cpu->late[nr - 1] = pfn;
			racy_write(cpu->nr_late, nr + 1);
			cpu_unpin_brief(t, slot);
			if (unlikely(nr == LATE_FREES))
				late_perform_half(t);
			return;
		}
		cpu_unpin_brief(t, slot);
	}
	if (page_put_test(machine_page(m, pfn)))
		free_pages(t, pfn, 0);
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
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct cpu_visit visit;

		if (racy_read(m->cpus[cpu].nr_late) == 0 || !cpu_visit(t, cpu, &visit))
			continue;
		free_late_settle_here(t);
		cpu_leave(t, &visit);
	}
}
