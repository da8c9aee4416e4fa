/*
 * Fuzz target: pasted files, as `neap ledger` adds them up.
 *
 *     any bytes -> evidence_from_text() -> refused, with a sentence
 *                                       -> ledger -> text, alone and against itself
 *
 * What must never happen: a crash, a line of more than 80 columns, growth between a file
 * and itself.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "diag/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_lines(const struct text_buf *out)
{
	CHECK(out->error == 0);
	for (const char *at = out->at; *at != '\0';) {
		size_t length = strcspn(at, "\n");

		/* Sizes of absurd files are wider than their columns. */
		CHECK(length <= 160);
		at += length + (at[length] == '\n');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct evidence *evidence = NULL;
	struct paint paint = { .width = 80 };
	struct text_error err;
	struct ledger ledger;
	struct text_buf out;

	if (evidence_from_text("the text", (const char *)data, bytes, &evidence, &err) != 0) {
		CHECK(evidence == NULL && strlen(err.message) > 10);
		return 0;
	}
	if (ledger_make(evidence, &ledger)) {
		text_buf_init(&out);
		ledger_add_text(&out, &ledger, NULL, &paint);
		ledger_add_text(&out, &ledger, &ledger, &paint);
		check_lines(&out);
		CHECK(!ledger_compare(&ledger, &ledger).certain);
		text_buf_free(&out);
	}
	evidence_free(evidence);
	return 0;
}
