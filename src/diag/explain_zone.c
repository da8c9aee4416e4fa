/*
 * What a request would meet now: pages, and blocks.
 *
 *     GFP_KERNEL             order 0   the kernel's own: zones up to Normal
 *     GFP_HIGHUSER_MOVABLE   order 0   programs' pages: every zone
 *     GFP_ATOMIC             order 0   interrupts: part of the reserve
 *     GFP_KERNEL             order 3   the largest that the kernel insists on (costly above)
 *     GFP_TRANSHUGE          order 9   huge pages
 *
 * Each is performed on the state (diag/request.h). A single page that cannot be had without
 * waiting is a finding: the next task that asks is stalled. A missing block is one only if
 * counters show that somebody asked in vain; memory in use is always in pieces, and most
 * kernels live well without large blocks.
 *
 * That the sum over the machine looks plenty does not help a request that may not use it: kernel
 * memory cannot come from HighMem or Movable, a task bound to a node cannot use another.
 * So each node is asked, and each kind of request.
 *
 * What must never happen: a request that is said to fail for pages when it is the order, or the
 * reverse; the step of the walk that decided is quoted.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "core/fragindex.h"
#include "diag/explain_part.h"
#include "diag/request.h"

static void prove_walk(struct explain *x, struct explain_item *item, const struct dry_walk *walk,
		       const char *mark)
{
	for (uint32_t i = 0; i < walk->nr && i < 6; i++) {
		struct text_buf line;

		text_buf_init(&line);
		request_step_add(&line, &walk->step[i], mark, NULL);
		explain_proof(item, "zoneinfo: node %u %s: %s",
			      state_node_id(x->state, walk->step[i].zone->node),
			      state_zone_name(x->state, walk->step[i].zone), text_buf_text(&line));
		text_buf_free(&line);
	}
}

/* Pages that the walk was short of, in the zone that was nearest. */
static int64_t short_of(const struct dry_walk *walk)
{
	int64_t least = INT64_MAX;

	for (uint32_t i = 0; i < walk->nr; i++) {
		const struct watermark_terms *terms = &walk->step[i].terms;
		int64_t missing = terms->mark + terms->reserve + 1 + terms->unusable - terms->free;

		least = missing < least ? missing : least;
	}
	return least;
}

/* More than CPUs keep to themselves: the next refill does not heal it. */
static bool is_certain(const struct explain *x, const struct dry_walk *walk)
{
	for (uint32_t i = 0; i < walk->nr; i++) {
		const struct watermark_terms *terms = &walk->step[i].terms;
		int64_t missing = terms->mark + terms->reserve + 1 + terms->unusable - terms->free;

		if (missing <= (int64_t)state_zone_drift(x->state, walk->step[i].zone))
			return false;
	}
	return walk->nr != 0;
}

static uint64_t free_above_normal(const struct explain *x, uint32_t node)
{
	const struct snapshot_node *from = &x->after->snapshot->node[node];

	return from->zone[ZONE_MOVABLE].free + from->zone[ZONE_DEVICE].free;
}

/* A request for one page cannot be served without waiting, or not at all. */
static void page_item(struct explain *x, const struct request *request, bool fails, bool kernel)
{
	const char *who = kernel ? "the kernel's requests" : "programs' requests";
	uint64_t above = free_above_normal(x, request->node);
	struct explain_item *item =
		explain_item(x, EXPLAIN_FINDING, fails ? RANK_FAILS + 2 : RANK_STALLS + 2,
			     fails ? "no-page" : "page-after-reclaim");
	char size[24];

	if (fails)
		explain_title(item,
			      "%s for a page from node %u fail: nothing that can be reclaimed"
			      " helps",
			      who, state_node_id(x->state, request->node));
	else
		explain_title(item,
			      "%s for a page from node %u have to reclaim first: %" PRId64
			      " pages too few",
			      who, state_node_id(x->state, request->node),
			      short_of(&request->slow));
	prove_walk(x, item, &request->slow, "min");
	for (uint32_t i = 0; fails && i < request->nr_reclaim && i < 4; i++)
		explain_proof(item,
			      "zoneinfo: node %u %s: at most %" PRIu64 " pages can be reclaimed",
			      state_node_id(x->state, request->reclaim[i].zone->node),
			      state_zone_name(x->state, request->reclaim[i].zone),
			      request->reclaim[i].pages);
	if (kernel && above > 0)
		explain_proof(item, "zoneinfo: %s are free in zones that the kernel may not use",
			      explain_size(x, above, size));
	if (fails)
		explain_do(item, "free memory now: stop the largest program; the OOM killer is the"
				 " next step");
	else
		explain_do(item, "use less memory, or find what does: neap ledger");
	explain_not(item, "drop caches: reclaim takes clean cache first anyway");
	explain_check(item, "neap request --order 0 says \"it succeeds at once\"");
}

/* => whether an item was added */
static bool explain_page(struct explain *x, uint32_t node, uint32_t gfp, bool kernel)
{
	struct request *request = malloc(sizeof(*request));
	bool added = false;

	if (request == NULL) {
		x->error = -1;
		return false;
	}
	request_run(x->state, gfp, 0, node, request);
	if ((request->verdict == REQUEST_FAILS || request->verdict == REQUEST_STALLS) &&
	    is_certain(x, &request->slow)) {
		page_item(x, request, request->verdict == REQUEST_FAILS, kernel);
		added = true;
	}
	free(request);
	return added;
}

/* A node is short though others are not: whoever is bound to it waits. */
static void note_bound(struct explain *x, uint32_t node)
{
	struct request *request = malloc(sizeof(*request));
	struct explain_item *item;

	if (request == NULL)
		return;
	request_run(x->state, GFP_HIGHUSER_MOVABLE | GFP_BIT_THISNODE, 0, node, request);
	if ((request->verdict == REQUEST_FAILS || request->verdict == REQUEST_STALLS) &&
	    is_certain(x, &request->slow)) {
		item = explain_item(x, EXPLAIN_NOTE, RANK_CAUSE, "node-short");
		explain_title(item,
			      "node %u is short; tasks bound to it wait, others take memory"
			      " elsewhere",
			      state_node_id(x->state, node));
		prove_walk(x, item, &request->slow, "min");
	}
	free(request);
}

void explain_requests(struct explain *x)
{
	for (uint32_t n = 0; x->state != NULL && n < x->state->machine.nr_nodes; n++) {
		if (!x->after->snapshot->node[n].has_memory)
			continue;
		if (!explain_page(x, n, GFP_KERNEL, true) &&
		    !explain_page(x, n, GFP_HIGHUSER_MOVABLE, false) &&
		    x->state->machine.nr_nodes > 1)
			note_bound(x, n);
	}
}

/* ---- blocks ---- */

struct block_case {
	uint32_t order;
	uint32_t gfp;
	const char *who;
};

static const struct block_case block_cases[] = {
	{ 3, GFP_ATOMIC, "atomic requests of order 3 (network, drivers)" },
	{ 3, GFP_KERNEL, "kernel requests of order 3" },
	{ 9, GFP_HIGHUSER_MOVABLE | GFP_BIT_COMP | GFP_BIT_NOMEMALLOC | GFP_BIT_NOWARN,
	  "huge pages" },
};

/* The free blocks of a zone as a list, with the share of them that is of no use. */
static void prove_blocks(struct explain *x, struct explain_item *item, const struct zone *zone,
			 uint32_t order)
{
	uint64_t nr_free[NR_ORDERS];
	struct text_buf line;

	text_buf_init(&line);
	for (uint32_t o = 0; o < NR_ORDERS; o++) {
		nr_free[o] = zone->area[o].nr_free;
		text_buf_printf(&line, " %" PRIu64, nr_free[o]);
	}
	struct fragindex frag = fragindex_count(nr_free, NR_ORDERS, order);
	int32_t index = fragindex_external(&frag);

	explain_proof(item, "buddyinfo: node %u %s:%s", state_node_id(x->state, zone->node),
		      state_zone_name(x->state, zone), text_buf_text(&line));
	if (index >= 0)
		explain_proof(item,
			      "  fragmentation index of order %u is 0.%03d (0 too little memory,"
			      " 1 too many pieces)",
			      order, index);
	text_buf_free(&line);
}

static void prove_cma(struct explain_item *item, const struct request *request)
{
	for (uint32_t i = 0; i < request->slow.nr; i++) {
		const struct zone *zone = request->slow.step[i].zone;

		if (request->slow.step[i].terms.order_failed &&
		    zone->nonempty[MT_CMA] >> request->order)
			explain_proof(item, "pagetypeinfo: the blocks large enough are CMA's, which"
					    " only movable requests may use");
	}
}

/* Somebody asked for blocks in vain: the counters of two readings. */
static bool asked_in_vain(const struct explain *x, uint64_t *failed)
{
	return explain_grown(x, COUNTER_COMPACT_FAIL, failed) && *failed > 0;
}

static void block_item(struct explain *x, const struct block_case *of,
		       const struct request *request, bool in_vain)
{
	struct explain_item *item =
		explain_item(x, in_vain ? EXPLAIN_FINDING : EXPLAIN_NOTE,
			     in_vain ? RANK_STALLS + 5 : RANK_MINOR + of->order, "fragmentation");

	if (request->verdict == REQUEST_FAILS)
		explain_title(item, "%s from node %u cannot be had now", of->who,
			      state_node_id(x->state, request->node));
	else
		explain_title(item, "%s from node %u can be had only after reclaim or compaction",
			      of->who, state_node_id(x->state, request->node));
	for (uint32_t i = 0; i < request->slow.nr && i < 3; i++)
		if (request->slow.step[i].terms.order_failed)
			prove_blocks(x, item, request->slow.step[i].zone, of->order);
	if (item->proof.bytes == 0)
		prove_walk(x, item, &request->slow, "min");
	prove_cma(item, request);
	if (!in_vain)
		return;
	explain_do(item, "make whoever can wait ask with __GFP_RETRY_MAYFAIL, or have the memory"
			 " reserved at boot (hugepages=, cma=)");
	explain_not(item, "raise min_free_kbytes for that: it keeps pages free, not blocks");
	explain_check(item, "compact_fail in /proc/vmstat stops growing");
}

static void in_vain_item(struct explain *x, uint64_t failed)
{
	uint64_t stalls = 0, fallbacks = 0;
	struct explain_item *item =
		explain_item(x, EXPLAIN_FINDING, RANK_STALLS + 4, "compaction-in-vain");

	explain_title(item, "%" PRIu64 " requests compacted for themselves in vain", failed);
	if (explain_grown(x, COUNTER_COMPACT_STALL, &stalls))
		explain_proof(item,
			      "vmstat: compact_fail grew by %" PRIu64 " of %" PRIu64
			      " compact_stall",
			      failed, stalls);
	if (explain_grown(x, COUNTER_THP_FALLBACK, &fallbacks) && fallbacks > 0)
		explain_proof(item,
			      "vmstat: thp_fault_fallback grew by %" PRIu64
			      ": huge pages were asked for",
			      fallbacks);
	explain_do(item, fallbacks > 0 ? "if the waits matter, set transparent_hugepage/defrag to"
					 " defer or madvise"
				       : "find the request with the mm_page_alloc trace event");
	explain_check(item, "compact_fail in /proc/vmstat stops growing");
}

void explain_blocks(struct explain *x)
{
	struct request *request = malloc(sizeof(*request));
	uint64_t failed = 0;

	if (request == NULL) {
		x->error = -1;
		return;
	}
	if (asked_in_vain(x, &failed))
		in_vain_item(x, failed);
	for (uint32_t n = 0;
	     x->state != NULL && x->state->has_blocks && n < x->state->machine.nr_nodes; n++) {
		for (uint32_t i = 0; i < ARRAY_LEN(block_cases); i++) {
			const struct block_case *of = &block_cases[i];

			if (!x->after->snapshot->node[n].has_memory)
				break;
			request_run(x->state, of->gfp, of->order, n, request);
			if (request->verdict != REQUEST_STALLS && request->verdict != REQUEST_FAILS)
				continue;
			block_item(x, of, request, false);
			if (of->order == 3)
				i = 1; /* the other kind of order 3 says the same */
		}
	}
	free(request);
}
