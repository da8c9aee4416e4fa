/* Modelled devices: when requests finish, what they carry, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/model.h"
#include "store_fixture.h"

#define NR_FRAMES 512u

struct fixture {
	struct fixture_hw hw;
	struct fixture_rt rt;
	struct task t;
	struct store_host *host;
	struct fixture_book book;
};

static int setup_with(void **state, bool tags)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fixture_hw_init(&f->hw, NR_FRAMES, tags);
	fixture_rt_virtual(&f->rt);
	fixture_task(&f->rt, &f->t, 1, 2);
	assert_int_equal(store_model_host_create(&f->hw.hw, &f->rt.rt, &f->host), 0);
	assert_false(f->host->needs_reaper);
	*state = f;
	return 0;
}

static int setup_tags(void **state)
{
	return setup_with(state, true);
}

static int setup_real(void **state)
{
	return setup_with(state, false);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->host->ops->destroy(f->host);
	fixture_hw_free(&f->hw);
	free(f);
	return 0;
}

static struct store *open_model(struct fixture *f, const struct store_model_spec *spec)
{
	struct store *store = NULL;

	assert_int_equal(store_model_open(f->host, spec, &store), 0);
	fixture_book_attach(&f->book, store);
	return store;
}

#define RUN(f, the_store, the_op, first, frame, number)                                            \
	(&(struct fixture_run){ .store = (the_store),                                              \
				.t = &(f)->t,                                                      \
				.op = (the_op),                                                    \
				.page = (first),                                                   \
				.pfn = (frame),                                                    \
				.nr = (number) })

/* Reads single pages step apart, all submitted at once, and waits. => the time of the last */
static uint64_t scattered(struct fixture *f, struct store *store, uint32_t nr, uint64_t step)
{
	struct store_page pages[64];

	memset(&f->book, 0, sizeof(f->book));
	for (uint32_t i = 0; i < nr; i++)
		pages[i] = (struct store_page){ .offset = 1 + i * step, .cookie = i, .pfn = i };
	store->ops->submit(store, &f->t, STORE_READ, pages, nr, 0);
	fixture_wait(&f->book, store, &f->t, nr);
	return f->book.answers[nr - 1].at_ns;
}

/* ---- time ---- */

static void test_latency_and_depth(void **state)
{
	struct fixture *f = *state;
	struct store *store =
		open_model(f, &(struct store_model_spec){
				      .pages = 1000, .cost = { .latency_ns = 1000, .depth = 2 } });

	assert_int_equal(scattered(f, store, 5, 2), 3000);
	assert_int_equal(f->book.answers[0].at_ns, 1000);
	assert_int_equal(f->book.answers[1].at_ns, 1000);
	assert_int_equal(f->book.answers[2].at_ns, 2000);
	assert_int_equal(f->book.answers[3].at_ns, 2000);
	assert_int_equal(f->book.answers[0].cpu, 2); /* the submitter's */
	store->ops->close(store);
}

static void test_adjacent_pages_merge(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_model(
		f, &(struct store_model_spec){ .pages = 1000, .cost = { .latency_ns = 1000 } });

	assert_int_equal(scattered(f, store, 10, 1), 1000);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 0, 256)), 0);
	assert_int_equal(f->rt.now_ns, 2000);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 0, 257)), 0);
	assert_int_equal(f->rt.now_ns, 4000);
	store->ops->close(store);
}

static void test_throttle(void **state)
{
	struct fixture *f = *state;
	struct store_model_spec spec = { .pages = 1000, .cost = { .depth = 32, .iops = 1000 } };
	struct store *store = open_model(f, &spec);

	assert_int_equal(scattered(f, store, 10, 2), 9 * NSEC_PER_MSEC);
	store->ops->close(store);
	fixture_rt_virtual(&f->rt);
	fixture_task(&f->rt, &f->t, 1, 0);
	spec.cost.iops_burst = 4;
	store = open_model(f, &spec);
	assert_int_equal(scattered(f, store, 10, 2), 5 * NSEC_PER_MSEC);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(f->book.answers[i].at_ns, 0);
	/* Idle long enough, the burst is allowed again and no more than that. */
	f->rt.now_ns = NSEC_PER_SEC;
	assert_int_equal(scattered(f, store, 10, 2), NSEC_PER_SEC + 5 * NSEC_PER_MSEC);
	store->ops->close(store);
}

static void test_bandwidth_is_shared(void **state)
{
	struct fixture *f = *state;
	struct store *store =
		open_model(f, &(struct store_model_spec){ .pages = 1000,
							  .cost = { .latency_ns = 500,
								    .depth = 32,
								    .bytes_per_s = 4096 * 1000 } });

	assert_int_equal(scattered(f, store, 4, 2), 500 + 4 * NSEC_PER_MSEC);
	assert_int_equal(f->book.answers[0].at_ns, 500 + NSEC_PER_MSEC);
	store->ops->close(store);
}

static void test_seek(void **state)
{
	struct fixture *f = *state;
	struct store_geometry geometry;
	struct store *store = open_model(
		f, &(struct store_model_spec){ .pages = 1000,
					       .rotational = true,
					       .cost = { .latency_ns = 10, .seek_ns = 1000 } });

	store->ops->geometry(store, &geometry);
	assert_true(geometry.rotational);
	assert_false(geometry.stable_writes || geometry.synchronous);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 100, 0, 4)), 0);
	assert_int_equal(f->rt.now_ns, 1010);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 104, 0, 4)),
			 0); /* goes on */
	assert_int_equal(f->rt.now_ns, 1020);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 104, 0, 4)),
			 0); /* goes back */
	assert_int_equal(f->rt.now_ns, 2030);
	store->ops->close(store);
}

static uint64_t jittered(struct fixture *f, uint64_t seed)
{
	struct store *store = open_model(
		f, &(struct store_model_spec){
			   .pages = 1000,
			   .seed = seed,
			   .cost = { .latency_ns = 100000, .depth = 64, .jitter_permille = 200 } });
	uint64_t start_ns = f->rt.now_ns;
	uint64_t hash = 0;

	(void)scattered(f, store, 50, 2);
	for (uint32_t i = 0; i < 50; i++) {
		uint64_t took_ns = f->book.answers[i].at_ns - start_ns;

		assert_in_range(took_ns, 80000, 120000);
		hash = mix_u64(hash + took_ns);
	}
	store->ops->close(store);
	return hash;
}

static void test_jitter_is_the_seeds(void **state)
{
	struct fixture *f = *state;
	uint64_t first = jittered(f, 1);

	assert_true(jittered(f, 1) == first);
	assert_true(jittered(f, 2) != first);
}

static void test_device_is_shared(void **state)
{
	struct fixture *f = *state;
	const struct store_device_cost cost = { .latency_ns = 1000, .seek_ns = 100 };
	struct store_model_device *device;
	struct fixture_book other_book;
	struct store *other;

	assert_int_equal(store_model_device_create(&cost, true, 1, &device), 0);
	const struct store_model_spec spec = { .pages = 100, .device = device };
	struct store *store = open_model(f, &spec);
	assert_int_equal(store_model_open(f->host, &spec, &other), 0);
	fixture_book_attach(&other_book, other);
	fixture_submit(&f->book, RUN(f, store, STORE_READ, 10, 0, 1));
	fixture_submit(&other_book, RUN(f, other, STORE_READ, 11, 9, 1));
	fixture_wait(&other_book, other, &f->t, 1);
	assert_int_equal(f->book.answers[0].at_ns, 1100);
	assert_int_equal(other_book.answers[0].at_ns, 2200); /* queued, and elsewhere on the disk */
	store->ops->close(store);
	other->ops->close(other);
	store_model_device_destroy(device);
}

static void test_sync_waits_for_the_queue(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_model(
		f, &(struct store_model_spec){ .pages = 100, .cost = { .latency_ns = 1000 } });

	fixture_submit(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 1));
	assert_int_equal(store->ops->sync(store, &f->t), 0);
	assert_int_equal(f->rt.now_ns, 2000);
	assert_int_equal(atomic_load(&f->book.answered), 1);
	store->ops->close(store);
}

static void test_synchronous(void **state)
{
	struct fixture *f = *state;
	struct store *store =
		open_model(f, &(struct store_model_spec){ .pages = 100,
							  .synchronous = true,
							  .cost = { .latency_ns = 1000 } });
	struct store_geometry geometry;

	store->ops->geometry(store, &geometry);
	assert_true(geometry.synchronous);
	fixture_submit(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 50));
	assert_int_equal(atomic_load(&f->book.answered), 50);
	assert_int_equal(store->ops->sync(store, &f->t), 0);
	assert_int_equal(f->rt.now_ns, 0);
	store->ops->close(store);
}

static void nothing(struct task *irq, void *arg, uint64_t a, uint64_t b)
{
	(void)irq;
	(void)arg;
	(void)a;
	(void)b;
}

/* No timer to be had: early, but complete. */
static void test_no_timer(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_model(
		f, &(struct store_model_spec){ .pages = 100, .cost = { .latency_ns = 1000 } });

	while (f->rt.rt.ops->call_at(&f->t, 0, 1, nothing, NULL, 0, 0) == 0)
		;
	fixture_submit(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 8));
	assert_int_equal(atomic_load(&f->book.answered), 8);
	store->ops->close(store);
}

/* ---- contents ---- */

static void test_write_takes_read_gives_late(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_model(
		f, &(struct store_model_spec){ .pages = 100, .cost = { .latency_ns = 1000 } });

	fixture_fill(&f->hw, 3, 7, 1);
	fixture_submit(&f->book, RUN(f, store, STORE_WRITE, 7, 3, 1));
	fixture_fill(&f->hw, 3, 7, 2); /* too late to be written */
	fixture_wait(&f->book, store, &f->t, 1);
	fixture_submit(&f->book, RUN(f, store, STORE_READ, 7, 3, 1));
	assert_true(fixture_matches(&f->hw, 3, 7, 2)); /* too early to be read */
	fixture_wait(&f->book, store, &f->t, 1);
	assert_true(fixture_matches(&f->hw, 3, 7, 1));
	store->ops->close(store);
}

/* Exploration's device takes the contents when it is finished: who gave the frame away shows. */
static void test_explored_write_takes_late(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_model(
		f, &(struct store_model_spec){ .pages = 100, .cost = { .latency_ns = 1000 } });

	f->rt.rt.explore = true;
	fixture_fill(&f->hw, 3, 7, 1);
	fixture_submit(&f->book, RUN(f, store, STORE_WRITE, 7, 3, 1));
	fixture_fill(&f->hw, 3, 7, 2);
	fixture_wait(&f->book, store, &f->t, 1);
	f->rt.rt.explore = false;
	fixture_submit(&f->book, RUN(f, store, STORE_READ, 7, 3, 1));
	fixture_wait(&f->book, store, &f->t, 1);
	assert_true(fixture_matches(&f->hw, 3, 7, 2));
	store->ops->close(store);
}

static void test_bounds(void **state)
{
	struct fixture *f = *state;
	struct store_geometry geometry;
	struct store *swap = open_model(f, &(struct store_model_spec){ .pages = 4, .swap = true });

	assert_int_equal(fixture_transfer(&f->book, RUN(f, swap, STORE_WRITE, 3, 0, 2)), -EIO);
	assert_int_equal(f->book.answers[0].err, 0);
	assert_int_equal(f->book.answers[1].err, -EIO);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, swap, STORE_READ, 4, 0, 1)), -EIO);
	assert_int_equal(swap->ops->truncate(swap, &f->t, 9), -EINVAL);
	assert_int_equal(store_model_load(swap, 4, NULL, 0), -EIO);
	swap->ops->close(swap);
	struct store *file = open_model(f, &(struct store_model_spec){ .pages = 4 });
	fixture_fill(&f->hw, 0, 100000, 1);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, file, STORE_WRITE, 100000, 0, 1)), 0);
	file->ops->geometry(file, &geometry);
	assert_true(geometry.grows);
	assert_int_equal(geometry.pages, 100001);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, file, STORE_READ, 100000, 1, 2)), 0);
	assert_true(fixture_matches(&f->hw, 1, 100000, 1));
	assert_true(fixture_matches(&f->hw, 2, 100001, 0));
	assert_int_equal(fixture_transfer(&f->book,
					  RUN(f, file, STORE_WRITE, UINT64_MAX - 1, 0, 1)),
			 -ENOSPC);
	/* Cut and extended again, what was cut is gone. */
	assert_int_equal(file->ops->truncate(file, &f->t, 5), 0);
	assert_int_equal(file->ops->truncate(file, &f->t, 200000), 0);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, file, STORE_READ, 100000, 1, 1)), 0);
	assert_true(fixture_matches(&f->hw, 1, 100000, 0));
	file->ops->close(file);
}

static void test_load_look_and_discard(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_model(f, &(struct store_model_spec){ .pages = 40000 });
	char page[NEAP_PAGE_BYTES];
	uint64_t tag = 99;

	for (uint64_t p = 16380; p < 16390; p++) { /* across a chunk */
		memset(page, (int)(p & 0x7f), sizeof(page));
		assert_int_equal(store_model_load(store, p, page, p), 0);
	}
	store->ops->discard(store, &f->t, 16382, 5);
	store->ops->discard(store, &f->t, 39000, UINT64_MAX);
	for (uint64_t p = 16380; p < 16390; p++) {
		bool gone = p >= 16382 && p < 16387;

		assert_int_equal(store_model_read_page(store, p, page, &tag), 0);
		if (f->hw.tags != NULL)
			assert_int_equal(tag, gone ? 0 : p);
		else
			assert_int_equal(page[4095], gone ? 0 : (char)(p & 0x7f));
	}
	assert_int_equal(store_model_load(store, 16380, NULL, 0), 0);
	assert_int_equal(store_model_read_page(store, 16380, page, &tag), 0);
	assert_true(f->hw.tags != NULL ? tag == 0 : page[0] == 0);
	store->ops->close(store);
}

static void test_backing_file(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/store-test-XXXXXX";
	int fd = mkstemp(path);
	struct store_geometry geometry;
	char byte = 0;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 5000), 0);
	assert_int_equal(pwrite(fd, "tail", 4, 4996), 4);
	struct store *store = open_model(f, &(struct store_model_spec){ .backing_path = path });
	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 2);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 0, 1)), 0);
	assert_memory_equal(fixture_frame(&f->hw, 0) + 900, "tail", 4);
	assert_int_equal(fixture_frame(&f->hw, 0)[905], 0);
	memset(fixture_frame(&f->hw, 0), 'z', (size_t)3 * NEAP_PAGE_BYTES);
	store->ops->discard(store, &f->t, 0, 2); /* must not touch a file of the user's */
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 1)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 5000);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 2)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 3 * NEAP_PAGE_BYTES);
	assert_int_equal(pread(fd, &byte, 1, 6000), 1);
	assert_int_equal(byte, 'z');
	assert_int_equal(store->ops->truncate(store, &f->t, 1), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), NEAP_PAGE_BYTES);
	store->ops->close(store);
	assert_int_equal(unlink(path), 0);
	close(fd);
}

/* ---- refusals ---- */

static void refuse(struct fixture *f, const struct store_model_spec *spec, int ret)
{
	struct store *store;

	assert_int_equal(store_model_open(f->host, spec, &store), ret);
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct fixture_rt *live = calloc(1, sizeof(*live));
	struct store_host *host;

	assert_non_null(live);
	fixture_rt_live(live);
	assert_int_equal(store_model_host_create(&f->hw.hw, &live->rt, &host), -ENOTSUP);
	free(live);
	refuse(f, &(struct store_model_spec){ .pages = 1, .swap = true }, -EINVAL);
	refuse(f, &(struct store_model_spec){ .pages = 9, .cost = { .depth = 257 } }, -EINVAL);
	refuse(f, &(struct store_model_spec){ .pages = 9, .cost = { .jitter_permille = 1001 } },
	       -EINVAL);
	refuse(f, &(struct store_model_spec){ .pages = 9, .backing_path = "/nonexistent/x" },
	       f->hw.tags != NULL ? -EINVAL : -ENOENT);
	refuse(f, &(struct store_model_spec){ .pages = 9, .backing_path = "/dev/null" }, -EINVAL);
	if (f->hw.tags != NULL)
		refuse(f, &(struct store_model_spec){ .pages = 9, .real_contents = true }, -EINVAL);
}

/* ---- property ---- */

static void property(struct fixture *f, const struct store_model_spec *spec)
{
	struct fixture_exerciser *ex = calloc(1, sizeof(*ex));
	struct store *store = open_model(f, spec);

	assert_non_null(ex);
	fixture_exerciser_attach(store);
	ex->store = store;
	ex->t = &f->t;
	ex->hw = &f->hw;
	ex->first_page = 16000; /* two chunks */
	ex->nr_pages = 1000;
	fixture_exerciser_init(ex, fixture_seed());
	fixture_exerciser_run(ex, 500);
	fixture_exerciser_check_all(ex);
	store->ops->close(store);
	free(ex);
}

static void test_property(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/store-test-XXXXXX";
	struct store_model_spec spec = {
		.pages = 20000,
		.swap = true,
		.rotational = true,
		.cost = { .latency_ns = 50000,
			  .depth = 4,
			  .iops = 5000,
			  .bytes_per_s = 100 * MIB,
			  .seek_ns = 100000,
			  .jitter_permille = 300 },
	};

	property(f, &spec);
	spec.synchronous = true;
	property(f, &spec);
	if (f->hw.tags != NULL)
		return;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	spec = (struct store_model_spec){ .backing_path = path, .cost = { .latency_ns = 100 } };
	property(f, &spec);
	assert_int_equal(unlink(path), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup_tags, teardown)
#define REAL(fn) cmocka_unit_test_setup_teardown(fn, setup_real, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_latency_and_depth),
		TEST(test_adjacent_pages_merge),
		TEST(test_throttle),
		TEST(test_bandwidth_is_shared),
		TEST(test_seek),
		TEST(test_jitter_is_the_seeds),
		TEST(test_device_is_shared),
		TEST(test_sync_waits_for_the_queue),
		TEST(test_synchronous),
		TEST(test_no_timer),
		TEST(test_write_takes_read_gives_late),
		TEST(test_explored_write_takes_late),
		REAL(test_write_takes_read_gives_late),
		TEST(test_bounds),
		REAL(test_bounds),
		TEST(test_load_look_and_discard),
		REAL(test_load_look_and_discard),
		REAL(test_backing_file),
		TEST(test_refusals),
		REAL(test_refusals),
		TEST(test_property),
		REAL(test_property),
	};

	return cmocka_run_group_tests_name("store_model", tests, NULL, NULL);
}
