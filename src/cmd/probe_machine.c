/*
 * A machine for recorded bursts.
 *
 *     first state ──> description ──> machine on rt/sim and hw/soft, no engine thread
 *     any state ────> core/restore.h: frames, lists, counts, kswapd's request
 *     operation ────> alloc_pages(), free_pages() of the engine, on the CPU it names
 *                        └─> result: frame, free pages of every zone, steals, wake-ups
 *
 * The recorded CPUs stood still with interrupts off, so nothing else may run here either: kswapd,
 * kcompactd and the other engine threads are never started. A wake-up of kswapd is seen as its
 * trace event; the sleeper is then no longer one, exactly as on the recorded machine.
 *
 * Slots are kept twice: what the recording says, with which every state is loaded, and what this
 * machine got since then. A recorded machine's other pages in use are frames without any owner.
 *
 * What a recording cannot say, and what stands in for it: which type a page on a per-CPU list
 * remembers. It is known if the page has been on the list since the last burst. Else, a list of
 * Unmovable or Reclaimable holds its own type; one of Movable also that of the reserve, if the
 * pageblock is HighAtomic now; the first list of order 9 holds two types, and the pageblock says
 * which.
 *
 * Nor does it say which of the other pages in use could be moved, which decides whether a theft
 * takes the pageblock, too: cmd/probe_guess.c.
 *
 * What must never happen: a recording that stops the program. What the engine CHECKs of its callers
 * is looked at before, and refused with the line.
 */
#include "cmd/probe_machine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/probe_guess.h"
#include "core/alloc.h"
#include "core/event.h"
#include "core/mempolicy.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/restore.h"
#include "core/vmstat.h"
#include "core/zonelist.h"
#include "hw/soft/soft.h"
#include "rt/sim/sim.h"

#define FRAMES_MOST (UINT32_C(1) << 24) /* 64 GiB: recordings list every free block */
#define BLOCKS_MOST 200000u		/* the recorded module stopped there */
#define TIME_MOST_NS (600 * NSEC_PER_SEC)

/* ---- building ---- */

static const struct probe_state *first_state(const struct probe *probe)
{
	return probe->nr_states != 0 ? &probe->states[0] : NULL;
}

static void describe_zones(const struct probe *probe, const struct probe_state *state,
			   struct machine_desc *desc)
{
	for (uint32_t i = 0; i < state->zones.nr; i++) {
		const struct probe_zone *zone = &probe->zones[state->zones.first + i];

		desc->node[zone->place.node].zone[zone->place.zone] = (struct machine_zone_desc){
			.start_pfn = zone->start_pfn,
			.spanned = zone->spanned,
			.present = zone->present,
			.managed = zone->managed,
		};
		desc->nr_nodes = max_u32(desc->nr_nodes, zone->place.node + 1u);
	}
	for (uint32_t i = 0; i < state->nodes.nr; i++)
		desc->nr_nodes =
			max_u32(desc->nr_nodes, probe->nodes[state->nodes.first + i].id + 1);
	/* A CPU may come online later. */
	for (uint32_t i = 0; i < probe->nr_pcps; i++)
		desc->nr_cpus = max_u32(desc->nr_cpus, probe->pcps[i].cpu + 1u);
}

/* The CPUs of each node, from machine.json. => false if it does not fit the recording */
static bool describe_cpus_json(const struct machine_json *json, struct machine_desc *desc)
{
	struct cpumask cpus[NEAP_MAX_NODES];
	struct snapshot *snapshot = calloc(1, snapshot_bytes(desc->nr_nodes));
	bool fits;

	if (snapshot == NULL)
		return false;
	snapshot->nr_nodes = desc->nr_nodes;
	for (uint32_t cpu = 0; cpu < desc->nr_cpus; cpu++)
		cpumask_set(&snapshot->online, cpu);
	fits = machine_json_cpus(json, snapshot, cpus);
	for (uint32_t n = 0; fits && n < desc->nr_nodes; n++)
		desc->node[n].cpus = cpus[n];
	free(snapshot);
	return fits;
}

static void describe_cpus(const struct machine_json *json, struct machine_desc *desc)
{
	if (json != NULL && describe_cpus_json(json, desc))
		return;
	for (uint32_t cpu = 0; cpu < desc->nr_cpus; cpu++)
		cpumask_set(&desc->node[cpu * desc->nr_nodes / desc->nr_cpus].cpus, cpu);
}

/* Highest frame plus one. => 0 if there is no zone, or more memory than recordings have */
static uint32_t description_frames(const struct machine_desc *desc)
{
	uint64_t spanned = 0;
	uint32_t end = 0;

	for (uint32_t i = 0; i < desc->nr_nodes * NR_ZONES; i++) {
		const struct machine_zone_desc *zone = &desc->node[i / NR_ZONES].zone[i % NR_ZONES];

		spanned += zone->spanned;
		if ((uint64_t)zone->start_pfn + zone->spanned > INT32_MAX)
			return 0;
		if (zone->spanned != 0)
			end = max_u32(end, zone->start_pfn + zone->spanned);
	}
	return spanned != 0 && spanned <= FRAMES_MOST ? end : 0;
}

static int machine_make(struct probe_machine *pm, const struct machine_desc *desc)
{
	const struct rt_sim_config config = {
		.nr_cpus = desc->nr_cpus,
		.seed = 1,
		.switch_item = RT_SIM_NO_ITEM,
		.flush_item = RT_SIM_NO_ITEM,
		.answer_item = RT_SIM_NO_ITEM,
		.end_ns = TIME_MOST_NS,
	};
	int error = rt_sim_create(&config, &pm->rt);

	if (error == 0)
		error = hw_soft_create(description_frames(desc), true, &pm->hw);
	if (error == 0)
		error = machine_build(&pm->m, desc, pm->rt, pm->hw, NULL);
	if (error != 0)
		return error;
	rt_sim_set_machine(pm->rt, &pm->m);
	uint32_t nr_blocks = (pm->m.max_pfn >> PAGEBLOCK_SHIFT) + 1;

	pm->movable = calloc(nr_blocks, sizeof(*pm->movable));
	pm->remembered = calloc(pm->m.max_pfn, 1);
	pm->held = calloc(pm->m.max_pfn / 64 + 1, sizeof(*pm->held));
	for (uint32_t i = 0; pm->movable != NULL && i < nr_blocks; i++)
		pm->movable[i].most = NEAP_PAGEBLOCK_PAGES;
	return pm->movable != NULL && pm->remembered != NULL && pm->held != NULL ? 0 : -ENOMEM;
}

static int machine_describe(const struct probe *probe, const struct machine_json *json,
			    struct machine_desc *desc)
{
	const struct probe_state *state = first_state(probe);

	if (state == NULL)
		return -EINVAL;
	describe_zones(probe, state, desc);
	if (desc->nr_cpus == 0 || desc->nr_nodes == 0 || description_frames(desc) == 0)
		return -EINVAL;
	describe_cpus(json, desc);
	return 0;
}

int probe_machine_create(const struct probe *probe, const struct machine_json *json,
			 const char *file_name, struct probe_machine **out, struct text_error *err)
{
	struct machine_desc *desc = calloc(1, sizeof(*desc));
	size_t bytes = round_up_u64(sizeof(struct probe_machine), 64);
	struct probe_machine *pm = aligned_alloc(64, bytes);
	int error = -ENOMEM;

	text_error_clear(err);
	if (pm != NULL) {
		memset(pm, 0, bytes);
		pm->probe = probe;
		pm->file_name = file_name;
	}
	if (desc != NULL && pm != NULL) {
		error = machine_describe(probe, json, desc);
		if (error == 0)
			error = machine_make(pm, desc);
	}
	free(desc);
	if (error == -EINVAL)
		text_error_set(err, file_name, probe->nr_states != 0 ? probe->states[0].line : 0,
			       "the first state has no zones and CPUs that make a machine of at"
			       " most 64 GiB");
	if (error != 0) {
		probe_machine_destroy(pm);
		return error == -ENOMEM ? text_error_no_memory(err, file_name) : error;
	}
	*out = pm;
	return 0;
}

void probe_machine_destroy(struct probe_machine *pm)
{
	if (pm == NULL)
		return;
	if (pm->rt != NULL)
		rt_sim_destroy(pm->rt);
	if (pm->hw != NULL)
		hw_soft_destroy(pm->hw);
	free(pm->movable);
	free(pm->remembered);
	free(pm->held);
	free(pm->blocks);
	free(pm);
}

/* ---- running ---- */

struct running {
	struct probe_machine *pm;
	int (*fn)(struct probe_machine *pm, void *arg);
	void *arg;
};

static uint32_t free_pages_around(const struct neap_machine *m, uint32_t pfn)
{
	uint32_t first = pfn & ~(NEAP_PAGEBLOCK_PAGES - 1);
	uint32_t nr = 0;

	for (uint32_t at = first; at < first + NEAP_PAGEBLOCK_PAGES && at < m->max_pfn;) {
		bool is_free = page_test(&m->pages[at], PG_BUDDY);
		uint32_t pages = is_free ? 1u << m->pages[at].owner : 1;

		nr += is_free ? pages : 0;
		at += pages;
	}
	return nr;
}

static void keep_unseen(struct probe_machine *pm, const struct probe_event *theft)
{
	struct probe_unseen *unseen = &pm->unseen;

	/* A block of whole pageblocks takes them whatever is in them. */
	if (unseen->nr == PROBE_UNSEEN_MAX || theft->found >= NEAP_PAGEBLOCK_ORDER)
		return;
	unseen->theft[unseen->nr] = *theft;
	unseen->free_pages[unseen->nr++] = free_pages_around(&pm->m, theft->pfn);
}

/* The engine's hook: it keeps what the recorded module kept, and thefts beyond that apart. */
static void keep_event(struct task *t, const struct event_record *record)
{
	struct probe_machine *pm = container_of(t->machine, struct probe_machine, m);
	struct probe_result *result = &pm->result;
	bool full = result->nr_events == PROBE_EVENTS_MAX;
	struct probe_event event = { .line = 0 };

	if (!pm->listening)
		return;
	if (record->id == TE_MM_PAGE_ALLOC_EXTFRAG) {
		event.kind = PROBE_STEAL;
		event.pfn = (uint32_t)record->arg[0];
		event.order = (uint8_t)record->arg[1];
		event.found = (uint8_t)record->arg[2];
		event.type = (uint8_t)record->arg[4];
		event.other = (uint8_t)record->arg[5];
		event.change = (uint8_t)record->arg[7];
		if (full)
			keep_unseen(pm, &event);
		else
			result->event_free[result->nr_events] =
				free_pages_around(&pm->m, event.pfn);
	} else if (record->id == TE_MM_VMSCAN_WAKEUP_KSWAPD) {
		event.kind = PROBE_WAKE;
		event.node = (uint8_t)record->arg[0];
		event.order = (uint8_t)record->arg[1];
		event.zone = (uint8_t)record->arg[3];
	} else {
		return;
	}
	if (!full)
		result->event[result->nr_events++] = event;
}

static int run_inside(struct task *t, void *arg)
{
	struct running *running = arg;
	struct probe_machine *pm = running->pm;
	int status;

	t->machine = &pm->m;
	pm->t = t;
	pm->m.event_hook = keep_event;
	event_hook_start(&pm->m);
	status = running->fn(pm, running->arg);
	event_hook_stop(&pm->m);
	pm->t = NULL;
	return status;
}

int probe_machine_run(struct probe_machine *pm, int (*fn)(struct probe_machine *pm, void *arg),
		      void *arg)
{
	struct running running = { pm, fn, arg };

	return rt_sim_run(pm->rt, run_inside, &running);
}

/* ---- loading ---- */

struct zone *probe_machine_zone(struct probe_machine *pm, struct probe_place place)
{
	struct zone *zone;

	if (place.node >= pm->m.nr_nodes)
		return NULL;
	zone = &pm->m.nodes[place.node].zone[place.zone];
	return zone_populated(zone) ? zone : NULL;
}

static int refuse(const struct probe_machine *pm, const struct probe_state *state,
		  struct text_error *err, const char *what)
{
	text_error_set(err, pm->file_name, state->line, "state %s: %s", state->label, what);
	return -EINVAL;
}

static bool load_zone(struct probe_machine *pm, const struct probe_zone *from)
{
	struct zone *zone = probe_machine_zone(pm, from->place);
	struct restore_zone numbers = {
		.managed = from->managed,
		.boost = from->boost,
		.drift_mark = from->drift_mark,
		.highatomic = from->highatomic,
		.free = from->free,
		.flags = from->flags & (ZONE_BOOSTED | ZONE_RECLAIM_ACTIVE),
	};

	/* A zone that grew would need another machine; no recording changes them. */
	if (zone == NULL || zone->start_pfn != from->start_pfn ||
	    zone_spanned(zone) != from->spanned || from->managed > from->present)
		return false;
	memcpy(numbers.mark, from->mark, sizeof(numbers.mark));
	memcpy(numbers.reserve, from->reserve, sizeof(numbers.reserve));
	restore_zone_numbers(zone, &numbers);
	return true;
}

static bool load_runs(struct probe_machine *pm, const struct probe_state *state)
{
	for (uint32_t i = 0; i < state->runs.nr; i++) {
		const struct probe_run *run = &pm->probe->runs[state->runs.first + i];

		/* Without memory there is no type; the bytes behind are never looked at. */
		if (run->type != PROBE_NO_TYPE &&
		    restore_pageblocks(&pm->m, run->pfn, run->nr, run->type) != 0)
			return false;
	}
	return true;
}

/* The type that a page of a per-CPU list remembers: see the top. */
static uint32_t remembered_type(const struct probe_machine *pm, uint32_t index, uint32_t pfn)
{
	uint32_t block = pageblock_type(&pm->m, pfn);
	uint32_t kept = pm->remembered[pfn];

	if (kept != 0 && pcp_list_index(pcp_list_order(index),
					kept - 1 < NR_PCP_TYPES ? kept - 1 : MT_MOVABLE) == index)
		return kept - 1;
	if (index == PCP_HUGE_LIST)
		return block == MT_RECLAIMABLE ? MT_RECLAIMABLE : MT_UNMOVABLE;
	uint32_t own = index > PCP_HUGE_LIST ? MT_MOVABLE : index % NR_PCP_TYPES;

	return own == MT_MOVABLE && block == MT_HIGHATOMIC ? MT_HIGHATOMIC : own;
}

/* => 0; -EINVAL: not a list of this machine; -ENOMEM */
static int load_list(struct probe_machine *pm, const struct probe_list *list)
{
	struct zone *zone = probe_machine_zone(pm, list->place);

	if (zone == NULL || (list->cpu != PROBE_NO_CPU && list->cpu >= pm->m.nr_cpus))
		return -EINVAL;
	for (uint32_t i = 0; i < list->pfns.nr; i++) {
		uint32_t pfn = pm->probe->pfns[list->pfns.first + i];
		int error;

		if (list->cpu == PROBE_NO_CPU)
			error = restore_free_block(zone, pfn, list->index, list->type);
		else if (pfn < pm->m.max_pfn)
			error = restore_pcp_block(zone, list->cpu, list->index, pfn,
						  remembered_type(pm, list->index, pfn));
		else
			error = -EINVAL;
		if (error != 0)
			return error;
	}
	return 0;
}

static bool load_pcp(struct probe_machine *pm, const struct probe_pcp *from)
{
	struct zone *zone = probe_machine_zone(pm, from->place);
	const struct restore_pcp numbers = {
		.high = from->high,
		.batch = from->batch,
		.free_factor = from->free_factor,
		.expire = from->expire,
		.diff = from->diff,
		.threshold = from->threshold,
	};

	return zone != NULL && from->cpu < pm->m.nr_cpus &&
	       racy_read(zone->pcp[from->cpu].count) == from->count &&
	       restore_pcp_numbers(zone, from->cpu, &numbers) == 0;
}

static bool load_node(struct probe_machine *pm, const struct probe_node *from)
{
	struct zone *order[PROBE_ZONES_MAX];
	const struct restore_node numbers = { from->failures, from->order, from->highest,
					      from->waiting };

	if (from->id >= pm->m.nr_nodes || from->places.nr > PROBE_ZONES_MAX)
		return false;
	for (uint32_t i = 0; i < from->places.nr; i++) {
		order[i] = probe_machine_zone(pm, pm->probe->places[from->places.first + i]);
		for (uint32_t k = 0; k < i; k++)
			if (order[k] == order[i])
				return false;
		if (order[i] == NULL)
			return false;
	}
	zonelist_set_fallback(&pm->m.nodes[from->id], order, from->places.nr);
	restore_node_numbers(&pm->m.nodes[from->id], &numbers);
	return true;
}

bool probe_machine_holds(const struct probe_machine *pm, uint32_t pfn)
{
	return ((pm->held[pfn / 64] >> pfn % 64) & 1) != 0;
}

/*
 * Puts a slot's block into use. => false if it cannot be, or another slot has a frame of it: both
 * would be freed
 */
static bool load_slot(struct probe_machine *pm, struct zone *zone, const struct probe_slot *slot)
{
	uint32_t pages = 1u << slot->order;

	for (uint32_t i = 0; i < pages && slot->pfn + i < zone_end(zone); i++)
		if (probe_machine_holds(pm, slot->pfn + i))
			return false;
	if (restore_used_block(zone, slot->pfn, slot->order) != 0)
		return false;
	for (uint32_t pfn = slot->pfn; pfn < slot->pfn + pages; pfn++)
		pm->held[pfn / 64] |= UINT64_C(1) << pfn % 64;
	return true;
}

/* Blocks that the recorded module keeps; what became of the others is not known. */
static void load_slots(struct probe_machine *pm)
{
	memcpy(pm->slot, pm->recorded, sizeof(pm->slot));
	memset(pm->held, 0, (pm->m.max_pfn / 64 + 1) * sizeof(*pm->held));
	for (uint32_t i = 0; i < PROBE_SLOTS; i++) {
		struct probe_slot *slot = &pm->slot[i];
		struct zone *zone = NULL;

		for (uint32_t k = 0; slot->pfn != 0 && k < pm->m.nr_nodes * NR_ZONES; k++) {
			struct zone *at = &pm->m.nodes[k / NR_ZONES].zone[k % NR_ZONES];

			if (slot->pfn - at->start_pfn < zone_spanned(at))
				zone = at;
		}
		if (zone == NULL || !load_slot(pm, zone, slot))
			slot->pfn = 0;
	}
}

int probe_machine_load(struct probe_machine *pm, const struct probe_state *state,
		       struct text_error *err)
{
	const struct probe *probe = pm->probe;
	const char *wrong;

	restore_begin(&pm->m);
	for (uint32_t i = 0; i < state->zones.nr; i++)
		if (!load_zone(pm, &probe->zones[state->zones.first + i]))
			return refuse(pm, state, err, "its zones are not those of the first state");
	if (!load_runs(pm, state))
		return refuse(pm, state, err, "a pageblock lies beyond the memory");
	for (uint32_t i = 0; i < state->lists.nr; i++) {
		int error = load_list(pm, &probe->lists[state->lists.first + i]);

		if (error == -ENOMEM)
			return text_error_no_memory(err, pm->file_name);
		if (error != 0)
			return refuse(pm, state, err,
				      "a list has a block outside its zone, or in two places");
	}
	for (uint32_t i = 0; i < state->pcps.nr; i++)
		if (!load_pcp(pm, &probe->pcps[state->pcps.first + i]))
			return refuse(pm, state, err,
				      "a CPU's count is not what its lists have, or a number is"
				      " out of range");
	for (uint32_t i = 0; i < state->nodes.nr; i++)
		if (!load_node(pm, &probe->nodes[state->nodes.first + i]))
			return refuse(pm, state, err, "a zonelist names zones that are not there");
	wrong = restore_end(&pm->m);
	if (wrong != NULL)
		return refuse(pm, state, err, wrong);
	pm->unseen.nr = 0;
	load_slots(pm);
	probe_guess_apply(pm);
	return 0;
}

static void remember_list(struct probe_machine *pm, const struct pcp_list *list)
{
	for (const uint32_t *pfn = list->first; pfn != list->end; pfn++)
		pm->remembered[*pfn] = (uint8_t)(pcp_page_type(&pm->m.pages[*pfn]) + 1);
}

void probe_machine_remember(struct probe_machine *pm, bool known)
{
	memset(pm->remembered, 0, pm->m.max_pfn);
	for (uint32_t i = 0; known && i < pm->m.nr_nodes * NR_ZONES; i++) {
		const struct zone *zone = &pm->m.nodes[i / NR_ZONES].zone[i % NR_ZONES];

		for (uint32_t k = 0; zone_populated(zone) && k < pm->m.nr_cpus * NR_PCP_LISTS; k++)
			remember_list(pm, &zone->pcp[k / NR_PCP_LISTS].list[k % NR_PCP_LISTS]);
	}
}

/* ---- operations ---- */

static bool has_columns(struct probe_machine *pm, const struct probe_op *op)
{
	for (uint32_t i = 0; i < op->columns.nr; i++)
		if (probe_machine_zone(pm, pm->probe->columns[op->columns.first + i].place) == NULL)
			return false;
	return true;
}

bool probe_machine_accepts(struct probe_machine *pm, const struct probe_op *op,
			   struct text_error *err)
{
	const char *wrong = NULL;

	if (!has_columns(pm, op))
		wrong = "free pages of a zone that the machine does not have";
	else if (op->cpu >= pm->m.nr_cpus)
		wrong = "the machine has no such CPU";
	else if (op->kind != 'f' && op->kind != 'p' && op->node >= pm->m.nr_nodes)
		wrong = "the machine has no such node";
	else if (op->kind != 'f' && !gfp_is_request(op->gfp))
		wrong = "these gfp flags are no request";
	if (wrong != NULL)
		text_error_set(err, pm->file_name, op->line, "%s", wrong);
	return wrong == NULL;
}

/* Free pages of every zone in the order of the recording's columns. */
static void read_columns(struct probe_machine *pm, const struct probe_op *op)
{
	struct probe_result *result = &pm->result;

	for (uint32_t i = 0; i < op->columns.nr && i < PROBE_ZONES_MAX; i++) {
		struct probe_place place = pm->probe->columns[op->columns.first + i].place;
		const struct zone *zone = probe_machine_zone(pm, place);

		if (zone == NULL)
			continue;
		result->column[result->nr_columns++] = (struct probe_column){
			.place = place,
			.free = (int64_t)zone_stat(zone, NR_FREE_PAGES),
			.exact = (int64_t)zone_stat_exact(zone, NR_FREE_PAGES),
			.highatomic = atomic_load(
				&((struct zone *)(uintptr_t)zone)->nr_reserved_highatomic),
		};
	}
}

/* As the recorded task, whose policy was set before the burst. */
static uint32_t allocate_by_policy(struct probe_machine *pm, uint32_t gfp, uint32_t order)
{
	struct task *t = pm->t;

	t->policy_mode = pm->policy.mode;
	t->policy_nodes = pm->policy.nodes;
	t->policy_last = pm->policy.last;
	uint32_t pfn = mempolicy_alloc(t, gfp, order);

	pm->policy.last = t->policy_last;
	t->policy_mode = MEMPOLICY_DEFAULT;
	return pfn;
}

static uint32_t allocate(struct probe_machine *pm, const struct probe_op *op)
{
	const struct alloc_request request = {
		.gfp = op->gfp,
		.order = op->order,
		.node = op->kind == 'p' ? pm->m.cpus[op->cpu].node : op->node,
	};

	if (op->kind == 'p' && op->cpu == pm->cpu)
		return allocate_by_policy(pm, op->gfp, op->order);
	return alloc_pages(pm->t, &request);
}

static void give_back(struct probe_machine *pm, uint32_t pfn, uint32_t order)
{
	CHECK(page_put_test(&pm->m.pages[pfn]));
	free_pages(pm->t, pfn, order);
}

static bool blocks_grow(struct probe_machine *pm)
{
	uint32_t room = max_u32(pm->blocks_room * 2, 1024);
	uint32_t *grown = realloc(pm->blocks, room * sizeof(*grown));

	if (grown == NULL)
		return false;
	pm->blocks = grown;
	pm->blocks_room = room;
	return true;
}

/* Kind t. => false when the host's memory is out */
static bool allocate_until_failure(struct probe_machine *pm, const struct probe_op *op)
{
	struct probe_result *result = &pm->result;
	uint32_t nr = 0;
	bool room = true;

	while (nr < BLOCKS_MOST && room) {
		uint32_t pfn;

		if (nr == pm->blocks_room) {
			room = blocks_grow(pm);
			continue;
		}
		pfn = allocate(pm, op);
		if (pfn == PFN_NONE)
			break;
		pm->blocks[nr++] = pfn;
		result->pfn = pfn;
		result->hash = result->hash * 31 + pfn;
	}
	result->count = nr;
	read_columns(pm, op);
	for (uint32_t i = 0; i < nr; i++)
		give_back(pm, pm->blocks[i], op->order);
	return room;
}

bool probe_machine_perform(struct probe_machine *pm, const struct probe_op *op)
{
	struct probe_slot *slot = &pm->slot[op->slot];
	struct probe_result *result = &pm->result;
	struct cpumask cpu = { { 0 } };
	bool fine = true;

	cpumask_set(&cpu, op->cpu);
	CHECK(pm->rt->ops->set_cpus(pm->t, &cpu) == 0);
	*result = (struct probe_result){ .pfn = 0 };
	pm->t->flags = pm->memalloc && op->cpu == pm->cpu ? PF_MEMALLOC : 0;
	pm->listening = true;
	if (op->kind == 't') {
		fine = allocate_until_failure(pm, op);
	} else if (op->kind == 'f') {
		result->pfn = slot->pfn;
		if (slot->pfn != 0)
			give_back(pm, slot->pfn, slot->order);
		slot->pfn = 0;
		read_columns(pm, op);
	} else if (slot->pfn == 0) {
		result->pfn = allocate(pm, op);
		*slot = (struct probe_slot){ .pfn = result->pfn, .order = op->order };
		read_columns(pm, op);
	} else {
		read_columns(pm, op); /* a full slot is left alone, as on the recorded machine */
	}
	pm->listening = false;
	pm->t->flags = 0;
	return fine;
}

void probe_machine_note(struct probe_machine *pm, const struct probe_op *op)
{
	struct probe_slot *slot = &pm->recorded[op->slot];

	if (op->kind == 'f')
		slot->pfn = 0;
	else if (op->kind != 't' && op->pfn != 0)
		*slot = (struct probe_slot){ .pfn = op->pfn, .order = op->order };
}
