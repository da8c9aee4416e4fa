/*
 * hw.h: the contract with the memory hardware, after pmap(9).
 *
 * The hardware owns the frames and the page tables. The engine decides; the
 * hardware maps, remembers young and dirty, and moves contents.
 *
 * ADDRESS SPACES. A `struct hw_space` translates virtual page numbers (vpn,
 * below 2^36) to entries. An entry is either *present* (a frame with HW_WRITE,
 * HW_YOUNG, HW_DIRTY) or a *word*: 0 for nothing, else a value of the engine
 * (below 2^60) such as a swap entry. Hardware that cannot hold words keeps them
 * beside its tables.
 *
 * ENTRIES CHANGE ATOMICALLY. map() replaces an expected word by a frame and
 * fails with -EAGAIN if the word is another one by now; unmap() replaces a frame
 * by a word; so two faults on one page, or a fault and a reclaimer, need no lock:
 * one of them loses and looks again. A present entry that is being accessed makes
 * unmap/protect/harvest wait (bounded: an access copies at most a page) or fail
 * with -EBUSY, which the engine answers by skipping or trying again.
 *
 * BATCHES. map, unmap, protect, harvest and clean take an address-sorted batch of one
 * space; every entry gets its own `err` (0 or negative errno). flush() is called
 * once per batch after all of these but map and before the engine relies on
 * nobody using the old translation.
 *
 * TABLES. Table frames belong to the machine. map() on an address that lacks a
 * table fails with -ENOMEM and the missing `level` (1 = leaf); the engine
 * allocates a frame (counted as page table), hands it over zeroed by nobody,
 * add_table() clears it, and retries. release_tables() gives leaf tables of a
 * destroyed region back; space_destroy() gives back the rest.
 *
 * CONTENTS. copy, zero, tag; window(pfn) is a pointer to the frame's bytes, valid
 * only while the frame is unmapped and referenced (capability HW_CAP_WINDOW_MAPPED
 * lifts "unmapped"). The engine never reads a mapped page except through access.
 * In tag mode a frame's contents is one 64-bit tag; window() still works for
 * frames that hold engine metadata.
 *
 * ACCURACY. Dirty is exact. Young may be approximate. No operation here sleeps;
 * all but access spin only for another CPU's bounded access.
 *
 * Every function may be called from several tasks at once. Batches are owned by
 * the caller. Errors: negative errno, named at each function.
 */
#ifndef NEAP_PORT_HW_H
#define NEAP_PORT_HW_H

#include "base/base.h"
#include "port/rt.h"

struct hw;
struct hw_space;

#define HW_LEVELS 4u
#define HW_TABLE_ENTRIES 512u
#define HW_WORD_MAX (((uint64_t)1 << 60) - 1)
#define HW_VPN_MAX (((uint64_t)1 << 36) - 1)

/* Bits of hw_entry.flags */
#define HW_PRESENT 1u
#define HW_WRITE 2u /* writable */
#define HW_YOUNG 4u /* accessed since last harvested */
#define HW_DIRTY 8u /* written since mapped clean */

/* Capabilities */
#define HW_CAP_SHARED 1u	/* one frame in several entries */
#define HW_CAP_YOUNG 2u		/* young is really tracked */
#define HW_CAP_CONTIGUITY 4u	/* contiguous frames mean something */
#define HW_CAP_WINDOW_MAPPED 8u /* window() is valid while mapped, too */
#define HW_CAP_TAGS 16u		/* contents are tags */

struct hw_entry {
	uint64_t vpn;
	uint64_t word;	     /* map: word expected; unmap: word to leave; get, scan: word found */
	uint32_t pfn;	     /* map: in; unmap: in and out; others: out, PFN_NONE if not present */
	uint16_t flags;	     /* HW_*: map: in; others: what was found */
	uint8_t level;	     /* map with -ENOMEM: the missing level, 1..3 */
	uint8_t flags_shift; /* unmap: the flags found go into the word, this far up; 0: not */
	int32_t err;	     /* out */
};

/* An entry that is looked at first and changed afterwards, if at all. */
struct hw_spot {
	uint64_t vpn;
	_Atomic uint64_t *entry; /* private to the hardware; its table is there meanwhile */
	uint32_t pfn;
};

/* What an access sees between access_begin() and access_end(). */
struct hw_access {
	void *data;    /* the page's 4096 bytes; NULL in tag mode */
	uint64_t *tag; /* the frame's tag; NULL with real contents */
	uint32_t pfn;
	_Atomic uint64_t *entry; /* private to the hardware */
	uint64_t value;		 /* private to the hardware */
};

struct hw_ops {
	/*
	 * Zeroed memory that costs nothing until touched and lives as long as the hardware. Any
	 * task may call it, also with its CPU's word; it calls nothing of the engine.
	 * => NULL if there is none
	 */
	void *(*reserve)(struct hw *hw, size_t bytes);
	/* Announces frames first..first+nr-1 (one node's direct map). => 0 or -ENOMEM */
	int (*add_frames)(struct hw *hw, uint32_t first, uint32_t nr);

	/* root is a frame for the top table, owned by the space from now on. => 0 or -ENOMEM */
	int (*space_create)(struct hw *hw, uint32_t root, struct hw_space **out);
	/*
	 * All regions are unmapped. Gives every table frame back through free_table(), the root
	 * last.
	 */
	void (*space_destroy)(struct hw_space *space, void (*free_table)(void *arg, uint32_t pfn),
			      void *arg);

	/*
	 * Per entry: 0; -EAGAIN the word was not the expected one (word: now found, or present);
	 * -ENOMEM a table is missing (level). Entries after a failing one are still tried.
	 */
	void (*map)(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
	/*
	 * pfn: the frame to take out, or PFN_NONE for whatever is there.
	 * Per entry: 0 and pfn, flags found (young, dirty exact); -EAGAIN another frame is there
	 * (pfn: found); -ENOENT not present (word: found). Nothing changes with an error.
	 * With a flags_shift the word that is left has HW_WRITE, HW_YOUNG, HW_DIRTY as they were.
	 */
	void (*unmap)(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
	/* Clears HW_WRITE and HW_DIRTY; flags: before. -ENOENT as above. */
	void (*protect)(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
	/* Adds HW_WRITE if the entry still maps entries[i].pfn; -EAGAIN otherwise. */
	void (*allow_write)(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
	/* Tests and clears HW_YOUNG; flags: before. -ENOENT as above. */
	void (*harvest)(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
	/* harvest of one entry, which maps pfn and goes on doing so. => whether it was young */
	bool (*harvest_one)(struct hw_space *space, uint64_t vpn, uint32_t pfn);
	/*
	 * Looks at entries of one space, in any order, and waits for nobody.
	 * => true: each maps its pfn, and is young if that was asked; the spots are for spot_take()
	 */
	bool (*spot_look)(struct hw_space *space, struct hw_spot *spots, uint32_t nr, bool young);
	/*
	 * Clears HW_YOUNG of spots, of any spaces, that still map their pfn. One that is being
	 * accessed stays young, as if the access had begun afterwards: waits for nobody.
	 */
	void (*spot_take)(struct hw_spot *spots, uint32_t nr);
	/* Clears HW_YOUNG and HW_DIRTY, and keeps HW_WRITE; flags: before. -ENOENT as above. */
	void (*clean)(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
	/*
	 * Replaces word `expect` by `word` at vpn.
	 * => 0, -EAGAIN (other word or present), -ENOMEM (no table)
	 */
	int (*set_word)(struct hw_space *space, uint64_t vpn, uint64_t expect, uint64_t word);
	/* Reads one entry. */
	void (*get)(struct hw_space *space, struct hw_entry *entry);
	/*
	 * Finds non-empty entries in first..last (inclusive), ascending, at most max; empty tables
	 * are stepped over.
	 * => number found; fewer than max means the range is exhausted
	 */
	uint32_t (*scan)(struct hw_space *space, uint64_t first, uint64_t last,
			 struct hw_entry *entries, uint32_t max);
	void (*flush)(struct hw_space *space);

	/*
	 * Installs frame pfn as the table of `level` at vpn.
	 * => 0; -EEXIST somebody else did: free yours
	 */
	int (*add_table)(struct hw_space *space, uint64_t vpn, uint32_t level, uint32_t pfn);
	/* The frame of the leaf table that covers vpn. => PFN_NONE: `level` is missing */
	uint32_t (*leaf_table)(struct hw_space *space, uint64_t vpn, uint32_t *level);
	/* Gives back empty leaf tables wholly in first..last; nobody accesses the range. */
	void (*release_tables)(struct hw_space *space, uint64_t first, uint64_t last,
			       void (*free_table)(void *arg, uint32_t pfn), void *arg);

	/*
	 * Begins one access by a program: on success the entry stays as it is, and the page's
	 * contents belong to the caller, until access_end(). Sets young, and dirty when `write`.
	 * => 0; -EFAULT not present or not writable: fault and try again
	 * => between begin and end: no sleeping, no engine call
	 */
	int (*access_begin)(struct hw_space *space, uint64_t vpn, bool write,
			    struct hw_access *access);
	void (*access_end)(struct hw_space *space, struct hw_access *access);

	void *(*window)(struct hw *hw, uint32_t pfn);
	uint64_t *(*tag)(struct hw *hw, uint32_t pfn); /* NULL with real contents */
	void (*copy)(struct hw *hw, uint32_t to, uint32_t from);
	/* The frame will be copied soon, from or to it. A hint: nothing is read, written or kept.
	 */
	void (*soon)(struct hw *hw, uint32_t pfn);
	/* Where the entry of vpn is: to be asked for ahead, never read. => NULL: not known */
	const void *(*entry_hint)(struct hw_space *space, uint64_t vpn);
	void (*zero)(struct hw *hw, uint32_t pfn);
};

struct hw {
	const struct hw_ops *ops; /* I */
	uint32_t caps;		  /* I: HW_CAP_* */
	/*
	 * I: frames 1..nr_direct lie behind each other, as if frame 0 were at `direct`: their
	 * windows need not be asked for. nr_direct 0: they do not.
	 */
	uint32_t nr_direct;
	char *direct;
};

/* A pointer to a frame's bytes: see CONTENTS. */
static ALWAYS_INLINE void *hw_window(struct hw *hw, uint32_t pfn)
{
	if (likely(pfn - 1 < hw->nr_direct))
		return hw->direct + ((uint64_t)pfn << NEAP_PAGE_SHIFT);
	return hw->ops->window(hw, pfn);
}

#endif
