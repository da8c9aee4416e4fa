/*
 * hw/soft: memory hardware in software, for both runtimes.
 *
 * The contract is port/hw.h. This header makes the hardware, and shows the
 * layout of its spaces so that the access path, the hottest of the product, can
 * be inlined where a program's access enters (soft_access_begin(),
 * soft_access_end()). Everybody else goes through struct hw_ops.
 */
#ifndef NEAP_HW_SOFT_SOFT_H
#define NEAP_HW_SOFT_SOFT_H

#include <errno.h>
#include <stdatomic.h>

#include "base/base.h"
#include "base/check.h"
#include "port/hw.h"

/*
 * Makes hardware with frames 1..nr_frames_total-1 (highest frame number plus one). With `tags` a
 * frame's contents is one 64-bit tag; see soft.c. Memory is reserved, not touched.
 * => 0 and *out; -EINVAL no frame at all; -ENOMEM
 */
int MUST_CHECK hw_soft_create(uint32_t nr_frames_total, bool tags, struct hw **out);

/*
 * Gives everything back: frames, reserved memory, the hardware itself.
 * => every space was destroyed, nobody is inside
 */
void hw_soft_destroy(struct hw *hw);

/* Bits of a table entry; table.c draws them. */
#define SOFT_PRESENT ((uint64_t)1 << 0)
#define SOFT_BUSY ((uint64_t)1 << 1)
#define SOFT_WRITE ((uint64_t)1 << 2)
#define SOFT_YOUNG ((uint64_t)1 << 3)
#define SOFT_DIRTY ((uint64_t)1 << 4)
#define SOFT_FRAME_MASK (~(uint64_t)(NEAP_PAGE_BYTES - 1))
#define SOFT_WORD_SHIFT 2u
#define SOFT_LEVEL_BITS 9u

/* Legend: I immutable after creation, a atomic. */
struct soft_chunk;

struct soft {
	struct hw hw;			     /* I: what the engine sees */
	char *frames;			     /* I: direct map, frame 0 first */
	uint64_t *tags;			     /* I: one a frame; NULL with real contents */
	_Atomic uint16_t *used;		     /* a: of a leaf table: entries not empty */
	uint32_t nr_frames;		     /* I */
	_Atomic uint32_t nr_spaces;	     /* a */
	_Atomic(struct soft_chunk *) chunks; /* a: what reserve() gave out; only grows */
};

struct soft_space {
	char *frames;		/* I: of the hardware */
	uint64_t *tags;		/* I: of the hardware */
	_Atomic uint64_t *root; /* I: level 4 table */
	struct soft *soft;	/* I */
	uint32_t root_pfn;	/* I */
	_Atomic uint32_t lock;	/* a: 1 while a table comes or goes; a leaf lock */
} CACHE_ALIGNED;

static ALWAYS_INLINE struct soft_space *soft_space_of(struct hw_space *space)
{
	return (struct soft_space *)(void *)space;
}

/*
 * The rest of beginning an access: waits while *entry is busy.
 * => 0: busy is set by us, *value as it was before; -EFAULT: `need` is not all there
 */
int soft_access_contend(_Atomic uint64_t *entry, uint64_t need, uint64_t *value);

/* The table that an entry of an upper level points at. => NULL: the entry is empty */
static ALWAYS_INLINE _Atomic uint64_t *soft_enter_table(const struct soft_space *space,
							const _Atomic uint64_t *entry)
{
	uint64_t value = atomic_load_explicit(entry, memory_order_acquire);

	if (unlikely(value == 0))
		return NULL;
	char *table = space->frames + (value & SOFT_FRAME_MASK);

	if (table == NULL)
		__builtin_unreachable(); /* the caller's test is the one above */
	return (_Atomic uint64_t *)(void *)table;
}

/* Index of vpn in a table of `level`, 1 = leaf. */
static ALWAYS_INLINE uint64_t soft_table_index(uint64_t vpn, uint32_t level)
{
	return (vpn >> (SOFT_LEVEL_BITS * (level - 1))) % HW_TABLE_ENTRIES;
}

/*
 * The leaf entry of vpn. => NULL: a table is missing
 *
 * Remembering 64 leaf tables in the space saved 1 ns of 5 with 1000 pages in random order, and
 * lost 7 ns of 26 with 125000, which need more tables than that; so every access walks.
 */
static ALWAYS_INLINE _Atomic uint64_t *soft_find_entry(const struct soft_space *space, uint64_t vpn)
{
	_Atomic uint64_t *table = space->root;

	table = soft_enter_table(space, &table[soft_table_index(vpn, 4)]);
	if (unlikely(table == NULL))
		return NULL;
	table = soft_enter_table(space, &table[soft_table_index(vpn, 3)]);
	if (unlikely(table == NULL))
		return NULL;
	table = soft_enter_table(space, &table[soft_table_index(vpn, 2)]);
	if (unlikely(table == NULL))
		return NULL;
	return &table[soft_table_index(vpn, 1)];
}

/* The entry is busy for this access; value: what it was. */
static ALWAYS_INLINE void soft_access_fill(const struct soft_space *space, struct hw_access *access,
					   uint64_t value, bool write)
{
	access->value = value | (write ? SOFT_YOUNG | SOFT_DIRTY : SOFT_YOUNG);
	access->pfn = (uint32_t)(value >> NEAP_PAGE_SHIFT);
	if (space->tags == NULL) {
		access->data = space->frames + (value & SOFT_FRAME_MASK);
		access->tag = NULL;
	} else {
		access->data = NULL;
		access->tag = space->tags + access->pfn;
	}
}

static ALWAYS_INLINE uint64_t soft_access_needs(bool write)
{
	return write ? SOFT_PRESENT | SOFT_WRITE : SOFT_PRESENT;
}

/*
 * soft_access_begin() as far as it goes without a call, so that its callers need no stack frame for
 * it. => 0; -EFAULT; -EBUSY: another task is at access->entry, begin properly
 */
static ALWAYS_INLINE int MUST_CHECK soft_access_try(struct hw_space *hw_space, uint64_t vpn,
						    bool write, struct hw_access *access)
{
	struct soft_space *space = soft_space_of(hw_space);
	uint64_t need = soft_access_needs(write);
	_Atomic uint64_t *entry;
	uint64_t value;

	DCHECK(vpn <= HW_VPN_MAX);
	entry = soft_find_entry(space, vpn);
	if (unlikely(entry == NULL))
		return -EFAULT;
	access->entry = entry;
	value = atomic_load_explicit(entry, memory_order_relaxed);
	if (unlikely((value & (need | SOFT_BUSY)) != need))
		return (value & SOFT_BUSY) != 0 ? -EBUSY : -EFAULT;
	if (unlikely(!atomic_compare_exchange_strong_explicit(
		    entry, &value, value | SOFT_BUSY, memory_order_acquire, memory_order_relaxed)))
		return -EBUSY;
	soft_access_fill(space, access, value, write);
	return 0;
}

/* hw_ops.access_begin, inline. */
static ALWAYS_INLINE int MUST_CHECK soft_access_begin(struct hw_space *hw_space, uint64_t vpn,
						      bool write, struct hw_access *access)
{
	int err = soft_access_try(hw_space, vpn, write, access);
	uint64_t value;

	if (likely(err != -EBUSY))
		return err;
	err = soft_access_contend(access->entry, soft_access_needs(write), &value);
	if (err == 0)
		soft_access_fill(soft_space_of(hw_space), access, value, write);
	return err;
}

/* hw_ops.access_end, inline. Nobody changes a busy entry, so a store is enough. */
static ALWAYS_INLINE void soft_access_end(struct hw_space *hw_space, struct hw_access *access)
{
	(void)hw_space;
	atomic_store_explicit(access->entry, access->value, memory_order_release);
}

#endif
