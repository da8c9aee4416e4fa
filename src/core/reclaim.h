/*
 * Reclaim: the control structure of one request, and shrinking one node (spec 11).
 */
#ifndef NEAP_CORE_RECLAIM_H
#define NEAP_CORE_RECLAIM_H

#include "core/gfp.h"
#include "core/machine.h"

#define DEACTIVATE_ANON 1u
#define DEACTIVATE_FILE 2u

/*
 * One reclaim request. Field names are the field's own (Linux: struct scan_control), so that texts
 * about the one can be read against the other.
 *
 * Linux has some more, for what neap has not got: target_mem_cgroup, proactive, memcg_low_reclaim
 * and memcg_low_skipped (memory groups), no_demotion (tiers of memory), memcgs_need_aging and
 * last_reclaimed (multi-generation LRU). Its reclaim_state, pages that slabs gave back, is the
 * task's tally here (core/shrinker.h).
 */
struct scan_control {
	/* The request. */
	uint64_t nr_to_reclaim;	  /* stop once this many pages are freed */
	const uint64_t *nodemask; /* allowed nodes; NULL = all */
	uint32_t order;		  /* what the caller wants to allocate; kswapd may drop it to 0 */
	int32_t priority;	  /* each round scans size >> priority; 12 is gentlest */
	uint32_t reclaim_idx;	  /* highest zone index to take pages from */
	uint32_t gfp_mask;	  /* of the allocation: which I/O reclaim may wait for */
	/* Costs of the lruvec when the node pass began. */
	uint64_t anon_cost; /* of anonymous pages: written, or read back, lately */
	uint64_t file_cost; /* of file pages, the same */
	/* What is permitted. */
	bool may_writepage;	 /* dirty pages may be written out */
	bool may_unmap;		 /* mapped pages may be taken, too */
	bool may_swap;		 /* anonymous pages may be taken at all */
	uint32_t may_deactivate; /* DEACTIVATE_*: active lists that may be shrunk */
	bool force_deactivate;	 /* second try: shrink active lists anyway */
	bool skipped_deactivate; /* out: an active list was left alone */
	/* Modes. */
	bool hibernation_mode; /* a whole-machine shrink; nobody is throttled */
	bool compaction_ready; /* out: some zone has enough for compaction */
	bool cache_trim_mode;  /* plenty of inactive file pages: take only those */
	bool file_is_tiny;     /* almost no file pages: take only anonymous ones */
	bool is_kswapd;	       /* Linux asks the task: current_is_kswapd() */
	/* Results. */
	uint64_t nr_scanned;   /* pages decided about since the priority changed */
	uint64_t nr_reclaimed; /* pages freed since the request began */
	struct {
		uint64_t dirty;		 /* file pages dirty or under write-out */
		uint64_t unqueued_dirty; /* dirty and nobody writes them yet */
		uint64_t congested;	 /* under write-out and wanted by reclaim */
		uint64_t writeback;	 /* met under write-out for the first time */
		uint64_t immediate;	 /* met again: reclaim outruns the device */
		uint64_t file_taken;	 /* isolated from file lists */
		uint64_t taken;		 /* isolated from all lists */
	} nr;				 /* of one pass over the node */
};

/* What happened to one isolated list. */
struct reclaim_stat {
	uint64_t nr_dirty, nr_unqueued_dirty, nr_congested, nr_writeback, nr_immediate;
	uint64_t nr_pageout;
	uint64_t nr_activate[2]; /* anon, file */
	uint64_t nr_ref_keep, nr_unmap_fail;
};

/* How many pages to scan from each evictable list (balance.c). */
enum scan_mode {
	SCAN_FRACT,
	SCAN_EQUAL,
	SCAN_ANON,
	SCAN_FILE,
};

struct scan_terms {
	enum scan_mode mode;
	uint64_t anon_share, file_share; /* SCAN_FRACT: ap and fp */
	uint64_t size[4];		 /* pages of each list in the zones wanted */
};

/* Sets the switches of sc for a pass over the node (spec 11, section 3). */
void balance_prepare(struct neap_machine *m, struct node *node, struct scan_control *sc);
/* Pages to scan from each list (spec 11, section 4). terms may be NULL. */
void balance_scan_count(struct neap_machine *m, struct node *node, const struct scan_control *sc,
			uint64_t nr[4], struct scan_terms *terms);
/* Shares of spec 11, section 4, rule 6: pure. */
void balance_shares(uint64_t anon_cost, uint64_t file_cost, uint32_t swappiness,
		    uint64_t *anon_share, uint64_t *file_share);

/*
 * One pass over a node: lists, then "again" while compaction asks (spec 11, section 7). May sleep.
 */
void reclaim_shrink_node(struct task *t, struct node *node, struct scan_control *sc);
/*
 * Moves up to nr pages from an active list to its inactive one. May sleep (page locks are only
 * tried).
 */
void reclaim_shrink_active(struct task *t, struct node *node, struct scan_control *sc,
			   enum lru_list list, uint64_t nr);
/* Takes activation counters as the new baseline (end of a run). */
void reclaim_snapshot_refaults(struct node *node);
/* Pages whose fate is decided one by one; the rest comes back on *list. => pages freed (pages.c) */
uint64_t reclaim_page_list(struct task *t, struct node *node, struct list *list,
			   struct scan_control *sc, struct reclaim_stat *stat);
/* Waits for a reason (spec 11, section 8). May sleep. */
void reclaim_throttle(struct task *t, struct node *node, enum vmscan_wait reason);
bool reclaim_can_swap(struct neap_machine *m);
/* May the request compact at all? Without IO it may not, and reclaim for the order is no help. */
static inline bool reclaim_may_compact(const struct scan_control *sc)
{
	return (sc->gfp_mask & GFP_BIT_IO) != 0;
}
/* Reclaims given regions' pages at once (MADV_PAGEOUT): isolated pages of one node. => freed */
uint64_t reclaim_pages(struct task *t, struct node *node, struct list *list);

#endif
