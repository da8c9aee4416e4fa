/*
 * A machine's marks, recomputed and turned round.
 *
 *     snapshot ──> printed plan ──┬── knobs ──> fresh plan      "what they would be now"
 *     (zoneinfo,    (as printed)  ├── stale ──> earlier sizes   "why they are not that"
 *      sysctls)                   └── settings ──> columns      "what a write would do"
 *                  fresh plan ───────── want ──> least setting  "what to write"
 *
 * Knobs may be missing: a zoneinfo in a bug report comes alone. Then they are guessed
 * from the marks: the zones' minima add up to min_free_kbytes / 4, but for the parts
 * of pages that were cut off; of the values that fit, one that Linux chooses by
 * itself is the likely one.
 *
 * Not every kernel computes marks as 6.1 does. What we can tell from the numbers:
 *
 *   Movable has 32 pages when empty      6.18: it has no share (movable_apart)
 *   high - low = min/2 - min/4, odd      before 4.6: no scale factor (halves)
 *   low - min > high - low               Android: extra_free_kbytes (extra)
 *   per-CPU highs are 6 batches          before 5.14 (six_batches)
 *   per-CPU highs differ                 6.7 and later: they are tuned
 *
 * The inverse rests on monotony: with larger knobs no mark and no gap gets smaller, so
 * the least value that fulfils a want is found by bisection.
 *
 * What must never happen: a guess that is not said to be one, or an answer that the
 * kernel would refuse.
 *
 * Linux: mm/page_alloc.c, __setup_per_zone_wmarks() and who calls it.
 */
#include "diag/marks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "core/knobs_plan.h"
#include "diag/settings.h"
#include "text/load.h"
#include "text/load_part.h"

#define APART_PAGES_LEAST 32u
#define APART_PAGES_MOST 128u
#define FACTOR_MOST 3000

/* ---- reading a machine ---- */

static uint64_t minus_saturating(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Whether Movable has a small minimum of its own, as from 6.18 on, in place of a share. */
static bool is_movable_apart(const struct plan *plan)
{
	if (plan->kind[ZONE_MOVABLE] != PLAN_MOVABLE)
		return false;
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		const struct plan_zone *zone = &plan->zone[n][ZONE_MOVABLE];
		const struct plan_zone *dma32 = &plan->zone[n][ZONE_DMA32];
		uint64_t apart =
			min_u64(max_u64(zone->managed / 1024, APART_PAGES_LEAST), APART_PAGES_MOST);

		if (zone->managed == 0)
			return zone->marks.min == apart;
		/* With a share it has as much a page as other zones. */
		if (dma32->managed != 0)
			return zone->marks.min == apart &&
			       dma32->marks.min * zone->managed / dma32->managed > apart + 1;
	}
	return false;
}

/* What one zone's distances between its marks say about the kernel that computed them. */
enum distances {
	DISTANCES_UNKNOWN,
	DISTANCES_EQUAL,
	DISTANCES_HALVES,
	DISTANCES_EXTRA
};

static enum distances zone_distances(const struct plan_zone *zone)
{
	const struct marks_terms *marks = &zone->marks;
	uint64_t upper = minus_saturating(marks->high, marks->low);
	uint64_t lower = minus_saturating(marks->low, marks->min);
	uint64_t quarter = marks->min / 4;
	uint64_t half = marks->min / 2 - quarter;

	if (zone->managed == 0 || marks->high < marks->low || marks->low < marks->min)
		return DISTANCES_UNKNOWN;
	if (lower == upper)
		return half != quarter ? DISTANCES_EQUAL : DISTANCES_UNKNOWN;
	if (upper == half && lower >= quarter)
		return DISTANCES_HALVES;
	return lower > upper ? DISTANCES_EXTRA : DISTANCES_UNKNOWN;
}

static void find_rules(struct marks_machine *machine)
{
	struct plan *plan = &machine->printed;
	bool equal = false;

	plan->movable_apart = is_movable_apart(plan);
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			enum distances distances = zone_distances(&plan->zone[n][i]);

			equal |= distances == DISTANCES_EQUAL;
			plan->halves |= distances == DISTANCES_HALVES;
		}
	}
	plan->halves = plan->halves && !equal;
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			const struct marks_terms *marks = &zone->marks;
			uint64_t gap = plan->halves ? marks->min / 4
						    : minus_saturating(marks->high, marks->low);

			if (zone_distances(zone) != DISTANCES_UNKNOWN)
				zone->extra = minus_saturating(marks->low - marks->min, gap);
			machine->extra |= zone->extra != 0;
		}
	}
	plan_count(plan);
}

/* The factor that gives this zone's gap, 10 if it does. => 0 if none does */
static int64_t guess_factor(const struct plan_zone *zone)
{
	uint64_t gap = zone->marks.high - zone->marks.low;
	struct marks_input in = { .managed = zone->managed, .scale_factor = 10 };
	struct marks_terms terms;

	if (gap == zone->marks.min / 4 && zone->managed * in.scale_factor / 10000 <= gap)
		return 10;
	for (in.scale_factor = 1; in.scale_factor <= FACTOR_MOST; in.scale_factor++) {
		marks_compute(&in, &terms);
		if (terms.gap_scale == gap)
			return (int64_t)in.scale_factor;
	}
	return 0;
}

/* What the minima of all zones say about min_free_kbytes / 4. */
struct minima {
	uint64_t pages; /* their sum: at least that much */
	uint64_t zones; /* in each less than a page was cut off */
	const struct plan_zone *largest;
};

static struct minima find_minima(const struct plan *plan)
{
	struct minima minima = { 0, 0, NULL };

	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];

			if (zone->managed == 0 || plan_zone_apart(plan, i))
				continue;
			minima.pages += zone->marks.min;
			minima.zones++;
			if (minima.largest == NULL || zone->managed > minima.largest->managed)
				minima.largest = zone;
		}
	}
	minima.pages = min_u64(minima.pages, INT32_MAX / plan->page_kb);
	return minima;
}

/* Whether so many pages to share give every zone its printed minimum. */
static bool gives_minima(const struct plan *plan, uint64_t pages)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];
			struct marks_input in = { .min_free_kbytes = pages * plan->page_kb,
						  .page_kb = plan->page_kb,
						  .managed = zone->managed,
						  .managed_total = plan->share_total };
			struct marks_terms terms;

			marks_compute(&in, &terms);
			if (!plan_zone_apart(plan, i) && terms.min != zone->marks.min)
				return false;
		}
	}
	return true;
}

/*
 * min_free_kbytes and the factor from the printed marks: what huge pages want if that is possible,
 * else the least value that gives the minima, else (stale marks) their sum.
 */
static void guess_knobs(struct marks_machine *machine)
{
	const struct plan *plan = &machine->printed;
	struct minima minima = find_minima(plan);
	uint64_t pages = minima.pages, end = minima.pages + max_u64(minima.zones, 1);
	struct plan_min_free_terms terms;
	int64_t factor = 0;

	plan_min_free(plan, &terms);
	if (terms.raise_kbytes / plan->page_kb >= pages &&
	    terms.raise_kbytes / plan->page_kb < end) {
		pages = terms.raise_kbytes / plan->page_kb;
	} else {
		while (pages < end && !gives_minima(plan, pages))
			pages++;
		pages = pages < end ? pages : minima.pages;
	}
	if (minima.largest != NULL && !plan->halves)
		factor = guess_factor(minima.largest);
	atomic_store_explicit(&machine->knobs.min_free_kbytes, (int32_t)(pages * plan->page_kb),
			      memory_order_relaxed);
	atomic_store_explicit(&machine->knobs.watermark_scale_factor,
			      factor != 0 ? (int32_t)factor : 10, memory_order_relaxed);
}

/* Whether the first CPU's limits are all 6 batches, or none for a small zone. */
static bool has_six_batches(const struct snapshot *snapshot)
{
	uint32_t first = cpumask_next(&snapshot->online, 0);
	bool found = false;

	if (first >= NEAP_MAX_CPUS)
		return false;
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			const struct snapshot_pageset *set =
				&snapshot->node[n].zone[i].pageset[first];

			if (snapshot->node[n].zone[i].present == 0 ||
			    (set->high == 0 && set->batch <= 1))
				continue;
			if (set->high != 6 * set->batch)
				return false;
			found = true;
		}
	}
	return found;
}

/* Whether the CPUs of some zone have different limits. */
static bool has_tuned_limits(const struct snapshot *snapshot)
{
	uint32_t first = cpumask_next(&snapshot->online, 0);

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			const struct snapshot_zone *zone = &snapshot->node[n].zone[i];
			const struct snapshot_pageset *set = zone->pageset;

			for (uint32_t cpu = first; cpu < NEAP_MAX_CPUS;
			     cpu = cpumask_next(&snapshot->online, cpu + 1))
				if (zone->present != 0 && (set[cpu].high != set[first].high ||
							   set[cpu].high < 4 * set[cpu].batch))
					return true;
		}
	}
	return false;
}

int marks_machine_new(const struct snapshot *snapshot, struct marks_machine **out,
		      struct text_error *err)
{
	struct marks_machine *machine = calloc(1, sizeof(*machine));
	bool complete = false;
	int error = machine == NULL ? text_error_no_memory(err, "")
				    : settings_read(snapshot, &machine->knobs, &complete, err);

	*out = NULL;
	if (error != 0) {
		free(machine);
		return error;
	}
	plan_from_snapshot(&machine->printed, snapshot);
	knobs_plan_set(&machine->printed, &machine->knobs);
	machine->min_free_guessed = !complete;
	machine->printed.six_batches = has_six_batches(snapshot);
	machine->limits_tuned = !machine->printed.six_batches && has_tuned_limits(snapshot);
	find_rules(machine);
	if (!complete)
		guess_knobs(machine);
	knobs_plan_guess_user(&machine->printed, &machine->knobs);
	knobs_plan_set(&machine->printed, &machine->knobs);
	stale_explain(&machine->printed, &machine->fresh, &machine->stale);
	machine->fresh = machine->printed;
	settings_recompute(&machine->fresh);
	*out = machine;
	return 0;
}

/* Reads DIR/zoneinfo or DIR/proc/zoneinfo. => 0, or a negative errno with *err filled */
static int load_zoneinfo(const char *dir, struct zoneinfo_doc **out, struct text_error *err)
{
	struct text_buf text;
	int error;

	text_buf_init(&text);
	error = load_read(dir, "zoneinfo", &text, err);
	if (error == -ENOENT)
		error = load_read(dir, "proc/zoneinfo", &text, err);
	if (error == -ENOENT)
		text_error_set(err, dir, 0,
			       "there is neither a zoneinfo nor a proc/zoneinfo in this directory");
	if (error == 0)
		error = zoneinfo_parse(text_buf_text(&text), text.bytes, "zoneinfo", out, err);
	text_buf_free(&text);
	return error;
}

int marks_machine_load(const char *dir, struct marks_machine **out, struct text_error *err)
{
	struct snapshot_docs docs = { .zoneinfo = NULL };
	struct text_error warning = { .line = 0 };
	struct zoneinfo_doc *zoneinfo = NULL;
	struct snapshot *snapshot = NULL;
	int error = load_zoneinfo(dir, &zoneinfo, err);

	*out = NULL;
	docs.zoneinfo = zoneinfo;
	if (error == 0)
		error = snapshot_from_docs(&docs, &snapshot, err);
	if (error == 0)
		error = load_nodes(dir, snapshot, &warning, err);
	if (error == 0)
		error = load_settings(dir, snapshot, &warning, err);
	if (error == 0)
		error = marks_machine_new(snapshot, out, err);
	if (error == 0)
		*err = warning;
	free(snapshot);
	zoneinfo_free(zoneinfo);
	return error == -ENOMEM ? text_error_no_memory(err, dir) : error;
}

/* ---- settings ---- */

int marks_apply(const struct marks_machine *machine, const char *writes, struct plan *out,
		struct text_error *err)
{
	const uint32_t matters =
		KNOB_MARKS | KNOB_PROTECTION | KNOB_LIMITS | KNOB_NODE_RATIOS | KNOB_THP;
	struct knobs knobs;
	int error = 0;

	*out = machine->printed;
	knobs_copy(&knobs, &machine->knobs);
	while (*writes != '\0' && error == 0) {
		size_t length = strcspn(writes, ",");
		uint32_t effects = 0;
		char one[160];

		snprintf(one, sizeof(one), "%.*s", (int)min_u64(length, sizeof(one) - 1), writes);
		error = settings_write(out, &knobs, one, &effects, err);
		if (error == 0 && (effects & matters) == 0) {
			text_error_set(err, one, 0, "marks do not depend on it");
			error = -EINVAL;
		}
		writes += length + (writes[length] == ',');
	}
	return error;
}

/* ---- wants ---- */

static int want_fail(struct text_error *err, const char *text)
{
	text_error_set(err, text, 0,
		       "write low-min=SIZE (low-min=2G) or absorb=SIZE/s:TIME"
		       " (absorb=500M/s:200ms)");
	return -EINVAL;
}

/* "200ms". => false if it is no time */
static bool parse_time(const char *text, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = { { "us", NSEC_PER_USEC }, { "ms", NSEC_PER_MSEC }, { "s", NSEC_PER_SEC } };
	char *end = NULL;
	unsigned long long number = 0;

	if (text[0] >= '0' && text[0] <= '9')
		number = strtoull(text, &end, 10);
	if (end == NULL || number > UINT32_MAX)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(end, units[i].name) == 0) {
			*ns = number * units[i].ns;
			return true;
		}
	}
	return false;
}

static uint64_t bytes_to_pages(uint64_t bytes)
{
	return bytes / NEAP_PAGE_BYTES + (bytes % NEAP_PAGE_BYTES != 0);
}

int marks_want_parse(const char *text, struct marks_want *want, struct text_error *err)
{
	uint64_t bytes = 0;
	size_t used;

	*want = (struct marks_want){ .text = text };
	if (strncmp(text, "low-min=", 8) == 0) {
		used = size_parse(text + 8, &bytes);
		if (used == 0 || text[8 + used] != '\0' || bytes == 0)
			return want_fail(err, text);
		want->pages = bytes_to_pages(bytes);
		return 0;
	}
	if (strncmp(text, "absorb=", 7) != 0)
		return want_fail(err, text);
	used = size_parse(text + 7, &want->rate_bytes);
	if (used == 0 || strncmp(text + 7 + used, "/s:", 3) != 0 ||
	    !parse_time(text + 10 + used, &want->time_ns) || want->rate_bytes > (uint64_t)1 << 50)
		return want_fail(err, text);
	want->burst = true;
	/* In microseconds, so that the product fits: 2^50 bytes for at most 2^13 s. */
	if (want->time_ns / NSEC_PER_USEC > UINT64_MAX / max_u64(want->rate_bytes, 1))
		return want_fail(err, text);
	want->pages = bytes_to_pages(want->rate_bytes * (want->time_ns / NSEC_PER_USEC) / 1000000);
	return want->pages != 0 ? 0 : want_fail(err, text);
}

/* A setting that widens the distance between low and min. */
struct lever {
	const char *name;
	int64_t most;
	size_t offset; /* of its number in struct plan_knobs */
};

/* The factor first: it keeps nothing from ordinary requests. */
static const struct lever levers[MARKS_NR_ANSWERS] = {
	{ "watermark_scale_factor", FACTOR_MOST,
	  offsetof(struct plan_knobs, watermark_scale_factor) },
	{ "min_free_kbytes", INT32_MAX, offsetof(struct plan_knobs, min_free_kbytes) },
};

/* Sets one lever of a scratch plan. => the distance between low and min that results */
static uint64_t try_value(const struct marks_machine *machine, struct plan *scratch,
			  const struct lever *lever, int64_t value)
{
	struct plan_totals totals;

	scratch->knobs = machine->fresh.knobs;
	memcpy((char *)&scratch->knobs + lever->offset, &value, sizeof(value));
	plan_setup_marks(scratch);
	plan_sum(scratch, &totals);
	return totals.gap;
}

/* The least value of one lever, not below its present one, that fulfils the want. */
static void answer_one(const struct marks_machine *machine, const struct marks_want *want,
		       struct plan *scratch, const struct lever *lever, struct marks_answer *answer)
{
	int64_t low, high = lever->most;

	memcpy(&low, (const char *)&machine->fresh.knobs + lever->offset, sizeof(low));
	answer->name = lever->name;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;

		if (try_value(machine, scratch, lever, middle) >= want->pages)
			high = middle;
		else
			low = middle + 1;
	}
	answer->value = low;
	answer->reachable = try_value(machine, scratch, lever, low) >= want->pages;
	plan_sum(scratch, &answer->totals);
	answer->reserve_pages = scratch->reserve_pages;
	/* A high mark above the memory itself is never reached: kswapd would not stop. */
	if (answer->totals.high >= scratch->managed_total)
		answer->reachable = false;
}

void marks_answer(const struct marks_machine *machine, const struct marks_want *want,
		  struct plan *scratch, struct marks_answer *answers)
{
	for (uint32_t i = 0; i < MARKS_NR_ANSWERS; i++) {
		*scratch = machine->fresh;
		answer_one(machine, want, scratch, &levers[i], &answers[i]);
	}
}
