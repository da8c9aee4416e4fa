/*
 * Fuzz target: /proc/pagetypeinfo.
 *
 *     any bytes -> document -> the same bytes
 *                           -> every list and block count looked up
 *                           -> snapshot -> a file of our own -> document
 *
 * Columns of the second table mean what its head says, and heads may come in any number and
 * order, with any words.
 *
 * What must never happen: a crash, an error without a message, or a byte changed.
 */
#include "fuzz_text.h"

#include "text/pagetypeinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct text_doc *doc = fuzz_text_load(&pagetypeinfo_format, data, bytes);

	if (doc == NULL)
		return 0;
	for (uint32_t i = 0; i < doc->nr_lines && i < 64; i++) {
		const struct text_line *line = &doc->lines[i];
		struct pagetypeinfo_key key = { (uint32_t)line->value, line->name, "Movable" };
		uint32_t nr_orders = 0;
		uint64_t blocks = 0;

		if (line->kind == PAGETYPEINFO_FREE) {
			key.type = line->word;
			CHECK(pagetypeinfo_doc_free(doc, &key, &nr_orders) != NULL);
			CHECK(nr_orders > 0);
		}
		if (line->kind == PAGETYPEINFO_BLOCKS)
			(void)pagetypeinfo_doc_blocks(doc, &key, &blocks);
	}
	struct snapshot *snapshot = fuzz_text_machine();
	struct text_doc *made = NULL;

	pagetypeinfo_fill_snapshot(doc, snapshot);
	int error = pagetypeinfo_from_snapshot(snapshot, &made);
	fuzz_text_again(made, error);
	free(snapshot);
	text_doc_free(doc);
	return 0;
}
