/*
 * What the tests of src/store share: hardware that is an array, two small runtimes
 * (virtual time on one thread; real threads and futexes), and an exerciser that
 * reads and writes at random and compares every page with what it wrote last.
 */
#ifndef NEAP_TESTS_STORE_FIXTURE_H
#define NEAP_TESTS_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "port/hw.h"
#include "port/store.h"

#define FIXTURE_CPUS 4u
#define FIXTURE_SLOTS 128u

/* NEAP_SEED or a fixed one; printed. */
uint64_t fixture_seed(void);

/* ---- hardware ---- */

struct fixture_hw {
	struct hw hw;
	uint32_t nr_frames;
	char *bytes;
	uint64_t *tags; /* NULL with real contents */
};

void fixture_hw_init(struct fixture_hw *hw, uint32_t nr_frames, bool tags);
void fixture_hw_free(struct fixture_hw *hw);
char *fixture_frame(struct fixture_hw *hw, uint32_t pfn);
/* Makes a frame what `version` of `page` looks like; version 0 is zeroes. */
void fixture_fill(struct fixture_hw *hw, uint32_t pfn, uint64_t page, uint64_t version);
bool fixture_matches(struct fixture_hw *hw, uint32_t pfn, uint64_t page, uint64_t version);

/* ---- runtimes ---- */

struct fixture_event {
	uint64_t at_ns;
	uint64_t order; /* of scheduling: breaks ties */
	uint32_t cpu;
	rt_call_fn fn;
	void *arg;
	uint64_t a;
	uint64_t b;
};

struct fixture_rt {
	struct rt rt;
	struct cpu_slot slots[FIXTURE_CPUS];
	struct task irq[FIXTURE_CPUS];
	uint64_t now_ns;
	uint64_t next_order;
	uint32_t nr_events;
	struct fixture_event events[1024];
};

/* Virtual time. A wait that no event can end fails the test: something is stuck. */
void fixture_rt_virtual(struct fixture_rt *rt);
void fixture_rt_live(struct fixture_rt *rt);
void fixture_task(struct fixture_rt *rt, struct task *t, uint32_t id, uint32_t cpu);
/* Virtual time: runs the next event. => false if there is none */
bool fixture_step(struct fixture_rt *rt);

/* A thread that reaps a host, as neap_io does. */
struct fixture_reaper {
	struct store_host *host;
	struct task task;
	_Atomic uint32_t stop;
	uint64_t thread;
};

void fixture_reaper_start(struct fixture_reaper *reaper, struct fixture_rt *rt,
			  struct store_host *host);
void fixture_reaper_stop(struct fixture_reaper *reaper);

/* ---- single transfers ---- */

/* The result of one page, as the engine would keep it. */
struct fixture_answer {
	_Atomic uint32_t times;
	int err;
	uint64_t at_ns;
	uint64_t sequence; /* how many answers of the store's user came before */
	uint32_t cpu;
};

/* Answers to the transfers of one array; cookie = index. */
struct fixture_book {
	struct fixture_answer answers[512];
	_Atomic uint32_t answered;
};

void fixture_book_attach(struct fixture_book *book, struct store *store);
/* A run of adjacent pages with adjacent frames. */
struct fixture_run {
	struct store *store;
	struct task *t;
	enum store_op op;
	uint32_t flags;
	uint64_t page;
	uint32_t pfn;
	uint32_t nr;
};

/* Submits a run and waits for all of it. Forgets earlier answers. => the first error, or 0 */
int fixture_transfer(struct fixture_book *book, const struct fixture_run *run);
/* The same without waiting. */
void fixture_submit(struct fixture_book *book, const struct fixture_run *run);
/* Waits until nr pages have been answered. */
void fixture_wait(struct fixture_book *book, struct store *store, struct task *t, uint32_t nr);

/* ---- the exerciser ---- */

struct fixture_exerciser;

struct fixture_slot {
	struct fixture_exerciser *owner;
	uint64_t page;
	uint64_t version;
	enum store_op op;
	bool busy;
	_Atomic uint32_t times;
	int err;
};

struct fixture_exerciser {
	struct store *store;
	struct task *t;
	struct fixture_hw *hw;
	uint64_t first_page;  /* the pages that are this one's */
	uint32_t nr_pages;    /* at most 4096 */
	uint32_t first_frame; /* FIXTURE_SLOTS frames from here on are this one's */
	bool errors_expected; /* failed writes have written nothing */
	struct rng rng;
	uint64_t last_version;
	uint64_t shadow[4096];
	bool page_busy[4096];
	_Atomic uint32_t answered;
	uint32_t submitted;
	uint32_t nr_errors;
	struct fixture_slot slots[FIXTURE_SLOTS];
};

/* Sets store->done. Zeroes the rest; fill in the fields first. */
void fixture_exerciser_init(struct fixture_exerciser *ex, uint64_t seed);
void fixture_exerciser_attach(struct store *store);
/* Random submits, waiting for some. */
void fixture_exerciser_run(struct fixture_exerciser *ex, uint32_t submits);
/* Waits for everything; every page was answered once and has the contents expected. */
void fixture_exerciser_drain(struct fixture_exerciser *ex);
/* Drains and reads every page back. */
void fixture_exerciser_check_all(struct fixture_exerciser *ex);

#endif
