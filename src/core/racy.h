/*
 * Plain fields that one task writes at a time and others may read at any moment.
 *
 * Per-CPU counts belong to the holder of the CPU's word, but reports and the
 * exact sums of counters read them from outside. A racy access is a relaxed
 * atomic one: the reader gets some recent value, never a torn one, and the code
 * is the same as for a plain access.
 */
#ifndef NEAP_CORE_RACY_H
#define NEAP_CORE_RACY_H

#include "base/base.h"

#define racy_read(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define racy_write(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

/* The thread sanitizer does not see what an instruction of our own writes. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RACY_PORTABLE
#endif
#endif
#if !defined(__x86_64__) || defined(__SANITIZE_THREAD__)
#define RACY_PORTABLE
#endif

/*
 * The caller is the only writer, so that nothing has to be locked. A compiler makes three
 * instructions of a relaxed load, a sum and a relaxed store, since it leaves atomic accesses as
 * they are; the processor has one, whose store is as whole.
 */
#ifdef RACY_PORTABLE
#define racy_add(field, value) racy_write(field, racy_read(field) + (value))
#else
static ALWAYS_INLINE void racy_add_u32(uint32_t *field, uint32_t value)
{
	__asm__("addl %1, %0" : "+m"(*field) : "ri"(value));
}

static ALWAYS_INLINE void racy_add_u64(uint64_t *field, uint64_t value)
{
	__asm__("addq %1, %0" : "+m"(*field) : "re"(value));
}

#define racy_add(field, value)                                                                     \
	_Generic((field), uint32_t : racy_add_u32, uint64_t : racy_add_u64)(&(field), (value))
#endif

#endif
