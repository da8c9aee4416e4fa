/* Read-ahead of files: which pages to read when one is missing, or a mark is met. */
#ifndef NEAP_CORE_READAHEAD_H
#define NEAP_CORE_READAHEAD_H

#include "core/mapping.h"

#define READAHEAD_PAGES 32u	  /* of a file of which nothing was said */
#define READAHEAD_MAX_PAGES 64u	  /* of one that is read sequentially */
#define READAHEAD_NONE UINT64_MAX /* mapping.readahead: pages are read one by one */

struct readahead_window {
	uint64_t first;
	uint32_t nr; /* 0: nothing is to be read */
};

/* A read-type call misses the page. => what to read now, the page included */
struct readahead_window readahead_miss(struct mapping *mapping, uint64_t index);
/* A fault misses the page. => the same; pages before it may be among it */
struct readahead_window readahead_fault_miss(struct mapping *mapping, uint64_t index);
/* A fault misses the page in a region that is read sequentially: a whole window from it on. */
struct readahead_window readahead_sequential_miss(struct mapping *mapping, uint64_t index);
/*
 * The page was found in the cache, by a read-type call or a fault. => what to read beside going on,
 * if the page is the latest window's mark
 */
struct readahead_window readahead_hit(struct mapping *mapping, uint64_t index);
/* Is the page the mark? Then fault-around leaves it to a fault of its own. */
bool readahead_is_mark(const struct mapping *mapping, uint64_t index);
/* nr pages were found by faults or around one. */
void readahead_fault_hit(struct mapping *mapping, uint32_t nr);
/* A read-type call has read the page: where the next one goes on. */
void readahead_note_read(struct mapping *mapping, uint64_t index);

#endif
