/*
 * When were these marks computed?
 *
 * Linux computes marks early in boot, and frees the memory of its early code, of the
 * initial file system and of other boot data afterwards; marks and protection stay as
 * they were. A machine that nobody tuned therefore shows marks that its own numbers
 * do not give:
 *
 *     printed   low  828        managed now 116411 pages
 *     formula   low  841        ... but 113840 to 113967 pages give 828, and 444 too
 *
 * We look for the sizes at that time, and so prove "stale since boot" from one file.
 * Nearly always a single zone has grown; sometimes two (code into one, file system
 * into the other). For one zone, the sizes that fit form an interval: its own marks
 * grow with its size, those of all others shrink, and protection below it grows. So
 * each printed number says "too small" or "too large", and two bisections find both
 * ends. For two zones, the sizes of one are tried, in steps, over the range that the
 * protection of a lower zone leaves, and the other is bisected.
 *
 * What must never happen: an explanation that does not give each printed number. The
 * ends of the interval are checked against all of them.
 */
#include "diag/stale.h"

#include <string.h>

#define STEP_PAGES 16u /* of the outer zone; intervals that fit are wider, as a rule */
#define STEPS_MAX 512u
#define SIZE_BITS_MAX 40u /* sizes above 2^40 pages are no machine */

struct search {
	const struct plan *printed;
	struct plan *trial;	/* sizes are varied, everything else is recomputed */
	bool marks, protection; /* what is stale, and therefore must fit */
};

static bool marks_equal(const struct marks_terms *a, const struct marks_terms *b)
{
	return a->min == b->min && a->low == b->low && a->high == b->high;
}

static void recompute(struct plan *trial)
{
	plan_setup_marks(trial);
	plan_setup_protection(trial);
}

/* What the printed numbers say about the trial's size of the searched zone. */
struct verdict {
	bool too_small, too_large;
};

static void judge(struct verdict *verdict, uint64_t printed, uint64_t trial, bool grows)
{
	if (printed == trial)
		return;
	if ((trial < printed) == grows)
		verdict->too_small = true;
	else
		verdict->too_large = true;
}

static struct verdict search_judge(const struct search *search, uint32_t node, uint32_t index)
{
	struct verdict verdict = { false, false };

	for (uint32_t n = 0; n < search->trial->nr_nodes; n++) {
		for (uint32_t i = 0; i < search->trial->nr_zones; i++) {
			const struct plan_zone *want = &search->printed->zone[n][i];
			const struct plan_zone *have = &search->trial->zone[n][i];
			bool own = n == node && i == index;

			if (search->marks) {
				judge(&verdict, want->marks.min, have->marks.min, own);
				judge(&verdict, want->marks.low, have->marks.low, own);
				judge(&verdict, want->marks.high, have->marks.high, own);
			}
			for (uint32_t j = 0; j < NEAP_NR_ZONES && search->protection; j++)
				judge(&verdict, want->protection[j], have->protection[j], true);
		}
	}
	return verdict;
}

static struct verdict search_try(const struct search *search, const struct stale_zone *zone,
				 uint64_t pages)
{
	search->trial->zone[zone->node][zone->index].managed = pages;
	recompute(search->trial);
	return search_judge(search, zone->node, zone->index);
}

/* The least size that is not too small, or else the first that is too large. */
static uint64_t bisect(const struct search *search, const struct stale_zone *zone, bool large)
{
	uint64_t low = 0;
	uint64_t high = search->printed->zone[zone->node][zone->index].managed * 2 + 1;

	/* The sizes below `low` do not have the property, those from `high` on have it. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct verdict verdict = search_try(search, zone, middle);

		if (large ? verdict.too_large : !verdict.too_small)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Sets the interval of sizes of one zone that give everything. => whether there is one */
static bool search_zone(const struct search *search, struct stale_zone *zone)
{
	struct plan_zone *trial = &search->trial->zone[zone->node][zone->index];
	uint64_t managed = trial->managed;
	uint64_t end;
	bool found = false;

	if (search->printed->zone[zone->node][zone->index].managed == 0)
		return false;
	zone->least = bisect(search, zone, false);
	end = bisect(search, zone, true);
	if (zone->least > 0 && zone->least < end) {
		struct verdict first = search_try(search, zone, zone->least);
		struct verdict last = search_try(search, zone, end - 1);

		found = !first.too_small && !first.too_large && !last.too_small && !last.too_large;
	}
	zone->most = end - 1;
	trial->managed = managed;
	return found;
}

/* The zone at `slot` of all zones of all nodes. */
static struct stale_zone zone_at(const struct plan *plan, uint32_t slot)
{
	return (struct stale_zone){ .node = slot / plan->nr_zones, .index = slot % plan->nr_zones };
}

/* Looks for one zone; the largest that fits wins. => whether there is one */
static bool search_one(const struct search *search, struct stale *out)
{
	uint32_t slots = search->printed->nr_nodes * search->printed->nr_zones;
	uint64_t largest = 0;

	for (uint32_t slot = 0; slot < slots; slot++) {
		struct stale_zone zone = zone_at(search->printed, slot);
		uint64_t managed = search->printed->zone[zone.node][zone.index].managed;

		if (managed <= largest || !search_zone(search, &zone))
			continue;
		largest = managed;
		out->changed[0] = zone;
		out->nr_changed = 1;
	}
	return out->nr_changed != 0;
}

/*
 * The sizes of a zone that the protection of the zone just below allows, the other zones being as
 * they are. => false if nothing below says anything about it, or it may be as it is
 */
static bool protected_range(const struct plan *printed, struct stale_zone *zone)
{
	const struct plan_zone *zones = printed->zone[zone->node];

	for (uint32_t below = zone->index; below-- > 0;) {
		uint64_t ratio = (uint64_t)printed->knobs.lowmem_reserve_ratio[below];
		uint64_t between = 0, sum = zones[below].protection[zone->index];

		if (zones[below].managed == 0 || ratio == 0 || sum > UINT64_MAX / (ratio + 1))
			continue;
		for (uint32_t i = below + 1; i < zone->index; i++)
			between += zones[i].managed;
		sum *= ratio;
		zone->least = sum > between ? sum - between : 0;
		zone->most = sum + ratio - 1 > between ? sum + ratio - 1 - between : 0;
		return zones[zone->index].managed < zone->least ||
		       zones[zone->index].managed > zone->most;
	}
	return false;
}

/* With the outer zone's size set: a second zone that makes the rest fit. */
static bool search_second(const struct search *search, const struct stale_zone *outer,
			  struct stale *out)
{
	uint32_t slots = search->printed->nr_nodes * search->printed->nr_zones;

	for (uint32_t slot = 0; slot < slots; slot++) {
		struct stale_zone inner = zone_at(search->printed, slot);

		if ((inner.node == outer->node && inner.index == outer->index) ||
		    !search_zone(search, &inner))
			continue;
		out->changed[1] = inner;
		return true;
	}
	return false;
}

/* Looks for two zones, of which the first is one that protection tells something about. */
static bool search_two(const struct search *search, struct stale *out)
{
	const struct plan *printed = search->printed;
	uint32_t slots = printed->nr_nodes * printed->nr_zones;

	for (uint32_t slot = 0; slot < slots; slot++) {
		struct stale_zone outer = zone_at(printed, slot);
		struct plan_zone *trial = &search->trial->zone[outer.node][outer.index];

		if (printed->zone[outer.node][outer.index].managed == 0 ||
		    !protected_range(printed, &outer))
			continue;
		uint64_t pages = outer.most;

		for (uint32_t step = 0; step < STEPS_MAX && pages >= outer.least; step++) {
			trial->managed = pages;
			if (search_second(search, &outer, out)) {
				outer.least = outer.most = pages;
				out->changed[0] = outer;
				out->nr_changed = 2;
				return true;
			}
			if (pages < STEP_PAGES)
				break;
			pages -= STEP_PAGES;
		}
		trial->managed = printed->zone[outer.node][outer.index].managed;
	}
	return false;
}

/* Compares with the recomputed trial. */
static void compare(const struct search *search, struct stale *out)
{
	for (uint32_t n = 0; n < search->printed->nr_nodes; n++) {
		for (uint32_t i = 0; i < search->printed->nr_zones; i++) {
			const struct plan_zone *want = &search->printed->zone[n][i];
			const struct plan_zone *have = &search->trial->zone[n][i];

			out->marks |= !marks_equal(&want->marks, &have->marks);
			out->protection |= memcmp(want->protection, have->protection,
						  sizeof(want->protection)) != 0;
		}
	}
}

/* Numbers from a file may be anything; with these no product below overflows. */
static bool sizes_are_sane(const struct plan *printed)
{
	for (uint32_t n = 0; n < printed->nr_nodes; n++)
		for (uint32_t i = 0; i < printed->nr_zones; i++)
			if (printed->zone[n][i].managed >> SIZE_BITS_MAX != 0)
				return false;
	return true;
}

void stale_explain(const struct plan *printed, struct plan *scratch, struct stale *out)
{
	struct search search = { .printed = printed, .trial = scratch };

	*out = (struct stale){ .nr_changed = 0 };
	*scratch = *printed;
	recompute(scratch);
	compare(&search, out);
	if ((!out->marks && !out->protection) || !sizes_are_sane(printed))
		return;
	search.marks = out->marks;
	search.protection = out->protection;
	out->explained = search_one(&search, out) || search_two(&search, out);
}
