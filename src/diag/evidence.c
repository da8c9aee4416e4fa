/*
 * From files to what is known of a machine.
 *
 *     neap explain                     /proc, /sys of this machine ──────┐
 *     neap explain --root DIR          DIR/zoneinfo  DIR/proc/zoneinfo   │
 *                                      DIR/proc_zoneinfo.txt ...         ├─> texts ─> documents
 *     neap explain --root REPORT       the only such directory below it  │      │
 *     neap explain FILE | -            lines sorted by what they look ───┘      v
 *                                      like (evidence_split.c)               snapshot
 *
 * text/load.h loads saved machines for the simulator and is strict: a machine must be
 * complete. Here everything may be missing. A file that cannot be read or understood is
 * remembered with the reason, since "what could not be told" is a part of every answer.
 *
 * Pages have 4 KiB until the files say otherwise: meminfo counts in KiB and zoneinfo in
 * pages, and the ratio of the same lists in both is the size of a page.
 *
 * What must never happen: a number taken for known that no file gave. Whoever uses the
 * snapshot asks evidence_has() first; a zero in it may mean nothing.
 */
#include "diag/evidence.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "diag/evidence_part.h"
#include "text/load.h"
#include "text/load_part.h"
#include "text/pagetypeinfo.h"
#include "text/pressure.h"
#include "text/sysctls.h"

#define PATH_BYTES 4096u
#define SEARCH_DEPTH 5u
#define SEARCH_DIRS_MAX 512u

static const char *const names[NR_EVIDENCE_FILES] = {
	[EVIDENCE_ZONEINFO] = "zoneinfo",   [EVIDENCE_VMSTAT] = "vmstat",
	[EVIDENCE_BUDDYINFO] = "buddyinfo", [EVIDENCE_PAGETYPEINFO] = "pagetypeinfo",
	[EVIDENCE_MEMINFO] = "meminfo",	    [EVIDENCE_SWAPS] = "swaps",
	[EVIDENCE_PRESSURE] = "pressure",   [EVIDENCE_SYSCTLS] = "sys/vm",
};

/* Where a file may stand below a directory; %s is its name. */
static const char *const places[] = { "%s",	     "proc/%s", "%s.txt",      "proc_%s",
				      "proc_%s.txt", "proc-%s", "proc/%s.txt", "sysinfo/%s.txt" };

const char *evidence_name(enum evidence_file file)
{
	return names[file];
}

bool evidence_has(const struct evidence *evidence, enum evidence_file file)
{
	return evidence->source[file].state == EVIDENCE_READ;
}

static struct evidence *evidence_new(const char *where)
{
	struct evidence *evidence = calloc(1, sizeof(*evidence));

	if (evidence != NULL) {
		snprintf(evidence->where, sizeof(evidence->where), "%.150s", where);
		evidence->group.max_bytes = EVIDENCE_NO_LIMIT;
		evidence->group.high_bytes = EVIDENCE_NO_LIMIT;
		evidence->group.swap_max_bytes = EVIDENCE_NO_LIMIT;
	}
	return evidence;
}

void evidence_free(struct evidence *evidence)
{
	if (evidence == NULL)
		return;
	zoneinfo_free(evidence->zoneinfo);
	vmstat_free(evidence->vmstat);
	buddyinfo_free(evidence->buddyinfo);
	meminfo_free(evidence->meminfo);
	swaps_free(evidence->swaps);
	text_doc_free(evidence->pagetypeinfo);
	text_doc_free(evidence->pressure);
	text_doc_free(evidence->sysctls);
	free(evidence->snapshot);
	free(evidence);
}

/* ---- documents ---- */

static int parse_plain(const struct text_format *format, const struct text_input *in,
		       struct text_doc **out, struct text_error *err)
{
	return text_doc_load(format, in, out, err);
}

static int parse_one(struct evidence *e, enum evidence_file file, const struct text_buf *text,
		     struct text_error *err)
{
	const char *at = text_buf_text(text);
	const struct text_input in = { at, text->bytes, names[file] };
	bool whole;
	int error;

	switch (file) {
	case EVIDENCE_ZONEINFO:
		error = zoneinfo_parse_excerpt(&in, &e->zoneinfo, &whole, err);
		if (error == 0 && !whole)
			snprintf(e->warning, sizeof(e->warning),
				 "zoneinfo is cut: its last zone may protect itself more than is"
				 " known");
		return error;
	case EVIDENCE_VMSTAT:
		return vmstat_parse(at, text->bytes, names[file], &e->vmstat, err);
	case EVIDENCE_BUDDYINFO:
		return buddyinfo_parse(at, text->bytes, names[file], &e->buddyinfo, err);
	case EVIDENCE_MEMINFO:
		return meminfo_parse(at, text->bytes, names[file], &e->meminfo, err);
	case EVIDENCE_SWAPS:
		return swaps_parse(at, text->bytes, names[file], &e->swaps, err);
	case EVIDENCE_PAGETYPEINFO:
		return parse_plain(&pagetypeinfo_format, &in, &e->pagetypeinfo, err);
	case EVIDENCE_PRESSURE:
		return parse_plain(&pressure_format, &in, &e->pressure, err);
	case EVIDENCE_SYSCTLS:
	case NR_EVIDENCE_FILES:
		break;
	}
	return parse_plain(&sysctls_format, &in, &e->sysctls, err);
}

/* A text becomes a document, or the reason why not. => 0 or -ENOMEM */
static int take_text(struct evidence *e, enum evidence_file file, const char *path,
		     struct text_buf *text)
{
	struct evidence_source *source = &e->source[file];
	struct text_error err = { .line = 0 };

	/* People cut the last newline off. */
	if (text->bytes != 0 && text->at[text->bytes - 1] != '\n')
		text_buf_puts(text, "\n");
	if (text->error != 0)
		return -ENOMEM;
	snprintf(source->path, sizeof(source->path), "%s", path);
	int error = parse_one(e, file, text, &err);
	if (error == -ENOMEM)
		return error;
	source->state = error == 0 ? EVIDENCE_READ : EVIDENCE_BROKEN;
	if (error != 0 && err.line != 0)
		snprintf(source->problem, sizeof(source->problem), "line %u: %.180s", err.line,
			 err.message);
	else if (error != 0)
		snprintf(source->problem, sizeof(source->problem), "%.199s", err.message);
	return 0;
}

/* ---- the snapshot ---- */

static const char *const lru_labels[] = { "Active(anon)", "Inactive(anon)", "Active(file)",
					  "Inactive(file)" };

/*
 * The size of a page: the same lists, in KiB and in pages. Files are read one after the other, so
 * the nearest power of two is taken.
 */
static uint32_t find_page_kb(const struct evidence *e)
{
	const uint64_t *stat = e->snapshot->node_stat;
	uint64_t pages = stat[NR_ACTIVE_ANON] + stat[NR_INACTIVE_ANON] + stat[NR_ACTIVE_FILE] +
			 stat[NR_INACTIVE_FILE];
	uint64_t kb = 0, value = 0, size = 4;

	for (uint32_t i = 0; i < ARRAY_LEN(lru_labels); i++)
		if (evidence_kb(e, lru_labels[i], &value) && value < (uint64_t)1 << 50)
			kb += value;
	if (pages < 256 || pages > (uint64_t)1 << 50)
		return 4;
	while (size < 64 && kb > pages * size * 3 / 2)
		size *= 2;
	return (uint32_t)size;
}

/* Without a zoneinfo: no nodes, but all that other files say of the whole machine. */
static struct snapshot *bare_snapshot(void)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(0));

	if (snapshot != NULL)
		snapshot->page_kb = NEAP_PAGE_BYTES / KIB;
	return snapshot;
}

/* => 0, -ENOMEM; -EINVAL with *err filled: a zoneinfo that no machine can have */
static int make_snapshot(struct evidence *e, struct text_error *err)
{
	if (e->zoneinfo != NULL) {
		struct snapshot_docs docs = { .zoneinfo = e->zoneinfo };
		int error = snapshot_from_docs(&docs, &e->snapshot, err);

		if (error != 0)
			return error;
	} else {
		e->snapshot = bare_snapshot();
	}
	if (e->snapshot == NULL)
		return -ENOMEM;
	if (e->zoneinfo != NULL && e->meminfo != NULL)
		e->snapshot->page_kb = find_page_kb(e);
	return 0;
}

/* Enters the other files. => 0 or -ENOMEM */
static int fill_snapshot(struct evidence *e)
{
	struct evidence_source *swaps = &e->source[EVIDENCE_SWAPS];
	struct evidence_source *sysctls = &e->source[EVIDENCE_SYSCTLS];
	struct snapshot *snapshot = e->snapshot;
	struct text_error err = { .line = 0 };

	if (e->swaps != NULL && swaps_fill_snapshot(e->swaps, snapshot) != 0) {
		swaps->state = EVIDENCE_BROKEN;
		snprintf(swaps->problem, sizeof(swaps->problem), "more areas than any kernel has");
	}
	if (e->sysctls != NULL && sysctls_fill_snapshot(e->sysctls, snapshot, &err) != 0) {
		sysctls->state = EVIDENCE_BROKEN;
		snprintf(sysctls->problem, sizeof(sysctls->problem), "%.199s", err.message);
	}
	if (e->meminfo != NULL)
		meminfo_fill_snapshot(e->meminfo, snapshot, e->vmstat == NULL);
	if (e->vmstat != NULL)
		vmstat_fill_snapshot(e->vmstat, snapshot);
	if (e->buddyinfo != NULL)
		buddyinfo_fill_snapshot(e->buddyinfo, snapshot);
	if (e->pagetypeinfo != NULL)
		pagetypeinfo_fill_snapshot(e->pagetypeinfo, snapshot);
	if (e->pressure != NULL)
		pressure_fill_snapshot(e->pressure, snapshot);
	if (snapshot->nr_nodes == 1)
		snapshot->node[0].cpus = snapshot->online;
	return 0;
}

/* The largest number of a zone's protection. */
static uint64_t most_protection(const struct zoneinfo_zone *zone)
{
	uint64_t most = 0;

	for (uint32_t i = 0; i < zone->nr_protection; i++)
		most = max_u64(most, zone->protection[i]);
	return most;
}

/*
 * A zone that protects itself from requests for higher zones, of which the file lists none with
 * memory: the rest is missing. (Kernels before 4.11 list populated zones only.)
 */
static bool is_cut(const struct zoneinfo_doc *zoneinfo)
{
	for (uint32_t i = 0; i < zoneinfo->nr_zones; i++) {
		const struct zoneinfo_zone *zone = &zoneinfo->zones[i];
		bool higher = false;

		for (uint32_t j = i + 1; j < zoneinfo->nr_zones; j++)
			higher = higher || (zoneinfo->zones[j].node == zone->node &&
					    zoneinfo->zones[j].populated);
		if (!higher && most_protection(zone) != 0)
			return true;
	}
	return false;
}

/* A zoneinfo of which zones are missing is worse than none: tests would not see them. */
static int drop_cut_zoneinfo(struct evidence *e)
{
	struct evidence_source *source = &e->source[EVIDENCE_ZONEINFO];

	if (e->zoneinfo == NULL || !is_cut(e->zoneinfo))
		return 0;
	source->state = EVIDENCE_BROKEN;
	snprintf(source->problem, sizeof(source->problem),
		 "it was cut: zones that are protected against are missing");
	zoneinfo_free(e->zoneinfo);
	e->zoneinfo = NULL;
	free(e->snapshot);
	e->snapshot = bare_snapshot();
	return e->snapshot != NULL ? 0 : -ENOMEM;
}

/* Documents are there: everything that follows from them. => 0, -EINVAL, -ENOMEM */
static int finish(struct evidence *e, struct text_error *err)
{
	int error = make_snapshot(e, err);

	if (error == 0)
		error = drop_cut_zoneinfo(e);
	if (error == 0)
		error = fill_snapshot(e);
	if (error == 0)
		evidence_guess_kernel(e);
	return error;
}

/* ---- directories ---- */

static bool is_refusal(int error)
{
	return error == -EACCES || error == -EPERM || error == -EOPNOTSUPP;
}

/* Reads the first place that has the file. => 0, -ENOENT, or another errno */
static int read_places(const char *dir, const char *name, struct text_buf *text, char *path,
		       size_t room)
{
	struct text_error err = { .line = 0 };
	int error = -ENOENT;

	for (uint32_t i = 0; i < ARRAY_LEN(places) && error == -ENOENT; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, room, places[i], name);
#pragma GCC diagnostic pop
		error = load_read(dir, path, text, &err);
		if (error == -EISDIR || error == -ENAMETOOLONG)
			error = -ENOENT;
	}
	return error;
}

/* => 0 or -ENOMEM; what could not be read is noted */
static int load_file(struct evidence *e, const char *dir, enum evidence_file file)
{
	static const char *const pressure[] = { "pressure/memory", "pressure_memory" };
	struct evidence_source *source = &e->source[file];
	char path[64];
	struct text_buf text;
	int error = -ENOENT;

	text_buf_init(&text);
	if (file == EVIDENCE_PRESSURE) {
		for (uint32_t i = 0; i < ARRAY_LEN(pressure) && error == -ENOENT; i++)
			error = read_places(dir, pressure[i], &text, path, sizeof(path));
	} else if (file != EVIDENCE_SYSCTLS) {
		error = read_places(dir, names[file], &text, path, sizeof(path));
	}
	if (error == 0) {
		error = take_text(e, file, path, &text);
	} else if (error != -ENOENT && error != -ENOMEM) {
		source->state = is_refusal(error) ? EVIDENCE_REFUSED : EVIDENCE_BROKEN;
		snprintf(source->path, sizeof(source->path), "%s", path);
		snprintf(source->problem, sizeof(source->problem), "%s", strerror(-error));
		error = 0;
	}
	text_buf_free(&text);
	return error == -ENOMEM ? error : 0;
}

/* Settings as `sysctl -a` prints them, where a report has them. => 0, -ENOENT, -ENOMEM */
static int load_sysctl_list(struct evidence *e, const char *dir)
{
	static const char *const lists[] = { "sos_commands/kernel/sysctl_-a", "sysctl-a",
					     "sysctl_-a", "sysctl.txt", "sysctl" };
	struct text_buf texts[NR_EVIDENCE_FILES];
	struct text_error err = { .line = 0 };
	struct text_buf text;
	int error = -ENOENT;

	text_buf_init(&text);
	for (uint32_t i = 0; i < NR_EVIDENCE_FILES; i++)
		text_buf_init(&texts[i]);
	for (uint32_t i = 0; i < ARRAY_LEN(lists) && error != 0; i++) {
		error = load_read(dir, lists[i], &text, &err);
		if (error == 0)
			(void)evidence_split(text_buf_text(&text), text.bytes, texts);
		if (error == 0 && texts[EVIDENCE_SYSCTLS].bytes != 0)
			error = take_text(e, EVIDENCE_SYSCTLS, lists[i], &texts[EVIDENCE_SYSCTLS]);
	}
	text_buf_free(&text);
	for (uint32_t i = 0; i < NR_EVIDENCE_FILES; i++)
		text_buf_free(&texts[i]);
	return error == -ENOMEM ? error : error == 0 ? 0 : -ENOENT;
}

static bool has_settings(const struct snapshot *snapshot)
{
	int64_t value;

	return sysctls_snapshot_number(snapshot, "min_free_kbytes", 0, &value);
}

/* Nodes, settings and the group: what needs a directory. => 0 or -ENOMEM */
static int load_rest(struct evidence *e, const char *dir)
{
	struct evidence_source *source = &e->source[EVIDENCE_SYSCTLS];
	struct text_error warning = { .line = 0 }, err = { .line = 0 };
	int error = 0;

	if (e->snapshot->nr_nodes > 0 && e->snapshot->nr_cpus_beyond == 0)
		error = load_nodes(dir, e->snapshot, &warning, &err);
	if (error == -ENOMEM)
		return error;
	if (!evidence_has(e, EVIDENCE_SYSCTLS)) {
		warning.message[0] = '\0';
		error = load_settings(dir, e->snapshot, &warning, &err);
		if (error == -ENOMEM)
			return error;
		if (has_settings(e->snapshot)) {
			source->state = EVIDENCE_READ;
			snprintf(source->path, sizeof(source->path), "sys/vm");
		}
		if (strstr(warning.message, "of the boot") != NULL)
			snprintf(e->warning, sizeof(e->warning), "%s", warning.message);
	}
	evidence_group_load(dir, &e->group);
	return 0;
}

/* The words after "Linux version" of proc/version. */
static void load_version(struct evidence *e, const char *dir)
{
	static const char *const lists[] = { "proc/version", "version", "uname",
					     "sos_commands/kernel/uname_-a" };
	struct text_error err = { .line = 0 };
	struct text_buf text;

	text_buf_init(&text);
	for (uint32_t i = 0; i < ARRAY_LEN(lists) && e->kernel.said[0] == '\0'; i++) {
		if (load_read(dir, lists[i], &text, &err) != 0)
			continue;
		const char *at = strstr(text_buf_text(&text), "Linux ");

		if (at == NULL)
			continue;
		at += strlen("Linux ");
		if (strncmp(at, "version ", 8) == 0)
			at += 8;
		else
			at += strcspn(at, " \n") + strspn(at + strcspn(at, " \n"), " ");
		if (*at < '2' || *at > '9')
			continue;
		snprintf(e->kernel.said, sizeof(e->kernel.said), "%.*s",
			 (int)min_u64(strcspn(at, " \n"), 60), at);
	}
	text_buf_free(&text);
}

/* ---- searching ---- */

/* Whether a directory has one of the files that say most. */
static bool looks_like_machine(const char *dir)
{
	static const enum evidence_file files[] = { EVIDENCE_ZONEINFO, EVIDENCE_MEMINFO,
						    EVIDENCE_BUDDYINFO, EVIDENCE_VMSTAT };
	struct text_buf text;
	char path[64];
	bool found = false;

	text_buf_init(&text);
	for (uint32_t i = 0; i < ARRAY_LEN(files) && !found; i++)
		found = read_places(dir, names[files[i]], &text, path, sizeof(path)) != -ENOENT;
	text_buf_free(&text);
	return found;
}

struct search {
	char *paths[SEARCH_DIRS_MAX];
	uint32_t depth[SEARCH_DIRS_MAX];
	uint32_t nr, next;
};

static void search_add(struct search *search, const char *dir, const char *name, uint32_t depth)
{
	char path[PATH_BYTES];
	int length = snprintf(path, sizeof(path), "%s/%s", dir, name);

	if (search->nr == SEARCH_DIRS_MAX || length < 0 || (size_t)length >= sizeof(path))
		return;
	search->paths[search->nr] = strdup(path);
	if (search->paths[search->nr] == NULL)
		return;
	search->depth[search->nr++] = depth;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible_dir(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

static void search_below(struct search *search, const char *dir, uint32_t depth)
{
	struct dirent **entries = NULL;
	int nr = scandir(dir, &entries, is_visible_dir, compare_names);

	for (int i = 0; i < nr; i++) {
		search_add(search, dir, entries[i]->d_name, depth);
		free(entries[i]);
	}
	free(entries);
}

/* The one directory below `dir` that holds a machine. => 0, -ENOENT, -EEXIST with *err filled */
static int search_machine(const char *dir, char found[PATH_BYTES], struct text_error *err)
{
	struct search *search = calloc(1, sizeof(*search));
	uint32_t nr_found = 0;

	if (search == NULL)
		return text_error_no_memory(err, dir);
	search_below(search, dir, 1);
	for (; search->next < search->nr; search->next++) { /* bounded by SEARCH_DIRS_MAX */
		const char *path = search->paths[search->next];
		uint32_t depth = search->depth[search->next];

		if (looks_like_machine(path)) {
			if (nr_found++ == 0)
				snprintf(found, PATH_BYTES, "%s", path);
			else if (nr_found == 2)
				text_error_set(err, dir, 0,
					       "there are several machines below it, among them"
					       " %.110s and %.110s; name one of them",
					       found + strlen(dir) + 1, path + strlen(dir) + 1);
		} else if (depth < SEARCH_DEPTH) {
			search_below(search, path, depth + 1);
		}
	}
	for (uint32_t i = 0; i < search->nr; i++)
		free(search->paths[i]);
	free(search);
	return nr_found == 1 ? 0 : nr_found == 0 ? -ENOENT : -EEXIST;
}

static uint64_t now_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int load_here(struct evidence *e, const char *dir, struct text_error *err)
{
	int error = 0;

	for (uint32_t file = 0; file < NR_EVIDENCE_FILES && error == 0; file++)
		error = load_file(e, dir, (enum evidence_file)file);
	if (error == 0 && load_sysctl_list(e, dir) == -ENOMEM)
		error = -ENOMEM;
	load_version(e, dir);
	if (error == 0)
		error = finish(e, err);
	return error == 0 ? load_rest(e, dir) : error;
}

/* => whether anything was read that says something about memory */
static bool has_anything(const struct evidence *e)
{
	for (uint32_t file = 0; file < EVIDENCE_SYSCTLS; file++)
		if (e->source[file].state == EVIDENCE_READ ||
		    e->source[file].state == EVIDENCE_BROKEN)
			return true;
	return e->group.known;
}

int evidence_load(const char *dir, struct evidence **out, struct text_error *err)
{
	char found[PATH_BYTES];
	int error = 0;

	*out = NULL;
	text_error_clear(err);
	if (strcmp(dir, "/") != 0 && !looks_like_machine(dir)) {
		error = search_machine(dir, found, err);
		if (error == 0)
			dir = found;
		else if (error != -ENOENT)
			return error;
	}
	struct evidence *e = evidence_new(strcmp(dir, "/") == 0 ? "this machine" : dir);
	if (e == NULL)
		return text_error_no_memory(err, dir);
	e->live = strcmp(dir, "/") == 0;
	e->time_ns = e->live ? now_ns() : 0;
	error = load_here(e, dir, err);
	if (error == 0 && !has_anything(e)) {
		text_error_set(err, dir, 0,
			       "no zoneinfo, meminfo, vmstat, buddyinfo or other memory file is"
			       " in it, in its proc, or in a directory below");
		error = -ENOENT;
	}
	if (error != 0) {
		evidence_free(e);
		return error == -ENOMEM ? text_error_no_memory(err, dir) : error;
	}
	*out = e;
	return 0;
}

/* ---- pasted text ---- */

int evidence_from_text(const char *where, const char *text, size_t bytes, struct evidence **out,
		       struct text_error *err)
{
	struct text_buf texts[NR_EVIDENCE_FILES];
	struct evidence *e = evidence_new("the text given");
	int error = e != NULL ? 0 : -ENOMEM;

	*out = NULL;
	text_error_clear(err);
	for (uint32_t i = 0; i < NR_EVIDENCE_FILES; i++)
		text_buf_init(&texts[i]);
	(void)evidence_split(text, bytes, texts);
	for (uint32_t i = 0; i < NR_EVIDENCE_FILES && error == 0; i++)
		if (texts[i].bytes != 0 || texts[i].error != 0)
			error = take_text(e, (enum evidence_file)i, names[i], &texts[i]);
	if (error == 0)
		error = finish(e, err);
	if (error == 0 && !has_anything(e) && !evidence_has(e, EVIDENCE_SYSCTLS)) {
		text_error_set(err, where, 0,
			       "no line of it is one of zoneinfo, meminfo, vmstat, buddyinfo,"
			       " pagetypeinfo, swaps or pressure");
		error = -EINVAL;
	}
	for (uint32_t i = 0; i < NR_EVIDENCE_FILES; i++)
		text_buf_free(&texts[i]);
	if (error != 0) {
		evidence_free(e);
		return error == -ENOMEM ? text_error_no_memory(err, where) : error;
	}
	*out = e;
	return 0;
}
