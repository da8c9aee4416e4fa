/*
 * The figures about compaction: who asks for it, kcompactd's loop, the two scanners.
 *
 *     zone start                                            zone end
 *     |mmmm.mm........................................ff.fff.ffff|
 *      migrate scanner ->                        <- free scanner
 *
 * The scanners are drawn from the ranges that the isolate events of one run name:
 * the longest run, each row a part of it in order, each column a part of the zone.
 * Everything else is a fixed drawing with this run's counts (spec 20, 21).
 *
 * What must never happen: a scanner drawn where it was not. Columns without an event
 * stay blank; the search for the next pageblock emits none.
 */
#include "diag/figure_draw.h"

#include <string.h>

#define AT(x, y)                                                                                   \
	(struct canvas_at)                                                                         \
	{                                                                                          \
		x, y                                                                               \
	}
#define SCAN_ROWS 16u
#define SCAN_COLUMNS 70u

typedef unsigned long long number;

static number fact(const struct figure_facts *facts, const char *name)
{
	return (number)figure_fact(facts, name);
}

void figure_draw_kcompactd(const struct figure_facts *f, struct canvas *c)
{
	canvas_box(c, AT(20, 0), AT(57, 3),
		   "asleep, 500 ms at a time: %llu\n(for ever if not proactive)",
		   fact(f, "mm_compaction_kcompactd_sleep"));
	canvas_words(c, AT(59, 0), "asked by kswapd");
	canvas_words(c, AT(59, 1), "and others: %llu", fact(f, "mm_compaction_wakeup_kcompactd"));
	canvas_arrow(c, AT(28, 4), AT(28, 7));
	canvas_words(c, AT(9, 5), "an order is wanted");
	canvas_arrow(c, AT(50, 4), AT(50, 7));
	canvas_words(c, AT(52, 5), "the time is over");
	canvas_box(c, AT(2, 8), AT(36, 13),
		   "work on request, %llu x\nzones from the lowest up:\ndeferred? -> next"
		   "\nnot suitable? -> next",
		   fact(f, "mm_compaction_kcompactd_wake"));
	canvas_box(c, AT(42, 8), AT(76, 13),
		   "proactive: is the node's score\nabove the high mark, and\nkswapd asleep?");
	canvas_arrow(c, AT(19, 14), AT(19, 16));
	canvas_arrow(c, AT(59, 14), AT(59, 16));
	canvas_words(c, AT(61, 15), "yes");
	canvas_box(c, AT(2, 17), AT(76, 20),
		   "compact the zone: %llu runs\nsuccess %llu, partial %llu, complete %llu",
		   fact(f, "runs.kcompactd"), fact(f, "end.success"),
		   fact(f, "end.partial_skipped"), fact(f, "end.complete"));
	canvas_arrow(c, AT(19, 21), AT(19, 23));
	canvas_arrow(c, AT(59, 21), AT(59, 23));
	canvas_box(c, AT(2, 24), AT(36, 27), "success: defer nothing\nelse: defer further tries");
	canvas_box(c, AT(42, 24), AT(76, 27), "score not better:\nstay away for 32 s");
	canvas_words(c, AT(2, 29), "then back to sleep");
}

void figure_draw_layers(const struct figure_facts *f, struct canvas *c)
{
	canvas_words(c, AT(2, 0), "who asks");
	canvas_box(c, AT(2, 1), AT(19, 5), "an allocation\ndirect\n%llu",
		   fact(f, "mm_compaction_try_to_compact_pages"));
	canvas_box(c, AT(21, 1), AT(38, 5), "kcompactd\non request\n%llu",
		   fact(f, "mm_compaction_kcompactd_wake"));
	canvas_box(c, AT(40, 1), AT(57, 5), "kcompactd\nproactive");
	canvas_box(c, AT(59, 1), AT(76, 5), "somebody wrote\ncompact_memory");
	for (uint32_t x = 10; x < 70; x += 19)
		canvas_arrow(c, AT(x, 6), AT(x, 8));
	canvas_box(c, AT(2, 9), AT(76, 13),
		   "compact one zone: %llu runs\nscanned %llu, took %llu\n"
		   "free side: scanned %llu, took %llu",
		   fact(f, "mm_compaction_begin"), fact(f, "migrate.scanned"),
		   fact(f, "migrate.taken"), fact(f, "free.scanned"), fact(f, "free.taken"));
	canvas_arrow(c, AT(38, 14), AT(38, 16));
	canvas_box(c, AT(2, 17), AT(76, 20), "migrate pages\nmoved %llu, not moved %llu",
		   fact(f, "moved"), fact(f, "not_moved"));
	canvas_arrow(c, AT(20, 21), AT(20, 23));
	canvas_arrow(c, AT(57, 21), AT(57, 23));
	canvas_box(c, AT(2, 24), AT(37, 27), "copy the contents\nto a free frame");
	canvas_box(c, AT(40, 24), AT(76, 27), "let every page-table entry\npoint to the new frame");
}

/* Marks what one event looked at. */
static void mark_range(const struct figure_facts *f, const struct figure_position *p,
		       char row[SCAN_COLUMNS + 1])
{
	uint64_t zone = f->best_end_pfn - f->best_start_pfn;
	uint64_t first = (uint64_t)(p->first_pfn - f->best_start_pfn) * SCAN_COLUMNS / (zone + 1);
	uint64_t last = p->end_pfn > p->first_pfn ? p->end_pfn - 1 : p->end_pfn;

	last = (last - f->best_start_pfn) * SCAN_COLUMNS / (zone + 1);
	for (uint64_t x = first; x <= last && x < SCAN_COLUMNS; x++) {
		char letter = p->free_scanner ? 'f' : 'm';

		/* Capital: pages were taken there. */
		if (p->taken > 0)
			letter = p->free_scanner ? 'F' : 'M';
		if (row[x] == ' ' || p->taken > 0)
			row[x] = letter;
	}
}

void figure_draw_scanners(const struct figure_facts *f, struct canvas *c)
{
	uint32_t rows = min_u32(SCAN_ROWS, f->nr_best);
	uint32_t y = 3;

	if (!f->run_complete) {
		canvas_words(c, AT(2, 0), "No run of this trace isolated a page.");
		return;
	}
	canvas_words(c, AT(3, 0), "zone of %u pages, from frame %#x to %#x; %u looks of one run",
		     f->best_end_pfn - f->best_start_pfn, f->best_start_pfn, f->best_end_pfn,
		     f->nr_best);
	canvas_words(c, AT(3, 1), "migrate scanner ->");
	canvas_words(c, AT(58, 1), "<- free scanner");
	canvas_box(c, AT(2, 2), AT(SCAN_COLUMNS + 3, 3 + rows), "%s", "");
	for (uint32_t r = 0; r < rows; r++) {
		char row[SCAN_COLUMNS + 1];
		uint32_t first = r * f->nr_best / rows;
		uint32_t end = (r + 1) * f->nr_best / rows;

		memset(row, ' ', SCAN_COLUMNS);
		row[SCAN_COLUMNS] = '\0';
		for (uint32_t i = first; i < end; i++)
			mark_range(f, &f->best[i], row);
		canvas_words(c, AT(3, y++), "%s", row);
	}
	canvas_words(c, AT(3, y + 1),
		     "time runs downwards; M, F: pages were taken there, m, f: none");
	canvas_words(c, AT(3, y + 2), "in all: moved %llu pages in %llu runs; success %llu",
		     fact(f, "moved"), fact(f, "mm_compaction_begin"), fact(f, "end.success"));
}
