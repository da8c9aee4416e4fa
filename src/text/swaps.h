/*
 * /proc/swaps: a header, then one swap area a line (spec 05, section 6).
 */
#ifndef NEAP_TEXT_SWAPS_H
#define NEAP_TEXT_SWAPS_H

#include "core/snapshot.h"
#include "text/doc.h"

#define SWAPS_HEADER 1u	   /* line kind: the column titles */
#define SWAPS_FILE 2u	   /* line kinds: an area; name = path as printed (escaped), */
#define SWAPS_PARTITION 3u /* list = size kB, used kB; value = priority, two's complement */

struct swaps_doc {
	struct text_doc doc;
};

struct swaps_area {
	const char *path; /* as printed: blanks and backslashes as octal escapes */
	bool is_file;
	uint64_t size_kb; /* without the header page */
	uint64_t used_kb;
	int64_t priority;
};

/* => 0 and *out; -EINVAL, -EFBIG with *err filled; -ENOMEM */
MUST_CHECK int swaps_parse(const char *text, size_t bytes, const char *file_name,
			   struct swaps_doc **out, struct text_error *err);
/* The file of a machine. => 0 and *out, or -ENOMEM */
MUST_CHECK int swaps_from_snapshot(const struct snapshot *snapshot, struct swaps_doc **out);
int swaps_write(const struct swaps_doc *swaps, struct text_buf *out);
void swaps_free(struct swaps_doc *swaps);

uint32_t swaps_doc_count(const struct swaps_doc *swaps);
/* The area at `index`, below swaps_doc_count(), in the file's order. */
struct swaps_area swaps_doc_area(const struct swaps_doc *swaps, uint32_t index);

/*
 * Turns a printed path into the real one: \040 is a blank, and so on. A backslash
 * that begins no octal escape stays.
 * => bytes of the path, without the NUL; the result is cut at room - 1 bytes and terminated
 */
size_t swaps_path_decode(const char *printed, char *path, size_t room);

/*
 * Enters the areas and their totals into a snapshot. Paths longer than it can hold are cut.
 * => 0, or -E2BIG if the file has more areas than any kernel (NEAP_MAX_SWAPS)
 */
MUST_CHECK int swaps_fill_snapshot(const struct swaps_doc *swaps, struct snapshot *snapshot);

#endif
