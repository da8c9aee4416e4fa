/*
 * The ledger in words.
 *
 *     nothing is wrong: every kilobyte but 3.1 MiB has an owner
 *
 *     470 MiB     in all                           MemTotal
 *     441 MiB  94 %  free                          MemFree
 *     ...
 *     3.1 MiB   1 %  nobody's                      what no line names
 *
 * The first line is the verdict. Rows that are zero are left out; parts are indented below
 * their row and do not add up to anything by themselves.
 *
 * What must never happen: a line of more than 80 columns, or a percentage that hides a range.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diag/ledger.h"
#include "diag/terms.h"

#define COLUMNS 80u
#define SIZE_COLUMNS 9u
#define NAME_COLUMNS 34u

static void add_kb(struct text_buf *out, uint64_t kb)
{
	/* terms_bytes_add() counts in pages of 4 KiB; amounts below are whole kilobytes. */
	if (kb % 4 != 0 && kb < 1024)
		text_buf_printf(out, "%" PRIu64 " KiB", kb);
	else
		terms_bytes_add(out, kb / 4);
}

static void add_signed(struct text_buf *out, int64_t kb)
{
	text_buf_puts(out, kb < 0 ? "-" : "+");
	add_kb(out, (uint64_t)(kb < 0 ? -kb : kb));
}

/* Appends a size in a column of its own. */
static void add_column(struct text_buf *out, const struct text_buf *size, uint32_t width)
{
	text_buf_fill(out, ' ', size->bytes < width ? width - size->bytes : 0);
	text_buf_puts(out, text_buf_text(size));
}

struct printed_row {
	uint64_t kb;
	int64_t change;
	uint64_t total_kb;
	uint32_t depth;
	const char *name, *source;
	bool changes; /* there is a column of changes */
};

static void add_row(struct text_buf *out, const struct printed_row *row)
{
	struct text_buf size;

	text_buf_init(&size);
	add_kb(&size, row->kb);
	add_column(out, &size, SIZE_COLUMNS);
	if (row->depth == 0)
		text_buf_printf(out, " %3" PRIu64 " %%", row->kb * 100 / max_u64(row->total_kb, 1));
	else
		text_buf_fill(out, ' ', 6);
	if (row->changes) {
		text_buf_reset(&size);
		if (row->change != 0)
			add_signed(&size, row->change);
		add_column(out, &size, SIZE_COLUMNS + 2);
	}
	text_buf_fill(out, ' ', 2 + row->depth * 2);
	text_buf_puts(out, row->name);
	size_t used = strlen(row->name) + row->depth * 2;

	if (row->changes)
		text_buf_printf(out, "\n");
	else {
		text_buf_fill(out, ' ', used < NAME_COLUMNS ? NAME_COLUMNS - used : 1);
		text_buf_printf(out, "%s\n", row->source);
	}
	text_buf_free(&size);
}

/* A sentence, broken into lines. */
static void add_sentence(struct text_buf *out, const char *text)
{
	uint32_t column = 0;

	for (const char *at = text; *at != '\0';) {
		uint32_t bytes = (uint32_t)strcspn(at, " ");

		if (column > 0 && column + 1 + bytes > COLUMNS) {
			text_buf_puts(out, "\n  ");
			column = 2;
		} else if (column > 0) {
			text_buf_puts(out, " ");
			column++;
		}
		text_buf_add(out, at, bytes);
		column += bytes;
		at += bytes;
		at += strspn(at, " ");
	}
	text_buf_puts(out, "\n");
}

static void add_rest(struct text_buf *out, const struct ledger *ledger)
{
	int64_t low = ledger->rest_low_kb > 0 ? ledger->rest_low_kb : 0;
	int64_t high = ledger->rest_high_kb;

	add_kb(out, (uint64_t)low);
	if (high > low && ledger->rest_high_kb > ledger->rest_low_kb) {
		text_buf_puts(out, " to ");
		add_kb(out, (uint64_t)high);
	}
}

void ledger_verdict_add(struct text_buf *out, const struct ledger *ledger,
			const struct ledger *before)
{
	if (ledger->nr_checks != 0) {
		text_buf_printf(out, "the file cannot be right: %u of its own rules %s broken",
				ledger->nr_checks, ledger->nr_checks == 1 ? "is" : "are");
		return;
	}
	if (before != NULL) {
		struct ledger_growth growth = ledger_compare(before, ledger);

		if (growth.certain) {
			text_buf_puts(out, "memory that nobody accounts for grew by at least ");
			add_kb(out, (uint64_t)growth.least_kb);
			text_buf_puts(out, ", more than anything else");
			return;
		}
	}
	text_buf_puts(out, "nothing is wrong: all but ");
	add_rest(out, ledger);
	text_buf_puts(out, " has an owner");
}

/* ---- parts of the text ---- */

static void add_checks(struct text_buf *out, const struct ledger *ledger)
{
	for (uint32_t i = 0; i < ledger->nr_checks; i++)
		add_sentence(out, ledger->check[i].text);
	if (ledger->nr_checks == 0)
		return;
	add_sentence(out,
		     "Save the file again, by cp or cat; rows whose label is in doubt make the "
		     "last row a range.");
	text_buf_puts(out, "\n");
}

static void add_rows(struct text_buf *out, const struct ledger *ledger, const struct ledger *before)
{
	struct printed_row row = {
		.kb = ledger->total_kb,
		.total_kb = ledger->total_kb,
		.name = "in all",
		.source = "MemTotal",
		.changes = before != NULL,
	};

	add_row(out, &row);
	for (uint32_t i = 0; i < NR_LEDGER_ROWS; i++) {
		enum ledger_row id = (enum ledger_row)i;

		row.kb = ledger->row[i].kb;
		row.change = before != NULL ? (int64_t)row.kb - (int64_t)before->row[i].kb : 0;
		if (row.kb == 0 && row.change == 0)
			continue;
		row.depth = ledger_row_depth(id);
		row.name = ledger_row_name(id);
		row.source = ledger_row_source(id);
		add_row(out, &row);
	}
	row.kb = (uint64_t)(ledger->rest_low_kb > 0 ? ledger->rest_low_kb : 0);
	row.change = before != NULL ? ledger->rest_low_kb - before->rest_low_kb : 0;
	row.depth = 0;
	row.name = "nobody's, at least";
	row.source = "what no line names";
	add_row(out, &row);
	if (ledger->rest_high_kb > ledger->rest_low_kb && ledger->rest_high_kb > 0) {
		row.kb = (uint64_t)ledger->rest_high_kb;
		row.change = before != NULL ? ledger->rest_high_kb - before->rest_high_kb : 0;
		row.name = "nobody's, at most";
		row.source = ledger->nr_checks != 0 ? "labels in doubt" : "part of SwapCached";
		add_row(out, &row);
	}
}

static void add_notes(struct text_buf *out, const struct ledger *ledger)
{
	struct text_buf text;

	text_buf_init(&text);
	if (ledger->has_cma) {
		text_buf_puts(&text, "CMA: of ");
		add_kb(&text, ledger->cma_total_kb);
		text_buf_puts(&text, ", ");
		add_kb(&text, ledger->cma_total_kb > ledger->cma_free_kb
				      ? ledger->cma_total_kb - ledger->cma_free_kb
				      : 0);
		text_buf_puts(&text,
			      " are used: by their owners (then they are in nobody's row) or lent "
			      "to movable pages (then in programs or page cache).");
		add_sentence(out, text_buf_text(&text));
		text_buf_reset(&text);
	}
	if (ledger->stacks_inside)
		add_sentence(out,
			     "Kernel stacks are taken to be in VmallocUsed, as they are mapped on "
			     "64-bit PCs.");
	if (ledger->swap_total_kb == 0 &&
	    ledger->row[LEDGER_CACHE_SHMEM].kb + ledger->row[LEDGER_ANON].kb != 0) {
		text_buf_puts(&text, "No swap: programs and tmpfs cannot be reclaimed; files and "
				     "reclaimable kernel objects can");
		if (ledger->file_lru_kb != 0) {
			text_buf_puts(&text, ", at most ");
			add_kb(&text, ledger->file_lru_kb);
			text_buf_puts(&text, " of files");
		}
		text_buf_puts(&text, ".");
		add_sentence(out, text_buf_text(&text));
	}
	text_buf_free(&text);
}

static void add_nodes(struct text_buf *out, const struct ledger *ledger)
{
	if (ledger->nr_nodes < 2)
		return;
	text_buf_puts(out, "\nby node, MiB; nobody's here holds vmalloc and per-CPU data, too\n"
			   "node   in all     free programs    cache   kernel    pools nobody's\n");
	for (uint32_t i = 0; i < ledger->nr_nodes; i++) {
		const struct ledger_node *node = &ledger->node[i];

		text_buf_printf(out,
				"%4u %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
				" %8" PRIu64 " %8" PRId64 "\n",
				node->id, node->managed_kb / 1024,
				(node->free_kb + node->pcp_kb) / 1024, node->anon_kb / 1024,
				node->file_kb / 1024,
				(node->slab_reclaimable_kb + node->slab_fixed_kb + node->tables_kb +
				 node->stacks_kb) /
					1024,
				node->huge_kb / 1024, node->rest_kb / 1024);
	}
	if (ledger->nr_more_nodes != 0)
		text_buf_printf(out, "and %u more nodes\n", ledger->nr_more_nodes);
}

static void add_growth(struct text_buf *out, const struct ledger *ledger,
		       const struct ledger *before)
{
	struct ledger_growth growth = ledger_compare(before, ledger);
	struct text_buf text;

	text_buf_init(&text);
	text_buf_puts(&text, "Nobody's memory changed by ");
	add_signed(&text, growth.least_kb);
	text_buf_puts(&text, " to ");
	add_signed(&text, growth.most_kb);
	text_buf_puts(&text, "; counters of the files may lag by ");
	add_kb(&text, ledger->drift_kb);
	text_buf_puts(&text,
		      growth.certain
			      ? ". It is taken straight from the page allocator: by a driver, a "
				"file system, a hypervisor's balloon. page_owner names who."
			      : ".");
	text_buf_puts(out, "\n");
	add_sentence(out, text_buf_text(&text));
	text_buf_free(&text);
}

void ledger_add_text(struct text_buf *out, const struct ledger *ledger, const struct ledger *before,
		     const struct paint *paint)
{
	struct text_buf verdict;

	text_buf_init(&verdict);
	ledger_verdict_add(&verdict, ledger, before);
	paint_colour(out, paint, ledger->nr_checks != 0 ? PAINT_RED : PAINT_PLAIN);
	add_sentence(out, text_buf_text(&verdict));
	paint_colour(out, paint, PAINT_PLAIN);
	text_buf_puts(out, "\n");
	add_checks(out, ledger);
	add_rows(out, ledger, before);
	text_buf_puts(out, "\n");
	add_notes(out, ledger);
	add_nodes(out, ledger);
	if (before != NULL)
		add_growth(out, ledger, before);
	if (verdict.error != 0)
		out->error = verdict.error;
	text_buf_free(&verdict);
}
