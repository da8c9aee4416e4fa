/*
 * What is wrong with a machine, what is only remarkable, and what its files do not tell.
 */
#ifndef NEAP_DIAG_EXPLAIN_H
#define NEAP_DIAG_EXPLAIN_H

#include "diag/evidence.h"
#include "diag/marks.h"
#include "diag/paint.h"
#include "diag/state.h"

enum explain_level {
	EXPLAIN_FINDING, /* failing, stalling or about to, shown by this input */
	EXPLAIN_NOTE,	 /* true, and harmless here */
	EXPLAIN_UNKNOWN, /* the input cannot tell; names the file that would */
};

/* Lines are separated by newlines, the last one has none. */
struct explain_item {
	enum explain_level level;
	uint32_t rank;		 /* smaller is more important within a level */
	const char *id;		 /* stable: "kswapd-cannot-rest" */
	struct text_buf title;	 /* one sentence without full stop */
	struct text_buf proof;	 /* a line each: "FILE: what it says" */
	struct text_buf what_to; /* what to do */
	struct text_buf not_to;	 /* what not to do */
	struct text_buf check;	 /* how to see that it helped */
};

enum explain_kswapd {
	KSWAPD_UNKNOWN,
	KSWAPD_SLEEPS,	/* and will until it is woken */
	KSWAPD_RESTS,	/* asleep, or in the nap of 100 ms that follows work */
	KSWAPD_AWAKE,	/* at work, or in that nap */
	KSWAPD_GAVE_UP, /* and is not woken any more */
};

/* Statements about a node that a trace could confirm. */
struct explain_node {
	enum explain_kswapd kswapd;
	const char *kswapd_because;
	bool balanced; /* one zone passes the test that lets kswapd sleep */
	bool boost_known;
	uint64_t boost_pages; /* of all its zones */
};

/* When tasks last reclaimed for themselves, as far as counters tell. */
enum explain_direct {
	DIRECT_UNKNOWN,
	DIRECT_NEVER,	/* since boot */
	DIRECT_BEFORE,	/* since boot; when is not known, or before the first reading */
	DIRECT_BETWEEN, /* the two readings */
};

#define EXPLAIN_ITEMS_MAX 64u

struct explain {
	const struct evidence *before, *after; /* before: NULL if there is one reading only */
	struct state *state;		       /* of `after`; NULL without a zoneinfo */
	struct marks_machine *marks;	       /* likewise */
	double seconds;			       /* between the readings; 0: not known */
	const char *set;		       /* writes to be tried, "NAME=VALUE,..."; NULL */
	struct explain_node node[NEAP_MAX_NODES];
	enum explain_direct direct;
	uint64_t direct_count; /* in the time that `direct` names */
	uint32_t nr_items;
	struct explain_item item[EXPLAIN_ITEMS_MAX];
	uint32_t nr_findings;
	int error; /* 0 or -ENOMEM, of anything that went into a text */
};

/*
 * Explains one reading, or two of the same machine. They must outlive the result.
 * set: what to try instead of the machine's settings, or NULL.
 * => 0 and *out, to be freed with explain_free(); -EINVAL (set or a setting is not understood)
 *    with *err filled; -ENOMEM
 */
MUST_CHECK int explain_new(const struct evidence *before, const struct evidence *after,
			   const char *set, struct explain **out, struct text_error *err);
void explain_free(struct explain *explain);

/* The first line: the most important finding, or that nothing is wrong. */
void explain_verdict_add(struct text_buf *out, const struct explain *explain);
/* Everything, at most 80 columns; all: every finding and note instead of three findings. */
void explain_add(struct text_buf *out, const struct explain *explain, bool all,
		 const struct paint *paint);
/* "kswapd0 sleeps; no task has reclaimed for itself since boot; no boost" */
void explain_state_add(struct text_buf *out, const struct explain *explain);
/* => "finding", "note", "unknown" */
const char *explain_level_word(enum explain_level level);
/* => the item of that id, or NULL */
const struct explain_item *explain_find(const struct explain *explain, const char *id);

#endif
