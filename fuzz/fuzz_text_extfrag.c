/*
 * Fuzz target: extfrag_index and unusable_index, and the numbers in them.
 *
 *     any bytes -> extfrag_index  -> the same bytes -> every number looked up
 *               -> unusable_index -> the same bytes
 *               -> free lists     -> both files of our own -> documents
 *
 * The bytes are also taken as counts of free blocks, eight for each, as they come.
 *
 * What must never happen: a number outside its range, whatever the free lists are.
 */
#include "fuzz_text.h"

#include "core/fragindex.h"
#include "text/extfrag.h"

/* Both files of a machine whose first zone has the free lists that the input spells. */
static void check_lists(struct snapshot *snapshot, const uint8_t *data, size_t bytes)
{
	struct snapshot_zone *zone = &snapshot->node[0].zone[0];
	struct text_doc *made = NULL;

	memcpy(zone->nr_free, data, bytes < sizeof(zone->nr_free) ? bytes : sizeof(zone->nr_free));
	for (uint32_t order = 0; order < NEAP_NR_ORDERS; order++) {
		struct fragindex frag = fragindex_count(zone->nr_free, NEAP_NR_ORDERS, order);

		CHECK(fragindex_external(&frag) <= 1000);
		CHECK(fragindex_unusable(&frag) <= 1000);
		CHECK(fragindex_unusable_percent(&frag) <= 100);
	}
	int error = extfrag_index_from_snapshot(snapshot, &made);
	fuzz_text_again(made, error);
	error = unusable_index_from_snapshot(snapshot, &made);
	fuzz_text_again(made, error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct snapshot *snapshot = fuzz_text_machine();
	struct text_doc *index = fuzz_text_load(&extfrag_index_format, data, bytes);
	struct text_doc *unusable = fuzz_text_load(&unusable_index_format, data, bytes);

	for (uint32_t i = 0; index != NULL && i < NEAP_NR_ZONES * NEAP_NR_ORDERS; i++) {
		int64_t value = 0;

		(void)extfrag_doc_get(index, &snapshot->node[0].zone[i / NEAP_NR_ORDERS],
				      i % NEAP_NR_ORDERS, &value);
	}
	check_lists(snapshot, data, bytes);
	text_doc_free(index);
	text_doc_free(unusable);
	free(snapshot);
	return 0;
}
