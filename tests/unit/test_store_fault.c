/*
 * The failing wrapper: each rule, its counts, and that whatever it does every page
 * is answered once, with the right contents. Over a modelled device in virtual time
 * (where waiting for something that never comes fails the test) and over files with
 * real threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/fault.h"
#include "store/file.h"
#include "store/model.h"
#include "store_fixture.h"

#define NR_FRAMES 512u
#define NR_THREADS 3u

struct fixture {
	struct fixture_hw hw;
	struct fixture_rt rt;
	struct task t;
	struct store_host *host;
	struct fixture_book book;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fixture_hw_init(&f->hw, NR_FRAMES, true);
	fixture_rt_virtual(&f->rt);
	fixture_task(&f->rt, &f->t, 1, 1);
	assert_int_equal(store_model_host_create(&f->hw.hw, &f->rt.rt, &f->host), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->host->ops->destroy(f->host);
	fixture_hw_free(&f->hw);
	free(f);
	return 0;
}

static struct store *open_faulty(struct fixture *f, const struct store_fault_spec *rules)
{
	const struct store_model_spec spec = {
		.pages = 4096,
		.swap = true,
		.cost = { .latency_ns = 1000, .depth = 4, .jitter_permille = 500 }
	};
	struct store *inner;
	struct store *store;

	assert_int_equal(store_model_open(f->host, &spec, &inner), 0);
	assert_int_equal(store_fault_wrap(inner, rules, &store), 0);
	assert_ptr_equal(store->host, f->host);
	fixture_book_attach(&f->book, store);
	return store;
}

static int transfer(struct fixture *f, struct store *store, enum store_op op, uint64_t page,
		    uint32_t nr)
{
	const struct fixture_run run = {
		.store = store, .t = &f->t, .op = op, .page = page, .nr = nr
	};

	return fixture_transfer(&f->book, &run);
}

static struct store_fault_counts counts_of(struct fixture *f, struct store *store)
{
	struct store_fault_counts counts;

	store_fault_counts(store, &f->t, &counts);
	return counts;
}

/* ---- rules ---- */

static void test_no_rules(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_faulty(f, &(struct store_fault_spec){ .seed = 1 });
	struct store_geometry geometry;

	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 4096);
	assert_int_equal(transfer(f, store, STORE_WRITE, 1, 100), 0);
	assert_int_equal(transfer(f, store, STORE_READ, 1, 100), 0);
	store->ops->discard(store, &f->t, 1, 100);
	assert_int_equal(store->ops->sync(store, &f->t), 0);
	assert_int_equal(store->ops->truncate(store, &f->t, 1), -EINVAL); /* a swap area's answer */
	struct store_fault_counts counts = counts_of(f, store);
	assert_int_equal(counts.reads, 100);
	assert_int_equal(counts.writes, 100);
	assert_int_equal(counts.failed_reads + counts.failed_writes + counts.cuts + counts.held +
				 counts.delayed + counts.failed_syncs,
			 0);
	store->ops->close(store);
}

/* Fail the Nth page, for every N of a batch, and no other. */
static void test_every_nth(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_faulty(f, &(struct store_fault_spec){ .seed = 1 });

	for (uint32_t nth = 1; nth <= 70; nth++) {
		store_fault_arm(store, &f->t, STORE_WRITE, nth, -ENOSPC);
		assert_int_equal(transfer(f, store, STORE_READ, 1, 70), 0);
		assert_int_equal(transfer(f, store, STORE_WRITE, 1, 70), -ENOSPC);
		for (uint32_t i = 0; i < 70; i++)
			assert_int_equal(f->book.answers[i].err, i + 1 == nth ? -ENOSPC : 0);
		store_fault_arm(store, &f->t, STORE_READ, nth, 0);
		assert_int_equal(transfer(f, store, STORE_READ, 1, 70), -EIO);
		assert_int_equal(f->book.answers[nth - 1].err, -EIO);
		assert_int_equal(transfer(f, store, STORE_READ, 1, 70), 0); /* once */
	}
	assert_int_equal(counts_of(f, store).failed_writes, 70);
	assert_int_equal(counts_of(f, store).failed_reads, 70);
	store->ops->close(store);
}

static void test_failed_write_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_faulty(f, &(struct store_fault_spec){ .nth_write = 2 });

	fixture_fill(&f->hw, 0, 5, 1);
	assert_int_equal(transfer(f, store, STORE_WRITE, 5, 1), 0);
	fixture_fill(&f->hw, 0, 5, 2);
	assert_int_equal(transfer(f, store, STORE_WRITE, 5, 1), -EIO);
	assert_int_equal(transfer(f, store, STORE_READ, 5, 1), 0);
	assert_true(fixture_matches(&f->hw, 0, 5, 1));
	store->ops->close(store);
}

static void test_bad_range(void **state)
{
	struct fixture *f = *state;
	struct store_fault_spec rules = { .bad_first = 10, .bad_pages = 3, .error = -ENOSPC };
	struct store *store = open_faulty(f, &rules);

	assert_int_equal(transfer(f, store, STORE_WRITE, 8, 8), -ENOSPC);
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(f->book.answers[i].err, i >= 2 && i < 5 ? -ENOSPC : 0);
	assert_int_equal(transfer(f, store, STORE_READ, 12, 1), -ENOSPC);
	rules.bad_ops = 1u << STORE_READ;
	store_fault_set(store, &f->t, &rules);
	assert_int_equal(transfer(f, store, STORE_WRITE, 12, 1), 0);
	assert_int_equal(transfer(f, store, STORE_READ, 12, 1), -ENOSPC);
	rules.bad_pages = 0;
	store_fault_set(store, &f->t, &rules);
	assert_int_equal(transfer(f, store, STORE_READ, 12, 1), 0);
	store->ops->close(store);
}

static void test_permille(void **state)
{
	struct fixture *f = *state;
	const struct store_fault_spec rules = { .seed = 7,
						.read_permille = 100,
						.write_permille = 1000 };
	struct store *store = open_faulty(f, &rules);
	uint64_t failed;

	for (uint32_t i = 0; i < 50; i++)
		(void)transfer(f, store, STORE_READ, 1, 100);
	failed = counts_of(f, store).failed_reads;
	assert_in_range(failed, 400, 600);
	assert_int_equal(transfer(f, store, STORE_WRITE, 1, 100), -EIO);
	assert_int_equal(counts_of(f, store).failed_writes, 100);
	store->ops->close(store);
	/* The same seed fails the same pages. */
	store = open_faulty(f, &rules);
	for (uint32_t i = 0; i < 50; i++)
		(void)transfer(f, store, STORE_READ, 1, 100);
	assert_int_equal(counts_of(f, store).failed_reads, failed);
	store->ops->close(store);
}

static void test_sync_fails(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_faulty(f, &(struct store_fault_spec){ .nth_sync = 2 });

	assert_int_equal(store->ops->sync(store, &f->t), 0);
	assert_int_equal(store->ops->sync(store, &f->t), -EIO);
	assert_int_equal(store->ops->sync(store, &f->t), 0);
	assert_int_equal(counts_of(f, store).failed_syncs, 1);
	store->ops->close(store);
}

static void test_cut_delayed_reordered(void **state)
{
	struct fixture *f = *state;
	const struct store_fault_spec rules = { .seed = 3,
						.short_permille = 1000,
						.delay_permille = 500,
						.delay_ns = 100000,
						.reorder_permille = 700,
						.hold = 8 };
	struct store *store = open_faulty(f, &rules);
	struct store_fault_counts counts;
	bool in_order = true;

	assert_int_equal(transfer(f, store, STORE_READ, 1, 200), 0);
	for (uint32_t i = 0; i < 200; i++)
		in_order = in_order && f->book.answers[i].sequence == i;
	assert_false(in_order);
	counts = counts_of(f, store);
	assert_int_equal(counts.cuts, 7); /* 200 pages in pieces of 32 */
	assert_true(counts.delayed > 50 && counts.held > 50 && counts.overtaken > 50);
	store->ops->close(store);
}

/* One page alone is never held back: nobody would come to free it. */
static void test_last_is_never_held(void **state)
{
	struct fixture *f = *state;
	const struct store_fault_spec rules = { .reorder_permille = 1000,
						.hold = STORE_FAULT_HOLD_MAX };
	struct store *store = open_faulty(f, &rules);

	for (uint32_t nr = 1; nr <= 200; nr++)
		assert_int_equal(transfer(f, store, STORE_READ, 1, nr), 0);
	assert_true(counts_of(f, store).held > 0);
	store->ops->close(store);
}

static void test_rules_change_in_flight(void **state)
{
	struct fixture *f = *state;
	struct store_fault_spec rules = { .reorder_permille = 1000, .hold = 64 };
	struct store *store = open_faulty(f, &rules);
	const struct fixture_run run = {
		.store = store, .t = &f->t, .op = STORE_READ, .page = 1, .nr = 100
	};

	fixture_submit(&f->book, &run);
	assert_true(fixture_step(&f->rt));
	assert_int_equal(atomic_load(&f->book.answered), 0); /* all held */
	rules.hold = 0;
	store_fault_set(store, &f->t, &rules);
	fixture_wait(&f->book, store, &f->t, 100);
	store->ops->close(store);
}

static void test_refusals(void **state)
{
	struct store *store;
	struct store inner = { .host = NULL };

	(void)state;
	assert_int_equal(store_fault_wrap(&inner, &(struct store_fault_spec){ .error = 5 }, &store),
			 -EINVAL);
	assert_int_equal(store_fault_wrap(&inner, &(struct store_fault_spec){ .hold = 65 }, &store),
			 -EINVAL);
}

/* ---- properties ---- */

static void random_rules(struct rng *rng, struct store_fault_spec *rules)
{
	*rules = (struct store_fault_spec){
		.seed = rng_next(rng),
		.read_permille = (uint32_t)rng_below(rng, 100),
		.write_permille = (uint32_t)rng_below(rng, 100),
		.nth_read = rng_below(rng, 100),
		.nth_write = rng_below(rng, 100),
		.bad_first = rng_below(rng, 500),
		.bad_pages = rng_below(rng, 10),
		.short_permille = (uint32_t)rng_below(rng, 1000),
		.delay_permille = (uint32_t)rng_below(rng, 500),
		.delay_ns = rng_below(rng, 50000),
		.reorder_permille = (uint32_t)rng_below(rng, 1001),
		.hold = (uint32_t)rng_below(rng, STORE_FAULT_HOLD_MAX + 1),
	};
}

static void test_property_virtual(void **state)
{
	struct fixture *f = *state;
	struct fixture_exerciser *ex = calloc(1, sizeof(*ex));
	struct store_fault_spec rules;
	struct rng rng;

	assert_non_null(ex);
	rng_seed(&rng, fixture_seed());
	for (uint32_t round = 0; round < 30; round++) {
		random_rules(&rng, &rules);
		struct store *store = open_faulty(f, &rules);

		fixture_exerciser_attach(store);
		*ex = (struct fixture_exerciser){ .store = store,
						  .t = &f->t,
						  .hw = &f->hw,
						  .first_page = 1,
						  .nr_pages = 600,
						  .errors_expected = true };
		fixture_exerciser_init(ex, rng_next(&rng));
		for (uint32_t phase = 0; phase < 4; phase++) {
			fixture_exerciser_run(ex, 30);
			random_rules(&rng, &rules);
			store_fault_set(store, &f->t, &rules);
		}
		fixture_exerciser_drain(ex);
		store_fault_set(store, &f->t, &(struct store_fault_spec){ .seed = 0 });
		uint32_t errors = ex->nr_errors;
		fixture_exerciser_check_all(ex);
		assert_int_equal(ex->nr_errors, errors);
		store->ops->close(store);
	}
	free(ex);
}

struct worker {
	struct fixture_exerciser ex;
	struct task t;
	pthread_t thread;
};

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	fixture_exerciser_run(&worker->ex, 80);
	fixture_exerciser_drain(&worker->ex);
	return NULL;
}

static struct store *open_faulty_file(struct store_host *host, uint64_t seed)
{
	const struct store_fault_spec rules = { .seed = seed,
						.read_permille = 30,
						.write_permille = 30,
						.short_permille = 300,
						.delay_permille = 20,
						.delay_ns = 10000,
						.reorder_permille = 500,
						.hold = 16 };
	struct store *inner;
	struct store *store;
	char err[200];

	if (store_file_open(host, &(struct store_file_spec){ .pages = 2048, .swap = true }, err,
			    sizeof(err), &inner) != 0)
		fail_msg("%s", err);
	assert_int_equal(store_fault_wrap(inner, &rules, &store), 0);
	fixture_exerciser_attach(store);
	return store;
}

static void live(bool no_uring)
{
	const struct store_file_host_options opt = { .no_uring = no_uring,
						     .nr_slots = FIXTURE_CPUS };
	struct fixture_rt *rt = calloc(1, sizeof(*rt));
	struct worker *workers = calloc(NR_THREADS, sizeof(*workers));
	struct fixture_reaper reaper;
	struct fixture_hw hw;
	struct store_host *host;
	uint64_t seed = fixture_seed();

	assert_true(rt != NULL && workers != NULL);
	fixture_hw_init(&hw, NR_THREADS * FIXTURE_SLOTS, false);
	fixture_rt_live(rt);
	assert_int_equal(store_file_host_create(&hw.hw, &opt, &host), 0);
	fixture_reaper_start(&reaper, rt, host);
	struct store *store = open_faulty_file(host, seed);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		struct worker *w = &workers[i];

		fixture_task(rt, &w->t, 10 + i, i % 2);
		w->ex.store = store;
		w->ex.t = &w->t;
		w->ex.hw = &hw;
		w->ex.first_page = 1 + i * 500;
		w->ex.nr_pages = 500;
		w->ex.first_frame = i * FIXTURE_SLOTS;
		w->ex.errors_expected = true;
		fixture_exerciser_init(&w->ex, seed + i);
		assert_int_equal(pthread_create(&w->thread, NULL, worker_main, w), 0);
	}
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	store_fault_set(store, &workers[0].t, &(struct store_fault_spec){ .seed = 0 });
	for (uint32_t i = 0; i < NR_THREADS; i++)
		fixture_exerciser_check_all(&workers[i].ex);
	store->ops->close(store);
	fixture_reaper_stop(&reaper);
	host->ops->destroy(host);
	fixture_hw_free(&hw);
	free(workers);
	free(rt);
}

static void test_property_live(void **state)
{
	(void)state;
	live(false);
}

static void test_property_live_plain(void **state)
{
	(void)state;
	live(true);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_rules),
		TEST(test_every_nth),
		TEST(test_failed_write_writes_nothing),
		TEST(test_bad_range),
		TEST(test_permille),
		TEST(test_sync_fails),
		TEST(test_cut_delayed_reordered),
		TEST(test_last_is_never_held),
		TEST(test_rules_change_in_flight),
		cmocka_unit_test(test_refusals),
		TEST(test_property_virtual),
		cmocka_unit_test(test_property_live),
		cmocka_unit_test(test_property_live_plain),
	};

	return cmocka_run_group_tests_name("store_fault", tests, NULL, NULL);
}
