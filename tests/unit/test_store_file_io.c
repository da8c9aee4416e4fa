/*
 * Reads and writes through store/file, with io_uring and without: contents, ends
 * of files, errors of single pages, full disks, full request pools, threads.
 * Every test runs on both hosts; where the kernel has no io_uring the two are equal.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "store/file.h"
#include "store/transfer.h"
#include "store_fixture.h"

#define NR_THREADS 3u
#define NR_FRAMES 1024u

struct fixture {
	struct fixture_hw hw;
	struct fixture_rt rt;
	struct task t;
	struct store_host *host;
	struct fixture_reaper reaper;
	struct fixture_book book;
	uint32_t nr_warnings;
	bool no_uring;
};

static void warned(void *ctx, const char *message)
{
	struct fixture *f = ctx;

	print_message("warning: %s\n", message);
	f->nr_warnings++;
}

static int setup_with(void **state, bool no_uring)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct store_file_host_options opt = {
		.no_uring = no_uring, .warn = warned, .warn_ctx = f, .nr_slots = FIXTURE_CPUS
	};

	assert_non_null(f);
	f->no_uring = no_uring;
	fixture_hw_init(&f->hw, NR_FRAMES, false);
	fixture_rt_live(&f->rt);
	fixture_task(&f->rt, &f->t, 1, 0);
	assert_int_equal(store_file_host_create(&f->hw.hw, &opt, &f->host), 0);
	assert_int_equal(f->host->needs_reaper, store_file_host_uring(f->host));
	fixture_reaper_start(&f->reaper, &f->rt, f->host);
	*state = f;
	return 0;
}

static int setup_uring(void **state)
{
	return setup_with(state, false);
}

static int setup_plain(void **state)
{
	return setup_with(state, true);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fixture_reaper_stop(&f->reaper);
	f->host->ops->destroy(f->host);
	fixture_hw_free(&f->hw);
	free(f);
	return 0;
}

static struct store *open_file(struct fixture *f, uint64_t pages, bool swap)
{
	struct store *store = NULL;
	char err[200];

	if (store_file_open(f->host, &(struct store_file_spec){ .pages = pages, .swap = swap }, err,
			    sizeof(err), &store) != 0)
		fail_msg("%s", err);
	fixture_book_attach(&f->book, store);
	return store;
}

#define RUN(f, the_store, the_op, first, frame, number, the_flags)                                 \
	(&(struct fixture_run){ .store = (the_store),                                              \
				.t = &(f)->t,                                                      \
				.op = (the_op),                                                    \
				.flags = (the_flags),                                              \
				.page = (first),                                                   \
				.pfn = (frame),                                                    \
				.nr = (number) })

static void fill(struct fixture *f, uint32_t pfn, uint64_t page, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		fixture_fill(&f->hw, pfn + i, page + i, 1);
}

/* ---- contents ---- */

static void test_write_and_read(void **state)
{
	static const uint32_t flags[] = { 0, STORE_OWN };
	struct fixture *f = *state;
	struct store *store = open_file(f, 512, true);

	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		fill(f, 0, 1, 300); /* more than fits one transfer */
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, store, STORE_WRITE, 1, 0, 300, flags[i])),
				 0);
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, store, STORE_READ, 1, 400, 300, flags[i])),
				 0);
		for (uint32_t p = 0; p < 300; p++)
			assert_true(fixture_matches(&f->hw, 400 + p, 1 + p, 1));
	}
	store->ops->submit(store, &f->t, STORE_READ, NULL, 0, 0);
	assert_int_equal(store->ops->sync(store, &f->t), 0);
	store->ops->close(store);
}

static void test_outside_a_swap_area(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 8, true);

	for (uint32_t flags = 0; flags <= STORE_OWN; flags++) {
		fill(f, 0, 6, 4);
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, store, STORE_WRITE, 6, 0, 4, flags)),
				 -EIO);
		assert_int_equal(f->book.answers[1].err, 0);
		assert_int_equal(f->book.answers[2].err, -EIO);
		assert_int_equal(f->book.answers[3].err, -EIO);
		assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ,
								UINT64_MAX - 1, 0, 1, flags)),
				 -EIO);
	}
	store->ops->close(store);
}

static void test_holes_and_ends(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 4, false);
	struct store_geometry geometry;

	memset(fixture_frame(&f->hw, 0), 0x55, (size_t)8 * NEAP_PAGE_BYTES);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 0, 0, 8, STORE_OWN)),
			 0);
	for (uint32_t p = 0; p < 8; p++)
		assert_true(fixture_matches(&f->hw, p, p, 0));
	/* A write behind the end extends the file. */
	fill(f, 0, 9, 1);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 9, 0, 1, 0)), 0);
	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 10);
	assert_int_equal(store->ops->truncate(store, &f->t, 9), 0);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 9, 1, 1, 0)), 0);
	assert_true(fixture_matches(&f->hw, 1, 9, 0));
	assert_int_equal(store->ops->truncate(store, &f->t, UINT64_MAX), -EFBIG);
	store->ops->close(store);
}

/* A file of 5000 bytes: its last page is read with zeroes behind, and stays 5000 bytes long. */
static void test_file_that_is_not_whole_pages(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/store-test-XXXXXX";
	int fd = mkstemp(path);
	struct store *store;
	char err[200];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 5000), 0);
	assert_int_equal(pwrite(fd, "tail", 4, 4996), 4);
	assert_int_equal(store_file_open(f->host, &(struct store_file_spec){ .path = path }, err,
					 sizeof(err), &store),
			 0);
	fixture_book_attach(&f->book, store);
	memset(fixture_frame(&f->hw, 0), 0x55, (size_t)2 * NEAP_PAGE_BYTES);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 0, 0, 2, 0)), 0);
	const char *last = fixture_frame(&f->hw, 1);
	assert_memory_equal(last + 4996 - 4096, "tail", 4);
	for (uint32_t i = 5000 - 4096; i < NEAP_PAGE_BYTES; i++)
		assert_int_equal(last[i], 0);
	memset(fixture_frame(&f->hw, 0), 'z', (size_t)4 * NEAP_PAGE_BYTES);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 0, 0, 2, 0)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 5000);
	assert_int_equal(store->ops->truncate(store, &f->t, 2), 0); /* as many pages as it has */
	assert_int_equal(lseek(fd, 0, SEEK_END), 5000);
	/* Extended in one submit, page 1 is not the last one any more and is written whole. */
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 0, 0, 3, 0)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 3 * NEAP_PAGE_BYTES);
	char byte = 0;
	assert_int_equal(pread(fd, &byte, 1, 6000), 1);
	assert_int_equal(byte, 'z');
	store->ops->close(store);
	assert_int_equal(unlink(path), 0);
	close(fd);
}

/* ---- errors ---- */

/* Puts another file behind a store. */
static void swap_descriptor(const struct store *store, const char *path, int access)
{
	int fd = open(path, access | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(dup2(fd, store_file_fd(store)), store_file_fd(store));
	close(fd);
}

/*
 * Eight pages of memory, of which page 3 cannot be accessed: it maps a file behind
 * its end. (A hole would not do: the next mapping, such as a ring, would land in it.)
 */
static char *memory_with_a_bad_page(void)
{
	int empty = memfd_create("neap-test", MFD_CLOEXEC);
	char *memory = mmap(NULL, 8 * NEAP_PAGE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(empty >= 0 && memory != MAP_FAILED);
	char *bad = mmap(memory + 3 * NEAP_PAGE_BYTES, NEAP_PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, empty, 0);
	assert_ptr_equal(bad, memory + 3 * NEAP_PAGE_BYTES);
	close(empty);
	return memory;
}

/* The process's own memory as a file. */
static void test_one_bad_page(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 4, false);
	char *memory = memory_with_a_bad_page();

	swap_descriptor(store, "/proc/self/mem", O_RDWR);
	for (uint32_t flags = 0; flags <= STORE_OWN; flags++) {
		uint64_t first = (uint64_t)(uintptr_t)memory >> NEAP_PAGE_SHIFT;

		fill(f, 0, 0, 8);
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, store, STORE_WRITE, first, 0, 8, flags)),
				 -EIO);
		for (uint32_t i = 0; i < 8; i++)
			assert_int_equal(f->book.answers[i].err, i == 3 ? -EIO : 0);
		assert_memory_equal(memory + 7 * NEAP_PAGE_BYTES, fixture_frame(&f->hw, 7),
				    NEAP_PAGE_BYTES);
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, store, STORE_READ, first, 100, 8, flags)),
				 -EIO);
		for (uint32_t i = 0; i < 8; i++) {
			assert_int_equal(f->book.answers[i].err, i == 3 ? -EIO : 0);
			assert_true(i == 3 || fixture_matches(&f->hw, 100 + i, i, 1));
		}
	}
	store->ops->close(store);
	munmap(memory, 8 * NEAP_PAGE_BYTES);
}

static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 16, true);

	swap_descriptor(store, "/dev/full", O_RDWR);
	for (uint32_t flags = 0; flags <= STORE_OWN; flags++) {
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, store, STORE_WRITE, 1, 0, 5, flags)),
				 -ENOSPC);
		for (uint32_t i = 0; i < 5; i++)
			assert_int_equal(f->book.answers[i].err, -ENOSPC);
	}
	assert_int_equal(store_file_load(store, 1, fixture_frame(&f->hw, 0)), -ENOSPC);
	assert_int_equal(store->ops->sync(store, &f->t), -EINVAL); /* passed on, not hidden */
	store->ops->close(store);
}

static void test_descriptor_that_cannot_write(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 16, true);

	swap_descriptor(store, "/dev/zero", O_RDONLY);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 5, 0)), -EIO);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 0, 5, 0)), 0);
	store->ops->close(store);
}

/* A limit on file sizes in the middle of a run: the pages below it are written. */
static void test_file_size_limit(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 4, false);
	struct rlimit old;
	struct rlimit limit;
	sighandler_t handler = signal(SIGXFSZ, SIG_IGN);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = (rlim_t)6 * NEAP_PAGE_BYTES + 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	fill(f, 0, 0, 9);
	int ret = fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 0, 0, 9, 0));
	int own = fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 0, 0, 9, STORE_OWN));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	(void)signal(SIGXFSZ, handler);
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(own, -ENOSPC);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(f->book.answers[i].err, i < 6 ? 0 : -ENOSPC);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 0, 100, 6, 0)), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_true(fixture_matches(&f->hw, 100 + i, i, 1));
	store->ops->close(store);
}

/* However much of a run the kernel says it has moved, the rest gets done. */
static void test_transfer_continues(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 16, false);
	size_t moved[] = { 0, 1, 4095, 4096, 4097, 5 * 4096, 8 * 4096 - 1, 8 * 4096 };

	fill(f, 0, 0, 8);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 0, 0, 8, 0)), 0);
	for (size_t m = 0; m < ARRAY_LEN(moved); m++) {
		struct transfer run = { .fd = store_file_fd(store),
					.op = STORE_READ,
					.nr_pages = 8 };

		memset(fixture_frame(&f->hw, 100), 0x55, (size_t)8 * NEAP_PAGE_BYTES);
		for (uint32_t i = 0; i < 8; i++)
			run.iov[i] =
				(struct iovec){ fixture_frame(&f->hw, 100 + i), NEAP_PAGE_BYTES };
		assert_int_equal(transfer_bytes(&run), 8 * NEAP_PAGE_BYTES);
		transfer_finish(&run, moved[m]);
		for (uint32_t i = 0; i < 8; i++) {
			assert_int_equal(run.err[i], 0);
			assert_int_equal(fixture_matches(&f->hw, 100 + i, i, 1),
					 i >= moved[m] / NEAP_PAGE_BYTES);
		}
	}
	store->ops->close(store);
}

/* ---- the host ---- */

static void test_tags_are_refused(void **state)
{
	struct fixture_hw hw;
	struct store_host *host;
	const struct store_file_host_options opt = { .no_uring = true };

	(void)state;
	fixture_hw_init(&hw, 1, true);
	assert_int_equal(store_file_host_create(&hw.hw, &opt, &host), -EINVAL);
	fixture_hw_free(&hw);
}

/* No descriptors left for a ring: the host works all the same, and says so once. */
static void test_no_ring_warns_once(void **state)
{
	struct fixture *f = *state;
	struct fixture other = { .nr_warnings = 0 };
	const struct store_file_host_options opt = { .warn = warned,
						     .warn_ctx = &other,
						     .nr_slots = FIXTURE_CPUS };
	int spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct store_host *mine = f->host;
	struct rlimit old;

	assert_true(spare >= 0);
	close(spare);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	struct rlimit limit = old;
	limit.rlim_cur = (rlim_t)spare + 1; /* room for the eventfd and no more */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	int ret = store_file_host_create(&f->hw.hw, &opt, &f->host);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, 0);
	assert_int_equal(other.nr_warnings, 1);
	assert_false(f->host->needs_reaper || store_file_host_uring(f->host));
	struct store *store = open_file(f, 16, true);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 0, 9, 0)), 0);
	assert_int_equal(fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 0, 9, STORE_OWN)),
			 0);
	store->ops->close(store);
	assert_int_equal(other.nr_warnings, 1);
	f->host->ops->kick(f->host);
	assert_int_equal(f->host->ops->reap(f->host, &f->t), 0);
	f->host->ops->destroy(f->host);
	f->host = mine;
}

/* The same for the ring of a slot: own requests complete inside submit. */
static void test_no_own_ring(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 64, true);
	struct rlimit old;
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	limit = old;
	limit.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fill(f, 0, 1, 40);
	int ret = fixture_transfer(&f->book, RUN(f, store, STORE_WRITE, 1, 0, 40, STORE_OWN));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(ret, 0);
	assert_int_equal(
		fixture_transfer(&f->book, RUN(f, store, STORE_READ, 1, 100, 40, STORE_OWN)), 0);
	assert_true(fixture_matches(&f->hw, 139, 40, 1));
	assert_int_equal(f->nr_warnings, f->no_uring ? 0 : 1);
	store->ops->close(store);
}

/* Several own submits of one task before one wait; another task of the slot in between. */
static void test_own_submits_add_up(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 512, true);
	struct task other;

	fixture_task(&f->rt, &other, 2, 0);
	for (uint32_t round = 0; round < 20; round++) {
		const struct store_page scattered[] = {
			{ .offset = 400, .cookie = 100, .pfn = 0 },
			{ .offset = 300, .cookie = 101, .pfn = 1 },
			{ .offset = 301, .cookie = 102, .pfn = 2 },
		};
		fixture_book_attach(&f->book, store);
		fixture_submit(&f->book, RUN(f, store, STORE_READ, 1, 10, 90, STORE_OWN));
		store->ops->submit(store, &f->t, STORE_READ, scattered, 3, STORE_OWN);
		/* The slot's ring is held now, if there is one. */
		store->ops->submit(store, &other, STORE_READ,
				   &(struct store_page){ .offset = 9, .cookie = 200, .pfn = 5 }, 1,
				   STORE_OWN);
		assert_int_equal(atomic_load(&f->book.answers[200].times), 1);
		fixture_wait(&f->book, store, &f->t, 94);
	}
	store->ops->close(store);
}

static void test_kick(void **state)
{
	struct fixture *f = *state;

	if (!f->host->needs_reaper)
		skip();
	for (uint32_t i = 0; i < 1000; i++)
		f->host->ops->kick(f->host);
	/* A kick before reap() counts as well: teardown stops the reaper by one. */
	fixture_reaper_stop(&f->reaper);
	f->host->ops->kick(f->host);
	assert_int_equal(f->host->ops->reap(f->host, &f->t), 0);
	fixture_reaper_start(&f->reaper, &f->rt, f->host);
}

/* ---- threads ---- */

struct worker {
	struct fixture_exerciser ex;
	struct task t;
	pthread_t thread;
	uint32_t submits;
};

static void *worker_main(void *arg)
{
	struct worker *worker = arg;

	fixture_exerciser_run(&worker->ex, worker->submits);
	fixture_exerciser_check_all(&worker->ex);
	return NULL;
}

static void property(struct fixture *f, bool swap, uint32_t submits)
{
	uint64_t seed = fixture_seed();
	struct worker *workers = calloc(NR_THREADS, sizeof(*workers));
	struct store *store = open_file(f, 1 + NR_THREADS * 500, swap);

	assert_non_null(workers);
	fixture_exerciser_attach(store);
	for (uint32_t i = 0; i < NR_THREADS; i++) {
		struct worker *w = &workers[i];

		fixture_task(&f->rt, &w->t, 10 + i, i % 2); /* two share a slot */
		w->submits = submits;
		w->ex.store = store;
		w->ex.t = &w->t;
		w->ex.hw = &f->hw;
		w->ex.first_page = 1 + i * 500;
		w->ex.nr_pages = 500;
		w->ex.first_frame = i * FIXTURE_SLOTS;
		fixture_exerciser_init(&w->ex, seed + i);
		assert_int_equal(pthread_create(&w->thread, NULL, worker_main, w), 0);
	}
	for (uint32_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	store->ops->close(store);
	free(workers);
}

static void test_property_swap(void **state)
{
	property(*state, true, 150);
}

static void test_property_growing_file(void **state)
{
	property(*state, false, 100);
}

struct leaver {
	struct fixture *f;
	struct store *store;
	struct task t;
};

static void *leaver_main(void *arg)
{
	struct leaver *leaver = arg;
	const struct fixture_run run = {
		.store = leaver->store, .t = &leaver->t, .op = STORE_WRITE, .page = 1, .nr = 500
	};

	fixture_submit(&leaver->f->book, &run);
	return NULL;
}

/* A thread that ends right after its submit: its pages are written all the same. */
static void test_submitter_ends(void **state)
{
	struct fixture *f = *state;
	struct leaver leaver = { .f = f, .store = open_file(f, 512, true) };
	pthread_t thread;

	fixture_task(&f->rt, &leaver.t, 5, 1);
	for (uint64_t round = 1; round <= 20; round++) {
		for (uint32_t i = 0; i < 500; i++)
			fixture_fill(&f->hw, i, 1 + i, round);
		assert_int_equal(pthread_create(&thread, NULL, leaver_main, &leaver), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		fixture_wait(&f->book, leaver.store, &f->t, 500);
		assert_int_equal(fixture_transfer(&f->book,
						  RUN(f, leaver.store, STORE_READ, 1, 512, 500, 0)),
				 0);
		for (uint32_t i = 0; i < 500; i++)
			assert_true(fixture_matches(&f->hw, 512 + i, 1 + i, round));
	}
	leaver.store->ops->close(leaver.store);
}

/* More scattered pages than there are requests: submit waits, nothing is lost. */
static void test_pool_runs_dry(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_file(f, 8192, true);
	struct fixture_exerciser *ex = calloc(1, sizeof(*ex));
	struct store_page *pages = calloc(3000, sizeof(*pages));
	struct fixture_slot *slots = calloc(3000, sizeof(*slots));

	assert_true(ex != NULL && pages != NULL && slots != NULL);
	fixture_exerciser_attach(store);
	for (uint32_t i = 0; i < 3000; i++) {
		slots[i].owner = ex;
		pages[i] = (struct store_page){ .offset = 1 + 2 * i,
						.cookie = (uint64_t)(uintptr_t)&slots[i],
						.pfn = i % NR_FRAMES };
	}
	store->ops->submit(store, &f->t, STORE_WRITE, pages, 3000, 0);
	for (uint32_t seen = 0; seen < 3000; seen = atomic_load(&ex->answered))
		store->host->ops->wait(store->host, &f->t, &ex->answered, seen);
	for (uint32_t i = 0; i < 3000; i++) {
		assert_int_equal(atomic_load(&slots[i].times), 1);
		assert_int_equal(slots[i].err, 0);
	}
	store->ops->close(store);
	free(slots);
	free(pages);
	free(ex);
}

#define BOTH(fn)                                                                                   \
	cmocka_unit_test_setup_teardown(fn, setup_uring, teardown),                                \
		cmocka_unit_test_setup_teardown(fn, setup_plain, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_write_and_read),
		BOTH(test_outside_a_swap_area),
		BOTH(test_holes_and_ends),
		BOTH(test_file_that_is_not_whole_pages),
		BOTH(test_one_bad_page),
		BOTH(test_full_disk),
		BOTH(test_descriptor_that_cannot_write),
		BOTH(test_file_size_limit),
		BOTH(test_transfer_continues),
		BOTH(test_tags_are_refused),
		BOTH(test_no_ring_warns_once),
		BOTH(test_no_own_ring),
		BOTH(test_own_submits_add_up),
		BOTH(test_kick),
		BOTH(test_property_swap),
		BOTH(test_property_growing_file),
		BOTH(test_submitter_ends),
		BOTH(test_pool_runs_dry),
	};

	return cmocka_run_group_tests_name("store_file_io", tests, NULL, NULL);
}
