/*
 * Traces: decoding, refusing damaged ones with the place of the damage, and the
 * places that page ids get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "job/ptrace.h"
#include "job/replay.h"
#include "job/replay_map.h"
#include "trace_build.h"

static struct trace_build build;

/* Two clusters of anonymous pages, two files, a page freed and its address used again. */
static void build_small(void)
{
	memset(&build, 0, sizeof(build));
	trace_new(&build, PTRACE_W, PTRACE_ANON, 0, 1000);  /* 0 */
	trace_new(&build, PTRACE_R, PTRACE_ANON, 0, 1001);  /* 1 */
	trace_new(&build, PTRACE_W, PTRACE_ANON, 0, 90000); /* 2 */
	trace_new(&build, PTRACE_PR, PTRACE_FILE, 3, 5);    /* 3 */
	trace_new(&build, PTRACE_X, PTRACE_CODE, 7, 0);	    /* 4 */
	trace_new(&build, PTRACE_PW, PTRACE_FILE, 3, 9);    /* 5 */
	trace_ref(&build, PTRACE_W, 3);
	trace_ref(&build, PTRACE_R, 0);
	trace_free(&build, 0, 2);
	trace_new(&build, PTRACE_W, PTRACE_ANON, 0, 1001); /* 6: takes 1's place */
	trace_ref(&build, PTRACE_X, 6);
	trace_new(&build, PTRACE_W, PTRACE_ANON, 0, 90000); /* 7: 2 is still there */
	trace_ref(&build, PTRACE_PR, 5);
}

static int open_bytes(const uint8_t *data, size_t bytes, struct ptrace **trace, char *message)
{
	char path[64];
	int error;

	trace_save(data, bytes, path);
	message[0] = '\0';
	error = ptrace_open(path, "/tmp", trace, message);
	unlink(path);
	return error;
}

static struct ptrace *open_small(void)
{
	char message[PTRACE_MESSAGE_BYTES];
	struct ptrace *trace = NULL;
	size_t bytes;
	uint8_t *data;

	build_small();
	data = trace_bytes(&build, &bytes);
	if (open_bytes(data, bytes, &trace, message) != 0)
		fail_msg("%s", message);
	free(data);
	return trace;
}

static void test_decoding(void **state)
{
	static const struct ptrace_record expected[] = {
		{ 3, 0, 1, PTRACE_W, true },	 { 3, 1, 1, PTRACE_R, true },
		{ 3, 2, 1, PTRACE_W, true },	 { 3, 3, 1, PTRACE_PR, true },
		{ 3, 4, 1, PTRACE_X, true },	 { 3, 5, 1, PTRACE_PW, true },
		{ 1, 3, 1, PTRACE_W, false },	 { 1, 0, 1, PTRACE_R, false },
		{ 1, 0, 2, PTRACE_FREE, false }, { 3, 6, 1, PTRACE_W, true },
		{ 1, 6, 1, PTRACE_X, false },	 { 3, 7, 1, PTRACE_W, true },
		{ 1, 5, 1, PTRACE_PR, false },
	};
	struct ptrace *trace = open_small();
	const struct ptrace_info *info = ptrace_info(trace);
	struct ptrace_cursor *cursor = ptrace_cursor_new(trace);
	struct ptrace_record r;

	(void)state;
	assert_string_equal(info->name, "tiny");
	assert_int_equal(info->records, ARRAY_LEN(expected));
	assert_int_equal(info->pages, 8);
	assert_int_equal(info->peak_pages, 6);
	assert_int_equal(info->nr_files, 8);
	assert_int_equal(info->op_records[PTRACE_W], 5);
	assert_int_equal(info->kind_pages[PTRACE_ANON], 5);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		assert_int_equal(ptrace_next(cursor, &r), 1);
		assert_int_equal(r.ticks, expected[i].ticks);
		assert_int_equal(r.id, expected[i].id);
		assert_int_equal(r.count, expected[i].count);
		assert_int_equal(r.op, expected[i].op);
		assert_int_equal(r.fresh, expected[i].fresh);
	}
	assert_int_equal(ptrace_next(cursor, &r), 0);
	assert_true(ptrace_page(trace, 5).written_first);
	assert_int_equal(ptrace_page(trace, 5).file, 3);
	assert_int_equal(ptrace_page(trace, 5).where, 9);
	assert_int_equal(ptrace_page(trace, 1).freed_when, 6);
	assert_int_equal(ptrace_page(trace, 2).freed_when, UINT32_MAX);
	ptrace_cursor_free(cursor);
	ptrace_close(trace);
}

static void test_places(void **state)
{
	struct ptrace *trace = open_small();
	struct replay_map *map;

	(void)state;
	assert_int_equal(replay_map_new(trace, &map), 0);
	assert_int_equal(map->nr_regions, 2);
	assert_int_equal(map->nr_files, 2);
	assert_int_equal(map->nr_anon_slots, 4);
	assert_int_equal(map->nr_file_slots, 3);
	/* Neighbours stay neighbours, at the same place within 2 MiB. */
	assert_int_equal(map->places[0].page, 1000 % 512);
	assert_int_equal(map->places[1].page, map->places[0].page + 1);
	assert_int_equal(map->places[0].where, map->places[1].where);
	assert_int_not_equal(map->places[2].where, map->places[0].where);
	/* An address that was free again is the same page; one that was not is another. */
	assert_memory_equal(&map->places[6], &map->places[1], sizeof(map->places[0]));
	assert_int_not_equal(map->places[7].slot, map->places[2].slot);
	assert_int_not_equal(map->places[7].page, map->places[2].page);
	assert_int_equal(map->files[map->places[3].where].number, 3);
	assert_int_equal(map->files[map->places[3].where].nr_pages, 10);
	assert_int_equal(map->places[5].page, 9);
	replay_map_free(map);
	ptrace_close(trace);
}

/*
 * A program scattered over ten thousand places still gets few regions, and each page its own place.
 */
static void test_scattered(void **state)
{
	char message[PTRACE_MESSAGE_BYTES];
	struct ptrace *trace = NULL;
	struct replay_map *map;
	size_t bytes;
	uint8_t *data;

	(void)state;
	memset(&build, 0, sizeof(build));
	for (int64_t i = 0; i < 10000; i++)
		trace_new(&build, PTRACE_W, PTRACE_ANON, 0, (i * 7919 % 10000) * 3000 + i % 7);
	data = trace_bytes(&build, &bytes);
	assert_int_equal(open_bytes(data, bytes, &trace, message), 0);
	free(data);
	assert_int_equal(replay_map_new(trace, &map), 0);
	assert_true(map->nr_regions <= REPLAY_REGIONS_MAX);
	assert_int_equal(map->nr_anon_slots, 10000);
	for (uint32_t slot = 1; slot < map->nr_anon_slots; slot++) {
		const struct replay_place *a = &map->places[map->anon_ids[slot - 1]];
		const struct replay_place *b = &map->places[map->anon_ids[slot]];

		assert_true(a->where < b->where || a->page < b->page);
		assert_int_equal(b->slot, slot);
		assert_true(b->page < map->regions[b->where].nr_pages);
	}
	replay_map_free(map);
	ptrace_close(trace);
}

static void put_header(uint8_t *data, uint32_t which, uint64_t value)
{
	for (uint32_t byte = 0; byte < 8; byte++)
		data[8 + 8 * which + byte] = (uint8_t)(value >> (8 * byte));
}

/* Builds the small trace, damages it, and wants this sentence. */
static void refuse(void (*damage)(uint8_t *data, size_t *bytes), const char *sentence)
{
	char message[PTRACE_MESSAGE_BYTES];
	struct ptrace *trace = NULL;
	size_t bytes;
	uint8_t *data;
	int error;

	build_small();
	data = trace_bytes(&build, &bytes);
	damage(data, &bytes);
	error = open_bytes(data, bytes, &trace, message);
	free(data);
	if (error != -EINVAL || strstr(message, sentence) == NULL ||
	    strstr(message, "offset ") == NULL)
		fail_msg("wanted '%s', got %d '%s'", sentence, error, message);
}

static void damage_magic(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	data[3] = 'x';
}

static void damage_cut(uint8_t *data, size_t *bytes)
{
	(void)data;
	*bytes -= 3;
}

static void damage_longer(uint8_t *data, size_t *bytes)
{
	data[(*bytes)++] = 0;
}

static void damage_header_only(uint8_t *data, size_t *bytes)
{
	(void)data;
	*bytes = 100;
}

static void damage_records(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	put_header(data, 0, UINT64_MAX);
}

static void damage_pages(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	put_header(data, 1, 7);
}

static void damage_peak(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	put_header(data, 8, 5);
}

static void damage_time(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	put_header(data, 2, 256);
}

static void damage_column_length(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	put_header(data, 6, UINT64_MAX - 300);
}

static void damage_operation(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	data[128 + 6] = 6;
}

static void damage_varint(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	memset(data + 128 + build.bytes[0], 0xff, build.bytes[1]);
}

/* First byte of column I: the reference to page 3 becomes one far ahead. */
static void damage_id(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	data[128 + build.bytes[0] + build.bytes[1]] = 0x7e;
}

/* The run of freed pages (0, 2 pages) becomes 60 pages long. */
static void damage_run(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	data[128 + build.bytes[0] + build.bytes[1] + 3] = 60;
}

static void damage_kind(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	data[128 + build.bytes[0] + build.bytes[1] + build.bytes[2]] = 3;
}

/* The last record becomes a read of page 0, which was freed: 5 - 7 = -2 becomes 0 - 7 = -7. */
static void damage_use_after_free(uint8_t *data, size_t *bytes)
{
	size_t at = 128 + build.bytes[0] + build.bytes[1] + build.bytes[2] - 1;

	(void)bytes;
	data[128 + build.bytes[0] - 1] = PTRACE_R;
	data[at] = 13;
}

static void damage_call_on_anon(uint8_t *data, size_t *bytes)
{
	(void)bytes;
	data[128 + 10] = PTRACE_PR; /* was a fetch from page 6, which is anonymous */
}

static void test_damaged_traces(void **state)
{
	(void)state;
	refuse(damage_magic, "no PTRACE1 trace");
	refuse(damage_cut, "shorter than its header says");
	refuse(damage_longer, "longer than its header says");
	refuse(damage_header_only, "ends inside the header");
	refuse(damage_records, "number of records is out of range");
	refuse(damage_pages, "more pages than the header says");
	refuse(damage_peak, "peak of live pages is not what");
	refuse(damage_time, "more than the header's instructions");
	refuse(damage_column_length, "length of a column is out of range");
	refuse(damage_operation, "no such operation");
	refuse(damage_varint, "ends early or holds a number that is too long");
	refuse(damage_id, "referenced that is not there yet");
	refuse(damage_run, "reaches beyond the pages there are");
	refuse(damage_kind, "no such kind of page");
	refuse(damage_use_after_free, "used after it was freed");
	refuse(damage_call_on_anon, "reads or writes an anonymous page");
}

/* Random damage: an answer with an offset, or a trace that reads to its end; never a crash. */
static void test_random_damage(void **state)
{
	const char *given = getenv("NEAP_SEED");
	uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 1;
	struct rng rng;

	(void)state;
	print_message("NEAP_SEED=%llu\n", (unsigned long long)seed);
	rng_seed(&rng, seed);
	for (uint32_t i = 0; i < 1500; i++) {
		char message[PTRACE_MESSAGE_BYTES];
		struct ptrace *trace = NULL;
		size_t bytes;
		uint8_t *data;

		build_small();
		data = trace_bytes(&build, &bytes);
		for (uint64_t n = 1 + rng_below(&rng, 3); n > 0; n--)
			data[8 + rng_below(&rng, bytes - 8)] ^= (uint8_t)(1u << rng_below(&rng, 8));
		if (open_bytes(data, bytes, &trace, message) == 0) {
			struct ptrace_cursor *cursor = ptrace_cursor_new(trace);
			struct replay_map *map = NULL;
			struct ptrace_record r;
			uint64_t records = 0;

			while (ptrace_next(cursor, &r) == 1)
				records++;
			assert_int_equal(records, ptrace_info(trace)->records);
			if (replay_map_new(trace, &map) == 0)
				replay_map_free(map);
			ptrace_cursor_free(cursor);
			ptrace_close(trace);
		} else {
			assert_non_null(strstr(message, "offset "));
		}
		free(data);
	}
}

/* The shipped trace, against the numbers of the reference reader. */
static void test_shipped_trace(void **state)
{
	static const uint64_t ops[NR_PTRACE_OPS] = { 530524, 201275, 9850, 140, 2, 4 };
	char message[PTRACE_MESSAGE_BYTES];
	struct ptrace *trace = NULL;
	const struct ptrace_info *info;
	int error = ptrace_open("traces/redis.ptr.xz", "/tmp", &trace, message);

	(void)state;
	if (error == -ENOTSUP)
		skip();
	if (error != 0)
		fail_msg("%s", message);
	info = ptrace_info(trace);
	assert_string_equal(info->name, "redis");
	assert_int_equal(info->records, 741795);
	assert_int_equal(info->pages, 17537);
	assert_int_equal(info->peak_pages, 17531);
	assert_int_equal(info->window_pages, 512);
	for (uint32_t op = 0; op < NR_PTRACE_OPS; op++)
		assert_int_equal(info->op_records[op], ops[op]);
	assert_int_equal(info->kind_pages[PTRACE_ANON], 16203);
	assert_int_equal(info->kind_pages[PTRACE_FILE], 748);
	assert_int_equal(info->kind_pages[PTRACE_CODE], 586);
	/* The demo's machine has at most a quarter of what the program needs. */
	assert_int_equal(replay_memory_bytes(info), (17531 + 3) / 4 * 4096);
	ptrace_close(trace);
}

static void test_unreadable_traces(void **state)
{
	static const uint8_t broken_xz[] = { 0xfd, '7', 'z', 'X', 'Z', 0, 0, 4, 1, 2, 3 };
	char message[PTRACE_MESSAGE_BYTES];
	struct ptrace *trace = NULL;
	int error;

	(void)state;
	assert_int_equal(ptrace_open("/no/such.ptr", "/tmp", &trace, message), -EINVAL);
	assert_non_null(strstr(message, "/no/such.ptr: cannot be read"));
	assert_int_equal(ptrace_open("traces/redis.ptr.xz", "/no/such/dir", &trace, message),
			 -ENOENT);
	assert_non_null(strstr(message, "no temporary file in /no/such/dir"));
	error = open_bytes(broken_xz, sizeof(broken_xz), &trace, message);
	assert_true(error == -EINVAL || error == -ENOTSUP);
	error = open_bytes((const uint8_t *)"", 0, &trace, message);
	assert_int_equal(error, -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decoding),	  cmocka_unit_test(test_places),
		cmocka_unit_test(test_scattered),	  cmocka_unit_test(test_damaged_traces),
		cmocka_unit_test(test_random_damage),	  cmocka_unit_test(test_shipped_trace),
		cmocka_unit_test(test_unreadable_traces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
