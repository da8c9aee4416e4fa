/* Machines like saved ones: from a directory of /proc files to a state to begin in. */
#ifndef NEAP_API_LIKE_H
#define NEAP_API_LIKE_H

#include "api/api.h"

/*
 * Reads the saved machine into config->snapshot.
 * => 0, config->error empty or a warning; else a negative errno with a sentence there
 */
int MUST_CHECK like_load(struct neap_config *config, const char *dir);

/* The description of a machine with the saved one's nodes and zones. => 0 or -EINVAL, a sentence */
int MUST_CHECK like_layout(struct neap_config *config, struct machine_desc *desc);

/* The saved machine's swap areas, unless the configuration has some. => 0, or negative errno */
int MUST_CHECK like_swaps(struct task *t, struct api_machine *a, const struct neap_config *config);

/*
 * Makes the machine's settings, LRU lists, free lists, marks and counters what was saved. The
 * engine runs, nothing was asked of it yet. May sleep. => 0, or a negative errno and a sentence
 */
int MUST_CHECK like_begin(struct task *t, struct api_machine *a, const struct neap_config *config);

#endif
