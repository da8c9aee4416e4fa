/*
 * The contiguous memory area: pageblocks that only movable pages may use, so that ranges of it can
 * be had at any time (spec 23, section 7).
 */
#ifndef NEAP_CORE_CMA_H
#define NEAP_CORE_CMA_H

#include "core/machine.h"

/*
 * Makes the machine's area: nr_pages, rounded up to whole pageblocks, in a row, of memory that is
 * free, as high as possible in the highest zone for the kernel's own requests. Once, before
 * programs run. May sleep.
 * => 0; -ENOMEM there is no such row; -EEXIST
 */
int cma_create(struct task *t, struct neap_machine *m, uint64_t nr_pages) MUST_CHECK;

/*
 * nr_pages frames in a row of the area, aligned to their size up to 1 MiB. What programs have there
 * is moved away. => 0 and *first, to be given back whole; -ENOMEM; -EINTR. May sleep. Nothing held.
 */
int cma_alloc(struct task *t, struct neap_machine *m, uint32_t nr_pages,
	      uint32_t *first) MUST_CHECK;
void cma_release(struct task *t, struct neap_machine *m, uint32_t first, uint32_t nr_pages);

/* NULL, or what is wrong: the map against the frames. Nobody uses the area meanwhile. */
const char *cma_verify(const struct neap_machine *m);

/* ---- what the allocator asks ---- */

/* The right of a request of this migrate type to blocks of the area: ALLOC_CMA or 0. */
static ALWAYS_INLINE uint32_t cma_alloc_flag(const struct neap_machine *m, uint32_t type)
{
	return unlikely(m->cma.nr_pages != 0) && type == MT_MOVABLE ? ALLOC_CMA : 0;
}

#endif
