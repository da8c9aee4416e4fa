/*
 * From a directory of saved files to a snapshot.
 *
 *     DIR/zoneinfo ----> nodes, zones, marks, CPUs    (needed)
 *     DIR/vmstat  -----> machine-wide counters        (else meminfo, else sums)
 *     DIR/buddyinfo ---> free blocks                  (else 0)
 *     DIR/pagetypeinfo > the same by type, pageblocks (else 0)
 *     DIR/meminfo -----> totals, available, pools     (else computed or 0)
 *     DIR/swaps   -----> swap areas                   (else none)
 *     DIR/pressure_memory                             (else 0)
 *     nodes: load_node.c, settings: load_settings.c
 *
 * Files of one directory were read one after the other, so their numbers differ by
 * what happened between; each number is taken from the file that is its proper
 * place, and none is adjusted to agree with another.
 *
 * What must never happen: a file that is there but cannot be read or understood
 * being treated as missing. Only ENOENT and ENOTDIR mean missing; and, for the two
 * files that a kernel may refuse to show (pagetypeinfo to others than root, pressure
 * without PSI), its refusal, with a warning.
 */
#include "text/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/load_part.h"
#include "text/pagetypeinfo.h"
#include "text/pressure.h"
#include "text/sysctls.h"

#define FILE_BYTES_MAX (64 * MIB)
#define PATH_BYTES 4096u

/* All documents of a directory, owned. */
struct owned_docs {
	struct zoneinfo_doc *zoneinfo;
	struct vmstat_doc *vmstat;
	struct buddyinfo_doc *buddyinfo;
	struct meminfo_doc *meminfo;
	struct swaps_doc *swaps;
	struct text_doc *pagetypeinfo;
	struct text_doc *pressure;
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
		error = -EINVAL;
	}
	if (error == 0 && docs->sysctls != NULL)
		error = sysctls_fill_snapshot(docs->sysctls, snapshot, err);
	if (error != 0) {
		free(snapshot);
		return error == -E2BIG ? -EINVAL : error;
	}
	if (docs->meminfo != NULL)
		meminfo_fill_snapshot(docs->meminfo, snapshot, docs->vmstat == NULL);
	if (docs->vmstat != NULL)
		vmstat_fill_snapshot(docs->vmstat, snapshot);
	if (docs->buddyinfo != NULL)
		buddyinfo_fill_snapshot(docs->buddyinfo, snapshot);
	if (docs->pagetypeinfo != NULL)
		pagetypeinfo_fill_snapshot(docs->pagetypeinfo, snapshot);
	if (docs->pressure != NULL)
		pressure_fill_snapshot(docs->pressure, snapshot);
	if (snapshot->nr_nodes == 1)
		snapshot->node[0].cpus = snapshot->online;
	snapshot->reserve_pages = reserve_pages(snapshot);
	if (docs->meminfo == NULL || !meminfo_doc_kb(docs->meminfo, "MemAvailable", &available_kb))
		snapshot->available_pages = available_pages(snapshot);
	*out = snapshot;
	return 0;
}

bool load_is_missing(int error)
{
	return error == -ENOENT || error == -ENOTDIR;
}

int load_read(const char *dir, const char *name, struct text_buf *out, struct text_error *err)
{
	char path[PATH_BYTES];
	int length = snprintf(path, sizeof(path), "%s/%s", dir, name);

	if (length < 0 || (size_t)length >= sizeof(path)) {
		text_error_set(err, dir, 0, "the path of %.60s in this directory is too long",
			       name);
		return -ENAMETOOLONG;
	}
	text_buf_reset(out);
	int error = text_buf_read_file(out, path, FILE_BYTES_MAX);
	if (error != 0 && !load_is_missing(error))
		text_error_set(err, path, 0, "cannot read it: %s", strerror(-error));
	return load_is_missing(error) ? -ENOENT : error;
}

void load_warn(struct text_error *err, const char *dir, const char *sentence)
{
	if (err == NULL)
		return;
	size_t used = strlen(err->message);
	snprintf(err->file, sizeof(err->file), "%s", dir);
	snprintf(err->message + used, sizeof(err->message) - used, "%s%s", used != 0 ? "; " : "",
		 sentence);
}

/* Reads DIR/NAME or DIR/proc/NAME. */
static int read_proc_file(const char *dir, const char *name, struct text_buf *out,
			  struct text_error *err)
{
	char below[64];
	int error = load_read(dir, name, out, err);

	if (error != -ENOENT)
		return error;
	snprintf(below, sizeof(below), "proc/%s", name);
	return load_read(dir, below, out, err);
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

/* The same for a plain document. A kernel's refusal to show the file counts as missing. */
static int load_plain(const char *dir, const char *name, const struct text_format *format,
		      struct text_doc **out, struct text_error *err)
{
	struct text_buf text;

	text_buf_init(&text);
	int error = read_proc_file(dir, name, &text, err);
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, name };

		error = text_doc_load(format, &in, out, err);
	} else if (error == -EACCES || error == -EPERM || error == -EOPNOTSUPP) {
		error = -ENOENT;
	}
	text_buf_free(&text);
	return error;
}

static int load_pagetypeinfo(const char *dir, struct owned_docs *docs, struct text_error *err)
{
	return load_plain(dir, "pagetypeinfo", &pagetypeinfo_format, &docs->pagetypeinfo, err);
}

static int load_pressure(const char *dir, struct owned_docs *docs, struct text_error *err)
{
	int error = load_plain(dir, "pressure_memory", &pressure_format, &docs->pressure, err);

	if (error == -ENOENT)
		error = load_plain(dir, "pressure/memory", &pressure_format, &docs->pressure, err);
	/* Many kernels have none, and only its own text depends on it: no warning. */
	return error == -ENOENT ? 0 : error;
}

static void free_docs(struct owned_docs *docs)
{
	zoneinfo_free(docs->zoneinfo);
	vmstat_free(docs->vmstat);
	buddyinfo_free(docs->buddyinfo);
	meminfo_free(docs->meminfo);
	swaps_free(docs->swaps);
	text_doc_free(docs->pagetypeinfo);
	text_doc_free(docs->pressure);
}

/* Loads every file that is there; a missing one other than zoneinfo is a warning. */
static int load_docs(const char *dir, struct owned_docs *docs, struct text_error *warning,
		     struct text_error *err)
{
	static const struct {
		int (*load)(const char *dir, struct owned_docs *docs, struct text_error *err);
		const char *warning;
	} optional[] = {
		{ load_vmstat, "no vmstat: events are 0, totals are meminfo's or sums" },
		{ load_buddyinfo, "no buddyinfo: free blocks are unknown" },
		{ load_meminfo, "no meminfo: MemAvailable is computed" },
		{ load_swaps, "no swaps: no swap areas" },
		{ load_pagetypeinfo, "no pagetypeinfo: types of blocks are unknown" },
		{ load_pressure, "" },
	};
	int error = load_zoneinfo(dir, docs, err);

	if (error == -ENOENT)
		text_error_set(err, dir, 0,
			       "there is neither a zoneinfo nor a proc/zoneinfo in this directory");
	for (uint32_t i = 0; i < ARRAY_LEN(optional) && error == 0; i++) {
		error = optional[i].load(dir, docs, err);
		if (error == -ENOENT) {
			load_warn(warning, dir, optional[i].warning);
			error = 0;
		}
	}
	return error;
}

/* No machine of neap can be like these. => 0, or -EINVAL with *err filled */
static int refuse_strangers(const char *dir, const struct snapshot *snapshot,
			    struct text_error *err)
{
	if (snapshot->has_highmem)
		text_error_set(err, dir, 0,
			       "it has a zone HighMem, which only 32-bit kernels have; neap follows"
			       " 64-bit PCs (neap explain and neap request read it)");
	else if (snapshot->nr_cpus_beyond != 0)
		text_error_set(err, dir, 0, "it has a CPU number above %u, the highest",
			       NEAP_MAX_CPUS - 1);
	else
		return 0;
	return -EINVAL;
}

int snapshot_load_dir(const char *dir, struct snapshot **out, struct text_error *err)
{
	struct owned_docs owned = { .zoneinfo = NULL };
	struct text_error warning = { .line = 0 };
	struct snapshot *snapshot = NULL;

	*out = NULL;
	text_error_clear(err);
	int error = load_docs(dir, &owned, &warning, err);
	if (error == 0) {
		struct snapshot_docs docs = {
			.zoneinfo = owned.zoneinfo,
			.vmstat = owned.vmstat,
			.buddyinfo = owned.buddyinfo,
			.meminfo = owned.meminfo,
			.swaps = owned.swaps,
			.pagetypeinfo = owned.pagetypeinfo,
			.pressure = owned.pressure,
		};

		error = snapshot_from_docs(&docs, &snapshot, err);
	}
	if (error == 0)
		error = refuse_strangers(dir, snapshot, err);
	if (error == 0)
		error = load_nodes(dir, snapshot, &warning, err);
	if (error == 0)
		error = load_settings(dir, snapshot, &warning, err);
	if (error == 0 && err != NULL)
		*err = warning;
	if (error == 0)
		*out = snapshot;
	else
		free(snapshot);
	free_docs(&owned);
	return error == -ENOMEM ? text_error_no_memory(err, dir) : error;
}
