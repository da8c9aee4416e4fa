/*
 * The static arithmetic of a machine, over plain data.
 *
 *   min_free_kbytes ──┬─> share of each zone ──> min
 *   scale factor ─────┴─> gap ────────────────> low, high, promo ──> per-CPU high
 *   lowmem ratios ────> protection by request limit ─────┐
 *                                                        ├─> total reserve
 *                          high marks, boosts ───────────┘
 *   CPUs, zone sizes ──> thresholds, drift marks
 *
 * Linux recomputes these at different moments, and a value that is not recomputed
 * stays: after boot the marks still belong to the smaller zones of the moment they
 * were computed in. So there is one function a moment, and none "for everything".
 *
 * Zones are indexed as the machine's own kernel does; `kind` says what each is. On
 * amd64 that is DMA, DMA32, Normal, Movable, Device; a 32-bit kernel has DMA, Normal,
 * HighMem, Movable. No build has more than five.
 *
 * A page has 4 KiB; on some arm64 kernels 16 or 64, and a pageblock is as large as a huge
 * page there: 32 or 512 MiB.
 *
 * Invariants (plan_verify), after marks and protection were recomputed:
 *   1. min <= low <= high <= promo, with equal gaps;
 *   2. a gap is at least managed * scale factor / 10000;
 *   3. protection[i][j] = 0 for j <= i, and never falls as j grows;
 *   4. the shares add up to at most min_free_kbytes / 4, and fall short of it by less
 *      than one page a zone;
 *   5. a zone's reserve is not larger than the zone.
 *
 * Linux: mm/page_alloc.c (__setup_per_zone_wmarks, setup_per_zone_lowmem_reserve,
 * zone_batchsize, zone_highsize), mm/vmstat.c (thresholds), mm/khugepaged.c.
 */
#include "core/plan.h"

#include <string.h>

#include "base/check.h"
#include "core/pcp.h"
#include "core/vmstat.h"

#define FACTOR_UNIT 10000u

/* ---- to and from snapshots ---- */

void plan_knobs_init(struct plan_knobs *knobs)
{
	static const int64_t ratio[NEAP_NR_ZONES] = { 256, 256, 32, 0, 0 };

	*knobs = (struct plan_knobs){
		.user_min_free_kbytes = -1,
		.watermark_scale_factor = 10,
		.min_unmapped_ratio = 1,
		.min_slab_ratio = 5,
	};
	memcpy(knobs->lowmem_reserve_ratio, ratio, sizeof(ratio));
}

void plan_init(struct plan *plan)
{
	static const enum plan_kind amd64[NEAP_NR_ZONES] = { PLAN_DMA, PLAN_DMA32, PLAN_NORMAL,
							     PLAN_MOVABLE, PLAN_DEVICE };

	memset(plan, 0, sizeof(*plan));
	plan->nr_zones = NEAP_NR_ZONES;
	memcpy(plan->kind, amd64, sizeof(amd64));
	plan->page_kb = NEAP_PAGE_BYTES / KIB;
	plan->block_pages = NEAP_PAGEBLOCK_PAGES;
	plan_knobs_init(&plan->knobs);
}

bool plan_zone_apart(const struct plan *plan, uint32_t index)
{
	return plan->kind[index] == PLAN_HIGHMEM ||
	       (plan->kind[index] == PLAN_MOVABLE && plan->movable_apart);
}

bool plan_zone_low(const struct plan *plan, uint32_t index)
{
	return plan->kind[index] <= PLAN_NORMAL;
}

static uint64_t minus_saturating(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void zone_from_snapshot(struct plan_zone *to, const struct snapshot_zone *from,
			       const struct snapshot *snapshot)
{
	uint32_t cpu = cpumask_next(&snapshot->online, 0);

	to->populated = from->present != 0;
	to->managed = from->managed;
	to->boost = from->boost;
	/* The files print marks with the boost in them. */
	to->marks.min = minus_saturating(from->min, from->boost);
	to->marks.low = minus_saturating(from->low, from->boost);
	to->marks.high = minus_saturating(from->high, from->boost);
	to->marks.share = to->marks.min;
	to->marks.gap = minus_saturating(from->high, from->low);
	to->marks.promo = to->marks.high + to->marks.gap;
	for (uint32_t j = 0; j < NEAP_NR_ZONES; j++)
		to->protection[j] = from->protection[j];
	if (cpu < NEAP_MAX_CPUS) {
		to->batch = from->pageset[cpu].batch;
		to->high = from->pageset[cpu].high;
		to->threshold_normal = (int32_t)from->pageset[cpu].threshold;
	}
}

void plan_from_snapshot(struct plan *plan, const struct snapshot *snapshot)
{
	plan_init(plan);
	plan->nr_nodes = snapshot->nr_nodes;
	plan->nr_cpus = cpumask_count(&snapshot->online);
	plan->reserve_pages = snapshot->reserve_pages;
	if (snapshot->has_highmem) {
		plan->kind[ZONE_MOVABLE] = PLAN_HIGHMEM;
		plan->kind[ZONE_DEVICE] = PLAN_MOVABLE;
	}
	plan->page_kb = snapshot_page_kb(snapshot);
	if (plan->page_kb == 16 || plan->page_kb == 64)
		plan->block_pages = plan->page_kb * KIB / 8; /* what one page table maps */
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		plan->node_cpus[n] = cpumask_count(&snapshot->node[n].cpus);
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			zone_from_snapshot(&plan->zone[n][i], &snapshot->node[n].zone[i], snapshot);
	}
	plan_count(plan);
}

static void zone_to_snapshot(const struct plan_zone *from, struct snapshot_zone *to,
			     const struct cpumask *online)
{
	to->boost = from->boost;
	to->min = from->marks.min + from->boost;
	to->low = from->marks.low + from->boost;
	to->high = from->marks.high + from->boost;
	to->promo = from->marks.promo + from->boost;
	for (uint32_t j = 0; j < NEAP_NR_ZONES; j++)
		to->protection[j] = from->protection[j];
	if (!from->populated)
		return;
	for (uint32_t cpu = cpumask_next(online, 0); cpu < NEAP_MAX_CPUS;
	     cpu = cpumask_next(online, cpu + 1)) {
		to->pageset[cpu].batch = from->batch;
		to->pageset[cpu].high = from->high;
		to->pageset[cpu].threshold = (uint32_t)from->threshold_normal;
	}
}

void plan_to_snapshot(const struct plan *plan, struct snapshot *snapshot)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			zone_to_snapshot(&plan->zone[n][i], &snapshot->node[n].zone[i],
					 &snapshot->online);
	snapshot->reserve_pages = plan->reserve_pages;
}

void plan_count(struct plan *plan)
{
	plan->managed_total = 0;
	plan->share_total = 0;
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			uint64_t managed = plan->zone[n][i].managed;

			plan->managed_total += managed;
			plan->share_total += plan_zone_apart(plan, i) ? 0 : managed;
		}
	}
}

/* ---- marks and protection ---- */

static void setup_total_reserve(struct plan *plan)
{
	plan->reserve_pages = 0;
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			uint64_t protection = 0;

			for (uint32_t j = i; j < plan->nr_zones; j++)
				protection = max_u64(protection, zone->protection[j]);
			zone->reserve_pages =
				min_u64(zone->managed, protection + zone->marks.high + zone->boost);
			plan->reserve_pages += zone->reserve_pages;
		}
	}
}

void plan_setup_marks(struct plan *plan)
{
	struct marks_input in = {
		.min_free_kbytes = (uint64_t)plan->knobs.min_free_kbytes,
		.scale_factor = (uint64_t)plan->knobs.watermark_scale_factor,
		.halves = plan->halves,
		.page_kb = plan->page_kb,
	};

	plan_count(plan);
	in.managed_total = plan->share_total;
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			in.managed = plan->zone[n][i].managed;
			in.extra = plan->zone[n][i].extra;
			in.apart = plan_zone_apart(plan, i);
			marks_compute(&in, &plan->zone[n][i].marks);
			plan->zone[n][i].boost = 0;
		}
	}
	setup_total_reserve(plan);
	plan_setup_limits(plan);
}

void plan_setup_protection(struct plan *plan)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			int32_t ratio = (int32_t)plan->knobs.lowmem_reserve_ratio[i];
			uint64_t above = 0;

			for (uint32_t j = 0; j < plan->nr_zones; j++) {
				above += j > i ? plan->zone[n][j].managed : 0;
				zone->above[j] = above;
				zone->protection[j] = zone->managed == 0 || j <= i
							      ? 0
							      : marks_protection(above, ratio);
			}
		}
	}
	setup_total_reserve(plan);
}

/* ---- per-CPU limits, thresholds, ratios ---- */

/* The limit of kernels before 5.14: none for a zone so small that its batch came out as 0. */
static uint32_t six_batches(const struct plan_zone *zone)
{
	return zone->managed < 8192 ? 0 : 6 * zone->batch;
}

void plan_setup_limits(struct plan *plan)
{
	uint64_t fraction = (uint64_t)plan->knobs.high_fraction;

	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		uint32_t cpus = plan->node_cpus[n] != 0 ? plan->node_cpus[n] : plan->nr_cpus;

		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			struct plan_zone *zone = &plan->zone[n][i];

			if (!zone->populated)
				continue;
			zone->high_cpus = cpus;
			zone->high_total = fraction == 0 ? zone->marks.low + zone->boost
							 : zone->managed / fraction;
			zone->batch = pcp_batch_for(zone->managed);
			zone->high = pcp_high_for(zone->high_total, cpus, zone->batch);
			if (plan->six_batches)
				zone->high = six_batches(zone);
		}
	}
}

void plan_setup_thresholds(struct plan *plan)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			uint64_t gap = minus_saturating(zone->marks.low, zone->marks.min);
			uint64_t drift;

			if (!zone->populated)
				continue;
			zone->threshold_normal =
				vmstat_threshold_normal(zone->managed, plan->nr_cpus);
			zone->threshold_pressure = vmstat_threshold_pressure(gap, plan->nr_cpus);
			drift = plan->nr_cpus * (uint64_t)zone->threshold_normal;
			/* Otherwise the mark stays as it was. */
			if (drift > gap)
				zone->drift_mark = zone->marks.high + zone->boost + drift;
		}
	}
}

void plan_setup_ratios(struct plan *plan)
{
	uint64_t unmapped_ratio = (uint64_t)plan->knobs.min_unmapped_ratio;
	uint64_t slab_ratio = (uint64_t)plan->knobs.min_slab_ratio;

	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		plan->min_unmapped_pages[n] = 0;
		plan->min_slab_pages[n] = 0;
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			uint64_t managed = plan->zone[n][i].managed;

			plan->min_unmapped_pages[n] += managed * unmapped_ratio / 100;
			plan->min_slab_pages[n] += managed * slab_ratio / 100;
		}
	}
}

/* ---- min_free_kbytes ---- */

/*
 * Pages wanted a zone: two pageblocks, and one for each pair of the three types that can fall back
 * to each other.
 */
#define RAISE_BLOCKS_PER_ZONE (2u + 3u * 3u)
#define RAISE_FRACTION_MOST 20u /* of the memory, at most: 5 % */
/* With less memory huge pages begin switched off, and do not touch min_free_kbytes. */
#define THP_PAGES_LEAST (512 * MIB / NEAP_PAGE_BYTES)

void plan_min_free(const struct plan *plan, struct plan_min_free_terms *terms)
{
	*terms = (struct plan_min_free_terms){ 0 };
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];

			if (!plan_zone_low(plan, i))
				continue;
			terms->low_pages +=
				minus_saturating(zone->managed, zone->marks.high + zone->boost);
			terms->raise_zones += zone->populated ? 1 : 0;
		}
	}
	terms->automatic_kbytes = isqrt_u64(16 * terms->low_pages * plan->page_kb);
	uint64_t wanted = terms->raise_zones * RAISE_BLOCKS_PER_ZONE * plan->block_pages;
	uint64_t most = terms->low_pages / RAISE_FRACTION_MOST;

	terms->raise_capped = wanted > most;
	terms->raise_kbytes = min_u64(wanted, most) * plan->page_kb;
}

bool plan_auto_min_free(struct plan *plan)
{
	struct plan_min_free_terms terms;

	plan_min_free(plan, &terms);
	if ((int64_t)terms.automatic_kbytes <= plan->knobs.user_min_free_kbytes)
		return false;
	plan->knobs.min_free_kbytes =
		(int64_t)marks_auto_min_free_kbytes(terms.low_pages * plan->page_kb);
	return true;
}

bool plan_raise_min_free(struct plan *plan)
{
	struct plan_min_free_terms terms;

	plan_min_free(plan, &terms);
	if ((int64_t)terms.raise_kbytes <= plan->knobs.min_free_kbytes)
		return false;
	plan->knobs.min_free_kbytes = (int64_t)terms.raise_kbytes;
	return true;
}

void plan_switch_thp(struct plan *plan, bool on)
{
	plan->knobs.thp_raises = on;
	if (on)
		plan_raise_min_free(plan);
	else
		plan_auto_min_free(plan);
	plan_setup_marks(plan);
}

void plan_boot_early(struct plan *plan)
{
	plan_auto_min_free(plan);
	plan_setup_marks(plan);
	plan_setup_thresholds(plan);
	plan_setup_protection(plan);
	plan_setup_ratios(plan);
}

void plan_boot(struct plan *plan)
{
	plan_boot_early(plan);
	if (plan->managed_total >= THP_PAGES_LEAST)
		plan_switch_thp(plan, plan->knobs.thp_raises);
	else
		plan->knobs.thp_raises = false;
	DCHECK(plan_verify(plan) == NULL);
}

/* ---- sums and invariants ---- */

void plan_sum(const struct plan *plan, struct plan_totals *totals)
{
	*totals = (struct plan_totals){ .node_gap_least = UINT64_MAX };
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		uint64_t node_gap = 0, managed = 0;

		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];

			/* An empty zone has marks in some kernels, but nothing to keep free. */
			if (zone->managed == 0)
				continue;
			managed += zone->managed;
			totals->min += zone->marks.min;
			totals->low += zone->marks.low;
			totals->high += zone->marks.high;
			node_gap += minus_saturating(zone->marks.low, zone->marks.min);
		}
		totals->gap += node_gap;
		if (managed != 0)
			totals->node_gap_least = min_u64(totals->node_gap_least, node_gap);
	}
	if (totals->node_gap_least == UINT64_MAX)
		totals->node_gap_least = 0;
}

static const char *zone_verify(const struct plan *plan, uint32_t n, uint32_t i)
{
	const struct plan_zone *zone = &plan->zone[n][i];
	const struct marks_terms *marks = &zone->marks;
	uint64_t factor = (uint64_t)plan->knobs.watermark_scale_factor;
	uint64_t gap = marks->gap;
	uint64_t upper = plan->halves ? marks->share / 2 - marks->share / 4 : gap;

	if (marks->min > marks->low || marks->low > marks->high || marks->high > marks->promo)
		return "1: marks are not in their order";
	if (marks->low - marks->min != gap + marks->extra || marks->high - marks->low != upper ||
	    marks->promo - marks->high != gap)
		return "1: gaps differ";
	if (!plan->halves && gap < zone->managed * factor / FACTOR_UNIT)
		return "2: a gap is smaller than the scale factor's part";
	for (uint32_t j = 0; j < plan->nr_zones; j++) {
		if (j <= i && zone->protection[j] != 0)
			return "3: a zone protects itself from requests for itself";
		if (j > i && zone->protection[j] < zone->protection[j - 1])
			return "3: protection falls with the limit";
	}
	if (zone->reserve_pages > zone->managed)
		return "5: a zone's reserve is larger than the zone";
	return NULL;
}

const char *plan_verify(const struct plan *plan)
{
	uint64_t wanted = (uint64_t)plan->knobs.min_free_kbytes / plan->page_kb;
	uint64_t shares = 0, zones = 0;

	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const char *wrong = zone_verify(plan, n, i);

			if (wrong != NULL)
				return wrong;
			if (!plan_zone_apart(plan, i)) {
				shares += plan->zone[n][i].marks.share;
				zones++;
			}
		}
	}
	if (shares > wanted || (plan->share_total != 0 && shares + zones <= wanted))
		return "4: the shares do not add up to min_free_kbytes";
	return NULL;
}
