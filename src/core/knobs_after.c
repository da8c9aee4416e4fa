/*
 * knobs_after.c: what a write sets in motion.
 *
 *   min_free_kbytes ───────────> marks, and the value is the user's from now on
 *   watermark_scale_factor ────> marks
 *   percpu_..._high_fraction ──> per-CPU limits; 1 to 7 are refused only here
 *   min_unmapped_ratio ... ────> limits of node reclaim
 *   transparent huge pages ────> min_free_kbytes reconsidered, marks
 *   dirty_ratio <─> dirty_bytes, dirty_background_ratio <─> _bytes,
 *   overcommit_ratio <─> _kbytes    one of a pair becomes 0 when the other is written
 *
 * Each function runs after its file took a value, and also after a write of no bytes at all,
 * which changes no value but is followed by the same: Linux calls the same handler. So does a
 * write of the value that is there already, with the exceptions below: dirty_ratio, dirty_bytes,
 * the fraction and numa_stat do nothing then.
 *
 * drop_caches keeps what was last written, though nobody can read it: a write of no bytes drops
 * the same caches again.
 *
 * What must never happen: an effect of a write that failed.
 *
 * Linux: the handlers in mm/page_alloc.c, mm/page-writeback.c, mm/util.c, mm/hugetlb.c,
 * mm/vmstat.c, mm/compaction.c, fs/drop_caches.c, mm/khugepaged.c; 6.1.
 */
#include "core/knobs_after.h"

#include <errno.h>

#define FRACTION_LEAST 8u

static void set_int(_Atomic int32_t *at, int32_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

static void set_wide(_Atomic uint64_t *at, uint64_t value)
{
	atomic_store_explicit(at, value, memory_order_relaxed);
}

int knob_after_nothing(struct knobs *k, const struct knob_change *change,
		       struct knob_effects *effects)
{
	(void)k;
	(void)change;
	(void)effects;
	return 0;
}

int knob_after_marks(struct knobs *k, const struct knob_change *change,
		     struct knob_effects *effects)
{
	(void)k;
	(void)change;
	effects->what |= KNOB_MARKS;
	return 0;
}

int knob_after_min_free(struct knobs *k, const struct knob_change *change,
			struct knob_effects *effects)
{
	/* From now on the automatic value must be larger to replace it. */
	atomic_store_explicit(&k->user_min_free_kbytes, (int64_t)change->after,
			      memory_order_relaxed);
	effects->what |= KNOB_MARKS;
	return 0;
}

int knob_after_node_ratio(struct knobs *k, const struct knob_change *change,
			  struct knob_effects *effects)
{
	(void)k;
	(void)change;
	effects->what |= KNOB_NODE_RATIOS;
	return 0;
}

int knob_after_fraction(struct knobs *k, const struct knob_change *change,
			struct knob_effects *effects)
{
	(void)k;
	if (change->after != 0 && change->after < FRACTION_LEAST)
		return -EINVAL;
	if (change->after != change->before)
		effects->what |= KNOB_LIMITS;
	return 0;
}

int knob_after_thp(struct knobs *k, const struct knob_change *change, struct knob_effects *effects)
{
	(void)k;
	(void)change;
	effects->what |= KNOB_THP;
	return 0;
}

int knob_after_drop(struct knobs *k, const struct knob_change *change, struct knob_effects *effects)
{
	(void)k;
	if (change->after & 1)
		effects->what |= KNOB_DROP_CACHE;
	if (change->after & 2)
		effects->what |= KNOB_DROP_SLAB;
	return 0;
}

int knob_after_hugepages(struct knobs *k, const struct knob_change *change,
			 struct knob_effects *effects)
{
	knobs_set_hugepages(k, change->after);
	effects->what |= KNOB_HUGEPAGES;
	effects->hugepages = change->after;
	return 0;
}

int knob_after_numa_stat(struct knobs *k, const struct knob_change *change,
			 struct knob_effects *effects)
{
	(void)k;
	if (change->after != change->before)
		effects->what |= KNOB_NUMA_STAT;
	return 0;
}

int knob_after_proactiveness(struct knobs *k, const struct knob_change *change,
			     struct knob_effects *effects)
{
	(void)k;
	if (change->after != 0)
		effects->what |= KNOB_KCOMPACTD;
	return 0;
}

int knob_after_interval(struct knobs *k, const struct knob_change *change,
			struct knob_effects *effects)
{
	(void)k;
	(void)change;
	effects->what |= KNOB_TIMER;
	return 0;
}

int knob_after_period(struct knobs *k, const struct knob_change *change,
		      struct knob_effects *effects)
{
	(void)k;
	if (change->after != change->before && change->after != 0)
		effects->what |= KNOB_FLUSHER;
	return 0;
}

/* ---- pairs ---- */

/* The amount is kept in pages of 32 bits. */
static bool bytes_too_many(uint64_t bytes)
{
	uint64_t pages = bytes / NEAP_PAGE_BYTES + (bytes % NEAP_PAGE_BYTES != 0 ? 1 : 0);

	return pages > UINT32_MAX;
}

int knob_after_dirty_ratio(struct knobs *k, const struct knob_change *change,
			   struct knob_effects *effects)
{
	if (change->after == change->before)
		return 0;
	set_wide(&k->dirty_bytes, 0);
	effects->what |= KNOB_DIRTY;
	return 0;
}

int knob_after_dirty_bytes(struct knobs *k, const struct knob_change *change,
			   struct knob_effects *effects)
{
	if (bytes_too_many(change->after))
		return -ERANGE;
	if (change->after == change->before)
		return 0;
	set_int(&k->dirty_ratio, 0);
	effects->what |= KNOB_DIRTY;
	return 0;
}

int knob_after_background_ratio(struct knobs *k, const struct knob_change *change,
				struct knob_effects *effects)
{
	(void)change;
	(void)effects;
	set_wide(&k->dirty_background_bytes, 0);
	return 0;
}

int knob_after_background_bytes(struct knobs *k, const struct knob_change *change,
				struct knob_effects *effects)
{
	(void)effects;
	if (bytes_too_many(change->after))
		return -ERANGE;
	set_int(&k->dirty_background_ratio, 0);
	return 0;
}

int knob_after_overcommit_ratio(struct knobs *k, const struct knob_change *change,
				struct knob_effects *effects)
{
	(void)change;
	(void)effects;
	set_wide(&k->overcommit_kbytes, 0);
	return 0;
}

int knob_after_overcommit_kbytes(struct knobs *k, const struct knob_change *change,
				 struct knob_effects *effects)
{
	(void)change;
	(void)effects;
	set_int(&k->overcommit_ratio, 0);
	return 0;
}
