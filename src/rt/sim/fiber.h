/*
 * Fibers: stacks that one thread switches between. fiber.c describes them.
 */
#ifndef NEAP_RT_SIM_FIBER_H
#define NEAP_RT_SIM_FIBER_H

#include "base/base.h"

struct fiber {
	void *context;	    /* where it is suspended; NULL while it runs */
	char *stack;	    /* lowest usable byte; NULL for an adopted thread */
	size_t stack_bytes; /* usable */
	struct fiber *from; /* who switched here last */
	void (*entry)(void *arg);
	void *arg;
	bool started; /* its entry function has begun */
	/* What the checkers want to know. Unused fields stay 0 without them. */
	uint32_t valgrind_id;
	void *asan_fake_stack;
	const void *asan_bottom; /* bounds of the stack as the address sanitizer sees them */
	size_t asan_bytes;
	void *tsan;
};

/* => 0 or -ENOMEM: a stack with a guard page below it */
int MUST_CHECK fiber_open(struct fiber *fiber);

/* => the fiber does not run */
void fiber_close(struct fiber *fiber);

/* Makes the calling thread's own stack a fiber, to switch back to. */
void fiber_adopt_thread(struct fiber *fiber);

/*
 * Prepares an open fiber that does not run: the next switch to it calls
 * entry(arg), which must end with fiber_switch_last(). May be repeated.
 */
void fiber_start(struct fiber *fiber, void (*entry)(void *arg), void *arg);

/* Suspends `from`, which runs, and continues `to`. Returns when somebody switches to `from`. */
void fiber_switch(struct fiber *from, struct fiber *to);

/* As fiber_switch(), when `from` has nothing left to do. It may be started again afterwards. */
NORETURN void fiber_switch_last(struct fiber *from, struct fiber *to);

/*
 * The most bytes of its stack that an open fiber has ever used, over all its
 * starts. 0 under valgrind, which does not let the unused part be read.
 */
size_t fiber_high_water_bytes(const struct fiber *fiber);

/* Has the fiber used its stack up to the last reserve? It works still, but the next may not. */
bool fiber_is_nearly_full(const struct fiber *fiber);

#endif
