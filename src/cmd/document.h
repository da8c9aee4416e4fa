/* How a command's answer ends: one text, or with --json one document. */
#ifndef NEAP_CMD_DOCUMENT_H
#define NEAP_CMD_DOCUMENT_H

#include "text/buf.h"

/* Prints the text to standard output and frees it. => CMD_FINE, or CMD_WORLD after a message */
int document_print_text(struct text_buf *text);

#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>

/* A text as a member. What is no UTF-8, as a path may be, cannot stand there and becomes "?". */
void document_set_text(json_t *object, const char *key, const char *text);
/* Prints the document to standard output and frees it. => CMD_FINE, or CMD_WORLD after a message */
int document_print(json_t *document);
#endif

/* For builds without JSON: says so. => CMD_USAGE */
int document_missing(void);

#endif
