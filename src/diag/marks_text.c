/*
 * Marks as text for people: tables of at most 80 columns, plain.
 *
 *     zone            managed      min      low     high    promo   per-CPU  drift
 *     node 0 DMA32     116411      663      828      993     1158    414/31     16
 *       recomputed                 664      830      996     1162    415/31     16
 *         share 664 = 686 * 116411 / 120251
 *         gap 166 = max(share/4 = 166, 0.1 % of managed = 116)
 *
 * One line a zone with what the machine says; a second line only where a new
 * computation would say something else; below it the terms. Settings side by side
 * have one column each, so that a row is one mark of one zone.
 *
 * What must never happen: a number without a word that says what it is, or pages and
 * bytes in one column.
 */
#include "diag/marks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diag/terms.h"

#define COLUMNS_A_BLOCK 4u
#define COLUMN_WIDTH 14u
#define LABEL_WIDTH 24u

static void add_zone_label(struct text_buf *out, const struct plan *plan, uint32_t node,
			   uint32_t index)
{
	char label[40];

	snprintf(label, sizeof(label), "node %u %s", node, terms_zone_name(plan, index));
	text_buf_printf(out, "%-15s", label);
}

/* min to promo, boost included, then the per-CPU limits. */
static void add_numbers(struct text_buf *out, const struct plan_zone *zone)
{
	char limits[32];

	text_buf_u64(out, zone->marks.min + zone->boost, 9);
	text_buf_u64(out, zone->marks.low + zone->boost, 9);
	text_buf_u64(out, zone->marks.high + zone->boost, 9);
	text_buf_u64(out, zone->marks.promo + zone->boost, 9);
	snprintf(limits, sizeof(limits), "%u/%u", zone->high, zone->batch);
	text_buf_printf(out, "%11s%7d\n", zone->populated ? limits : "-", zone->threshold_normal);
}

static bool same_numbers(const struct marks_machine *machine, const struct plan_zone *a,
			 const struct plan_zone *b)
{
	return a->marks.min == b->marks.min && a->marks.low == b->marks.low &&
	       a->marks.high == b->marks.high && a->boost == b->boost &&
	       (machine->limits_tuned || (a->high == b->high && a->batch == b->batch));
}

static void add_terms(struct text_buf *out, const struct plan *plan, uint32_t node, uint32_t index)
{
	static const char indent[] = "    ";
	const struct plan_zone *zone = &plan->zone[node][index];

	text_buf_puts(out, indent);
	terms_min_add(out, plan, zone);
	text_buf_printf(out, "\n%s", indent);
	terms_gap_add(out, plan, zone);
	text_buf_printf(out, "\n%sper-CPU ", indent);
	terms_limits_add(out, plan, zone);
	text_buf_puts(out, "\n");
	if (zone->protection[plan->nr_zones - 1] == 0)
		return;
	text_buf_puts(out, indent);
	terms_protection_add(out, plan, node, index);
	text_buf_puts(out, "\n");
}

static void add_zone(struct text_buf *out, const struct marks_machine *machine, uint32_t node,
		     uint32_t index)
{
	const struct plan_zone *printed = &machine->printed.zone[node][index];
	const struct plan_zone *fresh = &machine->fresh.zone[node][index];

	add_zone_label(out, &machine->printed, node, index);
	text_buf_u64(out, printed->managed, 9);
	add_numbers(out, printed);
	if (printed->boost != 0)
		text_buf_printf(out, "    boost %" PRIu64 " is part of these marks\n",
				printed->boost);
	if (!same_numbers(machine, printed, fresh)) {
		text_buf_printf(out, "  %-22s", "recomputed");
		add_numbers(out, fresh);
	}
	add_terms(out, &machine->fresh, node, index);
}

static void add_sum(struct text_buf *out, const char *label, uint64_t managed,
		    const struct plan_totals *totals)
{
	text_buf_printf(out, "%-15s", label);
	text_buf_u64(out, managed, 9);
	text_buf_u64(out, totals->min, 9);
	text_buf_u64(out, totals->low, 9);
	text_buf_u64(out, totals->high, 9);
	text_buf_puts(out, "\n");
}

/* Whether min_free_kbytes is what boot computes from the zones as they were then. */
static bool is_automatic_of_boot(const struct marks_machine *machine)
{
	const struct plan *plan = &machine->printed;
	const struct stale_zone *then = &machine->stale.changed[0];
	uint64_t least = 0, most;

	if (!machine->stale.explained || machine->stale.nr_changed != 1 ||
	    !plan_zone_low(plan, then->index))
		return false;
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < plan->nr_zones; i++)
			least += plan_zone_low(plan, i) ? plan->zone[n][i].managed : 0;
	least -= plan->zone[then->node][then->index].managed;
	most = least + then->most;
	least += then->least;
	return plan->knobs.min_free_kbytes >=
		       (int64_t)marks_auto_min_free_kbytes(least * plan->page_kb) &&
	       plan->knobs.min_free_kbytes <=
		       (int64_t)marks_auto_min_free_kbytes(most * plan->page_kb);
}

static void add_knobs(struct text_buf *out, const struct marks_machine *machine)
{
	const struct plan_knobs *knobs = &machine->printed.knobs;

	if (machine->min_free_guessed)
		text_buf_puts(out, "guessed from the marks: ");
	terms_min_free_add(out, &machine->printed);
	if (is_automatic_of_boot(machine))
		text_buf_puts(out, ", chosen at boot");
	if (machine->printed.halves)
		text_buf_puts(out, "\nno watermark_scale_factor: a kernel before 4.6");
	else
		text_buf_printf(out, "\nwatermark_scale_factor %" PRId64,
				knobs->watermark_scale_factor);
	text_buf_puts(out, "; lowmem_reserve_ratio");
	for (uint32_t i = 0; i < machine->printed.nr_zones; i++)
		text_buf_printf(out, " %" PRId64, knobs->lowmem_reserve_ratio[i]);
	text_buf_printf(out, "; %u CPU%s\n", machine->printed.nr_cpus,
			machine->printed.nr_cpus == 1 ? "" : "s");
	if (machine->printed.movable_apart)
		text_buf_puts(out, "Movable has no share: the marks are those of 6.18 or later\n");
	if (machine->printed.six_batches)
		text_buf_puts(out, "per-CPU limits are 6 batches: a kernel before 5.14\n");
	if (machine->limits_tuned)
		text_buf_puts(out, "per-CPU limits differ: the kernel (6.7 or later) tunes them\n");
	if (machine->extra)
		text_buf_puts(out, "low holds more than min and gap, as Android's"
				   " extra_free_kbytes makes it\n");
}

void marks_add(struct text_buf *out, const struct marks_machine *machine)
{
	const struct plan *plan = &machine->printed;
	struct plan_totals totals;

	add_knobs(out, machine);
	text_buf_puts(out, "\nzone             managed      min      low     high    promo"
			   "    per-CPU  drift\n");
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < plan->nr_zones; i++)
			if (plan->zone[n][i].managed != 0)
				add_zone(out, machine, n, i);
	plan_sum(plan, &totals);
	add_sum(out, "pages", plan->managed_total, &totals);
	text_buf_puts(out, "\nkswapd wakes at ");
	terms_bytes_add(out, totals.low);
	text_buf_puts(out, " free and sleeps at ");
	terms_bytes_add(out, totals.high);
	text_buf_puts(out, ";\nordinary requests stop at ");
	terms_bytes_add(out, totals.min);
	text_buf_puts(out, ".\n");
	marks_stale_add(out, machine);
}

static void add_changed(struct text_buf *out, const struct marks_machine *machine)
{
	const struct stale *stale = &machine->stale;

	for (uint32_t i = 0; i < stale->nr_changed; i++) {
		const struct stale_zone *zone = &stale->changed[i];
		uint64_t now = machine->printed.zone[zone->node][zone->index].managed;

		text_buf_printf(out, "  computed when node %u %s had %s%" PRIu64, zone->node,
				terms_zone_name(&machine->printed, zone->index),
				stale->nr_changed > 1 ? "about " : "", zone->least);
		if (zone->most != zone->least && stale->nr_changed == 1)
			text_buf_printf(out, " to %" PRIu64, zone->most);
		text_buf_printf(out, " pages; it has %" PRIu64 " now\n", now);
	}
}

void marks_stale_add(struct text_buf *out, const struct marks_machine *machine)
{
	const struct stale *stale = &machine->stale;
	const char *what = stale->marks && stale->protection ? "marks and protection"
			   : stale->marks		     ? "marks"
							     : "protection";

	if (!stale->marks && !stale->protection)
		return;
	if (!stale->explained) {
		text_buf_printf(out,
				"The %s do not follow from these sizes and settings, nor from"
				" other sizes\nof one or two zones.\n",
				what);
		return;
	}
	text_buf_printf(out, "The %s are stale%s:\n", what,
			stale->marks ? ", as after every boot" : "");
	add_changed(out, machine);
	if (stale->marks)
		text_buf_puts(out, "  A write to min_free_kbytes or watermark_scale_factor"
				   " recomputes marks.\n");
	if (stale->protection)
		text_buf_puts(out, "  Reading lowmem_reserve_ratio recomputes protection.\n");
}

/* ---- side by side ---- */

struct block {
	const struct plan *const *plans; /* the first is the machine as it is */
	uint32_t first, end;		 /* columns of this block, beside the first */
};

static void add_row(struct text_buf *out, const struct block *block, const char *name,
		    uint64_t (*value)(const struct plan *plan, const void *arg), const void *arg)
{
	text_buf_printf(out, "%-*s", (int)LABEL_WIDTH, name);
	text_buf_u64(out, value(block->plans[0], arg), COLUMN_WIDTH - 1);
	for (uint32_t i = block->first; i < block->end; i++)
		text_buf_u64(out, value(block->plans[i], arg), COLUMN_WIDTH);
	text_buf_puts(out, "\n");
}

enum cell_kind {
	CELL_MIN,
	CELL_LOW,
	CELL_HIGH,
	CELL_PROTECTION,
	CELL_PCP,
	NR_CELL_KINDS
};

struct cell {
	uint32_t node, index;
	enum cell_kind kind;
};

static uint64_t cell_value(const struct plan *plan, const void *arg)
{
	const struct cell *cell = arg;
	const struct plan_zone *zone = &plan->zone[cell->node][cell->index];

	switch (cell->kind) {
	case CELL_MIN:
		return zone->marks.min + zone->boost;
	case CELL_LOW:
		return zone->marks.low + zone->boost;
	case CELL_HIGH:
		return zone->marks.high + zone->boost;
	case CELL_PROTECTION:
		return zone->protection[plan->nr_zones - 1];
	case CELL_PCP:
	case NR_CELL_KINDS:
		break;
	}
	return zone->high;
}

static bool row_is_constant(const struct block *block, const struct cell *cell)
{
	for (uint32_t i = block->first; i < block->end; i++)
		if (cell_value(block->plans[i], cell) != cell_value(block->plans[0], cell))
			return false;
	return true;
}

static void add_block_zone(struct text_buf *out, const struct block *block, uint32_t node,
			   uint32_t index)
{
	static const char *const names[NR_CELL_KINDS] = { "min", "low", "high", "protection",
							  "per-CPU high" };

	for (uint32_t kind = 0; kind < NR_CELL_KINDS; kind++) {
		struct cell cell = { node, index, (enum cell_kind)kind };
		char label[40] = "", name[64];

		/* Protection and limits only where a setting changes them. */
		if (kind >= CELL_PROTECTION && row_is_constant(block, &cell))
			continue;
		if (kind == CELL_MIN)
			snprintf(label, sizeof(label), "%u %s", node,
				 terms_zone_name(block->plans[0], index));
		snprintf(name, sizeof(name), "%-11s%s", label, names[kind]);
		add_row(out, block, name, cell_value, &cell);
	}
}

static uint64_t sum_value(const struct plan *plan, const void *arg)
{
	struct plan_totals totals;

	plan_sum(plan, &totals);
	switch (*(const enum cell_kind *)arg) {
	case CELL_MIN:
		return totals.min;
	case CELL_LOW:
		return totals.low;
	case CELL_HIGH:
		return totals.high;
	default:
		return plan->reserve_pages;
	}
}

static void add_block(struct text_buf *out, const struct block *block)
{
	static const char *const names[] = { "all pages  min", "           low", "           high",
					     "           reserved" };
	const struct plan *plan = block->plans[0];

	text_buf_printf(out, "%-*s%*s", (int)LABEL_WIDTH, "node, zone", (int)COLUMN_WIDTH - 1,
			"now");
	for (uint32_t i = block->first; i < block->end; i++) {
		char title[16];

		snprintf(title, sizeof(title), "[%u]", i);
		text_buf_printf(out, "%*s", (int)COLUMN_WIDTH, title);
	}
	text_buf_puts(out, "\n");
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < plan->nr_zones; i++)
			if (plan->zone[n][i].managed != 0)
				add_block_zone(out, block, n, i);
	for (uint32_t kind = 0; kind < ARRAY_LEN(names); kind++)
		add_row(out, block, names[kind], sum_value, &kind);
}

void marks_columns_add(struct text_buf *out, const char *const *labels,
		       const struct plan *const *plans, uint32_t nr_plans)
{
	struct block block = { .plans = plans, .first = 1 };

	for (uint32_t i = 1; i < nr_plans; i++)
		text_buf_printf(out, "[%u] %s\n", i, labels[i]);
	while (block.first < nr_plans) {
		block.end = min_u32(block.first + COLUMNS_A_BLOCK - 1, nr_plans);
		text_buf_puts(out, "\n");
		add_block(out, &block);
		block.first = block.end;
	}
}

/* ---- wants ---- */

static void add_answer(struct text_buf *out, const struct marks_machine *machine,
		       const struct marks_answer *answer)
{
	uint64_t now = machine->fresh.reserve_pages;
	struct plan_totals totals;

	plan_sum(&machine->fresh, &totals);
	if (!answer->reachable) {
		text_buf_printf(out, "  %s alone does not reach it: at %" PRId64 " low - min is ",
				answer->name, answer->value);
		terms_bytes_add(out, answer->totals.gap);
		text_buf_puts(out, ",\n    and high is ");
		terms_bytes_add(out, answer->totals.high);
		text_buf_puts(out, " of ");
		terms_bytes_add(out, machine->fresh.managed_total);
		text_buf_puts(out, "\n");
		return;
	}
	text_buf_printf(out, "  %s = %" PRId64 ": low - min ", answer->name, answer->value);
	terms_bytes_add(out, answer->totals.gap);
	text_buf_puts(out, "\n    costs ");
	terms_bytes_add(out, answer->reserve_pages > now ? answer->reserve_pages - now : 0);
	text_buf_puts(out, " of MemAvailable; kswapd keeps up to ");
	terms_bytes_add(out, answer->totals.high);
	text_buf_puts(out, " free (now ");
	terms_bytes_add(out, totals.high);
	text_buf_puts(out, ")\n    of that ");
	terms_bytes_add(out, answer->totals.min);
	text_buf_puts(out, " is closed to ordinary requests (now ");
	terms_bytes_add(out, totals.min);
	text_buf_puts(out, ")\n");
}

void marks_answer_add(struct text_buf *out, const struct marks_machine *machine,
		      const struct marks_want *want, const struct marks_answer *answers)
{
	struct plan_totals totals;

	plan_sum(&machine->fresh, &totals);
	text_buf_printf(out, "want %s: low - min of ", want->text);
	terms_bytes_add(out, want->pages);
	text_buf_printf(out, " (%" PRIu64 " pages); it is ", want->pages);
	terms_bytes_add(out, totals.gap);
	text_buf_puts(out, "\n");
	if (want->burst)
		text_buf_puts(out, "  (what a burst may take from kswapd's wake-up at low to the"
				   " first stall at min)\n");
	if (totals.gap >= want->pages) {
		text_buf_puts(out, "  fulfilled already\n");
	} else {
		for (uint32_t i = 0; i < MARKS_NR_ANSWERS; i++)
			add_answer(out, machine, &answers[i]);
	}
	if (machine->fresh.nr_nodes > 1) {
		text_buf_puts(out, "  A burst bound to one node has that node's part only: now ");
		terms_bytes_add(out, totals.node_gap_least);
		text_buf_puts(out, " at least.\n");
	}
}
