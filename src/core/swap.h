/*
 * Swap: areas, slots, the swap cache (spec 13).
 *
 * An entry is 32 bits: area (5 bits) << 27 | slot. Slot 0 of an area is its
 * header and never used; entry 0 is therefore never valid.
 *
 * map[slot]: 0 free; bits 0..5 references from page tables; SWAP_HAS_CACHE: a
 * page in memory, or a CPU's slot cache, holds it; SWAP_BAD.
 * cache[slot]: 0, a frame number << 1, or a shadow (bit 0 set).
 */
#ifndef NEAP_CORE_SWAP_H
#define NEAP_CORE_SWAP_H

#include "core/machine.h"

#define SWAP_TYPE_SHIFT 27u
#define SWAP_SLOT_MASK ((1u << SWAP_TYPE_SHIFT) - 1u)
#define SWAP_COUNT_MASK 0x3fu
#define SWAP_MAP_BAD 0x3fu
#define SWAP_HAS_CACHE 0x40u
#define SWAP_CLUSTER_SLOTS 512u
#define SWAP_PRIO_AUTO (-1)
#define SWAP_NO_CLUSTER UINT32_MAX
#define SWAP_NOT_QUEUED (UINT32_MAX - 1) /* cluster_next of a cluster outside the FIFO */
#define SWAP_FIRST_CLUSTER_BATCH 3u /* slots of the rotational batch that found a new cluster */
#define SWAP_CLUSTER_BATCHES 8u	    /* batches served from it afterwards (spec 13, section 3) */

/* What an area is good for. */
enum swap_state {
	SWAP_UNUSED,  /* switched off, or never on */
	SWAP_ACTIVE,  /* slots may be allocated */
	SWAP_LEAVING, /* being emptied: slots are freed, none are allocated */
};

/*
 * s: the area's lock (LOCK_SWAP). L: machine.swap_list_lock. I: immutable while users or slots in
 * use keep the area.
 */
#define SWAP_NODE_LEVELS 3u

/* A node of the swap cache's trees: core/swap_nodes.c. s, as the area's tables */
struct swap_node {
	uint32_t slab;	  /* where its memory is from; PFN_NONE: it has none */
	uint32_t nr_used; /* places that hold something */
};

struct swap_area {
	struct neap_machine *machine; /* I */
	struct store *store;	      /* I */
	char path[256];		      /* I */
	bool is_file;		      /* I */
	bool rotational;	      /* I */
	bool synchronous;	      /* I */
	bool stable_writes;	      /* I */
	bool automatic;		      /* I: priority chosen by us */
	_Atomic uint32_t state;	      /* a: enum swap_state; left ACTIVE under s, too */
	_Atomic uint32_t users;	      /* a: tasks between swap_area_get() and _put() */
	int32_t priority;	      /* L */
	uint64_t list_seq;	      /* L: order among equals; smaller = sooner */
	uint32_t type;		      /* I */
	uint32_t nr_slots;	      /* I: slots including the header */
	uint32_t usable;	      /* I: without header and bad ones */
	uint32_t room;		      /* slots that the tables below were reserved for */
	struct spinlock lock;
	uint8_t *map;				  /* s */
	uint64_t *cache;			  /* s */
	struct swap_node *node[SWAP_NODE_LEVELS]; /* s */
	uint32_t node_idle;	/* s: 0, or a slot of which a node became empty, + 1 */
	uint16_t *cluster_used; /* s: slots in use by cluster */
	uint32_t *cluster_next; /* s: FIFO of free clusters */
	uint32_t cluster_first, cluster_last; /* s: free FIFO; UINT32_MAX = empty */
	/* s: slots whose map byte is not 0 (header, bad ones excluded) */
	uint32_t inuse;
	uint32_t lowest, highest; /* s: range of possibly free slots */
	uint32_t next;		  /* s: rotational: where to look next */
	uint32_t batches_left;	  /* s: rotational: batches before a new cluster search */
	/* s: solid state: current cluster by CPU, SWAP_NO_CLUSTER = none */
	uint32_t *cpu_cluster;
	uint32_t *cpu_next;			    /* s: solid state: next slot by CPU */
	_Atomic uint64_t write_errors, read_errors; /* a */
	_Atomic uint64_t full_errors;		    /* a: of those of writes, -ENOSPC */
};

struct swap_spec {
	struct store *store;
	const char *path; /* as printed in /proc/swaps */
	bool is_file;
	int32_t priority;    /* SWAP_PRIO_AUTO: the next automatic one */
	const uint32_t *bad; /* slots not to use */
	uint32_t nr_bad;
};

/*
 * Adds an area; *type is its number from now on. The engine takes the store's done callback.
 * One area is switched on or off at a time; others wait. May sleep. => 0, -ENOSPC (too many),
 * -EINVAL, -ENOMEM
 */
int swap_on(struct task *t, struct neap_machine *m, const struct swap_spec *spec,
	    uint32_t *type) MUST_CHECK;
/*
 * Brings back everything that is in the area, and takes the area out of use; its store has no
 * request in flight afterwards. May sleep, for long.
 * => 0; -ENOENT no such area in use; -ENOMEM the contents do not fit; -EINTR the task is to end.
 * With an error the area is in use as before.
 */
int swap_off(struct task *t, struct neap_machine *m, uint32_t type) MUST_CHECK;
static inline struct swap_area *swap_area_of(struct neap_machine *m, uint32_t entry)
{
	return &m->swap[entry >> SWAP_TYPE_SHIFT];
}

/*
 * Keeps an area in use although the caller holds nothing in it: an entry that was read without a
 * lock may be gone by now. => NULL if the area is off
 */
struct swap_area *swap_area_get(struct neap_machine *m, uint32_t type);
void swap_area_put(struct swap_area *area);

/* Areas 0.. of the array that are or were in use. */
static inline uint32_t swap_nr_areas(const struct neap_machine *m)
{
	return atomic_load(&((struct neap_machine *)(uintptr_t)m)->nr_swap_areas);
}

static inline uint32_t swap_type_of(uint32_t entry)
{
	return entry >> SWAP_TYPE_SHIFT;
}

static inline uint32_t swap_slot_of(uint32_t entry)
{
	return entry & SWAP_SLOT_MASK;
}

/* ---- slots (swap_slots.c) ---- */

/* A slot marked HAS_CACHE, for write-out. Nothing held. => 0 if swap is full */
uint32_t swap_slot_get(struct task *t);
/*
 * The slots of a free cluster, for a huge page: each marked HAS_CACHE. Nothing held.
 * => the first; 0 if the area whose turn it is has none to give
 */
uint32_t swap_cluster_get(struct task *t);
/* Gives back a slot got and not used (its byte is exactly HAS_CACHE). */
void swap_slot_put(struct task *t, uint32_t entry);
/* One more page-table reference. */
void swap_slot_dup(struct task *t, uint32_t entry);
/* One reference less; frees the slot when it was the last and nothing caches it. */
void swap_slot_free(struct task *t, uint32_t entry);
/* Puts a page into the cache. => area locked, HAS_CACHE is set */
void swap_slot_store_cache(struct task *t, struct swap_area *area, uint32_t slot, uint32_t pfn);
/* Drops HAS_CACHE (the page left the cache, leaving shadow or 0). */
void swap_slot_drop_cache(struct task *t, uint32_t entry, uint64_t shadow);
/*
 * Sets HAS_CACHE on behalf of somebody who reads the slot past the cache. *shadow: what the cache
 * remembers of its page, or 0. => false: it has been set, or nothing refers to the slot
 */
bool swap_slot_claim(struct task *t, uint32_t entry, uint64_t *shadow) MUST_CHECK;
/* References from page tables now. */
uint32_t swap_slot_count(struct neap_machine *m, uint32_t entry);
/* Frees slots that only the cache holds, to make room. May not sleep. => slots freed */
uint32_t swap_reclaim_cached(struct task *t, uint32_t want);
/*
 * Forbids (or allows again) new slots in an area. The first empties the CPUs' caches of slots.
 * Nothing held.
 */
void swap_area_close(struct task *t, struct swap_area *area);
void swap_area_reopen(struct task *t, struct swap_area *area);
/* The area is empty and closed: forgets it, once its last user is gone. May sleep. */
void swap_area_end(struct task *t, struct swap_area *area);
/* Returns all CPUs' cached slots. Nothing held. */
void swap_slots_drain(struct task *t, struct neap_machine *m);
/* Those of the CPU that is pinned. */
void swap_slots_drain_pinned(struct task *t);
bool swap_is_half_full(const struct neap_machine *m);

/* ---- cache (swap_cache.c) ---- */

/* Gives a locked anonymous page a slot. => false: swap is full */
bool swap_cache_add_new(struct task *t, struct page *page);
/* Gives a locked huge page the slots of a cluster. => false: there is none, and nothing changed */
bool swap_cache_add_whole(struct task *t, struct page *page);
/*
 * The frame cached for entry, with a reference to its page, which is thp_head() of the frame and
 * stays it as long as the reference is held. => PFN_NONE also if the page is changing hands
 */
uint32_t swap_cache_find(struct task *t, uint32_t entry);
/* Takes a locked page out of the cache and drops the cache's reference. Not under write-out. */
void swap_cache_delete(struct task *t, struct page *page);
/* The same for reclaim: references frozen, leaves shadow. */
void swap_cache_remove_frozen(struct task *t, struct page *page, uint64_t shadow);
/*
 * Puts locked page `to` in the place of locked page `from`, both small, whose only references are
 * the cache's and the caller's. `to` gets the cache's reference, PG_SWAPCACHE and PG_DIRTY as it
 * was.
 * => false, nothing changed, if somebody else refers to `from`
 */
bool swap_cache_replace(struct task *t, struct page *from, struct page *to);
/* Frees the slots of a locked page if no page table needs one of them. => true if it did */
bool swap_cache_try_free(struct task *t, struct page *page);
/*
 * A page-table reference to entry is gone: frees the slot, and the cached page if nothing else
 * needs it.
 */
void swap_release_entry(struct task *t, uint32_t entry);
/* Starts write-out of a locked page; unlocks it. */
void swap_write_page(struct task *t, struct page *page);

struct region;
#define SWAP_IN_WAITED 1
/*
 * Brings entry's page into the cache (its area is kept in use), reading ahead around it, and waits
 * for it. May sleep.
 * => 0 and *pfn with a reference (unlocked, maybe not up to date after a read error: caller
 *    checks);
 *    SWAP_IN_WAITED the same, and the page was not there yet when its neighbours had been asked
 *    for, too: Linux waits for a page that is read alone inside, for others outside;
 *    -ENOENT the entry is gone meanwhile (look at the table again); -ENOMEM
 */
int swap_in(struct task *t, struct region *region, uint64_t page_index, uint32_t entry,
	    uint32_t *pfn) MUST_CHECK;

/*
 * Could the entry's page be read past the cache? If its store is done at once, and one page table
 * entry alone refers to it: then neither neighbours nor a copy that others find are worth anything.
 */
bool swap_is_direct(struct neap_machine *m, uint32_t entry);
/*
 * Reads it so. The slot is kept for the caller (its area is kept in use) until swap_direct_end().
 * May sleep. => 0 and *pfn, locked, in no cache and on no list, with one reference, maybe not up to
 * date after a read error; -ENOENT somebody else was faster (look at the table again); -ENOMEM
 */
int swap_in_direct(struct task *t, struct region *region, uint64_t page_index, uint32_t entry,
		   uint32_t *pfn) MUST_CHECK;
/* The page is mapped, or given up: the slot is free unless an entry still refers to it. */
void swap_direct_end(struct task *t, uint32_t entry);

/*
 * Begins to read the entry's page into the cache, if it is not there; nobody waits for it. The
 * entry was read without a lock. May sleep, for memory. => 0, or -ENOMEM
 */
int swap_read_ahead(struct task *t, struct region *region, uint64_t page_index, uint32_t entry);

/* A fault at page_index found the page in the cache: counts a hit if it was read ahead. */
void swap_readahead_hit(struct task *t, struct region *region, uint64_t page_index,
			struct page *page);

/* Window of read-ahead: spec 13, section 6. Pure. */
uint32_t swap_readahead_window(uint32_t hits, bool adjacent, uint32_t max, uint32_t previous);

/* NULL or what is wrong with an area's map and cache against each other. */
const char *swap_verify(const struct neap_machine *m);

#endif
