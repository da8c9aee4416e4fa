/*
 * Switching the processor from one stack to another: the few lines that cannot
 * be written in C. One file for each kind of processor implements them
 * (switch_x86_64.S, switch_aarch64.S), switch_ucontext.c does for any other; the
 * build chooses one.
 *
 * A context is where a suspended stack's registers are kept: on that stack
 * itself. It is valid from the swap that saved it until the swap that loads it.
 */
#ifndef NEAP_RT_SIM_SWITCH_H
#define NEAP_RT_SIM_SWITCH_H

#include <stddef.h>

/*
 * Lays out an empty stack so that the first swap to it calls entry(arg).
 * => entry never returns. => returns the context to load.
 */
void *switch_prepare(void *stack_low, size_t bytes, void (*entry)(void *arg), void *arg);

/*
 * Saves the registers that a call preserves, stores the context at *save, and
 * continues with the context `load`. Returns when somebody loads *save.
 */
void switch_swap(void **save, void *load);

#endif
