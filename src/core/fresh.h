/* Memory that nobody has used since the machine was switched on (core/fresh.c). */
#ifndef NEAP_CORE_FRESH_H
#define NEAP_CORE_FRESH_H

#include "core/machine.h"

/* From now on it is counted which blocks are used first. => nothing runs; 0 or -ENOMEM */
int MUST_CHECK fresh_begin(struct neap_machine *m);

/* The rest of fresh_use(): somebody counts. */
void fresh_use_block(struct task *t, uint32_t pfn);

/* A frame is filled with zeroes. */
static ALWAYS_INLINE void fresh_use(struct task *t, uint32_t pfn)
{
	if (unlikely(t->machine->fresh != NULL))
		fresh_use_block(t, pfn);
}

#endif
