/*
 * Would this allocation succeed now, and if not, at which step would it fail?
 */
#ifndef NEAP_DIAG_REQUEST_H
#define NEAP_DIAG_REQUEST_H

#include "core/alloc_dry.h"
#include "core/compact.h"
#include "diag/paint.h"
#include "diag/state.h"

enum request_verdict {
	REQUEST_FAST,	  /* the first walk gets it: nobody notices */
	REQUEST_SLOW,	  /* the second walk does, after kswapd was asked for help */
	REQUEST_STALLS,	  /* it has to reclaim or compact first, and may well succeed */
	REQUEST_FAILS,	  /* nothing that it may do helps */
	REQUEST_UNKNOWN,  /* a file is missing that decides */
	REQUEST_NONSENSE, /* no kernel accepts such a request */
};

/* kswapd of a node, if the request wakes it. */
enum request_wake {
	WAKE_NOT_ASKED,
	WAKE_BALANCES, /* it has work: no zone is above its high mark */
	WAKE_BALANCED, /* it would find the node balanced and is left asleep */
	WAKE_HOPELESS, /* it gave up and is not woken */
};

/* What compaction thinks of a zone. */
struct request_compact {
	const struct zone *zone;
	enum compact_result result; /* SUCCESS, SKIPPED, CONTINUE */
	int32_t index;		    /* fragmentation index, in thousandths */
};

/* What reclaim could make of a zone. */
struct request_reclaim {
	const struct zone *zone;
	uint64_t pages; /* reclaimable at most */
	struct watermark_terms terms;
	bool serves;
};

#define REQUEST_ZONES_MAX 64u

struct request {
	uint32_t gfp, order, node; /* node: index */
	enum request_verdict verdict;
	const char *why; /* the step that decides, in words */
	struct alloc_context context;
	struct dry_walk fast, slow;
	bool went_slow;
	uint32_t slow_flags;
	enum request_wake wake; /* of the preferred node */
	bool boosted;		/* the preferred node is */
	bool may_sleep;
	bool compacts_first;
	struct request_compact compact[REQUEST_ZONES_MAX];
	uint32_t nr_compact;
	struct request_reclaim reclaim[REQUEST_ZONES_MAX];
	uint32_t nr_reclaim;
	bool oom; /* failing, it would call the OOM killer */
};

/* Performs it on the state, without effect. node: index. */
void request_run(struct state *state, uint32_t gfp, uint32_t order, uint32_t node,
		 struct request *out);

/* ---- text, at most 80 columns; one line without newline for the verdict ---- */

void request_verdict_add(struct text_buf *out, const struct request *request);
void request_add(struct text_buf *out, const struct state *state, const struct request *request,
		 const struct paint *paint);
/* "free 4310 - unusable 511 < low 4400 + reserve 0" of a step, with what follows. */
void request_step_add(struct text_buf *out, const struct dry_step *step, const char *mark_name,
		      const char *then);
/* => "fast", "slow", "stalls", "fails", "unknown", "invalid" */
const char *request_verdict_word(enum request_verdict verdict);

#endif
