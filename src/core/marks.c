/*
 * marks.c: how much memory is kept free, and for whom.
 *
 *   free pages of a zone
 *     |
 *     high  kswapd stops                           ^ gap
 *     low   kswapd starts, fast allocations fail   v ^ gap
 *     min   only reserves below                      v
 *     0
 *
 * One number, min_free_kbytes, is shared out over the zones by their managed
 * pages; the gap above it is a quarter of the share or watermark_scale_factor
 * ten-thousandths of the zone, whichever is more. A zone also protects itself from
 * requests that could have used a higher zone: reserve[limit] is added to the mark
 * in every test. And each time a request takes memory from another migrate type's
 * block, the marks are boosted by a block for a while, so that kswapd makes room
 * before fragmentation spreads.
 *
 * The arithmetic (marks_compute and its neighbours) is pure; reports use it on
 * machines that were never built. The setup functions store results:
 *
 *   marks_setup             on a write to min_free_kbytes or watermark_scale_factor
 *   marks_setup_protection  at build, and on any access to lowmem_reserve_ratio
 *   marks_setup_ratios      at build, and on any access to min_unmapped_ratio or min_slab_ratio
 *   marks_setup_automatic   at build, and when huge pages are switched off
 *   marks_setup_raised      when they are switched on
 *   marks_setup_sizes       when memory has come or gone: all of it
 *   marks_init              once, at build
 *
 * What must never happen: a mark that is recomputed when Linux would leave it
 * stale. Managed pages may change under unchanged marks; so may the ratio under
 * an unchanged boost.
 *
 * Linux: __setup_per_zone_wmarks(), setup_per_zone_lowmem_reserve(),
 * calculate_totalreserve_pages(), boost_watermark() of mm/page_alloc.c,
 * set_recommended_min_free_kbytes() of mm/khugepaged.c, 6.1.
 */
#include "core/marks.h"

#include "core/pcp.h"
#include "core/racy.h"
#include "core/sysctl.h"
#include "core/vmstat.h"

#define MIN_FREE_KBYTES_LEAST 128u
#define MIN_FREE_KBYTES_MOST 262144u
#define KBYTES_PER_PAGE (NEAP_PAGE_BYTES / KIB)
#define FACTOR_UNIT 10000u /* of watermark_scale_factor and watermark_boost_factor */
/* The minimum of a zone that has no share: a 1024th of it, within these. */
#define APART_DIVISOR 1024u
#define APART_PAGES_LEAST 32u
#define APART_PAGES_MOST 128u
#define RAISE_PAGES_PER_ZONE (NEAP_PAGEBLOCK_PAGES * 2 + NEAP_PAGEBLOCK_PAGES * 3 * 3)
#define RAISE_FRACTION_MOST 20u

void marks_compute(const struct marks_input *in, struct marks_terms *out)
{
	uint64_t page_kb = in->page_kb != 0 ? in->page_kb : KBYTES_PER_PAGE;
	uint64_t min_free_pages = in->min_free_kbytes / page_kb;

	out->share = in->managed_total == 0 ? 0 : min_free_pages * in->managed / in->managed_total;
	out->gap_min = out->share / 4;
	out->gap_scale = in->halves ? 0 : in->managed * in->scale_factor / FACTOR_UNIT;
	out->gap = max_u64(out->gap_min, out->gap_scale);
	out->apart = in->apart;
	out->extra = in->extra;
	out->min = out->share;
	if (in->apart)
		out->min = min_u64(max_u64(in->managed / APART_DIVISOR, APART_PAGES_LEAST),
				   APART_PAGES_MOST);
	out->low = out->min + out->gap + in->extra;
	/* Half of the share may be one page more than two quarters of it. */
	out->high = in->halves ? out->min + in->extra + out->share / 2 : out->low + out->gap;
	out->promo = out->high + out->gap;
}

uint64_t marks_auto_min_free_kbytes(uint64_t low_kbytes)
{
	uint64_t kbytes = isqrt_u64(low_kbytes * 16);

	return min_u64(max_u64(kbytes, MIN_FREE_KBYTES_LEAST), MIN_FREE_KBYTES_MOST);
}

uint64_t marks_protection(uint64_t managed_above, int32_t ratio)
{
	return ratio <= 0 ? 0 : managed_above / (uint64_t)ratio;
}

static uint64_t mark_raw(const struct zone *zone, enum wmark mark)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	return atomic_load_explicit(&z->mark[mark], memory_order_relaxed);
}

/* Pages that this zone keeps back from ordinary use: its high mark and its strongest protection. */
static uint64_t zone_reserve_pages(struct zone *zone)
{
	uint64_t protection = 0;

	for (uint32_t limit = zone->type; limit < NR_ZONES; limit++)
		protection = max_u64(protection, atomic_load_explicit(&zone->reserve[limit],
								      memory_order_relaxed));
	return min_u64(zone_managed(zone), protection + zone_mark(zone, WMARK_HIGH));
}

static void marks_setup_total_reserve(struct neap_machine *m)
{
	uint64_t total = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		uint64_t node_total = 0;

		for (uint32_t i = 0; i < NR_ZONES; i++)
			node_total += zone_reserve_pages(&m->nodes[n].zone[i]);
		atomic_store_explicit(&m->nodes[n].reserve_pages, node_total, memory_order_relaxed);
		total += node_total;
	}
	atomic_store_explicit(&m->reserve_pages, total, memory_order_relaxed);
}

static void marks_store(struct task *t, struct zone *zone, const struct marks_terms *terms)
{
	const uint64_t value[NR_WMARKS] = {
		[WMARK_MIN] = terms->min,
		[WMARK_LOW] = terms->low,
		[WMARK_HIGH] = terms->high,
		[WMARK_PROMO] = terms->promo,
	};

	cpu_pin(t);
	spin_lock(t, &zone->lock, LOCK_ZONE);
	atomic_store_explicit(&zone->boost, 0, memory_order_relaxed);
	for (uint32_t mark = 0; mark < NR_WMARKS; mark++)
		atomic_store_explicit(&zone->mark[mark], value[mark], memory_order_relaxed);
	marks_refresh(zone);
	spin_unlock(t, &zone->lock, LOCK_ZONE);
	cpu_unpin(t);
}

void marks_setup(struct task *t, struct neap_machine *m)
{
	struct marks_input in = {
		.min_free_kbytes = (uint64_t)sysctl_get(&m->sysctl.min_free_kbytes),
		.scale_factor = (uint64_t)sysctl_get(&m->sysctl.watermark_scale_factor),
		.managed_total = atomic_load_explicit(&m->total_pages, memory_order_relaxed),
	};

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i < NR_ZONES; i++) {
			struct zone *zone = &m->nodes[n].zone[i];
			struct marks_terms terms;

			in.managed = zone_managed(zone);
			marks_compute(&in, &terms);
			marks_store(t, zone, &terms);
		}
	}
	marks_setup_total_reserve(m);
	pcp_limits_setup(m);
}

static void node_setup_protection(struct neap_machine *m, struct node *node)
{
	for (uint32_t i = 0; i < NR_ZONES; i++) {
		struct zone *zone = &node->zone[i];
		int32_t ratio = sysctl_get(&m->sysctl.lowmem_reserve_ratio[i]);
		uint64_t above = 0;

		for (uint32_t limit = 0; limit < NR_ZONES; limit++) {
			uint64_t pages = 0;

			if (limit > i) {
				above += zone_managed(&node->zone[limit]);
				if (zone_managed(zone) != 0)
					pages = marks_protection(above, ratio);
			}
			atomic_store_explicit(&zone->reserve[limit], pages, memory_order_relaxed);
		}
		marks_refresh(zone);
	}
}

void marks_setup_protection(struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		node_setup_protection(m, &m->nodes[n]);
	marks_setup_total_reserve(m);
}

/* Managed memory above the high marks in the zones that kernel allocations can use, in KiB. */
static uint64_t machine_low_kbytes(const struct neap_machine *m)
{
	uint64_t pages = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++) {
		for (uint32_t i = 0; i <= ZONE_NORMAL; i++) {
			const struct zone *zone = &m->nodes[n].zone[i];
			uint64_t managed = zone_managed(zone);
			uint64_t high = zone_mark(zone, WMARK_HIGH);

			pages += managed > high ? managed - high : 0;
		}
	}
	return pages * KBYTES_PER_PAGE;
}

/* A value that the user wrote stays unless the automatic one is larger. */
static void marks_init_min_free(struct neap_machine *m)
{
	uint64_t low_kbytes = machine_low_kbytes(m);
	int64_t user = atomic_load_explicit(&m->sysctl.user_min_free_kbytes, memory_order_relaxed);

	if ((int64_t)isqrt_u64(low_kbytes * 16) > user)
		atomic_store_explicit(&m->sysctl.min_free_kbytes,
				      (int32_t)marks_auto_min_free_kbytes(low_kbytes),
				      memory_order_relaxed);
}

/* Below these amounts of page cache and slab a node is not worth reclaiming locally. */
static void node_setup_ratios(struct neap_machine *m, struct node *node)
{
	uint64_t unmapped_ratio = (uint64_t)sysctl_get(&m->sysctl.min_unmapped_ratio);
	uint64_t slab_ratio = (uint64_t)sysctl_get(&m->sysctl.min_slab_ratio);
	uint64_t unmapped = 0;
	uint64_t slab = 0;

	for (uint32_t i = 0; i < NR_ZONES; i++) {
		unmapped += zone_managed(&node->zone[i]) * unmapped_ratio / 100;
		slab += zone_managed(&node->zone[i]) * slab_ratio / 100;
	}
	atomic_store_explicit(&node->min_unmapped_pages, unmapped, memory_order_relaxed);
	atomic_store_explicit(&node->min_slab_pages, slab, memory_order_relaxed);
}

void marks_setup_ratios(struct neap_machine *m)
{
	for (uint32_t n = 0; n < m->nr_nodes; n++)
		node_setup_ratios(m, &m->nodes[n]);
}

void marks_setup_automatic(struct task *t, struct neap_machine *m)
{
	marks_init_min_free(m);
	marks_setup(t, m);
}

/*
 * Free memory that huge pages want so that types need not mix: two pageblocks a zone, and one for
 * each pair of the three types that can fall back to each other; at most 5 % of the memory.
 */
static uint64_t machine_raise_kbytes(const struct neap_machine *m)
{
	uint64_t most = machine_low_kbytes(m) / KBYTES_PER_PAGE / RAISE_FRACTION_MOST;
	uint64_t wanted = 0;

	for (uint32_t n = 0; n < m->nr_nodes; n++)
		for (uint32_t i = 0; i <= ZONE_NORMAL; i++)
			if (zone_populated(&m->nodes[n].zone[i]))
				wanted += RAISE_PAGES_PER_ZONE;
	return min_u64(wanted, most) * KBYTES_PER_PAGE;
}

void marks_setup_raised(struct task *t, struct neap_machine *m)
{
	uint64_t kbytes = machine_raise_kbytes(m);

	if ((int64_t)kbytes > sysctl_get(&m->sysctl.min_free_kbytes))
		atomic_store_explicit(&m->sysctl.min_free_kbytes, (int32_t)kbytes,
				      memory_order_relaxed);
	marks_setup(t, m);
}

void marks_init(struct task *t, struct neap_machine *m)
{
	marks_setup_automatic(t, m);
	vmstat_thresholds_setup(m);
	marks_setup_protection(m);
	marks_setup_ratios(m);
}

void marks_setup_sizes(struct task *t, struct neap_machine *m)
{
	marks_setup_automatic(t, m);
	vmstat_thresholds_setup(m);
	marks_setup_protection(m);
	marks_setup_ratios(m);
	if (sysctl_get(&m->sysctl.thp_enabled) != KNOBS_THP_NEVER)
		marks_setup_raised(t, m);
}

int64_t marks_plain_above(const struct zone *zone, uint32_t limit)
{
	struct zone *z = (struct zone *)(uintptr_t)zone;

	if (zone->cma != 0 || zone->machine->mobility_disabled ||
	    (atomic_load_explicit(&z->flags, memory_order_relaxed) & ZONE_BOOSTED))
		return INT64_MAX;
	return (int64_t)(zone_mark(zone, WMARK_LOW) +
			 atomic_load_explicit(&z->reserve[limit], memory_order_relaxed) +
			 atomic_load_explicit(&z->nr_reserved_highatomic, memory_order_relaxed));
}

/*
 * Of several that change and compute at once, whoever writes last looks again after it has written,
 * and the others have made their changes before they wrote.
 */
void marks_refresh(struct zone *zone)
{
	for (uint32_t limit = 0; limit < NR_ZONES; limit++) {
		int64_t above;

		do { /* bounded: somebody else's change came between */
			atomic_thread_fence(memory_order_seq_cst);
			above = marks_plain_above(zone, limit);
			atomic_store(&zone->plain_above[limit], above);
			atomic_thread_fence(memory_order_seq_cst);
		} while (marks_plain_above(zone, limit) != above);
	}
}

bool marks_boost(struct task *t, struct zone *zone)
{
	uint64_t factor = (uint64_t)sysctl_get(&zone->machine->sysctl.watermark_boost_factor);
	uint64_t most = mark_raw(zone, WMARK_HIGH) * factor / FACTOR_UNIT;
	uint64_t boost = atomic_load_explicit(&zone->boost, memory_order_relaxed);

	spin_assert_held(t, LOCK_ZONE);
	/* A boost of one block would be a large part of a zone of four. */
	if (zone_managed(zone) < 4u * NEAP_PAGEBLOCK_PAGES || most == 0)
		return false;
	most = max_u64(most, NEAP_PAGEBLOCK_PAGES);
	boost = min_u64(boost + NEAP_PAGEBLOCK_PAGES, most);
	atomic_store_explicit(&zone->boost, boost, memory_order_relaxed);
	return true;
}
