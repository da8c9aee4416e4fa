/*
 * Small steps through a terminated line of text. Each takes a position and
 * returns the position after what it was asked to find, or NULL if that is not
 * there; each accepts NULL and returns it, so steps can be chained and looked
 * at once, at the end.
 */
#ifndef NEAP_TEXT_SCAN_H
#define NEAP_TEXT_SCAN_H

#include "base/base.h"

/* The characters of `literal`. */
const char *scan_literal(const char *at, const char *literal);
/* Any number of blanks and tabs, none included. */
const char *scan_blanks(const char *at);
/* At least one character, up to a blank, a tab or the end. */
const char *scan_word(const char *at);
/* Decimal digits whose value fits. */
const char *scan_u64(const char *at, uint64_t *value);
const char *scan_u32(const char *at, uint32_t *value);
/* The same with an optional minus sign; the value is stored as two's complement. */
const char *scan_i64(const char *at, uint64_t *value);
/* Blanks, then the end of the line. => true if only that follows */
bool scan_end(const char *at);

#endif
