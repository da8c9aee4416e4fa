/*
 * Fuzz target: /proc/buddyinfo, the free blocks of each zone.
 *
 *     any bytes -> buddyinfo_parse() -> refused, with a sentence
 *                               -> document -> buddyinfo_write() -> the same bytes
 *                                           -> snapshot -> text of our own
 *
 * The input comes in a block of exactly its size and is not terminated, so the
 * address sanitizer sees a read of one byte too many. Whatever is accepted must be
 * printed back unchanged, must be usable for a snapshot, and what a machine like
 * that prints must be accepted in turn.
 *
 * What must never happen: a crash, an error without a message, or a byte changed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/buddyinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Uses an accepted document as a command would: as part of a machine. */
static void use_buddyinfo(const struct buddyinfo_doc *buddyinfo)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));
	struct buddyinfo_doc *again = NULL;
	struct text_buf out;

	CHECK(snapshot != NULL);
	snapshot->nr_nodes = 1;
	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
		snapshot->node[0].zone[z].type = z;
		snapshot->node[0].zone[z].present = 1;
	}
	buddyinfo_fill_snapshot(buddyinfo, snapshot);
	/* Sums of what the file says; the sanitizer watches the shifts. */
	for (uint32_t i = 0; i < buddyinfo->doc.nr_lines; i++) {
		const struct text_line *line = &buddyinfo->doc.lines[i];

		(void)buddyinfo_doc_free_pages(buddyinfo, (uint32_t)line->value, line->name);
	}
	text_buf_init(&out);
	CHECK(buddyinfo_from_snapshot(snapshot, &again) == 0);
	CHECK(buddyinfo_write(again, &out) == 0);
	buddyinfo_free(again);
	CHECK(buddyinfo_parse(out.at, out.bytes, "buddyinfo", &again, NULL) == 0);
	CHECK(again->doc.nr_unknown == 0 && again->doc.nr_odd == 0);
	buddyinfo_free(again);
	text_buf_free(&out);
	free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct buddyinfo_doc *buddyinfo = NULL;
	struct text_error err;
	struct text_buf out;

	if (buddyinfo_parse((const char *)data, bytes, "buddyinfo", &buddyinfo, &err) != 0) {
		CHECK(buddyinfo == NULL && strlen(err.message) > 10);
		return 0;
	}
	text_buf_init(&out);
	CHECK(buddyinfo_write(buddyinfo, &out) == 0);
	CHECK(text_buf_equals(&out, (const char *)data, bytes));
	text_buf_reset(&out);
	CHECK(text_doc_unknown_names(&buddyinfo->doc, &out) == 0);
	text_buf_free(&out);
	use_buddyinfo(buddyinfo);
	buddyinfo_free(buddyinfo);
	return 0;
}
