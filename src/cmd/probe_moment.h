/* What a recording knows of the moment at which a burst without its own state began. */
#ifndef NEAP_CMD_PROBE_MOMENT_H
#define NEAP_CMD_PROBE_MOMENT_H

#include "cmd/probe_machine.h"

/* What was last known of a zone. Pages. */
struct probe_moment_zone {
	uint64_t highatomic;
	uint64_t boost;
};

struct probe_moment {
	bool seen; /* something was recorded before */
	struct probe_moment_zone zone[NEAP_MAX_NODES][NEAP_NR_ZONES];
};

/* A recorded state was passed. */
void probe_moment_see_state(struct probe_moment *moment, const struct probe *probe,
			    const struct probe_state *state);
/* An operation was passed. */
void probe_moment_see_op(struct probe_moment *moment, const struct probe *probe,
			 const struct probe_op *op);
/* Whether a wake-up of the node's kswapd is among the burst's recorded events. */
bool probe_moment_woken(const struct probe *probe, const struct probe_item *burst, uint32_t node);
/* A burst was played on the machine, which is as it left it. */
void probe_moment_see_boost(struct probe_moment *moment, const struct probe_machine *pm,
			    const struct probe_item *burst);

/*
 * Makes the machine, which holds a state of another moment, as it was before this item of the
 * recording, a burst. => inside probe_machine_run()
 */
void probe_moment_apply(const struct probe_moment *moment, struct probe_machine *pm, uint32_t item);

#endif
