/*
 * Fuzz target: /proc/zoneinfo, the zones.
 *
 *     any bytes -> zoneinfo_parse() -> refused, with a sentence
 *                                   -> document -> zoneinfo_write() -> the same bytes
 *                                               -> snapshot -> five files of our own
 *
 * The input comes in a block of exactly its size and is not terminated, so the
 * address sanitizer sees a read of one byte too many. Whatever is accepted must be
 * printed back unchanged. If it describes a possible machine, the files of that
 * machine must be accepted in turn and have no line that 6.1 would not print.
 *
 * What must never happen: a crash, an error without a message, or a byte changed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "text/files.h"
#include "text/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Writes one file of the machine and reads it again. */
static void check_file(const struct text_file *file, const struct snapshot *snapshot)
{
	struct text_buf text, again;
	struct text_report report;
	struct text_error err;

	text_buf_init(&text);
	text_buf_init(&again);
	CHECK(file->write(snapshot, &text) == 0);
	if (text.bytes > 0) { /* a machine without populated zones has an empty buddyinfo */
		struct text_input in = { text.at, text.bytes, file->name };

		CHECK(file->reprint(&in, &again, &report, &err) == 0);
		CHECK(text_buf_equals(&again, text.at, text.bytes));
		text_report_free(&report);
	}
	text_buf_free(&text);
	text_buf_free(&again);
}

/* Looks up what diagnosis needs in every zone. */
static void look_up(const struct zoneinfo_doc *zoneinfo)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < zoneinfo->nr_zones && i < 64; i++) {
		const struct zoneinfo_zone *zone = &zoneinfo->zones[i];

		CHECK(zoneinfo_doc_zone(zoneinfo, zone->node, zone->name) != NULL);
		(void)zoneinfo_doc_get(zoneinfo, zone, "managed", &value);
		(void)zoneinfo_doc_node_get(zoneinfo, zone->node, "nr_dirty", &value);
		for (uint32_t n = 0; n < zone->nr_protection; n++)
			value ^= zone->protection[n];
		for (uint32_t n = 0; n < zone->nr_pagesets; n++)
			value ^= zone->pagesets[n].count;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct zoneinfo_doc *zoneinfo = NULL;
	struct snapshot *snapshot = NULL;
	struct text_error err;
	struct text_buf out;

	if (zoneinfo_parse((const char *)data, bytes, "zoneinfo", &zoneinfo, &err) != 0) {
		CHECK(zoneinfo == NULL && strlen(err.message) > 10);
		return 0;
	}
	text_buf_init(&out);
	CHECK(zoneinfo_write(zoneinfo, &out) == 0);
	CHECK(text_buf_equals(&out, (const char *)data, bytes));
	text_buf_free(&out);
	look_up(zoneinfo);
	struct snapshot_docs docs = { .zoneinfo = zoneinfo };
	if (snapshot_from_docs(&docs, &snapshot, &err) == 0) {
		for (const struct text_file *file = text_files; file->name != NULL; file++)
			check_file(file, snapshot);
		free(snapshot);
	} else {
		CHECK(snapshot == NULL && strlen(err.message) > 10);
	}
	zoneinfo_free(zoneinfo);
	return 0;
}
