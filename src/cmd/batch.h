/* A table of writes to knobs: neap sysctl --batch. */
#ifndef NEAP_CMD_BATCH_H
#define NEAP_CMD_BATCH_H

#include "cmd/saved.h"

struct batch_write {
	uint32_t line;	  /* of the file */
	const char *path; /* terminated */
	const char *text; /* what is written; escapes are resolved */
	size_t bytes;
};

struct batch {
	struct batch_write *write;
	uint32_t nr;
	char *storage;
};

/*
 * Understands a table: one write a line, "PATH<tab>TEXT" or seven columns whose first is the path
 * and whose third is the text; \n \t \0 \\ are escapes. Comments (#), empty lines and a headline
 * that begins with "path" are skipped.
 * => 0 and *batch, to be freed with batch_free(); -EINVAL with *err filled; -ENOMEM
 */
MUST_CHECK int batch_parse(const struct text_input *in, struct batch *batch,
			   struct text_error *err);
void batch_free(struct batch *batch);

/* The headline of the seven columns. */
void batch_add_headline(struct text_buf *out);
/*
 * Performs one write and appends its line: path, value before, text, result, errno, value after,
 * marks if they changed.
 * => the write's result: bytes, or negative errno
 */
int64_t batch_perform(struct saved *saved, const struct batch_write *write, struct text_buf *out);

#endif
