/* Read-ahead of files: which pages to read when one is missing, or a mark is met. */
#ifndef NEAP_CORE_READAHEAD_H
#define NEAP_CORE_READAHEAD_H

#include "core/mapping.h"

#define READAHEAD_PAGES 32u	  /* of a file of which nothing was said */
#define READAHEAD_MAX_PAGES 64u	  /* of one that is read sequentially */
#define READAHEAD_NONE UINT64_MAX /* mapping.readahead: pages are read one by one */

#define READAHEAD_NO_MARK UINT64_MAX

struct readahead_window {
	uint64_t first;
	uint32_t nr;   /* 0: nothing is to be read */
	uint64_t mark; /* this page, if it is read now, becomes the mark */
};

/* The page alone. */
static inline struct readahead_window readahead_one_page(uint64_t index)
{
	return (struct readahead_window){ .first = index, .nr = 1, .mark = READAHEAD_NO_MARK };
}

/* The largest window of the file; 0: none is read ahead. */
uint32_t readahead_most_pages(const struct mapping *mapping);
/* Does readahead_miss() ask how many pages before this one are cached? Elsewhere `before` is 0. */
bool readahead_asks_before(const struct mapping *mapping, uint64_t index);
/*
 * A read-type call misses the page, and `before` pages right before it are cached (at most as many
 * as the largest window has). => what to read now, the page included
 */
struct readahead_window readahead_miss(struct mapping *mapping, uint64_t index, uint32_t before);
/* A fault misses the page. => the same; pages before it may be among it */
struct readahead_window readahead_fault_miss(struct mapping *mapping, uint64_t index);
/* A fault misses the page in a region that is read sequentially: a whole window from it on. */
struct readahead_window readahead_sequential_miss(struct mapping *mapping, uint64_t index);
/* Is the page the latest window's mark, or the first one behind it? */
bool readahead_expects(const struct mapping *mapping, uint64_t index);
/*
 * The page was found in the cache, and it is a mark; `missing`: 0 if it is expected, else the first
 * page behind it that is not cached; `wanted` pages are asked for. => what to read beside going on
 */
struct readahead_window readahead_hit(struct mapping *mapping, uint64_t index, uint64_t missing,
				      uint32_t wanted);
/* nr pages were found by faults or around one. */
void readahead_fault_hit(struct mapping *mapping, uint32_t nr);
/* A read-type call has read the page: where the next one goes on. */
void readahead_note_read(struct mapping *mapping, uint64_t index);

#endif
