/*
 * fadvise.c: what a program says about a file that it reads and writes by calls.
 *
 *   normal, random, sequential    how far read calls read ahead (core/readahead.c)
 *   willneed                      begins to read the range, at most 320 pages of it
 *   dontneed                      write-out of the range begins, then:
 *
 *      drop what is clean, unmapped and unused ── all gone? ──> done
 *        the rest: to the tail of the inactive list; dirty: to its head, freed when written
 *      every CPU's batches onto the lists, as they hold references
 *      drop once more
 *
 * A page that DONTNEED has just begun to write is under I/O and stays: a program that wants
 * its dirty pages gone syncs the file first, as under Linux.
 *
 * A pattern is of the file as it is open here, as there is one descriptor a file. It says
 * nothing about faults, except that windows of a file read sequentially are larger for them,
 * too; what faults read is said of the region (core/advice.c).
 *
 * What must never happen: contents lost. Only clean pages are dropped.
 *
 * Linux: mm/fadvise.c; invalidate_mapping_pagevec() of mm/truncate.c; force_page_cache_ra() of
 * mm/readahead.c. The 320 pages were seen on 6.1.192: WILLNEED of a file of 64 MiB on a virtio
 * disk read 1280 KiB, in both of two recordings. DIFF: that is the device's preferred request,
 * by the block layer's default, and taken to be every device's.
 */
#include "core/fadvise.h"

#include "core/aops.h"
#include "core/lru.h"

#define WILLNEED_MAX_PAGES 320u

static uint64_t range_end(uint64_t first, uint64_t nr)
{
	return nr > UINT64_MAX - first ? UINT64_MAX : first + nr;
}

void fadvise_pattern(struct mapping *mapping, enum region_pattern pattern)
{
	atomic_store_explicit(&mapping->pattern, pattern, memory_order_relaxed);
}

void fadvise_willneed(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr)
{
	mapping->ops->read_ahead(t, mapping, first, min_u64(nr, WILLNEED_MAX_PAGES));
}

void fadvise_dontneed(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr)
{
	uint64_t end = range_end(first, nr);

	mapping_write_range(t, mapping, first, end);
	lru_drain(t);
	if (mapping_drop_range(t, mapping, first, end) == 0)
		return;
	lru_drain_all(t);
	mapping_drop_range(t, mapping, first, end);
}
