/*
 * Files through the public interface, live and simulated: bytes as a plain program
 * would have left them, growth, mappings beside reads and writes, errors of devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api_fixture.h"

#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return __LINE__;                                                           \
	} while (0)

#define FILE_BYTES ((uint64_t)12 << 20)

static struct neap_machine *machine; /* of the test that runs */
static char path[64];

static const struct api_setting small[] = {
	{ "memory", "8M" },
	{ "swap", "16M" },
	{ NULL, NULL },
};

static const struct api_setting faulty[] = {
	{ "memory", "8M" },
	{ "fault.enable", "1" },
	{ NULL, NULL },
};

/* A name that does not exist. */
static void path_make(void)
{
	(void)snprintf(path, sizeof(path), "/tmp/test-file-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)close(fd);
	(void)unlink(path);
}

/* ---- random reads and writes against plain memory ---- */

struct model {
	struct neap_file *file;
	unsigned char *bytes; /* what the file should hold */
	uint64_t size;
	uint64_t random;
};

static int one_operation(struct model *model, unsigned char *buffer)
{
	uint64_t bytes = api_random(&model->random) % 9000;
	uint64_t offset = api_random(&model->random) % FILE_BYTES;
	uint64_t near = model->size < FILE_BYTES - 9000 ? model->size : 0;

	if (api_random(&model->random) % 8 == 0)
		offset = near; /* appends */
	if (offset + bytes > FILE_BYTES)
		bytes = FILE_BYTES - offset;
	if (api_random(&model->random) % 2 == 0) {
		memset(buffer, (int)(api_random(&model->random) & 255), bytes);
		EXPECT(neap_file_write(model->file, offset, buffer, bytes) == (int64_t)bytes);
		memcpy(model->bytes + offset, buffer, bytes);
		if (bytes != 0 && offset + bytes > model->size)
			model->size = offset + bytes;
	} else {
		uint64_t want = offset < model->size ? model->size - offset : 0;

		if (want > bytes)
			want = bytes;
		EXPECT(neap_file_read(model->file, offset, buffer, bytes) == (int64_t)want);
		EXPECT(memcmp(buffer, model->bytes + offset, want) == 0);
	}
	EXPECT(neap_file_bytes(model->file) == model->size);
	return 0;
}

static int random_operations(void *arg)
{
	static unsigned char buffer[9000];
	struct model *model = arg;

	EXPECT(neap_file_open(machine, path, 5000, NEAP_FILE_CREATE, &model->file) == 0);
	EXPECT(neap_file_bytes(model->file) == 5000);
	model->size = 5000;
	for (int i = 0; i < 6000; i++) {
		int line = one_operation(model, buffer);

		EXPECT(line == 0);
		if (i % 1000 == 999)
			EXPECT(neap_file_sync(model->file) == 0);
	}
	uint64_t before = neap_counter(machine, "advice_calls");

	EXPECT(neap_file_advise(model->file, 0, 1, NEAP_COLD) == -EINVAL);
	EXPECT(neap_file_advise(model->file, 0, 1, NEAP_SEQUENTIAL) == 0);
	EXPECT(neap_file_advise(model->file, 0, 1, NEAP_DONTNEED) == 0);
	EXPECT(neap_file_advise(model->file, 0, UINT64_MAX, NEAP_WILLNEED) == 0);
	/* Each call costs virtual time, as advice about regions does. */
	EXPECT(neap_counter(machine, "advice_calls") == before + 4);
	EXPECT(neap_file_drop(model->file) > 0);
	EXPECT(neap_file_close(model->file) == 0);
	return 0;
}

static void test_as_a_plain_program(void **state)
{
	uint64_t seed = api_seed();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct model model = { .random = seed, .bytes = calloc(1, FILE_BYTES) };
		unsigned char *found = malloc(FILE_BYTES);
		struct stat status;

		assert_non_null(model.bytes);
		assert_non_null(found);
		path_make();
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, random_operations, &model);
		api_machine_end(machine);
		int fd = open(path, O_RDONLY);

		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &status), 0);
		assert_int_equal(status.st_size, model.size);
		assert_int_equal(read(fd, found, FILE_BYTES), model.size);
		assert_memory_equal(found, model.bytes, model.size);
		(void)close(fd);
		(void)unlink(path);
		free(found);
		free(model.bytes);
	}
}

/* ---- pages, mappings, loading ---- */

static int pages(void *unused)
{
	uint64_t nr_pages = FILE_BYTES / NEAP_PAGE_SIZE;
	struct neap_region *region;
	struct neap_file *file;
	char contents[NEAP_PAGE_SIZE];
	struct neap_page page;
	uint64_t value;

	(void)unused;
	EXPECT(neap_file_open(machine, NULL, FILE_BYTES, 0, &file) == 0);
	EXPECT(neap_file_bytes(file) == FILE_BYTES);
	for (uint64_t i = 0; i < nr_pages; i++) {
		memset(contents, (int)(i & 127), sizeof(contents));
		EXPECT(neap_file_load(file, i, contents, 0) == 0);
	}
	EXPECT(neap_file_load(file, nr_pages, contents, 0) == -EINVAL);
	EXPECT(neap_region_map(file, 0, &region) == 0);
	EXPECT(neap_region_pages(region) == nr_pages);
	for (uint64_t i = 0; i < nr_pages; i++) {
		EXPECT(neap_read(region, i * NEAP_PAGE_SIZE + 4088, &value, 8) == 0);
		EXPECT(value == (i & 127) * 0x0101010101010101u);
		value = i * 7;
		if (i % 3 == 0)
			EXPECT(neap_write(region, i * NEAP_PAGE_SIZE, &value, 8) == 0);
	}
	EXPECT(neap_file_load(file, nr_pages - 1, contents, 0) == -EBUSY);
	/* What a mapping wrote, reads see; what writes wrote, the mapping sees. */
	for (uint64_t i = 0; i < nr_pages; i++) {
		EXPECT(neap_file_page_begin(file, i, NEAP_PAGE_READ, &page) == 0);
		memcpy(&value, page.data, 8);
		neap_file_page_end(file, &page);
		EXPECT(value == (i % 3 == 0 ? i * 7 : (i & 127) * 0x0101010101010101u));
		if (i % 3 == 1) {
			EXPECT(neap_file_page_begin(file, i, NEAP_PAGE_OVERWRITE, &page) == 0);
			memset(page.data, 0x42, NEAP_PAGE_SIZE);
			neap_file_page_end(file, &page);
		}
	}
	EXPECT(neap_file_page_begin(file, nr_pages, NEAP_PAGE_READ, &page) == -EINVAL);
	for (uint64_t i = 1; i < nr_pages; i += 3) {
		EXPECT(neap_read(region, i * NEAP_PAGE_SIZE + 100, &value, 8) == 0);
		EXPECT(value == 0x4242424242424242u);
	}
	EXPECT(neap_file_close(file) == 0); /* the region keeps it */
	EXPECT(neap_read(region, NEAP_PAGE_SIZE, &value, 8) == 0 && value == 0x4242424242424242u);
	neap_region_destroy(region);
	return 0;
}

static void test_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, pages, NULL);
		api_machine_end(machine);
	}
}

/* ---- opening ---- */

static int openings(void *unused)
{
	struct neap_region *region;
	struct neap_file *file;
	char text[8] = "";

	(void)unused;
	EXPECT(neap_file_open(machine, "/nonexistent/file", 0, 0, &file) == -ENOENT);
	EXPECT(strstr(neap_machine_error(machine), "/nonexistent/file") != NULL);
	EXPECT(neap_file_open(machine, "/tmp", 0, 0, &file) < 0);
	EXPECT(neap_file_open(machine, NULL, 1, 128, &file) == -EINVAL);
	EXPECT(neap_file_open(machine, NULL, UINT64_MAX, 0, &file) == -EINVAL);
	EXPECT(neap_file_open(machine, path, 3, NEAP_FILE_CREATE, &file) == 0);
	EXPECT(neap_file_write(file, 0, "abc", 3) == 3);
	EXPECT(neap_file_close(file) == 0);
	EXPECT(neap_file_open(machine, path, 3, NEAP_FILE_CREATE, &file) == -EEXIST);
	EXPECT(neap_file_open(machine, path, 99, NEAP_FILE_READ_ONLY, &file) == 0);
	EXPECT(neap_file_bytes(file) == 3);
	EXPECT(neap_file_read(file, 0, text, 8) == 3 && memcmp(text, "abc", 3) == 0);
	EXPECT(neap_file_read(file, 3, text, 8) == 0);
	EXPECT(neap_file_write(file, 0, "x", 1) == -EACCES);
	EXPECT(neap_region_map(file, 0, &region) == 0);
	EXPECT(neap_access(region, 0, false) == 0);
	EXPECT(neap_access(region, 0, true) == -EACCES);
	neap_region_destroy(region);
	EXPECT(neap_file_close(file) == 0);
	EXPECT(neap_file_close(NULL) == 0);
	return 0;
}

static void test_openings(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stat status;

		path_make();
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, openings, NULL);
		api_machine_end(machine);
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_size, 3);
		(void)unlink(path);
	}
}

/* A machine of tags has unnamed files only, whose pages hold a tag. */
static int tag_files(void *unused)
{
	struct neap_file *file;
	struct neap_page page;
	char byte;

	(void)unused;
	EXPECT(neap_file_open(machine, path, 1, NEAP_FILE_CREATE, &file) == -ENOTSUP);
	EXPECT(neap_file_open(machine, NULL, FILE_BYTES, 0, &file) == 0);
	EXPECT(neap_file_read(file, 0, &byte, 1) == -ENOTSUP);
	EXPECT(neap_file_load(file, 9, NULL, 1234) == 0);
	EXPECT(neap_file_page_begin(file, 9, NEAP_PAGE_READ, &page) == 0);
	EXPECT(page.data == NULL && *page.tag == 1234 && page.faulted);
	neap_file_page_end(file, &page);
	EXPECT(neap_file_page_begin(file, 9, NEAP_PAGE_READ, &page) == 0);
	EXPECT(!page.faulted);
	neap_file_page_end(file, &page);
	EXPECT(neap_file_close(file) == 0);
	return 0;
}

static void test_tag_files(void **state)
{
	static const struct api_setting settings[] = {
		{ "memory", "8M" },
		{ "contents", "tags" },
		{ NULL, NULL },
	};

	(void)state;
	path_make();
	machine = api_machine_new("sim", settings);
	api_run(machine, tag_files, NULL);
	api_machine_end(machine);
}

/* ---- errors of devices ---- */

static int device_errors(void *unused)
{
	struct neap_file *file;
	uint64_t value = 5;
	int64_t moved;
	int errors = 0;

	(void)unused;
	EXPECT(neap_file_open(machine, NULL, FILE_BYTES, 0, &file) == 0);
	EXPECT(neap_inject(machine, "file-read", 1, EIO) == 0);
	moved = neap_file_read(file, 0, &value, 8);
	EXPECT(moved == -EIO);
	EXPECT(neap_file_read(file, 0, &value, 8) == 8 && value == 0);
	/* The error of a write is told once, and the page keeps its contents. */
	value = 77;
	EXPECT(neap_inject(machine, "file-write", 1, ENOSPC) == 0);
	EXPECT(neap_file_write(file, 4096, &value, 8) == 8);
	errors += neap_file_sync(file) == -ENOSPC;
	EXPECT(errors == 1);
	EXPECT(neap_file_sync(file) == 0);
	EXPECT(neap_file_read(file, 4096, &value, 8) == 8);
	EXPECT(neap_file_close(file) == 0);
	return 0;
}

static void test_device_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], faulty);
		api_run(machine, device_errors, NULL);
		api_machine_end(machine);
	}
}

/* ---- what costs virtual time ---- */

#define COSTLY_PAGES 24

static const char *const costly_items[] = { "file_pages_added", "file_pages_dirtied",
					    "file_pages_flushed", "flush_completions",
					    "read_completions" };
#define NR_COSTLY (sizeof(costly_items) / sizeof(costly_items[0]))

/* Compares what has been counted since `before`, one for each item, and makes now that. */
static bool costly_are(uint64_t before[NR_COSTLY], const uint64_t want[NR_COSTLY])
{
	bool same = true;

	for (size_t i = 0; i < NR_COSTLY; i++) {
		uint64_t now = neap_counter(machine, costly_items[i]);

		if (now - before[i] != want[i])
			print_error("%s: %llu, not %llu\n", costly_items[i],
				    (unsigned long long)(now - before[i]),
				    (unsigned long long)want[i]);
		same = same && now - before[i] == want[i];
		before[i] = now;
	}
	return same;
}

/* Each page is counted where it is added, made dirty, handed to the store, written and read. */
static int count_costly(void *arg)
{
	static unsigned char buffer[COSTLY_PAGES * 4096];
	const uint64_t written[] = { COSTLY_PAGES, COSTLY_PAGES, 0, 0, 0 };
	const uint64_t nothing[NR_COSTLY] = { 0 };
	const uint64_t synced[] = { 0, 0, COSTLY_PAGES, COSTLY_PAGES, 0 };
	const uint64_t read[] = { COSTLY_PAGES, 0, 0, 0, COSTLY_PAGES };
	uint64_t before[NR_COSTLY] = { 0 };
	struct neap_file *file;

	(void)arg;
	EXPECT(neap_file_open(machine, NULL, sizeof(buffer), 0, &file) == 0);
	(void)costly_are(before, nothing);
	EXPECT(neap_file_write(file, 0, buffer, sizeof(buffer)) == (int64_t)sizeof(buffer));
	EXPECT(costly_are(before, written));
	EXPECT(neap_file_write(file, 0, buffer, sizeof(buffer)) == (int64_t)sizeof(buffer));
	EXPECT(costly_are(before, nothing));
	EXPECT(neap_file_sync(file) == 0);
	EXPECT(costly_are(before, synced));
	EXPECT(neap_file_drop(file) == COSTLY_PAGES);
	EXPECT(neap_file_read(file, 0, buffer, sizeof(buffer)) == (int64_t)sizeof(buffer));
	EXPECT(costly_are(before, read));
	EXPECT(neap_file_close(file) == 0);
	return 0;
}

static void test_costs_of_file_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		machine = api_machine_new(api_runtimes[i], small);
		api_run(machine, count_costly, NULL);
		api_machine_end(machine);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_a_plain_program),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_openings),
		cmocka_unit_test(test_tag_files),
		cmocka_unit_test(test_device_errors),
		cmocka_unit_test(test_costs_of_file_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
