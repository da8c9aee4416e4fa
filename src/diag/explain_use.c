/*
 * What memory is used for that cannot be taken back, and labels that cannot be right.
 *
 *     free  ─┬─ for anybody
 *            └─ CMA: for movable requests only
 *     cache ─┬─ file pages: reclaimable
 *            └─ Shmem (tmpfs, shared memory): swap or nothing
 *     huge page pool, free: for nobody who does not ask for it
 *     mlocked and other unevictable pages: never
 *
 * These are causes. Alone they are notes; they become findings where something stalls, because then
 * they are what could be changed.
 *
 * Without a zoneinfo there are no marks and no test. A meminfo alone still says how much could be
 * free for whom at most, and what marks of this size of machine usually are.
 *
 * What must never happen: Shmem counted as cache that goes when needed, or CMA's free
 * pages as free for the kernel.
 */
#include <inttypes.h>

#include "diag/explain_part.h"
#include "text/zonename.h"

static bool kb_of(const struct explain *x, const char *label, uint64_t *kb)
{
	return evidence_kb(x->after, label, kb);
}

static enum explain_level cause_level(const struct explain *x)
{
	return explain_is_stalling(x) ? EXPLAIN_FINDING : EXPLAIN_NOTE;
}

/* tmpfs without swap stays for ever. */
static void explain_shmem(struct explain *x)
{
	uint64_t shmem = 0, file = 0, active = 0, swap = 0, total = 0;
	struct explain_item *item;
	char size[24], rest[24];

	if (!kb_of(x, "Shmem", &shmem) || !kb_of(x, "Active(file)", &active) ||
	    !kb_of(x, "Inactive(file)", &file) || !kb_of(x, "SwapFree", &swap) ||
	    !kb_of(x, "MemTotal", &total))
		return;
	file += active;
	/* More of it than of cache that can go: only then "cached" misleads. */
	if (swap >= shmem || shmem <= file || shmem < total / 100)
		return;
	item = explain_item(x, cause_level(x), RANK_CAUSE + 1, "shmem-stays");
	explain_title(item, "%s of tmpfs and shared memory cannot be reclaimed: no room in swap",
		      explain_kb_size(shmem, size));
	explain_proof(item,
		      "meminfo: Shmem %" PRIu64 " kB is part of Cached, SwapFree %" PRIu64 " kB",
		      shmem, swap);
	explain_proof(item, "meminfo: only %s is file cache that can go",
		      explain_kb_size(file, rest));
	explain_do(item, "empty /dev/shm, /tmp and /run (df -t tmpfs), or add swap");
	explain_not(item, "count it as cache: dropping caches leaves it");
}

/* A pool of huge pages that nobody uses, while others wait. */
static void explain_pool(struct explain *x)
{
	uint64_t nr = 0, reserved = 0, kb = 0, total = 0;
	struct explain_item *item;
	char size[24];

	if (x->after->meminfo == NULL ||
	    !meminfo_doc_count(x->after->meminfo, "HugePages_Free", &nr) ||
	    !kb_of(x, "Hugepagesize", &kb) || !kb_of(x, "MemTotal", &total))
		return;
	(void)meminfo_doc_count(x->after->meminfo, "HugePages_Rsvd", &reserved);
	nr -= min_u64(nr, reserved);
	if (nr == 0 || kb == 0 || nr > UINT64_MAX / kb || nr * kb < total / 20)
		return;
	item = explain_item(x, cause_level(x), RANK_CAUSE + 2, "pool-unused");
	explain_title(item, "%s lie unused in the pool of huge pages",
		      explain_kb_size(nr * kb, size));
	explain_proof(item, "meminfo: HugePages_Free less HugePages_Rsvd is %" PRIu64, nr);
	explain_do(item, "lower vm.nr_hugepages if no program is going to use them");
}

static void explain_locked(struct explain *x)
{
	uint64_t kb = 0, total = 0;
	struct explain_item *item;
	char size[24];

	if (!kb_of(x, "Unevictable", &kb) || !kb_of(x, "MemTotal", &total) || kb < total / 4)
		return;
	item = explain_item(x, cause_level(x), RANK_CAUSE + 3, "unevictable");
	explain_title(item, "%s are locked in memory", explain_kb_size(kb, size));
	explain_proof(item, "meminfo: Unevictable %" PRIu64 " kB of MemTotal %" PRIu64 " kB", kb,
		      total);
}

/* Most of what is free is not for everybody. */
static void explain_cma(struct explain *x)
{
	uint64_t free_kb = 0, cma = 0, total = 0;
	struct explain_item *item;
	char size[24];

	if (!kb_of(x, "MemFree", &free_kb) || !kb_of(x, "CmaFree", &cma) ||
	    !kb_of(x, "CmaTotal", &total) || total == 0 || cma * 2 < free_kb)
		return;
	item = explain_item(x, EXPLAIN_NOTE, RANK_CAUSE, "cma-free");
	explain_title(item, "only %s of the free memory are for requests that may not use CMA",
		      explain_kb_size(free_kb - min_u64(cma, free_kb), size));
	explain_proof(item,
		      "meminfo: MemFree %" PRIu64 " kB - CmaFree %" PRIu64 " kB = %" PRIu64 " kB",
		      free_kb, cma, free_kb - min_u64(cma, free_kb));
	explain_proof(item, "meminfo: CMA in use %" PRIu64 " kB of CmaTotal %" PRIu64 " kB",
		      total - min_u64(cma, total), total);
	explain_proof(item, "kswapd does not count CMA's free pages either");
}

/* ---- a meminfo without zoneinfo ---- */

#define RAISE_KB 22528u /* a zone's part of what huge pages ask min_free_kbytes to be */

/* What is free for kernel requests, as far as meminfo knows. */
struct usable {
	uint64_t kb, cma_kb;
	bool low; /* only LowFree: a 32-bit machine with HighMem */
};

static bool find_usable(const struct explain *x, struct usable *out)
{
	uint64_t free_kb = 0, high = 0;

	*out = (struct usable){ .kb = 0 };
	out->low = kb_of(x, "HighTotal", &high) && high != 0 && kb_of(x, "LowFree", &free_kb);
	if (!out->low && !kb_of(x, "MemFree", &free_kb))
		return false;
	(void)kb_of(x, "CmaFree", &out->cma_kb);
	out->kb = free_kb - min_u64(out->cma_kb, free_kb);
	return true;
}

static const char *rest_word(uint64_t usable_kb, uint64_t min_kb)
{
	return usable_kb > min_kb * 3 / 2   ? "could rest"
	       : usable_kb < min_kb * 5 / 4 ? "would never rest"
					    : "would go on once woken";
}

/* The marks that this machine may have, and what kswapd would do with them. */
static void prove_marks(const struct explain *x, struct explain_item *item, uint64_t usable_kb)
{
	uint64_t huge = 0;
	int64_t min = 0;

	if (evidence_setting(x->after, "min_free_kbytes", &min) && min > 0) {
		explain_proof(item,
			      "sys/vm: min_free_kbytes %" PRId64 ": the marks add up to at least"
			      " %" PRId64 "/%" PRId64 "/%" PRId64 " kB, so kswapd %s",
			      min, min, min * 5 / 4, min * 3 / 2,
			      rest_word(usable_kb, (uint64_t)min));
		return;
	}
	if (!kb_of(x, "AnonHugePages", &huge) || huge == 0)
		return;
	for (uint32_t zones = 2; zones <= 3; zones++)
		explain_proof(item,
			      "huge pages are in use: with %u zones the marks are %u/%u/%u kB, so"
			      " kswapd %s",
			      zones, zones * RAISE_KB, zones * RAISE_KB * 5 / 4,
			      zones * RAISE_KB * 3 / 2, rest_word(usable_kb, zones * RAISE_KB));
}

/* Is what is free near the marks that such a machine may have? */
static bool is_near_marks(const struct explain *x, const struct usable *usable)
{
	uint64_t total = 0;
	int64_t min = 0;

	if (evidence_setting(x->after, "min_free_kbytes", &min) && min > 0)
		return usable->kb < (uint64_t)min * 3 / 2;
	/* Three zones are the most that ordinary machines have; below 512 MiB marks are small. */
	return usable->kb < 3u * RAISE_KB * 3 / 2 &&
	       (!kb_of(x, "MemTotal", &total) || total >= 512u * 1024);
}

/* Would kswapd rest with so much for everybody? It depends on marks that no one has shown. */
static void explain_without_zones(struct explain *x)
{
	uint64_t active = 0, file = 0, swap = 0;
	struct explain_item *item;
	struct usable usable;
	char size[24];

	if (x->state != NULL || !find_usable(x, &usable) || !is_near_marks(x, &usable))
		return;
	(void)kb_of(x, "SwapFree", &swap);
	item = explain_item(x, EXPLAIN_UNKNOWN, RANK_KSWAPD, "kswapd-rest-unknown");
	explain_title(item,
		      "whether kswapd can rest: %s are free for it to count; zoneinfo, with the"
		      " marks, would tell",
		      explain_kb_size(usable.kb, size));
	explain_proof(item, "meminfo: %s %" PRIu64 " kB - CmaFree %" PRIu64 " kB = %" PRIu64 " kB",
		      usable.low ? "LowFree" : "MemFree", usable.kb + usable.cma_kb, usable.cma_kb,
		      usable.kb);
	if (usable.low)
		explain_proof(item, "meminfo: the kernel cannot use what is free in HighMem");
	if (kb_of(x, "Active(file)", &active) && kb_of(x, "Inactive(file)", &file))
		explain_proof(item, "meminfo: %s of file pages can be reclaimed%s",
			      explain_kb_size(file + active, size),
			      swap == 0 ? ", no swap: almost nothing if that is little" : "");
	prove_marks(x, item, usable.kb);
}

/* The kernel's own estimate is nothing, and neither cache nor swap is left. */
static void explain_exhausted(struct explain *x)
{
	uint64_t available = 0, active = 0, file = 0, swap = 0, total = 0;
	struct explain_item *item;

	if (x->state != NULL || !kb_of(x, "MemAvailable", &available) || available != 0 ||
	    !kb_of(x, "MemTotal", &total) || !kb_of(x, "SwapFree", &swap) ||
	    !kb_of(x, "Active(file)", &active) || !kb_of(x, "Inactive(file)", &file) ||
	    file + active + swap > total / 100)
		return;
	item = explain_item(x, EXPLAIN_FINDING, RANK_FAILS, "exhausted");
	explain_title(item, "memory is exhausted: nothing is available, and nothing can go");
	explain_proof(item, "meminfo: MemAvailable 0 kB: less is free than the kernel reserves");
	explain_proof(item,
		      "meminfo: file cache %" PRIu64 " kB, SwapFree %" PRIu64 " kB of %" PRIu64
		      " kB of memory",
		      file + active, swap, total);
	explain_do(item, "stop the largest program; the OOM killer is the next step");
	explain_check(item, "MemAvailable in /proc/meminfo");
}

/* ---- labels that contradict each other ---- */

struct identity {
	const char *whole, *part, *other;
};

static const struct identity identities[] = {
	{ "Active", "Active(anon)", "Active(file)" },
	{ "Inactive", "Inactive(anon)", "Inactive(file)" },
	{ "Slab", "SReclaimable", "SUnreclaim" },
};

static void explain_labels(struct explain *x)
{
	struct explain_item *item = NULL;

	for (uint32_t i = 0; i < ARRAY_LEN(identities); i++) {
		uint64_t whole = 0, part = 0, other = 0;

		if (!kb_of(x, identities[i].whole, &whole) ||
		    !kb_of(x, identities[i].part, &part) ||
		    !kb_of(x, identities[i].other, &other) || whole == part + other)
			continue;
		if (item == NULL) {
			item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR, "labels");
			explain_title(item, "lines of meminfo contradict each other: labels are"
					    " shifted, or it was edited");
		}
		explain_proof(item, "meminfo: %s %" PRIu64 " is not %s %" PRIu64 " + %s %" PRIu64,
			      identities[i].whole, whole, identities[i].part, part,
			      identities[i].other, other);
	}
}

/* What no healthy kernel prints: the counter is wrong, not the machine. */
static void explain_sizes(struct explain *x)
{
	static const char *const parts[] = { "MemFree", "MemAvailable", "Inactive(file)",
					     "Active(file)", "AnonPages" };
	const struct snapshot *snapshot = x->after->snapshot;
	struct explain_item *item = NULL;
	uint64_t total = 0, part = 0;

	for (uint32_t i = 0; kb_of(x, "MemTotal", &total) && i < ARRAY_LEN(parts); i++) {
		if (!kb_of(x, parts[i], &part) || part <= total)
			continue;
		if (item == NULL)
			item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR, "impossible");
		explain_proof(item,
			      "meminfo: %s %" PRIu64 " kB is more than MemTotal %" PRIu64 " kB",
			      parts[i], part, total);
	}
	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++) {
		const struct snapshot_zone *zone =
			&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];

		if (zone->managed <= zone->present && zone->present <= zone->spanned)
			continue;
		if (item == NULL)
			item = explain_item(x, EXPLAIN_NOTE, RANK_MINOR, "impossible");
		explain_proof(item,
			      "zoneinfo: %s: spanned %" PRIu64 " >= present %" PRIu64
			      " >= managed %" PRIu64 " does not hold",
			      zonename_in(snapshot, zone->type), zone->spanned, zone->present,
			      zone->managed);
	}
	if (item != NULL)
		explain_title(item,
			      "some numbers are impossible: a counter of the kernel is wrong");
}

/* ---- swap ---- */

static void explain_swap(struct explain *x)
{
	uint64_t total = 0, left = 0;
	struct explain_item *item;

	if (!kb_of(x, "SwapTotal", &total) || !kb_of(x, "SwapFree", &left) || total == 0 ||
	    left > total / 100)
		return;
	item = explain_item(x, cause_level(x), RANK_CAUSE, "swap-full");
	explain_title(item, "swap is full");
	explain_proof(item, "meminfo: SwapFree %" PRIu64 " kB of SwapTotal %" PRIu64 " kB", left,
		      total);
	explain_do(item, "add swap, or run less: anonymous memory has nowhere to go");
}

void explain_use(struct explain *x)
{
	explain_shmem(x);
	explain_pool(x);
	explain_locked(x);
	explain_swap(x);
	explain_cma(x);
	explain_without_zones(x);
	explain_exhausted(x);
	explain_labels(x);
	explain_sizes(x);
}
