/* The first page of a swap area, in the format that mkswap(8) writes. */
#ifndef NEAP_STORE_SWAP_HEADER_H
#define NEAP_STORE_SWAP_HEADER_H

#include "base/base.h"

#define SWAP_HEADER_BAD_MAX 637u
#define SWAP_HEADER_LABEL_BYTES 17u
#define SWAP_HEADER_LABEL "neap"

struct swap_header_info {
	uint64_t last_page; /* number of the last usable page; the area has last_page + 1 */
	uint32_t nr_bad;
	uint32_t bad[SWAP_HEADER_BAD_MAX];   /* page numbers that must not be used */
	char label[SWAP_HEADER_LABEL_BYTES]; /* terminated; unprintable bytes as '?' */
};

/*
 * Fills one page with the header of an area of `pages` pages labelled "neap".
 * => pages is 2..2^32; uuid has 16 bytes
 */
void swap_header_write(void *page, uint64_t pages, const uint8_t *uuid);

/*
 * Reads and checks a header against an area of `area_pages` pages. *out covers the
 * part of the area that exists: last_page is cut to it, bad pages behind it are dropped.
 * => NULL, or what is wrong as the end of a sentence ("... has no swap header")
 */
const char *MUST_CHECK swap_header_read(const void *page, uint64_t area_pages,
					struct swap_header_info *out);

#endif
