/*
 * What the fuzz targets of plain documents share.
 *
 *     any bytes -> text_doc_load() -> refused, with a sentence
 *                                  -> document -> text_doc_write() -> the same bytes
 *                                              -> the target's own look at it
 *
 * The input comes in a block of exactly its size and is not terminated, so the address
 * sanitizer sees a read of one byte too many.
 */
#ifndef NEAP_FUZZ_TEXT_H
#define NEAP_FUZZ_TEXT_H

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/snapshot.h"
#include "text/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/*
 * Parses the input as the format and checks that it is printed back unchanged.
 * => the document, to be freed with text_doc_free(); NULL if the input was refused
 */
UNUSED static struct text_doc *fuzz_text_load(const struct text_format *format, const uint8_t *data,
					      size_t bytes)
{
	struct text_input in = { (const char *)data, bytes, format->title };
	struct text_doc *doc = NULL;
	struct text_error err;
	struct text_buf out;

	if (text_doc_load(format, &in, &doc, &err) != 0) {
		CHECK(doc == NULL && strlen(err.message) > 10);
		CHECK(strcmp(err.file, format->title) == 0);
		return NULL;
	}
	text_buf_init(&out);
	CHECK(text_doc_write(doc, &out) == 0);
	CHECK(text_buf_equals(&out, (const char *)data, bytes));
	text_buf_reset(&out);
	CHECK(text_doc_unknown_names(doc, &out) == 0);
	text_buf_free(&out);
	return doc;
}

/* A document made from a snapshot: what it prints is accepted and has no strange line. */
UNUSED static void fuzz_text_again(struct text_doc *made, int error)
{
	struct text_doc *parsed = NULL;
	struct text_buf text;

	CHECK(error == 0 && made->nr_odd == 0 && made->nr_unknown == 0);
	text_buf_init(&text);
	CHECK(text_doc_write(made, &text) == 0);
	if (text.bytes > 0) {
		parsed = fuzz_text_load(made->format, (const uint8_t *)text.at, text.bytes);
		CHECK(parsed != NULL && parsed->nr_odd == 0 && parsed->nr_unknown == 0);
	}
	text_buf_free(&text);
	text_doc_free(parsed);
	text_doc_free(made);
}

/* A machine of two nodes with every zone, no CPU and nothing else. */
UNUSED static struct snapshot *fuzz_text_machine(void)
{
	struct snapshot *snapshot = calloc(1, snapshot_bytes(2));

	CHECK(snapshot != NULL);
	snapshot->nr_nodes = 2;
	for (uint32_t i = 0; i < 2 * NEAP_NR_ZONES; i++) {
		struct snapshot_node *node = &snapshot->node[i / NEAP_NR_ZONES];

		node->id = i / NEAP_NR_ZONES;
		node->zone[i % NEAP_NR_ZONES].node = node->id;
		node->zone[i % NEAP_NR_ZONES].type = i % NEAP_NR_ZONES;
		node->zone[i % NEAP_NR_ZONES].present = 1;
	}
	return snapshot;
}

#endif
