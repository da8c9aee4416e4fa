/*
 * Trace events in the text of Linux's trace file, so that tools which read one
 * (trace-cmd, perf scripts, awk) read ours.
 */
#ifndef NEAP_TEXT_TRACE_H
#define NEAP_TEXT_TRACE_H

#include "base/base.h"
#include "text/buf.h"
#include "text/gfp.h"

/* What every event line begins with. */
struct trace_prefix {
	const char *task; /* cut at 15 characters, as Linux's comm */
	uint32_t pid;
	uint32_t cpu;
	uint64_t time_ns;
	const char *state; /* five characters (irqs, resched, ...); NULL = "....." */
};

/* One event. */
struct trace_event {
	const char *name;   /* "mm_vmscan_kswapd_wake" */
	const char *format; /* "nid=%d order=%d": see trace_body_write() */
	const char *kinds;  /* one letter a value */
	const uint64_t *values;
};

/* The comment lines at the top of the file. => 0 or the buffer's error */
int trace_header_write(struct text_buf *out, uint64_t entries, uint64_t written, uint32_t nr_cpus);

/* "         kswapd0-42      [001] .....     6.733871: ". => 0 or the buffer's error */
int trace_prefix_write(struct text_buf *out, const struct trace_prefix *prefix);

/*
 * The part after the event's name, from a printf-like format and 64-bit values.
 * Understood are %d %i %u %x %p %s, with l, ll, z, flags - and 0, and a width; and %%.
 * Without l or z a number is cut to 32 bits. `kinds` has a letter for each conversion:
 *
 *   n  a number                       g  request flags  (%s)
 *   r  RECLAIM_WB_* flags (%s)        l  LRU list       (%s)
 *   z  zone type          (%s)        M  migration mode (%s)
 *   C  compaction result  (%s)        W  why pages are migrated (%s)
 *   Y  sync or async: whether the mode sleeps (%s)
 *   P  compaction priority (%s)       Q  class of a compaction's result (%s)
 *
 * => 0 or the buffer's error; -EINVAL, nothing appended, if format and kinds do not fit
 */
int trace_body_write(struct text_buf *out, const char *format, const char *kinds,
		     const uint64_t *values);

/* A whole line: prefix, name, body, newline. => 0, -EINVAL or the buffer's error */
int trace_event_write(struct text_buf *out, const struct trace_prefix *prefix,
		      const struct trace_event *event);

#endif
