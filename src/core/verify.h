/*
 * The conservation laws: every frame in exactly one state, every counter equal
 * to a full count, every swap slot owned once. And the machine's state as a hash.
 */
#ifndef NEAP_CORE_VERIFY_H
#define NEAP_CORE_VERIFY_H

#include "core/machine.h"

/*
 * Drains batches and folds counters, then counts everything. Other tasks are blocked or joined and
 * no I/O is in
 * flight (it waits for what is). May sleep.
 * => NULL, or m->verify_message: the first law that does not hold, with numbers
 */
const char *verify_machine(struct task *t, struct neap_machine *m);
/*
 * FNV-1a over descriptors of used frames, counters, lists, swap maps: no addresses. Same condition.
 */
uint64_t verify_state_hash(struct task *t, struct neap_machine *m);

#endif
