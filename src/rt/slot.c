/*
 * slot.c: taking a CPU's word, and favourites.
 *
 * Most slots are pinned by one task all the time, and for it the atomic exchange on the
 * word would be the dearest instruction of a pin. So a task that pinned a slot
 * `favour_after` times in a row becomes its favourite and only writes `inside`:
 *
 *	favourite                          anybody else, with the word taken
 *	inside = 1                         favourite = NULL
 *	(the compiler keeps the order)     slot_empty(): a full barrier for every task,
 *	still the favourite? go on                       then wait until inside is 0
 *
 * Either the favourite's look comes after the barrier: it sees that it is the favourite
 * no more and steps back. Or its store came before: then the other one sees `inside`
 * and waits for the unpin. Live the barrier is a system call of some microseconds; it is
 * paid when another task comes to the slot, which must then come `favour_after` times
 * without the first one to become the favourite itself. In the simulator all tasks are
 * one thread, and there is nothing to order.
 *
 * What must never happen: two tasks inside. Whoever has the word and finds a favourite
 * other than itself ends the favour before it touches anything; only the taker of the
 * word makes a favourite; and a favourite that was asked to go uses the word like all.
 *
 * Linux: disabling preemption plays this part; favourites are the biased locks of
 * Java machines (Kawachiya 2002; Dice 2001) with membarrier(2).
 */
#include "port/rt.h"

/* => the word is taken; nobody is inside nor will be */
static void slot_end_favour(struct task *t, struct cpu_slot *slot)
{
	struct task *favourite = atomic_load_explicit(&slot->favourite, memory_order_relaxed);

	if (favourite == NULL)
		return;
	atomic_store_explicit(&slot->favourite, NULL, memory_order_relaxed);
	if (favourite != t)
		t->rt->ops->slot_empty(t, slot);
	CHECK(atomic_load_explicit(&slot->inside, memory_order_acquire) == 0);
}

void rt_slot_take(struct task *t, struct cpu_slot *slot)
{
	while (unlikely(atomic_exchange_explicit(&slot->word, 1, memory_order_acquire) != 0)) {
		t->rt->ops->slot_contended(t, slot);
		slot = t->slot; /* another one, if that is offline */
	}
	slot_end_favour(t, slot);
	if (slot->last != t) {
		slot->last = t;
		slot->streak = 0;
	}
	if (++slot->streak == t->rt->favour_after)
		atomic_store_explicit(&slot->favourite, t, memory_order_relaxed);
	t->pin_word = &slot->word;
}

bool rt_slot_take_remote(struct task *t, struct cpu_slot *slot)
{
	while (unlikely(atomic_exchange_explicit(&slot->word, 1, memory_order_acquire) != 0)) {
		if (atomic_load_explicit(&slot->offline, memory_order_acquire) != 0)
			return false;
		t->rt->ops->slot_contended(t, slot);
	}
	slot_end_favour(t, slot);
	slot->streak = 0;
	return true;
}
