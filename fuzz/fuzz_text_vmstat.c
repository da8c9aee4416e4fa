/*
 * Fuzz target: /proc/vmstat, the counters of the machine.
 *
 *     any bytes -> vmstat_parse() -> refused, with a sentence
 *                               -> document -> vmstat_write() -> the same bytes
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
#include "text/vmstat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Uses an accepted document as a command would: as part of a machine. */
static void use_vmstat(const struct vmstat_doc *vmstat)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(1));
	struct vmstat_doc *again = NULL;
	struct text_buf out;

	CHECK(snapshot != NULL);
	snapshot->nr_nodes = 1;
	for (uint32_t z = 0; z < NEAP_NR_ZONES; z++) {
		snapshot->node[0].zone[z].type = z;
		snapshot->node[0].zone[z].present = 1;
	}
	vmstat_fill_snapshot(vmstat, snapshot);
	text_buf_init(&out);
	CHECK(vmstat_from_snapshot(snapshot, &again) == 0);
	CHECK(vmstat_write(again, &out) == 0);
	vmstat_free(again);
	CHECK(vmstat_parse(out.at, out.bytes, "vmstat", &again, NULL) == 0);
	CHECK(again->doc.nr_unknown == 0 && again->doc.nr_odd == 0);
	vmstat_free(again);
	text_buf_free(&out);
	free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct vmstat_doc *vmstat = NULL;
	struct text_error err;
	struct text_buf out;

	if (vmstat_parse((const char *)data, bytes, "vmstat", &vmstat, &err) != 0) {
		CHECK(vmstat == NULL && strlen(err.message) > 10);
		return 0;
	}
	text_buf_init(&out);
	CHECK(vmstat_write(vmstat, &out) == 0);
	CHECK(text_buf_equals(&out, (const char *)data, bytes));
	text_buf_reset(&out);
	CHECK(text_doc_unknown_names(&vmstat->doc, &out) == 0);
	text_buf_free(&out);
	use_vmstat(vmstat);
	vmstat_free(vmstat);
	return 0;
}
