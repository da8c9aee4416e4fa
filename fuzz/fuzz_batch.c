/*
 * Fuzz target: tables of writes, as `neap sysctl --batch` reads them.
 *
 *     any bytes ──> batch_parse() ──> refused, with a sentence
 *                                ──> every write performed on a saved machine
 *
 * What must never happen: a crash, an error without a message, a line of the result that has not
 * seven columns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "cmd/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Tabs within a column are escaped; those of the path end it. */
static void check_line(const struct text_buf *out)
{
	uint32_t tabs = 0;

	for (size_t i = 0; i < out->bytes; i++)
		tabs += out->at[i] == '\t';
	CHECK(tabs == 6 && out->at[out->bytes - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct saved saved;
	struct text_error err;
	struct batch batch;
	struct text_input in = { (const char *)data, bytes, "table" };

	if (batch_parse(&in, &batch, &err) != 0) {
		CHECK(strlen(err.message) > 10 && err.line != 0);
		return 0;
	}
	CHECK(saved_init(&saved, 262144, 2) == 0);
	for (uint32_t i = 0; i < batch.nr; i++) {
		struct text_buf out;

		text_buf_init(&out);
		CHECK(batch_perform(&saved, &batch.write[i], &out) <=
		      (int64_t)batch.write[i].bytes);
		check_line(&out);
		text_buf_free(&out);
	}
	saved_free(&saved);
	batch_free(&batch);
	return 0;
}
