/*
 * The end of the program when neap itself is wrong, and the words for it.
 * check_fail() is declared in base/check.h, rt_assert_may_sleep() in port/rt.h.
 */
#ifndef NEAP_RT_PANIC_H
#define NEAP_RT_PANIC_H

#include "port/rt.h"

/* The name of a class as docs/locking.md writes it: "LRU". */
const char *panic_lock_class_name(enum lock_class class);

/*
 * Prints "neap: <message>" and a newline to stderr and aborts. For messages that
 * need more than the text of a condition.
 */
NORETURN void panic_stop(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
