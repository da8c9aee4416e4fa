/*
 * How files and swap areas are made, found, checked, locked and left behind.
 * Nothing here does I/O through the engine; test_store_file_io.c does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/file.h"
#include "store_fixture.h"

struct fixture {
	char dir[64];
	char path[96]; /* DIR/area */
	char err[256];
	struct fixture_hw hw;
	struct fixture_rt rt;
	struct task t;
	struct store_host *host;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct store_file_host_options opt = { .no_uring = true };

	assert_non_null(f);
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/store-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/area", f->dir);
	fixture_hw_init(&f->hw, 8, false);
	fixture_rt_live(&f->rt);
	fixture_task(&f->rt, &f->t, 1, 0);
	assert_int_equal(store_file_host_create(&f->hw.hw, &opt, &f->host), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->host->ops->destroy(f->host);
	fixture_hw_free(&f->hw);
	(void)unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0); /* also: no test leaves a file behind */
	free(f);
	return 0;
}

static int open_spec(struct fixture *f, const struct store_file_spec *spec, struct store **out)
{
	memset(f->err, 'x', sizeof(f->err));
	int ret = store_file_open(f->host, spec, f->err, sizeof(f->err), out);

	assert_non_null(memchr(f->err, '\0', sizeof(f->err)));
	return ret;
}

static struct store *open_good(struct fixture *f, const struct store_file_spec *spec)
{
	struct store *store = NULL;

	if (open_spec(f, spec, &store) != 0)
		fail_msg("%s", f->err);
	return store;
}

static void open_bad(struct fixture *f, const struct store_file_spec *spec, int ret,
		     const char *what)
{
	struct store *store = NULL;

	assert_int_equal(open_spec(f, spec, &store), ret);
	if (strstr(f->err, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", f->err, what);
}

static uint32_t nr_entries(const char *path)
{
	DIR *dir = opendir(path);
	uint32_t nr = 0;

	assert_non_null(dir);
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
		nr += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(dir);
	return nr;
}

static void write_file(const char *path, const void *data, size_t bytes, off_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void assert_private(const struct store *store, uint64_t pages)
{
	struct stat st;

	assert_int_equal(fstat(store_file_fd(store), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, pages * NEAP_PAGE_BYTES);
	assert_true(fcntl(store_file_fd(store), F_GETFD) & FD_CLOEXEC);
}

static void assert_private_and_sparse(const struct store *store, uint64_t pages)
{
	struct stat st;

	assert_private(store, pages);
	assert_int_equal(fstat(store_file_fd(store), &st), 0);
	assert_true(st.st_blocks * 512 <= 16384);
}

static void temporary_with(struct fixture *f, bool no_tmpfile)
{
	struct store_geometry geometry;
	struct store *store;
	struct stat st;
	mode_t mask = umask(0777);

	store = open_good(f, &(struct store_file_spec){
				     .dir = f->dir, .pages = 1 << 18, .no_tmpfile = no_tmpfile });
	umask(mask);
	assert_int_equal(nr_entries(f->dir), 0);
	assert_private_and_sparse(store, 1 << 18);
	assert_int_equal(fstat(store_file_fd(store), &st), 0);
	assert_int_equal(st.st_nlink, 0);
	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 1 << 18);
	assert_true(geometry.grows && geometry.stable_writes);
	assert_false(geometry.rotational || geometry.synchronous);
	store->ops->close(store);
}

static void test_temporary(void **state)
{
	temporary_with(*state, false);
}

static void test_temporary_without_tmpfile(void **state)
{
	temporary_with(*state, true);
}

static void test_temporary_survives_nothing(void **state)
{
	struct fixture *f = *state;
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct store *store;
		int ret = store_file_open(
			f->host,
			&(struct store_file_spec){ .dir = f->dir, .pages = 64, .swap = true },
			f->err, sizeof(f->err), &store);

		if (ret == 0)
			(void)kill(getpid(), SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(nr_entries(f->dir), 0);
}

static void test_no_directory(void **state)
{
	open_bad(*state, &(struct store_file_spec){ .dir = "/nonexistent/dir", .pages = 1 },
		 -ENOENT, "/nonexistent/dir");
	open_bad(*state,
		 &(struct store_file_spec){ .path = "/nonexistent/x", .create = true, .pages = 1 },
		 -ENOENT, "/nonexistent/x");
	open_bad(*state, &(struct store_file_spec){ .path = "/nonexistent/x" }, -ENOENT,
		 "cannot open");
}

static void test_named_new(void **state)
{
	struct fixture *f = *state;
	const struct store_file_spec spec = { .path = f->path, .create = true, .pages = 100 };
	struct store *store = open_good(f, &spec);

	assert_private_and_sparse(store, 100);
	open_bad(f, &spec, -EEXIST, "exists already");
	assert_int_equal(access(f->path, F_OK), 0); /* refusing removes nothing */
	store->ops->close(store);
	assert_int_equal(access(f->path, F_OK), -1); /* made here, not kept */
}

static void test_named_kept(void **state)
{
	struct fixture *f = *state;
	struct store_file_spec spec = {
		.path = f->path, .create = true, .pages = 100, .keep = true
	};
	struct store *store = open_good(f, &spec);

	store->ops->close(store);
	assert_int_equal(access(f->path, F_OK), 0);
	/* An existing file is kept in any case. */
	spec = (struct store_file_spec){ .path = f->path };
	store = open_good(f, &spec);
	store->ops->close(store);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void test_replaced_file_is_not_removed(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_good(
		f, &(struct store_file_spec){ .path = f->path, .create = true, .pages = 1 });

	assert_int_equal(unlink(f->path), 0);
	write_file(f->path, "mine", 4, 4);
	store->ops->close(store);
	assert_int_equal(access(f->path, F_OK), 0);
}

static void test_existing_plain(void **state)
{
	struct fixture *f = *state;
	struct store_geometry geometry;
	struct store *store;

	write_file(f->path, "hello", 5, 5000);
	store = open_good(f, &(struct store_file_spec){ .path = f->path });
	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 2);
	/* Someone else's contents are never punched out. */
	store->ops->discard(store, &f->t, 0, 2);
	char buf[5];
	assert_int_equal(pread(store_file_fd(store), buf, 5, 0), 5);
	assert_memory_equal(buf, "hello", 5);
	store->ops->close(store);
}

static void test_strange_kinds(void **state)
{
	struct fixture *f = *state;

	open_bad(f, &(struct store_file_spec){ .path = "/dev/null" }, -EINVAL, "neither");
	open_bad(f, &(struct store_file_spec){ .path = f->dir }, -EISDIR, "cannot open");
	open_bad(f, &(struct store_file_spec){ .path = f->dir, .read_only = true }, -EINVAL,
		 "neither");
	assert_int_equal(mkfifo(f->path, 0600), 0);
	open_bad(f, &(struct store_file_spec){ .path = f->path, .read_only = true }, -EINVAL,
		 "neither"); /* and does not wait for a writer */
}

static void test_contradictions(void **state)
{
	struct fixture *f = *state;

	open_bad(f, &(struct store_file_spec){ .pages = 1, .read_only = true }, -EINVAL,
		 "read-only");
	open_bad(f, &(struct store_file_spec){ .path = f->path, .swap = true, .read_only = true },
		 -EINVAL, "read-only");
	open_bad(f, &(struct store_file_spec){ .pages = 1, .swap = true }, -EINVAL, "2 pages");
	open_bad(f, &(struct store_file_spec){ .path = f->path, .pages = 1, .swap = true }, -EINVAL,
		 "2 pages");
	open_bad(f, &(struct store_file_spec){ .pages = ((uint64_t)1 << 32) + 1, .swap = true },
		 -EFBIG, "ask for less");
	open_bad(f, &(struct store_file_spec){ .pages = UINT64_MAX }, -EFBIG, "ask for less");
	assert_int_equal(nr_entries(f->dir), 0);
}

/* ---- swap areas ---- */

static struct store_file_spec swap_spec(const struct fixture *f, uint64_t pages, bool create)
{
	return (struct store_file_spec){
		.path = f->path, .swap = true, .pages = pages, .create = create, .keep = true
	};
}

static void assert_area(const struct store *store, uint64_t last, uint32_t nr_bad)
{
	struct swap_header_info info;

	assert_int_equal(store_file_swap_info(store, &info), 0);
	assert_int_equal(info.last_page, last);
	assert_int_equal(info.nr_bad, nr_bad);
}

static void test_swap_made_and_found(void **state)
{
	struct fixture *f = *state;
	struct store_file_spec spec = swap_spec(f, 500, true);
	struct store_geometry geometry;
	struct store *store = open_good(f, &spec);

	assert_area(store, 499, 0);
	assert_private(store, 500);
	open_bad(f, &spec, -EBUSY, "in use"); /* a second machine */
	store->ops->close(store);
	/* Found again, with and without `create`, whole or in part. */
	store = open_good(f, &spec);
	store->ops->close(store);
	spec = swap_spec(f, 0, false);
	store = open_good(f, &spec);
	assert_area(store, 499, 0);
	store->ops->close(store);
	spec = swap_spec(f, 100, false);
	store = open_good(f, &spec);
	assert_area(store, 99, 0);
	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 100);
	assert_false(geometry.grows);
	assert_int_equal(store->ops->truncate(store, &f->t, 200), -EINVAL);
	store->ops->close(store);
	spec = swap_spec(f, 501, false);
	open_bad(f, &spec, -EINVAL, "500 pages and 501 were asked for");
	assert_int_equal(access(f->path, F_OK), 0);
}

/* A swap file with a name has its blocks from the start: a disk that is too small refuses it. */
static void test_swap_larger_than_its_disk(void **state)
{
	struct fixture *f = *state;
	struct store_file_spec spec = swap_spec(f, UINT32_MAX, true);
	struct statvfs fs;

	assert_int_equal(statvfs(f->dir, &fs), 0);
	if ((uint64_t)fs.f_bavail * fs.f_frsize >= (uint64_t)UINT32_MAX << NEAP_PAGE_SHIFT)
		skip(); /* 16 TiB */
	open_bad(f, &spec, -ENOSPC, "16777215 MiB do not fit onto its disk");
	assert_int_equal(nr_entries(f->dir), 0);
	/* One without a name may be larger: nobody knows how much of it is going to be used. */
	spec.path = NULL;
	spec.dir = f->dir;
	struct store *store = open_good(f, &spec);

	store->ops->close(store);
}

static void test_swap_info_of_plain(void **state)
{
	struct fixture *f = *state;
	struct swap_header_info info;
	struct store *store = open_good(f, &(struct store_file_spec){ .dir = f->dir, .pages = 4 });

	assert_int_equal(store_file_swap_info(store, &info), -EINVAL);
	store->ops->close(store);
}

static void test_swap_refuses_strangers(void **state)
{
	static const uint8_t uuid[16];
	struct fixture *f = *state;
	struct store_file_spec found = swap_spec(f, 0, false);
	struct store_file_spec made = swap_spec(f, 50, true);
	char page[NEAP_PAGE_BYTES] = "my only copy";

	/* Somebody's data: refused, and still there. */
	write_file(f->path, page, sizeof(page), 100 * NEAP_PAGE_BYTES);
	open_bad(f, &found, -EINVAL, "not a neap swap file");
	open_bad(f, &made, -EINVAL, "not a neap swap file");
	write_file(f->path, "", 0, 0);
	open_bad(f, &made, -EINVAL, "not a neap swap file");
	/* Another system's swap file. */
	swap_header_write(page, 100, uuid);
	memcpy(page + 1052, "debian", 7);
	write_file(f->path, page, sizeof(page), 100 * NEAP_PAGE_BYTES);
	open_bad(f, &found, -EINVAL, "labelled \"debian\"");
	/* Ours, with a bad page list that is wrong, then right. */
	swap_header_write(page, 100, uuid);
	memcpy(page + 1032, &(uint32_t){ 1 }, 4);
	memcpy(page + 1536, &(uint32_t){ 100 }, 4);
	write_file(f->path, page, sizeof(page), 100 * NEAP_PAGE_BYTES);
	open_bad(f, &found, -EINVAL, "beyond its end");
	memcpy(page + 1536, &(uint32_t){ 77 }, 4);
	write_file(f->path, page, sizeof(page), 100 * NEAP_PAGE_BYTES);
	struct store *store = open_good(f, &found);
	struct swap_header_info info;
	assert_int_equal(store_file_swap_info(store, &info), 0);
	assert_int_equal(info.nr_bad, 1);
	assert_int_equal(info.bad[0], 77);
	store->ops->close(store);
	/* A file cut short: the area ends where the file does, and so does its list. */
	assert_int_equal(truncate(f->path, 60 * NEAP_PAGE_BYTES), 0);
	store = open_good(f, &found);
	assert_area(store, 59, 0);
	store->ops->close(store);
}

static void test_swap_temporary(void **state)
{
	struct fixture *f = *state;
	struct store *store = open_good(
		f, &(struct store_file_spec){ .dir = f->dir, .swap = true, .pages = 1000 });

	assert_area(store, 999, 0);
	assert_int_equal(nr_entries(f->dir), 0);
	store->ops->close(store);
}

static void test_load(void **state)
{
	struct fixture *f = *state;
	struct store *store =
		open_good(f, &(struct store_file_spec){ .dir = f->dir, .swap = true, .pages = 10 });
	char page[NEAP_PAGE_BYTES];
	char back[NEAP_PAGE_BYTES];

	memset(page, 7, sizeof(page));
	assert_int_equal(store_file_load(store, 9, page), 0);
	assert_int_equal(store_file_load(store, 10, page), -EIO);
	assert_int_equal(pread(store_file_fd(store), back, sizeof(back), 9 * NEAP_PAGE_BYTES),
			 NEAP_PAGE_BYTES);
	assert_memory_equal(page, back, sizeof(page));
	/* What is discarded reads as zeroes, if the file system can. */
	store->ops->discard(store, &f->t, 9, 1000);
	store->ops->discard(store, &f->t, 1000, 1);
	assert_int_equal(store->ops->sync(store, &f->t), 0);
	store->ops->close(store);
}

/* ---- block devices: only where loop devices can be had ---- */

static int loop_attach(const char *path, char *name, size_t name_bytes)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(path, O_RDWR | O_CLOEXEC);
	int nr = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
	int loop = -1;

	(void)snprintf(name, name_bytes, "/dev/loop%d", nr);
	if (nr >= 0 && backing >= 0)
		loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_SET_FD, backing) != 0) {
		close(loop);
		loop = -1;
	}
	if (control >= 0)
		close(control);
	if (backing >= 0)
		close(backing);
	return loop;
}

static void test_block_device(void **state)
{
	static const uint8_t uuid[16];
	struct fixture *f = *state;
	char page[NEAP_PAGE_BYTES] = { 0 };
	struct store_geometry geometry;
	char name[32];

	write_file(f->path, page, sizeof(page), 256 * NEAP_PAGE_BYTES);
	int loop = loop_attach(f->path, name, sizeof(name));
	if (loop < 0)
		skip();
	const struct store_file_spec spec = { .path = name, .swap = true };
	open_bad(f, &spec, -EINVAL, "run mkswap");
	swap_header_write(page, 200, uuid);
	memcpy(page + 1052, "other", 6); /* whoever ran mkswap on a device meant it */
	assert_int_equal(pwrite(loop, page, sizeof(page), 0), NEAP_PAGE_BYTES);
	struct store *store = open_good(f, &spec);
	assert_area(store, 199, 0);
	store->ops->geometry(store, &geometry);
	assert_int_equal(geometry.pages, 200);
	assert_false(geometry.grows);
	open_bad(f, &spec, -EBUSY, "in use");
	store->ops->discard(store, &f->t, 1, 10);
	store->ops->close(store);
	assert_int_equal(ioctl(loop, LOOP_CLR_FD), 0);
	close(loop);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_temporary),
		TEST(test_temporary_without_tmpfile),
		TEST(test_temporary_survives_nothing),
		TEST(test_no_directory),
		TEST(test_named_new),
		TEST(test_named_kept),
		TEST(test_replaced_file_is_not_removed),
		TEST(test_existing_plain),
		TEST(test_strange_kinds),
		TEST(test_contradictions),
		TEST(test_swap_made_and_found),
		TEST(test_swap_larger_than_its_disk),
		TEST(test_swap_info_of_plain),
		TEST(test_swap_refuses_strangers),
		TEST(test_swap_temporary),
		TEST(test_load),
		TEST(test_block_device),
	};

	return cmocka_run_group_tests_name("store_file", tests, NULL, NULL);
}
