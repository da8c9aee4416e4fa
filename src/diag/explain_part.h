/*
 * The parts of an explanation: shared by the files explain*.c only.
 */
#ifndef NEAP_DIAG_EXPLAIN_PART_H
#define NEAP_DIAG_EXPLAIN_PART_H

#include "diag/explain.h"

/* Ranks: what fails comes before what stalls, what stalls before its causes. */
enum explain_rank {
	RANK_FAILS = 10,
	RANK_STALLS = 20,
	RANK_KSWAPD = 30,
	RANK_CAUSE = 40,
	RANK_SETTING = 50,
	RANK_MINOR = 60,
};

/* Begins an item. => never NULL; beyond EXPLAIN_ITEMS_MAX the last one is used up */
struct explain_item *explain_item(struct explain *x, enum explain_level level, uint32_t rank,
				  const char *id);
/* Each appends a line. */
void explain_title(struct explain_item *item, const char *format, ...) PRINTF_LIKE(2, 3);
void explain_proof(struct explain_item *item, const char *format, ...) PRINTF_LIKE(2, 3);
void explain_do(struct explain_item *item, const char *format, ...) PRINTF_LIKE(2, 3);
void explain_not(struct explain_item *item, const char *format, ...) PRINTF_LIKE(2, 3);
void explain_check(struct explain_item *item, const char *format, ...) PRINTF_LIKE(2, 3);

/* "2.9 GiB", with pages of the machine's size. */
const char *explain_size(const struct explain *x, uint64_t pages, char buf[24]);
const char *explain_kb_size(uint64_t kb, char buf[24]);

/* Growth between the readings. => false if there is one only, or the counter is missing */
bool explain_grown(const struct explain *x, enum evidence_counter counter, uint64_t *growth);
/* This state fails or stalls, or tasks reclaimed for themselves between the readings. */
bool explain_is_stalling(const struct explain *x);

/* ---- the rules; each adds items ---- */

void explain_nodes(struct explain *x);	  /* kswapd, balance, boost: first of all */
void explain_stalls(struct explain *x);	  /* PSI, direct reclaim, OOM, refaults */
void explain_group(struct explain *x);	  /* memory groups */
void explain_requests(struct explain *x); /* what requests of each kind would meet */
void explain_blocks(struct explain *x);	  /* fragmentation */
void explain_use(struct explain *x);	  /* tmpfs, CMA, pools, locked memory */
void explain_settings(struct explain *x); /* knobs, reserve, marks */
void explain_try(struct explain *x);	  /* what --set would do */
void explain_missing(struct explain *x);  /* files that are not there */

#endif
