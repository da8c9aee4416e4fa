/*
 * From a directory of saved files to a snapshot.
 *
 *     DIR/zoneinfo ----> nodes, zones, marks, CPUs    (needed)
 *     DIR/vmstat  -----> machine-wide counters        (else meminfo, else sums)
 *     DIR/buddyinfo ---> free blocks                  (else 0)
 *     DIR/meminfo -----> totals, available, pools     (else computed or 0)
 *     DIR/swaps   -----> swap areas                   (else none)
 *     DIR/node0/cpulist, distance                     (else assumed, with a warning)
 *
 * Files of one directory were read one after the other, so their numbers differ by
 * what happened between; each number is taken from the file that is its proper
 * place, and none is adjusted to agree with another.
 *
 * What must never happen: a file that is there but cannot be read or understood
 * being treated as missing. Only ENOENT and ENOTDIR mean missing.
 */
#include "text/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/scan.h"

#define FILE_BYTES_MAX (64 * MIB)
#define PATH_BYTES 4096u

/* All documents of a directory, owned. */
struct owned_docs {
	struct zoneinfo_doc *zoneinfo;
	struct vmstat_doc *vmstat;
	struct buddyinfo_doc *buddyinfo;
	struct meminfo_doc *meminfo;
	struct swaps_doc *swaps;
};

/* Pages that no request may count on: spec 01, section 6. */
static uint64_t reserve_pages(const struct snapshot *snapshot)
{
	uint64_t sum = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
			const struct snapshot_zone *zone = &snapshot->node[n].zone[z];
			uint64_t protection = 0;

			for (uint32_t upper = z; upper < NEAP_NR_ZONES; upper++)
				protection = max_u64(protection, zone->protection[upper]);
			sum += min_u64(zone->managed, protection + zone->high);
		}
	return sum;
}

/* What is left of a cache that may be shrunk by at most half, or to the low marks. */
static uint64_t shrinkable(uint64_t cache, uint64_t low)
{
	return cache - min_u64(cache / 2, low);
}

/* MemAvailable: spec 05, section 4. */
static uint64_t available_pages(const struct snapshot *snapshot)
{
	const uint64_t *node = snapshot->node_stat;
	uint64_t file = node[NR_ACTIVE_FILE] + node[NR_INACTIVE_FILE];
	uint64_t slab = node[NR_SLAB_RECLAIMABLE] + node[NR_KERNEL_MISC_RECLAIMABLE];
	uint64_t low = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			low += snapshot->node[n].zone[z].low;
	/* Unsigned, so that absurd numbers from a file wrap instead of overflowing. */
	uint64_t pages = snapshot->zone_stat[NR_FREE_PAGES] - snapshot->reserve_pages +
			 shrinkable(file, low) + shrinkable(slab, low);
	return (int64_t)pages > 0 ? pages : 0;
}

int snapshot_from_docs(const struct snapshot_docs *docs, struct snapshot **out,
		       struct text_error *err)
{
	struct snapshot *snapshot = NULL;
	uint64_t available_kb = 0;

	*out = NULL;
	int error = zoneinfo_to_snapshot(docs->zoneinfo, "zoneinfo", &snapshot, err);
	if (error != 0)
		return error;
	if (docs->swaps != NULL && swaps_fill_snapshot(docs->swaps, snapshot) != 0) {
		text_error_set(err, "swaps", 0, "there are %u swap areas, more than %u",
			       swaps_doc_count(docs->swaps), NEAP_MAX_SWAPS);
		free(snapshot);
		return -EINVAL;
	}
	if (docs->meminfo != NULL)
		meminfo_fill_snapshot(docs->meminfo, snapshot, docs->vmstat == NULL);
	if (docs->vmstat != NULL)
		vmstat_fill_snapshot(docs->vmstat, snapshot);
	if (docs->buddyinfo != NULL)
		buddyinfo_fill_snapshot(docs->buddyinfo, snapshot);
	if (snapshot->nr_nodes == 1)
		snapshot->node[0].cpus = snapshot->online;
	snapshot->reserve_pages = reserve_pages(snapshot);
	if (docs->meminfo == NULL || !meminfo_doc_kb(docs->meminfo, "MemAvailable", &available_kb))
		snapshot->available_pages = available_pages(snapshot);
	*out = snapshot;
	return 0;
}

static bool is_missing(int error)
{
	return error == -ENOENT || error == -ENOTDIR;
}

/* Reads DIR/MIDDLE/NAME. => 0, -ENOENT, or another negative errno with *err filled */
static int read_below(const char *dir, const char *middle, const char *name, struct text_buf *out,
		      struct text_error *err)
{
	char path[PATH_BYTES];
	int length = snprintf(path, sizeof(path), "%s/%s%s", dir, middle, name);

	if (length < 0 || (size_t)length >= sizeof(path))
		return -ENAMETOOLONG;
	text_buf_reset(out);
	int error = text_buf_read_file(out, path, FILE_BYTES_MAX);
	if (error != 0 && !is_missing(error))
		text_error_set(err, path, 0, "cannot read it: %s", strerror(-error));
	return is_missing(error) ? -ENOENT : error;
}

/* Reads DIR/NAME or DIR/proc/NAME. */
static int read_proc_file(const char *dir, const char *name, struct text_buf *out,
			  struct text_error *err)
{
	int error = read_below(dir, "", name, out, err);

	return error == -ENOENT ? read_below(dir, "proc/", name, out, err) : error;
}

/* Loads one file if it is there. Messages name the file; the caller knows the directory. */
#define LOAD_FILE(type)                                                                            \
	static int load_##type(const char *dir, struct owned_docs *docs, struct text_error *err)   \
	{                                                                                          \
		struct text_buf text;                                                              \
                                                                                                   \
		text_buf_init(&text);                                                              \
		int error = read_proc_file(dir, #type, &text, err);                                \
		if (error == 0)                                                                    \
			error = type##_parse(text_buf_text(&text), text.bytes, #type, &docs->type, \
					     err);                                                 \
		text_buf_free(&text);                                                              \
		return error;                                                                      \
	}

LOAD_FILE(zoneinfo)
LOAD_FILE(vmstat)
LOAD_FILE(buddyinfo)
LOAD_FILE(meminfo)
LOAD_FILE(swaps)

static void free_docs(struct owned_docs *docs)
{
	zoneinfo_free(docs->zoneinfo);
	vmstat_free(docs->vmstat);
	buddyinfo_free(docs->buddyinfo);
	meminfo_free(docs->meminfo);
	swaps_free(docs->swaps);
}

/* Appends a sentence to the warning that a successful load leaves in *err. */
static void warn(struct text_error *err, const char *dir, const char *sentence)
{
	if (err == NULL)
		return;
	size_t used = strlen(err->message);
	snprintf(err->file, sizeof(err->file), "%s", dir);
	snprintf(err->message + used, sizeof(err->message) - used, "%s%s", used != 0 ? "; " : "",
		 sentence);
}

/* Loads every file that is there; a missing one other than zoneinfo is a warning. */
static int load_docs(const char *dir, struct owned_docs *docs, struct text_error *err)
{
	static const struct {
		int (*load)(const char *dir, struct owned_docs *docs, struct text_error *err);
		const char *warning;
	} optional[] = {
		{ load_vmstat, "no vmstat: events are 0, totals are meminfo's or sums" },
		{ load_buddyinfo, "no buddyinfo: free blocks are unknown" },
		{ load_meminfo, "no meminfo: MemAvailable is computed" },
		{ load_swaps, "no swaps: no swap areas" },
	};
	struct text_error warnings = { .line = 0 };
	int error = load_zoneinfo(dir, docs, err);

	if (error == -ENOENT)
		text_error_set(err, dir, 0,
			       "there is neither a zoneinfo nor a proc/zoneinfo in this directory");
	for (uint32_t i = 0; i < ARRAY_LEN(optional) && error == 0; i++) {
		error = optional[i].load(dir, docs, err);
		if (error == -ENOENT) {
			warn(&warnings, dir, optional[i].warning);
			error = 0;
		}
	}
	if (error == 0 && err != NULL)
		*err = warnings;
	return error;
}

/* Parses "0-1,4" into a mask. => false if it is no such list or has numbers above 255 */
static bool parse_cpulist(const char *at, struct cpumask *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	at = scan_blanks(at);
	while (at != NULL && *at != '\n' && *at != '\0') {
		uint32_t first = 0;

		at = scan_u32(at, &first);
		uint32_t last = first;
		if (at != NULL && *at == '-')
			at = scan_u32(at + 1, &last);
		if (at == NULL || first > last || last >= NEAP_MAX_CPUS)
			return false;
		for (uint32_t cpu = first; cpu <= last; cpu++)
			cpumask_set(cpus, cpu);
		if (*at == ',')
			at++;
		else if (*at != '\n' && *at != '\0')
			return false;
	}
	return at != NULL;
}

/* Parses "10 20\n": one distance a node. => false if there is another number of them */
static bool parse_distances(const char *at, struct snapshot_node *node, uint32_t nr_nodes)
{
	uint32_t distance[NEAP_MAX_NODES];

	for (uint32_t n = 0; n < nr_nodes; n++)
		at = scan_u32(scan_blanks(at), &distance[n]);
	at = scan_blanks(at);
	if (at == NULL || (*at != '\n' && *at != '\0'))
		return false;
	memcpy(node->distance, distance, nr_nodes * sizeof(distance[0]));
	return true;
}

/*
 * Reads one file of a node from the first place that has it.
 * => 0; -ENOENT if no place has it; another negative errno with *err filled
 */
static int read_node_file(const char *dir, uint32_t id, const char *name, struct text_buf *out,
			  struct text_error *err)
{
	static const char *const places[] = {
		"",
		"sys/devices/system/node/",
		"../00-boot/",
		"../boot/",
	};
	char leaf[64];
	int error = -ENOENT;

	snprintf(leaf, sizeof(leaf), "node%u/%s", id, name);
	for (uint32_t i = 0; i < ARRAY_LEN(places) && error == -ENOENT; i++)
		error = read_below(dir, places[i], leaf, out, err);
	return error;
}

/* Gives each node its even share of the CPUs. */
static void split_cpus(struct snapshot *snapshot)
{
	uint32_t count = cpumask_count(&snapshot->online);
	uint32_t nth = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		memset(&snapshot->node[n].cpus, 0, sizeof(snapshot->node[n].cpus));
	for (uint32_t cpu = cpumask_next(&snapshot->online, 0); cpu < NEAP_MAX_CPUS;
	     cpu = cpumask_next(&snapshot->online, cpu + 1))
		cpumask_set(&snapshot->node[nth++ * snapshot->nr_nodes / count].cpus, cpu);
}

/* Only CPUs with page lists are online; a cpulist of a file saved elsewhere may have others. */
static void mask_online(struct snapshot *snapshot, struct cpumask *cpus)
{
	for (uint32_t i = 0; i < ARRAY_LEN(cpus->bits); i++)
		cpus->bits[i] &= snapshot->online.bits[i];
}

static int bad_node_file(struct text_error *err, uint32_t id, const char *name,
			 const struct text_buf *text)
{
	char file_name[64];

	snprintf(file_name, sizeof(file_name), "node%u/%s", id, name);
	text_error_set(err, file_name, 1, "\"%.40s\" is no %s", text_buf_text(text),
		       strcmp(name, "cpulist") == 0 ? "list of CPUs 0..255 (like 0-1,4)"
						    : "list of one distance a node");
	return -EINVAL;
}

/* Reads cpulist and distance of each node. => 0, or a negative errno with *err filled */
static int load_topology(const char *dir, struct snapshot *snapshot, struct text_buf *text,
			 struct text_error *err)
{
	bool cpus_missing = false;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		struct snapshot_node *node = &snapshot->node[n];
		int error = read_node_file(dir, node->id, "cpulist", text, err);

		if (error == 0 && !parse_cpulist(text_buf_text(text), &node->cpus))
			return bad_node_file(err, node->id, "cpulist", text);
		if (error != 0 && error != -ENOENT)
			return error;
		cpus_missing = cpus_missing || error == -ENOENT;
		mask_online(snapshot, &node->cpus);
		error = read_node_file(dir, node->id, "distance", text, err);
		if (error == 0 && !parse_distances(text_buf_text(text), node, snapshot->nr_nodes))
			return bad_node_file(err, node->id, "distance", text);
		if (error != 0 && error != -ENOENT)
			return error;
	}
	if (cpus_missing)
		split_cpus(snapshot);
	if (cpus_missing && snapshot->nr_nodes > 1)
		warn(err, dir, "no nodeN/cpulist: CPUs are split evenly over the nodes");
	return 0;
}

int snapshot_load_dir(const char *dir, struct snapshot **out, struct text_error *err)
{
	struct owned_docs owned = { .zoneinfo = NULL };
	struct snapshot *snapshot = NULL;
	struct text_buf text;

	*out = NULL;
	text_buf_init(&text);
	text_error_clear(err);
	int error = load_docs(dir, &owned, err);
	if (error == 0) {
		struct snapshot_docs docs = {
			.zoneinfo = owned.zoneinfo,
			.vmstat = owned.vmstat,
			.buddyinfo = owned.buddyinfo,
			.meminfo = owned.meminfo,
			.swaps = owned.swaps,
		};

		error = snapshot_from_docs(&docs, &snapshot, err);
	}
	if (error == 0)
		error = load_topology(dir, snapshot, &text, err);
	if (error == 0)
		*out = snapshot;
	else
		free(snapshot);
	text_buf_free(&text);
	free_docs(&owned);
	return error;
}
