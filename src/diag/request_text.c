/*
 * A request's way through the zones, in words.
 *
 *     it succeeds at once: a zone is above its low mark and has a block
 *
 *     first walk, at the low marks
 *       0 Normal   free 2372 - unusable 0 < low 2398 + reserve 0 -> next zone
 *       0 DMA32    free 634266 - unusable 0 > low 18635 + reserve 441 -> a block
 *
 * The verdict comes first, then the walks as they went, one zone a line. What a term means is
 * said once, below the walk in which it appears.
 *
 * What must never happen: a line of more than 80 columns, or a reason that is not the
 * result of the test on the same line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diag/request.h"
#include "diag/terms.h"
#include "text/gfp.h"
#include "text/pagetypeinfo.h"

const char *request_verdict_word(enum request_verdict verdict)
{
	static const char *const words[] = {
		[REQUEST_FAST] = "fast",       [REQUEST_SLOW] = "slow",
		[REQUEST_STALLS] = "stalls",   [REQUEST_FAILS] = "fails",
		[REQUEST_UNKNOWN] = "unknown", [REQUEST_NONSENSE] = "invalid",
	};

	return words[verdict];
}

void request_verdict_add(struct text_buf *out, const struct request *request)
{
	static const char *const words[] = {
		[REQUEST_FAST] = "it succeeds at once",
		[REQUEST_SLOW] = "it succeeds in the slow path, without waiting",
		[REQUEST_STALLS] = "it has to wait, and may succeed",
		[REQUEST_FAILS] = "it fails",
		[REQUEST_UNKNOWN] = "cannot know",
		[REQUEST_NONSENSE] = "there is no such request",
	};

	const char *word = words[request->verdict];
	bool one_line = strlen(word) + 2 + strlen(request->why) < 80;

	text_buf_puts(out, word);
	text_buf_puts(out, one_line ? ": " : ":\n  ");
	text_buf_puts(out, request->why);
}

void request_step_add(struct text_buf *out, const struct dry_step *step, const char *mark_name,
		      const char *then)
{
	const struct watermark_terms *terms = &step->terms;
	const struct terms_test test = {
		.free = (uint64_t)(terms->free > 0 ? terms->free : 0),
		.unusable = (uint64_t)(terms->unusable > 0 ? terms->unusable : 0),
		.mark_name = mark_name,
		.mark = (uint64_t)terms->mark,
		.reserve = (uint64_t)terms->reserve,
	};

	terms_test_add(out, &test, then);
}

/* What came of a zone, in few words. */
static const char *outcome(const struct state *state, const struct dry_step *step, char *buf,
			   size_t room)
{
	switch (step->result) {
	case DRY_OWN:
		return "a block";
	case DRY_CMA:
		return "a block of CMA";
	case DRY_RESERVE:
		return "a block of the reserve";
	case DRY_OTHER:
		if (!state->has_types)
			return "a block";
		snprintf(buf, room, "a block of type %s, order %u",
			 pagetypeinfo_type_name((enum migrate_type)step->from.type),
			 step->from.order);
		return buf;
	case DRY_NOTHING:
		return step->nofragment ? "none of its type: others are spared" : "no block";
	case DRY_MARK:
		break;
	}
	return step->terms.order_failed ? "enough, but no block" : "next zone";
}

static void add_walk(struct text_buf *out, const struct state *state, const struct dry_walk *walk,
		     const char *mark_name)
{
	char buf[64], zone[32];

	for (uint32_t i = 0; i < walk->nr; i++) {
		const struct dry_step *step = &walk->step[i];
		struct text_buf line;

		text_buf_init(&line);
		snprintf(zone, sizeof(zone), "%u %s", state_node_id(state, step->zone->node),
			 state_zone_name(state, step->zone));
		text_buf_printf(&line, "  %-10s ", zone);
		request_step_add(&line, step, mark_name, NULL);
		const char *then = outcome(state, step, buf, sizeof(buf));

		/* Large numbers leave no room for words. */
		if (line.bytes + 4 + strlen(then) <= 79)
			text_buf_printf(out, "%s -> %s\n", text_buf_text(&line), then);
		else
			text_buf_printf(out, "%s\n%13s-> %s\n", text_buf_text(&line), "", then);
		out->error = out->error != 0 ? out->error : line.error;
		text_buf_free(&line);
	}
}

/* The terms that need a word. */
static void add_terms_said(struct text_buf *out, const struct state *state,
			   const struct request *request, const struct dry_walk *walk)
{
	bool cma = false, reserved = false, protection = false;

	for (uint32_t i = 0; i < walk->nr; i++) {
		const struct watermark_terms *terms = &walk->step[i].terms;

		cma = cma || terms->cma != 0;
		reserved = reserved || terms->unusable - terms->cma >= (int64_t)1 << request->order;
		protection = protection || terms->reserve != 0;
	}
	if (request->order > 0)
		text_buf_printf(out, "  (unusable holds 2^order - 1 = %u pages%s)\n",
				(1u << request->order) - 1, cma ? ", and free CMA pages" : "");
	else if (cma)
		text_buf_puts(out, "  (unusable are free CMA pages: the request is not movable)\n");
	if (reserved)
		text_buf_puts(out, "  (and the blocks kept for atomic requests of high order)\n");
	if (protection)
		text_buf_puts(out, "  (reserve: what a zone keeps for requests that have no"
				   " other)\n");
	if (!state->has_types && request->order > 0)
		text_buf_puts(out, "  (of which type blocks are is not known: no pagetypeinfo)\n");
}

static void add_wake(struct text_buf *out, const struct request *request)
{
	static const char *const words[] = {
		[WAKE_NOT_ASKED] = "kswapd is not woken: the request does not ask for it",
		[WAKE_BALANCES] = "kswapd is woken: the node is not balanced",
		[WAKE_BALANCED] = "kswapd is left asleep: a zone is above its high mark",
		[WAKE_HOPELESS] = "kswapd gave up on the node and is not woken",
	};

	if (request->wake == WAKE_BALANCES && request->boosted)
		text_buf_puts(out, "kswapd is woken: the node's marks are boosted\n");
	else
		text_buf_printf(out, "%s\n", words[request->wake]);
}

/* "min", less what rights take off. */
static const char *slow_mark_name(const struct request *request)
{
	uint32_t flags = request->slow_flags;

	if (flags & ALLOC_NO_WATERMARKS)
		return "no mark,";
	if ((flags & ALLOC_MIN_RESERVE) && (flags & ALLOC_NON_BLOCK))
		return "3/8 min";
	return (flags & ALLOC_MIN_RESERVE) ? "min/2" : "min";
}

static void add_compaction(struct text_buf *out, const struct state *state,
			   const struct request *request)
{
	int32_t threshold =
		atomic_load(&((struct state *)(uintptr_t)state)->machine.sysctl.extfrag_threshold);
	char zone[32];

	if (request->nr_compact == 0)
		return;
	text_buf_puts(out, "compaction for itself\n");
	for (uint32_t i = 0; i < request->nr_compact; i++) {
		const struct request_compact *at = &request->compact[i];

		snprintf(zone, sizeof(zone), "%u %s", state_node_id(state, at->zone->node),
			 state_zone_name(state, at->zone));
		text_buf_printf(out, "  %-10s ", zone);
		if (at->result == COMPACT_CONTINUE)
			text_buf_puts(out, "would run\n");
		else if (at->result == COMPACT_SUCCESS)
			text_buf_puts(out, "has a block already\n");
		else if (at->index >= 0 && at->index <= threshold &&
			 request->order > NEAP_COSTLY_ORDER)
			text_buf_printf(out,
					"is skipped: too few free pages, not too many pieces"
					" (%d <= %d)\n",
					at->index, threshold);
		else
			text_buf_puts(out, "is skipped: too few free pages to move into\n");
	}
}

static void add_reclaim(struct text_buf *out, const struct state *state,
			const struct request *request)
{
	char zone[32];

	if (request->nr_reclaim == 0)
		return;
	text_buf_puts(out, "if everything reclaimable were free\n");
	for (uint32_t i = 0; i < request->nr_reclaim; i++) {
		const struct request_reclaim *at = &request->reclaim[i];
		const struct dry_step step = { .terms = at->terms };

		snprintf(zone, sizeof(zone), "%u %s", state_node_id(state, at->zone->node),
			 state_zone_name(state, at->zone));
		text_buf_printf(out, "  %-10s %" PRIu64 " more: ", zone, at->pages);
		request_step_add(out, &step, slow_mark_name(request), NULL);
		text_buf_puts(out, at->terms.order_failed ? "\n             -> enough, no block\n"
							  : "\n");
	}
}

static enum paint_colour verdict_colour(enum request_verdict verdict)
{
	switch (verdict) {
	case REQUEST_FAST:
	case REQUEST_SLOW:
		return PAINT_GREEN;
	case REQUEST_FAILS:
		return PAINT_RED;
	default:
		return PAINT_YELLOW;
	}
}

void request_add(struct text_buf *out, const struct state *state, const struct request *request,
		 const struct paint *paint)
{
	char flags[GFP_TEXT_BYTES];

	paint_colour(out, paint, verdict_colour(request->verdict));
	request_verdict_add(out, request);
	paint_colour(out, paint, PAINT_PLAIN);
	text_buf_puts(out, "\n");
	(void)gfp_flags_format(request->gfp, flags, sizeof(flags));
	text_buf_printf(out, "order %u (%u KiB), %s\n", request->order,
			(uint32_t)((1u << min_u32(request->order, 20)) *
				   snapshot_page_kb(state->evidence->snapshot)),
			flags);
	if (request->fast.nr == 0)
		return;
	text_buf_puts(out, "first walk, at the low marks\n");
	add_walk(out, state, &request->fast, "low");
	if (!request->went_slow) {
		add_terms_said(out, state, request, &request->fast);
		return;
	}
	add_wake(out, request);
	text_buf_puts(out, "second walk, at the min marks\n");
	add_walk(out, state, &request->slow, slow_mark_name(request));
	add_terms_said(out, state, request, &request->slow);
	if (request->compacts_first)
		add_compaction(out, state, request);
	add_reclaim(out, state, request);
	if (!request->compacts_first)
		add_compaction(out, state, request);
	if (request->oom)
		text_buf_puts(out, "the OOM killer is called\n");
}
