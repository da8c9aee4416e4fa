/* Knobs below /proc/sys/vm: one table, one reader, one writer (spec 05, section 8). */
#ifndef NEAP_CORE_SYSCTL_H
#define NEAP_CORE_SYSCTL_H

#include "core/machine.h"

/* Initial values of spec 05. */
void sysctl_init(struct neap_machine *m);
/* Those that depend on the memory that is free after boot. */
void sysctl_init_reserves(struct neap_machine *m);
/*
 * Text as a read of the file gives it, with its newline; name: below /proc/sys/vm.
 * => bytes of text without terminator, -ENOENT, -EACCES write-only, -ERANGE buffer too small
 */
int64_t sysctl_read(struct neap_machine *m, const char *name, char *buffer, size_t bytes);
/*
 * As write(2) to the file.
 * => bytes consumed, which may be fewer than given; -EINVAL, -ENOENT; -ENOTSUP a knob of Linux that
 *    this version does not act on
 * => recomputes what Linux recomputes. May sleep.
 */
int64_t sysctl_write(struct task *t, struct neap_machine *m, const char *name, const char *text,
		     size_t bytes);

static inline int32_t sysctl_get(const _Atomic int32_t *value)
{
	return atomic_load_explicit((_Atomic int32_t *)(uintptr_t)value, memory_order_relaxed);
}

#endif
