/*
 * Why a trace event happened, from the numbers at that moment, in a sentence.
 */
#ifndef NEAP_DIAG_REASON_H
#define NEAP_DIAG_REASON_H

#include "text/buf.h"
#include "text/trace_read.h"

/* A zone at the moment of the event. Marks include the boost. */
struct reason_zone {
	uint32_t node;
	const char *name;
	uint64_t free, min, low, high, boost;
};

/* Appends the sentence, without newline; nothing for an event that explains itself. */
void reason_add(struct text_buf *out, const struct trace_line *line,
		const struct reason_zone *zones, uint32_t nr_zones);

#endif
