/*
 * switch_ucontext.c: the context switch on any processor whose C library has
 * makecontext() and swapcontext().
 *
 * It is slower than the hand-written ones (each swap also saves and restores the
 * signal mask, which is a system call), and is otherwise the same to the
 * simulator: a context lives on the stack that it describes.
 *
 *	stack_low                                                   top
 *	| ... unused ... | frames | ucontext_t of the latest swap |  |
 *	                                   first: at the very top ---^
 *
 * The first context of a stack stands at its top and is used once. Each swap
 * keeps the registers in a local variable of its own frame, which stays valid
 * because the stack is suspended exactly there until somebody loads it.
 *
 * What must never happen: loading a context twice without a save in between.
 */
#include <stdint.h>
#include <ucontext.h>

#include "base/check.h"
#include "rt/sim/switch.h"

/* makecontext() passes ints only, so two pointers come in four halves. */
static void switch_begin(unsigned int entry_high, unsigned int entry_low, unsigned int arg_high,
			 unsigned int arg_low)
{
	uint64_t entry_bits = (uint64_t)entry_high << 32 | entry_low;
	uint64_t arg_bits = (uint64_t)arg_high << 32 | arg_low;
	void (*entry)(void *) = (void (*)(void *))(uintptr_t)entry_bits;

	entry((void *)(uintptr_t)arg_bits);
	check_fail(__FILE__, __LINE__, "the entry function of a stack never returns");
}

void *switch_prepare(void *stack_low, size_t bytes, void (*entry)(void *arg), void *arg)
{
	uintptr_t top = (uintptr_t)stack_low + bytes;
	ucontext_t *first = (ucontext_t *)((top - sizeof(*first)) & ~(uintptr_t)63);
	uint64_t entry_bits = (uintptr_t)entry;
	uint64_t arg_bits = (uintptr_t)arg;

	CHECK(getcontext(first) == 0);
	first->uc_stack.ss_sp = stack_low;
	first->uc_stack.ss_size = (uintptr_t)first - (uintptr_t)stack_low;
	first->uc_link = NULL;
	makecontext(first, (void (*)(void))(uintptr_t)switch_begin, 4,
		    (unsigned int)(entry_bits >> 32), (unsigned int)entry_bits,
		    (unsigned int)(arg_bits >> 32), (unsigned int)arg_bits);
	return first;
}

void switch_swap(void **save, void *load)
{
	ucontext_t here;

	*save = &here;
	CHECK(swapcontext(&here, load) == 0);
}
