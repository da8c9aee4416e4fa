/*
 * The verifier: each way a page can be wrong is noticed, and told from a loss.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job/verify.h"
#include "job/verify_page.h"

#define NR_PAGES 64u

static struct verify *verify;
static struct verify_object *object;
static struct verify_task *task;
static _Alignas(4096) uint8_t memory[NR_PAGES][NEAP_PAGE_SIZE];
static uint64_t tags[NR_PAGES];

static void describe(void *arg, uint64_t index, char *buffer, size_t bytes)
{
	(void)arg;
	snprintf(buffer, bytes, "T page %u", (unsigned int)index);
}

static void start(bool with_tags, enum verify_kind kind)
{
	memset(memory, 0, sizeof(memory));
	memset(tags, 0, sizeof(tags));
	verify = verify_new(with_tags);
	object = verify_add(verify, kind, NR_PAGES, describe, NULL);
	task = verify_task_new(verify);
}

static void stop(void)
{
	verify_free(verify);
}

static struct neap_page page_of(uint64_t index, bool faulted)
{
	return (struct neap_page){ .data = memory[index], .faulted = faulted, .frame = 77 };
}

static bool read_page(uint64_t index, bool faulted)
{
	struct neap_page page = page_of(index, faulted);

	return verify_read(task, object, index, &page);
}

static bool write_page(uint64_t index, bool faulted)
{
	struct neap_page page = page_of(index, faulted);
	struct verify_write how = { 0 };

	return verify_write(task, object, index, &page, how);
}

static void write_whole(uint64_t index, enum job_fill fill)
{
	struct neap_page page = page_of(index, false);
	struct verify_write how = { .whole = true, .fill = fill };

	assert_true(verify_write(task, object, index, &page, how));
}

/* The findings as text. */
static char *findings(void)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	verify_print(verify, out, "");
	fclose(out);
	return text;
}

/* A wrong page must be refused, and its text must have all these parts. */
static void expect_wrong(uint64_t index, bool faulted, const char *part, const char *other_part)
{
	char *text;

	assert_false(read_page(index, faulted));
	verify_settle(task, false);
	assert_int_equal(verify_totals(verify).mismatches, 1);
	text = findings();
	if (strstr(text, part) == NULL || strstr(text, other_part) == NULL)
		fail_msg("wanted '%s' and '%s' in: %s", part, other_part, text);
	free(text);
}

static void test_right_pages(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint64_t i = 0; i < NR_PAGES; i++) {
			assert_true(read_page(i, i % 2 == 0));
			if (i % 3 != 0)
				assert_true(write_page(i, i % 5 == 0));
			assert_true(read_page(i, true));
		}
	}
	for (uint64_t i = 0; i < NR_PAGES; i++)
		assert_int_equal(verify_is_live(object, i), i % 3 != 0);
	assert_int_equal(verify_totals(verify).mismatches, 0);
	stop();
}

static void test_fills(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		write_whole(i, (enum job_fill)(i % 4));
		assert_true(read_page(i, true));
		assert_true(write_page(i, true));
		assert_true(read_page(i, true));
		memory[i][1234] ^= 1;
		assert_false(read_page(i, true));
		verify_settle(task, true);
		write_whole(i, JOB_FILL_TEXT);
		assert_true(read_page(i, true));
	}
	assert_int_equal(verify_totals(verify).lost_pages, NR_PAGES);
	assert_int_equal(verify_totals(verify).mismatches, 0);
	stop();
}

static void test_lost_write(void **state)
{
	uint8_t before[NEAP_PAGE_SIZE];

	(void)state;
	start(false, VERIFY_MEMORY);
	assert_true(write_page(5, false));
	memcpy(before, memory[5], sizeof(before));
	assert_true(write_page(5, false));
	assert_true(write_page(5, false));
	memcpy(memory[5], before, sizeof(before));
	/* Even without a fault the two words tell. */
	expect_wrong(5, false, "expected version 3", "the page holds T page 5, version 1");
	stop();
}

static void test_history(void **state)
{
	char *text;

	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(9, false);
	read_page(9, false);
	write_page(9, false);
	memset(memory[9], 0, NEAP_PAGE_SIZE);
	expect_wrong(9, true, "the page is all zero", "history, newest first");
	text = findings();
	assert_non_null(strstr(text, "(task 0) wrote version 2 in frame 77"));
	assert_non_null(strstr(text, "filled with version 1"));
	free(text);
	stop();
}

static void test_swapped_pages(void **state)
{
	uint8_t other[NEAP_PAGE_SIZE];

	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(3, false);
	write_page(4, false);
	memcpy(other, memory[3], sizeof(other));
	memcpy(memory[3], memory[4], sizeof(other));
	memcpy(memory[4], other, sizeof(other));
	expect_wrong(4, false, "T page 4 (frame 77) is wrong",
		     "the page holds T page 3, version 1");
	stop();
}

/* A page whose halves come from two writes: only one of the two stamp words is old. */
static void test_torn_stamp(void **state)
{
	uint8_t before[NEAP_PAGE_SIZE];

	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(8, false);
	memcpy(before, memory[8], sizeof(before));
	write_page(8, false);
	memcpy(memory[8] + NEAP_PAGE_SIZE / 2, before + NEAP_PAGE_SIZE / 2, NEAP_PAGE_SIZE / 2);
	expect_wrong(8, false, "expected version 2", "the page holds parts of T page 8");
	stop();
}

/* Every single bit of a page matters when all of it is looked at. */
static void test_every_bit(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(0, false);
	for (uint32_t bit = 0; bit < NEAP_PAGE_SIZE * 8; bit += 97) {
		struct neap_page page = page_of(0, false);

		memory[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(verify_sweep(task, object, 0, &page));
		verify_settle(task, true);
		write_whole(0, JOB_FILL_PATTERN);
	}
	stop();
}

static void test_garbage_where_zero_belongs(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	memory[1][4000] = 9;
	assert_true(write_page(2, true));
	expect_wrong(1, true, "expected zeros", "the page holds no stamp of ours");
	stop();
}

static void test_tags(void **state)
{
	struct neap_page page = { .tag = &tags[7] };
	struct verify_write how = { 0 };

	(void)state;
	start(true, VERIFY_MEMORY);
	assert_true(verify_read(task, object, 7, &page));
	assert_true(verify_write(task, object, 7, &page, how));
	assert_true(verify_write(task, object, 7, &page, how));
	assert_int_not_equal(tags[7], 0);
	assert_true(verify_read(task, object, 7, &page));
	tags[7]--;
	assert_false(verify_read(task, object, 7, &page));
	verify_settle(task, false);
	char *text = findings();
	assert_non_null(strstr(text, "the page holds T page 7, version 1"));
	free(text);
	stop();
}

static void test_loaded_files(void **state)
{
	uint64_t tag = 0;

	(void)state;
	start(false, VERIFY_FILE);
	verify_load(object, 6, memory[6], &tag);
	assert_int_not_equal(tag, 0);
	assert_true(read_page(6, true));
	assert_true(read_page(7, true)); /* a hole */
	write_whole(7, JOB_FILL_PATTERN);
	assert_true(read_page(7, true));
	memory[6][0] ^= 1;
	expect_wrong(6, true, "T page 6", "expected version 1");
	stop();
}

static void test_released_pages(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(10, false);
	write_page(11, false);
	write_page(12, false);
	verify_release_begin(object, 10, 3);
	/* Somebody writes while the page is being freed: nobody can know what is there. */
	assert_true(write_page(11, false));
	memset(memory[10], 0, 3 * sizeof(memory[0]));
	assert_true(read_page(11, true));
	assert_true(read_page(12, true));
	verify_release_end(object, 10, 3, true);
	assert_true(read_page(10, true));
	assert_false(verify_is_live(object, 10));
	assert_true(read_page(11, true));
	assert_true(write_page(11, true));
	assert_true(verify_is_live(object, 11));
	assert_true(read_page(11, true));
	/* A page that was freed and still holds its contents is wrong. */
	write_page(20, false);
	verify_release_begin(object, 20, 1);
	verify_release_end(object, 20, 1, true);
	expect_wrong(20, false, "expected zeros", "the page holds T page 20, version 1");
	stop();
}

static void test_lazily_freed_pages(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(1, false);
	write_page(2, false);
	write_page(3, false);
	verify_lazy_begin(object);
	verify_lazy_end(object);
	memset(memory[1], 0, NEAP_PAGE_SIZE);
	assert_true(read_page(1, true));
	assert_true(read_page(2, true));
	write_page(3, false);
	memset(memory[3], 0, NEAP_PAGE_SIZE);
	expect_wrong(3, true, "expected version 2", "all zero");
	stop();
}

/* What is written while pages are given up may be given up, too; not what is written after that. */
static void test_written_while_lazily_freed(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	verify_set_concurrent(verify, true);
	write_page(1, false);
	write_page(2, false);
	verify_lazy_begin(object);
	write_page(1, false);
	write_page(2, false);
	write_page(3, false);
	verify_lazy_end(object);
	memset(memory[1], 0, NEAP_PAGE_SIZE);
	assert_true(read_page(1, true));
	assert_true(read_page(2, true));
	memset(memory[3], 0, NEAP_PAGE_SIZE);
	assert_true(read_page(3, true));
	write_page(2, false);
	memset(memory[2], 0, NEAP_PAGE_SIZE);
	expect_wrong(2, true, "expected version 3", "all zero");
	stop();
}

static void test_reported_losses(void **state)
{
	char *text;

	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(30, false);
	verify_failed(task, object, 30, -EIO, true);
	verify_release_begin(object, 30, 1);
	memset(memory[30], 0, NEAP_PAGE_SIZE);
	verify_release_end(object, 30, 1, true);
	assert_true(read_page(30, true));
	verify_failed(task, object, 31, -ENOSPC, false);
	text = findings();
	assert_non_null(strstr(text, "T page 30: its contents are lost: Input/output error"));
	assert_non_null(strstr(text, "T page 31: an access failed: No space left on device"));
	free(text);
	assert_int_equal(verify_totals(verify).mismatches, 0);
	assert_int_equal(verify_totals(verify).lost_pages, 1);
	assert_int_equal(verify_totals(verify).failed_accesses, 2);
	stop();
}

/* One thread's read fails; another's succeeds, or writes, before the first gives the page back. */
static void test_a_lost_page_that_another_thread_reads(void **state)
{
	(void)state;
	start(false, VERIFY_MEMORY);
	write_page(30, false);
	write_page(31, false);
	verify_failed(task, object, 30, -EIO, true);
	verify_failed(task, object, 31, -EIO, true);
	assert_true(read_page(30, true));
	write_page(31, false);
	verify_release_begin(object, 30, 2);
	assert_true(read_page(30, true));
	memset(memory[30], 0, NEAP_PAGE_SIZE);
	memset(memory[31], 0, NEAP_PAGE_SIZE);
	assert_true(read_page(30, true));
	verify_release_end(object, 30, 2, true);
	assert_true(read_page(30, true));
	assert_true(read_page(31, true));
	memory[30][8] = 1;
	expect_wrong(30, true, "expected zeros", "holds no stamp");
	stop();
}

static void test_user_files(void **state)
{
	struct neap_page page = page_of(2, true);

	(void)state;
	start(false, VERIFY_USER_FILE);
	memset(memory[2], 0x41, NEAP_PAGE_SIZE);
	assert_true(verify_user_begin(task, object, 2, &page, 4096));
	memory[2][17] = 'x';
	verify_user_end(object, 2, &page, 4096, true);
	assert_true(verify_user_begin(task, object, 2, &page, 4096));
	verify_user_end(object, 2, &page, 4096, false);
	memory[2][17] = 'A';
	assert_false(verify_user_begin(task, object, 2, &page, 4096));
	verify_user_end(object, 2, &page, 4096, false);
	verify_settle(task, false);
	char *text = findings();
	assert_non_null(strstr(text, "expected the bytes last seen or written"));
	free(text);
	stop();
}

/* Four threads on the same pages: stamp and version change together. */
static void *hammer(void *arg)
{
	struct verify_task *mine = arg;
	struct verify_write how = { 0 };
	uintptr_t wrong = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		struct neap_page page = page_of(i % 4, false);

		wrong += !verify_read(mine, object, i % 4, &page);
		wrong += !verify_write(mine, object, i % 4, &page, how);
	}
	return (void *)wrong;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	start(false, VERIFY_MEMORY);
	verify_set_concurrent(verify, true);
	for (uint32_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, hammer, verify_task_new(verify));
	for (uint32_t i = 0; i < 4; i++) {
		void *wrong;

		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	assert_int_equal(verify_totals(verify).accesses, 160000);
	for (uint64_t i = 0; i < 4; i++)
		assert_true(read_page(i, true));
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_pages),
		cmocka_unit_test(test_fills),
		cmocka_unit_test(test_lost_write),
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_swapped_pages),
		cmocka_unit_test(test_torn_stamp),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_garbage_where_zero_belongs),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_loaded_files),
		cmocka_unit_test(test_released_pages),
		cmocka_unit_test(test_lazily_freed_pages),
		cmocka_unit_test(test_written_while_lazily_freed),
		cmocka_unit_test(test_reported_losses),
		cmocka_unit_test(test_a_lost_page_that_another_thread_reads),
		cmocka_unit_test(test_a_lost_page_that_another_thread_reads),
		cmocka_unit_test(test_user_files),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
