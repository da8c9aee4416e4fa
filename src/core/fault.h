/* Page faults: bringing a page of a region into memory and mapping it. */
#ifndef NEAP_CORE_FAULT_H
#define NEAP_CORE_FAULT_H

#include "core/space.h"

#define FAULT_WRITE 1u

/*
 * Makes one page of a region accessible as asked. May sleep. Nothing held.
 * => 0: the caller tries its access again (it may fault again if the page left meanwhile)
 * => -ENOMEM no frame or table; -EIO the swap copy or file page could not be read
 */
int fault_handle(struct task *t, struct region *region, uint64_t page, uint32_t flags) MUST_CHECK;

/*
 * Faults the page in and takes a reference, so that it stays mapped to its frame. May sleep.
 * => 0 and *pfn, or as fault_handle(). Undo with fault_unpin().
 */
int fault_pin(struct task *t, struct region *region, uint64_t page, bool write,
	      uint32_t *pfn) MUST_CHECK;
/* May sleep. written: the contents changed while pinned. */
void fault_unpin(struct task *t, struct page *page, bool written);

/*
 * Maps the locked, up to date page entry->pfn of the swap cache in place of its swap word at
 * entry->vpn, gives it its owner, and drops the word's reference to the slot. The area of the slot
 * is kept in use. May sleep (page tables). => 0, -EAGAIN the entry holds something else, -ENOMEM
 */
int fault_map_swapped(struct task *t, struct region *region, struct hw_entry *entry,
		      uint32_t slot) MUST_CHECK;

/*
 * Touches pages first..first+nr-1, for reading or writing (MADV_POPULATE_*, mlock). May sleep. => 0
 * or the first error
 */
int fault_populate(struct task *t, struct region *region, uint64_t first, uint64_t nr,
		   bool write) MUST_CHECK;

#endif
