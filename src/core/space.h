/*
 * Address spaces and regions: what a program sees.
 *
 * A space is one hardware address space. A region is a run of its pages, 2 MiB
 * aligned, anonymous or mapping a file from its first page. An entry of the
 * hardware's table is either a mapped frame or a word of the engine:
 *   0                     nothing there yet
 *   SWAP_WORD_BASE | e    the page is in swap entry e
 *   WORD_MIGRATION_BIT | flags | f   the page in frame f is being moved elsewhere
 *   WORD_LOST             the page could not be read when its swap area was switched off
 */
#ifndef NEAP_CORE_SPACE_H
#define NEAP_CORE_SPACE_H

#include "core/machine.h"

#define REGION_LOCKED 1u  /* mlock */
#define REGION_HUGE 2u	  /* madvise: transparent huge pages are worth some work */
#define REGION_NO_HUGE 4u /* madvise: never */
#define REGION_EXEC 8u	  /* instructions are fetched from it: its file pages are worth keeping */

/* How a program said it would read a region (advice); what its young bits and misses mean. */
enum region_pattern {
	REGION_NORMAL,
	REGION_RANDOM,	   /* nothing is read ahead */
	REGION_SEQUENTIAL, /* much is read ahead, and young bits do not count */
};

/*
 * Who uses a leaf table: the `maps` of its descriptor. A table that small pages use once stays
 * theirs; only one that is between two huge pages has nobody.
 */
enum leaf_use {
	LEAF_SMALL,
	LEAF_EMPTY,
	LEAF_HUGE, /* one huge page has all 512 entries, or is about to */
};

#define WORD_SWAP_BIT ((uint64_t)1 << 40)
#define WORD_MIGRATION_BIT ((uint64_t)1 << 42)
#define WORD_LOST ((uint64_t)1 << 43)
#define WORD_FLAGS_SHIFT 32u /* HW_WRITE, HW_YOUNG, HW_DIRTY of the entry it stands for */

static inline uint64_t word_from_swap(uint32_t entry)
{
	return WORD_SWAP_BIT | entry;
}

static inline bool word_is_swap(uint64_t word)
{
	return (word & WORD_SWAP_BIT) != 0;
}

static inline uint32_t word_to_swap(uint64_t word)
{
	return (uint32_t)word;
}

static inline uint64_t word_from_migration(uint32_t pfn, uint32_t hw_flags)
{
	uint64_t kept = hw_flags & (HW_WRITE | HW_YOUNG | HW_DIRTY);

	return WORD_MIGRATION_BIT | kept << WORD_FLAGS_SHIFT | pfn;
}

static inline bool word_is_migration(uint64_t word)
{
	return (word & WORD_MIGRATION_BIT) != 0;
}

static inline uint32_t word_to_moving_pfn(uint64_t word)
{
	return (uint32_t)word;
}

static inline uint16_t word_to_moving_flags(uint64_t word)
{
	return (uint16_t)(word >> WORD_FLAGS_SHIFT & (HW_WRITE | HW_YOUNG | HW_DIRTY));
}

struct mapping;

/* Lock letters: S space lock (LOCK_SPACE), M mapping lock, a atomic, I immutable. */
struct space {
	uint32_t pool_link;
	uint32_t id;		      /* I */
	struct neap_machine *machine; /* I */
	struct hw_space *hw;	      /* I */
	uint32_t root;		      /* I: frame of the top table */
	uint32_t nr_regions;	      /* S */
	uint64_t next_vpn;	      /* S: where the next region goes */
	struct spinlock lock;
	_Atomic int64_t nr_tables;			  /* a: table frames, root included */
	_Atomic int64_t rss_anon, rss_file, swap_entries; /* a: pages */
	_Atomic uint32_t splitting; /* a: sleep lock: one of its huge pages is being split */
};

struct region {
	uint32_t pool_link;
	uint32_t id;		    /* I */
	struct space *space;	    /* I */
	struct mapping *mapping;    /* I: NULL = anonymous */
	uint64_t start_vpn;	    /* I */
	uint64_t nr_pages;	    /* I */
	uint32_t flags;		    /* I: REGION_* */
	uint32_t node;		    /* I: strict node + 1; 0 = none */
	uint32_t policy_mode;	    /* w: core/mempolicy.h; 0 = the task's */
	uint64_t policy_nodes;	    /* w: as bits */
	uint32_t next_of_mapping;   /* M: next region id that maps the same file */
	_Atomic uint64_t readahead; /* a: swap read-ahead state: page << 16 | window << 8 | hits */
	_Atomic uint32_t pattern;   /* a: enum region_pattern */
};

struct region_spec {
	uint64_t nr_pages;
	struct mapping *mapping; /* NULL = anonymous */
	uint32_t flags;
	uint32_t node; /* strict node + 1; 0 = none */
};

/* May sleep. => 0 or -ENOMEM */
int space_create(struct task *t, struct neap_machine *m, struct space **out) MUST_CHECK;
/* All regions are destroyed. May sleep. */
void space_destroy(struct task *t, struct space *space);

/* May sleep. => 0, -ENOMEM, -EINVAL (size) */
int region_create(struct task *t, struct space *space, const struct region_spec *spec,
		  struct region **out) MUST_CHECK;
/* Unmaps everything, gives tables back. Nobody accesses the region. May sleep. */
void region_destroy(struct task *t, struct region *region);
/*
 * Takes out pages first..first+nr-1 (munmap, MADV_DONTNEED): mapped frames are dropped, swap
 * entries freed.
 * May sleep. => pages that held something
 */
uint64_t region_zap(struct task *t, struct region *region, uint64_t first, uint64_t nr);

/*
 * Empties an entry that holds this word, no migration word, and gives up the swap slot that it
 * stands for. Nothing held. => false: it holds something else by now
 */
bool region_drop_word(struct task *t, struct region *region, uint64_t vpn, uint64_t word);

static inline enum region_pattern region_pattern(const struct region *region)
{
	struct region *r = (struct region *)(uintptr_t)region;

	return (enum region_pattern)atomic_load_explicit(&r->pattern, memory_order_relaxed);
}

/*
 * Keeps every region that has an id now, and its tables, from being destroyed. May sleep. One
 * holder at a time.
 */
void space_hold_regions(struct task *t, struct neap_machine *m);
void space_release_regions(struct task *t, struct neap_machine *m);

/*
 * Calls hw map() for one entry, adding missing tables. May sleep. => 0, -EAGAIN (lost a race),
 * -ENOMEM
 */
int space_map(struct task *t, struct space *space, struct hw_entry *entry) MUST_CHECK;

/*
 * Claims the leaf table of vpn, made if there is none, before anything is mapped in it.
 * LEAF_SMALL: for single pages. => 0; -EAGAIN a huge page has it, look at the entry again; -ENOMEM
 * LEAF_HUGE: for a huge page. => 0, and nobody else maps anything; -EAGAIN somebody was faster;
 *            -ENOMEM
 * May sleep.
 */
int space_leaf_claim(struct task *t, struct space *space, uint64_t vpn,
		     enum leaf_use use) MUST_CHECK;
/* Could a huge page be mapped here? An answer of the moment. */
bool space_leaf_is_free(struct space *space, uint64_t vpn);
/* A huge page gives up its leaf table: to nobody, or to the small pages that it became. */
void space_leaf_release(struct space *space, uint64_t vpn, enum leaf_use use);

/*
 * An entry held this migration word: waits until the page is where it belongs. May sleep; the
 * caller
 * then looks at the entry again.
 */
void space_wait_migration(struct task *t, uint64_t word);

#endif
