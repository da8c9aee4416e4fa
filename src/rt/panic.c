/*
 * panic.c: how the program ends when neap itself is wrong.
 *
 * base, port and core state what must hold with CHECK and DCHECK, but may not
 * call the operating system, so what happens to a broken statement is decided
 * here, once for both runtimes:
 *
 *	CHECK(cond) --------------> check_fail() ----------+
 *	rt_wait(), rt_join() ... -> rt_assert_may_sleep() -+-> panic_stop(): a line on
 *	simulator's deadlock -----> panic_stop() ----------+   stderr, then abort()
 *
 * One line on stderr says what was wrong, where, and for which task; abort()
 * leaves a core file with every stack in it. Nothing is unwound or flushed: the
 * state is wrong, and whatever ran now could only spread it.
 *
 * rt_assert_may_sleep() guards the rule that costs most when it is broken
 * silently: a task that sleeps with a spin lock, with its CPU pinned or in
 * completion context stops every task that needs the same lock or CPU. It is
 * called on every operation that may sleep, whether it does sleep this time or
 * not, so that the first run through a wrong path shows it.
 *
 * What must never happen: an allocation on the way (memory may be what is
 * broken), or a return.
 */
#include "rt/panic.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 512

static const char *const lock_class_names[] = {
	[LOCK_SPACE] = "SPACE", [LOCK_MAPPING] = "MAPPING",
	[LOCK_SWAP] = "SWAP",	[LOCK_SWAP_LIST] = "SWAP_LIST",
	[LOCK_LRU] = "LRU",	[LOCK_ZONE] = "ZONE",
	[LOCK_IO] = "IO",	[LOCK_RT] = "RT",
};

_Static_assert(ARRAY_LEN(lock_class_names) == NR_LOCK_CLASSES, "every lock class has a name");

const char *panic_lock_class_name(enum lock_class class)
{
	return (uint32_t) class < NR_LOCK_CLASSES ? lock_class_names[class] : "?";
}

NORETURN void panic_stop(const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	/* Nothing is left to do about a stderr that does not take the line. */
	fprintf(stderr, "neap: %s\n", message);
	fflush(stderr);
	abort();
}

NORETURN void check_fail(const char *file, int line, const char *what)
{
	panic_stop("check failed: %s:%d: %s", file, line, what);
}

/* Writes the names of the classes in the mask, each with a space before it. */
static void panic_write_classes(uint32_t held, char *buf, size_t bytes)
{
	size_t used = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < NR_LOCK_CLASSES; i++) {
		if ((held & (1u << i)) == 0)
			continue;
		int wrote = snprintf(buf + used, bytes - used, " %s",
				     panic_lock_class_name((enum lock_class)i));

		if (wrote < 0 || (size_t)wrote >= bytes - used)
			return;
		used += (size_t)wrote;
	}
}

static NORETURN NOINLINE void panic_sleep(const struct task *t)
{
	char classes[128];

	panic_write_classes(t->held, classes, sizeof(classes));
	if (t->held != 0)
		panic_stop("task %s (%u) must not sleep: it holds spin locks of class%s", t->name,
			   t->id, classes);
	if (t->pin_depth != 0)
		panic_stop("task %s (%u) must not sleep: it has pinned CPU %u %u deep", t->name,
			   t->id, task_cpu(t), t->pin_depth);
	panic_stop("task %s (%u) must not sleep: it runs in completion context (PF_IRQ)", t->name,
		   t->id);
}

void rt_assert_may_sleep(const struct task *t)
{
	if (unlikely((t->held | t->pin_depth | (t->flags & PF_IRQ)) != 0))
		panic_sleep(t);
}
