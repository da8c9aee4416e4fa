/*
 * Compaction from the allocator's side: an attempt, and whether to try again.
 *
 *   attempt ── captured a block ─────────────> it is the request's, no mark is asked
 *      │       a walk finds one ─────────────> it is the request's
 *      │
 *   again?  complete ......................... harder, if there is a harder way
 *           skipped .......................... if reclaim could make it suitable
 *           deferred, contended, partly ...... harder
 *           success, but no block for us ..... the same, 16 times (4 for order > 3),
 *                                              then harder
 *
 * Harder means: asynchronous, then light, then full; a costly order stops at light, since
 * its caller can do without.
 *
 * What must never happen: a captured block that is lost. Whatever the result of the run,
 * a block in the capture is used.
 *
 * Linux: __alloc_pages_direct_compact(), should_compact_retry() of mm/page_alloc.c, 6.1.
 */
#include "core/alloc_compact.h"

#include "core/event.h"
#include "core/psi.h"
#include "core/vmstat.h"

#define COSTLY_RETRIES_DIVISOR 4u

/* The class of a result, as the trace of a retry prints it. */
static uint32_t feedback_of(enum compact_result result)
{
	switch (result) {
	case COMPACT_COMPLETE:
		return COMPACT_FEEDBACK_FAILED;
	case COMPACT_DEFERRED:
	case COMPACT_CONTENDED:
	case COMPACT_PARTIAL_SKIPPED:
		return COMPACT_FEEDBACK_WITHDRAWN;
	default:
		return COMPACT_FEEDBACK_PROGRESS;
	}
}

uint32_t alloc_compact_try(struct task *t, struct alloc_context *ac, struct compact_rounds *rounds)
{
	struct compact_capture capture = { .pfn = PFN_NONE };
	uint32_t pfn;

	rounds->result = COMPACT_SKIPPED;
	if (ac->order == 0)
		return PFN_NONE;
	/* What compaction itself allocates must not compact or reclaim. */
	psi_memstall_enter(t);
	t->flags |= PF_MEMALLOC;
	rounds->result = compact_direct(t, ac, rounds->priority, &capture);
	t->flags &= ~PF_MEMALLOC;
	psi_memstall_leave(t);
	if (rounds->result == COMPACT_SKIPPED)
		return PFN_NONE;
	event_add(t, EV_COMPACT_STALL, 1);
	pfn = capture.pfn;
	if (pfn != PFN_NONE)
		alloc_prepare_block(capture.zone, pfn, ac->order, (ac->gfp & GFP_BIT_COMP) != 0);
	else
		pfn = alloc_walk(t, ac);
	if (pfn == PFN_NONE) {
		event_add(t, EV_COMPACT_FAIL, 1);
		rt_preempt(t);
		return PFN_NONE;
	}
	struct zone *zone = page_zone(t->machine, machine_page(t->machine, pfn));

	atomic_store_explicit(&zone->compact_blockskip_flush, 0, memory_order_relaxed);
	compact_defer_success(t, zone, ac->order, true);
	event_add(t, EV_COMPACT_SUCCESS, 1);
	return pfn;
}

/* => whether there is a harder priority, which is set then */
static bool raise_priority(const struct alloc_context *ac, struct compact_rounds *rounds)
{
	enum compact_priority hardest =
		ac->order > NEAP_COSTLY_ORDER ? COMPACT_PRIORITY_LIGHT : COMPACT_PRIORITY_FULL;

	if (rounds->priority <= hardest)
		return false;
	rounds->priority = (enum compact_priority)(rounds->priority - 1);
	rounds->retries = 0;
	return true;
}

bool alloc_compact_retry(struct task *t, const struct alloc_context *ac,
			 struct compact_rounds *rounds)
{
	enum compact_priority priority = rounds->priority;
	uint32_t most = MAX_RECLAIM_RETRIES;
	bool retry = false;

	if (ac->order == 0 || (t->flags & PF_EXITING))
		return false;
	if (rounds->result == COMPACT_SUCCESS)
		rounds->retries++;
	if (rounds->result == COMPACT_SKIPPED) {
		retry = compact_suit_after_reclaim(t, ac);
	} else if (feedback_of(rounds->result) != COMPACT_FEEDBACK_PROGRESS) {
		retry = raise_priority(ac, rounds);
	} else {
		if (ac->order > NEAP_COSTLY_ORDER)
			most /= COSTLY_RETRIES_DIVISOR;
		retry = rounds->retries <= most || raise_priority(ac, rounds);
	}
	event_emit(t, COMPACT_RETRY, ac->order, priority, feedback_of(rounds->result),
		   rounds->retries, most, retry);
	return retry;
}
