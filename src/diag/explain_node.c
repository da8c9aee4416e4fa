/*
 * kswapd and the balance of each node.
 *
 *     free            what kswapd does                        what can be told
 *     ---- high ----  sleeps                                  one zone above it: balanced
 *     |               sleeps if it slept, works if it worked  counters, thresholds
 *     ---- low  ----  is woken by the next request            all zones below it: awake
 *     |
 *     ---- min  ----  tasks reclaim for themselves
 *
 * Between low and high the marks alone do not say whether it sleeps. Three more things do. While
 * it is awake, or in its nap, kswapd has CPUs keep smaller differences of the zones' counters,
 * in zones where all CPUs' differences together could hide the gap between the marks; zoneinfo
 * prints that threshold. Between two readings, runs that were not counted did not happen. And
 * where a zone is above its high mark, with blocks of every order and no boost, there is
 * nothing to run for.
 *
 * It cannot rest if no zone could pass the test even with everything reclaimable freed.
 *
 * What must never happen: "it sleeps" because memory looks plenty to us. The test is kswapd's own,
 * with CMA pages not counted, and one good zone is enough.
 *
 * Linux: pgdat_balanced(), prepare_kswapd_sleep(), refresh thresholds in mm/vmscan.c, mm/vmstat.c.
 */
#include <inttypes.h>

#include "core/alloc.h"
#include "core/kswapd.h"
#include "core/vmstat.h"
#include "diag/explain_part.h"
#include "diag/request.h"
#include "diag/terms.h"

#define NAP_SECONDS 0.2 /* twice the nap: a run would have begun or kswapd be asleep */

/* kswapd's test of one zone. */
struct node_test {
	const struct zone *zone;
	struct watermark_terms terms;
	bool ok;
	int64_t missing; /* pages below what it wants; negative: above */
};

static void test_zone(const struct zone *zone, enum wmark mark, uint32_t limit, int64_t more,
		      struct node_test *out)
{
	const struct watermark_query query = {
		.limit = limit,
		.mark = zone_mark(zone, mark),
		.free = (int64_t)zone_stat(zone, NR_FREE_PAGES) + more,
	};

	out->zone = zone;
	out->ok = zone_watermark_test(zone, &query, &out->terms);
	out->missing =
		out->terms.mark + out->terms.reserve + 1 + out->terms.unusable - out->terms.free;
}

/* All managed zones of a node up to `limit` against one mark. */
struct node_tests {
	struct node_test zone[NR_ZONES];
	uint32_t nr;
	const struct node_test *nearest; /* to passing, or furthest above */
	int64_t drift;			 /* of that zone */
};

static void test_node(const struct explain *x, uint32_t index, enum wmark mark,
		      struct node_tests *out)
{
	const struct node *node = &x->state->machine.nodes[index];
	uint32_t limit = state_node_limit(x->state, index);

	*out = (struct node_tests){ .nr = 0 };
	for (uint32_t slot = 0; slot <= limit; slot++) {
		struct node_test *test = &out->zone[out->nr];

		if (zone_managed(&node->zone[slot]) == 0)
			continue;
		test_zone(&node->zone[slot], mark, limit, 0, test);
		out->nr++;
		if (out->nearest == NULL || test->missing < out->nearest->missing)
			out->nearest = test;
	}
	if (out->nearest != NULL)
		out->drift = (int64_t)state_zone_drift(x->state, out->nearest->zone);
}

/* LRU pages of a zone that reclaim may take: file, and anon while there is swap. */
static uint64_t reclaimable(const struct explain *x, const struct zone *zone)
{
	uint64_t pages =
		zone_stat(zone, NR_ZONE_INACTIVE_FILE) + zone_stat(zone, NR_ZONE_ACTIVE_FILE);

	if (atomic_load(&x->state->machine.nr_swap_free) > 0)
		pages += zone_stat(zone, NR_ZONE_INACTIVE_ANON) +
			 zone_stat(zone, NR_ZONE_ACTIVE_ANON);
	return pages;
}

static uint64_t node_reclaimable(const struct explain *x, uint32_t index)
{
	const struct node *node = &x->state->machine.nodes[index];
	uint64_t pages = 0;

	for (uint32_t slot = 0; slot < NR_ZONES; slot++)
		pages += reclaimable(x, &node->zone[slot]);
	/* Slab shrinks with the node's lists. */
	return pages + node_stat(node, NR_SLAB_RECLAIMABLE);
}

/* Would a zone pass kswapd's test with everything reclaimable freed? */
static bool could_balance(const struct explain *x, uint32_t index)
{
	const struct node *node = &x->state->machine.nodes[index];
	uint32_t limit = state_node_limit(x->state, index);
	int64_t slab = (int64_t)node_stat(node, NR_SLAB_RECLAIMABLE);
	struct node_test test;

	for (uint32_t slot = 0; slot <= limit; slot++) {
		const struct zone *zone = &node->zone[slot];

		if (zone_managed(zone) == 0)
			continue;
		test_zone(zone, WMARK_HIGH, limit, (int64_t)reclaimable(x, zone) + slab, &test);
		if (test.ok)
			return true;
	}
	return false;
}

/* ---- what kswapd does now ---- */

/* The gap that a zone had when thresholds were set up, early in boot. */
static bool had_drift_mark(const struct explain *x, uint32_t node, uint32_t slot, int32_t normal,
			   uint32_t cpus)
{
	const struct plan_zone *zone = &x->marks->printed.zone[node][slot];
	uint64_t automatic = marks_auto_min_free_kbytes(x->marks->printed.managed_total *
							x->marks->printed.page_kb);
	uint64_t share = automatic / x->marks->printed.page_kb * zone->managed /
			 max_u64(x->marks->printed.share_total, 1);
	uint64_t gap = max_u64(share / 4, zone->managed / 1000);
	uint64_t now = zone->marks.low - min_u64(zone->marks.min, zone->marks.low);
	uint64_t most = (uint64_t)normal * cpus;

	/* With room to spare: the zone may have been a little smaller or larger then. */
	return most > gap + gap / 8 + 2 && most > now + 2;
}

/* What the thresholds that zoneinfo prints say. */
static enum explain_kswapd by_thresholds(const struct explain *x, uint32_t index)
{
	const struct snapshot *snapshot = x->after->snapshot;
	uint32_t cpus = cpumask_count(&snapshot->online) + snapshot->nr_cpus_beyond;
	uint32_t cpu = cpumask_next(&snapshot->online, 0);

	if (cpus == 0 || x->marks == NULL)
		return KSWAPD_UNKNOWN;
	for (uint32_t slot = 0; slot < ZONE_DEVICE; slot++) {
		const struct plan_zone *plan = &x->marks->printed.zone[index][slot];
		const struct snapshot_zone *zone = &snapshot->node[index].zone[slot];
		int32_t printed = (int32_t)min_u32(zone->pageset[cpu].threshold, 1000);
		int32_t normal = vmstat_threshold_normal(zone->managed, cpus);
		uint64_t gap = plan->marks.low - min_u64(plan->marks.min, plan->marks.low);
		int32_t pressure = vmstat_threshold_pressure(gap, cpus);

		if (zone->present == 0 || printed == 0 || pressure >= normal)
			continue;
		if (printed == pressure)
			return KSWAPD_AWAKE;
		if (printed == normal && had_drift_mark(x, index, slot, normal, cpus))
			return KSWAPD_SLEEPS;
	}
	return KSWAPD_UNKNOWN;
}

static bool did_nothing(const struct explain *x)
{
	uint64_t runs = 1, scanned = 1;

	return explain_grown(x, COUNTER_PAGEOUTRUN, &runs) && runs == 0 &&
	       explain_grown(x, COUNTER_SCAN_KSWAPD, &scanned) && scanned == 0;
}

static bool gave_up(const struct explain *x, uint32_t index)
{
	return atomic_load(&x->state->machine.nodes[index].kswapd_failures) >= MAX_RECLAIM_RETRIES;
}

/* Nothing that a run could be for: pages, boosts, blocks. */
static bool has_no_work(const struct explain *x, uint32_t index, const struct node_tests *high)
{
	const struct node *node = &x->state->machine.nodes[index];
	uint32_t limit = state_node_limit(x->state, index);

	if (high->nearest == NULL || high->nearest->missing > -high->drift)
		return false;
	if (!x->node[index].boost_known || x->node[index].boost_pages != 0)
		return false;
	return x->state->has_blocks && kswapd_balanced(node, NEAP_PAGEBLOCK_ORDER, limit);
}

static void find_kswapd(struct explain *x, uint32_t index, const struct node_tests *high,
			const struct node_tests *low)
{
	struct explain_node *node = &x->node[index];

	node->kswapd = KSWAPD_UNKNOWN;
	if (gave_up(x, index)) {
		node->kswapd = KSWAPD_GAVE_UP;
		node->kswapd_because = "zoneinfo: node_unreclaimable 1";
		return;
	}
	node->kswapd = by_thresholds(x, index);
	if (node->kswapd != KSWAPD_UNKNOWN) {
		node->kswapd_because = node->kswapd == KSWAPD_SLEEPS
					       ? "zoneinfo: vm stats threshold is the one of sleep"
					       : "zoneinfo: vm stats threshold is the one of work";
	} else if (did_nothing(x)) {
		node->kswapd = x->seconds > NAP_SECONDS ? KSWAPD_SLEEPS : KSWAPD_RESTS;
		node->kswapd_because = "vmstat: no run between the readings";
	} else if (has_no_work(x, index, high)) {
		node->kswapd = KSWAPD_RESTS;
		node->kswapd_because = "zoneinfo: a zone is above its high mark";
	} else if (low->nearest != NULL && low->nearest->missing > low->drift) {
		node->kswapd = KSWAPD_AWAKE;
		node->kswapd_because = "zoneinfo: every zone is below its low mark";
	}
}

/* ---- items ---- */

static void prove_test(struct explain_item *item, const struct explain *x,
		       const struct node_test *test, const char *mark)
{
	const struct dry_step step = { .zone = test->zone, .terms = test->terms };
	struct text_buf line;

	text_buf_init(&line);
	request_step_add(&line, &step, mark, NULL);
	explain_proof(item, "zoneinfo: node %u %s: %s", state_node_id(x->state, test->zone->node),
		      state_zone_name(x->state, test->zone), text_buf_text(&line));
	text_buf_free(&line);
}

static void prove_all(struct explain_item *item, const struct explain *x,
		      const struct node_tests *tests, const char *mark)
{
	for (uint32_t i = tests->nr; i-- > 0;)
		prove_test(item, x, &tests->zone[i], mark);
}

/* Enough is free in some zone, but in CMA blocks. */
static const struct node_test *blocked_by_cma(const struct node_tests *tests)
{
	for (uint32_t i = 0; i < tests->nr; i++) {
		const struct node_test *test = &tests->zone[i];

		if (!test->ok && test->terms.cma > 0 && test->missing <= test->terms.cma)
			return test;
	}
	return NULL;
}

static void add_causes(struct explain *x, uint32_t index, struct explain_item *item,
		       const struct node_tests *high)
{
	const struct node_test *cma = blocked_by_cma(high);
	uint64_t anon = node_stat(&x->state->machine.nodes[index], NR_INACTIVE_ANON) +
			node_stat(&x->state->machine.nodes[index], NR_ACTIVE_ANON);
	char size[24];

	if (cma != NULL)
		explain_proof(item,
			      "zoneinfo: %" PRId64 " free pages are CMA's, which kswapd does not"
			      " count",
			      cma->terms.cma);
	if (atomic_load(&x->state->machine.nr_swap_free) <= 0 && anon > 0) {
		explain_proof(item, "zoneinfo: %s of anonymous memory cannot go: no free swap",
			      explain_size(x, anon, size));
		explain_do(item, "add swap (zram needs no disk), or run less");
	} else {
		explain_do(item, "give the machine less to hold, or more memory");
	}
	if (cma != NULL)
		explain_do(item, "make the CMA area smaller (cma= on the kernel's command line)");
	explain_not(item, "raise min_free_kbytes: it moves the goal further away");
	explain_check(item, "pageoutrun and pgscan_kswapd in /proc/vmstat stop growing");
}

static void cannot_rest(struct explain *x, uint32_t index, const struct node_tests *high)
{
	bool hopeless = gave_up(x, index);
	struct explain_item *item =
		explain_item(x, EXPLAIN_FINDING, RANK_KSWAPD,
			     hopeless ? "kswapd-gave-up" : "kswapd-cannot-rest");
	char size[24];

	if (hopeless)
		explain_title(item, "kswapd%u gave up: its runs free nothing",
			      state_node_id(x->state, index));
	else
		explain_title(item,
			      "kswapd%u cannot rest: too little can be reclaimed for any zone to"
			      " reach its high mark",
			      state_node_id(x->state, index));
	prove_all(item, x, high, "high");
	explain_proof(item, "zoneinfo: at most %s of the node can be reclaimed",
		      explain_size(x, node_reclaimable(x, index), size));
	if (hopeless)
		explain_proof(item, "zoneinfo: node_unreclaimable 1: 16 runs in a row freed"
				    " nothing; it is not woken until a task frees something");
	add_causes(x, index, item, high);
}

/* It scans and gets nothing. */
static bool scans_in_vain(const struct explain *x, uint64_t *scanned)
{
	uint64_t stolen = 1;

	return explain_grown(x, COUNTER_SCAN_KSWAPD, scanned) && *scanned > 0 &&
	       explain_grown(x, COUNTER_STEAL_KSWAPD, &stolen) && stolen == 0;
}

static void unbalanced(struct explain *x, uint32_t index, const struct node_tests *high)
{
	uint64_t scanned = 0;
	bool in_vain = scans_in_vain(x, &scanned) && x->after->snapshot->nr_nodes == 1;
	struct explain_item *item =
		explain_item(x, in_vain ? EXPLAIN_FINDING : EXPLAIN_NOTE, RANK_KSWAPD,
			     in_vain ? "kswapd-in-vain" : "kswapd-at-work");

	if (in_vain)
		explain_title(item, "kswapd%u scans and frees nothing",
			      state_node_id(x->state, index));
	else if ((x->node[index].kswapd == KSWAPD_SLEEPS || x->node[index].kswapd == KSWAPD_RESTS))
		explain_title(item,
			      "node %u is below its high mark by %" PRId64
			      " pages, and kswapd sleeps until low is reached",
			      state_node_id(x->state, index), high->nearest->missing);
	else
		explain_title(item,
			      "kswapd%u has work: the best zone of its node is %" PRId64
			      " pages below its high mark",
			      state_node_id(x->state, index), high->nearest->missing);
	prove_all(item, x, high, "high");
	if (in_vain) {
		explain_proof(item,
			      "vmstat: pgscan_kswapd grew by %" PRIu64 ", pgsteal_kswapd by 0",
			      scanned);
		add_causes(x, index, item, high);
	}
}

/* A zone below its low mark looks alarming alone; one good zone is enough. */
static void note_low_zones(struct explain *x, const struct node_tests *high,
			   const struct node_tests *low)
{
	for (uint32_t i = 0; i < low->nr; i++) {
		const struct node_test *test = &low->zone[i];
		struct explain_item *item;

		/* Small zones that protect themselves are always below; its own mark counts. */
		int64_t alone = test->missing - test->terms.reserve;

		if (test->ok || alone <= 0)
			continue;
		item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR, "zone-below-low");
		explain_title(item,
			      "node %u %s is %" PRId64 " pages below its low mark, and that is"
			      " all right: requests take %s instead",
			      state_node_id(x->state, test->zone->node),
			      state_zone_name(x->state, test->zone), alone - 1,
			      state_zone_name(x->state, high->nearest->zone));
		prove_test(item, x, test, "low");
		for (uint32_t j = 0; j < low->nr; j++)
			if (low->zone[j].zone == high->nearest->zone)
				prove_test(item, x, &low->zone[j], "low");
		prove_test(item, x, high->nearest, "high");
		explain_proof(item, "one zone above its high mark balances the node: kswapd may"
				    " sleep");
	}
}

static void note_boost(struct explain *x, uint32_t index)
{
	const struct snapshot_node *node = &x->after->snapshot->node[index];
	struct explain_item *item;

	if (x->node[index].boost_pages == 0)
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR, "boost");
	explain_title(item,
		      "the marks of node %u are raised by %" PRIu64
		      " pages until kswapd has run once more",
		      node->id, x->node[index].boost_pages);
	for (uint32_t slot = 0; slot < NEAP_NR_ZONES; slot++)
		if (node->zone[slot].boost != 0)
			explain_proof(item, "zoneinfo: node %u %s: boost %" PRIu64, node->id,
				      state_zone_name(x->state,
						      &x->state->machine.nodes[index].zone[slot]),
				      node->zone[slot].boost);
	explain_proof(item, "a request took a block of another type; Linux then frees some more");
}

static void find_boost(struct explain *x, uint32_t index)
{
	const struct snapshot_node *node = &x->after->snapshot->node[index];
	const struct zoneinfo_doc *zoneinfo = x->after->zoneinfo;
	uint64_t value;

	for (uint32_t i = 0; i < zoneinfo->nr_zones; i++)
		if (zoneinfo->zones[i].node == node->id &&
		    zoneinfo_doc_get(zoneinfo, &zoneinfo->zones[i], "boost", &value))
			x->node[index].boost_known = true;
	/* Kernels before 5.0 do not boost at all. */
	if (x->after->kernel.most != 0 && x->after->kernel.most <= 500)
		x->node[index].boost_known = true;
	for (uint32_t slot = 0; slot < NEAP_NR_ZONES; slot++)
		x->node[index].boost_pages += node->zone[slot].boost;
}

static void explain_node(struct explain *x, uint32_t index)
{
	struct node_tests high, low;

	test_node(x, index, WMARK_HIGH, &high);
	test_node(x, index, WMARK_LOW, &low);
	find_boost(x, index);
	if (high.nearest == NULL) {
		x->node[index].kswapd = KSWAPD_SLEEPS;
		x->node[index].kswapd_because = "the node has no memory";
		return;
	}
	x->node[index].balanced = kswapd_balanced(&x->state->machine.nodes[index], 0,
						  state_node_limit(x->state, index));
	find_kswapd(x, index, &high, &low);
	note_boost(x, index);
	if (x->node[index].balanced)
		note_low_zones(x, &high, &low);
	if (x->node[index].balanced || high.nearest->missing <= high.drift)
		return;
	if (gave_up(x, index) || !could_balance(x, index))
		cannot_rest(x, index, &high);
	else
		unbalanced(x, index, &high);
}

void explain_nodes(struct explain *x)
{
	for (uint32_t n = 0; x->state != NULL && n < x->state->machine.nr_nodes; n++)
		explain_node(x, n);
}
