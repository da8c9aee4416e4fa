/*
 * A whole simulated machine for tests of the engine's reclaim half: virtual time,
 * modelled stores that fail on request, one address space, and helpers that say in
 * one line what a test wants to happen.
 *
 *   static void body_something(struct machine_fixture *f) { ... assert_... }
 *   MACHINE_TEST(something, .pages = 4096, .swap_pages = 8192);     defines test_something
 *
 * The body runs as task "main" of the simulation, on CPU 0. When it returns, everything
 * it made is taken down, the conservation laws are checked before and after, and every
 * frame must be free again.
 */
#ifndef NEAP_TESTS_MACHINE_FIXTURE_H
#define NEAP_TESTS_MACHINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "core/event.h"
#include "core/fault.h"
#include "core/lru.h"
#include "core/machine.h"
#include "core/mapping.h"
#include "core/marks.h"
#include "core/pagelock.h"
#include "core/reclaim.h"
#include "core/swap.h"
#include "core/vmstat.h"
#include "rt/sim/sim.h"
#include "store/fault.h"
#include "store/model.h"

#define FIXTURE_REGIONS 16u
#define FIXTURE_FILES 8u
#define FIXTURE_SWAPS 3u
#define FIXTURE_EVENTS 4096u

/* What to build. Zero means the default that the comment names. */
struct machine_setup {
	uint32_t pages;			      /* frames of each node's zone Normal; 4096 = 16 MiB */
	uint32_t dma_pages;		      /* frames of zone DMA of node 0; none */
	uint32_t nr_nodes;		      /* 1 */
	uint32_t nr_cpus;		      /* in all; 2 */
	bool real;			      /* real contents; tags */
	uint64_t seed;			      /* 1 */
	bool explore;			      /* switch CPUs at random, under locks too */
	bool booted;			      /* phases are drawn from the seed */
	uint32_t proactiveness;		      /* of compaction; 0: kcompactd has no clock */
	uint32_t nr_swaps;		      /* areas; 1 if swap_pages is set */
	uint32_t swap_pages;		      /* of each area, header included; no swap */
	int32_t swap_priority[FIXTURE_SWAPS]; /* 0: automatic */
	const uint32_t *swap_bad;	      /* slots not to use */
	uint32_t nr_swap_bad;
	bool swap_synchronous;		 /* completes inside submit */
	bool swap_rotational;		 /* a disk with seeks; solid state */
	struct store_device_cost swap;	 /* latency 0: the server's disk */
	struct store_device_cost disk;	 /* the same for files */
	const struct machine_desc *desc; /* instead of pages, dma_pages, nr_nodes and nr_cpus */
	uint32_t hot_blocks;		 /* memory blocks that can be added */
	uint32_t block_pages;		 /* of a memory block: 1024 */
};

struct fixture_file {
	struct store *store; /* the fault wrapper */
	struct store *model;
	struct mapping *mapping;
};

struct machine_fixture {
	struct rt *rt;
	struct hw *hw;
	struct store_host *host;
	struct neap_machine *m;
	struct node *node; /* node 0 */
	struct zone *zone; /* its zone Normal */
	struct task *t;	   /* the body's task */
	struct space *space;
	const struct machine_setup *setup;
	uint32_t nr_swaps;
	struct store *swap[FIXTURE_SWAPS]; /* the fault wrappers */
	struct store *swap_model[FIXTURE_SWAPS];
	uint32_t nr_regions;
	struct region *region[FIXTURE_REGIONS]; /* NULL: destroyed by the body */
	uint32_t nr_files;
	struct fixture_file file[FIXTURE_FILES]; /* mapping NULL: destroyed by the body */
	bool unverified; /* set by a body that leaves what verify cannot accept */
	void (*body)(struct machine_fixture *f);
};

typedef void (*machine_body)(struct machine_fixture *f);

/* Builds, runs the body, verifies, takes down, and checks that every frame came back. */
void machine_run(const struct machine_setup *setup, machine_body body);

/* test_WHAT() runs body_WHAT() on a machine of the given setup: MACHINE_TEST(swap, .pages = 64); */
#define MACHINE_TEST(what, ...)                                                                    \
	static void test_##what(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		machine_run(&(struct machine_setup){ __VA_ARGS__ }, body_##what);                  \
	}                                                                                          \
	_Static_assert(true, "a semicolon follows")

/* NEAP_SEED, or 1; printed, so that a failure can be repeated. */
uint64_t machine_seed(void);

/* NEAP_SEEDS, or 20: how many interleavings a test tries. */
uint64_t machine_nr_seeds(void);

/* The conservation laws; the test fails with the law's name. */
void machine_verify(struct machine_fixture *f);

/* Waits until no I/O is in flight, then drains all batches and folds all counters. */
void machine_settle(struct machine_fixture *f);

/* ---- programs ---- */

struct region *machine_region(struct machine_fixture *f, uint64_t nr_pages);
struct region *machine_region_spec(struct machine_fixture *f, const struct region_spec *spec);
void machine_region_end(struct machine_fixture *f, struct region *region);
/* The same, with what the region left in the swap cache. */
void machine_region_end_cached(struct machine_fixture *f, struct region *region);

/* One access through the page table, with faults as needed. => 0 or the fault's error */
int machine_write(struct machine_fixture *f, struct region *region, uint64_t page, uint64_t value);
int machine_read(struct machine_fixture *f, struct region *region, uint64_t page, uint64_t *value);
/* The same by any task. */
int task_write(struct task *t, struct region *region, uint64_t page, uint64_t value);
int task_read(struct task *t, struct region *region, uint64_t page, uint64_t *value);

/* Writes pages first..first+nr-1, each with machine_value(region, page, 0). Must succeed. */
void machine_fill(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr);
/* A new region whose pages are in swap and nowhere else, as are no others of the space. */
struct region *machine_region_swapped(struct machine_fixture *f, uint64_t nr_pages);
/* Reads them and compares. */
void machine_check(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr);
uint64_t machine_value(const struct region *region, uint64_t page, uint64_t version);

/* The descriptor that the region's entry maps; NULL if it maps none. */
struct page *machine_page_at(struct machine_fixture *f, struct region *region, uint64_t page);
/* The swap entry of a region's page; 0 if it has none. */
uint32_t machine_swap_at(struct machine_fixture *f, struct region *region, uint64_t page);
/* Clears the hardware's young bits of pages first..first+nr-1. */
void machine_age(struct machine_fixture *f, struct region *region, uint64_t first, uint64_t nr);

/* ---- files ---- */

/* A file of nr_pages whose page i holds machine_file_value(i, 0). */
struct fixture_file *machine_file(struct machine_fixture *f, uint64_t nr_pages);
/* Destroys the mapping. => its error */
int machine_file_end(struct machine_fixture *f, struct fixture_file *file);
/* read() and write() of a whole page. => 0 or an error */
int machine_file_read(struct machine_fixture *f, struct fixture_file *file, uint64_t page,
		      uint64_t *value);
/* A file whose pages are all cached, inactive, not referenced; page 0 is the oldest. */
struct fixture_file *machine_cached_file(struct machine_fixture *f, uint64_t nr);
/* The same in zone DMA, read page by page: zone Normal is full meanwhile. Pages stay referenced. */
struct fixture_file *machine_low_file(struct machine_fixture *f, uint64_t nr);
/* Splits a huge page as somebody who happens to hold it. => as thp_split() */
int machine_split_held(struct machine_fixture *f, struct page *page);
int machine_file_write(struct machine_fixture *f, struct fixture_file *file, uint64_t page,
		       uint64_t value);
uint64_t machine_file_value(uint64_t page, uint64_t version);
/* What the store holds. */
uint64_t machine_file_stored(struct fixture_file *file, uint64_t page);
/* The cached page; NULL if there is none. No reference is taken. */
struct page *machine_file_page(struct machine_fixture *f, struct fixture_file *file, uint64_t page);
/* Shadow or whatever the index holds at a page. */
uint64_t machine_file_slot(struct machine_fixture *f, struct fixture_file *file, uint64_t page);

/* ---- reclaim ---- */

/* Direct reclaim's request at priority 12 with every permission. */
struct scan_control machine_scan(void);
/* Decides about these pages, as if they had been isolated together. => freed */
uint64_t machine_reclaim(struct machine_fixture *f, struct scan_control *sc,
			 struct reclaim_stat *stat, struct page **pages, uint32_t nr);
/* Decides about one page with machine_scan(). => freed */
uint64_t machine_reclaim_one(struct machine_fixture *f, struct page *page);
/* Writes pages first..first+nr-1 to swap and frees their frames. */
void machine_swap_out(struct machine_fixture *f, struct region *region, uint64_t first,
		      uint64_t nr);

/* ---- counters: exact ---- */

uint64_t machine_events(struct machine_fixture *f, enum meter_item item);
uint64_t machine_node_count(struct machine_fixture *f, enum node_item item);
uint64_t machine_zone_count(struct machine_fixture *f, enum zone_item item);
uint64_t machine_list_size(struct machine_fixture *f, enum lru_list list);
/* Sum of the allocstall events. */
uint64_t machine_stalls(struct machine_fixture *f);

/* ---- memory ---- */

/*
 * Takes pages from zone Normal until `left` are free, whatever the marks say; switches the boost of
 * marks off. Give the frames back with machine_release().
 */
struct fixture_hoard {
	struct list list;
	uint64_t nr;
};
void machine_hoard(struct machine_fixture *f, struct fixture_hoard *hoard, uint64_t left);
void machine_release(struct machine_fixture *f, struct fixture_hoard *hoard, uint64_t nr);
/* Takes one frame more. */
void machine_hoard_one(struct machine_fixture *f, struct fixture_hoard *hoard);
/*
 * Gives frames of a hoard back, no two of them neighbours, until `left` pages are free: there is
 * memory, but no block.
 */
void machine_release_scattered(struct machine_fixture *f, struct fixture_hoard *hoard,
			       uint64_t left);

/* ---- events ---- */

struct fixture_events {
	uint32_t nr;
	struct event_record record[FIXTURE_EVENTS];
};
/* Takes all recorded events, in order of time; ones with an id of `skip` are dropped. */
void machine_take_events(struct machine_fixture *f, struct fixture_events *out);
/* How many have this id. */
uint32_t machine_count_events(const struct fixture_events *events, enum event_id id);
/* The n-th event (0 = first) with this id; the test fails if there are fewer. */
const struct event_record *machine_event_at(const struct fixture_events *events, enum event_id id,
					    uint32_t n);

#endif
