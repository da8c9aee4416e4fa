/*
 * Who waits: pressure, direct reclaim, the OOM killer, and pages that come back.
 *
 *     pressure/memory   avg10: the share of the last ten seconds in which tasks waited
 *     vmstat            allocstall: tasks that had to reclaim for themselves
 *                       oom_kill, workingset_refault against pgsteal
 *     zoneinfo          low - min: what a burst may take before it has to wait
 *
 * Averages and growth between two readings tell of now; totals tell of all the time since boot,
 * and are notes. One percent of the last ten seconds is where a stall begins to be called
 * one: below it PSI counts single waits of a few milliseconds.
 *
 * What must never happen: a total since boot reported as if it were happening. A machine that
 * stalled once, at noon three weeks ago, is well.
 */
#include <inttypes.h>

#include "core/alloc.h"
#include "diag/explain_part.h"

#define PSI_STALL_HUNDREDTHS 100u /* 1 % */

/* ---- pressure ---- */

static void psi_item(struct explain *x, const struct snapshot_psi *some,
		     const struct snapshot_psi *full)
{
	struct explain_item *item =
		explain_item(x, EXPLAIN_FINDING, RANK_STALLS, "memory-pressure");

	explain_title(item, "tasks waited for memory %u.%02u %% of the last 10 s",
		      some->average_hundredths[0] / 100, some->average_hundredths[0] % 100);
	explain_proof(item, "pressure: some avg10=%u.%02u avg60=%u.%02u avg300=%u.%02u",
		      some->average_hundredths[0] / 100, some->average_hundredths[0] % 100,
		      some->average_hundredths[1] / 100, some->average_hundredths[1] % 100,
		      some->average_hundredths[2] / 100, some->average_hundredths[2] % 100);
	explain_proof(item, "pressure: full avg10=%u.%02u: all tasks that could run waited",
		      full->average_hundredths[0] / 100, full->average_hundredths[0] % 100);
	explain_do(item, "find who grows: the causes below, then ps or systemd-cgtop by memory");
	explain_check(item, "avg10 in /proc/pressure/memory falls to 0");
}

static void explain_psi(struct explain *x)
{
	const struct snapshot *snapshot = x->after->snapshot;
	struct explain_item *item;

	if (!evidence_has(x->after, EVIDENCE_PRESSURE) || snapshot->psi_some.total_us == 0)
		return;
	if (snapshot->psi_some.average_hundredths[0] >= PSI_STALL_HUNDREDTHS) {
		psi_item(x, &snapshot->psi_some, &snapshot->psi_full);
		return;
	}
	item = explain_item(x, EXPLAIN_NOTE, RANK_STALLS, "past-pressure");
	explain_title(item, "tasks waited %" PRIu64 ".%03u s for memory since boot, none of it now",
		      snapshot->psi_some.total_us / 1000000,
		      (uint32_t)(snapshot->psi_some.total_us / 1000 % 1000));
	explain_proof(item, "pressure: some avg10=%u.%02u total=%" PRIu64 " us",
		      snapshot->psi_some.average_hundredths[0] / 100,
		      snapshot->psi_some.average_hundredths[0] % 100, snapshot->psi_some.total_us);
}

/* ---- direct reclaim ---- */

/* Pages between low and min over all zones: what a burst may take. */
static uint64_t gap_pages(const struct explain *x)
{
	uint64_t gap = 0;

	for (uint32_t n = 0; x->state != NULL && n < x->state->machine.nr_nodes; n++) {
		for (uint32_t slot = 0; slot < NR_ZONES; slot++) {
			const struct zone *zone = &x->state->machine.nodes[n].zone[slot];
			uint64_t low = zone_mark(zone, WMARK_LOW), min = zone_mark(zone, WMARK_MIN);

			gap += low - min_u64(min, low);
		}
	}
	return gap;
}

static void prove_gap(const struct explain *x, struct explain_item *item)
{
	uint64_t gap = gap_pages(x);
	uint64_t ns = gap * snapshot_page_kb(x->after->snapshot) * (1000000000 / (1024 * 1024));
	char size[24], time[16];

	if (gap == 0)
		return;
	paint_time(ns, time);
	explain_proof(item,
		      "zoneinfo: low - min is %" PRIu64 " pages (%s): a burst of 1 GiB/s takes"
		      " that in %s",
		      gap, explain_size(x, gap, size), time);
}

static void direct_item(struct explain *x, uint64_t stalls)
{
	struct explain_item *item = explain_item(x, EXPLAIN_FINDING, RANK_STALLS, "direct-reclaim");
	uint64_t by_kswapd = 0, by_tasks = 0, low_quickly = 0;

	if (x->seconds > 0)
		explain_title(item,
			      "tasks had to reclaim for themselves %" PRIu64 " times in %.1f s",
			      stalls, x->seconds);
	else
		explain_title(item,
			      "tasks had to reclaim for themselves %" PRIu64
			      " times between the two readings",
			      stalls);
	explain_proof(item, "vmstat: allocstall grew by %" PRIu64, stalls);
	if (explain_grown(x, COUNTER_STEAL_KSWAPD, &by_kswapd) &&
	    explain_grown(x, COUNTER_STEAL_DIRECT, &by_tasks))
		explain_proof(item, "vmstat: kswapd freed %" PRIu64 " pages, tasks %" PRIu64,
			      by_kswapd, by_tasks);
	if (explain_grown(x, COUNTER_LOW_QUICKLY, &low_quickly) && low_quickly > 0)
		explain_proof(item,
			      "vmstat: kswapd was woken %" PRIu64
			      " times in its first 100 ms of rest",
			      low_quickly);
	prove_gap(x, item);
	explain_do(item, "if it comes in bursts, widen low - min: neap marks --want"
			 " absorb=RATE/s:TIME names the setting and its cost");
	explain_not(item, "raise min_free_kbytes far: all of it is closed to ordinary requests;"
			  " watermark_scale_factor widens the gap alone");
	explain_check(item, "allocstall_* in /proc/vmstat stop growing");
}

static void explain_direct(struct explain *x)
{
	uint64_t total = 0, growth = 0;
	struct explain_item *item;

	x->direct = DIRECT_UNKNOWN;
	if (!evidence_counter(x->after->vmstat, COUNTER_ALLOCSTALL, &total))
		return;
	x->direct = total == 0 ? DIRECT_NEVER : DIRECT_BEFORE;
	x->direct_count = total;
	if (explain_grown(x, COUNTER_ALLOCSTALL, &growth) && growth > 0) {
		x->direct = DIRECT_BETWEEN;
		x->direct_count = growth;
		direct_item(x, growth);
		return;
	}
	if (total == 0)
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_STALLS, "past-direct-reclaim");
	explain_title(item, "tasks reclaimed for themselves %" PRIu64 " times since boot%s", total,
		      x->before != NULL ? ", not between the readings" : "");
	explain_proof(item, "vmstat: allocstall %" PRIu64, total);
	if (x->before == NULL)
		explain_check(item, "--watch 10, or a second reading, says whether it goes on");
}

/* ---- the OOM killer ---- */

static void explain_oom(struct explain *x)
{
	uint64_t total = 0, growth = 0;
	struct explain_item *item;

	if (!evidence_counter(x->after->vmstat, COUNTER_OOM_KILL, &total) || total == 0)
		return;
	if (explain_grown(x, COUNTER_OOM_KILL, &growth) && growth > 0) {
		item = explain_item(x, EXPLAIN_FINDING, RANK_FAILS, "oom-kill");
		explain_title(item, "%" PRIu64 " process%s killed for want of memory", growth,
			      growth == 1 ? " was" : "es were");
		explain_proof(item, "vmstat: oom_kill grew by %" PRIu64, growth);
		explain_do(item, "read the report in the kernel log: neap decode");
		explain_check(item, "oom_kill in /proc/vmstat stops growing");
		return;
	}
	item = explain_item(x, EXPLAIN_NOTE, RANK_FAILS, "past-oom-kill");
	explain_title(item, "%" PRIu64 " process%s killed for want of memory since boot%s", total,
		      total == 1 ? " was" : "es were",
		      x->before != NULL ? ", none between the readings" : "");
	explain_proof(item, "vmstat: oom_kill %" PRIu64 " (machine or memory group)", total);
}

/* ---- thrashing ---- */

static void explain_refaults(struct explain *x)
{
	uint64_t refaults = 0, by_kswapd = 0, by_tasks = 0, swapped = 0;
	struct explain_item *item;

	if (!explain_grown(x, COUNTER_REFAULT, &refaults) ||
	    !explain_grown(x, COUNTER_STEAL_KSWAPD, &by_kswapd) ||
	    !explain_grown(x, COUNTER_STEAL_DIRECT, &by_tasks))
		return;
	uint64_t stolen = by_kswapd + by_tasks;

	/* Every second page that was reclaimed was still needed, and it is no handful. */
	if (stolen == 0 || refaults * 2 < stolen || stolen < gap_pages(x))
		return;
	item = explain_item(x, explain_is_stalling(x) ? EXPLAIN_FINDING : EXPLAIN_NOTE, RANK_CAUSE,
			    "thrashing");
	explain_title(item,
		      "what is reclaimed is needed again: %" PRIu64 " pages came back of %" PRIu64
		      " reclaimed",
		      refaults, stolen);
	explain_proof(item, "vmstat: workingset_refault grew by %" PRIu64, refaults);
	explain_proof(item, "vmstat: pgsteal_kswapd and pgsteal_direct by %" PRIu64, stolen);
	if (explain_grown(x, COUNTER_SWAP_IN, &swapped))
		explain_proof(item, "vmstat: pswpin grew by %" PRIu64 " pages", swapped);
	explain_do(item, "the working set is larger than memory: run less at a time, or add"
			 " memory");
	explain_not(item, "change swappiness: it only chooses which part of it comes back");
	explain_check(item, "workingset_refault_* grow slower than pgsteal_*");
}

/* Runs of kswapd that scan nothing at all: its conditions contradict each other. */
static void explain_empty_runs(struct explain *x)
{
	uint64_t runs = 0, scanned = 0;
	bool grown = explain_grown(x, COUNTER_PAGEOUTRUN, &runs) &&
		     explain_grown(x, COUNTER_SCAN_KSWAPD, &scanned);
	struct explain_item *item;

	if (!grown && (!evidence_counter(x->after->vmstat, COUNTER_PAGEOUTRUN, &runs) ||
		       !evidence_counter(x->after->vmstat, COUNTER_SCAN_KSWAPD, &scanned)))
		return;
	if (runs < 1000 || scanned > runs)
		return;
	item = explain_item(x, grown ? EXPLAIN_FINDING : EXPLAIN_NOTE, RANK_KSWAPD,
			    "kswapd-empty-runs");
	explain_title(item,
		      "kswapd ran %" PRIu64 " times %s and scanned %" PRIu64
		      " pages: it turns in a circle",
		      runs, grown ? "between the readings" : "since boot", scanned);
	explain_proof(item, "vmstat: pageoutrun %" PRIu64 ", pgscan_kswapd %" PRIu64, runs,
		      scanned);
	explain_proof(item, "a run without a page scanned does nothing: a defect of the kernel");
	explain_do(item, "try another kernel release, and report this with zoneinfo and vmstat");
	explain_not(item, "change the marks: kswapd does not run for want of memory");
	explain_check(item, "pageoutrun in /proc/vmstat grows slower than pgscan_kswapd");
}

void explain_stalls(struct explain *x)
{
	explain_psi(x);
	explain_direct(x);
	explain_oom(x);
	explain_refaults(x);
	explain_empty_runs(x);
}

/* ---- memory groups ---- */

#define CHARGE_BATCH_BYTES (64 * NEAP_PAGE_BYTES) /* what the kernel charges at a time */

static void group_item(struct explain *x, const struct evidence_group *group, bool stalls)
{
	struct explain_item *item = explain_item(x, stalls ? EXPLAIN_FINDING : EXPLAIN_NOTE,
						 RANK_STALLS + 1, "group-at-limit");
	char current[24], max[24], file[24];

	explain_title(item, "the memory group is at its limit of %s%s",
		      explain_kb_size(group->max_bytes / KIB, max),
		      stalls ? ", and its tasks wait" : "");
	explain_proof(item, "memory.current: %s of memory.max %s",
		      explain_kb_size(group->current_bytes / KIB, current), max);
	if (group->has_events)
		explain_proof(item, "memory.events: max %" PRIu64 " oom_kill %" PRIu64,
			      group->nr_max, group->nr_oom_kill);
	if (group->has_stat)
		explain_proof(item, "memory.stat: %s of it is page cache, which goes when needed",
			      explain_kb_size((group->file_bytes -
					       min_u64(group->shmem_bytes, group->file_bytes)) /
						      KIB,
					      file));
	if (group->has_pressure)
		explain_proof(item, "memory.pressure: some avg10=%u.%02u",
			      group->psi_some.average_hundredths[0] / 100,
			      group->psi_some.average_hundredths[0] % 100);
	if (!stalls)
		return;
	explain_do(item, "raise memory.max, or make the group's tasks smaller");
	explain_not(item, "look at the machine's free memory: the group reclaims from itself"
			  " alone");
	explain_check(item, "max in memory.events stops growing");
}

void explain_group(struct explain *x)
{
	const struct evidence_group *group = &x->after->group;
	const struct evidence_group *before = x->before != NULL ? &x->before->group : NULL;
	struct explain_item *item;
	char size[24];

	if (!group->known)
		return;
	if (before != NULL && before->has_events && group->nr_oom_kill > before->nr_oom_kill) {
		item = explain_item(x, EXPLAIN_FINDING, RANK_FAILS + 1, "group-oom-kill");
		explain_title(item, "the memory group's limit of %s killed a process",
			      explain_kb_size(group->max_bytes / KIB, size));
		explain_proof(item, "memory.events: oom_kill %" PRIu64 ", %" PRIu64 " before",
			      group->nr_oom_kill, before->nr_oom_kill);
		explain_do(item, "raise memory.max, or find the leak in the group");
		explain_check(item, "oom_kill in memory.events stops growing");
	}
	if (group->max_bytes == EVIDENCE_NO_LIMIT ||
	    group->current_bytes + CHARGE_BATCH_BYTES <= group->max_bytes)
		return;
	bool waits = group->has_pressure &&
		     group->psi_some.average_hundredths[0] >= PSI_STALL_HUNDREDTHS;

	group_item(x, group, waits);
}
