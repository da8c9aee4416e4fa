/*
 * Counters and kernels by name.
 *
 *     before 4.8    pgscan_direct_normal pgsteal_kswapd_dma32 allocstall      zone by zone
 *     4.8 to 5.8    pgscan_direct, allocstall_normal ...    workingset_refault
 *     5.9 and later                                         workingset_refault_anon, _file
 *
 * One question ("how often did tasks reclaim for themselves?") has other names in other kernels;
 * a counter here is the sum of all that mean it. Likewise a name that only some kernels
 * have tells which kernel wrote a file: each line of the table below is the first release
 * that has it, or the first that has it no more.
 *
 * Vendors take names over into older kernels, so the least release is a guess and said to be
 * one. What must never happen: a rule applied because of the guess alone where the
 * files contradict it.
 */
#include <string.h>

#include "diag/evidence_part.h"
#include "text/sysctls.h"

/* A name, or the beginning of several when it ends with '*'. */
struct counter_names {
	const char *say;
	const char *names[4];
	const char *except; /* a beginning that does not count */
};

static const struct counter_names counters[NR_EVIDENCE_COUNTERS] = {
	[COUNTER_ALLOCSTALL] = { "allocstall", { "allocstall", "allocstall_*" }, NULL },
	[COUNTER_PAGEOUTRUN] = { "pageoutrun", { "pageoutrun" }, NULL },
	[COUNTER_LOW_QUICKLY] = { "kswapd_low_wmark_hit_quickly",
				  { "kswapd_low_wmark_hit_quickly" },
				  NULL },
	[COUNTER_HIGH_QUICKLY] = { "kswapd_high_wmark_hit_quickly",
				   { "kswapd_high_wmark_hit_quickly" },
				   NULL },
	[COUNTER_SCAN_KSWAPD] = { "pgscan_kswapd", { "pgscan_kswapd", "pgscan_kswapd_*" }, NULL },
	[COUNTER_SCAN_DIRECT] = { "pgscan_direct",
				  { "pgscan_direct", "pgscan_direct_*" },
				  "pgscan_direct_throttle" },
	[COUNTER_STEAL_KSWAPD] = { "pgsteal_kswapd",
				   { "pgsteal_kswapd", "pgsteal_kswapd_*" },
				   NULL },
	[COUNTER_STEAL_DIRECT] = { "pgsteal_direct",
				   { "pgsteal_direct", "pgsteal_direct_*" },
				   NULL },
	[COUNTER_REFAULT] = { "workingset_refault",
			      { "workingset_refault", "workingset_refault_*" },
			      NULL },
	[COUNTER_REFAULT_ACTIVATE] = { "workingset_activate",
				       { "workingset_activate", "workingset_activate_*" },
				       NULL },
	[COUNTER_SWAP_IN] = { "pswpin", { "pswpin" }, NULL },
	[COUNTER_SWAP_OUT] = { "pswpout", { "pswpout" }, NULL },
	[COUNTER_COMPACT_STALL] = { "compact_stall", { "compact_stall" }, NULL },
	[COUNTER_COMPACT_FAIL] = { "compact_fail", { "compact_fail" }, NULL },
	[COUNTER_COMPACT_SUCCESS] = { "compact_success", { "compact_success" }, NULL },
	[COUNTER_THP_FALLBACK] = { "thp_fault_fallback", { "thp_fault_fallback" }, NULL },
	[COUNTER_THP_ALLOC] = { "thp_fault_alloc", { "thp_fault_alloc" }, NULL },
	[COUNTER_OOM_KILL] = { "oom_kill", { "oom_kill" }, NULL },
};

static bool name_is(const char *name, const char *pattern)
{
	size_t length = strlen(pattern);

	if (length > 0 && pattern[length - 1] == '*')
		return strncmp(name, pattern, length - 1) == 0;
	return strcmp(name, pattern) == 0;
}

bool evidence_counter(const struct vmstat_doc *vmstat, enum evidence_counter counter,
		      uint64_t *value)
{
	const struct counter_names *names = &counters[counter];
	uint64_t sum = 0;
	bool any = false;

	for (uint32_t i = 0; vmstat != NULL && i < vmstat->doc.nr_lines; i++) {
		const struct text_line *line = &vmstat->doc.lines[i];

		if (line->kind != VMSTAT_VALUE ||
		    (names->except != NULL && strcmp(line->name, names->except) == 0))
			continue;
		for (uint32_t j = 0; j < ARRAY_LEN(names->names) && names->names[j] != NULL; j++) {
			if (!name_is(line->name, names->names[j]))
				continue;
			sum += line->value;
			any = true;
			break;
		}
	}
	if (any)
		*value = sum;
	return any;
}

const char *evidence_counter_name(enum evidence_counter counter)
{
	return counters[counter].say;
}

bool evidence_kb(const struct evidence *evidence, const char *label, uint64_t *kb)
{
	return evidence->meminfo != NULL && meminfo_doc_kb(evidence->meminfo, label, kb);
}

bool evidence_setting(const struct evidence *evidence, const char *name, int64_t *value)
{
	return sysctls_snapshot_number(evidence->snapshot, name, 0, value);
}

/* ---- which kernel ---- */

struct mark_of_release {
	enum evidence_file file;
	const char *name;
	uint32_t since; /* the first release that has the name; 0: always */
	uint32_t until; /* the first that lacks it again; 0: still there */
};

static const struct mark_of_release marks_of_release[] = {
	{ EVIDENCE_MEMINFO, "MemAvailable", 314, 0 },
	{ EVIDENCE_MEMINFO, "KReclaimable", 420, 0 },
	{ EVIDENCE_MEMINFO, "FileHugePages", 504, 0 },
	{ EVIDENCE_MEMINFO, "Zswap", 519, 0 },
	{ EVIDENCE_MEMINFO, "SecPageTables", 601, 0 },
	{ EVIDENCE_MEMINFO, "Balloon", 618, 0 },
	{ EVIDENCE_VMSTAT, "allocstall", 0, 410 },
	{ EVIDENCE_VMSTAT, "allocstall_normal", 410, 0 },
	{ EVIDENCE_VMSTAT, "workingset_refault", 0, 509 },
	{ EVIDENCE_VMSTAT, "workingset_refault_anon", 509, 0 },
	{ EVIDENCE_VMSTAT, "pgdemote_kswapd", 515, 0 },
	{ EVIDENCE_VMSTAT, "nr_sec_page_table_pages", 601, 0 },
	{ EVIDENCE_VMSTAT, "pgscan_khugepaged", 603, 0 },
	{ EVIDENCE_VMSTAT, "nr_hugetlb", 613, 0 },
	{ EVIDENCE_VMSTAT, "nr_bounce", 0, 617 },
	{ EVIDENCE_ZONEINFO, "nr_zone_inactive_anon", 408, 0 },
	{ EVIDENCE_ZONEINFO, "cma", 513, 0 },
	{ EVIDENCE_ZONEINFO, "boost", 515, 0 },
	{ EVIDENCE_ZONEINFO, "promo", 612, 0 },
};

static bool has_name(const struct evidence *e, const struct mark_of_release *mark)
{
	uint64_t value;

	switch (mark->file) {
	case EVIDENCE_MEMINFO:
		return e->meminfo != NULL && meminfo_doc_kb(e->meminfo, mark->name, &value);
	case EVIDENCE_VMSTAT:
		return e->vmstat != NULL && vmstat_doc_get(e->vmstat, mark->name, &value);
	default:
		return e->zoneinfo != NULL && e->zoneinfo->nr_zones != 0 &&
		       zoneinfo_doc_get(e->zoneinfo, &e->zoneinfo->zones[0], mark->name, &value);
	}
}

void evidence_guess_kernel(struct evidence *e)
{
	struct evidence_kernel *kernel = &e->kernel;

	for (uint32_t i = 0; i < ARRAY_LEN(marks_of_release); i++) {
		const struct mark_of_release *mark = &marks_of_release[i];

		if (!has_name(e, mark))
			continue;
		if (mark->since > kernel->least) {
			kernel->least = mark->since;
			kernel->because = mark->name;
		}
		if (mark->until != 0 && (kernel->most == 0 || mark->until < kernel->most))
			kernel->most = mark->until;
	}
}
