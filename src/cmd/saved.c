/*
 * A saved machine to write to.
 *
 *     DIR/zoneinfo, sysctl_vm.txt ...  ──> snapshot ──> plan    marks and limits as observed
 *              └── sys_kernel_mm.txt   ──────────────> knobs   values as observed
 *
 *     write ──> knobs ──> effects ──> plan recomputes what Linux does
 *     read  ──> knobs, or the text of the snapshot with the plan's marks in it
 *
 * No page descriptor is built and nothing runs, so an answer takes a millisecond and a machine of
 * any size fits. What needs a running machine does nothing here: caches, compaction, counters. One
 * of these has a visible result, the number of huge pages got: here as many as there is free
 * memory above the min marks, which is an estimate.
 *
 * What must never happen: a mark that moved although Linux would not have recomputed it. Marks of
 * a booted machine are stale, and stay so until the first write that changes them.
 */
#include "cmd/saved.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/knobs_plan.h"
#include "diag/terms.h"
#include "text/files.h"
#include "text/load.h"

#define PATH_BYTES 4096u
#define FILE_BYTES_MAX MIB
#define SYS_PREFIX "/sys/"

/* ---- loading ---- */

/* Takes over one value; names of other kernels are noted. */
static void load_value(struct saved *saved, const char *path, const char *text, size_t bytes)
{
	int error = knobs_parse(&saved->knobs, path, text, bytes);

	if (error != -ENOENT && error != -EINVAL)
		return;
	text_buf_puts(&saved->unknown, saved->unknown.bytes != 0 ? ", " : "");
	text_buf_puts(&saved->unknown, path);
}

/* Reads DIR/NAME. => false if it is not there or cannot be read; others say so */
static bool read_below(const char *dir, const char *name, struct text_buf *out)
{
	char path[PATH_BYTES];
	int length = snprintf(path, sizeof(path), "%s/%s", dir, name);

	text_buf_reset(out);
	return length > 0 && (size_t)length < sizeof(path) &&
	       text_buf_read_file(out, path, FILE_BYTES_MAX) == 0;
}

/* Lines "PATH:VALUE", as `grep -r '' /sys/kernel/mm/...` prints them. */
static void load_lines(struct saved *saved, const char *text)
{
	char path[PATH_BYTES];

	for (const char *line = text; *line != '\0';) {
		size_t bytes = strcspn(line, "\n");
		size_t before = strcspn(line, ":\n");

		if (before < bytes && before < sizeof(path)) {
			memcpy(path, line, before);
			path[before] = '\0';
			load_value(saved, path, line + before + 1, bytes - before - 1);
		}
		line += bytes + (line[bytes] == '\n');
	}
}

/* The files outside /proc/sys/vm, in whatever form they were saved. */
static void load_sys(struct saved *saved, const char *dir)
{
	static const char *const lists[] = { "sys_kernel_mm.txt", "../00-boot/sys_kernel_mm.txt" };
	static const char *const defrag[] = { "thp_defrag", "../boot/thp_defrag" };
	const char *defrag_path = "/sys/kernel/mm/transparent_hugepage/defrag";
	struct text_buf text;
	bool found = false;

	text_buf_init(&text);
	for (uint32_t i = 0; i < ARRAY_LEN(lists) && !found; i++) {
		found = read_below(dir, lists[i], &text);
		if (found)
			load_lines(saved, text_buf_text(&text));
	}
	for (uint32_t i = 0; i < ARRAY_LEN(defrag) && !found; i++) {
		found = read_below(dir, defrag[i], &text);
		if (found)
			load_value(saved, defrag_path, text_buf_text(&text), text.bytes);
	}
	for (uint32_t i = 0; knobs_path(i) != NULL; i++) {
		const char *path = knobs_path(i);

		if (strncmp(path, SYS_PREFIX, strlen(SYS_PREFIX)) == 0 &&
		    strchr(path, '*') == NULL && read_below(dir, path + 1, &text))
			load_value(saved, path, text_buf_text(&text), text.bytes);
	}
	text_buf_free(&text);
}

/* Without sysctl_vm.txt the marks say how large min_free_kbytes was at least. */
static void guess_min_free(struct saved *saved)
{
	uint64_t pages = 0;

	for (uint32_t n = 0; n < saved->plan.nr_nodes; n++)
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
			pages += saved->plan.zone[n][i].marks.min;
	atomic_store(&saved->knobs.min_free_kbytes,
		     (int32_t)min_u64(pages * (NEAP_PAGE_BYTES / KIB), INT32_MAX));
}

static void load_knobs(struct saved *saved, const char *dir)
{
	const struct snapshot *snapshot = saved->snapshot;
	uint64_t nodes = 0;
	bool has_min_free = false;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		nodes |= (uint64_t)1 << snapshot->node[n].id % NEAP_MAX_NODES;
	atomic_store(&saved->knobs.nodes, nodes);
	load_sys(saved, dir);
	if (snapshot->thp != SNAPSHOT_THP_UNKNOWN)
		atomic_store(&saved->knobs.thp_enabled,
			     (int32_t)(snapshot->thp - SNAPSHOT_THP_ALWAYS));
	for (uint32_t i = 0; i < snapshot->nr_sysctls; i++) {
		const struct snapshot_sysctl *sysctl = &snapshot->sysctl[i];

		load_value(saved, sysctl->name, sysctl->value, strlen(sysctl->value));
		has_min_free = has_min_free || strcmp(sysctl->name, "min_free_kbytes") == 0;
	}
	if (!has_min_free)
		guess_min_free(saved);
}

/* Pages in whole blocks above the min marks, and those in the pool already. */
static uint64_t huge_pages_max(const struct snapshot *snapshot)
{
	uint64_t most = snapshot->huge_total;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		for (uint32_t i = 0; i < NEAP_NR_ZONES; i++) {
			const struct snapshot_zone *zone = &snapshot->node[n].zone[i];

			most += (zone->free - min_u64(zone->free, zone->min)) /
				(2 * MIB / NEAP_PAGE_BYTES);
		}
	}
	return most;
}

/* What every machine begins with. */
static void init_common(struct saved *saved)
{
	const struct snapshot *snapshot = saved->snapshot;

	plan_from_snapshot(&saved->plan, snapshot);
	saved->huge_pages_max = huge_pages_max(snapshot);
	text_buf_init(&saved->unknown);
	knobs_init(&saved->knobs);
	knobs_init_thp(&saved->knobs, snapshot->total_pages);
	knobs_init_reserves(&saved->knobs, snapshot->zone_stat[NR_FREE_PAGES]);
}

int saved_open(struct saved *saved, const char *dir, struct text_error *err)
{
	int error = snapshot_load_dir(dir, &saved->snapshot, err);

	if (error != 0)
		return error;
	init_common(saved);
	load_knobs(saved, dir);
	knobs_plan_set(&saved->plan, &saved->knobs);
	knobs_plan_guess_user(&saved->plan, &saved->knobs);
	knobs_plan_set(&saved->plan, &saved->knobs);
	return 0;
}

int saved_init(struct saved *saved, uint64_t pages, uint32_t nr_cpus)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));

	if (snapshot == NULL)
		return -ENOMEM;
	struct snapshot_zone *zone = &snapshot->node[0].zone[ZONE_NORMAL];

	snapshot->nr_nodes = 1;
	for (uint32_t cpu = 0; cpu < nr_cpus; cpu++)
		cpumask_set(&snapshot->online, cpu);
	snapshot->node[0].cpus = snapshot->online;
	snapshot->node[0].distance[0] = 10;
	snapshot->node[0].has_memory = true;
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		snapshot->node[0].zone[i].type = i;
	zone->spanned = pages;
	zone->present = pages;
	zone->managed = pages;
	zone->free = pages;
	zone->stat[NR_FREE_PAGES] = pages;
	zone->nr_blocks[MT_MOVABLE] = pages / (2 * MIB / NEAP_PAGE_BYTES);
	for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++) {
		bool last = order == NEAP_NR_ORDERS - 1;
		uint64_t blocks = last ? pages >> order : (pages >> order) & 1;

		zone->nr_free[order] = blocks;
		zone->nr_free_type[MT_MOVABLE][order] = blocks;
	}
	snapshot->zone_stat[NR_FREE_PAGES] = pages;
	snapshot->total_pages = pages;
	saved->snapshot = snapshot;
	init_common(saved);
	knobs_plan_set(&saved->plan, &saved->knobs);
	plan_boot(&saved->plan);
	atomic_store(&saved->knobs.min_free_kbytes, (int32_t)saved->plan.knobs.min_free_kbytes);
	return 0;
}

void saved_free(struct saved *saved)
{
	free(saved->snapshot);
	saved->snapshot = NULL;
	text_buf_free(&saved->unknown);
}

/* ---- using ---- */

const char *saved_path(const char *name)
{
	bool prefixed = strncmp(name, "vm.", 3) == 0 || strncmp(name, "vm/", 3) == 0;

	return prefixed ? name + 3 : name;
}

int64_t saved_write(struct saved *saved, const char *path, const char *text, size_t bytes)
{
	struct knob_effects effects;
	int64_t result = knobs_write(&saved->knobs, path, text, bytes, &effects);

	if (effects.what & KNOB_HUGEPAGES)
		knobs_set_hugepages(&saved->knobs,
				    min_u64(effects.hugepages, saved->huge_pages_max));
	knobs_plan_apply(&saved->plan, &saved->knobs, effects.what);
	return result;
}

int saved_read(struct saved *saved, const char *path, struct text_buf *out)
{
	char value[KNOBS_TEXT_BYTES];
	int64_t bytes = knobs_read(&saved->knobs, path, value, sizeof(value));

	if (bytes >= 0) {
		knobs_plan_apply(&saved->plan, &saved->knobs, knobs_read_effects(path));
		return text_buf_add(out, value, (size_t)bytes);
	}
	if (bytes != -ENODATA)
		return (int)bytes;
	plan_to_snapshot(&saved->plan, saved->snapshot);
	return text_proc_write(saved->snapshot, path, out);
}

void saved_marks_add(const struct saved *saved, struct text_buf *out)
{
	const struct plan *plan = &saved->plan;

	for (uint32_t n = 0; n < plan->nr_nodes; n++) {
		for (uint32_t i = 0; i < plan->nr_zones; i++) {
			const struct plan_zone *zone = &plan->zone[n][i];
			const struct marks_terms *marks = &zone->marks;

			if (marks->high + zone->boost == 0)
				continue;
			text_buf_printf(out, "N%u.%s:", saved->snapshot->node[n].id,
					terms_zone_name(plan, i));
			text_buf_u64(out, marks->min + zone->boost, 1);
			text_buf_puts(out, "/");
			text_buf_u64(out, marks->low + zone->boost, 1);
			text_buf_puts(out, "/");
			text_buf_u64(out, marks->high + zone->boost, 1);
			text_buf_puts(out, " ");
		}
	}
}
