/*
 * Settings: which ones somebody changed, what they do here, and whether they do harm.
 *
 *     marks as printed ──> test ──> fails ──┐
 *     marks of defaults ─> test ──> passes ─┴─> the reserve is too large: a finding
 *                               └─> fails ────> it is not the reserve
 *
 * Nobody can say from a value alone that it is wrong. A reserve of two gigabytes is right for a
 * machine with bursts of network traffic and wrong for one that swaps because of it; so the state
 * is tested twice, with the marks it has and with those that the kernel would have chosen. Only
 * if that changes an answer which hurts, it is a finding.
 *
 * Inert settings are notes: swappiness without swap, for one, changes nothing.
 *
 * Marks that do not follow from the sizes are explained by diag/marks.c: computed before boot
 * memory was freed, or by a patched kernel.
 *
 * What must never happen: advice to change a setting that was not shown to matter.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "core/alloc.h"
#include "core/kswapd.h"
#include "diag/explain_part.h"
#include "diag/request.h"
#include "diag/settings.h"
#include "diag/terms.h"

/* ---- marks ---- */

static void note_extra(struct explain *x)
{
	const struct plan *plan = &x->marks->printed;
	uint64_t pages = 0;
	struct explain_item *item;

	if (!x->marks->extra)
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_SETTING, "patched-marks");
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];

			pages += zone->extra;
			if (zone->extra != 0)
				explain_proof(item,
					      "zoneinfo: %s: low - min = %" PRIu64
					      ", high - low = %" PRIu64 ": %" PRIu64
					      " pages more below low",
					      terms_zone_name(plan, i),
					      zone->marks.low - zone->marks.min,
					      zone->marks.high - zone->marks.low, zone->extra);
		}
	}
	explain_title(item,
		      "the kernel is patched: extra_free_kbytes is %" PRIu64 ", as Android sets it",
		      pages * plan->page_kb);
	explain_proof(item, "mainline gives low - min and high - low the same value");
}

/* What the protection of the zone below says of a zone's size then, by itself. */
static void prove_protection(struct explain_item *item, const struct explain *x,
			     const struct stale_zone *zone)
{
	const struct plan *plan = &x->marks->printed;
	const struct plan_zone *zones = plan->zone[zone->node];
	uint32_t below = zone->index;
	uint64_t between = 0;

	while (below > 0 && zones[below - 1].managed == 0)
		below--;
	if (below == 0)
		return;
	below--;
	for (uint32_t i = below + 1; i < zone->index; i++)
		between += zones[i].managed;
	uint64_t ratio = (uint64_t)max_u64((uint64_t)plan->knobs.lowmem_reserve_ratio[below], 1);
	uint64_t sum = zones[below].protection[zone->index];

	if (sum == 0 || sum > ((uint64_t)1 << 44) || ratio > ((uint64_t)1 << 20) ||
	    sum * ratio < between)
		return;
	explain_proof(item,
		      "zoneinfo: %s's protection alone, %" PRIu64 ", allows %" PRIu64 "..%" PRIu64
		      " pages",
		      terms_zone_name(plan, below), sum, sum * ratio - between,
		      sum * ratio + ratio - 1 - between);
}

static void note_stale(struct explain *x)
{
	const struct stale *stale = &x->marks->stale;
	struct explain_item *item;

	if ((!stale->marks && !stale->protection) ||
	    (!stale->explained && x->marks->min_free_guessed))
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR + 5, "stale-marks");
	if (!stale->explained) {
		explain_title(item,
			      "the %s do not follow from the sizes and settings that are"
			      " shown",
			      stale->marks ? "marks" : "protection");
		return;
	}
	explain_title(item, "the %s are stale since boot, as on every machine",
		      stale->marks && stale->protection ? "marks and protection"
		      : stale->marks			? "marks"
							: "protection");
	for (uint32_t i = 0; i < stale->nr_changed; i++) {
		const struct stale_zone *zone = &stale->changed[i];
		uint64_t now = x->marks->printed.zone[zone->node][zone->index].managed;

		explain_proof(item,
			      "zoneinfo: computed when %s had %" PRIu64 "..%" PRIu64
			      " pages; it has %" PRIu64 " now",
			      terms_zone_name(&x->marks->printed, zone->index), zone->least,
			      zone->most, now);
		if (stale->protection)
			prove_protection(item, x, zone);
	}
	explain_proof(item, "boot memory was freed into the zone afterwards; harmless");
}

/* What gave min_free_kbytes its value, if it is one that Linux chooses. */
static void note_min_free(struct explain *x)
{
	const struct plan *plan = &x->marks->printed;
	struct plan_min_free_terms terms;
	struct explain_item *item;

	plan_min_free(plan, &terms);
	if (plan->knobs.min_free_kbytes != (int64_t)terms.raise_kbytes || terms.raise_kbytes == 0)
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR + 6, "thp-raise");
	explain_title(item, "the reserve of %" PRId64 " kB is what transparent huge pages ask for",
		      plan->knobs.min_free_kbytes);
	explain_proof(item,
		      "zoneinfo: %" PRIu64 " populated zones * %" PRIu64 " kB%s; not the formula"
		      " by the square root",
		      terms.raise_zones, plan->page_kb * plan->block_pages * 11,
		      terms.raise_capped ? ", at most 5 % of memory" : "");
	if (x->marks->min_free_guessed)
		explain_proof(item, "min_free_kbytes itself was inferred from the marks");
}

/* ---- the same tests with the kernel's own settings ---- */

/* Something hurts with the marks in force: the node is unbalanced, or a page cannot be had. */
static bool hurts(struct explain *x)
{
	struct request *request = malloc(sizeof(*request));
	bool any = false;

	for (uint32_t n = 0; request != NULL && n < x->state->machine.nr_nodes && !any; n++) {
		if (!x->after->snapshot->node[n].has_memory)
			continue;
		any = !kswapd_balanced(&x->state->machine.nodes[n], 0,
				       state_node_limit(x->state, n));
		request_run(x->state, GFP_KERNEL, 0, n, request);
		any = any || request->verdict == REQUEST_STALLS ||
		      request->verdict == REQUEST_FAILS;
	}
	free(request);
	return any;
}

/* The marks that Linux would have chosen for these sizes. => false if memory is out */
static bool hurts_with_defaults(struct explain *x)
{
	struct plan *plan = malloc(sizeof(*plan));
	struct knobs knobs;
	bool still;

	if (plan == NULL)
		return true;
	*plan = x->marks->printed;
	knobs_copy(&knobs, &x->marks->knobs);
	atomic_store(&knobs.watermark_scale_factor, 10);
	plan->knobs.watermark_scale_factor = 10;
	settings_boot(plan, &knobs, plan->managed_total * plan->page_kb >= 512u * 1024);
	state_set_marks(x->state, plan);
	still = hurts(x);
	state_reset_marks(x->state);
	free(plan);
	return still;
}

/* Was the reserve chosen by hand? */
static bool is_by_hand(const struct explain *x)
{
	const struct plan_knobs *knobs = &x->marks->printed.knobs;

	return !x->marks->min_free_guessed && knobs->user_min_free_kbytes >= 0;
}

static void reserve_item(struct explain *x, bool harms, uint64_t high, uint64_t total)
{
	const struct plan_knobs *knobs = &x->marks->printed.knobs;
	struct explain_item *item = explain_item(x, harms ? EXPLAIN_FINDING : EXPLAIN_NOTE,
						 RANK_SETTING, "large-reserve");
	char size[24];

	explain_title(item, "kswapd keeps %s free, %" PRIu64 " %% of memory%s",
		      explain_size(x, high, size), high * 100 / max_u64(total, 1),
		      harms ? ", and requests suffer from it" : "");
	explain_proof(item,
		      "%smin_free_kbytes %" PRId64 ", watermark_scale_factor %" PRId64
		      ": the high marks add up to %" PRIu64 " pages",
		      x->marks->min_free_guessed ? "inferred: " : "sys/vm: ",
		      knobs->min_free_kbytes, knobs->watermark_scale_factor, high);
	if (!harms) {
		explain_proof(item, "nothing waits because of it in this input");
		return;
	}
	explain_proof(item, "with the kernel's own settings the same state passes every test");
	explain_do(item, "lower min_free_kbytes or watermark_scale_factor; neap marks --set shows"
			 " the marks first");
	explain_check(item, "neap explain --set NAME=VALUE, before writing it");
}

static void explain_reserve(struct explain *x)
{
	struct plan_totals totals;
	uint64_t total = x->marks->printed.managed_total;
	bool harms;

	plan_sum(&x->marks->printed, &totals);
	harms = (is_by_hand(x) || x->marks->printed.knobs.watermark_scale_factor > 10) &&
		hurts(x) && !hurts_with_defaults(x) && explain_is_stalling(x);
	/* Huge pages never ask for more than 5 %: above that somebody asked. */
	if (harms || totals.high > total / 20)
		reserve_item(x, harms, totals.high, total);
}

/* ---- single knobs ---- */

static void explain_swappiness(struct explain *x)
{
	uint64_t total = 0;
	int64_t value = 60;
	struct explain_item *item;
	bool known = evidence_kb(x->after, "SwapTotal", &total);

	if (evidence_has(x->after, EVIDENCE_SWAPS)) {
		known = true;
		total = x->after->snapshot->swap_total_pages;
	}
	if (!known || !evidence_setting(x->after, "swappiness", &value) || value == 60)
		return;
	if (total != 0 && value != 0)
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_SETTING,
			    total == 0 ? "swappiness-inert" : "swappiness-0");
	if (total == 0) {
		explain_title(item, "swappiness %" PRId64 " does nothing: there is no swap", value);
		explain_proof(item, "sys/vm: swappiness %" PRId64 "; swap: none", value);
		return;
	}
	explain_title(item, "swappiness 0: nothing is swapped until file cache is nearly gone");
	explain_proof(item, "sys/vm: swappiness 0; swap: %" PRIu64 " pages", total);
}

struct knob_note {
	const char *name;
	int64_t usual;
	const char *words; /* what it does when it is not that */
};

static const struct knob_note knob_notes[] = {
	{ "watermark_boost_factor", 15000,
	  "marks are boosted by another amount after"
	  " fragmentation" },
	{ "zone_reclaim_mode", 0, "a node reclaims its own cache before it uses another's memory" },
	{ "compaction_proactiveness", 20,
	  "kcompactd compacts by the clock more or less than"
	  " usual" },
	{ "extfrag_threshold", 500, "compaction is begun more or less readily than usual" },
	{ "vfs_cache_pressure", 100, "dentries and inodes are reclaimed more or less than usual" },
	{ "percpu_pagelist_high_fraction", 0, "CPUs keep other amounts of free pages" },
	{ "laptop_mode", 0, "kswapd writes nothing until it is in need" },
};

static void explain_knobs(struct explain *x)
{
	struct explain_item *item = NULL;
	uint32_t nr = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(knob_notes); i++) {
		int64_t value;

		if (!evidence_setting(x->after, knob_notes[i].name, &value) ||
		    value == knob_notes[i].usual)
			continue;
		if (item == NULL)
			item = explain_item(x, EXPLAIN_NOTE, RANK_SETTING + 2, "changed-settings");
		explain_proof(item, "sys/vm: %s %" PRId64 " (usual %" PRId64 "): %s",
			      knob_notes[i].name, value, knob_notes[i].usual, knob_notes[i].words);
		nr++;
	}
	if (item != NULL)
		explain_title(item, "%u setting%s of reclaim %s been changed", nr,
			      nr == 1 ? "" : "s", nr == 1 ? "has" : "have");
}

/* Strict overcommit: allocations of address space fail at the limit, with memory free. */
static void explain_commit(struct explain *x)
{
	uint64_t limit = 0, used = 0;
	int64_t mode = 0, admin = 0, user = 0;
	struct explain_item *item;

	if (!evidence_setting(x->after, "overcommit_memory", &mode) || mode != 2 ||
	    !evidence_kb(x->after, "CommitLimit", &limit) ||
	    !evidence_kb(x->after, "Committed_AS", &used))
		return;
	(void)evidence_setting(x->after, "admin_reserve_kbytes", &admin);
	(void)evidence_setting(x->after, "user_reserve_kbytes", &user);
	if (used + (uint64_t)(admin > 0 ? admin : 0) + (uint64_t)(user > 0 ? user : 0) < limit)
		return;
	item = explain_item(x, EXPLAIN_FINDING, RANK_FAILS + 3, "commit-limit");
	explain_title(item, "programs cannot get address space: the commit limit is reached");
	explain_proof(item, "meminfo: Committed_AS %" PRIu64 " kB of CommitLimit %" PRIu64 " kB",
		      used, limit);
	explain_proof(item, "sys/vm: overcommit_memory 2, so the limit is enforced");
	explain_do(item, "raise overcommit_ratio, add swap, or set overcommit_memory to 0");
	explain_check(item, "Committed_AS stays below CommitLimit");
}

void explain_settings(struct explain *x)
{
	if (x->marks != NULL) {
		note_extra(x);
		note_stale(x);
		note_min_free(x);
		explain_reserve(x);
	}
	explain_swappiness(x);
	explain_knobs(x);
	explain_commit(x);
}

/* ---- what if ---- */

/* The first zone of the walk, in words. */
static void prove_first(struct explain *x, struct explain_item *item, const struct request *request)
{
	const struct dry_walk *walk = request->went_slow ? &request->slow : &request->fast;

	for (uint32_t i = 0; i < walk->nr && i < 4; i++) {
		struct text_buf line;

		text_buf_init(&line);
		request_step_add(&line, &walk->step[i], request->went_slow ? "min" : "low", NULL);
		explain_proof(item, "zoneinfo: node %u %s: %s",
			      state_node_id(x->state, walk->step[i].zone->node),
			      state_zone_name(x->state, walk->step[i].zone), text_buf_text(&line));
		text_buf_free(&line);
	}
}

/* A zoneinfo whose lines "managed" were cut off gives no sizes to compute marks from. */
static bool has_sizes(const struct plan *plan)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < plan->nr_zones; i++)
			if (plan->zone[n][i].managed != 0)
				return true;
	return false;
}

static void explain_no_sizes(struct explain *x)
{
	struct explain_item *item = explain_item(x, EXPLAIN_UNKNOWN, RANK_FAILS, "what-if");

	explain_title(item,
		      "zoneinfo has no line 'managed'; it would tell which marks %s gives, and"
		      " whether requests could go on",
		      x->set);
}

void explain_try(struct explain *x)
{
	struct request *request = malloc(sizeof(*request));
	struct plan *plan = malloc(sizeof(*plan));
	struct text_error err = { .line = 0 };
	struct explain_item *item;
	struct plan_totals totals;
	bool bad;

	if (x->state == NULL || request == NULL || plan == NULL ||
	    marks_apply(x->marks, x->set, plan, &err) != 0) {
		free(plan);
		free(request);
		return;
	}
	if (!has_sizes(plan)) {
		explain_no_sizes(x);
		free(plan);
		free(request);
		return;
	}
	state_set_marks(x->state, plan);
	plan_sum(plan, &totals);
	request_run(x->state, GFP_KERNEL, 0, 0, request);
	bad = request->verdict == REQUEST_STALLS || request->verdict == REQUEST_FAILS;
	item = explain_item(x, bad ? EXPLAIN_FINDING : EXPLAIN_NOTE, bad ? 0 : RANK_SETTING,
			    "what-if");
	explain_title(item, "with %s %s", x->set,
		      bad ? "ordinary requests would have to reclaim at once: the new min is above"
			    " what is free"
		      : request->verdict == REQUEST_SLOW ? "kswapd would have to work at once"
							 : "ordinary requests go on as before");
	explain_proof(item,
		      "the marks would be %" PRIu64 "/%" PRIu64 "/%" PRIu64
		      " pages in all; kswapd would keep %" PRIu64 " to %" PRIu64 " MiB free",
		      totals.min, totals.low, totals.high, totals.low * plan->page_kb / 1024,
		      totals.high * plan->page_kb / 1024);
	prove_first(x, item, request);
	if (bad)
		explain_not(item, "write %s now", x->set);
	state_reset_marks(x->state);
	free(plan);
	free(request);
}

/* ---- missing files ---- */

static const char *const could_tell[NR_EVIDENCE_FILES] = {
	[EVIDENCE_ZONEINFO] = "free pages and marks of each zone: whether kswapd can rest, what"
			      " requests meet",
	[EVIDENCE_VMSTAT] = "direct reclaim, kswapd's runs, refaults, OOM kills",
	[EVIDENCE_BUDDYINFO] = "whether there are free blocks of more than one page: a request that"
			       " failed although enough was free failed for its order",
	[EVIDENCE_PAGETYPEINFO] = "of which type the free blocks are (root only)",
	[EVIDENCE_MEMINFO] = "what memory is used for",
	[EVIDENCE_SWAPS] = "whether there is room in swap",
	[EVIDENCE_PRESSURE] = "whether tasks wait for memory now",
	[EVIDENCE_SYSCTLS] = "which settings were changed",
};

void explain_missing(struct explain *x)
{
	static const char *const why[] = {
		[EVIDENCE_MISSING] = "is missing",
		[EVIDENCE_REFUSED] = "may not be read",
		[EVIDENCE_BROKEN] = "is not understood",
	};

	for (uint32_t file = 0; file < NR_EVIDENCE_FILES; file++) {
		const struct evidence_source *source = &x->after->source[file];
		struct explain_item *item;

		if (source->state == EVIDENCE_READ)
			continue;
		/* meminfo says how much swap there is, too. */
		if (file == EVIDENCE_SWAPS && x->after->meminfo != NULL)
			continue;
		item = explain_item(x, EXPLAIN_UNKNOWN,
				    source->state == EVIDENCE_BROKEN ? RANK_FAILS
								     : RANK_MINOR + file,
				    evidence_name((enum evidence_file)file));
		explain_title(item, "%s %s; it would tell %s",
			      evidence_name((enum evidence_file)file), why[source->state],
			      could_tell[file]);
		if (source->problem[0] != '\0')
			explain_proof(item, "%s: %s", source->path, source->problem);
	}
}
