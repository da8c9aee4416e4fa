/*
 * Reports that are the same for a reader, told once with their number.
 */
#ifndef NEAP_DIAG_DECODE_GROUP_H
#define NEAP_DIAG_DECODE_GROUP_H

#include "diag/decode.h"
#include "diag/paint.h"

#define DECODE_GROUPS_MAX 64u
#define DECODE_COMMS 4u

/* A report without its Mem-Info: what is told of it comes from the verdict. */
struct decode_group {
	enum decode_kind kind;
	uint64_t count;
	uint64_t first_line, last_line; /* of the log */
	char first_when[40], last_when[40];
	char comm[DECODE_COMMS][DECODE_COMM_BYTES]; /* who asked, at most so many names */
	uint32_t nr_comms, nr_more_comms;
	struct decode_report *report; /* the first one; its memory is not kept */
	struct decode_verdict verdict;
	uint32_t page_kb;
	uint32_t nr_uses;
	struct decode_use use[DECODE_USES];
	uint64_t total_pages;
	bool has_swap;
	uint64_t swap_free_kb, swap_total_kb;
	uint32_t hopeless; /* nodes whose reclaim had given up ("all_unreclaimable? yes") */
};

struct decode_groups {
	uint32_t nr;
	uint64_t nr_reports;
	uint64_t nr_left_out; /* reports of groups beyond the table */
	struct decode_group *group[DECODE_GROUPS_MAX];
};

/* Enters a report. Reports of one kind, request and cause are one group. => 0 or -ENOMEM */
int decode_groups_add(struct decode_groups *groups, const struct decode_report *report);
void decode_groups_free(struct decode_groups *groups);
/* Whether any report tells of something that failed or hangs. */
bool decode_groups_finding(const struct decode_groups *groups);

/* Appends one group in words, at most 80 columns. */
void decode_group_add_text(struct text_buf *out, const struct decode_group *group,
			   const struct paint *paint);
/* The verdict alone, one sentence without newline. */
void decode_verdict_add(struct text_buf *out, const struct decode_group *group);
/* What a flag of the request means; NULL if it says nothing about where memory comes from. */
const char *decode_flag_words(uint32_t bit);
/* "3/8 min": the mark that the request's rights leave of min. */
const char *decode_mark_name(const struct decode_zone *zone, bool reclaiming);
/* Where a hanging thread waits, in words; NULL if its frames do not tell. */
const char *decode_wait_words(const struct decode_report *report);

#endif
