/*
 * The page descriptor: 32 bytes for each frame.
 *
 *   offset 0   flags   8  page flags, order, zone, node (see below)
 *          8   next    4  \ frame-number links: the one list the frame is on
 *         12   prev    4  / (free list, LRU, isolated, batch of freed; per-CPU lists are arrays)
 *         16   refs    4  references; 0 = free
 *         20   maps    4  page-table entries that map it
 *         24   owner   4  anon: region id. file: mapping id. free block head: order
 *         28   index   4  page in the owner. free block head: migrate type
 *
 * An all-zero descriptor is the inside of a free boot block, so that building a
 * machine writes one descriptor per free block and never touches the rest.
 *
 * Who may write: flags, refs and maps are atomic. next/prev belong to the lock of
 * the list. owner and index belong to whoever holds the page exclusively (free
 * list lock, or the only reference) and do not change while the page is in use;
 * an anonymous page keeps them from first fault to free.
 *
 * A huge page is 512 frames and one page: the first descriptor is the head and stands for all of
 * them. refs and maps of the head count entries that map any of its frames; those of the tails are
 * 0, so that nobody gets a reference to a tail. A frame found in an entry leads to its head by
 * thp_head() (core/thp.h).
 *
 * Kinds. A frame is in exactly one of these states (verify.c checks it):
 *   PG_BUDDY head of a free block    (zone lock)
 *   inside a block, free or in use   (no PG_BUDDY, no PG_HEAD, no reference; only the
 *                                     head speaks for its block)
 *   PG_PCP on a per-CPU list         (CPU word)
 *   PG_TABLE, PG_SLAB, PG_KERNEL     engine metadata and kernel-like blocks
 *   PG_HUGETLB head of a page of the pool of huge pages
 *   user page: PG_ANON or a mapping's page, on an LRU list, a batch, or isolated;
 *     PG_ANON and PG_HEAD: a transparent huge page, its tails PG_TAIL
 */
#ifndef NEAP_CORE_PAGE_H
#define NEAP_CORE_PAGE_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/check.h"

struct page {
	_Atomic uint64_t flags;
	union {
		struct {
			uint32_t next;
			uint32_t prev;
		};
		uint32_t link[2]; /* the same: 0 next, 1 prev */
		uint64_t links;	  /* both, for page_set_links() */
	};
	union {
		struct {
			_Atomic uint32_t refs;
			_Atomic uint32_t maps;
		};
		_Atomic uint64_t uses; /* both, for page_set_uses() */
	};
	union {
		struct {
			uint32_t owner;
			uint32_t index;
		};
		uint64_t identity; /* both, for page_set_identity() */
	};
};

_Static_assert(sizeof(struct page) == 32, "the design promises 32 bytes a frame");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "links and identity are written as one");

/*
 * The first references, of a page that no entry maps; whoever finds them sees what was written
 * before.
 */
static ALWAYS_INLINE void page_set_uses(struct page *page, uint32_t refs)
{
	atomic_store_explicit(&page->uses, refs, memory_order_release);
}

/*
 * Two fields by one write. They are read one by one: a processor makes a read of both wait if one
 * of them was written by itself shortly before.
 */
static ALWAYS_INLINE void page_set_links(struct page *page, uint32_t next, uint32_t prev)
{
	page->links = (uint64_t)prev << 32 | next;
}

static ALWAYS_INLINE uint64_t page_identity(uint32_t owner, uint32_t index)
{
	return (uint64_t)index << 32 | owner;
}

static ALWAYS_INLINE void page_set_identity(struct page *page, uint32_t owner, uint32_t index)
{
	page->identity = page_identity(owner, index);
}

/* The order of this list is the order in which flags are printed. */
#define PG_LOCKED ((uint64_t)1 << 0)	  /* page lock: contents or identity is being changed */
#define PG_REFERENCED ((uint64_t)1 << 1)  /* software reference bit of the LRU rules */
#define PG_UPTODATE ((uint64_t)1 << 2)	  /* contents are valid */
#define PG_DIRTY ((uint64_t)1 << 3)	  /* contents differ from swap or file */
#define PG_LRU ((uint64_t)1 << 4)	  /* is on an LRU list */
#define PG_ACTIVE ((uint64_t)1 << 5)	  /* belongs to an active list */
#define PG_WORKINGSET ((uint64_t)1 << 6)  /* was active once */
#define PG_ERROR ((uint64_t)1 << 7)	  /* last I/O failed */
#define PG_WRITEBACK ((uint64_t)1 << 8)	  /* being written */
#define PG_RECLAIM ((uint64_t)1 << 9)	  /* free soon after write-out; on reads: read-ahead mark */
#define PG_SWAPBACKED ((uint64_t)1 << 10) /* anonymous kind of LRU */
#define PG_UNEVICTABLE ((uint64_t)1 << 11)
#define PG_MLOCKED ((uint64_t)1 << 12)
#define PG_SWAPCACHE ((uint64_t)1 << 13) /* has a swap slot: machine.slot_of[pfn] */
#define PG_ANON ((uint64_t)1 << 14)	 /* owner is a region; otherwise a mapping */
#define PG_ISOLATED ((uint64_t)1 << 15)	 /* taken off the LRU by somebody */
#define PG_BUDDY ((uint64_t)1 << 16)
#define PG_PCP ((uint64_t)1 << 17)
#define PG_TABLE ((uint64_t)1 << 18)
#define PG_SLAB ((uint64_t)1 << 19)   /* kernel objects: pools and slabs */
#define PG_KERNEL ((uint64_t)1 << 20) /* a kernel-like block (neap_block_alloc) */
#define PG_BATCH ((uint64_t)1 << 22)  /* sits in a per-CPU LRU batch */
#define PG_YOUNG ((uint64_t)1 << 23)  /* idle tracking */
#define PG_IDLE ((uint64_t)1 << 24)
#define PG_INDEX ((uint64_t)1 << 25)	/* PG_SLAB that is counted as reclaimable */
#define PG_HEAD ((uint64_t)1 << 26)	/* head of a block of order > 0 in use */
#define PG_TAIL ((uint64_t)1 << 27)	/* tail of one that was asked for with COMP */
#define PG_ZEROPAGE ((uint64_t)1 << 28) /* the machine's shared zero page */
#define PG_MOVABLE ((uint64_t)1 << 29)	/* PG_KERNEL whose owner can move it: core/migrate.h */
#define PG_HUGETLB ((uint64_t)1 << 30)	/* head of a page of the pool: core/hugepool.h */
#define PG_THP_WHOLE                                                                               \
	((uint64_t)1 << 31) /* all entries of 2 MiB map this huge page, and go together */
#define PG_SPLIT_QUEUED ((uint64_t)1 << 52) /* waits to be split: core/thp_split.c */

#define PG_FLAG_MASK ((((uint64_t)1 << 32) - 1) | PG_SPLIT_QUEUED)

/* Flags that a page may not have when it is freed. */
#define PG_BAD_AT_FREE                                                                             \
	(PG_LOCKED | PG_LRU | PG_WRITEBACK | PG_SWAPCACHE | PG_ISOLATED | PG_BUDDY | PG_PCP |      \
	 PG_BATCH | PG_TAIL | PG_HUGETLB | PG_THP_WHOLE | PG_SPLIT_QUEUED)

#define PAGE_ORDER_SHIFT 32u /* 4 bits: order of a head, or of a free block */
#define PAGE_ZONE_SHIFT 36u  /* 3 bits */
#define PAGE_TYPE_SHIFT 39u  /* 3 bits: migrate type a per-CPU page was freed with */
#define PAGE_NODE_SHIFT 42u  /* 10 bits */
#define PAGE_PLACE_BITS 16u  /* from the zone to the node */
#define PAGE_PLACE_MASK (((uint64_t)0x7 << PAGE_ZONE_SHIFT) | ((uint64_t)0x3ff << PAGE_NODE_SHIFT))

static inline uint64_t page_place(uint32_t node, uint32_t zone)
{
	return ((uint64_t)zone << PAGE_ZONE_SHIFT) | ((uint64_t)node << PAGE_NODE_SHIFT);
}

/* Node, type and zone as one number: 64 for each node. */
static inline uint32_t page_place_index_of(uint64_t flags)
{
	return (uint32_t)(flags >> PAGE_ZONE_SHIFT) & ((1u << PAGE_PLACE_BITS) - 1);
}

static inline uint64_t page_flags(const struct page *page)
{
	return atomic_load_explicit(&((struct page *)(uintptr_t)page)->flags, memory_order_acquire);
}

static inline bool page_test(const struct page *page, uint64_t flag)
{
	return (page_flags(page) & flag) != 0;
}

static inline void page_set(struct page *page, uint64_t flag)
{
	atomic_fetch_or_explicit(&page->flags, flag, memory_order_acq_rel);
}

static inline void page_clear(struct page *page, uint64_t flag)
{
	atomic_fetch_and_explicit(&page->flags, ~flag, memory_order_acq_rel);
}

/* => whether the flag was set before */
static inline bool page_test_set(struct page *page, uint64_t flag)
{
	return (atomic_fetch_or_explicit(&page->flags, flag, memory_order_acq_rel) & flag) != 0;
}

static inline bool page_test_clear(struct page *page, uint64_t flag)
{
	return (atomic_fetch_and_explicit(&page->flags, ~flag, memory_order_acq_rel) & flag) != 0;
}

/* Clears `off`, all of which is set, and sets `on`, none of which is: one step. */
static inline void page_exchange(struct page *page, uint64_t off, uint64_t on)
{
	uint64_t before = atomic_fetch_xor_explicit(&page->flags, off | on, memory_order_acq_rel);

	(void)before;
	DCHECK((before & (off | on)) == off);
}

/* The same if all of `off` is set; `on` is not. => whether it was */
static inline bool page_test_exchange(struct page *page, uint64_t off, uint64_t on)
{
	uint64_t flags = page_flags(page);

	do { /* bounded: somebody else changed another flag */
		if ((flags & off) != off)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&page->flags, &flags, flags ^ (off | on),
							memory_order_acq_rel,
							memory_order_acquire));
	DCHECK((flags & on) == 0);
	return true;
}

/* The order in flags that were read. */
static inline uint32_t page_order_of(uint64_t flags)
{
	return (uint32_t)(flags >> PAGE_ORDER_SHIFT) & 0xf;
}

static inline uint32_t page_order(const struct page *page)
{
	return page_order_of(page_flags(page));
}

static inline uint32_t page_zone_index_of(uint64_t flags)
{
	return (uint32_t)(flags >> PAGE_ZONE_SHIFT) & 0x7;
}

/* Frames of the page: 1, or those of the block that it is the head of. */
static inline uint32_t page_nr_of(uint64_t flags)
{
	return (flags & PG_HEAD) ? 1u << page_order_of(flags) : 1;
}

static inline uint32_t page_nr(const struct page *page)
{
	return page_nr_of(page_flags(page));
}

static inline uint32_t page_zone_index(const struct page *page)
{
	return page_zone_index_of(page_flags(page));
}

static inline uint32_t page_node_of(uint64_t flags)
{
	return (uint32_t)(flags >> PAGE_NODE_SHIFT) & 0x3ff;
}

static inline uint32_t page_node_id(const struct page *page)
{
	return page_node_of(page_flags(page));
}

/*
 * Added to the one reference of a block whose owner alone gives it back: nobody else gets one, not
 * even who finds the frame in an entry or an index that is out of date. So the last reference is
 * dropped by a plain write, and whoever frees a block whose descriptor is in no cache need not wait
 * for it.
 */
#define PAGE_OWNED 0x80000000u

static inline uint32_t page_refs(const struct page *page)
{
	return atomic_load_explicit(&((struct page *)(uintptr_t)page)->refs, memory_order_acquire);
}

static inline void page_get(struct page *page)
{
	uint32_t before = atomic_fetch_add_explicit(&page->refs, 1, memory_order_acq_rel);

	(void)before;
	DCHECK(before != 0 && before < PAGE_OWNED);
}

/* Takes a reference unless there are none (the page may be on its way out) or never is another. */
static inline bool page_get_unless_zero(struct page *page)
{
	uint32_t refs = atomic_load_explicit(&page->refs, memory_order_acquire);

	while (refs - 1 < PAGE_OWNED - 1)
		if (atomic_compare_exchange_weak_explicit(&page->refs, &refs, refs + 1,
							  memory_order_acq_rel,
							  memory_order_acquire))
			return true;
	return false;
}

/* Drops one reference. => true if it was the last: the caller frees the page */
static inline bool MUST_CHECK page_put_test(struct page *page)
{
	uint32_t before = atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel);

	DCHECK(before != 0 && before < PAGE_OWNED);
	return before == 1;
}

/* The same for a block that may be owned. */
static ALWAYS_INLINE bool MUST_CHECK page_put_owned(struct page *page)
{
	if (unlikely(atomic_load_explicit(&page->refs, memory_order_relaxed) != (PAGE_OWNED | 1)))
		return page_put_test(page);
	atomic_store_explicit(&page->refs, 0, memory_order_relaxed);
	return true;
}

/* Freezes the count at zero if it is exactly `refs`: nobody can get a reference any more. */
static inline bool page_freeze(struct page *page, uint32_t refs)
{
	return atomic_compare_exchange_strong_explicit(&page->refs, &refs, 0, memory_order_acq_rel,
						       memory_order_acquire);
}

/*
 * A pin counts as this many references, so that reclaim can tell pinned pages (spec 11, section 6).
 * For pages of programs: a block with one owner looks pinned.
 */
#define PAGE_PIN_BIAS 1024u

static inline bool page_maybe_pinned(const struct page *page)
{
	return page_refs(page) >= PAGE_PIN_BIAS;
}

static inline uint32_t page_maps(const struct page *page)
{
	return atomic_load_explicit(&((struct page *)(uintptr_t)page)->maps, memory_order_acquire);
}

#endif
