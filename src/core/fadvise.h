/* Advice of a whole file or of a range of it, as its descriptor would get it (posix_fadvise). */
#ifndef NEAP_CORE_FADVISE_H
#define NEAP_CORE_FADVISE_H

#include "core/mapping.h"
#include "core/space.h"

/* How read calls will go through the file from now on. */
void fadvise_pattern(struct mapping *mapping, enum region_pattern pattern);
/* Begins to read what is not cached of nr pages from `first` on, up to a limit. May sleep. */
void fadvise_willneed(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr);
/* Starts write-out of nr pages from `first` on, and drops what can be dropped. May sleep. */
void fadvise_dontneed(struct task *t, struct mapping *mapping, uint64_t first, uint64_t nr);

#endif
