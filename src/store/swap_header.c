/*
 * The first page of a swap area.
 *
 * A swap area describes itself in its page 0, which is never used for data. The
 * format is the one mkswap(8) writes and Linux reads (swap "version 1"), so that
 * one file or partition serves both, and so that `file` and `blkid` can tell
 * what a left-over file is:
 *
 *     byte     0  boot block, not ours
 *           1024  u32 version = 1
 *           1028  u32 last page
 *           1032  u32 number of bad pages, at most 637
 *           1036  uuid, 16 bytes
 *           1052  label, 16 bytes, padded with zeroes
 *           1068  117 words of padding
 *           1536  u32 bad page numbers
 *           4086  "SWAPSPACE2"
 *
 * Numbers are in the byte order of the machine that wrote them. Linux swaps them
 * if need be; we refuse, because a swap area from another kind of machine is more
 * likely a mistake than a wish.
 *
 * Answers to read_swap_header() of mm/swapfile.c. As there, the area is cut to
 * the size of what it lies on, and a bad page number of 0 or beyond the last page
 * makes the header invalid.
 *
 * What must never happen: that a file which only looks like a swap area is
 * overwritten. Everything that can be wrong is an error here, never a default.
 */
#include "store/swap_header.h"

#include <string.h>

#define MAGIC "SWAPSPACE2"
#define MAGIC_BYTES 10u
#define MAGIC_AT (NEAP_PAGE_BYTES - MAGIC_BYTES)
#define VERSION_AT 1024u
#define LAST_PAGE_AT 1028u
#define NR_BAD_AT 1032u
#define UUID_AT 1036u
#define UUID_BYTES 16u
#define LABEL_AT 1052u
#define LABEL_BYTES 16u
#define BAD_AT 1536u

_Static_assert(BAD_AT + 4 * SWAP_HEADER_BAD_MAX <= MAGIC_AT, "the bad page list must fit");
_Static_assert(SWAP_HEADER_LABEL_BYTES == LABEL_BYTES + 1, "a label and its terminator");

static uint32_t word_get(const void *page, size_t at)
{
	uint32_t value;

	memcpy(&value, (const char *)page + at, sizeof(value));
	return value;
}

static void word_put(void *page, size_t at, uint32_t value)
{
	memcpy((char *)page + at, &value, sizeof(value));
}

void swap_header_write(void *page, uint64_t pages, const uint8_t *uuid)
{
	char *bytes = page;

	memset(bytes, 0, NEAP_PAGE_BYTES);
	word_put(page, VERSION_AT, 1);
	word_put(page, LAST_PAGE_AT, (uint32_t)(pages - 1));
	memcpy(bytes + UUID_AT, uuid, UUID_BYTES);
	memcpy(bytes + LABEL_AT, SWAP_HEADER_LABEL, sizeof(SWAP_HEADER_LABEL) - 1);
	memcpy(bytes + MAGIC_AT, MAGIC, MAGIC_BYTES);
}

/* Labels come from strangers and end up in messages, so only printable ASCII gets through. */
static void label_copy(char *out, const char *label)
{
	uint32_t used = 0;

	while (used < LABEL_BYTES && label[used] != '\0') {
		out[used] = label[used] >= ' ' && label[used] <= '~' ? label[used] : '?';
		used++;
	}
	out[used] = '\0';
}

static const char *bad_pages_read(const void *page, uint64_t area_pages, uint32_t last,
				  struct swap_header_info *out)
{
	uint32_t nr = word_get(page, NR_BAD_AT);

	if (nr > SWAP_HEADER_BAD_MAX)
		return "has a swap header with more bad pages than its list can hold";
	out->nr_bad = 0;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t bad = word_get(page, BAD_AT + 4 * (size_t)i);

		if (bad == 0)
			return "has a swap header that lists page 0 as bad";
		if (bad > last)
			return "has a swap header that lists a bad page beyond its end";
		if (bad < area_pages)
			out->bad[out->nr_bad++] = bad;
	}
	return NULL;
}

const char *swap_header_read(const void *page, uint64_t area_pages, struct swap_header_info *out)
{
	const char *bytes = page;
	uint32_t version = word_get(page, VERSION_AT);
	uint32_t last = word_get(page, LAST_PAGE_AT);

	memset(out, 0, sizeof(*out));
	if (memcmp(bytes + MAGIC_AT, MAGIC, MAGIC_BYTES) != 0)
		return "has no swap header";
	if (version == __builtin_bswap32(1))
		return "has a swap header in the byte order of another kind of machine";
	if (version != 1)
		return "has a swap header of an unknown version";
	if (last == 0)
		return "has a swap header for an empty area";
	if (area_pages < 2)
		return "has a swap header but no page behind it";
	label_copy(out->label, bytes + LABEL_AT);
	out->last_page = min_u64(last, area_pages - 1);
	return bad_pages_read(page, area_pages, last, out);
}
