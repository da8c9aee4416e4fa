/*
 * Tests of hw/soft with several threads, also for the thread sanitizer.
 *
 * 1. Accesses against a thread that moves pages from frame to frame, protects and harvests: every
 *    write survives, and a page that was reported clean had not changed. Each page is
 *
 *	word 0       word 64      word 128     word 192     ...  word 511
 *	writes of 0  writes of 1  writes of 2  writes of 3       number of the page
 *
 *    and the frame that it left is overwritten, so that a stale translation is seen.
 * 2. unmap waits for an access under way.
 * 3. Threads that fault the same range in: one winner for each page and each table.
 * 4. Threads that fill and empty the same entries: the table's count stays true.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/rng.h"
#include "hw_soft_fixture.h"

#define TABLE_SPAN ((uint64_t)HW_TABLE_ENTRIES) /* pages of a leaf table */
#define NR_THREADS 4u
#define MOVED_PAGES 48u
#define MOVED_BASE (TABLE_SPAN - MOVED_PAGES / 2)
#define ACCESSES 20000u
#define PAGE_WORDS (NEAP_PAGE_BYTES / sizeof(uint64_t))
#define NR_PADDING 64u

struct shared {
	struct hw_fixture *f;
	uint64_t seed;
	_Atomic uint32_t accessors_left;
	uint32_t frames[MOVED_PAGES][2];	 /* mover only: a page alternates between two */
	uint32_t current[MOVED_PAGES];		 /* mover only */
	unsigned char (*clean)[NEAP_PAGE_BYTES]; /* mover only: as the page was when it was clean */
	uint64_t nr_clean_moves;
};

struct accessor {
	struct shared *shared;
	uint32_t number;
	uint64_t writes[MOVED_PAGES];
	bool wrong;
};

/* Each thread counts its writes in its own word of the page; the last word names the page. */
static void *accessor_run(void *arg)
{
	struct accessor *a = arg;
	struct hw_space *space = a->shared->f->space;
	struct rng rng;

	rng_seed(&rng, a->shared->seed + a->number);
	for (uint32_t done = 0; done < ACCESSES;) {
		uint32_t page = (uint32_t)rng_below(&rng, MOVED_PAGES);
		bool write = rng_below(&rng, 8) == 0;
		struct hw_access access;
		uint64_t *words;

		if (soft_access_begin(space, MOVED_BASE + page, write, &access) != 0) {
			sched_yield();
			continue;
		}
		words = access.data;
		a->wrong |= words[PAGE_WORDS - 1] != page;
		a->wrong |= words[a->number * NR_PADDING] != a->writes[page];
		if (write)
			words[a->number * NR_PADDING] = ++a->writes[page];
		soft_access_end(space, &access);
		done++;
	}
	atomic_fetch_sub(&a->shared->accessors_left, 1);
	return NULL;
}

/* Moves one unmapped page to its other frame, checks that clean meant unchanged, spoils the old. */
static void mover_move(struct shared *s, uint32_t page, struct hw_entry *entry)
{
	struct hw *hw = s->f->hw;
	uint32_t to = s->frames[page][1 - s->current[page]];

	assert_int_equal(entry->err, 0);
	assert_int_equal(entry->pfn, s->frames[page][s->current[page]]);
	if ((entry->flags & HW_DIRTY) == 0) {
		assert_memory_equal(hw->ops->window(hw, entry->pfn), s->clean[page],
				    NEAP_PAGE_BYTES);
		s->nr_clean_moves++;
	}
	hw->ops->copy(hw, to, entry->pfn);
	memcpy(s->clean[page], hw->ops->window(hw, to), NEAP_PAGE_BYTES);
	memset(hw->ops->window(hw, entry->pfn), 0xdd, NEAP_PAGE_BYTES);
	s->current[page] = 1 - s->current[page];
	entry->pfn = to;
	entry->word = 1000 + page;
	entry->flags = HW_WRITE;
}

/* The same as harvest, looked at before. */
static void mover_take_young(struct shared *s, const struct hw_entry *batch, uint32_t nr)
{
	const struct hw_ops *ops = s->f->hw->ops;
	struct hw_spot spots[MOVED_PAGES];

	for (uint32_t i = 0; i < nr; i++)
		spots[i] = (struct hw_spot){ .vpn = batch[i].vpn, .pfn = batch[i].pfn };
	assert_true(ops->spot_look(s->f->space, spots, nr, false));
	ops->spot_take(spots, nr);
}

static void mover_round(struct shared *s, struct rng *rng)
{
	const struct hw_ops *ops = s->f->hw->ops;
	struct hw_entry batch[MOVED_PAGES];
	uint32_t nr = 0;

	for (uint32_t page = 0; page < MOVED_PAGES; page++)
		if (rng_below(rng, 4) == 0)
			batch[nr++] =
				(struct hw_entry){ .vpn = MOVED_BASE + page, .word = 1000 + page };
	ops->unmap(s->f->space, batch, nr);
	ops->flush(s->f->space);
	for (uint32_t i = 0; i < nr; i++)
		mover_move(s, (uint32_t)(batch[i].vpn - MOVED_BASE), &batch[i]);
	ops->map(s->f->space, batch, nr);
	for (uint32_t i = 0; i < nr; i++)
		assert_int_equal(batch[i].err, 0);
	if (rng_below(rng, 2) == 0)
		ops->harvest(s->f->space, batch, nr);
	else
		mover_take_young(s, batch, nr);
	ops->flush(s->f->space);
	for (uint32_t i = 0; i < nr; i++) { /* write-protect, as write-back does, and undo */
		struct hw_entry entry = { .vpn = batch[i].vpn };
		uint32_t page = (uint32_t)(entry.vpn - MOVED_BASE);

		ops->protect(s->f->space, &entry, 1);
		assert_int_equal(entry.err, 0);
		memcpy(s->clean[page], ops->window(s->f->hw, entry.pfn), NEAP_PAGE_BYTES);
		ops->allow_write(s->f->space, &entry, 1);
		assert_int_equal(entry.err, 0);
	}
}

static void shared_setup(struct shared *s)
{
	for (uint32_t page = 0; page < MOVED_PAGES; page++) {
		uint64_t *words;

		s->frames[page][0] = 1 + page;
		s->frames[page][1] = 1 + MOVED_PAGES + page;
		words = s->f->hw->ops->window(s->f->hw, 1 + page);
		words[PAGE_WORDS - 1] = page;
		memcpy(s->clean[page], words, NEAP_PAGE_BYTES);
		hw_fixture_must_map(s->f, MOVED_BASE + page, 1 + page, HW_WRITE);
	}
}

static void moved_pages_lose_no_write(void **state)
{
	struct shared s = { .f = *state, .seed = hw_fixture_seed(), .accessors_left = NR_THREADS };
	struct accessor *accessors = calloc(NR_THREADS, sizeof(*accessors));
	pthread_t threads[NR_THREADS];
	struct rng rng;

	s.clean = calloc(MOVED_PAGES, sizeof(*s.clean));
	assert_non_null(s.clean);
	assert_non_null(accessors);
	shared_setup(&s);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		accessors[i].shared = &s;
		accessors[i].number = i;
		assert_int_equal(pthread_create(&threads[i], NULL, accessor_run, &accessors[i]), 0);
	}
	rng_seed(&rng, s.seed);
	while (atomic_load(&s.accessors_left) != 0)
		mover_round(&s, &rng);
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (uint32_t page = 0; page < MOVED_PAGES; page++) {
		uint64_t *words = s.f->hw->ops->window(s.f->hw, s.frames[page][s.current[page]]);

		for (uint32_t i = 0; i < NR_THREADS; i++)
			assert_true(words[i * NR_PADDING] == accessors[i].writes[page]);
	}
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_false(accessors[i].wrong);
	print_message("clean moves %llu\n", (unsigned long long)s.nr_clean_moves);
	free(accessors);
	free(s.clean);
}

struct unmapper {
	struct hw_fixture *f;
	_Atomic bool started;
	struct hw_entry entry;
};

static void *unmapper_run(void *arg)
{
	struct unmapper *u = arg;

	atomic_store(&u->started, true);
	u->f->hw->ops->unmap(u->f->space, &u->entry, 1);
	return NULL;
}

/* The flags that unmap reports are those after the access that it had to wait for. */
static void unmap_waits_for_an_access(void **state)
{
	struct unmapper u = { .f = *state, .entry = { .vpn = 100, .word = 5 } };
	const struct timespec wait = { .tv_nsec = 2000000 };
	struct hw_access access;
	pthread_t thread;

	hw_fixture_must_map(u.f, 100, 8, HW_WRITE);
	assert_int_equal(u.f->hw->ops->access_begin(u.f->space, 100, true, &access), 0);
	assert_int_equal(pthread_create(&thread, NULL, unmapper_run, &u), 0);
	while (!atomic_load(&u.started))
		sched_yield();
	nanosleep(&wait, NULL);
	assert_int_equal(hw_fixture_get(u.f, 100).flags, HW_PRESENT | HW_WRITE);
	u.f->hw->ops->access_end(u.f->space, &access);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(u.entry.err == 0 && u.entry.pfn == 8);
	assert_int_equal(u.entry.flags, HW_PRESENT | HW_WRITE | HW_YOUNG | HW_DIRTY);
	assert_true(hw_fixture_get(u.f, 100).word == 5);
}

#define RACED_STEP 37u
#define RACED_PAGES 3000u

struct racer {
	struct hw_fixture *f;
	uint32_t pfn;
	uint32_t wins;
};

static void *racer_run(void *arg)
{
	struct racer *r = arg;

	for (uint64_t i = 0; i < RACED_PAGES; i++)
		r->wins += hw_fixture_map(r->f, i * RACED_STEP, 0, r->pfn, 0).err == 0;
	return NULL;
}

/* Threads that fault the same pages in: each page and each table has one winner. */
static void racing_maps_have_one_winner(void **state)
{
	struct hw_fixture *f = *state;
	struct racer racers[NR_THREADS];
	struct hw_entry *found = calloc(RACED_PAGES + 1, sizeof(*found));
	pthread_t threads[NR_THREADS];
	uint32_t wins[NR_THREADS] = { 0 };
	uint32_t nr_leaves = (RACED_PAGES - 1) * RACED_STEP / HW_TABLE_ENTRIES + 1;

	assert_non_null(found);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		racers[i] = (struct racer){ .f = f, .pfn = 1 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, racer_run, &racers[i]), 0);
	}
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(f->hw->ops->scan(f->space, 0, HW_VPN_MAX, found, RACED_PAGES + 1),
			 RACED_PAGES);
	for (uint32_t i = 0; i < RACED_PAGES; i++) {
		assert_true(found[i].vpn == (uint64_t)i * RACED_STEP);
		wins[found[i].pfn - 1]++;
	}
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(wins[i], racers[i].wins);
	assert_int_equal(f->nr_lent, 3 + nr_leaves);
	hw_fixture_empty(f);
	f->hw->ops->release_tables(f->space, 0, HW_VPN_MAX, hw_fixture_free_table, f);
	assert_int_equal(f->nr_lent, 3);
	free(found);
}

#define HAMMERED_PAGES 2u
#define HAMMER_BLOWS 30000u

struct hammerer {
	struct hw_fixture *f;
	uint64_t word;
	uint32_t lost; /* words that somebody else replaced */
};

static void *hammerer_run(void *arg)
{
	struct hammerer *h = arg;
	const struct hw_ops *ops = h->f->hw->ops;

	for (uint64_t i = 0; i < HAMMER_BLOWS; i++) {
		uint64_t vpn = i % HAMMERED_PAGES;

		if (ops->set_word(h->f->space, vpn, 0, h->word) == 0)
			h->lost += ops->set_word(h->f->space, vpn, h->word, 0) != 0;
	}
	return NULL;
}

/* Filling and emptying that fails half way leaves no trace in the table's count. */
static void racing_words_keep_the_count(void **state)
{
	struct hw_fixture *f = *state;
	struct hammerer hammerers[NR_THREADS];
	pthread_t threads[NR_THREADS];

	hw_fixture_must_map(f, 100, 1, 0);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		hammerers[i] = (struct hammerer){ .f = f, .word = 1 + i };
		assert_int_equal(pthread_create(&threads[i], NULL, hammerer_run, &hammerers[i]), 0);
	}
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(hammerers[i].lost, 0);
	}
	f->hw->ops->release_tables(f->space, 0, HW_VPN_MAX, hw_fixture_free_table, f);
	assert_int_equal(f->nr_lent, 4); /* page 100 keeps the leaf */
	hw_fixture_empty(f);
	f->hw->ops->release_tables(f->space, 0, HW_VPN_MAX, hw_fixture_free_table, f);
	assert_int_equal(f->nr_lent, 3);
}

static const bool with_real = false;

#define WITH_REAL(test)                                                                            \
	cmocka_unit_test_prestate_setup_teardown(test, hw_fixture_setup, hw_fixture_teardown,      \
						 (void *)(uintptr_t)&with_real)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_REAL(moved_pages_lose_no_write),
		WITH_REAL(unmap_waits_for_an_access),
		WITH_REAL(racing_maps_have_one_winner),
		WITH_REAL(racing_words_keep_the_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
