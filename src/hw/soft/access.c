/*
 * hw/soft: accesses of programs, and waiting for them.
 *
 * An access owns its leaf entry by the busy bit:
 *
 *	begin    value            -> value | BUSY               compare-and-swap, acquire
 *	         the caller reads or writes the page, at most once
 *	end      value | BUSY     -> value | YOUNG [| DIRTY]    store, release
 *
 * Everybody else who wants to change the entry (the batch operations, another access of the same
 * page) waits until busy is clear, so that the end needs no second compare-and-swap. The release
 * at the end and the acquire of the next owner make the page's bytes visible to whoever takes the
 * page away: this is what lets reclaim copy a frame right after it unmapped it.
 *
 * Busy is never held for longer than one copy of a page, so waiters spin: a short while with
 * the processor's pause, and then they give the processor away each time, because the owner may be
 * a thread that the host took off its processor. They never give up. In the simulator
 * nobody ever waits here, as a fiber does not switch between begin and end.
 *
 * The fast half is inline, in soft.h. Cost sketch: four loads of table entries (the upper three
 * stay in the first-level cache), one locked instruction, one store: 5 ns; measured 5.8 ns with the
 * caller's own 8 bytes (1000 pages in turn, AMD EPYC, gcc 12 -O2), 7.9 ns by the function table.
 *
 * What must never happen: an access that sleeps or enters the engine before its end; the entry
 * would stay busy and a reclaimer of the same processor would wait for ever.
 *
 * In a real machine this is the translation hardware with its accessed and dirty bits.
 */
#include <sched.h>

#include "hw/soft/table.h"

#define SPINS_BEFORE_YIELD 256u /* about 10 us of pauses: several copies of a page */

static void soft_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* One step of waiting for another CPU; *spins starts at 0. */
void soft_relax(uint32_t *spins)
{
	if (*spins < SPINS_BEFORE_YIELD) {
		(*spins)++;
		soft_pause();
	} else {
		/* It cannot fail in a way that matters: the caller looks again in any case. */
		(void)sched_yield();
	}
}

uint64_t soft_wait_idle(const _Atomic uint64_t *entry)
{
	uint64_t value = atomic_load_explicit(entry, memory_order_acquire);
	uint32_t spins = 0;

	/* Bounded by the accesses of other CPUs, each a page's copy at most. */
	while (unlikely((value & SOFT_BUSY) != 0)) {
		soft_relax(&spins);
		value = atomic_load_explicit(entry, memory_order_acquire);
	}
	return value;
}

NOINLINE int soft_access_contend(_Atomic uint64_t *entry, uint64_t need, uint64_t *value)
{
	do { /* Bounded as soft_load_idle(): somebody else got the entry first. */
		*value = soft_load_idle(entry);
		if ((*value & need) != need)
			return -EFAULT;
	} while (!atomic_compare_exchange_weak_explicit(
		entry, value, *value | SOFT_BUSY, memory_order_acquire, memory_order_relaxed));
	return 0;
}

int soft_op_access_begin(struct hw_space *space, uint64_t vpn, bool write, struct hw_access *access)
{
	return soft_access_begin(space, vpn, write, access);
}

void soft_op_access_end(struct hw_space *space, struct hw_access *access)
{
	soft_access_end(space, access);
}
