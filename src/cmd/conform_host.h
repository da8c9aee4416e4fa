/*
 * How busy the host of a recording was: from the times in its log.
 */
#ifndef NEAP_CMD_CONFORM_HOST_H
#define NEAP_CMD_CONFORM_HOST_H

#include "base/base.h"

/* Other threads of the host that our first load is played with, besides none. */
#define CONFORM_HOST_MANY 8u
/* As many are believed, and no more. */
#define CONFORM_HOST_MOST 64

/* How long the first load of memory took, by a run's log.txt. => ns; 0: it has none first */
uint64_t conform_log_load_ns(const char *log);
/*
 * The commands of a job up to its first load, with a snapshot before and one after it.
 * => text to be freed; NULL if the job begins with another load, or memory is out
 */
char *conform_first_load(const char *job);
/*
 * The threads that a host ran beside a recorded guest, if our own load takes so long with none and
 * with CONFORM_HOST_MANY. => 0 to CONFORM_HOST_MOST; -1: it cannot be said
 */
int64_t conform_host_others(uint64_t recorded_ns, const uint64_t ours_ns[2]);

#endif
