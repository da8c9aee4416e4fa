/* Filling a snapshot from a machine. */
#ifndef NEAP_CORE_SNAPSHOT_TAKE_H
#define NEAP_CORE_SNAPSHOT_TAKE_H

#include "core/machine.h"
#include "core/snapshot.h"

/* out: snapshot_bytes(m->nr_nodes) bytes of the caller. Never sleeps. */
void snapshot_take(struct task *t, struct neap_machine *m, struct snapshot *out);
/* MemAvailable in pages (spec 05, section 4). */
uint64_t snapshot_available(const struct snapshot *snapshot);

#endif
