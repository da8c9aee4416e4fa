/*
 * The knobs of a running machine: core/knobs.h knows the files, this does what a write to one is
 * followed by.
 */
#ifndef NEAP_CORE_SYSCTL_H
#define NEAP_CORE_SYSCTL_H

#include "core/knobs.h"
#include "core/machine.h"

/* Linux 6.1's defaults on a machine without huge pages. */
void sysctl_init(struct neap_machine *m);
/* Those that depend on the memory that is free after boot. */
void sysctl_init_reserves(struct neap_machine *m);
/*
 * Text as a read of the file gives it, with its newline; a name below /proc/sys/vm or a whole path
 * (core/knobs.h).
 * => bytes of text without terminator, -ENOENT, -EACCES write-only, -ERANGE buffer too small,
 *    -ENODATA a file of /proc that is no knob
 * => recomputes what Linux recomputes on a read
 */
int64_t sysctl_read(struct neap_machine *m, const char *name, char *buffer, size_t bytes);
/*
 * As write(2) to the file.
 * => bytes consumed, which may be fewer than given; the errors of knobs_write(); -ENOTSUP a value
 *    that Linux would act on and this version does not
 * => does and recomputes what Linux does. May sleep.
 */
int64_t sysctl_write(struct task *t, struct neap_machine *m, const char *name, const char *text,
		     size_t bytes);

static inline int32_t sysctl_get(const _Atomic int32_t *value)
{
	return knobs_get(value);
}

#endif
