/* The first page of a swap area: written, read back, and broken in every way. */
#include <string.h>

#include "store/swap_header.h"
#include "store_fixture.h"

static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

struct page {
	char bytes[NEAP_PAGE_BYTES];
};

static void put_word(struct page *page, size_t at, uint32_t value)
{
	memcpy(page->bytes + at, &value, sizeof(value));
}

static void good(struct page *page, uint64_t pages)
{
	memset(page, 0xee, sizeof(*page));
	swap_header_write(page, pages, uuid);
}

static void assert_wrong(const struct page *page, uint64_t pages, const char *what)
{
	struct swap_header_info info;
	const char *wrong = swap_header_read(page, pages, &info);

	assert_non_null(wrong);
	if (strstr(wrong, what) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", wrong, what);
}

static void test_round_trip(void **state)
{
	struct swap_header_info info;
	struct page page;

	(void)state;
	good(&page, 1000);
	assert_null(swap_header_read(&page, 1000, &info));
	assert_int_equal(info.last_page, 999);
	assert_int_equal(info.nr_bad, 0);
	assert_string_equal(info.label, "neap");
	assert_memory_equal(page.bytes + 4086, "SWAPSPACE2", 10);
	assert_memory_equal(page.bytes + 1036, uuid, 16);
	good(&page, (uint64_t)1 << 32);
	assert_null(swap_header_read(&page, (uint64_t)1 << 32, &info));
	assert_true(info.last_page == UINT32_MAX);
}

static void test_cut_to_size(void **state)
{
	struct swap_header_info info;
	struct page page;

	(void)state;
	good(&page, 1000);
	put_word(&page, 1032, 2);
	put_word(&page, 1536, 5);
	put_word(&page, 1540, 700);
	assert_null(swap_header_read(&page, 500, &info));
	assert_int_equal(info.last_page, 499);
	assert_int_equal(info.nr_bad, 1);
	assert_int_equal(info.bad[0], 5);
	assert_null(swap_header_read(&page, 2000, &info));
	assert_int_equal(info.last_page, 999);
	assert_int_equal(info.nr_bad, 2);
}

static void test_wrong(void **state)
{
	struct page page;

	(void)state;
	good(&page, 100);
	assert_wrong(&page, 1, "no page behind it");
	page.bytes[4095] = '1';
	assert_wrong(&page, 100, "no swap header");
	memset(&page, 0, sizeof(page));
	assert_wrong(&page, 100, "no swap header");
	good(&page, 100);
	put_word(&page, 1024, 2);
	assert_wrong(&page, 100, "unknown version");
	put_word(&page, 1024, __builtin_bswap32(1));
	assert_wrong(&page, 100, "byte order");
	good(&page, 100);
	put_word(&page, 1028, 0);
	assert_wrong(&page, 100, "empty area");
}

static void test_bad_pages(void **state)
{
	struct swap_header_info info;
	struct page page;

	(void)state;
	good(&page, 1000);
	put_word(&page, 1032, 638);
	assert_wrong(&page, 1000, "more bad pages");
	put_word(&page, 1032, 637);
	assert_wrong(&page, 1000, "page 0 as bad");
	for (uint32_t i = 0; i < 637; i++)
		put_word(&page, 1536 + 4 * (size_t)i, i + 1);
	assert_null(swap_header_read(&page, 1000, &info));
	assert_int_equal(info.nr_bad, 637);
	assert_int_equal(info.bad[636], 637);
	put_word(&page, 1536, 1000);
	assert_wrong(&page, 1000, "beyond its end");
	put_word(&page, 1536, 999);
	assert_null(swap_header_read(&page, 1000, &info));
}

static void test_label_is_tamed(void **state)
{
	struct swap_header_info info;
	struct page page;

	(void)state;
	good(&page, 100);
	memcpy(page.bytes + 1052, "a\033b\377cdefghijklmn", 16);
	assert_null(swap_header_read(&page, 100, &info));
	assert_string_equal(info.label, "a?b?cdefghijklmn");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_cut_to_size),
		cmocka_unit_test(test_wrong),	       cmocka_unit_test(test_bad_pages),
		cmocka_unit_test(test_label_is_tamed),
	};

	return cmocka_run_group_tests_name("store_swap_header", tests, NULL, NULL);
}
