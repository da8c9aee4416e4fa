/*
 * The lines of a Mem-Info block that are lists of named numbers (text/report_line.h).
 */
#ifndef NEAP_TEXT_REPORT_VALUES_H
#define NEAP_TEXT_REPORT_VALUES_H

#include "text/report_line.h"

/*
 * Reads a line of kind GLOBAL, NODE, ZONE, RESERVE or BLOCKS.
 * => whether it is one; kind, known, node, words and values are set
 */
bool report_values_read(const struct logline_slice *text, struct report_line *out);
/* Appends such a line, without newline. */
void report_values_print(const struct report_line *line, struct text_buf *out);

#endif
