/*
 * Marks that do not follow from the machine's present sizes: whether they follow from earlier ones.
 */
#ifndef NEAP_DIAG_STALE_H
#define NEAP_DIAG_STALE_H

#include "core/plan.h"

#define STALE_NR_CHANGED 2u /* zones that may have had another size, at most */

/* A zone and the sizes it may have had. */
struct stale_zone {
	uint32_t node, index;
	uint64_t least, most; /* managed pages */
};

struct stale {
	bool marks;	 /* some printed mark differs from the recomputed one */
	bool protection; /* likewise */
	bool explained;	 /* the sizes below give every printed mark, and stale protection too */
	uint32_t nr_changed;
	struct stale_zone changed[STALE_NR_CHANGED];
};

/*
 * Compares the marks and protection of a plan, as printed, with what its sizes and knobs give now;
 * where they differ, looks for sizes of one zone or two that give them. scratch: any contents.
 */
void stale_explain(const struct plan *printed, struct plan *scratch, struct stale *out);

#endif
