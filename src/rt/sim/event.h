/*
 * A heap of timed events: the earliest first, and among equal times the one that
 * was entered first. event.c describes it.
 */
#ifndef NEAP_RT_SIM_EVENT_H
#define NEAP_RT_SIM_EVENT_H

#include "base/base.h"

enum event_kind {
	EVENT_TIMEOUT, /* a task's wait or sleep ends */
	EVENT_CALL,    /* a callback on a CPU is due */
};

/* Embedded in what it is about. The heap owns all fields while the event is entered. */
struct event {
	uint64_t at_ns;
	uint32_t place; /* index in the heap + 1; 0 = not entered */
	enum event_kind kind;
};

/* One place of the heap. The key is kept here, so that comparing does not follow pointers. */
struct event_place {
	uint64_t at_ns;
	uint64_t order;
	struct event *event;
};

struct event_heap {
	struct event_place *places;
	uint32_t nr;
	uint32_t capacity;
	uint64_t next_order;
};

/*
 * Makes room for `capacity` events, so that entering that many cannot fail.
 * => 0 or -ENOMEM
 */
int MUST_CHECK event_reserve(struct event_heap *heap, uint32_t capacity);

/* Frees the heap's own memory; the events are their owners'. */
void event_free(struct event_heap *heap);

/* => the event is not entered, and room is reserved */
void event_enter(struct event_heap *heap, struct event *event, uint64_t at_ns);

/* Takes an event out, wherever it is. No effect on one that is not entered. */
void event_cancel(struct event_heap *heap, struct event *event);

/* The event that is due first, or NULL. */
static inline struct event *event_first(const struct event_heap *heap)
{
	return heap->nr != 0 ? heap->places[0].event : NULL;
}

/* When the first event is due; UINT64_MAX when there is none. */
static inline uint64_t event_first_ns(const struct event_heap *heap)
{
	return heap->nr != 0 ? heap->places[0].at_ns : UINT64_MAX;
}

#endif
