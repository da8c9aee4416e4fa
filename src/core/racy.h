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

#define racy_read(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define racy_write(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
/* The caller is the only writer, so that load and store need not be one step. */
#define racy_add(field, value) racy_write(field, racy_read(field) + (value))

#endif
