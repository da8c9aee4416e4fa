/*
 * event.c: what is going to happen, in the order in which it is going to happen.
 *
 * A binary heap in an array. A place holds the key (time, order of entry) and
 * the event; the event knows its place, so that a timeout that is not needed any
 * more (its task was woken) is taken out at once instead of being kept as a dead
 * entry: a machine that naps with timeouts all the time would drown in those.
 *
 *	           [0] 100 #7
 *	          /          \
 *	   [1] 100 #9      [2] 250 #3        event->place = index + 1
 *	    /     \
 *	[3] 400  [4] 101
 *
 * The order of entry breaks ties, which makes the sequence of events a function
 * of the sequence of calls: no address and no accident of the heap's shape
 * decides anything. It also is the promise of rt_call_at(): after everything
 * that was scheduled earlier for the same time.
 *
 * The front. Most events of a program that waits for its disk are entered as the first
 * of all and happen next, while timers of seconds stay in the heap. So an event that is
 * before all others has a place of its own in front of the heap, and costs no sifting.
 * When it happens the front stays empty until another such event comes; when an earlier
 * one comes, it goes into the heap.
 *
 * Room is reserved when a task or a callback is created, where "no memory" can
 * be reported. Entering an event, which happens in waits, cannot fail.
 *
 * Invariant E1: a place's key is not smaller than its parent's.
 * Invariant E2: places[event->place - 1].event == event for each event in the heap.
 * Invariant E3: the front's key is smaller than that of places[0].
 */
#include "rt/sim/event.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"

static bool event_before(const struct event_place *a, const struct event_place *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void event_put(struct event_heap *heap, uint32_t index, const struct event_place *place)
{
	heap->places[index] = *place;
	place->event->place = index + 1;
}

/* Moves `place` up from the hole at `index` to where it belongs. */
static void event_sift_up(struct event_heap *heap, uint32_t index, struct event_place place)
{
	while (index > 0) { /* ends: index halves */
		uint32_t parent = (index - 1) / 2;

		if (!event_before(&place, &heap->places[parent]))
			break;
		event_put(heap, index, &heap->places[parent]);
		index = parent;
	}
	event_put(heap, index, &place);
}

/* Moves `place` down from the hole at `index` to where it belongs. */
static void event_sift_down(struct event_heap *heap, uint32_t index, struct event_place place)
{
	for (;;) { /* ends: index doubles */
		uint32_t child = 2 * index + 1;

		if (child >= heap->nr)
			break;
		if (child + 1 < heap->nr &&
		    event_before(&heap->places[child + 1], &heap->places[child]))
			child++;
		if (!event_before(&heap->places[child], &place))
			break;
		event_put(heap, index, &heap->places[child]);
		index = child;
	}
	event_put(heap, index, &place);
}

int event_reserve(struct event_heap *heap, uint32_t capacity)
{
	if (capacity <= heap->capacity)
		return 0;
	uint32_t room = max_u32(capacity, heap->capacity * 2);
	struct event_place *places = realloc(heap->places, room * sizeof(*places));

	if (places == NULL)
		return -ENOMEM;
	heap->places = places;
	heap->capacity = room;
	return 0;
}

void event_free(struct event_heap *heap)
{
	free(heap->places);
	heap->places = NULL;
	heap->nr = 0;
	heap->capacity = 0;
	heap->front.event = NULL;
	event_init(heap);
}

static void event_push(struct event_heap *heap, const struct event_place *place)
{
	CHECK(heap->nr < heap->capacity);
	event_sift_up(heap, heap->nr++, *place);
}

void event_enter(struct event_heap *heap, struct event *event, uint64_t at_ns)
{
	struct event_place place = { .at_ns = at_ns, .order = heap->next_order++, .event = event };

	CHECK(event->place == 0);
	event->at_ns = at_ns;
	/* An equal time is a later one: it was entered after the other. */
	if (at_ns >= heap->first_ns) {
		event_push(heap, &place);
		return;
	}
	if (heap->front.event != NULL)
		event_push(heap, &heap->front);
	heap->front = place;
	heap->first_ns = at_ns;
	event->place = EVENT_FRONT;
}

/* Takes the place at `index` out of the heap. */
static void event_remove_place(struct event_heap *heap, uint32_t index)
{
	struct event_place last = heap->places[--heap->nr];

	if (index == heap->nr)
		return;
	/* The last place fills the hole; it may belong above it or below it. */
	if (index > 0 && event_before(&last, &heap->places[(index - 1) / 2]))
		event_sift_up(heap, index, last);
	else
		event_sift_down(heap, index, last);
}

void event_cancel_place(struct event_heap *heap, struct event *event)
{
	uint32_t index = event->place - 1;

	CHECK(index < heap->nr && heap->places[index].event == event); /* E2 */
	event->place = 0;
	event_remove_place(heap, index);
	if (heap->front.event == NULL)
		heap->first_ns = heap->nr != 0 ? heap->places[0].at_ns : UINT64_MAX;
}
