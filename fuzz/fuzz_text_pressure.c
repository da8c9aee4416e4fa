/*
 * Fuzz target: /proc/pressure/memory.
 *
 *     any bytes -> document -> the same bytes
 *                           -> snapshot -> a file of our own -> document
 *
 * The averages are fixed-point numbers with exactly two digits, which is where a parser
 * may lose or invent one.
 *
 * What must never happen: a crash, an error without a message, or a byte changed.
 */
#include "fuzz_text.h"

#include "text/pressure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct text_doc *doc = fuzz_text_load(&pressure_format, data, bytes);
	struct text_doc *made = NULL;

	if (doc == NULL)
		return 0;
	struct snapshot *snapshot = fuzz_text_machine();
	pressure_fill_snapshot(doc, snapshot);
	int error = pressure_from_snapshot(snapshot, &made);
	fuzz_text_again(made, error);
	free(snapshot);
	text_doc_free(doc);
	return 0;
}
