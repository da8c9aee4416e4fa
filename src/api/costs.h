/* What things cost in virtual time: the tables of costs/, and files like them. */
#ifndef NEAP_API_COSTS_H
#define NEAP_API_COSTS_H

#include "api/config.h"
#include "core/vmstat_ids.h"
#include "store/model_device.h"

/* Other threads of the host of virtual CPUs. */
#define COSTS_HOST_OTHERS_MAX 1000u

struct costs {
	uint32_t item_ps[NR_METER_ITEMS]; /* picoseconds an increment */
	uint64_t quantum_ns, slice_ns, wake_latency_ns;
	uint64_t host_round_ns, host_balance_ns; /* of virtual CPUs; rt/sim/sim.h */
	uint64_t host_stay_ns, host_together_ns, host_apart_ns;
	uint32_t host_processors, host_others_permille;
	struct store_device_cost swap, disk;
	bool swap_rotational, disk_rotational;
};

/*
 * Fills *out from the table or file that config->costs names.
 * => 0, or a negative errno and a sentence in config->error
 */
int MUST_CHECK costs_load(struct neap_config *config, struct costs *out);

/* Parses the text of a cost file named `name`. => 0 or -EINVAL and a sentence */
int MUST_CHECK costs_parse(struct neap_config *config, const char *name, const char *text,
			   struct costs *out);

/* The text of a compiled-in table, or NULL. */
const char *costs_builtin(const char *name);

#endif
