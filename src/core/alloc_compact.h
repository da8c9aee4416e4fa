/* What a request in trouble asks of compaction (spec 23, sections 1 and 2). */
#ifndef NEAP_CORE_ALLOC_COMPACT_H
#define NEAP_CORE_ALLOC_COMPACT_H

#include "core/alloc_path.h"
#include "core/compact.h"

/* What a request remembers of its attempts. */
struct compact_rounds {
	enum compact_priority priority; /* of the next attempt */
	enum compact_result result;	/* of the last one */
	uint32_t retries;		/* attempts that made a block which somebody else got */
};

/*
 * One attempt at rounds->priority, then one walk; nothing for order 0. May sleep.
 * => PFN_NONE or the block; rounds->result
 */
uint32_t alloc_compact_try(struct task *t, struct alloc_context *ac, struct compact_rounds *rounds);
/* Is another attempt worth it? Perhaps at a harder priority, which is set then. */
bool alloc_compact_retry(struct task *t, const struct alloc_context *ac,
			 struct compact_rounds *rounds);

#endif
