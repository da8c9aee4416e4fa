/*
 * Compaction (spec 20): making large free blocks by moving pages from the low end of a
 * zone to free frames at its high end.
 */
#ifndef NEAP_CORE_COMPACT_H
#define NEAP_CORE_COMPACT_H

#include "core/alloc_path.h"
#include "core/machine.h"
#include "core/migrate.h"

#define COMPACT_CLUSTER_PAGES 32u /* bite of the migrate scanner, and period of its pauses */
#define COMPACT_DEFER_SHIFT_MAX 6u
#define COMPACT_WHOLE (-1) /* order of a run that stops for no block */

/* What came of a run, a zone or a request. Callers keep the greatest over the zones. */
enum compact_result {
	COMPACT_NOT_SUITABLE_ZONE, /* in traces only: the index says "not fragmentation" */
	COMPACT_SKIPPED,	   /* not begun: too little free memory, or the index */
	COMPACT_DEFERRED,	   /* not begun: failed lately */
	COMPACT_NO_SUITABLE_PAGE,  /* in traces only: go on */
	COMPACT_CONTINUE,
	COMPACT_COMPLETE,	 /* all of the zone was scanned */
	COMPACT_PARTIAL_SKIPPED, /* the scanners met, but had not begun at the ends */
	COMPACT_CONTENDED,	 /* a lock, a fatal signal, too much isolated, or no target */
	COMPACT_SUCCESS,	 /* there should be a block now */
};

/* How hard a request compacts for itself; smaller is harder. */
enum compact_priority {
	COMPACT_PRIORITY_FULL,
	COMPACT_PRIORITY_LIGHT,
	COMPACT_PRIORITY_ASYNC,
};

/* Classes of results, as a retry's trace names them. */
enum compact_feedback {
	COMPACT_FEEDBACK_FAILED,
	COMPACT_FEEDBACK_WITHDRAWN,
	COMPACT_FEEDBACK_PROGRESS,
};

/* A block that a run completed and keeps for its request, instead of freeing it. */
struct compact_capture {
	struct zone *zone;
	uint32_t order;
	uint32_t pfn; /* PFN_NONE until there is one */
};

/* One run over one zone. Linux: struct compact_control. */
struct compact_control {
	/* The request. */
	struct zone *zone;
	int32_t order; /* COMPACT_WHOLE: everything */
	uint32_t gfp;
	uint32_t alloc_flags; /* ALLOC_*: which mark decides whether a run is needed */
	uint32_t highest;     /* zone index limit */
	enum migrate_mode mode;
	bool direct;			 /* run by the task that wants the block */
	bool proactive;			 /* run by the clock: stops at a score */
	bool whole_zone;		 /* from end to end, whatever earlier runs did */
	bool ignore_skip_hint;		 /* scan pageblocks although marked skip */
	bool no_set_skip_hint;		 /* leave marks and positions alone: a range is wanted */
	bool ignore_block_suitable;	 /* targets may lie in pageblocks of any type */
	struct compact_capture *capture; /* NULL: nothing is captured */
	/* The run's own. */
	uint32_t type;		 /* migrate type that the freed pages are wanted for */
	uint32_t migrate_pfn;	 /* position of the migrate scanner, going up */
	uint32_t free_pfn;	 /* position of the free scanner, going down */
	uint32_t fast_start_pfn; /* lowest a fast source search found; 0 none, UINT32_MAX used up */
	uint32_t fast_search_fail; /* fast searches in a row that failed */
	int32_t search_order;	   /* where the next fast target search begins */
	bool contended;
	bool rescan;	     /* take the rest of this pageblock in one go */
	struct list free;    /* targets: single frames with one reference */
	struct list migrate; /* isolated pages */
	uint32_t nr_free, nr_migrate;
	/* Results: positions looked at. */
	uint64_t nr_migrate_scanned, nr_free_scanned;
};

static inline uint32_t pageblock_start(uint32_t pfn)
{
	return pfn & ~(NEAP_PAGEBLOCK_PAGES - 1);
}

static inline uint32_t pageblock_end(uint32_t pfn)
{
	return pageblock_start(pfn) + NEAP_PAGEBLOCK_PAGES;
}

static inline bool pageblock_aligned(uint32_t pfn)
{
	return (pfn & (NEAP_PAGEBLOCK_PAGES - 1)) == 0;
}

/* ---- running (compact.c) ---- */

/*
 * One run over cc->zone as cc says (its first half; the rest is set here). May sleep as the mode
 * says.
 * => the result; nothing is isolated or held any more
 */
enum compact_result compact_zone(struct task *t, struct compact_control *cc);

/*
 * Compacts the zones that a request may use. May sleep; the caller set PF_MEMALLOC.
 * => the greatest result; capture->pfn: a block of the order without any reference, or PFN_NONE
 */
enum compact_result compact_direct(struct task *t, const struct alloc_context *ac,
				   enum compact_priority priority, struct compact_capture *capture);

/* Every zone of a node from end to end, synchronously (the file `compact` of a node). May sleep. */
void compact_node(struct task *t, struct node *node);
/* Every node (vm.compact_memory). May sleep. */
void compact_all(struct task *t, struct neap_machine *m);
/* Every zone of the node until its score is low enough (kcompactd, by the clock). May sleep. */
void compact_node_proactive(struct task *t, struct node *node);

/*
 * buddy_free() asks at every merge level whether the task's run wants the block.
 * => zone lock held; true: it was taken, with no list and no reference
 */
bool compact_capture_block(struct task *t, struct zone *zone, uint32_t pfn, uint32_t order,
			   uint32_t type);

/* ---- whether to run, and when to stop (compact_suit.c) ---- */

/* Is the zone worth a run? => SUCCESS (none needed), SKIPPED, CONTINUE */
enum compact_result compact_suit_zone(struct task *t, struct zone *zone, int32_t order,
				      uint32_t alloc_flags, uint32_t highest);
/* Could a zone of the request be, if everything reclaimable were free? */
bool compact_suit_after_reclaim(struct task *t, const struct alloc_context *ac);
/* The test between two bites. => CONTINUE, or the run's result */
enum compact_result compact_suit_finished(struct task *t, struct compact_control *cc);
/* Share of free memory in blocks too small for a huge page, in percent; of a node: weighted. */
uint32_t compact_suit_zone_score(const struct zone *zone);
uint32_t compact_suit_node_score(const struct node *node);
/* The score at which a proactive run stops, and above which one starts. */
uint32_t compact_suit_score_low(const struct neap_machine *m);
uint32_t compact_suit_score_high(const struct neap_machine *m);
/* kswapd of the node is at work. */
bool compact_suit_kswapd_runs(const struct node *node);
/* Free order-0 pages that a run wants beside the mark. Pages. */
static inline uint64_t compact_gap(uint32_t order)
{
	return (uint64_t)2 << order;
}

/* ---- what runs remember of a zone (compact_hint.c) ---- */

/* => the run passes over this zone: it failed lately */
bool compact_defer_test(struct task *t, struct zone *zone, uint32_t order);
void compact_defer_failure(struct task *t, struct zone *zone, uint32_t order);
/* allocated: the request has got its block. */
void compact_defer_success(struct task *t, struct zone *zone, uint32_t order, bool allocated);
/* The waiting after the worst series of failures is over: begin anew. */
bool compact_defer_restarting(const struct zone *zone, uint32_t order);

bool compact_skip_test(const struct neap_machine *m, uint32_t pfn);
/* => whether it was set before */
bool compact_skip_set(struct neap_machine *m, uint32_t pfn);
void compact_skip_clear(struct neap_machine *m, uint32_t pfn);
/* The migrate scanner has finished the pageblock before `pfn`. */
void compact_hint_migrate(const struct compact_control *cc, uint32_t pfn);
/* The free scanner has finished the pageblock that begins at `pfn`. */
void compact_hint_free(const struct compact_control *cc, uint32_t pfn);
/* Both positions back to the ends of the zone. */
void compact_hint_positions(struct zone *zone);
/*
 * Forgets the marks of the zone's useful pageblocks if a full scan asked for it, and places the
 * scanners at the outermost of them. May sleep.
 */
void compact_hint_reset(struct task *t, struct zone *zone);
/* The same for every zone of a node. */
void compact_hint_reset_node(struct task *t, struct node *node);

/* ---- the scanners (compact_scan.c, compact_free.c) ---- */

enum compact_scan {
	COMPACT_SCAN_NONE,
	COMPACT_SCAN_SOME,
	COMPACT_SCAN_ABORT,
};

/* Finds the next pageblock worth it and isolates a bite of it onto cc->migrate. May sleep. */
enum compact_scan compact_scan_migrate(struct task *t, struct compact_control *cc);
/*
 * Isolates movable pages of first..end-1, within one zone, up to about a bite; *next: where it
 * stopped. May sleep. => 0, -EAGAIN (too much isolated), -EINTR
 */
int compact_scan_range(struct task *t, struct compact_control *cc, uint32_t first, uint32_t end,
		       uint32_t *next);

/* Puts free frames onto cc->free, near the free position. May sleep. */
void compact_free_scan(struct task *t, struct compact_control *cc);
/*
 * Takes every frame of first..end-1, which must all be free, onto cc->free. May sleep.
 * => one past the last frame taken (maybe beyond `end`); 0, and none is taken, if one is not free
 */
uint32_t compact_free_range(struct task *t, struct compact_control *cc, uint32_t first,
			    uint32_t end);
/* Gives the targets that are left back. => the highest frame; 0 if there was none */
uint32_t compact_free_release(struct task *t, struct compact_control *cc);

#endif
