/*
 * knobs_plan.c: what a write changes in a machine that is only numbers.
 *
 *   knobs_write ──> effects ──┬─ MARKS ───────> plan_setup_marks
 *                             ├─ PROTECTION ──> plan_setup_protection
 *                             ├─ LIMITS ──────> plan_setup_limits
 *                             ├─ NODE_RATIOS ─> plan_setup_ratios
 *                             └─ THP ─────────> plan_switch_thp ──> min_free_kbytes
 *
 * The same flags drive a running machine (core/sysctl.c), so that both recompute at the same
 * moments and leave the same values stale. Marks of a machine that was just saved stay as they
 * were observed until the first write that has Linux recompute them.
 *
 * What must never happen: a knob that is changed here without Linux changing it.
 *
 * Linux: mm/page_alloc.c, and start_stop_khugepaged() of mm/khugepaged.c; 6.1.
 */
#include "core/knobs_plan.h"

void knobs_plan_set(struct plan *plan, const struct knobs *k)
{
	struct plan_knobs *to = &plan->knobs;

	to->min_free_kbytes = knobs_get(&k->min_free_kbytes);
	to->user_min_free_kbytes = atomic_load_explicit(
		&((struct knobs *)(uintptr_t)k)->user_min_free_kbytes, memory_order_relaxed);
	to->watermark_scale_factor = knobs_get(&k->watermark_scale_factor);
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		to->lowmem_reserve_ratio[i] = knobs_get(&k->lowmem_reserve_ratio[i]);
	to->high_fraction = knobs_get(&k->percpu_pagelist_high_fraction);
	to->min_unmapped_ratio = knobs_get(&k->min_unmapped_ratio);
	to->min_slab_ratio = knobs_get(&k->min_slab_ratio);
	to->thp_raises = knobs_get(&k->thp_enabled) != KNOBS_THP_NEVER;
}

void knobs_plan_apply(struct plan *plan, struct knobs *k, uint32_t effects)
{
	knobs_plan_set(plan, k);
	if (effects & KNOB_MARKS)
		plan_setup_marks(plan);
	if (effects & KNOB_PROTECTION)
		plan_setup_protection(plan);
	if (effects & KNOB_LIMITS)
		plan_setup_limits(plan);
	if (effects & KNOB_NODE_RATIOS)
		plan_setup_ratios(plan);
	if (!(effects & KNOB_THP))
		return;
	plan_switch_thp(plan, plan->knobs.thp_raises);
	atomic_store_explicit(&k->min_free_kbytes, (int32_t)plan->knobs.min_free_kbytes,
			      memory_order_relaxed);
}

void knobs_plan_guess_user(const struct plan *plan, struct knobs *k)
{
	struct plan_min_free_terms terms;
	struct plan fresh = *plan;

	for (uint32_t n = 0; n < fresh.nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			fresh.zone[n][i].marks.high = 0;
			fresh.zone[n][i].boost = 0;
		}
	plan_min_free(&fresh, &terms);
	uint64_t value = (uint64_t)knobs_get(&k->min_free_kbytes);
	uint64_t automatic = marks_auto_min_free_kbytes(terms.low_pages * 4);
	uint64_t most = terms.raise_kbytes;
	uint64_t least = terms.raise_capped ? most - most / 10 : most;
	bool computed = (value <= automatic && value >= automatic - automatic / 10) ||
			(value <= most && value >= least);

	atomic_store_explicit(&k->user_min_free_kbytes, computed ? -1 : (int64_t)value,
			      memory_order_relaxed);
}
