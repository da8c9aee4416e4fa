/*
 * A machine that plays recorded bursts of the allocator: built from the first state of a recording,
 * put into any of them, and asked for one operation at a time.
 */
#ifndef NEAP_CMD_PROBE_MACHINE_H
#define NEAP_CMD_PROBE_MACHINE_H

#include "core/machine.h"
#include "text/machine_json.h"
#include "text/probe.h"

#define PROBE_SLOTS 65536u
#define PROBE_ZONES_MAX 64u

/* A block that the recorded module kept. */
struct probe_slot {
	uint32_t pfn; /* 0: empty */
	uint32_t order;
};

/* As set_mempolicy(2) numbers them. */
enum probe_policy_mode {
	PROBE_POLICY_DEFAULT,
	PROBE_POLICY_PREFERRED,
	PROBE_POLICY_BIND,
	PROBE_POLICY_INTERLEAVE,
	PROBE_POLICY_LOCAL,
	PROBE_POLICY_PREFERRED_MANY,
	NR_PROBE_POLICIES,
};

struct probe_policy {
	uint32_t mode; /* enum probe_policy_mode */
	uint64_t nodes;
	uint32_t turn; /* interleave: the next node */
};

/* What an operation did here. */
struct probe_result {
	uint32_t pfn; /* as in struct probe_op */
	uint64_t count, hash;
	uint32_t nr_columns;
	struct probe_column column[PROBE_ZONES_MAX];
	uint32_t nr_events;
	struct probe_event event[PROBE_EVENTS_MAX];
};

struct probe_machine {
	struct neap_machine m; /* first: an event finds the rest through it */
	struct rt *rt;
	struct hw *hw;
	struct task *t; /* while playing */
	const struct probe *probe;
	const char *file_name;
	struct probe_policy policy;
	bool memalloc;	/* the task has PF_MEMALLOC */
	bool listening; /* events go to result */
	struct probe_result result;
	struct probe_slot slot[PROBE_SLOTS];
	uint32_t *blocks; /* got by one operation of kind t */
	uint32_t blocks_room;
};

/*
 * Builds a machine with the zones and CPUs of the recording's first state.
 * json: which CPUs belong to which node; NULL: the CPUs are split evenly
 * => 0 and *out; -EINVAL with *err filled; -ENOMEM
 */
MUST_CHECK int probe_machine_create(const struct probe *probe, const struct machine_json *json,
				    const char *file_name, struct probe_machine **out,
				    struct text_error *err);
void probe_machine_destroy(struct probe_machine *pm);

/*
 * Runs fn(pm, arg) as a task of the machine, the only one. => its result, or -ETIME if it asked for
 * memory in vain for too long
 */
int probe_machine_run(struct probe_machine *pm, int (*fn)(struct probe_machine *pm, void *arg),
		      void *arg);

/*
 * Everything as in this state; blocks in slots are in use, and slots that cannot be are empty.
 * => inside probe_machine_run(); 0, -EINVAL with *err filled
 */
MUST_CHECK int probe_machine_load(struct probe_machine *pm, const struct probe_state *state,
				  struct text_error *err);

/* Whether the operation is one that can be performed here. => false with *err filled */
bool probe_machine_accepts(const struct probe_machine *pm, const struct probe_op *op,
			   struct text_error *err);

/*
 * Performs an operation: a and p allocate, f frees what the slot holds, t allocates until the first
 * failure and frees it all. The slot is left as it is: the caller knows what the recording says.
 * => inside probe_machine_run(); the result is in pm->result; true unless the host's memory is out
 */
bool probe_machine_perform(struct probe_machine *pm, const struct probe_op *op);

/* Frees a block that an operation got and whose slot does not keep it. */
void probe_machine_give_back(struct probe_machine *pm, uint32_t pfn, uint32_t order);

/* The recorded result's effect on the slots, whatever happened here. */
void probe_machine_note(struct probe_machine *pm, const struct probe_op *op);

/* The zone of a place; NULL if the machine has none there. */
struct zone *probe_machine_zone(struct probe_machine *pm, struct probe_place place);

#endif
