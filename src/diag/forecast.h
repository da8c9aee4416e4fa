/*
 * How many huge pages can be had: now, after compaction, after reclaim; and why not more.
 */
#ifndef NEAP_DIAG_FORECAST_H
#define NEAP_DIAG_FORECAST_H

#include "diag/paint.h"
#include "diag/state.h"

/* One zone. Counts are huge pages; they never fall from now to after reclaim. */
struct forecast_zone {
	const struct zone *zone;
	uint64_t whole;	 /* that the zone has room for */
	uint64_t blocks; /* in free blocks that are large enough and may be taken */
	uint64_t now;
	uint64_t after_compaction;
	uint64_t after_reclaim;
	bool compaction_runs; /* the zone is worth a run now */
	uint64_t reclaimable_pages;
	uint64_t kept_pages;	 /* mark and protection: not for this request */
	uint64_t movable_blocks; /* pageblocks that can be emptied; all, if types are not known */
	uint64_t fixed_blocks;	 /* those of types that cannot */
};

#define FORECAST_ZONES_MAX 64u

struct forecast {
	uint32_t order; /* of a huge page: 9 for 2 MiB */
	bool gigantic;	/* larger than any block: a range must be emptied as a whole */
	uint64_t huge_kb;
	uint32_t nr_zones;
	struct forecast_zone zone[FORECAST_ZONES_MAX];
	uint64_t pool_total, pool_free; /* of 2 MiB, as they are */
	uint64_t now, after_compaction, after_reclaim;
};

/* huge_kb: 2048 or 1048576. => 0; -ENODATA without free blocks or marks; -EINVAL another size */
MUST_CHECK int forecast_run(struct state *state, uint64_t huge_kb, struct forecast *out);
/* wanted: 0 for none in particular. At most 80 columns. */
void forecast_add(struct text_buf *out, const struct state *state, const struct forecast *forecast,
		  uint64_t wanted, const struct paint *paint);

#endif
