/*
 * A Mem-Info block from a snapshot, and the report of a failed request.
 *
 *     snapshot ── sums ──> GLOBAL lines
 *              ── node ──> NODE line            what the request could not have used is
 *              ── zone ──> ZONE, RESERVE, BLOCKS   left out, as Linux leaves it out
 *              ── pools, swap, totals
 *
 * Every line is made as a report_line, as if it had been read, and printed by the same
 * function that prints what was read; so what is written here is understood by the
 * parser by construction, and a test writes, reads and compares.
 *
 * A failed request of a neap machine has no kernel stack, so the trace that Linux puts
 * between the head and Mem-Info is missing; all else has Linux's form.
 *
 * What must never happen: a number taken from another place than Linux takes it from.
 * Sums over the machine are the machine's own counters, not sums of the zones printed.
 *
 * Linux: warn_alloc(), show_free_areas() of mm/page_alloc.c, show_mem().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text/gfp.h"
#include "text/report_memory.h"
#include "text/zonename.h"

#define KB_PER_PAGE (NEAP_PAGE_BYTES / 1024u)
#define HUGE_KB 2048u
#define GIANT_KB 1048576u

static void end_line(const struct report_line *line, struct text_buf *out)
{
	report_line_print(line, out);
	text_buf_add(out, "\n", 1);
}

static void add_values(struct report_line *line, const uint64_t *stat, const uint16_t pairs[][2],
		       uint32_t nr_pairs)
{
	bool pages = line->kind == REPORT_GLOBAL;

	for (uint32_t i = 0; i < nr_pairs; i++)
		report_line_value(line, (enum report_item)pairs[i][0],
				  stat[pairs[i][1]] * (pages ? 1 : KB_PER_PAGE));
}

/* Pages on the lists of all CPUs. */
static uint64_t zone_pcp_pages(const struct snapshot *snapshot, const struct snapshot_zone *zone)
{
	uint64_t pages = 0;

	for (uint32_t cpu = 0; cpu < NEAP_MAX_CPUS; cpu++)
		if (cpumask_test(&snapshot->online, cpu))
			pages += zone->pageset[cpu].count;
	return pages;
}

static uint64_t pcp_pages(const struct snapshot *snapshot)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++)
		pages += zone_pcp_pages(snapshot,
					&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES]);
	return pages;
}

/* ---- the machine ---- */

static void write_global(const struct snapshot *snapshot, struct text_buf *out)
{
	static const uint16_t rows[][3][2] = {
		{ { RI_ACTIVE_ANON, NR_ACTIVE_ANON },
		  { RI_INACTIVE_ANON, NR_INACTIVE_ANON },
		  { RI_ISOLATED_ANON, NR_ISOLATED_ANON } },
		{ { RI_ACTIVE_FILE, NR_ACTIVE_FILE },
		  { RI_INACTIVE_FILE, NR_INACTIVE_FILE },
		  { RI_ISOLATED_FILE, NR_ISOLATED_FILE } },
		{ { RI_UNEVICTABLE, NR_UNEVICTABLE },
		  { RI_DIRTY, NR_DIRTY },
		  { RI_WRITEBACK, NR_WRITEBACK } },
		{ { RI_SLAB_RECLAIMABLE, NR_SLAB_RECLAIMABLE },
		  { RI_SLAB_UNRECLAIMABLE, NR_SLAB_UNRECLAIMABLE } },
		{ { RI_MAPPED, NR_MAPPED },
		  { RI_SHMEM, NR_SHMEM },
		  { RI_PAGETABLES, NR_PAGE_TABLE_PAGES } },
		{ { RI_SEC_PAGETABLES, NR_SEC_PAGE_TABLE_PAGES } },
		{ { RI_KERNEL_MISC, NR_KERNEL_MISC_RECLAIMABLE } },
	};
	static const uint8_t lengths[ARRAY_LEN(rows)] = { 3, 3, 3, 2, 3, 1, 1 };
	struct report_line line;

	for (uint32_t i = 0; i < ARRAY_LEN(rows); i++) {
		report_line_init(&line, REPORT_GLOBAL, -1);
		add_values(&line, snapshot->node_stat, rows[i], lengths[i]);
		if (rows[i][0][0] == RI_SEC_PAGETABLES)
			report_line_value(&line, RI_BOUNCE, snapshot->zone_stat[NR_BOUNCE]);
		end_line(&line, out);
	}
	report_line_init(&line, REPORT_GLOBAL, -1);
	report_line_value(&line, RI_FREE, snapshot->zone_stat[NR_FREE_PAGES]);
	report_line_value(&line, RI_FREE_PCP, pcp_pages(snapshot));
	report_line_value(&line, RI_FREE_CMA, snapshot->zone_stat[NR_FREE_CMA]);
	end_line(&line, out);
}

/* ---- nodes ---- */

static bool zone_is_shown(const struct snapshot_zone *zone, const struct report_filter *filter)
{
	return zone->present != 0 && zone->type <= filter->limit &&
	       (filter->nodes >> zone->node & 1) != 0;
}

static bool node_is_shown(const struct snapshot_node *node, const struct report_filter *filter)
{
	bool managed = false;

	for (uint32_t z = 0; z <= filter->limit && z < NEAP_NR_ZONES; z++)
		managed = managed || node->zone[z].managed != 0;
	return managed && (filter->nodes >> node->id & 1) != 0;
}

static void write_node(const struct snapshot_node *node, struct text_buf *out)
{
	static const uint16_t pairs[][2] = {
		{ RI_ACTIVE_ANON, NR_ACTIVE_ANON },
		{ RI_INACTIVE_ANON, NR_INACTIVE_ANON },
		{ RI_ACTIVE_FILE, NR_ACTIVE_FILE },
		{ RI_INACTIVE_FILE, NR_INACTIVE_FILE },
		{ RI_UNEVICTABLE, NR_UNEVICTABLE },
		{ RI_ISOLATED_ANON, NR_ISOLATED_ANON },
		{ RI_ISOLATED_FILE, NR_ISOLATED_FILE },
		{ RI_MAPPED, NR_MAPPED },
		{ RI_DIRTY, NR_DIRTY },
		{ RI_WRITEBACK, NR_WRITEBACK },
		{ RI_SHMEM, NR_SHMEM },
		{ RI_SHMEM_THP, NR_SHMEM_HUGEPAGES },
		{ RI_SHMEM_PMDMAPPED, NR_SHMEM_PMDMAPPED },
		{ RI_ANON_THP, NR_ANON_TRANSPARENT_HUGEPAGES },
		{ RI_WRITEBACK_TMP, NR_WRITEBACK_TEMP },
	};
	struct report_line line;
	bool hopeless = false;

	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++)
		hopeless = hopeless || node->zone[z].node_unreclaimable;
	report_line_init(&line, REPORT_NODE, (int32_t)node->id);
	add_values(&line, node->stat, pairs, ARRAY_LEN(pairs));
	report_line_value(&line, RI_KERNEL_STACK, node->stat[NR_KERNEL_STACK]);
	report_line_value(&line, RI_PAGETABLES, node->stat[NR_PAGE_TABLE_PAGES] * KB_PER_PAGE);
	report_line_value(&line, RI_SEC_PAGETABLES,
			  node->stat[NR_SEC_PAGE_TABLE_PAGES] * KB_PER_PAGE);
	report_line_value(&line, RI_UNRECLAIMABLE, hopeless);
	end_line(&line, out);
}

/* ---- zones ---- */

static void write_zone(const struct snapshot *snapshot, const struct snapshot_zone *zone,
		       uint32_t cpu, struct text_buf *out)
{
	const struct {
		enum report_item item;
		uint64_t pages;
	} values[] = {
		{ RI_FREE, zone->free },
		{ RI_BOOST, zone->boost },
		{ RI_MIN, zone->min },
		{ RI_LOW, zone->low },
		{ RI_HIGH, zone->high },
		{ RI_HIGHATOMIC, zone->nr_reserved_highatomic },
		{ RI_ACTIVE_ANON, zone->stat[NR_ZONE_ACTIVE_ANON] },
		{ RI_INACTIVE_ANON, zone->stat[NR_ZONE_INACTIVE_ANON] },
		{ RI_ACTIVE_FILE, zone->stat[NR_ZONE_ACTIVE_FILE] },
		{ RI_INACTIVE_FILE, zone->stat[NR_ZONE_INACTIVE_FILE] },
		{ RI_UNEVICTABLE, zone->stat[NR_ZONE_UNEVICTABLE] },
		{ RI_WRITEPENDING, zone->stat[NR_ZONE_WRITE_PENDING] },
		{ RI_PRESENT, zone->present },
		{ RI_MANAGED, zone->managed },
		{ RI_MLOCKED, zone->stat[NR_MLOCK] },
		{ RI_BOUNCE, zone->stat[NR_BOUNCE] },
		{ RI_FREE_PCP, zone_pcp_pages(snapshot, zone) },
		{ RI_LOCAL_PCP, cpu < NEAP_MAX_CPUS ? zone->pageset[cpu].count : 0 },
		{ RI_FREE_CMA, zone->stat[NR_FREE_CMA] },
	};
	struct report_line line;

	report_line_init(&line, REPORT_ZONE, (int32_t)zone->node);
	report_line_word(&line, zonename_of(zone->type));
	for (uint32_t i = 0; i < ARRAY_LEN(values); i++)
		report_line_value(&line, values[i].item, values[i].pages * KB_PER_PAGE);
	end_line(&line, out);
	report_line_init(&line, REPORT_RESERVE, -1);
	for (uint32_t i = 0; i < NEAP_NR_ZONES; i++)
		report_line_value(&line, RI_OTHER, zone->protection[i]);
	end_line(&line, out);
}

static void write_blocks(const struct snapshot_zone *zone, struct text_buf *out)
{
	struct report_line line;
	uint64_t pages = 0;

	report_line_init(&line, REPORT_BLOCKS, (int32_t)zone->node);
	report_line_word(&line, zonename_of(zone->type));
	for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++) {
		struct report_value *value = &line.value[line.nr_values++];

		*value = (struct report_value){ .value = zone->nr_free[order],
						.size_shift = (uint8_t)(order + 2) };
		for (uint32_t type = 0; type < NEAP_NR_TYPES && value->value != 0; type++)
			if (zone->nr_free_type[type][order] != 0)
				value->item |= (uint16_t)(1u << type);
		pages += zone->nr_free[order] << order;
	}
	report_line_value(&line, 0, pages * KB_PER_PAGE);
	end_line(&line, out);
}

/* ---- the rest ---- */

static void write_number(enum report_kind kind, uint64_t number, struct text_buf *out)
{
	struct report_line line;

	report_line_init(&line, kind, -1);
	report_line_number(&line, number);
	end_line(&line, out);
}

static void write_pool(const struct snapshot_node *node, bool giant, struct text_buf *out)
{
	struct report_line line;

	report_line_init(&line, REPORT_HUGE, (int32_t)node->id);
	report_line_number(&line, node->id);
	report_line_number(&line, giant ? 0 : node->huge_total);
	report_line_number(&line, giant ? 0 : node->huge_free);
	report_line_number(&line, giant ? 0 : node->huge_surplus);
	report_line_number(&line, giant ? GIANT_KB : HUGE_KB);
	end_line(&line, out);
}

static void write_totals(const struct snapshot *snapshot, struct text_buf *out)
{
	uint64_t present = 0, managed = 0;

	for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++) {
		const struct snapshot_zone *zone =
			&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];

		present += zone->present;
		managed += zone->managed;
	}
	write_number(REPORT_PAGECACHE, snapshot->node_stat[NR_FILE_PAGES], out);
	write_number(REPORT_SWAPCACHE, snapshot->node_stat[NR_SWAPCACHED], out);
	write_number(REPORT_SWAP_FREE, snapshot->swap_free_pages * KB_PER_PAGE, out);
	write_number(REPORT_SWAP_TOTAL, snapshot->swap_total_pages * KB_PER_PAGE, out);
	write_number(REPORT_RAM, present, out);
	write_number(REPORT_HIGHMEM, 0, out);
	write_number(REPORT_RESERVED, present - managed, out);
}

int report_memory_write(const struct snapshot *snapshot, const struct report_filter *filter,
			struct text_buf *out)
{
	text_buf_puts(out, "Mem-Info:\n");
	write_global(snapshot, out);
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		if (node_is_shown(&snapshot->node[n], filter))
			write_node(&snapshot->node[n], out);
	for (uint32_t pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < snapshot->nr_nodes * NEAP_NR_ZONES; i++) {
			const struct snapshot_zone *zone =
				&snapshot->node[i / NEAP_NR_ZONES].zone[i % NEAP_NR_ZONES];

			if (!zone_is_shown(zone, filter))
				continue;
			if (pass == 0)
				write_zone(snapshot, zone, filter->cpu, out);
			else
				write_blocks(zone, out);
		}
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++) {
		const struct snapshot_node *node = &snapshot->node[n];

		/* A node without memory has a line, too. */
		if (!(node->online || node->has_memory) || (filter->nodes >> node->id & 1) == 0)
			continue;
		/* Registered first. */
		if (filter->giant)
			write_pool(node, true, out);
		write_pool(node, false, out);
	}
	write_totals(snapshot, out);
	return out->error;
}

/* ---- a failed request ---- */

/* "0,2-3" */
static void mask_text(uint64_t mask, struct text_buf *out)
{
	bool any = false;

	for (uint32_t i = 0; i < 64; i++) {
		uint32_t first = i;

		if ((mask >> i & 1) == 0)
			continue;
		while (i + 1 < 64 && (mask >> (i + 1) & 1) != 0)
			i++;
		text_buf_printf(out, i > first ? "%s%u-%u" : "%s%u", any ? "," : "", first, i);
		any = true;
	}
}

int report_failure_write(const struct snapshot *snapshot, const struct report_request *request,
			 const struct report_filter *filter, struct text_buf *out)
{
	char flags[GFP_TEXT_BYTES];
	struct text_buf mask, all;
	struct report_line line;
	uint64_t memory = 0;

	text_buf_init(&mask);
	text_buf_init(&all);
	for (uint32_t n = 0; n < snapshot->nr_nodes; n++)
		if (snapshot->node[n].has_memory)
			memory |= (uint64_t)1 << snapshot->node[n].id;
	mask_text(request->mems != 0 ? request->mems : memory, &all);
	if (request->nodemask != NULL)
		mask_text(*request->nodemask, &mask);
	else
		text_buf_puts(&mask, "(null)");
	gfp_flags_format(request->gfp, flags, sizeof(flags));
	report_line_init(&line, REPORT_FAILURE, -1);
	report_line_word(&line, request->comm);
	report_line_number(&line, request->order);
	report_line_number(&line, request->gfp);
	report_line_word(&line, flags);
	report_line_word(&line, text_buf_text(&mask));
	report_line_word(&line, "/");
	report_line_word(&line, text_buf_text(&all));
	end_line(&line, out);
	report_line_init(&line, REPORT_CPU, -1);
	report_line_number(&line, filter->cpu);
	report_line_number(&line, request->pid);
	report_line_word(&line, request->comm);
	report_line_word(&line, request->kernel);
	end_line(&line, out);
	if (mask.error != 0 || all.error != 0)
		out->error = -ENOMEM;
	text_buf_free(&mask);
	text_buf_free(&all);
	return report_memory_write(snapshot, filter, out);
}

/* ---- whole texts ---- */

int report_reprint(const char *text, size_t bytes, struct text_buf *out,
		   struct report_counts *counts)
{
	struct report_context context = { .last = REPORT_OTHER };
	struct report_line line;
	struct logline split;
	struct text_buf printed;

	text_buf_init(&printed);
	*counts = (struct report_counts){ .nr_lines = 0 };
	for (size_t at = 0; at < bytes && out->error == 0 && printed.error == 0;) {
		const char *end = memchr(text + at, '\n', bytes - at);
		size_t length = end != NULL ? (size_t)(end - (text + at)) : bytes - at;

		logline_split(text + at, (uint32_t)min_u64(length, UINT32_MAX), &split);
		report_line_read(&split.text, &context, &line);
		text_buf_reset(&printed);
		report_line_print(&line, &printed);
		bool same = text_buf_equals(&printed, split.text.at, split.text.bytes);

		counts->nr_lines++;
		counts->nr_unknown += line.kind == REPORT_OTHER && split.text.bytes != 0;
		counts->nr_odd += line.kind != REPORT_OTHER && !same;
		text_buf_add(out, split.prefix.at, split.prefix.bytes);
		if (same)
			text_buf_add(out, text_buf_text(&printed), printed.bytes);
		else
			text_buf_add(out, split.text.at, split.text.bytes);
		at += length;
		if (end != NULL) {
			text_buf_add(out, "\n", 1);
			at++;
		}
	}
	int error = out->error != 0 ? out->error : printed.error;

	text_buf_free(&printed);
	return error;
}
