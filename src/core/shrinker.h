/*
 * Shrinkers: caches outside the page lists that give objects up under pressure (spec 14, part A).
 */
#ifndef NEAP_CORE_SHRINKER_H
#define NEAP_CORE_SHRINKER_H

#include "core/machine.h"

#define NEAP_MAX_SHRINKERS 17u /* 15 of programs, and the engine's own */
#define SHRINKER_SEEKS 2u      /* of an object that costs a read or two to make again */
#define SHRINKER_BATCH 128u    /* objects of one call */
#define SHRINK_STOP UINT64_MAX

/* What one call of a cache is about. */
struct shrink_request {
	struct node *node;   /* whose objects; node 0 for a cache that is not kept by node */
	uint32_t gfp;	     /* what the one who needs memory may do */
	uint64_t nr_to_scan; /* scan: objects to look at */
	uint64_t nr_scanned; /* scan: in: the same; out: objects looked at */
};

/*
 * Both functions are called in the task that needs memory, with PF_MEMALLOC and no lock held, by
 * several tasks at once. They may sleep, but not wait for memory, and they may not register or
 * unregister.
 */
struct shrinker_spec {
	const char *name; /* for traces; outlives the shrinker */
	void *ctx;
	/* => objects that could be given up now */
	uint64_t (*count)(struct task *t, void *ctx, const struct shrink_request *request);
	/* => objects given up, or SHRINK_STOP: no progress is possible at the moment */
	uint64_t (*scan)(struct task *t, void *ctx, struct shrink_request *request);
	uint32_t seeks; /* 0: made again without any I/O */
	uint32_t batch; /* 0: SHRINKER_BATCH */
	bool per_node;	/* objects are kept and counted by node */
};

struct shrinker {
	struct shrinker_spec spec;
	uint32_t number;			   /* names it; 0 = none */
	_Atomic uint64_t deferred[NEAP_MAX_NODES]; /* a: work that was too little for a batch */
};

/* Where pages that a scan frees are counted: they count as reclaimed. */
struct reclaim_tally {
	uint64_t slab_pages;
};

static inline void shrinker_tally_freed(struct task *t, uint64_t pages)
{
	if (t->tally != NULL)
		t->tally->slab_pages += pages;
}

/* How much one call scans (spec 14, A): pure. */
struct shrinker_terms {
	uint64_t freeable, deferred; /* in */
	uint64_t delta;		     /* this call's share */
	uint64_t total;		     /* to scan, batches permitting */
};
void shrinker_compute(struct shrinker_terms *terms, int32_t priority, uint32_t seeks);
/* What is left for the next call after `scanned` objects. */
uint64_t shrinker_left(const struct shrinker_terms *terms, uint64_t scanned);

/* => 0 or -ENOMEM */
int shrinker_init(struct neap_machine *m) MUST_CHECK;
/* May sleep. => its number from now on, or -ENOSPC */
int shrinker_register(struct task *t, struct neap_machine *m,
		      const struct shrinker_spec *spec) MUST_CHECK;
/* Nobody is inside its functions afterwards. May sleep. => 0 or -ENOENT */
int shrinker_unregister(struct task *t, struct neap_machine *m, uint32_t number) MUST_CHECK;

/*
 * Asks all caches once, in the order of registration, as reclaim of the node does at a priority.
 * Nothing is asked while one comes or goes. May sleep. => objects given up
 */
uint64_t shrinker_shrink_node(struct task *t, struct node *node, uint32_t gfp, int32_t priority);
/* Asks every node's until little is left to give (drop_caches). May sleep. */
void shrinker_drop_all(struct task *t, struct neap_machine *m);

#endif
