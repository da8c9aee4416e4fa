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
 * Invariants: min <= low <= high <= promo with equal gaps; protection[i][j] = 0 for
 * j <= i and grows with j; the shares of all zones add up to at most
 * min_free_kbytes / 4; equal inputs give equal results.
 *
 * Linux: mm/page_alloc.c (__setup_per_zone_wmarks, setup_per_zone_lowmem_reserve,
 * zone_batchsize, zone_highsize), mm/vmstat.c (thresholds), mm/khugepaged.c.
 */
#include "core/plan.h"

#include "core/pcp.h"
#include "core/vmstat.h"

#define KBYTES_PER_PAGE 4u

/* ---- to and from snapshots ---- */

void plan_from_snapshot(struct plan *plan, const struct snapshot *snapshot)
{
	*plan = (struct plan){ .nr_nodes = snapshot->nr_nodes,
			       .nr_cpus = cpumask_count(&snapshot->online),
			       .reserve_pages = snapshot->reserve_pages };
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		plan->node_cpus[n] = cpumask_count(&snapshot->node[n].cpus);
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			const struct snapshot_zone *from = &snapshot->node[n].zone[i];
			struct plan_zone *to = &plan->zone[n][i];

			to->populated = from->present != 0;
			to->managed = from->managed;
			to->boost = from->boost;
			/* The files print marks with the boost in them. */
			to->marks.min = from->min - from->boost;
			to->marks.low = from->low - from->boost;
			to->marks.high = from->high - from->boost;
			to->marks.promo = to->marks.high + (to->marks.high - to->marks.low);
			to->marks.share = to->marks.min;
			for (uint32_t j = 0; j < NEAP_NR_ZONES; j++)
				to->protection[j] = from->protection[j];
			uint32_t cpu = cpumask_next(&snapshot->online, 0);

			if (cpu < NEAP_MAX_CPUS) {
				to->batch = from->pageset[cpu].batch;
				to->high = from->pageset[cpu].high;
				to->threshold_normal = (int32_t)from->pageset[cpu].threshold;
			}
			plan->managed_total += from->managed;
		}
	}
}

void plan_to_snapshot(const struct plan *plan, struct snapshot *snapshot)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			const struct plan_zone *from = &plan->zone[n][i];
			struct snapshot_zone *to = &snapshot->node[n].zone[i];

			to->boost = from->boost;
			to->min = from->marks.min + from->boost;
			to->low = from->marks.low + from->boost;
			to->high = from->marks.high + from->boost;
			to->promo = from->marks.promo + from->boost;
			for (uint32_t j = 0; j < NEAP_NR_ZONES; j++)
				to->protection[j] = from->protection[j];
			for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++) {
				if (!cpumask_test(&snapshot->online, cpu))
					continue;
				to->pageset[cpu].batch = from->batch;
				to->pageset[cpu].high = from->high;
				to->pageset[cpu].threshold = (uint32_t)from->threshold_normal;
			}
		}
	}
	snapshot->reserve_pages = plan->reserve_pages;
}

/* ---- marks and protection ---- */

static void setup_total_reserve(struct plan *plan)
{
	plan->reserve_pages = 0;
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			uint64_t protection = 0;

			for (uint32_t j = i; j < NEAP_NR_ZONES; j++)
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
		.managed_total = plan->managed_total,
	};

	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			in.managed = plan->zone[n][i].managed;
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
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			int32_t ratio = (int32_t)plan->knobs.lowmem_reserve_ratio[i];
			uint64_t above = 0;

			for (uint32_t j = 0; j < NEAP_NR_ZONES; j++) {
				above += j > i ? plan->zone[n][j].managed : 0;
				zone->above[j] = j > i ? above : 0;
				zone->protection[j] = zone->managed == 0 || j <= i
							      ? 0
							      : marks_protection(above, ratio);
			}
		}
	}
	setup_total_reserve(plan);
}

void plan_setup_limits(struct plan *plan)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			struct plan_zone *zone = &plan->zone[n][i];

			if (!zone->populated)
				continue;
			zone->high_cpus =
				plan->node_cpus[n] != 0 ? plan->node_cpus[n] : plan->nr_cpus;
			zone->high_total =
				plan->knobs.high_fraction == 0
					? zone->marks.low + zone->boost
					: zone->managed / (uint64_t)plan->knobs.high_fraction;
			zone->batch = pcp_batch_for(zone->managed);
			zone->high = pcp_high_for(zone->high_total, zone->high_cpus, zone->batch);
		}
	}
}

void plan_setup_thresholds(struct plan *plan)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			struct plan_zone *zone = &plan->zone[n][i];
			uint64_t gap = zone->marks.low - zone->marks.min;

			if (!zone->populated)
				continue;
			zone->threshold_normal =
				vmstat_threshold_normal(zone->managed, plan->nr_cpus);
			zone->threshold_pressure = vmstat_threshold_pressure(gap, plan->nr_cpus);
			uint64_t drift = plan->nr_cpus * (uint64_t)zone->threshold_normal;

			if (drift > gap)
				zone->drift_mark = zone->marks.high + zone->boost + drift;
		}
	}
}

void plan_setup_ratios(struct plan *plan)
{
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		plan->min_unmapped_pages[n] = 0;
		plan->min_slab_pages[n] = 0;
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			uint64_t managed = plan->zone[n][i].managed;

			plan->min_unmapped_pages[n] +=
				managed * (uint64_t)plan->knobs.min_unmapped_ratio / 100;
			plan->min_slab_pages[n] +=
				managed * (uint64_t)plan->knobs.min_slab_ratio / 100;
		}
	}
}

/* ---- min_free_kbytes ---- */

/*
 * Pages wanted per zone: two pageblocks, and nine more so that types need not mix (3 x 3
 * fallbacks).
 */
#define RAISE_PAGES_PER_ZONE (NEAP_PAGEBLOCK_PAGES * 2 + NEAP_PAGEBLOCK_PAGES * 9)

void plan_min_free(const struct plan *plan, struct plan_min_free_terms *terms)
{
	*terms = (struct plan_min_free_terms){ 0 };
	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i <= ZONE_NORMAL; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];
			uint64_t high = zone->marks.high + zone->boost;

			terms->low_pages += zone->managed > high ? zone->managed - high : 0;
			terms->raise_zones += zone->populated ? 1 : 0;
		}
	}
	terms->automatic_kbytes = isqrt_u64(16 * terms->low_pages * KBYTES_PER_PAGE);
	uint64_t wanted = terms->raise_zones * RAISE_PAGES_PER_ZONE;
	uint64_t most = terms->low_pages / 20;

	terms->raise_capped = wanted > most;
	terms->raise_kbytes = min_u64(wanted, most) * KBYTES_PER_PAGE;
}

bool plan_auto_min_free(struct plan *plan)
{
	struct plan_min_free_terms terms;

	plan_min_free(plan, &terms);
	if ((int64_t)terms.automatic_kbytes <= plan->knobs.user_min_free_kbytes)
		return false;
	plan->knobs.min_free_kbytes =
		(int64_t)marks_auto_min_free_kbytes(terms.low_pages * KBYTES_PER_PAGE);
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

void plan_boot(struct plan *plan)
{
	plan_auto_min_free(plan);
	plan_setup_marks(plan);
	plan_setup_thresholds(plan);
	plan_setup_protection(plan);
	plan_setup_ratios(plan);
	if (plan->knobs.thp_raises && plan_raise_min_free(plan))
		plan_setup_marks(plan);
}
