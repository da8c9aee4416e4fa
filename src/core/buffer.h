/*
 * Buffer heads of pages that were written to files: where their memory comes from.
 */
#ifndef NEAP_CORE_BUFFER_H
#define NEAP_CORE_BUFFER_H

#include "core/machine.h"

#define BUFFER_BYTES 104u /* of Linux's struct buffer_head: 39 in a frame */

/*
 * From now on a page that a program changes in a file has one. => no page is dirty
 * => 0 or -ENOMEM
 */
int buffer_enable(struct neap_machine *m) MUST_CHECK;

/* The page, locked, is about to be changed. May sleep for memory. Nothing if it has one. */
void buffer_attach(struct task *t, const struct page *page);
/* The page, locked or frozen, leaves its file. Never sleeps; no lock is held. */
void buffer_detach(struct task *t, const struct page *page);
/* Locked page `to` takes the place of locked page `from`. */
void buffer_move(struct neap_machine *m, const struct page *from, const struct page *to);

static inline bool buffer_has(const struct neap_machine *m, uint32_t pfn)
{
	return m->buffers.slab_of != NULL && m->buffers.slab_of[pfn] != PFN_NONE;
}

#endif
