/*
 * What the tests of hw/soft share: hardware with one space, and the engine's part in tables.
 */
#ifndef NEAP_TESTS_HW_SOFT_FIXTURE_H
#define NEAP_TESTS_HW_SOFT_FIXTURE_H

#include <pthread.h>

#include "hw/soft/soft.h"

#define NR_FRAMES 4096u
#define TABLE_FIRST 3072u /* frames from here on serve as tables */

struct hw_fixture {
	struct hw *hw;
	struct hw_space *space;
	uint32_t root;
	uint32_t last_freed;
	pthread_mutex_t lock; /* the next two */
	uint32_t nr_lent;
	bool lent[NR_FRAMES];
};

/* NEAP_SEED or a fixed one; printed. */
uint64_t hw_fixture_seed(void);

/* For cmocka: *state is a const bool *, whether contents are tags, and becomes a fixture. */
int hw_fixture_setup(void **state);

/* Empties and destroys the space; every table that was lent must be back, the root last. */
int hw_fixture_teardown(void **state);

uint32_t hw_fixture_lend_table(struct hw_fixture *f);
void hw_fixture_free_table(void *fixture, uint32_t pfn);

/* Unmaps every page and clears every word. */
void hw_fixture_empty(struct hw_fixture *f);

/* map() of one entry as the engine does it, with the tables that are missing. */
struct hw_entry hw_fixture_map(struct hw_fixture *f, uint64_t vpn, uint64_t word, uint32_t pfn,
			       uint32_t flags);

/* The same for an empty entry, which must succeed. */
void hw_fixture_must_map(struct hw_fixture *f, uint64_t vpn, uint32_t pfn, uint32_t flags);

struct hw_entry hw_fixture_get(struct hw_fixture *f, uint64_t vpn);

#endif
