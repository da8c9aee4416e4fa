/* The one JSON document that a command prints with --json. */
#ifndef NEAP_CMD_DOCUMENT_H
#define NEAP_CMD_DOCUMENT_H

#ifdef NEAP_HAVE_JANSSON
#include <jansson.h>

/* Prints the document to standard output and frees it. => CMD_FINE, or CMD_WORLD after a message */
int document_print(json_t *document);
#endif

/* For builds without JSON: says so. => CMD_USAGE */
int document_missing(void);

#endif
