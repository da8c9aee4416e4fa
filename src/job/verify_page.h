/*
 * One page's contents: filling, stamping, comparing, and reading a stamp back.
 */
#ifndef NEAP_JOB_VERIFY_PAGE_H
#define NEAP_JOB_VERIFY_PAGE_H

#include "base/base.h"
#include "job/job.h"

/* What a page holds: version 0 is a page of zeros. */
struct stamp {
	uint32_t object;
	uint32_t page;
	uint32_t version;
	enum job_fill fill;
};

struct verify_difference {
	uint32_t word;
	uint64_t expected, found;
};

enum verify_content {
	VERIFY_CONTENT_ZERO,	/* all zero */
	VERIFY_CONTENT_STAMPED, /* a complete stamp */
	VERIFY_CONTENT_TORN,	/* the two halves of the stamp do not belong together */
	VERIFY_CONTENT_FOREIGN, /* no stamp */
};

/* Writes all of a page (4096 bytes, aligned to 8). */
void verify_page_fill(void *data, const struct stamp *stamp);
/* Writes the two stamp words only. */
void verify_page_stamp(void *data, const struct stamp *stamp);
/* => do the two stamp words agree? */
bool verify_page_is_stamped(const void *data, const struct stamp *stamp);
/* => does the whole page agree? */
bool verify_page_is(const void *data, const struct stamp *stamp);
/* => the first word that differs; word 512 if none does */
struct verify_difference verify_page_compare(const void *data, const struct stamp *stamp);
/* => what the page is, and *found when it is stamped or torn */
enum verify_content verify_page_content(const void *data, struct stamp *found);

/* The same for machines of tags. */
uint64_t verify_page_tag(const struct stamp *stamp);
struct verify_difference verify_page_tag_compare(uint64_t tag, const struct stamp *stamp);
enum verify_content verify_page_tag_content(uint64_t tag, struct stamp *found);

/* => a hash of the first bytes of a user's page */
uint32_t verify_page_hash(const void *data, size_t bytes);

#endif
