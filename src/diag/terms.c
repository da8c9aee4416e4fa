/*
 * Numbers and the terms they come from, as text.
 *
 *     plan, tests  ──>  struct with every term  ──>  one line of words
 *     (core, pure)                                   (here, and nowhere else)
 *
 * Whoever shows a decision (marks, request, explain, a single step of the simulator)
 * shows it with these functions, so the same decision reads the same everywhere. The
 * number that decides comes first, then what it was made of, with the operator that
 * joins them; the reader can do the sum.
 *
 * What must never happen: a term that is printed but was not used, or a result that
 * does not follow from the terms beside it. So nothing is computed here but what is
 * printed as a computation.
 *
 * The tests are those of __zone_watermark_ok() in mm/page_alloc.c: free pages must be
 * more than mark and reserve, equal is not enough.
 */
#include "diag/terms.h"

#include <inttypes.h>

bool terms_test_passes(const struct terms_test *test)
{
	uint64_t usable = test->free > test->unusable ? test->free - test->unusable : 0;

	return usable > test->mark + test->reserve;
}

void terms_test_add(struct text_buf *out, const struct terms_test *test, const char *then)
{
	uint64_t usable = test->free > test->unusable ? test->free - test->unusable : 0;
	uint64_t wanted = test->mark + test->reserve;

	text_buf_printf(out,
			"free %" PRIu64 " - unusable %" PRIu64 " %c %s %" PRIu64
			" + reserve %" PRIu64,
			test->free, test->unusable,
			usable > wanted	   ? '>'
			: usable == wanted ? '='
					   : '<',
			test->mark_name, test->mark, test->reserve);
	if (then != NULL)
		text_buf_printf(out, " -> %s", then);
}

const char *terms_zone_name(const struct plan *plan, uint32_t index)
{
	static const char *const names[NR_PLAN_KINDS] = {
		[PLAN_DMA] = "DMA",	    [PLAN_DMA32] = "DMA32",	[PLAN_NORMAL] = "Normal",
		[PLAN_HIGHMEM] = "HighMem", [PLAN_MOVABLE] = "Movable", [PLAN_DEVICE] = "Device",
	};

	return names[plan->kind[index]];
}

void terms_factor_add(struct text_buf *out, int64_t factor)
{
	uint64_t hundredths = (uint64_t)factor;

	text_buf_printf(out, "%" PRIu64, hundredths / 100);
	if (hundredths % 100 != 0)
		text_buf_printf(out, hundredths % 10 != 0 ? ".%02u" : ".%u",
				(unsigned)(hundredths % 10 != 0 ? hundredths % 100
								: hundredths % 100 / 10));
	text_buf_puts(out, " %");
}

void terms_bytes_add(struct text_buf *out, uint64_t pages)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	uint64_t tenths = pages > UINT64_MAX / 40 ? UINT64_MAX : pages * 40;
	uint32_t unit = 0;

	while (tenths >= 10240 && unit + 1 < ARRAY_LEN(units)) {
		tenths = tenths / 1024 + (tenths % 1024 >= 512 ? 1 : 0);
		unit++;
	}
	if (tenths < 1000 && tenths % 10 != 0)
		text_buf_printf(out, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10,
				units[unit]);
	else
		text_buf_printf(out, "%" PRIu64 " %s", (tenths + 5) / 10, units[unit]);
}

void terms_min_add(struct text_buf *out, const struct plan *plan, const struct plan_zone *zone)
{
	const struct marks_terms *marks = &zone->marks;

	if (marks->apart)
		text_buf_printf(out,
				"min %" PRIu64 " = managed %" PRIu64
				" / 1024, at least 32, at most 128; ",
				marks->min, zone->managed);
	text_buf_printf(out, "share %" PRIu64 " = %" PRIu64 " * %" PRIu64 " / %" PRIu64,
			marks->share, (uint64_t)plan->knobs.min_free_kbytes / plan->page_kb,
			zone->managed, plan->share_total);
}

void terms_gap_add(struct text_buf *out, const struct plan *plan, const struct plan_zone *zone)
{
	const struct marks_terms *marks = &zone->marks;

	text_buf_printf(out, "gap %" PRIu64 " = max(share/4 = %" PRIu64 ", ", marks->gap,
			marks->gap_min);
	terms_factor_add(out, plan->knobs.watermark_scale_factor);
	text_buf_printf(out, " of managed = %" PRIu64 ")", marks->gap_scale);
	if (marks->extra != 0)
		text_buf_printf(out, "; low has %" PRIu64 " more", marks->extra);
}

void terms_protection_add(struct text_buf *out, const struct plan *plan, uint32_t node,
			  uint32_t index)
{
	const struct plan_zone *zone = &plan->zone[node][index];
	uint64_t previous = 0;
	bool any = false;

	for (uint32_t limit = index + 1; limit < plan->nr_zones; limit++) {
		if (zone->protection[limit] == previous)
			continue;
		previous = zone->protection[limit];
		text_buf_printf(out, "%s %s %" PRIu64 " = %" PRIu64 " / %" PRId64,
				any ? "," : "protection from", terms_zone_name(plan, limit),
				previous, zone->above[limit],
				plan->knobs.lowmem_reserve_ratio[index]);
		any = true;
	}
}

void terms_limits_add(struct text_buf *out, const struct plan *plan, const struct plan_zone *zone)
{
	uint64_t fraction = (uint64_t)plan->knobs.high_fraction;
	uint64_t cpus = max_u64(zone->high_cpus, 1);

	text_buf_printf(out, "high %u = ", zone->high);
	if (plan->six_batches) {
		text_buf_printf(out, "%u * batch %u", zone->high == 0 ? 0 : 6, zone->batch);
		return;
	}
	if (zone->high_total / cpus < (uint64_t)zone->batch * 4)
		text_buf_printf(out, "4 * batch, more than ");
	if (fraction != 0)
		text_buf_printf(out, "managed/%" PRIu64 " = ", fraction);
	else
		text_buf_puts(out, "low ");
	text_buf_printf(out, "%" PRIu64 " / %u CPU%s; batch %u", zone->high_total, zone->high_cpus,
			zone->high_cpus == 1 ? "" : "s", zone->batch);
}

void terms_min_free_add(struct text_buf *out, const struct plan *plan)
{
	const struct plan_knobs *knobs = &plan->knobs;
	struct plan_min_free_terms terms;

	plan_min_free(plan, &terms);
	text_buf_printf(out, "min_free_kbytes %" PRId64, knobs->min_free_kbytes);
	if (knobs->min_free_kbytes == (int64_t)terms.raise_kbytes)
		text_buf_printf(out, " = what huge pages want: %" PRIu64 " zones * %" PRIu64 "%s",
				terms.raise_zones, plan->page_kb * plan->block_pages * 11,
				terms.raise_capped ? ", at most 5 %" : "");
	else if (knobs->min_free_kbytes == (int64_t)terms.automatic_kbytes)
		text_buf_printf(out, " = sqrt(16 * %" PRIu64 " kB of low memory)",
				terms.low_pages * plan->page_kb);
	text_buf_printf(out, " (%" PRIu64 " pages)",
			(uint64_t)knobs->min_free_kbytes / plan->page_kb);
}
