/*
 * Where pictures go: the terminal, a pipe, an SVG file.
 */
#ifndef NEAP_CMD_PICTURE_H
#define NEAP_CMD_PICTURE_H

#include "diag/paint.h"

/* How standard output wants to be painted; width 0: as wide as the terminal, else 80. */
struct paint picture_paint(uint32_t width);
/* Writes a complete text to standard output, or to a file. => the exit status */
int picture_write(const struct text_buf *text, const char *path);

#endif
