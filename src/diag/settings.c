/*
 * Settings between saved files, knobs and a plan.
 *
 *     snapshot ── settings_read ──> knobs ──┐
 *        │                                  ├── settings_write: "NAME=VALUE", as write(2)
 *        └─ plan_from_snapshot ──> plan ────┘   and what Linux recomputes after it
 *                                   │
 *     snapshot <── settings_store ──┘           numbers that follow from settings
 *
 * The knobs are the engine's own (core/knobs.c), so a value is accepted, refused and
 * printed here as by a running machine. What a write does beyond numbers (compaction,
 * dropping caches, pools of huge pages) cannot be told by arithmetic; such writes are
 * refused by name.
 *
 * In a snapshot, counts stay what they were: only what Linux computes from settings and
 * sizes is replaced. The dirty thresholds are among that, since the reserves are part
 * of them.
 *
 * What must never happen: a number of the saved machine that is passed on as computed.
 *
 * Linux: kernel/sysctl.c for the values, mm/page-writeback.c for the thresholds.
 */
#include "diag/settings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/knobs_plan.h"
#include "text/sysctls.h"

#define THP_DIR "/sys/kernel/mm/transparent_hugepage/"
#define THP_PATH THP_DIR "enabled"
/* Writes whose results are more than numbers that follow from numbers. */
#define EFFECTS_BEYOND                                                                             \
	(KNOB_DROP_CACHE | KNOB_DROP_SLAB | KNOB_COMPACT | KNOB_NUMA_STAT | KNOB_HUGEPAGES |       \
	 KNOB_PSI_TRIGGER)

/* ---- from a snapshot ---- */

static int read_thp(const struct snapshot *snapshot, struct knobs *k)
{
	static const char *const texts[] = {
		[SNAPSHOT_THP_ALWAYS] = "[always] madvise never",
		[SNAPSHOT_THP_MADVISE] = "always [madvise] never",
		[SNAPSHOT_THP_NEVER] = "always madvise [never]",
	};
	const char *text;

	if (snapshot->thp == SNAPSHOT_THP_UNKNOWN) {
		knobs_init_thp(k, snapshot->total_pages);
		return 0;
	}
	text = texts[snapshot->thp];
	return knobs_parse(k, THP_PATH, text, strlen(text));
}

int settings_read(const struct snapshot *snapshot, struct knobs *k, bool *complete,
		  struct text_error *err)
{
	int error;

	knobs_init(k);
	*complete = sysctls_snapshot_get(snapshot, "min_free_kbytes") != NULL &&
		    sysctls_snapshot_get(snapshot, "watermark_scale_factor") != NULL;
	for (uint32_t i = 0; i < snapshot->nr_sysctls; i++) {
		const struct snapshot_sysctl *sysctl = &snapshot->sysctl[i];

		/* Names that 6.1 does not have are no knobs; they stay in the snapshot. */
		error = knobs_parse(k, sysctl->name, sysctl->value, strlen(sysctl->value));
		if (error == -EINVAL) {
			text_error_set(err, sysctl->name, 0, "'%.40s' is no value of %s",
				       sysctl->value, sysctl->name);
			return error;
		}
	}
	error = read_thp(snapshot, k);
	if (error != 0)
		text_error_set(err, THP_PATH, 0, "the policy of huge pages is not understood");
	return error;
}

/* ---- computing ---- */

void settings_recompute(struct plan *plan)
{
	uint64_t boost[NEAP_MAX_NODES][NEAP_NR_ZONES];

	/* Limits and reserves are computed when marks are, and then no zone is boosted. */
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			boost[n][i] = plan->zone[n][i].boost;
	plan_setup_marks(plan);
	plan_setup_protection(plan);
	plan_setup_thresholds(plan);
	plan_setup_ratios(plan);
	for (uint32_t n = 0; n < plan->nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			plan->zone[n][i].boost = boost[n][i];
}

void settings_boot(struct plan *plan, struct knobs *k, bool has_huge_pages)
{
	atomic_store_explicit(&k->user_min_free_kbytes, -1, memory_order_relaxed);
	knobs_plan_set(plan, k);
	if (has_huge_pages)
		plan_boot(plan);
	else
		plan_boot_early(plan);
	atomic_store_explicit(&k->min_free_kbytes, (int32_t)plan->knobs.min_free_kbytes,
			      memory_order_relaxed);
}

/* ---- writes ---- */

/* What the settings that marks depend on accept. */
static const struct {
	const char *path, *accepted;
} accepted[] = {
	{ "min_free_kbytes", "a whole number from 0 to 2147483647" },
	{ "watermark_scale_factor", "a whole number from 1 to 3000" },
	{ "watermark_boost_factor", "a whole number from 0 to 2147483647" },
	{ "percpu_pagelist_high_fraction", "0, or a whole number from 8 to 2147483647" },
	{ "lowmem_reserve_ratio", "up to five whole numbers with blanks between" },
	{ "min_unmapped_ratio", "a whole number from 0 to 100" },
	{ "min_slab_ratio", "a whole number from 0 to 100" },
	{ "swappiness", "a whole number from 0 to 200" },
	{ THP_PATH, "always, madvise or never" },
};

static int refuse(struct text_error *err, const char *path, const char *value, int64_t error)
{
	if (error == -ENOENT) {
		text_error_set(err, path, 0,
			       "there is no such setting; names are those below /proc/sys/vm, or"
			       " thp");
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
		if (strcmp(accepted[i].path, path) != 0)
			continue;
		text_error_set(err, path, 0, "Linux refuses '%.40s'; it wants %s", value,
			       accepted[i].accepted);
		return -EINVAL;
	}
	text_error_set(err, path, 0, "Linux refuses '%.40s': %s", value, strerror((int)-error));
	return -EINVAL;
}

/* The path of a setting as people name it: "vm.swappiness", "sys/vm/swappiness", "thp" ... */
static void name_to_path(const char *name, size_t bytes, char *path, size_t room)
{
	static const struct {
		const char *prefix, *path;
	} prefixes[] = {
		{ "vm.", "" },
		{ "sys/vm/", "" },
		{ "/proc/sys/vm/", "" },
		{ "transparent_hugepage/", THP_DIR },
	};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t length = strlen(prefixes[i].prefix);

		if (bytes > length && strncmp(name, prefixes[i].prefix, length) == 0) {
			snprintf(path, room, "%s%.*s", prefixes[i].path, (int)(bytes - length),
				 name + length);
			return;
		}
	}
	if (bytes == 3 && strncmp(name, "thp", 3) == 0)
		snprintf(path, room, "%s", THP_PATH);
	else
		snprintf(path, room, "%.*s", (int)bytes, name);
}

int settings_write(struct plan *plan, struct knobs *k, const char *assignment, uint32_t *effects,
		   struct text_error *err)
{
	const char *equals = strchr(assignment, '=');
	struct knob_effects after = { .what = 0 };
	struct knobs before;
	char path[128];
	int64_t used;

	if (equals == NULL || equals == assignment || equals - assignment > 96) {
		text_error_set(err, "", 0, "'%.60s': write NAME=VALUE", assignment);
		return -EINVAL;
	}
	name_to_path(assignment, (size_t)(equals - assignment), path, sizeof(path));
	knobs_copy(&before, k);
	/* A write of no bytes does nothing; here it is a slip. */
	used = equals[1] == '\0' ? -EINVAL
				 : knobs_write(k, path, equals + 1, strlen(equals + 1), &after);
	if (used < 0 || (after.what & EFFECTS_BEYOND) != 0)
		knobs_copy(k, &before);
	if (used < 0)
		return refuse(err, path, equals + 1, used);
	if ((after.what & EFFECTS_BEYOND) != 0) {
		text_error_set(err, path, 0,
			       "what it does cannot be computed from numbers; run it in a job");
		return -EINVAL;
	}
	knobs_plan_apply(plan, k, after.what);
	if (effects != NULL)
		*effects = after.what;
	return 0;
}

/* ---- into a snapshot ---- */

/* As Linux: percent become 4096th parts first. */
static uint64_t dirty_limit(uint64_t pages, uint64_t bytes, int32_t percent)
{
	if (bytes != 0)
		return (bytes + NEAP_PAGE_BYTES - 1) / NEAP_PAGE_BYTES;
	return pages * ((uint64_t)percent * NEAP_PAGE_BYTES / 100) / NEAP_PAGE_BYTES;
}

static void store_dirty_thresholds(const struct knobs *k, struct snapshot *snapshot)
{
	uint64_t free = snapshot->zone_stat[NR_FREE_PAGES];
	uint64_t pages = free - min_u64(free, snapshot->reserve_pages) +
			 snapshot->node_stat[NR_INACTIVE_FILE] +
			 snapshot->node_stat[NR_ACTIVE_FILE];
	uint64_t limit =
		dirty_limit(pages, knobs_get_wide(&k->dirty_bytes), knobs_get(&k->dirty_ratio));
	uint64_t background = dirty_limit(pages, knobs_get_wide(&k->dirty_background_bytes),
					  knobs_get(&k->dirty_background_ratio));

	snapshot->dirty_threshold = limit;
	snapshot->dirty_background_threshold = background >= limit ? limit / 2 : background;
}

/* What overcommit_memory 2 would allow. */
static void store_commit_limit(const struct knobs *k, struct snapshot *snapshot)
{
	uint64_t kbytes = knobs_get_wide(&k->overcommit_kbytes);
	uint64_t huge = snapshot->huge_total * NEAP_PAGEBLOCK_PAGES;
	uint64_t pages = snapshot->total_pages - min_u64(snapshot->total_pages, huge);
	uint64_t ratio = (uint64_t)(int64_t)knobs_get(&k->overcommit_ratio);

	snapshot->commit_limit_pages =
		(kbytes != 0 ? kbytes / (NEAP_PAGE_BYTES / KIB) : pages * ratio / 100) +
		snapshot->swap_total_pages;
}

/* Puts the text of one file of /proc/sys/vm into the snapshot. */
static int store_value(const struct knobs *k, const char *name, struct snapshot *snapshot)
{
	char text[KNOBS_TEXT_BYTES];
	int64_t bytes = knobs_read(k, name, text, sizeof(text));

	if (bytes <= 0)
		return 0;
	if (text[bytes - 1] == '\n')
		text[bytes - 1] = '\0';
	return sysctls_snapshot_set(snapshot, name, text);
}

static int store_values(const struct knobs *k, struct snapshot *snapshot)
{
	bool all = snapshot->nr_sysctls == 0;
	int error = 0;

	for (uint32_t i = 0; knobs_path(i) != NULL && error == 0; i++) {
		const char *name = knobs_path(i);

		if (name[0] != '/' && (all || sysctls_snapshot_get(snapshot, name) != NULL))
			error = store_value(k, name, snapshot);
	}
	return error;
}

int settings_store(const struct plan *plan, const struct knobs *k, struct snapshot *snapshot)
{
	plan_to_snapshot(plan, snapshot);
	store_dirty_thresholds(k, snapshot);
	store_commit_limit(k, snapshot);
	return store_values(k, snapshot);
}
