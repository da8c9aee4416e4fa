/*
 * hw/soft: the tree of tables of an address space.
 *
 * A table is a frame of the machine with 512 entries of 8 bytes, reached through the direct map.
 * Four levels translate 36 bits of virtual page number:
 *
 *	vpn   35......27 26......18 17.......9 8........0
 *	       level 4    level 3    level 2    level 1
 *	       (root) --> table ---> table ---> leaf ---> frame or word
 *
 * One entry, in every level ("P" present, "B" busy, "W" write, "Y" young, "D" dirty):
 *
 *	63                      12  ...  4 3 2 1 0
 *	frame number             |   0   D Y W B 1     leaf: present
 *	word, 60 bits                        | 0 0     leaf: a word; all 0 = empty
 *	frame number             |   0   0 0 0 0 1     upper levels: a table; all 0 = missing
 *
 * Walking takes no lock. A table is cleared first and then published by a release store, which the
 * walker's acquire loads answer. Upper tables live until the space is destroyed; a leaf table lives
 * until its region is gone and release_tables() is called for it, when nobody walks there. So
 * a walker never meets a table that is being freed.
 *
 * Each leaf table's frame has a count of its entries that are not empty (soft.used). It is raised
 * before an entry is filled and lowered after one was emptied, so that it is never below the
 * truth: a count of 0 means empty at any time, not only when nobody is inside.
 *
 * What must never happen:
 *	1. a table reachable before it is cleared;
 *	2. a table given back while an entry points at it;
 *	3. free_table() called with our lock held: it takes the engine's locks.
 *
 * In Linux this is mm/memory.c's allocation and freeing of page tables, and the processor's walk.
 * DIFF: with a region go its own leaf tables only; upper tables go with the space.
 */
#include <stdlib.h>
#include <string.h>

#include "hw/soft/table.h"

_Static_assert(HW_LEVELS == 4, "the walk is written out for four levels");
_Static_assert(HW_TABLE_ENTRIES * sizeof(uint64_t) == NEAP_PAGE_BYTES, "a table is one frame");
_Static_assert(HW_TABLE_ENTRIES == 1u << SOFT_LEVEL_BITS, "index bits of a level");
_Static_assert(HW_VPN_MAX == ((uint64_t)1 << (HW_LEVELS * SOFT_LEVEL_BITS)) - 1, "vpn bits");
_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "entries are plain words");

/*
 * The entry of vpn in the table of `level`, 1 = leaf.
 * => NULL: a table on the way is missing, *missing says of which level
 */
_Atomic uint64_t *soft_find_slot(const struct soft_space *space, uint64_t vpn, uint32_t level,
				 uint32_t *missing)
{
	_Atomic uint64_t *table = space->root;

	CHECK(vpn <= HW_VPN_MAX);
	for (uint32_t at = HW_LEVELS; at > level; at--) {
		table = soft_enter_table(space, &table[soft_table_index(vpn, at)]);
		if (table == NULL) {
			*missing = at - 1;
			return NULL;
		}
	}
	return &table[soft_table_index(vpn, level)];
}

/* The count of the leaf table that holds `entry`. */
_Atomic uint16_t *soft_used_count(const struct soft_space *space, const _Atomic uint64_t *entry)
{
	uint64_t offset_bytes = (uint64_t)((const char *)entry - space->frames);

	return &space->soft->used[offset_bytes >> NEAP_PAGE_SHIFT];
}

/* The first vpn beyond what one table of `level` around vpn translates. */
uint64_t soft_next_vpn(uint64_t vpn, uint32_t level)
{
	uint32_t bits = SOFT_LEVEL_BITS * level;

	return ((vpn >> bits) + 1) << bits;
}

static uint32_t table_pfn(uint64_t value)
{
	return (uint32_t)(value >> NEAP_PAGE_SHIFT);
}

static void table_lock(struct soft_space *space)
{
	uint32_t spins = 0;

	/* Bounded: holders do a handful of instructions. */
	while (atomic_exchange_explicit(&space->lock, 1, memory_order_acquire) != 0)
		soft_relax(&spins);
}

static void table_unlock(struct soft_space *space)
{
	atomic_store_explicit(&space->lock, 0, memory_order_release);
}

/* Makes frame pfn an empty table that nobody can reach yet. */
static void table_clear(struct soft *soft, uint32_t pfn)
{
	memset(soft_window(&soft->hw, pfn), 0, NEAP_PAGE_BYTES);
	atomic_store_explicit(&soft->used[pfn], 0, memory_order_relaxed);
}

int soft_op_space_create(struct hw *hw, uint32_t root, struct hw_space **out)
{
	struct soft *soft = container_of(hw, struct soft, hw);
	struct soft_space *space = aligned_alloc(_Alignof(struct soft_space), sizeof(*space));

	if (space == NULL)
		return -ENOMEM;
	table_clear(soft, root);
	space->frames = soft->frames;
	space->tags = soft->tags;
	space->soft = soft;
	space->root = soft_window(hw, root);
	space->root_pfn = root;
	atomic_init(&space->lock, 0);
	atomic_fetch_add_explicit(&soft->nr_spaces, 1, memory_order_relaxed);
	*out = (struct hw_space *)(void *)space;
	return 0;
}

int soft_op_add_table(struct hw_space *hw_space, uint64_t vpn, uint32_t level, uint32_t pfn)
{
	struct soft_space *space = soft_space_of(hw_space);
	_Atomic uint64_t *slot;
	uint32_t missing;
	int err = 0;

	CHECK(level >= 1 && level < HW_LEVELS);
	slot = soft_find_slot(space, vpn, level + 1, &missing);
	if (slot == NULL)
		return -ENOMEM;
	table_clear(space->soft, pfn);
	table_lock(space);
	if (atomic_load_explicit(slot, memory_order_relaxed) != 0)
		err = -EEXIST;
	else
		atomic_store_explicit(slot, (uint64_t)pfn << NEAP_PAGE_SHIFT | SOFT_PRESENT,
				      memory_order_release);
	table_unlock(space);
	return err;
}

uint32_t soft_op_leaf_table(struct hw_space *hw_space, uint64_t vpn, uint32_t *level)
{
	const struct soft_space *space = soft_space_of(hw_space);
	const _Atomic uint64_t *slot = soft_find_slot(space, vpn, 1, level);

	if (slot == NULL)
		return PFN_NONE;
	return (uint32_t)((uint64_t)((const char *)slot - space->frames) >> NEAP_PAGE_SHIFT);
}

/* Unhooks the leaf table that `slot` points at if it is empty. => its frame, else PFN_NONE */
static uint32_t table_unhook_empty(struct soft_space *space, _Atomic uint64_t *slot)
{
	uint32_t pfn = PFN_NONE;
	uint64_t value;

	table_lock(space);
	value = atomic_load_explicit(slot, memory_order_acquire);
	if (value != 0 &&
	    atomic_load_explicit(&space->soft->used[table_pfn(value)], memory_order_acquire) == 0) {
		atomic_store_explicit(slot, 0, memory_order_release);
		pfn = table_pfn(value);
	}
	table_unlock(space);
	return pfn;
}

void soft_op_release_tables(struct hw_space *hw_space, uint64_t first, uint64_t last,
			    soft_free_fn free_table, void *arg)
{
	struct soft_space *space = soft_space_of(hw_space);
	uint64_t vpn = round_up_u64(first, HW_TABLE_ENTRIES);
	uint64_t end = round_down_u64(min_u64(last, HW_VPN_MAX) + 1, HW_TABLE_ENTRIES);

	while (vpn < end) { /* bounded: each round passes at least one leaf table's range */
		uint32_t missing = 1;
		_Atomic uint64_t *slot = soft_find_slot(space, vpn, 2, &missing);

		if (slot != NULL) {
			uint32_t pfn = table_unhook_empty(space, slot);

			if (pfn != PFN_NONE)
				free_table(arg, pfn);
		}
		vpn = soft_next_vpn(vpn, missing);
	}
}

/* Where freed tables go. */
struct table_sink {
	struct soft_space *space;
	soft_free_fn free_table;
	void *arg;
};

/* Gives back the leaf tables of one level 2 table. */
static void table_free_leaves(const struct table_sink *sink, const _Atomic uint64_t *table)
{
	for (uint32_t i = 0; i < HW_TABLE_ENTRIES; i++) {
		uint64_t value = atomic_load_explicit(&table[i], memory_order_acquire);

		if (value == 0)
			continue;
		/* A leaf that still holds something would take frames or swap slots with it. */
		DCHECK(atomic_load_explicit(&sink->space->soft->used[table_pfn(value)],
					    memory_order_relaxed) == 0);
		sink->free_table(sink->arg, table_pfn(value));
	}
}

/* Gives back the level 2 tables of one level 3 table, and what is under them. */
static void table_free_middle(const struct table_sink *sink, const _Atomic uint64_t *table)
{
	for (uint32_t i = 0; i < HW_TABLE_ENTRIES; i++) {
		const _Atomic uint64_t *child = soft_enter_table(sink->space, &table[i]);

		if (child == NULL)
			continue;
		table_free_leaves(sink, child);
		sink->free_table(sink->arg,
				 table_pfn(atomic_load_explicit(&table[i], memory_order_relaxed)));
	}
}

void soft_op_space_destroy(struct hw_space *hw_space, soft_free_fn free_table, void *arg)
{
	struct soft_space *space = soft_space_of(hw_space);
	struct soft *soft = space->soft;
	struct table_sink sink = { .space = space, .free_table = free_table, .arg = arg };
	const _Atomic uint64_t *root = space->root;

	for (uint32_t i = 0; i < HW_TABLE_ENTRIES; i++) {
		const _Atomic uint64_t *child = soft_enter_table(space, &root[i]);

		if (child == NULL)
			continue;
		table_free_middle(&sink, child);
		free_table(arg, table_pfn(atomic_load_explicit(&root[i], memory_order_relaxed)));
	}
	free_table(arg, space->root_pfn);
	free(space);
	atomic_fetch_sub_explicit(&soft->nr_spaces, 1, memory_order_release);
}
