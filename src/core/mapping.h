/*
 * The page cache of one file (Linux: address_space), and write-back.
 *
 * Pages are found through an index: a radix tree whose nodes have 64 8-byte
 * slots. A slot is empty, a page (with a dirty mark), or the shadow that
 * an evicted page left.
 */
#ifndef NEAP_CORE_MAPPING_H
#define NEAP_CORE_MAPPING_H

#include "core/machine.h"

struct aops;

/* Lock letters: M the mapping's spin lock (LOCK_MAPPING), a atomic, I immutable. */
struct mapping {
	uint32_t pool_link;
	uint32_t id;		      /* I */
	struct neap_machine *machine; /* I */
	struct store *store;	      /* I */
	const struct aops *ops;	      /* I: what can be done with its pages (core/aops.h) */
	struct spinlock lock;
	uint64_t root;		       /* M: the index's top node; INDEX_NODE_NONE = empty */
	uint64_t leaf, leaf_number;    /* M: the leaf found last; INDEX_NODE_NONE = none is known */
	uint32_t height;	       /* M: levels of nodes below and including the root */
	uint32_t first_region;	       /* M: regions that map it, linked by next_of_mapping */
	_Atomic uint64_t nr_pages;     /* a: cached pages */
	_Atomic uint64_t nr_dirty;     /* a */
	_Atomic uint64_t nr_writeback; /* a */
	_Atomic uint64_t bytes;	       /* a: size of the file */
	_Atomic int32_t write_error;   /* a: first write error not yet reported */
	uint32_t next_mapping;	       /* machine.mapping_list_lock: the machine's mappings by id */
	_Atomic uint32_t users;	       /* a: who looks at it without a file of it open */
	_Atomic uint64_t flush_position;  /* a: where background write-out goes on */
	_Atomic uint64_t readahead;	  /* a: the latest window: core/readahead.c */
	_Atomic uint64_t last_read;	  /* a: page that a read-type call had last, plus 1 */
	_Atomic uint32_t fault_misses;	  /* a: by faults, less what they found */
	_Atomic uint32_t pattern;	  /* a: enum region_pattern, said of the file */
	bool stable_writes;		  /* I */
	bool unlisted;			  /* machine.mapping_list_lock: being destroyed */
	_Atomic uint64_t dirtied_when_ns; /* a: when it became dirty; 0 = clean */
	struct waitq wait;		  /* a: write-back finished */
};

/* How the program said it would read the file: an enum region_pattern (core/space.h). */
static inline uint32_t mapping_pattern(const struct mapping *mapping)
{
	struct mapping *file = (struct mapping *)(uintptr_t)mapping;

	return atomic_load_explicit(&file->pattern, memory_order_relaxed);
}

#define MAPPING_OVERWRITE 1u   /* the whole page will be written: do not read it */
#define MAPPING_ACCESSED 2u    /* count as an access by a read- or write-type call */
#define MAPPING_FAULT 4u       /* a page fault: it reads around the page, not ahead */
#define MAPPING_RANDOM 8u      /* with FAULT: reads the page alone */
#define MAPPING_WRITTEN 32u    /* the page will be changed: nothing is read ahead for that */
#define MAPPING_SEQUENTIAL 16u /* with FAULT: reads ahead, as much as a read-type call at most */

/*
 * The mapping takes over the store's done callback, not its ownership. May sleep. => 0 or -ENOMEM
 */
int mapping_create(struct task *t, struct neap_machine *m, struct store *store, uint64_t bytes,
		   struct mapping **out) MUST_CHECK;
/*
 * Writes back, drops all pages and the index. No region maps it. May sleep. => 0 or first
 * unreported write error
 */
int mapping_destroy(struct task *t, struct mapping *mapping);

/* Ends the use of a mapping that was counted in its users: it may be destroyed. Nothing held. */
void mapping_leave(struct task *t, struct mapping *mapping);

/*
 * The page at index, up to date, with a reference, unlocked. May sleep.
 * => 0, -ENOMEM, -EIO
 */
int mapping_get_page(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
		     uint32_t *pfn) MUST_CHECK;
/*
 * A cached page, held, was met by a fault or a read-type call: it may be a mark at which more is
 * read ahead. May sleep.
 */
void mapping_found(struct task *t, struct mapping *mapping, struct page *page, bool fault);
/* Begins to read those of nr pages from `first` on that are not cached. May sleep, but not for them
 */
void mapping_read_ahead(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr);
/* The cached page at index with a reference, or PFN_NONE. Never sleeps. */
uint32_t mapping_find(struct task *t, struct mapping *mapping, uint64_t index);
/*
 * As mapping_get_page(), locked and not under write-out: the caller reads or changes its contents
 * through the
 * hardware's window or tag, then calls mapping_end_access(). May sleep.
 * => 0: it was cached; 1: it was not; -ENOMEM, -EIO
 */
int mapping_begin_access(struct task *t, struct mapping *mapping, uint64_t index, uint32_t flags,
			 uint32_t *pfn) MUST_CHECK;
/* written: marks it dirty. May sleep: a writer above the dirty limit waits for the flusher here. */
void mapping_end_access(struct task *t, struct mapping *mapping, uint32_t pfn, bool written);

/*
 * Before a store into a locked page may be allowed: waits for write-out if the store wants stable
 * contents, and gives the page a buffer head. May sleep.
 */
void mapping_prepare_write(struct task *t, const struct mapping *mapping, struct page *page);
/* The page's contents changed. Page locked or mapped by the caller's entry. */
void mapping_set_dirty(struct task *t, struct page *page);
/*
 * Puts locked page `to` in the place of locked page `from`, whose only references are the cache's
 * and
 * the caller's. `to` gets the cache's reference, owner, index and PG_DIRTY; it is of the same zone.
 * => false, nothing changed, if somebody else refers to `from`
 */
bool mapping_replace_page(struct task *t, struct mapping *mapping, struct page *from,
			  struct page *to);
/* Removes a locked page whose references were frozen (reclaim), leaving `shadow` (0 = none). */
void mapping_remove_frozen(struct task *t, struct mapping *mapping, struct page *page,
			   uint64_t shadow);

/*
 * Starts write-out of one locked page that is not under write-out. May sleep. => false: it was
 * clean
 */
bool mapping_write_page(struct task *t, struct mapping *mapping, struct page *page);
/* Starts write-out of up to nr dirty pages. May sleep. => pages submitted */
uint64_t mapping_write_dirty(struct task *t, struct mapping *mapping, uint64_t nr);
/* Starts write-out of the dirty pages first..end-1. May sleep. */
void mapping_write_range(struct task *t, struct mapping *mapping, uint64_t first, uint64_t end);
/* fsync. May sleep. => 0 or the first write error not yet reported */
int mapping_sync(struct task *t, struct mapping *mapping) MUST_CHECK;
/*
 * Drops those of the pages first..end-1 that are clean, unmapped and unused; of the others those
 * under I/O are left alone, and the rest is queued for the end of the inactive list. May sleep.
 * => pages queued
 */
uint64_t mapping_drop_range(struct task *t, struct mapping *mapping, uint64_t first, uint64_t end);
/* Drops clean, unmapped pages. May sleep. => pages dropped */
uint64_t mapping_drop_clean(struct task *t, struct mapping *mapping);
/* Extends or cuts the recorded size. */
void mapping_set_bytes(struct mapping *mapping, uint64_t bytes);

#endif
