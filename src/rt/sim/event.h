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
	uint32_t place; /* index in the heap + 1; 0 = not entered; EVENT_FRONT */
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
	struct event_place front; /* comes before all of them; its event is NULL: there is none */
	uint64_t first_ns;	  /* of the front, else of places[0], else UINT64_MAX */
	uint32_t nr;		  /* in places */
	uint32_t capacity;
	uint64_t next_order;
};

#define EVENT_FRONT UINT32_MAX

/* An empty heap: all zero but for this. */
static inline void event_init(struct event_heap *heap)
{
	heap->first_ns = UINT64_MAX;
}

/*
 * Makes room for `capacity` events, so that entering that many cannot fail.
 * => 0 or -ENOMEM
 */
int MUST_CHECK event_reserve(struct event_heap *heap, uint32_t capacity);

/* Frees the heap's own memory; the events are their owners'. */
void event_free(struct event_heap *heap);

/* => the event is not entered, and room is reserved */
void event_enter(struct event_heap *heap, struct event *event, uint64_t at_ns);

/* event_cancel() of an event that is entered, but not at the front. */
void event_cancel_place(struct event_heap *heap, struct event *event);

/* Takes an event out, wherever it is. No effect on one that is not entered. */
static inline void event_cancel(struct event_heap *heap, struct event *event)
{
	if (event->place == 0)
		return;
	if (event->place != EVENT_FRONT) {
		event_cancel_place(heap, event);
		return;
	}
	event->place = 0;
	heap->front.event = NULL;
	heap->first_ns = heap->nr != 0 ? heap->places[0].at_ns : UINT64_MAX;
}

/* The event that is due first, or NULL. */
static inline struct event *event_first(const struct event_heap *heap)
{
	if (heap->front.event != NULL)
		return heap->front.event;
	return heap->nr != 0 ? heap->places[0].event : NULL;
}

/* When the first event is due; UINT64_MAX when there is none. */
static inline uint64_t event_first_ns(const struct event_heap *heap)
{
	return heap->first_ns;
}

#endif
