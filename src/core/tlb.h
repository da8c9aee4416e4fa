/*
 * Translations that CPUs remember of entries that were taken out; see tlb.c.
 */
#ifndef NEAP_CORE_TLB_H
#define NEAP_CORE_TLB_H

#include "port/rt.h"

/* Bits of task.tlb_pending. */
#define TLB_UNMAPPED 1u
#define TLB_WRITABLE 2u /* some CPU may still write through one */

/* An entry was taken out; `dirty`: pages were written through it. */
static inline void tlb_note(struct task *t, bool dirty)
{
	t->tlb_pending |= dirty ? TLB_UNMAPPED | TLB_WRITABLE : TLB_UNMAPPED;
}

/*
 * Nobody can reach a page through an entry noted before, when it returns: for pages that are about
 * to be freed, or, the second, to be written out. A preempt point if a CPU must be asked.
 */
void tlb_flush(struct task *t);
void tlb_flush_dirty(struct task *t);

/* The same for one entry, at once, without noting it. Locks may be held. */
void tlb_flush_page(struct task *t);

/* The same for more entries than are worth naming: everything is forgotten. A preempt point. */
void tlb_flush_range(struct task *t);

#endif
