/* What a recording lets one guess of pages in use: how many of a pageblock's could be moved. */
#ifndef NEAP_CMD_PROBE_GUESS_H
#define NEAP_CMD_PROBE_GUESS_H

#include "cmd/probe_machine.h"

/* A recorded theft decided otherwise than this machine: what must hold for that. */
struct probe_claim {
	uint32_t block; /* pageblock; 0: nothing is claimed */
	bool at_least;	/* else: at most */
	int32_t pages;	/* that can be moved */
};

/*
 * What the kernel's decision says about the movable pages of the block, where it differs from the
 * machine's. theft: as recorded; free_pages: of the pageblock, when the machine decided
 */
struct probe_claim probe_guess_claim(const struct probe_event *theft, uint32_t free_pages);

/* A burst begins that has not been played yet: from here on earlier bounds may be contradicted. */
void probe_guess_begin(struct probe_machine *pm);

/* Narrows the bounds by a claim. => false if they do not change, or nothing satisfies all claims */
MUST_CHECK bool probe_guess_learn(struct probe_machine *pm, const struct probe_claim *claim);

/*
 * Learns from the first theft that was not recorded, because its operation had too many, and whose
 * pageblock has another type at the recorded end of the burst. => false if there is none
 */
MUST_CHECK bool probe_guess_learn_unseen(struct probe_machine *pm, const struct probe_state *after);

/*
 * Makes the pages movable that must be, of a machine just loaded. Slots' pages never are, and none
 * is if pm->sleeps.
 */
void probe_guess_apply(struct probe_machine *pm);

/* Pageblocks for which something is assumed. */
uint32_t probe_guess_count(const struct probe_machine *pm);

#endif
