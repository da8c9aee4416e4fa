/*
 * store.h: the contract with whatever keeps pages that are not in memory.
 *
 * A `struct store` is an array of pages: a swap area or a file. The engine
 * submits reads and writes of whole pages; the store answers each page exactly
 * once through its `done` function. An error is an ordinary result.
 *
 * WHO REAPS. What a task waits for itself (the wanted page of a swap-in or of a
 * file, with the pages read ahead around it) it submits with STORE_OWN and then
 * waits with host->wait(), which reaps its own completions. What nobody waits for
 * (write-out) is submitted without STORE_OWN, and is reaped by the machine's
 * thread neap_io, which loops in host->reap(). So no page is ever under I/O with
 * nobody bound to reap it. A store may complete pages before submit() returns.
 *
 * BUFFERS are frames: the store reads or writes through hw->window() (or the
 * tag, in tag mode) from submit until done. The engine keeps the frame referenced
 * and, if the geometry says `stable_writes`, unwritten until then.
 *
 * COMPLETION CONTEXT. done() is called with no lock held, from the submitting
 * task (own or synchronous I/O), from neap_io, or in the simulator on an irq
 * task. It never sleeps.
 *
 * ORDER. Requests complete in any order. Two writes of one page_offset are never
 * in flight together: the engine sees to that.
 *
 * LIFE. A host outlives its stores. close() is called with nothing in flight.
 * Wrappers (store/fault) present the same interface.
 */
#ifndef NEAP_PORT_STORE_H
#define NEAP_PORT_STORE_H

#include "base/base.h"
#include "port/rt.h"

struct hw;
struct store;
struct store_host;

enum store_op {
	STORE_READ,
	STORE_WRITE,
};

#define STORE_OWN 1u /* the submitter reaps: it will call host->wait() before doing anything else */

struct store_page {
	uint64_t offset; /* page number in the store */
	uint64_t cookie; /* given back to done() */
	uint32_t pfn;	 /* frame to read into or write from */
	uint32_t reserved;
};

struct store_geometry {
	uint64_t pages;	     /* current size; reads beyond it give zeroes for files */
	bool rotational;     /* seeks cost: read-ahead by slot, not by address */
	bool synchronous;    /* completes inside submit(), cheap enough to skip the swap cache */
	bool stable_writes;  /* contents must not change while a write is in flight */
	bool grows;	     /* a write beyond `pages` extends it */
	uint32_t best_batch; /* pages per submit that the store likes */
};

/* err: 0 or negative errno (-EIO, -ENOSPC). t: the task that reaps. */
typedef void (*store_done_fn)(void *ctx, struct task *t, uint64_t cookie, int err);

struct store_ops {
	/*
	 * Starts nr page transfers. The array belongs to the caller again on return.
	 * May sleep (a full queue). Nothing held.
	 */
	void (*submit)(struct store *store, struct task *t, enum store_op op,
		       const struct store_page *pages, uint32_t nr, uint32_t flags);
	void (*geometry)(struct store *store, struct store_geometry *out);
	/* Pages first..first+nr-1 are not needed any more. Best effort, may sleep. */
	void (*discard)(struct store *store, struct task *t, uint64_t first, uint64_t nr);
	/* May sleep. Makes completed writes durable. => 0 or negative errno */
	int (*sync)(struct store *store, struct task *t);
	/* May sleep. => 0 or negative errno */
	int (*truncate)(struct store *store, struct task *t, uint64_t pages);
	/* Frees the store. Nothing in flight. */
	void (*close)(struct store *store);
};

struct store {
	const struct store_ops *ops; /* I */
	struct store_host *host;     /* I */
	store_done_fn done; /* I once the first page is submitted: set by the user of the store */
	void *done_ctx;	    /* I likewise */
};

struct store_host_ops {
	/*
	 * May sleep. Reaps what t submitted with STORE_OWN until *word != expect.
	 * The word is changed by done(), which also rt_wake()s it. The caller has told the runtime
	 * that t waits (rt_tell()).
	 */
	void (*wait)(struct store_host *host, struct task *t, _Atomic uint32_t *word,
		     uint32_t expect);
	/*
	 * May sleep. Waits for asynchronous completions and delivers them; returns after at least
	 * one, or after kick(). => number delivered
	 */
	uint32_t (*reap)(struct store_host *host, struct task *t);
	/* Makes a sleeping or the next reap() return. Never sleeps. */
	void (*kick)(struct store_host *host);
	/* All stores are closed. */
	void (*destroy)(struct store_host *host);
};

struct store_host {
	const struct store_host_ops *ops; /* I */
	bool needs_reaper;		  /* I: the engine must run neap_io */
};

#endif
