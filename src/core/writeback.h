/* The flusher thread and the limit on dirty pages (spec 11, section 14). */
#ifndef NEAP_CORE_WRITEBACK_H
#define NEAP_CORE_WRITEBACK_H

#include "core/machine.h"

/* Body of thread neap_flush. */
int writeback_thread(struct task *t, void *machine);
/* Reclaim met many dirty pages: start the flusher. Never sleeps. */
void writeback_wake(struct task *t, struct neap_machine *m);
/* A file became dirty: the flusher will look in due time. Never sleeps. */
void writeback_note_dirty(struct task *t, struct neap_machine *m);
/* A writer dirtied pages: waits while the machine is above its limit. May sleep. */
void writeback_balance_dirty(struct task *t, struct neap_machine *m);
/* Drops the clean, unmapped pages of all files (drop_caches). May sleep. */
void writeback_drop_clean(struct task *t, struct neap_machine *m);
/* Pages that could be dirty: free ones beyond the reserves, and the page cache. */
uint64_t writeback_dirtyable_pages(struct neap_machine *m);
/* Knobs of the limit were written, or the machine begins: what holds writers is the limit now. */
void writeback_reset_held(struct task *t, struct neap_machine *m);
/* The two limits now, pages. */
void writeback_limits(struct neap_machine *m, uint64_t *background, uint64_t *limit);

#endif
