/*
 * Fuzz target: kernel logs, as `neap decode` reads them.
 *
 *     any bytes -> lines -> reports -> judged, grouped -> text
 *
 * What must never happen: a crash, a line of more than 80 columns (names in the log are
 * short), a byte that a terminal would obey.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "diag/decode_group.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int add_report(void *arg, const struct decode_report *report)
{
	return decode_groups_add(arg, report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct decode_groups groups = { .nr = 0 };
	struct decode *decode = decode_new(add_report, &groups);
	struct paint paint = { .width = 80 };
	const char *text = (const char *)data;
	struct text_buf out;

	CHECK(decode != NULL);
	for (size_t at = 0; at < bytes;) {
		const char *end = memchr(text + at, '\n', bytes - at);
		size_t length = end != NULL ? (size_t)(end - (text + at)) : bytes - at;

		CHECK(decode_line(decode, text + at, (uint32_t)length) == 0);
		at += length + 1;
	}
	CHECK(decode_end(decode) == 0);
	text_buf_init(&out);
	for (uint32_t i = 0; i < groups.nr; i++)
		decode_group_add_text(&out, groups.group[i], &paint);
	CHECK(out.error == 0);
	for (size_t i = 0; i < out.bytes; i++)
		CHECK(out.at[i] == '\n' || (out.at[i] >= ' ' && out.at[i] <= '~'));
	text_buf_free(&out);
	decode_groups_free(&groups);
	decode_free(decode);
	return 0;
}
