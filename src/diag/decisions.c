/*
 * Decisions in order.
 *
 *     kernel   wake  begin  end  sleep  wake  wake  ...
 *     ours     wake  sleep  begin  end  wake  ...
 *                     ^ first divergence, with what each side had done until there
 *
 * A decision is an event at which the kernel begins or ends something: kswapd, direct
 * reclaim, compaction. Its arguments belong to it as far as they do not name frames or
 * results; two decisions are the same if name and arguments are. The edit distance is
 * the least number of insertions, deletions and replacements from one list to the
 * other: 0 for the same order, the longer length for nothing in common.
 *
 * Beside the list, sums over the events that say how much was scanned and what became
 * of it. They are the evidence for counters that disagree: whether there were more
 * runs or longer ones, whether pages were dirty, under write-out or used.
 *
 * Computing the distance takes time and memory in the product of the lengths, so each
 * list is cut at DECISIONS_COMPARED_MAX, and only two rows are kept.
 *
 * What must never happen: a comparison that depends on the clock. Both sides begin at
 * their own first event, and times are shown, never compared.
 */
#include "diag/decisions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The events that are decisions: name, short text, arguments that belong to it. */
static const struct decision_kind {
	const char *event;
	const char *text;
	const char *args[3];
} kinds[] = {
	{ "mm_vmscan_kswapd_wake", "kswapd wake", { "nid", "order", NULL } },
	{ "mm_vmscan_kswapd_sleep", "kswapd sleep", { "nid", NULL, NULL } },
	{ "mm_vmscan_direct_reclaim_begin", "direct begin", { "order", NULL, NULL } },
	{ "mm_vmscan_direct_reclaim_end", "direct end", { NULL, NULL, NULL } },
	{ "mm_compaction_begin", "compaction begin", { "mode", NULL, NULL } },
	{ "mm_compaction_end", "compaction end", { "status", NULL, NULL } },
	{ "mm_compaction_kcompactd_wake", "kcompactd wake", { "nid", "order", NULL } },
	{ "mm_compaction_kcompactd_sleep", "kcompactd sleep", { "nid", NULL, NULL } },
};

static const struct decision_kind *kind_of(const char *event)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].event, event) == 0)
			return &kinds[i];
	return NULL;
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3u;
	return hash;
}

static int add_decision(struct decisions *decisions, const struct decision_kind *kind,
			const struct trace_line *line, const struct decisions_state *state)
{
	struct decision *to;
	char word[24];
	size_t used;

	if (decisions->nr == decisions->room) {
		uint32_t room = max_u32(256, 2 * decisions->room);
		struct decision *list = realloc(decisions->list, room * sizeof(*list));

		if (list == NULL)
			return -ENOMEM;
		decisions->list = list;
		decisions->room = room;
	}
	to = &decisions->list[decisions->nr++];
	to->state = *state;
	used = (size_t)snprintf(to->text, sizeof(to->text), "%s", kind->text);
	for (uint32_t i = 0; i < 3 && kind->args[i] != NULL; i++)
		if (trace_line_word(line, kind->args[i], word, sizeof(word)) &&
		    used < sizeof(to->text))
			used += (size_t)snprintf(to->text + used, sizeof(to->text) - used,
						 " %s=%.16s", kind->args[i], word);
	to->hash = hash_text(to->text);
	return 0;
}

static uint64_t field(const struct trace_line *line, const char *key)
{
	int64_t value = 0;

	return trace_line_number(line, key, &value) && value > 0 ? (uint64_t)value : 0;
}

static void add_shrink(struct decisions_sums *sums, const struct trace_line *line,
		       struct decisions_state *state)
{
	bool kswapd = strncmp(line->task, "kswapd", 6) == 0;
	bool file = strstr(line->body, "RECLAIM_WB_FILE") != NULL;
	struct decisions_shrink *to = &sums->shrink[(kswapd ? 0 : 2) + (file ? 1 : 0)];
	uint64_t scanned = field(line, "nr_scanned"), reclaimed = field(line, "nr_reclaimed");

	to->nr++;
	to->scanned += scanned;
	to->reclaimed += reclaimed;
	to->dirty += field(line, "nr_dirty");
	to->writeback += field(line, "nr_writeback");
	to->activated += field(line, "nr_activate_anon") + field(line, "nr_activate_file");
	to->kept += field(line, "nr_ref_keep");
	*(kswapd ? &state->kswapd_scanned_pages : &state->direct_scanned_pages) += scanned;
	*(kswapd ? &state->kswapd_reclaimed_pages : &state->direct_reclaimed_pages) += reclaimed;
}

static void add_sums(struct decisions_sums *sums, const struct trace_line *line,
		     struct decisions_state *state)
{
	const char *name = line->name;

	if (strcmp(name, "mm_vmscan_lru_shrink_inactive") == 0) {
		add_shrink(sums, line, state);
	} else if (strcmp(name, "mm_vmscan_lru_shrink_active") == 0) {
		sums->nr_shrink_active++;
		sums->deactivated += field(line, "nr_deactivated");
	} else if (strcmp(name, "mm_vmscan_wakeup_kswapd") == 0) {
		sums->nr_wakeups++;
		state->nr_wakeups++;
	} else if (strcmp(name, "mm_vmscan_kswapd_wake") == 0) {
		sums->nr_kswapd_runs++;
	} else if (strcmp(name, "mm_vmscan_kswapd_sleep") == 0) {
		sums->nr_kswapd_sleeps++;
	} else if (strcmp(name, "mm_vmscan_direct_reclaim_end") == 0) {
		sums->nr_direct++;
		sums->direct_got_pages += field(line, "nr_reclaimed");
	} else if (strcmp(name, "mm_compaction_end") == 0) {
		sums->nr_compactions++;
	} else if (strcmp(name, "mm_shrink_slab_start") == 0) {
		sums->nr_slab_scans++;
	}
}

int decisions_from_log(const struct trace_log *log, struct decisions *out)
{
	struct decisions_state state = { 0 };
	int error = 0;

	*out = (struct decisions){ .nr_lost = log->nr_dropped };
	for (uint32_t i = 0; i < log->nr_lines && error == 0; i++) {
		const struct trace_line *line = &log->lines[i];
		const struct decision_kind *kind = kind_of(line->name);

		state.time_ns = line->time_ns - log->lines[0].time_ns;
		add_sums(&out->sums, line, &state);
		if (kind != NULL)
			error = add_decision(out, kind, line, &state);
	}
	return error;
}

void decisions_free(struct decisions *decisions)
{
	free(decisions->list);
	*decisions = (struct decisions){ 0 };
}

/* ---- side by side ---- */

static uint32_t distance_of(const struct decisions *a, uint32_t nr_a, const struct decisions *b,
			    uint32_t nr_b, uint32_t *row)
{
	for (uint32_t j = 0; j <= nr_b; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= nr_a; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= nr_b; j++) {
			uint32_t changed =
				diagonal + (a->list[i - 1].hash != b->list[j - 1].hash ? 1 : 0);

			diagonal = row[j];
			row[j] = min_u32(changed, min_u32(row[j - 1], row[j]) + 1);
		}
	}
	return row[nr_b];
}

int decisions_compare(const struct decisions *kernel, const struct decisions *ours,
		      struct decisions_difference *out)
{
	uint32_t nr_a = min_u32(kernel->nr, DECISIONS_COMPARED_MAX);
	uint32_t nr_b = min_u32(ours->nr, DECISIONS_COMPARED_MAX);
	uint32_t *row = calloc((size_t)nr_b + 1, sizeof(*row));

	if (row == NULL)
		return -ENOMEM;
	out->compared[0] = nr_a;
	out->compared[1] = nr_b;
	out->distance = distance_of(kernel, nr_a, ours, nr_b, row);
	out->first = UINT32_MAX;
	for (uint32_t i = 0; i < max_u32(nr_a, nr_b) && out->first == UINT32_MAX; i++)
		if (i >= nr_a || i >= nr_b || kernel->list[i].hash != ours->list[i].hash)
			out->first = i;
	free(row);
	return 0;
}

static void print_pair(struct text_buf *out, const char *what, uint64_t kernel, uint64_t ours)
{
	(void)text_buf_printf(out, "    %-44s %10" PRIu64 " %10" PRIu64 "\n", what, kernel, ours);
}

static void print_sums(const struct decisions_sums *k, const struct decisions_sums *o,
		       struct text_buf *out)
{
	static const char *const lists[] = { "kswapd, anonymous pages", "kswapd, file pages",
					     "direct, anonymous pages", "direct, file pages" };

	print_pair(out, "allocations that woke kswapd", k->nr_wakeups, o->nr_wakeups);
	print_pair(out, "kswapd's runs", k->nr_kswapd_runs, o->nr_kswapd_runs);
	print_pair(out, "kswapd's sleeps", k->nr_kswapd_sleeps, o->nr_kswapd_sleeps);
	print_pair(out, "direct reclaims", k->nr_direct, o->nr_direct);
	print_pair(out, "  pages they got", k->direct_got_pages, o->direct_got_pages);
	print_pair(out, "compactions", k->nr_compactions, o->nr_compactions);
	print_pair(out, "active lists shortened", k->nr_shrink_active, o->nr_shrink_active);
	print_pair(out, "  pages deactivated", k->deactivated, o->deactivated);
	for (uint32_t i = 0; i < ARRAY_LEN(lists); i++) {
		const struct decisions_shrink *a = &k->shrink[i], *b = &o->shrink[i];

		if (a->nr == 0 && b->nr == 0)
			continue;
		print_pair(out, lists[i], a->nr, b->nr);
		print_pair(out, "  scanned", a->scanned, b->scanned);
		print_pair(out, "  reclaimed", a->reclaimed, b->reclaimed);
		print_pair(out, "  dirty", a->dirty, b->dirty);
		print_pair(out, "  under write-out", a->writeback, b->writeback);
		print_pair(out, "  activated", a->activated, b->activated);
		print_pair(out, "  kept, used meanwhile", a->kept, b->kept);
	}
	print_pair(out, "slab caches asked", k->nr_slab_scans, o->nr_slab_scans);
}

static void print_side(const char *who, const struct decisions *side, uint32_t at,
		       struct text_buf *out)
{
	const struct decision *decision;

	if (at >= side->nr) {
		(void)text_buf_printf(out, "    %-6s no further decision\n", who);
		return;
	}
	decision = &side->list[at];
	(void)text_buf_printf(out,
			      "    %-6s %s\n"
			      "      after %" PRIu64 ".%03" PRIu64 " ms: kswapd %" PRIu64
			      " of %" PRIu64 ", direct %" PRIu64 " of %" PRIu64 ", %" PRIu64
			      " wake-ups\n",
			      who, decision->text, decision->state.time_ns / NSEC_PER_MSEC,
			      decision->state.time_ns % NSEC_PER_MSEC / NSEC_PER_USEC,
			      decision->state.kswapd_reclaimed_pages,
			      decision->state.kswapd_scanned_pages,
			      decision->state.direct_reclaimed_pages,
			      decision->state.direct_scanned_pages, decision->state.nr_wakeups);
}

void decisions_print(const struct decisions *kernel, const struct decisions *ours,
		     const struct decisions_difference *difference, struct text_buf *out)
{
	(void)text_buf_printf(out, "  traces%*s %10s %10s\n", 40, "", "kernel", "ours");
	print_sums(&kernel->sums, &ours->sums, out);
	(void)text_buf_printf(out,
			      "  order of decisions: %" PRIu32 " of the kernel, %" PRIu32
			      " of ours, edit distance %" PRIu32 "\n",
			      difference->compared[0], difference->compared[1],
			      difference->distance);
	if (kernel->nr_lost != 0)
		(void)text_buf_printf(out, "  the kernel's recorder lost %" PRIu64 " events\n",
				      kernel->nr_lost);
	if (difference->first == UINT32_MAX) {
		(void)text_buf_puts(out, "  no divergence\n");
		return;
	}
	(void)text_buf_printf(out,
			      "  first divergence: decision %" PRIu32
			      " (pages reclaimed of scanned until there)\n",
			      difference->first + 1);
	print_side("kernel", kernel, difference->first, out);
	print_side("ours", ours, difference->first, out);
}
