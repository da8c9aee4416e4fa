/*
 * The verdict: the engine's mark test on a report's own numbers.
 *
 *     Node 0 DMA32 free:608kB min:3756kB     free, mark        ┐
 *     reserved_highatomic, free_cma          unusable          │  watermark_test()
 *     lowmem_reserve[]: 0 0 0 0 0            reserve           │  of core/watermark.h
 *     19*4kB (UME) 11*8kB (UME)              blocks by type    ┘
 *     mode:0xa20(GFP_ATOMIC) order:0         rights, zone limit, migrate type
 *
 * Nothing is decided here that the allocator would not decide: rights come from
 * watermark_slow_flags(), the result from watermark_test(). What is added is the naming
 * of the result: a zone was short of pages, or had pages and no block, or had blocks of a
 * type that this request may not take.
 *
 * The report is printed after the failure, so its numbers are a little younger. Where
 * they would let the request pass, that is what is said.
 *
 * A task that reclaims (its trace says so) has all of the reserves, and then the mark
 * decides nothing: it fails when there is no block.
 *
 * What must never happen: a verdict where the numbers it needs are missing.
 *
 * Linux: get_page_from_freelist(), __zone_watermark_ok() of mm/page_alloc.c.
 */
#include <string.h>

#include "diag/decode.h"

const char *decode_kind_word(enum decode_kind kind)
{
	static const char *const names[NR_DECODE_KINDS] = {
		[DECODE_FAILURE] = "failure", [DECODE_STALL] = "stall",	  [DECODE_OOM] = "oom",
		[DECODE_GROUP] = "group_oom", [DECODE_MEMORY] = "memory", [DECODE_SLUB] = "slub",
		[DECODE_HUNG] = "hung",
	};

	return names[kind];
}

const char *decode_cause_word(enum decode_cause cause)
{
	static const char *const names[NR_DECODE_CAUSES] = {
		[CAUSE_UNKNOWN] = "unknown", [CAUSE_NO_ZONE] = "no_zone",
		[CAUSE_AMOUNT] = "amount",   [CAUSE_ORDER] = "order",
		[CAUSE_TYPE] = "type",	     [CAUSE_PASSES] = "passes_now",
		[CAUSE_LIMIT] = "limit",     [CAUSE_SHOWN] = "shown",
		[CAUSE_HANGS] = "hangs",
	};

	return names[cause];
}

const char *decode_answer_word(enum decode_answer answer)
{
	static const char *const names[NR_DECODE_ANSWERS] = {
		[DECODE_ABOVE] = "above_limit", [DECODE_AMOUNT] = "amount",
		[DECODE_ORDER] = "order",	[DECODE_TYPE] = "type",
		[DECODE_PASSES] = "passes",	[DECODE_UNSURE] = "unsure",
	};

	return names[answer];
}

/* The highest kind of zone that a request may use, on a kernel that has these columns. */
static enum plan_kind request_kind(uint32_t gfp, const bool built[NR_PLAN_KINDS])
{
	static const enum plan_kind kinds[] = {
		[ZONE_DMA] = PLAN_DMA,	     [ZONE_DMA32] = PLAN_DMA32,
		[ZONE_NORMAL] = PLAN_NORMAL, [ZONE_MOVABLE] = PLAN_MOVABLE,
		[ZONE_DEVICE] = PLAN_DEVICE,
	};
	uint32_t limit = watermark_limit(gfp);
	enum plan_kind kind = limit < ARRAY_LEN(kinds) ? kinds[limit] : PLAN_NORMAL;

	if (kind == PLAN_NORMAL && (gfp & GFP_BIT_HIGHMEM) && built[PLAN_HIGHMEM])
		return PLAN_HIGHMEM;
	/* A kernel without that zone takes such requests as ordinary ones. */
	return built[kind] ? kind : PLAN_NORMAL;
}

static bool frames_have(const struct decode_report *report, const char *name)
{
	for (uint32_t i = 0; i < report->nr_frames; i++)
		if (strcmp(report->frame[i], name) == 0)
			return true;
	return false;
}

/* Is the task inside reclaim? Then it has all of the reserves. */
static bool is_reclaiming(const struct decode_report *report)
{
	static const char *const names[] = { "shrink_node",	  "shrink_page_list",
					     "shrink_folio_list", "try_to_free_pages",
					     "balance_pgdat",	  "do_try_to_free_pages" };

	/* An interrupt borrows the task, but not its rights. */
	for (uint32_t i = 0; i < ARRAY_LEN(names) && !report->interrupt; i++)
		if (frames_have(report, names[i]))
			return (report->gfp & GFP_BIT_NOMEMALLOC) == 0;
	return false;
}

static uint64_t zone_pages(const struct decode_report *report, const struct report_zone *zone,
			   enum report_item item)
{
	return report_values_get(&zone->kb, item) / report->memory.page_kb;
}

/* Blocks that could serve the order but for their type. => mask of types */
static uint16_t refused_types(const struct decode_zone *out)
{
	uint16_t mask = 0;

	for (uint32_t type = 0; type < NEAP_NR_TYPES; type++)
		if (out->zone.nonempty[type] >> out->query.order != 0 &&
		    !watermark_may_take(type, out->query.alloc_flags))
			mask |= (uint16_t)(1u << type);
	return mask;
}

static void count_blocks(struct decode_zone *out)
{
	out->blocks = 0;
	for (uint32_t order = out->query.order; order < REPORT_ORDERS; order++)
		out->blocks += out->zone.nr_free[order];
	out->refused = refused_types(out);
}

static enum decode_answer name_answer(const struct decode_zone *out, bool no_marks)
{
	bool enough = no_marks ? out->blocks > 0 : !out->terms.ok && out->terms.order_failed;

	if (!no_marks && out->terms.ok)
		return DECODE_PASSES;
	if (!no_marks && !enough)
		return DECODE_AMOUNT;
	if (out->query.order != 0 && !out->zone.has_blocks)
		return DECODE_UNSURE;
	return out->refused != 0 && out->blocks > 0 ? DECODE_TYPE : DECODE_ORDER;
}

static void test_zone(const struct decode_report *report, const struct decode_verdict *verdict,
		      struct decode_zone *out)
{
	const struct report_zone *zone = &out->zone;
	bool limited = verdict->limit < zone->nr_reserve;
	struct watermark_zone view = {
		.highatomic = (int64_t)zone_pages(report, zone, RI_HIGHATOMIC),
		.free_cma = (int64_t)zone_pages(report, zone, RI_FREE_CMA),
		.reserve = limited ? (int64_t)zone->reserve_pages[verdict->limit] : 0,
	};

	memcpy(view.nonempty, zone->nonempty, sizeof(view.nonempty));
	out->unboosted = UINT64_MAX;
	out->query = (struct watermark_query){
		.order = report->order,
		.limit = verdict->limit,
		.alloc_flags = verdict->alloc_flags,
		.mark = zone_pages(report, zone, RI_MIN),
		.free = (int64_t)zone_pages(report, zone, RI_FREE),
	};
	count_blocks(out);
	/* Free lists that are missing are as good as full ones for the amount's test. */
	if (!zone->has_blocks)
		view.nonempty[MT_UNMOVABLE] = UINT16_MAX;
	watermark_test(&view, &out->query, &out->terms);
	uint64_t boost = zone_pages(report, zone, RI_BOOST);

	if (!out->terms.ok && boost != 0 &&
	    watermark_ignores_boost(report->gfp, report->order, verdict->alloc_flags)) {
		out->unboosted = out->query.mark - min_u64(boost, out->query.mark);
		out->query.mark = out->unboosted;
		watermark_test(&view, &out->query, &out->terms);
	}
	if (!zone->has_blocks && out->terms.ok && report->order != 0)
		out->answer = DECODE_UNSURE;
	else
		out->answer = name_answer(out, verdict->reclaiming);
	/* No block that may be taken, whatever the mark: with order 0 that is no page at all. */
	if (verdict->reclaiming && watermark_has_block(&view, report->order, verdict->alloc_flags))
		out->answer = DECODE_PASSES;
}

/* kswapd's question: order 0, the high mark; free CMA pages do not help it either. */
static bool above_high(const struct decode_report *report, const struct report_zone *zone,
		       uint32_t limit)
{
	const struct watermark_zone view = {
		.highatomic = (int64_t)zone_pages(report, zone, RI_HIGHATOMIC),
		.free_cma = (int64_t)zone_pages(report, zone, RI_FREE_CMA),
		.reserve = limit < zone->nr_reserve ? (int64_t)zone->reserve_pages[limit] : 0,
	};
	const struct watermark_query query = {
		.limit = limit,
		.mark = zone_pages(report, zone, RI_HIGH),
		.free = (int64_t)zone_pages(report, zone, RI_FREE),
	};

	return watermark_test(&view, &query, NULL);
}

/* What all zones together mean for the request. */
static enum decode_cause name_cause(const struct decode_verdict *verdict, uint32_t nr_eligible,
				    const uint32_t answers[NR_DECODE_ANSWERS])
{
	if (nr_eligible == 0)
		return CAUSE_NO_ZONE;
	if (answers[DECODE_PASSES] != 0)
		return CAUSE_PASSES;
	if (answers[DECODE_UNSURE] != 0)
		return CAUSE_UNKNOWN;
	if (answers[DECODE_TYPE] != 0)
		return CAUSE_TYPE;
	if (answers[DECODE_ORDER] != 0)
		return verdict->reclaiming && verdict->zone[0].query.order == 0 ? CAUSE_AMOUNT
										: CAUSE_ORDER;
	return CAUSE_AMOUNT;
}

static void judge_zones(const struct decode_report *report, struct decode_verdict *verdict,
			const uint32_t column[NR_PLAN_KINDS])
{
	uint32_t answers[NR_DECODE_ANSWERS] = { 0 }, nr_eligible = 0;
	static const struct decode_zone zero;

	for (uint32_t i = 0; i < report->memory.nr_zones; i++) {
		struct decode_zone zone = zero;

		zone.zone = report->memory.zone[i];
		verdict->shown_free_pages += zone_pages(report, &zone.zone, RI_FREE);
		zone.high_ok = above_high(report, &zone.zone, verdict->limit);
		zone.answer = DECODE_ABOVE;
		if (column[zone.zone.kind] <= verdict->limit) {
			test_zone(report, verdict, &zone);
			answers[zone.answer]++;
			nr_eligible++;
		}
		if (verdict->nr_zones < DECODE_ZONES)
			verdict->zone[verdict->nr_zones++] = zone;
		else
			verdict->nr_more++;
	}
	verdict->cause = name_cause(verdict, nr_eligible, answers);
}

void decode_judge(const struct decode_report *report, struct decode_verdict *verdict)
{
	enum plan_kind kind[NEAP_NR_ZONES];
	uint32_t column[NR_PLAN_KINDS], nr = report_memory_columns(&report->memory, kind);
	bool built[NR_PLAN_KINDS] = { false };
	bool asked = report->kind != DECODE_MEMORY && report->has_flags;

	memset(verdict, 0, offsetof(struct decode_verdict, zone));
	for (uint32_t i = 0; i < NR_PLAN_KINDS; i++)
		column[i] = NEAP_NR_ZONES;
	for (uint32_t i = 0; i < nr; i++) {
		column[kind[i]] = i;
		built[kind[i]] = true;
	}
	/* Nobody asked: kswapd's question, for the highest zone. */
	verdict->limit = nr > 0 ? nr - 1 : 0;
	verdict->shown_free_pages = 0;
	verdict->all_free_pages = report_values_get(&report->memory.pages, RI_FREE);
	if (asked) {
		verdict->limit = column[request_kind(report->gfp, built)];
		verdict->reclaiming = is_reclaiming(report);
		verdict->alloc_flags = watermark_slow_flags(report->gfp, report->order);
		if (report->gfp & GFP_BIT_MOVABLE)
			verdict->alloc_flags |= ALLOC_CMA;
	}
	if (report->has_memory && report->memory.nr_zones > 0)
		judge_zones(report, verdict, column);
	if (report->kind == DECODE_GROUP)
		verdict->cause = CAUSE_LIMIT;
	else if (report->kind == DECODE_HUNG)
		verdict->cause = CAUSE_HANGS;
	else if (report->kind == DECODE_MEMORY)
		verdict->cause = CAUSE_SHOWN;
	else if (!report->has_memory || report->memory.nr_zones == 0 || !asked)
		verdict->cause = CAUSE_UNKNOWN;
}

/* ---- where memory was ---- */

uint32_t decode_usage(const struct report_memory *memory, struct decode_use rows[DECODE_USES],
		      uint64_t *total_pages)
{
	static const struct {
		const char *name;
		enum report_item item, second, third;
	} parts[] = {
		{ "programs (anonymous) and tmpfs", RI_ACTIVE_ANON, RI_INACTIVE_ANON,
		  RI_ISOLATED_ANON },
		{ "page cache of files", RI_ACTIVE_FILE, RI_INACTIVE_FILE, RI_ISOLATED_FILE },
		{ "locked, unevictable", RI_UNEVICTABLE, RI_OTHER, RI_OTHER },
		{ "kernel objects, reclaimable", RI_SLAB_RECLAIMABLE, RI_OTHER, RI_OTHER },
		{ "kernel objects, not reclaimable", RI_SLAB_UNRECLAIMABLE, RI_OTHER, RI_OTHER },
		{ "page tables", RI_PAGETABLES, RI_SEC_PAGETABLES, RI_OTHER },
		{ "free", RI_FREE, RI_OTHER, RI_OTHER },
		{ "free, on per-CPU lists", RI_FREE_PCP, RI_OTHER, RI_OTHER },
	};
	const struct report_values *pages = &memory->pages;
	uint64_t sum = 0, stacks = 0;
	uint32_t nr = 0;

	if (!memory->complete || !memory->has_ram || memory->ram_pages < memory->reserved_pages)
		return 0;
	*total_pages = memory->ram_pages - memory->reserved_pages;
	for (uint32_t i = 0; i < ARRAY_LEN(parts); i++) {
		uint64_t value = report_values_get(pages, parts[i].item);

		if (parts[i].second != RI_OTHER)
			value += report_values_get(pages, parts[i].second);
		if (parts[i].third != RI_OTHER)
			value += report_values_get(pages, parts[i].third);
		rows[nr++] = (struct decode_use){ parts[i].name, value };
		sum += value;
	}
	for (uint32_t i = 0; i < memory->nr_nodes; i++)
		stacks += report_values_get(&memory->node[i].kb, RI_KERNEL_STACK);
	rows[nr++] =
		(struct decode_use){ "kernel stacks of the nodes shown", stacks / memory->page_kb };
	sum += stacks / memory->page_kb;
	rows[nr++] = (struct decode_use){ "the rest: drivers, huge page pools, vmalloc, per-CPU",
					  *total_pages > sum ? *total_pages - sum : 0 };
	return nr;
}
