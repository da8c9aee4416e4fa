/*
 * Decisions and numbers in words: the one formatter of terms.
 *
 *     free 4310 - unusable 511 < low 4400 + reserve 0 -> next zone
 *     share 771 = 1024 * 757805 / 1005375
 *     gap 757 = max(share/4 = 192, 0.1 % of managed = 757)
 *
 * Every function appends to a text buffer, without newline; errors stick to the buffer.
 */
#ifndef NEAP_DIAG_TERMS_H
#define NEAP_DIAG_TERMS_H

#include "core/plan.h"
#include "text/buf.h"

/* A zone's test against a mark: what a request, kswapd or compaction asks. */
struct terms_test {
	uint64_t free;	       /* pages, as the tester counts them */
	uint64_t unusable;     /* of them, not for this request: reserved blocks, CMA */
	const char *mark_name; /* "min", "low", "high", "min/2" ... */
	uint64_t mark;	       /* boost included */
	uint64_t reserve;      /* protection against requests with this limit */
};

/* => more is free than mark and reserve together */
bool terms_test_passes(const struct terms_test *test);
/* then: what follows ("next zone"); NULL for nothing */
void terms_test_add(struct text_buf *out, const struct terms_test *test, const char *then);

/* watermark_scale_factor as a part of a zone: "0.1 %". */
void terms_factor_add(struct text_buf *out, int64_t factor);
/* One zone's marks, term by term: where its min comes from, and its gap. */
void terms_min_add(struct text_buf *out, const struct plan *plan, const struct plan_zone *zone);
void terms_gap_add(struct text_buf *out, const struct plan *plan, const struct plan_zone *zone);
/* "protection from Normal 3912 = 1001535 / 256"; nothing when it protects itself from nobody. */
void terms_protection_add(struct text_buf *out, const struct plan *plan, uint32_t node,
			  uint32_t index);
/* Per-CPU lists: "high 382 = low 1528 / 4 CPUs; batch 63". */
void terms_limits_add(struct text_buf *out, const struct plan *plan, const struct plan_zone *zone);
/* Why min_free_kbytes has its value, as far as its value tells. */
void terms_min_free_add(struct text_buf *out, const struct plan *plan);
/* "2.9 GiB": three significant digits. */
void terms_bytes_add(struct text_buf *out, uint64_t pages);

/* => "DMA", ..., "HighMem", "Movable", "Device" */
const char *terms_zone_name(const struct plan *plan, uint32_t index);

#endif
