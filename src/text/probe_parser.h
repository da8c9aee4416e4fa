/* What the two halves of the parser of recorded allocator decisions share. */
#ifndef NEAP_TEXT_PROBE_PARSER_H
#define NEAP_TEXT_PROBE_PARSER_H

#include "text/probe.h"

struct probe_parser {
	struct probe *probe;
	const char *file_name;
	struct text_error *err;
	uint32_t line; /* the current one, from 1 */
	bool in_state; /* its lines follow; it is the last one of probe->states */
	bool in_burst; /* its operations follow; it is the last one of probe->items */
	bool after_op; /* events of the last operation may follow */
};

/* Says what is wrong with the current line. => -EINVAL */
int probe_refuse(struct probe_parser *p, const char *format, ...) PRINTF_LIKE(2, 3);

/*
 * Appends a zeroed element to one of the arrays of a recording. array: points at the pointer, which
 * may be of any object type. => NULL when memory is out
 */
void *probe_push(void *array, uint32_t *nr, size_t element_bytes);

/* One line of a state. => 0, -EINVAL or -ENOMEM */
MUST_CHECK int probe_parse_state_line(struct probe_parser *p, const char *text);

/* ---- steps as in text/scan.h, for what recordings have ---- */

/* "N.Z" */
const char *probe_scan_place(const char *at, struct probe_place *place);
/* A number up to most. */
const char *probe_scan_upto(const char *at, uint32_t most, uint32_t *value);
/* One letter of a migrate type; '-' and '?' are PROBE_NO_TYPE. */
const char *probe_scan_type(const char *at, uint8_t *type);

#endif
