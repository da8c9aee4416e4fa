/*
 * Fuzz target: /proc/swaps, the swap areas.
 *
 *     any bytes -> swaps_parse() -> refused, with a sentence
 *                               -> document -> swaps_write() -> the same bytes
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
#include "text/swaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Uses an accepted document as a command would: as part of a machine. */
static void use_swaps(const struct swaps_doc *swaps)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));
	struct swaps_doc *again = NULL;
	struct text_buf out;

	CHECK(snapshot != NULL);
	snapshot->nr_nodes = 1;
	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
		snapshot->node[0].zone[z].type = z;
		snapshot->node[0].zone[z].present = 1;
	}
	/* More areas than a machine can have are refused; that is a result like another. */
	if (swaps_fill_snapshot(swaps, snapshot) != 0)
		CHECK(swaps_doc_count(swaps) > NEAP_MAX_SWAPS);
	text_buf_init(&out);
	CHECK(swaps_from_snapshot(snapshot, &again) == 0);
	CHECK(swaps_write(again, &out) == 0);
	swaps_free(again);
	CHECK(swaps_parse(out.at, out.bytes, "swaps", &again, NULL) == 0);
	CHECK(again->doc.nr_unknown == 0 && again->doc.nr_odd == 0);
	swaps_free(again);
	text_buf_free(&out);
	free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct swaps_doc *swaps = NULL;
	struct text_error err;
	struct text_buf out;

	if (swaps_parse((const char *)data, bytes, "swaps", &swaps, &err) != 0) {
		CHECK(swaps == NULL && strlen(err.message) > 10);
		return 0;
	}
	text_buf_init(&out);
	CHECK(swaps_write(swaps, &out) == 0);
	CHECK(text_buf_equals(&out, (const char *)data, bytes));
	text_buf_reset(&out);
	CHECK(text_doc_unknown_names(&swaps->doc, &out) == 0);
	text_buf_free(&out);
	use_swaps(swaps);
	swaps_free(swaps);
	return 0;
}
