/*
 * A machine against a recording.
 *
 *     operation   frame (t: number, last, hash) ─ free pages of each zone ─ steals, wake-ups
 *     state       nodes ─ zones ─ pageblocks ─ free lists ─ CPUs ─ lists of CPUs
 *
 * Lists are compared frame by frame in their order, and also those that the recording leaves out
 * because they are empty. The first difference is described with both lists around it:
 *
 *       free 0.1 order 3 type U, place 4
 *         kernel  ... 8120 8136 [8152] 8168
 *         neap    ... 8120 8136 [8064] 8152
 *
 * When an operation returned another frame, the lists shown are the one on which neap still has the
 * kernel's frame, and the one on which the kernel has neap's at the end of the burst.
 *
 * What must never happen: a difference that is not noticed because a line is missing on one side.
 */
#include "cmd/probe_compare.h"

#include <stdio.h>
#include <string.h>

#include "core/kswapd.h"
#include "core/pageblock.h"
#include "core/pcp.h"
#include "core/vmstat.h"

#define AROUND 3u /* frames shown on either side */

/* One list, wherever it comes from. */
struct frames {
	const uint32_t *pfn; /* recorded, or of a CPU of ours, its head last; NULL: a free list */
	uint32_t nr;	     /* in pfn[] */
	bool head_last;
	const struct page *pages;
	uint32_t first; /* of a free list of ours */
};

/* Where a list is. */
struct where {
	struct probe_place place;
	uint16_t cpu; /* PROBE_NO_CPU: a free list */
	uint8_t index, type;
};

static void say_where(const struct where *where, struct text_buf *out)
{
	if (where->cpu == PROBE_NO_CPU)
		text_buf_printf(out, "free %u.%u order %u type %c", where->place.node,
				where->place.zone, where->index, probe_type_letter(where->type));
	else
		text_buf_printf(out, "pcplist %u.%u cpu=%u list %u", where->place.node,
				where->place.zone, where->cpu, where->index);
}

/* Walks a list. => the frame at the place, or 0 behind the end */
static uint32_t frames_next(const struct frames *frames, uint32_t index, uint32_t before)
{
	if (frames->pfn != NULL)
		return index >= frames->nr ? 0
		       : frames->head_last ? frames->pfn[frames->nr - 1 - index]
					   : frames->pfn[index];
	return index == 0 ? frames->first : frames->pages[before].next;
}

/* The frames around place `at`. */
static void say_frames(const char *whose, const struct frames *frames, uint32_t at,
		       struct text_buf *out)
{
	uint32_t pfn = 0;

	text_buf_printf(out, "      %-7s%s", whose, at > AROUND ? " ..." : "");
	for (uint32_t i = 0; i <= at + AROUND; i++) {
		pfn = frames_next(frames, i, pfn);
		if (pfn == 0) {
			if (i <= at)
				text_buf_puts(out, i == at ? " [end]" : " end");
			break;
		}
		if (i + AROUND >= at)
			text_buf_printf(out, i == at ? " [%u]" : " %u", pfn);
	}
	text_buf_puts(out, "\n");
}

/* => whether both lists are the same; else the first difference is described */
static bool same_frames(const struct where *where, const struct frames *kernel,
			const struct frames *ours, struct text_buf *out)
{
	uint32_t want = 0;
	uint32_t have = 0;

	for (uint32_t i = 0;; i++) { /* ends with the shorter list */
		want = frames_next(kernel, i, want);
		have = frames_next(ours, i, have);
		if (want == have && want != 0)
			continue;
		if (want == have)
			return true;
		text_buf_puts(out, "    ");
		say_where(where, out);
		text_buf_printf(out, ", place %u\n", i + 1);
		say_frames("kernel", kernel, i, out);
		say_frames("neap", ours, i, out);
		return false;
	}
}

static struct frames frames_recorded(const struct probe *probe, const struct probe_list *list)
{
	static const uint32_t none;

	if (list == NULL)
		return (struct frames){ .pfn = &none, .nr = 0 };
	return (struct frames){ .pfn = &probe->pfns[list->pfns.first], .nr = list->pfns.nr };
}

static struct frames frames_ours(struct probe_machine *pm, const struct where *where)
{
	const struct zone *zone = probe_machine_zone(pm, where->place);

	if (where->cpu == PROBE_NO_CPU)
		return (struct frames){ .pages = pm->m.pages,
					.first = zone->area[where->index].list[where->type].first };
	const struct pcp_list *list = &zone->pcp[where->cpu].list[where->index];

	return (struct frames){ .pfn = list->first, .nr = pcp_list_nr(list), .head_last = true };
}

/* ---- states ---- */

/* The recorded list at a place; NULL: it was empty. */
static const struct probe_list *list_find(const struct probe *probe,
					  const struct probe_state *state,
					  const struct where *where)
{
	for (uint32_t i = 0; i < state->lists.nr; i++) {
		const struct probe_list *list = &probe->lists[state->lists.first + i];

		if (list->place.node == where->place.node &&
		    list->place.zone == where->place.zone && list->cpu == where->cpu &&
		    list->index == where->index &&
		    (list->cpu != PROBE_NO_CPU || list->type == where->type))
			return list;
	}
	return NULL;
}

static bool same_list(struct probe_machine *pm, const struct probe_state *state,
		      const struct where *where, struct text_buf *out)
{
	const struct probe_list *list = list_find(pm->probe, state, where);
	struct frames kernel = frames_recorded(pm->probe, list);
	struct frames ours = frames_ours(pm, where);

	return same_frames(where, &kernel, &ours, out);
}

static bool same_zone_lists(struct probe_machine *pm, const struct probe_state *state,
			    struct probe_place place, struct text_buf *out)
{
	for (uint32_t i = 0; i < NR_ORDERS * NR_TYPES; i++) {
		struct where where = { place, PROBE_NO_CPU, (uint8_t)(NR_ORDERS - 1 - i / NR_TYPES),
				       (uint8_t)(i % NR_TYPES) };

		if (!same_list(pm, state, &where, out))
			return false;
	}
	for (uint32_t i = 0; i < pm->m.nr_cpus * NR_PCP_LISTS; i++) {
		struct where where = { place, (uint16_t)(i / NR_PCP_LISTS),
				       (uint8_t)(i % NR_PCP_LISTS), 0 };

		if (!same_list(pm, state, &where, out))
			return false;
	}
	return true;
}

/* One number. => whether it is the same */
static bool same_number(const char *what, int64_t kernel, int64_t ours, struct text_buf *out)
{
	if (kernel == ours)
		return true;
	text_buf_printf(out, "%s: kernel %lld, neap %lld\n", what, (long long)kernel,
			(long long)ours);
	return false;
}

static bool same_zone(struct probe_machine *pm, const struct probe_zone *kernel,
		      struct text_buf *out)
{
	struct zone *zone = probe_machine_zone(pm, kernel->place);
	char what[64];
	const struct {
		const char *name;
		int64_t kernel, ours;
	} numbers[] = {
		{ "free", kernel->free, atomic_load(&zone->stat[NR_FREE_PAGES]) },
		{ "exact", kernel->exact, (int64_t)zone_stat_exact(zone, NR_FREE_PAGES) },
		{ "highatomic", (int64_t)kernel->highatomic,
		  (int64_t)atomic_load(&zone->nr_reserved_highatomic) },
		{ "boost", (int64_t)kernel->boost, (int64_t)atomic_load(&zone->boost) },
		{ "flags", kernel->flags & (ZONE_BOOSTED | ZONE_RECLAIM_ACTIVE),
		  atomic_load(&zone->flags) },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(what, sizeof(what), "    zone %u.%u %s", kernel->place.node,
			 kernel->place.zone, numbers[i].name);
		if (!same_number(what, numbers[i].kernel, numbers[i].ours, out))
			return false;
	}
	return true;
}

static bool same_node(struct probe_machine *pm, const struct probe_node *kernel,
		      struct text_buf *out)
{
	struct node *node = &pm->m.nodes[kernel->id];
	char what[64];
	const struct {
		const char *name;
		int64_t kernel, ours;
	} numbers[] = {
		{ "failures", kernel->failures, atomic_load(&node->kswapd_failures) },
		{ "order", kernel->order, atomic_load(&node->kswapd_order) },
		{ "highest zone", kernel->highest, atomic_load(&node->kswapd_highest_zone) },
		{ "waiting", kernel->waiting, atomic_load(&node->kswapd_sleeping) != 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(what, sizeof(what), "    node %u kswapd %s", kernel->id, numbers[i].name);
		if (!same_number(what, numbers[i].kernel, numbers[i].ours, out))
			return false;
	}
	return true;
}

static bool same_pcp(struct probe_machine *pm, const struct probe_pcp *kernel, struct text_buf *out)
{
	const struct pcp *pcp = &probe_machine_zone(pm, kernel->place)->pcp[kernel->cpu];
	char what[64];
	const struct {
		const char *name;
		int64_t kernel, ours;
	} numbers[] = {
		{ "count", kernel->count, racy_read(pcp->count) },
		{ "high", kernel->high, racy_read(pcp->high) },
		{ "batch", kernel->batch, racy_read(pcp->batch) },
		{ "free_factor", kernel->free_factor, pcp->free_factor },
		{ "expire", kernel->expire, pcp->expire },
		{ "diff_free", kernel->diff, pcp->diff[NR_FREE_PAGES] },
		{ "threshold", kernel->threshold, pcp->threshold },
	};

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		snprintf(what, sizeof(what), "    pcp %u.%u cpu=%u %s", kernel->place.node,
			 kernel->place.zone, kernel->cpu, numbers[i].name);
		if (!same_number(what, numbers[i].kernel, numbers[i].ours, out))
			return false;
	}
	return true;
}

static bool same_run(struct probe_machine *pm, const struct probe_run *run, struct text_buf *out)
{
	for (uint32_t i = 0; i < run->nr && run->type != PROBE_NO_TYPE; i++) {
		uint32_t pfn = run->pfn + i * NEAP_PAGEBLOCK_PAGES;
		uint32_t ours = pageblock_type(&pm->m, pfn);

		if (ours == run->type)
			continue;
		text_buf_printf(out, "    pageblock at %u: kernel %c, neap %c\n", pfn,
				probe_type_letter(run->type), probe_type_letter(ours));
		return false;
	}
	return true;
}

/* Everything that a later state names must be there: it is as the first one. */
static bool state_is_ours(struct probe_machine *pm, const struct probe_state *state)
{
	const struct probe *probe = pm->probe;

	for (uint32_t i = 0; i < state->zones.nr; i++)
		if (probe_machine_zone(pm, probe->zones[state->zones.first + i].place) == NULL)
			return false;
	for (uint32_t i = 0; i < state->nodes.nr; i++)
		if (probe->nodes[state->nodes.first + i].id >= pm->m.nr_nodes)
			return false;
	for (uint32_t i = 0; i < state->pcps.nr; i++) {
		const struct probe_pcp *pcp = &probe->pcps[state->pcps.first + i];

		if (pcp->cpu >= pm->m.nr_cpus || probe_machine_zone(pm, pcp->place) == NULL)
			return false;
	}
	for (uint32_t i = 0; i < state->runs.nr; i++) {
		const struct probe_run *run = &probe->runs[state->runs.first + i];
		uint64_t end = run->pfn + ((uint64_t)run->nr << PAGEBLOCK_SHIFT);

		if (run->type != PROBE_NO_TYPE &&
		    end > round_up_u64(pm->m.max_pfn, NEAP_PAGEBLOCK_PAGES))
			return false;
	}
	return true;
}

bool probe_compare_state(struct probe_machine *pm, const struct probe_state *state,
			 struct text_buf *out)
{
	const struct probe *probe = pm->probe;
	bool same = state_is_ours(pm, state);

	if (!same)
		text_buf_puts(out, "    the state names zones, nodes or CPUs that the first one"
				   " does not have\n");
	for (uint32_t i = 0; same && i < state->zones.nr; i++)
		same = same_zone_lists(pm, state, probe->zones[state->zones.first + i].place, out);
	for (uint32_t i = 0; same && i < state->runs.nr; i++)
		same = same_run(pm, &probe->runs[state->runs.first + i], out);
	for (uint32_t i = 0; same && i < state->pcps.nr; i++)
		same = same_pcp(pm, &probe->pcps[state->pcps.first + i], out);
	for (uint32_t i = 0; same && i < state->zones.nr; i++)
		same = same_zone(pm, &probe->zones[state->zones.first + i], out);
	for (uint32_t i = 0; same && i < state->nodes.nr; i++)
		same = same_node(pm, &probe->nodes[state->nodes.first + i], out);
	return same;
}

/* ---- operations ---- */

void probe_describe_op(const struct probe_op *op, struct text_buf *out)
{
	if (op->kind == 'f')
		text_buf_printf(out, "f %u", op->slot);
	else if (op->kind == 't')
		text_buf_printf(out, "t %u %x %u", op->order, op->gfp, op->node);
	else
		text_buf_printf(out, "%c %u %u %x %u", op->kind, op->slot, op->order, op->gfp,
				op->node);
	text_buf_printf(out, " on CPU %u", op->cpu);
}

/* The engine's list that has the frame. => false if none has */
static bool find_ours(struct probe_machine *pm, uint32_t pfn, struct where *where, uint32_t *at)
{
	for (uint32_t i = 0; i < pm->m.nr_nodes * NR_ZONES; i++) {
		struct probe_place place = { (uint8_t)(i / NR_ZONES), (uint8_t)(i % NR_ZONES) };
		uint32_t nr_lists = NR_ORDERS * NR_TYPES;

		if (probe_machine_zone(pm, place) == NULL)
			continue;
		for (uint32_t k = 0; k < nr_lists + pm->m.nr_cpus * NR_PCP_LISTS; k++) {
			uint32_t list = k - nr_lists;
			bool is_free = k < nr_lists;
			uint32_t order =
				is_free ? k / NR_TYPES : pcp_list_order(list % NR_PCP_LISTS);
			struct frames frames;
			uint32_t head = 0;

			*where = is_free ? (struct where){ place, PROBE_NO_CPU, (uint8_t)order,
							   (uint8_t)(k % NR_TYPES) }
					 : (struct where){ place, (uint16_t)(list / NR_PCP_LISTS),
							   (uint8_t)(list % NR_PCP_LISTS), 0 };
			frames = frames_ours(pm, where);
			for (*at = 0; (head = frames_next(&frames, *at, head)) != 0; (*at)++)
				if (pfn - head < 1u << order)
					return true;
		}
	}
	return false;
}

/* The recorded list that has the frame. => NULL if none has */
static const struct probe_list *find_recorded(const struct probe *probe,
					      const struct probe_state *state, uint32_t pfn,
					      uint32_t *at)
{
	for (uint32_t i = 0; state != NULL && i < state->lists.nr; i++) {
		const struct probe_list *list = &probe->lists[state->lists.first + i];
		uint32_t order =
			list->cpu == PROBE_NO_CPU ? list->index : pcp_list_order(list->index);

		for (*at = 0; *at < list->pfns.nr; (*at)++)
			if (pfn - probe->pfns[list->pfns.first + *at] < 1u << order)
				return list;
	}
	return NULL;
}

/* The kernel and neap took different frames: where is the other's? */
static void say_lists(struct probe_machine *pm, uint32_t kernel, uint32_t ours,
		      const struct probe_state *after, struct text_buf *out)
{
	struct where where;
	uint32_t at = 0;

	if (kernel != 0 && find_ours(pm, kernel, &where, &at)) {
		struct frames frames = frames_ours(pm, &where);

		text_buf_puts(out, "    neap still has the kernel's frame on ");
		say_where(&where, out);
		text_buf_puts(out, "\n");
		say_frames("neap", &frames, at, out);
	}
	const struct probe_list *list =
		ours != 0 ? find_recorded(pm->probe, after, ours, &at) : NULL;

	if (list != NULL) {
		struct frames frames = frames_recorded(pm->probe, list);

		where = (struct where){ list->place, list->cpu, list->index, list->type };
		text_buf_puts(out, "    at the end of the burst the kernel has neap's frame on ");
		say_where(&where, out);
		text_buf_puts(out, "\n");
		say_frames("kernel", &frames, at, out);
	}
}

static bool same_result(struct probe_machine *pm, const struct probe_op *op,
			const struct probe_state *after, struct text_buf *out)
{
	const struct probe_result *result = &pm->result;

	if (op->kind == 't') {
		if (result->count == op->count && result->hash == op->hash)
			return true;
		text_buf_printf(out,
				"    kernel %llu blocks, last %u, hash %016llx;"
				" neap %llu, %u, %016llx\n",
				(unsigned long long)op->count, op->pfn,
				(unsigned long long)op->hash, (unsigned long long)result->count,
				result->pfn, (unsigned long long)result->hash);
		return false;
	}
	if (result->pfn == op->pfn)
		return true;
	text_buf_printf(out, "    kernel %u, neap %u (0: none)\n", op->pfn, result->pfn);
	say_lists(pm, op->pfn, result->pfn, after, out);
	return false;
}

static bool same_columns(struct probe_machine *pm, const struct probe_op *op, struct text_buf *out)
{
	const struct probe_result *result = &pm->result;
	bool same = result->nr_columns == op->columns.nr;

	for (uint32_t i = 0; same && i < op->columns.nr; i++) {
		const struct probe_column *want = &pm->probe->columns[op->columns.first + i];
		const struct probe_column *have = &result->column[i];

		same = want->free == have->free && want->exact == have->exact &&
		       want->highatomic == have->highatomic;
		if (!same)
			text_buf_printf(
				out,
				"    zone %u.%u free/exact/highatomic: kernel %lld/%lld/%llu,"
				" neap %lld/%lld/%llu\n",
				want->place.node, want->place.zone, (long long)want->free,
				(long long)want->exact, (unsigned long long)want->highatomic,
				(long long)have->free, (long long)have->exact,
				(unsigned long long)have->highatomic);
	}
	return same;
}

static void say_event(const char *whose, const struct probe_event *event, struct text_buf *out)
{
	text_buf_printf(out, "      %-7s ", whose);
	if (event == NULL)
		text_buf_puts(out, "none\n");
	else if (event->kind == PROBE_STEAL)
		text_buf_printf(out,
				"extfrag pfn=%u alloc_order=%u fallback_order=%u alloc=%c"
				" fallback=%c change=%u\n",
				event->pfn, event->order, event->found,
				probe_type_letter(event->type), probe_type_letter(event->other),
				event->change);
	else
		text_buf_printf(out, "wake_kswapd node=%u highest_zoneidx=%u order=%u\n",
				event->node, event->zone, event->order);
}

static bool same_event(const struct probe_event *a, const struct probe_event *b)
{
	return a->kind == b->kind && a->order == b->order && a->found == b->found &&
	       a->type == b->type && a->other == b->other && a->change == b->change &&
	       a->node == b->node && a->zone == b->zone && a->pfn == b->pfn;
}

struct probe_claim probe_compare_claim(const struct probe_machine *pm, const struct probe_op *op)
{
	const struct probe_claim none = { .block = 0 };
	const struct probe_result *result = &pm->result;
	const struct probe_event *events = &pm->probe->events[op->events.first];
	uint32_t nr = min_u32(op->events.nr, result->nr_events);

	for (uint32_t i = 0; i < nr; i++) {
		struct probe_event other = result->event[i];

		if (same_event(&events[i], &other))
			continue;
		other.change ^= 1;
		if (other.kind != PROBE_STEAL || !same_event(&events[i], &other))
			return none;
		return probe_guess_claim(&events[i], result->event_free[i]);
	}
	return none;
}

static bool same_events(struct probe_machine *pm, const struct probe_op *op, struct text_buf *out)
{
	const struct probe_result *result = &pm->result;
	const struct probe_event *events = &pm->probe->events[op->events.first];
	uint32_t nr = max_u32(op->events.nr, result->nr_events);

	for (uint32_t i = 0; i < nr; i++) {
		const struct probe_event *want = i < op->events.nr ? &events[i] : NULL;
		const struct probe_event *have = i < result->nr_events ? &result->event[i] : NULL;

		if (want != NULL && have != NULL && same_event(want, have))
			continue;
		text_buf_printf(out, "    event %u\n", i + 1);
		say_event("kernel", want, out);
		say_event("neap", have, out);
		return false;
	}
	return true;
}

bool probe_compare_op(struct probe_machine *pm, const struct probe_op *op,
		      const struct probe_state *after, struct text_buf *out)
{
	return same_result(pm, op, after, out) && same_columns(pm, op, out) &&
	       same_events(pm, op, out);
}
