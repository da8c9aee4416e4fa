/*
 * Trace events read back: Linux's trace text, or events added one by one by a run.
 */
#ifndef NEAP_TEXT_TRACE_READ_H
#define NEAP_TEXT_TRACE_READ_H

#include "base/base.h"
#include "text/doc.h"

/* One event. Strings belong to the log. */
struct trace_line {
	uint64_t time_ns;
	uint32_t cpu;
	const char *task; /* "kswapd0" */
	const char *name; /* "mm_vmscan_kswapd_wake" */
	const char *body; /* "nid=0 order=0" */
};

struct trace_log {
	struct trace_line *lines; /* in order of time */
	uint32_t nr_lines, lines_room;
	uint64_t nr_skipped; /* events of no interest here: single pages allocated and freed */
	uint64_t nr_dropped; /* what the recorder says it lost */
	struct trace_block *blocks; /* memory of the strings */
};

void trace_log_init(struct trace_log *log);
void trace_log_free(struct trace_log *log);
/* Whether a log keeps events of this name; the others are counted. */
bool trace_log_wants(const char *name);
/* Appends a copy of an event. => 0 or -ENOMEM */
MUST_CHECK int trace_log_add(struct trace_log *log, const struct trace_line *line);
/*
 * Appends all events of a trace file. Lines that are no events are passed over.
 * => 0; -EINVAL, *err filled, if there is no event at all; -ENOMEM
 */
MUST_CHECK int trace_log_parse(struct trace_log *log, const struct text_input *in,
			       struct text_error *err);
/* Orders the events by time; those of one time stay as they are. => 0 or -ENOMEM */
MUST_CHECK int trace_log_sort(struct trace_log *log);

/* The number after "key=", decimal or 0x...; => false if the event has no such field */
bool trace_line_number(const struct trace_line *line, const char *key, int64_t *value);
/* The word after "key=", cut to fit; => false likewise */
bool trace_line_word(const struct trace_line *line, const char *key, char *word, size_t bytes);
/* "range=(0x2400 ~ 0x2420)". => false if the event has none */
bool trace_line_range(const struct trace_line *line, uint64_t *first, uint64_t *end);

#endif
