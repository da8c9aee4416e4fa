/*
 * Trace events: one ring of fixed records per CPU, written with the CPU's word
 * held, read by whoever saves the trace. A full ring drops the newest record and
 * counts it; nothing waits for a reader. Beside the rings, one hook may be called
 * at every event.
 */
#ifndef NEAP_CORE_EVENT_H
#define NEAP_CORE_EVENT_H

#include "core/machine.h"

#define EVENT_MAX_ARGS 13u
#define EVENT_RING_RECORDS 16384u /* a power of two: 2.1 MiB a CPU */

enum event_id {
#define EVENT(id, system, name, nargs, format) TE_##id,
#include "core/event_items.def"
#undef EVENT
	NR_EVENTS
};

struct event_record {
	uint64_t time_ns;
	uint32_t task;
	uint16_t cpu;
	uint16_t id; /* enum event_id */
	char comm[TASK_NAME_BYTES];
	uint64_t arg[EVENT_MAX_ARGS];
};

/* Bits of machine.tracing */
#define EVENT_TO_RINGS 1u
#define EVENT_TO_HOOK 2u

/* Bits of %F */
#define RECLAIM_FLAG_ANON 1u
#define RECLAIM_FLAG_FILE 2u
#define RECLAIM_FLAG_SYNC 4u
#define RECLAIM_FLAG_ASYNC 8u

/* Slow half of event_emit(). Pins itself. */
void event_record(struct task *t, enum event_id id, const uint64_t *args, uint32_t nr);

/*
 * One event, if tracing is on. Arguments are converted to uint64_t. Nothing is evaluated otherwise.
 */
#define event_emit(t, id, ...)                                                                     \
	do {                                                                                       \
		if (unlikely(atomic_load_explicit(&(t)->machine->tracing, memory_order_relaxed)))  \
			event_record((t), TE_##id, (const uint64_t[]){ __VA_ARGS__ },              \
				     (uint32_t)(sizeof((const uint64_t[]){ __VA_ARGS__ }) /        \
						sizeof(uint64_t)));                                \
	} while (0)

/* Reserves the rings (once) and turns recording on. => 0 or -ENOMEM */
int event_start(struct neap_machine *m) MUST_CHECK;
void event_stop(struct neap_machine *m);
/* Takes the oldest record of a CPU's ring. One reader at a time. => false if it is empty */
bool event_take(struct neap_machine *m, uint32_t cpu, struct event_record *out);
/*
 * Calls m->event_hook, which is set, at every event: in the task that emits it, outside the pin
 * taken for recording, but possibly with locks held. The hook must not sleep nor change anything.
 */
void event_hook_start(struct neap_machine *m);
/* No further calls begin. Calls are in progress as long as m->nr_hook_calls is not 0. */
void event_hook_stop(struct neap_machine *m);
uint64_t event_lost(const struct neap_machine *m, uint32_t cpu);

#endif
