/*
 * The parts of hw/soft that its function table (soft.c) is made of, and what they share.
 * Contracts: port/hw.h.
 */
#ifndef NEAP_HW_SOFT_TABLE_H
#define NEAP_HW_SOFT_TABLE_H

#include "hw/soft/soft.h"

typedef void (*soft_free_fn)(void *arg, uint32_t pfn);

/* soft.c */
void *soft_window(struct hw *hw, uint32_t pfn);

/* access.c */
void soft_relax(uint32_t *spins);
uint64_t soft_wait_idle(const _Atomic uint64_t *entry);
/* The value of an entry that nobody is accessing; it may be busy again at once. */
static ALWAYS_INLINE uint64_t soft_load_idle(const _Atomic uint64_t *entry)
{
	uint64_t value = atomic_load_explicit(entry, memory_order_acquire);

	return likely((value & SOFT_BUSY) == 0) ? value : soft_wait_idle(entry);
}
int soft_op_access_begin(struct hw_space *space, uint64_t vpn, bool write,
			 struct hw_access *access);
void soft_op_access_end(struct hw_space *space, struct hw_access *access);

/* table.c */
_Atomic uint64_t *soft_find_slot(const struct soft_space *space, uint64_t vpn, uint32_t level,
				 uint32_t *missing);
_Atomic uint16_t *soft_used_count(const struct soft_space *space, const _Atomic uint64_t *entry);
int soft_op_space_create(struct hw *hw, uint32_t root, struct hw_space **out);
void soft_op_space_destroy(struct hw_space *space, soft_free_fn free_table, void *arg);
int soft_op_add_table(struct hw_space *space, uint64_t vpn, uint32_t level, uint32_t pfn);
uint32_t soft_op_leaf_table(struct hw_space *space, uint64_t vpn, uint32_t *level);
void soft_op_release_tables(struct hw_space *space, uint64_t first, uint64_t last,
			    soft_free_fn free_table, void *arg);
uint64_t soft_next_vpn(uint64_t vpn, uint32_t level);

/* entry.c */
void soft_op_map(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
void soft_op_unmap(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
void soft_op_protect(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
void soft_op_allow_write(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
void soft_op_harvest(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
bool soft_op_harvest_one(struct hw_space *space, uint64_t vpn, uint32_t pfn);
bool soft_op_spot_look(struct hw_space *space, struct hw_spot *spots, uint32_t nr, bool young);
void soft_op_spot_take(struct hw_spot *spots, uint32_t nr);
void soft_op_clean(struct hw_space *space, struct hw_entry *entries, uint32_t nr);
int soft_op_set_word(struct hw_space *space, uint64_t vpn, uint64_t expect, uint64_t word);
void soft_op_get(struct hw_space *space, struct hw_entry *entry);
uint32_t soft_op_scan(struct hw_space *space, uint64_t first, uint64_t last,
		      struct hw_entry *entries, uint32_t max);
void soft_op_flush(struct hw_space *space);
const void *soft_op_entry_hint(struct hw_space *space, uint64_t vpn);

#endif
