/*
 * Trace events in per-CPU rings.
 *
 *   tail ─> [record][record]...[record] <─ head     (counts, taken modulo the size)
 *
 * A record is written by the task that holds the CPU's word, so one writer at a
 * time; a single reader moves the tail. Head is published with release after the
 * record is complete; the reader takes it with acquire. When the ring is full the
 * newest event is dropped and counted: what is kept is the beginning of the
 * story, and the gap is visible.
 *
 * The rings are reserved when tracing starts for the first time and then stay.
 *
 * The hook gets the same record before it is put into a ring. Its caller counts
 * itself in nr_hook_calls before it looks whether the hook is still wanted, so that
 * who takes the hook away knows when the last call has ended.
 *
 * What must never happen: an event that changes what the engine does. Recording
 * takes no lock, allocates nothing and sleeps never.
 *
 * Linux: the trace events of include/trace/events/{vmscan,kmem,compaction}.h.
 */
#include "core/event.h"

#include <errno.h>
#include <string.h>

#include "core/racy.h"

int event_start(struct neap_machine *m)
{
	for (uint32_t cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct event_ring *ring = &m->cpus[cpu].ring;

		if (ring->record == NULL)
			ring->record = m->hw->ops->reserve(m->hw, sizeof(struct event_record) *
									  EVENT_RING_RECORDS);
		if (ring->record == NULL)
			return -ENOMEM;
	}
	atomic_fetch_or(&m->tracing, EVENT_TO_RINGS);
	return 0;
}

void event_stop(struct neap_machine *m)
{
	atomic_fetch_and(&m->tracing, ~EVENT_TO_RINGS);
}

void event_hook_start(struct neap_machine *m)
{
	CHECK(m->event_hook != NULL);
	atomic_fetch_or(&m->tracing, EVENT_TO_HOOK);
}

void event_hook_stop(struct neap_machine *m)
{
	atomic_fetch_and(&m->tracing, ~EVENT_TO_HOOK);
}

static void hook_call(struct task *t, const struct event_record *record)
{
	struct neap_machine *m = t->machine;

	atomic_fetch_add(&m->nr_hook_calls, 1);
	if (atomic_load(&m->tracing) & EVENT_TO_HOOK)
		m->event_hook(t, record);
	atomic_fetch_sub(&m->nr_hook_calls, 1);
}

static void ring_put(struct task *t, const struct event_record *record)
{
	cpu_pin(t);
	struct event_ring *ring = &task_cpu_data(t)->ring;
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	if (ring->record == NULL || head - tail >= EVENT_RING_RECORDS) {
		racy_add(ring->lost, 1);
	} else {
		struct event_record *to = &ring->record[head % EVENT_RING_RECORDS];

		*to = *record;
		to->cpu = (uint16_t)task_cpu(t);
		atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	}
	cpu_unpin(t);
}

void event_record(struct task *t, enum event_id id, const uint64_t *args, uint32_t nr)
{
	DCHECK(nr <= EVENT_MAX_ARGS);
	uint32_t wanted = atomic_load(&t->machine->tracing);
	struct event_record record = {
		.time_ns = rt_peek(t),
		.task = t->id,
		.cpu = (uint16_t)task_cpu(t),
		.id = (uint16_t)id,
	};

	memcpy(record.comm, t->name, sizeof(record.comm));
	for (uint32_t i = 0; i < nr; i++)
		record.arg[i] = args[i];
	if (wanted & EVENT_TO_HOOK)
		hook_call(t, &record);
	if (wanted & EVENT_TO_RINGS)
		ring_put(t, &record);
}

bool event_take(struct neap_machine *m, uint32_t cpu, struct event_record *out)
{
	struct event_ring *ring = &m->cpus[cpu].ring;
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
		return false;
	*out = ring->record[tail % EVENT_RING_RECORDS];
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return true;
}

uint64_t event_lost(const struct neap_machine *m, uint32_t cpu)
{
	return racy_read(m->cpus[cpu].ring.lost);
}
