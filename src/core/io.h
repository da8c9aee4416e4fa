/*
 * Between the engine and its stores: submission in batches and completion.
 *
 * The cookie of a transfer is the frame and what is done with it, so that a
 * completion needs no table. Reads hold the page lock until done; writes hold
 * PG_WRITEBACK; both hold a reference.
 */
#ifndef NEAP_CORE_IO_H
#define NEAP_CORE_IO_H

#include "core/machine.h"

enum io_kind {
	IO_SWAP_READ,
	IO_SWAP_WRITE,
	IO_FILE_READ,
	IO_FILE_WRITE,
};

#define IO_PLUG_PAGES 128u
#define IO_PLUG_RUNS 32u      /* Linux: BLK_MAX_REQUEST_COUNT */
#define IO_PLUG_RUN_PAGES 32u /* Linux: BLK_PLUG_FLUSH_SIZE, 128 KiB */

/*
 * Write-out gathered by one task: runs of pages that lie one after the other in the store. It is
 * sent when a new run would begin behind a long one, or behind many; when full; for another store;
 * before the task sleeps; and at io_unplug().
 */
struct io_plug {
	struct store *store;
	uint32_t nr;
	uint32_t nr_runs;
	uint32_t run_pages; /* of the last one */
	struct store_page page[IO_PLUG_PAGES];
};

/* The stores' done function; ctx is the machine. Never sleeps. */
void io_done(void *ctx, struct task *t, uint64_t cookie, int err);

#define IO_COOKIE_KIND_SHIFT 32u
#define IO_COOKIE_BIO_SHIFT 34u

static inline uint64_t io_cookie(enum io_kind kind, uint32_t pfn)
{
	return (uint64_t)kind << IO_COOKIE_KIND_SHIFT | pfn;
}

/*
 * Submits reads of locked pages, each with a reference for the I/O, in one batch; the lock of each
 * goes over to its
 * completion. The caller then calls io_wait_page() for one of them. May sleep.
 */
void io_read_pages(struct task *t, struct store *store, enum io_kind kind,
		   const struct store_page *pages, uint32_t nr);
/* The same for pages that nobody waits for here: whoever serves the machine's ring ends them. */
void io_read_ahead(struct task *t, struct store *store, enum io_kind kind,
		   const struct store_page *pages, uint32_t nr);
/* The locked page goes under write-out: flag, counts, and a reference of the I/O. */
void io_begin_write(struct task *t, struct page *page);
/* A write that may be gathered in the task's plug. May sleep. */
void io_write(struct task *t, struct store *store, enum io_kind kind, uint64_t offset,
	      uint32_t pfn);
/* The same, sent at once. */
void io_write_now(struct task *t, struct store *store, enum io_kind kind, uint64_t offset,
		  uint32_t pfn);
void io_plug(struct task *t, struct io_plug *plug);
/* The task is going to sleep: what it gathered is sent. May sleep. */
void io_flush_plug(struct task *t);
/* Sends what is gathered. May sleep. */
void io_unplug(struct task *t);
/*
 * After io_read_pages(): reaps the task's requests and waits until the page is unlocked. May sleep.
 */
void io_wait_page(struct task *t, struct store *store, struct page *page);

/* Body of thread neap_io. */
int io_thread(struct task *t, void *machine);

#endif
