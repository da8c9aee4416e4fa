/*
 * The ledger of a machine's memory.
 *
 *     MemTotal  =  free  +  programs  +  cache  +  kernel  +  pools  + ...  +  the rest
 *                   |         |            |
 *                   CMA       huge pages   tmpfs            parts of a row: shown, not added
 *
 * meminfo's lines overlap: Mapped and Shmem are part of Cached, Dirty too, Mlocked of
 * Unevictable, stacks of VmallocUsed where they are mapped there, and the LRU lines are a
 * second account of the same pages as AnonPages and Cached. So each row is taken from one
 * line (or a difference of two), and the lines that would count a page again are left out.
 *
 * The rest is what no line names: pages that drivers took straight from the allocator,
 * a balloon, CMA areas in use, page pools. It is a range:
 *
 *     least  all rows at their most          most  + SwapCached (mapped pages of it are in
 *                                                  AnonPages as well), + rows whose label is
 *                                                  in doubt
 *
 * Before anything is added the file's own rules are checked: sums that meminfo makes from
 * the same counters in one read must hold exactly. Where one does not, numbers stand under
 * other labels than theirs, and every row that may be concerned widens the range.
 *
 * What must never happen: a page counted twice, or a rule taken for exact that per-CPU
 * differences can break (such rules are checked with the size of these differences).
 *
 * The arithmetic is that of spec 05, section 5; Linux: fs/proc/meminfo.c.
 */
#include "diag/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNTERS_IN_SUM 14u	 /* rows that are sums of per-CPU counters */
#define THRESHOLD_PAGES_MAX 125u /* by which a CPU's difference may lag (spec 04) */
#define KB_MAX ((uint64_t)1 << 50)
#define CPUS_ASSUMED 64u /* where no file tells how many there are */

struct ledger_name {
	const char *key, *name, *source;
	uint8_t depth;
};

static const struct ledger_name names[NR_LEDGER_ROWS] = {
	[LEDGER_FREE] = { "free", "free", "MemFree", 0 },
	[LEDGER_FREE_ANY] = { "free_any", "for every request", "MemFree - CmaFree", 1 },
	[LEDGER_FREE_CMA] = { "free_cma", "for movable pages only", "CmaFree", 1 },
	[LEDGER_PCP] = { "percpu_lists", "free, on per-CPU lists", "zoneinfo count", 0 },
	[LEDGER_ANON] = { "anon", "programs", "AnonPages", 0 },
	[LEDGER_ANON_HUGE] = { "anon_huge", "in huge pages", "AnonHugePages", 1 },
	[LEDGER_CACHE] = { "cache", "page cache", "Cached", 0 },
	[LEDGER_CACHE_FILES] = { "cache_files", "files", "Cached - Shmem", 1 },
	[LEDGER_CACHE_SHMEM] = { "cache_shmem", "tmpfs, shared memory", "Shmem", 1 },
	[LEDGER_BUFFERS] = { "buffers", "block devices' cache", "Buffers", 0 },
	[LEDGER_SWAPCACHE] = { "swapcache", "swap cache", "SwapCached", 0 },
	[LEDGER_SLAB] = { "slab", "kernel objects", "Slab", 0 },
	[LEDGER_SLAB_RECLAIMABLE] = { "slab_reclaimable", "reclaimable", "SReclaimable", 1 },
	[LEDGER_SLAB_FIXED] = { "slab_unreclaimable", "not reclaimable", "SUnreclaim", 1 },
	[LEDGER_MISC] = { "misc_reclaimable", "other reclaimable kernel memory",
			  "KReclaimable - SReclaimable", 0 },
	[LEDGER_TABLES] = { "page_tables", "page tables", "PageTables", 0 },
	[LEDGER_SEC_TABLES] = { "sec_page_tables", "page tables of guests, IOMMUs", "SecPageTables",
				0 },
	[LEDGER_VMALLOC] = { "vmalloc", "vmalloc, modules", "VmallocUsed", 0 },
	[LEDGER_STACKS] = { "stacks", "kernel stacks", "KernelStack", 0 },
	[LEDGER_PERCPU] = { "percpu", "per-CPU data", "Percpu", 0 },
	[LEDGER_HUGETLB] = { "hugetlb", "huge page pools", "Hugetlb", 0 },
	[LEDGER_HUGETLB_FREE] = { "hugetlb_free", "unused", "HugePages_Free", 1 },
	[LEDGER_COMPRESSED] = { "compressed", "compressed swap (zswap, zram)", "nr_zspages, Zswap",
				0 },
	[LEDGER_WRITEBACK] = { "writeback_tmp", "FUSE write-back", "WritebackTmp", 0 },
	[LEDGER_BALLOON] = { "balloon", "balloon of the hypervisor", "Balloon", 0 },
};

const char *ledger_row_name(enum ledger_row row)
{
	return names[row].name;
}

const char *ledger_row_source(enum ledger_row row)
{
	return names[row].source;
}

uint32_t ledger_row_depth(enum ledger_row row)
{
	return names[row].depth;
}

const char *ledger_row_key(enum ledger_row row)
{
	return names[row].key;
}

/* ---- rows ---- */

static uint64_t label_kb(const struct evidence *evidence, const char *label)
{
	uint64_t kb = 0;

	return evidence_kb(evidence, label, &kb) ? kb : 0;
}

static void set_row(struct ledger *ledger, enum ledger_row row, uint64_t kb)
{
	/* Beyond any machine: sums of such numbers must still fit. */
	kb = min_u64(kb, KB_MAX);
	ledger->row[row] = (struct ledger_entry){ .known = true, .kb = kb, .least_kb = kb };
}

/* A row that is one line of meminfo. */
static void take_line(struct ledger *ledger, const struct evidence *evidence, enum ledger_row row)
{
	uint64_t kb;

	if (evidence_kb(evidence, names[row].source, &kb))
		set_row(ledger, row, kb);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void take_free(struct ledger *ledger, const struct evidence *evidence)
{
	uint64_t total, cma;

	take_line(ledger, evidence, LEDGER_FREE);
	ledger->has_cma = evidence_kb(evidence, "CmaTotal", &total) &&
			  evidence_kb(evidence, "CmaFree", &cma) && total != 0;
	if (!ledger->has_cma) {
		/* Some boards print CmaFree alone. */
		if (!evidence_kb(evidence, "CmaFree", &cma) || cma == 0)
			return;
		total = 0;
	}
	ledger->cma_total_kb = total;
	ledger->cma_free_kb = cma;
	set_row(ledger, LEDGER_FREE_ANY, minus(ledger->row[LEDGER_FREE].kb, cma));
	set_row(ledger, LEDGER_FREE_CMA, cma);
}

/* Stacks lie in vmalloc's space on most 64-bit kernels, and are then in its line. */
static void take_stacks(struct ledger *ledger, const struct evidence *evidence)
{
	uint64_t stacks, vmalloc = label_kb(evidence, "VmallocUsed");

	if (!evidence_kb(evidence, "KernelStack", &stacks))
		return;
	ledger->stacks_inside = vmalloc >= stacks && vmalloc != 0;
	if (!ledger->stacks_inside)
		set_row(ledger, LEDGER_STACKS, stacks);
}

static void take_pools(struct ledger *ledger, const struct evidence *evidence)
{
	uint64_t kb, pages, size = label_kb(evidence, "Hugepagesize"), zswap = 0;

	if (evidence_kb(evidence, "Hugetlb", &kb))
		set_row(ledger, LEDGER_HUGETLB, kb);
	else if (meminfo_doc_count(evidence->meminfo, "HugePages_Total", &pages))
		set_row(ledger, LEDGER_HUGETLB, pages * size);
	if (ledger->row[LEDGER_HUGETLB].kb != 0 &&
	    meminfo_doc_count(evidence->meminfo, "HugePages_Free", &pages))
		set_row(ledger, LEDGER_HUGETLB_FREE, pages * size);
	/* zswap stores in the same kind of pages that zram uses; the larger number has both. */
	bool has_zswap = evidence_kb(evidence, "Zswap", &zswap);

	if (evidence->vmstat != NULL && vmstat_doc_get(evidence->vmstat, "nr_zspages", &pages))
		set_row(ledger, LEDGER_COMPRESSED,
			max_u64(zswap, pages * snapshot_page_kb(evidence->snapshot)));
	else if (has_zswap)
		set_row(ledger, LEDGER_COMPRESSED, zswap);
}

static void take_rows(struct ledger *ledger, const struct evidence *evidence)
{
	static const enum ledger_row lines[] = {
		LEDGER_ANON,	   LEDGER_ANON_HUGE, LEDGER_CACHE,	LEDGER_CACHE_SHMEM,
		LEDGER_BUFFERS,	   LEDGER_SWAPCACHE, LEDGER_SLAB,	LEDGER_SLAB_RECLAIMABLE,
		LEDGER_SLAB_FIXED, LEDGER_TABLES,    LEDGER_SEC_TABLES, LEDGER_VMALLOC,
		LEDGER_PERCPU,	   LEDGER_WRITEBACK, LEDGER_BALLOON,
	};
	uint64_t kb;

	take_free(ledger, evidence);
	for (uint32_t i = 0; i < ARRAY_LEN(lines); i++)
		take_line(ledger, evidence, lines[i]);
	if (ledger->row[LEDGER_CACHE].known && ledger->row[LEDGER_CACHE_SHMEM].known)
		set_row(ledger, LEDGER_CACHE_FILES,
			minus(ledger->row[LEDGER_CACHE].kb, ledger->row[LEDGER_CACHE_SHMEM].kb));
	/* A file without the sum has its parts. */
	if (!ledger->row[LEDGER_SLAB].known && ledger->row[LEDGER_SLAB_FIXED].known)
		set_row(ledger, LEDGER_SLAB,
			ledger->row[LEDGER_SLAB_FIXED].kb +
				ledger->row[LEDGER_SLAB_RECLAIMABLE].kb);
	if (evidence_kb(evidence, "KReclaimable", &kb) &&
	    ledger->row[LEDGER_SLAB_RECLAIMABLE].known &&
	    kb > ledger->row[LEDGER_SLAB_RECLAIMABLE].kb)
		set_row(ledger, LEDGER_MISC, kb - ledger->row[LEDGER_SLAB_RECLAIMABLE].kb);
	take_stacks(ledger, evidence);
	take_pools(ledger, evidence);
	/* Mapped pages of the swap cache are in AnonPages, too; how many is in no file. */
	ledger->row[LEDGER_SWAPCACHE].least_kb = 0;
	ledger->swap_total_kb = label_kb(evidence, "SwapTotal");
	ledger->swap_free_kb = label_kb(evidence, "SwapFree");
	ledger->file_lru_kb =
		label_kb(evidence, "Active(file)") + label_kb(evidence, "Inactive(file)");
}

/* ---- rules ---- */

static void broken(struct ledger *ledger, const char *text)
{
	if (ledger->nr_checks < LEDGER_CHECKS)
		snprintf(ledger->check[ledger->nr_checks++].text, sizeof(ledger->check[0].text),
			 "%s", text);
}

/* A line that is the sum of two others, added up in the same read. */
static bool check_sum(struct ledger *ledger, const struct evidence *evidence, const char *sum,
		      const char *first, const char *second)
{
	uint64_t s, a, b;
	char text[240];

	if (!evidence_kb(evidence, sum, &s) || !evidence_kb(evidence, first, &a) ||
	    !evidence_kb(evidence, second, &b) || s == a + b)
		return true;
	snprintf(text, sizeof(text),
		 "%s %" PRIu64 " is not %s %" PRIu64 " + %s %" PRIu64 " = %" PRIu64 " kB", sum, s,
		 first, a, second, b, a + b);
	broken(ledger, text);
	return false;
}

/* A line that counts a part of what another counts. slack: what per-CPU differences explain. */
static void check_part(struct ledger *ledger, const struct evidence *evidence, const char *part,
		       const char *whole, uint64_t slack_kb)
{
	uint64_t p, w;
	char text[240];

	if (!evidence_kb(evidence, part, &p) || !evidence_kb(evidence, whole, &w) ||
	    p <= w + slack_kb)
		return;
	snprintf(text, sizeof(text),
		 "%s %" PRIu64 " kB is more than %s %" PRIu64 " kB, of which it is a part", part, p,
		 whole, w);
	broken(ledger, text);
}

/* Lines that may well repeat a pair of numbers: the LRU's sums and their parts. */
static bool may_repeat(const char *name)
{
	return strncmp(name, "Active", 6) == 0 || strncmp(name, "Inactive", 8) == 0 ||
	       strncmp(name, "Swap", 4) == 0 || strncmp(name, "Cma", 3) == 0 ||
	       strncmp(name, "Vmalloc", 7) == 0 || strncmp(name, "DirectMap", 9) == 0;
}

/*
 * Two neighbouring numbers that stand again, under other labels, further down: somebody's lines
 * slipped. => the label of the second pair's first line, or NULL
 */
static const char *repeated_pair(const struct text_doc *doc, uint32_t at, uint32_t *where)
{
	const struct text_line *a = &doc->lines[at], *b = &doc->lines[at + 1];

	if (a->kind != MEMINFO_KB || b->kind != MEMINFO_KB || a->value < 1024 || b->value < 1024 ||
	    a->value == b->value || may_repeat(a->name) || may_repeat(b->name))
		return NULL;
	for (uint32_t i = at + 2; i + 1 < doc->nr_lines; i++)
		if (doc->lines[i].kind == MEMINFO_KB && doc->lines[i].value == a->value &&
		    doc->lines[i + 1].value == b->value && !may_repeat(doc->lines[i].name)) {
			*where = i;
			return doc->lines[i].name;
		}
	return NULL;
}

/* Rows whose label is in doubt may be anything down to nothing. */
static void doubt(struct ledger *ledger, const char *label)
{
	for (uint32_t row = 0; row < NR_LEDGER_ROWS; row++)
		if (names[row].depth == 0 && strcmp(names[row].source, label) == 0)
			ledger->row[row].least_kb = 0;
	/* The difference of two numbers of which one is another's is none. */
	if (strcmp(label, "KReclaimable") == 0)
		set_row(ledger, LEDGER_MISC, 0);
}

static void check_shift(struct ledger *ledger, const struct evidence *evidence)
{
	const struct text_doc *doc = &evidence->meminfo->doc;
	char text[240];

	for (uint32_t at = 0; at + 1 < doc->nr_lines; at++) {
		const struct text_line *a = &doc->lines[at], *b = &doc->lines[at + 1];
		uint32_t i = 0;

		if (repeated_pair(doc, at, &i) == NULL)
			continue;
		const struct text_line *c = &doc->lines[i], *d = &doc->lines[i + 1];

		snprintf(text, sizeof(text),
			 "%s and %s have the numbers of %s and %s (%" PRIu64 ", %" PRIu64
			 "): lines have slipped",
			 c->name, d->name, a->name, b->name, a->value, b->value);
		broken(ledger, text);
		/* Which of the two places is the wrong one, the file does not say. */
		doubt(ledger, a->name);
		doubt(ledger, c->name);
		doubt(ledger, d->name);
		at = i;
	}
}

static void check_slab(struct ledger *ledger, const struct evidence *evidence)
{
	struct ledger_entry *slab = &ledger->row[LEDGER_SLAB];
	uint64_t parts =
		ledger->row[LEDGER_SLAB_RECLAIMABLE].kb + ledger->row[LEDGER_SLAB_FIXED].kb;

	if (check_sum(ledger, evidence, "Slab", "SReclaimable", "SUnreclaim"))
		return;
	/* Either may be right. */
	slab->least_kb = min_u64(slab->kb, parts);
	slab->kb = max_u64(slab->kb, parts);
}

/* Numbers that one read of meminfo takes from one counter each. */
static void check_rules(struct ledger *ledger, const struct evidence *evidence)
{
	uint64_t slack = ledger->drift_kb / COUNTERS_IN_SUM * 2;

	check_slab(ledger, evidence);
	check_sum(ledger, evidence, "Active", "Active(anon)", "Active(file)");
	check_sum(ledger, evidence, "Inactive", "Inactive(anon)", "Inactive(file)");
	check_part(ledger, evidence, "MemFree", "MemTotal", 0);
	check_part(ledger, evidence, "MemAvailable", "MemTotal", 0);
	check_part(ledger, evidence, "SReclaimable", "KReclaimable", 0);
	check_part(ledger, evidence, "SwapFree", "SwapTotal", 0);
	check_part(ledger, evidence, "CmaFree", "CmaTotal", 0);
	check_part(ledger, evidence, "CmaFree", "MemFree", slack);
	check_part(ledger, evidence, "AnonHugePages", "AnonPages", slack);
	check_part(ledger, evidence, "Mlocked", "Unevictable", slack);
	check_shift(ledger, evidence);
}

/* ---- sums ---- */

/* Pages on per-CPU lists, and by how much the counters may lag. */
static void take_cpus(struct ledger *ledger, const struct evidence *evidence)
{
	const struct snapshot *snapshot = evidence->snapshot;
	uint64_t pages = 0, threshold = 0, cpus = 0;

	for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++) {
		if (!cpumask_test(&snapshot->online, cpu))
			continue;
		cpus++;
		for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++) {
			const struct snapshot_pageset *set = &snapshot->node[i / NEAP_NR_ZONES]
								      .zone[i % NEAP_NR_ZONES]
								      .pageset[cpu];

			pages += set->count;
			threshold = max_u64(threshold, set->threshold);
		}
	}
	uint64_t page_kb = snapshot_page_kb(snapshot);

	if (cpus != 0)
		set_row(ledger, LEDGER_PCP, pages * page_kb);
	else
		cpus = CPUS_ASSUMED;
	if (threshold == 0)
		threshold = THRESHOLD_PAGES_MAX;
	ledger->drift_kb = min_u64(COUNTERS_IN_SUM * cpus * threshold * page_kb, KB_MAX);
}

static void add_up(struct ledger *ledger)
{
	int64_t most = 0, least = 0;

	for (uint32_t row = 0; row < NR_LEDGER_ROWS; row++) {
		if (names[row].depth != 0)
			continue;
		most += (int64_t)ledger->row[row].kb;
		least += (int64_t)ledger->row[row].least_kb;
	}
	ledger->rest_low_kb = (int64_t)ledger->total_kb - most;
	ledger->rest_high_kb = (int64_t)ledger->total_kb - least;
}

static void check_total(struct ledger *ledger)
{
	char text[240];

	/* zoneinfo is of another moment: pages may have left the per-CPU lists meanwhile. */
	if (ledger->rest_high_kb + (int64_t)(ledger->drift_kb + ledger->row[LEDGER_PCP].kb) >= 0)
		return;
	snprintf(text, sizeof(text),
		 "the rows add up to %" PRId64 " kB more than MemTotal %" PRIu64 " kB",
		 -ledger->rest_high_kb, ledger->total_kb);
	broken(ledger, text);
}

/* ---- nodes ---- */

static void take_zone(struct ledger_node *node, const struct snapshot *snapshot,
		      const struct snapshot_zone *zone)
{
	uint64_t page_kb = snapshot_page_kb(snapshot);

	node->managed_kb += zone->managed * page_kb;
	node->free_kb += zone->free * page_kb;
	node->free_cma_kb += zone->stat[NR_FREE_CMA] * page_kb;
	for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++)
		if (cpumask_test(&snapshot->online, cpu))
			node->pcp_kb += zone->pageset[cpu].count * page_kb;
}

static void take_node(struct ledger_node *out, const struct snapshot *snapshot,
		      const struct snapshot_node *node)
{
	uint64_t page_kb = snapshot_page_kb(snapshot);
	const uint64_t *stat = node->stat;

	*out = (struct ledger_node){ .id = node->id };
	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		take_zone(out, snapshot, &node->zone[z]);
	out->anon_kb = stat[NR_ANON_PAGES] * page_kb;
	out->file_kb = stat[NR_FILE_PAGES] * page_kb;
	out->shmem_kb = stat[NR_SHMEM] * page_kb;
	out->slab_reclaimable_kb = stat[NR_SLAB_RECLAIMABLE] * page_kb;
	out->slab_fixed_kb = stat[NR_SLAB_UNRECLAIMABLE] * page_kb;
	out->tables_kb = (stat[NR_PAGE_TABLE_PAGES] + stat[NR_SEC_PAGE_TABLE_PAGES]) * page_kb;
	out->stacks_kb = stat[NR_KERNEL_STACK];
	/* Pools of huge pages have nowhere else to be on a machine of one node. */
	out->huge_kb = (snapshot->nr_nodes == 1 ? snapshot->huge_total : node->huge_total) * 2048;
	out->rest_kb = (int64_t)(out->managed_kb -
				 (out->free_kb + out->pcp_kb + out->anon_kb + out->file_kb +
				  out->slab_reclaimable_kb + out->slab_fixed_kb + out->tables_kb +
				  out->stacks_kb + out->huge_kb));
}

static void take_nodes(struct ledger *ledger, const struct snapshot *snapshot)
{
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		if (!snapshot->node[n].has_memory)
			continue;
		if (ledger->nr_nodes == LEDGER_NODES)
			ledger->nr_more_nodes++;
		else
			take_node(&ledger->node[ledger->nr_nodes++], snapshot, &snapshot->node[n]);
	}
}

bool ledger_make(const struct evidence *evidence, struct ledger *ledger)
{
	memset(ledger, 0, sizeof(*ledger));
	if (!evidence_kb(evidence, "MemTotal", &ledger->total_kb))
		return false;
	ledger->total_kb = min_u64(ledger->total_kb, KB_MAX);
	take_rows(ledger, evidence);
	take_cpus(ledger, evidence);
	check_rules(ledger, evidence);
	add_up(ledger);
	check_total(ledger);
	take_nodes(ledger, evidence->snapshot);
	return true;
}

/* ---- two readings ---- */

struct ledger_growth ledger_compare(const struct ledger *before, const struct ledger *after)
{
	struct ledger_growth growth = {
		.least_kb = after->rest_low_kb - before->rest_high_kb,
		.most_kb = after->rest_high_kb - before->rest_low_kb,
	};
	int64_t largest = 0;

	/* A file that lacks a row in one reading only compares nothing. */
	for (uint32_t row = 0; row < NR_LEDGER_ROWS; row++) {
		int64_t change = (int64_t)after->row[row].kb - (int64_t)before->row[row].kb;

		if (before->row[row].known != after->row[row].known)
			return growth;
		if (names[row].depth == 0 && change > largest)
			largest = change;
	}
	growth.certain = growth.least_kb > (int64_t)max_u64(before->drift_kb, after->drift_kb) &&
			 growth.least_kb > largest;
	return growth;
}
