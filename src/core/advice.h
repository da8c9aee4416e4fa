/* What programs say about pages of their regions (madvise). */
#ifndef NEAP_CORE_ADVICE_H
#define NEAP_CORE_ADVICE_H

#include "core/space.h"

/*
 * All of these work on pages first..first+nr-1 of the region, which are within it; they may sleep.
 * A page that somebody has locked, or that other entries map, too, is passed over: it is advice.
 */

/*
 * The contents may be dropped unless the program writes them again (MADV_FREE). => 0; -EINVAL the
 * region maps a file, or is locked in memory
 */
int advice_free(struct task *t, struct region *region, uint64_t first, uint64_t nr) MUST_CHECK;
/* Not needed soon: off the active list, young bits forgotten (MADV_COLD). => 0; -EINVAL locked */
int advice_cold(struct task *t, struct region *region, uint64_t first, uint64_t nr) MUST_CHECK;
/*
 * Reclaims them now, as reclaim would (MADV_PAGEOUT): used ones are not any more. Writing goes on
 * afterwards. => 0; -EINVAL the region is locked in memory
 */
int advice_pageout(struct task *t, struct region *region, uint64_t first, uint64_t nr) MUST_CHECK;
/*
 * Begins to read what is in swap, or in the file and not cached (MADV_WILLNEED); does not wait for
 * it, and maps nothing; what there is no memory for is left out. => 0
 */
int advice_willneed(struct task *t, struct region *region, uint64_t first, uint64_t nr) MUST_CHECK;

#endif
