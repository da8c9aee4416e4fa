/*
 * A request performed without taking anything: for machines that exist as numbers only.
 */
#ifndef NEAP_CORE_ALLOC_DRY_H
#define NEAP_CORE_ALLOC_DRY_H

#include "core/alloc.h"
#include "core/alloc_path.h"
#include "core/pageblock.h"

/* What a zone said. */
enum dry_result {
	DRY_MARK,    /* its mark test failed */
	DRY_NOTHING, /* the test passed, but no block may be taken */
	DRY_OWN,     /* a block from the lists of the request's type */
	DRY_OTHER,   /* one of another type, to be converted */
	DRY_CMA,
	DRY_RESERVE, /* from the HighAtomic reserve */
};

struct dry_step {
	const struct zone *zone;
	enum dry_result result;
	bool nofragment; /* blocks of other types were spared in this pass */
	struct watermark_terms terms;
	struct pageblock_choice from; /* the block, if result is DRY_OTHER */
};

#define DRY_STEPS_MAX 128u

struct dry_walk {
	uint32_t nr; /* steps kept; more zones than fit are tried but not kept */
	struct dry_step step[DRY_STEPS_MAX];
	const struct dry_step *got; /* the step that got a block; NULL */
};

/*
 * alloc_walk() with ac->flags, without any effect. The machine needs zones with counts, marks,
 * nonempty[] and zonelists; neither page descriptors nor lists.
 * => whether a block would be got
 */
bool alloc_dry_walk(const struct neap_machine *m, struct alloc_context *ac, struct dry_walk *walk);

#endif
