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

struct probe_policy {
	uint32_t mode; /* enum mempolicy_mode: the numbers of set_mempolicy(2) */
	uint64_t nodes;
	uint32_t last; /* interleave: the node that had the latest turn */
};

/* How many of a pageblock's pages in use could be moved: bounds (cmd/probe_guess.c). */
struct probe_movable {
	uint16_t least, most;
	bool renewed; /* bounds of earlier bursts were forgotten */
};

/* What an operation did here. */
struct probe_result {
	uint32_t pfn; /* as in struct probe_op */
	uint64_t count, hash;
	uint32_t nr_columns;
	struct probe_column column[PROBE_ZONES_MAX];
	uint32_t nr_events;
	struct probe_event event[PROBE_EVENTS_MAX];
	uint32_t event_free[PROBE_EVENTS_MAX]; /* theft: free pages of the pageblock then */
};

/* Thefts below a pageblock that were too many for their operation to be recorded. */
#define PROBE_UNSEEN_MAX 1024u

struct probe_unseen {
	uint32_t nr;
	struct probe_event theft[PROBE_UNSEEN_MAX];
	uint32_t free_pages[PROBE_UNSEEN_MAX]; /* as event_free */
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
	uint16_t cpu;	/* of the task; on others a kernel thread without policy and rights works */
	bool listening; /* events go to result */
	struct probe_result result;
	struct probe_unseen unseen;		 /* since the last load */
	struct probe_slot slot[PROBE_SLOTS];	 /* of this machine since the last load */
	struct probe_slot recorded[PROBE_SLOTS]; /* of the recorded one */
	struct probe_slot kept[PROBE_SLOTS];	 /* recorded[] before a burst that is played anew */
	uint8_t *remembered; /* by frame: type + 1 on a CPU's list, as last kept; 0: not known */
	uint64_t *held;	     /* by frame, a bit each: of a slot's block at the last load */
	struct probe_movable *movable; /* by pageblock */
	bool sleeps;	  /* the burst may reclaim or compact: nothing is movable then */
	uint32_t *blocks; /* got by one operation of kind t */
	uint32_t blocks_room;
};

/*
 * Builds a machine with the zones of the recording's first state and the CPUs of all states.
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
 * Everything as in this state; the recorded slots' blocks are in use, and slots that cannot be are
 * empty.
 * => inside probe_machine_run(); 0, -EINVAL or -ENOMEM with *err filled
 */
MUST_CHECK int probe_machine_load(struct probe_machine *pm, const struct probe_state *state,
				  struct text_error *err);

/* Whether a slot's block had the frame when the state was loaded. */
bool probe_machine_holds(const struct probe_machine *pm, uint32_t pfn);

/*
 * Keeps, for the states that are loaded from here on, which type each page on a CPU's list
 * remembers; known: false forgets what was kept.
 */
void probe_machine_remember(struct probe_machine *pm, bool known);

/* Whether the operation is one that can be performed here. => false with *err filled */
bool probe_machine_accepts(struct probe_machine *pm, const struct probe_op *op,
			   struct text_error *err);

/*
 * Performs an operation: a and p allocate into an empty slot, f frees what the slot holds, t
 * allocates until the first failure and frees it all.
 * => inside probe_machine_run(); the result is in pm->result; true unless the host's memory is out
 */
bool probe_machine_perform(struct probe_machine *pm, const struct probe_op *op);

/* The recorded result's effect on the recorded slots, whatever happened here. */
void probe_machine_note(struct probe_machine *pm, const struct probe_op *op);

/* The zone of a place; NULL if the machine has none there. */
struct zone *probe_machine_zone(struct probe_machine *pm, struct probe_place place);

#endif
