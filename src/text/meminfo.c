/*
 * /proc/meminfo.
 *
 *     MemTotal:         481004 kB      label and colon padded to 16, value right-aligned in 8
 *     VmallocTotal:   34359738367 kB   ... or wider
 *     HugePages_Total:      25         label padded to 16, value in 8, no unit
 *     HardwareCorrupted:     0 kB      the one label that is too wide: a blank, then 5
 *
 * (Linux pads the HugePages labels to 19 and their values to 5: the labels are 15
 * or 16 characters with the colon, so it is the same.)
 *
 * The values of a machine's file are arithmetic over the snapshot, one small
 * function per source below; labels that are always 0 in 6.1 or that describe
 * what a machine of neap does not have print 0. Lines of optional features
 * (Zswap, HardwareCorrupted) are read but not written, Cma only if there is any: Debian's cloud
 * kernel, the reference, does not have them. Linux's counterpart is fs/proc/meminfo.c.
 *
 * What must never happen: Cached or any other difference below zero. It is taken
 * from counters read at different moments, so it is floored.
 */
#include "text/meminfo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text/mem.h"
#include "text/scan.h"

#define KB_PER_PAGE (NEAP_PAGE_BYTES / 1024u)
#define HUGE_KB 2048u
#define LABEL_COLUMN 16u
#define LABEL_BYTES_MAX 64 /* what is longer before a colon is not a label of any kernel */

/* How a line's value is found in a snapshot. */
enum source {
	SOURCE_ZERO,	  /* always 0 */
	SOURCE_ZONE,	  /* pages: a zone item */
	SOURCE_NODE,	  /* pages: a node item */
	SOURCE_NODE_SUM,  /* pages: two node items together */
	SOURCE_NODE_KB,	  /* a node item that is in KiB */
	SOURCE_PAGES,	  /* a uint64_t of the snapshot, in pages */
	SOURCE_PLAIN,	  /* a uint64_t of the snapshot, as it is */
	SOURCE_CACHED,	  /* file pages - swap cache - buffers */
	SOURCE_HUGE_SIZE, /* size of a huge page */
	SOURCE_HUGETLB,	  /* pool of huge pages */
	SOURCE_CMA_TOTAL, /* contiguous memory area; both only of a machine that has one */
	SOURCE_CMA_FREE,
};

struct meminfo_row {
	const char *label;
	uint16_t kind;
	enum source source;
	size_t first;  /* item number, or offset in the snapshot */
	size_t second; /* the other item of a sum */
};

#define AT(field) offsetof(struct snapshot, field)
#define ROW(label, source, first)                                                                  \
	{                                                                                          \
		label, MEMINFO_KB, source, first, 0                                                \
	}
#define SUM(label, first, second)                                                                  \
	{                                                                                          \
		label, MEMINFO_KB, SOURCE_NODE_SUM, first, second                                  \
	}
#define COUNT(label, field)                                                                        \
	{                                                                                          \
		label, MEMINFO_COUNT, SOURCE_PLAIN, AT(field), 0                                   \
	}

static const struct meminfo_row rows[] = {
	ROW("MemTotal", SOURCE_PAGES, AT(total_pages)),
	ROW("MemFree", SOURCE_ZONE, NR_FREE_PAGES),
	ROW("MemAvailable", SOURCE_PAGES, AT(available_pages)),
	ROW("Buffers", SOURCE_PAGES, AT(buffers_pages)),
	ROW("Cached", SOURCE_CACHED, 0),
	ROW("SwapCached", SOURCE_PAGES, AT(swapcache_pages)),
	SUM("Active", NR_ACTIVE_ANON, NR_ACTIVE_FILE),
	SUM("Inactive", NR_INACTIVE_ANON, NR_INACTIVE_FILE),
	ROW("Active(anon)", SOURCE_NODE, NR_ACTIVE_ANON),
	ROW("Inactive(anon)", SOURCE_NODE, NR_INACTIVE_ANON),
	ROW("Active(file)", SOURCE_NODE, NR_ACTIVE_FILE),
	ROW("Inactive(file)", SOURCE_NODE, NR_INACTIVE_FILE),
	ROW("Unevictable", SOURCE_NODE, NR_UNEVICTABLE),
	ROW("Mlocked", SOURCE_ZONE, NR_MLOCK),
	ROW("SwapTotal", SOURCE_PAGES, AT(swap_total_pages)),
	ROW("SwapFree", SOURCE_PAGES, AT(swap_free_pages)),
	ROW("Dirty", SOURCE_NODE, NR_DIRTY),
	ROW("Writeback", SOURCE_NODE, NR_WRITEBACK),
	ROW("AnonPages", SOURCE_NODE, NR_ANON_PAGES),
	ROW("Mapped", SOURCE_NODE, NR_MAPPED),
	ROW("Shmem", SOURCE_NODE, NR_SHMEM),
	SUM("KReclaimable", NR_SLAB_RECLAIMABLE, NR_KERNEL_MISC_RECLAIMABLE),
	SUM("Slab", NR_SLAB_RECLAIMABLE, NR_SLAB_UNRECLAIMABLE),
	ROW("SReclaimable", SOURCE_NODE, NR_SLAB_RECLAIMABLE),
	ROW("SUnreclaim", SOURCE_NODE, NR_SLAB_UNRECLAIMABLE),
	ROW("KernelStack", SOURCE_NODE_KB, NR_KERNEL_STACK),
	ROW("PageTables", SOURCE_NODE, NR_PAGE_TABLE_PAGES),
	ROW("SecPageTables", SOURCE_NODE, NR_SEC_PAGE_TABLE_PAGES),
	ROW("NFS_Unstable", SOURCE_ZERO, 0),
	ROW("Bounce", SOURCE_ZONE, NR_BOUNCE),
	ROW("WritebackTmp", SOURCE_NODE, NR_WRITEBACK_TEMP),
	ROW("CommitLimit", SOURCE_PAGES, AT(commit_limit_pages)),
	ROW("Committed_AS", SOURCE_PAGES, AT(committed_pages)),
	ROW("VmallocTotal", SOURCE_PLAIN, AT(vmalloc_total_kb)),
	ROW("VmallocUsed", SOURCE_PLAIN, AT(vmalloc_used_kb)),
	ROW("VmallocChunk", SOURCE_ZERO, 0),
	ROW("Percpu", SOURCE_PLAIN, AT(percpu_kb)),
	ROW("AnonHugePages", SOURCE_NODE, NR_ANON_TRANSPARENT_HUGEPAGES),
	ROW("ShmemHugePages", SOURCE_NODE, NR_SHMEM_HUGEPAGES),
	ROW("ShmemPmdMapped", SOURCE_NODE, NR_SHMEM_PMDMAPPED),
	ROW("FileHugePages", SOURCE_NODE, NR_FILE_HUGEPAGES),
	ROW("FilePmdMapped", SOURCE_NODE, NR_FILE_PMDMAPPED),
	ROW("CmaTotal", SOURCE_CMA_TOTAL, 0),
	ROW("CmaFree", SOURCE_CMA_FREE, 0),
	COUNT("HugePages_Total", huge_total),
	COUNT("HugePages_Free", huge_free),
	COUNT("HugePages_Rsvd", huge_reserved),
	COUNT("HugePages_Surp", huge_surplus),
	ROW("Hugepagesize", SOURCE_HUGE_SIZE, 0),
	ROW("Hugetlb", SOURCE_HUGETLB, 0),
	ROW("DirectMap4k", SOURCE_PLAIN, AT(direct_map_kb[0])),
	ROW("DirectMap2M", SOURCE_PLAIN, AT(direct_map_kb[1])),
	ROW("DirectMap1G", SOURCE_PLAIN, AT(direct_map_kb[2])),
};

/* Labels that 6.1 has when it is built with more than the reference kernel. */
static const char *const optional_labels[] = {
	"Zswap",     "Zswapped", "HardwareCorrupted", /* more than the reference kernel has */
	"HighTotal", "HighFree", "LowTotal",	      "LowFree", /* 32-bit kernels */
};

static bool label_is_known(const char *label, uint32_t *hint)
{
	uint32_t start = *hint < ARRAY_LEN(rows) ? *hint : 0;

	for (uint32_t step = 0; step < ARRAY_LEN(rows); step++) {
		uint32_t at = (start + step) % (uint32_t)ARRAY_LEN(rows);

		if (strcmp(rows[at].label, label) == 0) {
			*hint = at + 1;
			return true;
		}
	}
	for (uint32_t i = 0; i < ARRAY_LEN(optional_labels); i++)
		if (strcmp(optional_labels[i], label) == 0)
			return true;
	return false;
}

static int meminfo_read(struct text_doc *doc, struct text_line *line, const char *text)
{
	const char *colon = strchr(text, ':');

	if (colon == NULL || colon == text || colon - text > LABEL_BYTES_MAX ||
	    *scan_blanks(text) != *text)
		return 0;
	const char *at = scan_u64(scan_blanks(colon + 1), &line->value);
	const char *unit = scan_literal(scan_blanks(at), "kB");
	if (!scan_end(at) && !scan_end(unit))
		return 0;
	line->kind = unit != NULL ? MEMINFO_KB : MEMINFO_COUNT;
	line->name = text_doc_name(doc, text, (size_t)(colon - text));
	line->known = label_is_known(line->name, &doc->hint);
	return 0;
}

static void meminfo_print(const struct text_doc *doc UNUSED, const struct text_line *line,
			  struct text_buf *out)
{
	size_t length = strlen(line->name) + 1;

	text_buf_add(out, line->name, length - 1);
	text_buf_add(out, ":", 1);
	text_buf_fill(out, ' ', length < LABEL_COLUMN ? LABEL_COLUMN - length : 0);
	if (length > LABEL_COLUMN)
		text_buf_fill(out, ' ', 1);
	text_buf_u64(out, line->value, length > LABEL_COLUMN ? 5 : 8);
	if (line->kind == MEMINFO_KB)
		text_buf_puts(out, " kB");
}

static const struct text_format meminfo_format = {
	.title = "/proc/meminfo",
	.form = "MemTotal:         481004 kB",
	.bytes_max = MIB,
	.lines_max = 4096,
	.line_bytes_max = 256,
	.by_name = true,
	.read = meminfo_read,
	.print = meminfo_print,
};

/* => an empty document, or NULL when memory is out */
static struct meminfo_doc *meminfo_new(void)
{
	struct meminfo_doc *meminfo = text_mem_resize(NULL, sizeof(*meminfo));

	if (meminfo != NULL)
		text_doc_init(&meminfo->doc, &meminfo_format);
	return meminfo;
}

void meminfo_free(struct meminfo_doc *meminfo)
{
	if (meminfo == NULL)
		return;
	text_doc_clear(&meminfo->doc);
	free(meminfo);
}

int meminfo_parse(const char *text, size_t bytes, const char *file_name, struct meminfo_doc **out,
		  struct text_error *err)
{
	struct meminfo_doc *meminfo = meminfo_new();

	*out = NULL;
	if (meminfo == NULL)
		return text_error_no_memory(err, file_name);
	int error = text_doc_parse(&meminfo->doc, text, bytes, file_name, err);
	if (error != 0) {
		meminfo_free(meminfo);
		return error;
	}
	*out = meminfo;
	return 0;
}

/* File pages that are neither swap cache nor buffers. */
static uint64_t cached_pages(const struct snapshot *snapshot)
{
	uint64_t other = snapshot->swapcache_pages + snapshot->buffers_pages;
	uint64_t all = snapshot->node_stat[NR_FILE_PAGES];

	return all > other ? all - other : 0;
}

static uint64_t cma_pages(const struct snapshot *snapshot)
{
	uint64_t pages = 0;

	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
			pages += snapshot->node[n].zone[z].cma;
	return pages;
}

/* Whether a kernel of such a machine has the line: the reference kernel is built without CMA. */
static bool row_exists(const struct snapshot *snapshot, const struct meminfo_row *row)
{
	return (row->source != SOURCE_CMA_TOTAL && row->source != SOURCE_CMA_FREE) ||
	       cma_pages(snapshot) != 0;
}

/* The field of the snapshot at this offset. */
static uint64_t field_value(const struct snapshot *snapshot, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)snapshot + offset, sizeof(value));
	return value;
}

static uint64_t row_value(const struct snapshot *snapshot, const struct meminfo_row *row)
{
	const uint64_t *node = snapshot->node_stat;

	switch (row->source) {
	case SOURCE_ZONE:
		return snapshot->zone_stat[row->first] * KB_PER_PAGE;
	case SOURCE_NODE:
		return node[row->first] * KB_PER_PAGE;
	case SOURCE_NODE_SUM:
		return (node[row->first] + node[row->second]) * KB_PER_PAGE;
	case SOURCE_NODE_KB:
		return node[row->first];
	case SOURCE_PAGES:
		return field_value(snapshot, row->first) * KB_PER_PAGE;
	case SOURCE_PLAIN:
		return field_value(snapshot, row->first);
	case SOURCE_CACHED:
		return cached_pages(snapshot) * KB_PER_PAGE;
	case SOURCE_HUGE_SIZE:
		return HUGE_KB;
	case SOURCE_HUGETLB:
		return snapshot->huge_total * HUGE_KB;
	case SOURCE_CMA_TOTAL:
		return cma_pages(snapshot) * KB_PER_PAGE;
	case SOURCE_CMA_FREE:
		return snapshot->zone_stat[NR_FREE_CMA] * KB_PER_PAGE;
	case SOURCE_ZERO:
		break;
	}
	return 0;
}

int meminfo_from_snapshot(const struct snapshot *snapshot, struct meminfo_doc **out)
{
	struct meminfo_doc *meminfo = meminfo_new();
	int error = meminfo != NULL ? 0 : -ENOMEM;

	*out = NULL;
	for (uint32_t i = 0; i < ARRAY_LEN(rows) && error == 0; i++) {
		struct text_line line = {
			.kind = rows[i].kind,
			.known = true,
			.name = rows[i].label,
			.value = row_value(snapshot, &rows[i]),
		};

		if (row_exists(snapshot, &rows[i]))
			error = text_doc_add(&meminfo->doc, &line);
	}
	if (error != 0) {
		meminfo_free(meminfo);
		return error;
	}
	*out = meminfo;
	return 0;
}

int meminfo_write(const struct meminfo_doc *meminfo, struct text_buf *out)
{
	return text_doc_write(&meminfo->doc, out);
}

static bool find_value(const struct meminfo_doc *meminfo, uint16_t kind, const char *label,
		       uint64_t *value)
{
	const struct text_line *line = text_doc_find(&meminfo->doc, 0, kind, label);

	if (line != NULL)
		*value = line->value;
	return line != NULL;
}

bool meminfo_doc_kb(const struct meminfo_doc *meminfo, const char *label, uint64_t *value_kb)
{
	return find_value(meminfo, MEMINFO_KB, label, value_kb);
}

bool meminfo_doc_count(const struct meminfo_doc *meminfo, const char *label, uint64_t *value)
{
	return find_value(meminfo, MEMINFO_COUNT, label, value);
}

/* Enters the amount of a row into the snapshot; the inverse of row_value(). */
static void row_fill(struct snapshot *snapshot, const struct meminfo_row *row, uint64_t value,
		     bool with_counters)
{
	uint64_t page_kb = snapshot_page_kb(snapshot);
	uint64_t field = row->source == SOURCE_PAGES ? value / page_kb : value;

	if (row->source == SOURCE_PAGES || row->source == SOURCE_PLAIN)
		memcpy((char *)snapshot + row->first, &field, sizeof(field));
	if (!with_counters)
		return;
	if (row->source == SOURCE_ZONE)
		snapshot->zone_stat[row->first] = value / page_kb;
	else if (row->source == SOURCE_NODE)
		snapshot->node_stat[row->first] = value / page_kb;
	else if (row->source == SOURCE_NODE_KB)
		snapshot->node_stat[row->first] = value;
}

void meminfo_fill_snapshot(const struct meminfo_doc *meminfo, struct snapshot *snapshot,
			   bool with_counters)
{
	uint64_t *node = snapshot->node_stat;
	uint64_t page_kb = snapshot_page_kb(snapshot);
	uint64_t value = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++)
		if (find_value(meminfo, rows[i].kind, rows[i].label, &value))
			row_fill(snapshot, &rows[i], value, with_counters);
	if (!with_counters)
		return;
	if (meminfo_doc_kb(meminfo, "Cached", &value))
		node[NR_FILE_PAGES] =
			value / page_kb + snapshot->swapcache_pages + snapshot->buffers_pages;
	if (meminfo_doc_kb(meminfo, "KReclaimable", &value))
		node[NR_KERNEL_MISC_RECLAIMABLE] =
			value / page_kb - min_u64(value / page_kb, node[NR_SLAB_RECLAIMABLE]);
}
