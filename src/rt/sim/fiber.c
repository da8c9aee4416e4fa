/*
 * fiber.c: stacks of simulated tasks.
 *
 * A fiber is a stack with a suspended computation on it. One thread runs them
 * all, one at a time; fiber_switch() is a call that returns later.
 *
 *	low                                                     high
 *	| guard page | reserve 4 KiB | ... zeroes ... | in use |
 *	  no access    must stay 0      never used yet  ^ context
 *
 * Stacks are 64 KiB, which bounds what a simulated task may nest, as a kernel's
 * stack does. Four times that with a sanitizer, whose frames are larger. The
 * memory comes from the system as zeroes and only used pages cost memory, so
 * that the depth ever reached can be read off later: it is where the zeroes end.
 * Running into the guard page is a fault; the reserve above it turns most
 * near misses into a message instead (sched.c asks when a task ends).
 *
 * Programs that follow the stack pointer must be told about each switch:
 * valgrind learns where stacks are; the address sanitizer keeps a second stack
 * of its own for each fiber and is told before and after each switch (a fiber
 * that never runs again gives its second stack back); the thread sanitizer
 * treats each fiber as a thread of its own.
 *
 * What must never happen: a switch to a fiber that runs, or by any thread but
 * the one that runs `from`.
 */
#include "rt/sim/fiber.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "rt/sim/switch.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define FIBER_ASAN 1
#endif
#ifdef __SANITIZE_THREAD__
#define FIBER_TSAN 1
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define FIBER_VALGRIND 1
#endif

#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
#define STACK_BYTES (256 * KIB)
#else
#define STACK_BYTES (64 * KIB)
#endif
#define GUARD_BYTES (4 * KIB)
#define RESERVE_BYTES (4 * KIB)

/* Reads parts of stacks that no variable lives in, on purpose. */
#define READS_UNUSED_STACK __attribute__((no_sanitize("address", "thread", "undefined")))

/* ---- what the checkers are told ---- */

static ALWAYS_INLINE void fiber_before_switch(struct fiber *from, struct fiber *to, bool last)
{
	(void)from;
	(void)to;
	(void)last;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(last ? NULL : &from->asan_fake_stack, to->asan_bottom,
				       to->asan_bytes);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* Runs on the stack of `self`, after the switch. */
static void fiber_after_switch(struct fiber *self)
{
	(void)self;
#ifdef FIBER_ASAN
	/* The bounds of an adopted thread's stack are known only from here. */
	__sanitizer_finish_switch_fiber(self->asan_fake_stack, &self->from->asan_bottom,
					&self->from->asan_bytes);
#endif
}

static void fiber_register(struct fiber *fiber)
{
	fiber->asan_bottom = fiber->stack;
	fiber->asan_bytes = fiber->stack_bytes;
#ifdef FIBER_VALGRIND
	fiber->valgrind_id =
		(uint32_t)VALGRIND_STACK_REGISTER(fiber->stack, fiber->stack + fiber->stack_bytes);
#endif
}

static void fiber_unregister(struct fiber *fiber)
{
	(void)fiber;
#ifdef FIBER_VALGRIND
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
#ifdef FIBER_ASAN
	/* Frames that were suspended for good have left their red zones. */
	__asan_unpoison_memory_region(fiber->stack, fiber->stack_bytes);
#endif
#ifdef FIBER_TSAN
	if (fiber->tsan != NULL)
		__tsan_destroy_fiber(fiber->tsan);
	fiber->tsan = NULL;
#endif
}

/* A stack that begins anew is a new thread to the thread sanitizer. */
static void fiber_renew_checkers(struct fiber *fiber)
{
	fiber->asan_fake_stack = NULL;
#ifdef FIBER_ASAN
	__asan_unpoison_memory_region(fiber->stack, fiber->stack_bytes);
#endif
#ifdef FIBER_TSAN
	if (fiber->tsan != NULL)
		__tsan_destroy_fiber(fiber->tsan);
	fiber->tsan = __tsan_create_fiber(0);
#endif
}

/* ---- life ---- */

int fiber_open(struct fiber *fiber)
{
	memset(fiber, 0, sizeof(*fiber));
	char *low = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (low == MAP_FAILED)
		return -ENOMEM;
	if (mprotect(low, GUARD_BYTES, PROT_NONE) != 0) {
		munmap(low, GUARD_BYTES + STACK_BYTES);
		return -ENOMEM;
	}
	fiber->stack = low + GUARD_BYTES;
	fiber->stack_bytes = STACK_BYTES;
	fiber_register(fiber);
	return 0;
}

void fiber_close(struct fiber *fiber)
{
	fiber_unregister(fiber);
	CHECK(munmap(fiber->stack - GUARD_BYTES, GUARD_BYTES + STACK_BYTES) == 0);
	fiber->stack = NULL;
}

void fiber_adopt_thread(struct fiber *fiber)
{
	memset(fiber, 0, sizeof(*fiber));
	fiber->started = true;
#ifdef FIBER_TSAN
	fiber->tsan = __tsan_get_current_fiber();
#endif
}

/* The first frame of every stack. */
static void fiber_begin(void *arg)
{
	struct fiber *self = arg;

	fiber_after_switch(self);
	self->started = true;
	self->entry(self->arg);
	check_fail(__FILE__, __LINE__, "a fiber ends with fiber_switch_last()");
}

void fiber_start(struct fiber *fiber, void (*entry)(void *arg), void *arg)
{
	fiber_renew_checkers(fiber);
	fiber->entry = entry;
	fiber->arg = arg;
	fiber->started = false;
	fiber->context = switch_prepare(fiber->stack, fiber->stack_bytes, fiber_begin, fiber);
}

/* ---- switching ---- */

static void fiber_swap(struct fiber *from, struct fiber *to, bool last)
{
	void *context = to->context;

	CHECK(context != NULL && from->context == NULL);
	to->context = NULL;
	to->from = from;
	fiber_before_switch(from, to, last);
	switch_swap(&from->context, context);
}

void fiber_switch(struct fiber *from, struct fiber *to)
{
	fiber_swap(from, to, false);
	fiber_after_switch(from);
}

NORETURN void fiber_switch_last(struct fiber *from, struct fiber *to)
{
	fiber_swap(from, to, true);
	check_fail(__FILE__, __LINE__, "a fiber that has ended runs no more");
}

/* ---- depth ---- */

/* The number of zero bytes (rounded down to words) at the low end of the stack, up to `limit`. */
READS_UNUSED_STACK static size_t fiber_untouched_bytes(const struct fiber *fiber, size_t limit)
{
	const uint64_t *word = (const uint64_t *)(const void *)fiber->stack;
	size_t nr = limit / sizeof(*word);
	size_t i = 0;

#ifdef FIBER_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return limit;
#endif
	while (i < nr && word[i] == 0)
		i++;
	return i * sizeof(*word);
}

size_t fiber_high_water_bytes(const struct fiber *fiber)
{
	return fiber->stack_bytes - fiber_untouched_bytes(fiber, fiber->stack_bytes);
}

bool fiber_is_nearly_full(const struct fiber *fiber)
{
	return fiber_untouched_bytes(fiber, RESERVE_BYTES) < RESERVE_BYTES;
}
